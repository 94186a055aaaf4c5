/* SPDX-License-Identifier: Apache-2.0 */
/* Steps of reinforcement in a run: prompts from the curriculum, and a model of the lab that
 * helps. Step n asks items [n * prompts, (n + 1) * prompts) of the recipe's mixture, so that
 * what a step does depends on its number and the parameters alone. */
#include "base/alloc.h"
#include "run_priv.h"
#include "train/attempt.h"
#include "train/reinforce.h"
#include "train/vocab.h"

enum {
    PROMPT_TOKENS_MAX = MT_ITEM_PROMPT_MAX + 2,
    NEW_TOKENS_MAX = 32, /* the longest right answer, a call for help, the end */
    PROMPTS_MAX = 4096,
};

struct helper {
    struct mt_attempter *attempter; /* NULL: nobody helps */
    float *params;
};

struct mt_run__drill {
    struct mt_reinforce *reinforce;
    struct mt_trainer *trainer;
    struct mt_attempter *own;
    struct helper helper;
    struct mt_items *train, *validation;
    struct mt_items *lessons; /* NULL: none */
    uint32_t lessons_max;     /* tokens of a step's */
    uint32_t prompts_n, looks_n;
    unsigned threads_n;
    uint64_t warmup_steps;
    bool is_helped; /* the helper was asked about this step's prompts */
    struct mt_item items[PROMPTS_MAX];
    struct mt_attempt attempts[PROMPTS_MAX], helps[PROMPTS_MAX];
};

static struct mt_rollout_opts rollout_of(const struct mt_recipe *recipe)
{
    return (struct mt_rollout_opts){.prompts_n = (uint32_t)recipe->prompts,
                                    .traces_n = (uint32_t)recipe->traces,
                                    .prompt_max = PROMPT_TOKENS_MAX,
                                    .new_max = NEW_TOKENS_MAX,
                                    .lessons_max = (uint32_t)recipe->lessons_tokens};
}

uint32_t mt_run__tokens_max(const struct mt_recipe *recipe)
{
    const struct mt_rollout_opts opts = rollout_of(recipe);

    return recipe->kind == MT_RECIPE_REINFORCE ? mt_rollout_tokens_max(&opts)
                                               : (uint32_t)recipe->batch_tokens;
}

/* ------------------------------------------------------------------ what reinforcement asks */

static uint32_t on_prompt(void *ctx, uint64_t step, uint32_t i, int32_t *tokens, uint32_t max)
{
    struct mt_run__drill *drill = ctx;

    if (i == 0)
        mt_items_seek(drill->train, step * drill->prompts_n);
    drill->is_helped = false;
    mt_items_draw(drill->train, &drill->items[i]);
    return mt_vocab_prompt(mt_str_of(drill->items[i].prompt), tokens, max);
}

static bool on_answer(void *ctx, uint32_t i, struct mt_str bytes)
{
    const struct mt_run__drill *drill = ctx;

    return mt_item_is_right(&drill->items[i], bytes);
}

/* The first who asks has all of the step's prompts answered. */
static bool on_help(void *ctx, uint32_t i)
{
    struct mt_run__drill *drill = ctx;

    if (!drill->is_helped)
        mt_attempter_try(drill->helper.attempter, drill->items, drill->prompts_n, drill->helps);
    drill->is_helped = true;
    return drill->helps[i].is_right;
}

/* No step's lessons have as many items as tokens. */
static void on_lessons(void *ctx, uint64_t step, struct mt_batch *out)
{
    struct mt_run__drill *drill = ctx;

    mt_items_seek(drill->lessons, step * drill->lessons_max);
    mt_items_next(drill->lessons, out);
}

/* ------------------------------------------------------------------ making one */

/* A stream of its own: the recipe's mixture, in other batches and another order. */
static mt_rc open_lessons(struct mt_run__drill *drill, const struct mt_recipe *recipe,
                          struct mt_err *err)
{
    struct mt_recipe other = *recipe;

    if (recipe->lessons_tokens == 0)
        return MT_OK;
    other.batch_tokens = recipe->lessons_tokens;
    other.seed = recipe->seed + 1;
    drill->lessons_max = (uint32_t)recipe->lessons_tokens;
    return mt_run__items(&other, MT_SPLIT_TRAIN, &drill->lessons, err);
}

static mt_rc open_helper(struct helper *helper, const struct mt_recipe *recipe,
                         const struct mt_run_opts *opts, struct mt_err *err)
{
    MT_CLEANUP(mt_freep) char *path = mt_alloc_cstr(recipe->helper);
    struct mt_shape shape;

    if (path == NULL)
        return MT_FAIL(err, MT_E_NOMEM, "reinforce.helper");
    mt_rc rc = mt_model_read(path, &shape, &helper->params, opts->library_dir, err);
    if (rc == MT_OK)
        rc = mt_attempter_new(&shape, helper->params, &helper->attempter, err);
    return rc == MT_OK ? rc : mt_err_wrap(err, rc, "reinforce.helper");
}

static void drill_freep(struct mt_run__drill **drill)
{
    mt_run__drill_free(*drill);
}

static mt_rc make_reinforce(struct mt_run__drill *drill, const struct mt_recipe *recipe,
                            struct mt_err *err)
{
    struct mt_reinforce_opts opts = {
        .rollout = rollout_of(recipe),
        .temperature = (float)recipe->rollout_temperature,
        .kl = recipe->kl,
        .help_limit = recipe->helper.len > 0 ? recipe->help_limit : -1,
        .help_worth = recipe->help_worth,
        .help_price_rate = recipe->price_rate,
        .warmup_steps = drill->warmup_steps,
        .seed = (uint64_t)recipe->seed,
    };
    const struct mt_reinforce_source source = {
        on_prompt, on_answer, on_help, drill->lessons != NULL ? on_lessons : NULL, drill};

    opts.rollout.threads_n = drill->threads_n;
    return mt_reinforce_new(drill->trainer, &opts, &source, &drill->reinforce, err);
}

mt_rc mt_run__drill_new(const struct mt_recipe *recipe, const struct mt_run_opts *opts,
                        struct mt_trainer *trainer, struct mt_run__drill **out,
                        struct mt_err *err)
{
    MT_CLEANUP(drill_freep) struct mt_run__drill *drill = mt_alloc(1, sizeof *drill);

    if (drill == NULL)
        return MT_FAIL(err, MT_E_NOMEM, "reinforcement");
    drill->trainer = trainer;
    drill->prompts_n = (uint32_t)recipe->prompts;
    drill->threads_n = mt_trainer_threads_n(trainer);
    drill->looks_n =
        (uint32_t)(recipe->validate_items < PROMPTS_MAX ? recipe->validate_items : PROMPTS_MAX);
    drill->warmup_steps = recipe->helper.len > 0 ? (uint64_t)recipe->rollout_warmup : 0;
    if (recipe->helper.len > 0)
        MT_TRY(open_helper(&drill->helper, recipe, opts, err));
    MT_TRY(mt_run__items(recipe, MT_SPLIT_TRAIN, &drill->train, err));
    MT_TRY(mt_run__items(recipe, MT_SPLIT_VALIDATION, &drill->validation, err));
    MT_TRY(open_lessons(drill, recipe, err));
    MT_TRY(mt_attempter_new(mt_trainer_shape(trainer), mt_trainer_params(trainer), &drill->own,
                            err));
    MT_TRY(make_reinforce(drill, recipe, err));
    *out = MT_MOVE(drill);
    return MT_OK;
}

void mt_run__drill_free(struct mt_run__drill *drill)
{
    if (drill == NULL)
        return;
    mt_reinforce_free(drill->reinforce);
    mt_attempter_free(drill->own);
    mt_attempter_free(drill->helper.attempter);
    mt_free(drill->helper.params);
    mt_items_free(drill->train);
    mt_items_free(drill->validation);
    mt_items_free(drill->lessons);
    mt_free(drill);
}

/* ------------------------------------------------------------------ what a run does with it */

mt_rc mt_run__drill_prepare(struct mt_run__drill *drill, struct mt_err *err)
{
    struct mt_reinforce_report report;

    while (mt_reinforce_steps_done(drill->reinforce) < drill->warmup_steps)
        MT_TRY(mt_reinforce_step(drill->reinforce, &report, err));
    return MT_OK;
}

bool mt_run__drill_is_warm(const struct mt_run__drill *drill, uint64_t steps_done)
{
    return steps_done >= drill->warmup_steps;
}

void mt_run__drill_seek(struct mt_run__drill *drill, uint64_t steps_done, double price)
{
    mt_reinforce_seek(drill->reinforce, steps_done, price);
}

mt_rc mt_run__drill_step(struct mt_run__drill *drill, struct mt_run__state *state,
                         struct mt_run_event *event, struct mt_err *err)
{
    struct mt_reinforce_report report;

    MT_TRY(mt_reinforce_step(drill->reinforce, &report, err));
    if (!report.has_stepped) /* a pull above 0 leaves no trace out */
        return MT_FAIL(err, MT_E_INVALID, "reinforce: no trace ended");
    state->tokens += report.tokens_n;
    state->position = mt_reinforce_steps_done(drill->reinforce) * drill->prompts_n;
    state->price = mt_reinforce_price(drill->reinforce);
    event->loss = report.step.loss;
    event->rate = report.step.rate;
    event->grad_norm = report.step.grad_norm;
    event->asked = report.help.asked;
    event->own_right = report.help.own;
    event->right = report.help.right;
    return MT_OK;
}

void mt_run__drill_look(struct mt_run__drill *drill, struct mt_run_event *event)
{
    uint32_t n = drill->looks_n;
    uint32_t asked_n = 0, own_n = 0;

    mt_items_seek(drill->validation, 0);
    for (uint32_t i = 0; i < n; i++)
        mt_items_draw(drill->validation, &drill->items[i]);
    drill->is_helped = false;
    mt_attempter_try(drill->own, drill->items, n, drill->attempts);
    if (drill->helper.attempter != NULL)
        mt_attempter_try(drill->helper.attempter, drill->items, n, drill->helps);
    event->items_n = n;
    event->right_n = 0;
    for (uint32_t i = 0; i < n; i++) {
        asked_n += drill->attempts[i].has_asked;
        own_n += drill->attempts[i].is_right;
        event->right_n += drill->attempts[i].is_right ||
                          (drill->attempts[i].has_asked && drill->helps[i].is_right);
    }
    event->asked = (double)asked_n / n;
    event->own_right = (double)own_n / n;
    event->right = (double)event->right_n / n;
}
