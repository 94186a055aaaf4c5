/* SPDX-License-Identifier: Apache-2.0 */
#include "support/test.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "net/loop.h"

enum { DEADLINE_MS = 10000, POSTERS = 4, POSTS_EACH = 20000 };

struct bench {
    struct mt_loop *loop;
    struct mt_timer *late;
    unsigned seen_n;
    unsigned wanted_n;
    bool is_late;
    bool is_in_order;
    size_t last[POSTERS];
};

static void on_late(void *arg)
{
    struct bench *bench = arg;

    bench->is_late = true;
    mt_loop_stop(bench->loop);
}

static void up(struct bench *bench, unsigned wanted_n)
{
    struct mt_err err;

    memset(bench, 0, sizeof *bench);
    bench->wanted_n = wanted_n;
    bench->is_in_order = true;
    assert_int_equal(mt_loop_new(&bench->loop, &err), MT_OK);
    assert_int_equal(mt_timer_new(bench->loop, on_late, bench, &bench->late, &err), MT_OK);
}

static void run(struct bench *bench)
{
    mt_timer_start(bench->late, DEADLINE_MS);
    mt_loop_run(bench->loop);
    assert_false(bench->is_late);
}

static void down(struct bench *bench)
{
    mt_timer_free(bench->late);
    mt_loop_free(bench->loop);
    assert_int_equal(mt_alloc_live, 0);
}

static void seen(struct bench *bench)
{
    bench->seen_n++;
    if (bench->seen_n == bench->wanted_n)
        mt_loop_stop(bench->loop);
}

static void on_timer(void *arg)
{
    seen(arg);
}

static void timers_fire_once_and_stop_when_told(void **state)
{
    (void)state;
    struct bench bench;
    struct mt_timer *once = NULL;
    struct mt_timer *stopped = NULL;
    struct mt_timer *moved = NULL;

    up(&bench, 2);
    assert_int_equal(mt_timer_new(bench.loop, on_timer, &bench, &once, NULL), MT_OK);
    assert_int_equal(mt_timer_new(bench.loop, on_timer, &bench, &stopped, NULL), MT_OK);
    assert_int_equal(mt_timer_new(bench.loop, on_timer, &bench, &moved, NULL), MT_OK);
    mt_timer_start(once, 1);
    mt_timer_start(stopped, 1);
    mt_timer_stop(stopped);
    mt_timer_stop(stopped);
    mt_timer_start(moved, 100000);
    int64_t before_ms = mt_loop_now_ms(bench.loop);
    mt_timer_start(moved, 20); /* replaces */
    run(&bench);
    assert_int_equal(bench.seen_n, 2);
    assert_true(mt_loop_now_ms(bench.loop) - before_ms >= 19);
    mt_timer_free(once);
    mt_timer_free(stopped);
    mt_timer_free(moved);
    mt_timer_free(NULL);
    down(&bench);
}

struct poster {
    struct bench *bench;
    size_t id;
    struct note {
        struct poster *poster;
        size_t n;
    } note[POSTS_EACH];
};

static void on_note(void *arg)
{
    struct note *note = arg;
    struct bench *bench = note->poster->bench;

    if (note->n != bench->last[note->poster->id])
        bench->is_in_order = false;
    bench->last[note->poster->id]++;
    seen(bench);
}

static void *post_all(void *arg)
{
    struct poster *poster = arg;

    for (size_t i = 0; i < POSTS_EACH; i++) {
        poster->note[i] = (struct note){poster, i};
        mt_rc rc = MT_E_BUSY;
        while (rc == MT_E_BUSY) /* full: back-pressure */
            rc = mt_loop_post(poster->bench->loop, on_note, &poster->note[i], NULL);
        if (rc != MT_OK)
            abort();
    }
    return NULL;
}

static void posts_of_many_threads_arrive_once_and_in_order(void **state)
{
    (void)state;
    struct bench bench;
    pthread_t thread[POSTERS];
    struct poster *posters = calloc(POSTERS, sizeof *posters);

    assert_non_null(posters);
    up(&bench, POSTERS * POSTS_EACH);
    for (size_t i = 0; i < POSTERS; i++) {
        posters[i].bench = &bench;
        posters[i].id = i;
        assert_int_equal(pthread_create(&thread[i], NULL, post_all, &posters[i]), 0);
    }
    run(&bench);
    for (size_t i = 0; i < POSTERS; i++)
        assert_int_equal(pthread_join(thread[i], NULL), 0);
    assert_true(bench.is_in_order);
    assert_int_equal(bench.seen_n, POSTERS * POSTS_EACH);
    down(&bench);
    free(posters);
}

static void full_mailbox_says_busy(void **state)
{
    (void)state;
    struct bench bench;
    struct mt_err err;
    unsigned posted_n = 0;

    up(&bench, 65536);
    while (mt_loop_post(bench.loop, on_timer, &bench, &err) == MT_OK)
        posted_n++;
    assert_int_equal(posted_n, 65536);
    assert_int_equal(err.rc, MT_E_BUSY);
    run(&bench);
    down(&bench);
}

static void on_signal(void *arg, int signum)
{
    assert_int_equal(signum, SIGUSR1);
    seen(arg);
}

static void send_signal(void *arg)
{
    (void)arg;
    raise(SIGUSR1);
}

static void signals_arrive_on_the_loop(void **state)
{
    (void)state;
    struct bench bench;
    struct mt_err err;

    up(&bench, 1);
    assert_int_equal(mt_loop_on_signal(bench.loop, SIGUSR1, on_signal, &bench, &err), MT_OK);
    assert_int_equal(mt_loop_on_signal(bench.loop, 9999, on_signal, &bench, &err),
                     MT_E_INVALID);
    assert_int_equal(mt_loop_post(bench.loop, send_signal, NULL, &err), MT_OK);
    run(&bench);
    down(&bench);
}

struct folder {
    struct bench bench;
    char dir[64];
    char path[96];
    unsigned step_n;
};

static void write_file(const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, "x", 1), 1);
    close(fd);
}

/* As editors do: a new file renamed over the old one. */
static void replace_file(void *arg)
{
    struct folder *folder = arg;
    char other[128];

    snprintf(other, sizeof other, "%s/other", folder->dir);
    write_file(other);
    assert_int_equal(rename(other, folder->path), 0);
}

/* Reported for the replacement, then for a plain write through the new file. */
static void on_file(void *arg)
{
    struct folder *folder = arg;

    folder->step_n++;
    if (folder->step_n == 1)
        write_file(folder->path);
    else
        mt_loop_stop(folder->bench.loop);
}

static void files_are_watched_across_a_rename(void **state)
{
    (void)state;
    struct folder folder = {.dir = "/tmp/mt-loop-XXXXXX"};
    struct mt_err err;

    assert_non_null(mkdtemp(folder.dir));
    snprintf(folder.path, sizeof folder.path, "%s/file", folder.dir);
    write_file(folder.path);
    up(&folder.bench, 0);
    assert_int_equal(mt_loop_on_file(folder.bench.loop, folder.path, on_file, &folder, &err),
                     MT_OK);
    assert_int_equal(
        mt_loop_on_file(folder.bench.loop, "/no/such/folder/x", on_file, &folder, &err),
        MT_E_NOTFOUND);
    assert_int_equal(mt_loop_post(folder.bench.loop, replace_file, &folder, &err), MT_OK);
    run(&folder.bench);
    assert_true(folder.step_n >= 2);
    down(&folder.bench);
    unlink(folder.path);
    rmdir(folder.dir);
}

static mt_rc make_all(struct mt_loop **loop, struct mt_timer **timer)
{
    struct mt_err err;

    MT_TRY(mt_loop_new(loop, &err));
    MT_TRY(mt_timer_new(*loop, on_timer, NULL, timer, &err));
    MT_TRY(mt_loop_on_signal(*loop, SIGUSR2, on_signal, NULL, &err));
    MT_TRY(mt_loop_on_file(*loop, "/tmp/x", on_timer, NULL, &err));
    return mt_loop_post(*loop, on_timer, NULL, &err);
}

static void any_failed_allocation_leaves_nothing_behind(void **state)
{
    (void)state;
    mt_rc rc = MT_E_NOMEM;

    for (long nth = 0; rc != MT_OK; nth++) {
        struct mt_loop *loop = NULL;
        struct mt_timer *timer = NULL;

        mt_alloc_fail_after = nth;
        rc = make_all(&loop, &timer);
        mt_alloc_fail_after = -1;
        assert_true(rc == MT_OK || rc == MT_E_NOMEM);
        assert_true(nth > 3 || rc != MT_OK);
        mt_timer_free(timer);
        if (rc == MT_OK) /* the letter that was posted is not delivered: nobody runs */
            mt_loop_stop(loop);
        mt_loop_free(loop);
        assert_int_equal(mt_alloc_live, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(timers_fire_once_and_stop_when_told),
        cmocka_unit_test(posts_of_many_threads_arrive_once_and_in_order),
        cmocka_unit_test(full_mailbox_says_busy),
        cmocka_unit_test(signals_arrive_on_the_loop),
        cmocka_unit_test(files_are_watched_across_a_rename),
        cmocka_unit_test(any_failed_allocation_leaves_nothing_behind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
