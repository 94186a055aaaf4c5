/* SPDX-License-Identifier: Apache-2.0 */
/* defaults < file < environment < flags -> one checked snapshot. */
#include "config_priv.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "crypto/secret.h"
#include "settings/yaml.h"
#include "system/file.h"

/* Names of the environment that begin like ours and are no keys. */
static const char *const other_names[] = {"MOTET_HOME", "MOTET_HOST", "MOTET_CONFIG",
                                          "MOTET_API_KEY"};

static mt_rc copy_path(struct mt_config__load *load, const char *file, struct mt_err *err)
{
    char whole[PATH_MAX];
    struct mt_config *config = &load->made->config;

    config->file = mt_arena_str(&load->made->arena,
                                mt_str_of(realpath(file, whole) != NULL ? whole : file));
    if (config->file.at == NULL)
        return mt_arena_fail(&load->made->arena, err);
    size_t slash = config->file.len;
    while (slash > 0 && config->file.at[slash - 1] != '/')
        slash--;
    load->reader.folder = mt_str_sub(config->file, 0, slash > 1 ? slash - 1 : slash);
    return MT_OK;
}

static mt_rc take_file(struct mt_config__load *load, const char *file, struct mt_err *err)
{
    struct mt_buf text = MT_BUF_INIT(MT_SETTINGS_FILE_MAX);

    load->reader.name = file;
    mt_rc rc = mt_file_read(file, MT_SETTINGS_FILE_MAX, &text, err);
    if (rc == MT_OK)
        rc = copy_path(load, file, err);
    if (rc == MT_OK)
        rc = mt_settings_read(&load->reader, mt_buf_str(&text), &mt_config__root,
                              &load->made->config, load->made->origins, err);
    if (text.len > 0)
        mt_wipe(text.at, text.len); /* it may hold keys */
    mt_buf_fini(&text);
    return rc;
}

static mt_rc set_root(struct mt_config__load *load, const struct mt_settings_key *key,
                      const char *text, enum mt_settings_source source, struct mt_err *err)
{
    struct mt_config__snapshot *made = load->made;
    struct mt_settings_origin *origin = &made->origins[key - mt_config__root.keys];
    struct mt_err below = {0};
    mt_rc rc =
        mt_settings_set(&load->reader, key, mt_str_of(text), source, &made->config, &below);

    *origin = (struct mt_settings_origin){.source = source};
    if (rc == MT_OK)
        return MT_OK;
    if (rc == MT_E_INVALID)
        return mt_config__blame(load, key, origin, err, "%s", below.text);
    if (err != NULL)
        *err = below;
    return rc;
}

/* A name of ours with a slip in it would be ignored in silence; others are not ours to judge.
 */
static mt_rc refuse_slip(struct mt_str name, struct mt_err *err)
{
    char known[MT_CONFIG__ENV_MAX];

    for (size_t i = 0; i < MT_ARRAY_LEN(other_names); i++) {
        if (mt_str_is(name, other_names[i]))
            return MT_OK;
    }
    for (size_t i = 0; i < mt_config__root.n; i++) {
        mt_config__env_name(&mt_config__root.keys[i], known);
        if (mt_str_is(name, known))
            return mt_settings_is_scalar(&mt_config__root.keys[i])
                       ? MT_OK
                       : MT_FAIL(err, MT_E_INVALID, "%s: a list, which only the file can give",
                                 known);
    }
    for (size_t i = 0; i < mt_config__root.n; i++) {
        mt_config__env_name(&mt_config__root.keys[i], known);
        if (mt_str_distance(mt_str_of(known), name, 2) <= 2)
            return MT_FAIL(err, MT_E_INVALID, "%.*s: unknown name, did you mean %s?",
                           MT_STR_ARG(name), known);
    }
    return MT_OK;
}

static mt_rc take_environment(struct mt_config__load *load, struct mt_err *err)
{
    char name[MT_CONFIG__ENV_MAX];

    for (char *const *at = load->reader.environment; at != NULL && *at != NULL; at++) {
        struct mt_str entry = mt_str_of(*at);
        if (mt_str_starts(entry, MT_STR("MOTET_")))
            MT_TRY(refuse_slip(mt_str_take(&entry, '='), err));
    }
    for (size_t i = 0; i < mt_config__root.n; i++) {
        const struct mt_settings_key *key = &mt_config__root.keys[i];
        mt_config__env_name(key, name);
        const char *text = mt_settings_is_scalar(key)
                               ? mt_settings_variable(load->reader.environment, name)
                               : NULL;
        if (text != NULL)
            MT_TRY(set_root(load, key, text, MT_SETTINGS_BY_ENV, err));
    }
    return MT_OK;
}

static mt_rc take_flag(struct mt_config__load *load, const struct mt_config_flag *flag,
                       struct mt_err *err)
{
    struct mt_str name = mt_str_of(flag->key);
    const struct mt_settings_key *key = mt_settings_find(&mt_config__root, name);

    if (key != NULL)
        return set_root(load, key, flag->value, MT_SETTINGS_BY_FLAG, err);
    struct mt_str near = mt_settings_nearest(&mt_config__root, name);
    if (near.len == 0)
        return MT_FAIL(err, MT_E_INVALID, "--%s: unknown key", flag->key);
    return MT_FAIL(err, MT_E_INVALID, "--%s: unknown key, did you mean --%.*s?", flag->key,
                   MT_STR_ARG(near));
}

static mt_rc find_data_dir(struct mt_config__load *load, struct mt_err *err)
{
    struct mt_config *config = &load->made->config;
    struct mt_dirs dirs = {0};

    if (config->data_dir.len > 0)
        return MT_OK;
    mt_rc rc = mt_dirs_find(&dirs, err);
    if (rc != MT_OK)
        return mt_err_wrap(err, rc, "data_dir");
    config->data_dir = mt_arena_str(&load->made->arena, mt_str_of(dirs.data));
    mt_dirs_fini(&dirs);
    return config->data_dir.at != NULL ? MT_OK : mt_arena_fail(&load->made->arena, err);
}

/* A model that does not say whether it may be cached does as the node does. */
static void inherit_cache(struct mt_config__load *load)
{
    struct mt_config *config = &load->made->config;
    const struct mt_settings_key *models = mt_settings_find(&mt_config__root, MT_STR("models"));
    const struct mt_settings_key *cache = mt_settings_find(models->items, MT_STR("cache"));
    struct mt_settings_origin *origin = &load->made->origins[models - mt_config__root.keys];
    const union mt_settings_value value = {.is_true = config->cache_enabled};

    for (size_t i = 0; i < config->models_n; i++) {
        void *model = (void *)(uintptr_t)&config->models[i]; /* ours until it is published */
        if (origin->items[i][cache - models->items->keys].source == MT_SETTINGS_BY_DEFAULT)
            mt_settings_put(cache, model, &value);
    }
}

/* load says where to look; its snapshot is made here. */
static mt_rc run(struct mt_config__load load, const char *file,
                 const struct mt_config_flag *flags, size_t flags_n,
                 const struct mt_config **out, struct mt_err *err)
{
    MT_CLEANUP(mt_config__snapshot_freep) struct mt_config__snapshot *made = NULL;

    MT_TRY(mt_config__snapshot_new(&made, err));
    load.made = made;
    load.reader.arena = &made->arena;
    load.reader.fetch = mt_config__fetch;
    load.reader.context = &load;
    made->origins = mt_settings_origins(&mt_config__root, &made->arena);
    if (made->origins == NULL)
        return mt_arena_fail(&made->arena, err);
    MT_TRY(mt_settings_defaults(&mt_config__root, &made->config, err));
    if (file != NULL)
        MT_TRY(take_file(&load, file, err));
    MT_TRY(take_environment(&load, err));
    for (size_t i = 0; i < flags_n; i++)
        MT_TRY(take_flag(&load, &flags[i], err));
    MT_TRY(mt_config__check(&load, err));
    MT_TRY(find_data_dir(&load, err));
    inherit_cache(&load);
    *out = &MT_MOVE(made)->config;
    return MT_OK;
}

mt_rc mt_config_load(const char *file, char *const *environment,
                     const struct mt_config_flag *flags, size_t flags_n,
                     const struct mt_config **out, struct mt_err *err)
{
    const struct mt_config__load load = {.reader = {.name = "", .environment = environment}};

    return run(load, file, flags, flags_n, out, err);
}

mt_rc mt_config_load_keyless(const char *file, char *const *environment,
                             const struct mt_config_flag *flags, size_t flags_n,
                             const struct mt_config **out, struct mt_err *err)
{
    const struct mt_config__load load = {.reader = {.name = "", .environment = environment},
                                         .is_keyless = true};

    return run(load, file, flags, flags_n, out, err);
}

mt_rc mt_config_file_find(char *const *environment, char **out, struct mt_err *err)
{
    const char *named = mt_settings_variable(environment, "MOTET_CONFIG");
    struct mt_dirs dirs = {0};
    char *path = NULL;

    if (named != NULL && named[0] != '\0') {
        path = mt_alloc_cstr(mt_str_of(named));
    } else {
        MT_TRY(mt_dirs_find(&dirs, err));
        path = mt_path_join(dirs.config, "motet.yaml");
        mt_dirs_fini(&dirs);
    }
    if (path == NULL)
        return MT_FAIL(err, MT_E_NOMEM, "path of the configuration");
    *out = path;
    return MT_OK;
}
