/* SPDX-License-Identifier: Apache-2.0 */
/* The loop of a run, and the ways into it: from nothing, from a base, from a checkpoint.
 *
 * Invariant: what decides the next step stands in the trainer and in run.state, and a
 * checkpoint holds both. */
#include "train/run.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "run_priv.h"
#include "system/env.h"
#include "system/file.h"

enum { STATE_MAX = 8 * 1024 * 1024, TRIAL_WARM_STEPS = 3, TRIAL_STEPS_MAX = 200 };

#define TRIAL_NS ((int64_t)3000 * 1000 * 1000)

struct run {
    const struct mt_recipe *recipe;
    const struct mt_run_opts *opts;
    char *checkpoint; /* its path */
    struct mt_shape shape;
    float *base; /* parameters to begin with; NULL: fresh ones */
    struct mt_run__data data;
    struct mt_trainer *trainer;
    struct mt_run__teacher *teacher; /* NULL: none */
    struct mt_embed_room *room;      /* of an embedder's batches; NULL: they are chats */
    struct mt_run__look *look;       /* NULL: none */
    struct mt_run__drill *drill;     /* NULL: it learns from data */
    struct mt_run__state state;
    int64_t began_ns, saved_ns; /* of this session, and when state.spent_ms was last right */
    uint64_t began_step, began_tokens;
};

static void run_fini(struct run *run)
{
    mt_run__drill_free(run->drill);
    mt_run__look_free(run->look);
    mt_run__teacher_free(run->teacher);
    mt_embed_room_free(run->room);
    mt_trainer_free(run->trainer);
    mt_run__data_close(&run->data);
    mt_free(run->base);
    mt_free(run->checkpoint);
}

static int64_t now_ns(const struct run *run)
{
    return mt_env_now_mono_ns(run->opts->env);
}

/* ------------------------------------------------------------------ what it begins with */

static mt_rc open_base(struct run *run, struct mt_err *err)
{
    MT_CLEANUP(mt_freep) char *path = mt_alloc_cstr(run->recipe->base);

    if (path == NULL)
        return MT_FAIL(err, MT_E_NOMEM, "base");
    mt_rc rc = mt_model_read(path, &run->shape, &run->base, run->opts->library_dir, err);
    return rc == MT_OK ? rc : mt_err_wrap(err, rc, "base");
}

static mt_rc open_paths(struct run *run, struct mt_err *err)
{
    MT_CLEANUP(mt_freep) char *name = mt_alloc(run->recipe->name.len + 16, 1);

    if (name == NULL)
        return MT_FAIL(err, MT_E_NOMEM, "checkpoint");
    (void)snprintf(name, run->recipe->name.len + 16, "%.*s.checkpoint",
                   MT_STR_ARG(run->recipe->name));
    run->checkpoint = mt_path_join(run->opts->folder, name);
    if (run->checkpoint == NULL)
        return MT_FAIL(err, MT_E_NOMEM, "checkpoint");
    if (!mt_file_exists(run->opts->folder))
        return MT_FAIL(err, MT_E_NOTFOUND, "folder '%s'", run->opts->folder);
    return MT_OK;
}

static mt_rc check_outputs(const struct run *run, struct mt_err *err)
{
    for (size_t i = 0; i < run->recipe->outputs_n; i++)
        MT_TRY(mt_run__check_output(&run->shape, &run->recipe->outputs[i], err));
    return MT_OK;
}

/* A trainer for a run of that many steps, as it begins. */
static mt_rc open_trainer(struct run *run, uint64_t steps, struct mt_err *err)
{
    const struct mt_recipe *recipe = run->recipe;
    uint64_t warmup_steps = (uint64_t)recipe->warmup_steps;
    const struct mt_trainer_opts opts = {
        .shape = run->shape,
        .threads_n = run->opts->threads_n,
        .tokens_max = mt_run__tokens_max(recipe),
        .seed = (uint64_t)recipe->seed,
        .rate_max = recipe->rate_max,
        .rate_min = recipe->rate_min,
        .warmup_steps = warmup_steps < steps ? warmup_steps : steps,
        .steps = steps,
        .decay = recipe->decay,
        .clip = recipe->clip,
        .optimizer = recipe->optimizer,
        .precision = recipe->precision,
    };

    mt_trainer_free(MT_MOVE(run->trainer));
    MT_TRY(mt_trainer_new(&opts, &run->trainer, err));
    if (run->base != NULL)
        memcpy(mt_trainer_params(run->trainer), run->base,
               (size_t)mt_shape_params_n(&run->shape) * sizeof *run->base);
    return MT_OK;
}

static void next_batch(struct run *run, struct mt_batch *batch)
{
    if (run->room != NULL)
        mt_embed_next(run->room, run->data.items, batch);
    else
        mt_items_next(run->data.items, batch);
    if (run->teacher != NULL)
        mt_run__teach(run->teacher, batch);
}

/* How many steps fit into a time: some are made, measured and forgotten. */
static mt_rc try_steps(struct run *run, uint64_t *out, struct mt_err *err)
{
    int64_t from_ns = now_ns(run);
    int64_t spent_ns = 0;
    uint64_t done = 0;

    MT_TRY(open_trainer(run, TRIAL_STEPS_MAX, err));
    while (done < TRIAL_STEPS_MAX && (done <= TRIAL_WARM_STEPS || spent_ns < TRIAL_NS)) {
        struct mt_step_report report;
        struct mt_batch batch;

        if (done == TRIAL_WARM_STEPS)
            from_ns = now_ns(run);
        next_batch(run, &batch);
        MT_TRY(mt_trainer_step(run->trainer, &batch, NULL, &report, err));
        done++;
        spent_ns = now_ns(run) - from_ns;
    }
    double step_ms = (double)spent_ns / 1e6 / (double)(done - TRIAL_WARM_STEPS);
    double steps = step_ms > 0 ? (double)run->recipe->time_ms / step_ms : 0;
    *out = steps >= 1e9 ? 1000 * 1000 * 1000 : steps >= 1 ? (uint64_t)steps : 1;
    mt_items_seek(run->data.items, 0);
    return MT_OK;
}

/* 0: only a trial can say it. */
static uint64_t steps_told(const struct mt_recipe *recipe)
{
    if (recipe->tokens > 0)
        return (uint64_t)((recipe->tokens + recipe->batch_tokens - 1) / recipe->batch_tokens);
    return (uint64_t)recipe->steps;
}

static mt_rc open_drill(struct run *run, struct mt_err *err)
{
    if (run->recipe->kind != MT_RECIPE_REINFORCE)
        return MT_OK;
    return mt_run__drill_new(run->recipe, run->opts, run->trainer, &run->drill, err);
}

static mt_rc begin(struct run *run, struct mt_err *err)
{
    uint64_t steps = steps_told(run->recipe);

    if (steps == 0)
        MT_TRY(try_steps(run, &steps, err));
    run->state = (struct mt_run__state){.steps = steps, .data_checksum = run->data.checksum};
    MT_TRY(open_trainer(run, steps, err));
    return open_drill(run, err);
}

/* ------------------------------------------------------------------ going on */

/* A trainer that cannot take it says so of its shape; that is the recipe's. */
static mt_rc load(struct run *run, struct mt_buf *state, struct mt_err *err)
{
    struct mt_err why = {0};
    mt_rc rc = mt_trainer_load(run->trainer, run->checkpoint, state, &why);

    if (rc == MT_E_INVALID)
        return MT_FAIL(err, MT_E_EXISTS, "it is of another recipe: %s", why.text);
    if (rc != MT_OK && err != NULL)
        *err = why;
    return rc;
}

/* A checkpoint behind the warm-up was loaded to see how far it is; the reference is what the
 * base becomes by the warm-up, which is made again. */
static mt_rc drill_on(struct run *run, struct mt_err *err)
{
    MT_CLEANUP(mt_buf_fini) struct mt_buf text = MT_BUF_INIT(STATE_MAX);
    uint64_t steps_done = mt_trainer_steps_done(run->trainer);

    MT_TRY(open_trainer(run, run->state.steps, err));
    MT_TRY(open_drill(run, err));
    if (mt_run__drill_is_warm(run->drill, steps_done))
        MT_TRY(mt_run__drill_prepare(run->drill, err));
    MT_TRY(load(run, &text, err));
    mt_run__drill_seek(run->drill, steps_done, run->state.price);
    return MT_OK;
}

static mt_rc load_and_check(struct run *run, struct mt_err *err)
{
    MT_CLEANUP(mt_buf_fini) struct mt_buf text = MT_BUF_INIT(STATE_MAX);
    uint64_t steps = steps_told(run->recipe);

    MT_TRY(open_trainer(run, steps > 0 ? steps : 1, err));
    MT_TRY(load(run, &text, err));
    MT_TRY(mt_run__state_read(mt_buf_str(&text), run->recipe, &run->state, err));
    if (run->state.data_checksum != run->data.checksum)
        return MT_FAIL(err, MT_E_EXISTS, "files of its data have changed");
    if (run->recipe->kind == MT_RECIPE_REINFORCE)
        return drill_on(run, err);
    if (steps > 0)
        return MT_OK;
    mt_buf_clear(&text); /* the schedule is as long as the first session found */
    MT_TRY(open_trainer(run, run->state.steps, err));
    return load(run, &text, err);
}

static mt_rc go_on(struct run *run, struct mt_err *err)
{
    mt_rc rc = load_and_check(run, err);

    if (rc == MT_E_EXISTS)
        return mt_err_wrap(err, rc, "checkpoint '%s' (a fresh run would write over it)",
                           run->checkpoint);
    if (rc != MT_OK)
        return mt_err_wrap(err, rc, "checkpoint '%s'", run->checkpoint);
    mt_items_seek(run->data.items, run->state.position);
    return MT_OK;
}

static mt_rc open_look(struct run *run, struct mt_err *err)
{
    struct mt_err why = {0};

    if (run->recipe->validate_steps == 0 || run->drill != NULL)
        return MT_OK;
    mt_rc rc = mt_run__look_new(run->recipe, run->trainer, &run->look, &why);
    if (rc == MT_E_NOTFOUND) /* no skills: there is nothing to look at */
        return MT_OK;
    if (rc != MT_OK && err != NULL)
        *err = why;
    return rc;
}

static mt_rc open_run(struct run *run, struct mt_err *err)
{
    const struct mt_recipe *recipe = run->recipe;
    enum mt_run_from from = run->opts->from;

    MT_TRY(open_paths(run, err));
    if (recipe->base.len > 0)
        MT_TRY(open_base(run, err));
    else
        run->shape = mt_recipe_shape(recipe);
    MT_TRY(check_outputs(run, err));
    MT_TRY(mt_run__data_open(recipe, &run->shape, &run->data, err));
    if (recipe->kind == MT_RECIPE_DISTILL)
        MT_TRY(mt_run__teacher_new(recipe, run->opts, &run->shape, &run->teacher, err));
    if (recipe->kind == MT_RECIPE_EMBED)
        MT_TRY(mt_run__embed_open(recipe, run->opts, &run->room, err));
    if (from == MT_RUN_CHECKPOINT || (from == MT_RUN_EITHER && mt_file_exists(run->checkpoint)))
        MT_TRY(go_on(run, err));
    else
        MT_TRY(begin(run, err));
    return open_look(run, err);
}

/* ------------------------------------------------------------------ the loop */

static struct mt_run_event event_of(const struct run *run, enum mt_run_what what)
{
    uint64_t step = mt_trainer_steps_done(run->trainer);
    double spent_ms = (double)(now_ns(run) - run->began_ns) / 1e6;
    double done = (double)(step - run->began_step);

    return (struct mt_run_event){
        .what = what,
        .step = step,
        .steps = run->state.steps,
        .tokens = run->state.tokens,
        .params_n = mt_shape_params_n(&run->shape),
        .has_help = run->drill != NULL,
        .tokens_per_s =
            spent_ms > 0 ? (double)(run->state.tokens - run->began_tokens) * 1e3 / spent_ms : 0,
        .left_ms =
            done > 0 ? (int64_t)(spent_ms / done * (double)(run->state.steps - step)) : -1,
        .spent_ms = run->state.spent_ms + (now_ns(run) - run->saved_ns) / 1000000,
    };
}

static mt_rc drill_step(struct run *run, struct mt_err *err)
{
    struct mt_run_event done = {.loss = 0};

    MT_TRY(mt_run__drill_step(run->drill, &run->state, &done, err));
    struct mt_run_event event = event_of(run, MT_RUN_STEP);
    event.loss = done.loss;
    event.rate = done.rate;
    event.grad_norm = done.grad_norm;
    event.asked = done.asked;
    event.own_right = done.own_right;
    event.right = done.right;
    mt_run__tell(run->opts, &event);
    return MT_OK;
}

static mt_rc step(struct run *run, struct mt_err *err)
{
    struct mt_step_report report;
    struct mt_batch batch;

    if (run->drill != NULL)
        return drill_step(run, err);
    next_batch(run, &batch);
    MT_TRY(mt_trainer_step(run->trainer, &batch, NULL, &report, err));
    run->state.tokens += batch.tokens_n;
    run->state.position = mt_items_position(run->data.items);
    struct mt_run_event event = event_of(run, MT_RUN_STEP);
    event.loss = report.loss;
    event.rate = report.rate;
    event.grad_norm = report.grad_norm;
    mt_run__tell(run->opts, &event);
    return MT_OK;
}

static void look(struct run *run)
{
    struct mt_run_event event = event_of(run, MT_RUN_VALIDATED);
    bool is_due = event.step % (uint64_t)run->recipe->validate_steps == 0;

    if (!is_due && event.step < event.steps)
        return;
    if (run->drill != NULL)
        mt_run__drill_look(run->drill, &event);
    else
        mt_run__look(run->look, &event);
    mt_run__tell(run->opts, &event);
}

static mt_rc save(struct run *run, struct mt_err *err)
{
    MT_CLEANUP(mt_buf_fini) struct mt_buf text = MT_BUF_INIT(STATE_MAX);
    int64_t now = now_ns(run);

    run->state.spent_ms += (now - run->saved_ns) / 1000000;
    run->saved_ns = now;
    mt_run__state_write(&run->state, run->recipe, &text);
    MT_TRY(mt_buf_check(&text, "checkpoint", err));
    MT_TRY(mt_trainer_save(run->trainer, run->checkpoint, mt_buf_str(&text), err));
    struct mt_run_event event = event_of(run, MT_RUN_SAVED);
    event.path = run->checkpoint;
    mt_run__tell(run->opts, &event);
    return MT_OK;
}

static bool is_save_due(const struct run *run)
{
    return (now_ns(run) - run->saved_ns) / 1000000 >= run->recipe->checkpoint_ms;
}

static mt_rc loop(struct run *run, struct mt_err *err)
{
    const struct mt_run_opts *opts = run->opts;

    while (mt_trainer_steps_done(run->trainer) < run->state.steps) {
        MT_TRY(step(run, err));
        if (run->look != NULL || (run->drill != NULL && run->recipe->validate_steps > 0))
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

static mt_rc train(struct run *run, struct mt_err *err)
{
    MT_TRY(open_run(run, err));
    run->began_ns = run->saved_ns = now_ns(run);
    run->began_step = mt_trainer_steps_done(run->trainer);
    run->began_tokens = run->state.tokens;
    struct mt_run_event event = event_of(run, MT_RUN_BEGAN);
    mt_run__tell(run->opts, &event);
    if (run->began_step < run->state.steps)
        MT_TRY(loop(run, err));
    const struct mt_run__made made = {
        .shape = &run->shape,
        .params = mt_trainer_params(run->trainer),
        .steps = run->state.steps,
        .tokens = run->state.tokens,
        .spent_ms = run->state.spent_ms,
    };
    return mt_run__write(run->recipe, run->opts, &made, err);
}

mt_rc mt_run(const struct mt_recipe *recipe, const struct mt_run_opts *opts, struct mt_err *err)
{
    MT_CLEANUP(run_fini) struct run run = {.recipe = recipe, .opts = opts};

    switch (recipe->kind) {
    case MT_RECIPE_PRETRAIN:
    case MT_RECIPE_DISTILL:
    case MT_RECIPE_REINFORCE:
    case MT_RECIPE_EMBED:
        return train(&run, err);
    case MT_RECIPE_COOPERATE:
        return mt_run__cooperate(recipe, opts, err);
    case MT_RECIPE_MERGE:
        return mt_run__merge(recipe, opts, err);
    case MT_RECIPE_CHAIN:
        return mt_run__chain(recipe, opts, err);
    }
    return MT_FAIL(err, MT_E_INVALID, "a recipe of no kind");
}
