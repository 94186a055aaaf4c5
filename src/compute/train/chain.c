/* SPDX-License-Identifier: Apache-2.0 */
#include "train/chain.h"

#include "base/alloc.h"
#include "base/assert.h"

/* One step of the items that are at it with the same skill. */
struct round {
    char (*texts)[MT_ITEM_PROMPT_MAX]; /* [n] */
    struct mt_str *prompts;            /* [n] */
    struct mt_answer *said;            /* [n] */
    uint32_t *item_of;                 /* [n] */
};

static void free_round(struct round *round)
{
    mt_free(round->texts);
    mt_free(round->prompts);
    mt_free(round->said);
    mt_free(round->item_of);
}

static mt_rc new_round(uint32_t n, struct round *round, struct mt_err *err)
{
    round->texts = mt_alloc(n, sizeof *round->texts);
    round->prompts = mt_alloc(n, sizeof *round->prompts);
    round->said = mt_alloc(n, sizeof *round->said);
    round->item_of = mt_alloc(n, sizeof *round->item_of);
    if (round->texts == NULL || round->prompts == NULL || round->said == NULL ||
        round->item_of == NULL)
        return MT_FAIL(err, MT_E_NOMEM, "steps of %u items", n);
    return MT_OK;
}

/* Prompts of this step for all items whose step asks this skill; who was answered something
 * too long to go on with keeps the empty answer. */
static uint32_t gather(const struct mt_item *items, struct mt_answer *answers, uint32_t n,
                       uint32_t step, enum mt_skill skill, struct round *round)
{
    uint32_t asked_n = 0;

    for (uint32_t i = 0; i < n; i++) {
        if (step >= items[i].steps_n || items[i].step_skill[step] != skill)
            continue;
        struct mt_str previous = {answers[i].text, answers[i].len};
        bool fits = mt_item_step_prompt(&items[i], step, previous, round->texts[asked_n]);
        answers[i].len = 0;
        if (!fits)
            continue;
        round->prompts[asked_n] = mt_str_of(round->texts[asked_n]);
        round->item_of[asked_n] = i;
        asked_n++;
    }
    return asked_n;
}

mt_rc mt_chain_ask(const struct mt_chain *chain, const struct mt_item *items,
                   struct mt_answer *answers, uint32_t n, struct mt_err *err)
{
    MT_CLEANUP(free_round) struct round round = {0};

    MT_ASSERT(n > 0);
    MT_TRY(new_round(n, &round, err));
    for (uint32_t i = 0; i < n; i++)
        answers[i].len = 0;
    for (uint32_t step = 0; step < MT_ITEM_STEPS_MAX; step++) {
        for (unsigned skill = 0; skill < MT_SKILLS_N; skill++) {
            const struct mt_asker *asker = chain->of[skill];
            uint32_t asked_n = gather(items, answers, n, step, (enum mt_skill)skill, &round);
            if (asked_n == 0 || asker == NULL)
                continue;
            asker->ask(asker->context, round.prompts, round.said, asked_n);
            for (uint32_t i = 0; i < asked_n; i++)
                answers[round.item_of[i]] = round.said[i];
        }
    }
    return MT_OK;
}
