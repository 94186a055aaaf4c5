/* SPDX-License-Identifier: Apache-2.0 */
#include "train/shape.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/attr.h"

static mt_rc check_ranges(const struct mt_shape *shape, struct mt_err *err)
{
    const struct {
        const char *name;
        uint32_t value, min, max;
    } rows[] = {
        {"vocab_n", shape->vocab_n, 1, MT_SHAPE_VOCAB_MAX},
        {"context_n", shape->context_n, 1, MT_SHAPE_CONTEXT_MAX},
        {"layers_n", shape->layers_n, 1, MT_SHAPE_LAYERS_MAX},
        {"width", shape->width, 1, MT_SHAPE_WIDTH_MAX},
        {"ff_width", shape->ff_width, 1, MT_SHAPE_FF_WIDTH_MAX},
        {"heads_n", shape->heads_n, 1, MT_SHAPE_HEADS_MAX},
        {"kv_heads_n", shape->kv_heads_n, 1, MT_SHAPE_HEADS_MAX},
        {"head_width", shape->head_width, 2, MT_SHAPE_HEAD_WIDTH_MAX},
    };

    for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++)
        if (rows[i].value < rows[i].min || rows[i].value > rows[i].max)
            return MT_FAIL(err, MT_E_INVALID,
                           "%s: expected %" PRIu32 " to %" PRIu32 ", found %" PRIu32,
                           rows[i].name, rows[i].min, rows[i].max, rows[i].value);
    return MT_OK;
}

mt_rc mt_shape_check(const struct mt_shape *shape, struct mt_err *err)
{
    MT_TRY(check_ranges(shape, err));
    if (shape->heads_n % shape->kv_heads_n != 0)
        return MT_FAIL(err, MT_E_INVALID,
                       "kv_heads_n: expected a divisor of heads_n %" PRIu32 ", found %" PRIu32,
                       shape->heads_n, shape->kv_heads_n);
    if (shape->head_width % 2 != 0)
        return MT_FAIL(err, MT_E_INVALID, "head_width: expected an even number, found %" PRIu32,
                       shape->head_width);
    /* Written so that NaN fails. */
    if (!(shape->rope_base >= 1.0F && shape->rope_base <= 1e9F))
        return MT_FAIL(err, MT_E_INVALID, "rope_base: expected 1 to 1e9, found %g",
                       (double)shape->rope_base);
    if (!(shape->norm_eps > 0.0F && shape->norm_eps < 1.0F))
        return MT_FAIL(err, MT_E_INVALID, "norm_eps: expected above 0 and below 1, found %g",
                       (double)shape->norm_eps);
    return MT_OK;
}

struct mt_plan mt_shape_plan(const struct mt_shape *shape)
{
    struct mt_plan plan = {0};
    uint64_t width = shape->width;
    uint64_t heads_width = (uint64_t)shape->heads_n * shape->head_width;
    uint64_t kv_width = (uint64_t)shape->kv_heads_n * shape->head_width;

    plan.qkv = plan.attn_norm + width;
    plan.attn_out = plan.qkv + (heads_width + 2 * kv_width) * width;
    plan.ffn_norm = plan.attn_out + width * heads_width;
    plan.gate_up = plan.ffn_norm + width;
    plan.down = plan.gate_up + 2 * (uint64_t)shape->ff_width * width;
    plan.layer_step = plan.down + width * shape->ff_width;

    plan.layer0 = plan.embd + shape->vocab_n * width;
    plan.out_norm = plan.layer0 + shape->layers_n * plan.layer_step;
    plan.params_n = plan.out_norm + width;
    if (!shape->is_tied) {
        plan.out = plan.params_n;
        plan.params_n += shape->vocab_n * width;
    }
    return plan;
}

uint64_t mt_shape_params_n(const struct mt_shape *shape)
{
    return mt_shape_plan(shape).params_n;
}

static void add_matrix(struct mt_tensor **next, uint64_t at, uint32_t rows, uint32_t columns)
{
    **next = (struct mt_tensor){.at = at, .rows = rows, .columns = columns, .decays = true};
    (*next)++;
}

static void add_vector(struct mt_tensor **next, uint64_t at, uint32_t columns)
{
    **next = (struct mt_tensor){.at = at, .rows = 1, .columns = columns, .is_vector = true};
    (*next)++;
}

static void name_all(struct mt_tensor *from, const struct mt_tensor *to, const char *prefix,
                     const char *const *names)
{
    for (; from < to; from++, names++)
        (void)snprintf(from->name, sizeof from->name, "%s%s.weight", prefix, *names);
}

static void add_layer(struct mt_tensor **next, const struct mt_shape *shape, uint32_t layer)
{
    static const char *const names[] = {"attn_norm", "attn_q",      "attn_k",
                                        "attn_v",    "attn_output", "ffn_norm",
                                        "ffn_gate",  "ffn_up",      "ffn_down"};
    struct mt_plan plan = mt_shape_plan(shape);
    struct mt_tensor *first = *next;
    uint64_t base = plan.layer0 + layer * plan.layer_step;
    uint32_t width = shape->width;
    uint32_t heads_width = shape->heads_n * shape->head_width;
    uint32_t kv_width = shape->kv_heads_n * shape->head_width;
    uint64_t k = base + plan.qkv + (uint64_t)heads_width * width;
    char prefix[16];

    add_vector(next, base + plan.attn_norm, width);
    add_matrix(next, base + plan.qkv, heads_width, width);
    add_matrix(next, k, kv_width, width);
    add_matrix(next, k + (uint64_t)kv_width * width, kv_width, width);
    add_matrix(next, base + plan.attn_out, width, heads_width);
    add_vector(next, base + plan.ffn_norm, width);
    add_matrix(next, base + plan.gate_up, shape->ff_width, width);
    add_matrix(next, base + plan.gate_up + (uint64_t)shape->ff_width * width, shape->ff_width,
               width);
    add_matrix(next, base + plan.down, width, shape->ff_width);
    (void)snprintf(prefix, sizeof prefix, "blk.%" PRIu32 ".", layer);
    name_all(first, *next, prefix, names);
}

uint32_t mt_shape_tensors(const struct mt_shape *shape, struct mt_tensor *out)
{
    static const char *const names[] = {"token_embd", "output_norm", "output"};
    struct mt_plan plan = mt_shape_plan(shape);
    struct mt_tensor *next = out;

    add_matrix(&next, plan.embd, shape->vocab_n, shape->width);
    add_vector(&next, plan.out_norm, shape->width);
    if (!shape->is_tied)
        add_matrix(&next, plan.out, shape->vocab_n, shape->width);
    name_all(out, next, "", names);
    for (uint32_t i = 0; i < shape->layers_n; i++)
        add_layer(&next, shape, i);
    MT_ASSERT(next - out <= MT_SHAPE_TENSORS_MAX);
    return (uint32_t)(next - out);
}

double mt_shape_step_flops(const struct mt_shape *shape, double context_n)
{
    return 6.0 * (double)mt_shape_params_n(shape) +
           12.0 * shape->layers_n * shape->width * context_n;
}

/* splitmix64: Steele, Lea and Flood 2014. */
static uint64_t next_u64(uint64_t *state)
{
    uint64_t z = *state += 0x9E3779B97F4A7C15U;

    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9U;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBU;
    return z ^ (z >> 31);
}

/* Uniform in (0, 1]. */
static double next_unit(uint64_t *state)
{
    return (double)((next_u64(state) >> 11) + 1) * 0x1p-53;
}

static void fill_normal(uint64_t *state, double deviation, float *out, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++) {
        double radius = sqrt(-2.0 * log(next_unit(state)));
        double angle = 2.0 * M_PI * next_unit(state);

        out[i] = (float)(deviation * radius * cos(angle));
    }
}

static bool ends_in_residual(const char *name)
{
    return strstr(name, "attn_output") != NULL || strstr(name, "ffn_down") != NULL;
}

void mt_shape_init(const struct mt_shape *shape, uint64_t seed, float *params)
{
    struct mt_tensor tensors[MT_SHAPE_TENSORS_MAX];
    uint32_t tensors_n = mt_shape_tensors(shape, tensors);
    uint64_t state = seed;

    for (uint32_t i = 0; i < tensors_n; i++) {
        const struct mt_tensor *t = &tensors[i];
        uint64_t n = (uint64_t)t->rows * t->columns;
        double deviation = 0.02;

        if (ends_in_residual(t->name))
            deviation /= sqrt(2.0 * shape->layers_n);
        if (!t->is_vector)
            fill_normal(&state, deviation, params + t->at, n);
        else
            for (uint64_t j = 0; j < n; j++)
                params[t->at + j] = 1.0F;
    }
}
