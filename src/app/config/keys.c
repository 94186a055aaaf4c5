/* SPDX-License-Identifier: Apache-2.0 */
/* The table of keys: the one place where a key is named, bounded and explained. */
#include "config_priv.h"

#include <stdio.h>
#include <string.h>

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

static const struct mt_config__word forever[] = {{"forever", -1}, {NULL, 0}};
static const struct mt_config__word layers[] = {{"all", 0}, {"none", -1}, {NULL, 0}};
static const struct mt_config__word per[] = {{"second", MT_PER_SECOND},
                                             {"minute", MT_PER_MINUTE},
                                             {"hour", MT_PER_HOUR},
                                             {"day", MT_PER_DAY},
                                             {"month", MT_PER_MONTH},
                                             {"ever", MT_PER_EVER},
                                             {NULL, 0}};
static const char *const dialects[] = {"openai", "openai-responses", "anthropic",
                                       "gemini", "ollama",           NULL};

#define AT(member) .at = offsetof(struct mt_config_limit, member)
static const struct mt_config__key limit_keys[] = {
    {"requests", TYPE_COUNT, AT(requests), .max = COUNT_MAX, .help = "most requests"},
    {"tokens", TYPE_COUNT, AT(tokens), .max = COUNT_MAX,
     .help = "most tokens, of prompts and answers together"},
    {"money", TYPE_MONEY, AT(money_usd_nano), .max = MONEY_MAX, .help = "most money"},
    {"per", TYPE_WORD, KEY_REQUIRED, AT(per), .words = per, .help = "length of the window"},
};
#undef AT
static const struct mt_config__group limit_group = {
    "limit", limit_keys, MT_ARRAY_LEN(limit_keys), sizeof(struct mt_config_limit)};

#define AT(member)   .at = offsetof(struct mt_config_key, member)
#define N_AT(member) .n_at = offsetof(struct mt_config_key, member)
static const struct mt_config__key key_keys[] = {
    {"name", TYPE_TEXT, KEY_REQUIRED, AT(name), .help = "who it is: shown in accounts and logs",
     .example = "laptop"},
    {"hash", TYPE_TEXT, KEY_REQUIRED, AT(hash),
     .help = "`sha256:` and 64 digits, as `motet key new NAME` prints; the key itself is kept "
             "nowhere",
     .example = "sha256:0000000000000000000000000000000000000000000000000000000000000000"},
    {"models", TYPE_TEXTS, AT(models.at), N_AT(models.n), .max = TEXTS_MAX,
     .help = "patterns of the model names it may ask for; none: all", .example = "[\"lab-*\"]"},
    {"limits", TYPE_ITEMS, AT(limits.at), N_AT(limits.n), .max = LIMITS_MAX,
     .items = &limit_group, .help = "what it may use up, each in its window",
     .example = "[{requests: 60, per: minute}, {money: 5USD, per: month}]"},
};
#undef AT
#undef N_AT
static const struct mt_config__group key_group = {"key", key_keys, MT_ARRAY_LEN(key_keys),
                                                  sizeof(struct mt_config_key)};

#define AT(member)   .at = offsetof(struct mt_config_endpoint, member)
#define N_AT(member) .n_at = offsetof(struct mt_config_endpoint, member)
static const struct mt_config__key endpoint_keys[] = {
    {"name", TYPE_TEXT, KEY_REQUIRED, AT(name),
     .help = "first part of ENDPOINT/MODEL in model names", .example = "openai"},
    {"dialect", TYPE_TEXT, KEY_REQUIRED, AT(dialect), .choices = dialects,
     .help = "how it is spoken to", .example = "openai"},
    {"url", TYPE_TEXT, KEY_REQUIRED, AT(url),
     .help = "base URL; `/v1` at its end may be there or not",
     .example = "https://api.openai.com"},
    {"api_key", TYPE_TEXT, KEY_SECRET, AT(api_key),
     .help = "its key; better kept in api_key_env or api_key_file"},
    {"api_key_env", TYPE_TEXT, KEY_SECRET | KEY_FROM_ENV, AT(api_key),
     .help = "variable of the environment that holds the key", .example = "OPENAI_API_KEY"},
    {"api_key_file", TYPE_PATH, KEY_SECRET | KEY_FROM_FILE, AT(api_key),
     .help = "file that holds the key and nothing else"},
    {"ca_file", TYPE_PATH, AT(ca_file),
     .help = "authorities that may sign its certificate, PEM; none: the system's"},
    {"models", TYPE_TEXTS, AT(models.at), N_AT(models.n), .max = TEXTS_MAX,
     .help = "what it serves, by its own names, patterns allowed; none: whatever is asked",
     .example = "[\"gpt-*\"]"},
    {"headers", TYPE_HEADERS, KEY_SECRET, AT(headers), N_AT(headers_n), .max = HEADERS_MAX,
     .help = "HTTP headers added to every request", .example = "{X-Team: blue}"},
    {"connect_timeout", TYPE_DURATION, AT(connect_timeout_ms), .initial = "5s", .min = 1,
     .max = HOUR, .help = "for connecting"},
    {"first_timeout", TYPE_DURATION, AT(first_timeout_ms), .initial = "5m", .min = 1,
     .max = DAY, .help = "until the first byte of an answer"},
    {"idle_timeout", TYPE_DURATION, AT(idle_timeout_ms), .initial = "2m", .min = 1, .max = DAY,
     .help = "longest silence within an answer"},
    {"concurrent_max", TYPE_COUNT, AT(concurrent_max), .initial = "0", .max = 1000 * 1000,
     .help = "most requests at a time; 0: no limit"},
};
#undef AT
#undef N_AT
static const struct mt_config__group endpoint_group = {
    "endpoint", endpoint_keys, MT_ARRAY_LEN(endpoint_keys), sizeof(struct mt_config_endpoint)};

#define AT(member)   .at = offsetof(struct mt_config_model, member)
#define N_AT(member) .n_at = offsetof(struct mt_config_model, member)
static const struct mt_config__key model_keys[] = {
    {"name", TYPE_TEXT, KEY_REQUIRED, AT(name), .help = "what clients ask for",
     .example = "smart"},
    {"path", TYPE_PATH, AT(path), .help = "a local model: its GGUF file"},
    {"targets", TYPE_TEXTS, AT(targets.at), N_AT(targets.n), .max = TARGETS_MAX,
     .help = "an alias: ENDPOINT/MODEL or model names, tried in this order",
     .example = "[openai/gpt-5, lab-nano]"},
    {"lora", TYPE_PATH, AT(lora), .help = "a local model's adapter: its GGUF file"},
    {"lora_scale", TYPE_NUMBER, AT(lora_scale), .initial = "1", .min = -100, .max = 100,
     .help = "strength of the adapter"},
    {"context", TYPE_COUNT, AT(context_tokens), .initial = "0", .max = 16 * 1000 * 1000,
     .help = "tokens of context per request; 0: as the model has, at most 8192"},
    {"parallel", TYPE_COUNT, AT(parallel_max), .initial = "16", .min = 1, .max = 256,
     .help = "most requests computed together"},
    {"keep_alive", TYPE_DURATION, AT(keep_alive_ms), .initial = "5m", .min = 1,
     .max = 366 * DAY, .words = forever, .help = "idle time after which it leaves the memory"},
    {"gpu_layers", TYPE_COUNT, AT(gpu_layers), .initial = "all", .min = 1, .max = 10 * 1000,
     .words = layers, .help = "layers computed on a GPU, when there is one"},
    {"retries", TYPE_COUNT, AT(retries), .initial = "2", .max = 20,
     .help = "tries after the first, per target, when another one may help"},
    {"timeout", TYPE_DURATION, AT(total_timeout_ms), .initial = "0s", .max = DAY,
     .help = "for the whole request with all its tries; 0s: none"},
    {"hedge_after", TYPE_DURATION, AT(hedge_after_ms), .initial = "0s", .max = HOUR,
     .help = "ask the next target too when nothing came for so long; 0s: never"},
    {"continue_stream", TYPE_BOOL, AT(continue_stream), .initial = "false",
     .help = "a stream that breaks off goes on at the next target"},
    {"cache", TYPE_BOOL, AT(cache),
     .help = "may its answers be cached? without it: as cache.enabled says"},
    {"limits", TYPE_ITEMS, AT(limits.at), N_AT(limits.n), .max = LIMITS_MAX,
     .items = &limit_group,
     .help = "what all callers together may use up of it, by aliases too"},
};
#undef AT
#undef N_AT
static const struct mt_config__group model_group = {
    "model", model_keys, MT_ARRAY_LEN(model_keys), sizeof(struct mt_config_model)};

#define AT(member) .at = offsetof(struct mt_config_price, member)
static const struct mt_config__key price_keys[] = {
    {"model", TYPE_TEXT, KEY_REQUIRED, AT(model),
     .help = "ENDPOINT/MODEL, patterns allowed; the first that matches counts",
     .example = "openai/gpt-5*"},
    {"input", TYPE_PRICE, AT(input_usd_micro), .max = PRICE_MAX,
     .help = "per million tokens of prompt", .example = "1.25USD"},
    {"output", TYPE_PRICE, AT(output_usd_micro), .max = PRICE_MAX,
     .help = "per million tokens of answer", .example = "10USD"},
    {"cached", TYPE_PRICE, AT(cached_usd_micro), .max = PRICE_MAX,
     .help = "per million tokens read from the upstream's cache; none: as input",
     .example = "0.125USD"},
    {"cache_write", TYPE_PRICE, AT(cache_write_usd_micro), .max = PRICE_MAX,
     .help = "per million tokens written to it; none: as input"},
    {"request", TYPE_PRICE, AT(request_usd_micro), .max = PRICE_MAX, .help = "per request"},
};
#undef AT
static const struct mt_config__group price_group = {
    "price", price_keys, MT_ARRAY_LEN(price_keys), sizeof(struct mt_config_price)};

#define AT(member)   .at = offsetof(struct mt_config, member)
#define N_AT(member) .n_at = offsetof(struct mt_config, member)
static const struct mt_config__key root_keys[] = {
    {"listen", TYPE_LISTEN, KEY_FIXED, AT(listen_host), N_AT(listen_port),
     .initial = "127.0.0.1:7700",
     .help = "address and port of the API; beyond loopback only with keys"},
    {"data_dir", TYPE_PATH, KEY_FIXED, AT(data_dir),
     .help = "folder of accounts and models; none: ~/.local/share/motet"},
    {"default_model", TYPE_TEXT, AT(default_model),
     .help = "what an empty model name means; none: the first model"},
    {"discover", TYPE_BOOL, AT(discover), .initial = "true",
     .help = "offer what OPENAI_API_KEY, ANTHROPIC_API_KEY, GEMINI_API_KEY and a running "
             "Ollama give"},
    {"log.level", TYPE_TEXT, AT(log_level), .initial = "info",
     .help = "error, warn, info, debug or trace; per module: `info,gateway=debug`"},
    {"log.json", TYPE_BOOL, KEY_FIXED, AT(log_json), .initial = "false",
     .help = "log lines as JSON"},
    {"tls.cert", TYPE_PATH, KEY_FIXED, AT(tls_cert), .help = "certificate chain, PEM"},
    {"tls.key", TYPE_PATH, KEY_FIXED, AT(tls_key), .help = "its private key, PEM"},
    {"server.body_max", TYPE_BYTES, KEY_FIXED, AT(body_bytes_max), .initial = "32MiB",
     .min = KIB, .max = GIB, .help = "longest request"},
    {"server.answer_max", TYPE_BYTES, AT(answer_bytes_max), .initial = "64MiB", .min = KIB,
     .max = GIB, .help = "longest answer of an upstream"},
    {"server.connections_max", TYPE_COUNT, KEY_FIXED, AT(connections_max), .initial = "10k",
     .min = 1, .max = 1000 * 1000, .help = "most connections of clients; more wait"},
    {"server.header_timeout", TYPE_DURATION, KEY_FIXED, AT(header_timeout_ms), .initial = "10s",
     .min = 1, .max = HOUR, .help = "for a request's header"},
    {"server.body_timeout", TYPE_DURATION, KEY_FIXED, AT(body_timeout_ms), .initial = "30s",
     .min = 1, .max = HOUR, .help = "longest silence within a request's body"},
    {"server.ping", TYPE_DURATION, KEY_FIXED, AT(ping_ms), .initial = "10s", .min = 1,
     .max = HOUR, .help = "silence after which a stream gets a keep-alive"},
    {"server.drain", TYPE_DURATION, AT(drain_ms), .initial = "10s", .max = HOUR,
     .help = "time that requests in flight get when the node ends"},
    {"local.threads", TYPE_COUNT, KEY_FIXED, AT(threads), .initial = "0", .max = 1024,
     .help = "threads that compute local models; 0: one per core"},
    {"local.library_dir", TYPE_PATH, KEY_FIXED, AT(library_dir),
     .help = "folder of the llama.cpp libraries; none: as built"},
    {"cache.enabled", TYPE_BOOL, AT(cache_enabled), .initial = "false",
     .help = "answer a repeated request with the same answer, per API key"},
    {"cache.size", TYPE_BYTES, AT(cache_bytes_max), .initial = "64MiB", .min = KIB,
     .max = 1024 * GIB, .help = "memory for cached answers"},
    {"cache.entry_max", TYPE_BYTES, AT(cache_entry_bytes_max), .initial = "1MiB", .min = KIB,
     .max = GIB, .help = "longest answer that is cached"},
    {"cache.ttl", TYPE_DURATION, AT(cache_ttl_ms), .initial = "1h", .min = 1, .max = 366 * DAY,
     .help = "how long a cached answer is given"},
    {"retry.base", TYPE_DURATION, AT(retry_base_ms), .initial = "200ms", .min = 1, .max = HOUR,
     .help = "pause before the first retry; doubles with each, with jitter"},
    {"retry.cap", TYPE_DURATION, AT(retry_cap_ms), .initial = "10s", .min = 1, .max = HOUR,
     .help = "longest pause between tries"},
    {"breaker.failures", TYPE_COUNT, AT(breaker_failures), .initial = "5", .min = 1,
     .max = 1000 * 1000, .help = "failures in a row after which an endpoint is left alone"},
    {"breaker.open", TYPE_DURATION, AT(breaker_open_ms), .initial = "30s", .min = 1, .max = DAY,
     .help = "how long, until one request tries it again"},
    {"accounting.strict", TYPE_BOOL, AT(strict_sync), .initial = "false",
     .help = "end an answer only when its account is on disk"},
    {"limits", TYPE_ITEMS, AT(limits.at), N_AT(limits.n), .max = LIMITS_MAX,
     .items = &limit_group, .help = "what all callers together may use up",
     .example = "[{money: 20USD, per: day}]"},
    {"keys", TYPE_ITEMS, AT(keys), N_AT(keys_n), .max = ITEMS_MAX, .items = &key_group,
     .help = "who may ask; none: everybody on this machine"},
    {"endpoints", TYPE_ITEMS, AT(endpoints), N_AT(endpoints_n), .max = ITEMS_MAX,
     .items = &endpoint_group, .help = "whom to ask"},
    {"models", TYPE_ITEMS, AT(models), N_AT(models_n), .max = ITEMS_MAX, .items = &model_group,
     .help = "local models, and aliases with fallbacks"},
    {"prices", TYPE_ITEMS, AT(prices), N_AT(prices_n), .max = ITEMS_MAX, .items = &price_group,
     .help = "what models cost"},
};
#undef AT
#undef N_AT
const struct mt_config__group mt_config__root = {"", root_keys, MT_ARRAY_LEN(root_keys),
                                                 sizeof(struct mt_config)};

const struct mt_config__key *mt_config__find(const struct mt_config__group *group,
                                             struct mt_str name)
{
    for (size_t i = 0; i < group->n; i++) {
        if (mt_str_is(name, group->keys[i].name))
            return &group->keys[i];
    }
    return NULL;
}

static struct mt_str section_of(const struct mt_config__key *key)
{
    struct mt_str name = mt_str_of(key->name);
    size_t dot = mt_str_find_char(name, '.');

    return mt_str_sub(name, 0, dot < name.len ? dot : 0);
}

bool mt_config__has_section(const struct mt_config__group *group, struct mt_str name)
{
    for (size_t i = 0; i < group->n; i++) {
        if (name.len > 0 && mt_str_eq(section_of(&group->keys[i]), name))
            return true;
    }
    return false;
}

/* Names a person may have meant: the whole, the last part alone, the section. */
static unsigned distance(const struct mt_config__key *key, struct mt_str name, unsigned max,
                         struct mt_str *meant)
{
    struct mt_str whole = mt_str_of(key->name);
    struct mt_str section = section_of(key);
    struct mt_str last = mt_str_sub(whole, section.len > 0 ? section.len + 1 : 0, whole.len);
    unsigned far = mt_str_distance(last, name, max);
    unsigned far_whole = mt_str_distance(whole, name, max);
    unsigned far_section = section.len > 0 ? mt_str_distance(section, name, max) : max + 1;

    far = far_whole < far ? far_whole : far;
    *meant = far_section < far ? section : whole;
    return far_section < far ? far_section : far;
}

struct mt_str mt_config__nearest(const struct mt_config__group *group, struct mt_str name)
{
    unsigned best = name.len < 4 ? 2 : 4; /* one more than is near */
    struct mt_str found = {0};

    for (size_t i = 0; i < group->n; i++) {
        struct mt_str meant;
        unsigned far = distance(&group->keys[i], name, best, &meant);

        if (far < best) {
            best = far;
            found = meant;
        }
    }
    return found;
}

bool mt_config__is_scalar(const struct mt_config__key *key)
{
    return key->type != TYPE_TEXTS && key->type != TYPE_HEADERS && key->type != TYPE_ITEMS;
}

void mt_config__env_name(const struct mt_config__key *key, char out[MT_CONFIG__ENV_MAX])
{
    int n = snprintf(out, MT_CONFIG__ENV_MAX, "MOTET_%s", key->name);

    for (int i = 0; i < n && i < MT_CONFIG__ENV_MAX - 1; i++) {
        if (out[i] == '.')
            out[i] = '_';
        else if (out[i] >= 'a' && out[i] <= 'z')
            out[i] = (char)(out[i] - 'a' + 'A');
    }
}
