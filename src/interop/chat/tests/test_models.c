/* SPDX-License-Identifier: Apache-2.0 */
#include "support/test.h"

#include "chat/models.h"

static const struct mt_model_card cards[] = {
    {.name = MT_STR_INIT("nano"),
     .format = MT_STR_INIT("gguf"),
     .family = MT_STR_INIT("llama"),
     .quantization = MT_STR_INIT("F16"),
     .digest = MT_STR_INIT("abc"),
     .chat_template = MT_STR_INIT("{{ x }}"),
     .licence = MT_STR_INIT("Apache-2.0"),
     .created_at_s = 1763632800,
     .size_bytes = 1000,
     .parameters_n = 137000000,
     .context_tokens = 512,
     .embedding_dims = 64,
     .can = MT_CAN_CHAT | MT_CAN_EMBED | MT_CAN_TOOLS,
     .is_loaded = true,
     .memory_bytes = 2000,
     .gpu_bytes = 500},
    {.name = MT_STR_INIT("openai/gpt-5"),
     .owner = MT_STR_INIT("openai"),
     .remote_model = MT_STR_INIT("gpt-5"),
     .remote_host = MT_STR_INIT("https://api"),
     .can = MT_CAN_CHAT | MT_CAN_THINK | MT_CAN_SEE},
};

static void lists_speak_each_dialect(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        void (*list)(const struct mt_model_card *, size_t, struct mt_buf *);
        const char *out;
    } rows[] = {
        {"openai", mt_models_openai_list,
         "{\"object\":\"list\",\"data\":[{\"id\":\"nano\",\"object\":\"model\",\"created\":"
         "1763632800,\"owned_by\":\"motet\",\"max_model_len\":512,\"context_length\":512},{"
         "\"id\":\"openai/"
         "gpt-5\",\"object\":\"model\",\"created\":0,\"owned_by\":\"openai\"}]}"},
        {"anthropic", mt_models_anthropic_list,
         "{\"data\":[{\"type\":\"model\",\"id\":\"nano\",\"display_name\":\"nano\","
         "\"created_at\":\"2025-11-20T10:00:00.000000000Z\"},{\"type\":\"model\",\"id\":"
         "\"openai/gpt-5\","
         "\"display_name\":\"openai/"
         "gpt-5\",\"created_at\":\"1970-01-01T00:00:00.000000000Z\"}],"
         "\"has_more\":false,\"first_id\":\"nano\",\"last_id\":\"openai/gpt-5\"}"},
        {"gemini", mt_models_gemini_list,
         "{\"models\":[{\"name\":\"models/nano\",\"baseModelId\":\"nano\",\"version\":\"1\","
         "\"displayName\":\"nano\",\"inputTokenLimit\":512,\"outputTokenLimit\":512,"
         "\"supportedGenerationMethods\":[\"generateContent\",\"streamGenerateContent\","
         "\"countTokens\",\"embedContent\",\"batchEmbedContents\"]},{\"name\":"
         "\"models/openai/gpt-5\",\"baseModelId\":\"openai/gpt-5\",\"version\":\"1\","
         "\"displayName\":\"openai/gpt-5\",\"supportedGenerationMethods\":[\"generateContent\","
         "\"streamGenerateContent\",\"countTokens\"],\"thinking\":true}]}"},
        {"tags", mt_models_ollama_tags,
         "{\"models\":[{\"name\":\"nano:latest\",\"model\":\"nano:latest\",\"size\":1000,"
         "\"digest\":\"abc\",\"details\":{\"parent_model\":\"\",\"format\":\"gguf\",\"family\":"
         "\"llama\",\"families\":[\"llama\"],\"parameter_size\":\"137.00M\","
         "\"quantization_level\":\"F16\"},\"modified_at\":\"2025-11-20T10:00:00.000000000Z\"},{"
         "\"name\":"
         "\"openai/gpt-5:latest\",\"model\":\"openai/gpt-5:latest\",\"remote_model\":\"gpt-5\","
         "\"remote_host\":\"https://api\",\"size\":0,\"digest\":\"\",\"details\":{"
         "\"parent_model\":\"\",\"format\":\"\",\"family\":\"\",\"families\":[],"
         "\"parameter_size\":\"\",\"quantization_level\":\"\"},\"modified_at\":"
         "\"1970-01-01T00:00:00.000000000Z\"}]}"},
        {"ps", mt_models_ollama_ps,
         "{\"models\":[{\"name\":\"nano:latest\",\"model\":\"nano:latest\",\"size\":2000,"
         "\"digest\":\"abc\",\"details\":{\"parent_model\":\"\",\"format\":\"gguf\",\"family\":"
         "\"llama\",\"families\":[\"llama\"],\"parameter_size\":\"137.00M\","
         "\"quantization_level\":\"F16\"},\"expires_at\":\"9999-12-31T23:59:59.000000000Z\","
         "\"size_"
         "vram\":"
         "500,\"context_length\":512}]}"},
    };

    for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
        struct mt_buf out = MT_BUF_INIT(1 << 16);
        rows[i].list(cards, 2, &out);
        assert_string_equal(mt_buf_cstr(&out), rows[i].out);
        mt_buf_fini(&out);
    }
}

static void an_empty_page_has_no_edges(void **state)
{
    (void)state;
    struct mt_buf out = MT_BUF_INIT(1 << 16);

    mt_models_anthropic_list(NULL, 0, &out);
    assert_string_equal(mt_buf_cstr(&out),
                        "{\"data\":[],\"has_more\":false,\"first_id\":null,\"last_id\":null}");
    mt_buf_fini(&out);
}

static void show_tells_all_that_is_known(void **state)
{
    (void)state;
    struct mt_buf out = MT_BUF_INIT(1 << 16);
    struct mt_model_card card = cards[0];

    mt_models_ollama_show(&card, &out);
    assert_string_equal(
        mt_buf_cstr(&out),
        "{\"license\":\"Apache-2.0\",\"modelfile\":\"\",\"parameters\":\"\",\"template\":"
        "\"{{ x }}\",\"details\":{\"parent_model\":\"\",\"format\":\"gguf\",\"family\":"
        "\"llama\",\"families\":[\"llama\"],\"parameter_size\":\"137.00M\","
        "\"quantization_level\":\"F16\"},\"model_info\":{\"general.architecture\":\"llama\","
        "\"general.parameter_count\":137000000,\"llama.context_length\":512,"
        "\"llama.embedding_length\":64},\"capabilities\":[\"completion\",\"tools\","
        "\"embedding\"],\"modified_at\":\"2025-11-20T10:00:00.000000000Z\"}");
    mt_buf_clear(&out);
    card.metadata_json = MT_STR("{\"a\":1}");
    mt_models_ollama_show(&card, &out);
    assert_true(mt_str_find(mt_buf_str(&out), MT_STR("\"model_info\":{\"a\":1},")) < out.len);
    mt_buf_fini(&out);
}

static void single_cards_are_elements_of_their_lists(void **state)
{
    (void)state;
    static const struct {
        void (*list)(const struct mt_model_card *, size_t, struct mt_buf *);
        void (*one)(const struct mt_model_card *, struct mt_buf *);
    } rows[] = {{mt_models_openai_list, mt_models_openai_one},
                {mt_models_anthropic_list, mt_models_anthropic_one},
                {mt_models_gemini_list, mt_models_gemini_one}};

    for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
        struct mt_buf list = MT_BUF_INIT(1 << 16);
        struct mt_buf one = MT_BUF_INIT(1 << 16);
        rows[i].list(cards, 1, &list);
        rows[i].one(cards, &one);
        assert_true(mt_str_find(mt_buf_str(&list), mt_buf_str(&one)) < list.len);
        mt_buf_fini(&list);
        mt_buf_fini(&one);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lists_speak_each_dialect),
        cmocka_unit_test(an_empty_page_has_no_edges),
        cmocka_unit_test(show_tells_all_that_is_known),
        cmocka_unit_test(single_cards_are_elements_of_their_lists),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
