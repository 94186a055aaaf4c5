/* SPDX-License-Identifier: Apache-2.0 */
#include "train/asker.h"

#include <string.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "train/decode.h"
#include "train/vocab.h"

enum {
    NEW_TOKENS_MAX = MT_ITEM_ANSWER_MAX + 1, /* the longest right answer and its end */
    PROMPT_TOKENS_MAX = MT_ITEM_PROMPT_MAX + 32,
    LENGTH_MAX = PROMPT_TOKENS_MAX + NEW_TOKENS_MAX,
    TOGETHER_MAX = 256, /* prompts given to the decoder in one call */
};

struct mt_model_asker {
    struct mt_decoder *decoder;
    const float *params;
    uint32_t length_max;          /* of a sequence: LENGTH_MAX or the model's context */
    int32_t *prompts;             /* [TOGETHER_MAX x PROMPT_TOKENS_MAX] */
    int32_t *tokens;              /* [TOGETHER_MAX x LENGTH_MAX] */
    struct mt_decode_item *items; /* [TOGETHER_MAX] */
};

mt_rc mt_model_asker_new(const struct mt_shape *shape, const float *params,
                         uint32_t sequences_max, struct mt_model_asker **out,
                         struct mt_err *err)
{
    if (shape->vocab_n != MT_VOCAB_N)
        return MT_FAIL(err, MT_E_INVALID, "model of %u tokens, expected %d", shape->vocab_n,
                       MT_VOCAB_N);
    MT_CLEANUP(mt_model_asker_freep)
    struct mt_model_asker *model = mt_alloc(1, sizeof *model);
    if (model == NULL)
        return MT_FAIL(err, MT_E_NOMEM, "asker of a model");
    model->params = params;
    model->length_max = shape->context_n < LENGTH_MAX ? shape->context_n : LENGTH_MAX;
    model->prompts = mt_alloc((size_t)TOGETHER_MAX * PROMPT_TOKENS_MAX, sizeof(int32_t));
    model->tokens = mt_alloc((size_t)TOGETHER_MAX * LENGTH_MAX, sizeof(int32_t));
    model->items = mt_alloc(TOGETHER_MAX, sizeof *model->items);
    if (model->prompts == NULL || model->tokens == NULL || model->items == NULL)
        return MT_FAIL(err, MT_E_NOMEM, "asker of a model");
    MT_TRY(mt_decoder_new(shape, sequences_max, model->length_max, &model->decoder, err));
    *out = MT_MOVE(model);
    return MT_OK;
}

void mt_model_asker_free(struct mt_model_asker *model)
{
    if (model == NULL)
        return;
    mt_decoder_free(model->decoder);
    mt_free(model->prompts);
    mt_free(model->tokens);
    mt_free(model->items);
    mt_free(model);
}

void mt_model_asker_freep(struct mt_model_asker **model)
{
    mt_model_asker_free(*model);
    *model = NULL;
}

static void read_answer(const struct mt_decode_item *item, struct mt_answer *out)
{
    /* one token is "<call_cloud>" at most, 12 bytes; mt_vocab_bytes wants some more */
    char text[NEW_TOKENS_MAX * 16 + 32];
    struct mt_str said =
        mt_vocab_bytes(item->tokens + item->prompt_n, item->tokens_n - item->prompt_n, text);

    out->len = (uint32_t)(said.len < MT_ANSWER_MAX ? said.len : MT_ANSWER_MAX);
    memcpy(out->text, said.len > 0 ? said.at : "", out->len);
}

/* What does not fit the model's context gets no answer. */
static void ask_some(struct mt_model_asker *model, const struct mt_str *prompts,
                     struct mt_answer *answers, uint32_t n)
{
    static const struct mt_decode_opts opts = {.new_tokens_max = NEW_TOKENS_MAX,
                                               .end_token = MT_TOKEN_IM_END};
    uint32_t prompt_of[TOGETHER_MAX];
    uint32_t items_n = 0;

    for (uint32_t i = 0; i < n; i++) {
        int32_t *to = model->prompts + (size_t)items_n * PROMPT_TOKENS_MAX;
        uint32_t prompt_n = mt_vocab_prompt(prompts[i], to, PROMPT_TOKENS_MAX);
        answers[i].len = 0;
        if (prompt_n == 0 || prompt_n >= model->length_max)
            continue;
        prompt_of[items_n] = i;
        model->items[items_n] = (struct mt_decode_item){
            .prompt = to,
            .prompt_n = prompt_n,
            .tokens = model->tokens + (size_t)items_n * LENGTH_MAX,
        };
        items_n++;
    }
    mt_decoder_run(model->decoder, model->params, model->items, items_n, &opts);
    for (uint32_t i = 0; i < items_n; i++)
        read_answer(&model->items[i], &answers[prompt_of[i]]);
}

static void ask_model(void *context, const struct mt_str *prompts, struct mt_answer *answers,
                      uint32_t n)
{
    for (uint32_t at = 0; at < n; at += TOGETHER_MAX) {
        uint32_t some_n = n - at < TOGETHER_MAX ? n - at : TOGETHER_MAX;
        ask_some(context, prompts + at, answers + at, some_n);
    }
}

struct mt_asker mt_model_asker_view(struct mt_model_asker *model)
{
    return (struct mt_asker){ask_model, model};
}
