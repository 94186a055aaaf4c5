/* SPDX-License-Identifier: Apache-2.0 */
#include "ledger/reader.h"

#include <string.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "crypto/id.h"
#include "row_priv.h"
#include "store_priv.h"
#include "system/db.h"
#include "system/file.h"

struct mt_ledger_reader {
    struct mt_db *db;
    struct mt_stmt *find, *recent, *totals; /* the connection's */
};

static mt_rc check_version(struct mt_db *db, struct mt_err *err)
{
    struct mt_stmt *stmt;
    bool has_row = false;

    MT_TRY(mt_db_prepare(db, "PRAGMA user_version", &stmt, err));
    MT_TRY(mt_stmt_step(stmt, &has_row, err));
    int64_t version = has_row ? mt_stmt_i64(stmt, 0) : 0;
    mt_stmt_reset(stmt);
    if (version != (int64_t)mt_store__steps_n)
        return MT_FAIL(err, MT_E_UNSUPPORTED,
                       "ledger: schema version %lld, this program reads %zu",
                       (long long)version, mt_store__steps_n);
    return MT_OK;
}

static mt_rc prepare_rows(struct mt_db *db, const char *where, struct mt_stmt **out,
                          struct mt_err *err)
{
    MT_CLEANUP(mt_buf_fini) struct mt_buf sql = MT_BUF_INIT(4096);

    mt_buf_add_cstr(&sql, "SELECT ");
    mt_row__add_columns(&sql);
    mt_buf_addf(&sql, " FROM usage WHERE %s", where);
    MT_TRY(mt_buf_check(&sql, "statement", err));
    return mt_db_prepare(db, mt_buf_cstr(&sql), out, err);
}

static mt_rc prepare(struct mt_ledger_reader *r, struct mt_err *err)
{
    MT_TRY(prepare_rows(r->db, "receipt = ?1", &r->find, err));
    MT_TRY(
        prepare_rows(r->db, "?1 = '' OR key = ?1 ORDER BY id DESC LIMIT ?2", &r->recent, err));
    return mt_db_prepare(r->db,
                         "SELECT day, key, model, requests_n, rejected_n, failed_n, input_n,"
                         " output_n, cached_n, cost_usd_nano FROM usage_day"
                         " WHERE day BETWEEN ?1 AND ?2 AND (?3 = '' OR key = ?3)"
                         " AND (?4 = '' OR model = ?4) ORDER BY day, key, model",
                         &r->totals, err);
}

static void closep(struct mt_ledger_reader **reader)
{
    mt_ledger_reader_close(*reader);
}

mt_rc mt_ledger_reader_open(const char *dir, struct mt_ledger_reader **out, struct mt_err *err)
{
    static const struct mt_db_opts opts = {.mode = MT_DB_READ};
    MT_CLEANUP(closep) struct mt_ledger_reader *r = mt_alloc(1, sizeof *r);
    MT_CLEANUP(mt_freep) char *path = mt_path_join(dir, MT_STORE_FILE);

    if (r == NULL || path == NULL)
        return MT_FAIL(err, MT_E_NOMEM, "ledger");
    MT_TRY(mt_db_open(path, &opts, &r->db, err));
    MT_TRY(check_version(r->db, err));
    MT_TRY(prepare(r, err));
    *out = MT_MOVE(r);
    return MT_OK;
}

void mt_ledger_reader_close(struct mt_ledger_reader *r)
{
    if (r == NULL)
        return;
    mt_db_close(r->db);
    mt_free(r);
}

/* The present row; its texts are the statement's. */
static mt_rc read_row(struct mt_stmt *stmt, struct mt_ledger_row *out, struct mt_err *err)
{
    int at = 0;

    for (size_t i = 0; i < MT_ROW_TEXTS; i++)
        *mt_row__text(out, i) = mt_stmt_str(stmt, at++);
    for (size_t i = 0; i < MT_ROW_NUMBERS; i++)
        *mt_row__number(out, i) = mt_stmt_i64(stmt, at++);
    struct mt_str outcome = mt_stmt_str(stmt, at);
    if (!mt_row__outcome_of(outcome, &out->outcome))
        return MT_FAIL(err, MT_E_CORRUPT, "ledger: unknown outcome '%.*s'",
                       MT_STR_ARG(outcome));
    return MT_OK;
}

static mt_rc copy_row(struct mt_ledger_row *row, struct mt_arena *arena, struct mt_err *err)
{
    for (size_t i = 0; i < MT_ROW_TEXTS; i++) {
        struct mt_str *text = mt_row__text(row, i);
        *text = mt_arena_str(arena, *text);
        if (text->at == NULL)
            return mt_arena_fail(arena, err);
    }
    return MT_OK;
}

mt_rc mt_ledger_find(struct mt_ledger_reader *r, struct mt_str receipt, struct mt_arena *arena,
                     struct mt_ledger_row *out, struct mt_err *err)
{
    struct mt_ledger_row row;
    bool has_row = false;

    if (!mt_id_is_valid(receipt))
        return MT_FAIL(err, MT_E_INVALID, "receipt '%.*s': expected 26 letters and digits",
                       MT_STR_ARG(mt_str_sub(receipt, 0, 64)));
    mt_stmt_reset(r->find);
    mt_stmt_bind_str(r->find, 1, receipt);
    MT_TRY(mt_stmt_step(r->find, &has_row, err));
    if (!has_row)
        return MT_FAIL(err, MT_E_NOTFOUND, "receipt '%.*s': no such request",
                       MT_STR_ARG(receipt));
    mt_rc rc = read_row(r->find, &row, err);
    if (rc == MT_OK)
        rc = copy_row(&row, arena, err);
    mt_stmt_reset(r->find);
    if (rc == MT_OK)
        *out = row;
    return rc;
}

mt_rc mt_ledger_recent(struct mt_ledger_reader *r, struct mt_str key, int64_t max_n,
                       mt_ledger_row_fn *fn, void *arg, struct mt_err *err)
{
    mt_stmt_reset(r->recent);
    mt_stmt_bind_str(r->recent, 1, key);
    mt_stmt_bind_i64(r->recent, 2, max_n > 0 ? max_n : 0);
    for (bool has_row = true;;) {
        struct mt_ledger_row row;
        MT_TRY(mt_stmt_step(r->recent, &has_row, err));
        if (!has_row)
            return MT_OK;
        mt_rc rc = read_row(r->recent, &row, err);
        if (rc == MT_OK)
            rc = fn(arg, &row, err);
        if (rc != MT_OK) {
            mt_stmt_reset(r->recent);
            return rc;
        }
    }
}

static struct mt_ledger_total read_total(struct mt_stmt *stmt)
{
    return (struct mt_ledger_total){
        .day = mt_stmt_i64(stmt, 0),
        .key = mt_stmt_str(stmt, 1),
        .model = mt_stmt_str(stmt, 2),
        .requests_n = mt_stmt_i64(stmt, 3),
        .rejected_n = mt_stmt_i64(stmt, 4),
        .failed_n = mt_stmt_i64(stmt, 5),
        .input_n = mt_stmt_i64(stmt, 6),
        .output_n = mt_stmt_i64(stmt, 7),
        .cached_n = mt_stmt_i64(stmt, 8),
        .cost_usd_nano = mt_stmt_i64(stmt, 9),
    };
}

mt_rc mt_ledger_totals(struct mt_ledger_reader *r, const struct mt_ledger_filter *filter,
                       mt_ledger_total_fn *fn, void *arg, struct mt_err *err)
{
    bool is_all = filter->from_day == 0 && filter->to_day == 0;

    mt_stmt_reset(r->totals);
    mt_stmt_bind_i64(r->totals, 1, is_all ? INT64_MIN : filter->from_day);
    mt_stmt_bind_i64(r->totals, 2, is_all ? INT64_MAX : filter->to_day);
    mt_stmt_bind_str(r->totals, 3, filter->key);
    mt_stmt_bind_str(r->totals, 4, filter->model);
    for (bool has_row = true;;) {
        MT_TRY(mt_stmt_step(r->totals, &has_row, err));
        if (!has_row)
            return MT_OK;
        struct mt_ledger_total total = read_total(r->totals);
        mt_rc rc = fn(arg, &total, err);
        if (rc != MT_OK) {
            mt_stmt_reset(r->totals);
            return rc;
        }
    }
}
