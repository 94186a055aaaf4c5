/* SPDX-License-Identifier: Apache-2.0 */
/* Exams of vectors whose score is known beforehand, and their cards. */
#include "support/test.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "train/embed_card.h"
#include "wire/json.h"

enum { SKILLS = 1 << MT_SKILL_COPY | 1 << MT_SKILL_UPPER, WISE_N = 8 };

/* Knows both skills and, by the length of the word, their difficulty: a column for each. */
static void fill_wise(void *context, const struct mt_str *texts, uint32_t n, float *rows)
{
    (void)context;
    memset(rows, 0, (size_t)n * WISE_N * sizeof *rows);
    for (uint32_t i = 0; i < n; i++) {
        struct mt_str word = texts[i];
        struct mt_str name = mt_str_take(&word, ' ');
        unsigned skill = mt_str_is(name, "copy") ? 0 : 1;
        unsigned difficulty = word.len <= 5 ? 0 : word.len <= 10 ? 1 : 2;

        rows[i * WISE_N + skill] = 1;
        rows[i * WISE_N + 2 + 3 * skill + difficulty] = 1;
    }
}

/* Says the same of every text: what a probe names is the first class. */
static void fill_dull(void *context, const struct mt_str *texts, uint32_t n, float *rows)
{
    (void)context;
    (void)texts;
    for (uint32_t i = 0; i < n; i++)
        rows[i] = 1;
}

static const struct mt_features wise = {"wise", WISE_N, fill_wise, NULL};
static const struct mt_features dull = {"dull", 1, fill_dull, NULL};
static const struct mt_features both[] = {{"dull", 1, fill_dull, NULL},
                                          {"wise", WISE_N, fill_wise, NULL}};

static void take(const struct mt_embed_exam *exam, struct mt_embed_report *report)
{
    struct mt_err err = {0};

    if (mt_embed_exam(exam, report, &err) != MT_OK)
        fail_msg("%s", err.text);
}

static void the_gain_is_that_of_knowing_over_guessing(void **state)
{
    (void)state;
    const struct mt_embed_exam exam = {
        .skills = SKILLS, .items_n = 20, .ours = {&wise, 1}, .theirs = {&dull, 1}};
    struct mt_embed_report report;

    take(&exam, &report);
    assert_int_equal(report.scores_n, 8); /* two questions, two sets of examples, two probes */
    for (uint32_t i = 0; i < report.scores_n; i++) {
        const struct mt_embed_score *score = &report.scores[i];
        double guessed = 1.0 / score->classes_n;

        assert_int_equal(score->items_n, 120);
        assert_int_equal(score->classes_n, score->question == MT_EMBED_SKILL ? 2 : 6);
        assert_true(fabs(score->ours - 1) < 1e-9 && fabs(score->theirs - guessed) < 1e-9);
        assert_true(fabs(score->paired.gain - (1 - guessed)) < 1e-9);
        assert_true(score->paired.low < score->paired.gain && score->paired.low > 0.3);
        assert_string_equal(score->their_way, "dull");
    }
    assert_int_equal(report.grades[MT_SKILL_UPPER][MT_HARD].right_n, 20);
    assert_int_equal(report.grades[MT_SKILL_ADD][MT_HARD].items_n, 0);
    assert_int_equal(mt_alloc_live, 0);
}

static void a_side_takes_the_best_of_its_ways(void **state)
{
    (void)state;
    const struct mt_embed_exam exam = {
        .skills = SKILLS, .items_n = 10, .ours = {&wise, 1}, .theirs = {both, 2}};
    struct mt_embed_report report;

    take(&exam, &report);
    for (uint32_t i = 0; i < report.scores_n; i++) {
        assert_string_equal(report.scores[i].their_way, "wise");
        assert_true(report.scores[i].paired.gain == 0 && report.scores[i].paired.high == 0);
    }
}

/* Right on everything that is copied. */
static void ask_copier(void *context, const struct mt_str *prompts, struct mt_answer *answers,
                       uint32_t n)
{
    (void)context;
    for (uint32_t i = 0; i < n; i++) {
        struct mt_str rest = prompts[i];

        (void)mt_str_take(&rest, ' ');
        answers[i].len = (uint32_t)rest.len;
        memcpy(answers[i].text, rest.at, rest.len);
    }
}

static void an_answerers_luck_is_foretold(void **state)
{
    (void)state;
    const struct mt_asker copier = {ask_copier, NULL};
    const struct mt_embed_exam exam = {.skills = SKILLS,
                                       .items_n = 10,
                                       .answerer = &copier,
                                       .ours = {&wise, 1},
                                       .theirs = {&dull, 1}};
    struct mt_embed_report report;

    take(&exam, &report);
    assert_int_equal(report.scores_n, 12);
    for (uint32_t i = 8; i < 12; i++) {
        assert_int_equal(report.scores[i].question, MT_EMBED_ANSWERED);
        assert_int_equal(report.scores[i].classes_n, 2);
        assert_true(report.scores[i].ours == 1 && report.scores[i].theirs == 0.5);
    }
}

/* Every 29th allocation: an exam makes many thousand of the same kinds. */
static void an_exam_survives_oom(void **state)
{
    (void)state;
    const struct mt_embed_exam exam = {
        .skills = SKILLS, .items_n = 2, .ours = {&wise, 1}, .theirs = {both, 2}};

    for (long nth = 0;; nth += nth < 20 ? 1 : 29) {
        struct mt_embed_report report = {.scores_n = 99};

        mt_alloc_fail_after = nth;
        mt_rc rc = mt_embed_exam(&exam, &report, NULL);
        mt_alloc_fail_after = -1;
        assert_int_equal(mt_alloc_live, 0);
        if (rc == MT_OK) {
            assert_true(nth > 100);
            break;
        }
        assert_int_equal(rc, MT_E_NOMEM);
        assert_int_equal(report.scores_n, 99);
    }
}

/* ------------------------------------------------------------------ cards */

static void fill_card(struct mt_embed_card *card)
{
    *card = (struct mt_embed_card){
        .name = MT_STR("lab-x"),
        .about = MT_STR("A test's."),
        .answerer = MT_STR("lab-y.gguf"),
        .shape = {.vocab_n = 264,
                  .layers_n = 1,
                  .width = 8,
                  .ff_width = 8,
                  .heads_n = 1,
                  .kv_heads_n = 1,
                  .head_width = 8,
                  .context_n = 256},
        .data_seed = 3,
        .steps_n = 10,
        .tokens_n = 1000,
        .wall_s = 2.5,
        .learned = SKILLS,
        .reports_n = 2,
    };
    card->reports[0] = (struct mt_embed_report){.skills = SKILLS, .scores_n = 1};
    card->reports[0].scores[0] =
        (struct mt_embed_score){.question = MT_EMBED_GRADE,
                                .probe = MT_PROBE_RIDGE,
                                .examples_n = 8,
                                .classes_n = 6,
                                .items_n = 300,
                                .ours = 0.9,
                                .theirs = 0.75,
                                .paired = {0.15, 0.125, 0.175, 0.1, 0.2},
                                .their_way = "tf"};
    card->reports[1] = (struct mt_embed_report){
        .skills = 1 << MT_SKILL_ADD | 1 << MT_SKILL_SORT, .scores_n = 1};
    card->reports[1].scores[0] = card->reports[0].scores[0];
    card->reports[1].scores[0].paired = (struct mt_paired){-0.15, -0.175, -0.125, -0.2, -0.1};
    card->reports[1].grades[MT_SKILL_ADD][MT_EASY] = (struct mt_score){50, 30};
    card->reports[1].grades[MT_SKILL_SORT][MT_EASY] = (struct mt_score){50, 50};
}

static void a_card_says_what_is_gained_and_where_nothing_is(void **state)
{
    (void)state;
    static const char *const wanted[] = {
        "# lab-x\n\nA test's.\n\n",
        "- Trained: 10 steps, 1000 tokens, 2 s, data seed 3\n",
        "\"Answered rightly\" foretells `lab-y.gguf`.\n",
        "### Skills it learned from\n\ncopy, upper; 300 items.\n",
        "| skill and difficulty | 6 | ridge | 8 | 90.0 % | 75.0 % (tf) | +15.0 (+12.5 to "
        "+17.5) "
        "| +10.0 to +20.0 |\n",
        "### Skills it never saw\n\nsort, add; 300 items.\n",
        "confidence (ridge, most examples): add easy (60 %).\n",
        "- Worse than n-grams: skill and difficulty with 8 examples, ridge, of "
        "skills it never saw.\n",
    };
    struct mt_embed_card card;
    struct mt_buf text = MT_BUF_INIT(1 << 16);

    fill_card(&card);
    mt_embed_card_markdown(&card, &text);
    for (size_t i = 0; i < MT_ARRAY_LEN(wanted); i++)
        mt_check_row(wanted[i], strstr(mt_buf_cstr(&text), wanted[i]) != NULL);
    mt_buf_fini(&text);
}

static void a_card_is_json_for_programs(void **state)
{
    (void)state;
    struct mt_embed_card card;
    struct mt_buf text = MT_BUF_INIT(1 << 16);
    struct mt_json_doc *doc = NULL;
    const struct mt_json *root;
    int64_t examples;

    fill_card(&card);
    mt_embed_card_json(&card, &text);
    assert_non_null(mt_buf_reserve(&text, MT_BUF_SLACK));
    assert_int_equal(mt_json_doc_new(&doc, NULL), MT_OK);
    assert_int_equal(mt_json_parse(doc, mt_buf_str(&text), &root, NULL), MT_OK);
    const struct mt_json *report = mt_json_first(mt_json_get(root, "reports"));
    const struct mt_json *score = mt_json_first(mt_json_get(report, "scores"));
    assert_true(mt_json_is(mt_json_get(score, "question"), "skill and difficulty"));
    assert_true(mt_json_i64(mt_json_get(score, "examples"), 1, 100, &examples));
    assert_int_equal(examples, 8);
    assert_true(mt_json_is(mt_json_get(root, "answerer"), "lab-y.gguf"));
    assert_null(mt_json_next(mt_json_next(report)));
    mt_json_doc_free(doc);
    mt_buf_fini(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_gain_is_that_of_knowing_over_guessing),
        cmocka_unit_test(a_side_takes_the_best_of_its_ways),
        cmocka_unit_test(an_answerers_luck_is_foretold),
        cmocka_unit_test(an_exam_survives_oom),
        cmocka_unit_test(a_card_says_what_is_gained_and_where_nothing_is),
        cmocka_unit_test(a_card_is_json_for_programs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
