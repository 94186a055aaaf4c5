/* SPDX-License-Identifier: Apache-2.0 */
/* The table of keys for people: explain, the sample file, the reference page. */
#include "config_priv.h"
#include "settings/page.h"

static void note(const struct mt_settings_key *key, bool is_root, struct mt_buf *out)
{
    char env[MT_CONFIG__ENV_MAX];

    if (is_root && mt_settings_is_scalar(key)) {
        mt_config__env_name(key, env);
        mt_buf_addf(out, "\n  also     %s in the environment, --%s VALUE", env, key->name);
    }
    mt_buf_addf(out, "\n  reload   %s",
                (key->flags & MT_SETTINGS_FIXED) != 0 ? "needs a restart"
                                                      : "taken over while running");
}

mt_rc mt_config_explain(const char *name, struct mt_buf *out, struct mt_err *err)
{
    return mt_settings_explain(&mt_config__root, name, note, out, err);
}

/* Lines of words begin with "# ", lines that could be switched on with "#" alone. */
void mt_config_sample(struct mt_buf *out)
{
    mt_buf_add_cstr(
        out, "# motet.yaml: every key with its default. Lines that begin with '#' and a\n"
             "# letter can be switched on. `motet config explain KEY` says more.\n");
    mt_settings_sample(&mt_config__root, out);
}

static const char *change(const struct mt_settings_key *key)
{
    return (key->flags & MT_SETTINGS_FIXED) != 0 ? "restart" : "reload";
}

void mt_config_reference(struct mt_buf *out)
{
    const struct mt_settings_group *limit = NULL;

    mt_buf_add_cstr(
        out,
        "# Configuration\n\n"
        "This page is written by `motet config explain --markdown` from the table of keys.\n\n"
        "A node reads `$MOTET_CONFIG`, else `~/.config/motet/motet.yaml` (`$MOTET_HOME/config` "
        "where `MOTET_HOME` is set) if it is there. Order: defaults < file < environment < "
        "flags. `cache.ttl` is the key `ttl` of the section `cache` in the file, "
        "`MOTET_CACHE_TTL` in the environment and `--cache.ttl` as a flag of `motet up`. Lists "
        "stand in the file only.\n\n"
        "Values have units: `250ms`, `10s`, `5m`, `1h`, `7d`; `64MiB`; `2.50USD`; counts may "
        "end "
        "in `k` or `M`. An unknown key, a wrong unit or a value out of range stops the node "
        "with "
        "file, line and column. A running node reads its file again when it changes, on SIGHUP "
        "and on `motet reload`; keys marked *restart* keep their value until then. `motet "
        "config "
        "show --origin` says where each value came from; secrets are never shown.\n\n"
        "## The node\n\n| key | value | default | change | meaning |\n|---|---|---|---|---|\n");
    mt_settings_rows(&mt_config__root, change, out);
    for (size_t i = 0; i < mt_config__root.n; i++) {
        const struct mt_settings_key *key = &mt_config__root.keys[i];
        if (key->items == NULL)
            continue;
        if (mt_str_is(mt_str_of(key->name), "limits"))
            limit = key->items;
        else
            mt_settings_reference(key->items, key->name, out);
    }
    if (limit != NULL)
        mt_settings_reference(limit, "limits (of the node, of keys, of models)", out);
}

/* ------------------------------------------------------------------ for other tables */

bool mt_config_option(size_t i, struct mt_config_option *out)
{
    for (size_t at = 0; at < mt_config__root.n; at++) {
        const struct mt_settings_key *key = &mt_config__root.keys[at];
        if (!mt_settings_is_scalar(key) || i-- > 0)
            continue;
        *out = (struct mt_config_option){key->name, key->initial, key->help,
                                         key->type == MT_SETTINGS_BOOL};
        return true;
    }
    return false;
}
