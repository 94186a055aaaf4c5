/* SPDX-License-Identifier: Apache-2.0 */
/* train/items.h - the curriculum, and pairs from elsewhere, as an endless stream of batches.
 *
 * A mixture says how often each skill and difficulty comes, or each set of pairs. Item k of a
 * stream is a function of the options and k alone, so a position is one number, and a run that
 * goes on from there sees what it would have seen. Nothing is allocated after mt_items_new().
 * Pure; one thread at a time per stream. */
#ifndef MT_TRAIN_ITEMS_H
#define MT_TRAIN_ITEMS_H

#include "base/err.h"
#include "curriculum/curriculum.h"
#include "train/batch.h"

struct mt_items;

enum {
    MT_ITEMS_PARTS_MAX = 256,
    MT_ITEMS_TOKENS_MIN = 256, /* a batch holds any one item of the curriculum */
    MT_ITEMS_TOKENS_MAX = 1 << 24,
};

struct mt_data_pair {
    struct mt_str prompt, answer;
};

struct mt_items_part {
    enum mt_skill skill;
    enum mt_difficulty difficulty;
    const struct mt_data_pair *pairs; /* one of these in place of a skill's items; borrowed as
                                         long as the stream lives; NULL = none */
    size_t pairs_n;                   /* > 0 with pairs */
    double share;                     /* > 0, of the sum of all shares */
};

struct mt_items_opts {
    const struct mt_items_part *parts; /* copied */
    uint32_t parts_n;
    enum mt_split split;
    uint64_t seed;
    uint32_t tokens_max; /* of a batch: it takes as many whole items as fit */
    uint32_t items_max;  /* of a batch; 0 = as many as fit */
};

/** @return MT_OK, MT_E_INVALID naming the option (or the pair that no batch holds), MT_E_NOMEM
 */
mt_rc mt_items_new(const struct mt_items_opts *opts, struct mt_items **out, struct mt_err *err);
void mt_items_free(struct mt_items *items); /* NULL is allowed */
void mt_items_freep(struct mt_items **items);

/** The next item by itself, e.g. to let a model answer it; not of a mixture with pairs. */
void mt_items_draw(struct mt_items *items, struct mt_item *out);

/** The next batch: per item its prompt and answer, a target on every token of the answer and on
 *  the end token. Lives until the next call. */
void mt_items_next(struct mt_items *items, struct mt_batch *out);

/** How many items were handed out; going there again continues the stream from there. */
uint64_t mt_items_position(const struct mt_items *items);
void mt_items_seek(struct mt_items *items, uint64_t position);

#endif
