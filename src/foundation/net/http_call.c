/* SPDX-License-Identifier: Apache-2.0 */
/* One call: its easy handle, what libcurl calls back, its time limits. */
#include <string.h>

#include "base/alloc.h"
#include "http_client_priv.h"

enum {
    HEAD_BYTES_MAX = 256 * 1024,
    SMALL_BODY_BYTES =
        64 * 1024, /* libcurl copies such a body beside the header and sends once */
    RECEIVE_BYTES_DEFAULT = 16 * 1024,
    CONNECT_DEFAULT_MS = 5000,
    DAY_S = 24 * 3600,
};

static size_t on_line(char *at, size_t size, size_t n, void *ctx)
{
    struct mt_http_call *call = ctx;
    size_t len = size * n;
    long status = 0;
    long version = 0;

    if (call->state != MT_HTTP_CALL_ACTIVE)
        return 0;
    call->head_n += len;
    if (call->head_n > HEAD_BYTES_MAX) {
        call->is_head_too_big = true;
        return 0;
    }
    if (call->has_head || len > 2 || (at[0] != '\r' && at[0] != '\n'))
        return len; /* a header, or a trailer */
    (void)curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &status);
    if (status < 200)
        return len;
    (void)curl_easy_getinfo(call->easy, CURLINFO_HTTP_VERSION, &version);
    call->is_shared = version >= CURL_HTTP_VERSION_2_0;
    call->has_head = true;
    call->last_ms = mt_loop_now_ms(call->client->loop);
    mt_http__deadline_by(call->client,
                         mt_http__call_deadline_ms(call)); /* silence counts now */
    if (call->ops.on_head != NULL)
        call->ops.on_head(call->ctx, call, (int)status);
    return call->state == MT_HTTP_CALL_ACTIVE ? len : 0;
}

static size_t on_piece(char *at, size_t size, size_t n, void *ctx)
{
    struct mt_http_call *call = ctx;
    size_t len = size * n;

    if (call->state != MT_HTTP_CALL_ACTIVE)
        return 0;
    if (call->is_shared && (call->is_paused || mt_http__kept_n(call) > 0)) {
        call->is_flooded = !mt_http__kept_add(call, (struct mt_str){at, len});
        return call->is_flooded ? 0 : len;
    }
    if (call->is_paused) {
        call->is_held = true;
        return CURL_WRITEFUNC_PAUSE; /* it comes again */
    }
    call->last_ms = mt_loop_now_ms(call->client->loop);
    if (call->ops.on_bytes != NULL)
        call->ops.on_bytes(call->ctx, call, (struct mt_str){at, len});
    return call->state == MT_HTTP_CALL_ACTIVE ? len : 0;
}

/* Bodies that libcurl does not copy come from here, so that a cancelled call's is not read. */
static size_t read_body(char *into, size_t size, size_t n, void *ctx)
{
    struct mt_http_call *call = ctx;
    size_t room = size * n;
    size_t left = call->body.len - call->body_at;

    if (call->state != MT_HTTP_CALL_ACTIVE)
        return CURL_READFUNC_ABORT;
    if (room > left)
        room = left;
    memcpy(into, call->body.at + call->body_at, room);
    call->body_at += room;
    return room;
}

static int seek_body(void *ctx, curl_off_t to, int origin)
{
    struct mt_http_call *call = ctx;

    if (origin != SEEK_SET || to < 0 || (size_t)to > call->body.len)
        return CURL_SEEKFUNC_FAIL;
    call->body_at = (size_t)to;
    return CURL_SEEKFUNC_OK;
}

static int on_connected(void *ctx, char *ip, char *local_ip, int port, int local_port)
{
    struct mt_http_call *call = ctx;

    (void)ip;
    (void)local_ip;
    (void)port;
    (void)local_port;
    call->is_sent = true;
    return CURL_PREREQFUNC_OK;
}

/* What is the same for every request is set once. */
static void set_fixed(struct mt_http_call *call)
{
    CURL *easy = call->easy;
    struct mt_http_client *client = call->client;

    curl_easy_setopt(easy, CURLOPT_PRIVATE, call);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, call->error);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_NOPROGRESS, 1L);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
    curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, (long)call->receive_bytes);
    curl_easy_setopt(easy, CURLOPT_TCP_NODELAY, 1L);
    curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_line);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, call);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_piece);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, call);
    curl_easy_setopt(easy, CURLOPT_READFUNCTION, read_body);
    curl_easy_setopt(easy, CURLOPT_READDATA, call);
    curl_easy_setopt(easy, CURLOPT_SEEKFUNCTION, seek_body);
    curl_easy_setopt(easy, CURLOPT_SEEKDATA, call);
    curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, on_connected);
    curl_easy_setopt(easy, CURLOPT_PREREQDATA, call);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, mt_http__open_socket);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, client);
    curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, mt_http__close_socket);
    curl_easy_setopt(easy, CURLOPT_CLOSESOCKETDATA, client);
    curl_easy_setopt(easy, CURLOPT_SHARE, client->share);
}

static mt_rc set_authorities(struct mt_http_call *call, const char *ca_file, struct mt_err *err)
{
    if (ca_file == NULL)
        return MT_OK;
    if (curl_easy_setopt(call->easy, CURLOPT_CAINFO, ca_file) != CURLE_OK)
        return MT_FAIL(err, MT_E_NOMEM, "http call");
    curl_easy_setopt(call->easy, CURLOPT_CAPATH, NULL); /* else the system's are trusted, too */
    return MT_OK;
}

static size_t receive_bytes_of(const struct mt_http_request *request)
{
    return request->receive_bytes > 0 ? request->receive_bytes : RECEIVE_BYTES_DEFAULT;
}

bool mt_http__call_suits(const struct mt_http_call *call, const struct mt_http_request *request)
{
    return call->receive_bytes == receive_bytes_of(request) &&
           mt_str_eq(mt_str_of(call->ca_file), mt_str_of(request->ca_file));
}

void mt_http__call_free(struct mt_http_call *call)
{
    curl_easy_cleanup(call->easy);
    mt_free(call->fields.block);
    mt_free(call->ca_file);
    if (call->client != NULL)
        mt_http__kept_drop(call);
    mt_free(call);
}

mt_rc mt_http__call_new(struct mt_http_client *client, const struct mt_http_request *request,
                        struct mt_http_call **out, struct mt_err *err)
{
    struct mt_http_call *call = mt_alloc(1, sizeof *call);
    const char *ca_file = request->ca_file != NULL ? request->ca_file : client->ca_file;

    if (call == NULL)
        return MT_FAIL(err, MT_E_NOMEM, "http call");
    if (request->ca_file != NULL)
        call->ca_file = mt_alloc_cstr(mt_str_of(request->ca_file));
    call->easy = curl_easy_init();
    if (call->easy == NULL || (call->ca_file == NULL && request->ca_file != NULL)) {
        mt_http__call_free(call);
        return MT_FAIL(err, MT_E_NOMEM, "http call");
    }
    call->client = client;
    call->receive_bytes = receive_bytes_of(request);
    set_fixed(call);
    mt_rc rc = set_authorities(call, ca_file, err);
    if (rc != MT_OK) {
        mt_http__call_free(call);
        return rc;
    }
    *out = call;
    return MT_OK;
}

static void set_body(struct mt_http_call *call, struct mt_str body, bool is_tls)
{
    bool is_copied = body.len <= SMALL_BODY_BYTES && !is_tls; /* HTTP/2 reads it later */

    call->is_body_copied = is_copied;
    curl_easy_setopt(call->easy, CURLOPT_POST, 1L);
    curl_easy_setopt(call->easy, CURLOPT_POSTFIELDS,
                     !is_copied ? NULL : (body.len > 0 ? body.at : ""));
    curl_easy_setopt(call->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body.len);
}

static void set_method(struct mt_http_call *call, const struct mt_http_request *request,
                       bool is_tls)
{
    struct mt_str method = mt_str_of(request->method);
    bool is_post = mt_str_is(method, "POST");
    bool is_plain = is_post || mt_str_is(method, "GET");

    if (is_post || request->body.len > 0)
        set_body(call, request->body, is_tls);
    else
        curl_easy_setopt(call->easy, CURLOPT_HTTPGET, 1L);
    if (mt_str_is(method, "HEAD"))
        curl_easy_setopt(call->easy, CURLOPT_NOBODY, 1L);
    if (!is_plain || call->has_custom_method)
        curl_easy_setopt(call->easy, CURLOPT_CUSTOMREQUEST, is_plain ? NULL : request->method);
    call->has_custom_method = !is_plain;
}

static const char no_proxy[] = "";

/* "" switches proxies off, NULL leaves them to libcurl (which knows NO_PROXY). */
static void set_proxy(struct mt_http_call *call, struct mt_str url, bool is_tls)
{
    struct mt_http_client *client = call->client;
    const char *proxy = no_proxy;

    if (client->has_proxy && !mt_http__url_is_loopback(url))
        proxy = is_tls ? NULL : client->plain_proxy;
    if (proxy != call->proxy) /* libcurl copies it: only when it changes */
        curl_easy_setopt(call->easy, CURLOPT_PROXY, proxy);
    call->proxy = proxy;
}

static int64_t from_now(int64_t now_ms, int64_t limit_ms)
{
    return limit_ms > 0 ? now_ms + limit_ms : 0;
}

static void set_limits(struct mt_http_call *call, const struct mt_http_request *request)
{
    int64_t now_ms = mt_loop_now_ms(call->client->loop);
    int64_t connect_ms =
        request->connect_timeout_ms > 0 ? request->connect_timeout_ms : CONNECT_DEFAULT_MS;

    call->connect_by_ms = from_now(now_ms, connect_ms);
    call->head_by_ms = from_now(now_ms, request->head_timeout_ms);
    call->total_by_ms = from_now(now_ms, request->total_timeout_ms);
    call->idle_limit_ms = request->idle_timeout_ms;
    call->last_ms = now_ms;
}

mt_rc mt_http__call_setup(struct mt_http_call *call, const struct mt_http_request *request,
                          struct mt_err *err)
{
    struct mt_str url = mt_str_of(request->url);
    bool is_tls = mt_str_starts(url, MT_STR("https:"));

    MT_TRY(mt_http__fields_fill(&call->fields, request, err));
    call->body = request->body;
    call->body_at = 0;
    call->head_n = 0;
    call->is_sent = call->has_head = call->is_paused = call->is_held = false;
    call->is_head_too_big = call->is_shared = call->is_finished = call->is_flooded = false;
    call->error[0] = '\0';
    if (curl_easy_setopt(call->easy, CURLOPT_URL, call->fields.url) != CURLE_OK)
        return MT_FAIL(err, MT_E_INVALID, "url: too long");
    curl_easy_setopt(call->easy, CURLOPT_HTTPHEADER, call->fields.list);
    curl_easy_setopt(call->easy, CURLOPT_PIPEWAIT, is_tls ? 1L : 0L);
    set_method(call, request, is_tls);
    set_proxy(call, url, is_tls);
    set_limits(call, request);
    return MT_OK;
}

static int64_t earlier(int64_t a_ms, int64_t b_ms)
{
    return b_ms != 0 && b_ms < a_ms ? b_ms : a_ms;
}

int64_t mt_http__call_deadline_ms(const struct mt_http_call *call)
{
    int64_t at_ms = earlier(INT64_MAX, call->total_by_ms);

    if (!call->is_sent)
        at_ms = earlier(at_ms, call->connect_by_ms);
    if (!call->has_head)
        return earlier(at_ms, call->head_by_ms);
    if (call->idle_limit_ms > 0 && !call->is_paused)
        at_ms = earlier(at_ms, call->last_ms + call->idle_limit_ms);
    return at_ms;
}

const char *mt_http__call_overdue(const struct mt_http_call *call, int64_t now_ms)
{
    if (now_ms < mt_http__call_deadline_ms(call))
        return NULL;
    if (call->total_by_ms != 0 && now_ms >= call->total_by_ms)
        return "the answer took longer than its total time limit";
    if (!call->is_sent && now_ms >= call->connect_by_ms)
        return "no connection within the connect time limit";
    if (!call->has_head)
        return "no answer within the head time limit";
    return "silence in the answer for longer than the idle time limit";
}

struct mt_str mt_http_call_header(const struct mt_http_call *call, const char *name)
{
    struct curl_header *header;

    if (curl_easy_header(call->easy, name, 0, CURLH_HEADER, -1, &header) != CURLHE_OK)
        return (struct mt_str){NULL, 0};
    return mt_str_of(header->value);
}

/* From the answer's Date to another; libcurl counts from our clock, for servers without one. */
static double seconds_until(const struct mt_http_call *call, time_t then_s)
{
    struct mt_str date = mt_http_call_header(call, "date");
    time_t now_s = date.len > 0 ? curl_getdate(date.at, NULL) : -1;
    curl_off_t wait_s = 0;

    if (now_s != -1)
        return (double)then_s - (double)now_s;
    (void)curl_easy_getinfo(call->easy, CURLINFO_RETRY_AFTER, &wait_s);
    return (double)wait_s;
}

int64_t mt_http_call_retry_after_ms(const struct mt_http_call *call)
{
    struct mt_str text = mt_http_call_header(call, "retry-after");
    double wait_s;

    if (text.len == 0)
        return -1;
    if (!mt_str_to_f64(text, &wait_s)) {
        time_t then_s = curl_getdate(text.at, NULL);
        if (then_s == -1)
            return -1;
        wait_s = seconds_until(call, then_s);
    }
    if (wait_s <= 0)
        return 0;
    return wait_s < DAY_S ? (int64_t)(wait_s * 1e3) : DAY_S * (int64_t)1000;
}

bool mt_http_call_is_body_done(const struct mt_http_call *call)
{
    return call->has_head && (call->is_body_copied || call->body_at == call->body.len);
}

void mt_http_call_pause(struct mt_http_call *call)
{
    call->is_paused = true;
}

void mt_http_call_resume(struct mt_http_call *call)
{
    call->is_paused = false;
    call->last_ms = mt_loop_now_ms(call->client->loop);
    mt_http__deadline_by(call->client, mt_http__call_deadline_ms(call));
    if (!call->is_held && mt_http__kept_n(call) == 0)
        return;
    call->client->is_sweep_due = true; /* bytes come again from the turn, not from here */
    mt_loop__at_turn(call->client->loop, &call->client->turn);
}
