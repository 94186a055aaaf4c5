/* SPDX-License-Identifier: Apache-2.0 */
#include "train/cooperate_exam.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "train/help_exam.h"

enum { A, B, FIRST = 0, SECOND };

static bool is_right(const struct mt_coop_sheet *sheet, int turn, int agent, uint32_t i)
{
    return sheet->at[turn][agent][i].is_right;
}

/* Of equals the first agent. */
static int surer(const struct mt_coop_sheet *sheet, int turn, enum mt_doubt doubt, uint32_t i)
{
    return sheet->at[turn][B][i].doubt[doubt] < sheet->at[turn][A][i].doubt[doubt] ? B : A;
}

double mt_coop_worth(const struct mt_coop_sheet *sheet, enum mt_coop_way way, uint32_t i)
{
    const struct mt_coop_choice *choice = &sheet->choice;

    switch (way) {
    case MT_COOP_FIRST_A:
        return is_right(sheet, FIRST, A, i);
    case MT_COOP_FIRST_B:
        return is_right(sheet, FIRST, B, i);
    case MT_COOP_BETTER_FIRST:
        return is_right(sheet, FIRST, choice->better, i);
    case MT_COOP_SURER_FIRST:
        return is_right(sheet, FIRST, surer(sheet, FIRST, choice->doubt[FIRST], i), i);
    case MT_COOP_SECOND_A:
        return is_right(sheet, SECOND, A, i);
    case MT_COOP_SECOND_B:
        return is_right(sheet, SECOND, B, i);
    case MT_COOP_SECOND:
        return (is_right(sheet, SECOND, A, i) + is_right(sheet, SECOND, B, i)) / 2.0;
    case MT_COOP_SURER_SECOND:
        return is_right(sheet, SECOND, surer(sheet, SECOND, choice->doubt[SECOND], i), i);
    case MT_COOP_ONE_FIRST:
        return is_right(sheet, FIRST, A, i) || is_right(sheet, FIRST, B, i);
    }
    return 0;
}

double mt_coop_score(const struct mt_coop_sheet *sheet, enum mt_coop_way way)
{
    double sum = 0;

    for (uint32_t i = 0; i < sheet->items_n; i++)
        sum += mt_coop_worth(sheet, way, i);
    return sheet->items_n > 0 ? sum / sheet->items_n : 0;
}

/* Of kinds that tell equally well the earlier one. */
static enum mt_doubt best_doubt(struct mt_coop_sheet sheet, int turn)
{
    enum mt_coop_way way = turn == FIRST ? MT_COOP_SURER_FIRST : MT_COOP_SURER_SECOND;
    enum mt_doubt best = MT_DOUBT_MEAN;
    double most = -1;

    for (unsigned doubt = 0; doubt < MT_DOUBTS_N; doubt++) {
        sheet.choice.doubt[turn] = (enum mt_doubt)doubt;
        double right = mt_coop_score(&sheet, way);

        if (right > most)
            best = (enum mt_doubt)doubt;
        most = right > most ? right : most;
    }
    return best;
}

struct mt_coop_choice mt_coop_choose(const struct mt_coop_sheet *before)
{
    bool is_b = mt_coop_score(before, MT_COOP_FIRST_B) > mt_coop_score(before, MT_COOP_FIRST_A);

    return (struct mt_coop_choice){
        .better = is_b ? B : A,
        .doubt = {best_doubt(*before, FIRST), best_doubt(*before, SECOND)},
    };
}

mt_rc mt_coop_compare(const struct mt_coop_sheet *sheet, enum mt_coop_way way,
                      const struct mt_coop_sheet *other, enum mt_coop_way other_way,
                      struct mt_coop_gain *out, struct mt_err *err)
{
    uint32_t n = sheet->items_n;
    MT_CLEANUP(mt_freep) double *differences = mt_alloc(n, sizeof *differences);

    MT_ASSERT(other->items_n == n);
    if (differences == NULL)
        return MT_FAIL(err, MT_E_NOMEM, "comparison on %u items", n);
    for (uint32_t i = 0; i < n; i++)
        differences[i] = mt_coop_worth(sheet, way, i) - mt_coop_worth(other, other_way, i);
    mt_paired_interval(differences, n, &out->gain, &out->low, &out->high);
    return MT_OK;
}
