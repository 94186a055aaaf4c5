/* SPDX-License-Identifier: Apache-2.0 */
/* Closing without losing the last words.
 *
 * A socket that is closed while bytes of the request are still unread makes the kernel send a
 * reset, and a reset may overtake the refusal that was just written. So the descriptor of such
 * a connection is duplicated before MHD closes its own; what still comes is read and dropped
 * until the client is done, a second has passed or the bytes have run out.
 * @source RFC 9112, section 9.6 */
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "http_priv.h"

enum { LINGER_MS = 1000, LINGERS_MAX = 64, DROP_BYTES = 64 * 1024 };

struct mt_http_linger {
    struct mt_http_server *server;
    struct mt_http_linger *prev;
    struct mt_http_linger *next;
    uv_poll_t poll;
    uv_timer_t timer;
    int fd;
    int64_t left_n; /* bytes that may still come */
    unsigned handles_n;
};

static void on_handle_closed(uv_handle_t *handle)
{
    struct mt_http_linger *linger = handle->data;
    struct mt_http_server *server = linger->server;

    linger->handles_n--;
    if (linger->handles_n > 0)
        return;
    mt_free(linger);
    mt_http__handle_closed(server);
}

static void linger_end(struct mt_http_linger *linger)
{
    struct mt_http_server *server = linger->server;

    if (linger->prev == NULL)
        server->lingers = linger->next;
    else
        linger->prev->next = linger->next;
    if (linger->next != NULL)
        linger->next->prev = linger->prev;
    server->lingers_n--;
    uv_close((uv_handle_t *)&linger->timer, on_handle_closed);
    uv_close((uv_handle_t *)&linger->poll, on_handle_closed);
    (void)close(linger->fd);
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
    struct mt_http_linger *linger = poll->data;
    ssize_t n = recv(linger->fd, NULL, DROP_BYTES, MSG_DONTWAIT | MSG_TRUNC); /* no copy */

    (void)events;
    if (n > 0)
        linger->left_n -= n;
    if (n < 0 && (errno == EAGAIN || errno == EINTR) && status == 0)
        return;
    if (n <= 0 || linger->left_n <= 0)
        linger_end(linger);
}

static void on_timeout(uv_timer_t *timer)
{
    linger_end(timer->data);
}

static void linger_start(struct mt_http_linger *linger)
{
    struct mt_http_server *server = linger->server;

    linger->poll.data = linger->timer.data = linger;
    linger->handles_n = 2;
    linger->next = server->lingers;
    if (linger->next != NULL)
        linger->next->prev = linger;
    server->lingers = linger;
    server->lingers_n++;
    server->handles_n++;
    (void)uv_timer_init(mt_loop_uv(server->loop), &linger->timer);
    (void)uv_timer_start(&linger->timer, on_timeout, LINGER_MS, 0);
    if (uv_poll_start(&linger->poll, UV_READABLE, on_readable) != 0)
        linger_end(linger);
}

void mt_http__linger(struct mt_http_conn *conn)
{
    struct mt_http_server *server = conn->server;
    struct mt_http_linger *linger;
    int fd;

    if (server->is_closing || server->lingers_n >= LINGERS_MAX)
        return;
    fd = fcntl(conn->fd, F_DUPFD_CLOEXEC, 0);
    linger = fd < 0 ? NULL : mt_alloc(1, sizeof *linger);
    if (linger == NULL || uv_poll_init(mt_loop_uv(server->loop), &linger->poll, fd) != 0) {
        mt_free(linger);
        if (fd >= 0)
            (void)close(fd);
        return; /* then the reset may win */
    }
    linger->server = server;
    linger->fd = fd;
    linger->left_n = (int64_t)server->body_bytes_max;
    linger_start(linger);
}

void mt_http__lingers_end(struct mt_http_server *server)
{
    while (server->lingers != NULL)
        linger_end(server->lingers);
}
