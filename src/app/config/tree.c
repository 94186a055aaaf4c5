/* SPDX-License-Identifier: Apache-2.0 */
/* From the tree of a file into the snapshot, key by key, with the place of every mistake. */
#include "config_priv.h"

#include <stdio.h>
#include <string.h>

/* An object being filled: the root, or an item of a list. */
struct target {
    const struct mt_config__group *group;
    void *object;
    struct mt_config__origin *origins;
};

static mt_rc fail_node(const struct mt_config__load *load, const struct mt_config__node *node,
                       struct mt_err *err, const char *what, const char *why)
{
    return mt_config__fail_at(err, load->name, node->line, node->column, "%s: %s", what, why);
}

/* Memory and files fail as what they are; a bad value gets its place. */
static mt_rc place(const struct mt_config__load *load, const struct mt_config__node *node,
                   const char *what, mt_rc rc, struct mt_err *err)
{
    struct mt_err below = {0};

    if (rc == MT_OK || rc == MT_E_NOMEM || rc == MT_E_TOOBIG)
        return rc;
    if (err != NULL)
        below = *err;
    return fail_node(load, node, err, what, below.text);
}

static const char *kind_name(const struct mt_config__node *node)
{
    if (node->kind == NODE_SCALAR)
        return node->is_null ? "nothing" : "a single value";
    return node->kind == NODE_MAP ? "a map" : "a list";
}

static mt_rc expect(const struct mt_config__load *load, const struct mt_config__node *node,
                    enum mt_config__node_kind kind, const char *what, struct mt_err *err)
{
    static const char *const wanted[] = {"a single value", "a map", "a list"};

    if (node->kind == kind && !(kind == NODE_SCALAR && node->is_null))
        return MT_OK;
    return mt_config__fail_at(err, load->name, node->line, node->column,
                              "%s: expected %s, found %s", what, wanted[kind], kind_name(node));
}

static size_t entries_n(const struct mt_config__node *node)
{
    size_t n = 0;

    for (const struct mt_config__entry *entry = node->first; entry != NULL; entry = entry->next)
        n++;
    return n;
}

/* Room for a list's entries in the struct; an empty value is an empty list. */
static mt_rc list_new(struct mt_config__load *load, const struct mt_config__key *key,
                      const struct mt_config__node *node, size_t size, char **out,
                      struct mt_err *err)
{
    struct mt_arena *arena = &load->made->arena;
    size_t n = entries_n(node);

    if (n > (size_t)key->max)
        return mt_config__fail_at(err, load->name, node->line, node->column,
                                  "%s: expected at most %lld entries, found %zu", key->name,
                                  (long long)key->max, n);
    *out = mt_arena_get(arena, n > 0 ? n : 1, size);
    return *out != NULL ? MT_OK : mt_arena_fail(arena, err);
}

static mt_rc keep_text(struct mt_config__load *load, const struct mt_config__node *node,
                       const char *what, struct mt_str *out, struct mt_err *err)
{
    static const struct mt_config__key any = {.name = "text", .flags = KEY_REQUIRED};
    union mt_config__value value = {0};

    MT_TRY(expect(load, node, NODE_SCALAR, what, err));
    MT_TRY(place(load, node, what, mt_config__parse(&any, node->text, &value, err), err));
    *out = mt_arena_str(&load->made->arena, value.text);
    return out->at != NULL ? MT_OK : mt_arena_fail(&load->made->arena, err);
}

static mt_rc take_texts(struct mt_config__load *load, const struct mt_config__key *key,
                        const struct mt_config__node *node, void *object, struct mt_err *err)
{
    char *at;
    size_t n = 0;

    MT_TRY(expect(load, node, NODE_LIST, key->name, err));
    MT_TRY(list_new(load, key, node, sizeof(struct mt_str), &at, err));
    struct mt_str *texts = (struct mt_str *)(void *)at;
    for (const struct mt_config__entry *e = node->first; e != NULL; e = e->next)
        MT_TRY(keep_text(load, e->value, key->name, &texts[n++], err));
    mt_config__put_list(key, object, (struct mt_config__list){texts, n});
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

static mt_rc take_headers(struct mt_config__load *load, const struct mt_config__key *key,
                          const struct mt_config__node *node, void *object, struct mt_err *err)
{
    char *at;
    size_t n = 0;

    MT_TRY(expect(load, node, NODE_MAP, key->name, err));
    MT_TRY(list_new(load, key, node, sizeof(struct mt_config_header), &at, err));
    struct mt_config_header *headers = (struct mt_config_header *)(void *)at;
    for (const struct mt_config__entry *e = node->first; e != NULL; e = e->next, n++) {
        if (!is_header_name(e->key->text))
            return fail_node(load, e->key, err, key->name, "expected a header's name");
        MT_TRY(keep_text(load, e->key, key->name, &headers[n].name, err));
        MT_TRY(keep_text(load, e->value, key->name, &headers[n].value, err));
    }
    mt_config__put_list(key, object, (struct mt_config__list){headers, n});
    return MT_OK;
}

static mt_rc take_item(struct mt_config__load *load, const struct mt_config__group *group,
                       const struct mt_config__node *node, void *object,
                       struct mt_config__origin **origins, struct mt_err *err);

static mt_rc take_items(struct mt_config__load *load, const struct mt_config__key *key,
                        const struct mt_config__node *node, void *object,
                        struct mt_config__origin *origin, struct mt_err *err)
{
    char *at;
    size_t n = 0;

    MT_TRY(expect(load, node, NODE_LIST, key->name, err));
    MT_TRY(list_new(load, key, node, key->items->size, &at, err));
    origin->items = mt_arena_get(&load->made->arena, entries_n(node) + 1, sizeof(void *));
    if (origin->items == NULL)
        return mt_arena_fail(&load->made->arena, err);
    for (const struct mt_config__entry *e = node->first; e != NULL; e = e->next, n++)
        MT_TRY(take_item(load, key->items, e->value, at + n * key->items->size,
                         &origin->items[n], err));
    mt_config__put_list(key, object, (struct mt_config__list){at, n});
    return MT_OK;
}

static mt_rc take_value(struct mt_config__load *load, const struct mt_config__key *key,
                        const struct mt_config__node *node, void *object,
                        struct mt_config__origin *origin, struct mt_err *err)
{
    if (!mt_config__is_scalar(key) && node->is_null)
        return MT_OK; /* "keys:" and nothing: none */
    if (key->type == TYPE_TEXTS)
        return take_texts(load, key, node, object, err);
    if (key->type == TYPE_HEADERS)
        return take_headers(load, key, node, object, err);
    if (key->type == TYPE_ITEMS)
        return take_items(load, key, node, object, origin, err);
    MT_TRY(expect(load, node, NODE_SCALAR, key->name, err));
    return place(load, node, key->name,
                 mt_config__set(load, key, node->text, FROM_FILE, object, err), err);
}

static mt_rc refuse_unknown(const struct mt_config__load *load, const struct target *target,
                            const struct mt_config__node *node, const char *name,
                            struct mt_err *err)
{
    struct mt_str near = mt_config__nearest(target->group, mt_str_of(name));

    if (near.len == 0)
        return mt_config__fail_at(err, load->name, node->line, node->column, "unknown key '%s'",
                                  name);
    return mt_config__fail_at(err, load->name, node->line, node->column,
                              "unknown key '%s', did you mean '%.*s'?", name, MT_STR_ARG(near));
}

/* "section.key"; false when it is longer than any name of ours. */
static bool full_name(const char *section, struct mt_str name, char *out, size_t max)
{
    int n = section[0] != '\0' ? snprintf(out, max, "%s.%.*s", section, MT_STR_ARG(name))
                               : snprintf(out, max, "%.*s", MT_STR_ARG(name));

    return n >= 0 && (size_t)n < max;
}

static mt_rc take_map(struct mt_config__load *load, const struct target *target,
                      const char *section, const struct mt_config__node *node,
                      struct mt_err *err);

static mt_rc take_entry(struct mt_config__load *load, const struct target *target,
                        const char *section, const struct mt_config__entry *entry,
                        struct mt_err *err)
{
    char name[64];
    const struct mt_config__node *at = entry->key;

    if (!full_name(section, at->text, name, sizeof name))
        return refuse_unknown(load, target, at, name, err);
    if (section[0] == '\0' && mt_config__has_section(target->group, mt_str_of(name)))
        return take_map(load, target, name, entry->value, err);
    const struct mt_config__key *key = mt_config__find(target->group, mt_str_of(name));
    if (key == NULL)
        return refuse_unknown(load, target, at, name, err);
    struct mt_config__origin *origin = &target->origins[key - target->group->keys];
    if (origin->source == FROM_FILE)
        return mt_config__fail_at(err, load->name, at->line, at->column,
                                  "%s: given twice, first in line %u", name, origin->line);
    *origin = (struct mt_config__origin){FROM_FILE, at->line, at->column, NULL};
    return take_value(load, key, entry->value, target->object, origin, err);
}

static mt_rc refuse_repeat(const struct mt_config__load *load,
                           const struct mt_config__node *node,
                           const struct mt_config__entry *entry, struct mt_err *err)
{
    for (const struct mt_config__entry *e = node->first; e != entry; e = e->next) {
        if (mt_str_eq(e->key->text, entry->key->text))
            return mt_config__fail_at(err, load->name, entry->key->line, entry->key->column,
                                      "%.*s: given twice, first in line %u",
                                      MT_STR_ARG(entry->key->text), e->key->line);
    }
    return MT_OK;
}

/* Stops at the first unknown or repeated key, so it looks at few, however long the map is. */
static mt_rc take_map(struct mt_config__load *load, const struct target *target,
                      const char *section, const struct mt_config__node *node,
                      struct mt_err *err)
{
    if (section[0] != '\0' && node->is_null)
        return MT_OK; /* "cache:" and nothing */
    MT_TRY(
        expect(load, node, NODE_MAP, section[0] != '\0' ? section : target->group->name, err));
    for (const struct mt_config__entry *e = node->first; e != NULL; e = e->next) {
        MT_TRY(refuse_repeat(load, node, e, err));
        MT_TRY(take_entry(load, target, section, e, err));
    }
    return MT_OK;
}

/* All required keys are there, and of those that fill one place only one. */
static mt_rc check_item(const struct mt_config__load *load, const struct target *target,
                        const struct mt_config__node *node, struct mt_err *err)
{
    const struct mt_config__group *group = target->group;

    for (size_t i = 0; i < group->n; i++) {
        const struct mt_config__key *key = &group->keys[i];

        if ((key->flags & KEY_REQUIRED) != 0 && target->origins[i].source == FROM_DEFAULT)
            return mt_config__fail_at(err, load->name, node->line, node->column,
                                      "%s without '%s'", group->name, key->name);
        for (size_t j = 0; j < i; j++) {
            if (group->keys[j].at == key->at && target->origins[i].source == FROM_FILE &&
                target->origins[j].source == FROM_FILE)
                return mt_config__fail_at(
                    err, load->name, target->origins[i].line, target->origins[i].column,
                    "%s: '%s' says the same already", key->name, group->keys[j].name);
        }
    }
    return MT_OK;
}

static mt_rc take_item(struct mt_config__load *load, const struct mt_config__group *group,
                       const struct mt_config__node *node, void *object,
                       struct mt_config__origin **origins, struct mt_err *err)
{
    *origins = mt_config__origins(group, &load->made->arena);
    if (*origins == NULL)
        return mt_arena_fail(&load->made->arena, err);
    const struct target target = {group, object, *origins};
    MT_TRY(mt_config__defaults(group, object, err));
    MT_TRY(take_map(load, &target, "", node, err));
    return check_item(load, &target, node, err);
}

mt_rc mt_config__take_tree(struct mt_config__load *load, const struct mt_config__node *root,
                           struct mt_err *err)
{
    const struct target target = {&mt_config__root, &load->made->config, load->made->origins};

    if (root == NULL || root->is_null)
        return MT_OK; /* a file of comments */
    if (root->kind != NODE_MAP)
        return mt_config__fail_at(err, load->name, root->line, root->column,
                                  "expected keys with values, found %s", kind_name(root));
    return take_map(load, &target, "", root, err);
}
