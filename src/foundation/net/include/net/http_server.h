/* SPDX-License-Identifier: Apache-2.0 */
/* net/http_server.h - an HTTP/1.1 server on a loop (libmicrohttpd inside).
 *
 * The life of an exchange: on_headers -> on_body* -> on_request_end -> [the owner answers] ->
 * on_closed. The owner answers whole (mt_http_answer) or in pieces (mt_http_begin, then
 * _send... and _finish), at once or any time later on the same loop. on_closed is always the
 * last call, exactly once; after it the exchange is gone. When the client leaves first, on_gone
 * says so within milliseconds (RDHUP or reset), also while nothing is being sent; then
 * on_closed follows.
 *
 * The server refuses by itself, with the error body that the owner's error_body hook writes:
 * malformed requests, both Content-Length and Transfer-Encoding, headers over header_bytes_max
 * (431), bodies over body_bytes_max (413), headers not complete within header_timeout_ms and
 * bodies slower than body_timeout_ms between pieces (408). What libmicrohttpd cannot read at
 * all (no HTTP, no colon, an unreadable number of bytes, a header over header_bytes_max and
 * 2 KiB) gets its own page. After each refusal the connection is closed.
 * Thread rule: the loop's. */
#ifndef MT_NET_HTTP_SERVER_H
#define MT_NET_HTTP_SERVER_H

#include "base/err.h"
#include "base/str.h"
#include "net/loop.h"

struct mt_buf;
struct mt_http_server;
struct mt_http_exchange;

struct mt_http_server_ops {
    /** Method, path and headers are there. Store your own object with mt_http_set_user(). The
     *  answer may be given right here; the body is then drained and ignored. */
    void (*on_headers)(void *ctx, struct mt_http_exchange *x);
    /** A piece of the body; borrowed. */
    void (*on_body)(void *ctx, struct mt_http_exchange *x, struct mt_str bytes);
    /** The request is complete. */
    void (*on_request_end)(void *ctx, struct mt_http_exchange *x);
    /** A streamed answer's queue, full before (see mt_http_send), has room again. */
    void (*on_drained)(void *ctx, struct mt_http_exchange *x);
    /** The client left, or had to be cut off, before the answer was complete. */
    void (*on_gone)(void *ctx, struct mt_http_exchange *x);
    void (*on_closed)(void *ctx, struct mt_http_exchange *x);
    /** Body and content type for an error that the server itself answers. path may be empty. */
    void (*error_body)(void *ctx, struct mt_str path, int status, const char *text,
                       struct mt_buf *body, const char **content_type);
};

struct mt_http_server_opts {
    struct mt_str host;        /* address to bind; empty = 127.0.0.1; "::1", "0.0.0.0", ... */
    uint16_t port;             /* 0 = a free one, see mt_http_server_port() */
    size_t header_bytes_max;   /* 0 = 8 KiB; each connection holds this and 2 KiB more */
    size_t body_bytes_max;     /* 0 = 32 MiB */
    unsigned connections_max;  /* 0 = 10,000; more wait in the kernel's queue */
    int64_t header_timeout_ms; /* 0 = 10 s */
    int64_t body_timeout_ms;   /* 0 = 30 s */
    int64_t idle_timeout_ms;   /* keep-alive; 0 = 75 s */
    const char *tls_cert_file; /* NULL = plain HTTP; PEM */
    const char *tls_key_file;
    bool shares_port; /* SO_REUSEPORT: other loops (or processes) may listen on it as well */
};

mt_rc mt_http_server_new(struct mt_loop *loop, const struct mt_http_server_opts *opts,
                         const struct mt_http_server_ops *ops, void *ctx,
                         struct mt_http_server **out, struct mt_err *err);
uint16_t mt_http_server_port(const struct mt_http_server *server);

/** Stop accepting; exchanges in flight go on. */
void mt_http_server_drain(struct mt_http_server *server);
unsigned mt_http_server_open_n(const struct mt_http_server *server); /* exchanges in flight */

/** Close connections (on_gone and on_closed run for those in flight) and free. Not from within
 *  the server's callbacks. NULL is allowed. */
void mt_http_server_free(struct mt_http_server *server);

/* Request. Slices live until on_closed, but those of headers only until the answer begins. */
struct mt_str mt_http_method(const struct mt_http_exchange *x);
struct mt_str mt_http_path(const struct mt_http_exchange *x); /* decoded, without query */
struct mt_str mt_http_header(const struct mt_http_exchange *x,
                             const char *name); /* empty if none */
struct mt_str mt_http_query(const struct mt_http_exchange *x, const char *name);
struct mt_str mt_http_peer(const struct mt_http_exchange *x); /* "127.0.0.1:40112" */
int64_t
mt_http_began_ns(const struct mt_http_exchange *x); /* mt_loop_clock_ns at first header */
void mt_http_set_user(struct mt_http_exchange *x, void *user);
void *mt_http_user(const struct mt_http_exchange *x);

/* Answer. Name and value are copied; a value with CR, LF or NUL is refused (dropped). */
void mt_http_set_header(struct mt_http_exchange *x, const char *name, struct mt_str value);

/** Answer whole. The bytes are copied (or taken, with _take: *body is left empty).
 *  Out of memory closes the connection. */
void mt_http_answer(struct mt_http_exchange *x, int status, const char *content_type,
                    struct mt_str body);
void mt_http_answer_take(struct mt_http_exchange *x, int status, const char *content_type,
                         struct mt_buf *body);
/** Answer with an open file from its start (sendfile); the server closes fd. */
void mt_http_answer_file(struct mt_http_exchange *x, int status, const char *content_type,
                         int fd, uint64_t size_bytes);

/** Answer in pieces: each mt_http_send is passed on as a chunk of its own as soon as the socket
 *  takes it. Pieces that the socket does not take yet wait in a queue, which is bounded by its
 *  user: when it holds more than MT_HTTP_QUEUE_HIGH bytes mt_http_send says "pause", and
 *  on_drained comes when it is under half of that. */
enum { MT_HTTP_QUEUE_HIGH = 256 * 1024 };
enum mt_http_flow { MT_HTTP_GO_ON, MT_HTTP_PAUSE };
void mt_http_begin(struct mt_http_exchange *x, int status, const char *content_type);
enum mt_http_flow mt_http_send(struct mt_http_exchange *x, struct mt_str bytes);
void mt_http_finish(struct mt_http_exchange *x);

/** End a begun answer by cutting the connection, so that the client sees it is incomplete. */
void mt_http_abort(struct mt_http_exchange *x);

#endif
