/* SPDX-License-Identifier: Apache-2.0 */
#include "support/test.h"

#include <stdio.h>
#include <string.h>

#include "route/attempt.h"
#include "route/breaker.h"
#include "route/resolve.h"

static const struct mt_str openai_models[] = {MT_STR_INIT("gpt-5"), MT_STR_INIT("gpt-*")};
static const struct mt_str shed_models[] = {MT_STR_INIT("llama3"), MT_STR_INIT("gpt-5"),
                                            MT_STR_INIT("nano:latest")};
static const struct mt_str fast_targets[] = {MT_STR_INIT("shed/llama3"), MT_STR_INIT("nano")};
static const struct mt_str twice_targets[] = {MT_STR_INIT("fast"), MT_STR_INIT("nano")};
static const struct mt_str loop_targets[] = {MT_STR_INIT("loop")};

static const struct mt_route_endpoint endpoints[] = {
    {MT_STR_INIT("openai"), openai_models, 2},
    {MT_STR_INIT("shed"), shed_models, MT_ARRAY_LEN(shed_models)},
};
static const struct mt_route_model models[] = {
    {MT_STR_INIT("nano"), true, NULL, 0},
    {MT_STR_INIT("fast"), false, fast_targets, 2},
    {MT_STR_INIT("twice"), false, twice_targets, 2},
    {MT_STR_INIT("loop"), false, loop_targets, 1},
};
static const struct mt_route_table table = {endpoints, 2, models, 4, MT_STR_INIT("nano")};

static void a_name_finds_its_targets_in_order(void **state)
{
    (void)state;
    static const struct {
        const char *name,
            *targets; /* "ENDPOINT:MODEL ..." with - for local; or an error's words */
        mt_rc rc;
    } rows[] = {
        {"nano", "-:nano", MT_OK},
        {"", "-:nano", MT_OK},
        {"nano:latest", "-:nano", MT_OK}, /* not the shed's */
        {"shed/nano:latest", "1:nano:latest", MT_OK},
        {"fast", "1:llama3 -:nano", MT_OK},
        {"twice", "1:llama3 -:nano", MT_OK}, /* each target once */
        {"openai/o9", "0:o9", MT_OK},
        {"openai/org/m:1", "0:org/m:1", MT_OK},
        {"gpt-5", "0:gpt-5 1:gpt-5", MT_OK},
        {"gpt-5-mini", "0:gpt-5-mini", MT_OK},
        {"llama3:latest", "1:llama3", MT_OK},
        {"nanoo", "did you mean 'nano'?", MT_E_NOTFOUND},
        {"zzzzzzzzzz", "is not known here", MT_E_NOTFOUND},
        {"loop", "nested deeper", MT_E_INVALID},
        {"openai/", "is not known here", MT_E_NOTFOUND},
    };
    for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
        struct mt_route_plan plan;
        struct mt_err err = {0};
        char text[256] = "";
        size_t len = 0;

        mt_rc rc = mt_route_resolve(&table, mt_str_of(rows[i].name), &plan, &err);
        mt_check_row(rows[i].name, rc == rows[i].rc);
        if (rc != MT_OK) {
            mt_check_row(rows[i].name, strstr(err.text, rows[i].targets) != NULL);
            continue;
        }
        for (size_t j = 0; j < plan.n; j++) {
            struct mt_str model = plan.targets[j].model;
            char endpoint =
                plan.targets[j].endpoint < 0 ? '-' : (char)('0' + plan.targets[j].endpoint);
            len += (size_t)snprintf(text + len, sizeof text - len, "%s%c:%.*s", j ? " " : "",
                                    endpoint, MT_STR_ARG(model));
        }
        mt_check_row(rows[i].name, strcmp(text, rows[i].targets) == 0);
    }
}

static void a_target_knows_the_models_that_led_to_it(void **state)
{
    (void)state;
    static const struct {
        const char *name, *paths; /* of each target: indices into models */
    } rows[] = {
        {"nano", "0 "},
        {"fast", "1 10 "},
        {"twice", "21 210 "},
        {"gpt-5", "  "},
    };
    for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
        struct mt_route_plan plan;
        char text[64] = "";
        size_t len = 0;

        assert_int_equal(mt_route_resolve(&table, mt_str_of(rows[i].name), &plan, NULL), MT_OK);
        for (size_t j = 0; j < plan.n; j++) {
            for (size_t k = 0; k < plan.targets[j].path.n; k++)
                text[len++] = (char)('0' + plan.targets[j].path.models[k]);
            text[len++] = ' ';
        }
        mt_check_row(rows[i].name, strcmp(text, rows[i].paths) == 0);
    }
}

static void endpoints_that_list_nothing_take_what_is_left(void **state)
{
    (void)state;
    static const struct mt_route_endpoint open[] = {{MT_STR_INIT("any"), NULL, 0}};
    static const struct mt_route_table wide = {open, 1, NULL, 0, {NULL, 0}};
    struct mt_route_plan plan;

    assert_int_equal(mt_route_resolve(&wide, MT_STR("whatever"), &plan, NULL), MT_OK);
    assert_int_equal(plan.n, 1);
    assert_int_equal(plan.model, -1);
    assert_int_equal(mt_route_resolve(&wide, MT_STR(""), &plan, NULL), MT_E_INVALID);
}

static void patterns_match_whole_names(void **state)
{
    (void)state;
    static const struct {
        const char *pattern, *name;
        bool matches;
    } rows[] = {
        {"gpt-*", "gpt-5", true}, {"gpt-*", "gpt", false},    {"*", "", true},
        {"*", "x", true},         {"a*b*c", "a1b2c", true},   {"a*b*c", "abc", true},
        {"a*b*c", "acb", false},  {"*-mini", "x-mini", true}, {"*-mini", "x-mini2", false},
        {"gpt-5", "gpt-5", true}, {"gpt-5", "gpt-55", false}, {"a**", "a", true},
    };
    for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++)
        mt_check_row(rows[i].pattern,
                     mt_route_matches(mt_str_of(rows[i].pattern), mt_str_of(rows[i].name)) ==
                         rows[i].matches);
}

static void breaker_opens_probes_and_closes(void **state)
{
    (void)state;
    static const struct mt_breaker_policy policy = {.failures_max = 3, .open_ms = 1000};
    struct mt_breaker b = {0};

    mt_breaker_failure(&b, &policy, 0, -1);
    mt_breaker_failure(&b, &policy, 0, -1);
    assert_true(mt_breaker_pass(&b, &policy, 0));
    mt_breaker_failure(&b, &policy, 10, -1);
    assert_int_equal(b.state, MT_BREAKER_OPEN);
    assert_false(mt_breaker_pass(&b, &policy, 1009));
    assert_int_equal(mt_breaker_wait_ms(&b, 510), 500);
    assert_true(mt_breaker_pass(&b, &policy, 1010));  /* the probe */
    assert_false(mt_breaker_pass(&b, &policy, 1011)); /* only one */
    mt_breaker_failure(&b, &policy, 1020, -1);
    assert_false(mt_breaker_pass(&b, &policy, 2019));
    assert_true(mt_breaker_pass(&b, &policy, 2020));
    mt_breaker_forget(&b); /* that client left: somebody else may probe */
    assert_true(mt_breaker_pass(&b, &policy, 2021));
    mt_breaker_success(&b);
    assert_true(mt_breaker_pass(&b, &policy, 2022));
    mt_breaker_failure(&b, &policy, 3000, 30000); /* the endpoint said how long */
    assert_false(mt_breaker_pass(&b, &policy, 32999));
    assert_true(mt_breaker_pass(&b, &policy, 33000));
}

static void breaker_states_have_names(void **state)
{
    (void)state;
    assert_string_equal(mt_breaker_name(MT_BREAKER_CLOSED), "closed");
    assert_string_equal(mt_breaker_name(MT_BREAKER_OPEN), "open");
    assert_string_equal(mt_breaker_name(MT_BREAKER_HALF_OPEN), "half_open");
}

static void attempts_follow_the_rules(void **state)
{
    (void)state;
    static const struct mt_attempt_policy policy = {
        .retries = 2, .base_ms = 100, .cap_ms = 10000, .total_timeout_ms = 60000};
    static const struct {
        const char *name;
        struct mt_attempt_failure failure;
        size_t targets_n;
        unsigned tries_n;
        int64_t now_ms;
        enum mt_attempt_act act;
        size_t target;
        int64_t after_ms;
    } rows[] = {
        {"transient is retried",
         {MT_FAILED_TRANSIENT, -1, false},
         2,
         1,
         0,
         MT_ATTEMPT_TRY,
         0,
         100},
        {"backoff doubles", {MT_FAILED_TRANSIENT, -1, false}, 2, 2, 0, MT_ATTEMPT_TRY, 0, 200},
        {"then the next target",
         {MT_FAILED_TRANSIENT, -1, false},
         2,
         3,
         0,
         MT_ATTEMPT_TRY,
         1,
         0},
        {"none left", {MT_FAILED_TRANSIENT, -1, false}, 1, 3, 0, MT_ATTEMPT_GIVE_UP, 0, 0},
        {"short retry-after",
         {MT_FAILED_TRANSIENT, 500, false},
         2,
         1,
         0,
         MT_ATTEMPT_TRY,
         0,
         525},
        {"long one: other target",
         {MT_FAILED_TRANSIENT, 5000, false},
         2,
         1,
         0,
         MT_ATTEMPT_TRY,
         1,
         0},
        {"long one, alone: wait",
         {MT_FAILED_TRANSIENT, 5000, false},
         1,
         1,
         0,
         MT_ATTEMPT_TRY,
         0,
         5025},
        {"too long, alone",
         {MT_FAILED_TRANSIENT, 50000, false},
         1,
         1,
         0,
         MT_ATTEMPT_GIVE_UP,
         0,
         0},
        {"target's own", {MT_FAILED_TARGET, -1, false}, 2, 1, 0, MT_ATTEMPT_TRY, 1, 0},
        {"caller's own", {MT_FAILED_REQUEST, -1, false}, 2, 1, 0, MT_ATTEMPT_GIVE_UP, 0, 0},
        {"after the deadline",
         {MT_FAILED_TRANSIENT, -1, false},
         2,
         1,
         60000,
         MT_ATTEMPT_GIVE_UP,
         0,
         0},
        {"mid-stream", {MT_FAILED_TRANSIENT, -1, true}, 2, 1, 0, MT_ATTEMPT_GIVE_UP, 0, 0},
    };
    for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
        struct mt_attempt attempt;

        mt_attempt_init(&attempt, rows[i].targets_n, 0);
        attempt.tries_n = rows[i].tries_n;
        struct mt_attempt_next next =
            mt_attempt_failed(&attempt, &policy, &rows[i].failure, rows[i].now_ms,
                              (uint64_t)(100 << (rows[i].tries_n - 1)));
        mt_check_row(rows[i].name, next.act == rows[i].act);
        mt_check_row(rows[i].name, next.target == rows[i].target);
        mt_check_row(rows[i].name, next.after_ms == rows[i].after_ms);
    }
}

static void a_stream_continues_only_when_allowed(void **state)
{
    (void)state;
    static const struct mt_attempt_policy policy = {.can_continue = true};
    static const struct mt_attempt_failure failure = {MT_FAILED_TRANSIENT, -1, true};
    struct mt_attempt attempt;

    mt_attempt_init(&attempt, 2, 0);
    struct mt_attempt_next next = mt_attempt_failed(&attempt, &policy, &failure, 0, 0);
    assert_int_equal(next.act, MT_ATTEMPT_CONTINUE);
    assert_int_equal(next.target, 1);
    assert_int_equal(mt_attempt_failed(&attempt, &policy, &failure, 0, 0).act,
                     MT_ATTEMPT_GIVE_UP);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_name_finds_its_targets_in_order),
        cmocka_unit_test(a_target_knows_the_models_that_led_to_it),
        cmocka_unit_test(endpoints_that_list_nothing_take_what_is_left),
        cmocka_unit_test(patterns_match_whole_names),
        cmocka_unit_test(breaker_opens_probes_and_closes),
        cmocka_unit_test(breaker_states_have_names),
        cmocka_unit_test(attempts_follow_the_rules),
        cmocka_unit_test(a_stream_continues_only_when_allowed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
