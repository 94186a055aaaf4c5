/* SPDX-License-Identifier: Apache-2.0 */
/* net/loop.h - one event loop per thread: timers, calls from other threads, signals.
 *
 * The door to libuv (shared with net/http_*.h). Thread rule: a loop and everything made on it
 * belong to the thread that runs it; only mt_loop_post() may be called from elsewhere.
 * Callbacks never run inside the call that asked for them. */
#ifndef MT_NET_LOOP_H
#define MT_NET_LOOP_H

#include "base/err.h"
#include "base/str.h"

struct mt_loop;
struct mt_timer;
struct uv_loop_s;

mt_rc mt_loop_new(struct mt_loop **out, struct mt_err *err);

/** Run until mt_loop_stop(). */
void mt_loop_run(struct mt_loop *loop);
void mt_loop_stop(struct mt_loop *loop);

/** Close and free; every object made on the loop has been closed before. NULL is allowed.
 *  Pending closes are run to their end. */
void mt_loop_free(struct mt_loop *loop);

/** Monotonic time, read once per turn [ms]; and read now [ns]. */
int64_t mt_loop_now_ms(const struct mt_loop *loop);
int64_t mt_loop_clock_ns(void);

/** Run fn(arg) on the loop's thread at its next turn. From any thread; order per caller is
 * kept.
 *  @return MT_OK, MT_E_BUSY (the mailbox holds its limit of 65,536 calls) */
mt_rc mt_loop_post(struct mt_loop *loop, void (*fn)(void *arg), void *arg, struct mt_err *err);

/** Take back the calls of fn(arg) that have not run yet: whoever owns arg is about to free it.
 *  On the loop's thread. */
void mt_loop_unpost(struct mt_loop *loop, void (*fn)(void *arg), void *arg);

/** One-shot timers. Start replaces an earlier start; stopping twice is harmless; free stops. */
typedef void mt_timer_fn(void *arg);
mt_rc mt_timer_new(struct mt_loop *loop, mt_timer_fn *fn, void *arg, struct mt_timer **out,
                   struct mt_err *err);
void mt_timer_start(struct mt_timer *timer, int64_t in_ms);
void mt_timer_stop(struct mt_timer *timer);
void mt_timer_free(struct mt_timer *timer);

/** Call fn(arg, signum) on the loop when the process gets the signal; until the loop is freed.
 */
mt_rc mt_loop_on_signal(struct mt_loop *loop, int signum, void (*fn)(void *arg, int signum),
                        void *arg, struct mt_err *err);

/** Call fn(arg) on the loop when the file (or its folder entry) changes; until the loop is
 * freed. */
mt_rc mt_loop_on_file(struct mt_loop *loop, const char *path, void (*fn)(void *arg), void *arg,
                      struct mt_err *err);

/** For the modules of net only. */
struct uv_loop_s *mt_loop_uv(struct mt_loop *loop);

#endif
