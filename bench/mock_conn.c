/* SPDX-License-Identifier: Apache-2.0 */
/* mock_conn.c - see mock.h. Not here: what is said on a connection. */
#include "mock.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

enum { UNSENT_BYTES_MAX = 1 << 20 };

/* Connections in order of due time. Delays are constant, so a newcomer nearly always
 * belongs at the tail; after a change of setting it walks forward a little. */
struct queue {
    struct mock_conn *head;
    struct mock_conn *tail;
};

int mock_epoll_fd, mock_timer_fd;
int mock_open_n, mock_busy_n;
struct mock_stats mock_stats;
static int64_t timer_due_us;
static struct queue delayed, paced;
static struct mock_conn *doomed;

int64_t mock_now_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000LL + t.tv_nsec / 1000;
}

void mock_timer_arm(void)
{
    int64_t due = INT64_MAX;

    if (delayed.head != NULL)
        due = delayed.head->due_us;
    if (paced.head != NULL && paced.head->due_us < due)
        due = paced.head->due_us;
    if (due == timer_due_us || due == INT64_MAX)
        return;
    timer_due_us = due;
    struct itimerspec at = {.it_value = {due / 1000000, due % 1000000 * 1000}};
    timerfd_settime(mock_timer_fd, TFD_TIMER_ABSTIME, &at, NULL);
}

static struct queue *queue_of(const struct mock_conn *c)
{
    return c->phase == PHASE_DELAY ? &delayed : &paced;
}

void mock_queue_add(struct mock_conn *c, int64_t due_us)
{
    struct queue *q = queue_of(c);
    struct mock_conn *after = q->tail;

    c->due_us = due_us;
    c->is_queued = true;
    while (after != NULL && after->due_us > due_us)
        after = after->prev;
    c->prev = after;
    c->next = after != NULL ? after->next : q->head;
    *(c->prev != NULL ? &c->prev->next : &q->head) = c;
    *(c->next != NULL ? &c->next->prev : &q->tail) = c;
}

void mock_queue_remove(struct mock_conn *c)
{
    struct queue *q = queue_of(c);

    if (!c->is_queued)
        return;
    c->is_queued = false;
    *(c->prev != NULL ? &c->prev->next : &q->head) = c->next;
    *(c->next != NULL ? &c->next->prev : &q->tail) = c->prev;
}

struct mock_conn *mock_queue_due(enum mock_phase phase, int64_t now_us)
{
    struct mock_conn *c = phase == PHASE_DELAY ? delayed.head : paced.head;

    return c != NULL && c->due_us <= now_us ? c : NULL;
}

void mock_timer_rang(void)
{
    uint64_t expired;

    (void)!read(mock_timer_fd, &expired, sizeof expired);
    timer_due_us = 0;
}

void mock_conn_watch(struct mock_conn *c, unsigned events)
{
    if (c->watched == events)
        return;
    c->watched = events;
    struct epoll_event ev = {.events = events, .data.ptr = c};
    epoll_ctl(mock_epoll_fd, EPOLL_CTL_MOD, c->fd, &ev);
}

void mock_conn_doom(struct mock_conn *c)
{
    if (c->is_doomed)
        return;
    mock_queue_remove(c);
    if (c->phase != PHASE_READ)
        mock_busy_n--;
    c->phase = PHASE_READ;
    c->is_doomed = true;
    c->next = doomed;
    doomed = c;
}

void mock_doomed_free(void)
{
    while (doomed != NULL) {
        struct mock_conn *c = doomed;
        doomed = c->next;
        close(c->fd);
        http1_fini(&c->in);
        free(c->unsent.at);
        free(c);
        mock_open_n--;
    }
}

void mock_conn_accept(int listen_fd)
{
    for (;;) {
        int fd = accept4(listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0)
            return;
        struct mock_conn *c = calloc(1, sizeof *c);
        if (c == NULL) {
            close(fd);
            return;
        }
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
        c->fd = fd;
        c->watched = EPOLLIN | EPOLLRDHUP;
        struct epoll_event ev = {.events = c->watched, .data.ptr = c};
        epoll_ctl(mock_epoll_fd, EPOLL_CTL_ADD, fd, &ev);
        mock_open_n++;
    }
}

/* The reader left before the answer was whole. */
void mock_conn_aborted(struct mock_conn *c)
{
    int64_t now = mock_now_us();

    mock_stats.last_abort_us = now;
    mock_stats.last_abort_after_us = now - c->began_us;
    mock_stats.abort_log[mock_stats.aborts % MOCK_ABORT_LOG_MAX].id = c->cut_id;
    mock_stats.abort_log[mock_stats.aborts % MOCK_ABORT_LOG_MAX].at_us = now;
    mock_stats.aborts++;
    mock_conn_doom(c);
}

/* The answer has been taken whole: back to reading. */
static void conn_idle(struct mock_conn *c)
{
    if (c->phase != PHASE_READ)
        mock_busy_n--;
    c->phase = PHASE_READ;
    if (c->in.wants_close) {
        mock_conn_doom(c);
        return;
    }
    http1_reset(&c->in);
    mock_conn_watch(c, EPOLLIN | EPOLLRDHUP);
}

static bool send_some(struct mock_conn *c, const char *at, size_t len, size_t *sent)
{
    ssize_t n = send(c->fd, at, len, MSG_NOSIGNAL);

    if (n < 0 && errno != EAGAIN && errno != EINTR)
        return false;
    *sent = n > 0 ? (size_t)n : 0;
    return true;
}

/* Send, keeping what the socket does not take. @return false if the connection is lost */
bool mock_conn_send(struct mock_conn *c, const char *at, size_t len)
{
    size_t sent = 0;

    if (c->unsent.len == c->unsent_at && !send_some(c, at, len, &sent)) {
        mock_conn_aborted(c);
        return false;
    }
    if (sent == len)
        return true;
    if (c->unsent.len - c->unsent_at > UNSENT_BYTES_MAX) {
        mock_conn_doom(c); /* a reader this slow is not waited for */
        return false;
    }
    text_add_bytes(&c->unsent, at + sent, len - sent);
    mock_conn_watch(c, EPOLLOUT | EPOLLRDHUP);
    return true;
}

/* Last bytes of an answer. Busy until the socket has them. */
void mock_conn_finish(struct mock_conn *c, const char *at, size_t len)
{
    if (c->phase == PHASE_READ)
        mock_busy_n++;
    c->phase = PHASE_FLUSH;
    if (!mock_conn_send(c, at, len))
        return;
    mock_stats.finished++;
    if (c->unsent.len == c->unsent_at)
        conn_idle(c);
}

void mock_conn_flush(struct mock_conn *c)
{
    size_t sent;

    if (!send_some(c, c->unsent.at + c->unsent_at, c->unsent.len - c->unsent_at, &sent)) {
        mock_conn_aborted(c);
        return;
    }
    c->unsent_at += sent;
    if (c->unsent_at < c->unsent.len)
        return;
    c->unsent_at = c->unsent.len = 0;
    if (c->phase == PHASE_FLUSH)
        conn_idle(c);
    else
        mock_conn_watch(c, EPOLLRDHUP);
}

void mock_conn_reset(struct mock_conn *c)
{
    mock_stats.resets++;
    setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &(struct linger){1, 0}, sizeof(struct linger));
    mock_conn_doom(c);
}
