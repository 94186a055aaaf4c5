/* SPDX-License-Identifier: Apache-2.0 */
#include "curriculum/curriculum.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "skill_priv.h"

enum {
    TRIES_MAX = 100000,
    SPLIT_SEED = 0x3a11, /* another number makes other splits and worthless cards */
    SPLIT_PARTS = 10,    /* 8 to train, 1 to validate, 1 to test */
};

/* The one place where skills and their grades are set. The words say what the figures do. */
/* clang-format off */
static const struct mt_skill_row rows[MT_SKILLS_N] = {
    [MT_SKILL_COPY] = {
     {"copy", "copy motet -> motet",
      {"3-5 letters", "6-10 letters", "11-16 letters"}, 1},
     {{{3, 5}, {0, 0}}, {{6, 10}, {0, 0}}, {{11, 16}, {0, 0}}},
     mt_skill__make_word, NULL},
    [MT_SKILL_UPPER] = {
     {"upper", "upper motet -> MOTET",
      {"3-5 letters", "6-10 letters", "11-16 letters"}, 1},
     {{{3, 5}, {0, 0}}, {{6, 10}, {0, 0}}, {{11, 16}, {0, 0}}},
     mt_skill__make_word, mt_skill__extend_word},
    [MT_SKILL_LOWER] = {
     {"lower", "lower MOTET -> motet",
      {"3-5 letters", "6-10 letters", "11-16 letters"}, 1},
     {{{3, 5}, {0, 0}}, {{6, 10}, {0, 0}}, {{11, 16}, {0, 0}}},
     mt_skill__make_word, NULL},
    [MT_SKILL_REVERSE] = {
     {"reverse", "reverse motet -> tetom",
      {"3-4 letters", "5-7 letters", "8-12 letters"}, 1},
     {{{3, 4}, {0, 0}}, {{5, 7}, {0, 0}}, {{8, 12}, {0, 0}}},
     mt_skill__make_word, mt_skill__extend_word},
    [MT_SKILL_SORT] = {
     {"sort", "sort motet -> emott",
      {"3-4 letters", "5-7 letters", "8-12 letters"}, 1},
     {{{3, 4}, {0, 0}}, {{5, 7}, {0, 0}}, {{8, 12}, {0, 0}}},
     mt_skill__make_word, mt_skill__extend_word},
    [MT_SKILL_COUNT] = {
     {"count", "count t in motet -> 2",
      {"3-5 letters, 0-3 of them the one asked for",
       "6-9 letters, 0-5 of them the one asked for",
       "10-16 letters, 0-9 of them the one asked for"}, 1},
     {{{3, 5}, {0, 3}}, {{6, 9}, {0, 5}}, {{10, 16}, {0, 9}}},
     mt_skill__make_count, NULL},
    [MT_SKILL_ADD] = {
     {"add", "45+38 -> 83",
      {"1-2 and 1 digits", "2 and 2 digits", "3-4 and 1-4 digits"}, 1},
     {{{1, 2}, {1, 1}}, {{2, 2}, {2, 2}}, {{3, 4}, {1, 4}}},
     mt_skill__make_number, mt_skill__extend_number},
    [MT_SKILL_SUBTRACT] = {
     {"subtract", "83-45 -> 38",
      {"1-2 and 1 digits", "2 and 1-2 digits", "3-4 and 1-4 digits"}, 1},
     {{{1, 2}, {1, 1}}, {{2, 2}, {1, 2}}, {{3, 4}, {1, 4}}},
     mt_skill__make_number, mt_skill__extend_number},
    [MT_SKILL_MULTIPLY] = {
     {"multiply", "6*37 -> 222",
      {"0-9 times 0-19", "2-9 times 10-99", "10-99 times 10-99"}, 1},
     {{{0, 9}, {0, 19}}, {{2, 9}, {10, 99}}, {{10, 99}, {10, 99}}},
     mt_skill__make_number, mt_skill__extend_number},
    [MT_SKILL_COMPARE] = {
     {"compare", "max 41 17 49 -> 49",
      {"1-2 digits, 2 numbers", "2 digits, 3 numbers", "3-4 digits, 4 numbers"}, 1},
     {{{1, 2}, {2, 2}}, {{2, 2}, {3, 3}}, {{3, 4}, {4, 4}}},
     mt_skill__make_compare, NULL},
    [MT_SKILL_LOOKUP] = {
     {"lookup", "bob=31 cid=xyz bob? -> 31",
      {"2-3 names of 1 letter",
       "3-4 names of 2-3 letters",
       "5-6 names of 3 letters, some nearly alike"}, 1},
     {{{2, 3}, {1, 1}}, {{3, 4}, {2, 3}}, {{5, 6}, {3, 3}}},
     mt_skill__make_told, NULL},
    [MT_SKILL_TWO_STEPS] = {
     {"two_steps", "45+38 then it*7 -> 581",
      {"easy steps", "middle steps", "hard first steps, longer numbers"}, 2},
     {{{0, 0}, {0, 0}}},
     mt_skill__make_steps, NULL},
    [MT_SKILL_THREE_STEPS] = {
     {"three_steps", "bob=31 cid=xyz bob? then it+38 then it*7 -> 483",
      {"easy steps", "middle steps", "hard first steps, longer numbers"}, 3},
     {{{0, 0}, {0, 0}}},
     mt_skill__make_steps, NULL},
    [MT_SKILL_CANNOT_KNOW] = {
     {"cannot_know", "bob=31 cid=xyz dan? -> unknown",
      {"2-3 names of 1 letter",
       "3-4 names of 2-3 letters",
       "5-6 names of 3 letters, some nearly alike"}, 1},
     {{{2, 3}, {1, 1}}, {{3, 4}, {2, 3}}, {{5, 6}, {3, 3}}},
     mt_skill__make_told, NULL},
};
/* clang-format on */

const struct mt_skill_row *mt_skill__row(enum mt_skill skill)
{
    MT_ASSERT((unsigned)skill < MT_SKILLS_N);
    return &rows[skill];
}

void mt_skill__print(char *to, size_t max, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    int n = vsnprintf(to, max, format, args);
    va_end(args);
    MT_ASSERT(n >= 0 && (size_t)n < max);
}

const struct mt_skill_info *mt_skill_info(enum mt_skill skill)
{
    return &mt_skill__row(skill)->info;
}

mt_rc mt_skill_find(struct mt_str name, enum mt_skill *out, struct mt_err *err)
{
    const char *nearest = rows[0].info.name;
    unsigned best = 64;

    for (unsigned i = 0; i < MT_SKILLS_N; i++) {
        unsigned far = mt_str_distance(name, mt_str_of(rows[i].info.name), best);
        if (far == 0) {
            *out = (enum mt_skill)i;
            return MT_OK;
        }
        if (far < best) {
            best = far;
            nearest = rows[i].info.name;
        }
    }
    return MT_FAIL(err, MT_E_NOTFOUND, "skill '%.*s': not known, the nearest is '%s'",
                   MT_STR_ARG(mt_str_sub(name, 0, 40)), nearest);
}

static const char *const difficulty_names[MT_DIFFICULTIES_N] = {"easy", "middle", "hard"};

const char *mt_difficulty_name(enum mt_difficulty difficulty)
{
    MT_ASSERT((unsigned)difficulty < MT_DIFFICULTIES_N);
    return difficulty_names[difficulty];
}

mt_rc mt_difficulty_find(struct mt_str name, enum mt_difficulty *out, struct mt_err *err)
{
    for (unsigned i = 0; i < MT_DIFFICULTIES_N; i++) {
        if (mt_str_is(name, difficulty_names[i])) {
            *out = (enum mt_difficulty)i;
            return MT_OK;
        }
    }
    return MT_FAIL(err, MT_E_NOTFOUND, "difficulty '%.*s': expected easy, middle or hard",
                   MT_STR_ARG(mt_str_sub(name, 0, 40)));
}

enum mt_split mt_item_split(struct mt_str prompt)
{
    uint64_t part = mt_draw__mix(mt_str_hash(prompt, SPLIT_SEED)) % SPLIT_PARTS;

    if (part == SPLIT_PARTS - 1)
        return MT_SPLIT_TEST;
    return part == SPLIT_PARTS - 2 ? MT_SPLIT_VALIDATION : MT_SPLIT_TRAIN;
}

static struct mt_draw draw_for(const struct mt_item *item, enum mt_split split, uint64_t seed)
{
    uint64_t state = mt_draw__mix((uint64_t)item->skill);

    state = mt_draw__mix(state ^ (uint64_t)item->difficulty);
    state = mt_draw__mix(state ^ (uint64_t)split);
    return (struct mt_draw){mt_draw__mix(state ^ seed)};
}

void mt_item_make(enum mt_skill skill, enum mt_difficulty difficulty, enum mt_split split,
                  uint64_t seed, struct mt_item *out)
{
    const struct mt_skill_row *row = mt_skill__row(skill);
    uint32_t tries = 0;

    MT_ASSERT((unsigned)difficulty < MT_DIFFICULTIES_N);
    *out = (struct mt_item){.skill = skill, .difficulty = difficulty, .steps_n = 1};
    struct mt_draw draw = draw_for(out, split, seed);
    do {
        MT_ASSERT(tries < TRIES_MAX); /* every skill has prompts in every split */
        tries++;
        row->make(&draw, &row->grade[difficulty], out);
    } while (mt_item_split(mt_str_of(out->prompt)) != split);
    if (out->steps_n == 1) {
        out->step_skill[0] = skill;
        memcpy(out->step_prompt[0], out->prompt, sizeof out->prompt);
    }
}

bool mt_item_step_prompt(const struct mt_item *item, uint32_t step, struct mt_str previous,
                         char out[MT_ITEM_PROMPT_MAX])
{
    MT_ASSERT(step < item->steps_n);
    struct mt_str text = mt_str_of(item->step_prompt[step]);
    size_t hole = step > 0 ? mt_str_find(text, MT_STR("{}")) : text.len;
    struct mt_str filling = step > 0 ? mt_str_trim(previous) : MT_STR("");
    struct mt_str after = mt_str_sub(text, hole + 2, text.len);

    if (filling.len >= MT_ITEM_PROMPT_MAX - text.len)
        return false;
    memcpy(out, text.at, hole);
    memcpy(out + hole, filling.at != NULL ? filling.at : "", filling.len);
    memcpy(out + hole + filling.len, after.at, after.len);
    out[hole + filling.len + after.len] = '\0';
    return true;
}

bool mt_item_is_right(const struct mt_item *item, struct mt_str answer)
{
    return mt_str_is(mt_str_trim(answer), item->answer);
}
