/* SPDX-License-Identifier: Apache-2.0 */
/* adamw.h - what a step does to flat arrays of floats. Pure; runs on the widest vectors that
 * are worth it (all of it waits for memory). Any cut of an array gives the same result, but for
 * mt_grads_squares(), whose caller keeps to the same cuts. */
#ifndef MT_TRAIN_ADAMW_H
#define MT_TRAIN_ADAMW_H

#include <stddef.h>
#include <stdint.h>

/** One step's constants. @source Loshchilov and Hutter 2019, algorithm 2 */
struct mt_adamw {
    float scale;  /* of the gradient: clipping */
    float mix1;   /* 1 - beta1 */
    float mix2;   /* 1 - beta2 */
    float stride; /* rate / (1 - beta1^step) */
    float root;   /* 1 / sqrt(1 - beta2^step) */
    float eps;
    float keep; /* 1 - rate * decay: what decay leaves of a matrix */
};

/** Elements with the same index belong together. */
struct mt_adamw_arrays {
    float *params;
    float *mean;   /* of the gradient, decaying by beta1 */
    float *square; /* of the gradient's square, decaying by beta2 */
    const float *grads;
};

/** Elements [from, to): params = keep params - stride mean / (root sqrt(square) + eps).
 *  @param keep how->keep, or 1 for what does not decay */
void mt_adamw_apply(const struct mt_adamw *how, const struct mt_adamw_arrays *arrays,
                    uint64_t from, uint64_t to, float keep);

/** to[i] += from[i] */
void mt_grads_add(float *to, const float *from, size_t n);

/** Sum of squares, in double. */
double mt_grads_squares(const float *grads, size_t n);

#endif
