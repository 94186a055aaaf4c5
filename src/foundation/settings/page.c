/* SPDX-License-Identifier: Apache-2.0 */
/* A table of keys for people: explain, the sample file, the reference. Pure. */
#include "settings/page.h"

#include <string.h>

static void add_default(const struct mt_settings_key *key, struct mt_buf *out)
{
    mt_buf_add_cstr(out, key->initial != NULL ? key->initial : "none");
}

static void explain_line(const char *prefix, const struct mt_settings_key *key,
                         struct mt_buf *out)
{
    mt_buf_addf(out, "%s%-*s %s\n", prefix, (int)(26 - strlen(prefix)), key->name, key->help);
}

static void explain_key(const char *prefix, const struct mt_settings_key *key,
                        mt_settings_note_fn *note, struct mt_buf *out)
{
    mt_buf_addf(out, "%s%s\n  %s\n\n  value    ", prefix, key->name, key->help);
    mt_settings_describe(key, out);
    mt_buf_add_cstr(out, "\n  default  ");
    if ((key->flags & MT_SETTINGS_REQUIRED) != 0)
        mt_buf_add_cstr(out, "none, it has to be given");
    else
        add_default(key, out);
    if (key->example != NULL)
        mt_buf_addf(out, "\n  example  %s: %s", key->name, key->example);
    if (note != NULL)
        note(key, prefix[0] == '\0', out);
    mt_buf_add_char(out, '\n');
    for (size_t i = 0; key->items != NULL && i < key->items->n; i++) {
        if (i == 0)
            mt_buf_addf(out, "\n  of each %s:\n", key->items->name);
        explain_line("    ", &key->items->keys[i], out);
    }
}

/* "endpoints.url" as well as "cache.ttl" */
static const struct mt_settings_key *find_below(const struct mt_settings_group *root,
                                                struct mt_str name, struct mt_str *prefix)
{
    const struct mt_settings_key *key = mt_settings_find(root, name);
    struct mt_str rest = name;

    *prefix = (struct mt_str){0};
    if (key != NULL)
        return key;
    struct mt_str list = mt_str_take(&rest, '.');
    key = mt_settings_find(root, list);
    if (key == NULL || key->items == NULL)
        return NULL;
    *prefix = mt_str_sub(name, 0, list.len + 1);
    return mt_settings_find(key->items, rest);
}

static bool explain_section(const struct mt_settings_group *root, struct mt_str section,
                            struct mt_buf *out)
{
    for (size_t i = 0; i < root->n; i++) {
        struct mt_str name = mt_str_of(root->keys[i].name);
        if (mt_str_starts(name, section) && name.len > section.len &&
            name.at[section.len] == '.')
            explain_line("", &root->keys[i], out);
    }
    return mt_settings_has_section(root, section);
}

mt_rc mt_settings_explain(const struct mt_settings_group *root, const char *name,
                          mt_settings_note_fn *note, struct mt_buf *out, struct mt_err *err)
{
    char prefix_text[64] = "";
    struct mt_str prefix;

    if (name == NULL) {
        for (size_t i = 0; i < root->n; i++)
            explain_line("", &root->keys[i], out);
        return mt_buf_check(out, "explanation", err);
    }
    const struct mt_settings_key *key = find_below(root, mt_str_of(name), &prefix);
    if (key == NULL) {
        if (explain_section(root, mt_str_of(name), out))
            return mt_buf_check(out, "explanation", err);
        struct mt_str near = mt_settings_nearest(root, mt_str_of(name));
        if (near.len == 0)
            return MT_FAIL(err, MT_E_NOTFOUND, "unknown key '%s'", name);
        return MT_FAIL(err, MT_E_NOTFOUND, "unknown key '%s', did you mean '%.*s'?", name,
                       MT_STR_ARG(near));
    }
    if (prefix.len < sizeof prefix_text)
        memcpy(prefix_text, prefix.at != NULL ? prefix.at : "", prefix.len);
    explain_key(prefix_text, key, note, out);
    return mt_buf_check(out, "explanation", err);
}

/* ------------------------------------------------------------------ the sample */

/* Lines of words begin with "# ", lines that could be switched on with "#" alone. */
static void sample_item(const struct mt_settings_group *group, struct mt_buf *out)
{
    const char *lead = "- ";

    for (size_t i = 0; i < group->n; i++) {
        const struct mt_settings_key *key = &group->keys[i];
        if (key->example == NULL)
            continue;
        mt_buf_addf(out, "#%s%s: %s\n", lead, key->name, key->example);
        lead = "  ";
    }
}

static void sample_key(const struct mt_settings_key *key, const char *by, struct mt_buf *out)
{
    mt_buf_addf(out, "%s# %s\n", by, key->help);
    if (key->type == MT_SETTINGS_ITEMS && key->example == NULL) {
        mt_buf_addf(out, "#%s:\n", key->name);
        sample_item(key->items, out);
        return;
    }
    const char *value = key->initial != NULL ? key->initial : key->example;
    mt_buf_addf(out, "%s%s%s: %s\n", key->initial != NULL ? "" : "#", by, mt_settings_last(key),
                value != NULL ? value : "\"\"");
}

void mt_settings_sample(const struct mt_settings_group *root, struct mt_buf *out)
{
    struct mt_str section = {0};

    for (size_t i = 0; i < root->n; i++) {
        const struct mt_settings_key *key = &root->keys[i];
        struct mt_str next = mt_settings_section(key);

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

void mt_settings_rows(const struct mt_settings_group *group,
                      const char *(*change)(const struct mt_settings_key *key),
                      struct mt_buf *out)
{
    for (size_t i = 0; i < group->n; i++) {
        const struct mt_settings_key *key = &group->keys[i];

        mt_buf_addf(out, "| `%s` | ", key->name);
        mt_settings_describe(key, out);
        mt_buf_add_cstr(out, " | ");
        if ((key->flags & MT_SETTINGS_REQUIRED) != 0)
            mt_buf_add_cstr(out, "required");
        else if (key->initial != NULL)
            mt_buf_addf(out, "`%s`", key->initial);
        if (change != NULL)
            mt_buf_addf(out, " | %s", change(key));
        mt_buf_add_cstr(out, " | ");
        add_cell(key->help, out);
        mt_buf_add_cstr(out, " |\n");
    }
}

void mt_settings_reference(const struct mt_settings_group *group, const char *heading,
                           struct mt_buf *out)
{
    mt_buf_addf(out, "\n## %s\n\n| key | value | default | meaning |\n|---|---|---|---|\n",
                heading);
    mt_settings_rows(group, NULL, out);
}
