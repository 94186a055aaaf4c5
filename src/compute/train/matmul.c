/* SPDX-License-Identifier: Apache-2.0 */
/* Where the processor has AVX-512 our own product takes the place of OpenBLAS: on the narrow
 * matrices of small models it is faster, and OpenBLAS of Debian 12 knows no processor younger
 * than itself and falls back to SSE3 there (a sixth of the rate). */
#include "matmul.h"

#include <stdatomic.h>
#include <time.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "blas.h"
#include "ops.h"
#ifdef MT_OPS_HAVE_X86
#include "product_amx.h"
#endif
#include "system/pool.h"

enum { RATE_SIDE = 1024, RATE_PRODUCTS = 6, RATE_ROUNDS = 4, RATE_THREADS_MAX = 64 };

static _Atomic(const struct mt_ops *) chosen;
static _Atomic bool has_tiles;

void mt_train__matmul_choose(const struct mt_ops *ops)
{
    MT_ASSERT(ops->product != NULL || mt_train__blas_open(NULL) == MT_OK);
    atomic_store(&chosen, ops);
}

mt_rc mt_train__matmul_init(struct mt_err *err)
{
    const struct mt_ops *ops = mt_train__ops();

    if (ops->product == NULL)
        MT_TRY(mt_train__blas_open(err));
    mt_train__matmul_choose(ops);
#ifdef MT_OPS_HAVE_X86
    atomic_store(&has_tiles, mt_train__has_amx());
#endif
    return MT_OK;
}

bool mt_net_has(enum mt_precision precision)
{
    return precision == MT_PRECISION_F32 ||
           atomic_load_explicit(&has_tiles, memory_order_relaxed);
}

static void multiply(enum mt_precision precision, const struct mt_product *product)
{
    const struct mt_ops *ops = atomic_load_explicit(&chosen, memory_order_relaxed);

    MT_ASSERT(ops != NULL);
#ifdef MT_OPS_HAVE_X86
    if (precision == MT_PRECISION_BF16 && mt_net_has(precision)) {
        mt_train__product_amx(product);
        return;
    }
#endif
    (void)precision;
    if (ops->product != NULL)
        ops->product(product);
    else
        mt_train__blas_product(product);
}

void mt_train__matmul(enum mt_precision precision, struct mt_rows x, const float *w,
                      struct mt_rows y, enum mt_matmul how)
{
    MT_ASSERT(x.n == y.n);
    multiply(precision, &(struct mt_product){.m = x.n,
                                             .n = y.width,
                                             .k = x.width,
                                             .a = x.at,
                                             .a_row = x.step,
                                             .a_column = 1,
                                             .b = w,
                                             .b_row = x.width,
                                             .b_is_turned = true,
                                             .adds = how == MT_MATMUL_ADDS,
                                             .c = y.at,
                                             .c_row = y.step});
}

void mt_train__matmul_x_grad(enum mt_precision precision, struct mt_rows y_grad, const float *w,
                             struct mt_rows x_grad)
{
    MT_ASSERT(y_grad.n == x_grad.n);
    multiply(precision, &(struct mt_product){.m = y_grad.n,
                                             .n = x_grad.width,
                                             .k = y_grad.width,
                                             .a = y_grad.at,
                                             .a_row = y_grad.step,
                                             .a_column = 1,
                                             .b = w,
                                             .b_row = x_grad.width,
                                             .c = x_grad.at,
                                             .c_row = x_grad.step});
}

void mt_train__matmul_w_grad(enum mt_precision precision, struct mt_rows y_grad,
                             struct mt_rows x, float *w_grad)
{
    MT_ASSERT(y_grad.n == x.n);
    multiply(precision, &(struct mt_product){.m = y_grad.width,
                                             .n = x.width,
                                             .k = x.n,
                                             .a = y_grad.at,
                                             .a_row = 1,
                                             .a_column = y_grad.step,
                                             .b = x.at,
                                             .b_row = x.step,
                                             .adds = true,
                                             .c = w_grad,
                                             .c_row = x.width});
}

/* Large square products, for the rate. */
struct load {
    void (*multiply)(const struct mt_product *product);
    float *matrices; /* three */
    double seconds;  /* out: of the processor, so that others on the machine do not count */
};

static double thread_seconds(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static void multiply_f32(const struct mt_product *product)
{
    multiply(MT_PRECISION_F32, product);
}

static void multiply_squares(void *arg)
{
    struct load *load = arg;
    double start = thread_seconds();
    const size_t square = (size_t)RATE_SIDE * RATE_SIDE;
    const struct mt_product product = {.m = RATE_SIDE,
                                       .n = RATE_SIDE,
                                       .k = RATE_SIDE,
                                       .a = load->matrices,
                                       .a_row = RATE_SIDE,
                                       .a_column = 1,
                                       .b = load->matrices + square,
                                       .b_row = RATE_SIDE,
                                       .b_is_turned = true,
                                       .c = load->matrices + 2 * square,
                                       .c_row = RATE_SIDE};

    for (unsigned i = 0; i < RATE_PRODUCTS; i++)
        load->multiply(&product);
    load->seconds = thread_seconds() - start;
}

/* All loads at once. @return FLOP/s, or 0 when a thread could not be had */
static double time_round(struct load *loads, unsigned threads_n)
{
    const double flops = 2.0 * RATE_SIDE * RATE_SIDE * RATE_SIDE * RATE_PRODUCTS;
    struct mt_pool *pools[RATE_THREADS_MAX] = {0};
    bool is_whole = true;
    double rate = 0.0;

    for (unsigned i = 0; i < threads_n && is_whole; i++)
        is_whole = mt_pool_new("sgemm", 1, &pools[i], NULL) == MT_OK &&
                   mt_pool_post(pools[i], multiply_squares, &loads[i], NULL) == MT_OK;
    for (unsigned i = 0; i < threads_n; i++)
        mt_pool_free(pools[i]); /* waits */
    for (unsigned i = 0; i < threads_n && is_whole; i++)
        rate += flops / loads[i].seconds;
    return rate;
}

double mt_net_sgemm_rate(unsigned threads_n)
{
    const size_t square = (size_t)RATE_SIDE * RATE_SIDE;
    struct load loads[RATE_THREADS_MAX] = {0};
    double best = 0.0;

    MT_ASSERT(threads_n >= 1 && threads_n <= RATE_THREADS_MAX);
    MT_CLEANUP(mt_freep) float *matrices = mt_alloc(3 * square * threads_n, sizeof *matrices);
    if (matrices == NULL)
        return 0.0;
    for (size_t i = 0; i < 3 * square * threads_n; i++)
        matrices[i] = (float)(i % 7) - 3.0F;
    if (mt_train__matmul_init(NULL) != MT_OK)
        return 0.0;
    bool has_library = mt_train__blas_open(NULL) == MT_OK;
    for (unsigned round = 0; round < 2 * RATE_ROUNDS; round++) {
        if (round % 2 == 0 && !has_library)
            continue;
        for (unsigned i = 0; i < threads_n; i++)
            loads[i] =
                (struct load){.multiply = round % 2 ? multiply_f32 : mt_train__blas_product,
                              .matrices = matrices + 3 * square * i};
        double rate = time_round(loads, threads_n);

        if (rate > best)
            best = rate;
    }
    return best;
}
