/* SPDX-License-Identifier: Apache-2.0 */
/* A model of two blocks that first learns a world where some questions have an answer and some
 * have a dice's, and then, by reinforcement alone, which of them to hand on. */
#include "support/test.h"

#include <string.h>

#include "system/env.h"
#include "train/reinforce.h"
#include "train/vocab.h"

enum {
    PROMPTS = 32,
    TRACES = 8,
    NEW_MAX = 4,
    PROMPT_MAX = 32,
    LESSONS = 400, /* of the world */
    STEPS = 80,    /* of reinforcement */
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

static void well(mt_rc rc, const struct mt_err *err)
{
    if (rc != MT_OK)
        fail_msg("%s", err->text);
}

/* "k0" to "k7" are answered by the letters a to h; what follows "d" is thrown: one of eight. */
struct world {
    struct mt_env_sim sim;
    bool is_dice[PROMPTS];
    char answer[PROMPTS];
};

static uint32_t ask(struct world *world, uint32_t i, int32_t *tokens, uint32_t max)
{
    uint64_t n = mt_env_sim_below(&world->sim, 8);
    char prompt[] = {'k', (char)('0' + n)};

    world->is_dice[i] = mt_env_sim_below(&world->sim, 2) == 0;
    prompt[0] = world->is_dice[i] ? 'd' : 'k';
    world->answer[i] = (char)('a' + (world->is_dice[i] ? mt_env_sim_below(&world->sim, 8) : n));
    return mt_vocab_prompt((struct mt_str){prompt, sizeof prompt}, tokens, max);
}

static uint32_t on_prompt(void *ctx, uint64_t step, uint32_t i, int32_t *tokens, uint32_t max)
{
    (void)step;
    return ask(ctx, i, tokens, max);
}

static bool on_answer(void *ctx, uint32_t i, struct mt_str bytes)
{
    const struct world *world = ctx;

    return bytes.len == 1 && bytes.at[0] == world->answer[i];
}

static bool on_help(void *ctx, uint32_t i)
{
    (void)ctx;
    (void)i;
    return true; /* the helper sees the dice */
}

/* One batch of the world; now and then help is called for, or it would never be tried. */
static void teach(struct mt_trainer *trainer, struct world *world)
{
    static int32_t tokens[PROMPTS * (PROMPT_MAX + NEW_MAX)];
    static int32_t targets[PROMPTS * (PROMPT_MAX + NEW_MAX)];
    uint32_t starts[PROMPTS + 1] = {0};
    struct mt_step_report report;
    struct mt_err err = {0};

    for (uint32_t i = 0; i < PROMPTS; i++) {
        int32_t row[PROMPT_MAX + NEW_MAX];
        uint32_t prompt_n = ask(world, i, row, PROMPT_MAX);
        uint32_t n = prompt_n;

        row[n++] = mt_env_sim_below(&world->sim, 8) == 0 ? MT_TOKEN_CALL_CLOUD
                                                         : MT_TOKEN_BYTE0 + world->answer[i];
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

static const struct mt_reinforce_opts opts = {
    .rollout = {.prompts_n = PROMPTS,
                .traces_n = TRACES,
                .prompt_max = PROMPT_MAX,
                .new_max = NEW_MAX},
    .temperature = 1,
    .kl = 0.05,
    .help_limit = 0.6,
    .help_worth = 0.8,
    .help_price_rate = 0.05,
    .seed = 5,
};

/* How often it asks about the dice, and about what can be known. */
static void rates(const struct mt_trainer *trainer, struct world *world, double *dice,
                  double *known)
{
    struct mt_rollout *rollout;
    struct mt_err err = {0};
    uint32_t asked[2] = {0}, all[2] = {0};
    uint32_t *n;

    well(mt_rollout_new(&shape, &opts.rollout, &rollout, &err), &err);
    for (uint32_t i = 0; i < PROMPTS; i++) {
        int32_t *tokens = mt_rollout_prompt(rollout, i, &n);

        *n = ask(world, i, tokens, PROMPT_MAX);
    }
    const struct mt_decode_opts decode = {
        .new_tokens_max = NEW_MAX, .end_token = MT_TOKEN_IM_END, .temperature = 1, .seed = 99};

    mt_rollout_draw(rollout, mt_trainer_params((struct mt_trainer *)(uintptr_t)trainer),
                    &decode);
    for (uint32_t i = 0; i < PROMPTS; i++) {
        for (uint32_t j = 0; j < TRACES; j++) {
            struct mt_trace trace = mt_rollout_trace(rollout, i, j);

            all[world->is_dice[i]]++;
            for (uint32_t t = 0; t < trace.tokens_n; t++)
                asked[world->is_dice[i]] += trace.tokens[t] == MT_TOKEN_CALL_CLOUD;
        }
    }
    *dice = (double)asked[1] / all[1];
    *known = (double)asked[0] / all[0];
    mt_rollout_free(rollout);
}

static void a_model_learns_what_it_cannot_know(void **state)
{
    (void)state;
    struct world world;
    const struct mt_trainer_opts trainer_opts = {
        .shape = shape,
        .threads_n = 1,
        .tokens_max = mt_rollout_tokens_max(&opts.rollout),
        .seed = 1,
        .rate_max = 0.01,
        .rate_min = 0.003,
        .steps = LESSONS,
        .clip = 1,
    };
    const struct mt_reinforce_source source = {on_prompt, on_answer, on_help, NULL, &world};
    struct mt_trainer *trainer;
    struct mt_reinforce *reinforce;
    struct mt_reinforce_report report;
    struct mt_err err = {0};
    double dice, known;

    mt_env_sim_init(&world.sim, 3);
    well(mt_trainer_new(&trainer_opts, &trainer, &err), &err);
    for (int i = 0; i < LESSONS; i++)
        teach(trainer, &world);
    rates(trainer, &world, &dice, &known);
    assert_true(dice < 0.35 && known < 0.35); /* as often as the lessons did, both alike */
    well(mt_reinforce_new(trainer, &opts, &source, &reinforce, &err), &err);
    for (int i = 0; i < STEPS; i++)
        well(mt_reinforce_step(reinforce, &report, &err), &err);
    rates(trainer, &world, &dice, &known);
    if (dice < 0.7 || known > 0.15)
        fail_msg("asks about %.2f of the dice and %.2f of what it knows", dice, known);
    mt_reinforce_free(reinforce);
    mt_trainer_free(trainer);
}

static void bad_options_are_refused_by_name(void **state)
{
    (void)state;
    static const struct {
        struct mt_reinforce_opts opts;
        const char *word;
    } rows[] = {
        {{.temperature = 0, .rollout.traces_n = 8}, "temperature"},
        {{.temperature = 1, .kl = -1, .rollout.traces_n = 8}, "kl"},
        {{.temperature = 1, .help_limit = 0.3, .help_worth = 1, .rollout.traces_n = 8},
         "help limit"},
        {{.temperature = 1, .help_limit = -1, .rollout.traces_n = 1}, "traces"},
        {{.temperature = 1, .help_limit = -1, .rollout.traces_n = 65}, "traces"},
    };
    const struct mt_trainer_opts trainer_opts = {
        .shape = shape, .threads_n = 1, .tokens_max = 64, .steps = 1};
    struct mt_trainer *trainer;
    struct mt_err err = {0};

    well(mt_trainer_new(&trainer_opts, &trainer, &err), &err);
    for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
        struct mt_reinforce *reinforce = NULL;
        const struct mt_reinforce_source source = {on_prompt, on_answer, on_help, NULL, NULL};

        mt_check_row(rows[i].word, mt_reinforce_new(trainer, &rows[i].opts, &source, &reinforce,
                                                    &err) == MT_E_INVALID);
        mt_check_row(rows[i].word, strstr(err.text, rows[i].word) != NULL);
        assert_null(reinforce);
    }
    mt_trainer_free(trainer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_model_learns_what_it_cannot_know),
        cmocka_unit_test(bad_options_are_refused_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
