/* SPDX-License-Identifier: Apache-2.0 */
/* chat/ollama_priv.h - the parts of the Ollama codecs (POST /api/chat and /api/generate).
 *
 * Streams are newline-delimited JSON, one object per line; the last one says "done": true and
 * carries the counts. Asking for no stream gives one object of the same shape. Pure. */
#ifndef MT_CHAT_OLLAMA_PRIV_H
#define MT_CHAT_OLLAMA_PRIV_H

#include "chat_priv.h"

/* ollama_settings.c: what both questions share. */
/** model, stream, format, options, think, keep_alive, logprobs. */
mt_rc mt_ollama__read_settings(const struct mt_json *body, struct mt_chat_request *out,
                               struct mt_err *err);
/** "5m", "-1", 300, 0 -> seconds; -1 = for ever. */
mt_rc mt_ollama__read_keep_alive(const struct mt_json *body, struct mt_opt_i64 *out,
                                 struct mt_err *err);
/** The options object and settings, written. */
void mt_ollama__write_settings(const struct mt_chat_request *request, struct mt_jw *w,
                               struct mt_chat_notes *notes);

/* ollama_request.c: the server's decoders. */
mt_rc mt_ollama__decode_chat(const struct mt_json *body, const struct mt_chat_route *route,
                             struct mt_chat_request *out, struct mt_err *err);
mt_rc mt_ollama__decode_generate(const struct mt_json *body, const struct mt_chat_route *route,
                                 struct mt_chat_request *out, struct mt_err *err);

/* ollama_messages.c: messages and tools, read. */
mt_rc mt_ollama__read_messages(const struct mt_json *list, struct mt_chat_request *out,
                               struct mt_err *err);
mt_rc mt_ollama__read_tools(const struct mt_json *list, struct mt_chat_request *out,
                            struct mt_err *err);
/** Images of a list, as parts behind parts[*n]. */
mt_rc mt_ollama__read_images(const struct mt_json *list, struct mt_arena *arena,
                             struct mt_chat_part *parts, size_t *n, struct mt_err *err);

/* ollama_encode.c: the server's answers. */
mt_rc mt_ollama__encoder_chat(const struct mt_chat_reply *reply, struct mt_arena *arena,
                              void **state, struct mt_err *err);
mt_rc mt_ollama__encoder_generate(const struct mt_chat_reply *reply, struct mt_arena *arena,
                                  void **state, struct mt_err *err);
void mt_ollama__encode_event(void *state, const struct mt_chat_event *event,
                             struct mt_buf *out);
void mt_ollama__answer_chat(const struct mt_chat_reply *reply,
                            const struct mt_chat_answer *answer, struct mt_buf *out);
void mt_ollama__answer_generate(const struct mt_chat_reply *reply,
                                const struct mt_chat_answer *answer, struct mt_buf *out);

/* ollama_upstream.c: the request we send. */
mt_rc mt_ollama__encode_request(const struct mt_chat_request *request, struct mt_str model,
                                struct mt_buf *body, struct mt_buf *path,
                                struct mt_chat_notes *notes, struct mt_err *err);

/* ollama_decode.c: the answer we get. */
mt_rc mt_ollama__decoder_new(struct mt_arena *arena, void **state, struct mt_err *err);
mt_rc mt_ollama__decode_frame(void *state, const struct mt_frame *frame,
                              struct mt_chat_scratch *scratch, mt_chat_emit_fn *emit, void *ctx,
                              struct mt_err *err);
mt_rc mt_ollama__decode_end(void *state, mt_chat_emit_fn *emit, void *ctx, struct mt_err *err);
mt_rc mt_ollama__decode_answer(const struct mt_json *body, struct mt_arena *arena,
                               mt_chat_emit_fn *emit, void *ctx, struct mt_err *err);
/** The counts of a final object. */
void mt_ollama__read_usage(const struct mt_json *object, struct mt_usage *out);

#endif
