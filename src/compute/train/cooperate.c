/* SPDX-License-Identifier: Apache-2.0 */
#include "train/cooperate.h"

#include <string.h>

#include "base/alloc.h"
#include "train/vocab.h"

enum { FIRST, SECOND };

struct agent {
    struct mt_trainer *trainer;
    struct mt_rollout *rollouts[MT_COOP_TURNS];
    struct mt_net *net; /* for the reference */
    float *ref;         /* [params_n] */
};

struct mt_coop {
    struct mt_coop_opts opts;
    struct mt_coop_source source;
    struct agent agents[MT_COOP_AGENTS];
    bool (*is_right)[MT_COOP_TURNS][MT_COOP_AGENTS];    /* [prompts_n x traces_n] */
    float (*advantages)[MT_COOP_TURNS][MT_COOP_AGENTS]; /* the same */
    char *bytes;                                        /* one answer */
    uint64_t steps_n;
};

void mt_coop_free(struct mt_coop *coop)
{
    if (coop == NULL)
        return;
    for (int a = 0; a < MT_COOP_AGENTS; a++) {
        for (int turn = 0; turn < MT_COOP_TURNS; turn++)
            mt_rollout_free(coop->agents[a].rollouts[turn]);
        mt_net_free(coop->agents[a].net);
        mt_free(coop->agents[a].ref);
    }
    mt_free(coop->is_right);
    mt_free(coop->advantages);
    mt_free(coop->bytes);
    mt_free(coop);
}

static void free_coop(struct mt_coop **coop)
{
    mt_coop_free(*coop);
}

/* In the second turn every trace has a prompt of its own: what the other said differs. */
static struct mt_rollout_opts opts_of(const struct mt_coop *coop, int turn)
{
    struct mt_rollout_opts opts = coop->opts.rollout;

    if (turn == SECOND && !coop->opts.is_alone) {
        opts.prompts_n *= opts.traces_n;
        opts.traces_n = 1;
    }
    return opts;
}

static mt_rc agent_init(struct mt_coop *coop, struct agent *agent, struct mt_trainer *trainer,
                        struct mt_err *err)
{
    const struct mt_shape *shape = mt_trainer_shape(trainer);
    uint64_t params_n = mt_shape_params_n(shape);

    agent->trainer = trainer;
    for (int turn = 0; turn < MT_COOP_TURNS; turn++) {
        const struct mt_rollout_opts opts = opts_of(coop, turn);

        MT_TRY(mt_rollout_new(shape, &opts, &agent->rollouts[turn], err));
    }
    MT_TRY(mt_net_new(shape, mt_rollout_tokens_max(&coop->opts.rollout), &agent->net, err));
    agent->ref = mt_alloc(params_n, sizeof *agent->ref);
    if (agent->ref == NULL)
        return MT_FAIL(err, MT_E_NOMEM, "cooperate: no memory for a reference");
    memcpy(agent->ref, mt_trainer_params(trainer), params_n * sizeof *agent->ref);
    return MT_OK;
}

mt_rc mt_coop_new(struct mt_trainer *trainers[MT_COOP_AGENTS], const struct mt_coop_opts *opts,
                  const struct mt_coop_source *source, struct mt_coop **out, struct mt_err *err)
{
    size_t all_n = (size_t)opts->rollout.prompts_n * opts->rollout.traces_n;

    if (!(opts->temperature > 0) || !(opts->kl >= 0) || opts->rollout.traces_n < 2)
        return MT_FAIL(
            err, MT_E_INVALID,
            "cooperate: temperature %g, kl %g, %u traces: expected more than 0, at least "
            "0, at least 2",
            (double)opts->temperature, opts->kl, opts->rollout.traces_n);
    MT_CLEANUP(free_coop) struct mt_coop *coop = mt_alloc(1, sizeof *coop);

    if (coop == NULL)
        return MT_FAIL(err, MT_E_NOMEM, "cooperate");
    coop->opts = *opts;
    coop->source = *source;
    coop->is_right = mt_alloc(all_n, sizeof *coop->is_right);
    coop->advantages = mt_alloc(all_n, sizeof *coop->advantages);
    coop->bytes = mt_alloc(opts->rollout.new_max + 16, 1);
    if (coop->is_right == NULL || coop->advantages == NULL || coop->bytes == NULL)
        return MT_FAIL(err, MT_E_NOMEM, "cooperate");
    for (int a = 0; a < MT_COOP_AGENTS; a++)
        MT_TRY(agent_init(coop, &coop->agents[a], trainers[a], err));
    *out = MT_MOVE(coop);
    return MT_OK;
}

static void draw(struct mt_coop *coop, int turn, int a)
{
    static const int32_t call[] = {MT_TOKEN_CALL_CLOUD};
    const struct mt_decode_opts opts = {
        .new_tokens_max = coop->opts.rollout.new_max,
        .end_token = MT_TOKEN_IM_END,
        .temperature = coop->opts.temperature,
        .seed = coop->opts.seed +
                (coop->steps_n * MT_COOP_TURNS + (uint64_t)turn) * MT_COOP_AGENTS + (uint64_t)a,
        .forbidden = call,
        .forbidden_n = 1,
    };

    mt_rollout_draw(coop->agents[a].rollouts[turn], mt_trainer_params(coop->agents[a].trainer),
                    &opts);
}

/* The first turn; alone, the second one as well: other prompts of the same kind. */
static void ask_first(struct mt_coop *coop, int turn)
{
    const struct mt_rollout_opts *opts = &coop->opts.rollout;
    uint64_t step =
        coop->opts.is_alone ? coop->steps_n * MT_COOP_TURNS + (uint64_t)turn : coop->steps_n;
    uint32_t *n;

    for (int a = 0; a < MT_COOP_AGENTS; a++) {
        for (uint32_t i = 0; i < opts->prompts_n; i++) {
            int32_t *tokens = mt_rollout_prompt(coop->agents[a].rollouts[turn], i, &n);

            *n = coop->source.first(coop->source.ctx, step, i, tokens, opts->prompt_max);
        }
        draw(coop, turn, a);
    }
}

static bool has_own_prompts(const struct mt_coop *coop, int turn)
{
    return turn == SECOND && !coop->opts.is_alone;
}

/* Trace k of all that an agent drew in a turn. */
static struct mt_trace trace_of(const struct mt_coop *coop, int turn, int a, uint32_t k)
{
    const struct mt_rollout *rollout = coop->agents[a].rollouts[turn];
    uint32_t traces_n = coop->opts.rollout.traces_n;

    return has_own_prompts(coop, turn) ? mt_rollout_trace(rollout, k, 0)
                                       : mt_rollout_trace(rollout, k / traces_n, k % traces_n);
}

static struct mt_str said(struct mt_coop *coop, const struct mt_trace *trace)
{
    return mt_vocab_bytes(trace->tokens, trace->tokens_n, coop->bytes);
}

static void ask_second(struct mt_coop *coop)
{
    const struct mt_rollout_opts *opts = &coop->opts.rollout;
    uint32_t *n;

    for (int a = 0; a < MT_COOP_AGENTS; a++) {
        for (uint32_t k = 0; k < opts->prompts_n * opts->traces_n; k++) {
            uint32_t i = k / opts->traces_n;
            struct mt_trace other = trace_of(coop, FIRST, MT_COOP_AGENTS - 1 - a, k);
            int32_t *tokens = mt_rollout_prompt(coop->agents[a].rollouts[SECOND], k, &n);

            *n = coop->source.second(coop->source.ctx, coop->steps_n, i, said(coop, &other),
                                     tokens, opts->prompt_max);
        }
        draw(coop, SECOND, a);
    }
}

/* An answer that never ended is wrong, whatever it says. */
static void verify(struct mt_coop *coop, int turn, struct mt_coop_report *report)
{
    const struct mt_rollout_opts *opts = &coop->opts.rollout;
    uint32_t all_n = opts->prompts_n * opts->traces_n;

    for (int a = 0; a < MT_COOP_AGENTS; a++) {
        for (uint32_t k = 0; k < all_n; k++) {
            struct mt_trace trace = trace_of(coop, turn, a, k);
            bool is_right =
                trace.is_ended &&
                coop->source.is_right(coop->source.ctx, k / opts->traces_n, said(coop, &trace));

            coop->is_right[k][turn][a] = is_right;
            report->right[turn][a] += (double)is_right / all_n;
            report->tokens_n += trace.tokens_n;
        }
    }
}

static void judge(struct mt_coop *coop)
{
    const struct mt_rollout_opts *opts = &coop->opts.rollout;

    for (uint32_t i = 0; i < opts->prompts_n; i++) {
        size_t at = (size_t)i * opts->traces_n;

        mt_coop_judge(&coop->is_right[at], opts->traces_n,
                      coop->opts.is_alone ? 0 : coop->opts.discount, &coop->advantages[at]);
    }
}

static mt_rc learn(struct mt_coop *coop, int turn, int a, struct mt_err *err)
{
    const struct mt_rollout_opts *opts = &coop->opts.rollout;
    struct agent *agent = &coop->agents[a];
    struct mt_rollout *rollout = agent->rollouts[turn];
    struct mt_step_report step;
    struct mt_batch batch;

    for (uint32_t k = 0; k < opts->prompts_n * opts->traces_n; k++) {
        float *advantage =
            has_own_prompts(coop, turn)
                ? mt_rollout_advantages(rollout, k)
                : mt_rollout_advantages(rollout, k / opts->traces_n) + k % opts->traces_n;

        *advantage = coop->advantages[k][turn][a];
    }
    mt_rollout_batch(rollout, coop->opts.kl, agent->ref, agent->net, &batch);
    return batch.tokens_n == 0 ? MT_OK
                               : mt_trainer_step(agent->trainer, &batch, NULL, &step, err);
}

mt_rc mt_coop_step(struct mt_coop *coop, struct mt_coop_report *report, struct mt_err *err)
{
    *report = (struct mt_coop_report){.tokens_n = 0};
    ask_first(coop, FIRST);
    verify(coop, FIRST, report);
    if (coop->opts.is_alone)
        ask_first(coop, SECOND);
    else
        ask_second(coop);
    verify(coop, SECOND, report);
    judge(coop);
    coop->steps_n++;
    for (int a = 0; a < MT_COOP_AGENTS; a++)
        for (int turn = 0; turn < MT_COOP_TURNS; turn++)
            MT_TRY(learn(coop, turn, a, err));
    return MT_OK;
}
