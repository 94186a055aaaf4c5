/* SPDX-License-Identifier: Apache-2.0 */
/* A whole gateway in one process: scripted upstreams, the gateway over a real ledger, and
 * callers, all on one loop. Tests wait for conditions, and every wait has a deadline. */
#ifndef MT_GATEWAY_TESTS_RIG_H
#define MT_GATEWAY_TESTS_RIG_H

#include "support/test.h"

#include <stdio.h>
#include <string.h>

#include "config/config.h"
#include "gateway_priv.h"
#include "net/http_client.h"

enum { RIG_DEADLINE_MS = 20000, RIG_UPSTREAMS = 4, RIG_ACTS = 8 };

/* What an upstream does with a request. Its dialect follows from the path it is asked at. */
enum up_do {
    UP_WHOLE,   /* an answer of `words` words, whole or as a stream, as asked */
    UP_STATUS,  /* `status` and body */
    UP_SILENT,  /* never answers */
    UP_HALF,    /* begins a stream, `words` words, then nothing */
    UP_BROKEN,  /* ... then the connection breaks */
    UP_CUT,     /* ... then it ends without its end mark */
    UP_ENDLESS, /* words as fast as the reader takes them */
    UP_LATER,   /* UP_WHOLE, or its status, when the test says rig_release() */
};

struct up_act {
    enum up_do what;
    int status;
    unsigned words;
    const char *body;        /* of UP_STATUS and, instead of an own one, of UP_WHOLE */
    const char *type;        /* of its body; NULL = JSON */
    const char *retry_after; /* header */
    bool no_usage;
};

struct upstream {
    struct rig *rig;
    char name[8];                 /* first part of the path: "/a/v1/chat/completions" */
    struct up_act acts[RIG_ACTS]; /* one per request; the last one stays */
    size_t acts_n;
    unsigned asked_n, gone_n, open_n;
    unsigned drained_n, paused_n;
    struct mt_buf last_body;
    char last_headers[2048];
};

struct rig {
    char dir[64];
    struct mt_loop *loop;
    struct mt_http_server *server; /* of all upstreams */
    struct mt_http_client *client; /* the gateway's */
    struct mt_http_client *caller;
    struct mt_ledger *ledger;
    struct mt_gateway *gw;
    struct mt_timer *poll, *deadline;
    struct upstream up[RIG_UPSTREAMS]; /* "a", "b", "c", "d" */
    struct up_job *jobs;
    bool (*is_so)(void *arg);
    void *is_so_arg;
    bool is_late;
    bool syncs; /* mt_gateway_synced is told; set again by rig_sync() */
    uint64_t synced_seq;
    int64_t rows_n; /* expected in the ledger */
    unsigned stops_n, reloads_n, drained_n;
};

struct call {
    struct rig *rig;
    struct mt_http_call *http;
    int status;
    struct mt_buf sent, body;
    unsigned pieces_n;
    bool is_over;
    enum mt_http_end end;
    char receipt[64], route[128], retry[32], should[16], cost[32], warning[256], cache[16];
    char type[64];
};

/** yaml: "@PORT@" is the upstreams' port. */
void rig_up(struct rig *rig, const char *yaml);
struct rig_opts {
    size_t journal_bytes; /* 0 = the ledger's */
    bool has_store;       /* of Responses */
};
void rig_up_with(struct rig *rig, const char *yaml, const struct rig_opts *opts);
/** Checks what must hold at the end of every test, and closes. */
void rig_down(struct rig *rig);
void rig_open_with(struct rig *rig, const char *yaml, const struct mt_config **out);

struct upstream *rig_upstream(struct rig *rig, char name);
void rig_script(struct rig *rig, char name, const struct up_act *acts, size_t n);
#define RIG_SCRIPT(rig, name, ...)                            \
    rig_script((rig), (name), (struct up_act[]){__VA_ARGS__}, \
               sizeof((struct up_act[]){__VA_ARGS__}) / sizeof(struct up_act))
void rig_release(struct rig *rig);

/** Run the loop until is_so(arg). */
void rig_until(struct rig *rig, bool (*is_so)(void *arg), void *arg);
void rig_until_over(struct call *call);
/** Tell the gateway of the syncs that rig->syncs held back, and of all to come. */
void rig_sync(struct rig *rig);
void rig_until_piece(struct call *call);
void rig_until_asked(struct rig *rig, char name, unsigned n);
/** ... nobody is being served any more, neither here nor upstream. */
void rig_until_quiet(struct rig *rig);

/** headers: NULL, or "name: value" lines. */
void rig_send(struct rig *rig, struct call *call, const char *method, const char *path,
              const char *body, const char *headers);
/** POST a small chat of the dialect that the path means. extra: members for the body. */
void rig_chat(struct rig *rig, struct call *call, const char *path, const char *model,
              bool is_stream, const char *extra, const char *headers);
void rig_leave(struct call *call); /* the caller closes its connection */
bool call_has(const struct call *call, const char *text);
unsigned call_count(const struct call *call, const char *text);
void call_fini(struct call *call);

/** The row of an answer's receipt, or the newest one. Texts live until the next question. */
void rig_row(struct rig *rig, const struct call *call, struct mt_ledger_row *out);

#endif
