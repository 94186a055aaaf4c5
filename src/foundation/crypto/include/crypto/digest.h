/* SPDX-License-Identifier: Apache-2.0 */
/* crypto/digest.h - SHA-256 and a fast checksum.
 *
 * Nothing here allocates or fails. Any thread; a struct mt_sha256 belongs to its owner. */
#ifndef MT_CRYPTO_DIGEST_H
#define MT_CRYPTO_DIGEST_H

#include "base/str.h"

enum { MT_DIGEST_BYTES = 32, MT_DIGEST_HEX = 64 };

struct mt_digest {
    uint8_t at[MT_DIGEST_BYTES];
};

/** A SHA-256 under way; copying the struct forks it. */
struct mt_sha256 {
    uint64_t state_[14];
};

/** Digest of all of text. @source FIPS 180-4 */
struct mt_digest mt_sha256(struct mt_str text);

/** In parts: begin, add any number of times, end once (which also wipes the state). */
void mt_sha256_begin(struct mt_sha256 *sha);
void mt_sha256_add(struct mt_sha256 *sha, struct mt_str text);
struct mt_digest mt_sha256_end(struct mt_sha256 *sha);

/** Compare in constant time. */
bool mt_digest_eq(const struct mt_digest *a, const struct mt_digest *b);

/** 64 hexadecimal digits in lower case and a NUL. */
void mt_digest_hex(const struct mt_digest *digest, char out[MT_DIGEST_HEX + 1]);

/** From exactly 64 hexadecimal digits of either case; false (and *out untouched) otherwise. */
bool mt_digest_from_hex(struct mt_str hex, struct mt_digest *out);

/** SipHash-2-4 under a seed: finds torn and damaged records; no defence against forgers. */
uint64_t mt_checksum(struct mt_str bytes, uint64_t seed);

#endif
