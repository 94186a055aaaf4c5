/* SPDX-License-Identifier: Apache-2.0 */
/* The product with operands rounded to bfloat16 and sums in float, on the tiles of AMX: eight
 * times the rate of AVX-512 in float, and each factor exact to one part in 256.
 *
 * A tile holds 16 rows of 64 bytes. Of the left operand it is 16 x 32 elements as they lie; of
 * the right one 32 x 16, where two elements that follow one another in a column share a lane.
 * Both are copied into such tiles first; what lies turned is turned there, lane by lane. Rows
 * and depth go in blocks that stay near the processor, and 2 x 2 tiles of sums in registers.
 * @source Intel 64 manual, volume 1, chapter 18; volume 2, TDPBF16PS */
#include "product_amx.h"

#include <cpuid.h>
#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "vec.h"

enum {
    SIDE = 16,           /* rows of a tile; columns of one with sums */
    DEPTH = 32,          /* elements of a row */
    TILE = SIDE * DEPTH, /* elements */
    TILE_BYTES = 64,     /* of a row */
    ROWS_MAX = 512,
    DEPTH_MAX = 512,
    PANEL = 2 * SIDE, /* columns of the right operand at a time */
    ARCH_REQ_XCOMP_PERM = 0x1023,
    XFEATURE_TILES = 18,
};

typedef uint16_t bf16;

struct room {
    bf16 a[ROWS_MAX * DEPTH_MAX];
    bf16 b[PANEL * DEPTH_MAX];
    float c[PANEL * PANEL]; /* sums at an edge of the result */
};

static uint32_t lesser(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

static __mmask16 first(uint32_t n)
{
    return (__mmask16)(n >= SIDE ? 0xffff : (1U << n) - 1);
}

/* ------------------------------------------------------------------ copying into tiles */

/* Up to 32 neighbours of a row. */
VEC_INLINE __m512i take_row(const float *from, uint32_t n)
{
    __m512 low = _mm512_maskz_loadu_ps(first(n), from);
    __m512 high =
        n > SIDE ? _mm512_maskz_loadu_ps(first(n - SIDE), from + SIDE) : _mm512_setzero_ps();

    return (__m512i)_mm512_cvtne2ps_pbh(high, low);
}

/* Up to 16 neighbours of two rows, each beside the one below it. */
VEC_INLINE __m512i take_pair(const float *from, size_t row, uint32_t rows, __mmask16 columns)
{
    const __m512i zip =
        _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7,
                         22, 6, 21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
    __m512 above = rows > 0 ? _mm512_maskz_loadu_ps(columns, from) : _mm512_setzero_ps();
    __m512 below = rows > 1 ? _mm512_maskz_loadu_ps(columns, from + row) : _mm512_setzero_ps();

    return _mm512_permutexvar_epi16(zip, (__m512i)_mm512_cvtne2ps_pbh(below, above));
}

VEC_INLINE void store_rows(const __m512i *rows, bf16 *to)
{
#pragma GCC unroll 16
    for (uint32_t i = 0; i < SIDE; i++)
        _mm512_store_si512(to + i * DEPTH, rows[i]);
}

VEC_INLINE void store_turned(const __m512i *rows, bf16 *to)
{
    vec lanes[SIDE];

#pragma GCC unroll 16
    for (uint32_t i = 0; i < SIDE; i++)
        lanes[i] = (vec)rows[i];
    vec_turn_lanes(lanes);
#pragma GCC unroll 16
    for (uint32_t i = 0; i < SIDE; i++)
        _mm512_store_si512(to + i * DEPTH, (__m512i)lanes[i]);
}

/* A tile of `rows` rows that go along the depth: neighbours there are neighbours in memory. */
static void copy_along(const float *from, size_t row, uint32_t rows, uint32_t depth,
                       bool is_left, bf16 *to)
{
    __m512i lines[SIDE];

#pragma GCC unroll 16
    for (uint32_t i = 0; i < SIDE; i++)
        lines[i] = i < rows ? take_row(from + i * row, depth) : _mm512_setzero_si512();
    if (is_left)
        store_rows(lines, to);
    else
        store_turned(lines, to);
}

/* A tile of `columns` columns: from row to row in memory the depth grows. */
static void copy_across(const float *from, size_t row, uint32_t columns, uint32_t depth,
                        bool is_left, bf16 *to)
{
    __mmask16 mask = first(columns);
    __m512i lines[SIDE];

#pragma GCC unroll 16
    for (uint32_t q = 0; q < SIDE; q++)
        lines[q] = take_pair(from + 2 * q * row, row, depth > 2 * q ? depth - 2 * q : 0, mask);
    if (is_left)
        store_turned(lines, to);
    else
        store_rows(lines, to);
}

/* A part of the product: rows, columns and depth, each from where and how many. */
struct block {
    uint32_t i, m, j, n, p, k;
};

/* The block's rows of the left operand: tiles along the depth, then below. */
static void copy_left(const struct mt_product *t, const struct block *b, bf16 *to)
{
    bool is_turned = t->a_column != 1;

    for (uint32_t r = 0; r < b->m; r += SIDE)
        for (uint32_t q = 0; q < b->k; q += DEPTH, to += TILE) {
            const float *from = t->a + (b->i + r) * t->a_row + (b->p + q) * t->a_column;
            uint32_t rows = lesser(b->m - r, SIDE);

            if (is_turned)
                copy_across(from, t->a_column, rows, b->k - q, true, to);
            else
                copy_along(from, t->a_row, rows, b->k - q, true, to);
        }
}

/* The block's columns of the right one, two tiles side by side. */
static void copy_right(const struct mt_product *t, const struct block *b, bf16 *to)
{
    for (uint32_t q = 0; q < b->k; q += DEPTH)
        for (uint32_t d = 0; d < PANEL; d += SIDE, to += TILE) {
            size_t column = b->j + d, row = b->p + q;
            uint32_t depth = b->k - q;

            if (d >= b->n)
                continue;
            uint32_t columns = lesser(b->n - d, SIDE);
            if (t->b_is_turned)
                copy_along(t->b + column * t->b_row + row, t->b_row, columns, depth, false, to);
            else
                copy_across(t->b + row * t->b_row + column, t->b_row, columns, depth, false,
                            to);
        }
}

/* ------------------------------------------------------------------ multiplying */

struct sums {
    const bf16 *a; /* tiles of 16 rows, and those of the 16 below them */
    const bf16 *b; /* pairs of tiles */
    uint32_t tiles_n;
    float *c;
    size_t c_bytes; /* from row to row */
    bool adds;
};

/* Constants where it is called: is there a second tile below, and beside? */
VEC_INLINE void multiply_tiles(const struct sums *s, const bool is_tall, const bool is_wide)
{
    const bf16 *below = s->a + (size_t)s->tiles_n * TILE;
    float *c_below = s->c + SIDE * (s->c_bytes / sizeof *s->c);

    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    if (s->adds) {
        _tile_loadd(0, s->c, s->c_bytes);
        if (is_wide)
            _tile_loadd(1, s->c + SIDE, s->c_bytes);
        if (is_tall)
            _tile_loadd(2, c_below, s->c_bytes);
        if (is_tall && is_wide)
            _tile_loadd(3, c_below + SIDE, s->c_bytes);
    }
    for (uint32_t i = 0; i < s->tiles_n; i++) {
        const bf16 *b = s->b + (size_t)i * 2 * TILE;

        _tile_loadd(4, s->a + (size_t)i * TILE, TILE_BYTES);
        _tile_loadd(6, b, TILE_BYTES);
        _tile_dpbf16ps(0, 4, 6);
        if (is_wide) {
            _tile_loadd(7, b + TILE, TILE_BYTES);
            _tile_dpbf16ps(1, 4, 7);
        }
        if (is_tall) {
            _tile_loadd(5, below + (size_t)i * TILE, TILE_BYTES);
            _tile_dpbf16ps(2, 5, 6);
        }
        if (is_tall && is_wide)
            _tile_dpbf16ps(3, 5, 7);
    }
    _tile_stored(0, s->c, s->c_bytes);
    if (is_wide)
        _tile_stored(1, s->c + SIDE, s->c_bytes);
    if (is_tall)
        _tile_stored(2, c_below, s->c_bytes);
    if (is_tall && is_wide)
        _tile_stored(3, c_below + SIDE, s->c_bytes);
}

static void multiply(const struct sums *s, uint32_t m, uint32_t n)
{
    if (m > SIDE && n > SIDE)
        multiply_tiles(s, true, true);
    else if (m > SIDE)
        multiply_tiles(s, true, false);
    else if (n > SIDE)
        multiply_tiles(s, false, true);
    else
        multiply_tiles(s, false, false);
}

static void copy_sums(const float *from, size_t from_row, float *to, size_t to_row, uint32_t m,
                      uint32_t n)
{
    for (uint32_t i = 0; i < m; i++)
        memcpy(to + i * to_row, from + i * from_row, n * sizeof *to);
}

/* m x n sums, where a tile would reach beyond the result. */
static void multiply_edge(struct sums *s, uint32_t m, uint32_t n, float *room)
{
    float *c = s->c;
    size_t c_row = s->c_bytes / sizeof *c;

    s->c = room;
    s->c_bytes = PANEL * sizeof *room;
    if (s->adds)
        copy_sums(c, c_row, room, PANEL, m, n);
    multiply(s, m, n);
    copy_sums(room, PANEL, c, c_row, m, n);
}

/* The rows' copied tiles times the panel's. */
static void multiply_panel(const struct mt_product *t, const struct block *b, struct room *room)
{
    uint32_t tiles_n = (b->k + DEPTH - 1) / DEPTH;

    for (uint32_t r = 0; r < b->m; r += PANEL) {
        uint32_t rows = lesser(b->m - r, PANEL);
        struct sums sums = {.a = room->a + (size_t)r / SIDE * tiles_n * TILE,
                            .b = room->b,
                            .tiles_n = tiles_n,
                            .c = t->c + (b->i + r) * t->c_row + b->j,
                            .c_bytes = t->c_row * sizeof *t->c,
                            .adds = t->adds || b->p > 0};

        if (rows % SIDE == 0 && b->n % SIDE == 0)
            multiply(&sums, rows, b->n);
        else
            multiply_edge(&sums, rows, b->n, room->c);
    }
}

static void multiply_block(const struct mt_product *t, struct block *b, struct room *room)
{
    copy_left(t, b, room->a);
    for (b->j = 0; b->j < t->n; b->j += PANEL) {
        b->n = lesser(t->n - b->j, PANEL);
        copy_right(t, b, room->b);
        multiply_panel(t, b, room);
    }
}

void mt_train__product_amx(const struct mt_product *t)
{
    static const struct {
        uint8_t palette, start_row, reserved[14];
        uint16_t row_bytes[16];
        uint8_t rows[16];
    } all_whole = {.palette = 1,
                   .row_bytes = {64, 64, 64, 64, 64, 64, 64, 64},
                   .rows = {16, 16, 16, 16, 16, 16, 16, 16}};
    struct room room __attribute__((aligned(64), uninitialized));
    struct block b = {0};

    _tile_loadconfig(&all_whole);
    for (b.p = 0; b.p < t->k; b.p += DEPTH_MAX) {
        b.k = lesser(t->k - b.p, DEPTH_MAX);
        for (b.i = 0; b.i < t->m; b.i += ROWS_MAX) {
            b.m = lesser(t->m - b.i, ROWS_MAX);
            multiply_block(t, &b, &room);
        }
    }
    _tile_release();
}

bool mt_train__has_amx(void)
{
    const unsigned amx_bf16 = 1U << 22, amx_tile = 1U << 24, avx512_bf16 = 1U << 5;
    unsigned a = 0, b = 0, c = 0, d = 0, a1 = 0;

    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || (d & amx_bf16) == 0 || (d & amx_tile) == 0)
        return false;
    if (!__get_cpuid_count(7, 1, &a1, &b, &c, &d) || (a1 & avx512_bf16) == 0)
        return false;
    /* the kernel gives a process tiles when it asks */
    return syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_TILES) == 0;
}
