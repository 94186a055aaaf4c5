/* SPDX-License-Identifier: Apache-2.0 */
/* Short answers per second of a nano-sized model by the trainer's decoder, one decoder per
 * thread: prompts that have only their frame in common, and groups of eight answers to one
 * prompt, as reinforcement draws them. The fastest of some rounds, by the clock and by the
 * seconds of the processor (times threads), which neighbours disturb less.
 *
 *   micro_decode [THREADS [SEQUENCES]] */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/attr.h"
#include "system/env.h"
#include "system/pool.h"
#include "train/decode.h"
#include "train/vocab.h"

enum { THREADS_MAX = 2, ITEMS = 2048, LENGTH = 64, ANSWER = 6, ROUNDS = 5, GROUP = 8 };

static const struct mt_shape nano = {.vocab_n = MT_VOCAB_N,
                                     .context_n = 256,
                                     .layers_n = 4,
                                     .width = 128,
                                     .ff_width = 352,
                                     .heads_n = 4,
                                     .kv_heads_n = 2,
                                     .head_width = 32,
                                     .rope_base = 10000.0F,
                                     .norm_eps = 1e-5F,
                                     .is_tied = true};

struct share {
    struct mt_decoder *decoder;
    const float *params;
    struct mt_decode_item items[ITEMS];
    int32_t prompts[ITEMS][LENGTH], tokens[ITEMS][LENGTH];
    float logps[ITEMS][LENGTH], entropies[ITEMS][LENGTH];
};

static void fill(struct share *share, unsigned group)
{
    for (unsigned i = 0; i < ITEMS; i++) {
        char text[24];
        (void)snprintf(text, sizeof text, "%05u reverse %05u", i / group * 7919 % 100000,
                       i / group);
        share->items[i] = (struct mt_decode_item){.prompt = share->prompts[i],
                                                  .tokens = share->tokens[i],
                                                  .logps = share->logps[i],
                                                  .entropies = share->entropies[i]};
        share->items[i].prompt_n = mt_vocab_prompt(mt_str_of(text), share->prompts[i], LENGTH);
    }
}

static void run(void *arg)
{
    struct share *share = arg;
    struct mt_decode_opts opts = {
        .new_tokens_max = ANSWER, .end_token = -1, .temperature = 1, .seed = 1};

    mt_decoder_run(share->decoder, share->params, share->items, ITEMS, &opts);
}

struct rate {
    double wall, processor; /* answers per second */
};

static double processor_s(void)
{
    struct timespec t;

    MT_ASSERT(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t) == 0);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static struct rate answers_per_s(struct share *const *shares, unsigned threads_n)
{
    struct rate best = {0};

    for (unsigned round = 0; round < ROUNDS; round++) {
        struct mt_pool *pools[THREADS_MAX] = {0};
        int64_t start_ns = mt_env_now_mono_ns(mt_env_real());
        double start_s = processor_s();
        for (unsigned i = 0; i < threads_n; i++) {
            MT_ASSERT(mt_pool_new("decode", 1, &pools[i], NULL) == MT_OK);
            MT_ASSERT(mt_pool_post(pools[i], run, shares[i], NULL) == MT_OK);
        }
        for (unsigned i = 0; i < threads_n; i++)
            mt_pool_free(pools[i]);
        double answers = (double)ITEMS * threads_n;
        double wall = answers / ((double)(mt_env_now_mono_ns(mt_env_real()) - start_ns) * 1e-9);
        double processor = answers * threads_n / (processor_s() - start_s);
        best.wall = wall > best.wall ? wall : best.wall;
        best.processor = processor > best.processor ? processor : best.processor;
    }
    return best;
}

int main(int argc, char **argv)
{
    unsigned threads_n = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : THREADS_MAX;
    unsigned sequences = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 64;
    MT_CLEANUP(mt_freep) float *params = mt_alloc(mt_shape_params_n(&nano), sizeof *params);
    struct share *shares[THREADS_MAX] = {0};

    MT_ASSERT(params != NULL && threads_n >= 1 && threads_n <= THREADS_MAX);
    mt_shape_init(&nano, 1, params);
    for (unsigned i = 0; i < threads_n; i++) {
        shares[i] = mt_alloc(1, sizeof *shares[i]);
        MT_ASSERT(shares[i] != NULL);
        shares[i]->params = params;
        MT_ASSERT(mt_decoder_new(&nano, sequences, LENGTH, &shares[i]->decoder, NULL) == MT_OK);
    }
    for (unsigned group = 1; group <= GROUP; group += GROUP - 1) {
        for (unsigned i = 0; i < threads_n; i++)
            fill(shares[i], group);
        struct rate rate = answers_per_s(shares, threads_n);
        printf(
            "%u threads of %u sequences, groups of %u: %.0f answers/s, %.0f by the processor "
            "(prompts of %u tokens, answers of %d)\n",
            threads_n, sequences, group, rate.wall, rate.processor,
            (unsigned)shares[0]->items[0].prompt_n, ANSWER);
    }
    for (unsigned i = 0; i < threads_n; i++) {
        mt_decoder_free(shares[i]->decoder);
        mt_free(shares[i]);
    }
    return 0;
}
