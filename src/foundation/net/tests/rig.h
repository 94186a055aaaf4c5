/* SPDX-License-Identifier: Apache-2.0 */
/* A server and a client of ours on one loop, for tests: what the server does is chosen by the
 * request's path, what the client saw is recorded per call. Everything has a deadline. */
#ifndef MT_NET_TESTS_RIG_H
#define MT_NET_TESTS_RIG_H

#include "support/test.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "net/http_client.h"
#include "net/http_server.h"

enum { RIG_DEADLINE_MS = 20000, RIG_BODY_MAX = 64 << 20 };

/* What the server's owner keeps per exchange. */
struct rig_job {
    struct rig *rig;
    struct mt_http_exchange *x;
    struct mt_buf body;
    size_t left_n; /* pieces to send */
    size_t piece_size;
    struct rig_job *next; /* in rig.held */
};

struct rig {
    struct mt_loop *loop;
    struct mt_http_server *server;
    struct mt_http_client *client;
    struct mt_timer *deadline;
    struct rig_job *held; /* exchanges of /hold and /open, newest first */
    unsigned waits_n;     /* calls and events that rig_run() waits for */
    unsigned headers_n;
    unsigned gone_n;
    unsigned closed_n;
    unsigned refused_n; /* error bodies written */
    unsigned pauses_n;
    int64_t gone_at_ns;
    void (*on_held)(struct rig *rig, struct rig_job *job);
    bool is_late;
};

struct rig_call {
    struct rig *rig;
    struct mt_http_call *call; /* NULL once ended */
    int status;
    struct mt_buf body;
    unsigned pieces_n;
    unsigned ends_n;
    enum mt_http_end end;
    struct mt_err err;
    char type[64]; /* content type */
    void (*on_head)(struct rig_call *call);
    void (*on_bytes)(struct rig_call *call);
    void (*on_end)(struct rig_call *call);
};

/** opts and client_opts may be NULL. */
void rig_up(struct rig *rig, const struct mt_http_server_opts *opts,
            const struct mt_http_client_opts *client_opts);
void rig_down(struct rig *rig);

/** Run until rig_done() was called as often as rig->waits_n says; the test fails when the
 *  deadline is first. */
void rig_run(struct rig *rig);
void rig_done(struct rig *rig);

/** Start a call; rig->waits_n counts it. body borrowed. */
void rig_call(struct rig *rig, struct rig_call *call, const char *method, const char *path,
              struct mt_str body);
void rig_call_with(struct rig *rig, struct rig_call *call, struct mt_http_request request,
                   const char *path);
void rig_call_fini(struct rig_call *call);

/** Bytes that differ from place to place. */
void rig_fill(struct mt_buf *buf, size_t n);
bool rig_is_filled(struct mt_str bytes);

#endif
