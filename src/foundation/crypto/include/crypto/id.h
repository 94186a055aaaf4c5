/* SPDX-License-Identifier: Apache-2.0 */
/* crypto/id.h - receipts: 26 characters that sort by time and never repeat.
 *
 * A ULID: 48 bits of wall-clock milliseconds and 80 random bits, in Crockford's base 32. Within
 * one millisecond, or when the clock steps back, the random part counts up from the last, so
 * ids of one generator always grow. The clock and the randomness are the caller's.
 * Thread rule: a generator belongs to its owner. @source github.com/ulid/spec */
#ifndef MT_CRYPTO_ID_H
#define MT_CRYPTO_ID_H

#include "base/str.h"

enum { MT_ID_LEN = 26 };

/** NUL-terminated text of an id; all zero bytes = none. */
struct mt_id {
    char text[MT_ID_LEN + 1];
};

/** Fill n bytes at to with randomness. */
typedef void mt_id_random_fn(void *arg, void *to, size_t n);

struct mt_id_gen {
    mt_id_random_fn *random_;
    void *arg_;
    uint64_t last_ms_;
    uint16_t high_; /* upper 16 of the 80 random bits */
    uint64_t low_;
    size_t left_; /* random bytes not used yet */
    uint8_t pool_[320];
};

void mt_id_gen_init(struct mt_id_gen *gen, mt_id_random_fn *random, void *arg);

/** The next id, greater than all before. */
struct mt_id mt_id_next(struct mt_id_gen *gen, int64_t now_wall_ms);

/** The smallest id of a moment: ids made then or later are not smaller. */
struct mt_id mt_id_floor(int64_t wall_ms);

/** Is this the text of an id: 26 digits in upper case, in range? */
bool mt_id_is_valid(struct mt_str text);

/** The moment a valid id was made. */
int64_t mt_id_wall_ms(struct mt_str text);

struct mt_str mt_id_str(const struct mt_id *id);

#endif
