/* SPDX-License-Identifier: Apache-2.0 */
/* libcurl's sockets on the loop.
 *
 * libcurl lets go of a socket after each transfer and takes it up again with the next one on
 * the same connection. Our own sockets (those it opened through open_socket) stay armed for
 * reading meanwhile: two epoll_ctl calls saved per transfer. One that has news while nobody
 * wants it (the server closed it) is disarmed. The resolver's descriptors are not ours and
 * are forgotten at once, for libcurl closes them without a word. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "http_client_priv.h"

enum { SOCKETS_MAX = 1 << 20 };

struct mt_http_socket {
    struct mt_http_client *client;
    uv_poll_t poll;
    int fd;
    int wanted; /* what libcurl waits for */
    int armed;  /* what poll looks for */
    bool is_ours;
};

static void on_closed(uv_handle_t *handle)
{
    mt_free(handle->data);
}

static struct mt_http_socket *find(struct mt_http_client *client, curl_socket_t fd)
{
    return (size_t)fd < client->sockets_n ? client->sockets[fd] : NULL;
}

static bool table_holds(struct mt_http_client *client, curl_socket_t fd)
{
    size_t n = client->sockets_n == 0 ? 64 : client->sockets_n;

    if (fd < 0 || fd >= SOCKETS_MAX)
        return false;
    while (n <= (size_t)fd)
        n *= 2;
    if (n == client->sockets_n)
        return true;
    struct mt_http_socket **grown = mt_realloc(client->sockets, n, sizeof *grown);

    if (grown == NULL)
        return false;
    memset(grown + client->sockets_n, 0, (n - client->sockets_n) * sizeof *grown);
    client->sockets = grown;
    client->sockets_n = n;
    return true;
}

static struct mt_http_socket *socket_new(struct mt_http_client *client, curl_socket_t fd)
{
    struct mt_http_socket *sock;

    if (!table_holds(client, fd))
        return NULL;
    sock = mt_alloc(1, sizeof *sock);
    if (sock == NULL)
        return NULL;
    if (uv_poll_init(mt_loop_uv(client->loop), &sock->poll, fd) != 0) {
        mt_free(sock);
        return NULL;
    }
    sock->poll.data = sock;
    sock->client = client;
    sock->fd = fd;
    client->sockets[fd] = sock;
    return sock;
}

static void socket_forget(struct mt_http_socket *sock)
{
    sock->client->sockets[sock->fd] = NULL;
    uv_close((uv_handle_t *)&sock->poll, on_closed);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct mt_http_socket *sock = poll->data;
    struct mt_http_client *client = sock->client;
    int flags = 0;
    int running;

    if (sock->wanted == 0) {
        (void)uv_poll_stop(poll);
        sock->armed = 0;
        return;
    }
    if (status < 0) {
        flags = CURL_CSELECT_ERR | CURL_CSELECT_IN;
        sock->armed = 0; /* libuv has stopped it */
    }
    if (events & UV_READABLE)
        flags |= CURL_CSELECT_IN;
    if (events & UV_WRITABLE)
        flags |= CURL_CSELECT_OUT;
    mt_loop__at_turn(client->loop, &client->turn);
    client->in_curl++;
    (void)curl_multi_socket_action(client->multi, sock->fd, flags, &running);
    client->in_curl--;
}

int mt_http__on_socket(CURL *easy, curl_socket_t fd, int what, void *ctx, void *unused)
{
    struct mt_http_client *client = ctx;
    struct mt_http_socket *sock = find(client, fd);

    (void)easy;
    (void)unused;
    if (what == CURL_POLL_REMOVE) {
        if (sock != NULL)
            sock->wanted = 0;
        if (sock != NULL && !sock->is_ours)
            socket_forget(sock);
        return 0;
    }
    if (sock == NULL)
        sock = socket_new(client, fd);
    if (sock == NULL)
        return -1;
    sock->wanted =
        ((what & CURL_POLL_IN) ? UV_READABLE : 0) | ((what & CURL_POLL_OUT) ? UV_WRITABLE : 0);
    if (sock->wanted == sock->armed)
        return 0;
    sock->armed = sock->wanted;
    return uv_poll_start(&sock->poll, sock->wanted, on_poll) == 0 ? 0 : -1;
}

curl_socket_t mt_http__open_socket(void *ctx, curlsocktype purpose, struct curl_sockaddr *addr)
{
    struct mt_http_client *client = ctx;
    struct mt_http_socket *sock;
    int fd =
        socket(addr->family, addr->socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, addr->protocol);

    (void)purpose;
    if (fd < 0)
        return CURL_SOCKET_BAD;
    sock = socket_new(client, fd);
    if (sock == NULL) {
        (void)close(fd);
        return CURL_SOCKET_BAD;
    }
    sock->is_ours = true;
    return fd;
}

int mt_http__close_socket(void *ctx, curl_socket_t fd)
{
    struct mt_http_socket *sock = find(ctx, fd);

    if (sock != NULL)
        socket_forget(sock);
    return close(fd);
}
