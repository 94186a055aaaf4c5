/* SPDX-License-Identifier: Apache-2.0 */
/* Chance as a function of numbers: the same everywhere, with no state to keep.
 * @source SplitMix64, Vigna 2015 */
#ifndef MT_TRAIN_MIX_H
#define MT_TRAIN_MIX_H

#include <stdint.h>

static inline uint64_t mt_train__mix(uint64_t value)
{
    value += 0x9e3779b97f4a7c15;
    value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9;
    value = (value ^ (value >> 27)) * 0x94d049bb133111eb;
    return value ^ (value >> 31);
}

#endif
