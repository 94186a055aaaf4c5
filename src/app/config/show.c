/* SPDX-License-Identifier: Apache-2.0 */
/* A snapshot as text: `motet config show`, and what a reload cannot change. */
#include "settings/show.h"
#include "config_priv.h"

/* What was added to a snapshot has no origins: it was found around the node. */
static void say_origin(const void *context, const struct mt_settings_key *key,
                       const struct mt_settings_origin *origin, struct mt_buf *out)
{
    const struct mt_config *config = context;
    char env[MT_CONFIG__ENV_MAX];

    switch (origin != NULL ? origin->source : MT_SETTINGS_BY_ELSEWHERE) {
    case MT_SETTINGS_BY_DEFAULT:
        mt_buf_add_cstr(out, "default");
        return;
    case MT_SETTINGS_BY_FILE:
        mt_buf_addf(out, "%.*s:%u", MT_STR_ARG(config->file), origin->line);
        return;
    case MT_SETTINGS_BY_ENV:
        mt_config__env_name(key, env);
        mt_buf_addf(out, "environment, %s", env);
        return;
    case MT_SETTINGS_BY_FLAG:
        mt_buf_addf(out, "flag, --%s", key->name);
        return;
    case MT_SETTINGS_BY_ELSEWHERE:
        mt_buf_add_cstr(out, "found");
        return;
    }
}

mt_rc mt_config_show(const struct mt_config *config, enum mt_config_format format,
                     bool with_origins, struct mt_buf *out, struct mt_err *err)
{
    const struct mt_settings_show show = {
        .group = &mt_config__root,
        .object = config,
        .origins = mt_config__snapshot_of(config)->origins,
        .say_origin = with_origins ? say_origin : NULL,
        .context = config,
    };

    if (format == MT_CONFIG_JSON)
        mt_settings_show_json(&show, out);
    else
        mt_settings_show_yaml(&show, out);
    return mt_buf_check(out, "configuration", err);
}

void mt_config_unreloadable(const struct mt_config *old, const struct mt_config *now,
                            struct mt_buf *names)
{
    mt_settings_differ(&mt_config__root, MT_SETTINGS_FIXED, old, now, names);
}
