/* SPDX-License-Identifier: Apache-2.0 */
/* mock_chat.c - see mock.h. Reads of a request only what changes the answer. */
#include "mock.h"

#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

static struct text whole[DIALECT_COUNT], streamed[DIALECT_COUNT][2];

/* Zero-gap answers are made once per setting, not once per request. */
void mock_chat_prepare(void)
{
    for (int d = 0; d < DIALECT_COUNT; d++) {
        whole[d].len = 0;
        answer_whole((enum dialect)d, mock_set.tokens, &whole[d]);
        for (int usage = 0; usage < 2; usage++) {
            struct stream_opts opts = {(enum dialect)d, mock_set.tokens, usage != 0};
            struct text *out = &streamed[d][usage];
            out->len = 0;
            answer_stream_begin(&opts, out);
            for (int seq = 0; seq < mock_set.tokens; seq++)
                answer_stream_token(&opts, seq, 0, out);
            answer_stream_end(&opts, out);
        }
    }
}

void mock_reply_json(struct mock_conn *c, const char *status, const char *extra,
                     const char *body)
{
    struct text out = {0};

    answer_json(status, extra, body, &out);
    mock_conn_finish(c, out.at, out.len);
    free(out.at);
}

static void stream_step(struct mock_conn *c)
{
    struct text out = {0};
    bool is_last = c->token_next + 1 >= c->opts.tokens_n;

    mock_queue_remove(c);
    if (c->fault == FAULT_RESET && c->token_next >= c->opts.tokens_n / 2) {
        mock_conn_reset(c);
        return;
    }
    if (c->token_next == 0)
        answer_stream_begin(&c->opts, &out);
    int64_t now = mock_now_us();
    if (c->token_next < c->opts.tokens_n)
        answer_stream_token(&c->opts, c->token_next++, now, &out);
    if (is_last) {
        c->phase = PHASE_FLUSH;
        answer_stream_end(&c->opts, &out);
        mock_conn_finish(c, out.at, out.len);
    } else {
        mock_queue_add(c, now + mock_set.gap_ms * 1000LL);
        (void)mock_conn_send(c, out.at, out.len); /* on failure the connection is doomed */
    }
    free(out.at);
}

static void answer_stream(struct mock_conn *c)
{
    c->token_next = 0;
    mock_stats.streams++;
    if (mock_set.gap_ms > 0 || c->fault == FAULT_RESET) {
        if (c->phase == PHASE_READ) {
            mock_busy_n++;
            c->began_us = mock_now_us();
        }
        c->phase = PHASE_STREAM;
        mock_conn_watch(c, EPOLLRDHUP);
        mock_queue_add(c, mock_now_us());
        stream_step(c);
        return;
    }
    const struct text *out = &streamed[c->opts.dialect][c->opts.with_usage];
    mock_conn_finish(c, out->at, out->len);
}

static void answer_now(struct mock_conn *c)
{
    mock_queue_remove(c);
    switch (c->fault) {
    case FAULT_429:
        mock_reply_json(
            c, "429 Too Many Requests", "Retry-After: 1\r\n",
            "{\"error\":{\"message\":\"mock rate limit\",\"type\":\"rate_limit_error\","
            "\"param\":null,\"code\":\"rate_limit_exceeded\"}}");
        return;
    case FAULT_500:
        mock_reply_json(c, "500 Internal Server Error", "",
                        "{\"error\":{\"message\":\"mock failure\",\"type\":\"server_error\","
                        "\"param\":null,\"code\":null}}");
        return;
    case FAULT_RESET:
        if (!c->wants_stream) {
            mock_conn_reset(c);
            return;
        }
        break;
    case FAULT_NONE:
    case FAULT_HANG:
        break;
    }
    if (c->wants_stream)
        answer_stream(c);
    else
        mock_conn_finish(c, whole[c->opts.dialect].at, whole[c->opts.dialect].len);
}

/* What the mock needs to know of a request body. */
struct wish {
    bool wants_stream;
    bool wants_whole; /* "stream": false, said aloud */
    bool wants_usage;
    int cut_id;
};

/* The text after `"key"` and its colon, or NULL. */
static const char *value_of(const char *at, const char *end, const char *key)
{
    size_t len = strlen(key);

    if ((size_t)(end - at) < len + 2 || memcmp(at, key, len) != 0)
        return NULL;
    at += len;
    while (at < end && (*at == ':' || *at == ' '))
        at++;
    return at < end ? at : NULL;
}

/* One pass from quote to quote, so that a long prompt costs no more than a memchr. A prompt
 * that quotes JSON holds \" instead of ", so it is not mistaken for the request's own. */
static struct wish wish_read(const struct http1 *m)
{
    struct wish wish = {.cut_id = MOCK_NO_CUT};
    const char *end = m->body + m->body_len;
    const char *value;

    for (const char *at = m->body; m->body_len > 0; at++) {
        at = memchr(at, '"', (size_t)(end - at));
        if (at == NULL)
            break;
        value = value_of(at, end, "\"stream\"");
        if (value != NULL) {
            wish.wants_stream = *value == 't';
            wish.wants_whole = *value == 'f';
        }
        value = value_of(at, end, "\"include_usage\"");
        if (value != NULL)
            wish.wants_usage = *value == 't';
        if (end - at > 11 && memcmp(at, "\"cut-", 5) == 0)
            wish.cut_id = atoi((char[7]){at[5], at[6], at[7], at[8], at[9], at[10]});
    }
    return wish;
}

static enum mock_fault fault_next(void)
{
    static uint64_t seen;

    if (mock_set.fault == FAULT_NONE || ++seen % (uint64_t)mock_set.fault_every != 0)
        return FAULT_NONE;
    mock_stats.faults++;
    return (enum mock_fault)mock_set.fault;
}

void mock_chat_run(struct mock_conn *c, enum dialect dialect, enum mock_framing framing)
{
    struct wish wish = wish_read(&c->in);

    mock_stats.requests++;
    mock_stats.body_bytes += c->in.body_len;
    c->cut_id = wish.cut_id;
    c->wants_stream = framing == STREAM ||
                      (framing == WHOLE_UNLESS_ASKED && wish.wants_stream) ||
                      (framing == STREAM_UNLESS_REFUSED && !wish.wants_whole);
    c->opts = (struct stream_opts){dialect, mock_set.tokens, wish.wants_usage};
    c->fault = fault_next();
    if (c->fault != FAULT_HANG && mock_set.latency_ms == 0) {
        answer_now(c);
        return;
    }
    mock_busy_n++;
    c->began_us = mock_now_us();
    mock_conn_watch(c, EPOLLRDHUP);
    if (c->fault == FAULT_HANG) {
        c->phase = PHASE_HANG;
        return;
    }
    c->phase = PHASE_DELAY;
    mock_queue_add(c, c->began_us + mock_set.latency_ms * 1000LL);
}

void mock_chat_due(void)
{
    int64_t now = mock_now_us();
    struct mock_conn *c;

    mock_timer_rang();
    while ((c = mock_queue_due(PHASE_DELAY, now)) != NULL)
        answer_now(c);
    while ((c = mock_queue_due(PHASE_STREAM, now)) != NULL)
        stream_step(c);
}
