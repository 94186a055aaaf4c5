/* SPDX-License-Identifier: Apache-2.0 */
#include "rig.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void on_late(void *arg)
{
    struct rig *rig = arg;

    rig->is_late = true;
    mt_loop_stop(rig->loop);
}

void rig_done(struct rig *rig)
{
    assert_true(rig->waits_n > 0);
    rig->waits_n--;
    if (rig->waits_n == 0)
        mt_loop_stop(rig->loop);
}

void rig_run(struct rig *rig)
{
    if (rig->waits_n == 0)
        return;
    mt_timer_start(rig->deadline, RIG_DEADLINE_MS);
    mt_loop_run(rig->loop);
    mt_timer_stop(rig->deadline);
    if (rig->is_late)
        fail_msg("the deadline passed with %u things to come", rig->waits_n);
}

void rig_fill(struct mt_buf *buf, size_t n)
{
    for (size_t i = 0; i < n; i += 8) {
        uint64_t word = (uint64_t)(buf->len / 8) * 0x9E3779B97F4A7C15u;
        mt_buf_add(buf, (struct mt_str){(const char *)&word, n - i < 8 ? n - i : 8});
    }
}

bool rig_is_filled(struct mt_str bytes)
{
    for (size_t i = 0; i < bytes.len; i += 8) {
        uint64_t word = (uint64_t)(i / 8) * 0x9E3779B97F4A7C15u;
        if (memcmp(bytes.at + i, &word, bytes.len - i < 8 ? bytes.len - i : 8) != 0)
            return false;
    }
    return true;
}

/* ---- the server's owner ---- */

static size_t query_size(const struct mt_http_exchange *x, const char *name, size_t fallback)
{
    int64_t value = 0;

    if (!mt_str_to_i64(mt_http_query(x, name), 0, 1 << 30, &value))
        return fallback;
    return (size_t)value;
}

/* Send pieces until told to pause; finish after the last. */
static void pump(struct rig_job *job)
{
    MT_CLEANUP(mt_buf_fini) struct mt_buf piece = MT_BUF_INIT(RIG_BODY_MAX);

    rig_fill(&piece, job->piece_size);
    while (job->left_n > 0) {
        job->left_n--;
        if (mt_http_send(job->x, mt_buf_str(&piece)) == MT_HTTP_PAUSE) {
            job->rig->pauses_n++;
            break;
        }
    }
    if (job->left_n == 0)
        mt_http_finish(job->x);
}

static void on_headers(void *ctx, struct mt_http_exchange *x)
{
    struct rig *rig = ctx;
    struct rig_job *job = mt_alloc(1, sizeof *job);

    struct mt_str peer = mt_http_peer(x);

    rig->headers_n++;
    if (!mt_str_is(peer, rig->last_peer))
        rig->connections_n++;
    memcpy(rig->last_peer, peer.at, peer.len + 1);
    job->rig = rig;
    job->x = x;
    mt_buf_init(&job->body, RIG_BODY_MAX);
    mt_http_set_user(x, job);
    if (mt_str_is(mt_http_path(x), "/early"))
        mt_http_answer(x, 403, "text/plain", MT_STR("early"));
}

static void on_body(void *ctx, struct mt_http_exchange *x, struct mt_str bytes)
{
    struct rig_job *job = mt_http_user(x);

    (void)ctx;
    mt_buf_add(&job->body, bytes);
}

static void hold(struct rig_job *job)
{
    struct rig *rig = job->rig;

    job->next = rig->held;
    rig->held = job;
    if (rig->drains_when_held)
        mt_http_server_drain(rig->server);
    if (rig->on_held != NULL)
        rig->on_held(rig, job);
}

static void answer_file(struct mt_http_exchange *x)
{
    MT_CLEANUP(mt_buf_fini) struct mt_buf bytes = MT_BUF_INIT(RIG_BODY_MAX);
    char path[] = "/tmp/mt-file-XXXXXX";
    int fd = mkstemp(path);

    rig_fill(&bytes, 300000);
    assert_true(fd >= 0);
    unlink(path);
    assert_int_equal(write(fd, bytes.at, bytes.len), bytes.len);
    mt_http_answer_file(x, 200, "application/octet-stream", fd, bytes.len);
}

static void on_request_end(void *ctx, struct mt_http_exchange *x)
{
    struct rig_job *job = mt_http_user(x);
    struct mt_str path = mt_http_path(x);

    (void)ctx;
    if (job->rig->fail_after_n > 0)
        mt_alloc_fail_after = job->rig->fail_after_n - 1;
    if (mt_str_is(path, "/echo")) {
        mt_http_set_header(x, "X-Length", MT_STR("counted"));
        mt_http_answer(x, 200, "application/octet-stream", mt_buf_str(&job->body));
    } else if (mt_str_is(path, "/take")) {
        mt_http_answer_take(x, 200, "application/octet-stream", &job->body);
    } else if (mt_str_is(path, "/hello")) {
        mt_http_answer(x, 200, "text/plain", MT_STR("hello"));
    } else if (mt_str_is(path, "/stream")) {
        job->left_n = query_size(x, "n", 3);
        job->piece_size = query_size(x, "size", 100);
        mt_http_begin(x, 200, "text/event-stream");
        pump(job);
    } else if (mt_str_is(path, "/open")) {
        mt_http_begin(x, 200, "text/event-stream");
        (void)mt_http_send(x, MT_STR("first"));
        hold(job);
    } else if (mt_str_is(path, "/file")) {
        answer_file(x);
    } else if (mt_str_is(path, "/hold")) {
        hold(job);
    } else if (mt_str_is(path, "/cut")) {
        mt_http_begin(x, 200, "text/event-stream");
        (void)mt_http_send(x, MT_STR("half"));
        hold(job);
    } else {
        mt_http_answer(x, 404, "text/plain", MT_STR("no such path"));
    }
}

static void on_drained(void *ctx, struct mt_http_exchange *x)
{
    (void)ctx;
    pump(mt_http_user(x));
}

static void on_gone(void *ctx, struct mt_http_exchange *x)
{
    struct rig *rig = ctx;

    (void)x;
    rig->gone_n++;
    rig->gone_at_ns = mt_loop_clock_ns();
}

static void on_closed(void *ctx, struct mt_http_exchange *x)
{
    struct rig *rig = ctx;
    struct rig_job *job = mt_http_user(x);
    struct rig_job **at = &rig->held;

    rig->closed_n++;
    while (*at != NULL && *at != job)
        at = &(*at)->next;
    if (*at != NULL)
        *at = job->next;
    mt_buf_fini(&job->body);
    mt_free(job);
    if (rig->is_gone_awaited && rig->gone_n > 0)
        rig_done(rig);
}

static void error_body(void *ctx, struct mt_str path, int status, const char *text,
                       struct mt_buf *body, const char **content_type)
{
    struct rig *rig = ctx;

    (void)path;
    rig->refused_n++;
    mt_buf_addf(body, "{\"error\":\"%s\",\"status\":%d}", text, status);
    *content_type = "application/json";
}

static const struct mt_http_server_ops server_ops = {
    .on_headers = on_headers,
    .on_body = on_body,
    .on_request_end = on_request_end,
    .on_drained = on_drained,
    .on_gone = on_gone,
    .on_closed = on_closed,
    .error_body = error_body,
};

void rig_up(struct rig *rig, const struct mt_http_server_opts *opts,
            const struct mt_http_client_opts *client_opts)
{
    static const struct mt_http_server_opts defaults;
    struct mt_err err = {0};

    memset(rig, 0, sizeof *rig);
    rig->live_before = mt_alloc_live; /* a failed test before may have left some */
    assert_int_equal(mt_loop_new(&rig->loop, &err), MT_OK);
    assert_int_equal(mt_timer_new(rig->loop, on_late, rig, &rig->deadline, &err), MT_OK);
    if (mt_http_server_new(rig->loop, opts == NULL ? &defaults : opts, &server_ops, rig,
                           &rig->server, &err) != MT_OK)
        fail_msg("server: %s", err.text);
    if (mt_http_client_new(rig->loop, client_opts, &rig->client, &err) != MT_OK)
        fail_msg("client: %s", err.text);
}

void rig_down(struct rig *rig)
{
    mt_http_client_free(rig->client);
    mt_http_server_free(rig->server);
    mt_timer_free(rig->deadline);
    mt_loop_free(rig->loop);
    assert_int_equal(rig->headers_n, rig->closed_n);
    assert_int_equal(mt_alloc_live, rig->live_before);
}

/* ---- the client's side ---- */

static void on_head(void *ctx, struct mt_http_call *http, int status)
{
    struct rig_call *call = ctx;
    struct mt_str type = mt_http_call_header(http, "content-type");

    assert_int_equal(call->status, 0);
    call->status = status;
    if (type.len > 0 && type.len < sizeof call->type)
        memcpy(call->type, type.at, type.len);
    if (call->on_head != NULL)
        call->on_head(call);
}

static void on_bytes(void *ctx, struct mt_http_call *http, struct mt_str bytes)
{
    struct rig_call *call = ctx;

    (void)http;
    call->pieces_n++;
    mt_buf_add(&call->body, bytes);
    if (call->on_bytes != NULL)
        call->on_bytes(call);
}

static void on_end(void *ctx, struct mt_http_call *http, enum mt_http_end end,
                   const struct mt_err *err)
{
    struct rig_call *call = ctx;

    (void)http;
    assert_int_equal(call->ends_n, 0);
    assert_int_equal(end == MT_HTTP_DONE, err == NULL);
    call->ends_n++;
    call->end = end;
    if (err != NULL)
        call->err = *err;
    if (call->on_end != NULL)
        call->on_end(call);
    call->call = NULL;
    rig_done(call->rig);
}

void rig_call_with(struct rig *rig, struct rig_call *call, struct mt_http_request request,
                   const char *path)
{
    static const struct mt_http_call_ops ops = {on_head, on_bytes, on_end};
    struct mt_err err = {0};
    char url[256];

    snprintf(url, sizeof url, "http://127.0.0.1:%u%s", mt_http_server_port(rig->server), path);
    if (request.url == NULL)
        request.url = url;
    call->rig = rig;
    mt_buf_init(&call->body, RIG_BODY_MAX);
    rig->waits_n++;
    if (mt_http_request(rig->client, &request, &ops, call, &call->call, &err) != MT_OK)
        fail_msg("request: %s", err.text);
    assert_int_equal(call->ends_n, 0); /* never inside mt_http_request */
}

void rig_call(struct rig *rig, struct rig_call *call, const char *method, const char *path,
              struct mt_str body)
{
    rig_call_with(rig, call, (struct mt_http_request){.method = method, .body = body}, path);
}

void rig_call_fini(struct rig_call *call)
{
    mt_buf_fini(&call->body);
}

/* ---- raw peers ---- */

static void raw_fail(const char *what)
{
    perror(what);
    abort();
}

static struct sockaddr_in loopback(uint16_t port)
{
    return (struct sockaddr_in){.sin_family = AF_INET,
                                .sin_port = htons(port),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static unsigned count(const struct rig_raw *raw, const char *what)
{
    unsigned n = 0;

    for (const char *at = strstr(raw->got, what); at != NULL; at = strstr(at + 1, what))
        n++;
    return n;
}

/* Read until the end or the wanted number of marks; bounded by the rig's deadline. */
static void raw_read(struct rig_raw *raw, int fd, const char *until, unsigned until_n)
{
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};

    while (raw->got_n < sizeof raw->got - 1) {
        if (until != NULL && (until_n == 0 || count(raw, until) >= until_n))
            return;
        if (poll(&poll_fd, 1, RIG_DEADLINE_MS) <= 0)
            return;
        ssize_t n = recv(fd, raw->got + raw->got_n, sizeof raw->got - 1 - raw->got_n, 0);
        if (n <= 0) {
            raw->is_closed = true;
            return;
        }
        raw->got_n += (size_t)n;
        for (size_t i = raw->got_n - (size_t)n; i < raw->got_n; i++)
            if (raw->got[i] == '\0')
                raw->got[i] = '?';
    }
}

static void raw_send(const struct rig_raw *raw, int fd)
{
    size_t n = raw->send_n > 0 ? raw->send_n : strlen(raw->send);
    size_t step = raw->gap_ms > 0 ? 1 : n;
    struct pollfd gone = {.fd = fd, .events = POLLIN};

    for (size_t times = raw->send_times > 0 ? raw->send_times : 1; times > 0; times--) {
        for (size_t at = 0; at < n; at += step) {
            if (send(fd, raw->send + at, step, MSG_NOSIGNAL) < 0)
                return; /* the server has had enough */
            if (raw->gap_ms > 0 && poll(&gone, 1, (int)raw->gap_ms) > 0)
                return;
        }
    }
}

static void raw_reset(int fd)
{
    struct linger now = {.l_onoff = 1, .l_linger = 0};

    (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
}

static int raw_connect(uint16_t port)
{
    struct sockaddr_in to = loopback(port);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof to) != 0)
        raw_fail("connect");
    return fd;
}

static void raw_done(void *arg)
{
    rig_done(((struct rig_raw *)arg)->rig);
}

static void raw_half_close(struct rig_raw *raw, int fd)
{
    (void)poll(NULL, 0, raw->delay_close_ms);
    raw->closed_at_ns = mt_loop_clock_ns();
    (void)shutdown(fd, SHUT_WR);
}

static void *raw_main(void *arg)
{
    struct rig_raw *raw = arg;
    int fd;

    if (raw->listens) {
        fd = accept(raw->fd, NULL, NULL);
        if (fd < 0)
            raw_fail("accept");
        raw_read(raw, fd, "\r\n\r\n", 1);
        raw_send(raw, fd);
        if (raw->until != NULL)
            raw_read(raw, fd, raw->until, raw->until_n);
    } else {
        fd = raw_connect(mt_http_server_port(raw->rig->server));
        raw_send(raw, fd);
        if (raw->half_closes)
            raw_half_close(raw, fd);
        if (!raw->resets)
            raw_read(raw, fd, raw->until, raw->until_n);
    }
    (void)poll(NULL, 0, raw->delay_close_ms);
    if (raw->closed_at_ns == 0)
        raw->closed_at_ns = mt_loop_clock_ns();
    if (raw->resets)
        raw_reset(fd);
    (void)close(fd);
    while (mt_loop_post(raw->rig->loop, raw_done, raw, NULL) != MT_OK)
        continue;
    return NULL;
}

void rig_raw_listen(struct rig_raw *raw)
{
    struct sockaddr_in at = loopback(0);
    socklen_t len = sizeof at;

    raw->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (raw->fd < 0 || bind(raw->fd, (struct sockaddr *)&at, len) != 0 ||
        listen(raw->fd, 8) != 0 || getsockname(raw->fd, (struct sockaddr *)&at, &len) != 0)
        raw_fail("listen");
    raw->port = ntohs(at.sin_port);
}

void rig_raw_start(struct rig *rig, struct rig_raw *raw)
{
    raw->rig = rig;
    rig->waits_n++;
    if (raw->listens && raw->port == 0)
        rig_raw_listen(raw);
    assert_int_equal(pthread_create(&raw->thread, NULL, raw_main, raw), 0);
}

void rig_raw_join(struct rig_raw *raw)
{
    assert_int_equal(pthread_join(raw->thread, NULL), 0);
    if (raw->listens)
        (void)close(raw->fd);
}
