/* SPDX-License-Identifier: Apache-2.0 */
/* train/card.h - what a model is and how often it is right, for people and for programs.
 *
 * Both forms are written from the same figures, the sentences on what it cannot do as well. */
#ifndef MT_TRAIN_CARD_H
#define MT_TRAIN_CARD_H

#include "base/buf.h"
#include "train/exam.h"
#include "train/help_exam.h"

/* A model that asks for help, beside thresholds on the doubt of two that cannot. */
struct mt_card_help {
    double limit; /* that it was trained with */
    struct mt_help_score score;
    struct mt_help_gain over_plain; /* the model that it was made from */
    struct mt_help_gain over_alone; /* the same, trained as long without help */
    bool has_alone;
};

/* One of a chain: whom its skills' steps are given to. */
struct mt_card_member {
    struct mt_str model;  /* file name; borrowed */
    struct mt_str skills; /* as the recipe has them; borrowed */
    uint64_t params_n;
};

struct mt_card {
    struct mt_str name;                   /* "lab-mini"; borrowed */
    struct mt_str about;                  /* a sentence or two; borrowed */
    const struct mt_card_member *members; /* [members_n] of a chain, which has no shape and was
                                             not trained; borrowed; NULL: it is a model */
    size_t members_n;
    struct mt_shape shape;
    uint64_t data_seed;
    uint64_t steps_n;                                       /* of training */
    uint64_t tokens_n;                                      /* seen in training */
    double wall_s;                                          /* of training */
    struct mt_score scores[MT_SKILLS_N][MT_DIFFICULTIES_N]; /* items_n 0 = not measured */
    const struct mt_card_help *help; /* [help_n] by their limits; borrowed; NULL: none */
    size_t help_n;
    uint32_t help_items_n; /* of the test split that they were measured on */
};

/** Ask the test split's items of every skill and difficulty; fills scores only.
 *  @param items_n per skill and difficulty, 0 = MT_EXAM_ITEMS
 *  @return MT_OK, MT_E_NOMEM
 *  @blocks as long as the asker does */
mt_rc mt_card_measure(struct mt_card *card, const struct mt_asker *asker, uint32_t items_n,
                      struct mt_err *err);

/** The same of a chain, whose members are asked step by step. */
mt_rc mt_card_measure_chain(struct mt_card *card, const struct mt_chain *chain,
                            uint32_t items_n, struct mt_err *err);

/** All one-step skills of a difficulty together. */
struct mt_score mt_card_one_step(const struct mt_card *card, enum mt_difficulty difficulty);

/** What of a card is about help; nothing without. Failures are the buffer's. */
void mt_card_help_markdown(const struct mt_card *card, struct mt_buf *out);
struct mt_jw;
void mt_card_help_json(const struct mt_card *card, struct mt_jw *w);

/** Failures are the buffer's. */
void mt_card_markdown(const struct mt_card *card, struct mt_buf *out);
void mt_card_json(const struct mt_card *card, struct mt_buf *out);

#endif
