/* SPDX-License-Identifier: Apache-2.0 */
/* The loop as its own module sees it: work for the end of the turn, and one-way closing. */
#ifndef MT_NET_LOOP_PRIV_H
#define MT_NET_LOOP_PRIV_H

#include <stdbool.h>
#include <uv.h>

#include "net/loop.h"

/* Work that an object wants done once before the loop sleeps, however many callbacks of this
 * turn asked for it. Runs after polling and once more before it; what work asks of other
 * objects (a server's request starts a call, a call's answer is sent) still runs in the same
 * turn. Lives in its owner; zeroed is idle. */
struct mt_turn {
    void (*fn)(void *owner);
    void *owner;
    struct mt_turn *next_;
    bool is_due_;
};

void mt_loop__at_turn(struct mt_loop *loop, struct mt_turn *turn);

/** Forget a turn that is due; its owner goes away. */
void mt_loop__drop_turn(struct mt_loop *loop, struct mt_turn *turn);

/** Things that live until the loop is freed (signals, watched files): a chain with one
 *  destructor each, run by mt_loop_free(). */
struct mt_loop_guest {
    void (*close)(struct mt_loop_guest *guest);
    struct mt_loop_guest *next_;
};

void mt_loop__adopt(struct mt_loop *loop, struct mt_loop_guest *guest);

#endif
