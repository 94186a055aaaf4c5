/* SPDX-License-Identifier: Apache-2.0 */
/* The database of the ledger: where records of the journal end.
 *
 * Thread rule: one thread at a time. Everything blocks. */
#ifndef MT_LEDGER_STORE_PRIV_H
#define MT_LEDGER_STORE_PRIV_H

#include "base/err.h"
#include "base/str.h"

struct mt_account;
struct mt_journal;
struct mt_journal_cursor;
struct mt_db;
struct mt_store;

#define MT_STORE_FILE "ledger.db"

/** The steps that make the schema, for readers that check its version. */
extern const char *const mt_store__steps[];
extern const size_t mt_store__steps_n;

mt_rc mt_store__open(const char *path, struct mt_store **out, struct mt_err *err);
void mt_store__close(struct mt_store *store);

/** Move one batch from the cursor into the tables, in one transaction, synced.
 *  @param records_n how many; 0 = the cursor is at its end
 *  @return MT_OK (the cursor has moved), or as the database says (it has not) */
mt_rc mt_store__drain(struct mt_store *store, const struct mt_journal *journal,
                      struct mt_journal_cursor *cursor, int64_t *records_n, struct mt_err *err);

/** Reservations that never settled become rows with outcome interrupted. */
mt_rc mt_store__interrupt_open(struct mt_store *store, int64_t *closed_n, struct mt_err *err);

/** Book what the tables know into the windows of an account. */
mt_rc mt_store__restore(struct mt_store *store, struct mt_account *account, int64_t now_ms,
                        struct mt_err *err);

/** Remove some of the rows of requests that began before; sums of days stay. */
mt_rc mt_store__prune(struct mt_store *store, int64_t before_ms, struct mt_err *err);

/** New rows since open. */
int64_t mt_store__rows_n(const struct mt_store *store);

#endif
