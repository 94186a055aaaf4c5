/* SPDX-License-Identifier: Apache-2.0 */
/* train/paired.h - by how much one way is better than another on the same questions.
 *
 * Both ways answer each question several times, learning from another draw of examples each
 * time. The interval is that of the bootstrap: questions and draws are drawn again, with
 * replacement, each pair of answers staying together, and 95 % of the differences that come out
 * lie within. Pure; any thread. @source Efron 1979 */
#ifndef MT_TRAIN_PAIRED_H
#define MT_TRAIN_PAIRED_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct mt_paired {
    double gain, low, high;    /* share of right answers more than the other's; 95 % */
    double gain_min, gain_max; /* over the draws, all questions */
};

/** @param ours, theirs [draws_n x questions_n] was it right?
 *  @return MT_OK, MT_E_NOMEM */
mt_rc mt_paired_gain(const bool *ours, const bool *theirs, uint32_t draws_n,
                     uint32_t questions_n, struct mt_paired *out, struct mt_err *err);

#endif
