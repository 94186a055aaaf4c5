/* SPDX-License-Identifier: Apache-2.0 */
/* Writing a Responses stream for a client.
 *
 * Invariants: response.created is the first event; sequence numbers grow by one; items are
 * added in the order of output_index; every delta belongs to an item that was added and is not
 * done; after completed, incomplete or failed nothing follows. Texts are kept in the arena,
 * since the dialect tells each of them again when it is done. */
#include "responses_priv.h"
#include "signature.h"

struct encoder {
    const struct mt_chat_reply *reply;
    struct mt_arena *arena;
    struct mt_responses__item *items, *last;
    unsigned items_n;
    struct mt_responses__item *open;       /* the open MESSAGE or REASONING item */
    struct mt_responses__content *content; /* the open part of an open message */
    int64_t sequence;
    struct mt_usage usage;
    enum mt_finish finish;
    bool is_started, is_ended;
};

mt_rc mt_responses__encoder_new(const struct mt_chat_reply *reply, struct mt_arena *arena,
                                void **state, struct mt_err *err)
{
    struct encoder *e = mt_arena_get(arena, 1, sizeof *e);

    if (e == NULL)
        return mt_arena_fail(arena, err);
    e->reply = reply;
    e->arena = arena;
    e->usage.input_tokens = reply->input_tokens;
    e->sequence = reply->events_sent_n;
    e->is_started = reply->events_sent_n > 0;
    *state = e;
    return MT_OK;
}

static void fail(struct mt_buf *out)
{
    if (out->rc == MT_OK)
        out->rc = MT_E_NOMEM;
}

static void event_begin(struct encoder *e, struct mt_jw *w, struct mt_buf *out,
                        const char *name)
{
    mt_sse_begin(out, name);
    mt_jw_begin(w, out);
    mt_jw_object(w);
    mt_jw_kcstr(w, "type", name);
    mt_jw_ki64(w, "sequence_number", e->sequence++);
}

static void event_end(struct mt_jw *w, struct mt_buf *out)
{
    mt_jw_end(w);
    mt_sse_end(out);
}

/* An event about one item, up to its own members. */
static void item_begin(struct encoder *e, struct mt_jw *w, struct mt_buf *out, const char *name,
                       const struct mt_responses__item *item)
{
    event_begin(e, w, out, name);
    mt_jw_key(w, "item_id"), mt_responses__write_item_id(w, e->reply, item);
    mt_jw_ki64(w, "output_index", (int64_t)item->index);
}

static void lifecycle(struct encoder *e, struct mt_buf *out, const char *name,
                      const struct mt_responses__outcome *outcome)
{
    struct mt_jw w;

    event_begin(e, &w, out, name);
    mt_jw_key(&w, "response");
    mt_responses__write_response(&w, e->reply, outcome);
    event_end(&w, out);
}

static void start(struct encoder *e, struct mt_buf *out)
{
    const struct mt_responses__outcome begun = {.status = "in_progress"};

    if (e->is_started)
        return;
    e->is_started = true;
    lifecycle(e, out, "response.created", &begun);
    lifecycle(e, out, "response.in_progress", &begun);
}

static struct mt_responses__item *add_item(struct encoder *e, enum mt_responses__kind kind)
{
    struct mt_responses__item *item = mt_arena_get(e->arena, 1, sizeof *item);

    if (item == NULL || e->items_n == MT_RESPONSES_ITEMS_MAX)
        return NULL;
    item->kind = kind;
    item->index = e->items_n++;
    *(e->last == NULL ? &e->items : &e->last->next) = item;
    e->last = item;
    return item;
}

static void tell_item(struct encoder *e, struct mt_buf *out,
                      const struct mt_responses__item *item, enum mt_responses__view view)
{
    struct mt_jw w;

    event_begin(e, &w, out,
                view == MT_RESPONSES_AS_ADDED ? "response.output_item.added"
                                              : "response.output_item.done");
    mt_jw_ki64(&w, "output_index", (int64_t)item->index);
    mt_jw_key(&w, "item");
    mt_responses__write_item(&w, e->reply, item, view);
    event_end(&w, out);
}

/* --- message items --- */

static void content_begin(struct encoder *e, struct mt_jw *w, struct mt_buf *out,
                          const char *name)
{
    item_begin(e, w, out, name, e->open);
    mt_jw_ki64(w, "content_index", (int64_t)e->open->contents_n - 1);
}

static void close_content(struct encoder *e, struct mt_buf *out)
{
    const struct mt_responses__content *c = e->content;
    struct mt_jw w;

    if (c == NULL)
        return;
    content_begin(e, &w, out,
                  c->is_refusal ? "response.refusal.done" : "response.output_text.done");
    mt_jw_kstr(&w, c->is_refusal ? "refusal" : "text", mt_responses__text_str(&c->text));
    if (!c->is_refusal) {
        mt_jw_key(&w, "logprobs"), mt_jw_array(&w);
        if (c->logprobs.len > 0)
            mt_jw_raw(&w, mt_responses__text_str(&c->logprobs));
        mt_jw_end(&w);
    }
    event_end(&w, out);
    content_begin(e, &w, out, "response.content_part.done");
    mt_jw_key(&w, "part");
    mt_responses__write_content(&w, c, MT_RESPONSES_AS_DONE);
    event_end(&w, out);
    e->content = NULL;
}

static void open_content(struct encoder *e, struct mt_buf *out, bool is_refusal)
{
    struct mt_responses__content *c = mt_arena_get(e->arena, 1, sizeof *c);
    struct mt_responses__content **end = &e->open->contents;
    struct mt_jw w;

    if (c == NULL) {
        fail(out);
        return;
    }
    c->is_refusal = is_refusal;
    while (*end != NULL) /* two kinds of parts that take turns: few */
        end = &(*end)->next;
    *end = c;
    e->open->contents_n++;
    e->content = c;
    content_begin(e, &w, out, "response.content_part.added");
    mt_jw_key(&w, "part");
    mt_responses__write_content(&w, c, MT_RESPONSES_AS_ADDED);
    event_end(&w, out);
}

/* --- reasoning items --- */

static void summary_begin(struct encoder *e, struct mt_jw *w, struct mt_buf *out,
                          const char *name)
{
    item_begin(e, w, out, name, e->open);
    mt_jw_ki64(w, "summary_index", 0);
}

static void summary_part(struct encoder *e, struct mt_buf *out, const char *name,
                         struct mt_str text)
{
    struct mt_jw w;

    summary_begin(e, &w, out, name);
    mt_jw_key(&w, "part"), mt_jw_object(&w);
    mt_jw_kcstr(&w, "type", "summary_text");
    mt_jw_kstr(&w, "text", text);
    mt_jw_end(&w);
    event_end(&w, out);
}

static void close_summary(struct encoder *e, struct mt_buf *out)
{
    struct mt_str text = mt_responses__text_str(&e->open->text);
    struct mt_jw w;

    if (!e->open->has_summary)
        return;
    summary_begin(e, &w, out, "response.reasoning_summary_text.done");
    mt_jw_kstr(&w, "text", text);
    event_end(&w, out);
    summary_part(e, out, "response.reasoning_summary_part.done", text);
}

/* --- any item --- */

static void close_open(struct encoder *e, struct mt_buf *out, bool is_cut)
{
    struct mt_responses__item *item = e->open;

    if (item == NULL)
        return;
    if (item->kind == MT_RESPONSES_MESSAGE)
        close_content(e, out);
    else
        close_summary(e, out);
    item->is_done = true;
    item->is_incomplete = is_cut;
    tell_item(e, out, item, MT_RESPONSES_AS_DONE);
    e->open = NULL;
}

static bool open_item(struct encoder *e, struct mt_buf *out, enum mt_responses__kind kind)
{
    if (e->open != NULL && e->open->kind == kind)
        return true;
    close_open(e, out, false);
    e->open = add_item(e, kind);
    if (e->open == NULL) {
        fail(out);
        return false;
    }
    tell_item(e, out, e->open, MT_RESPONSES_AS_ADDED);
    return true;
}

static void close_call(struct encoder *e, struct mt_buf *out, struct mt_responses__item *item,
                       bool is_cut)
{
    struct mt_str arguments = mt_responses__text_str(&item->text);
    struct mt_jw w;

    item_begin(e, &w, out, "response.function_call_arguments.done", item);
    mt_jw_kstr(&w, "name", item->name);
    mt_jw_kstr(&w, "arguments", arguments.len > 0 ? arguments : MT_STR("{}"));
    event_end(&w, out);
    item->is_done = true;
    item->is_incomplete = is_cut && !item->whole.is_whole;
    tell_item(e, out, item, MT_RESPONSES_AS_DONE);
}

enum calls { WHOLE_CALLS, ALL_CALLS };

static void close_calls(struct encoder *e, struct mt_buf *out, enum calls which, bool is_cut)
{
    for (struct mt_responses__item *i = e->items; i != NULL; i = i->next)
        if (i->kind == MT_RESPONSES_CALL && !i->is_done &&
            (which == ALL_CALLS || i->whole.is_whole))
            close_call(e, out, i, is_cut);
}

/* --- events --- */

/* The event's logprobs, and a copy of the array's inside for the events that repeat them. */
static void write_logprobs(struct encoder *e, struct mt_jw *w,
                           const struct mt_chat_event *event)
{
    struct mt_responses__text *kept = &e->content->logprobs;
    size_t from = w->buf->len;

    mt_responses__write_logprobs(w, event->logprobs, event->logprobs_n);
    if (event->logprobs_n == 0 || w->buf->rc != MT_OK)
        return;
    struct mt_str array = mt_str_sub(mt_buf_str(w->buf), from, w->buf->len);
    size_t bracket = mt_str_find_char(array, '[');
    array = mt_str_sub(array, bracket + 1, array.len - 1);
    if ((kept->len > 0 && !mt_responses__text_add(kept, MT_STR(","), e->arena)) ||
        !mt_responses__text_add(kept, array, e->arena))
        fail(w->buf);
}

static void on_text(struct encoder *e, const struct mt_chat_event *event, struct mt_buf *out)
{
    bool is_refusal = event->kind == MT_EVENT_REFUSAL;
    struct mt_jw w;

    if (event->text.len == 0 && event->logprobs_n == 0)
        return;
    close_calls(e, out, WHOLE_CALLS, false);
    if (!open_item(e, out, MT_RESPONSES_MESSAGE))
        return;
    if (e->content == NULL || e->content->is_refusal != is_refusal) {
        close_content(e, out);
        open_content(e, out, is_refusal);
    }
    if (e->content == NULL ||
        !mt_responses__text_add(&e->content->text, event->text, e->arena)) {
        fail(out);
        return;
    }
    content_begin(e, &w, out,
                  is_refusal ? "response.refusal.delta" : "response.output_text.delta");
    mt_jw_kstr(&w, "delta", event->text);
    if (!is_refusal) {
        mt_jw_key(&w, "logprobs");
        write_logprobs(e, &w, event);
    }
    event_end(&w, out);
}

static void on_signature(struct encoder *e, struct mt_str signature, struct mt_buf *out)
{
    if (signature.len == 0 || !open_item(e, out, MT_RESPONSES_REASONING))
        return;
    e->open->signature = mt_arena_str(e->arena, mt_chat__signature_out("openai", signature));
    if (e->open->signature.at == NULL)
        fail(out);
    close_open(e, out, false);
}

static void on_reasoning(struct encoder *e, const struct mt_chat_event *event,
                         struct mt_buf *out)
{
    struct mt_jw w;

    close_calls(e, out, WHOLE_CALLS, false);
    if (event->is_redacted) {
        close_open(e, out, false);
        on_signature(e, event->signature, out);
        return;
    }
    if (event->text.len == 0 || !open_item(e, out, MT_RESPONSES_REASONING))
        return;
    if (!e->open->has_summary)
        summary_part(e, out, "response.reasoning_summary_part.added", MT_STR(""));
    e->open->has_summary = true;
    if (!mt_responses__text_add(&e->open->text, event->text, e->arena))
        fail(out);
    summary_begin(e, &w, out, "response.reasoning_summary_text.delta");
    mt_jw_kstr(&w, "delta", event->text);
    event_end(&w, out);
}

static void on_tool_call(struct encoder *e, const struct mt_chat_event *event,
                         struct mt_buf *out)
{
    close_open(e, out, false);
    close_calls(e, out, WHOLE_CALLS, false);
    struct mt_responses__item *item = add_item(e, MT_RESPONSES_CALL);
    if (item == NULL) {
        fail(out);
        return;
    }
    item->tool = event->tool;
    item->name = mt_arena_str(e->arena, event->name);
    item->call_id = event->id.len > 0 ? mt_arena_str(e->arena, event->id)
                                      : mt_arena_printf(e->arena, "call_%.*s%u",
                                                        MT_STR_ARG(e->reply->id), item->index);
    if (item->name.at == NULL || item->call_id.at == NULL)
        fail(out);
    tell_item(e, out, item, MT_RESPONSES_AS_ADDED);
}

static void on_error(struct encoder *e, const struct mt_chat_error *error, struct mt_buf *out);

static void on_tool_args(struct encoder *e, const struct mt_chat_event *event,
                         struct mt_buf *out)
{
    static const struct mt_chat_error late = {
        .kind = MT_CHAT_ERR_UPSTREAM,
        .message = MT_STR_INIT("the upstream continued a tool call after it had ended"),
        .retry_after_ms = -1};
    struct mt_responses__item *item = e->items;
    struct mt_jw w;

    while (item != NULL && (item->kind != MT_RESPONSES_CALL || item->tool != event->tool))
        item = item->next;
    if (item == NULL || item->is_done) {
        if (mt_str_trim(event->text).len > 0)
            on_error(e, &late, out);
        return;
    }
    if (event->text.len == 0)
        return;
    if (!mt_responses__text_add(&item->text, event->text, e->arena))
        fail(out);
    mt_chat__whole_follow(&item->whole, event->text);
    item_begin(e, &w, out, "response.function_call_arguments.delta", item);
    mt_jw_kstr(&w, "delta", event->text);
    event_end(&w, out);
}

/* Images have an item of their own; sounds cannot be carried, and that is said. */
static void on_media(struct encoder *e, const struct mt_chat_event *event, struct mt_buf *out)
{
    struct mt_chat_event words = {.kind = MT_EVENT_TEXT};

    if (!mt_str_starts(event->mime, MT_STR("image/"))) {
        words.text = mt_arena_printf(e->arena, "[%.*s left out: this API cannot carry it]",
                                     MT_STR_ARG(event->mime));
        on_text(e, &words, out);
        return;
    }
    close_open(e, out, false);
    struct mt_responses__item *item = add_item(e, MT_RESPONSES_IMAGE);
    if (item == NULL || !mt_responses__text_add(&item->text, event->text, e->arena)) {
        fail(out);
        return;
    }
    tell_item(e, out, item, MT_RESPONSES_AS_ADDED);
    item->is_done = true;
    tell_item(e, out, item, MT_RESPONSES_AS_DONE);
}

static void on_finish(struct encoder *e, enum mt_finish finish, struct mt_buf *out)
{
    bool is_cut = mt_responses__incomplete_reason(finish) != NULL;

    e->finish = finish;
    close_open(e, out, is_cut);
    close_calls(e, out, ALL_CALLS, is_cut);
}

static void on_end(struct encoder *e, struct mt_buf *out)
{
    const char *reason = mt_responses__incomplete_reason(e->finish);
    struct mt_responses__outcome outcome = {
        .status = reason != NULL ? "incomplete" : "completed",
        .reason = reason,
        .items = e->items,
        .usage = &e->usage,
    };

    on_finish(e, e->finish, out);
    lifecycle(e, out, reason != NULL ? "response.incomplete" : "response.completed", &outcome);
    e->is_ended = true;
}

/* Clients that go by exceptions read "error", those that go by events "response.failed"; both
 * want response.created before. */
static void on_error(struct encoder *e, const struct mt_chat_error *error, struct mt_buf *out)
{
    struct mt_responses__outcome outcome = {
        .status = "failed", .error = error, .items = e->items, .usage = NULL};
    struct mt_jw w;

    start(e, out);
    event_begin(e, &w, out, "error");
    mt_jw_kcstr(&w, "code", mt_responses__error_code(error));
    mt_jw_kstr(&w, "message", error->message);
    mt_jw_key(&w, "param");
    if (error->param.len > 0)
        mt_jw_str(&w, error->param);
    else
        mt_jw_null(&w);
    event_end(&w, out);
    lifecycle(e, out, "response.failed", &outcome);
    e->is_ended = true;
}

static void on_usage(struct encoder *e, const struct mt_usage *usage)
{
    int64_t input_tokens = e->usage.input_tokens;

    e->usage = *usage;
    if (usage->input_tokens == 0)
        e->usage.input_tokens = input_tokens;
}

void mt_responses__encode_event(void *state, const struct mt_chat_event *event,
                                struct mt_buf *out)
{
    struct encoder *e = state;

    if (e->is_ended || event->choice != 0)
        return; /* one answer is all this dialect asks for */
    if (event->kind != MT_EVENT_PING && event->kind != MT_EVENT_ERROR &&
        event->kind != MT_EVENT_USAGE)
        start(e, out);
    switch (event->kind) {
    case MT_EVENT_START:
    case MT_EVENT_USAGE:
        on_usage(e, &event->usage);
        break;
    case MT_EVENT_TEXT:
    case MT_EVENT_REFUSAL:
        on_text(e, event, out);
        break;
    case MT_EVENT_REASONING:
        on_reasoning(e, event, out);
        break;
    case MT_EVENT_SIGNATURE:
        on_signature(e, event->signature, out);
        break;
    case MT_EVENT_MEDIA:
        on_media(e, event, out);
        break;
    case MT_EVENT_TOOL_CALL:
        on_tool_call(e, event, out);
        break;
    case MT_EVENT_TOOL_ARGS:
        on_tool_args(e, event, out);
        break;
    case MT_EVENT_FINISH:
        on_finish(e, event->finish, out);
        break;
    case MT_EVENT_END:
        on_end(e, out);
        break;
    case MT_EVENT_ERROR:
        on_error(e, event->error, out);
        break;
    case MT_EVENT_PING:
        mt_sse_comment(out, "ping");
        break;
    }
}
