/* SPDX-License-Identifier: Apache-2.0 */
/* train/probe.h - how much a few labelled vectors tell of others: linear classifiers, for
 * comparing the vectors rather than for use.
 *
 * Both take the mean of the labelled vectors away first. Sums in double where they are solved;
 * same inputs, same bits on one machine. Any thread. */
#ifndef MT_TRAIN_PROBE_H
#define MT_TRAIN_PROBE_H

#include <stdint.h>

#include "base/err.h"

enum mt_probe_way {
    MT_PROBE_RIDGE,    /* least squares to 1 for the class and 0 for others */
    MT_PROBE_CENTROID, /* the class whose mean vector has the greatest cosine */
};
enum { MT_PROBE_WAYS_N = MT_PROBE_CENTROID + 1 };

struct mt_probe_opts {
    enum mt_probe_way way;
    uint32_t classes_n;
    double lambda; /* of the ridge, above 0, in means of the diagonal of what is solved */
};

/** Vectors whose class is known; borrowed. */
struct mt_labelled {
    const float *rows;       /* [n x width] */
    const uint32_t *classes; /* [n] each below classes_n */
    uint32_t n, width;       /* both above 0 */
};

struct mt_probe;

/** @return MT_OK, MT_E_NOMEM, MT_E_NOTFOUND (no OpenBLAS) */
mt_rc mt_probe_new(const struct mt_probe_opts *opts, const struct mt_labelled *examples,
                   struct mt_probe **out, struct mt_err *err);
void mt_probe_free(struct mt_probe *probe); /* NULL is allowed */
void mt_probe_freep(struct mt_probe **probe);

/** The likeliest class of each.
 *  @param named out: [n]
 *  @return MT_OK, MT_E_NOMEM */
mt_rc mt_probe_name(const struct mt_probe *probe, const float *rows, uint32_t n,
                    uint32_t *named, struct mt_err *err);

#endif
