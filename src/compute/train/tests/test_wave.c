/* SPDX-License-Identifier: Apache-2.0 */
/* One pass over rows of several sequences, at every level of vectors that this processor has,
 * against sums in double. */
#include "support/test.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/attr.h"
#include "matmul.h"
#include "wave.h"

enum { LENGTH = 90, LEVELS_MAX = 3 };

/* --- attention of one row --- */

/* Heads that fill no vector, one, and more than one. */
static const struct row_case {
    uint32_t heads_n, kv_heads_n, head_width;
} rows[] = {{1, 1, 2}, {4, 2, 10}, {3, 1, 16}, {4, 4, 24}, {2, 2, 64}};

enum { WIDEST = 64, HEADS = 4, QKV = 3 * HEADS * WIDEST };

struct attention_rig {
    float cosines[LENGTH][WIDEST], sines[LENGTH][WIDEST];
    float qkv[LENGTH][QKV];
    float keys[HEADS * WIDEST * (LENGTH + 32)], values[HEADS * LENGTH * WIDEST];
    float out[HEADS * WIDEST];
    float scratch[WIDEST + LENGTH + 32];
};

static float noise(uint32_t *state)
{
    *state = *state * 1664525 + 1013904223;
    return (float)(*state >> 8) * 0x1p-23F - 1.0F;
}

static void fill(struct attention_rig *rig, const struct row_case *c)
{
    uint32_t state = 5;

    for (uint32_t p = 0; p < LENGTH; p++) {
        for (uint32_t d = 0; d < c->head_width; d++) {
            rig->cosines[p][d] = (float)cos(p * 0.3 / (1 + d / 2));
            rig->sines[p][d] = (float)((d % 2 == 0 ? -1 : 1) * sin(p * 0.3 / (1 + d / 2)));
        }
        for (uint32_t i = 0; i < QKV; i++)
            rig->qkv[p][i] = 2 * noise(&state);
    }
    memset(rig->keys, 0xff, sizeof rig->keys); /* what was never written is no number */
}

static struct mt_cached cached(struct attention_rig *rig, const struct row_case *c, uint32_t p)
{
    return (struct mt_cached){.position = p,
                              .heads_n = c->heads_n,
                              .kv_heads_n = c->kv_heads_n,
                              .head_width = c->head_width,
                              .scale = 0.4F,
                              .cosines = rig->cosines[p],
                              .sines = rig->sines[p],
                              .qkv = rig->qkv[p],
                              .keys = rig->keys,
                              .keys_step = mt_train__padded(LENGTH) + 16,
                              .values = rig->values,
                              .values_of_head =
                                  (size_t)LENGTH * mt_train__padded(c->head_width),
                              .out = rig->out,
                              .scratch = rig->scratch};
}

static double turned(const struct attention_rig *rig, uint32_t p, const float *x, uint32_t d)
{
    return (double)x[d] * (double)rig->cosines[p][d] +
           (double)x[d ^ 1] * (double)rig->sines[p][d];
}

static void check_head(const struct attention_rig *rig, const struct row_case *c, uint32_t p,
                       uint32_t head)
{
    uint32_t width = c->head_width;
    uint32_t group = head / (c->heads_n / c->kv_heads_n);
    const float *q = rig->qkv[p] + head * width;
    double weights[LENGTH];
    double sum = 0;

    for (uint32_t j = 0; j <= p; j++) {
        const float *k = rig->qkv[j] + (c->heads_n + group) * width;
        double dot = 0;
        for (uint32_t d = 0; d < width; d++)
            dot += turned(rig, p, q, d) * turned(rig, j, k, d);
        weights[j] = exp(dot * 0.4);
        sum += weights[j];
    }
    for (uint32_t d = 0; d < width; d++) {
        double out = 0;
        for (uint32_t j = 0; j <= p; j++)
            out += weights[j] / sum *
                   (double)rig->qkv[j][(c->heads_n + c->kv_heads_n + group) * width + d];
        assert_true(fabs(out - (double)rig->out[head * width + d]) < 2e-5);
    }
}

static void a_row_attends_to_what_came_before_it(void **state)
{
    const struct mt_ops *levels[LEVELS_MAX];
    unsigned levels_n = mt_train__ops_all(levels);
    MT_CLEANUP(mt_freep) struct attention_rig *rig = mt_alloc(1, sizeof *rig);
    (void)state;

    assert_non_null(rig);
    for (unsigned l = 0; l < levels_n; l++)
        for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
            fill(rig, &rows[i]);
            for (uint32_t p = 0; p < LENGTH; p++) {
                struct mt_cached row = cached(rig, &rows[i], p);
                levels[l]->remember(&row);
                levels[l]->attend(&row);
                for (uint32_t head = 0; head < rows[i].heads_n; head++)
                    check_head(rig, &rows[i], p, head);
            }
        }
}

/* --- company --- */

static const struct mt_shape shape = {.vocab_n = 50,
                                      .context_n = LENGTH,
                                      .layers_n = 2,
                                      .width = 40,
                                      .ff_width = 72,
                                      .heads_n = 4,
                                      .kv_heads_n = 2,
                                      .head_width = 10,
                                      .rope_base = 10000.0F,
                                      .norm_eps = 1e-5F,
                                      .is_tied = true};

/* Tokens of a slot are a function of its number; one wave holds n of each, the last wanted. */
static void add_slot(struct mt_wave *wave, uint32_t slot, uint32_t n)
{
    for (uint32_t p = 0; p < n; p++)
        wave->rows[wave->rows_n++] =
            (struct mt_wave_row){.slot = slot,
                                 .position = p,
                                 .token = (int32_t)((slot * 31 + p * p * 7) % shape.vocab_n),
                                 .is_wanted = p + 1 == n};
}

static void no_row_depends_on_its_company(void **state)
{
    enum { SLOTS = 9, ROWS = 30 };
    const struct mt_ops *levels[LEVELS_MAX];
    unsigned levels_n = mt_train__ops_all(levels);
    MT_CLEANUP(mt_freep) float *params = mt_alloc(mt_shape_params_n(&shape), sizeof *params);
    struct mt_wave wave;
    (void)state;

    assert_non_null(params);
    mt_shape_init(&shape, 3, params);
    assert_int_equal(mt_train__wave_init(&wave, &shape, SLOTS, LENGTH, NULL), MT_OK);
    for (unsigned l = 0; l < levels_n; l++) {
        float alone[SLOTS][50];
        wave.ops = levels[l];
        mt_train__matmul_choose(levels[l]);
        for (uint32_t slot = 0; slot < SLOTS; slot++) {
            wave.rows_n = 0;
            add_slot(&wave, slot, ROWS + slot);
            mt_train__wave_run(&wave, params);
            memcpy(alone[slot], wave.logits, sizeof alone[slot]);
        }
        wave.rows_n = 0;
        for (uint32_t slot = 0; slot < SLOTS; slot++)
            add_slot(&wave, slot, ROWS + slot);
        mt_train__wave_run(&wave, params);
        for (uint32_t slot = 0; slot < SLOTS; slot++)
            assert_memory_equal(alone[slot], wave.logits + (size_t)slot * wave.logits_step,
                                sizeof alone[slot]);
    }
    mt_train__matmul_choose(mt_train__ops());
    mt_train__wave_fini(&wave);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_row_attends_to_what_came_before_it),
        cmocka_unit_test(no_row_depends_on_its_company),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
