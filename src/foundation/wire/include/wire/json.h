/* SPDX-License-Identifier: Apache-2.0 */
/* wire/json.h - reading JSON (RFC 8259) in place.
 *
 * A document is parsed once into a flat array of nodes that point into the text; strings are
 * unescaped only when asked for. Everything is checked while parsing: UTF-8, grammar, numbers,
 * depth, count of nodes. After that no accessor can fail, but for memory. The raw bytes of
 * every value are at hand, so an unknown field can be spliced into another message unread.
 *
 * The text must stay, unchanged, as long as the document is used, and MT_BUF_SLACK readable
 * bytes must follow it (struct mt_buf and its slices give that). Pure; a document belongs to
 * its owner and is meant to be used again and again: it keeps its memory, up to about 100 KiB
 * between texts. */
#ifndef MT_WIRE_JSON_H
#define MT_WIRE_JSON_H

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

enum mt_json_type {
    MT_JSON_NONE, /* no value: what accessors say of NULL */
    MT_JSON_NULL,
    MT_JSON_BOOL,
    MT_JSON_NUMBER,
    MT_JSON_STRING,
    MT_JSON_ARRAY,
    MT_JSON_OBJECT,
};

enum {
    MT_JSON_DEPTH_MAX = 128,      /* nesting refused beyond this */
    MT_JSON_NODES_MAX = 1u << 20, /* values in one document */
    MT_JSON_BYTES_MAX = 1u << 30,
};

struct mt_json_doc; /* opaque; mt_json_doc_new() .. mt_json_doc_free() */
struct mt_json;     /* one value of a document; NULL stands for "absent" everywhere */

mt_rc mt_json_doc_new(struct mt_json_doc **out, struct mt_err *err);
void mt_json_doc_free(struct mt_json_doc *doc);
void mt_json_doc_freep(struct mt_json_doc **doc);

/** Forget the text; memory beyond what small messages need is given back. */
void mt_json_doc_clear(struct mt_json_doc *doc);

/** Parse text whole; what the document held before is gone. Duplicate keys are kept, the first
 *  one is found. *root lives until the next parse.
 *  @return MT_OK, MT_E_INVALID ("byte N: what is wrong"), MT_E_TOOBIG, MT_E_NOMEM */
mt_rc mt_json_parse(struct mt_json_doc *doc, struct mt_str text, const struct mt_json **root,
                    struct mt_err *err);

enum mt_json_type mt_json_type(const struct mt_json *value);
const char *mt_json_type_name(enum mt_json_type type); /* "object", "string", ... for errors */

/** Member of an object; NULL when absent or when value is no object. */
const struct mt_json *mt_json_get(const struct mt_json *value, const char *key);

/** Children of an array or object, in order: first, then next; NULL at the end. */
const struct mt_json *mt_json_first(const struct mt_json *value);
const struct mt_json *mt_json_next(const struct mt_json *value);
size_t mt_json_count(const struct mt_json *value);

/** Raw bytes of the value as they stand in the text (a string with its quotes). */
struct mt_str mt_json_raw(const struct mt_json *value);

/** Raw key of a member, without quotes, escapes still in it; empty for elements of an array. */
struct mt_str mt_json_key(const struct mt_json *value);

/** The key unescaped, as mt_json_str does; false when value is no member, or out of memory. */
bool mt_json_key_str(const struct mt_json *value, struct mt_arena *arena, struct mt_str *out);

/** Is it a member of that name (after unescaping)? */
bool mt_json_key_is(const struct mt_json *value, const char *key);

/** Is it a string equal to text (after unescaping)? */
bool mt_json_is(const struct mt_json *value, const char *text);

/** The string, unescaped: into the text where it has no escapes, else into the arena. A lone
 *  surrogate becomes U+FFFD. False when value is no string, or out of memory (then the arena
 *  answers NULL to everybody else too). */
bool mt_json_str(const struct mt_json *value, struct mt_arena *arena, struct mt_str *out);

/** Number with an integral value in [min, max], 3.0 and 3e0 included; false otherwise. */
bool mt_json_i64(const struct mt_json *value, int64_t min, int64_t max, int64_t *out);
bool mt_json_f64(const struct mt_json *value, double *out);
bool mt_json_bool(const struct mt_json *value, bool *out);

#endif
