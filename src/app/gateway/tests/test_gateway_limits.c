/* SPDX-License-Identifier: Apache-2.0 */
/* Models behind an alias are bound by limits of their own, whoever leads to them. */
#include "rig.h"

#include <stdlib.h>

static const char yaml[] =
    "listen: 127.0.0.1:0\n"
    "discover: false\n"
    "retry: {base: 1ms, cap: 10ms}\n"
    "breaker: {failures: 2, open: 10m}\n"
    "endpoints:\n"
    "- {name: a, dialect: openai, url: 'http://127.0.0.1:@PORT@/a', models: [x, y]}\n"
    "- {name: b, dialect: openai, url: 'http://127.0.0.1:@PORT@/b', models: [w]}\n"
    "models:\n"
    "- {name: scarce, targets: [a/x], limits: [{requests: 2, per: hour}]}\n"
    "- {name: small, targets: [b/w], limits: [{tokens: 400, per: day}]}\n"
    "- {name: dear, targets: [a/y], limits: [{money: 0.1USD, per: day}]}\n"
    "- {name: only, targets: [scarce], retries: 0, limits: [{requests: 3, per: day}]}\n"
    "- {name: nested, targets: [only], retries: 0}\n"
    "- {name: front, targets: [scarce, b/w], retries: 0}\n"
    "- {name: again, targets: [scarce, b/w], retries: 2}\n"
    "- {name: poor, targets: [scarce, small], retries: 0}\n"
    "- {name: short, targets: [small], retries: 0}\n"
    "- {name: long, targets: [scarce, small], retries: 0, continue_stream: true}\n"
    "- {name: quick, targets: [scarce, small], retries: 0, hedge_after: 1ms}\n"
    "- {name: tight, targets: [small], limits: [{requests: 1, per: day}]}\n"
    "- {name: cheap, targets: [dear], retries: 0}\n"
    "prices:\n"
    "- {model: '*', input: 1USD, output: 1000USD}\n";

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

/* What a model has used and holds; all that is held goes when nothing is served any more. */
static struct mt_account_used used_of(const char *model)
{
    struct mt_account_used used;

    mt_account_look(mt_ledger_account(rig.ledger), mt_env_now_wall_ms(mt_env_real()),
                    MT_STR(""), mt_str_of(model), MT_WINDOW_DAY, &used);
    return used;
}

static void expect_used(const char *model, int64_t requests_n, int64_t tokens_n)
{
    rig_until_quiet(&rig);
    const struct mt_account_used used = used_of(model);
    if (used.used[MT_LIMIT_REQUESTS] != requests_n || used.used[MT_LIMIT_TOKENS] != tokens_n ||
        used.held[MT_LIMIT_TOKENS] != 0 || used.held[MT_LIMIT_MONEY] != 0)
        fail_msg("%s: %lld requests, %lld tokens, %lld and %lld held, expected %lld and %lld",
                 model, (long long)used.used[MT_LIMIT_REQUESTS],
                 (long long)used.used[MT_LIMIT_TOKENS], (long long)used.held[MT_LIMIT_TOKENS],
                 (long long)used.held[MT_LIMIT_MONEY], (long long)requests_n,
                 (long long)tokens_n);
}

static int ask(const char *path, const char *model, bool is_stream, const char *extra,
               struct call *call)
{
    rig_chat(&rig, call, path, model, is_stream, extra, NULL);
    rig_until_over(call);
    return call->status;
}

static int ask_simply(const char *model)
{
    struct call call;
    int status = ask(openai, model, false, "\"max_tokens\":5", &call);

    call_fini(&call);
    return status;
}

/* ------------------------------------------------------------------ both bind */

static void a_model_is_bound_by_its_limit_under_every_name(void **state)
{
    (void)state;
#define OF_CHAT "{\"model\":\"only\",\"messages\":[{\"role\":\"user\",\"content\":\"a\"}]}"
    static const struct {
        const char *path, *body;
    } rows[] = {
        {"/v1/chat/completions", OF_CHAT},
        {"/v1/messages", "{\"model\":\"only\",\"max_tokens\":5,\"stream\":true,"
                         "\"messages\":[{\"role\":\"user\",\"content\":\"a\"}]}"},
        {"/v1beta/models/only:generateContent",
         "{\"contents\":[{\"parts\":[{\"text\":\"a\"}]}]}"},
        {"/api/chat", OF_CHAT},
        {"/v1/responses", "{\"model\":\"only\",\"input\":\"a\"}"},
        {"/v1/embeddings", "{\"model\":\"only\",\"input\":\"a\"}"},
    };
    struct call call;

    assert_int_equal(ask_simply("only"), 200);
    assert_int_equal(ask_simply("nested"), 200);
    for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
        rig_send(&rig, &call, "POST", rows[i].path, rows[i].body, NULL);
        rig.rows_n++;
        rig_until_over(&call);
        if (call.status != 429 || atoi(call.retry) < 1 || !call_has(&call, "model 'scarce'"))
            fail_msg("%s: %d, retry '%s': %.*s", rows[i].path, call.status, call.retry,
                     MT_STR_ARG(mt_buf_str(&call.body)));
        call_fini(&call);
    }
    assert_int_equal(ask_simply("scarce"), 429);
    assert_int_equal(rig_upstream(&rig, 'a')->asked_n, 2);
    rig_until_quiet(&rig); /* nobody was asked: the alias has nothing to count either */
    assert_int_equal(used_of("scarce").used[MT_LIMIT_REQUESTS], 2);
    assert_int_equal(used_of("only").used[MT_LIMIT_REQUESTS], 2);
    assert_int_equal(used_of("nested").used[MT_LIMIT_REQUESTS], 1);
    assert_int_equal(used_of("").used[MT_LIMIT_REQUESTS], 2);
}

static void an_alias_is_bound_by_its_own_limit_as_well(void **state)
{
    struct call call;

    (void)state;
    RIG_SCRIPT(&rig, 'b', {.what = UP_STATUS, .status = 400, .body = "{}"});
    assert_int_equal(ask_simply("tight"), 400); /* it was asked: that counts */
    assert_int_equal(ask(openai, "tight", false, NULL, &call), 429);
    assert_true(call_has(&call, "model 'tight'"));
    call_fini(&call);
    expect_used("small", 1, 0);
    expect_used("tight", 1, 0);
}

/* ------------------------------------------------------------------ elsewhere */

static void a_spent_target_is_passed_over(void **state)
{
    struct call call;
    struct mt_ledger_row row;

    (void)state;
    for (int i = 0; i < 4; i++) {
        assert_int_equal(ask(openai, "front", i % 2, NULL, &call), 200);
        rig_row(&rig, &call, &row);
        assert_true(mt_str_is(row.endpoint, i < 2 ? "a" : "b"));
        call_fini(&call);
    }
    assert_int_equal(rig_upstream(&rig, 'a')->asked_n, 2);
    assert_int_equal(rig_upstream(&rig, 'b')->asked_n, 2);
}

static void when_none_has_room_the_first_to_let_go_is_named(void **state)
{
    struct call call;

    (void)state;
    assert_int_equal(ask_simply("scarce"), 200);
    assert_int_equal(ask_simply("scarce"), 200);
    assert_int_equal(ask("/v1/messages", "poor", false, "\"max_tokens\":399", &call), 429);
    assert_true(call_has(&call, "rate_limit_error") && call_has(&call, "model 'scarce'"));
    assert_in_range(atoi(call.retry), 1, 3780); /* an hour and its step, not a day */
    call_fini(&call);
    expect_used("small", 0, 0);
    assert_int_equal(rig_upstream(&rig, 'b')->asked_n, 0);
}

static void a_money_limit_behind_an_alias_is_told_as_one(void **state)
{
    struct call call;

    (void)state;
    assert_int_equal(ask(openai, "cheap", false, "\"max_tokens\":200", &call), 402);
    assert_true(call_has(&call, "model 'dear'"));
    assert_string_equal(call.should, "false");
    call_fini(&call);
    assert_int_equal(ask_simply("cheap"), 200);
}

/* ------------------------------------------------------------------ attempts */

static void a_failed_attempt_gives_back_what_it_held(void **state)
{
    struct call call;
    struct mt_ledger_row row;

    (void)state;
    RIG_SCRIPT(&rig, 'a', {.what = UP_STATUS, .status = 500, .body = "{}"});
    assert_int_equal(ask(openai, "front", false, "\"max_tokens\":5", &call), 200);
    rig_row(&rig, &call, &row);
    assert_true(mt_str_is(row.endpoint, "b") && row.output_n > 0);
    call_fini(&call);
    expect_used("scarce", 1, 0); /* asked once, and nothing came of it */
    RIG_SCRIPT(&rig, 'a', {.what = UP_STATUS, .status = 429, .body = "{}"},
               {.what = UP_STATUS, .status = 429, .body = "{}"},
               {.what = UP_WHOLE, .words = 3});
    assert_int_equal(ask(openai, "again", false, "\"max_tokens\":5", &call), 200);
    rig_row(&rig, &call, &row);
    assert_true(mt_str_is(row.endpoint, "a"));
    expect_used("scarce", 2, row.input_n + row.output_n); /* tries of one request are one */
    call_fini(&call);
}

static void an_attempt_that_is_not_made_does_not_count(void **state)
{
    (void)state;
    RIG_SCRIPT(&rig, 'b', {.what = UP_STATUS, .status = 500, .body = "{}"});
    assert_int_equal(ask_simply("short"), 500);
    assert_int_equal(ask_simply("short"), 500);
    expect_used("small", 2, 0);
    assert_int_equal(ask_simply("short"), 503); /* the breaker is open */
    expect_used("small", 2, 0);
    expect_used("short", 2, 0);
}

static void a_stream_takes_what_is_left_behind_the_alias(void **state)
{
    struct call call;
    struct mt_ledger_row row;

    (void)state;
    RIG_SCRIPT(&rig, 'b', {.what = UP_ENDLESS});
    assert_int_equal(ask(openai, "short", true, NULL, &call), 200);
    rig_row(&rig, &call, &row);
    assert_int_equal(row.outcome, MT_OUTCOME_BUDGET_CUT);
    assert_in_range(row.input_n + row.output_n, 300, 401);
    expect_used("small", 1, row.input_n + row.output_n);
    call_fini(&call);
    assert_int_equal(ask_simply("short"), 429);
}

static void a_stream_that_moves_on_leaves_its_share(void **state)
{
    struct call call;
    struct mt_ledger_row row;

    (void)state;
    RIG_SCRIPT(&rig, 'a', {.what = UP_CUT, .words = 4});
    RIG_SCRIPT(&rig, 'b', {.what = UP_WHOLE, .words = 3});
    assert_int_equal(ask(openai, "long", true, "\"max_tokens\":50", &call), 200);
    rig_row(&rig, &call, &row);
    rig_until_quiet(&rig);
    int64_t first = used_of("scarce").used[MT_LIMIT_TOKENS];
    int64_t second = used_of("small").used[MT_LIMIT_TOKENS];
    assert_true(first > 0 && second > 0);
    assert_int_equal(first + second, row.input_n + row.output_n);
    expect_used("scarce", 1, first);
    expect_used("small", 1, second);
    call_fini(&call);
}

static void a_hedge_holds_at_both_and_spends_at_one(void **state)
{
    struct call call;
    struct mt_ledger_row row;

    (void)state;
    RIG_SCRIPT(&rig, 'a', {.what = UP_SILENT});
    RIG_SCRIPT(&rig, 'b', {.what = UP_LATER, .words = 3});
    rig_chat(&rig, &call, openai, "quick", false, "\"max_tokens\":50", NULL);
    rig_until_asked(&rig, 'b', 1);
    assert_true(used_of("scarce").held[MT_LIMIT_TOKENS] >= 50);
    assert_true(used_of("small").held[MT_LIMIT_TOKENS] >= 50);
    rig_release(&rig);
    rig_until_over(&call);
    rig_row(&rig, &call, &row);
    assert_true(mt_str_is(row.endpoint, "b"));
    expect_used("scarce", 1, 0);
    expect_used("small", 1, row.input_n + row.output_n);
    call_fini(&call);
}

/* ------------------------------------------------------------------ many at once */

static void many_at_once_never_pass_a_limit(void **state)
{
    static struct call calls[12];
    unsigned ok_n = 0;

    (void)state;
    RIG_SCRIPT(&rig, 'b', {.what = UP_LATER, .words = 3});
    for (size_t i = 0; i < MT_ARRAY_LEN(calls); i++)
        rig_chat(&rig, &calls[i], openai, i % 2 ? "short" : "small", i % 3,
                 "\"max_tokens\":100", NULL);
    rig_until_asked(&rig, 'b', 1);
    for (size_t i = 0; i < MT_ARRAY_LEN(calls); i++) {
        const struct mt_account_used used = used_of("small");
        assert_true(used.used[MT_LIMIT_TOKENS] + used.held[MT_LIMIT_TOKENS] <= 400);
        rig_release(&rig);
        rig_until_over(&calls[i]);
        ok_n += calls[i].status == 200;
        assert_true(calls[i].status == 200 || calls[i].status == 429);
        call_fini(&calls[i]);
    }
    assert_in_range(ok_n, 2, 11);
    rig_until_quiet(&rig);
    assert_int_equal(used_of("small").held[MT_LIMIT_TOKENS], 0);
    assert_int_equal(used_of("small").used[MT_LIMIT_REQUESTS], ok_n);
}

static void a_limit_behind_an_alias_is_in_the_row(void **state)
{
    struct call call;
    struct mt_ledger_row row;
    struct mt_row_part part = {0};

    (void)state;
    assert_int_equal(ask(openai, "nested", false, "\"max_tokens\":5", &call), 200);
    rig_row(&rig, &call, &row);
    struct mt_str parts = row.parts;
    assert_true(mt_str_is(row.model_served, "nested"));
    assert_true(mt_row_next_part(&parts, &part) && mt_str_is(part.model, "only"));
    assert_true(mt_row_next_part(&parts, &part) && mt_str_is(part.model, "scarce"));
    assert_int_equal(part.tokens_n, row.input_n + row.output_n);
    assert_int_equal(part.cost_usd_nano, row.cost_usd_nano);
    assert_false(mt_row_next_part(&parts, &part));
    call_fini(&call);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, up, down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_model_is_bound_by_its_limit_under_every_name),
        TEST(an_alias_is_bound_by_its_own_limit_as_well),
        TEST(a_spent_target_is_passed_over),
        TEST(when_none_has_room_the_first_to_let_go_is_named),
        TEST(a_money_limit_behind_an_alias_is_told_as_one),
        TEST(a_failed_attempt_gives_back_what_it_held),
        TEST(an_attempt_that_is_not_made_does_not_count),
        TEST(a_stream_takes_what_is_left_behind_the_alias),
        TEST(a_stream_that_moves_on_leaves_its_share),
        TEST(a_hedge_holds_at_both_and_spends_at_one),
        TEST(many_at_once_never_pass_a_limit),
        TEST(a_limit_behind_an_alias_is_in_the_row),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
