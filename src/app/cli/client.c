/* SPDX-License-Identifier: Apache-2.0 */
/* One call, waited for on a loop of its own; a line on a terminal while nothing comes. */
#include "client.h"

#include <string.h>

#include "base/alloc.h"
#include "interrupt.h"
#include "net/http_client.h"
#include "net/loop.h"
#include "wire/json.h"

enum { QUIET_MS = 1000, TICK_MS = 250, ERROR_MAX = 64 * 1024 };

struct wait { /* a call on its way */
    struct client *client;
    const struct client_call *call;
    struct mt_loop *loop;
    struct mt_http_client *http;
    struct mt_http_call *flying;
    struct mt_timer *tick;
    int64_t began_ms;
    bool has_line; /* a progress line stands on the terminal */
    int status;
    struct mt_buf *answer;
    struct mt_buf trouble; /* body of a bad answer */
    mt_rc rc;
    struct mt_err err;
};

/* ------------------------------------------------------------------ progress */

static void clear_line(struct wait *wait)
{
    if (wait->has_line)
        (void)fputs("\r\033[K", wait->client->cli->err);
    (void)fflush(wait->client->cli->err);
    wait->has_line = false;
}

static void on_tick(void *arg)
{
    static const char *const frames[] = {"|", "/", "-", "\\"};
    struct wait *wait = arg;
    int64_t for_ms = mt_loop_now_ms(wait->loop) - wait->began_ms;

    (void)fprintf(wait->client->cli->err, "\r\033[K%s %s, %lld s",
                  frames[for_ms / TICK_MS % (int64_t)MT_ARRAY_LEN(frames)],
                  wait->call->waiting_for, (long long)(for_ms / 1000));
    (void)fflush(wait->client->cli->err);
    wait->has_line = true;
    mt_timer_start(wait->tick, TICK_MS);
}

static void quiet(struct wait *wait)
{
    if (wait->tick != NULL)
        mt_timer_stop(wait->tick);
    clear_line(wait);
}

/* ------------------------------------------------------------------ the call */

static void end(struct wait *wait, mt_rc rc)
{
    wait->rc = rc;
    wait->flying = NULL;
    quiet(wait);
    mt_loop_stop(wait->loop);
}

static void keep_header(struct mt_http_call *call, const char *name, char *out, size_t max)
{
    struct mt_str value = mt_http_call_header(call, name);

    (void)snprintf(out, max, "%.*s", MT_STR_ARG(value));
}

static void on_head(void *ctx, struct mt_http_call *call, int status)
{
    struct wait *wait = ctx;
    struct client_info *info = wait->call->info;

    wait->status = status;
    if (info == NULL)
        return;
    info->status = status;
    keep_header(call, "x-motet-receipt", info->receipt, sizeof info->receipt);
    keep_header(call, "x-motet-route", info->route, sizeof info->route);
    keep_header(call, "x-motet-cost", info->cost, sizeof info->cost);
    keep_header(call, "x-motet-warning", info->warning, sizeof info->warning);
}

static void on_bytes(void *ctx, struct mt_http_call *call, struct mt_str bytes)
{
    struct wait *wait = ctx;
    mt_rc rc = MT_OK;

    quiet(wait);
    if (wait->status >= 400)
        mt_buf_add(&wait->trouble, bytes);
    else if (wait->call->on_bytes != NULL)
        rc = wait->call->on_bytes(wait->call->ctx, bytes, &wait->err);
    else if (wait->answer != NULL)
        mt_buf_add(wait->answer, bytes);
    if (rc == MT_OK)
        return;
    mt_http_call_cancel(call);
    end(wait, rc);
}

static void on_end(void *ctx, struct mt_http_call *call, enum mt_http_end how,
                   const struct mt_err *err)
{
    struct wait *wait = ctx;
    mt_rc rc = MT_OK;

    (void)call;
    switch (how) {
    case MT_HTTP_DONE:
        break;
    case MT_HTTP_NOT_CONNECTED:
        rc = MT_FAIL(&wait->err, MT_E_UPSTREAM,
                     "no node answers at %s; start one with: motet up", wait->client->url);
        break;
    case MT_HTTP_BROKEN:
    case MT_HTTP_TIMED_OUT:
    case MT_HTTP_TOO_BIG:
        rc = MT_FAIL(&wait->err, MT_E_UPSTREAM, "the node at %s broke off: %s",
                     wait->client->url, err->text);
        break;
    }
    end(wait, rc);
}

static void on_interrupt(void *arg, int signum)
{
    struct wait *wait = arg;

    (void)signum;
    if (wait->flying == NULL)
        return;
    mt_http_call_cancel(wait->flying);
    end(wait, MT_FAIL(&wait->err, MT_E_CANCELED, "interrupted"));
}

static const struct mt_http_call_ops ops = {on_head, on_bytes, on_end};

static mt_rc begin(struct wait *wait, struct mt_err *err)
{
    const struct client *client = wait->client;
    MT_CLEANUP(mt_buf_fini) struct mt_buf url = MT_BUF_INIT(CLIENT_URL_MAX + 1024);
    struct mt_buf bearer = MT_BUF_INIT(MT_SECRET_MAX + 16);
    struct mt_http_header headers[2] = {{"content-type", MT_STR_INIT("application/json")}};
    size_t headers_n = 1;

    mt_buf_addf(&url, "%s%s", client->url, wait->call->path);
    if (!mt_secret_is_empty(&client->key)) {
        mt_buf_add_cstr(&bearer, "Bearer ");
        mt_buf_add(&bearer, mt_secret_view(&client->key));
        headers[headers_n++] = (struct mt_http_header){"authorization", mt_buf_str(&bearer)};
    }
    const struct mt_http_request request = {
        .method = wait->call->method,
        .url = mt_buf_cstr(&url),
        .headers = headers,
        .headers_n = headers_n,
        .body = wait->call->body,
    };
    mt_rc rc = mt_buf_check(&url, "address", err);
    if (rc == MT_OK)
        rc = mt_buf_check(&bearer, "key", err);
    if (rc == MT_OK)
        rc = mt_http_request(wait->http, &request, &ops, wait, &wait->flying, err);
    if (bearer.len > 0)
        mt_wipe(bearer.at, bearer.len);
    mt_buf_fini(&bearer);
    return rc;
}

static mt_rc prepare(struct wait *wait, struct mt_err *err)
{
    const struct mt_http_client_opts opts = {.ca_file = wait->client->ca_file};

    MT_TRY(mt_loop_new(&wait->loop, err));
    MT_TRY(mt_http_client_new(wait->loop, &opts, &wait->http, err));
    if (wait->call->can_interrupt)
        MT_TRY(mt_loop_on_signal(wait->loop, SIGINT, on_interrupt, wait, err));
    wait->began_ms = mt_loop_now_ms(wait->loop);
    if (wait->call->waiting_for != NULL && wait->client->cli->is_err_tty) {
        MT_TRY(mt_timer_new(wait->loop, on_tick, wait, &wait->tick, err));
        mt_timer_start(wait->tick, QUIET_MS);
    }
    return begin(wait, err);
}

/* ------------------------------------------------------------------ what a refusal means */

static mt_rc rc_of_status(int status)
{
    static const struct {
        int status;
        mt_rc rc;
    } rows[] = {
        {400, MT_E_INVALID},      {401, MT_E_UNAUTHORIZED}, {402, MT_E_BUDGET},
        {403, MT_E_DENIED},       {404, MT_E_NOTFOUND},     {408, MT_E_TIMEOUT},
        {409, MT_E_EXISTS},       {413, MT_E_TOOBIG},       {422, MT_E_INVALID},
        {429, MT_E_RATE_LIMITED}, {501, MT_E_UNSUPPORTED},  {503, MT_E_BUSY},
        {504, MT_E_TIMEOUT},
    };

    for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
        if (rows[i].status == status)
            return rows[i].rc;
    }
    return MT_E_UPSTREAM;
}

/* {"error": "words"} or {"error": {"message": "words"}}: the words. */
static bool words_of(const struct mt_json *root, struct mt_arena *arena, struct mt_str *out)
{
    const struct mt_json *error = mt_json_get(root, "error");

    return mt_json_str(error, arena, out) ||
           mt_json_str(mt_json_get(error, "message"), arena, out);
}

static mt_rc refuse(const struct wait *wait, struct mt_err *err)
{
    MT_CLEANUP(mt_json_doc_freep) struct mt_json_doc *doc = NULL;
    MT_CLEANUP(mt_arena_fini) struct mt_arena arena = MT_ARENA_INIT(ERROR_MAX);
    const struct mt_json *root;
    struct mt_str words = {0};
    mt_rc rc = rc_of_status(wait->status);

    MT_TRY(mt_json_doc_new(&doc, err));
    if (wait->trouble.len == 0 ||
        mt_json_parse(doc, mt_buf_str(&wait->trouble), &root, NULL) != MT_OK ||
        !words_of(root, &arena, &words))
        return MT_FAIL(err, rc, "the node at %s says %d", wait->client->url, wait->status);
    if (rc == MT_E_UNAUTHORIZED)
        return MT_FAIL(err, rc, "%.*s (put a key of this node into MOTET_API_KEY)",
                       MT_STR_ARG(words));
    return MT_FAIL(err, rc, "%.*s", MT_STR_ARG(words));
}

/* Turn the loop until the call has ended. */
static void turn(struct wait *wait)
{
    sigset_t old;

    if (!wait->call->can_interrupt) {
        mt_loop_run(wait->loop);
        return;
    }
    interrupt_allow(&old);
    mt_loop_run(wait->loop);
    interrupt_restore(&old); /* before the loop takes its handler away */
}

mt_rc client_call(struct client *client, const struct client_call *call, struct mt_buf *answer,
                  struct mt_err *err)
{
    struct wait wait = {.client = client, .call = call, .answer = answer};

    mt_buf_init(&wait.trouble, ERROR_MAX);
    mt_rc rc = prepare(&wait, err);
    if (rc == MT_OK) {
        turn(&wait);
        rc = wait.rc;
        if (rc != MT_OK && err != NULL)
            *err = wait.err;
        else if (rc == MT_OK && wait.status >= 400)
            rc = refuse(&wait, err);
        else if (rc == MT_OK && answer != NULL)
            rc = mt_buf_check(answer, "answer of the node", err);
    }
    mt_timer_free(wait.tick);
    mt_http_client_free(wait.http);
    mt_loop_free(wait.loop);
    mt_buf_fini(&wait.trouble);
    return rc;
}
