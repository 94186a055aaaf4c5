/* SPDX-License-Identifier: Apache-2.0 */
/* What db.c and db_stmt.c share. */
#ifndef MT_SYSTEM_DB_PRIV_H
#define MT_SYSTEM_DB_PRIV_H

#include <sqlite3.h>

#include "base/map.h"
#include "system/db.h"

struct mt_stmt {
    sqlite3_stmt *handle;
    int failed; /* first result of a bind that was not SQLITE_OK; told by the next step */
};

struct mt_db {
    sqlite3 *handle;
    struct mt_map stmts; /* text -> struct mt_stmt, owned */
};

/** Raise what SQLite answered, with its words. The one place that makes MT_E_CORRUPT. */
mt_rc mt_db__fail(sqlite3 *handle, int result, const char *what, struct mt_err *err);

void mt_db__stmt_free(struct mt_stmt *stmt);

#endif
