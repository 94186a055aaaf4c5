/* SPDX-License-Identifier: Apache-2.0 */
/* A worker's life: begin, thread, end; see worker.h.
 *
 * Invariants: 1. every job taken from the mailbox gets exactly one last piece; 2. the thread's
 * last word is that of the model itself; 3. after mt_worker_free() nothing is delivered. */
#include <time.h>

#include "base/alloc.h"
#include "net/loop.h"
#include "system/env.h"
#include "worker_priv.h"

int64_t mt_worker__now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* --- the thread --- */

static bool has_waiting(const struct mt_worker *w)
{
    for (const struct mt_ask *ask = w->asks; ask != NULL; ask = ask->next) {
        if (ask->job->kind == MT_JOB_EMBED && !ask->is_failed)
            return true;
        for (size_t i = 0; i < ask->choices_n && !ask->is_failed; i++)
            if (ask->choices[i].state == MT_CHOICE_WAITS)
                return true;
    }
    return false;
}

/* What finds no slot stays in the mailbox, whose bound is the queue's. */
static void take_mail(struct mt_worker *w)
{
    while (!has_waiting(w)) {
        struct mt_job *job = mt_mail__take(w);
        if (job == NULL)
            return;
        mt_ask__begin(w, job);
    }
}

static void tell_loaded(struct mt_worker *w)
{
    mt_outbox_add(w->outbox, MT_MOVE(w->loaded_word));
    atomic_store(&w->is_ready, true);
    (void)mt_outbox_flush(w->outbox); /* or with the first step */
}

static void fail_all(struct mt_worker *w, const struct mt_err *err)
{
    struct mt_chat_error error = {
        .kind = err->rc == MT_E_CORRUPT ? MT_CHAT_ERR_INTERNAL : mt_chat_error_kind_of(err->rc),
        .message = mt_str_of(err->text),
        .retry_after_ms = -1,
    };

    for (struct mt_ask *ask = w->asks; ask != NULL; ask = ask->next)
        mt_ask__fail(w, ask, &error);
    pthread_mutex_lock(&w->lock);
    struct mt_job *job = w->mail_head;
    w->mail_head = w->mail_tail = NULL;
    w->is_finishing = true; /* no more mail */
    w->end = *err;
    pthread_mutex_unlock(&w->lock);
    while (job != NULL) {
        struct mt_job *next = job->next;
        mt_outbox_add(w->outbox, mt_piece_last(job, &error, NULL));
        job = next;
    }
    mt_ask__sweep(w);
    struct mt_piece *last = mt_piece_last(NULL, &error, NULL);
    if (last == NULL) { /* no memory for the words */
        last = MT_MOVE(w->last_word);
        last->is_last = last->has_error = true;
        last->error = mt_job_out_of_memory;
    }
    mt_outbox_add(w->outbox, last);
}

static void work(struct mt_worker *w)
{
    while (!mt_mail__is_over(w)) {
        mt_mail__sweep(w);
        take_mail(w);
        mt_ask__sweep(w);
        bool is_full = mt_outbox_held(w->outbox) > MT_HELD_PIECES_MAX;
        bool did = !is_full && mt_worker__step(w);
        mt_ask__sweep(w);
        bool is_out = mt_outbox_flush(w->outbox);
        if (!did && !mt_mail__is_over(w))
            mt_mail__wait(w, is_full || !is_out);
    }
}

/* The last word must arrive: whoever waits for it has no other sign. The loop that closes the
 * engine waits for the thread instead. */
static void flush_all(struct mt_worker *w)
{
    static const struct timespec poll = {.tv_nsec = 20000000};

    while (!mt_outbox_flush(w->outbox) && !atomic_load(&w->is_aborted))
        nanosleep(&poll, NULL);
}

static void *run(void *arg)
{
    struct mt_worker *w = arg;
    struct mt_err err = {.rc = MT_E_CANCELED, .text = "the model was unloaded"};

    if (w->opts.is_empty || mt_worker__load(w, &err) == MT_OK) {
        tell_loaded(w);
        work(w);
        err.rc = MT_E_CANCELED;
    }
    atomic_store(&w->is_ready, false);
    fail_all(w, &err);
    pthread_mutex_lock(&w->tmpl_lock); /* mt_worker_count() may be inside */
    mt_worker__unload(w);
    pthread_mutex_unlock(&w->tmpl_lock);
    flush_all(w);
    return NULL;
}

/* --- the loop's side --- */

static void worker_fini(struct mt_worker *w)
{
    mt_outbox_free(w->outbox);
    pthread_mutex_destroy(&w->lock);
    pthread_mutex_destroy(&w->tmpl_lock);
    pthread_cond_destroy(&w->wake);
    mt_free(w->name);
    mt_free(w->path);
    mt_free(w->lora_path);
    mt_free(w->loaded_word);
    mt_free(w->last_word);
    mt_free(w);
}

static mt_rc fill(struct mt_worker *w, const struct mt_worker_opts *opts, struct mt_err *err)
{
    w->opts = *opts;
    w->share = MT_SHARE_MIN;
    w->name = mt_alloc_cstr(mt_str_of(opts->name));
    w->path = mt_alloc_cstr(mt_str_of(opts->path));
    if (w->name == NULL || w->path == NULL)
        return MT_FAIL(err, MT_E_NOMEM, "model '%s'", opts->name);
    if (opts->lora_path != NULL && *opts->lora_path != '\0') {
        w->lora_path = mt_alloc_cstr(mt_str_of(opts->lora_path));
        if (w->lora_path == NULL)
            return MT_FAIL(err, MT_E_NOMEM, "model '%s'", opts->name);
    }
    mt_env_random(mt_env_real(), &w->random, sizeof w->random);
    w->loaded_word = mt_alloc(1, sizeof *w->loaded_word);
    w->last_word = mt_alloc(1, sizeof *w->last_word);
    if (w->loaded_word == NULL || w->last_word == NULL)
        return MT_FAIL(err, MT_E_NOMEM, "model '%s'", opts->name);
    return mt_outbox_new(opts->loop, opts->on_pieces, opts->ctx, &w->outbox, err);
}

mt_rc mt_worker_start(const struct mt_worker_opts *opts, struct mt_worker **out,
                      struct mt_err *err)
{
    struct mt_worker *w = mt_alloc(1, sizeof *w);

    if (w == NULL)
        return MT_FAIL(err, MT_E_NOMEM, "model '%s'", opts->name);
    pthread_mutex_init(&w->lock, NULL);
    pthread_mutex_init(&w->tmpl_lock, NULL);
    pthread_cond_init(&w->wake, NULL);
    mt_rc rc = fill(w, opts, err);
    if (rc == MT_OK && pthread_create(&w->thread, NULL, run, w) != 0)
        rc = MT_FAIL(err, MT_E_IO, "a thread for model '%s'", opts->name);
    if (rc < 0) {
        worker_fini(w);
        return rc;
    }
    *out = w;
    return MT_OK;
}

void mt_worker_free(struct mt_worker *w)
{
    if (w == NULL)
        return;
    pthread_join(w->thread, NULL);
    worker_fini(w);
}

mt_rc mt_worker_count(struct mt_worker *w, struct mt_job *job, int64_t *out, struct mt_err *err)
{
    struct mt_prompt prompt = {.n = 0};
    struct mt_tmpl_prompt *tmpl = NULL;
    struct mt_tmpl_out shown = {.prompt = {NULL, 0}};
    mt_rc rc = MT_OK;

    if (!atomic_load(&w->is_ready) || w->tmpl == NULL)
        return MT_FAIL(err, MT_E_UNSUPPORTED, "model '%s' is not loaded", w->name);
    struct mt_str text = job->prompts_n > 0 ? job->prompts[0] : (struct mt_str){NULL, 0};
    bool is_chat = job->kind == MT_JOB_CHAT;
    if (is_chat)
        rc = mt_worker__render(w, job, &tmpl, &shown, err);
    if (rc == MT_OK)
        rc = is_chat ? mt_worker__tokenize_chat(w, &shown, &prompt, err)
                     : mt_worker__tokenize(w, text, true, true, &prompt, err);
    if (rc == MT_OK)
        *out = (int64_t)prompt.n;
    mt_free(prompt.tokens);
    if (tmpl != NULL)
        w->ll->tmpl->prompt_free(tmpl);
    return rc;
}

const struct mt_worker_facts *mt_worker_facts(const struct mt_worker *w)
{
    return &w->facts;
}
