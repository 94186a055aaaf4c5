/* SPDX-License-Identifier: Apache-2.0 */
/* Attention of one row to a cache. Keys stand with a column per position, so that sixteen
 * positions are weighed at a time; positions behind the row's own within the last sixteen are
 * masked, whatever the cells hold. */
#include <math.h>

#include "ops_level.h"
#include "vec.h"

enum { BLOCKS = 4 };

static vec rotated(const struct mt_cached *t, const float *from, uint32_t d)
{
    vec x = vec_load_n(from + d, t->head_width - d);

    return x * vec_load(t->cosines + d) + vec_swap(x) * vec_load(t->sines + d);
}

void MT_OPS(remember)(const struct mt_cached *t)
{
    uint32_t width = t->head_width;
    const float *k = t->qkv + t->heads_n * width;
    const float *v = k + t->kv_heads_n * width;

    for (uint32_t h = 0; h < t->kv_heads_n; h++, k += width, v += width) {
        float *keys = t->keys + h * width * t->keys_step + t->position;
        float *values =
            t->values + h * t->values_of_head + (size_t)t->position * vec_padded(width);
        for (uint32_t d = 0; d < width; d += VEC) {
            vec x = rotated(t, k, d);
            for (uint32_t i = 0; i < VEC && d + i < width; i++)
                keys[(d + i) * t->keys_step] = x[i];
            vec_store(values + d, vec_load_n(v + d, width - d));
        }
    }
}

VEC_INLINE void weigh(const struct mt_cached *t, const float *q, const float *keys, float *to,
                      const uint32_t blocks)
{
    vec sum[BLOCKS];

#pragma GCC unroll 4
    for (uint32_t b = 0; b < blocks; b++)
        sum[b] = vec_all(0.0F);
    for (uint32_t d = 0; d < t->head_width; d++, keys += t->keys_step)
#pragma GCC unroll 4
        for (uint32_t b = 0; b < blocks; b++)
            sum[b] += q[d] * vec_load(keys + b * VEC);
#pragma GCC unroll 4
    for (uint32_t b = 0; b < blocks; b++)
        vec_store(to + b * VEC, sum[b] * t->scale);
}

/* Leaves e^(weight - largest) of each position up to its own. @return their sum */
static float spread(float *weights, uint32_t n)
{
    vec largest = vec_all(-INFINITY);
    vec sum = vec_all(0.0F);

    for (uint32_t i = n; i < vec_padded(n); i++)
        weights[i] = -INFINITY;
    for (uint32_t i = 0; i < n; i += VEC)
        largest = vec_max(largest, vec_load(weights + i));
    largest = vec_all(vec_largest(largest));
    for (uint32_t i = 0; i < n; i += VEC) {
        vec e = vec_exp(vec_load(weights + i) - largest);
        vec_store(weights + i, e);
        sum += e;
    }
    return vec_sum(sum);
}

static void mix(const struct mt_cached *t, const float *weights, const float *values, float sum,
                float *out)
{
    uint32_t n = t->position + 1;
    uint32_t row = vec_padded(t->head_width);

    for (uint32_t d = 0; d < t->head_width; d += VEC) {
        vec even = vec_all(0.0F);
        vec odd = vec_all(0.0F);
        const float *v = values + d;
        uint32_t j = 0;
        for (; j + 2 <= n; j += 2, v += 2 * (size_t)row) {
            even += weights[j] * vec_load(v);
            odd += weights[j + 1] * vec_load(v + row);
        }
        if (j < n)
            even += weights[j] * vec_load(v);
        vec_store_n(out + d, (even + odd) / sum, t->head_width - d);
    }
}

static void attend_head(const struct mt_cached *t, uint32_t head)
{
    uint32_t group = head / (t->heads_n / t->kv_heads_n);
    uint32_t n = t->position + 1;
    const float *keys = t->keys + group * t->head_width * t->keys_step;
    float *q = t->scratch;
    float *weights = q + vec_padded(t->head_width);
    uint32_t j = 0;

    for (uint32_t d = 0; d < t->head_width; d += VEC)
        vec_store(q + d, rotated(t, t->qkv + head * t->head_width, d));
    for (; j + BLOCKS * VEC <= vec_padded(n); j += BLOCKS * VEC)
        weigh(t, q, keys + j, weights + j, BLOCKS);
    for (; j < n; j += VEC)
        weigh(t, q, keys + j, weights + j, 1);
    float sum = spread(weights, n);
    mix(t, weights, t->values + group * t->values_of_head, sum, t->out + head * t->head_width);
}

void MT_OPS(attend)(const struct mt_cached *t)
{
    for (uint32_t head = 0; head < t->heads_n; head++)
        attend_head(t, head);
}
