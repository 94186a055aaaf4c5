/* SPDX-License-Identifier: Apache-2.0 */
#include "train/trainer.h"

#include <sched.h>

#include "base/alloc.h"
#include "muon.h"
#include "trainer_priv.h"

enum { LINE = 16 }; /* floats of a cache line: arrays begin at one */

static unsigned cores(void)
{
    cpu_set_t set;

    if (sched_getaffinity(0, sizeof set, &set) != 0)
        return 1;
    int n = CPU_COUNT(&set);
    return n > MT_TEAM_THREADS_MAX ? MT_TEAM_THREADS_MAX : (unsigned)n;
}

static void fill_defaults(struct mt_trainer_opts *opts)
{
    if (opts->threads_n == 0)
        opts->threads_n = cores();
    if (opts->beta1 == 0)
        opts->beta1 = 0.9;
    if (opts->beta2 == 0)
        opts->beta2 = 0.95;
    if (opts->eps == 0)
        opts->eps = 1e-8;
}

static mt_rc check_opts(const struct mt_trainer_opts *opts, struct mt_err *err)
{
    const struct {
        const char *name;
        double value, min, max;
    } rows[] = {
        {"threads", opts->threads_n, 1, MT_TEAM_THREADS_MAX},
        {"tokens of a batch", opts->tokens_max, 1, MT_TRAINER_TOKENS_MAX},
        {"learning rate", opts->rate_max, 0, 1},
        {"last learning rate", opts->rate_min, 0, opts->rate_max},
        {"warm-up steps", (double)opts->warmup_steps, 0, (double)opts->steps},
        {"beta1", opts->beta1, 0, 0.99999},
        {"beta2", opts->beta2, 0, 0.99999},
        {"eps", opts->eps, 1e-30, 1},
        {"weight decay", opts->decay, 0, 1},
        {"clip", opts->clip, 0, 1e9},
    };

    MT_TRY(mt_shape_check(&opts->shape, err));
    for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++)
        if (!(rows[i].value >= rows[i].min && rows[i].value <= rows[i].max))
            return MT_FAIL(err, MT_E_INVALID, "%s: %g is not from %g to %g", rows[i].name,
                           rows[i].value, rows[i].min, rows[i].max);
    return MT_OK;
}

/* One block of floats, cut into arrays that begin at cache lines. */
static mt_rc make_floats(struct mt_trainer *t, struct mt_err *err)
{
    size_t stride = (size_t)(t->params_n + LINE - 1) / LINE * LINE;
    size_t arrays_n = 3 + (size_t)t->opts.threads_n;

    t->floats = mt_alloc(arrays_n * stride + LINE, sizeof(float));
    if (t->floats == NULL)
        return MT_FAIL(err, MT_E_NOMEM, "%llu parameters and their optimiser",
                       (unsigned long long)t->params_n);
    size_t over = (uintptr_t)t->floats / sizeof(float) % LINE;
    float *at = (float *)t->floats + (LINE - over) % LINE;
    t->params = at;
    t->mean = at + stride;
    t->square = at + 2 * stride;
    for (unsigned i = 0; i < t->opts.threads_n; i++)
        t->lanes[i].grads = at + (3 + i) * stride;
    return MT_OK;
}

static mt_rc make_nets(struct mt_trainer *t, struct mt_err *err)
{
    const struct mt_trainer_opts *opts = &t->opts;
    size_t starts_n = (size_t)opts->tokens_max + 1; /* all of a batch may be one shard's */

    t->starts = mt_alloc(opts->threads_n * starts_n, sizeof *t->starts);
    if (t->starts == NULL)
        return MT_FAIL(err, MT_E_NOMEM, "shards of %u tokens", opts->tokens_max);
    for (unsigned i = 0; i < opts->threads_n; i++) {
        t->shards[i].starts = t->starts + i * starts_n;
        MT_TRY(mt_net_new(&opts->shape, opts->tokens_max, &t->lanes[i].net, err));
    }
    return MT_OK;
}

static bool is_hidden(const struct mt_tensor *tensor)
{
    return !tensor->is_vector && mt_str_starts(mt_str_of(tensor->name), MT_STR("blk."));
}

/* Each matrix of Muon's to the member that has the least to do so far. */
static void deal_matrices(struct mt_trainer *t)
{
    double load[MT_TEAM_THREADS_MAX] = {0};

    for (uint32_t i = 0; i < t->tensors_n; i++) {
        const struct mt_tensor *tensor = &t->tensors[i];
        unsigned least = 0;

        t->mover[i] = MT_TRAINER_ADAMW;
        if (t->opts.optimizer != MT_OPTIMIZER_MUON || !is_hidden(tensor))
            continue;
        for (unsigned m = 1; m < t->opts.threads_n; m++)
            if (load[m] < load[least])
                least = m;
        load[least] += mt_muon_flops(tensor->rows, tensor->columns);
        t->mover[i] = (uint8_t)least;
    }
}

static mt_rc make_movers(struct mt_trainer *t, struct mt_err *err)
{
    size_t most = 0;

    t->mover = mt_alloc(t->tensors_n, sizeof *t->mover);
    if (t->mover == NULL)
        return MT_FAIL(err, MT_E_NOMEM, "optimiser");
    deal_matrices(t);
    for (uint32_t i = 0; i < t->tensors_n; i++) {
        size_t n = mt_muon_scratch(t->tensors[i].rows, t->tensors[i].columns);

        if (t->mover[i] != MT_TRAINER_ADAMW && n > most)
            most = n;
    }
    for (unsigned i = 0; most > 0 && i < t->opts.threads_n; i++) {
        t->lanes[i].scratch = mt_alloc(most, sizeof(float));
        if (t->lanes[i].scratch == NULL)
            return MT_FAIL(err, MT_E_NOMEM, "optimiser");
    }
    return MT_OK;
}

static mt_rc make_parts(struct mt_trainer *t, struct mt_err *err)
{
    t->blocks_n = (t->params_n + MT_TRAINER_BLOCK - 1) / MT_TRAINER_BLOCK;
    t->block_squares = mt_alloc((size_t)t->blocks_n, sizeof *t->block_squares);
    t->tensors = mt_alloc(MT_SHAPE_TENSORS_MAX, sizeof *t->tensors);
    t->shards = mt_alloc(t->opts.threads_n, sizeof *t->shards);
    t->lanes = mt_alloc(t->opts.threads_n, sizeof *t->lanes);
    if (t->block_squares == NULL || t->tensors == NULL || t->shards == NULL || t->lanes == NULL)
        return MT_FAIL(err, MT_E_NOMEM, "trainer of %u threads", t->opts.threads_n);
    t->costs = mt_shard_costs(&t->opts.shape);
    t->tensors_n = mt_shape_tensors(&t->opts.shape, t->tensors);
    MT_TRY(make_floats(t, err));
    MT_TRY(make_nets(t, err));
    MT_TRY(make_movers(t, err));
    return mt_team_new(t->opts.threads_n, &t->team, err);
}

static void trainer_freep(struct mt_trainer **trainer)
{
    mt_trainer_free(*trainer);
}

mt_rc mt_trainer_new(const struct mt_trainer_opts *opts, struct mt_trainer **out,
                     struct mt_err *err)
{
    struct mt_trainer_opts filled = *opts;

    fill_defaults(&filled);
    MT_TRY(check_opts(&filled, err));
    MT_CLEANUP(trainer_freep) struct mt_trainer *t = mt_alloc(1, sizeof *t);
    if (t == NULL)
        return MT_FAIL(err, MT_E_NOMEM, "trainer");
    t->opts = filled;
    t->params_n = mt_shape_params_n(&filled.shape);
    MT_TRY(make_parts(t, err));
    mt_shape_init(&filled.shape, filled.seed, t->params);
    *out = MT_MOVE(t);
    return MT_OK;
}

void mt_trainer_free(struct mt_trainer *trainer)
{
    if (trainer == NULL)
        return;
    mt_team_free(trainer->team);
    for (unsigned i = 0; trainer->lanes != NULL && i < trainer->opts.threads_n; i++) {
        mt_net_free(trainer->lanes[i].net);
        mt_free(trainer->lanes[i].scratch);
    }
    mt_free(trainer->mover);
    mt_free(trainer->lanes);
    mt_free(trainer->shards);
    mt_free(trainer->starts);
    mt_free(trainer->floats);
    mt_free(trainer->tensors);
    mt_free(trainer->block_squares);
    mt_free(trainer);
}

const struct mt_shape *mt_trainer_shape(const struct mt_trainer *trainer)
{
    return &trainer->opts.shape;
}

float *mt_trainer_params(struct mt_trainer *trainer)
{
    return trainer->params;
}

uint64_t mt_trainer_steps_done(const struct mt_trainer *trainer)
{
    return trainer->steps_done;
}

unsigned mt_trainer_threads_n(const struct mt_trainer *trainer)
{
    return trainer->opts.threads_n;
}
