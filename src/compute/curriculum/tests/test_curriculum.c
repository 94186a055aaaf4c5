/* SPDX-License-Identifier: Apache-2.0 */
#include "support/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/attr.h"
#include "golden.h"
#include "skill_priv.h"
#include "solver.h"

enum { ITEMS_N = 2000, ONE_STEP_MAX = 56, STEPS_MAX = 80 };

/* Call check for every skill and difficulty. */
static void each_cell(void (*check)(enum mt_skill skill, enum mt_difficulty difficulty,
                                    const char *row))
{
    for (unsigned skill = 0; skill < MT_SKILLS_N; skill++) {
        for (unsigned difficulty = 0; difficulty < MT_DIFFICULTIES_N; difficulty++) {
            char row[64];
            (void)snprintf(row, sizeof row, "%s %s", mt_skill_info((enum mt_skill)skill)->name,
                           mt_difficulty_name((enum mt_difficulty)difficulty));
            check((enum mt_skill)skill, (enum mt_difficulty)difficulty, row);
        }
    }
}

static void check_chain(const struct mt_item *item, const char *row)
{
    char answer[SOLVER_TEXT_MAX] = "";

    for (uint32_t i = 0; i < item->steps_n; i++) {
        char prompt[MT_ITEM_PROMPT_MAX];
        mt_check_row(row, mt_item_step_prompt(item, i, mt_str_of(answer), prompt));
        mt_check_row(row, strstr(prompt, " then ") == NULL);
        mt_check_row(row, mt_skill_info(item->step_skill[i])->steps_n == 1);
        mt_check_row(row, solve(prompt, answer));
    }
    mt_check_row(row, strcmp(answer, item->answer) == 0);
}

static void check_items(enum mt_skill skill, enum mt_difficulty difficulty, const char *row)
{
    const size_t prompt_max = mt_skill_info(skill)->steps_n == 1 ? ONE_STEP_MAX : STEPS_MAX;

    for (unsigned split = MT_SPLIT_TRAIN; split <= MT_SPLIT_TEST; split++) {
        for (uint64_t seed = 0; seed < ITEMS_N; seed++) {
            struct mt_item item;
            char answer[SOLVER_TEXT_MAX];
            mt_item_make(skill, difficulty, (enum mt_split)split, seed, &item);
            mt_check_row(row, item.skill == skill && item.difficulty == difficulty);
            mt_check_row(row, item.steps_n == mt_skill_info(skill)->steps_n);
            mt_check_row(row, strlen(item.prompt) <= prompt_max);
            mt_check_row(row, mt_item_split(mt_str_of(item.prompt)) == split);
            if (!solve(item.prompt, answer) || strcmp(answer, item.answer) != 0)
                fail_msg("%s: '%s' is answered '%s', the solver says '%s'", row, item.prompt,
                         item.answer, answer);
            check_chain(&item, row);
        }
    }
}

static void every_answer_is_what_another_program_finds(void **state)
{
    (void)state;
    each_cell(check_items);
}

static uint64_t digest_of_hundred(enum mt_skill skill, enum mt_difficulty difficulty)
{
    uint64_t digest = 0;

    for (uint64_t seed = 0; seed < 100; seed++) {
        struct mt_item item;
        mt_item_make(skill, difficulty, MT_SPLIT_TEST, seed, &item);
        digest = mt_str_hash(mt_str_of(item.prompt), digest);
        digest = mt_str_hash(mt_str_of(item.answer), digest);
    }
    return digest;
}

static void items_are_the_same_everywhere(void **state)
{
    (void)state;
    unsigned differing_n = 0;

    for (size_t i = 0; i < MT_ARRAY_LEN(golden); i++) {
        struct mt_item item;
        mt_item_make(golden[i].skill, golden[i].difficulty, MT_SPLIT_TEST, 0, &item);
        uint64_t digest = digest_of_hundred(golden[i].skill, golden[i].difficulty);
        if (strcmp(item.prompt, golden[i].prompt) == 0 &&
            strcmp(item.answer, golden[i].answer) == 0 && digest == golden[i].digest)
            continue;
        differing_n++;
        print_message("    {%d, %d, \"%s\", \"%s\", UINT64_C(0x%016llx)},\n",
                      (int)golden[i].skill, (int)golden[i].difficulty, item.prompt, item.answer,
                      (unsigned long long)digest);
    }
    assert_int_equal(differing_n, 0);
}

struct mark {
    uint64_t prompt;
    unsigned split;
};

static int by_prompt(const void *a, const void *b)
{
    const struct mark *x = a;
    const struct mark *y = b;

    return (x->prompt > y->prompt) - (x->prompt < y->prompt);
}

static void splits_share_no_prompt_in_200000_draws(void **state)
{
    (void)state;
    enum { DRAWS_N = 200000, CELLS_N = MT_SKILLS_N * MT_DIFFICULTIES_N };
    struct mark *marks = test_malloc(DRAWS_N * sizeof *marks);

    for (uint32_t i = 0; i < DRAWS_N; i++) {
        struct mt_item item;
        unsigned cell = i % CELLS_N;
        unsigned split = i / CELLS_N % 3;
        mt_item_make((enum mt_skill)(cell / MT_DIFFICULTIES_N),
                     (enum mt_difficulty)(cell % MT_DIFFICULTIES_N), (enum mt_split)split,
                     1000000 + i, &item);
        marks[i] = (struct mark){mt_str_hash(mt_str_of(item.prompt), 7), split};
    }
    qsort(marks, DRAWS_N, sizeof *marks, by_prompt);
    for (uint32_t i = 1; i < DRAWS_N; i++)
        assert_true(marks[i].prompt != marks[i - 1].prompt ||
                    marks[i].split == marks[i - 1].split);
    test_free(marks);
}

static size_t distinct(enum mt_skill skill, enum mt_difficulty difficulty, enum mt_split split)
{
    enum { DRAWS_N = 40000 };
    struct mark *marks = test_malloc(DRAWS_N * sizeof *marks);
    size_t n = 1;

    for (uint32_t i = 0; i < DRAWS_N; i++) {
        struct mt_item item;
        mt_item_make(skill, difficulty, split, i, &item);
        marks[i].prompt = mt_str_hash(mt_str_of(item.prompt), 7);
    }
    qsort(marks, DRAWS_N, sizeof *marks, by_prompt);
    for (uint32_t i = 1; i < DRAWS_N; i++)
        n += marks[i].prompt != marks[i - 1].prompt;
    test_free(marks);
    return n;
}

/* All there are, of the skills with few: the figures of the README. */
static void small_skills_have_prompts_in_every_split(void **state)
{
    (void)state;
    static const struct {
        const char *row;
        enum mt_skill skill;
        enum mt_difficulty difficulty;
        size_t want[3];
    } rows[] = {
        {"products, easy", MT_SKILL_MULTIPLY, MT_EASY, {249, 29, 22}},
        {"products, middle", MT_SKILL_MULTIPLY, MT_MIDDLE, {1149, 147, 144}},
        {"sums, easy", MT_SKILL_ADD, MT_EASY, {1493, 215, 192}},
        {"differences, easy", MT_SKILL_SUBTRACT, MT_EASY, {751, 101, 103}},
    };

    for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
        for (unsigned split = 0; split < 3; split++) {
            size_t n = distinct(rows[i].skill, rows[i].difficulty, (enum mt_split)split);
            if (n != rows[i].want[split])
                fail_msg("%s: split %u has %zu prompts", rows[i].row, split, n);
        }
    }
}

/* Whoever always says the commonest answer is right this often at most [%]. */
static unsigned guess_max(enum mt_skill skill, enum mt_difficulty difficulty)
{
    static const unsigned counts[MT_DIFFICULTIES_N] = {28, 19, 12};

    if (skill == MT_SKILL_CANNOT_KNOW)
        return 100;
    if (skill == MT_SKILL_COUNT)
        return counts[difficulty];
    if (skill == MT_SKILL_MULTIPLY && difficulty == MT_EASY)
        return 17; /* the noughts */
    if (skill == MT_SKILL_SUBTRACT && difficulty == MT_EASY)
        return 12;
    return difficulty == MT_EASY ? 7 : 4;
}

static void check_guess(enum mt_skill skill, enum mt_difficulty difficulty, const char *row)
{
    struct mark *marks = test_malloc(ITEMS_N * sizeof *marks);
    unsigned run = 1;
    unsigned longest = 1;

    for (uint64_t i = 0; i < ITEMS_N; i++) {
        struct mt_item item;
        mt_item_make(skill, difficulty, MT_SPLIT_TRAIN, i, &item);
        marks[i].prompt = mt_str_hash(mt_str_of(item.answer), 0);
    }
    qsort(marks, ITEMS_N, sizeof *marks, by_prompt);
    for (size_t i = 1; i < ITEMS_N; i++) {
        run = marks[i].prompt == marks[i - 1].prompt ? run + 1 : 1;
        longest = run > longest ? run : longest;
    }
    test_free(marks);
    if (longest * 100 > guess_max(skill, difficulty) * ITEMS_N)
        fail_msg("%s: the commonest answer comes %u times of %u", row, longest, ITEMS_N);
}

static void one_answer_for_all_gains_little(void **state)
{
    (void)state;
    each_cell(check_guess);
}

/* Which word of the prompt, from 0, holds the answer; names are left out of "bob=31". */
static unsigned place_of_answer(const struct mt_item *item)
{
    struct mt_str rest = mt_str_of(item->prompt);

    for (unsigned place = 0; rest.len > 0; place++) {
        struct mt_str word = mt_str_take(&rest, ' ');
        size_t mark = mt_str_find_char(word, '=');
        if (mark < word.len)
            word = mt_str_sub(word, mark + 1, word.len);
        if (mt_str_is(word, item->answer))
            return place;
    }
    return 99;
}

static void places_of_the_answer_are_even(void **state)
{
    (void)state;
    static const struct {
        const char *row;
        enum mt_skill skill;
        enum mt_difficulty difficulty;
        unsigned first, places_n;
    } rows[] = {
        {"compare easy", MT_SKILL_COMPARE, MT_EASY, 1, 2},
        {"compare middle", MT_SKILL_COMPARE, MT_MIDDLE, 1, 3},
        {"compare hard", MT_SKILL_COMPARE, MT_HARD, 1, 4},
    };

    for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
        unsigned seen[100] = {0};
        for (uint64_t seed = 0; seed < ITEMS_N; seed++) {
            struct mt_item item;
            mt_item_make(rows[i].skill, rows[i].difficulty, MT_SPLIT_TRAIN, seed, &item);
            seen[place_of_answer(&item)]++;
        }
        for (unsigned at = 0; at < rows[i].places_n; at++) {
            unsigned even = ITEMS_N / rows[i].places_n;
            mt_check_row(rows[i].row, seen[rows[i].first + at] > even * 17 / 20);
            mt_check_row(rows[i].row, seen[rows[i].first + at] < even * 23 / 20);
        }
    }
}

/* The told pair stands at every place equally often, whatever the number of pairs. */
static void lookups_ask_for_every_place(void **state)
{
    (void)state;
    unsigned seen[8][8] = {{0}};

    for (uint64_t seed = 0; seed < ITEMS_N; seed++) {
        struct mt_item item;
        mt_item_make(MT_SKILL_LOOKUP, MT_MIDDLE, MT_SPLIT_TRAIN, seed, &item);
        unsigned pairs_n = 0;
        for (const char *at = item.prompt; *at != '\0'; at++)
            pairs_n += *at == '=';
        seen[pairs_n][place_of_answer(&item)]++;
    }
    for (unsigned n = 3; n <= 4; n++) {
        for (unsigned at = 0; at < n; at++)
            assert_in_range(seen[n][at], ITEMS_N / 2 / n * 8 / 10, ITEMS_N / 2 / n * 12 / 10);
    }
}

/* A prompt of "cannot know" looks like a look-up: as many pairs, as many near names. */
static void near_names_do_not_tell_the_unknown(void **state)
{
    (void)state;
    static const enum mt_skill skills[] = {MT_SKILL_LOOKUP, MT_SKILL_CANNOT_KNOW};
    unsigned near_percent[2];

    for (size_t k = 0; k < 2; k++) {
        unsigned told_n = 0;
        unsigned near_n = 0;
        for (uint64_t seed = 0; seed < ITEMS_N; seed++) {
            struct mt_item item;
            mt_item_make(skills[k], MT_HARD, MT_SPLIT_TRAIN, seed, &item);
            if (strchr(item.prompt, '=') == NULL)
                continue;
            told_n++;
            near_n += has_near_name(item.prompt);
        }
        near_percent[k] = near_n * 100 / told_n;
    }
    assert_in_range(near_percent[0], near_percent[1] - 5, near_percent[1] + 5);
    assert_in_range(near_percent[0], 45, 65);
}

static void check_texts(enum mt_skill skill, enum mt_difficulty difficulty, const char *row)
{
    const struct mt_skill_row *found = mt_skill__row(skill);
    const struct mt_grade *grade = &found->grade[difficulty];
    const char *at = found->info.grades[difficulty];
    const struct mt_range ranges[] = {grade->a, grade->b};

    for (size_t i = 0; i < MT_ARRAY_LEN(ranges) && ranges[i].high > 0; i++) {
        at += strcspn(at, "0123456789");
        char *end = NULL;
        mt_check_row(row, strtoul(at, &end, 10) == ranges[i].low);
        at = end;
        if (ranges[i].high != ranges[i].low) {
            mt_check_row(row, *at == '-' && strtoul(at + 1, &end, 10) == ranges[i].high);
            at = end;
        }
    }
    mt_check_row(row, strpbrk(at, "0123456789") == NULL);
}

static void words_of_the_grades_are_their_figures(void **state)
{
    (void)state;
    each_cell(check_texts);
}

static void examples_are_right(void **state)
{
    (void)state;
    for (unsigned i = 0; i < MT_SKILLS_N; i++) {
        const struct mt_skill_info *info = mt_skill_info((enum mt_skill)i);
        const char *arrow = strstr(info->example, " -> ");
        char prompt[MT_ITEM_PROMPT_MAX] = {0};
        char answer[SOLVER_TEXT_MAX];
        assert_non_null(arrow);
        memcpy(prompt, info->example, (size_t)(arrow - info->example));
        mt_check_row(info->name, solve(prompt, answer) && strcmp(answer, arrow + 4) == 0);
    }
}

static void skills_are_found_by_name(void **state)
{
    (void)state;
    struct mt_err err = {0};
    enum mt_skill found = MT_SKILL_COPY;

    for (unsigned i = 0; i < MT_SKILLS_N; i++) {
        const char *name = mt_skill_info((enum mt_skill)i)->name;
        assert_int_equal(mt_skill_find(mt_str_of(name), &found, &err), MT_OK);
        mt_check_row(name, found == i);
    }
    found = MT_SKILL_SORT;
    assert_int_equal(mt_skill_find(MT_STR("multipy"), &found, &err), MT_E_NOTFOUND);
    assert_string_equal(err.text, "skill 'multipy': not known, the nearest is 'multiply'");
    assert_int_equal(mt_skill_find(MT_STR(""), &found, &err), MT_E_NOTFOUND);
    assert_int_equal(found, MT_SKILL_SORT);
}

static void difficulties_are_found_by_name(void **state)
{
    (void)state;
    struct mt_err err = {0};
    enum mt_difficulty found = MT_EASY;

    assert_int_equal(mt_difficulty_find(MT_STR("hard"), &found, &err), MT_OK);
    assert_int_equal(found, MT_HARD);
    assert_int_equal(mt_difficulty_find(MT_STR("heavy"), &found, &err), MT_E_NOTFOUND);
    assert_string_equal(err.text, "difficulty 'heavy': expected easy, middle or hard");
    assert_int_equal(found, MT_HARD);
}

static void answers_are_judged_without_the_space_around(void **state)
{
    (void)state;
    static const struct {
        const char *answer;
        bool is_right;
    } rows[] = {{"83", true}, {" 83\n", true}, {"83.", false},  {"", false},
                {"8", false}, {"083", false},  {"83 83", false}};
    struct mt_item item = {.answer = "83"};

    for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++)
        mt_check_row(rows[i].answer,
                     mt_item_is_right(&item, mt_str_of(rows[i].answer)) == rows[i].is_right);
}

static void steps_refuse_an_answer_that_does_not_fit(void **state)
{
    (void)state;
    char long_answer[MT_ITEM_PROMPT_MAX] = {0};
    char out[MT_ITEM_PROMPT_MAX] = "as before";
    struct mt_item item = {.steps_n = 2, .step_prompt = {"45+38", "{}*7"}};

    memset(long_answer, '9', sizeof long_answer - 1);
    assert_false(mt_item_step_prompt(&item, 1, mt_str_of(long_answer), out));
    assert_string_equal(out, "as before");
    assert_true(mt_item_step_prompt(&item, 1, (struct mt_str){long_answer, 155}, out));
    assert_int_equal(strlen(out), 157);
    assert_true(mt_item_step_prompt(&item, 1, MT_STR(" 83\n"), out));
    assert_string_equal(out, "83*7");
    assert_true(mt_item_step_prompt(&item, 1, MT_STR(""), out));
    assert_string_equal(out, "*7");
    assert_true(mt_item_step_prompt(&item, 0, mt_str_of(long_answer), out));
    assert_string_equal(out, "45+38");
}

static void wilson_is_as_published(void **state)
{
    (void)state;
    static const struct {
        const char *row; /* the last four: Newcombe 1998, table I, method 3 */
        uint64_t right_n, n;
        double low, high;
    } rows[] = {
        {"nothing asked", 0, 0, 0, 1},          {"none of ten", 0, 10, 0, 0.2775},
        {"half of ten", 5, 10, 0.2366, 0.7634}, {"all of ten", 10, 10, 0.7225, 1},
        {"all of 200", 200, 200, 0.9812, 1},    {"81 of 263", 81, 263, 0.2553, 0.3662},
        {"15 of 148", 15, 148, 0.0624, 0.1605}, {"none of 20", 0, 20, 0, 0.1611},
        {"1 of 29", 1, 29, 0.0061, 0.1718},
    };

    for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
        double low;
        double high;
        mt_wilson(rows[i].right_n, rows[i].n, &low, &high);
        mt_check_row(rows[i].row, low > rows[i].low - 6e-5 && low < rows[i].low + 6e-5);
        mt_check_row(rows[i].row, high > rows[i].high - 6e-5 && high < rows[i].high + 6e-5);
    }
}

/* The README's table is made of the table. */
static void readme_has_the_table(void **state)
{
    (void)state;
    static char text[32768];
    FILE *file = fopen(MT_SOURCE_DIR "/src/compute/curriculum/README.md", "rb");

    assert_non_null(file);
    size_t len = fread(text, 1, sizeof text - 1, file);
    (void)fclose(file);
    text[len] = '\0';
    for (unsigned i = 0; i < MT_SKILLS_N; i++) {
        const struct mt_skill_info *info = mt_skill_info((enum mt_skill)i);
        const char *arrow = strstr(info->example, " -> ");
        char line[512];
        (void)snprintf(line, sizeof line, "| %s | `%.*s` | `%s` | %s | %s | %s |\n", info->name,
                       (int)(arrow - info->example), info->example, arrow + 4, info->grades[0],
                       info->grades[1], info->grades[2]);
        if (strstr(text, line) == NULL)
            fail_msg("README.md has not: %s", line);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_answer_is_what_another_program_finds),
        cmocka_unit_test(items_are_the_same_everywhere),
        cmocka_unit_test(splits_share_no_prompt_in_200000_draws),
        cmocka_unit_test(small_skills_have_prompts_in_every_split),
        cmocka_unit_test(one_answer_for_all_gains_little),
        cmocka_unit_test(places_of_the_answer_are_even),
        cmocka_unit_test(lookups_ask_for_every_place),
        cmocka_unit_test(near_names_do_not_tell_the_unknown),
        cmocka_unit_test(words_of_the_grades_are_their_figures),
        cmocka_unit_test(examples_are_right),
        cmocka_unit_test(skills_are_found_by_name),
        cmocka_unit_test(difficulties_are_found_by_name),
        cmocka_unit_test(answers_are_judged_without_the_space_around),
        cmocka_unit_test(steps_refuse_an_answer_that_does_not_fit),
        cmocka_unit_test(wilson_is_as_published),
        cmocka_unit_test(readme_has_the_table),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
