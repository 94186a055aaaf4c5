/* SPDX-License-Identifier: Apache-2.0 */
/* Names of a table: found, or the nearest. Pure. */
#include "settings/table.h"

const struct mt_settings_key *mt_settings_find(const struct mt_settings_group *group,
                                               struct mt_str name)
{
    for (size_t i = 0; i < group->n; i++) {
        if (mt_str_is(name, group->keys[i].name))
            return &group->keys[i];
    }
    return NULL;
}

struct mt_str mt_settings_section(const struct mt_settings_key *key)
{
    struct mt_str name = mt_str_of(key->name);
    size_t dot = mt_str_find_char(name, '.');

    return mt_str_sub(name, 0, dot < name.len ? dot : 0);
}

const char *mt_settings_last(const struct mt_settings_key *key)
{
    struct mt_str section = mt_settings_section(key);

    return section.len > 0 ? key->name + section.len + 1 : key->name;
}

bool mt_settings_has_section(const struct mt_settings_group *group, struct mt_str name)
{
    for (size_t i = 0; i < group->n; i++) {
        if (name.len > 0 && mt_str_eq(mt_settings_section(&group->keys[i]), name))
            return true;
    }
    return false;
}

/* Names a person may have meant: the whole, the last part alone, the section. */
static unsigned distance(const struct mt_settings_key *key, struct mt_str name, unsigned max,
                         struct mt_str *meant)
{
    struct mt_str whole = mt_str_of(key->name);
    struct mt_str section = mt_settings_section(key);
    struct mt_str last = mt_str_sub(whole, section.len > 0 ? section.len + 1 : 0, whole.len);
    unsigned far = mt_str_distance(last, name, max);
    unsigned far_whole = mt_str_distance(whole, name, max);
    unsigned far_section = section.len > 0 ? mt_str_distance(section, name, max) : max + 1;

    far = far_whole < far ? far_whole : far;
    *meant = far_section < far ? section : whole;
    return far_section < far ? far_section : far;
}

struct mt_str mt_settings_nearest(const struct mt_settings_group *group, struct mt_str name)
{
    unsigned best = name.len < 4 ? 2 : 4; /* one more than is near */
    struct mt_str found = {0};

    for (size_t i = 0; i < group->n; i++) {
        struct mt_str meant;
        unsigned far = distance(&group->keys[i], name, best, &meant);

        if (far < best) {
            best = far;
            found = meant;
        }
    }
    return found;
}

bool mt_settings_is_scalar(const struct mt_settings_key *key)
{
    return key->type != MT_SETTINGS_TEXTS && key->type != MT_SETTINGS_HEADERS &&
           key->type != MT_SETTINGS_ITEMS;
}
