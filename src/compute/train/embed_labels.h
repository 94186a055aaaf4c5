/* SPDX-License-Identifier: Apache-2.0 */
/* embed_labels.h - what an embedder learns to say of an item. Pure; any thread. */
#ifndef MT_TRAIN_EMBED_LABELS_H
#define MT_TRAIN_EMBED_LABELS_H

#include <stdint.h>

#include "curriculum/curriculum.h"

/** Probabilities over the vocabulary, which add up to 1.
 *  @param row [MT_VOCAB_N] */
void mt_train__embed_label(const struct mt_item *item, float *row);

/** The label of its skill, the likeliest in the row. */
int32_t mt_train__embed_skill(enum mt_skill skill);

#endif
