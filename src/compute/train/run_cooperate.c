/* SPDX-License-Identifier: Apache-2.0 */
/* A run of two agents: prompts from the curriculum, a loop, checkpoints of both.
 *
 * Invariant: what decides the next step stands in the two trainers and in how many steps were
 * made (state.position), and a slot of checkpoints holds all of it. */
#include <string.h>

#include "base/alloc.h"
#include "run_priv.h"
#include "system/env.h"
#include "train/cooperate_pair.h"
#include "train/vocab.h"

enum {
    PROMPT_TOKENS_MAX = MT_ITEM_PROMPT_MAX + 2,
    NEW_TOKENS_MAX = MT_COOP_SAID_MAX, /* the longest right answer, and its end */
    ITEMS_MAX = 4096,
};

struct team_run {
    const struct mt_recipe *recipe;
    const struct mt_run_opts *opts;
    struct mt_run__pair pair;
    struct mt_coop *coop;
    struct mt_coop_pair *looker; /* both agents, asked for what is likeliest */
    struct mt_items *train, *validation;
    struct mt_run__state state;
    int64_t began_ns, saved_ns;
    uint64_t began_step, began_tokens;
    uint32_t looks_n;
    struct mt_item items[ITEMS_MAX]; /* of the step, or of a look */
    struct mt_item second;
    struct mt_attempt attempts[MT_COOP_TURNS][MT_COOP_AGENTS][ITEMS_MAX];
};

static void team_run_free(struct team_run *run)
{
    if (run == NULL)
        return;
    mt_coop_free(run->coop);
    mt_coop_pair_free(run->looker);
    mt_items_free(run->train);
    mt_items_free(run->validation);
    mt_run__pair_close(&run->pair);
    mt_free(run);
}

static void team_run_freep(struct team_run **run)
{
    team_run_free(*run);
}

static int64_t now_ns(const struct team_run *run)
{
    return mt_env_now_mono_ns(run->opts->env);
}

/* ------------------------------------------------------------------ what is asked */

static uint32_t on_first(void *ctx, uint64_t number, uint32_t i, int32_t *tokens, uint32_t max)
{
    struct team_run *run = ctx;

    mt_items_seek(run->train, number);
    mt_items_draw(run->train, &run->items[i]);
    return mt_vocab_prompt(mt_str_of(run->items[i].prompt), tokens, max);
}

static uint32_t on_second(void *ctx, uint32_t i, struct mt_str other, int32_t *tokens,
                          uint32_t max)
{
    struct team_run *run = ctx;

    mt_coop_second(&run->items[i], other, &run->second);
    return mt_vocab_prompt(mt_str_of(run->second.prompt), tokens, max);
}

static bool on_answer(void *ctx, uint32_t i, struct mt_str bytes)
{
    const struct team_run *run = ctx;

    return mt_item_is_right(&run->items[i], bytes);
}

/* ------------------------------------------------------------------ ways into a run */

static struct mt_rollout_opts rollout_of(const struct mt_recipe *recipe)
{
    return (struct mt_rollout_opts){.prompts_n = (uint32_t)recipe->team.prompts,
                                    .traces_n = (uint32_t)recipe->team.traces,
                                    .prompt_max = PROMPT_TOKENS_MAX,
                                    .new_max = NEW_TOKENS_MAX};
}

static mt_rc open_coop(struct team_run *run, struct mt_err *err)
{
    const struct mt_recipe_team *team = &run->recipe->team;
    const struct mt_coop_opts opts = {
        .rollout = rollout_of(run->recipe),
        .temperature = (float)team->temperature,
        .kl = team->kl,
        .discount = team->discount,
        .is_alone = team->is_alone,
        .warmup_steps = (uint64_t)team->warmup,
        .seed = (uint64_t)run->recipe->seed,
    };
    const struct mt_coop_source source = {on_first, on_second, on_answer, run};

    MT_TRY(mt_run__pair_begin(&run->pair, err));
    return mt_coop_new(run->pair.trainers, &opts, &source, &run->coop, err);
}

/* The reference is what the bases become by the warm-up, which is made again. */
static mt_rc make_reference(struct team_run *run, struct mt_err *err)
{
    uint64_t warmup_steps = (uint64_t)run->recipe->team.warmup;
    struct mt_coop_report report;

    while (mt_coop_steps_done(run->coop) < warmup_steps)
        MT_TRY(mt_coop_step(run->coop, &report, err));
    return MT_OK;
}

static mt_rc go_on(struct team_run *run, int slot, struct mt_err *err)
{
    bool is_warm = run->state.position >= (uint64_t)run->recipe->team.warmup;
    bool is_over = run->state.position >= run->state.steps; /* who learns no more needs none */

    MT_TRY(open_coop(run, err));
    if (is_warm && !is_over)
        MT_TRY(make_reference(run, err));
    MT_TRY(mt_run__pair_load(&run->pair, slot, err));
    mt_coop_seek(run->coop, run->state.position);
    return MT_OK;
}

static mt_rc begin(struct team_run *run, struct mt_err *err)
{
    run->state = (struct mt_run__state){.steps = (uint64_t)run->recipe->steps};
    MT_TRY(open_coop(run, err));
    return mt_run__pair_forget(&run->pair, err);
}

static mt_rc open_either(struct team_run *run, struct mt_err *err)
{
    int slot = -1;

    if (run->opts->from != MT_RUN_NOTHING) {
        MT_TRY(mt_run__pair_begin(&run->pair, err));
        MT_TRY(mt_run__pair_find(&run->pair, &slot, &run->state, err));
    }
    if (slot >= 0)
        return go_on(run, slot, err);
    if (run->opts->from == MT_RUN_CHECKPOINT)
        return MT_FAIL(err, MT_E_NOTFOUND, "checkpoint '%s'", run->pair.paths[0][0]);
    return begin(run, err);
}

static mt_rc open_looker(struct team_run *run, struct mt_err *err)
{
    const struct mt_shape *const shapes[] = {&run->pair.shapes[0], &run->pair.shapes[1]};
    const float *const params[] = {mt_trainer_params(run->pair.trainers[0]),
                                   mt_trainer_params(run->pair.trainers[1])};

    run->looks_n =
        (uint32_t)(run->recipe->validate_items < ITEMS_MAX ? run->recipe->validate_items
                                                           : ITEMS_MAX);
    return mt_coop_pair_new(shapes, params, &run->looker, err);
}

static mt_rc open_run(struct team_run *run, struct mt_err *err)
{
    const struct mt_rollout_opts rollout = rollout_of(run->recipe);

    MT_TRY(mt_run__pair_open(run->recipe, run->opts, mt_coop_tokens_max(&rollout), &run->pair,
                             err));
    MT_TRY(mt_run__items(run->recipe, MT_SPLIT_TRAIN, &run->train, err));
    MT_TRY(mt_run__items(run->recipe, MT_SPLIT_VALIDATION, &run->validation, err));
    MT_TRY(open_either(run, err));
    return open_looker(run, err);
}

/* ------------------------------------------------------------------ the loop */

static uint64_t steps_done(const struct team_run *run)
{
    return mt_coop_steps_done(run->coop);
}

static struct mt_run_event event_of(const struct team_run *run, enum mt_run_what what)
{
    double spent_ms = (double)(now_ns(run) - run->began_ns) / 1e6;
    double done = (double)(steps_done(run) - run->began_step);
    double left = (double)(run->state.steps - steps_done(run));

    return (struct mt_run_event){
        .what = what,
        .step = steps_done(run),
        .steps = run->state.steps,
        .tokens = run->state.tokens,
        .params_n =
            mt_shape_params_n(&run->pair.shapes[0]) + mt_shape_params_n(&run->pair.shapes[1]),
        .has_turns = true,
        .tokens_per_s =
            spent_ms > 0 ? (double)(run->state.tokens - run->began_tokens) * 1e3 / spent_ms : 0,
        .left_ms = done > 0 ? (int64_t)(spent_ms / done * left) : -1,
    };
}

static mt_rc step(struct team_run *run, struct mt_err *err)
{
    struct mt_coop_report report;

    MT_TRY(mt_coop_step(run->coop, &report, err));
    run->state.tokens += report.tokens_n;
    run->state.position = steps_done(run);
    struct mt_run_event event = event_of(run, MT_RUN_STEP);
    event.loss = report.loss;
    event.rate = report.rate;
    event.grad_norm = report.grad_norm;
    event.turns_n = report.turns_n;
    memcpy(event.turn_right, report.right, sizeof event.turn_right);
    mt_run__tell(run->opts, &event);
    return MT_OK;
}

static uint32_t count_right(const struct mt_attempt *attempts, uint32_t n)
{
    uint32_t right_n = 0;

    for (uint32_t i = 0; i < n; i++)
        right_n += attempts[i].is_right;
    return right_n;
}

static void look(struct team_run *run)
{
    struct mt_attempt *const out[MT_COOP_TURNS][MT_COOP_AGENTS] = {
        {run->attempts[0][0], run->attempts[0][1]}, {run->attempts[1][0], run->attempts[1][1]}};
    struct mt_run_event event = event_of(run, MT_RUN_VALIDATED);
    uint32_t n = run->looks_n;

    mt_items_seek(run->validation, 0);
    for (uint32_t i = 0; i < n; i++)
        mt_items_draw(run->validation, &run->items[i]);
    mt_coop_pair_try(run->looker, run->items, n, out);
    for (int turn = 0; turn < MT_COOP_TURNS; turn++) {
        event.right_n = event.items_n = 0;
        for (int a = 0; a < MT_COOP_AGENTS; a++) {
            uint32_t right_n = count_right(out[turn][a], n);

            event.turn_right[turn][a] = (double)right_n / n;
            event.right_n += right_n;
            event.items_n += n;
        }
    }
    event.turns_n = MT_COOP_TURNS;
    mt_run__tell(run->opts, &event);
}

static bool is_look_due(const struct team_run *run)
{
    uint64_t every = (uint64_t)run->recipe->validate_steps;

    return every > 0 && (steps_done(run) % every == 0 || steps_done(run) == run->state.steps);
}

static mt_rc save(struct team_run *run, struct mt_err *err)
{
    int64_t now = now_ns(run);
    int slot = run->pair.next_slot;

    run->state.spent_ms += (now - run->saved_ns) / 1000000;
    run->saved_ns = now;
    MT_TRY(mt_run__pair_save(&run->pair, &run->state, err));
    struct mt_run_event event = event_of(run, MT_RUN_SAVED);
    event.path = run->pair.paths[slot][0];
    mt_run__tell(run->opts, &event);
    return MT_OK;
}

static bool is_save_due(const struct team_run *run)
{
    return (now_ns(run) - run->saved_ns) / 1000000 >= run->recipe->checkpoint_ms;
}

static mt_rc loop(struct team_run *run, struct mt_err *err)
{
    const struct mt_run_opts *opts = run->opts;

    while (steps_done(run) < run->state.steps) {
        MT_TRY(step(run, err));
        if (is_look_due(run))
            look(run);
        if (opts->should_stop != NULL && opts->should_stop(opts->context)) {
            MT_TRY(save(run, err));
            return MT_FAIL(err, MT_E_CANCELED, "stopped");
        }
        if (is_save_due(run))
            MT_TRY(save(run, err));
    }
    return save(run, err);
}

/* ------------------------------------------------------------------ the whole run */

static mt_rc write_all(struct team_run *run, struct mt_err *err)
{
    struct mt_run__made made = {.steps = run->state.steps,
                                .tokens = run->state.tokens,
                                .spent_ms = run->state.spent_ms};

    for (int a = 0; a < MT_COOP_AGENTS; a++) {
        made.shape = &run->pair.shapes[a];
        made.params = mt_trainer_params(run->pair.trainers[a]);
        MT_TRY(
            mt_run__write_model(run->recipe, run->opts, &made, &run->recipe->outputs[a], err));
    }
    return mt_run__team_card(run->recipe, run->opts, &made, err);
}

mt_rc mt_run__cooperate(const struct mt_recipe *recipe, const struct mt_run_opts *opts,
                        struct mt_err *err)
{
    MT_CLEANUP(team_run_freep) struct team_run *run = mt_alloc(1, sizeof *run);

    if (run == NULL)
        return MT_FAIL(err, MT_E_NOMEM, "cooperation");
    run->recipe = recipe;
    run->opts = opts;
    MT_TRY(open_run(run, err));
    run->began_ns = run->saved_ns = now_ns(run);
    run->began_step = steps_done(run);
    run->began_tokens = run->state.tokens;
    struct mt_run_event event = event_of(run, MT_RUN_BEGAN);
    mt_run__tell(opts, &event);
    if (run->began_step < run->state.steps)
        MT_TRY(loop(run, err));
    return write_all(run, err);
}
