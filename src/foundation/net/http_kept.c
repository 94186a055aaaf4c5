/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes of an answer over HTTP/2 that its owner does not want yet.
 *
 * On a connection of its own a paused call is simply not read, and the server feels it. A
 * paused stream of HTTP/2 would stop libcurl (before 8.0) from reading the connection at all:
 * every other stream on it would stand still, for as long as one client does not read. So such
 * bytes are kept here, in order, until they are wanted; a call over the limit ends. */
#include "base/assert.h"
#include "http_client_priv.h"

enum {
    KEPT_BYTES_MAX = 64 * 1024 * 1024,      /* of one call */
    KEPT_ALL_BYTES_MAX = 256 * 1024 * 1024, /* of all calls of a client */
    PIECE_BYTES = 16 * 1024,
};

size_t mt_http__kept_n(const struct mt_http_call *call)
{
    return call->kept.len - call->kept_at;
}

/* Moving what is left to the front only when half is gone keeps the work linear. */
static void forget(struct mt_http_call *call, size_t n)
{
    MT_ASSERT(n <= mt_http__kept_n(call) && n <= call->client->kept_bytes);
    call->kept_at += n;
    call->client->kept_bytes -= n;
    if (mt_http__kept_n(call) == 0) {
        mt_buf_fini(&call->kept);
        call->kept_at = 0;
    } else if (call->kept_at >= mt_http__kept_n(call)) {
        mt_buf_consume(&call->kept, call->kept_at);
        call->kept_at = 0;
    }
}

void mt_http__kept_drop(struct mt_http_call *call)
{
    forget(call, mt_http__kept_n(call));
}

bool mt_http__kept_add(struct mt_http_call *call, struct mt_str bytes)
{
    struct mt_http_client *client = call->client;

    if (mt_http__kept_n(call) + bytes.len > KEPT_BYTES_MAX ||
        client->kept_bytes + bytes.len > KEPT_ALL_BYTES_MAX)
        return false;
    call->kept.max = 2 * (size_t)KEPT_BYTES_MAX; /* with what is gone already */
    mt_buf_add(&call->kept, bytes);
    if (call->kept.rc != MT_OK)
        return false;
    client->kept_bytes += bytes.len;
    return true;
}

void mt_http__kept_give(struct mt_http_call *call)
{
    struct mt_http_client *client = call->client;

    client->in_curl++; /* as when libcurl gives them: cancelling is noted, not done */
    while (call->state == MT_HTTP_CALL_ACTIVE && !call->is_paused &&
           mt_http__kept_n(call) > 0) {
        struct mt_str bytes =
            mt_str_sub(mt_buf_str(&call->kept), call->kept_at, call->kept_at + PIECE_BYTES);

        call->last_ms = mt_loop_now_ms(client->loop);
        if (call->ops.on_bytes != NULL)
            call->ops.on_bytes(call->ctx, call, bytes);
        forget(call, bytes.len);
    }
    client->in_curl--;
}
