/* SPDX-License-Identifier: Apache-2.0 */
/* train/ngrams.h - what an embedder is compared with: hashed n-grams of a text, in the ways in
 * which they are commonly made as good as they get.
 *
 * Runs of 1 to 4 bytes, with the text's ends as bytes of their own, and of 1 to 4 words, each
 * added with a sign of its own to one of 4096 sums. Rows have length 1. Any thread. */
#ifndef MT_TRAIN_NGRAMS_H
#define MT_TRAIN_NGRAMS_H

#include "base/err.h"
#include "base/str.h"

enum { MT_NGRAMS_N = 4096 };

enum mt_ngrams_way {
    MT_NGRAMS_PLAIN = 0,
    MT_NGRAMS_LOG = 1,    /* the n-th of a kind counts less: 1 + ln n */
    MT_NGRAMS_RARE = 2,   /* times ln of how rare it is among known texts */
    MT_NGRAMS_SHAPES = 4, /* also of the text with every digit 0 and every letter a or A */
    MT_NGRAMS_WAYS_N = 8, /* all of these together or not */
};

struct mt_ngrams;

/** @param way sum of enum mt_ngrams_way
 *  @param known texts that rarity is counted in; not kept
 *  @return MT_OK, MT_E_NOMEM */
mt_rc mt_ngrams_new(unsigned way, const struct mt_str *known, uint32_t known_n,
                    struct mt_ngrams **out, struct mt_err *err);
void mt_ngrams_free(struct mt_ngrams *ngrams); /* NULL is allowed */
void mt_ngrams_freep(struct mt_ngrams **ngrams);

/** @param rows out: [n x MT_NGRAMS_N] */
void mt_ngrams_run(const struct mt_ngrams *ngrams, const struct mt_str *texts, uint32_t n,
                   float *rows);

#endif
