/* SPDX-License-Identifier: Apache-2.0 */
/* The API, line by line. */
#include <string.h>

#include "gateway_priv.h"

#include "wire/json_writer.h"

#define CHAT        MT_DIALECT_OPENAI_CHAT
#define COMPLETIONS MT_DIALECT_OPENAI_COMPLETIONS
#define RESPONSES   MT_DIALECT_OPENAI_RESPONSES
#define ANTHROPIC   MT_DIALECT_ANTHROPIC
#define GEMINI      MT_DIALECT_GEMINI
#define OLLAMA      MT_DIALECT_OLLAMA_CHAT
#define GENERATE    MT_DIALECT_OLLAMA_GENERATE

static const struct route routes[] = {
    /* OpenAI */
    {"POST", "/v1/chat/completions", ACCESS_USER, CHAT, handle_chat, "chat"},
    {"POST", "/v1/completions", ACCESS_USER, COMPLETIONS, handle_chat, "text completion"},
    {"POST", "/v1/responses", ACCESS_USER, RESPONSES, handle_chat, "chat, as Responses"},
    {"POST", "/v1/responses/input_tokens", ACCESS_USER, RESPONSES, handle_count,
     "count tokens"},
    {"GET", "/v1/responses/*", ACCESS_USER, RESPONSES, handle_response_get,
     "a stored response, or its input_items"},
    {"DELETE", "/v1/responses/*", ACCESS_USER, RESPONSES, handle_response_delete,
     "forget a stored response"},
    {"POST", "/v1/embeddings", ACCESS_USER, CHAT, handle_embed, "embeddings"},
    {"GET", "/v1/models", ACCESS_USER, CHAT, handle_models,
     "models (Anthropic's shape with an anthropic-version header)"},
    {"GET", "/v1/models/*", ACCESS_USER, CHAT, handle_model, "one model"},
    /* Anthropic */
    {"POST", "/v1/messages", ACCESS_USER, ANTHROPIC, handle_chat, "chat"},
    {"POST", "/v1/messages/count_tokens", ACCESS_USER, ANTHROPIC, handle_count, "count tokens"},
    /* Gemini */
    {"GET", "/v1beta/models", ACCESS_USER, GEMINI, handle_models, "models"},
    {"GET", "/v1beta/models/*", ACCESS_USER, GEMINI, handle_model, "one model"},
    {"POST", "/v1beta/models/*", ACCESS_USER, GEMINI, handle_gemini_post,
     "MODEL:generateContent, :streamGenerateContent, :countTokens, :embedContent, "
     ":batchEmbedContents"},
    {"POST", "/v1/models/*", ACCESS_USER, GEMINI, handle_gemini_post, "the same under /v1"},
    /* Ollama */
    {"POST", "/api/chat", ACCESS_USER, OLLAMA, handle_chat, "chat"},
    {"POST", "/api/generate", ACCESS_USER, GENERATE, handle_chat, "text completion"},
    {"POST", "/api/embed", ACCESS_USER, OLLAMA, handle_embed, "embeddings"},
    {"POST", "/api/embeddings", ACCESS_USER, OLLAMA, handle_embed, "embeddings, old form"},
    {"GET", "/api/tags", ACCESS_USER, OLLAMA, handle_ollama_tags, "models"},
    {"POST", "/api/show", ACCESS_USER, OLLAMA, handle_ollama_show, "one model"},
    {"GET", "/api/ps", ACCESS_USER, OLLAMA, handle_ollama_ps, "models in memory"},
    {"POST", "/api/pull", ACCESS_USER, OLLAMA, handle_ollama_pull,
     "succeeds for models that are here"},
    {"GET", "/api/version", ACCESS_PUBLIC, OLLAMA, handle_ollama_version, "version"},
    {"GET", "/", ACCESS_PUBLIC, OLLAMA, handle_ollama_root, "says that a node is here"},
    /* motet's own */
    {"GET", "/healthz", ACCESS_PUBLIC, CHAT, handle_health, "liveness"},
    {"GET", "/metrics", ACCESS_USER, CHAT, handle_metrics, "Prometheus metrics"},
    {"GET", "/motet/v1/status", ACCESS_USER, CHAT, handle_status, "what this node is doing"},
    {"POST", "/motet/v1/stop", ACCESS_ADMIN, CHAT, handle_stop, "end the node"},
    {"POST", "/motet/v1/reload", ACCESS_ADMIN, CHAT, handle_reload,
     "read the configuration again"},
};

static bool path_matches(const char *pattern, struct mt_str path, struct mt_str *tail)
{
    struct mt_str fixed = mt_str_of(pattern);

    if (fixed.at[fixed.len - 1] != '*')
        return mt_str_eq(fixed, path);
    fixed.len--;
    if (!mt_str_starts(path, fixed) || path.len == fixed.len)
        return false;
    *tail = mt_str_sub(path, fixed.len, path.len);
    return true;
}

const struct route *route_find(struct mt_str method, struct mt_str path, struct mt_str *tail,
                               bool *is_path_known)
{
    for (size_t i = 0; i < MT_ARRAY_LEN(routes); i++) {
        if (!path_matches(routes[i].path, path, tail))
            continue;
        *is_path_known = true;
        if (mt_str_is(method, routes[i].method) ||
            (mt_str_is(method, "HEAD") && strcmp(routes[i].method, "GET") == 0))
            return &routes[i];
    }
    return NULL;
}

void route_methods(struct mt_str path, struct mt_buf *out)
{
    struct mt_str tail;

    for (size_t i = 0; i < MT_ARRAY_LEN(routes); i++) {
        if (!path_matches(routes[i].path, path, &tail))
            continue;
        mt_buf_addf(out, "%s%s", out->len > 0 ? ", " : "", routes[i].method);
        if (strcmp(routes[i].method, "GET") == 0)
            mt_buf_add_cstr(out, ", HEAD");
    }
}

static const char *access_name(enum access access)
{
    switch (access) {
    case ACCESS_PUBLIC:
        return "everybody";
    case ACCESS_USER:
        return "a key";
    case ACCESS_ADMIN:
        return "the administrator";
    }
    return "nobody";
}

static void routes_json(struct mt_buf *out)
{
    struct mt_jw w;

    mt_jw_begin(&w, out);
    mt_jw_array(&w);
    for (size_t i = 0; i < MT_ARRAY_LEN(routes); i++) {
        mt_jw_object(&w);
        mt_jw_kcstr(&w, "method", routes[i].method);
        mt_jw_kcstr(&w, "path", routes[i].path);
        mt_jw_kcstr(&w, "for", access_name(routes[i].need));
        mt_jw_kcstr(&w, "help", routes[i].help);
        mt_jw_end(&w);
    }
    mt_jw_end(&w);
    mt_buf_add_char(out, '\n');
}

static void routes_markdown(struct mt_buf *out)
{
    mt_buf_add_cstr(out, "| method | path | for | what it does |\n|---|---|---|---|\n");
    for (size_t i = 0; i < MT_ARRAY_LEN(routes); i++)
        mt_buf_addf(out, "| %s | `%s` | %s | %s |\n", routes[i].method, routes[i].path,
                    access_name(routes[i].need), routes[i].help);
}

static void routes_text(struct mt_buf *out)
{
    for (size_t i = 0; i < MT_ARRAY_LEN(routes); i++)
        mt_buf_addf(out, "%-6s %-28s %s\n", routes[i].method, routes[i].path, routes[i].help);
}

void mt_gateway_routes(enum mt_gateway_format format, struct mt_buf *out)
{
    switch (format) {
    case MT_ROUTES_TEXT:
        routes_text(out);
        return;
    case MT_ROUTES_JSON:
        routes_json(out);
        return;
    case MT_ROUTES_MARKDOWN:
        routes_markdown(out);
        return;
    }
}
