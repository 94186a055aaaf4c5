/* SPDX-License-Identifier: Apache-2.0 */
/* train/merge.h - a model between two others, without learning. Pure. */
#ifndef MT_TRAIN_MERGE_H
#define MT_TRAIN_MERGE_H

#include "train/recipe.h"
#include "train/shape.h"

/** Can two models be merged? @return MT_OK, or MT_E_INVALID naming the member that differs */
mt_rc mt_merge_check(const struct mt_shape *a, const struct mt_shape *b, struct mt_err *err);

/** The parameters at t between a (0) and b (1), tensor by tensor: on the line between them, or
 *  on the arc, which keeps the length that a line cuts short. Tensors that point the same way
 *  or are nothing go along the line.
 *  @param out [params_n]; may be a or b
 *  @source Shoemake 1985 for the arc */
void mt_merge(const struct mt_shape *shape, const float *a, const float *b,
              enum mt_recipe_way way, double t, float *out);

#endif
