/* SPDX-License-Identifier: Apache-2.0 */
/* OpenAI chat completions: requests read and written, streams both ways, the fast lane. */
#include "chat_fixture.h"

#include "chat/collect.h"

#define CHAT (&mt_codec_openai_chat)

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

/* --- requests --- */

static const char rich_body[] =
    "{\"model\":\"m\",\"messages\":["
    "{\"role\":\"developer\",\"content\":\"be brief\"},"
    "{\"role\":\"user\",\"name\":\"ann\",\"content\":[{\"type\":\"text\",\"text\":\"look\"},"
    "{\"type\":\"image_url\",\"image_url\":{\"url\":\"data:image/png;base64,iVBORw\","
    "\"detail\":\"low\"}},{\"type\":\"image_url\",\"image_url\":{\"url\":\"https://a/b\"}},"
    "{\"type\":\"input_audio\",\"input_audio\":{\"data\":\"UklG\",\"format\":\"mp3\"}},"
    "{\"type\":\"file\",\"file\":{\"filename\":\"a.pdf\",\"file_data\":"
    "\"data:application/pdf;base64,JVBE\"}}]},"
    "{\"role\":\"assistant\",\"content\":null,\"refusal\":null,\"tool_calls\":[{\"id\":\"c1\","
    "\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{\\\"a\\\":1}\"}}]},"
    "{\"role\":\"tool\",\"tool_call_id\":\"c1\",\"content\":\"42\"},"
    "{\"role\":\"assistant\",\"reasoning_content\":\"hm\",\"content\":\"so\"},"
    "{\"role\":\"user\",\"content\":\"go on\"}],"
    "\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"description\":\"d\","
    "\"parameters\":{\"type\":\"object\"},\"strict\":true}}],"
    "\"tool_choice\":{\"type\":\"function\",\"function\":{\"name\":\"f\"}},"
    "\"parallel_tool_calls\":false,\"response_format\":{\"type\":\"json_schema\","
    "\"json_schema\":{\"name\":\"s\",\"schema\":{\"type\":\"object\"},\"strict\":true}},"
    "\"temperature\":0.5,\"top_p\":0.9,\"frequency_penalty\":-1,\"presence_penalty\":1,"
    "\"seed\":7,\"stop\":[\"x\",\"y\"],\"logit_bias\":{\"5\":-100},\"n\":2,\"logprobs\":true,"
    "\"top_logprobs\":3,\"max_completion_tokens\":99,\"reasoning_effort\":\"high\","
    "\"stream\":true,\"stream_options\":{\"include_usage\":true},\"user\":\"u\","
    "\"metadata\":{\"k\":\"v\"},\"service_tier\":\"auto\",\"store\":true,\"top_k\":40,"
    "\"motet\":{\"max_cost\":1},\"verbosity\":\"low\"}";

static void a_rich_request_is_read(void **state)
{
    struct fixture *f = *state;
    struct mt_chat_request q;

    assert_int_equal(fixture_decode(f, CHAT, rich_body, &q), MT_OK);
    assert_int_equal(q.messages_n, 6);
    assert_int_equal(q.messages[0].role, MT_ROLE_DEVELOPER);
    assert_true(mt_str_is(q.messages[1].name, "ann"));
    assert_int_equal(q.messages[1].parts_n, 5);
    const struct mt_chat_part *parts = q.messages[1].parts;
    assert_true(mt_str_is(parts[1].media.mime, "image/png"));
    assert_true(mt_str_is(parts[1].media.base64, "iVBORw"));
    assert_true(mt_str_is(parts[1].media.detail, "low"));
    assert_true(mt_str_is(parts[2].media.url, "https://a/b"));
    assert_true(mt_str_is(parts[3].media.mime, "audio/mpeg"));
    assert_true(mt_str_is(parts[4].media.name, "a.pdf"));
    assert_true(mt_str_is(q.messages[2].parts[0].json, "{\"a\":1}"));
    assert_int_equal(q.messages[3].parts[0].kind, MT_PART_TOOL_RESULT);
    assert_true(mt_str_is(q.messages[3].parts[0].name, "f"));
    assert_int_equal(q.messages[4].parts[0].kind, MT_PART_REASONING);
    assert_int_equal(q.tool_choice, MT_TOOLS_NAMED);
    assert_int_equal(q.format, MT_FORMAT_SCHEMA);
    assert_true(mt_str_is(q.schema_json, "{\"type\":\"object\"}"));
    assert_int_equal(q.max_tokens.value, 99);
    assert_int_equal(q.effort, MT_EFFORT_HIGH);
    assert_int_equal(q.n, 2);
    assert_int_equal(q.top_logprobs, 3);
    assert_int_equal(q.sampling.stop_n, 2);
    assert_true(q.stream && q.stream_usage);
    assert_true(mt_str_is(q.motet_json, "{\"max_cost\":1}"));
    assert_int_equal(q.extras_n, 1);
    assert_true(mt_str_is(q.extras[0].key, "verbosity"));
}

static const char rich_upstream[] =
    "{\"model\":\"up\",\"stream\":true,\"stream_options\":{\"include_usage\":true},"
    "\"temperature\":0.5,\"top_p\":0.9,\"frequency_penalty\":-1,\"presence_penalty\":1,"
    "\"seed\":7,\"logit_bias\":{\"5\":-100},\"stop\":[\"x\",\"y\"],\"n\":2,\"top_k\":40,"
    "\"user\":\"u\",\"metadata\":{\"k\":\"v\"},\"service_tier\":\"auto\",\"messages\":["
    "{\"role\":\"system\",\"content\":\"be brief\"},"
    "{\"role\":\"user\",\"name\":\"ann\",\"content\":[{\"type\":\"text\",\"text\":\"look\"},"
    "{\"type\":\"image_url\",\"image_url\":{\"url\":\"data:image/png;base64,iVBORw\","
    "\"detail\":\"low\"}},{\"type\":\"image_url\",\"image_url\":{\"url\":\"https://a/b\"}},"
    "{\"type\":\"input_audio\",\"input_audio\":{\"data\":\"UklG\",\"format\":\"mp3\"}},"
    "{\"type\":\"file\",\"file\":{\"filename\":\"a.pdf\",\"file_data\":"
    "\"data:application/pdf;base64,JVBE\"}}]},"
    "{\"role\":\"assistant\",\"tool_calls\":[{\"id\":\"c1\","
    "\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{\\\"a\\\":1}\"}}]},"
    "{\"role\":\"tool\",\"tool_call_id\":\"c1\",\"content\":\"42\"},"
    "{\"role\":\"assistant\",\"content\":\"so\"},"
    "{\"role\":\"user\",\"content\":\"go on\"}],"
    "\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"description\":\"d\","
    "\"parameters\":{\"type\":\"object\"},\"strict\":true}}],"
    "\"tool_choice\":{\"type\":\"function\",\"function\":{\"name\":\"f\"}},"
    "\"parallel_tool_calls\":false,\"response_format\":{\"type\":\"json_schema\","
    "\"json_schema\":{\"name\":\"s\",\"schema\":{\"type\":\"object\"},\"strict\":true}},"
    "\"reasoning_effort\":\"high\",\"max_tokens\":99,\"logprobs\":true,\"top_logprobs\":3,"
    "\"store\":true,\"verbosity\":\"low\"}";

static void a_rich_request_is_written_for_an_endpoint(void **state)
{
    struct fixture *f = *state;
    struct mt_chat_request q;

    assert_int_equal(fixture_decode(f, CHAT, rich_body, &q), MT_OK);
    assert_int_equal(fixture_encode(f, CHAT, &q, "up"), MT_OK);
    assert_string_equal(mt_buf_cstr(&f->out), rich_upstream);
    assert_string_equal(mt_buf_cstr(&f->path), "/v1/chat/completions");
    assert_string_equal(mt_buf_cstr(&f->notes.text),
                        "reasoning of earlier turns: not carried to openai");
}

static void what_was_written_reads_back_the_same(void **state)
{
    struct fixture *f = *state;
    struct mt_chat_request q;
    char *again = NULL;

    assert_int_equal(fixture_decode(f, CHAT, rich_upstream, &q), MT_OK);
    assert_int_equal(fixture_encode(f, CHAT, &q, "up"), MT_OK);
    assert_string_equal(mt_buf_cstr(&f->out), rich_upstream);
    again = mt_alloc_cstr(mt_buf_str(&f->out));
    assert_non_null(again);
    assert_int_equal(fixture_decode(f, CHAT, again, &q), MT_OK);
    assert_int_equal(fixture_encode(f, CHAT, &q, "up"), MT_OK);
    assert_string_equal(mt_buf_cstr(&f->out), again);
    mt_free(again);
}

static void bodies_of_many_clients_are_understood(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *in, *out; /* out: what stands behind the model */
    } rows[] = {
        /* legacy functions */
        {"{\"messages\":[{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"assistant\","
         "\"content\":null,\"function_call\":{\"name\":\"f\",\"arguments\":\"{}\"}},"
         "{\"role\":\"function\",\"name\":\"f\",\"content\":\"1\"}],\"functions\":[{\"name\":"
         "\"f\",\"parameters\":{}}],\"function_call\":{\"name\":\"f\"}}",
         ",\"messages\":[{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"assistant\","
         "\"tool_calls\":[{\"id\":\"call_0\",\"type\":\"function\",\"function\":{\"name\":"
         "\"f\",\"arguments\":\"{}\"}}]},{\"role\":\"tool\",\"tool_call_id\":\"call_0\","
         "\"content\":\"1\"}],\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\","
         "\"parameters\":{}}}],\"tool_choice\":{\"type\":\"function\",\"function\":{\"name\":"
         "\"f\"}}}"},
        /* nulls of clients that send every field */
        {"{\"messages\":[{\"role\":\"user\",\"content\":\"a\",\"name\":null}],\"tools\":null,"
         "\"stop\":null,\"temperature\":null,\"max_tokens\":null,\"stream\":false,"
         "\"stream_options\":null,\"response_format\":null,\"tool_choice\":null,\"user\":null}",
         ",\"messages\":[{\"role\":\"user\",\"content\":\"a\"}]}"},
        {"{\"messages\":[{\"role\":\"user\",\"content\":\"a\"}],\"max_tokens\":-1,\"stop\":"
         "\"z\","
         "\"tool_choice\":\"none\",\"modalities\":[\"text\"],\"response_format\":{\"type\":"
         "\"json_object\"}}",
         ",\"stop\":[\"z\"],\"messages\":[{\"role\":\"user\",\"content\":\"a\"}],"
         "\"response_format\":{\"type\":\"json_object\"}}"},
        {"{\"messages\":[{\"role\":\"user\",\"content\":[]},{\"role\":\"assistant\","
         "\"content\":[{\"type\":\"refusal\",\"refusal\":\"no\"}]}],\"reasoning\":{"
         "\"effort\":\"low\",\"exclude\":true},\"max_tokens\":5,\"tools\":[{\"type\":"
         "\"web_search\",\"x\":1}]}",
         ",\"messages\":[{\"role\":\"user\",\"content\":\"\"},{\"role\":\"assistant\","
         "\"refusal\":\"no\"}],\"tools\":[{\"type\":\"web_search\",\"x\":1}],"
         "\"reasoning_effort\":\"low\",\"max_tokens\":5}"},
    };

    for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
        struct mt_chat_request q;
        assert_int_equal(fixture_decode(f, CHAT, rows[i].in, &q), MT_OK);
        assert_int_equal(fixture_encode(f, CHAT, &q, "up"), MT_OK);
        assert_string_equal(mt_buf_cstr(&f->out) + strlen("{\"model\":\"up\""), rows[i].out);
    }
}

static void reasoning_models_are_told_their_own_limit(void **state)
{
    struct fixture *f = *state;
    static const char *const models[] = {"gpt-5-mini", "openai/o3", "o1"};
    static const char *const others[] = {"gpt-4o", "olmo", "qwen/qwq"};
    struct mt_chat_request q;

    assert_int_equal(fixture_decode(f, CHAT,
                                    "{\"messages\":[{\"role\":\"user\",\"content\":\"a\"}],"
                                    "\"max_tokens\":5}",
                                    &q),
                     MT_OK);
    for (size_t i = 0; i < MT_ARRAY_LEN(models); i++) {
        assert_int_equal(fixture_encode(f, CHAT, &q, models[i]), MT_OK);
        mt_check_row(models[i], strstr(mt_buf_cstr(&f->out), "max_completion_tokens") != NULL);
        assert_int_equal(fixture_encode(f, CHAT, &q, others[i]), MT_OK);
        mt_check_row(others[i], strstr(mt_buf_cstr(&f->out), "max_completion_tokens") == NULL);
    }
}

#define USER "{\"role\":\"user\",\"content\":\"a\"}"

static void bad_bodies_name_their_place(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *in, *error;
        mt_rc rc;
    } rows[] = {
        {"[]", "body: expected an object, found an array", MT_E_INVALID},
        {"{}", "messages: expected an array, found nothing", MT_E_INVALID},
        {"{\"messages\":[]}", "messages: expected 1 to 16384 messages, found 0", MT_E_INVALID},
        {"{\"messages\":{}}", "messages: expected an array, found an object", MT_E_INVALID},
        {"{\"messages\":[1]}", "messages[0]: expected an object, found a number", MT_E_INVALID},
        {"{\"messages\":[{}]}", "messages[0].role: expected a string, found nothing",
         MT_E_INVALID},
        {"{\"messages\":[{\"role\":\"king\"}]}",
         "messages[0].role: expected system, developer, user, assistant or tool, found "
         "\"king\"",
         MT_E_INVALID},
        {"{\"messages\":[" USER ",{\"role\":\"user\",\"content\":5}]}",
         "messages[1].content: expected a string or an array of parts, found a number",
         MT_E_INVALID},
        {"{\"messages\":[{\"role\":\"user\"}]}",
         "messages[0].content: expected a string or an array of parts, found nothing",
         MT_E_INVALID},
        {"{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\"}]}]}",
         "messages[0].content[0].text: expected a string, found nothing", MT_E_INVALID},
        {"{\"messages\":[{\"role\":\"user\",\"content\":[7]}]}",
         "messages[0].content[0]: expected an object, found a number", MT_E_INVALID},
        {"{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"video_url\"}]}]}",
         "messages[0].content[0].type: content of type \"video_url\" is not understood",
         MT_E_UNSUPPORTED},
        {"{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"image_url\",\"image_url\":"
         "{}}]}]}",
         "messages[0].content[0].image_url.url: expected a string, found nothing",
         MT_E_INVALID},
        {"{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"input_audio\"}]}]}",
         "messages[0].content[0].input_audio: expected an object, found nothing", MT_E_INVALID},
        {"{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"file\",\"file\":{}}]}]}",
         "messages[0].content[0].file.file_data: expected a data URL, found nothing",
         MT_E_INVALID},
        {"{\"messages\":[{\"role\":\"tool\",\"content\":\"x\"}]}",
         "messages[0].tool_call_id: expected a string, found nothing", MT_E_INVALID},
        {"{\"messages\":[{\"role\":\"assistant\",\"tool_calls\":[{\"id\":\"a\",\"function\":{"
         "\"name\":3}}]}]}",
         "messages[0].tool_calls[0].function.name: expected a string, found a number",
         MT_E_INVALID},
        {"{\"messages\":[{\"role\":\"assistant\",\"tool_calls\":[{\"id\":\"a\",\"type\":"
         "\"custom\"}]}]}",
         "messages[0].tool_calls[0].type: tool calls of type \"custom\" are not understood",
         MT_E_UNSUPPORTED},
        {"{\"messages\":[" USER "],\"tools\":{}}", "tools: expected an array, found an object",
         MT_E_INVALID},
        {"{\"messages\":[" USER "],\"tools\":[{\"type\":\"function\"}]}",
         "tools[0].function: expected an object, found nothing", MT_E_INVALID},
        {"{\"messages\":[" USER "],\"tools\":[{\"type\":\"custom\"}]}",
         "tools[0].type: custom tools are not understood", MT_E_UNSUPPORTED},
        {"{\"messages\":[" USER "],\"tools\":[{\"type\":\"function\",\"function\":{\"name\":"
         "\"f\",\"parameters\":[]}}]}",
         "tools[0].function.parameters: expected an object, found an array", MT_E_INVALID},
        {"{\"messages\":[" USER "],\"tool_choice\":\"maybe\"}",
         "tool_choice: expected \"auto\", \"none\", \"required\" or a named function, found a "
         "string",
         MT_E_INVALID},
        {"{\"messages\":[" USER "],\"temperature\":3}",
         "temperature: expected a number between 0 and 2, found 3", MT_E_INVALID},
        {"{\"messages\":[" USER "],\"n\":0}",
         "n: expected an integer between 1 and 16, found 0", MT_E_INVALID},
        {"{\"messages\":[" USER "],\"stop\":[1]}", "stop[0]: expected a string, found a number",
         MT_E_INVALID},
        {"{\"messages\":[" USER "],\"stream\":\"yes\"}",
         "stream: expected a boolean, found a string", MT_E_INVALID},
        {"{\"messages\":[" USER "],\"stream_options\":{\"include_usage\":1}}",
         "stream_options.include_usage: expected a boolean, found a number", MT_E_INVALID},
        {"{\"messages\":[" USER "],\"response_format\":{\"type\":\"xml\"}}",
         "response_format.type: expected \"text\", \"json_object\" or \"json_schema\", found a "
         "string",
         MT_E_INVALID},
        {"{\"messages\":[" USER "],\"response_format\":{\"type\":\"json_schema\"}}",
         "response_format.json_schema: expected an object, found nothing", MT_E_INVALID},
        {"{\"messages\":[" USER "],\"reasoning_effort\":\"huge\"}",
         "reasoning_effort: expected none, minimal, low, medium, high or xhigh, found 'huge'",
         MT_E_INVALID},
        {"{\"messages\":[" USER "],\"modalities\":[\"text\",\"audio\"]}",
         "modalities: only answers of text can be asked for", MT_E_UNSUPPORTED},
        {"{\"messages\":[" USER "],\"max_tokens\":0}",
         "max_tokens: expected an integer between 1 and 2147483647, found 0", MT_E_INVALID},
        {"{\"model\":{},\"messages\":[" USER "]}", "model: expected a string, found an object",
         MT_E_INVALID},
        {"{\"mod\\u0065l\":\"x\",\"messages\":[" USER "]}",
         "mod\\u0065l: expected a field name without escapes", MT_E_INVALID},
    };

    for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
        struct mt_chat_request q;
        f->err.text[0] = '\0';
        mt_rc rc = fixture_decode(f, CHAT, rows[i].in, &q);
        assert_string_equal(f->err.text, rows[i].error);
        mt_check_row(rows[i].in, rc == rows[i].rc);
    }
}

static void other_dialects_parts_find_a_place_or_are_refused(void **state)
{
    struct fixture *f = *state;
    struct mt_chat_part inner[] = {
        {.kind = MT_PART_TEXT, .text = MT_STR("shot")},
        {.kind = MT_PART_IMAGE, .media = {.base64 = MT_STR("/9j/")}},
    };
    struct mt_chat_part calls[] = {
        {.kind = MT_PART_REASONING, .is_redacted = true, .signature = MT_STR("s")},
        {.kind = MT_PART_TOOL_CALL, .name = MT_STR("f"), .signature = MT_STR("s")},
    };
    struct mt_chat_part parts[] = {
        {.kind = MT_PART_TOOL_RESULT, .is_error = true, .parts = inner, .parts_n = 2},
        {.kind = MT_PART_TEXT, .text = MT_STR("now"), .cache_control = MT_STR("{}")},
    };
    struct mt_chat_message messages[] = {
        {.role = MT_ROLE_ASSISTANT, .parts = calls, .parts_n = 2},
        {.role = MT_ROLE_USER, .parts = parts, .parts_n = 2},
    };
    struct mt_chat_tool tool = {.hosted_type = MT_STR("web_search"), .raw = MT_STR("{}")};
    struct mt_chat_request q = {.arena = &f->arena,
                                .dialect = MT_DIALECT_ANTHROPIC,
                                .messages = messages,
                                .messages_n = 2,
                                .sampling.top_k = {true, 5},
                                .reasoning_budget = {true, 2000}};

    assert_int_equal(fixture_encode(f, CHAT, &q, "m"), MT_OK);
    assert_string_equal(
        mt_buf_cstr(&f->out),
        "{\"model\":\"m\",\"messages\":[{\"role\":\"assistant\",\"tool_calls\":[{\"id\":"
        "\"call_0\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}]}"
        ","
        "{\"role\":\"tool\",\"tool_call_id\":\"call_0\",\"content\":\"shot\"},{\"role\":"
        "\"user\",\"content\":[{\"type\":\"image_url\",\"image_url\":{\"url\":"
        "\"data:image/jpeg;base64,/9j/\"}},{\"type\":\"text\",\"text\":\"now\"}]}],"
        "\"reasoning_effort\":\"low\"}");
    assert_string_equal(
        mt_buf_cstr(&f->notes.text),
        "top_k: not carried to openai; reasoning of earlier turns: not carried "
        "to openai; signature of a tool call: not carried to openai; mark of "
        "failed tool results: not carried to openai; media of tool results: sent "
        "in a user message; cache_control: not carried to openai; budget of "
        "reasoning tokens: sent as an effort to openai");
    q.tools = &tool;
    q.tools_n = 1;
    assert_int_equal(fixture_encode(f, CHAT, &q, "m"), MT_E_UNSUPPORTED);
    assert_string_equal(f->err.text,
                        "tools[0]: the hosted tool 'web_search' cannot be sent to openai");
    q.tools_n = 0;
    inner[1].media.base64 = (struct mt_str){NULL, 0};
    inner[1].media.file_id = MT_STR("file-1");
    assert_int_equal(fixture_encode(f, CHAT, &q, "m"), MT_E_UNSUPPORTED);
    assert_string_equal(f->err.text,
                        "messages[1]: an image by its file id cannot be sent to openai");
}

static void prompts_become_what_a_user_says(void **state)
{
    struct fixture *f = *state;
    struct mt_str prompts[] = {MT_STR("once"), MT_STR("twice")};
    struct mt_chat_request q = {.arena = &f->arena,
                                .dialect = MT_DIALECT_OPENAI_COMPLETIONS,
                                .kind = MT_CHAT_COMPLETION,
                                .prompts = prompts,
                                .prompts_n = 1};

    assert_int_equal(fixture_encode(f, CHAT, &q, "m"), MT_OK);
    assert_string_equal(mt_buf_cstr(&f->out), "{\"model\":\"m\",\"messages\":[{\"role\":"
                                              "\"user\",\"content\":\"once\"}]}");
    q.prompts_n = 2;
    assert_int_equal(fixture_encode(f, CHAT, &q, "m"), MT_E_UNSUPPORTED);
    q.prompts_n = 1;
    q.suffix = MT_STR("end");
    assert_int_equal(fixture_encode(f, CHAT, &q, "m"), MT_E_UNSUPPORTED);
}

/* --- an endpoint's answers --- */

#define D(delta)                                                                              \
    "data: {\"id\":\"x\",\"object\":\"chat.completion.chunk\",\"model\":\"m\",\"choices\":[{" \
    "\"index\":0,\"delta\":" delta ",\"finish_reason\":null}]}\n\n"
#define F(reason)                                                                             \
    "data: "                                                                                  \
    "{\"id\":\"x\",\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":" \
    "\"" reason "\"}]}\n\n"
#define T(call) D("{\"tool_calls\":[" call "]}")
#define DONE    "data: [DONE]\n\n"

static const struct stream_row {
    const char *in, *out;
} stream_rows[] = {
    {D("{\"role\":\"assistant\",\"content\":\"\"}") D("{\"content\":\"Hel\"}")
         D("{\"content\":\"lo\"}") F(
             "stop") "data: {\"id\":\"x\",\"choices\":[],\"usage\":{\"prompt_tokens\":5,"
                     "\"completion_tokens\":2,\"prompt_tokens_details\":{\"cached_tokens\":3},"
                     "\"completion_tokens_details\":{\"reasoning_tokens\":1}}}\n\n" DONE,
     "START id=x model=m | TEXT 0 Hel | TEXT 0 lo | FINISH 0 stop | USAGE 5+2 c3 w0 r1 | END"},
    /* comments, empty events, obfuscation, Azure's opening chunk, usage: null, [DONE] missing
     */
    {": hi\n\ndata: {\"choices\":[],\"id\":\"\",\"prompt_filter_results\":[]}\n\n"
     "data:{\"id\":\"x\",\"model\":\"m\",\"obfuscation\":\"abc\",\"usage\":null,\"choices\":[{"
     "\"index\":0,\"delta\":{\"content\":\"a\"},\"finish_reason\":\"length\"}]}\r\n\r\n",
     "START id=x model=m | TEXT 0 a | FINISH 0 length | END"},
    /* cut short */
    {D("{\"content\":\"a\"}"), "START id=x model=m | TEXT 0 a ! stream: cut short"},
    {"", " ! stream: cut short"},
    {DONE, " ! stream: ended before it began"},
    /* no finish reason before the end mark */
    {D("{\"content\":\"a\"}") DONE, "START id=x model=m | TEXT 0 a | FINISH 0 unknown | END"},
    /* reasoning of DeepSeek, OpenRouter and Mistral */
    {D("{\"reasoning_content\":\"r\",\"content\":null}") D("{\"reasoning\":\"s\"}")
         D("{\"content\":[{\"type\":\"thinking\",\"thinking\":[{\"type\":\"text\",\"text\":"
           "\"t\"}]},{\"type\":\"text\",\"text\":\"u\"}]}") F("stop") DONE,
     "START id=x model=m | REASONING 0 r | REASONING 0 s | REASONING 0 t | TEXT 0 u | FINISH 0 "
     "stop | END"},
    {D("{\"refusal\":\"no\"}") F("content_filter") DONE,
     "START id=x model=m | REFUSAL 0 no | FINISH 0 filter | END"},
    /* tool calls by the book */
    {T("{\"index\":0,\"id\":\"a\",\"type\":\"function\",\"function\":{\"name\":\"f\","
       "\"arguments\":\"\"}}") T("{\"index\":0,\"function\":{\"arguments\":\"{\\\"x\\\"\"}}")
         T("{\"index\":0,\"function\":{\"arguments\":\":1}\"}}")
             T("{\"index\":1,\"id\":\"b\",\"function\":{\"name\":\"g\",\"arguments\":\"{}\"}}")
                 F("tool_calls") DONE,
     "START id=x model=m | CALL 0.0 a f | ARGS 0.0 {\"x\" | ARGS 0.0 :1} | CALL 0.1 b g | ARGS "
     "0.1 {} | FINISH 0 tool_calls | END"},
    /* index 0 repeated (Ollama), "stop" said */
    {T("{\"index\":0,\"id\":\"a\",\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}")
         T("{\"index\":0,\"id\":\"b\",\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}")
             F("stop") DONE,
     "START id=x model=m | CALL 0.0 a f | ARGS 0.0 {} | CALL 0.1 b f | ARGS 0.1 {} | FINISH 0 "
     "tool_calls | END"},
    /* index omitted, id repeated in each fragment */
    {T("{\"id\":\"a\",\"function\":{\"name\":\"f\",\"arguments\":\"{\"}}")
         T("{\"id\":\"a\",\"function\":{\"name\":\"f\",\"arguments\":\"}\"}}")
             T("{\"id\":\"b\",\"function\":{\"name\":\"g\",\"arguments\":\"{\"}}")
                 T("{\"function\":{\"arguments\":\"}\"}}") F("tool_calls") DONE,
     "START id=x model=m | CALL 0.0 a f | ARGS 0.0 { | ARGS 0.0 } | CALL 0.1 b g | ARGS 0.1 { "
     "| "
     "ARGS 0.1 } | FINISH 0 tool_calls | END"},
    /* index starts at 1; a new id per fragment; arguments as an object */
    {T("{\"index\":1,\"id\":\"a\",\"function\":{\"name\":\"f\",\"arguments\":\"{\"}}")
         T("{\"index\":1,\"id\":\"zz\",\"function\":{\"name\":null,\"arguments\":\"}\"}}") T(
             "{\"index\":2,\"id\":\"b\",\"function\":{\"name\":\"g\",\"arguments\":{\"y\":2}}}")
             F("tool_calls") DONE,
     "START id=x model=m | CALL 0.0 a f | ARGS 0.0 { | ARGS 0.0 } | CALL 0.1 b g | ARGS 0.1 "
     "{\"y\":2} | FINISH 0 tool_calls | END"},
    /* a call that goes on too late, a call without a name */
    {T("{\"index\":0,\"id\":\"a\",\"function\":{\"name\":\"f\"}}")
         T("{\"index\":1,\"id\":\"b\",\"function\":{\"name\":\"g\"}}")
             T("{\"index\":0,\"function\":{\"arguments\":\"{}\"}}"),
     "START id=x model=m | CALL 0.0 a f | CALL 0.1 b g ! tool_calls: a call goes on after the "
     "next one began"},
    {T("{\"index\":0,\"id\":\"a\",\"function\":{}}"),
     "START id=x model=m ! tool_calls: a call without a name"},
    /* two choices */
    {"data: "
     "{\"id\":\"x\",\"model\":\"m\",\"choices\":[{\"index\":1,\"delta\":{\"content\":\"b\"}"
     ",\"finish_reason\":\"stop\",\"stop_reason\":\"END\"},{\"index\":0,\"delta\":{\"content\":"
     "\"a\"},\"finish_reason\":\"stop\"}]}\n\n" DONE,
     "START id=x model=m | TEXT 1 b | FINISH 1 stop stop=END | TEXT 0 a | FINISH 0 stop | END"},
    /* logprobs: bytes are the token */
    {"data: "
     "{\"id\":\"x\",\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"}"
     ",\"logprobs\":{\"content\":[{\"token\":\"?\",\"logprob\":-0.5,\"bytes\":[97],"
     "\"top_logprobs\":[{\"token\":\"b\",\"logprob\":-9999,\"bytes\":null}]}]}}]}\n\n" F("stop")
         DONE,
     "START id=x model=m | TEXT 0 a [a -0.50 top 1] | FINISH 0 stop | END"},
    /* errors in the middle, of three makes; nothing after them */
    {D("{\"content\":\"a\"}") "data: {\"error\":{\"message\":\"boom\",\"code\":503}}\n\n" DONE,
     "START id=x model=m | TEXT 0 a | ERROR overloaded: boom"},
    {"event: error\ndata: {\"message\":\"boom\"}\n\n", "ERROR upstream_error: boom"},
    {"data: {\"object\":\"error\",\"message\":\"too long\",\"type\":\"BadRequestError\"}\n\n",
     "ERROR invalid_request: too long"},
    {"data: nonsense\n\n", " ! chunk: byte 0: expected a value, found 'n'"},
    {"data: {\"choices\":[{\"index\":-1}]}\n\n",
     "START id= model= ! choices[].index: expected a small integer"},
};

static void streams_of_many_endpoints_are_read(void **state)
{
    struct fixture *f = *state;

    for (size_t i = 0; i < MT_ARRAY_LEN(stream_rows); i++)
        assert_string_equal(fixture_stream_text(f, CHAT, stream_rows[i].in),
                            stream_rows[i].out);
}

static void ids_are_made_up_where_there_are_none(void **state)
{
    struct fixture *f = *state;
    const char *text = fixture_stream_text(
        f, CHAT,
        T("{\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}")
            T("{\"id\":\"\",\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}") DONE);
    const char *first = strstr(text, "CALL 0.0 call_");
    const char *second = strstr(text, "CALL 0.1 call_");

    assert_non_null(first);
    assert_non_null(second);
    assert_memory_not_equal(first + 9, second + 9, 21);
}

static void whole_answers_are_read(void **state)
{
    struct fixture *f = *state;
    static const struct stream_row rows[] = {
        {"{\"id\":\"x\",\"model\":\"m\",\"choices\":[{\"index\":0,\"message\":{\"role\":"
         "\"assistant\",\"content\":\"hi\",\"reasoning_content\":\"hm\",\"refusal\":null,"
         "\"annotations\":[]},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":1,"
         "\"completion_tokens\":2,\"prompt_cache_hit_tokens\":1}}",
         "START id=x model=m | REASONING 0 hm | TEXT 0 hi | FINISH 0 stop | USAGE 1+2 c1 w0 r0 "
         "| END"},
        {"{\"id\":\"x\",\"model\":\"m\",\"choices\":[{\"message\":{\"content\":null,"
         "\"tool_calls\":[{\"id\":\"a\",\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}},"
         "{\"id\":\"b\",\"function\":{\"name\":\"g\",\"arguments\":\"{}\"}}],\"images\":[{"
         "\"image_url\":{\"url\":\"data:image/png;base64,AA\"}}]},\"finish_reason\":"
         "\"tool_calls\"}]}",
         "START id=x model=m | MEDIA 0 image/png AA | CALL 0.0 a f | ARGS 0.0 {} | CALL 0.1 b "
         "g "
         "| ARGS 0.1 {} | FINISH 0 tool_calls | END"},
        {"{\"error\":{\"message\":\"m\",\"type\":\"rate_limit_error\"}}",
         "ERROR rate_limit_exceeded: m"},
        {"{\"id\":\"x\"}", " ! answer: without choices"},
        {"[]", " ! chunk: expected an object"},
    };

    for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++)
        assert_string_equal(fixture_answer_text(f, CHAT, rows[i].in), rows[i].out);
}

static void a_broken_stream_never_crashes(void **state)
{
    struct fixture *f = *state;

    for (size_t i = 0; i < MT_ARRAY_LEN(stream_rows); i++) {
        char text[4096];
        size_t len = strlen(stream_rows[i].in);
        assert_true(len < sizeof text);
        for (size_t cut = 0; cut < len; cut += 3) {
            memcpy(text, stream_rows[i].in, cut);
            text[cut] = '\0';
            mt_buf_clear(&f->log);
            mt_rc rc = fixture_decode_stream(f, CHAT, text, 1 << 20, fixture_log, &f->log);
            assert_true(rc == MT_OK || rc == MT_E_UPSTREAM);
        }
    }
}

/* --- answers to a client --- */

static const struct mt_chat_request plain_request = {.stream = true};
static const struct mt_chat_request usage_request = {.stream = true, .stream_usage = true};
static const struct mt_chat_request legacy_request = {.legacy_functions = true};
static const struct mt_chat_request quiet_request = {.include_reasoning = MT_NO};

static struct mt_chat_reply reply_to(const struct mt_chat_request *request)
{
    return (struct mt_chat_reply){
        .request = request, .id = MT_STR("ID"), .model = MT_STR("m"), .created_at_s = 7};
}

#define HEAD                                                                                \
    "data: "                                                                                \
    "{\"id\":\"chatcmpl-ID\",\"object\":\"chat.completion.chunk\",\"created\":7,\"model\":" \
    "\"m\",\"choices\":["
#define C(delta) \
    HEAD "{\"index\":0,\"delta\":" delta ",\"logprobs\":null,\"finish_reason\":null}]}\n\n"
#define CF(reason) \
    HEAD "{\"index\":0,\"delta\":{},\"logprobs\":null,\"finish_reason\":\"" reason "\"}]}\n\n"
#define ROLE C("{\"role\":\"assistant\",\"content\":\"\"}")

static void text_is_streamed_with_hidden_usage(void **state)
{
    struct fixture *f = *state;
    struct mt_chat_reply reply = reply_to(&plain_request);
    const struct mt_chat_event events[] = {
        {.kind = MT_EVENT_START},
        {.kind = MT_EVENT_REASONING, .text = MT_STR("hm")},
        {.kind = MT_EVENT_SIGNATURE, .signature = MT_STR("s")},
        {.kind = MT_EVENT_REASONING, .is_redacted = true, .signature = MT_STR("s")},
        {.kind = MT_EVENT_TEXT, .text = MT_STR("a\n\"b\"")},
        {.kind = MT_EVENT_PING},
        {.kind = MT_EVENT_FINISH, .finish = MT_FINISH_BUDGET},
        {.kind = MT_EVENT_USAGE, .usage = {.input_tokens = 1}},
        {.kind = MT_EVENT_END},
    };

    assert_string_equal(fixture_encode_stream(f, CHAT, &reply, events, MT_ARRAY_LEN(events)),
                        ROLE C("{\"reasoning_content\":\"hm\"}")
                            C("{\"content\":\"a\\n\\\"b\\\"\"}") ": ping\n\n" CF("length")
                                DONE);
    reply = reply_to(&quiet_request);
    assert_null(strstr(fixture_encode_stream(f, CHAT, &reply, events, MT_ARRAY_LEN(events)),
                       "reasoning"));
}

static void usage_comes_last_when_asked_for(void **state)
{
    struct fixture *f = *state;
    struct mt_chat_reply reply = reply_to(&usage_request);
    const struct mt_chat_event events[] = {
        {.kind = MT_EVENT_START},
        {.kind = MT_EVENT_USAGE, .usage = {.input_tokens = 5}},
        {.kind = MT_EVENT_FINISH, .finish = MT_FINISH_STOP},
        {.kind = MT_EVENT_USAGE,
         .usage = {.input_tokens = 5,
                   .output_tokens = 2,
                   .cached_tokens = 3,
                   .reasoning_tokens = 1}},
        {.kind = MT_EVENT_END},
    };

    assert_string_equal(
        fixture_encode_stream(f, CHAT, &reply, events, MT_ARRAY_LEN(events)), HEAD
        "{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"},\"logprobs\":null,"
        "\"finish_reason\":null}],\"usage\":null}\n\n" HEAD
        "{\"index\":0,\"delta\":{},\"logprobs\":null,\"finish_reason\":\"stop\"}],\"usage\":"
        "null}\n\n" HEAD
        "],\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":2,\"total_tokens\":7,"
        "\"prompt_tokens_details\":{\"cached_tokens\":3},\"completion_tokens_details\":{"
        "\"reasoning_tokens\":1}}}\n\n" DONE);
}

static const struct mt_chat_event call_events[] = {
    {.kind = MT_EVENT_START},
    {.kind = MT_EVENT_TOOL_CALL, .tool = 0, .id = MT_STR_INIT("a"), .name = MT_STR_INIT("f")},
    {.kind = MT_EVENT_TOOL_ARGS, .tool = 0, .text = MT_STR_INIT("{\"x\":")},
    {.kind = MT_EVENT_TOOL_ARGS, .tool = 0, .text = MT_STR_INIT("1}")},
    {.kind = MT_EVENT_TOOL_CALL, .tool = 1, .name = MT_STR_INIT("g")},
    {.kind = MT_EVENT_FINISH, .finish = MT_FINISH_TOOL_CALLS},
    {.kind = MT_EVENT_END},
};

static void tool_calls_are_told_once_and_have_arguments(void **state)
{
    struct fixture *f = *state;
    struct mt_chat_reply reply = reply_to(&plain_request);

    assert_string_equal(
        fixture_encode_stream(f, CHAT, &reply, call_events, MT_ARRAY_LEN(call_events)),
        ROLE C("{\"tool_calls\":[{\"index\":0,\"id\":\"a\",\"type\":\"function\",\"function\":{"
               "\"name\":\"f\",\"arguments\":\"\"}}]}")
            C("{\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"{\\\"x\\\":\"}}]}")
                C("{\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"1}\"}}]}") C(
                    "{\"tool_calls\":[{\"index\":1,\"id\":\"call_ID_0_1\",\"type\":"
                    "\"function\",\"function\":{\"name\":\"g\",\"arguments\":\"\"}}]}")
                    C("{\"tool_calls\":[{\"index\":1,\"function\":{\"arguments\":\"{}\"}}]}")
                        CF("tool_calls") DONE);
}

static void functions_of_old_are_answered_the_old_way(void **state)
{
    struct fixture *f = *state;
    struct mt_chat_reply reply = reply_to(&legacy_request);

    assert_string_equal(fixture_encode_stream(f, CHAT, &reply, call_events, 3),
                        ROLE C("{\"function_call\":{\"name\":\"f\",\"arguments\":\"\"}}")
                            C("{\"function_call\":{\"arguments\":\"{\\\"x\\\":\"}}"));
    fixture_encode_stream(f, CHAT, &reply, &call_events[5], 1);
    assert_non_null(strstr(mt_buf_cstr(&f->out), "\"finish_reason\":\"function_call\""));
}

static void a_failure_in_the_stream_is_a_chunk_with_an_error(void **state)
{
    struct fixture *f = *state;
    struct mt_chat_reply reply = reply_to(&plain_request);
    const struct mt_chat_error error = {.kind = MT_CHAT_ERR_UPSTREAM,
                                        .message = MT_STR("gone")};
    const struct mt_chat_event events[] = {{.kind = MT_EVENT_ERROR, .error = &error}};

    assert_string_equal(fixture_encode_stream(f, CHAT, &reply, events, 1),
                        "data: {\"error\":{\"message\":\"gone\",\"type\":\"server_error\","
                        "\"param\":null,\"code\":\"upstream_error\"}}\n\n");
}

static void other_choices_and_logprobs_are_streamed(void **state)
{
    struct fixture *f = *state;
    struct mt_chat_reply reply = reply_to(&plain_request);
    const struct mt_token_top top = {MT_STR("a"), -0.5f};
    const struct mt_token_logprob token = {MT_STR("\xc3"), -0.25f, -1, &top, 1};
    const struct mt_chat_event events[] = {{.kind = MT_EVENT_TEXT,
                                            .choice = 1,
                                            .text = MT_STR("x"),
                                            .logprobs = &token,
                                            .logprobs_n = 1}};

    assert_string_equal(
        fixture_encode_stream(f, CHAT, &reply, events, 1), HEAD
        "{\"index\":1,\"delta\":{\"role\":\"assistant\",\"content\":\"\"},\"logprobs\":null,"
        "\"finish_reason\":null}]}\n\n" HEAD
        "{\"index\":1,\"delta\":{\"content\":\"x\"},\"logprobs\":{\"content\":[{\"token\":"
        "\"\xef\xbf\xbd\",\"logprob\":-0.25,\"bytes\":[195],\"top_logprobs\":[{\"token\":"
        "\"a\",\"logprob\":-0.5,\"bytes\":[97]}]}],\"refusal\":null},\"finish_reason\":null}"
        "]}\n\n");
}

static void a_whole_answer_is_written(void **state)
{
    struct fixture *f = *state;
    struct mt_chat_reply reply = reply_to(&plain_request);
    struct mt_out_part parts[] = {
        {.kind = MT_OUT_REASONING, .text = MT_STR("hm")},
        {.kind = MT_OUT_TOOL_CALL, .id = MT_STR("a"), .name = MT_STR("f")},
        {.kind = MT_OUT_TEXT, .text = MT_STR("x")},
        {.kind = MT_OUT_TEXT, .text = MT_STR("y")},
        {.kind = MT_OUT_MEDIA, .mime = MT_STR("image/png"), .text = MT_STR("AA")},
    };
    struct mt_choice choices[] = {
        {.parts = parts, .parts_n = 5, .finish = MT_FINISH_TOOL_CALLS},
        {.parts = &parts[1], .parts_n = 1, .finish = MT_FINISH_TOOL_CALLS},
        {.finish = MT_FINISH_STOP},
    };
    struct mt_chat_answer answer = {.choices = choices, .choices_n = 3};

    CHAT->encode_answer(&reply, &answer, &f->out);
    assert_string_equal(
        mt_buf_cstr(&f->out),
        "{\"id\":\"chatcmpl-ID\",\"object\":\"chat.completion\",\"created\":7,\"model\":\"m\","
        "\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"xy\","
        "\"refusal\":null,\"reasoning_content\":\"hm\",\"images\":[{\"type\":\"image_url\","
        "\"image_url\":{\"url\":\"data:image/png;base64,AA\"}}],\"tool_calls\":[{\"id\":\"a\","
        "\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}]},"
        "\"logprobs\":null,\"finish_reason\":\"tool_calls\"},{\"index\":1,\"message\":{"
        "\"role\":"
        "\"assistant\",\"content\":null,\"refusal\":null,\"tool_calls\":[{\"id\":\"a\","
        "\"type\":"
        "\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}]},\"logprobs\":null,"
        "\"finish_reason\":\"tool_calls\"},{\"index\":2,\"message\":{\"role\":\"assistant\","
        "\"content\":\"\",\"refusal\":null},\"logprobs\":null,\"finish_reason\":\"stop\"}],"
        "\"usage\":{\"prompt_tokens\":0,\"completion_tokens\":0,\"total_tokens\":0,"
        "\"prompt_tokens_details\":{\"cached_tokens\":0},\"completion_tokens_details\":{"
        "\"reasoning_tokens\":0}}}");
    reply = reply_to(&legacy_request);
    mt_buf_clear(&f->out);
    CHAT->encode_answer(&reply, &answer, &f->out);
    assert_non_null(strstr(mt_buf_cstr(&f->out),
                           "\"function_call\":{\"name\":\"f\",\"arguments\":\"{}\"}"));
}

static void errors_have_openais_shape_and_status(void **state)
{
    struct fixture *f = *state;
    struct mt_chat_error error = {.kind = MT_CHAT_ERR_INVALID,
                                  .message = MT_STR("bad \"n\""),
                                  .param = MT_STR("n"),
                                  .code = MT_STR("invalid_value")};

    CHAT->encode_error(&error, &f->out);
    assert_string_equal(
        mt_buf_cstr(&f->out),
        "{\"error\":{\"message\":\"bad \\\"n\\\"\",\"type\":"
        "\"invalid_request_error\",\"param\":\"n\",\"code\":\"invalid_value\"}}");
    assert_int_equal(CHAT->error_status(&error), 400);
    error.http_status = 422;
    assert_int_equal(CHAT->error_status(&error), 422);
    error = (struct mt_chat_error){.kind = MT_CHAT_ERR_OVERLOADED, .http_status = 529};
    assert_int_equal(CHAT->error_status(&error), 503);
}

/* What the encoder writes, the decoder understands: text and calls survive the way round. */
static void a_stream_survives_the_way_round(void **state)
{
    struct fixture *f = *state;
    struct mt_chat_reply reply = reply_to(&usage_request);

    fixture_encode_stream(f, CHAT, &reply, call_events, MT_ARRAY_LEN(call_events));
    char *bytes = mt_alloc_cstr(mt_buf_str(&f->out));
    assert_non_null(bytes);
    assert_string_equal(fixture_stream_text(f, CHAT, bytes),
                        "START id=chatcmpl-ID model=m | CALL 0.0 a f | ARGS 0.0 {\"x\": | ARGS "
                        "0.0 1} | CALL 0.1 call_ID_0_1 g | ARGS 0.1 {} | FINISH 0 tool_calls | "
                        "USAGE 0+0 c0 w0 r0 | END");
    mt_free(bytes);
}

/* --- the fast lane --- */

static void bodies_are_forwarded_with_few_edits(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *in, *out;
    } rows[] = {
        {"{\"model\":\"a\",\"messages\":[ 1 ],\"motet\":{\"x\":1}}",
         "{\"model\":\"up\\\"x\",\"messages\":[ 1 ]}"},
        {"{\"stream\":true,\"messages\":[]}",
         "{\"stream\":true,\"messages\":[],\"model\":\"up\\\"x\",\"stream_options\":{"
         "\"include_usage\":true}}"},
        {"{\"stream\":true,\"stream_options\":{\"include_obfuscation\":false,\"include_usage\":"
         "false},\"model\":\"a\"}",
         "{\"stream\":true,\"stream_options\":{\"include_obfuscation\":false,\"include_usage\":"
         "true},\"model\":\"up\\\"x\"}"},
        {"{\"stream\":true,\"stream_options\":null,\"model\":\"a\"}",
         "{\"stream\":true,\"stream_options\":{\"include_usage\":true},\"model\":\"up\\\"x\"}"},
        {"{\"stream\":false,\"model\":\"a\",\"mod\\u0065l\":\"b\"}",
         "{\"stream\":false,\"model\":\"up\\\"x\"}"},
    };

    for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
        const struct mt_json *body = fixture_json(f, rows[i].in);
        mt_buf_clear(&f->out);
        CHAT->forward_body(body, mt_buf_str(&f->text), MT_STR("up\"x"), &f->out);
        assert_string_equal(mt_buf_cstr(&f->out), rows[i].out);
    }
}

static void a_peek_finds_what_routing_needs(void **state)
{
    struct fixture *f = *state;
    struct mt_chat_route route = {0};
    struct mt_chat_peek peek;

    assert_int_equal(CHAT->peek(fixture_json(f, rich_body), &route, &f->arena, &peek, &f->err),
                     MT_OK);
    assert_true(mt_str_is(peek.model, "m"));
    assert_true(peek.stream && peek.stream_usage && !peek.needs_canonical);
    assert_int_equal(peek.max_tokens.value, 99);
    assert_int_equal(peek.n, 2);
    assert_int_equal(CHAT->peek(fixture_json(f, "{}"), &route, &f->arena, &peek, &f->err),
                     MT_OK);
    assert_int_equal(peek.n, 1);
    assert_false(peek.stream || peek.max_tokens.has);
    static const char *const bad[] = {"[]", "{\"model\":1}", "{\"stream\":1}",
                                      "{\"max_tokens\":1,\"max_tokens\":2}",
                                      "{\"model\":\"a\",\"mod\\u0065l\":\"b\"}"};
    for (size_t i = 0; i < MT_ARRAY_LEN(bad); i++)
        mt_check_row(bad[i], CHAT->peek(fixture_json(f, bad[i]), &route, &f->arena, &peek,
                                        &f->err) == MT_E_INVALID);
}

struct metering {
    struct fixture *f;
    struct mt_chat_meter meter;
    unsigned hidden;
};

static mt_rc meter_one(void *ctx, const struct mt_frame *frame, struct mt_err *err)
{
    struct metering *m = ctx;
    struct mt_chat_scratch scratch = {m->f->frame_doc, &m->f->frame_arena};

    (void)err;
    m->hidden += CHAT->meter_frame(&m->meter, frame, false, &scratch) == MT_METER_HIDE;
    return MT_OK;
}

/* The last usage among events. */
struct seen {
    struct mt_usage usage;
    bool has_usage, has_content, is_finished, has_error;
};

static mt_rc see(void *ctx, const struct mt_chat_event *event, struct mt_err *err)
{
    struct seen *seen = ctx;

    (void)err;
    if (event->kind == MT_EVENT_USAGE) {
        seen->usage = event->usage;
        seen->has_usage = true;
    }
    seen->has_content |= event->kind == MT_EVENT_TEXT || event->kind == MT_EVENT_REASONING ||
                         event->kind == MT_EVENT_REFUSAL || event->kind == MT_EVENT_TOOL_CALL;
    seen->is_finished |= event->kind == MT_EVENT_FINISH;
    seen->has_error |= event->kind == MT_EVENT_ERROR;
    return MT_OK;
}

static void the_meter_sees_what_the_decoder_sees(void **state)
{
    struct fixture *f = *state;

    for (size_t i = 0; i < MT_ARRAY_LEN(stream_rows); i++) {
        struct metering m = {.f = f};
        struct seen seen = {0};
        struct mt_frames frames;

        mt_frames_init(&frames, MT_FRAMING_SSE, 1 << 20);
        assert_int_equal(
            mt_frames_feed(&frames, mt_str_of(stream_rows[i].in), meter_one, &m, &f->err),
            MT_OK);
        assert_int_equal(mt_frames_finish(&frames, meter_one, &m, &f->err), MT_OK);
        mt_frames_fini(&frames);
        if (fixture_decode_stream(f, CHAT, stream_rows[i].in, 1 << 20, see, &seen) != MT_OK)
            continue;
        mt_check_row(stream_rows[i].in, m.meter.has_usage == seen.has_usage);
        mt_check_row(stream_rows[i].in,
                     memcmp(&m.meter.usage, &seen.usage, sizeof seen.usage) == 0);
        mt_check_row(stream_rows[i].in, m.meter.has_content == seen.has_content);
        mt_check_row(stream_rows[i].in,
                     m.meter.is_finished == seen.is_finished || seen.has_error);
        mt_check_row(stream_rows[i].in, m.meter.has_error == seen.has_error);
        mt_check_row(stream_rows[i].in, m.hidden == (seen.has_usage ? 1 : 0));
    }
}

static void usage_is_hidden_from_those_who_did_not_ask(void **state)
{
    struct fixture *f = *state;
    struct mt_chat_scratch scratch = {f->frame_doc, &f->frame_arena};
    struct mt_chat_meter meter = {0};
    static const struct {
        const char *data;
        bool is_wanted;
        enum mt_meter_verdict verdict;
    } rows[] = {
        {"{\"choices\":[],\"usage\":{\"prompt_tokens\":1}}", false, MT_METER_HIDE},
        {"{\"choices\":[],\"usage\":{\"prompt_tokens\":1}}", true, MT_METER_FORWARD},
        {"{\"choices\":[{}],\"usage\":{\"prompt_tokens\":1}}", false, MT_METER_FORWARD},
        {"{\"choices\":[],\"usage\":null}", false, MT_METER_FORWARD},
        {"{\"choices\":[{\"delta\":{\"content\":\"\\\"usage\\\":{\"}}]}", false,
         MT_METER_FORWARD},
        {"{\"a\":\"usage\",\"choices\":[],\"usage\":{}}", false, MT_METER_HIDE},
        {"[DONE]", false, MT_METER_FORWARD},
    };

    for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
        mt_buf_clear(&f->text);
        mt_buf_add_cstr(&f->text, rows[i].data);
        struct mt_frame frame = {.data = mt_buf_str(&f->text)};
        mt_check_row(rows[i].data, CHAT->meter_frame(&meter, &frame, rows[i].is_wanted,
                                                     &scratch) == rows[i].verdict);
    }
    assert_int_equal(meter.deltas_n, 1);
    meter = (struct mt_chat_meter){0};
    CHAT->meter_answer(&meter, fixture_json(f, "{\"choices\":[{\"finish_reason\":\"stop\"}],"
                                               "\"usage\":{\"completion_tokens\":4}}"));
    assert_true(meter.has_usage && meter.is_finished && meter.has_content);
    assert_int_equal(meter.usage.output_tokens, 4);
}

/* --- out of memory --- */

static mt_rc way_through(struct fixture *f, const struct mt_json *body)
{
    struct mt_chat_request q = {.arena = &f->arena};
    struct mt_chat_route route = {0};

    mt_arena_fini(&f->arena);
    mt_buf_fini(&f->out);
    mt_buf_fini(&f->path);
    MT_TRY(CHAT->decode_request(body, &route, &q, &f->err));
    return CHAT->encode_request(&q, MT_STR("m"), &f->out, &f->path, NULL, &f->err);
}

static void a_request_survives_any_oom(void **state)
{
    struct fixture *f = *state;
    const struct mt_json *body = fixture_json(f, rich_body);

    for (long nth = 0;; nth++) {
        mt_alloc_fail_after = nth;
        mt_rc rc = way_through(f, body);
        mt_alloc_fail_after = -1;
        if (rc == MT_OK) {
            assert_true(nth > 2);
            break;
        }
        assert_int_equal(rc, MT_E_NOMEM);
    }
    assert_string_equal(mt_buf_cstr(&f->out) + 11, rich_upstream + 12);
}

static void a_stream_survives_any_oom(void **state)
{
    struct fixture *f = *state;

    for (size_t i = 0; i < MT_ARRAY_LEN(stream_rows); i++) {
        bool is_done = false;
        for (long nth = 0; !is_done; nth++) {
            mt_arena_fini(&f->arena);
            mt_arena_fini(&f->frame_arena);
            mt_buf_clear(&f->log);
            mt_alloc_fail_after = nth;
            mt_rc rc = fixture_decode_stream(f, CHAT, stream_rows[i].in, 1 << 20, fixture_log,
                                             &f->log);
            mt_alloc_fail_after = -1;
            is_done = rc != MT_E_NOMEM && rc != MT_E_TOOBIG;
        }
    }
}

/* ---- tool deltas with wrong indices ---- */

#define DELTA(call) "{\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[" call "]}}]}"

static const struct index_row {
    const char *name;
    const char *in[4];
    const char *out[4]; /* NULL: as it came */
} index_rows[] = {
    {"right ones pass",
     {DELTA("{\"index\":0,\"id\":\"a\"}"), DELTA("{\"index\":0,\"x\":1}"),
      DELTA("{\"index\":1,\"id\":\"b\"}"), DELTA("{\"index\":1,\"x\":1}")},
     {NULL}},
    {"all of them 0",
     {DELTA("{\"index\":0,\"id\":\"a\"}"), DELTA("{\"index\":0,\"id\":\"b\"}"),
      DELTA("{\"index\":0,\"x\":1}"), DELTA("{\"index\":0,\"id\":\"a\",\"x\":2}")},
     {NULL, DELTA("{\"index\":1,\"id\":\"b\"}"), DELTA("{\"index\":1,\"x\":1}"), NULL}},
    {"none at all",
     {DELTA("{\"id\":\"a\"},{\"id\":\"b\"}"), DELTA("{\"x\":1}"), DELTA("{\"id\":\"a\"}")},
     {DELTA("{\"id\":\"a\",\"index\":0},{\"id\":\"b\",\"index\":1}"),
      DELTA("{\"x\":1,\"index\":1}"), DELTA("{\"id\":\"a\",\"index\":0}")}},
    {"from 1",
     {DELTA("{\"index\":1,\"id\":\"a\"}"), DELTA("{\"index\":1,\"x\":1}"),
      DELTA("{\"index\":2,\"id\":\"b\"}")},
     {DELTA("{\"index\":0,\"id\":\"a\"}"), DELTA("{\"index\":0,\"x\":1}"),
      DELTA("{\"index\":1,\"id\":\"b\"}")}},
    {"a delta of no call passes", {DELTA("{\"index\":3,\"x\":1}")}, {NULL}},
    {"an id that is none", {DELTA("{\"id\":7}")}, {NULL}},
};

static void check_indices(struct fixture *f, struct mt_chat_meter *meter,
                          const struct index_row *row, size_t at)
{
    struct mt_chat_scratch scratch = {f->frame_doc, &f->frame_arena};
    MT_CLEANUP(mt_buf_fini) struct mt_buf wanted = MT_BUF_INIT(4096);

    mt_buf_clear(&f->text);
    mt_buf_add_cstr(&f->text, row->in[at]);
    struct mt_frame frame = {.data = mt_buf_str(&f->text)};
    enum mt_meter_verdict verdict = CHAT->meter_frame(meter, &frame, false, &scratch);
    mt_check_row(row->name,
                 verdict == (row->out[at] != NULL ? MT_METER_REPLACE : MT_METER_FORWARD));
    if (row->out[at] == NULL)
        return;
    mt_buf_addf(&wanted, "data: %s\n\n", row->out[at]);
    mt_check_row(row->name, mt_str_eq(meter->replacement, mt_buf_str(&wanted)));
}

static void the_fast_lane_puts_dense_indices(void **state)
{
    struct fixture *f = *state;

    for (size_t i = 0; i < MT_ARRAY_LEN(index_rows); i++) {
        struct mt_chat_meter meter = {0};

        for (size_t j = 0; j < MT_ARRAY_LEN(index_rows[i].in) && index_rows[i].in[j] != NULL;
             j++)
            check_indices(f, &meter, &index_rows[i], j);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_rich_request_is_read),
        TEST(a_rich_request_is_written_for_an_endpoint),
        TEST(what_was_written_reads_back_the_same),
        TEST(bodies_of_many_clients_are_understood),
        TEST(reasoning_models_are_told_their_own_limit),
        TEST(bad_bodies_name_their_place),
        TEST(other_dialects_parts_find_a_place_or_are_refused),
        TEST(prompts_become_what_a_user_says),
        TEST(streams_of_many_endpoints_are_read),
        TEST(ids_are_made_up_where_there_are_none),
        TEST(whole_answers_are_read),
        TEST(a_broken_stream_never_crashes),
        TEST(text_is_streamed_with_hidden_usage),
        TEST(usage_comes_last_when_asked_for),
        TEST(tool_calls_are_told_once_and_have_arguments),
        TEST(functions_of_old_are_answered_the_old_way),
        TEST(a_failure_in_the_stream_is_a_chunk_with_an_error),
        TEST(other_choices_and_logprobs_are_streamed),
        TEST(a_whole_answer_is_written),
        TEST(errors_have_openais_shape_and_status),
        TEST(a_stream_survives_the_way_round),
        TEST(bodies_are_forwarded_with_few_edits),
        TEST(a_peek_finds_what_routing_needs),
        TEST(the_meter_sees_what_the_decoder_sees),
        TEST(usage_is_hidden_from_those_who_did_not_ask),
        TEST(the_fast_lane_puts_dense_indices),
        TEST(a_request_survives_any_oom),
        TEST(a_stream_survives_any_oom),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
