/* SPDX-License-Identifier: Apache-2.0 */
/* The engine object of one endpoint: what is the same for all its requests. */
#include "engine/remote.h"

#include <stdio.h>

#include "base/assert.h"
#include "remote_priv.h"

/* How each dialect wants to be asked. */
static const struct remote_dialect {
    bool can_ask;
    const char *auth_header;
    const char *auth_prefix;
    const char *version_header; /* sent always; or NULL */
    const char *version_value;
} dialects[MT_DIALECT_COUNT] = {
    [MT_DIALECT_OPENAI_CHAT] = {true, "authorization", "Bearer ", NULL, NULL},
    [MT_DIALECT_OPENAI_RESPONSES] = {true, "authorization", "Bearer ", NULL, NULL},
    [MT_DIALECT_ANTHROPIC] = {true, "x-api-key", "", "anthropic-version", "2023-06-01"},
    [MT_DIALECT_GEMINI] = {true, "x-goog-api-key", "", NULL, NULL},
    [MT_DIALECT_OLLAMA_CHAT] = {true, "authorization", "Bearer ", NULL, NULL},
};

static mt_rc start(struct mt_engine *engine, const struct mt_engine_call *call,
                   struct mt_engine_run **out, struct mt_err *err)
{
    struct remote *remote = MT_CONTAINER(engine, struct remote, base);
    MT_CLEANUP(mt_buf_fini) struct mt_buf path = MT_BUF_INIT(4096);
    mt_rc rc = MT_OK;
    struct mt_engine_run *run = remote__run_new(remote);

    if (run == NULL)
        return MT_FAIL(err, MT_E_NOMEM, "endpoint '%s': no memory for a run", remote->name);
    run->chat = *call;
    if (call->lane == MT_LANE_FORWARD) {
        run->request = *call->forward_body;
        mt_buf_init(call->forward_body, call->forward_body->max);
        mt_buf_add(&path, call->forward_path);
    } else {
        rc = remote->codec->encode_request(call->request, call->model, &run->request, &path,
                                           call->notes, err);
        if (rc == MT_OK)
            rc = mt_buf_check(&run->request, "request", err);
    }
    if (rc == MT_OK)
        rc = mt_buf_check(&path, "path", err);
    if (rc == MT_OK)
        rc = remote__run_send(run, mt_buf_str(&path), mt_buf_str(&run->request), err);
    if (rc < 0) {
        remote__run_free(run);
        return rc;
    }
    *out = run;
    return MT_OK;
}

static mt_rc count_tokens(struct mt_engine *engine, const struct mt_chat_request *request,
                          struct mt_str model, int64_t *out, struct mt_err *err)
{
    const struct remote *remote = MT_CONTAINER(engine, struct remote, base);

    (void)request;
    (void)model;
    (void)out;
    return MT_FAIL(err, MT_E_UNSUPPORTED, "endpoint '%s' does not count tokens", remote->name);
}

static mt_rc describe(struct mt_engine *engine, struct mt_str model, struct mt_model_card *out,
                      struct mt_err *err)
{
    const struct remote *remote = MT_CONTAINER(engine, struct remote, base);

    (void)err;
    *out = (struct mt_model_card){
        .name = model,
        .owner = mt_str_of(remote->name),
        .remote_model = model,
        .remote_host = mt_str_of(remote->url),
        .can = MT_CAN_CHAT | MT_CAN_COMPLETE | MT_CAN_TOOLS,
    };
    return MT_OK;
}

static void close_remote(struct mt_engine *engine)
{
    struct remote *remote = MT_CONTAINER(engine, struct remote, base);

    while (remote->runs != NULL)
        remote__cancel(remote->runs);
    for (size_t i = 0; i < remote->owned_n; i++)
        mt_free(remote->owned[i]);
    mt_secret_fini(&remote->auth);
    mt_free(remote->name);
    mt_free(remote->url);
    mt_free(remote->ca_file);
    mt_free(remote);
}

static const struct mt_engine_ops remote_ops = {
    .kind = "remote",
    .start = start,
    .embed = remote__embed,
    .cancel = remote__cancel,
    .pause = remote__pause,
    .resume = remote__resume,
    .count_tokens = count_tokens,
    .describe = describe,
    .close = close_remote,
};

static void add_header(struct remote *remote, const char *name, struct mt_str value)
{
    MT_ASSERT(remote->headers_n < REMOTE_HEADERS_MAX);
    remote->headers[remote->headers_n++] = (struct mt_http_header){name, value};
}

static mt_rc add_configured(struct remote *remote, const struct mt_remote_opts *opts,
                            struct mt_err *err)
{
    enum { OWN_HEADERS = 12 }; /* room kept for ours and the caller's */

    if (opts->headers_n > REMOTE_HEADERS_MAX - OWN_HEADERS)
        return MT_FAIL(err, MT_E_TOOBIG, "endpoint '%s': more than %d headers", remote->name,
                       REMOTE_HEADERS_MAX - OWN_HEADERS);
    for (size_t i = 0; i < opts->headers_n; i++) {
        char *name = mt_alloc_cstr(opts->headers[i].name);
        char *value = mt_alloc_cstr(opts->headers[i].value);
        remote->owned[remote->owned_n++] = name;
        remote->owned[remote->owned_n++] = value;
        if (name == NULL || value == NULL)
            return MT_FAIL(err, MT_E_NOMEM, "endpoint '%s': no memory for headers",
                           remote->name);
        add_header(remote, name, mt_str_of(value));
    }
    return MT_OK;
}

static mt_rc set_auth(struct remote *remote, struct mt_str api_key, struct mt_err *err)
{
    const struct remote_dialect *dialect = &dialects[remote->codec->dialect];
    MT_CLEANUP(mt_buf_fini) struct mt_buf value = MT_BUF_INIT(8192);

    if (dialect->version_header != NULL)
        add_header(remote, dialect->version_header, mt_str_of(dialect->version_value));
    if (api_key.len == 0)
        return MT_OK;
    mt_buf_add_cstr(&value, dialect->auth_prefix);
    mt_buf_add(&value, api_key);
    MT_TRY(mt_buf_check(&value, "api_key", err));
    remote->auth_header = dialect->auth_header;
    mt_rc rc = mt_secret_set(&remote->auth, mt_buf_str(&value), err);
    if (value.at != NULL)
        mt_wipe(value.at, value.len);
    return rc;
}

static int64_t or_default(int64_t value, int64_t fallback)
{
    return value > 0 ? value : fallback;
}

static mt_rc fill(struct remote *remote, const struct mt_remote_opts *opts, struct mt_err *err)
{
    remote->name = mt_alloc_cstr(opts->name);
    remote->url = mt_alloc_cstr(opts->url);
    if (opts->ca_file.len > 0)
        remote->ca_file = mt_alloc_cstr(opts->ca_file);
    if (remote->name == NULL || remote->url == NULL ||
        (opts->ca_file.len > 0 && remote->ca_file == NULL))
        return MT_FAIL(err, MT_E_NOMEM, "endpoint '%.*s'", MT_STR_ARG(opts->name));
    remote->connect_timeout_ms = or_default(opts->connect_timeout_ms, 5000);
    remote->first_timeout_ms = or_default(opts->first_timeout_ms, 300 * 1000);
    remote->idle_timeout_ms = or_default(opts->idle_timeout_ms, 120 * 1000);
    remote->answer_bytes_max = opts->answer_bytes_max > 0 ? opts->answer_bytes_max : 64u << 20;
    add_header(remote, "content-type", MT_STR("application/json"));
    add_header(remote, "user-agent", MT_STR("motet/0.1"));
    MT_TRY(set_auth(remote, opts->api_key, err));
    return add_configured(remote, opts, err);
}

mt_rc mt_remote_open(struct mt_http_client *client, struct mt_chat_scratch *scratch,
                     const struct mt_remote_opts *opts, struct mt_engine **out,
                     struct mt_err *err)
{
    if (!dialects[opts->dialect].can_ask)
        return MT_FAIL(err, MT_E_INVALID, "endpoint '%.*s': its dialect cannot be asked",
                       MT_STR_ARG(opts->name));
    struct remote *remote = mt_alloc(1, sizeof *remote);
    if (remote == NULL)
        return MT_FAIL(err, MT_E_NOMEM, "endpoint '%.*s'", MT_STR_ARG(opts->name));
    remote->base.ops = &remote_ops;
    remote->client = client;
    remote->scratch = scratch;
    remote->codec = mt_chat_codec(opts->dialect);
    mt_rc rc = fill(remote, opts, err);
    if (rc < 0) {
        close_remote(&remote->base);
        return rc;
    }
    *out = &remote->base;
    return MT_OK;
}
