/* SPDX-License-Identifier: Apache-2.0 */
/* openai_priv.h - what OpenAI's chat and completions share: the fields of both requests, usage,
 * logprobs, finish reasons, errors, chunks, and the fast lane. */
#ifndef MT_CHAT_OPENAI_PRIV_H
#define MT_CHAT_OPENAI_PRIV_H

#include "chat_priv.h"

/* --- openai_common.c --- */
enum mt_finish mt_openai__finish_of(struct mt_str reason);
const char *mt_openai__finish_name(enum mt_finish finish, bool is_legacy);

/** Usage of any OpenAI-like endpoint, relatives' spellings included; false when there is none.
 */
bool mt_openai__read_usage(const struct mt_json *body, struct mt_usage *out);
void mt_openai__write_usage(struct mt_jw *w, const struct mt_usage *usage);

/* --- openai_logprobs.c --- */
/** choices[].logprobs.content of chat: {token, logprob, bytes, top_logprobs}. Entries of the
 *  wrong shape are MT_E_UPSTREAM. */
mt_rc mt_openai__read_logprobs(const struct mt_json *logprobs, struct mt_arena *arena,
                               const struct mt_token_logprob **out, size_t *n,
                               struct mt_err *err);
void mt_openai__write_logprobs(struct mt_jw *w, const struct mt_token_logprob *tokens,
                               size_t n);

/** The same for completions. offset: characters of the choice so far, moved on. */
mt_rc mt_openai__read_legacy_logprobs(const struct mt_json *logprobs, struct mt_arena *arena,
                                      const struct mt_token_logprob **out, size_t *n,
                                      struct mt_err *err);
void mt_openai__write_legacy_logprobs(struct mt_jw *w, const struct mt_token_logprob *tokens,
                                      size_t n, int64_t *offset);

/* --- openai_common.c --- */
void mt_openai__write_error(const struct mt_chat_error *error, struct mt_buf *out);
int mt_openai__error_status(const struct mt_chat_error *error);
void mt_openai__decode_error(int http_status, struct mt_str body,
                             struct mt_chat_scratch *scratch, struct mt_chat_error *out);

/** Is it an error where an answer or a chunk was due? */
bool mt_openai__is_error(const struct mt_json *body);

/** A string value out of pieces: open, any mt_json_escape or plain ASCII to w->buf, close. */
void mt_openai__open_text(struct mt_jw *w);
void mt_openai__close_text(struct mt_jw *w);
void mt_openai__data_url(struct mt_jw *w, struct mt_str mime, struct mt_str base64);

/** Start of every chunk or answer: {"id":..,"object":..,"created":..,"model":.. */
void mt_openai__write_head(struct mt_jw *w, const struct mt_chat_reply *reply,
                           const char *id_prefix, const char *object);

/** The same for every chunk of a stream, as far as its choices: made once. */
mt_rc mt_openai__chunk_head(const struct mt_chat_reply *reply, const char *id_prefix,
                            const char *object, struct mt_arena *arena, struct mt_str *out,
                            struct mt_err *err);
/** The usage chunk, when usage is not NULL, and the end mark. */
void mt_openai__write_stream_end(struct mt_str head, const struct mt_usage *usage,
                                 struct mt_buf *out);
void mt_openai__write_stream_error(const struct mt_chat_error *error, struct mt_buf *out);

/* --- openai_fields.c: fields that both requests have --- */
#define MT_OPENAI__SHARED_KEYS                                                         \
    "model", "stream", "stream_options", "temperature", "top_p", "min_p", "typical_p", \
        "top_k", "frequency_penalty", "presence_penalty", "repetition_penalty",        \
        "repeat_penalty", "repeat_last_n", "seed", "stop", "logit_bias", "n", "user",  \
        "metadata", "service_tier", "motet"
mt_rc mt_openai__read_shared(const struct mt_json *body, struct mt_chat_request *out,
                             struct mt_err *err);
void mt_openai__write_shared(struct mt_jw *w, const struct mt_chat_request *request,
                             struct mt_str model, struct mt_chat_notes *notes);
bool mt_openai__is_own(const struct mt_chat_request *request); /* read from a sibling dialect */
/** max_tokens; -1, which llama-server's clients send, is "not said". */
mt_rc mt_openai__read_max_tokens(const struct mt_json *body, const char *key, int64_t min,
                                 struct mt_opt_i64 *out, struct mt_err *err);

/* --- openai_lane.c: the fast lane --- */
mt_rc mt_openai__peek(const struct mt_json *body, const struct mt_chat_route *route,
                      struct mt_arena *arena, struct mt_chat_peek *out, struct mt_err *err);
void mt_openai__forward_body(const struct mt_json *body, struct mt_str text,
                             struct mt_str model, struct mt_buf *out);
/** Put dense indices into a frame's tool deltas (openai_indices.c). True when
 *  meter->replacement is to go in the frame's place. */
bool mt_openai__right_indices(struct mt_chat_meter *meter, struct mt_str data,
                              struct mt_chat_scratch *scratch);

enum mt_meter_verdict mt_openai__meter_frame(struct mt_chat_meter *meter,
                                             const struct mt_frame *frame,
                                             bool client_wants_usage,
                                             struct mt_chat_scratch *scratch);
void mt_openai__meter_answer(struct mt_chat_meter *meter, const struct mt_json *body);

/* --- openai_chat_*.c: the parts of one codec --- */
mt_rc mt_openai__decode_chat(const struct mt_json *body, const struct mt_chat_route *route,
                             struct mt_chat_request *out, struct mt_err *err);
mt_rc mt_openai__read_messages(const struct mt_json *body, struct mt_chat_request *out,
                               struct mt_err *err);
mt_rc mt_openai__encode_chat(const struct mt_chat_request *request, struct mt_str model,
                             struct mt_buf *body, struct mt_buf *path,
                             struct mt_chat_notes *notes, struct mt_err *err);

mt_rc mt_openai__encoder_new(const struct mt_chat_reply *reply, struct mt_arena *arena,
                             void **state, struct mt_err *err);
void mt_openai__encode_event(void *state, const struct mt_chat_event *event,
                             struct mt_buf *out);
void mt_openai__encode_answer(const struct mt_chat_reply *reply,
                              const struct mt_chat_answer *answer, struct mt_buf *out);

mt_rc mt_openai__decoder_new(struct mt_arena *arena, void **state, struct mt_err *err);
mt_rc mt_openai__completion_decoder_new(struct mt_arena *arena, void **state,
                                        struct mt_err *err);
mt_rc mt_openai__decode_frame(void *state, const struct mt_frame *frame,
                              struct mt_chat_scratch *scratch, mt_chat_emit_fn *emit, void *ctx,
                              struct mt_err *err);
mt_rc mt_openai__decode_end(void *state, mt_chat_emit_fn *emit, void *ctx, struct mt_err *err);
mt_rc mt_openai__decode_answer(const struct mt_json *body, struct mt_arena *arena,
                               mt_chat_emit_fn *emit, void *ctx, struct mt_err *err);
mt_rc mt_openai__decode_completion(const struct mt_json *body, struct mt_arena *arena,
                                   mt_chat_emit_fn *emit, void *ctx, struct mt_err *err);

#endif
