/* SPDX-License-Identifier: Apache-2.0 */
/* curriculum/curriculum.h - graded tasks with exact answers, made from seeds.
 *
 * One table describes each skill: its name, what it asks, how its difficulty grows. An item is
 * a function of (skill, difficulty, split, seed): the same on every machine. Train, validation
 * and test never share a prompt: a digest of the prompt decides which of them it belongs to,
 * and a prompt of another split is thrown away and drawn anew. Pure; any thread. */
#ifndef MT_CURRICULUM_CURRICULUM_H
#define MT_CURRICULUM_CURRICULUM_H

#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

enum mt_skill {
    MT_SKILL_COPY,
    MT_SKILL_UPPER,
    MT_SKILL_LOWER,
    MT_SKILL_REVERSE,
    MT_SKILL_SORT,
    MT_SKILL_COUNT,
    MT_SKILL_ADD,
    MT_SKILL_SUBTRACT,
    MT_SKILL_MULTIPLY,
    MT_SKILL_COMPARE,
    MT_SKILL_LOOKUP,
    MT_SKILL_TWO_STEPS,
    MT_SKILL_THREE_STEPS,
    MT_SKILL_CANNOT_KNOW,
};
enum { MT_SKILLS_N = MT_SKILL_CANNOT_KNOW + 1 };

enum mt_difficulty { MT_EASY, MT_MIDDLE, MT_HARD };
enum { MT_DIFFICULTIES_N = MT_HARD + 1 };

enum mt_split { MT_SPLIT_TRAIN, MT_SPLIT_VALIDATION, MT_SPLIT_TEST }; /* 80, 10, 10 % */

enum { MT_ITEM_PROMPT_MAX = 160, MT_ITEM_ANSWER_MAX = 48, MT_ITEM_STEPS_MAX = 3 };

struct mt_item {
    enum mt_skill skill;
    enum mt_difficulty difficulty;
    char prompt[MT_ITEM_PROMPT_MAX]; /* "45+38" */
    char answer[MT_ITEM_ANSWER_MAX]; /* "83" */
    /* For compositions: what each step asks when its predecessor's answer is put in; "{}" is
     * where that answer goes in step_prompt[1..]. steps_n is 1 for the other skills. */
    uint32_t steps_n;
    enum mt_skill step_skill[MT_ITEM_STEPS_MAX];
    char step_prompt[MT_ITEM_STEPS_MAX][MT_ITEM_PROMPT_MAX];
};

struct mt_skill_info {
    const char *name;                      /* "add"; also its word in recipes and cards */
    const char *example;                   /* "45+38 -> 83" */
    const char *grades[MT_DIFFICULTIES_N]; /* what makes it easy, middle, hard */
    uint32_t steps_n;                      /* more than 1: a composition */
};

const struct mt_skill_info *mt_skill_info(enum mt_skill skill);
/** @return MT_OK, or MT_E_NOTFOUND with the nearest name */
mt_rc mt_skill_find(struct mt_str name, enum mt_skill *out, struct mt_err *err);

const char *mt_difficulty_name(enum mt_difficulty difficulty); /* "easy", "middle", "hard" */
/** @return MT_OK, or MT_E_NOTFOUND */
mt_rc mt_difficulty_find(struct mt_str name, enum mt_difficulty *out, struct mt_err *err);

/** Item number `seed` of a skill, difficulty and split. Numbers are drawn with replacement: a
 *  prompt can come again, and where there are few (products of small numbers) it must. */
void mt_item_make(enum mt_skill skill, enum mt_difficulty difficulty, enum mt_split split,
                  uint64_t seed, struct mt_item *out);

/** What a chain asks in this step [< steps_n] once the step before has answered; previous is
 *  trimmed, and ignored by step 0. A NUL ends out.
 *  @return false (and out untouched) when that answer is too long to be put in */
bool mt_item_step_prompt(const struct mt_item *item, uint32_t step, struct mt_str previous,
                         char out[MT_ITEM_PROMPT_MAX]);

/** Is this answer right? White space around it does not count. */
bool mt_item_is_right(const struct mt_item *item, struct mt_str answer);

/** Which split a prompt belongs to. */
enum mt_split mt_item_split(struct mt_str prompt);

/** Wilson's interval for right_n of n at 95 %. @source Wilson 1927 */
void mt_wilson(uint64_t right_n, uint64_t n, double *low, double *high);

#endif
