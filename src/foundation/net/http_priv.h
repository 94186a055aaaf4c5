/* SPDX-License-Identifier: Apache-2.0 */
/* The server's own view: a daemon, its connections, and the one exchange each can hold.
 *
 * A connection stands in exactly one list, that of its phase. Each phase but BUSY has one
 * time limit for all, so each list is in order of its deadlines and one timer serves all.
 *
 * An exchange and libmicrohttpd (MHD): a request that is complete but not answered is not
 * suspended at once, because suspending costs five system calls. MHD then asks us about it on
 * every run ("poll"), which is cheap for a few; an exchange polled POLLS_MAX times, or found
 * waiting by two ticks, is suspended. Pieces of a streamed answer do not pass through MHD at
 * all: when it has sent the head it is parked in its content callback, we write chunks to the
 * socket ourselves, and it writes the final one. */
#ifndef MT_NET_HTTP_PRIV_H
#define MT_NET_HTTP_PRIV_H

#include <gnutls/gnutls.h>
#include <microhttpd.h>
#include <uv.h>

#include "base/buf.h"
#include "loop_priv.h"
#include "net/http_server.h"

struct mt_http_conn;

enum mt_http_phase {
    MT_HTTP_PHASE_HEAD, /* connected or request line seen: the header has to come */
    MT_HTTP_PHASE_IDLE, /* between two requests */
    MT_HTTP_PHASE_BODY, /* the body has to come */
    MT_HTTP_PHASE_BUSY, /* our turn, no limit */
};
enum { MT_HTTP_PHASE_COUNT = MT_HTTP_PHASE_BUSY + 1 };

enum mt_http_step {
    MT_HTTP_STEP_NONE,    /* no request yet */
    MT_HTTP_STEP_REQUEST, /* headers are there, the body is coming */
    MT_HTTP_STEP_WAITING, /* request complete, no answer with MHD yet */
    MT_HTTP_STEP_QUEUED,  /* MHD has the answer and sends it, or its head */
    MT_HTTP_STEP_STREAM,  /* MHD is parked, pieces go straight to the socket */
};

struct mt_http_exchange {
    struct mt_http_exchange *next_due;
    void *user;
    const char *method; /* these three are MHD's memory and live until the exchange is closed */
    const char *path;
    const char *target_end;        /* behind the NUL of the request target as it was sent */
    struct MHD_Response *response; /* the answer until MHD has it; owned */
    int status;
    enum mt_http_step step;
    unsigned polls; /* times MHD asked in vain */
    uint64_t parked_at_tick;
    uint64_t body_n; /* bytes of body so far */
    int64_t began_ns;
    struct mt_buf head; /* headers of the answer to come: name NUL value NUL ... */
    struct mt_buf out;  /* pieces of a streamed answer the socket has not taken, framed */
    bool is_due;        /* stands in the server's list */
    bool is_told;       /* the owner knows of it */
    bool is_answered;   /* the owner has answered or begun to */
    bool is_stream;
    bool is_file;
    bool is_corked;   /* the head waits in the socket for the first pieces */
    bool is_bodiless; /* HEAD, 204, 304: pieces are dropped */
    bool is_chunked;  /* HTTP/1.1; an HTTP/1.0 stream ends with its connection */
    bool is_finished;
    bool is_suspended;
    bool is_paused;   /* the owner was told to pause */
    bool is_blocked;  /* the socket is full */
    bool is_gone;     /* the owner was told that the client left */
    bool is_dying;    /* cut the connection as soon as MHD asks */
    bool is_bad_line; /* the request line was not acceptable */
};

struct mt_http_conn {
    struct mt_http_server *server;
    struct MHD_Connection *mhd;
    gnutls_session_t tls; /* NULL for plain HTTP */
    int fd;
    int watched; /* events that watch looks for; 0 = stopped */
    enum mt_http_phase phase;
    bool has_watch; /* watch is initialised: memory goes in its close callback */
    bool is_half_closed;
    bool lingers; /* bytes of a refused request are still coming */
    struct mt_http_conn *prev;
    struct mt_http_conn *next;
    int64_t since_ms; /* in this phase */
    uv_poll_t watch;
    char peer[64];
    struct mt_http_exchange x;
};

struct mt_http_server {
    struct mt_loop *loop;
    struct mt_http_server_ops ops;
    void *ctx;
    struct MHD_Daemon *daemon;
    uint16_t port;
    size_t header_bytes_max;
    uint64_t body_bytes_max;
    int64_t limit_ms[MT_HTTP_PHASE_COUNT]; /* 0 = none */
    struct {
        struct mt_http_conn *first;
        struct mt_http_conn *last;
    } list[MT_HTTP_PHASE_COUNT];
    struct mt_turn turn;
    struct mt_http_exchange *due_first;
    struct mt_http_linger *lingers;
    unsigned lingers_n;
    unsigned files_n; /* answers that are files: MHD sends them in many runs */
    uv_poll_t epoll;
    uv_timer_t deadline;
    uv_timer_t tick;
    int64_t deadline_at_ms; /* when deadline fires; 0 = not started */
    unsigned handles_n;     /* libuv handles that are not closed; the last one frees */
    unsigned open_n;        /* exchanges the owner knows of */
    unsigned polled_n;      /* exchanges that MHD asks about on every run */
    unsigned settle_n;      /* runs that MHD needs to carry out what it was given */
    unsigned reading_n;     /* exchanges whose body is coming */
    uint64_t tick_n;        /* ticks so far: what waits across two of them is suspended */
    bool is_progress;       /* the last run ended an exchange */
    bool has_read;          /* the last run read from a request */
    bool is_running;
    bool is_draining;
    bool is_closing;
    bool has_run_to_do;
    bool has_epoll;
};

static inline struct mt_http_conn *mt_http__conn_of(struct mt_http_exchange *x)
{
    return MT_CONTAINER(x, struct mt_http_conn, x);
}

static inline const struct mt_http_conn *mt_http__conn_seen(const struct mt_http_exchange *x)
{
    return (const void *)((const char *)x - offsetof(struct mt_http_conn, x));
}

/* http_conn.c */
struct mt_http_conn *mt_http__conn_new(struct mt_http_server *server,
                                       struct MHD_Connection *mhd);
void mt_http__conn_free(struct mt_http_conn *conn);
void mt_http__conn_phase(struct mt_http_conn *conn, enum mt_http_phase phase);
/** Send what the socket takes now: bytes taken, 0 when it is full, -1 when it is dead. */
enum mt_http_push { MT_HTTP_PUSH, MT_HTTP_MORE_COMES };
int64_t mt_http__conn_send(struct mt_http_conn *conn, struct mt_str bytes,
                           enum mt_http_push push);
/** Hold small segments back, or let them go. */
void mt_http__conn_cork(struct mt_http_conn *conn, bool is_corked);
/** Write an error answer where MHD gives no chance to; the caller closes the connection. */
void mt_http__conn_refuse(struct mt_http_conn *conn, int status, const char *text);
/** Has the client left before its request was complete, with all it said read? MHD does not see
 *  an end that comes together with the last bytes: it hears of both at once and reads once. */
bool mt_http__conn_is_cut_short(const struct mt_http_conn *conn);
/** Wake MHD so that it finds the connection closed. */
void mt_http__conn_cut(struct mt_http_conn *conn);
/** Look for the client's leaving, and for room in the socket when asked to. */
void mt_http__conn_watch(struct mt_http_conn *conn);
void mt_http__deadlines_run(struct mt_http_server *server);

/* http_linger.c */
void mt_http__linger(struct mt_http_conn *conn);
void mt_http__lingers_end(struct mt_http_server *server);

/* http_server.c */
void mt_http__server_init(struct mt_http_server *server);
mt_rc mt_http__server_start(struct mt_http_server *server, struct mt_err *err);
void *mt_http__on_request_line(void *ctx, const char *target, struct MHD_Connection *mhd);
enum MHD_Result mt_http__on_request(void *ctx, struct MHD_Connection *mhd, const char *path,
                                    const char *method, const char *version, const char *body,
                                    size_t *body_len, void **request_ctx);
void mt_http__on_completed(void *ctx, struct MHD_Connection *mhd, void **request_ctx,
                           enum MHD_RequestTerminationCode code);
void mt_http__on_connection(void *ctx, struct MHD_Connection *mhd, void **socket_ctx,
                            enum MHD_ConnectionNotificationCode code);
void mt_http__due(struct mt_http_exchange *x);
void mt_http__run_soon(struct mt_http_server *server, unsigned settle_n);
void mt_http__handle_closed(struct mt_http_server *server);
void mt_http__gone(struct mt_http_exchange *x);

/* http_answer.c */
void mt_http__x_reset(struct mt_http_exchange *x);
/** Give the answer to MHD. False: it has closed the connection. */
bool mt_http__x_queue(struct mt_http_exchange *x);
/** An error of the server's own, with the owner's words, as answer of the exchange. */
void mt_http__x_refuse(struct mt_http_exchange *x, int status, const char *text);
void mt_http__error_body(struct mt_http_server *server, struct mt_str path, int status,
                         const char *text, struct mt_buf *body, const char **content_type);
const char *mt_http__reason(int status);

/* http_stream.c */
ssize_t mt_http__stream_pull(void *ctx, uint64_t at, char *into, size_t max);
/** Write what waits; ends or pauses the stream as its socket and owner say. */
void mt_http__stream_flush(struct mt_http_exchange *x);
/** MHD asked about an exchange that has nothing to say: suspend it or let it ask again. */
void mt_http__park(struct mt_http_exchange *x);
void mt_http__unpark(struct mt_http_exchange *x);

/* http_strict.c */
struct mt_http_flaw {
    int status; /* 0 = none */
    const char *text;
};
struct mt_http_flaw mt_http__check_head(struct mt_http_conn *conn, const char *version);
bool mt_http__check_target(const char *target);

#endif
