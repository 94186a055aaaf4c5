/* SPDX-License-Identifier: Apache-2.0 */
/* wave.h - one forward pass over rows of many sequences, each with its own cache.
 *
 * A row is one token of one sequence: a generated one, or one of a prompt. All rows go through
 * each matrix together. No row's result depends on which others there are. */
#ifndef MT_TRAIN_WAVE_H
#define MT_TRAIN_WAVE_H

#include "ops.h"
#include "train/shape.h"

struct mt_wave_row {
    uint32_t slot; /* whose cache */
    uint32_t position;
    int32_t token;
    bool is_wanted; /* its logits are */
};

/** Before this wave looks at them, cells [0, cells_n) of one slot are copied to another. */
struct mt_wave_copy {
    uint32_t from, to, cells_n;
};

struct mt_wave {
    struct mt_shape shape;
    struct mt_plan plan;
    const struct mt_ops *ops;
    uint32_t slots_n, length_max, rows_max;
    /* to be filled in: rows of a slot in order, everything before a row is in the cache or in
     * the wave; copies are done in order */
    struct mt_wave_row *rows; /* [rows_max] */
    uint32_t rows_n;
    struct mt_wave_copy *copies; /* [slots_n] */
    uint32_t copies_n;
    float *logits; /* out [wanted rows x logits_step] */
    uint32_t logits_step;
    /* Each layer has slots_n caches of keys [kv_heads x head_width x keys_step], a column per
     * position, and of values [kv_heads x length_max x padded head_width]. */
    float *keys_, *values_;
    size_t keys_step_;
    float *cosines_, *sines_; /* [length_max x padded head_width] */
    float *x_, *normed_, *inverse_, *qkv_, *heads_, *gate_up_, *mixed_, *scratch_;
};

/** shape has passed mt_shape_check(). @return MT_OK, MT_E_NOMEM (then too, fini) */
mt_rc mt_train__wave_init(struct mt_wave *wave, const struct mt_shape *shape, uint32_t slots_n,
                          uint32_t length_max, struct mt_err *err);
void mt_train__wave_fini(struct mt_wave *wave);

void mt_train__wave_run(struct mt_wave *wave, const float *params);

#endif
