/* SPDX-License-Identifier: Apache-2.0 */
/* A step along the orthogonalised momentum: what it is of, how large, and that a matrix and its
 * transposition move alike. */
#include "support/test.h"

#include <math.h>
#include <string.h>

#include "base/attr.h"
#include "matmul.h"
#include "muon.h"

enum { SIDE_MAX = 64, MOST = SIDE_MAX * SIDE_MAX, SCRATCH_MAX = 4 * MOST + 64 };

static const struct {
    const char *name;
    uint32_t rows, columns;
} sizes[] = {{"square", 32, 32},
             {"wide", 17, 50},
             {"tall", 60, 24},
             {"a row", 1, 40},
             {"a column", 40, 1}};

static const struct mt_muon plain = {.scale = 1, .momentum = 0.95F, .rate = 0.1F, .keep = 1};

static float scratch[SCRATCH_MAX];

static int open_products(void **state)
{
    (void)state;
    return mt_train__matmul_init(NULL) == MT_OK ? 0 : 1;
}

static void fill(float *to, size_t n, uint32_t seed)
{
    for (size_t i = 0; i < n; i++) {
        seed = seed * 1664525U + 1013904223U;
        to[i] = (float)(int32_t)seed / 2147483648.0F;
    }
}

/* What a step moves, in units of its stride: from nothing, so that the momentum is the
 * gradient's. */
static void moved(const struct mt_muon *how, uint32_t rows, uint32_t columns,
                  const float *grads, float *out)
{
    float momentum[MOST] = {0};
    float stride = how->rate * 0.2F * sqrtf((float)(rows > columns ? rows : columns));

    memset(out, 0, (size_t)rows * columns * sizeof *out);
    assert_true(mt_muon_scratch(rows, columns) <= SCRATCH_MAX);
    mt_muon_apply(how, rows, columns, out, momentum, grads, scratch);
    for (size_t i = 0; i < (size_t)rows * columns; i++)
        out[i] /= stride;
}

/* Length of the longest and shortest image of unit vectors along the shorter side's space: by
 * rows (or columns) each direction of the gradient's own is kept between 0.6 and 1.3. */
static void a_step_goes_as_far_in_every_direction(void **state)
{
    (void)state;
    static float grads[MOST], step[MOST];

    for (size_t k = 0; k < MT_ARRAY_LEN(sizes); k++) {
        uint32_t rows = sizes[k].rows, columns = sizes[k].columns;
        bool is_tall = rows > columns;
        uint32_t side = is_tall ? columns : rows, other = is_tall ? rows : columns;

        fill(grads, (size_t)rows * columns, (uint32_t)k);
        for (size_t i = 0; i < columns; i++)
            grads[i] *= 30; /* one direction far stronger than the others */
        moved(&plain, rows, columns, grads, step);
        for (uint32_t trial = 0; trial < 20; trial++) {
            float v[SIDE_MAX];
            double from = 0, to = 0;

            fill(v, side, 100 + trial);
            for (uint32_t i = 0; i < other; i++) {
                double sum = 0;
                for (uint32_t j = 0; j < side; j++)
                    sum += (double)v[j] *
                           (double)(is_tall ? step[i * columns + j] : step[j * columns + i]);
                to += sum * sum;
            }
            for (uint32_t j = 0; j < side; j++)
                from += (double)v[j] * (double)v[j];
            mt_check_row(sizes[k].name, sqrt(to / from) > 0.6 && sqrt(to / from) < 1.3);
        }
    }
}

static void a_step_goes_down(void **state)
{
    (void)state;
    static float grads[MOST], step[MOST];

    for (size_t k = 0; k < MT_ARRAY_LEN(sizes); k++) {
        size_t n = (size_t)sizes[k].rows * sizes[k].columns;
        double along = 0;

        fill(grads, n, 7);
        moved(&plain, sizes[k].rows, sizes[k].columns, grads, step);
        for (size_t i = 0; i < n; i++)
            along += (double)grads[i] * (double)step[i];
        mt_check_row(sizes[k].name, along < 0);
    }
}

static void a_transposed_matrix_moves_alike(void **state)
{
    (void)state;
    enum { ROWS = 20, COLUMNS = 36 };
    static float grads[MOST], turned[MOST], step[MOST], turned_step[MOST];

    fill(grads, ROWS * COLUMNS, 3);
    for (uint32_t i = 0; i < ROWS; i++)
        for (uint32_t j = 0; j < COLUMNS; j++)
            turned[j * ROWS + i] = grads[i * COLUMNS + j];
    moved(&plain, ROWS, COLUMNS, grads, step);
    moved(&plain, COLUMNS, ROWS, turned, turned_step);
    for (uint32_t i = 0; i < ROWS; i++)
        for (uint32_t j = 0; j < COLUMNS; j++)
            assert_true(fabsf(turned_step[j * ROWS + i] - step[i * COLUMNS + j]) < 1e-4F);
}

/* How large a gradient is does not matter, only where it points; nothing moves for none. */
static void size_does_not_matter_and_nothing_comes_of_nothing(void **state)
{
    (void)state;
    enum { N = 16 };
    static float grads[MOST], large[MOST], step[MOST], large_step[MOST];

    fill(grads, N * N, 5);
    for (size_t i = 0; i < N * N; i++)
        large[i] = 1000 * grads[i];
    moved(&plain, N, N, grads, step);
    moved(&plain, N, N, large, large_step);
    for (size_t i = 0; i < N * N; i++)
        assert_true(fabsf(step[i] - large_step[i]) < 1e-3F);
    memset(grads, 0, sizeof grads);
    moved(&plain, N, N, grads, step);
    for (size_t i = 0; i < N * N; i++)
        assert_true(step[i] == 0);
}

static void decay_and_momentum_are_kept(void **state)
{
    (void)state;
    const struct mt_muon how = {.scale = 0.5F, .momentum = 0.75F, .rate = 0.1F, .keep = 0.9F};
    float params[1] = {2}, momentum[1] = {4}, grads[1] = {8};

    mt_muon_apply(&how, 1, 1, params, momentum, grads, scratch);
    /* the gradient is 0.5 * 8 = 4, as the momentum is */
    assert_true(fabsf(momentum[0] - 4) < 1e-6F);
    /* 1.8 less a stride of 0.02, by what the polynomial makes of 1 */
    assert_true(params[0] < 1.8F - 0.6F * 0.02F && params[0] > 1.8F - 1.3F * 0.02F);
}

static void products_in_bf16_give_nearly_the_same(void **state)
{
    (void)state;
    enum { N = 48 };
    struct mt_muon how = plain;
    static float grads[MOST], step[MOST], coarse[MOST];
    double squares = 0, differences = 0;

    fill(grads, N * N, 11);
    moved(&plain, N, N, grads, step);
    how.precision = MT_PRECISION_BF16;
    moved(&how, N, N, grads, coarse);
    for (size_t i = 0; i < N * N; i++) {
        squares += (double)step[i] * (double)step[i];
        differences += (double)(coarse[i] - step[i]) * (double)(coarse[i] - step[i]);
    }
    assert_true(sqrt(differences / squares) < 0.2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_step_goes_as_far_in_every_direction),
        cmocka_unit_test(a_step_goes_down),
        cmocka_unit_test(a_transposed_matrix_moves_alike),
        cmocka_unit_test(size_does_not_matter_and_nothing_comes_of_nothing),
        cmocka_unit_test(decay_and_momentum_are_kept),
        cmocka_unit_test(products_in_bf16_give_nearly_the_same),
    };
    return cmocka_run_group_tests(tests, open_products, NULL);
}
