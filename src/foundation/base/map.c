/* SPDX-License-Identifier: Apache-2.0 */
/* Linear probing; removal shifts the followers back, so there are no tombstones. */
#include "base/map.h"

#include "base/alloc.h"

struct mt_map_slot {
    char *key; /* owned; NULL = free slot */
    size_t key_len;
    uint64_t hash;
    void *value;
};

void mt_map_init(struct mt_map *map, size_t max_entries, uint64_t seed)
{
    *map = (struct mt_map){.max = max_entries, .seed = seed};
}

void mt_map_fini(struct mt_map *map)
{
    for (size_t i = 0; i < map->slots_n_; i++)
        mt_free(map->slots_[i].key);
    mt_free(map->slots_);
    mt_map_init(map, map->max, map->seed);
}

static struct mt_str slot_key(const struct mt_map_slot *slot)
{
    return (struct mt_str){slot->key, slot->key_len};
}

/* The slot that holds key, or the free one where it would go. The map has a free slot. */
static struct mt_map_slot *slot_for(const struct mt_map *map, struct mt_str key, uint64_t hash)
{
    size_t mask = map->slots_n_ - 1;

    for (size_t i = hash & mask;; i = (i + 1) & mask) {
        struct mt_map_slot *slot = &map->slots_[i];
        if (slot->key == NULL || (slot->hash == hash && mt_str_eq(slot_key(slot), key)))
            return slot;
    }
}

static mt_rc grow(struct mt_map *map, struct mt_err *err)
{
    struct mt_map wider = {.seed = map->seed};

    wider.slots_n_ = map->slots_n_ > 0 ? map->slots_n_ * 2 : 16;
    wider.slots_ = mt_alloc(wider.slots_n_, sizeof *wider.slots_);
    if (wider.slots_ == NULL)
        return MT_FAIL(err, MT_E_NOMEM, "map of %zu slots", wider.slots_n_);
    for (size_t i = 0; i < map->slots_n_; i++) {
        struct mt_map_slot *from = &map->slots_[i];
        if (from->key != NULL)
            *slot_for(&wider, slot_key(from), from->hash) = *from;
    }
    mt_free(map->slots_);
    map->slots_ = wider.slots_;
    map->slots_n_ = wider.slots_n_;
    return MT_OK;
}

void *mt_map_find(const struct mt_map *map, struct mt_str key)
{
    if (map->n == 0)
        return NULL;
    return slot_for(map, key, mt_str_hash(key, map->seed))->value;
}

mt_rc mt_map_put(struct mt_map *map, struct mt_str key, void *value, void **old,
                 struct mt_err *err)
{
    uint64_t hash = mt_str_hash(key, map->seed);
    struct mt_map_slot *slot = map->n > 0 ? slot_for(map, key, hash) : NULL;

    if (slot != NULL && slot->key != NULL) {
        if (old != NULL)
            *old = slot->value;
        slot->value = value;
        return MT_OK;
    }
    if (map->n >= map->max)
        return MT_FAIL(err, MT_E_TOOBIG, "map holds its limit of %zu entries", map->max);
    if ((map->n + 1) * 4 > map->slots_n_ * 3)
        MT_TRY(grow(map, err));
    char *copy = mt_alloc_cstr(key);
    if (copy == NULL)
        return MT_FAIL(err, MT_E_NOMEM, "map key of %zu bytes", key.len);
    *slot_for(map, key, hash) = (struct mt_map_slot){copy, key.len, hash, value};
    map->n++;
    if (old != NULL)
        *old = NULL;
    return MT_OK;
}

void *mt_map_take(struct mt_map *map, struct mt_str key)
{
    if (map->n == 0)
        return NULL;
    struct mt_map_slot *slot = slot_for(map, key, mt_str_hash(key, map->seed));

    if (slot->key == NULL)
        return NULL;
    void *value = slot->value;
    size_t mask = map->slots_n_ - 1;
    size_t hole = (size_t)(slot - map->slots_);

    mt_free(slot->key);
    for (size_t i = (hole + 1) & mask; map->slots_[i].key != NULL; i = (i + 1) & mask) {
        size_t home = map->slots_[i].hash & mask;
        if (((i - home) & mask) >= ((i - hole) & mask)) { /* may move back over the hole */
            map->slots_[hole] = map->slots_[i];
            hole = i;
        }
    }
    map->slots_[hole] = (struct mt_map_slot){0};
    map->n--;
    return value;
}

bool mt_map_next(const struct mt_map *map, size_t *at, struct mt_str *key, void **value)
{
    for (; *at < map->slots_n_; (*at)++) {
        const struct mt_map_slot *slot = &map->slots_[*at];
        if (slot->key == NULL)
            continue;
        *key = slot_key(slot);
        *value = slot->value;
        (*at)++;
        return true;
    }
    return false;
}
