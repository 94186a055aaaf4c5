/* SPDX-License-Identifier: Apache-2.0 */
/* The codec of the legacy POST /v1/completions, both roles: text goes on where a prompt ends.
 * Usage, errors and the fast lane are those of chat. Several prompts make prompts x n choices.
 *
 * echo: whoever answers repeats the prompt as the first text of its choice (an endpoint is
 * asked to; a local engine does so itself); this file only carries the wish.
 *
 * Answers hold text alone: a refusal is text, reasoning is left out. */
#include "openai_priv.h"

enum { CHOICES_MAX = 1024 }; /* prompts x n */

static const char *const body_keys[] = {MT_OPENAI__SHARED_KEYS, "prompt",   "suffix", "echo",
                                        "max_tokens",           "logprobs", NULL};

/* --- the request, read --- */

static mt_rc refuse_tokens(struct mt_err *err)
{
    return MT_FAIL(err, MT_E_UNSUPPORTED, "prompt: only text is understood, not token numbers");
}

static mt_rc read_prompts(const struct mt_json *body, struct mt_chat_request *out,
                          struct mt_err *err)
{
    const struct mt_json *prompt = mt_json_get(body, "prompt");
    enum mt_json_type first = mt_json_type(mt_json_first(prompt));
    size_t n = 1;

    if (mt_json_type(prompt) == MT_JSON_ARRAY) {
        n = mt_json_count(prompt);
        if (first == MT_JSON_NUMBER || first == MT_JSON_ARRAY)
            return refuse_tokens(err);
        if (n == 0 || n > CHOICES_MAX)
            return MT_FAIL(err, MT_E_INVALID, "prompt: expected 1 to %d prompts, found %zu",
                           CHOICES_MAX, n);
    } else if (mt_json_type(prompt) != MT_JSON_STRING) {
        return mt_chat__expected(prompt, "prompt", "a string or an array of strings", err);
    }
    out->prompts = mt_arena_get(out->arena, n, sizeof *out->prompts);
    if (out->prompts == NULL)
        return mt_arena_fail(out->arena, err);
    return mt_chat__strs(body, "", "prompt", CHOICES_MAX, out->arena, out->prompts,
                         &out->prompts_n, err);
}

static mt_rc decode_request(const struct mt_json *body, const struct mt_chat_route *route,
                            struct mt_chat_request *out, struct mt_err *err)
{
    struct mt_opt_i64 logprobs = {0};

    (void)route;
    out->dialect = MT_DIALECT_OPENAI_COMPLETIONS;
    out->kind = MT_CHAT_COMPLETION;
    if (mt_json_type(body) != MT_JSON_OBJECT)
        return mt_chat__expected(body, "body", "an object", err);
    MT_TRY(mt_openai__read_shared(body, out, err));
    MT_TRY(read_prompts(body, out, err));
    if (out->n > 1 && out->prompts_n * out->n > CHOICES_MAX)
        return MT_FAIL(err, MT_E_INVALID, "n: expected at most %d choices for all prompts",
                       CHOICES_MAX);
    MT_TRY(mt_chat__str(body, "", "suffix", out->arena, &out->suffix, err));
    MT_TRY(mt_chat__bool(body, "", "echo", &out->echo, err));
    MT_TRY(mt_openai__read_max_tokens(body, "max_tokens", 0, &out->max_tokens, err));
    MT_TRY(mt_chat__i64(body, "", "logprobs", 0, MT_CHAT_TOP_LOGPROBS_MAX, &logprobs, err));
    out->logprobs = logprobs.has;
    out->top_logprobs = (unsigned)logprobs.value;
    return mt_chat__extras(body, "", body_keys, out, err);
}

/* --- the request, written --- */

static void write_prompts(struct mt_jw *w, const struct mt_chat_request *request)
{
    mt_jw_key(w, "prompt");
    if (request->prompts_n == 1) {
        mt_jw_str(w, request->prompts[0]);
        return;
    }
    mt_jw_array(w);
    for (size_t i = 0; i < request->prompts_n; i++)
        mt_jw_str(w, request->prompts[i]);
    mt_jw_end(w);
}

static mt_rc check_writable(const struct mt_chat_request *request, struct mt_err *err)
{
    if (request->kind != MT_CHAT_COMPLETION)
        return MT_FAIL(err, MT_E_UNSUPPORTED,
                       "messages: a conversation cannot be sent to openai completions");
    if (request->tools_n > 0)
        return MT_FAIL(err, MT_E_UNSUPPORTED, "tools: cannot be sent to openai completions");
    if (request->format != MT_FORMAT_TEXT)
        return MT_FAIL(err, MT_E_UNSUPPORTED,
                       "response_format: cannot be sent to openai completions");
    return MT_OK;
}

static mt_rc encode_request(const struct mt_chat_request *request, struct mt_str model,
                            struct mt_buf *body, struct mt_buf *path,
                            struct mt_chat_notes *notes, struct mt_err *err)
{
    struct mt_jw w;

    MT_TRY(check_writable(request, err));
    mt_jw_begin(&w, body);
    mt_jw_object(&w);
    mt_openai__write_shared(&w, request, model, notes);
    write_prompts(&w, request);
    if (request->suffix.len > 0)
        mt_jw_kstr(&w, "suffix", request->suffix);
    if (request->echo)
        mt_jw_kbool(&w, "echo", true);
    if (request->max_tokens.has)
        mt_jw_ki64(&w, "max_tokens", request->max_tokens.value);
    if (request->logprobs)
        mt_jw_ki64(&w, "logprobs", request->top_logprobs);
    if (request->effort != MT_EFFORT_UNSAID || request->reasoning_budget.has)
        mt_chat_note(notes, "reasoning effort: not carried to openai completions");
    mt_chat__write_extras(request, MT_DIALECT_OPENAI_COMPLETIONS, "openai completions", &w,
                          notes);
    mt_jw_end(&w);
    mt_buf_add_cstr(path, "/v1/completions");
    MT_TRY(mt_buf_check(path, "path", err));
    return mt_buf_check(body, "request", err);
}

/* --- answers to a client --- */

struct state {
    struct mt_str head; /* a chunk as far as its choices */
    bool wants_usage;
    struct mt_usage usage;
    int64_t
        offsets[MT_CHAT_CHOICES_MAX]; /* characters written; choices beyond share the last */
};

static int64_t *offset_of(struct state *s, unsigned choice)
{
    return &s->offsets[choice < MT_CHAT_CHOICES_MAX ? choice : MT_CHAT_CHOICES_MAX - 1];
}

static void put_choice_end(struct mt_jw *w, unsigned index,
                           const struct mt_token_logprob *logprobs, size_t n, int64_t *offset,
                           const char *finish)
{
    mt_jw_ki64(w, "index", index);
    mt_jw_key(w, "logprobs");
    mt_openai__write_legacy_logprobs(w, logprobs, n, offset);
    mt_jw_kcstr(w, "finish_reason", finish);
    mt_jw_end(w);
}

static void write_chunk(struct state *s, const struct mt_chat_event *event, const char *finish,
                        struct mt_buf *out)
{
    struct mt_jw w;

    mt_sse_begin(out, NULL);
    mt_buf_add(out, s->head);
    mt_jw_begin(&w, out);
    mt_jw_object(&w);
    mt_jw_kstr(&w, "text", event->text);
    put_choice_end(&w, event->choice, event->logprobs, event->logprobs_n,
                   offset_of(s, event->choice), finish);
    mt_buf_add_cstr(out, s->wants_usage ? "],\"usage\":null}" : "]}");
    mt_sse_end(out);
}

static mt_rc encoder_new(const struct mt_chat_reply *reply, struct mt_arena *arena,
                         void **state, struct mt_err *err)
{
    struct state *s = mt_arena_get(arena, 1, sizeof *s);

    if (s == NULL)
        return mt_arena_fail(arena, err);
    MT_TRY(mt_openai__chunk_head(reply, "cmpl-", "text_completion", arena, &s->head, err));
    s->wants_usage = reply->request->stream_usage;
    s->usage.input_tokens = reply->input_tokens;
    *state = s;
    return MT_OK;
}

static void encode_event(void *state, const struct mt_chat_event *event, struct mt_buf *out)
{
    struct state *s = state;

    switch (event->kind) {
    case MT_EVENT_TEXT:
    case MT_EVENT_REFUSAL:
        write_chunk(s, event, NULL, out);
        break;
    case MT_EVENT_FINISH:
        write_chunk(s, event, mt_openai__finish_name(event->finish, false), out);
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
    case MT_EVENT_START:
    case MT_EVENT_REASONING:
    case MT_EVENT_SIGNATURE:
    case MT_EVENT_MEDIA:
    case MT_EVENT_TOOL_CALL:
    case MT_EVENT_TOOL_ARGS:
        break;
    }
}

static void put_text(struct mt_jw *w, const struct mt_choice *choice)
{
    mt_jw_key(w, "text");
    mt_openai__open_text(w);
    for (size_t i = 0; i < choice->parts_n; i++) {
        enum mt_out_kind kind = choice->parts[i].kind;
        if (kind == MT_OUT_TEXT || kind == MT_OUT_REFUSAL)
            mt_json_escape(w->buf, choice->parts[i].text);
    }
    mt_openai__close_text(w);
}

static void encode_answer(const struct mt_chat_reply *reply,
                          const struct mt_chat_answer *answer, struct mt_buf *out)
{
    struct mt_jw w;

    mt_jw_begin(&w, out);
    mt_openai__write_head(&w, reply, "cmpl-", "text_completion");
    mt_jw_key(&w, "choices");
    mt_jw_array(&w);
    for (size_t i = 0; i < answer->choices_n; i++) {
        const struct mt_choice *choice = &answer->choices[i];
        int64_t offset = 0;
        mt_jw_object(&w);
        put_text(&w, choice);
        put_choice_end(&w, (unsigned)i, choice->logprobs, choice->logprobs_n, &offset,
                       mt_openai__finish_name(choice->finish, false));
    }
    mt_jw_end(&w);
    mt_jw_key(&w, "usage");
    mt_openai__write_usage(&w, &answer->usage);
    mt_jw_end(&w);
}

static void forward_path(const struct mt_chat_peek *peek, struct mt_str model,
                         struct mt_buf *path)
{
    (void)peek;
    (void)model;
    mt_buf_add_cstr(path, "/v1/completions");
}

const struct mt_chat_codec mt_codec_openai_completions = {
    .dialect = MT_DIALECT_OPENAI_COMPLETIONS,
    .name = "openai-completions",
    .stream_framing = MT_FRAMING_SSE,
    .stream_content_type = "text/event-stream; charset=utf-8",
    .decode_request = decode_request,
    .encoder_new = encoder_new,
    .encode_event = encode_event,
    .encode_answer = encode_answer,
    .encode_error = mt_openai__write_error,
    .error_status = mt_openai__error_status,
    .encode_request = encode_request,
    .decoder_new = mt_openai__completion_decoder_new,
    .decode_frame = mt_openai__decode_frame,
    .decode_end = mt_openai__decode_end,
    .decode_answer = mt_openai__decode_completion,
    .decode_error = mt_openai__decode_error,
    .peek = mt_openai__peek,
    .forward_body = mt_openai__forward_body,
    .forward_path = forward_path,
    .meter_frame = mt_openai__meter_frame,
    .meter_answer = mt_openai__meter_answer,
};
