/* SPDX-License-Identifier: Apache-2.0 */
#include "train/reinforce.h"

#include <string.h>

#include "base/alloc.h"
#include "base/attr.h"
#include "train/vocab.h"

struct mt_reinforce {
    struct mt_trainer *trainer;
    struct mt_reinforce_opts opts;
    struct mt_reinforce_source source;
    struct mt_rollout *rollout;
    struct mt_net *net; /* for the reference */
    float *ref;         /* [params_n] */
    struct mt_help help;
    struct mt_help_group *groups; /* [prompts_n] */
    struct mt_help_trace *traces; /* [prompts_n x traces_n] */
    char *bytes;                  /* one answer */
    uint64_t steps_n;
};

void mt_reinforce_free(struct mt_reinforce *r)
{
    if (r == NULL)
        return;
    mt_rollout_free(r->rollout);
    mt_net_free(r->net);
    mt_free(r->ref);
    mt_free(r->groups);
    mt_free(r->traces);
    mt_free(r->bytes);
    mt_free(r);
}

static void free_reinforce(struct mt_reinforce **reinforce)
{
    mt_reinforce_free(*reinforce);
}

static mt_rc check_opts(const struct mt_reinforce_opts *opts, struct mt_err *err)
{
    if (!(opts->temperature > 0))
        return MT_FAIL(err, MT_E_INVALID, "reinforce: temperature %g: expected more than 0",
                       (double)opts->temperature);
    if (!(opts->kl >= 0))
        return MT_FAIL(err, MT_E_INVALID, "reinforce: kl %g: expected 0 or more", opts->kl);
    if (opts->help_limit > 1 ||
        (opts->help_limit >= 0 && !(opts->help_worth > 0 && opts->help_worth < 1)))
        return MT_FAIL(err, MT_E_INVALID,
                       "reinforce: help limit %g and worth %g: expected at most 1, and between "
                       "0 and 1",
                       opts->help_limit, opts->help_worth);
    if (opts->rollout.traces_n < 2 || opts->rollout.traces_n > MT_HELP_TRACES_MAX)
        return MT_FAIL(err, MT_E_INVALID, "reinforce: %u traces per prompt: expected 2 to %d",
                       opts->rollout.traces_n, MT_HELP_TRACES_MAX);
    return MT_OK;
}

static bool get_memory(struct mt_reinforce *r, uint64_t params_n)
{
    const struct mt_rollout_opts *rollout = &r->opts.rollout;

    r->ref = mt_alloc(params_n, sizeof *r->ref);
    r->groups = mt_alloc(rollout->prompts_n, sizeof *r->groups);
    r->traces = mt_alloc((size_t)rollout->prompts_n * rollout->traces_n, sizeof *r->traces);
    r->bytes = mt_alloc(rollout->new_max + 16, 1);
    return r->ref != NULL && r->groups != NULL && r->traces != NULL && r->bytes != NULL;
}

/* What the model is now, it is pulled back to. */
static void keep_reference(struct mt_reinforce *r)
{
    uint64_t params_n = mt_shape_params_n(mt_trainer_shape(r->trainer));

    memcpy(r->ref, mt_trainer_params(r->trainer), params_n * sizeof *r->ref);
}

/* Asking begins as another way to end: its token is given what stands for the end token. From
 * what it was made with, a long way of steps would lead there, through all other weights. */
static void begin_as_end(struct mt_trainer *trainer)
{
    const struct mt_shape *shape = mt_trainer_shape(trainer);
    const struct mt_plan plan = mt_shape_plan(shape);
    float *params = mt_trainer_params(trainer);
    const uint64_t tables[] = {plan.embd, plan.out}; /* the same one when tied */
    size_t width = shape->width;

    for (size_t i = 0; i < MT_ARRAY_LEN(tables); i++)
        memcpy(params + tables[i] + MT_TOKEN_CALL_CLOUD * width,
               params + tables[i] + MT_TOKEN_IM_END * width, width * sizeof *params);
}

mt_rc mt_reinforce_new(struct mt_trainer *trainer, const struct mt_reinforce_opts *opts,
                       const struct mt_reinforce_source *source, struct mt_reinforce **out,
                       struct mt_err *err)
{
    const struct mt_shape *shape = mt_trainer_shape(trainer);
    uint64_t params_n = mt_shape_params_n(shape);

    MT_TRY(check_opts(opts, err));
    MT_CLEANUP(free_reinforce) struct mt_reinforce *r = mt_alloc(1, sizeof *r);

    if (r == NULL)
        return MT_FAIL(err, MT_E_NOMEM, "reinforce");
    r->trainer = trainer;
    r->opts = *opts;
    r->source = *source;
    r->help = (struct mt_help){.limit = opts->help_limit < 0 ? 0 : opts->help_limit,
                               .worth = opts->help_worth,
                               .price_rate = opts->help_price_rate};
    MT_TRY(mt_rollout_new(shape, &opts->rollout, &r->rollout, err));
    if (!get_memory(r, params_n))
        return MT_FAIL(err, MT_E_NOMEM, "reinforce: no memory for the reference");
    MT_TRY(mt_net_new(shape, mt_rollout_tokens_max(&opts->rollout), &r->net, err));
    if (opts->help_limit >= 0 && opts->warmup_steps > 0)
        begin_as_end(trainer);
    keep_reference(r);
    *out = MT_MOVE(r);
    return MT_OK;
}

static void set_prompts(struct mt_reinforce *r)
{
    const struct mt_rollout_opts *rollout = &r->opts.rollout;
    uint32_t *n;

    for (uint32_t i = 0; i < rollout->prompts_n; i++) {
        int32_t *tokens = mt_rollout_prompt(r->rollout, i, &n);

        *n = r->source.prompt(r->source.ctx, r->steps_n, i, tokens, rollout->prompt_max);
    }
}

static bool is_warming_up(const struct mt_reinforce *r)
{
    return r->opts.help_limit >= 0 && r->steps_n < r->opts.warmup_steps;
}

static void draw(struct mt_reinforce *r)
{
    static const int32_t call[] = {MT_TOKEN_CALL_CLOUD};
    const struct mt_decode_opts opts = {
        .new_tokens_max = r->opts.rollout.new_max,
        .end_token = MT_TOKEN_IM_END,
        .temperature = r->opts.temperature,
        .seed = r->opts.seed + r->steps_n,
        .forbidden = call,
        .forbidden_n = r->opts.help_limit < 0 || is_warming_up(r),
    };

    mt_rollout_draw(r->rollout, mt_trainer_params(r->trainer), &opts);
}

static bool has_token(const struct mt_trace *trace, int32_t token)
{
    for (uint32_t i = 0; i < trace->tokens_n; i++)
        if (trace->tokens[i] == token)
            return true;
    return false;
}

/* An answer that never ended is wrong, whatever it says. */
static struct mt_help_trace judge_trace(struct mt_reinforce *r, uint32_t i,
                                        const struct mt_trace *trace)
{
    struct mt_help_trace told = {.asked = has_token(trace, MT_TOKEN_CALL_CLOUD)};

    if (!told.asked && trace->is_ended)
        told.is_right = r->source.is_right(
            r->source.ctx, i, mt_vocab_bytes(trace->tokens, trace->tokens_n, r->bytes));
    return told;
}

static void judge(struct mt_reinforce *r, struct mt_help_report *report)
{
    const struct mt_rollout_opts *rollout = &r->opts.rollout;

    for (uint32_t i = 0; i < rollout->prompts_n; i++) {
        struct mt_help_trace *traces = &r->traces[(size_t)i * rollout->traces_n];

        for (uint32_t j = 0; j < rollout->traces_n; j++) {
            struct mt_trace trace = mt_rollout_trace(r->rollout, i, j);

            traces[j] = judge_trace(r, i, &trace);
        }
        r->groups[i] = (struct mt_help_group){
            .traces = traces,
            .traces_n = rollout->traces_n,
            .is_helper_right =
                r->opts.help_limit >= 0 && r->source.is_helper_right(r->source.ctx, i),
            .advantages = mt_rollout_advantages(r->rollout, i),
        };
    }
    mt_help_judge(&r->help, r->groups, rollout->prompts_n, report);
}

/* What the model had right it learns again, to stay what it is; behind what it had wrong, taken
 * as it was drawn, it learns to ask where the helper is right, and else to end. */
static void show_help(struct mt_reinforce *r)
{
    const struct mt_rollout_opts *rollout = &r->opts.rollout;

    for (uint32_t i = 0; i < rollout->prompts_n; i++) {
        const struct mt_help_group *group = &r->groups[i];

        for (uint32_t j = 0; j < rollout->traces_n; j++) {
            bool is_for_help = !group->traces[j].is_right && group->is_helper_right;
            bool is_shown = mt_rollout_trace(r->rollout, i, j).is_ended &&
                            (!is_for_help ||
                             mt_rollout_put_before_end(r->rollout, i, j, MT_TOKEN_CALL_CLOUD));

            group->advantages[j] = is_shown ? 1 : 0;
            if (!group->traces[j].is_right)
                mt_rollout_weigh_last(r->rollout, i, j, is_for_help ? 2 : 1);
        }
    }
}

/* What the step learns from: in its own steps also traces where all earned the same, for the
 * pull alone leads back from "always". */
static void make_batch(struct mt_reinforce *r, struct mt_batch *batch)
{
    bool is_warm = !is_warming_up(r);
    struct mt_batch lessons;

    if (!is_warm)
        show_help(r);
    mt_rollout_batch(r->rollout, is_warm ? r->opts.kl : 0, r->ref, r->net, batch);
    if (r->source.lessons == NULL)
        return;
    r->source.lessons(r->source.ctx, r->steps_n, &lessons);
    mt_rollout_add(r->rollout, &lessons, batch);
}

mt_rc mt_reinforce_step(struct mt_reinforce *r, struct mt_reinforce_report *report,
                        struct mt_err *err)
{
    struct mt_batch batch;

    *report = (struct mt_reinforce_report){.has_stepped = false};
    set_prompts(r);
    draw(r);
    if (is_warming_up(r)) {
        double price = r->help.price;
        judge(r, &report->help);
        r->help.price = report->help.price = price; /* nobody could ask */
    } else
        judge(r, &report->help);
    make_batch(r, &batch);
    report->tokens_n = batch.tokens_n;
    report->has_stepped = batch.tokens_n > 0;
    if (report->has_stepped)
        MT_TRY(mt_trainer_step(r->trainer, &batch, NULL, &report->step, err));
    bool was_warming_up = is_warming_up(r);
    r->steps_n++;
    if (was_warming_up && !is_warming_up(r))
        keep_reference(r);
    return MT_OK;
}

uint64_t mt_reinforce_steps_done(const struct mt_reinforce *r)
{
    return r->steps_n;
}

double mt_reinforce_price(const struct mt_reinforce *r)
{
    return r->help.price;
}

void mt_reinforce_seek(struct mt_reinforce *r, uint64_t steps_done, double price)
{
    r->steps_n = steps_done;
    r->help.price = price;
}
