/* SPDX-License-Identifier: Apache-2.0 */
/* train/exam.h - how often a model, or a chain of them, is right. */
#ifndef MT_TRAIN_EXAM_H
#define MT_TRAIN_EXAM_H

#include "train/chain.h"

enum { MT_EXAM_ITEMS = 200, MT_EXAM_ITEMS_MAX = 10000 };

struct mt_exam {
    enum mt_skill skill;
    enum mt_difficulty difficulty;
    enum mt_split split;
    uint32_t items_n; /* 0 = MT_EXAM_ITEMS; no prompt is asked twice, so that a skill with few
                         prompts gives fewer and the interval stays honest */
};

struct mt_score {
    uint32_t items_n; /* that were asked */
    uint32_t right_n;
};

/** The items of an exam.
 *  @param items room for items_n, or for MT_EXAM_ITEMS when that is 0
 *  @param n how many there are; no prompt is twice among them
 *  @return MT_OK, MT_E_NOMEM */
mt_rc mt_exam_write(const struct mt_exam *exam, struct mt_item *items, uint32_t *n,
                    struct mt_err *err);

/** The same items for everybody. @return MT_OK, MT_E_NOMEM */
mt_rc mt_exam_ask(const struct mt_exam *exam, const struct mt_asker *asker,
                  struct mt_score *out, struct mt_err *err);
/** As above, the steps asked one by one. */
mt_rc mt_exam_ask_chain(const struct mt_exam *exam, const struct mt_chain *chain,
                        struct mt_score *out, struct mt_err *err);

#endif
