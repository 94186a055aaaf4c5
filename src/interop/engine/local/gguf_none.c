/* SPDX-License-Identifier: Apache-2.0 */
/* Whole GGUF files in a build without llama.cpp: says so. No file is ever open. */
#include "base/assert.h"
#include "engine/gguf_io.h"

static mt_rc none(const char *path, struct mt_err *err)
{
    return MT_FAIL(err, MT_E_NOTFOUND,
                   "model file '%s': this build has no llama.cpp; run scripts/llama-deps.sh "
                   "(or set MOTET_LLAMA_DIR) and build again",
                   path);
}

mt_rc mt_gguf_write(const char *path, const struct mt_gguf_key *keys, size_t keys_n,
                    const struct mt_gguf_tensor *tensors, size_t tensors_n,
                    const char *library_dir, struct mt_err *err)
{
    (void)keys, (void)keys_n, (void)tensors, (void)tensors_n, (void)library_dir;
    return none(path, err);
}

mt_rc mt_gguf_open(const char *path, const char *library_dir, struct mt_gguf_file **out,
                   struct mt_err *err)
{
    (void)library_dir, (void)out;
    return none(path, err);
}

void mt_gguf_close(struct mt_gguf_file *file)
{
    MT_ASSERT(file == NULL);
}

void mt_gguf_closep(struct mt_gguf_file **file)
{
    mt_gguf_close(*file);
}

bool mt_gguf_has(const struct mt_gguf_file *file, const char *key)
{
    (void)file, (void)key;
    return false;
}

const char *mt_gguf_find_text(const struct mt_gguf_file *file, const char *key)
{
    (void)file, (void)key;
    return NULL;
}

bool mt_gguf_find_u32(const struct mt_gguf_file *file, const char *key, uint32_t *out)
{
    (void)file, (void)key, (void)out;
    return false;
}

bool mt_gguf_find_f32(const struct mt_gguf_file *file, const char *key, float *out)
{
    (void)file, (void)key, (void)out;
    return false;
}

size_t mt_gguf_texts_n(const struct mt_gguf_file *file, const char *key)
{
    (void)file, (void)key;
    return 0;
}

const char *mt_gguf_text_at(const struct mt_gguf_file *file, const char *key, size_t i)
{
    (void)file, (void)key, (void)i;
    return NULL;
}

size_t mt_gguf_tensors_n(const struct mt_gguf_file *file)
{
    (void)file;
    return 0;
}

struct mt_gguf_extent mt_gguf_extent(const struct mt_gguf_file *file, size_t i)
{
    (void)file, (void)i;
    return (struct mt_gguf_extent){.name = ""};
}

mt_rc mt_gguf_read_tensor(const struct mt_gguf_file *file, size_t i, float *out,
                          struct mt_err *err)
{
    (void)file, (void)i, (void)out;
    return none("", err);
}
