/* SPDX-License-Identifier: Apache-2.0 */
/* Anthropic Messages: the table of the codec, and its fast lane. */
#include "anthropic_priv.h"

static mt_rc peek(const struct mt_json *body, const struct mt_chat_route *route,
                  struct mt_arena *arena, struct mt_chat_peek *out, struct mt_err *err)
{
    (void)route;
    if (mt_json_type(body) != MT_JSON_OBJECT)
        return mt_chat__expected(body, "body", "an object", err);
    MT_TRY(mt_chat__str(body, "", "model", arena, &out->model, err));
    MT_TRY(mt_chat__bool(body, "", "stream", &out->stream, err));
    MT_TRY(mt_chat__i64(body, "", "max_tokens", 1, INT32_MAX, &out->max_tokens, err));
    out->stream_usage = true; /* it is always there */
    out->n = 1;
    return MT_OK;
}

static void forward_body(const struct mt_json *body, struct mt_str text, struct mt_str model,
                         struct mt_buf *out)
{
    MT_CLEANUP(mt_buf_fini) struct mt_buf name = MT_BUF_INIT(MT_ANTHROPIC_MODEL_MAX);
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
    mt_buf_add_cstr(path, "/v1/messages");
}

static void meter_usage(struct mt_chat_meter *meter, const struct mt_json *usage)
{
    struct mt_anthropic__usage wire = {
        .input = meter->usage.input_tokens - meter->usage.cached_tokens -
                 meter->usage.cache_write_tokens,
        .output = meter->usage.output_tokens,
        .cache_read = meter->usage.cached_tokens,
        .cache_write = meter->usage.cache_write_tokens,
        .thinking = meter->usage.reasoning_tokens,
    };

    if (mt_json_type(usage) != MT_JSON_OBJECT)
        return;
    mt_anthropic__usage_read(usage, &wire);
    meter->usage = mt_anthropic__usage_in(&wire);
    meter->has_usage = true;
}

/* Clients go by the event's name; endpoints without names are read by the type inside. */
static bool speaks(const struct mt_frame *frame, const struct mt_json *root, const char *name)
{
    return frame->event.len > 0 ? mt_str_is(frame->event, name)
                                : mt_json_is(mt_json_get(root, "type"), name);
}

static enum mt_meter_verdict meter_frame(struct mt_chat_meter *meter,
                                         const struct mt_frame *frame, bool client_wants_usage,
                                         struct mt_chat_scratch *scratch)
{
    const struct mt_json *root = NULL;
    bool must_read = !mt_str_starts(frame->event, MT_STR("content_block")) &&
                     !mt_str_is(frame->event, "ping");

    (void)client_wants_usage;
    if (must_read && mt_json_parse(scratch->doc, frame->data, &root, NULL) != MT_OK)
        return MT_METER_FORWARD;
    if (speaks(frame, root, "content_block_delta")) {
        meter->has_content = true;
        meter->deltas_n++;
        meter->text_bytes += (int64_t)frame->data.len;
    } else if (speaks(frame, root, "error")) {
        meter->has_error = true;
    } else if (speaks(frame, root, "message_stop")) {
        meter->is_finished = true;
    } else if (speaks(frame, root, "message_start")) {
        meter_usage(meter, mt_json_get(mt_json_get(root, "message"), "usage"));
    } else if (speaks(frame, root, "message_delta")) {
        const struct mt_json *reason = mt_json_get(mt_json_get(root, "delta"), "stop_reason");
        meter_usage(meter, mt_json_get(root, "usage"));
        meter->is_finished |= mt_json_type(reason) == MT_JSON_STRING;
    }
    return MT_METER_FORWARD;
}

static void meter_answer(struct mt_chat_meter *meter, const struct mt_json *body)
{
    meter_usage(meter, mt_json_get(body, "usage"));
    meter->has_content = mt_json_count(mt_json_get(body, "content")) > 0;
    meter->is_finished = mt_json_type(mt_json_get(body, "stop_reason")) == MT_JSON_STRING;
    meter->has_error = mt_json_is(mt_json_get(body, "type"), "error");
}

static void encode_token_count(int64_t input_tokens, struct mt_buf *out)
{
    mt_buf_add_cstr(out, "{\"input_tokens\":");
    mt_buf_add_i64(out, input_tokens);
    mt_buf_add_char(out, '}');
}

const struct mt_chat_codec mt_codec_anthropic = {
    .dialect = MT_DIALECT_ANTHROPIC,
    .name = "anthropic",
    .stream_framing = MT_FRAMING_SSE,
    .stream_content_type = "text/event-stream",
    .decode_request = mt_anthropic__decode_request,
    .encoder_new = mt_anthropic__encoder_new,
    .encode_event = mt_anthropic__encode_event,
    .encode_answer = mt_anthropic__encode_answer,
    .encode_error = mt_anthropic__encode_error,
    .error_status = mt_anthropic__error_status,
    .encode_token_count = encode_token_count,
    .encode_request = mt_anthropic__encode_request,
    .decoder_new = mt_anthropic__decoder_new,
    .decode_frame = mt_anthropic__decode_frame,
    .decode_end = mt_anthropic__decode_end,
    .decode_answer = mt_anthropic__decode_answer,
    .decode_error = mt_chat__read_error,
    .peek = peek,
    .forward_body = forward_body,
    .forward_path = forward_path,
    .meter_frame = meter_frame,
    .meter_answer = meter_answer,
};
