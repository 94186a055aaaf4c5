/* SPDX-License-Identifier: Apache-2.0 */
/* What tests of codecs share: a document, an arena and an error in one place; bodies read,
 * written and read again; events written down as lines of text, so that a test compares what a
 * stream says with one string.
 *
 *   START id=a model=m | TEXT 0 hello | CALL 0.0 id name | ARGS 0.0 {} | FINISH 0 tool_calls |
 *   USAGE 3+4 c1 w0 r2 | END
 */
#ifndef MT_CHAT_TESTS_CHAT_FIXTURE_H
#define MT_CHAT_TESTS_CHAT_FIXTURE_H

#include "support/test.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "chat/codec.h"

enum { FIXTURE_ARENA_MAX = 4 << 20, FIXTURE_TEXT_MAX = 1 << 20 };

struct fixture {
    struct mt_buf text; /* the body under test, with slack */
    struct mt_json_doc *doc;
    struct mt_json_doc *frame_doc;
    struct mt_arena arena;
    struct mt_arena frame_arena;
    struct mt_chat_notes notes;
    struct mt_buf out;
    struct mt_buf path;
    struct mt_buf log; /* events as text */
    struct mt_err err;
};

static inline void fixture_init(struct fixture *f)
{
    memset(f, 0, sizeof *f);
    mt_buf_init(&f->text, FIXTURE_TEXT_MAX);
    mt_buf_init(&f->out, FIXTURE_TEXT_MAX);
    mt_buf_init(&f->path, 4096);
    mt_buf_init(&f->log, FIXTURE_TEXT_MAX);
    mt_arena_init(&f->arena, FIXTURE_ARENA_MAX);
    mt_arena_init(&f->frame_arena, FIXTURE_ARENA_MAX);
    mt_chat_notes_init(&f->notes);
    assert_int_equal(mt_json_doc_new(&f->doc, &f->err), MT_OK);
    assert_int_equal(mt_json_doc_new(&f->frame_doc, &f->err), MT_OK);
}

static inline void fixture_fini(struct fixture *f)
{
    mt_buf_fini(&f->text);
    mt_buf_fini(&f->out);
    mt_buf_fini(&f->path);
    mt_buf_fini(&f->log);
    mt_arena_fini(&f->arena);
    mt_arena_fini(&f->frame_arena);
    mt_chat_notes_fini(&f->notes);
    mt_json_doc_free(f->doc);
    mt_json_doc_free(f->frame_doc);
}

/* Parse a body that must be JSON. */
static inline const struct mt_json *fixture_json(struct fixture *f, const char *body)
{
    const struct mt_json *root = NULL;

    mt_buf_clear(&f->text);
    mt_buf_add_cstr(&f->text, body);
    if (mt_json_parse(f->doc, mt_buf_str(&f->text), &root, &f->err) != MT_OK)
        fail_msg("%s in: %s", f->err.text, body);
    return root;
}

/* Decode a request; the answer's slices live in f until the next body. */
static inline mt_rc fixture_decode(struct fixture *f, const struct mt_chat_codec *codec,
                                   const char *body, struct mt_chat_request *out)
{
    const struct mt_json *root = fixture_json(f, body);
    struct mt_chat_route route = {.model = MT_STR("url-model"), .stream = true};

    mt_arena_clear(&f->arena);
    *out = (struct mt_chat_request){.arena = &f->arena};
    return codec->decode_request(root, &route, out, &f->err);
}

/* Encode for an upstream into f->out and f->path; what was written must be JSON. */
static inline mt_rc fixture_encode(struct fixture *f, const struct mt_chat_codec *codec,
                                   const struct mt_chat_request *request, const char *model)
{
    const struct mt_json *root = NULL;

    mt_buf_clear(&f->out);
    mt_buf_clear(&f->path);
    mt_rc rc =
        codec->encode_request(request, mt_str_of(model), &f->out, &f->path, &f->notes, &f->err);
    if (rc == MT_OK &&
        mt_json_parse(f->frame_doc, mt_buf_str(&f->out), &root, &f->err) != MT_OK)
        fail_msg("%s in: %s", f->err.text, mt_buf_cstr(&f->out));
    return rc;
}

static inline const char *fixture_finish_name(enum mt_finish finish)
{
    static const char *const names[] = {"unknown", "stop",  "length", "tool_calls", "filter",
                                        "refusal", "pause", "budget", "loaded",     "unloaded"};

    return names[finish];
}

/* An mt_chat_emit_fn that writes the event down; ctx is a struct mt_buf. */
static inline mt_rc fixture_log(void *ctx, const struct mt_chat_event *e, struct mt_err *err)
{
    struct mt_buf *log = ctx;

    (void)err;
    if (log->len > 0)
        mt_buf_add_cstr(log, " | ");
    switch (e->kind) {
    case MT_EVENT_START:
        mt_buf_addf(log, "START id=%.*s model=%.*s", MT_STR_ARG(e->id), MT_STR_ARG(e->model));
        break;
    case MT_EVENT_TEXT:
        mt_buf_addf(log, "TEXT %u %.*s", e->choice, MT_STR_ARG(e->text));
        for (size_t i = 0; i < e->logprobs_n; i++)
            mt_buf_addf(log, " [%.*s %.2f top %zu]", MT_STR_ARG(e->logprobs[i].token),
                        (double)e->logprobs[i].logprob, e->logprobs[i].top_n);
        break;
    case MT_EVENT_REASONING:
        mt_buf_addf(log, "REASONING %u %s%.*s%.*s", e->choice,
                    e->is_redacted ? "redacted " : "", MT_STR_ARG(e->text),
                    MT_STR_ARG(e->signature));
        break;
    case MT_EVENT_SIGNATURE:
        mt_buf_addf(log, "SIGNATURE %u %.*s", e->choice, MT_STR_ARG(e->signature));
        break;
    case MT_EVENT_REFUSAL:
        mt_buf_addf(log, "REFUSAL %u %.*s", e->choice, MT_STR_ARG(e->text));
        break;
    case MT_EVENT_MEDIA:
        mt_buf_addf(log, "MEDIA %u %.*s %.*s", e->choice, MT_STR_ARG(e->mime),
                    MT_STR_ARG(e->text));
        break;
    case MT_EVENT_TOOL_CALL:
        mt_buf_addf(log, "CALL %u.%u %.*s %.*s", e->choice, e->tool, MT_STR_ARG(e->id),
                    MT_STR_ARG(e->name));
        if (e->signature.len > 0)
            mt_buf_addf(log, " signature=%.*s", MT_STR_ARG(e->signature));
        break;
    case MT_EVENT_TOOL_ARGS:
        mt_buf_addf(log, "ARGS %u.%u %.*s", e->choice, e->tool, MT_STR_ARG(e->text));
        break;
    case MT_EVENT_FINISH:
        mt_buf_addf(log, "FINISH %u %s", e->choice, fixture_finish_name(e->finish));
        if (e->stop_sequence.len > 0)
            mt_buf_addf(log, " stop=%.*s", MT_STR_ARG(e->stop_sequence));
        break;
    case MT_EVENT_USAGE:
        mt_buf_addf(log, "USAGE %lld+%lld c%lld w%lld r%lld", (long long)e->usage.input_tokens,
                    (long long)e->usage.output_tokens, (long long)e->usage.cached_tokens,
                    (long long)e->usage.cache_write_tokens,
                    (long long)e->usage.reasoning_tokens);
        break;
    case MT_EVENT_END:
        mt_buf_add_cstr(log, "END");
        break;
    case MT_EVENT_ERROR:
        mt_buf_addf(log, "ERROR %s: %.*s", mt_chat_error_code(e->error->kind),
                    MT_STR_ARG(e->error->message));
        break;
    case MT_EVENT_PING:
        mt_buf_add_cstr(log, "PING");
        break;
    }
    return mt_buf_check(log, "log", err);
}

struct fixture_stream {
    struct fixture *f;
    const struct mt_chat_codec *codec;
    void *state;
    mt_chat_emit_fn *emit;
    void *ctx;
};

static inline mt_rc fixture_frame(void *ctx, const struct mt_frame *frame, struct mt_err *err)
{
    struct fixture_stream *s = ctx;
    struct mt_chat_scratch scratch = {s->f->frame_doc, &s->f->frame_arena};

    mt_arena_clear(&s->f->frame_arena);
    return s->codec->decode_frame(s->state, frame, &scratch, s->emit, s->ctx, err);
}

/* Decode a stream handed over step bytes at a time, decode_end included. */
static inline mt_rc fixture_decode_stream(struct fixture *f, const struct mt_chat_codec *codec,
                                          const char *bytes, size_t step, mt_chat_emit_fn *emit,
                                          void *ctx)
{
    struct fixture_stream s = {f, codec, NULL, emit, ctx};
    struct mt_frames frames;
    size_t len = strlen(bytes);

    mt_arena_clear(&f->arena);
    mt_rc rc = codec->decoder_new(&f->arena, &s.state, &f->err);
    if (rc < 0)
        return rc;
    mt_frames_init(&frames, codec->stream_framing, FIXTURE_TEXT_MAX);
    for (size_t at = 0; rc == MT_OK && at < len; at += step) {
        struct mt_str piece = {bytes + at, len - at < step ? len - at : step};
        rc = mt_frames_feed(&frames, piece, fixture_frame, &s, &f->err);
    }
    if (rc == MT_OK)
        rc = mt_frames_finish(&frames, fixture_frame, &s, &f->err);
    if (rc == MT_OK)
        rc = codec->decode_end(s.state, emit, ctx, &f->err);
    mt_frames_fini(&frames);
    return rc;
}

/* The stream's events as text, the same however the bytes are cut: it is decoded whole and then
 * in steps of 1, 7 and 64 bytes. */
static inline const char *
fixture_stream_text(struct fixture *f, const struct mt_chat_codec *codec, const char *bytes)
{
    static const size_t steps[] = {1 << 20, 1, 7, 64};
    char first[8192] = "";

    for (size_t i = 0; i < MT_ARRAY_LEN(steps); i++) {
        mt_buf_clear(&f->log);
        if (fixture_decode_stream(f, codec, bytes, steps[i], fixture_log, &f->log) != MT_OK)
            mt_buf_addf(&f->log, " ! %s", f->err.text);
        if (i == 0)
            snprintf(first, sizeof first, "%s", mt_buf_cstr(&f->log));
        assert_string_equal(mt_buf_cstr(&f->log), first);
    }
    return mt_buf_cstr(&f->log);
}

/* Events of a whole answer as text. */
static inline const char *
fixture_answer_text(struct fixture *f, const struct mt_chat_codec *codec, const char *body)
{
    const struct mt_json *root = fixture_json(f, body);

    mt_buf_clear(&f->log);
    mt_arena_clear(&f->arena);
    if (codec->decode_answer(root, &f->arena, fixture_log, &f->log, &f->err) != MT_OK)
        mt_buf_addf(&f->log, " ! %s", f->err.text);
    return mt_buf_cstr(&f->log);
}

/* Events written by the codec as its client's stream, into f->out. */
static inline const char *fixture_encode_stream(struct fixture *f,
                                                const struct mt_chat_codec *codec,
                                                const struct mt_chat_reply *reply,
                                                const struct mt_chat_event *events, size_t n)
{
    void *state = NULL;

    mt_buf_clear(&f->out);
    mt_arena_clear(&f->arena);
    assert_int_equal(codec->encoder_new(reply, &f->arena, &state, &f->err), MT_OK);
    for (size_t i = 0; i < n; i++)
        codec->encode_event(state, &events[i], &f->out);
    assert_int_equal(f->out.rc, MT_OK);
    return mt_buf_cstr(&f->out);
}

#endif
