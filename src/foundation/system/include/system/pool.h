/* SPDX-License-Identifier: Apache-2.0 */
/* system/pool.h - one named thread with a bounded queue, for work that blocks.
 *
 * Jobs run one after the other in the order they came. Whoever posts a job arranges how its end
 * is told (mt_loop_post from inside the job, for a loop). The thread takes no signals.
 * Thread rule: post from any thread; new and free belong to the owner. */
#ifndef MT_SYSTEM_POOL_H
#define MT_SYSTEM_POOL_H

#include <stddef.h>

#include "base/err.h"

struct mt_pool;

typedef void mt_pool_fn(void *arg);

/** @param name at most 15 characters, seen in ps and gdb
 *  @param queue_max jobs that may wait
 *  @return MT_OK, MT_E_NOMEM, MT_E_IO (no thread) */
mt_rc mt_pool_new(const char *name, size_t queue_max, struct mt_pool **out, struct mt_err *err);

/** @return MT_OK: fn(arg) will run exactly once; MT_E_BUSY (the queue is full): it will not */
mt_rc mt_pool_post(struct mt_pool *pool, mt_pool_fn *fn, void *arg, struct mt_err *err);

/** Run what waits, end the thread, free. Not from a job of its own. NULL is allowed. */
void mt_pool_free(struct mt_pool *pool);

#endif
