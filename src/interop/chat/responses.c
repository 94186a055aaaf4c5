/* SPDX-License-Identifier: Apache-2.0 */
/* OpenAI Responses: the table of the codec, and its fast lane. */
#include "openai_priv.h"
#include "responses_priv.h"

enum { MODEL_MAX = 1024 };

/* Only requests that leave nothing behind may pass unread: a stored one has to be kept here. */
static mt_rc peek(const struct mt_json *body, const struct mt_chat_route *route,
                  struct mt_arena *arena, struct mt_chat_peek *out, struct mt_err *err)
{
    enum mt_opt_bool store = MT_UNSAID;
    struct mt_str previous = {NULL, 0};

    (void)route;
    if (mt_json_type(body) != MT_JSON_OBJECT)
        return mt_chat__expected(body, "body", "an object", err);
    MT_TRY(mt_chat__str(body, "", "model", arena, &out->model, err));
    MT_TRY(mt_chat__bool(body, "", "stream", &out->stream, err));
    MT_TRY(mt_chat__i64(body, "", "max_output_tokens", 1, INT32_MAX, &out->max_tokens, err));
    MT_TRY(mt_chat__opt_bool(body, "", "store", &store, err));
    MT_TRY(mt_chat__str(body, "", "previous_response_id", arena, &previous, err));
    out->stream_usage = true; /* it is always there */
    out->n = 1;
    out->needs_canonical = store != MT_NO || previous.len > 0 ||
                           mt_json_type(mt_json_get(body, "background")) == MT_JSON_BOOL ||
                           mt_json_get(body, "conversation") != NULL ||
                           mt_json_get(body, "prompt") != NULL;
    return MT_OK;
}

static void forward_body(const struct mt_json *body, struct mt_str text, struct mt_str model,
                         struct mt_buf *out)
{
    MT_CLEANUP(mt_buf_fini) struct mt_buf name = MT_BUF_INIT(MODEL_MAX);
    struct mt_jw w;

    mt_jw_begin(&w, &name);
    mt_jw_str(&w, model);
    if (name.rc != MT_OK) {
        out->rc = out->rc != MT_OK ? out->rc : name.rc;
        return;
    }
    const struct mt_splice edits[] = {
        {.key = "model", .raw = mt_buf_str(&name)},
        {.key = "motet", .raw = {NULL, 0}},
    };
    mt_splice(body, text, edits, MT_ARRAY_LEN(edits), out);
}

static void forward_path(const struct mt_chat_peek *peeked, struct mt_str model,
                         struct mt_buf *path)
{
    (void)peeked;
    (void)model;
    mt_buf_add_cstr(path, "/v1/responses");
}

static bool is_content(struct mt_str name)
{
    return mt_str_starts(name, MT_STR("response.")) && mt_str_ends(name, MT_STR(".delta"));
}

/* Name of the event; read from the data where the endpoint gives no SSE name. */
static struct mt_str name_of(const struct mt_frame *frame, struct mt_chat_scratch *scratch,
                             const struct mt_json **root)
{
    struct mt_str name = frame->event;

    if (name.len > 0 &&
        (is_content(name) ||
         (!mt_str_is(name, "error") && !mt_str_is(name, "response.completed") &&
          !mt_str_is(name, "response.incomplete") && !mt_str_is(name, "response.failed"))))
        return name; /* need not be read */
    if (mt_json_parse(scratch->doc, frame->data, root, NULL) != MT_OK)
        return MT_STR("");
    if (name.len == 0)
        (void)mt_json_str(mt_json_get(*root, "type"), scratch->arena, &name);
    return name;
}

static enum mt_meter_verdict meter_frame(struct mt_chat_meter *meter,
                                         const struct mt_frame *frame, bool client_wants_usage,
                                         struct mt_chat_scratch *scratch)
{
    const struct mt_json *root = NULL;
    struct mt_str name = name_of(frame, scratch, &root);

    (void)client_wants_usage;
    if (is_content(name)) {
        meter->has_content = true;
        meter->deltas_n++;
        meter->text_bytes += (int64_t)frame->data.len;
    } else if (mt_str_is(name, "error") || mt_str_is(name, "response.failed")) {
        meter->has_error = true;
    } else if (mt_str_is(name, "response.completed") ||
               mt_str_is(name, "response.incomplete")) {
        meter->is_finished = true;
    }
    meter->has_usage |= mt_responses__read_usage(mt_json_get(root, "response"), &meter->usage);
    return MT_METER_FORWARD;
}

static void meter_answer(struct mt_chat_meter *meter, const struct mt_json *body)
{
    const struct mt_json *status = mt_json_get(body, "status");

    meter->has_usage |= mt_responses__read_usage(body, &meter->usage);
    meter->has_content = mt_json_count(mt_json_get(body, "output")) > 0;
    meter->is_finished = mt_json_is(status, "completed") || mt_json_is(status, "incomplete");
    meter->has_error = mt_json_type(mt_json_get(body, "error")) == MT_JSON_OBJECT;
}

static void encode_token_count(int64_t input_tokens, struct mt_buf *out)
{
    mt_buf_add_cstr(out, "{\"object\":\"response.input_tokens\",\"input_tokens\":");
    mt_buf_add_i64(out, input_tokens);
    mt_buf_add_char(out, '}');
}

const struct mt_chat_codec mt_codec_openai_responses = {
    .dialect = MT_DIALECT_OPENAI_RESPONSES,
    .name = "openai-responses",
    .stream_framing = MT_FRAMING_SSE,
    .stream_content_type = "text/event-stream",
    .decode_request = mt_responses__decode_request,
    .encoder_new = mt_responses__encoder_new,
    .encode_event = mt_responses__encode_event,
    .encode_answer = mt_responses__encode_answer,
    .encode_error = mt_openai__write_error,
    .encode_token_count = encode_token_count,
    .error_status = mt_openai__error_status,
    .encode_request = mt_responses__encode_request,
    .decoder_new = mt_responses__decoder_new,
    .decode_frame = mt_responses__decode_frame,
    .decode_end = mt_responses__decode_end,
    .decode_answer = mt_responses__decode_answer,
    .decode_error = mt_chat__read_error,
    .peek = peek,
    .forward_body = forward_body,
    .forward_path = forward_path,
    .meter_frame = meter_frame,
    .meter_answer = meter_answer,
};
