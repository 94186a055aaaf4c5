/* SPDX-License-Identifier: Apache-2.0 */
/* The table of keys: the one place where a key is named, bounded and explained. */
#include "config_priv.h"

#include <stdio.h>

#define SECOND    ((int64_t)1000)
#define MINUTE    (60 * SECOND)
#define HOUR      (60 * MINUTE)
#define DAY       (24 * HOUR)
#define KIB       ((int64_t)1024)
#define MIB       (1024 * KIB)
#define GIB       (1024 * MIB)
#define COUNT_MAX ((int64_t)1000 * 1000 * 1000 * 1000)
#define MONEY_MAX ((int64_t)1000 * 1000 * 1000 * 1000 * 1000 * 1000) /* 1e9 USD in nano-USD */
#define PRICE_MAX ((int64_t)1000 * 1000 * 1000 * 1000)               /* 1e6 USD in micro-USD */

enum { ITEMS_MAX = 1024, HEADERS_MAX = 16, LIMITS_MAX = 16, TARGETS_MAX = 8, TEXTS_MAX = 1024 };

static const struct mt_settings_word forever[] = {{"forever", -1}, {NULL, 0}};
static const struct mt_settings_word layers[] = {{"all", 0}, {"none", -1}, {NULL, 0}};
static const struct mt_settings_word per[] = {{"second", MT_PER_SECOND},
                                              {"minute", MT_PER_MINUTE},
                                              {"hour", MT_PER_HOUR},
                                              {"day", MT_PER_DAY},
                                              {"month", MT_PER_MONTH},
                                              {"ever", MT_PER_EVER},
                                              {NULL, 0}};
static const char *const dialects[] = {"openai", "openai-responses", "anthropic",
                                       "gemini", "ollama",           NULL};

#define AT(member) .at = offsetof(struct mt_config_limit, member)
static const struct mt_settings_key limit_keys[] = {
    {"requests", MT_SETTINGS_COUNT, AT(requests), .max = COUNT_MAX, .help = "most requests"},
    {"tokens", MT_SETTINGS_COUNT, AT(tokens), .max = COUNT_MAX,
     .help = "most tokens, of prompts and answers together"},
    {"money", MT_SETTINGS_MONEY, AT(money_usd_nano), .max = MONEY_MAX, .help = "most money"},
    {"per", MT_SETTINGS_WORD, MT_SETTINGS_REQUIRED, AT(per), .words = per,
     .help = "length of the window"},
};
#undef AT
static const struct mt_settings_group limit_group = {
    "limit", limit_keys, MT_ARRAY_LEN(limit_keys), sizeof(struct mt_config_limit)};

#define AT(member)   .at = offsetof(struct mt_config_key, member)
#define N_AT(member) .n_at = offsetof(struct mt_config_key, member)
static const struct mt_settings_key key_keys[] = {
    {"name", MT_SETTINGS_TEXT, MT_SETTINGS_REQUIRED, AT(name),
     .help = "who it is: shown in accounts and logs", .example = "laptop"},
    {"hash", MT_SETTINGS_TEXT, MT_SETTINGS_REQUIRED, AT(hash),
     .help = "`sha256:` and 64 digits, as `motet key new NAME` prints; the key itself is kept "
             "nowhere",
     .example = "sha256:0000000000000000000000000000000000000000000000000000000000000000"},
    {"models", MT_SETTINGS_TEXTS, AT(models.at), N_AT(models.n), .max = TEXTS_MAX,
     .help = "patterns of the model names it may ask for; none: all", .example = "[\"lab-*\"]"},
    {"limits", MT_SETTINGS_ITEMS, AT(limits.at), N_AT(limits.n), .max = LIMITS_MAX,
     .items = &limit_group, .help = "what it may use up, each in its window",
     .example = "[{requests: 60, per: minute}, {money: 5USD, per: month}]"},
};
#undef AT
#undef N_AT
static const struct mt_settings_group key_group = {"key", key_keys, MT_ARRAY_LEN(key_keys),
                                                   sizeof(struct mt_config_key)};

_Static_assert(sizeof(struct mt_config_header) == sizeof(struct mt_settings_header) &&
                   offsetof(struct mt_config_header, value) ==
                       offsetof(struct mt_settings_header, value),
               "headers are read as pairs of settings");

#define AT(member)   .at = offsetof(struct mt_config_endpoint, member)
#define N_AT(member) .n_at = offsetof(struct mt_config_endpoint, member)
static const struct mt_settings_key endpoint_keys[] = {
    {"name", MT_SETTINGS_TEXT, MT_SETTINGS_REQUIRED, AT(name),
     .help = "first part of ENDPOINT/MODEL in model names", .example = "openai"},
    {"dialect", MT_SETTINGS_TEXT, MT_SETTINGS_REQUIRED, AT(dialect), .choices = dialects,
     .help = "how it is spoken to", .example = "openai"},
    {"url", MT_SETTINGS_TEXT, MT_SETTINGS_REQUIRED, AT(url),
     .help = "base URL; `/v1` at its end may be there or not",
     .example = "https://api.openai.com"},
    {"api_key", MT_SETTINGS_TEXT, MT_SETTINGS_SECRET, AT(api_key),
     .help = "its key; better kept in api_key_env or api_key_file"},
    {"api_key_env", MT_SETTINGS_TEXT, MT_SETTINGS_SECRET | MT_SETTINGS_FROM_ENV, AT(api_key),
     .help = "variable of the environment that holds the key", .example = "OPENAI_API_KEY"},
    {"api_key_file", MT_SETTINGS_PATH, MT_SETTINGS_SECRET | MT_SETTINGS_FROM_FILE, AT(api_key),
     .help = "file that holds the key and nothing else"},
    {"ca_file", MT_SETTINGS_PATH, AT(ca_file),
     .help = "authorities that may sign its certificate, PEM; none: the system's"},
    {"models", MT_SETTINGS_TEXTS, AT(models.at), N_AT(models.n), .max = TEXTS_MAX,
     .help = "what it serves, by its own names, patterns allowed; none: whatever is asked",
     .example = "[\"gpt-*\"]"},
    {"headers", MT_SETTINGS_HEADERS, MT_SETTINGS_SECRET, AT(headers), N_AT(headers_n),
     .max = HEADERS_MAX, .help = "HTTP headers added to every request",
     .example = "{X-Team: blue}"},
    {"connect_timeout", MT_SETTINGS_DURATION, AT(connect_timeout_ms), .initial = "5s", .min = 1,
     .max = HOUR, .help = "for connecting"},
    {"first_timeout", MT_SETTINGS_DURATION, AT(first_timeout_ms), .initial = "5m", .min = 1,
     .max = DAY, .help = "until the first byte of an answer"},
    {"idle_timeout", MT_SETTINGS_DURATION, AT(idle_timeout_ms), .initial = "2m", .min = 1,
     .max = DAY, .help = "longest silence within an answer"},
    {"concurrent_max", MT_SETTINGS_COUNT, AT(concurrent_max), .initial = "0",
     .max = 1000 * 1000, .help = "most requests at a time; 0: no limit"},
};
#undef AT
#undef N_AT
static const struct mt_settings_group endpoint_group = {
    "endpoint", endpoint_keys, MT_ARRAY_LEN(endpoint_keys), sizeof(struct mt_config_endpoint)};

#define AT(member)   .at = offsetof(struct mt_config_model, member)
#define N_AT(member) .n_at = offsetof(struct mt_config_model, member)
static const struct mt_settings_key model_keys[] = {
    {"name", MT_SETTINGS_TEXT, MT_SETTINGS_REQUIRED, AT(name), .help = "what clients ask for",
     .example = "smart"},
    {"path", MT_SETTINGS_PATH, AT(path), .help = "a local model: its GGUF file"},
    {"targets", MT_SETTINGS_TEXTS, AT(targets.at), N_AT(targets.n), .max = TARGETS_MAX,
     .help = "an alias: ENDPOINT/MODEL or model names, tried in this order",
     .example = "[openai/gpt-5, lab-nano]"},
    {"lora", MT_SETTINGS_PATH, AT(lora), .help = "a local model's adapter: its GGUF file"},
    {"lora_scale", MT_SETTINGS_NUMBER, AT(lora_scale), .initial = "1", .min = -100, .max = 100,
     .help = "strength of the adapter"},
    {"context", MT_SETTINGS_COUNT, AT(context_tokens), .initial = "0", .max = 16 * 1000 * 1000,
     .help = "tokens of context per request; 0: as the model has, at most 8192"},
    {"parallel", MT_SETTINGS_COUNT, AT(parallel_max), .initial = "16", .min = 1, .max = 256,
     .help = "most requests computed together"},
    {"keep_alive", MT_SETTINGS_DURATION, AT(keep_alive_ms), .initial = "5m", .min = 1,
     .max = 366 * DAY, .words = forever, .help = "idle time after which it leaves the memory"},
    {"gpu_layers", MT_SETTINGS_COUNT, AT(gpu_layers), .initial = "all", .min = 1,
     .max = 10 * 1000, .words = layers, .help = "layers computed on a GPU, when there is one"},
    {"retries", MT_SETTINGS_COUNT, AT(retries), .initial = "2", .max = 20,
     .help = "tries after the first, per target, when another one may help"},
    {"timeout", MT_SETTINGS_DURATION, AT(total_timeout_ms), .initial = "0s", .max = DAY,
     .help = "for the whole request with all its tries; 0s: none"},
    {"hedge_after", MT_SETTINGS_DURATION, AT(hedge_after_ms), .initial = "0s", .max = HOUR,
     .help = "ask the next target too when nothing came for so long; 0s: never"},
    {"continue_stream", MT_SETTINGS_BOOL, AT(continue_stream), .initial = "false",
     .help = "a stream that breaks off goes on at the next target"},
    {"cache", MT_SETTINGS_BOOL, AT(cache),
     .help = "may its answers be cached? without it: as cache.enabled says"},
    {"limits", MT_SETTINGS_ITEMS, AT(limits.at), N_AT(limits.n), .max = LIMITS_MAX,
     .items = &limit_group,
     .help = "what all callers together may use up of it, by aliases too"},
};
#undef AT
#undef N_AT
static const struct mt_settings_group model_group = {
    "model", model_keys, MT_ARRAY_LEN(model_keys), sizeof(struct mt_config_model)};

#define AT(member) .at = offsetof(struct mt_config_price, member)
static const struct mt_settings_key price_keys[] = {
    {"model", MT_SETTINGS_TEXT, MT_SETTINGS_REQUIRED, AT(model),
     .help = "ENDPOINT/MODEL, patterns allowed; the first that matches counts",
     .example = "openai/gpt-5*"},
    {"input", MT_SETTINGS_PRICE, AT(input_usd_micro), .max = PRICE_MAX,
     .help = "per million tokens of prompt", .example = "1.25USD"},
    {"output", MT_SETTINGS_PRICE, AT(output_usd_micro), .max = PRICE_MAX,
     .help = "per million tokens of answer", .example = "10USD"},
    {"cached", MT_SETTINGS_PRICE, AT(cached_usd_micro), .max = PRICE_MAX,
     .help = "per million tokens read from the upstream's cache; none: as input",
     .example = "0.125USD"},
    {"cache_write", MT_SETTINGS_PRICE, AT(cache_write_usd_micro), .max = PRICE_MAX,
     .help = "per million tokens written to it; none: as input"},
    {"request", MT_SETTINGS_PRICE, AT(request_usd_micro), .max = PRICE_MAX,
     .help = "per request"},
};
#undef AT
static const struct mt_settings_group price_group = {
    "price", price_keys, MT_ARRAY_LEN(price_keys), sizeof(struct mt_config_price)};

#define AT(member)   .at = offsetof(struct mt_config, member)
#define N_AT(member) .n_at = offsetof(struct mt_config, member)
static const struct mt_settings_key root_keys[] = {
    {"listen", MT_SETTINGS_LISTEN, MT_SETTINGS_FIXED, AT(listen_host), N_AT(listen_port),
     .initial = "127.0.0.1:7700",
     .help = "address and port of the API; beyond loopback only with keys"},
    {"data_dir", MT_SETTINGS_PATH, MT_SETTINGS_FIXED, AT(data_dir),
     .help = "folder of accounts and models; none: ~/.local/share/motet"},
    {"default_model", MT_SETTINGS_TEXT, AT(default_model),
     .help = "what an empty model name means; none: the first model"},
    {"discover", MT_SETTINGS_BOOL, AT(discover), .initial = "true",
     .help = "offer what OPENAI_API_KEY, ANTHROPIC_API_KEY, GEMINI_API_KEY and a running "
             "Ollama give"},
    {"log.level", MT_SETTINGS_TEXT, AT(log_level), .initial = "info",
     .help = "error, warn, info, debug or trace; per module: `info,gateway=debug`"},
    {"log.json", MT_SETTINGS_BOOL, MT_SETTINGS_FIXED, AT(log_json), .initial = "false",
     .help = "log lines as JSON"},
    {"tls.cert", MT_SETTINGS_PATH, MT_SETTINGS_FIXED, AT(tls_cert),
     .help = "certificate chain, PEM"},
    {"tls.key", MT_SETTINGS_PATH, MT_SETTINGS_FIXED, AT(tls_key),
     .help = "its private key, PEM"},
    {"server.body_max", MT_SETTINGS_BYTES, MT_SETTINGS_FIXED, AT(body_bytes_max),
     .initial = "32MiB", .min = KIB, .max = GIB, .help = "longest request"},
    {"server.answer_max", MT_SETTINGS_BYTES, AT(answer_bytes_max), .initial = "64MiB",
     .min = KIB, .max = GIB, .help = "longest answer of an upstream"},
    {"server.connections_max", MT_SETTINGS_COUNT, MT_SETTINGS_FIXED, AT(connections_max),
     .initial = "10k", .min = 1, .max = 1000 * 1000,
     .help = "most connections of clients; more wait"},
    {"server.header_timeout", MT_SETTINGS_DURATION, MT_SETTINGS_FIXED, AT(header_timeout_ms),
     .initial = "10s", .min = 1, .max = HOUR, .help = "for a request's header"},
    {"server.body_timeout", MT_SETTINGS_DURATION, MT_SETTINGS_FIXED, AT(body_timeout_ms),
     .initial = "30s", .min = 1, .max = HOUR,
     .help = "longest silence within a request's body"},
    {"server.ping", MT_SETTINGS_DURATION, MT_SETTINGS_FIXED, AT(ping_ms), .initial = "10s",
     .min = 1, .max = HOUR, .help = "silence after which a stream gets a keep-alive"},
    {"server.drain", MT_SETTINGS_DURATION, AT(drain_ms), .initial = "10s", .max = HOUR,
     .help = "time that requests in flight get when the node ends"},
    {"local.threads", MT_SETTINGS_COUNT, MT_SETTINGS_FIXED, AT(threads), .initial = "0",
     .max = 1024, .help = "threads that compute local models; 0: one per core"},
    {"local.library_dir", MT_SETTINGS_PATH, MT_SETTINGS_FIXED, AT(library_dir),
     .help = "folder of the llama.cpp libraries; none: as built"},
    {"cache.enabled", MT_SETTINGS_BOOL, AT(cache_enabled), .initial = "false",
     .help = "answer a repeated request with the same answer, per API key"},
    {"cache.size", MT_SETTINGS_BYTES, AT(cache_bytes_max), .initial = "64MiB", .min = KIB,
     .max = 1024 * GIB, .help = "memory for cached answers"},
    {"cache.entry_max", MT_SETTINGS_BYTES, AT(cache_entry_bytes_max), .initial = "1MiB",
     .min = KIB, .max = GIB, .help = "longest answer that is cached"},
    {"cache.ttl", MT_SETTINGS_DURATION, AT(cache_ttl_ms), .initial = "1h", .min = 1,
     .max = 366 * DAY, .help = "how long a cached answer is given"},
    {"retry.base", MT_SETTINGS_DURATION, AT(retry_base_ms), .initial = "200ms", .min = 1,
     .max = HOUR, .help = "pause before the first retry; doubles with each, with jitter"},
    {"retry.cap", MT_SETTINGS_DURATION, AT(retry_cap_ms), .initial = "10s", .min = 1,
     .max = HOUR, .help = "longest pause between tries"},
    {"breaker.failures", MT_SETTINGS_COUNT, AT(breaker_failures), .initial = "5", .min = 1,
     .max = 1000 * 1000, .help = "failures in a row after which an endpoint is left alone"},
    {"breaker.open", MT_SETTINGS_DURATION, AT(breaker_open_ms), .initial = "30s", .min = 1,
     .max = DAY, .help = "how long, until one request tries it again"},
    {"accounting.strict", MT_SETTINGS_BOOL, AT(strict_sync), .initial = "false",
     .help = "end an answer only when its account is on disk"},
    {"limits", MT_SETTINGS_ITEMS, AT(limits.at), N_AT(limits.n), .max = LIMITS_MAX,
     .items = &limit_group, .help = "what all callers together may use up",
     .example = "[{money: 20USD, per: day}]"},
    {"keys", MT_SETTINGS_ITEMS, AT(keys), N_AT(keys_n), .max = ITEMS_MAX, .items = &key_group,
     .help = "who may ask; none: everybody on this machine"},
    {"endpoints", MT_SETTINGS_ITEMS, AT(endpoints), N_AT(endpoints_n), .max = ITEMS_MAX,
     .items = &endpoint_group, .help = "whom to ask"},
    {"models", MT_SETTINGS_ITEMS, AT(models), N_AT(models_n), .max = ITEMS_MAX,
     .items = &model_group, .help = "local models, and aliases with fallbacks"},
    {"prices", MT_SETTINGS_ITEMS, AT(prices), N_AT(prices_n), .max = ITEMS_MAX,
     .items = &price_group, .help = "what models cost"},
};
#undef AT
#undef N_AT
const struct mt_settings_group mt_config__root = {"", root_keys, MT_ARRAY_LEN(root_keys),
                                                  sizeof(struct mt_config)};

void mt_config__env_name(const struct mt_settings_key *key, char out[MT_CONFIG__ENV_MAX])
{
    int n = snprintf(out, MT_CONFIG__ENV_MAX, "MOTET_%s", key->name);

    for (int i = 0; i < n && i < MT_CONFIG__ENV_MAX - 1; i++) {
        if (out[i] == '.')
            out[i] = '_';
        else if (out[i] >= 'a' && out[i] <= 'z')
            out[i] = (char)(out[i] - 'a' + 'A');
    }
}
