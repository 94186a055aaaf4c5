/* SPDX-License-Identifier: Apache-2.0 */
/* matmul.h - the three products of a linear layer y = x W^T. Everything is row-major; W is
 * [outputs x inputs] without gaps. One thread, with a megabyte of stack to spare.
 *
 * In bfloat16 both operands are rounded first and sums stay in float, where the processor has
 * tiles for it (AMX); elsewhere it is the product in float. */
#ifndef MT_TRAIN_MATMUL_H
#define MT_TRAIN_MATMUL_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "train/net.h"

struct mt_rows {
    float *at;
    uint32_t n;     /* rows */
    uint32_t width; /* columns that count */
    size_t step;    /* from row to row, at least width */
};

enum mt_matmul { MT_MATMUL_SETS, MT_MATMUL_ADDS };

/** y = x W^T, or y += x W^T. */
void mt_train__matmul(enum mt_precision precision, struct mt_rows x, const float *w,
                      struct mt_rows y, enum mt_matmul how);

/** x_grad = y_grad W. */
void mt_train__matmul_x_grad(enum mt_precision precision, struct mt_rows y_grad, const float *w,
                             struct mt_rows x_grad);

/** w_grad += y_grad^T x. */
void mt_train__matmul_w_grad(enum mt_precision precision, struct mt_rows y_grad,
                             struct mt_rows x, float *w_grad);

/** Before the first product. @return MT_OK, MT_E_NOTFOUND (OpenBLAS is needed, and not there)
 */
mt_rc mt_train__matmul_init(struct mt_err *err);

/** For tests: as on a processor of the level that these belong to. */
struct mt_ops;
void mt_train__matmul_choose(const struct mt_ops *ops);

#endif
