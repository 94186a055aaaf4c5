/* SPDX-License-Identifier: Apache-2.0 */
/* test_http1.c - the tools' HTTP parser: each message whole, and byte by byte. */
#include "http1.h"

#include <string.h>

#include "support/test.h"

static const struct message {
    const char *what;
    const char *bytes;
    enum http1_state state;
    int status;
    const char *body;
    size_t left_over; /* bytes after the end that are not the message's */
} messages[] = {
    {"request without a body", "GET /stats HTTP/1.1\r\nHost: a\r\n\r\n", HTTP1_DONE, 0, "", 0},
    {"request with a length", "POST / HTTP/1.1\r\ncontent-LENGTH: 5\r\n\r\nhello", HTTP1_DONE,
     0, "hello", 0},
    {"next request is not taken", "POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\nhiGET /",
     HTTP1_DONE, 0, "hi", 5},
    {"chunks, extension and trailer",
     "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
     "5;ext=1\r\nhello\r\nA\r\n, world...\r\n0\r\nTrailer: x\r\n\r\n",
     HTTP1_DONE, 0, "hello, world...", 0},
    {"body of an answer that ends with the connection", "HTTP/1.1 200 OK\r\n\r\nrest",
     HTTP1_UNTIL_EOF, 200, "rest", 0},
    {"interim answer is skipped",
     "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 429 No\r\nContent-Length: 1\r\n\r\nx", HTTP1_DONE,
     429, "x", 0},
    {"answer without content", "HTTP/1.1 204 No Content\r\n\r\n", HTTP1_DONE, 204, "", 0},
    {"half a head", "HTTP/1.1 200 OK\r\nContent-", HTTP1_HEAD, 0, "", 0},
    {"half a body", "POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\nhalf", HTTP1_SIZED, 0, "half",
     0},
    {"length that is no number", "POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n", HTTP1_BAD, 0,
     "", 0},
    {"length over the maximum", "POST / HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n",
     HTTP1_TOO_BIG, 0, "", 0},
    {"chunk size that is no number",
     "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", HTTP1_BAD, 0, "", 0},
    {"chunk longer than its size",
     "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nabc\r\n", HTTP1_BAD, 0, "ab",
     0},
};

static void check(const struct message *row, struct http1 *m, size_t taken)
{
    size_t body_len = strlen(row->body);

    mt_check_row(row->what, m->state == row->state);
    mt_check_row(row->what, m->status == row->status);
    mt_check_row(row->what, m->body_len == body_len);
    mt_check_row(row->what, body_len == 0 || memcmp(m->body, row->body, body_len) == 0);
    mt_check_row(row->what,
                 row->state != HTTP1_DONE || taken == strlen(row->bytes) - row->left_over);
}

static void message_read_whole(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof messages / sizeof *messages; i++) {
        struct http1 m = {0};
        check(&messages[i], &m, http1_feed(&m, messages[i].bytes, strlen(messages[i].bytes)));
        http1_fini(&m);
    }
}

static void message_read_byte_by_byte(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof messages / sizeof *messages; i++) {
        struct http1 m = {0};
        size_t taken = 0;
        for (const char *at = messages[i].bytes; *at != '\0'; at++)
            taken += http1_feed(&m, at, 1);
        check(&messages[i], &m, taken);
        http1_fini(&m);
    }
}

static void head_without_end_is_too_big(void **state)
{
    struct http1 m = {0};

    (void)state;
    while (m.state == HTTP1_HEAD)
        assert_int_equal(http1_feed(&m, "0123456789abcde\n", 16), 16);
    assert_int_equal(m.state, HTTP1_TOO_BIG);
    http1_fini(&m);
}

static void close_ends_only_an_open_body(void **state)
{
    static const char open_body[] = "HTTP/1.0 200 OK\r\n\r\nabc";
    static const char sized_body[] = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nabc";
    struct http1 m = {0};

    (void)state;
    (void)http1_feed(&m, open_body, sizeof open_body - 1);
    assert_true(http1_eof(&m));
    http1_reset(&m);
    (void)http1_feed(&m, sized_body, sizeof sized_body - 1);
    assert_true(http1_in_body(&m));
    assert_false(http1_eof(&m));
    http1_fini(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(message_read_whole),
        cmocka_unit_test(message_read_byte_by_byte),
        cmocka_unit_test(head_without_end_is_too_big),
        cmocka_unit_test(close_ends_only_an_open_body),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
