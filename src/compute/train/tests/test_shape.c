/* SPDX-License-Identifier: Apache-2.0 */
#include "support/test.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/attr.h"
#include "train/shape.h"

static const struct mt_shape good = {.vocab_n = 262,
                                     .context_n = 128,
                                     .layers_n = 2,
                                     .width = 48,
                                     .ff_width = 96,
                                     .heads_n = 4,
                                     .kv_heads_n = 2,
                                     .head_width = 12,
                                     .rope_base = 10000.0F,
                                     .norm_eps = 1e-5F,
                                     .is_tied = true};

static void check_names_the_member(void **state)
{
    struct mt_shape bad[14];
    const char *const words[14] = {"vocab_n",
                                   "vocab_n: expected 1 to 65536, found 65537",
                                   "context_n",
                                   "layers_n",
                                   "width",
                                   "ff_width",
                                   "heads_n",
                                   "kv_heads_n: expected 1",
                                   "kv_heads_n: expected a divisor of heads_n 4, found 3",
                                   "head_width",
                                   "head_width: expected an even number, found 7",
                                   "rope_base",
                                   "rope_base",
                                   "norm_eps"};

    (void)state;
    for (size_t i = 0; i < MT_ARRAY_LEN(bad); i++)
        bad[i] = good;
    bad[0].vocab_n = 0;
    bad[1].vocab_n = MT_SHAPE_VOCAB_MAX + 1;
    bad[2].context_n = MT_SHAPE_CONTEXT_MAX + 1;
    bad[3].layers_n = MT_SHAPE_LAYERS_MAX + 1;
    bad[4].width = 0;
    bad[5].ff_width = MT_SHAPE_FF_WIDTH_MAX + 1;
    bad[6].heads_n = 0;
    bad[7].kv_heads_n = 0;
    bad[8].kv_heads_n = 3;
    bad[9].head_width = 0;
    bad[10].head_width = 7;
    bad[11].rope_base = NAN;
    bad[12].rope_base = 0.5F;
    bad[13].norm_eps = 0.0F;
    assert_int_equal(mt_shape_check(&good, NULL), MT_OK);
    for (size_t i = 0; i < MT_ARRAY_LEN(bad); i++) {
        struct mt_err err = {0};

        mt_check_row(words[i], mt_shape_check(&bad[i], &err) == MT_E_INVALID);
        mt_check_row(words[i], strncmp(err.text, words[i], strlen(words[i])) == 0);
    }
}

static int by_place(const void *a, const void *b)
{
    const struct mt_tensor *x = a;
    const struct mt_tensor *y = b;

    return x->at < y->at ? -1 : x->at > y->at;
}

/* Sorted by place, each tensor begins where the one before it ends. */
static void check_cover(const struct mt_shape *shape)
{
    struct mt_tensor tensors[MT_SHAPE_TENSORS_MAX];
    uint32_t n = mt_shape_tensors(shape, tensors);
    uint64_t next = 0;

    assert_int_equal(n, (shape->is_tied ? 2 : 3) + 9 * shape->layers_n);
    qsort(tensors, n, sizeof *tensors, by_place);
    for (uint32_t i = 0; i < n; i++) {
        assert_int_equal(tensors[i].at, next);
        assert_true(tensors[i].is_vector != tensors[i].decays);
        assert_true(!tensors[i].is_vector || tensors[i].rows == 1);
        next += (uint64_t)tensors[i].rows * tensors[i].columns;
    }
    assert_int_equal(next, mt_shape_params_n(shape));
}

static void tensors_cover_the_array(void **state)
{
    struct mt_shape untied = good;
    struct mt_shape largest = good;

    (void)state;
    untied.is_tied = false;
    largest.layers_n = MT_SHAPE_LAYERS_MAX;
    largest.is_tied = false;
    check_cover(&good);
    check_cover(&untied);
    check_cover(&largest);
    assert_int_equal(mt_shape_params_n(&untied) - mt_shape_params_n(&good),
                     good.vocab_n * good.width);
}

static const struct mt_tensor *find(const struct mt_tensor *tensors, uint32_t n,
                                    const char *name)
{
    for (uint32_t i = 0; i < n; i++)
        if (strcmp(tensors[i].name, name) == 0)
            return &tensors[i];
    fail_msg("no tensor '%s'", name);
    return NULL;
}

static void tensors_have_the_file_s_names_and_sizes(void **state)
{
    static const struct {
        const char *name;
        uint32_t rows, columns;
    } rows[] = {
        {"token_embd.weight", 262, 48},   {"output_norm.weight", 1, 48},
        {"output.weight", 262, 48},       {"blk.0.attn_norm.weight", 1, 48},
        {"blk.1.attn_q.weight", 48, 48},  {"blk.1.attn_k.weight", 24, 48},
        {"blk.1.attn_v.weight", 24, 48},  {"blk.1.attn_output.weight", 48, 48},
        {"blk.1.ffn_norm.weight", 1, 48}, {"blk.1.ffn_gate.weight", 96, 48},
        {"blk.1.ffn_up.weight", 96, 48},  {"blk.1.ffn_down.weight", 48, 96},
    };
    struct mt_tensor tensors[MT_SHAPE_TENSORS_MAX];
    struct mt_shape untied = good;

    (void)state;
    untied.is_tied = false;
    uint32_t n = mt_shape_tensors(&untied, tensors);
    for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
        const struct mt_tensor *t = find(tensors, n, rows[i].name);

        mt_check_row(rows[i].name, t->rows == rows[i].rows && t->columns == rows[i].columns);
    }
    struct mt_plan plan = mt_shape_plan(&untied);
    assert_int_equal(find(tensors, n, "blk.1.attn_q.weight")->at,
                     plan.layer0 + plan.layer_step + plan.qkv);
    assert_int_equal(find(tensors, n, "output.weight")->at, plan.out);
    assert_int_equal(mt_shape_plan(&good).out, mt_shape_plan(&good).embd);
}

static void init_is_normal_and_repeats(void **state)
{
    struct mt_tensor tensors[MT_SHAPE_TENSORS_MAX];
    uint32_t tensors_n = mt_shape_tensors(&good, tensors);
    size_t n = mt_shape_params_n(&good);
    MT_CLEANUP(mt_freep) float *params = mt_alloc(n, sizeof *params);
    MT_CLEANUP(mt_freep) float *again = mt_alloc(n, sizeof *again);

    (void)state;
    mt_shape_init(&good, 7, params);
    mt_shape_init(&good, 7, again);
    assert_memory_equal(params, again, n * sizeof *params);
    mt_shape_init(&good, 8, again);
    assert_memory_not_equal(params, again, n * sizeof *params);
    for (uint32_t i = 0; i < tensors_n; i++) {
        const struct mt_tensor *t = &tensors[i];
        size_t size = (size_t)t->rows * t->columns;
        bool is_residual = strstr(t->name, "attn_output") || strstr(t->name, "ffn_down");
        double want = t->is_vector ? 1.0 : (is_residual ? 0.01 : 0.02); /* two layers */
        double squares = 0.0;

        for (size_t k = 0; k < size; k++)
            squares += (double)params[t->at + k] * (double)params[t->at + k];
        mt_check_row(t->name, fabs(sqrt(squares / (double)size) / want - 1.0) < 0.1);
    }
}

static void step_flops_are_those_of_the_papers(void **state)
{
    (void)state;
    assert_true(mt_shape_step_flops(&good, 100.0) ==
                6.0 * (double)mt_shape_params_n(&good) + 12.0 * 2 * 48 * 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(check_names_the_member),
        cmocka_unit_test(tensors_cover_the_array),
        cmocka_unit_test(tensors_have_the_file_s_names_and_sizes),
        cmocka_unit_test(init_is_normal_and_repeats),
        cmocka_unit_test(step_flops_are_those_of_the_papers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
