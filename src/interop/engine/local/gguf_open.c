/* SPDX-License-Identifier: Apache-2.0 */
/* Reads a GGUF file whole. Our own check of the header comes first (gguf.c): ggml is given only
 * what passed it, from the same bytes. */
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/buf.h"
#include "engine/gguf.h"
#include "engine/gguf_io.h"
#include "llama_api.h"
#include "system/file.h"

static const size_t FILE_MAX = (size_t)4 << 30;

struct mt_gguf_file {
    const struct mt_llama *ll;
    struct gguf_context *gguf;
    struct mt_buf bytes;
};

static mt_rc corrupt(const char *what, const char *why, struct mt_err *err)
{
    return MT_FAIL(err, MT_E_CORRUPT, "%s: %s", what, why);
}

static mt_rc parse(struct mt_gguf_file *file, struct mt_err *err)
{
    MT_CLEANUP(mt_arena_fini) struct mt_arena arena = MT_ARENA_INIT(64 << 20);
    struct mt_gguf header;

    mt_rc rc =
        mt_gguf_parse(mt_buf_str(&file->bytes), (int64_t)file->bytes.len, &arena, &header, err);
    if (rc == MT_E_TOOBIG)
        return corrupt("GGUF file", "cut off inside its header", err);
    MT_TRY(rc);
    (void)mt_llama_complaint(); /* an older one */
    file->gguf = file->ll->gguf_init_from_buffer(file->bytes.at, file->bytes.len,
                                                 (struct gguf_init_params){.no_alloc = true});
    if (file->gguf == NULL)
        return corrupt("GGUF header", mt_llama_complaint(), err);
    return MT_OK;
}

mt_rc mt_gguf_open(const char *path, const char *library_dir, struct mt_gguf_file **out,
                   struct mt_err *err)
{
    const struct mt_llama *ll = NULL;

    MT_TRY(mt_llama_get(library_dir, &ll, err));
    MT_CLEANUP(mt_gguf_closep) struct mt_gguf_file *file = mt_alloc(1, sizeof *file);
    if (file == NULL)
        return MT_FAIL(err, MT_E_NOMEM, "model file '%s'", path);
    file->ll = ll;
    mt_buf_init(&file->bytes, FILE_MAX);
    MT_TRY(mt_file_read(path, FILE_MAX, &file->bytes, err));
    mt_rc rc = parse(file, err);
    if (rc < 0)
        return mt_err_wrap(err, rc, "model file '%s'", path);
    *out = MT_MOVE(file);
    return MT_OK;
}

void mt_gguf_close(struct mt_gguf_file *file)
{
    if (file == NULL)
        return;
    if (file->gguf != NULL)
        file->ll->gguf_free(file->gguf);
    mt_buf_fini(&file->bytes);
    mt_free(file);
}

void mt_gguf_closep(struct mt_gguf_file **file)
{
    mt_gguf_close(*file);
}

/* --- keys --- */

/* Asking ggml for a value of another type would end the process. */
static int64_t find(const struct mt_gguf_file *file, const char *key, enum gguf_type type)
{
    int64_t id = file->ll->gguf_find_key(file->gguf, key);
    return id >= 0 && file->ll->gguf_get_kv_type(file->gguf, id) == type ? id : -1;
}

static int64_t find_texts(const struct mt_gguf_file *file, const char *key)
{
    int64_t id = find(file, key, GGUF_TYPE_ARRAY);
    bool is_text = id >= 0 && file->ll->gguf_get_arr_type(file->gguf, id) == GGUF_TYPE_STRING;
    return is_text ? id : -1;
}

bool mt_gguf_has(const struct mt_gguf_file *file, const char *key)
{
    return file->ll->gguf_find_key(file->gguf, key) >= 0;
}

const char *mt_gguf_find_text(const struct mt_gguf_file *file, const char *key)
{
    int64_t id = find(file, key, GGUF_TYPE_STRING);
    return id >= 0 ? file->ll->gguf_get_val_str(file->gguf, id) : NULL;
}

bool mt_gguf_find_u32(const struct mt_gguf_file *file, const char *key, uint32_t *out)
{
    int64_t id = find(file, key, GGUF_TYPE_UINT32);

    if (id >= 0)
        *out = file->ll->gguf_get_val_u32(file->gguf, id);
    return id >= 0;
}

bool mt_gguf_find_f32(const struct mt_gguf_file *file, const char *key, float *out)
{
    int64_t id = find(file, key, GGUF_TYPE_FLOAT32);

    if (id >= 0)
        *out = file->ll->gguf_get_val_f32(file->gguf, id);
    return id >= 0;
}

size_t mt_gguf_texts_n(const struct mt_gguf_file *file, const char *key)
{
    int64_t id = find_texts(file, key);
    return id >= 0 ? file->ll->gguf_get_arr_n(file->gguf, id) : 0;
}

const char *mt_gguf_text_at(const struct mt_gguf_file *file, const char *key, size_t i)
{
    return i < mt_gguf_texts_n(file, key)
               ? file->ll->gguf_get_arr_str(file->gguf, find_texts(file, key), i)
               : NULL;
}

/* --- tensors --- */

size_t mt_gguf_tensors_n(const struct mt_gguf_file *file)
{
    return (size_t)file->ll->gguf_get_n_tensors(file->gguf);
}

struct mt_gguf_extent mt_gguf_extent(const struct mt_gguf_file *file, size_t i)
{
    MT_ASSERT(i < mt_gguf_tensors_n(file));
    const int64_t *ne = file->ll->gguf_get_tensor_ne(file->gguf, (int64_t)i);
    return (struct mt_gguf_extent){
        .name = file->ll->gguf_get_tensor_name(file->gguf, (int64_t)i),
        .columns = (uint64_t)ne[0],
        .rows = (uint64_t)(ne[1] * ne[2] * ne[3]), /* the parser has checked the product */
    };
}

static mt_rc check_finite(const char *name, const float *values, uint64_t n, struct mt_err *err)
{
    for (uint64_t i = 0; i < n; i++)
        if (!isfinite(values[i]))
            return MT_FAIL(err, MT_E_CORRUPT, "tensor '%s': value %llu is %g", name,
                           (unsigned long long)i, (double)values[i]);
    return MT_OK;
}

mt_rc mt_gguf_read_tensor(const struct mt_gguf_file *file, size_t i, float *out,
                          struct mt_err *err)
{
    const struct mt_llama *ll = file->ll;
    struct mt_gguf_extent extent = mt_gguf_extent(file, i);
    enum ggml_type type = ll->gguf_get_tensor_type(file->gguf, (int64_t)i);
    size_t bytes = ll->gguf_get_tensor_size(file->gguf, (int64_t)i);
    size_t at = ll->gguf_get_data_offset(file->gguf) +
                ll->gguf_get_tensor_offset(file->gguf, (int64_t)i);
    uint64_t n = extent.rows * extent.columns;
    const struct ggml_type_traits *traits = ll->ggml_get_type_traits(type);

    if (at > file->bytes.len || bytes > file->bytes.len - at)
        return corrupt(extent.name, "a tensor behind the end of the file", err);
    if (type == GGML_TYPE_F32)
        memcpy(out, file->bytes.at + at, bytes);
    else if (traits->to_float != NULL)
        traits->to_float(file->bytes.at + at, out, (int64_t)n);
    else
        return MT_FAIL(err, MT_E_UNSUPPORTED, "tensor '%s': no floats can be made of type %s",
                       extent.name, traits->type_name);
    return check_finite(extent.name, out, n, err);
}
