/* SPDX-License-Identifier: Apache-2.0 */
#include "outbox.h"

#include <pthread.h>

#include "base/alloc.h"
#include "net/loop.h"

struct list {
    struct mt_piece *head, *tail;
    size_t n;
};

struct mt_outbox {
    struct mt_loop *loop;
    mt_pieces_fn *fn;
    void *ctx;
    struct list added; /* the thread's, not yet handed over */
    pthread_mutex_t lock;
    /* under the lock */
    struct list ready;
    bool is_posted;
};

static void append(struct list *to, const struct list *what)
{
    if (to->tail != NULL)
        to->tail->next = what->head;
    else
        to->head = what->head;
    to->tail = what->tail;
    to->n += what->n;
}

static void drop_all(struct list *list)
{
    while (list->head != NULL) {
        struct mt_piece *next = list->head->next;
        mt_piece_drop(list->head);
        list->head = next;
    }
}

static void deliver(void *arg)
{
    struct mt_outbox *box = arg;

    pthread_mutex_lock(&box->lock);
    struct mt_piece *pieces = box->ready.head;
    box->ready = (struct list){.head = NULL};
    box->is_posted = false;
    pthread_mutex_unlock(&box->lock);
    if (pieces != NULL)
        box->fn(box->ctx, pieces); /* the worker, and the box with it, may be gone now */
}

mt_rc mt_outbox_new(struct mt_loop *loop, mt_pieces_fn *fn, void *ctx, struct mt_outbox **out,
                    struct mt_err *err)
{
    struct mt_outbox *box = mt_alloc(1, sizeof *box);

    if (box == NULL)
        return MT_FAIL(err, MT_E_NOMEM, "an outbox");
    pthread_mutex_init(&box->lock, NULL);
    box->loop = loop;
    box->fn = fn;
    box->ctx = ctx;
    *out = box;
    return MT_OK;
}

void mt_outbox_free(struct mt_outbox *box)
{
    if (box == NULL)
        return;
    mt_loop_unpost(box->loop, deliver, box);
    drop_all(&box->ready);
    drop_all(&box->added);
    pthread_mutex_destroy(&box->lock);
    mt_free(box);
}

void mt_outbox_add(struct mt_outbox *box, struct mt_piece *piece)
{
    if (piece != NULL)
        append(&box->added, &(struct list){piece, piece, 1});
}

bool mt_outbox_flush(struct mt_outbox *box)
{
    bool must_post = false;

    pthread_mutex_lock(&box->lock);
    if (box->added.head != NULL)
        append(&box->ready, &box->added);
    box->added = (struct list){.head = NULL};
    if (box->ready.head != NULL && !box->is_posted)
        box->is_posted = must_post = true;
    pthread_mutex_unlock(&box->lock);
    if (!must_post || mt_loop_post(box->loop, deliver, box, NULL) == MT_OK)
        return true;
    pthread_mutex_lock(&box->lock);
    box->is_posted = false;
    pthread_mutex_unlock(&box->lock);
    return false;
}

size_t mt_outbox_held(struct mt_outbox *box)
{
    pthread_mutex_lock(&box->lock);
    size_t n = box->ready.n;
    pthread_mutex_unlock(&box->lock);
    return n;
}
