/* SPDX-License-Identifier: Apache-2.0 */
#include "support/test.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "train/card.h"
#include "wire/json.h"

/* Copies, and does nothing else. */
struct copier {
    uint32_t every; /* the n-th answer is wrong; 0 = none */
    uint32_t asked_n;
    uint32_t rounds_n;
};

static void ask_copier(void *context, const struct mt_str *prompts, struct mt_answer *answers,
                       uint32_t n)
{
    struct copier *copier = context;

    copier->rounds_n++;
    for (uint32_t i = 0; i < n; i++) {
        struct mt_str prompt = prompts[i];
        struct mt_str word = mt_str_take(&prompt, ' ');
        copier->asked_n++;
        answers[i].len = 0;
        if (!mt_str_is(word, "copy") ||
            (copier->every > 0 && copier->asked_n % copier->every == 0))
            continue;
        answers[i].len = (uint32_t)prompt.len;
        memcpy(answers[i].text, prompt.at, prompt.len);
    }
}

static void an_exam_counts_right_answers(void **state)
{
    (void)state;
    struct copier copier = {.every = 4};
    struct mt_asker asker = {ask_copier, &copier};
    struct mt_exam exam = {.skill = MT_SKILL_COPY, .difficulty = MT_HARD, .items_n = 80};
    struct mt_score score = {0};

    assert_int_equal(mt_exam_ask(&exam, &asker, &score, NULL), MT_OK);
    assert_int_equal(score.items_n, 80);
    assert_int_equal(score.right_n, 60);
    assert_int_equal(copier.rounds_n, 1);
    exam.skill = MT_SKILL_UPPER;
    exam.items_n = 0;
    assert_int_equal(mt_exam_ask(&exam, &asker, &score, NULL), MT_OK);
    assert_int_equal(score.items_n, MT_EXAM_ITEMS);
    assert_int_equal(score.right_n, 0);
}

static void few_prompts_are_asked_once_each(void **state)
{
    (void)state;
    struct copier copier = {0};
    struct mt_asker asker = {ask_copier, &copier};
    struct mt_exam exam = {MT_SKILL_MULTIPLY, MT_EASY, MT_SPLIT_TEST, 200};
    struct mt_score score = {0};

    assert_int_equal(mt_exam_ask(&exam, &asker, &score, NULL), MT_OK);
    assert_in_range(score.items_n, 15, 60);
    assert_int_equal(score.items_n, copier.asked_n);
}

/* The steps' own arithmetic, one sign each. */
static void ask_counter(void *context, const struct mt_str *prompts, struct mt_answer *answers,
                        uint32_t n)
{
    const char sign = *(const char *)context;

    for (uint32_t i = 0; i < n; i++) {
        struct mt_str right = prompts[i];
        struct mt_str left = mt_str_take(&right, sign);
        int64_t x = 0;
        int64_t y = 0;
        answers[i].len = 0;
        if (!mt_str_to_i64(left, 0, 99999, &x) || !mt_str_to_i64(right, 0, 99999, &y))
            continue;
        int64_t result = sign == '+' ? x + y : sign == '-' ? x - y : x * y;
        int len = snprintf(answers[i].text, sizeof answers[i].text, "%ld\n", (long)result);
        answers[i].len = (uint32_t)len;
    }
}

static void ask_windbag(void *context, const struct mt_str *prompts, struct mt_answer *answers,
                        uint32_t n)
{
    (void)context;
    (void)prompts;
    for (uint32_t i = 0; i < n; i++) {
        memset(answers[i].text, '7', sizeof answers[i].text);
        answers[i].len = sizeof answers[i].text;
    }
}

static char plus[] = "+";
static char minus[] = "-";
static char times[] = "*";

static const struct mt_item sums[] = {
    {.answer = "581",
     .steps_n = 2,
     .step_skill = {MT_SKILL_ADD, MT_SKILL_MULTIPLY},
     .step_prompt = {"45+38", "{}*7"}},
    {.answer = "3",
     .steps_n = 3,
     .step_skill = {MT_SKILL_SUBTRACT, MT_SKILL_ADD, MT_SKILL_SUBTRACT},
     .step_prompt = {"9-5", "{}+3", "{}-4"}},
    {.answer = "12", .steps_n = 1, .step_skill = {MT_SKILL_MULTIPLY}, .step_prompt = {"3*4"}},
};

static void check_chain(const struct mt_chain *chain, const char *row, const char *const *want)
{
    struct mt_answer answers[MT_ARRAY_LEN(sums)];

    assert_int_equal(mt_chain_ask(chain, sums, answers, MT_ARRAY_LEN(sums), NULL), MT_OK);
    for (size_t i = 0; i < MT_ARRAY_LEN(sums); i++) {
        struct mt_str said = {answers[i].text, answers[i].len};
        mt_check_row(row, mt_str_is(mt_str_trim(said), want[i]));
    }
}

static void a_chain_hands_answers_on(void **state)
{
    (void)state;
    struct mt_asker adder = {ask_counter, plus};
    struct mt_asker taker = {ask_counter, minus};
    struct mt_asker doubler = {ask_counter, times};
    struct mt_asker windbag = {ask_windbag, NULL};
    struct mt_chain chain = {.of = {[MT_SKILL_ADD] = &adder,
                                    [MT_SKILL_SUBTRACT] = &taker,
                                    [MT_SKILL_MULTIPLY] = &doubler}};

    check_chain(&chain, "all there", (const char *const[]){"581", "3", "12"});
    chain.of[MT_SKILL_MULTIPLY] = NULL;
    check_chain(&chain, "nobody multiplies", (const char *const[]){"", "3", ""});
    chain.of[MT_SKILL_MULTIPLY] = &adder;
    check_chain(&chain, "the wrong one multiplies", (const char *const[]){"", "3", ""});
    chain.of[MT_SKILL_ADD] = &windbag;
    chain.of[MT_SKILL_MULTIPLY] = &doubler;
    check_chain(&chain, "one says too much", (const char *const[]){"", "", "12"});
}

static void a_chain_is_examined_on_compositions(void **state)
{
    (void)state;
    struct mt_asker adder = {ask_counter, plus};
    struct mt_asker taker = {ask_counter, minus};
    struct mt_asker doubler = {ask_counter, times};
    struct mt_chain chain = {.of = {[MT_SKILL_ADD] = &adder,
                                    [MT_SKILL_SUBTRACT] = &taker,
                                    [MT_SKILL_MULTIPLY] = &doubler}};
    struct mt_exam exam = {MT_SKILL_TWO_STEPS, MT_MIDDLE, MT_SPLIT_TEST, 200};
    struct mt_score score = {0};

    assert_int_equal(mt_exam_ask_chain(&exam, &chain, &score, NULL), MT_OK);
    assert_int_equal(score.items_n, 200);
    assert_in_range(score.right_n, 20, 65); /* two of the ten kinds are sums alone */
}

static struct mt_card example(void)
{
    struct mt_card card = {
        .name = MT_STR("lab-nano"),
        .about = MT_STR("A small model of the lab."),
        .shape = {.vocab_n = 262,
                  .context_n = 256,
                  .layers_n = 3,
                  .width = 96,
                  .ff_width = 256,
                  .heads_n = 3,
                  .kv_heads_n = 1,
                  .head_width = 32,
                  .rope_base = 10000,
                  .norm_eps = 1e-5f,
                  .is_tied = true},
        .data_seed = 7,
        .steps_n = 5000,
        .tokens_n = 12345678,
        .wall_s = 840.4,
    };

    card.scores[MT_SKILL_COPY][MT_EASY] = (struct mt_score){200, 200};
    card.scores[MT_SKILL_COPY][MT_MIDDLE] = (struct mt_score){200, 190};
    card.scores[MT_SKILL_COPY][MT_HARD] = (struct mt_score){200, 150};
    card.scores[MT_SKILL_ADD][MT_EASY] = (struct mt_score){200, 199};
    card.scores[MT_SKILL_ADD][MT_MIDDLE] = (struct mt_score){200, 60};
    card.scores[MT_SKILL_ADD][MT_HARD] = (struct mt_score){200, 0};
    card.scores[MT_SKILL_TWO_STEPS][MT_MIDDLE] = (struct mt_score){200, 3};
    card.scores[MT_SKILL_TWO_STEPS][MT_HARD] = (struct mt_score){200, 1};
    return card;
}

/* Line by line, in either form of a card. */
static void holds(struct mt_buf *text, const char *const *lines, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (strstr(mt_buf_cstr(text), lines[i]) == NULL)
            fail_msg("not there: %s\n%s", lines[i], mt_buf_cstr(text));
}

static void the_page_says_what_the_figures_say(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "# lab-nano\n\nA small model of the lab.\n",
        "- Shape: llama, 3 layers, width 96, feed-forward 256, 3 heads of 32 (1 for keys and "
        "values), RoPE base 10000, context 256, 262 tokens, tied output\n",
        "- Trained: 5000 steps, 12345678 tokens, 840 s, data seed 7\n",
        "| copy | 100.0 % (98.1-100.0), 200 | 95.0 % (91.0-97.3), 200 | 75.0 % (68.6-80.5), "
        "200 "
        "|\n",
        "| upper | - | - | - |\n",
        "| **one step** | 99.8 % (98.6-100.0), 400 | 62.5 % (57.7-67.1), 400 | 37.5 % "
        "(32.9-42.3), 400 |\n",
        "- Cannot (right less than one time in five): add (hard), two_steps (middle, hard).\n",
        "- Mostly wrong (right less than half of the time): add (middle).\n",
        "- Not to be relied on (wrong more than one time in ten, or not shown to be better): "
        "copy (hard).\n",
        "- Reliable (right nine times in ten or more): copy (easy, middle), add (easy).\n",
    };
    struct mt_card card = example();
    MT_CLEANUP(mt_buf_fini) struct mt_buf page = MT_BUF_INIT(65536);

    mt_card_markdown(&card, &page);
    assert_int_equal(mt_buf_check(&page, "page", NULL), MT_OK);
    holds(&page, lines, MT_ARRAY_LEN(lines));
    assert_null(strstr(mt_buf_cstr(&page), "Asking for help"));
}

static void the_curve_over_limits_is_shown(void **state)
{
    (void)state;
    static const struct mt_card_help rows[] = {
        {.limit = 0.1,
         .score = {0.095, 0.8},
         .over_plain = {MT_DOUBT_MOST, 0.75, 0.05, 0.031, 0.069}},
        {.limit = 0.3,
         .score = {0.29, 0.9},
         .over_plain = {MT_DOUBT_MEAN, 0.91, -0.01, -0.02, 0.001},
         .over_alone = {MT_DOUBT_SUM, 0.88, 0.02, 0.01, 0.03},
         .has_alone = true},
    };
    static const char *const page[] = {
        "\n## Asking for help\n",
        "On 500 different prompts",
        "| 10 % | 9.5 % | 80.0 % | 75.0 % (greatest entropy) | +5.0 (+3.1 to +6.9) | - | - |\n",
        "| 30 % | 29.0 % | 90.0 % | 91.0 % (mean entropy) | -1.0 (-2.0 to +0.1) | 88.0 % "
        "(summed entropy) | +2.0 (+1.0 to +3.0) |\n",
    };
    static const char *const json[] = {
        "\"help_items\":500",
        "{\"limit\":0.1,\"asked\":0.095,\"right\":0.8,\"plain\":{\"threshold_on\":\"greatest "
        "entropy\",\"right\":0.75,\"gain\":0.05,\"low\":0.031,\"high\":0.069}}",
    };
    struct mt_card card = example();
    MT_CLEANUP(mt_buf_fini) struct mt_buf text = MT_BUF_INIT(65536);

    card.help = rows;
    card.help_n = MT_ARRAY_LEN(rows);
    card.help_items_n = 500;
    mt_card_markdown(&card, &text);
    holds(&text, page, MT_ARRAY_LEN(page));
    mt_buf_clear(&text);
    mt_card_json(&card, &text);
    holds(&text, json, MT_ARRAY_LEN(json));
}

static void the_card_of_a_chain_names_its_members(void **state)
{
    (void)state;
    static const struct mt_card_member members[] = {
        {MT_STR_INIT("lab-calc.gguf"), MT_STR_INIT("add subtract"), 1000},
        {MT_STR_INIT("lab-words.gguf"), MT_STR_INIT("copy"), 500}};
    static const char *const page[] = {
        "\n- lab-calc.gguf, 1000 parameters: add subtract\n- lab-words.gguf, 500 parameters: "
        "copy\n",
        "step by step, its members' likeliest tokens"};
    static const char *const json[] = {
        "\"members\":[{\"model\":\"lab-calc.gguf\",\"skills\":\"add "
        "subtract\",\"parameters\":1000},{"};
    struct mt_card card = example();
    MT_CLEANUP(mt_buf_fini) struct mt_buf text = MT_BUF_INIT(65536);

    card.members = members;
    card.members_n = MT_ARRAY_LEN(members);
    mt_card_markdown(&card, &text);
    holds(&text, page, MT_ARRAY_LEN(page));
    assert_null(strstr(mt_buf_cstr(&text), "Shape: "));
    mt_buf_clear(&text);
    mt_card_json(&card, &text);
    holds(&text, json, MT_ARRAY_LEN(json));
    assert_null(strstr(mt_buf_cstr(&text), "\"shape\""));
}

static void check_json_score(const struct mt_json *value, struct mt_score want)
{
    double low;
    double high;
    double found = 0;
    int64_t n = 0;

    mt_wilson(want.right_n, want.items_n, &low, &high);
    assert_true(mt_json_i64(mt_json_get(value, "items"), 0, 1000, &n) && n == want.items_n);
    assert_true(mt_json_i64(mt_json_get(value, "right"), 0, 1000, &n) && n == want.right_n);
    assert_true(mt_json_f64(mt_json_get(value, "low"), &found) && found == low);
    assert_true(mt_json_f64(mt_json_get(value, "high"), &found) && found == high);
    assert_true(mt_json_f64(mt_json_get(value, "accuracy"), &found));
    assert_true(found == (double)want.right_n / want.items_n);
}

static void check_json_scores(const struct mt_json *scores, const struct mt_card *card)
{
    const struct mt_json *at = mt_json_first(scores);

    for (unsigned skill = 0; skill < MT_SKILLS_N; skill++) {
        for (unsigned difficulty = 0; difficulty < MT_DIFFICULTIES_N; difficulty++) {
            if (card->scores[skill][difficulty].items_n == 0)
                continue;
            assert_true(mt_json_is(mt_json_get(at, "skill"),
                                   mt_skill_info((enum mt_skill)skill)->name));
            assert_true(mt_json_is(mt_json_get(at, "difficulty"),
                                   mt_difficulty_name((enum mt_difficulty)difficulty)));
            check_json_score(at, card->scores[skill][difficulty]);
            at = mt_json_next(at);
        }
    }
    for (unsigned difficulty = 0; difficulty < MT_DIFFICULTIES_N; difficulty++) {
        assert_true(mt_json_is(mt_json_get(at, "skill"), "one_step"));
        check_json_score(at, mt_card_one_step(card, (enum mt_difficulty)difficulty));
        at = mt_json_next(at);
    }
    assert_null(at);
}

static void the_json_has_the_same_figures(void **state)
{
    (void)state;
    struct mt_card card = example();
    MT_CLEANUP(mt_buf_fini) struct mt_buf text = MT_BUF_INIT(65536);
    MT_CLEANUP(mt_json_doc_freep) struct mt_json_doc *doc = NULL;
    const struct mt_json *root = NULL;
    int64_t n = 0;

    mt_card_json(&card, &text);
    assert_int_equal(mt_json_doc_new(&doc, NULL), MT_OK);
    assert_int_equal(mt_json_parse(doc, mt_buf_str(&text), &root, NULL), MT_OK);
    assert_true(mt_json_is(mt_json_get(root, "name"), "lab-nano"));
    assert_true(mt_json_i64(mt_json_get(root, "parameters"), 0, INT64_MAX, &n));
    assert_true((uint64_t)n == mt_shape_params_n(&card.shape));
    assert_true(mt_json_i64(mt_json_get(root, "tokens"), 12345678, 12345678, &n));
    assert_true(mt_json_i64(mt_json_get(mt_json_get(root, "shape"), "kv_heads"), 1, 1, &n));
    check_json_scores(mt_json_get(root, "scores"), &card);
}

static void measuring_fills_every_score(void **state)
{
    (void)state;
    struct copier copier = {0};
    struct mt_asker asker = {ask_copier, &copier};
    struct mt_card card = {0};

    assert_int_equal(mt_card_measure(&card, &asker, 10, NULL), MT_OK);
    for (unsigned skill = 0; skill < MT_SKILLS_N; skill++) {
        for (unsigned difficulty = 0; difficulty < MT_DIFFICULTIES_N; difficulty++) {
            struct mt_score score = card.scores[skill][difficulty];
            assert_int_equal(score.items_n, 10);
            assert_int_equal(score.right_n, skill == MT_SKILL_COPY ? 10 : 0);
        }
    }
}

static void exams_survive_any_oom(void **state)
{
    (void)state;
    struct mt_asker adder = {ask_counter, plus};
    struct mt_chain chain = {.of = {[MT_SKILL_ADD] = &adder}};
    struct mt_exam exam = {MT_SKILL_ADD, MT_EASY, MT_SPLIT_TEST, 5};

    for (long nth = 0;; nth++) {
        struct mt_score score = {0};

        mt_alloc_fail_after = nth;
        mt_rc rc = mt_exam_ask_chain(&exam, &chain, &score, NULL);
        mt_alloc_fail_after = -1;
        assert_int_equal(mt_alloc_live, 0);
        if (rc == MT_OK) {
            assert_true(nth > 6);
            assert_int_equal(score.right_n, 5);
            break;
        }
        assert_int_equal(rc, MT_E_NOMEM);
        assert_int_equal(score.items_n, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_exam_counts_right_answers),
        cmocka_unit_test(few_prompts_are_asked_once_each),
        cmocka_unit_test(a_chain_hands_answers_on),
        cmocka_unit_test(a_chain_is_examined_on_compositions),
        cmocka_unit_test(the_page_says_what_the_figures_say),
        cmocka_unit_test(the_curve_over_limits_is_shown),
        cmocka_unit_test(the_card_of_a_chain_names_its_members),
        cmocka_unit_test(the_json_has_the_same_figures),
        cmocka_unit_test(measuring_fills_every_score),
        cmocka_unit_test(exams_survive_any_oom),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
