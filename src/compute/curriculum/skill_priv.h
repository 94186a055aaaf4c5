/* SPDX-License-Identifier: Apache-2.0 */
/* What the table of skills asks of those who make items, and the chance they draw from. */
#ifndef MT_CURRICULUM_SKILL_PRIV_H
#define MT_CURRICULUM_SKILL_PRIV_H

#include "base/attr.h"
#include "curriculum/curriculum.h"

/** A stream of numbers that is the same on every machine. @source SplitMix64, Vigna 2015 */
struct mt_draw {
    uint64_t state;
};

uint64_t mt_draw__mix(uint64_t value); /* one step of SplitMix64 as a hash */
uint64_t mt_draw__next(struct mt_draw *draw);
uint32_t mt_draw__below(struct mt_draw *draw, uint32_t n); /* [0, n), n > 0 */
uint32_t mt_draw__between(struct mt_draw *draw, uint32_t low, uint32_t high); /* both ends in */

struct mt_range {
    uint16_t low, high;
};

/** How large an item is; what the two sizes count, each maker says. */
struct mt_grade {
    struct mt_range a, b;
};

/** One later step of a composition. */
struct mt_step {
    char prompt[MT_ITEM_PROMPT_MAX]; /* "{}+38" */
    char answer[MT_ITEM_ANSWER_MAX];
};

struct mt_skill_row {
    struct mt_skill_info info;
    struct mt_grade grade[MT_DIFFICULTIES_N];
    /** Draw prompt and answer; skill and difficulty of the item are set already. */
    void (*make)(struct mt_draw *draw, const struct mt_grade *grade, struct mt_item *out);
    /** Go on with what the step before answered; false when this skill cannot take it. NULL:
     *  only ever a first step. */
    bool (*extend)(struct mt_draw *draw, const struct mt_item *item, enum mt_skill skill,
                   struct mt_step *out);
};

const struct mt_skill_row *mt_skill__row(enum mt_skill skill);

/** printf into an array that is large enough by construction (asserted). */
void mt_skill__print(char *to, size_t max, const char *format, ...) MT_PRINTF(3, 4);

/* word_skills.c: a = letters; count also b = how often the letter is there */
void mt_skill__make_word(struct mt_draw *draw, const struct mt_grade *grade,
                         struct mt_item *out);
bool mt_skill__extend_word(struct mt_draw *draw, const struct mt_item *item,
                           enum mt_skill skill, struct mt_step *out);
void mt_skill__make_count(struct mt_draw *draw, const struct mt_grade *grade,
                          struct mt_item *out);

/* number_skills.c: add, subtract: digits of either number; multiply: the factors themselves;
 * compare: a = digits, b = how many numbers */
void mt_skill__make_number(struct mt_draw *draw, const struct mt_grade *grade,
                           struct mt_item *out);
bool mt_skill__extend_number(struct mt_draw *draw, const struct mt_item *item,
                             enum mt_skill skill, struct mt_step *out);
void mt_skill__make_compare(struct mt_draw *draw, const struct mt_grade *grade,
                            struct mt_item *out);

/* told_skills.c: a = pairs told, b = letters of a name */
void mt_skill__make_told(struct mt_draw *draw, const struct mt_grade *grade,
                         struct mt_item *out);

/* step_skills.c: the parts have grades of their own */
void mt_skill__make_steps(struct mt_draw *draw, const struct mt_grade *grade,
                          struct mt_item *out);

#endif
