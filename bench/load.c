/* SPDX-License-Identifier: Apache-2.0 */
/* load.c - drives a gateway and checks every answer, for measuring it.
 *
 * One thread, one epoll loop. Three modes, the same client underneath:
 *
 *   closed   each connection sends its next request when the last answer is whole,
 *            for a number of seconds; requests under way at the end are awaited
 *   streams  each connection sends one request, and the tokens of the streamed answers
 *            are followed one by one: order, loss, delay, several in one read
 *   cut      as streams, but the client leaves after so many tokens or milliseconds
 *
 * An answer is right when its status is the one asked for, every --expect text is in its
 * body, and, with --tokens, exactly that many tokens came in order (see answers.h). The
 * result is one JSON object on stdout; the first wrong answer is shown on stderr.
 *
 * Sockets are registered once, edge-triggered: a read that fills less than the buffer has
 * drained the socket. */
#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "http1.h"
#include "load.h"
#include "samples.h"
#include "text.h"

enum {
    READ_BYTES = 256 << 10,
    SLOW_READ_BYTES = 1024,
    SLOW_WINDOW_BYTES = 32 << 10,
    EVENTS_MAX = 256,
    STAMP_DIGITS = 16,
    RETRY_MS = 20,
    DRAIN_MS = 15000, /* how long requests under way may take after the end */
};

/* What can be wrong with an answer. */
enum fail {
    FAIL_CONNECT,
    FAIL_CLOSED,
    FAIL_HTTP,
    FAIL_STATUS,
    FAIL_BODY,
    FAIL_TOKENS,
    FAIL_TIMEOUT
};
enum { FAIL_COUNT = FAIL_TIMEOUT + 1 };
static const char *const fail_name[FAIL_COUNT] = {
    "connect", "closed_early", "not_http", "status", "body", "tokens", "timeout"};

enum slot_state {
    SLOT_WAITING,    /* not started, or waiting to connect again */
    SLOT_CONNECTING, /* until writable */
    SLOT_SENDING,
    SLOT_READING,
    SLOT_OVER, /* nothing more to do */
};

struct slot {
    int fd;
    int id;
    enum slot_state state;
    int64_t start_ns; /* SLOT_WAITING: when to connect */
    int64_t began_ns; /* request sent off */
    int64_t last_token_ns;
    int64_t read_again_ns; /* slow reader: no reading before; 0 = not pausing */
    size_t sent;
    size_t scanned; /* bytes of the body searched for tokens */
    int tokens_n;
    int strays_n; /* tokens out of order */
    bool is_reused;
    int asked_n;   /* requests begun */
    char *request; /* own copy when the request is numbered, else the common one */
    struct http1 in;
};

static struct {
    uint64_t right, wrong, noted, reconnects, body_bytes;
    uint64_t fails[FAIL_COUNT];
    uint64_t statuses[600];
    uint64_t tokens, strays, coalesced_reads, coalesced_tokens, early_gaps;
    int64_t first_ns, last_ns;
    struct samples answer, first_token, gap, forward;
} sum;

static int epoll_fd;
static struct slot *slots;
static int over_n, waiting_n;
static struct text request;
static size_t
    number_at; /* where in the request the six digits of "cut-000000" are; 0 = nowhere */
static int64_t stop_ns;
static struct text cuts;

static int64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

/* --- life of a slot ------------------------------------------------------------------ */

static void slot_close(struct slot *s)
{
    if (s->fd >= 0)
        close(s->fd);
    s->fd = -1;
}

static void slot_end(struct slot *s)
{
    assert(s->state != SLOT_OVER);
    if (s->state == SLOT_WAITING)
        waiting_n--;
    slot_close(s);
    s->state = SLOT_OVER;
    over_n++;
}

static void slot_wait(struct slot *s, int64_t start_ns)
{
    slot_close(s);
    if (s->state != SLOT_WAITING)
        waiting_n++;
    s->state = SLOT_WAITING;
    s->start_ns = start_ns;
}

static void slot_fail(struct slot *s, enum fail why)
{
    if (sum.wrong++ == 0) {
        size_t shown = s->in.body_len < 400 ? s->in.body_len : 400;
        fprintf(stderr, "load: %s: status %d, body: %.*s\n", fail_name[why], s->in.status,
                (int)shown, s->in.body_len != 0 ? s->in.body : "");
    }
    sum.fails[why]++;
    if (load_set.mode == MODE_CLOSED)
        slot_wait(s, now_ns() + RETRY_MS * 1000000LL);
    else
        slot_end(s);
}

static bool slot_connect(struct slot *s)
{
    s->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (s->fd < 0)
        return false;
    setsockopt(s->fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    if (load_set.pause_ms != 0) /* keep the kernel from swallowing what the reader does not */
        setsockopt(s->fd, SOL_SOCKET, SO_RCVBUF, &(int){SLOW_WINDOW_BYTES}, sizeof(int));
    if (connect(s->fd, (struct sockaddr *)&load_set.to, sizeof load_set.to) < 0 &&
        errno != EINPROGRESS)
        return false;
    struct epoll_event ev = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
                             .data.ptr = s};
    return epoll_ctl(epoll_fd, EPOLL_CTL_ADD, s->fd, &ev) == 0;
}

static void slot_start(struct slot *s)
{
    waiting_n--;
    s->state = SLOT_CONNECTING;
    s->is_reused = false;
    http1_reset(&s->in);
    if (!slot_connect(s))
        slot_fail(s, FAIL_CONNECT);
}

static void slot_send(struct slot *s)
{
    const char *text = s->request != NULL ? s->request : request.at;

    while (s->sent < request.len) {
        ssize_t n = send(s->fd, text + s->sent, request.len - s->sent, MSG_NOSIGNAL);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (n < 0) {
            slot_fail(s, FAIL_CLOSED);
            return;
        }
        s->sent += (size_t)n;
    }
    s->state = SLOT_READING;
}

/* Each request has a number of its own: no two prompts are the same to a server that caches. */
static void request_number(struct slot *s)
{
    char digits[16];

    if (s->request == NULL)
        return;
    snprintf(digits, sizeof digits, "%06d",
             (s->id + s->asked_n++ * load_set.connections) % 1000000);
    memcpy(s->request + number_at, digits, 6);
}

static void request_begin(struct slot *s)
{
    request_number(s);
    s->state = SLOT_SENDING;
    s->sent = 0;
    s->scanned = 0;
    s->tokens_n = 0;
    s->strays_n = 0;
    s->read_again_ns = 0;
    s->began_ns = now_ns();
    if (sum.first_ns == 0)
        sum.first_ns = s->began_ns;
    http1_reset(&s->in);
    slot_send(s);
}

/* --- tokens -------------------------------------------------------------------------- */

static bool digits_read(const char *at, int n, int64_t *out)
{
    *out = 0;
    for (int i = 0; i < n; i++) {
        if (at[i] < '0' || at[i] > '9')
            return false;
        *out = *out * 10 + (at[i] - '0');
    }
    return true;
}

static void token_seen(struct slot *s, int64_t seq, int64_t sent_us, int64_t now)
{
    if (seq != s->tokens_n)
        s->strays_n++;
    if (s->tokens_n++ == 0) {
        samples_add(&sum.first_token, now - s->began_ns);
    } else if (load_set.gap_ms > 0) {
        samples_add(&sum.gap, now - s->last_token_ns);
        if (now - s->last_token_ns < load_set.gap_ms * 500000LL)
            sum.early_gaps++;
    }
    if (sent_us != 0)
        samples_add(&sum.forward, now - sent_us * 1000);
    s->last_token_ns = now;
}

/* Find the tokens in what has come of the body. A token cut in two waits for its rest. */
static void tokens_scan(struct slot *s, int64_t now)
{
    const char *begin = s->in.body;
    const char *end = begin + s->in.body_len;
    int before = s->tokens_n;
    int64_t seq, sent_us;

    while (s->scanned < s->in.body_len) {
        const char *at = memchr(begin + s->scanned, '@', s->in.body_len - s->scanned);
        if (at == NULL) {
            s->scanned = s->in.body_len;
            break;
        }
        s->scanned = (size_t)(at - begin);
        if (end - at <= STAMP_DIGITS)
            break;
        if (at - begin >= 5 && at[-5] == 'w' && digits_read(at - 4, 4, &seq) &&
            digits_read(at + 1, STAMP_DIGITS, &sent_us))
            token_seen(s, seq, sent_us, now);
        s->scanned++;
    }
    if (s->tokens_n > before + 1) {
        sum.coalesced_reads++;
        sum.coalesced_tokens += (uint64_t)(s->tokens_n - before - 1);
    }
}

static bool cut_is_due(const struct slot *s, int64_t now)
{
    if (load_set.mode != MODE_CUT || (s->state != SLOT_READING && s->state != SLOT_SENDING))
        return false;
    return (load_set.cut_tokens != LOAD_NOT_SET && s->tokens_n >= load_set.cut_tokens) ||
           (load_set.cut_ms != LOAD_NOT_SET &&
            now - s->began_ns >= load_set.cut_ms * 1000000LL);
}

static void slot_cut(struct slot *s)
{
    int64_t now_us = now_ns() / 1000;

    slot_end(s);
    text_add(&cuts, "%s[%d,%lld]", cuts.len != 0 ? "," : "", s->id, (long long)now_us);
}

/* --- answers ------------------------------------------------------------------------- */

static bool body_has(const struct slot *s, const char *text)
{
    return memmem(s->in.body, s->in.body_len, text, strlen(text)) != NULL;
}

static bool body_is_right(const struct slot *s)
{
    for (int i = 0; i < load_set.expects_n; i++) {
        if (s->in.body_len == 0 || !body_has(s, load_set.expects[i]))
            return false;
    }
    return true;
}

static bool tokens_are_right(const struct slot *s)
{
    return load_set.tokens == LOAD_NOT_SET ||
           (s->tokens_n == load_set.tokens && s->strays_n == 0);
}

static void answer_count(struct slot *s, int64_t now)
{
    sum.statuses[s->in.status < 600 ? s->in.status : 599]++;
    sum.body_bytes += s->in.body_len;
    sum.tokens += (uint64_t)s->tokens_n;
    sum.strays += (uint64_t)s->strays_n;
    sum.last_ns = now;
    if (load_set.note != NULL && s->in.body_len != 0 && body_has(s, load_set.note))
        sum.noted++;
}

static void answer_done(struct slot *s, int64_t now)
{
    answer_count(s, now);
    if (s->in.status != load_set.status) {
        slot_fail(s, FAIL_STATUS);
        return;
    }
    if (!body_is_right(s) || !tokens_are_right(s)) {
        slot_fail(s, body_is_right(s) ? FAIL_TOKENS : FAIL_BODY);
        return;
    }
    sum.right++;
    samples_add(&sum.answer, now - s->began_ns);
    s->is_reused = true;
    if (load_set.mode != MODE_CLOSED || now >= stop_ns) {
        slot_end(s);
    } else if (s->in.wants_close || s->fd < 0) {
        sum.reconnects++;
        slot_wait(s, now);
    } else {
        request_begin(s);
    }
}

/* The peer closed. Harmless before a request's first answer byte on a connection that
 * has served before: the server's idle timer and our request crossed. */
static void slot_eof(struct slot *s, int64_t now)
{
    if (http1_eof(&s->in)) {
        s->in.wants_close = true;
        answer_done(s, now);
    } else if (s->is_reused && s->in.head_len == 0) {
        sum.reconnects++;
        slot_wait(s, now);
    } else {
        slot_fail(s, s->state == SLOT_CONNECTING ? FAIL_CONNECT : FAIL_CLOSED);
    }
}

static void slot_feed(struct slot *s, const char *at, size_t len, int64_t now)
{
    size_t taken = http1_feed(&s->in, at, len);

    if (load_set.tokens != LOAD_NOT_SET || load_set.mode != MODE_CLOSED)
        tokens_scan(s, now);
    if (cut_is_due(s, now))
        slot_cut(s);
    else if (s->in.state == HTTP1_BAD || s->in.state == HTTP1_TOO_BIG || taken < len)
        slot_fail(s, FAIL_HTTP);
    else if (s->in.state == HTTP1_DONE)
        answer_done(s, now);
}

/* A slow reader stops after the first bytes of its answer. Edge-triggered events that come
 * meanwhile are made up for by the read at the end of the pause. */
static bool pause_begin(struct slot *s)
{
    if (load_set.pause_ms == 0 || s->fd < 0 || s->in.head_len == 0 || s->read_again_ns != 0)
        return false;
    s->read_again_ns = now_ns() + load_set.pause_ms * 1000000LL;
    return true;
}

static bool is_pausing(const struct slot *s)
{
    return s->read_again_ns != 0 && now_ns() < s->read_again_ns;
}

static void slot_read(struct slot *s)
{
    static char buffer[READ_BYTES];
    size_t size =
        load_set.pause_ms != 0 && s->read_again_ns == 0 ? SLOW_READ_BYTES : READ_BYTES;
    ssize_t n;

    do {
        n = recv(s->fd, buffer, size, 0);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        int64_t now = now_ns();
        if (n <= 0)
            slot_eof(s, now);
        else
            slot_feed(s, buffer, (size_t)n, now);
    } while (!pause_begin(s) && n == (ssize_t)size && s->fd >= 0);
}

static void slot_event(struct slot *s, unsigned events)
{
    int fd = s->fd;

    if (is_pausing(s))
        return;

    if ((events & EPOLLOUT) != 0 && s->state == SLOT_CONNECTING &&
        (events & (EPOLLERR | EPOLLHUP)) == 0)
        request_begin(s);
    else if ((events & EPOLLOUT) != 0 && s->state == SLOT_SENDING)
        slot_send(s);
    if (s->fd == fd && fd >= 0 && (events & ~(unsigned)EPOLLOUT) != 0)
        slot_read(s);
    /* edge-triggered: the peer's close is reported once, perhaps together with its last
     * bytes, so look again for the end when it was */
    if (s->fd == fd && fd >= 0 && (events & (EPOLLRDHUP | EPOLLHUP)) != 0)
        slot_read(s);
}

/* --- loop ---------------------------------------------------------------------------- */

static void slot_tick(struct slot *s, int64_t now)
{
    bool is_late = load_set.mode == MODE_CLOSED && now >= stop_ns;

    if (s->state == SLOT_WAITING && is_late)
        slot_end(s);
    else if (s->state == SLOT_WAITING && s->start_ns <= now)
        slot_start(s);
    else if (cut_is_due(s, now))
        slot_cut(s);
    else if (s->state == SLOT_READING && s->read_again_ns != 0 && !is_pausing(s))
        slot_read(s);
    else if ((s->state == SLOT_READING || s->state == SLOT_SENDING) &&
             (now - s->began_ns > load_set.timeout_ms * 1000000LL ||
              (is_late && now - stop_ns > DRAIN_MS * 1000000LL)))
        slot_fail(s, FAIL_TIMEOUT);
}

static void run(void)
{
    struct epoll_event events[EVENTS_MAX];
    int64_t tick_ns = 0;

    while (over_n < load_set.connections) {
        int64_t now = now_ns();
        bool is_hasty = waiting_n > 0 || load_set.cut_ms != LOAD_NOT_SET;
        if (now >= tick_ns) {
            for (int i = 0; i < load_set.connections; i++)
                slot_tick(&slots[i], now);
            tick_ns = now + (is_hasty ? 1000000 : 50000000);
        }
        int n = epoll_wait(epoll_fd, events, EVENTS_MAX, is_hasty ? 1 : 50);
        for (int i = 0; i < n; i++) {
            struct slot *s = events[i].data.ptr;
            if (s->fd >= 0)
                slot_event(s, events[i].events);
        }
    }
}

/* --- set-up -------------------------------------------------------------------------- */

static bool file_add(const char *path, struct text *out)
{
    FILE *file = fopen(path, "rb");
    char part[65536];
    size_t n;

    if (file == NULL) {
        fprintf(stderr, "load: '%s': %s\n", path, strerror(errno));
        return false;
    }
    while ((n = fread(part, 1, sizeof part, file)) > 0)
        text_add_bytes(out, part, n);
    fclose(file);
    return true;
}

static bool request_make(void)
{
    struct text body = {0};

    if (load_set.body_file != NULL && !file_add(load_set.body_file, &body))
        return false;
    text_add(&request, "%s %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n",
             load_set.body_file != NULL ? "POST" : "GET", load_set.path,
             ntohs(load_set.to.sin_port));
    for (int i = 0; i < load_set.headers_n; i++)
        text_add(&request, "%s\r\n", load_set.headers[i]);
    if (load_set.body_file != NULL)
        text_add(&request, "Content-Type: application/json\r\nContent-Length: %zu\r\n",
                 body.len);
    text_add(&request, "\r\n");
    text_add_bytes(&request, body.at != NULL ? body.at : "", body.len);
    const char *mark = memmem(request.at, request.len, "\"cut-000000", 11);
    number_at = mark != NULL ? (size_t)(mark - request.at) + 5 : 0;
    free(body.at);
    return true;
}

static bool slots_make(void)
{
    int64_t now = now_ns();

    slots = calloc((size_t)load_set.connections, sizeof *slots);
    for (int i = 0; slots != NULL && i < load_set.connections; i++) {
        struct slot *s = &slots[i];
        s->fd = -1;
        s->id = i;
        s->start_ns = now + load_set.ramp_ms * 1000000LL * i / load_set.connections;
        if (number_at == 0)
            continue;
        s->request = malloc(request.len);
        if (s->request == NULL)
            return false;
        memcpy(s->request, request.at, request.len);
    }
    waiting_n = load_set.connections;
    stop_ns = now + load_set.duration_ms * 1000000LL;
    return slots != NULL;
}

static void slots_free(void)
{
    for (int i = 0; i < load_set.connections; i++) {
        http1_fini(&slots[i].in);
        free(slots[i].request);
    }
    free(slots);
    free(request.at);
}

/* --- report -------------------------------------------------------------------------- */

static void times_print(const char *name, struct samples *s)
{
    samples_sort(s);
    printf(",\"%s\":{\"n\":%zu,\"p50_us\":%.1f,\"p90_us\":%.1f,\"p99_us\":%.1f,\"max_us\":%.1f,"
           "\"mean_us\":%.1f}",
           name, s->n, samples_us(s, 500000), samples_us(s, 900000), samples_us(s, 990000),
           samples_us(s, 1000000), samples_mean_us(s));
    samples_fini(s);
}

static void counts_print(void)
{
    const char *comma = "";

    printf(",\"error_kinds\":{");
    for (int i = 0; i < FAIL_COUNT; i++) {
        if (sum.fails[i] == 0)
            continue;
        printf("%s\"%s\":%llu", comma, fail_name[i], (unsigned long long)sum.fails[i]);
        comma = ",";
    }
    printf("},\"statuses\":{");
    comma = "";
    for (int i = 0; i < 600; i++) {
        if (sum.statuses[i] == 0)
            continue;
        printf("%s\"%d\":%llu", comma, i, (unsigned long long)sum.statuses[i]);
        comma = ",";
    }
    printf("}");
}

static void report(void)
{
    double elapsed_s = (double)(sum.last_ns - sum.first_ns) / 1e9;

    if (sum.last_ns == 0)
        elapsed_s = 0;
    printf(
        "{\"mode\":\"%s\",\"connections\":%d,\"elapsed_s\":%.4f,\"requests\":%llu,"
        "\"errors\":%llu,\"rps\":%.1f,\"reconnects\":%llu,\"noted\":%llu,\"body_bytes\":%llu",
        load_mode_name[load_set.mode], load_set.connections, elapsed_s,
        (unsigned long long)sum.right, (unsigned long long)sum.wrong,
        elapsed_s > 0 ? (double)sum.right / elapsed_s : 0, (unsigned long long)sum.reconnects,
        (unsigned long long)sum.noted, (unsigned long long)sum.body_bytes);
    counts_print();
    times_print("answer", &sum.answer);
    if (load_set.tokens != LOAD_NOT_SET || load_set.mode != MODE_CLOSED) {
        printf(",\"tokens\":%llu,\"out_of_order\":%llu,\"coalesced_reads\":%llu,"
               "\"coalesced_tokens\":%llu,\"early_gaps\":%llu",
               (unsigned long long)sum.tokens, (unsigned long long)sum.strays,
               (unsigned long long)sum.coalesced_reads,
               (unsigned long long)sum.coalesced_tokens, (unsigned long long)sum.early_gaps);
        times_print("first_token", &sum.first_token);
        times_print("gap", &sum.gap);
        times_print("forward", &sum.forward);
    }
    if (load_set.mode == MODE_CUT)
        printf(",\"cuts\":[%.*s]", (int)cuts.len, cuts.at != NULL ? cuts.at : "");
    printf("}\n");
}

int main(int argc, char **argv)
{
    struct rlimit files;

    if (!load_settings_read(argc, argv))
        return 2;
    signal(SIGPIPE, SIG_IGN);
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (epoll_fd < 0 || !request_make() || !slots_make())
        return 1;
    run();
    report();
    slots_free();
    free(cuts.at);
    return 0;
}
