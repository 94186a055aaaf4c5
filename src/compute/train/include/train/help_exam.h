/* SPDX-License-Identifier: Apache-2.0 */
/* train/help_exam.h - is a model that learned when to ask for help better than a threshold on
 * how sure another one is, when both ask equally often? Pure; any thread. */
#ifndef MT_TRAIN_HELP_EXAM_H
#define MT_TRAIN_HELP_EXAM_H

#include "base/err.h"
#include "train/attempt.h"

/** Items as several models tried them; the same items in the same order. */
struct mt_help_sheet {
    const struct mt_attempt *own;    /* of whoever answers or asks */
    const struct mt_attempt *helper; /* of whom is asked */
    uint32_t items_n;
};

struct mt_help_score {
    double asked; /* share of the items */
    double right; /* in the end, with help or without */
};

/** Of a model that asks by itself. */
struct mt_help_score mt_help_score(const struct mt_help_sheet *sheet);

/** What `gain` is over: the n answers of greatest doubt are handed to the helper instead, n as
 *  many as the router asked about. */
struct mt_help_gain {
    enum mt_doubt doubt; /* the kind that was used */
    double right;        /* by threshold */
    double gain;         /* of the router: mean of paired differences */
    double low, high;    /* its 95 % interval */
};

/** Compare on `router` and `other` (the same helper and items), with the kind of doubt that is
 *  best for the other on `other_before`, items that neither was measured on.
 *  @return MT_OK, MT_E_NOMEM */
mt_rc mt_help_compare(const struct mt_help_sheet *router, const struct mt_help_sheet *other,
                      const struct mt_help_sheet *other_before, struct mt_help_gain *out,
                      struct mt_err *err);

/** Mean of differences and its 95 % interval by the normal distribution.
 *  @param differences [n], n > 1 */
void mt_paired_interval(const double *differences, uint32_t n, double *mean, double *low,
                        double *high);

#endif
