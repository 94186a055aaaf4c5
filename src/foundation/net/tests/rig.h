/* SPDX-License-Identifier: Apache-2.0 */
/* A server and a client of ours on one loop, for tests: what the server does is chosen by the
 * request's path, what the client saw is recorded per call. Everything has a deadline. */
#ifndef MT_NET_TESTS_RIG_H
#define MT_NET_TESTS_RIG_H

#include "support/test.h"

#include <pthread.h>

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
    unsigned pauses_seen_n; /* when the reader went on */
    unsigned connections_n; /* as many peers' addresses were seen in a row */
    char last_peer[64];
    long fail_after_n; /* not 0: allocations of the owner's answer fail after n - 1 */
    int64_t gone_at_ns;
    long live_before;
    void (*on_held)(struct rig *rig, struct rig_job *job);
    bool is_late;
    bool is_gone_awaited; /* on_closed after on_gone is one of waits_n */
    bool drains_when_held;
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
    struct mt_timer *timer;
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

/** A client (or, with listens, a server) made of a thread and a socket, for bytes that ours
 *  would never send. It sends, then reads until the peer closes or `until` has come until_n
 *  times; then the rig is told. Counted by rig->waits_n. */
struct rig_raw {
    struct rig *rig;
    const char *send;  /* borrowed, as the rest */
    size_t send_n;     /* 0 = strlen(send) */
    size_t send_times; /* 0 = once */
    unsigned gap_ms;   /* between bytes, when not 0 */
    const char *until;
    unsigned until_n;
    bool half_closes; /* after sending */
    bool listens;     /* wait for a connection and its request, answer, close */
    bool resets;      /* close with a reset instead of reading */
    int delay_close_ms;
    int64_t closed_at_ns;
    uint16_t port; /* of the listening socket */
    char got[128 * 1024];
    size_t got_n;
    bool is_closed; /* the peer closed or reset */
    int fd;
    pthread_t thread;
};
void rig_raw_start(struct rig *rig, struct rig_raw *raw);
void rig_raw_listen(struct rig_raw *raw); /* done by start, if not before */
void rig_raw_join(struct rig_raw *raw);

/** Bytes that differ from place to place. */
void rig_fill(struct mt_buf *buf, size_t n);
bool rig_is_filled(struct mt_str bytes);

#endif
