/* SPDX-License-Identifier: Apache-2.0 */
/* The operators that work on one row at a time, and the table of the level they are compiled
 * for. */
#include <math.h>

#include "ops_level.h"
#include "vec.h"

static void norm(const struct mt_norm *t)
{
    for (uint32_t r = 0; r < t->rows; r++) {
        const float *x = t->x + (size_t)r * t->width;
        float *y = t->y + (size_t)r * t->width;
        vec squares = vec_all(0.0F);

        for (uint32_t i = 0; i < t->width; i += VEC) {
            vec v = vec_load_n(x + i, t->width - i);

            squares += v * v;
        }
        float inverse = 1.0F / sqrtf(vec_sum(squares) / (float)t->width + t->eps);
        t->inverse[r] = inverse;
        for (uint32_t i = 0; i < t->width; i += VEC) {
            uint32_t n = t->width - i;

            vec_store_n(y + i, vec_load_n(x + i, n) * inverse * vec_load_n(t->gain + i, n), n);
        }
    }
}

/* With s = 1 / rms: x_grad = s (gain y_grad) - x s^3 / width * sum of (gain y_grad x). */
static void norm_back(const struct mt_norm *t)
{
    for (uint32_t r = 0; r < t->rows; r++) {
        const float *x = t->x + (size_t)r * t->width;
        const float *y_grad = t->y + (size_t)r * t->width;
        float *x_grad = t->x_grad + (size_t)r * t->width;
        float s = t->inverse[r];
        vec dot = vec_all(0.0F);

        for (uint32_t i = 0; i < t->width; i += VEC) {
            uint32_t n = t->width - i;
            vec v = vec_load_n(y_grad + i, n) * vec_load_n(x + i, n);

            dot += v * vec_load_n(t->gain + i, n);
            vec_store_n(t->gain_grad + i, vec_load_n(t->gain_grad + i, n) + v * s, n);
        }
        float pull = vec_sum(dot) * s * s * s / (float)t->width;
        for (uint32_t i = 0; i < t->width; i += VEC) {
            uint32_t n = t->width - i;
            vec v = vec_load_n(y_grad + i, n) * vec_load_n(t->gain + i, n) * s;

            v -= vec_load_n(x + i, n) * pull;
            vec_store_n(x_grad + i, vec_load_n(x_grad + i, n) + v, n);
        }
    }
}

static void swiglu(const struct mt_swiglu *t)
{
    for (uint32_t r = 0; r < t->rows; r++) {
        const float *gate = t->gate_up + (size_t)r * 2 * t->width;
        const float *up = gate + t->width;
        float *y = t->y + (size_t)r * t->width;

        for (uint32_t i = 0; i < t->width; i += VEC) {
            uint32_t n = t->width - i;
            vec g = vec_load_n(gate + i, n);

            vec_store_n(y + i, g * vec_sigmoid(g) * vec_load_n(up + i, n), n);
        }
    }
}

static void swiglu_back(const struct mt_swiglu *t)
{
    for (uint32_t r = 0; r < t->rows; r++) {
        float *gate = t->gate_up + (size_t)r * 2 * t->width;
        float *up = gate + t->width;
        float *y = t->y + (size_t)r * t->width;

        for (uint32_t i = 0; i < t->width; i += VEC) {
            uint32_t n = t->width - i;
            vec g = vec_load_n(gate + i, n);
            vec u = vec_load_n(up + i, n);
            vec y_grad = vec_load_n(y + i, n);
            vec s = vec_sigmoid(g);
            vec silu = g * s;

            vec_store_n(gate + i, y_grad * u * (s + silu * (1.0F - s)), n);
            vec_store_n(up + i, y_grad * silu, n);
            vec_store_n(y + i, silu * u, n);
        }
    }
}

/* Leaves e^(logit - largest) in the row. @return their sum */
static float exponentials(float *row, uint32_t n, float *largest)
{
    vec high = vec_all(-INFINITY);
    vec sum = vec_all(0.0F);

    for (uint32_t i = 0; i < n; i += VEC)
        high = vec_max(high, vec_load(row + i));
    *largest = vec_largest(high);
    for (uint32_t i = 0; i < n; i += VEC) {
        vec e = vec_exp(vec_load(row + i) - *largest);

        vec_store(row + i, e);
        sum += e;
    }
    return vec_sum(sum);
}

/* Sum of soft * logit, and into *total the sum of soft. */
static float soft_dot(const struct mt_loss_row *t, float *total)
{
    vec dot = vec_all(0.0F);
    vec sum = vec_all(0.0F);

    for (uint32_t i = 0; i < t->vocab_n; i += VEC) {
        vec s = vec_load_n(t->soft + i, t->vocab_n - i);

        dot += s * vec_load_n(t->logits + i, t->vocab_n - i);
        sum += s;
    }
    *total = vec_sum(sum);
    return vec_sum(dot);
}

/* Ties go to the first, as in a search for the largest. */
static bool is_first_largest(const float *logits, int32_t target)
{
    for (int32_t i = 0; i < target; i++)
        if (logits[i] >= logits[target])
            return false;
    return true;
}

static void loss(struct mt_loss_row *t)
{
    uint32_t padded = vec_padded(t->vocab_n);
    float at_target = t->logits[t->target];
    float total = 1.0F;
    float dot = t->soft != NULL ? soft_dot(t, &total) : 0.0F;
    float largest;

    for (uint32_t i = t->vocab_n; i < padded; i++)
        t->logits[i] = -INFINITY;
    bool is_first = is_first_largest(t->logits, t->target);
    float sum = exponentials(t->logits, padded, &largest);
    float log_sum = logf(sum);

    t->is_right = is_first && at_target >= largest;
    t->logp = at_target - largest - log_sum;
    t->cross = t->soft != NULL ? total * (largest + log_sum) - dot : -t->logp;
    float factor = t->factor * total / sum;
    for (uint32_t i = 0; i < padded; i += VEC) {
        vec gradient = vec_load(t->logits + i) * factor;

        if (t->soft != NULL && i < t->vocab_n)
            gradient -= vec_load_n(t->soft + i, t->vocab_n - i) * t->factor;
        vec_store(t->logits + i, gradient);
    }
    if (t->soft == NULL)
        t->logits[t->target] -= t->factor;
}

static void exponential(const float *x, float *y, size_t n)
{
    for (size_t i = 0; i < n; i += VEC) {
        uint32_t left = n - i < VEC ? (uint32_t)(n - i) : VEC;

        vec_store_n(y + i, vec_exp(vec_load_n(x + i, left)), left);
    }
}

const struct mt_ops MT_OPS(ops) = {
#ifdef __AVX512F__
    .product = MT_OPS(product),
#endif
    .norm = norm,
    .norm_back = norm_back,
    .swiglu = swiglu,
    .swiglu_back = swiglu_back,
    .attention = MT_OPS(attention),
    .attention_back = MT_OPS(attention_back),
    .remember = MT_OPS(remember),
    .attend = MT_OPS(attend),
    .loss = loss,
    .exp = exponential,
};
