/* SPDX-License-Identifier: Apache-2.0 */
/* chat/codec.h - one codec per dialect, in both roles.
 *
 * server role: a client speaks the dialect to us. decode_request reads its body; the encoder
 * writes events as the client's stream, encode_answer the whole answer, encode_error an error
 * body. upstream role: we speak the dialect to an endpoint. encode_request writes the body; the
 * decoder turns frames of its stream, or its whole answer, into events.
 *
 * What the target dialect cannot carry: a field whose loss would change what is answered
 * (content, media, tools, schema, number of choices) is refused with MT_E_UNSUPPORTED and its
 * name; a field that only tunes is noted (mt_chat_note), so that the caller sees it in a
 * warning header. Nothing is dropped in silence.
 *
 * Codecs are pure and hold no state but what encoder_new and decoder_new make in an arena. They
 * run on any thread; one stream's calls come one after another. */
#ifndef MT_CHAT_CODEC_H
#define MT_CHAT_CODEC_H

#include "chat/answer.h"
#include "chat/request.h"
#include "wire/frames.h"
#include "wire/json.h"

/* What stands in the URL rather than in the body. */
struct mt_chat_route {
    struct mt_str model; /* Gemini: models/MODEL:method */
    bool stream;         /* Gemini: streamGenerateContent */
    bool alt_sse;        /* Gemini: ?alt=sse */
    bool count_only;     /* Anthropic's count_tokens: max_tokens may be missing */
};

/* Warnings for the caller, separated by "; ". Init with mt_chat_notes_init. */
struct mt_chat_notes {
    struct mt_buf text;
};
void mt_chat_notes_init(struct mt_chat_notes *notes);
void mt_chat_notes_fini(struct mt_chat_notes *notes);
void mt_chat_note(struct mt_chat_notes *notes, const char *format, ...) MT_PRINTF(2, 3);

/* Memory for one call, shared by all codecs of a thread: cleared by whoever lends it. */
struct mt_chat_scratch {
    struct mt_json_doc *doc;
    struct mt_arena *arena;
};

/* What an encoder must know of the answer's surroundings. Borrowed until the answer ends. */
struct mt_chat_reply {
    const struct mt_chat_request *request;
    struct mt_chat_route route;
    struct mt_str id;    /* unique part of ids: 26 characters */
    struct mt_str model; /* name to show: the one asked for */
    int64_t created_at_s;
    int64_t created_at_ns;              /* rest of the second, for Ollama's timestamps */
    int64_t input_tokens;               /* counted or estimated before the first byte */
    struct mt_str previous_response_id; /* Responses */
    bool is_stored;                     /* Responses */
    int64_t events_sent_n; /* of a stream that begun without this encoder: it goes on */
};

/* Fast lane: same dialect on both sides, bytes pass through and are only metered. */
enum { MT_METER_CALLS_MAX = 32 };
struct mt_meter_call { /* a tool call that has passed */
    uint64_t id_hash;
    int64_t given; /* index it came with; -1: none */
};

struct mt_chat_meter {
    struct mt_usage usage;
    bool has_usage;
    bool has_content;   /* the first content delta has passed */
    bool is_finished;   /* a finish reason or the end mark has passed */
    bool has_error;     /* the stream carried an error event */
    int64_t deltas_n;   /* content frames: about one token each */
    int64_t text_bytes; /* of content frames, JSON and all: bounds the tokens from above */
    struct mt_meter_call calls[MT_METER_CALLS_MAX];
    unsigned calls_n;
    struct mt_str replacement; /* in the scratch arena */
};
enum mt_meter_verdict {
    MT_METER_FORWARD,
    MT_METER_HIDE,
    MT_METER_REPLACE, /* pass on `replacement` instead of the frame's bytes */
};

/* The few fields of a body that routing and metering need, read without decoding it. */
struct mt_chat_peek {
    struct mt_str model;
    bool stream;
    bool stream_usage;
    struct mt_opt_i64 max_tokens;
    unsigned n;
    bool needs_canonical; /* the fast lane must not be taken (Responses store, hosted state,
                             ...) */
};

struct mt_chat_codec {
    enum mt_dialect dialect;
    const char *name;                /* "openai", "anthropic", ... in config, logs, metrics */
    enum mt_framing stream_framing;  /* as upstream and as server (Gemini: SSE) */
    const char *stream_content_type; /* as server */

    /* --- server role --- */
    /** Read a body. out->arena is set; out is otherwise zero. Slices may point into the body.
     *  @return MT_OK, MT_E_INVALID ("messages[2].content: expected ..."), MT_E_TOOBIG,
     * MT_E_NOMEM */
    mt_rc (*decode_request)(const struct mt_json *body, const struct mt_chat_route *route,
                            struct mt_chat_request *out, struct mt_err *err);
    mt_rc (*encoder_new)(const struct mt_chat_reply *reply, struct mt_arena *arena,
                         void **state, struct mt_err *err);
    /** Append the event's bytes, framing included, to out. May append nothing. An ERROR writes
     * the dialect's way to fail after the status line is sent. Failures are the buffer's. */
    void (*encode_event)(void *state, const struct mt_chat_event *event, struct mt_buf *out);
    void (*encode_answer)(const struct mt_chat_reply *reply,
                          const struct mt_chat_answer *answer, struct mt_buf *out);
    void (*encode_error)(const struct mt_chat_error *error, struct mt_buf *out);
    /** Status of an error in this dialect (Anthropic says 529 for overloaded). */
    int (*error_status)(const struct mt_chat_error *error);
    /** Answer to "how many tokens is this?"; NULL where the dialect has no such question. */
    void (*encode_token_count)(int64_t input_tokens, struct mt_buf *out);

    /* --- upstream role; NULL functions: the dialect is no upstream --- */
    /** Write body and path ("/v1/chat/completions") for the endpoint's own model name.
     *  @return MT_OK, MT_E_UNSUPPORTED (names the field), buffer failures */
    mt_rc (*encode_request)(const struct mt_chat_request *request, struct mt_str model,
                            struct mt_buf *body, struct mt_buf *path,
                            struct mt_chat_notes *notes, struct mt_err *err);
    mt_rc (*decoder_new)(struct mt_arena *arena, void **state, struct mt_err *err);
    /** One frame of a stream. Unknown frames are passed over; a malformed one is MT_E_UPSTREAM.
     *  Emits START first, END after the stream's own end mark. */
    mt_rc (*decode_frame)(void *state, const struct mt_frame *frame,
                          struct mt_chat_scratch *scratch, mt_chat_emit_fn *emit, void *ctx,
                          struct mt_err *err);
    /** The stream's bytes ended. Emits what is owed (END) when the answer was complete.
     *  @return MT_OK, or MT_E_UPSTREAM when it was cut short */
    mt_rc (*decode_end)(void *state, mt_chat_emit_fn *emit, void *ctx, struct mt_err *err);
    /** A whole answer: emits all its events, START to END. */
    mt_rc (*decode_answer)(const struct mt_json *body, struct mt_arena *arena,
                           mt_chat_emit_fn *emit, void *ctx, struct mt_err *err);
    /** Read an error body of any shape (also HTML or nothing). Slices live in the scratch
     * arena. */
    void (*decode_error)(int http_status, struct mt_str body, struct mt_chat_scratch *scratch,
                         struct mt_chat_error *out);

    /* --- fast lane; NULL: none --- */
    mt_rc (*peek)(const struct mt_json *body, const struct mt_chat_route *route,
                  struct mt_arena *arena, struct mt_chat_peek *out, struct mt_err *err);
    /** The body for the same dialect upstream: model replaced, usage asked for, motet's own
     * fields taken out, all else byte for byte. */
    void (*forward_body)(const struct mt_json *body, struct mt_str text, struct mt_str model,
                         struct mt_buf *out);
    void (*forward_path)(const struct mt_chat_peek *peek, struct mt_str model,
                         struct mt_buf *path);
    /** Look at a frame of the answer stream that passes by. HIDE: the client did not ask for
     * it. */
    enum mt_meter_verdict (*meter_frame)(struct mt_chat_meter *meter,
                                         const struct mt_frame *frame, bool client_wants_usage,
                                         struct mt_chat_scratch *scratch);
    /** Read usage from a whole answer. */
    void (*meter_answer)(struct mt_chat_meter *meter, const struct mt_json *body);
};

const struct mt_chat_codec *mt_chat_codec(enum mt_dialect dialect);

/* One definition per file. */
extern const struct mt_chat_codec mt_codec_openai_chat, mt_codec_openai_completions,
    mt_codec_openai_responses, mt_codec_anthropic, mt_codec_gemini, mt_codec_ollama_chat,
    mt_codec_ollama_generate;

/* Embeddings, where a dialect has them. */
struct mt_embed_codec {
    enum mt_dialect dialect;
    mt_rc (*decode_request)(const struct mt_json *body, const struct mt_chat_route *route,
                            struct mt_embed_request *out, struct mt_err *err);
    void (*encode_answer)(const struct mt_embed_request *request,
                          const struct mt_embed_answer *answer, struct mt_str model,
                          struct mt_buf *out);
    mt_rc (*encode_request)(const struct mt_embed_request *request, struct mt_str model,
                            struct mt_buf *body, struct mt_buf *path,
                            struct mt_chat_notes *notes, struct mt_err *err);
    /** Vectors go to the arena; base64 floats are understood. */
    mt_rc (*decode_answer)(const struct mt_json *body, struct mt_arena *arena,
                           struct mt_embed_answer *out, struct mt_err *err);
};
extern const struct mt_embed_codec mt_embed_openai, mt_embed_gemini, mt_embed_ollama,
    mt_embed_ollama_legacy; /* /api/embeddings: one prompt, "embedding" */

#endif
