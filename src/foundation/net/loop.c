/* SPDX-License-Identifier: Apache-2.0 */
/* The event loop: libuv's, a mailbox for other threads, and work at the end of a turn.
 *
 * Owner thread: the one that runs it. Invariants: 1. the mailbox is a ring with mail_n <=
 * MAIL_MAX, guarded by its mutex; nothing else is shared. 2. A turn stands in the due list
 * exactly when is_due_ is set. */
#include "net/loop.h"

#include <signal.h>
#include <time.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "loop_priv.h"

enum {
    MAIL_MAX = 65536,
    MAIL_PER_TURN = 4096, /* then sockets have their turn again */
    TURNS_MAX = 256
};

struct letter {
    void (*fn)(void *arg);
    void *arg;
};

struct mt_loop {
    uv_loop_t uv;
    uv_check_t check;
    uv_prepare_t prepare;
    uv_idle_t idle; /* runs only while work was left over: the loop must not sleep */
    uv_async_t wake;
    uv_mutex_t mail_lock;
    struct letter *mail; /* ring of MAIL_MAX, pages in use as needed */
    size_t mail_head;
    size_t mail_n;
    struct mt_turn *due_first;
    struct mt_turn *due_last;
    struct mt_loop_guest *guests;
};

static void on_idle(uv_idle_t *idle)
{
    (void)idle; /* its being there is what counts */
}

/* Turns may make others due, or themselves again; a bounded number runs before sockets and
 * timers have their share. */
static void run_turns(struct mt_loop *loop)
{
    for (int n = 0; n < TURNS_MAX && loop->due_first != NULL; n++) {
        struct mt_turn *turn = loop->due_first;

        loop->due_first = turn->next_;
        if (loop->due_first == NULL)
            loop->due_last = NULL;
        turn->next_ = NULL;
        turn->is_due_ = false;
        turn->fn(turn->owner);
    }
    if (loop->due_first == NULL)
        uv_idle_stop(&loop->idle);
    else
        uv_idle_start(&loop->idle, on_idle);
}

static void on_check(uv_check_t *check)
{
    run_turns(check->data);
}

static void on_prepare(uv_prepare_t *prepare)
{
    run_turns(prepare->data);
}

void mt_loop__at_turn(struct mt_loop *loop, struct mt_turn *turn)
{
    if (turn->is_due_)
        return;
    turn->is_due_ = true;
    turn->next_ = NULL;
    if (loop->due_last == NULL)
        loop->due_first = turn;
    else
        loop->due_last->next_ = turn;
    loop->due_last = turn;
}

void mt_loop__drop_turn(struct mt_loop *loop, struct mt_turn *turn)
{
    struct mt_turn *before = NULL;

    if (!turn->is_due_)
        return;
    for (struct mt_turn *at = loop->due_first; at != turn; at = at->next_)
        before = at;
    if (before == NULL)
        loop->due_first = turn->next_;
    else
        before->next_ = turn->next_;
    if (loop->due_last == turn)
        loop->due_last = before;
    turn->next_ = NULL;
    turn->is_due_ = false;
}

void mt_loop__adopt(struct mt_loop *loop, struct mt_loop_guest *guest)
{
    guest->next_ = loop->guests;
    loop->guests = guest;
}

static mt_rc mail_put(struct mt_loop *loop, struct letter letter, bool *was_empty,
                      struct mt_err *err)
{
    if (loop->mail_n == MAIL_MAX)
        return MT_FAIL(err, MT_E_BUSY, "loop: the mailbox holds its limit of %d calls",
                       (int)MAIL_MAX);
    *was_empty = loop->mail_n == 0;
    if (*was_empty)
        loop->mail_head = 0; /* a quiet loop touches one page of the ring */
    loop->mail[(loop->mail_head + loop->mail_n) % MAIL_MAX] = letter;
    loop->mail_n++;
    return MT_OK;
}

static bool mail_take(struct mt_loop *loop, struct letter *out)
{
    bool found;

    uv_mutex_lock(&loop->mail_lock);
    found = loop->mail_n > 0;
    if (found) {
        *out = loop->mail[loop->mail_head];
        loop->mail_head = (loop->mail_head + 1) % MAIL_MAX;
        loop->mail_n--;
    }
    uv_mutex_unlock(&loop->mail_lock);
    return found;
}

static void on_wake(uv_async_t *wake)
{
    struct mt_loop *loop = wake->data;
    struct letter letter;

    for (int i = 0; i < MAIL_PER_TURN; i++) {
        if (!mail_take(loop, &letter))
            return;
        letter.fn(letter.arg);
    }
    uv_async_send(&loop->wake);
}

mt_rc mt_loop_post(struct mt_loop *loop, void (*fn)(void *arg), void *arg, struct mt_err *err)
{
    bool was_empty = false;

    uv_mutex_lock(&loop->mail_lock);
    mt_rc rc = mail_put(loop, (struct letter){fn, arg}, &was_empty, err);
    uv_mutex_unlock(&loop->mail_lock);
    if (rc == MT_OK && was_empty)
        uv_async_send(&loop->wake);
    return rc;
}

void mt_loop_unpost(struct mt_loop *loop, void (*fn)(void *arg), void *arg)
{
    size_t kept = 0;

    uv_mutex_lock(&loop->mail_lock);
    for (size_t i = 0; i < loop->mail_n; i++) {
        struct letter letter = loop->mail[(loop->mail_head + i) % MAIL_MAX];
        if (letter.fn != fn || letter.arg != arg)
            loop->mail[(loop->mail_head + kept++) % MAIL_MAX] = letter;
    }
    loop->mail_n = kept;
    uv_mutex_unlock(&loop->mail_lock);
}

/* The handles every loop has. Only the async one can fail (it opens a descriptor). */
static int start_handles(struct mt_loop *loop)
{
    int rc = uv_async_init(&loop->uv, &loop->wake, on_wake);

    if (rc != 0)
        return rc;
    uv_check_init(&loop->uv, &loop->check);
    uv_prepare_init(&loop->uv, &loop->prepare);
    uv_idle_init(&loop->uv, &loop->idle);
    loop->wake.data = loop->check.data = loop->prepare.data = loop;
    uv_check_start(&loop->check, on_check);
    uv_prepare_start(&loop->prepare, on_prepare);
    return 0;
}

mt_rc mt_loop_new(struct mt_loop **out, struct mt_err *err)
{
    struct mt_loop *loop = mt_alloc(1, sizeof *loop);
    int uv_rc;

    if (loop != NULL)
        loop->mail = mt_alloc(MAIL_MAX, sizeof *loop->mail);
    if (loop == NULL || loop->mail == NULL) {
        mt_free(loop);
        return MT_FAIL(err, MT_E_NOMEM, "loop");
    }
    uv_rc = uv_loop_init(&loop->uv);
    if (uv_rc != 0) {
        mt_free(loop->mail);
        mt_free(loop);
        return MT_FAIL(err, MT_E_IO, "loop: %s", uv_strerror(uv_rc));
    }
    uv_rc = uv_mutex_init(&loop->mail_lock);
    if (uv_rc == 0)
        uv_rc = start_handles(loop);
    if (uv_rc != 0) {
        (void)uv_loop_close(&loop->uv);
        mt_free(loop->mail);
        mt_free(loop);
        return MT_FAIL(err, MT_E_IO, "loop: %s", uv_strerror(uv_rc));
    }
    signal(SIGPIPE, SIG_IGN); /* a peer that left is an error code, not a signal */
    *out = loop;
    return MT_OK;
}

void mt_loop_run(struct mt_loop *loop)
{
    (void)uv_run(&loop->uv, UV_RUN_DEFAULT); /* what is left is closed by free */
}

void mt_loop_stop(struct mt_loop *loop)
{
    uv_stop(&loop->uv);
}

void mt_loop_free(struct mt_loop *loop)
{
    if (loop == NULL)
        return;
    while (loop->guests != NULL) {
        struct mt_loop_guest *guest = loop->guests;

        loop->guests = guest->next_;
        guest->close(guest);
    }
    uv_close((uv_handle_t *)&loop->wake, NULL);
    uv_close((uv_handle_t *)&loop->check, NULL);
    uv_close((uv_handle_t *)&loop->prepare, NULL);
    uv_close((uv_handle_t *)&loop->idle, NULL);
    while (uv_run(&loop->uv, UV_RUN_DEFAULT) != 0) /* closes to their end, stopped or not */
        continue;
    int uv_rc = uv_loop_close(&loop->uv);
    MT_ASSERT(uv_rc == 0); /* an object made on the loop is still open */
    uv_mutex_destroy(&loop->mail_lock);
    mt_free(loop->mail);
    mt_free(loop);
}

int64_t mt_loop_now_ms(const struct mt_loop *loop)
{
    return (int64_t)uv_now(&loop->uv);
}

int64_t mt_loop_clock_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

struct uv_loop_s *mt_loop_uv(struct mt_loop *loop)
{
    return &loop->uv;
}
