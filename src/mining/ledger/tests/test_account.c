/* SPDX-License-Identifier: Apache-2.0 */
#include "support/test.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "ledger/account.h"
#include "ledger/price.h"
#include "meter_priv.h"
#include "system/env.h"

enum { T0_HOUR = 3600000 };
static const int64_t t0 = 1767225600000; /* 2026-01-01T00:00:00Z */

static void cost_is_exact_and_rounded_up_once(void **state)
{
    (void)state;
    static const struct {
        const char *row;
        struct mt_ledger_price price;
        struct mt_ledger_tokens tokens;
        int64_t want;
    } rows[] = {
        {"free", {0}, {1000, 1000, 0, 0, 0}, 0},
        {"one token of a cheap model", {50000, 0, 0, 0, 0}, {1, 0, 0, 0, 0}, 50},
        {"2.50 in, 10 out", {2500000, 10000000, 0, 0, 0}, {1000, 500, 0, 0, 100}, 7500000},
        {"a million of each",
         {2500000, 10000000, 0, 0, 0},
         {1000000, 1000000, 0, 0, 0},
         12500000000},
        {"rounded up", {1, 1, 0, 0, 0}, {1, 1, 0, 0, 0}, 1},
        {"cached at its own price", {1000, 0, 100, 0, 0}, {10, 0, 4, 0, 0}, 7},
        {"cached as input", {1000, 0, 0, 0, 0}, {10, 0, 4, 0, 0}, 10},
        {"written at its own price", {1000, 0, 100, 1250, 0}, {10, 0, 4, 4, 0}, 8},
        {"parts over the whole", {1000, 0, 100, 2000, 0}, {10, 0, 99, 99, 0}, 1},
        {"per request", {0, 0, 0, 0, 5}, {0, 0, 0, 0, 0}, 5000},
        {"negative counts", {1000, 1000, 0, 0, 0}, {-1, -1, -1, -1, -1}, 0},
        {"saturates",
         {INT64_MAX, INT64_MAX, INT64_MAX, INT64_MAX, INT64_MAX},
         {INT64_MAX, INT64_MAX, INT64_MAX / 8, INT64_MAX / 8, 0},
         INT64_MAX},
    };

    for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++)
        mt_check_row(rows[i].row,
                     mt_ledger_cost(&rows[i].price, &rows[i].tokens) == rows[i].want);
}

static void months_are_those_of_the_calendar(void **state)
{
    (void)state;
    static const int64_t starts[] = {1704067200000, 1706745600000, 1709251200000, /* 2024 */
                                     1735689600000, 1738368000000, 1740787200000,
                                     4107542400000}; /* 2100-03-01 */

    for (size_t i = 0; i < MT_ARRAY_LEN(starts); i++) {
        int64_t month = mt_meter__month_of(starts[i]);
        assert_true(mt_meter__month_start_ms(month) == starts[i]);
        assert_true(mt_meter__month_of(starts[i] - 1) == month - 1);
    }
}

#define ASK(k, m, tokens, cost) \
    (&(struct mt_account_ask){MT_STR(k), MT_STR(m), (tokens), (cost)})
#define LIMIT(k, m, what, per, most)                                             \
    {                                                                            \
        MT_STR_INIT(k), MT_STR_INIT(m), MT_LIMIT_##what, MT_WINDOW_##per, (most) \
    }

static struct mt_account *account_of(const struct mt_limit *limits, size_t n)
{
    struct mt_account *account = NULL;
    struct mt_err err = {0};

    if (mt_account_new(limits, n, &account, &err) != MT_OK)
        fail_msg("%s", err.text);
    return account;
}

static void each_limit_fires_with_its_name_and_time(void **state)
{
    (void)state;
    static const struct {
        const char *row;
        struct mt_limit limit;
        int64_t first_tokens_n, first_cost, then_tokens_n, then_cost;
        mt_rc rc;
        int64_t retry_after_ms;
    } rows[] = {
        {"requests per second", LIMIT("a", "", REQUESTS, SECOND, 1), 1, 1, 1, 1,
         MT_E_RATE_LIMITED, 1050},
        {"tokens per minute", LIMIT("a", "", TOKENS, MINUTE, 100), 60, 0, 50, 0,
         MT_E_RATE_LIMITED, 63000},
        {"tokens, never", LIMIT("a", "", TOKENS, MINUTE, 100), 60, 0, 101, 0, MT_E_RATE_LIMITED,
         -1},
        {"tokens fit", LIMIT("a", "", TOKENS, MINUTE, 100), 60, 0, 40, 0, MT_OK, 0},
        {"money per day", LIMIT("", "", MONEY, DAY, 100), 0, 60, 0, 41, MT_E_BUDGET, 86400000},
        {"money per month", LIMIT("", "m", MONEY, MONTH, 100), 0, 60, 0, 41, MT_E_BUDGET,
         31LL * 86400000},
        {"money in total", LIMIT("a", "m", MONEY, TOTAL, 100), 0, 60, 0, 41, MT_E_BUDGET, -1},
        {"each key", LIMIT("*", "", MONEY, HOUR, 100), 0, 60, 0, 41, MT_E_BUDGET, 3780000},
        {"another key", LIMIT("b", "", MONEY, HOUR, 100), 0, 60, 0, 41, MT_OK, 0},
        {"nothing allowed", LIMIT("*", "*", REQUESTS, TOTAL, 1), 0, 0, 0, 0, MT_E_RATE_LIMITED,
         -1},
    };

    for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
        struct mt_account *account = account_of(&rows[i].limit, 1);
        struct mt_account_hold hold = {0};
        struct mt_limit_hit hit = {0};
        struct mt_err err = {0};

        mt_check_row(rows[i].row,
                     mt_account_reserve(
                         account, t0, ASK("a", "m", rows[i].first_tokens_n, rows[i].first_cost),
                         &hold, NULL, NULL) == MT_OK);
        mt_account_settle(account, t0, &hold, rows[i].first_tokens_n, rows[i].first_cost);
        mt_rc rc = mt_account_reserve(account, t0,
                                      ASK("a", "m", rows[i].then_tokens_n, rows[i].then_cost),
                                      &hold, &hit, &err);
        mt_check_row(rows[i].row, rc == rows[i].rc);
        if (rc != MT_OK) {
            mt_check_row(rows[i].row, hit.retry_after_ms == rows[i].retry_after_ms);
            mt_check_row(rows[i].row, hit.kind == rows[i].limit.kind);
            mt_check_row(rows[i].row, hit.window == rows[i].limit.window);
            mt_check_row(rows[i].row, hold.subjects_[0] == NULL);
        }
        if (rc != MT_OK && hit.retry_after_ms > 0) { /* and the time it names is enough */
            rc = mt_account_reserve(account, t0 + hit.retry_after_ms,
                                    ASK("a", "m", rows[i].then_tokens_n, rows[i].then_cost),
                                    &hold, NULL, NULL);
            mt_check_row(rows[i].row, rc == MT_OK);
        }
        if (rc == MT_OK)
            mt_account_release(account, t0, &hold);
        mt_account_free(account);
    }
    assert_int_equal(mt_alloc_live, 0);
}

static void a_refusal_says_who_and_how_much(void **state)
{
    (void)state;
    static const struct mt_limit limits[] = {LIMIT("team", "m", MONEY, DAY, 2500000000)};
    struct mt_account *account = account_of(limits, 1);
    struct mt_account_hold hold = {0}, none = {0};
    struct mt_err err = {0};

    assert_int_equal(
        mt_account_reserve(account, t0, ASK("team", "m", 0, 2000000000), &hold, NULL, &err),
        MT_OK);
    assert_int_equal(
        mt_account_reserve(account, t0, ASK("team", "m", 0, 600000000), &none, NULL, &err),
        MT_E_BUDGET);
    assert_string_equal(err.text, "key 'team', model 'm': limit of 2.5 USD per day, 0 used, 2 "
                                  "reserved, 0.6 asked");
    mt_account_release(account, t0, &hold);
    mt_account_free(account);
}

static void a_named_limit_stands_before_each(void **state)
{
    (void)state;
    static const struct mt_limit limits[] = {LIMIT("big", "", TOKENS, DAY, 1000),
                                             LIMIT("*", "", TOKENS, DAY, 10)};
    struct mt_account *account = account_of(limits, 2);
    struct mt_account_hold hold = {0};

    assert_int_equal(
        mt_account_reserve(account, t0, ASK("big", "m", 500, 0), &hold, NULL, NULL), MT_OK);
    mt_account_release(account, t0, &hold);
    assert_int_equal(
        mt_account_reserve(account, t0, ASK("small", "m", 11, 0), &hold, NULL, NULL),
        MT_E_RATE_LIMITED);
    assert_int_equal(mt_account_reserve(account, t0, ASK("", "m", 11, 0), &hold, NULL, NULL),
                     MT_OK); /* no key: '*' is each key */
    mt_account_release(account, t0, &hold);
    mt_account_free(account);
}

static void a_stream_is_cut_when_its_budget_is_spent(void **state)
{
    (void)state;
    static const struct mt_limit limits[] = {LIMIT("a", "", MONEY, DAY, 100)};
    struct mt_account *account = account_of(limits, 1);
    struct mt_account_hold hold = {0}, other = {0};
    struct mt_account_used used;

    assert_int_equal(mt_account_reserve(account, t0, ASK("a", "m", 10, 50), &hold, NULL, NULL),
                     MT_OK);
    assert_int_equal(mt_account_extend(account, t0, &hold, 10, 50, NULL, NULL), MT_OK);
    assert_int_equal(mt_account_extend(account, t0, &hold, 1, 1, NULL, NULL), MT_E_BUDGET);
    assert_true(hold.cost_usd_nano == 100 && hold.tokens_n == 20);
    assert_int_equal(mt_account_reserve(account, t0, ASK("a", "m", 0, 1), &other, NULL, NULL),
                     MT_E_BUDGET);
    mt_account_settle(account, t0, &hold, 15, 70); /* what was not used comes back */
    mt_account_look(account, t0, MT_STR("a"), MT_STR(""), MT_WINDOW_DAY, &used);
    assert_true(used.used[MT_LIMIT_MONEY] == 70 && used.held[MT_LIMIT_MONEY] == 0);
    assert_true(used.used[MT_LIMIT_TOKENS] == 15 && used.used[MT_LIMIT_REQUESTS] == 1);
    assert_int_equal(mt_account_reserve(account, t0, ASK("a", "m", 0, 30), &other, NULL, NULL),
                     MT_OK);
    mt_account_settle(account, t0, &other, 0,
                      500); /* more than reserved: booked all the same */
    mt_account_settle(account, t0, &other, 0, 500); /* twice is once */
    mt_account_look(account, t0, MT_STR("a"), MT_STR(""), MT_WINDOW_TOTAL, &used);
    assert_true(used.used[MT_LIMIT_MONEY] == 570);
    mt_account_free(account);
}

/* An alias is reserved for; the models behind it have limits of their own. */
static void a_request_joins_the_models_behind_an_alias(void **state)
{
    (void)state;
    static const struct mt_limit limits[] = {
        LIMIT("", "deep", TOKENS, DAY, 100), LIMIT("", "deep", REQUESTS, DAY, 2),
        LIMIT("a", "deeper", MONEY, DAY, 60), LIMIT("", "alias", TOKENS, DAY, 1000)};
    static const struct mt_str chain[] = {MT_STR_INIT("deep"), MT_STR_INIT("deeper")};
    struct mt_account *account = account_of(limits, MT_ARRAY_LEN(limits));
    struct mt_account_hold hold = {0}, other = {0};
    struct mt_account_part part = {0}, second = {0};
    struct mt_account_join join = {MT_STR("a"), chain, 2, 90, 50};
    struct mt_account_used used;
    struct mt_limit_hit hit = {0};

    assert_int_equal(
        mt_account_reserve(account, t0, ASK("a", "alias", 200, 50), &hold, NULL, NULL), MT_OK);
    join.tokens_n = 101;
    assert_int_equal(mt_account_join(account, t0, &hold, &part, &join, &hit, NULL),
                     MT_E_RATE_LIMITED);
    assert_true(mt_str_is(hit.model, "deep") && hit.max == 100 && hold.tokens_n == 200);
    join.tokens_n = 90; /* the whole comes down to what there is room for */
    assert_int_equal(mt_account_join(account, t0, &hold, &part, &join, NULL, NULL), MT_OK);
    assert_int_equal(hold.tokens_n, 90);
    mt_account_look(account, t0, MT_STR(""), MT_STR("alias"), MT_WINDOW_DAY, &used);
    assert_int_equal(used.held[MT_LIMIT_TOKENS], 90);

    /* another request finds what is left, by name of what binds it */
    assert_int_equal(
        mt_account_reserve(account, t0, ASK("a", "alias", 10, 20), &other, NULL, NULL), MT_OK);
    struct mt_account_join more = {MT_STR("a"), chain, 2, 10, 20};
    assert_int_equal(mt_account_join(account, t0, &other, &second, &more, &hit, NULL),
                     MT_E_BUDGET);
    assert_true(mt_str_is(hit.key, "a") && mt_str_is(hit.model, "deeper"));
    mt_account_release(account, t0, &other);

    /* all grow together or none does */
    assert_int_equal(mt_account_extend(account, t0, &hold, 11, 0, NULL, NULL),
                     MT_E_RATE_LIMITED);
    assert_int_equal(mt_account_extend(account, t0, &hold, 10, 10, NULL, NULL), MT_OK);
    assert_int_equal(mt_account_extend(account, t0, &hold, 0, 1, NULL, NULL), MT_E_BUDGET);

    /* an attempt that failed spent nothing, and its request counts once when it comes back */
    mt_account_leave(account, t0, &hold, &part, 0, 0);
    mt_account_look(account, t0, MT_STR(""), chain[0], MT_WINDOW_DAY, &used);
    assert_true(used.held[MT_LIMIT_TOKENS] == 0 && used.used[MT_LIMIT_REQUESTS] == 1);
    join = (struct mt_account_join){MT_STR("a"), chain, 2, hold.tokens_n, hold.cost_usd_nano};
    assert_int_equal(mt_account_join(account, t0, &hold, &part, &join, NULL, NULL), MT_OK);
    mt_account_unjoin(account, t0, &hold, &part); /* not asked this time: still counted */
    mt_account_look(account, t0, MT_STR(""), chain[0], MT_WINDOW_DAY, &used);
    assert_true(used.held[MT_LIMIT_TOKENS] == 0 && used.used[MT_LIMIT_REQUESTS] == 1);
    assert_int_equal(mt_account_join(account, t0, &hold, &part, &join, NULL, NULL), MT_OK);
    mt_account_leave(account, t0, &hold, &part, 70, 40);
    mt_account_leave(account, t0, &hold, &part, 70, 40); /* twice is once */
    mt_account_settle(account, t0, &hold, 80, 45);
    mt_account_look(account, t0, MT_STR("a"), chain[1], MT_WINDOW_DAY, &used);
    assert_true(used.used[MT_LIMIT_MONEY] == 40 && used.held[MT_LIMIT_MONEY] == 0);
    mt_account_look(account, t0, MT_STR("a"), MT_STR(""), MT_WINDOW_DAY, &used);
    assert_true(used.used[MT_LIMIT_MONEY] == 45 && used.used[MT_LIMIT_TOKENS] == 80 &&
                used.used[MT_LIMIT_REQUESTS] == 1);

    /* one that never was asked is not counted at all */
    assert_int_equal(
        mt_account_reserve(account, t0, ASK("a", "alias", 1, 1), &other, NULL, NULL), MT_OK);
    more = (struct mt_account_join){MT_STR("a"), chain, 2, 1, 1};
    assert_int_equal(mt_account_join(account, t0, &other, &second, &more, NULL, NULL), MT_OK);
    mt_account_unjoin(account, t0, &other, &second);
    mt_account_look(account, t0, MT_STR(""), chain[0], MT_WINDOW_DAY, &used);
    assert_true(used.used[MT_LIMIT_REQUESTS] == 1 && used.held[MT_LIMIT_TOKENS] == 0);
    mt_account_release(account, t0, &other);
    mt_account_free(account);
}

static void a_reload_keeps_what_was_counted(void **state)
{
    (void)state;
    static const struct mt_limit one[] = {LIMIT("a", "", TOKENS, MINUTE, 100)};
    static const struct mt_limit two[] = {LIMIT("a", "", TOKENS, MINUTE, 70),
                                          LIMIT("a", "", TOKENS, DAY, 1000)};
    static const struct mt_limit bad[] = {LIMIT("a", "", TOKENS, MINUTE, -1)};
    struct mt_account *account = account_of(one, 1);
    struct mt_account_hold hold = {0}, open = {0};
    struct mt_limit_hit hit = {0};

    assert_int_equal(mt_account_reserve(account, t0, ASK("a", "m", 50, 0), &hold, NULL, NULL),
                     MT_OK);
    mt_account_settle(account, t0, &hold, 50, 0);
    assert_int_equal(mt_account_reserve(account, t0, ASK("a", "m", 10, 0), &open, NULL, NULL),
                     MT_OK);
    assert_int_equal(mt_account_set_limits(account, bad, 1, NULL), MT_E_INVALID);
    for (long nth = 0; nth < 1; nth++) {
        mt_alloc_fail_after = nth;
        assert_int_equal(mt_account_set_limits(account, two, 2, NULL), MT_E_NOMEM);
        mt_alloc_fail_after = -1;
    }
    assert_int_equal(mt_account_set_limits(account, two, 2, NULL), MT_OK);
    assert_int_equal(mt_account_reserve(account, t0, ASK("a", "m", 11, 0), &hold, &hit, NULL),
                     MT_E_RATE_LIMITED);
    assert_true(hit.max == 70 && hit.used == 50 && hit.held == 10);
    assert_int_equal(mt_account_set_limits(account, NULL, 0, NULL), MT_OK);
    assert_int_equal(mt_account_reserve(account, t0, ASK("a", "m", 999, 0), &hold, &hit, NULL),
                     MT_OK);
    mt_account_release(account, t0, &hold);
    mt_account_release(account, t0, &open);
    mt_account_free(account);
}

static void a_clock_set_back_opens_no_window_twice(void **state)
{
    (void)state;
    static const struct mt_limit limits[] = {LIMIT("", "", REQUESTS, DAY, 1)};
    struct mt_account *account = account_of(limits, 1);
    struct mt_account_hold hold = {0};

    assert_int_equal(mt_account_reserve(account, t0, ASK("a", "m", 0, 0), &hold, NULL, NULL),
                     MT_OK);
    mt_account_settle(account, t0 - 86400000, &hold, 0, 0);
    assert_int_equal(
        mt_account_reserve(account, t0 - 86400000, ASK("a", "m", 0, 0), &hold, NULL, NULL),
        MT_E_RATE_LIMITED);
    mt_account_free(account);
}

static void the_past_is_restored(void **state)
{
    (void)state;
    static const struct mt_limit limits[] = {LIMIT("a", "", MONEY, DAY, 100),
                                             LIMIT("a", "", TOKENS, HOUR, 100)};
    struct mt_account *account = account_of(limits, 2);
    struct mt_account_used used;
    const int64_t now = t0 + 40 * 86400000LL + 5 * T0_HOUR; /* 10 February */

    for (int64_t ago = 3; ago >= 0; ago--) /* one of them within the hour and its slack */
        assert_int_equal(mt_account_restore(account, MT_RESTORE_SHORT, MT_RESTORE_HOLD, now,
                                            now - ago * T0_HOUR - 60000, 1,
                                            ASK("a", "m", 30, 7), NULL),
                         MT_OK);
    for (int64_t days = 0; days < 41; days++)
        assert_int_equal(mt_account_restore(account, MT_RESTORE_LONG, MT_RESTORE_HOLD, now,
                                            t0 + days * 86400000, 2, ASK("a", "m", 10, 1),
                                            NULL),
                         MT_OK);
    mt_account_look(account, now, MT_STR("a"), MT_STR(""), MT_WINDOW_HOUR, &used);
    assert_true(used.used[MT_LIMIT_TOKENS] == 30);
    mt_account_look(account, now, MT_STR("a"), MT_STR(""), MT_WINDOW_DAY, &used);
    assert_true(used.used[MT_LIMIT_MONEY] == 1 && used.used[MT_LIMIT_REQUESTS] == 2);
    mt_account_look(account, now, MT_STR("a"), MT_STR(""), MT_WINDOW_MONTH, &used);
    assert_true(used.used[MT_LIMIT_MONEY] == 10);
    mt_account_look(account, now, MT_STR(""), MT_STR(""), MT_WINDOW_TOTAL, &used);
    assert_true(used.used[MT_LIMIT_MONEY] == 41 && used.used[MT_LIMIT_TOKENS] == 410);
    mt_account_free(account);
}

/* The model that the property test compares with: every booking and every open hold, in full.
 */
enum { EVENTS = 4000, OPEN_MAX = 12, KEYS = 3, MODELS = 2 };

struct event {
    int key, model;
    int64_t at_ms, amounts[MT_LIMIT_KINDS];
};

struct history {
    struct event booked[2 * EVENTS];
    size_t booked_n;
    struct event open[OPEN_MAX];
    struct mt_account_hold holds[OPEN_MAX];
    size_t open_n;
};

static const int64_t spans_ms[] = {1000, 60000, 3600000};

static bool in_window(int64_t at_ms, int64_t now_ms, enum mt_limit_window window)
{
    if (window < MT_WINDOW_DAY)
        return at_ms > now_ms - spans_ms[window];
    if (window == MT_WINDOW_DAY)
        return at_ms / 86400000 == now_ms / 86400000;
    return window == MT_WINDOW_TOTAL || mt_meter__month_of(at_ms) == mt_meter__month_of(now_ms);
}

/* -1 stands for any key or model. */
static int64_t true_sum(const struct history *h, int key, int model, enum mt_limit_kind kind,
                        enum mt_limit_window window, int64_t now_ms, bool with_open)
{
    int64_t sum = 0;

    for (size_t i = 0; i < h->booked_n; i++) {
        const struct event *e = &h->booked[i];
        if ((key < 0 || key == e->key) && (model < 0 || model == e->model) &&
            in_window(e->at_ms, now_ms, window))
            sum += e->amounts[kind];
    }
    for (size_t i = 0; i < h->open_n && with_open && kind != MT_LIMIT_REQUESTS; i++) {
        const struct event *e = &h->open[i];
        if ((key < 0 || key == e->key) && (model < 0 || model == e->model))
            sum += e->amounts[kind];
    }
    return sum;
}

static const char *const key_names[KEYS] = {"", "a", "b"};
static const char *const model_names[MODELS] = {"m", "n"};

static const struct mt_limit property_limits[] = {
    LIMIT("", "", REQUESTS, SECOND, 12), LIMIT("*", "", TOKENS, MINUTE, 3000),
    LIMIT("a", "", MONEY, HOUR, 60000),  LIMIT("", "m", MONEY, DAY, 90000),
    LIMIT("b", "n", TOKENS, DAY, 20000), LIMIT("*", "*", MONEY, MONTH, 400000),
};

static int index_of(struct mt_str name, const char *const names[], int n)
{
    for (int i = 0; i < n; i++) {
        if (mt_str_is(name, names[i]))
            return i;
    }
    return -1;
}

/* Whom a limit's name means for an event: -1 all together, else an index. */
static int who(struct mt_str name, int own, const char *const names[], int n)
{
    if (name.len == 0)
        return -1;
    return mt_str_is(name, "*") ? own : index_of(name, names, n);
}

/* After a grant: booked and held together pass no limit, counted the hard way. */
static void check_limits(const struct history *h, const struct event *e, int64_t now_ms)
{
    for (size_t i = 0; i < MT_ARRAY_LEN(property_limits); i++) {
        const struct mt_limit *l = &property_limits[i];
        int key = who(l->key, e->key, key_names, KEYS);
        int model = who(l->model, e->model, model_names, MODELS);
        if ((l->key.len > 0 && (key != e->key || key == 0)) ||
            (l->model.len > 0 && model != e->model))
            continue;
        if (e->amounts[l->kind] > 0)
            assert_true(true_sum(h, key, model, l->kind, l->window, now_ms, true) <= l->max);
    }
}

static void check_books(struct mt_account *account, const struct history *h, int64_t now_ms)
{
    for (int key = 0; key < KEYS; key++) {
        struct mt_account_used used;
        for (int w = MT_WINDOW_DAY; w <= MT_WINDOW_TOTAL; w++) {
            mt_account_look(account, now_ms, mt_str_of(key_names[key]), MT_STR(""),
                            (enum mt_limit_window)w, &used);
            for (int k = 0; k < MT_LIMIT_KINDS; k++) {
                int whose = key == 0 ? -1 : key; /* "" is the node */
                int64_t booked = true_sum(h, whose, -1, (enum mt_limit_kind)k,
                                          (enum mt_limit_window)w, now_ms, false);
                int64_t all = true_sum(h, whose, -1, (enum mt_limit_kind)k,
                                       (enum mt_limit_window)w, now_ms, true);
                assert_true(used.used[k] == booked);
                assert_true(used.held[k] == all - booked);
            }
        }
    }
}

static void try_reserve(struct mt_account *account, struct mt_env_sim *sim, struct history *h)
{
    struct event e = {
        (int)mt_env_sim_below(sim, KEYS),
        (int)mt_env_sim_below(sim, MODELS),
        sim->wall_ms,
        {1, (int64_t)mt_env_sim_below(sim, 900), (int64_t)mt_env_sim_below(sim, 9000)}};
    struct mt_account_ask ask = {mt_str_of(key_names[e.key]), mt_str_of(model_names[e.model]),
                                 e.amounts[1], e.amounts[2]};
    struct mt_limit_hit hit = {.max = -1};
    mt_rc rc =
        mt_account_reserve(account, sim->wall_ms, &ask, &h->holds[h->open_n], &hit, NULL);

    if (rc != MT_OK) {
        assert_true(hit.used + hit.held + hit.asked > hit.max);
        return;
    }
    h->booked[h->booked_n++] = (struct event){e.key, e.model, e.at_ms, {1, 0, 0}};
    h->open[h->open_n++] = e;
    check_limits(h, &e, sim->wall_ms);
}

static void end_one(struct mt_account *account, struct mt_env_sim *sim, struct history *h)
{
    size_t i = mt_env_sim_below(sim, h->open_n);
    struct event e = h->open[i];

    if (mt_env_sim_below(sim, 4) == 0) {
        mt_account_release(account, sim->wall_ms, &h->holds[i]);
        for (size_t b = h->booked_n; b-- > 0;) { /* its request was never there */
            struct event *r = &h->booked[b];
            if (r->amounts[0] == 1 && r->at_ms == e.at_ms && r->key == e.key &&
                r->model == e.model) {
                *r = h->booked[--h->booked_n];
                break;
            }
        }
    } else {
        e.at_ms = sim->wall_ms;
        e.amounts[0] = 0;
        e.amounts[1] = (int64_t)mt_env_sim_below(sim, (uint64_t)e.amounts[1] + 1);
        e.amounts[2] = (int64_t)mt_env_sim_below(sim, (uint64_t)e.amounts[2] + 1);
        mt_account_settle(account, sim->wall_ms, &h->holds[i], e.amounts[1], e.amounts[2]);
        h->booked[h->booked_n++] = e;
    }
    h->open_n--;
    h->open[i] = h->open[h->open_n];
    h->holds[i] = h->holds[h->open_n];
}

static void no_history_passes_a_limit_or_loses_a_coin(void **state)
{
    (void)state;
    static struct history h;

    for (uint64_t seed = 1; seed <= 4; seed++) {
        struct mt_env_sim sim;
        struct mt_account *account = account_of(property_limits, MT_ARRAY_LEN(property_limits));
        memset(&h, 0, sizeof h);
        mt_env_sim_init(&sim, seed);
        for (int i = 0; i < EVENTS / 4; i++) {
            static const uint64_t steps_ms[] = {1, 20, 20, 400, 7000, 200000, 9000000};
            mt_env_sim_advance_ms(
                &sim, (int64_t)mt_env_sim_below(&sim, steps_ms[mt_env_sim_below(&sim, 7)]));
            if (h.open_n == OPEN_MAX || (h.open_n > 0 && mt_env_sim_below(&sim, 2) == 0))
                end_one(account, &sim, &h);
            else
                try_reserve(account, &sim, &h);
            if (i % 16 == 0)
                check_books(account, &h, sim.wall_ms);
        }
        while (h.open_n > 0)
            end_one(account, &sim, &h);
        check_books(account, &h, sim.wall_ms);
        mt_account_free(account);
    }
    assert_int_equal(mt_alloc_live, 0);
}

static void *spend(void *arg)
{
    for (int i = 0; i < 2000; i++) {
        struct mt_account_hold hold = {0};
        if (mt_account_reserve(arg, t0, ASK("a", "m", 2, 2), &hold, NULL, NULL) == MT_OK)
            mt_account_settle(arg, t0, &hold, 1, 1);
    }
    return NULL;
}

static void threads_share_one_budget(void **state)
{
    (void)state;
    static const struct mt_limit limits[] = {LIMIT("a", "", MONEY, DAY, 3000)};
    struct mt_account *account = account_of(limits, 1);
    struct mt_account_used used;
    pthread_t threads[3];
    struct mt_account_hold hold = {
        0}; /* subjects made here: allocations are counted per thread */

    assert_int_equal(mt_account_reserve(account, t0, ASK("a", "m", 0, 0), &hold, NULL, NULL),
                     MT_OK);
    mt_account_release(account, t0, &hold);
    for (size_t i = 0; i < MT_ARRAY_LEN(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, spend, account), 0);
    for (size_t i = 0; i < MT_ARRAY_LEN(threads); i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    mt_account_look(account, t0, MT_STR("a"), MT_STR(""), MT_WINDOW_DAY, &used);
    assert_true(used.used[MT_LIMIT_MONEY] >= 2999 - 3 && used.used[MT_LIMIT_MONEY] <= 3000);
    assert_true(used.held[MT_LIMIT_MONEY] == 0);
    mt_account_free(account);
}

static void account_survives_any_failed_allocation(void **state)
{
    (void)state;
    static const struct mt_limit limits[] = {LIMIT("a", "m", TOKENS, MINUTE, 100)};

    for (long nth = 0;; nth++) {
        struct mt_account *account = NULL;
        struct mt_account_hold hold = {0};

        mt_alloc_fail_after = nth;
        mt_rc rc = mt_account_new(limits, 1, &account, NULL);
        if (rc == MT_OK)
            rc = mt_account_reserve(account, t0, ASK("a", "m", 1, 1), &hold, NULL, NULL);
        mt_alloc_fail_after = -1;
        if (rc == MT_OK)
            mt_account_settle(account, t0, &hold, 1, 1);
        mt_account_free(account);
        assert_int_equal(mt_alloc_live, 0);
        if (rc == MT_OK) {
            assert_true(nth > 5);
            break;
        }
        assert_int_equal(rc, MT_E_NOMEM);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cost_is_exact_and_rounded_up_once),
        cmocka_unit_test(months_are_those_of_the_calendar),
        cmocka_unit_test(each_limit_fires_with_its_name_and_time),
        cmocka_unit_test(a_refusal_says_who_and_how_much),
        cmocka_unit_test(a_named_limit_stands_before_each),
        cmocka_unit_test(a_stream_is_cut_when_its_budget_is_spent),
        cmocka_unit_test(a_request_joins_the_models_behind_an_alias),
        cmocka_unit_test(a_reload_keeps_what_was_counted),
        cmocka_unit_test(a_clock_set_back_opens_no_window_twice),
        cmocka_unit_test(the_past_is_restored),
        cmocka_unit_test(no_history_passes_a_limit_or_loses_a_coin),
        cmocka_unit_test(threads_share_one_budget),
        cmocka_unit_test(account_survives_any_failed_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
