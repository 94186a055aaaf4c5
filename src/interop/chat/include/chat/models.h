/* SPDX-License-Identifier: Apache-2.0 */
/* chat/models.h - lists and cards of models, written in each dialect.
 *
 * Pure. */
#ifndef MT_CHAT_MODELS_H
#define MT_CHAT_MODELS_H

#include "base/buf.h"
#include "base/str.h"

enum { /* capabilities, bits */
       MT_CAN_CHAT = 1 << 0,
       MT_CAN_COMPLETE = 1 << 1,
       MT_CAN_TOOLS = 1 << 2,
       MT_CAN_SEE = 1 << 3,
       MT_CAN_HEAR = 1 << 4,
       MT_CAN_EMBED = 1 << 5,
       MT_CAN_THINK = 1 << 6,
       MT_CAN_INSERT = 1 << 7,
};

struct mt_model_card {
    struct mt_str name;
    struct mt_str owner;        /* endpoint name, or "motet" */
    struct mt_str format;       /* "gguf"; or empty */
    struct mt_str family;       /* "llama"; or empty */
    struct mt_str quantization; /* "F16"; or empty */
    struct mt_str digest;       /* hex SHA-256; or empty */
    struct mt_str chat_template;
    struct mt_str licence;
    struct mt_str remote_model; /* the name its endpoint knows it by; empty for local ones */
    struct mt_str remote_host;
    int64_t created_at_s;
    int64_t size_bytes;
    int64_t parameters_n;
    int64_t context_tokens; /* 0 if unknown */
    int64_t output_tokens_max;
    int64_t embedding_dims;
    unsigned can;
    struct mt_str metadata_json; /* raw object for Ollama's model_info; or empty */
    bool is_loaded;
    int64_t memory_bytes; /* when loaded */
    int64_t gpu_bytes;
    int64_t expires_at_s; /* when loaded; 0 = never */
};

void mt_models_openai_list(const struct mt_model_card *cards, size_t n, struct mt_buf *out);
void mt_models_openai_one(const struct mt_model_card *card, struct mt_buf *out);
void mt_models_anthropic_list(const struct mt_model_card *cards, size_t n, struct mt_buf *out);
void mt_models_anthropic_one(const struct mt_model_card *card, struct mt_buf *out);
void mt_models_gemini_list(const struct mt_model_card *cards, size_t n, struct mt_buf *out);
void mt_models_gemini_one(const struct mt_model_card *card, struct mt_buf *out);
void mt_models_ollama_tags(const struct mt_model_card *cards, size_t n, struct mt_buf *out);
void mt_models_ollama_ps(const struct mt_model_card *cards, size_t n,
                         struct mt_buf *out); /* loaded */
void mt_models_ollama_show(const struct mt_model_card *card, struct mt_buf *out);

/** "2026-11-20T10:00:00.123456789Z" (RFC 3339). */
void mt_rfc3339(int64_t s, int64_t ns, struct mt_buf *out);

#endif
