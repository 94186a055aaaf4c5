/* SPDX-License-Identifier: Apache-2.0 */
#include "base/alloc.h"

#include <malloc.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

_Thread_local long mt_alloc_live;
_Thread_local long mt_alloc_made;
_Thread_local long mt_alloc_fail_after = -1;

/* Should this allocation be refused? Once the countdown has run out it stays run out. */
static bool told_to_fail(void)
{
    if (mt_alloc_fail_after < 0)
        return false;
    if (mt_alloc_fail_after == 0)
        return true;
    mt_alloc_fail_after--;
    return false;
}

void *mt_alloc(size_t n, size_t size)
{
    if (told_to_fail())
        return NULL;
    void *ptr = calloc(n > 0 ? n : 1, size > 0 ? size : 1); /* calloc checks the product */

    if (ptr != NULL) {
        mt_alloc_live++;
        mt_alloc_made++;
    }
    return ptr;
}

void *mt_realloc(void *ptr, size_t n, size_t size)
{
    size_t bytes;

    if (told_to_fail() || __builtin_mul_overflow(n, size, &bytes))
        return NULL;
    void *grown = realloc(ptr, bytes > 0 ? bytes : 1);

    if (grown != NULL) {
        mt_alloc_made++;
        if (ptr == NULL)
            mt_alloc_live++;
    }
    return grown;
}

void mt_free(void *ptr)
{
    if (ptr == NULL)
        return;
    mt_alloc_live--;
    free(ptr);
}

char *mt_alloc_cstr(struct mt_str text)
{
    char *copy = mt_alloc(text.len + 1, 1);

    if (copy != NULL && text.len > 0)
        memcpy(copy, text.at, text.len);
    return copy;
}

void mt_alloc_keep_pages(void)
{
    enum { KEEP_BYTES = 32 << 20, OWN_MAPPING_BYTES = 4 << 20 };

    (void)mallopt(M_TRIM_THRESHOLD, KEEP_BYTES);
    (void)mallopt(M_MMAP_THRESHOLD, OWN_MAPPING_BYTES);
}

void mt_alloc_trim(void)
{
    (void)malloc_trim(0);
}

void mt_freep(void *ptr_to_ptr)
{
    void *ptr;

    memcpy(&ptr, ptr_to_ptr, sizeof ptr); /* any object pointer type */
    mt_free(ptr);
}
