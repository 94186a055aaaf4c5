/* SPDX-License-Identifier: Apache-2.0 */
/* Ridge regression is solved over examples or over columns, whichever are fewer: for examples X
 * (mean taken away), classes Y and K = X X^T, W = Y^T (K + l)^-1 X = Y^T X (X^T X + l)^-1. */
#include "train/probe.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "matmul.h"

struct mt_probe {
    uint32_t classes_n, width;
    float *weights; /* [classes_n x width] */
    float *bias;    /* [classes_n] */
};

/* What a fit needs on the way. */
struct fit {
    const struct mt_probe_opts *opts;
    const struct mt_labelled *examples;
    uint32_t n, width; /* of the examples */
    uint32_t side;     /* of the system that is solved */
    float *rows;       /* [n x width] without their mean */
    float *mean;       /* [width] */
    float *wanted;     /* [n x classes_n] without their mean; then, over examples, factors */
    float *shares;     /* [classes_n] of the examples */
    float *gram;       /* [side x side] */
    double *system, *right; /* [side x side], [side] */
};

static void fit_fini(struct fit *fit)
{
    mt_free(fit->rows);
    mt_free(fit->mean);
    mt_free(fit->wanted);
    mt_free(fit->shares);
    mt_free(fit->gram);
    mt_free(fit->system);
    mt_free(fit->right);
}

static mt_rc fit_init(struct fit *fit, struct mt_err *err)
{
    size_t side = fit->side = fit->n < fit->width ? fit->n : fit->width;
    bool is_solved = fit->opts->way == MT_PROBE_RIDGE;

    fit->rows = mt_alloc((size_t)fit->n * fit->width, sizeof *fit->rows);
    fit->mean = mt_alloc(fit->width, sizeof *fit->mean);
    fit->wanted = mt_alloc((size_t)fit->n * fit->opts->classes_n, sizeof *fit->wanted);
    fit->shares = mt_alloc(fit->opts->classes_n, sizeof *fit->shares);
    if (fit->rows == NULL || fit->mean == NULL || fit->wanted == NULL || fit->shares == NULL)
        return MT_FAIL(err, MT_E_NOMEM, "%u labelled vectors", fit->n);
    if (!is_solved)
        return MT_OK;
    fit->gram = mt_alloc(side * side, sizeof *fit->gram);
    fit->system = mt_alloc(side * side, sizeof *fit->system);
    fit->right = mt_alloc(side, sizeof *fit->right);
    if (fit->gram == NULL || fit->system == NULL || fit->right == NULL)
        return MT_FAIL(err, MT_E_NOMEM, "%zu equations", side);
    return MT_OK;
}

static struct mt_rows all(float *at, uint32_t n, uint32_t width)
{
    return (struct mt_rows){.at = at, .n = n, .width = width, .step = width};
}

static void centre(struct fit *fit)
{
    const float *rows = fit->examples->rows;
    size_t width = fit->width;

    for (uint32_t i = 0; i < fit->n; i++)
        for (size_t j = 0; j < width; j++)
            fit->mean[j] += rows[i * width + j] / (float)fit->n;
    for (uint32_t i = 0; i < fit->n; i++)
        for (size_t j = 0; j < width; j++)
            fit->rows[i * width + j] = rows[i * width + j] - fit->mean[j];
}

/* ------------------------------------------------------------------ ridge */

static void want(struct fit *fit)
{
    uint32_t classes_n = fit->opts->classes_n;

    for (uint32_t i = 0; i < fit->n; i++)
        fit->shares[fit->examples->classes[i]] += 1.0F / (float)fit->n;
    for (uint32_t i = 0; i < fit->n; i++)
        for (uint32_t c = 0; c < classes_n; c++)
            fit->wanted[(size_t)i * classes_n + c] =
                (c == fit->examples->classes[i] ? 1.0F : 0.0F) - fit->shares[c];
}

/* Eight sums beside each other, so that they fit a vector; the order is fixed. */
static double dot(const double *a, const double *b, size_t n)
{
    enum { LANES = 8 };
    double sums[LANES] = {0};
    double sum = 0;
    size_t i = 0;

    for (; i + LANES <= n; i += LANES)
        for (size_t lane = 0; lane < LANES; lane++)
            sums[lane] += a[i + lane] * b[i + lane];
    for (; i < n; i++)
        sum += a[i] * b[i];
    for (size_t lane = 0; lane < LANES; lane++)
        sum += sums[lane];
    return sum;
}

/* Cholesky's factor below the diagonal, in place. What is added to the diagonal keeps every
 * pivot above 0, but for rounding. */
static void factor(double *system, size_t side)
{
    for (size_t i = 0; i < side; i++) {
        double *row = system + i * side;

        for (size_t j = 0; j < i; j++)
            row[j] = (row[j] - dot(row, system + j * side, j)) / system[j * side + j];
        double pivot = row[i] - dot(row, row, i);
        row[i] = sqrt(pivot > 1e-12 ? pivot : 1e-12);
    }
}

static void solve(const double *factor, size_t side, double *right)
{
    for (size_t i = 0; i < side; i++)
        right[i] = (right[i] - dot(factor + i * side, right, i)) / factor[i * side + i];
    for (size_t i = side; i-- > 0;) {
        const double *row = factor + i * side;

        right[i] /= row[i];
        for (size_t j = 0; j < i; j++)
            right[j] -= row[j] * right[i];
    }
}

static void set_up(struct fit *fit)
{
    size_t side = fit->side;
    struct mt_rows rows = all(fit->rows, fit->n, fit->width);
    double trace = 0;

    if (fit->n < fit->width)
        mt_train__matmul(MT_PRECISION_F32, rows, fit->rows, all(fit->gram, fit->n, fit->n),
                         MT_MATMUL_SETS);
    else
        mt_train__matmul_w_grad(MT_PRECISION_F32, rows, rows, fit->gram);
    for (size_t i = 0; i < side * side; i++)
        fit->system[i] = (double)fit->gram[i];
    for (size_t i = 0; i < side; i++)
        trace += fit->system[i * side + i];
    for (size_t i = 0; i < side; i++)
        fit->system[i * side + i] += fit->opts->lambda * trace / (double)side + 1e-9;
    factor(fit->system, side);
}

/* A column of wanted becomes the factors that its class gives to the examples. */
static void solve_examples(struct fit *fit, struct mt_probe *probe)
{
    size_t classes_n = fit->opts->classes_n;

    for (size_t c = 0; c < classes_n; c++) {
        for (size_t i = 0; i < fit->n; i++)
            fit->right[i] = (double)fit->wanted[i * classes_n + c];
        solve(fit->system, fit->side, fit->right);
        for (size_t i = 0; i < fit->n; i++)
            fit->wanted[i * classes_n + c] = (float)fit->right[i];
    }
    mt_train__matmul_w_grad(MT_PRECISION_F32, all(fit->wanted, fit->n, probe->classes_n),
                            all(fit->rows, fit->n, fit->width), probe->weights);
}

static void solve_columns(struct fit *fit, struct mt_probe *probe)
{
    mt_train__matmul_w_grad(MT_PRECISION_F32, all(fit->wanted, fit->n, probe->classes_n),
                            all(fit->rows, fit->n, fit->width), probe->weights);
    for (size_t c = 0; c < probe->classes_n; c++) {
        float *row = probe->weights + c * fit->width;

        for (size_t j = 0; j < fit->width; j++)
            fit->right[j] = (double)row[j];
        solve(fit->system, fit->side, fit->right);
        for (size_t j = 0; j < fit->width; j++)
            row[j] = (float)fit->right[j];
    }
}

static void fit_ridge(struct fit *fit, struct mt_probe *probe)
{
    want(fit);
    set_up(fit);
    if (fit->n < fit->width)
        solve_examples(fit, probe);
    else
        solve_columns(fit, probe);
    memcpy(probe->bias, fit->shares, probe->classes_n * sizeof *probe->bias);
}

/* ------------------------------------------------------------------ centroids */

/* Vectors of different length say equally much. */
static float inverse_length(const float *row, size_t width)
{
    double squares = 0;

    for (size_t j = 0; j < width; j++)
        squares += (double)row[j] * (double)row[j];
    return squares > 0 ? (float)(1 / sqrt(squares)) : 0;
}

static void fit_centroids(struct fit *fit, struct mt_probe *probe)
{
    size_t width = fit->width;

    for (size_t i = 0; i < fit->n; i++) {
        const float *row = fit->rows + i * width;
        float *to = probe->weights + fit->examples->classes[i] * width;
        float by = inverse_length(row, width);

        for (size_t j = 0; j < width; j++)
            to[j] += by * row[j];
    }
    for (size_t c = 0; c < probe->classes_n; c++) {
        float *row = probe->weights + c * width;
        float by = inverse_length(row, width);

        for (size_t j = 0; j < width; j++)
            row[j] *= by;
    }
}

/* ------------------------------------------------------------------ both */

/* Scores are of vectors with the mean still in them. */
static void take_mean_away(const struct fit *fit, struct mt_probe *probe)
{
    for (size_t c = 0; c < probe->classes_n; c++) {
        double sum = 0;

        for (size_t j = 0; j < fit->width; j++)
            sum += (double)probe->weights[c * fit->width + j] * (double)fit->mean[j];
        probe->bias[c] -= (float)sum;
    }
}

mt_rc mt_probe_new(const struct mt_probe_opts *opts, const struct mt_labelled *examples,
                   struct mt_probe **out, struct mt_err *err)
{
    MT_CLEANUP(mt_probe_freep) struct mt_probe *probe = mt_alloc(1, sizeof *probe);
    MT_CLEANUP(fit_fini)
    struct fit fit = {
        .opts = opts, .examples = examples, .n = examples->n, .width = examples->width};

    MT_ASSERT(fit.n > 0 && fit.width > 0 && opts->classes_n > 0);
    if (probe == NULL)
        return MT_FAIL(err, MT_E_NOMEM, "probe");
    probe->classes_n = opts->classes_n;
    probe->width = fit.width;
    probe->weights = mt_alloc((size_t)opts->classes_n * fit.width, sizeof *probe->weights);
    probe->bias = mt_alloc(opts->classes_n, sizeof *probe->bias);
    if (probe->weights == NULL || probe->bias == NULL)
        return MT_FAIL(err, MT_E_NOMEM, "probe");
    MT_TRY(fit_init(&fit, err));
    MT_TRY(mt_train__matmul_init(err));
    centre(&fit);
    if (opts->way == MT_PROBE_RIDGE)
        fit_ridge(&fit, probe);
    else
        fit_centroids(&fit, probe);
    take_mean_away(&fit, probe);
    *out = MT_MOVE(probe);
    return MT_OK;
}

void mt_probe_free(struct mt_probe *probe)
{
    if (probe == NULL)
        return;
    mt_free(probe->weights);
    mt_free(probe->bias);
    mt_free(probe);
}

void mt_probe_freep(struct mt_probe **probe)
{
    mt_probe_free(*probe);
    *probe = NULL;
}

mt_rc mt_probe_name(const struct mt_probe *probe, const float *rows, uint32_t n,
                    uint32_t *named, struct mt_err *err)
{
    uint32_t classes_n = probe->classes_n;
    MT_CLEANUP(mt_freep) float *scores = mt_alloc((size_t)n * classes_n, sizeof *scores);
    float *from = (float *)(uintptr_t)rows; /* only read */

    if (scores == NULL)
        return MT_FAIL(err, MT_E_NOMEM, "%u vectors", n);
    mt_train__matmul(MT_PRECISION_F32, all(from, n, probe->width), probe->weights,
                     all(scores, n, classes_n), MT_MATMUL_SETS);
    for (uint32_t i = 0; i < n; i++) {
        const float *row = scores + (size_t)i * classes_n;

        named[i] = 0;
        for (uint32_t c = 1; c < classes_n; c++)
            if (row[c] + probe->bias[c] > row[named[i]] + probe->bias[named[i]])
                named[i] = c;
    }
    return MT_OK;
}
