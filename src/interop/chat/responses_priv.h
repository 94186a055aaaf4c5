/* SPDX-License-Identifier: Apache-2.0 */
/* responses_priv.h - the parts of the OpenAI Responses codec, one file each.
 *
 * Wire rules: every stream event has its type as SSE name and a sequence number that grows by
 * one; response.created is first; items are added in the order of their output_index and are
 * told again, whole, when they are done and when the response is. @source OpenAI's API
 * reference and the types and accumulator of its official Node client */
#ifndef MT_CHAT_RESPONSES_PRIV_H
#define MT_CHAT_RESPONSES_PRIV_H

#include "chat_priv.h"
#include "whole.h"

enum { MT_RESPONSES_ITEMS_MAX = 4096 /* of one answer */ };

/* --- responses_logprobs.c --- */
void mt_responses__write_logprobs(struct mt_jw *w, const struct mt_token_logprob *tokens,
                                  size_t n);
/** An array of {token, logprob, top_logprobs}; what is malformed counts as absent. */
void mt_responses__read_logprobs(const struct mt_json *array, struct mt_arena *arena,
                                 const struct mt_token_logprob **out, size_t *n);

/* --- responses_read.c, responses_read_items.c: server role --- */
mt_rc mt_responses__decode_request(const struct mt_json *body,
                                   const struct mt_chat_route *route,
                                   struct mt_chat_request *out, struct mt_err *err);
/** "instructions" as the first message. */
mt_rc mt_responses__read_instructions(struct mt_str text, struct mt_chat_request *out,
                                      struct mt_err *err);
mt_rc mt_responses__read_input(const struct mt_json *input, struct mt_chat_request *out,
                               struct mt_err *err);

/* --- responses_object.c: the response object of the server role --- */
enum mt_responses__kind {
    MT_RESPONSES_MESSAGE,
    MT_RESPONSES_REASONING,
    MT_RESPONSES_CALL,
    MT_RESPONSES_IMAGE,
};

/* Text that grows in an arena; the whole of it stays in one piece. */
struct mt_responses__text {
    char *at;
    size_t len, cap;
};
bool mt_responses__text_add(struct mt_responses__text *text, struct mt_str more,
                            struct mt_arena *arena);
struct mt_str mt_responses__text_str(const struct mt_responses__text *text);

/* One content part of a message item. */
struct mt_responses__content {
    struct mt_responses__content *next;
    bool is_refusal;
    struct mt_responses__text text;
    struct mt_responses__text logprobs; /* elements of the JSON array, without brackets */
};

struct mt_responses__item {
    struct mt_responses__item *next;
    enum mt_responses__kind kind;
    unsigned index; /* output_index */
    bool is_done, is_incomplete;
    struct mt_responses__content *contents; /* MESSAGE */
    unsigned contents_n;
    struct mt_responses__text text; /* REASONING summary, CALL arguments, IMAGE base64 */
    bool has_summary;               /* REASONING: its part is open or was */
    struct mt_str signature;        /* REASONING, as it goes out */
    unsigned tool;                  /* CALL */
    struct mt_str call_id, name;    /* CALL */
    struct mt_chat__whole whole;    /* CALL */
};

enum mt_responses__view {
    MT_RESPONSES_AS_ADDED, /* empty, in progress */
    MT_RESPONSES_AS_DONE,
};
void mt_responses__write_item_id(struct mt_jw *w, const struct mt_chat_reply *reply,
                                 const struct mt_responses__item *item);
void mt_responses__write_content(struct mt_jw *w, const struct mt_responses__content *content,
                                 enum mt_responses__view view);
void mt_responses__write_item(struct mt_jw *w, const struct mt_chat_reply *reply,
                              const struct mt_responses__item *item,
                              enum mt_responses__view view);

struct mt_responses__outcome {
    const char *status; /* "in_progress", "completed", "incomplete", "failed" */
    const char *reason; /* of incomplete */
    const struct mt_chat_error *error;
    const struct mt_responses__item *items;
    void (*write_output)(void *ctx); /* writes the items instead, when set */
    void *ctx;
    const struct mt_usage *usage; /* NULL: null */
};
void mt_responses__write_response(struct mt_jw *w, const struct mt_chat_reply *reply,
                                  const struct mt_responses__outcome *outcome);
/** Why an answer is incomplete, or NULL when it is not. */
const char *mt_responses__incomplete_reason(enum mt_finish finish);
const char *mt_responses__error_code(const struct mt_chat_error *error);

/* --- responses_stream.c, responses_answer.c --- */
mt_rc mt_responses__encoder_new(const struct mt_chat_reply *reply, struct mt_arena *arena,
                                void **state, struct mt_err *err);
void mt_responses__encode_event(void *state, const struct mt_chat_event *event,
                                struct mt_buf *out);
void mt_responses__encode_answer(const struct mt_chat_reply *reply,
                                 const struct mt_chat_answer *answer, struct mt_buf *out);

/* --- responses_write.c, responses_write_items.c, responses_upstream.c: upstream role --- */
mt_rc mt_responses__encode_request(const struct mt_chat_request *request, struct mt_str model,
                                   struct mt_buf *body, struct mt_buf *path,
                                   struct mt_chat_notes *notes, struct mt_err *err);
/** "instructions" and "input". */
mt_rc mt_responses__write_input(struct mt_jw *w, const struct mt_chat_request *request,
                                struct mt_chat_notes *notes, struct mt_err *err);
mt_rc mt_responses__decoder_new(struct mt_arena *arena, void **state, struct mt_err *err);
mt_rc mt_responses__decode_frame(void *state, const struct mt_frame *frame,
                                 struct mt_chat_scratch *scratch, mt_chat_emit_fn *emit,
                                 void *ctx, struct mt_err *err);
mt_rc mt_responses__decode_end(void *state, mt_chat_emit_fn *emit, void *ctx,
                               struct mt_err *err);
mt_rc mt_responses__decode_answer(const struct mt_json *body, struct mt_arena *arena,
                                  mt_chat_emit_fn *emit, void *ctx, struct mt_err *err);
bool mt_responses__read_usage(const struct mt_json *response, struct mt_usage *out);

#endif
