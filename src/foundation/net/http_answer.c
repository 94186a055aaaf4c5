/* SPDX-License-Identifier: Apache-2.0 */
/* Answers: from the owner's words to a response that MHD can send.
 *
 * An answer given while the body is still coming waits here until the request is complete:
 * MHD would close the connection after an early one. */
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "http_priv.h"

enum { HEAD_BYTES_MAX = 16 * 1024, ERROR_BYTES_MAX = 64 * 1024, OUT_BYTES_MAX = 64 << 20 };

const char *mt_http__reason(int status)
{
    const char *phrase = MHD_get_reason_phrase_for((unsigned)status);

    return phrase == NULL ? "Error" : phrase;
}

void mt_http__x_reset(struct mt_http_exchange *x)
{
    if (x->response != NULL)
        MHD_destroy_response(x->response);
    mt_buf_fini(&x->head);
    mt_buf_fini(&x->out);
    memset(x, 0, sizeof *x);
    x->head.max = HEAD_BYTES_MAX;
    x->out.max = OUT_BYTES_MAX;
}

static bool is_header_name(const char *name)
{
    for (const char *at = name; *at != '\0'; at++)
        if ((unsigned char)*at <= ' ' || *at == ':' || *at == 0x7f)
            return false;
    return *name != '\0';
}

void mt_http_set_header(struct mt_http_exchange *x, const char *name, struct mt_str value)
{
    for (size_t i = 0; i < value.len; i++)
        if (value.at[i] == '\r' || value.at[i] == '\n' || value.at[i] == '\0')
            return;
    if (!is_header_name(name) || x->is_answered)
        return;
    mt_buf_add(&x->head, (struct mt_str){name, strlen(name) + 1});
    mt_buf_add(&x->head, value);
    mt_buf_add_char(&x->head, '\0');
}

/* Move the collected headers into the response. */
static bool add_headers(struct mt_http_exchange *x, struct MHD_Response *response,
                        const char *content_type)
{
    bool is_well = x->head.rc == MT_OK;

    if (content_type != NULL)
        is_well = is_well && MHD_add_response_header(response, "Content-Type", content_type);
    for (size_t at = 0; is_well && at < x->head.len;) {
        const char *name = x->head.at + at;
        const char *value = name + strlen(name) + 1;

        is_well = MHD_add_response_header(response, name, value) == MHD_YES;
        at += (size_t)(value - name) + strlen(value) + 1;
    }
    if (x->response == NULL && mt_http__conn_of(x)->server->is_draining)
        is_well = is_well && MHD_add_response_header(response, "Connection", "close");
    return is_well;
}

/* The exchange has its answer; MHD takes it at the end of the turn or of the request.
 * Without memory for one the connection is cut. */
static void set_answer(struct mt_http_exchange *x, int status, const char *content_type,
                       struct MHD_Response *response)
{
    MT_ASSERT(!x->is_answered && x->step != MT_HTTP_STEP_NONE);
    x->is_answered = true;
    x->status = status;
    if (response == NULL || !add_headers(x, response, content_type)) {
        if (response != NULL)
            MHD_destroy_response(response);
        x->is_dying = true;
    } else {
        x->response = response;
    }
    mt_buf_fini(&x->head);
    mt_http__due(x);
}

bool mt_http__x_queue(struct mt_http_exchange *x)
{
    struct mt_http_conn *conn = mt_http__conn_of(x);
    struct MHD_Response *response = MT_MOVE(x->response);
    enum MHD_Result is_queued;

    if (x->step == MT_HTTP_STEP_REQUEST) /* refused early */
        conn->server->reading_n--;
    x->step = MT_HTTP_STEP_QUEUED;
    if (x->is_stream && x->out.len > 0 && conn->tls == NULL) {
        x->is_corked = true; /* the head travels with the first pieces */
        mt_http__conn_cork(conn, true);
    }
    mt_http__run_soon(conn->server, 2);
    is_queued = MHD_queue_response(conn->mhd, (unsigned)x->status, response);
    MHD_destroy_response(response); /* MHD holds its own reference, or has dropped it */
    return is_queued == MHD_YES;
}

void mt_http_answer(struct mt_http_exchange *x, int status, const char *content_type,
                    struct mt_str body)
{
    if (x->is_answered)
        return;
    union {
        const char *in;
        void *out;
    } at = {body.len > 0 ? body.at : ""}; /* MHD copies, but its parameter is not const */

    set_answer(x, status, content_type,
               MHD_create_response_from_buffer(body.len, at.out, MHD_RESPMEM_MUST_COPY));
}

void mt_http_answer_take(struct mt_http_exchange *x, int status, const char *content_type,
                         struct mt_buf *body)
{
    struct MHD_Response *response;

    if (x->is_answered)
        return;
    if (body->rc != MT_OK || body->len == 0) {
        x->is_dying = body->rc != MT_OK;
        mt_http_answer(x, status, content_type, MT_STR(""));
        mt_buf_fini(body);
        return;
    }
    response = MHD_create_response_from_buffer_with_free_callback(body->len, body->at, mt_free);
    if (response != NULL)
        mt_buf_init(body, body->max); /* the bytes are the response's now */
    else
        mt_buf_fini(body);
    set_answer(x, status, content_type, response);
}

void mt_http_answer_file(struct mt_http_exchange *x, int status, const char *content_type,
                         int fd, uint64_t size_bytes)
{
    struct MHD_Response *response =
        x->is_answered ? NULL : MHD_create_response_from_fd64(size_bytes, fd);

    if (response == NULL)
        (void)close(fd); /* otherwise the response does */
    if (x->is_answered)
        return;
    x->is_file = true;
    mt_http__conn_of(x)->server->files_n++;
    set_answer(x, status, content_type, response);
}

void mt_http_begin(struct mt_http_exchange *x, int status, const char *content_type)
{
    bool is_head = mt_str_is(mt_http_method(x), "HEAD");

    if (x->is_answered)
        return;
    x->is_bodiless = is_head || status == 204 || status == 304;
    if (x->is_bodiless) {
        mt_http_answer(x, status, content_type, MT_STR(""));
        return;
    }
    x->is_stream = true;
    set_answer(
        x, status, content_type,
        MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, 1, mt_http__stream_pull, x, NULL));
}

static void error_page(int status, const char *text, struct mt_buf *body)
{
    mt_buf_addf(body, "%d %s: %s\n", status, mt_http__reason(status), text);
}

void mt_http__error_body(struct mt_http_server *server, struct mt_str path, int status,
                         const char *text, struct mt_buf *body, const char **content_type)
{
    *content_type = "text/plain; charset=utf-8";
    if (server->ops.error_body == NULL)
        error_page(status, text, body);
    else
        server->ops.error_body(server->ctx, path, status, text, body, content_type);
}

void mt_http__x_refuse(struct mt_http_exchange *x, int status, const char *text)
{
    MT_CLEANUP(mt_buf_fini) struct mt_buf body = MT_BUF_INIT(ERROR_BYTES_MAX);
    const char *content_type;

    mt_http__error_body(mt_http__conn_of(x)->server, mt_str_of(x->path), status, text, &body,
                        &content_type);
    mt_http_answer_take(x, status, content_type, &body);
}
