/* SPDX-License-Identifier: Apache-2.0 */
/* base/alloc.h - the only door to the heap: counted, zeroed, and able to fail on purpose.
 *
 * Thread rule: any thread. The counters are per thread, so a test sees its own. */
#ifndef MT_BASE_ALLOC_H
#define MT_BASE_ALLOC_H

#include <stddef.h>

#include "base/str.h"

/** Zeroed memory for n objects of size bytes; NULL when out of memory or n * size overflows.
 *  @return owned; give back with mt_free() */
void *mt_alloc(size_t n, size_t size) __attribute__((malloc));

/** Grow or shrink to n * size bytes; new bytes are not zeroed. NULL leaves the old block whole.
 */
void *mt_realloc(void *ptr, size_t n, size_t size);

/** Give back; NULL is allowed. */
void mt_free(void *ptr);

/** Owned NUL-terminated copy of a slice; NULL when out of memory. */
char *mt_alloc_cstr(struct mt_str text);

/** For MT_CLEANUP on any pointer variable that mt_alloc filled. */
void mt_freep(void *ptr_to_ptr);

/** Let the heap keep up to 32 MiB of free pages until mt_alloc_trim(), and serve blocks under
 *  4 MiB itself. Left alone it gives pages back within a burst of requests, and the next one
 *  faults them in again. Once, at the start of a process that serves. */
void mt_alloc_keep_pages(void);

/** Give pages that are free back to the system; walks the heap, so not after every request. */
void mt_alloc_trim(void);

/* For tests: blocks this thread took and did not give back; allocations it made; and a
 * countdown after which every allocation fails (-1 = never). */
extern _Thread_local long mt_alloc_live;
extern _Thread_local long mt_alloc_made;
extern _Thread_local long mt_alloc_fail_after;

#endif
