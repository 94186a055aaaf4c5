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

enum { ROWS = 8, PANEL = 48, DEPTH = 512 };

struct panel {
    const float *a; /* at the panel's first row of k */
    float *c;       /* at its first column */
    const float *at;
    uint32_t k;
    uint32_t columns; /* that are stored */
    bool adds;
};

/* rows x vecs sums from row i on; both are constants where it is called. */
VEC_INLINE void multiply_tile(const struct mt_product *t, const struct panel *panel, uint32_t i,
                              const uint32_t rows, const uint32_t vecs)
{
    const float *a = panel->a + i * t->a_row;
    const float *b = panel->at;
    float *c = panel->c + i * t->c_row;
    vec sum[ROWS][3];

#pragma GCC unroll 8
    for (uint32_t r = 0; r < rows; r++)
#pragma GCC unroll 3
        for (uint32_t v = 0; v < vecs; v++)
            sum[r][v] = vec_all(0.0F);
    for (uint32_t p = 0; p < panel->k; p++) {
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
            uint32_t n = panel->columns - v * VEC;

            vec_store_n(to, panel->adds ? sum[r][v] + vec_load_n(to, n) : sum[r][v], n);
        }
}

VEC_INLINE void multiply_rows(const struct mt_product *t, const struct panel *panel,
                              const uint32_t vecs)
{
    uint32_t i = 0;

    for (; i + ROWS <= t->m; i += ROWS)
        multiply_tile(t, panel, i, ROWS, vecs);
    for (; i + 2 <= t->m; i += 2)
        multiply_tile(t, panel, i, 2, vecs);
    if (i < t->m)
        multiply_tile(t, panel, i, 1, vecs);
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

static void multiply_panel(const struct mt_product *t, const struct panel *panel)
{
    uint32_t vecs = vec_padded(panel->columns) / VEC;

    if (vecs == 3)
        multiply_rows(t, panel, 3);
    else if (vecs == 2)
        multiply_rows(t, panel, 2);
    else
        multiply_rows(t, panel, 1);
}

void MT_OPS(product)(const struct mt_product *t)
{
    float room[PANEL * DEPTH] __attribute__((aligned(64), uninitialized));

    for (uint32_t p = 0; p < t->k; p += DEPTH) {
        uint32_t k = t->k - p < DEPTH ? t->k - p : DEPTH;
        uint32_t vecs_left = vec_padded(t->n) / VEC;

        for (uint32_t j = 0; j < t->n;) {
            uint32_t panels_left = (vecs_left + PANEL / VEC - 1) / (PANEL / VEC);
            uint32_t vecs = (vecs_left + panels_left - 1) / panels_left;
            uint32_t columns = t->n - j < vecs * VEC ? t->n - j : vecs * VEC;
            const struct panel panel = {.a = t->a + p * t->a_column,
                                        .c = t->c + j,
                                        .at = room,
                                        .k = k,
                                        .columns = columns,
                                        .adds = t->adds || p > 0};

            (t->b_is_turned ? turn_panel : copy_panel)(t, p, k, j, columns, room);
            multiply_panel(t, &panel);
            vecs_left -= vecs;
            j += columns;
        }
    }
}
