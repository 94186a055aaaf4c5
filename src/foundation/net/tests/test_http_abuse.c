/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes no honest client sends. Every row ends in a clean refusal or a closed connection, the
 * bytes behind a refused request are never taken for another one, and the server goes on. */
#include "rig.h"

#include <stdio.h>
#include <string.h>

#define HOST     "Host: a\r\n"
#define SMUGGLED "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n"

static const struct row {
    const char *name;
    const char *bytes;
    size_t n;           /* 0 = strlen */
    const char *wanted; /* the answer begins so; NULL = closed without one is fine, too */
    bool is_json;       /* the owner's error body */
} rows[] = {
    {"cl and te",
     "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 4\r\n"
     "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n" SMUGGLED,
     0, "HTTP/1.1 400", true},
    {"te and cl",
     "POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n"
     "Content-Length: 4\r\n\r\n0\r\n\r\n" SMUGGLED,
     0, "HTTP/1.1 400", true},
    {"two cls",
     "POST /echo HTTP/1.1\r\n" HOST
     "Content-Length: 4\r\nContent-Length: 5\r\n\r\nabcde" SMUGGLED,
     0, "HTTP/1.1 400", true},
    {"two equal cls",
     "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 4\r\nContent-Length: 4\r\n"
     "\r\nabcd" SMUGGLED,
     0, "HTTP/1.1 400", true},
    {"cl list", "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 4, 4\r\n\r\nabcd" SMUGGLED, 0,
     "HTTP/1.1 400", false},
    {"cl with plus", "POST /echo HTTP/1.1\r\n" HOST "Content-Length: +4\r\n\r\nabcd" SMUGGLED,
     0, "HTTP/1.1 400", false},
    {"cl negative", "POST /echo HTTP/1.1\r\n" HOST "Content-Length: -1\r\n\r\n" SMUGGLED, 0,
     "HTTP/1.1 400", false},
    {"cl hex", "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 0x4\r\n\r\nabcd" SMUGGLED, 0,
     "HTTP/1.1 400", false},
    {"cl empty", "POST /echo HTTP/1.1\r\n" HOST "Content-Length:\r\n\r\n" SMUGGLED, 0,
     "HTTP/1.1 400", false},
    {"cl over 64 bits",
     "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 99999999999999999999\r\n\r\n" SMUGGLED, 0,
     "HTTP/1.1 413", false},
    {"cl over the limit", "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 2000000\r\n\r\nabc",
     0, "HTTP/1.1 413", true},
    {"te unknown",
     "POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: gzip\r\n\r\nabcd" SMUGGLED, 0,
     "HTTP/1.1 501", true},
    {"te list",
     "POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: gzip, chunked\r\n\r\n"
     "0\r\n\r\n" SMUGGLED,
     0, "HTTP/1.1 501", true},
    {"te twice",
     "POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n"
     "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n" SMUGGLED,
     0, "HTTP/1.1 501", true},
    {"te with tab inside",
     "POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: \tchun\tked\r\n\r\n" SMUGGLED, 0,
     "HTTP/1.1 501", true},
    {"te in 1.0",
     "POST /echo HTTP/1.0\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n" SMUGGLED, 0,
     "HTTP/1.", true},
    {"chunk size overflow",
     "POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n"
     "fffffffffffffffff\r\nabc",
     0, "HTTP/1.1 413", false},
    {"chunk size near overflow",
     "POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\nfffffffffffffffe\r\nabc",
     0, NULL, false},
    {"chunk size not hex",
     "POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n"
     "xyz\r\nabc",
     0, "HTTP/1.1 400", false},
    {"chunk size negative",
     "POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n"
     "-1\r\nabc",
     0, "HTTP/1.1 400", false},
    {"chunk without line end",
     "POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n"
     "3\r\nabcXX0\r\n\r\n",
     0, "HTTP/1.1 400", false},
    {"obs-fold", "GET /hello HTTP/1.1\r\n" HOST "X-A: one\r\n two\r\n\r\n" SMUGGLED, 0,
     "HTTP/1.1 400", true},
    {"obs-fold of nothing", "GET /hello HTTP/1.1\r\n" HOST "X-A: one\r\n \r\n\r\n" SMUGGLED, 0,
     "HTTP/1.1 400", true},
    {"obs-fold of te",
     "POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding:\r\n chunked\r\n\r\n"
     "0\r\n\r\n" SMUGGLED,
     0, "HTTP/1.1 400", true},
    {"fold on the first line", "GET /hello HTTP/1.1\r\n X: y\r\n" HOST "\r\n" SMUGGLED, 0,
     "HTTP/1.1 400", true},
    {"space before colon", "POST /echo HTTP/1.1\r\n" HOST "Content-Length : 4\r\n\r\n" SMUGGLED,
     0, "HTTP/1.1 400", true},
    {"space in name", "GET /hello HTTP/1.1\r\n" HOST "X A: b\r\n\r\n" SMUGGLED, 0,
     "HTTP/1.1 400", true},
    {"empty name", "GET /hello HTTP/1.1\r\n" HOST ": b\r\n\r\n" SMUGGLED, 0, "HTTP/1.1 400",
     true},
    {"no colon", "GET /hello HTTP/1.1\r\n" HOST "novalue\r\n\r\n" SMUGGLED, 0, "HTTP/1.1 400",
     false},
    {"bare lf after a header", "GET /hello HTTP/1.1\r\n" HOST "X-A: b\nX-C: d\r\n\r\n" SMUGGLED,
     0, "HTTP/1.1 400", true},
    {"bare lf after the request line", "GET /hello HTTP/1.1\n" HOST "\r\n" SMUGGLED, 0,
     "HTTP/1.1 400", true},
    {"bare lf as the empty line", "GET /hello HTTP/1.1\r\n" HOST "\n" SMUGGLED, 0,
     "HTTP/1.1 400", true},
    {"bare cr in a value", "GET /hello HTTP/1.1\r\n" HOST "X-A: b\rX-C: d\r\n\r\n" SMUGGLED, 0,
     "HTTP/1.1 400", true},
    {"nul in a value", "GET /hello HTTP/1.1\r\n" HOST "X-A: b\0c\r\n\r\n",
     sizeof "GET /hello HTTP/1.1\r\n" HOST "X-A: b\0c\r\n\r\n" - 1, "HTTP/1.1 400", true},
    {"nul in a name", "GET /hello HTTP/1.1\r\n" HOST "X\0A: b\r\n\r\n",
     sizeof "GET /hello HTTP/1.1\r\n" HOST "X\0A: b\r\n\r\n" - 1, "HTTP/1.1 400", false},
    {"nul in the path", "GET /he\0llo HTTP/1.1\r\n" HOST "\r\n",
     sizeof "GET /he\0llo HTTP/1.1\r\n" HOST "\r\n" - 1, "HTTP/1.1 400", false},
    {"coded nul in the path", "GET /hello%00x HTTP/1.1\r\n" HOST "\r\n" SMUGGLED, 0,
     "HTTP/1.1 400", true},
    {"control byte in the path", "GET /he\x01llo HTTP/1.1\r\n" HOST "\r\n" SMUGGLED, 0,
     "HTTP/1.1 400", true},
    {"space in the path", "GET /he llo HTTP/1.1\r\n" HOST "\r\n" SMUGGLED, 0, "HTTP/1.1 400",
     true},
    {"two spaces", "GET  /hello HTTP/1.1\r\n" HOST "\r\n" SMUGGLED, 0, "HTTP/1.1 400", true},
    {"method not a token", "G(T /hello HTTP/1.1\r\n" HOST "\r\n" SMUGGLED, 0, "HTTP/1.1 400",
     true},
    {"no host", "GET /hello HTTP/1.1\r\n\r\n" SMUGGLED, 0, "HTTP/1.1 400", true},
    {"two hosts", "GET /hello HTTP/1.1\r\n" HOST HOST "\r\n" SMUGGLED, 0, "HTTP/1.1 400", true},
    {"version 2", "GET /hello HTTP/2.0\r\n" HOST "\r\n" SMUGGLED, 0, "HTTP/1.1 505", false},
    {"version nonsense", "GET /hello HTPP/1.1\r\n" HOST "\r\n" SMUGGLED, 0, "HTTP/1.", false},
    {"version 0.9", "GET /hello\r\n" SMUGGLED, 0, NULL, false},
    {"not http", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
     sizeof "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n" - 1, NULL, false},
};

static void check_row(const struct row *row, const struct rig_raw *raw)
{
    bool is_refused = strncmp(raw->got, "HTTP/1.", 7) == 0;
    bool is_success = strstr(raw->got, "HTTP/1.1 200") != NULL;

    mt_check_row(row->name, raw->is_closed);
    mt_check_row(row->name, !is_success);
    if (row->wanted != NULL && strncmp(raw->got, row->wanted, strlen(row->wanted)) != 0)
        fail_msg("row '%s': expected '%s', found '%.200s'", row->name, row->wanted, raw->got);
    if (row->is_json)
        mt_check_row(row->name, strstr(raw->got, "{\"error\":") != NULL);
    mt_check_row(row->name, is_refused || row->wanted == NULL);
}

static void still_serves(struct rig *rig)
{
    struct rig_call call = {0};

    rig_call(rig, &call, "GET", "/hello", MT_STR(""));
    rig_run(rig);
    assert_int_equal(call.status, 200);
    assert_string_equal(mt_buf_cstr(&call.body), "hello");
    rig_call_fini(&call);
}

static struct rig_raw raw;

static void abuse(struct rig *rig, struct rig_raw wanted)
{
    raw = wanted;
    rig_raw_start(rig, &raw);
    rig_run(rig);
    rig_raw_join(&raw);
}

static void every_bad_request_is_refused_and_the_rest_dropped(void **state)
{
    (void)state;
    struct rig rig;

    rig_up(&rig,
           &(struct mt_http_server_opts){
               .body_bytes_max = 1000000, .header_timeout_ms = 1000, .body_timeout_ms = 1000},
           NULL);
    for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
        abuse(&rig, (struct rig_raw){.send = rows[i].bytes, .send_n = rows[i].n});
        check_row(&rows[i], &raw);
        still_serves(&rig);
    }
    rig_down(&rig);
}

static void headers_over_the_limit_are_refused(void **state)
{
    (void)state;
    static char bytes[100 * 1024];
    struct rig rig;
    const size_t sizes[] = {9000, 16 * 1024, 18 * 1024, 30000, sizeof bytes - 100};

    rig_up(&rig, &(struct mt_http_server_opts){.header_bytes_max = 8192}, NULL);
    for (size_t i = 0; i < MT_ARRAY_LEN(sizes); i++) {
        int n = snprintf(bytes, sizeof bytes, "GET /hello HTTP/1.1\r\n" HOST "X-Big: ");
        memset(bytes + n, 'x', sizes[i]);
        memcpy(bytes + (size_t)n + sizes[i], "\r\n\r\n", 4);
        abuse(&rig, (struct rig_raw){.send = bytes, .send_n = (size_t)n + sizes[i] + 4});
        assert_true(raw.is_closed);
        if (raw.got_n > 0) /* a reset may have overtaken it */
            assert_non_null(strstr(raw.got, "HTTP/1.1 431"));
        still_serves(&rig);
    }
    rig_down(&rig);
}

static void headers_up_to_the_limit_pass(void **state)
{
    (void)state;
    static char value[16 * 1024];
    struct rig rig;
    struct rig_call call = {0};
    struct mt_http_header header = {"X-Big", {value, 15 * 1024}};

    memset(value, 'x', sizeof value);
    rig_up(&rig, &(struct mt_http_server_opts){.header_bytes_max = 16 * 1024}, NULL);
    rig_call_with(&rig, &call,
                  (struct mt_http_request){.method = "GET", .headers = &header, .headers_n = 1},
                  "/hello");
    rig_run(&rig);
    assert_int_equal(call.status, 200);
    rig_call_fini(&call);
    rig_down(&rig);
}

static void slow_headers_end_in_408(void **state)
{
    (void)state;
    struct rig rig;

    rig_up(&rig, &(struct mt_http_server_opts){.header_timeout_ms = 100}, NULL);
    abuse(&rig,
          (struct rig_raw){.send = "GET /hello HTTP/1.1\r\nHost: aaaaaaaaaaaaaaaaaaaaaaaaaaa",
                           .gap_ms = 10});
    assert_true(raw.is_closed);
    assert_non_null(strstr(raw.got, "HTTP/1.1 408"));
    assert_non_null(strstr(raw.got, "{\"error\":"));
    still_serves(&rig);
    rig_down(&rig);
}

static void slow_bodies_end_in_408_and_the_owner_hears_of_it(void **state)
{
    (void)state;
    struct rig rig;

    rig_up(&rig, &(struct mt_http_server_opts){.body_timeout_ms = 50}, NULL);
    abuse(&rig, (struct rig_raw){.send = "POST /echo HTTP/1.1\r\n" HOST
                                         "Content-Length: 100\r\n\r\nabc"});
    assert_true(raw.is_closed);
    assert_non_null(strstr(raw.got, "HTTP/1.1 408"));
    assert_int_equal(rig.gone_n, 1);
    assert_int_equal(rig.closed_n, 1);
    still_serves(&rig);
    rig_down(&rig);
}

static void idle_connections_are_closed_quietly(void **state)
{
    (void)state;
    struct rig rig;

    rig_up(&rig, &(struct mt_http_server_opts){.idle_timeout_ms = 50}, NULL);
    abuse(&rig, (struct rig_raw){.send = "GET /hello HTTP/1.1\r\n" HOST "\r\n"});
    assert_true(raw.is_closed);
    assert_non_null(strstr(raw.got, "hello"));
    assert_null(strstr(raw.got, "408"));
    rig_down(&rig);
}

static void chunked_bodies_over_the_limit_are_cut_with_413(void **state)
{
    (void)state;
    struct rig rig;
    static char bytes[64 * 1024];
    int n =
        snprintf(bytes, sizeof bytes,
                 "POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\nC350\r\n");

    memset(bytes + n, 'x', 50000);
    rig_up(&rig, &(struct mt_http_server_opts){.body_bytes_max = 10000}, NULL);
    abuse(&rig, (struct rig_raw){.send = bytes, .send_n = (size_t)n + 50000});
    assert_true(raw.is_closed);
    assert_non_null(strstr(raw.got, "HTTP/1.1 413"));
    assert_int_equal(rig.closed_n, 1);
    still_serves(&rig);
    rig_down(&rig);
}

/* The client is still sending when it is refused: no reset may overtake the words. */
static void refusals_reach_clients_that_go_on_sending(void **state)
{
    (void)state;
    static char bytes[4 << 20];
    struct rig rig;
    const char *const heads[] = {
        "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 4000000\r\n\r\n",
        "POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n3d0900\r\n",
    };

    rig_up(&rig, &(struct mt_http_server_opts){.body_bytes_max = 1000000}, NULL);
    for (size_t i = 0; i < 20; i++) {
        size_t n = strlen(heads[i % 2]);

        memset(bytes, 'x', sizeof bytes);
        memcpy(bytes, heads[i % 2], n);
        abuse(&rig, (struct rig_raw){.send = bytes, .send_n = n + 4000000});
        assert_non_null(strstr(raw.got, "HTTP/1.1 413"));
        assert_non_null(strstr(raw.got, "{\"error\":"));
    }
    still_serves(&rig);
    rig_down(&rig);
}

static void pipelined_requests_are_answered_in_order(void **state)
{
    (void)state;
    struct rig rig;

    rig_up(&rig, NULL, NULL);
    abuse(&rig, (struct rig_raw){
                    .send = "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nfirst"
                            "POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n"
                            "3\r\nsec\r\n3;ext=1\r\nond\r\n0\r\nX-Trailer: t\r\n\r\n"
                            "GET /stream?n=2&size=8 HTTP/1.1\r\n" HOST "\r\n"
                            "HEAD /hello HTTP/1.1\r\n" HOST "\r\n"
                            "HEAD /stream HTTP/1.1\r\n" HOST "\r\n"
                            "POST /early HTTP/1.1\r\n" HOST "Content-Length: 4\r\n\r\nlate"
                            "GET /hello HTTP/1.0\r\n\r\n"});
    const char *at = raw.got;
    const char *const order[] = {"first",        "second",       "8\r\n", "0\r\n\r\n",
                                 "HTTP/1.1 200", "HTTP/1.1 200", "early", "hello"};

    for (size_t i = 0; i < MT_ARRAY_LEN(order); i++) {
        at = strstr(at, order[i]);
        if (at == NULL)
            fail_msg("'%s' is missing in '%s'", order[i], raw.got);
        at++;
    }
    assert_true(raw.is_closed); /* HTTP/1.0 ends the connection */
    assert_int_equal(rig.closed_n, 7);
    assert_int_equal(rig.gone_n, 0);
    rig_down(&rig);
}

static void requests_in_single_bytes_are_understood(void **state)
{
    (void)state;
    struct rig rig;

    rig_up(&rig, NULL, NULL);
    abuse(&rig, (struct rig_raw){.send = "POST /echo HTTP/1.1\r\n" HOST
                                         "Connection: close\r\nContent-Length: 5\r\n\r\nbytes",
                                 .gap_ms = 1});
    assert_non_null(strstr(raw.got, "\r\n\r\nbytes"));
    rig_down(&rig);
}

static void expect_continue_is_answered(void **state)
{
    (void)state;
    struct rig rig;

    rig_up(&rig, NULL, NULL);
    abuse(&rig, (struct rig_raw){.send = "POST /echo HTTP/1.1\r\n" HOST
                                         "Expect: 100-continue\r\nContent-Length: 5\r\n\r\n",
                                 .until = "100 Continue\r\n\r\n",
                                 .until_n = 1});
    assert_non_null(strstr(raw.got, "HTTP/1.1 100 Continue"));
    abuse(&rig, (struct rig_raw){.send = "POST /early HTTP/1.1\r\n" HOST
                                         "Expect: 100-continue\r\nContent-Length: 5\r\n\r\n"});
    assert_null(strstr(raw.got, "100 Continue")); /* refused without asking for the body */
    assert_non_null(strstr(raw.got, "HTTP/1.1 403"));
    assert_true(raw.is_closed);
    still_serves(&rig);
    rig_down(&rig);
}

static void http_10_streams_end_with_their_connection(void **state)
{
    (void)state;
    struct rig rig;

    rig_up(&rig, NULL, NULL);
    abuse(&rig, (struct rig_raw){
                    .send = "GET /open HTTP/1.0\r\n\r\n", .until = "first", .until_n = 1});
    assert_null(strstr(raw.got, "chunked"));
    abuse(&rig, (struct rig_raw){.send = "GET /stream?n=2&size=0 HTTP/1.0\r\n\r\n"});
    assert_true(raw.is_closed);
    assert_null(strstr(raw.got, "chunked"));
    rig_down(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_bad_request_is_refused_and_the_rest_dropped),
        cmocka_unit_test(headers_over_the_limit_are_refused),
        cmocka_unit_test(headers_up_to_the_limit_pass),
        cmocka_unit_test(slow_headers_end_in_408),
        cmocka_unit_test(slow_bodies_end_in_408_and_the_owner_hears_of_it),
        cmocka_unit_test(idle_connections_are_closed_quietly),
        cmocka_unit_test(chunked_bodies_over_the_limit_are_cut_with_413),
        cmocka_unit_test(refusals_reach_clients_that_go_on_sending),
        cmocka_unit_test(pipelined_requests_are_answered_in_order),
        cmocka_unit_test(requests_in_single_bytes_are_understood),
        cmocka_unit_test(expect_continue_is_answered),
        cmocka_unit_test(http_10_streams_end_with_their_connection),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
