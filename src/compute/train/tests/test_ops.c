/* SPDX-License-Identifier: Apache-2.0 */
/* Every operator, at every level that this processor runs: its output beside a plain one in
 * double, its gradient beside differences of that. */
#include "support/test.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/attr.h"
#include "matmul.h"
#include "ops.h"
#include "reference.h"

enum { SAMPLES = 120, LEVELS_MAX = 3 };

/* Sizes of a case; what they mean is the operator's. */
struct dims {
    uint32_t a, b, c, d, e;
};

/* Inputs lie one behind the other in one array, so do their gradients. */
struct op_kind {
    const char *name;
    size_t (*in_n)(struct dims dims);
    size_t (*out_n)(struct dims dims);
    void (*reference)(struct dims dims, const double *in, double *out);
    void (*forward)(const struct mt_ops *ops, struct dims dims, const float *in, float *out);
    /* in_grad comes in zero */
    void (*backward)(const struct mt_ops *ops, struct dims dims, const float *in,
                     const float *out, const float *out_grad, float *in_grad);
};

static void *room(size_t n, size_t size)
{
    void *memory = mt_alloc(n, size);

    assert_non_null(memory);
    return memory;
}

/* norm: a rows, b wide; x, gain */

static size_t norm_in(struct dims s)
{
    return (size_t)(s.a + 1) * s.b;
}

static size_t rows_out(struct dims s)
{
    return (size_t)s.a * s.b;
}

static void norm_reference(struct dims s, const double *in, double *out)
{
    for (uint32_t r = 0; r < s.a; r++)
        ref_norm(in + r * s.b, in + s.a * s.b, s.b, 0.01, out + r * s.b);
}

static void norm_forward(const struct mt_ops *ops, struct dims s, const float *in, float *out)
{
    float inverse[16];
    const struct mt_norm norm = {.rows = s.a,
                                 .width = s.b,
                                 .eps = 0.01F,
                                 .x = in,
                                 .gain = in + s.a * s.b,
                                 .inverse = inverse,
                                 .y = out};

    ops->norm(&norm);
}

static void norm_backward(const struct mt_ops *ops, struct dims s, const float *in,
                          const float *out, const float *out_grad, float *in_grad)
{
    float inverse[16];
    MT_CLEANUP(mt_freep) float *y = room(rows_out(s), sizeof *y);
    struct mt_norm norm = {.rows = s.a,
                           .width = s.b,
                           .eps = 0.01F,
                           .x = in,
                           .gain = in + s.a * s.b,
                           .inverse = inverse,
                           .y = y,
                           .x_grad = in_grad,
                           .gain_grad = in_grad + s.a * s.b};

    ops->norm(&norm);
    assert_memory_equal(y, out, rows_out(s) * sizeof *y);
    memcpy(y, out_grad, rows_out(s) * sizeof *y);
    ops->norm_back(&norm);
}

/* swiglu: a rows, b wide; gate and up */

static size_t swiglu_in(struct dims s)
{
    return 2 * (size_t)s.a * s.b;
}

static void swiglu_reference(struct dims s, const double *in, double *out)
{
    for (uint32_t r = 0; r < s.a; r++)
        ref_swiglu(in + (size_t)r * 2 * s.b, s.b, out + r * s.b);
}

static void swiglu_forward(const struct mt_ops *ops, struct dims s, const float *in, float *out)
{
    MT_CLEANUP(mt_freep) float *gate_up = room(swiglu_in(s), sizeof *gate_up);

    memcpy(gate_up, in, swiglu_in(s) * sizeof *gate_up);
    ops->swiglu(&(struct mt_swiglu){.rows = s.a, .width = s.b, .gate_up = gate_up, .y = out});
}

static void swiglu_backward(const struct mt_ops *ops, struct dims s, const float *in,
                            const float *out, const float *out_grad, float *in_grad)
{
    MT_CLEANUP(mt_freep) float *y = room(rows_out(s), sizeof *y);

    memcpy(in_grad, in, swiglu_in(s) * sizeof *in_grad);
    memcpy(y, out_grad, rows_out(s) * sizeof *y);
    ops->swiglu_back(
        &(struct mt_swiglu){.rows = s.a, .width = s.b, .gate_up = in_grad, .y = y});
    for (size_t i = 0; i < rows_out(s); i++)
        assert_true(fabsf(y[i] - out[i]) <= 1e-6F); /* y is computed again */
}

/* attention: a long, b heads, c key heads, d wide, e first query that is wanted */

static struct mt_shape attention_shape(struct dims s)
{
    return (struct mt_shape){
        .heads_n = s.b, .kv_heads_n = s.c, .head_width = s.d, .rope_base = 100.0F};
}

static size_t attention_in(struct dims s)
{
    return (size_t)s.a * (s.b + 2 * s.c) * s.d;
}

static size_t attention_out(struct dims s)
{
    return (size_t)s.a * s.b * s.d;
}

static void attention_reference(struct dims s, const double *in, double *out)
{
    struct mt_shape shape = attention_shape(s);

    ref_attention(&shape, in, s.a, out);
    memset(out, 0, (size_t)s.e * s.b * s.d * sizeof *out);
}

/* What an attention call needs beside its operands. */
struct attention_room {
    float *angles, *log_sums, *scratch;
};

static void attention_room_fini(struct attention_room *r)
{
    mt_free(r->angles);
    mt_free(r->log_sums);
    mt_free(r->scratch);
}

static struct mt_attention attention_of(struct dims s, struct attention_room *r)
{
    size_t padded = mt_train__padded(s.d);

    r->angles = room(2 * s.a * padded, sizeof *r->angles);
    r->log_sums = room((size_t)s.a * s.b, sizeof *r->log_sums);
    r->scratch = room(mt_train__attention_scratch(s.a, s.d), sizeof *r->scratch);
    float *sines = r->angles + s.a * padded;
    for (uint32_t p = 0; p < s.a; p++)
        for (uint32_t i = 0; i < s.d; i++) {
            double angle = p * pow(100.0, -(double)(i / 2 * 2) / s.d);

            r->angles[p * padded + i] = (float)cos(angle);
            sines[p * padded + i] = (float)sin(angle) * (i % 2 == 0 ? -1.0F : 1.0F);
        }
    return (struct mt_attention){.length = s.a,
                                 .query_from = s.e,
                                 .heads_n = s.b,
                                 .kv_heads_n = s.c,
                                 .head_width = s.d,
                                 .scale = 1.0F / sqrtf((float)s.d),
                                 .cosines = r->angles,
                                 .sines = sines,
                                 .qkv_row = (size_t)(s.b + 2 * s.c) * s.d,
                                 .log_sums = r->log_sums,
                                 .log_sums_row = s.a,
                                 .scratch = r->scratch};
}

static void attention_forward(const struct mt_ops *ops, struct dims s, const float *in,
                              float *out)
{
    MT_CLEANUP(attention_room_fini) struct attention_room r = {0};
    MT_CLEANUP(mt_freep) float *qkv = room(attention_in(s), sizeof *qkv);
    struct mt_attention attention = attention_of(s, &r);

    memcpy(qkv, in, attention_in(s) * sizeof *qkv);
    attention.qkv = qkv;
    attention.out = out;
    ops->attention(&attention);
    memset(out, 0, (size_t)s.e * s.b * s.d * sizeof *out);
}

static void attention_backward(const struct mt_ops *ops, struct dims s, const float *in,
                               const float *out, const float *out_grad, float *in_grad)
{
    MT_CLEANUP(attention_room_fini) struct attention_room r = {0};
    MT_CLEANUP(mt_freep) float *again = room(attention_out(s), sizeof *again);
    MT_CLEANUP(mt_freep) float *wanted = room(attention_out(s), sizeof *wanted);
    struct mt_attention attention = attention_of(s, &r);
    size_t skipped = (size_t)s.e * s.b * s.d;

    memcpy(in_grad, in, attention_in(s) * sizeof *in_grad);
    memcpy(wanted + skipped, out_grad + skipped, (attention_out(s) - skipped) * sizeof *wanted);
    attention.qkv = in_grad;
    attention.out = again;
    ops->attention(&attention);
    assert_memory_equal(again + skipped, out + skipped,
                        (attention_out(s) - skipped) * sizeof *out);
    attention.out_grad = wanted;
    ops->attention_back(&attention);
}

/* linear: a rows, b inputs, c outputs; x, w */

static size_t linear_in(struct dims s)
{
    return (size_t)(s.a + s.c) * s.b;
}

static size_t linear_out(struct dims s)
{
    return (size_t)s.a * s.c;
}

static void linear_reference(struct dims s, const double *in, double *out)
{
    for (uint32_t r = 0; r < s.a; r++)
        ref_linear(in + r * s.b, s.b, in + s.a * s.b, s.c, out + r * s.c);
}

static struct mt_rows rows_of(const float *at, uint32_t n, uint32_t width)
{
    union {
        const float *in;
        float *out;
    } place = {.in = at};

    return (struct mt_rows){.at = place.out, .n = n, .width = width, .step = width};
}

static void linear_forward(const struct mt_ops *ops, struct dims s, const float *in, float *out)
{
    mt_train__matmul_choose(ops);
    memset(out, 0, linear_out(s) * sizeof *out);
    mt_train__matmul(MT_PRECISION_F32, rows_of(in, s.a, s.b), in + s.a * s.b,
                     rows_of(out, s.a, s.c), s.e ? MT_MATMUL_ADDS : MT_MATMUL_SETS);
}

static void linear_backward(const struct mt_ops *ops, struct dims s, const float *in,
                            const float *out, const float *out_grad, float *in_grad)
{
    (void)out;
    mt_train__matmul_choose(ops);
    mt_train__matmul_x_grad(MT_PRECISION_F32, rows_of(out_grad, s.a, s.c), in + s.a * s.b,
                            rows_of(in_grad, s.a, s.b));
    mt_train__matmul_w_grad(MT_PRECISION_F32, rows_of(out_grad, s.a, s.c),
                            rows_of(in, s.a, s.b), in_grad + s.a * s.b);
}

/* loss: vocabulary of a, target b; c: 0 hard, 1 soft (any positive numbers) */

static size_t loss_in(struct dims s)
{
    return s.a;
}

static size_t loss_out(struct dims s)
{
    (void)s;
    return 1;
}

static const float *soft_of(struct dims s, float *soft)
{
    for (uint32_t i = 0; i < s.a; i++)
        soft[i] = 0.001F * (float)(1 + i * 37 % 29);
    return s.c ? soft : NULL;
}

static void loss_reference(struct dims s, const double *in, double *out)
{
    float soft[512];

    *out = ref_loss(in, s.a, (int32_t)s.b, soft_of(s, soft));
}

static void loss_run(const struct mt_ops *ops, struct dims s, const float *in,
                     struct mt_loss_row *row, float *logits)
{
    float soft[512];

    memcpy(logits, in, s.a * sizeof *logits);
    row->vocab_n = s.a;
    row->logits = logits;
    row->target = (int32_t)s.b;
    row->soft = soft_of(s, soft);
    ops->loss(row);
    row->soft = NULL;
}

static void loss_forward(const struct mt_ops *ops, struct dims s, const float *in, float *out)
{
    float logits[512];
    struct mt_loss_row row = {0};

    loss_run(ops, s, in, &row, logits);
    *out = row.cross;
}

static void loss_backward(const struct mt_ops *ops, struct dims s, const float *in,
                          const float *out, const float *out_grad, float *in_grad)
{
    float logits[512];
    struct mt_loss_row row = {.factor = *out_grad};

    (void)out;
    loss_run(ops, s, in, &row, logits);
    memcpy(in_grad, logits, s.a * sizeof *in_grad);
    for (uint32_t i = s.a; i < mt_train__padded(s.a); i++)
        assert_true(logits[i] == 0.0F);
}

#define OPERATOR(name, in, out)                                           \
    {                                                                     \
#name, in, out, name##_reference, name##_forward, name##_backward \
    }

static const struct op_kind operators[] = {
    OPERATOR(norm, norm_in, rows_out),
    OPERATOR(swiglu, swiglu_in, rows_out),
    OPERATOR(attention, attention_in, attention_out),
    OPERATOR(linear, linear_in, linear_out),
    OPERATOR(loss, loss_in, loss_out),
};

enum { NORM, SWIGLU, ATTENTION, LINEAR, LOSS };

static const struct op_case {
    int op;
    struct dims dims;
} cases[] = {
    {NORM, {1, 1, 0, 0, 0}},         {NORM, {3, 16, 0, 0, 0}},
    {NORM, {2, 37, 0, 0, 0}},        {SWIGLU, {1, 1, 0, 0, 0}},
    {SWIGLU, {3, 32, 0, 0, 0}},      {SWIGLU, {2, 21, 0, 0, 0}},
    {ATTENTION, {1, 1, 1, 2, 0}},    {ATTENTION, {5, 2, 1, 6, 0}},
    {ATTENTION, {16, 2, 2, 16, 0}},  {ATTENTION, {17, 4, 2, 16, 0}},
    {ATTENTION, {35, 2, 1, 32, 0}},  {ATTENTION, {35, 2, 1, 20, 18}},
    {ATTENTION, {48, 2, 1, 64, 47}}, {LINEAR, {1, 1, 1, 0, 0}},
    {LINEAR, {7, 5, 3, 0, 1}},       {LINEAR, {33, 32, 48, 0, 0}},
    {LINEAR, {21, 530, 7, 0, 0}},    {LINEAR, {9, 17, 131, 0, 1}},
    {LINEAR, {520, 3, 65, 0, 0}},    {LINEAR, {6, 4, 1, 0, 0}},
    {LOSS, {2, 1, 0, 0, 0}},         {LOSS, {16, 15, 0, 0, 0}},
    {LOSS, {262, 17, 0, 0, 0}},      {LOSS, {5, 0, 1, 0, 0}},
    {LOSS, {262, 261, 1, 0, 0}},
};

/* What a case is compared with. */
struct expected {
    double *in, *out, *out_grad;
    size_t places[SAMPLES]; /* inputs whose derivative is known */
    double slopes[SAMPLES];
    size_t places_n;
    double out_largest, slope_largest;
};

static void expected_fini(struct expected *e)
{
    mt_free(e->in);
    mt_free(e->out);
    mt_free(e->out_grad);
}

static double objective(const struct op_kind *op, struct dims dims, const struct expected *e,
                        double *out)
{
    double sum = 0.0;

    op->reference(dims, e->in, out);
    for (size_t i = 0; i < op->out_n(dims); i++)
        sum += out[i] * e->out_grad[i];
    return sum;
}

/* The values of inputs are floats, so that both sides start from the same. */
static void expect(const struct op_case *row, struct expected *e)
{
    const struct op_kind *op = &operators[row->op];
    size_t in_n = op->in_n(row->dims);
    size_t out_n = op->out_n(row->dims);
    const double step = 1e-4;
    uint64_t state = 1 + (uint64_t)row->op;
    MT_CLEANUP(mt_freep) double *out = room(out_n, sizeof *out);

    e->in = room(in_n, sizeof *e->in);
    e->out = room(out_n, sizeof *e->out);
    e->out_grad = room(out_n, sizeof *e->out_grad);
    for (size_t i = 0; i < in_n; i++)
        e->in[i] = (double)(float)(2.0 * ref_random(&state));
    for (size_t i = 0; i < out_n; i++) /* of either sign: as weights of a loss are */
        e->out_grad[i] = (double)(float)ref_random(&state);
    (void)objective(op, row->dims, e, e->out);
    for (size_t i = 0; i < out_n; i++)
        e->out_largest = fmax(e->out_largest, fabs(e->out[i]));
    e->places_n = in_n < SAMPLES ? in_n : SAMPLES;
    for (size_t i = 0; i < e->places_n; i++) {
        size_t at = e->places[i] = i * in_n / e->places_n;
        double value = e->in[at];

        e->in[at] = value + step;
        double above = objective(op, row->dims, e, out);
        e->in[at] = value - step;
        double below = objective(op, row->dims, e, out);
        e->in[at] = value;
        e->slopes[i] = (above - below) / (2.0 * step);
        e->slope_largest = fmax(e->slope_largest, fabs(e->slopes[i]));
    }
}

static float *narrowed(const double *from, size_t n)
{
    float *to = room(n, sizeof *to);

    for (size_t i = 0; i < n; i++)
        to[i] = (float)from[i];
    return to;
}

static void compare(const struct op_case *row, const struct mt_ops *ops,
                    const struct expected *e, const char *label)
{
    const struct op_kind *op = &operators[row->op];
    size_t out_n = op->out_n(row->dims);
    MT_CLEANUP(mt_freep) float *in = narrowed(e->in, op->in_n(row->dims));
    MT_CLEANUP(mt_freep) float *out_grad = narrowed(e->out_grad, out_n);
    MT_CLEANUP(mt_freep) float *out = room(out_n, sizeof *out);
    MT_CLEANUP(mt_freep) float *in_grad = room(op->in_n(row->dims), sizeof *in_grad);

    op->forward(ops, row->dims, in, out);
    for (size_t i = 0; i < out_n; i++)
        mt_check_row(label, fabs((double)out[i] - e->out[i]) <= 2e-6 * (1.0 + e->out_largest));
    op->backward(ops, row->dims, in, out, out_grad, in_grad);
    for (size_t i = 0; i < e->places_n; i++)
        mt_check_row(label, fabs((double)in_grad[e->places[i]] - e->slopes[i]) <=
                                5e-6 * (0.1 + e->slope_largest));
}

static void gradients_equal_differences(void **state)
{
    const struct mt_ops *levels[LEVELS_MAX];
    unsigned levels_n = mt_train__ops_all(levels);

    (void)state;
    for (size_t i = 0; i < MT_ARRAY_LEN(cases); i++) {
        MT_CLEANUP(expected_fini) struct expected e = {0};

        expect(&cases[i], &e);
        for (unsigned l = 0; l < levels_n; l++) {
            struct dims s = cases[i].dims;
            char label[96];

            (void)snprintf(label, sizeof label, "%s %u %u %u %u %u, level %u",
                           operators[cases[i].op].name, s.a, s.b, s.c, s.d, s.e, l);
            compare(&cases[i], levels[l], &e, label);
        }
    }
}

static void exp_is_good_to_a_millionth(void **state)
{
    const struct mt_ops *levels[LEVELS_MAX];
    unsigned levels_n = mt_train__ops_all(levels);
    float x[1000];
    float y[1000];

    (void)state;
    for (unsigned l = 0; l < levels_n; l++)
        for (int block = -87; block < 88; block++) {
            for (int i = 0; i < 1000; i++)
                x[i] = (float)block + (float)i * 1e-3F;
            levels[l]->exp(x, y, MT_ARRAY_LEN(x));
            for (int i = 0; i < 1000; i++) {
                double want = exp((double)x[i]);

                if (x[i] <= -86.5F)
                    assert_true(y[i] == 0.0F);
                else
                    assert_true(fabs((double)y[i] / want - 1.0) < 1e-6);
            }
        }
}

static void exp_has_ends(void **state)
{
    const struct mt_ops *levels[LEVELS_MAX];
    unsigned levels_n = mt_train__ops_all(levels);
    const float x[] = {-INFINITY, -1e30F, 0.0F, 88.0F, 1e30F, INFINITY};
    float y[MT_ARRAY_LEN(x)];

    (void)state;
    for (unsigned l = 0; l < levels_n; l++) {
        levels[l]->exp(x, y, MT_ARRAY_LEN(x));
        assert_true(y[0] == 0.0F && y[1] == 0.0F && y[2] == 1.0F);
        assert_true(isfinite(y[3]) && y[3] == y[4] && y[4] == y[5]);
    }
}

static void loss_knows_who_is_right(void **state)
{
    static const struct {
        const char *name;
        float logits[4];
        int32_t target;
        bool is_right;
    } rows[] = {
        {"largest", {0, 3, 1, 2}, 1, true},
        {"not the largest", {0, 3, 1, 2}, 3, false},
        {"first of two", {1, 3, 3, 2}, 1, true},
        {"second of two", {1, 3, 3, 2}, 2, false},
        {"far apart", {-1e30F, 1e30F, 0, 0}, 1, true},
    };
    const struct mt_ops *levels[LEVELS_MAX];
    unsigned levels_n = mt_train__ops_all(levels);

    (void)state;
    for (unsigned l = 0; l < levels_n; l++)
        for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
            float logits[16];
            struct mt_loss_row row = {
                .vocab_n = 4, .logits = logits, .target = rows[i].target, .factor = 1.0F};

            memcpy(logits, rows[i].logits, sizeof rows[i].logits);
            levels[l]->loss(&row);
            mt_check_row(rows[i].name, row.is_right == rows[i].is_right);
            mt_check_row(rows[i].name, isfinite(row.logp) && row.logp <= 0.0F);
            mt_check_row(rows[i].name, row.cross == -row.logp);
        }
}

/* A number that bfloat16 has. */
static float coarse(uint32_t *seed)
{
    *seed = *seed * 1664525U + 1013904223U;
    return (float)((int)(*seed >> 24) - 128) / 64.0F;
}

/* What is exact in bfloat16 comes out as in float, whatever the sizes; nothing beyond the
 * result is touched. */
static void products_in_bf16_are_those_of_what_was_rounded(void **state)
{
    static const struct dims rows[] = {
        {1, 1, 1, 0, 0},    {2, 3, 5, 0, 1},     {16, 32, 16, 0, 0},  {17, 33, 16, 0, 1},
        {33, 31, 47, 0, 0}, {40, 600, 24, 0, 1}, {530, 64, 70, 0, 1}, {64, 264, 128, 0, 0}};
    uint32_t seed = 7;
    (void)state;

    assert_int_equal(mt_train__matmul_init(NULL), MT_OK);
    for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
        const struct dims s = rows[i];
        size_t x_n = (size_t)s.a * s.b, w_n = (size_t)s.b * s.c, y_n = (size_t)s.a * s.c;
        float *in[3], *out[2][3];
        size_t n[3] = {x_n, w_n, y_n};

        for (int k = 0; k < 3; k++) {
            in[k] = room(n[k], sizeof(float));
            for (size_t j = 0; j < n[k]; j++)
                in[k][j] = coarse(&seed);
            for (int p = 0; p < 2; p++) {
                out[p][k] = room(n[k] + 1, sizeof(float));
                for (size_t j = 0; j <= n[k]; j++)
                    out[p][k][j] = 1.0F;
            }
        }
        for (enum mt_precision p = MT_PRECISION_F32; p <= MT_PRECISION_BF16; p++) {
            struct mt_rows x = rows_of(in[0], s.a, s.b), y = rows_of(in[2], s.a, s.c);
            mt_train__matmul(p, x, in[1], rows_of(out[p][2], s.a, s.c),
                             s.e ? MT_MATMUL_ADDS : MT_MATMUL_SETS);
            mt_train__matmul_x_grad(p, y, in[1], rows_of(out[p][0], s.a, s.b));
            mt_train__matmul_w_grad(p, y, x, out[p][1]);
        }
        for (int k = 0; k < 3; k++) {
            for (size_t j = 0; j < n[k]; j++) {
                if (fabsf(out[0][k][j] - out[1][k][j]) > 1e-3F)
                    fail_msg("case %zu, product %d, place %zu: %g, in bf16 %g", i, k, j,
                             (double)out[0][k][j], (double)out[1][k][j]);
            }
            assert_true(out[1][k][n[k]] == 1.0F);
            mt_free(in[k]);
            mt_free(out[0][k]);
            mt_free(out[1][k]);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gradients_equal_differences),
        cmocka_unit_test(exp_is_good_to_a_millionth),
        cmocka_unit_test(exp_has_ends),
        cmocka_unit_test(loss_knows_who_is_right),
        cmocka_unit_test(products_in_bf16_are_those_of_what_was_rounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
