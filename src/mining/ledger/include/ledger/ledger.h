/* SPDX-License-Identifier: Apache-2.0 */
/* ledger/ledger.h - exactly one settled row per request, whatever happens.
 *
 *   begin    reserves in the account and writes RESERVED to the journal
 *   extend   grows the reservation in mid-stream; the journal learns how far it got
 *   end      settles, and writes SETTLED with the whole row
 *   note     a row of a request that never reserved: refused, or answered from the cache
 *
 * The journal is a ring in shared memory of a file: what begin, end and note acknowledged
 * survives a killed process at once. A thread syncs it to disk within sync_ms, and moves it
 * into the table `usage` in batches; the receipt is unique there, so replaying is harmless. At
 * open, reservations whose end the journal does not know become rows with outcome `interrupted`
 * and the cost known so far. A full journal (the database cannot be written) refuses begin with
 * MT_E_BUSY; room for the end of everything begun is kept, so an end is never refused.
 *
 * In the folder: ledger.journal, ledger.db. One process at a time may have it open; readers of
 * the database (ledger/reader.h) may be many. Nobody else may shorten the journal's file: its
 * pages are memory of the node. Files that were deleted under it are noticed at the next sync.
 *
 * Thread rule: any thread, after open and before close; a struct mt_ledger_entry belongs to its
 * request. begin, extend, end and note take a few microseconds and never wait for a disk. */
#ifndef MT_LEDGER_LEDGER_H
#define MT_LEDGER_LEDGER_H

#include <stdbool.h>

#include "base/err.h"
#include "crypto/id.h"
#include "ledger/account.h"
#include "ledger/row.h"

struct mt_env;
struct mt_ledger;

struct mt_ledger_opts {
    const char *dir;    /* exists; mode 0700 */
    struct mt_env *env; /* NULL = the real one; otherwise its calls are safe from any thread */
    size_t journal_bytes; /* 0 = 8 MiB; 128 KiB .. 1 GiB */
    int64_t sync_ms;      /* 0 = 50 */
    int64_t keep_days; /* rows older than this leave the table; 0 = never. Sums of days stay */
    const struct mt_limit *limits; /* copied */
    size_t limits_n;
    /** Everything up to sequence seq is on disk. On the ledger's thread; must not wait or call
     *  back into the ledger; mt_loop_post is what it is for. NULL = not wanted. */
    void (*on_synced)(void *arg, uint64_t seq);
    /** The journal cannot be synced or the database not written; it is tried again every
     * second. Same rules. NULL = not wanted. */
    void (*on_trouble)(void *arg, const struct mt_err *trouble);
    void *arg;
};

/** What opening found. */
struct mt_ledger_report {
    int64_t replayed_n;    /* records of the journal that had not been drained */
    int64_t interrupted_n; /* reservations closed as interrupted */
    int64_t damaged_bytes; /* of the journal, skipped over between valid records */
};

/** Open, replay, restore the windows of the account from the table, start the thread.
 *  @return MT_OK, MT_E_CORRUPT (the database), MT_E_UNSUPPORTED (a newer one), MT_E_BUSY
 *  (another process has the ledger open), MT_E_IO,
 *  MT_E_DENIED, MT_E_NOTFOUND, MT_E_INVALID (limits), MT_E_NOMEM. @blocks */
mt_rc mt_ledger_open(const struct mt_ledger_opts *opts, struct mt_ledger **out,
                     struct mt_ledger_report *report, struct mt_err *err);

/** Drain, sync, close. Entries still open become `interrupted` at the next open. NULL is
 *  allowed. @blocks */
void mt_ledger_close(struct mt_ledger *ledger);

/** Limits, reload and inspection. Reserving directly there is not journalled. */
struct mt_account *mt_ledger_account(struct mt_ledger *ledger);

/** A request under way; zero = none. */
struct mt_ledger_entry {
    struct mt_id receipt;
    int64_t started_at_ms;
    struct mt_account_hold hold;
    uint64_t seq; /* of RESERVED; 0 = not open */
};

struct mt_ledger_ask {
    struct mt_account_ask most; /* reserved; most.model is the model to be served */
    struct mt_str request_id, dialect, kind, model_asked;
    int64_t input_n;             /* prompt tokens as counted now */
    int64_t input_cost_usd_nano; /* charged at least, should the node die in mid-answer */
};

/** Reserve, or change nothing.
 *  @return MT_OK, MT_E_RATE_LIMITED and MT_E_BUDGET (hit says which limit), MT_E_BUSY (journal
 *  full), MT_E_NOMEM, MT_E_TOOBIG, MT_E_INVALID */
mt_rc mt_ledger_begin(struct mt_ledger *ledger, const struct mt_ledger_ask *ask,
                      struct mt_ledger_entry *entry, struct mt_limit_hit *hit,
                      struct mt_err *err);

/** May the stream go on with so much more?
 *  @param output_n, cost_usd_nano what it has used so far, for the journal
 *  @return as mt_account_extend; on failure end it with MT_OUTCOME_BUDGET_CUT */
mt_rc mt_ledger_extend(struct mt_ledger *ledger, struct mt_ledger_entry *entry,
                       int64_t more_tokens_n, int64_t more_cost_usd_nano, int64_t output_n,
                       int64_t cost_usd_nano, struct mt_limit_hit *hit, struct mt_err *err);

/** Settle at row->input_n + row->output_n tokens and row->cost_usd_nano. receipt and
 *  started_at_ms of the row are the entry's; key and model_served must be those reserved. The
 *  entry is zero afterwards; of a zero entry, nothing happens and 0 is answered.
 *  @return sequence number, for mt_ledger_wait and on_synced */
uint64_t mt_ledger_end(struct mt_ledger *ledger, struct mt_ledger_entry *entry,
                       const struct mt_ledger_row *row);

/** A row without a reservation. A receipt and a start are made when the row has none.
 *  @param receipt, seq may be NULL
 *  @return MT_OK, MT_E_BUSY (journal full) */
mt_rc mt_ledger_note(struct mt_ledger *ledger, const struct mt_ledger_row *row,
                     struct mt_id *receipt, uint64_t *seq, struct mt_err *err);

/** Strict mode: wait until seq is on disk. @return MT_OK, MT_E_TIMEOUT. @blocks */
mt_rc mt_ledger_wait(struct mt_ledger *ledger, uint64_t seq, int64_t timeout_ms,
                     struct mt_err *err);

/** Wait until the table holds everything acknowledged before this call. @blocks
 *  @return MT_OK, MT_E_TIMEOUT */
mt_rc mt_ledger_flush(struct mt_ledger *ledger, int64_t timeout_ms, struct mt_err *err);

/** Counters since open, for metrics. */
struct mt_ledger_stats {
    int64_t open_n;        /* entries begun and not ended */
    int64_t records_n;     /* written to the journal */
    int64_t rows_n;        /* new rows in the table */
    int64_t busy_n;        /* begin and note refused because the journal was full */
    int64_t trimmed_n;     /* rows without their long texts, because it was nearly full */
    int64_t trouble_n;     /* failed syncs and batches */
    int64_t backlog_bytes; /* in the journal, not yet in the table */
};
void mt_ledger_stats(struct mt_ledger *ledger, struct mt_ledger_stats *out);

/** Are the files gone, or others in their place? Then everything is written to files without a
 *  name and lost when the process ends: nothing counts as synced (on_synced is silent, and so
 *  mt_ledger_wait), and on_trouble says so. Looked up now, two calls of stat. Files that come
 *  back end it. */
bool mt_ledger_is_lost(struct mt_ledger *ledger);

#endif
