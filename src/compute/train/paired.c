/* SPDX-License-Identifier: Apache-2.0 */
#include "train/paired.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "splitmix.h"

enum { ROUNDS = 2000, SEED = 1 };

static int difference(const bool *ours, const bool *theirs, size_t at)
{
    return (int)ours[at] - (int)theirs[at];
}

static double gain_of_draw(const bool *ours, const bool *theirs, uint32_t draw, uint32_t n)
{
    long sum = 0;

    for (uint32_t i = 0; i < n; i++)
        sum += difference(ours, theirs, (size_t)draw * n + i);
    return (double)sum / n;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;

    return (x > y) - (x < y);
}

/* How often each draw is drawn decides what a question is worth in this round. */
static double draw_again(const bool *ours, const bool *theirs, uint32_t draws_n, uint32_t n,
                         uint32_t *times, uint64_t *state)
{
    long sum = 0;

    for (uint32_t d = 0; d < draws_n; d++)
        times[d] = 0;
    for (uint32_t d = 0; d < draws_n; d++)
        times[splitmix_below(state, draws_n)]++;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t question = splitmix_below(state, n);

        for (uint32_t d = 0; d < draws_n; d++)
            sum += (long)times[d] * difference(ours, theirs, (size_t)d * n + question);
    }
    return (double)sum / ((double)draws_n * n);
}

mt_rc mt_paired_gain(const bool *ours, const bool *theirs, uint32_t draws_n,
                     uint32_t questions_n, struct mt_paired *out, struct mt_err *err)
{
    MT_CLEANUP(mt_freep) double *gains = mt_alloc(ROUNDS, sizeof *gains);
    MT_CLEANUP(mt_freep) uint32_t *times = mt_alloc(draws_n, sizeof *times);
    struct mt_paired found = {.gain_min = 1, .gain_max = -1};
    uint64_t state = SEED;

    MT_ASSERT(draws_n > 0 && questions_n > 0);
    if (gains == NULL || times == NULL)
        return MT_FAIL(err, MT_E_NOMEM, "paired difference");
    for (uint32_t d = 0; d < draws_n; d++) {
        double gain = gain_of_draw(ours, theirs, d, questions_n);
        found.gain += gain / draws_n;
        found.gain_min = gain < found.gain_min ? gain : found.gain_min;
        found.gain_max = gain > found.gain_max ? gain : found.gain_max;
    }
    for (uint32_t round = 0; round < ROUNDS; round++)
        gains[round] = draw_again(ours, theirs, draws_n, questions_n, times, &state);
    qsort(gains, ROUNDS, sizeof *gains, compare);
    found.low = gains[ROUNDS / 40];
    found.high = gains[ROUNDS - 1 - ROUNDS / 40];
    *out = found;
    return MT_OK;
}
