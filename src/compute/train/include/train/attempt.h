/* SPDX-License-Identifier: Apache-2.0 */
/* train/attempt.h - what a model makes of a prompt when it says what is likeliest, how sure it
 * was of it, and whether it asked for help. */
#ifndef MT_TRAIN_ATTEMPT_H
#define MT_TRAIN_ATTEMPT_H

#include "curriculum/curriculum.h"
#include "train/shape.h"

/* Ways to call an answer doubtful, from the entropy of each of its tokens. */
enum mt_doubt { MT_DOUBT_MEAN, MT_DOUBT_MOST, MT_DOUBT_SUM };
enum { MT_DOUBTS_N = MT_DOUBT_SUM + 1 };

struct mt_attempt {
    bool is_right; /* of itself; never when it asked or did not end */
    bool has_asked;
    float doubt[MT_DOUBTS_N];      /* nats */
    char said[MT_ITEM_ANSWER_MAX]; /* its beginning; a NUL ends it */
};

struct mt_attempter;

/** @param params [params_n] borrowed: may change between calls, must live as long
 *  @return MT_OK, MT_E_INVALID (shape or vocabulary), MT_E_NOMEM */
mt_rc mt_attempter_new(const struct mt_shape *shape, const float *params,
                       struct mt_attempter **out, struct mt_err *err);
void mt_attempter_free(struct mt_attempter *attempter); /* NULL is allowed */
void mt_attempter_freep(struct mt_attempter **attempter);

/** One attempt at each item, many side by side. One thread at a time. */
void mt_attempter_try(struct mt_attempter *attempter, const struct mt_item *items, uint32_t n,
                      struct mt_attempt *out);

#endif
