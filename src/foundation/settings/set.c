/* SPDX-License-Identifier: Apache-2.0 */
/* One value from one text, whoever wrote it: paths are made whole, what a text names fetched.
 */
#include <string.h>

#include "base/arena.h"
#include "settings/read.h"

const char *mt_settings_variable(char *const *environment, const char *name)
{
    size_t len = strlen(name);

    for (; environment != NULL && *environment != NULL; environment++) {
        if (strncmp(*environment, name, len) == 0 && (*environment)[len] == '=')
            return *environment + len + 1;
    }
    return NULL;
}

/* "~/x" below the home; a relative path of the file below the file's folder. */
static mt_rc whole_path(const struct mt_settings_reader *reader, enum mt_settings_source source,
                        struct mt_str *path, struct mt_err *err)
{
    struct mt_arena *arena = reader->arena;
    struct mt_str below = reader->folder;

    if (path->len == 0 || path->at[0] == '/')
        return MT_OK;
    if (mt_str_starts(*path, MT_STR("~/"))) {
        below = mt_str_of(mt_settings_variable(reader->environment, "HOME"));
        if (below.len == 0)
            return MT_FAIL(err, MT_E_INVALID, "expected HOME in the environment for '%.*s'",
                           MT_STR_ARG(*path));
        *path = mt_str_sub(*path, 2, path->len);
    } else if (source != MT_SETTINGS_BY_FILE || below.len == 0) {
        return MT_OK; /* as the shell would have it: from where we are */
    }
    *path = mt_arena_printf(arena, "%.*s/%.*s", MT_STR_ARG(below), MT_STR_ARG(*path));
    return path->at != NULL ? MT_OK : mt_arena_fail(arena, err);
}

static bool is_text(const struct mt_settings_key *key)
{
    return key->type == MT_SETTINGS_TEXT || key->type == MT_SETTINGS_PATH ||
           key->type == MT_SETTINGS_LISTEN;
}

static mt_rc keep(const struct mt_settings_reader *reader, const struct mt_settings_key *key,
                  enum mt_settings_source source, struct mt_str *text, struct mt_err *err)
{
    bool is_named = (key->flags & (MT_SETTINGS_FROM_ENV | MT_SETTINGS_FROM_FILE)) != 0;

    if (key->type == MT_SETTINGS_PATH)
        MT_TRY(whole_path(reader, source, text, err));
    if (is_named && reader->fetch != NULL)
        MT_TRY(reader->fetch(reader->context, key, text, err));
    struct mt_str kept = mt_arena_str(reader->arena, *text);
    if (kept.at == NULL)
        return mt_arena_fail(reader->arena, err);
    *text = kept;
    return MT_OK;
}

mt_rc mt_settings_set(const struct mt_settings_reader *reader,
                      const struct mt_settings_key *key, struct mt_str text,
                      enum mt_settings_source source, void *object, struct mt_err *err)
{
    union mt_settings_value value = {0};

    MT_TRY(mt_settings_parse(key, text, &value, err));
    if (is_text(key))
        MT_TRY(keep(reader, key, source, &value.text, err));
    mt_settings_put(key, object, &value);
    return MT_OK;
}
