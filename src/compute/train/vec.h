/* SPDX-License-Identifier: Apache-2.0 */
/* vec.h - sixteen floats at a time, in the compiler's own vectors: one register with AVX-512,
 * two with AVX2, four without. A file that includes this is compiled once per level. */
#ifndef MT_TRAIN_VEC_H
#define MT_TRAIN_VEC_H

#include <stdint.h>
#include <string.h>

#ifdef __AVX512F__
#include <immintrin.h>
#endif

/* Nothing here is called across objects: all of it is inlined. */
#pragma GCC diagnostic ignored "-Wpsabi"

enum { VEC = 16 };

#define VEC_INLINE static inline __attribute__((always_inline))

typedef float vec __attribute__((vector_size(64)));
typedef uint32_t vec_bits __attribute__((vector_size(64)));
typedef int32_t vec_ints __attribute__((vector_size(64)));
typedef float vec_anywhere __attribute__((vector_size(64), aligned(4), may_alias));

VEC_INLINE uint32_t vec_padded(uint32_t n)
{
    return (n + VEC - 1) / VEC * VEC;
}

VEC_INLINE vec vec_load(const float *from)
{
    return *(const vec_anywhere *)from;
}

VEC_INLINE void vec_store(float *to, vec x)
{
    *(vec_anywhere *)to = x;
}

/* The first n of a row's rest; what lies behind it reads as 0 and is not written. */
VEC_INLINE vec vec_load_n(const float *from, uint32_t n)
{
    if (n >= VEC)
        return vec_load(from);
    vec part = {0};
    memcpy(&part, from, n * sizeof *from);
    return part;
}

VEC_INLINE void vec_store_n(float *to, vec x, uint32_t n)
{
    if (n >= VEC) {
        vec_store(to, x);
        return;
    }
    vec part = x; /* so that only this way needs x in memory */
    memcpy(to, &part, n * sizeof *to);
}

VEC_INLINE vec vec_all(float x)
{
    return (vec){0} + x;
}

VEC_INLINE vec vec_select(vec_ints mask, vec yes, vec no)
{
    return (vec)(((vec_bits)mask & (vec_bits)yes) | (~(vec_bits)mask & (vec_bits)no));
}

VEC_INLINE vec vec_max(vec a, vec b)
{
#ifdef __AVX512F__
    return (vec)_mm512_max_ps((__m512)a, (__m512)b);
#else
    return vec_select(a > b, a, b);
#endif
}

VEC_INLINE vec vec_min(vec a, vec b)
{
#ifdef __AVX512F__
    return (vec)_mm512_min_ps((__m512)a, (__m512)b);
#else
    return vec_select(a < b, a, b);
#endif
}

/* Lanes are folded in halves: always the same order. */
VEC_INLINE vec vec_half(vec x)
{
    return __builtin_shufflevector(x, x, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7);
}

VEC_INLINE vec vec_quarter(vec x)
{
    return __builtin_shufflevector(x, x, 4, 5, 6, 7, 0, 1, 2, 3, 12, 13, 14, 15, 8, 9, 10, 11);
}

VEC_INLINE vec vec_pair(vec x)
{
    return __builtin_shufflevector(x, x, 2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13);
}

/* Neighbours change places. */
VEC_INLINE vec vec_swap(vec x)
{
    return __builtin_shufflevector(x, x, 1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10, 13, 12, 15, 14);
}

VEC_INLINE float vec_sum(vec x)
{
    x += vec_half(x);
    x += vec_quarter(x);
    x += vec_pair(x);
    x += vec_swap(x);
    return x[0];
}

VEC_INLINE float vec_largest(vec x)
{
    x = vec_max(x, vec_half(x));
    x = vec_max(x, vec_quarter(x));
    x = vec_max(x, vec_pair(x));
    x = vec_max(x, vec_swap(x));
    return x[0];
}

/* e^x with a relative error below 1e-6; 0 up to -86.5 (also for -infinity), e^88 above 88, NaN
 * for NaN (the smaller of two is the second when one is NaN).
 * x = n ln 2 + r with |r| <= ln 2 / 2: Taylor's polynomial of degree 6 in r, and n goes into
 * the exponent. Adding 1.5 * 2^23 rounds to an integer and leaves it in the low bits. */
VEC_INLINE vec vec_exp(vec x)
{
    const float magic = 0x1.8p23F;
    vec y = vec_min(vec_all(88.0F), x);
    vec shifted = y * 0x1.715476p0F + magic;
    vec n = shifted - magic;
    vec r = y - n * 0x1.62e4p-1F; /* ln 2 in two parts: n times the first is exact */
    vec p = vec_all(1.0F / 720.0F);

    r = r - n * 0x1.7f7d1cp-20F;
    p = p * r + 1.0F / 120.0F;
    p = p * r + 1.0F / 24.0F;
    p = p * r + 1.0F / 6.0F;
    p = p * r + 0.5F;
    p = p * r + 1.0F;
    p = p * r + 1.0F;
    return (vec)(((vec_bits)p + ((vec_bits)shifted << 23)) & ~(vec_bits)(x <= -86.5F));
}

VEC_INLINE vec vec_sigmoid(vec x)
{
    return 1.0F / (1.0F + vec_exp(-x));
}

/* Transposition of 16 x 16: in each square of 2n x 2n, n = 8, 4, 2, 1, the quarters beside the
 * diagonal change places. */
VEC_INLINE void vec_exchange8(vec *a, vec *b)
{
    vec low =
        __builtin_shufflevector(*a, *b, 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23);

    *b = __builtin_shufflevector(*a, *b, 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29,
                                 30, 31);
    *a = low;
}

VEC_INLINE void vec_exchange4(vec *a, vec *b)
{
    vec low = __builtin_shufflevector(*a, *b, 0, 1, 2, 3, 16, 17, 18, 19, 8, 9, 10, 11, 24, 25,
                                      26, 27);

    *b = __builtin_shufflevector(*a, *b, 4, 5, 6, 7, 20, 21, 22, 23, 12, 13, 14, 15, 28, 29, 30,
                                 31);
    *a = low;
}

VEC_INLINE void vec_exchange2(vec *a, vec *b)
{
    vec low = __builtin_shufflevector(*a, *b, 0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12, 13,
                                      28, 29);

    *b = __builtin_shufflevector(*a, *b, 2, 3, 18, 19, 6, 7, 22, 23, 10, 11, 26, 27, 14, 15, 30,
                                 31);
    *a = low;
}

VEC_INLINE void vec_exchange1(vec *a, vec *b)
{
    vec low = __builtin_shufflevector(*a, *b, 0, 16, 2, 18, 4, 20, 6, 22, 8, 24, 10, 26, 12, 28,
                                      14, 30);

    *b = __builtin_shufflevector(*a, *b, 1, 17, 3, 19, 5, 21, 7, 23, 9, 25, 11, 27, 13, 29, 15,
                                 31);
    *a = low;
}

VEC_INLINE void vec_turn_lanes(vec rows[VEC])
{
#pragma GCC unroll 16
    for (unsigned i = 0; i < 8; i++)
        vec_exchange8(&rows[i], &rows[i + 8]);
#pragma GCC unroll 16
    for (unsigned i = 0; i < 8; i++)
        vec_exchange4(&rows[i / 4 * 8 + i % 4], &rows[i / 4 * 8 + i % 4 + 4]);
#pragma GCC unroll 16
    for (unsigned i = 0; i < 8; i++)
        vec_exchange2(&rows[i / 2 * 4 + i % 2], &rows[i / 2 * 4 + i % 2 + 2]);
#pragma GCC unroll 16
    for (unsigned i = 0; i < 8; i++)
        vec_exchange1(&rows[2 * i], &rows[2 * i + 1]);
}

VEC_INLINE void vec_turn(const float *from, size_t from_row, float *to, size_t to_row)
{
    vec rows[VEC];

#pragma GCC unroll 16
    for (unsigned i = 0; i < VEC; i++)
        rows[i] = vec_load(from + i * from_row);
    vec_turn_lanes(rows);
#pragma GCC unroll 16
    for (unsigned i = 0; i < VEC; i++)
        vec_store(to + i * to_row, rows[i]);
}

#endif
