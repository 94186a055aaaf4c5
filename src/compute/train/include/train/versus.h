/* SPDX-License-Identifier: Apache-2.0 */
/* train/versus.h - two models on the same items of the test split, skill by skill. */
#ifndef MT_TRAIN_VERSUS_H
#define MT_TRAIN_VERSUS_H

#include "base/buf.h"
#include "train/attempt.h"

struct mt_versus_score {
    uint32_t items_n;
    uint32_t a_right_n, b_right_n;
    double gain, low, high; /* of a over b: mean of the paired differences, its 95 % interval */
};

struct mt_versus {
    struct mt_str a, b; /* names; borrowed */
    struct mt_versus_score scores[MT_SKILLS_N][MT_DIFFICULTIES_N];
    struct mt_versus_score one_step[MT_DIFFICULTIES_N]; /* all skills of one step together */
};

/** Ask both; fills all scores.
 *  @param items_n for each skill and difficulty, at most MT_EXAM_ITEMS_MAX; 0: MT_EXAM_ITEMS
 *  @return MT_OK, MT_E_NOMEM
 *  @blocks as long as the models take */
mt_rc mt_versus_ask(struct mt_versus *versus, struct mt_attempter *a, struct mt_attempter *b,
                    uint32_t items_n, struct mt_err *err);

/** Failures are the buffer's. */
void mt_versus_markdown(const struct mt_versus *versus, struct mt_buf *out);
void mt_versus_json(const struct mt_versus *versus, struct mt_buf *out);

#endif
