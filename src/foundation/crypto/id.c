/* SPDX-License-Identifier: Apache-2.0 */
/* Layout of the 128 bits, most significant first: 48 time, 16 high_, 64 low_. As text 26 digits
 * of five bits; the first digit holds three bits, so it is at most '7'. */
#include "crypto/id.h"

#include <string.h>

#include "base/assert.h"

enum { DRAW = 10 }; /* bytes of randomness per new millisecond */

static const char digits[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
static const uint64_t time_max = ((uint64_t)1 << 48) - 1;

void mt_id_gen_init(struct mt_id_gen *gen, mt_id_random_fn *random, void *arg)
{
    *gen = (struct mt_id_gen){.random_ = random, .arg_ = arg};
}

static void draw(struct mt_id_gen *gen)
{
    if (gen->left_ < DRAW) {
        gen->random_(gen->arg_, gen->pool_, sizeof gen->pool_);
        gen->left_ = sizeof gen->pool_;
    }
    const uint8_t *from = gen->pool_ + sizeof gen->pool_ - gen->left_;
    memcpy(&gen->low_, from, sizeof gen->low_);
    memcpy(&gen->high_, from + sizeof gen->low_, sizeof gen->high_);
    gen->high_ &= 0x7FFF; /* room to count up */
    gen->left_ -= DRAW;
}

static struct mt_id write_id(uint64_t time_ms, uint16_t high, uint64_t low)
{
    uint64_t upper = time_ms << 16 | high;
    struct mt_id id = {{0}};

    for (int i = 0; i < MT_ID_LEN; i++) {
        int shift = (MT_ID_LEN - 1 - i) * 5;
        uint64_t value = shift >= 64 ? upper >> (shift - 64) : low >> shift;
        if (shift < 64 && shift > 59)
            value |= upper << (64 - shift);
        id.text[i] = digits[value & 31];
    }
    return id;
}

static uint64_t clamp_ms(int64_t wall_ms)
{
    return wall_ms < 0 ? 0 : (uint64_t)wall_ms > time_max ? time_max : (uint64_t)wall_ms;
}

struct mt_id mt_id_next(struct mt_id_gen *gen, int64_t now_wall_ms)
{
    uint64_t now = clamp_ms(now_wall_ms);

    if (now > gen->last_ms_) {
        gen->last_ms_ = now;
        draw(gen);
    } else if (gen->low_ == 0 && gen->high_ == 0) { /* the first, at time 0 */
        draw(gen);
    } else {
        gen->low_++;
        gen->high_ = (uint16_t)(gen->high_ + (gen->low_ == 0));
        MT_ASSERT(gen->high_ != 0 || gen->low_ != 0);
    }
    return write_id(gen->last_ms_, gen->high_, gen->low_);
}

struct mt_id mt_id_floor(int64_t wall_ms)
{
    return write_id(clamp_ms(wall_ms), 0, 0);
}

static int digit_value(char c)
{
    const char *at = c != '\0' ? strchr(digits, c) : NULL;

    return at != NULL ? (int)(at - digits) : -1;
}

bool mt_id_is_valid(struct mt_str text)
{
    if (text.len != MT_ID_LEN || text.at[0] > '7')
        return false;
    for (size_t i = 0; i < text.len; i++) {
        if (digit_value(text.at[i]) < 0)
            return false;
    }
    return true;
}

int64_t mt_id_wall_ms(struct mt_str text)
{
    uint64_t value = 0;

    MT_ASSERT(mt_id_is_valid(text));
    for (size_t i = 0; i < 10; i++) /* 50 bits, of which the first two are zero */
        value = value << 5 | (uint64_t)digit_value(text.at[i]);
    return (int64_t)value;
}

struct mt_str mt_id_str(const struct mt_id *id)
{
    return (struct mt_str){id->text, strnlen(id->text, MT_ID_LEN)};
}
