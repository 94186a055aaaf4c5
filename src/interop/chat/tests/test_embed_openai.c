/* SPDX-License-Identifier: Apache-2.0 */
#include "chat_fixture.h"

#define EMBED (&mt_embed_openai)

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

static mt_rc decode(struct fixture *f, const char *body, struct mt_embed_request *q)
{
    const struct mt_chat_route route = {0};

    *q = (struct mt_embed_request){.arena = &f->arena};
    return EMBED->decode_request(fixture_json(f, body), &route, q, &f->err);
}

static void requests_survive_the_way_round(void **state)
{
    struct fixture *f = *state;
    struct mt_embed_request q;

    assert_int_equal(decode(f,
                            "{\"model\":\"a\",\"input\":[\"x\",\"y\"],\"dimensions\":8,"
                            "\"encoding_format\":\"base64\",\"user\":\"u\",\"zip\":1}",
                            &q),
                     MT_OK);
    assert_true(q.is_batch && q.base64);
    assert_int_equal(
        EMBED->encode_request(&q, MT_STR("up"), &f->out, &f->path, &f->notes, NULL), MT_OK);
    assert_string_equal(mt_buf_cstr(&f->out),
                        "{\"model\":\"up\",\"input\":[\"x\",\"y\"],\"dimensions\":8,"
                        "\"encoding_format\":\"base64\",\"user\":\"u\"}");
    assert_string_equal(mt_buf_cstr(&f->path), "/v1/embeddings");
    assert_string_equal(mt_buf_cstr(&f->notes.text), "zip: not carried to openai");
    assert_int_equal(decode(f, "{\"input\":\"x\"}", &q), MT_OK);
    assert_int_equal(q.inputs_n, 1);
    assert_false(q.is_batch || q.base64);
}

static void bad_bodies_name_their_place(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *in, *error;
    } rows[] = {
        {"[]", "body: expected an object, found an array"},
        {"{}", "input: expected a string or an array of strings, found nothing"},
        {"{\"input\":[]}", "input: expected 1 to 2048 texts, found 0"},
        {"{\"input\":[1]}", "input: only text is understood, not token numbers"},
        {"{\"input\":[\"a\",{}]}", "input[1]: expected a string, found an object"},
        {"{\"input\":\"a\",\"encoding_format\":\"xml\"}",
         "encoding_format: expected \"float\" or \"base64\", found a string"},
        {"{\"input\":\"a\",\"dimensions\":0}",
         "dimensions: expected an integer between 1 and 65536, found 0"},
    };

    for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
        struct mt_embed_request q;
        mt_rc rc = decode(f, rows[i].in, &q);
        assert_string_equal(f->err.text, rows[i].error);
        assert_true(rc == MT_E_INVALID || rc == MT_E_UNSUPPORTED);
    }
}

static void vectors_survive_in_both_formats(void **state)
{
    struct fixture *f = *state;
    static const float values[] = {0.1f, -2.5f, 3e-8f, 16777217.0f};
    const struct mt_embed_answer answer = {
        .values = values, .n = 2, .dims = 2, .usage = {.input_tokens = 9}};

    for (int base64 = 0; base64 < 2; base64++) {
        struct mt_embed_request q = {.base64 = base64 == 1};
        struct mt_embed_answer back = {0};

        mt_buf_clear(&f->out);
        EMBED->encode_answer(&q, &answer, MT_STR("m"), &f->out);
        char *body = mt_alloc_cstr(mt_buf_str(&f->out));
        assert_non_null(body);
        if (base64)
            assert_string_equal(body,
                                "{\"object\":\"list\",\"data\":[{\"object\":\"embedding\","
                                "\"index\":0,\"embedding\":\"zczMPQAAIMA=\"},{\"object\":"
                                "\"embedding\",\"index\":1,\"embedding\":\"WdkAMwAAgEs=\"}],"
                                "\"model\":\"m\",\"usage\":{\"prompt_tokens\":9,"
                                "\"total_tokens\":9}}");
        assert_int_equal(EMBED->decode_answer(fixture_json(f, body), &f->arena, &back, &f->err),
                         MT_OK);
        assert_int_equal(back.n, 2);
        assert_int_equal(back.dims, 2);
        assert_memory_equal(back.values, values, sizeof values);
        assert_int_equal(back.usage.input_tokens, 9);
        assert_true(mt_str_is(back.model, "m"));
        mt_free(body);
    }
}

static void malformed_answers_are_the_endpoints_fault(void **state)
{
    struct fixture *f = *state;
    static const char *const rows[] = {
        "{}",
        "{\"data\":[]}",
        "{\"data\":[{}]}",
        "{\"data\":[{\"embedding\":[]}]}",
        "{\"data\":[{\"embedding\":[\"a\"]}]}",
        "{\"data\":[{\"embedding\":[1]},{\"embedding\":[1,2]}]}",
        "{\"data\":[{\"index\":7,\"embedding\":[1]}]}",
        "{\"data\":[{\"index\":0,\"embedding\":[1]},{\"index\":0,\"embedding\":[1]}]}",
        "{\"data\":[{\"embedding\":\"AAA\"}]}",
        "{\"data\":[{\"embedding\":\"AAAA\"}]}",
        "{\"data\":[{\"embedding\":\"!\"}]}",
        "{\"data\":[{\"embedding\":[1e300]}]}",
    };

    for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
        struct mt_embed_answer back = {0};
        mt_check_row(rows[i], EMBED->decode_answer(fixture_json(f, rows[i]), &f->arena, &back,
                                                   &f->err) == MT_E_UPSTREAM);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(requests_survive_the_way_round),
        TEST(bad_bodies_name_their_place),
        TEST(vectors_survive_in_both_formats),
        TEST(malformed_answers_are_the_endpoints_fault),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
