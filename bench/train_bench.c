/* SPDX-License-Identifier: Apache-2.0 */
/* train_bench LAYERS WIDTH FF HEADS KV_HEADS HEAD_WIDTH VOCAB SEQUENCES LENGTH THREADS SECONDS
 * f32|bf16: training steps (forward, backward, clipping, AdamW) on a batch of SEQUENCES x
 * LENGTH random tokens with a loss on every one, for SECONDS. Prints one line of JSON. With
 * "sgemm THREADS" alone: the machine's rate of large matrix products. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "train/net.h"
#include "train/trainer.h"

enum { WARM_STEPS = 3 };

static double now_s(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void die(const char *what)
{
    fprintf(stderr, "train_bench: %s\n", what);
    exit(1);
}

static uint32_t number(char **argv, int i)
{
    char *end;
    unsigned long n = strtoul(argv[i], &end, 10);

    if (*end != '\0' || n == 0 || n > 1000000)
        die("expected numbers from 1 to 1000000");
    return (uint32_t)n;
}

/* The same numbers as bench/train.py feeds to its peer do not matter; their count does. */
static void fill(struct mt_batch *batch, uint32_t sequences_n, uint32_t length,
                 uint32_t vocab_n)
{
    uint32_t n = sequences_n * length;
    int32_t *tokens = mt_alloc(n, sizeof *tokens);
    int32_t *targets = mt_alloc(n, sizeof *targets);
    uint32_t *starts = mt_alloc(sequences_n + 1, sizeof *starts);
    uint32_t seed = 1;

    if (tokens == NULL || targets == NULL || starts == NULL)
        die("no memory");
    for (uint32_t i = 0; i < n; i++) {
        seed = seed * 1664525 + 1013904223;
        tokens[i] = (int32_t)((seed >> 8) % vocab_n);
        targets[i] = (int32_t)((seed >> 16) % vocab_n);
    }
    for (uint32_t i = 0; i <= sequences_n; i++)
        starts[i] = i * length;
    *batch = (struct mt_batch){.tokens = tokens,
                               .targets = targets,
                               .starts = starts,
                               .sequences_n = sequences_n,
                               .tokens_n = n};
}

int main(int argc, char **argv)
{
    struct mt_err err = {0};
    struct mt_trainer *trainer;
    struct mt_step_report report;
    struct mt_batch batch;

    if (argc == 3 && strcmp(argv[1], "sgemm") == 0) {
        printf("{\"sgemm_flops\": %.6g}\n", mt_net_sgemm_rate(number(argv, 2)));
        return 0;
    }
    if (argc != 13 || (strcmp(argv[12], "f32") != 0 && strcmp(argv[12], "bf16") != 0))
        die("usage: train_bench LAYERS WIDTH FF HEADS KV_HEADS HEAD_WIDTH VOCAB SEQUENCES "
            "LENGTH THREADS SECONDS f32|bf16");
    enum mt_precision precision =
        strcmp(argv[12], "bf16") == 0 ? MT_PRECISION_BF16 : MT_PRECISION_F32;
    fill(&batch, number(argv, 8), number(argv, 9), number(argv, 7));
    const struct mt_trainer_opts opts = {
        .shape = {.vocab_n = number(argv, 7),
                  .context_n = number(argv, 9),
                  .layers_n = number(argv, 1),
                  .width = number(argv, 2),
                  .ff_width = number(argv, 3),
                  .heads_n = number(argv, 4),
                  .kv_heads_n = number(argv, 5),
                  .head_width = number(argv, 6),
                  .rope_base = 10000,
                  .norm_eps = 1e-5f,
                  .is_tied = true},
        .threads_n = number(argv, 10),
        .tokens_max = batch.tokens_n,
        .seed = 1,
        .rate_max = 1e-3,
        .rate_min = 1e-4,
        .steps = 1000,
        .decay = 0.1,
        .clip = 1,
        .precision = precision,
    };

    if (mt_trainer_new(&opts, &trainer, &err) != MT_OK)
        die(err.text);
    for (int i = 0; i < WARM_STEPS; i++)
        if (mt_trainer_step(trainer, &batch, NULL, &report, &err) != MT_OK)
            die(err.text);
    double seconds = number(argv, 11);
    double began = now_s();
    uint64_t steps = 0;

    for (; now_s() - began < seconds; steps++)
        if (mt_trainer_step(trainer, &batch, NULL, &report, &err) != MT_OK)
            die(err.text);
    double rate = (double)steps * batch.tokens_n / (now_s() - began);

    printf("{\"params\": %llu, \"tokens_per_s\": %.6g, \"flops\": %.6g, \"steps\": %llu, "
           "\"has_precision\": %s}\n",
           (unsigned long long)mt_shape_params_n(&opts.shape), rate,
           rate * mt_shape_step_flops(&opts.shape, number(argv, 9)), (unsigned long long)steps,
           mt_net_has(precision) ? "true" : "false");
    mt_trainer_free(trainer);
    return 0;
}
