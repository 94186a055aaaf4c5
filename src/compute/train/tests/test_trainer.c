/* SPDX-License-Identifier: Apache-2.0 */
#include "support/test.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "shards.h"
#include "tiny_language.h"

static struct mt_trainer *trainer_of(const struct mt_trainer_opts *opts)
{
    struct mt_trainer *trainer = NULL;
    struct mt_err err = {0};

    if (mt_trainer_new(opts, &trainer, &err) != MT_OK)
        fail_msg("no trainer: %s", err.text);
    return trainer;
}

static struct mt_step_report step(struct mt_trainer *trainer, uint64_t number, float *logps)
{
    struct mt_step_report report;
    struct mt_err err = {0};
    struct tiny_batch b;

    tiny_batch_fill(&b, number);
    if (mt_trainer_step(trainer, &b.batch, logps, &report, &err) != MT_OK)
        fail_msg("step: %s", err.text);
    return report;
}

/* Owned copy of what a number of steps make of the parameters. */
static float *params_after(unsigned threads_n, uint64_t steps_n)
{
    struct mt_trainer_opts opts = tiny_opts(threads_n);
    struct mt_trainer *trainer = trainer_of(&opts);
    uint64_t n = mt_shape_params_n(&opts.shape);
    float *params = mt_alloc(n, sizeof *params);

    for (uint64_t i = 0; i < steps_n; i++)
        step(trainer, i, NULL);
    memcpy(params, mt_trainer_params(trainer), n * sizeof *params);
    mt_trainer_free(trainer);
    return params;
}

static void the_loss_of_a_tiny_model_falls_as_recorded(void **state)
{
    (void)state;
    /* As it was recorded; guessing costs log 31 = 3.43. */
    static const struct {
        uint64_t step;
        double loss;
    } rows[] = {{0, 3.499}, {10, 2.529}, {20, 1.270}, {30, 0.5487}, {40, 0.2236}, {50, 0.0787}};
    static const double tolerance = 0.1; /* what rounding may do */
    struct mt_trainer_opts opts = tiny_opts(2);
    struct mt_trainer *trainer = trainer_of(&opts);
    struct tiny_batch b;
    struct mt_net_sum sum;
    double loss = 0;
    size_t r = 0;

    for (uint64_t i = 0; i < opts.steps; i++) {
        struct mt_step_report report = step(trainer, i, NULL);
        loss = report.loss;
        if (r == MT_ARRAY_LEN(rows) || i != rows[r].step)
            continue;
        if (fabs(loss / rows[r].loss - 1) > tolerance)
            fail_msg("loss %g at step %d, expected %g", loss, (int)i, rows[r].loss);
        r++;
    }
    assert_int_equal(r, MT_ARRAY_LEN(rows));
    assert_true(loss < 0.01);
    assert_int_equal(mt_trainer_steps_done(trainer), opts.steps);
    tiny_batch_fill(&b, 100000); /* it never saw this one */
    mt_trainer_evaluate(trainer, &b.batch, NULL, &sum);
    assert_int_equal(sum.right_n, sum.targets_n);
    mt_trainer_free(trainer);
}

static void the_same_run_gives_the_same_bits(void **state)
{
    (void)state;
    struct mt_shape shape = tiny_shape();
    size_t bytes = mt_shape_params_n(&shape) * sizeof(float);

    for (unsigned threads_n = 1; threads_n <= 3; threads_n++) {
        float *a = params_after(threads_n, 20);
        float *b = params_after(threads_n, 20);
        assert_memory_equal(a, b, bytes);
        mt_free(a);
        mt_free(b);
    }
}

static void more_threads_give_the_same_within_rounding(void **state)
{
    (void)state;
    struct mt_shape shape = tiny_shape();
    uint64_t n = mt_shape_params_n(&shape);
    float *one = params_after(1, 5);

    /* 12 is more than there are sequences. */
    for (unsigned threads_n = 2; threads_n <= 12; threads_n += 5) {
        float *many = params_after(threads_n, 5);
        double squares = 0, differences = 0;
        for (uint64_t i = 0; i < n; i++) {
            double d = (double)many[i] - (double)one[i];
            squares += (double)one[i] * (double)one[i];
            differences += d * d;
        }
        assert_true(sqrt(differences / squares) < 1e-5);
        mt_free(many);
    }
    mt_free(one);
}

/* One step of the paper's algorithm in double, on the gradient of the net itself. */
static void reference_step(const struct mt_trainer_opts *opts, const struct mt_batch *batch,
                           uint64_t number, double rate, double *state[3])
{
    uint64_t n = mt_shape_params_n(&opts->shape);
    float *params = mt_alloc(n, sizeof *params), *grads = mt_alloc(n, sizeof *grads);
    static struct mt_tensor tensors[MT_SHAPE_TENSORS_MAX];
    uint32_t tensors_n = mt_shape_tensors(&opts->shape, tensors);
    double squares = 0;
    struct mt_net *net = NULL;
    struct mt_net_sum sum = {0};

    for (uint64_t i = 0; i < n; i++)
        params[i] = (float)state[0][i];
    assert_int_equal(mt_net_new(&opts->shape, TINY_TOKENS, &net, NULL), MT_OK);
    mt_net_step(net, params, batch, (float)(1 / mt_batch_weight(batch)), grads, NULL, &sum);
    mt_net_free(net);
    for (uint64_t i = 0; i < n; i++)
        squares += (double)grads[i] * (double)grads[i];
    double scale = sqrt(squares) > opts->clip ? opts->clip / sqrt(squares) : 1;
    for (uint32_t k = 0; k < tensors_n; k++) {
        double decay = tensors[k].decays ? opts->decay : 0;
        uint64_t end = tensors[k].at + (uint64_t)tensors[k].rows * tensors[k].columns;
        for (uint64_t i = tensors[k].at; i < end; i++) {
            double g = scale * (double)grads[i];
            state[1][i] = 0.9 * state[1][i] + 0.1 * g;
            state[2][i] = 0.95 * state[2][i] + 0.05 * g * g;
            double mean = state[1][i] / (1 - pow(0.9, (double)number));
            double square = state[2][i] / (1 - pow(0.95, (double)number));
            state[0][i] -= rate * (mean / (sqrt(square) + 1e-8) + decay * state[0][i]);
        }
    }
    mt_free(params);
    mt_free(grads);
}

static void steps_are_those_of_the_paper(void **state)
{
    (void)state;
    struct mt_trainer_opts opts = tiny_opts(1);
    opts.clip = 0.5; /* bites at first */
    struct mt_trainer *trainer = trainer_of(&opts);
    uint64_t n = mt_shape_params_n(&opts.shape);
    double *numbers = mt_alloc(3 * n, sizeof *numbers);
    double *parts[3] = {numbers, numbers + n, numbers + 2 * n};
    double worst = 0;

    for (uint64_t i = 0; i < n; i++)
        numbers[i] = (double)mt_trainer_params(trainer)[i];
    for (uint64_t number = 1; number <= 3; number++) {
        struct tiny_batch b;
        tiny_batch_fill(&b, number);
        reference_step(&opts, &b.batch, number, opts.rate_max * (double)number / 10, parts);
        struct mt_step_report report = step(trainer, number, NULL);
        assert_true(number > 1 || report.grad_norm > opts.clip);
    }
    for (uint64_t i = 0; i < n; i++)
        worst = fmax(worst, fabs((double)mt_trainer_params(trainer)[i] - numbers[i]));
    if (worst > 2e-5)
        fail_msg("a parameter is %g off", worst);
    mt_free(numbers);
    mt_trainer_free(trainer);
}

static void rates_rise_then_fall_along_a_cosine(void **state)
{
    (void)state;
    static const double expected[] = {0.25,  0.5,  0.75,  1,      1,   0.9397,
                                      0.775, 0.55, 0.325, 0.1603, 0.1, 0.1};
    struct mt_trainer_opts opts = tiny_opts(1);
    opts.warmup_steps = 4;
    opts.steps = 10;
    struct mt_trainer *trainer = trainer_of(&opts);

    for (size_t i = 0; i < MT_ARRAY_LEN(expected); i++) {
        double rate = step(trainer, i, NULL).rate / opts.rate_max;
        if (fabs(rate - expected[i]) > 1e-4)
            fail_msg("step %zu: %g of the rate, expected %g", i, rate, expected[i]);
    }
    mt_trainer_free(trainer);
}

/* Whatever the number of threads, and also for the sums of an evaluation. */
static void logps_come_in_the_order_of_the_batch(void **state)
{
    (void)state;
    float expected[TINY_TOKENS];

    for (unsigned threads_n = 1; threads_n <= 3; threads_n++) {
        struct mt_trainer_opts opts = tiny_opts(threads_n);
        struct mt_trainer *trainer = trainer_of(&opts);
        struct tiny_batch b;
        struct mt_net_sum sum;
        float logps[TINY_TOKENS] = {0};
        double loss = 0;
        uint32_t target = 0;

        tiny_batch_fill(&b, 5);
        mt_trainer_evaluate(trainer, &b.batch, NULL, &sum);
        struct mt_step_report report = step(trainer, 5, logps);
        for (uint32_t i = 0; i < b.batch.tokens_n; i++)
            if (b.targets[i] >= 0)
                loss -= (double)b.weights[i] * (double)logps[target++];
        assert_int_equal(target, report.sum.targets_n);
        assert_true(fabs(loss - report.sum.loss) < 1e-3);
        assert_true(fabs(sum.loss - report.sum.loss) < 1e-3);
        assert_true(fabs(report.loss - loss / sum.weight) < 1e-5);
        assert_true(sum.targets_n == target && sum.right_n == report.sum.right_n);
        for (uint32_t i = 0; threads_n > 1 && i < target; i++)
            assert_true(fabsf(logps[i] - expected[i]) < 1e-4F);
        memcpy(expected, logps, sizeof expected);
        mt_trainer_free(trainer);
    }
}

static void poison_params(struct mt_trainer *trainer, struct tiny_batch *b)
{
    (void)b;
    mt_trainer_params(trainer)[40] = NAN;
}

static void overflow_params(struct mt_trainer *trainer, struct tiny_batch *b)
{
    (void)b;
    for (int i = 0; i < 24; i++) /* a row of the output */
        mt_trainer_params(trainer)[24 * 3 + i] = 1e30F * (float)i;
}

static void poison_weights(struct mt_trainer *trainer, struct tiny_batch *b)
{
    (void)trainer;
    b->weights[1] = INFINITY;
}

static void take_weights(struct mt_trainer *trainer, struct tiny_batch *b)
{
    (void)trainer;
    memset(b->weights, 0, sizeof b->weights);
}

static void take_targets(struct mt_trainer *trainer, struct tiny_batch *b)
{
    (void)trainer;
    for (int i = 0; i < TINY_TOKENS; i++)
        b->targets[i] = -1;
}

static void take_sequences(struct mt_trainer *trainer, struct tiny_batch *b)
{
    (void)trainer;
    b->batch.sequences_n = 0;
    b->batch.tokens_n = 0;
}

static void what_is_not_finite_changes_nothing_and_is_told(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        void (*spoil)(struct mt_trainer *, struct tiny_batch *);
        const char *text;
    } rows[] = {
        {"nan parameter", poison_params, "step 4: loss "},
        {"huge parameters", overflow_params, "step 4: loss "},
        {"infinite weight", poison_weights, "step 4: targets of total weight inf"},
        {"no weight", take_weights, "step 4: targets of total weight 0"},
        {"no target", take_targets, "step 4: targets of total weight 0"},
        {"empty", take_sequences, "step 4: targets of total weight 0"},
    };

    for (size_t r = 0; r < MT_ARRAY_LEN(rows); r++) {
        struct mt_trainer_opts opts = tiny_opts(2);
        struct mt_trainer *trainer = trainer_of(&opts), *twin = trainer_of(&opts);
        size_t bytes = mt_shape_params_n(&opts.shape) * sizeof(float);
        float *before = mt_alloc(bytes, 1), *good = mt_alloc(bytes, 1);
        struct mt_step_report report = {.loss = 42};
        struct mt_err err = {0};
        struct tiny_batch b;

        for (uint64_t i = 0; i < 3; i++) {
            step(trainer, i, NULL);
            step(twin, i, NULL);
        }
        memcpy(good, mt_trainer_params(trainer), bytes);
        tiny_batch_fill(&b, 3);
        rows[r].spoil(trainer, &b);
        memcpy(before, mt_trainer_params(trainer), bytes);
        mt_check_row(rows[r].name,
                     mt_trainer_step(trainer, &b.batch, NULL, &report, &err) == MT_E_INVALID);
        mt_check_row(rows[r].name, strncmp(err.text, rows[r].text, strlen(rows[r].text)) == 0);
        mt_check_row(rows[r].name, memcmp(before, mt_trainer_params(trainer), bytes) == 0);
        mt_check_row(rows[r].name, mt_trainer_steps_done(trainer) == 3);
        mt_check_row(rows[r].name, report.loss == 42);

        /* The moments are as they were, too: it goes on like one that never saw this. */
        memcpy(mt_trainer_params(trainer), good, bytes);
        step(trainer, 9, NULL);
        step(twin, 9, NULL);
        mt_check_row(rows[r].name,
                     memcmp(mt_trainer_params(twin), mt_trainer_params(trainer), bytes) == 0);
        mt_free(before);
        mt_free(good);
        mt_trainer_free(trainer);
        mt_trainer_free(twin);
    }
}

static void a_step_allocates_nothing(void **state)
{
    (void)state;
    struct mt_trainer_opts opts = tiny_opts(2);
    struct mt_trainer *trainer = trainer_of(&opts);

    step(trainer, 0, NULL);
    long made = mt_alloc_made;
    step(trainer, 1, NULL);
    assert_int_equal(mt_alloc_made, made);
    mt_trainer_free(trainer);
}

/* A member's address and a bad value for it. */
#define BAD(member, number) offsetof(struct mt_trainer_opts, member), number

static void options_out_of_range_are_named(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        size_t at;
        double value;
    } doubles[] = {
        {"learning rate: 2", BAD(rate_max, 2)},      {"learning rate: nan", BAD(rate_max, NAN)},
        {"last learning", BAD(rate_min, 0.5)},       {"beta1: 1", BAD(beta1, 1)},
        {"beta2: -0.5", BAD(beta2, -0.5)},           {"eps: -1", BAD(eps, -1)},
        {"weight decay: -1", BAD(decay, -1)},        {"clip: -1", BAD(clip, -1)},
        {"weight decay: inf", BAD(decay, INFINITY)},
    };
    struct mt_trainer *trainer = NULL;
    struct mt_err err = {0};

    for (size_t r = 0; r < MT_ARRAY_LEN(doubles); r++) {
        struct mt_trainer_opts opts = tiny_opts(1);
        memcpy((char *)&opts + doubles[r].at, &doubles[r].value, sizeof(double));
        mt_check_row(doubles[r].name, mt_trainer_new(&opts, &trainer, &err) == MT_E_INVALID);
        mt_check_row(doubles[r].name, strstr(err.text, doubles[r].name) == err.text);
    }
    struct mt_trainer_opts opts = tiny_opts(65);
    assert_int_equal(mt_trainer_new(&opts, &trainer, &err), MT_E_INVALID);
    opts = tiny_opts(1);
    opts.tokens_max = 0;
    assert_int_equal(mt_trainer_new(&opts, &trainer, &err), MT_E_INVALID);
    opts = tiny_opts(1);
    opts.warmup_steps = opts.steps + 1;
    assert_int_equal(mt_trainer_new(&opts, &trainer, &err), MT_E_INVALID);
    opts = tiny_opts(1);
    opts.shape.kv_heads_n = 3;
    assert_int_equal(mt_trainer_new(&opts, &trainer, &err), MT_E_INVALID);
    assert_null(trainer);
}

static void zeros_are_filled_in(void **state)
{
    (void)state;
    struct mt_trainer_opts opts = tiny_opts(0), explicit = tiny_opts(1);
    explicit.beta1 = 0.9;
    explicit.beta2 = 0.95;
    explicit.eps = 1e-8;
    size_t bytes = mt_shape_params_n(&opts.shape) * sizeof(float);
    struct mt_trainer *many = trainer_of(&opts);
    opts.threads_n = 1;
    struct mt_trainer *a = trainer_of(&opts), *b = trainer_of(&explicit);

    step(many, 0, NULL); /* on as many threads as there are cores */
    step(a, 0, NULL);
    step(b, 0, NULL);
    assert_memory_equal(mt_trainer_params(a), mt_trainer_params(b), bytes);
    mt_trainer_free(many);
    mt_trainer_free(a);
    mt_trainer_free(b);
}

static void trainer_new_survives_any_oom(void **state)
{
    (void)state;
    struct mt_trainer_opts opts = tiny_opts(2);
    long live = mt_alloc_live;

    for (long nth = 0;; nth++) {
        struct mt_trainer *trainer = NULL;
        mt_alloc_fail_after = nth;
        mt_rc rc = mt_trainer_new(&opts, &trainer, NULL);
        mt_alloc_fail_after = -1;
        if (rc == MT_OK) {
            assert_true(nth > 8);
            mt_trainer_free(trainer);
            break;
        }
        assert_int_equal(rc, MT_E_NOMEM);
        assert_null(trainer);
        assert_int_equal(mt_alloc_live, live);
    }
    assert_int_equal(mt_alloc_live, live);
    mt_trainer_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_loss_of_a_tiny_model_falls_as_recorded),
        cmocka_unit_test(the_same_run_gives_the_same_bits),
        cmocka_unit_test(more_threads_give_the_same_within_rounding),
        cmocka_unit_test(steps_are_those_of_the_paper),
        cmocka_unit_test(rates_rise_then_fall_along_a_cosine),
        cmocka_unit_test(logps_come_in_the_order_of_the_batch),
        cmocka_unit_test(what_is_not_finite_changes_nothing_and_is_told),
        cmocka_unit_test(a_step_allocates_nothing),
        cmocka_unit_test(options_out_of_range_are_named),
        cmocka_unit_test(zeros_are_filled_in),
        cmocka_unit_test(trainer_new_survives_any_oom),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
