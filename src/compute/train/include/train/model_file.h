/* SPDX-License-Identifier: Apache-2.0 */
/* train/model_file.h - GGUF in and out, through llama.cpp's own library: what is written here
 * loads there unchanged, quantised by its own quantiser. Blocks: not for a loop. */
#ifndef MT_TRAIN_MODEL_FILE_H
#define MT_TRAIN_MODEL_FILE_H

#include "base/str.h"
#include "train/shape.h"

enum mt_model_type { MT_MODEL_F32, MT_MODEL_F16, MT_MODEL_Q8_0 };

struct mt_model_about {
    struct mt_str name;        /* general.name */
    struct mt_str description; /* general.description */
    struct mt_str license;     /* general.license */
};

/** Write with the byte-level vocabulary (train/vocab.h) and its chat template. A crash sees the
 *  old file or the new one. A row that Q8_0 cannot divide (columns not a multiple of 32) is
 *  MT_E_INVALID naming the tensor.
 *  @param library_dir where llama.cpp's libraries are; NULL = as built
 *  @return MT_OK, MT_E_INVALID, MT_E_IO, MT_E_DENIED, MT_E_NOTFOUND (folder, or no llama.cpp)
 */
mt_rc mt_model_write(const char *path, const struct mt_shape *shape, const float *params,
                     enum mt_model_type type, const struct mt_model_about *about,
                     const char *library_dir, struct mt_err *err);

/** Read any file of this architecture and vocabulary (f32, f16, Q8_0).
 *  @param params out: mt_alloc'd [params_n], the caller frees
 *  @return MT_OK, MT_E_INVALID (another architecture or vocabulary: the text says which, and
 *  what was expected), MT_E_CORRUPT, MT_E_NOTFOUND, MT_E_IO, MT_E_NOMEM */
mt_rc mt_model_read(const char *path, struct mt_shape *shape, float **params,
                    const char *library_dir, struct mt_err *err);

#endif
