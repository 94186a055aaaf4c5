/* SPDX-License-Identifier: Apache-2.0 */
/* splitmix.h - numbers that look drawn, from a state of one word.
 * @source SplitMix64, Vigna 2015 */
#ifndef MT_TRAIN_SPLITMIX_H
#define MT_TRAIN_SPLITMIX_H

#include <stdint.h>

#include "mix.h"

static inline uint64_t splitmix_next(uint64_t *state)
{
    uint64_t value = mt_train__mix(*state);

    *state += 0x9e3779b97f4a7c15;
    return value;
}

/* Below n, of 32 bits. */
static inline uint32_t splitmix_below(uint64_t *state, uint32_t n)
{
    return (uint32_t)((splitmix_next(state) >> 32) * n >> 32);
}

#endif
