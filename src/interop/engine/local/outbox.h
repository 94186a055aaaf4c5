/* SPDX-License-Identifier: Apache-2.0 */
/* outbox.h - pieces on their way from a worker's thread to the loop.
 *
 * The thread adds pieces and hands them over once per step; the loop gets them as one list.
 * Invariants: 1. pieces reach the loop in the order they were added; 2. at most one delivery is
 * posted at a time; 3. after mt_outbox_free() nothing is delivered. Thread rule: new and free
 * belong to the loop, the rest to the worker's thread. */
#ifndef MT_LOCAL_OUTBOX_H
#define MT_LOCAL_OUTBOX_H

#include "job.h"

struct mt_loop;
struct mt_outbox;

/* On the loop; the pieces are the callee's, to drop. */
typedef void mt_pieces_fn(void *ctx, struct mt_piece *pieces);

mt_rc mt_outbox_new(struct mt_loop *loop, mt_pieces_fn *fn, void *ctx, struct mt_outbox **out,
                    struct mt_err *err);
/** NULL is allowed. When the thread has ended; pieces not delivered yet are dropped. */
void mt_outbox_free(struct mt_outbox *box);

/** Takes the piece. NULL is allowed: there was no memory for it. */
void mt_outbox_add(struct mt_outbox *box, struct mt_piece *piece);

/** Hand over what was added. @return false: the loop's mailbox is full, ask again soon */
bool mt_outbox_flush(struct mt_outbox *box);

/** Pieces handed over that the loop has not taken yet. */
size_t mt_outbox_held(struct mt_outbox *box);

#endif
