/* SPDX-License-Identifier: Apache-2.0 */
/* base/buf.h - a growing buffer of bytes with a maximum.
 *
 * Failure is sticky: the first append that finds no memory or passes the maximum is remembered
 * in rc, later appends do nothing, and whoever uses the bytes asks mt_buf_check() once. So
 * writers of JSON or SSE need no test per line. MT_BUF_SLACK readable bytes always follow the
 * content (simdjson reads ahead). Thread rule: belongs to its owner. */
#ifndef MT_BASE_BUF_H
#define MT_BASE_BUF_H

#include <stdarg.h>

#include "base/err.h"
#include "base/str.h"

enum { MT_BUF_SLACK = 64 };

struct mt_buf {
    char *at;   /* NULL until something is appended */
    size_t len; /* bytes of content */
    size_t max; /* content never grows past this; fixed at birth */
    mt_rc rc;   /* MT_OK, MT_E_NOMEM or MT_E_TOOBIG; sticky until mt_buf_clear() */
    size_t cap_;
};

#define MT_BUF_INIT(max_bytes) \
    {                          \
        .max = (max_bytes)     \
    }

void mt_buf_init(struct mt_buf *buf, size_t max_bytes);

/** Free the content; the buffer is as just initialised with the same maximum. */
void mt_buf_fini(struct mt_buf *buf);

/** Forget content and failure, keep the memory. */
void mt_buf_clear(struct mt_buf *buf);

void mt_buf_add(struct mt_buf *buf, struct mt_str text);
void mt_buf_add_cstr(struct mt_buf *buf, const char *text);
void mt_buf_add_char(struct mt_buf *buf, char c);
void mt_buf_addf(struct mt_buf *buf, const char *format, ...) MT_PRINTF(2, 3);
void mt_buf_vaddf(struct mt_buf *buf, const char *format, va_list args) MT_PRINTF(2, 0);
void mt_buf_add_i64(struct mt_buf *buf, int64_t value);

/** Room for n more bytes to be written at the answer and then claimed with mt_buf_grew();
 *  NULL (and a sticky failure) when there is none. */
char *mt_buf_reserve(struct mt_buf *buf, size_t n);
void mt_buf_grew(struct mt_buf *buf, size_t n);

/** Drop n bytes from the front; n is at most len. */
void mt_buf_consume(struct mt_buf *buf, size_t n);

/** Cut the content to len bytes; len is at most the present length. */
void mt_buf_cut(struct mt_buf *buf, size_t len);

/** The content; dies at the next change. */
struct mt_str mt_buf_str(const struct mt_buf *buf);

/** The content as C string (a NUL is kept behind it); "" when empty. Dies at the next change.
 */
const char *mt_buf_cstr(struct mt_buf *buf);

/** MT_OK, or the sticky failure told in err: "what: over the limit of N bytes". */
mt_rc mt_buf_check(const struct mt_buf *buf, const char *what, struct mt_err *err);

#endif
