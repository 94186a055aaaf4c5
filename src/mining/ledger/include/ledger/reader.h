/* SPDX-License-Identifier: Apache-2.0 */
/* ledger/reader.h - questions to the table of usage, while a node writes to it or not.
 *
 * Thread rule: a reader is for one thread at a time. Everything blocks: call from a pool. */
#ifndef MT_LEDGER_READER_H
#define MT_LEDGER_READER_H

#include "base/arena.h"
#include "ledger/row.h"

struct mt_ledger_reader;

/** @param dir that of mt_ledger_opts. @return MT_OK, MT_E_NOTFOUND, MT_E_CORRUPT, MT_E_IO,
 *  MT_E_UNSUPPORTED, MT_E_NOMEM */
mt_rc mt_ledger_reader_open(const char *dir, struct mt_ledger_reader **out, struct mt_err *err);
void mt_ledger_reader_close(struct mt_ledger_reader *reader); /* NULL is allowed */

/** The row of a receipt, its texts copied into arena.
 *  @return MT_OK, MT_E_NOTFOUND, MT_E_INVALID (no receipt), MT_E_TOOBIG, MT_E_NOMEM, MT_E_IO */
mt_rc mt_ledger_find(struct mt_ledger_reader *reader, struct mt_str receipt,
                     struct mt_arena *arena, struct mt_ledger_row *out, struct mt_err *err);

/** Called per row; texts die when it returns. A failure ends the walk and is passed on. */
typedef mt_rc mt_ledger_row_fn(void *arg, const struct mt_ledger_row *row, struct mt_err *err);

/** The newest rows first, at most max_n; of one key when key is not empty. */
mt_rc mt_ledger_recent(struct mt_ledger_reader *reader, struct mt_str key, int64_t max_n,
                       mt_ledger_row_fn *fn, void *arg, struct mt_err *err);

/** Sums of one day (UTC, of the end of the requests), key and model served. */
struct mt_ledger_total {
    int64_t day; /* days since 1970-01-01 */
    struct mt_str key;
    struct mt_str model;
    int64_t requests_n; /* without those rejected */
    int64_t rejected_n;
    int64_t failed_n; /* of requests_n: outcome neither ok nor cache_hit */
    int64_t input_n, output_n, cached_n;
    int64_t cost_usd_nano;
};

struct mt_ledger_filter {
    struct mt_str key;   /* empty = all */
    struct mt_str model; /* empty = all */
    int64_t from_day;    /* first and last day, both included; both 0 = all */
    int64_t to_day;
};

typedef mt_rc mt_ledger_total_fn(void *arg, const struct mt_ledger_total *total,
                                 struct mt_err *err);

/** Per day, key and model, in that order. */
mt_rc mt_ledger_totals(struct mt_ledger_reader *reader, const struct mt_ledger_filter *filter,
                       mt_ledger_total_fn *fn, void *arg, struct mt_err *err);

#endif
