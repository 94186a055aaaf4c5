/* SPDX-License-Identifier: Apache-2.0 */
/* net/http_client.h - an HTTP client on a loop (libcurl multi inside).
 *
 * Keep-alive pools per host, HTTP/2 where the server has it (TLS), certificates verified,
 * proxies from the environment. Requests follow no redirects (credentials must not travel).
 * Thread rule: the loop's. Completion never runs inside mt_http_request(). */
#ifndef MT_NET_HTTP_CLIENT_H
#define MT_NET_HTTP_CLIENT_H

#include "base/err.h"
#include "base/str.h"
#include "net/loop.h"

struct mt_http_client;
struct mt_http_call;

struct mt_http_client_opts {
    unsigned connections_per_host_max; /* 0 = 1024 */
    unsigned idle_connections_max;     /* 0 = 256 */
    const char *ca_file; /* PEM: trusted instead of the system's authorities; NULL = those */
};

mt_rc mt_http_client_new(struct mt_loop *loop, const struct mt_http_client_opts *opts,
                         struct mt_http_client **out, struct mt_err *err);
/** Cancels calls in flight without their callbacks, and frees. Not from within the client's
 *  callbacks. NULL is allowed. */
void mt_http_client_free(struct mt_http_client *client);

enum mt_http_end {
    MT_HTTP_DONE,          /* the answer is complete */
    MT_HTTP_NOT_CONNECTED, /* resolving, connecting or TLS failed: nothing was sent */
    MT_HTTP_BROKEN,        /* the connection broke before the answer was complete */
    MT_HTTP_TIMED_OUT,     /* one of the timeouts, text says which */
    MT_HTTP_TOO_BIG,       /* the answer's header or a limit of the caller */
};

struct mt_http_call_ops {
    /** Status and headers are there (interim 1xx are skipped). Ask with mt_http_call_header().
     */
    void (*on_head)(void *ctx, struct mt_http_call *call, int status);
    /** A piece of the body as it came off the wire; borrowed. */
    void (*on_bytes)(void *ctx, struct mt_http_call *call, struct mt_str bytes);
    /** Last call, exactly once unless cancelled; afterwards the call is gone. err is NULL for
     * DONE. */
    void (*on_end)(void *ctx, struct mt_http_call *call, enum mt_http_end end,
                   const struct mt_err *err);
};

struct mt_http_header {
    const char *name;
    struct mt_str value;
};

struct mt_http_request {
    const char *method; /* "GET", "POST", "DELETE" */
    const char *url;    /* http:// or https:// */
    const struct mt_http_header *headers;
    size_t headers_n;
    struct mt_str body; /* borrowed until on_end, cancel, or mt_http_call_is_body_done() */
    int64_t connect_timeout_ms; /* 0 = 5 s */
    int64_t head_timeout_ms;    /* until the status line; 0 = none */
    int64_t idle_timeout_ms;    /* longest silence between pieces of the body; 0 = none */
    int64_t total_timeout_ms;   /* 0 = none */
    const char *ca_file;        /* PEM: trusted for this one; NULL = as the client is told */
    size_t receive_bytes; /* held to receive into while the call lasts; 0 = 16 KiB. Small for
                             many slow streams */
};

/** Start a request. Strings but the body are copied. Content-Length and Transfer-Encoding are
 *  the client's own to set; a body without Content-Type goes without one.
 *  @return MT_OK, MT_E_INVALID (URL or header), MT_E_NOMEM; then no callback will run */
mt_rc mt_http_request(struct mt_http_client *client, const struct mt_http_request *request,
                      const struct mt_http_call_ops *ops, void *ctx, struct mt_http_call **out,
                      struct mt_err *err);

/** A header of the answer, empty if none; lives until the call ends. Name in any case; the
 *  first of several. */
struct mt_str mt_http_call_header(const struct mt_http_call *call, const char *name);

/** What Retry-After asks for, in seconds or as a date: -1 if nothing that can be read, else 0
 *  (now, or a date gone by) to a day. A date counts from the answer's own Date, so that the
 *  server's clock need not agree with ours. */
int64_t mt_http_call_retry_after_ms(const struct mt_http_call *call);

/** Has the body been sent, or copied, so that it may go before the call ends? */
bool mt_http_call_is_body_done(const struct mt_http_call *call);

/** Hold back / let go the answer's bytes: back-pressure down to the socket. Over HTTP/2, where
 *  others share the socket, up to 64 MiB are kept instead (256 MiB of all calls); then the call
 *  ends as MT_HTTP_TOO_BIG. */
void mt_http_call_pause(struct mt_http_call *call);
void mt_http_call_resume(struct mt_http_call *call);

/** Close the connection of a call in flight (HTTP/2: reset the stream). No callback runs any
 *  more; the call is gone. May be called inside its own callbacks. */
void mt_http_call_cancel(struct mt_http_call *call);

#endif
