/* SPDX-License-Identifier: Apache-2.0 */
#include "muon.h"

#include <math.h>
#include <string.h>

#include "matmul.h"

enum { ROUNDS = 5, LINE = 16 };

/* x -> a x + b x^3 + c x^5, steep at 0: five of them bring all of (0.01, 1] to 0.7 .. 1.2. */
static const float a = 3.4445F, b = -4.7750F, c = 2.0315F;

struct room {
    float *x, *next;     /* [rows x columns] */
    float *gram, *cubic; /* [side x side], the shorter one */
};

static size_t up(size_t n)
{
    return (n + LINE - 1) / LINE * LINE;
}

static uint32_t shorter(uint32_t rows, uint32_t columns)
{
    return rows < columns ? rows : columns;
}

size_t mt_muon_scratch(uint32_t rows, uint32_t columns)
{
    size_t side = shorter(rows, columns);

    return 2 * up((size_t)rows * columns) + 2 * up(side * side);
}

double mt_muon_flops(uint32_t rows, uint32_t columns)
{
    double side = shorter(rows, columns);

    return ROUNDS * (4 * side * rows * columns + 2 * side * side * side);
}

static struct room cut(float *scratch, uint32_t rows, uint32_t columns)
{
    size_t whole = up((size_t)rows * columns);
    size_t side = shorter(rows, columns);

    return (struct room){scratch, scratch + whole, scratch + 2 * whole,
                         scratch + 2 * whole + up(side * side)};
}

static struct mt_rows rows_of(float *at, uint32_t n, uint32_t width)
{
    return (struct mt_rows){.at = at, .n = n, .width = width, .step = width};
}

/* x becomes what is to be orthogonalised, of norm 1: the gradient a step ahead (Nesterov). */
static void begin(const struct mt_muon *how, size_t n, float *momentum, const float *grads,
                  float *x)
{
    float mix = 1 - how->momentum;
    double squares = 0;

    for (size_t i = 0; i < n; i++) {
        float g = how->scale * grads[i];

        momentum[i] += mix * (g - momentum[i]);
        x[i] = g + how->momentum * (momentum[i] - g);
    }
    for (size_t i = 0; i < n; i++)
        squares += (double)x[i] * (double)x[i];
    float inverse = (float)(1 / (sqrt(squares) + 1e-20));
    for (size_t i = 0; i < n; i++)
        x[i] *= inverse;
}

/* cubic = a + b gram + c gram^2, whose product with x is the round's polynomial of x. */
static void polynomial(enum mt_precision precision, const struct room *room, uint32_t side)
{
    struct mt_rows gram = rows_of(room->gram, side, side);

    /* gram is symmetric: its product with itself turned is its square */
    mt_train__matmul(precision, gram, room->gram, rows_of(room->cubic, side, side),
                     MT_MATMUL_SETS);
    for (size_t i = 0; i < (size_t)side * side; i++)
        room->cubic[i] = b * room->gram[i] + c * room->cubic[i];
    for (size_t i = 0; i < side; i++)
        room->cubic[i * side + i] += a;
}

static void round_of(enum mt_precision precision, struct room *room, uint32_t rows,
                     uint32_t columns)
{
    bool is_tall = rows > columns;
    uint32_t side = shorter(rows, columns);
    struct mt_rows x = rows_of(room->x, rows, columns);
    struct mt_rows next = rows_of(room->next, rows, columns);

    if (is_tall) { /* x^T x, then x times the polynomial of it */
        memset(room->gram, 0, (size_t)side * side * sizeof *room->gram);
        mt_train__matmul_w_grad(precision, x, x, room->gram);
        polynomial(precision, room, side);
        mt_train__matmul_x_grad(precision, x, room->cubic, next);
    } else { /* x x^T, then the polynomial of it times x */
        mt_train__matmul(precision, x, room->x, rows_of(room->gram, side, side),
                         MT_MATMUL_SETS);
        polynomial(precision, room, side);
        mt_train__matmul_x_grad(precision, rows_of(room->cubic, side, side), room->x, next);
    }
    float *was = room->x;
    room->x = room->next;
    room->next = was;
}

void mt_muon_apply(const struct mt_muon *how, uint32_t rows, uint32_t columns, float *params,
                   float *momentum, const float *grads, float *scratch)
{
    struct room room = cut(scratch, rows, columns);
    size_t n = (size_t)rows * columns;
    float stride = how->rate * 0.2F * sqrtf((float)(rows > columns ? rows : columns));

    begin(how, n, momentum, grads, room.x);
    for (int i = 0; i < ROUNDS; i++)
        round_of(how->precision, &room, rows, columns);
    for (size_t i = 0; i < n; i++)
        params[i] = how->keep * params[i] - stride * room.x[i];
}
