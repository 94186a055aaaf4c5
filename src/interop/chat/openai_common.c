/* SPDX-License-Identifier: Apache-2.0 */
/* Words and small objects that OpenAI's dialects share. */
#include <stdio.h>

#include "openai_priv.h"

enum { BYTES_MAX = 64, TOKENS_MAX = 1 << 16 };

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

/* The token's bytes where they are told: the text of a part of a character is not the token. */
static bool read_token(const struct mt_json *value, struct mt_arena *arena, struct mt_str *out)
{
    const struct mt_json *bytes = mt_json_get(value, "bytes");
    size_t n = mt_json_count(bytes);
    size_t i = 0;

    if (mt_json_type(bytes) != MT_JSON_ARRAY || n == 0 || n > BYTES_MAX)
        return mt_json_str(mt_json_get(value, "token"), arena, out);
    char *to = mt_arena_get(arena, n, 1);
    if (to == NULL)
        return false;
    for (const struct mt_json *b = mt_json_first(bytes); b != NULL; b = mt_json_next(b)) {
        int64_t byte;
        if (!mt_json_i64(b, 0, 255, &byte))
            return false;
        to[i++] = (char)byte;
    }
    *out = (struct mt_str){to, n};
    return true;
}

static bool read_logprob(const struct mt_json *value, float *out)
{
    double number;

    if (!mt_json_f64(mt_json_get(value, "logprob"), &number))
        return false;
    *out = number < -1e9 ? -1e9f : (float)number;
    return true;
}

static bool read_entry(const struct mt_json *entry, struct mt_arena *arena,
                       struct mt_token_logprob *out)
{
    const struct mt_json *tops = mt_json_get(entry, "top_logprobs");
    size_t n = mt_json_count(tops);
    struct mt_token_top *top = NULL;

    out->entropy = -1;
    if (!read_token(entry, arena, &out->token) || !read_logprob(entry, &out->logprob))
        return false;
    if (mt_json_type(tops) != MT_JSON_ARRAY || n == 0)
        return true;
    top = mt_arena_get(arena, n, sizeof *top);
    if (top == NULL)
        return false;
    out->top = top;
    for (const struct mt_json *t = mt_json_first(tops); t != NULL; t = mt_json_next(t), top++) {
        if (!read_token(t, arena, &top->token) || !read_logprob(t, &top->logprob))
            return false;
    }
    out->top_n = n;
    return true;
}

mt_rc mt_openai__read_logprobs(const struct mt_json *logprobs, struct mt_arena *arena,
                               const struct mt_token_logprob **out, size_t *n,
                               struct mt_err *err)
{
    const struct mt_json *content = mt_json_get(logprobs, "content");
    size_t count = mt_json_count(content);
    size_t i = 0;

    if (mt_json_type(content) != MT_JSON_ARRAY || count == 0)
        return MT_OK;
    if (count > TOKENS_MAX)
        return MT_FAIL(err, MT_E_UPSTREAM, "logprobs: expected at most %d tokens, found %zu",
                       TOKENS_MAX, count);
    struct mt_token_logprob *tokens = mt_arena_get(arena, count, sizeof *tokens);

    if (tokens == NULL)
        return mt_arena_fail(arena, err);
    for (const struct mt_json *e = mt_json_first(content); e != NULL;
         e = mt_json_next(e), i++) {
        if (!read_entry(e, arena, &tokens[i]))
            return MT_FAIL(err, MT_E_UPSTREAM, "logprobs.content[%zu]: malformed", i);
    }
    *out = tokens;
    *n = count;
    return MT_OK;
}

static void write_token(struct mt_jw *w, struct mt_str token, float logprob)
{
    mt_jw_kstr(w, "token", token);
    mt_jw_kf64(w, "logprob", (double)logprob);
    mt_jw_key(w, "bytes");
    mt_jw_array(w);
    for (size_t i = 0; i < token.len; i++)
        mt_jw_i64(w, (unsigned char)token.at[i]);
    mt_jw_end(w);
}

void mt_openai__write_logprobs(struct mt_jw *w, const struct mt_token_logprob *tokens, size_t n)
{
    if (n == 0) {
        mt_jw_null(w);
        return;
    }
    mt_jw_object(w);
    mt_jw_key(w, "content");
    mt_jw_array(w);
    for (size_t i = 0; i < n; i++) {
        mt_jw_object(w);
        write_token(w, tokens[i].token, tokens[i].logprob);
        mt_jw_key(w, "top_logprobs");
        mt_jw_array(w);
        for (size_t j = 0; j < tokens[i].top_n; j++) {
            mt_jw_object(w);
            write_token(w, tokens[i].top[j].token, tokens[i].top[j].logprob);
            mt_jw_end(w);
        }
        mt_jw_end(w);
        mt_jw_end(w);
    }
    mt_jw_end(w);
    mt_jw_kcstr(w, "refusal", NULL);
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
