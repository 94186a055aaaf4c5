/* SPDX-License-Identifier: Apache-2.0 */
#include "train/cooperate.h"

#include <string.h>

#include "base/alloc.h"
#include "mix.h"
#include "train/vocab.h"

/* What an agent draws: the two turns, or by itself twice as many first answers. */
enum { FIRST, SECOND, ALONE };
enum { DRAWS_N = ALONE + 1 };

struct agent {
    struct mt_trainer *trainer;
    struct mt_rollout *rollouts[DRAWS_N]; /* ALONE only for who needs it */
    struct mt_net *net;                   /* for the reference */
    float *ref;                           /* [params_n] */
};

struct mt_coop {
    struct mt_coop_opts opts;
    struct mt_coop_source source;
    struct agent agents[MT_COOP_AGENTS];
    bool (*is_right)[MT_COOP_TURNS][MT_COOP_AGENTS];    /* [2 prompts_n x traces_n] */
    float (*advantages)[MT_COOP_TURNS][MT_COOP_AGENTS]; /* the same */
    char *bytes;                                        /* one answer */
    /* both turns of one agent as one batch */
    int32_t *tokens, *targets;
    float *weights;
    uint32_t *starts;
    uint64_t steps_n;
};

uint32_t mt_coop_tokens_max(const struct mt_rollout_opts *opts)
{
    return MT_COOP_TURNS * mt_rollout_tokens_max(opts);
}

void mt_coop_free(struct mt_coop *coop)
{
    if (coop == NULL)
        return;
    for (int a = 0; a < MT_COOP_AGENTS; a++) {
        for (int which = 0; which < DRAWS_N; which++)
            mt_rollout_free(coop->agents[a].rollouts[which]);
        mt_net_free(coop->agents[a].net);
        mt_free(coop->agents[a].ref);
    }
    mt_free(coop->is_right);
    mt_free(coop->advantages);
    mt_free(coop->bytes);
    mt_free(coop->tokens);
    mt_free(coop->targets);
    mt_free(coop->weights);
    mt_free(coop->starts);
    mt_free(coop);
}

static void free_coop(struct mt_coop **coop)
{
    mt_coop_free(*coop);
}

/* ------------------------------------------------------------------ making one */

/* In the second turn every trace has a prompt of its own: what the other said differs. */
static struct mt_rollout_opts opts_of(const struct mt_coop *coop, int which)
{
    struct mt_rollout_opts opts = coop->opts.rollout;

    if (which == SECOND) {
        opts.prompts_n *= opts.traces_n;
        opts.traces_n = 1;
    }
    if (which == ALONE)
        opts.prompts_n *= MT_COOP_TURNS;
    return opts;
}

/* What the agent is now, it is pulled back to. */
static void keep_reference(struct agent *agent)
{
    uint64_t params_n = mt_shape_params_n(mt_trainer_shape(agent->trainer));

    memcpy(agent->ref, mt_trainer_params(agent->trainer), params_n * sizeof *agent->ref);
}

static mt_rc agent_init(struct mt_coop *coop, struct agent *agent, struct mt_trainer *trainer,
                        struct mt_err *err)
{
    const struct mt_shape *shape = mt_trainer_shape(trainer);
    int draws_n = coop->opts.is_alone ? DRAWS_N : MT_COOP_TURNS;

    agent->trainer = trainer;
    for (int which = 0; which < draws_n; which++) {
        const struct mt_rollout_opts opts = opts_of(coop, which);

        MT_TRY(mt_rollout_new(shape, &opts, &agent->rollouts[which], err));
    }
    MT_TRY(mt_net_new(shape, mt_coop_tokens_max(&coop->opts.rollout), &agent->net, err));
    agent->ref = mt_alloc(mt_shape_params_n(shape), sizeof *agent->ref);
    if (agent->ref == NULL)
        return MT_FAIL(err, MT_E_NOMEM, "cooperate: no memory for a reference");
    keep_reference(agent);
    return MT_OK;
}

static bool get_memory(struct mt_coop *coop)
{
    const struct mt_rollout_opts *rollout = &coop->opts.rollout;
    size_t tokens_n = mt_coop_tokens_max(rollout);
    size_t traces_n = (size_t)MT_COOP_TURNS * rollout->prompts_n * rollout->traces_n;

    coop->is_right = mt_alloc(traces_n, sizeof *coop->is_right);
    coop->advantages = mt_alloc(traces_n, sizeof *coop->advantages);
    coop->bytes = mt_alloc(rollout->new_max + 16, 1);
    coop->tokens = mt_alloc(tokens_n, sizeof *coop->tokens);
    coop->targets = mt_alloc(tokens_n, sizeof *coop->targets);
    coop->weights = mt_alloc(tokens_n, sizeof *coop->weights);
    coop->starts = mt_alloc(traces_n + 1, sizeof *coop->starts);
    return coop->is_right != NULL && coop->advantages != NULL && coop->bytes != NULL &&
           coop->tokens != NULL && coop->targets != NULL && coop->weights != NULL &&
           coop->starts != NULL;
}

static mt_rc check_opts(const struct mt_coop_opts *opts, struct mt_err *err)
{
    if (!(opts->temperature > 0) || !(opts->kl >= 0) || opts->rollout.traces_n < 2)
        return MT_FAIL(
            err, MT_E_INVALID,
            "cooperate: temperature %g, kl %g, %u traces: expected more than 0, at least "
            "0, at least 2",
            (double)opts->temperature, opts->kl, opts->rollout.traces_n);
    if (!(opts->discount >= 0 && opts->discount <= 1))
        return MT_FAIL(err, MT_E_INVALID, "cooperate: discount %g: expected 0 to 1",
                       opts->discount);
    return MT_OK;
}

mt_rc mt_coop_new(struct mt_trainer *trainers[MT_COOP_AGENTS], const struct mt_coop_opts *opts,
                  const struct mt_coop_source *source, struct mt_coop **out, struct mt_err *err)
{
    MT_TRY(check_opts(opts, err));
    MT_CLEANUP(free_coop) struct mt_coop *coop = mt_alloc(1, sizeof *coop);

    if (coop == NULL)
        return MT_FAIL(err, MT_E_NOMEM, "cooperate");
    coop->opts = *opts;
    coop->source = *source;
    for (int a = 0; a < MT_COOP_AGENTS; a++)
        MT_TRY(agent_init(coop, &coop->agents[a], trainers[a], err));
    if (!get_memory(coop))
        return MT_FAIL(err, MT_E_NOMEM, "cooperate");
    *out = MT_MOVE(coop);
    return MT_OK;
}

/* ------------------------------------------------------------------ asking */

static bool is_warming_up(const struct mt_coop *coop)
{
    return coop->steps_n < coop->opts.warmup_steps;
}

/* The draw of first answers that this step makes. */
static int first_of(const struct mt_coop *coop)
{
    return coop->opts.is_alone && !is_warming_up(coop) ? ALONE : FIRST;
}

static uint32_t asked_n(const struct mt_coop *coop)
{
    return opts_of(coop, first_of(coop)).prompts_n;
}

static uint32_t traces_n(const struct mt_coop *coop)
{
    return asked_n(coop) * coop->opts.rollout.traces_n;
}

/* In the warm-up from what the agent was at the beginning: what learned from its own answers of
 * now would drift, with nothing to hold it. */
static const float *speaker(const struct mt_coop *coop, int a)
{
    const struct agent *agent = &coop->agents[a];

    return is_warming_up(coop) ? agent->ref : mt_trainer_params(agent->trainer);
}

static void draw(struct mt_coop *coop, int which, int a)
{
    static const int32_t call[] = {MT_TOKEN_CALL_CLOUD};
    const struct mt_decode_opts opts = {
        .new_tokens_max = coop->opts.rollout.new_max,
        .end_token = MT_TOKEN_IM_END,
        .temperature = coop->opts.temperature,
        .seed = coop->opts.seed + (coop->steps_n * DRAWS_N + (uint64_t)which) * MT_COOP_AGENTS +
                (uint64_t)a,
        .forbidden = call,
        .forbidden_n = 1,
    };

    mt_rollout_draw(coop->agents[a].rollouts[which], speaker(coop, a), &opts);
}

static void ask_first(struct mt_coop *coop)
{
    int which = first_of(coop);
    uint32_t n = asked_n(coop);
    uint32_t *tokens_n;

    for (int a = 0; a < MT_COOP_AGENTS; a++) {
        for (uint32_t i = 0; i < n; i++) {
            int32_t *tokens = mt_rollout_prompt(coop->agents[a].rollouts[which], i, &tokens_n);

            *tokens_n = coop->source.first(coop->source.ctx, coop->steps_n * n + i, i, tokens,
                                           coop->opts.rollout.prompt_max);
        }
        draw(coop, which, a);
    }
}

/* Where trace k of all that an agent drew stands. */
struct place {
    uint32_t i, j;
};

static struct place place_of(const struct mt_coop *coop, int which, uint32_t k)
{
    uint32_t n = opts_of(coop, which).traces_n;

    return (struct place){k / n, k % n};
}

static struct mt_trace trace_of(const struct mt_coop *coop, int which, int a, uint32_t k)
{
    struct place at = place_of(coop, which, k);

    return mt_rollout_trace(coop->agents[a].rollouts[which], at.i, at.j);
}

static struct mt_str said(struct mt_coop *coop, const struct mt_trace *trace)
{
    return mt_vocab_bytes(trace->tokens, trace->tokens_n, coop->bytes);
}

/* Each agent's second prompts, with what the other said. */
static void set_second(struct mt_coop *coop, int a)
{
    uint32_t *n;

    for (uint32_t k = 0; k < traces_n(coop); k++) {
        struct mt_trace other = trace_of(coop, FIRST, MT_COOP_AGENTS - 1 - a, k);
        int32_t *tokens = mt_rollout_prompt(coop->agents[a].rollouts[SECOND], k, &n);

        *n = coop->source.second(coop->source.ctx, k / coop->opts.rollout.traces_n,
                                 said(coop, &other), tokens, coop->opts.rollout.prompt_max);
    }
}

/* ------------------------------------------------------------------ judging */

/* An answer that never ended is wrong, whatever it says. */
static void verify(struct mt_coop *coop, int which, int turn, struct mt_coop_report *report)
{
    uint32_t all_n = traces_n(coop);

    for (int a = 0; a < MT_COOP_AGENTS; a++) {
        for (uint32_t k = 0; k < all_n; k++) {
            struct mt_trace trace = trace_of(coop, which, a, k);
            bool is_right =
                trace.is_ended &&
                coop->source.is_right(coop->source.ctx, k / coop->opts.rollout.traces_n,
                                      said(coop, &trace));

            coop->is_right[k][turn][a] = is_right;
            report->right[turn][a] += (double)is_right / all_n;
            report->tokens_n += trace.tokens_n;
        }
    }
    report->turns_n++;
}

static void judge(struct mt_coop *coop)
{
    uint32_t group_n = coop->opts.rollout.traces_n;

    for (uint32_t i = 0; i < asked_n(coop); i++) {
        size_t at = (size_t)i * group_n;

        mt_coop_judge(&coop->is_right[at], group_n,
                      coop->opts.is_alone ? 0 : coop->opts.discount, &coop->advantages[at]);
    }
}

static float *advantage_of(struct mt_coop *coop, int which, int a, uint32_t k)
{
    struct place at = place_of(coop, which, k);

    return mt_rollout_advantages(coop->agents[a].rollouts[which], at.i) + at.j;
}

static void set_advantages(struct mt_coop *coop, int which, int turn)
{
    for (int a = 0; a < MT_COOP_AGENTS; a++)
        for (uint32_t k = 0; k < traces_n(coop); k++)
            *advantage_of(coop, which, a, k) = coop->advantages[k][turn][a];
}

/* ------------------------------------------------------------------ the warm-up */

/* Own first answers stay what they are, each as good as another. */
static void keep_first(struct mt_coop *coop, int a)
{
    for (uint32_t k = 0; k < traces_n(coop); k++)
        *advantage_of(coop, FIRST, a, k) = trace_of(coop, FIRST, a, k).is_ended ? 1 : 0;
}

/* In the second turn an agent says its own answer again, or the other's: by chance alone. */
static void pretend_second(struct mt_coop *coop, int a)
{
    uint64_t chance = mt_train__mix(
        coop->opts.seed ^ mt_train__mix(MT_COOP_AGENTS * coop->steps_n + (uint64_t)a));

    set_second(coop, a);
    for (uint32_t k = 0; k < traces_n(coop); k++) {
        chance = mt_train__mix(chance);
        int whose = chance >> 63 ? a : MT_COOP_AGENTS - 1 - a;
        const struct mt_trace trace = trace_of(coop, FIRST, whose, k);

        mt_rollout_put(coop->agents[a].rollouts[SECOND], k, 0, &trace);
        *advantage_of(coop, SECOND, a, k) = trace.is_ended ? 1 : 0;
    }
}

/* ------------------------------------------------------------------ learning */

/* Put a batch behind what has been joined so far. */
static void join(struct mt_coop *coop, struct mt_batch *all, const struct mt_batch *part)
{
    memcpy(coop->tokens + all->tokens_n, part->tokens, part->tokens_n * sizeof *part->tokens);
    memcpy(coop->targets + all->tokens_n, part->targets,
           part->tokens_n * sizeof *part->targets);
    memcpy(coop->weights + all->tokens_n, part->weights,
           part->tokens_n * sizeof *part->weights);
    for (uint32_t i = 0; i <= part->sequences_n; i++)
        coop->starts[all->sequences_n + i] = all->tokens_n + part->starts[i];
    all->sequences_n += part->sequences_n;
    all->tokens_n += part->tokens_n;
    all->divisor += part->divisor;
}

/* One move of an agent along all that it drew: both turns were drawn from what it was. */
static mt_rc learn(struct mt_coop *coop, int a, double kl, struct mt_coop_report *report,
                   struct mt_err *err)
{
    struct agent *agent = &coop->agents[a];
    int first = first_of(coop);
    struct mt_batch all = {.tokens = coop->tokens,
                           .targets = coop->targets,
                           .weights = coop->weights,
                           .starts = coop->starts};
    struct mt_step_report step = {.rate = 0};

    for (int which = first; which <= (first == FIRST ? SECOND : ALONE); which++) {
        struct mt_batch part;

        mt_rollout_batch(agent->rollouts[which], kl, agent->ref, agent->net, &part);
        join(coop, &all, &part);
    }
    if (all.tokens_n > 0)
        MT_TRY(mt_trainer_step(agent->trainer, &all, NULL, &step, err));
    report->loss += step.loss / MT_COOP_AGENTS;
    report->grad_norm += step.grad_norm / MT_COOP_AGENTS;
    report->rate = step.rate;
    return MT_OK;
}

static void warm_up(struct mt_coop *coop, struct mt_coop_report *report)
{
    ask_first(coop);
    verify(coop, FIRST, 0, report);
    for (int a = 0; a < MT_COOP_AGENTS; a++) {
        keep_first(coop, a);
        pretend_second(coop, a);
    }
}

static void practise(struct mt_coop *coop, struct mt_coop_report *report)
{
    int first = first_of(coop);

    ask_first(coop);
    verify(coop, first, 0, report);
    for (int a = 0; first == FIRST && a < MT_COOP_AGENTS; a++) {
        set_second(coop, a);
        draw(coop, SECOND, a);
    }
    if (first == FIRST)
        verify(coop, SECOND, 1, report);
    judge(coop);
    set_advantages(coop, first, 0);
    if (first == FIRST)
        set_advantages(coop, SECOND, 1);
}

mt_rc mt_coop_step(struct mt_coop *coop, struct mt_coop_report *report, struct mt_err *err)
{
    double kl = is_warming_up(coop) ? 0 : coop->opts.kl;

    *report = (struct mt_coop_report){.tokens_n = 0};
    if (is_warming_up(coop))
        warm_up(coop, report);
    else
        practise(coop, report);
    for (int a = 0; a < MT_COOP_AGENTS; a++)
        MT_TRY(learn(coop, a, kl, report, err));
    coop->steps_n++;
    for (int a = 0; coop->steps_n == coop->opts.warmup_steps && a < MT_COOP_AGENTS; a++)
        keep_reference(&coop->agents[a]);
    return MT_OK;
}

uint64_t mt_coop_steps_done(const struct mt_coop *coop)
{
    return coop->steps_n;
}

void mt_coop_seek(struct mt_coop *coop, uint64_t steps_done)
{
    coop->steps_n = steps_done;
}
