/* SPDX-License-Identifier: Apache-2.0 */
/* train/model_file.h - GGUF in and out, through llama.cpp's own library: what is written here
 * loads there unchanged, quantised by its own quantiser. Norms stay f32. Blocks: not for a
 * loop. Any thread. */
#ifndef MT_TRAIN_MODEL_FILE_H
#define MT_TRAIN_MODEL_FILE_H

#include "base/str.h"
#include "train/shape.h"

enum mt_model_type { MT_MODEL_F32, MT_MODEL_F16, MT_MODEL_Q8_0 };

/* What llama.cpp is told to do with it. */
enum mt_model_use {
    MT_MODEL_GENERATES,
    MT_MODEL_EMBEDS, /* a text ends in MT_TOKEN_END, whose state is the text's vector */
};

struct mt_model_about {
    struct mt_str name;        /* general.name */
    struct mt_str description; /* general.description */
    struct mt_str license;     /* general.license */
    enum mt_model_use use;
};

/** Write with the byte-level vocabulary (train/vocab.h; vocab_n says whether
 * MT_TOKEN_CALL_CLOUD is in it) and its chat template. Readers and a crash see the old file or
 * the new one.
 *  @param library_dir where llama.cpp's libraries are; NULL = as built
 *  @return MT_OK; MT_E_INVALID: the shape, a weight that is not finite or over the range of its
 *  type, a row that Q8_0 cannot divide (columns not a multiple of 32); the text names the
 *  tensor; MT_E_IO ("disk full"), MT_E_DENIED, MT_E_NOTFOUND (folder, or no llama.cpp),
 *  MT_E_UNSUPPORTED (llama.cpp of another version), MT_E_NOMEM */
mt_rc mt_model_write(const char *path, const struct mt_shape *shape, const float *params,
                     enum mt_model_type type, const struct mt_model_about *about,
                     const char *library_dir, struct mt_err *err);

/** Read any file of this architecture and vocabulary, of whatever type (f32, f16, Q8_0, ...).
 *  @param params out: mt_alloc'd [params_n], the caller frees
 *  @return MT_OK; MT_E_INVALID: another architecture, vocabulary or shape than train/net.h
 *  computes (the text says which, and what was expected); MT_E_CORRUPT: cut off, a tensor that
 *  is missing or of other dimensions, a weight that is not finite (the text names it);
 *  MT_E_NOTFOUND, MT_E_UNSUPPORTED (GGUF or llama.cpp of another version), MT_E_TOOBIG (over 4
 *  GiB), MT_E_DENIED, MT_E_IO, MT_E_NOMEM */
mt_rc mt_model_read(const char *path, struct mt_shape *shape, float **params,
                    const char *library_dir, struct mt_err *err);

/** What a file's model is for. @return MT_OK, or as mt_model_read() */
mt_rc mt_model_read_use(const char *path, enum mt_model_use *use, const char *library_dir,
                        struct mt_err *err);

#endif
