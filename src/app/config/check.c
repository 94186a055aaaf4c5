/* SPDX-License-Identifier: Apache-2.0 */
/* What no key can know alone: names, pairs of keys, and who may listen where. */
#include "config_priv.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "crypto/key.h"
#include "system/file.h"
#include "system/log.h"

enum { NAME_MAX_LEN = 128, ALIAS_DEPTH_MAX = 4, PEM_BYTES_MAX = 4 * 1024 * 1024 };

mt_rc mt_config__blame(const struct mt_config__load *load, const struct mt_settings_key *key,
                       const struct mt_settings_origin *origin, struct mt_err *err,
                       const char *format, ...)
{
    char words[MT_ERR_TEXT_MAX];
    char env[MT_CONFIG__ENV_MAX];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(words, sizeof words, format, args);
    va_end(args);
    if (origin->source == MT_SETTINGS_BY_FLAG)
        return MT_FAIL(err, MT_E_INVALID, "--%s: %s", key->name, words);
    if (origin->source != MT_SETTINGS_BY_ENV)
        return mt_settings_blame(&load->reader, key, origin, err, "%s", words);
    mt_config__env_name(key, env);
    return MT_FAIL(err, MT_E_INVALID, "%s: %s", env, words);
}

/* A root key by name, with its origin. */
static mt_rc blame_root(const struct mt_config__load *load, const char *name,
                        struct mt_err *err, const char *words)
{
    const struct mt_settings_key *key = mt_settings_find(&mt_config__root, mt_str_of(name));
    const struct mt_settings_origin *origin = &load->made->origins[key - mt_config__root.keys];

    return mt_config__blame(load, key, origin, err, "%s", words);
}

/* A key of the i-th item of a list; where the item does not give it, the list's place. */
static mt_rc blame_item(const struct mt_config__load *load, const char *list, size_t i,
                        const char *name, struct mt_err *err, const char *words,
                        struct mt_str about)
{
    const struct mt_settings_key *key = mt_settings_find(&mt_config__root, mt_str_of(list));
    const struct mt_settings_origin *origin = &load->made->origins[key - mt_config__root.keys];
    const struct mt_settings_key *below = mt_settings_find(key->items, mt_str_of(name));
    const struct mt_settings_origin *origins = origin->items != NULL ? origin->items[i] : NULL;

    if (origins != NULL && origins[below - key->items->keys].source == MT_SETTINGS_BY_FILE)
        origin = &origins[below - key->items->keys];
    return mt_config__blame(load, below, origin, err, "%s '%.*s': %s", key->items->name,
                            MT_STR_ARG(about), words);
}

static bool is_name(struct mt_str name, const char *extra)
{
    for (size_t i = 0; i < name.len; i++) {
        char c = name.at[i];
        bool is_plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                        (c >= '0' && c <= '9') || strchr(extra, c) != NULL;
        if (c == '\0' || !is_plain)
            return false;
    }
    return name.len > 0 && name.len <= NAME_MAX_LEN;
}

/* Names of one list: well formed, none twice. */
static mt_rc check_names(const struct mt_config__load *load, const char *list,
                         const char *extra, struct mt_err *err)
{
    const struct mt_settings_key *key = mt_settings_find(&mt_config__root, mt_str_of(list));
    const struct mt_settings_key *name = mt_settings_find(key->items, MT_STR("name"));
    struct mt_settings_list all = mt_settings_get_list(key, &load->made->config);

    for (size_t i = 0; i < all.n; i++) {
        const char *object = (const char *)all.at + i * key->items->size;
        struct mt_str text = mt_settings_get(name, object).text;

        if (!is_name(text, extra))
            return blame_item(load, list, i, "name", err,
                              "expected letters, digits, '-', '_' and '.'", text);
        for (size_t j = 0; j < i; j++) {
            const char *other = (const char *)all.at + j * key->items->size;
            if (mt_str_eq(mt_settings_get(name, other).text, text))
                return blame_item(load, list, i, "name", err, "the name is taken", text);
        }
    }
    return MT_OK;
}

static mt_rc check_keys(const struct mt_config__load *load, struct mt_err *err)
{
    const struct mt_config *config = &load->made->config;
    struct mt_digest digest;

    MT_TRY(check_names(load, "keys", "-_.@", err));
    for (size_t i = 0; i < config->keys_n; i++) {
        if (mt_key_stored_parse(config->keys[i].hash, &digest, NULL) != MT_OK)
            return blame_item(load, "keys", i, "hash", err,
                              "expected sha256: and 64 digits, as 'motet key new' prints",
                              config->keys[i].name);
        for (size_t j = 0; j < i; j++) {
            if (mt_str_ieq(config->keys[j].hash, config->keys[i].hash))
                return blame_item(load, "keys", i, "hash", err, "another one has the same key",
                                  config->keys[i].name);
        }
    }
    return MT_OK;
}

static bool is_url(struct mt_str url)
{
    struct mt_str rest = mt_str_starts(url, MT_STR("https://")) ? mt_str_sub(url, 8, url.len)
                                                                : mt_str_sub(url, 7, url.len);

    if (!mt_str_starts(url, MT_STR("http://")) && !mt_str_starts(url, MT_STR("https://")))
        return false;
    for (size_t i = 0; i < rest.len; i++) {
        if (rest.at[i] <= ' ' || strchr("?#@\"<>\\^`{|}", rest.at[i]) != NULL)
            return false;
    }
    return rest.len > 0 && rest.at[0] != '/' && rest.at[0] != ':';
}

/* Without this a wrong path would show up as endpoints that cannot be reached. */
static mt_rc check_authorities(const struct mt_config__load *load, size_t i, struct mt_err *err)
{
    const struct mt_config_endpoint *endpoint = &load->made->config.endpoints[i];
    MT_CLEANUP(mt_freep) char *path = mt_alloc_cstr(endpoint->ca_file);
    MT_CLEANUP(mt_buf_fini) struct mt_buf pem = MT_BUF_INIT(PEM_BYTES_MAX);
    struct mt_err why = {0};

    if (path == NULL)
        return MT_FAIL(err, MT_E_NOMEM, "path of a certificate");
    mt_rc rc = mt_file_read(path, PEM_BYTES_MAX, &pem, &why);
    if (rc == MT_E_NOMEM)
        return MT_FAIL(err, MT_E_NOMEM, "%s", why.text);
    if (rc != MT_OK)
        return blame_item(load, "endpoints", i, "ca_file", err, why.text, endpoint->name);
    struct mt_str begin = MT_STR("-----BEGIN CERTIFICATE-----");
    if (mt_str_find(mt_buf_str(&pem), begin) == pem.len)
        return blame_item(load, "endpoints", i, "ca_file", err,
                          "expected certificates in PEM, found none", endpoint->name);
    return MT_OK;
}

static mt_rc check_endpoints(const struct mt_config__load *load, struct mt_err *err)
{
    const struct mt_config *config = &load->made->config;

    MT_TRY(check_names(load, "endpoints", "-_.@", err));
    for (size_t i = 0; i < config->endpoints_n; i++) {
        if (!is_url(config->endpoints[i].url))
            return blame_item(load, "endpoints", i, "url", err,
                              "expected http:// or https:// and a host",
                              config->endpoints[i].name);
        if (config->endpoints[i].ca_file.len > 0 && !load->is_keyless)
            MT_TRY(check_authorities(load, i, err));
    }
    return MT_OK;
}

static const struct mt_config_model *model_find(const struct mt_config *config,
                                                struct mt_str name)
{
    for (size_t i = 0; i < config->models_n; i++) {
        if (mt_str_eq(config->models[i].name, name))
            return &config->models[i];
    }
    return NULL;
}

/* Does following targets that are aliases end within the depth that routes follow? */
static bool alias_ends(const struct mt_config *config, const struct mt_config_model *model,
                       unsigned depth)
{
    if (depth > ALIAS_DEPTH_MAX)
        return false;
    for (size_t i = 0; i < model->targets.n; i++) {
        const struct mt_config_model *next = model_find(config, model->targets.at[i]);
        if (next != NULL && !alias_ends(config, next, depth + 1))
            return false;
    }
    return true;
}

static mt_rc check_models(const struct mt_config__load *load, struct mt_err *err)
{
    const struct mt_config *config = &load->made->config;

    MT_TRY(check_names(load, "models", "-_.:/@", err));
    for (size_t i = 0; i < config->models_n; i++) {
        const struct mt_config_model *model = &config->models[i];
        bool is_local = model->path.len > 0;

        if (is_local == (model->targets.n > 0))
            return blame_item(load, "models", i, is_local ? "targets" : "name", err,
                              "expected either a path or targets", model->name);
        if (!is_local && model->lora.len > 0)
            return blame_item(load, "models", i, "lora", err, "needs a path", model->name);
        if (!alias_ends(config, model, 1))
            return blame_item(load, "models", i, "targets", err,
                              "expected names that lead to models, found a circle or more "
                              "than 4 aliases in a row",
                              model->name);
    }
    return MT_OK;
}

static mt_rc check_limit(const struct mt_config__load *load, const struct mt_config_limits *all,
                         struct mt_str owner, const struct mt_settings_origin *origin,
                         struct mt_err *err)
{
    static const struct mt_settings_key limits = {.name = "limits"};

    for (size_t i = 0; i < all->n; i++) {
        const struct mt_config_limit *limit = &all->at[i];
        if (limit->requests == 0 && limit->tokens == 0 && limit->money_usd_nano == 0)
            return mt_config__blame(load, &limits, origin, err,
                                    "%.*s: expected requests, tokens or money above 0",
                                    MT_STR_ARG(owner));
    }
    return MT_OK;
}

static const struct mt_settings_origin *limits_origin(const struct mt_config__load *load,
                                                      const char *list, size_t i)
{
    const struct mt_settings_key *key = mt_settings_find(&mt_config__root, mt_str_of(list));
    const struct mt_settings_origin *origin = &load->made->origins[key - mt_config__root.keys];
    const struct mt_settings_key *limits =
        key->items != NULL ? mt_settings_find(key->items, MT_STR("limits")) : NULL;

    if (limits == NULL || origin->items == NULL)
        return origin;
    return &origin->items[i][limits - key->items->keys];
}

static mt_rc check_limits(const struct mt_config__load *load, struct mt_err *err)
{
    const struct mt_config *config = &load->made->config;

    MT_TRY(check_limit(load, &config->limits, MT_STR("node"), limits_origin(load, "limits", 0),
                       err));
    for (size_t i = 0; i < config->keys_n; i++)
        MT_TRY(check_limit(load, &config->keys[i].limits, config->keys[i].name,
                           limits_origin(load, "keys", i), err));
    for (size_t i = 0; i < config->models_n; i++)
        MT_TRY(check_limit(load, &config->models[i].limits, config->models[i].name,
                           limits_origin(load, "models", i), err));
    return MT_OK;
}

static bool is_loopback(struct mt_str host)
{
    return mt_str_is(host, "localhost") || mt_str_is(host, "::1") ||
           mt_str_starts(host, MT_STR("127."));
}

static bool is_level(struct mt_str word)
{
    for (int level = MT_LOG_ERROR; level <= (int)MT_LOG_TRACE; level++) {
        if (mt_str_is(word, mt_log_level_name((enum mt_log_level)level)))
            return true;
    }
    return false;
}

/* "info,net=debug" */
static bool is_levels(struct mt_str levels)
{
    do {
        struct mt_str word = mt_str_take(&levels, ',');
        if (mt_str_find_char(word, '=') < word.len)
            (void)mt_str_take(&word, '='); /* the module: any name */
        if (!is_level(word))
            return false;
    } while (levels.len > 0);
    return true;
}

mt_rc mt_config__check(const struct mt_config__load *load, struct mt_err *err)
{
    const struct mt_config *config = &load->made->config;

    MT_TRY(check_keys(load, err));
    MT_TRY(check_endpoints(load, err));
    MT_TRY(check_models(load, err));
    MT_TRY(check_limits(load, err));
    if (!is_levels(config->log_level))
        return blame_root(load, "log.level", err,
                          "expected error, warn, info, debug or trace, or 'info,module=debug'");
    if ((config->tls_cert.len > 0) != (config->tls_key.len > 0))
        return blame_root(load, config->tls_cert.len > 0 ? "tls.cert" : "tls.key", err,
                          "expected tls.cert and tls.key together");
    if (config->retry_base_ms > config->retry_cap_ms)
        return blame_root(load, "retry.base", err, "expected at most retry.cap");
    if (config->cache_entry_bytes_max > config->cache_bytes_max)
        return blame_root(load, "cache.entry_max", err, "expected at most cache.size");
    if (!is_loopback(config->listen_host) && config->keys_n == 0)
        return blame_root(load, "listen", err,
                          "other machines could reach it, and no keys are set; type 'motet key "
                          "new NAME', put what it prints under keys, and start again");
    return MT_OK;
}
