/* SPDX-License-Identifier: Apache-2.0 */
/* Logprobs as Responses write them: a bare array. */
#include "responses_priv.h"

static void write_token(struct mt_jw *w, struct mt_str token, float logprob)
{
    mt_jw_kstr(w, "token", token);
    mt_jw_kf64(w, "logprob", (double)logprob);
    mt_jw_key(w, "bytes"), mt_jw_array(w);
    for (size_t i = 0; i < token.len; i++)
        mt_jw_i64(w, (unsigned char)token.at[i]);
    mt_jw_end(w);
}

void mt_responses__write_logprobs(struct mt_jw *w, const struct mt_token_logprob *tokens,
                                  size_t n)
{
    mt_jw_array(w);
    for (size_t i = 0; i < n; i++) {
        mt_jw_object(w);
        write_token(w, tokens[i].token, tokens[i].logprob);
        mt_jw_key(w, "top_logprobs"), mt_jw_array(w);
        for (size_t j = 0; j < tokens[i].top_n; j++) {
            mt_jw_object(w);
            write_token(w, tokens[i].top[j].token, tokens[i].top[j].logprob);
            mt_jw_end(w);
        }
        mt_jw_end(w);
        mt_jw_end(w);
    }
    mt_jw_end(w);
}

static bool read_token(const struct mt_json *entry, struct mt_arena *arena,
                       struct mt_str *token, float *logprob)
{
    double number = 0;

    if (!mt_json_str(mt_json_get(entry, "token"), arena, token) ||
        !mt_json_f64(mt_json_get(entry, "logprob"), &number))
        return false;
    *logprob = number < -1e9 ? -1e9f : (float)number;
    return true;
}

static bool read_tops(const struct mt_json *tops, struct mt_arena *arena,
                      struct mt_token_logprob *out)
{
    size_t n = mt_json_count(tops);
    size_t i = 0;

    if (mt_json_type(tops) != MT_JSON_ARRAY || n == 0)
        return true;
    struct mt_token_top *top = mt_arena_get(arena, n, sizeof *top);
    if (top == NULL)
        return false;
    for (const struct mt_json *t = mt_json_first(tops); t != NULL; t = mt_json_next(t), i++)
        if (!read_token(t, arena, &top[i].token, &top[i].logprob))
            return false;
    out->top = top;
    out->top_n = n;
    return true;
}

void mt_responses__read_logprobs(const struct mt_json *array, struct mt_arena *arena,
                                 const struct mt_token_logprob **out, size_t *n)
{
    size_t count = mt_json_count(array);
    size_t i = 0;

    if (mt_json_type(array) != MT_JSON_ARRAY || count == 0)
        return;
    struct mt_token_logprob *tokens = mt_arena_get(arena, count, sizeof *tokens);
    if (tokens == NULL)
        return;
    for (const struct mt_json *e = mt_json_first(array); e != NULL; e = mt_json_next(e), i++) {
        tokens[i].entropy = -1;
        if (!read_token(e, arena, &tokens[i].token, &tokens[i].logprob) ||
            !read_tops(mt_json_get(e, "top_logprobs"), arena, &tokens[i]))
            return;
    }
    *out = tokens;
    *n = count;
}
