/* SPDX-License-Identifier: Apache-2.0 */
/* chat/answer.h - the universal protocol, answering side: events of a stream, the whole answer
 * they add up to, usage, and errors.
 *
 * Order of events per answer: START, then per choice any mix of deltas, FINISH per choice,
 * USAGE (may also come earlier and again: the last one counts), END. Or ERROR at any point,
 * which ends it. A tool call is TOOL_CALL, TOOL_ARGS..., and ends when the next thing of its
 * choice begins. Tool indices are dense and 0-based per choice. Everything an event points to
 * dies when the call that carries it returns. Pure. */
#ifndef MT_CHAT_ANSWER_H
#define MT_CHAT_ANSWER_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

enum mt_finish {
    MT_FINISH_UNKNOWN,
    MT_FINISH_STOP,   /* end of turn, or a stop sequence (then stop_sequence is set) */
    MT_FINISH_LENGTH, /* max_tokens or the end of the context */
    MT_FINISH_TOOL_CALLS,
    MT_FINISH_FILTER, /* withheld by a content filter */
    MT_FINISH_REFUSAL,
    MT_FINISH_PAUSE,  /* Anthropic pause_turn */
    MT_FINISH_BUDGET, /* motet cut it: a budget was spent; dialects show "length" */
    MT_FINISH_LOADED, /* Ollama: model loaded or unloaded, nothing was asked */
    MT_FINISH_UNLOADED,
};

struct mt_usage {
    int64_t input_tokens;  /* all input, cached included */
    int64_t output_tokens; /* all output, reasoning included */
    int64_t cached_tokens; /* part of input read from a cache */
    int64_t cache_write_tokens;
    int64_t reasoning_tokens;            /* part of output */
    int64_t load_ns, prompt_ns, eval_ns; /* a local engine's times, 0 if unknown */
    bool is_estimate;                    /* counted by us, not said by the engine */
};

struct mt_token_top {
    struct mt_str token;
    float logprob;
};
struct mt_token_logprob {
    struct mt_str token; /* may be part of a UTF-8 sequence */
    float logprob;
    float entropy; /* of the model's distribution before sampling [nats]; < 0 if unknown */
    const struct mt_token_top *top;
    size_t top_n;
};

enum mt_chat_error_kind {
    MT_CHAT_ERR_INVALID,     /* 400 */
    MT_CHAT_ERR_UNSUPPORTED, /* 400: the chosen model or dialect cannot carry a named field */
    MT_CHAT_ERR_CONTEXT,     /* 400: too long for the model's context */
    MT_CHAT_ERR_AUTH,        /* 401 */
    MT_CHAT_ERR_BUDGET,      /* 402: a money or token budget is spent */
    MT_CHAT_ERR_PERMISSION,  /* 403 */
    MT_CHAT_ERR_NOT_FOUND,   /* 404 */
    MT_CHAT_ERR_TOO_LARGE,   /* 413 */
    MT_CHAT_ERR_RATE_LIMIT,  /* 429 */
    MT_CHAT_ERR_CANCELED,    /* 499 */
    MT_CHAT_ERR_INTERNAL,    /* 500 */
    MT_CHAT_ERR_UPSTREAM,    /* 502 */
    MT_CHAT_ERR_OVERLOADED,  /* 503; Anthropic 529 */
    MT_CHAT_ERR_TIMEOUT,     /* 504 */
};
enum { MT_CHAT_ERR_COUNT = MT_CHAT_ERR_TIMEOUT + 1 };

struct mt_chat_error {
    enum mt_chat_error_kind kind;
    int http_status; /* the upstream's status; 0 = the kind's own */
    struct mt_str message;
    struct mt_str code;     /* machine-readable; or empty */
    struct mt_str param;    /* offending field; or empty */
    int64_t retry_after_ms; /* < 0 = unknown; set it to -1 when building one */
    bool is_final;          /* fallbacks are spent: tell the client not to retry */
};

enum mt_event_kind {
    MT_EVENT_START, /* id, model, usage (input tokens known or estimated before the answer) */
    MT_EVENT_TEXT,  /* text, logprobs */
    MT_EVENT_REASONING, /* text; or is_redacted with signature */
    MT_EVENT_SIGNATURE, /* signature of the reasoning that just ended */
    MT_EVENT_REFUSAL,   /* text */
    MT_EVENT_MEDIA,     /* mime, text = base64: an image or audio made by the model */
    MT_EVENT_TOOL_CALL, /* tool, id, name, signature if any */
    MT_EVENT_TOOL_ARGS, /* tool, text = fragment of the JSON arguments */
    MT_EVENT_FINISH,    /* finish, stop_sequence */
    MT_EVENT_USAGE,     /* usage */
    MT_EVENT_END,
    MT_EVENT_ERROR, /* error */
    MT_EVENT_PING,  /* nothing happened for a while: keep the client's connection warm */
};

struct mt_chat_event {
    enum mt_event_kind kind;
    unsigned choice; /* 0-based */
    unsigned tool;   /* 0-based, dense per choice */
    struct mt_str text;
    struct mt_str id;
    struct mt_str name;
    struct mt_str model;
    struct mt_str mime;
    struct mt_str signature;
    struct mt_str stop_sequence;
    bool is_redacted;
    enum mt_finish finish;
    const struct mt_token_logprob *logprobs;
    size_t logprobs_n;
    struct mt_usage usage;
    const struct mt_chat_error *error;
};

/** Receives events. A failure stops whoever emits, and is passed on. */
typedef mt_rc mt_chat_emit_fn(void *ctx, const struct mt_chat_event *event, struct mt_err *err);

/* A whole answer. Owned by the collector that made it (chat/collect.h). */
enum mt_out_kind {
    MT_OUT_TEXT,
    MT_OUT_REASONING,
    MT_OUT_REFUSAL,
    MT_OUT_MEDIA,
    MT_OUT_TOOL_CALL
};

struct mt_out_part { /* in the order they came */
    enum mt_out_kind kind;
    struct mt_str text; /* text, thinking, base64 of media, or the tool call's arguments */
    struct mt_str signature;
    bool is_redacted;
    struct mt_str id;   /* tool call */
    struct mt_str name; /* tool call */
    struct mt_str mime; /* media */
};

struct mt_choice {
    struct mt_out_part *parts;
    size_t parts_n;
    enum mt_finish finish;
    struct mt_str stop_sequence;
    const struct mt_token_logprob *logprobs;
    size_t logprobs_n;
};

struct mt_chat_answer {
    struct mt_str id;    /* the engine's; or empty */
    struct mt_str model; /* as the engine names it; or empty */
    struct mt_choice *choices;
    size_t choices_n;
    struct mt_usage usage;
};

struct mt_embed_answer {
    struct mt_str model;
    const float *values; /* n x dims, row by row */
    size_t n, dims;
    struct mt_usage usage;
};

/** HTTP status and default machine code of a kind ("rate_limit_exceeded", ...). */
int mt_chat_error_status(enum mt_chat_error_kind kind);
const char *mt_chat_error_code(enum mt_chat_error_kind kind);

/** Kind for one of our own failures. */
enum mt_chat_error_kind mt_chat_error_kind_of(mt_rc rc);

/** Kind for the status an upstream answered with. */
enum mt_chat_error_kind mt_chat_error_kind_of_status(int http_status);

#endif
