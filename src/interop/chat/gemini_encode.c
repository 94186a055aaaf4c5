/* SPDX-License-Identifier: Apache-2.0 */
/* Events as a Gemini stream: one chunk per delta, and a last one with the finish reasons of all
 * candidates and the usage. Every chunk has a candidate with a part in it: the official clients
 * take anything else for a broken turn and drop it from their history.
 *
 *   ?alt=sse   data: {chunk}\n\n ...
 *   otherwise  [{chunk}\n,{chunk}\n] */
#include "calls.h"
#include "gemini_priv.h"

struct choice {
    bool is_seen;
    enum mt_finish finish;
    bool has_call; /* one is being gathered */
    struct mt_str id, name, signature;
    struct mt_chat__gather args;
};

struct encoder {
    const struct mt_chat_reply *reply;
    struct mt_arena *arena;
    bool is_sse;
    bool wants_thoughts;
    bool is_begun;
    bool is_over;
    struct mt_usage usage;
    struct choice choices[MT_CHAT_CHOICES_MAX];
};

static void frame_begin(struct encoder *e, struct mt_buf *out)
{
    if (e->is_sse)
        mt_sse_begin(out, NULL);
    else
        mt_buf_add_cstr(out, e->is_begun ? "\n," : "[");
    e->is_begun = true;
}

static void frame_end(const struct encoder *e, struct mt_buf *out)
{
    if (e->is_sse)
        mt_sse_end(out);
    else if (e->is_over)
        mt_buf_add_cstr(out, "\n]");
}

static void chunk_begin(struct encoder *e, struct mt_jw *w, struct mt_buf *out)
{
    frame_begin(e, out);
    mt_jw_begin(w, out);
    mt_jw_object(w);
    mt_jw_key(w, "candidates");
    mt_jw_array(w);
}

static void chunk_end(struct encoder *e, struct mt_jw *w, struct mt_buf *out)
{
    mt_gemini__write_names(w, e->reply);
    mt_jw_end(w);
    frame_end(e, out);
}

static void parts_begin(struct mt_jw *w)
{
    mt_jw_object(w);
    mt_jw_key(w, "content");
    mt_jw_object(w);
    mt_jw_key(w, "parts");
    mt_jw_array(w);
}

static void parts_end(struct mt_jw *w)
{
    mt_jw_end(w);
    mt_jw_kcstr(w, "role", "model");
    mt_jw_end(w);
}

static void candidate_end(struct mt_jw *w, unsigned index)
{
    mt_jw_ki64(w, "index", index);
    mt_jw_end(w);
}

static void write_text(struct mt_jw *w, const struct mt_chat_event *event)
{
    bool is_thought = event->kind == MT_EVENT_REASONING || event->kind == MT_EVENT_SIGNATURE;

    mt_jw_object(w);
    mt_jw_kstr(w, "text", event->text);
    if (is_thought)
        mt_jw_kbool(w, "thought", true);
    if (event->kind == MT_EVENT_SIGNATURE)
        mt_jw_kstr(w, "thoughtSignature",
                   mt_chat__signature_for(MT_GEMINI_MAKER, event->signature));
    mt_jw_end(w);
}

static void write_media(struct mt_jw *w, const struct mt_chat_event *event)
{
    mt_jw_object(w);
    mt_jw_key(w, "inlineData");
    mt_jw_object(w);
    mt_jw_kstr(w, "mimeType", event->mime);
    mt_jw_kstr(w, "data", event->text);
    mt_jw_end(w);
    mt_jw_end(w);
}

static void put_part(struct encoder *e, const struct mt_chat_event *event, struct mt_buf *out)
{
    struct mt_jw w;

    chunk_begin(e, &w, out);
    parts_begin(&w);
    if (event->kind == MT_EVENT_MEDIA)
        write_media(&w, event);
    else
        write_text(&w, event);
    parts_end(&w);
    if (event->kind == MT_EVENT_TEXT)
        mt_gemini__write_logprobs(&w, event->logprobs, event->logprobs_n);
    candidate_end(&w, event->choice);
    mt_jw_end(&w);
    chunk_end(e, &w, out);
}

static void put_call(struct encoder *e, unsigned index, struct mt_buf *out)
{
    struct choice *choice = &e->choices[index];
    struct mt_jw w;

    if (!choice->has_call)
        return;
    choice->has_call = false;
    chunk_begin(e, &w, out);
    parts_begin(&w);
    mt_gemini__write_call(&w, choice->id, choice->name,
                          (struct mt_str){choice->args.at, choice->args.len},
                          choice->signature);
    parts_end(&w);
    candidate_end(&w, index);
    mt_jw_end(&w);
    chunk_end(e, &w, out);
}

static void keep_failed(const struct encoder *e, struct mt_buf *out)
{
    if (out->rc == MT_OK)
        out->rc = mt_arena_fail(e->arena, NULL);
}

static void begin_call(struct encoder *e, const struct mt_chat_event *event, struct mt_buf *out)
{
    struct choice *choice = &e->choices[event->choice];

    choice->id = mt_arena_str(e->arena, event->id);
    choice->name = mt_arena_str(e->arena, event->name);
    choice->signature =
        mt_arena_str(e->arena, mt_chat__signature_for(MT_GEMINI_MAKER, event->signature));
    choice->args.len = 0;
    choice->has_call = true;
    if (choice->id.at == NULL || choice->name.at == NULL || choice->signature.at == NULL)
        keep_failed(e, out);
}

static void put_end(struct encoder *e, struct mt_buf *out)
{
    struct mt_jw w;

    for (unsigned i = 0; i < MT_CHAT_CHOICES_MAX; i++)
        put_call(e, i, out);
    e->is_over = true;
    e->choices[0].is_seen = true; /* an answer has at least one */
    chunk_begin(e, &w, out);
    for (unsigned i = 0; i < MT_CHAT_CHOICES_MAX; i++) {
        if (!e->choices[i].is_seen)
            continue;
        parts_begin(&w);
        mt_jw_raw(&w, MT_STR("{\"text\":\"\"}"));
        parts_end(&w);
        mt_jw_kcstr(&w, "finishReason", mt_gemini__finish_name(e->choices[i].finish));
        candidate_end(&w, i);
    }
    mt_jw_end(&w);
    mt_gemini__write_usage(&w, &e->usage);
    chunk_end(e, &w, out);
}

static void put_error(struct encoder *e, const struct mt_chat_error *error, struct mt_buf *out)
{
    e->is_over = true;
    frame_begin(e, out);
    mt_gemini__encode_error(error, out);
    frame_end(e, out);
}

static bool is_shown(const struct encoder *e, const struct mt_chat_event *event)
{
    if (event->kind == MT_EVENT_SIGNATURE)
        return e->wants_thoughts &&
               mt_chat__signature_for(MT_GEMINI_MAKER, event->signature).len > 0;
    return event->kind != MT_EVENT_REASONING || (e->wants_thoughts && !event->is_redacted);
}

static void put_delta(struct encoder *e, const struct mt_chat_event *event, struct mt_buf *out)
{
    e->choices[event->choice].is_seen = true;
    put_call(e, event->choice, out);
    if (event->kind == MT_EVENT_TOOL_CALL)
        begin_call(e, event, out);
    else if (event->kind == MT_EVENT_FINISH)
        e->choices[event->choice].finish = event->finish;
    else if (is_shown(e, event))
        put_part(e, event, out);
}

void mt_gemini__encode_event(void *state, const struct mt_chat_event *event, struct mt_buf *out)
{
    struct encoder *e = state;

    if (e->is_over || event->choice >= MT_CHAT_CHOICES_MAX) /* nobody asked for that many */
        return;
    switch (event->kind) {
    case MT_EVENT_TEXT:
    case MT_EVENT_REASONING:
    case MT_EVENT_SIGNATURE:
    case MT_EVENT_REFUSAL:
    case MT_EVENT_MEDIA:
    case MT_EVENT_TOOL_CALL:
    case MT_EVENT_FINISH:
        put_delta(e, event, out);
        break;
    case MT_EVENT_TOOL_ARGS:
        if (!mt_chat__gather_add(&e->choices[event->choice].args, e->arena, event->text))
            keep_failed(e, out);
        break;
    case MT_EVENT_START:
    case MT_EVENT_USAGE:
        e->usage = event->usage;
        break;
    case MT_EVENT_END:
        put_end(e, out);
        break;
    case MT_EVENT_ERROR:
        put_error(e, event->error, out);
        break;
    case MT_EVENT_PING: /* some clients take a comment for bare JSON: an empty part is safe */
        put_part(e, &(struct mt_chat_event){.kind = MT_EVENT_TEXT}, out);
        break;
    }
}

mt_rc mt_gemini__encoder_new(const struct mt_chat_reply *reply, struct mt_arena *arena,
                             void **state, struct mt_err *err)
{
    struct encoder *e = mt_arena_get(arena, 1, sizeof *e);

    if (e == NULL)
        return mt_arena_fail(arena, err);
    e->reply = reply;
    e->arena = arena;
    e->is_sse = reply->route.alt_sse;
    e->wants_thoughts = reply->request != NULL && reply->request->include_reasoning == MT_YES;
    *state = e;
    return MT_OK;
}
