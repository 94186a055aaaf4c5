/* SPDX-License-Identifier: Apache-2.0 */
/* tile.h - small products whose operands lie in padded scratch memory: no edges, no checks.
 *
 * Of the left operand single elements are read (any two strides, so it may be transposed), of
 * the right one whole vectors along its rows. */
#ifndef MT_TRAIN_TILE_H
#define MT_TRAIN_TILE_H

#include <stdbool.h>
#include <stddef.h>

#include "vec.h"

/* As many sums as stay in registers. */
#ifdef __AVX512F__
enum { TILE_ROWS = 8, TILE_VECS = 2 };
#else
enum { TILE_ROWS = 4, TILE_VECS = 1 };
#endif

/* c[m x n] = (adds ? c : 0) + a[m x k] b[k x n]; m a multiple of 8, n of 16. */
struct tiles {
    const float *a;
    size_t a_row, a_column; /* element (i, p) is a[i * a_row + p * a_column] */
    const float *b;
    size_t b_row;
    float *c;
    size_t c_row;
    uint32_t m, n, k;
    bool adds;
};

VEC_INLINE void tile(const struct tiles *t, uint32_t i, uint32_t j, const uint32_t vecs)
{
    const float *a = t->a + i * t->a_row;
    const float *b = t->b + j;
    float *c = t->c + i * t->c_row + j;
    vec sum[TILE_ROWS][TILE_VECS];

#pragma GCC unroll 8
    for (uint32_t r = 0; r < TILE_ROWS; r++)
#pragma GCC unroll 2
        for (uint32_t v = 0; v < vecs; v++)
            sum[r][v] = t->adds ? vec_load(c + r * t->c_row + v * VEC) : vec_all(0.0F);
    for (uint32_t p = 0; p < t->k; p++) {
#pragma GCC unroll 8
        for (uint32_t r = 0; r < TILE_ROWS; r++)
#pragma GCC unroll 2
            for (uint32_t v = 0; v < vecs; v++)
                sum[r][v] += a[r * t->a_row] * vec_load(b + v * VEC);
        a += t->a_column;
        b += t->b_row;
    }
#pragma GCC unroll 8
    for (uint32_t r = 0; r < TILE_ROWS; r++)
#pragma GCC unroll 2
        for (uint32_t v = 0; v < vecs; v++)
            vec_store(c + r * t->c_row + v * VEC, sum[r][v]);
}

static inline void tiles_multiply(const struct tiles *t)
{
    uint32_t j = 0;

    for (; j + TILE_VECS * VEC <= t->n; j += TILE_VECS * VEC)
        for (uint32_t i = 0; i < t->m; i += TILE_ROWS)
            tile(t, i, j, TILE_VECS);
    for (; j < t->n; j += VEC)
        for (uint32_t i = 0; i < t->m; i += TILE_ROWS)
            tile(t, i, j, 1);
}

#endif
