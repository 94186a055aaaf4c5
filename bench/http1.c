/* SPDX-License-Identifier: Apache-2.0 */
/* http1.c - see http1.h. Bounded: head, body and chunk lines each have a maximum. */
#include "http1.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

static bool body_append(struct http1 *m, const char *at, size_t len)
{
    if (len > HTTP1_BODY_BYTES_MAX - m->body_len)
        return false;
    if (m->body_len + len > m->body_cap) {
        size_t cap = m->body_cap != 0 ? m->body_cap : 4096;
        while (cap < m->body_len + len)
            cap *= 2;
        char *grown = realloc(m->body, cap);
        if (grown == NULL)
            return false;
        m->body = grown;
        m->body_cap = cap;
    }
    memcpy(m->body + m->body_len, at, len);
    m->body_len += len;
    return true;
}

/* True when the header line (without its line end) has this name; moves to the value. */
static bool is_header(const char **line, const char *end, const char *name)
{
    size_t len = strlen(name);

    if ((size_t)(end - *line) <= len || (*line)[len] != ':' ||
        strncasecmp(*line, name, len) != 0)
        return false;
    *line += len + 1;
    while (*line < end && **line == ' ')
        (*line)++;
    return true;
}

static bool value_has(const char *at, const char *end, const char *word)
{
    size_t len = strlen(word);

    for (; (size_t)(end - at) >= len; at++) {
        if (strncasecmp(at, word, len) == 0)
            return true;
    }
    return false;
}

/* @return false when the digits are missing or the number is absurd */
static bool number_read(const char *at, const char *end, unsigned base, uint64_t *out)
{
    uint64_t value = 0;
    const char *p = at;

    for (; p < end; p++) {
        unsigned c = (unsigned char)*p;
        unsigned digit = c - '0' < 10u          ? c - '0'
                         : (c | 32u) - 'a' < 6u ? (c | 32u) - 'a' + 10
                                                : 99;
        if (digit >= base)
            break;
        value = value * base + digit;
        if (value > UINT32_MAX)
            return false;
    }
    *out = value;
    return p > at;
}

struct framing {
    bool is_chunked;
    bool has_length;
    uint64_t length_bytes;
};

static bool header_apply(struct http1 *m, struct framing *f, const char *at, const char *end)
{
    switch (*at | 32) {
    case 'c':
        if (is_header(&at, end, "content-length")) {
            f->has_length = true;
            return number_read(at, end, 10, &f->length_bytes);
        }
        if (is_header(&at, end, "connection"))
            m->wants_close = value_has(at, end, "close");
        return true;
    case 't':
        if (is_header(&at, end, "transfer-encoding"))
            f->is_chunked = value_has(at, end, "chunked");
        return true;
    case 'e':
        if (is_header(&at, end, "expect"))
            m->wants_continue = value_has(at, end, "100-continue");
        return true;
    }
    return true;
}

static enum http1_state body_state(struct http1 *m, const struct framing *f)
{
    bool is_answer = m->status != 0;

    if (is_answer && (m->status == 204 || m->status == 304))
        return HTTP1_DONE;
    if (f->is_chunked)
        return HTTP1_CHUNK_SIZE;
    if (f->has_length) {
        m->left = f->length_bytes;
        return m->left == 0                     ? HTTP1_DONE
               : m->left > HTTP1_BODY_BYTES_MAX ? HTTP1_TOO_BIG
                                                : HTTP1_SIZED;
    }
    return is_answer ? HTTP1_UNTIL_EOF : HTTP1_DONE;
}

static void head_parse(struct http1 *m)
{
    const char *end = m->head + m->head_len;
    const char *line = m->head;
    struct framing f = {0};

    if (m->head_len > 12 && memcmp(line, "HTTP/1.", 7) == 0)
        m->status = atoi(line + 9);
    for (;;) {
        const char *eol = memchr(line, '\n', (size_t)(end - line));
        line = eol + 1;
        if (line >= end || *line == '\r' || *line == '\n')
            break;
        eol = memchr(line, '\n', (size_t)(end - line));
        if (!header_apply(m, &f, line, eol)) {
            m->state = HTTP1_BAD;
            return;
        }
    }
    if (m->status / 100 == 1) { /* interim answer: the real one follows */
        http1_reset(m);
        return;
    }
    m->state = body_state(m, &f);
}

static size_t feed_head(struct http1 *m, const char *at, size_t len)
{
    size_t before = m->head_len;
    size_t room = sizeof m->head - before;
    size_t take = len < room ? len : room;

    memcpy(m->head + before, at, take);
    size_t from = before > 3 ? before - 3 : 0;
    const char *blank = memmem(m->head + from, before + take - from, "\r\n\r\n", 4);
    if (blank == NULL) {
        m->head_len += take;
        if (take < len || m->head_len == sizeof m->head)
            m->state = HTTP1_TOO_BIG;
        return take;
    }
    m->head_len = (size_t)(blank - m->head) + 4;
    take = m->head_len - before;
    head_parse(m);
    return take;
}

static size_t feed_data(struct http1 *m, const char *at, size_t len, enum http1_state next)
{
    size_t take = len < m->left ? len : (size_t)m->left;

    if (!body_append(m, at, take)) {
        m->state = HTTP1_TOO_BIG;
        return take;
    }
    m->left -= take;
    if (m->left == 0)
        m->state = next;
    return take;
}

static void line_end(struct http1 *m)
{
    switch (m->state) {
    case HTTP1_CHUNK_SIZE:
        if (!number_read(m->line, m->line + m->line_len, 16, &m->left))
            m->state = HTTP1_BAD;
        else
            m->state = m->left == 0 ? HTTP1_TRAILER : HTTP1_CHUNK_DATA;
        break;
    case HTTP1_CHUNK_END:
        m->state = m->line_len == 0 ? HTTP1_CHUNK_SIZE : HTTP1_BAD;
        break;
    case HTTP1_TRAILER:
        if (m->line_len == 0)
            m->state = HTTP1_DONE;
        break;
    case HTTP1_HEAD:
    case HTTP1_SIZED:
    case HTTP1_CHUNK_DATA:
    case HTTP1_UNTIL_EOF:
    case HTTP1_DONE:
    case HTTP1_TOO_BIG:
    case HTTP1_BAD:
        break;
    }
    m->line_len = 0;
}

/* Chunk sizes and trailers: the first bytes of a line are kept, the rest only skipped. */
static size_t feed_line(struct http1 *m, const char *at, size_t len)
{
    const char *eol = memchr(at, '\n', len);
    size_t take = eol != NULL ? (size_t)(eol - at) + 1 : len;
    size_t text = eol != NULL ? take - 1 : take;

    for (size_t i = 0; i < text && m->line_len < sizeof m->line; i++) {
        if (at[i] != '\r')
            m->line[m->line_len++] = at[i];
    }
    if (eol != NULL)
        line_end(m);
    return take;
}

static size_t feed_some(struct http1 *m, const char *at, size_t len)
{
    switch (m->state) {
    case HTTP1_HEAD:
        return feed_head(m, at, len);
    case HTTP1_SIZED:
        return feed_data(m, at, len, HTTP1_DONE);
    case HTTP1_CHUNK_DATA:
        return feed_data(m, at, len, HTTP1_CHUNK_END);
    case HTTP1_CHUNK_SIZE:
    case HTTP1_CHUNK_END:
    case HTTP1_TRAILER:
        return feed_line(m, at, len);
    case HTTP1_UNTIL_EOF:
        if (!body_append(m, at, len))
            m->state = HTTP1_TOO_BIG;
        return len;
    case HTTP1_DONE:
    case HTTP1_TOO_BIG:
    case HTTP1_BAD:
        break;
    }
    return 0;
}

void http1_reset(struct http1 *m)
{
    m->state = HTTP1_HEAD;
    m->status = 0;
    m->wants_continue = false;
    m->wants_close = false;
    m->head_len = 0;
    m->left = 0;
    m->line_len = 0;
    m->body_len = 0;
}

void http1_fini(struct http1 *m)
{
    free(m->body);
    m->body = NULL;
    m->body_cap = 0;
    http1_reset(m);
}

size_t http1_feed(struct http1 *m, const char *at, size_t len)
{
    size_t taken = 0;

    while (taken < len && m->state < HTTP1_DONE)
        taken += feed_some(m, at + taken, len - taken);
    return taken;
}

bool http1_eof(struct http1 *m)
{
    if (m->state == HTTP1_UNTIL_EOF)
        m->state = HTTP1_DONE;
    return m->state == HTTP1_DONE;
}

bool http1_in_body(const struct http1 *m)
{
    return m->state > HTTP1_HEAD && m->state < HTTP1_DONE;
}
