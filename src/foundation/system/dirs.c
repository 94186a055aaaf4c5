/* SPDX-License-Identifier: Apache-2.0 */
#include "system/file.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

char *mt_path_join(const char *dir, const char *name)
{
    size_t dir_len = strlen(dir);
    size_t name_len = strlen(name);
    char *path = mt_alloc(dir_len + 1 + name_len + 1, 1);

    if (path == NULL)
        return NULL;
    while (dir_len > 1 && dir[dir_len - 1] == '/')
        dir_len--;
    memcpy(path, dir, dir_len);
    size_t at = dir_len;
    if (at == 0 || path[at - 1] != '/')
        path[at++] = '/';
    memcpy(path + at, name, name_len);
    return path;
}

/* An absolute path from the environment, or NULL. */
static const char *absolute(const char *variable)
{
    const char *value = getenv(variable);

    return value != NULL && value[0] == '/' ? value : NULL;
}

static char *xdg(const char *variable, const char *home, const char *below_home)
{
    const char *base = absolute(variable);

    if (base != NULL)
        return mt_path_join(base, "motet");
    return home != NULL ? mt_path_join(home, below_home) : NULL;
}

static void find(struct mt_dirs *dirs, const char *own, const char *home)
{
    if (own != NULL) {
        dirs->config = mt_path_join(own, "config");
        dirs->data = mt_path_join(own, "data");
        dirs->runtime = mt_path_join(own, "run");
        return;
    }
    dirs->config = xdg("XDG_CONFIG_HOME", home, ".config/motet");
    dirs->data = xdg("XDG_DATA_HOME", home, ".local/share/motet");
    dirs->runtime = xdg("XDG_RUNTIME_DIR", NULL, "");
    if (dirs->runtime == NULL && dirs->data != NULL)
        dirs->runtime =
            mt_path_join(dirs->data, "run"); /* never a shared folder such as /tmp */
}

mt_rc mt_dirs_find(struct mt_dirs *out, struct mt_err *err)
{
    MT_CLEANUP(mt_dirs_fini) struct mt_dirs dirs = {0};
    const char *own = absolute("MOTET_HOME");
    const char *home = absolute("HOME");

    if (own == NULL && home == NULL &&
        (absolute("XDG_CONFIG_HOME") == NULL || absolute("XDG_DATA_HOME") == NULL))
        return MT_FAIL(err, MT_E_NOTFOUND,
                       "folders of motet: neither MOTET_HOME nor HOME holds an absolute path");
    find(&dirs, own, home);
    if (dirs.config == NULL || dirs.data == NULL || dirs.runtime == NULL)
        return MT_FAIL(err, MT_E_NOMEM, "folders of motet");
    *out = dirs;
    dirs = (struct mt_dirs){0};
    return MT_OK;
}

void mt_dirs_fini(struct mt_dirs *dirs)
{
    mt_free(dirs->config);
    mt_free(dirs->data);
    mt_free(dirs->runtime);
    *dirs = (struct mt_dirs){0};
}
