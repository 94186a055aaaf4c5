/* SPDX-License-Identifier: Apache-2.0 */
#include "train/exam.h"

#include "base/alloc.h"
#include "base/assert.h"

enum { DRAWS_PER_ITEM = 4 }; /* more draws than that hardly find another prompt */

struct sheet {
    struct mt_item *items;
    uint64_t *marks; /* of their prompts */
    struct mt_str *prompts;
    struct mt_answer *answers;
    uint32_t n;
};

static void free_sheet(struct sheet *sheet)
{
    mt_free(sheet->items);
    mt_free(sheet->marks);
    mt_free(sheet->prompts);
    mt_free(sheet->answers);
}

static mt_rc new_sheet(uint32_t n, struct sheet *sheet, struct mt_err *err)
{
    sheet->items = mt_alloc(n, sizeof *sheet->items);
    sheet->marks = mt_alloc(n, sizeof *sheet->marks);
    sheet->prompts = mt_alloc(n, sizeof *sheet->prompts);
    sheet->answers = mt_alloc(n, sizeof *sheet->answers);
    if (sheet->items == NULL || sheet->marks == NULL || sheet->prompts == NULL ||
        sheet->answers == NULL)
        return MT_FAIL(err, MT_E_NOMEM, "exam of %u items", n);
    return MT_OK;
}

static bool has_mark(const struct sheet *sheet, uint64_t mark)
{
    for (uint32_t i = 0; i < sheet->n; i++) {
        if (sheet->marks[i] == mark)
            return true;
    }
    return false;
}

static void fill_sheet(const struct mt_exam *exam, uint32_t n, struct sheet *sheet)
{
    for (uint64_t seed = 0; sheet->n < n && seed < (uint64_t)n * DRAWS_PER_ITEM; seed++) {
        struct mt_item *item = &sheet->items[sheet->n];
        mt_item_make(exam->skill, exam->difficulty, exam->split, seed, item);
        uint64_t mark = mt_str_hash(mt_str_of(item->prompt), 0);
        if (has_mark(sheet, mark))
            continue;
        sheet->marks[sheet->n] = mark;
        sheet->prompts[sheet->n] = mt_str_of(item->prompt);
        sheet->n++;
    }
}

static mt_rc write_sheet(const struct mt_exam *exam, struct sheet *sheet, struct mt_err *err)
{
    uint32_t n = exam->items_n > 0 ? exam->items_n : MT_EXAM_ITEMS;

    MT_ASSERT(n <= MT_EXAM_ITEMS_MAX);
    MT_TRY(new_sheet(n, sheet, err));
    fill_sheet(exam, n, sheet);
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
