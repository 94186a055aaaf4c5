/* SPDX-License-Identifier: Apache-2.0 */
/* Answers of OpenAI chat endpoints, whole or in chunks, as events. A whole message has the
 * shape of a delta and is read as one.
 *
 * Endpoints disagree about tool calls: they repeat index 0, omit it, start at 1, repeat the id
 * or make one up per chunk. A fragment belongs to a call of its id; else, when it brings no
 * name of its own, to the call of its index, or to the last one. Whatever else names a function
 * is a new call. Calls are numbered as they come.
 *
 * Invariants: START before all; a choice finishes once and says nothing after; after END or
 * ERROR nothing is emitted. */
#include <stdio.h>

#include "openai_priv.h"

enum { CHOICES_MAX = 1024, CALLS_MAX = 1024 };

struct call {
    struct mt_str id;
    struct mt_str name;
    int64_t index; /* as the endpoint counts; -1 = unsaid */
};

struct choice {
    struct call *calls;
    size_t calls_n;
    bool is_finished;
};

struct state {
    struct mt_arena *arena; /* lives as long as the stream */
    struct choice *choices;
    size_t choices_n;
    struct mt_usage usage;
    bool has_usage;
    bool is_started;
    bool is_done;       /* END or ERROR was emitted */
    bool is_completion; /* of /v1/completions: text stands in the choice itself */
};

/* What one chunk is read with. */
struct reading {
    struct state *s;
    struct choice *choice;
    unsigned index;
    struct mt_arena *arena; /* lives as long as the chunk */
    mt_chat_emit_fn *emit;
    void *ctx;
    struct mt_err *err;
    struct mt_str seed; /* the chunk's bytes: what made-up ids are made of */
};

static mt_rc emit(const struct reading *r, struct mt_chat_event event)
{
    event.choice = r->index;
    return r->emit(r->ctx, &event, r->err);
}

static mt_rc malformed(const struct reading *r, const char *what)
{
    return MT_FAIL(r->err, MT_E_UPSTREAM, "%s", what);
}

/* A string member; anything else counts as absent, as null does. */
static mt_rc text_of(const struct reading *r, const struct mt_json *object, const char *key,
                     struct mt_str *out)
{
    const struct mt_json *value = mt_json_get(object, key);

    *out = (struct mt_str){NULL, 0};
    if (mt_json_type(value) != MT_JSON_STRING || mt_json_str(value, r->arena, out))
        return MT_OK;
    return mt_arena_fail(r->arena, r->err);
}

static mt_rc emit_text(const struct reading *r, enum mt_event_kind kind, struct mt_str text)
{
    if (text.len == 0)
        return MT_OK;
    return emit(r, (struct mt_chat_event){.kind = kind, .text = text});
}

static mt_rc find_choice(struct reading *r, const struct mt_json *value)
{
    struct state *s = r->s;
    int64_t index = 0;

    if (mt_json_get(value, "index") != NULL &&
        !mt_json_i64(mt_json_get(value, "index"), 0, CHOICES_MAX - 1, &index))
        return malformed(r, "choices[].index: expected a small integer");
    while (s->choices_n <= (size_t)index) {
        struct choice *grown =
            mt_chat__push(s->arena, s->choices, s->choices_n, sizeof *s->choices);
        if (grown == NULL)
            return mt_arena_fail(s->arena, r->err);
        s->choices = grown;
        s->choices[s->choices_n++] = (struct choice){0};
    }
    r->choice = &s->choices[index];
    r->index = (unsigned)index;
    return MT_OK;
}

/* --- content --- */

/* Mistral's reasoning models: [{"type":"thinking","thinking":[{"text"}]},{"type":"text"}]. */
static mt_rc take_content_parts(const struct reading *r, const struct mt_json *parts,
                                enum mt_event_kind kind)
{
    for (const struct mt_json *part = mt_json_first(parts); part != NULL;
         part = mt_json_next(part)) {
        struct mt_str text;
        const struct mt_json *thinking = mt_json_get(part, "thinking");
        if (mt_json_type(thinking) == MT_JSON_ARRAY && kind == MT_EVENT_TEXT) {
            MT_TRY(take_content_parts(r, thinking, MT_EVENT_REASONING));
            continue;
        }
        MT_TRY(text_of(r, part, "text", &text));
        MT_TRY(emit_text(r, kind, text));
    }
    return MT_OK;
}

static mt_rc take_reasoning(const struct reading *r, const struct mt_json *delta)
{
    struct mt_str text;

    MT_TRY(text_of(r, delta, "reasoning_content", &text)); /* DeepSeek, vLLM, llama-server */
    if (text.len == 0)
        MT_TRY(text_of(r, delta, "reasoning", &text)); /* OpenRouter, Ollama, newer vLLM */
    return emit_text(r, MT_EVENT_REASONING, text);
}

static mt_rc take_content(const struct reading *r, const struct mt_json *delta,
                          const struct mt_json *logprobs)
{
    struct mt_chat_event event = {.kind = MT_EVENT_TEXT};
    const struct mt_json *content = mt_json_get(delta, "content");

    if (mt_json_type(content) == MT_JSON_ARRAY)
        return take_content_parts(r, content, MT_EVENT_TEXT);
    MT_TRY(text_of(r, delta, r->s->is_completion ? "text" : "content", &event.text));
    mt_rc rc = r->s->is_completion
                   ? mt_openai__read_legacy_logprobs(logprobs, r->arena, &event.logprobs,
                                                     &event.logprobs_n, r->err)
                   : mt_openai__read_logprobs(logprobs, r->arena, &event.logprobs,
                                              &event.logprobs_n, r->err);
    MT_TRY(rc);
    if (event.text.len == 0 && event.logprobs_n == 0)
        return MT_OK;
    return emit(r, event);
}

/* OpenRouter's way to hand over images. */
static mt_rc take_images(const struct reading *r, const struct mt_json *delta)
{
    for (const struct mt_json *image = mt_json_first(mt_json_get(delta, "images"));
         image != NULL; image = mt_json_next(image)) {
        struct mt_chat_media media = {0};
        struct mt_str url;
        MT_TRY(text_of(r, mt_json_get(image, "image_url"), "url", &url));
        mt_chat__media_url(url, &media);
        if (media.base64.len > 0)
            MT_TRY(emit(r, (struct mt_chat_event){.kind = MT_EVENT_MEDIA,
                                                  .mime = media.mime,
                                                  .text = media.base64}));
    }
    return MT_OK;
}

/* --- tool calls --- */

struct fragment {
    struct mt_str id, name, arguments;
    int64_t index;
};

static mt_rc read_fragment(const struct reading *r, const struct mt_json *value,
                           const struct mt_json *function, struct fragment *out)
{
    const struct mt_json *arguments = mt_json_get(function, "arguments");

    out->index = -1;
    (void)mt_json_i64(mt_json_get(value, "index"), 0, INT32_MAX, &out->index);
    MT_TRY(text_of(r, value, "id", &out->id));
    MT_TRY(text_of(r, function, "name", &out->name));
    MT_TRY(text_of(r, function, "arguments", &out->arguments));
    if (mt_json_type(arguments) == MT_JSON_OBJECT)
        out->arguments = mt_json_raw(arguments);
    return MT_OK;
}

/* The call a fragment goes on with, or calls_n for a new one. */
static size_t find_call(const struct choice *choice, const struct fragment *f)
{
    size_t last = choice->calls_n;

    for (size_t i = choice->calls_n; f->id.len > 0 && i > 0; i--) {
        if (mt_str_eq(choice->calls[i - 1].id, f->id))
            return i - 1;
    }
    for (size_t i = choice->calls_n; f->index >= 0 && i > 0; i--) {
        const struct call *call = &choice->calls[i - 1];
        if (call->index != f->index)
            continue;
        bool is_same = f->name.len == 0 || (f->id.len == 0 && mt_str_eq(f->name, call->name));
        return is_same ? i - 1 : last;
    }
    bool is_bare = f->index < 0 && f->name.len == 0;
    return is_bare && last > 0 ? last - 1 : last;
}

static mt_rc keep(const struct reading *r, struct mt_str text, struct mt_str *out)
{
    *out = mt_arena_str(r->s->arena, text);
    return out->at != NULL ? MT_OK : mt_arena_fail(r->s->arena, r->err);
}

static mt_rc begin_call(const struct reading *r, const struct fragment *f)
{
    struct choice *choice = r->choice;
    struct mt_arena *arena = r->s->arena;

    if (choice->calls_n == CALLS_MAX)
        return malformed(r, "tool_calls: more than a thousand");
    if (f->name.len == 0)
        return malformed(r, "tool_calls: a call without a name");
    struct call *calls = mt_chat__push(arena, choice->calls, choice->calls_n, sizeof *calls);
    if (calls == NULL)
        return mt_arena_fail(arena, r->err);
    choice->calls = calls;
    struct call *call = &calls[choice->calls_n];
    *call = (struct call){.index = f->index};
    MT_TRY(keep(r, f->name, &call->name));
    MT_TRY(keep(r, f->id, &call->id));
    struct mt_str shown = call->id;
    if (shown.len == 0) {
        uint64_t hash = mt_str_hash(r->seed, choice->calls_n + ((uint64_t)r->index << 32));
        shown = mt_arena_printf(arena, "call_%016llx", (unsigned long long)hash);
        if (shown.at == NULL)
            return mt_arena_fail(arena, r->err);
    }
    return emit(r, (struct mt_chat_event){.kind = MT_EVENT_TOOL_CALL,
                                          .tool = (unsigned)choice->calls_n++,
                                          .id = shown,
                                          .name = call->name});
}

static mt_rc take_fragment(const struct reading *r, const struct mt_json *value,
                           const struct mt_json *function)
{
    struct fragment f = {0};

    MT_TRY(read_fragment(r, value, function, &f));
    size_t at = find_call(r->choice, &f);
    if (at == r->choice->calls_n)
        MT_TRY(begin_call(r, &f));
    else if (at + 1 < r->choice->calls_n && f.arguments.len > 0)
        return malformed(r, "tool_calls: a call goes on after the next one began");
    if (f.arguments.len == 0)
        return MT_OK;
    return emit(r, (struct mt_chat_event){
                       .kind = MT_EVENT_TOOL_ARGS, .tool = (unsigned)at, .text = f.arguments});
}

static mt_rc take_tool_calls(const struct reading *r, const struct mt_json *delta)
{
    const struct mt_json *legacy = mt_json_get(delta, "function_call");

    for (const struct mt_json *call = mt_json_first(mt_json_get(delta, "tool_calls"));
         call != NULL; call = mt_json_next(call))
        MT_TRY(take_fragment(r, call, mt_json_get(call, "function")));
    if (mt_json_type(legacy) == MT_JSON_OBJECT)
        MT_TRY(take_fragment(r, NULL, legacy));
    return MT_OK;
}

/* --- choices --- */

static mt_rc take_finish(const struct reading *r, const struct mt_json *choice)
{
    struct mt_chat_event event = {.kind = MT_EVENT_FINISH};
    struct mt_str reason;

    MT_TRY(text_of(r, choice, "finish_reason", &reason));
    if (reason.len == 0)
        return MT_OK;
    event.finish = mt_openai__finish_of(reason);
    if (event.finish == MT_FINISH_STOP && r->choice->calls_n > 0)
        event.finish = MT_FINISH_TOOL_CALLS; /* Ollama and others say "stop" */
    if (event.finish == MT_FINISH_STOP)
        MT_TRY(text_of(r, choice, "stop_reason", &event.stop_sequence)); /* vLLM */
    r->choice->is_finished = true;
    return emit(r, event);
}

static mt_rc take_choice(struct reading *r, const struct mt_json *value, const char *part)
{
    struct mt_str text;
    const struct mt_json *delta = r->s->is_completion ? value : mt_json_get(value, part);

    if (mt_json_type(value) != MT_JSON_OBJECT)
        return malformed(r, "choices[]: expected an object");
    MT_TRY(find_choice(r, value));
    if (r->choice->is_finished)
        return MT_OK;
    MT_TRY(take_reasoning(r, delta));
    MT_TRY(take_content(r, delta, mt_json_get(value, "logprobs")));
    MT_TRY(text_of(r, delta, "refusal", &text));
    MT_TRY(emit_text(r, MT_EVENT_REFUSAL, text));
    MT_TRY(take_images(r, delta));
    MT_TRY(take_tool_calls(r, delta));
    return take_finish(r, value);
}

static mt_rc take_start(struct reading *r, const struct mt_json *body)
{
    struct mt_chat_event event = {.kind = MT_EVENT_START};

    if (r->s->is_started)
        return MT_OK;
    MT_TRY(text_of(r, body, "id", &event.id));
    MT_TRY(text_of(r, body, "model", &event.model));
    r->s->is_started = true;
    return emit(r, event);
}

static bool is_same_usage(const struct mt_usage *a, const struct mt_usage *b)
{
    return a->input_tokens == b->input_tokens && a->output_tokens == b->output_tokens &&
           a->cached_tokens == b->cached_tokens && a->reasoning_tokens == b->reasoning_tokens;
}

static mt_rc take_usage(struct reading *r, const struct mt_json *body)
{
    struct mt_usage usage;

    if (!mt_openai__read_usage(body, &usage) ||
        (r->s->has_usage && is_same_usage(&usage, &r->s->usage)))
        return MT_OK;
    r->s->usage = usage;
    r->s->has_usage = true;
    r->index = 0;
    return emit(r, (struct mt_chat_event){.kind = MT_EVENT_USAGE, .usage = usage});
}

static mt_rc take_error(struct reading *r, const struct mt_json *body)
{
    struct mt_chat_error error;

    mt_chat__error_of(0, body, r->arena, &error);
    r->s->is_done = true;
    r->index = 0;
    return emit(r, (struct mt_chat_event){.kind = MT_EVENT_ERROR, .error = &error});
}

/* Whoever ends an answer without saying why owes each choice its finish. */
static mt_rc finish_all(struct reading *r)
{
    struct state *s = r->s;

    for (size_t i = 0; i < s->choices_n; i++) {
        bool has_calls = s->choices[i].calls_n > 0;
        if (s->choices[i].is_finished)
            continue;
        s->choices[i].is_finished = true;
        r->index = (unsigned)i;
        MT_TRY(emit(r, (struct mt_chat_event){.kind = MT_EVENT_FINISH,
                                              .finish = has_calls ? MT_FINISH_TOOL_CALLS
                                                                  : MT_FINISH_UNKNOWN}));
    }
    return MT_OK;
}

static mt_rc take_end(struct reading *r)
{
    MT_TRY(finish_all(r));
    r->s->is_done = true;
    r->index = 0;
    return emit(r, (struct mt_chat_event){.kind = MT_EVENT_END});
}

/* A chunk or a whole answer. */
static mt_rc take_body(struct reading *r, const struct mt_json *body, const char *part)
{
    const struct mt_json *choices = mt_json_get(body, "choices");

    if (mt_openai__is_error(body))
        return take_error(r, body);
    if (mt_json_type(body) != MT_JSON_OBJECT)
        return malformed(r, "chunk: expected an object");
    if (mt_json_count(choices) > 0)
        MT_TRY(take_start(r, body));
    for (const struct mt_json *choice = mt_json_first(choices); choice != NULL;
         choice = mt_json_next(choice))
        MT_TRY(take_choice(r, choice, part));
    return r->s->is_started ? take_usage(r, body) : MT_OK;
}

mt_rc mt_openai__decoder_new(struct mt_arena *arena, void **state, struct mt_err *err)
{
    struct state *s = mt_arena_get(arena, 1, sizeof *s);

    if (s == NULL)
        return mt_arena_fail(arena, err);
    s->arena = arena;
    *state = s;
    return MT_OK;
}

mt_rc mt_openai__completion_decoder_new(struct mt_arena *arena, void **state,
                                        struct mt_err *err)
{
    struct state *s = NULL;

    MT_TRY(mt_openai__decoder_new(arena, state, err));
    s = *state;
    s->is_completion = true;
    return MT_OK;
}

mt_rc mt_openai__decode_frame(void *state, const struct mt_frame *frame,
                              struct mt_chat_scratch *scratch, mt_chat_emit_fn *emit_fn,
                              void *ctx, struct mt_err *err)
{
    struct state *s = state;
    struct reading r = {.s = s,
                        .arena = scratch->arena,
                        .emit = emit_fn,
                        .ctx = ctx,
                        .err = err,
                        .seed = frame->data};
    struct mt_str data = mt_str_trim(frame->data);
    const struct mt_json *body = NULL;

    if (s->is_done || data.len == 0)
        return MT_OK;
    if (mt_str_starts(data, MT_STR("[DONE]"))) {
        if (!s->is_started)
            return MT_FAIL(err, MT_E_UPSTREAM, "stream: ended before it began");
        return take_end(&r);
    }
    mt_rc rc = mt_json_parse(scratch->doc, data, &body, err);
    if (rc == MT_E_NOMEM)
        return rc;
    if (rc < 0)
        return mt_err_wrap(err, MT_E_UPSTREAM, "chunk");
    if (mt_str_is(frame->event, "error"))
        return take_error(&r, body);
    return take_body(&r, body, "delta");
}

mt_rc mt_openai__decode_end(void *state, mt_chat_emit_fn *emit_fn, void *ctx,
                            struct mt_err *err)
{
    struct state *s = state;
    struct reading r = {.s = s, .arena = s->arena, .emit = emit_fn, .ctx = ctx, .err = err};
    bool is_whole = s->choices_n > 0;

    if (s->is_done)
        return MT_OK;
    for (size_t i = 0; i < s->choices_n; i++)
        is_whole = is_whole && s->choices[i].is_finished;
    if (!is_whole)
        return MT_FAIL(err, MT_E_UPSTREAM, "stream: cut short");
    return take_end(&r);
}

static mt_rc decode_whole(struct state *s, const struct mt_json *body, mt_chat_emit_fn *emit_fn,
                          void *ctx, struct mt_err *err)
{
    struct reading r = {.s = s,
                        .arena = s->arena,
                        .emit = emit_fn,
                        .ctx = ctx,
                        .err = err,
                        .seed = mt_json_raw(body)};

    MT_TRY(take_body(&r, body, "message"));
    if (s->is_done) /* an error with status 200 */
        return MT_OK;
    if (!s->is_started)
        return MT_FAIL(err, MT_E_UPSTREAM, "answer: without choices");
    return take_end(&r);
}

mt_rc mt_openai__decode_answer(const struct mt_json *body, struct mt_arena *arena,
                               mt_chat_emit_fn *emit_fn, void *ctx, struct mt_err *err)
{
    struct state s = {.arena = arena};

    return decode_whole(&s, body, emit_fn, ctx, err);
}

mt_rc mt_openai__decode_completion(const struct mt_json *body, struct mt_arena *arena,
                                   mt_chat_emit_fn *emit_fn, void *ctx, struct mt_err *err)
{
    struct state s = {.arena = arena, .is_completion = true};

    return decode_whole(&s, body, emit_fn, ctx, err);
}
