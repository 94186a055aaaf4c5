/* SPDX-License-Identifier: Apache-2.0 */
/* mock.h - what the files of the mock provider share. One thread, so plain globals.
 *
 *   mock_settings.c  what it was told, at the start or through /control
 *   mock_conn.c      connections: bytes out, the two queues of those that wait, their end
 *   mock_chat.c      what a request wants and how it is answered
 *   mock_upstream.c  routes, counters, the loop
 *
 * Invariant: a connection is freed only by mock_doomed_free(), after a batch of epoll events,
 * never while another connection's event is handled. */
#ifndef BENCH_MOCK_H
#define BENCH_MOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "answers.h"
#include "http1.h"
#include "text.h"

enum { MOCK_ABORT_LOG_MAX = 4096, MOCK_NO_CUT = -1 };

enum mock_fault { FAULT_NONE, FAULT_429, FAULT_500, FAULT_RESET, FAULT_HANG };
enum { FAULT_COUNT = FAULT_HANG + 1 };

enum mock_phase {
    PHASE_READ,   /* waiting for a request or reading one */
    PHASE_DELAY,  /* request read, answer due after the latency */
    PHASE_STREAM, /* next token due after the gap */
    PHASE_HANG,   /* never answers */
    PHASE_FLUSH,  /* answer decided, the socket has not taken all of it */
};

struct mock_conn {
    int fd;
    enum mock_phase phase;
    bool is_doomed; /* free at the end of the batch */
    bool is_queued;
    unsigned watched;
    struct mock_conn *prev; /* in a queue, or the chain of the doomed */
    struct mock_conn *next;
    int64_t due_us;
    int64_t began_us; /* request read */
    int cut_id;
    bool wants_stream;
    enum mock_fault fault;
    int token_next;
    struct stream_opts opts;
    struct text unsent;
    size_t unsent_at;
    struct http1 in;
};

struct mock_stats {
    uint64_t requests, streams, finished, aborts, resets, faults, bad, body_bytes;
    int64_t last_abort_us;
    int64_t last_abort_after_us; /* since that request was read */
    struct {
        int id;
        int64_t at_us;
    } abort_log[MOCK_ABORT_LOG_MAX];
};

struct mock_settings {
    int port, latency_ms, tokens, gap_ms, fault, fault_every;
};

extern struct mock_settings mock_set;
extern const char *const mock_fault_name[FAULT_COUNT];
extern struct mock_stats mock_stats;
extern int mock_epoll_fd;
extern int mock_timer_fd;
extern int mock_open_n; /* connections */
extern int mock_busy_n; /* of these, with an answer not yet whole */

/** Monotonic time. */
int64_t mock_now_us(void);

/** Take the command line. @return false after saying what is wrong */
bool mock_settings_read(int argc, char **argv);

/** Set one by name, as /control does. @return false if name or value is not allowed */
bool mock_setting_apply(const char *name, const char *text);

/** Take what waits on the listening socket. */
void mock_conn_accept(int listen_fd);

/** Mark for mock_doomed_free(). Harmless when done twice. */
void mock_conn_doom(struct mock_conn *c);
void mock_doomed_free(void);

/** Wait for these epoll events only. */
void mock_conn_watch(struct mock_conn *c, unsigned events);

/** The reader left before the answer was whole: count and doom. */
void mock_conn_aborted(struct mock_conn *c);

/** End with a TCP reset. */
void mock_conn_reset(struct mock_conn *c);

/** Send, keeping what the socket does not take. @return false if the connection is lost */
bool mock_conn_send(struct mock_conn *c, const char *at, size_t len);

/** Send the last bytes of an answer; then the connection takes its next request. */
void mock_conn_finish(struct mock_conn *c, const char *at, size_t len);

/** The socket takes bytes again. */
void mock_conn_flush(struct mock_conn *c);

/** Wait in the queue of the connection's phase (DELAY or STREAM) until then. */
void mock_queue_add(struct mock_conn *c, int64_t due_us);

/** Leave the queue, if in one. */
void mock_queue_remove(struct mock_conn *c);

/** First in the queue of this phase if due by now, else NULL. */
struct mock_conn *mock_queue_due(enum mock_phase phase, int64_t now_us);

/** Set the timer to the first due time of both queues. */
void mock_timer_arm(void);

/** The timer rang. */
void mock_timer_rang(void);

/** Make the zero-gap answers anew after a change of settings. */
void mock_chat_prepare(void);

/** Answer a chat request that has been read whole. */
enum mock_framing { WHOLE_UNLESS_ASKED, STREAM_UNLESS_REFUSED, WHOLE, STREAM };
void mock_chat_run(struct mock_conn *c, enum dialect dialect, enum mock_framing framing);

/** Go on with every connection whose time has come. */
void mock_chat_due(void);

/** Answer with a status and a JSON body. */
void mock_reply_json(struct mock_conn *c, const char *status, const char *extra,
                     const char *body);

#endif
