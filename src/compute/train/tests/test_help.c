/* SPDX-License-Identifier: Apache-2.0 */
#include "support/test.h"

#include <math.h>
#include <string.h>

#include "base/attr.h"
#include "system/env.h"
#include "train/help.h"

/* Traces as letters: R right, w wrong, ? asked. */
struct drawn {
    const char *traces;
    bool is_helper_right;
};

enum { GROUPS_MAX = 8 };

static void judge(struct mt_help *help, const struct drawn *drawn, uint32_t n,
                  struct mt_help_group *groups, struct mt_help_report *report)
{
    static struct mt_help_trace traces[GROUPS_MAX][MT_HELP_TRACES_MAX];
    static float advantages[GROUPS_MAX][MT_HELP_TRACES_MAX];

    for (uint32_t i = 0; i < n; i++) {
        uint32_t traces_n = (uint32_t)strlen(drawn[i].traces);

        for (uint32_t j = 0; j < traces_n; j++)
            traces[i][j] = (struct mt_help_trace){.asked = drawn[i].traces[j] == '?',
                                                  .is_right = drawn[i].traces[j] == 'R'};
        groups[i] = (struct mt_help_group){.traces = traces[i],
                                           .traces_n = traces_n,
                                           .is_helper_right = drawn[i].is_helper_right,
                                           .advantages = advantages[i]};
    }
    mt_help_judge(help, groups, n, report);
}

static void rewards_are_a_ladder(void **state)
{
    (void)state;
    static const struct {
        const char *traces;
        bool is_helper_right;
        float expected[4];
        bool is_kept;
    } rows[] = {
        {"RRww", true, {0.5f, 0.5f, -0.5f, -0.5f}, true},
        {"RRRR", true, {0, 0, 0, 0}, false},
        {"wwww", true, {0, 0, 0, 0}, false},
        {"R?ww", true, {0.625f, 0.125f, -0.375f, -0.375f}, true}, /* 1, 0.5, 0, 0 */
        {"R?ww", false, {0.75f, -0.25f, -0.25f, -0.25f}, true},
        {"?www", true, {0.375f, -0.125f, -0.125f, -0.125f}, true},
        {"?www", false, {0, 0, 0, 0}, false},
        {"????", true, {0, 0, 0, 0}, false},
        {"RRR?", true, {0.125f, 0.125f, 0.125f, -0.375f}, true},
    };

    for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
        struct mt_help help = {.limit = 1, .worth = 0.5};
        const struct drawn drawn = {rows[i].traces, rows[i].is_helper_right};
        struct mt_help_group group;
        struct mt_help_report report;

        judge(&help, &drawn, 1, &group, &report);
        mt_check_row(rows[i].traces, group.is_kept == rows[i].is_kept);
        for (size_t j = 0; j < 4; j++)
            mt_check_row(rows[i].traces,
                         fabsf(group.advantages[j] - rows[i].expected[j]) < 1e-6f);
    }
}

static void prompts_for_help_beyond_the_limit_are_left_out(void **state)
{
    (void)state;
    static const struct drawn drawn[] = {
        {"?www", true}, {"RR?w", true}, {"??ww", true}, {"w?ww", true}};
    struct mt_help help = {.limit = 0.5, .worth = 0.5};
    struct mt_help_group groups[GROUPS_MAX];
    struct mt_help_report report;

    judge(&help, drawn, 4, groups, &report);
    assert_true(groups[0].is_kept);
    assert_true(groups[1].is_kept); /* answering was best there */
    assert_true(groups[2].is_kept);
    assert_false(groups[3].is_kept); /* the third of its kind, where two may stay */
    assert_true(groups[3].advantages[1] == 0);
    assert_int_equal(report.kept_n, 3);
}

static void the_report_counts_traces(void **state)
{
    (void)state;
    static const struct drawn drawn[] = {{"RR?w", true}, {"??ww", false}};
    struct mt_help help = {.limit = 1, .worth = 0.5};
    struct mt_help_group groups[GROUPS_MAX];
    struct mt_help_report report;

    judge(&help, drawn, 2, groups, &report);
    assert_true(report.asked == 3.0 / 8);
    assert_true(report.own == 2.0 / 8);
    assert_true(report.right == 3.0 / 8);
}

/* Whoever asks about all of it, where a tenth is allowed, earns less than by being wrong: the
 * price is there in the very batch. */
static void asking_far_too_much_is_worse_than_being_wrong(void **state)
{
    (void)state;
    static const struct drawn drawn[] = {{"???w", true}, {"????", true}};
    struct mt_help help = {.limit = 0.1, .worth = 0.5};
    struct mt_help_group groups[GROUPS_MAX];
    struct mt_help_report report;

    judge(&help, drawn, 2, groups, &report);
    assert_true(groups[0].advantages[3] > 0 && groups[0].advantages[0] < 0);
}

static void the_price_follows_what_is_asked(void **state)
{
    (void)state;
    static const struct {
        double price;
        const char *traces;
        double expected;
    } rows[] = {
        {0, "????", 0.07}, /* 0.1 x (1 - 0.3) */
        {0, "wwww", 0},    /* never below nothing */
        {0.2, "wwww", 0.17},
        {1.48, "????", 1.5}, /* dearer than being wrong, and no more than that */
    };

    for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
        struct mt_help help = {
            .limit = 0.3, .worth = 0.5, .price = rows[i].price, .price_rate = 0.1};
        const struct drawn drawn = {rows[i].traces, true};
        struct mt_help_group group;
        struct mt_help_report report;

        judge(&help, &drawn, 1, &group, &report);
        mt_check_row(rows[i].traces, fabs(help.price - rows[i].expected) < 1e-9);
        mt_check_row(rows[i].traces, report.price == help.price);
    }
}

/* A model of ten kinds of prompts that it answers with ten different rates of success, and one
 * number per kind: how likely it asks. Reinforcement by the advantages alone has to find out
 * where help pays, below the limit, wherever it begins. */
enum { KINDS = 10, PROMPTS = 40, TRACES = 8, STEPS = 3000 };

struct learner {
    double logit[KINDS];
    struct mt_help_trace traces[PROMPTS][TRACES];
    float advantages[PROMPTS][TRACES];
    struct mt_help_group groups[PROMPTS];
};

static double chance(struct mt_env_sim *sim)
{
    return (double)(mt_env_sim_u64(sim) >> 11) * 0x1p-53;
}

static double asks(const struct learner *l, int kind)
{
    return 1 / (1 + exp(-l->logit[kind]));
}

static double success(int kind)
{
    return (kind + 0.5) / KINDS;
}

static void learn(struct learner *l, struct mt_help *help, struct mt_env_sim *sim)
{
    struct mt_help_report report;
    double slope[KINDS] = {0};

    for (int i = 0; i < PROMPTS; i++) {
        for (int j = 0; j < TRACES; j++) {
            bool asked = chance(sim) < asks(l, i % KINDS);

            l->traces[i][j] = (struct mt_help_trace){
                .asked = asked, .is_right = !asked && chance(sim) < success(i % KINDS)};
        }
        l->groups[i] = (struct mt_help_group){.traces = l->traces[i],
                                              .traces_n = TRACES,
                                              .is_helper_right = chance(sim) < 0.95,
                                              .advantages = l->advantages[i]};
    }
    mt_help_judge(help, l->groups, PROMPTS, &report);
    for (int i = 0; i < PROMPTS; i++)
        for (int j = 0; j < TRACES; j++)
            slope[i % KINDS] +=
                (double)l->advantages[i][j] * (l->traces[i][j].asked - asks(l, i % KINDS));
    for (int k = 0; k < KINDS; k++)
        l->logit[k] += 0.05 * slope[k];
}

static void help_is_asked_where_it_pays_and_no_more_than_allowed(void **state)
{
    (void)state;
    static const struct {
        double begins; /* logit of asking */
        double limit;
    } rows[] = {{-2, 0.3}, {3, 0.3}, {0, 0.1}, {0, 0.5}};

    for (size_t r = 0; r < MT_ARRAY_LEN(rows); r++) {
        struct mt_help help = {.limit = rows[r].limit, .worth = 0.9, .price_rate = 0.01};
        static struct learner learner;
        struct mt_env_sim sim;
        double share = 0;

        mt_env_sim_init(&sim, 7 + r);
        for (int k = 0; k < KINDS; k++)
            learner.logit[k] = rows[r].begins;
        for (int step = 0; step < STEPS; step++)
            learn(&learner, &help, &sim);
        for (int k = 0; k < KINDS; k++)
            share += asks(&learner, k) / KINDS;
        if (share > rows[r].limit + 0.05 || share < rows[r].limit - 0.1)
            fail_msg("row %zu: asks in %.3f of cases, limit %.2f", r, share, rows[r].limit);
        if (asks(&learner, 0) < 0.7 || asks(&learner, KINDS - 1) > 0.1)
            fail_msg("row %zu: asks in %.3f of the hardest and %.3f of the easiest", r,
                     asks(&learner, 0), asks(&learner, KINDS - 1));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rewards_are_a_ladder),
        cmocka_unit_test(prompts_for_help_beyond_the_limit_are_left_out),
        cmocka_unit_test(the_report_counts_traces),
        cmocka_unit_test(asking_far_too_much_is_worse_than_being_wrong),
        cmocka_unit_test(the_price_follows_what_is_asked),
        cmocka_unit_test(help_is_asked_where_it_pays_and_no_more_than_allowed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
