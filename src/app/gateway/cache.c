/* SPDX-License-Identifier: Apache-2.0 */
/* Invariants: every entry is in the map and in the list, most recent first; bytes is the sum of
 * the tapes' lengths. */
#include "cache.h"

#include <string.h>

#include "chat/splice.h"
#include "gateway_priv.h"

enum { CACHE_ENTRIES_MAX = 65536 };

struct entry {
    struct entry *newer, *older;
    struct mt_digest key;
    struct mt_buf tape;
    struct mt_usage usage;
    int64_t expires_ms;
};

struct cache {
    struct mt_map map;
    struct entry *newest, *oldest;
    struct cache_stats stats;
};

mt_rc cache_new(struct cache **out, struct mt_err *err)
{
    struct cache *cache = mt_alloc(1, sizeof *cache);

    if (cache == NULL)
        return MT_FAIL(err, MT_E_NOMEM, "no memory for the cache");
    mt_map_init(&cache->map, CACHE_ENTRIES_MAX, 0);
    *out = cache;
    return MT_OK;
}

static struct mt_str key_str(const struct mt_digest *key)
{
    return (struct mt_str){(const char *)key->at, sizeof key->at};
}

static void unlink_entry(struct cache *cache, struct entry *entry)
{
    if (entry->newer != NULL)
        entry->newer->older = entry->older;
    else
        cache->newest = entry->older;
    if (entry->older != NULL)
        entry->older->newer = entry->newer;
    else
        cache->oldest = entry->newer;
    entry->newer = NULL;
    entry->older = NULL;
}

static void link_newest(struct cache *cache, struct entry *entry)
{
    entry->older = cache->newest;
    if (cache->newest != NULL)
        cache->newest->newer = entry;
    else
        cache->oldest = entry;
    cache->newest = entry;
}

static void drop(struct cache *cache, struct entry *entry)
{
    unlink_entry(cache, entry);
    (void)mt_map_take(&cache->map, key_str(&entry->key));
    cache->stats.bytes -= entry->tape.len;
    cache->stats.entries_n--;
    mt_buf_fini(&entry->tape);
    mt_free(entry);
}

void cache_free(struct cache *cache)
{
    if (cache == NULL)
        return;
    while (cache->oldest != NULL)
        drop(cache, cache->oldest);
    mt_map_fini(&cache->map);
    mt_free(cache);
}

void cache_stats(const struct cache *cache, struct cache_stats *out)
{
    *out = cache->stats;
}

/* ------------------------------------------------------------------ one ask */

/* May this answer come from the cache, and go there? Stored Responses have a life of their own.
 */
static bool is_cacheable(const struct ask *ask)
{
    struct mt_str control = mt_http_header(ask->s->x, "cache-control");
    bool is_wanted = ask->s->board->config->cache_enabled &&
                     (ask->policy_of == NULL || ask->policy_of->cache);

    return is_wanted && !ask->is_stored &&
           mt_str_find(control, MT_STR("no-store")) == control.len;
}

/* Who asks, in which dialect, with which headers that the endpoint sees, and the body but for
 * how it is to be delivered. */
static mt_rc make_key(struct ask *ask, struct mt_err *err)
{
    static const struct mt_splice edits[] = {{.key = "stream"}, {.key = "stream_options"}};
    MT_CLEANUP(mt_buf_fini)
    struct mt_buf text = MT_BUF_INIT(ask->body.len + ask->caller_headers.len + 1024);
    const struct mt_json *root;

    MT_TRY(gateway_parse(ask->s->gw, ask->body, &root, err));
    mt_buf_addf(&text, "%d\n%.*s\n%.*s\n%.*s\n", (int)ask->s->route->dialect,
                MT_STR_ARG(ask->s->key->name), MT_STR_ARG(ask->peek.model),
                MT_STR_ARG(ask->caller_headers));
    mt_splice(root, ask->body, edits, MT_ARRAY_LEN(edits), &text);
    MT_TRY(mt_buf_check(&text, "cache key", err));
    ask->cache_key = mt_sha256(mt_buf_str(&text));
    return MT_OK;
}

static mt_rc play(void *ctx, const struct mt_chat_event *event, struct mt_err *err)
{
    struct ask *ask = ctx;

    if (!ask->s->is_answered && ask->peek.stream)
        MT_TRY(ask_begin_stream(ask, err));
    return ask_keep(ask, event, err);
}

static bool answer_from(struct ask *ask, struct entry *entry)
{
    struct mt_err err = {0};

    ask->is_from_cache = true;
    ask->usage = entry->usage;
    ask->has_usage = true;
    mt_rc rc = ask_decode(ask, &err); /* the encoder looks at what was asked */
    if (rc == MT_OK)
        rc = mt_tape_play(mt_buf_str(&entry->tape), play, ask, &err);
    if (rc == MT_OK) {
        ask_end_ok(ask);
        return true;
    }
    const struct mt_chat_error error = {.kind = mt_chat_error_kind_of(rc),
                                        .message = mt_str_of(err.text),
                                        .retry_after_ms = -1};
    ask_fail(ask, &error);
    return true;
}

bool cache_answers(struct ask *ask)
{
    struct cache *cache = ask->s->gw->cache;
    const struct mt_config *config = ask->s->board->config;

    if (!is_cacheable(ask) || make_key(ask, NULL) != MT_OK)
        return false;
    struct entry *entry = mt_map_find(&cache->map, key_str(&ask->cache_key));
    if (entry != NULL && entry->expires_ms <= mt_loop_now_ms(ask->s->gw->deps.loop)) {
        drop(cache, entry);
        entry = NULL;
    }
    if (entry != NULL) {
        cache->stats.hits_n++;
        unlink_entry(cache, entry);
        link_newest(cache, entry);
        return answer_from(ask, entry);
    }
    cache->stats.misses_n++;
    mt_buf_init(&ask->tape, (size_t)config->cache_entry_bytes_max);
    ask->is_taping = true;
    return false;
}

void cache_keep(struct ask *ask)
{
    struct cache *cache = ask->s->gw->cache;
    const struct mt_config *config = ask->s->board->config;

    if (!ask->is_taping || ask->was_cut || mt_buf_check(&ask->tape, "tape", NULL) != MT_OK ||
        mt_map_find(&cache->map, key_str(&ask->cache_key)) != NULL)
        return;
    while (cache->oldest != NULL &&
           (cache->stats.bytes + ask->tape.len > (size_t)config->cache_bytes_max ||
            cache->map.n >= CACHE_ENTRIES_MAX)) {
        drop(cache, cache->oldest);
        cache->stats.evicted_n++;
    }
    struct entry *entry = mt_alloc(1, sizeof *entry);
    if (entry == NULL)
        return; /* a cache may forget */
    entry->key = ask->cache_key;
    entry->usage = ask->usage;
    entry->expires_ms = mt_loop_now_ms(ask->s->gw->deps.loop) + config->cache_ttl_ms;
    if (mt_map_put(&cache->map, key_str(&entry->key), entry, NULL, NULL) != MT_OK) {
        mt_free(entry);
        return;
    }
    entry->tape = ask->tape;
    mt_buf_init(&ask->tape, 0);
    link_newest(cache, entry);
    cache->stats.bytes += entry->tape.len;
    cache->stats.entries_n++;
}
