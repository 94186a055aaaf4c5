/* SPDX-License-Identifier: Apache-2.0 */
/* A step, on every member of the team:
 *
 *   gradient of its own shard | meet | its blocks of all gradients summed, and their squares |
 *   meet | everybody reads the same verdict | its blocks of the parameters moved
 *
 * The gradient is cut into blocks of a fixed size whose squares are added in their order, so
 * the norm of the same gradient is the same for any number of threads. */
#include "trainer_priv.h"

#include <math.h>
#include <string.h>

#include "adamw.h"
#include "base/assert.h"
#include "muon.h"

/* Beyond this a square leaves the floats. */
static const double norm_max = 1e18;

/* Numbers too small to matter are taken as 0 meanwhile: processors are slow with them, and
 * moments of weights that never move end there. */
static unsigned flush_tiny(void)
{
#if defined(__x86_64__)
    unsigned before = __builtin_ia32_stmxcsr();

    __builtin_ia32_ldmxcsr(before | 0x8040); /* flush to zero, denormals are zeros */
    return before;
#else
    return 0;
#endif
}

static void flush_as(unsigned before)
{
#if defined(__x86_64__)
    __builtin_ia32_ldmxcsr(before);
#else
    (void)before;
#endif
}

static float *logps_of(const struct mt_trainer *t, unsigned member)
{
    return t->logps == NULL ? NULL : t->logps + t->shards[member].targets_before;
}

static void take_gradient(struct mt_trainer *t, unsigned member)
{
    const struct mt_shard *shard = &t->shards[member];
    struct lane *lane = &t->lanes[member];

    lane->sum = (struct mt_net_sum){0};
    if (shard->targets_n == 0 && member > 0)
        return; /* nobody reads its gradient */
    memset(lane->grads, 0, t->params_n * sizeof *lane->grads);
    mt_net_set_precision(lane->net, t->opts.precision);
    if (shard->targets_n > 0)
        mt_net_step(lane->net, t->params, &shard->batch, t->scale, lane->grads,
                    logps_of(t, member), &lane->sum);
}

/* The first of a member's blocks; the next member's first is where they end. */
static uint64_t first_block(const struct mt_trainer *t, unsigned member)
{
    return t->blocks_n * member / t->opts.threads_n;
}

static uint64_t block_at(const struct mt_trainer *t, uint64_t block)
{
    return block < t->blocks_n ? block * MT_TRAINER_BLOCK : t->params_n;
}

static void sum_gradients(struct mt_trainer *t, unsigned member)
{
    uint64_t end = first_block(t, member + 1);

    for (uint64_t block = first_block(t, member); block < end; block++) {
        uint64_t at = block_at(t, block);
        size_t n = (size_t)(block_at(t, block + 1) - at);
        for (unsigned i = 1; i < t->opts.threads_n; i++)
            if (t->shards[i].targets_n > 0)
                mt_grads_add(t->lanes[0].grads + at, t->lanes[i].grads + at, n);
        t->block_squares[block] = mt_grads_squares(t->lanes[0].grads + at, n);
    }
}

static struct mt_net_sum sum_lanes(const struct mt_trainer *t)
{
    struct mt_net_sum sum = {0};

    for (unsigned i = 0; i < t->opts.threads_n; i++) {
        sum.loss += t->lanes[i].sum.loss;
        sum.weight += t->lanes[i].sum.weight;
        sum.right_n += t->lanes[i].sum.right_n;
        sum.targets_n += t->lanes[i].sum.targets_n;
    }
    return sum;
}

/* Learning rate of the step after steps_done. */
static double rate_of(const struct mt_trainer_opts *opts, uint64_t steps_done)
{
    if (steps_done < opts->warmup_steps)
        return opts->rate_max * (double)(steps_done + 1) / (double)opts->warmup_steps;
    if (steps_done >= opts->steps)
        return opts->rate_min;
    double part =
        (double)(steps_done - opts->warmup_steps) / (double)(opts->steps - opts->warmup_steps);
    return opts->rate_min + (opts->rate_max - opts->rate_min) * (1 + cos(M_PI * part)) / 2;
}

/* What came out of the batch; the same for every member that asks. */
static struct mt_step_report judge(const struct mt_trainer *t)
{
    struct mt_step_report report = {.sum = sum_lanes(t)};
    double squares = 0;

    for (uint64_t i = 0; i < t->blocks_n; i++)
        squares += t->block_squares[i];
    report.grad_norm = sqrt(squares);
    report.loss = report.sum.loss * (double)t->scale;
    report.rate = rate_of(&t->opts, t->steps_done);
    return report;
}

static bool is_usable(const struct mt_step_report *report)
{
    return isfinite(report->loss) && report->grad_norm <= norm_max; /* false for a NaN */
}

static struct mt_adamw constants(const struct mt_trainer *t,
                                 const struct mt_step_report *report)
{
    const struct mt_trainer_opts *opts = &t->opts;
    double step = (double)(t->steps_done + 1);
    bool is_clipped = opts->clip > 0 && report->grad_norm > opts->clip;

    return (struct mt_adamw){
        .scale = is_clipped ? (float)(opts->clip / report->grad_norm) : 1,
        .mix1 = (float)(1 - opts->beta1),
        .mix2 = (float)(1 - opts->beta2),
        .stride = (float)(report->rate / (1 - pow(opts->beta1, step))),
        .root = (float)(1 / sqrt(1 - pow(opts->beta2, step))),
        .eps = (float)opts->eps,
        .keep = (float)(1 - report->rate * opts->decay),
    };
}

static uint64_t u64_min(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t u64_max(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* The matrices that are the member's to move by Muon. */
static void move_matrices(struct mt_trainer *t, unsigned member,
                          const struct mt_step_report *report)
{
    const struct mt_adamw shared = constants(t, report);
    struct mt_muon how = {.precision = t->opts.precision,
                          .scale = shared.scale,
                          .momentum = 0.95F,
                          .rate = (float)report->rate};

    for (uint32_t i = 0; i < t->tensors_n; i++) {
        const struct mt_tensor *tensor = &t->tensors[i];

        if (t->mover[i] != member)
            continue;
        how.keep = tensor->decays ? shared.keep : 1;
        mt_muon_apply(&how, tensor->rows, tensor->columns, t->params + tensor->at,
                      t->mean + tensor->at, t->lanes[0].grads + tensor->at,
                      t->lanes[member].scratch);
    }
}

/* The member's blocks, tensor by tensor: some decay, some do not. */
static void move_params(struct mt_trainer *t, unsigned member,
                        const struct mt_step_report *report)
{
    struct mt_adamw how = constants(t, report);
    struct mt_adamw_arrays arrays = {t->params, t->mean, t->square, t->lanes[0].grads};
    uint64_t first = block_at(t, first_block(t, member));
    uint64_t end = block_at(t, first_block(t, member + 1));

    for (uint32_t i = 0; i < t->tensors_n; i++) {
        const struct mt_tensor *tensor = &t->tensors[i];
        uint64_t tensor_end = tensor->at + (uint64_t)tensor->rows * tensor->columns;
        uint64_t from = u64_max(first, tensor->at);
        uint64_t to = u64_min(end, tensor_end);
        if (from < to && t->mover[i] == MT_TRAINER_ADAMW)
            mt_adamw_apply(&how, &arrays, from, to, tensor->decays ? how.keep : 1);
    }
}

static void step_job(void *arg, unsigned member)
{
    struct mt_trainer *t = arg;
    unsigned before = flush_tiny();

    take_gradient(t, member);
    mt_team_meet(t->team);
    sum_gradients(t, member);
    mt_team_meet(t->team);
    struct mt_step_report report = judge(t);
    if (is_usable(&report)) {
        move_params(t, member, &report);
        move_matrices(t, member, &report);
    }
    flush_as(before);
}

static float *logits_of(const struct mt_trainer *t, unsigned member)
{
    size_t before = t->shards[member].targets_before;

    return t->logits == NULL ? NULL : t->logits + before * t->opts.shape.vocab_n;
}

static void evaluate_job(void *arg, unsigned member)
{
    struct mt_trainer *t = arg;
    struct lane *lane = &t->lanes[member];
    unsigned before = flush_tiny();

    lane->sum = (struct mt_net_sum){0};
    mt_net_set_precision(lane->net, MT_PRECISION_F32);
    if (t->shards[member].targets_n > 0)
        mt_net_forward(lane->net, t->params, &t->shards[member].batch, logits_of(t, member),
                       NULL, &lane->sum);
    flush_as(before);
}

/* ---- from outside ------------------------------------------------------------------ */

/* A batch is made by our own code: what is wrong with it is a bug. */
static void check_batch(const struct mt_trainer *t, const struct mt_batch *batch)
{
    MT_ASSERT(batch->tokens_n <= t->opts.tokens_max && batch->starts[0] == 0);
    MT_ASSERT(batch->starts[batch->sequences_n] == batch->tokens_n);
    for (uint32_t i = 0; i < batch->sequences_n; i++) {
        MT_ASSERT(batch->starts[i] < batch->starts[i + 1]);
        MT_ASSERT(batch->starts[i + 1] - batch->starts[i] <= t->opts.shape.context_n);
    }
    for (uint32_t i = 0; i < batch->tokens_n; i++) {
        MT_ASSERT((uint32_t)batch->tokens[i] < t->opts.shape.vocab_n);
        MT_ASSERT(batch->targets[i] < (int32_t)t->opts.shape.vocab_n);
    }
}

static void deal(struct mt_trainer *t, const struct mt_batch *batch)
{
    mt_shards_deal(batch, &t->costs, t->opts.shape.vocab_n, t->opts.threads_n, t->shards);
}

mt_rc mt_trainer_step(struct mt_trainer *trainer, const struct mt_batch *batch, float *logps,
                      struct mt_step_report *report, struct mt_err *err)
{
    unsigned long long step = trainer->steps_done + 1;

    check_batch(trainer, batch);
    double weight = mt_batch_weight(batch);
    trainer->scale = (float)(1 / weight);
    if (!(trainer->scale > 0) || !isfinite(trainer->scale))
        return MT_FAIL(err, MT_E_INVALID, "step %llu: targets of total weight %g", step,
                       weight);
    deal(trainer, batch);
    trainer->logps = logps;
    mt_team_run(trainer->team, step_job, trainer);
    struct mt_step_report found = judge(trainer);
    if (!is_usable(&found))
        return MT_FAIL(err, MT_E_INVALID, "step %llu: loss %g, norm of the gradient %g", step,
                       found.loss, found.grad_norm);
    trainer->steps_done++;
    *report = found;
    return MT_OK;
}

void mt_trainer_evaluate(struct mt_trainer *trainer, const struct mt_batch *batch,
                         float *logits, struct mt_net_sum *sum)
{
    check_batch(trainer, batch);
    deal(trainer, batch);
    trainer->logits = logits;
    mt_team_run(trainer->team, evaluate_job, trainer);
    *sum = sum_lanes(trainer);
}
