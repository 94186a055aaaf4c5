/* SPDX-License-Identifier: Apache-2.0 */
/* Who may ask, and for how much: keys, pages, limits, budgets, the cache, strict accounting,
 * odd requests, and no memory at any moment. */
#include "rig.h"

#include <stdlib.h>

#include "crypto/key.h"

static const char yaml[] =
    "listen: 127.0.0.1:0\n"
    "discover: false\n"
    "retry: {base: 1ms, cap: 10ms}\n"
    "breaker: {failures: 2, open: 10m}\n"
    "endpoints:\n"
    "- {name: a, dialect: openai, url: 'http://127.0.0.1:@PORT@/a', models: [x, y], "
    "concurrent_max: 2}\n"
    "- {name: d, dialect: anthropic, url: 'http://127.0.0.1:@PORT@/d', models: [z]}\n"
    "models:\n"
    "- {name: one, targets: [a/x], retries: 0}\n"
    "- {name: few, targets: [a/x], retries: 0, limits: [{requests: 2, per: hour}]}\n"
    "prices:\n"
    "- {model: 'a/*', input: 1USD, output: 1000USD}\n";

/* %s: the stored forms of "all", "narrow", "poor", "tokens" */
static const char keys_yaml[] =
    "keys:\n"
    "- {name: all, hash: '%s'}\n"
    "- {name: narrow, hash: '%s', models: ['few']}\n"
    "- {name: poor, hash: '%s', limits: [{money: 2USD, per: day}]}\n"
    "- {name: tokens, hash: '%s', limits: [{tokens: 100, per: day}]}\n";

static const char openai[] = "/v1/chat/completions";

static struct rig rig;

static int up(void **state)
{
    (void)state;
    rig_up(&rig, yaml);
    return 0;
}

static int up_with_keys(void **state)
{
    char hash[4][MT_KEY_STORED_LEN + 1];
    static char text[4096];
    size_t n = sizeof yaml - 1;

    (void)state;
    mt_key_stored(MT_STR("all-key"), hash[0]);
    mt_key_stored(MT_STR("narrow-key"), hash[1]);
    mt_key_stored(MT_STR("poor-key"), hash[2]);
    mt_key_stored(MT_STR("tokens-key"), hash[3]);
    memcpy(text, yaml, n);
    snprintf(text + n, sizeof text - n, keys_yaml, hash[0], hash[1], hash[2], hash[3]);
    rig_up(&rig, text);
    return 0;
}

static int up_with(const char *more)
{
    static char text[4096];

    snprintf(text, sizeof text, "%s%s", yaml, more);
    rig_up(&rig, text);
    return 0;
}

static int up_with_cache(void **state)
{
    (void)state;
    return up_with("cache: {enabled: true}\n");
}

static int up_strict(void **state)
{
    (void)state;
    return up_with("accounting: {strict: true}\n");
}

static int down(void **state)
{
    (void)state;
    rig_down(&rig);
    return 0;
}

static void expect_newest(enum mt_outcome outcome, int status)
{
    struct mt_ledger_row row;

    rig_until_quiet(&rig);
    rig_row(&rig, &(struct call){0}, &row);
    assert_int_equal(row.outcome, outcome);
    assert_int_equal(row.http_status, status);
}

/* ------------------------------------------------------------------ doors */

static const struct door {
    const char *method, *path, *headers, *body;
    int status;
} doors[] = {
    {"GET", "/", NULL, NULL, 200},
    {"HEAD", "/", NULL, NULL, 200},
    {"GET", "/healthz", NULL, NULL, 200},
    {"HEAD", "/healthz", NULL, NULL, 200},
    {"POST", "/healthz", NULL, "{}", 405},
    {"GET", "/v1/models", NULL, NULL, 401},
    {"GET", "/v1/models", "authorization: Bearer all-key", NULL, 200},
    {"GET", "/v1/models", "authorization: bearer   all-key", NULL, 200},
    {"GET", "/v1/models", "x-api-key: all-key", NULL, 200},
    {"GET", "/v1/models", "x-goog-api-key: all-key", NULL, 200},
    {"GET", "/v1/models?key=all-key", NULL, NULL, 200},
    {"HEAD", "/v1/models", "x-api-key: all-key", NULL, 200},
    {"GET", "/v1/models", "authorization: Bearer all-key2", NULL, 401},
    {"GET", "/v1/models", "authorization: Basic all-key", NULL, 401},
    {"GET", "/v1/models/one", "x-api-key: narrow-key", NULL, 403},
    {"GET", "/v1/models/few", "x-api-key: narrow-key", NULL, 200},
    {"GET", "/v1/models/a%2Fx", "x-api-key: all-key", NULL, 200},
    {"GET", "/v1/models/nope%0d%0aset-cookie:%20x", "x-api-key: all-key", NULL, 404},
    {"POST", "/v1/messages/count_tokens", "x-api-key: narrow-key",
     "{\"model\":\"one\",\"messages\":[{\"role\":\"user\",\"content\":\"a\"}]}", 403},
    {"POST", "/v1/messages/count_tokens", "x-api-key: all-key",
     "{\"model\":\"one\",\"messages\":[{\"role\":\"user\",\"content\":\"a\"}]}", 200},
    {"POST", "/api/show", "x-api-key: narrow-key", "{\"model\":\"one\"}", 403},
    {"POST", "/motet/v1/stop", "x-api-key: all-key", "", 403},
    {"POST", "/motet/v1/stop", "x-api-key: admin-token", "", 200},
    {"POST", "/motet/v1/reload", "x-api-key: admin-token", "", 200},
    {"POST", "/motet/v1/reload", NULL, "", 401},
    {"GET", "/nowhere", NULL, NULL, 404},
    {"POST", "/api/show", "x-api-key: all-key\ncontent-encoding: gzip", "{}", 400},
    {"POST", "/api/show", "x-api-key: all-key\ncontent-encoding: identity",
     "{\"model\":\"one\"}", 200},
    {"OPTIONS", "/v1/chat/completions", "origin: http://localhost:3000", NULL, 204},
    {"OPTIONS", "/v1/chat/completions", "origin: https://evil.example", NULL, 403},
    {"GET", "/v1/models", "x-api-key: all-key\norigin: https://evil.example", NULL, 403},
    {"GET", "/v1/models", "x-api-key: all-key\norigin: null", NULL, 403},
    {"GET", "/v1/models", "x-api-key: all-key\norigin: http://localhost.evil.example", NULL,
     403},
    {"GET", "/v1/models", "x-api-key: all-key\norigin: http://LOCALHOST:1", NULL, 200},
};

static void doors_open_to_those_who_may(void **state)
{
    struct call call;

    (void)state;
    for (size_t i = 0; i < MT_ARRAY_LEN(doors); i++) {
        const struct door *door = &doors[i];
        rig_send(&rig, &call, door->method, door->path, door->body, door->headers);
        rig_until_over(&call);
        if (call.status != door->status)
            fail_msg("%s %s (%s): %d, expected %d: %.*s", door->method, door->path,
                     door->headers != NULL ? door->headers : "", call.status, door->status,
                     MT_STR_ARG(mt_buf_str(&call.body)));
        assert_true(strcmp(door->method, "HEAD") != 0 || call.body.len == 0);
        assert_false(call_has(&call, "all-key"));
        call_fini(&call);
    }
    assert_int_equal(rig.stops_n, 1);
    assert_int_equal(rig.reloads_n, 1);
}

static void without_keys_only_this_machine_may(void **state)
{
    static const struct door rows[] = {
        {"GET", "/v1/models", NULL, NULL, 200},
        {"GET", "/v1/models", "host: localhost:7700", NULL, 200},
        {"GET", "/v1/models", "host: rebound.example", NULL, 403},
        {"GET", "/v1/models", "origin: null", NULL, 403},
        {"GET", "/v1/models", "authorization: Bearer anything", NULL, 200},
        {"POST", "/motet/v1/stop", NULL, "", 403},
    };
    struct call call;

    (void)state;
    for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
        rig_send(&rig, &call, rows[i].method, rows[i].path, rows[i].body, rows[i].headers);
        rig_until_over(&call);
        if (call.status != rows[i].status)
            fail_msg("row %zu: %d", i, call.status);
        call_fini(&call);
    }
}

static void bad_requests_leave_one_row_each(void **state)
{
    static const struct {
        const char *body;
        int status;
        const char *says; /* NULL: whatever */
    } rows[] = {
        {"", 400, "body: byte 0"},
        {"{", 400, "body: byte 1"},
        {"[]", 400, NULL},
        {"{\"model\":\"nope\",\"messages\":[]}", 404, "\"code\":\"model_not_found\""},
        {"{\"model\":\"no\\u0000pe\\n\",\"messages\":[{\"role\":\"user\",\"content\":\"a\"}]}",
         404, NULL},
        {"{\"model\":\"one\",\"model\":\"one\",\"messages\":[]}", 400, NULL},
        {"{\"model\":\"one\",\"messages\":[{\"role\":\"user\",\"content\":\"a\"}],"
         "\"max_tokens\":9223372036854775807,\"n\":128}",
         400, NULL},
    };
    struct call call;

    (void)state;
    for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
        rig_send(&rig, &call, "POST", openai, rows[i].body, NULL);
        rig.rows_n++;
        rig_until_over(&call);
        if (call.status != rows[i].status)
            fail_msg("%s: %d: %.*s", rows[i].body, call.status,
                     MT_STR_ARG(mt_buf_str(&call.body)));
        mt_check_row(rows[i].body, rows[i].says == NULL || call_has(&call, rows[i].says));
        call.receipt[0] = '\0';
        expect_newest(MT_OUTCOME_REJECTED, rows[i].status);
        call_fini(&call);
    }
}

/* ------------------------------------------------------------------ limits */

static void a_models_requests_are_counted(void **state)
{
    struct call call;

    (void)state;
    for (int i = 0; i < 3; i++) {
        rig_chat(&rig, &call, openai, "few", i % 2, NULL, "x-api-key: narrow-key");
        rig_until_over(&call);
        assert_int_equal(call.status, i < 2 ? 200 : 429);
        assert_true(i < 2 || atoi(call.retry) > 0);
        call_fini(&call);
    }
    expect_newest(MT_OUTCOME_REJECTED, 429);
}

static void tokens_are_held_before_and_booked_after(void **state)
{
    struct call call;

    (void)state;
    rig_chat(&rig, &call, openai, "one", false, "\"max_tokens\":200", "x-api-key: tokens-key");
    rig_until_over(&call);
    assert_int_equal(call.status, 429);
    call_fini(&call);
    RIG_SCRIPT(&rig, 'a', {.what = UP_WHOLE, .words = 60});
    rig_chat(&rig, &call, openai, "one", false, "\"max_tokens\":60", "x-api-key: tokens-key");
    rig_until_over(&call);
    assert_int_equal(call.status, 200);
    call_fini(&call);
    rig_chat(&rig, &call, openai, "one", false, "\"max_tokens\":60", "x-api-key: tokens-key");
    rig_until_over(&call);
    assert_int_equal(call.status, 429);
    call_fini(&call);
    struct mt_ledger_row row; /* a stream takes what is left */
    RIG_SCRIPT(&rig, 'a', {.what = UP_ENDLESS});
    rig_chat(&rig, &call, openai, "one", true, NULL, "x-api-key: tokens-key");
    rig_until_over(&call);
    assert_int_equal(call.status, 200);
    rig_row(&rig, &call, &row);
    assert_int_equal(row.outcome, MT_OUTCOME_BUDGET_CUT);
    assert_in_range(row.input_n + row.output_n, 20, 34);
    call_fini(&call);
}

static void a_stream_is_cut_when_the_budget_is_spent(void **state)
{
    static const char *const paths[] = {"/v1/chat/completions", "/api/chat"};
    struct call call;
    struct mt_ledger_row row;

    (void)state;
    RIG_SCRIPT(&rig, 'a', {.what = UP_ENDLESS});
    for (size_t i = 0; i < MT_ARRAY_LEN(paths); i++) {
        rig_chat(&rig, &call, paths[i], "one", true, NULL, "x-api-key: poor-key");
        rig_until_over(&call);
        if (i == 1) { /* nothing is left */
            assert_int_equal(call.status, 402);
            call_fini(&call);
            break;
        }
        assert_int_equal(call.status, 200);
        assert_true(call_has(&call, "\"finish_reason\":\"length\""));
        assert_true(call_has(&call, "[DONE]"));
        rig_row(&rig, &call, &row);
        assert_int_equal(row.outcome, MT_OUTCOME_BUDGET_CUT);
        assert_true(row.cost_usd_nano <= 2 * MT_USD_NANO + 2000000);
        assert_true(row.cost_usd_nano > MT_USD_NANO);
        call_fini(&call);
    }
    rig_until_quiet(&rig);
    assert_int_equal(rig_upstream(&rig, 'a')->gone_n, 1);
}

/* Nobody can cut it on its way: the endpoint is told how long it may be. */
static void a_whole_answer_is_bounded_beforehand(void **state)
{
    struct call call;

    (void)state;
    RIG_SCRIPT(&rig, 'a', {.what = UP_WHOLE, .words = 3});
    rig_chat(&rig, &call, openai, "one", false, NULL, "x-motet-max-cost: 0.01USD");
    rig_until_over(&call);
    assert_int_equal(call.status, 200);
    assert_non_null(
        strstr(mt_buf_cstr(&rig_upstream(&rig, 'a')->last_body), "\"max_tokens\":"));
    assert_non_null(strstr(call.warning, "a limit applies"));
    call_fini(&call);
}

static void a_request_may_limit_its_own_cost(void **state)
{
    struct call call;
    struct mt_ledger_row row;

    (void)state;
    RIG_SCRIPT(&rig, 'a', {.what = UP_ENDLESS});
    rig_chat(&rig, &call, openai, "one", true, NULL, "x-motet-max-cost: 0.01USD");
    rig_until_over(&call);
    rig_row(&rig, &call, &row);
    assert_int_equal(row.outcome, MT_OUTCOME_BUDGET_CUT);
    assert_true(row.cost_usd_nano <= 12 * 1000000);
    call_fini(&call);
    rig_chat(&rig, &call, openai, "one", false,
             "\"max_tokens\":50,\"motet\":{\"max_cost\":\"0.01USD\"}", NULL);
    rig_until_over(&call);
    assert_int_equal(call.status, 402);
    assert_int_equal(rig_upstream(&rig, 'a')->asked_n, 1);
    call_fini(&call);
}

static void an_endpoint_has_so_many_at_a_time(void **state)
{
    struct call calls[3];

    (void)state;
    RIG_SCRIPT(&rig, 'a', {.what = UP_LATER, .words = 3});
    for (int i = 0; i < 3; i++)
        rig_chat(&rig, &calls[i], openai, "one", i, NULL, NULL);
    rig_until_over(&calls[2]);
    assert_int_equal(calls[2].status, 503);
    rig_until_asked(&rig, 'a', 2);
    rig_release(&rig);
    rig_until_over(&calls[0]);
    rig_until_over(&calls[1]);
    for (int i = 0; i < 3; i++)
        call_fini(&calls[i]);
}

static void a_breaker_opens_and_says_for_how_long(void **state)
{
    struct call call;

    (void)state;
    RIG_SCRIPT(&rig, 'a', {.what = UP_STATUS, .status = 500});
    for (int i = 0; i < 3; i++) {
        rig_chat(&rig, &call, openai, "one", false, NULL, NULL);
        rig_until_over(&call);
        assert_int_equal(call.status, i < 2 ? 500 : 503);
        if (i == 2)
            assert_in_range(atoi(call.retry), 500, 600);
        call_fini(&call);
    }
    assert_int_equal(rig_upstream(&rig, 'a')->asked_n, 2);
}

static const char embeddings[] = "/v1/embeddings";

static void embeddings_are_counted_however_they_end(void **state)
{
    static const char vectors[] =
        "{\"object\":\"list\",\"model\":\"x\",\"data\":[{\"object\":\"embedding\",\"index\":0,"
        "\"embedding\":[0.5,0.25]}],\"usage\":{\"prompt_tokens\":5,\"total_tokens\":5}}";
    static const char body[] = "{\"model\":\"one\",\"input\":\"words\"}";
    struct call call;
    struct mt_ledger_row row;

    (void)state;
    RIG_SCRIPT(&rig, 'a', {.what = UP_WHOLE, .body = vectors});
    rig_send(&rig, &call, "POST", embeddings, body, NULL);
    rig.rows_n++;
    rig_until_over(&call);
    assert_int_equal(call.status, 200);
    assert_true(call_has(&call, "0.25"));
    rig_row(&rig, &call, &row);
    assert_int_equal(row.input_n, 5);
    assert_int_equal(row.cost_usd_nano, 5000);
    call_fini(&call);

    RIG_SCRIPT(&rig, 'a', {.what = UP_STATUS, .status = 401, .body = "{\"error\":\"no\"}"});
    rig_send(&rig, &call, "POST", embeddings, body, NULL);
    rig.rows_n++;
    rig_until_over(&call);
    assert_int_equal(call.status, 502);
    call_fini(&call);

    RIG_SCRIPT(&rig, 'a', {.what = UP_SILENT});
    rig_send(&rig, &call, "POST", embeddings, body, NULL);
    rig.rows_n++;
    rig_until_asked(&rig, 'a', 1);
    rig_leave(&call);
    expect_newest(MT_OUTCOME_CLIENT_GONE, 499);
    call_fini(&call);
}

/* ------------------------------------------------------------------ cache */

static void a_repeated_request_is_answered_from_the_cache(void **state)
{
    static const struct {
        const char *name, *extra, *headers;
        bool is_stream;
        const char *has;
        unsigned asked_n;
    } rows[] = {
        {"first", NULL, NULL, false, "w2 ", 1},
        {"again", NULL, NULL, false, "w2 ", 1},
        {"as a stream", NULL, NULL, true, "[DONE]", 1},
        {"with usage", "\"stream_options\":{\"include_usage\":true}", NULL, true,
         "\"completion_tokens\":3", 1},
        {"otherwise", "\"temperature\":0.5", NULL, false, "w2 ", 2},
        {"not to be stored", NULL, "cache-control: no-store", false, "w2 ", 3},
    };
    struct call call;
    struct mt_ledger_row row;

    (void)state;
    for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
        rig_chat(&rig, &call, openai, "one", rows[i].is_stream, rows[i].extra, rows[i].headers);
        rig_until_over(&call);
        mt_check_row(rows[i].name, call.status == 200 && call_has(&call, rows[i].has));
        mt_check_row(rows[i].name, rig_upstream(&rig, 'a')->asked_n == rows[i].asked_n);
        if (i >= 1 && i <= 3) {
            rig_row(&rig, &call, &row);
            mt_check_row(rows[i].name, row.outcome == MT_OUTCOME_CACHE_HIT);
            mt_check_row(rows[i].name,
                         row.cost_usd_nano == 0 && strcmp(call.cache, "hit") == 0);
        }
        call_fini(&call);
    }
}

static void nothing_is_cached_unless_told_so(void **state)
{
    struct call call;

    (void)state;
    for (unsigned i = 1; i <= 2; i++) {
        rig_chat(&rig, &call, openai, "one", false, NULL, NULL);
        rig_until_over(&call);
        assert_int_equal(rig_upstream(&rig, 'a')->asked_n, i);
        call_fini(&call);
    }
}

/* ------------------------------------------------------------------ strict */

static bool is_held(void *arg)
{
    (void)arg;
    return rig.gw->sessions != NULL && rig.gw->sessions->is_held;
}

static void strict_answers_end_when_their_row_is_on_disk(void **state)
{
    struct call call;

    (void)state;
    for (int stream = 0; stream < 2; stream++) {
        rig.syncs = false;
        rig_chat(&rig, &call, openai, "one", stream, NULL, NULL);
        rig_until(&rig, is_held, NULL);
        assert_false(call.is_over);
        rig_sync(&rig);
        rig_until_over(&call);
        assert_int_equal(call.status, 200);
        assert_true(call_has(&call, "w2 "));
        call_fini(&call);
    }
    rig.syncs = false;
    rig_chat(&rig, &call, openai, "one", false, NULL, NULL);
    rig_until(&rig, is_held, NULL);
    rig_leave(&call);
    expect_newest(MT_OUTCOME_OK, 200);
    call_fini(&call);
}

/* Somebody deletes the data folder under the node; then puts the file back. */
static void a_deleted_ledger_is_told_everywhere(void **state)
{
    static const char *const paths[] = {"/v1/chat/completions", "/v1/messages", "/api/chat"};
    static const int statuses[] = {503, 529, 503}; /* each dialect's own */
    bool is_strict = rig.gw->board->config->strict_sync;
    char path[128], aside[128];
    struct call call;

    (void)state;
    snprintf(path, sizeof path, "%s/ledger.journal", rig.dir);
    snprintf(aside, sizeof aside, "%s/aside", rig.dir);
    if (is_strict) { /* one is held when it happens */
        rig.syncs = false;
        rig_chat(&rig, &call, openai, "one", false, NULL, NULL);
        rig_until(&rig, is_held, NULL);
        assert_int_equal(rename(path, aside), 0);
        mt_gateway_lost(rig.gw);
        rig_until_over(&call);
        assert_int_equal(call.status, 503);
        assert_false(call_has(&call, "w2 "));
        call_fini(&call);
        rig.syncs = true;
    } else {
        assert_int_equal(rename(path, aside), 0);
    }
    for (size_t i = 0; i < MT_ARRAY_LEN(paths); i++) {
        rig_chat(&rig, &call, paths[i], "one", i % 2, NULL, NULL);
        rig_until_over(&call);
        assert_int_equal(call.status, is_strict ? statuses[i] : 200);
        assert_true(!is_strict || call_has(&call, "were deleted"));
        call_fini(&call);
    }
    rig_send(&rig, &call, "GET", "/healthz", NULL, NULL);
    rig_until_over(&call);
    assert_true(call_has(&call, "ledger_lost"));
    call_fini(&call);
    rig_send(&rig, &call, "GET", "/metrics", NULL, NULL);
    rig_until_over(&call);
    assert_true(call_has(&call, "\nmotet_ledger_lost 1\n"));
    call_fini(&call);
    assert_int_equal(rename(aside, path), 0);
    rig_chat(&rig, &call, openai, "one", false, NULL, NULL);
    rig_until_over(&call);
    assert_int_equal(call.status, 200);
    call_fini(&call);
}

/* ------------------------------------------------------------------ no memory */

static const struct sweep {
    const char *name, *path, *model;
    bool is_stream;
} sweeps[] = {
    {"forward, whole", "/v1/chat/completions", "x", false},
    {"forward, stream", "/v1/chat/completions", "x", true},
    {"translated, whole", "/v1/messages", "x", false},
    {"translated, stream", "/v1/messages", "x", true},
    {"back, stream", "/v1/chat/completions", "z", true},
};

/* Memory runs out at the n-th allocation of this thread and stays out until the answer is here
 * or the connection has gone: whatever the caller sees, the node stands and its books balance.
 */
static void a_request_survives_any_lack_of_memory(void **state)
{
    struct call call;

    (void)state;
    for (size_t i = 0; i < MT_ARRAY_LEN(sweeps); i++) {
        for (long nth = 0;; nth++) {
            rig_chat(&rig, &call, sweeps[i].path, sweeps[i].model, sweeps[i].is_stream, NULL,
                     NULL);
            mt_alloc_fail_after = nth;
            rig_until_over(&call);
            bool was_spent = mt_alloc_fail_after == 0;
            mt_alloc_fail_after = -1;
            call_fini(&call);
            rig_until_quiet(&rig);
            if (!was_spent)
                break;
            mt_check_row(sweeps[i].name, nth < 2000);
        }
    }
    rig.rows_n = 0; /* some never became sessions: a row for each that was settled */
    for (size_t d = 0; d < MT_DIALECT_COUNT; d++) {
        for (size_t o = 0; o < METRICS_OUTCOMES; o++)
            rig.rows_n += rig.gw->metrics.requests[d][o];
    }
}

#define TEST(fn, with) cmocka_unit_test_setup_teardown(fn, with, down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(doors_open_to_those_who_may, up_with_keys),
        TEST(without_keys_only_this_machine_may, up),
        TEST(bad_requests_leave_one_row_each, up),
        TEST(a_models_requests_are_counted, up_with_keys),
        TEST(tokens_are_held_before_and_booked_after, up_with_keys),
        TEST(a_stream_is_cut_when_the_budget_is_spent, up_with_keys),
        TEST(a_whole_answer_is_bounded_beforehand, up),
        TEST(a_request_may_limit_its_own_cost, up),
        TEST(an_endpoint_has_so_many_at_a_time, up),
        TEST(a_breaker_opens_and_says_for_how_long, up),
        TEST(embeddings_are_counted_however_they_end, up),
        TEST(a_repeated_request_is_answered_from_the_cache, up_with_cache),
        TEST(nothing_is_cached_unless_told_so, up),
        TEST(strict_answers_end_when_their_row_is_on_disk, up_strict),
        TEST(a_deleted_ledger_is_told_everywhere, up),
        TEST(a_deleted_ledger_is_told_everywhere, up_strict),
        TEST(a_request_survives_any_lack_of_memory, up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
