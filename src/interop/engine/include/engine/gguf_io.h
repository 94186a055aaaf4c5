/* SPDX-License-Identifier: Apache-2.0 */
/* engine/gguf_io.h - whole GGUF files, with their tensors, through llama.cpp's own writer,
 * reader and quantiser; engine/gguf.h reads headers without it.
 *
 * For those who make models: plain types, no header of llama.cpp. Blocks: not for a loop. Any
 * thread, one at a time per file. */
#ifndef MT_ENGINE_GGUF_IO_H
#define MT_ENGINE_GGUF_IO_H

#include <stdint.h>

#include "base/err.h"

enum mt_gguf_kind {
    MT_GGUF_TEXT,
    MT_GGUF_U32,
    MT_GGUF_F32,
    MT_GGUF_BOOL,
    MT_GGUF_TEXTS,
    MT_GGUF_F32S,
    MT_GGUF_I32S,
};

/** One key and its value; borrowed. */
struct mt_gguf_key {
    const char *name;
    enum mt_gguf_kind kind;
    union {
        const char *text;
        uint32_t u32;
        float f32;
        bool is_set;
        const char **texts;
        const float *f32s;
        const int32_t *i32s;
    };
    size_t n; /* of TEXTS, F32S, I32S */
};

enum mt_gguf_type { MT_GGUF_TYPE_F32, MT_GGUF_TYPE_F16, MT_GGUF_TYPE_Q8_0 };

/** One tensor: rows of columns floats, borrowed, and how they are to be written. */
struct mt_gguf_tensor {
    const char *name; /* at most 63 bytes */
    enum mt_gguf_type type;
    uint32_t rows; /* 0 = a vector, of one dimension */
    uint32_t columns;
    const float *values;
};

/** Write a file; readers and a crash see the old one or the new one.
 *  @param library_dir where llama.cpp's libraries are; NULL = as built
 *  @return MT_OK; MT_E_INVALID: a value is not finite or over the range of its type, or a row
 *  that the type cannot divide (the text names the tensor); MT_E_NOTFOUND (folder, or no
 *  llama.cpp), MT_E_UNSUPPORTED (llama.cpp of another version), MT_E_DENIED, MT_E_IO ("disk
 *  full"), MT_E_NOMEM */
mt_rc mt_gguf_write(const char *path, const struct mt_gguf_key *keys, size_t keys_n,
                    const struct mt_gguf_tensor *tensors, size_t tensors_n,
                    const char *library_dir, struct mt_err *err);

/** A file read into memory. */
struct mt_gguf_file;

/** Read a file, at most 4 GiB, and check it as mt_gguf_parse() does.
 *  @return MT_OK, MT_E_CORRUPT, MT_E_NOTFOUND (file, or no llama.cpp), MT_E_UNSUPPORTED,
 *  MT_E_TOOBIG, MT_E_DENIED, MT_E_IO, MT_E_NOMEM */
mt_rc mt_gguf_open(const char *path, const char *library_dir, struct mt_gguf_file **out,
                   struct mt_err *err);
void mt_gguf_close(struct mt_gguf_file *file); /* NULL is allowed */
void mt_gguf_closep(struct mt_gguf_file **file);

/* Keys: NULL, false or 0 when the file has none of that name and kind. Texts live as long as
 * the file. */
bool mt_gguf_has(const struct mt_gguf_file *file, const char *key);
const char *mt_gguf_find_text(const struct mt_gguf_file *file, const char *key);
bool mt_gguf_find_u32(const struct mt_gguf_file *file, const char *key, uint32_t *out);
bool mt_gguf_find_f32(const struct mt_gguf_file *file, const char *key, float *out);
size_t mt_gguf_texts_n(const struct mt_gguf_file *file, const char *key);
const char *mt_gguf_text_at(const struct mt_gguf_file *file, const char *key, size_t i);

/** What a tensor is: of more than two dimensions, rows are the product of all but the first. */
struct mt_gguf_extent {
    const char *name;
    uint64_t rows; /* 1 for a vector */
    uint64_t columns;
};

size_t mt_gguf_tensors_n(const struct mt_gguf_file *file);
/** Tensor i < mt_gguf_tensors_n(). */
struct mt_gguf_extent mt_gguf_extent(const struct mt_gguf_file *file, size_t i);

/** Its values as floats, whatever type they have in the file.
 *  @param out rows * columns floats
 *  @return MT_OK, MT_E_CORRUPT (a value is not finite), MT_E_UNSUPPORTED (a type without
 *  floats) */
mt_rc mt_gguf_read_tensor(const struct mt_gguf_file *file, size_t i, float *out,
                          struct mt_err *err);

#endif
