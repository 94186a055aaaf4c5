/* SPDX-License-Identifier: Apache-2.0 */
/* The models in lab/ are as right as their cards say: the same items of the test split, asked
 * again. */
#include "support/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/attr.h"
#include "base/buf.h"
#include "system/file.h"
#include "train/exam.h"
#include "train/model_file.h"
#include "wire/json.h"

enum { CARD_MAX = 1 << 20, TOGETHER = 64 };
/* Another processor adds in another order, and a few tokens of equal chance change places. */
enum { ITEMS_APART_MAX = 4 };

static void well(mt_rc rc, const struct mt_err *err)
{
    if (rc != MT_OK)
        fail_msg("%s", err->text);
}

static void lab_path(char *to, size_t size, const char *name, const char *kind)
{
    int n = snprintf(to, size, "%s/lab/%s.%s", MT_SOURCE_DIR, name, kind);

    assert_true(n > 0 && (size_t)n < size);
}

/* One line of a card, if it is of the middle difficulty and the skill's turn has come: all
 * others cost as much again and would show nothing else. @return was it of the middle
 * difficulty? */
static bool check_score(const char *name, unsigned every, const struct mt_json *line,
                        const struct mt_asker *asker)
{
    struct mt_exam exam = {.split = MT_SPLIT_TEST};
    struct mt_score score;
    struct mt_err err = {0};
    int64_t items_n = 0, right_n = 0;
    bool is_known = false;

    if (!mt_json_is(mt_json_get(line, "difficulty"), mt_difficulty_name(MT_MIDDLE)))
        return false;
    exam.difficulty = MT_MIDDLE;
    for (int skill = 0; skill < MT_SKILLS_N && !is_known; skill++) {
        exam.skill = (enum mt_skill)skill;
        is_known = mt_json_is(mt_json_get(line, "skill"), mt_skill_info(exam.skill)->name);
    }
    if (!is_known)
        return false; /* the sum of several */
    if ((exam.skill + mt_str_hash(mt_str_of(name), 0)) % every != 0)
        return true;
    assert_true(mt_json_i64(mt_json_get(line, "items"), 1, MT_EXAM_ITEMS_MAX, &items_n));
    assert_true(mt_json_i64(mt_json_get(line, "right"), 0, items_n, &right_n));
    well(mt_exam_ask(&exam, asker, &score, &err), &err);
    if (score.items_n != items_n || llabs((long long)score.right_n - right_n) > ITEMS_APART_MAX)
        fail_msg("%s, %s: %u of %u right, its card says %lld of %lld", name,
                 mt_skill_info(exam.skill)->name, score.right_n, score.items_n,
                 (long long)right_n, (long long)items_n);
    return true;
}

static void check_model(const char *name, unsigned every)
{
    MT_CLEANUP(mt_buf_fini) struct mt_buf text = MT_BUF_INIT(CARD_MAX);
    MT_CLEANUP(mt_json_doc_freep) struct mt_json_doc *doc = NULL;
    MT_CLEANUP(mt_freep) float *params = NULL;
    MT_CLEANUP(mt_model_asker_freep) struct mt_model_asker *model = NULL;
    const struct mt_json *card;
    struct mt_shape shape;
    struct mt_err err = {0};
    char path[4096];
    int lines_n = 0;

    lab_path(path, sizeof path, name, "json");
    well(mt_file_read(path, CARD_MAX, &text, &err), &err);
    well(mt_json_doc_new(&doc, &err), &err);
    well(mt_json_parse(doc, mt_buf_str(&text), &card, &err), &err);
    lab_path(path, sizeof path, name, "gguf");
    well(mt_model_read(path, &shape, &params, NULL, &err), &err);
    well(mt_model_asker_new(&shape, params, TOGETHER, &model, &err), &err);
    struct mt_asker asker = mt_model_asker_view(model);

    for (const struct mt_json *line = mt_json_first(mt_json_get(card, "scores")); line != NULL;
         line = mt_json_next(line))
        lines_n += check_score(name, every, line, &asker);
    assert_int_equal(lines_n, MT_SKILLS_N);
}

struct shipped {
    const char *name;
    unsigned every; /* of so many skills one is asked: large models take their time */
};

static void a_model_is_as_right_as_its_card_says(void **state)
{
    const struct shipped *shipped = *state;

    check_model(shipped->name, shipped->every);
}

#define SHIPPED(i) cmocka_unit_test_prestate(a_model_is_as_right_as_its_card_says, &models[i])

int main(void)
{
    static struct shipped models[] = {
        {"lab-pico", 1},  {"lab-nano", 1},   {"lab-mini", 3},       {"lab-calc", 3},
        {"lab-words", 3}, {"lab-finder", 3}, {"lab-nano-router", 3}};
    const struct CMUnitTest tests[] = {
        SHIPPED(0), SHIPPED(1), SHIPPED(2), SHIPPED(3), SHIPPED(4), SHIPPED(5), SHIPPED(6),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
