/* SPDX-License-Identifier: Apache-2.0 */
#include "train/help_exam.h"

#include <math.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/assert.h"

struct ranked {
    float doubt;
    uint32_t item;
};

/* Whoever is doubted most comes first; of equals the earlier item. */
static int by_doubt(const void *a, const void *b)
{
    const struct ranked *x = a, *y = b;

    if (x->doubt != y->doubt)
        return x->doubt > y->doubt ? -1 : 1;
    return x->item < y->item ? -1 : x->item > y->item;
}

/* With the n most doubtful answers replaced by the helper's: is item i right? */
static void hand_over(const struct mt_help_sheet *sheet, enum mt_doubt doubt, uint32_t n,
                      struct ranked *room, bool *is_right)
{
    for (uint32_t i = 0; i < sheet->items_n; i++) {
        room[i] = (struct ranked){sheet->own[i].doubt[doubt], i};
        is_right[i] = sheet->own[i].is_right;
    }
    qsort(room, sheet->items_n, sizeof *room, by_doubt);
    for (uint32_t k = 0; k < n; k++)
        is_right[room[k].item] = sheet->helper[room[k].item].is_right;
}

static double share(const bool *is_right, uint32_t n)
{
    uint32_t right_n = 0;

    for (uint32_t i = 0; i < n; i++)
        right_n += is_right[i];
    return n > 0 ? (double)right_n / n : 0;
}

static bool is_right_at(const struct mt_help_sheet *sheet, uint32_t i)
{
    return sheet->own[i].has_asked ? sheet->helper[i].is_right : sheet->own[i].is_right;
}

static uint32_t asked_n_of(const struct mt_help_sheet *sheet)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < sheet->items_n; i++)
        n += sheet->own[i].has_asked;
    return n;
}

struct mt_help_score mt_help_score(const struct mt_help_sheet *sheet)
{
    double items = sheet->items_n > 0 ? sheet->items_n : 1;
    uint32_t right_n = 0;

    for (uint32_t i = 0; i < sheet->items_n; i++)
        right_n += is_right_at(sheet, i);
    return (struct mt_help_score){asked_n_of(sheet) / items, right_n / items};
}

static enum mt_doubt best_doubt(const struct mt_help_sheet *sheet, double asked,
                                struct ranked *room, bool *is_right)
{
    uint32_t n = (uint32_t)(asked * sheet->items_n + 0.5);
    enum mt_doubt best = MT_DOUBT_MEAN;
    double most = -1;

    for (unsigned doubt = 0; doubt < MT_DOUBTS_N; doubt++) {
        hand_over(sheet, (enum mt_doubt)doubt, n, room, is_right);
        double right = share(is_right, sheet->items_n);

        if (right > most)
            best = (enum mt_doubt)doubt;
        most = right > most ? right : most;
    }
    return best;
}

void mt_paired_interval(const double *differences, uint32_t n, double *mean, double *low,
                        double *high)
{
    const double z = 1.959963984540054; /* 97.5 % of a normal lies below */
    double sum = 0;
    double squares = 0;

    MT_ASSERT(n > 1);
    for (uint32_t i = 0; i < n; i++)
        sum += differences[i];
    *mean = sum / n;
    for (uint32_t i = 0; i < n; i++)
        squares += (differences[i] - *mean) * (differences[i] - *mean);
    double half = z * sqrt(squares / (n - 1) / n);
    *low = *mean - half;
    *high = *mean + half;
}

mt_rc mt_help_compare(const struct mt_help_sheet *router, const struct mt_help_sheet *other,
                      const struct mt_help_sheet *other_before, struct mt_help_gain *out,
                      struct mt_err *err)
{
    uint32_t n = router->items_n;
    uint32_t most = n > other_before->items_n ? n : other_before->items_n;
    MT_CLEANUP(mt_freep) struct ranked *room = mt_alloc(most, sizeof *room);
    MT_CLEANUP(mt_freep) bool *is_right = mt_alloc(most, sizeof *is_right);
    MT_CLEANUP(mt_freep) double *differences = mt_alloc(n, sizeof *differences);

    MT_ASSERT(other->items_n == n);
    if (room == NULL || is_right == NULL || differences == NULL)
        return MT_FAIL(err, MT_E_NOMEM, "comparison on %u items", n);
    uint32_t asked_n = asked_n_of(router);
    struct mt_help_gain gain = {
        .doubt = best_doubt(other_before, (double)asked_n / n, room, is_right)};
    hand_over(other, gain.doubt, asked_n, room, is_right);
    gain.right = share(is_right, n);
    for (uint32_t i = 0; i < n; i++)
        differences[i] = (double)is_right_at(router, i) - (double)is_right[i];
    mt_paired_interval(differences, n, &gain.gain, &gain.low, &gain.high);
    *out = gain;
    return MT_OK;
}
