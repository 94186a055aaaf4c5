/* SPDX-License-Identifier: Apache-2.0 */
/* One HTTP exchange: let in or refused, read, handed to its handler, closed.
 *
 * Invariants: a session is in gw->sessions from on_headers to on_closed; sessions that are
 * counted have called bill_settle exactly once when they are freed. */
#include <stdio.h>

#include "gateway_priv.h"

enum { SESSION_ARENA_MAX = 64 * 1024 * 1024, REQUEST_ID_MAX = 128 };

/* Is this an address of this machine: "localhost:7700", "127.0.0.1", "[::1]:80"? */
static bool is_loopback_name(struct mt_str host)
{
    static const struct mt_str names[] = {MT_STR_INIT("localhost"), MT_STR_INIT("127.0.0.1"),
                                          MT_STR_INIT("[::1]")};

    for (size_t i = 0; i < MT_ARRAY_LEN(names); i++) {
        if (mt_str_ieq(mt_str_sub(host, 0, names[i].len), names[i]) &&
            (host.len == names[i].len || host.at[names[i].len] == ':' ||
             host.at[names[i].len] == '/'))
            return true;
    }
    return false;
}

/* A web page elsewhere must not spend this machine's money: a browser names the page in Origin,
 * and a name that was made to point here (DNS rebinding) stands in Host. */
static bool is_foreign_page(const struct session *s)
{
    struct mt_str origin = mt_http_header(s->x, "origin");
    struct mt_str host = mt_http_header(s->x, "host");

    if (mt_str_is(origin, "null")) /* a page in a sandbox: whose is not said */
        return true;
    size_t scheme = mt_str_find(origin, MT_STR("://"));

    if (origin.len > 0 && scheme < origin.len &&
        !is_loopback_name(mt_str_sub(origin, scheme + 3, origin.len)) &&
        mt_str_starts(origin, MT_STR("http")))
        return true;
    return s->board->keys_n == 0 && host.len > 0 && !is_loopback_name(host) &&
           is_loopback_name(s->board->config->listen_host);
}

/* ------------------------------------------------------------------ answers */

void session_common_headers(struct session *s)
{
    struct mt_str origin = mt_http_header(s->x, "origin");

    if (origin.len > 0 && s->route != NULL &&
        !is_foreign_page(s)) { /* a page of this machine */
        mt_http_set_header(s->x, "access-control-allow-origin", origin);
        mt_http_set_header(s->x, "access-control-expose-headers", MT_STR("*"));
        mt_http_set_header(s->x, "vary", MT_STR("origin"));
    }

    if (s->request_id.len > 0)
        mt_http_set_header(s->x, "x-request-id", s->request_id);
    if (s->receipt.text[0] != '\0')
        mt_http_set_header(s->x, "x-motet-receipt", mt_id_str(&s->receipt));
}

static void mark_first_byte(struct session *s)
{
    s->is_answered = true;
    if (s->first_byte_ns == 0)
        s->first_byte_ns = mt_loop_clock_ns();
}

void session_answer_json(struct session *s, int status, const struct mt_buf *body)
{
    struct mt_err err = {0};

    if (mt_buf_check(body, "answer", &err) != MT_OK) {
        session_fail_rc(s, &err);
        return;
    }
    session_common_headers(s);
    mark_first_byte(s);
    mt_http_answer(s->x, status, "application/json", mt_buf_str(body));
}

static void error_headers(struct session *s, const struct mt_chat_error *error)
{
    char text[32];

    if (error->retry_after_ms >= 0) {
        int n = snprintf(text, sizeof text, "%lld",
                         (long long)(error->retry_after_ms + 999) / 1000);
        mt_http_set_header(s->x, "retry-after", (struct mt_str){text, (size_t)n});
        n = snprintf(text, sizeof text, "%lld", (long long)error->retry_after_ms);
        mt_http_set_header(s->x, "retry-after-ms", (struct mt_str){text, (size_t)n});
    }
    if (error->is_final)
        mt_http_set_header(s->x, "x-should-retry", MT_STR("false"));
    if (error->kind == MT_CHAT_ERR_AUTH)
        mt_http_set_header(s->x, "www-authenticate", MT_STR("Bearer"));
}

void session_fail(struct session *s, const struct mt_chat_error *error)
{
    const struct mt_chat_codec *codec = mt_chat_codec(s->route->dialect);
    MT_CLEANUP(mt_buf_fini) struct mt_buf body = MT_BUF_INIT(256 * 1024);

    MT_ASSERT(!s->is_answered);
    codec->encode_error(error, &body);
    session_common_headers(s);
    error_headers(s, error);
    mark_first_byte(s);
    mt_http_answer_take(s->x, codec->error_status(error), "application/json", &body);
}

void session_fail_rc(struct session *s, const struct mt_err *err)
{
    const struct mt_chat_error error = {
        .kind = mt_chat_error_kind_of(err->rc),
        .message = mt_str_of(err->text),
        .retry_after_ms = -1,
    };
    session_fail(s, &error);
}

mt_rc session_json(struct session *s, struct mt_str body, const struct mt_json **out,
                   struct mt_err *err)
{
    mt_rc rc = gateway_parse(s->gw, body, out, err);

    return rc < 0 ? mt_err_wrap(err, rc, "body") : rc;
}

static void fail_text(struct session *s, enum mt_chat_error_kind kind, const char *text)
{
    const struct mt_chat_error error = {
        .kind = kind, .message = mt_str_of(text), .retry_after_ms = -1};

    session_fail(s, &error);
}

static void conclude_now(struct session *s)
{
    if (!s->is_streaming) {
        mt_http_answer_take(s->x, 200, s->held_type, &s->held);
        return;
    }
    if (s->held.len > 0)
        (void)mt_http_send(s->x, mt_buf_str(&s->held)); /* the last piece: nothing to pause */
    mt_http_finish(s->x);
}

void session_conclude(struct session *s, const char *content_type, struct mt_buf *body)
{
    s->held = *body;
    s->held_type = content_type;
    mt_buf_init(body, body->max);
    if (s->board->config->strict_sync && s->settled_seq > s->gw->synced_seq)
        s->is_held = true;
    else
        conclude_now(s);
}

/* The row will not be on disk: a whole answer becomes an error, a stream never gets its end. */
static void refuse_held(struct session *s)
{
    const struct mt_chat_codec *codec = mt_chat_codec(s->route->dialect);
    const struct mt_chat_error error = {
        .kind = MT_CHAT_ERR_OVERLOADED, .message = MT_STR(SESSION_LOST), .retry_after_ms = -1};

    if (s->is_streaming) {
        mt_http_abort(s->x);
        return;
    }
    mt_buf_clear(&s->held);
    codec->encode_error(&error, &s->held);
    mt_http_answer_take(s->x, codec->error_status(&error), "application/json", &s->held);
}

void mt_gateway_lost(struct mt_gateway *gw)
{
    for (struct session *s = gw->sessions, *next; s != NULL; s = next) {
        next = s->next;
        if (!s->is_held)
            continue;
        s->is_held = false;
        if (!s->is_gone)
            refuse_held(s);
    }
}

void mt_gateway_synced(struct mt_gateway *gw, uint64_t seq)
{
    if (seq > gw->synced_seq)
        gw->synced_seq = seq;
    for (struct session *s = gw->sessions; s != NULL; s = s->next) {
        if (!s->is_held || s->settled_seq > gw->synced_seq)
            continue;
        s->is_held = false;
        if (!s->is_gone)
            conclude_now(s);
    }
}

/* ------------------------------------------------------------------ who asks */

static struct mt_str presented_key(const struct mt_http_exchange *x)
{
    static const char *const headers[] = {"x-api-key", "x-goog-api-key"};
    struct mt_str key = mt_http_header(x, "authorization");

    if (key.len > 7 && mt_str_ieq(mt_str_sub(key, 0, 7), MT_STR("bearer ")))
        return mt_str_trim(mt_str_sub(key, 7, key.len));
    for (size_t i = 0; i < MT_ARRAY_LEN(headers); i++) {
        key = mt_http_header(x, headers[i]);
        if (key.len > 0)
            return key;
    }
    return mt_http_query(x, "key"); /* Gemini's other way */
}

/* Bodies are read as they come; false when the session has been refused. */
static bool admit_body(struct session *s)
{
    struct mt_str coding = mt_http_header(s->x, "content-encoding");
    char text[128];

    if (coding.len == 0 || mt_str_ieq(coding, MT_STR("identity")))
        return true;
    snprintf(text, sizeof text, "content-encoding: expected none, found '%.*s'",
             MT_STR_ARG(mt_str_sub(coding, 0, 32)));
    fail_text(s, MT_CHAT_ERR_UNSUPPORTED, text);
    return false;
}

/* Find the caller; false when the session has been refused. */
static bool admit(struct session *s)
{
    if (s->route->need == ACCESS_PUBLIC)
        return true;
    if (is_foreign_page(s)) {
        fail_text(s, MT_CHAT_ERR_PERMISSION, "requests from this web page are not allowed");
        return false;
    }
    struct mt_str key = presented_key(s->x);

    s->key = board_find_key(s->board, key);
    if (s->key == NULL) {
        fail_text(s, MT_CHAT_ERR_AUTH,
                  key.len == 0 ? "an API key is needed: none was sent"
                               : "the API key is not known");
        return false;
    }
    if (s->route->need == ACCESS_ADMIN && !s->key->is_admin) {
        fail_text(s, MT_CHAT_ERR_PERMISSION, "only the node's administrator may do this");
        return false;
    }
    return admit_body(s);
}

void session_count(struct session *s, const char *kind)
{
    s->is_counted = true;
    s->bill.kind = mt_str_of(kind);
}

/* ------------------------------------------------------------------ life */

static bool is_printable(struct mt_str text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.at[i] <= ' ' || text.at[i] > '~')
            return false;
    }
    return true;
}

static struct session *session_new(struct mt_gateway *gw, struct mt_http_exchange *x)
{
    struct session *s = mt_alloc(1, sizeof *s);
    struct mt_str id = mt_http_header(x, "x-request-id");

    if (s == NULL)
        return NULL;
    s->gw = gw;
    s->x = x;
    s->board = board_ref(gw->board);
    s->began_ns = mt_http_began_ns(x);
    mt_arena_init(&s->arena, SESSION_ARENA_MAX);
    mt_buf_init(&s->body, (size_t)s->board->config->body_bytes_max);
    if (id.len > 0 && id.len <= REQUEST_ID_MAX && is_printable(id))
        s->request_id = mt_arena_str(&s->arena, id);
    s->next = gw->sessions;
    if (s->next != NULL)
        s->next->prev = s;
    gw->sessions = s;
    gw->sessions_n++;
    return s;
}

static void session_free(struct session *s)
{
    struct mt_gateway *gw = s->gw;

    if (s->lookup != NULL)
        store_forget(s->lookup);
    if (s->ask != NULL)
        ask_free(s->ask);
    if (s->is_counted && !s->bill.is_settled)
        bill_settle(s, MT_OUTCOME_INTERNAL, 0);
    bill_fini(s);
    mt_buf_fini(&s->held);
    if (s->prev != NULL)
        s->prev->next = s->next;
    else
        gw->sessions = s->next;
    if (s->next != NULL)
        s->next->prev = s->prev;
    gw->sessions_n--;
    gw->begun_n -= s->is_begun;
    gateway_freed(gw, s->body.len);
    mt_buf_fini(&s->body);
    mt_arena_fini(&s->arena);
    board_unref(s->board);
    mt_free(s);
}

static enum mt_dialect dialect_of_path(struct mt_str path)
{
    static const struct {
        struct mt_str prefix;
        enum mt_dialect dialect;
    } prefixes[] = {
        {MT_STR_INIT("/v1/messages"), MT_DIALECT_ANTHROPIC},
        {MT_STR_INIT("/v1beta/"), MT_DIALECT_GEMINI},
        {MT_STR_INIT("/v1/responses"), MT_DIALECT_OPENAI_RESPONSES},
        {MT_STR_INIT("/api/"), MT_DIALECT_OLLAMA_CHAT},
    };
    for (size_t i = 0; i < MT_ARRAY_LEN(prefixes); i++) {
        if (mt_str_starts(path, prefixes[i].prefix))
            return prefixes[i].dialect;
    }
    return MT_DIALECT_OPENAI_CHAT;
}

static void refuse_path(struct session *s, bool is_path_known)
{
    static struct route lost[MT_DIALECT_COUNT];
    struct mt_str path = mt_http_path(s->x);
    enum mt_dialect dialect = dialect_of_path(path);
    char text[256];

    lost[dialect].dialect = dialect;
    s->route = &lost[dialect];
    if (!is_path_known) {
        snprintf(text, sizeof text, "no such path: %.*s", MT_STR_ARG(mt_str_sub(path, 0, 128)));
        fail_text(s, MT_CHAT_ERR_NOT_FOUND, text);
        return;
    }
    struct mt_chat_error error = {.kind = MT_CHAT_ERR_INVALID, .http_status = 405};
    MT_CLEANUP(mt_buf_fini) struct mt_buf allowed = MT_BUF_INIT(256);
    route_methods(path, &allowed);
    mt_http_set_header(s->x, "allow", mt_buf_str(&allowed));
    snprintf(text, sizeof text, "%.*s is not allowed here",
             MT_STR_ARG(mt_str_sub(mt_http_method(s->x), 0, 16)));
    error.message = mt_str_of(text);
    error.retry_after_ms = -1;
    session_fail(s, &error);
}

/* A browser asks whether a page may ask. */
static void preflight(struct session *s)
{
    static const struct route none = {.dialect = MT_DIALECT_OPENAI_CHAT};
    struct mt_str wanted = mt_http_header(s->x, "access-control-request-headers");

    s->route = &none;
    if (is_foreign_page(s)) {
        fail_text(s, MT_CHAT_ERR_PERMISSION, "requests from this web page are not allowed");
        return;
    }
    session_common_headers(s);
    mt_http_set_header(s->x, "access-control-allow-methods",
                       MT_STR("GET, HEAD, POST, DELETE, OPTIONS"));
    if (wanted.len > 0)
        mt_http_set_header(s->x, "access-control-allow-headers", wanted);
    s->is_answered = true;
    mt_http_answer(s->x, 204, "text/plain", MT_STR(""));
}

static void on_headers(void *ctx, struct mt_http_exchange *x)
{
    struct session *s = session_new(ctx, x);
    bool is_path_known = false;

    if (s == NULL) {
        mt_http_answer(x, 503, "text/plain", MT_STR("out of memory\n"));
        return;
    }
    mt_http_set_user(x, s);
    if (mt_str_is(mt_http_method(x), "OPTIONS")) {
        preflight(s);
        return;
    }
    s->route = route_find(mt_http_method(x), mt_http_path(x), &s->tail, &is_path_known);
    if (s->route == NULL)
        refuse_path(s, is_path_known);
    else
        (void)admit(s); /* a refusal has answered already */
}

/* Room for the whole body at once, as far as a length that was only claimed is believed. */
static void reserve_body(struct session *s)
{
    enum { BELIEVED_MAX = 1024 * 1024 };
    int64_t n;

    if (mt_str_to_i64(mt_http_header(s->x, "content-length"), 1, INT64_MAX, &n))
        (void)mt_buf_reserve(&s->body, n < BELIEVED_MAX ? (size_t)n : BELIEVED_MAX);
}

static void on_body(void *ctx, struct mt_http_exchange *x, struct mt_str bytes)
{
    struct session *s = mt_http_user(x);

    (void)ctx;
    if (s == NULL || s->is_answered)
        return;
    if (s->body.len == 0)
        reserve_body(s);
    mt_buf_add(&s->body, bytes);
}

static void on_request_end(void *ctx, struct mt_http_exchange *x)
{
    struct session *s = mt_http_user(x);
    struct mt_err err = {0};

    (void)ctx;
    if (s == NULL)
        return;
    s->is_begun = true;
    s->gw->begun_n++;
    if (s->is_answered)
        return;
    if (mt_buf_check(&s->body, "body", &err) != MT_OK)
        session_fail_rc(s, &err);
    else
        s->route->run(s);
}

static void on_drained(void *ctx, struct mt_http_exchange *x)
{
    struct session *s = mt_http_user(x);

    (void)ctx;
    if (s == NULL || !s->is_paused)
        return;
    s->is_paused = false;
    if (s->ask != NULL)
        ask_resume(s->ask);
}

static void on_gone(void *ctx, struct mt_http_exchange *x)
{
    struct session *s = mt_http_user(x);

    (void)ctx;
    if (s == NULL)
        return;
    s->is_gone = true;
    if (s->ask != NULL)
        ask_client_gone(s->ask);
}

static void drained(struct mt_gateway *gw)
{
    void (*done)(void *ctx) = gw->drain_done;

    if (done == NULL || gw->begun_n > 0)
        return;
    gw->drain_done = NULL;
    done(gw->drain_ctx);
}

static void on_closed(void *ctx, struct mt_http_exchange *x)
{
    struct session *s = mt_http_user(x);

    if (s == NULL)
        return;
    mt_http_set_user(x, NULL);
    session_free(s);
    drained(ctx);
}

static void error_body(void *ctx, struct mt_str path, int status, const char *text,
                       struct mt_buf *body, const char **content_type)
{
    const struct mt_chat_error error = {
        .kind = mt_chat_error_kind_of_status(status),
        .http_status = status,
        .message = mt_str_of(text),
        .retry_after_ms = -1,
    };

    (void)ctx;
    mt_chat_codec(dialect_of_path(path))->encode_error(&error, body);
    *content_type = "application/json";
}

const struct mt_http_server_ops session_server_ops = {
    .on_headers = on_headers,
    .on_body = on_body,
    .on_request_end = on_request_end,
    .on_drained = on_drained,
    .on_gone = on_gone,
    .on_closed = on_closed,
    .error_body = error_body,
};
