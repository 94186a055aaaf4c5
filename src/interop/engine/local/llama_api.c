/* SPDX-License-Identifier: Apache-2.0 */
#include "llama_api.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/attr.h"

enum { PATH_BYTES = 4096 };

/* Opened under the lock, read-only afterwards. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct mt_llama table;
static bool is_open;

static _Thread_local char complaint[160];

static void on_log(enum ggml_log_level level, const char *text, void *ctx)
{
    (void)ctx;
    if (level != GGML_LOG_LEVEL_ERROR || complaint[0] != '\0')
        return; /* the first complaint names the cause */
    snprintf(complaint, sizeof complaint, "%s", text);
    complaint[strcspn(complaint, "\n")] = '\0';
}

const char *mt_llama_complaint(void)
{
    static _Thread_local char last[sizeof complaint];

    memcpy(last, complaint, sizeof last);
    complaint[0] = '\0';
    return last;
}

/* POSIX gives functions as void pointers; C does not convert them, so the bytes are copied. */
static mt_rc find_all(void *library, struct mt_llama *out, struct mt_err *err)
{
    const struct {
        const char *name;
        void *to;
    } names[] = {
#define X(name) {#name, &out->name},
        MT_LLAMA_MAP(X)
#undef X
    };

    for (size_t i = 0; i < MT_ARRAY_LEN(names); i++) {
        void *found = dlsym(library, names[i].name);
        if (found == NULL)
            return MT_FAIL(err, MT_E_UNSUPPORTED,
                           "llama.cpp: this libllama has no '%s'; expected the version that "
                           "motet was built with",
                           names[i].name);
        memcpy(names[i].to, &found, sizeof found);
    }
    return MT_OK;
}

static mt_rc open_library(const char *path, void **out, struct mt_err *err)
{
    *out = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (*out == NULL) {
        const char *why = dlerror();
        return MT_FAIL(err, MT_E_NOTFOUND,
                       "llama.cpp: %s; run scripts/llama-deps.sh and build again",
                       why != NULL ? why : path);
    }
    return MT_OK;
}

/* Beside the program, in ../lib of it, or where it was built. */
static mt_rc open_template(void **out, struct mt_err *err)
{
    char self[PATH_BYTES];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 64);

    if (n > 0) {
        self[n] = '\0';
        char *slash = strrchr(self, '/');
        static const char *const places[] = {"/motet-template.so", "/../lib/motet-template.so"};
        for (size_t i = 0; slash != NULL && i < MT_ARRAY_LEN(places); i++) {
            snprintf(slash, 64, "%s", places[i]);
            if (access(self, R_OK) == 0)
                return open_library(self, out, err);
        }
    }
    return open_library(MT_TEMPLATE_LIBRARY, out, err);
}

static mt_rc open_all(const char *dir, struct mt_llama *out, struct mt_err *err)
{
    char path[PATH_BYTES];
    void *library = NULL;
    void *template = NULL;

    snprintf(path, sizeof path, "%s/libllama.so", dir);
    MT_TRY(open_library(path, &library, err));
    MT_TRY(find_all(library, out, err));
    MT_TRY(open_template(&template, err));
    out->tmpl = dlsym(template, "mt_template_ops");
    if (out->tmpl == NULL || out->tmpl->abi != MT_TMPL_ABI)
        return MT_FAIL(err, MT_E_UNSUPPORTED,
                       "llama.cpp: motet-template.so is of another build");
    out->llama_log_set(on_log, NULL);
    out->ggml_backend_load_all_from_path(dir);
    if (out->ggml_backend_dev_by_type(GGML_BACKEND_DEVICE_TYPE_CPU) == NULL)
        return MT_FAIL(err, MT_E_NOTFOUND,
                       "llama.cpp: no libggml-cpu-*.so in '%s' fits this machine", dir);
    out->llama_backend_init();
    return MT_OK;
}

mt_rc mt_llama_get(const char *dir, const struct mt_llama **out, struct mt_err *err)
{
    mt_rc rc = MT_OK;

    pthread_mutex_lock(&lock);
    if (!is_open)
        rc = open_all(dir != NULL ? dir : MT_LLAMA_LIBRARY_DIR, &table, err);
    if (rc == MT_OK) {
        is_open = true;
        *out = &table;
    }
    pthread_mutex_unlock(&lock);
    return rc;
}
