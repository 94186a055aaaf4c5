/* SPDX-License-Identifier: Apache-2.0 */
/* The fast lane of OpenAI's dialects: what routing must know of a body, the body with its few
 * edits, and usage read off the answer as it passes. Most chunks are told apart by the keys in
 * their bytes; only those that may matter are parsed. A quote inside a string is escaped, so a
 * key in quotes never matches inside one. */
#include "openai_priv.h"

/* Each field that is acted on may be said once only: the endpoint might take another one. */
static mt_rc check_once(const struct mt_json *body, struct mt_err *err)
{
    static const char *const keys[] = {
        "model", "stream", "stream_options", "max_tokens", "max_completion_tokens", "n"};
    unsigned seen = 0;

    for (const struct mt_json *m = mt_json_first(body); m != NULL; m = mt_json_next(m)) {
        for (unsigned i = 0; i < MT_ARRAY_LEN(keys); i++) {
            if (!mt_json_key_is(m, keys[i]))
                continue;
            if (seen & (1u << i))
                return MT_FAIL(err, MT_E_INVALID, "%s: given twice", keys[i]);
            seen |= 1u << i;
        }
    }
    return MT_OK;
}

mt_rc mt_openai__peek(const struct mt_json *body, const struct mt_chat_route *route,
                      struct mt_arena *arena, struct mt_chat_peek *out, struct mt_err *err)
{
    struct mt_chat_peek peek = {.n = 1};
    struct mt_opt_i64 n = {0};
    const struct mt_json *options = NULL;

    (void)route;
    if (mt_json_type(body) != MT_JSON_OBJECT)
        return mt_chat__expected(body, "body", "an object", err);
    MT_TRY(check_once(body, err));
    MT_TRY(mt_chat__str(body, "", "model", arena, &peek.model, err));
    MT_TRY(mt_chat__bool(body, "", "stream", &peek.stream, err));
    MT_TRY(mt_chat__member(body, "", "stream_options", MT_JSON_OBJECT, &options, err));
    MT_TRY(mt_chat__bool(options, "stream_options", "include_usage", &peek.stream_usage, err));
    MT_TRY(mt_openai__read_max_tokens(body, "max_tokens", 0, &peek.max_tokens, err));
    MT_TRY(mt_openai__read_max_tokens(body, "max_completion_tokens", 0, &peek.max_tokens, err));
    MT_TRY(mt_chat__i64(body, "", "n", 1, MT_CHAT_CHOICES_MAX, &n, err));
    if (n.has)
        peek.n = (unsigned)n.value;
    *out = peek;
    return MT_OK;
}

/* The client's stream_options, with usage asked for. */
static void add_usage_option(const struct mt_json *body, struct mt_buf *out)
{
    static const struct mt_splice ask[] = {{"include_usage", MT_STR_INIT("true"), false}};
    const struct mt_json *options = mt_json_get(body, "stream_options");

    if (mt_json_type(options) == MT_JSON_OBJECT)
        mt_splice(options, mt_json_raw(options), ask, 1, out);
    else
        mt_buf_add(out, MT_STR("{\"include_usage\":true}"));
}

void mt_openai__forward_body(const struct mt_json *body, struct mt_str text,
                             struct mt_str model, struct mt_buf *out)
{
    MT_CLEANUP(mt_buf_fini) struct mt_buf edits = MT_BUF_INIT(out->max);
    bool stream = false;
    struct mt_jw w;

    mt_jw_begin(&w, &edits);
    mt_jw_str(&w, model);
    size_t model_len = edits.len;
    (void)mt_json_bool(mt_json_get(body, "stream"), &stream);
    if (stream)
        add_usage_option(body, &edits);
    if (edits.rc != MT_OK) {
        out->rc = edits.rc;
        return;
    }
    struct mt_str both = mt_buf_str(&edits);
    const struct mt_splice rows[] = {
        {"model", mt_str_sub(both, 0, model_len), false},
        {"motet", {NULL, 0}, false},
        {"stream_options", mt_str_sub(both, model_len, both.len), false},
    };
    mt_splice(body, text, rows, stream ? 3 : 2, out);
}

/* What follows "key": in the bytes, white space skipped; empty when the key is not there. The
 * same word may stand before it as a value. */
static struct mt_str after_key(struct mt_str data, struct mt_str key)
{
    for (size_t at = mt_str_find(data, key); at < data.len; at = mt_str_find(data, key)) {
        data = mt_str_sub(data, at + key.len, data.len);
        struct mt_str rest = mt_str_trim(data);
        if (rest.len > 0 && rest.at[0] == ':')
            return mt_str_trim(mt_str_sub(rest, 1, rest.len));
    }
    return (struct mt_str){NULL, 0};
}

static bool may_matter(struct mt_str data)
{
    static const struct mt_str keys[] = {MT_STR_INIT("\"usage\""),
                                         MT_STR_INIT("\"finish_reason\""),
                                         MT_STR_INIT("\"error\""), MT_STR_INIT("\"x_groq\"")};

    for (size_t i = 0; i < MT_ARRAY_LEN(keys); i++) {
        struct mt_str value = after_key(data, keys[i]);
        if (value.len > 0 && value.at[0] != 'n')
            return true;
    }
    return mt_str_starts(after_key(data, MT_STR("\"object\"")), MT_STR("\"error\""));
}

static bool has_content(struct mt_str data)
{
    static const struct mt_str keys[] = {
        MT_STR_INIT("\"content\""),    MT_STR_INIT("\"text\""),
        MT_STR_INIT("\"tool_calls\""), MT_STR_INIT("\"reasoning_content\""),
        MT_STR_INIT("\"reasoning\""),  MT_STR_INIT("\"refusal\""),
        MT_STR_INIT("\"images\""),     MT_STR_INIT("\"function_call\"")};

    for (size_t i = 0; i < MT_ARRAY_LEN(keys); i++) {
        struct mt_str value = after_key(data, keys[i]);
        bool is_something = value.len > 1 && value.at[0] != 'n' &&
                            !(value.at[0] == '"' && value.at[1] == '"') &&
                            !(value.at[0] == '[' && value.at[1] == ']');
        if (is_something)
            return true;
    }
    return false;
}

static void meter_finish(struct mt_chat_meter *meter, const struct mt_json *choices)
{
    for (const struct mt_json *c = mt_json_first(choices); c != NULL; c = mt_json_next(c)) {
        if (mt_json_type(mt_json_get(c, "finish_reason")) == MT_JSON_STRING)
            meter->is_finished = true;
    }
}

/* A chunk that may matter; true when it carries usage and nothing else. */
static bool meter_parsed(struct mt_chat_meter *meter, const struct mt_json *body)
{
    const struct mt_json *choices = mt_json_get(body, "choices");

    meter->has_error |= mt_openai__is_error(body);
    meter_finish(meter, choices);
    if (!mt_openai__read_usage(body, &meter->usage))
        return false;
    meter->has_usage = true;
    return mt_json_type(choices) == MT_JSON_ARRAY && mt_json_count(choices) == 0;
}

enum mt_meter_verdict mt_openai__meter_frame(struct mt_chat_meter *meter,
                                             const struct mt_frame *frame,
                                             bool client_wants_usage,
                                             struct mt_chat_scratch *scratch)
{
    struct mt_str data = mt_str_trim(frame->data);
    const struct mt_json *body = NULL;

    if (data.len == 0)
        return MT_METER_FORWARD;
    if (mt_str_starts(data, MT_STR("[DONE]"))) {
        meter->is_finished = true;
        return MT_METER_FORWARD;
    }
    if (has_content(data)) {
        meter->has_content = true;
        meter->deltas_n++;
        meter->text_bytes += (int64_t)data.len;
    }
    meter->has_error |= mt_str_is(frame->event, "error");
    bool is_replaced = mt_str_starts(after_key(data, MT_STR("\"tool_calls\"")), MT_STR("[")) &&
                       mt_openai__right_indices(meter, data, scratch);
    if (!may_matter(data) || mt_json_parse(scratch->doc, data, &body, NULL) != MT_OK)
        return is_replaced ? MT_METER_REPLACE : MT_METER_FORWARD;
    bool is_usage_only = meter_parsed(meter, body);
    if (is_usage_only && !client_wants_usage)
        return MT_METER_HIDE;
    return is_replaced ? MT_METER_REPLACE : MT_METER_FORWARD;
}

void mt_openai__meter_answer(struct mt_chat_meter *meter, const struct mt_json *body)
{
    meter->has_error = mt_openai__is_error(body);
    meter->has_usage = mt_openai__read_usage(body, &meter->usage);
    meter->has_content = mt_json_count(mt_json_get(body, "choices")) > 0;
    meter->text_bytes = (int64_t)mt_json_raw(body).len;
    meter_finish(meter, mt_json_get(body, "choices"));
}
