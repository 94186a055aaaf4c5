/* SPDX-License-Identifier: Apache-2.0 */
/* The server as its owner and a well-behaved client see it. */
#include "rig.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HOST "Host: a\r\n"

static const struct answer_row {
    const char *name, *method, *path, *body;
    int status;
    const char *answer, *type;
} answer_rows[] = {
    {"copied", "POST", "/echo", "some words", 200, "some words", "application/octet-stream"},
    {"taken", "POST", "/take", "some words", 200, "some words", "application/octet-stream"},
    {"taken empty", "POST", "/take", "", 200, "", "application/octet-stream"},
    {"no body", "GET", "/hello", "", 200, "hello", "text/plain"},
    {"head", "HEAD", "/hello", "", 200, "", "text/plain"},
    {"head of a stream", "HEAD", "/stream", "", 200, "", "text/event-stream"},
    {"delete", "DELETE", "/hello", "", 200, "hello", "text/plain"},
    {"early", "POST", "/early", "ignored", 403, "early", "text/plain"},
    {"early without body", "GET", "/early", "", 403, "early", "text/plain"},
    {"unknown", "GET", "/nothing", "", 404, "no such path", "text/plain"},
    {"query and escapes", "GET", "/%68ello?a=b%20c", "", 200, "hello", "text/plain"},
    {"stream", "GET", "/stream?n=3&size=8", "", 200, NULL, "text/event-stream"},
    {"empty stream", "GET", "/stream?n=0", "", 200, "", "text/event-stream"},
};

static void answers_arrive_as_given_on_one_connection(void **state)
{
    (void)state;
    struct rig rig;

    rig_up(&rig, NULL, NULL);
    for (size_t i = 0; i < MT_ARRAY_LEN(answer_rows); i++) {
        const struct answer_row *row = &answer_rows[i];
        struct rig_call call = {0};

        rig_call(&rig, &call, row->method, row->path, mt_str_of(row->body));
        rig_run(&rig);
        mt_check_row(row->name, call.end == MT_HTTP_DONE);
        mt_check_row(row->name, call.status == row->status);
        mt_check_row(row->name, strcmp(call.type, row->type) == 0);
        if (row->answer != NULL)
            mt_check_row(row->name, mt_str_is(mt_buf_str(&call.body), row->answer));
        rig_call_fini(&call);
    }
    assert_int_equal(rig.closed_n, MT_ARRAY_LEN(answer_rows));
    assert_int_equal(rig.gone_n, 0);
    assert_int_equal(rig.connections_n, 1); /* kept alive, whatever the answer was */
    rig_down(&rig);
}

static void large_bodies_pass_both_ways(void **state)
{
    (void)state;
    struct rig rig;
    struct rig_call call = {0};
    struct mt_buf body = MT_BUF_INIT(RIG_BODY_MAX);

    rig_fill(&body, 10 << 20); /* before: what the rig counts as its own begins with it */
    rig_up(&rig, NULL, NULL);
    rig_call(&rig, &call, "POST", "/echo", mt_buf_str(&body));
    rig_run(&rig);
    assert_int_equal(call.end, MT_HTTP_DONE);
    assert_int_equal(call.body.len, body.len);
    assert_true(rig_is_filled(mt_buf_str(&call.body)));
    rig_call_fini(&call);
    rig_down(&rig);
    mt_buf_fini(&body);
}

static void pause_then_resume_later(struct rig_call *call)
{
    if (call->pieces_n == 1) {
        mt_http_call_pause(call->call);
        mt_timer_start(call->timer, 50);
    }
}

static void on_resume(void *arg)
{
    struct rig_call *call = arg;

    call->rig->pauses_seen_n = call->rig->pauses_n;
    mt_http_call_resume(call->call);
}

static void slow_readers_hold_the_stream_back(void **state)
{
    (void)state;
    struct rig rig;
    struct rig_call call = {.on_bytes = pause_then_resume_later};

    rig_up(&rig, NULL, NULL);
    assert_int_equal(mt_timer_new(rig.loop, on_resume, &call, &call.timer, NULL), MT_OK);
    rig_call(&rig, &call, "GET", "/stream?n=1000&size=20000", MT_STR(""));
    rig_run(&rig);
    assert_int_equal(call.end, MT_HTTP_DONE);
    assert_int_equal(call.body.len, 1000 * 20000);
    assert_true(rig.pauses_seen_n >= 1);  /* the owner was told to pause */
    assert_true(rig.pauses_seen_n < 200); /* and not much was sent into the dark */
    mt_timer_free(call.timer);
    rig_call_fini(&call);
    rig_down(&rig);
}

static struct rig_raw raw;

static void when_held_finish(struct rig *rig, struct rig_job *job)
{
    (void)rig;
    mt_http_finish(job->x);
}

static void pieces_are_chunks_of_their_own(void **state)
{
    (void)state;
    struct rig rig;

    rig_up(&rig, NULL, NULL);
    rig.on_held = when_held_finish;
    raw = (struct rig_raw){.send = "GET /stream?n=2&size=8 HTTP/1.1\r\n" HOST "\r\n"
                                   "GET /open HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n"};
    rig_raw_start(&rig, &raw);
    rig_run(&rig);
    rig_raw_join(&raw);
    assert_non_null(strstr(raw.got, "\r\n\r\n8\r\n"));
    assert_non_null(strstr(raw.got, "\r\n\r\n5\r\nfirst\r\n0\r\n\r\n"));
    rig_down(&rig);
}

/* ---- clients that leave ---- */

static void wait_for_gone(struct rig *rig)
{
    rig->waits_n++;
    rig->is_gone_awaited = true;
}

static const struct gone_row {
    const char *name;
    struct rig_raw raw;
} gone_rows[] = {
    {"closes before the answer",
     {.send = "GET /hold HTTP/1.1\r\n" HOST "\r\n", .resets = false}},
    {"resets before the answer",
     {.send = "GET /hold HTTP/1.1\r\n" HOST "\r\n", .resets = true}},
    {"half-closes before the answer",
     {.send = "GET /hold HTTP/1.1\r\n" HOST "\r\n", .half_closes = true}},
    {"closes in a stream",
     {.send = "GET /open HTTP/1.1\r\n" HOST "\r\n", .until = "first", .until_n = 1}},
    {"resets in a stream",
     {.send = "GET /open HTTP/1.1\r\n" HOST "\r\n",
      .until = "first",
      .until_n = 1,
      .resets = true}},
    {"closes in the body",
     {.send = "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 10\r\n\r\nabc",
      .until = "",
      .half_closes = true}},
    {"closes in the second request",
     {.send = "GET /hello HTTP/1.1\r\n" HOST "\r\nGET /hold HTTP/1.1\r\n" HOST "\r\n",
      .until = "hello",
      .until_n = 1}},
};

/* How long after the client left the owner was told [ns]. */
static int64_t gone_after_ns(const struct gone_row *row)
{
    struct rig rig;
    static struct rig_raw peer;

    rig_up(&rig, NULL, NULL);
    peer = row->raw;
    peer.delay_close_ms = 30;
    if (peer.until == NULL && !peer.half_closes)
        peer.until = ""; /* nothing to read */
    wait_for_gone(&rig);
    rig_raw_start(&rig, &peer);
    rig_run(&rig);
    rig_raw_join(&peer);
    mt_check_row(row->name, rig.gone_n == 1);
    mt_check_row(row->name, rig.held == NULL); /* on_closed came */
    rig_down(&rig);
    return rig.gone_at_ns - peer.closed_at_ns;
}

/* On a busy machine one try may be late through no fault of ours; three are not. */
static void check_gone(const struct gone_row *row)
{
    for (int tries = 0; tries < 3; tries++)
        if (gone_after_ns(row) < 100000000)
            return;
    fail_msg("row '%s': heard of it late", row->name);
}

static void the_owner_hears_at_once_of_clients_that_leave(void **state)
{
    (void)state;
    for (size_t i = 0; i < MT_ARRAY_LEN(gone_rows); i++)
        check_gone(&gone_rows[i]);
}

/* All a client had to say, its farewell too, is there before the server first looks. */
static void farewells_that_come_with_the_request_are_heard(void **state)
{
    (void)state;
    static const struct rig_raw rows[] = {
        {.send = "GET /hold HTTP/1.1\r\n" HOST "\r\n", .until = "", .half_closes = true},
        {.send = "POST /hold HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\nabc", .until = ""},
        {.send = "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 10\r\n\r\nabc", .until = ""},
        {.send = "POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n5\r\nabc",
         .until = ""},
    };

    for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
        struct rig rig;
        static struct rig_raw peer;

        rig_up(&rig, NULL, NULL);
        peer = rows[i];
        rig_raw_start(&rig, &peer);
        rig_raw_join(&peer);
        int64_t began_ns = mt_loop_clock_ns();
        wait_for_gone(&rig);
        rig_run(&rig);
        if (rig.gone_n != 1 || rig.gone_at_ns - began_ns > 1000000000)
            fail_msg("row %zu: %u times gone, after %lld ms", i, rig.gone_n,
                     (long long)((rig.gone_at_ns - began_ns) / 1000000));
        rig_down(&rig);
    }
}

/* So long that the exchange has been suspended. */
static void suspended_exchanges_notice_it_too(void **state)
{
    (void)state;
    struct rig rig;

    for (int is_stream = 0; is_stream < 2; is_stream++) {
        rig_up(&rig, NULL, NULL);
        raw = (struct rig_raw){.send = is_stream ? "GET /open HTTP/1.1\r\n" HOST "\r\n"
                                                 : "GET /hold HTTP/1.1\r\n" HOST "\r\n",
                               .until = "",
                               .delay_close_ms = 200};
        wait_for_gone(&rig);
        rig_raw_start(&rig, &raw);
        rig_run(&rig);
        rig_raw_join(&raw);
        assert_true(rig.gone_at_ns - raw.closed_at_ns < 100000000);
        rig_down(&rig);
    }
}

struct late {
    struct rig *rig;
    struct mt_timer *timer;
    bool is_stream;
};
static struct late late;

static void answer_late(void *arg)
{
    struct late *at = arg;
    struct mt_http_exchange *x = at->rig->held->x;

    if (at->is_stream) {
        (void)mt_http_send(x, MT_STR(" and last"));
        mt_http_finish(x);
    } else {
        mt_http_answer(x, 200, "text/plain", MT_STR("late"));
    }
}

static void when_held_answer_late(struct rig *rig, struct rig_job *job)
{
    (void)rig;
    late.is_stream = mt_str_is(mt_http_path(job->x), "/open");
    mt_timer_start(late.timer, late.is_stream ? 60 : 120);
}

static void late_answers_arrive(void **state)
{
    (void)state;
    struct rig rig;

    rig_up(&rig, NULL, NULL);
    rig.on_held = when_held_answer_late;
    late.rig = &rig;
    assert_int_equal(mt_timer_new(rig.loop, answer_late, &late, &late.timer, NULL), MT_OK);
    for (int round = 0; round < 2; round++) {
        struct rig_call whole = {0};
        struct rig_call stream = {0};

        rig_call(&rig, &whole, "GET", "/hold", MT_STR(""));
        rig_run(&rig);
        assert_string_equal(mt_buf_cstr(&whole.body), "late");
        rig_call(&rig, &stream, "GET", "/open", MT_STR(""));
        rig_run(&rig);
        assert_string_equal(mt_buf_cstr(&stream.body), "first and last");
        rig_call_fini(&whole);
        rig_call_fini(&stream);
    }
    assert_int_equal(rig.connections_n, 1);
    mt_timer_free(late.timer);
    rig_down(&rig);
}

static void when_held_abort(struct rig *rig, struct rig_job *job)
{
    (void)rig;
    mt_http_abort(job->x);
}

static void aborted_answers_are_seen_as_incomplete(void **state)
{
    (void)state;
    struct rig rig;
    const char *const paths[] = {"/cut", "/hold"};

    for (size_t i = 0; i < MT_ARRAY_LEN(paths); i++) {
        struct rig_call call = {0};

        rig_up(&rig, NULL, NULL);
        rig.on_held = when_held_abort;
        rig_call(&rig, &call, "GET", paths[i], MT_STR(""));
        rig_run(&rig);
        assert_int_equal(call.end, MT_HTTP_BROKEN);
        assert_int_equal(rig.gone_n, 0); /* it was the owner's own doing */
        rig_call_fini(&call);
        rig_down(&rig);
    }
}

enum { MANY = 500 };

static void many_exchanges_at_once_do_not_mix(void **state)
{
    (void)state;
    struct rig rig;
    static struct rig_call calls[MANY];
    static char bodies[MANY][32];

    rig_up(&rig, NULL, NULL);
    for (int i = 0; i < MANY; i++) {
        calls[i] = (struct rig_call){0};
        snprintf(bodies[i], sizeof bodies[i], "exchange %d", i);
        if (i % 3 == 0)
            rig_call(&rig, &calls[i], "GET", "/stream?n=20&size=500", MT_STR(""));
        else
            rig_call(&rig, &calls[i], "POST", "/echo", mt_str_of(bodies[i]));
    }
    rig_run(&rig);
    for (int i = 0; i < MANY; i++) {
        assert_int_equal(calls[i].end, MT_HTTP_DONE);
        if (i % 3 == 0)
            assert_int_equal(calls[i].body.len, 10000);
        else
            assert_string_equal(mt_buf_cstr(&calls[i].body), bodies[i]);
        rig_call_fini(&calls[i]);
    }
    assert_int_equal(mt_http_server_open_n(rig.server), 0);
    rig_down(&rig);
}

static void files_are_sent(void **state)
{
    (void)state;
    struct rig rig;
    struct rig_call call = {0};

    rig_up(&rig, NULL, NULL);
    rig_call(&rig, &call, "GET", "/file", MT_STR(""));
    rig_run(&rig);
    assert_int_equal(call.status, 200);
    assert_true(rig_is_filled(mt_buf_str(&call.body)));
    assert_int_equal(call.body.len, 300000);
    rig_call_fini(&call);
    rig_down(&rig);
}

/* MHD sends a file in many runs and says when it is done only if nobody else is polled. */
static void files_do_not_wait_for_held_exchanges(void **state)
{
    (void)state;
    struct rig rig;
    struct rig_call held = {0};
    struct rig_call file = {0};

    rig_up(&rig, NULL, NULL);
    rig_call(&rig, &held, "GET", "/hold", MT_STR(""));
    rig_call(&rig, &file, "GET", "/file", MT_STR(""));
    rig.waits_n--;
    rig_run(&rig);
    assert_int_equal(file.body.len, 300000);
    assert_int_equal(held.ends_n, 0);
    rig_call_fini(&file);
    rig_down(&rig);
    rig_call_fini(&held);
}

static void freeing_the_server_ends_what_is_in_flight(void **state)
{
    (void)state;
    struct rig rig;
    struct rig_call calls[3] = {{0}, {0}, {0}};

    rig_up(&rig, NULL, NULL);
    rig_call(&rig, &calls[0], "GET", "/hold", MT_STR(""));
    rig_call(&rig, &calls[1], "GET", "/open", MT_STR(""));
    rig_call(&rig, &calls[2], "GET", "/hello", MT_STR(""));
    rig.waits_n -= 2; /* two of them will not end */
    rig_run(&rig);
    assert_int_equal(mt_http_server_open_n(rig.server), 2);
    mt_http_server_free(rig.server);
    rig.server = NULL;
    assert_int_equal(rig.gone_n, 2);
    assert_int_equal(rig.closed_n, 3);
    for (size_t i = 0; i < 3; i++)
        rig_call_fini(&calls[i]);
    rig_down(&rig);
}

static void draining_serves_what_is_in_flight_and_no_more(void **state)
{
    (void)state;
    struct rig rig;
    struct rig_call held = {0};
    struct rig_call other = {0};

    rig_up(&rig, NULL, NULL);
    rig.on_held = when_held_answer_late;
    late.rig = &rig;
    assert_int_equal(mt_timer_new(rig.loop, answer_late, &late, &late.timer, NULL), MT_OK);
    rig.drains_when_held = true;
    rig_call(&rig, &held, "GET", "/hold", MT_STR(""));
    rig_run(&rig);
    assert_int_equal(held.status, 200);
    rig_call(&rig, &other, "GET", "/hello", MT_STR(""));
    rig_run(&rig);
    assert_int_equal(other.end, MT_HTTP_NOT_CONNECTED);
    mt_timer_free(late.timer);
    rig_call_fini(&held);
    rig_call_fini(&other);
    rig_down(&rig);
}

/* ---- what a server cannot be made of ---- */

static const struct opts_row {
    const char *name;
    struct mt_http_server_opts opts;
    mt_rc rc;
} opts_rows[] = {
    {"not an address", {.host = MT_STR_INIT("example")}, MT_E_INVALID},
    {"long address",
     {.host = {"11111111111111111111111111111111111111111111111111111111111111111", 65}},
     MT_E_INVALID},
    {"address of another", {.host = MT_STR_INIT("203.0.113.1")}, MT_E_IO},
    {"no certificate", {.tls_cert_file = "/no/such", .tls_key_file = "/no/such"}, MT_E_IO},
    {"bad certificate",
     {.tls_cert_file = "/etc/hostname", .tls_key_file = "/etc/hostname"},
     MT_E_INVALID},
    {"ipv6", {.host = MT_STR_INIT("::1")}, MT_OK},
    {"any", {.host = MT_STR_INIT("0.0.0.0")}, MT_OK},
};

static void on_nothing(void *ctx, struct mt_http_exchange *x)
{
    (void)ctx;
    (void)x;
}

static void options_are_checked(void **state)
{
    (void)state;
    const struct mt_http_server_ops ops = {.on_headers = on_nothing};

    for (size_t i = 0; i < MT_ARRAY_LEN(opts_rows); i++) {
        struct mt_loop *loop = NULL;
        struct mt_http_server *server = NULL;
        struct mt_err err = {0};

        assert_int_equal(mt_loop_new(&loop, NULL), MT_OK);
        mt_rc rc = mt_http_server_new(loop, &opts_rows[i].opts, &ops, NULL, &server, &err);
        if (rc != opts_rows[i].rc)
            fail_msg("row '%s': %s (%s)", opts_rows[i].name, mt_rc_name(rc), err.text);
        mt_check_row(opts_rows[i].name, (rc == MT_OK) == (server != NULL));
        mt_http_server_free(server);
        mt_loop_free(loop);
    }
}

static void a_port_has_one_server_unless_it_is_shared(void **state)
{
    (void)state;
    const struct mt_http_server_ops ops = {.on_headers = on_nothing};
    struct mt_loop *loop = NULL;
    struct mt_http_server *first = NULL;
    struct mt_http_server *second = NULL;

    assert_int_equal(mt_loop_new(&loop, NULL), MT_OK);
    for (int shares = 0; shares < 2; shares++) {
        struct mt_http_server_opts opts = {.shares_port = shares};

        assert_int_equal(mt_http_server_new(loop, &opts, &ops, NULL, &first, NULL), MT_OK);
        opts.port = mt_http_server_port(first);
        assert_int_equal(mt_http_server_new(loop, &opts, &ops, NULL, &second, NULL),
                         shares ? MT_OK : MT_E_BUSY);
        mt_http_server_free(first);
        mt_http_server_free(second);
    }
    mt_loop_free(loop);
}

static void any_failed_allocation_leaves_nothing_behind(void **state)
{
    (void)state;
    const struct mt_http_server_ops ops = {.on_headers = on_nothing};
    const struct mt_http_server_opts opts = {0};
    mt_rc rc = MT_E_NOMEM;
    long before = mt_alloc_live;

    for (long nth = 0; rc != MT_OK; nth++) {
        struct mt_loop *loop = NULL;
        struct mt_http_server *server = NULL;
        struct mt_http_client *client = NULL;

        assert_int_equal(mt_loop_new(&loop, NULL), MT_OK);
        mt_alloc_fail_after = nth;
        rc = mt_http_server_new(loop, &opts, &ops, NULL, &server, NULL);
        if (rc == MT_OK)
            rc = mt_http_client_new(loop, &(struct mt_http_client_opts){.ca_file = "x"},
                                    &client, NULL);
        mt_alloc_fail_after = -1;
        assert_true(rc == MT_OK || rc == MT_E_NOMEM);
        assert_true(nth > 2 || rc == MT_E_NOMEM);
        mt_http_server_free(server);
        mt_http_client_free(client);
        mt_loop_free(loop);
        assert_int_equal(mt_alloc_live, before);
    }
}

/* Allocations that fail while requests run: answers or closed connections, no leak, no crash,
 * and the server goes on. */
static void requests_survive_any_failed_allocation(void **state)
{
    (void)state;
    struct rig rig;
    const char *const paths[] = {"/hello", "/stream"};

    rig_up(&rig, NULL, NULL);
    for (size_t i = 0; i < MT_ARRAY_LEN(paths); i++) {
        for (long nth = 0; nth < 12; nth++) {
            struct rig_call call = {0};

            rig_call(&rig, &call, "GET", paths[i], MT_STR(""));
            rig.fail_after_n = nth + 1; /* armed by on_request_end */
            rig_run(&rig);
            mt_alloc_fail_after = -1;
            rig.fail_after_n = 0;
            assert_int_equal(call.ends_n, 1);
            rig_call_fini(&call);
        }
    }
    struct rig_call well = {0};
    rig_call(&rig, &well, "GET", "/hello", MT_STR(""));
    rig_run(&rig);
    assert_int_equal(well.status, 200);
    rig_call_fini(&well);
    rig_down(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_arrive_as_given_on_one_connection),
        cmocka_unit_test(large_bodies_pass_both_ways),
        cmocka_unit_test(slow_readers_hold_the_stream_back),
        cmocka_unit_test(pieces_are_chunks_of_their_own),
        cmocka_unit_test(the_owner_hears_at_once_of_clients_that_leave),
        cmocka_unit_test(farewells_that_come_with_the_request_are_heard),
        cmocka_unit_test(suspended_exchanges_notice_it_too),
        cmocka_unit_test(late_answers_arrive),
        cmocka_unit_test(aborted_answers_are_seen_as_incomplete),
        cmocka_unit_test(many_exchanges_at_once_do_not_mix),
        cmocka_unit_test(files_are_sent),
        cmocka_unit_test(files_do_not_wait_for_held_exchanges),
        cmocka_unit_test(freeing_the_server_ends_what_is_in_flight),
        cmocka_unit_test(draining_serves_what_is_in_flight_and_no_more),
        cmocka_unit_test(options_are_checked),
        cmocka_unit_test(a_port_has_one_server_unless_it_is_shared),
        cmocka_unit_test(any_failed_allocation_leaves_nothing_behind),
        cmocka_unit_test(requests_survive_any_failed_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
