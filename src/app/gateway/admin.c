/* SPDX-License-Identifier: Apache-2.0 */
/* motet's own routes: liveness, metrics, status, stop, reload; and Ollama's greetings. */
#include <stdio.h>

#include "gateway_priv.h"

enum { METRICS_MAX = 1024 * 1024, STATUS_MAX = 1024 * 1024 };

static void answer_text(struct session *s, const char *type, struct mt_str text)
{
    session_common_headers(s);
    s->is_answered = true;
    mt_http_answer(s->x, 200, type, text);
}

void handle_health(struct session *s)
{
    bool is_lost = mt_ledger_is_lost(s->gw->deps.ledger);

    answer_text(s, "application/json",
                is_lost ? MT_STR("{\"status\":\"ledger_lost\"}\n")
                        : MT_STR("{\"status\":\"ok\"}\n"));
}

void handle_ollama_root(struct session *s)
{
    answer_text(s, "text/plain; charset=utf-8", MT_STR("Ollama is running"));
}

void handle_ollama_version(struct session *s)
{
    char text[128];
    int n = snprintf(text, sizeof text, "{\"version\":\"%s\"}", s->gw->deps.version);

    answer_text(s, "application/json", (struct mt_str){text, (size_t)n});
}

/* ------------------------------------------------------------------ metrics */

/* A label's value: quotes, backslashes and line ends escaped. */
static void add_label(struct mt_buf *out, const char *name, struct mt_str value)
{
    mt_buf_addf(out, "%s=\"", name);
    for (size_t i = 0; i < value.len; i++) {
        if (value.at[i] == '"' || value.at[i] == '\\')
            mt_buf_add_char(out, '\\');
        mt_buf_add_char(out, value.at[i] == '\n' ? ' ' : value.at[i]);
    }
    mt_buf_add_char(out, '"');
}

static int64_t endpoint_value(const struct board_endpoint *endpoint, int what)
{
    switch (what) {
    case 0:
        return endpoint->tries_n;
    case 1:
        return endpoint->failures_n;
    case 2:
        return endpoint->active_n;
    default:
        return endpoint->breaker.state == MT_BREAKER_OPEN;
    }
}

static void write_endpoints(const struct board *board, struct mt_buf *out)
{
    static const struct {
        const char *name, *type, *help;
    } rows[] = {
        {"motet_endpoint_attempts_total", "counter", "Attempts at an endpoint."},
        {"motet_endpoint_failures_total", "counter", "Attempts that failed by its fault."},
        {"motet_endpoint_active", "gauge", "Attempts in flight."},
        {"motet_endpoint_breaker_open", "gauge", "1 while the endpoint is left alone."},
    };
    for (size_t r = 0; r < MT_ARRAY_LEN(rows); r++) {
        metrics_head(out, rows[r].name, rows[r].type, rows[r].help);
        for (size_t i = 0; i < board->endpoints_n; i++) {
            mt_buf_addf(out, "%s{", rows[r].name);
            add_label(out, "endpoint", board->endpoints[i].name);
            mt_buf_addf(out, "} %lld\n",
                        (long long)endpoint_value(&board->endpoints[i], (int)r));
        }
    }
}

static void write_cache(const struct cache *cache, struct mt_buf *out)
{
    struct cache_stats stats;

    cache_stats(cache, &stats);
    metrics_head(out, "motet_cache_hits_total", "counter", "Answers from the cache.");
    metrics_sample(out, "motet_cache_hits_total", NULL, stats.hits_n);
    metrics_head(out, "motet_cache_misses_total", "counter",
                 "Cacheable requests not in the cache.");
    metrics_sample(out, "motet_cache_misses_total", NULL, stats.misses_n);
    metrics_head(out, "motet_cache_bytes", "gauge", "Bytes of cached answers.");
    metrics_sample(out, "motet_cache_bytes", NULL, (int64_t)stats.bytes);
}

static void write_ledger(struct mt_ledger *ledger, struct mt_buf *out)
{
    struct mt_ledger_stats stats;

    mt_ledger_stats(ledger, &stats);
    metrics_head(out, "motet_ledger_rows_total", "counter", "Rows written to the usage table.");
    metrics_sample(out, "motet_ledger_rows_total", NULL, stats.rows_n);
    metrics_head(out, "motet_ledger_open", "gauge", "Requests reserved and not settled.");
    metrics_sample(out, "motet_ledger_open", NULL, stats.open_n);
    metrics_head(out, "motet_ledger_backlog_bytes", "gauge", "Journal not yet in the table.");
    metrics_sample(out, "motet_ledger_backlog_bytes", NULL, stats.backlog_bytes);
    metrics_head(out, "motet_ledger_trouble_total", "counter", "Failed syncs and batches.");
    metrics_sample(out, "motet_ledger_trouble_total", NULL, stats.trouble_n);
    metrics_head(out, "motet_ledger_lost", "gauge",
                 "1 while the ledger's files are deleted or replaced.");
    metrics_sample(out, "motet_ledger_lost", NULL, mt_ledger_is_lost(ledger));
}

void handle_metrics(struct session *s)
{
    MT_CLEANUP(mt_buf_fini) struct mt_buf body = MT_BUF_INIT(METRICS_MAX);
    struct mt_err err = {0};

    metrics_write(&s->gw->metrics, &body);
    metrics_head(&body, "motet_requests_in_flight", "gauge", "Exchanges with clients now.");
    metrics_sample(&body, "motet_requests_in_flight", NULL, (int64_t)s->gw->sessions_n);
    write_endpoints(s->board, &body);
    write_cache(s->gw->cache, &body);
    write_ledger(s->gw->deps.ledger, &body);
    if (mt_buf_check(&body, "metrics", &err) != MT_OK)
        session_fail_rc(s, &err);
    else
        answer_text(s, "text/plain; version=0.0.4; charset=utf-8", mt_buf_str(&body));
}

/* ------------------------------------------------------------------ status */

static void status_endpoints(struct mt_jw *w, const struct session *s)
{
    int64_t now_ms = mt_loop_now_ms(s->gw->deps.loop);

    mt_jw_key(w, "endpoints");
    mt_jw_array(w);
    for (size_t i = 0; i < s->board->endpoints_n; i++) {
        const struct board_endpoint *endpoint = &s->board->endpoints[i];
        mt_jw_object(w);
        mt_jw_kstr(w, "name", endpoint->name);
        mt_jw_kstr(w, "dialect", endpoint->config->dialect);
        mt_jw_kstr(w, "url", endpoint->config->url);
        mt_jw_kbool(w, "has_key", endpoint->config->api_key.len > 0);
        mt_jw_kbool(w, "found", endpoint->config->is_found);
        mt_jw_kcstr(w, "breaker", mt_breaker_name(endpoint->breaker.state));
        mt_jw_ki64(w, "breaker_wait_ms", mt_breaker_wait_ms(&endpoint->breaker, now_ms));
        mt_jw_ki64(w, "active", endpoint->active_n);
        mt_jw_ki64(w, "attempts", endpoint->tries_n);
        mt_jw_ki64(w, "failures", endpoint->failures_n);
        mt_jw_end(w);
    }
    mt_jw_end(w);
}

void handle_status(struct session *s)
{
    MT_CLEANUP(mt_buf_fini) struct mt_buf body = MT_BUF_INIT(STATUS_MAX);
    struct mt_jw w;

    mt_jw_begin(&w, &body);
    mt_jw_object(&w);
    mt_jw_kcstr(&w, "version", s->gw->deps.version);
    mt_jw_kstr(&w, "config", s->board->config->file);
    mt_jw_kstr(&w, "data_dir", s->board->config->data_dir);
    mt_jw_kbool(&w, "ledger_lost", mt_ledger_is_lost(s->gw->deps.ledger));
    mt_jw_ki64(&w, "in_flight", (int64_t)s->gw->sessions_n);
    mt_jw_ki64(&w, "keys", (int64_t)s->board->keys_n);
    mt_jw_kstr(&w, "default_model", s->board->table.default_model);
    status_endpoints(&w, s);
    mt_jw_end(&w);
    session_answer_json(s, 200, &body);
}

void handle_stop(struct session *s)
{
    answer_text(s, "application/json", MT_STR("{\"status\":\"stopping\"}\n"));
    if (s->gw->deps.on_stop != NULL)
        s->gw->deps.on_stop(s->gw->deps.ctx);
}

void handle_reload(struct session *s)
{
    answer_text(s, "application/json", MT_STR("{\"status\":\"reloading\"}\n"));
    if (s->gw->deps.on_reload != NULL)
        s->gw->deps.on_reload(s->gw->deps.ctx);
}
