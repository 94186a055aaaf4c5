/* SPDX-License-Identifier: Apache-2.0 */
/* blas.h - OpenBLAS, opened when somebody begins to train.
 *
 * As a dependency of the program it would start its threads before main, in every command, and
 * one of them would take the signals that a command keeps to itself. */
#ifndef MT_TRAIN_BLAS_H
#define MT_TRAIN_BLAS_H

#include "base/err.h"

struct mt_product;

/** Open it, once; any thread. Products run on the caller's thread.
 *  @return MT_OK, MT_E_NOTFOUND (not installed) */
mt_rc mt_train__blas_open(struct mt_err *err);

/** It is open. */
void mt_train__blas_product(const struct mt_product *product);

#endif
