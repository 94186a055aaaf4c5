/* SPDX-License-Identifier: Apache-2.0 */
#include "rig.h"

#include <stdio.h>
#include <string.h>

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

    rig->headers_n++;
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
    if (rig->on_held != NULL)
        rig->on_held(rig, job);
}

static void on_request_end(void *ctx, struct mt_http_exchange *x)
{
    struct rig_job *job = mt_http_user(x);
    struct mt_str path = mt_http_path(x);

    (void)ctx;
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
    assert_int_equal(mt_alloc_live, 0);
}

/* ---- the client's side ---- */

static void on_head(void *ctx, struct mt_http_call *http, int status)
{
    struct rig_call *call = ctx;
    struct mt_str type = mt_http_call_header(http, "content-type");

    assert_int_equal(call->status, 0);
    call->status = status;
    memcpy(call->type, type.at, type.len < sizeof call->type ? type.len : 0);
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
