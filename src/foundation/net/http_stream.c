/* SPDX-License-Identifier: Apache-2.0 */
/* Answers in pieces, written to the socket by ourselves (see http_priv.h for why).
 *
 * Pieces are framed when they are given and leave at the end of the turn: those of one turn
 * share one system call and stay chunks of their own. */
#include "base/assert.h"
#include "http_priv.h"

enum { POLLS_MAX = 64, OUT_KEEP_BYTES = 2048 };

void mt_http__park(struct mt_http_exchange *x)
{
    struct mt_http_conn *conn = mt_http__conn_of(x);
    struct mt_http_server *server = conn->server;

    if (x->polls == 0) {
        server->polled_n++;
        x->parked_at_tick = server->tick_n;
    }
    x->polls++;
    if (x->polls < POLLS_MAX && server->tick_n < x->parked_at_tick + 2 &&
        server->files_n ==
            0) /* a file needs runs until MHD says enough: it has to be able to */
        return;
    x->polls = 0;
    server->polled_n--;
    x->is_suspended = true;
    MHD_suspend_connection(conn->mhd);
}

void mt_http__unpark(struct mt_http_exchange *x)
{
    struct mt_http_conn *conn = mt_http__conn_of(x);

    if (x->polls > 0)
        conn->server->polled_n--;
    x->polls = 0;
    if (!x->is_suspended)
        return;
    x->is_suspended = false;
    MHD_resume_connection(conn->mhd);
    mt_http__run_soon(conn->server, 3);
}

ssize_t mt_http__stream_pull(void *ctx, uint64_t at, char *into, size_t max)
{
    struct mt_http_exchange *x = ctx;

    (void)at;
    (void)into;
    (void)max;
    if (x->step == MT_HTTP_STEP_QUEUED) { /* the head is on its way: the socket is ours */
        x->step = MT_HTTP_STEP_STREAM;
        mt_http__conn_watch(mt_http__conn_of(x));
        mt_http__due(x);
    }
    if (x->is_dying)
        return MHD_CONTENT_READER_END_WITH_ERROR;
    if (x->is_finished && x->out.len == 0)
        return MHD_CONTENT_READER_END_OF_STREAM;
    mt_http__park(x);
    return 0;
}

static void tell_drained(struct mt_http_exchange *x)
{
    struct mt_http_server *server = mt_http__conn_of(x)->server;

    if (!x->is_paused || x->is_dying || x->out.len >= MT_HTTP_QUEUE_HIGH / 2)
        return;
    x->is_paused = false;
    if (!x->is_finished && server->ops.on_drained != NULL)
        server->ops.on_drained(server->ctx, x);
}

/* Write what the socket takes. What it leaves is moved to the front once per flush. */
static void write_out(struct mt_http_exchange *x)
{
    struct mt_http_conn *conn = mt_http__conn_of(x);
    /* The final chunk is MHD's and follows at once. */
    int64_t n =
        mt_http__conn_send(conn, mt_buf_str(&x->out),
                           x->is_finished && x->is_chunked ? MT_HTTP_MORE_COMES : MT_HTTP_PUSH);

    if (n < 0) {
        mt_http__gone(x);
        return;
    }
    mt_buf_consume(&x->out, (size_t)n);
    if (x->out.len > 0) {
        x->is_blocked = true;
        mt_http__conn_watch(conn);
    } else if (x->out.cap_ > OUT_KEEP_BYTES) {
        mt_buf_fini(&x->out); /* a quiet stream holds little */
    }
}

void mt_http__stream_flush(struct mt_http_exchange *x)
{
    MT_DEBUG_ASSERT(x->step == MT_HTTP_STEP_STREAM);
    if (x->out.rc != MT_OK)
        x->is_dying = true;
    if (x->out.len > 0 && !x->is_blocked && !x->is_dying)
        write_out(x);
    if (x->is_corked && !(x->is_finished && x->out.len == 0)) { /* then until it is closed */
        x->is_corked = false;
        mt_http__conn_cork(mt_http__conn_of(x), false);
    }
    tell_drained(x);
    if (x->is_dying || (x->is_finished && x->out.len == 0)) {
        mt_http__unpark(x);
        mt_http__run_soon(mt_http__conn_of(x)->server, 2);
    }
}

static void add_chunk_size(struct mt_buf *out, size_t n)
{
    char text[sizeof n * 2 + 2];
    char *at = text + sizeof text;

    *--at = '\n';
    *--at = '\r';
    for (; n > 0; n >>= 4)
        *--at = "0123456789abcdef"[n & 15];
    mt_buf_add(out, (struct mt_str){at, (size_t)(text + sizeof text - at)});
}

enum mt_http_flow mt_http_send(struct mt_http_exchange *x, struct mt_str bytes)
{
    if (!x->is_stream || x->is_finished || x->is_dying || x->is_gone || bytes.len == 0)
        return MT_HTTP_GO_ON;
    if (x->is_chunked)
        add_chunk_size(&x->out, bytes.len);
    mt_buf_add(&x->out, bytes);
    if (x->is_chunked)
        mt_buf_add(&x->out, MT_STR("\r\n"));
    mt_http__due(x);
    if (x->out.len <= MT_HTTP_QUEUE_HIGH)
        return MT_HTTP_GO_ON;
    x->is_paused = true;
    return MT_HTTP_PAUSE;
}

void mt_http_finish(struct mt_http_exchange *x)
{
    if (!x->is_stream || x->is_finished)
        return;
    x->is_finished = true;
    mt_http__due(x);
}

void mt_http_abort(struct mt_http_exchange *x)
{
    x->is_dying = true;
    mt_http__due(x);
}
