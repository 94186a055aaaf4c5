/* SPDX-License-Identifier: Apache-2.0 */
/* train/decode.h - many sequences generated side by side with a cache of keys and values, for
 * sampling in reinforcement and for quick evaluation inside the trainer. The node itself
 * answers through llama.cpp. Same seed, same tokens. One thread at a time per decoder. */
#ifndef MT_TRAIN_DECODE_H
#define MT_TRAIN_DECODE_H

#include "train/shape.h"

struct mt_decoder;

mt_rc mt_decoder_new(const struct mt_shape *shape, uint32_t sequences_max, uint32_t length_max,
                     struct mt_decoder **out, struct mt_err *err);
void mt_decoder_free(struct mt_decoder *decoder); /* NULL is allowed */

struct mt_decode_item {
    const int32_t *prompt;
    uint32_t prompt_n;
    int32_t *tokens; /* out [length_max]: prompt and what was generated, end token included */
    float *logps;    /* out [length_max] ln p of each generated token at temperature 1, indexed
                        as tokens (0 within the prompt); NULL = not wanted */
    float *
        entropies; /* out [length_max] entropy in nats of the distribution it came from; NULL */
    uint32_t tokens_n; /* out */
    bool is_ended;     /* out: the end token came before the length ran out */
};

struct mt_decode_opts {
    uint32_t new_tokens_max;
    int32_t end_token;
    float temperature;        /* 0 = always the likeliest */
    uint64_t seed;            /* item i of a call draws from (seed, i) */
    const int32_t *forbidden; /* tokens that may not be drawn; NULL */
    uint32_t forbidden_n;
};

/** Items beyond sequences_max are done in turns. */
void mt_decoder_run(struct mt_decoder *decoder, const float *params,
                    struct mt_decode_item *items, uint32_t items_n,
                    const struct mt_decode_opts *opts);

#endif
