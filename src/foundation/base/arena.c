/* SPDX-License-Identifier: Apache-2.0 */
#include "base/arena.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"

enum { FIRST_BLOCK = 2048, LARGEST_STEP = 64 * 1024, ALIGN = _Alignof(max_align_t) };

struct mt_arena_block {
    struct mt_arena_block *older;
    size_t size;
    size_t used;
    max_align_t bytes[]; /* size bytes */
};

void mt_arena_init(struct mt_arena *arena, size_t max_bytes)
{
    *arena = (struct mt_arena){.max = max_bytes};
}

static void free_chain(struct mt_arena_block *block)
{
    while (block != NULL) {
        struct mt_arena_block *older = block->older;
        mt_free(block);
        block = older;
    }
}

void mt_arena_fini(struct mt_arena *arena)
{
    free_chain(arena->head_);
    mt_arena_init(arena, arena->max);
}

void mt_arena_clear(struct mt_arena *arena)
{
    struct mt_arena_block *first = arena->head_;

    if (first == NULL)
        return;
    while (first->older != NULL) {
        struct mt_arena_block *older = first->older;
        mt_free(first);
        first = older;
    }
    memset(first->bytes, 0, first->used);
    first->used = 0;
    arena->head_ = first;
    arena->used = 0;
}

/* A block with room for need bytes in front of the chain; the sizes double up to a step. */
static struct mt_arena_block *block_add(struct mt_arena *arena, size_t need)
{
    size_t size = arena->head_ != NULL ? arena->head_->size * 2 : FIRST_BLOCK;

    if (size > LARGEST_STEP)
        size = LARGEST_STEP;
    if (size < need + FIRST_BLOCK / 2)
        size = need + FIRST_BLOCK / 2; /* something small follows something large */
    struct mt_arena_block *block = mt_alloc(1, sizeof *block + size);
    if (block == NULL)
        return NULL;
    block->size = size;
    block->older = arena->head_;
    arena->head_ = block;
    return block;
}

void *mt_arena_get(struct mt_arena *arena, size_t n, size_t size)
{
    size_t need;

    if (__builtin_mul_overflow(n, size, &need) || need > arena->max)
        return NULL;
    need = (need + ALIGN - 1) / ALIGN * ALIGN;
    if (need == 0)
        need = ALIGN;
    if (need > arena->max || arena->used > arena->max - need)
        return NULL;
    struct mt_arena_block *block = arena->head_;
    if (block == NULL || block->size - block->used < need)
        block = block_add(arena, need);
    if (block == NULL)
        return NULL;
    void *at = (char *)block->bytes + block->used;
    block->used += need;
    arena->used += need;
    return at;
}

struct mt_str mt_arena_str(struct mt_arena *arena, struct mt_str text)
{
    char *copy = mt_arena_get(arena, text.len + 1, 1);

    if (copy == NULL)
        return (struct mt_str){NULL, 0};
    if (text.len > 0)
        memcpy(copy, text.at, text.len);
    return (struct mt_str){copy, text.len};
}

struct mt_str mt_arena_printf(struct mt_arena *arena, const char *format, ...)
{
    va_list args;
    va_list again;
    struct mt_str out = {NULL, 0};

    va_start(args, format);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, args);
    char *at = n >= 0 ? mt_arena_get(arena, (size_t)n + 1, 1) : NULL;
    if (at != NULL) {
        vsnprintf(at, (size_t)n + 1, format, again);
        out = (struct mt_str){at, (size_t)n};
    }
    va_end(again);
    va_end(args);
    return out;
}

mt_rc mt_arena_fail(const struct mt_arena *arena, struct mt_err *err)
{
    if (arena->used + arena->max / 8 > arena->max)
        return MT_FAIL(err, MT_E_TOOBIG, "request needs more than %zu bytes of memory",
                       arena->max);
    return MT_FAIL(err, MT_E_NOMEM, "no memory after %zu bytes", arena->used);
}
