/* SPDX-License-Identifier: Apache-2.0 */
/* What a dialect has besides chat: embeddings in both roles, Gemini's paths and its question
 * for a count of tokens. The first byte says which, its upper half whose. What is taken is
 * written again for every dialect and must be JSON. */
#include "base/alloc.h"
#include "base/assert.h"
#include "chat/codec.h"
#include "chat/gemini.h"

enum { MEMORY_MAX = 1 << 22 };

static const struct mt_embed_codec *const codecs[] = {
    &mt_embed_openai, &mt_embed_gemini, &mt_embed_ollama, &mt_embed_ollama_legacy};
enum { CODECS = sizeof codecs / sizeof *codecs };

struct fuzz {
    struct mt_json_doc *doc;
    struct mt_json_doc *again;
    struct mt_arena arena;
    struct mt_buf text; /* the input, with slack behind it */
    struct mt_buf out;
    struct mt_buf path;
    struct mt_chat_notes notes;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void is_json(struct fuzz *z)
{
    const struct mt_json *root = NULL;

    MT_ASSERT(z->out.rc != MT_OK ||
              mt_json_parse(z->again, mt_buf_str(&z->out), &root, NULL) == MT_OK);
    mt_buf_clear(&z->out);
    mt_buf_clear(&z->path);
}

static void question(struct fuzz *z, const struct mt_embed_codec *codec,
                     const struct mt_json *body)
{
    struct mt_chat_route route = {.model = MT_STR("m")};
    struct mt_embed_request request = {.arena = &z->arena};

    if (codec->decode_request(body, &route, &request, NULL) != MT_OK)
        return;
    MT_ASSERT(request.inputs_n >= 1 && request.inputs_n <= MT_EMBED_INPUTS_MAX);
    for (size_t i = 0; i < CODECS; i++)
        if (codecs[i]->encode_request != NULL &&
            codecs[i]->encode_request(&request, MT_STR("m"), &z->out, &z->path, &z->notes,
                                      NULL) == MT_OK)
            is_json(z);
}

static void answer(struct fuzz *z, const struct mt_embed_codec *codec,
                   const struct mt_json *body)
{
    struct mt_embed_answer answer = {.n = 0};

    if (codec->decode_answer == NULL ||
        codec->decode_answer(body, &z->arena, &answer, NULL) != MT_OK)
        return;
    for (unsigned i = 0; i < 2 * CODECS; i++) {
        struct mt_embed_request request = {.arena = &z->arena, .base64 = i % 2 != 0};

        request.is_batch = answer.n > 1;
        codecs[i / 2]->encode_answer(&request, &answer, MT_STR("m"), &z->out);
        is_json(z);
    }
}

static void count(struct fuzz *z, const struct mt_json *body)
{
    struct mt_chat_route route = {.model = MT_STR("m")};
    struct mt_chat_request request = {.arena = &z->arena};

    (void)mt_gemini_decode_count(body, &route, &request, NULL);
}

static void path(struct mt_str text)
{
    struct mt_str model = {NULL, 0};
    enum mt_gemini_method method = MT_GEMINI_UNKNOWN;

    if (mt_gemini_path(text, &model, &method))
        MT_ASSERT(model.at >= text.at && model.at + model.len <= text.at + text.len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz z = {.doc = NULL};
    const struct mt_json *root = NULL;

    if (size < 1)
        return 0;
    const struct mt_embed_codec *codec = codecs[(data[0] >> 4) % CODECS];
    mt_arena_init(&z.arena, MEMORY_MAX);
    mt_buf_init(&z.text, MEMORY_MAX);
    mt_buf_init(&z.out, MEMORY_MAX);
    mt_buf_init(&z.path, MEMORY_MAX);
    mt_chat_notes_init(&z.notes);
    MT_ASSERT(mt_json_doc_new(&z.doc, NULL) == MT_OK);
    MT_ASSERT(mt_json_doc_new(&z.again, NULL) == MT_OK);
    mt_buf_add(&z.text, (struct mt_str){(const char *)data + 1, size - 1});
    if (data[0] % 4 == 3)
        path(mt_buf_str(&z.text));
    else if (mt_json_parse(z.doc, mt_buf_str(&z.text), &root, NULL) != MT_OK)
        root = NULL;
    if (root != NULL && data[0] % 4 == 0)
        question(&z, codec, root);
    else if (root != NULL && data[0] % 4 == 1)
        answer(&z, codec, root);
    else if (root != NULL && data[0] % 4 == 2)
        count(&z, root);
    mt_json_doc_free(z.again);
    mt_json_doc_free(z.doc);
    mt_chat_notes_fini(&z.notes);
    mt_buf_fini(&z.path);
    mt_buf_fini(&z.out);
    mt_buf_fini(&z.text);
    mt_arena_fini(&z.arena);
    MT_ASSERT(mt_alloc_live == 0);
    return 0;
}
