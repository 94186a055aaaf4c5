/* SPDX-License-Identifier: Apache-2.0 */
/* json_grammar.h - a JSON schema as a GBNF grammar for llama.cpp's grammar sampler.
 *
 * What the grammar allows is always valid JSON. Known: type (also lists), enum, const,
 * properties in their order with required and optional ones, items, prefixItems, minItems,
 * maxItems, minLength, maxLength, pattern (a subset), format (date, time, date-time, uuid),
 * integer ranges, anyOf, oneOf, allOf of objects, $ref into the schema, nullable. Other
 * keywords narrow nothing and are noted. Pure. */
#ifndef MT_LOCAL_JSON_GRAMMAR_H
#define MT_LOCAL_JSON_GRAMMAR_H

#include "base/buf.h"
#include "chat/request.h"

struct mt_chat_notes;

enum { MT_GRAMMAR_BYTES_MAX = 1 << 20, MT_GRAMMAR_REPEAT_MAX = 1000 };

/* How far open-ended parts may grow, so that an answer of few tokens is a whole one and not one
 * that was brought to its end (json_closing.h). */
struct mt_grammar_bounds {
    unsigned string_max; /* characters of a string without maxLength; 0 = no end */
    unsigned items_max; /* of an array without maxItems, members of a free object; 0 = no end */
    unsigned depth_max; /* of free JSON; 0 = 8 */
    bool is_compact;    /* no space at all between tokens */
};

/** Bounds for an answer of at most this many tokens (< 0: many). */
struct mt_grammar_bounds mt_grammar_bounds_for(int64_t tokens);

/** Any JSON object. */
mt_rc mt_grammar_object(const struct mt_grammar_bounds *bounds, struct mt_buf *out,
                        struct mt_err *err);

/** A value of the schema. @return MT_OK, MT_E_INVALID (what is wrong), buffer failures */
mt_rc mt_grammar_schema(struct mt_str schema_json, const struct mt_grammar_bounds *bounds,
                        struct mt_buf *out, struct mt_chat_notes *notes, struct mt_err *err);

struct mt_grammar_tools {
    const struct mt_chat_tool *tools;
    size_t tools_n;
    struct mt_str only; /* name of the one tool allowed; or empty */
    bool is_parallel;   /* several calls, a line each */
};

/** One call {"name":"...","arguments":{...}} without spaces around its skeleton. */
mt_rc mt_grammar_calls(const struct mt_grammar_tools *tools,
                       const struct mt_grammar_bounds *bounds, struct mt_buf *out,
                       struct mt_chat_notes *notes, struct mt_err *err);

/** Part of json_grammar.c kept apart: a regular expression's GBNF; false: not in the subset. */
bool mt_grammar__pattern(struct mt_str pattern, struct mt_buf *out);

/** Digits of the integers in [min, max] as GBNF. */
void mt_grammar__range(int64_t min, int64_t max, struct mt_buf *out);

#endif
