/* SPDX-License-Identifier: Apache-2.0 */
/* local_priv.h - the loop's side: models, runs, and the hosts that own workers.
 *
 *   local.c        the vtable, runs and their events
 *   local_models.c the table of models: loading
 *   local_cards.c  what their files say
 *   local_hosts.c  who serves them: threads, keep-alive, unloading
 */
#ifndef MT_LOCAL_LOCAL_PRIV_H
#define MT_LOCAL_LOCAL_PRIV_H

#include "base/arena.h"
#include "engine/gguf.h"
#include "engine/local.h"
#include "net/loop.h"
#include "worker.h"

struct mt_local;
struct mt_pool;
struct mt_reading;

enum {
    MT_LOCAL_CONTEXT_MAX = 1 << 20,
    MT_LOCAL_PARALLEL_MAX = 256,
    MT_KEEP_ALIVE_DEFAULT_MS = 5 * 60 * 1000,
};

/* Somebody waits for a model to be loaded. */
struct mt_waiter {
    struct mt_waiter *next;
    void (*done)(void *ctx, const struct mt_chat_error *error);
    void *ctx;
};

/* A worker and whom it serves. Lives until the worker has ended. */
struct mt_host {
    struct mt_host *next;
    struct mt_local *local;
    struct mt_local_entry *entry; /* NULL: being unloaded */
    struct mt_worker *worker;
    struct mt_waiter *waiters;
    bool is_loaded;
    bool is_ended; /* the thread is done; freed with the last run, which may be paused */
    size_t runs_n;
};

/* Tells one version of a file from another. */
struct mt_file_mark {
    int64_t bytes; /* -1: there is none */
    uint64_t inode;
    int64_t modified_s, modified_ns;
};

struct mt_local_entry {
    struct mt_local_entry *next;
    struct mt_local *local;
    char *name, *path, *lora_path; /* lora_path may be NULL */
    struct mt_local_model config;  /* its slices point to the above */
    bool is_retired; /* no longer in the table; kept for the slices of its cards */
    bool has_card;
    bool has_refusal;            /* the file, as it was then, is no model */
    struct mt_file_mark refused; /* as it was then */
    struct mt_err refusal;
    struct mt_reading *reading; /* its header is being read beside the loop; or NULL */
    struct mt_gguf gguf;
    struct mt_arena arena; /* of gguf */
    int64_t modified_at_s;
    struct mt_host *host;  /* NULL: not loaded */
    int64_t keep_alive_ms; /* < 0: for ever */
    int64_t expires_at_s;
    struct mt_timer *timer;
};

struct mt_engine_run {
    struct mt_engine_run *next, **at; /* in the local's list */
    struct mt_local *local;
    struct mt_host *host;
    struct mt_job *job;
    const struct mt_engine_sink_ops *sink; /* NULL: an embedding */
    void *ctx;
    void (*on_embed)(void *ctx, const struct mt_embed_answer *answer,
                     const struct mt_engine_end *end);
    struct mt_piece *held_head, *held_tail; /* while paused */
    struct mt_timer *timer;                 /* NULL: no limits */
    int64_t started_ms, last_ms;
    int64_t first_timeout_ms, idle_timeout_ms, total_timeout_ms;
    bool has_event;
    bool is_resuming; /* a hand-out of what was held is posted */
};

struct mt_local {
    struct mt_engine engine; /* first */
    struct mt_loop *loop;
    char *library_dir; /* NULL: as built */
    unsigned threads;
    unsigned queue_max;
    struct mt_local_entry *entries;
    struct mt_host *hosts;
    struct mt_engine_run *runs;
    struct mt_pool *readers; /* of headers, after a reload; NULL: none was needed */
    bool is_open;            /* requests are served: the loop must not wait for disks */
};

/* local.c */
void mt_local__on_pieces(void *host, struct mt_piece *pieces);

/* local_models.c */
mt_rc mt_entry__find(struct mt_local *local, struct mt_str name, struct mt_local_entry **out,
                     struct mt_err *err);
int64_t mt_entry__context(const struct mt_local_entry *entry);
void mt_entry__fill_card(const struct mt_local_entry *entry, struct mt_model_card *card);
void mt_local__free(struct mt_local *local);

/* local_cards.c */
/** The entry's file, read once; one that is no model, once in each of its versions. */
mt_rc mt_entry__card(struct mt_local_entry *entry, struct mt_err *err);
/** Have it read by a thread; entry->reading tells how long that lasts. */
void mt_entry__read_beside(struct mt_local_entry *entry);
/** Wait for the thread and forget what it read. */
void mt_local__stop_reading(struct mt_local *local);

/* local_hosts.c */
/** A worker for the entry; started when there is none. */
mt_rc mt_entry__host(struct mt_local_entry *entry, struct mt_host **out, struct mt_err *err);
/** One without the model, for one job: nothing is loaded to be unloaded. */
mt_rc mt_entry__empty_host(struct mt_local_entry *entry, struct mt_host **out,
                           struct mt_err *err);
/** A run began or ended on the host: keep-alive stops or starts. */
void mt_host__run_begins(struct mt_host *host, struct mt_opt_i64 keep_alive_s);
void mt_host__run_ends(struct mt_host *host);
void mt_host__start_keep_alive(struct mt_host *host);
/** When it will go, of a host with an entry; while it is in use, if that ended now. 0: never.
 */
int64_t mt_host__expires_at_s(const struct mt_host *host);
void mt_entry__unload(struct mt_local_entry *entry);
void mt_host__on_loaded(struct mt_host *host);
void mt_host__on_ended(struct mt_host *host, const struct mt_chat_error *error);

#endif
