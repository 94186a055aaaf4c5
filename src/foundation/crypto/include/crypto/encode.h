/* SPDX-License-Identifier: Apache-2.0 */
/* crypto/encode.h - bytes as text: hexadecimal and base64.
 *
 * Writers append to a buffer and leave failures in it (sticky, see base/buf.h); readers append
 * only when the whole text is well formed. Pure, any thread. @source RFC 4648 */
#ifndef MT_CRYPTO_ENCODE_H
#define MT_CRYPTO_ENCODE_H

#include "base/buf.h"

void mt_hex_add(struct mt_buf *out, struct mt_str bytes); /* lower case */

/** @return MT_OK, MT_E_INVALID (odd length or not a digit), MT_E_NOMEM, MT_E_TOOBIG */
mt_rc mt_hex_decode(struct mt_str hex, struct mt_buf *out, struct mt_err *err);

enum mt_base64 {
    MT_BASE64_STANDARD, /* '+' and '/', padded with '=' */
    MT_BASE64_URL,      /* '-' and '_', not padded */
};

void mt_base64_add(struct mt_buf *out, struct mt_str bytes, enum mt_base64 alphabet);

/** Padding may be there or not, but not in part; the unused bits of the last digit are zero; no
 *  white space.
 *  @return MT_OK, MT_E_INVALID (names the position), MT_E_NOMEM, MT_E_TOOBIG */
mt_rc mt_base64_decode(struct mt_str text, enum mt_base64 alphabet, struct mt_buf *out,
                       struct mt_err *err);

#endif
