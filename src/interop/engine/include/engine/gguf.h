/* SPDX-License-Identifier: Apache-2.0 */
/* engine/gguf.h - what a GGUF file says of itself, read and checked without loading the model.
 *
 * The check is ours, before llama.cpp sees the file: magic, version, counts, lengths, types,
 * and that every tensor lies inside the file. Everything is bounded. Pure, but for
 * mt_gguf_read(), which blocks on the disk. Any thread. @source the GGUF specification, v3 */
#ifndef MT_ENGINE_GGUF_H
#define MT_ENGINE_GGUF_H

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

struct mt_model_card;

enum {
    MT_GGUF_KEYS_MAX = 4096,
    MT_GGUF_TENSORS_MAX = 65536,
    MT_GGUF_HEADER_MAX = 128 << 20, /* bytes before the tensor data */
};

/* Slices live in the text that was read, or in the arena. */
struct mt_gguf {
    uint32_t version;
    struct mt_str architecture; /* "llama" */
    struct mt_str name;
    struct mt_str licence;
    struct mt_str quantization; /* "F16", "Q4_K_M"; empty if unknown */
    struct mt_str tokenizer;    /* "llama", "gpt2" */
    struct mt_str chat_template;
    struct mt_str type;         /* "model", "adapter"; empty if unsaid */
    struct mt_str adapter_type; /* "lora" in an adapter file; else empty */
    int64_t parameters_n;       /* elements of all tensors */
    int64_t context_tokens;     /* trained with; 0 if unsaid */
    int64_t embedding_dims;
    int64_t layers_n;
    int64_t heads_kv_n;
    int64_t head_dims;    /* of keys; 0 if unsaid and not derivable */
    int64_t vocabulary_n; /* tokens */
    int64_t file_bytes;
    bool has_fim;                /* knows fill-in-the-middle tokens */
    bool is_embedder;            /* an encoder: embeds, does not chat */
    struct mt_str metadata_json; /* raw object of the scalar keys; arrays as their lengths */
};

/** Read the header from the beginning of a file.
 *  @param head  its first bytes: all, or as many as the caller has
 *  @param file_bytes  size of the whole file, for the extents
 *  @return MT_OK; MT_E_TOOBIG: head is too short, come back with more; MT_E_CORRUPT (says what
 *  is wrong where), MT_E_UNSUPPORTED (version, byte order), MT_E_NOMEM */
mt_rc mt_gguf_parse(struct mt_str head, int64_t file_bytes, struct mt_arena *arena,
                    struct mt_gguf *out, struct mt_err *err);

/** Read a file's header; what out points to is copied into the arena.
 *  @return as mt_gguf_parse(), MT_E_NOTFOUND, MT_E_DENIED, MT_E_IO */
mt_rc mt_gguf_read(const char *path, struct mt_arena *arena, struct mt_gguf *out,
                   struct mt_err *err);

/** Fill the parts of a card that the file tells: format, family, template, can, ... */
void mt_gguf_card(const struct mt_gguf *gguf, struct mt_model_card *card);

#endif
