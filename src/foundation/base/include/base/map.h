/* SPDX-License-Identifier: Apache-2.0 */
/* base/map.h - a bounded hash map from text to a pointer.
 *
 * Keys are copied; values are borrowed. Open addressing, at most three quarters full. The hash
 * is seeded per map, so outsiders cannot aim for collisions. Thread rule: belongs to its owner.
 */
#ifndef MT_BASE_MAP_H
#define MT_BASE_MAP_H

#include "base/err.h"
#include "base/str.h"

struct mt_map_slot;

struct mt_map {
    size_t n;   /* entries */
    size_t max; /* most entries */
    uint64_t seed;
    struct mt_map_slot *slots_;
    size_t slots_n_; /* power of two, or 0 */
};

void mt_map_init(struct mt_map *map, size_t max_entries, uint64_t seed);
void mt_map_fini(struct mt_map *map);

/** The value, or NULL. */
void *mt_map_find(const struct mt_map *map, struct mt_str key);

/** Add or replace; *old, when not NULL, receives the value replaced or NULL. value is not NULL.
 *  @return MT_OK, MT_E_TOOBIG (max entries), MT_E_NOMEM */
mt_rc mt_map_put(struct mt_map *map, struct mt_str key, void *value, void **old,
                 struct mt_err *err);

/** Remove and give the value back; NULL when there was none. */
void *mt_map_take(struct mt_map *map, struct mt_str key);

/** Walk: start with *at = 0; false at the end. The map must not change meanwhile. */
bool mt_map_next(const struct mt_map *map, size_t *at, struct mt_str *key, void **value);

#endif
