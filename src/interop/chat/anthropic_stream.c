/* SPDX-License-Identifier: Apache-2.0 */
/* Writing a Messages stream for a client.
 *
 * Invariants: message_start is the first event but for pings; blocks open in order and each
 * stops before the next starts; after message_stop or an error nothing follows. Fragments of
 * parallel tool calls that come mixed wait in the arena until the open call is whole. */
#include "anthropic_priv.h"
#include "signature.h"
#include "whole.h"

enum { CALLS_MAX = 1024 };
enum open_block { OPEN_NONE, OPEN_TEXT, OPEN_THINKING, OPEN_TOOL };

struct fragment {
    struct fragment *next;
    struct mt_str text;
};

struct call {
    struct call *next;
    unsigned tool;
    struct mt_str id, name;
    struct fragment *first, **last;
    bool is_done;
    struct mt_chat__whole whole; /* how far the arguments are */
};

struct encoder {
    const struct mt_chat_reply *reply;
    struct mt_arena *arena;
    enum open_block open;
    unsigned blocks_n;  /* opened so far; the open one is the last */
    struct call *calls; /* in order of their start */
    struct call *last_call;
    unsigned calls_n;
    struct call *open_call;
    struct mt_usage usage;
    enum mt_finish finish;
    struct mt_str stop_sequence;
    bool is_started, is_ended;
};

mt_rc mt_anthropic__encoder_new(const struct mt_chat_reply *reply, struct mt_arena *arena,
                                void **state, struct mt_err *err)
{
    struct encoder *e = mt_arena_get(arena, 1, sizeof *e);

    if (e == NULL)
        return mt_arena_fail(arena, err);
    e->reply = reply;
    e->arena = arena;
    e->usage.input_tokens = reply->input_tokens;
    *state = e;
    return MT_OK;
}

static void fail(struct mt_buf *out)
{
    if (out->rc == MT_OK)
        out->rc = MT_E_NOMEM;
}

/* "event: NAME", and the object up to behind its type */
static void event_begin(struct mt_jw *w, struct mt_buf *out, const char *name)
{
    mt_sse_begin(out, name);
    mt_jw_begin(w, out);
    mt_jw_object(w);
    mt_jw_kcstr(w, "type", name);
}

static void event_end(struct mt_jw *w, struct mt_buf *out)
{
    mt_jw_end(w);
    mt_sse_end(out);
}

static void start(struct encoder *e, struct mt_buf *out)
{
    struct mt_jw w;

    if (e->is_started)
        return;
    e->is_started = true;
    event_begin(&w, out, "message_start");
    mt_jw_key(&w, "message"), mt_jw_object(&w);
    mt_anthropic__write_head(&w, e->reply);
    mt_jw_key(&w, "content"), mt_jw_array(&w), mt_jw_end(&w);
    mt_jw_kcstr(&w, "stop_reason", NULL);
    mt_jw_kcstr(&w, "stop_sequence", NULL);
    mt_anthropic__usage_write(&w, &e->usage);
    mt_jw_end(&w);
    event_end(&w, out);
}

static void close_block(struct encoder *e, struct mt_buf *out)
{
    struct mt_jw w;

    if (e->open == OPEN_NONE)
        return;
    event_begin(&w, out, "content_block_stop");
    mt_jw_ki64(&w, "index", (int64_t)e->blocks_n - 1);
    event_end(&w, out);
    if (e->open == OPEN_TOOL)
        e->open_call->is_done = true;
    e->open = OPEN_NONE;
    e->open_call = NULL;
}

/* Begin content_block_start up to the block's own members. */
static void open_begin(struct encoder *e, struct mt_jw *w, struct mt_buf *out,
                       enum open_block open, const char *type)
{
    MT_ASSERT(e->open == OPEN_NONE);
    e->open = open;
    event_begin(w, out, "content_block_start");
    mt_jw_ki64(w, "index", (int64_t)e->blocks_n++);
    mt_jw_key(w, "content_block"), mt_jw_object(w);
    mt_jw_kcstr(w, "type", type);
}

static void open_end(struct mt_jw *w, struct mt_buf *out)
{
    mt_jw_end(w);
    event_end(w, out);
}

static void delta(struct encoder *e, struct mt_buf *out, const char *type, const char *key,
                  struct mt_str text)
{
    struct mt_jw w;

    event_begin(&w, out, "content_block_delta");
    mt_jw_ki64(&w, "index", (int64_t)e->blocks_n - 1);
    mt_jw_key(&w, "delta"), mt_jw_object(&w);
    mt_jw_kcstr(&w, "type", type);
    mt_jw_kstr(&w, key, text);
    mt_jw_end(&w);
    event_end(&w, out);
}

static void open_tool(struct encoder *e, struct call *call, struct mt_buf *out)
{
    struct mt_jw w;

    open_begin(e, &w, out, OPEN_TOOL, "tool_use");
    e->open_call = call;
    mt_jw_kstr(&w, "id", call->id);
    mt_jw_kstr(&w, "name", call->name);
    mt_jw_key(&w, "input"), mt_jw_object(&w), mt_jw_end(&w);
    open_end(&w, out);
}

static void write_args(struct encoder *e, struct call *call, struct mt_str text,
                       struct mt_buf *out)
{
    mt_chat__whole_follow(&call->whole, text);
    if (text.len > 0)
        delta(e, out, "input_json_delta", "partial_json", text);
}

/* Open waiting calls in their order, each after the one before it is whole; with the last word
 * spoken (is_last) every call is taken as whole. */
static void advance(struct encoder *e, bool is_last, struct mt_buf *out)
{
    for (struct call *call = e->calls; call != NULL; call = call->next) {
        if (call->is_done)
            continue;
        if (e->open_call == NULL) {
            close_block(e, out);
            open_tool(e, call, out);
            for (struct fragment *f = call->first; f != NULL; f = f->next)
                write_args(e, call, f->text, out);
        }
        if (!is_last && (!call->whole.is_whole || call->next == NULL))
            return;
        close_block(e, out);
    }
}

static void on_error(struct encoder *e, const struct mt_chat_error *error, struct mt_buf *out)
{
    mt_sse_begin(out, "error");
    mt_anthropic__encode_error(error, out);
    mt_sse_end(out);
    e->is_ended = true;
}

/* The upstream broke the rules in a way that this dialect cannot show. */
static void break_off(struct encoder *e, const char *why, struct mt_buf *out)
{
    struct mt_chat_error error = {
        .kind = MT_CHAT_ERR_UPSTREAM, .message = mt_str_of(why), .retry_after_ms = -1};

    on_error(e, &error, out);
}

static struct call *find_call(struct encoder *e, unsigned tool)
{
    for (struct call *call = e->calls; call != NULL; call = call->next)
        if (call->tool == tool)
            return call;
    return NULL;
}

static void on_tool_call(struct encoder *e, const struct mt_chat_event *event,
                         struct mt_buf *out)
{
    if (e->calls_n == CALLS_MAX) {
        break_off(e, "the upstream made too many tool calls", out);
        return;
    }
    struct call *call = mt_arena_get(e->arena, 1, sizeof *call);
    if (call == NULL) {
        fail(out);
        return;
    }
    call->tool = event->tool;
    call->last = &call->first;
    call->name = mt_arena_str(e->arena, event->name);
    call->id = event->id.len > 0 ? mt_arena_str(e->arena, event->id)
                                 : mt_arena_printf(e->arena, "toolu_%.*s_%u",
                                                   MT_STR_ARG(e->reply->id), event->tool);
    if (call->name.at == NULL || call->id.at == NULL) {
        fail(out);
        return;
    }
    *(e->calls_n++ == 0 ? &e->calls : &e->last_call->next) = call;
    e->last_call = call;
    if (e->open != OPEN_TOOL)
        close_block(e, out);
    advance(e, false, out);
}

/* A fragment for a call whose block is closed cannot be told any more; white space after the
 * object may be lost. */
static void late_fragment(struct encoder *e, struct mt_str text, struct mt_buf *out)
{
    if (mt_str_trim(text).len > 0)
        break_off(e, "the upstream continued a tool call after it had ended", out);
}

static void on_tool_args(struct encoder *e, const struct mt_chat_event *event,
                         struct mt_buf *out)
{
    struct call *call = find_call(e, event->tool);

    if (call == NULL || call->is_done) {
        late_fragment(e, event->text, out);
        return;
    }
    if (call == e->open_call) {
        write_args(e, call, event->text, out);
        advance(e, false, out);
        return;
    }
    struct fragment *f = mt_arena_get(e->arena, 1, sizeof *f);
    if (f == NULL) {
        fail(out);
        return;
    }
    f->text = mt_arena_str(e->arena, event->text);
    if (f->text.at == NULL) {
        fail(out);
        return;
    }
    *call->last = f;
    call->last = &f->next;
}

static void open_plain(struct encoder *e, enum open_block open, struct mt_buf *out)
{
    struct mt_jw w;

    if (e->open == open)
        return;
    advance(e, true, out);
    close_block(e, out);
    open_begin(e, &w, out, open, open == OPEN_TEXT ? "text" : "thinking");
    if (open == OPEN_THINKING) {
        mt_jw_kcstr(&w, "thinking", "");
        mt_jw_kcstr(&w, "signature", "");
    } else {
        mt_jw_kcstr(&w, "text", "");
    }
    open_end(&w, out);
}

static void on_text(struct encoder *e, struct mt_str text, struct mt_buf *out)
{
    if (text.len == 0)
        return;
    open_plain(e, OPEN_TEXT, out);
    delta(e, out, "text_delta", "text", text);
}

static void on_reasoning(struct encoder *e, const struct mt_chat_event *event,
                         struct mt_buf *out)
{
    struct mt_jw w;

    if (!event->is_redacted) {
        if (event->text.len == 0)
            return;
        open_plain(e, OPEN_THINKING, out);
        delta(e, out, "thinking_delta", "thinking", event->text);
        return;
    }
    advance(e, true, out);
    close_block(e, out);
    open_begin(e, &w, out, OPEN_TEXT, "redacted_thinking");
    mt_jw_kstr(&w, "data", mt_chat__signature_out("anthropic", event->signature));
    open_end(&w, out);
    close_block(e, out);
}

static void on_signature(struct encoder *e, struct mt_str signature, struct mt_buf *out)
{
    if (signature.len == 0)
        return;
    open_plain(e, OPEN_THINKING, out); /* a signature may come without any text */
    delta(e, out, "signature_delta", "signature",
          mt_chat__signature_out("anthropic", signature));
    close_block(e, out);
}

/* The dialect has no media in answers: say so rather than nothing. */
static void on_media(struct encoder *e, struct mt_str mime, struct mt_buf *out)
{
    struct mt_str words = mt_arena_printf(e->arena, "[%.*s left out: this API cannot carry it]",
                                          MT_STR_ARG(mime.len > 0 ? mime : MT_STR("media")));

    if (words.at == NULL)
        fail(out);
    else
        on_text(e, words, out);
}

static void on_finish(struct encoder *e, const struct mt_chat_event *event, struct mt_buf *out)
{
    advance(e, true, out);
    close_block(e, out);
    e->finish = event->finish;
    e->stop_sequence = mt_arena_str(e->arena, event->stop_sequence);
    if (e->stop_sequence.at == NULL)
        fail(out);
}

static void on_end(struct encoder *e, struct mt_buf *out)
{
    struct mt_jw w;

    advance(e, true, out);
    close_block(e, out);
    event_begin(&w, out, "message_delta");
    mt_jw_key(&w, "delta"), mt_jw_object(&w);
    mt_jw_kcstr(&w, "stop_reason",
                mt_anthropic__stop_reason(e->finish, e->stop_sequence, e->calls != NULL));
    mt_jw_key(&w, "stop_sequence");
    if (e->stop_sequence.len > 0)
        mt_jw_str(&w, e->stop_sequence);
    else
        mt_jw_null(&w);
    mt_jw_end(&w);
    mt_anthropic__usage_write(&w, &e->usage);
    event_end(&w, out);
    event_begin(&w, out, "message_stop");
    event_end(&w, out);
    e->is_ended = true;
}

/* The engine's input count replaces the estimate; a count of nothing does not. */
static void on_usage(struct encoder *e, const struct mt_usage *usage)
{
    int64_t input_tokens = e->usage.input_tokens;

    e->usage = *usage;
    if (usage->input_tokens == 0)
        e->usage.input_tokens = input_tokens;
}

static void ping(struct mt_buf *out)
{
    struct mt_jw w;

    event_begin(&w, out, "ping");
    event_end(&w, out);
}

void mt_anthropic__encode_event(void *state, const struct mt_chat_event *event,
                                struct mt_buf *out)
{
    struct encoder *e = state;

    if (e->is_ended || event->choice != 0)
        return; /* one answer is all this dialect asks for */
    if (event->kind == MT_EVENT_START)
        on_usage(e, &event->usage);
    if (event->kind != MT_EVENT_PING && event->kind != MT_EVENT_ERROR &&
        event->kind != MT_EVENT_USAGE)
        start(e, out);
    switch (event->kind) {
    case MT_EVENT_START:
        break;
    case MT_EVENT_TEXT:
    case MT_EVENT_REFUSAL:
        on_text(e, event->text, out);
        break;
    case MT_EVENT_REASONING:
        on_reasoning(e, event, out);
        break;
    case MT_EVENT_SIGNATURE:
        on_signature(e, event->signature, out);
        break;
    case MT_EVENT_MEDIA:
        on_media(e, event->mime, out);
        break;
    case MT_EVENT_TOOL_CALL:
        on_tool_call(e, event, out);
        break;
    case MT_EVENT_TOOL_ARGS:
        on_tool_args(e, event, out);
        break;
    case MT_EVENT_FINISH:
        on_finish(e, event, out);
        break;
    case MT_EVENT_USAGE:
        on_usage(e, &event->usage);
        break;
    case MT_EVENT_END:
        on_end(e, out);
        break;
    case MT_EVENT_ERROR:
        on_error(e, event->error, out);
        break;
    case MT_EVENT_PING:
        ping(out);
        break;
    }
}
