/* SPDX-License-Identifier: Apache-2.0 */
/* The client against our server, against servers that misbehave, and against nobody. */
#include "rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "net/http_client.h"

static struct rig_raw raw;

/* ---- requests that cannot be started ---- */

static const struct invalid_row {
    const char *name, *url, *header, *value;
} invalid_rows[] = {
    {"no scheme", "127.0.0.1/x", NULL, NULL},
    {"file", "file:///etc/hostname", NULL, NULL},
    {"ftp", "ftp://127.0.0.1/", NULL, NULL},
    {"no host", "http://", NULL, NULL},
    {"no host but a path", "http:///x", NULL, NULL},
    {"space", "http://127.0.0.1/a b", NULL, NULL},
    {"line break", "http://127.0.0.1/a\r\nX: y", NULL, NULL},
    {"header name with colon", NULL, "X:", "a"},
    {"header name with space", NULL, "X Y", "a"},
    {"empty header name", NULL, "", "a"},
    {"header value with line break", NULL, "X", "a\r\nY: b"},
    {"length of the caller's own", NULL, "content-length", "3"},
    {"framing of the caller's own", NULL, "Transfer-Encoding", "chunked"},
};

static void bad_requests_are_refused_at_once(void **state)
{
    (void)state;
    static const struct mt_http_call_ops none;
    struct rig rig;

    rig_up(&rig, NULL, NULL);
    for (size_t i = 0; i < MT_ARRAY_LEN(invalid_rows); i++) {
        const struct invalid_row *row = &invalid_rows[i];
        struct mt_http_header header = {row->header, mt_str_of(row->value)};
        struct mt_http_request request = {
            .method = "GET",
            .url = row->url == NULL ? "http://127.0.0.1/" : row->url,
            .headers = &header,
            .headers_n = row->header == NULL ? 0 : 1,
        };
        struct mt_http_call *call = NULL;
        struct mt_err err = {0};

        mt_check_row(row->name, mt_http_request(rig.client, &request, &none, NULL, &call,
                                                &err) == MT_E_INVALID);
        mt_check_row(row->name, call == NULL && err.text[0] != '\0');
    }
    rig_down(&rig);
}

/* ---- what goes out ---- */

static void requests_look_as_asked_for(void **state)
{
    (void)state;
    struct rig rig;
    struct rig_call call = {0};
    char url[64];
    const struct mt_http_header headers[] = {
        {"Authorization", MT_STR_INIT("Bearer secret")},
        {"X-Empty", {NULL, 0}},
    };

    rig_up(&rig, NULL, NULL);
    raw = (struct rig_raw){.listens = true,
                           .send = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"};
    rig_raw_start(&rig, &raw);
    snprintf(url, sizeof url, "http://127.0.0.1:%u/a/../b?c=d", raw.port);
    rig_call_with(&rig, &call,
                  (struct mt_http_request){.method = "POST",
                                           .url = url,
                                           .headers = headers,
                                           .headers_n = 2,
                                           .body = MT_STR("{}")},
                  NULL);
    rig_run(&rig);
    rig_raw_join(&raw);
    assert_int_equal(call.status, 200);
    assert_non_null(strstr(raw.got, "POST /a/../b?c=d HTTP/1.1\r\n")); /* path as it is */
    assert_non_null(strstr(raw.got, "Authorization: Bearer secret\r\n"));
    assert_non_null(strstr(raw.got, "X-Empty:\r\n"));
    assert_non_null(strstr(raw.got, "Content-Length: 2\r\n"));
    assert_null(strstr(raw.got, "Expect"));
    assert_null(strstr(raw.got, "Content-Type")); /* not invented */
    rig_call_fini(&call);
    rig_down(&rig);
}

/* ---- answers that go wrong ---- */

static const struct peer_row {
    const char *name, *answer;
    size_t times;
    enum mt_http_end end;
    int status;
    const char *body;
} peer_rows[] = {
    {"nothing at all", "", 0, MT_HTTP_BROKEN, 0, ""},
    {"half a status line", "HTTP/1.1 20", 0, MT_HTTP_BROKEN, 0, ""},
    {"half a header", "HTTP/1.1 200 OK\r\nContent-Le", 0, MT_HTTP_BROKEN, 0, ""},
    {"half a body", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", 0, MT_HTTP_BROKEN, 200,
     "half"},
    {"half a chunked body",
     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n", 0, MT_HTTP_BROKEN,
     200, "half"},
    {"bad chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 0,
     MT_HTTP_BROKEN, 200, ""},
    {"not http", "SSH-2.0-x\r\n\r\n", 0, MT_HTTP_BROKEN, 0, ""},
    {"interim answers first",
     "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
     "HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\nok",
     0, MT_HTTP_DONE, 201, "ok"},
    {"trailers",
     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX: y\r\n\r\n", 0,
     MT_HTTP_DONE, 200, "ok"},
    {"body to the end of the connection", "HTTP/1.1 200 OK\r\n\r\nall", 0, MT_HTTP_DONE, 200,
     "all"},
    {"redirect is not followed",
     "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 2\r\n\r\nno", 0,
     MT_HTTP_DONE, 302, "no"},
    {"no content", "HTTP/1.1 204 No Content\r\n\r\n", 0, MT_HTTP_DONE, 204, ""},
    {"endless header",
     "HTTP/1.1 200 OK\r\nX-A: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n", 5000,
     MT_HTTP_BROKEN, 0, ""},
};

static void check_peer(const struct peer_row *row)
{
    struct rig rig;
    struct rig_call call = {0};
    char url[64];

    rig_up(&rig, NULL, NULL);
    raw = (struct rig_raw){.listens = true, .send = row->answer, .send_times = row->times};
    rig_raw_start(&rig, &raw);
    snprintf(url, sizeof url, "http://127.0.0.1:%u/", raw.port);
    rig_call_with(&rig, &call, (struct mt_http_request){.method = "GET", .url = url}, NULL);
    rig_run(&rig);
    rig_raw_join(&raw);
    if (call.end != row->end && !(row->times > 0 && call.end == MT_HTTP_TOO_BIG))
        fail_msg("row '%s': ended as %d: %s", row->name, (int)call.end, call.err.text);
    mt_check_row(row->name, call.status == row->status);
    mt_check_row(row->name, mt_str_is(mt_buf_str(&call.body), row->body));
    mt_check_row(row->name, (call.end == MT_HTTP_DONE) == (call.err.text[0] == '\0'));
    rig_call_fini(&call);
    rig_down(&rig);
}

static void answers_end_as_what_they_are(void **state)
{
    (void)state;
    for (size_t i = 0; i < MT_ARRAY_LEN(peer_rows); i++)
        check_peer(&peer_rows[i]);
}

/* ---- how long the server asks to be left alone ---- */

#define DATED \
    "HTTP/1.1 429 Slow Down\r\nDate: Fri, 20 Nov 2026 16:00:00 GMT\r\nContent-Length: 0\r\n"

static const struct wait_row {
    const char *name, *answer;
    int64_t ms;
} wait_rows[] = {
    {"not said", DATED "\r\n", -1},
    {"empty", DATED "Retry-After:\r\n\r\n", -1},
    {"words", DATED "Retry-After: soon\r\n\r\n", -1},
    {"seconds", DATED "Retry-After: 120\r\n\r\n", 120000},
    {"no seconds", DATED "Retry-After: 0\r\n\r\n", 0},
    {"parts of seconds", DATED "Retry-After: 1.5\r\n\r\n", 1500},
    {"negative seconds", DATED "Retry-After: -3\r\n\r\n", 0},
    {"more than a day", DATED "Retry-After: 1e300\r\n\r\n", 86400000},
    {"a date", DATED "Retry-After: Fri, 20 Nov 2026 16:01:30 GMT\r\n\r\n", 90000},
    {"a date as of RFC 850", DATED "Retry-After: Friday, 20-Nov-26 16:01:30 GMT\r\n\r\n",
     90000},
    {"a date as of asctime", DATED "Retry-After: Fri Nov 20 16:01:30 2026\r\n\r\n", 90000},
    {"this second", DATED "Retry-After: Fri, 20 Nov 2026 16:00:00 GMT\r\n\r\n", 0},
    {"a past date", DATED "Retry-After: Fri, 20 Nov 2026 15:59:00 GMT\r\n\r\n", 0},
    {"a date of another year", DATED "Retry-After: Sat, 20 Nov 2027 16:00:00 GMT\r\n\r\n",
     86400000},
    {"a date by our clock, past",
     "HTTP/1.1 503 Busy\r\nRetry-After: Fri, 20 Nov 2015 16:00:00 GMT\r\n\r\n", 0},
    {"a date by our clock, far",
     "HTTP/1.1 503 Busy\r\nRetry-After: Fri, 20 Nov 2499 16:00:00 GMT\r\n\r\n", 86400000},
    {"a date by our clock, as the server's makes no sense",
     "HTTP/1.1 503 Busy\r\nDate: noon\r\nRetry-After: Fri, 20 Nov 2015 16:00:00 GMT\r\n\r\n",
     0},
};

static int64_t asked_wait_ms;

static void note_wait(struct rig_call *call)
{
    asked_wait_ms = mt_http_call_retry_after_ms(call->call);
}

static void servers_say_how_long_to_wait(void **state)
{
    (void)state;
    for (size_t i = 0; i < MT_ARRAY_LEN(wait_rows); i++) {
        struct rig rig;
        struct rig_call call = {.on_head = note_wait};
        char url[64];

        rig_up(&rig, NULL, NULL);
        raw = (struct rig_raw){.listens = true, .send = wait_rows[i].answer};
        rig_raw_start(&rig, &raw);
        snprintf(url, sizeof url, "http://127.0.0.1:%u/", raw.port);
        asked_wait_ms = INT64_MIN;
        rig_call_with(&rig, &call, (struct mt_http_request){.method = "GET", .url = url}, NULL);
        rig_run(&rig);
        rig_raw_join(&raw);
        if (asked_wait_ms != wait_rows[i].ms)
            fail_msg("row '%s': %lld ms", wait_rows[i].name, (long long)asked_wait_ms);
        rig_call_fini(&call);
        rig_down(&rig);
    }
}

static const struct unreachable_row {
    const char *name, *url;
} unreachable_rows[] = {
    {"refused", "http://127.0.0.1:1/"},
    {"unknown host", "http://no-such-host.invalid/"},
    {"bad port", "http://127.0.0.1:99999/"},
    {"tls to nobody", "https://127.0.0.1:1/"},
};

static void unreachable_servers_are_told_from_broken_ones(void **state)
{
    (void)state;
    struct rig rig;

    rig_up(&rig, NULL, NULL);
    for (size_t i = 0; i < MT_ARRAY_LEN(unreachable_rows); i++) {
        struct rig_call call = {0};

        rig_call_with(&rig, &call,
                      (struct mt_http_request){.method = "GET", .url = unreachable_rows[i].url},
                      NULL);
        rig_run(&rig);
        if (call.end != MT_HTTP_NOT_CONNECTED)
            fail_msg("row '%s': ended as %d: %s", unreachable_rows[i].name, (int)call.end,
                     call.err.text);
        rig_call_fini(&call);
    }
    rig_down(&rig);
}

/* A kept connection that the server closed meanwhile: the request goes out on a new one. */
static void dead_connections_are_replaced_unseen(void **state)
{
    (void)state;
    struct rig rig;

    rig_up(&rig, &(struct mt_http_server_opts){.idle_timeout_ms = 20}, NULL);
    for (int i = 0; i < 4; i++) {
        struct rig_call call = {0};

        rig_call(&rig, &call, "POST", "/echo", MT_STR("x"));
        rig_run(&rig);
        assert_int_equal(call.end, MT_HTTP_DONE);
        rig_call_fini(&call);
        rig.waits_n++; /* let the server's idle limit pass */
        struct mt_timer *timer = NULL;
        assert_int_equal(mt_timer_new(rig.loop, (mt_timer_fn *)rig_done, &rig, &timer, NULL),
                         MT_OK);
        mt_timer_start(timer, i % 2 == 0 ? 60 : 41);
        rig_run(&rig);
        mt_timer_free(timer);
    }
    assert_true(rig.connections_n > 1);
    rig_down(&rig);
}

/* ---- time limits ---- */

static const struct limit_row {
    const char *name, *path;
    struct mt_http_request request;
    const char *text;
    int status;
} limit_rows[] = {
    {"head", "/hold", {.head_timeout_ms = 40}, "head time limit", 0},
    {"idle", "/open", {.idle_timeout_ms = 40}, "idle time limit", 200},
    {"total before the head", "/hold", {.total_timeout_ms = 40}, "total time limit", 0},
    {"total in the body", "/open", {.total_timeout_ms = 40}, "total time limit", 200},
};

static void limits_of_time_are_kept(void **state)
{
    (void)state;
    struct rig rig;

    rig_up(&rig, NULL, NULL);
    for (size_t i = 0; i < MT_ARRAY_LEN(limit_rows); i++) {
        const struct limit_row *row = &limit_rows[i];
        struct mt_http_request request = row->request;
        struct rig_call call = {0};
        int64_t began_ns = mt_loop_clock_ns();

        request.method = "GET";
        rig_call_with(&rig, &call, request, row->path);
        rig_run(&rig);
        mt_check_row(row->name, call.end == MT_HTTP_TIMED_OUT);
        mt_check_row(row->name, call.err.rc == MT_E_TIMEOUT);
        mt_check_row(row->name, strstr(call.err.text, row->text) != NULL);
        mt_check_row(row->name, call.status == row->status);
        mt_check_row(row->name, mt_loop_clock_ns() - began_ns >= 39000000);
        mt_check_row(row->name,
                     mt_loop_clock_ns() - began_ns < 3000000000); /* not the connect limit */
        rig_call_fini(&call);
    }
    rig_down(&rig);
}

static void connecting_has_a_limit(void **state)
{
    (void)state;
    struct rig rig;
    struct rig_call call = {0};
    char url[64];

    rig_up(&rig, NULL, NULL);
    /* Accepts and says nothing: TLS never comes about. */
    raw = (struct rig_raw){.listens = true, .send = "", .until = "none", .until_n = 1};
    rig_raw_start(&rig, &raw);
    snprintf(url, sizeof url, "https://127.0.0.1:%u/", raw.port);
    rig_call_with(
        &rig, &call,
        (struct mt_http_request){.method = "GET", .url = url, .connect_timeout_ms = 50}, NULL);
    rig_run(&rig);
    rig_raw_join(&raw);
    assert_int_equal(call.end, MT_HTTP_TIMED_OUT);
    assert_non_null(strstr(call.err.text, "connect time limit"));
    rig_call_fini(&call);
    rig_down(&rig);
}

/* ---- cancelling ---- */

static void cancel_here(struct rig_call *call)
{
    mt_http_call_cancel(call->call);
    call->call = NULL;
    rig_done(call->rig);
}

static struct rig_call *victim;

static void cancel_the_other(struct rig_call *call)
{
    (void)call;
    if (victim->call != NULL && victim->ends_n == 0)
        cancel_here(victim);
}

static void cancel_itself_in_vain(struct rig_call *call)
{
    mt_http_call_cancel(call->call); /* it is over: harmless */
}

static void cancelling_is_safe_everywhere(void **state)
{
    (void)state;
    const struct {
        const char *name;
        struct rig_call call;
        unsigned ends_n;
    } rows[] = {
        {"in on_head", {.on_head = cancel_here}, 0},
        {"in on_bytes", {.on_bytes = cancel_here}, 0},
        {"in on_end", {.on_end = cancel_itself_in_vain}, 1},
    };

    for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
        struct rig rig;
        struct rig_call call = rows[i].call;

        rig_up(&rig, NULL, NULL);
        rig_call(&rig, &call, "GET", "/stream?n=50&size=100000", MT_STR(""));
        rig_run(&rig);
        mt_check_row(rows[i].name, call.ends_n == rows[i].ends_n);
        rig_call_fini(&call);
        rig_down(&rig);
    }
}

/* ---- beginning inside a callback ---- */

static struct rig_call *other;

static void begin_the_other(struct rig_call *call)
{
    if (other->rig == NULL)
        rig_call(call->rig, other, "GET", "/stream?n=2&size=10", MT_STR(""));
}

static void a_call_may_begin_in_any_callback_of_another(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        struct rig_call call;
    } rows[] = {
        {"in on_head", {.on_head = begin_the_other}},
        {"in on_bytes", {.on_bytes = begin_the_other}},
        {"in on_end", {.on_end = begin_the_other}},
    };
    for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
        struct rig rig;
        struct rig_call call = rows[i].call;
        struct rig_call next = {0};

        rig_up(&rig, NULL, NULL);
        other = &next;
        rig_call(&rig, &call, "GET", "/stream?n=2&size=10", MT_STR(""));
        rig_run(&rig);
        mt_check_row(rows[i].name, call.end == MT_HTTP_DONE && call.status == 200);
        mt_check_row(rows[i].name, next.end == MT_HTTP_DONE && next.status == 200);
        rig_call_fini(&call);
        rig_call_fini(&next);
        rig_down(&rig);
    }
}

static void cancelling_another_call_frees_its_body(void **state)
{
    (void)state;
    const size_t sizes[] = {10, 60000, 300000};

    for (size_t i = 0; i < MT_ARRAY_LEN(sizes); i++) {
        struct rig rig;
        struct rig_call first = {.on_head = cancel_the_other, .on_end = cancel_the_other};
        struct rig_call second = {0};
        struct rig_call third = {0};
        char *body = malloc(sizes[i]);

        assert_non_null(body);
        memset(body, 'x', sizes[i]);
        rig_up(&rig, NULL, NULL);
        victim = &second;
        rig_call(&rig, &first, "GET", "/hello", MT_STR(""));
        rig_call(&rig, &second, "POST", "/hold", (struct mt_str){body, sizes[i]});
        rig_run(&rig);
        free(body); /* borrowed until cancelled */
        rig_call(&rig, &third, "GET", "/hello", MT_STR(""));
        rig_run(&rig);
        assert_int_equal(third.status, 200);
        assert_int_equal(second.ends_n, 0);
        rig_call_fini(&first);
        rig_call_fini(&second);
        rig_call_fini(&third);
        rig_down(&rig);
    }
}

static void cancelled_calls_reach_the_server(void **state)
{
    (void)state;
    struct rig rig;
    struct rig_call call = {.on_bytes = cancel_here};

    rig_up(&rig, NULL, NULL);
    rig.is_gone_awaited = true;
    rig.waits_n = 1;
    rig_call(&rig, &call, "GET", "/open", MT_STR(""));
    rig_run(&rig);
    assert_int_equal(rig.gone_n, 1);
    rig_call_fini(&call);
    rig_down(&rig);
}

static void cancelling_before_anything_happened(void **state)
{
    (void)state;
    struct rig rig;
    struct rig_call call = {0};

    rig_up(&rig, NULL, NULL);
    rig_call(&rig, &call, "GET", "/hello", MT_STR(""));
    mt_http_call_cancel(call.call);
    rig.waits_n = 0;
    rig_call_fini(&call);
    rig_call(&rig, &call, "GET", "/hello", MT_STR(""));
    rig_down(&rig); /* with a call in flight */
    assert_int_equal(call.ends_n, 0);
    rig_call_fini(&call);
}

static void any_failed_allocation_refuses_the_request(void **state)
{
    (void)state;
    static const struct mt_http_call_ops none;
    struct rig rig;
    struct mt_http_call *call = NULL;
    mt_rc rc = MT_E_NOMEM;
    const struct mt_http_header header = {"X-A", MT_STR_INIT("b")};
    char url[64];

    rig_up(&rig, NULL, NULL);
    snprintf(url, sizeof url, "http://127.0.0.1:%u/hold", mt_http_server_port(rig.server));
    for (long nth = 0; rc != MT_OK; nth++) {
        mt_alloc_fail_after = nth;
        rc = mt_http_request(
            rig.client,
            &(struct mt_http_request){
                .method = "GET", .url = url, .headers = &header, .headers_n = 1},
            &none, NULL, &call, NULL);
        mt_alloc_fail_after = -1;
        assert_true(rc == MT_OK || rc == MT_E_NOMEM);
    }
    mt_http_call_cancel(call);
    rig_down(&rig);
}

/* ---- TLS ---- */

static char dir[] = "/tmp/mt-tls-XXXXXX";
static char cert_file[64];
static char key_file[64];

static int make_certificate(void **state)
{
    char command[512];

    (void)state;
    if (mkdtemp(dir) == NULL)
        return -1;
    snprintf(cert_file, sizeof cert_file, "%s/cert.pem", dir);
    snprintf(key_file, sizeof key_file, "%s/key.pem", dir);
    snprintf(command, sizeof command,
             "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes "
             "-days 2 -subj /CN=localhost -addext subjectAltName=IP:127.0.0.1 "
             "-keyout %s -out %s 2>/dev/null",
             key_file, cert_file);
    return system(command);
}

static int remove_certificate(void **state)
{
    (void)state;
    unlink(cert_file);
    unlink(key_file);
    return rmdir(dir);
}

static void tls_call(struct rig *rig, struct rig_call *call, const char *method,
                     const char *path, struct mt_str body)
{
    char url[128];

    snprintf(url, sizeof url, "https://127.0.0.1:%u%s", mt_http_server_port(rig->server), path);
    rig_call_with(rig, call,
                  (struct mt_http_request){.method = method, .url = url, .body = body}, NULL);
    rig_run(rig);
}

static void tls_up(struct rig *rig, const char *ca_file)
{
    rig_up(rig,
           &(struct mt_http_server_opts){.tls_cert_file = cert_file, .tls_key_file = key_file},
           &(struct mt_http_client_opts){.ca_file = ca_file});
}

static void unknown_certificates_are_refused(void **state)
{
    (void)state;
    struct rig rig;
    struct rig_call call = {0};

    tls_up(&rig, NULL);
    tls_call(&rig, &call, "GET", "/hello", MT_STR(""));
    assert_int_equal(call.end, MT_HTTP_NOT_CONNECTED);
    assert_non_null(strstr(call.err.text, "certificate"));
    assert_int_equal(rig.headers_n, 0);
    rig_call_fini(&call);
    rig_down(&rig);
}

static void trusted_certificates_serve_everything(void **state)
{
    (void)state;
    struct rig rig;
    struct rig_call hello = {0};
    struct rig_call stream = {0};
    struct rig_call echo = {0};
    struct mt_buf body = MT_BUF_INIT(RIG_BODY_MAX);

    tls_up(&rig, cert_file);
    rig_fill(&body, 2 << 20);
    tls_call(&rig, &hello, "GET", "/hello", MT_STR(""));
    assert_int_equal(hello.status, 200);
    assert_string_equal(mt_buf_cstr(&hello.body), "hello");
    tls_call(&rig, &stream, "GET", "/stream?n=100&size=20000", MT_STR(""));
    assert_int_equal(stream.end, MT_HTTP_DONE);
    assert_int_equal(stream.body.len, 100 * 20000);
    tls_call(&rig, &echo, "POST", "/echo", mt_buf_str(&body));
    assert_int_equal(echo.end, MT_HTTP_DONE);
    assert_true(rig_is_filled(mt_buf_str(&echo.body)));
    assert_int_equal(echo.body.len, body.len);
    assert_int_equal(rig.connections_n, 1);
    rig_call_fini(&hello);
    rig_call_fini(&stream);
    rig_call_fini(&echo);
    mt_buf_fini(&body);
    rig_down(&rig);
}

static void a_request_may_name_its_own_authorities(void **state)
{
    (void)state;
    static const struct {
        const char *name, *ca_file;
        enum mt_http_end end;
    } rows[] = {
        {"the right one", cert_file, MT_HTTP_DONE},
        {"the system's", NULL, MT_HTTP_NOT_CONNECTED},
        {"the right one again", cert_file, MT_HTTP_DONE},
        {"a file that is not there", "/no/such", MT_HTTP_NOT_CONNECTED},
    };
    struct rig rig;
    char url[128];

    tls_up(&rig, NULL);
    snprintf(url, sizeof url, "https://127.0.0.1:%u/hello", mt_http_server_port(rig.server));
    for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
        struct rig_call call = {0};

        rig_call_with(
            &rig, &call,
            (struct mt_http_request){.method = "GET", .url = url, .ca_file = rows[i].ca_file},
            NULL);
        rig_run(&rig);
        mt_check_row(rows[i].name, call.end == rows[i].end);
        rig_call_fini(&call);
    }
    rig_down(&rig);
}

/* ---- proxies ---- */

static void proxies_are_used_but_not_for_this_machine(void **state)
{
    (void)state;
    struct rig rig;
    struct rig_call near = {0};
    struct rig_call far = {0};
    char proxy[64];

    raw = (struct rig_raw){.listens = true,
                           .send = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nproxy"};
    rig_raw_listen(&raw); /* before the client reads its environment */
    snprintf(proxy, sizeof proxy, "http://127.0.0.1:%u", raw.port);
    setenv("HTTP_PROXY", proxy, 1);
    rig_up(&rig, NULL, NULL);
    rig_raw_start(&rig, &raw);
    rig_call(&rig, &near, "GET", "/hello", MT_STR(""));
    rig_call_with(&rig, &far,
                  (struct mt_http_request){.method = "GET", .url = "http://example.invalid/x"},
                  NULL);
    rig_run(&rig);
    rig_raw_join(&raw);
    assert_string_equal(mt_buf_cstr(&near.body), "hello");
    assert_string_equal(mt_buf_cstr(&far.body), "proxy");
    assert_non_null(strstr(raw.got, "GET http://example.invalid/x HTTP/1.1\r\n"));
    rig_call_fini(&near);
    rig_call_fini(&far);
    rig_down(&rig);
    unsetenv("HTTP_PROXY");
}

/* The environment of the test's caller is not to matter. */
static void forget_proxies(void)
{
    static const char *const names[] = {"http_proxy",  "HTTP_PROXY", "https_proxy",
                                        "HTTPS_PROXY", "all_proxy",  "ALL_PROXY",
                                        "no_proxy",    "NO_PROXY"};

    for (size_t i = 0; i < MT_ARRAY_LEN(names); i++)
        unsetenv(names[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bad_requests_are_refused_at_once),
        cmocka_unit_test(requests_look_as_asked_for),
        cmocka_unit_test(answers_end_as_what_they_are),
        cmocka_unit_test(servers_say_how_long_to_wait),
        cmocka_unit_test(unreachable_servers_are_told_from_broken_ones),
        cmocka_unit_test(dead_connections_are_replaced_unseen),
        cmocka_unit_test(limits_of_time_are_kept),
        cmocka_unit_test(connecting_has_a_limit),
        cmocka_unit_test(cancelling_is_safe_everywhere),
        cmocka_unit_test(a_call_may_begin_in_any_callback_of_another),
        cmocka_unit_test(cancelling_another_call_frees_its_body),
        cmocka_unit_test(cancelled_calls_reach_the_server),
        cmocka_unit_test(cancelling_before_anything_happened),
        cmocka_unit_test(any_failed_allocation_refuses_the_request),
        cmocka_unit_test(unknown_certificates_are_refused),
        cmocka_unit_test(trusted_certificates_serve_everything),
        cmocka_unit_test(a_request_may_name_its_own_authorities),
        cmocka_unit_test(proxies_are_used_but_not_for_this_machine),
    };
    forget_proxies();
    return cmocka_run_group_tests(tests, make_certificate, remove_certificate);
}
