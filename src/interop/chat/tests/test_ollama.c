/* SPDX-License-Identifier: Apache-2.0 */
/* Ollama's chat and generate: requests read and written, streams both ways, the fast lane. */
#include "chat_fixture.h"

#define CHAT     (&mt_codec_ollama_chat)
#define GENERATE (&mt_codec_ollama_generate)

static const struct mt_chat_reply reply = {
    .id = MT_STR_INIT("01hzzzzzzzzzzzzzzzzzzzzzzz"),
    .model = MT_STR_INIT("llama3.2"),
    .created_at_s = 1763632800, /* 2025-11-20T10:00:00Z */
    .created_at_ns = 120000001,
};
#define HEAD "{\"model\":\"llama3.2\",\"created_at\":\"2025-11-20T10:00:00.120000001Z\","

static const char *const bodies[] = {
    "{\"model\":\"m\",\"messages\":[{\"role\":\"system\",\"content\":\"be brief\"},"
    "{\"role\":\"user\",\"content\":\"hi\",\"images\":[\"iVBORw0KGgoAAA\"]}],\"stream\":false,"
    "\"format\":{\"type\":\"object\"},\"keep_alive\":\"5m\",\"think\":\"high\",\"logprobs\":"
    "true,"
    "\"top_logprobs\":3,\"truncate\":false,\"options\":{\"temperature\":0.5,\"top_k\":40,"
    "\"top_p\":0.9,\"min_p\":0.1,\"typical_p\":1,\"seed\":7,\"num_predict\":64,"
    "\"repeat_penalty\":1.1,\"repeat_last_n\":64,\"presence_penalty\":0.5,"
    "\"frequency_penalty\":0.25,\"stop\":[\"a\",\"b\"],\"num_ctx\":4096}}",
    "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"weather?\"},"
    "{\"role\":\"assistant\",\"content\":\"\",\"thinking\":\"hm\",\"tool_calls\":[{\"id\":"
    "\"a1\","
    "\"function\":{\"name\":\"get\",\"arguments\":{\"x\":[1,2]}}},{\"id\":\"b2\",\"function\":"
    "{\"name\":\"put\",\"arguments\":{}}}]},"
    "{\"role\":\"tool\",\"content\":\"sun\",\"tool_name\":\"get\",\"tool_call_id\":\"a1\"},"
    "{\"role\":\"tool\",\"content\":\"ok\",\"tool_name\":\"put\",\"tool_call_id\":\"b2\"}],"
    "\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"get\",\"description\":\"d\","
    "\"parameters\":{\"type\":\"object\"}}}],\"think\":false,\"keep_alive\":-1}",
};

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

static void settings_are_read(void **state)
{
    struct fixture *f = *state;
    struct mt_chat_request q;

    assert_int_equal(fixture_decode(f, CHAT, bodies[0], &q), MT_OK);
    assert_int_equal(q.dialect, MT_DIALECT_OLLAMA_CHAT);
    assert_true(mt_str_is(q.model, "m"));
    assert_false(q.stream);
    assert_int_equal(q.messages_n, 2);
    assert_int_equal(q.messages[0].role, MT_ROLE_SYSTEM);
    assert_int_equal(q.messages[1].parts_n, 2);
    assert_true(mt_str_is(q.messages[1].parts[1].media.mime, "image/png"));
    assert_true(mt_str_is(q.schema_json, "{\"type\":\"object\"}"));
    assert_int_equal(q.keep_alive_s.value, 300);
    assert_int_equal(q.effort, MT_EFFORT_HIGH);
    assert_int_equal(q.include_reasoning, MT_YES);
    assert_true(q.logprobs && q.top_logprobs == 3);
    assert_int_equal(q.max_tokens.value, 64);
    assert_int_equal(q.sampling.stop_n, 2);
    assert_true(q.sampling.temperature.value == 0.5 && q.sampling.seed.value == 7);
    assert_int_equal(q.extras_n, 2);
    assert_false(q.is_load_only);
}

static void streaming_is_the_default(void **state)
{
    struct mt_chat_request q;

    assert_int_equal(fixture_decode(*state, CHAT,
                                    "{\"model\":\"m\",\"messages\":[{\"role\":\"USER\"}]}", &q),
                     MT_OK);
    assert_true(q.stream);
    assert_int_equal(q.messages[0].role, MT_ROLE_USER);
    assert_int_equal(q.messages[0].parts_n, 1); /* empty text, but a message */
}

static void keep_alive_takes_durations_and_numbers(void **state)
{
    static const struct {
        const char *value;
        int64_t seconds;
    } rows[] = {
        {"\"5m\"", 300},     {"\"1h30m\"", 5400}, {"\"1.5h\"", 5400}, {"\"300ms\"", 1},
        {"\"-1\"", -1},      {"\"-1m\"", -1},     {"-1", -1},         {"0", 0},
        {"\"0\"", 0},        {"\"0s\"", 0},       {"60", 60},         {"2.9", 2},
        {"1e30", INT32_MAX}, {"\"24h\"", 86400},
    };

    for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
        struct mt_chat_request q;
        char body[128];
        snprintf(body, sizeof body, "{\"model\":\"m\",\"keep_alive\":%s}", rows[i].value);
        mt_check_row(rows[i].value, fixture_decode(*state, CHAT, body, &q) == MT_OK);
        mt_check_row(rows[i].value,
                     q.keep_alive_s.has && q.keep_alive_s.value == rows[i].seconds);
    }
}

static void an_empty_question_loads(void **state)
{
    static const struct {
        const struct mt_chat_codec *codec;
        const char *body;
        bool is_load;
    } rows[] = {
        {CHAT, "{\"model\":\"m\"}", true},
        {CHAT, "{\"model\":\"m\",\"messages\":[],\"keep_alive\":0}", true},
        {CHAT, "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"\"}]}", false},
        {GENERATE, "{\"model\":\"m\"}", true},
        {GENERATE, "{\"model\":\"m\",\"prompt\":\"\",\"raw\":true}", true},
        {GENERATE, "{\"model\":\"m\",\"prompt\":\"x\"}", false},
        {GENERATE, "{\"model\":\"m\",\"suffix\":\"x\"}", false},
    };

    for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
        struct mt_chat_request q;
        mt_check_row(rows[i].body,
                     fixture_decode(*state, rows[i].codec, rows[i].body, &q) == MT_OK);
        mt_check_row(rows[i].body, q.is_load_only == rows[i].is_load);
    }
}

static void results_without_ids_find_their_calls(void **state)
{
    struct fixture *f = *state;
    struct mt_chat_request q;

    assert_int_equal(
        fixture_decode(
            f, CHAT,
            "{\"model\":\"m\",\"messages\":[{\"role\":\"assistant\",\"tool_calls\":["
            "{\"function\":{\"name\":\"a\",\"arguments\":{}}},{\"function\":{\"name\":\"b\"}},"
            "{\"function\":{\"name\":\"a\",\"arguments\":{\"n\":2}}}]},"
            "{\"role\":\"tool\",\"content\":\"1\",\"tool_name\":\"b\"},"
            "{\"role\":\"tool\",\"content\":\"2\",\"tool_name\":\"a\"},"
            "{\"role\":\"tool\",\"content\":\"3\"},"
            "{\"role\":\"tool\",\"content\":\"4\",\"tool_name\":\"zzz\"}]}",
            &q),
        MT_OK);
    assert_int_equal(q.messages_n, 5);
    assert_int_equal(q.messages[0].parts_n, 3);
    assert_true(mt_str_is(q.messages[0].parts[1].json, "{}"));
    assert_true(mt_str_is(q.messages[1].parts[0].id, "call_1"));
    assert_true(mt_str_is(q.messages[2].parts[0].id, "call_0"));
    assert_true(mt_str_is(q.messages[3].parts[0].id, "call_2"));
    assert_true(mt_str_is(q.messages[3].parts[0].name, "a"));
    assert_true(mt_str_is(q.messages[4].parts[0].id, "call_3")); /* nobody's: its own */
}

static void generate_is_a_conversation_unless_raw(void **state)
{
    struct fixture *f = *state;
    struct mt_chat_request q;

    assert_int_equal(
        fixture_decode(f, GENERATE,
                       "{\"model\":\"m\",\"prompt\":\"hi\",\"system\":\"s\","
                       "\"template\":\"t\",\"context\":[],\"images\":[\"/9j/4A\"]}",
                       &q),
        MT_OK);
    assert_int_equal(q.kind, MT_CHAT_CONVERSATION);
    assert_int_equal(q.messages_n, 2);
    assert_true(mt_str_is(q.messages[1].parts[1].media.mime, "image/jpeg"));
    assert_int_equal(q.extras_n, 1);
    assert_true(mt_str_is(q.extras[0].key, "template"));

    assert_int_equal(
        fixture_decode(f, GENERATE, "{\"model\":\"m\",\"prompt\":\"p\",\"suffix\":\"s\"}", &q),
        MT_OK);
    assert_int_equal(q.kind, MT_CHAT_COMPLETION);
    assert_true(mt_str_is(q.prompts[0], "p") && mt_str_is(q.suffix, "s") && !q.raw_prompt);
    assert_int_equal(fixture_encode(f, CHAT, &q, "up"), MT_OK);
    assert_string_equal(mt_buf_cstr(&f->path), "/api/generate");
    assert_string_equal(mt_buf_cstr(&f->out),
                        "{\"model\":\"up\",\"prompt\":\"p\",\"suffix\":\"s\",\"raw\":false,"
                        "\"stream\":true,\"options\":{}}");
}

static void bad_bodies_name_the_place(void **state)
{
    static const struct {
        const struct mt_chat_codec *codec;
        const char *body;
        const char *words;
    } rows[] = {
        {CHAT, "[]", "body: expected an object, found an array"},
        {CHAT, "{\"model\":1}", "model: expected a string, found a number"},
        {CHAT, "{\"messages\":{}}", "messages: expected an array, found an object"},
        {CHAT, "{\"messages\":[1]}", "messages[0]: expected an object, found a number"},
        {CHAT, "{\"messages\":[{\"role\":\"x\"}]}",
         "messages[0].role: expected 'system', 'user', 'assistant' or 'tool', found 'x'"},
        {CHAT, "{\"messages\":[{\"role\":\"user\",\"content\":[]}]}",
         "messages[0].content: expected a string, found an array"},
        {CHAT, "{\"messages\":[{\"role\":\"user\",\"images\":[1]}]}",
         "messages[0].images[0]: expected a string, found a number"},
        {CHAT, "{\"messages\":[{\"role\":\"user\",\"images\":[\"\"]}]}",
         "messages[0].images[0]: expected base64 data, found nothing"},
        {CHAT,
         "{\"messages\":[{\"role\":\"assistant\",\"tool_calls\":[{\"function\":{\"name\":\"f\","
         "\"arguments\":\"{}\"}}]}]}",
         "messages[0].tool_calls[0].function.arguments: expected an object, found a string"},
        {CHAT, "{\"messages\":[{\"role\":\"assistant\",\"tool_calls\":[{\"function\":{}}]}]}",
         "messages[0].tool_calls[0].function.name: expected a name, found nothing"},
        {CHAT, "{\"tools\":[{}]}", "tools[0].function: expected an object, found nothing"},
        {CHAT, "{\"tools\":[{\"type\":\"x\"}]}", "tools[0].type: expected 'function'"},
        {CHAT, "{\"think\":\"loud\"}",
         "think: expected true, false, 'low', 'medium' or 'high', found a string"},
        {CHAT, "{\"format\":\"xml\"}",
         "format: expected 'json' or a schema object, found a string"},
        {CHAT, "{\"keep_alive\":\"5 parsecs\"}",
         "keep_alive: expected a duration like '5m', found \"5 parsecs\""},
        {CHAT, "{\"keep_alive\":{}}", "keep_alive: expected a duration, found an object"},
        {CHAT, "{\"options\":[]}", "options: expected an object, found an array"},
        {CHAT, "{\"options\":{\"temperature\":\"hot\"}}",
         "options.temperature: expected a number between 0 and 100, found a string"},
        {CHAT, "{\"options\":{\"stop\":[1]}}",
         "options.stop[0]: expected a string, found a number"},
        {GENERATE, "{\"prompt\":[]}", "prompt: expected a string, found an array"},
        {GENERATE, "{\"prompt\":\"x\",\"context\":[1]}",
         "context: token lists of earlier answers are not kept; send the conversation as "
         "messages to /api/chat"},
        {GENERATE, "{\"prompt\":\"x\",\"raw\":true,\"system\":\"s\"}",
         "system: cannot be combined with raw"},
        {GENERATE, "{\"prompt\":\"x\",\"suffix\":\"y\",\"images\":[\"a\"]}",
         "images: cannot be combined with suffix"},
    };

    for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
        struct fixture *f = *state;
        struct mt_chat_request q;
        mt_check_row(rows[i].body,
                     fixture_decode(f, rows[i].codec, rows[i].body, &q) == MT_E_INVALID);
        assert_string_equal(f->err.text, rows[i].words);
    }
}

static void requests_survive_a_round_trip(void **state)
{
    static const char *const written[] = {
        "{\"model\":\"m\",\"messages\":[{\"role\":\"system\",\"content\":\"be brief\"},"
        "{\"role\":\"user\",\"content\":\"hi\",\"images\":[\"iVBORw0KGgoAAA\"]}],"
        "\"stream\":false,\"format\":{\"type\":\"object\"},\"think\":\"high\",\"keep_alive\":"
        "300,"
        "\"logprobs\":true,\"top_logprobs\":3,\"options\":{\"temperature\":0.5,\"top_k\":40,"
        "\"top_p\":0.9,\"min_p\":0.1,\"typical_p\":1,\"seed\":7,\"num_predict\":64,"
        "\"repeat_penalty\":1.1,\"repeat_last_n\":64,\"presence_penalty\":0.5,"
        "\"frequency_penalty\":0.25,\"stop\":[\"a\",\"b\"],\"num_ctx\":4096},\"truncate\":"
        "false}",
        "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"weather?\"},"
        "{\"role\":\"assistant\",\"content\":\"\",\"thinking\":\"hm\",\"tool_calls\":[{\"id\":"
        "\"a1\",\"function\":{\"name\":\"get\",\"arguments\":{\"x\":[1,2]}}},{\"id\":\"b2\","
        "\"function\":{\"name\":\"put\",\"arguments\":{}}}]},"
        "{\"role\":\"tool\",\"content\":\"sun\",\"tool_name\":\"get\",\"tool_call_id\":\"a1\"},"
        "{\"role\":\"tool\",\"content\":\"ok\",\"tool_name\":\"put\",\"tool_call_id\":\"b2\"}],"
        "\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"get\",\"description\":"
        "\"d\","
        "\"parameters\":{\"type\":\"object\"}}}],\"stream\":true,\"think\":false,"
        "\"keep_alive\":-1,\"options\":{}}",
    };

    for (size_t i = 0; i < MT_ARRAY_LEN(written); i++) {
        struct fixture *f = *state;
        struct mt_chat_request q;
        char first[4096];
        assert_int_equal(fixture_decode(f, CHAT, bodies[i], &q), MT_OK);
        assert_int_equal(fixture_encode(f, CHAT, &q, "m"), MT_OK);
        assert_string_equal(mt_buf_cstr(&f->out), written[i]);
        assert_string_equal(mt_buf_cstr(&f->path), "/api/chat");
        snprintf(first, sizeof first, "%s", mt_buf_cstr(&f->out));
        assert_int_equal(fixture_decode(f, CHAT, first, &q), MT_OK);
        assert_int_equal(fixture_encode(f, CHAT, &q, "m"), MT_OK);
        assert_string_equal(mt_buf_cstr(&f->out), first);
        assert_int_equal(f->notes.text.len, 0);
    }
}

static void what_ollama_cannot_carry_is_refused_by_name(void **state)
{
    struct fixture *f = *state;
    struct mt_chat_part image = {.kind = MT_PART_IMAGE, .media.url = MT_STR_INIT("http://x/a")};
    struct mt_chat_part audio = {.kind = MT_PART_AUDIO, .media.base64 = MT_STR_INIT("AAAA")};
    struct mt_chat_message by_url = {.role = MT_ROLE_USER, .parts = &image, .parts_n = 1};
    struct mt_chat_message spoken = {.role = MT_ROLE_USER, .parts = &audio, .parts_n = 1};
    struct mt_chat_tool hosted = {.hosted_type = MT_STR_INIT("web_search")};
    struct mt_chat_tool plain = {.name = MT_STR_INIT("f")};
    const struct {
        struct mt_chat_request q;
        const char *words;
    } rows[] = {
        {{.n = 2}, "n: ollama gives one choice, 2 were asked for"},
        {{.messages = &by_url, .messages_n = 1},
         "messages[0]: image by URL: ollama takes only base64 data"},
        {{.messages = &spoken, .messages_n = 1}, "messages[0]: ollama takes no audio parts"},
        {{.tools = &hosted, .tools_n = 1}, "tools[0]: ollama does not run 'web_search'"},
        {{.tools = &plain, .tools_n = 1, .tool_choice = MT_TOOLS_REQUIRED},
         "tool_choice: ollama cannot be made to call a tool"},
        {{.kind = MT_CHAT_COMPLETION}, "prompt: ollama takes one, 0 were given"},
    };

    for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
        struct mt_chat_request q = rows[i].q;
        q.arena = &f->arena;
        mt_check_row(rows[i].words, fixture_encode(f, CHAT, &q, "m") == MT_E_UNSUPPORTED);
        assert_string_equal(f->err.text, rows[i].words);
    }
}

static void foreign_requests_are_noted_where_they_lose(void **state)
{
    struct fixture *f = *state;
    struct mt_chat_extra extra = {.key = MT_STR_INIT("seed_words"), .raw = MT_STR_INIT("1")};
    struct mt_chat_request q = {
        .arena = &f->arena,
        .dialect = MT_DIALECT_OPENAI_CHAT,
        .effort = MT_EFFORT_MINIMAL,
        .user = MT_STR_INIT("u"),
        .parallel_tools = MT_NO,
        .extras = &extra,
        .extras_n = 1,
        .max_tokens = {true, 9},
    };

    assert_int_equal(fixture_encode(f, CHAT, &q, "m"), MT_OK);
    assert_string_equal(mt_buf_cstr(&f->out),
                        "{\"model\":\"m\",\"messages\":[],\"stream\":false,"
                        "\"think\":\"low\",\"options\":{\"num_predict\":9}}");
    const char *notes = mt_buf_cstr(&f->notes.text);
    assert_non_null(strstr(notes, "parallel_tool_calls"));
    assert_non_null(strstr(notes, "user"));
    assert_non_null(strstr(notes, "minimal"));
    assert_non_null(strstr(notes, "seed_words"));
}

static const struct mt_token_top tops[] = {{MT_STR_INIT("Hi"), -0.5f}};
static const struct mt_token_logprob probs[] = {{MT_STR_INIT("Hi"), -0.5f, -1, tops, 1}};
static const struct mt_chat_event story[] = {
    {.kind = MT_EVENT_START, .model = MT_STR_INIT("other")},
    {.kind = MT_EVENT_REASONING, .text = MT_STR_INIT("hm")},
    {.kind = MT_EVENT_SIGNATURE, .signature = MT_STR_INIT("sig")},
    {.kind = MT_EVENT_TEXT, .text = MT_STR_INIT("Hi"), .logprobs = probs, .logprobs_n = 1},
    {.kind = MT_EVENT_TOOL_CALL, .id = MT_STR_INIT("c1"), .name = MT_STR_INIT("get")},
    {.kind = MT_EVENT_TOOL_ARGS, .text = MT_STR_INIT("{\"a\":\n")},
    {.kind = MT_EVENT_TOOL_ARGS, .text = MT_STR_INIT("1}")},
    {.kind = MT_EVENT_TOOL_CALL,
     .tool = 1,
     .id = MT_STR_INIT("c2"),
     .name = MT_STR_INIT("put")},
    {.kind = MT_EVENT_PING},
    {.kind = MT_EVENT_FINISH, .finish = MT_FINISH_TOOL_CALLS},
    {.kind = MT_EVENT_USAGE,
     .usage =
         {.input_tokens = 5, .output_tokens = 3, .load_ns = 1, .prompt_ns = 2, .eval_ns = 3}},
    {.kind = MT_EVENT_END},
};

static void a_stream_is_written_line_by_line(void **state)
{
    static const char *const wanted = HEAD
        "\"message\":{\"role\":\"assistant\",\"content\":\"\",\"thinking\":\"hm\"},"
        "\"done\":false}\n" HEAD
        "\"message\":{\"role\":\"assistant\",\"content\":\"Hi\"},\"logprobs\":[{\"token\":"
        "\"Hi\",\"logprob\":-0.5,\"top_logprobs\":[{\"token\":\"Hi\",\"logprob\":-0.5}]}],"
        "\"done\":false}\n" HEAD
        "\"message\":{\"role\":\"assistant\",\"content\":\"\",\"tool_calls\":[{\"id\":\"c1\","
        "\"function\":{\"index\":0,\"name\":\"get\",\"arguments\":{\"a\": 1}}}]},"
        "\"done\":false}\n" HEAD
        "\"message\":{\"role\":\"assistant\",\"content\":\"\"},\"done\":false}\n" HEAD
        "\"message\":{\"role\":\"assistant\",\"content\":\"\",\"tool_calls\":[{\"id\":\"c2\","
        "\"function\":{\"index\":1,\"name\":\"put\",\"arguments\":{}}}]},"
        "\"done\":false}\n" HEAD
        "\"message\":{\"role\":\"assistant\",\"content\":\"\"},\"done_reason\":\"stop\","
        "\"done\":true,\"total_duration\":6,\"load_duration\":1,\"prompt_eval_count\":5,"
        "\"prompt_eval_duration\":2,\"eval_count\":3,\"eval_duration\":3}\n";

    assert_string_equal(fixture_encode_stream(*state, CHAT, &reply, story, MT_ARRAY_LEN(story)),
                        wanted);
}

static void generate_writes_response(void **state)
{
    static const struct mt_chat_event events[] = {
        {.kind = MT_EVENT_TEXT, .text = MT_STR_INIT("a\"b")},
        {.kind = MT_EVENT_FINISH, .finish = MT_FINISH_BUDGET},
        {.kind = MT_EVENT_END},
        {.kind = MT_EVENT_TEXT, .text = MT_STR_INIT("too late")},
    };

    assert_string_equal(
        fixture_encode_stream(*state, GENERATE, &reply, events, MT_ARRAY_LEN(events)),
        HEAD "\"response\":\"a\\\"b\",\"done\":false}\n" HEAD
             "\"response\":\"\",\"done_reason\":\"length\",\"done\":true,"
             "\"prompt_eval_count\":0,\"eval_count\":0}\n");
}

static void a_load_says_so(void **state)
{
    static const struct mt_chat_event events[] = {
        {.kind = MT_EVENT_FINISH, .finish = MT_FINISH_LOADED},
        {.kind = MT_EVENT_END},
    };

    assert_string_equal(
        fixture_encode_stream(*state, CHAT, &reply, events, MT_ARRAY_LEN(events)),
        HEAD "\"message\":{\"role\":\"assistant\",\"content\":\"\"},\"done_reason\":\"load\","
             "\"done\":true}\n");
}

static void an_error_is_the_last_line(void **state)
{
    static const struct mt_chat_error error = {.kind = MT_CHAT_ERR_UPSTREAM,
                                               .message = MT_STR_INIT("gone \"away\"")};
    static const struct mt_chat_event events[] = {
        {.kind = MT_EVENT_ERROR, .error = &error},
        {.kind = MT_EVENT_END},
    };
    struct fixture *f = *state;

    assert_string_equal(fixture_encode_stream(f, CHAT, &reply, events, MT_ARRAY_LEN(events)),
                        "{\"error\":\"gone \\\"away\\\"\"}\n");
    mt_buf_clear(&f->out);
    CHAT->encode_error(&error, &f->out);
    assert_string_equal(mt_buf_cstr(&f->out), "{\"error\":\"gone \\\"away\\\"\"}");
    assert_int_equal(CHAT->error_status(&error), 502);
}

/* What the official clients rely on: every line is JSON with model, a date, text and done; the
 * arguments of calls are objects; nothing follows the line that says done. */
static void every_line_pleases_the_official_client(void **state)
{
    struct fixture *f = *state;
    struct mt_str rest =
        mt_str_of(fixture_encode_stream(f, CHAT, &reply, story, MT_ARRAY_LEN(story)));
    bool is_done = false;

    while (rest.len > 0) {
        MT_CLEANUP(mt_buf_fini) struct mt_buf line = MT_BUF_INIT(65536);
        const struct mt_json *root = NULL;
        struct mt_str text = {0};
        assert_false(is_done);
        mt_buf_add(&line, mt_str_take(&rest, '\n'));
        assert_int_equal(mt_json_parse(f->doc, mt_buf_str(&line), &root, &f->err), MT_OK);
        const struct mt_json *message = mt_json_get(root, "message");
        assert_true(mt_json_is(mt_json_get(root, "model"), "llama3.2"));
        assert_true(mt_json_is(mt_json_get(message, "role"), "assistant"));
        assert_true(mt_json_str(mt_json_get(message, "content"), &f->arena, &text));
        assert_true(mt_json_str(mt_json_get(root, "created_at"), &f->arena, &text));
        assert_int_equal(text.len, strlen("2025-11-20T10:00:00.120000001Z"));
        assert_true(mt_json_bool(mt_json_get(root, "done"), &is_done));
        for (const struct mt_json *call = mt_json_first(mt_json_get(message, "tool_calls"));
             call != NULL; call = mt_json_next(call))
            assert_int_equal(
                mt_json_type(mt_json_get(mt_json_get(call, "function"), "arguments")),
                MT_JSON_OBJECT);
    }
    assert_true(is_done);
}

static void a_whole_answer_has_one_object(void **state)
{
    struct fixture *f = *state;
    struct mt_out_part parts[] = {
        {.kind = MT_OUT_REASONING, .text = MT_STR_INIT("hm")},
        {.kind = MT_OUT_TEXT, .text = MT_STR_INIT("Hi ")},
        {.kind = MT_OUT_TEXT, .text = MT_STR_INIT("there")},
        {.kind = MT_OUT_TOOL_CALL,
         .id = MT_STR_INIT("c"),
         .name = MT_STR_INIT("f"),
         .text = MT_STR_INIT("broken")},
    };
    struct mt_choice choice = {.parts = parts, .parts_n = 4, .finish = MT_FINISH_STOP};
    struct mt_chat_answer answer = {
        .choices = &choice, .choices_n = 1, .usage = {.input_tokens = 2, .output_tokens = 4}};

    CHAT->encode_answer(&reply, &answer, &f->out);
    assert_string_equal(
        mt_buf_cstr(&f->out),
        HEAD "\"message\":{\"role\":\"assistant\",\"content\":\"Hi there\",\"thinking\":\"hm\","
             "\"tool_calls\":[{\"id\":\"c\",\"function\":{\"index\":0,\"name\":\"f\","
             "\"arguments\":{}}}]},\"done_reason\":\"stop\",\"done\":true,"
             "\"prompt_eval_count\":2,\"eval_count\":4}");
}

static void streams_become_events_however_they_are_cut(void **state)
{
    static const struct {
        const char *bytes, *events;
    } rows[] = {
        {"{\"model\":\"m\",\"created_at\":\"t\",\"message\":{\"role\":\"assistant\","
         "\"content\":"
         "\"\",\"thinking\":\"hm\"},\"done\":false}\n"
         "{\"model\":\"m\",\"message\":{\"content\":\"Hé\\u00e9\"},\"logprobs\":[{\"token\":"
         "\"H\","
         "\"logprob\":-1,\"top_logprobs\":[{\"token\":\"H\",\"logprob\":-1}]}],\"done\":false}"
         "\n"
         "{\"model\":\"m\",\"message\":{\"content\":\"\"},\"done\":true,\"done_reason\":"
         "\"stop\","
         "\"prompt_eval_count\":4,\"eval_count\":2}\n",
         "START id= model=m | REASONING 0 hm | TEXT 0 Héé [H -1.00 top 1] | FINISH 0 stop | "
         "USAGE 4+2 c0 w0 r0 | END"},
        {"{\"model\":\"m\",\"created_at\":\"t\",\"message\":{\"content\":\"\",\"tool_calls\":["
         "{\"id\":\"x\",\"function\":{\"name\":\"f\",\"arguments\":{\"a\":1}}},"
         "{\"function\":{\"index\":0,\"name\":\"g\",\"arguments\":{}}}]},\"done\":false}\n"
         "{\"model\":\"m\",\"message\":{\"content\":\"\"},\"done\":true,\"done_reason\":"
         "\"stop\"}",
         "START id= model=m | CALL 0.0 x f | ARGS 0.0 {\"a\":1} | CALL 0.1 call_0e117574e4cd_1 "
         "g "
         "| ARGS 0.1 {} | FINISH 0 tool_calls | USAGE 0+0 c0 w0 r0 | END"},
        {"{\"model\":\"m\",\"response\":\"raw\",\"done\":false}\n"
         "{\"model\":\"m\",\"response\":\"\",\"done\":true,\"done_reason\":\"length\"}\n",
         "START id= model=m | TEXT 0 raw | FINISH 0 length | USAGE 0+0 c0 w0 r0 | END"},
        {"{\"model\":\"m\",\"message\":{\"content\":\"a\"},\"done\":false}\n"
         "{\"error\":\"out of memory\"}\n",
         "START id= model=m | TEXT 0 a | ERROR upstream_error: out of memory"},
        {"{\"model\":\"m\",\"message\":{\"content\":\"a\"},\"done\":false}\n",
         "START id= model=m | TEXT 0 a ! the answer ended before its last line"},
        {"", " ! the answer ended before its last line"},
        {"[]\n", " ! answer: expected an object, found array"},
    };

    for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++)
        assert_string_equal(fixture_stream_text(*state, CHAT, rows[i].bytes), rows[i].events);
}

static void broken_lines_are_the_upstreams_fault(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(fixture_decode_stream(f, CHAT, "{\"model\":\n", 99, fixture_log, &f->log),
                     MT_E_UPSTREAM);
    assert_int_equal(strncmp(f->err.text, "answer line: ", 13), 0);
}

static void whole_answers_become_events(void **state)
{
    struct fixture *f = *state;

    assert_string_equal(
        fixture_answer_text(f, CHAT,
                            "{\"model\":\"m\",\"message\":{\"content\":\"hi\"},\"done\":true,"
                            "\"done_reason\":\"load\",\"eval_count\":1}"),
        "START id= model=m | TEXT 0 hi | FINISH 0 loaded | USAGE 0+1 c0 w0 r0 | END");
    assert_string_equal(fixture_answer_text(f, CHAT, "{\"model\":\"m\"}"),
                        "START id= model=m ! answer: expected 'done' to be true");
}

static void what_we_write_we_can_read(void **state)
{
    struct fixture *f = *state;
    char bytes[4096];

    snprintf(bytes, sizeof bytes, "%s",
             fixture_encode_stream(f, CHAT, &reply, story, MT_ARRAY_LEN(story)));
    assert_string_equal(
        fixture_stream_text(f, CHAT, bytes),
        "START id= model=llama3.2 | REASONING 0 hm | TEXT 0 Hi [Hi -0.50 top 1] | CALL 0.0 c1 "
        "get | ARGS 0.0 {\"a\": 1} | CALL 0.1 c2 put | ARGS 0.1 {} | FINISH 0 tool_calls | "
        "USAGE "
        "5+3 c0 w0 r0 | END");
}

static void the_fast_lane_peeks_and_forwards(void **state)
{
    struct fixture *f = *state;
    struct mt_chat_peek peek = {0};
    static const char body[] = "{\"messages\":[{\"content\":\"x\"}],\"model\":\"a\", "
                               "\"motet\":{},\"options\":{\"num_predict\":5}}";
    const struct mt_json *root = fixture_json(f, body);

    assert_int_equal(CHAT->peek(root, NULL, &f->arena, &peek, &f->err), MT_OK);
    assert_true(mt_str_is(peek.model, "a") && peek.stream && peek.max_tokens.value == 5);
    CHAT->forward_body(root, mt_buf_str(&f->text), MT_STR("b\"c"), &f->out);
    assert_string_equal(mt_buf_cstr(&f->out),
                        "{\"messages\":[{\"content\":\"x\"}],\"model\":\"b\\\"c\","
                        "\"options\":{\"num_predict\":5}}");
    GENERATE->forward_path(&peek, MT_STR("m"), &f->path);
    assert_string_equal(mt_buf_cstr(&f->path), "/api/generate");
}

static void the_meter_reads_the_last_line(void **state)
{
    static const char *const lines[] = {
        "{\"message\":{\"content\":\"\"},\"done\":false}",
        "{\"message\":{\"content\":\"a\"},\"done\":false}",
        "{\"response\":\"b\",\"done\":false}",
        "{\"message\":{\"content\":\"\"},\"done\":true,\"prompt_eval_count\":3,\"eval_count\":"
        "2}",
    };
    struct fixture *f = *state;
    struct mt_chat_meter meter = {0};
    struct mt_chat_scratch scratch = {f->frame_doc, &f->frame_arena};

    for (size_t i = 0; i < MT_ARRAY_LEN(lines); i++) {
        mt_buf_clear(&f->text);
        mt_buf_add_cstr(&f->text, lines[i]);
        struct mt_frame frame = {.data = mt_buf_str(&f->text), .raw = mt_buf_str(&f->text)};
        assert_int_equal(CHAT->meter_frame(&meter, &frame, false, &scratch), MT_METER_FORWARD);
        assert_int_equal(meter.has_content, i >= 1);
    }
    assert_int_equal(meter.deltas_n, 2);
    assert_true(meter.has_usage && meter.is_finished && !meter.has_error);
    assert_true(meter.usage.input_tokens == 3 && meter.usage.output_tokens == 2);
}

static void decoding_survives_any_oom(void **state)
{
    struct fixture *f = *state;
    const struct mt_json *root = fixture_json(f, bodies[1]);

    for (long nth = 0;; nth++) {
        struct mt_arena arena = MT_ARENA_INIT(1 << 20);
        struct mt_chat_request q = {.arena = &arena};
        struct mt_chat_route route = {0};
        mt_alloc_fail_after = nth;
        mt_rc rc = CHAT->decode_request(root, &route, &q, &f->err);
        mt_alloc_fail_after = -1;
        mt_arena_fini(&arena);
        if (rc == MT_OK) {
            assert_true(nth > 0);
            break;
        }
        assert_int_equal(rc, MT_E_NOMEM);
    }
}

/* Text that could not be unescaped fails the stream: it is never left out. */
static void a_stream_survives_any_oom(void **state)
{
    static const char bytes[] =
        "{\"message\":{\"content\":\"a\\nb\",\"thinking\":\"c\\n\",\"tool_calls\":[{"
        "\"function\":{"
        "\"name\":\"f\"}}]},\"done\":true,\"logprobs\":[{\"token\":\"a\"}]}\n";
    struct fixture *f = *state;
    char wanted[1024];

    snprintf(wanted, sizeof wanted, "%s", fixture_stream_text(f, CHAT, bytes));
    for (long nth = 0;; nth++) {
        mt_arena_fini(&f->arena);
        mt_arena_fini(&f->frame_arena);
        mt_buf_clear(&f->log);
        mt_alloc_fail_after = nth;
        mt_rc rc = fixture_decode_stream(f, CHAT, bytes, 1 << 20, fixture_log, &f->log);
        mt_alloc_fail_after = -1;
        if (rc == MT_OK) {
            assert_true(nth > 1);
            assert_string_equal(mt_buf_cstr(&f->log), wanted);
            break;
        }
        assert_int_equal(rc, MT_E_NOMEM);
    }
}

static void encoding_survives_any_oom(void **state)
{
    (void)state;
    for (long nth = 0;; nth++) {
        struct mt_arena arena = MT_ARENA_INIT(1 << 20);
        struct mt_buf out = MT_BUF_INIT(1 << 20);
        void *encoder = NULL;
        mt_alloc_fail_after = nth;
        mt_rc rc = CHAT->encoder_new(&reply, &arena, &encoder, NULL);
        for (size_t i = 0; rc == MT_OK && i < MT_ARRAY_LEN(story); i++)
            CHAT->encode_event(encoder, &story[i], &out);
        mt_alloc_fail_after = -1;
        if (rc == MT_OK)
            rc = out.rc;
        mt_arena_fini(&arena);
        mt_buf_fini(&out);
        if (rc == MT_OK) {
            assert_true(nth > 1);
            break;
        }
        assert_int_equal(rc, MT_E_NOMEM);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        T(settings_are_read),
        T(streaming_is_the_default),
        T(keep_alive_takes_durations_and_numbers),
        T(an_empty_question_loads),
        T(results_without_ids_find_their_calls),
        T(generate_is_a_conversation_unless_raw),
        T(bad_bodies_name_the_place),
        T(requests_survive_a_round_trip),
        T(what_ollama_cannot_carry_is_refused_by_name),
        T(foreign_requests_are_noted_where_they_lose),
        T(a_stream_is_written_line_by_line),
        T(generate_writes_response),
        T(a_load_says_so),
        T(an_error_is_the_last_line),
        T(every_line_pleases_the_official_client),
        T(a_whole_answer_has_one_object),
        T(streams_become_events_however_they_are_cut),
        T(broken_lines_are_the_upstreams_fault),
        T(whole_answers_become_events),
        T(what_we_write_we_can_read),
        T(the_fast_lane_peeks_and_forwards),
        T(the_meter_reads_the_last_line),
        T(decoding_survives_any_oom),
        T(a_stream_survives_any_oom),
        T(encoding_survives_any_oom),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
