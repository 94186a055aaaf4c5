/* SPDX-License-Identifier: Apache-2.0 */
/* Logprobs in OpenAI's two shapes. Chat: {"content":[{token, logprob, bytes, top_logprobs}]}.
 * Completions: {tokens, token_logprobs, top_logprobs, text_offset}, four lists side by side,
 * the offsets counted in characters from the choice's beginning; the first token of an echoed
 * prompt has no logprob. */
#include "openai_priv.h"

enum { BYTES_MAX = 64, TOKENS_MAX = 1 << 16 };

/* An entry was not read: was it wrong, or was there no memory? */
static mt_rc refuse(struct mt_arena *arena, size_t at, struct mt_err *err)
{
    if (mt_arena_get(arena, 1, 1) == NULL)
        return mt_arena_fail(arena, err);
    return MT_FAIL(err, MT_E_UPSTREAM, "logprobs: token %zu is malformed", at);
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
            return refuse(arena, i, err);
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

/* {"token": logprob, ...} */
static bool read_legacy_tops(const struct mt_json *tops, struct mt_arena *arena,
                             struct mt_token_logprob *out)
{
    size_t n = mt_json_count(tops);

    if (mt_json_type(tops) != MT_JSON_OBJECT || n == 0)
        return true;
    struct mt_token_top *top = mt_arena_get(arena, n, sizeof *top);
    if (top == NULL)
        return false;
    out->top = top;
    for (const struct mt_json *t = mt_json_first(tops); t != NULL; t = mt_json_next(t), top++) {
        double number;
        if (!mt_json_key_str(t, arena, &top->token) || !mt_json_f64(t, &number))
            return false;
        top->logprob = number < -1e9 ? -1e9f : (float)number;
    }
    out->top_n = n;
    return true;
}

mt_rc mt_openai__read_legacy_logprobs(const struct mt_json *logprobs, struct mt_arena *arena,
                                      const struct mt_token_logprob **out, size_t *n,
                                      struct mt_err *err)
{
    const struct mt_json *token = mt_json_first(mt_json_get(logprobs, "tokens"));
    const struct mt_json *number = mt_json_first(mt_json_get(logprobs, "token_logprobs"));
    const struct mt_json *tops = mt_json_first(mt_json_get(logprobs, "top_logprobs"));
    size_t count = mt_json_count(mt_json_get(logprobs, "tokens"));
    size_t i = 0;

    if (count == 0)
        return MT_OK;
    if (count > TOKENS_MAX)
        return MT_FAIL(err, MT_E_UPSTREAM, "logprobs: expected at most %d tokens, found %zu",
                       TOKENS_MAX, count);
    struct mt_token_logprob *list = mt_arena_get(arena, count, sizeof *list);
    if (list == NULL)
        return mt_arena_fail(arena, err);
    for (; token != NULL; token = mt_json_next(token), i++) {
        double value = 0;
        list[i].entropy = -1;
        (void)mt_json_f64(number, &value); /* null: the first token follows from nothing */
        list[i].logprob = value < -1e9 ? -1e9f : (float)value;
        if (!mt_json_str(token, arena, &list[i].token) ||
            !read_legacy_tops(tops, arena, &list[i]))
            return refuse(arena, i, err);
        number = mt_json_next(number);
        tops = mt_json_next(tops);
    }
    *out = list;
    *n = count;
    return MT_OK;
}

/* Characters begun in these bytes: all but the continuations of UTF-8. */
static int64_t characters(struct mt_str text)
{
    int64_t n = 0;

    for (size_t i = 0; i < text.len; i++)
        n += ((unsigned char)text.at[i] & 0xC0) != 0x80;
    return n;
}

static void write_legacy_tops(struct mt_jw *w, const struct mt_token_logprob *token)
{
    mt_jw_object(w);
    for (size_t i = 0; i < token->top_n; i++) {
        mt_jw_key_str(w, token->top[i].token);
        mt_jw_f64(w, (double)token->top[i].logprob);
    }
    mt_jw_end(w);
}

void mt_openai__write_legacy_logprobs(struct mt_jw *w, const struct mt_token_logprob *tokens,
                                      size_t n, int64_t *offset)
{
    if (n == 0) {
        mt_jw_null(w);
        return;
    }
    mt_jw_object(w);
    mt_jw_key(w, "tokens");
    mt_jw_array(w);
    for (size_t i = 0; i < n; i++)
        mt_jw_str(w, tokens[i].token);
    mt_jw_end(w);
    mt_jw_key(w, "token_logprobs");
    mt_jw_array(w);
    for (size_t i = 0; i < n; i++)
        mt_jw_f64(w, (double)tokens[i].logprob);
    mt_jw_end(w);
    mt_jw_key(w, "top_logprobs");
    mt_jw_array(w);
    for (size_t i = 0; i < n; i++)
        write_legacy_tops(w, &tokens[i]);
    mt_jw_end(w);
    mt_jw_key(w, "text_offset");
    mt_jw_array(w);
    for (size_t i = 0; i < n; i++) {
        mt_jw_i64(w, *offset);
        *offset += characters(tokens[i].token);
    }
    mt_jw_end(w);
    mt_jw_end(w);
}
