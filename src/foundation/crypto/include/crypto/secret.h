/* SPDX-License-Identifier: Apache-2.0 */
/* crypto/secret.h - text that must not be printed, and random bytes that must not be guessed.
 *
 * A secret has no member a "%.*s" could take and no mt_str until mt_secret_view() is written
 * out, which a review can find. It is wiped when replaced or ended.
 * Thread rule: a secret belongs to its owner; the functions hold no state. */
#ifndef MT_CRYPTO_SECRET_H
#define MT_CRYPTO_SECRET_H

#include "base/err.h"
#include "base/str.h"

enum { MT_SECRET_MAX = 64 * 1024 };

struct mt_secret {
    void *hidden_; /* NULL = empty; private */
};

/** Replace the content by a copy of text; an empty text empties it.
 *  @return MT_OK, MT_E_NOMEM, MT_E_TOOBIG (over MT_SECRET_MAX); the old content stays then */
mt_rc mt_secret_set(struct mt_secret *secret, struct mt_str text, struct mt_err *err);

/** The content, NUL-terminated behind its end; borrowed, dies at the next set or fini. Only for
 *  the call that needs it. */
struct mt_str mt_secret_view(const struct mt_secret *secret);

bool mt_secret_is_empty(const struct mt_secret *secret);

/** Wipe and free; as just zeroed afterwards. */
void mt_secret_fini(struct mt_secret *secret);

/** Equal? In time that depends on the lengths only. */
bool mt_secret_eq(struct mt_str a, struct mt_str b);

/** Overwrite, not optimised away. */
void mt_wipe(void *at, size_t n);

/** Fill with bytes of the system's generator; cannot fail. */
void mt_random_bytes(void *to, size_t n);

#endif
