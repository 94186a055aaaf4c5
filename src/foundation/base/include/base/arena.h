/* SPDX-License-Identifier: Apache-2.0 */
/* base/arena.h - memory that lives as long as one request and dies at once.
 *
 * Bounded: past max bytes every call answers NULL. Thread rule: belongs to its owner. */
#ifndef MT_BASE_ARENA_H
#define MT_BASE_ARENA_H

#include "base/err.h"
#include "base/str.h"

struct mt_arena_block;

struct mt_arena {
    struct mt_arena_block *head_;
    size_t used; /* bytes handed out, with alignment */
    size_t max;
};

#define MT_ARENA_INIT(max_bytes) \
    {                            \
        .max = (max_bytes)       \
    }

void mt_arena_init(struct mt_arena *arena, size_t max_bytes);

/** Free all; the arena is as just initialised. */
void mt_arena_fini(struct mt_arena *arena);

/** Forget all but keep the first block for the next request. */
void mt_arena_clear(struct mt_arena *arena);

/** Zeroed memory for n objects of size bytes, aligned for any object; NULL when there is none.
 *  Lives until fini or clear. */
void *mt_arena_get(struct mt_arena *arena, size_t n, size_t size);

/** Copy of text, NUL-terminated behind its end; out->at == NULL when there is no memory. */
struct mt_str mt_arena_str(struct mt_arena *arena, struct mt_str text);

/** As mt_arena_str for printf-like words. */
struct mt_str mt_arena_printf(struct mt_arena *arena, const char *format, ...) MT_PRINTF(2, 3);

/** The failure to report when an arena answered NULL. */
mt_rc mt_arena_fail(const struct mt_arena *arena, struct mt_err *err);

#endif
