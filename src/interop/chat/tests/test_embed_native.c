/* SPDX-License-Identifier: Apache-2.0 */
/* Embeddings as Ollama and Gemini ask for them and answer. */
#include "chat_fixture.h"

static int setup(void **state)
{
    static struct fixture fixture;

    fixture_init(&fixture);
    *state = &fixture;
    return 0;
}

static int teardown(void **state)
{
    fixture_fini(*state);
    assert_int_equal(mt_alloc_live, 0);
    return 0;
}

static mt_rc decode(struct fixture *f, const struct mt_embed_codec *codec, const char *body,
                    struct mt_embed_request *out)
{
    const struct mt_json *root = fixture_json(f, body);
    struct mt_chat_route route = {.model = MT_STR("models/url-model")};

    mt_arena_clear(&f->arena);
    *out = (struct mt_embed_request){.arena = &f->arena};
    return codec->decode_request(root, &route, out, &f->err);
}

static void questions_are_read_and_asked_again(void **state)
{
    static const struct {
        const struct mt_embed_codec *from, *to;
        const char *body, *asked, *path;
    } rows[] = {
        {&mt_embed_ollama, &mt_embed_ollama,
         "{\"model\":\"m\",\"input\":\"a\",\"keep_alive\":\"1m\"}",
         "{\"model\":\"up\",\"input\":[\"a\"],\"truncate\":true,\"keep_alive\":60}",
         "/api/embed"},
        {&mt_embed_ollama, &mt_embed_ollama,
         "{\"model\":\"m\",\"input\":[\"a\",\"b\"],\"truncate\":false,\"dimensions\":8}",
         "{\"model\":\"up\",\"input\":[\"a\",\"b\"],\"truncate\":false,\"dimensions\":8}",
         "/api/embed"},
        {&mt_embed_ollama_legacy, &mt_embed_ollama, "{\"model\":\"m\",\"prompt\":\"a\"}",
         "{\"model\":\"up\",\"input\":[\"a\"],\"truncate\":true}", "/api/embed"},
        {&mt_embed_gemini, &mt_embed_gemini,
         "{\"content\":{\"parts\":[{\"text\":\"a\"},{\"text\":\"b\"}]},\"taskType\":"
         "\"RETRIEVAL_QUERY\",\"output_dimensionality\":8}",
         "{\"model\":\"models/up\",\"content\":{\"parts\":[{\"text\":\"a\\nb\"}]},\"taskType\":"
         "\"RETRIEVAL_QUERY\",\"outputDimensionality\":8}",
         "/v1beta/models/up:embedContent"},
        {&mt_embed_gemini, &mt_embed_gemini,
         "{\"requests\":[{\"model\":\"models/x\",\"content\":{\"parts\":{\"text\":\"a\"}}},"
         "{\"content\":{\"parts\":[{\"text\":\"b\"}]}}]}",
         "{\"requests\":[{\"model\":\"models/up\",\"content\":{\"parts\":[{\"text\":\"a\"}]}},"
         "{\"model\":\"models/up\",\"content\":{\"parts\":[{\"text\":\"b\"}]}}]}",
         "/v1beta/models/up:batchEmbedContents"},
    };

    for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
        struct fixture *f = *state;
        struct mt_embed_request q;
        mt_check_row(rows[i].body, decode(f, rows[i].from, rows[i].body, &q) == MT_OK);
        mt_buf_clear(&f->out);
        mt_buf_clear(&f->path);
        mt_check_row(rows[i].body,
                     rows[i].to->encode_request(&q, MT_STR("up"), &f->out, &f->path, &f->notes,
                                                &f->err) == MT_OK);
        assert_string_equal(mt_buf_cstr(&f->out), rows[i].asked);
        assert_string_equal(mt_buf_cstr(&f->path), rows[i].path);
    }
}

static void bad_questions_name_the_place(void **state)
{
    static const struct {
        const struct mt_embed_codec *codec;
        const char *body, *words;
    } rows[] = {
        {&mt_embed_ollama, "[]", "body: expected an object, found an array"},
        {&mt_embed_ollama, "{}", "input: expected text, found nothing"},
        {&mt_embed_ollama, "{\"input\":[]}", "input: expected 1 to 2048 texts, found 0"},
        {&mt_embed_ollama, "{\"input\":[1]}", "input[0]: expected a string, found a number"},
        {&mt_embed_ollama, "{\"input\":{}}",
         "input: expected a string or an array of strings, found an object"},
        {&mt_embed_ollama_legacy, "{\"prompt\":[\"a\"]}",
         "prompt: expected a string, found an array"},
        {&mt_embed_gemini, "{}", "content: expected an object, found nothing"},
        {&mt_embed_gemini, "{\"requests\":[]}", "requests: expected 1 to 2048, found 0"},
        {&mt_embed_gemini, "{\"requests\":[{\"content\":{\"parts\":[{}]}}]}",
         "requests[0].content.parts[0]: expected text, inlineData, fileData, functionCall or "
         "functionResponse"},
        {&mt_embed_gemini,
         "{\"requests\":[{\"content\":{\"parts\":[{\"text\":\"a\"}]}},{\"taskType\":\"X\","
         "\"content\":{\"parts\":[{\"text\":\"a\"}]}}]}",
         "requests[1]: expected taskType and outputDimensionality of requests[0]"},
    };

    for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
        struct fixture *f = *state;
        struct mt_embed_request q;
        mt_check_row(rows[i].body, decode(f, rows[i].codec, rows[i].body, &q) == MT_E_INVALID);
        assert_string_equal(f->err.text, rows[i].words);
    }
}

static void answers_are_written_in_each_form(void **state)
{
    static const float values[] = {0.1f, -2.5f, 3e-20f, 1.0f};
    static const struct mt_embed_answer two = {
        .values = values, .n = 2, .dims = 2, .usage = {.input_tokens = 4, .load_ns = 7}};
    static const struct mt_embed_answer one = {.values = values, .n = 1, .dims = 4};
    static const struct {
        const struct mt_embed_codec *codec;
        const struct mt_embed_answer *answer;
        bool is_batch;
        const char *text;
    } rows[] = {
        {&mt_embed_ollama, &two, true,
         "{\"model\":\"m\",\"embeddings\":[[0.1,-2.5],[3e-20,1]],\"total_duration\":7,"
         "\"load_duration\":7,\"prompt_eval_count\":4}"},
        {&mt_embed_ollama_legacy, &one, false, "{\"embedding\":[0.1,-2.5,3e-20,1]}"},
        {&mt_embed_gemini, &one, false, "{\"embedding\":{\"values\":[0.1,-2.5,3e-20,1]}}"},
        {&mt_embed_gemini, &two, true,
         "{\"embeddings\":[{\"values\":[0.1,-2.5]},{\"values\":[3e-20,1]}],\"usageMetadata\":"
         "{\"promptTokenCount\":4}}"},
    };

    for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
        struct fixture *f = *state;
        struct mt_embed_request q = {.is_batch = rows[i].is_batch};
        mt_buf_clear(&f->out);
        rows[i].codec->encode_answer(&q, rows[i].answer, MT_STR("m"), &f->out);
        assert_string_equal(mt_buf_cstr(&f->out), rows[i].text);
    }
}

static void answers_are_read_and_checked(void **state)
{
    static const struct {
        const struct mt_embed_codec *codec;
        const char *body, *words; /* NULL: well */
        size_t n, dims;
    } rows[] = {
        {&mt_embed_ollama, "{\"model\":\"m\",\"embeddings\":[[1,2,3],[4,5,6]]}", NULL, 2, 3},
        {&mt_embed_ollama, "{\"embeddings\":[]}", NULL, 0, 0},
        {&mt_embed_gemini, "{\"embedding\":{\"values\":[1,2]}}", NULL, 1, 2},
        {&mt_embed_gemini, "{\"embeddings\":[{\"values\":[1]},{\"values\":[2]}]}", NULL, 2, 1},
        {&mt_embed_ollama, "{\"error\":\"x\"}", "embeddings: expected an array, found nothing",
         0, 0},
        {&mt_embed_ollama, "{\"embeddings\":[[1,2],[3]]}",
         "embedding 1: expected 2 numbers, found 1", 0, 0},
        {&mt_embed_ollama, "{\"embeddings\":[[\"a\"]]}",
         "embedding 0: expected numbers, found string", 0, 0},
        {&mt_embed_ollama, "{\"embeddings\":[[]]}",
         "embedding: expected 1 to 65536 numbers, found 0", 0, 0},
        {&mt_embed_gemini, "{}", "answer: expected 'embedding' or 'embeddings'", 0, 0},
        {&mt_embed_gemini, "{\"embeddings\":[{}]}",
         "embedding: expected an array, found nothing", 0, 0},
    };

    for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
        struct fixture *f = *state;
        struct mt_embed_answer answer = {0};
        const struct mt_json *root = fixture_json(f, rows[i].body);
        mt_rc rc = rows[i].codec->decode_answer(root, &f->arena, &answer, &f->err);
        mt_check_row(rows[i].body, rc == (rows[i].words == NULL ? MT_OK : MT_E_UPSTREAM));
        if (rows[i].words != NULL)
            assert_string_equal(f->err.text, rows[i].words);
        mt_check_row(rows[i].body, answer.n == rows[i].n && answer.dims == rows[i].dims);
    }
}

/* A body that promises many rows as wide as its first must not make us hold them. */
static void a_lying_answer_meets_the_bound(void **state)
{
    MT_CLEANUP(mt_buf_fini) struct mt_buf body = MT_BUF_INIT(1 << 20);
    struct fixture *f = *state;
    struct mt_embed_answer answer = {0};

    mt_buf_add_cstr(&body, "{\"embeddings\":[[0");
    for (int i = 1; i < 60000; i++)
        mt_buf_add_cstr(&body, ",0");
    mt_buf_add_cstr(&body, "]");
    for (int i = 0; i < 60000; i++)
        mt_buf_add_cstr(&body, ",0");
    mt_buf_add_cstr(&body, "]}");
    mt_rc rc = mt_embed_ollama.decode_answer(fixture_json(f, mt_buf_cstr(&body)), &f->arena,
                                             &answer, &f->err);
    assert_int_equal(rc, MT_E_UPSTREAM);
    assert_null(answer.values);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        T(questions_are_read_and_asked_again), T(bad_questions_name_the_place),
        T(answers_are_written_in_each_form),   T(answers_are_read_and_checked),
        T(a_lying_answer_meets_the_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
