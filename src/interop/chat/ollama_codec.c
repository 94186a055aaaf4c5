/* SPDX-License-Identifier: Apache-2.0 */
/* The two codecs of Ollama: errors, the fast lane, and the tables. */
#include "ollama_priv.h"

static void encode_error(const struct mt_chat_error *error, struct mt_buf *out)
{
    struct mt_jw w;

    mt_jw_begin(&w, out);
    mt_jw_object(&w);
    mt_jw_kstr(&w, "error", error->message);
    mt_jw_end(&w);
}

static int error_status(const struct mt_chat_error *error)
{
    return error->http_status == 405 ? 405 : mt_chat_error_status(error->kind);
}

static mt_rc peek(const struct mt_json *body, const struct mt_chat_route *route,
                  struct mt_arena *arena, struct mt_chat_peek *out, struct mt_err *err)
{
    (void)route;
    if (mt_json_type(body) != MT_JSON_OBJECT)
        return mt_chat__expected(body, "body", "an object", err);
    out->stream = true;
    out->stream_usage = true; /* the last line always has the counts */
    out->n = 1;
    MT_TRY(mt_chat__str(body, "", "model", arena, &out->model, err));
    MT_TRY(mt_chat__bool(body, "", "stream", &out->stream, err));
    MT_TRY(mt_chat__i64(mt_json_get(body, "options"), "options", "num_predict", INT32_MIN,
                        INT32_MAX, &out->max_tokens, err));
    if (out->max_tokens.has && out->max_tokens.value <= 0)
        out->max_tokens = (struct mt_opt_i64){0};
    return MT_OK;
}

static void forward_body(const struct mt_json *body, struct mt_str text, struct mt_str model,
                         struct mt_buf *out)
{
    MT_CLEANUP(mt_buf_fini) struct mt_buf name = MT_BUF_INIT(64 * 1024);
    struct mt_jw w;

    mt_jw_begin(&w, &name);
    mt_jw_str(&w, model);
    if (name.rc != MT_OK) {
        out->rc = out->rc == MT_OK ? name.rc : out->rc;
        return;
    }
    const struct mt_splice edits[] = {
        {.key = "model", .raw = mt_buf_str(&name)},
        {.key = "motet", .only_replace = true},
    };
    mt_splice(body, text, edits, MT_ARRAY_LEN(edits), out);
}

static void path_chat(const struct mt_chat_peek *peeked, struct mt_str model,
                      struct mt_buf *path)
{
    (void)peeked, (void)model;
    mt_buf_add_cstr(path, "/api/chat");
}

static void path_generate(const struct mt_chat_peek *peeked, struct mt_str model,
                          struct mt_buf *path)
{
    (void)peeked, (void)model;
    mt_buf_add_cstr(path, "/api/generate");
}

static bool says_something(const struct mt_json *object)
{
    const struct mt_json *message = mt_json_get(object, "message");
    const struct mt_json *turn = mt_json_type(message) == MT_JSON_OBJECT ? message : object;
    const struct mt_json *text = mt_json_get(turn, turn == message ? "content" : "response");

    return mt_json_raw(text).len > 2 || mt_json_raw(mt_json_get(turn, "thinking")).len > 2 ||
           mt_json_count(mt_json_get(turn, "tool_calls")) > 0;
}

static void meter_answer(struct mt_chat_meter *meter, const struct mt_json *body)
{
    bool is_done = false;

    if (mt_json_type(mt_json_get(body, "error")) > MT_JSON_NULL) {
        meter->has_error = true;
        return;
    }
    meter->has_content = meter->has_content || says_something(body);
    if (!mt_json_bool(mt_json_get(body, "done"), &is_done) || !is_done)
        return;
    mt_ollama__read_usage(body, &meter->usage);
    meter->has_usage = true;
    meter->is_finished = true;
}

static enum mt_meter_verdict meter_frame(struct mt_chat_meter *meter,
                                         const struct mt_frame *frame, bool client_wants_usage,
                                         struct mt_chat_scratch *scratch)
{
    const struct mt_json *root = NULL;

    (void)client_wants_usage;
    if (mt_json_parse(scratch->doc, frame->data, &root, NULL) != MT_OK)
        return MT_METER_FORWARD;
    meter_answer(meter, root);
    if (says_something(root)) {
        meter->deltas_n++;
        meter->text_bytes += (int64_t)frame->raw.len;
    }
    return MT_METER_FORWARD;
}

const struct mt_chat_codec mt_codec_ollama_chat = {
    .dialect = MT_DIALECT_OLLAMA_CHAT,
    .name = "ollama",
    .stream_framing = MT_FRAMING_NDJSON,
    .stream_content_type = "application/x-ndjson",
    .decode_request = mt_ollama__decode_chat,
    .encoder_new = mt_ollama__encoder_chat,
    .encode_event = mt_ollama__encode_event,
    .encode_answer = mt_ollama__answer_chat,
    .encode_error = encode_error,
    .error_status = error_status,
    .encode_request = mt_ollama__encode_request,
    .decoder_new = mt_ollama__decoder_new,
    .decode_frame = mt_ollama__decode_frame,
    .decode_end = mt_ollama__decode_end,
    .decode_answer = mt_ollama__decode_answer,
    .decode_error = mt_chat__read_error,
    .peek = peek,
    .forward_body = forward_body,
    .forward_path = path_chat,
    .meter_frame = meter_frame,
    .meter_answer = meter_answer,
};

/* An endpoint that speaks Ollama speaks both; upstream the two are one. */
const struct mt_chat_codec mt_codec_ollama_generate = {
    .dialect = MT_DIALECT_OLLAMA_GENERATE,
    .name = "ollama-generate",
    .stream_framing = MT_FRAMING_NDJSON,
    .stream_content_type = "application/x-ndjson",
    .decode_request = mt_ollama__decode_generate,
    .encoder_new = mt_ollama__encoder_generate,
    .encode_event = mt_ollama__encode_event,
    .encode_answer = mt_ollama__answer_generate,
    .encode_error = encode_error,
    .error_status = error_status,
    .encode_request = mt_ollama__encode_request,
    .decoder_new = mt_ollama__decoder_new,
    .decode_frame = mt_ollama__decode_frame,
    .decode_end = mt_ollama__decode_end,
    .decode_answer = mt_ollama__decode_answer,
    .decode_error = mt_chat__read_error,
    .peek = peek,
    .forward_body = forward_body,
    .forward_path = path_generate,
    .meter_frame = meter_frame,
    .meter_answer = meter_answer,
};
