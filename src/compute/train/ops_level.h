/* SPDX-License-Identifier: Apache-2.0 */
/* ops_level.h - the tables of the levels, and the functions of each that stand in a file of
 * their own. MT_OPS_LEVEL is set where a level is compiled. */
#ifndef MT_TRAIN_OPS_LEVEL_H
#define MT_TRAIN_OPS_LEVEL_H

#include "ops.h"

extern const struct mt_ops mt_train__ops_base, mt_train__ops_avx2, mt_train__ops_avx512;

#ifdef MT_OPS_LEVEL
void MT_OPS(product)(const struct mt_product *product);
void MT_OPS(attention)(const struct mt_attention *attention);
void MT_OPS(attention_back)(const struct mt_attention *attention);
void MT_OPS(remember)(const struct mt_cached *row);
void MT_OPS(attend)(const struct mt_cached *row);
#endif

#endif
