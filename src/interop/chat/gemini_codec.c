/* SPDX-License-Identifier: Apache-2.0 */
/* The codec of Gemini: the fast lane, the count of tokens, and the table. */
#include "gemini_priv.h"

static void encode_token_count(int64_t input_tokens, struct mt_buf *out)
{
    struct mt_jw w;

    mt_jw_begin(&w, out);
    mt_jw_object(&w);
    mt_jw_ki64(&w, "totalTokens", input_tokens);
    mt_jw_end(&w);
}

static mt_rc peek(const struct mt_json *body, const struct mt_chat_route *route,
                  struct mt_arena *arena, struct mt_chat_peek *out, struct mt_err *err)
{
    const struct mt_json *config = mt_gemini__get(body, "generationConfig");
    struct mt_opt_i64 n = {0};
    char snake[MT_GEMINI_KEY_MAX];

    (void)arena;
    if (mt_json_type(body) != MT_JSON_OBJECT)
        return mt_chat__expected(body, "body", "an object", err);
    MT_TRY(mt_chat__i64(config, "generationConfig",
                        mt_gemini__spelt(config, "maxOutputTokens", snake), 1, INT32_MAX,
                        &out->max_tokens, err));
    MT_TRY(mt_chat__i64(config, "generationConfig",
                        mt_gemini__spelt(config, "candidateCount", snake), 1,
                        MT_CHAT_CHOICES_MAX, &n, err));
    out->model = route->model;
    out->stream = route->stream;
    out->stream_usage = true; /* every chunk may carry it */
    out->n = n.has ? (unsigned)n.value : 1;
    /* Upstream we ask for SSE; a client of the JSON array needs it written anew. */
    out->needs_canonical = route->stream && !route->alt_sse;
    return MT_OK;
}

static void forward_body(const struct mt_json *body, struct mt_str text, struct mt_str model,
                         struct mt_buf *out)
{
    static const struct mt_splice edits[] = {
        {.key = "model", .only_replace = true}, /* it stands in the path */
        {.key = "motet", .only_replace = true},
    };

    (void)model;
    mt_splice(body, text, edits, MT_ARRAY_LEN(edits), out);
}

static void forward_path(const struct mt_chat_peek *peeked, struct mt_str model,
                         struct mt_buf *path)
{
    mt_gemini__write_path(
        model, peeked->stream ? "streamGenerateContent?alt=sse" : "generateContent", path);
}

static bool says_something(const struct mt_json *candidate)
{
    const struct mt_json *parts = mt_json_get(mt_json_get(candidate, "content"), "parts");

    for (const struct mt_json *part = mt_json_first(parts); part != NULL;
         part = mt_json_next(part)) {
        const struct mt_json *text = mt_json_get(part, "text");
        if (text == NULL || mt_json_raw(text).len > 2)
            return true;
    }
    return false;
}

/* @return has it content? */
static bool meter(struct mt_chat_meter *meter, const struct mt_json *object)
{
    bool has_content = false;

    if (mt_json_type(object) == MT_JSON_ARRAY)
        object = mt_json_first(object);
    if (mt_json_type(mt_json_get(object, "error")) > MT_JSON_NULL)
        meter->has_error = true;
    if (mt_json_get(mt_json_get(object, "promptFeedback"), "blockReason") != NULL)
        meter->is_finished = true;
    for (const struct mt_json *candidate = mt_json_first(mt_json_get(object, "candidates"));
         candidate != NULL; candidate = mt_json_next(candidate)) {
        has_content = has_content || says_something(candidate);
        if (mt_json_type(mt_json_get(candidate, "finishReason")) == MT_JSON_STRING)
            meter->is_finished = true;
    }
    if (mt_gemini__read_usage(object, &meter->usage))
        meter->has_usage = true;
    meter->has_content = meter->has_content || has_content;
    return has_content;
}

static enum mt_meter_verdict meter_frame(struct mt_chat_meter *state,
                                         const struct mt_frame *frame, bool client_wants_usage,
                                         struct mt_chat_scratch *scratch)
{
    const struct mt_json *root = NULL;

    (void)client_wants_usage;
    if (mt_json_parse(scratch->doc, frame->data, &root, NULL) == MT_OK && meter(state, root)) {
        state->deltas_n++;
        state->text_bytes += (int64_t)frame->raw.len;
    }
    return MT_METER_FORWARD;
}

static void meter_answer(struct mt_chat_meter *state, const struct mt_json *body)
{
    (void)meter(state, body);
}

const struct mt_chat_codec mt_codec_gemini = {
    .dialect = MT_DIALECT_GEMINI,
    .name = "gemini",
    .stream_framing = MT_FRAMING_SSE,
    .stream_content_type = "text/event-stream", /* mt_gemini_stream_content_type() */
    .decode_request = mt_gemini__decode_request,
    .encoder_new = mt_gemini__encoder_new,
    .encode_event = mt_gemini__encode_event,
    .encode_answer = mt_gemini__encode_answer,
    .encode_error = mt_gemini__encode_error,
    .error_status = mt_gemini__error_status,
    .encode_token_count = encode_token_count,
    .encode_request = mt_gemini__encode_request,
    .decoder_new = mt_gemini__decoder_new,
    .decode_frame = mt_gemini__decode_frame,
    .decode_end = mt_gemini__decode_end,
    .decode_answer = mt_gemini__decode_answer,
    .decode_error = mt_gemini__decode_error,
    .peek = peek,
    .forward_body = forward_body,
    .forward_path = forward_path,
    .meter_frame = meter_frame,
    .meter_answer = meter_answer,
};
