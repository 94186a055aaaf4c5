/* SPDX-License-Identifier: Apache-2.0 */
/* Products as narrow as those of small models, for which a general library spends more on
 * arranging its operands than on multiplying.
 *
 * A panel of up to 48 columns of the right operand is copied so that it can be read in one
 * stream, and everything that it meets is multiplied before the next one. The left operand is
 * read where it lies, one element at a time for 48 columns. Tiles of 8 x 48 sums stay in
 * registers. */
#include "ops_level.h"
#include "vec.h"

enum { ROWS = 8, PANEL = 48, DEPTH = 256, TURNED_ROWS = 128, TURNED_STEP = ROWS * DEPTH + VEC };

/* Some rows of a, all of its columns that are at hand, and a panel of b. */
struct panel {
    const float *a;         /* element (i, p): the tile of row i, then */
    size_t a_tile;          /* ... from one tile of 8 rows to the next */
    size_t a_row, a_column; /* ... within it */
    uint32_t m, k;
    const float *b;
    uint32_t columns; /* that are stored */
    float *c;
    size_t c_row;
    bool adds;
};

/* rows x vecs sums from row i on; both are constants where it is called. */
VEC_INLINE void multiply_tile(const struct panel *t, uint32_t i, const uint32_t rows,
                              const uint32_t vecs)
{
    const float *a = t->a + i / ROWS * t->a_tile + i % ROWS * t->a_row;
    const float *b = t->b;
    float *c = t->c + i * t->c_row;
    vec sum[ROWS][3];

#pragma GCC unroll 8
    for (uint32_t r = 0; r < rows; r++)
#pragma GCC unroll 3
        for (uint32_t v = 0; v < vecs; v++)
            sum[r][v] = vec_all(0.0F);
    for (uint32_t p = 0; p < t->k; p++) {
#pragma GCC unroll 8
        for (uint32_t r = 0; r < rows; r++)
#pragma GCC unroll 3
            for (uint32_t v = 0; v < vecs; v++)
                sum[r][v] += a[r * t->a_row] * vec_load(b + v * VEC);
        a += t->a_column;
        b += vecs * VEC;
    }
#pragma GCC unroll 8
    for (uint32_t r = 0; r < rows; r++)
#pragma GCC unroll 3
        for (uint32_t v = 0; v < vecs; v++) {
            float *to = c + r * t->c_row + v * VEC;
            uint32_t n = t->columns - v * VEC;

            vec_store_n(to, t->adds ? sum[r][v] + vec_load_n(to, n) : sum[r][v], n);
        }
}

VEC_INLINE void multiply_rows(const struct panel *t, const uint32_t vecs)
{
    uint32_t i = 0;

    for (; i + ROWS <= t->m; i += ROWS)
        multiply_tile(t, i, ROWS, vecs);
    for (; i + 2 <= t->m; i += 2)
        multiply_tile(t, i, 2, vecs);
    if (i < t->m)
        multiply_tile(t, i, 1, vecs);
}

static void multiply_panel(const struct panel *t)
{
    uint32_t vecs = vec_padded(t->columns) / VEC;

    if (vecs == 3)
        multiply_rows(t, 3);
    else if (vecs == 2)
        multiply_rows(t, 2);
    else
        multiply_rows(t, 1);
}

/* Rows [p, p + k) and columns [j, j + columns) of b, columns filled up with zeros. */
static void copy_panel(const struct mt_product *t, uint32_t p, uint32_t k, uint32_t j,
                       uint32_t columns, float *to)
{
    const float *from = t->b + p * t->b_row + j;
    uint32_t padded = vec_padded(columns);

    for (uint32_t i = 0; i < k; i++, from += t->b_row, to += padded)
        for (uint32_t d = 0; d < padded; d += VEC)
            vec_store(to + d, vec_load_n(from + d, columns - d));
}

/* The same of a b that lies turned: columns of b are its rows. */
static void turn_panel(const struct mt_product *t, uint32_t p, uint32_t k, uint32_t j,
                       uint32_t columns, float *to)
{
    uint32_t padded = vec_padded(columns);

    for (uint32_t d = 0; d < padded; d += VEC) {
        const float *from = t->b + (j + d) * t->b_row + p;

        if (d + VEC <= columns) {
            uint32_t i = 0;

            for (; i + VEC <= k; i += VEC)
                vec_turn(from + i, t->b_row, to + i * padded + d, padded);
            for (; i < k; i++)
                for (uint32_t l = 0; l < VEC; l++)
                    to[i * padded + d + l] = from[l * t->b_row + i];
        } else
            for (uint32_t i = 0; i < k; i++)
                for (uint32_t l = 0; l < VEC; l++)
                    to[i * padded + d + l] = d + l < columns ? from[l * t->b_row + i] : 0.0F;
    }
}

/* The rows that panel describes times all of b at depth p, panel by panel. */
static void multiply_columns(const struct mt_product *t, struct panel panel, uint32_t p)
{
    float room[PANEL * DEPTH] __attribute__((aligned(64), uninitialized));
    uint32_t vecs_left = vec_padded(t->n) / VEC;
    uint32_t vecs = 0;

    panel.b = room;
    for (uint32_t j = 0; j < t->n; j += vecs * VEC, vecs_left -= vecs) {
        uint32_t panels_left = (vecs_left + PANEL / VEC - 1) / (PANEL / VEC);

        vecs = (vecs_left + panels_left - 1) / panels_left;
        panel.columns = t->n - j < vecs * VEC ? t->n - j : vecs * VEC;
        (t->b_is_turned ? turn_panel : copy_panel)(t, p, panel.k, j, panel.columns, room);
        multiply_panel(&panel);
        panel.c += vecs * VEC;
    }
}

/* Up to 128 rows of an a that lies turned, tile by tile: read where it lies, each of its
 * columns would be on a page of its own. */
static void copy_turned(const struct mt_product *t, uint32_t i, uint32_t m, uint32_t p,
                        uint32_t k, float *to)
{
    const float *from = t->a + i + p * t->a_column;
    uint32_t whole = m / ROWS * ROWS;

    for (uint32_t q = 0; q < k; q++, from += t->a_column, to += ROWS) {
        for (uint32_t r = 0; r < whole; r += ROWS)
            memcpy(to + r / ROWS * TURNED_STEP, from + r, ROWS * sizeof *to);
        for (uint32_t r = whole; r < m; r++)
            to[whole / ROWS * TURNED_STEP + r % ROWS] = from[r];
    }
}

static void multiply_turned(const struct mt_product *t, struct panel panel, uint32_t p)
{
    float room[TURNED_ROWS / ROWS * TURNED_STEP] __attribute__((aligned(64), uninitialized));

    panel.a = room;
    panel.a_tile = TURNED_STEP;
    panel.a_row = 1;
    panel.a_column = ROWS;
    for (uint32_t i = 0; i < t->m; i += TURNED_ROWS) {
        panel.m = t->m - i < TURNED_ROWS ? t->m - i : TURNED_ROWS;
        panel.c = t->c + i * t->c_row;
        copy_turned(t, i, panel.m, p, panel.k, room);
        multiply_columns(t, panel, p);
    }
}

void MT_OPS(product)(const struct mt_product *t)
{
    for (uint32_t p = 0; p < t->k; p += DEPTH) {
        const struct panel panel = {.a = t->a + p * t->a_column,
                                    .a_tile = ROWS * t->a_row,
                                    .a_row = t->a_row,
                                    .a_column = t->a_column,
                                    .m = t->m,
                                    .k = t->k - p < DEPTH ? t->k - p : DEPTH,
                                    .c = t->c,
                                    .c_row = t->c_row,
                                    .adds = t->adds || p > 0};

        if (t->a_row == 1 && t->a_column != 1)
            multiply_turned(t, panel, p);
        else
            multiply_columns(t, panel, p);
    }
}
