/* SPDX-License-Identifier: Apache-2.0 */
#include "base/assert.h"
#include "skill_priv.h"

static const uint64_t golden = 0x9e3779b97f4a7c15;

uint64_t mt_draw__mix(uint64_t value)
{
    value += golden;
    value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9;
    value = (value ^ (value >> 27)) * 0x94d049bb133111eb;
    return value ^ (value >> 31);
}

uint64_t mt_draw__next(struct mt_draw *draw)
{
    uint64_t value = mt_draw__mix(draw->state);

    draw->state += golden;
    return value;
}

/* By multiplication; no number is likelier than another by more than n / 2^32. */
uint32_t mt_draw__below(struct mt_draw *draw, uint32_t n)
{
    MT_ASSERT(n > 0);
    return (uint32_t)(((mt_draw__next(draw) >> 32) * n) >> 32);
}

uint32_t mt_draw__between(struct mt_draw *draw, uint32_t low, uint32_t high)
{
    MT_ASSERT(low <= high);
    return low + mt_draw__below(draw, high - low + 1);
}
