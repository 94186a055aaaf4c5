/* SPDX-License-Identifier: Apache-2.0 */
/* The daemon: MHD in external epoll mode, run at the end of a loop's turn.
 *
 * MHD is never run from inside an owner's call: what the owner asks for is noted, and the turn
 * carries it out. MHD_run has to be repeated as long as it has something to do, and only
 * sometimes says so: polled exchanges (see http_priv.h) keep it saying "at once". Then the
 * runs are counted that an answer needs (settle_n), and a tick looks after what that misses. */
#include "net/http_server.h"

#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "http_priv.h"

enum { RUNS_PER_TURN = 32, TICK_MS = 10 };

void mt_http__run_soon(struct mt_http_server *server, unsigned settle_n)
{
    server->has_run_to_do = true;
    if (server->settle_n < settle_n)
        server->settle_n = settle_n;
    if (!server->is_running)
        mt_loop__at_turn(server->loop, &server->turn);
}

void mt_http__due(struct mt_http_exchange *x)
{
    struct mt_http_server *server = mt_http__conn_of(x)->server;

    if (x->is_due)
        return;
    x->is_due = true;
    x->next_due = server->due_first;
    server->due_first = x;
    if (!server->is_running)
        mt_loop__at_turn(server->loop, &server->turn);
}

static void due_remove(struct mt_http_exchange *x)
{
    struct mt_http_exchange **at = &mt_http__conn_of(x)->server->due_first;

    if (!x->is_due)
        return;
    while (*at != x)
        at = &(*at)->next_due;
    *at = x->next_due;
    x->is_due = false;
}

void mt_http__gone(struct mt_http_exchange *x)
{
    struct mt_http_server *server = mt_http__conn_of(x)->server;

    x->is_dying = true;
    mt_http__due(x);
    if (x->is_gone || !x->is_told)
        return;
    x->is_gone = true;
    if (server->ops.on_gone != NULL)
        server->ops.on_gone(server->ctx, x);
}

/* Carry out what became possible or was asked for since the last run. */
static void attend(struct mt_http_exchange *x)
{
    struct mt_http_conn *conn = mt_http__conn_of(x);

    switch (x->step) {
    case MT_HTTP_STEP_NONE:
    case MT_HTTP_STEP_QUEUED:
        return; /* MHD calls when there is something to do */
    case MT_HTTP_STEP_REQUEST:
        if (x->is_dying)
            mt_http__conn_cut(conn);
        return;
    case MT_HTTP_STEP_WAITING:
        if (x->is_dying) {
            mt_http__unpark(x);
            mt_http__run_soon(conn->server, 2);
        } else if (x->response != NULL) {
            mt_http__unpark(x);
            (void)mt_http__x_queue(x); /* a failure has closed the exchange */
        }
        return;
    case MT_HTTP_STEP_STREAM:
        mt_http__stream_flush(x);
        return;
    }
}

static void attend_all(struct mt_http_server *server)
{
    while (server->due_first != NULL) {
        struct mt_http_exchange *x = server->due_first;

        server->due_first = x->next_due;
        x->is_due = false;
        attend(x);
    }
}

/* With polled exchanges MHD always wants more; then go by what the last run saw. */
static bool wants_more(struct mt_http_server *server)
{
    MHD_UNSIGNED_LONG_LONG timeout_ms;

    if (server->polled_n > 0)
        return server->is_progress || (server->has_read && server->reading_n > 0);
    return MHD_get_timeout(server->daemon, &timeout_ms) == MHD_YES && timeout_ms == 0;
}

static void on_tick(uv_timer_t *tick);

/* Run until nothing moves. What is still polled then is left to the tick. */
static void run_daemon(struct mt_http_server *server)
{
    bool more = server->has_run_to_do;

    for (int run = 0; more; run++) {
        if (run == RUNS_PER_TURN) {
            mt_http__run_soon(server, 0);
            mt_loop__at_turn(server->loop, &server->turn); /* others first */
            return;
        }
        server->is_progress = server->has_read = false;
        server->has_run_to_do = false;
        if (server->settle_n > 0)
            server->settle_n--;
        (void)MHD_run(server->daemon);
        attend_all(server);
        more = server->settle_n > 0 || server->has_run_to_do || wants_more(server);
    }
    if (server->polled_n > 0 && !uv_is_active((uv_handle_t *)&server->tick))
        (void)uv_timer_start(&server->tick, on_tick, TICK_MS, 0);
}

static void on_turn(void *owner)
{
    struct mt_http_server *server = owner;

    MT_ASSERT(!server->is_running);
    server->is_running = true;
    attend_all(server);
    run_daemon(server);
    server->is_running = false;
}

static void on_tick(uv_timer_t *tick)
{
    struct mt_http_server *server = tick->data;

    server->tick_n++;
    mt_http__run_soon(server, 1);
}

static void on_epoll(uv_poll_t *poll, int status, int events)
{
    (void)status;
    (void)events;
    mt_http__run_soon(poll->data, 0);
}

static struct mt_http_conn *conn_of_mhd(struct MHD_Connection *mhd)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

    return info->socket_context;
}

/* The request line is there, still as sent. */
void *mt_http__on_request_line(void *ctx, const char *target, struct MHD_Connection *mhd)
{
    struct mt_http_conn *conn = conn_of_mhd(mhd);

    (void)ctx;
    if (conn == NULL)
        return NULL; /* no memory when it came: on_request refuses */
    conn->x.began_ns = mt_loop_clock_ns();
    conn->x.is_bad_line = target == NULL || !mt_http__check_target(target);
    conn->x.target_end = target == NULL ? NULL : target + strlen(target) + 1;
    mt_http__conn_phase(conn, MT_HTTP_PHASE_HEAD);
    return conn;
}

static bool wants_continue(const struct mt_http_exchange *x)
{
    return mt_http_header(x, "Expect").len > 0;
}

static struct mt_http_flaw check_length(const struct mt_http_exchange *x, uint64_t max)
{
    struct mt_str text = mt_http_header(x, "Content-Length");
    int64_t length = 0;

    if (text.len > 0 && (!mt_str_to_i64(text, 0, INT64_MAX, &length) || (uint64_t)length > max))
        return (struct mt_http_flaw){413, "the body is over the limit"};
    return (struct mt_http_flaw){0, NULL};
}

/* Headers are complete: refuse, or tell the owner. */
static enum MHD_Result take_head(struct mt_http_conn *conn, const char *version)
{
    struct mt_http_server *server = conn->server;
    struct mt_http_exchange *x = &conn->x;
    struct mt_http_flaw flaw = mt_http__check_head(conn, version);

    x->step = MT_HTTP_STEP_REQUEST;
    server->reading_n++;
    server->has_read = true;
    x->is_chunked = strcmp(version, "HTTP/1.0") != 0;
    mt_http__conn_phase(conn, MT_HTTP_PHASE_BODY);
    if (flaw.status == 0)
        flaw = check_length(x, server->body_bytes_max);
    if (flaw.status != 0) {
        conn->lingers = true;
        mt_http__x_refuse(x, flaw.status, flaw.text);
    } else {
        x->is_told = true;
        server->open_n++;
        server->ops.on_headers(server->ctx, x);
        mt_http__conn_watch(conn);
    }
    if (x->is_dying)
        return MHD_NO;
    if (x->response != NULL && (flaw.status != 0 || wants_continue(x)))
        return mt_http__x_queue(x) ? MHD_YES : MHD_NO; /* early: MHD closes afterwards */
    return MHD_YES;
}

static enum MHD_Result take_body(struct mt_http_conn *conn, struct mt_str bytes)
{
    struct mt_http_server *server = conn->server;
    struct mt_http_exchange *x = &conn->x;

    server->has_read = true;
    x->body_n += bytes.len;
    if (x->body_n > server->body_bytes_max) {
        mt_http__conn_refuse(conn, 413, "the body is over the limit");
        conn->lingers = true;
        return MHD_NO;
    }
    mt_http__conn_phase(conn, MT_HTTP_PHASE_BODY);
    if (!x->is_answered && server->ops.on_body != NULL)
        server->ops.on_body(server->ctx, x, bytes);
    if (!x->is_dying && mt_http__conn_is_cut_short(conn))
        mt_http__gone(x);
    return x->is_dying ? MHD_NO : MHD_YES;
}

/* The request is complete: the first time this is news, after that MHD asks for the answer. */
static enum MHD_Result take_end(struct mt_http_conn *conn)
{
    struct mt_http_server *server = conn->server;
    struct mt_http_exchange *x = &conn->x;

    if (x->step == MT_HTTP_STEP_REQUEST) {
        x->step = MT_HTTP_STEP_WAITING;
        server->reading_n--;
        mt_http__conn_phase(conn, MT_HTTP_PHASE_BUSY);
        if (!x->is_answered && server->ops.on_request_end != NULL)
            server->ops.on_request_end(server->ctx, x);
    }
    if (conn->is_half_closed && x->response == NULL)
        mt_http__gone(x);
    if (x->is_dying)
        return MHD_NO;
    if (x->response != NULL) {
        mt_http__unpark(x);
        return mt_http__x_queue(x) ? MHD_YES : MHD_NO;
    }
    mt_http__conn_watch(conn);
    mt_http__park(x);
    return MHD_YES;
}

enum MHD_Result mt_http__on_request(void *ctx, struct MHD_Connection *mhd, const char *path,
                                    const char *method, const char *version, const char *body,
                                    size_t *body_len, void **request_ctx)
{
    struct mt_http_conn *conn = *request_ctx;
    struct mt_http_exchange *x;
    size_t len = *body_len;

    (void)ctx;
    if (conn == NULL)
        return MHD_NO;
    x = &conn->x;
    *body_len = 0;
    if (x->step == MT_HTTP_STEP_NONE) {
        MT_ASSERT(mhd == conn->mhd);
        x->method = method;
        x->path = path;
        return take_head(conn, version);
    }
    if (len > 0)
        return take_body(conn, (struct mt_str){body, len});
    return take_end(conn);
}

void mt_http__on_completed(void *ctx, struct MHD_Connection *mhd, void **request_ctx,
                           enum MHD_RequestTerminationCode code)
{
    struct mt_http_server *server = ctx;
    struct mt_http_conn *conn = *request_ctx;
    struct mt_http_exchange *x;

    (void)mhd;
    if (conn == NULL)
        return;
    x = &conn->x;
    server->is_progress = true; /* the next request may have been read already */
    if (x->step == MT_HTTP_STEP_REQUEST)
        server->reading_n--;
    if (x->polls > 0)
        server->polled_n--;
    x->polls = 0;
    if (x->is_file)
        server->files_n--;
    if (x->is_corked)
        mt_http__conn_cork(conn, false);
    if (x->is_told) {
        if (code != MHD_REQUEST_TERMINATED_COMPLETED_OK && !x->is_dying)
            mt_http__gone(x);
        server->open_n--;
        if (server->ops.on_closed != NULL)
            server->ops.on_closed(server->ctx, x);
    }
    due_remove(x);
    mt_http__x_reset(x);
    mt_http__conn_phase(conn, MT_HTTP_PHASE_IDLE);
}

void mt_http__on_connection(void *ctx, struct MHD_Connection *mhd, void **socket_ctx,
                            enum MHD_ConnectionNotificationCode code)
{
    struct mt_http_server *server = ctx;

    switch (code) {
    case MHD_CONNECTION_NOTIFY_STARTED:
        *socket_ctx = mt_http__conn_new(server, mhd);
        return;
    case MHD_CONNECTION_NOTIFY_CLOSED:
        if (*socket_ctx != NULL)
            mt_http__conn_free(*socket_ctx);
        *socket_ctx = NULL;
        return;
    }
}

uint16_t mt_http_server_port(const struct mt_http_server *server)
{
    return server->port;
}

unsigned mt_http_server_open_n(const struct mt_http_server *server)
{
    return server->open_n;
}

void mt_http__handle_closed(struct mt_http_server *server)
{
    MT_ASSERT(server->handles_n > 0);
    server->handles_n--;
    if (server->handles_n == 0)
        mt_free(server);
}

void mt_http__server_init(struct mt_http_server *server)
{
    uv_loop_t *uv = mt_loop_uv(server->loop);

    server->turn.fn = on_turn;
    server->turn.owner = server;
    (void)uv_timer_init(uv, &server->deadline); /* these two cannot fail */
    (void)uv_timer_init(uv, &server->tick);
    server->deadline.data = server->tick.data = server;
    server->handles_n = 2;
}

mt_rc mt_http__server_start(struct mt_http_server *server, struct mt_err *err)
{
    const union MHD_DaemonInfo *info =
        MHD_get_daemon_info(server->daemon, MHD_DAEMON_INFO_EPOLL_FD);
    int rc = uv_poll_init(mt_loop_uv(server->loop), &server->epoll, info->epoll_fd);

    if (rc != 0)
        return MT_FAIL(err, MT_E_IO, "http server: %s", uv_strerror(rc));
    server->epoll.data = server;
    server->has_epoll = true;
    server->handles_n++;
    rc = uv_poll_start(&server->epoll, UV_READABLE, on_epoll);
    if (rc != 0)
        return MT_FAIL(err, MT_E_IO, "http server: %s", uv_strerror(rc));
    mt_http__run_soon(server, 1); /* MHD adds its listening socket when it runs */
    return MT_OK;
}

static void on_handle_closed(uv_handle_t *handle)
{
    mt_http__handle_closed(handle->data);
}

void mt_http_server_drain(struct mt_http_server *server)
{
    struct mt_http_conn *next;
    int fd;

    if (server->is_draining)
        return;
    server->is_draining = true;
    fd = MHD_quiesce_daemon(server->daemon);
    if (fd >= 0)
        (void)close(fd);
    for (struct mt_http_conn *conn = server->list[MT_HTTP_PHASE_IDLE].first; conn != NULL;
         conn = next) {
        next = conn->next;
        mt_http__conn_cut(conn);
    }
    mt_http__run_soon(server, 1);
}

/* Suspended connections may not be there when the daemon stops. */
static void wake_all(struct mt_http_server *server)
{
    for (int phase = 0; phase < MT_HTTP_PHASE_COUNT; phase++)
        for (struct mt_http_conn *conn = server->list[phase].first; conn; conn = conn->next)
            mt_http__unpark(&conn->x);
}

void mt_http_server_free(struct mt_http_server *server)
{
    if (server == NULL)
        return;
    MT_ASSERT(!server->is_running && !server->is_closing);
    server->is_closing = true;
    server->is_running = true; /* nothing below may ask for another run */
    if (server->has_epoll)     /* before MHD closes the descriptor */
        uv_close((uv_handle_t *)&server->epoll, on_handle_closed);
    if (server->daemon != NULL) {
        wake_all(server);
        MHD_stop_daemon(server->daemon);
    }
    mt_http__lingers_end(server);
    mt_loop__drop_turn(server->loop, &server->turn);
    uv_close((uv_handle_t *)&server->deadline, on_handle_closed);
    uv_close((uv_handle_t *)&server->tick, on_handle_closed);
}
