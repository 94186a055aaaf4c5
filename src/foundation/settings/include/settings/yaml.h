/* SPDX-License-Identifier: Apache-2.0 */
/* settings/yaml.h - a YAML text as a bounded tree, each node with its line and column.
 *
 * An alias of YAML shares the tree of its anchor, but counts as if it were a copy, so a file
 * that multiplies itself is refused before anybody walks it. Thread rule: a tree belongs to the
 * owner of its arena. */
#ifndef MT_SETTINGS_YAML_H
#define MT_SETTINGS_YAML_H

#include "base/arena.h"

enum {
    MT_SETTINGS_FILE_MAX = 1024 * 1024, /* bytes of a file */
    MT_SETTINGS_DEPTH_MAX = 16,         /* nesting */
    MT_SETTINGS_NODES_MAX = 50 * 1000,  /* nodes, those of aliases counted each time */
    MT_SETTINGS_ANCHORS_MAX = 256,
};

enum mt_settings_node_kind {
    MT_SETTINGS_SCALAR_NODE,
    MT_SETTINGS_MAP_NODE,
    MT_SETTINGS_LIST_NODE,
};

struct mt_settings_entry; /* of a map or list */

struct mt_settings_node {
    enum mt_settings_node_kind kind;
    unsigned line, column;
    struct mt_str text; /* of a scalar */
    bool is_null;       /* a scalar that says nothing: empty, ~ or null, unquoted */
    struct mt_settings_entry *first, *last;
    size_t size; /* nodes of it and below, aliases followed */
};

struct mt_settings_entry {
    const struct mt_settings_node *key; /* NULL in lists */
    const struct mt_settings_node *value;
    struct mt_settings_entry *next;
};

/** Read one YAML document. *root is NULL when it holds nothing. The tree lives in arena.
 *  @param name of the file, for errors
 *  @return MT_OK, MT_E_INVALID ("NAME:LINE:COLUMN: ..."), MT_E_TOOBIG, MT_E_NOMEM */
mt_rc mt_settings_yaml(struct mt_str text, const char *name, struct mt_arena *arena,
                       const struct mt_settings_node **root, struct mt_err *err);

/** MT_E_INVALID with "NAME:LINE:COLUMN: " in front of the words. */
mt_rc mt_settings_fail_at(struct mt_err *err, const char *name, unsigned line, unsigned column,
                          const char *format, ...) MT_PRINTF(5, 6);

#endif
