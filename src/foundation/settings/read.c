/* SPDX-License-Identifier: Apache-2.0 */
/* From the tree of a file into a struct, key by key, with the place of every mistake. */
#include "settings/read.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "settings/yaml.h"

enum { TREE_MAX = 32 * 1024 * 1024 };

/* An object being filled: the root, or an item of a list. */
struct target {
    const struct mt_settings_group *group;
    void *object;
    struct mt_settings_origin *origins;
};

static mt_rc fail_node(const struct mt_settings_reader *reader,
                       const struct mt_settings_node *node, struct mt_err *err,
                       const char *what, const char *why)
{
    return mt_settings_fail_at(err, reader->name, node->line, node->column, "%s: %s", what,
                               why);
}

/* Memory and files fail as what they are; a bad value gets its place. */
static mt_rc place(const struct mt_settings_reader *reader, const struct mt_settings_node *node,
                   const char *what, mt_rc rc, struct mt_err *err)
{
    struct mt_err below = {0};

    if (rc == MT_OK || rc == MT_E_NOMEM || rc == MT_E_TOOBIG)
        return rc;
    if (err != NULL)
        below = *err;
    return fail_node(reader, node, err, what, below.text);
}

static const char *kind_name(const struct mt_settings_node *node)
{
    if (node->kind == MT_SETTINGS_SCALAR_NODE)
        return node->is_null ? "nothing" : "a single value";
    return node->kind == MT_SETTINGS_MAP_NODE ? "a map" : "a list";
}

static mt_rc expect(const struct mt_settings_reader *reader,
                    const struct mt_settings_node *node, enum mt_settings_node_kind kind,
                    const char *what, struct mt_err *err)
{
    static const char *const wanted[] = {"a single value", "a map", "a list"};

    if (node->kind == kind && !(kind == MT_SETTINGS_SCALAR_NODE && node->is_null))
        return MT_OK;
    return mt_settings_fail_at(err, reader->name, node->line, node->column,
                               "%s: expected %s, found %s", what, wanted[kind],
                               kind_name(node));
}

static size_t entries_n(const struct mt_settings_node *node)
{
    size_t n = 0;

    for (const struct mt_settings_entry *entry = node->first; entry != NULL;
         entry = entry->next)
        n++;
    return n;
}

/* Room for a list's entries in the struct; an empty value is an empty list. */
static mt_rc list_new(const struct mt_settings_reader *reader,
                      const struct mt_settings_key *key, const struct mt_settings_node *node,
                      size_t size, char **out, struct mt_err *err)
{
    struct mt_arena *arena = reader->arena;
    size_t n = entries_n(node);

    if (n > (size_t)key->max)
        return mt_settings_fail_at(err, reader->name, node->line, node->column,
                                   "%s: expected at most %lld entries, found %zu", key->name,
                                   (long long)key->max, n);
    *out = mt_arena_get(arena, n > 0 ? n : 1, size);
    return *out != NULL ? MT_OK : mt_arena_fail(arena, err);
}

static mt_rc keep_text(const struct mt_settings_reader *reader,
                       const struct mt_settings_node *node, const char *what,
                       struct mt_str *out, struct mt_err *err)
{
    static const struct mt_settings_key any = {.name = "text", .flags = MT_SETTINGS_REQUIRED};
    union mt_settings_value value = {0};

    MT_TRY(expect(reader, node, MT_SETTINGS_SCALAR_NODE, what, err));
    MT_TRY(place(reader, node, what, mt_settings_parse(&any, node->text, &value, err), err));
    *out = mt_arena_str(reader->arena, value.text);
    return out->at != NULL ? MT_OK : mt_arena_fail(reader->arena, err);
}

static mt_rc take_texts(const struct mt_settings_reader *reader,
                        const struct mt_settings_key *key, const struct mt_settings_node *node,
                        void *object, struct mt_err *err)
{
    char *at;
    size_t n = 0;

    MT_TRY(expect(reader, node, MT_SETTINGS_LIST_NODE, key->name, err));
    MT_TRY(list_new(reader, key, node, sizeof(struct mt_str), &at, err));
    struct mt_str *texts = (struct mt_str *)(void *)at;
    for (const struct mt_settings_entry *e = node->first; e != NULL; e = e->next)
        MT_TRY(keep_text(reader, e->value, key->name, &texts[n++], err));
    mt_settings_put_list(key, object, (struct mt_settings_list){texts, n});
    return MT_OK;
}

static bool is_header_name(struct mt_str name)
{
    for (size_t i = 0; i < name.len; i++) {
        char c = name.at[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              c == '-' || c == '_'))
            return false;
    }
    return name.len > 0;
}

static mt_rc take_headers(const struct mt_settings_reader *reader,
                          const struct mt_settings_key *key,
                          const struct mt_settings_node *node, void *object, struct mt_err *err)
{
    char *at;
    size_t n = 0;

    MT_TRY(expect(reader, node, MT_SETTINGS_MAP_NODE, key->name, err));
    MT_TRY(list_new(reader, key, node, sizeof(struct mt_settings_header), &at, err));
    struct mt_settings_header *headers = (struct mt_settings_header *)(void *)at;
    for (const struct mt_settings_entry *e = node->first; e != NULL; e = e->next, n++) {
        if (!is_header_name(e->key->text))
            return fail_node(reader, e->key, err, key->name, "expected a header's name");
        MT_TRY(keep_text(reader, e->key, key->name, &headers[n].name, err));
        MT_TRY(keep_text(reader, e->value, key->name, &headers[n].value, err));
    }
    mt_settings_put_list(key, object, (struct mt_settings_list){headers, n});
    return MT_OK;
}

static mt_rc take_item(const struct mt_settings_reader *reader,
                       const struct mt_settings_group *group,
                       const struct mt_settings_node *node, void *object,
                       struct mt_settings_origin **origins, struct mt_err *err);

static mt_rc take_items(const struct mt_settings_reader *reader,
                        const struct mt_settings_key *key, const struct mt_settings_node *node,
                        void *object, struct mt_settings_origin *origin, struct mt_err *err)
{
    char *at;
    size_t n = 0;

    MT_TRY(expect(reader, node, MT_SETTINGS_LIST_NODE, key->name, err));
    MT_TRY(list_new(reader, key, node, key->items->size, &at, err));
    origin->items = mt_arena_get(reader->arena, entries_n(node) + 1, sizeof(void *));
    if (origin->items == NULL)
        return mt_arena_fail(reader->arena, err);
    for (const struct mt_settings_entry *e = node->first; e != NULL; e = e->next, n++)
        MT_TRY(take_item(reader, key->items, e->value, at + n * key->items->size,
                         &origin->items[n], err));
    mt_settings_put_list(key, object, (struct mt_settings_list){at, n});
    return MT_OK;
}

static mt_rc take_value(const struct mt_settings_reader *reader,
                        const struct mt_settings_key *key, const struct mt_settings_node *node,
                        void *object, struct mt_settings_origin *origin, struct mt_err *err)
{
    if (!mt_settings_is_scalar(key) && node->is_null)
        return MT_OK; /* "keys:" and nothing: none */
    if (key->type == MT_SETTINGS_TEXTS)
        return take_texts(reader, key, node, object, err);
    if (key->type == MT_SETTINGS_HEADERS)
        return take_headers(reader, key, node, object, err);
    if (key->type == MT_SETTINGS_ITEMS)
        return take_items(reader, key, node, object, origin, err);
    MT_TRY(expect(reader, node, MT_SETTINGS_SCALAR_NODE, key->name, err));
    return place(reader, node, key->name,
                 mt_settings_set(reader, key, node->text, MT_SETTINGS_BY_FILE, object, err),
                 err);
}

static mt_rc refuse_unknown(const struct mt_settings_reader *reader,
                            const struct target *target, const struct mt_settings_node *node,
                            const char *name, struct mt_err *err)
{
    struct mt_str near = mt_settings_nearest(target->group, mt_str_of(name));

    if (near.len == 0)
        return mt_settings_fail_at(err, reader->name, node->line, node->column,
                                   "unknown key '%s'", name);
    return mt_settings_fail_at(err, reader->name, node->line, node->column,
                               "unknown key '%s', did you mean '%.*s'?", name,
                               MT_STR_ARG(near));
}

/* "section.key"; false when it is longer than any name of ours. */
static bool full_name(const char *section, struct mt_str name, char *out, size_t max)
{
    int n = section[0] != '\0' ? snprintf(out, max, "%s.%.*s", section, MT_STR_ARG(name))
                               : snprintf(out, max, "%.*s", MT_STR_ARG(name));

    return n >= 0 && (size_t)n < max;
}

static mt_rc take_map(const struct mt_settings_reader *reader, const struct target *target,
                      const char *section, const struct mt_settings_node *node,
                      struct mt_err *err);

static mt_rc take_entry(const struct mt_settings_reader *reader, const struct target *target,
                        const char *section, const struct mt_settings_entry *entry,
                        struct mt_err *err)
{
    char name[64];
    const struct mt_settings_node *at = entry->key;

    if (!full_name(section, at->text, name, sizeof name))
        return refuse_unknown(reader, target, at, name, err);
    if (section[0] == '\0' && mt_settings_has_section(target->group, mt_str_of(name)))
        return take_map(reader, target, name, entry->value, err);
    const struct mt_settings_key *key = mt_settings_find(target->group, mt_str_of(name));
    if (key == NULL)
        return refuse_unknown(reader, target, at, name, err);
    struct mt_settings_origin *origin = &target->origins[key - target->group->keys];
    if (origin->source == MT_SETTINGS_BY_FILE)
        return mt_settings_fail_at(err, reader->name, at->line, at->column,
                                   "%s: given twice, first in line %u", name, origin->line);
    *origin = (struct mt_settings_origin){MT_SETTINGS_BY_FILE, at->line, at->column, NULL};
    return take_value(reader, key, entry->value, target->object, origin, err);
}

static mt_rc refuse_repeat(const struct mt_settings_reader *reader,
                           const struct mt_settings_node *node,
                           const struct mt_settings_entry *entry, struct mt_err *err)
{
    for (const struct mt_settings_entry *e = node->first; e != entry; e = e->next) {
        if (mt_str_eq(e->key->text, entry->key->text))
            return mt_settings_fail_at(err, reader->name, entry->key->line, entry->key->column,
                                       "%.*s: given twice, first in line %u",
                                       MT_STR_ARG(entry->key->text), e->key->line);
    }
    return MT_OK;
}

/* Stops at the first unknown or repeated key, so it looks at few, however long the map is. */
static mt_rc take_map(const struct mt_settings_reader *reader, const struct target *target,
                      const char *section, const struct mt_settings_node *node,
                      struct mt_err *err)
{
    if (section[0] != '\0' && node->is_null)
        return MT_OK; /* "cache:" and nothing */
    MT_TRY(expect(reader, node, MT_SETTINGS_MAP_NODE,
                  section[0] != '\0' ? section : target->group->name, err));
    for (const struct mt_settings_entry *e = node->first; e != NULL; e = e->next) {
        MT_TRY(refuse_repeat(reader, node, e, err));
        MT_TRY(take_entry(reader, target, section, e, err));
    }
    return MT_OK;
}

/* All required keys are there, and of those that fill one place only one. */
static mt_rc check_item(const struct mt_settings_reader *reader, const struct target *target,
                        const struct mt_settings_node *node, struct mt_err *err)
{
    const struct mt_settings_group *group = target->group;

    for (size_t i = 0; i < group->n; i++) {
        const struct mt_settings_key *key = &group->keys[i];

        if ((key->flags & MT_SETTINGS_REQUIRED) != 0 &&
            target->origins[i].source == MT_SETTINGS_BY_DEFAULT)
            return mt_settings_fail_at(err, reader->name, node->line, node->column,
                                       "%s without '%s'", group->name, key->name);
        for (size_t j = 0; j < i; j++) {
            if (group->keys[j].at == key->at &&
                target->origins[i].source == MT_SETTINGS_BY_FILE &&
                target->origins[j].source == MT_SETTINGS_BY_FILE)
                return mt_settings_fail_at(
                    err, reader->name, target->origins[i].line, target->origins[i].column,
                    "%s: '%s' says the same already", key->name, group->keys[j].name);
        }
    }
    return MT_OK;
}

static mt_rc take_item(const struct mt_settings_reader *reader,
                       const struct mt_settings_group *group,
                       const struct mt_settings_node *node, void *object,
                       struct mt_settings_origin **origins, struct mt_err *err)
{
    *origins = mt_settings_origins(group, reader->arena);
    if (*origins == NULL)
        return mt_arena_fail(reader->arena, err);
    const struct target target = {group, object, *origins};
    MT_TRY(mt_settings_defaults(group, object, err));
    MT_TRY(take_map(reader, &target, "", node, err));
    return check_item(reader, &target, node, err);
}

static mt_rc take_root(const struct mt_settings_reader *reader, const struct target *target,
                       const struct mt_settings_node *root, struct mt_err *err)
{
    static const struct mt_settings_node start = {.line = 1, .column = 1};

    if (root == NULL || root->is_null) /* a file of comments */
        return check_item(reader, target, &start, err);
    if (root->kind != MT_SETTINGS_MAP_NODE)
        return mt_settings_fail_at(err, reader->name, root->line, root->column,
                                   "expected keys with values, found %s", kind_name(root));
    MT_TRY(take_map(reader, target, "", root, err));
    return check_item(reader, target, root, err);
}

struct mt_settings_origin *mt_settings_origins(const struct mt_settings_group *group,
                                               struct mt_arena *arena)
{
    return mt_arena_get(arena, group->n, sizeof(struct mt_settings_origin));
}

mt_rc mt_settings_read(const struct mt_settings_reader *reader, struct mt_str text,
                       const struct mt_settings_group *group, void *object,
                       struct mt_settings_origin *origins, struct mt_err *err)
{
    MT_CLEANUP(mt_arena_fini) struct mt_arena arena = MT_ARENA_INIT(TREE_MAX);
    const struct target target = {group, object, origins};
    const struct mt_settings_node *root = NULL;

    MT_TRY(mt_settings_yaml(text, reader->name, &arena, &root, err));
    return take_root(reader, &target, root, err);
}

mt_rc mt_settings_blame(const struct mt_settings_reader *reader,
                        const struct mt_settings_key *key,
                        const struct mt_settings_origin *origin, struct mt_err *err,
                        const char *format, ...)
{
    char words[MT_ERR_TEXT_MAX];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(words, sizeof words, format, args);
    va_end(args);
    if (origin->source == MT_SETTINGS_BY_FILE)
        return mt_settings_fail_at(err, reader->name, origin->line, origin->column, "%s: %s",
                                   key->name, words);
    return MT_FAIL(err, MT_E_INVALID, "%s: %s", key->name, words);
}
