/* SPDX-License-Identifier: Apache-2.0 */
/* The snapshot: counted references, and new snapshots that borrow from older ones. */
#include "config_priv.h"

#include <string.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "crypto/secret.h"

enum { ARENA_MAX = 64 * 1024 * 1024 };

const struct mt_config__snapshot *mt_config__snapshot_of(const struct mt_config *config)
{
    return (const struct mt_config__snapshot *)(const void *)config;
}

/* Only the count of references changes in a snapshot, and its memory when it ends. */
static struct mt_config__snapshot *mutable_of(const struct mt_config *config)
{
    return (struct mt_config__snapshot *)(uintptr_t)config;
}

mt_rc mt_config__snapshot_new(struct mt_config__snapshot **out, struct mt_err *err)
{
    struct mt_config__snapshot *made = mt_alloc(1, sizeof *made);

    if (made == NULL)
        return MT_FAIL(err, MT_E_NOMEM, "configuration");
    atomic_init(&made->refs, 1);
    mt_arena_init(&made->arena, ARENA_MAX);
    *out = made;
    return MT_OK;
}

static void wipe(struct mt_str text)
{
    if (text.len > 0)
        mt_wipe((void *)(uintptr_t)text.at, text.len);
}

/* Secrets that this snapshot owns: those of the one it is made from are its. */
static void wipe_secrets(const struct mt_config__snapshot *snapshot)
{
    const struct mt_config *base = snapshot->base;
    size_t from = base != NULL ? base->endpoints_n : 0;

    for (size_t i = from; i < snapshot->config.endpoints_n; i++) {
        const struct mt_config_endpoint *endpoint = &snapshot->config.endpoints[i];
        wipe(endpoint->api_key);
        for (size_t j = 0; j < endpoint->headers_n; j++)
            wipe(endpoint->headers[j].value);
    }
}

void mt_config__snapshot_freep(struct mt_config__snapshot **snapshot)
{
    struct mt_config__snapshot *old = *snapshot;

    if (old == NULL)
        return;
    wipe_secrets(old);
    mt_config_unref(old->base);
    mt_arena_fini(&old->arena);
    mt_free(old);
    *snapshot = NULL;
}

const struct mt_config *mt_config_ref(const struct mt_config *config)
{
    atomic_fetch_add_explicit(&mutable_of(config)->refs, 1, memory_order_relaxed);
    return config;
}

void mt_config_unref(const struct mt_config *config)
{
    if (config == NULL)
        return;
    struct mt_config__snapshot *snapshot = mutable_of(config);
    int before = atomic_fetch_sub_explicit(&snapshot->refs, 1, memory_order_acq_rel);
    MT_ASSERT(before > 0);
    if (before == 1)
        mt_config__snapshot_freep(&snapshot);
}

void mt_config_unrefp(const struct mt_config **config)
{
    mt_config_unref(*config);
    *config = NULL;
}

/* ------------------------------------------------------------------ objects of the table */

static mt_rc own_text(struct mt_str *text, struct mt_arena *arena, struct mt_err *err)
{
    if (text->len == 0) {
        *text = (struct mt_str){0};
        return MT_OK;
    }
    struct mt_str kept = mt_arena_str(arena, *text);
    if (kept.at == NULL)
        return mt_arena_fail(arena, err);
    *text = kept;
    return MT_OK;
}

static mt_rc own(const struct mt_settings_group *group, void *object, struct mt_arena *arena,
                 struct mt_err *err);

static mt_rc own_entry(const struct mt_settings_key *key, void *entry, struct mt_arena *arena,
                       struct mt_err *err)
{
    if (key->type == MT_SETTINGS_ITEMS)
        return own(key->items, entry, arena, err);
    struct mt_str *texts = entry; /* one, or the name and value of a header */
    MT_TRY(own_text(&texts[0], arena, err));
    return key->type == MT_SETTINGS_HEADERS ? own_text(&texts[1], arena, err) : MT_OK;
}

static size_t entry_size(const struct mt_settings_key *key)
{
    if (key->type == MT_SETTINGS_ITEMS)
        return key->items->size;
    return key->type == MT_SETTINGS_HEADERS ? sizeof(struct mt_config_header)
                                            : sizeof(struct mt_str);
}

static mt_rc own_list(const struct mt_settings_key *key, void *object, struct mt_arena *arena,
                      struct mt_err *err)
{
    struct mt_settings_list list = mt_settings_get_list(key, object);
    size_t size = entry_size(key);

    if (list.n == 0)
        return MT_OK;
    char *copy = mt_arena_get(arena, list.n, size);
    if (copy == NULL)
        return mt_arena_fail(arena, err);
    memcpy(copy, list.at, list.n * size);
    for (size_t i = 0; i < list.n; i++)
        MT_TRY(own_entry(key, copy + i * size, arena, err));
    mt_settings_put_list(key, object, (struct mt_settings_list){copy, list.n});
    return MT_OK;
}

/* Copy deeply what an object of the group points to into arena. */
static mt_rc own(const struct mt_settings_group *group, void *object, struct mt_arena *arena,
                 struct mt_err *err)
{
    for (size_t i = 0; i < group->n; i++) {
        const struct mt_settings_key *key = &group->keys[i];

        if (!mt_settings_is_scalar(key)) {
            MT_TRY(own_list(key, object, arena, err));
        } else if (key->type == MT_SETTINGS_TEXT || key->type == MT_SETTINGS_PATH) {
            if ((key->flags & (MT_SETTINGS_FROM_ENV | MT_SETTINGS_FROM_FILE)) != 0)
                continue; /* the same place as the value itself */
            union mt_settings_value value = mt_settings_get(key, object);
            MT_TRY(own_text(&value.text, arena, err));
            mt_settings_put(key, object, &value);
        }
    }
    return MT_OK;
}

/* ------------------------------------------------------------------ additions */

/* Numbers that the caller left at zero take their default. */
static mt_rc fill_zeros(const struct mt_settings_group *group, void *object, struct mt_err *err)
{
    for (size_t i = 0; i < group->n; i++) {
        const struct mt_settings_key *key = &group->keys[i];
        union mt_settings_value value = {0};
        static const char nothing[sizeof value];

        if (key->initial == NULL || key->type == MT_SETTINGS_BOOL ||
            !mt_settings_is_scalar(key))
            continue;
        value = mt_settings_get(key, object);
        if (memcmp(&value.number, nothing, sizeof value.number) != 0)
            continue;
        MT_TRY(mt_settings_parse(key, mt_str_of(key->initial), &value, err));
        mt_settings_put(key, object, &value);
    }
    return MT_OK;
}

static struct mt_str name_at(const struct mt_settings_group *group, const void *objects,
                             size_t i)
{
    const struct mt_settings_key *name = mt_settings_find(group, MT_STR("name"));

    return mt_settings_get(name, (const char *)objects + i * group->size).text;
}

static bool is_named(const struct mt_settings_group *group, struct mt_settings_list list,
                     struct mt_str name)
{
    for (size_t i = 0; i < list.n; i++) {
        if (mt_str_eq(name_at(group, list.at, i), name))
            return true;
    }
    return false;
}

/* The old list with those of the new one behind it whose names it does not have. */
static mt_rc append(const struct mt_settings_key *key, struct mt_config__snapshot *made,
                    struct mt_settings_list more, struct mt_err *err)
{
    const struct mt_settings_group *group = key->items;
    struct mt_settings_list list = mt_settings_get_list(key, &made->config);

    if (list.n + more.n == 0)
        return MT_OK;
    char *all = mt_arena_get(&made->arena, list.n + more.n, group->size);
    if (all == NULL)
        return mt_arena_fail(&made->arena, err);
    if (list.n > 0)
        memcpy(all, list.at, list.n * group->size);
    list.at = all;
    for (size_t i = 0; i < more.n; i++) {
        char *object = all + list.n * group->size;

        if (is_named(group, list, name_at(group, more.at, i)))
            continue;
        memcpy(object, (const char *)more.at + i * group->size, group->size);
        MT_TRY(fill_zeros(group, object, err));
        MT_TRY(own(group, object, &made->arena, err));
        list.n++;
    }
    mt_settings_put_list(key, &made->config, list);
    return MT_OK;
}

/* Origins with room for the items that were added, which have none. */
static mt_rc extend_origins(const struct mt_settings_key *key, struct mt_config__snapshot *made,
                            const struct mt_config__snapshot *base, struct mt_err *err)
{
    const struct mt_settings_group *root = &mt_config__root;
    size_t at = (size_t)(key - root->keys);
    size_t n = mt_settings_get_list(key, &made->config).n;
    size_t old_n = mt_settings_get_list(key, &base->config).n;

    made->origins = mt_settings_origins(root, &made->arena);
    if (made->origins == NULL)
        return mt_arena_fail(&made->arena, err);
    memcpy(made->origins, base->origins, root->n * sizeof *made->origins);
    if (n == 0)
        return MT_OK;
    struct mt_settings_origin **items = mt_arena_get(&made->arena, n, sizeof *items);
    if (items == NULL)
        return mt_arena_fail(&made->arena, err);
    for (size_t i = 0; i < old_n; i++)
        items[i] = base->origins[at].items != NULL ? base->origins[at].items[i] : NULL;
    made->origins[at].items = items;
    return MT_OK;
}

static mt_rc with_more(const struct mt_config *config, const char *key_name,
                       struct mt_settings_list more, const struct mt_config **out,
                       struct mt_err *err)
{
    MT_CLEANUP(mt_config__snapshot_freep) struct mt_config__snapshot *made = NULL;
    const struct mt_settings_key *key = mt_settings_find(&mt_config__root, mt_str_of(key_name));

    MT_TRY(mt_config__snapshot_new(&made, err));
    made->config = *config;
    made->base = mt_config_ref(config);
    MT_TRY(append(key, made, more, err));
    MT_TRY(extend_origins(key, made, mt_config__snapshot_of(config), err));
    *out = &MT_MOVE(made)->config;
    return MT_OK;
}

mt_rc mt_config_with_endpoints(const struct mt_config *config,
                               const struct mt_config_endpoint *found, size_t found_n,
                               const struct mt_config **out, struct mt_err *err)
{
    return with_more(config, "endpoints", (struct mt_settings_list){found, found_n}, out, err);
}

mt_rc mt_config_with_models(const struct mt_config *config, const struct mt_config_model *more,
                            size_t more_n, const struct mt_config **out, struct mt_err *err)
{
    const struct mt_config *made = NULL;

    MT_TRY(with_more(config, "models", (struct mt_settings_list){more, more_n}, &made, err));
    for (size_t i = config->models_n; i < made->models_n; i++) {
        struct mt_config_model *model = (struct mt_config_model *)(uintptr_t)&made->models[i];
        model->cache = model->cache || made->cache_enabled;
    }
    *out = made;
    return MT_OK;
}
