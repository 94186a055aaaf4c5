/* SPDX-License-Identifier: Apache-2.0 */
/* train/embed_card.h - what an embedder is and how much its vectors tell, next to hashed
 * n-grams; for people and for programs, from the same figures. */
#ifndef MT_TRAIN_EMBED_CARD_H
#define MT_TRAIN_EMBED_CARD_H

#include "base/buf.h"
#include "train/embed_exam.h"
#include "train/shape.h"

enum { MT_EMBED_REPORTS_MAX = 2, MT_EMBED_ALL_SKILLS = (1 << MT_SKILLS_N) - 1 };

struct mt_embed_card {
    struct mt_str name, about; /* borrowed */
    struct mt_str answerer;    /* whose answers are foretold; borrowed, empty: nobody's */
    struct mt_shape shape;
    uint64_t data_seed;
    uint64_t steps_n, tokens_n; /* of training; 0: not known */
    double wall_s;
    uint32_t learned;                                     /* a bit per skill */
    struct mt_embed_report reports[MT_EMBED_REPORTS_MAX]; /* of learned skills, and of others */
    uint32_t reports_n;
};

struct mt_embed_card_opts {
    const float *params;             /* of card->shape */
    const struct mt_asker *answerer; /* NULL: none */
    uint32_t items_n;                /* as struct mt_embed_exam has it */
};

/** Fill the reports: one of the skills in card->learned, one of those that are not, each where
 *  there are two or more.
 *  @return MT_OK, MT_E_INVALID (another vocabulary), MT_E_NOMEM, MT_E_NOTFOUND (no OpenBLAS)
 *  @blocks about a minute */
mt_rc mt_embed_card_measure(struct mt_embed_card *card, const struct mt_embed_card_opts *opts,
                            struct mt_err *err);

/** Failures are the buffer's. */
void mt_embed_card_markdown(const struct mt_embed_card *card, struct mt_buf *out);
void mt_embed_card_json(const struct mt_embed_card *card, struct mt_buf *out);

#endif
