/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/key.h"

#include <string.h>

#include "base/assert.h"

static const char stored_prefix[] = "sha256:";

/* 256 bits as 52 base-32 digits, most significant first; the last digit holds one bit and four
 * zeros. Lower case without i, l, o and u: keys get read aloud and typed. */
static void add_base32(const uint8_t *bytes, char *to)
{
    static const char digits[] = "0123456789abcdefghjkmnpqrstvwxyz";
    unsigned held = 0;
    unsigned held_bits = 0;

    for (size_t i = 0; i < MT_KEY_ENTROPY; i++) {
        held = (held << 8) | bytes[i];
        held_bits += 8;
        for (; held_bits >= 5; held_bits -= 5)
            *to++ = digits[(held >> (held_bits - 5)) & 31];
        held &= (1u << held_bits) - 1;
    }
    *to = digits[(held << (5 - held_bits)) & 31];
}

mt_rc mt_key_make(const uint8_t entropy[MT_KEY_ENTROPY], struct mt_secret *out,
                  struct mt_err *err)
{
    char text[MT_KEY_LEN] = "mk-";

    add_base32(entropy, text + 3);
    mt_rc rc = mt_secret_set(out, (struct mt_str){text, sizeof text}, err);
    mt_wipe(text, sizeof text);
    return rc;
}

struct mt_digest mt_key_digest(struct mt_str key)
{
    return mt_sha256(key);
}

void mt_key_stored(struct mt_str key, char out[MT_KEY_STORED_LEN + 1])
{
    struct mt_digest digest = mt_key_digest(key);

    memcpy(out, stored_prefix, sizeof stored_prefix - 1);
    mt_digest_hex(&digest, out + sizeof stored_prefix - 1);
    MT_DEBUG_ASSERT(strlen(out) == MT_KEY_STORED_LEN);
}

mt_rc mt_key_stored_parse(struct mt_str stored, struct mt_digest *out, struct mt_err *err)
{
    struct mt_str prefix = {stored_prefix, sizeof stored_prefix - 1};

    if (!mt_str_starts(stored, prefix) ||
        !mt_digest_from_hex(mt_str_sub(stored, prefix.len, stored.len), out))
        return MT_FAIL(err, MT_E_INVALID,
                       "stored key: expected 'sha256:' and 64 hexadecimal digits, found %zu "
                       "characters",
                       stored.len);
    return MT_OK;
}
