/* SPDX-License-Identifier: Apache-2.0 */
/* team.h - a few threads that do one job together and meet where its parts depend on each
 * other. Whoever waits looks for some microseconds, then sleeps; between jobs all sleep. */
#ifndef MT_TRAIN_TEAM_H
#define MT_TRAIN_TEAM_H

#include "base/err.h"

enum { MT_TEAM_THREADS_MAX = 64 };

struct mt_team;

/** member counts from 0; 0 runs on the thread that asked. */
typedef void mt_team_fn(void *arg, unsigned member);

/** @param threads_n 1 .. MT_TEAM_THREADS_MAX, the caller's among them
 *  @return MT_OK, MT_E_NOMEM, MT_E_IO (no thread) */
mt_rc mt_team_new(unsigned threads_n, struct mt_team **out, struct mt_err *err);
void mt_team_free(struct mt_team *team); /* NULL is allowed */

/** Run fn(arg, member) once on every thread; back when all are done. One job at a time, not
 *  from within a job. What was written before is seen inside, what was written inside after. */
void mt_team_run(struct mt_team *team, mt_team_fn *fn, void *arg);

/** Within a job: wait until every member is here. All must come, equally often. */
void mt_team_meet(struct mt_team *team);

#endif
