/* SPDX-License-Identifier: Apache-2.0 */
/* The life of one attempt over HTTP: sent, head, bytes, end.
 *
 * Invariants: a run in remote->runs is owned by its HTTP call; on_end is told once, and after
 * it (or after a cancel) the run is freed as soon as none of its own callbacks is on the stack.
 */
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "remote_priv.h"
#include "wire/json.h"

struct mt_engine_run *remote__run_new(struct remote *remote)
{
    struct mt_engine_run *run = mt_alloc(1, sizeof *run);

    if (run == NULL)
        return NULL;
    run->remote = remote;
    mt_buf_init(&run->request, REMOTE_REQUEST_MAX);
    mt_buf_init(&run->body, REMOTE_ERROR_BODY_MAX);
    mt_arena_init(&run->arena, REMOTE_DECODER_MAX);
    run->next = remote->runs;
    if (run->next != NULL)
        run->next->prev = run;
    remote->runs = run;
    return run;
}

void remote__run_free(struct mt_engine_run *run)
{
    if (run->prev != NULL)
        run->prev->next = run->next;
    else
        run->remote->runs = run->next;
    if (run->next != NULL)
        run->next->prev = run->prev;
    mt_buf_fini(&run->request);
    mt_buf_fini(&run->body);
    if (run->has_frames)
        mt_frames_fini(&run->frames);
    mt_arena_fini(&run->arena);
    mt_free(run);
}

static void enter(struct mt_engine_run *run)
{
    run->depth++;
}

static void leave(struct mt_engine_run *run)
{
    if (--run->depth == 0 && run->is_dead)
        remote__run_free(run);
}

void remote__cancel(struct mt_engine_run *run)
{
    MT_ASSERT(!run->is_dead);
    run->is_dead = true;
    if (run->call != NULL)
        mt_http_call_cancel(MT_MOVE(run->call));
    if (run->depth == 0)
        remote__run_free(run);
}

void remote__pause(struct mt_engine_run *run)
{
    if (run->call != NULL)
        mt_http_call_pause(run->call);
}

void remote__resume(struct mt_engine_run *run)
{
    if (run->call != NULL)
        mt_http_call_resume(run->call);
}

/* Words of an endpoint without our key, which some repeat when they refuse it. */
static struct mt_str without_key(const struct remote *remote, struct mt_str text,
                                 struct mt_buf *out)
{
    struct mt_str key = mt_secret_view(&remote->auth);
    size_t space = mt_str_find_char(key, ' ');

    if (space < key.len) /* "Bearer KEY" */
        key = mt_str_sub(key, space + 1, key.len);
    size_t at = mt_str_find(text, key);
    if (key.len == 0 || at == text.len)
        return text;
    for (; at < text.len; at = mt_str_find(text, key)) {
        mt_buf_add(out, mt_str_sub(text, 0, at));
        mt_buf_add(out, MT_STR("(key)"));
        text = mt_str_sub(text, at + key.len, text.len);
    }
    mt_buf_add(out, text);
    return out->rc == MT_OK ? mt_buf_str(out) : MT_STR("the endpoint's words held its key");
}

/* Tell the owner it is over; nothing of the run is used afterwards but by leave(). */
static void finish(struct mt_engine_run *run, const struct mt_chat_error *failure,
                   bool was_sent)
{
    MT_CLEANUP(mt_buf_fini) struct mt_buf words = MT_BUF_INIT(2 * REMOTE_ERROR_BODY_MAX);
    MT_CLEANUP(mt_buf_fini) struct mt_buf code = MT_BUF_INIT(2 * REMOTE_ERROR_BODY_MAX);
    struct mt_chat_error copy = {.retry_after_ms = -1};
    const struct mt_chat_error *error = failure != NULL ? &copy : NULL;
    const struct mt_engine_end end = {
        .is_ok = error == NULL, .error = error, .was_sent = was_sent};

    if (run->is_dead)
        return;
    run->is_dead = true;
    if (failure != NULL) {
        copy = *failure;
        copy.message = without_key(run->remote, failure->message, &words);
        copy.code = without_key(run->remote, failure->code, &code);
    }
    if (run->call != NULL)
        mt_http_call_cancel(MT_MOVE(run->call));
    if (run->is_embed)
        remote__embed_done(run, error);
    else
        run->chat.sink->on_end(run->chat.sink_ctx, &end);
}

static void finish_with(struct mt_engine_run *run, enum mt_chat_error_kind kind, bool was_sent,
                        const char *text)
{
    char message[MT_ERR_TEXT_MAX + 128];
    int n = snprintf(message, sizeof message, "endpoint '%s': %s", run->remote->name, text);
    struct mt_chat_error error = {.kind = kind, .retry_after_ms = -1};

    error.message = mt_str_sub((struct mt_str){message, (size_t)n}, 0, sizeof message - 1);
    finish(run, &error, was_sent);
}

/* ------------------------------------------------------------------ the answer's parts */

static mt_rc emit(void *ctx, const struct mt_chat_event *event, struct mt_err *err)
{
    struct mt_engine_run *run = ctx;

    if (run->is_dead)
        return MT_FAIL(err, MT_E_CANCELED, "the run was cancelled");
    if (event->kind == MT_EVENT_ERROR) { /* the stream itself says that it failed */
        finish(run, event->error, true);
        return MT_FAIL(err, MT_E_CANCELED, "the answer failed");
    }
    if (event->kind == MT_EVENT_END)
        run->is_complete = true;
    mt_rc rc = run->chat.sink->on_event(run->chat.sink_ctx, event, err);
    if (rc < 0 && !run->is_dead) { /* as if the sink had cancelled */
        run->is_dead = true;
        if (run->call != NULL) /* a whole answer is decoded when its call has ended */
            mt_http_call_cancel(MT_MOVE(run->call));
    }
    return rc;
}

static mt_rc on_frame(void *ctx, const struct mt_frame *frame, struct mt_err *err)
{
    struct mt_engine_run *run = ctx;
    struct mt_chat_scratch *scratch = run->remote->scratch;

    if (run->is_dead)
        return MT_FAIL(err, MT_E_CANCELED, "the run was cancelled");
    if (run->chat.lane == MT_LANE_FORWARD) {
        run->chat.sink->on_frame(run->chat.sink_ctx, frame);
        return run->is_dead ? MT_FAIL(err, MT_E_CANCELED, "the run was cancelled") : MT_OK;
    }
    mt_arena_clear(scratch->arena);
    return run->remote->codec->decode_frame(run->decoder, frame, scratch, emit, run, err);
}

static enum mt_framing framing_of(struct mt_str content_type)
{
    static const struct {
        struct mt_str prefix;
        enum mt_framing framing;
    } types[] = {
        {MT_STR_INIT("text/event-stream"), MT_FRAMING_SSE},
        {MT_STR_INIT("application/x-ndjson"), MT_FRAMING_NDJSON},
    };
    for (size_t i = 0; i < MT_ARRAY_LEN(types); i++) {
        if (mt_str_ieq(mt_str_sub(content_type, 0, types[i].prefix.len), types[i].prefix))
            return types[i].framing;
    }
    return MT_FRAMING_WHOLE;
}

static void head_ok(struct mt_engine_run *run)
{
    struct mt_str type = mt_http_call_header(run->call, "content-type");
    struct mt_err err = {0};

    run->framing = run->is_embed ? MT_FRAMING_WHOLE : framing_of(type);
    if (run->framing != MT_FRAMING_WHOLE) {
        mt_frames_init(&run->frames, run->framing, REMOTE_FRAME_MAX);
        run->has_frames = true;
    } else {
        run->body.max = run->remote->answer_bytes_max;
    }
    if (!run->is_embed && run->chat.lane == MT_LANE_FORWARD) {
        run->chat.sink->on_head(run->chat.sink_ctx, run->status, type,
                                run->framing != MT_FRAMING_WHOLE);
    } else if (run->has_frames) {
        if (run->remote->codec->decoder_new(&run->arena, &run->decoder, &err) != MT_OK)
            finish_with(run, MT_CHAT_ERR_INTERNAL, true, err.text);
    }
}

static void on_head(void *ctx, struct mt_http_call *call, int status)
{
    struct mt_engine_run *run = ctx;

    enter(run);
    run->status = status;
    run->has_head = true;
    if (mt_http_call_is_body_done(call))
        mt_buf_fini(&run->request); /* a stream may last for minutes */
    if (status >= 200 && status < 300)
        head_ok(run);
    else
        run->is_error = true;
    leave(run);
}

static void bytes_ok(struct mt_engine_run *run, struct mt_str bytes)
{
    struct mt_err err = {0};

    if (run->framing == MT_FRAMING_WHOLE) {
        if (!run->is_embed && run->chat.lane == MT_LANE_FORWARD) {
            const struct mt_frame piece = {.data = bytes, .raw = bytes};
            run->chat.sink->on_frame(run->chat.sink_ctx, &piece);
            return;
        }
        mt_buf_add(&run->body, bytes);
        if (mt_buf_check(&run->body, "answer", &err) != MT_OK)
            finish_with(run, MT_CHAT_ERR_UPSTREAM, true, err.text);
        return;
    }
    if (mt_frames_feed(&run->frames, bytes, on_frame, run, &err) != MT_OK && !run->is_dead)
        finish_with(run, MT_CHAT_ERR_UPSTREAM, true, err.text);
}

static void end_with_status(struct mt_engine_run *run, struct mt_http_call *call);

/* More than the limit of an error says no more, and may have no end. */
static void error_bytes(struct mt_engine_run *run, struct mt_http_call *call,
                        struct mt_str bytes)
{
    mt_buf_add(&run->body, mt_str_sub(bytes, 0, REMOTE_ERROR_BODY_MAX - run->body.len));
    if (run->body.len == REMOTE_ERROR_BODY_MAX || run->body.rc != MT_OK)
        end_with_status(run, call);
}

static void on_bytes(void *ctx, struct mt_http_call *call, struct mt_str bytes)
{
    struct mt_engine_run *run = ctx;

    enter(run);
    if (!run->is_error)
        bytes_ok(run, bytes);
    else
        error_bytes(run, call, bytes);
    leave(run);
}

/* ------------------------------------------------------------------ the end */

/* OpenAI's retry-after-ms is finer than Retry-After. */
static int64_t retry_after_ms(const struct mt_http_call *call)
{
    enum { DAY_MS = 24 * 3600 * 1000 };
    double value;

    if (mt_str_to_f64(mt_http_call_header(call, "retry-after-ms"), &value) && value >= 0 &&
        value <= DAY_MS)
        return (int64_t)value;
    return mt_http_call_retry_after_ms(call);
}

static void end_with_status(struct mt_engine_run *run, struct mt_http_call *call)
{
    struct mt_chat_error error = {.retry_after_ms = -1};
    int64_t asked_ms = retry_after_ms(call);

    mt_arena_clear(run->remote->scratch->arena);
    run->remote->codec->decode_error(run->status, mt_buf_str(&run->body), run->remote->scratch,
                                     &error);
    error.http_status = run->status;
    if (asked_ms >= 0)
        error.retry_after_ms = asked_ms;
    finish(run, &error, true);
}

static mt_rc end_of_answer(struct mt_engine_run *run, struct mt_err *err)
{
    struct mt_chat_scratch *scratch = run->remote->scratch;
    const struct mt_json *root;

    if (!run->is_embed && run->chat.lane == MT_LANE_FORWARD)
        return run->has_frames ? mt_frames_finish(&run->frames, on_frame, run, err) : MT_OK;
    mt_arena_clear(scratch->arena);
    if (run->has_frames) {
        MT_TRY(mt_frames_finish(&run->frames, on_frame, run, err));
        if (run->is_complete)
            return MT_OK;
        return run->remote->codec->decode_end(run->decoder, emit, run, err);
    }
    mt_rc rc = mt_json_parse(scratch->doc, mt_buf_str(&run->body), &root, err);
    if (rc < 0)
        return mt_err_wrap(err, rc, "answer is no JSON");
    if (run->is_embed)
        return MT_OK; /* remote__embed_done decodes it */
    return run->remote->codec->decode_answer(root, scratch->arena, emit, run, err);
}

static void end_done(struct mt_engine_run *run)
{
    struct mt_err err = {0};

    if (end_of_answer(run, &err) == MT_OK)
        finish(run, NULL, true);
    else if (!run->is_dead)
        finish_with(run, MT_CHAT_ERR_UPSTREAM, true, err.text);
}

static void on_end(void *ctx, struct mt_http_call *call, enum mt_http_end end,
                   const struct mt_err *err)
{
    struct mt_engine_run *run = ctx;

    enter(run);
    run->call = NULL; /* it ends with this callback */
    switch (end) {
    case MT_HTTP_DONE:
        if (run->is_error)
            end_with_status(run, call);
        else
            end_done(run);
        break;
    case MT_HTTP_NOT_CONNECTED:
        finish_with(run, MT_CHAT_ERR_UPSTREAM, false, err->text);
        break;
    case MT_HTTP_BROKEN:
    case MT_HTTP_TOO_BIG:
        finish_with(run, MT_CHAT_ERR_UPSTREAM, true, err->text);
        break;
    case MT_HTTP_TIMED_OUT:
        finish_with(run, MT_CHAT_ERR_TIMEOUT, true, err->text);
        break;
    }
    leave(run);
}

/* ------------------------------------------------------------------ sending */

/* A header the caller sent stands instead of ours: an API version belongs to its body. */
static size_t put_header(struct mt_http_header *headers, size_t n, const char *name,
                         struct mt_str value)
{
    size_t at = 0;

    while (at < n && !mt_str_ieq(mt_str_of(headers[at].name), mt_str_of(name)))
        at++;
    headers[at] = (struct mt_http_header){name, value};
    return at == n ? n + 1 : n;
}

/* Headers of the caller to pass on: "name: value" lines made by the gateway. */
static size_t add_caller_headers(struct mt_str lines, struct mt_arena *arena,
                                 struct mt_http_header *headers, size_t n)
{
    while (lines.len > 0 && n < REMOTE_HEADERS_MAX) {
        struct mt_str line = mt_str_trim(mt_str_take(&lines, '\n'));
        struct mt_str name = mt_str_trim(mt_str_take(&line, ':'));
        struct mt_str copy = mt_arena_str(arena, name);
        if (copy.len == 0)
            continue;
        n = put_header(headers, n, copy.at, mt_str_trim(line));
    }
    return n;
}

/* Headers of one provider mean nothing to another. */
static bool speaks_as_caller(const struct mt_engine_run *run)
{
    return !run->is_embed && (run->chat.lane == MT_LANE_FORWARD ||
                              run->chat.request->dialect == run->remote->codec->dialect);
}

mt_rc remote__run_send(struct mt_engine_run *run, struct mt_str path, struct mt_str body,
                       struct mt_err *err)
{
    static const struct mt_http_call_ops ops = {on_head, on_bytes, on_end};
    const struct remote *remote = run->remote;
    struct mt_http_header headers[REMOTE_HEADERS_MAX];
    MT_CLEANUP(mt_buf_fini) struct mt_buf url = MT_BUF_INIT(8192);
    size_t n = remote->headers_n;
    struct mt_str request_id = run->is_embed ? (struct mt_str){NULL, 0} : run->chat.request_id;

    mt_remote_url(mt_str_of(remote->url), path, &url);
    MT_TRY(mt_buf_check(&url, "url", err));
    memcpy(headers, remote->headers, n * sizeof *headers);
    if (remote->auth_header != NULL)
        headers[n++] =
            (struct mt_http_header){remote->auth_header, mt_secret_view(&remote->auth)};
    if (request_id.len > 0)
        headers[n++] = (struct mt_http_header){"x-request-id", request_id};
    if (speaks_as_caller(run))
        n = add_caller_headers(run->chat.caller_headers, &run->arena, headers, n);
    const struct mt_http_request request = {
        .method = "POST",
        .url = mt_buf_cstr(&url),
        .headers = headers,
        .headers_n = n,
        .body = body,
        .ca_file = remote->ca_file,
        .receive_bytes = !run->is_embed && run->chat.is_stream ? REMOTE_STREAM_RECEIVE : 0,
        .connect_timeout_ms = remote->connect_timeout_ms,
        .head_timeout_ms = !run->is_embed && run->chat.first_timeout_ms > 0
                               ? run->chat.first_timeout_ms
                               : remote->first_timeout_ms,
        .idle_timeout_ms = !run->is_embed && run->chat.idle_timeout_ms > 0
                               ? run->chat.idle_timeout_ms
                               : remote->idle_timeout_ms,
        .total_timeout_ms =
            run->is_embed ? run->embed.total_timeout_ms : run->chat.total_timeout_ms,
    };
    return mt_http_request(remote->client, &request, &ops, run, &run->call, err);
}
