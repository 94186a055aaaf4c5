/* SPDX-License-Identifier: Apache-2.0 */
/* Gemini: paths, requests read and written, schemas, streams both ways, errors, the fast lane.
 */
#include "chat/gemini.h"

#include "chat_fixture.h"

#define GEMINI (&mt_codec_gemini)

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

static void paths_come_apart(void **state)
{
    static const struct {
        const char *path, *model;
        enum mt_gemini_method method;
    } rows[] = {
        {"/v1beta/models/gemini-2.5-pro:generateContent", "gemini-2.5-pro", MT_GEMINI_GENERATE},
        {"/v1/models/a:streamGenerateContent", "a", MT_GEMINI_STREAM},
        {"/v1beta/models/hf.co/x/y:Q4_K_M:countTokens", "hf.co/x/y:Q4_K_M",
         MT_GEMINI_COUNT_TOKENS},
        {"/v1beta/models/llama3:8b:embedContent", "llama3:8b", MT_GEMINI_EMBED},
        {"models/a:batchEmbedContents", "a", MT_GEMINI_BATCH_EMBED},
        {"/v1beta/models/llama3:8b", "llama3:8b", MT_GEMINI_GET},
        {"/v1beta/models/a", "a", MT_GEMINI_GET},
        {"/v1beta/models/a:predict", "a", MT_GEMINI_UNKNOWN},
        {"/v1beta/models/a:", "a:", MT_GEMINI_GET},
        {"/v1beta/models/", NULL, MT_GEMINI_UNKNOWN},
        {"/v1beta/models/:generateContent", NULL, MT_GEMINI_UNKNOWN},
        {"/v1beta/supermodels/a", NULL, MT_GEMINI_UNKNOWN},
        {"/v1beta/models", NULL, MT_GEMINI_UNKNOWN},
        {"", NULL, MT_GEMINI_UNKNOWN},
    };

    (void)state;
    for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
        struct mt_str model = {0};
        enum mt_gemini_method method = MT_GEMINI_UNKNOWN;
        bool found = mt_gemini_path(mt_str_of(rows[i].path), &model, &method);
        mt_check_row(rows[i].path, found == (rows[i].model != NULL));
        if (found) {
            mt_check_row(rows[i].path, mt_str_is(model, rows[i].model));
            mt_check_row(rows[i].path, method == rows[i].method);
        }
    }
}

static const char *const whole =
    "{\"systemInstruction\":{\"parts\":[{\"text\":\"be brief\"}]},\"contents\":["
    "{\"role\":\"user\",\"parts\":[{\"text\":\"look\"},{\"inlineData\":{\"mimeType\":"
    "\"image/png\",\"data\":\"AA+/\"}},{\"fileData\":{\"mimeType\":\"application/pdf\","
    "\"fileUri\":\"https://x/a.pdf\"}}]},"
    "{\"role\":\"model\",\"parts\":[{\"text\":\"hm\",\"thought\":true,\"thoughtSignature\":"
    "\"s1\"},{\"functionCall\":{\"id\":\"c1\",\"name\":\"get\",\"args\":{\"x\":1}},"
    "\"thoughtSignature\":\"s2\"},{\"functionCall\":{\"id\":\"c2\",\"name\":\"put\",\"args\":{}"
    "}}"
    "]},{\"role\":\"user\",\"parts\":[{\"functionResponse\":{\"id\":\"c1\",\"name\":\"get\","
    "\"response\":{\"sun\":true,\"n\":2}}},{\"functionResponse\":{\"id\":\"c2\",\"name\":"
    "\"put\","
    "\"response\":{\"error\":\"no\"}}}]}],"
    "\"tools\":[{\"functionDeclarations\":[{\"name\":\"get\",\"description\":\"d\","
    "\"parametersJsonSchema\":{\"type\":\"object\"}}]},{\"googleSearch\":{}}],"
    "\"toolConfig\":{\"functionCallingConfig\":{\"mode\":\"ANY\",\"allowedFunctionNames\":"
    "[\"get\"]}},"
    "\"generationConfig\":{\"temperature\":0.5,\"topP\":0.9,\"topK\":40,\"maxOutputTokens\":64,"
    "\"candidateCount\":2,\"stopSequences\":[\"a\"],\"presencePenalty\":0.25,"
    "\"frequencyPenalty\":0.5,\"seed\":-7,\"responseMimeType\":\"application/json\","
    "\"responseJsonSchema\":{\"type\":\"object\"},\"responseLogprobs\":true,\"logprobs\":3,"
    "\"thinkingConfig\":{\"thinkingBudget\":512,\"includeThoughts\":true},"
    "\"mediaResolution\":\"LOW\"},\"labels\":{\"a\":\"b\"},\"safetySettings\":[{\"x\":1}]}";

static void everything_is_read(void **state)
{
    struct fixture *f = *state;
    struct mt_chat_request q;

    assert_int_equal(fixture_decode(f, GEMINI, whole, &q), MT_OK);
    assert_true(mt_str_is(q.model, "url-model"));
    assert_true(q.stream);
    assert_int_equal(q.messages_n, 4);
    assert_int_equal(q.messages[0].role, MT_ROLE_SYSTEM);
    assert_int_equal(q.messages[1].parts[1].kind, MT_PART_IMAGE);
    assert_int_equal(q.messages[1].parts[2].kind, MT_PART_FILE);
    assert_true(mt_str_is(q.messages[1].parts[2].media.url, "https://x/a.pdf"));
    assert_int_equal(q.messages[2].role, MT_ROLE_ASSISTANT);
    assert_int_equal(q.messages[2].parts[0].kind, MT_PART_REASONING);
    assert_true(mt_str_is(q.messages[2].parts[1].signature, "gemini:s2"));
    assert_true(mt_str_is(q.messages[2].parts[1].json, "{\"x\":1}"));
    assert_int_equal(q.messages[3].role, MT_ROLE_TOOL);
    assert_true(mt_str_is(q.messages[3].parts[0].parts[0].text, "{\"sun\":true,\"n\":2}"));
    assert_true(q.messages[3].parts[1].is_error);
    assert_true(mt_str_is(q.messages[3].parts[1].parts[0].text, "no"));
    assert_int_equal(q.tools_n, 2);
    assert_true(mt_str_is(q.tools[1].hosted_type, "googleSearch"));
    assert_int_equal(q.tool_choice, MT_TOOLS_NAMED);
    assert_true(mt_str_is(q.tool_choice_name, "get"));
    assert_int_equal(q.n, 2);
    assert_int_equal(q.format, MT_FORMAT_SCHEMA);
    assert_int_equal(q.reasoning_budget.value, 512);
    assert_int_equal(q.include_reasoning, MT_YES);
    assert_true(q.logprobs && q.top_logprobs == 3);
    assert_int_equal(q.extras_n, 2);
}

static void a_request_survives_a_round_trip(void **state)
{
    struct fixture *f = *state;
    struct mt_chat_request q;
    struct mt_str wanted = mt_str_of(whole);

    assert_int_equal(fixture_decode(f, GEMINI, whole, &q), MT_OK);
    assert_int_equal(fixture_encode(f, GEMINI, &q, "models/gemini x/y:1"), MT_OK);
    assert_string_equal(mt_buf_cstr(&f->path),
                        "/v1beta/models/gemini%20x%2Fy:1:streamGenerateContent?alt=sse");
    assert_int_equal(f->out.len, wanted.len);
    assert_string_equal(mt_buf_cstr(&f->out), whole);
    assert_int_equal(f->notes.text.len, 0);
}

static void both_spellings_are_read(void **state)
{
    struct mt_chat_request q;

    assert_int_equal(
        fixture_decode(*state, GEMINI,
                       "{\"system_instruction\":{\"parts\":{\"text\":\"s\"}},\"contents\":"
                       "{\"parts\":[{\"inline_data\":{\"mime_type\":\"image/png\",\"data\":"
                       "\"-_8\"}}]},\"tools\":{\"function_declarations\":[{\"name\":\"f\"}]},"
                       "\"tool_config\":{\"function_calling_config\":{\"mode\":\"VALIDATED\","
                       "\"allowed_function_names\":[\"g\"]}},"
                       "\"generation_config\":{\"max_output_tokens\":5,\"top_k\":3,"
                       "\"stop_sequences\":[\"x\"],\"thinking_config\":{\"thinking_level\":"
                       "\"low\",\"include_thoughts\":false}}}",
                       &q),
        MT_OK);
    assert_int_equal(q.messages_n, 2);
    assert_int_equal(q.messages[1].role, MT_ROLE_USER);
    assert_true(mt_str_is(q.messages[1].parts[0].media.base64, "+/8"));
    assert_int_equal(q.tools_n, 0); /* f is not allowed */
    assert_int_equal(q.tool_choice, MT_TOOLS_AUTO);
    assert_int_equal(q.max_tokens.value, 5);
    assert_int_equal(q.sampling.top_k.value, 3);
    assert_int_equal(q.sampling.stop_n, 1);
    assert_int_equal(q.effort, MT_EFFORT_LOW);
    assert_int_equal(q.include_reasoning, MT_NO);
    assert_int_equal(q.extras_n, 0);
}

static void schemas_become_json_schema(void **state)
{
    static const struct {
        const char *own, *json;
    } rows[] = {
        {"{\"type\":\"OBJECT\",\"properties\":{\"Type\":{\"type\":\"STRING\",\"nullable\":true}"
         ","
         "\"type\":{\"type\":\"INTEGER\",\"format\":\"int32\"}},\"required\":[\"type\"],"
         "\"propertyOrdering\":[\"type\"]}",
         "{\"type\":\"object\",\"properties\":{\"Type\":{\"type\":[\"string\",\"null\"]},"
         "\"type\":{\"type\":\"integer\",\"format\":\"int32\"}},\"required\":[\"type\"]}"},
        {"{\"type\":\"ARRAY\",\"items\":{\"any_of\":[{\"type\":\"NUMBER\"},{\"type\":"
         "\"string\","
         "\"format\":\"enum\",\"enum\":[\"A\"]}]},\"minItems\":\"2\",\"max_items\":3}",
         "{\"type\":\"array\",\"items\":{\"anyOf\":[{\"type\":\"number\"},{\"type\":\"string\","
         "\"enum\":[\"A\"]}]},\"minItems\":2,\"maxItems\":3}"},
        {"{\"type\":\"TYPE_UNSPECIFIED\",\"description\":\"a\\nb\"}",
         "{\"description\":\"a\\nb\"}"},
    };

    for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
        struct mt_chat_request q;
        char body[1024];
        snprintf(body, sizeof body,
                 "{\"contents\":[{\"parts\":[{\"text\":\"x\"}]}],\"tools\":["
                 "{\"functionDeclarations\":[{\"name\":\"f\",\"parameters\":%s}]}]}",
                 rows[i].own);
        mt_check_row(rows[i].own, fixture_decode(*state, GEMINI, body, &q) == MT_OK);
        mt_check_row(rows[i].own, mt_str_is(q.tools[0].schema_json, rows[i].json));
    }
}

static void deep_schemas_are_refused(void **state)
{
    MT_CLEANUP(mt_buf_fini) struct mt_buf body = MT_BUF_INIT(65536);
    struct fixture *f = *state;
    struct mt_chat_request q;

    mt_buf_add_cstr(&body, "{\"contents\":[{\"parts\":[{\"text\":\"x\"}]}],"
                           "\"generationConfig\":{\"responseSchema\":");
    for (int i = 0; i < 40; i++)
        mt_buf_add_cstr(&body, "{\"items\":");
    mt_buf_add_cstr(&body, "{}");
    for (int i = 0; i < 42; i++)
        mt_buf_add_cstr(&body, "}");
    assert_int_equal(fixture_decode(f, GEMINI, mt_buf_cstr(&body), &q), MT_E_INVALID);
    assert_string_equal(f->err.text,
                        "generationConfig.responseSchema: expected a schema at most 24 deep");
}

static void responses_find_their_calls(void **state)
{
    struct mt_chat_request q;

    assert_int_equal(
        fixture_decode(
            *state, GEMINI,
            "{\"contents\":[{\"role\":\"model\",\"parts\":["
            "{\"functionCall\":{\"name\":\"a\",\"args\":{}}},"
            "{\"functionCall\":{\"name\":\"b\"}},{\"functionCall\":{\"name\":\"a\"}}]},"
            "{\"role\":\"function\",\"parts\":[{\"functionResponse\":{\"name\":\"b\","
            "\"response\":{\"result\":\"1\"}}},{\"functionResponse\":{\"name\":\"a\","
            "\"response\":{\"output\":\"2\"}}},{\"functionResponse\":{\"name\":\"a\"}}"
            "]}]}",
            &q),
        MT_OK);
    assert_true(mt_str_is(q.messages[1].parts[0].id, "call_1"));
    assert_true(mt_str_is(q.messages[1].parts[0].parts[0].text, "1"));
    assert_true(mt_str_is(q.messages[1].parts[1].id, "call_0"));
    assert_true(mt_str_is(q.messages[1].parts[1].parts[0].text, "2"));
    assert_true(mt_str_is(q.messages[1].parts[2].id, "call_2"));
}

#define ASK "\"contents\":[{\"parts\":[{\"text\":\"x\"}]}]"

static void bad_bodies_name_the_place(void **state)
{
    static const struct {
        const char *body, *words;
        mt_rc rc;
    } rows[] = {
        {"[]", "body: expected an object, found an array", MT_E_INVALID},
        {"{}", "contents: expected at least one, found none", MT_E_INVALID},
        {"{\"contents\":5}", "contents: expected an array, found a number", MT_E_INVALID},
        {"{\"contents\":[5]}", "contents[0]: expected an object, found a number", MT_E_INVALID},
        {"{\"contents\":[{\"parts\":[{}]}]}",
         "contents[0].parts[0]: expected text, inlineData, fileData, functionCall or "
         "functionResponse",
         MT_E_INVALID},
        {"{\"contents\":[{\"parts\":[{\"text\":1}]}]}",
         "contents[0].parts[0].text: expected a string, found a number", MT_E_INVALID},
        {"{\"contents\":[{\"role\":\"assistant\",\"parts\":[]}]}",
         "contents[0].role: expected 'user' or 'model', found 'assistant'", MT_E_INVALID},
        {"{\"contents\":[{\"parts\":[{\"executableCode\":{}}]}]}",
         "contents[0].parts[0].executableCode: cannot be translated", MT_E_UNSUPPORTED},
        {"{\"contents\":[{\"parts\":[{\"functionCall\":{\"name\":\"f\",\"args\":[]}}]}]}",
         "contents[0].parts[0].functionCall.args: expected an object, found an array",
         MT_E_INVALID},
        {"{\"contents\":[{\"parts\":[{\"functionCall\":{}}]}]}",
         "contents[0].parts[0].functionCall.name: expected a name", MT_E_INVALID},
        {"{\"contents\":[{\"parts\":[{\"functionResponse\":{\"response\":\"x\"}}]}]}",
         "contents[0].parts[0].functionResponse.response: expected an object, found a string",
         MT_E_INVALID},
        {"{\"contents\":[{\"parts\":[{\"inlineData\":{}}]}]}",
         "contents[0].parts[0].inlineData.data: expected base64 data", MT_E_INVALID},
        {"{" ASK ",\"cachedContent\":\"c\"}",
         "cachedContent: content kept by the provider cannot be translated", MT_E_UNSUPPORTED},
        {"{" ASK ",\"tools\":[{\"functionDeclarations\":[{}]}]}",
         "tools[0].functionDeclarations[0].name: expected a name, found nothing", MT_E_INVALID},
        {"{" ASK ",\"toolConfig\":{\"functionCallingConfig\":{\"mode\":\"SOME\"}}}",
         "toolConfig.functionCallingConfig.mode: expected 'AUTO', 'ANY', 'NONE' or "
         "'VALIDATED', "
         "found a string",
         MT_E_INVALID},
        {"{" ASK ",\"generationConfig\":{\"topP\":2}}",
         "generationConfig.topP: expected a number between 0 and 1, found 2", MT_E_INVALID},
        {"{" ASK ",\"generationConfig\":{\"responseMimeType\":\"text/x.enum\"}}",
         "generationConfig.responseMimeType: 'text/x.enum' cannot be translated",
         MT_E_UNSUPPORTED},
        {"{" ASK ",\"generationConfig\":{\"thinkingConfig\":{\"thinkingLevel\":\"X\"}}}",
         "generationConfig.thinkingConfig.thinkingLevel: expected 'MINIMAL', 'LOW', 'MEDIUM' "
         "or "
         "'HIGH', found a string",
         MT_E_INVALID},
    };

    for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
        struct fixture *f = *state;
        struct mt_chat_request q;
        mt_check_row(rows[i].body, fixture_decode(f, GEMINI, rows[i].body, &q) == rows[i].rc);
        assert_string_equal(f->err.text, rows[i].words);
    }
}

static void counting_reads_both_bodies(void **state)
{
    struct fixture *f = *state;
    struct mt_chat_route route = {.model = MT_STR("models/m")};
    static const char *const bodies[] = {
        "{" ASK "}", "{\"generateContentRequest\":{\"model\":\"models/m\"," ASK "}}"};

    for (size_t i = 0; i < MT_ARRAY_LEN(bodies); i++) {
        struct mt_chat_request q = {.arena = &f->arena};
        assert_int_equal(
            mt_gemini_decode_count(fixture_json(f, bodies[i]), &route, &q, &f->err), MT_OK);
        assert_int_equal(q.messages_n, 1);
        assert_true(mt_str_is(q.model, "m"));
    }
    GEMINI->encode_token_count(42, &f->out);
    assert_string_equal(mt_buf_cstr(&f->out), "{\"totalTokens\":42}");
}

static void foreign_conversations_are_put_in_order(void **state)
{
    struct fixture *f = *state;
    struct mt_chat_part said = {.kind = MT_PART_TEXT, .text = MT_STR_INIT("hi")};
    struct mt_chat_part rule = {.kind = MT_PART_TEXT, .text = MT_STR_INIT("rule")};
    struct mt_chat_part calls[] = {
        {.kind = MT_PART_REASONING,
         .text = MT_STR_INIT("t"),
         .signature = MT_STR_INIT("anthropic:s")},
        {.kind = MT_PART_TOOL_CALL, .id = MT_STR_INIT("1"), .name = MT_STR_INIT("f")},
        {.kind = MT_PART_TOOL_CALL, .id = MT_STR_INIT("2"), .name = MT_STR_INIT("g")},
    };
    struct mt_chat_part text = {.kind = MT_PART_TEXT, .text = MT_STR_INIT("7")};
    struct mt_chat_part one = {
        .kind = MT_PART_TOOL_RESULT, .id = MT_STR_INIT("1"), .parts = &text, .parts_n = 1};
    struct mt_chat_part two = {
        .kind = MT_PART_TOOL_RESULT, .id = MT_STR_INIT("2"), .parts = &text, .parts_n = 1};
    struct mt_chat_message messages[] = {
        {.role = MT_ROLE_USER, .parts = &said, .parts_n = 1},
        {.role = MT_ROLE_ASSISTANT, .parts = calls, .parts_n = 3},
        {.role = MT_ROLE_TOOL, .parts = &one, .parts_n = 1},
        {.role = MT_ROLE_TOOL, .parts = &two, .parts_n = 1},
        {.role = MT_ROLE_SYSTEM, .parts = &rule, .parts_n = 1},
        {.role = MT_ROLE_USER, .parts = &said, .parts_n = 1},
    };
    struct mt_chat_request q = {
        .arena = &f->arena,
        .dialect = MT_DIALECT_OPENAI_CHAT,
        .messages = messages,
        .messages_n = MT_ARRAY_LEN(messages),
        .effort = MT_EFFORT_NONE,
        .user = MT_STR_INIT("u"),
    };

    assert_int_equal(fixture_encode(f, GEMINI, &q, "gemini-3-pro"), MT_OK);
    assert_string_equal(
        mt_buf_cstr(&f->out),
        "{\"systemInstruction\":{\"parts\":[{\"text\":\"rule\"}]},\"contents\":["
        "{\"role\":\"user\",\"parts\":[{\"text\":\"hi\"}]},"
        "{\"role\":\"model\",\"parts\":[{\"functionCall\":{\"id\":\"1\",\"name\":\"f\","
        "\"args\":{}}"
        ",\"thoughtSignature\":\"skip_thought_signature_validator\"},{\"functionCall\":{\"id\":"
        "\"2\",\"name\":\"g\",\"args\":{}}}]},"
        "{\"role\":\"user\",\"parts\":[{\"functionResponse\":{\"id\":\"1\",\"name\":\"f\","
        "\"response\":{\"result\":\"7\"}}},{\"functionResponse\":{\"id\":\"2\",\"name\":\"g\","
        "\"response\":{\"result\":\"7\"}}}]},{\"role\":\"user\",\"parts\":[{\"text\":\"hi\"}]}]"
        ","
        "\"generationConfig\":{\"thinkingConfig\":{\"thinkingBudget\":0,\"includeThoughts\":"
        "false}"
        "}}");
    assert_string_equal(mt_buf_cstr(&f->path), "/v1beta/models/gemini-3-pro:generateContent");
    const char *notes = mt_buf_cstr(&f->notes.text);
    assert_non_null(strstr(notes, "messages[4]: system message moved to the front"));
    assert_non_null(strstr(notes, "messages[1]: reasoning is not sent to gemini"));
    assert_non_null(strstr(notes, "user: not known to gemini"));
    assert_int_equal(fixture_encode(f, GEMINI, &q, "gemini-2.5-pro"), MT_OK);
    assert_null(strstr(mt_buf_cstr(&f->out), "thoughtSignature"));
}

static const struct mt_chat_request plain_request = {.dialect = MT_DIALECT_GEMINI};
static const struct mt_chat_request thinking_request = {.dialect = MT_DIALECT_GEMINI,
                                                        .include_reasoning = MT_YES};
static const struct mt_chat_reply sse_reply = {
    .request = &thinking_request,
    .route = {.stream = true, .alt_sse = true},
    .id = MT_STR_INIT("r1"),
    .model = MT_STR_INIT("m"),
};
static const struct mt_chat_reply array_reply = {
    .request = &plain_request,
    .route = {.stream = true},
    .id = MT_STR_INIT("r1"),
    .model = MT_STR_INIT("m"),
};
#define TAIL "\"modelVersion\":\"m\",\"responseId\":\"r1\"}"

static const struct mt_token_top tops[] = {{MT_STR_INIT("Hi"), -0.5f}};
static const struct mt_token_logprob probs[] = {{MT_STR_INIT("Hi"), -0.1f, -1, tops, 1}};
static const struct mt_chat_event story[] = {
    {.kind = MT_EVENT_START},
    {.kind = MT_EVENT_REASONING, .text = MT_STR_INIT("hm")},
    {.kind = MT_EVENT_SIGNATURE, .signature = MT_STR_INIT("sig")},
    {.kind = MT_EVENT_TEXT, .text = MT_STR_INIT("Hi"), .logprobs = probs, .logprobs_n = 1},
    {.kind = MT_EVENT_TOOL_CALL,
     .id = MT_STR_INIT("c1"),
     .name = MT_STR_INIT("get"),
     .signature = MT_STR_INIT("s2")},
    {.kind = MT_EVENT_TOOL_ARGS, .text = MT_STR_INIT("{\"a\":\n")},
    {.kind = MT_EVENT_TOOL_ARGS, .text = MT_STR_INIT("1}")},
    {.kind = MT_EVENT_FINISH, .finish = MT_FINISH_TOOL_CALLS},
    {.kind = MT_EVENT_USAGE,
     .usage =
         {.input_tokens = 5, .output_tokens = 9, .cached_tokens = 2, .reasoning_tokens = 4}},
    {.kind = MT_EVENT_END},
};

static void a_stream_is_written_as_sse(void **state)
{
    static const char *const wanted =
        "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"hm\",\"thought\":true}],"
        "\"role\":\"model\"},\"index\":0}]," TAIL "\n\n"
        "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"\",\"thought\":true,"
        "\"thoughtSignature\":\"sig\"}],\"role\":\"model\"},\"index\":0}]," TAIL "\n\n"
        "data: "
        "{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"Hi\"}],\"role\":\"model\"},"
        "\"logprobsResult\":{\"topCandidates\":[{\"candidates\":[{\"token\":\"Hi\","
        "\"logProbability\":-0.5}]}],\"chosenCandidates\":[{\"token\":\"Hi\","
        "\"logProbability\":"
        "-0.1}]},\"index\":0}]," TAIL "\n\n"
        "data: {\"candidates\":[{\"content\":{\"parts\":[{\"functionCall\":{\"id\":\"c1\","
        "\"name\":\"get\",\"args\":{\"a\": "
        "1}},\"thoughtSignature\":\"s2\"}],\"role\":\"model\"},"
        "\"index\":0}]," TAIL "\n\n"
        "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"\"}],\"role\":\"model\"},"
        "\"finishReason\":\"STOP\",\"index\":0}],\"usageMetadata\":{\"promptTokenCount\":5,"
        "\"candidatesTokenCount\":5,\"totalTokenCount\":14,\"cachedContentTokenCount\":2,"
        "\"thoughtsTokenCount\":4}," TAIL "\n\n";

    assert_string_equal(
        fixture_encode_stream(*state, GEMINI, &sse_reply, story, MT_ARRAY_LEN(story)), wanted);
}

static void without_sse_a_stream_is_one_array(void **state)
{
    struct fixture *f = *state;
    char text[4096];

    assert_string_equal(mt_gemini_stream_content_type(&array_reply.route), "application/json");
    assert_string_equal(mt_gemini_stream_content_type(&sse_reply.route), "text/event-stream");
    snprintf(text, sizeof text, "%s",
             fixture_encode_stream(f, GEMINI, &array_reply, story, MT_ARRAY_LEN(story)));
    const struct mt_json *root = fixture_json(f, text);
    assert_int_equal(mt_json_type(root), MT_JSON_ARRAY);
    assert_int_equal(mt_json_count(root), 3); /* thoughts were not asked for */
    assert_null(strstr(text, "thought\""));
}

static void an_error_ends_a_stream_in_both_forms(void **state)
{
    static const struct mt_chat_error error = {
        .kind = MT_CHAT_ERR_OVERLOADED, .message = MT_STR_INIT("busy"), .retry_after_ms = -1};
    static const struct mt_chat_event events[] = {
        {.kind = MT_EVENT_ERROR, .error = &error},
        {.kind = MT_EVENT_END},
    };

    assert_string_equal(fixture_encode_stream(*state, GEMINI, &sse_reply, events, 2),
                        "data: {\"error\":{\"code\":503,\"message\":\"busy\",\"status\":"
                        "\"UNAVAILABLE\"}}\n\n");
    assert_string_equal(fixture_encode_stream(*state, GEMINI, &array_reply, events, 2),
                        "[{\"error\":{\"code\":503,\"message\":\"busy\",\"status\":"
                        "\"UNAVAILABLE\"}}\n]");
}

/* What @google/genai relies on: every event begins with "data:", ends with a blank line, holds
 * one JSON object, and its first candidate has content with parts none of which is empty. */
static void every_chunk_pleases_the_official_client(void **state)
{
    static const struct mt_chat_event ping = {.kind = MT_EVENT_PING};
    struct fixture *f = *state;
    struct mt_chat_event events[MT_ARRAY_LEN(story) + 1];
    bool is_finished = false;

    events[0] = ping;
    memcpy(events + 1, story, sizeof story);
    struct mt_str rest =
        mt_str_of(fixture_encode_stream(f, GEMINI, &sse_reply, events, MT_ARRAY_LEN(events)));
    while (rest.len > 0) {
        MT_CLEANUP(mt_buf_fini) struct mt_buf chunk = MT_BUF_INIT(65536);
        size_t end = mt_str_find(rest, MT_STR("\n\n"));
        const struct mt_json *root = NULL;
        assert_true(end < rest.len);
        assert_true(mt_str_starts(rest, MT_STR("data: ")));
        mt_buf_add(&chunk, mt_str_sub(rest, 6, end));
        rest = mt_str_sub(rest, end + 2, rest.len);
        assert_int_equal(mt_json_parse(f->doc, mt_buf_str(&chunk), &root, &f->err), MT_OK);
        const struct mt_json *candidate = mt_json_first(mt_json_get(root, "candidates"));
        const struct mt_json *content = mt_json_get(candidate, "content");
        assert_true(mt_json_is(mt_json_get(content, "role"), "model"));
        assert_true(mt_json_count(mt_json_get(content, "parts")) > 0);
        for (const struct mt_json *part = mt_json_first(mt_json_get(content, "parts"));
             part != NULL; part = mt_json_next(part))
            assert_true(mt_json_count(part) > 0);
        assert_false(is_finished);
        is_finished = mt_json_get(candidate, "finishReason") != NULL;
    }
    assert_true(is_finished);
}

static void a_whole_answer_has_all_candidates(void **state)
{
    struct fixture *f = *state;
    struct mt_out_part parts[] = {
        {.kind = MT_OUT_REASONING, .text = MT_STR_INIT("hm"), .signature = MT_STR_INIT("s")},
        {.kind = MT_OUT_TEXT,
         .text = MT_STR_INIT("Hi"),
         .signature = MT_STR_INIT("anthropic:x")},
        {.kind = MT_OUT_TOOL_CALL,
         .id = MT_STR_INIT("c"),
         .name = MT_STR_INIT("f"),
         .text = MT_STR_INIT("{}")},
        {.kind = MT_OUT_MEDIA, .mime = MT_STR_INIT("image/png"), .text = MT_STR_INIT("AAAA")},
    };
    struct mt_choice choices[] = {{.parts = parts, .parts_n = 4, .finish = MT_FINISH_STOP},
                                  {.finish = MT_FINISH_FILTER}};
    struct mt_chat_answer answer = {
        .choices = choices, .choices_n = 2, .usage = {.input_tokens = 1, .output_tokens = 2}};

    GEMINI->encode_answer(&array_reply, &answer, &f->out);
    assert_string_equal(
        mt_buf_cstr(&f->out),
        "{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"Hi\"},{\"functionCall\":{\"id\":"
        "\"c\",\"name\":\"f\",\"args\":{}}},{\"inlineData\":{\"mimeType\":\"image/"
        "png\",\"data\":"
        "\"AAAA\"}}],\"role\":\"model\"},\"finishReason\":\"STOP\",\"index\":0},{\"content\":"
        "{\"parts\":[{\"text\":\"\"}],\"role\":\"model\"},\"finishReason\":\"SAFETY\","
        "\"index\":1}"
        "],\"usageMetadata\":{\"promptTokenCount\":1,\"candidatesTokenCount\":2,"
        "\"totalTokenCount\":3}," TAIL);
}

static void streams_become_events_however_they_are_cut(void **state)
{
    static const struct {
        const char *bytes, *events;
    } rows[] = {
        {"data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"hm\",\"thought\":true}],"
         "\"role\":\"model\"},\"index\":0}],\"usageMetadata\":{\"promptTokenCount\":5},"
         "\"modelVersion\":\"g\",\"responseId\":\"r\"}\r\n\r\n"
         "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"Hi\"},{\"functionCall\":"
         "{\"name\":\"f\",\"args\":{\"a\":1}},\"thoughtSignature\":\"S\"},{\"functionCall\":"
         "{\"id\":\"x\",\"name\":\"g\"}}]},\"finishReason\":\"STOP\"}],\"usageMetadata\":"
         "{\"promptTokenCount\":5,\"candidatesTokenCount\":3,\"thoughtsTokenCount\":4,"
         "\"cachedContentTokenCount\":1}}\r\n\r\n",
         "START id=r model=g | REASONING 0 hm | TEXT 0 Hi | CALL 0.0 call_ef49fd1d76b1_0_0 f "
         "signature=gemini:S | ARGS 0.0 {\"a\":1} | CALL 0.1 x g | ARGS 0.1 {} | FINISH 0 "
         "tool_calls "
         "| "
         "USAGE 5+7 c1 w0 r4 | END"},
        {"data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"a\"}]},\"index\":1,"
         "\"finishReason\":\"STOP\"},{\"content\":{\"parts\":[{\"text\":\"b\"}]},\"index\":0}]}"
         "\n\n"
         "data: "
         "{\"candidates\":[{\"finishReason\":\"MAX_TOKENS\",\"index\":0,\"logprobsResult\":"
         "{\"chosenCandidates\":[{\"token\":\"b\",\"logProbability\":-1}],\"topCandidates\":[{"
         "\"candidates\":[{\"token\":\"b\",\"logProbability\":-1}]}]}}]}\n\n",
         "START id= model= | TEXT 1 a | TEXT 0 b | TEXT 0  [b -1.00 top 1] | FINISH 0 length | "
         "FINISH 1 stop | USAGE 0+0 c0 w0 r0 | END"},
        {"data: {\"promptFeedback\":{\"blockReason\":\"SAFETY\"},\"usageMetadata\":"
         "{\"promptTokenCount\":3}}\n\n",
         "START id= model= | FINISH 0 filter | USAGE 3+0 c0 w0 r0 | END"},
        {"data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"a\"}]}}]}\n\n"
         "data: {\"error\":{\"code\":429,\"message\":\"slow down\",\"status\":"
         "\"RESOURCE_EXHAUSTED\"}}\n\n",
         "START id= model= | TEXT 0 a | ERROR rate_limit_exceeded: slow down"},
        {"data: "
         "[{\"error\":{\"code\":503,\"message\":\"busy\",\"status\":\"UNAVAILABLE\"}}]\n\n",
         "ERROR overloaded: busy"},
        {"data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"a\"}]}}]}\n\n",
         "START id= model= | TEXT 0 a ! the answer ended before the finish reason of candidate "
         "0"},
        {"", " ! the answer ended without a candidate"},
        {"data: {\"candidates\":[{\"index\":16}]}\n\n",
         "START id= model= ! candidates: expected objects with an index below 16"},
    };

    for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++)
        assert_string_equal(fixture_stream_text(*state, GEMINI, rows[i].bytes), rows[i].events);
}

static void what_we_write_we_can_read(void **state)
{
    struct fixture *f = *state;
    char bytes[4096];

    snprintf(bytes, sizeof bytes, "%s",
             fixture_encode_stream(f, GEMINI, &sse_reply, story, MT_ARRAY_LEN(story)));
    assert_string_equal(fixture_stream_text(f, GEMINI, bytes),
                        "START id=r1 model=m | REASONING 0 hm | SIGNATURE 0 gemini:sig | TEXT "
                        "0 Hi [Hi -0.10 top 1] | "
                        "CALL 0.0 c1 get signature=gemini:s2 | ARGS 0.0 {\"a\": 1} | FINISH 0 "
                        "tool_calls | USAGE 5+9 "
                        "c2 "
                        "w0 r4 | END");
}

static void all_finish_reasons_mean_something(void **state)
{
    static const struct {
        const char *word, *finish;
    } rows[] = {
        {"STOP", "stop"},
        {"MAX_TOKENS", "length"},
        {"SAFETY", "filter"},
        {"RECITATION", "filter"},
        {"LANGUAGE", "filter"},
        {"OTHER", "unknown"},
        {"BLOCKLIST", "filter"},
        {"PROHIBITED_CONTENT", "filter"},
        {"SPII", "filter"},
        {"MALFORMED_FUNCTION_CALL", "unknown"},
        {"IMAGE_SAFETY", "filter"},
        {"UNEXPECTED_TOOL_CALL", "unknown"},
        {"TOO_MANY_TOOL_CALLS", "unknown"},
        {"IMAGE_PROHIBITED_CONTENT", "filter"},
        {"NO_IMAGE", "unknown"},
        {"IMAGE_RECITATION", "filter"},
        {"IMAGE_OTHER", "unknown"},
        {"CONTINUATION", "pause"},
        {"SOMETHING_NEW", "unknown"},
    };

    for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
        char body[256];
        char wanted[256];
        snprintf(body, sizeof body,
                 "{\"candidates\":[{\"content\":{\"parts\":[]},\"finishReason\":\"%s\"}]}",
                 rows[i].word);
        snprintf(wanted, sizeof wanted,
                 "START id= model= | FINISH 0 %s | USAGE 0+0 c0 w0 r0 | END", rows[i].finish);
        assert_string_equal(fixture_answer_text(*state, GEMINI, body), wanted);
    }
}

static void errors_are_written_and_read(void **state)
{
    static const struct {
        int status;
        const char *body;
        enum mt_chat_error_kind kind;
        const char *message;
        int64_t retry_after_ms;
    } rows[] = {
        {429,
         "{\"error\":{\"code\":429,\"message\":\"quota\",\"status\":\"RESOURCE_EXHAUSTED\","
         "\"details\":[{\"@type\":\"type.googleapis.com/google.rpc.RetryInfo\",\"retryDelay\":"
         "\"34.5s\"}]}}",
         MT_CHAT_ERR_RATE_LIMIT, "quota", 34500},
        {400,
         "[{\"error\":{\"code\":400,\"message\":\"bad key\",\"status\":\"INVALID_ARGUMENT\","
         "\"details\":[{\"reason\":\"API_KEY_INVALID\"}]}}]",
         MT_CHAT_ERR_AUTH, "bad key", -1},
        {400,
         "{\"error\":{\"code\":400,\"message\":\"The input token count (9) exceeds the maximum "
         "number of tokens allowed (5).\",\"status\":\"INVALID_ARGUMENT\"}}",
         MT_CHAT_ERR_CONTEXT,
         "The input token count (9) exceeds the maximum number of tokens allowed (5).", -1},
        {502, "<html><title>Bad Gateway</title></html>", MT_CHAT_ERR_UPSTREAM, "Bad Gateway",
         -1},
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
        struct mt_chat_scratch scratch = {f->frame_doc, &f->frame_arena};
        struct mt_chat_error error;
        mt_buf_clear(&f->text);
        mt_buf_add_cstr(&f->text, rows[i].body);
        GEMINI->decode_error(rows[i].status, mt_buf_str(&f->text), &scratch, &error);
        mt_check_row(rows[i].body, error.kind == rows[i].kind);
        mt_check_row(rows[i].body, mt_str_is(error.message, rows[i].message));
        mt_check_row(rows[i].body, error.retry_after_ms == rows[i].retry_after_ms);
    }
    struct mt_chat_error error = {
        .kind = MT_CHAT_ERR_RATE_LIMIT, .message = MT_STR_INIT("slow"), .retry_after_ms = 1500};
    GEMINI->encode_error(&error, &f->out);
    assert_string_equal(mt_buf_cstr(&f->out),
                        "{\"error\":{\"code\":429,\"message\":\"slow\",\"status\":"
                        "\"RESOURCE_EXHAUSTED\",\"details\":[{\"@type\":\"type.googleapis.com/"
                        "google.rpc.RetryInfo\",\"retryDelay\":\"1.500s\"}]}}");
}

static void the_fast_lane_peeks_and_forwards(void **state)
{
    struct fixture *f = *state;
    struct mt_chat_peek peek = {0};
    struct mt_chat_route route = {.model = MT_STR("a"), .stream = true, .alt_sse = true};
    const struct mt_json *root = fixture_json(
        f, "{" ASK ",\"motet\":{},\"generation_config\":{\"max_output_tokens\":5}}");

    assert_int_equal(GEMINI->peek(root, &route, &f->arena, &peek, &f->err), MT_OK);
    assert_true(mt_str_is(peek.model, "a") && peek.stream && peek.max_tokens.value == 5);
    assert_false(peek.needs_canonical);
    GEMINI->forward_body(root, mt_buf_str(&f->text), MT_STR("b"), &f->out);
    assert_string_equal(mt_buf_cstr(&f->out),
                        "{" ASK ",\"generation_config\":{\"max_output_tokens\":5}}");
    GEMINI->forward_path(&peek, MT_STR("b/c"), &f->path);
    assert_string_equal(mt_buf_cstr(&f->path),
                        "/v1beta/models/b%2Fc:streamGenerateContent?alt=sse");
    route.alt_sse = false;
    assert_int_equal(GEMINI->peek(root, &route, &f->arena, &peek, &f->err), MT_OK);
    assert_true(peek.needs_canonical);
}

static void the_meter_keeps_the_last_count(void **state)
{
    static const char *const chunks[] = {
        "{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"a\"}]}}],\"usageMetadata\":"
        "{\"promptTokenCount\":3,\"candidatesTokenCount\":1}}",
        "{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"\"}]},\"finishReason\":\"STOP\"}"
        "],"
        "\"usageMetadata\":{\"promptTokenCount\":3,\"candidatesTokenCount\":8}}",
    };
    struct fixture *f = *state;
    struct mt_chat_meter meter = {0};
    struct mt_chat_scratch scratch = {f->frame_doc, &f->frame_arena};

    for (size_t i = 0; i < MT_ARRAY_LEN(chunks); i++) {
        mt_buf_clear(&f->text);
        mt_buf_add_cstr(&f->text, chunks[i]);
        struct mt_frame frame = {.data = mt_buf_str(&f->text), .raw = mt_buf_str(&f->text)};
        assert_int_equal(GEMINI->meter_frame(&meter, &frame, true, &scratch), MT_METER_FORWARD);
    }
    assert_int_equal(meter.deltas_n, 1);
    assert_true(meter.has_content && meter.has_usage && meter.is_finished && !meter.has_error);
    assert_int_equal(meter.usage.output_tokens, 8);
}

static void decoding_survives_any_oom(void **state)
{
    struct fixture *f = *state;
    const struct mt_json *root = fixture_json(f, whole);

    for (long nth = 0;; nth++) {
        struct mt_arena arena = MT_ARENA_INIT(1 << 20);
        struct mt_chat_request q = {.arena = &arena};
        struct mt_chat_route route = {0};
        mt_alloc_fail_after = nth;
        mt_rc rc = GEMINI->decode_request(root, &route, &q, &f->err);
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
        "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"t\\n\",\"thought\":true,"
        "\"thoughtSignature\":\"s\"},{\"text\":\"a\\nb\"},{\"functionCall\":{\"name\":\"f\"}}]}"
        ","
        "\"finishReason\":\"STOP\"}]}\n\n";
    struct fixture *f = *state;
    char wanted[1024];

    snprintf(wanted, sizeof wanted, "%s", fixture_stream_text(f, GEMINI, bytes));
    for (long nth = 0;; nth++) {
        mt_arena_fini(&f->arena);
        mt_arena_fini(&f->frame_arena);
        mt_buf_clear(&f->log);
        mt_alloc_fail_after = nth;
        mt_rc rc = fixture_decode_stream(f, GEMINI, bytes, 1 << 20, fixture_log, &f->log);
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
    struct fixture *f = *state;
    struct mt_chat_request q;

    assert_int_equal(fixture_decode(f, GEMINI, whole, &q), MT_OK);
    for (long nth = 0;; nth++) {
        struct mt_arena arena = MT_ARENA_INIT(1 << 20);
        struct mt_buf out = MT_BUF_INIT(1 << 20);
        struct mt_buf path = MT_BUF_INIT(1 << 10);
        void *encoder = NULL;
        q.arena = &arena;
        mt_alloc_fail_after = nth;
        mt_rc rc = GEMINI->encode_request(&q, MT_STR("m"), &out, &path, NULL, NULL);
        if (rc == MT_OK)
            rc = GEMINI->encoder_new(&sse_reply, &arena, &encoder, NULL);
        for (size_t i = 0; rc == MT_OK && i < MT_ARRAY_LEN(story); i++)
            GEMINI->encode_event(encoder, &story[i], &out);
        mt_alloc_fail_after = -1;
        if (rc == MT_OK)
            rc = out.rc;
        mt_arena_fini(&arena);
        mt_buf_fini(&out);
        mt_buf_fini(&path);
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
        T(paths_come_apart),
        T(everything_is_read),
        T(a_request_survives_a_round_trip),
        T(both_spellings_are_read),
        T(schemas_become_json_schema),
        T(deep_schemas_are_refused),
        T(responses_find_their_calls),
        T(bad_bodies_name_the_place),
        T(counting_reads_both_bodies),
        T(foreign_conversations_are_put_in_order),
        T(a_stream_is_written_as_sse),
        T(without_sse_a_stream_is_one_array),
        T(an_error_ends_a_stream_in_both_forms),
        T(every_chunk_pleases_the_official_client),
        T(a_whole_answer_has_all_candidates),
        T(streams_become_events_however_they_are_cut),
        T(what_we_write_we_can_read),
        T(all_finish_reasons_mean_something),
        T(errors_are_written_and_read),
        T(the_fast_lane_peeks_and_forwards),
        T(the_meter_keeps_the_last_count),
        T(decoding_survives_any_oom),
        T(a_stream_survives_any_oom),
        T(encoding_survives_any_oom),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
