/* SPDX-License-Identifier: Apache-2.0 */
/* The fixed words of the Anthropic dialect: reasons to stop, errors, usage. */
#include "anthropic_priv.h"

void mt_anthropic__usage_read(const struct mt_json *usage, struct mt_anthropic__usage *out)
{
    const struct mt_json *details = mt_json_get(usage, "output_tokens_details");

    (void)mt_json_i64(mt_json_get(usage, "input_tokens"), 0, INT64_MAX / 8, &out->input);
    (void)mt_json_i64(mt_json_get(usage, "output_tokens"), 0, INT64_MAX / 8, &out->output);
    (void)mt_json_i64(mt_json_get(usage, "cache_read_input_tokens"), 0, INT64_MAX / 8,
                      &out->cache_read);
    (void)mt_json_i64(mt_json_get(usage, "cache_creation_input_tokens"), 0, INT64_MAX / 8,
                      &out->cache_write);
    (void)mt_json_i64(mt_json_get(details, "thinking_tokens"), 0, INT64_MAX / 8,
                      &out->thinking);
}

struct mt_usage mt_anthropic__usage_in(const struct mt_anthropic__usage *usage)
{
    return (struct mt_usage){
        .input_tokens = usage->input + usage->cache_read + usage->cache_write,
        .output_tokens = usage->output,
        .cached_tokens = usage->cache_read,
        .cache_write_tokens = usage->cache_write,
        .reasoning_tokens = usage->thinking,
    };
}

void mt_anthropic__usage_write(struct mt_jw *w, const struct mt_usage *usage)
{
    int64_t fresh = usage->input_tokens - usage->cached_tokens - usage->cache_write_tokens;

    mt_jw_key(w, "usage"), mt_jw_object(w);
    mt_jw_ki64(w, "input_tokens", fresh > 0 ? fresh : 0);
    mt_jw_ki64(w, "cache_creation_input_tokens", usage->cache_write_tokens);
    mt_jw_ki64(w, "cache_read_input_tokens", usage->cached_tokens);
    mt_jw_ki64(w, "output_tokens", usage->output_tokens);
    if (usage->reasoning_tokens > 0) {
        mt_jw_key(w, "output_tokens_details"), mt_jw_object(w);
        mt_jw_ki64(w, "thinking_tokens", usage->reasoning_tokens);
        mt_jw_end(w);
    }
    mt_jw_end(w);
}

const char *mt_anthropic__stop_reason(enum mt_finish finish, struct mt_str stop_sequence,
                                      bool has_tools)
{
    switch (finish) {
    case MT_FINISH_LENGTH:
    case MT_FINISH_BUDGET:
        return "max_tokens";
    case MT_FINISH_TOOL_CALLS:
        return "tool_use";
    case MT_FINISH_FILTER:
    case MT_FINISH_REFUSAL:
        return "refusal";
    case MT_FINISH_PAUSE:
        return "pause_turn";
    case MT_FINISH_STOP:
    case MT_FINISH_UNKNOWN:
    case MT_FINISH_LOADED:
    case MT_FINISH_UNLOADED:
        break;
    }
    if (stop_sequence.len > 0)
        return "stop_sequence";
    return has_tools ? "tool_use" : "end_turn"; /* some engines say "stop" after tool calls */
}

enum mt_finish mt_anthropic__finish(const struct mt_json *stop_reason)
{
    static const struct {
        const char *name;
        enum mt_finish finish;
    } words[] = {
        {"end_turn", MT_FINISH_STOP},       {"stop_sequence", MT_FINISH_STOP},
        {"max_tokens", MT_FINISH_LENGTH},   {"model_context_window_exceeded", MT_FINISH_LENGTH},
        {"tool_use", MT_FINISH_TOOL_CALLS}, {"pause_turn", MT_FINISH_PAUSE},
        {"refusal", MT_FINISH_REFUSAL},
    };

    for (size_t i = 0; i < MT_ARRAY_LEN(words); i++)
        if (mt_json_is(stop_reason, words[i].name))
            return words[i].finish;
    return MT_FINISH_UNKNOWN;
}

static const struct {
    const char *type;
    int status;
} error_words[MT_CHAT_ERR_COUNT] = {
    [MT_CHAT_ERR_INVALID] = {"invalid_request_error", 400},
    [MT_CHAT_ERR_UNSUPPORTED] = {"invalid_request_error", 400},
    [MT_CHAT_ERR_CONTEXT] = {"invalid_request_error", 400},
    [MT_CHAT_ERR_AUTH] = {"authentication_error", 401},
    [MT_CHAT_ERR_BUDGET] = {"billing_error", 402},
    [MT_CHAT_ERR_PERMISSION] = {"permission_error", 403},
    [MT_CHAT_ERR_NOT_FOUND] = {"not_found_error", 404},
    [MT_CHAT_ERR_TOO_LARGE] = {"request_too_large", 413},
    [MT_CHAT_ERR_RATE_LIMIT] = {"rate_limit_error", 429},
    [MT_CHAT_ERR_CANCELED] = {"api_error", 499},
    [MT_CHAT_ERR_INTERNAL] = {"api_error", 500},
    [MT_CHAT_ERR_UPSTREAM] = {"api_error", 502},
    [MT_CHAT_ERR_OVERLOADED] = {"overloaded_error", 529},
    [MT_CHAT_ERR_TIMEOUT] = {"timeout_error", 504},
};

static const char *error_type(enum mt_chat_error_kind kind)
{
    return error_words[kind].type;
}

int mt_anthropic__error_status(const struct mt_chat_error *error)
{
    return error->http_status == 405 ? 405 : error_words[error->kind].status;
}

static void write_error(struct mt_jw *w, const struct mt_chat_error *error)
{
    mt_jw_object(w);
    mt_jw_kcstr(w, "type", "error");
    mt_jw_key(w, "error"), mt_jw_object(w);
    mt_jw_kcstr(w, "type", error_type(error->kind));
    mt_jw_kstr(w, "message", error->message);
    mt_jw_end(w);
    mt_jw_key(w, "request_id"), mt_jw_null(w); /* the header carries it */
    mt_jw_end(w);
}

void mt_anthropic__encode_error(const struct mt_chat_error *error, struct mt_buf *out)
{
    struct mt_jw w;

    mt_jw_begin(&w, out);
    write_error(&w, error);
}
