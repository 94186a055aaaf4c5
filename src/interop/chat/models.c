/* SPDX-License-Identifier: Apache-2.0 */
/* Lists and cards of models for OpenAI, Anthropic and Gemini clients; Ollama's, which say far
 * more, are in models_ollama.c. */
#include "chat/models.h"

#include "wire/json_writer.h"

static void put_rfc3339(struct mt_jw *w, const char *key, int64_t s)
{
    mt_jw_key(w, key);
    mt_jw_raw(w, MT_STR("\""));
    mt_rfc3339(s, 0, w->buf);
    mt_buf_add_char(w->buf, '"');
}

/* --- OpenAI --- */

static void put_openai(struct mt_jw *w, const struct mt_model_card *card)
{
    mt_jw_object(w);
    mt_jw_kstr(w, "id", card->name);
    mt_jw_kcstr(w, "object", "model");
    mt_jw_ki64(w, "created", card->created_at_s);
    mt_jw_kstr(w, "owned_by", card->owner.len > 0 ? card->owner : MT_STR("motet"));
    if (card->context_tokens > 0) { /* as vLLM and OpenRouter tell it */
        mt_jw_ki64(w, "max_model_len", card->context_tokens);
        mt_jw_ki64(w, "context_length", card->context_tokens);
    }
    mt_jw_end(w);
}

void mt_models_openai_one(const struct mt_model_card *card, struct mt_buf *out)
{
    struct mt_jw w;

    mt_jw_begin(&w, out);
    put_openai(&w, card);
}

void mt_models_openai_list(const struct mt_model_card *cards, size_t n, struct mt_buf *out)
{
    struct mt_jw w;

    mt_jw_begin(&w, out);
    mt_jw_object(&w);
    mt_jw_kcstr(&w, "object", "list");
    mt_jw_key(&w, "data");
    mt_jw_array(&w);
    for (size_t i = 0; i < n; i++)
        put_openai(&w, &cards[i]);
    mt_jw_end(&w);
    mt_jw_end(&w);
}

/* --- Anthropic --- */

static void put_anthropic(struct mt_jw *w, const struct mt_model_card *card)
{
    mt_jw_object(w);
    mt_jw_kcstr(w, "type", "model");
    mt_jw_kstr(w, "id", card->name);
    mt_jw_kstr(w, "display_name", card->name);
    put_rfc3339(w, "created_at", card->created_at_s);
    mt_jw_end(w);
}

void mt_models_anthropic_one(const struct mt_model_card *card, struct mt_buf *out)
{
    struct mt_jw w;

    mt_jw_begin(&w, out);
    put_anthropic(&w, card);
}

static void put_edge(struct mt_jw *w, const char *key, const struct mt_model_card *card)
{
    mt_jw_key(w, key);
    if (card != NULL)
        mt_jw_str(w, card->name);
    else
        mt_jw_null(w);
}

void mt_models_anthropic_list(const struct mt_model_card *cards, size_t n, struct mt_buf *out)
{
    struct mt_jw w;

    mt_jw_begin(&w, out);
    mt_jw_object(&w);
    mt_jw_key(&w, "data");
    mt_jw_array(&w);
    for (size_t i = 0; i < n; i++)
        put_anthropic(&w, &cards[i]);
    mt_jw_end(&w);
    mt_jw_kbool(&w, "has_more", false);
    put_edge(&w, "first_id", n > 0 ? &cards[0] : NULL);
    put_edge(&w, "last_id", n > 0 ? &cards[n - 1] : NULL);
    mt_jw_end(&w);
}

/* --- Gemini --- */

static void put_methods(struct mt_jw *w, unsigned can)
{
    mt_jw_key(w, "supportedGenerationMethods");
    mt_jw_array(w);
    if (can & (MT_CAN_CHAT | MT_CAN_COMPLETE)) {
        mt_jw_cstr(w, "generateContent");
        mt_jw_cstr(w, "streamGenerateContent");
    }
    mt_jw_cstr(w, "countTokens");
    if (can & MT_CAN_EMBED) {
        mt_jw_cstr(w, "embedContent");
        mt_jw_cstr(w, "batchEmbedContents");
    }
    mt_jw_end(w);
}

static void put_gemini(struct mt_jw *w, const struct mt_model_card *card)
{
    mt_jw_object(w);
    mt_jw_key(w, "name");
    mt_jw_raw(w, MT_STR("\"models/"));
    mt_json_escape(w->buf, card->name);
    mt_buf_add_char(w->buf, '"');
    mt_jw_kstr(w, "baseModelId", card->name);
    mt_jw_kcstr(w, "version", "1");
    mt_jw_kstr(w, "displayName", card->name);
    if (card->context_tokens > 0)
        mt_jw_ki64(w, "inputTokenLimit", card->context_tokens);
    if (card->output_tokens_max > 0 || card->context_tokens > 0)
        mt_jw_ki64(w, "outputTokenLimit",
                   card->output_tokens_max > 0 ? card->output_tokens_max
                                               : card->context_tokens);
    put_methods(w, card->can);
    if (card->can & MT_CAN_THINK)
        mt_jw_kbool(w, "thinking", true);
    mt_jw_end(w);
}

void mt_models_gemini_one(const struct mt_model_card *card, struct mt_buf *out)
{
    struct mt_jw w;

    mt_jw_begin(&w, out);
    put_gemini(&w, card);
}

void mt_models_gemini_list(const struct mt_model_card *cards, size_t n, struct mt_buf *out)
{
    struct mt_jw w;

    mt_jw_begin(&w, out);
    mt_jw_object(&w);
    mt_jw_key(&w, "models");
    mt_jw_array(&w);
    for (size_t i = 0; i < n; i++)
        put_gemini(&w, &cards[i]);
    mt_jw_end(&w);
    mt_jw_end(&w);
}
