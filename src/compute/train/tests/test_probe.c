/* SPDX-License-Identifier: Apache-2.0 */
/* Probes, n-grams and paired differences on vectors and texts whose answers are known. */
#include "support/test.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "train/ngrams.h"
#include "train/paired.h"
#include "train/probe.h"

/* ------------------------------------------------------------------ probes */

static struct mt_probe *learn(enum mt_probe_way way, double lambda, uint32_t classes_n,
                              struct mt_labelled examples)
{
    const struct mt_probe_opts opts = {way, classes_n, lambda};
    struct mt_probe *probe = NULL;

    assert_int_equal(mt_probe_new(&opts, &examples, &probe, NULL), MT_OK);
    return probe;
}

static uint32_t name_of(const struct mt_probe *probe, const float *row)
{
    uint32_t named = 99;

    assert_int_equal(mt_probe_name(probe, row, 1, &named, NULL), MT_OK);
    return named;
}

/* On a line, classes at -1 and 3: least squares puts the border in the middle of the two means,
 * at 1, and any ridge leaves it there. */
static void two_classes_on_a_line_meet_in_the_middle(void **state)
{
    (void)state;
    static const float rows[] = {-1.5F, -0.5F, 2.5F, 3.5F};
    static const uint32_t classes[] = {0, 0, 1, 1};
    static const double lambdas[] = {1e-4, 0.1, 10};

    for (int way = 0; way < MT_PROBE_WAYS_N; way++) {
        for (size_t i = 0; i < MT_ARRAY_LEN(lambdas); i++) {
            struct mt_probe *probe = learn((enum mt_probe_way)way, lambdas[i], 2,
                                           (struct mt_labelled){rows, classes, 4, 1});
            float left = 0.99F;
            float right = 1.01F;

            assert_int_equal(name_of(probe, &left), 0);
            assert_int_equal(name_of(probe, &right), 1);
            mt_probe_free(probe);
        }
    }
}

/* Three corners, each a class: a ridge and centroids both find the nearest. */
static void corners_are_told_apart(void **state)
{
    (void)state;
    static const float rows[] = {1, 0, 0, 1, -1, -1};
    static const uint32_t classes[] = {0, 1, 2};
    static const struct {
        float at[2];
        uint32_t want;
    } asked[] = {{{5, 1}, 0}, {{1, 5}, 1}, {{-1, -2}, 2}, {{2, -0.5F}, 0}};

    for (int way = 0; way < MT_PROBE_WAYS_N; way++) {
        struct mt_probe *probe =
            learn((enum mt_probe_way)way, 0.01, 3, (struct mt_labelled){rows, classes, 3, 2});

        for (size_t i = 0; i < MT_ARRAY_LEN(asked); i++)
            assert_int_equal(name_of(probe, asked[i].at), asked[i].want);
        mt_probe_free(probe);
    }
}

static float noise(uint32_t *state)
{
    *state = *state * 1664525 + 1013904223;
    return (float)(*state >> 16) / 65536.0F;
}

/* The same problem with columns of zeros is solved over examples in place of columns. */
static void more_columns_than_examples_give_the_same_answers(void **state)
{
    (void)state;
    enum { N = 24, NARROW = 6, WIDE = 40, ASKED = 200 };
    static float narrow[N * NARROW], wide[N * WIDE];
    static float narrow_asked[ASKED * NARROW], wide_asked[ASKED * WIDE];
    uint32_t classes[N];
    uint32_t named[2][ASKED];
    uint32_t draw = 1;
    unsigned seen = 0;

    for (uint32_t i = 0; i < N; i++) {
        classes[i] = i % 3;
        for (uint32_t j = 0; j < NARROW; j++)
            narrow[i * NARROW + j] = wide[i * WIDE + j] =
                noise(&draw) + (j == classes[i] ? 0.5F : 0);
    }
    for (uint32_t i = 0; i < ASKED; i++)
        for (uint32_t j = 0; j < NARROW; j++)
            narrow_asked[i * NARROW + j] = wide_asked[i * WIDE + j] = noise(&draw);
    /* lambda is in means of the system's diagonal, which is of another length */
    struct mt_probe *a =
        learn(MT_PROBE_RIDGE, 0.1, 3, (struct mt_labelled){narrow, classes, N, NARROW});
    struct mt_probe *b = learn(MT_PROBE_RIDGE, 0.1 * N / NARROW, 3,
                               (struct mt_labelled){wide, classes, N, WIDE});
    assert_int_equal(mt_probe_name(a, narrow_asked, ASKED, named[0], NULL), MT_OK);
    assert_int_equal(mt_probe_name(b, wide_asked, ASKED, named[1], NULL), MT_OK);
    assert_memory_equal(named[0], named[1], sizeof named[0]);
    for (size_t i = 0; i < ASKED; i++)
        seen |= 1u << named[0][i];
    assert_int_equal(seen, 7);
    mt_probe_free(a);
    mt_probe_free(b);
}

static void learning_survives_any_oom(void **state)
{
    (void)state;
    static const float rows[] = {-1, 2, 3, 4, 0, 1};
    static const uint32_t classes[] = {0, 1};
    const struct mt_labelled examples = {rows, classes, 2, 3};
    const struct mt_probe_opts opts = {MT_PROBE_RIDGE, 2, 0.1};

    for (long nth = 0;; nth++) {
        struct mt_probe *probe = NULL;
        uint32_t named;

        mt_alloc_fail_after = nth;
        mt_rc rc = mt_probe_new(&opts, &examples, &probe, NULL);
        if (rc == MT_OK)
            rc = mt_probe_name(probe, rows, 1, &named, NULL);
        mt_alloc_fail_after = -1;
        mt_probe_free(probe);
        assert_int_equal(mt_alloc_live, 0);
        if (rc == MT_OK) {
            assert_true(nth > 8);
            break;
        }
        assert_int_equal(rc, MT_E_NOMEM);
    }
}

/* ------------------------------------------------------------------ n-grams */

static double cosine(const float *a, const float *b)
{
    double sum = 0;

    for (size_t i = 0; i < MT_NGRAMS_N; i++)
        sum += (double)a[i] * (double)b[i];
    return sum;
}

static void texts_are_near_as_far_as_they_share_runs(void **state)
{
    (void)state;
    static const struct mt_str known[] = {MT_STR_INIT("copy abc"), MT_STR_INIT("copy xyz"),
                                          MT_STR_INIT("45+38")};
    static const struct mt_str texts[] = {MT_STR_INIT("copy motet"), MT_STR_INIT("copy tenor"),
                                          MT_STR_INIT("12+79"), MT_STR_INIT("copy motet")};
    float *rows = mt_alloc((size_t)4 * MT_NGRAMS_N, sizeof *rows);
    const float *row[] = {rows, rows + MT_NGRAMS_N, rows + 2 * MT_NGRAMS_N,
                          rows + 3 * MT_NGRAMS_N};

    for (unsigned way = 0; way < MT_NGRAMS_WAYS_N; way++) {
        struct mt_ngrams *ngrams = NULL;

        assert_int_equal(mt_ngrams_new(way, known, 3, &ngrams, NULL), MT_OK);
        mt_ngrams_run(ngrams, texts, 4, rows);
        assert_true(fabs(cosine(row[0], row[0]) - 1) < 1e-4);
        assert_true(fabs(cosine(row[0], row[3]) - 1) < 1e-4);
        assert_true(cosine(row[0], row[1]) > 0.2);
        assert_true(fabs(cosine(row[0], row[2])) < 0.15);
        mt_ngrams_free(ngrams);
    }
    mt_free(rows);
    assert_int_equal(mt_alloc_live, 0);
}

static void rare_runs_weigh_more_and_shapes_join_what_differs(void **state)
{
    (void)state;
    static const struct mt_str known[] = {MT_STR_INIT("copy abc"), MT_STR_INIT("copy xyz")};
    static const struct mt_str pair[] = {MT_STR_INIT("copy motet"), MT_STR_INIT("copy razzi")};
    static const struct mt_str digits[] = {MT_STR_INIT("45+38"), MT_STR_INIT("12+97")};
    float *rows = mt_alloc((size_t)2 * MT_NGRAMS_N, sizeof *rows);
    double near[2];

    for (unsigned i = 0; i < 4; i++) {
        const unsigned ways[] = {MT_NGRAMS_PLAIN, MT_NGRAMS_RARE, MT_NGRAMS_PLAIN,
                                 MT_NGRAMS_SHAPES};
        struct mt_ngrams *ngrams = NULL;

        assert_int_equal(mt_ngrams_new(ways[i], known, 2, &ngrams, NULL), MT_OK);
        mt_ngrams_run(ngrams, i < 2 ? pair : digits, 2, rows);
        near[i % 2] = cosine(rows, rows + MT_NGRAMS_N);
        mt_ngrams_free(ngrams);
        if (i == 1)
            assert_true(near[1] < near[0]); /* "copy " is common, and counts less */
    }
    assert_true(near[1] > near[0] + 0.2);
    mt_free(rows);
}

static void counting_survives_any_oom(void **state)
{
    (void)state;

    for (long nth = 0;; nth++) {
        struct mt_ngrams *ngrams = NULL;

        mt_alloc_fail_after = nth;
        mt_rc rc = mt_ngrams_new(MT_NGRAMS_RARE, NULL, 0, &ngrams, NULL);
        mt_alloc_fail_after = -1;
        mt_ngrams_free(ngrams);
        assert_int_equal(mt_alloc_live, 0);
        if (rc == MT_OK) {
            assert_int_equal(nth, 2);
            break;
        }
        assert_int_equal(rc, MT_E_NOMEM);
    }
}

/* ------------------------------------------------------------------ pairs */

static void a_gain_that_is_everywhere_has_no_interval(void **state)
{
    (void)state;
    const bool ours[6] = {true, true, true, true, true, true};
    const bool theirs[6] = {false};
    struct mt_paired paired;

    assert_int_equal(mt_paired_gain(ours, theirs, 2, 3, &paired, NULL), MT_OK);
    assert_true(paired.gain == 1 && paired.low == 1 && paired.high == 1);
    assert_true(paired.gain_min == 1 && paired.gain_max == 1);
    assert_int_equal(mt_paired_gain(ours, ours, 2, 3, &paired, NULL), MT_OK);
    assert_true(paired.gain == 0 && paired.low == 0 && paired.high == 0);
}

/* One draw, 400 questions, ours right on 60 that theirs is not, theirs on 20 that ours is not:
 * the difference is 0.1, and its normal interval 1.96 sqrt((0.2 - 0.1^2) / 400) = 0.0427. */
static void the_interval_is_that_of_pairs(void **state)
{
    (void)state;
    enum { N = 400 };
    bool ours[N] = {false};
    bool theirs[N] = {false};
    struct mt_paired paired;

    for (size_t i = 0; i < 80; i++)
        *(i < 60 ? &ours[i] : &theirs[i]) = true;
    for (size_t i = 80; i < 300; i++)
        ours[i] = theirs[i] = true;
    assert_int_equal(mt_paired_gain(ours, theirs, 1, N, &paired, NULL), MT_OK);
    assert_true(fabs(paired.gain - 0.1) < 1e-12);
    assert_true(fabs(paired.low - (0.1 - 0.0427)) < 0.006);
    assert_true(fabs(paired.high - (0.1 + 0.0427)) < 0.006);
}

/* Two draws that disagree widen it beyond what their questions would. */
static void draws_count_as_much_as_questions(void **state)
{
    (void)state;
    enum { N = 100 };
    bool ours[2 * N] = {false};
    const bool theirs[2 * N] = {false};
    struct mt_paired paired;

    for (size_t i = 0; i < N; i++)
        ours[i] = true;
    assert_int_equal(mt_paired_gain(ours, theirs, 2, N, &paired, NULL), MT_OK);
    assert_true(paired.gain == 0.5 && paired.low == 0 && paired.high == 1);
    assert_true(paired.gain_min == 0 && paired.gain_max == 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_classes_on_a_line_meet_in_the_middle),
        cmocka_unit_test(corners_are_told_apart),
        cmocka_unit_test(more_columns_than_examples_give_the_same_answers),
        cmocka_unit_test(learning_survives_any_oom),
        cmocka_unit_test(texts_are_near_as_far_as_they_share_runs),
        cmocka_unit_test(rare_runs_weigh_more_and_shapes_join_what_differs),
        cmocka_unit_test(counting_survives_any_oom),
        cmocka_unit_test(a_gain_that_is_everywhere_has_no_interval),
        cmocka_unit_test(the_interval_is_that_of_pairs),
        cmocka_unit_test(draws_count_as_much_as_questions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
