/* SPDX-License-Identifier: Apache-2.0 */
/* The table of keys for people: explain, the sample file, the reference page. */
#include "config_priv.h"

#include <string.h>

static void add_default(const struct mt_config__key *key, struct mt_buf *out)
{
    mt_buf_add_cstr(out, key->initial != NULL ? key->initial : "none");
}

static void explain_line(const char *prefix, const struct mt_config__key *key,
                         struct mt_buf *out)
{
    mt_buf_addf(out, "%s%-*s %s\n", prefix, (int)(26 - strlen(prefix)), key->name, key->help);
}

static void explain_key(const char *prefix, const struct mt_config__key *key,
                        struct mt_buf *out)
{
    char env[MT_CONFIG__ENV_MAX];

    mt_buf_addf(out, "%s%s\n  %s\n\n  value    ", prefix, key->name, key->help);
    mt_config__describe(key, out);
    mt_buf_add_cstr(out, "\n  default  ");
    if ((key->flags & KEY_REQUIRED) != 0)
        mt_buf_add_cstr(out, "none, it has to be given");
    else
        add_default(key, out);
    if (key->example != NULL)
        mt_buf_addf(out, "\n  example  %s: %s", key->name, key->example);
    if (prefix[0] == '\0' && mt_config__is_scalar(key)) {
        mt_config__env_name(key, env);
        mt_buf_addf(out, "\n  also     %s in the environment, --%s VALUE", env, key->name);
    }
    mt_buf_addf(out, "\n  reload   %s\n",
                (key->flags & KEY_FIXED) != 0 ? "needs a restart" : "taken over while running");
    for (size_t i = 0; key->items != NULL && i < key->items->n; i++) {
        if (i == 0)
            mt_buf_addf(out, "\n  of each %s:\n", key->items->name);
        explain_line("    ", &key->items->keys[i], out);
    }
}

/* "endpoints.url" as well as "cache.ttl" */
static const struct mt_config__key *find_below(struct mt_str name, struct mt_str *prefix)
{
    const struct mt_config__key *key = mt_config__find(&mt_config__root, name);
    struct mt_str rest = name;

    *prefix = (struct mt_str){0};
    if (key != NULL)
        return key;
    struct mt_str list = mt_str_take(&rest, '.');
    key = mt_config__find(&mt_config__root, list);
    if (key == NULL || key->items == NULL)
        return NULL;
    *prefix = mt_str_sub(name, 0, list.len + 1);
    return mt_config__find(key->items, rest);
}

static bool explain_section(struct mt_str section, struct mt_buf *out)
{
    for (size_t i = 0; i < mt_config__root.n; i++) {
        struct mt_str name = mt_str_of(mt_config__root.keys[i].name);
        if (mt_str_starts(name, section) && name.len > section.len &&
            name.at[section.len] == '.')
            explain_line("", &mt_config__root.keys[i], out);
    }
    return mt_config__has_section(&mt_config__root, section);
}

mt_rc mt_config_explain(const char *name, struct mt_buf *out, struct mt_err *err)
{
    char prefix_text[64] = "";
    struct mt_str prefix;

    if (name == NULL) {
        for (size_t i = 0; i < mt_config__root.n; i++)
            explain_line("", &mt_config__root.keys[i], out);
        return mt_buf_check(out, "explanation", err);
    }
    const struct mt_config__key *key = find_below(mt_str_of(name), &prefix);
    if (key == NULL) {
        if (explain_section(mt_str_of(name), out))
            return mt_buf_check(out, "explanation", err);
        struct mt_str near = mt_config__nearest(&mt_config__root, mt_str_of(name));
        if (near.len == 0)
            return MT_FAIL(err, MT_E_NOTFOUND, "unknown key '%s'", name);
        return MT_FAIL(err, MT_E_NOTFOUND, "unknown key '%s', did you mean '%.*s'?", name,
                       MT_STR_ARG(near));
    }
    if (prefix.len < sizeof prefix_text)
        memcpy(prefix_text, prefix.at != NULL ? prefix.at : "", prefix.len);
    explain_key(prefix_text, key, out);
    return mt_buf_check(out, "explanation", err);
}

/* ------------------------------------------------------------------ the sample */

/* Lines of words begin with "# ", lines that could be switched on with "#" alone. */
static void sample_item(const struct mt_config__group *group, struct mt_buf *out)
{
    const char *lead = "- ";

    for (size_t i = 0; i < group->n; i++) {
        const struct mt_config__key *key = &group->keys[i];
        if (key->example == NULL)
            continue;
        mt_buf_addf(out, "#%s%s: %s\n", lead, key->name, key->example);
        lead = "  ";
    }
}

static void sample_key(const struct mt_config__key *key, const char *by, struct mt_buf *out)
{
    const char *dot = strchr(key->name, '.');

    mt_buf_addf(out, "%s# %s\n", by, key->help);
    if (key->type == TYPE_ITEMS && key->example == NULL) {
        mt_buf_addf(out, "#%s:\n", key->name);
        sample_item(key->items, out);
        return;
    }
    const char *value = key->initial != NULL ? key->initial : key->example;
    mt_buf_addf(out, "%s%s%s: %s\n", key->initial != NULL ? "" : "#", by,
                dot != NULL ? dot + 1 : key->name, value != NULL ? value : "\"\"");
}

void mt_config_sample(struct mt_buf *out)
{
    struct mt_str section = {0};

    mt_buf_add_cstr(
        out, "# motet.yaml: every key with its default. Lines that begin with '#' and a\n"
             "# letter can be switched on. `motet config explain KEY` says more.\n");
    for (size_t i = 0; i < mt_config__root.n; i++) {
        const struct mt_config__key *key = &mt_config__root.keys[i];
        struct mt_str name = mt_str_of(key->name);
        size_t dot = mt_str_find_char(name, '.');
        struct mt_str next = mt_str_sub(name, 0, dot < name.len ? dot : 0);

        if (next.len == 0 || !mt_str_eq(section, next))
            mt_buf_add_char(out, '\n');
        if (next.len > 0 && !mt_str_eq(section, next))
            mt_buf_addf(out, "%.*s:\n", MT_STR_ARG(next));
        section = next;
        sample_key(key, next.len > 0 ? "  " : "", out);
    }
}

/* ------------------------------------------------------------------ the reference */

/* '|' ends a cell of a table. */
static void add_cell(const char *text, struct mt_buf *out)
{
    for (; *text != '\0'; text++) {
        if (*text == '|')
            mt_buf_add_char(out, '\\');
        mt_buf_add_char(out, *text);
    }
}

static void reference_row(const struct mt_config__key *key, bool is_root, struct mt_buf *out)
{
    mt_buf_addf(out, "| `%s` | ", key->name);
    mt_config__describe(key, out);
    mt_buf_add_cstr(out, " | ");
    if ((key->flags & KEY_REQUIRED) != 0)
        mt_buf_add_cstr(out, "required");
    else if (key->initial != NULL)
        mt_buf_addf(out, "`%s`", key->initial);
    if (is_root)
        mt_buf_add_cstr(out, (key->flags & KEY_FIXED) != 0 ? " | restart" : " | reload");
    mt_buf_add_cstr(out, " | ");
    add_cell(key->help, out);
    mt_buf_add_cstr(out, " |\n");
}

static void reference_group(const struct mt_config__group *group, const char *heading,
                            struct mt_buf *out)
{
    mt_buf_addf(out, "\n## %s\n\n| key | value | default | meaning |\n|---|---|---|---|\n",
                heading);
    for (size_t i = 0; i < group->n; i++)
        reference_row(&group->keys[i], false, out);
}

void mt_config_reference(struct mt_buf *out)
{
    const struct mt_config__group *limit = NULL;

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
    for (size_t i = 0; i < mt_config__root.n; i++)
        reference_row(&mt_config__root.keys[i], true, out);
    for (size_t i = 0; i < mt_config__root.n; i++) {
        const struct mt_config__key *key = &mt_config__root.keys[i];
        if (key->items == NULL)
            continue;
        if (mt_str_is(mt_str_of(key->name), "limits"))
            limit = key->items;
        else
            reference_group(key->items, key->name, out);
    }
    if (limit != NULL)
        reference_group(limit, "limits (of the node, of keys, of models)", out);
}

/* ------------------------------------------------------------------ for other tables */

bool mt_config_option(size_t i, struct mt_config_option *out)
{
    for (size_t at = 0; at < mt_config__root.n; at++) {
        const struct mt_config__key *key = &mt_config__root.keys[at];
        if (!mt_config__is_scalar(key) || i-- > 0)
            continue;
        *out = (struct mt_config_option){key->name, key->initial, key->help,
                                         key->type == TYPE_BOOL};
        return true;
    }
    return false;
}
