/* SPDX-License-Identifier: Apache-2.0 */
/* chat/collect.h - events gathered: into a whole answer, or onto a tape that plays them again.
 *
 * Pure; belongs to its owner. */
#ifndef MT_CHAT_COLLECT_H
#define MT_CHAT_COLLECT_H

#include "chat/answer.h"

struct mt_collector;

/** @param bytes_max  largest answer, all choices together */
mt_rc mt_collector_new(size_t bytes_max, struct mt_collector **out, struct mt_err *err);
void mt_collector_free(struct mt_collector *collector);

/** Add one event (an mt_chat_emit_fn). ERROR events are refused: the caller handles them. */
mt_rc mt_collector_add(void *collector, const struct mt_chat_event *event, struct mt_err *err);

/** The answer so far; borrowed, dies at the next add. Tool arguments that are not a JSON object
 *  are left as they came. @return MT_OK, MT_E_NOMEM */
mt_rc mt_collector_answer(struct mt_collector *collector, const struct mt_chat_answer **out,
                          struct mt_err *err);

/** Write an event at the end of a tape (private format, one process); play a tape from its
 * start. */
void mt_tape_record(struct mt_buf *tape, const struct mt_chat_event *event);
mt_rc mt_tape_play(struct mt_str tape, mt_chat_emit_fn *emit, void *ctx, struct mt_err *err);

#endif
