/* SPDX-License-Identifier: Apache-2.0 */
/* A ring of jobs under one mutex. Invariants: n <= max; jobs at first .. first + n - 1, modulo
 * max, wait; once is_ending, nothing is added. */
#include "system/pool.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/assert.h"

struct job {
    mt_pool_fn *fn;
    void *arg;
};

struct mt_pool {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    pthread_t thread;
    char name[16];
    bool is_ending;
    size_t first, n, max;
    struct job jobs[];
};

static bool take_job(struct mt_pool *pool, struct job *out)
{
    pthread_mutex_lock(&pool->lock);
    while (pool->n == 0 && !pool->is_ending)
        pthread_cond_wait(&pool->changed, &pool->lock);
    bool has_job = pool->n > 0;
    if (has_job) {
        *out = pool->jobs[pool->first];
        pool->first = (pool->first + 1) % pool->max;
        pool->n--;
    }
    pthread_mutex_unlock(&pool->lock);
    return has_job;
}

static void *work(void *arg)
{
    struct mt_pool *pool = arg;
    struct job job;

    pthread_setname_np(pthread_self(), pool->name);
    while (take_job(pool, &job))
        job.fn(job.arg);
    return NULL;
}

/* The thread inherits a full mask: signals go to the threads that wait for them. */
static int start_thread(struct mt_pool *pool)
{
    sigset_t all, before;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = pthread_create(&pool->thread, NULL, work, pool);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return failed;
}

mt_rc mt_pool_new(const char *name, size_t queue_max, struct mt_pool **out, struct mt_err *err)
{
    MT_ASSERT(queue_max > 0 && queue_max < SIZE_MAX / sizeof(struct job) / 2);
    struct mt_pool *pool = mt_alloc(1, sizeof *pool + queue_max * sizeof(struct job));

    if (pool == NULL)
        return MT_FAIL(err, MT_E_NOMEM, "pool '%s' of %zu jobs", name, queue_max);
    pool->max = queue_max;
    snprintf(pool->name, sizeof pool->name, "%s", name);
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->changed, NULL);
    int failed = start_thread(pool);
    if (failed != 0) {
        pthread_cond_destroy(&pool->changed);
        pthread_mutex_destroy(&pool->lock);
        mt_free(pool);
        return MT_FAIL_SYS(err, MT_E_IO, failed, "thread of pool '%s'", name);
    }
    *out = pool;
    return MT_OK;
}

mt_rc mt_pool_post(struct mt_pool *pool, mt_pool_fn *fn, void *arg, struct mt_err *err)
{
    pthread_mutex_lock(&pool->lock);
    MT_ASSERT(!pool->is_ending);
    bool has_room = pool->n < pool->max;
    if (has_room) {
        pool->jobs[(pool->first + pool->n) % pool->max] = (struct job){fn, arg};
        pool->n++;
        pthread_cond_signal(&pool->changed);
    }
    pthread_mutex_unlock(&pool->lock);
    if (!has_room)
        return MT_FAIL(err, MT_E_BUSY, "pool '%s': its queue of %zu jobs is full", pool->name,
                       pool->max);
    return MT_OK;
}

void mt_pool_free(struct mt_pool *pool)
{
    if (pool == NULL)
        return;
    pthread_mutex_lock(&pool->lock);
    pool->is_ending = true;
    pthread_cond_signal(&pool->changed);
    pthread_mutex_unlock(&pool->lock);
    pthread_join(pool->thread, NULL);
    pthread_cond_destroy(&pool->changed);
    pthread_mutex_destroy(&pool->lock);
    mt_free(pool);
}
