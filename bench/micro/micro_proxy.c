/* SPDX-License-Identifier: Apache-2.0 */
/* What net alone costs: a proxy made of our server and our client that looks into nothing.
 * Whole answers are collected and passed on, event streams piece by piece. It ends at SIGTERM
 * and prints the CPU time per request and the memory of its peak.
 *
 *   micro_proxy PORT http://127.0.0.1:9000 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "net/http_client.h"
#include "net/http_server.h"

enum { BODY_MAX = 32 << 20, URL_MAX = 512 };

struct proxy {
    struct mt_loop *loop;
    struct mt_http_server *server;
    struct mt_http_client *client;
    const char *upstream;
    unsigned long requests_n;
    double cpu_at_start_us;
};

struct pass {
    struct proxy *proxy;
    struct mt_http_exchange *x;
    struct mt_http_call *call;
    struct mt_buf request;
    struct mt_buf answer;
    int status;
    bool is_stream;
    bool is_begun;
};

static double cpu_us(void)
{
    struct rusage used;

    getrusage(RUSAGE_SELF, &used);
    return (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1e6 +
           (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec);
}

static void on_head(void *ctx, struct mt_http_call *call, int status)
{
    struct pass *pass = ctx;

    pass->status = status;
    pass->is_stream =
        mt_str_starts(mt_http_call_header(call, "content-type"), MT_STR("text/event-stream"));
    if (pass->is_stream) {
        mt_http_begin(pass->x, status, "text/event-stream");
        mt_buf_fini(&pass->request);
    }
}

static void on_bytes(void *ctx, struct mt_http_call *call, struct mt_str bytes)
{
    struct pass *pass = ctx;

    if (!pass->is_stream)
        mt_buf_add(&pass->answer, bytes);
    else if (mt_http_send(pass->x, bytes) == MT_HTTP_PAUSE)
        mt_http_call_pause(call);
}

static void on_end(void *ctx, struct mt_http_call *call, enum mt_http_end end,
                   const struct mt_err *err)
{
    struct pass *pass = ctx;

    (void)call;
    pass->call = NULL;
    if (pass->is_stream && end != MT_HTTP_DONE)
        mt_http_abort(pass->x);
    else if (pass->is_stream)
        mt_http_finish(pass->x);
    else if (end == MT_HTTP_DONE)
        mt_http_answer_take(pass->x, pass->status, "application/json", &pass->answer);
    else
        mt_http_answer(pass->x, 502, "text/plain", mt_str_of(err->text));
}

static void on_headers(void *ctx, struct mt_http_exchange *x)
{
    struct pass *pass = mt_alloc(1, sizeof *pass);

    if (pass == NULL)
        abort();
    pass->proxy = ctx;
    pass->x = x;
    mt_buf_init(&pass->request, BODY_MAX);
    mt_buf_init(&pass->answer, BODY_MAX);
    mt_http_set_user(x, pass);
}

static void on_body(void *ctx, struct mt_http_exchange *x, struct mt_str bytes)
{
    struct pass *pass = mt_http_user(x);

    (void)ctx;
    mt_buf_add(&pass->request, bytes);
}

static void on_request_end(void *ctx, struct mt_http_exchange *x)
{
    static const struct mt_http_call_ops ops = {on_head, on_bytes, on_end};
    struct proxy *proxy = ctx;
    struct pass *pass = mt_http_user(x);
    struct mt_str path = mt_http_path(x);
    char url[URL_MAX];
    const struct mt_http_header headers[] = {
        {"Content-Type", MT_STR_INIT("application/json")},
        {"Authorization", mt_http_header(x, "Authorization")},
    };
    const struct mt_http_request request = {
        .method = pass->request.len > 0 ? "POST" : "GET",
        .url = url,
        .headers = headers,
        .headers_n = headers[1].value.len > 0 ? 2 : 1,
        .body = mt_buf_str(&pass->request),
        .head_timeout_ms = 60000,
        .idle_timeout_ms = 60000,
    };
    struct mt_err err;

    if (proxy->requests_n++ == 0)
        proxy->cpu_at_start_us = cpu_us();
    snprintf(url, sizeof url, "%s%.*s", proxy->upstream, MT_STR_ARG(path));
    if (mt_http_request(proxy->client, &request, &ops, pass, &pass->call, &err) != MT_OK)
        mt_http_answer(x, 500, "text/plain", mt_str_of(err.text));
}

static void on_drained(void *ctx, struct mt_http_exchange *x)
{
    struct pass *pass = mt_http_user(x);

    (void)ctx;
    if (pass->call != NULL)
        mt_http_call_resume(pass->call);
}

static void on_closed(void *ctx, struct mt_http_exchange *x)
{
    struct pass *pass = mt_http_user(x);

    (void)ctx;
    if (pass->call != NULL)
        mt_http_call_cancel(pass->call);
    mt_buf_fini(&pass->request);
    mt_buf_fini(&pass->answer);
    mt_free(pass);
}

static void on_signal(void *arg, int signum)
{
    struct proxy *proxy = arg;

    (void)signum;
    mt_loop_stop(proxy->loop);
}

int main(int argc, char **argv)
{
    static const struct mt_http_server_ops ops = {
        .on_headers = on_headers,
        .on_body = on_body,
        .on_request_end = on_request_end,
        .on_drained = on_drained,
        .on_closed = on_closed,
    };
    struct proxy proxy = {.upstream = argc == 3 ? argv[2] : NULL};
    struct mt_http_server_opts opts = {.port = argc == 3 ? (uint16_t)atoi(argv[1]) : 0};
    struct mt_err err;
    struct rusage used;

    if (argc != 3) {
        fprintf(stderr, "usage: micro_proxy PORT http://HOST:PORT\n");
        return 2;
    }
    if (mt_loop_new(&proxy.loop, &err) != MT_OK ||
        mt_loop_on_signal(proxy.loop, SIGTERM, on_signal, &proxy, &err) != MT_OK ||
        mt_http_server_new(proxy.loop, &opts, &ops, &proxy, &proxy.server, &err) != MT_OK ||
        mt_http_client_new(proxy.loop, NULL, &proxy.client, &err) != MT_OK) {
        fprintf(stderr, "micro_proxy: %s\n", err.text);
        return 1;
    }
    mt_loop_run(proxy.loop);
    getrusage(RUSAGE_SELF, &used);
    printf("{\"requests\":%lu,\"cpu_us_per_request\":%.2f,\"rss_peak_kb\":%ld}\n",
           proxy.requests_n,
           proxy.requests_n == 0
               ? 0
               : (cpu_us() - proxy.cpu_at_start_us) / (double)proxy.requests_n,
           used.ru_maxrss);
    mt_http_server_free(proxy.server);
    mt_http_client_free(proxy.client);
    mt_loop_free(proxy.loop);
    return 0;
}
