/* SPDX-License-Identifier: Apache-2.0 */
#include "db_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "system/file.h"

enum { STATEMENTS_MAX = 256, SQL_SHOWN_MAX = 60 };

static mt_rc rc_of(int result)
{
    switch (result & 0xff) {
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return MT_E_CORRUPT;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return MT_E_BUSY;
    case SQLITE_CONSTRAINT:
        return MT_E_EXISTS;
    case SQLITE_NOMEM:
        return MT_E_NOMEM;
    case SQLITE_TOOBIG:
        return MT_E_TOOBIG;
    case SQLITE_PERM:
    case SQLITE_READONLY:
    case SQLITE_AUTH:
        return MT_E_DENIED;
    case SQLITE_ERROR:
    case SQLITE_RANGE:
    case SQLITE_MISMATCH:
    case SQLITE_SCHEMA:
        return MT_E_INVALID;
    default: /* FULL, IOERR, CANTOPEN and the rest of an open list */
        return MT_E_IO;
    }
}

mt_rc mt_db__fail(sqlite3 *handle, int result, const char *what, struct mt_err *err)
{
    const char *words = handle != NULL ? sqlite3_errmsg(handle) : sqlite3_errstr(result);
    int shown = what != NULL ? (int)strnlen(what, SQL_SHOWN_MAX) : 0;

    if ((result & 0xff) == SQLITE_FULL)
        return MT_FAIL(err, MT_E_IO, "database: '%.*s': disk full", shown, what);
    return mt_err_set(err, rc_of(result), handle ? sqlite3_system_errno(handle) : 0, __FILE__,
                      __LINE__, "database: '%.*s': %s", shown, what, words);
}

mt_rc mt_db_exec(struct mt_db *db, const char *sql, struct mt_err *err)
{
    int result = sqlite3_exec(db->handle, sql, NULL, NULL, NULL);

    return result == SQLITE_OK ? MT_OK : mt_db__fail(db->handle, result, sql, err);
}

/* Owner-only from its first moment; SQLite gives the WAL the permissions of the database. */
static mt_rc create_file(const char *path, struct mt_err *err)
{
    MT_CLEANUP(mt_fd_closep) int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

    if (fd < 0)
        return MT_FAIL_SYS(err, mt_rc_of_errno(errno), errno, "database '%s'", path);
    return MT_OK;
}

static mt_rc set_up(struct mt_db *db, const struct mt_db_opts *opts, struct mt_err *err)
{
    int64_t timeout_ms = opts->busy_timeout_ms > 0 ? opts->busy_timeout_ms : 5000;

    sqlite3_extended_result_codes(db->handle, 1);
    sqlite3_busy_timeout(db->handle, timeout_ms > 3600000 ? 3600000 : (int)timeout_ms);
    MT_TRY(mt_db_exec(db, "PRAGMA foreign_keys = ON; PRAGMA trusted_schema = OFF", err));
    if (opts->mode == MT_DB_READ)
        return mt_db_exec(db, "SELECT count(*) FROM sqlite_schema",
                          err); /* is it a database? */
    MT_TRY(mt_db_exec(db, "PRAGMA journal_mode = WAL", err));
    return mt_db_exec(db,
                      opts->sync == MT_DB_SYNC_FULL ? "PRAGMA synchronous = FULL"
                                                    : "PRAGMA synchronous = NORMAL",
                      err);
}

static void closep(struct mt_db **db)
{
    mt_db_close(*db);
}

mt_rc mt_db_open(const char *path, const struct mt_db_opts *opts, struct mt_db **out,
                 struct mt_err *err)
{
    static const struct mt_db_opts defaults;
    MT_CLEANUP(closep) struct mt_db *db = mt_alloc(1, sizeof *db);

    if (db == NULL)
        return MT_FAIL(err, MT_E_NOMEM, "database '%s'", path);
    if (opts == NULL)
        opts = &defaults;
    mt_map_init(&db->stmts, STATEMENTS_MAX, 0);
    bool is_memory = strcmp(path, ":memory:") == 0;
    if (opts->mode == MT_DB_CREATE && !is_memory)
        MT_TRY(create_file(path, err));
    else if (!is_memory && !mt_file_exists(path))
        return MT_FAIL(err, MT_E_NOTFOUND, "database '%s': no such file", path);
    int flags = opts->mode == MT_DB_READ ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE;
    int result = sqlite3_open_v2(path, &db->handle, flags | SQLITE_OPEN_NOMUTEX, NULL);
    mt_rc rc = result == SQLITE_OK ? set_up(db, opts, err)
                                   : mt_db__fail(db->handle, result, "open", err);
    if (rc != MT_OK)
        return mt_err_wrap(err, rc, "'%s'", path);
    *out = MT_MOVE(db);
    return MT_OK;
}

void mt_db_close(struct mt_db *db)
{
    struct mt_str key;
    void *stmt;

    if (db == NULL)
        return;
    for (size_t at = 0; mt_map_next(&db->stmts, &at, &key, &stmt);)
        mt_db__stmt_free(stmt);
    mt_map_fini(&db->stmts);
    MT_ASSERT(sqlite3_close(db->handle) == SQLITE_OK); /* every statement was ours */
    mt_free(db);
}

mt_rc mt_db_begin(struct mt_db *db, struct mt_err *err)
{
    struct mt_stmt *stmt;

    MT_TRY(mt_db_prepare(db, "BEGIN IMMEDIATE", &stmt, err));
    return mt_stmt_step(stmt, NULL, err);
}

mt_rc mt_db_commit(struct mt_db *db, struct mt_err *err)
{
    struct mt_stmt *stmt;

    MT_TRY(mt_db_prepare(db, "COMMIT", &stmt, err));
    return mt_stmt_step(stmt, NULL, err);
}

void mt_db_rollback(struct mt_db *db)
{
    if (sqlite3_get_autocommit(db->handle) == 0)
        (void)mt_db_exec(db, "ROLLBACK", NULL); /* a failure leaves no transaction either */
}

int64_t mt_db_changes(const struct mt_db *db)
{
    return sqlite3_changes64(db->handle);
}

static mt_rc version_of(struct mt_db *db, int64_t *out, struct mt_err *err)
{
    struct mt_stmt *stmt;
    bool has_row = false;

    MT_TRY(mt_db_prepare(db, "PRAGMA user_version", &stmt, err));
    MT_TRY(mt_stmt_step(stmt, &has_row, err));
    *out = has_row ? mt_stmt_i64(stmt, 0) : 0;
    mt_stmt_reset(stmt);
    return MT_OK;
}

/* Inside a transaction, so that two processes that start at once agree. */
static mt_rc one_step(struct mt_db *db, const char *const steps[], size_t steps_n,
                      bool *is_done, struct mt_err *err)
{
    char pragma[64];
    int64_t version = 0;

    MT_TRY(version_of(db, &version, err));
    if (version < 0 || (uint64_t)version > steps_n)
        return MT_FAIL(err, MT_E_UNSUPPORTED,
                       "database: schema version %lld, this program knows up to %zu",
                       (long long)version, steps_n);
    *is_done = (uint64_t)version == steps_n;
    if (*is_done)
        return MT_OK;
    mt_rc rc = mt_db_exec(db, steps[version], err);
    if (rc != MT_OK)
        return mt_err_wrap(err, rc, "schema step %lld", (long long)version + 1);
    snprintf(pragma, sizeof pragma, "PRAGMA user_version = %lld", (long long)version + 1);
    return mt_db_exec(db, pragma, err);
}

mt_rc mt_db_migrate(struct mt_db *db, const char *const steps[], size_t steps_n,
                    struct mt_err *err)
{
    for (bool is_done = false; !is_done;) {
        MT_TRY(mt_db_begin(db, err));
        mt_rc rc = one_step(db, steps, steps_n, &is_done, err);
        if (rc == MT_OK)
            rc = mt_db_commit(db, err);
        if (rc != MT_OK) {
            mt_db_rollback(db);
            return rc;
        }
    }
    return MT_OK;
}
