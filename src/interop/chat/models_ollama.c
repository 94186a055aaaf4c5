/* SPDX-License-Identifier: Apache-2.0 */
/* Ollama's cards: /api/tags, /api/ps, /api/show. Its clients insist on fields being there, so
 * what is unknown is written empty. */
#include <stdio.h>

#include "chat/models.h"
#include "wire/json_writer.h"

/* "8.0B", "137M", "1.2K" as Ollama shows the size of a model. */
static void put_parameter_size(struct mt_jw *w, int64_t n)
{
    static const struct {
        double unit;
        int digits;
        char letter;
    } rows[] = {{1e12, 1, 'T'}, {1e9, 1, 'B'}, {1e6, 2, 'M'}, {1e3, 1, 'K'}};
    char text[32] = "";

    for (size_t i = 0; i < MT_ARRAY_LEN(rows) && n > 0 && text[0] == '\0'; i++) {
        if ((double)n >= rows[i].unit)
            snprintf(text, sizeof text, "%.*f%c", rows[i].digits, (double)n / rows[i].unit,
                     rows[i].letter);
    }
    if (n > 0 && text[0] == '\0')
        snprintf(text, sizeof text, "%d", (int)n);
    mt_jw_kcstr(w, "parameter_size", text);
}

static void put_details(struct mt_jw *w, const struct mt_model_card *card)
{
    mt_jw_key(w, "details");
    mt_jw_object(w);
    mt_jw_kcstr(w, "parent_model", "");
    mt_jw_kstr(w, "format", card->format);
    mt_jw_kstr(w, "family", card->family);
    mt_jw_key(w, "families");
    mt_jw_array(w);
    if (card->family.len > 0)
        mt_jw_str(w, card->family);
    mt_jw_end(w);
    put_parameter_size(w, card->parameters_n);
    mt_jw_kstr(w, "quantization_level", card->quantization);
    mt_jw_end(w);
}

static void put_time(struct mt_jw *w, const char *key, int64_t s)
{
    mt_jw_key(w, key);
    mt_jw_raw(w, MT_STR("\""));
    mt_rfc3339(s, 0, w->buf);
    mt_buf_add_char(w->buf, '"');
}

/* Name, model, digest, details: what tags and ps share. Names carry a tag, as Ollama's do. */
static void put_card(struct mt_jw *w, const struct mt_model_card *card, int64_t size_bytes)
{
    static const char *const keys[] = {"name", "model"};
    bool has_tag = mt_str_find_char(card->name, ':') < card->name.len;

    for (size_t i = 0; i < MT_ARRAY_LEN(keys); i++) {
        mt_jw_key(w, keys[i]);
        mt_jw_raw(w, MT_STR("\""));
        mt_json_escape(w->buf, card->name);
        mt_buf_add_cstr(w->buf, has_tag ? "\"" : ":latest\"");
    }
    if (card->remote_model.len > 0)
        mt_jw_kstr(w, "remote_model", card->remote_model);
    if (card->remote_host.len > 0)
        mt_jw_kstr(w, "remote_host", card->remote_host);
    mt_jw_ki64(w, "size", size_bytes);
    mt_jw_kstr(w, "digest", card->digest);
    put_details(w, card);
}

void mt_models_ollama_tags(const struct mt_model_card *cards, size_t n, struct mt_buf *out)
{
    struct mt_jw w;

    mt_jw_begin(&w, out);
    mt_jw_object(&w);
    mt_jw_key(&w, "models");
    mt_jw_array(&w);
    for (size_t i = 0; i < n; i++) {
        mt_jw_object(&w);
        put_card(&w, &cards[i], cards[i].size_bytes);
        put_time(&w, "modified_at", cards[i].created_at_s);
        mt_jw_end(&w);
    }
    mt_jw_end(&w);
    mt_jw_end(&w);
}

void mt_models_ollama_ps(const struct mt_model_card *cards, size_t n, struct mt_buf *out)
{
    const int64_t never_s = 253402300799; /* 9999-12-31T23:59:59Z */
    struct mt_jw w;

    mt_jw_begin(&w, out);
    mt_jw_object(&w);
    mt_jw_key(&w, "models");
    mt_jw_array(&w);
    for (size_t i = 0; i < n; i++) {
        const struct mt_model_card *card = &cards[i];
        if (!card->is_loaded)
            continue;
        mt_jw_object(&w);
        put_card(&w, card, card->memory_bytes);
        put_time(&w, "expires_at", card->expires_at_s > 0 ? card->expires_at_s : never_s);
        mt_jw_ki64(&w, "size_vram", card->gpu_bytes);
        mt_jw_ki64(&w, "context_length", card->context_tokens);
        mt_jw_end(&w);
    }
    mt_jw_end(&w);
    mt_jw_end(&w);
}

static void put_capabilities(struct mt_jw *w, unsigned can)
{
    static const struct {
        unsigned bit;
        const char *name;
    } rows[] = {
        {MT_CAN_CHAT | MT_CAN_COMPLETE, "completion"},
        {MT_CAN_TOOLS, "tools"},
        {MT_CAN_INSERT, "insert"},
        {MT_CAN_SEE, "vision"},
        {MT_CAN_HEAR, "audio"},
        {MT_CAN_EMBED, "embedding"},
        {MT_CAN_THINK, "thinking"},
    };

    mt_jw_key(w, "capabilities");
    mt_jw_array(w);
    for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
        if (can & rows[i].bit)
            mt_jw_cstr(w, rows[i].name);
    }
    mt_jw_end(w);
}

/* A key that begins with the family: "llama.context_length". */
static void put_family_i64(struct mt_jw *w, struct mt_str family, const char *key,
                           int64_t value)
{
    char text[128];
    int n = snprintf(text, sizeof text, "%.*s.%s", MT_STR_ARG(mt_str_sub(family, 0, 64)), key);

    if (value <= 0)
        return;
    mt_jw_key_str(w, (struct mt_str){text, (size_t)n});
    mt_jw_i64(w, value);
}

/* The file's own metadata where it is at hand, else what the card knows under the same names.
 */
static void put_model_info(struct mt_jw *w, const struct mt_model_card *card)
{
    struct mt_str family = card->family.len > 0 ? card->family : MT_STR("general");

    mt_jw_key(w, "model_info");
    if (card->metadata_json.len > 0) {
        mt_jw_raw(w, card->metadata_json);
        return;
    }
    mt_jw_object(w);
    mt_jw_kstr(w, "general.architecture", family);
    if (card->parameters_n > 0)
        mt_jw_ki64(w, "general.parameter_count", card->parameters_n);
    put_family_i64(w, family, "context_length", card->context_tokens);
    put_family_i64(w, family, "embedding_length", card->embedding_dims);
    mt_jw_end(w);
}

void mt_models_ollama_show(const struct mt_model_card *card, struct mt_buf *out)
{
    struct mt_jw w;

    mt_jw_begin(&w, out);
    mt_jw_object(&w);
    if (card->licence.len > 0)
        mt_jw_kstr(&w, "license", card->licence);
    mt_jw_kcstr(&w, "modelfile", "");
    mt_jw_kcstr(&w, "parameters", "");
    mt_jw_kstr(&w, "template", card->chat_template);
    put_details(&w, card);
    put_model_info(&w, card);
    put_capabilities(&w, card->can);
    put_time(&w, "modified_at", card->created_at_s);
    if (card->remote_model.len > 0)
        mt_jw_kstr(&w, "remote_model", card->remote_model);
    if (card->remote_host.len > 0)
        mt_jw_kstr(&w, "remote_host", card->remote_host);
    mt_jw_end(&w);
}
