/* SPDX-License-Identifier: Apache-2.0 */
/* The local engine as the vtable sees it: requests become jobs, pieces become events.
 *
 * Invariants: 1. a run is in its local's list from start until it ends or is cancelled; 2. its
 * job points back to it for just that time, so a piece of a run that is gone finds NULL and is
 * dropped; 3. what is delivered while a run is paused is held, in order. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "local_priv.h"

/* --- runs --- */

static struct mt_local *local_of(struct mt_engine *engine)
{
    return (struct mt_local *)engine;
}

/* Take a run out of everything and free it; its job's flag stays as it is. */
static void run_free(struct mt_engine_run *run)
{
    while (run->held_head != NULL) {
        struct mt_piece *next = run->held_head->next;
        mt_piece_drop(run->held_head);
        run->held_head = next;
    }
    *run->at = run->next;
    if (run->next != NULL)
        run->next->at = run->at;
    mt_timer_free(run->timer);
    run->job->run = NULL;
    mt_job_unref(run->job);
    mt_host__run_ends(run->host);
    mt_free(run);
}

static void run_cancel(struct mt_engine_run *run)
{
    atomic_store(&run->job->is_canceled, true);
    mt_worker_wake(run->host->worker);
    run_free(run);
}

static void run_end(struct mt_engine_run *run, const struct mt_piece *last)
{
    const struct mt_engine_sink_ops *sink = run->sink;
    void (*on_embed)(void *, const struct mt_embed_answer *, const struct mt_engine_end *) =
        run->on_embed;
    void *ctx = run->ctx;
    struct mt_engine_end end = {.is_ok = !last->has_error,
                                .error = last->has_error ? &last->error : NULL,
                                .was_sent = last->was_sent};

    run_free(run);
    if (sink != NULL)
        sink->on_end(ctx, &end);
    else
        on_embed(ctx, last->has_error ? NULL : &last->embed, &end);
}

/* The run may be gone afterwards. */
static void hand_out(struct mt_engine_run *run, const struct mt_piece *piece)
{
    struct mt_job *job = run->job;

    run->has_event = true;
    run->last_ms = mt_loop_now_ms(run->local->loop);
    if (piece->is_last) {
        run_end(run, piece);
        return;
    }
    mt_rc rc = run->sink->on_event(run->ctx, &piece->event, NULL);
    if (rc < 0 && job->run == run)
        run_cancel(run);
}

static void take_piece(struct mt_piece *piece)
{
    struct mt_engine_run *run = piece->job->run;

    piece->next = NULL;
    if (run == NULL) {
        mt_piece_drop(piece);
        return;
    }
    bool is_held = atomic_load(&piece->job->is_paused) || run->held_head != NULL;
    if (!is_held) {
        hand_out(run, piece);
        mt_piece_drop(piece);
        return;
    }
    if (run->held_tail != NULL)
        run->held_tail->next = piece;
    else
        run->held_head = piece;
    run->held_tail = piece;
    atomic_fetch_add(&piece->job->held_n, 1);
}

static void hand_out_held(void *arg)
{
    struct mt_job *job = arg;

    if (job->run != NULL)
        job->run->is_resuming = false;
    while (job->run != NULL && job->run->held_head != NULL && !atomic_load(&job->is_paused)) {
        struct mt_engine_run *run = job->run;
        struct mt_piece *piece = run->held_head;
        run->held_head = piece->next;
        if (run->held_head == NULL)
            run->held_tail = NULL;
        atomic_fetch_sub(&job->held_n, 1);
        hand_out(run, piece);
        mt_piece_drop(piece);
    }
    mt_job_unref(job);
}

void mt_local__on_pieces(void *ctx, struct mt_piece *pieces)
{
    struct mt_host *host = ctx;

    while (pieces != NULL) {
        struct mt_piece *piece = pieces;
        pieces = piece->next;
        if (piece->job != NULL) {
            take_piece(piece);
            continue;
        }
        if (!piece->is_last) {
            mt_host__on_loaded(host);
        } else {
            MT_ASSERT(pieces == NULL); /* the thread's last word */
            mt_host__on_ended(host, &piece->error);
        }
        mt_piece_drop(piece);
    }
}

/* --- limits of time --- */

static int64_t sooner(int64_t a, int64_t from, int64_t timeout)
{
    return timeout > 0 && from + timeout < a ? from + timeout : a;
}

static int64_t deadline_ms(const struct mt_engine_run *run)
{
    int64_t at = sooner(INT64_MAX, run->started_ms, run->total_timeout_ms);

    if (!run->has_event)
        return sooner(at, run->started_ms, run->first_timeout_ms);
    if (!atomic_load(&run->job->is_paused))
        at = sooner(at, run->last_ms, run->idle_timeout_ms);
    return at;
}

/* Which limit comes next changes on the way: it is looked at once a second at least. */
static void watch_time(struct mt_engine_run *run, int64_t in_ms)
{
    enum { LOOK_MS = 1000 };
    mt_timer_start(run->timer, in_ms < LOOK_MS ? in_ms : LOOK_MS);
}

static void on_time(void *arg)
{
    struct mt_engine_run *run = arg;
    int64_t now = mt_loop_now_ms(run->local->loop);
    int64_t at = deadline_ms(run);
    struct mt_piece last = {
        .is_last = true,
        .has_error = true,
        .was_sent = run->has_event,
        .error = {.kind = MT_CHAT_ERR_TIMEOUT,
                  .message = MT_STR("the local model did not answer in time"),
                  .retry_after_ms = -1},
    };

    if (now < at) {
        watch_time(run, at - now);
        return;
    }
    atomic_store(&run->job->is_canceled, true);
    mt_worker_wake(run->host->worker);
    run_end(run, &last);
}

static mt_rc start_timer(struct mt_engine_run *run, struct mt_err *err)
{
    if (run->first_timeout_ms <= 0 && run->idle_timeout_ms <= 0 && run->total_timeout_ms <= 0)
        return MT_OK;
    MT_TRY(mt_timer_new(run->local->loop, on_time, run, &run->timer, err));
    watch_time(run, deadline_ms(run) - run->started_ms);
    return MT_OK;
}

/* --- the vtable --- */

/* A run of the job on the entry's worker. The job is taken, also on failure. */
static mt_rc run_new(struct mt_local *local, struct mt_local_entry *entry, struct mt_job *job,
                     const struct mt_engine_run *form, struct mt_opt_i64 keep_alive_s,
                     struct mt_engine_run **out, struct mt_err *err)
{
    struct mt_host *host = NULL;
    struct mt_engine_run *run = mt_alloc(1, sizeof *run);
    bool is_empty = job->is_unload && entry->host == NULL;
    mt_rc rc = run == NULL ? MT_FAIL(err, MT_E_NOMEM, "a request")
               : is_empty  ? mt_entry__empty_host(entry, &host, err)
                           : mt_entry__host(entry, &host, err);

    if (rc < 0) {
        mt_free(run);
        mt_job_unref(job);
        return rc;
    }
    *run = *form;
    run->local = local;
    run->host = host;
    run->job = job;
    run->started_ms = mt_loop_now_ms(local->loop);
    run->at = &local->runs;
    run->next = local->runs;
    if (run->next != NULL)
        run->next->at = &run->next;
    local->runs = run;
    job->run = run;
    mt_host__run_begins(host, keep_alive_s);
    rc = start_timer(run, err);
    if (rc == MT_OK)
        rc = mt_worker_post(host->worker, job, err);
    if (is_empty)
        mt_worker_finish(host->worker);
    if (rc < 0) {
        run_free(run);
        return rc;
    }
    *out = run;
    return MT_OK;
}

static mt_rc start(struct mt_engine *engine, const struct mt_engine_call *call,
                   struct mt_engine_run **out, struct mt_err *err)
{
    struct mt_local *local = local_of(engine);
    struct mt_local_entry *entry = NULL;
    struct mt_job *job = NULL;
    struct mt_engine_run form = {
        .sink = call->sink,
        .ctx = call->sink_ctx,
        .first_timeout_ms = call->first_timeout_ms,
        .idle_timeout_ms = call->idle_timeout_ms,
        .total_timeout_ms = call->total_timeout_ms,
    };

    if (call->lane != MT_LANE_EVENTS)
        return MT_FAIL(err, MT_E_UNSUPPORTED, "a local model takes no raw bodies");
    MT_TRY(mt_entry__find(local, call->model, &entry, err));
    MT_TRY(mt_entry__card(entry, err));
    MT_TRY(mt_job_of_request(call->request, call->model, mt_entry__context(entry), call->notes,
                             &job, err));
    return run_new(local, entry, job, &form, call->request->keep_alive_s, out, err);
}

static mt_rc embed(struct mt_engine *engine, const struct mt_engine_embed_call *call,
                   struct mt_engine_run **out, struct mt_err *err)
{
    struct mt_local *local = local_of(engine);
    struct mt_local_entry *entry = NULL;
    struct mt_job *job = NULL;
    struct mt_engine_run form = {.on_embed = call->on_embed,
                                 .ctx = call->ctx,
                                 .total_timeout_ms = call->total_timeout_ms};

    MT_TRY(mt_entry__find(local, call->model, &entry, err));
    MT_TRY(mt_job_of_embed(call->request, call->model, call->notes, &job, err));
    return run_new(local, entry, job, &form, call->request->keep_alive_s, out, err);
}

static void cancel(struct mt_engine_run *run)
{
    run_cancel(run);
}

static void run_pause(struct mt_engine_run *run)
{
    atomic_store(&run->job->is_paused, true);
}

static void run_resume(struct mt_engine_run *run)
{
    atomic_store(&run->job->is_paused, false);
    run->last_ms = mt_loop_now_ms(run->local->loop);
    mt_worker_wake(run->host->worker);
    if (run->held_head == NULL || run->is_resuming)
        return;
    atomic_fetch_add(&run->job->refs, 1);
    run->is_resuming = mt_loop_post(run->local->loop, hand_out_held, run->job, NULL) == MT_OK;
    if (!run->is_resuming) /* a loop that is so far behind is asked again at the next resume */
        mt_job_unref(run->job);
}

static mt_rc count_tokens(struct mt_engine *engine, const struct mt_chat_request *request,
                          struct mt_str model, int64_t *out, struct mt_err *err)
{
    struct mt_local *local = local_of(engine);
    struct mt_local_entry *entry = NULL;
    struct mt_job *job = NULL;

    MT_TRY(mt_entry__find(local, model, &entry, err));
    if (entry->host == NULL || !entry->host->is_loaded)
        return MT_FAIL(err, MT_E_UNSUPPORTED, "model '%s' is not loaded", entry->name);
    MT_TRY(mt_job_of_request(request, model, mt_entry__context(entry), NULL, &job, err));
    mt_rc rc = mt_worker_count(entry->host->worker, job, out, err);
    mt_job_unref(job);
    return rc;
}

static mt_rc describe(struct mt_engine *engine, struct mt_str model, struct mt_model_card *out,
                      struct mt_err *err)
{
    struct mt_local_entry *entry = NULL;

    MT_TRY(mt_entry__find(local_of(engine), model, &entry, err));
    if (entry->reading == NULL)
        MT_TRY(mt_entry__card(entry, err));
    mt_entry__fill_card(entry, out);
    return MT_OK;
}

static void close_engine(struct mt_engine *engine)
{
    struct mt_local *local = local_of(engine);

    while (local->runs != NULL)
        run_cancel(local->runs);
    mt_local__free(local);
}

static const struct mt_engine_ops ops = {
    .kind = "local",
    .start = start,
    .embed = embed,
    .cancel = cancel,
    .pause = run_pause,
    .resume = run_resume,
    .count_tokens = count_tokens,
    .describe = describe,
    .close = close_engine,
};

static mt_rc check_library(const char *dir, struct mt_err *err)
{
    char path[4096];

    snprintf(path, sizeof path, "%s/libllama.so", dir != NULL ? dir : MT_LLAMA_LIBRARY_DIR);
    if (access(path, R_OK) != 0)
        return MT_FAIL(err, MT_E_NOTFOUND,
                       "llama.cpp: no '%s'; run scripts/llama-deps.sh or set MOTET_LLAMA_DIR",
                       path);
    return MT_OK;
}

mt_rc mt_local_open(struct mt_loop *loop, const struct mt_local_opts *opts,
                    struct mt_engine **out, struct mt_err *err)
{
    MT_TRY(check_library(opts->library_dir, err));
    struct mt_local *local = mt_alloc(1, sizeof *local);
    if (local == NULL)
        return MT_FAIL(err, MT_E_NOMEM, "the local engine");
    local->engine.ops = &ops;
    local->loop = loop;
    local->threads = opts->threads;
    local->queue_max = opts->queue_max;
    mt_rc rc = MT_OK;
    if (opts->library_dir != NULL) {
        local->library_dir = mt_alloc_cstr(mt_str_of(opts->library_dir));
        if (local->library_dir == NULL)
            rc = MT_FAIL(err, MT_E_NOMEM, "the local engine");
    }
    if (rc == MT_OK)
        rc = mt_local_set_models(&local->engine, opts->models, opts->models_n, err);
    if (rc < 0) {
        mt_local__free(local);
        return rc;
    }
    local->is_open = true;
    *out = &local->engine;
    return MT_OK;
}
