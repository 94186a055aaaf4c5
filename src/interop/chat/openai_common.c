/* SPDX-License-Identifier: Apache-2.0 */
/* Words and small objects that OpenAI's dialects share. */
#include "openai_priv.h"

static const struct finish {
    const char *reason;
    enum mt_finish finish;
} finishes[] = {
    {"stop", MT_FINISH_STOP},
    {"length", MT_FINISH_LENGTH},
    {"tool_calls", MT_FINISH_TOOL_CALLS},
    {"function_call", MT_FINISH_TOOL_CALLS},
    {"content_filter", MT_FINISH_FILTER},
    /* what relatives say */
    {"eos", MT_FINISH_STOP},
    {"eos_token", MT_FINISH_STOP},
    {"end_turn", MT_FINISH_STOP},
    {"stop_sequence", MT_FINISH_STOP},
    {"max_tokens", MT_FINISH_LENGTH},
    {"model_length", MT_FINISH_LENGTH},
    {"tool_use", MT_FINISH_TOOL_CALLS},
};

enum mt_finish mt_openai__finish_of(struct mt_str reason)
{
    for (size_t i = 0; i < MT_ARRAY_LEN(finishes); i++) {
        if (mt_str_is(reason, finishes[i].reason))
            return finishes[i].finish;
    }
    return MT_FINISH_UNKNOWN;
}

const char *mt_openai__finish_name(enum mt_finish finish, bool is_legacy)
{
    switch (finish) {
    case MT_FINISH_LENGTH:
    case MT_FINISH_BUDGET:
        return "length";
    case MT_FINISH_TOOL_CALLS:
        return is_legacy ? "function_call" : "tool_calls";
    case MT_FINISH_FILTER:
    case MT_FINISH_REFUSAL:
        return "content_filter";
    case MT_FINISH_UNKNOWN:
    case MT_FINISH_STOP:
    case MT_FINISH_PAUSE:
    case MT_FINISH_LOADED:
    case MT_FINISH_UNLOADED:
        return "stop";
    }
    return "stop";
}

static int64_t count_of(const struct mt_json *object, const char *key)
{
    int64_t n = 0;

    return mt_json_i64(mt_json_get(object, key), 0, INT64_MAX / 4, &n) ? n : 0;
}

/* llama-server tells its times beside the usage. */
static void read_timings(const struct mt_json *timings, struct mt_usage *out)
{
    double ms = 0;

    if (mt_json_f64(mt_json_get(timings, "prompt_ms"), &ms) && ms >= 0 && ms < 1e9)
        out->prompt_ns = (int64_t)(ms * 1e6);
    if (mt_json_f64(mt_json_get(timings, "predicted_ms"), &ms) && ms >= 0 && ms < 1e9)
        out->eval_ns = (int64_t)(ms * 1e6);
}

bool mt_openai__read_usage(const struct mt_json *body, struct mt_usage *out)
{
    const struct mt_json *usage = mt_json_get(body, "usage");

    if (mt_json_type(usage) != MT_JSON_OBJECT)
        usage = mt_json_get(mt_json_get(body, "x_groq"), "usage");
    if (mt_json_type(usage) != MT_JSON_OBJECT)
        return false;
    const struct mt_json *in = mt_json_get(usage, "prompt_tokens_details");
    const struct mt_json *made = mt_json_get(usage, "completion_tokens_details");

    *out = (struct mt_usage){
        .input_tokens = count_of(usage, "prompt_tokens"),
        .output_tokens = count_of(usage, "completion_tokens"),
        .cached_tokens = count_of(in, "cached_tokens"),
        .reasoning_tokens = count_of(made, "reasoning_tokens"),
    };
    if (out->cached_tokens == 0) /* DeepSeek */
        out->cached_tokens = count_of(usage, "prompt_cache_hit_tokens");
    read_timings(mt_json_get(body, "timings"), out);
    return true;
}

void mt_openai__write_usage(struct mt_jw *w, const struct mt_usage *usage)
{
    mt_jw_object(w);
    mt_jw_ki64(w, "prompt_tokens", usage->input_tokens);
    mt_jw_ki64(w, "completion_tokens", usage->output_tokens);
    mt_jw_ki64(w, "total_tokens", usage->input_tokens + usage->output_tokens);
    mt_jw_key(w, "prompt_tokens_details");
    mt_jw_object(w);
    mt_jw_ki64(w, "cached_tokens", usage->cached_tokens);
    mt_jw_end(w);
    mt_jw_key(w, "completion_tokens_details");
    mt_jw_object(w);
    mt_jw_ki64(w, "reasoning_tokens", usage->reasoning_tokens);
    mt_jw_end(w);
    mt_jw_end(w);
}

static const char *error_type(enum mt_chat_error_kind kind)
{
    switch (kind) {
    case MT_CHAT_ERR_INVALID:
    case MT_CHAT_ERR_UNSUPPORTED:
    case MT_CHAT_ERR_CONTEXT:
    case MT_CHAT_ERR_NOT_FOUND:
    case MT_CHAT_ERR_TOO_LARGE:
        return "invalid_request_error";
    case MT_CHAT_ERR_AUTH:
        return "authentication_error";
    case MT_CHAT_ERR_BUDGET:
        return "insufficient_quota";
    case MT_CHAT_ERR_PERMISSION:
        return "permission_error";
    case MT_CHAT_ERR_RATE_LIMIT:
        return "rate_limit_error";
    case MT_CHAT_ERR_CANCELED:
    case MT_CHAT_ERR_INTERNAL:
    case MT_CHAT_ERR_UPSTREAM:
    case MT_CHAT_ERR_OVERLOADED:
    case MT_CHAT_ERR_TIMEOUT:
        return "server_error";
    }
    return "server_error";
}

void mt_openai__write_error(const struct mt_chat_error *error, struct mt_buf *out)
{
    struct mt_jw w;

    mt_jw_begin(&w, out);
    mt_jw_object(&w);
    mt_jw_key(&w, "error");
    mt_jw_object(&w);
    mt_jw_kstr(&w, "message", error->message);
    mt_jw_kcstr(&w, "type", error_type(error->kind));
    mt_jw_key(&w, "param");
    if (error->param.len > 0)
        mt_jw_str(&w, error->param);
    else
        mt_jw_null(&w);
    mt_jw_key(&w, "code");
    if (error->code.len > 0)
        mt_jw_str(&w, error->code);
    else
        mt_jw_cstr(&w, mt_chat_error_code(error->kind));
    mt_jw_end(&w);
    mt_jw_end(&w);
}

int mt_openai__error_status(const struct mt_chat_error *error)
{
    bool is_usual = error->http_status >= 400 && error->http_status < 600 &&
                    error->http_status != 529; /* Anthropic's own */

    return is_usual ? error->http_status : mt_chat_error_status(error->kind);
}

void mt_openai__decode_error(int http_status, struct mt_str body,
                             struct mt_chat_scratch *scratch, struct mt_chat_error *out)
{
    mt_chat__read_error(http_status, body, scratch, out);
}

bool mt_openai__is_error(const struct mt_json *body)
{
    enum mt_json_type type = mt_json_type(mt_json_get(body, "error"));

    return type == MT_JSON_OBJECT || type == MT_JSON_STRING ||
           mt_json_is(mt_json_get(body, "object"), "error"); /* older vLLM */
}

void mt_openai__open_text(struct mt_jw *w)
{
    mt_jw_raw(w, MT_STR("\""));
}

void mt_openai__close_text(struct mt_jw *w)
{
    mt_buf_add_char(w->buf, '"');
}

void mt_openai__data_url(struct mt_jw *w, struct mt_str mime, struct mt_str base64)
{
    mt_openai__open_text(w);
    mt_buf_add_cstr(w->buf, "data:");
    mt_json_escape(w->buf, mime);
    mt_buf_add_cstr(w->buf, ";base64,");
    mt_json_escape(w->buf, base64);
    mt_openai__close_text(w);
}

void mt_openai__write_head(struct mt_jw *w, const struct mt_chat_reply *reply,
                           const char *id_prefix, const char *object)
{
    mt_jw_object(w);
    mt_jw_key(w, "id");
    mt_openai__open_text(w);
    mt_buf_add_cstr(w->buf, id_prefix);
    mt_json_escape(w->buf, reply->id);
    mt_openai__close_text(w);
    mt_jw_kcstr(w, "object", object);
    mt_jw_ki64(w, "created", reply->created_at_s);
    mt_jw_kstr(w, "model", reply->model);
}

mt_rc mt_openai__chunk_head(const struct mt_chat_reply *reply, const char *id_prefix,
                            const char *object, struct mt_arena *arena, struct mt_str *out,
                            struct mt_err *err)
{
    MT_CLEANUP(mt_buf_fini) struct mt_buf head = MT_BUF_INIT(64 * 1024);
    struct mt_jw w;

    mt_jw_begin(&w, &head);
    mt_openai__write_head(&w, reply, id_prefix, object);
    mt_buf_add_cstr(&head, ",\"choices\":[");
    MT_TRY(mt_buf_check(&head, "chunk", err));
    *out = mt_arena_str(arena, mt_buf_str(&head));
    return out->at != NULL ? MT_OK : mt_arena_fail(arena, err);
}

void mt_openai__write_stream_end(struct mt_str head, const struct mt_usage *usage,
                                 struct mt_buf *out)
{
    struct mt_jw w;

    if (usage != NULL) {
        mt_sse_begin(out, NULL);
        mt_buf_add(out, head);
        mt_buf_add_cstr(out, "],\"usage\":");
        mt_jw_begin(&w, out);
        mt_openai__write_usage(&w, usage);
        mt_buf_add_char(out, '}');
        mt_sse_end(out);
    }
    mt_buf_add_cstr(out, "data: [DONE]\n\n");
}

void mt_openai__write_stream_error(const struct mt_chat_error *error, struct mt_buf *out)
{
    mt_sse_begin(out, NULL);
    mt_openai__write_error(error, out);
    mt_sse_end(out);
}
