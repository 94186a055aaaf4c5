/* SPDX-License-Identifier: Apache-2.0 */
/* Each loop is written once and compiled twice: for the plain processor and, on x86, for AVX2
 * with FMA. Wider vectors gain nothing here. */
#include "adamw.h"

#include <math.h>

#define ALWAYS_INLINE static inline __attribute__((always_inline))

ALWAYS_INLINE void apply(const struct mt_adamw *how, const struct mt_adamw_arrays *arrays,
                         uint64_t from, uint64_t to, float keep)
{
    struct mt_adamw h = *how;
    float *restrict params = arrays->params + from;
    float *restrict mean = arrays->mean + from;
    float *restrict square = arrays->square + from;
    const float *restrict grads = arrays->grads + from;

    for (size_t i = 0; i < to - from; i++) {
        float g = grads[i] * h.scale;
        float m = mean[i] + h.mix1 * (g - mean[i]);
        float s = square[i] + h.mix2 * (g * g - square[i]);
        mean[i] = m;
        square[i] = s;
        params[i] = keep * params[i] - h.stride * m / (h.root * sqrtf(s) + h.eps);
    }
}

ALWAYS_INLINE void add(float *restrict to, const float *restrict from, size_t n)
{
    for (size_t i = 0; i < n; i++)
        to[i] += from[i];
}

ALWAYS_INLINE double squares(const float *grads, size_t n)
{
    enum { LANES = 16 };
    double sums[LANES] = {0};
    double sum = 0;
    size_t i = 0;

    for (; i + LANES <= n; i += LANES)
        for (size_t lane = 0; lane < LANES; lane++)
            sums[lane] += (double)grads[i + lane] * (double)grads[i + lane];
    for (; i < n; i++)
        sum += (double)grads[i] * (double)grads[i];
    for (size_t lane = 0; lane < LANES; lane++)
        sum += sums[lane];
    return sum;
}

#if defined(__x86_64__)
#define AVX2 __attribute__((target("avx2,fma")))

AVX2 static void apply_avx2(const struct mt_adamw *how, const struct mt_adamw_arrays *arrays,
                            uint64_t from, uint64_t to, float keep)
{
    apply(how, arrays, from, to, keep);
}

AVX2 static void add_avx2(float *to, const float *from, size_t n)
{
    add(to, from, n);
}

AVX2 static double squares_avx2(const float *grads, size_t n)
{
    return squares(grads, n);
}

static int has_avx2(void)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}
#else
#define apply_avx2   apply
#define add_avx2     add
#define squares_avx2 squares

static int has_avx2(void)
{
    return 0;
}
#endif

void mt_adamw_apply(const struct mt_adamw *how, const struct mt_adamw_arrays *arrays,
                    uint64_t from, uint64_t to, float keep)
{
    if (has_avx2())
        apply_avx2(how, arrays, from, to, keep);
    else
        apply(how, arrays, from, to, keep);
}

void mt_grads_add(float *to, const float *from, size_t n)
{
    if (has_avx2())
        add_avx2(to, from, n);
    else
        add(to, from, n);
}

double mt_grads_squares(const float *grads, size_t n)
{
    return has_avx2() ? squares_avx2(grads, n) : squares(grads, n);
}
