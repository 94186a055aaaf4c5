/* SPDX-License-Identifier: Apache-2.0 */
/* mock_upstream.c - a model provider that answers at once, for measuring gateways.
 *
 * One thread, one epoll loop, keep-alive HTTP/1.1. It answers the chat routes of OpenAI,
 * Anthropic, Ollama and Gemini with fixed bytes, whole or as a stream; optionally after a
 * fixed latency, with paced tokens, or with a fault. It counts what it sees, above all
 * answers whose reader went away ("aborts").
 *
 *   GET /stats             counters as JSON; ?reset=1 clears them after reading
 *   GET /control?tokens=60 change settings while running, named as the options
 *
 * A zero-gap stream is sent with one write; a paced stream with one write per token, the
 * next token gap-ms after the previous one was sent, so it never catches up in bursts.
 *
 * A request with a string that begins with "cut-NNNNNN" is remembered under that number: the
 * abort log in /stats then says which request was aborted when (CLOCK_MONOTONIC, microseconds).
 */
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "mock.h"

enum { READ_BYTES = 256 << 10, EVENTS_MAX = 256 };

static int listen_fd;

static void openai_run(struct mock_conn *c)
{
    mock_chat_run(c, DIALECT_OPENAI, WHOLE_UNLESS_ASKED);
}

static void anthropic_run(struct mock_conn *c)
{
    mock_chat_run(c, DIALECT_ANTHROPIC, WHOLE_UNLESS_ASKED);
}

static void ollama_run(struct mock_conn *c)
{
    mock_chat_run(c, DIALECT_OLLAMA, STREAM_UNLESS_REFUSED);
}

static void gemini_run(struct mock_conn *c)
{
    mock_chat_run(c, DIALECT_GEMINI, WHOLE);
}

static void gemini_stream_run(struct mock_conn *c)
{
    bool is_sse = memmem(c->in.head, c->in.head_len, "alt=sse", 7) != NULL;

    mock_chat_run(c, is_sse ? DIALECT_GEMINI : DIALECT_GEMINI_ARRAY, STREAM);
}

static void models_run(struct mock_conn *c)
{
    mock_reply_json(c, "200 OK", "",
                    "{\"object\":\"list\",\"data\":[{\"id\":\"mock\",\"object\":\"model\","
                    "\"created\":1760000000,\"owned_by\":\"mock\"}]}");
}

static void tags_run(struct mock_conn *c)
{
    mock_reply_json(c, "200 OK", "", "{\"models\":[{\"name\":\"mock\",\"model\":\"mock\"}]}");
}

static void stats_run(struct mock_conn *c)
{
    struct text out = {0};
    uint64_t first =
        mock_stats.aborts > MOCK_ABORT_LOG_MAX ? mock_stats.aborts - MOCK_ABORT_LOG_MAX : 0;

    text_add(&out,
             "{\"requests\":%llu,\"streams\":%llu,\"finished\":%llu,\"aborts\":%llu,"
             "\"resets\":%llu,\"faults\":%llu,\"bad\":%llu,\"body_bytes\":%llu,\"open\":%d,"
             "\"busy\":%d,\"now_us\":%lld,\"last_abort_us\":%lld,\"last_abort_after_us\":%lld,"
             "\"abort_log\":[",
             (unsigned long long)mock_stats.requests, (unsigned long long)mock_stats.streams,
             (unsigned long long)mock_stats.finished, (unsigned long long)mock_stats.aborts,
             (unsigned long long)mock_stats.resets, (unsigned long long)mock_stats.faults,
             (unsigned long long)mock_stats.bad, (unsigned long long)mock_stats.body_bytes,
             mock_open_n, mock_busy_n, (long long)mock_now_us(),
             (long long)mock_stats.last_abort_us, (long long)mock_stats.last_abort_after_us);
    for (uint64_t i = first; i < mock_stats.aborts; i++)
        text_add(&out, "%s[%d,%lld]", i > first ? "," : "",
                 mock_stats.abort_log[i % MOCK_ABORT_LOG_MAX].id,
                 (long long)mock_stats.abort_log[i % MOCK_ABORT_LOG_MAX].at_us);
    text_add_bytes(&out, "]}", 3);
    if (memmem(c->in.head, c->in.head_len, "reset=1", 7) != NULL)
        memset(&mock_stats, 0, sizeof mock_stats);
    mock_reply_json(c, "200 OK", "", out.at);
    free(out.at);
}

static void control_run(struct mock_conn *c)
{
    char query[512] = "";
    bool is_ok = true;

    sscanf(c->in.head, "%*s %*[^? ]?%511[^ \r\n]", query);
    for (char *save = NULL, *pair = strtok_r(query, "&", &save); pair != NULL;
         pair = strtok_r(NULL, "&", &save)) {
        char *value = strchr(pair, '=');
        if (value != NULL)
            *value++ = '\0';
        is_ok = is_ok && value != NULL && mock_setting_apply(pair, value);
    }
    mock_chat_prepare();
    char body[256];
    snprintf(
        body, sizeof body,
        "{\"latency_ms\":%d,\"tokens\":%d,\"gap_ms\":%d,\"fault\":\"%s\",\"fault_every\":%d}",
        mock_set.latency_ms, mock_set.tokens, mock_set.gap_ms, mock_fault_name[mock_set.fault],
        mock_set.fault_every);
    mock_reply_json(c, is_ok ? "200 OK" : "400 Bad Request", "", body);
}

/* The path must end with the text given: gateways may add a prefix. */
static const struct route {
    const char *method;
    const char *path_end;
    void (*run)(struct mock_conn *c);
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

static void request_run(struct mock_conn *c)
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
    mock_stats.bad++;
    mock_reply_json(c, "404 Not Found", "",
                    "{\"error\":{\"message\":\"mock has no such route\",\"type\":"
                    "\"invalid_request_error\",\"param\":null,\"code\":null}}");
}

static void request_feed(struct mock_conn *c, const char *at, size_t len)
{
    bool was_in_body = http1_in_body(&c->in);
    size_t taken = http1_feed(&c->in, at, len);

    if (http1_in_body(&c->in) && !was_in_body && c->in.wants_continue)
        (void)mock_conn_send(c, "HTTP/1.1 100 Continue\r\n\r\n", 25);
    if (c->in.state == HTTP1_TOO_BIG || c->in.state == HTTP1_BAD || taken < len) {
        mock_stats.bad++; /* nonsense, or a second request before the first was answered */
        mock_conn_doom(c);
    } else if (c->in.state == HTTP1_DONE) {
        request_run(c);
    }
}

static void conn_read(struct mock_conn *c)
{
    static char buffer[READ_BYTES];
    ssize_t n = recv(c->fd, buffer, sizeof buffer, 0);

    if (n > 0)
        request_feed(c, buffer, (size_t)n);
    else if (n == 0 || (errno != EAGAIN && errno != EINTR))
        mock_conn_doom(c);
}

static void conn_event(struct mock_conn *c, unsigned events)
{
    if (c->is_doomed)
        return;
    if (c->phase != PHASE_READ && (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0)
        mock_conn_aborted(c);
    else if ((events & EPOLLOUT) != 0)
        mock_conn_flush(c);
    else
        conn_read(c);
}

static void loop_turn(void)
{
    struct epoll_event events[EVENTS_MAX];
    bool is_due = false;

    int n = epoll_wait(mock_epoll_fd, events, EVENTS_MAX, -1);
    for (int i = 0; i < n; i++) {
        void *who = events[i].data.ptr;
        if (who == &listen_fd)
            mock_conn_accept(listen_fd);
        else if (who == &mock_timer_fd)
            is_due = true;
        else
            conn_event(who, events[i].events);
    }
    if (is_due)
        mock_chat_due();
    mock_doomed_free();
    mock_timer_arm();
}

static bool listen_open(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)mock_set.port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

    listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    setsockopt(listen_fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
    if (bind(listen_fd, (struct sockaddr *)&at, sizeof at) < 0 || listen(listen_fd, 4096) < 0) {
        fprintf(stderr, "mock: port %d: %s\n", mock_set.port, strerror(errno));
        return false;
    }
    mock_epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    mock_timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    struct epoll_event ev = {.events = EPOLLIN, .data.ptr = &listen_fd};
    epoll_ctl(mock_epoll_fd, EPOLL_CTL_ADD, listen_fd, &ev);
    ev.data.ptr = &mock_timer_fd;
    epoll_ctl(mock_epoll_fd, EPOLL_CTL_ADD, mock_timer_fd, &ev);
    return true;
}

int main(int argc, char **argv)
{
    struct rlimit files;

    if (!mock_settings_read(argc, argv))
        return 2;
    signal(SIGPIPE, SIG_IGN);
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    if (!listen_open())
        return 1;
    mock_chat_prepare();
    for (;;)
        loop_turn();
}
