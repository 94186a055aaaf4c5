/* SPDX-License-Identifier: Apache-2.0 */
/* text_out.h - bytes of a model made into text: whole characters, thinking told apart, stop
 * sequences found across tokens and never shown.
 *
 * Thinking is looked for only at the beginning of an answer (or the prompt has opened it).
 * Bytes that are no UTF-8 become U+FFFD. Pure; belongs to its owner. */
#ifndef MT_LOCAL_TEXT_OUT_H
#define MT_LOCAL_TEXT_OUT_H

#include "base/buf.h"

enum mt_text_state { MT_TEXT_BEGIN, MT_TEXT_THINKING, MT_TEXT_AFTER, MT_TEXT_ANSWER };

/** Receives text. @param end  bytes given to feed so far whose fate is settled with this */
typedef void mt_text_fn(void *ctx, bool is_reasoning, struct mt_str text, uint64_t end);

struct mt_text_out {
    enum mt_text_state state;
    const struct mt_str *stops; /* borrowed */
    size_t stops_n;
    struct mt_str think_start, think_end; /* borrowed; empty: no thinking */
    struct mt_str stopped_by;             /* the stop sequence found; at == NULL: none */
    mt_text_fn *fn;
    void *ctx;
    struct mt_buf held_;
    struct mt_buf clean_;
    uint64_t settled_;
};

/** The caller fills the public fields, then init. */
void mt_text_out_init(struct mt_text_out *out);
void mt_text_out_fini(struct mt_text_out *out);

/** More bytes; nothing is taken once stopped_by is set. @return MT_OK, MT_E_NOMEM, MT_E_TOOBIG
 */
mt_rc mt_text_out_feed(struct mt_text_out *out, struct mt_str bytes, struct mt_err *err);

/** The answer ended: give out what was held back. */
mt_rc mt_text_out_finish(struct mt_text_out *out, struct mt_err *err);

/** Is nothing held back? Then what is fed next begins something. */
bool mt_text_out_is_empty(const struct mt_text_out *out);

/* A tool call of the form that our own grammar allows:
 * {"name":"...","arguments":{...}} and, after a line break, perhaps more of them. */
enum mt_call_event { MT_CALL_NAME, MT_CALL_ARGS };
typedef void mt_call_fn(void *ctx, enum mt_call_event event, unsigned nth, struct mt_str text);

struct mt_call_out {
    mt_call_fn *fn;
    void *ctx;
    unsigned calls_n; /* begun */
    enum { CALL_HEAD, CALL_NAME, CALL_MIDDLE, CALL_ARGS, CALL_TAIL } state_;
    size_t matched_;
    unsigned depth_;
    bool in_string_, is_escaped_;
    struct mt_buf name_;
};

void mt_call_out_init(struct mt_call_out *out, mt_call_fn *fn, void *ctx);
void mt_call_out_fini(struct mt_call_out *out);
mt_rc mt_call_out_feed(struct mt_call_out *out, struct mt_str bytes, struct mt_err *err);

#endif
