/* SPDX-License-Identifier: Apache-2.0 */
/* OpenAI Responses in both roles. Streams for clients are judged by a reader as strict as the
 * vendor's own client library: it builds the response from the deltas, item by item, and
 * compares it with what each "done" and the end say. */
#include "chat_fixture.h"

#include "chat/collect.h"

static const struct mt_chat_codec *const codec = &mt_codec_openai_responses;

/* --- a strict reader of Responses streams --- */

enum { ITEMS = 8, PARTS = 4, LONG = 256 };

struct strict_item {
    char type[32], id[64];
    char text[PARTS][LONG]; /* parts of a message; [0] is summary or arguments */
    bool is_refusal[PARTS];
    size_t parts_n;
    bool is_part_open, is_done;
};

struct strict {
    struct fixture *f;
    struct strict_item items[ITEMS];
    size_t items_n;
    int64_t sequence;
    bool is_created, is_over, has_error;
};

static struct mt_str member(struct strict *s, const struct mt_json *object, const char *key)
{
    struct mt_str text = {NULL, 0};

    (void)mt_json_str(mt_json_get(object, key), &s->f->frame_arena, &text);
    return text;
}

static size_t number(const struct mt_json *object, const char *key)
{
    int64_t value = -1;

    assert_true(mt_json_i64(mt_json_get(object, key), 0, 1 << 20, &value));
    return (size_t)value;
}

static void copy(char *out, size_t size, struct mt_str text)
{
    assert_true(text.len < size);
    memcpy(out, text.at, text.len);
    out[text.len] = '\0';
}

static struct strict_item *item_of(struct strict *s, const struct mt_json *root)
{
    size_t index = number(root, "output_index");

    assert_true(index < s->items_n);
    assert_false(s->items[index].is_done);
    assert_true(mt_str_is(member(s, root, "item_id"), s->items[index].id));
    return &s->items[index];
}

static void add(char *text, struct mt_str more)
{
    size_t len = strlen(text);

    copy(text + len, LONG - len, more);
}

/* What the item says about itself at its end must be what the deltas said. */
static void same_item(struct strict *s, const struct strict_item *have,
                      const struct mt_json *json)
{
    const struct mt_json *list = mt_json_get(json, "content");

    assert_true(mt_json_is(mt_json_get(json, "id"), have->id));
    assert_true(mt_json_is(mt_json_get(json, "type"), have->type));
    if (strcmp(have->type, "function_call") == 0) {
        assert_true(mt_str_is(member(s, json, "arguments"), have->text[0]));
        return;
    }
    if (strcmp(have->type, "reasoning") == 0)
        list = mt_json_get(json, "summary");
    if (strcmp(have->type, "image_generation_call") == 0)
        return;
    assert_int_equal(mt_json_count(list), have->parts_n);
    size_t i = 0;
    for (const struct mt_json *p = mt_json_first(list); p != NULL; p = mt_json_next(p), i++)
        assert_true(
            mt_str_is(member(s, p, have->is_refusal[i] ? "refusal" : "text"), have->text[i]));
}

static void whole_response(struct strict *s, const struct mt_json *response, bool is_end)
{
    static const char *const needed[] = {
        "id",          "object", "created_at",  "status",    "error",
        "model",       "output", "tools",       "text",      "parallel_tool_calls",
        "tool_choice", "usage",  "temperature", "top_p",     "incomplete_details",
        "metadata",    "store",  "truncation",  "reasoning", "previous_response_id"};

    for (size_t i = 0; i < MT_ARRAY_LEN(needed); i++)
        mt_check_row(needed[i], mt_json_get(response, needed[i]) != NULL);
    assert_true(mt_str_starts(member(s, response, "id"), MT_STR("resp_")));
    assert_int_equal(mt_json_count(mt_json_get(response, "output")), is_end ? s->items_n : 0);
    size_t i = 0;
    for (const struct mt_json *o = mt_json_first(mt_json_get(response, "output")); o != NULL;
         o = mt_json_next(o), i++)
        same_item(s, &s->items[i], o);
}

static void strict_item_event(struct strict *s, const struct mt_json *root, struct mt_str name)
{
    const struct mt_json *json = mt_json_get(root, "item");

    if (mt_str_is(name, "response.output_item.added")) {
        struct strict_item *item = &s->items[s->items_n];
        assert_int_equal(number(root, "output_index"), s->items_n);
        s->items_n++;
        copy(item->type, sizeof item->type, member(s, json, "type"));
        copy(item->id, sizeof item->id, member(s, json, "id"));
        assert_true(mt_json_is(mt_json_get(json, "status"), "in_progress"));
        return;
    }
    struct strict_item *item = &s->items[number(root, "output_index")];
    assert_false(item->is_done || item->is_part_open);
    same_item(s, item, json);
    item->is_done = true;
}

/* response.content_part.* and response.reasoning_summary_part.* */
static void strict_part_event(struct strict *s, const struct mt_json *root, bool is_added)
{
    struct strict_item *item = item_of(s, root);
    bool is_summary = strcmp(item->type, "reasoning") == 0;
    size_t index = number(root, is_summary ? "summary_index" : "content_index");
    const struct mt_json *part = mt_json_get(root, "part");

    assert_int_equal(item->is_part_open, !is_added);
    if (is_added) {
        assert_int_equal(index, item->parts_n);
        item->is_refusal[item->parts_n++] = mt_json_is(mt_json_get(part, "type"), "refusal");
    }
    assert_int_equal(index, item->parts_n - 1);
    assert_true(mt_str_is(member(s, part, item->is_refusal[index] ? "refusal" : "text"),
                          item->text[index]));
    item->is_part_open = is_added;
}

static void strict_words(struct strict *s, const struct mt_json *root, struct mt_str name)
{
    struct strict_item *item = item_of(s, root);
    bool is_call = strcmp(item->type, "function_call") == 0;
    bool is_refusal = mt_str_starts(name, MT_STR("response.refusal"));
    char *text = item->text[is_call ? 0 : item->parts_n - 1];

    assert_true(is_call || item->is_part_open);
    assert_true(is_call || item->is_refusal[item->parts_n - 1] == is_refusal);
    if (mt_str_starts(name, MT_STR("response.output_text")))
        assert_int_equal(mt_json_type(mt_json_get(root, "logprobs")), MT_JSON_ARRAY);
    if (mt_str_ends(name, MT_STR(".delta"))) {
        add(text, member(s, root, "delta"));
        return;
    }
    if (is_call && text[0] == '\0')
        strcpy(text, "{}");
    assert_true(mt_str_is(member(s, root,
                                 is_call      ? "arguments"
                                 : is_refusal ? "refusal"
                                              : "text"),
                          text));
}

static void strict_lifecycle(struct strict *s, const struct mt_json *root, struct mt_str name)
{
    const struct mt_json *response = mt_json_get(root, "response");
    bool is_begin =
        mt_str_is(name, "response.created") || mt_str_is(name, "response.in_progress");

    whole_response(s, response, !is_begin);
    if (is_begin) {
        assert_true(mt_json_is(mt_json_get(response, "status"), "in_progress"));
        return;
    }
    assert_true(mt_str_eq(mt_str_sub(name, 9, name.len), member(s, response, "status")));
    s->is_over = true;
    mt_buf_addf(&s->f->log, "%.*s", MT_STR_ARG(member(s, response, "status")));
    const struct mt_json *usage = mt_json_get(response, "usage");
    if (mt_json_type(usage) == MT_JSON_OBJECT) {
        assert_int_equal(number(usage, "total_tokens"),
                         number(usage, "input_tokens") + number(usage, "output_tokens"));
        mt_buf_addf(&s->f->log, " %zu+%zu", number(usage, "input_tokens"),
                    number(usage, "output_tokens"));
    }
}

static mt_rc strict_frame(void *ctx, const struct mt_frame *frame, struct mt_err *err)
{
    struct strict *s = ctx;
    const struct mt_json *root = NULL;
    struct mt_str name = frame->event;

    mt_arena_clear(&s->f->frame_arena);
    assert_false(s->is_over);
    MT_TRY(mt_json_parse(s->f->frame_doc, frame->data, &root, err));
    assert_true(mt_str_eq(name, member(s, root, "type")));
    assert_int_equal(number(root, "sequence_number"), s->sequence++);
    if (mt_str_is(name, "error")) {
        assert_true(s->is_created);
        s->has_error = true;
        mt_buf_addf(&s->f->log, "error %.*s ", MT_STR_ARG(member(s, root, "code")));
        return MT_OK;
    }
    assert_true(s->is_created == !mt_str_is(name, "response.created"));
    s->is_created = true;
    if (mt_json_get(root, "response") != NULL)
        strict_lifecycle(s, root, name);
    else if (mt_str_starts(name, MT_STR("response.output_item.")))
        strict_item_event(s, root, name);
    else if (mt_json_get(root, "part") != NULL)
        strict_part_event(s, root, mt_str_ends(name, MT_STR(".added")));
    else if (mt_str_ends(name, MT_STR(".delta")) || mt_str_ends(name, MT_STR(".done")))
        strict_words(s, root, name);
    else
        fail_msg("unknown event '%.*s'", MT_STR_ARG(name));
    return MT_OK;
}

/* The stream as a client would understand it; fails the test where a client would. */
static const char *read_strictly(struct fixture *f, const char *stream)
{
    struct strict s = {.f = f};
    struct mt_frames frames;

    mt_buf_clear(&f->log);
    mt_frames_init(&frames, MT_FRAMING_SSE, FIXTURE_TEXT_MAX);
    assert_int_equal(mt_frames_feed(&frames, mt_str_of(stream), strict_frame, &s, &f->err),
                     MT_OK);
    assert_int_equal(mt_frames_pending(&frames), 0);
    mt_frames_fini(&frames);
    assert_true(s.is_over);
    for (size_t i = 0; i < s.items_n; i++) {
        mt_buf_addf(&f->log, " %s(", s.items[i].type);
        for (size_t p = 0; p < PARTS; p++)
            mt_buf_addf(&f->log, "%s%s", p > 0 && s.items[i].text[p][0] != '\0' ? "|" : "",
                        s.items[i].text[p]);
        mt_buf_addf(&f->log, ")%s", s.items[i].is_done ? "" : "...");
    }
    return mt_buf_cstr(&f->log);
}

static const struct mt_chat_request asked = {.dialect = MT_DIALECT_OPENAI_RESPONSES};
static const struct mt_chat_reply reply = {
    .request = &asked,
    .id = MT_STR_INIT("0123456789abcdefghjkmnpqrs"),
    .model = MT_STR_INIT("auto"),
    .created_at_s = 1700000000,
    .input_tokens = 11,
};

#define ONLY(what)     \
    {                  \
        .kind = (what) \
    }
#define TEXT(words)                                       \
    {                                                     \
        .kind = MT_EVENT_TEXT, .text = MT_STR_INIT(words) \
    }
#define THINK(words)                                           \
    {                                                          \
        .kind = MT_EVENT_REASONING, .text = MT_STR_INIT(words) \
    }
#define REFUSE(words)                                        \
    {                                                        \
        .kind = MT_EVENT_REFUSAL, .text = MT_STR_INIT(words) \
    }
#define SIGN(words)                                                 \
    {                                                               \
        .kind = MT_EVENT_SIGNATURE, .signature = MT_STR_INIT(words) \
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
#define USAGE(i, o)                                                                   \
    {                                                                                 \
        .kind = MT_EVENT_USAGE, .usage = {.input_tokens = (i), .output_tokens = (o) } \
    }

static const struct mt_chat_error limited = {
    .kind = MT_CHAT_ERR_RATE_LIMIT, .message = MT_STR_INIT("slow"), .retry_after_ms = -1};

static const struct stream_case {
    const char *name;
    struct mt_chat_event events[16];
    const char *story;
} stream_cases[] = {
    {"text",
     {ONLY(MT_EVENT_START), ONLY(MT_EVENT_PING), TEXT("Hel"), TEXT("lo"),
      FINISH(MT_FINISH_STOP), USAGE(30, 2), ONLY(MT_EVENT_END)},
     "completed 30+2 message(Hello)"},
    {"thinking, signed, then text, cut by the limit",
     {ONLY(MT_EVENT_START), THINK("h"), THINK("m"), SIGN("openai:Zm9v"), TEXT("so"),
      FINISH(MT_FINISH_LENGTH), ONLY(MT_EVENT_END)},
     "incomplete 11+0 reasoning(hm) message(so)"},
    {"hidden thinking",
     {ONLY(MT_EVENT_START),
      {.kind = MT_EVENT_REASONING, .is_redacted = true, .signature = MT_STR_INIT("openai:x")},
      TEXT("so"),
      FINISH(MT_FINISH_STOP),
      ONLY(MT_EVENT_END)},
     "completed 11+0 reasoning() message(so)"},
    {"text turns into a refusal",
     {ONLY(MT_EVENT_START), TEXT("Well"), REFUSE("I "), REFUSE("won't"),
      FINISH(MT_FINISH_REFUSAL), ONLY(MT_EVENT_END)},
     "completed 11+0 message(Well|I won't)"},
    {"two calls one after the other, one of them empty",
     {ONLY(MT_EVENT_START), TEXT("x"), CALL(0, "c0", "f"), CALL(1, "", "g"), ARGS(1, "{\"a\":"),
      ARGS(1, "1}"), FINISH(MT_FINISH_TOOL_CALLS), ONLY(MT_EVENT_END)},
     "completed 11+0 message(x) function_call({}) function_call({\"a\":1})"},
    {"calls whose fragments come mixed, with text between",
     {ONLY(MT_EVENT_START), CALL(0, "c0", "f"), CALL(1, "c1", "g"), ARGS(0, "{\"a\":\"}"),
      ARGS(1, "{\"b\":"), TEXT("t"), ARGS(0, "\\\"\"}"), ARGS(1, "2}"), CALL(2, "c2", "h"),
      ARGS(2, "{\"c\":3}"), FINISH(MT_FINISH_STOP), ONLY(MT_EVENT_END)},
     "completed 11+0 function_call({\"a\":\"}\\\"\"}) function_call({\"b\":2}) message(t) "
     "function_call({\"c\":3})"},
    {"a fragment for a call that is over",
     {ONLY(MT_EVENT_START), CALL(0, "c0", "f"), ARGS(0, "{}"), TEXT("t"), ARGS(0, " "),
      ARGS(0, "{}"), TEXT("never")},
     "error server_error failed function_call({}) message(t)..."},
    {"an error in the middle",
     {ONLY(MT_EVENT_START), TEXT("x"), {.kind = MT_EVENT_ERROR, .error = &limited}},
     "error rate_limit_exceeded failed message(x)..."},
    {"an error before anything",
     {{.kind = MT_EVENT_ERROR, .error = &limited}},
     "error rate_limit_exceeded failed"},
    {"an image",
     {ONLY(MT_EVENT_START),
      {.kind = MT_EVENT_MEDIA, .mime = MT_STR_INIT("image/png"), .text = MT_STR_INIT("AAAA")},
      FINISH(MT_FINISH_STOP),
      ONLY(MT_EVENT_END)},
     "completed 11+0 image_generation_call()"},
    {"an empty answer",
     {ONLY(MT_EVENT_START), FINISH(MT_FINISH_FILTER), ONLY(MT_EVENT_END)},
     "incomplete 11+0"},
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
            fail_msg("row '%s':\n%s, expected\n%s\n%s", row->name, story, row->story,
                     mt_buf_cstr(&f.out));
    }
    fixture_fini(&f);
}

static const char *after(const char *text, const char *words)
{
    const char *at = strstr(text, words);

    if (at == NULL)
        fail_msg("missing: %s\nin: %s", words, text);
    return at;
}

static void logprobs_are_told_with_deltas_and_again(void **unused)
{
    const struct mt_token_top top = {MT_STR_INIT("A"), -0.5f};
    const struct mt_token_logprob a = {
        .token = MT_STR_INIT("a"), .logprob = -0.25f, .entropy = -1, .top = &top, .top_n = 1};
    const struct mt_token_logprob b = {.token = MT_STR_INIT("b"), .logprob = -1, .entropy = -1};
    struct mt_chat_event events[] = {
        {.kind = MT_EVENT_TEXT, .text = MT_STR_INIT("a"), .logprobs = &a, .logprobs_n = 1},
        {.kind = MT_EVENT_TEXT, .text = MT_STR_INIT("b"), .logprobs = &b, .logprobs_n = 1},
        {.kind = MT_EVENT_FINISH, .finish = MT_FINISH_STOP},
        {.kind = MT_EVENT_END}};
    struct fixture f;

    (void)unused;
    fixture_init(&f);
    const char *at = fixture_encode_stream(&f, codec, &reply, events, MT_ARRAY_LEN(events));
    at = after(
        at, "\"delta\":\"a\",\"logprobs\":[{\"token\":\"a\",\"logprob\":-0.25,\"bytes\":[97],"
            "\"top_logprobs\":[{\"token\":\"A\",\"logprob\":-0.5,\"bytes\":[65]}]}]");
    at = after(at, "output_text.done");
    after(at, "\"top_logprobs\":[{\"token\":\"A\",\"logprob\":-0.5,\"bytes\":[65]}]},{"
              "\"token\":\"b\","
              "\"logprob\":-1,\"bytes\":[98],\"top_logprobs\":[]}]");
    (void)read_strictly(&f, mt_buf_cstr(&f.out));
    fixture_fini(&f);
}

/* --- streams of an endpoint --- */

#define SSE(name, data) \
    "event: response." name "\ndata: {\"type\":\"response." name "\"," data "}\n\n"
#define UP_START \
    SSE("created", "\"response\":{\"id\":\"resp_1\",\"model\":\"gpt\",\"output\":[]}")
#define UP_END(status, output)                                                        \
    SSE(status, "\"response\":{\"id\":\"resp_1\",\"status\":\"" status                \
                "\",\"output\":[" output "],\"usage\":{\"input_tokens\":9,"           \
                "\"input_tokens_details\":{\"cached_tokens\":4},\"output_tokens\":5," \
                "\"output_tokens_details\":{\"reasoning_tokens\":2},\"total_tokens\":14}}")
#define UP_ADDED(i, item) SSE("output_item.added", "\"output_index\":" i ",\"item\":" item)
#define UP_DONE(i, item)  SSE("output_item.done", "\"output_index\":" i ",\"item\":" item)
#define FCALL(args)                                                                \
    "{\"type\":\"function_call\",\"id\":\"fc\",\"call_id\":\"c1\",\"name\":\"f\"," \
    "\"arguments\":"                                                               \
    "\"" args "\"}"
#define FCALL2(args)                                                               \
    "{\"type\":\"function_call\",\"id\":\"fd\",\"call_id\":\"c2\",\"name\":\"g\"," \
    "\"arguments\":"                                                               \
    "\"" args "\"}"

static const struct {
    const char *name;
    const char *stream;
    const char *events;
} upstream_cases[] = {
    {"text with logprobs",
     UP_START UP_ADDED("0", "{\"type\":\"message\",\"id\":\"m\",\"content\":[]}")
         SSE("content_part.added", "\"output_index\":0,\"content_index\":0,\"part\":{}")
             SSE("output_text.delta", "\"output_index\":0,\"delta\":\"Hi\",\"logprobs\":[{"
                                      "\"token\":\"Hi\",\"logprob\":-0.5,\"top_logprobs\":[]}]")
                 SSE("output_text.done", "\"output_index\":0,\"text\":\"Hi\"")
                     UP_DONE("0", "{\"type\":\"message\",\"content\":[{\"type\":\"output_"
                                  "text\",\"text\":\"Hi\"}]}")
                         UP_END("completed", "{\"type\":\"message\",\"content\":[{\"type\":"
                                             "\"output_text\",\"text\":\"Hi\"}]}"),
     "START id=resp_1 model=gpt | TEXT 0 Hi [Hi -0.50 top 0] | FINISH 0 stop | "
     "USAGE 9+5 c4 w0 r2 | END"},
    {"thoughts in two parts, then mixed calls",
     UP_START UP_ADDED("0", "{\"type\":\"reasoning\",\"id\":\"rs\",\"summary\":[]}") SSE(
         "reasoning_summary_text.delta",
         "\"output_index\":0,\"summary_index\":0,\"delta\":\"a\"")
         SSE("reasoning_summary_text.delta",
             "\"output_index\":0,\"summary_index\":1,\"delta\":\"b\"")
             UP_DONE("0",
                     "{\"type\":\"reasoning\",\"summary\":[],\"encrypted_content\":\"Zm9v\"}")
                 UP_ADDED("1", FCALL("")) UP_ADDED("2", FCALL2("")) SSE(
                     "function_call_arguments.delta", "\"output_index\":2,\"delta\":\"{\"")
                     SSE("function_call_arguments.delta", "\"output_index\":1,\"delta\":\"{}\"")
                         SSE("function_call_arguments.delta",
                             "\"output_index\":2,\"delta\":\"}\"") UP_DONE("1", FCALL("{}"))
                             UP_DONE("2", FCALL2("{}")) UP_END("completed", ""),
     "START id=resp_1 model=gpt | REASONING 0 a | REASONING 0 \n\n | REASONING 0 b | "
     "SIGNATURE 0 openai:Zm9v | CALL 0.0 c1 f | CALL 0.1 c2 g | ARGS 0.1 { | ARGS 0.0 {} | "
     "ARGS 0.1 } | FINISH 0 tool_calls | USAGE 9+5 c4 w0 r2 | END"},
    {"no deltas at all: the items are read from the end",
     UP_START UP_END(
         "incomplete",
         "{\"type\":\"reasoning\",\"summary\":[],\"encrypted_content\":\"Zm9v\"},"
         "{\"type\":\"web_search_call\",\"id\":\"ws\"},"
         "{\"type\":\"message\",\"content\":[{\"type\":\"output_text\",\"text\":\"Hi\"},"
         "{\"type\":\"refusal\",\"refusal\":\"No\"}]}"),
     "START id=resp_1 model=gpt | REASONING 0 redacted openai:Zm9v | TEXT 0 Hi | REFUSAL 0 No "
     "| "
     "FINISH 0 length | USAGE 9+5 c4 w0 r2 | END"},
    {"a failed response",
     UP_START SSE("failed", "\"response\":{\"status\":\"failed\",\"error\":{\"code\":"
                            "\"rate_limit_exceeded\",\"message\":\"slow\"}}"),
     "START id=resp_1 model=gpt | ERROR rate_limit_exceeded: slow"},
    {"an error event, and a failed response after it",
     UP_START "event: error\ndata: {\"type\":\"error\",\"code\":\"context_length_exceeded\","
              "\"message\":\"long\",\"param\":null}\n\n" SSE("failed", "\"response\":{}"),
     "START id=resp_1 model=gpt | ERROR context_length_exceeded: long"},
    {"cut before the end", UP_START,
     "START id=resp_1 model=gpt ! the stream ended before its response did"},
    {"no start", UP_ADDED("0", FCALL("")), " ! stream: expected response.created first"},
    {"a bad index", UP_START UP_ADDED("-1", FCALL("")),
     "START id=resp_1 model=gpt ! stream: an event with a bad output_index"},
    {"not JSON", "event: x\ndata: {\n\n", " ! stream: a frame that is not JSON"},
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
            "{\"id\":\"resp_1\",\"model\":\"gpt\",\"status\":\"completed\",\"error\":null,"
            "\"output\":[{\"type\":\"reasoning\",\"summary\":[{\"type\":\"summary_text\","
            "\"text\":"
            "\"a\"},{\"type\":\"summary_text\",\"text\":\"b\"}],\"encrypted_content\":null},"
            "{\"type\":\"message\",\"content\":[{\"type\":\"output_text\",\"text\":\"Hi\"}]}"
            "," FCALL("{\\\"a\\\":1}") "],\"usage\":{\"input_tokens\":1,\"output_tokens\":2}}"),
        "START id=resp_1 model=gpt | REASONING 0 a | REASONING 0 \n\n | REASONING 0 b | TEXT 0 "
        "Hi | "
        "CALL 0.0 c1 f | ARGS 0.0 {\"a\":1} | FINISH 0 tool_calls | USAGE 1+2 c0 w0 r0 | END");
    assert_string_equal(fixture_answer_text(&f, codec,
                                            "{\"error\":{\"code\":\"invalid_api_key\","
                                            "\"message\":\"no\"}}"),
                        "ERROR invalid_api_key: no");
    assert_string_equal(fixture_answer_text(&f, codec, "{}"),
                        " ! answer.output: expected an array, found nothing");
    fixture_fini(&f);
}

/* --- requests --- */

#define ASK "\"model\":\"m\",\"input\":"

static const struct {
    const char *body;
    const char *words; /* the error's */
} bad_requests[] = {
    {"[]", "body: expected an object, found an array"},
    {"{}", "model: field required"},
    {"{\"model\":\"m\"}", "input: field required"},
    {"{" ASK "1}", "input: expected a string or an array"},
    {"{" ASK "[1]}", "input[0]: expected an object, found a number"},
    {"{" ASK "[{}]}", "input[0].type: field required"},
    {"{" ASK "[{\"role\":\"tool\",\"content\":\"x\"}]}", "input[0].role: expected 'user'"},
    {"{" ASK "[{\"role\":\"user\"}]}", "input[0].content: expected a string or an array"},
    {"{" ASK "[{\"role\":\"user\",\"content\":[{\"type\":\"video\"}]}]}",
     "input[0].content[0].type: a part \"video\" cannot be translated"},
    {"{" ASK "[{\"role\":\"user\",\"content\":[{\"type\":\"input_text\"}]}]}",
     "input[0].content[0].text: field required"},
    {"{" ASK "[{\"role\":\"user\",\"content\":[{\"type\":\"input_image\"}]}]}",
     "input[0].content[0].image_url: field required"},
    {"{" ASK "[{\"type\":\"item_reference\",\"id\":\"x\"}]}",
     "input[0].type: an item \"item_reference\" cannot be translated"},
    {"{" ASK "[{\"type\":\"web_search_call\",\"id\":\"x\"}]}", "\"web_search_call\""},
    {"{" ASK "[{\"type\":\"function_call\",\"name\":\"f\"}]}",
     "input[0].call_id: field required"},
    {"{" ASK "[{\"type\":\"function_call_output\",\"call_id\":\"f\"}]}",
     "input[0].output: expected a string or an array"},
    {"{" ASK "\"x\",\"tools\":[{\"type\":\"function\"}]}", "tools[0].name: field required"},
    {"{" ASK "\"x\",\"tools\":[{\"name\":\"f\"}]}", "tools[0].type: expected a string"},
    {"{" ASK "\"x\",\"tool_choice\":\"maybe\"}", "tool_choice: expected 'auto'"},
    {"{" ASK "\"x\",\"tool_choice\":{\"type\":\"file_search\"}}",
     "tool_choice: \"file_search\" is not supported"},
    {"{" ASK "\"x\",\"text\":{\"format\":{\"type\":\"xml\"}}}",
     "text.format.type: expected 'text'"},
    {"{" ASK "\"x\",\"text\":{\"format\":{\"type\":\"json_schema\"}}}",
     "text.format.name: field required"},
    {"{" ASK "\"x\",\"reasoning\":{\"effort\":\"so\"}}", "reasoning.effort: 'so' is not known"},
    {"{" ASK "\"x\",\"temperature\":3}", "temperature"},
    {"{" ASK "\"x\",\"top_logprobs\":21}", "top_logprobs"},
    {"{" ASK "\"x\",\"background\":true}", "background: not supported"},
    {"{" ASK "\"x\",\"conversation\":\"c\"}", "conversation: not supported"},
    {"{" ASK "\"x\",\"prompt\":{\"id\":\"p\"}}", "prompt: not supported"},
    {"{" ASK "\"x\",\"include\":\"all\"}", "include: expected an array"},
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

static const char full_body[] =
    "{\"model\":\"m\",\"instructions\":\"be \\\"brief\\\"\",\"input\":["
    "{\"role\":\"user\",\"content\":\"hi\"},"
    "{\"type\":\"message\",\"role\":\"user\",\"content\":[{\"type\":\"input_text\",\"text\":"
    "\"look\"},"
    "{\"type\":\"input_image\",\"image_url\":\"data:image/"
    "png;base64,AAAA\",\"detail\":\"low\"},"
    "{\"type\":\"input_file\",\"filename\":\"a.pdf\",\"file_data\":\"data:application/"
    "pdf;base64,BBBB\"}]},"
    "{\"type\":\"reasoning\",\"id\":\"rs_1\",\"summary\":[{\"type\":\"summary_text\",\"text\":"
    "\"hm\"}],\"encrypted_content\":\"Zm9v\"},"
    "{\"type\":\"message\",\"id\":\"msg_1\",\"role\":\"assistant\",\"status\":\"completed\","
    "\"content\":[{\"type\":\"output_text\",\"text\":\"ok\",\"annotations\":[]}]},"
    "{\"type\":\"function_call\",\"id\":\"fc_1\",\"call_id\":\"c1\",\"name\":\"f\","
    "\"arguments\":\"{\\\"a\\\":1}\"},"
    "{\"type\":\"function_call\",\"call_id\":\"c2\",\"name\":\"g\",\"arguments\":\"{}\"},"
    "{\"type\":\"function_call_output\",\"call_id\":\"c1\",\"output\":\"one\"},"
    "{\"type\":\"function_call_output\",\"call_id\":\"c2\",\"output\":[{\"type\":\"input_"
    "text\",\"text\":\"two\"},{\"type\":\"input_image\",\"image_url\":\"https://x/y.png\"}]}],"
    "\"tools\":[{\"type\":\"function\",\"name\":\"f\",\"parameters\":{\"type\":\"object\"},"
    "\"strict\":true},{\"type\":\"web_search\"}],"
    "\"tool_choice\":{\"type\":\"function\",\"name\":\"f\"},\"parallel_tool_calls\":false,"
    "\"text\":{\"format\":{\"type\":\"json_schema\",\"name\":\"n\",\"schema\":{\"type\":"
    "\"object\"},\"strict\":true},\"verbosity\":\"low\"},"
    "\"reasoning\":{\"effort\":\"high\",\"summary\":\"auto\"},\"max_output_tokens\":64,"
    "\"temperature\":0.5,"
    "\"include\":[\"reasoning.encrypted_content\",\"message.output_text.logprobs\"],\"top_"
    "logprobs\":3,"
    "\"truncation\":\"auto\",\"metadata\":{\"k\":\"v\"},\"store\":false,\"stream\":true,"
    "\"prompt_cache_key\":\"p\"}";

static void a_request_survives_the_round_trip(void **unused)
{
    static const char *const kept[] = {
        "\"instructions\":\"be "
        "\\\"brief\\\"\",\"input\":[{\"type\":\"message\",\"role\":\"user\",\"content\":[{"
        "\"type\":\"input_text\",\"text\":\"hi\"}]}",
        "{\"type\":\"input_image\",\"image_url\":\"data:image/"
        "png;base64,AAAA\",\"detail\":\"low\"}",
        "{\"type\":\"input_file\",\"filename\":\"a.pdf\",\"file_data\":\"data:application/"
        "pdf;base64,BBBB\"}",
        "{\"type\":\"reasoning\",\"summary\":[{\"type\":\"summary_text\",\"text\":\"hm\"}],"
        "\"encrypted_content\":\"Zm9v\"},"
        "{\"type\":\"message\",\"role\":\"assistant\",\"content\":[{\"type\":\"output_text\","
        "\"text\":\"ok\"}]},"
        "{\"type\":\"function_call\",\"call_id\":\"c1\",\"name\":\"f\",\"arguments\":\"{"
        "\\\"a\\\":1}\"},"
        "{\"type\":\"function_call\",\"call_id\":\"c2\",\"name\":\"g\",\"arguments\":\"{}\"},"
        "{\"type\":\"function_call_output\",\"call_id\":\"c1\",\"output\":\"one\"},"
        "{\"type\":\"function_call_output\",\"call_id\":\"c2\",\"output\":[{\"type\":\"input_"
        "text\",\"text\":\"two\"},{\"type\":\"input_image\",\"image_url\":\"https://x/"
        "y.png\",\"detail\":\"auto\"}]}]",
        "\"tools\":[{\"type\":\"function\",\"name\":\"f\",\"parameters\":{\"type\":\"object\"},"
        "\"strict\":true},{\"type\":\"web_search\"}]",
        "\"tool_choice\":{\"type\":\"function\",\"name\":\"f\"}",
        "\"parallel_tool_calls\":false",
        "\"text\":{\"format\":{\"type\":\"json_schema\",\"name\":\"n\",\"schema\":{\"type\":"
        "\"object\"},\"strict\":true},\"verbosity\":\"low\"}",
        "\"reasoning\":{\"effort\":\"high\",\"summary\":\"auto\"}",
        "\"max_output_tokens\":64",
        "\"include\":[\"reasoning.encrypted_content\",\"message.output_text.logprobs\"]",
        "\"top_logprobs\":3",
        "\"truncation\":\"auto\"",
        "\"metadata\":{\"k\":\"v\"}",
        "\"store\":false",
        "\"stream\":true",
        "\"prompt_cache_key\":\"p\"",
        "\"temperature\":0.5"};
    struct mt_chat_request request;
    struct fixture f;

    (void)unused;
    fixture_init(&f);
    assert_int_equal(fixture_decode(&f, codec, full_body, &request), MT_OK);
    assert_int_equal(request.messages_n, 6); /* the assistant's items are one message */
    assert_int_equal(request.messages[3].parts_n, 4);
    assert_true(mt_str_is(request.messages[5].parts[0].name, "g")); /* found by its call */
    assert_int_equal(fixture_encode(&f, codec, &request, "gpt"), MT_OK);
    assert_string_equal(mt_buf_cstr(&f.path), "/v1/responses");
    for (size_t i = 0; i < MT_ARRAY_LEN(kept); i++)
        after(mt_buf_cstr(&f.out), kept[i]);
    assert_int_equal(f.notes.text.len, 0);
    fixture_fini(&f);
}

static void what_cannot_be_carried_is_refused_or_noted(void **unused)
{
    struct mt_chat_part audio = {.kind = MT_PART_AUDIO};
    struct mt_chat_message message = {.role = MT_ROLE_USER, .parts = &audio, .parts_n = 1};
    struct mt_chat_tool hosted = {.hosted_type = MT_STR_INIT("web_search_20250305")};
    const struct {
        struct mt_chat_request request;
        const char *words;
    } rows[] = {
        {{.n = 2}, "n: this provider gives one answer"},
        {{.kind = MT_CHAT_COMPLETION}, "prompt"},
        {{.previous_response_id = MT_STR_INIT("r")}, "previous_response_id"},
        {{.tools = &hosted, .tools_n = 1}, "'web_search_20250305' runs at another provider"},
        {{.messages = &message, .messages_n = 1}, "audio"},
    };
    struct mt_chat_request tuned = {.dialect = MT_DIALECT_OLLAMA_CHAT};
    struct fixture f;

    (void)unused;
    fixture_init(&f);
    for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
        assert_int_equal(fixture_encode(&f, codec, &rows[i].request, "gpt"), MT_E_UNSUPPORTED);
        mt_check_row(rows[i].words, strstr(f.err.text, rows[i].words) != NULL);
    }
    tuned.sampling.stop_n = 1;
    tuned.sampling.seed = (struct mt_opt_i64){true, 1};
    tuned.reasoning_budget = (struct mt_opt_i64){true, 1000};
    assert_int_equal(fixture_encode(&f, codec, &tuned, "gpt"), MT_OK);
    after(mt_buf_cstr(&f.notes.text), "seed is not supported");
    after(mt_buf_cstr(&f.notes.text), "stop is not supported");
    after(mt_buf_cstr(&f.out), "\"reasoning\":{\"effort\":\"");
    fixture_fini(&f);
}

/* --- answers, fast lane --- */

static void an_answer_says_what_its_stream_said(void **unused)
{
    struct mt_collector *collector = NULL;
    const struct mt_chat_answer *answer = NULL;
    struct fixture f;

    (void)unused;
    fixture_init(&f);
    assert_int_equal(mt_collector_new(1 << 16, &collector, &f.err), MT_OK);
    assert_int_equal(fixture_decode_stream(&f, codec, upstream_cases[2].stream, 9,
                                           mt_collector_add, collector),
                     MT_OK);
    assert_int_equal(mt_collector_answer(collector, &answer, &f.err), MT_OK);
    codec->encode_answer(&reply, answer, &f.out);
    const char *at =
        after(mt_buf_cstr(&f.out),
              "{\"id\":\"resp_0123456789abcdefghjkmnpqrs\",\"object\":\"response\","
              "\"created_at\":1700000000,\"status\":\"incomplete\",\"error\":null,"
              "\"incomplete_details\":{\"reason\":\"max_output_tokens\"}");
    at = after(at,
               "\"output\":[{\"id\":\"rs_0123456789abcdefghjkmnpqrs0\",\"type\":\"reasoning\","
               "\"status\":\"completed\",\"summary\":[],\"encrypted_content\":\"Zm9v\"},"
               "{\"id\":\"msg_0123456789abcdefghjkmnpqrs1\",\"type\":\"message\",\"status\":"
               "\"incomplete\",\"role\":\"assistant\",\"content\":[{\"type\":\"output_text\","
               "\"annotations\":[],\"logprobs\":[],\"text\":\"Hi\"},{\"type\":\"refusal\","
               "\"refusal\":\"No\"}]}]");
    after(at, "\"usage\":{\"input_tokens\":9,\"input_tokens_details\":{\"cached_tokens\":4},"
              "\"output_tokens\":5,\"output_tokens_details\":{\"reasoning_tokens\":2},"
              "\"total_tokens\":14}");
    (void)fixture_json(&f, mt_buf_cstr(&f.out));
    mt_collector_free(collector);
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
    static const struct {
        const char *body;
        bool needs_canonical;
    } rows[] = {{"{\"model\":\"a\",\"input\":\"x\",\"store\":false}", false},
                {"{\"model\":\"a\",\"input\":\"x\"}", true},
                {"{\"model\":\"a\",\"store\":false,\"previous_response_id\":\"r\"}", true},
                {"{\"model\":\"a\",\"store\":false,\"background\":true}", true}};
    struct mt_frames frames;
    struct fixture f;

    (void)unused;
    fixture_init(&f);
    for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
        struct mt_chat_peek peeked = {0};
        const struct mt_json *root = fixture_json(&f, rows[i].body);
        assert_int_equal(codec->peek(root, NULL, &f.arena, &peeked, &f.err), MT_OK);
        mt_check_row(rows[i].body, peeked.needs_canonical == rows[i].needs_canonical);
    }
    const struct mt_json *root =
        fixture_json(&f, "{ \"model\" : \"auto\", \"motet\": {}, \"input\": \"x\" }");
    codec->forward_body(root, mt_buf_str(&f.text), MT_STR("gpt"), &f.out);
    after(mt_buf_cstr(&f.out), "\"gpt\"");
    assert_null(strstr(mt_buf_cstr(&f.out), "motet"));

    struct passing p = {.f = &f};
    mt_frames_init(&frames, MT_FRAMING_SSE, FIXTURE_TEXT_MAX);
    assert_int_equal(
        mt_frames_feed(&frames, mt_str_of(upstream_cases[1].stream), meter, &p, &f.err), MT_OK);
    mt_frames_fini(&frames);
    const struct mt_chat_meter *m = &p.meter;
    assert_true(m->has_usage && m->has_content && m->is_finished && !m->has_error);
    assert_int_equal(m->deltas_n, 5);
    assert_int_equal(m->usage.input_tokens, 9);
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
    return codec->encode_request(&request, MT_STR("gpt"), &f->out, &f->path, &f->notes,
                                 &f->err);
}

static mt_rc decode_and_restream(struct fixture *f)
{
    mt_arena_fini(&f->arena);
    mt_arena_fini(&f->frame_arena);
    mt_buf_fini(&f->out);
    void *state = NULL;
    MT_TRY(codec->encoder_new(&reply, &f->arena, &state, &f->err));
    for (size_t i = 0; i < events_of(&stream_cases[5]); i++)
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
        cmocka_unit_test(logprobs_are_told_with_deltas_and_again),
        cmocka_unit_test(endpoint_streams_become_events),
        cmocka_unit_test(whole_answers_become_events),
        cmocka_unit_test(bad_requests_are_told_where),
        cmocka_unit_test(a_request_survives_the_round_trip),
        cmocka_unit_test(what_cannot_be_carried_is_refused_or_noted),
        cmocka_unit_test(an_answer_says_what_its_stream_said),
        cmocka_unit_test(the_fast_lane_meters_and_splices),
        cmocka_unit_test(requests_survive_any_oom),
        cmocka_unit_test(streams_survive_any_oom),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
