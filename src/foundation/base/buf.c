/* SPDX-License-Identifier: Apache-2.0 */
/* Invariants: len <= max; at == NULL or cap_ >= len + MT_BUF_SLACK; the slack's first byte is
 * NUL after every change. */
#include "base/buf.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/assert.h"

enum { FIRST_CAPACITY = 256 };

void mt_buf_init(struct mt_buf *buf, size_t max_bytes)
{
    *buf = (struct mt_buf){.max = max_bytes};
}

void mt_buf_fini(struct mt_buf *buf)
{
    mt_free(buf->at);
    mt_buf_init(buf, buf->max);
}

void mt_buf_clear(struct mt_buf *buf)
{
    buf->len = 0;
    buf->rc = MT_OK;
    if (buf->at != NULL)
        buf->at[0] = '\0';
}

/* Next capacity that holds need bytes: what is asked for at first, then doubling, but no more
 * than the maximum asks for. */
static size_t capacity_for(const struct mt_buf *buf, size_t need)
{
    if (buf->cap_ == 0 && need > FIRST_CAPACITY)
        return need;
    size_t cap = buf->cap_ > 0 ? buf->cap_ : FIRST_CAPACITY;

    while (cap < need)
        cap *= 2;
    size_t useful = buf->max + MT_BUF_SLACK;
    return useful >= need && cap > useful ? useful : cap;
}

char *mt_buf_reserve(struct mt_buf *buf, size_t n)
{
    if (buf->rc != MT_OK)
        return NULL;
    if (n > buf->max || buf->len > buf->max - n) {
        buf->rc = MT_E_TOOBIG;
        return NULL;
    }
    size_t need = buf->len + n + MT_BUF_SLACK;

    if (need > buf->cap_) {
        size_t cap = capacity_for(buf, need);
        char *grown = mt_realloc(buf->at, cap, 1);
        if (grown == NULL) {
            buf->rc = MT_E_NOMEM;
            return NULL;
        }
        grown[buf->len] = '\0';
        buf->at = grown;
        buf->cap_ = cap;
    }
    return buf->at + buf->len;
}

void mt_buf_grew(struct mt_buf *buf, size_t n)
{
    MT_ASSERT(buf->at != NULL && buf->len + n + MT_BUF_SLACK <= buf->cap_);
    buf->len += n;
    buf->at[buf->len] = '\0';
}

void mt_buf_add(struct mt_buf *buf, struct mt_str text)
{
    if (text.len == 0)
        return;
    char *to = mt_buf_reserve(buf, text.len);

    if (to == NULL)
        return;
    memcpy(to, text.at, text.len);
    mt_buf_grew(buf, text.len);
}

void mt_buf_add_cstr(struct mt_buf *buf, const char *text)
{
    mt_buf_add(buf, mt_str_of(text));
}

void mt_buf_add_char(struct mt_buf *buf, char c)
{
    mt_buf_add(buf, (struct mt_str){&c, 1});
}

void mt_buf_vaddf(struct mt_buf *buf, const char *format, va_list args)
{
    char small[256];
    va_list again;

    va_copy(again, args);
    int n = vsnprintf(small, sizeof small, format, args);
    if (n >= 0 && (size_t)n < sizeof small) {
        mt_buf_add(buf, (struct mt_str){small, (size_t)n});
    } else if (n >= 0) {
        char *to = mt_buf_reserve(buf, (size_t)n); /* the slack takes the NUL */
        if (to != NULL) {
            vsnprintf(to, (size_t)n + 1, format, again);
            mt_buf_grew(buf, (size_t)n);
        }
    }
    va_end(again);
}

void mt_buf_addf(struct mt_buf *buf, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    mt_buf_vaddf(buf, format, args);
    va_end(args);
}

void mt_buf_add_i64(struct mt_buf *buf, int64_t value)
{
    char digits[24];
    size_t at = sizeof digits;
    uint64_t left = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;

    do {
        digits[--at] = (char)('0' + left % 10);
        left /= 10;
    } while (left > 0);
    if (value < 0)
        digits[--at] = '-';
    mt_buf_add(buf, (struct mt_str){digits + at, sizeof digits - at});
}

void mt_buf_consume(struct mt_buf *buf, size_t n)
{
    MT_ASSERT(n <= buf->len);
    if (n == 0)
        return;
    memmove(buf->at, buf->at + n, buf->len - n);
    buf->len -= n;
    buf->at[buf->len] = '\0';
}

void mt_buf_cut(struct mt_buf *buf, size_t len)
{
    MT_ASSERT(len <= buf->len);
    buf->len = len;
    if (buf->at != NULL)
        buf->at[len] = '\0';
}

struct mt_str mt_buf_str(const struct mt_buf *buf)
{
    return (struct mt_str){buf->at, buf->len};
}

const char *mt_buf_cstr(struct mt_buf *buf)
{
    return buf->at != NULL ? buf->at : "";
}

mt_rc mt_buf_check(const struct mt_buf *buf, const char *what, struct mt_err *err)
{
    if (buf->rc == MT_E_TOOBIG)
        return MT_FAIL(err, MT_E_TOOBIG, "%s: over the limit of %zu bytes", what, buf->max);
    if (buf->rc != MT_OK)
        return MT_FAIL(err, MT_E_NOMEM, "%s: no memory after %zu bytes", what, buf->len);
    return MT_OK;
}
