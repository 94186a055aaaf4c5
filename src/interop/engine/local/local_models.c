/* SPDX-License-Identifier: Apache-2.0 */
/* The table of local models: what their files say, which of them are in memory. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "local_priv.h"

enum {
    CONTEXT_DEFAULT = 8192,
    MODELS_MAX = 4096,
};

/* --- entries --- */

static void entry_free(struct mt_local_entry *entry)
{
    if (entry == NULL)
        return;
    mt_timer_free(entry->timer);
    mt_arena_fini(&entry->arena);
    mt_free(entry->name);
    mt_free(entry->path);
    mt_free(entry->lora_path);
    mt_free(entry);
}

static void entry_freep(struct mt_local_entry **entry)
{
    entry_free(*entry);
}

static void on_keep_alive(void *arg)
{
    mt_entry__unload(arg);
}

static mt_rc entry_new(struct mt_local *local, const struct mt_local_model *model,
                       struct mt_local_entry **out, struct mt_err *err)
{
    MT_CLEANUP(entry_freep) struct mt_local_entry *entry = mt_alloc(1, sizeof *entry);

    if (entry == NULL)
        return MT_FAIL(err, MT_E_NOMEM, "a model");
    entry->local = local;
    entry->config = *model;
    entry->name = mt_alloc_cstr(model->name);
    entry->path = mt_alloc_cstr(model->path);
    if (model->lora_path.len > 0)
        entry->lora_path = mt_alloc_cstr(model->lora_path);
    if (entry->name == NULL || entry->path == NULL ||
        (model->lora_path.len > 0 && entry->lora_path == NULL))
        return MT_FAIL(err, MT_E_NOMEM, "model '%.*s'", MT_STR_ARG(model->name));
    entry->config.name = mt_str_of(entry->name);
    entry->config.path = mt_str_of(entry->path);
    entry->config.lora_path = mt_str_of(entry->lora_path);
    entry->keep_alive_ms =
        model->keep_alive_ms != 0 ? model->keep_alive_ms : MT_KEEP_ALIVE_DEFAULT_MS;
    MT_TRY(mt_timer_new(local->loop, on_keep_alive, entry, &entry->timer, err));
    *out = MT_MOVE(entry);
    return MT_OK;
}

static bool is_same(const struct mt_local_model *a, const struct mt_local_model *b)
{
    return mt_str_eq(a->name, b->name) && mt_str_eq(a->path, b->path) &&
           mt_str_eq(a->lora_path, b->lora_path) && a->lora_scale == b->lora_scale &&
           a->context_tokens == b->context_tokens && a->parallel_max == b->parallel_max &&
           a->gpu_layers == b->gpu_layers;
}

mt_rc mt_entry__find(struct mt_local *local, struct mt_str name, struct mt_local_entry **out,
                     struct mt_err *err)
{
    for (struct mt_local_entry *e = local->entries; e != NULL; e = e->next)
        if (!e->is_retired && mt_str_eq(e->config.name, name)) {
            *out = e;
            return MT_OK;
        }
    return MT_FAIL(err, MT_E_NOTFOUND, "no local model is named '%.*s'", MT_STR_ARG(name));
}

int64_t mt_entry__context(const struct mt_local_entry *entry)
{
    int64_t own = entry->has_card ? entry->gguf.context_tokens : 0;
    int64_t most = own > 0 && own < CONTEXT_DEFAULT ? own : CONTEXT_DEFAULT;

    return entry->config.context_tokens > 0 ? entry->config.context_tokens : most;
}

void mt_entry__fill_card(const struct mt_local_entry *entry, struct mt_model_card *card)
{
    *card = (struct mt_model_card){.name = entry->config.name, .owner = MT_STR("motet")};
    if (entry->has_card)
        mt_gguf_card(&entry->gguf, card);
    card->context_tokens = mt_entry__context(entry);
    card->created_at_s = entry->modified_at_s;
    if (entry->host == NULL || !entry->host->is_loaded)
        return;
    const struct mt_worker_facts *facts = mt_worker_facts(entry->host->worker);
    card->is_loaded = true;
    card->memory_bytes = facts->memory_bytes;
    card->gpu_bytes = facts->gpu_bytes;
    card->context_tokens = facts->context_tokens;
    card->expires_at_s = mt_host__expires_at_s(entry->host);
}

/* --- public --- */

static mt_rc check_model(const struct mt_local_model *m, struct mt_err *err)
{
    if (m->name.len == 0 || m->path.len == 0)
        return MT_FAIL(err, MT_E_INVALID, "a local model needs a name and a path");
    if (m->context_tokens < 0 || m->context_tokens > MT_LOCAL_CONTEXT_MAX)
        return MT_FAIL(err, MT_E_INVALID, "model '%.*s': context of %lld tokens, at most %d",
                       MT_STR_ARG(m->name), (long long)m->context_tokens, MT_LOCAL_CONTEXT_MAX);
    if (m->parallel_max > MT_LOCAL_PARALLEL_MAX)
        return MT_FAIL(err, MT_E_INVALID, "model '%.*s': %u in parallel, at most %d",
                       MT_STR_ARG(m->name), m->parallel_max, MT_LOCAL_PARALLEL_MAX);
    return MT_OK;
}

static void free_list(struct mt_local_entry *list)
{
    while (list != NULL) {
        struct mt_local_entry *next = list->next;
        entry_free(list);
        list = next;
    }
}

/* What may change without loading the model anew. */
static void set_keep_alive(struct mt_local_entry *entry, const struct mt_local_model *m)
{
    if (entry->config.keep_alive_ms == m->keep_alive_ms)
        return;
    entry->config.keep_alive_ms = m->keep_alive_ms;
    entry->keep_alive_ms = m->keep_alive_ms != 0 ? m->keep_alive_ms : MT_KEEP_ALIVE_DEFAULT_MS;
    mt_timer_stop(entry->timer);
    entry->expires_at_s = 0;
    if (entry->host != NULL)
        mt_host__start_keep_alive(entry->host);
}

static struct mt_local_entry *find_same(struct mt_local *local, const struct mt_local_model *m)
{
    for (struct mt_local_entry *e = local->entries; e != NULL; e = e->next)
        if (!e->is_retired && is_same(&e->config, m))
            return e;
    return NULL;
}

static bool is_named(const struct mt_local_entry *entry, const struct mt_local_model *models,
                     size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (is_same(&entry->config, &models[i]))
            return true;
    return false;
}

/* New entries first, all of them; only then is the table touched. */
mt_rc mt_local_set_models(struct mt_engine *engine, const struct mt_local_model *models,
                          size_t n, struct mt_err *err)
{
    struct mt_local *local = (struct mt_local *)engine;
    struct mt_local_entry *fresh = NULL;
    mt_rc rc = n <= MODELS_MAX
                   ? MT_OK
                   : MT_FAIL(err, MT_E_TOOBIG, "at most %d local models", MODELS_MAX);

    for (size_t i = 0; i < n && rc == MT_OK; i++) {
        struct mt_local_entry *entry = NULL;
        rc = check_model(&models[i], err);
        if (rc < 0 || find_same(local, &models[i]) != NULL)
            continue;
        rc = entry_new(local, &models[i], &entry, err);
        if (rc < 0)
            continue;
        entry->next = fresh;
        fresh = entry;
    }
    if (rc < 0) {
        free_list(fresh);
        return rc;
    }
    for (struct mt_local_entry *e = local->entries; e != NULL; e = e->next)
        if (!e->is_retired && !is_named(e, models, n)) {
            mt_entry__unload(e);
            e->is_retired = true;
        }
    for (size_t i = 0; i < n; i++) {
        struct mt_local_entry *kept = find_same(local, &models[i]);
        if (kept != NULL)
            set_keep_alive(kept, &models[i]);
    }
    struct mt_local_entry **at = &local->entries;
    while (*at != NULL)
        at = &(*at)->next;
    *at = fresh;
    for (struct mt_local_entry *e = fresh; e != NULL; e = e->next) {
        if (local->is_open)
            mt_entry__read_beside(e);
        else /* a file that is not there yet is read when asked for */
            (void)mt_entry__card(e, NULL);
    }
    return MT_OK;
}

static void say_loaded(void *arg)
{
    struct mt_waiter *waiter = arg;

    waiter->done(waiter->ctx, NULL);
    mt_free(waiter);
}

mt_rc mt_local_load(struct mt_engine *engine, struct mt_str name, int64_t keep_alive_ms,
                    void (*done)(void *ctx, const struct mt_chat_error *error), void *ctx,
                    struct mt_err *err)
{
    struct mt_local *local = (struct mt_local *)engine;
    MT_CLEANUP(mt_freep) struct mt_waiter *waiter = mt_alloc(1, sizeof *waiter);
    struct mt_local_entry *entry = NULL;
    struct mt_host *host = NULL;

    if (waiter == NULL)
        return MT_FAIL(err, MT_E_NOMEM, "model '%.*s'", MT_STR_ARG(name));
    *waiter = (struct mt_waiter){.done = done, .ctx = ctx};
    MT_TRY(mt_entry__find(local, name, &entry, err));
    MT_TRY(mt_entry__host(entry, &host, err));
    if (keep_alive_ms != 0)
        entry->keep_alive_ms = keep_alive_ms;
    if (host->is_loaded) {
        MT_TRY(mt_loop_post(local->loop, say_loaded, waiter, err));
        mt_host__start_keep_alive(host);
    } else {
        waiter->next = host->waiters;
        host->waiters = waiter;
    }
    (void)MT_MOVE(waiter);
    return MT_OK;
}

mt_rc mt_local_unload(struct mt_engine *engine, struct mt_str name, struct mt_err *err)
{
    struct mt_local_entry *entry = NULL;

    MT_TRY(mt_entry__find((struct mt_local *)engine, name, &entry, err));
    mt_entry__unload(entry);
    return MT_OK;
}

size_t mt_local_loaded(struct mt_engine *engine, struct mt_model_card *cards, size_t max)
{
    struct mt_local *local = (struct mt_local *)engine;
    size_t n = 0;

    for (struct mt_local_entry *e = local->entries; e != NULL && n < max; e = e->next)
        if (e->host != NULL && e->host->is_loaded)
            mt_entry__fill_card(e, &cards[n++]);
    return n;
}

void mt_local__free(struct mt_local *local)
{
    static const struct mt_chat_error closed = {.kind = MT_CHAT_ERR_CANCELED,
                                                .message = MT_STR_INIT("the engine was closed"),
                                                .retry_after_ms = -1};

    for (struct mt_host *host = local->hosts; host != NULL; host = host->next)
        mt_worker_abort(host->worker);
    while (local->hosts != NULL)
        mt_host__on_ended(local->hosts, &closed);
    mt_local__stop_reading(local);
    free_list(local->entries);
    mt_free(local->library_dir);
    mt_free(local);
}
