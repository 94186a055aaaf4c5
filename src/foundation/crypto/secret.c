/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/secret.h"

#include <sodium.h>
#include <string.h>

#include "base/alloc.h"
#include "base/assert.h"

struct hidden {
    size_t len;
    char text[];
};

mt_rc mt_secret_set(struct mt_secret *secret, struct mt_str text, struct mt_err *err)
{
    struct hidden *fresh = NULL;

    if (text.len > MT_SECRET_MAX)
        return MT_FAIL(err, MT_E_TOOBIG, "secret: %zu bytes, expected at most %d", text.len,
                       MT_SECRET_MAX);
    if (text.len > 0) {
        fresh = mt_alloc(1, sizeof *fresh + text.len + 1);
        if (fresh == NULL)
            return MT_FAIL(err, MT_E_NOMEM, "secret of %zu bytes", text.len);
        fresh->len = text.len;
        memcpy(fresh->text, text.at, text.len);
    }
    mt_secret_fini(secret); /* after the copy: text may be a view of this secret */
    secret->hidden_ = fresh;
    return MT_OK;
}

struct mt_str mt_secret_view(const struct mt_secret *secret)
{
    const struct hidden *hidden = secret->hidden_;

    if (hidden == NULL)
        return MT_STR("");
    return (struct mt_str){hidden->text, hidden->len};
}

bool mt_secret_is_empty(const struct mt_secret *secret)
{
    return secret->hidden_ == NULL;
}

void mt_secret_fini(struct mt_secret *secret)
{
    struct hidden *hidden = secret->hidden_;

    if (hidden != NULL)
        mt_wipe(hidden, sizeof *hidden + hidden->len);
    mt_free(hidden);
    secret->hidden_ = NULL;
}

bool mt_secret_eq(struct mt_str a, struct mt_str b)
{
    return a.len == b.len && (a.len == 0 || sodium_memcmp(a.at, b.at, a.len) == 0);
}

void mt_wipe(void *at, size_t n)
{
    sodium_memzero(at, n);
}

void mt_random_bytes(void *to, size_t n)
{
    MT_ASSERT(sodium_init() >= 0); /* once for the process, from whichever thread comes first */
    randombytes_buf(to, n);
}
