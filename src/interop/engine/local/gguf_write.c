/* SPDX-License-Identifier: Apache-2.0 */
/* Writes a GGUF file: ggml lays out its header and encodes its tensors, in memory; then it is
 * written as any file of ours, which tells a full disk and keeps the old file whole. */
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "engine/gguf_io.h"
#include "llama_api.h"
#include "system/file.h"

enum { MODE = 0644 };

static const struct {
    enum ggml_type type;
    float most; /* the greatest magnitude that it holds */
} types[] = {
    [MT_GGUF_TYPE_F32] = {GGML_TYPE_F32, 3.4e38f},
    [MT_GGUF_TYPE_F16] = {GGML_TYPE_F16, 65504.0f},
    [MT_GGUF_TYPE_Q8_0] = {GGML_TYPE_Q8_0, 65504.0f * 127},
};

struct writer {
    const struct mt_llama *ll;
    struct gguf_context *gguf;   /* owned */
    struct ggml_context *shapes; /* owned: the tensors without their data */
};

static void writer_fini(struct writer *w)
{
    if (w->gguf != NULL)
        w->ll->gguf_free(w->gguf);
    if (w->shapes != NULL)
        w->ll->ggml_free(w->shapes);
}

static void set_key(struct writer *w, const struct mt_gguf_key *key)
{
    const struct mt_llama *ll = w->ll;

    switch (key->kind) {
    case MT_GGUF_TEXT:
        ll->gguf_set_val_str(w->gguf, key->name, key->text);
        break;
    case MT_GGUF_U32:
        ll->gguf_set_val_u32(w->gguf, key->name, key->u32);
        break;
    case MT_GGUF_F32:
        ll->gguf_set_val_f32(w->gguf, key->name, key->f32);
        break;
    case MT_GGUF_BOOL:
        ll->gguf_set_val_bool(w->gguf, key->name, key->is_set);
        break;
    case MT_GGUF_TEXTS:
        ll->gguf_set_arr_str(w->gguf, key->name, key->texts, key->n);
        break;
    case MT_GGUF_F32S:
        ll->gguf_set_arr_data(w->gguf, key->name, GGUF_TYPE_FLOAT32, key->f32s, key->n);
        break;
    case MT_GGUF_I32S:
        ll->gguf_set_arr_data(w->gguf, key->name, GGUF_TYPE_INT32, key->i32s, key->n);
        break;
    }
}

static uint32_t rows_of(const struct mt_gguf_tensor *tensor)
{
    return tensor->rows > 0 ? tensor->rows : 1;
}

static mt_rc check_values(const struct mt_gguf_tensor *tensor, const char *type_name,
                          struct mt_err *err)
{
    size_t n = (size_t)rows_of(tensor) * tensor->columns;

    for (size_t i = 0; i < n; i++)
        if (!(fabsf(tensor->values[i]) <= types[tensor->type].most))
            return MT_FAIL(err, MT_E_INVALID,
                           "tensor '%s': value %zu is %g, which %s cannot hold", tensor->name,
                           i, (double)tensor->values[i], type_name);
    return MT_OK;
}

static mt_rc add_tensor(struct writer *w, const struct mt_gguf_tensor *tensor,
                        struct mt_err *err)
{
    enum ggml_type type = types[tensor->type].type;
    const struct ggml_type_traits *traits = w->ll->ggml_get_type_traits(type);
    struct ggml_tensor *shape;

    if (strlen(tensor->name) >= GGML_MAX_NAME)
        return MT_FAIL(err, MT_E_INVALID, "tensor '%s': a name of at most %d bytes expected",
                       tensor->name, GGML_MAX_NAME - 1);
    if (tensor->columns == 0 || tensor->columns % traits->blck_size != 0)
        return MT_FAIL(err, MT_E_INVALID,
                       "tensor '%s': %u columns, but %s wants a multiple of %d", tensor->name,
                       (unsigned)tensor->columns, traits->type_name, (int)traits->blck_size);
    MT_TRY(check_values(tensor, traits->type_name, err));
    if (tensor->rows == 0)
        shape = w->ll->ggml_new_tensor_1d(w->shapes, type, tensor->columns);
    else
        shape = w->ll->ggml_new_tensor_2d(w->shapes, type, tensor->columns, tensor->rows);
    w->ll->ggml_set_name(shape, tensor->name);
    w->ll->gguf_add_tensor(w->gguf, shape);
    return MT_OK;
}

/* The header, then each tensor where the header says, then zeros to the alignment. */
static mt_rc save(struct writer *w, const char *path, const struct mt_gguf_tensor *tensors,
                  size_t tensors_n, struct mt_err *err)
{
    const struct mt_llama *ll = w->ll;
    size_t head_bytes = ll->gguf_get_meta_size(w->gguf);
    size_t all_bytes = head_bytes;

    for (size_t i = 0; i < tensors_n; i++)
        all_bytes += GGML_PAD(ll->gguf_get_tensor_size(w->gguf, (int64_t)i),
                              ll->gguf_get_alignment(w->gguf));
    MT_CLEANUP(mt_freep) char *bytes = mt_alloc(all_bytes, 1);
    if (bytes == NULL)
        return MT_FAIL(err, MT_E_NOMEM, "a file of %zu bytes", all_bytes);
    ll->gguf_get_meta_data(w->gguf, bytes);
    for (size_t i = 0; i < tensors_n; i++)
        ll->ggml_quantize_chunk(types[tensors[i].type].type, tensors[i].values,
                                bytes + head_bytes +
                                    ll->gguf_get_tensor_offset(w->gguf, (int64_t)i),
                                0, rows_of(&tensors[i]), tensors[i].columns, NULL);
    return mt_file_write(path, (struct mt_str){bytes, all_bytes}, MODE, err);
}

static mt_rc fill_and_save(struct writer *w, const char *path, const struct mt_gguf_key *keys,
                           size_t keys_n, const struct mt_gguf_tensor *tensors,
                           size_t tensors_n, struct mt_err *err)
{
    w->gguf = w->ll->gguf_init_empty();
    w->shapes = w->ll->ggml_init((struct ggml_init_params){
        .mem_size = (tensors_n + 1) * w->ll->ggml_tensor_overhead(), .no_alloc = true});
    if (w->gguf == NULL || w->shapes == NULL)
        return MT_FAIL(err, MT_E_NOMEM, "a header of %zu tensors", tensors_n);
    for (size_t i = 0; i < keys_n; i++)
        set_key(w, &keys[i]);
    for (size_t i = 0; i < tensors_n; i++)
        MT_TRY(add_tensor(w, &tensors[i], err));
    return save(w, path, tensors, tensors_n, err);
}

mt_rc mt_gguf_write(const char *path, const struct mt_gguf_key *keys, size_t keys_n,
                    const struct mt_gguf_tensor *tensors, size_t tensors_n,
                    const char *library_dir, struct mt_err *err)
{
    MT_CLEANUP(writer_fini) struct writer w = {.ll = NULL};

    MT_TRY(mt_llama_get(library_dir, &w.ll, err));
    mt_rc rc = fill_and_save(&w, path, keys, keys_n, tensors, tensors_n, err);
    if (rc < 0)
        return mt_err_wrap(err, rc, "model file '%s'", path);
    return MT_OK;
}
