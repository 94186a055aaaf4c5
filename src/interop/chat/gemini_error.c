/* SPDX-License-Identifier: Apache-2.0 */
/* Errors as Google's APIs write them: {"error":{"code":429,"message":M,"status":S}}, with
 * details that may say when to come back. */
#include <stdio.h>

#include "gemini_priv.h"

static const char retry_type[] = "type.googleapis.com/google.rpc.RetryInfo";

static const char *status_word(int http_status)
{
    static const struct {
        int http_status;
        const char *word;
    } words[] = {
        {400, "INVALID_ARGUMENT"},  {401, "UNAUTHENTICATED"},    {402, "FAILED_PRECONDITION"},
        {403, "PERMISSION_DENIED"}, {404, "NOT_FOUND"},          {408, "DEADLINE_EXCEEDED"},
        {409, "ABORTED"},           {429, "RESOURCE_EXHAUSTED"}, {499, "CANCELLED"},
        {500, "INTERNAL"},          {501, "UNIMPLEMENTED"},      {502, "UNAVAILABLE"},
        {503, "UNAVAILABLE"},       {504, "DEADLINE_EXCEEDED"},
    };

    for (size_t i = 0; i < MT_ARRAY_LEN(words); i++)
        if (words[i].http_status == http_status)
            return words[i].word;
    return http_status >= 500 ? "INTERNAL" : "INVALID_ARGUMENT";
}

int mt_gemini__error_status(const struct mt_chat_error *error)
{
    return error->http_status == 405 ? 405 : mt_chat_error_status(error->kind);
}

static void write_retry(struct mt_jw *w, int64_t after_ms)
{
    char delay[32];

    snprintf(delay, sizeof delay, "%lld.%03ds", (long long)(after_ms / 1000),
             (int)(after_ms % 1000));
    mt_jw_key(w, "details");
    mt_jw_array(w);
    mt_jw_object(w);
    mt_jw_kcstr(w, "@type", retry_type);
    mt_jw_kcstr(w, "retryDelay", delay);
    mt_jw_end(w);
    mt_jw_end(w);
}

void mt_gemini__encode_error(const struct mt_chat_error *error, struct mt_buf *out)
{
    int status = mt_gemini__error_status(error);
    struct mt_jw w;

    mt_jw_begin(&w, out);
    mt_jw_object(&w);
    mt_jw_key(&w, "error");
    mt_jw_object(&w);
    mt_jw_ki64(&w, "code", status);
    mt_jw_kstr(&w, "message", error->message);
    mt_jw_kcstr(&w, "status", status_word(status));
    if (error->retry_after_ms >= 0)
        write_retry(&w, error->retry_after_ms);
    mt_jw_end(&w);
    mt_jw_end(&w);
}

/* "34.07s" */
static int64_t delay_ms(const struct mt_json *value)
{
    struct mt_str raw = mt_json_raw(value);
    double seconds = 0;

    if (mt_json_type(value) != MT_JSON_STRING || raw.len < 4 || raw.at[raw.len - 2] != 's' ||
        !mt_str_to_f64(mt_str_sub(raw, 1, raw.len - 2), &seconds) || seconds < 0 ||
        seconds > 1e9)
        return -1;
    return (int64_t)(seconds * 1000);
}

void mt_gemini__error_of(int http_status, const struct mt_json *value, struct mt_arena *arena,
                         struct mt_chat_error *out)
{
    const struct mt_json *whole =
        mt_json_type(value) == MT_JSON_ARRAY ? mt_json_first(value) : value;
    const struct mt_json *details = mt_json_get(mt_json_get(whole, "error"), "details");

    mt_chat__error_of(http_status, value, arena, out);
    for (const struct mt_json *item = mt_json_first(details); item != NULL;
         item = mt_json_next(item)) {
        int64_t delay = delay_ms(mt_json_get(item, "retryDelay"));
        if (delay >= 0)
            out->retry_after_ms = delay;
        if (mt_json_is(mt_json_get(item, "reason"), "API_KEY_INVALID"))
            out->kind = MT_CHAT_ERR_AUTH; /* it comes with 400 */
    }
}

void mt_gemini__decode_error(int http_status, struct mt_str body,
                             struct mt_chat_scratch *scratch, struct mt_chat_error *out)
{
    const struct mt_json *root = NULL;

    if (body.len > 0 && mt_json_parse(scratch->doc, body, &root, NULL) == MT_OK)
        mt_gemini__error_of(http_status, root, scratch->arena, out);
    else
        mt_chat__read_error(http_status, body, scratch, out);
}
