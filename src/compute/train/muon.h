/* SPDX-License-Identifier: Apache-2.0 */
/* muon.h - a step of one hidden matrix along its orthogonalised momentum.
 *
 * The momentum's singular values are all brought near 1, by five rounds of a polynomial of odd
 * powers (Newton-Schulz), so that rare directions learn as fast as common ones. The step is
 * scaled to the size of AdamW's: one learning rate serves both.
 * @source Jordan et al. 2024 (Muon; coefficients of the polynomial); Liu et al., 2502.16982
 * (scale 0.2 sqrt(longer side), weight decay) */
#ifndef MT_TRAIN_MUON_H
#define MT_TRAIN_MUON_H

#include <stddef.h>
#include <stdint.h>

#include "train/net.h"

struct mt_muon {
    enum mt_precision precision; /* of the products */
    float scale;                 /* of the gradient: clipping */
    float momentum;              /* 0.95: what a step leaves of the momentum before */
    float rate;
    float keep; /* 1 - rate * decay */
};

/** Floats of scratch for a matrix of this size. */
size_t mt_muon_scratch(uint32_t rows, uint32_t columns);

/** FLOPs of a step of it. */
double mt_muon_flops(uint32_t rows, uint32_t columns);

/** Move params [rows x columns], and momentum with them. One thread. */
void mt_muon_apply(const struct mt_muon *how, uint32_t rows, uint32_t columns, float *params,
                   float *momentum, const float *grads, float *scratch);

#endif
