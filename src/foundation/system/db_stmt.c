/* SPDX-License-Identifier: Apache-2.0 */
#include "db_priv.h"

#include <string.h>

#include "base/alloc.h"
#include "base/assert.h"

void mt_db__stmt_free(struct mt_stmt *stmt)
{
    if (stmt == NULL)
        return;
    sqlite3_finalize(stmt->handle);
    mt_free(stmt);
}

static void freep(struct mt_stmt **stmt)
{
    mt_db__stmt_free(*stmt);
}

static mt_rc make(struct mt_db *db, const char *sql, struct mt_stmt **out, struct mt_err *err)
{
    MT_CLEANUP(freep) struct mt_stmt *stmt = mt_alloc(1, sizeof *stmt);
    const char *tail = NULL;

    if (stmt == NULL)
        return MT_FAIL(err, MT_E_NOMEM, "database: statement");
    int result = sqlite3_prepare_v3(db->handle, sql, -1, SQLITE_PREPARE_PERSISTENT,
                                    &stmt->handle, &tail);
    if (result != SQLITE_OK)
        return mt_db__fail(db->handle, result, sql, err);
    MT_ASSERT(stmt->handle != NULL && *tail == '\0'); /* one statement, not a script */
    MT_TRY(mt_map_put(&db->stmts, mt_str_of(sql), stmt, NULL, err));
    *out = MT_MOVE(stmt);
    return MT_OK;
}

mt_rc mt_db_prepare(struct mt_db *db, const char *sql, struct mt_stmt **out, struct mt_err *err)
{
    struct mt_stmt *stmt = mt_map_find(&db->stmts, mt_str_of(sql));

    if (stmt == NULL)
        return make(db, sql, out, err);
    mt_stmt_reset(stmt);
    *out = stmt;
    return MT_OK;
}

static void keep(struct mt_stmt *stmt, int result)
{
    if (stmt->failed == SQLITE_OK)
        stmt->failed = result;
}

void mt_stmt_bind_i64(struct mt_stmt *stmt, int at, int64_t value)
{
    keep(stmt, sqlite3_bind_int64(stmt->handle, at, value));
}

void mt_stmt_bind_f64(struct mt_stmt *stmt, int at, double value)
{
    keep(stmt, sqlite3_bind_double(stmt->handle, at, value));
}

void mt_stmt_bind_str(struct mt_stmt *stmt, int at, struct mt_str text)
{
    keep(stmt, sqlite3_bind_text64(stmt->handle, at, text.at != NULL ? text.at : "", text.len,
                                   SQLITE_TRANSIENT, SQLITE_UTF8));
}

void mt_stmt_bind_blob(struct mt_stmt *stmt, int at, struct mt_str bytes)
{
    keep(stmt, sqlite3_bind_blob64(stmt->handle, at, bytes.at != NULL ? bytes.at : "",
                                   bytes.len, SQLITE_TRANSIENT));
}

void mt_stmt_bind_null(struct mt_stmt *stmt, int at)
{
    keep(stmt, sqlite3_bind_null(stmt->handle, at));
}

mt_rc mt_stmt_step(struct mt_stmt *stmt, bool *has_row, struct mt_err *err)
{
    int result = stmt->failed != SQLITE_OK ? stmt->failed : sqlite3_step(stmt->handle);

    if (result == SQLITE_ROW) {
        if (has_row != NULL)
            *has_row = true;
        else
            mt_stmt_reset(stmt);
        return MT_OK;
    }
    mt_rc rc = MT_OK;
    if (result != SQLITE_DONE)
        rc = mt_db__fail(stmt->failed != SQLITE_OK ? NULL : sqlite3_db_handle(stmt->handle),
                         result, sqlite3_sql(stmt->handle), err);
    else if (has_row != NULL)
        *has_row = false;
    mt_stmt_reset(stmt);
    return rc;
}

void mt_stmt_reset(struct mt_stmt *stmt)
{
    stmt->failed = SQLITE_OK;
    sqlite3_reset(stmt->handle); /* repeats the failure of the last step, which was told */
}

int64_t mt_stmt_i64(struct mt_stmt *stmt, int column)
{
    return sqlite3_column_int64(stmt->handle, column);
}

double mt_stmt_f64(struct mt_stmt *stmt, int column)
{
    return sqlite3_column_double(stmt->handle, column);
}

struct mt_str mt_stmt_str(struct mt_stmt *stmt, int column)
{
    const void *at = sqlite3_column_blob(stmt->handle, column); /* a text's bytes as they are */
    int len = sqlite3_column_bytes(stmt->handle, column);

    return (struct mt_str){at, at != NULL && len > 0 ? (size_t)len : 0};
}

bool mt_stmt_is_null(struct mt_stmt *stmt, int column)
{
    return sqlite3_column_type(stmt->handle, column) == SQLITE_NULL;
}
