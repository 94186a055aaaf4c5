/* SPDX-License-Identifier: Apache-2.0 */
/* Two agents on a few items whose outcome can be counted by hand, and what the second turn
 * asks. */
#include "support/test.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/attr.h"
#include "train/cooperate_exam.h"
#include "train/cooperate_pair.h"

enum { N = 4 };

#define RIGHT(doubt_)                                    \
    {                                                    \
        .is_right = true, .doubt = { doubt_, 0, doubt_ } \
    }
#define WRONG(doubt_)                  \
    {                                  \
        .doubt = { doubt_, 0, doubt_ } \
    }

/* Each is right about two of four; by entropy three are found, and talking finds all but a half
 * of one. */
static const struct mt_attempt first_a[N] = {RIGHT(1), RIGHT(3), WRONG(4), WRONG(1)};
static const struct mt_attempt first_b[N] = {WRONG(2), WRONG(4), RIGHT(3), RIGHT(2)};
static const struct mt_attempt second_a[N] = {RIGHT(1), RIGHT(1), RIGHT(1), WRONG(1)};
static const struct mt_attempt second_b[N] = {RIGHT(2), RIGHT(2), RIGHT(2), RIGHT(1)};

static const struct mt_coop_sheet team = {
    .at = {{first_a, first_b}, {second_a, second_b}},
    .items_n = N,
};
/* The same first answers, and nothing learned from them. */
static const struct mt_coop_sheet strangers = {
    .at = {{first_a, first_b}, {first_a, first_b}},
    .items_n = N,
};

static void near(double found, double wanted)
{
    if (fabs(found - wanted) > 1e-9)
        fail_msg("found %.12g, wanted %.12g", found, wanted);
}

static void every_way_is_counted(void **state)
{
    (void)state;
    static const struct {
        enum mt_coop_way way;
        double right;
    } rows[] = {
        {MT_COOP_FIRST_A, 2.0 / N},      {MT_COOP_FIRST_B, 2.0 / N},
        {MT_COOP_BETTER_FIRST, 2.0 / N}, {MT_COOP_SURER_FIRST, 3.0 / N},
        {MT_COOP_SECOND_A, 3.0 / N},     {MT_COOP_SECOND_B, 4.0 / N},
        {MT_COOP_SECOND, 3.5 / N},       {MT_COOP_SURER_SECOND, 3.0 / N},
        {MT_COOP_ONE_FIRST, 4.0 / N},
    };

    assert_int_equal(MT_ARRAY_LEN(rows), MT_COOP_WAYS_N);
    for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++)
        near(mt_coop_score(&team, rows[i].way), rows[i].right);
}

static void what_ways_depend_on_is_chosen_before(void **state)
{
    (void)state;
    /* the second agent is better, and only its greatest entropy tells where it is not */
    static const struct mt_attempt a[N] = {{.is_right = true, .doubt = {5, 0, 5}},
                                           {.doubt = {1, 2, 1}},
                                           {.doubt = {1, 2, 1}},
                                           {.doubt = {1, 2, 1}}};
    static const struct mt_attempt b[N] = {{.doubt = {2, 1, 2}},
                                           {.is_right = true, .doubt = {2, 1, 2}},
                                           {.is_right = true, .doubt = {2, 1, 2}},
                                           {.is_right = true, .doubt = {2, 1, 2}}};
    const struct mt_coop_sheet before = {.at = {{a, b}, {a, a}}, .items_n = N};
    struct mt_coop_choice choice = mt_coop_choose(&before);

    assert_int_equal(choice.better, 1);
    assert_int_equal(choice.doubt[0], MT_DOUBT_MOST);
    assert_int_equal(choice.doubt[1], MT_DOUBT_MEAN); /* of equals the first */
}

static void gains_are_paired(void **state)
{
    (void)state;
    struct mt_coop_gain gain;

    assert_int_equal(
        mt_coop_compare(&team, MT_COOP_SECOND, &strangers, MT_COOP_SURER_FIRST, &gain, NULL),
        MT_OK);
    near(gain.gain, 0.5 / N);
    /* differences 0 0 0 0.5: variance 1/16 */
    near(gain.high - gain.gain, 1.959963984540054 * sqrt(1.0 / 16 / N));
    near(gain.gain - gain.low, gain.high - gain.gain);
}

static void comparing_survives_any_oom(void **state)
{
    (void)state;
    const struct mt_coop_sheet sheets[MT_COOP_PAIRS_N] = {team, strangers};

    for (long nth = 0;; nth++) {
        struct mt_coop_card card = {.has_alone = true};

        mt_alloc_fail_after = nth;
        mt_rc rc = mt_coop_card_measure(&card, sheets, NULL);
        mt_alloc_fail_after = -1;
        assert_int_equal(mt_alloc_live, 0);
        if (rc == MT_OK) {
            assert_int_equal(nth, MT_COOP_ANSWERS_N * MT_COOP_RIVALS_N);
            break;
        }
        assert_int_equal(rc, MT_E_NOMEM);
    }
}

/* ------------------------------------------------------------------ the card */

static const struct mt_coop_card about = {
    .name = MT_STR_INIT("duo"),
    .about = MT_STR_INIT("Two of them."),
    .models = {MT_STR_INIT("a.gguf"), MT_STR_INIT("b.gguf")},
    .params_n = {10, 20},
    .steps_n = 3,
};

static void expect(struct mt_buf *text, const char *part)
{
    if (strstr(mt_buf_cstr(text), part) == NULL)
        fail_msg("no '%s' in:\n%s", part, mt_buf_cstr(text));
}

static void a_card_says_what_is_not_shown(void **state)
{
    (void)state;
    const struct mt_coop_sheet sheets[MT_COOP_PAIRS_N] = {team, strangers};
    MT_CLEANUP(mt_buf_fini) struct mt_buf text = MT_BUF_INIT(1 << 16);
    struct mt_coop_card card = about;

    card.has_alone = true;
    assert_int_equal(mt_coop_card_measure(&card, sheets, NULL), MT_OK);
    mt_coop_card_markdown(&card, &text);
    expect(&text, "# duo\n\nTwo of them.\n\n- Agent A: a.gguf, 10 parameters\n");
    expect(&text, "| second answers, mean of both agents | 87.5 % | 50.0 % |\n");
    expect(&text, "| first answer of lower entropy | trained alone | +12.5 (-12.0 to +37.0) |");
    expect(&text, "With 95 % confidence second answers, mean of both agents:\n\n");
    expect(&text,
           "- not shown to differ from the first answer of lower entropy (trained alone).");
    expect(&text, "- better than the second answers, mean of both agents (trained alone).");
}

static void a_card_without_a_comparison_has_none(void **state)
{
    (void)state;
    const struct mt_coop_sheet sheets[MT_COOP_PAIRS_N] = {team};
    MT_CLEANUP(mt_buf_fini) struct mt_buf text = MT_BUF_INIT(1 << 16);
    struct mt_coop_card card = about;

    assert_int_equal(mt_coop_card_measure(&card, sheets, NULL), MT_OK);
    mt_coop_card_markdown(&card, &text);
    mt_coop_card_json(&card, &text);
    assert_null(strstr(mt_buf_cstr(&text), "alone)"));
    assert_null(strstr(mt_buf_cstr(&text), "\"alone\""));
    expect(&text, "\"agents\":[{\"model\":\"a.gguf\",\"parameters\":10},");
    expect(&text, "\"second\":0.875,\"surer_second\":0.75,");
    expect(&text,
           "{\"answer\":\"second\",\"pair\":\"team\",\"over\":\"surer_first\",\"gain\":");
}

/* ------------------------------------------------------------------ the second turn */

static void the_second_turn_shows_what_the_other_said(void **state)
{
    (void)state;
    static const struct {
        struct mt_str said;
        const char *prompt;
    } rows[] = {
        {MT_STR_INIT("84"), "45+38 | 84"},
        {MT_STR_INIT(""), "45+38 | "},
        {MT_STR_INIT("ab\0cd"), "45+38 | ab"},
        {MT_STR_INIT("0123456789012345678901234567890123456789"),
         "45+38 | 01234567890123456789012345678901"},
    };
    struct mt_item item = {.prompt = "45+38", .answer = "83"}, second;

    for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
        mt_coop_second(&item, rows[i].said, &second);
        assert_string_equal(second.prompt, rows[i].prompt);
        assert_string_equal(second.answer, "83");
    }
    memset(item.prompt, 'x', sizeof item.prompt - 1);
    mt_coop_second(&item, rows[3].said, &second);
    assert_int_equal(strlen(second.prompt), sizeof second.prompt - 1);
    assert_non_null(strstr(second.prompt, "x | 0123"));
}

static void no_item_looks_like_a_second_turn(void **state)
{
    (void)state;
    enum { ITEMS = 50 };
    struct mt_item item;

    for (unsigned i = 0; i < MT_SKILLS_N * MT_DIFFICULTIES_N * ITEMS; i++) {
        unsigned grade = i / ITEMS;

        mt_item_make((enum mt_skill)(grade / MT_DIFFICULTIES_N),
                     (enum mt_difficulty)(grade % MT_DIFFICULTIES_N), MT_SPLIT_TRAIN, i, &item);
        mt_check_row(item.prompt, strchr(item.prompt, '|') == NULL);
        mt_check_row(item.answer, strlen(item.answer) < MT_COOP_SAID_MAX);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_way_is_counted),
        cmocka_unit_test(what_ways_depend_on_is_chosen_before),
        cmocka_unit_test(gains_are_paired),
        cmocka_unit_test(comparing_survives_any_oom),
        cmocka_unit_test(a_card_says_what_is_not_shown),
        cmocka_unit_test(a_card_without_a_comparison_has_none),
        cmocka_unit_test(the_second_turn_shows_what_the_other_said),
        cmocka_unit_test(no_item_looks_like_a_second_turn),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
