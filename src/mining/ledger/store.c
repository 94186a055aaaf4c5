/* SPDX-License-Identifier: Apache-2.0 */
/* A batch is idempotent: rows are unique by receipt, sums of the day are only raised by rows
 * that were new, and what was open is closed by its receipt. A batch that ran before may run
 * again.
 *
 * RESERVED whose SETTLED is in the same batch never touch a table: most of them, so the first
 * pass notes which are settled, by their sequence number. */
#include "store_priv.h"

#include <string.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/buf.h"
#include "crypto/id.h"
#include "journal_priv.h"
#include "ledger/account.h"
#include "row_priv.h"
#include "system/db.h"

enum {
    BATCH_RECORDS = 4096,
    BATCH_SPAN = 8192, /* sequence numbers */
    DAYS_MAX = 64,     /* sums of a batch kept in memory */
    DAY_MS = 86400000,
    RESTORE_MS = 3600000 + 180000, /* an hour and the step of its window */
};

const char *const mt_store__steps[] = {
    "CREATE TABLE usage ("
    " id INTEGER PRIMARY KEY,"
    " receipt TEXT NOT NULL UNIQUE,"
    " request_id TEXT NOT NULL, key TEXT NOT NULL, dialect TEXT NOT NULL, kind TEXT NOT NULL,"
    " model_asked TEXT NOT NULL, model_served TEXT NOT NULL, endpoint TEXT NOT NULL,"
    " attempts TEXT NOT NULL, error TEXT NOT NULL, warnings TEXT NOT NULL,"
    " started_at_ms INTEGER NOT NULL, http_status INTEGER NOT NULL,"
    " input_n INTEGER NOT NULL, output_n INTEGER NOT NULL, cached_n INTEGER NOT NULL,"
    " cache_write_n INTEGER NOT NULL, reasoning_n INTEGER NOT NULL,"
    " own_input_n INTEGER NOT NULL, own_output_n INTEGER NOT NULL,"
    " estimated INTEGER NOT NULL, cost_usd_nano INTEGER NOT NULL,"
    " ttft_us INTEGER NOT NULL, duration_us INTEGER NOT NULL,"
    " outcome TEXT NOT NULL);"
    "CREATE TABLE usage_open ("
    " receipt TEXT PRIMARY KEY, row BLOB NOT NULL,"
    " output_n INTEGER NOT NULL DEFAULT 0, cost_usd_nano INTEGER NOT NULL DEFAULT 0"
    ") WITHOUT ROWID;"
    "CREATE TABLE usage_day ("
    " day INTEGER NOT NULL, key TEXT NOT NULL, model TEXT NOT NULL,"
    " requests_n INTEGER NOT NULL, rejected_n INTEGER NOT NULL, failed_n INTEGER NOT NULL,"
    " input_n INTEGER NOT NULL, output_n INTEGER NOT NULL, cached_n INTEGER NOT NULL,"
    " cost_usd_nano INTEGER NOT NULL, PRIMARY KEY (day, key, model)) WITHOUT ROWID;",
    "ALTER TABLE usage ADD COLUMN parts TEXT NOT NULL DEFAULT '';"
    "CREATE TABLE usage_part_day ("
    " day INTEGER NOT NULL, key TEXT NOT NULL, model TEXT NOT NULL,"
    " requests_n INTEGER NOT NULL, tokens_n INTEGER NOT NULL, cost_usd_nano INTEGER NOT NULL,"
    " PRIMARY KEY (day, key, model)) WITHOUT ROWID;",
};
const size_t mt_store__steps_n = MT_ARRAY_LEN(mt_store__steps);

enum {
    SUM_REQUESTS,
    SUM_REJECTED,
    SUM_FAILED,
    SUM_INPUT,
    SUM_OUTPUT,
    SUM_CACHED,
    SUM_COST,
    SUMS
};

struct day_sum {
    int64_t day;
    uint64_t hash; /* of key and model, 0 = free */
    char key[96], model[128];
    size_t key_len, model_len;
    int64_t sums[SUMS];
};

struct mt_store {
    struct mt_db *db;
    /* the connection's */
    struct mt_stmt *insert, *open, *progress, *close, *add_day, *add_part, *prune;
    uint64_t first_seq; /* of the batch */
    uint64_t settled[BATCH_SPAN / 64];
    struct day_sum days[DAYS_MAX];
    int64_t rows_n, batch_rows_n;
};

/* ---- sums of the day ---- */

static mt_rc flush_day(struct mt_store *s, struct day_sum *d, struct mt_err *err)
{
    mt_stmt_bind_i64(s->add_day, 1, d->day);
    mt_stmt_bind_str(s->add_day, 2, (struct mt_str){d->key, d->key_len});
    mt_stmt_bind_str(s->add_day, 3, (struct mt_str){d->model, d->model_len});
    for (int i = 0; i < SUMS; i++)
        mt_stmt_bind_i64(s->add_day, 4 + i, d->sums[i]);
    d->hash = 0;
    return mt_stmt_step(s->add_day, NULL, err);
}

static mt_rc flush_days(struct mt_store *s, struct mt_err *err)
{
    for (size_t i = 0; i < DAYS_MAX; i++) {
        if (s->days[i].hash != 0)
            MT_TRY(flush_day(s, &s->days[i], err));
    }
    return MT_OK;
}

static bool is_day(const struct day_sum *d, int64_t day, struct mt_str key, struct mt_str model)
{
    return d->day == day && mt_str_eq((struct mt_str){d->key, d->key_len}, key) &&
           mt_str_eq((struct mt_str){d->model, d->model_len}, model);
}

/* The sum for a row; another one in its place goes to the table first. */
static mt_rc day_for(struct mt_store *s, const struct mt_ledger_row *row, struct day_sum **out,
                     struct mt_err *err)
{
    struct mt_str model = mt_row__model(row);
    int64_t day = mt_row__ended_ms(row) / DAY_MS;
    uint64_t hash = mt_str_hash(row->key, mt_str_hash(model, (uint64_t)day)) | 1;
    struct day_sum *d = &s->days[hash / 2 % DAYS_MAX];

    if (d->hash != 0 && !is_day(d, day, row->key, model))
        MT_TRY(flush_day(s, d, err));
    if (d->hash == 0) {
        MT_ASSERT(row->key.len <= sizeof d->key && model.len <= sizeof d->model);
        *d = (struct day_sum){
            .day = day, .hash = hash, .key_len = row->key.len, .model_len = model.len};
        if (row->key.len > 0)
            memcpy(d->key, row->key.at, row->key.len);
        if (model.len > 0)
            memcpy(d->model, model.at, model.len);
    }
    *out = d;
    return MT_OK;
}

static int64_t known(int64_t n)
{
    return n > 0 ? n : 0;
}

static mt_rc add_to_day(struct mt_store *s, const struct mt_ledger_row *row, struct mt_err *err)
{
    bool is_rejected = row->outcome == MT_OUTCOME_REJECTED;
    bool is_good = row->outcome == MT_OUTCOME_OK || row->outcome == MT_OUTCOME_CACHE_HIT;
    struct day_sum *d;

    MT_TRY(day_for(s, row, &d, err));
    const int64_t amounts[SUMS] = {
        [SUM_REQUESTS] = !is_rejected,           [SUM_REJECTED] = is_rejected,
        [SUM_FAILED] = !is_rejected && !is_good, [SUM_INPUT] = known(row->input_n),
        [SUM_OUTPUT] = known(row->output_n),     [SUM_CACHED] = known(row->cached_n),
        [SUM_COST] = known(row->cost_usd_nano),
    };
    for (int i = 0; i < SUMS; i++)
        d->sums[i] = mt_ledger_add(d->sums[i], amounts[i]);
    return MT_OK;
}

/* Few requests go through an alias to a model with limits: theirs are not gathered first. */
static mt_rc add_parts(struct mt_store *s, const struct mt_ledger_row *row, struct mt_err *err)
{
    struct mt_str parts = row->parts;
    struct mt_row_part part;

    while (mt_row_next_part(&parts, &part)) {
        mt_stmt_bind_i64(s->add_part, 1, mt_row__ended_ms(row) / DAY_MS);
        mt_stmt_bind_str(s->add_part, 2, row->key);
        mt_stmt_bind_str(s->add_part, 3, part.model);
        mt_stmt_bind_i64(s->add_part, 4, part.tokens_n);
        mt_stmt_bind_i64(s->add_part, 5, part.cost_usd_nano);
        MT_TRY(mt_stmt_step(s->add_part, NULL, err));
    }
    return MT_OK;
}

/* ---- records ---- */

static mt_rc insert_row(struct mt_store *s, struct mt_ledger_row *row, struct mt_err *err)
{
    int at = 1;

    for (size_t i = 0; i < MT_ROW_TEXTS; i++)
        mt_stmt_bind_str(s->insert, at++, *mt_row__text(row, i));
    for (size_t i = 0; i < MT_ROW_NUMBERS; i++)
        mt_stmt_bind_i64(s->insert, at++, *mt_row__number(row, i));
    mt_stmt_bind_str(s->insert, at, mt_str_of(mt_outcome_name(row->outcome)));
    MT_TRY(mt_stmt_step(s->insert, NULL, err));
    if (mt_db_changes(s->db) == 0)
        return MT_OK; /* its receipt was there */
    s->batch_rows_n++;
    MT_TRY(add_parts(s, row, err));
    return add_to_day(s, row, err);
}

static mt_rc close_open(struct mt_store *s, struct mt_str receipt, struct mt_err *err)
{
    mt_stmt_bind_str(s->close, 1, receipt);
    return mt_stmt_step(s->close, NULL, err);
}

static bool is_settled(const struct mt_store *s, uint64_t seq)
{
    uint64_t i = seq - s->first_seq;

    return seq >= s->first_seq && i < BATCH_SPAN && (s->settled[i / 64] >> i % 64 & 1) != 0;
}

static mt_rc on_reserved(struct mt_store *s, const struct mt_journal_record *r,
                         struct mt_err *err)
{
    struct mt_ledger_row row;

    if (is_settled(s, r->seq) || !mt_row__decode(r->body, &row))
        return MT_OK;
    mt_stmt_bind_str(s->open, 1, row.receipt);
    mt_stmt_bind_blob(s->open, 2, r->body);
    return mt_stmt_step(s->open, NULL, err);
}

static mt_rc on_progress(struct mt_store *s, const struct mt_journal_record *r,
                         struct mt_err *err)
{
    struct mt_journal_progress p;

    if (is_settled(s, r->ref) || r->body.len != sizeof p)
        return MT_OK;
    memcpy(&p, r->body.at, sizeof p);
    mt_stmt_bind_i64(s->progress, 1, p.output_n);
    mt_stmt_bind_i64(s->progress, 2, p.cost_usd_nano);
    mt_stmt_bind_str(s->progress, 3, (struct mt_str){p.receipt, MT_ID_LEN});
    return mt_stmt_step(s->progress, NULL, err);
}

static mt_rc on_settled(struct mt_store *s, const struct mt_journal_record *r,
                        struct mt_err *err)
{
    struct mt_ledger_row row;

    if (!mt_row__decode(r->body, &row))
        return MT_OK; /* a record that proved itself: of another version of this program */
    MT_TRY(insert_row(s, &row, err));
    if (r->ref != 0 && r->ref < s->first_seq)
        return close_open(s, row.receipt, err);
    return MT_OK;
}

static mt_rc apply(struct mt_store *s, const struct mt_journal_record *r, struct mt_err *err)
{
    switch (r->kind) {
    case MT_JOURNAL_RESERVED:
        return on_reserved(s, r, err);
    case MT_JOURNAL_PROGRESS:
        return on_progress(s, r, err);
    case MT_JOURNAL_SETTLED:
        return on_settled(s, r, err);
    case MT_JOURNAL_PAD:
        break;
    }
    return MT_OK;
}

/* First pass: how many records, and which reservations among them are settled. */
static int64_t plan_batch(struct mt_store *s, const struct mt_journal *journal,
                          struct mt_journal_cursor cursor)
{
    struct mt_journal_record r;
    int64_t n = 0;

    memset(s->settled, 0, sizeof s->settled);
    while (n < BATCH_RECORDS && mt_journal__next(journal, &cursor, &r)) {
        if (n == 0)
            s->first_seq = r.seq;
        if (r.seq - s->first_seq >= BATCH_SPAN)
            break;
        uint64_t i = r.ref - s->first_seq;
        if (r.kind == MT_JOURNAL_SETTLED && r.ref >= s->first_seq && i < BATCH_SPAN)
            s->settled[i / 64] |= (uint64_t)1 << i % 64;
        n++;
    }
    return n;
}

static mt_rc apply_batch(struct mt_store *s, const struct mt_journal *journal,
                         struct mt_journal_cursor *cursor, int64_t n, struct mt_err *err)
{
    struct mt_journal_record r;

    MT_TRY(mt_db_begin(s->db, err));
    for (int64_t i = 0; i < n && mt_journal__next(journal, cursor, &r); i++)
        MT_TRY(apply(s, &r, err));
    MT_TRY(flush_days(s, err));
    return mt_db_commit(s->db, err);
}

static void begin_batch(struct mt_store *s)
{
    s->batch_rows_n = 0;
    for (size_t i = 0; i < DAYS_MAX; i++)
        s->days[i].hash = 0;
}

mt_rc mt_store__drain(struct mt_store *s, const struct mt_journal *journal,
                      struct mt_journal_cursor *cursor, int64_t *records_n, struct mt_err *err)
{
    struct mt_journal_cursor moved = *cursor;
    int64_t n = plan_batch(s, journal, moved);

    begin_batch(s);
    if (n > 0) {
        mt_rc rc = apply_batch(s, journal, &moved, n, err);
        if (rc != MT_OK) {
            mt_db_rollback(s->db);
            return rc;
        }
    }
    s->rows_n += s->batch_rows_n;
    *cursor = moved;
    *records_n = n;
    return MT_OK;
}

/* ---- at start ---- */

static mt_rc interrupt_all(struct mt_store *s, int64_t *closed_n, struct mt_err *err)
{
    struct mt_stmt *walk;
    bool has_row = true;

    MT_TRY(mt_db_begin(s->db, err));
    MT_TRY(mt_db_prepare(s->db, "SELECT row, output_n, cost_usd_nano FROM usage_open", &walk,
                         err));
    for (int64_t n = 0;; n++) {
        struct mt_ledger_row row;
        MT_TRY(mt_stmt_step(walk, &has_row, err));
        if (!has_row)
            break;
        if (!mt_row__decode(mt_stmt_str(walk, 0), &row))
            continue;
        row.outcome = MT_OUTCOME_INTERRUPTED;
        row.output_n = mt_stmt_i64(walk, 1);
        if (mt_stmt_i64(walk, 2) > row.cost_usd_nano)
            row.cost_usd_nano = mt_stmt_i64(walk, 2);
        MT_TRY(insert_row(s, &row, err));
        *closed_n = n + 1;
    }
    MT_TRY(flush_days(s, err));
    MT_TRY(mt_db_exec(s->db, "DELETE FROM usage_open", err));
    return mt_db_commit(s->db, err);
}

mt_rc mt_store__interrupt_open(struct mt_store *s, int64_t *closed_n, struct mt_err *err)
{
    *closed_n = 0;
    begin_batch(s);
    mt_rc rc = interrupt_all(s, closed_n, err);
    if (rc != MT_OK)
        mt_db_rollback(s->db);
    else
        *closed_n = s->batch_rows_n;
    s->rows_n += s->batch_rows_n;
    return rc;
}

/* A name the account does not take is no reason not to start. */
static mt_rc forgive(mt_rc rc)
{
    return rc == MT_E_TOOBIG || rc == MT_E_INVALID ? MT_OK : rc;
}

/* Columns: key, model, tokens, money, when, requests, parts. */
static mt_rc restore_hold(struct mt_account *account, enum mt_account_restore what,
                          int64_t now_ms, struct mt_stmt *walk, struct mt_err *err)
{
    struct mt_account_ask spent = {mt_stmt_str(walk, 0), mt_stmt_str(walk, 1),
                                   mt_stmt_i64(walk, 2), mt_stmt_i64(walk, 3)};
    struct mt_str parts = mt_stmt_str(walk, 6);
    int64_t at_ms = mt_stmt_i64(walk, 4);
    struct mt_row_part part;

    MT_TRY(forgive(mt_account_restore(account, what, MT_RESTORE_HOLD, now_ms, at_ms,
                                      mt_stmt_i64(walk, 5), &spent, err)));
    while (mt_row_next_part(&parts, &part)) {
        spent =
            (struct mt_account_ask){spent.key, part.model, part.tokens_n, part.cost_usd_nano};
        MT_TRY(forgive(
            mt_account_restore(account, what, MT_RESTORE_PART, now_ms, at_ms, 1, &spent, err)));
    }
    return MT_OK;
}

/* Columns: key, model, tokens, money, when, requests. */
static mt_rc restore_part(struct mt_account *account, enum mt_account_restore what,
                          int64_t now_ms, struct mt_stmt *walk, struct mt_err *err)
{
    const struct mt_account_ask spent = {mt_stmt_str(walk, 0), mt_stmt_str(walk, 1),
                                         mt_stmt_i64(walk, 2), mt_stmt_i64(walk, 3)};

    return forgive(mt_account_restore(account, what, MT_RESTORE_PART, now_ms,
                                      mt_stmt_i64(walk, 4), mt_stmt_i64(walk, 5), &spent, err));
}

typedef mt_rc restore_fn(struct mt_account *account, enum mt_account_restore what,
                         int64_t now_ms, struct mt_stmt *walk, struct mt_err *err);

static mt_rc restore_walk(struct mt_account *account, enum mt_account_restore what,
                          int64_t now_ms, struct mt_stmt *walk, restore_fn *restore,
                          struct mt_err *err)
{
    for (bool has_row = true;;) {
        MT_TRY(mt_stmt_step(walk, &has_row, err));
        if (!has_row)
            return MT_OK;
        mt_rc rc = restore(account, what, now_ms, walk, err);
        if (rc != MT_OK) {
            mt_stmt_reset(walk);
            return rc;
        }
    }
}

mt_rc mt_store__restore(struct mt_store *s, struct mt_account *account, int64_t now_ms,
                        struct mt_err *err)
{
    struct mt_id floor = mt_id_floor(now_ms - 2 * RESTORE_MS);
    struct mt_stmt *walk;

    MT_TRY(mt_db_prepare(
        s->db,
        "SELECT key, CASE WHEN model_served <> '' THEN model_served ELSE model_asked END,"
        " max(input_n, 0) + max(output_n, 0), cost_usd_nano,"
        " started_at_ms + max(duration_us, 0) / 1000 AS ended_ms, outcome <> 'rejected', parts"
        " FROM usage WHERE receipt >= ?1 AND ended_ms >= ?2 ORDER BY ended_ms",
        &walk, err));
    mt_stmt_bind_str(walk, 1, mt_id_str(&floor));
    mt_stmt_bind_i64(walk, 2, now_ms - RESTORE_MS);
    MT_TRY(restore_walk(account, MT_RESTORE_SHORT, now_ms, walk, restore_hold, err));
    MT_TRY(mt_db_prepare(s->db,
                         "SELECT key, model, input_n + output_n, cost_usd_nano,"
                         " day * 86400000, requests_n, '' FROM usage_day",
                         &walk, err));
    MT_TRY(restore_walk(account, MT_RESTORE_LONG, now_ms, walk, restore_hold, err));
    MT_TRY(mt_db_prepare(s->db,
                         "SELECT key, model, tokens_n, cost_usd_nano, day * 86400000,"
                         " requests_n FROM usage_part_day",
                         &walk, err));
    return restore_walk(account, MT_RESTORE_LONG, now_ms, walk, restore_part, err);
}

/* Ids follow time but for requests that took long, so the oldest few are those to look at. */
mt_rc mt_store__prune(struct mt_store *s, int64_t before_ms, struct mt_err *err)
{
    struct mt_id floor = mt_id_floor(before_ms);

    mt_stmt_bind_str(s->prune, 1, mt_id_str(&floor));
    return mt_stmt_step(s->prune, NULL, err);
}

/* ---- open and close ---- */

static mt_rc prepare_insert(struct mt_store *s, struct mt_err *err)
{
    MT_CLEANUP(mt_buf_fini) struct mt_buf sql = MT_BUF_INIT(4096);

    mt_buf_add_cstr(&sql, "INSERT INTO usage (");
    mt_row__add_columns(&sql);
    mt_buf_add_cstr(&sql, ") VALUES (?");
    for (int i = 1; i < MT_ROW_COLUMNS; i++)
        mt_buf_add_cstr(&sql, ", ?");
    mt_buf_add_cstr(&sql, ") ON CONFLICT (receipt) DO NOTHING");
    MT_TRY(mt_buf_check(&sql, "statement", err));
    return mt_db_prepare(s->db, mt_buf_cstr(&sql), &s->insert, err);
}

static mt_rc prepare(struct mt_store *s, struct mt_err *err)
{
    MT_TRY(prepare_insert(s, err));
    MT_TRY(mt_db_prepare(s->db,
                         "INSERT INTO usage_open (receipt, row) VALUES (?, ?)"
                         " ON CONFLICT (receipt) DO NOTHING",
                         &s->open, err));
    MT_TRY(mt_db_prepare(s->db,
                         "UPDATE usage_open SET output_n = ?, cost_usd_nano = ?"
                         " WHERE receipt = ?",
                         &s->progress, err));
    MT_TRY(mt_db_prepare(s->db, "DELETE FROM usage_open WHERE receipt = ?", &s->close, err));
    MT_TRY(mt_db_prepare(
        s->db,
        "INSERT INTO usage_part_day VALUES (?1, ?2, ?3, 1, ?4, ?5)"
        " ON CONFLICT (day, key, model) DO UPDATE SET requests_n = requests_n + 1,"
        " tokens_n = min(tokens_n, 9223372036854775807 - ?4) + ?4,"
        " cost_usd_nano = min(cost_usd_nano, 9223372036854775807 - ?5) + ?5",
        &s->add_part, err));
    MT_TRY(mt_db_prepare(s->db,
                         "DELETE FROM usage WHERE receipt < ? AND id IN"
                         " (SELECT id FROM usage ORDER BY id LIMIT 256)",
                         &s->prune, err));
    return mt_db_prepare(
        s->db,
        "INSERT INTO usage_day VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)"
        " ON CONFLICT (day, key, model) DO UPDATE SET requests_n = requests_n + ?4,"
        " rejected_n = rejected_n + ?5, failed_n = failed_n + ?6, input_n = input_n + ?7,"
        " output_n = output_n + ?8, cached_n = cached_n + ?9,"
        " cost_usd_nano = min(cost_usd_nano, 9223372036854775807 - ?10) + ?10",
        &s->add_day, err);
}

static void closep(struct mt_store **store)
{
    mt_store__close(*store);
}

mt_rc mt_store__open(const char *path, struct mt_store **out, struct mt_err *err)
{
    /* Short: the thread that waits here is the one that syncs the journal. */
    static const struct mt_db_opts opts = {.sync = MT_DB_SYNC_FULL, .busy_timeout_ms = 20};
    MT_CLEANUP(closep) struct mt_store *s = mt_alloc(1, sizeof *s);

    if (s == NULL)
        return MT_FAIL(err, MT_E_NOMEM, "ledger");
    MT_TRY(mt_db_open(path, &opts, &s->db, err));
    MT_TRY(mt_db_migrate(s->db, mt_store__steps, mt_store__steps_n, err));
    MT_TRY(prepare(s, err));
    *out = MT_MOVE(s);
    return MT_OK;
}

void mt_store__close(struct mt_store *s)
{
    if (s == NULL)
        return;
    mt_db_close(s->db);
    mt_free(s);
}

int64_t mt_store__rows_n(const struct mt_store *s)
{
    return s->rows_n;
}
