/* SPDX-License-Identifier: Apache-2.0 */
/* system/db.h - the door to SQLite.
 *
 * WAL, foreign keys on, a busy timeout; statements are prepared once per connection and kept.
 * Codes: MT_E_CORRUPT (not a database, or damaged), MT_E_BUSY (locked past the timeout),
 * MT_E_EXISTS (a uniqueness or other constraint), MT_E_IO ("disk full" says so), MT_E_DENIED
 * (read only), MT_E_NOMEM, MT_E_TOOBIG; MT_E_INVALID for SQL that does not parse.
 * Thread rule: a connection is for one thread at a time. Everything blocks. */
#ifndef MT_SYSTEM_DB_H
#define MT_SYSTEM_DB_H

#include "base/err.h"
#include "base/str.h"

struct mt_db;
struct mt_stmt;

enum mt_db_sync {
    MT_DB_SYNC_NORMAL, /* a killed process loses nothing; a power cut may lose the last commits
                        */
    MT_DB_SYNC_FULL,   /* commit returns after the sync */
};

enum mt_db_mode {
    MT_DB_CREATE, /* read and write; made (mode 0600) when missing */
    MT_DB_READ,   /* must exist */
};

struct mt_db_opts {
    enum mt_db_sync sync;
    enum mt_db_mode mode;
    int64_t busy_timeout_ms; /* 0 = 5000 */
};

/** @param opts NULL = all zero. path ":memory:" keeps nothing. */
mt_rc mt_db_open(const char *path, const struct mt_db_opts *opts, struct mt_db **out,
                 struct mt_err *err);

/** Close and free, statements too. An open transaction is rolled back. NULL is allowed. */
void mt_db_close(struct mt_db *db);

/** Run statements without parameters or results. */
mt_rc mt_db_exec(struct mt_db *db, const char *sql, struct mt_err *err);

/** Bring the schema up to date: step i leads from `user_version` i to i + 1, each in one
 *  transaction. Steps that shipped are never edited.
 *  @return MT_E_UNSUPPORTED when the file is newer than this program */
mt_rc mt_db_migrate(struct mt_db *db, const char *const steps[], size_t steps_n,
                    struct mt_err *err);

/** A statement ready to be bound; borrowed, lives as long as the connection. Asking again for
 *  the same text resets the same statement, so one text is walked once at a time. */
mt_rc mt_db_prepare(struct mt_db *db, const char *sql, struct mt_stmt **out,
                    struct mt_err *err);

/** Parameters count from 1. Failures are kept and told by the next step. Bytes are copied. */
void mt_stmt_bind_i64(struct mt_stmt *stmt, int at, int64_t value);
void mt_stmt_bind_f64(struct mt_stmt *stmt, int at, double value);
void mt_stmt_bind_str(struct mt_stmt *stmt, int at, struct mt_str text);
void mt_stmt_bind_blob(struct mt_stmt *stmt, int at, struct mt_str bytes);
void mt_stmt_bind_null(struct mt_stmt *stmt, int at);

/** Go to the next row. At the end, and on failure, the statement is reset (bindings stay).
 *  @param has_row may be NULL when no row is expected */
mt_rc mt_stmt_step(struct mt_stmt *stmt, bool *has_row, struct mt_err *err);

/** Leave a walk early. */
void mt_stmt_reset(struct mt_stmt *stmt);

/** Columns of the present row count from 0; texts die at the next step or reset. */
int64_t mt_stmt_i64(struct mt_stmt *stmt, int column);
double mt_stmt_f64(struct mt_stmt *stmt, int column);
struct mt_str mt_stmt_str(struct mt_stmt *stmt, int column);
bool mt_stmt_is_null(struct mt_stmt *stmt, int column);

/** Rows changed by the last insert, update or delete. */
int64_t mt_db_changes(const struct mt_db *db);

/** A transaction that may write from its first statement on. Rollback of none is harmless. */
mt_rc mt_db_begin(struct mt_db *db, struct mt_err *err);
mt_rc mt_db_commit(struct mt_db *db, struct mt_err *err);
void mt_db_rollback(struct mt_db *db);

#endif
