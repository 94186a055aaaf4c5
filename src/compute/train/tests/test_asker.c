/* SPDX-License-Identifier: Apache-2.0 */
#include "support/test.h"

#include <string.h>

#include "base/alloc.h"
#include "train/asker.h"
#include "train/decode.h"
#include "train/vocab.h"

static const struct mt_shape shape = {.vocab_n = MT_VOCAB_N,
                                      .context_n = 96,
                                      .layers_n = 1,
                                      .width = 32,
                                      .ff_width = 64,
                                      .heads_n = 2,
                                      .kv_heads_n = 1,
                                      .head_width = 16,
                                      .rope_base = 10000,
                                      .norm_eps = 1e-5f,
                                      .is_tied = false};

static float *untrained(void)
{
    float *params = test_malloc(mt_shape_params_n(&shape) * sizeof *params);

    mt_shape_init(&shape, 5, params);
    return params;
}

static const struct mt_str prompts[] = {
    MT_STR_INIT("45+38"), MT_STR_INIT("copy motet"), MT_STR_INIT("max 41 17 49"),
    MT_STR_INIT("reverse a word that is a good deal longer than all the context of this small "
                "model can ever hold"),
    MT_STR_INIT("count t in motet")};
enum { PROMPTS_N = MT_ARRAY_LEN(prompts), TOO_LONG = 3 };

/* The decoder's own words for one prompt. */
static void decode(const float *params, struct mt_str prompt, struct mt_answer *out)
{
    int32_t head[96];
    int32_t tokens[96];
    char text[1024];
    struct mt_decoder *decoder = NULL;
    struct mt_decode_item item = {
        .prompt = head, .prompt_n = mt_vocab_prompt(prompt, head, 96), .tokens = tokens};
    struct mt_decode_opts opts = {.new_tokens_max = MT_ITEM_ANSWER_MAX + 1,
                                  .end_token = MT_TOKEN_IM_END};

    assert_int_equal(mt_decoder_new(&shape, 1, 96, &decoder, NULL), MT_OK);
    mt_decoder_run(decoder, params, &item, 1, &opts);
    mt_decoder_free(decoder);
    struct mt_str said =
        mt_vocab_bytes(tokens + item.prompt_n, item.tokens_n - item.prompt_n, text);
    out->len = (uint32_t)(said.len < MT_ANSWER_MAX ? said.len : MT_ANSWER_MAX);
    memcpy(out->text, said.at, out->len);
}

static void a_model_answers_what_it_decodes(void **state)
{
    (void)state;
    float *params = untrained();
    struct mt_model_asker *model = NULL;
    struct mt_answer answers[PROMPTS_N];
    uint32_t said_n = 0;

    /* two side by side: three turns */
    assert_int_equal(mt_model_asker_new(&shape, params, 2, &model, NULL), MT_OK);
    struct mt_asker asker = mt_model_asker_view(model);
    asker.ask(asker.context, prompts, answers, PROMPTS_N);
    for (int i = 0; i < PROMPTS_N; i++) {
        struct mt_answer want = {.len = 0};
        if (i != TOO_LONG)
            decode(params, prompts[i], &want);
        assert_int_equal(answers[i].len, want.len);
        assert_memory_equal(answers[i].text, want.text, want.len);
        said_n += answers[i].len;
    }
    assert_int_equal(answers[TOO_LONG].len, 0);
    assert_true(said_n > 0);
    mt_model_asker_free(model);
    test_free(params);
}

static void a_model_of_another_vocabulary_is_refused(void **state)
{
    (void)state;
    struct mt_shape other = shape;
    struct mt_model_asker *model = NULL;
    struct mt_err err = {0};

    other.vocab_n = 256;
    assert_int_equal(mt_model_asker_new(&other, NULL, 2, &model, &err), MT_E_INVALID);
    assert_string_equal(err.text, "model of 256 tokens, expected 264");
    assert_null(model);
}

static void new_survives_any_oom(void **state)
{
    (void)state;
    float *params = untrained();

    for (long nth = 0;; nth++) {
        struct mt_model_asker *model = NULL;

        mt_alloc_fail_after = nth;
        mt_rc rc = mt_model_asker_new(&shape, params, 2, &model, NULL);
        mt_alloc_fail_after = -1;
        if (rc == MT_OK) {
            assert_true(nth > 3);
            mt_model_asker_free(model);
            break;
        }
        assert_int_equal(rc, MT_E_NOMEM);
        assert_null(model);
        assert_int_equal(mt_alloc_live, 0);
    }
    assert_int_equal(mt_alloc_live, 0);
    test_free(params);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_model_answers_what_it_decodes),
        cmocka_unit_test(a_model_of_another_vocabulary_is_refused),
        cmocka_unit_test(new_survives_any_oom),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
