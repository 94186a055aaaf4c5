/* SPDX-License-Identifier: Apache-2.0 */
/* reference.h - the architecture once more: in double, one position at a time, in the plainest
 * words. What tests compare with, and differentiate by differences. */
#ifndef MT_TRAIN_TESTS_REFERENCE_H
#define MT_TRAIN_TESTS_REFERENCE_H

#include "train/batch.h"
#include "train/shape.h"

/* A row: y = x / rms(x) * gain. */
void ref_norm(const double *x, const double *gain, uint32_t width, double eps, double *y);

/* A row: gate and up side by side. */
void ref_swiglu(const double *gate_up, uint32_t width, double *y);

/* A sequence: rows of queries, keys, values, not rotated. */
void ref_attention(const struct mt_shape *shape, const double *qkv, uint32_t length,
                   double *out);

/* A row: - sum of soft * ln p, or - ln p(target) when soft is NULL. */
double ref_loss(const double *logits, uint32_t vocab_n, int32_t target, const float *soft);

/* A row: y = x W^T. */
void ref_linear(const double *x, uint32_t inputs, const double *w, uint32_t outputs, double *y);

/* What mt_net_sum.loss has to be. */
double ref_net_loss(const struct mt_shape *shape, const double *params,
                    const struct mt_batch *batch);

/* Numbers in [-1, 1), a sequence per seed. */
double ref_random(uint64_t *state);

#endif
