/* SPDX-License-Identifier: Apache-2.0 */
/* Two and three steps: an item of one skill, then what other skills do with its answer.
 *
 *   steps   "bob=31 cid=9 bob?"   "{}+38"   "{}*7"
 *   prompt  "bob=31 cid=9 bob? then it+38 then it*7"
 *
 * No chain holds a step that another one undoes or makes needless (sort after reverse, count
 * after sort), nor one whose answer can be had by picking from the prompt (compare at the end).
 */
#include <string.h>

#include "base/assert.h"
#include "skill_priv.h"

enum { TRIES_MAX = 100000 };

struct chain {
    enum mt_skill skills[MT_ITEM_STEPS_MAX];
    enum mt_difficulty first_max; /* harder first steps answer what the next cannot take */
};

static const struct chain two_steps[] = {
    {{MT_SKILL_LOOKUP, MT_SKILL_ADD}, MT_HARD},
    {{MT_SKILL_LOOKUP, MT_SKILL_SUBTRACT}, MT_HARD},
    {{MT_SKILL_LOOKUP, MT_SKILL_MULTIPLY}, MT_HARD},
    {{MT_SKILL_LOOKUP, MT_SKILL_REVERSE}, MT_HARD},
    {{MT_SKILL_COUNT, MT_SKILL_MULTIPLY}, MT_HARD},
    {{MT_SKILL_COMPARE, MT_SKILL_ADD}, MT_HARD},
    {{MT_SKILL_COMPARE, MT_SKILL_SUBTRACT}, MT_HARD},
    {{MT_SKILL_ADD, MT_SKILL_MULTIPLY}, MT_MIDDLE},
    {{MT_SKILL_MULTIPLY, MT_SKILL_SUBTRACT}, MT_MIDDLE},
    {{MT_SKILL_REVERSE, MT_SKILL_UPPER}, MT_HARD},
};

static const struct chain three_steps[] = {
    {{MT_SKILL_LOOKUP, MT_SKILL_ADD, MT_SKILL_MULTIPLY}, MT_HARD},
    {{MT_SKILL_LOOKUP, MT_SKILL_MULTIPLY, MT_SKILL_SUBTRACT}, MT_HARD},
    {{MT_SKILL_LOOKUP, MT_SKILL_SUBTRACT, MT_SKILL_MULTIPLY}, MT_HARD},
    {{MT_SKILL_LOOKUP, MT_SKILL_SORT, MT_SKILL_UPPER}, MT_HARD},
    {{MT_SKILL_COUNT, MT_SKILL_MULTIPLY, MT_SKILL_ADD}, MT_HARD},
    {{MT_SKILL_COUNT, MT_SKILL_ADD, MT_SKILL_MULTIPLY}, MT_HARD},
    {{MT_SKILL_COMPARE, MT_SKILL_SUBTRACT, MT_SKILL_MULTIPLY}, MT_MIDDLE},
    {{MT_SKILL_ADD, MT_SKILL_MULTIPLY, MT_SKILL_SUBTRACT}, MT_MIDDLE},
};

static void make_first(struct mt_draw *draw, const struct chain *chain, struct mt_item *out)
{
    const struct mt_skill_row *row = mt_skill__row(chain->skills[0]);
    struct mt_item first = {.skill = chain->skills[0], .difficulty = out->difficulty};

    if (first.difficulty > chain->first_max)
        first.difficulty = chain->first_max;
    row->make(draw, &row->grade[first.difficulty], &first);
    memcpy(out->step_prompt[0], first.prompt, sizeof first.prompt);
    memcpy(out->answer, first.answer, sizeof first.answer);
}

/* out->answer is what the steps so far come to. */
static bool try_chain(struct mt_draw *draw, const struct chain *chain, struct mt_item *out)
{
    make_first(draw, chain, out);
    out->step_skill[0] = chain->skills[0];
    for (uint32_t i = 1; i < out->steps_n; i++) {
        struct mt_step step = {0};
        if (!mt_skill__row(chain->skills[i])->extend(draw, out, chain->skills[i], &step))
            return false;
        out->step_skill[i] = chain->skills[i];
        memcpy(out->step_prompt[i], step.prompt, sizeof step.prompt);
        memcpy(out->answer, step.answer, sizeof step.answer);
    }
    return true;
}

/* The steps one behind the other, each "{}" called "it". */
static void write_prompt(struct mt_item *item)
{
    size_t at = 0;

    for (uint32_t i = 0; i < item->steps_n; i++) {
        const char *step = item->step_prompt[i];
        const char *hole = i > 0 ? strchr(step, '{') : NULL;
        size_t before = hole != NULL ? (size_t)(hole - step) : strlen(step);
        mt_skill__print(item->prompt + at, sizeof item->prompt - at, "%s%.*s%s%s",
                        i > 0 ? " then " : "", (int)before, step, hole != NULL ? "it" : "",
                        hole != NULL ? hole + 2 : "");
        at += strlen(item->prompt + at);
    }
}

void mt_skill__make_steps(struct mt_draw *draw, const struct mt_grade *grade,
                          struct mt_item *out)
{
    bool is_two = out->skill == MT_SKILL_TWO_STEPS;
    const struct chain *chains = is_two ? two_steps : three_steps;
    uint32_t chains_n =
        (uint32_t)(is_two ? MT_ARRAY_LEN(two_steps) : MT_ARRAY_LEN(three_steps));
    const struct chain *chain = &chains[mt_draw__below(draw, chains_n)];
    uint32_t tries = 0;

    (void)grade;
    out->steps_n = mt_skill_info(out->skill)->steps_n;
    while (!try_chain(draw, chain, out)) {
        tries++;
        MT_ASSERT(tries < TRIES_MAX); /* every chain of the tables can be made */
    }
    write_prompt(out);
}
