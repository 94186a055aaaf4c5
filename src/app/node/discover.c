/* SPDX-License-Identifier: Apache-2.0 */
/* What can be used without being configured: keys in the environment, an Ollama on this
 * machine. */
#include <stdio.h>

#include "base/buf.h"
#include "net/http_client.h"
#include "net/loop.h"
#include "node_priv.h"
#include "wire/json.h"

enum { FOUND_MAX = 4, OLLAMA_MODELS_MAX = 256, OLLAMA_WAIT_MS = 500, TAGS_MAX = 1024 * 1024 };

static const struct mt_str openai_models[] = {
    MT_STR_INIT("gpt-*"),   MT_STR_INIT("chatgpt-*"),
    MT_STR_INIT("o1*"),     MT_STR_INIT("o3*"),
    MT_STR_INIT("o4*"),     MT_STR_INIT("text-embedding-*"),
    MT_STR_INIT("codex-*"), MT_STR_INIT("computer-use-*"),
};
static const struct mt_str anthropic_models[] = {MT_STR_INIT("claude-*")};
static const struct mt_str gemini_models[] = {MT_STR_INIT("gemini-*"), MT_STR_INIT("gemma-*"),
                                              MT_STR_INIT("text-embedding-*")};

static const struct provider {
    struct mt_str name, dialect, url;
    const char *key_name, *url_name; /* in the environment */
    struct mt_config_strs models;
} providers[] = {
    {MT_STR_INIT("openai"),
     MT_STR_INIT("openai"),
     MT_STR_INIT("https://api.openai.com/v1"),
     "OPENAI_API_KEY",
     "OPENAI_BASE_URL",
     {openai_models, MT_ARRAY_LEN(openai_models)}},
    {MT_STR_INIT("anthropic"),
     MT_STR_INIT("anthropic"),
     MT_STR_INIT("https://api.anthropic.com"),
     "ANTHROPIC_API_KEY",
     "ANTHROPIC_BASE_URL",
     {anthropic_models, MT_ARRAY_LEN(anthropic_models)}},
    {MT_STR_INIT("gemini"),
     MT_STR_INIT("gemini"),
     MT_STR_INIT("https://generativelanguage.googleapis.com"),
     "GEMINI_API_KEY",
     "GEMINI_BASE_URL",
     {gemini_models, MT_ARRAY_LEN(gemini_models)}},
};

static struct mt_str variable(char *const *environment, const char *name)
{
    struct mt_str wanted = mt_str_of(name);

    for (size_t i = 0; environment != NULL && environment[i] != NULL; i++) {
        struct mt_str line = mt_str_of(environment[i]);
        if (mt_str_eq(mt_str_take(&line, '='), wanted))
            return line;
    }
    return (struct mt_str){NULL, 0};
}

static bool is_configured(const struct mt_config *config, struct mt_str name)
{
    for (size_t i = 0; i < config->endpoints_n; i++) {
        if (mt_str_eq(config->endpoints[i].name, name))
            return true;
    }
    return false;
}

/* Does the environment's base URL point at this node itself? People set it to reach motet. */
static bool is_ourselves(const struct mt_config *config, struct mt_str url)
{
    char port[16];
    int n = snprintf(port, sizeof port, ":%u", (unsigned)config->listen_port);
    struct mt_str needle = {port, (size_t)n};

    return mt_str_find(url, needle) < url.len &&
           (mt_str_find(url, MT_STR("127.0.0.1")) < url.len ||
            mt_str_find(url, MT_STR("localhost")) < url.len);
}

static size_t find_providers(const struct mt_config *config, char *const *environment,
                             struct mt_config_endpoint *found)
{
    size_t n = 0;

    for (size_t i = 0; i < MT_ARRAY_LEN(providers); i++) {
        const struct provider *provider = &providers[i];
        struct mt_str key = variable(environment, provider->key_name);
        struct mt_str url = variable(environment, provider->url_name);
        if (key.len == 0 || is_configured(config, provider->name) || is_ourselves(config, url))
            continue;
        found[n++] = (struct mt_config_endpoint){
            .name = provider->name,
            .dialect = provider->dialect,
            .url = url.len > 0 ? url : provider->url,
            .api_key = key,
            .models = provider->models,
            .is_found = true,
        };
    }
    return n;
}

/* ------------------------------------------------------------------ Ollama */

struct probe {
    struct mt_loop *loop;
    struct mt_buf body;
    bool is_ok;
};

static void on_head(void *ctx, struct mt_http_call *call, int status)
{
    struct probe *probe = ctx;

    (void)call;
    probe->is_ok = status == 200;
}

static void on_bytes(void *ctx, struct mt_http_call *call, struct mt_str bytes)
{
    struct probe *probe = ctx;

    (void)call;
    mt_buf_add(&probe->body, bytes);
}

static void on_end(void *ctx, struct mt_http_call *call, enum mt_http_end end,
                   const struct mt_err *err)
{
    struct probe *probe = ctx;

    (void)call;
    (void)err;
    if (end != MT_HTTP_DONE)
        probe->is_ok = false;
    mt_loop_stop(probe->loop);
}

/* Ask for the list of models; false when nobody answers. */
static bool ask_tags(struct probe *probe, struct mt_http_client *client, const char *url)
{
    static const struct mt_http_call_ops ops = {on_head, on_bytes, on_end};
    struct mt_http_call *call;
    const struct mt_http_request request = {
        .method = "GET",
        .url = url,
        .connect_timeout_ms = OLLAMA_WAIT_MS,
        .total_timeout_ms = OLLAMA_WAIT_MS,
    };

    if (mt_http_request(client, &request, &ops, probe, &call, NULL) != MT_OK)
        return false;
    mt_loop_run(probe->loop);
    return probe->is_ok && mt_buf_check(&probe->body, "tags", NULL) == MT_OK;
}

static size_t read_tags(struct mt_json_doc *doc, struct mt_str body, struct mt_arena *arena,
                        struct mt_str *names)
{
    const struct mt_json *root;
    size_t n = 0;

    if (mt_json_parse(doc, body, &root, NULL) != MT_OK)
        return 0;
    for (const struct mt_json *model = mt_json_first(mt_json_get(root, "models"));
         model != NULL && n < OLLAMA_MODELS_MAX; model = mt_json_next(model)) {
        struct mt_str name;
        if (mt_json_str(mt_json_get(model, "name"), arena, &name) &&
            mt_str_find_char(name, '*') == name.len)
            names[n++] = name;
    }
    return n;
}

/* "127.0.0.1:11434", "http://shed:11434" or nothing -> a base URL. */
static struct mt_str ollama_base(char *const *environment, struct mt_arena *arena)
{
    struct mt_str host = variable(environment, "OLLAMA_HOST");

    if (host.len == 0 || mt_str_starts(host, MT_STR("0.0.0.0")))
        return MT_STR("http://127.0.0.1:11434");
    if (mt_str_find(host, MT_STR("://")) < host.len)
        return host;
    if (mt_str_find_char(host, ':') == host.len)
        return mt_arena_printf(arena, "http://%.*s:11434", MT_STR_ARG(host));
    return mt_arena_printf(arena, "http://%.*s", MT_STR_ARG(host));
}

static bool find_ollama(const struct mt_config *config, struct probe *probe,
                        struct mt_json_doc *doc, struct mt_http_client *client,
                        struct mt_str base, struct mt_arena *arena,
                        struct mt_config_endpoint *out)
{
    struct mt_str url = mt_arena_printf(arena, "%.*s/api/tags", MT_STR_ARG(base));
    struct mt_str *names = mt_arena_get(arena, OLLAMA_MODELS_MAX, sizeof *names);

    if (names == NULL || url.len == 0 || is_configured(config, MT_STR("ollama")) ||
        is_ourselves(config, base) || !ask_tags(probe, client, url.at))
        return false;
    size_t n = read_tags(doc, mt_buf_str(&probe->body), arena, names);
    if (n == 0)
        return false; /* an Ollama without models has nothing to offer */
    *out = (struct mt_config_endpoint){
        .name = MT_STR("ollama"),
        .dialect = MT_STR("ollama"),
        .url = base,
        .models = {names, n},
        .is_found = true,
    };
    return true;
}

/* A reload must not wait for an answer: who was there at the start still counts. */
static bool keep_ollama(const struct mt_config *config, const struct mt_config *before,
                        struct mt_config_endpoint *out)
{
    for (size_t i = 0; before != NULL && i < before->endpoints_n; i++) {
        const struct mt_config_endpoint *endpoint = &before->endpoints[i];
        if (endpoint->is_found && mt_str_is(endpoint->name, "ollama") &&
            !is_configured(config, endpoint->name)) {
            *out = *endpoint;
            return true;
        }
    }
    return false;
}

mt_rc node_discover(const struct mt_config *config, char *const *environment,
                    struct mt_loop *loop, struct mt_http_client *client,
                    const struct mt_config *before, const struct mt_config **out,
                    struct mt_err *err)
{
    struct mt_config_endpoint found[FOUND_MAX];
    struct probe probe = {.loop = loop, .body = MT_BUF_INIT(TAGS_MAX)};
    MT_CLEANUP(mt_arena_fini) struct mt_arena arena = MT_ARENA_INIT(TAGS_MAX);
    MT_CLEANUP(mt_json_doc_freep) struct mt_json_doc *doc = NULL;
    size_t n = 0;

    if (config->discover) {
        MT_TRY(mt_json_doc_new(&doc, err));
        n = find_providers(config, environment, found);
        if (client != NULL ? find_ollama(config, &probe, doc, client,
                                         ollama_base(environment, &arena), &arena, &found[n])
                           : keep_ollama(config, before, &found[n]))
            n++;
    }
    mt_rc rc = mt_config_with_endpoints(config, found, n, out, err);
    mt_buf_fini(&probe.body);
    return rc;
}
