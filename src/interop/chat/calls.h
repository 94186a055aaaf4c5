/* SPDX-License-Identifier: Apache-2.0 */
/* chat/calls.h - for dialects whose tool calls come whole and whose results may lack ids
 * (Ollama, Gemini): which result answers which call, and arguments gathered until they are an
 * object.
 *
 * Bounded: at most MT_CHAT_CALLS_OPEN_MAX calls wait at a time, the oldest is forgotten first;
 * so matching stays linear however a body is made. Pure. */
#ifndef MT_CHAT_CALLS_H
#define MT_CHAT_CALLS_H

#include "chat/request.h"

enum { MT_CHAT_CALLS_OPEN_MAX = 128 };

struct mt_chat__calls {
    struct mt_chat__call {
        struct mt_str id;
        struct mt_str name;
    } open[MT_CHAT_CALLS_OPEN_MAX]; /* oldest first */
    size_t open_n;
    unsigned made_n; /* ids made up so far */
};

/** Remember a TOOL_CALL part; one without id is given one ("call_0", "call_1", ...). */
mt_rc mt_chat__calls_add(struct mt_chat__calls *calls, struct mt_arena *arena,
                         struct mt_chat_part *call, struct mt_err *err);

/** Fill in what a TOOL_RESULT part leaves out: by id, else the oldest open call of its name,
 *  else (no name either) the oldest open call; a result nobody asked for gets an id of its own.
 */
mt_rc mt_chat__calls_answer(struct mt_chat__calls *calls, struct mt_arena *arena,
                            struct mt_chat_part *result, struct mt_err *err);

/* Text that grows in an arena; the memory is used again after len is set to 0. */
struct mt_chat__gather {
    char *at;
    size_t len, cap;
};

/** False when the arena is full; the text is then unchanged. */
bool mt_chat__gather_add(struct mt_chat__gather *text, struct mt_arena *arena,
                         struct mt_str more);

/** "image/png" from the first bytes of base64 data; empty when unknown. */
struct mt_str mt_chat__sniff_mime(struct mt_str base64);

#endif
