/* SPDX-License-Identifier: Apache-2.0 */
/* worker.h - one loaded model: its thread, its llama context, its batch.
 *
 * The thread loads the model, then steps: every generating sequence by one token and as many
 * prompt tokens of new requests as the step's share allows, in one batch. Answers leave as
 * pieces, handed to the loop once per step. Thread rule: the functions here belong to the loop;
 * on_pieces is called on the loop too. */
#ifndef MT_LOCAL_WORKER_H
#define MT_LOCAL_WORKER_H

#include "outbox.h"

struct mt_loop;
struct mt_worker;

struct mt_worker_opts {
    const char *library_dir;
    const char *name, *path, *lora_path; /* copied; lora_path may be NULL */
    double lora_scale;
    int64_t context_tokens; /* per sequence; > 0 */
    unsigned parallel_max;
    unsigned threads;
    unsigned queue_max;
    bool is_empty; /* no model: for jobs that only say that there is none */
    int gpu_layers;
    int64_t kv_token_bytes; /* memory of a token in the cache; 0 = unknown */
    struct mt_loop *loop;
    mt_pieces_fn *on_pieces; /* a piece with job NULL tells of the model: is_last = the thread
                                has ended (error: why), otherwise it is loaded now */
    void *ctx;
};

/* What a loaded model takes; filled before the loaded piece is handed out. */
struct mt_worker_facts {
    int64_t context_tokens; /* of a sequence */
    unsigned parallel;
    int64_t memory_bytes;
    int64_t gpu_bytes;
    int64_t load_ns;
};

/** Start the thread, which loads the model. @return MT_OK, MT_E_NOMEM, MT_E_IO (no thread) */
mt_rc mt_worker_start(const struct mt_worker_opts *opts, struct mt_worker **out,
                      struct mt_err *err);

/** Queue a job; the worker takes a reference of its own. @return MT_OK, MT_E_BUSY,
 *  or why the thread ended by itself (the model could not be loaded) */
mt_rc mt_worker_post(struct mt_worker *worker, struct mt_job *job, struct mt_err *err);

/** Look at the flags of the jobs again. */
void mt_worker_wake(struct mt_worker *worker);

/** End when no job is left; or at once, jobs and loading abandoned. */
void mt_worker_finish(struct mt_worker *worker);
void mt_worker_abort(struct mt_worker *worker);

/** Wait for the thread, free. Nothing is delivered afterwards. */
void mt_worker_free(struct mt_worker *worker);

/** Tokens of a job's prompt. @return MT_E_BUSY while loading; else as rendering fails */
mt_rc mt_worker_count(struct mt_worker *worker, struct mt_job *job, int64_t *out,
                      struct mt_err *err);

const struct mt_worker_facts *mt_worker_facts(const struct mt_worker *worker);

#endif
