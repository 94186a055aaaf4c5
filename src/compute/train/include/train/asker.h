/* SPDX-License-Identifier: Apache-2.0 */
/* train/asker.h - who answers prompts: a model in memory, or anything with the same one verb.
 */
#ifndef MT_TRAIN_ASKER_H
#define MT_TRAIN_ASKER_H

#include "base/str.h"
#include "curriculum/curriculum.h"
#include "train/shape.h"

enum { MT_ANSWER_MAX = 96 };

struct mt_answer {
    char text[MT_ANSWER_MAX]; /* a longer one is cut, and stays longer than any right one */
    uint32_t len;
};

struct mt_asker {
    /** Answer n prompts of at most MT_ITEM_PROMPT_MAX bytes, each by itself. Never fails: who
     *  has no answer gives the empty one. */
    void (*ask)(void *context, const struct mt_str *prompts, struct mt_answer *answers,
                uint32_t n);
    void *context;
};

struct mt_model_asker; /* a model that answers with what is likeliest */

/** @param params [params_n]; borrowed: may change between asks, must live as long
 *  @param sequences_max prompts answered side by side (train/decode.h)
 *  @return MT_OK, MT_E_INVALID (the shape, its vocabulary, sequences_max), MT_E_NOMEM */
mt_rc mt_model_asker_new(const struct mt_shape *shape, const float *params,
                         uint32_t sequences_max, struct mt_model_asker **out,
                         struct mt_err *err);
void mt_model_asker_free(struct mt_model_asker *model); /* NULL is allowed */
void mt_model_asker_freep(struct mt_model_asker **model);

/** Lives as long as the model. One thread at a time. */
struct mt_asker mt_model_asker_view(struct mt_model_asker *model);

#endif
