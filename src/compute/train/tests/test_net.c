/* SPDX-License-Identifier: Apache-2.0 */
#include "support/test.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/attr.h"
#include "reference.h"
#include "train/net.h"

enum { TOKENS_MAX = 1024 };

static const struct mt_shape tiny = {.vocab_n = 19,
                                     .context_n = 64,
                                     .layers_n = 2,
                                     .width = 12,
                                     .ff_width = 20,
                                     .heads_n = 4,
                                     .kv_heads_n = 2,
                                     .head_width = 6,
                                     .rope_base = 50.0F,
                                     .norm_eps = 1e-3F,
                                     .is_tied = true};

/* A batch that owns what it points to. */
struct items {
    struct mt_batch batch;
    int32_t tokens[TOKENS_MAX];
    int32_t targets[TOKENS_MAX];
    float weights[TOKENS_MAX];
    float soft[TOKENS_MAX * 19];
    uint32_t starts[TOKENS_MAX + 1];
};

enum flavour { HARD, WEIGHTED, SOFT };

static void *room(size_t n, size_t size)
{
    void *memory = mt_alloc(n, size);

    assert_non_null(memory);
    return memory;
}

static uint32_t below(uint64_t *state, uint32_t n)
{
    return (uint32_t)((ref_random(state) + 1.0) * 0.5 * n);
}

/* Sequences of the given lengths; two of three positions have a target. */
static struct items *items_new(const uint32_t *lengths, uint32_t sequences_n,
                               enum flavour flavour, uint64_t seed)
{
    struct items *items = room(1, sizeof *items);
    uint32_t n = 0;

    for (uint32_t i = 0; i < sequences_n; i++) {
        items->starts[i] = n;
        n += lengths[i];
    }
    items->starts[sequences_n] = n;
    assert_true(n <= TOKENS_MAX);
    for (uint32_t i = 0; i < n; i++) {
        items->tokens[i] = (int32_t)below(&seed, tiny.vocab_n);
        items->targets[i] = below(&seed, 3) == 0 ? -1 : (int32_t)below(&seed, tiny.vocab_n);
        items->weights[i] = (float)ref_random(&seed);
    }
    for (uint32_t i = 0; i < n * tiny.vocab_n; i++)
        items->soft[i] = (float)(ref_random(&seed) + 1.0) / (float)tiny.vocab_n;
    items->batch = (struct mt_batch){.tokens = items->tokens,
                                     .targets = items->targets,
                                     .weights = flavour == WEIGHTED ? items->weights : NULL,
                                     .soft = flavour == SOFT ? items->soft : NULL,
                                     .starts = items->starts,
                                     .sequences_n = sequences_n,
                                     .tokens_n = n};
    return items;
}

static void net_freep(struct mt_net **net)
{
    mt_net_free(*net);
}

static struct mt_net *net_of(const struct mt_shape *shape)
{
    struct mt_net *net = NULL;

    assert_int_equal(mt_net_new(shape, TOKENS_MAX, &net, NULL), MT_OK);
    return net;
}

/* Larger than at the start of a training, so that every part matters. */
static float *params_of(const struct mt_shape *shape)
{
    uint64_t n = mt_shape_params_n(shape);
    float *params = room(n, sizeof *params);
    uint64_t state = 5;

    for (uint64_t i = 0; i < n; i++)
        params[i] = (float)(0.5 * ref_random(&state));
    return params;
}

/* grads and sum of one step. */
static float *step(const struct mt_shape *shape, const float *params,
                   const struct mt_batch *batch, struct mt_net_sum *sum)
{
    MT_CLEANUP(net_freep) struct mt_net *net = net_of(shape);
    float *grads = room(mt_shape_params_n(shape), sizeof *grads);

    mt_net_step(net, params, batch, 1.0F, grads, NULL, sum);
    return grads;
}

static double largest_of(const float *values, size_t n)
{
    double largest = 0.0;

    for (size_t i = 0; i < n; i++)
        largest = fmax(largest, fabs((double)values[i]));
    return largest;
}

static void check_close(const char *name, const float *a, const float *b, size_t n)
{
    double bound = 1e-5 * largest_of(b, n);

    for (size_t i = 0; i < n; i++)
        mt_check_row(name, fabs((double)a[i] - (double)b[i]) <= bound);
}

/* Up to 8 places of each tensor, their derivatives by differences of the reference. */
static void check_tensor(const char *name, const struct mt_tensor *t,
                         const struct mt_shape *shape, double *params,
                         const struct mt_batch *batch, const float *grads, double largest)
{
    uint64_t n = (uint64_t)t->rows * t->columns;
    uint64_t places = n < 8 ? n : 8;
    const double delta = 1e-5;

    for (uint64_t i = 0; i < places; i++) {
        uint64_t at = t->at + i * n / places;
        double value = params[at];

        params[at] = value + delta;
        double above = ref_net_loss(shape, params, batch);
        params[at] = value - delta;
        double below_it = ref_net_loss(shape, params, batch);
        params[at] = value;
        double slope = (above - below_it) / (2.0 * delta);
        if (fabs((double)grads[at] - slope) > 5e-6 * largest)
            fail_msg("%s, %s[%u]: %g, by differences %g", name, t->name, (unsigned)i,
                     (double)grads[at], slope);
    }
}

static void whole_net_agrees_with_the_reference(void **state)
{
    static const struct {
        const char *name;
        enum flavour flavour;
        bool is_tied;
        uint32_t layers_n, heads_n, kv_heads_n;
    } rows[] = {
        {"tied, hard", HARD, true, 2, 4, 2},
        {"untied, hard", HARD, false, 2, 4, 2},
        {"tied, soft", SOFT, true, 2, 4, 4},
        {"weights of both signs", WEIGHTED, true, 2, 4, 1},
        {"one layer, soft", SOFT, false, 1, 1, 1},
    };
    static const uint32_t lengths[] = {7, 1, 20};

    (void)state;
    for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
        struct mt_tensor tensors[MT_SHAPE_TENSORS_MAX];
        struct mt_shape shape = tiny;
        struct mt_net_sum sum;

        shape.is_tied = rows[i].is_tied;
        shape.layers_n = rows[i].layers_n;
        shape.heads_n = rows[i].heads_n;
        shape.kv_heads_n = rows[i].kv_heads_n;
        uint64_t n = mt_shape_params_n(&shape);
        MT_CLEANUP(mt_freep) struct items *items = items_new(lengths, 3, rows[i].flavour, 3);
        MT_CLEANUP(mt_freep) float *params = params_of(&shape);
        MT_CLEANUP(mt_freep) double *wide = room(n, sizeof *wide);
        MT_CLEANUP(mt_freep) float *grads = step(&shape, params, &items->batch, &sum);

        for (uint64_t k = 0; k < n; k++)
            wide[k] = (double)params[k];
        double loss = ref_net_loss(&shape, wide, &items->batch);
        mt_check_row(rows[i].name, fabs(sum.loss - loss) <= 1e-6 * sum.targets_n * 3.0);
        double largest = largest_of(grads, n);
        for (uint32_t t = 0; t < mt_shape_tensors(&shape, tensors); t++)
            check_tensor(rows[i].name, &tensors[t], &shape, wide, &items->batch, grads,
                         largest);
    }
}

static void sum_counts_targets_and_weights(void **state)
{
    static const uint32_t lengths[] = {9, 5};
    MT_CLEANUP(mt_freep) struct items *items = items_new(lengths, 2, WEIGHTED, 4);
    MT_CLEANUP(mt_freep) float *params = params_of(&tiny);
    MT_CLEANUP(net_freep) struct mt_net *net = net_of(&tiny);
    float logps[14];
    float logits[14 * 19];
    struct mt_net_sum sum;
    double weight = 0.0;
    double loss = 0.0;
    uint32_t targets_n = 0;
    uint32_t right_n = 0;

    (void)state;
    mt_net_forward(net, params, &items->batch, logits, logps, &sum);
    for (uint32_t i = 0; i < items->batch.tokens_n; i++) {
        int32_t target = items->targets[i];

        if (target < 0)
            continue;
        const float *row = logits + targets_n * tiny.vocab_n;
        bool is_right = true;
        for (uint32_t k = 0; k < tiny.vocab_n; k++)
            is_right = is_right && row[k] <= row[target];
        right_n += is_right;
        weight += fabs((double)items->weights[i]);
        loss -= (double)items->weights[i] * (double)logps[targets_n];
        targets_n++;
    }
    assert_int_equal(sum.targets_n, targets_n);
    assert_int_equal(sum.right_n, right_n);
    assert_true(fabs(sum.weight - weight) < 1e-9);
    assert_true(fabs(sum.loss - loss) < 1e-9);
}

/* More rows than a chunk holds, so this is also a check of how batches are cut. */
static void packed_sequences_are_as_alone(void **state)
{
    enum { SEQUENCES = 40 };
    uint32_t lengths[SEQUENCES];

    (void)state;
    for (uint32_t i = 0; i < SEQUENCES; i++)
        lengths[i] = i % 9 == 3 ? tiny.context_n : 1 + i * 7 % 23;
    MT_CLEANUP(mt_freep) struct items *items = items_new(lengths, SEQUENCES, SOFT, 9);
    MT_CLEANUP(mt_freep) float *params = params_of(&tiny);
    MT_CLEANUP(net_freep) struct mt_net *net = net_of(&tiny);
    size_t n = mt_shape_params_n(&tiny);
    size_t logits_n = (size_t)items->batch.tokens_n * tiny.vocab_n;
    MT_CLEANUP(mt_freep) float *grads = room(n, sizeof *grads);
    MT_CLEANUP(mt_freep) float *alone = room(n, sizeof *alone);
    MT_CLEANUP(mt_freep) float *logits = room(logits_n, sizeof *logits);
    MT_CLEANUP(mt_freep) float *logits_alone = room(logits_n, sizeof *logits_alone);
    struct mt_net_sum sum;
    double loss = 0.0;
    uint32_t targets_n = 0;

    assert_true(items->batch.tokens_n > 600);
    mt_net_step(net, params, &items->batch, 1.0F, grads, NULL, &sum);
    mt_net_forward(net, params, &items->batch, logits, NULL, &sum);
    for (uint32_t i = 0; i < SEQUENCES; i++) {
        const uint32_t starts[2] = {0, lengths[i]};
        uint32_t first = items->starts[i];
        const struct mt_batch one = {.tokens = items->tokens + first,
                                     .targets = items->targets + first,
                                     .soft = items->soft + targets_n * tiny.vocab_n,
                                     .starts = starts,
                                     .sequences_n = 1,
                                     .tokens_n = lengths[i]};
        struct mt_net_sum part;

        mt_net_step(net, params, &one, 1.0F, alone, NULL, &part);
        mt_net_forward(net, params, &one, logits_alone + targets_n * tiny.vocab_n, NULL, &part);
        loss += part.loss;
        targets_n += part.targets_n;
    }
    assert_int_equal(sum.targets_n, targets_n);
    assert_true(fabs(sum.loss - loss) < 1e-5 * loss);
    check_close("gradients", grads, alone, n);
    check_close("logits", logits, logits_alone, targets_n * tiny.vocab_n);
}

static void positions_without_target_add_nothing(void **state)
{
    static const uint32_t lengths[] = {12, 8, 10};
    MT_CLEANUP(mt_freep) struct items *items = items_new(lengths, 3, HARD, 11);
    MT_CLEANUP(mt_freep) float *params = params_of(&tiny);
    size_t n = mt_shape_params_n(&tiny);
    struct mt_net_sum sum;
    struct mt_net_sum other;

    (void)state;
    for (uint32_t i = 12; i < 20; i++)
        items->targets[i] = -1; /* the second has none at all */
    for (uint32_t i = 26; i < 30; i++)
        items->targets[i] = -1; /* nor has the end of the third */
    MT_CLEANUP(mt_freep) float *grads = step(&tiny, params, &items->batch, &sum);
    for (uint32_t i = 12; i < 20; i++)
        items->tokens[i] = 0;
    for (uint32_t i = 26; i < 30; i++)
        items->tokens[i] = 0;
    MT_CLEANUP(mt_freep) float *same = step(&tiny, params, &items->batch, &other);
    assert_memory_equal(grads, same, n * sizeof *grads);
    assert_memory_equal(&sum, &other, sizeof sum);

    for (uint32_t i = 0; i < 30; i++)
        items->targets[i] = -1;
    MT_CLEANUP(mt_freep) float *none = step(&tiny, params, &items->batch, &other);
    assert_true(largest_of(none, n) == 0.0);
    assert_int_equal(other.targets_n, 0);
    assert_true(other.loss == 0.0 && other.weight == 0.0);
}

/* Each target alone, the others silent: their gradients sum up to that of all. */
static void gradients_of_targets_add_up(void **state)
{
    static const uint32_t lengths[] = {6, 9};
    MT_CLEANUP(mt_freep) struct items *items = items_new(lengths, 2, WEIGHTED, 12);
    MT_CLEANUP(mt_freep) float *params = params_of(&tiny);
    MT_CLEANUP(net_freep) struct mt_net *net = net_of(&tiny);
    size_t n = mt_shape_params_n(&tiny);
    MT_CLEANUP(mt_freep) float *parts = room(n, sizeof *parts);
    int32_t targets[15];
    struct mt_net_sum sum;

    (void)state;
    MT_CLEANUP(mt_freep) float *grads = step(&tiny, params, &items->batch, &sum);
    memcpy(targets, items->targets, sizeof targets);
    for (uint32_t i = 0; i < 15; i++) {
        for (uint32_t k = 0; k < 15; k++)
            items->targets[k] = k == i ? targets[k] : -1;
        mt_net_step(net, params, &items->batch, 1.0F, parts, NULL, &sum);
    }
    check_close("gradients", parts, grads, n);
}

static void same_inputs_give_same_bits(void **state)
{
    static const uint32_t lengths[] = {33, 2, 64, 17, 40, 64, 64, 64, 64, 64, 64, 64};
    MT_CLEANUP(mt_freep) struct items *items = items_new(lengths, 12, WEIGHTED, 21);
    MT_CLEANUP(mt_freep) float *params = params_of(&tiny);
    MT_CLEANUP(net_freep) struct mt_net *net = net_of(&tiny);
    size_t n = mt_shape_params_n(&tiny);
    MT_CLEANUP(mt_freep) float *grads = room(n, sizeof *grads);
    MT_CLEANUP(mt_freep) float *moved = room(n + 3, sizeof *moved);
    float logps[TOKENS_MAX] = {0};
    float logps_again[TOKENS_MAX] = {0};
    struct mt_net_sum sum;
    struct mt_net_sum other;

    (void)state;
    mt_net_step(net, params, &items->batch, 0.25F, grads, logps, &sum);
    /* The same net again, and gradients that lie elsewhere in a cache line. */
    mt_net_step(net, params, &items->batch, 0.25F, moved + 3, NULL, &other);
    assert_memory_equal(grads, moved + 3, n * sizeof *grads);
    assert_memory_equal(&sum, &other, sizeof sum);
    mt_net_forward(net, params, &items->batch, NULL, logps_again, &other);
    assert_memory_equal(logps, logps_again, sizeof logps);
    assert_memory_equal(&sum, &other, sizeof sum);
}

static void step_adds_and_scales(void **state)
{
    static const uint32_t lengths[] = {10};
    MT_CLEANUP(mt_freep) struct items *items = items_new(lengths, 1, HARD, 31);
    MT_CLEANUP(mt_freep) float *params = params_of(&tiny);
    MT_CLEANUP(net_freep) struct mt_net *net = net_of(&tiny);
    size_t n = mt_shape_params_n(&tiny);
    struct mt_net_sum sum;
    struct mt_net_sum other;

    (void)state;
    MT_CLEANUP(mt_freep) float *once = step(&tiny, params, &items->batch, &sum);
    MT_CLEANUP(mt_freep) float *halves = room(n, sizeof *halves);
    mt_net_step(net, params, &items->batch, 0.5F, halves, NULL, &other);
    mt_net_step(net, params, &items->batch, 0.5F, halves, NULL, &other);
    check_close("gradients", halves, once, n);
    assert_true(other.loss == sum.loss); /* the scale is the gradient's alone */
}

/* A trainer has to see that it went wrong, wherever it did. */
static void nan_is_never_hidden(void **state)
{
    static const uint32_t lengths[] = {40};
    struct mt_tensor tensors[MT_SHAPE_TENSORS_MAX];
    uint32_t tensors_n = mt_shape_tensors(&tiny, tensors);
    MT_CLEANUP(mt_freep) struct items *items = items_new(lengths, 1, HARD, 41);
    MT_CLEANUP(mt_freep) float *params = params_of(&tiny);
    MT_CLEANUP(net_freep) struct mt_net *net = net_of(&tiny);

    (void)state;
    for (uint32_t i = 0; i < 40; i++)
        items->tokens[i] = 0; /* so that every row of the table is seen or is an output */
    for (uint32_t t = 0; t < tensors_n; t++) {
        float *at = params + tensors[t].at + tensors[t].columns / 2;
        float value = *at;
        struct mt_net_sum sum;

        *at = NAN;
        mt_net_forward(net, params, &items->batch, NULL, NULL, &sum);
        *at = value;
        mt_check_row(tensors[t].name, isnan(sum.loss));
        mt_net_forward(net, params, &items->batch, NULL, NULL, &sum);
        mt_check_row(tensors[t].name, isfinite(sum.loss)); /* and leaves no trace */
    }
}

static void new_refuses_a_bad_shape(void **state)
{
    struct mt_shape bad = tiny;
    struct mt_net *net = NULL;
    struct mt_err err = {0};

    (void)state;
    bad.head_width = 5;
    assert_int_equal(mt_net_new(&bad, 10, &net, &err), MT_E_INVALID);
    assert_non_null(strstr(err.text, "head_width"));
    assert_int_equal(mt_net_new(&tiny, 0, &net, &err), MT_E_INVALID);
    assert_null(net);
}

static void new_survives_any_oom(void **state)
{
    long live = mt_alloc_live;

    (void)state;
    for (long n = 0;; n++) {
        struct mt_net *net = NULL;

        mt_alloc_fail_after = n;
        mt_rc rc = mt_net_new(&tiny, 100, &net, NULL);
        mt_alloc_fail_after = -1;
        mt_net_free(net);
        assert_int_equal(mt_alloc_live, live);
        if (rc == MT_OK)
            break;
        assert_int_equal(rc, MT_E_NOMEM);
        assert_true(n < 20);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_net_agrees_with_the_reference),
        cmocka_unit_test(sum_counts_targets_and_weights),
        cmocka_unit_test(packed_sequences_are_as_alone),
        cmocka_unit_test(positions_without_target_add_nothing),
        cmocka_unit_test(gradients_of_targets_add_up),
        cmocka_unit_test(same_inputs_give_same_bits),
        cmocka_unit_test(step_adds_and_scales),
        cmocka_unit_test(nan_is_never_hidden),
        cmocka_unit_test(new_refuses_a_bad_shape),
        cmocka_unit_test(new_survives_any_oom),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
