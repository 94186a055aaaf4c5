/* SPDX-License-Identifier: Apache-2.0 */
/* train/net.h - forward and backward of the llama architecture on one thread.
 *
 * RMSNorm, rotary positions on neighbouring pairs (2i, 2i+1) as llama.cpp does for this
 * architecture, causal grouped-query attention within each sequence, SwiGLU, tied or untied
 * output, cross-entropy. A batch goes through in chunks of whole sequences that add up to some
 * 512 tokens, and each matrix meets a chunk in one product (one thread: several nets run beside
 * each other, see train/trainer.h); what lies between is fused and runs on the widest vectors
 * that the processor has. Tokens behind a sequence's last target cost nothing, and only
 * positions with a target pass through the last layer's feed-forward and the output.
 *
 * Same inputs, same bits on one machine. Thread rule: one thread at a time per net; params may
 * be shared between nets that only read them. */
#ifndef MT_TRAIN_NET_H
#define MT_TRAIN_NET_H

#include "train/batch.h"
#include "train/shape.h"

struct mt_net;

/* Of the operands of matrix products; everything else is in float. */
enum mt_precision {
    MT_PRECISION_F32,
    MT_PRECISION_BF16, /* where the processor has tiles for it (AMX), elsewhere F32 */
};

/** For batches of up to tokens_max tokens, none of whose sequences is longer than context_n.
 *  Working memory is that of a chunk (or of the longest sequence that may come): about
 *  layers_n * (5 width + 2 ff_width) floats a token.
 *  @return MT_OK, MT_E_NOMEM, MT_E_INVALID (shape), MT_E_NOTFOUND (no OpenBLAS) */
mt_rc mt_net_new(const struct mt_shape *shape, uint32_t tokens_max, struct mt_net **out,
                 struct mt_err *err);
void mt_net_free(struct mt_net *net); /* NULL is allowed */

/** From now on; F32 before. */
void mt_net_set_precision(struct mt_net *net, enum mt_precision precision);
/** Is it more than a name on this processor? Known once a net was made. */
bool mt_net_has(enum mt_precision precision);

struct mt_net_sum {
    double loss;   /* sum over targets of weight * -ln p(target), or the soft cross-entropy */
    double weight; /* sum of |weight| */
    uint32_t right_n; /* targets that were the likeliest token */
    uint32_t targets_n;
};

/** Forward only.
 *  @param logits [targets that are there x vocab_n], or NULL
 *  @param logps [targets that are there] ln p(target), or NULL */
void mt_net_forward(struct mt_net *net, const float *params, const struct mt_batch *batch,
                    float *logits, float *logps, struct mt_net_sum *sum);

/** Forward up to the final norm: what it leaves at each target, whichever the target is.
 *  @param vectors out: [targets that are there x width] */
void mt_net_embed(struct mt_net *net, const float *params, const struct mt_batch *batch,
                  float *vectors);

/** Forward and backward: adds the gradient of (scale * loss) to grads [params_n]. */
void mt_net_step(struct mt_net *net, const float *params, const struct mt_batch *batch,
                 float scale, float *grads, float *logps, struct mt_net_sum *sum);

/** Rate of this machine's sgemm on so many threads at once [FLOP/s], measured on large square
 *  products, OpenBLAS's or our own, whichever is faster; for the benchmark. 0 without memory.
 *  @blocks about a second */
double mt_net_sgemm_rate(unsigned threads_n);

#endif
