/* SPDX-License-Identifier: Apache-2.0 */
/* The client: libcurl's multi handle, driven by the loop; the ends of calls; cancelling.
 *
 * Invariants: 1. A call is in the active list exactly when libcurl holds its handle.
 * 2. Handles are removed only while in_curl is 0. 3. on_end runs from the turn or the deadline
 * timer, never from libcurl. */
#include "net/http_client.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "http_client_priv.h"

enum {
    SPARE_MAX = 128,
    DEADLINE_SLACK_MS = 10,
    HOST_CONNECTIONS_DEFAULT = 1024,
    IDLE_CONNECTIONS_DEFAULT = 256,
};

static void turn_soon(struct mt_http_client *client)
{
    mt_loop__at_turn(client->loop, &client->turn);
}

static void list_push(struct mt_http_call **head, struct mt_http_call *call)
{
    call->prev = NULL;
    call->next = *head;
    if (*head != NULL)
        (*head)->prev = call;
    *head = call;
}

static void list_take(struct mt_http_call **head, struct mt_http_call *call)
{
    if (call->prev == NULL)
        *head = call->next;
    else
        call->prev->next = call->next;
    if (call->next != NULL)
        call->next->prev = call->prev;
}

/* libcurl counts connections in use among those it may keep. */
static void set_active_n(struct mt_http_client *client, unsigned active_n)
{
    client->active_n = active_n;
    (void)curl_multi_setopt(client->multi, CURLMOPT_MAXCONNECTS,
                            (long)client->idle_max + (long)active_n);
}

/* Take the call out of libcurl. Mid-transfer this closes its connection. */
static void detach(struct mt_http_call *call)
{
    struct mt_http_client *client = call->client;

    MT_ASSERT(client->in_curl == 0);
    client->in_curl++; /* sockets may be closed meanwhile, but nothing of ours is called */
    (void)curl_multi_remove_handle(client->multi, call->easy);
    client->in_curl--;
    list_take(&client->active, call);
    set_active_n(client, client->active_n - 1);
}

static void retire(struct mt_http_call *call)
{
    struct mt_http_client *client = call->client;

    call->state = MT_HTTP_CALL_FREE;
    mt_http__kept_drop(call);
    if (client->spare_n >= SPARE_MAX) {
        mt_http__call_free(call);
        return;
    }
    client->spare_n++;
    list_push(&client->spare, call);
}

static void end(struct mt_http_call *call, enum mt_http_end how, const struct mt_err *err)
{
    detach(call);
    call->state = MT_HTTP_CALL_ENDING;
    call->client->is_ending = true;
    if (call->ops.on_end != NULL)
        call->ops.on_end(call->ctx, call, how, err);
    call->client->is_ending = false;
    retire(call);
}

static const mt_rc end_rc[] = {
    [MT_HTTP_DONE] = MT_OK,           [MT_HTTP_NOT_CONNECTED] = MT_E_UPSTREAM,
    [MT_HTTP_BROKEN] = MT_E_UPSTREAM, [MT_HTTP_TIMED_OUT] = MT_E_TIMEOUT,
    [MT_HTTP_TOO_BIG] = MT_E_TOOBIG,
};

static void end_failed(struct mt_http_call *call, enum mt_http_end how, const char *text)
{
    struct mt_err err = {0};

    (void)MT_FAIL(&err, end_rc[how], "%s", text);
    end(call, how, &err);
}

static void end_as_libcurl_says(struct mt_http_call *call, CURLcode code)
{
    const char *text = call->error[0] != '\0' ? call->error : curl_easy_strerror(code);

    if (code == CURLE_OK && call->has_head)
        end(call, MT_HTTP_DONE, NULL);
    else if (call->is_head_too_big)
        end_failed(call, MT_HTTP_TOO_BIG, "the header of the answer is over the limit");
    else if (call->is_flooded)
        end_failed(call, MT_HTTP_TOO_BIG, "the answer came faster than it was taken");
    else if (!call->is_sent)
        end_failed(call,
                   code == CURLE_OPERATION_TIMEDOUT ? MT_HTTP_TIMED_OUT : MT_HTTP_NOT_CONNECTED,
                   text);
    else if (code == CURLE_OK) /* libcurl thinks an end within the header is one */
        end_failed(call, MT_HTTP_BROKEN, "the connection closed in the header of the answer");
    else
        end_failed(call, MT_HTTP_BROKEN, text);
}

static void read_ends(struct mt_http_client *client)
{
    CURLMsg *msg;
    int left;

    for (msg = curl_multi_info_read(client->multi, &left); msg != NULL;
         msg = curl_multi_info_read(client->multi, &left)) {
        struct mt_http_call *call = NULL;
        CURLcode code = msg->data.result;

        (void)curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, &call);
        if (call->state != MT_HTTP_CALL_ACTIVE)
            continue;
        call->is_finished = mt_http__kept_n(call) > 0 && !call->is_flooded;
        call->result = code;
        if (!call->is_finished)
            end_as_libcurl_says(call, code);
    }
}

static void resume(struct mt_http_call *call)
{
    struct mt_http_client *client = call->client;

    call->is_held = false;
    client->in_curl++;
    (void)curl_easy_pause(call->easy, CURLPAUSE_CONT);
    client->in_curl--;
}

/* on_end may start and cancel calls, so after each end the walk starts anew. */
static bool take_one_waiting(struct mt_http_client *client)
{
    for (struct mt_http_call *call = client->active; call != NULL; call = call->next) {
        if (!call->is_waiting || call->state != MT_HTTP_CALL_ACTIVE)
            continue;
        call->is_waiting = false;
        if (curl_multi_add_handle(client->multi, call->easy) == CURLM_OK)
            continue;
        end_failed(call, MT_HTTP_NOT_CONNECTED, "no memory for the call");
        return true;
    }
    return false;
}

/* Of those that libcurl ended before their bytes were wanted. */
static bool end_one_finished(struct mt_http_client *client)
{
    for (struct mt_http_call *call = client->active; call != NULL; call = call->next) {
        if (!call->is_finished || call->state != MT_HTTP_CALL_ACTIVE ||
            mt_http__kept_n(call) > 0)
            continue;
        end_as_libcurl_says(call, call->result);
        return true;
    }
    return false;
}

/* Calls that were begun, cancelled or let go inside libcurl. */
static void sweep(struct mt_http_client *client)
{
    struct mt_http_call *next;

    client->is_sweep_due = false;
    while (take_one_waiting(client))
        continue;
    for (struct mt_http_call *call = client->active; call != NULL; call = next) {
        next = call->next;
        if (call->state == MT_HTTP_CALL_CANCELLED) {
            detach(call);
            retire(call);
        } else if (call->is_held && !call->is_paused) {
            resume(call);
        } else if (mt_http__kept_n(call) > 0 && !call->is_paused) {
            mt_http__kept_give(call);
        }
    }
    while (end_one_finished(client))
        continue;
}

static void on_turn(void *owner)
{
    struct mt_http_client *client = owner;
    int running;

    if (client->is_kick_due) {
        client->is_kick_due = false;
        client->in_curl++;
        (void)curl_multi_socket_action(client->multi, CURL_SOCKET_TIMEOUT, 0, &running);
        client->in_curl--;
    }
    if (client->is_sweep_due)
        sweep(client);
    read_ends(client);
}

static void on_timer(uv_timer_t *timer)
{
    struct mt_http_client *client = timer->data;

    client->is_kick_due = true;
    turn_soon(client);
}

static int on_timer_wish(CURLM *multi, long timeout_ms, void *ctx)
{
    struct mt_http_client *client = ctx;

    (void)multi;
    if (timeout_ms > 0) {
        (void)uv_timer_start(&client->timer, on_timer, (uint64_t)timeout_ms, 0);
        return 0;
    }
    (void)uv_timer_stop(&client->timer);
    if (timeout_ms == 0) {
        client->is_kick_due = true;
        turn_soon(client);
    }
    return 0;
}

static void on_deadline(uv_timer_t *timer);

void mt_http__deadline_by(struct mt_http_client *client, int64_t at_ms)
{
    if (at_ms == INT64_MAX || (client->deadline_at_ms != 0 && client->deadline_at_ms <= at_ms))
        return;
    int64_t in_ms = at_ms + DEADLINE_SLACK_MS - mt_loop_now_ms(client->loop);
    client->deadline_at_ms = at_ms;
    (void)uv_timer_start(&client->deadline, on_deadline, in_ms > 0 ? (uint64_t)in_ms : 0, 0);
}

/* on_end may start and cancel calls, so after each end the walk starts anew. */
static bool end_one_overdue(struct mt_http_client *client, int64_t now_ms)
{
    for (struct mt_http_call *call = client->active; call != NULL; call = call->next) {
        const char *text = mt_http__call_overdue(call, now_ms);

        if (text != NULL && call->state == MT_HTTP_CALL_ACTIVE) {
            end_failed(call, MT_HTTP_TIMED_OUT, text);
            return true;
        }
    }
    return false;
}

static void on_deadline(uv_timer_t *timer)
{
    struct mt_http_client *client = timer->data;
    int64_t now_ms = mt_loop_now_ms(client->loop);

    client->deadline_at_ms = 0;
    while (end_one_overdue(client, now_ms))
        continue;
    for (struct mt_http_call *call = client->active; call != NULL; call = call->next)
        mt_http__deadline_by(client, mt_http__call_deadline_ms(call));
}

static void drop_spare(struct mt_http_client *client, struct mt_http_call *call)
{
    list_take(&client->spare, call);
    client->spare_n--;
}

/* A spare call that suits; NULL when there is none. Then one that does not makes room, so that
 * spares are of the kind that is asked for. */
static struct mt_http_call *take_spare(struct mt_http_client *client,
                                       const struct mt_http_request *request)
{
    struct mt_http_call *call = client->spare;

    while (call != NULL && !mt_http__call_suits(call, request))
        call = call->next;
    if (call != NULL) {
        drop_spare(client, call);
    } else if (client->spare_n == SPARE_MAX) {
        struct mt_http_call *other = client->spare;

        drop_spare(client, other);
        mt_http__call_free(other);
    }
    return call;
}

mt_rc mt_http_request(struct mt_http_client *client, const struct mt_http_request *request,
                      const struct mt_http_call_ops *ops, void *ctx, struct mt_http_call **out,
                      struct mt_err *err)
{
    struct mt_http_call *call = take_spare(client, request);
    mt_rc rc = MT_OK;

    if (call == NULL)
        MT_TRY(mt_http__call_new(client, request, &call, err));
    rc = mt_http__call_setup(call, request, err);
    call->is_waiting = client->in_curl > 0; /* libcurl cannot be entered twice */
    if (rc == MT_OK && !call->is_waiting &&
        curl_multi_add_handle(client->multi, call->easy) != CURLM_OK)
        rc = MT_FAIL(err, MT_E_NOMEM, "http call");
    if (rc != MT_OK) {
        retire(call);
        return rc;
    }
    if (call->is_waiting) {
        client->is_sweep_due = true;
        turn_soon(client);
    }
    call->ops = *ops;
    call->ctx = ctx;
    call->state = MT_HTTP_CALL_ACTIVE;
    list_push(&client->active, call);
    set_active_n(client, client->active_n + 1);
    mt_http__deadline_by(client, mt_http__call_deadline_ms(call));
    if (out != NULL)
        *out = call;
    return MT_OK;
}

/* A small body that libcurl has not copied yet may go away now: let it copy zeros. */
static void forget_body(struct mt_http_call *call)
{
    static const char zeros[64 * 1024];

    if (call->body.len > 0 && call->body.len <= sizeof zeros)
        curl_easy_setopt(call->easy, CURLOPT_POSTFIELDS, zeros);
}

void mt_http_call_cancel(struct mt_http_call *call)
{
    struct mt_http_client *client = call->client;

    if (call->state != MT_HTTP_CALL_ACTIVE)
        return; /* on_end is running: it is over anyway */
    call->state = MT_HTTP_CALL_CANCELLED;
    if (client->in_curl == 0) {
        detach(call);
        retire(call);
        return;
    }
    forget_body(call);
    client->is_sweep_due = true;
    turn_soon(client);
}

/* HTTP_PROXY in capitals is for us, too: we are no CGI program. */
static void find_proxies(struct mt_http_client *client)
{
    static const char *const names[] = {"http_proxy",  "HTTP_PROXY", "https_proxy",
                                        "HTTPS_PROXY", "all_proxy",  "ALL_PROXY"};

    for (size_t i = 0; i < MT_ARRAY_LEN(names); i++) {
        const char *value = getenv(names[i]);

        if (value != NULL && value[0] != '\0')
            client->has_proxy = true;
    }
    if (getenv("http_proxy") == NULL)
        client->plain_proxy = getenv("HTTP_PROXY");
}

static void init_libcurl(void)
{
    (void)curl_global_init(CURL_GLOBAL_DEFAULT);
}

static mt_rc start(struct mt_http_client *client, const struct mt_http_client_opts *opts,
                   struct mt_err *err)
{
    static uv_once_t once = UV_ONCE_INIT;
    unsigned host_max = opts->connections_per_host_max > 0 ? opts->connections_per_host_max
                                                           : HOST_CONNECTIONS_DEFAULT;

    uv_once(&once, init_libcurl);
    client->idle_max =
        opts->idle_connections_max > 0 ? opts->idle_connections_max : IDLE_CONNECTIONS_DEFAULT;
    client->multi = curl_multi_init();
    client->share = curl_share_init();
    if (opts->ca_file != NULL)
        client->ca_file = mt_alloc_cstr(mt_str_of(opts->ca_file));
    if (client->multi == NULL || client->share == NULL ||
        (opts->ca_file != NULL && client->ca_file == NULL))
        return MT_FAIL(err, MT_E_NOMEM, "http client");
    curl_share_setopt(client->share, CURLSHOPT_SHARE, CURL_LOCK_DATA_SSL_SESSION);
    curl_multi_setopt(client->multi, CURLMOPT_SOCKETFUNCTION, mt_http__on_socket);
    curl_multi_setopt(client->multi, CURLMOPT_SOCKETDATA, client);
    curl_multi_setopt(client->multi, CURLMOPT_TIMERFUNCTION, on_timer_wish);
    curl_multi_setopt(client->multi, CURLMOPT_TIMERDATA, client);
    curl_multi_setopt(client->multi, CURLMOPT_MAX_HOST_CONNECTIONS, (long)host_max);
    set_active_n(client, 0);
    find_proxies(client);
    return MT_OK;
}

mt_rc mt_http_client_new(struct mt_loop *loop, const struct mt_http_client_opts *opts,
                         struct mt_http_client **out, struct mt_err *err)
{
    static const struct mt_http_client_opts defaults;
    struct mt_http_client *client = mt_alloc(1, sizeof *client);

    if (client == NULL)
        return MT_FAIL(err, MT_E_NOMEM, "http client");
    client->loop = loop;
    client->turn.fn = on_turn;
    client->turn.owner = client;
    (void)uv_timer_init(mt_loop_uv(loop), &client->timer); /* these two cannot fail */
    (void)uv_timer_init(mt_loop_uv(loop), &client->deadline);
    client->timer.data = client->deadline.data = client;
    client->handles_n = 2;
    mt_rc rc = start(client, opts == NULL ? &defaults : opts, err);
    if (rc != MT_OK) {
        mt_http_client_free(client);
        return rc;
    }
    *out = client;
    return MT_OK;
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct mt_http_client *client = handle->data;

    client->handles_n--;
    if (client->handles_n == 0)
        mt_free(client);
}

void mt_http_client_free(struct mt_http_client *client)
{
    struct mt_http_call *call;

    if (client == NULL)
        return;
    MT_ASSERT(client->in_curl == 0 && !client->is_ending);
    while (client->active != NULL) {
        call = client->active;
        detach(call);
        mt_http__call_free(call);
    }
    while (client->spare != NULL) {
        call = client->spare;
        drop_spare(client, call);
        mt_http__call_free(call);
    }
    if (client->multi != NULL)
        (void)curl_multi_cleanup(client->multi); /* closes the idle connections */
    if (client->share != NULL)
        (void)curl_share_cleanup(client->share);
    mt_loop__drop_turn(client->loop, &client->turn);
    mt_free(client->sockets);
    mt_free(client->ca_file);
    uv_close((uv_handle_t *)&client->timer, on_handle_closed);
    uv_close((uv_handle_t *)&client->deadline, on_handle_closed);
}
