/* SPDX-License-Identifier: Apache-2.0 */
/* Threads that meet, and batches dealt to them. */
#include "support/test.h"

#include "base/attr.h"
#include "shards.h"
#include "team.h"

/* ---- members of a team ------------------------------------------------------------- */

enum { MEETINGS = 200 };

struct counters {
    struct mt_team *team;
    unsigned n[MT_TEAM_THREADS_MAX]; /* plain: only the meetings order their readers */
    unsigned threads_n;
    unsigned wrong_n[MT_TEAM_THREADS_MAX];
};

static void count_and_compare(void *arg, unsigned member)
{
    struct counters *c = arg;

    for (unsigned round = 1; round <= MEETINGS; round++) {
        c->n[member]++;
        mt_team_meet(c->team);
        for (unsigned i = 0; i < c->threads_n; i++)
            c->wrong_n[member] += c->n[i] != round;
        mt_team_meet(c->team);
    }
    c->n[member] = 0;
}

static void members_see_what_others_wrote_before_they_met(void **state)
{
    (void)state;
    for (unsigned threads_n = 1; threads_n <= 5; threads_n++) {
        struct counters c = {.threads_n = threads_n};
        assert_int_equal(mt_team_new(threads_n, &c.team, NULL), MT_OK);
        for (int job = 0; job < 3; job++)
            mt_team_run(c.team, count_and_compare, &c);
        mt_team_free(c.team);
        for (unsigned i = 0; i < threads_n; i++)
            assert_int_equal(c.wrong_n[i], 0);
    }
    mt_team_free(NULL);
}

/* ---- shards ------------------------------------------------------------------------ */

static void batches_are_cut_between_sequences_where_costs_are_equal(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        uint32_t lengths[8]; /* 0 ends */
        unsigned shards_n;
        uint32_t expected[4]; /* tokens of each shard */
    } rows[] = {
        {"equal", {5, 5, 5, 5}, 2, {10, 10}},
        {"nearest", {5, 4, 3, 8}, 2, {9, 11}},
        {"the earlier of two", {4, 4, 4}, 2, {4, 8}},
        {"long first", {16, 1, 1}, 2, {16, 2}},
        {"long last", {1, 1, 16}, 2, {2, 16}},
        {"long first for four", {16, 1, 1}, 4, {0, 16, 0, 2}},
        {"one for two", {9}, 2, {0, 9}},
        {"one for four", {9}, 4, {0, 0, 9, 0}},
        {"three", {3, 3, 3, 3, 3, 3}, 3, {6, 6, 6}},
        {"one shard", {3, 9, 2}, 1, {14}},
        {"none", {0}, 2, {0, 0}},
    };
    static const struct mt_shard_costs costs = {.token = 1};
    static const int32_t tokens[64], targets[64];

    for (size_t r = 0; r < MT_ARRAY_LEN(rows); r++) {
        uint32_t starts[9] = {0}, room[4][9], at = 0;
        struct mt_shard shards[4] = {
            {.starts = room[0]}, {.starts = room[1]}, {.starts = room[2]}, {.starts = room[3]}};
        struct mt_batch batch = {.tokens = tokens, .targets = targets, .starts = starts};
        for (uint32_t n = 0; rows[r].lengths[n] > 0; n++)
            starts[++batch.sequences_n] = starts[n] + rows[r].lengths[n];
        batch.tokens_n = starts[batch.sequences_n];
        mt_shards_deal(&batch, &costs, 1, rows[r].shards_n, shards);
        for (unsigned i = 0; i < rows[r].shards_n; i++) {
            const struct mt_batch *shard = &shards[i].batch;
            mt_check_row(rows[r].name, shard->tokens_n == rows[r].expected[i]);
            mt_check_row(rows[r].name, shard->tokens == tokens + at);
            mt_check_row(rows[r].name, shards[i].targets_before == at);
            mt_check_row(rows[r].name, shards[i].targets_n == shard->tokens_n);
            mt_check_row(rows[r].name, shard->starts[0] == 0);
            mt_check_row(rows[r].name, shard->starts[shard->sequences_n] == shard->tokens_n);
            at += shard->tokens_n;
        }
        mt_check_row(rows[r].name, at == batch.tokens_n);
    }
}

static void what_has_no_target_costs_nothing(void **state)
{
    (void)state;
    /* Sequences of 3: targets at the end, in the middle, at the beginning, nowhere. */
    static const int32_t tokens[12] = {0};
    static const int32_t targets[12] = {-1, -1, 1, -1, 1, -1, 1, -1, -1, -1, -1, -1};
    static const uint32_t starts[] = {0, 3, 6, 9, 12};
    static const float weights[12] = {9, 9, -2, 9, 3, 9, 0.5F, 9, 9, 9, 9, 9};
    static const float soft[3 * 2] = {0};
    const struct mt_batch batch = {.tokens = tokens,
                                   .targets = targets,
                                   .weights = weights,
                                   .soft = soft,
                                   .starts = starts,
                                   .sequences_n = 4,
                                   .tokens_n = 12};
    static const struct {
        const char *name;
        struct mt_shard_costs costs;
        uint32_t expected[2]; /* sequences */
    } rows[] = {
        {"tokens up to the last target: 3 | 2 1 0", {.token = 1}, {1, 3}},
        {"targets: 1 1 | 1 0", {.target = 2}, {1, 3}},
        {"pairs of tokens: 9 | 4 1 0", {.pair = 1}, {1, 3}},
        {"all: 3 + 1 | 2 + 1, 1 + 1, 0", {.token = 1, .target = 1}, {1, 3}},
    };

    for (size_t r = 0; r < MT_ARRAY_LEN(rows); r++) {
        uint32_t room[2][5];
        struct mt_shard shards[2] = {{.starts = room[0]}, {.starts = room[1]}};
        mt_shards_deal(&batch, &rows[r].costs, 2, 2, shards);
        for (int i = 0; i < 2; i++)
            mt_check_row(rows[r].name, shards[i].batch.sequences_n == rows[r].expected[i]);
        mt_check_row(rows[r].name, shards[1].targets_before == shards[0].targets_n);
        mt_check_row(rows[r].name, shards[1].batch.soft == soft + 2 * shards[0].targets_n);
        mt_check_row(rows[r].name, shards[1].batch.weights == weights + 3);
    }
    assert_true(mt_batch_weight(&batch) == 5.5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(members_see_what_others_wrote_before_they_met),
        cmocka_unit_test(batches_are_cut_between_sequences_where_costs_are_equal),
        cmocka_unit_test(what_has_no_target_costs_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
