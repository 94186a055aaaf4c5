/* SPDX-License-Identifier: Apache-2.0 */
/* train/decode.h - many sequences generated side by side with a cache of keys and values, for
 * sampling in reinforcement and for quick evaluation inside the trainer. The node itself
 * answers through llama.cpp.
 *
 * Same parameters, items and seed: same tokens, logps and entropies, however many sequences run
 * together. What a prompt has in common with the prompt of the item before it is taken from
 * there: put answers to one prompt next to each other. One thread at a time per decoder;
 * several decoders may share params. */
#ifndef MT_TRAIN_DECODE_H
#define MT_TRAIN_DECODE_H

#include "train/shape.h"

struct mt_decoder;

enum { MT_DECODE_SEQUENCES_MAX = 4096 };

/** @param sequences_max at a time, up to MT_DECODE_SEQUENCES_MAX; 64 to 256 are fast
 *  @param length_max of prompt and answer together, up to the shape's context. Memory: about
 *  sequences_max * length_max * layers_n * 2 kv_heads_n * head_width floats
 *  @return MT_OK, MT_E_INVALID, MT_E_NOMEM */
mt_rc mt_decoder_new(const struct mt_shape *shape, uint32_t sequences_max, uint32_t length_max,
                     struct mt_decoder **out, struct mt_err *err);
void mt_decoder_free(struct mt_decoder *decoder); /* NULL is allowed */

struct mt_decode_item {
    const int32_t *prompt;
    uint32_t prompt_n; /* 1 to length_max */
    int32_t *tokens;   /* out [length_max]: prompt and what was generated, end token included */
    float *logps;      /* out [length_max] ln p of each generated token in the model's whole
                          distribution at temperature 1, as mt_net_forward() has it, whatever was
                          forbidden; indexed as tokens (0 within the prompt); NULL = not wanted */
    float *entropies;  /* out [length_max] of that distribution, in nats; NULL */
    uint32_t tokens_n; /* out */
    bool is_ended;     /* out: the end token came before the length ran out */
};

struct mt_decode_opts {
    uint32_t new_tokens_max;
    int32_t end_token;
    float temperature;        /* 0 = always the likeliest */
    uint64_t seed;            /* item i of a call draws from (seed, i) */
    const int32_t *forbidden; /* tokens that may not be drawn (not all there are); NULL */
    uint32_t forbidden_n;
};

/** Items beyond sequences_max take the places of those that have ended. Tokens of prompts are
 *  in [0, vocab_n). */
void mt_decoder_run(struct mt_decoder *decoder, const float *params,
                    struct mt_decode_item *items, uint32_t items_n,
                    const struct mt_decode_opts *opts);

#endif
