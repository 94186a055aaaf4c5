/* SPDX-License-Identifier: Apache-2.0 */
/* store.h - Responses that were stored: found again by id, by the key that made them.
 *
 * Reads and writes run one after the other on a thread of their own, so a read sees every write
 * that was asked before it; answers come back on the loop. Kept for 30 days. Thread rule: the
 * loop's. */
#ifndef MT_GATEWAY_STORE_H
#define MT_GATEWAY_STORE_H

#include "base/err.h"
#include "base/str.h"

struct mt_loop;
struct store;
struct store_job;

/** @param path of the database; made when missing. @blocks */
mt_rc store_open(struct mt_loop *loop, const char *path, struct store **out,
                 struct mt_err *err);
void store_close(struct store *store); /* waits for what was asked. NULL is allowed */

/** Keep a record. Copied. */
mt_rc store_put(struct store *store, struct mt_str id, struct mt_str key, struct mt_str record,
                int64_t now_s, struct mt_err *err);

/** err is NULL when it was found (get) or removed (remove); the record dies on return. */
typedef void store_fn(void *ctx, struct mt_str record, const struct mt_err *err);

mt_rc store_get(struct store *store, struct mt_str id, struct mt_str key, store_fn *fn,
                void *ctx, struct store_job **out, struct mt_err *err);
mt_rc store_remove(struct store *store, struct mt_str id, struct mt_str key, store_fn *fn,
                   void *ctx, struct store_job **out, struct mt_err *err);

/** Nobody waits for it any more: fn will not run. Only before fn has run. */
void store_forget(struct store_job *job);

#endif
