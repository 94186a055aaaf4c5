/* SPDX-License-Identifier: Apache-2.0 */
/* The table of recipes, between who keeps it and who reads by it. */
#ifndef MT_TRAIN_RECIPE_PRIV_H
#define MT_TRAIN_RECIPE_PRIV_H

#include "settings/read.h"
#include "train/recipe.h"

extern const struct mt_settings_group mt_recipe__root;
extern const struct mt_settings_group mt_recipe__data; /* of one part of the data */
extern const struct mt_settings_word mt_recipe__kinds[];

/** May it name a file below a folder? It is relative and leads nowhere else. */
bool mt_recipe__is_below(struct mt_str path);

#endif
