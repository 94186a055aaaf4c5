/* SPDX-License-Identifier: Apache-2.0 */
/* A worker's mailbox, thread and step; see worker.h.
 *
 * Invariants: 1. every job taken from the mailbox gets exactly one last piece; 2. pieces reach
 * the loop in the order they were sent; 3. at most one delivery is posted at a time; 4. after
 * mt_worker_free() nothing is delivered. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "net/loop.h"
#include "system/env.h"
#include "worker_priv.h"

enum {
    SHARE_MIN = 64,                 /* fewer prompt tokens use the machine badly */
    SHARE_ALONE = MT_UBATCH_TOKENS, /* while nobody speaks who would have to wait */
    STEP_TARGET_MS =
        100, /* a step of prompt tokens beside speaking ones is kept about this long */
    ROOM_POLL_MS = 20, /* while the loop has not taken the pieces */
};

/* Between the thread and the loop. */
struct mt_outbox {
    pthread_mutex_t lock;
    bool is_posted;
    struct mt_piece *head, *tail;
    size_t n;
    struct mt_loop *loop;
    mt_pieces_fn *fn;
    void *ctx;
    struct mt_piece *local_head, *local_tail; /* the thread's, not yet handed over */
    size_t local_n;
};

int64_t mt_worker__now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* --- outbox --- */

static void free_pieces(struct mt_piece *pieces)
{
    while (pieces != NULL) {
        struct mt_piece *next = pieces->next;
        if (pieces->is_last)
            mt_job_unref(pieces->job);
        mt_piece_free(pieces);
        pieces = next;
    }
}

static void deliver(void *arg)
{
    struct mt_outbox *box = arg;

    pthread_mutex_lock(&box->lock);
    struct mt_piece *pieces = box->head;
    box->head = box->tail = NULL;
    box->n = 0;
    box->is_posted = false;
    pthread_mutex_unlock(&box->lock);
    if (pieces != NULL)
        box->fn(box->ctx, pieces); /* the worker, and the box with it, may be gone now */
}

static void outbox_free(struct mt_outbox *box)
{
    if (box == NULL)
        return;
    mt_loop_unpost(box->loop, deliver, box);
    free_pieces(box->head);
    free_pieces(box->local_head);
    pthread_mutex_destroy(&box->lock);
    mt_free(box);
}

void mt_worker__send(struct mt_worker *w, struct mt_piece *piece)
{
    struct mt_outbox *box = w->outbox;

    if (piece == NULL)
        return;
    if (box->local_tail != NULL)
        box->local_tail->next = piece;
    else
        box->local_head = piece;
    box->local_tail = piece;
    box->local_n++;
}

size_t mt_worker__held(const struct mt_worker *w)
{
    pthread_mutex_lock(&w->outbox->lock);
    size_t n = w->outbox->n;
    pthread_mutex_unlock(&w->outbox->lock);
    return n;
}

/* Hand over what was sent since the last time. A full mailbox of the loop means that it is far
 * behind: the pieces stay and go with the next flush. */
static void flush(struct mt_worker *w)
{
    struct mt_outbox *box = w->outbox;
    bool must_post = false;

    pthread_mutex_lock(&box->lock);
    if (box->local_head != NULL) {
        if (box->tail != NULL)
            box->tail->next = box->local_head;
        else
            box->head = box->local_head;
        box->tail = box->local_tail;
        box->n += box->local_n;
        box->local_head = box->local_tail = NULL;
        box->local_n = 0;
    }
    if (box->head != NULL && !box->is_posted)
        box->is_posted = must_post = true;
    pthread_mutex_unlock(&box->lock);
    if (!must_post || mt_loop_post(box->loop, deliver, box, NULL) == MT_OK)
        return;
    pthread_mutex_lock(&box->lock);
    box->is_posted = false;
    pthread_mutex_unlock(&box->lock);
}

/* --- mailbox --- */

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

static struct mt_job *take_one(struct mt_worker *w)
{
    pthread_mutex_lock(&w->lock);
    struct mt_job *job = w->mail_head;
    if (job != NULL) {
        w->mail_head = job->next;
        w->mail_tail = w->mail_head != NULL ? w->mail_tail : NULL;
        w->mail_n--;
    }
    pthread_mutex_unlock(&w->lock);
    return job;
}

/* What finds no slot stays in the mailbox, whose bound is the queue's. */
static void take_mail(struct mt_worker *w)
{
    while (!has_waiting(w)) {
        struct mt_job *job = take_one(w);
        if (job == NULL)
            return;
        mt_ask__begin(w, job);
    }
}

/* Jobs that were cancelled while they waited make room for others. */
static void sweep_mail(struct mt_worker *w)
{
    struct mt_job *gone = NULL;

    pthread_mutex_lock(&w->lock);
    struct mt_job **at = &w->mail_head;
    w->mail_tail = NULL;
    while (*at != NULL) {
        struct mt_job *job = *at;
        if (!atomic_load(&job->is_canceled)) {
            w->mail_tail = job;
            at = &job->next;
            continue;
        }
        *at = job->next;
        job->next = gone;
        gone = job;
        w->mail_n--;
    }
    pthread_mutex_unlock(&w->lock);
    while (gone != NULL) {
        struct mt_job *next = gone->next;
        mt_worker__send(w, mt_piece_last(gone, NULL, NULL));
        gone = next;
    }
}

static void wait_for_news(struct mt_worker *w, bool has_room_to_wait_for)
{
    pthread_mutex_lock(&w->lock);
    while (w->mail_head == NULL && !w->is_poked && !w->is_finishing &&
           !atomic_load(&w->is_aborted)) {
        if (!has_room_to_wait_for) {
            pthread_cond_wait(&w->wake, &w->lock);
            continue;
        }
        struct timespec until;
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_nsec += ROOM_POLL_MS * 1000000L;
        until.tv_sec += until.tv_nsec / 1000000000L;
        until.tv_nsec %= 1000000000L;
        pthread_cond_timedwait(&w->wake, &w->lock, &until);
        break;
    }
    w->is_poked = false;
    pthread_mutex_unlock(&w->lock);
}

static bool is_over(struct mt_worker *w)
{
    pthread_mutex_lock(&w->lock);
    bool is_idle = w->is_finishing && w->mail_head == NULL && w->asks == NULL;
    pthread_mutex_unlock(&w->lock);
    return is_idle || atomic_load(&w->is_aborted);
}

/* --- the step --- */

static void put(struct mt_worker *w, struct mt_choice_run *choice, llama_token token,
                bool wants_logits)
{
    struct llama_batch *b = &w->batch;
    int32_t at = b->n_tokens++;

    b->token[at] = token;
    b->pos[at] = (llama_pos)(choice->slot->cells_n + choice->taken++);
    b->n_seq_id[at] = 1;
    b->seq_id[at][0] = choice->slot->seq;
    b->logits[at] = wants_logits;
    if (wants_logits)
        choice->batch_at = at;
}

static void put_prompt(struct mt_worker *w, struct mt_choice_run *choice, size_t *share)
{
    const struct mt_prompt *prompt = &choice->ask->prompts[choice->prompt];
    size_t left = prompt->n - choice->slot->cells_n;
    size_t n = left < *share ? left : *share;

    *share -= n;
    for (size_t i = 0; i < n; i++)
        put(w, choice, prompt->tokens[choice->slot->cells_n + i], i + 1 == left);
}

/* Another choice is reading the same prompt: its sequence can be copied soon. */
static bool has_reading_sibling(const struct mt_choice_run *choice)
{
    const struct mt_ask *ask = choice->ask;

    for (size_t i = 0; i < ask->choices_n; i++)
        if (ask->choices[i].state == MT_CHOICE_PROMPT &&
            ask->choices[i].prompt == choice->prompt)
            return true;
    return false;
}

static void assign_slots(struct mt_worker *w)
{
    for (struct mt_ask *ask = w->asks; ask != NULL; ask = ask->next)
        for (size_t i = 0; i < ask->choices_n && !ask->is_failed; i++) {
            struct mt_choice_run *choice = &ask->choices[i];
            if (choice->state != MT_CHOICE_WAITS || has_reading_sibling(choice))
                continue;
            if (!mt_slot__assign(w, choice))
                return;
            choice->state = MT_CHOICE_PROMPT;
            mt_ask__started(w, ask);
        }
}

static bool may_go_on(const struct mt_choice_run *choice)
{
    const struct mt_job *job = choice->ask->job;
    return !atomic_load(&job->is_paused) && !atomic_load(&job->is_canceled);
}

static void fill_batch(struct mt_worker *w)
{
    size_t share;

    w->batch.n_tokens = 0;
    for (size_t i = 0; i < w->slots_n; i++) {
        struct mt_choice_run *choice = w->slots[i].choice;
        if (choice == NULL)
            continue;
        choice->taken = 0;
        if (choice->state == MT_CHOICE_SPEAKS && may_go_on(choice))
            put(w, choice, choice->next, true);
    }
    w->speakers_n = (size_t)w->batch.n_tokens;
    share = w->speakers_n > 0 ? w->share : SHARE_ALONE;
    for (size_t i = 0; i < w->slots_n && share > 0; i++) {
        /* a different one comes first each time, so that a long prompt does not starve others
         */
        struct mt_choice_run *choice = w->slots[(i + w->step_n) % w->slots_n].choice;
        if (choice != NULL && choice->state == MT_CHOICE_PROMPT && may_go_on(choice))
            put_prompt(w, choice, &share);
    }
}

/* Prompt tokens beside speaking sequences follow the machine: more while steps are short, fewer
 * when they are long. */
static void adapt_share(struct mt_worker *w, int64_t took_ns)
{
    size_t most = MT_BATCH_TOKENS - w->slots_n;
    size_t prompt_n = (size_t)w->batch.n_tokens - w->speakers_n;

    if (w->speakers_n == 0 || prompt_n == 0)
        return;
    if (took_ns < STEP_TARGET_MS * 500000LL && prompt_n == w->share)
        w->share = w->share * 2 < most ? w->share * 2 : most;
    else if (took_ns > STEP_TARGET_MS * 2000000LL && w->share > SHARE_MIN)
        w->share /= 2;
}

static void note_cells(struct mt_choice_run *choice)
{
    struct mt_slot *slot = choice->slot;
    struct mt_prompt *prompt = &choice->ask->prompts[choice->prompt];

    if (choice->state == MT_CHOICE_SPEAKS)
        slot->cells[slot->cells_n] = choice->next;
    else
        memcpy(slot->cells + slot->cells_n, prompt->tokens + slot->cells_n,
               choice->taken * sizeof *slot->cells);
    slot->cells_n += choice->taken;
    choice->taken = 0;
    prompt->is_read = prompt->is_read || slot->cells_n >= prompt->n;
}

/* The batch was not (wholly) computed: the sequences go back to where they were. */
static void undo(struct mt_worker *w, int32_t rc)
{
    static const struct mt_chat_error error = {
        .kind = MT_CHAT_ERR_INTERNAL,
        .message = MT_STR_INIT("llama.cpp could not compute the answer"),
        .retry_after_ms = -1,
    };

    for (size_t i = 0; i < w->slots_n; i++) {
        struct mt_choice_run *choice = w->slots[i].choice;
        if (choice == NULL || choice->taken == 0)
            continue;
        size_t had_n = w->slots[i].cells_n;
        mt_slot__cut(w, &w->slots[i], had_n);
        choice->taken = 0;
        choice->batch_at = -1;
        /* 2: aborted, because nobody waits any more. A sequence that could not go back (a
         * recurrent state) can read its prompt again, but not what it had said. */
        bool is_lost = w->slots[i].cells_n < had_n && choice->state == MT_CHOICE_SPEAKS;
        if (rc != 2 || is_lost)
            mt_ask__fail(w, choice->ask, &error);
    }
}

static void take_logits(struct mt_worker *w, int64_t now_ns)
{
    for (size_t i = 0; i < w->slots_n; i++) {
        struct mt_choice_run *choice = w->slots[i].choice;
        if (choice == NULL || choice->taken == 0)
            continue;
        note_cells(choice);
        if (choice->batch_at < 0 || choice->ask->is_failed)
            continue;
        if (choice->ask->first_ns == 0)
            choice->ask->first_ns = now_ns;
        mt_choice__step(w, choice);
    }
}

static void step_embeddings(struct mt_worker *w)
{
    for (struct mt_ask *ask = w->asks; ask != NULL; ask = ask->next)
        if (ask->job->kind == MT_JOB_EMBED && !ask->is_failed) {
            mt_embed__step(w, ask);
            return;
        }
}

static bool has_embeddings(const struct mt_worker *w)
{
    for (const struct mt_ask *ask = w->asks; ask != NULL; ask = ask->next)
        if (ask->job->kind == MT_JOB_EMBED && !ask->is_failed)
            return true;
    return false;
}

/* @return was there anything to do? */
static bool step(struct mt_worker *w)
{
    bool has_embedded = has_embeddings(w);

    step_embeddings(w);
    if (w->ctx == NULL)
        return has_embedded;
    assign_slots(w);
    fill_batch(w);
    if (w->batch.n_tokens == 0)
        return has_embedded;
    w->step_n++;
    int64_t begun = mt_worker__now_ns();
    int32_t rc = w->ll->llama_decode(w->ctx, w->batch);
    int64_t now = mt_worker__now_ns();
    if (rc != 0) {
        undo(w, rc);
        return true;
    }
    adapt_share(w, now - begun);
    take_logits(w, now);
    return true;
}

/* --- the thread --- */

static void tell_loaded(struct mt_worker *w)
{
    mt_worker__send(w, mt_alloc(1, sizeof(struct mt_piece)));
    atomic_store(&w->is_ready, true);
    flush(w);
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
    pthread_mutex_unlock(&w->lock);
    while (job != NULL) {
        struct mt_job *next = job->next;
        mt_worker__send(w, mt_piece_last(job, &error, NULL));
        job = next;
    }
    mt_ask__sweep(w);
    struct mt_piece *last = mt_piece_last(NULL, &error, NULL);
    mt_worker__send(w, last);
}

static void work(struct mt_worker *w)
{
    while (!is_over(w)) {
        sweep_mail(w);
        take_mail(w);
        mt_ask__sweep(w);
        bool is_full = mt_worker__held(w) > MT_HELD_PIECES_MAX;
        bool did = !is_full && step(w);
        mt_ask__sweep(w);
        flush(w);
        if (!did && !is_over(w))
            wait_for_news(w, is_full);
    }
}

static void *run(void *arg)
{
    struct mt_worker *w = arg;
    struct mt_err err = {.rc = MT_E_CANCELED, .text = "the model was unloaded"};

    if (mt_worker__load(w, &err) == MT_OK) {
        tell_loaded(w);
        work(w);
        err.rc = MT_E_CANCELED;
    }
    atomic_store(&w->is_ready, false);
    fail_all(w, &err);
    pthread_mutex_lock(&w->tmpl_lock); /* mt_worker_count() may be inside */
    mt_worker__unload(w);
    pthread_mutex_unlock(&w->tmpl_lock);
    flush(w);
    return NULL;
}

/* --- the loop's side --- */

static mt_rc outbox_new(const struct mt_worker_opts *opts, struct mt_outbox **out,
                        struct mt_err *err)
{
    struct mt_outbox *box = mt_alloc(1, sizeof *box);

    if (box == NULL)
        return MT_FAIL(err, MT_E_NOMEM, "mailbox");
    pthread_mutex_init(&box->lock, NULL);
    box->loop = opts->loop;
    box->fn = opts->on_pieces;
    box->ctx = opts->ctx;
    *out = box;
    return MT_OK;
}

static void worker_fini(struct mt_worker *w)
{
    outbox_free(w->outbox);
    pthread_mutex_destroy(&w->lock);
    pthread_mutex_destroy(&w->tmpl_lock);
    pthread_cond_destroy(&w->wake);
    mt_free(w->name);
    mt_free(w->path);
    mt_free(w->lora_path);
    mt_free(w);
}

static mt_rc fill(struct mt_worker *w, const struct mt_worker_opts *opts, struct mt_err *err)
{
    w->opts = *opts;
    w->share = SHARE_MIN;
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
    return outbox_new(opts, &w->outbox, err);
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

mt_rc mt_worker_post(struct mt_worker *w, struct mt_job *job, struct mt_err *err)
{
    mt_rc rc = MT_OK;

    job->posted_ns = mt_worker__now_ns();
    pthread_mutex_lock(&w->lock);
    if (w->mail_n >= w->opts.queue_max || w->is_finishing) {
        rc = MT_FAIL(err, MT_E_BUSY, "model '%s': %zu requests wait already", w->name,
                     w->mail_n);
    } else {
        atomic_fetch_add(&job->refs, 1);
        job->next = NULL;
        if (w->mail_tail != NULL)
            w->mail_tail->next = job;
        else
            w->mail_head = job;
        w->mail_tail = job;
        w->mail_n++;
        pthread_cond_signal(&w->wake);
    }
    pthread_mutex_unlock(&w->lock);
    return rc;
}

void mt_worker_wake(struct mt_worker *w)
{
    pthread_mutex_lock(&w->lock);
    w->is_poked = true;
    pthread_cond_signal(&w->wake);
    pthread_mutex_unlock(&w->lock);
}

void mt_worker_finish(struct mt_worker *w)
{
    pthread_mutex_lock(&w->lock);
    w->is_finishing = true;
    pthread_cond_signal(&w->wake);
    pthread_mutex_unlock(&w->lock);
}

void mt_worker_abort(struct mt_worker *w)
{
    atomic_store(&w->is_aborted, true);
    mt_worker_wake(w);
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
    if (job->kind == MT_JOB_CHAT) {
        rc = mt_worker__render(w, job, &tmpl, &shown, err);
        text = (struct mt_str){shown.prompt.at, shown.prompt.len};
    }
    if (rc == MT_OK)
        rc = mt_worker__tokenize(w, text, job->kind == MT_JOB_CHAT, true, &prompt, err);
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
