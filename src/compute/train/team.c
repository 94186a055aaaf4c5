/* SPDX-License-Identifier: Apache-2.0 */
/* One meeting point serves everything: members wait there for a job, meet there within it, and
 * come back to it when they are done. Invariant: arrived_n < threads_n whenever lock is free.
 */
#include "team.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/assert.h"

/* Looks before a member sleeps, some 20 us: the members of a job come within less of each
 * other, and waking one up takes longer. */
enum { LOOKS = 500 };

struct member {
    struct mt_team *team;
    pthread_t thread;
    unsigned index;
};

struct mt_team {
    pthread_mutex_t lock;
    pthread_cond_t met;
    atomic_uint meetings_n; /* grows, under lock, when the last member arrives */
    unsigned arrived_n;
    unsigned threads_n;
    unsigned looks_n; /* 0 when members have to share processors */
    bool is_ending;
    mt_team_fn *fn;
    void *arg;
    struct member members[];
};

static void look_away(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#endif
}

void mt_team_meet(struct mt_team *team)
{
    pthread_mutex_lock(&team->lock);
    unsigned before = atomic_load_explicit(&team->meetings_n, memory_order_relaxed);
    bool is_last = ++team->arrived_n == team->threads_n;
    if (is_last) {
        team->arrived_n = 0;
        atomic_store_explicit(&team->meetings_n, before + 1, memory_order_release);
        pthread_cond_broadcast(&team->met);
    }
    pthread_mutex_unlock(&team->lock);
    if (is_last)
        return;
    for (unsigned i = 0; i < team->looks_n; i++) {
        if (atomic_load_explicit(&team->meetings_n, memory_order_acquire) != before)
            return;
        look_away();
    }
    pthread_mutex_lock(&team->lock);
    while (atomic_load_explicit(&team->meetings_n, memory_order_relaxed) == before)
        pthread_cond_wait(&team->met, &team->lock);
    pthread_mutex_unlock(&team->lock);
}

static void *work(void *arg)
{
    const struct member *member = arg;
    struct mt_team *team = member->team;
    char name[16];

    snprintf(name, sizeof name, "train-%u", member->index);
    pthread_setname_np(pthread_self(), name);
    for (;;) {
        mt_team_meet(team);
        if (team->is_ending)
            return NULL;
        team->fn(team->arg, member->index);
        mt_team_meet(team);
    }
}

void mt_team_run(struct mt_team *team, mt_team_fn *fn, void *arg)
{
    team->fn = fn;
    team->arg = arg;
    mt_team_meet(team);
    fn(arg, 0);
    mt_team_meet(team);
}

/* Members inherit a full mask: signals go to the threads that wait for them. */
static int start_member(struct member *member)
{
    sigset_t all, before;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = pthread_create(&member->thread, NULL, work, member);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return failed;
}

/* End a team of which threads_n run, the caller's among them. */
static void disband(struct mt_team *team, unsigned threads_n)
{
    pthread_mutex_lock(&team->lock);
    team->threads_n = threads_n; /* those that never started will not come */
    team->is_ending = true;
    pthread_mutex_unlock(&team->lock);
    mt_team_meet(team);
    for (unsigned i = 1; i < threads_n; i++)
        pthread_join(team->members[i].thread, NULL);
    pthread_cond_destroy(&team->met);
    pthread_mutex_destroy(&team->lock);
    mt_free(team);
}

mt_rc mt_team_new(unsigned threads_n, struct mt_team **out, struct mt_err *err)
{
    MT_ASSERT(threads_n > 0 && threads_n <= MT_TEAM_THREADS_MAX);
    struct mt_team *team = mt_alloc(1, sizeof *team + threads_n * sizeof *team->members);

    if (team == NULL)
        return MT_FAIL(err, MT_E_NOMEM, "team of %u threads", threads_n);
    pthread_mutex_init(&team->lock, NULL);
    pthread_cond_init(&team->met, NULL);
    team->threads_n = threads_n;
    team->looks_n = (long)threads_n <= sysconf(_SC_NPROCESSORS_ONLN) ? LOOKS : 0;
    for (unsigned i = 1; i < threads_n; i++) {
        team->members[i].team = team;
        team->members[i].index = i;
        int failed = start_member(&team->members[i]);
        if (failed != 0) {
            disband(team, i);
            return MT_FAIL_SYS(err, MT_E_IO, failed, "thread %u of %u for training", i + 1,
                               threads_n);
        }
    }
    *out = team;
    return MT_OK;
}

void mt_team_free(struct mt_team *team)
{
    if (team != NULL)
        disband(team, team->threads_n);
}
