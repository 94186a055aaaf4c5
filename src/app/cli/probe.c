/* SPDX-License-Identifier: Apache-2.0 */
/* Is an endpoint there, and does it take our key? */
#include "probe.h"

#include "base/alloc.h"
#include "crypto/secret.h"
#include "engine/remote.h"
#include "net/http_client.h"
#include "net/loop.h"

enum { TIMEOUT_MS = 10000, URL_MAX = 8192, HEADERS_MAX = 3 };

struct probe {
    struct mt_loop *loop;
    struct mt_http_client *http;
    struct mt_http_call *call;
    char *ca_file; /* NULL = the system's authorities */
    int status;
    mt_rc rc;
    struct mt_err err;
};

static void on_head(void *ctx, struct mt_http_call *call, int status)
{
    struct probe *probe = ctx;

    probe->status = status;
    mt_http_call_cancel(call);
    mt_loop_stop(probe->loop);
}

static void on_bytes(void *ctx, struct mt_http_call *call, struct mt_str bytes)
{
    (void)ctx;
    (void)call;
    (void)bytes;
}

static void on_end(void *ctx, struct mt_http_call *call, enum mt_http_end end,
                   const struct mt_err *err)
{
    struct probe *probe = ctx;

    (void)call;
    if (end == MT_HTTP_TIMED_OUT)
        probe->rc =
            MT_FAIL(&probe->err, MT_E_TIMEOUT, "no answer within %d s", TIMEOUT_MS / 1000);
    else if (end != MT_HTTP_DONE)
        probe->rc = MT_FAIL(&probe->err, MT_E_UPSTREAM, "%s", err->text);
    mt_loop_stop(probe->loop);
}

static const struct mt_http_call_ops ops = {on_head, on_bytes, on_end};

/* Where each dialect lists models, and how it takes a key. */
static const struct dialect {
    const char *name, *path, *key_header, *key_prefix;
} dialects[] = {
    {"openai", "/v1/models", "authorization", "Bearer "},
    {"openai-responses", "/v1/models", "authorization", "Bearer "},
    {"anthropic", "/v1/models", "x-api-key", ""},
    {"gemini", "/v1beta/models", "x-goog-api-key", ""},
    {"ollama", "/api/tags", "authorization", "Bearer "},
};

static const struct dialect *dialect_of(struct mt_str name)
{
    for (size_t i = 0; i < MT_ARRAY_LEN(dialects); i++) {
        if (mt_str_is(name, dialects[i].name))
            return &dialects[i];
    }
    return &dialects[0];
}

static mt_rc begin(struct probe *probe, const struct mt_config_endpoint *endpoint,
                   struct mt_buf *url, struct mt_buf *key, struct mt_err *err)
{
    const struct dialect *dialect = dialect_of(endpoint->dialect);
    struct mt_http_header headers[HEADERS_MAX] = {
        {"anthropic-version", MT_STR_INIT("2023-06-01")}};
    size_t headers_n = mt_str_is(endpoint->dialect, "anthropic") ? 1 : 0;

    mt_remote_url(endpoint->url, mt_str_of(dialect->path), url);
    mt_buf_addf(key, "%s%.*s", dialect->key_prefix, MT_STR_ARG(endpoint->api_key));
    if (endpoint->api_key.len > 0)
        headers[headers_n++] = (struct mt_http_header){dialect->key_header, mt_buf_str(key)};
    MT_TRY(mt_buf_check(url, "address", err));
    MT_TRY(mt_buf_check(key, "key", err));
    const struct mt_http_request request = {
        .method = "GET",
        .url = mt_buf_cstr(url),
        .headers = headers,
        .headers_n = headers_n,
        .ca_file = probe->ca_file,
        .total_timeout_ms = TIMEOUT_MS,
    };
    return mt_http_request(probe->http, &request, &ops, probe, &probe->call, err);
}

static mt_rc run(struct probe *probe, const struct mt_config_endpoint *endpoint,
                 struct mt_buf *url, struct mt_buf *key, struct mt_err *err)
{
    MT_TRY(mt_loop_new(&probe->loop, err));
    MT_TRY(mt_http_client_new(probe->loop, NULL, &probe->http, err));
    if (endpoint->ca_file.len > 0)
        probe->ca_file = mt_alloc_cstr(endpoint->ca_file);
    if (endpoint->ca_file.len > 0 && probe->ca_file == NULL)
        return MT_FAIL(err, MT_E_NOMEM, "path of a certificate");
    MT_TRY(begin(probe, endpoint, url, key, err));
    mt_loop_run(probe->loop);
    if (probe->rc != MT_OK && err != NULL)
        *err = probe->err;
    return probe->rc;
}

mt_rc probe_endpoint(const struct mt_config_endpoint *endpoint, int *status, struct mt_err *err)
{
    struct probe probe = {0};
    struct mt_buf url = MT_BUF_INIT(URL_MAX);
    struct mt_buf key = MT_BUF_INIT(MT_SECRET_MAX);
    mt_rc rc = run(&probe, endpoint, &url, &key, err);

    mt_http_client_free(probe.http);
    mt_loop_free(probe.loop);
    mt_free(probe.ca_file);
    mt_buf_fini(&url);
    if (key.len > 0)
        mt_wipe(key.at, key.len);
    mt_buf_fini(&key);
    if (rc == MT_OK)
        *status = probe.status;
    return rc;
}
