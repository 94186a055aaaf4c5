/* SPDX-License-Identifier: Apache-2.0 */
/* A ring of checksummed records in shared memory of a file.
 *
 * Positions are virtual: they only grow, and a byte lies at position modulo area. Invariants,
 * under the lock: head <= tail <= head + area; seq is that of the newest record; everything
 * from head to tail is valid; what lies before head may be overwritten, and is recorded as
 * drained in a slot of the file that has been synced. Thread rule: append and wait from any
 * thread; sync, next and drained from the one that drains. */
#ifndef MT_LEDGER_JOURNAL_PRIV_H
#define MT_LEDGER_JOURNAL_PRIV_H

#include "base/err.h"
#include "base/str.h"

struct mt_journal;

enum mt_journal_kind {
    MT_JOURNAL_PAD = 1,  /* skip to the start of the area */
    MT_JOURNAL_RESERVED, /* body: a row with what is known */
    MT_JOURNAL_PROGRESS, /* body: struct mt_journal_progress */
    MT_JOURNAL_SETTLED,  /* body: a row */
};

struct mt_journal_progress {
    char receipt[32]; /* 26, zeros */
    int64_t output_n;
    int64_t cost_usd_nano;
};

struct mt_journal_record {
    enum mt_journal_kind kind;
    uint64_t seq;
    uint64_t ref;       /* seq of the RESERVED it belongs to; 0 = none */
    struct mt_str body; /* points into the ring */
};

/** Where a walk is. */
struct mt_journal_cursor {
    uint64_t at, end; /* positions */
    uint64_t seq;     /* of the last record */
    uint64_t damaged; /* bytes skipped in front of a valid record */
    uint64_t skipped_;
    bool is_ours_; /* written by this process since it opened the file */
};

/** Map the file, made when missing. What it holds is walked with a cursor and then given up by
 *  mt_journal__restart; appending comes after that.
 *  @return MT_OK, MT_E_BUSY (another process has it), MT_E_IO ("disk full"), MT_E_DENIED,
 *  MT_E_NOTFOUND, MT_E_NOMEM */
mt_rc mt_journal__open(const char *path, size_t area_bytes, struct mt_journal **out,
                       struct mt_err *err);
void mt_journal__close(struct mt_journal *journal);

/** All records the file may hold, in their order, damaged stretches skipped. */
struct mt_journal_cursor mt_journal__recover(struct mt_journal *journal);

/** Forget what was recovered: it is in the database, synced. */
mt_rc mt_journal__restart(struct mt_journal *journal, uint64_t last_seq, struct mt_err *err);

/** Records appended and not yet drained. */
struct mt_journal_cursor mt_journal__pending(struct mt_journal *journal);

bool mt_journal__next(const struct mt_journal *journal, struct mt_journal_cursor *cursor,
                      struct mt_journal_record *out);

/** Append a record. RESERVED keeps room for one settlement, which SETTLED with a ref gives
 * back; a settlement that finds less room than it wants is written as `small`.
 *  @return MT_OK, MT_E_BUSY (full) */
struct mt_journal_new {
    enum mt_journal_kind kind;
    uint64_t ref;
    struct mt_str body;
    struct mt_str small; /* of SETTLED: at most MT_ROW_TRIMMED_MAX bytes */
};
mt_rc mt_journal__append(struct mt_journal *journal, const struct mt_journal_new *record,
                         uint64_t *seq, struct mt_err *err);

/** Sync to disk all that was appended before. *synced receives the newest record's number. */
mt_rc mt_journal__sync(struct mt_journal *journal, uint64_t *synced, struct mt_err *err);

/** Everything before the cursor is in the database, synced; its room is free after the next
 *  sync. */
void mt_journal__drained(struct mt_journal *journal, const struct mt_journal_cursor *cursor);

/** For the thread that drains: wait for something to do, then up to gather_ms for more of it.
 *  With retry_ms > 0 the database is refusing: there is something to do after that time at the
 *  latest, and a ring that fills up is no reason to hurry.
 *  @return false once mt_journal__stop was called */
bool mt_journal__wait_work(struct mt_journal *journal, int64_t gather_ms, int64_t retry_ms);
void mt_journal__stop(struct mt_journal *journal);

enum mt_journal_until { MT_JOURNAL_SYNCED, MT_JOURNAL_DRAINED };

/** Wait until record seq is synced or drained; 0 = the newest. @return MT_OK, MT_E_TIMEOUT */
mt_rc mt_journal__wait(struct mt_journal *journal, enum mt_journal_until until, uint64_t seq,
                       int64_t timeout_ms, struct mt_err *err);

struct mt_journal_state {
    int64_t open_n, records_n, busy_n, small_n, backlog_bytes;
};
struct mt_journal_state mt_journal__state(struct mt_journal *journal);

#endif
