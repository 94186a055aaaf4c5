/* SPDX-License-Identifier: Apache-2.0 */
/* chat/vectors.h - rows of floats in embedding answers, written and read. Pure. */
#ifndef MT_CHAT_VECTORS_H
#define MT_CHAT_VECTORS_H

#include "chat/answer.h"
#include "wire/json.h"
#include "wire/json_writer.h"

enum { MT_CHAT_DIMS_MAX = 65536 };

/** Row i of the answer as an array; a number that is not finite becomes 0. */
void mt_chat__write_vector(struct mt_jw *w, const struct mt_embed_answer *answer, size_t i);

/* Rows as they are met: all must have as many numbers as the first. */
struct mt_chat__vectors {
    struct mt_arena *arena;
    size_t rows_max;
    float *values;
    size_t n, dims;
};

/** Add the row in an array of numbers. @return MT_OK, MT_E_UPSTREAM, MT_E_TOOBIG, MT_E_NOMEM */
mt_rc mt_chat__vectors_add(struct mt_chat__vectors *vectors, const struct mt_json *row,
                           struct mt_err *err);

#endif
