/* SPDX-License-Identifier: Apache-2.0 */
/* Training steps (forward and backward, without the optimiser) of three sizes of model, a net
 * per thread, beside the rate of large square products on as many threads. Seconds are the
 * processor's, so that others on the machine do not count. Each figure is the fastest of many
 * rounds.
 *
 *   micro_train [SHAPE [THREADS]]     pico, nano or mini */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/attr.h"
#include "system/pool.h"
#include "train/net.h"

enum { LENGTH = 128, SEQUENCES = 32, TOKENS = LENGTH * SEQUENCES, THREADS_MAX = 2, ROUNDS = 6 };
static const double round_s = 0.3;

static const struct {
    const char *name;
    struct mt_shape shape;
} models[] = {
#define MODEL(name, layers, width_, ff, heads, kv)                                 \
    {                                                                              \
        name,                                                                      \
        {                                                                          \
            .vocab_n = 262, .context_n = 256, .layers_n = layers, .width = width_, \
            .ff_width = ff, .heads_n = heads, .kv_heads_n = kv, .head_width = 32,  \
            .rope_base = 10000.0F, .norm_eps = 1e-5F, .is_tied = true              \
        }                                                                          \
    }
    MODEL("pico", 3, 64, 192, 2, 1),
    MODEL("nano", 4, 128, 352, 4, 2),
    MODEL("mini", 5, 224, 608, 7, 7),
    MODEL("mini-wide", 4, 256, 704, 8, 4),
#undef MODEL
};

/* What one thread works on: the same kind of batch, its own net and gradients. */
struct shard {
    struct mt_net *net;
    const float *params;
    float *grads;
    struct mt_batch batch;
    unsigned steps;
    double seconds; /* that they took */
};

static int32_t tokens[TOKENS];
static int32_t targets[TOKENS];
static uint32_t starts[SEQUENCES + 1];

/* The last of every four positions of a sequence have targets, or all. */
static void fill_batch(unsigned answer_share)
{
    for (uint32_t i = 0; i < TOKENS; i++) {
        tokens[i] = (int32_t)(i * 7919 % 262);
        targets[i] =
            i % LENGTH >= LENGTH - LENGTH / answer_share ? (int32_t)(i * 104729 % 262) : -1;
    }
    for (uint32_t i = 0; i <= SEQUENCES; i++)
        starts[i] = i * LENGTH;
}

static double thread_seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static void run_steps(void *arg)
{
    struct shard *shard = arg;
    struct mt_net_sum sum;
    double start = thread_seconds();

    for (unsigned i = 0; i < shard->steps; i++)
        mt_net_step(shard->net, shard->params, &shard->batch, 1e-6F, shard->grads, NULL, &sum);
    shard->seconds = thread_seconds() - start;
}

/* Tokens per second of all shards beside each other. */
static double run_shards(struct shard *shards, unsigned threads_n, unsigned steps)
{
    struct mt_pool *pools[THREADS_MAX] = {0};
    double rate = 0.0;

    for (unsigned i = 0; i < threads_n; i++) {
        shards[i].steps = steps;
        MT_ASSERT(mt_pool_new("step", 1, &pools[i], NULL) == MT_OK);
        MT_ASSERT(mt_pool_post(pools[i], run_steps, &shards[i], NULL) == MT_OK);
    }
    for (unsigned i = 0; i < threads_n; i++)
        mt_pool_free(pools[i]);
    for (unsigned i = 0; i < threads_n; i++)
        rate += (double)TOKENS * steps / shards[i].seconds;
    return rate;
}

static double tokens_per_s(struct shard *shards, unsigned threads_n)
{
    double best = run_shards(shards, threads_n, 1);
    unsigned steps = (unsigned)(round_s * best / threads_n / TOKENS) + 1;

    for (unsigned round = 0; round < ROUNDS; round++) {
        double rate = run_shards(shards, threads_n, steps);

        if (rate > best)
            best = rate;
    }
    return best;
}

static void run_model(const char *name, const struct mt_shape *shape, unsigned threads_n,
                      double sgemm_rate)
{
    uint64_t n = mt_shape_params_n(shape);
    MT_CLEANUP(mt_freep) float *params = mt_alloc(n, sizeof *params);
    struct shard shards[THREADS_MAX] = {0};

    MT_ASSERT(params != NULL);
    mt_shape_init(shape, 1, params);
    for (unsigned i = 0; i < threads_n; i++) {
        shards[i] = (struct shard){.params = params,
                                   .grads = mt_alloc(n, sizeof(float)),
                                   .batch = {.tokens = tokens,
                                             .targets = targets,
                                             .starts = starts,
                                             .sequences_n = SEQUENCES,
                                             .tokens_n = TOKENS}};
        MT_ASSERT(shards[i].grads != NULL);
        MT_ASSERT(mt_net_new(shape, TOKENS, &shards[i].net, NULL) == MT_OK);
    }
    for (unsigned share = 1; share <= 4; share += 3) {
        fill_batch(share);
        double rate = tokens_per_s(shards, threads_n);
        double flops = rate * mt_shape_step_flops(shape, LENGTH);

        printf("%-9s %9.0f params  %u threads  targets 1/%u  %9.0f tokens/s  %6.1f GFLOP/s  "
               "%5.1f %% of sgemm\n",
               name, (double)n, threads_n, share, rate, flops * 1e-9,
               100.0 * flops / sgemm_rate);
    }
    for (unsigned i = 0; i < threads_n; i++) {
        mt_net_free(shards[i].net);
        mt_free(shards[i].grads);
    }
}

int main(int argc, char **argv)
{
    unsigned only = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 0;

    for (unsigned threads_n = 1; threads_n <= THREADS_MAX; threads_n++) {
        if (only != 0 && only != threads_n)
            continue;
        double sgemm_rate = mt_net_sgemm_rate(threads_n);

        printf("sgemm     %u threads  %.1f GFLOP/s\n", threads_n, sgemm_rate * 1e-9);
        for (size_t i = 0; i < MT_ARRAY_LEN(models); i++)
            if (argc < 2 || strcmp(argv[1], models[i].name) == 0)
                run_model(models[i].name, &models[i].shape, threads_n, sgemm_rate);
    }
    return 0;
}
