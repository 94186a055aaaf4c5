/* SPDX-License-Identifier: Apache-2.0 */
/* embed_pool.h - items of one split that an exam of vectors draws from, and their classes. */
#ifndef MT_TRAIN_EMBED_POOL_H
#define MT_TRAIN_EMBED_POOL_H

#include "train/embed_exam.h"

struct embed_pool {
    struct mt_item *items; /* owned [n] as are the following; no prompt comes twice */
    struct mt_str *texts;  /* [n] their prompts */
    bool *is_answered;     /* [n] rightly, by the answerer */
    uint32_t n;
};

/** @param per_cell items of each skill and difficulty, fewer where there are fewer prompts
 *  @return MT_OK, MT_E_NOMEM */
mt_rc mt_train__pool_new(const struct mt_embed_exam *exam, enum mt_split split,
                         uint32_t per_cell, struct embed_pool *out, struct mt_err *err);
void mt_train__pool_fini(struct embed_pool *pool);

/* What is asked of the items of a pool. */
struct embed_quiz {
    const struct mt_embed_exam *exam;
    enum mt_embed_question question;
    const struct embed_pool *pool;
};

uint32_t mt_train__classes_n(const struct mt_embed_exam *exam, enum mt_embed_question question);
/** Of item i; below classes_n. */
uint32_t mt_train__class_of(const struct embed_quiz *quiz, uint32_t i);

/** Up to examples_n items of each class, in an order that the draw decides.
 *  @param counts [classes_n], used up
 *  @param picked out: [pool->n]
 *  @return how many */
uint32_t mt_train__pick(const struct embed_quiz *quiz, uint32_t examples_n, uint32_t draw,
                        uint32_t *counts, uint32_t *picked);

#endif
