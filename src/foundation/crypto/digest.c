/* SPDX-License-Identifier: Apache-2.0 */
/* OpenSSL's low-level SHA-256 on purpose: its state is a plain struct, so nothing allocates or
 * fails, and it uses the processor's SHA instructions. The EVP interface costs an allocation
 * and a look-up, more than the digest of a key. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "crypto/digest.h"

#include <openssl/sha.h>
#include <sodium.h>
#include <string.h>

#include "base/assert.h"
#include "crypto/secret.h"

_Static_assert(sizeof(SHA256_CTX) <= sizeof(struct mt_sha256), "the state fits");
_Static_assert(MT_DIGEST_BYTES == SHA256_DIGEST_LENGTH, "one size of digest");

void mt_sha256_begin(struct mt_sha256 *sha)
{
    *sha = (struct mt_sha256){0};
    MT_ASSERT(SHA256_Init((SHA256_CTX *)(void *)sha) == 1);
}

void mt_sha256_add(struct mt_sha256 *sha, struct mt_str text)
{
    if (text.len > 0)
        MT_ASSERT(SHA256_Update((SHA256_CTX *)(void *)sha, text.at, text.len) == 1);
}

struct mt_digest mt_sha256_end(struct mt_sha256 *sha)
{
    struct mt_digest out;

    MT_ASSERT(SHA256_Final(out.at, (SHA256_CTX *)(void *)sha) == 1);
    mt_wipe(sha, sizeof *sha);
    return out;
}

struct mt_digest mt_sha256(struct mt_str text)
{
    struct mt_sha256 sha;

    mt_sha256_begin(&sha);
    mt_sha256_add(&sha, text);
    return mt_sha256_end(&sha);
}

bool mt_digest_eq(const struct mt_digest *a, const struct mt_digest *b)
{
    return sodium_memcmp(a->at, b->at, sizeof a->at) == 0;
}

void mt_digest_hex(const struct mt_digest *digest, char out[MT_DIGEST_HEX + 1])
{
    sodium_bin2hex(out, MT_DIGEST_HEX + 1, digest->at, sizeof digest->at);
}

bool mt_digest_from_hex(struct mt_str hex, struct mt_digest *out)
{
    struct mt_digest value;
    size_t bytes_n = 0;

    if (hex.len != MT_DIGEST_HEX ||
        sodium_hex2bin(value.at, sizeof value.at, hex.at, hex.len, NULL, &bytes_n, NULL) != 0 ||
        bytes_n != sizeof value.at)
        return false;
    *out = value;
    return true;
}

uint64_t mt_checksum(struct mt_str bytes, uint64_t seed)
{
    unsigned char key[crypto_shorthash_KEYBYTES] = {0};
    unsigned char hash[crypto_shorthash_BYTES];
    uint64_t out;

    memcpy(key, &seed, sizeof seed);
    crypto_shorthash(hash, (const unsigned char *)(bytes.at ? bytes.at : ""), bytes.len, key);
    memcpy(&out, hash, sizeof out);
    return out;
}
