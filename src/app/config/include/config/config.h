/* SPDX-License-Identifier: Apache-2.0 */
/* config/config.h - what a node is told: an immutable snapshot.
 *
 * One table of keys (config/keys.c) is the truth: name, type, unit, default, bounds, whether a
 * reload may change it, whether it is secret, one line of help. The parser, the environment's
 * MOTET_* names, `motet config explain`, the sample file and docs/configuration.md come from
 * it. Order: defaults < file < environment < flags. Strict: an unknown key, a wrong unit or a
 * value out of range is MT_E_INVALID with line, column and the nearest known key.
 *
 * Thread rule: a snapshot never changes; references are counted atomically. */
#ifndef MT_CONFIG_CONFIG_H
#define MT_CONFIG_CONFIG_H

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

enum mt_config_per { /* as enum mt_limit_window */
                     MT_PER_SECOND,
                     MT_PER_MINUTE,
                     MT_PER_HOUR,
                     MT_PER_DAY,
                     MT_PER_MONTH,
                     MT_PER_EVER,
};

/* "at most this much per window"; 0 = no limit of that kind */
struct mt_config_limit {
    int64_t requests;
    int64_t tokens;
    int64_t money_usd_nano; /* 1e9 = 1 USD */
    enum mt_config_per per;
};

struct mt_config_strs {
    const struct mt_str *at;
    size_t n;
};

struct mt_config_limits {
    const struct mt_config_limit *at;
    size_t n;
};

struct mt_config_key { /* keys: who may ask */
    struct mt_str name;
    struct mt_str hash;           /* "sha256:HEX" as `motet key new` prints */
    struct mt_config_strs models; /* patterns it may use ("lab-*"); none = all */
    struct mt_config_limits limits;
};

struct mt_config_header {
    struct mt_str name, value; /* value is secret */
};

struct mt_config_endpoint { /* endpoints: whom to ask */
    struct mt_str name;
    struct mt_str dialect; /* openai, openai-responses, anthropic, gemini, ollama */
    struct mt_str url;
    struct mt_str api_key; /* secret; or from api_key_env / api_key_file (already read here) */
    struct mt_str ca_file; /* PEM; empty = the system's authorities */
    struct mt_config_strs
        models; /* what it serves, by its own names; none = whatever is asked */
    const struct mt_config_header *headers;
    size_t headers_n;
    int64_t connect_timeout_ms;
    int64_t first_timeout_ms; /* until the first byte of an answer */
    int64_t idle_timeout_ms;  /* longest silence in a stream */
    int64_t concurrent_max;   /* 0 = no limit */
    bool is_found;            /* not in the file: found in the environment */
};

struct mt_config_model { /* models: local models, aliases with fallbacks, policies */
    struct mt_str name;
    struct mt_str path; /* local: a GGUF file */
    struct mt_str lora;
    double lora_scale;
    int64_t context_tokens;
    int64_t parallel_max;
    int64_t keep_alive_ms; /* < 0 = for ever */
    int64_t gpu_layers;
    struct mt_config_strs targets; /* alias: "endpoint/model" or a model name, tried in order */
    int64_t retries;               /* per target, on failures that a retry may help */
    int64_t total_timeout_ms;      /* whole request, all attempts; 0 = none */
    int64_t hedge_after_ms;        /* 0 = no hedging */
    bool continue_stream; /* a stream that breaks in the middle goes on at the next target */
    bool cache;           /* may answers be cached? when not told: as cache_enabled */
    struct mt_config_limits limits;
};

struct mt_config_price { /* prices: "0.25USD" per million tokens, in micro-USD here */
    struct mt_str model; /* "endpoint/model", patterns allowed; first match counts */
    int64_t input_usd_micro, output_usd_micro, cached_usd_micro, cache_write_usd_micro;
    int64_t request_usd_micro; /* per request */
};

struct mt_config {
    struct mt_str file; /* absolute path, or empty */
    struct mt_str listen_host;
    uint16_t listen_port;
    struct mt_str data_dir;
    struct mt_str default_model; /* what `motet run` and an empty model name mean */
    struct mt_str log_level;     /* "info,net=debug" */
    bool log_json;
    struct mt_str tls_cert, tls_key;
    int64_t body_bytes_max;
    int64_t answer_bytes_max;
    int64_t connections_max;
    int64_t header_timeout_ms, body_timeout_ms;
    int64_t ping_ms;           /* silence after which a stream gets a keep-alive */
    int64_t drain_ms;          /* time given to requests in flight at shutdown */
    int64_t threads;           /* for local models; 0 = the machine's cores */
    struct mt_str library_dir; /* llama.cpp libraries; empty = as built */
    bool cache_enabled;
    int64_t cache_bytes_max, cache_entry_bytes_max, cache_ttl_ms;
    int64_t breaker_failures; /* in a row that open an endpoint's breaker */
    int64_t breaker_open_ms;
    int64_t retry_base_ms, retry_cap_ms;
    bool strict_sync; /* answer only after the accounting is on disk */
    bool discover;    /* look for API keys in the environment and a running Ollama */
    struct mt_config_limits limits; /* of the whole node */
    const struct mt_config_key *keys;
    size_t keys_n;
    const struct mt_config_endpoint *endpoints;
    size_t endpoints_n;
    const struct mt_config_model *models;
    size_t models_n;
    const struct mt_config_price *prices;
    size_t prices_n;
};

struct mt_config_flag { /* "--listen 127.0.0.1:8000" or MOTET_LISTEN, as key and text */
    const char *key;
    const char *value;
};

/** Read a file (NULL: none), then MOTET_* of the environment (NULL-ended list, may be NULL),
 * then flags. @return MT_OK, MT_E_NOTFOUND, MT_E_INVALID ("FILE:LINE:COLUMN: ..."), MT_E_IO,
 * MT_E_NOMEM
 *  @blocks file reads */
mt_rc mt_config_load(const char *file, char *const *environment,
                     const struct mt_config_flag *flags, size_t flags_n,
                     const struct mt_config **out, struct mt_err *err);

/** The same for a command that only asks a node: API keys of endpoints stay unread, since they
 * may be readable for the node alone. */
mt_rc mt_config_load_keyless(const char *file, char *const *environment,
                             const struct mt_config_flag *flags, size_t flags_n,
                             const struct mt_config **out, struct mt_err *err);

/** Where the file of a node is that names none: $MOTET_CONFIG, else motet.yaml in the folder of
 * mt_dirs; *out is owned. The file may not be there. @return MT_OK, MT_E_NOTFOUND, MT_E_NOMEM
 */
mt_rc mt_config_file_find(char *const *environment, char **out, struct mt_err *err);

const struct mt_config *mt_config_ref(const struct mt_config *config);
void mt_config_unref(const struct mt_config *config); /* NULL is allowed */
void mt_config_unrefp(const struct mt_config **config);

/** Add what was found outside the file (keys in the environment, Ollama): a new snapshot, which
 * copies what it is given. Numbers left at zero take their default; names that the old one has
 * already are left out. */
mt_rc mt_config_with_endpoints(const struct mt_config *config,
                               const struct mt_config_endpoint *found, size_t found_n,
                               const struct mt_config **out, struct mt_err *err);

/** The same for models: a node whose file names none adds the one that ships with it. */
mt_rc mt_config_with_models(const struct mt_config *config, const struct mt_config_model *more,
                            size_t more_n, const struct mt_config **out, struct mt_err *err);

/** Names of keys that differ and that a running node cannot take over (listen, data_dir, ...).
 */
void mt_config_unreloadable(const struct mt_config *old, const struct mt_config *now,
                            struct mt_buf *names);

/** `motet config show`: YAML or JSON of the whole snapshot, with each value's origin when
 * asked; secrets are shown as "(set)". */
enum mt_config_format { MT_CONFIG_YAML, MT_CONFIG_JSON };
mt_rc mt_config_show(const struct mt_config *config, enum mt_config_format format,
                     bool with_origins, struct mt_buf *out, struct mt_err *err);

/** `motet config explain KEY` (NULL: all keys, one line each). MT_E_NOTFOUND names the nearest.
 */
mt_rc mt_config_explain(const char *key, struct mt_buf *out, struct mt_err *err);

/** The sample file and the reference page, generated from the table. */
void mt_config_sample(struct mt_buf *out);
void mt_config_reference(struct mt_buf *out); /* Markdown */

/** The keys that a flag can give, for `motet up --help` and completion; false behind the last.
 */
struct mt_config_option {
    const char *name;    /* "cache.ttl" */
    const char *initial; /* NULL: none */
    const char *help;
    bool is_bool;
};
bool mt_config_option(size_t i, struct mt_config_option *out);

#endif
