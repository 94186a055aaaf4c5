/* SPDX-License-Identifier: Apache-2.0 */
/* json_grammar_priv.h - what the files of json_grammar.h share.
 *
 *   json_grammar.c  grammars of a schema, of free JSON, of calls; rules
 *   json_node.c     any node of a schema
 *   json_object.c   objects: properties, references, maps
 *   json_scalar.c   strings and numbers
 *   json_pattern.c  regular expressions and ranges */
#ifndef MT_LOCAL_JSON_GRAMMAR_PRIV_H
#define MT_LOCAL_JSON_GRAMMAR_PRIV_H

#include "chat/codec.h"
#include "json_grammar.h"
#include "wire/json.h"

enum {
    MT_SCHEMA_RULES_MAX = 4096,
    MT_SCHEMA_REFS_MAX = 256,
    MT_SCHEMA_NESTING_MAX = 48,
    MT_SCHEMA_GATHER_MAX = 10000, /* parts looked at for objects of allOf and $ref */
    MT_SCHEMA_DEPTH_DEFAULT = 8,
    MT_SCHEMA_INTEGER_DIGITS = 15,
};

struct mt_schema {
    const struct mt_grammar_bounds *bounds;
    const struct mt_json *root;
    struct mt_buf *out;
    struct mt_arena *arena;
    struct mt_chat_notes *notes;
    unsigned rules_n;
    unsigned gathered_n;
    struct mt_schema_ref {
        struct mt_str path;
        const struct mt_json *node;
        unsigned rule;
    } refs[MT_SCHEMA_REFS_MAX];
    size_t refs_n;
    size_t refs_done;
};

/* json_grammar.c */
const char *mt_schema__space(const struct mt_schema *g);
unsigned mt_schema__free_depth(const struct mt_schema *g);
/** " {min,max}" around something repeated; max 0 = no end. */
void mt_schema__repeat(struct mt_buf *out, unsigned min, unsigned max);
/** A GBNF literal of these bytes. */
void mt_schema__literal(struct mt_buf *out, struct mt_str text);
mt_rc mt_schema__new_rule(struct mt_schema *g, unsigned *rule, struct mt_err *err);
mt_rc mt_schema__write_rule(struct mt_schema *g, unsigned rule, const struct mt_buf *body,
                            struct mt_err *err);
/** A count among a node's keywords: not negative. */
bool mt_schema__count(const struct mt_json *node, const char *key, int64_t *out);

/* json_node.c */
/** A rule of a node's own; NULL: of any value. */
mt_rc mt_schema__node(struct mt_schema *g, const struct mt_json *node, unsigned depth,
                      unsigned *rule, struct mt_err *err);
/** Write the rules of all references, those found on the way too. */
mt_rc mt_schema__finish_refs(struct mt_schema *g, struct mt_err *err);

/* json_object.c */
mt_rc mt_schema__object(struct mt_schema *g, const struct mt_json *node, unsigned depth,
                        struct mt_buf *body, struct mt_err *err);
mt_rc mt_schema__find_ref(struct mt_schema *g, struct mt_str path, const struct mt_json **out,
                          struct mt_err *err);

/* json_scalar.c */
void mt_schema__string(struct mt_schema *g, const struct mt_json *node, struct mt_buf *body);
mt_rc mt_schema__integer(const struct mt_json *node, struct mt_buf *body, struct mt_err *err);
void mt_schema__number(struct mt_schema *g, const struct mt_json *node, struct mt_buf *body);

#endif
