/* SPDX-License-Identifier: Apache-2.0 */
/* A connection of the server: its time limits, its watch for the client's leaving, and its
 * socket where MHD does not write for us. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "http_priv.h"

enum { DEADLINE_SLACK_MS = 20, REFUSAL_BYTES_MAX = 64 * 1024 };

static void list_remove(struct mt_http_conn *conn)
{
    struct mt_http_server *server = conn->server;

    if (conn->prev == NULL)
        server->list[conn->phase].first = conn->next;
    else
        conn->prev->next = conn->next;
    if (conn->next == NULL)
        server->list[conn->phase].last = conn->prev;
    else
        conn->next->prev = conn->prev;
    conn->prev = conn->next = NULL;
}

static void list_append(struct mt_http_conn *conn)
{
    struct mt_http_server *server = conn->server;

    conn->prev = server->list[conn->phase].last;
    conn->next = NULL;
    if (conn->prev == NULL)
        server->list[conn->phase].first = conn;
    else
        conn->prev->next = conn;
    server->list[conn->phase].last = conn;
}

static void on_deadline(uv_timer_t *timer)
{
    struct mt_http_server *server = timer->data;

    server->deadline_at_ms = 0;
    mt_http__deadlines_run(server);
}

/* Have the timer fire at the latest a little after at_ms. Later connections of a list have
 * later deadlines, so a busy server starts it a few times a minute, not per request. */
static void deadline_by(struct mt_http_server *server, int64_t at_ms)
{
    int64_t now_ms = mt_loop_now_ms(server->loop);

    if (server->deadline_at_ms != 0 && server->deadline_at_ms <= at_ms + DEADLINE_SLACK_MS)
        return;
    server->deadline_at_ms = at_ms + DEADLINE_SLACK_MS;
    int64_t in_ms = server->deadline_at_ms - now_ms;
    (void)uv_timer_start(&server->deadline, on_deadline, in_ms > 0 ? (uint64_t)in_ms : 0, 0);
}

void mt_http__conn_phase(struct mt_http_conn *conn, enum mt_http_phase phase)
{
    struct mt_http_server *server = conn->server;

    list_remove(conn);
    conn->phase = phase;
    conn->since_ms = mt_loop_now_ms(server->loop);
    list_append(conn);
    if (server->limit_ms[phase] > 0)
        deadline_by(server, conn->since_ms + server->limit_ms[phase]);
}

/* One list: what is over its time goes, the first that is not sets the timer. */
static void expire(struct mt_http_server *server, enum mt_http_phase phase)
{
    int64_t limit_ms = server->limit_ms[phase];
    int64_t now_ms = mt_loop_now_ms(server->loop);

    for (;;) {
        struct mt_http_conn *conn = server->list[phase].first;

        if (conn == NULL || limit_ms == 0)
            return;
        if (now_ms - conn->since_ms < limit_ms) {
            deadline_by(server, conn->since_ms + limit_ms);
            return;
        }
        mt_http__conn_phase(conn, MT_HTTP_PHASE_BUSY); /* once is enough */
        if (phase != MT_HTTP_PHASE_IDLE)
            mt_http__conn_refuse(conn, 408,
                                 phase == MT_HTTP_PHASE_HEAD ? "the header came too slowly"
                                                             : "the body came too slowly");
        mt_http__conn_cut(conn);
    }
}

void mt_http__deadlines_run(struct mt_http_server *server)
{
    expire(server, MT_HTTP_PHASE_HEAD);
    expire(server, MT_HTTP_PHASE_IDLE);
    expire(server, MT_HTTP_PHASE_BODY);
}

int64_t mt_http__conn_send(struct mt_http_conn *conn, struct mt_str bytes,
                           enum mt_http_push push)
{
    int flags = MSG_NOSIGNAL | MSG_DONTWAIT | (push == MT_HTTP_MORE_COMES ? MSG_MORE : 0);
    ssize_t n;

    if (conn->tls != NULL) {
        n = gnutls_record_send(conn->tls, bytes.at, bytes.len);
        if (n == GNUTLS_E_AGAIN || n == GNUTLS_E_INTERRUPTED)
            return 0;
        return n < 0 ? -1 : n;
    }
    do
        n = send(conn->fd, bytes.at, bytes.len, flags);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return errno == EAGAIN || errno == EWOULDBLOCK ? 0 : -1;
    return n;
}

void mt_http__conn_cork(struct mt_http_conn *conn, bool is_corked)
{
    int cork = is_corked;

    (void)setsockopt(conn->fd, IPPROTO_TCP, TCP_CORK, &cork, sizeof cork);
}

void mt_http__conn_refuse(struct mt_http_conn *conn, int status, const char *text)
{
    MT_CLEANUP(mt_buf_fini) struct mt_buf body = MT_BUF_INIT(REFUSAL_BYTES_MAX);
    MT_CLEANUP(mt_buf_fini) struct mt_buf page = MT_BUF_INIT(REFUSAL_BYTES_MAX);
    const char *type = NULL;

    mt_http__error_body(conn->server, mt_str_of(conn->x.path), status, text, &body, &type);
    mt_buf_addf(&page,
                "HTTP/1.1 %d %s\r\nConnection: close\r\nContent-Type: %s\r\n"
                "Content-Length: %zu\r\n\r\n",
                status, mt_http__reason(status), type, body.len);
    mt_buf_add(&page, mt_buf_str(&body));
    if (page.rc == MT_OK)
        (void)mt_http__conn_send(conn, mt_buf_str(&page), MT_HTTP_PUSH); /* best effort */
}

bool mt_http__conn_is_cut_short(const struct mt_http_conn *conn)
{
    char next;

    return conn->is_half_closed && conn->x.response == NULL && conn->tls == NULL &&
           recv(conn->fd, &next, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}

void mt_http__conn_cut(struct mt_http_conn *conn)
{
    (void)shutdown(conn->fd, SHUT_RDWR); /* MHD sees the hang-up */
}

static void on_watch(uv_poll_t *watch, int status, int events);

/* Keep the watch as it has to be; only a change costs system calls. */
static void watch_update(struct mt_http_conn *conn)
{
    int wanted = 0;

    if (!conn->is_half_closed && conn->x.step != MT_HTTP_STEP_NONE)
        wanted = UV_DISCONNECT;
    if (conn->x.is_blocked)
        wanted |= UV_WRITABLE;
    if (wanted == 0 || wanted == conn->watched)
        return; /* a watch that is not needed now stays for the next request */
    if (!conn->has_watch) {
        if (uv_poll_init(mt_loop_uv(conn->server->loop), &conn->watch, conn->fd) != 0)
            return;
        conn->watch.data = conn;
        conn->has_watch = true;
    }
    if (uv_poll_start(&conn->watch, wanted, on_watch) == 0)
        conn->watched = wanted;
}

void mt_http__conn_watch(struct mt_http_conn *conn)
{
    watch_update(conn);
}

static void on_watch(uv_poll_t *watch, int status, int events)
{
    struct mt_http_conn *conn = watch->data;
    struct mt_http_exchange *x = &conn->x;

    if (status < 0 || (events & UV_DISCONNECT) != 0) {
        (void)uv_poll_stop(watch); /* level-triggered: it would fire for ever */
        conn->watched = 0;
        conn->is_half_closed = true;
        if (x->step == MT_HTTP_STEP_WAITING || x->step == MT_HTTP_STEP_STREAM ||
            (x->step == MT_HTTP_STEP_REQUEST && mt_http__conn_is_cut_short(conn)))
            mt_http__gone(x);
        return;
    }
    x->is_blocked = false;
    watch_update(conn);
    mt_http__due(x);
}

/* The address as text; "?" for what is not IP. */
static void fill_peer(struct mt_http_conn *conn)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(conn->mhd, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    const struct sockaddr *addr = info->client_addr;
    struct mt_buf text = MT_BUF_INIT(sizeof conn->peer - 1);
    char host[48] = "?";
    uint16_t port = 0;

    if (addr->sa_family == AF_INET) {
        struct sockaddr_in in;

        memcpy(&in, addr, sizeof in);
        (void)uv_ip4_name(&in, host, sizeof host);
        port = ntohs(in.sin_port);
    } else if (addr->sa_family == AF_INET6) {
        struct sockaddr_in6 in6;

        memcpy(&in6, addr, sizeof in6);
        (void)uv_ip6_name(&in6, host, sizeof host);
        port = ntohs(in6.sin6_port);
    }
    mt_buf_addf(&text, addr->sa_family == AF_INET6 ? "[%s]:%u" : "%s:%u", host, port);
    if (text.rc == MT_OK)
        memcpy(conn->peer, text.at, text.len);
    mt_buf_fini(&text);
}

struct mt_http_conn *mt_http__conn_new(struct mt_http_server *server,
                                       struct MHD_Connection *mhd)
{
    struct mt_http_conn *conn = mt_alloc(1, sizeof *conn);
    const union MHD_ConnectionInfo *fd =
        MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD);
    const union MHD_ConnectionInfo *tls =
        MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_GNUTLS_SESSION);

    if (conn == NULL)
        return NULL;
    conn->server = server;
    conn->mhd = mhd;
    conn->fd = fd->connect_fd;
    conn->tls = tls == NULL ? NULL : tls->tls_session;
    mt_http__x_reset(&conn->x);
    fill_peer(conn);
    conn->phase = MT_HTTP_PHASE_BUSY;
    list_append(conn);
    mt_http__conn_phase(conn, MT_HTTP_PHASE_HEAD);
    return conn;
}

static void on_watch_closed(uv_handle_t *handle)
{
    struct mt_http_conn *conn = handle->data;
    struct mt_http_server *server = conn->server;

    mt_free(conn); /* handle lived in it */
    mt_http__handle_closed(server);
}

void mt_http__conn_free(struct mt_http_conn *conn)
{
    list_remove(conn);
    mt_http__x_reset(&conn->x);
    if (conn->lingers)
        mt_http__linger(conn);
    if (!conn->has_watch) {
        mt_free(conn);
        return;
    }
    conn->server->handles_n++;
    uv_close((uv_handle_t *)&conn->watch, on_watch_closed);
}
