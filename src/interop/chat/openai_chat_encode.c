/* SPDX-License-Identifier: Apache-2.0 */
/* Answers in the words of /v1/chat/completions, as chunks or whole.
 *
 * A choice opens with a chunk that names its role; a tool call tells id, type and name once; a
 * call that ends without arguments gets "{}", because clients parse them. The usage chunk, with
 * no choices, comes after every finish, and only to those who asked. */
#include "openai_priv.h"

struct choice {
    bool has_role;
    bool has_open_call;
    bool has_args;
    unsigned tool;
};

struct state {
    const struct mt_chat_reply *reply;
    struct mt_str head; /* a chunk as far as its choices */
    bool wants_usage;
    bool is_legacy;
    bool hides_reasoning;
    struct mt_usage usage;
    struct choice choices[MT_CHAT_CHOICES_MAX];
};

/* One chunk being written: the frame around one choice. */
struct chunk {
    struct state *s;
    struct mt_buf *out;
    struct mt_jw w;
};

static void open_chunk(struct chunk *c, struct state *s, struct mt_buf *out, unsigned choice)
{
    c->s = s;
    c->out = out;
    mt_sse_begin(out, NULL);
    mt_buf_add(out, s->head);
    mt_jw_begin(&c->w, out);
    mt_jw_object(&c->w);
    mt_jw_ki64(&c->w, "index", choice);
    mt_jw_key(&c->w, "delta");
    mt_jw_object(&c->w);
}

static void close_chunk(struct chunk *c, const struct mt_chat_event *event, const char *finish)
{
    mt_jw_end(&c->w);
    mt_jw_key(&c->w, "logprobs");
    mt_openai__write_logprobs(&c->w, event->logprobs, event->logprobs_n);
    mt_jw_kcstr(&c->w, "finish_reason", finish);
    mt_jw_end(&c->w);
    mt_buf_add_cstr(c->out, c->s->wants_usage ? "],\"usage\":null}" : "]}");
    mt_sse_end(c->out);
}

/* What the encoder remembers of a choice; the few beyond the table share its last row. */
static struct choice *choice_of(struct state *s, unsigned index)
{
    return &s->choices[index < MT_CHAT_CHOICES_MAX ? index : MT_CHAT_CHOICES_MAX - 1];
}

static void write_role(struct state *s, unsigned index, struct mt_buf *out)
{
    static const struct mt_chat_event nothing = {0};
    struct choice *choice = choice_of(s, index);
    struct chunk c;

    if (choice->has_role)
        return;
    choice->has_role = true;
    open_chunk(&c, s, out, index);
    mt_jw_kcstr(&c.w, "role", "assistant");
    mt_jw_kcstr(&c.w, "content", "");
    close_chunk(&c, &nothing, NULL);
}

static void write_text(struct state *s, const struct mt_chat_event *event, const char *key,
                       struct mt_buf *out)
{
    struct chunk c;

    open_chunk(&c, s, out, event->choice);
    mt_jw_kstr(&c.w, key, event->text);
    close_chunk(&c, event, NULL);
}

/* An image or a sound as OpenRouter hands them over: [{"type":"image_url",...}]. */
static void put_media(struct mt_jw *w, struct mt_str mime, struct mt_str base64)
{
    mt_jw_object(w);
    mt_jw_kcstr(w, "type", "image_url");
    mt_jw_key(w, "image_url");
    mt_jw_object(w);
    mt_jw_key(w, "url");
    mt_openai__data_url(w, mime, base64);
    mt_jw_end(w);
    mt_jw_end(w);
}

static void write_media(struct state *s, const struct mt_chat_event *event, struct mt_buf *out)
{
    struct chunk c;

    open_chunk(&c, s, out, event->choice);
    mt_jw_key(&c.w, "images");
    mt_jw_array(&c.w);
    put_media(&c.w, event->mime, event->text);
    mt_jw_end(&c.w);
    close_chunk(&c, event, NULL);
}

static void put_call_id(struct mt_jw *w, const struct mt_chat_reply *reply, struct mt_str id,
                        unsigned choice, unsigned tool)
{
    mt_jw_key(w, "id");
    if (id.len > 0) {
        mt_jw_str(w, id);
        return;
    }
    mt_openai__open_text(w);
    mt_buf_addf(w->buf, "call_%.*s_%u_%u", MT_STR_ARG(reply->id), choice, tool);
    mt_openai__close_text(w);
}

static void write_call(struct state *s, const struct mt_chat_event *event, struct mt_buf *out)
{
    static const struct mt_chat_event nothing = {0};
    struct chunk c;

    open_chunk(&c, s, out, event->choice);
    if (!s->is_legacy) {
        mt_jw_key(&c.w, "tool_calls");
        mt_jw_array(&c.w);
        mt_jw_object(&c.w);
        mt_jw_ki64(&c.w, "index", event->tool);
        put_call_id(&c.w, s->reply, event->id, event->choice, event->tool);
        mt_jw_kcstr(&c.w, "type", "function");
        mt_jw_key(&c.w, "function");
    } else {
        mt_jw_key(&c.w, "function_call");
    }
    mt_jw_object(&c.w);
    mt_jw_kstr(&c.w, "name", event->name);
    mt_jw_kcstr(&c.w, "arguments", "");
    mt_jw_end(&c.w);
    if (!s->is_legacy) {
        mt_jw_end(&c.w);
        mt_jw_end(&c.w);
    }
    close_chunk(&c, &nothing, NULL);
}

static void write_args(struct state *s, unsigned index, unsigned tool, struct mt_str text,
                       struct mt_buf *out)
{
    static const struct mt_chat_event nothing = {0};
    struct chunk c;

    open_chunk(&c, s, out, index);
    mt_jw_key(&c.w, s->is_legacy ? "function_call" : "tool_calls");
    if (!s->is_legacy) {
        mt_jw_array(&c.w);
        mt_jw_object(&c.w);
        mt_jw_ki64(&c.w, "index", tool);
        mt_jw_key(&c.w, "function");
    }
    mt_jw_object(&c.w);
    mt_jw_kstr(&c.w, "arguments", text);
    mt_jw_end(&c.w);
    if (!s->is_legacy) {
        mt_jw_end(&c.w);
        mt_jw_end(&c.w);
    }
    close_chunk(&c, &nothing, NULL);
}

/* The call that was open ends: with arguments, whatever the model left out. */
static void end_call(struct state *s, unsigned index, struct mt_buf *out)
{
    struct choice *choice = choice_of(s, index);

    if (choice->has_open_call && !choice->has_args)
        write_args(s, index, choice->tool, MT_STR("{}"), out);
    choice->has_open_call = false;
}

static void begin_call(struct state *s, const struct mt_chat_event *event, struct mt_buf *out)
{
    struct choice *choice = choice_of(s, event->choice);

    *choice = (struct choice){.has_role = true, .has_open_call = true, .tool = event->tool};
    write_call(s, event, out);
}

static void write_finish(struct state *s, const struct mt_chat_event *event, struct mt_buf *out)
{
    struct chunk c;

    open_chunk(&c, s, out, event->choice);
    close_chunk(&c, event, mt_openai__finish_name(event->finish, s->is_legacy));
}

/* Everything that belongs to one choice. */
static void write_choice_event(struct state *s, const struct mt_chat_event *event,
                               struct mt_buf *out)
{
    write_role(s, event->choice, out);
    if (event->kind == MT_EVENT_TOOL_ARGS) {
        choice_of(s, event->choice)->has_args |= event->text.len > 0;
        write_args(s, event->choice, event->tool, event->text, out);
        return;
    }
    end_call(s, event->choice, out);
    if (event->kind == MT_EVENT_TEXT)
        write_text(s, event, "content", out);
    else if (event->kind == MT_EVENT_REASONING)
        write_text(s, event, "reasoning_content", out);
    else if (event->kind == MT_EVENT_REFUSAL)
        write_text(s, event, "refusal", out);
    else if (event->kind == MT_EVENT_MEDIA)
        write_media(s, event, out);
    else if (event->kind == MT_EVENT_TOOL_CALL)
        begin_call(s, event, out);
    else if (event->kind == MT_EVENT_FINISH)
        write_finish(s, event, out);
}

mt_rc mt_openai__encoder_new(const struct mt_chat_reply *reply, struct mt_arena *arena,
                             void **state, struct mt_err *err)
{
    struct state *s = mt_arena_get(arena, 1, sizeof *s);

    if (s == NULL)
        return mt_arena_fail(arena, err);
    MT_TRY(mt_openai__chunk_head(reply, "chatcmpl-", "chat.completion.chunk", arena, &s->head,
                                 err));
    s->reply = reply;
    s->wants_usage = reply->request->stream_usage;
    s->is_legacy = reply->request->legacy_functions;
    s->hides_reasoning = reply->request->include_reasoning == MT_NO;
    s->usage.input_tokens = reply->input_tokens;
    *state = s;
    return MT_OK;
}

void mt_openai__encode_event(void *state, const struct mt_chat_event *event, struct mt_buf *out)
{
    struct state *s = state;

    switch (event->kind) {
    case MT_EVENT_START:
        write_role(s, 0, out);
        break;
    case MT_EVENT_REASONING:
        if (!event->is_redacted && !s->hides_reasoning)
            write_choice_event(s, event, out);
        break;
    case MT_EVENT_TEXT:
    case MT_EVENT_REFUSAL:
    case MT_EVENT_MEDIA:
    case MT_EVENT_TOOL_CALL:
    case MT_EVENT_TOOL_ARGS:
    case MT_EVENT_FINISH:
        write_choice_event(s, event, out);
        break;
    case MT_EVENT_SIGNATURE: /* only its maker can read it, and this is not its dialect */
        break;
    case MT_EVENT_USAGE:
        s->usage = event->usage;
        break;
    case MT_EVENT_END:
        mt_openai__write_stream_end(s->head, s->wants_usage ? &s->usage : NULL, out);
        break;
    case MT_EVENT_ERROR:
        mt_openai__write_stream_error(event->error, out);
        break;
    case MT_EVENT_PING:
        mt_sse_comment(out, "ping");
        break;
    }
}

static size_t count_kind(const struct mt_choice *choice, enum mt_out_kind kind)
{
    size_t n = 0;

    for (size_t i = 0; i < choice->parts_n; i++)
        n += choice->parts[i].kind == kind && !choice->parts[i].is_redacted;
    return n;
}

/* All parts of a kind as one string under key. */
static void put_joined(struct mt_jw *w, const char *key, const struct mt_choice *choice,
                       enum mt_out_kind kind)
{
    mt_jw_key(w, key);
    mt_openai__open_text(w);
    for (size_t i = 0; i < choice->parts_n; i++) {
        if (choice->parts[i].kind == kind)
            mt_json_escape(w->buf, choice->parts[i].text);
    }
    mt_openai__close_text(w);
}

static void put_function(struct mt_jw *w, const struct mt_out_part *call)
{
    mt_jw_object(w);
    mt_jw_kstr(w, "name", call->name);
    mt_jw_kstr(w, "arguments", call->text.len > 0 ? call->text : MT_STR("{}"));
    mt_jw_end(w);
}

static void put_calls(struct mt_jw *w, const struct mt_chat_reply *reply,
                      const struct mt_choice *choice, unsigned index)
{
    unsigned tool = 0;

    mt_jw_key(w, "tool_calls");
    mt_jw_array(w);
    for (size_t i = 0; i < choice->parts_n; i++) {
        const struct mt_out_part *part = &choice->parts[i];
        if (part->kind != MT_OUT_TOOL_CALL)
            continue;
        mt_jw_object(w);
        put_call_id(w, reply, part->id, index, tool++);
        mt_jw_kcstr(w, "type", "function");
        mt_jw_key(w, "function");
        put_function(w, part);
        mt_jw_end(w);
    }
    mt_jw_end(w);
}

/* An answer of old has room for one call. */
static void put_legacy_call(struct mt_jw *w, const struct mt_choice *choice)
{
    for (size_t i = 0; i < choice->parts_n; i++) {
        if (choice->parts[i].kind != MT_OUT_TOOL_CALL)
            continue;
        mt_jw_key(w, "function_call");
        put_function(w, &choice->parts[i]);
        return;
    }
}

static void put_images(struct mt_jw *w, const struct mt_choice *choice)
{
    mt_jw_key(w, "images");
    mt_jw_array(w);
    for (size_t i = 0; i < choice->parts_n; i++) {
        if (choice->parts[i].kind == MT_OUT_MEDIA)
            put_media(w, choice->parts[i].mime, choice->parts[i].text);
    }
    mt_jw_end(w);
}

static void put_message(struct mt_jw *w, const struct mt_chat_reply *reply,
                        const struct mt_choice *choice, unsigned index)
{
    bool has_calls = count_kind(choice, MT_OUT_TOOL_CALL) > 0;
    bool has_refusal = count_kind(choice, MT_OUT_REFUSAL) > 0;

    mt_jw_object(w);
    mt_jw_kcstr(w, "role", "assistant");
    if (count_kind(choice, MT_OUT_TEXT) > 0 || (!has_calls && !has_refusal))
        put_joined(w, "content", choice, MT_OUT_TEXT);
    else
        mt_jw_kcstr(w, "content", NULL);
    if (has_refusal)
        put_joined(w, "refusal", choice, MT_OUT_REFUSAL);
    else
        mt_jw_kcstr(w, "refusal", NULL);
    if (count_kind(choice, MT_OUT_REASONING) > 0 && reply->request->include_reasoning != MT_NO)
        put_joined(w, "reasoning_content", choice, MT_OUT_REASONING);
    if (count_kind(choice, MT_OUT_MEDIA) > 0)
        put_images(w, choice);
    if (has_calls && reply->request->legacy_functions)
        put_legacy_call(w, choice);
    else if (has_calls)
        put_calls(w, reply, choice, index);
    mt_jw_end(w);
}

void mt_openai__encode_answer(const struct mt_chat_reply *reply,
                              const struct mt_chat_answer *answer, struct mt_buf *out)
{
    struct mt_jw w;

    mt_jw_begin(&w, out);
    mt_openai__write_head(&w, reply, "chatcmpl-", "chat.completion");
    mt_jw_key(&w, "choices");
    mt_jw_array(&w);
    for (size_t i = 0; i < answer->choices_n; i++) {
        const struct mt_choice *choice = &answer->choices[i];
        mt_jw_object(&w);
        mt_jw_ki64(&w, "index", (int64_t)i);
        mt_jw_key(&w, "message");
        put_message(&w, reply, choice, (unsigned)i);
        mt_jw_key(&w, "logprobs");
        mt_openai__write_logprobs(&w, choice->logprobs, choice->logprobs_n);
        mt_jw_kcstr(&w, "finish_reason",
                    mt_openai__finish_name(choice->finish, reply->request->legacy_functions));
        mt_jw_end(&w);
    }
    mt_jw_end(&w);
    mt_jw_key(&w, "usage");
    mt_openai__write_usage(&w, &answer->usage);
    mt_jw_end(&w);
}
