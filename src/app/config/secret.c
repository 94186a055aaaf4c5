/* SPDX-License-Identifier: Apache-2.0 */
/* Keys of endpoints that stand elsewhere: in a variable of the environment, in a file. */
#include "config_priv.h"

#include "base/alloc.h"
#include "crypto/secret.h"
#include "system/file.h"

enum { SECRET_FILE_MAX = 64 * 1024 };

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
    const char *value = mt_settings_variable(load->reader.environment, name);
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

mt_rc mt_config__fetch(void *context, const struct mt_settings_key *key, struct mt_str *text,
                       struct mt_err *err)
{
    const struct mt_config__load *load = context;

    if (load->is_keyless)
        return MT_OK;
    return (key->flags & MT_SETTINGS_FROM_ENV) != 0 ? from_environment(load, text, err)
                                                    : from_file(load, text, err);
}
