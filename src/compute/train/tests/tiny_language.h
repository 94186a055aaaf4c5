/* SPDX-License-Identifier: Apache-2.0 */
/* A language of 31 words in which every word has one successor, and a model that is just large
 * enough to learn it within a second. Batches are a function of their number: sequences of
 * different lengths, some tokens without a target, different weights. */
#ifndef MT_TRAIN_TINY_LANGUAGE_H
#define MT_TRAIN_TINY_LANGUAGE_H

#include "train/trainer.h"

enum { TINY_WORDS = 31, TINY_CONTEXT = 24, TINY_SEQUENCES = 8, TINY_TOKENS = 160 };

struct tiny_batch {
    struct mt_batch batch;
    int32_t tokens[TINY_TOKENS];
    int32_t targets[TINY_TOKENS];
    float weights[TINY_TOKENS];
    uint32_t starts[TINY_SEQUENCES + 1];
};

static inline struct mt_shape tiny_shape(void)
{
    return (struct mt_shape){
        .vocab_n = TINY_WORDS + 1,
        .context_n = TINY_CONTEXT,
        .layers_n = 2,
        .width = 24,
        .ff_width = 40,
        .heads_n = 4,
        .kv_heads_n = 2,
        .head_width = 8,
        .rope_base = 10000,
        .norm_eps = 1e-5F,
        .is_tied = true,
    };
}

static inline struct mt_trainer_opts tiny_opts(unsigned threads_n)
{
    return (struct mt_trainer_opts){
        .shape = tiny_shape(),
        .threads_n = threads_n,
        .tokens_max = TINY_TOKENS,
        .seed = 7,
        .rate_max = 1e-2,
        .rate_min = 1e-3,
        .warmup_steps = 10,
        .steps = 200,
        .decay = 0.1,
        .clip = 1,
    };
}

static inline void tiny_batch_fill(struct tiny_batch *b, uint64_t number)
{
    uint64_t chance = number * 0x9e3779b97f4a7c15U + 12345;
    uint32_t n = 0;

    for (uint32_t i = 0; i < TINY_SEQUENCES; i++) {
        chance = chance * 6364136223846793005U + 1442695040888963407U;
        uint32_t length = 5 + (uint32_t)(chance >> 33) % 15;
        int32_t word = 1 + (int32_t)((chance >> 40) % TINY_WORDS);
        b->starts[i] = n;
        for (uint32_t k = 0; k < length; k++, n++) {
            b->tokens[n] = word;
            word = 1 + (word * 3 + 1) % TINY_WORDS;
            b->targets[n] = k == 0 ? -1 : word;
            b->weights[n] = k % 3 == 0 ? 2.0F : 1.0F;
        }
    }
    b->starts[TINY_SEQUENCES] = n;
    b->batch = (struct mt_batch){
        .tokens = b->tokens,
        .targets = b->targets,
        .weights = b->weights,
        .starts = b->starts,
        .sequences_n = TINY_SEQUENCES,
        .tokens_n = n,
    };
}

#endif
