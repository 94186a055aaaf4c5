/* SPDX-License-Identifier: Apache-2.0 */
/* A node that was told nothing still has something to say: the models of the lab. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "node_priv.h"
#include "system/file.h"

static const struct {
    const char *name, *file;
} lab_models[] = {
    {"lab-mini", "lab-mini.gguf"}, /* the first is who is asked when nobody is named */
    {"lab-nano", "lab-nano.gguf"},
    {"lab-pico", "lab-pico.gguf"},
    {"lab-nano-router", "lab-nano-router.gguf"},
    {"lab-calc", "lab-calc.gguf"},
    {"lab-words", "lab-words.gguf"},
    {"lab-finder", "lab-finder.gguf"},
    {"lab-embed", "lab-embed.gguf"},
};

enum { PATH_SIZE = 4096 };

/* Where the lab's files are: beside an installed program, or in the tree it was built from. */
static bool find_lab(const char *file, char out[PATH_SIZE])
{
    char self[PATH_SIZE];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);

    if (n > 0) {
        self[n] = '\0';
        char *slash = strrchr(self, '/');
        if (slash != NULL) {
            *slash = '\0';
            int len = snprintf(out, PATH_SIZE, "%s/../share/motet/lab/%s", self, file);
            if (len > 0 && len < PATH_SIZE && mt_file_exists(out))
                return true;
        }
    }
    int len = snprintf(out, PATH_SIZE, "%s/%s", MT_LAB_DIR, file);
    return len > 0 && len < PATH_SIZE && mt_file_exists(out);
}

static bool has_local(const struct mt_config *config)
{
    for (size_t i = 0; i < config->models_n; i++) {
        if (config->models[i].path.len > 0)
            return true;
    }
    return false;
}

mt_rc node_default_models(const struct mt_config *config, const struct mt_config **out,
                          struct mt_err *err)
{
    struct mt_config_model models[MT_ARRAY_LEN(lab_models)];
    char paths[MT_ARRAY_LEN(lab_models)][PATH_SIZE];
    size_t n = 0;

    if (!has_local(config)) {
        for (size_t i = 0; i < MT_ARRAY_LEN(lab_models); i++) {
            if (!find_lab(lab_models[i].file, paths[n]))
                continue;
            models[n] = (struct mt_config_model){.name = mt_str_of(lab_models[i].name),
                                                 .path = mt_str_of(paths[n])};
            n++;
        }
    }
    return mt_config_with_models(config, models, n, out, err);
}
