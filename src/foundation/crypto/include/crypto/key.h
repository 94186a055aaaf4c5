/* SPDX-License-Identifier: Apache-2.0 */
/* crypto/key.h - API keys of this node: `mk-` and 52 characters that carry 256 random bits.
 *
 * At rest a key is `sha256:` and 64 hexadecimal digits. A slow password hash (argon2, scrypt)
 * defends short secrets that people choose; against 256 random bits guessing is hopeless at any
 * speed, and this check stands before every request. For the same reason there is no salt.
 * Pure, any thread. */
#ifndef MT_CRYPTO_KEY_H
#define MT_CRYPTO_KEY_H

#include "crypto/digest.h"
#include "crypto/secret.h"

enum {
    MT_KEY_ENTROPY = 32,                   /* bytes that go into a key */
    MT_KEY_LEN = 3 + 52,                   /* characters of a key */
    MT_KEY_STORED_LEN = 7 + MT_DIGEST_HEX, /* characters of the stored form */
};

/** Write a key from 32 random bytes (mt_random_bytes, or mt_env_random in tests).
 *  @return MT_OK, MT_E_NOMEM */
mt_rc mt_key_make(const uint8_t entropy[MT_KEY_ENTROPY], struct mt_secret *out,
                  struct mt_err *err);

/** What is kept of a key: the digest, for a look-up table; any text may be asked. */
struct mt_digest mt_key_digest(struct mt_str key);

/** `sha256:HEX` of a key, NUL-terminated, for the configuration file. */
void mt_key_stored(struct mt_str key, char out[MT_KEY_STORED_LEN + 1]);

/** Read the stored form. @return MT_OK, MT_E_INVALID */
mt_rc mt_key_stored_parse(struct mt_str stored, struct mt_digest *out, struct mt_err *err);

#endif
