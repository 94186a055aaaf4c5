/* SPDX-License-Identifier: Apache-2.0 */
/* The only door to OpenBLAS. */
#include "matmul.h"

#include <cblas.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "system/env.h"
#include "system/pool.h"
#include "train/net.h"

enum { RATE_SIDE = 1024, RATE_PRODUCTS = 6, RATE_ROUNDS = 4, RATE_THREADS_MAX = 64 };

void mt_train__matmul_init(void)
{
    openblas_set_num_threads(1);
}

void mt_train__matmul(struct mt_rows x, const float *w, struct mt_rows y, enum mt_matmul how)
{
    MT_ASSERT(x.n == y.n);
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)x.n, (int)y.width, (int)x.width,
                1.0F, x.at, (int)x.step, w, (int)x.width, how == MT_MATMUL_ADDS ? 1.0F : 0.0F,
                y.at, (int)y.step);
}

void mt_train__matmul_x_grad(struct mt_rows y_grad, const float *w, struct mt_rows x_grad)
{
    MT_ASSERT(y_grad.n == x_grad.n);
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)y_grad.n, (int)x_grad.width,
                (int)y_grad.width, 1.0F, y_grad.at, (int)y_grad.step, w, (int)x_grad.width,
                0.0F, x_grad.at, (int)x_grad.step);
}

void mt_train__matmul_w_grad(struct mt_rows y_grad, struct mt_rows x, float *w_grad)
{
    MT_ASSERT(y_grad.n == x.n);
    cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, (int)y_grad.width, (int)x.width,
                (int)x.n, 1.0F, y_grad.at, (int)y_grad.step, x.at, (int)x.step, 1.0F, w_grad,
                (int)x.width);
}

/* Large square products, for the rate. */
struct load {
    float *matrices; /* three */
};

static void multiply_squares(void *arg)
{
    const struct load *load = arg;
    const size_t square = (size_t)RATE_SIDE * RATE_SIDE;
    float *a = load->matrices;

    for (unsigned i = 0; i < RATE_PRODUCTS; i++)
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, RATE_SIDE, RATE_SIDE, RATE_SIDE,
                    1.0F, a, RATE_SIDE, a + square, RATE_SIDE, 0.0F, a + 2 * square, RATE_SIDE);
}

/* @return seconds, or 0 when a thread could not be had */
static double time_round(struct load *loads, unsigned threads_n)
{
    struct mt_pool *pools[RATE_THREADS_MAX] = {0};
    int64_t start_ns = mt_env_now_mono_ns(mt_env_real());
    bool is_whole = true;

    for (unsigned i = 0; i < threads_n && is_whole; i++)
        is_whole = mt_pool_new("sgemm", 1, &pools[i], NULL) == MT_OK &&
                   mt_pool_post(pools[i], multiply_squares, &loads[i], NULL) == MT_OK;
    for (unsigned i = 0; i < threads_n; i++)
        mt_pool_free(pools[i]); /* waits */
    if (!is_whole)
        return 0.0;
    return (double)(mt_env_now_mono_ns(mt_env_real()) - start_ns) * 1e-9;
}

double mt_net_sgemm_rate(unsigned threads_n)
{
    const size_t square = (size_t)RATE_SIDE * RATE_SIDE;
    const double flops = 2.0 * (double)square * RATE_SIDE * RATE_PRODUCTS * threads_n;
    struct load loads[RATE_THREADS_MAX] = {0};
    double best = 0.0;

    MT_ASSERT(threads_n >= 1 && threads_n <= RATE_THREADS_MAX);
    MT_CLEANUP(mt_freep) float *matrices = mt_alloc(3 * square * threads_n, sizeof *matrices);
    if (matrices == NULL)
        return 0.0;
    for (size_t i = 0; i < 3 * square * threads_n; i++)
        matrices[i] = (float)(i % 7) - 3.0F;
    for (unsigned i = 0; i < threads_n; i++)
        loads[i].matrices = matrices + 3 * square * i;
    mt_train__matmul_init();
    for (unsigned round = 0; round < RATE_ROUNDS; round++) {
        double seconds = time_round(loads, threads_n);

        if (seconds > 0.0 && flops / seconds > best)
            best = flops / seconds;
    }
    return best;
}
