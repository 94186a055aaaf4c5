/* SPDX-License-Identifier: Apache-2.0 */
/* settings/show.h - an object of a table as text that reads back the same. Secrets are "(set)".
 * Pure. */
#ifndef MT_SETTINGS_SHOW_H
#define MT_SETTINGS_SHOW_H

#include "settings/read.h"

struct mt_settings_show {
    const struct mt_settings_group *group;
    const void *object;
    const struct mt_settings_origin *origins; /* NULL: none are known */
    /* Say where a value came from, origin NULL when that is not known; NULL: not shown. */
    void (*say_origin)(const void *context, const struct mt_settings_key *key,
                       const struct mt_settings_origin *origin, struct mt_buf *out);
    const void *context;
};

void mt_settings_show_yaml(const struct mt_settings_show *show, struct mt_buf *out);
void mt_settings_show_json(const struct mt_settings_show *show, struct mt_buf *out);

/** Names of the keys with a flag whose values differ between two objects, ", " between them;
 *  of secrets it is seen only whether they are there. */
void mt_settings_differ(const struct mt_settings_group *group, enum mt_settings_flag flag,
                        const void *old, const void *now, struct mt_buf *names);

#endif
