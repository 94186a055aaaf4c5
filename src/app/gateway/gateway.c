/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/gateway.h"

#include "gateway_priv.h"

/* Every connection holds room for its headers: a thousand streams pay for each KiB. Clients of
 * LLMs send one or two. */
enum { HEADER_BYTES_MAX = 7 * 1024 };

enum {
    SCRATCH_MAX = 64 * 1024 * 1024,
    OUT_MAX = 64 * 1024 * 1024,
    TICK_MS = 1000,
    LAST_WORDS_MS = 500
};

/* ------------------------------------------------------------------ silence */

static bool is_in_our_words(const struct ask *ask)
{
    for (size_t i = 0; i < ASK_LEGS; i++) {
        if (ask->legs[i].is_in_use && ask->legs[i].lane != MT_LANE_EVENTS)
            return false;
    }
    return ask_lane_for(ask, ask->attempt.target) == MT_LANE_EVENTS;
}

/* A stream whose engine is silent gets a sign of life, so that nobody between us and the client
 * takes the connection for dead. Before the first byte it is begun by that: no content has been
 * sent, so another target can still be tried. The fast lane's bytes are the endpoint's own
 * affair. */
static void ping(struct session *s)
{
    const struct mt_chat_event event = {.kind = MT_EVENT_PING};
    struct ask *ask = s->ask;

    if (s->is_gone || s->is_paused || s->is_held || !is_in_our_words(ask))
        return;
    if (!s->is_answered && ask_begin_stream(ask, NULL) != MT_OK)
        return; /* no memory for it: the answer itself will say so */
    if (ask->encoder != NULL)
        ask_send_event(ask, &event);
}

static bool is_streaming(const struct session *s)
{
    return s->ask != NULL && !s->ask->is_over && s->ask->peek.stream && s->bill.is_reserved;
}

static void start_tick(struct mt_gateway *gw)
{
    int64_t ping_ms = gw->board->config->ping_ms;

    mt_timer_start(gw->tick, ping_ms > 0 && ping_ms < TICK_MS ? ping_ms : TICK_MS);
}

static void tick(void *arg)
{
    struct mt_gateway *gw = arg;
    int64_t now_ms = mt_loop_now_ms(gw->deps.loop);
    int64_t ping_ms = gw->board->config->ping_ms;
    bool any = false;

    for (struct session *s = gw->sessions; s != NULL; s = s->next) {
        if (!is_streaming(s))
            continue;
        any = true;
        if (ping_ms > 0 && now_ms - s->last_sent_ms >= ping_ms)
            ping(s);
    }
    gw->is_ticking = any;
    if (any)
        start_tick(gw);
}

mt_rc gateway_parse(struct mt_gateway *gw, struct mt_str text, const struct mt_json **root,
                    struct mt_err *err)
{
    gw->parsed_for = NULL;
    return mt_json_parse(gw->doc, text, root, err);
}

/* Large bodies leave holes in the heap. Their pages go back when the rush is over, not while it
 * lasts: the next body would only fault them in again. */
enum { WORTH_A_TRIM = 4 * 1024 * 1024, TRIM_AFTER_MS = 500, RUSH_BYTES = 1024 * 1024 };

static void trim(void *arg)
{
    struct mt_gateway *gw = arg;
    bool is_rush = gw->freed_lately >= RUSH_BYTES;

    gw->freed_lately = 0;
    if (is_rush) {
        mt_timer_start(gw->trim, TRIM_AFTER_MS);
        return;
    }
    gw->freed_bytes = 0;
    gw->parsed_for = NULL;
    mt_json_doc_clear(gw->doc); /* its nodes grew with the bodies */
    mt_json_doc_clear(gw->scratch.doc);
    mt_alloc_trim();
}

void gateway_freed(struct mt_gateway *gw, size_t bytes)
{
    size_t before = gw->freed_bytes;

    gw->freed_bytes += bytes;
    gw->freed_lately += bytes;
    if (before < WORTH_A_TRIM && gw->freed_bytes >= WORTH_A_TRIM)
        mt_timer_start(gw->trim, TRIM_AFTER_MS);
}

void gateway_tick(struct mt_gateway *gw)
{
    if (gw->is_ticking)
        return;
    gw->is_ticking = true;
    start_tick(gw);
}

/* ------------------------------------------------------------------ limits */

static const enum mt_limit_window windows[] = {
    [MT_PER_SECOND] = MT_WINDOW_SECOND, [MT_PER_MINUTE] = MT_WINDOW_MINUTE,
    [MT_PER_HOUR] = MT_WINDOW_HOUR,     [MT_PER_DAY] = MT_WINDOW_DAY,
    [MT_PER_MONTH] = MT_WINDOW_MONTH,   [MT_PER_EVER] = MT_WINDOW_TOTAL,
};

static size_t limits_count(const struct mt_config *config)
{
    size_t n = config->limits.n;

    for (size_t i = 0; i < config->keys_n; i++)
        n += config->keys[i].limits.n;
    for (size_t i = 0; i < config->models_n; i++)
        n += config->models[i].limits.n;
    return n * MT_LIMIT_KINDS;
}

static size_t add_limits(const struct mt_config_limits *limits, struct mt_str key,
                         struct mt_str model, struct mt_limit *out, size_t n)
{
    for (size_t i = 0; i < limits->n; i++) {
        const struct mt_config_limit *limit = &limits->at[i];
        const int64_t max[MT_LIMIT_KINDS] = {
            [MT_LIMIT_REQUESTS] = limit->requests,
            [MT_LIMIT_TOKENS] = limit->tokens,
            [MT_LIMIT_MONEY] = limit->money_usd_nano,
        };
        for (size_t kind = 0; kind < MT_LIMIT_KINDS; kind++) {
            if (max[kind] > 0)
                out[n++] = (struct mt_limit){key, model, (enum mt_limit_kind)kind,
                                             windows[limit->per], max[kind]};
        }
    }
    return n;
}

static mt_rc take_limits(struct mt_gateway *gw, const struct mt_config *config,
                         struct mt_err *err)
{
    const struct mt_str all = MT_STR("");
    size_t n = 0;
    MT_CLEANUP(mt_freep)
    struct mt_limit *limits = mt_alloc(limits_count(config) + 1, sizeof *limits);

    if (limits == NULL)
        return MT_FAIL(err, MT_E_NOMEM, "no memory for the table of limits");
    n = add_limits(&config->limits, all, all, limits, n);
    for (size_t i = 0; i < config->keys_n; i++)
        n = add_limits(&config->keys[i].limits, config->keys[i].name, all, limits, n);
    for (size_t i = 0; i < config->models_n; i++)
        n = add_limits(&config->models[i].limits, all, config->models[i].name, limits, n);
    return mt_account_set_limits(mt_ledger_account(gw->deps.ledger), limits, n, err);
}

/* ------------------------------------------------------------------ life */

static mt_rc take_config(struct mt_gateway *gw, const struct mt_config *config,
                         struct mt_err *err)
{
    struct board *board;

    MT_TRY(board_new(config, gw->deps.client, &gw->scratch, gw->deps.local,
                     gw->deps.admin_token, &board, err));
    mt_rc rc = take_limits(gw, config, err);
    if (rc < 0) {
        board_unref(board);
        return rc;
    }
    if (gw->board != NULL)
        board_inherit(board, gw->board);
    board_unref(gw->board);
    gw->board = board;
    return MT_OK;
}

static mt_rc open_server(struct mt_gateway *gw, struct mt_err *err)
{
    const struct mt_config *config = gw->board->config;
    MT_CLEANUP(mt_freep)
    char *cert = config->tls_cert.len > 0 ? mt_alloc_cstr(config->tls_cert) : NULL;
    MT_CLEANUP(mt_freep)
    char *key = config->tls_key.len > 0 ? mt_alloc_cstr(config->tls_key) : NULL;
    const struct mt_http_server_opts opts = {
        .host = config->listen_host,
        .header_bytes_max = HEADER_BYTES_MAX,
        .port = config->listen_port,
        .body_bytes_max = (size_t)config->body_bytes_max,
        .connections_max = (unsigned)config->connections_max,
        .header_timeout_ms = config->header_timeout_ms,
        .body_timeout_ms = config->body_timeout_ms,
        .tls_cert_file = cert,
        .tls_key_file = key,
    };
    return mt_http_server_new(gw->deps.loop, &opts, &session_server_ops, gw, &gw->server, err);
}

static mt_rc fill(struct mt_gateway *gw, const struct mt_config *config, struct mt_err *err)
{
    mt_arena_init(&gw->scratch_arena, SCRATCH_MAX);
    mt_buf_init(&gw->out, OUT_MAX);
    gw->scratch.arena = &gw->scratch_arena;
    MT_TRY(mt_json_doc_new(&gw->scratch.doc, err));
    MT_TRY(mt_json_doc_new(&gw->doc, err));
    MT_TRY(cache_new(&gw->cache, err));
    if (gw->deps.responses_path != NULL)
        MT_TRY(store_open(gw->deps.loop, gw->deps.responses_path, &gw->store, err));
    MT_TRY(mt_timer_new(gw->deps.loop, tick, gw, &gw->tick, err));
    MT_TRY(mt_timer_new(gw->deps.loop, trim, gw, &gw->trim, err));
    MT_TRY(take_config(gw, config, err));
    return open_server(gw, err);
}

mt_rc mt_gateway_open(const struct mt_gateway_deps *deps, const struct mt_config *config,
                      struct mt_gateway **out, struct mt_err *err)
{
    struct mt_gateway *gw = mt_alloc(1, sizeof *gw);

    if (gw == NULL)
        return MT_FAIL(err, MT_E_NOMEM, "no memory for the gateway");
    gw->deps = *deps;
    mt_rc rc = fill(gw, config, err);
    if (rc < 0) {
        mt_gateway_close(gw);
        return rc;
    }
    *out = gw;
    return MT_OK;
}

mt_rc mt_gateway_reload(struct mt_gateway *gw, const struct mt_config *config,
                        struct mt_err *err)
{
    return take_config(gw, config, err);
}

uint16_t mt_gateway_port(const struct mt_gateway *gw)
{
    return mt_http_server_port(gw->server);
}

/* Who is still waiting hears why, in the caller's dialect. */
static void interrupt_all(struct mt_gateway *gw)
{
    struct session *next;

    for (struct session *s = gw->sessions; s != NULL; s = next) {
        next = s->next;
        if (s->ask != NULL)
            ask_interrupt(s->ask);
    }
}

static void drain_over(void *arg)
{
    struct mt_gateway *gw = arg;
    void (*done)(void *ctx) = gw->drain_done;

    if (done != NULL && gw->begun_n > 0 && !gw->is_interrupting) {
        gw->is_interrupting = true;
        mt_timer_start(gw->drain_timer, LAST_WORDS_MS);
        interrupt_all(gw);
        return;
    }
    gw->drain_done = NULL;
    if (done != NULL)
        done(gw->drain_ctx);
}

void mt_gateway_drain(struct mt_gateway *gw, void (*done)(void *ctx), void *ctx)
{
    int64_t wait_ms = gw->begun_n > 0 ? gw->board->config->drain_ms : 0;

    gw->drain_done = done;
    gw->drain_ctx = ctx;
    mt_http_server_drain(gw->server);
    if (gw->drain_timer == NULL &&
        mt_timer_new(gw->deps.loop, drain_over, gw, &gw->drain_timer, NULL) != MT_OK) {
        gw->is_interrupting = true;
        drain_over(gw); /* no memory for patience */
        return;
    }
    mt_timer_start(gw->drain_timer, wait_ms);
}

void mt_gateway_close(struct mt_gateway *gw)
{
    if (gw == NULL)
        return;
    gw->is_closing = true;
    mt_http_server_free(gw->server); /* on_gone and on_closed run for what is in flight */
    MT_ASSERT(gw->sessions == NULL);
    board_unref(gw->board);
    cache_free(gw->cache);
    store_close(gw->store);
    mt_timer_free(gw->tick);
    mt_timer_free(gw->trim);
    mt_timer_free(gw->drain_timer);
    mt_json_doc_free(gw->scratch.doc);
    mt_json_doc_free(gw->doc);
    mt_arena_fini(&gw->scratch_arena);
    mt_buf_fini(&gw->out);
    mt_free(gw);
}
