/* SPDX-License-Identifier: Apache-2.0 */
/* train/cooperate_exam.h - what two agents are worth together: ways to get one answer out of a
 * pair, counted on the same items and compared in pairs. Pure; any thread. */
#ifndef MT_TRAIN_COOPERATE_EXAM_H
#define MT_TRAIN_COOPERATE_EXAM_H

#include "base/buf.h"
#include "train/attempt.h"
#include "train/cooperate.h"

enum mt_coop_way {
    MT_COOP_FIRST_A, /* the agent by itself */
    MT_COOP_FIRST_B,
    MT_COOP_BETTER_FIRST, /* whoever of the two was right more often before */
    MT_COOP_SURER_FIRST,  /* of two first answers that of the lower entropy: a strong rule that
                             needs no second turn */
    MT_COOP_SECOND_A,     /* the agent once it saw the other's answer */
    MT_COOP_SECOND_B,
    MT_COOP_SECOND,       /* the mean of these two: either one may be asked */
    MT_COOP_SURER_SECOND, /* of two second answers that of the lower entropy */
    MT_COOP_ONE_FIRST,    /* a first answer is right, whoever can tell which: what choosing
                             between the two could give at most */
};
enum { MT_COOP_WAYS_N = MT_COOP_ONE_FIRST + 1 };

/* What the ways depend on, chosen on items that nobody is measured on. */
struct mt_coop_choice {
    int better;                         /* agent */
    enum mt_doubt doubt[MT_COOP_TURNS]; /* the kind of entropy that tells best */
};

/* What both agents made of some items. */
struct mt_coop_sheet {
    const struct mt_attempt *at[MT_COOP_TURNS][MT_COOP_AGENTS]; /* [items_n] each */
    uint32_t items_n;
    struct mt_coop_choice choice;
};

struct mt_coop_choice mt_coop_choose(const struct mt_coop_sheet *before);

/** Of an item by a way: 0 or 1, or the mean of two such. */
double mt_coop_worth(const struct mt_coop_sheet *sheet, enum mt_coop_way way, uint32_t i);
/** The mean over all items. */
double mt_coop_score(const struct mt_coop_sheet *sheet, enum mt_coop_way way);

struct mt_coop_gain { /* mean of paired differences and its 95 % interval */
    double gain, low, high;
};

/** @param sheet,other of the same items; more than one
 *  @return MT_OK, MT_E_NOMEM */
mt_rc mt_coop_compare(const struct mt_coop_sheet *sheet, enum mt_coop_way way,
                      const struct mt_coop_sheet *other, enum mt_coop_way other_way,
                      struct mt_coop_gain *out, struct mt_err *err);

/* ---------------------------------------------------------------- the card */

enum { MT_COOP_TOGETHER, MT_COOP_ALONE, MT_COOP_PAIRS_N }; /* how a pair was trained */

enum { MT_COOP_ANSWERS_N = 2, MT_COOP_RIVALS_N = 6 };
extern const enum mt_coop_way mt_coop_answers[MT_COOP_ANSWERS_N]; /* the team's */
/* What they are compared with; those of the pair trained alone come last. */
extern const struct mt_coop_rival {
    int pair;
    enum mt_coop_way way;
} mt_coop_rivals[MT_COOP_RIVALS_N];

struct mt_coop_card {
    struct mt_str name, about; /* borrowed, like all texts here */
    struct mt_str models[MT_COOP_AGENTS];
    uint64_t params_n[MT_COOP_AGENTS];
    uint64_t seed, steps_n, tokens_n; /* tokens drawn by both */
    double wall_s;
    bool is_alone;  /* this pair was trained so */
    bool has_alone; /* a pair that was trained alone was measured beside it */
    uint32_t items_n;
    struct mt_coop_choice choices[MT_COOP_PAIRS_N];
    double scores[MT_COOP_PAIRS_N][MT_COOP_WAYS_N];
    struct mt_coop_gain gains[MT_COOP_ANSWERS_N][MT_COOP_RIVALS_N];
};

/** Fill scores and gains.
 *  @param sheets the second one only with has_alone
 *  @return as mt_coop_compare() */
mt_rc mt_coop_card_measure(struct mt_coop_card *card,
                           const struct mt_coop_sheet sheets[MT_COOP_PAIRS_N],
                           struct mt_err *err);

/** Failures are the buffer's. */
void mt_coop_card_markdown(const struct mt_coop_card *card, struct mt_buf *out);
void mt_coop_card_json(const struct mt_coop_card *card, struct mt_buf *out);

#endif
