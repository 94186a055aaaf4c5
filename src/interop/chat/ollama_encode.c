/* SPDX-License-Identifier: Apache-2.0 */
/* Answers as Ollama gives them: lines of a stream, or one object of the same shape.
 *
 *   {"model":M,"created_at":T,"message":{"role":"assistant","content":"Hi"},"done":false}
 *   {"model":M,"created_at":T,"message":{...},"done_reason":"stop","done":true,COUNTS}
 *
 * The finish is held back until END, so that the last line carries the usage, whenever it came.
 * A tool call is held back until it has ended: its arguments go out as one object. */
#include "calls.h"
#include "chat/models.h"
#include "ollama_priv.h"

struct encoder {
    const struct mt_chat_reply *reply;
    struct mt_arena *arena;
    struct mt_str created_at;
    bool is_generate;
    bool is_over;
    enum mt_finish finish;
    struct mt_usage usage;

    bool has_call; /* one is being gathered */
    struct mt_str call_id, call_name;
    struct mt_chat__gather args;
    unsigned calls_n;
};

static const char *done_reason(enum mt_finish finish)
{
    switch (finish) {
    case MT_FINISH_LENGTH:
    case MT_FINISH_BUDGET:
        return "length";
    case MT_FINISH_LOADED:
        return "load";
    case MT_FINISH_UNLOADED:
        return "unload";
    case MT_FINISH_FILTER:
        return "content_filter";
    case MT_FINISH_UNKNOWN:
    case MT_FINISH_STOP:
    case MT_FINISH_TOOL_CALLS:
    case MT_FINISH_REFUSAL:
    case MT_FINISH_PAUSE:
        return "stop";
    }
    return "stop";
}

static void line_begin(const struct encoder *e, struct mt_jw *w, struct mt_buf *out)
{
    mt_jw_begin(w, out);
    mt_jw_object(w);
    mt_jw_kstr(w, "model", e->reply->model);
    mt_jw_kstr(w, "created_at", e->created_at);
}

/* The message (chat) or the members that stand for it (generate) begin with the text. */
static void turn_begin(const struct encoder *e, struct mt_jw *w, struct mt_str content)
{
    if (e->is_generate) {
        mt_jw_kstr(w, "response", content);
        return;
    }
    mt_jw_key(w, "message");
    mt_jw_object(w);
    mt_jw_kcstr(w, "role", "assistant");
    mt_jw_kstr(w, "content", content);
}

static void turn_end(const struct encoder *e, struct mt_jw *w)
{
    if (!e->is_generate)
        mt_jw_end(w);
}

static void write_call(struct mt_jw *w, struct mt_str id, struct mt_str name, unsigned index,
                       struct mt_str args)
{
    mt_jw_object(w);
    if (id.len > 0)
        mt_jw_kstr(w, "id", id);
    mt_jw_key(w, "function");
    mt_jw_object(w);
    mt_jw_ki64(w, "index", index);
    mt_jw_kstr(w, "name", name);
    mt_jw_key(w, "arguments");
    mt_chat__write_object(w, args);
    mt_jw_end(w);
    mt_jw_end(w);
}

static void write_image(const struct encoder *e, struct mt_jw *w, struct mt_str base64)
{
    if (e->is_generate) {
        mt_jw_kstr(w, "image", base64);
        return;
    }
    mt_jw_key(w, "images");
    mt_jw_array(w);
    mt_jw_str(w, base64);
    mt_jw_end(w);
}

static void write_token(struct mt_jw *w, struct mt_str token, float logprob)
{
    mt_jw_kstr(w, "token", token);
    mt_jw_key(w, "logprob");
    mt_jw_f32(w, logprob);
}

static void write_logprobs(struct mt_jw *w, const struct mt_token_logprob *items, size_t n)
{
    if (n == 0)
        return;
    mt_jw_key(w, "logprobs");
    mt_jw_array(w);
    for (size_t i = 0; i < n; i++) {
        mt_jw_object(w);
        write_token(w, items[i].token, items[i].logprob);
        if (items[i].top_n > 0) {
            mt_jw_key(w, "top_logprobs");
            mt_jw_array(w);
            for (size_t j = 0; j < items[i].top_n; j++) {
                mt_jw_object(w);
                write_token(w, items[i].top[j].token, items[i].top[j].logprob);
                mt_jw_end(w);
            }
            mt_jw_end(w);
        }
        mt_jw_end(w);
    }
    mt_jw_end(w);
}

static void write_count(struct mt_jw *w, const char *key, int64_t value)
{
    if (value > 0)
        mt_jw_ki64(w, key, value);
}

/* Times that nobody measured are left out, as Ollama leaves out zeros. */
static void write_done(struct mt_jw *w, enum mt_finish finish, const struct mt_usage *usage)
{
    bool is_load = finish == MT_FINISH_LOADED || finish == MT_FINISH_UNLOADED;

    mt_jw_kcstr(w, "done_reason", done_reason(finish));
    mt_jw_kbool(w, "done", true);
    write_count(w, "total_duration", usage->load_ns + usage->prompt_ns + usage->eval_ns);
    write_count(w, "load_duration", usage->load_ns);
    if (is_load)
        return;
    mt_jw_ki64(w, "prompt_eval_count", usage->input_tokens);
    write_count(w, "prompt_eval_duration", usage->prompt_ns);
    mt_jw_ki64(w, "eval_count", usage->output_tokens);
    write_count(w, "eval_duration", usage->eval_ns);
}

static void line_end(struct mt_jw *w, struct mt_buf *out)
{
    mt_jw_kbool(w, "done", false);
    mt_jw_end(w);
    mt_buf_add_char(out, '\n');
}

static void put_text(const struct encoder *e, const struct mt_chat_event *event,
                     struct mt_buf *out)
{
    struct mt_jw w;

    line_begin(e, &w, out);
    turn_begin(e, &w, event->text);
    turn_end(e, &w);
    write_logprobs(&w, event->logprobs, event->logprobs_n);
    line_end(&w, out);
}

static void put_thinking(const struct encoder *e, struct mt_str text, struct mt_buf *out)
{
    struct mt_jw w;

    line_begin(e, &w, out);
    turn_begin(e, &w, MT_STR(""));
    mt_jw_kstr(&w, "thinking", text);
    turn_end(e, &w);
    line_end(&w, out);
}

static void put_image(const struct encoder *e, struct mt_str base64, struct mt_buf *out)
{
    struct mt_jw w;

    line_begin(e, &w, out);
    turn_begin(e, &w, MT_STR(""));
    write_image(e, &w, base64);
    turn_end(e, &w);
    line_end(&w, out);
}

static void put_call(struct encoder *e, struct mt_buf *out)
{
    struct mt_jw w;

    if (!e->has_call)
        return;
    e->has_call = false;
    line_begin(e, &w, out);
    turn_begin(e, &w, MT_STR(""));
    mt_jw_key(&w, "tool_calls");
    mt_jw_array(&w);
    write_call(&w, e->call_id, e->call_name, e->calls_n++,
               (struct mt_str){e->args.at, e->args.len});
    mt_jw_end(&w);
    turn_end(e, &w);
    line_end(&w, out);
}

static void put_done(struct encoder *e, struct mt_buf *out)
{
    struct mt_jw w;

    line_begin(e, &w, out);
    turn_begin(e, &w, MT_STR(""));
    turn_end(e, &w);
    write_done(&w, e->finish, &e->usage);
    mt_jw_end(&w);
    mt_buf_add_char(out, '\n');
    e->is_over = true;
}

static void put_error(struct encoder *e, const struct mt_chat_error *error, struct mt_buf *out)
{
    struct mt_jw w;

    mt_jw_begin(&w, out);
    mt_jw_object(&w);
    mt_jw_kstr(&w, "error", error->message);
    mt_jw_end(&w);
    mt_buf_add_char(out, '\n');
    e->is_over = true;
}

/* What the encoder keeps must outlive the event; a full arena fails the stream. */
static void keep_failed(const struct encoder *e, struct mt_buf *out)
{
    if (out->rc == MT_OK)
        out->rc = mt_arena_fail(e->arena, NULL);
}

static void begin_call(struct encoder *e, const struct mt_chat_event *event, struct mt_buf *out)
{
    e->call_id = mt_arena_str(e->arena, event->id);
    e->call_name = mt_arena_str(e->arena, event->name);
    e->args.len = 0;
    e->has_call = true;
    if (e->call_id.at == NULL || e->call_name.at == NULL)
        keep_failed(e, out);
}

/* The events that say something; a call in progress has ended when one comes. */
static void put_delta(struct encoder *e, const struct mt_chat_event *event, struct mt_buf *out)
{
    put_call(e, out);
    if (event->kind == MT_EVENT_TOOL_CALL)
        begin_call(e, event, out);
    else if (event->kind == MT_EVENT_MEDIA)
        put_image(e, event->text, out);
    else if (event->kind == MT_EVENT_REASONING && !event->is_redacted)
        put_thinking(e, event->text, out);
    else if (event->kind == MT_EVENT_TEXT || event->kind == MT_EVENT_REFUSAL)
        put_text(e, event, out);
}

void mt_ollama__encode_event(void *state, const struct mt_chat_event *event, struct mt_buf *out)
{
    struct encoder *e = state;

    if (e->is_over || event->choice > 0) /* the dialect has one choice */
        return;
    switch (event->kind) {
    case MT_EVENT_TEXT:
    case MT_EVENT_REASONING:
    case MT_EVENT_REFUSAL:
    case MT_EVENT_MEDIA:
    case MT_EVENT_TOOL_CALL:
        put_delta(e, event, out);
        break;
    case MT_EVENT_TOOL_ARGS:
        if (!mt_chat__gather_add(&e->args, e->arena, event->text))
            keep_failed(e, out);
        break;
    case MT_EVENT_FINISH:
        put_call(e, out);
        e->finish = event->finish;
        break;
    case MT_EVENT_START:
    case MT_EVENT_USAGE:
        if (event->kind == MT_EVENT_USAGE)
            e->usage = event->usage;
        break;
    case MT_EVENT_END:
        put_call(e, out);
        put_done(e, out);
        break;
    case MT_EVENT_ERROR:
        put_error(e, event->error, out);
        break;
    case MT_EVENT_PING: /* clients parse every line: an empty delta is the only safe one */
        put_text(e, &(struct mt_chat_event){.kind = MT_EVENT_TEXT}, out);
        break;
    case MT_EVENT_SIGNATURE: /* no place for it */
        break;
    }
}

static mt_rc timestamp(const struct mt_chat_reply *reply, struct mt_buf *out,
                       struct mt_err *err)
{
    mt_rfc3339(reply->created_at_s, reply->created_at_ns, out);
    return mt_buf_check(out, "timestamp", err);
}

enum { TIMESTAMP_MAX = 64 };

static mt_rc encoder_new(const struct mt_chat_reply *reply, struct mt_arena *arena,
                         void **state, struct mt_err *err)
{
    MT_CLEANUP(mt_buf_fini) struct mt_buf time = MT_BUF_INIT(TIMESTAMP_MAX);
    struct encoder *e = mt_arena_get(arena, 1, sizeof *e);

    MT_TRY(timestamp(reply, &time, err));
    if (e == NULL)
        return mt_arena_fail(arena, err);
    e->reply = reply;
    e->arena = arena;
    e->created_at = mt_arena_str(arena, mt_buf_str(&time));
    if (e->created_at.at == NULL)
        return mt_arena_fail(arena, err);
    *state = e;
    return MT_OK;
}

mt_rc mt_ollama__encoder_chat(const struct mt_chat_reply *reply, struct mt_arena *arena,
                              void **state, struct mt_err *err)
{
    return encoder_new(reply, arena, state, err);
}

mt_rc mt_ollama__encoder_generate(const struct mt_chat_reply *reply, struct mt_arena *arena,
                                  void **state, struct mt_err *err)
{
    void *made = NULL;

    MT_TRY(encoder_new(reply, arena, &made, err));
    ((struct encoder *)made)->is_generate = true;
    *state = made;
    return MT_OK;
}

/* All text of the parts of one kind, as the value of a key. */
static void write_joined(struct mt_jw *w, const struct mt_choice *choice, enum mt_out_kind kind,
                         enum mt_out_kind also)
{
    mt_jw_raw(w, MT_STR("\""));
    for (size_t i = 0; i < choice->parts_n; i++) {
        const struct mt_out_part *part = &choice->parts[i];
        if ((part->kind == kind || part->kind == also) && !part->is_redacted)
            mt_json_escape(w->buf, part->text);
    }
    mt_buf_add_char(w->buf, '"');
}

static bool has_part(const struct mt_choice *choice, enum mt_out_kind kind)
{
    for (size_t i = 0; i < choice->parts_n; i++)
        if (choice->parts[i].kind == kind && !choice->parts[i].is_redacted)
            return true;
    return false;
}

static void write_calls(struct mt_jw *w, const struct mt_choice *choice)
{
    unsigned index = 0;

    mt_jw_key(w, "tool_calls");
    mt_jw_array(w);
    for (size_t i = 0; i < choice->parts_n; i++) {
        const struct mt_out_part *part = &choice->parts[i];
        if (part->kind == MT_OUT_TOOL_CALL)
            write_call(w, part->id, part->name, index++, part->text);
    }
    mt_jw_end(w);
}

static void write_images(const struct encoder *e, struct mt_jw *w,
                         const struct mt_choice *choice)
{
    if (!e->is_generate) {
        mt_jw_key(w, "images");
        mt_jw_array(w);
    }
    for (size_t i = 0; i < choice->parts_n; i++) {
        if (choice->parts[i].kind != MT_OUT_MEDIA)
            continue;
        if (e->is_generate) {
            write_image(e, w, choice->parts[i].text);
            return; /* that endpoint has room for one */
        }
        mt_jw_str(w, choice->parts[i].text);
    }
    if (!e->is_generate)
        mt_jw_end(w);
}

static void write_turn(const struct encoder *e, struct mt_jw *w, const struct mt_choice *choice)
{
    if (e->is_generate) {
        mt_jw_key(w, "response");
    } else {
        mt_jw_key(w, "message");
        mt_jw_object(w);
        mt_jw_kcstr(w, "role", "assistant");
        mt_jw_key(w, "content");
    }
    write_joined(w, choice, MT_OUT_TEXT, MT_OUT_REFUSAL);
    if (has_part(choice, MT_OUT_REASONING)) {
        mt_jw_key(w, "thinking");
        write_joined(w, choice, MT_OUT_REASONING, MT_OUT_REASONING);
    }
    if (has_part(choice, MT_OUT_MEDIA))
        write_images(e, w, choice);
    if (has_part(choice, MT_OUT_TOOL_CALL))
        write_calls(w, choice);
    turn_end(e, w);
}

static void encode_answer(struct encoder *e, const struct mt_chat_answer *answer,
                          struct mt_buf *out)
{
    static const struct mt_choice empty;
    const struct mt_choice *choice = answer->choices_n > 0 ? &answer->choices[0] : &empty;
    MT_CLEANUP(mt_buf_fini) struct mt_buf time = MT_BUF_INIT(TIMESTAMP_MAX);
    struct mt_jw w;

    if (timestamp(e->reply, &time, NULL) != MT_OK) {
        out->rc = out->rc == MT_OK ? time.rc : out->rc;
        return;
    }
    e->created_at = mt_buf_str(&time);
    line_begin(e, &w, out);
    write_turn(e, &w, choice);
    write_logprobs(&w, choice->logprobs, choice->logprobs_n);
    write_done(&w, choice->finish, &answer->usage);
    mt_jw_end(&w);
}

void mt_ollama__answer_chat(const struct mt_chat_reply *reply,
                            const struct mt_chat_answer *answer, struct mt_buf *out)
{
    encode_answer(&(struct encoder){.reply = reply}, answer, out);
}

void mt_ollama__answer_generate(const struct mt_chat_reply *reply,
                                const struct mt_chat_answer *answer, struct mt_buf *out)
{
    encode_answer(&(struct encoder){.reply = reply, .is_generate = true}, answer, out);
}
