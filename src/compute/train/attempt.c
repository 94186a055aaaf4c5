/* SPDX-License-Identifier: Apache-2.0 */
#include "train/attempt.h"

#include <stdio.h>

#include "base/alloc.h"
#include "train/decode.h"
#include "train/vocab.h"

enum {
    TOGETHER = 128,
    NEW_MAX = 48, /* tokens; longer than any right answer and a call behind it */
    PROMPT_MAX = MT_ITEM_PROMPT_MAX + 2,
    LENGTH_MAX = PROMPT_MAX + NEW_MAX,
};

struct mt_attempter {
    struct mt_decoder *decoder;
    const float *params;
    struct mt_decode_item items[TOGETHER];
    int32_t prompts[TOGETHER][PROMPT_MAX];
    int32_t tokens[TOGETHER][LENGTH_MAX];
    float entropies[TOGETHER][LENGTH_MAX];
};

mt_rc mt_attempter_new(const struct mt_shape *shape, const float *params,
                       struct mt_attempter **out, struct mt_err *err)
{
    if (shape->vocab_n != MT_VOCAB_N || shape->context_n < LENGTH_MAX)
        return MT_FAIL(err, MT_E_INVALID,
                       "model of %u tokens and a context of %u, expected %d and %d or more",
                       shape->vocab_n, shape->context_n, MT_VOCAB_N, LENGTH_MAX);
    MT_CLEANUP(mt_attempter_freep) struct mt_attempter *a = mt_alloc(1, sizeof *a);
    if (a == NULL)
        return MT_FAIL(err, MT_E_NOMEM, "attempts of a model");
    a->params = params;
    MT_TRY(mt_decoder_new(shape, TOGETHER, LENGTH_MAX, &a->decoder, err));
    *out = MT_MOVE(a);
    return MT_OK;
}

void mt_attempter_free(struct mt_attempter *attempter)
{
    if (attempter == NULL)
        return;
    mt_decoder_free(attempter->decoder);
    mt_free(attempter);
}

void mt_attempter_freep(struct mt_attempter **attempter)
{
    mt_attempter_free(*attempter);
    *attempter = NULL;
}

static struct mt_attempt judge(const struct mt_decode_item *made, const struct mt_item *item)
{
    char room[LENGTH_MAX * 16 + 32];
    uint32_t n = made->tokens_n - made->prompt_n;
    const int32_t *said = made->tokens + made->prompt_n;
    struct mt_attempt out = {.is_right = false};

    for (uint32_t t = made->prompt_n; t < made->tokens_n; t++) {
        float entropy = made->entropies[t];

        out.has_asked |= made->tokens[t] == MT_TOKEN_CALL_CLOUD;
        out.doubt[MT_DOUBT_SUM] += entropy;
        if (entropy > out.doubt[MT_DOUBT_MOST])
            out.doubt[MT_DOUBT_MOST] = entropy;
    }
    out.doubt[MT_DOUBT_MEAN] = n > 0 ? out.doubt[MT_DOUBT_SUM] / (float)n : 0;
    struct mt_str text = mt_vocab_bytes(said, n, room);
    out.is_right = made->is_ended && !out.has_asked && mt_item_is_right(item, text);
    (void)snprintf(out.said, sizeof out.said, "%.*s", MT_STR_ARG(text));
    return out;
}

static void try_some(struct mt_attempter *a, const struct mt_item *items, uint32_t n,
                     struct mt_attempt *out)
{
    static const struct mt_decode_opts opts = {.new_tokens_max = NEW_MAX,
                                               .end_token = MT_TOKEN_IM_END};

    for (uint32_t i = 0; i < n; i++)
        a->items[i] = (struct mt_decode_item){
            .prompt = a->prompts[i],
            .prompt_n = mt_vocab_prompt(mt_str_of(items[i].prompt), a->prompts[i], PROMPT_MAX),
            .tokens = a->tokens[i],
            .entropies = a->entropies[i],
        };
    mt_decoder_run(a->decoder, a->params, a->items, n, &opts);
    for (uint32_t i = 0; i < n; i++)
        out[i] = judge(&a->items[i], &items[i]);
}

void mt_attempter_try(struct mt_attempter *attempter, const struct mt_item *items, uint32_t n,
                      struct mt_attempt *out)
{
    for (uint32_t at = 0; at < n; at += TOGETHER)
        try_some(attempter, items + at, n - at < TOGETHER ? n - at : TOGETHER, out + at);
}
