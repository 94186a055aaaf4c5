/* SPDX-License-Identifier: Apache-2.0 */
/* Causal attention of one sequence, head by head, in blocks of 16 queries.
 *
 * Each head is copied into scratch memory first, its width and length filled up with zeros to
 * whole vectors, so that no product has an edge; queries and keys are rotated on the way. A
 * block of queries sees the keys up to its own end; within the last 16 of them the upper
 * triangle is masked. Only the logarithm of each query's sum of weights is kept: backward
 * computes the weights again. Padding rows are zero and add nothing. */
#include <math.h>

#include "ops_level.h"
#include "tile.h"

enum { BLOCK = VEC };

/* One head in scratch memory. */
struct work {
    uint32_t length; /* padded */
    uint32_t width;  /* padded */
    size_t row;      /* of what has a column per key; not a power of two, for the cache */
    float *q, *k, *v, *out_grad, *k_grad, *v_grad; /* [length x width] */
    float *k_turned, *v_turned;                    /* [width x row] */
    float *weights, *weights_grad;                 /* [BLOCK x row] */
    float *out;                                    /* [BLOCK x width] */
};

static size_t row_of(uint32_t length)
{
    return vec_padded(length) + VEC;
}

#ifdef MT_OPS_IS_BASE
size_t mt_train__attention_scratch(uint32_t length_max, uint32_t head_width)
{
    size_t width = vec_padded(head_width);

    return width * (6 * (size_t)vec_padded(length_max) + 2 * row_of(length_max) + BLOCK) +
           2 * BLOCK * row_of(length_max);
}
#endif

static float *cut(float **next, size_t n)
{
    float *piece = *next;

    *next += n;
    return piece;
}

static struct work lay_out(const struct mt_attention *t)
{
    struct work w = {.length = vec_padded(t->length), .width = vec_padded(t->head_width)};
    size_t head = (size_t)w.length * w.width;
    float *next = t->scratch;

    w.row = row_of(t->length);
    w.q = cut(&next, head);
    w.k = cut(&next, head);
    w.v = cut(&next, head);
    w.out_grad = cut(&next, head);
    w.k_grad = cut(&next, head);
    w.v_grad = cut(&next, head);
    w.k_turned = cut(&next, w.width * w.row);
    w.v_turned = cut(&next, w.width * w.row);
    w.weights = cut(&next, BLOCK * w.row);
    w.weights_grad = cut(&next, BLOCK * w.row);
    w.out = next;
    return w;
}

static void pack(const struct mt_attention *t, const float *from, size_t from_row, float *to)
{
    uint32_t width = vec_padded(t->head_width);

    for (uint32_t i = 0; i < t->length; i++, from += from_row, to += width)
        for (uint32_t d = 0; d < width; d += VEC)
            vec_store(to + d, vec_load_n(from + d, t->head_width - d));
    memset(to, 0, (vec_padded(t->length) - t->length) * width * sizeof *to);
}

static void pack_rotated(const struct mt_attention *t, const float *from, float *to)
{
    uint32_t width = vec_padded(t->head_width);
    const float *cosines = t->cosines;
    const float *sines = t->sines;

    for (uint32_t i = 0; i < t->length; i++, from += t->qkv_row, to += width)
        for (uint32_t d = 0; d < width; d += VEC, cosines += VEC, sines += VEC) {
            vec x = vec_load_n(from + d, t->head_width - d);

            vec_store(to + d, x * vec_load(cosines) + vec_swap(x) * vec_load(sines));
        }
    memset(to, 0, (vec_padded(t->length) - t->length) * width * sizeof *to);
}

/* Rows [first, first + n) of a packed gradient back to where they came from. */
static void unpack_rotated(const struct mt_attention *t, const float *from, uint32_t first,
                           uint32_t n, float *to)
{
    uint32_t width = vec_padded(t->head_width);
    const float *cosines = t->cosines + (size_t)first * width;
    const float *sines = t->sines + (size_t)first * width;

    to += first * t->qkv_row;
    for (uint32_t i = 0; i < n; i++, from += width, to += t->qkv_row)
        for (uint32_t d = 0; d < width; d += VEC, cosines += VEC, sines += VEC) {
            vec x = vec_load(from + d);

            x = x * vec_load(cosines) - vec_swap(x) * vec_load(sines);
            vec_store_n(to + d, x, t->head_width - d);
        }
}

static void unpack(const struct mt_attention *t, const float *from, uint32_t n, float *to,
                   size_t to_row)
{
    uint32_t width = vec_padded(t->head_width);

    for (uint32_t i = 0; i < n; i++, from += width, to += to_row)
        for (uint32_t d = 0; d < width; d += VEC)
            vec_store_n(to + d, vec_load(from + d), t->head_width - d);
}

static void turn(const struct work *w, const float *from, float *to)
{
    for (uint32_t i = 0; i < w->length; i += VEC)
        for (uint32_t d = 0; d < w->width; d += VEC)
            vec_turn(from + i * w->width + d, w->width, to + d * w->row + i, w->row);
}

/* Products of the rows of a block at query i with all keys that it sees. */
static void times_keys(const struct work *w, const float *rows, const float *turned, uint32_t i,
                       float *out)
{
    const struct tiles product = {.a = rows + i * w->width,
                                  .a_row = w->width,
                                  .a_column = 1,
                                  .b = turned,
                                  .b_row = w->row,
                                  .c = out,
                                  .c_row = w->row,
                                  .m = BLOCK,
                                  .n = i + BLOCK,
                                  .k = w->width};

    tiles_multiply(&product);
}

/* The block's weights times the rows (values, or keys) that they weigh. */
static void weigh(const struct work *w, const float *weights, const float *rows, uint32_t i,
                  float *out)
{
    const struct tiles product = {.a = weights,
                                  .a_row = w->row,
                                  .a_column = 1,
                                  .b = rows,
                                  .b_row = w->width,
                                  .c = out,
                                  .c_row = w->width,
                                  .m = BLOCK,
                                  .n = w->width,
                                  .k = i + BLOCK};

    tiles_multiply(&product);
}

/* What the block's rows add, by their weights, to the gradient of each key or value. */
static void weigh_back(const struct work *w, const float *weights, const float *rows,
                       uint32_t i, float *gradient)
{
    const struct tiles product = {.a = weights,
                                  .a_row = 1,
                                  .a_column = w->row,
                                  .b = rows + i * w->width,
                                  .b_row = w->width,
                                  .c = gradient,
                                  .c_row = w->width,
                                  .m = i + BLOCK,
                                  .n = w->width,
                                  .k = BLOCK,
                                  .adds = true};

    tiles_multiply(&product);
}

/* Lanes up to the diagonal, in row r of the block's last square. */
VEC_INLINE vec_ints seen(uint32_t r)
{
    const vec_ints lanes = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};

    return lanes <= (int32_t)r;
}

/* Row r of the block at query i: products become e^(scale (product - largest)).
 * @return 1 / their sum; *log_sum for backward */
static float soften(const struct work *w, uint32_t i, uint32_t r, float scale, float *log_sum)
{
    float *row = w->weights + r * w->row;
    vec last = vec_select(seen(r), vec_load(row + i), vec_all(-INFINITY));
    vec high = last;
    vec sum = vec_all(0.0F);

    for (uint32_t j = 0; j < i; j += VEC)
        high = vec_max(high, vec_load(row + j));
    float largest = vec_largest(high);

    vec_store(row + i, last);
    for (uint32_t j = 0; j < i + BLOCK; j += VEC) {
        vec e = vec_exp((vec_load(row + j) - largest) * scale);

        vec_store(row + j, e);
        sum += e;
    }
    float total = vec_sum(sum);
    *log_sum = largest * scale + logf(total);
    return 1.0F / total;
}

static void attend_head(const struct mt_attention *t, const struct work *w, float *out,
                        float *log_sums)
{
    size_t out_row = (size_t)t->heads_n * t->head_width;

    for (uint32_t i = t->query_from / BLOCK * BLOCK; i < t->length; i += BLOCK) {
        uint32_t n = t->length - i < BLOCK ? t->length - i : BLOCK;
        float inverse[BLOCK];
        float log_sum[BLOCK];

        times_keys(w, w->q, w->k_turned, i, w->weights);
        for (uint32_t r = 0; r < BLOCK; r++)
            inverse[r] = soften(w, i, r, t->scale, &log_sum[r]);
        weigh(w, w->weights, w->v, i, w->out);
        for (uint32_t r = 0; r < BLOCK; r++)
            for (uint32_t d = 0; d < w->width; d += VEC)
                vec_store(w->out + r * w->width + d,
                          vec_load(w->out + r * w->width + d) * inverse[r]);
        unpack(t, w->out, n, out + i * out_row, out_row);
        memcpy(log_sums + i, log_sum, n * sizeof *log_sum);
    }
}

/* Where head h of queries, keys or values begins in a row of qkv. */
static float *queries(const struct mt_attention *t, uint32_t h)
{
    return t->qkv + (size_t)h * t->head_width;
}

static float *keys(const struct mt_attention *t, uint32_t h)
{
    return queries(t, t->heads_n + h);
}

static float *values(const struct mt_attention *t, uint32_t h)
{
    return queries(t, t->heads_n + t->kv_heads_n + h);
}

void MT_OPS(attention)(const struct mt_attention *t)
{
    struct work w = lay_out(t);
    uint32_t group = t->heads_n / t->kv_heads_n;

    for (uint32_t g = 0; g < t->kv_heads_n; g++) {
        pack_rotated(t, keys(t, g), w.k);
        turn(&w, w.k, w.k_turned);
        pack(t, values(t, g), t->qkv_row, w.v);
        for (uint32_t h = g * group; h < (g + 1) * group; h++) {
            pack_rotated(t, queries(t, h), w.q);
            attend_head(t, &w, t->out + (size_t)h * t->head_width,
                        t->log_sums + h * t->log_sums_row);
        }
    }
}

/* Sum of out * out_grad of one row: what every weight's gradient is compared with. */
static float out_dot(const struct mt_attention *t, const struct work *w, const float *out,
                     uint32_t i)
{
    vec dot = vec_all(0.0F);

    for (uint32_t d = 0; d < w->width; d += VEC)
        dot +=
            vec_load_n(out + d, t->head_width - d) * vec_load(w->out_grad + i * w->width + d);
    return vec_sum(dot);
}

/* Row r of the block at query i: products become weights, and the gradients of the weights
 * become those of the products. */
static void soften_back(const struct work *w, uint32_t i, uint32_t r, float scale,
                        float log_sum, float dot)
{
    float *row = w->weights + r * w->row;
    float *row_grad = w->weights_grad + r * w->row;

    vec_store(row + i, vec_select(seen(r), vec_load(row + i), vec_all(-INFINITY)));
    for (uint32_t j = 0; j < i + BLOCK; j += VEC) {
        vec weight = vec_exp(vec_load(row + j) * scale - log_sum);

        vec_store(row + j, weight);
        vec_store(row_grad + j, weight * (vec_load(row_grad + j) - dot) * scale);
    }
}

static void attend_head_back(const struct mt_attention *t, const struct work *w,
                             const float *out, const float *log_sums, float *q_grad)
{
    size_t out_row = (size_t)t->heads_n * t->head_width;

    for (uint32_t i = t->query_from / BLOCK * BLOCK; i < t->length; i += BLOCK) {
        uint32_t n = t->length - i < BLOCK ? t->length - i : BLOCK;

        times_keys(w, w->q, w->k_turned, i, w->weights);
        times_keys(w, w->out_grad, w->v_turned, i, w->weights_grad);
        for (uint32_t r = 0; r < BLOCK; r++) {
            bool is_there = r < n;

            soften_back(w, i, r, t->scale, is_there ? log_sums[i + r] : 0.0F,
                        is_there ? out_dot(t, w, out + (i + r) * out_row, i + r) : 0.0F);
        }
        weigh_back(w, w->weights, w->out_grad, i, w->v_grad);
        weigh_back(w, w->weights_grad, w->q, i, w->k_grad);
        weigh(w, w->weights_grad, w->k, i, w->out);
        unpack_rotated(t, w->out, i, n, q_grad);
    }
}

static void clear_rows(const struct mt_attention *t, float *rows, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        memset(rows + i * t->qkv_row, 0, t->head_width * sizeof *rows);
}

void MT_OPS(attention_back)(const struct mt_attention *t)
{
    struct work w = lay_out(t);
    uint32_t group = t->heads_n / t->kv_heads_n;
    size_t head_bytes = (size_t)w.length * w.width * sizeof(float);

    for (uint32_t g = 0; g < t->kv_heads_n; g++) {
        pack_rotated(t, keys(t, g), w.k);
        turn(&w, w.k, w.k_turned);
        pack(t, values(t, g), t->qkv_row, w.v);
        turn(&w, w.v, w.v_turned);
        memset(w.k_grad, 0, head_bytes);
        memset(w.v_grad, 0, head_bytes);
        for (uint32_t h = g * group; h < (g + 1) * group; h++) {
            size_t at = (size_t)h * t->head_width;

            pack_rotated(t, queries(t, h), w.q);
            pack(t, t->out_grad + at, (size_t)t->heads_n * t->head_width, w.out_grad);
            clear_rows(t, queries(t, h), t->query_from / BLOCK * BLOCK);
            attend_head_back(t, &w, t->out + at, t->log_sums + h * t->log_sums_row,
                             queries(t, h));
        }
        unpack_rotated(t, w.k_grad, 0, t->length, keys(t, g));
        unpack(t, w.v_grad, t->length, values(t, g), t->qkv_row);
    }
}
