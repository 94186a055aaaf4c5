/* SPDX-License-Identifier: Apache-2.0 */
/* http1.h - one HTTP/1.1 message read off a byte stream, for the benchmark tools.
 *
 * Both tools use it: the mock upstream reads requests, the load driver reads answers.
 * It shares nothing with motet's own HTTP code on purpose: a fault there must not be
 * able to hide behind the same fault here.
 *
 * Feed bytes as they arrive; the parser stops at the end of the message and says how
 * much it took. The body is kept whole, with the transfer coding removed. */
#ifndef BENCH_HTTP1_H
#define BENCH_HTTP1_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { HTTP1_HEAD_BYTES_MAX = 16384, HTTP1_BODY_BYTES_MAX = 8 << 20 };

enum http1_state {
    HTTP1_HEAD,       /* collecting the head */
    HTTP1_SIZED,      /* body of a known length */
    HTTP1_CHUNK_SIZE, /* line with the size of the next chunk */
    HTTP1_CHUNK_DATA, /* inside a chunk */
    HTTP1_CHUNK_END,  /* line end after a chunk */
    HTTP1_TRAILER,    /* lines after the last chunk */
    HTTP1_UNTIL_EOF,  /* answer without a length: ends when the peer closes */
    HTTP1_DONE,       /* whole message read */
    HTTP1_TOO_BIG,    /* head or body over the maximum */
    HTTP1_BAD,        /* not HTTP/1.1 */
};

struct http1 {
    enum http1_state state;
    int status;          /* answers only; 0 for a request */
    bool wants_continue; /* request with "Expect: 100-continue" */
    bool wants_close;    /* "Connection: close" */
    size_t head_len;     /* bytes in head[], blank line included */
    uint64_t left;       /* bytes still to come of the body or of this chunk */
    size_t line_len;     /* bytes in line[]: a chunk size or trailer line so far */
    char *body;          /* owned; not NUL-terminated */
    size_t body_len;
    size_t body_cap;
    char line[32];
    char head[HTTP1_HEAD_BYTES_MAX];
};

/** Start a new message; the body's storage is kept for the next one. A zeroed struct
 * is ready as well. */
void http1_reset(struct http1 *m);

/** Free the body's storage. */
void http1_fini(struct http1 *m);

/** Take bytes of the message. @return how many were taken; fewer than len only when the
 * state has become DONE, TOO_BIG or BAD. */
size_t http1_feed(struct http1 *m, const char *at, size_t len);

/** The peer closed. @return true if that completes the message. */
bool http1_eof(struct http1 *m);

/** True between the end of the head and the end of the body. */
bool http1_in_body(const struct http1 *m);

#endif
