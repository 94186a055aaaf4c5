/* SPDX-License-Identifier: Apache-2.0 */
/* One value from one text, whoever wrote it: paths are made absolute, secrets fetched. */
#include "config_priv.h"

#include <string.h>

#include "base/alloc.h"
#include "crypto/secret.h"
#include "system/file.h"

enum { SECRET_FILE_MAX = 64 * 1024 };

const char *mt_config__variable(char *const *environment, const char *name)
{
    size_t len = strlen(name);

    for (; environment != NULL && *environment != NULL; environment++) {
        if (strncmp(*environment, name, len) == 0 && (*environment)[len] == '=')
            return *environment + len + 1;
    }
    return NULL;
}

/* "~/x" below the home; a relative path of the file below the file's folder. */
static mt_rc whole_path(const struct mt_config__load *load, enum mt_config__source source,
                        struct mt_str *path, struct mt_err *err)
{
    struct mt_arena *arena = &load->made->arena;
    struct mt_str below = load->folder;

    if (path->len == 0 || path->at[0] == '/')
        return MT_OK;
    if (mt_str_starts(*path, MT_STR("~/"))) {
        below = mt_str_of(mt_config__variable(load->environment, "HOME"));
        if (below.len == 0)
            return MT_FAIL(err, MT_E_INVALID, "expected HOME in the environment for '%.*s'",
                           MT_STR_ARG(*path));
        *path = mt_str_sub(*path, 2, path->len);
    } else if (source != FROM_FILE || below.len == 0) {
        return MT_OK; /* as the shell would have it: from where we are */
    }
    *path = mt_arena_printf(arena, "%.*s/%.*s", MT_STR_ARG(below), MT_STR_ARG(*path));
    return path->at != NULL ? MT_OK : mt_arena_fail(arena, err);
}

/* Somebody may have put the secret itself where its variable is asked for: it is not repeated.
 */
static bool is_variable_name(struct mt_str name)
{
    for (size_t i = 0; i < name.len; i++) {
        char c = name.at[i];
        if (!((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_' ||
              (i > 0 && c >= '0' && c <= '9')))
            return false;
    }
    return name.len > 0;
}

static mt_rc from_environment(const struct mt_config__load *load, struct mt_str *text,
                              struct mt_err *err)
{
    if (!is_variable_name(*text))
        return MT_FAIL(err, MT_E_INVALID, "expected the name of a variable");
    MT_CLEANUP(mt_freep) char *name = mt_alloc_cstr(*text);
    if (name == NULL)
        return MT_FAIL(err, MT_E_NOMEM, "name of a variable");
    const char *value = mt_config__variable(load->environment, name);
    if (value == NULL || value[0] == '\0')
        return MT_FAIL(err, MT_E_INVALID, "the environment has no %s", name);
    *text = mt_str_of(value);
    return MT_OK;
}

static mt_rc from_file(const struct mt_config__load *load, struct mt_str *text,
                       struct mt_err *err)
{
    struct mt_buf content = MT_BUF_INIT(SECRET_FILE_MAX);
    char *path = mt_alloc_cstr(*text);
    mt_rc rc = path != NULL ? mt_file_read(path, SECRET_FILE_MAX, &content, err)
                            : MT_FAIL(err, MT_E_NOMEM, "path");

    if (rc == MT_OK) {
        *text = mt_arena_str(&load->made->arena, mt_str_trim(mt_buf_str(&content)));
        rc = text->at == NULL ? mt_arena_fail(&load->made->arena, err)
             : text->len == 0 ? MT_FAIL(err, MT_E_INVALID, "the file '%s' is empty", path)
                              : MT_OK;
    }
    if (content.len > 0)
        mt_wipe(content.at, content.len);
    mt_buf_fini(&content);
    mt_free(path);
    return rc;
}

static mt_rc fetch(const struct mt_config__load *load, const struct mt_config__key *key,
                   enum mt_config__source source, struct mt_str *text, struct mt_err *err)
{
    if (key->type == TYPE_PATH)
        MT_TRY(whole_path(load, source, text, err));
    if (load->is_keyless && (key->flags & (KEY_FROM_ENV | KEY_FROM_FILE)) != 0)
        return MT_OK;
    if ((key->flags & KEY_FROM_ENV) != 0)
        return from_environment(load, text, err);
    if ((key->flags & KEY_FROM_FILE) != 0)
        return from_file(load, text, err);
    return MT_OK;
}

mt_rc mt_config__set(struct mt_config__load *load, const struct mt_config__key *key,
                     struct mt_str text, enum mt_config__source source, void *object,
                     struct mt_err *err)
{
    union mt_config__value value = {0};

    MT_TRY(mt_config__parse(key, text, &value, err));
    if (key->type == TYPE_TEXT || key->type == TYPE_PATH || key->type == TYPE_LISTEN) {
        MT_TRY(fetch(load, key, source, &value.text, err));
        struct mt_str kept = mt_arena_str(&load->made->arena, value.text);
        if (kept.at == NULL)
            return mt_arena_fail(&load->made->arena, err);
        value.text = kept;
    }
    mt_config__put(key, object, &value);
    return MT_OK;
}
