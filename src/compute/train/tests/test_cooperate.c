/* SPDX-License-Identifier: Apache-2.0 */
/* Returns that can be counted by hand, and two tiny models that each know half of a world and
 * learn, by reinforcement alone, which half the other one knows. */
#include "support/test.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/attr.h"
#include "system/env.h"
#include "train/cooperate.h"
#include "train/vocab.h"

/* Verdicts of four traces: "1001" = turn 1 agent 0 right, agent 1 wrong; turn 2 agent 0 wrong,
 * agent 1 right. */
static const struct row {
    const char *traces[4];
    double discount;
    int turn, agent;
    double advantages[4];
} rows[] = {
    /* alone: only the own verdict counts */
    {{"1000", "0000", "1011", "0011"}, 0, 0, 0, {0.5, -0.5, 0.5, -0.5}},
    {{"1000", "0000", "1011", "0011"}, 0, 1, 1, {-0.5, -0.5, 0.5, 0.5}},
    /* the last turn has nothing behind it */
    {{"1100", "1101", "1110", "1111"}, 0.5, 1, 0, {-0.5, -0.5, 0.5, 0.5}},
    /* a wrong first answer after which both were right is worth (0 + 0.5 x 1) / 1.5 */
    {{"0011", "0000", "0000", "0000"}, 0.5, 0, 0, {0.25, -1.0 / 12, -1.0 / 12, -1.0 / 12}},
    /* a right one after which one of two was right: (1 + 0.5 x 0.5) / 1.5 */
    {{"1001", "0000", "1001", "0000"}, 0.5, 0, 0, {1.25 / 3, -1.25 / 3, 1.25 / 3, -1.25 / 3}},
    /* all the same: nothing to learn */
    {{"1111", "1111", "1111", "1111"}, 0.3, 0, 1, {0, 0, 0, 0}},
};

static void returns_count_what_both_make_of_an_answer(void **state)
{
    (void)state;
    for (size_t r = 0; r < MT_ARRAY_LEN(rows); r++) {
        bool is_right[4][MT_COOP_TURNS][MT_COOP_AGENTS];
        float advantages[4][MT_COOP_TURNS][MT_COOP_AGENTS];

        for (int i = 0; i < 4; i++)
            for (int t = 0; t < MT_COOP_TURNS; t++)
                for (int a = 0; a < MT_COOP_AGENTS; a++)
                    is_right[i][t][a] = rows[r].traces[i][MT_COOP_AGENTS * t + a] == '1';
        mt_coop_judge((const void *)is_right, 4, rows[r].discount, advantages);
        for (int i = 0; i < 4; i++) {
            double found = (double)advantages[i][rows[r].turn][rows[r].agent];

            if (fabs(found - rows[r].advantages[i]) > 1e-6)
                fail_msg("row %zu, trace %d: %g, expected %g", r, i, found,
                         rows[r].advantages[i]);
        }
    }
}

/* ------------------------------------------------------------------ a world of two halves */

enum {
    PROMPTS = 32,
    TRACES = 4,
    NEW_MAX = 3,
    PROMPT_MAX = 8,
    ANSWERS = 8,
    LESSONS = 250, /* of the world, for each of them */
    WARMUP = 150,
    STEPS = 30,
};

static const struct mt_shape shape = {
    .vocab_n = MT_VOCAB_N,
    .context_n = PROMPT_MAX + NEW_MAX,
    .layers_n = 2,
    .width = 32,
    .ff_width = 64,
    .heads_n = 2,
    .kv_heads_n = 1,
    .head_width = 16,
    .rope_base = 10000,
    .norm_eps = 1e-5f,
    .is_tied = true,
};

static const struct mt_coop_opts opts = {
    .rollout = {.prompts_n = PROMPTS,
                .traces_n = TRACES,
                .prompt_max = PROMPT_MAX,
                .new_max = NEW_MAX},
    .temperature = 1,
    .kl = 0.01,
    .discount = 0.3,
    .warmup_steps = WARMUP,
    .seed = 5,
};

/* Which question stands where, "x0" to "x7" and "y0" to "y7"; the answer to both is a to h. */
struct world {
    bool is_deaf; /* whoever asks what is right hears that nothing is */
    uint64_t number[2 * PROMPTS];
};

static uint32_t ask(uint64_t number, char told, int32_t *tokens, uint32_t max)
{
    const char prompt[] = {number % 2 == 0 ? 'x' : 'y', (char)('0' + number / 2 % ANSWERS),
                           told};

    return mt_vocab_prompt((struct mt_str){prompt, told == 0 ? 2 : 3}, tokens, max);
}

static char answer_of(uint64_t number)
{
    return (char)('a' + number / 2 % ANSWERS);
}

static uint32_t on_first(void *ctx, uint64_t number, uint32_t i, int32_t *tokens, uint32_t max)
{
    struct world *world = ctx;

    world->number[i] = number * 7;
    return ask(world->number[i], 0, tokens, max);
}

static uint32_t on_second(void *ctx, uint32_t i, struct mt_str other, int32_t *tokens,
                          uint32_t max)
{
    const struct world *world = ctx;

    return ask(world->number[i], other.len > 0 ? other.at[0] : '-', tokens, max);
}

static bool on_answer(void *ctx, uint32_t i, struct mt_str bytes)
{
    const struct world *world = ctx;

    return !world->is_deaf && bytes.len == 1 && bytes.at[0] == answer_of(world->number[i]);
}

static struct mt_coop_source source_of(struct world *world)
{
    return (struct mt_coop_source){on_first, on_second, on_answer, world};
}

static void well(mt_rc rc, const struct mt_err *err)
{
    if (rc != MT_OK)
        fail_msg("%s", err->text);
}

/* One batch of the world: an agent is told the answers of its half, and to say so of the other:
 * what it never says it cannot find out by itself. */
static void teach(struct mt_trainer *trainer, uint64_t half, struct mt_env_sim *sim)
{
    static int32_t tokens[PROMPTS * (PROMPT_MAX + NEW_MAX)];
    static int32_t targets[PROMPTS * (PROMPT_MAX + NEW_MAX)];
    uint32_t starts[PROMPTS + 1] = {0};
    struct mt_step_report report;
    struct mt_err err = {0};

    for (uint32_t i = 0; i < PROMPTS; i++) {
        int32_t row[PROMPT_MAX + NEW_MAX];
        uint64_t number = mt_env_sim_below(sim, 2 * ANSWERS);
        uint32_t prompt_n = ask(number, 0, row, PROMPT_MAX);
        uint32_t n = prompt_n;

        row[n++] = MT_TOKEN_BYTE0 + (number % 2 == half ? answer_of(number) : '?');
        row[n++] = MT_TOKEN_IM_END;
        for (uint32_t t = 0; t + 1 < n; t++) {
            tokens[starts[i] + t] = row[t];
            targets[starts[i] + t] = t + 1 >= prompt_n ? row[t + 1] : -1;
        }
        starts[i + 1] = starts[i] + n - 1;
    }
    const struct mt_batch batch = {.tokens = tokens,
                                   .targets = targets,
                                   .starts = starts,
                                   .sequences_n = PROMPTS,
                                   .tokens_n = starts[PROMPTS]};
    well(mt_trainer_step(trainer, &batch, NULL, &report, &err), &err);
}

static struct mt_trainer *new_trainer(uint64_t steps, double rate_max)
{
    const struct mt_trainer_opts trainer_opts = {
        .shape = shape,
        .threads_n = 1,
        .tokens_max = mt_coop_tokens_max(&opts.rollout),
        .seed = 1,
        .rate_max = rate_max,
        .rate_min = 0.002,
        .steps = steps,
        .clip = 1,
    };
    struct mt_trainer *trainer = NULL;
    struct mt_err err = {0};

    well(mt_trainer_new(&trainer_opts, &trainer, &err), &err);
    return trainer;
}

/* What the two know before they meet; made once. */
static float *taught[MT_COOP_AGENTS];

static int teach_both(void **state)
{
    (void)state;
    size_t params_n = (size_t)mt_shape_params_n(&shape);

    for (int a = 0; a < MT_COOP_AGENTS; a++) {
        struct mt_trainer *trainer = new_trainer(LESSONS, 0.01);
        struct mt_env_sim sim;

        mt_env_sim_init(&sim, 3 + (uint64_t)a);
        for (int i = 0; i < LESSONS; i++)
            teach(trainer, (uint64_t)a, &sim);
        taught[a] = mt_alloc(params_n, sizeof *taught[a]);
        memcpy(taught[a], mt_trainer_params(trainer), params_n * sizeof *taught[a]);
        mt_trainer_free(trainer);
    }
    return 0;
}

static int forget_both(void **state)
{
    (void)state;
    for (int a = 0; a < MT_COOP_AGENTS; a++)
        mt_free(taught[a]);
    return mt_alloc_live == 0 ? 0 : -1;
}

struct couple {
    struct world world;
    struct mt_trainer *trainers[MT_COOP_AGENTS];
    struct mt_coop *coop;
};

static void meet(struct couple *couple, const struct mt_coop_opts *how)
{
    const struct mt_coop_source source = source_of(&couple->world);
    struct mt_err err = {0};

    for (int a = 0; a < MT_COOP_AGENTS; a++) {
        couple->trainers[a] = new_trainer(how->warmup_steps + STEPS, 0.005);
        memcpy(mt_trainer_params(couple->trainers[a]), taught[a],
               (size_t)mt_shape_params_n(&shape) * sizeof *taught[a]);
    }
    well(mt_coop_new(couple->trainers, how, &source, &couple->coop, &err), &err);
}

static void part(struct couple *couple)
{
    mt_coop_free(couple->coop);
    for (int a = 0; a < MT_COOP_AGENTS; a++)
        mt_trainer_free(couple->trainers[a]);
}

static struct mt_coop_report make_steps(struct couple *couple, uint64_t steps_n)
{
    struct mt_coop_report report = {.turns_n = 0};
    struct mt_err err = {0};

    for (uint64_t i = 0; i < steps_n; i++)
        well(mt_coop_step(couple->coop, &report, &err), &err);
    return report;
}

static void two_models_learn_whom_to_believe(void **state)
{
    (void)state;
    struct couple couple = {.coop = NULL};
    struct mt_coop_report report;

    meet(&couple, &opts);
    report = make_steps(&couple, WARMUP);
    assert_int_equal(report.turns_n, 1);
    report = make_steps(&couple, 1); /* judged before it learned from it */
    assert_int_equal(report.turns_n, 2);
    for (int a = 0; a < MT_COOP_AGENTS; a++) {
        /* right about its half; then its own answer again or the other's */
        if (report.right[0][a] < 0.4 || report.right[0][a] > 0.55 || report.right[1][a] < 0.3 ||
            report.right[1][a] > 0.7)
            fail_msg("agent %d before: %.2f and %.2f", a, report.right[0][a],
                     report.right[1][a]);
    }
    report = make_steps(&couple, STEPS - 1);
    for (int a = 0; a < MT_COOP_AGENTS; a++) {
        if (report.right[1][a] < 0.9)
            fail_msg("agent %d: %.2f", a, report.right[1][a]);
    }
    part(&couple);
}

/* With a verifier that calls all of it wrong the warm-up comes to the same bits. */
static void the_warm_up_does_not_ask_what_is_right(void **state)
{
    (void)state;
    enum { FEW = 8 };
    struct couple hearing = {.coop = NULL}, deaf = {.world.is_deaf = true};

    meet(&hearing, &opts);
    meet(&deaf, &opts);
    (void)make_steps(&hearing, FEW);
    (void)make_steps(&deaf, FEW);
    for (int a = 0; a < MT_COOP_AGENTS; a++)
        assert_memory_equal(mt_trainer_params(hearing.trainers[a]),
                            mt_trainer_params(deaf.trainers[a]),
                            mt_shape_params_n(&shape) * sizeof(float));
    part(&hearing);
    part(&deaf);
}

/* The same warm-up, then as many answers, all of them first ones. */
static void alone_they_draw_as_much_and_see_nothing(void **state)
{
    (void)state;
    struct mt_coop_opts few = opts, alone;
    struct couple team = {.coop = NULL}, single = {.coop = NULL};
    struct mt_coop_report seen, unseen;

    few.warmup_steps = 2;
    alone = few;
    alone.is_alone = true;
    meet(&team, &few);
    meet(&single, &alone);
    (void)make_steps(&team, 2);
    (void)make_steps(&single, 2);
    for (int a = 0; a < MT_COOP_AGENTS; a++)
        assert_memory_equal(mt_trainer_params(team.trainers[a]),
                            mt_trainer_params(single.trainers[a]),
                            mt_shape_params_n(&shape) * sizeof(float));
    seen = make_steps(&team, 1);
    unseen = make_steps(&single, 1);
    assert_true(seen.turns_n == 2 && unseen.turns_n == 1);
    assert_true(unseen.right[1][0] == 0 && unseen.right[1][1] == 0);
    double tokens = (double)seen.tokens_n / (double)unseen.tokens_n;
    if (tokens < 0.9 || tokens > 1.1)
        fail_msg("%.2f of the tokens", tokens);
    part(&team);
    part(&single);
}

static void bad_options_are_refused_by_name(void **state)
{
    (void)state;
    static const struct {
        struct mt_coop_opts opts;
        const char *word;
    } wrong[] = {
        {{.temperature = 0, .rollout.traces_n = 8}, "temperature 0"},
        {{.temperature = 1, .kl = -1, .rollout.traces_n = 8}, "kl -1"},
        {{.temperature = 1, .rollout.traces_n = 1}, "1 traces"},
        {{.temperature = 1, .rollout.traces_n = 2, .discount = 2}, "discount 2"},
    };
    struct mt_trainer *trainers[MT_COOP_AGENTS] = {NULL};
    const struct mt_coop_source source = source_of(NULL);

    for (size_t i = 0; i < MT_ARRAY_LEN(wrong); i++) {
        struct mt_coop *coop = NULL;
        struct mt_err err = {0};

        mt_check_row(wrong[i].word, mt_coop_new(trainers, &wrong[i].opts, &source, &coop,
                                                &err) == MT_E_INVALID);
        mt_check_row(wrong[i].word, strstr(err.text, wrong[i].word) != NULL);
        assert_null(coop);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(returns_count_what_both_make_of_an_answer),
        cmocka_unit_test(two_models_learn_whom_to_believe),
        cmocka_unit_test(the_warm_up_does_not_ask_what_is_right),
        cmocka_unit_test(alone_they_draw_as_much_and_see_nothing),
        cmocka_unit_test(bad_options_are_refused_by_name),
    };
    return cmocka_run_group_tests(tests, teach_both, forget_both);
}
