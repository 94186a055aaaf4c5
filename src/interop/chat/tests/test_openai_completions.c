/* SPDX-License-Identifier: Apache-2.0 */
/* OpenAI's legacy completions, both roles. */
#include "chat_fixture.h"

#define TEXT (&mt_codec_openai_completions)

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

static void requests_survive_the_way_round(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *in, *out;
    } rows[] = {
        {"{\"model\":\"a\",\"prompt\":\"once\"}", "{\"model\":\"up\",\"prompt\":\"once\"}"},
        {"{\"prompt\":[\"a\",\"b\"],\"suffix\":\"s\",\"echo\":true,\"max_tokens\":0,"
         "\"logprobs\":5,"
         "\"n\":2,\"best_of\":3,\"stop\":\"x\",\"temperature\":0,\"stream\":true,\"top_k\":3}",
         "{\"model\":\"up\",\"stream\":true,\"stream_options\":{\"include_usage\":true},"
         "\"temperature\":0,\"stop\":[\"x\"],\"n\":2,\"top_k\":3,\"prompt\":[\"a\",\"b\"],"
         "\"suffix\":\"s\",\"echo\":true,\"max_tokens\":0,\"logprobs\":5,\"best_of\":3}"},
        {"{\"prompt\":[\"a\"],\"logprobs\":null,\"suffix\":null,\"max_tokens\":-1}",
         "{\"model\":\"up\",\"prompt\":\"a\"}"},
    };

    for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
        struct mt_chat_request q;
        assert_int_equal(fixture_decode(f, TEXT, rows[i].in, &q), MT_OK);
        assert_int_equal(q.kind, MT_CHAT_COMPLETION);
        assert_int_equal(fixture_encode(f, TEXT, &q, "up"), MT_OK);
        assert_string_equal(mt_buf_cstr(&f->out), rows[i].out);
        assert_string_equal(mt_buf_cstr(&f->path), "/v1/completions");
        assert_int_equal(fixture_decode(f, TEXT, rows[i].out, &q), MT_OK);
        assert_int_equal(fixture_encode(f, TEXT, &q, "up"), MT_OK);
        assert_string_equal(mt_buf_cstr(&f->out), rows[i].out);
        mt_buf_clear(&f->path);
    }
}

static void bad_bodies_name_their_place(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *in, *error;
        mt_rc rc;
    } rows[] = {
        {"{}", "prompt: expected a string or an array of strings, found nothing", MT_E_INVALID},
        {"[]", "body: expected an object, found an array", MT_E_INVALID},
        {"{\"prompt\":[]}", "prompt: expected 1 to 1024 prompts, found 0", MT_E_INVALID},
        {"{\"prompt\":[1,2]}", "prompt: only text is understood, not token numbers",
         MT_E_UNSUPPORTED},
        {"{\"prompt\":[[1]]}", "prompt: only text is understood, not token numbers",
         MT_E_UNSUPPORTED},
        {"{\"prompt\":[\"a\",1]}", "prompt[1]: expected a string, found a number",
         MT_E_INVALID},
        {"{\"prompt\":\"a\",\"logprobs\":true}",
         "logprobs: expected an integer between 0 and 20, found a boolean", MT_E_INVALID},
        {"{\"prompt\":\"a\",\"echo\":1}", "echo: expected a boolean, found a number",
         MT_E_INVALID},
        {"{\"prompt\":\"a\",\"suffix\":{}}", "suffix: expected a string, found an object",
         MT_E_INVALID},
    };

    for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
        struct mt_chat_request q;
        mt_rc rc = fixture_decode(f, TEXT, rows[i].in, &q);
        assert_string_equal(f->err.text, rows[i].error);
        mt_check_row(rows[i].in, rc == rows[i].rc);
    }
}

static void a_conversation_is_refused(void **state)
{
    struct fixture *f = *state;
    struct mt_chat_request q = {.arena = &f->arena};

    assert_int_equal(fixture_encode(f, TEXT, &q, "m"), MT_E_UNSUPPORTED);
    assert_string_equal(f->err.text,
                        "messages: a conversation cannot be sent to openai completions");
}

static void streams_and_answers_are_read(void **state)
{
    struct fixture *f = *state;

    assert_string_equal(
        fixture_stream_text(
            f, TEXT,
            "data: {\"id\":\"x\",\"model\":\"m\",\"choices\":[{\"text\":\"He\",\"index\":0,"
            "\"logprobs\":{\"tokens\":[\"H\",\"e\"],\"token_logprobs\":[null,-1.5],"
            "\"top_logprobs\":[null,{\"e\":-1.5,\"f\":-2}],\"text_offset\":[0,1]},"
            "\"finish_reason\":null}]}\n\ndata: {\"id\":\"x\",\"choices\":[{\"text\":\"b\","
            "\"index\":1,\"finish_reason\":\"length\"}]}\n\ndata: {\"id\":\"x\",\"choices\":[{"
            "\"text\":\"\",\"index\":0,\"finish_reason\":\"stop\"}]}\n\ndata: {\"id\":\"x\","
            "\"choices\":[],\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":2}}\n\n"
            "data: [DONE]\n\n"),
        "START id=x model=m | TEXT 0 He [H 0.00 top 0] [e -1.50 top 2] | TEXT 1 b | FINISH 1 "
        "length | FINISH 0 stop | USAGE 1+2 c0 w0 r0 | END");
    assert_string_equal(
        fixture_answer_text(f, TEXT,
                            "{\"id\":\"x\",\"model\":\"m\",\"choices\":[{\"text\":\"hi\","
                            "\"index\":0,\"finish_reason\":\"stop\"}],\"usage\":{"
                            "\"prompt_tokens\":1,\"completion_tokens\":2}}"),
        "START id=x model=m | TEXT 0 hi | FINISH 0 stop | USAGE 1+2 c0 w0 r0 | END");
}

#define HEAD                                                                                  \
    "data: {\"id\":\"cmpl-ID\",\"object\":\"text_completion\",\"created\":7,\"model\":\"m\"," \
    "\"choices\":["

static void a_stream_is_written(void **state)
{
    struct fixture *f = *state;
    const struct mt_chat_request request = {.stream_usage = true};
    const struct mt_chat_reply reply = {
        .request = &request, .id = MT_STR("ID"), .model = MT_STR("m"), .created_at_s = 7};
    const struct mt_token_top top = {MT_STR("h"), -2};
    const struct mt_token_logprob tokens[] = {{MT_STR("\xc3\xa9"), -1, -1, &top, 1},
                                              {MT_STR("!"), -0.5f, -1, NULL, 0}};
    const struct mt_chat_event events[] = {
        {.kind = MT_EVENT_START},
        {.kind = MT_EVENT_REASONING, .text = MT_STR("hm")},
        {.kind = MT_EVENT_TEXT,
         .text = MT_STR("\xc3\xa9"),
         .logprobs = &tokens[0],
         .logprobs_n = 1},
        {.kind = MT_EVENT_TEXT, .text = MT_STR("!"), .logprobs = &tokens[1], .logprobs_n = 1},
        {.kind = MT_EVENT_FINISH, .choice = 1, .finish = MT_FINISH_LENGTH},
        {.kind = MT_EVENT_USAGE, .usage = {.input_tokens = 1, .output_tokens = 2}},
        {.kind = MT_EVENT_END},
    };

    assert_string_equal(
        fixture_encode_stream(f, TEXT, &reply, events, MT_ARRAY_LEN(events)),
        HEAD "{\"text\":\"\xc3\xa9\",\"index\":0,\"logprobs\":{\"tokens\":[\"\xc3\xa9\"],"
             "\"token_logprobs\":[-1],\"top_logprobs\":[{\"h\":-2}],\"text_offset\":[0]},"
             "\"finish_reason\":null}],\"usage\":null}\n\n" HEAD
             "{\"text\":\"!\",\"index\":0,\"logprobs\":{\"tokens\":[\"!\"],\"token_logprobs\":["
             "-0.5],\"top_logprobs\":[{}],\"text_offset\":[1]},\"finish_reason\":null}],"
             "\"usage\":null}\n\n" HEAD
             "{\"text\":\"\",\"index\":1,\"logprobs\":null,\"finish_reason\":\"length\"}],"
             "\"usage\":null}\n\n" HEAD
             "],\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":2,\"total_tokens\":3,"
             "\"prompt_tokens_details\":{\"cached_tokens\":0},\"completion_tokens_details\":{"
             "\"reasoning_tokens\":0}}}\n\ndata: [DONE]\n\n");
}

static void a_whole_answer_is_written(void **state)
{
    struct fixture *f = *state;
    const struct mt_chat_request request = {0};
    const struct mt_chat_reply reply = {
        .request = &request, .id = MT_STR("ID"), .model = MT_STR("m"), .created_at_s = 7};
    struct mt_out_part parts[] = {{.kind = MT_OUT_TEXT, .text = MT_STR("a")},
                                  {.kind = MT_OUT_REASONING, .text = MT_STR("r")},
                                  {.kind = MT_OUT_TEXT, .text = MT_STR("b")}};
    struct mt_choice choice = {.parts = parts, .parts_n = 3, .finish = MT_FINISH_STOP};
    const struct mt_chat_answer answer = {.choices = &choice, .choices_n = 1};

    TEXT->encode_answer(&reply, &answer, &f->out);
    assert_string_equal(
        mt_buf_cstr(&f->out),
        "{\"id\":\"cmpl-ID\",\"object\":\"text_completion\",\"created\":7,\"model\":\"m\","
        "\"choices\":[{\"text\":\"ab\",\"index\":0,\"logprobs\":null,\"finish_reason\":"
        "\"stop\"}],\"usage\":{\"prompt_tokens\":0,\"completion_tokens\":0,\"total_tokens\":0,"
        "\"prompt_tokens_details\":{\"cached_tokens\":0},\"completion_tokens_details\":{"
        "\"reasoning_tokens\":0}}}");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(requests_survive_the_way_round),
        TEST(bad_bodies_name_their_place),
        TEST(a_conversation_is_refused),
        TEST(streams_and_answers_are_read),
        TEST(a_stream_is_written),
        TEST(a_whole_answer_is_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
