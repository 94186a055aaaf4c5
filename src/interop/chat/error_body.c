/* SPDX-License-Identifier: Apache-2.0 */
/* Error bodies as endpoints and the proxies in front of them write them. Whatever comes, the
 * answer is a kind and words; nothing here can fail. */
#include "chat_priv.h"

enum { TEXT_MAX = 600, TITLE_MAX = 120 };

/* Codes and types that say more than the status does, and stand in for it in a stream. */
static const struct word {
    const char *word;
    enum mt_chat_error_kind kind;
    bool beats_status;
} words[] = {
    {"context_length_exceeded", MT_CHAT_ERR_CONTEXT, true},
    {"exceed_context_size_error", MT_CHAT_ERR_CONTEXT, true}, /* llama-server */
    {"string_above_max_length", MT_CHAT_ERR_CONTEXT, true},
    {"invalid_request_error", MT_CHAT_ERR_INVALID, false},
    {"invalid_request", MT_CHAT_ERR_INVALID, false},
    {"invalid_value", MT_CHAT_ERR_INVALID, false},
    {"unsupported_parameter", MT_CHAT_ERR_INVALID, false},
    {"BadRequestError", MT_CHAT_ERR_INVALID, false}, /* vLLM */
    {"INVALID_ARGUMENT", MT_CHAT_ERR_INVALID, false},
    {"FAILED_PRECONDITION", MT_CHAT_ERR_INVALID, false},
    {"authentication_error", MT_CHAT_ERR_AUTH, false},
    {"invalid_api_key", MT_CHAT_ERR_AUTH, false},
    {"UNAUTHENTICATED", MT_CHAT_ERR_AUTH, false},
    {"billing_error", MT_CHAT_ERR_BUDGET, false},
    {"budget_exceeded", MT_CHAT_ERR_BUDGET, false},
    {"permission_error", MT_CHAT_ERR_PERMISSION, false},
    {"permission_denied", MT_CHAT_ERR_PERMISSION, false},
    {"PERMISSION_DENIED", MT_CHAT_ERR_PERMISSION, false},
    {"not_found_error", MT_CHAT_ERR_NOT_FOUND, false},
    {"model_not_found", MT_CHAT_ERR_NOT_FOUND, false},
    {"NotFoundError", MT_CHAT_ERR_NOT_FOUND, false},
    {"NOT_FOUND", MT_CHAT_ERR_NOT_FOUND, false},
    {"request_too_large", MT_CHAT_ERR_TOO_LARGE, false},
    {"rate_limit_error", MT_CHAT_ERR_RATE_LIMIT, false},
    {"rate_limit_exceeded", MT_CHAT_ERR_RATE_LIMIT, false},
    {"insufficient_quota", MT_CHAT_ERR_RATE_LIMIT, false},
    {"RESOURCE_EXHAUSTED", MT_CHAT_ERR_RATE_LIMIT, false},
    {"CANCELLED", MT_CHAT_ERR_CANCELED, false},
    {"overloaded_error", MT_CHAT_ERR_OVERLOADED, true},
    {"overloaded", MT_CHAT_ERR_OVERLOADED, false},
    {"engine_overloaded", MT_CHAT_ERR_OVERLOADED, false},
    {"unavailable_error", MT_CHAT_ERR_OVERLOADED, false}, /* llama-server: loading */
    {"UNAVAILABLE", MT_CHAT_ERR_OVERLOADED, false},
    {"timeout", MT_CHAT_ERR_TIMEOUT, false},
    {"timeout_error", MT_CHAT_ERR_TIMEOUT, false},
    {"DEADLINE_EXCEEDED", MT_CHAT_ERR_TIMEOUT, false},
};

/* How endpoints without a code of their own say that a prompt does not fit. */
static const char *const context_words[] = {
    "maximum context length", "exceeds the available context size",
    "prompt is too long",     "exceeds the maximum number of tokens",
    "context window",
};

static const struct word *find_word(struct mt_str text)
{
    for (size_t i = 0; i < MT_ARRAY_LEN(words); i++) {
        if (mt_str_is(text, words[i].word))
            return &words[i];
    }
    return NULL;
}

static bool speaks_of_context(struct mt_str message)
{
    for (size_t i = 0; i < MT_ARRAY_LEN(context_words); i++) {
        if (mt_str_find(message, mt_str_of(context_words[i])) < message.len)
            return true;
    }
    return false;
}

/* The first of the named members that is a string with something in it. */
static struct mt_str first_text(const struct mt_json *object, const char *const *keys,
                                struct mt_arena *arena)
{
    struct mt_str text = {NULL, 0};

    for (; *keys != NULL && text.len == 0; keys++) {
        struct mt_str found;
        if (mt_json_str(mt_json_get(object, *keys), arena, &found))
            text = found;
    }
    return text;
}

static struct mt_str message_of(const struct mt_json *value, struct mt_arena *arena)
{
    static const char *const keys[] = {"message",           "detail", "error", "msg",
                                       "error_description", "title",  NULL};
    struct mt_str text = {NULL, 0};

    if (mt_json_str(value, arena, &text))
        return text;
    text = first_text(value, keys, arena);
    if (text.len == 0) /* FastAPI: {"detail":[{"msg":...}]} */
        text = first_text(mt_json_first(mt_json_get(value, "detail")), keys, arena);
    if (text.len == 0)
        text = first_text(mt_json_first(mt_json_get(value, "errors")), keys, arena);
    return text;
}

/* The kind in the error's own words; a number as code is a status. */
static void refine(const struct mt_json *error, int http_status, struct mt_str type,
                   struct mt_chat_error *out)
{
    const struct word *word = find_word(out->code);
    int64_t number = 0;

    if (word == NULL)
        word = find_word(type);
    if (http_status == 0 && mt_json_i64(mt_json_get(error, "code"), 400, 599, &number))
        out->kind = mt_chat_error_kind_of_status((int)number);
    if (word != NULL && (word->beats_status || http_status == 0))
        out->kind = word->kind;
    else if (out->kind == MT_CHAT_ERR_INVALID && speaks_of_context(out->message))
        out->kind = MT_CHAT_ERR_CONTEXT;
}

static void fill_empty(int http_status, struct mt_arena *arena, struct mt_chat_error *out)
{
    if (out->message.len > 0)
        return;
    out->message = http_status > 0
                       ? mt_arena_printf(arena, "the endpoint answered %d", http_status)
                       : MT_STR("the endpoint failed without a word");
    if (out->message.at == NULL)
        out->message = MT_STR("the endpoint failed");
}

void mt_chat__error_of(int http_status, const struct mt_json *value, struct mt_arena *arena,
                       struct mt_chat_error *out)
{
    static const char *const code_keys[] = {"code", "status", NULL};
    static const char *const type_keys[] = {"type", NULL};
    static const char *const param_keys[] = {"param", NULL};

    if (mt_json_type(value) == MT_JSON_ARRAY)
        value = mt_json_first(value);
    const struct mt_json *error = mt_json_get(value, "error");
    if (mt_json_type(error) != MT_JSON_OBJECT && mt_json_type(error) != MT_JSON_STRING)
        error = value;
    struct mt_str type = first_text(error, type_keys, arena);
    *out = (struct mt_chat_error){
        .kind = mt_chat_error_kind_of_status(http_status),
        .http_status = http_status,
        .message = message_of(error, arena),
        .code = first_text(error, code_keys, arena),
        .param = first_text(error, param_keys, arena),
        .retry_after_ms = -1,
    };
    refine(error, http_status, type, out);
    if (out->code.len == 0)
        out->code = type;
    fill_empty(http_status, arena, out);
}

/* Something that is no JSON: a proxy's page, or plain words. */
static struct mt_str words_of(struct mt_str body)
{
    struct mt_str text = mt_str_trim(body);

    if (text.len > 0 && text.at[0] == '<') {
        size_t from = mt_str_find(text, MT_STR("<title>"));
        if (from == text.len)
            return (struct mt_str){NULL, 0};
        text = mt_str_sub(text, from + 7, text.len);
        text = mt_str_trim(mt_str_sub(text, 0, mt_str_find(text, MT_STR("</title>"))));
        return text.len <= TITLE_MAX ? text : (struct mt_str){NULL, 0};
    }
    text = mt_str_sub(text, 0, TEXT_MAX);
    return mt_str_sub(text, 0, mt_str_utf8_whole(text));
}

void mt_chat__read_error(int http_status, struct mt_str body, struct mt_chat_scratch *scratch,
                         struct mt_chat_error *out)
{
    const struct mt_json *root = NULL;

    if (body.len > 0 && mt_json_parse(scratch->doc, body, &root, NULL) == MT_OK) {
        mt_chat__error_of(http_status, root, scratch->arena, out);
        return;
    }
    *out = (struct mt_chat_error){
        .kind = mt_chat_error_kind_of_status(http_status),
        .http_status = http_status,
        .message = words_of(body),
        .retry_after_ms = -1,
    };
    if (out->kind == MT_CHAT_ERR_INVALID && speaks_of_context(out->message))
        out->kind = MT_CHAT_ERR_CONTEXT;
    fill_empty(http_status, scratch->arena, out);
}
