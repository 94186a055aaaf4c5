/* SPDX-License-Identifier: Apache-2.0 */
/* An embedder's file as the node serves it: llama.cpp makes the same tokens of a text, and the
 * node's engine gives the same vectors. */
#include "support/test.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "llama_api.h"
#include "models.h"
#include "system/file.h"
#include "tests/rig.h"
#include "train/embed.h"
#include "train/vocab.h"

#define PATH    MT_BINARY_DIR "/lab-embed-test.gguf"
#define SHIPPED MT_SOURCE_DIR "/lab/lab-embed.gguf"

enum { TOKENS_MAX = 256, TEXTS_MAX = 64 };

static const struct mt_llama *ll;

static int open_library(void **state)
{
    struct mt_err err;

    (void)state;
    if (mt_llama_get(NULL, &ll, &err) != MT_OK)
        fail_msg("%s", err.text);
    return 0;
}

static int remove_file(void **state)
{
    (void)state;
    return mt_file_remove(PATH, NULL) == MT_OK ? 0 : 1;
}

/* Of the shape of a text, not of a chat. */
static void write_embedder(const struct model *model, enum mt_model_type type)
{
    struct mt_model_about embeds = about;
    struct mt_err err;

    embeds.use = MT_MODEL_EMBEDS;
    if (mt_model_write(PATH, &model->shape, model->params, type, &embeds, NULL, &err) != MT_OK)
        fail_msg("%s", err.text);
}

/* ------------------------------------------------------------------ tokens */

static void llama_makes_the_same_tokens_of_a_text(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "copy motet",
        "45+38",
        " two  words, ",
        "a",
        "\n\xc3\xa9\x01 <0x41>",
        "<|im_start|>user\nx<|im_end|></s><s><unk><call_cloud>"};
    MT_CLEANUP(model_fini) struct model model = random_model(&wide_shape, 5);
    struct llama_model_params params = ll->llama_model_default_params();

    write_embedder(&model, MT_MODEL_F16);
    params.n_gpu_layers = 0;
    struct llama_model *other = ll->llama_model_load_from_file(PATH, params);
    assert_non_null(other);
    const struct llama_vocab *vocab = ll->llama_model_get_vocab(other);
    for (size_t i = 0; i < MT_ARRAY_LEN(texts); i++) {
        int32_t ours[TOKENS_MAX];
        int32_t theirs[TOKENS_MAX];
        uint32_t n = mt_embed_tokens(mt_str_of(texts[i]), ours, TOKENS_MAX);

        /* as the node's engine asks for them: the vocabulary's own ends, no control tokens */
        mt_check_row(texts[i], ll->llama_tokenize(vocab, texts[i], (int32_t)strlen(texts[i]),
                                                  theirs, TOKENS_MAX, true, false) == (int)n);
        mt_check_row(texts[i], memcmp(ours, theirs, n * sizeof *ours) == 0);
    }
    ll->llama_model_free(other);
}

/* ------------------------------------------------------------------ vectors */

static uint32_t make_texts(struct mt_item *items, struct mt_str *texts)
{
    uint32_t n = 0;

    for (; n < MT_SKILLS_N * MT_DIFFICULTIES_N; n++) {
        mt_item_make((enum mt_skill)(n / MT_DIFFICULTIES_N),
                     (enum mt_difficulty)(n % MT_DIFFICULTIES_N), MT_SPLIT_TEST, n, &items[n]);
        texts[n] = mt_str_of(items[n].prompt);
    }
    texts[n++] = MT_STR("Other words, \xc3\xa9; <|im_end|> and a space at the end ");
    return n;
}

static double cosine(const float *a, const float *b, uint32_t width)
{
    double ab = 0;
    double aa = 0;
    double bb = 0;

    for (uint32_t i = 0; i < width; i++) {
        ab += (double)a[i] * (double)b[i];
        aa += (double)a[i] * (double)a[i];
        bb += (double)b[i] * (double)b[i];
    }
    return ab / sqrt(aa * bb);
}

static void check_vectors(const char *row, const char *path)
{
    MT_CLEANUP(model_fini) struct model model = read_model(path);
    MT_CLEANUP(mt_embedder_freep) struct mt_embedder *embedder = NULL;
    static struct mt_item items[TEXTS_MAX];
    struct mt_str texts[TEXTS_MAX];
    uint32_t n = make_texts(items, texts);
    uint32_t width = model.shape.width;
    MT_CLEANUP(mt_freep) float *ours = mt_alloc((size_t)n * width, sizeof *ours);
    struct mt_embed_request request = {.inputs = texts, .inputs_n = n};
    struct rig rig;
    struct rig_call call;
    double least = 1;

    assert_int_equal(mt_embedder_new(&model.shape, model.params, &embedder, NULL), MT_OK);
    mt_embedder_run(embedder, texts, n, ours);
    rig_open(&rig, (struct mt_local_model){.path = mt_str_of(path)},
             (struct mt_local_opts){.threads = 1});
    rig_embed(&rig, &call, &request);
    if (!call.is_ok)
        fail_msg("%s: %s", row, call.message);
    assert_true(call.n == n && call.dims == width);
    for (uint32_t i = 0; i < n; i++)
        least = fmin(least, cosine(ours + (size_t)i * width, call.vectors + i * width, width));
    print_message("%s: cosines of %u vectors at least %.6f\n", row, n, least);
    mt_check_row(row, least >= 0.999);
    rig_call_fini(&call);
    rig_close(&rig);
}

static void the_node_gives_the_same_vectors_of_random_weights(void **state)
{
    (void)state;
    static const enum mt_model_type types[] = {MT_MODEL_F32, MT_MODEL_F16};
    struct mt_shape tied = tied_shape();
    MT_CLEANUP(model_fini) struct model model = random_model(&wide_shape, 3);
    MT_CLEANUP(model_fini) struct model tied_model = random_model(&tied, 4);

    for (size_t i = 0; i < MT_ARRAY_LEN(types); i++) {
        write_embedder(&model, types[i]);
        check_vectors("untied", PATH);
        write_embedder(&tied_model, types[i]);
        check_vectors("tied", PATH);
    }
}

static void the_node_gives_the_same_vectors_of_the_shipped_embedder(void **state)
{
    (void)state;
    check_vectors("lab-embed", SHIPPED);
}

/* ------------------------------------------------------------------ what a file is for */

static void a_file_tells_what_its_model_is_for(void **state)
{
    (void)state;
    MT_CLEANUP(model_fini) struct model model = random_model(&wide_shape, 5);
    enum mt_model_use use = MT_MODEL_EMBEDS;

    write_model(PATH, &model, MT_MODEL_F16);
    assert_int_equal(mt_model_read_use(PATH, &use, NULL, NULL), MT_OK);
    assert_int_equal(use, MT_MODEL_GENERATES);
    write_embedder(&model, MT_MODEL_F16);
    assert_int_equal(mt_model_read_use(PATH, &use, NULL, NULL), MT_OK);
    assert_int_equal(use, MT_MODEL_EMBEDS);
    assert_int_equal(mt_model_read_use(MT_BINARY_DIR "/none.gguf", &use, NULL, NULL),
                     MT_E_NOTFOUND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(llama_makes_the_same_tokens_of_a_text),
        cmocka_unit_test(the_node_gives_the_same_vectors_of_random_weights),
        cmocka_unit_test(the_node_gives_the_same_vectors_of_the_shipped_embedder),
        cmocka_unit_test(a_file_tells_what_its_model_is_for),
    };

    return cmocka_run_group_tests(tests, open_library, remove_file);
}
