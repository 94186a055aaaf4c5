/* SPDX-License-Identifier: Apache-2.0 */
#include "train/cooperate_pair.h"

#include <stdio.h>

#include "base/alloc.h"

enum { TOGETHER = 128, FIRST = 0, SECOND };

struct mt_coop_pair {
    struct mt_attempter *agents[MT_COOP_AGENTS];
    struct mt_item second[TOGETHER];
};

void mt_coop_second(const struct mt_item *item, struct mt_str said, struct mt_item *out)
{
    struct mt_str shown = mt_str_sub(said, 0, MT_COOP_SAID_MAX);

    *out = *item;
    (void)snprintf(out->prompt, sizeof out->prompt, "%.*s | %.*s",
                   (int)(sizeof out->prompt - MT_COOP_SAID_MAX - sizeof " | "), item->prompt,
                   MT_STR_ARG(shown));
}

mt_rc mt_coop_pair_new(const struct mt_shape *const shapes[MT_COOP_AGENTS],
                       const float *const params[MT_COOP_AGENTS], struct mt_coop_pair **out,
                       struct mt_err *err)
{
    MT_CLEANUP(mt_coop_pair_freep) struct mt_coop_pair *pair = mt_alloc(1, sizeof *pair);

    if (pair == NULL)
        return MT_FAIL(err, MT_E_NOMEM, "attempts of a pair");
    for (int a = 0; a < MT_COOP_AGENTS; a++)
        MT_TRY(mt_attempter_new(shapes[a], params[a], &pair->agents[a], err));
    *out = MT_MOVE(pair);
    return MT_OK;
}

void mt_coop_pair_free(struct mt_coop_pair *pair)
{
    if (pair == NULL)
        return;
    for (int a = 0; a < MT_COOP_AGENTS; a++)
        mt_attempter_free(pair->agents[a]);
    mt_free(pair);
}

void mt_coop_pair_freep(struct mt_coop_pair **pair)
{
    mt_coop_pair_free(*pair);
    *pair = NULL;
}

static void try_second(struct mt_coop_pair *pair, int a, const struct mt_item *items,
                       uint32_t n, const struct mt_attempt *other, struct mt_attempt *out)
{
    for (uint32_t i = 0; i < n; i++)
        mt_coop_second(&items[i], mt_str_of(other[i].said), &pair->second[i]);
    mt_attempter_try(pair->agents[a], pair->second, n, out);
}

void mt_coop_pair_try(struct mt_coop_pair *pair, const struct mt_item *items, uint32_t n,
                      struct mt_attempt *const out[MT_COOP_TURNS][MT_COOP_AGENTS])
{
    for (int a = 0; a < MT_COOP_AGENTS; a++)
        mt_attempter_try(pair->agents[a], items, n, out[FIRST][a]);
    for (int a = 0; a < MT_COOP_AGENTS; a++) {
        const struct mt_attempt *other = out[FIRST][MT_COOP_AGENTS - 1 - a];

        for (uint32_t at = 0; at < n; at += TOGETHER)
            try_second(pair, a, items + at, n - at < TOGETHER ? n - at : TOGETHER, other + at,
                       out[SECOND][a] + at);
    }
}
