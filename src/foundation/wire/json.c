/* SPDX-License-Identifier: Apache-2.0 */
/* simdjson says where tokens begin; one walk over them checks the grammar and lays the nodes.
 *
 * Invariants of the walk: nodes hold only indexes of each other while they grow; a token ends
 * where the next one begins, white space cut, because the index counts whatever follows a
 * string or stands alone as a token of its own; the depth is bounded, nothing recurses. */
#include "wire/json.h"

#include <string.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "json_priv.h"

enum {
    NODES_FIRST = 16,
    TOKENS_PER_NODE = 4,        /* of objects: key, colon, value, comma; a first guess */
    NODES_KEPT_MAX = 1024,      /* 32 KiB: what a document may hold on to between texts */
    INDEX_KEPT_MAX = 16 * 1024, /* bytes of text; the index takes four times as many */
};

struct mt_json_doc {
    struct mt_wire__index index;
    struct mt_json *nodes;
    uint32_t nodes_n;
    uint32_t nodes_cap;
};

struct level {
    uint32_t node; /* the open array or object */
    uint32_t last; /* its youngest child */
};

struct walk {
    struct mt_json_doc *doc;
    struct mt_str text;
    uint32_t i; /* token to be read */
    unsigned depth;
    struct level open[MT_JSON_DEPTH_MAX];
    struct mt_err *err;
};

/* The one place that calls a text bad. */
static mt_rc fail_at(struct mt_err *err, struct mt_str text, size_t at, const char *expected)
{
    unsigned char c = at < text.len ? (unsigned char)text.at[at] : 0;

    if (at >= text.len)
        return MT_FAIL(err, MT_E_INVALID, "byte %zu: expected %s, found the end of the text",
                       at, expected);
    if (c > ' ' && c < 0x7F)
        return MT_FAIL(err, MT_E_INVALID, "byte %zu: expected %s, found '%c'", at, expected, c);
    return MT_FAIL(err, MT_E_INVALID, "byte %zu: expected %s, found 0x%02x", at, expected, c);
}

/* Offset of token i; the end of the text behind the last one. */
static size_t offset(const struct walk *w, uint32_t i)
{
    return i < w->doc->index.n ? w->doc->index.at[i] : w->text.len;
}

/* First byte of the token to be read; NUL, which begins no token, at the end. */
static char peek(const struct walk *w)
{
    return w->i < w->doc->index.n ? w->text.at[w->doc->index.at[w->i]] : '\0';
}

static mt_rc fail_here(const struct walk *w, const char *expected)
{
    return fail_at(w->err, w->text, offset(w, w->i), expected);
}

/* Bytes of the token to be read. */
static struct mt_str token(const struct walk *w)
{
    size_t from = offset(w, w->i);
    size_t to = offset(w, w->i + 1);

    while (to > from && (w->text.at[to - 1] == ' ' || w->text.at[to - 1] == '\n' ||
                         w->text.at[to - 1] == '\r' || w->text.at[to - 1] == '\t'))
        to--;
    return (struct mt_str){w->text.at + from, to - from};
}

static mt_rc nodes_grow(struct mt_json_doc *doc, struct mt_err *err)
{
    if (doc->nodes_n >= MT_JSON_NODES_MAX)
        return MT_FAIL(err, MT_E_TOOBIG, "more than %d values", MT_JSON_NODES_MAX);
    uint32_t first = doc->index.n / TOKENS_PER_NODE + NODES_FIRST;
    uint32_t cap = doc->nodes_cap > 0 ? doc->nodes_cap * 2 : first;

    if (cap > MT_JSON_NODES_MAX)
        cap = MT_JSON_NODES_MAX;
    struct mt_json *grown = mt_realloc(doc->nodes, cap, sizeof *grown);

    if (grown == NULL)
        return MT_FAIL(err, MT_E_NOMEM, "no memory for %u values", cap);
    doc->nodes = grown;
    doc->nodes_cap = cap;
    return MT_OK;
}

/* Append a node and tie it to the container that is open. */
static mt_rc add_node(struct walk *w, struct mt_json node)
{
    struct mt_json_doc *doc = w->doc;

    if (doc->nodes_n == doc->nodes_cap)
        MT_TRY(nodes_grow(doc, w->err));
    if (w->depth > 0) {
        struct level *level = &w->open[w->depth - 1];
        struct mt_json *parent = &doc->nodes[level->node];
        if (parent->count > 0)
            doc->nodes[level->last].next = doc->nodes_n - level->last;
        parent->count++;
        level->last = doc->nodes_n;
    }
    doc->nodes[doc->nodes_n++] = node;
    return MT_OK;
}

/* The string to be read, without its quotes. */
static mt_rc take_string(struct walk *w, struct mt_str *out, bool *has_escapes)
{
    struct mt_str raw = token(w);

    if (raw.len < 2 || raw.at[raw.len - 1] != '"')
        return fail_here(w, "a closed string");
    struct mt_str text = mt_str_sub(raw, 1, raw.len - 1);
    size_t bad_at = 0;

    *has_escapes = text.len > 0 && memchr(text.at, '\\', text.len) != NULL;
    if (*has_escapes && !mt_wire__escapes_check(text, &bad_at))
        return MT_FAIL(w->err, MT_E_INVALID, "byte %zu: unknown escape in a string",
                       (size_t)(text.at - w->text.at) + bad_at);
    *out = text;
    w->i++;
    return MT_OK;
}

static mt_rc take_string_value(struct walk *w, struct mt_json node)
{
    struct mt_str text;

    MT_TRY(take_string(w, &text, &node.has_escapes));
    node.type = MT_JSON_STRING;
    node.len = (uint32_t)text.len + 2;
    return add_node(w, node);
}

static mt_rc take_scalar(struct walk *w, struct mt_json node)
{
    struct mt_str raw = token(w);

    if (mt_wire__number_check(raw))
        node.type = MT_JSON_NUMBER;
    else if (mt_str_is(raw, "true") || mt_str_is(raw, "false"))
        node.type = MT_JSON_BOOL;
    else if (mt_str_is(raw, "null"))
        node.type = MT_JSON_NULL;
    else
        return fail_here(w, "a value");
    node.len = (uint32_t)raw.len;
    w->i++;
    return add_node(w, node);
}

static mt_rc open_container(struct walk *w, struct mt_json node)
{
    if (w->depth == MT_JSON_DEPTH_MAX)
        return MT_FAIL(w->err, MT_E_TOOBIG, "byte %zu: nested more than %d deep",
                       offset(w, w->i), MT_JSON_DEPTH_MAX);
    node.type = peek(w) == '{' ? MT_JSON_OBJECT : MT_JSON_ARRAY;
    MT_TRY(add_node(w, node));
    w->open[w->depth++] = (struct level){.node = w->doc->nodes_n - 1};
    w->i++;
    return MT_OK;
}

/* The value to be read; node brings its key. */
static mt_rc take_value(struct walk *w, struct mt_json node)
{
    char c = peek(w);

    node.at = w->text.at + offset(w, w->i);
    if (c == '"')
        return take_string_value(w, node);
    if (c == '{' || c == '[')
        return open_container(w, node);
    return take_scalar(w, node);
}

static mt_rc take_member(struct walk *w)
{
    struct mt_json node = {0};
    struct mt_str key;

    if (peek(w) != '"')
        return fail_here(w, "a key");
    MT_TRY(take_string(w, &key, &node.key_has_escapes));
    if (peek(w) != ':')
        return fail_here(w, "':'");
    w->i++;
    node.key_back = (uint32_t)(w->text.at + offset(w, w->i) - key.at);
    node.key_len = (uint32_t)key.len;
    return take_value(w, node);
}

/* One step inside the innermost container: its end, or its next child. */
static mt_rc take_child(struct walk *w)
{
    struct mt_json *parent = &w->doc->nodes[w->open[w->depth - 1].node];
    bool is_object = parent->type == MT_JSON_OBJECT;

    if (peek(w) == (is_object ? '}' : ']')) {
        parent->len = (uint32_t)(w->text.at + offset(w, w->i) + 1 - parent->at);
        w->i++;
        w->depth--;
        return MT_OK;
    }
    if (parent->count > 0) {
        if (peek(w) != ',')
            return fail_here(w, is_object ? "',' or '}'" : "',' or ']'");
        w->i++;
    }
    return is_object ? take_member(w) : take_value(w, (struct mt_json){0});
}

static mt_rc walk_run(struct walk *w)
{
    MT_TRY(take_value(w, (struct mt_json){0}));
    while (w->depth > 0)
        MT_TRY(take_child(w));
    return w->i < w->doc->index.n ? fail_here(w, "the end of the text") : MT_OK;
}

/* The index refused the text: find out where and why. */
static mt_rc fail_index(struct mt_str text, struct mt_err *err)
{
    size_t at = mt_wire__utf8_prefix(text);
    size_t string_at = 0;
    bool in_string = false;

    if (at < text.len)
        return fail_at(err, text, at, "UTF-8");
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.at[i];
        if (in_string && c < ' ')
            return fail_at(err, text, i, "no bare control character in a string");
        if (c == '\\' && i + 1 < text.len && (unsigned char)text.at[i + 1] >= ' ') {
            i++; /* whatever is escaped ends no string */
        } else if (c == '"') {
            in_string = !in_string;
            string_at = i;
        }
    }
    if (in_string)
        return MT_FAIL(err, MT_E_INVALID, "byte %zu: string without end", string_at);
    return fail_at(err, text, text.len, "a value");
}

static mt_rc build_index(struct mt_json_doc *doc, struct mt_str text, struct mt_err *err)
{
    if (text.len > MT_JSON_BYTES_MAX)
        return MT_FAIL(err, MT_E_TOOBIG, "%zu bytes of JSON, the limit is %d", text.len,
                       MT_JSON_BYTES_MAX);
    if (text.len == 0)
        return fail_at(err, text, 0, "a value");
    switch (mt_wire__index_build(&doc->index, text)) {
    case MT_WIRE__INDEX_OK:
        return MT_OK;
    case MT_WIRE__INDEX_NOMEM:
        return MT_FAIL(err, MT_E_NOMEM, "no memory to index %zu bytes of JSON", text.len);
    case MT_WIRE__INDEX_BAD:
        return fail_index(text, err);
    }
    return MT_E_INVALID;
}

static void trim_nodes(struct mt_json_doc *doc)
{
    doc->nodes_n = 0;
    if (doc->nodes_cap <= NODES_KEPT_MAX)
        return;
    mt_free(doc->nodes);
    doc->nodes = NULL;
    doc->nodes_cap = 0;
}

mt_rc mt_json_doc_new(struct mt_json_doc **out, struct mt_err *err)
{
    struct mt_json_doc *doc = mt_alloc(1, sizeof *doc);

    if (doc == NULL)
        return MT_FAIL(err, MT_E_NOMEM, "no memory for a JSON document");
    *out = doc;
    return MT_OK;
}

void mt_json_doc_free(struct mt_json_doc *doc)
{
    if (doc == NULL)
        return;
    mt_wire__index_fini(&doc->index);
    mt_free(doc->nodes);
    mt_free(doc);
}

void mt_json_doc_freep(struct mt_json_doc **doc)
{
    mt_json_doc_free(*doc);
    *doc = NULL;
}

void mt_json_doc_clear(struct mt_json_doc *doc)
{
    trim_nodes(doc);
}

mt_rc mt_json_parse(struct mt_json_doc *doc, struct mt_str text, const struct mt_json **root,
                    struct mt_err *err)
{
    struct walk w = {.doc = doc, .text = text, .err = err};

    trim_nodes(doc);
    mt_rc rc = build_index(doc, text, err);
    if (rc == MT_OK)
        rc = walk_run(&w);
    if (doc->index.capacity > INDEX_KEPT_MAX)
        mt_wire__index_fini(&doc->index);
    if (rc < 0) {
        trim_nodes(doc);
        return rc;
    }
    MT_ASSERT(doc->nodes_n > 0);
    *root = doc->nodes;
    return MT_OK;
}
