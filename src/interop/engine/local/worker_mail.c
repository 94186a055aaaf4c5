/* SPDX-License-Identifier: Apache-2.0 */
/* A worker's mailbox: jobs that wait, and the words that end or wake the thread. Bounded by
 * queue_max; what finds no slot waits here. */
#include <time.h>

#include "worker_priv.h"

enum { POLL_MS = 20 }; /* while the loop has not taken the pieces */

struct mt_job *mt_mail__take(struct mt_worker *w)
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

/* Take what was cancelled out of the mailbox; under the lock. */
static struct mt_job *take_canceled(struct mt_worker *w)
{
    struct mt_job *gone = NULL;
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
    return gone;
}

void mt_mail__sweep(struct mt_worker *w)
{
    pthread_mutex_lock(&w->lock);
    struct mt_job *gone = take_canceled(w);
    pthread_mutex_unlock(&w->lock);
    while (gone != NULL) {
        struct mt_job *next = gone->next;
        mt_outbox_add(w->outbox, mt_piece_last(gone, NULL, NULL));
        gone = next;
    }
}

/* While the model is loaded nobody else sweeps. On the loop nothing has to be told. */
static void make_room(struct mt_worker *w)
{
    struct mt_job *gone = take_canceled(w);

    while (gone != NULL) {
        struct mt_job *next = gone->next;
        mt_job_unref(gone);
        gone = next;
    }
}

void mt_mail__wait(struct mt_worker *w, bool must_poll)
{
    pthread_mutex_lock(&w->lock);
    while (!w->is_poked && !atomic_load(&w->is_aborted)) {
        if (!must_poll) {
            pthread_cond_wait(&w->wake, &w->lock);
            continue;
        }
        struct timespec until;
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_nsec += POLL_MS * 1000000L;
        until.tv_sec += until.tv_nsec / 1000000000L;
        until.tv_nsec %= 1000000000L;
        pthread_cond_timedwait(&w->wake, &w->lock, &until);
        break;
    }
    w->is_poked = false;
    pthread_mutex_unlock(&w->lock);
}

bool mt_mail__is_over(struct mt_worker *w)
{
    pthread_mutex_lock(&w->lock);
    bool is_idle = w->is_finishing && w->mail_head == NULL && w->asks == NULL;
    pthread_mutex_unlock(&w->lock);
    return is_idle || atomic_load(&w->is_aborted);
}

mt_rc mt_worker_post(struct mt_worker *w, struct mt_job *job, struct mt_err *err)
{
    mt_rc rc = MT_OK;

    job->posted_ns = mt_worker__now_ns();
    pthread_mutex_lock(&w->lock);
    if (w->mail_n >= w->opts.queue_max)
        make_room(w);
    if (w->end.rc < 0) { /* the loop has not heard of it yet */
        rc = MT_FAIL(err, w->end.rc, "%s", w->end.text);
    } else if (w->is_finishing) {
        rc = MT_FAIL(err, MT_E_BUSY, "model '%s' is going", w->name);
    } else if (w->mail_n >= w->opts.queue_max) {
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
        w->is_poked = true;
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
    w->is_finishing = w->is_poked = true;
    pthread_cond_signal(&w->wake);
    pthread_mutex_unlock(&w->lock);
}

void mt_worker_abort(struct mt_worker *w)
{
    atomic_store(&w->is_aborted, true);
    mt_worker_wake(w);
}
