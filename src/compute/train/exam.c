/* SPDX-License-Identifier: Apache-2.0 */
#include "train/exam.h"

#include "base/alloc.h"
#include "base/assert.h"

enum { DRAWS_PER_ITEM = 4 }; /* more draws than that hardly find another prompt */

struct sheet {
    struct mt_item *items;
    struct mt_str *prompts;
    struct mt_answer *answers;
    uint32_t n;
};

static void free_sheet(struct sheet *sheet)
{
    mt_free(sheet->items);
    mt_free(sheet->prompts);
    mt_free(sheet->answers);
}

static uint32_t wanted_n(const struct mt_exam *exam)
{
    uint32_t n = exam->items_n > 0 ? exam->items_n : MT_EXAM_ITEMS;

    MT_ASSERT(n <= MT_EXAM_ITEMS_MAX);
    return n;
}

static bool has_mark(const uint64_t *marks, uint32_t n, uint64_t mark)
{
    for (uint32_t i = 0; i < n; i++) {
        if (marks[i] == mark)
            return true;
    }
    return false;
}

mt_rc mt_exam_write(const struct mt_exam *exam, struct mt_item *items, uint32_t *n,
                    struct mt_err *err)
{
    uint32_t wanted = wanted_n(exam);
    MT_CLEANUP(mt_freep) uint64_t *marks = mt_alloc(wanted, sizeof *marks); /* of prompts */
    uint32_t found = 0;

    if (marks == NULL)
        return MT_FAIL(err, MT_E_NOMEM, "exam of %u items", wanted);
    for (uint64_t seed = 0; found < wanted && seed < (uint64_t)wanted * DRAWS_PER_ITEM;
         seed++) {
        mt_item_make(exam->skill, exam->difficulty, exam->split, seed, &items[found]);
        marks[found] = mt_str_hash(mt_str_of(items[found].prompt), 0);
        found += !has_mark(marks, found, marks[found]);
    }
    *n = found;
    return MT_OK;
}

static mt_rc write_sheet(const struct mt_exam *exam, struct sheet *sheet, struct mt_err *err)
{
    uint32_t n = wanted_n(exam);

    sheet->items = mt_alloc(n, sizeof *sheet->items);
    sheet->prompts = mt_alloc(n, sizeof *sheet->prompts);
    sheet->answers = mt_alloc(n, sizeof *sheet->answers);
    if (sheet->items == NULL || sheet->prompts == NULL || sheet->answers == NULL)
        return MT_FAIL(err, MT_E_NOMEM, "exam of %u items", n);
    MT_TRY(mt_exam_write(exam, sheet->items, &sheet->n, err));
    for (uint32_t i = 0; i < sheet->n; i++)
        sheet->prompts[i] = mt_str_of(sheet->items[i].prompt);
    return MT_OK;
}

static struct mt_score judge(const struct sheet *sheet)
{
    struct mt_score score = {.items_n = sheet->n};

    for (uint32_t i = 0; i < sheet->n; i++) {
        struct mt_str answer = {sheet->answers[i].text, sheet->answers[i].len};
        score.right_n += mt_item_is_right(&sheet->items[i], answer);
    }
    return score;
}

mt_rc mt_exam_ask(const struct mt_exam *exam, const struct mt_asker *asker,
                  struct mt_score *out, struct mt_err *err)
{
    MT_CLEANUP(free_sheet) struct sheet sheet = {0};

    MT_TRY(write_sheet(exam, &sheet, err));
    asker->ask(asker->context, sheet.prompts, sheet.answers, sheet.n);
    *out = judge(&sheet);
    return MT_OK;
}

mt_rc mt_exam_ask_chain(const struct mt_exam *exam, const struct mt_chain *chain,
                        struct mt_score *out, struct mt_err *err)
{
    MT_CLEANUP(free_sheet) struct sheet sheet = {0};

    MT_TRY(write_sheet(exam, &sheet, err));
    MT_TRY(mt_chain_ask(chain, sheet.items, sheet.answers, sheet.n, err));
    *out = judge(&sheet);
    return MT_OK;
}
