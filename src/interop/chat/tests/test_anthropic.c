/* SPDX-License-Identifier: Apache-2.0 */
/* Anthropic Messages in both roles. Streams for clients are judged by a reader as strict as the
 * vendor's own client library: it takes events by their name and in their order only. */
#include "chat_fixture.h"

#include "chat/collect.h"

static const struct mt_chat_codec *const codec = &mt_codec_anthropic;

/* --- a strict reader of Messages streams --- */

struct strict {
    struct fixture *f;
    struct mt_buf *story; /* what was read: "text(..) tool(id name {..}) stop=.. in+out" */
    int64_t blocks_n;
    bool is_started, is_open, has_delta, is_stopped, has_error;
};

static struct mt_str member(struct strict *s, const struct mt_json *object, const char *key)
{
    struct mt_str text = {NULL, 0};

    (void)mt_json_str(mt_json_get(object, key), &s->f->frame_arena, &text);
    return text;
}

static int64_t number(const struct mt_json *object, const char *key)
{
    int64_t value = -1;

    (void)mt_json_i64(mt_json_get(object, key), 0, INT64_MAX, &value);
    return value;
}

static void strict_start(struct strict *s, const struct mt_json *root)
{
    const struct mt_json *message = mt_json_get(root, "message");
    const struct mt_json *usage = mt_json_get(message, "usage");

    assert_false(s->is_started);
    s->is_started = true;
    assert_true(mt_str_starts(member(s, message, "id"), MT_STR("msg_")));
    assert_true(mt_json_is(mt_json_get(message, "type"), "message"));
    assert_true(mt_json_is(mt_json_get(message, "role"), "assistant"));
    assert_int_equal(mt_json_count(mt_json_get(message, "content")), 0);
    assert_int_equal(mt_json_type(mt_json_get(message, "stop_reason")), MT_JSON_NULL);
    assert_true(number(usage, "input_tokens") >= 0 && number(usage, "output_tokens") >= 0);
    mt_buf_addf(s->story, "in=%lld ", (long long)number(usage, "input_tokens"));
}

static void strict_block_start(struct strict *s, const struct mt_json *root)
{
    const struct mt_json *block = mt_json_get(root, "content_block");
    struct mt_str type = member(s, block, "type");

    assert_true(s->is_started && !s->is_open && !s->has_delta);
    assert_int_equal(number(root, "index"), s->blocks_n);
    s->blocks_n++;
    s->is_open = true;
    mt_buf_addf(s->story, "%.*s(", MT_STR_ARG(type));
    if (mt_str_is(type, "tool_use")) {
        assert_int_equal(mt_json_type(mt_json_get(block, "input")), MT_JSON_OBJECT);
        mt_buf_addf(s->story, "%.*s %.*s ", MT_STR_ARG(member(s, block, "id")),
                    MT_STR_ARG(member(s, block, "name")));
    } else if (mt_str_is(type, "redacted_thinking")) {
        mt_buf_add(s->story, member(s, block, "data"));
    } else {
        assert_true(
            mt_json_is(mt_json_get(block, mt_str_is(type, "text") ? "text" : "thinking"), ""));
    }
}

static void strict_delta(struct strict *s, const struct mt_json *root)
{
    const struct mt_json *delta = mt_json_get(root, "delta");
    struct mt_str type = member(s, delta, "type");
    const char *key = mt_str_is(type, "text_delta")         ? "text"
                      : mt_str_is(type, "thinking_delta")   ? "thinking"
                      : mt_str_is(type, "input_json_delta") ? "partial_json"
                                                            : "signature";

    assert_true(s->is_open);
    assert_int_equal(number(root, "index"), s->blocks_n - 1);
    assert_int_equal(mt_json_type(mt_json_get(delta, key)), MT_JSON_STRING);
    if (mt_str_is(type, "signature_delta"))
        mt_buf_add_cstr(s->story, " sig:");
    mt_buf_add(s->story, member(s, delta, key));
}

static mt_rc strict_frame(void *ctx, const struct mt_frame *frame, struct mt_err *err)
{
    struct strict *s = ctx;
    const struct mt_json *root = NULL;

    mt_arena_clear(&s->f->frame_arena);
    assert_false(s->is_stopped || s->has_error);
    MT_TRY(mt_json_parse(s->f->frame_doc, frame->data, &root, err));
    assert_true(mt_str_eq(frame->event, member(s, root, "type"))); /* clients go by the name */
    if (mt_str_is(frame->event, "ping")) {
        mt_buf_add_cstr(s->story, "ping ");
    } else if (mt_str_is(frame->event, "message_start")) {
        strict_start(s, root);
    } else if (mt_str_is(frame->event, "content_block_start")) {
        strict_block_start(s, root);
    } else if (mt_str_is(frame->event, "content_block_delta")) {
        strict_delta(s, root);
    } else if (mt_str_is(frame->event, "content_block_stop")) {
        assert_true(s->is_open);
        assert_int_equal(number(root, "index"), s->blocks_n - 1);
        s->is_open = false;
        mt_buf_add_cstr(s->story, ") ");
    } else if (mt_str_is(frame->event, "message_delta")) {
        const struct mt_json *usage = mt_json_get(root, "usage");
        assert_true(s->is_started && !s->is_open && !s->has_delta);
        s->has_delta = true;
        mt_buf_addf(s->story, "%.*s[%.*s] %lld+%lld",
                    MT_STR_ARG(member(s, mt_json_get(root, "delta"), "stop_reason")),
                    MT_STR_ARG(member(s, mt_json_get(root, "delta"), "stop_sequence")),
                    (long long)number(usage, "input_tokens"),
                    (long long)number(usage, "output_tokens"));
        if (number(usage, "cache_read_input_tokens") > 0)
            mt_buf_addf(s->story, " cached %lld",
                        (long long)number(usage, "cache_read_input_tokens"));
    } else if (mt_str_is(frame->event, "message_stop")) {
        assert_true(s->has_delta);
        s->is_stopped = true;
    } else if (mt_str_is(frame->event, "error")) {
        s->has_error = true;
        mt_buf_addf(s->story, "error %.*s",
                    MT_STR_ARG(member(s, mt_json_get(root, "error"), "type")));
    } else {
        fail_msg("unknown event '%.*s'", MT_STR_ARG(frame->event));
    }
    return MT_OK;
}

/* The stream as a client would understand it; fails the test where a client would. */
static const char *read_strictly(struct fixture *f, const char *stream)
{
    struct strict s = {.f = f, .story = &f->log};
    struct mt_frames frames;

    mt_buf_clear(&f->log);
    mt_frames_init(&frames, MT_FRAMING_SSE, FIXTURE_TEXT_MAX);
    assert_int_equal(mt_frames_feed(&frames, mt_str_of(stream), strict_frame, &s, &f->err),
                     MT_OK);
    assert_int_equal(mt_frames_pending(&frames), 0);
    mt_frames_fini(&frames);
    assert_true(s.is_stopped || s.has_error);
    return mt_buf_cstr(&f->log);
}

static const struct mt_chat_reply reply = {
    .id = MT_STR_INIT("0123456789abcdefghjkmnpqrs"),
    .model = MT_STR_INIT("auto"),
    .input_tokens = 11,
};

#define TEXT(words)                                       \
    {                                                     \
        .kind = MT_EVENT_TEXT, .text = MT_STR_INIT(words) \
    }
#define THINK(words)                                           \
    {                                                          \
        .kind = MT_EVENT_REASONING, .text = MT_STR_INIT(words) \
    }
#define CALL(n, i, nm)                                                                         \
    {                                                                                          \
        .kind = MT_EVENT_TOOL_CALL, .tool = (n), .id = MT_STR_INIT(i), .name = MT_STR_INIT(nm) \
    }
#define ARGS(n, words)                                                      \
    {                                                                       \
        .kind = MT_EVENT_TOOL_ARGS, .tool = (n), .text = MT_STR_INIT(words) \
    }
#define FINISH(why)                              \
    {                                            \
        .kind = MT_EVENT_FINISH, .finish = (why) \
    }
#define USAGE(i, o, c)                     \
    {                                      \
        .kind = MT_EVENT_USAGE, .usage = { \
            .input_tokens = (i),           \
            .output_tokens = (o),          \
            .cached_tokens = (c)           \
        }                                  \
    }
#define ONLY(what)     \
    {                  \
        .kind = (what) \
    }

static const struct mt_chat_error overloaded = {
    .kind = MT_CHAT_ERR_OVERLOADED, .message = MT_STR_INIT("busy"), .retry_after_ms = -1};

static const struct stream_case {
    const char *name;
    struct mt_chat_event events[16];
    const char *story;
} stream_cases[] = {
    {"text, with the estimate first and the true count last",
     {ONLY(MT_EVENT_START), TEXT("Hel"), TEXT("lo"), FINISH(MT_FINISH_STOP), USAGE(30, 2, 20),
      ONLY(MT_EVENT_END)},
     "in=11 text(Hello) end_turn[] 10+2 cached 20"},
    {"thinking is signed before its block stops",
     {ONLY(MT_EVENT_START),
      THINK("hm"),
      {.kind = MT_EVENT_SIGNATURE, .signature = MT_STR_INIT("anthropic:c2ln")},
      TEXT("so"),
      FINISH(MT_FINISH_LENGTH),
      ONLY(MT_EVENT_END)},
     "in=11 thinking(hm sig:c2ln) text(so) max_tokens[] 11+0"},
    {"redacted thinking, and another maker's keeps its tag",
     {ONLY(MT_EVENT_START),
      {.kind = MT_EVENT_REASONING,
       .is_redacted = true,
       .signature = MT_STR_INIT("gemini:eA==")},
      TEXT("so"),
      FINISH(MT_FINISH_STOP),
      ONLY(MT_EVENT_END)},
     "in=11 redacted_thinking(gemini:eA==) text(so) end_turn[] 11+0"},
    {"pings anywhere, even first",
     {ONLY(MT_EVENT_PING), ONLY(MT_EVENT_START), TEXT("a"), ONLY(MT_EVENT_PING), TEXT("b"),
      FINISH(MT_FINISH_STOP), ONLY(MT_EVENT_END)},
     "ping in=11 text(aping b) end_turn[] 11+0"},
    {"two calls one after the other",
     {ONLY(MT_EVENT_START), TEXT("x"), CALL(0, "c0", "f"), ARGS(0, "{\"a\":"), ARGS(0, "1}"),
      CALL(1, "c1", "g"), ARGS(1, "{}"), FINISH(MT_FINISH_TOOL_CALLS), ONLY(MT_EVENT_END)},
     "in=11 text(x) tool_use(c0 f {\"a\":1}) tool_use(c1 g {}) tool_use[] 11+0"},
    {"calls whose fragments come mixed",
     {ONLY(MT_EVENT_START), CALL(0, "c0", "f"), CALL(1, "c1", "g"), ARGS(0, "{\"a\":\"}"),
      ARGS(1, "{\"b\":"), ARGS(0, "\\\"\"}"), ARGS(1, "2}"), CALL(2, "c2", "h"),
      ARGS(2, "{\"c\":3}"), FINISH(MT_FINISH_STOP), ONLY(MT_EVENT_END)},
     "in=11 tool_use(c0 f {\"a\":\"}\\\"\"}) tool_use(c1 g {\"b\":2}) tool_use(c2 h {\"c\":3}) "
     "tool_use[] 11+0"},
    {"a call without arguments, then text",
     {ONLY(MT_EVENT_START), CALL(0, "c0", "f"), TEXT("and"), FINISH(MT_FINISH_TOOL_CALLS),
      ONLY(MT_EVENT_END)},
     "in=11 tool_use(c0 f ) text(and) tool_use[] 11+0"},
    {"a fragment for a call that is over ends the stream",
     {ONLY(MT_EVENT_START), CALL(0, "c0", "f"), ARGS(0, "{\"a\""), TEXT("and"), ARGS(0, ":1}"),
      TEXT("never"), ONLY(MT_EVENT_END)},
     "in=11 tool_use(c0 f {\"a\") text(anderror api_error"},
    {"an error in the middle",
     {ONLY(MT_EVENT_START), TEXT("x"), {.kind = MT_EVENT_ERROR, .error = &overloaded}},
     "in=11 text(xerror overloaded_error"},
    {"an error before anything",
     {{.kind = MT_EVENT_ERROR, .error = &overloaded}},
     "error overloaded_error"},
    {"a stop sequence",
     {ONLY(MT_EVENT_START),
      TEXT("x"),
      {.kind = MT_EVENT_FINISH, .finish = MT_FINISH_STOP, .stop_sequence = MT_STR_INIT("\n\n")},
      ONLY(MT_EVENT_END)},
     "in=11 text(x) stop_sequence[\n\n] 11+0"},
    {"an empty answer",
     {ONLY(MT_EVENT_START), FINISH(MT_FINISH_STOP), ONLY(MT_EVENT_END)},
     "in=11 end_turn[] 11+0"},
    {"no start, no id, a budget spent",
     {CALL(0, "", "f"), ARGS(0, "{}"), FINISH(MT_FINISH_BUDGET), ONLY(MT_EVENT_END)},
     "in=11 tool_use(toolu_0123456789abcdefghjkmnpqrs_0 f {}) max_tokens[] 11+0"},
};

static size_t events_of(const struct stream_case *row)
{
    size_t n = MT_ARRAY_LEN(row->events);

    while (row->events[n - 1].kind == MT_EVENT_START)
        n--; /* START is 0: a slot that is not used */
    return n;
}

static void streams_satisfy_a_strict_reader(void **unused)
{
    struct fixture f;

    (void)unused;
    fixture_init(&f);
    for (size_t i = 0; i < MT_ARRAY_LEN(stream_cases); i++) {
        const struct stream_case *row = &stream_cases[i];
        fixture_encode_stream(&f, codec, &reply, row->events, events_of(row));
        const char *story = read_strictly(&f, mt_buf_cstr(&f.out));
        if (strcmp(story, row->story) != 0)
            fail_msg("row '%s':\n%s, expected\n%s", row->name, story, row->story);
    }
    fixture_fini(&f);
}

/* --- streams of an endpoint --- */

#define SSE(name, data) "event: " name "\ndata: {\"type\":\"" name "\"" data "}\n\n"
#define UP_START                                                                        \
    SSE("message_start",                                                                \
        ",\"message\":{\"id\":\"msg_1\",\"type\":\"message\",\"role\":\"assistant\","   \
        "\"model\":"                                                                    \
        "\"claude\",\"content\":[],\"stop_reason\":null,\"usage\":{\"input_tokens\":5," \
        "\"cache_read_input_tokens\":3,\"cache_creation_input_tokens\":2,"              \
        "\"output_tokens\":1}}")
#define UP_STOP(reason, out)                                                                 \
    SSE("message_delta", ",\"delta\":{\"stop_reason\":\"" reason                             \
                         "\",\"stop_sequence\":null},\"usage\":{\"output_tokens\":" out "}") \
    SSE("message_stop", "")
#define UP_BLOCK(i, block) \
    SSE("content_block_start", ",\"index\":" i ",\"content_block\":" block)
#define UP_DELTA(i, delta) SSE("content_block_delta", ",\"index\":" i ",\"delta\":" delta)
#define UP_END(i)          SSE("content_block_stop", ",\"index\":" i)

static const struct {
    const char *name;
    const char *stream;
    const char *events;
} upstream_cases[] = {
    {"text, cached input counted in",
     UP_START SSE("ping", "") UP_BLOCK("0", "{\"type\":\"text\",\"text\":\"\"}") UP_DELTA(
         "0", "{\"type\":\"text_delta\",\"text\":\"Hi\"}") UP_END("0") UP_STOP("end_turn", "7"),
     "START id=msg_1 model=claude | TEXT 0 Hi | FINISH 0 stop | USAGE 10+7 c3 w2 r0 | END"},
    {"thinking, then two tools with dense indices",
     UP_START UP_BLOCK("0", "{\"type\":\"thinking\",\"thinking\":\"\",\"signature\":\"\"}")
         UP_DELTA("0", "{\"type\":\"thinking_delta\",\"thinking\":\"hm\"}") UP_DELTA(
             "0", "{\"type\":\"signature_delta\",\"signature\":\"c2ln\"}") UP_END("0")
             UP_BLOCK("1", "{\"type\":\"tool_use\",\"id\":\"t1\",\"name\":\"f\",\"input\":{}}")
                 UP_DELTA("1", "{\"type\":\"input_json_delta\",\"partial_json\":\"\"}")
                     UP_DELTA("1", "{\"type\":\"input_json_delta\",\"partial_json\":\"{"
                                   "\\\"a\\\":1}\"}") UP_END("1")
                         UP_BLOCK("2", "{\"type\":\"tool_use\",\"id\":\"t2\",\"name\":\"g\","
                                       "\"input\":{}}") UP_END("2") UP_STOP("tool_use", "9"),
     "START id=msg_1 model=claude | REASONING 0 hm | SIGNATURE 0 anthropic:c2ln | "
     "CALL 0.0 t1 f | ARGS 0.0 {\"a\":1} | CALL 0.1 t2 g | ARGS 0.1 {} | FINISH 0 tool_calls | "
     "USAGE 10+9 c3 w2 r0 | END"},
    {"blocks of hosted tools are passed over",
     UP_START UP_BLOCK("0",
                       "{\"type\":\"server_tool_use\",\"id\":\"s\",\"name\":\"web_search\"}")
         UP_DELTA("0", "{\"type\":\"input_json_delta\",\"partial_json\":\"{}\"}") UP_END("0")
             UP_BLOCK("1", "{\"type\":\"text\",\"text\":\"a\"}") UP_END("1")
                 UP_STOP("pause_turn", "2"),
     "START id=msg_1 model=claude | TEXT 0 a | FINISH 0 pause | USAGE 10+2 c3 w2 r0 | END"},
    {"an error event",
     UP_START SSE("error", ",\"error\":{\"type\":\"overloaded_error\",\"message\":\"busy\"}"),
     "START id=msg_1 model=claude | ERROR overloaded: busy"},
    {"cut before the end", UP_START UP_BLOCK("0", "{\"type\":\"text\",\"text\":\"a\"}"),
     "START id=msg_1 model=claude | TEXT 0 a ! the stream ended before its message did"},
    {"only the last word missing",
     UP_START SSE("message_delta",
                  ",\"delta\":{\"stop_reason\":\"refusal\"},\"usage\":{\"output_tokens\":4}"),
     "START id=msg_1 model=claude | FINISH 0 refusal | USAGE 10+4 c3 w2 r0 | END"},
    {"no start", UP_BLOCK("0", "{\"type\":\"text\",\"text\":\"a\"}"),
     " ! stream: expected message_start first"},
    {"not JSON", "event: message_start\ndata: {\n\n", " ! stream: a frame that is not JSON"},
    {"a bad index", UP_START UP_BLOCK("99999", "{\"type\":\"text\"}"),
     "START id=msg_1 model=claude ! stream: a content block with a bad index"},
    {"empty", "", " ! the stream ended before its message did"},
};

static void endpoint_streams_become_events(void **unused)
{
    struct fixture f;

    (void)unused;
    fixture_init(&f);
    for (size_t i = 0; i < MT_ARRAY_LEN(upstream_cases); i++) {
        const char *events = fixture_stream_text(&f, codec, upstream_cases[i].stream);
        if (strcmp(events, upstream_cases[i].events) != 0)
            fail_msg("row '%s':\n%s, expected\n%s", upstream_cases[i].name, events,
                     upstream_cases[i].events);
    }
    fixture_fini(&f);
}

static void whole_answers_become_events(void **unused)
{
    struct fixture f;

    (void)unused;
    fixture_init(&f);
    assert_string_equal(
        fixture_answer_text(
            &f, codec,
            "{\"id\":\"msg_1\",\"type\":\"message\",\"model\":\"claude\",\"content\":["
            "{\"type\":\"redacted_thinking\",\"data\":\"eA==\"},{\"type\":\"text\",\"text\":"
            "\"Hi\"},{\"type\":\"tool_use\",\"id\":\"t\",\"name\":\"f\",\"input\":{\"a\":1}}],"
            "\"stop_reason\":\"tool_use\",\"usage\":{\"input_tokens\":1,\"output_tokens\":2,"
            "\"output_tokens_details\":{\"thinking_tokens\":1}}}"),
        "START id=msg_1 model=claude | REASONING 0 redacted anthropic:eA== | TEXT 0 Hi | "
        "CALL 0.0 t f | ARGS 0.0 {\"a\":1} | FINISH 0 tool_calls | USAGE 1+2 c0 w0 r1 | END");
    assert_string_equal(
        fixture_answer_text(&f, codec,
                            "{\"type\":\"error\",\"error\":{\"type\":\"rate_limit_error\","
                            "\"message\":\"slow\"}}"),
        "ERROR rate_limit_exceeded: slow");
    assert_string_equal(fixture_answer_text(&f, codec, "{}"),
                        " ! answer.content: expected an array, found nothing");
    fixture_fini(&f);
}

/* --- requests --- */

#define ASK     "\"model\":\"m\",\"max_tokens\":100,\"messages\":"
#define USER_HI "[{\"role\":\"user\",\"content\":\"hi\"}]"

static const struct {
    const char *body;
    const char *words; /* the error's */
} bad_requests[] = {
    {"[]", "body: expected an object, found an array"},
    {"{}", "model: field required"},
    {"{\"model\":\"m\",\"messages\":" USER_HI "}", "max_tokens: field required"},
    {"{\"model\":\"m\",\"max_tokens\":0,\"messages\":" USER_HI "}", "max_tokens: "},
    {"{\"model\":\"m\",\"max_tokens\":1}", "messages: field required"},
    {"{" ASK "{}}", "messages: expected an array, found an object"},
    {"{" ASK "[]}", "messages: at least one message is required"},
    {"{" ASK "[1]}", "messages[0]: expected an object, found a number"},
    {"{" ASK "[{\"role\":\"tool\",\"content\":\"x\"}]}", "messages[0].role: expected 'user'"},
    {"{" ASK "[{\"role\":\"user\",\"content\":1}]}",
     "messages[0].content: expected a string or an array"},
    {"{" ASK "[{\"role\":\"user\",\"content\":[{\"type\":\"text\"}]}]}",
     "messages[0].content[0].text: field required"},
    {"{" ASK "[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":[]}]}]}",
     "messages[0].content[0].text: expected a string, found an array"},
    {"{" ASK "[{\"role\":\"user\",\"content\":[{\"type\":\"image\"}]}]}",
     "messages[0].content[0].source: expected an object"},
    {"{" ASK "[{\"role\":\"user\",\"content\":[{\"type\":\"image\",\"source\":{\"type\":"
     "\"base64\",\"data\":\"AA\"}}]}]}",
     "source.media_type: field required"},
    {"{" ASK "[{\"role\":\"user\",\"content\":[{\"type\":\"search_result\"}]}]}",
     "messages[0].content[0].type: a block \"search_result\" cannot"},
    {"{" ASK "[{\"role\":\"user\",\"content\":[{\"type\":\"tool_use\",\"id\":\"a\",\"name\":"
     "\"f\",\"input\":{}}]}]}",
     "a 'tool_use' block may not stand in this role"},
    {"{" ASK "[{\"role\":\"assistant\",\"content\":[{\"type\":\"tool_use\",\"id\":\"a\","
     "\"name\":\"f\"}]}]}",
     "input: field required"},
    {"{" ASK "[{\"role\":\"user\",\"content\":[{\"type\":\"tool_result\",\"tool_use_id\":\"a\","
     "\"content\":[{\"type\":\"thinking\"}]}]}]}",
     "a 'thinking' block may not stand here"},
    {"{" ASK USER_HI
     ",\"system\":[{\"type\":\"image\",\"source\":{\"type\":\"url\",\"url\":\"u\"}}]}",
     "system[0]: expected a text block"},
    {"{" ASK USER_HI ",\"tools\":{}}", "tools: expected an array"},
    {"{" ASK USER_HI ",\"tools\":[{\"input_schema\":{}}]}", "tools[0].name: field required"},
    {"{" ASK USER_HI ",\"tools\":[{\"name\":\"f\"}]}", "tools[0].input_schema: field required"},
    {"{" ASK USER_HI ",\"tool_choice\":{\"type\":\"maybe\"}}",
     "tool_choice.type: expected 'auto'"},
    {"{" ASK USER_HI ",\"tool_choice\":{\"type\":\"tool\"}}",
     "tool_choice.name: field required"},
    {"{" ASK USER_HI ",\"thinking\":{\"type\":\"enabled\"}}",
     "thinking.budget_tokens: field required"},
    {"{" ASK USER_HI ",\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":5}}",
     "thinking.budget_tokens"},
    {"{" ASK USER_HI ",\"thinking\":{\"type\":\"so\"}}", "thinking.type: expected 'enabled'"},
    {"{" ASK USER_HI ",\"temperature\":1.5}", "temperature"},
    {"{" ASK USER_HI ",\"output_config\":{\"format\":{\"type\":\"xml\"}}}",
     "output_config.format.type: expected 'json_schema'"},
    {"{" ASK USER_HI ",\"output_config\":{\"effort\":\"so\"}}",
     "output_config.effort: expected 'low'"},
    {"{" ASK USER_HI ",\"stop_sequences\":[1]}", "stop_sequences[0]"},
    {"{" ASK USER_HI ",\"motet\":1}", "motet: expected an object"},
};

static void bad_requests_are_told_where(void **unused)
{
    struct fixture f;

    (void)unused;
    fixture_init(&f);
    for (size_t i = 0; i < MT_ARRAY_LEN(bad_requests); i++) {
        struct mt_chat_request request;
        mt_rc rc = fixture_decode(&f, codec, bad_requests[i].body, &request);
        if (rc != MT_E_INVALID && rc != MT_E_UNSUPPORTED)
            fail_msg("taken: %s", bad_requests[i].body);
        if (strstr(f.err.text, bad_requests[i].words) == NULL)
            fail_msg("%s\nsaid: %s\nexpected: %s", bad_requests[i].body, f.err.text,
                     bad_requests[i].words);
    }
    fixture_fini(&f);
}

/* Every kind of block and field once. */
static const char full_body[] =
    "{\"model\":\"m\",\"max_tokens\":5000,\"stream\":true,"
    "\"system\":[{\"type\":\"text\",\"text\":\"be "
    "\\\"brief\\\"\",\"cache_control\":{\"type\":\"ephemeral\"}}],"
    "\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"look\"},"
    "{\"type\":\"image\",\"source\":{\"type\":\"base64\",\"media_type\":\"image/"
    "png\",\"data\":\"AAAA\"}},"
    "{\"type\":\"image\",\"source\":{\"type\":\"url\",\"url\":\"https://x/y.png\"}},"
    "{\"type\":\"document\",\"title\":\"t\",\"source\":{\"type\":\"base64\",\"media_type\":"
    "\"application/pdf\",\"data\":\"BBBB\"}},"
    "{\"type\":\"document\",\"source\":{\"type\":\"file\",\"file_id\":\"file_1\"}}]},"
    "{\"role\":\"assistant\",\"content\":[{\"type\":\"thinking\",\"thinking\":\"hm\","
    "\"signature\":\"c2ln\"},"
    "{\"type\":\"redacted_thinking\",\"data\":\"eA==\"},"
    "{\"type\":\"tool_use\",\"id\":\"t1\",\"name\":\"f\",\"input\":{\"a\":1}},"
    "{\"type\":\"tool_use\",\"id\":\"t2\",\"name\":\"g\",\"input\":{}}]},"
    "{\"role\":\"user\",\"content\":[{\"type\":\"tool_result\",\"tool_use_id\":\"t1\","
    "\"content\":[{\"type\":\"text\",\"text\":\"one\"}]},"
    "{\"type\":\"tool_result\",\"tool_use_id\":\"t2\",\"content\":[],\"is_error\":true},"
    "{\"type\":\"text\",\"text\":\"go on\"}]}],"
    "\"tools\":[{\"name\":\"f\",\"description\":\"d\",\"input_schema\":{\"type\":\"object\"}},"
    "{\"type\":\"web_search_20250305\",\"name\":\"web_search\",\"max_uses\":2}],"
    "\"tool_choice\":{\"type\":\"auto\",\"disable_parallel_tool_use\":true},"
    "\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":2000},"
    "\"output_config\":{\"format\":{\"type\":\"json_schema\",\"schema\":{\"type\":\"object\"}}}"
    ","
    "\"top_p\":0.97,\"stop_sequences\":[\"END\"],"
    "\"metadata\":{\"user_id\":\"u\"},\"service_tier\":\"auto\",\"container\":\"c1\"}";

static void a_request_survives_the_round_trip(void **unused)
{
    static const char *const kept[] = {
        "\"system\":[{\"type\":\"text\",\"text\":\"be "
        "\\\"brief\\\"\",\"cache_control\":{\"type\":\"ephemeral\"}}]",
        "{\"type\":\"image\",\"source\":{\"type\":\"base64\",\"media_type\":\"image/"
        "png\",\"data\":\"AAAA\"}}",
        "{\"type\":\"url\",\"url\":\"https://x/y.png\"}",
        "{\"type\":\"document\",\"source\":{\"type\":\"base64\",\"media_type\":\"application/"
        "pdf\",\"data\":\"BBBB\"},\"title\":\"t\"}",
        "{\"type\":\"file\",\"file_id\":\"file_1\"}",
        "{\"type\":\"thinking\",\"thinking\":\"hm\",\"signature\":\"c2ln\"},{\"type\":"
        "\"redacted_thinking\",\"data\":\"eA==\"},{\"type\":\"tool_use\",\"id\":\"t1\","
        "\"name\":\"f\",\"input\":{\"a\":1}}",
        "{\"role\":\"user\",\"content\":[{\"type\":\"tool_result\",\"tool_use_id\":\"t1\","
        "\"content\":[{\"type\":\"text\",\"text\":\"one\"}]},{\"type\":\"tool_result\",\"tool_"
        "use_id\":\"t2\",\"content\":[],\"is_error\":true},{\"type\":\"text\",\"text\":\"go "
        "on\"}]}",
        "{\"type\":\"web_search_20250305\",\"name\":\"web_search\",\"max_uses\":2}",
        "\"tool_choice\":{\"type\":\"auto\",\"disable_parallel_tool_use\":true}",
        "\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":2000}",
        "\"output_config\":{\"format\":{\"type\":\"json_schema\",\"schema\":{\"type\":"
        "\"object\"}}}",
        "\"top_p\":0.97",
        "\"stop_sequences\":[\"END\"]",
        "\"metadata\":{\"user_id\":\"u\"}",
        "\"service_tier\":\"auto\"",
        "\"container\":\"c1\"",
        "\"stream\":true",
        "\"model\":\"claude-sonnet-4-5\"",
        "\"max_tokens\":5000"};
    struct mt_chat_request request;
    struct fixture f;

    (void)unused;
    fixture_init(&f);
    assert_int_equal(fixture_decode(&f, codec, full_body, &request), MT_OK);
    assert_int_equal(request.messages_n, 6);
    assert_true(mt_str_is(request.messages[3].parts[0].name, "f")); /* found by its call */
    assert_int_equal(fixture_encode(&f, codec, &request, "claude-sonnet-4-5"), MT_OK);
    assert_string_equal(mt_buf_cstr(&f.path), "/v1/messages");
    for (size_t i = 0; i < MT_ARRAY_LEN(kept); i++)
        if (strstr(mt_buf_cstr(&f.out), kept[i]) == NULL)
            fail_msg("lost: %s\nin: %s", kept[i], mt_buf_cstr(&f.out));
    assert_int_equal(f.notes.text.len, 0);
    fixture_fini(&f);
}

static void counting_needs_no_max_tokens(void **unused)
{
    struct fixture f;
    struct mt_chat_route route = {.count_only = true};
    struct mt_chat_request request;

    (void)unused;
    fixture_init(&f);
    const struct mt_json *root = fixture_json(&f, "{\"model\":\"m\",\"messages\":" USER_HI "}");
    request = (struct mt_chat_request){.arena = &f.arena};
    assert_int_equal(codec->decode_request(root, &route, &request, &f.err), MT_OK);
    codec->encode_token_count(42, &f.out);
    assert_string_equal(mt_buf_cstr(&f.out), "{\"input_tokens\":42}");
    fixture_fini(&f);
}

/* What another dialect's request becomes: parts and settings in, body out. */
static void encode(struct fixture *f, struct mt_chat_request *request, const char *model)
{
    mt_buf_clear(&f->notes.text);
    if (fixture_encode(f, codec, request, model) != MT_OK)
        fail_msg("%s", f->err.text);
}

static void has(struct fixture *f, const char *words)
{
    if (strstr(mt_buf_cstr(&f->out), words) == NULL)
        fail_msg("missing: %s\nin: %s", words, mt_buf_cstr(&f->out));
}

static void notes(struct fixture *f, const char *words)
{
    if (strstr(mt_buf_cstr(&f->notes.text), words) == NULL)
        fail_msg("missing note: %s\nin: %s", words, mt_buf_cstr(&f->notes.text));
}

static struct mt_chat_part text_part(const char *text)
{
    return (struct mt_chat_part){.kind = MT_PART_TEXT, .text = mt_str_of(text)};
}

static void turns_are_made_to_alternate(void **unused)
{
    struct mt_chat_part hi = text_part("hi"), blank = text_part(" \n"),
                        rules = text_part("rules");
    struct mt_chat_part calls[] = {
        {.kind = MT_PART_REASONING, .text = MT_STR_INIT("hm")},
        {.kind = MT_PART_REASONING,
         .text = MT_STR_INIT("hm"),
         .signature = MT_STR_INIT("openai:x")},
        {.kind = MT_PART_TOOL_CALL, .id = MT_STR_INIT("call:1"), .name = MT_STR_INIT("f")},
        {.kind = MT_PART_TOOL_CALL,
         .name = MT_STR_INIT("g"),
         .json = MT_STR_INIT("{\"b\":2}")}};
    struct mt_chat_part out1 = text_part("one"), out2 = text_part("two");
    struct mt_chat_part results[] = {
        {.kind = MT_PART_TOOL_RESULT,
         .id = MT_STR_INIT("call:1"),
         .parts = &out1,
         .parts_n = 1},
        {.kind = MT_PART_TOOL_RESULT, .parts = &out2, .parts_n = 1}};
    struct mt_chat_message messages[] = {
        {.role = MT_ROLE_ASSISTANT, .parts = &hi, .parts_n = 1},
        {.role = MT_ROLE_USER, .parts = &blank, .parts_n = 1},
        {.role = MT_ROLE_USER, .parts = &hi, .parts_n = 1},
        {.role = MT_ROLE_DEVELOPER, .parts = &rules, .parts_n = 1},
        {.role = MT_ROLE_USER, .parts = &hi, .parts_n = 1},
        {.role = MT_ROLE_ASSISTANT, .parts = calls, .parts_n = 4},
        {.role = MT_ROLE_TOOL, .parts = &results[0], .parts_n = 1},
        {.role = MT_ROLE_TOOL, .parts = &results[1], .parts_n = 1},
    };
    struct mt_chat_request request = {.messages = messages, .messages_n = 8};
    struct fixture f;

    (void)unused;
    fixture_init(&f);
    encode(&f, &request, "claude");
    has(&f, "\"system\":[{\"type\":\"text\",\"text\":\"rules\"}],\"messages\":["
            "{\"role\":\"user\",\"content\":\"(begin)\"},"
            "{\"role\":\"assistant\",\"content\":[{\"type\":\"text\",\"text\":\"hi\"}]},"
            "{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"hi\"},"
            "{\"type\":\"text\",\"text\":\"hi\"}]},"
            "{\"role\":\"assistant\",\"content\":[{\"type\":\"tool_use\",\"id\":\"call_1\","
            "\"name\":\"f\",\"input\":{}},{\"type\":\"tool_use\",\"id\":\"toolu_1\",\"name\":"
            "\"g\",\"input\":{\"b\":2}}]},"
            "{\"role\":\"user\",\"content\":[{\"type\":\"tool_result\",\"tool_use_id\":"
            "\"call_1\",\"content\":[{\"type\":\"text\",\"text\":\"one\"}]},"
            "{\"type\":\"tool_result\",\"tool_use_id\":\"toolu_1\",\"content\":"
            "[{\"type\":\"text\",\"text\":\"two\"}]}]}]");
    has(&f, "\"max_tokens\":4096");
    notes(&f, "max_tokens set to 4096");
    notes(&f, "earlier reasoning left out");
    notes(&f, "a later system message moved");
    notes(&f, "a user turn was put before");
    fixture_fini(&f);
}

static void settings_of_others_are_fitted(void **unused)
{
    struct mt_chat_part hi = text_part("hi");
    struct mt_chat_message message = {.role = MT_ROLE_USER, .parts = &hi, .parts_n = 1};
    struct mt_chat_request base = {.messages = &message, .messages_n = 1};
    struct mt_chat_request r = base;
    struct fixture f;

    (void)unused;
    fixture_init(&f);
    r.sampling.temperature = (struct mt_opt_f64){true, 1.7};
    r.sampling.seed = (struct mt_opt_i64){true, 1};
    r.logprobs = true;
    encode(&f, &r, "claude");
    has(&f, "\"temperature\":1");
    notes(&f, "temperature lowered to 1");
    notes(&f, "seed is not supported");
    notes(&f, "logprobs is not supported");

    r = base;
    r.effort = MT_EFFORT_HIGH;
    encode(&f, &r, "claude-opus-4-7");
    has(&f, "\"thinking\":{\"type\":\"adaptive\"},\"output_config\":{\"effort\":\"high\"}");
    encode(&f, &r, "claude-sonnet-4-20250514");
    has(&f, "\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":");

    r = base;
    r.reasoning_budget = (struct mt_opt_i64){true, 8000};
    r.max_tokens = (struct mt_opt_i64){true, 3000};
    encode(&f, &r, "other-model");
    has(&f, "\"budget_tokens\":1500");
    notes(&f, "reasoning budget cut to 1500");
    r.max_tokens.value = 500;
    encode(&f, &r, "other-model");
    notes(&f, "no reasoning: max_tokens 500 leaves no room");

    r = base;
    r.format = MT_FORMAT_SCHEMA;
    r.schema_json = MT_STR("{\"type\":\"object\"}");
    r.user = MT_STR("u");
    encode(&f, &r, "claude");
    has(&f, "\"output_config\":{\"format\":{\"type\":\"json_schema\",\"schema\":{\"type\":"
            "\"object\"}}}");
    has(&f, "\"metadata\":{\"user_id\":\"u\"}");
    fixture_fini(&f);
}

static void what_cannot_be_carried_is_refused_by_name(void **unused)
{
    struct mt_chat_part parts[] = {{.kind = MT_PART_AUDIO}, {.kind = MT_PART_IMAGE}};
    struct mt_chat_message audio = {.role = MT_ROLE_USER, .parts = &parts[0], .parts_n = 1};
    struct mt_chat_message image = {.role = MT_ROLE_USER, .parts = &parts[1], .parts_n = 1};
    struct mt_chat_tool hosted = {.hosted_type = MT_STR_INIT("code_interpreter")};
    const struct {
        struct mt_chat_request request;
        const char *words;
    } rows[] = {
        {{.n = 2}, "n: this provider gives one answer"},
        {{.kind = MT_CHAT_COMPLETION}, "prompt"},
        {{.format = MT_FORMAT_JSON}, "response format 'json'"},
        {{.previous_response_id = MT_STR_INIT("r")}, "previous_response_id"},
        {{.tools = &hosted, .tools_n = 1}, "'code_interpreter' runs at another provider"},
        {{.messages = &audio, .messages_n = 1}, "audio"},
        {{.messages = &image, .messages_n = 1}, "image: a file of another provider"},
    };
    struct fixture f;

    (void)unused;
    fixture_init(&f);
    for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
        assert_int_equal(fixture_encode(&f, codec, &rows[i].request, "claude"),
                         MT_E_UNSUPPORTED);
        mt_check_row(rows[i].words, strstr(f.err.text, rows[i].words) != NULL);
    }
    fixture_fini(&f);
}

/* --- answers, errors, fast lane --- */

static void an_answer_comes_back_as_it_went(void **unused)
{
    struct mt_collector *collector = NULL;
    const struct mt_chat_answer *answer = NULL;
    struct fixture f;

    (void)unused;
    fixture_init(&f);
    assert_int_equal(mt_collector_new(1 << 16, &collector, &f.err), MT_OK);
    assert_int_equal(fixture_decode_stream(&f, codec, upstream_cases[1].stream, 5,
                                           mt_collector_add, collector),
                     MT_OK);
    assert_int_equal(mt_collector_answer(collector, &answer, &f.err), MT_OK);
    codec->encode_answer(&reply, answer, &f.out);
    assert_string_equal(
        mt_buf_cstr(&f.out),
        "{\"id\":\"msg_0123456789abcdefghjkmnpqrs\",\"type\":\"message\",\"role\":"
        "\"assistant\",\"model\":\"auto\",\"content\":[{\"type\":\"thinking\",\"thinking\":"
        "\"hm\",\"signature\":\"c2ln\"},{\"type\":\"tool_use\",\"id\":\"t1\",\"name\":\"f\","
        "\"input\":{\"a\":1}},{\"type\":\"tool_use\",\"id\":\"t2\",\"name\":\"g\",\"input\":{}}"
        "],"
        "\"stop_reason\":\"tool_use\",\"stop_sequence\":null,\"usage\":{\"input_tokens\":5,"
        "\"cache_creation_input_tokens\":2,\"cache_read_input_tokens\":3,\"output_tokens\":9}"
        "}");
    mt_collector_free(collector);
    fixture_fini(&f);
}

static void errors_have_their_types_and_statuses(void **unused)
{
    struct fixture f;
    struct mt_chat_error error;

    (void)unused;
    fixture_init(&f);
    struct mt_chat_scratch scratch = {f.doc, &f.arena};
    codec->encode_error(&overloaded, &f.out);
    assert_string_equal(mt_buf_cstr(&f.out),
                        "{\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\","
                        "\"message\":\"busy\"},\"request_id\":null}");
    assert_int_equal(codec->error_status(&overloaded), 529);
    mt_buf_add_cstr(&f.text,
                    "{\"type\":\"error\",\"error\":{\"type\":\"invalid_request_error\","
                    "\"message\":\"prompt is too long: 9 tokens\"}}");
    codec->decode_error(400, mt_buf_str(&f.text), &scratch, &error);
    assert_int_equal(error.kind, MT_CHAT_ERR_CONTEXT);
    assert_int_equal(error.retry_after_ms, -1);
    fixture_fini(&f);
}

struct passing {
    struct fixture *f;
    struct mt_chat_meter meter;
};

static mt_rc meter(void *ctx, const struct mt_frame *frame, struct mt_err *err)
{
    struct passing *p = ctx;
    struct mt_chat_scratch scratch = {p->f->frame_doc, &p->f->frame_arena};

    (void)err;
    assert_int_equal(codec->meter_frame(&p->meter, frame, false, &scratch), MT_METER_FORWARD);
    return MT_OK;
}

static void the_fast_lane_meters_and_splices(void **unused)
{
    static const char body[] =
        "{ \"model\": \"auto\", \"max_tokens\": 7, \"motet\": {\"a\":1}, "
        "\"messages\": [], \"stream\": true, \"x\": [1, 2] }";
    struct mt_chat_peek peeked = {0};
    struct mt_frames frames;
    struct fixture f;

    (void)unused;
    fixture_init(&f);
    const struct mt_json *root = fixture_json(&f, body);
    assert_int_equal(codec->peek(root, NULL, &f.arena, &peeked, &f.err), MT_OK);
    assert_true(mt_str_is(peeked.model, "auto") && peeked.stream &&
                peeked.max_tokens.value == 7);
    codec->forward_body(root, mt_buf_str(&f.text), MT_STR("claude \"x\""), &f.out);
    has(&f, "\"model\": \"claude \\\"x\\\"\"");
    has(&f, "\"x\": [1, 2]");
    assert_null(strstr(mt_buf_cstr(&f.out), "motet"));
    codec->forward_path(&peeked, MT_STR("c"), &f.path);
    assert_string_equal(mt_buf_cstr(&f.path), "/v1/messages");

    struct passing p = {.f = &f};
    mt_frames_init(&frames, MT_FRAMING_SSE, FIXTURE_TEXT_MAX);
    assert_int_equal(
        mt_frames_feed(&frames, mt_str_of(upstream_cases[1].stream), meter, &p, &f.err), MT_OK);
    mt_frames_fini(&frames);
    const struct mt_chat_meter *m = &p.meter;
    assert_true(m->has_usage && m->has_content && m->is_finished && !m->has_error);
    assert_int_equal(m->deltas_n, 4);
    assert_int_equal(m->usage.input_tokens, 10);
    assert_int_equal(m->usage.output_tokens, 9);
    assert_int_equal(m->usage.cached_tokens, 3);
    fixture_fini(&f);
}

/* --- memory --- */

static mt_rc decode_and_encode(struct fixture *f)
{
    struct mt_chat_request request;

    mt_arena_fini(&f->arena);
    mt_buf_fini(&f->out);
    mt_buf_fini(&f->path);
    mt_chat_notes_fini(&f->notes);
    const struct mt_json *root = fixture_json(f, full_body);
    request = (struct mt_chat_request){.arena = &f->arena};
    MT_TRY(codec->decode_request(root, NULL, &request, &f->err));
    return codec->encode_request(&request, MT_STR("claude"), &f->out, &f->path, &f->notes,
                                 &f->err);
}

static mt_rc decode_and_restream(struct fixture *f)
{
    mt_arena_fini(&f->arena);
    mt_arena_fini(&f->frame_arena);
    mt_buf_fini(&f->out);
    void *state = NULL;
    MT_TRY(codec->encoder_new(&reply, &f->arena, &state, &f->err));
    for (size_t i = 0; i < 11; i++)
        codec->encode_event(state, &stream_cases[5].events[i], &f->out);
    MT_TRY(mt_buf_check(&f->out, "stream", &f->err));
    mt_buf_clear(&f->log);
    return fixture_decode_stream(f, codec, upstream_cases[1].stream, 1 << 20, fixture_log,
                                 &f->log);
}

static void sweep(mt_rc (*work)(struct fixture *f))
{
    struct fixture f;

    fixture_init(&f);
    mt_buf_reserve(&f.text, 1 << 16);
    mt_buf_reserve(&f.log, 1 << 16);
    (void)fixture_json(&f, full_body);
    for (long nth = 0;; nth++) {
        mt_alloc_fail_after = nth;
        mt_rc rc = work(&f);
        mt_alloc_fail_after = -1;
        if (rc == MT_OK) {
            assert_true(nth > 1);
            break;
        }
        assert_int_equal(rc, MT_E_NOMEM);
    }
    fixture_fini(&f);
    assert_int_equal(mt_alloc_live, 0);
}

static void requests_survive_any_oom(void **unused)
{
    (void)unused;
    sweep(decode_and_encode);
}

static void streams_survive_any_oom(void **unused)
{
    (void)unused;
    sweep(decode_and_restream);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(streams_satisfy_a_strict_reader),
        cmocka_unit_test(endpoint_streams_become_events),
        cmocka_unit_test(whole_answers_become_events),
        cmocka_unit_test(bad_requests_are_told_where),
        cmocka_unit_test(a_request_survives_the_round_trip),
        cmocka_unit_test(counting_needs_no_max_tokens),
        cmocka_unit_test(turns_are_made_to_alternate),
        cmocka_unit_test(settings_of_others_are_fitted),
        cmocka_unit_test(what_cannot_be_carried_is_refused_by_name),
        cmocka_unit_test(an_answer_comes_back_as_it_went),
        cmocka_unit_test(errors_have_their_types_and_statuses),
        cmocka_unit_test(the_fast_lane_meters_and_splices),
        cmocka_unit_test(requests_survive_any_oom),
        cmocka_unit_test(streams_survive_any_oom),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
