/* SPDX-License-Identifier: Apache-2.0 */
#include "wave.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "matmul.h"

/* Rows of one product of the library's, always; and rows of prompts beside one of each
 * sequence. */
enum { PRODUCT_ROWS = 64, PROMPT_ROWS = 256 };

static uint32_t qkv_width(const struct mt_shape *shape)
{
    return (shape->heads_n + 2 * shape->kv_heads_n) * shape->head_width;
}

static uint32_t heads_width(const struct mt_shape *shape)
{
    return shape->heads_n * shape->head_width;
}

static size_t keys_of_slot(const struct mt_wave *wave)
{
    return (size_t)wave->shape.kv_heads_n * wave->shape.head_width * wave->keys_step_;
}

static size_t values_of_slot(const struct mt_wave *wave)
{
    return (size_t)wave->shape.kv_heads_n * wave->length_max *
           mt_train__padded(wave->shape.head_width);
}

static void fill_angles(struct mt_wave *wave)
{
    uint32_t width = wave->shape.head_width;

    for (uint32_t p = 0; p < wave->length_max; p++)
        for (uint32_t d = 0; d < width; d++) {
            size_t at = (size_t)p * mt_train__padded(width) + d;
            double turn = pow((double)wave->shape.rope_base, -(double)(d / 2 * 2) / width);
            wave->cosines_[at] = (float)cos(p * turn);
            wave->sines_[at] = (float)(d % 2 == 0 ? -sin(p * turn) : sin(p * turn));
        }
}

mt_rc mt_train__wave_init(struct mt_wave *wave, const struct mt_shape *shape, uint32_t slots_n,
                          uint32_t length_max, struct mt_err *err)
{
    uint32_t rows_max =
        (slots_n + PROMPT_ROWS + PRODUCT_ROWS - 1) / PRODUCT_ROWS * PRODUCT_ROWS;

    *wave = (struct mt_wave){.shape = *shape,
                             .plan = mt_shape_plan(shape),
                             .ops = mt_train__ops(),
                             .slots_n = slots_n,
                             .length_max = length_max,
                             .rows_max = rows_max,
                             .logits_step = mt_train__padded(shape->vocab_n),
                             .keys_step_ = mt_train__padded(length_max) + 16};
    size_t angles = (size_t)length_max * mt_train__padded(shape->head_width);
    size_t caches = (size_t)shape->layers_n * slots_n;
    const struct {
        float **to;
        size_t n;
    } parts[] = {
        {&wave->logits, (size_t)rows_max * wave->logits_step},
        {&wave->keys_, caches * keys_of_slot(wave)},
        {&wave->values_, caches * values_of_slot(wave)},
        {&wave->cosines_, angles},
        {&wave->sines_, angles},
        {&wave->x_, (size_t)rows_max * shape->width},
        {&wave->normed_, (size_t)rows_max * shape->width},
        {&wave->inverse_, rows_max},
        {&wave->qkv_, (size_t)rows_max * qkv_width(shape)},
        {&wave->heads_, (size_t)rows_max * heads_width(shape)},
        {&wave->gate_up_, (size_t)rows_max * 2 * shape->ff_width},
        {&wave->mixed_, (size_t)rows_max * shape->ff_width},
        {&wave->scratch_, wave->keys_step_ + mt_train__padded(shape->head_width)},
    };

    wave->rows = mt_alloc(rows_max, sizeof *wave->rows);
    wave->copies = mt_alloc(slots_n, sizeof *wave->copies);
    bool is_whole = wave->rows != NULL && wave->copies != NULL;
    for (size_t i = 0; i < MT_ARRAY_LEN(parts) && is_whole; i++) {
        *parts[i].to = mt_alloc(parts[i].n, sizeof(float));
        is_whole = *parts[i].to != NULL;
    }
    if (!is_whole)
        return MT_FAIL(err, MT_E_NOMEM, "caches of %u sequences of %u tokens",
                       (unsigned)slots_n, (unsigned)length_max);
    MT_TRY(mt_train__matmul_init(err));
    fill_angles(wave);
    return MT_OK;
}

void mt_train__wave_fini(struct mt_wave *wave)
{
    float *const parts[] = {wave->logits,  wave->keys_,  wave->values_,  wave->cosines_,
                            wave->sines_,  wave->x_,     wave->normed_,  wave->inverse_,
                            wave->qkv_,    wave->heads_, wave->gate_up_, wave->mixed_,
                            wave->scratch_};

    for (size_t i = 0; i < MT_ARRAY_LEN(parts); i++)
        mt_free(parts[i]);
    mt_free(wave->rows);
    mt_free(wave->copies);
}

/* --- one pass --- */

/* y = x W^T (or y += it). Our own product computes each row alike whatever stands beside it.
 * The library takes other ways for other numbers of rows: it is always given the same number,
 * the last time with rows that nobody needs. */
static void multiply(const struct mt_wave *wave, struct mt_rows x, const float *w,
                     struct mt_rows y, enum mt_matmul how)
{
    uint32_t step = wave->ops->product != NULL ? x.n : PRODUCT_ROWS;

    for (uint32_t r = 0; r < x.n; r += step) {
        struct mt_rows x_part = {x.at + r * x.step, step, x.width, x.step};
        struct mt_rows y_part = {y.at + r * y.step, step, y.width, y.step};
        mt_train__matmul(MT_PRECISION_F32, x_part, w, y_part, how);
    }
}

static struct mt_rows dense(float *at, uint32_t n, uint32_t width)
{
    return (struct mt_rows){.at = at, .n = n, .width = width, .step = width};
}

static void norm(struct mt_wave *wave, uint32_t rows_n, const float *x, const float *gain,
                 float *y)
{
    wave->ops->norm(&(struct mt_norm){.rows = rows_n,
                                      .width = wave->shape.width,
                                      .eps = wave->shape.norm_eps,
                                      .x = x,
                                      .gain = gain,
                                      .inverse = wave->inverse_,
                                      .y = y});
}

static float *keys_of(const struct mt_wave *wave, uint32_t layer, uint32_t slot)
{
    return wave->keys_ + ((size_t)layer * wave->slots_n + slot) * keys_of_slot(wave);
}

static float *values_of(const struct mt_wave *wave, uint32_t layer, uint32_t slot)
{
    return wave->values_ + ((size_t)layer * wave->slots_n + slot) * values_of_slot(wave);
}

static void copy_cells(struct mt_wave *wave, uint32_t layer, const struct mt_wave_copy *copy)
{
    const struct mt_shape *shape = &wave->shape;
    const float *keys = keys_of(wave, layer, copy->from);
    const float *values = values_of(wave, layer, copy->from);
    float *to_keys = keys_of(wave, layer, copy->to);
    float *to_values = values_of(wave, layer, copy->to);
    uint32_t padded = mt_train__padded(shape->head_width);

    for (uint32_t i = 0; i < shape->kv_heads_n * shape->head_width; i++)
        memcpy(to_keys + i * wave->keys_step_, keys + i * wave->keys_step_,
               copy->cells_n * sizeof *keys);
    for (uint32_t h = 0; h < shape->kv_heads_n; h++) {
        size_t at = (size_t)h * wave->length_max * padded;
        memcpy(to_values + at, values + at, (size_t)copy->cells_n * padded * sizeof *values);
    }
}

static struct mt_cached row_of(const struct mt_wave *wave, uint32_t layer, uint32_t i)
{
    const struct mt_shape *shape = &wave->shape;
    const struct mt_wave_row *row = &wave->rows[i];
    uint32_t padded = mt_train__padded(shape->head_width);

    return (struct mt_cached){
        .position = row->position,
        .heads_n = shape->heads_n,
        .kv_heads_n = shape->kv_heads_n,
        .head_width = shape->head_width,
        .scale = 1.0F / sqrtf((float)shape->head_width),
        .cosines = wave->cosines_ + (size_t)row->position * padded,
        .sines = wave->sines_ + (size_t)row->position * padded,
        .qkv = wave->qkv_ + (size_t)i * qkv_width(shape),
        .keys = keys_of(wave, layer, row->slot),
        .keys_step = wave->keys_step_,
        .values = values_of(wave, layer, row->slot),
        .values_of_head = (size_t)wave->length_max * padded,
        .out = wave->heads_ + (size_t)i * heads_width(shape),
        .scratch = wave->scratch_,
    };
}

/* All cells are written before any is looked at: rows of a prompt see each other. */
static void attend(struct mt_wave *wave, uint32_t layer)
{
    for (uint32_t i = 0; i < wave->rows_n; i++) {
        struct mt_cached row = row_of(wave, layer, i);
        wave->ops->remember(&row);
    }
    for (uint32_t i = 0; i < wave->copies_n; i++)
        copy_cells(wave, layer, &wave->copies[i]);
    for (uint32_t i = 0; i < wave->rows_n; i++) {
        struct mt_cached row = row_of(wave, layer, i);
        wave->ops->attend(&row);
    }
}

static void run_layer(struct mt_wave *wave, uint32_t layer, const float *params)
{
    const struct mt_shape *shape = &wave->shape;
    const struct mt_plan *plan = &wave->plan;
    const float *at = params + plan->layer0 + layer * plan->layer_step;
    uint32_t n = wave->rows_n;
    struct mt_rows x = dense(wave->x_, n, shape->width);
    struct mt_rows normed = dense(wave->normed_, n, shape->width);
    struct mt_rows qkv = dense(wave->qkv_, n, qkv_width(shape));
    struct mt_rows heads = dense(wave->heads_, n, heads_width(shape));
    struct mt_rows gate_up = dense(wave->gate_up_, n, 2 * shape->ff_width);
    struct mt_rows mixed = dense(wave->mixed_, n, shape->ff_width);

    norm(wave, n, x.at, at + plan->attn_norm, normed.at);
    multiply(wave, normed, at + plan->qkv, qkv, MT_MATMUL_SETS);
    attend(wave, layer);
    multiply(wave, heads, at + plan->attn_out, x, MT_MATMUL_ADDS);
    norm(wave, n, x.at, at + plan->ffn_norm, normed.at);
    multiply(wave, normed, at + plan->gate_up, gate_up, MT_MATMUL_SETS);
    wave->ops->swiglu(&(struct mt_swiglu){
        .rows = n, .width = shape->ff_width, .gate_up = gate_up.at, .y = mixed.at});
    multiply(wave, mixed, at + plan->down, x, MT_MATMUL_ADDS);
}

/* The rows whose logits are wanted move to the front. */
static uint32_t gather_wanted(struct mt_wave *wave)
{
    uint32_t width = wave->shape.width;
    uint32_t n = 0;

    for (uint32_t i = 0; i < wave->rows_n; i++)
        if (wave->rows[i].is_wanted)
            memmove(wave->x_ + (size_t)n++ * width, wave->x_ + (size_t)i * width,
                    width * sizeof *wave->x_);
    return n;
}

void mt_train__wave_run(struct mt_wave *wave, const float *params)
{
    const struct mt_plan *plan = &wave->plan;
    uint32_t width = wave->shape.width;

    MT_ASSERT(wave->rows_n <= wave->rows_max && wave->copies_n <= wave->slots_n);
    for (uint32_t i = 0; i < wave->rows_n; i++) {
        const struct mt_wave_row *row = &wave->rows[i];
        MT_ASSERT(row->position < wave->length_max && row->slot < wave->slots_n);
        MT_ASSERT(row->token >= 0 && (uint32_t)row->token < wave->shape.vocab_n);
        memcpy(wave->x_ + (size_t)i * width, params + plan->embd + (size_t)row->token * width,
               width * sizeof *wave->x_);
    }
    for (uint32_t layer = 0; layer < wave->shape.layers_n; layer++)
        run_layer(wave, layer, params);
    uint32_t wanted_n = gather_wanted(wave);
    norm(wave, wanted_n, wave->x_, params + plan->out_norm, wave->normed_);
    uint64_t out = wave->shape.is_tied ? plan->embd : plan->out;
    struct mt_rows logits = {wave->logits, wanted_n, wave->shape.vocab_n, wave->logits_step};
    multiply(wave, dense(wave->normed_, wanted_n, width), params + out, logits, MT_MATMUL_SETS);
}
