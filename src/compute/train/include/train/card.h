/* SPDX-License-Identifier: Apache-2.0 */
/* train/card.h - what a model is and how often it is right, for people and for programs.
 *
 * Both forms are written from the same figures, the sentences on what it cannot do as well. */
#ifndef MT_TRAIN_CARD_H
#define MT_TRAIN_CARD_H

#include "base/buf.h"
#include "train/exam.h"

struct mt_card {
    struct mt_str name;  /* "lab-mini"; borrowed */
    struct mt_str about; /* a sentence or two; borrowed */
    struct mt_shape shape;
    uint64_t data_seed;
    uint64_t steps_n;                                       /* of training */
    uint64_t tokens_n;                                      /* seen in training */
    double wall_s;                                          /* of training */
    struct mt_score scores[MT_SKILLS_N][MT_DIFFICULTIES_N]; /* items_n 0 = not measured */
};

/** Ask the test split's items of every skill and difficulty; fills scores only.
 *  @param items_n per skill and difficulty, 0 = MT_EXAM_ITEMS
 *  @return MT_OK, MT_E_NOMEM
 *  @blocks as long as the asker does */
mt_rc mt_card_measure(struct mt_card *card, const struct mt_asker *asker, uint32_t items_n,
                      struct mt_err *err);

/** All one-step skills of a difficulty together. */
struct mt_score mt_card_one_step(const struct mt_card *card, enum mt_difficulty difficulty);

/** Failures are the buffer's. */
void mt_card_markdown(const struct mt_card *card, struct mt_buf *out);
void mt_card_json(const struct mt_card *card, struct mt_buf *out);

#endif
