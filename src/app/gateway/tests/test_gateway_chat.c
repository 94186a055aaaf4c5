/* SPDX-License-Identifier: Apache-2.0 */
/* Requests through the whole gateway: both lanes, translation, retries, fallbacks, hedging, and
 * clients that leave at every moment. */
#include "rig.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

static const char yaml[] =
    "listen: 127.0.0.1:0\n"
    "discover: false\n"
    "server: {ping: 20ms, drain: 200ms}\n"
    "retry: {base: 1ms, cap: 2s}\n"
    "breaker: {failures: 1000}\n"
    "endpoints:\n"
    "- {name: a, dialect: openai, url: 'http://127.0.0.1:@PORT@/a', api_key: secret-of-a}\n"
    "- {name: b, dialect: openai, url: 'http://127.0.0.1:@PORT@/b', api_key: secret-of-b}\n"
    "- {name: c, dialect: openai, url: 'http://127.0.0.1:@PORT@/c'}\n"
    "- {name: d, dialect: anthropic, url: 'http://127.0.0.1:@PORT@/d', api_key: secret-of-d}\n"
    "models:\n"
    "- {name: one, targets: [a/x], retries: 0}\n"
    "- {name: again, targets: [a/x], retries: 2}\n"
    "- {name: two, targets: [a/x, b/x], retries: 0}\n"
    "- {name: mixed, targets: [d/x, a/x], retries: 0}\n"
    "- {name: claude, targets: [d/x], retries: 0}\n"
    "- {name: hedged, targets: [a/x, b/x, c/x], retries: 0, hedge_after: 10ms}\n"
    "- {name: on, targets: [a/x, b/x, c/x], retries: 0, continue_stream: true}\n"
    "- {name: brief, targets: [a/x], retries: 0, timeout: 60ms}\n"
    "prices:\n"
    "- {model: 'a/*', input: 1USD, output: 1000USD}\n"
    "- {model: 'b/*', input: 1USD, output: 2000USD}\n"
    "- {model: 'd/*', input: 1USD, output: 1000USD}\n";

static const char openai[] = "/v1/chat/completions";

static struct rig rig;

static int up(void **state)
{
    (void)state;
    rig_up(&rig, yaml);
    return 0;
}

static int down(void **state)
{
    (void)state;
    rig_down(&rig);
    return 0;
}

static void expect_row(const struct call *call, enum mt_outcome outcome, int status,
                       int64_t output_n)
{
    struct mt_ledger_row row;

    rig_until_quiet(&rig);
    rig_row(&rig, call, &row);
    if (row.outcome != outcome || row.http_status != status ||
        (output_n >= 0 && row.output_n != output_n))
        fail_msg("row: %s, status %lld, output %lld; expected %s, %d, %lld (%.*s | %.*s)",
                 mt_outcome_name(row.outcome), (long long)row.http_status,
                 (long long)row.output_n, mt_outcome_name(outcome), status, (long long)output_n,
                 MT_STR_ARG(row.error), MT_STR_ARG(row.attempts));
}

/* ------------------------------------------------------------------ answers */

static const struct shape {
    const char *name, *path, *model;
    bool is_stream;
    const char *word, *end;
} shapes[] = {
    {"forward, whole", "/v1/chat/completions", "one", false, "w0 w1 w2 ", "\"usage\""},
    {"forward, stream", "/v1/chat/completions", "one", true, "\"w2 \"", "[DONE]"},
    {"anthropic forward, whole", "/v1/messages", "claude", false, "w0 w1 w2 ", "\"end_turn\""},
    {"anthropic forward, stream", "/v1/messages", "claude", true, "w2 ", "message_stop"},
    {"translated, whole", "/v1/messages", "one", false, "w0 w1 w2 ", "\"end_turn\""},
    {"translated, stream", "/v1/messages", "one", true, "w2 ", "message_stop"},
    {"translated back, whole", "/v1/chat/completions", "claude", false, "w0 w1 w2 ",
     "\"usage\""},
    {"translated back, stream", "/v1/chat/completions", "claude", true, "w2 ", "[DONE]"},
    {"events lane, stream", "/v1/chat/completions", "on", true, "w2 ", "[DONE]"},
    {"ollama, stream", "/api/chat", "one", true, "w2 ", "\"done\":true"},
};

static void answers_arrive_whole_and_as_streams(void **state)
{
    struct call call;
    struct mt_ledger_row row;

    (void)state;
    for (size_t i = 0; i < MT_ARRAY_LEN(shapes); i++) {
        const struct shape *shape = &shapes[i];
        rig_chat(&rig, &call, shape->path, shape->model, shape->is_stream, NULL, NULL);
        rig_until_over(&call);
        mt_check_row(shape->name, call.status == 200 && call.end == MT_HTTP_DONE);
        if (!call_has(&call, shape->word))
            fail_msg("row '%s': %.*s", shape->name, MT_STR_ARG(mt_buf_str(&call.body)));
        mt_check_row(shape->name, call_has(&call, shape->end));
        mt_check_row(shape->name, call.receipt[0] != '\0' && call.route[0] != '\0');
        rig_row(&rig, &call, &row);
        mt_check_row(shape->name, row.outcome == MT_OUTCOME_OK && row.output_n == 3);
        mt_check_row(shape->name, row.input_n == 7);
        call_fini(&call);
    }
}

/* ------------------------------------------------------------------ failures */

static const struct failing {
    const char *name;
    struct up_act act;
    int status;
    enum mt_outcome outcome;
    const char *must_not; /* stand in the answer */
} failing[] = {
    {"500",
     {.what = UP_STATUS, .status = 500, .body = "{\"error\":{\"message\":\"boom\"}}"},
     500,
     MT_OUTCOME_UPSTREAM_ERROR,
     NULL},
    {"redirect", {.what = UP_STATUS, .status = 302}, 502, MT_OUTCOME_UPSTREAM_ERROR, NULL},
    {"our key is refused, and said aloud",
     {.what = UP_STATUS,
      .status = 401,
      .body = "{\"error\":{\"message\":\"bad key secret-of-a\",\"type\":"
              "\"authentication_error\",\"code\":\"invalid_api_key\"}}"},
     502,
     MT_OUTCOME_UPSTREAM_ERROR,
     "invalid_api_key"},
    {"403", {.what = UP_STATUS, .status = 403}, 502, MT_OUTCOME_UPSTREAM_ERROR, "permission"},
    {"our account is empty",
     {.what = UP_STATUS, .status = 402},
     502,
     MT_OUTCOME_UPSTREAM_ERROR,
     "budget"},
    {"key in any error",
     {.what = UP_STATUS,
      .status = 400,
      .body = "{\"error\":{\"message\":\"header Bearer "
              "secret-of-a\"}}"},
     400,
     MT_OUTCOME_REJECTED,
     "secret-of-a"},
    {"no JSON", {.what = UP_WHOLE, .body = "<html>"}, 502, MT_OUTCOME_UPSTREAM_ERROR, NULL},
    {"nothing", {.what = UP_WHOLE, .body = ""}, 502, MT_OUTCOME_UPSTREAM_ERROR, NULL},
};

static void failures_of_an_endpoint_are_told_as_such(void **state)
{
    static const char *const paths[] = {"/v1/chat/completions", "/v1/messages"};
    struct call call;
    struct mt_ledger_row row;

    (void)state;
    for (size_t i = 0; i < MT_ARRAY_LEN(failing); i++) {
        for (size_t p = 0; p < MT_ARRAY_LEN(paths); p++) {
            const struct failing *f = &failing[i];
            rig_script(&rig, 'a', &f->act, 1);
            rig_chat(&rig, &call, paths[p], "one", false, NULL, NULL);
            rig_until_over(&call);
            if (p == 0 && call.status != f->status)
                fail_msg("row '%s': status %d, expected %d: %.*s", f->name, call.status,
                         f->status, MT_STR_ARG(mt_buf_str(&call.body)));
            mt_check_row(f->name, f->must_not == NULL || !call_has(&call, f->must_not));
            mt_check_row(f->name, !call_has(&call, "secret-of-a"));
            mt_check_row(f->name, strcmp(call.should, "false") == 0);
            rig_row(&rig, &call, &row);
            mt_check_row(f->name, row.outcome == f->outcome);
            mt_check_row(f->name, row.cost_usd_nano == 0 && row.output_n == 0);
            mt_check_row(f->name,
                         mt_str_find(row.attempts, MT_STR("secret-of-a")) == row.attempts.len);
            call_fini(&call);
        }
    }
}

static void a_retry_waits_as_long_as_it_is_told(void **state)
{
    struct call call;
    int64_t began_ns = mt_loop_clock_ns();

    (void)state;
    RIG_SCRIPT(&rig, 'a', {.what = UP_STATUS, .status = 429, .retry_after = "0.05"},
               {.what = UP_STATUS, .status = 503}, {.what = UP_WHOLE, .words = 3});
    rig_chat(&rig, &call, openai, "again", false, NULL, NULL);
    rig_until_over(&call);
    assert_int_equal(call.status, 200);
    assert_int_equal(rig_upstream(&rig, 'a')->asked_n, 3);
    assert_true(mt_loop_clock_ns() - began_ns >= 50 * 1000000);
    expect_row(&call, MT_OUTCOME_OK, 200, 3);
    call_fini(&call);
}

static void spent_retries_end_with_the_last_word(void **state)
{
    struct call call;

    (void)state;
    RIG_SCRIPT(&rig, 'a', {.what = UP_STATUS, .status = 429, .retry_after = "0.01"},
               {.what = UP_STATUS, .status = 429, .retry_after = "0.01"},
               {.what = UP_STATUS, .status = 429, .retry_after = "7"});
    rig_chat(&rig, &call, openai, "again", false, NULL, NULL);
    rig_until_over(&call);
    assert_int_equal(call.status, 429);
    assert_string_equal(call.retry, "7");
    assert_string_equal(call.should, "false");
    assert_int_equal(rig_upstream(&rig, 'a')->asked_n, 3);
    expect_row(&call, MT_OUTCOME_UPSTREAM_ERROR, 429, 0);
    call_fini(&call);
}

static void a_fallback_answers_at_its_own_price(void **state)
{
    struct call call;
    struct mt_ledger_row row;

    (void)state;
    RIG_SCRIPT(&rig, 'a', {.what = UP_STATUS, .status = 401});
    rig_chat(&rig, &call, openai, "two", false, NULL, NULL);
    rig_until_over(&call);
    assert_int_equal(call.status, 200);
    assert_string_equal(call.route, "b/x");
    rig_row(&rig, &call, &row);
    assert_true(mt_str_is(row.endpoint, "b"));
    assert_int_equal(row.cost_usd_nano, 7 * 1000 + 3 * 2000 * 1000);
    call_fini(&call);
}

/* A half of an answer that failed must not stand before the whole one of another target. */
static void a_half_answer_is_forgotten_before_the_next_attempt(void **state)
{
    static const struct up_act broken = {
        .what = UP_WHOLE,
        .body = "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,"
                "\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"ghost\"},"
                "\"finish_reason\":null}]}\n\n",
        .type = "text/event-stream"};
    static const struct {
        const char *path, *model;
    } rows[] = {{"/v1/messages", "two"}, {"/v1/chat/completions", "on"}};
    struct call call;

    (void)state;
    for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
        rig_script(&rig, 'a', &broken, 1);
        rig_chat(&rig, &call, rows[i].path, rows[i].model, false, NULL, NULL);
        rig_until_over(&call);
        mt_check_row(rows[i].model, call.status == 200);
        mt_check_row(rows[i].model, call_has(&call, "w0 w1 w2 "));
        mt_check_row(rows[i].model, !call_has(&call, "ghost"));
        mt_check_row(rows[i].model, strcmp(call.route, "b/x") == 0);
        expect_row(&call, MT_OUTCOME_OK, 200, 3);
        call_fini(&call);
    }
}

static void a_torn_whole_answer_is_asked_for_again(void **state)
{
    struct call call;

    (void)state;
    RIG_SCRIPT(&rig, 'a', {.what = UP_WHOLE, .body = "{\"choices\":[{\"message\":{\"con"});
    rig_chat(&rig, &call, openai, "two", false, NULL, NULL);
    rig_until_over(&call);
    assert_int_equal(call.status, 200);
    assert_true(call_has(&call, "w0 w1 w2 "));
    expect_row(&call, MT_OUTCOME_OK, 200, 3);
    call_fini(&call);
}

static void a_stream_that_breaks_ends_as_an_error_of_the_dialect(void **state)
{
    static const struct {
        const char *path, *model;
        enum up_do what;
        const char *mark, *not ;
    } rows[] = {
        {openai, "one", UP_BROKEN, "\"error\"", "[DONE]"},
        {openai, "one", UP_CUT, "\"error\"", "[DONE]"},
        {"/v1/messages", "one", UP_BROKEN, "event: error", "message_stop"},
        {"/v1/messages", "one", UP_CUT, "event: error", "message_stop"},
        {"/api/chat", "one", UP_CUT, "\"error\"", "\"done\":true"},
    };
    struct call call;

    (void)state;
    for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
        RIG_SCRIPT(&rig, 'a', {rows[i].what, .words = 2});
        rig_chat(&rig, &call, rows[i].path, rows[i].model, true, NULL, NULL);
        rig_until_piece(&call);
        rig_release(&rig);
        rig_until_over(&call);
        mt_check_row(rows[i].path, call_has(&call, "w1 "));
        mt_check_row(rows[i].path, call_has(&call, rows[i].mark));
        mt_check_row(rows[i].path, !call_has(&call, rows[i].not ));
        expect_row(&call, MT_OUTCOME_UPSTREAM_ERROR, 200, 2);
        call_fini(&call);
    }
}

static void a_stream_goes_on_elsewhere_when_allowed(void **state)
{
    struct call call;
    struct mt_ledger_row row;
    struct mt_str sent;

    (void)state;
    RIG_SCRIPT(&rig, 'a', {.what = UP_BROKEN, .words = 2});
    RIG_SCRIPT(&rig, 'b', {.what = UP_CUT, .words = 1});
    rig_chat(&rig, &call, openai, "on", true, NULL, NULL);
    rig_until_piece(&call);
    rig_release(&rig);
    rig_until_over(&call);
    assert_int_equal(call_count(&call, "\"w0 \""), 3); /* a, b and c begin with it */
    assert_int_equal(call_count(&call, "[DONE]"), 1);
    assert_false(call_has(&call, "\"error\""));
    sent = mt_buf_str(&rig_upstream(&rig, 'c')->last_body);
    assert_true(mt_str_find(sent, MT_STR("w0 w1 w0 ")) < sent.len); /* all that was said */
    expect_row(&call, MT_OUTCOME_OK, 200, 6);                       /* 2 + 1 + 3 */
    rig_row(&rig, &call, &row);
    assert_true(row.cost_usd_nano >= 2 * 1000000 + 1 * 2000000);
    call_fini(&call);
}

/* ------------------------------------------------------------------ hedging */

static void a_hedge_wins_and_the_loser_is_cancelled(void **state)
{
    struct call call;

    (void)state;
    for (int stream = 0; stream < 2; stream++) {
        RIG_SCRIPT(&rig, 'a', {.what = UP_SILENT});
        rig_chat(&rig, &call, openai, "hedged", stream, NULL, NULL);
        rig_until_over(&call);
        assert_int_equal(call.status, 200);
        assert_string_equal(call.route, "b/x");
        expect_row(&call, MT_OUTCOME_OK, 200, 3);
        call_fini(&call);
    }
    assert_int_equal(rig_upstream(&rig, 'a')->gone_n, 2);
}

static bool two_asked(void *arg)
{
    (void)arg;
    return rig_upstream(&rig, 'b')->asked_n > 0;
}

/* Three silent targets and room for two attempts: nothing may be tried a third time. */
static void hedging_stops_at_two(void **state)
{
    struct call call;

    (void)state;
    RIG_SCRIPT(&rig, 'a', {.what = UP_SILENT});
    RIG_SCRIPT(&rig, 'b', {.what = UP_LATER, .words = 3});
    rig_chat(&rig, &call, openai, "hedged", false, NULL, NULL);
    rig_until(&rig, two_asked, NULL);
    struct call other; /* lets several times the hedge's delay pass */
    RIG_SCRIPT(&rig, 'd', {.what = UP_SILENT});
    rig_chat(&rig, &other, openai, "claude", false, "\"motet\":{\"max_latency\":\"60ms\"}",
             NULL);
    rig_until_over(&other);
    assert_int_equal(other.status, 504);
    assert_int_equal(rig_upstream(&rig, 'c')->asked_n, 0);
    rig_release(&rig);
    rig_until_over(&call);
    assert_int_equal(call.status, 200);
    expect_row(&call, MT_OUTCOME_OK, 200, 3);
    call_fini(&call);
    call_fini(&other);
}

static void both_of_a_hedge_may_fail(void **state)
{
    struct call call;

    (void)state;
    RIG_SCRIPT(&rig, 'a', {.what = UP_LATER, .status = 500});
    RIG_SCRIPT(&rig, 'b', {.what = UP_STATUS, .status = 500});
    RIG_SCRIPT(&rig, 'c', {.what = UP_WHOLE, .words = 3});
    rig_chat(&rig, &call, openai, "hedged", false, NULL, NULL);
    rig_until(&rig, two_asked, NULL);
    rig_release(&rig);
    rig_until_over(&call);
    assert_int_equal(call.status, 200);
    assert_string_equal(call.route, "c/x");
    expect_row(&call, MT_OUTCOME_OK, 200, 3);
    call_fini(&call);
}

/* ------------------------------------------------------------------ clients that leave */

enum phase { IN_SILENCE, IN_STREAM, IN_WAIT, IN_HEDGE };

static const struct leaving {
    const char *name;
    enum phase phase;
    const char *path, *model;
    bool is_stream;
    struct up_act act;
    int64_t output_n;
} leaving[] = {
    {"before the first byte",
     IN_SILENCE,
     "/v1/chat/completions",
     "one",
     true,
     {.what = UP_SILENT},
     0},
    {"before a whole answer", IN_SILENCE, "/v1/messages", "one", false, {.what = UP_SILENT}, 0},
    {"in a forwarded stream",
     IN_STREAM,
     "/v1/chat/completions",
     "one",
     true,
     {.what = UP_HALF, .words = 4},
     4},
    {"in a translated stream",
     IN_STREAM,
     "/v1/messages",
     "one",
     true,
     {.what = UP_HALF, .words = 4},
     4},
    {"in the wait for a retry",
     IN_WAIT,
     "/v1/chat/completions",
     "again",
     false,
     {.what = UP_STATUS, .status = 503, .retry_after = "1"},
     0},
    {"during a hedge",
     IN_HEDGE,
     "/v1/chat/completions",
     "hedged",
     true,
     {.what = UP_SILENT},
     0},
};

static void a_client_that_leaves_ends_the_work(void **state)
{
    struct call call;

    (void)state;
    for (size_t i = 0; i < MT_ARRAY_LEN(leaving); i++) {
        const struct leaving *l = &leaving[i];
        rig_script(&rig, 'a', &l->act, 1);
        RIG_SCRIPT(&rig, 'b', {.what = UP_SILENT});
        RIG_SCRIPT(&rig, 'c', {.what = UP_SILENT}); /* hedged with b while a is avoided */
        rig_chat(&rig, &call, l->path, l->model, l->is_stream, NULL, NULL);
        if (l->phase == IN_STREAM)
            rig_until_piece(&call);
        else if (l->phase == IN_HEDGE)
            rig_until(&rig, two_asked, NULL);
        else
            rig_until_asked(&rig, 'a', 1);
        rig_leave(&call);
        int64_t left_ns = mt_loop_clock_ns();
        rig_until_quiet(&rig);
        mt_check_row(l->name, mt_loop_clock_ns() - left_ns < 2000 * INT64_C(1000000));
        call.receipt[0] = '\0'; /* the newest row */
        expect_row(&call, MT_OUTCOME_CLIENT_GONE, 499, l->output_n);
        call_fini(&call);
    }
}

/* ------------------------------------------------------------------ streams */

static void silence_is_broken_by_pings(void **state)
{
    struct call call;

    (void)state;
    RIG_SCRIPT(&rig, 'a', {.what = UP_LATER, .words = 3});
    rig_chat(&rig, &call, "/v1/messages", "one", true, NULL, NULL);
    rig_until_piece(&call);
    assert_true(call_has(&call, "event: message_start"));
    rig_release(&rig);
    rig_until_over(&call);
    assert_true(call_has(&call, "event: ping"));
    assert_int_equal(call_count(&call, "event: message_start"), 1);
    assert_true(call_has(&call, "w2 "));
    expect_row(&call, MT_OUTCOME_OK, 200, 3);
    call_fini(&call);
}

/* The ping has begun the stream in our words: the next target's bytes cannot follow raw. */
static void a_stream_begun_by_a_ping_stays_in_our_words(void **state)
{
    struct call call;

    (void)state;
    RIG_SCRIPT(&rig, 'd', {.what = UP_BROKEN});
    rig_chat(&rig, &call, openai, "mixed", true, NULL, NULL);
    rig_until_piece(&call);
    rig_release(&rig);
    rig_until_over(&call);
    assert_true(call_has(&call, "w2 "));
    assert_int_equal(call_count(&call, "\"id\":\"c\""), 0);
    assert_int_equal(call_count(&call, "[DONE]"), 1);
    expect_row(&call, MT_OUTCOME_OK, 200, 3);
    call_fini(&call);
}

static bool has_drained(void *arg)
{
    const struct upstream *endless = arg;

    return endless->drained_n >= 12;
}

static bool is_paused(void *arg)
{
    (void)arg;
    return rig.gw->sessions != NULL && rig.gw->sessions->is_paused;
}

static void a_slow_reader_slows_the_endpoint(void **state)
{
    static const char *const paths[] = {"/v1/chat/completions", "/v1/messages"};
    struct upstream *endless = rig_upstream(&rig, 'a');
    struct call call;

    (void)state;
    for (size_t i = 0; i < MT_ARRAY_LEN(paths); i++) {
        RIG_SCRIPT(&rig, 'a', {.what = UP_ENDLESS});
        endless->drained_n = 0;
        rig_chat(&rig, &call, paths[i], "one", true, NULL, NULL);
        rig_until_piece(&call);
        mt_http_call_pause(call.http);
        rig_until(&rig, is_paused, NULL);
        mt_http_call_resume(call.http);
        rig_until(&rig, has_drained, endless);
        rig_leave(&call);
        expect_row(&(struct call){0}, MT_OUTCOME_CLIENT_GONE, 499, -1);
        call_fini(&call);
    }
}

static void the_deadline_of_a_request_holds(void **state)
{
    static const struct {
        const char *model, *extra, *headers;
    } rows[] = {
        {"brief", NULL, NULL},
        {"one", "\"motet\":{\"max_latency\":\"50ms\"}", NULL},
        {"one", NULL, "x-motet-max-latency: 50ms"},
        {"brief", NULL, "x-motet-max-latency: 10m"},
    };
    struct call call;

    (void)state;
    RIG_SCRIPT(&rig, 'a', {.what = UP_SILENT});
    for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
        rig_chat(&rig, &call, openai, rows[i].model, false, rows[i].extra, rows[i].headers);
        rig_until_over(&call);
        mt_check_row(rows[i].model, call.status == 504);
        expect_row(&call, MT_OUTCOME_TIMEOUT, 504, 0);
        call_fini(&call);
    }
}

static void limits_of_a_request_must_make_sense(void **state)
{
    static const char *const headers[] = {"x-motet-max-latency: 0s",
                                          "x-motet-max-latency: soon", "x-motet-max-cost: 0USD",
                                          "x-motet-max-cost: 5"};
    struct call call;

    (void)state;
    for (size_t i = 0; i < MT_ARRAY_LEN(headers); i++) {
        rig_chat(&rig, &call, openai, "brief", false, NULL, headers[i]);
        rig_until_over(&call);
        mt_check_row(headers[i], call.status == 400);
        call_fini(&call);
    }
}

/* ------------------------------------------------------------------ life */

static void a_reload_leaves_streams_alone(void **state)
{
    const struct mt_config *config = NULL;
    struct mt_err err = {0};
    struct call call;

    (void)state;
    RIG_SCRIPT(&rig, 'a', {.what = UP_HALF, .words = 2});
    rig_chat(&rig, &call, openai, "one", true, NULL, NULL);
    rig_until_piece(&call);
    rig_open_with(&rig, "listen: 127.0.0.1:0\ndiscover: false\n", &config);
    assert_int_equal(mt_gateway_reload(rig.gw, config, &err), MT_OK);
    mt_config_unref(config);
    rig_leave(&call);
    expect_row(&(struct call){0}, MT_OUTCOME_CLIENT_GONE, 499, 2);
    call_fini(&call);
    rig_chat(&rig, &call, openai, "one", false, NULL, NULL);
    rig_until_over(&call);
    assert_int_equal(call.status, 404);
    call_fini(&call);
}

static void on_drained(void *ctx)
{
    ((struct rig *)ctx)->drained_n++;
}

static bool is_drained(void *arg)
{
    return ((struct rig *)arg)->drained_n > 0;
}

static void an_idle_gateway_is_drained_at_once(void **state)
{
    struct call call;

    (void)state;
    rig_chat(&rig, &call, openai, "one", false, NULL, NULL);
    rig_until_over(&call); /* its connection stays open */
    int64_t began_ns = mt_loop_clock_ns();
    mt_gateway_drain(rig.gw, on_drained, &rig);
    rig_until(&rig, is_drained, &rig);
    assert_true(mt_loop_clock_ns() - began_ns < 150 * INT64_C(1000000));
    call_fini(&call);
}

static bool has_session(void *arg)
{
    return ((struct rig *)arg)->gw->sessions_n > 0;
}

/* A request whose body never comes is no work in flight. */
static void a_half_sent_request_does_not_hold_up_the_end(void **state)
{
    static const char half[] = "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n"
                               "Content-Length: 100\r\n\r\n{";
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_port = htons(mt_gateway_port(rig.gw)),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    (void)state;
    assert_int_equal(connect(fd, (struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(send(fd, half, sizeof half - 1, 0), sizeof half - 1);
    rig_until(&rig, has_session, &rig);
    int64_t began_ns = mt_loop_clock_ns();
    mt_gateway_drain(rig.gw, on_drained, &rig);
    rig_until(&rig, is_drained, &rig);
    assert_true(mt_loop_clock_ns() - began_ns < 150 * INT64_C(1000000));
    close(fd);
    rig_until_quiet(&rig);
}

static void draining_waits_for_streams_but_not_for_ever(void **state)
{
    struct call call;
    struct call silent;
    struct mt_ledger_row row;

    (void)state;
    RIG_SCRIPT(&rig, 'a', {.what = UP_HALF, .words = 2});
    rig_chat(&rig, &call, openai, "one", true, NULL, NULL);
    RIG_SCRIPT(&rig, 'd', {.what = UP_SILENT});
    rig_chat(&rig, &silent, "/v1/messages", "claude", false, NULL, NULL);
    rig_until_asked(&rig, 'd', 1);
    rig_until_piece(&call);
    mt_gateway_drain(rig.gw, on_drained, &rig);
    rig_until(&rig, is_drained, &rig);
    rig_until_over(&call);
    rig_until_over(&silent);
    assert_non_null(strstr(mt_buf_cstr(&call.body), "the node is ending"));
    assert_non_null(strstr(mt_buf_cstr(&silent.body), "the node is ending"));
    assert_int_equal(silent.status, 529);
    rig_row(&rig, &call, &row);
    assert_int_equal(row.outcome, MT_OUTCOME_INTERRUPTED);
    rig_row(&rig, &silent, &row);
    assert_int_equal(row.outcome, MT_OUTCOME_INTERRUPTED);
    assert_int_equal(rig.drained_n, 1);
    call_fini(&call);
    call_fini(&silent);
}

static void closing_settles_what_is_in_flight(void **state)
{
    struct call calls[3];
    struct mt_ledger_row row;

    (void)state;
    RIG_SCRIPT(&rig, 'a', {.what = UP_HALF, .words = 2});
    RIG_SCRIPT(&rig, 'd', {.what = UP_SILENT});
    rig_chat(&rig, &calls[0], openai, "one", true, NULL, NULL);
    rig_chat(&rig, &calls[1], "/v1/messages", "one", true, NULL, NULL);
    rig_chat(&rig, &calls[2], openai, "claude", false, NULL, NULL);
    rig_until_piece(&calls[0]);
    rig_until_piece(&calls[1]);
    rig_until_asked(&rig, 'd', 1);
    mt_gateway_close(rig.gw);
    rig.gw = NULL;
    for (int i = 0; i < 3; i++) {
        rig_row(&rig, &calls[i], &row);
        assert_int_equal(row.outcome, MT_OUTCOME_INTERRUPTED);
        rig_until_over(&calls[i]);
        call_fini(&calls[i]);
    }
}

static bool all_over(void *arg)
{
    const struct call *calls = arg;

    for (int i = 0; i < 300; i++) {
        if (!calls[i].is_over)
            return false;
    }
    return true;
}

static void three_hundred_at_once(void **state)
{
    static struct call calls[300];
    static const char *const models[] = {"one", "two", "claude", "hedged", "on"};

    (void)state;
    for (int i = 0; i < 300; i++)
        rig_chat(&rig, &calls[i], i % 3 == 0 ? "/v1/messages" : openai, models[i % 5], i % 2,
                 NULL, NULL);
    rig_until(&rig, all_over, calls);
    for (int i = 0; i < 300; i++) {
        assert_int_equal(calls[i].status, 200);
        assert_true(call_has(&calls[i], "w2 "));
        call_fini(&calls[i]);
    }
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, up, down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(answers_arrive_whole_and_as_streams),
        TEST(failures_of_an_endpoint_are_told_as_such),
        TEST(a_retry_waits_as_long_as_it_is_told),
        TEST(spent_retries_end_with_the_last_word),
        TEST(a_fallback_answers_at_its_own_price),
        TEST(a_half_answer_is_forgotten_before_the_next_attempt),
        TEST(a_torn_whole_answer_is_asked_for_again),
        TEST(a_stream_that_breaks_ends_as_an_error_of_the_dialect),
        TEST(a_stream_goes_on_elsewhere_when_allowed),
        TEST(a_hedge_wins_and_the_loser_is_cancelled),
        TEST(hedging_stops_at_two),
        TEST(both_of_a_hedge_may_fail),
        TEST(a_client_that_leaves_ends_the_work),
        TEST(silence_is_broken_by_pings),
        TEST(a_stream_begun_by_a_ping_stays_in_our_words),
        TEST(a_slow_reader_slows_the_endpoint),
        TEST(the_deadline_of_a_request_holds),
        TEST(limits_of_a_request_must_make_sense),
        TEST(a_reload_leaves_streams_alone),
        TEST(an_idle_gateway_is_drained_at_once),
        TEST(a_half_sent_request_does_not_hold_up_the_end),
        TEST(draining_waits_for_streams_but_not_for_ever),
        TEST(closing_settles_what_is_in_flight),
        TEST(three_hundred_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
