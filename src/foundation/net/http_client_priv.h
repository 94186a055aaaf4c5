/* SPDX-License-Identifier: Apache-2.0 */
/* The client's own view: one libcurl multi handle, its calls, its sockets.
 *
 * Calls keep their easy handle and are used again. What runs inside libcurl (in_curl) must not
 * remove handles: cancelling there is noted and done at the end of the turn. */
#ifndef MT_NET_HTTP_CLIENT_PRIV_H
#define MT_NET_HTTP_CLIENT_PRIV_H

#include <curl/curl.h>
#include <uv.h>

#include "base/buf.h"
#include "loop_priv.h"
#include "net/http_client.h"

struct mt_http_socket;

/* Request line and headers as libcurl wants them, in one block that is used again. */
struct mt_http_fields {
    char *block; /* owned */
    size_t cap;
    const char *url;
    struct curl_slist *list;
};

enum mt_http_call_state {
    MT_HTTP_CALL_FREE,
    MT_HTTP_CALL_ACTIVE,
    MT_HTTP_CALL_CANCELLED, /* waits for the end of the turn */
    MT_HTTP_CALL_ENDING,    /* inside on_end */
};

struct mt_http_call {
    struct mt_http_client *client;
    struct mt_http_call *prev; /* in the client's active or spare list */
    struct mt_http_call *next;
    CURL *easy;
    struct mt_http_call_ops ops;
    void *ctx;
    struct mt_http_fields fields;
    struct mt_str body;
    size_t body_at;        /* read so far, when it goes through read_body */
    size_t head_n;         /* bytes of header lines */
    int64_t connect_by_ms; /* 0 = no limit, as the next three */
    int64_t head_by_ms;
    int64_t total_by_ms;
    int64_t idle_limit_ms;
    int64_t last_ms; /* when the last piece came */
    enum mt_http_call_state state;
    const char *proxy; /* as the handle has it */
    bool has_custom_method;
    bool is_waiting;      /* begun inside libcurl, which takes it at the turn */
    size_t receive_bytes; /* fixed when the handle is made, as is ca_file */
    char *ca_file;        /* owned; NULL = the client's */
    bool is_body_copied;  /* libcurl sends its own copy once there is a connection */
    bool is_sent;         /* a connection was there for it */
    bool has_head;
    bool is_paused;   /* the owner wants no bytes */
    bool is_held;     /* libcurl has stopped */
    bool is_shared;   /* its connection carries other calls, too (HTTP/2) */
    bool is_finished; /* libcurl is done with it, as `result` says; kept bytes go first */
    bool is_flooded;  /* more came than may be kept */
    CURLcode result;
    struct mt_buf kept; /* http_kept.c */
    size_t kept_at;     /* given already */
    bool is_head_too_big;
    char error[CURL_ERROR_SIZE];
};

struct mt_http_client {
    struct mt_loop *loop;
    CURLM *multi;
    CURLSH *share;           /* TLS sessions */
    char *ca_file;           /* owned; NULL = the system's */
    const char *plain_proxy; /* for http://, from HTTP_PROXY; NULL = what libcurl finds */
    struct mt_http_socket **sockets; /* by descriptor */
    size_t sockets_n;
    struct mt_http_call *active;
    struct mt_http_call *spare;
    unsigned active_n;
    unsigned spare_n;
    unsigned idle_max;
    unsigned in_curl;
    size_t kept_bytes; /* of all calls */
    bool is_ending;    /* on_end is running */
    unsigned handles_n;
    int64_t deadline_at_ms; /* 0 = not started */
    uv_timer_t timer;       /* libcurl's */
    uv_timer_t deadline;    /* ours */
    struct mt_turn turn;
    bool has_proxy;
    bool is_kick_due;  /* libcurl wants to run now */
    bool is_sweep_due; /* cancelled or resumed calls */
};

/* http_fields.c */
mt_rc mt_http__fields_fill(struct mt_http_fields *fields, const struct mt_http_request *request,
                           struct mt_err *err);
bool mt_http__url_is_loopback(struct mt_str url);

/* http_socket.c */
int mt_http__on_socket(CURL *easy, curl_socket_t fd, int what, void *ctx, void *unused);
curl_socket_t mt_http__open_socket(void *ctx, curlsocktype purpose, struct curl_sockaddr *addr);
int mt_http__close_socket(void *ctx, curl_socket_t fd);

/* http_call.c */
mt_rc mt_http__call_new(struct mt_http_client *client, const struct mt_http_request *request,
                        struct mt_http_call **out, struct mt_err *err);
/** Was its handle made for requests of this kind? */
bool mt_http__call_suits(const struct mt_http_call *call,
                         const struct mt_http_request *request);
void mt_http__call_free(struct mt_http_call *call);
mt_rc mt_http__call_setup(struct mt_http_call *call, const struct mt_http_request *request,
                          struct mt_err *err);
/** The next instant at which the call is over one of its limits; INT64_MAX = never. */
int64_t mt_http__call_deadline_ms(const struct mt_http_call *call);
const char *mt_http__call_overdue(const struct mt_http_call *call, int64_t now_ms);

/* http_kept.c */
size_t mt_http__kept_n(const struct mt_http_call *call);
/** false: over a limit, or no memory. */
bool mt_http__kept_add(struct mt_http_call *call, struct mt_str bytes);
void mt_http__kept_give(struct mt_http_call *call);
void mt_http__kept_drop(struct mt_http_call *call);

/* http_client.c */
void mt_http__client_turn(struct mt_http_client *client);

/* Look for overdue calls at that time, or earlier. */
void mt_http__deadline_by(struct mt_http_client *client, int64_t at_ms);

#endif
