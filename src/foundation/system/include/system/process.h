/* SPDX-License-Identifier: Apache-2.0 */
/* system/process.h - another program, run apart and to its end.
 *
 * No shell. It leads a process group of its own, so a signal reaches what it started as well
 * (what leaves the group by setsid(2) is not followed). When the thread that started it ends,
 * however that ends, the kernel kills it, but not what it started. It has the environment and
 * folder that it is given, standard input from /dev/null, standard output and error read by us,
 * and no other descriptor of this process; signals are as in a fresh process.
 *
 * Thread rule: a process belongs to the thread that started it. */
#ifndef MT_SYSTEM_PROCESS_H
#define MT_SYSTEM_PROCESS_H

#include "base/err.h"
#include "base/str.h"

struct mt_process;

struct mt_process_opts {
    const char *const *argv; /* ended by NULL; a name without '/' is looked for in PATH */
    const char *const *environment; /* "NAME=value", ended by NULL; all of it, and PATH */
    const char *folder;             /* that it begins in */
    int64_t memory_bytes_max;       /* address space of each of its processes; 0: any */
    int64_t file_bytes_max;         /* of each file that it writes; 0: any */
    /* What it writes, as it comes; called by wait and reap alone. NULL: dropped. */
    void (*on_output)(void *context, struct mt_str piece);
    void *context;
};

struct mt_process_end {
    int exit_status; /* -1: none, a signal ended it */
    int signal;      /* 0: none */
    int64_t cpu_ms;  /* of it, and of those of its children that it waited for */
};

/** Begin. What the program's own beginning meets (a folder or an interpreter that is not there)
 *  is told here.
 *  @return MT_OK, MT_E_NOTFOUND, MT_E_DENIED, MT_E_TOOBIG (too many words), MT_E_IO, MT_E_NOMEM
 */
mt_rc mt_process_start(const struct mt_process_opts *opts, struct mt_process **out,
                       struct mt_err *err);

/** Hand its output over until it has ended or that much time has passed.
 *  @return has it ended? */
bool mt_process_wait(struct mt_process *process, int64_t timeout_ms);

/** Send a signal to its whole group. After its end it reaches those that it left behind. */
void mt_process_signal(struct mt_process *process, int signal);

/** Once wait has said so: end what it left behind in its group, hand the last output over, and
 *  say how it went. Again: the same answer. */
struct mt_process_end mt_process_reap(struct mt_process *process);

/** Free; one that still runs is killed with its group. NULL is allowed. */
void mt_process_free(struct mt_process *process);
void mt_process_freep(struct mt_process **process);

#endif
