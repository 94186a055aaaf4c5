/* SPDX-License-Identifier: Apache-2.0 */
/* cache.h - answers to requests that were asked before, word for word, by the same key.
 *
 * An entry is a tape of events: it is played in whatever way the next caller wants (stream or
 * whole). Least recently used goes first. Only complete, uncut answers are kept, and none
 * longer than entry_bytes_max. Thread rule: the loop's. */
#ifndef MT_GATEWAY_CACHE_H
#define MT_GATEWAY_CACHE_H

#include "base/err.h"
#include "base/str.h"
#include "crypto/digest.h"

struct ask;
struct cache;

mt_rc cache_new(struct cache **out, struct mt_err *err);
void cache_free(struct cache *cache);

struct cache_stats {
    size_t entries_n, bytes;
    int64_t hits_n, misses_n, evicted_n;
};
void cache_stats(const struct cache *cache, struct cache_stats *out);

/** The ask has been reserved: answer it from the cache if it can be. Otherwise, if the answer
 * may be kept, events are recorded from now on. True when answered. */
bool cache_answers(struct ask *ask);

/** The answer is complete: keep it if it was recorded. */
void cache_keep(struct ask *ask);

#endif
