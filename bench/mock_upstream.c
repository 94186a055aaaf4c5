/* SPDX-License-Identifier: Apache-2.0 */
/* mock_upstream.c - a model provider that answers at once, for measuring gateways.
 *
 * One thread, one epoll loop, keep-alive HTTP/1.1. It answers the chat routes of OpenAI,
 * Anthropic, Ollama and Gemini with fixed bytes, whole or as a stream; optionally after a
 * fixed latency, with paced tokens, or with a fault. It counts what it sees, above all
 * answers whose reader went away ("aborts").
 *
 *   GET /stats             counters as JSON; ?reset=1 clears them after reading
 *   GET /control?tokens=60 change a setting while running: the long options below, with _
 *
 * A zero-gap stream is sent with one write; a paced stream with one write per token, the
 * next token gap-ms after the previous one was sent, so it never catches up in bursts.
 *
 * A request with a string that begins with "cut-NNNNNN" is remembered under that number: the
 * abort log in /stats then says which request was aborted when (CLOCK_MONOTONIC, microseconds).
 *
 * Invariant: a connection is freed only while its own epoll event is handled or after a
 * batch of events, never while another connection's event is. */
#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "answers.h"
#include "http1.h"
#include "text.h"

enum {
    READ_BYTES = 256 << 10,
    UNSENT_BYTES_MAX = 1 << 20,
    ABORT_LOG_MAX = 4096,
    EVENTS_MAX = 256,
    NO_CUT = -1,
};

enum fault { FAULT_NONE, FAULT_429, FAULT_500, FAULT_RESET, FAULT_HANG };
enum { FAULT_COUNT = FAULT_HANG + 1 };
static const char *const fault_name[FAULT_COUNT] = {"none", "429", "500", "reset", "hang"};

enum phase {
    PHASE_READ,   /* waiting for a request or reading one */
    PHASE_DELAY,  /* request read, answer due after the latency */
    PHASE_STREAM, /* next token due after the gap */
    PHASE_HANG,   /* never answers */
    PHASE_FLUSH,  /* answer decided, the socket has not taken all of it */
};

struct conn {
    int fd;
    enum phase phase;
    bool is_doomed; /* free at the end of the batch */
    bool is_queued;
    unsigned watched;
    struct conn *prev; /* in a queue, or the chain of the doomed */
    struct conn *next;
    int64_t due_us;
    int64_t began_us; /* request read */
    int cut_id;
    bool wants_stream;
    enum fault fault;
    int token_next;
    struct stream_opts opts;
    struct text unsent;
    size_t unsent_at;
    struct http1 in;
};

/* Connections in order of due time. Delays are constant, so a newcomer nearly always
 * belongs at the tail; after a change of setting it walks forward a little. */
struct queue {
    struct conn *head;
    struct conn *tail;
};

struct stats {
    uint64_t requests, streams, finished, aborts, resets, faults, bad, body_bytes;
    int64_t last_abort_us;
    int64_t last_abort_after_us; /* since that request was read */
    struct {
        int id;
        int64_t at_us;
    } abort_log[ABORT_LOG_MAX];
};

static struct {
    int port, latency_ms, tokens, gap_ms, fault, fault_every;
} set = {.port = 9000, .tokens = 32, .fault_every = 1};

static int epoll_fd, timer_fd, listen_fd;
static int64_t timer_due_us;
static struct queue delayed, paced;
static struct conn *doomed;
static struct stats stats;
static int open_n, busy_n;
static struct text whole[DIALECT_COUNT], streamed[DIALECT_COUNT][2];

static int64_t now_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000LL + t.tv_nsec / 1000;
}

/* Zero-gap answers are made once per setting, not once per request. */
static void answers_make(void)
{
    for (int d = 0; d < DIALECT_COUNT; d++) {
        whole[d].len = 0;
        answer_whole((enum dialect)d, set.tokens, &whole[d]);
        for (int usage = 0; usage < 2; usage++) {
            struct stream_opts opts = {(enum dialect)d, set.tokens, usage != 0};
            struct text *out = &streamed[d][usage];
            out->len = 0;
            answer_stream_begin(&opts, out);
            for (int seq = 0; seq < set.tokens; seq++)
                answer_stream_token(&opts, seq, 0, out);
            answer_stream_end(&opts, out);
        }
    }
}

/* --- queues and the timer ------------------------------------------------------------ */

static void timer_arm(void)
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
    timerfd_settime(timer_fd, TFD_TIMER_ABSTIME, &at, NULL);
}

static struct queue *queue_of(const struct conn *c)
{
    return c->phase == PHASE_DELAY ? &delayed : &paced;
}

static void queue_add(struct conn *c, int64_t due_us)
{
    struct queue *q = queue_of(c);
    struct conn *after = q->tail;

    c->due_us = due_us;
    c->is_queued = true;
    while (after != NULL && after->due_us > due_us)
        after = after->prev;
    c->prev = after;
    c->next = after != NULL ? after->next : q->head;
    *(c->prev != NULL ? &c->prev->next : &q->head) = c;
    *(c->next != NULL ? &c->next->prev : &q->tail) = c;
}

static void queue_remove(struct conn *c)
{
    struct queue *q = queue_of(c);

    if (!c->is_queued)
        return;
    c->is_queued = false;
    *(c->prev != NULL ? &c->prev->next : &q->head) = c->next;
    *(c->next != NULL ? &c->next->prev : &q->tail) = c->prev;
}

/* --- connections --------------------------------------------------------------------- */

static void conn_watch(struct conn *c, unsigned events)
{
    if (c->watched == events)
        return;
    c->watched = events;
    struct epoll_event ev = {.events = events, .data.ptr = c};
    epoll_ctl(epoll_fd, EPOLL_CTL_MOD, c->fd, &ev);
}

static void conn_doom(struct conn *c)
{
    if (c->is_doomed)
        return;
    queue_remove(c);
    if (c->phase != PHASE_READ)
        busy_n--;
    c->phase = PHASE_READ;
    c->is_doomed = true;
    c->next = doomed;
    doomed = c;
}

static void doomed_free(void)
{
    while (doomed != NULL) {
        struct conn *c = doomed;
        doomed = c->next;
        close(c->fd);
        http1_fini(&c->in);
        free(c->unsent.at);
        free(c);
        open_n--;
    }
}

static void conn_accept(void)
{
    for (;;) {
        int fd = accept4(listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0)
            return;
        struct conn *c = calloc(1, sizeof *c);
        if (c == NULL) {
            close(fd);
            return;
        }
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
        c->fd = fd;
        c->watched = EPOLLIN | EPOLLRDHUP;
        struct epoll_event ev = {.events = c->watched, .data.ptr = c};
        epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &ev);
        open_n++;
    }
}

/* The reader left before the answer was whole. */
static void conn_aborted(struct conn *c)
{
    int64_t now = now_us();

    stats.last_abort_us = now;
    stats.last_abort_after_us = now - c->began_us;
    stats.abort_log[stats.aborts % ABORT_LOG_MAX].id = c->cut_id;
    stats.abort_log[stats.aborts % ABORT_LOG_MAX].at_us = now;
    stats.aborts++;
    conn_doom(c);
}

/* The answer has been taken whole: back to reading. */
static void conn_idle(struct conn *c)
{
    if (c->phase != PHASE_READ)
        busy_n--;
    c->phase = PHASE_READ;
    if (c->in.wants_close) {
        conn_doom(c);
        return;
    }
    http1_reset(&c->in);
    conn_watch(c, EPOLLIN | EPOLLRDHUP);
}

static bool send_some(struct conn *c, const char *at, size_t len, size_t *sent)
{
    ssize_t n = send(c->fd, at, len, MSG_NOSIGNAL);

    if (n < 0 && errno != EAGAIN && errno != EINTR)
        return false;
    *sent = n > 0 ? (size_t)n : 0;
    return true;
}

/* Send, keeping what the socket does not take. @return false if the connection is lost */
static bool conn_send(struct conn *c, const char *at, size_t len)
{
    size_t sent = 0;

    if (c->unsent.len == c->unsent_at && !send_some(c, at, len, &sent)) {
        conn_aborted(c);
        return false;
    }
    if (sent == len)
        return true;
    if (c->unsent.len - c->unsent_at > UNSENT_BYTES_MAX) {
        conn_doom(c); /* a reader this slow is not waited for */
        return false;
    }
    text_add_bytes(&c->unsent, at + sent, len - sent);
    conn_watch(c, EPOLLOUT | EPOLLRDHUP);
    return true;
}

/* Last bytes of an answer. Busy until the socket has them. */
static void conn_finish(struct conn *c, const char *at, size_t len)
{
    if (c->phase == PHASE_READ)
        busy_n++;
    c->phase = PHASE_FLUSH;
    if (!conn_send(c, at, len))
        return;
    stats.finished++;
    if (c->unsent.len == c->unsent_at)
        conn_idle(c);
}

static void conn_flush(struct conn *c)
{
    size_t sent;

    if (!send_some(c, c->unsent.at + c->unsent_at, c->unsent.len - c->unsent_at, &sent)) {
        conn_aborted(c);
        return;
    }
    c->unsent_at += sent;
    if (c->unsent_at < c->unsent.len)
        return;
    c->unsent_at = c->unsent.len = 0;
    if (c->phase == PHASE_FLUSH)
        conn_idle(c);
    else
        conn_watch(c, EPOLLRDHUP);
}

/* --- answers ------------------------------------------------------------------------- */

static void conn_reset(struct conn *c)
{
    stats.resets++;
    setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &(struct linger){1, 0}, sizeof(struct linger));
    conn_doom(c);
}

static void reply_json(struct conn *c, const char *status, const char *extra, const char *body)
{
    struct text out = {0};

    answer_json(status, extra, body, &out);
    conn_finish(c, out.at, out.len);
    free(out.at);
}

static void stream_step(struct conn *c)
{
    struct text out = {0};
    bool is_last = c->token_next + 1 >= c->opts.tokens_n;

    queue_remove(c);
    if (c->fault == FAULT_RESET && c->token_next >= c->opts.tokens_n / 2) {
        conn_reset(c);
        return;
    }
    if (c->token_next == 0)
        answer_stream_begin(&c->opts, &out);
    int64_t now = now_us();
    if (c->token_next < c->opts.tokens_n)
        answer_stream_token(&c->opts, c->token_next++, now, &out);
    if (is_last) {
        c->phase = PHASE_FLUSH;
        answer_stream_end(&c->opts, &out);
        conn_finish(c, out.at, out.len);
    } else {
        queue_add(c, now + set.gap_ms * 1000LL);
        (void)conn_send(c, out.at, out.len); /* on failure the connection is doomed */
    }
    free(out.at);
}

static void answer_stream(struct conn *c)
{
    c->token_next = 0;
    stats.streams++;
    if (set.gap_ms > 0 || c->fault == FAULT_RESET) {
        if (c->phase == PHASE_READ) {
            busy_n++;
            c->began_us = now_us();
        }
        c->phase = PHASE_STREAM;
        conn_watch(c, EPOLLRDHUP);
        queue_add(c, now_us());
        stream_step(c);
        return;
    }
    const struct text *out = &streamed[c->opts.dialect][c->opts.with_usage];
    conn_finish(c, out->at, out->len);
}

static void answer_now(struct conn *c)
{
    queue_remove(c);
    switch (c->fault) {
    case FAULT_429:
        reply_json(c, "429 Too Many Requests", "Retry-After: 1\r\n",
                   "{\"error\":{\"message\":\"mock rate limit\",\"type\":\"rate_limit_error\","
                   "\"param\":null,\"code\":\"rate_limit_exceeded\"}}");
        return;
    case FAULT_500:
        reply_json(c, "500 Internal Server Error", "",
                   "{\"error\":{\"message\":\"mock failure\",\"type\":\"server_error\","
                   "\"param\":null,\"code\":null}}");
        return;
    case FAULT_RESET:
        if (!c->wants_stream) {
            conn_reset(c);
            return;
        }
        break;
    case FAULT_NONE:
    case FAULT_HANG:
        break;
    }
    if (c->wants_stream)
        answer_stream(c);
    else
        conn_finish(c, whole[c->opts.dialect].at, whole[c->opts.dialect].len);
}

/* What the mock needs to know of a request body. */
struct wish {
    bool wants_stream;
    bool wants_whole; /* "stream": false, said aloud */
    bool wants_usage;
    int cut_id;
};

/* The text after `"key"` and its colon, or NULL. */
static const char *value_of(const char *at, const char *end, const char *key)
{
    size_t len = strlen(key);

    if ((size_t)(end - at) < len + 2 || memcmp(at, key, len) != 0)
        return NULL;
    at += len;
    while (at < end && (*at == ':' || *at == ' '))
        at++;
    return at < end ? at : NULL;
}

/* One pass from quote to quote, so that a long prompt costs no more than a memchr. A prompt
 * that quotes JSON holds \" instead of ", so it is not mistaken for the request's own. */
static struct wish wish_read(const struct http1 *m)
{
    struct wish wish = {.cut_id = NO_CUT};
    const char *end = m->body + m->body_len;
    const char *value;

    for (const char *at = m->body; m->body_len > 0; at++) {
        at = memchr(at, '"', (size_t)(end - at));
        if (at == NULL)
            break;
        value = value_of(at, end, "\"stream\"");
        if (value != NULL) {
            wish.wants_stream = *value == 't';
            wish.wants_whole = *value == 'f';
        }
        value = value_of(at, end, "\"include_usage\"");
        if (value != NULL)
            wish.wants_usage = *value == 't';
        if (end - at > 11 && memcmp(at, "\"cut-", 5) == 0)
            wish.cut_id = atoi((char[7]){at[5], at[6], at[7], at[8], at[9], at[10]});
    }
    return wish;
}

static enum fault fault_next(void)
{
    static uint64_t seen;

    if (set.fault == FAULT_NONE || ++seen % (uint64_t)set.fault_every != 0)
        return FAULT_NONE;
    stats.faults++;
    return (enum fault)set.fault;
}

enum framing { WHOLE_UNLESS_ASKED, STREAM_UNLESS_REFUSED, WHOLE, STREAM };

static void chat_run(struct conn *c, enum dialect dialect, enum framing framing)
{
    struct wish wish = wish_read(&c->in);

    stats.requests++;
    stats.body_bytes += c->in.body_len;
    c->cut_id = wish.cut_id;
    c->wants_stream = framing == STREAM ||
                      (framing == WHOLE_UNLESS_ASKED && wish.wants_stream) ||
                      (framing == STREAM_UNLESS_REFUSED && !wish.wants_whole);
    c->opts = (struct stream_opts){dialect, set.tokens, wish.wants_usage};
    c->fault = fault_next();
    if (c->fault != FAULT_HANG && set.latency_ms == 0) {
        answer_now(c);
        return;
    }
    busy_n++;
    c->began_us = now_us();
    conn_watch(c, EPOLLRDHUP);
    if (c->fault == FAULT_HANG) {
        c->phase = PHASE_HANG;
        return;
    }
    c->phase = PHASE_DELAY;
    queue_add(c, c->began_us + set.latency_ms * 1000LL);
}

/* --- routes -------------------------------------------------------------------------- */

static void openai_run(struct conn *c)
{
    chat_run(c, DIALECT_OPENAI, WHOLE_UNLESS_ASKED);
}

static void anthropic_run(struct conn *c)
{
    chat_run(c, DIALECT_ANTHROPIC, WHOLE_UNLESS_ASKED);
}

static void ollama_run(struct conn *c)
{
    chat_run(c, DIALECT_OLLAMA, STREAM_UNLESS_REFUSED);
}

static void gemini_run(struct conn *c)
{
    chat_run(c, DIALECT_GEMINI, WHOLE);
}

static void gemini_stream_run(struct conn *c)
{
    bool is_sse = memmem(c->in.head, c->in.head_len, "alt=sse", 7) != NULL;

    chat_run(c, is_sse ? DIALECT_GEMINI : DIALECT_GEMINI_ARRAY, STREAM);
}

static void models_run(struct conn *c)
{
    reply_json(c, "200 OK", "",
               "{\"object\":\"list\",\"data\":[{\"id\":\"mock\",\"object\":\"model\","
               "\"created\":1760000000,\"owned_by\":\"mock\"}]}");
}

static void tags_run(struct conn *c)
{
    reply_json(c, "200 OK", "", "{\"models\":[{\"name\":\"mock\",\"model\":\"mock\"}]}");
}

static void stats_run(struct conn *c)
{
    struct text out = {0};
    uint64_t first = stats.aborts > ABORT_LOG_MAX ? stats.aborts - ABORT_LOG_MAX : 0;

    text_add(&out,
             "{\"requests\":%llu,\"streams\":%llu,\"finished\":%llu,\"aborts\":%llu,"
             "\"resets\":%llu,\"faults\":%llu,\"bad\":%llu,\"body_bytes\":%llu,\"open\":%d,"
             "\"busy\":%d,\"now_us\":%lld,\"last_abort_us\":%lld,\"last_abort_after_us\":%lld,"
             "\"abort_log\":[",
             (unsigned long long)stats.requests, (unsigned long long)stats.streams,
             (unsigned long long)stats.finished, (unsigned long long)stats.aborts,
             (unsigned long long)stats.resets, (unsigned long long)stats.faults,
             (unsigned long long)stats.bad, (unsigned long long)stats.body_bytes, open_n,
             busy_n, (long long)now_us(), (long long)stats.last_abort_us,
             (long long)stats.last_abort_after_us);
    for (uint64_t i = first; i < stats.aborts; i++)
        text_add(&out, "%s[%d,%lld]", i > first ? "," : "",
                 stats.abort_log[i % ABORT_LOG_MAX].id,
                 (long long)stats.abort_log[i % ABORT_LOG_MAX].at_us);
    text_add_bytes(&out, "]}", 3);
    if (memmem(c->in.head, c->in.head_len, "reset=1", 7) != NULL)
        memset(&stats, 0, sizeof stats);
    reply_json(c, "200 OK", "", out.at);
    free(out.at);
}

static const struct setting {
    const char *name; /* long option with _ for - */
    int *value;
    int max;
    const char *help;
} settings[] = {
    {"port", &set.port, 65535, "listen on 127.0.0.1, this port"},
    {"latency_ms", &set.latency_ms, 600000, "wait before the first byte of an answer"},
    {"tokens", &set.tokens, 9999, "tokens in a streamed answer"},
    {"gap_ms", &set.gap_ms, 60000, "pause between the tokens of a stream; 0 = one write"},
    {"fault", &set.fault, FAULT_COUNT - 1,
     "none, 429 (with Retry-After), 500, reset (mid-stream), hang (no first byte)"},
    {"fault_every", &set.fault_every, 1000000, "the fault hits every n-th request"},
};
enum { SETTINGS_N = sizeof settings / sizeof *settings };

/* @return false if the text is not a value of this setting */
static bool setting_apply(const struct setting *s, const char *text)
{
    char *end;

    for (int f = 0; s->value == &set.fault && f < FAULT_COUNT; f++) {
        if (strcmp(text, fault_name[f]) == 0) {
            set.fault = f;
            return true;
        }
    }
    long value = strtol(text, &end, 10);
    if (*text == '\0' || *end != '\0' || s->value == &set.fault || value < 0 || value > s->max)
        return false;
    if (value == 0 && (s->value == &set.port || s->value == &set.fault_every))
        return false;
    *s->value = (int)value;
    return true;
}

static bool setting_find_apply(const char *name, const char *text)
{
    for (size_t i = 0; i < SETTINGS_N; i++) {
        if (strcmp(settings[i].name, name) == 0)
            return setting_apply(&settings[i], text);
    }
    return false;
}

static void control_run(struct conn *c)
{
    char query[512] = "";
    bool is_ok = true;

    sscanf(c->in.head, "%*s %*[^? ]?%511[^ \r\n]", query);
    for (char *save = NULL, *pair = strtok_r(query, "&", &save); pair != NULL;
         pair = strtok_r(NULL, "&", &save)) {
        char *value = strchr(pair, '=');
        if (value != NULL)
            *value++ = '\0';
        is_ok = is_ok && value != NULL && setting_find_apply(pair, value);
    }
    answers_make();
    char body[256];
    snprintf(
        body, sizeof body,
        "{\"latency_ms\":%d,\"tokens\":%d,\"gap_ms\":%d,\"fault\":\"%s\",\"fault_every\":%d}",
        set.latency_ms, set.tokens, set.gap_ms, fault_name[set.fault], set.fault_every);
    reply_json(c, is_ok ? "200 OK" : "400 Bad Request", "", body);
}

/* The path must end with the text given: gateways may add a prefix. */
static const struct route {
    const char *method;
    const char *path_end;
    void (*run)(struct conn *c);
} routes[] = {
    {"POST", "/chat/completions", openai_run},
    {"POST", "/messages", anthropic_run},
    {"POST", "/api/chat", ollama_run},
    {"POST", ":generateContent", gemini_run},
    {"POST", ":streamGenerateContent", gemini_stream_run},
    {"GET", "/stats", stats_run},
    {"GET", "/control", control_run},
    {"GET", "/models", models_run},
    {"GET", "/api/tags", tags_run},
};

static bool route_matches(const struct route *r, const char *head, const char *path,
                          size_t path_len)
{
    size_t method_len = strlen(r->method);
    size_t end_len = strlen(r->path_end);

    return memcmp(head, r->method, method_len) == 0 && head[method_len] == ' ' &&
           path_len >= end_len && memcmp(path + path_len - end_len, r->path_end, end_len) == 0;
}

static void request_run(struct conn *c)
{
    const char *head = c->in.head;
    const char *path = memchr(head, ' ', c->in.head_len);
    const char *end = head + c->in.head_len;

    if (path != NULL) {
        path++;
        const char *stop = path;
        while (stop < end && *stop != ' ' && *stop != '?' && *stop != '\r')
            stop++;
        for (size_t i = 0; i < sizeof routes / sizeof *routes; i++) {
            if (route_matches(&routes[i], head, path, (size_t)(stop - path))) {
                routes[i].run(c);
                return;
            }
        }
    }
    stats.bad++;
    reply_json(c, "404 Not Found", "",
               "{\"error\":{\"message\":\"mock has no such route\",\"type\":"
               "\"invalid_request_error\",\"param\":null,\"code\":null}}");
}

/* --- loop ---------------------------------------------------------------------------- */

static void request_feed(struct conn *c, const char *at, size_t len)
{
    bool was_in_body = http1_in_body(&c->in);
    size_t taken = http1_feed(&c->in, at, len);

    if (http1_in_body(&c->in) && !was_in_body && c->in.wants_continue)
        (void)conn_send(c, "HTTP/1.1 100 Continue\r\n\r\n", 25);
    if (c->in.state == HTTP1_TOO_BIG || c->in.state == HTTP1_BAD || taken < len) {
        stats.bad++; /* nonsense, or a second request before the first was answered */
        conn_doom(c);
    } else if (c->in.state == HTTP1_DONE) {
        request_run(c);
    }
}

static void conn_read(struct conn *c)
{
    static char buffer[READ_BYTES];
    ssize_t n = recv(c->fd, buffer, sizeof buffer, 0);

    if (n > 0)
        request_feed(c, buffer, (size_t)n);
    else if (n == 0 || (errno != EAGAIN && errno != EINTR))
        conn_doom(c);
}

static void conn_event(struct conn *c, unsigned events)
{
    if (c->is_doomed)
        return;
    if (c->phase != PHASE_READ && (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0)
        conn_aborted(c);
    else if ((events & EPOLLOUT) != 0)
        conn_flush(c);
    else
        conn_read(c);
}

static void due_run(void)
{
    uint64_t expired;
    int64_t now = now_us();

    (void)!read(timer_fd, &expired, sizeof expired);
    timer_due_us = 0;
    while (delayed.head != NULL && delayed.head->due_us <= now)
        answer_now(delayed.head);
    while (paced.head != NULL && paced.head->due_us <= now)
        stream_step(paced.head);
}

static void loop_turn(void)
{
    struct epoll_event events[EVENTS_MAX];
    bool is_due = false;

    int n = epoll_wait(epoll_fd, events, EVENTS_MAX, -1);
    for (int i = 0; i < n; i++) {
        void *who = events[i].data.ptr;
        if (who == &listen_fd)
            conn_accept();
        else if (who == &timer_fd)
            is_due = true;
        else
            conn_event(who, events[i].events);
    }
    if (is_due)
        due_run();
    doomed_free();
    timer_arm();
}

static bool listen_open(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)set.port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

    listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    setsockopt(listen_fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
    if (bind(listen_fd, (struct sockaddr *)&at, sizeof at) < 0 || listen(listen_fd, 4096) < 0) {
        fprintf(stderr, "mock: port %d: %s\n", set.port, strerror(errno));
        return false;
    }
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    struct epoll_event ev = {.events = EPOLLIN, .data.ptr = &listen_fd};
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, listen_fd, &ev);
    ev.data.ptr = &timer_fd;
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, timer_fd, &ev);
    return true;
}

static void usage_print(void)
{
    puts("usage: mock_upstream [--OPTION VALUE]...\n");
    for (size_t i = 0; i < SETTINGS_N; i++) {
        char name[32];
        snprintf(name, sizeof name, "%s", settings[i].name);
        for (char *p = name; *p != '\0'; p++)
            *p = *p == '_' ? '-' : *p;
        printf("  --%-12s %s\n", name, settings[i].help);
    }
}

static bool args_read(int argc, char **argv)
{
    struct option long_opts[SETTINGS_N + 1] = {0};
    char names[SETTINGS_N][32];
    int at = 0;

    for (size_t i = 0; i < SETTINGS_N; i++) {
        snprintf(names[i], sizeof names[i], "%s", settings[i].name);
        for (char *p = names[i]; *p != '\0'; p++)
            *p = *p == '_' ? '-' : *p;
        long_opts[i] = (struct option){names[i], required_argument, NULL, 1};
    }
    for (int got; (got = getopt_long(argc, argv, "", long_opts, &at)) != -1;) {
        if (got != 1)
            return false;
        if (!setting_apply(&settings[at], optarg)) {
            fprintf(stderr, "mock: --%s: '%s' is not allowed\n", names[at], optarg);
            return false;
        }
    }
    return optind == argc;
}

int main(int argc, char **argv)
{
    struct rlimit files;

    if (!args_read(argc, argv)) {
        usage_print();
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    if (!listen_open())
        return 1;
    answers_make();
    for (;;)
        loop_turn();
}
