/* SPDX-License-Identifier: Apache-2.0 */
#include "reference.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/assert.h"

double ref_random(uint64_t *state)
{
    *state = *state * 6364136223846793005U + 1442695040888963407U;
    return (double)(*state >> 11) * 0x1p-52 - 1.0;
}

static double *numbers(size_t n)
{
    double *memory = mt_alloc(n, sizeof *memory);

    MT_ASSERT(memory != NULL);
    return memory;
}

void ref_norm(const double *x, const double *gain, uint32_t width, double eps, double *y)
{
    double squares = 0.0;

    for (uint32_t i = 0; i < width; i++)
        squares += x[i] * x[i];
    for (uint32_t i = 0; i < width; i++)
        y[i] = x[i] / sqrt(squares / width + eps) * gain[i];
}

void ref_swiglu(const double *gate_up, uint32_t width, double *y)
{
    for (uint32_t i = 0; i < width; i++)
        y[i] = gate_up[i] / (1.0 + exp(-gate_up[i])) * gate_up[width + i];
}

static void rotate(double *head, uint32_t head_width, uint32_t position, double base)
{
    for (uint32_t i = 0; i < head_width; i += 2) {
        double angle = position * pow(base, -(double)i / head_width);
        double x = head[i];
        double y = head[i + 1];

        head[i] = x * cos(angle) - y * sin(angle);
        head[i + 1] = x * sin(angle) + y * cos(angle);
    }
}

static double dot(const double *a, const double *b, uint32_t n)
{
    double sum = 0.0;

    for (uint32_t i = 0; i < n; i++)
        sum += a[i] * b[i];
    return sum;
}

/* One query over the keys up to its own position. */
static void attend(const double *query, const double *keys, const double *values, size_t row,
                   uint32_t keys_n, uint32_t head_width, double *weights, double *out)
{
    double total = 0.0;

    for (uint32_t j = 0; j < keys_n; j++) {
        weights[j] = exp(dot(query, keys + j * row, head_width) / sqrt(head_width));
        total += weights[j];
    }
    memset(out, 0, head_width * sizeof *out);
    for (uint32_t j = 0; j < keys_n; j++)
        for (uint32_t d = 0; d < head_width; d++)
            out[d] += weights[j] / total * values[j * row + d];
}

void ref_attention(const struct mt_shape *shape, const double *qkv, uint32_t length,
                   double *out)
{
    uint32_t width = shape->head_width;
    uint32_t rotated_n = shape->heads_n + shape->kv_heads_n;
    size_t row = (size_t)(rotated_n + shape->kv_heads_n) * width;
    MT_CLEANUP(mt_freep) double *turned = numbers(length * row);
    MT_CLEANUP(mt_freep) double *weights = numbers(length);

    memcpy(turned, qkv, length * row * sizeof *turned);
    for (uint32_t i = 0; i < length; i++)
        for (uint32_t h = 0; h < rotated_n; h++)
            rotate(turned + i * row + h * width, width, i, (double)shape->rope_base);
    for (uint32_t i = 0; i < length; i++)
        for (uint32_t h = 0; h < shape->heads_n; h++) {
            uint32_t g = h / (shape->heads_n / shape->kv_heads_n);

            attend(turned + i * row + h * width, turned + (shape->heads_n + g) * width,
                   turned + (rotated_n + g) * width, row, i + 1, width, weights,
                   out + (i * shape->heads_n + h) * width);
        }
}

double ref_loss(const double *logits, uint32_t vocab_n, int32_t target, const float *soft)
{
    double largest = logits[0];
    double sum = 0.0;
    double loss = 0.0;

    for (uint32_t i = 1; i < vocab_n; i++)
        largest = fmax(largest, logits[i]);
    for (uint32_t i = 0; i < vocab_n; i++)
        sum += exp(logits[i] - largest);
    for (uint32_t i = 0; i < vocab_n; i++) {
        double p = soft != NULL ? (double)soft[i] : (i == (uint32_t)target ? 1.0 : 0.0);

        loss += p * (largest + log(sum) - logits[i]);
    }
    return loss;
}

void ref_linear(const double *x, uint32_t inputs, const double *w, uint32_t outputs, double *y)
{
    for (uint32_t i = 0; i < outputs; i++)
        y[i] = dot(x, w + (size_t)i * inputs, inputs);
}

/* Room for one sequence on its way through the layers. */
struct stage {
    const struct mt_shape *shape;
    struct mt_plan plan;
    uint32_t length;
    uint32_t heads_width, qkv_width;
    double *x, *normed, *qkv, *heads, *gate_up, *inner, *delta, *logits;
};

static void add_to_rows(const struct stage *s)
{
    for (size_t i = 0; i < (size_t)s->length * s->shape->width; i++)
        s->x[i] += s->delta[i];
}

static void norm_rows(const struct stage *s, const double *gain)
{
    uint32_t width = s->shape->width;

    for (uint32_t i = 0; i < s->length; i++)
        ref_norm(s->x + i * width, gain, width, (double)s->shape->norm_eps,
                 s->normed + i * width);
}

static void linear_rows(const struct stage *s, const double *x, uint32_t inputs,
                        const double *w, uint32_t outputs, double *y)
{
    for (uint32_t i = 0; i < s->length; i++)
        ref_linear(x + (size_t)i * inputs, inputs, w, outputs, y + (size_t)i * outputs);
}

static void run_layer(const struct stage *s, const double *params)
{
    uint32_t width = s->shape->width;
    uint32_t ff = s->shape->ff_width;

    norm_rows(s, params + s->plan.attn_norm);
    linear_rows(s, s->normed, width, params + s->plan.qkv, s->qkv_width, s->qkv);
    ref_attention(s->shape, s->qkv, s->length, s->heads);
    linear_rows(s, s->heads, s->heads_width, params + s->plan.attn_out, width, s->delta);
    add_to_rows(s);
    norm_rows(s, params + s->plan.ffn_norm);
    linear_rows(s, s->normed, width, params + s->plan.gate_up, 2 * ff, s->gate_up);
    for (uint32_t i = 0; i < s->length; i++)
        ref_swiglu(s->gate_up + (size_t)i * 2 * ff, ff, s->inner + (size_t)i * ff);
    linear_rows(s, s->inner, ff, params + s->plan.down, width, s->delta);
    add_to_rows(s);
}

static void run_sequence(const struct stage *s, const double *params, const int32_t *tokens)
{
    uint32_t width = s->shape->width;

    for (uint32_t i = 0; i < s->length; i++)
        memcpy(s->x + i * width, params + s->plan.embd + (size_t)tokens[i] * width,
               width * sizeof *s->x);
    for (uint32_t i = 0; i < s->shape->layers_n; i++)
        run_layer(s, params + s->plan.layer0 + i * s->plan.layer_step);
    norm_rows(s, params + s->plan.out_norm);
    linear_rows(s, s->normed, width, params + (s->shape->is_tied ? s->plan.embd : s->plan.out),
                s->shape->vocab_n, s->logits);
}

static struct stage stage_of(const struct mt_shape *shape, uint32_t length, double *room)
{
    struct stage s = {.shape = shape, .plan = mt_shape_plan(shape), .length = length};
    size_t rows = length;

    s.heads_width = shape->heads_n * shape->head_width;
    s.qkv_width = s.heads_width + 2 * shape->kv_heads_n * shape->head_width;
    s.x = room;
    s.normed = s.x + rows * shape->width;
    s.delta = s.normed + rows * shape->width;
    s.qkv = s.delta + rows * shape->width;
    s.heads = s.qkv + rows * s.qkv_width;
    s.gate_up = s.heads + rows * s.heads_width;
    s.inner = s.gate_up + rows * 2 * shape->ff_width;
    s.logits = s.inner + rows * shape->ff_width;
    return s;
}

static size_t room_n(const struct mt_shape *shape)
{
    size_t heads = shape->heads_n + 2 * (size_t)shape->kv_heads_n;

    return 3 * (size_t)shape->width + (heads + shape->heads_n) * shape->head_width +
           3 * (size_t)shape->ff_width + shape->vocab_n;
}

double ref_net_loss(const struct mt_shape *shape, const double *params,
                    const struct mt_batch *batch)
{
    MT_CLEANUP(mt_freep) double *room = numbers(batch->tokens_n * room_n(shape));
    size_t targets_n = 0;
    double loss = 0.0;

    for (uint32_t q = 0; q < batch->sequences_n; q++) {
        uint32_t first = batch->starts[q];
        struct stage s = stage_of(shape, batch->starts[q + 1] - first, room);

        run_sequence(&s, params, batch->tokens + first);
        for (uint32_t i = 0; i < s.length; i++) {
            int32_t target = batch->targets[first + i];

            if (target < 0)
                continue;
            const float *soft =
                batch->soft != NULL ? batch->soft + targets_n * shape->vocab_n : NULL;
            double weight = batch->weights != NULL ? (double)batch->weights[first + i] : 1.0;

            loss += weight * ref_loss(s.logits + (size_t)i * shape->vocab_n, shape->vocab_n,
                                      target, soft);
            targets_n++;
        }
    }
    return loss;
}
