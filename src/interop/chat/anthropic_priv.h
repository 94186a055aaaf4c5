/* SPDX-License-Identifier: Apache-2.0 */
/* anthropic_priv.h - the parts of the Anthropic Messages codec, one file each.
 *
 * Wire rules: blocks of a stream open in order and close before the next opens; counts of usage
 * exclude cached input (the canonical ones include it). @source Anthropic's API reference and
 * the types and accumulator of its official TypeScript client */
#ifndef MT_CHAT_ANTHROPIC_PRIV_H
#define MT_CHAT_ANTHROPIC_PRIV_H

#include "chat_priv.h"

enum {
    MT_ANTHROPIC_MAX_TOKENS = 4096, /* sent upstream when the caller named no limit */
    MT_ANTHROPIC_BUDGET_MIN = 1024, /* least thinking budget the API takes */
    MT_ANTHROPIC_MODEL_MAX = 1024,  /* JSON of a model name [bytes] */
    MT_ANTHROPIC_BLOCKS_MAX = 4096, /* of one answer */
};

/* The four counts as they stand on the wire. */
struct mt_anthropic__usage {
    int64_t input, output, cache_read, cache_write, thinking;
};
/** Overwrite what the object says; absent members stay. */
void mt_anthropic__usage_read(const struct mt_json *usage, struct mt_anthropic__usage *out);
struct mt_usage mt_anthropic__usage_in(const struct mt_anthropic__usage *usage);
/** Write the "usage" member. */
void mt_anthropic__usage_write(struct mt_jw *w, const struct mt_usage *usage);

const char *mt_anthropic__stop_reason(enum mt_finish finish, struct mt_str stop_sequence,
                                      bool has_tools);
enum mt_finish mt_anthropic__finish(const struct mt_json *stop_reason);

int mt_anthropic__error_status(const struct mt_chat_error *error);
void mt_anthropic__encode_error(const struct mt_chat_error *error, struct mt_buf *out);

/* server role */
mt_rc mt_anthropic__decode_request(const struct mt_json *body,
                                   const struct mt_chat_route *route,
                                   struct mt_chat_request *out, struct mt_err *err);
/** Append what one message holds: tool results become messages of their own. */
mt_rc mt_anthropic__read_message(const struct mt_json *message, size_t index,
                                 struct mt_chat_request *out, struct mt_err *err);
/** "system": a string or text blocks; becomes the first message. */
mt_rc mt_anthropic__read_system(const struct mt_json *system, struct mt_chat_request *out,
                                struct mt_err *err);
mt_rc mt_anthropic__encoder_new(const struct mt_chat_reply *reply, struct mt_arena *arena,
                                void **state, struct mt_err *err);
void mt_anthropic__encode_event(void *state, const struct mt_chat_event *event,
                                struct mt_buf *out);
/** id, type, role and model of a message. */
void mt_anthropic__write_head(struct mt_jw *w, const struct mt_chat_reply *reply);
void mt_anthropic__encode_answer(const struct mt_chat_reply *reply,
                                 const struct mt_chat_answer *answer, struct mt_buf *out);

/* upstream role */
mt_rc mt_anthropic__encode_request(const struct mt_chat_request *request, struct mt_str model,
                                   struct mt_buf *body, struct mt_buf *path,
                                   struct mt_chat_notes *notes, struct mt_err *err);

/* Writes "system" and "messages": turns that alternate, user first. */
struct mt_anthropic__turns {
    const struct mt_chat_request *request;
    struct mt_jw *w;
    struct mt_chat_notes *notes;
    enum mt_chat_role role; /* of the open turn; USER or ASSISTANT */
    bool is_open, has_turn, has_dropped_reasoning;
    unsigned calls_n, results_n; /* names for calls that came without */
};
mt_rc mt_anthropic__write_messages(struct mt_anthropic__turns *turns, struct mt_err *err);

mt_rc mt_anthropic__decoder_new(struct mt_arena *arena, void **state, struct mt_err *err);
mt_rc mt_anthropic__decode_frame(void *state, const struct mt_frame *frame,
                                 struct mt_chat_scratch *scratch, mt_chat_emit_fn *emit,
                                 void *ctx, struct mt_err *err);
mt_rc mt_anthropic__decode_end(void *state, mt_chat_emit_fn *emit, void *ctx,
                               struct mt_err *err);
mt_rc mt_anthropic__decode_answer(const struct mt_json *body, struct mt_arena *arena,
                                  mt_chat_emit_fn *emit, void *ctx, struct mt_err *err);

#endif
