/* SPDX-License-Identifier: Apache-2.0 */
/* Asking by oneself beside being handed over: a few items whose outcome can be counted by hand.
 */
#include "support/test.h"

#include <math.h>

#include "base/alloc.h"
#include "base/attr.h"
#include "train/help_exam.h"

enum { N = 8 };

#define RIGHT(doubt_)                                    \
    {                                                    \
        .is_right = true, .doubt = { doubt_, 0, doubt_ } \
    }
#define WRONG(doubt_)                  \
    {                                  \
        .doubt = { doubt_, 0, doubt_ } \
    }
#define ASKS              \
    {                     \
        .has_asked = true \
    }

/* Of the eight the helper knows all but the last. */
static const struct mt_attempt helper[N] = {RIGHT(0), RIGHT(0), RIGHT(0), RIGHT(0),
                                            RIGHT(0), RIGHT(0), RIGHT(0), WRONG(0)};
/* Asks about three, of which two are worth it; wrong about one more. */
static const struct mt_attempt router[N] = {RIGHT(0), RIGHT(0), RIGHT(0), RIGHT(0),
                                            WRONG(0), ASKS,     ASKS,     ASKS};
/* Doubts what it is right about more than what it is wrong about. */
static const struct mt_attempt proud[N] = {RIGHT(3), RIGHT(2), RIGHT(1.5F), RIGHT(0.1F),
                                           WRONG(1), WRONG(0), WRONG(0),    WRONG(0)};
/* Doubts what it is wrong about, and that by the greatest entropy alone. */
static const struct mt_attempt modest[N] = {{.is_right = true, .doubt = {1, 0, 1}},
                                            {.is_right = true, .doubt = {1, 0, 1}},
                                            {.is_right = true, .doubt = {1, 0, 1}},
                                            {.is_right = true, .doubt = {1, 0, 1}},
                                            {.doubt = {0, 4, 0}},
                                            {.doubt = {0, 3, 0}},
                                            {.doubt = {0, 2, 0}},
                                            {.doubt = {0, 1, 0}}};

static struct mt_help_sheet sheet_of(const struct mt_attempt *own)
{
    return (struct mt_help_sheet){own, helper, N};
}

static void near(double found, double wanted)
{
    if (fabs(found - wanted) > 1e-9)
        fail_msg("found %.12g, wanted %.12g", found, wanted);
}

static void who_asks_is_as_right_as_its_helper(void **state)
{
    (void)state;
    const struct mt_help_sheet sheet = sheet_of(router);
    struct mt_help_score score = mt_help_score(&sheet);

    near(score.asked, 3.0 / N);
    near(score.right, 6.0 / N);
}

static struct mt_help_gain gain_over(const struct mt_attempt *other)
{
    const struct mt_help_sheet asks = sheet_of(router), threshold = sheet_of(other);
    struct mt_help_gain gain;
    struct mt_err err = {0};

    if (mt_help_compare(&asks, &threshold, &threshold, &gain, &err) != MT_OK)
        fail_msg("%s", err.text);
    return gain;
}

/* Three of the proud one's right answers are handed over: nothing is won by it. */
static void a_threshold_on_the_wrong_doubt_wins_nothing(void **state)
{
    (void)state;
    struct mt_help_gain gain = gain_over(proud);

    near(gain.right, 4.0 / N);
    near(gain.gain, 2.0 / N);
    /* differences 0 0 0 0 0 1 1 0: variance 3/14 */
    near(gain.high - gain.gain, 1.959963984540054 * sqrt(3.0 / 14 / N));
    near(gain.gain - gain.low, gain.high - gain.gain);
}

static void the_best_kind_of_doubt_is_used(void **state)
{
    (void)state;
    struct mt_help_gain gain = gain_over(modest);

    assert_int_equal(gain.doubt, MT_DOUBT_MOST);
    near(gain.right, 7.0 / N);
    near(gain.gain, -1.0 / N);
}

static void of_equal_doubts_the_earlier_items_are_handed_over(void **state)
{
    (void)state;
    static const struct mt_attempt even[N] = {WRONG(0), WRONG(0), WRONG(0), RIGHT(0),
                                              WRONG(0), WRONG(0), WRONG(0), WRONG(0)};

    near(gain_over(even).right, 4.0 / N);
}

static void comparing_survives_any_oom(void **state)
{
    (void)state;
    const struct mt_help_sheet asks = sheet_of(router), threshold = sheet_of(modest);

    for (long nth = 0;; nth++) {
        struct mt_help_gain gain = {.right = -1};

        mt_alloc_fail_after = nth;
        mt_rc rc = mt_help_compare(&asks, &threshold, &threshold, &gain, NULL);
        mt_alloc_fail_after = -1;
        assert_int_equal(mt_alloc_live, 0);
        if (rc == MT_OK) {
            assert_int_equal(nth, 3);
            break;
        }
        assert_int_equal(rc, MT_E_NOMEM);
        assert_true(gain.right == -1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_asks_is_as_right_as_its_helper),
        cmocka_unit_test(a_threshold_on_the_wrong_doubt_wins_nothing),
        cmocka_unit_test(the_best_kind_of_doubt_is_used),
        cmocka_unit_test(of_equal_doubts_the_earlier_items_are_handed_over),
        cmocka_unit_test(comparing_survives_any_oom),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
