/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the gateway share: the gateway itself, an exchange with a client (session),
 * and one question to models (ask) with its legs.
 *
 * session: one HTTP exchange, from on_headers to on_closed. One that asks models for work
 * (session_count) ends in exactly one row of the ledger.
 * ask: what a session does when it wants an answer from models: plan, attempts, answer.
 * leg: one attempt of an ask at one target; an ask has two at most (hedging). */
#ifndef MT_GATEWAY_PRIV_H
#define MT_GATEWAY_PRIV_H

#include "base/alloc.h"
#include "base/assert.h"
#include "base/buf.h"
#include "bill.h"
#include "board.h"
#include "cache.h"
#include "chat/codec.h"
#include "chat/collect.h"
#include "crypto/id.h"
#include "gateway/gateway.h"
#include "metrics.h"
#include "net/http_server.h"
#include "net/loop.h"
#include "route/attempt.h"
#include "store.h"
#include "system/env.h"
#include "system/log.h"
#include "wire/json_writer.h"

struct session;
struct ask;

enum access { ACCESS_PUBLIC, ACCESS_USER, ACCESS_ADMIN };

typedef void handler_fn(struct session *s);

/* One line of the API. path: '*' takes the rest, and is handed over as the session's tail. */
struct route {
    const char *method;
    const char *path;
    enum access need;
    enum mt_dialect dialect; /* whose errors and answers */
    handler_fn *run;
    const char *help;
};

struct mt_gateway {
    struct mt_gateway_deps deps;
    struct board *board;
    struct mt_http_server *server;
    struct mt_id_gen ids;
    struct mt_chat_scratch scratch; /* the codecs', for engines */
    struct mt_arena scratch_arena;
    struct mt_json_doc *doc; /* for bodies of requests and whole answers */
    struct mt_buf out;       /* bytes about to be sent */
    struct cache *cache;
    struct store *store; /* NULL: Responses are not stored */
    struct metrics metrics;
    uint64_t synced_seq;      /* of the ledger, on disk */
    struct session *sessions; /* in flight */
    size_t sessions_n;
    size_t begun_n; /* of them, those whose request has come whole: what a drain waits for */
    struct mt_timer *tick; /* pings, while something streams */
    bool is_ticking;
    struct mt_timer *trim;        /* gives memory back some time after large bodies */
    size_t freed_bytes;           /* of bodies, since the last trim */
    size_t freed_lately;          /* the same, since the timer was started */
    const struct ask *parsed_for; /* whose body doc holds; NULL = nobody's */
    const struct mt_json *parsed_root;
    bool is_closing;
    struct mt_timer *drain_timer;
    bool is_interrupting; /* the time to drain is over, last words are going out */
    void (*drain_done)(void *ctx);
    void *drain_ctx;
};

struct session {
    struct mt_gateway *gw;
    struct mt_http_exchange *x; /* NULL once closed */
    struct session *prev, *next;
    const struct route *route;
    struct board *board; /* referenced */
    const struct board_key *key;
    struct mt_arena arena;
    struct mt_buf body;
    struct mt_str tail; /* what '*' of the route took */
    struct mt_id receipt;
    struct mt_str request_id;
    struct bill bill;
    struct ask *ask;          /* in the arena; NULL for other handlers */
    struct store_job *lookup; /* a stored response is being fetched */
    int64_t began_ns;
    int64_t first_byte_ns;
    int64_t last_sent_ms;
    uint64_t settled_seq; /* of the ledger */
    struct mt_buf held;   /* strict mode: the answer, until its row is on disk */
    const char *held_type;
    bool is_held;
    bool is_begun;    /* the request has come whole */
    bool is_counted;  /* ends in a row of the ledger */
    bool is_answered; /* mt_http_answer or mt_http_begin was called */
    bool is_streaming;
    bool is_paused;
    bool is_gone;
};

struct leg {
    struct ask *ask;
    struct mt_engine_run *run; /* NULL: not running */
    size_t target;
    enum mt_lane lane;
    int64_t began_ns;
    int64_t input_tokens;  /* as its engine says before there is an answer; 0 = did not */
    struct mt_usage usage; /* the same */
    bool has_usage;
    bool is_in_use;
};

enum { ASK_LEGS = 2 };

struct ask {
    struct session *s;
    struct mt_str body;
    const struct mt_chat_codec *codec; /* the client's */
    struct mt_chat_route url;
    struct mt_chat_peek peek;
    struct mt_chat_request *request; /* decoded when a leg needs it, NULL until then */
    struct mt_route_plan plan;
    const struct mt_config_model *policy_of; /* or NULL */
    struct mt_attempt_policy policy;
    struct mt_str max_latency, max_cost; /* the motet object of the body */
    int64_t cost_max_usd_nano;           /* the caller's own limit; 0 = none */
    struct mt_attempt attempt;
    struct mt_timer *retry; /* waiting for the next attempt, or for the hedge */
    bool is_hedge_armed;
    struct leg legs[ASK_LEGS];
    struct leg *winner; /* the leg whose answer goes to the client */
    struct mt_chat_notes notes;
    struct mt_str caller_headers;
    struct mt_buf forward_body; /* FORWARD lane: what is sent */
    struct mt_buf forward_path;
    struct mt_buf whole; /* FORWARD lane: a whole answer */
    struct mt_str content_type;
    bool is_forward_stream;
    int64_t frames_n; /* FORWARD lane: passed on */
    struct mt_chat_meter meter;
    struct mt_chat_reply reply;
    void *encoder;
    struct mt_collector *collector; /* whole answers; also of streams that are kept */
    struct mt_buf tape;             /* events to cache */
    bool is_taping;
    struct mt_digest cache_key;
    bool has_cache_key;
    struct mt_usage usage; /* as the engine says */
    bool has_usage;
    int64_t own_tokens;  /* output tokens as we count them */
    int64_t text_bytes;  /* of output */
    struct mt_buf said;  /* text so far, for a stream that may have to continue elsewhere */
    bool is_continued;   /* the request's last message is what was said before a failure */
    bool is_answering;   /* a part of the answer has been sent to the client */
    bool is_beyond_text; /* ... and not of plain text alone: nobody can go on from there */
    bool is_over;
    struct mt_chat_error last_error; /* slices in the session's arena */
    bool is_limit;                   /* ... and it is a limit of ours */
    bool is_stored;                  /* Responses: keep it */
    bool is_from_cache;
    bool was_cut; /* by a budget */
};

/* session.c */
#define SESSION_LOST "the files of this node's accounts were deleted: it has to be started anew"
void session_answer_json(struct session *s, int status, const struct mt_buf *body);
void session_fail(struct session *s, const struct mt_chat_error *error);
void session_fail_rc(struct session *s, const struct mt_err *err);

/* Parse a body of the client; a failure says that it is the body's. */
mt_rc session_json(struct session *s, struct mt_str body, const struct mt_json **out,
                   struct mt_err *err);
void session_common_headers(struct session *s);
/** The work is settled: answer whole, or end the stream with its last bytes; at once, or in
 * strict mode when the row is on disk. *body is taken. */
void session_conclude(struct session *s, const char *content_type, struct mt_buf *body);
/** From now on the exchange ends in a row of the ledger. kind: "chat", "embeddings". */
void session_count(struct session *s, const char *kind);

extern const struct mt_http_server_ops session_server_ops;

/* gateway.c */
void gateway_tick(struct mt_gateway *gw);
/** Parse with the gateway's document; what it held before is gone. */
mt_rc gateway_parse(struct mt_gateway *gw, struct mt_str text, const struct mt_json **root,
                    struct mt_err *err);
/** A body of so many bytes has been freed. */
void gateway_freed(struct mt_gateway *gw, size_t bytes);
/* something streams: watch for silence */

/* ask.c: from the body to the first attempt, and the end */
struct ask *ask_new(struct session *s);
void ask_run(struct ask *ask, struct mt_str body);
void ask_resume(struct ask *ask);
void ask_client_gone(struct ask *ask);
void ask_free(struct ask *ask);
void ask_finish(struct ask *ask, enum mt_outcome outcome, int status);
void ask_fail(struct ask *ask, const struct mt_chat_error *error);
void ask_fail_rc(struct ask *ask, const struct mt_err *err);
void ask_interrupt(struct ask *ask); /* the node is ending */
/** The body as JSON; borrowed, until anything else is parsed. */
mt_rc ask_root(struct ask *ask, const struct mt_json **root, struct mt_err *err);
mt_rc ask_decode(struct ask *ask, struct mt_err *err);

/** Who may answer, under which policy: after peek.model is known. */
mt_rc ask_plan(struct ask *ask, struct mt_err *err);

/* attempts.c */
struct mt_engine *ask_engine(const struct ask *ask, size_t target);
enum mt_lane ask_lane_for(const struct ask *ask, size_t target);
void ask_begin_attempt(struct ask *ask, size_t target);
void ask_leg_failed(struct leg *leg, const struct mt_engine_end *end);
void ask_leg_ok(struct leg *leg);
void ask_leg_drop(struct leg *leg); /* its run is gone already */
struct leg *ask_leg_take(struct ask *ask, size_t target);
/** May the target be asked now? If not, last_error says why. */
bool ask_may_pass(struct ask *ask, size_t target);
/** Nothing is left to try: the client hears the last error. */
void ask_give_up(struct ask *ask);
/** Time left for the whole request [ms], for an engine; 0 = no limit. */
int64_t ask_left_ms(const struct ask *ask);
/** It failed and no wait is wanted: true when another target can be tried now (attempt.target
 * is it); otherwise the ask has failed. */
bool ask_leg_lost(struct leg *leg, const struct mt_chat_error *error);
void ask_stop_other_legs(struct ask *ask, const struct leg *winner);

/* answer_events.c / answer_forward.c: sinks */
extern const struct mt_engine_sink_ops events_sink;
extern const struct mt_engine_sink_ops forward_sink;
void ask_send_raw(struct ask *ask, struct mt_str bytes);
void ask_send_event(struct ask *ask, const struct mt_chat_event *event);
mt_rc ask_keep(struct ask *ask, const struct mt_chat_event *event, struct mt_err *err);
mt_rc ask_deliver(struct ask *ask, const struct mt_chat_event *event, struct mt_err *err);
mt_rc ask_begin_stream(struct ask *ask, struct mt_err *err);
void ask_begin_bytes(struct ask *ask, const char *content_type);
void ask_whole_headers(struct ask *ask);
void ask_stream_error(struct ask *ask, const struct mt_chat_error *error);
void ask_end_ok(struct ask *ask);

/* handlers of other files */
void handle_chat(struct session *s);
void handle_embed(struct session *s);
void handle_count(struct session *s);
void handle_gemini_post(struct session *s);
void handle_models(struct session *s);
void handle_model(struct session *s);
void handle_ollama_tags(struct session *s);
void handle_ollama_ps(struct session *s);
void handle_ollama_show(struct session *s);
void handle_ollama_version(struct session *s);
void handle_ollama_root(struct session *s);
void handle_ollama_pull(struct session *s);
void handle_response_get(struct session *s);
void handle_response_delete(struct session *s);
void handle_metrics(struct session *s);
void handle_health(struct session *s);
void handle_status(struct session *s);
void handle_stop(struct session *s);
void handle_reload(struct session *s);

/* embed.c, count.c */
void embed_run(struct session *s, const struct mt_chat_route *url);
typedef mt_rc decode_fn(const struct mt_json *body, const struct mt_chat_route *route,
                        struct mt_chat_request *out, struct mt_err *err);
void count_body(struct session *s, const struct mt_json *root, decode_fn *decode,
                const struct mt_chat_route *url);

/* gemini.c */
const char *ask_stream_content_type(const struct ask *ask);

/* routes.c */
const struct route *route_find(struct mt_str method, struct mt_str path, struct mt_str *tail,
                               bool *path_known);

/** What a known path can be asked with: "GET, HEAD". */
void route_methods(struct mt_str path, struct mt_buf *out);

/* responses.c */
/** A Responses request: run it, after fetching the conversation it continues. */
void responses_run(struct ask *ask);
/** The answer is complete: keep it, if the caller did not say otherwise. */
void responses_keep(struct ask *ask, struct mt_str response_object);

/* catalogue.c: cards of every model this node can name */
mt_rc catalogue(struct session *s, struct mt_model_card **cards, size_t *n, struct mt_err *err);
mt_rc catalogue_one(struct session *s, struct mt_str name, struct mt_model_card *card,
                    struct mt_err *err);

#endif
