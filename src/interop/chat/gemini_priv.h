/* SPDX-License-Identifier: Apache-2.0 */
/* chat/gemini_priv.h - the parts of the Gemini codec (generateContent, streamGenerateContent).
 *
 * Streams are "data: " + JSON + a blank line, with no end mark; without ?alt=sse they are one
 * JSON array. Every chunk is a whole answer object that holds what is new. Members may be spelt
 * in camelCase or in snake_case (protobuf's JSON), both are read and the first is written.
 * Pure. */
#ifndef MT_CHAT_GEMINI_PRIV_H
#define MT_CHAT_GEMINI_PRIV_H

#include "chat/gemini.h"
#include "chat_priv.h"
#include "signature.h"

/* Whose signatures stand bare on this wire. Clients decode them as base64, so those of other
 * makers, with their tag, have no place there. */
#define MT_GEMINI_MAKER "gemini"

/* gemini_fields.c */
enum { MT_GEMINI_KEY_MAX = 40 };
/** The spelling of key that the object uses: as it is, or with underscores (written to
 *  snake). */
const char *mt_gemini__spelt(const struct mt_json *object, const char *key,
                             char snake[MT_GEMINI_KEY_MAX]);
/** mt_json_get() in either spelling. */
const struct mt_json *mt_gemini__get(const struct mt_json *object, const char *key);
mt_rc mt_gemini__str(const struct mt_json *object, const char *where, const char *key,
                     struct mt_arena *arena, struct mt_str *out, struct mt_err *err);
/** First item of a list, or the value itself: some clients leave the brackets out where there
 *  is one. MT_E_INVALID when it is neither. */
mt_rc mt_gemini__list(const struct mt_json *value, const char *where, size_t max,
                      const struct mt_json **first, size_t *n, struct mt_err *err);

/* gemini_schema.c: Gemini's subset of OpenAPI -> JSON schema: lower-case types, nullable as a
 * type, numbers that came as strings. Empty out when the arena is full. */
mt_rc mt_gemini__schema(const struct mt_json *schema, struct mt_arena *arena,
                        struct mt_str *out, struct mt_err *err);

/* gemini_contents.c: contents and systemInstruction, read. */
mt_rc mt_gemini__read_contents(const struct mt_json *body, struct mt_chat_request *out,
                               struct mt_err *err);
/** Text of one content, for embeddings: parts joined. */
mt_rc mt_gemini__content_text(const struct mt_json *content, struct mt_arena *arena,
                              struct mt_str *out, struct mt_err *err);

/* gemini_config.c: tools, toolConfig, generationConfig, read. */
mt_rc mt_gemini__read_tools(const struct mt_json *body, struct mt_chat_request *out,
                            struct mt_err *err);
mt_rc mt_gemini__read_config(const struct mt_json *body, struct mt_chat_request *out,
                             struct mt_err *err);

/* gemini_request.c */
mt_rc mt_gemini__decode_request(const struct mt_json *body, const struct mt_chat_route *route,
                                struct mt_chat_request *out, struct mt_err *err);

/* gemini_encode.c: the server's answers. */
mt_rc mt_gemini__encoder_new(const struct mt_chat_reply *reply, struct mt_arena *arena,
                             void **state, struct mt_err *err);
void mt_gemini__encode_event(void *state, const struct mt_chat_event *event,
                             struct mt_buf *out);
/* gemini_answer.c */
void mt_gemini__encode_answer(const struct mt_chat_reply *reply,
                              const struct mt_chat_answer *answer, struct mt_buf *out);
void mt_gemini__write_logprobs(struct mt_jw *w, const struct mt_token_logprob *items, size_t n);
void mt_gemini__write_usage(struct mt_jw *w, const struct mt_usage *usage);
/** modelVersion and responseId. */
void mt_gemini__write_names(struct mt_jw *w, const struct mt_chat_reply *reply);
/** {"functionCall":{...}} as a part. */
void mt_gemini__write_call(struct mt_jw *w, struct mt_str id, struct mt_str name,
                           struct mt_str args, struct mt_str signature);

/* gemini_finish.c: the words of finishReason. */
const char *mt_gemini__finish_name(enum mt_finish finish);
enum mt_finish mt_gemini__finish_of(const struct mt_json *reason, bool has_calls);

/* gemini_error.c */
void mt_gemini__encode_error(const struct mt_chat_error *error, struct mt_buf *out);
int mt_gemini__error_status(const struct mt_chat_error *error);
void mt_gemini__decode_error(int http_status, struct mt_str body,
                             struct mt_chat_scratch *scratch, struct mt_chat_error *out);
/** The same for a value that is parsed. */
void mt_gemini__error_of(int http_status, const struct mt_json *value, struct mt_arena *arena,
                         struct mt_chat_error *out);

/* gemini_upstream.c, gemini_upstream_config.c: the request we send. */
mt_rc mt_gemini__encode_request(const struct mt_chat_request *request, struct mt_str model,
                                struct mt_buf *body, struct mt_buf *path,
                                struct mt_chat_notes *notes, struct mt_err *err);
mt_rc mt_gemini__write_contents(const struct mt_chat_request *request, struct mt_str model,
                                struct mt_jw *w, struct mt_chat_notes *notes,
                                struct mt_err *err);
/** "/v1beta/models/MODEL" with what a path cannot hold percent-encoded. */
void mt_gemini__write_path(struct mt_str model, const char *method, struct mt_buf *path);

/* gemini_decode.c: the answer we get. */
mt_rc mt_gemini__decoder_new(struct mt_arena *arena, void **state, struct mt_err *err);
mt_rc mt_gemini__decode_frame(void *state, const struct mt_frame *frame,
                              struct mt_chat_scratch *scratch, mt_chat_emit_fn *emit, void *ctx,
                              struct mt_err *err);
mt_rc mt_gemini__decode_end(void *state, mt_chat_emit_fn *emit, void *ctx, struct mt_err *err);
mt_rc mt_gemini__decode_answer(const struct mt_json *body, struct mt_arena *arena,
                               mt_chat_emit_fn *emit, void *ctx, struct mt_err *err);
/** False when the object has no usageMetadata. */
bool mt_gemini__read_usage(const struct mt_json *object, struct mt_usage *out);

#endif
