/* SPDX-License-Identifier: Apache-2.0 */
/* engine/engine.h - whoever answers: a model in this process, an HTTP endpoint, later a peer.
 *
 * One vtable. An engine starts runs; a run delivers events to its sink on the loop that started
 * it, never inside start, and ends with exactly one on_end, unless it was cancelled: then
 * nothing is delivered any more. Thread rule: all calls and callbacks happen on the loop's
 * thread. */
#ifndef MT_ENGINE_ENGINE_H
#define MT_ENGINE_ENGINE_H

#include "chat/answer.h"
#include "chat/codec.h"
#include "chat/models.h"
#include "chat/request.h"

struct mt_loop;
struct mt_engine;
struct mt_engine_run; /* one attempt at one request */

enum mt_lane {
    MT_LANE_EVENTS,  /* canonical request in, events out */
    MT_LANE_FORWARD, /* raw body in, raw bytes out; remote engines of the caller's dialect only
                      */
};

struct mt_engine_end {
    bool is_ok;                        /* the answer is complete */
    const struct mt_chat_error *error; /* else what happened; borrowed */
    bool was_sent; /* the engine may have begun work (and may charge for it) */
};

struct mt_engine_sink_ops {
    /** EVENTS: one event; never ERROR (that is on_end). A failure code cancels the run: on_end
     * is not called any more, as if the sink had cancelled. */
    mt_rc (*on_event)(void *ctx, const struct mt_chat_event *event, struct mt_err *err);
    /** FORWARD: the answer's status and headers are there (2xx only; errors come as on_end). */
    void (*on_head)(void *ctx, int status, struct mt_str content_type, bool is_stream);
    /** FORWARD: one whole frame of a stream, or a piece of a whole body. */
    void (*on_frame)(void *ctx, const struct mt_frame *frame);
    void (*on_end)(void *ctx, const struct mt_engine_end *end);
};

struct mt_engine_call {
    enum mt_lane lane;
    const struct mt_chat_request *request; /* EVENTS; borrowed until the run ends */
    struct mt_str model;                   /* the engine's own name for the model; borrowed */
    struct mt_buf *forward_body;           /* FORWARD; taken: it is left empty */
    struct mt_str forward_path;
    bool is_stream; /* a stream is asked for */
    struct mt_str
        caller_headers; /* FORWARD: "name: value\r\n"... to pass on (anthropic-beta) */
    struct mt_str request_id;
    int64_t first_timeout_ms; /* until the first event or head; 0 = the engine's own */
    int64_t idle_timeout_ms;  /* longest silence in the answer; 0 = the engine's own */
    int64_t total_timeout_ms; /* 0 = none */
    struct mt_chat_notes *notes;
    const struct mt_engine_sink_ops *sink;
    void *sink_ctx;
};

struct mt_engine_embed_call {
    const struct mt_embed_request *request;
    struct mt_str model;
    int64_t total_timeout_ms;
    struct mt_chat_notes *notes;
    /** The answer, or NULL with end->error. Exactly once unless cancelled. */
    void (*on_embed)(void *ctx, const struct mt_embed_answer *answer,
                     const struct mt_engine_end *end);
    void *ctx;
};

struct mt_engine_ops {
    const char *kind; /* "local", "remote" */
    /** @return MT_OK, or MT_E_INVALID / MT_E_UNSUPPORTED / MT_E_NOTFOUND / MT_E_BUSY ...: then
     * no callback runs */
    mt_rc (*start)(struct mt_engine *engine, const struct mt_engine_call *call,
                   struct mt_engine_run **out, struct mt_err *err);
    mt_rc (*embed)(struct mt_engine *engine, const struct mt_engine_embed_call *call,
                   struct mt_engine_run **out, struct mt_err *err);
    void (*cancel)(struct mt_engine_run *run); /* the run is gone when this returns */
    void (*pause)(struct mt_engine_run *run);  /* hold events back: the client reads slowly */
    void (*resume)(struct mt_engine_run *run);
    /** Tokens of a request's input as the engine counts them; exact for local models.
     * MT_E_UNSUPPORTED when only an estimate can be had (the gateway estimates then). */
    mt_rc (*count_tokens)(struct mt_engine *engine, const struct mt_chat_request *request,
                          struct mt_str model, int64_t *out, struct mt_err *err);
    /** Fill what the engine knows about a model. Slices live as long as the engine. */
    mt_rc (*describe)(struct mt_engine *engine, struct mt_str model, struct mt_model_card *out,
                      struct mt_err *err);
    void (*close)(struct mt_engine *engine); /* runs in flight are cancelled; frees */
};

/* First member of every engine. */
struct mt_engine {
    const struct mt_engine_ops *ops;
};

/** Input tokens of a request estimated from its text (about 4 bytes each, 3 per message). Never
 * 0. */
int64_t mt_engine_estimate_tokens(const struct mt_chat_request *request);

#endif
