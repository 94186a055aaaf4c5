/* SPDX-License-Identifier: Apache-2.0 */
/* settings/page.h - a table of keys for people: explain, the sample file, the reference. Pure.
 */
#ifndef MT_SETTINGS_PAGE_H
#define MT_SETTINGS_PAGE_H

#include "settings/table.h"

/** Lines that a table adds to what is said of a key ("\n  also     ..."); is_root: not one of a
 *  list's items. */
typedef void mt_settings_note_fn(const struct mt_settings_key *key, bool is_root,
                                 struct mt_buf *out);

/** All about a key, a section or a list ("endpoints.url"); NULL: all keys, a line each.
 *  @param note may be NULL
 *  @return MT_OK, MT_E_NOTFOUND with the nearest, MT_E_NOMEM, MT_E_TOOBIG */
mt_rc mt_settings_explain(const struct mt_settings_group *root, const char *name,
                          mt_settings_note_fn *note, struct mt_buf *out, struct mt_err *err);

/** Every key with its default, as a file; keys without one are switched off by a '#'. */
void mt_settings_sample(const struct mt_settings_group *root, struct mt_buf *out);

/** A row of Markdown for each key: name, value, default, meaning.
 *  @param change text of a column between default and meaning; NULL: there is none */
void mt_settings_rows(const struct mt_settings_group *group,
                      const char *(*change)(const struct mt_settings_key *key),
                      struct mt_buf *out);

/** "## HEADING" and a table with rows of four columns. */
void mt_settings_reference(const struct mt_settings_group *group, const char *heading,
                           struct mt_buf *out);

#endif
