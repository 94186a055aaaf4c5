/* SPDX-License-Identifier: Apache-2.0 */
/* Records of responses: written, gone on from, listed. */
#include "chat/responses.h"

#include <stdio.h>
#include <string.h>

#include "chat/splice.h"
#include "wire/json_writer.h"

enum { ID_MAX = 128, LIMIT_DEFAULT = 20 };

static mt_rc corrupt(struct mt_err *err, const char *what)
{
    return MT_FAIL(err, MT_E_CORRUPT, "stored response: %s", what);
}

/* The items of a record, how many of them are input, and the response. */
struct record {
    const struct mt_json *items;
    const struct mt_json *response;
    size_t items_n, inputs_n;
};

static mt_rc open_record(const struct mt_json *json, struct record *out, struct mt_err *err)
{
    struct record r = {.items = mt_json_get(json, "items"),
                       .response = mt_json_get(json, "response")};

    if (mt_json_type(r.items) != MT_JSON_ARRAY)
        return corrupt(err, "no items");
    if (mt_json_type(r.response) != MT_JSON_OBJECT)
        return corrupt(err, "no response");
    r.items_n = mt_json_count(r.items);
    size_t outputs_n = mt_json_count(mt_json_get(r.response, "output"));
    if (outputs_n > r.items_n)
        return corrupt(err, "more output than items");
    r.inputs_n = r.items_n - outputs_n;
    *out = r;
    return MT_OK;
}

/* --- items of an input, with ids --- */

struct writer {
    struct mt_jw *w;
    struct mt_str suffix; /* the response's id without its prefix; raw, between quotes */
    size_t items_n;
};

static const char *id_prefix(const struct mt_json *type)
{
    static const char *const prefixes[][2] = {{"function_call", "fc"},
                                              {"function_call_output", "fco"},
                                              {"reasoning", "rs"},
                                              {"message", "msg"}};

    for (size_t i = 0; i < MT_ARRAY_LEN(prefixes); i++)
        if (mt_json_is(type, prefixes[i][0]))
            return prefixes[i][1];
    return type == NULL ? "msg" : "item";
}

/* Ids are made only of letters and digits of the response's own. */
static void write_new_id(struct writer *o, const struct mt_json *type)
{
    char id[ID_MAX];

    snprintf(id, sizeof id, "%s_%.*si%zu", id_prefix(type), MT_STR_ARG(o->suffix), o->items_n);
    mt_jw_kcstr(o->w, "id", id);
}

static void write_content(struct writer *o, const struct mt_json *text, bool is_assistant)
{
    mt_jw_key(o->w, "content"), mt_jw_array(o->w);
    mt_jw_object(o->w);
    mt_jw_kcstr(o->w, "type", is_assistant ? "output_text" : "input_text");
    if (is_assistant)
        mt_jw_key(o->w, "annotations"), mt_jw_array(o->w), mt_jw_end(o->w);
    mt_jw_kraw(o->w, "text", mt_json_raw(text));
    mt_jw_end(o->w);
    mt_jw_end(o->w);
}

static mt_rc count_item(struct writer *o, struct mt_err *err)
{
    if (o->items_n >= MT_RESPONSES_STORED_ITEMS_MAX)
        return MT_FAIL(err, MT_E_TOOBIG, "conversation: more than %d items",
                       MT_RESPONSES_STORED_ITEMS_MAX);
    o->items_n++;
    return MT_OK;
}

/* One item as it is kept: with an id and a type, the content of a message as a list. */
static mt_rc write_item(struct writer *o, const struct mt_json *item, struct mt_err *err)
{
    const struct mt_json *type = mt_json_get(item, "type");
    const struct mt_json *id = mt_json_get(item, "id");
    bool has_id = mt_json_type(id) == MT_JSON_STRING;
    bool is_assistant = mt_json_is(mt_json_get(item, "role"), "assistant");

    if (mt_json_type(item) != MT_JSON_OBJECT)
        return MT_FAIL(err, MT_E_INVALID, "input: expected objects, found %s",
                       mt_json_type_name(mt_json_type(item)));
    MT_TRY(count_item(o, err));
    mt_jw_object(o->w);
    if (!has_id)
        write_new_id(o, type);
    if (type == NULL)
        mt_jw_kcstr(o->w, "type", "message");
    for (const struct mt_json *m = mt_json_first(item); m != NULL; m = mt_json_next(m)) {
        struct mt_str key = mt_json_key(m);
        if (key.len > 0 && memchr(key.at, '\\', key.len) != NULL)
            return MT_FAIL(err, MT_E_INVALID, "input: expected field names without escapes");
        if (!has_id && mt_str_is(key, "id"))
            continue;
        if (mt_str_is(key, "content") && mt_json_type(m) == MT_JSON_STRING) {
            write_content(o, m, is_assistant);
            continue;
        }
        mt_jw_key_str(o->w, key);
        mt_jw_raw(o->w, mt_json_raw(m));
    }
    mt_jw_end(o->w);
    return MT_OK;
}

static mt_rc write_text_input(struct writer *o, const struct mt_json *text, struct mt_err *err)
{
    MT_TRY(count_item(o, err));
    mt_jw_object(o->w);
    write_new_id(o, NULL);
    mt_jw_kcstr(o->w, "type", "message");
    mt_jw_kcstr(o->w, "role", "user");
    write_content(o, text, false);
    mt_jw_end(o->w);
    return MT_OK;
}

static mt_rc write_input(struct writer *o, const struct mt_json *input, struct mt_err *err)
{
    if (mt_json_type(input) == MT_JSON_STRING)
        return write_text_input(o, input, err);
    if (mt_json_type(input) != MT_JSON_ARRAY)
        return MT_FAIL(err, MT_E_INVALID, "input: expected a string or an array, found %s",
                       mt_json_type_name(mt_json_type(input)));
    for (const struct mt_json *i = mt_json_first(input); i != NULL; i = mt_json_next(i))
        MT_TRY(write_item(o, i, err));
    return MT_OK;
}

/* Raw bytes of a string without quotes and the part up to its first '_'. */
static struct mt_str suffix_of(const struct mt_json *id)
{
    struct mt_str raw = mt_json_raw(id);
    enum { SUFFIX_MAX = 64 };

    raw = mt_str_sub(raw, 1, raw.len - 1);
    size_t at = mt_str_find_char(raw, '_');
    raw = at < raw.len ? mt_str_sub(raw, at + 1, raw.len) : raw;
    return mt_str_sub(raw, 0, SUFFIX_MAX);
}

mt_rc mt_responses_record(const struct mt_json *body, const struct mt_json *response,
                          struct mt_buf *out, struct mt_err *err)
{
    const struct mt_json *id = mt_json_get(response, "id");
    const struct mt_json *output = mt_json_get(response, "output");
    struct mt_jw w;
    struct writer o = {.w = &w};

    if (mt_json_type(id) != MT_JSON_STRING || mt_json_type(output) != MT_JSON_ARRAY)
        return MT_FAIL(err, MT_E_INVALID, "response: expected an object with id and output");
    o.suffix = suffix_of(id);
    mt_jw_begin(&w, out);
    mt_jw_object(&w);
    mt_jw_kraw(&w, "response", mt_json_raw(response));
    mt_jw_key(&w, "items"), mt_jw_array(&w);
    MT_TRY(write_input(&o, mt_json_get(body, "input"), err));
    MT_TRY(write_input(&o, output, err));
    mt_jw_end(&w);
    mt_jw_end(&w);
    return mt_buf_check(out, "stored response", err);
}

/* --- going on --- */

/* A reference to an item that the record holds says nothing new. */
static bool is_held(const struct record *r, const struct mt_json *item)
{
    const struct mt_json *id = mt_json_get(item, "id");

    if (!mt_json_is(mt_json_get(item, "type"), "item_reference") ||
        mt_json_type(id) != MT_JSON_STRING)
        return false;
    for (const struct mt_json *i = mt_json_first(r->items); i != NULL; i = mt_json_next(i))
        if (mt_str_eq(mt_json_raw(mt_json_get(i, "id")), mt_json_raw(id)))
            return true;
    return false;
}

static mt_rc join_input(const struct record *r, const struct mt_json *input, struct mt_buf *out,
                        struct mt_err *err)
{
    struct mt_jw w;
    size_t items_n = r->items_n + mt_json_count(input);

    if (items_n > MT_RESPONSES_STORED_ITEMS_MAX)
        return MT_FAIL(err, MT_E_TOOBIG, "conversation: %zu items, at most %d", items_n,
                       MT_RESPONSES_STORED_ITEMS_MAX);
    mt_jw_begin(&w, out);
    mt_jw_array(&w);
    for (const struct mt_json *i = mt_json_first(r->items); i != NULL; i = mt_json_next(i))
        mt_jw_raw(&w, mt_json_raw(i));
    if (mt_json_type(input) == MT_JSON_STRING) {
        mt_jw_object(&w);
        mt_jw_kcstr(&w, "role", "user");
        mt_jw_kraw(&w, "content", mt_json_raw(input));
        mt_jw_end(&w);
    } else if (mt_json_type(input) == MT_JSON_ARRAY) {
        for (const struct mt_json *i = mt_json_first(input); i != NULL; i = mt_json_next(i))
            if (!is_held(r, i))
                mt_jw_raw(&w, mt_json_raw(i));
    } else {
        return MT_FAIL(err, MT_E_INVALID, "input: expected a string or an array, found %s",
                       mt_json_type_name(mt_json_type(input)));
    }
    mt_jw_end(&w);
    return mt_buf_check(out, "conversation", err);
}

mt_rc mt_responses_expand(const struct mt_json *record, const struct mt_json *body,
                          struct mt_str text, struct mt_buf *out, struct mt_err *err)
{
    MT_CLEANUP(mt_buf_fini) struct mt_buf input = MT_BUF_INIT(out->max);
    struct record r;

    MT_TRY(open_record(record, &r, err));
    MT_TRY(join_input(&r, mt_json_get(body, "input"), &input, err));
    const struct mt_splice edits[] = {
        {.key = "input", .raw = mt_buf_str(&input)},
        {.key = "previous_response_id", .raw = {NULL, 0}},
    };
    mt_splice(body, text, edits, MT_ARRAY_LEN(edits), out);
    return mt_buf_check(out, "conversation", err);
}

/* --- listing --- */

/* Items are walked forwards only: find the window [from, to) of the input, oldest first. */
static mt_rc find_window(const struct record *r, const struct mt_responses_page *page,
                         size_t *from, size_t *to, struct mt_err *err)
{
    size_t limit = page->limit_n == 0 ? LIMIT_DEFAULT : page->limit_n;
    bool is_oldest = page->order == MT_RESPONSES_OLDEST_FIRST;
    size_t at = 0;

    if (limit > MT_RESPONSES_PAGE_MAX)
        limit = MT_RESPONSES_PAGE_MAX;
    *from = 0;
    *to = r->inputs_n;
    if (page->after.len > 0) {
        const struct mt_json *i = mt_json_first(r->items);
        for (; i != NULL && at < r->inputs_n; i = mt_json_next(i), at++) {
            struct mt_str id = mt_json_raw(mt_json_get(i, "id"));
            if (mt_str_eq(mt_str_sub(id, 1, id.len - 1), page->after))
                break;
        }
        if (i == NULL || at >= r->inputs_n)
            return MT_FAIL(err, MT_E_NOTFOUND, "after: no item '%.*s'",
                           MT_STR_ARG(page->after));
        *from = is_oldest ? at + 1 : 0;
        *to = is_oldest ? r->inputs_n : at;
    }
    if (*to - *from > limit) {
        *from = is_oldest ? *from : *to - limit;
        *to = *from + limit;
    }
    return MT_OK;
}

static void write_id(struct mt_jw *w, const char *key, const struct mt_json *item)
{
    mt_jw_key(w, key);
    if (item != NULL && mt_json_type(mt_json_get(item, "id")) == MT_JSON_STRING)
        mt_jw_raw(w, mt_json_raw(mt_json_get(item, "id")));
    else
        mt_jw_null(w);
}

mt_rc mt_responses_input_items(const struct mt_json *record,
                               const struct mt_responses_page *page, struct mt_buf *out,
                               struct mt_err *err)
{
    const struct mt_json *window[MT_RESPONSES_PAGE_MAX];
    bool is_oldest = page->order == MT_RESPONSES_OLDEST_FIRST;
    size_t from = 0, to = 0, n = 0, at = 0;
    struct record r;
    struct mt_jw w;

    MT_TRY(open_record(record, &r, err));
    MT_TRY(find_window(&r, page, &from, &to, err));
    for (const struct mt_json *i = mt_json_first(r.items); i != NULL && at < to;
         i = mt_json_next(i), at++)
        if (at >= from)
            window[n++] = i;
    mt_jw_begin(&w, out);
    mt_jw_object(&w);
    mt_jw_kcstr(&w, "object", "list");
    mt_jw_key(&w, "data"), mt_jw_array(&w);
    for (size_t i = 0; i < n; i++)
        mt_jw_raw(&w, mt_json_raw(window[is_oldest ? i : n - 1 - i]));
    mt_jw_end(&w);
    write_id(&w, "first_id", n > 0 ? window[is_oldest ? 0 : n - 1] : NULL);
    write_id(&w, "last_id", n > 0 ? window[is_oldest ? n - 1 : 0] : NULL);
    mt_jw_kbool(&w, "has_more", is_oldest ? to < r.inputs_n : from > 0);
    mt_jw_end(&w);
    return mt_buf_check(out, "input items", err);
}
