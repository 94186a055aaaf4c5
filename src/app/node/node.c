/* SPDX-License-Identifier: Apache-2.0 */
/* Start in the order of the layers, serve, end in the opposite order. */
#include "node/node.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/assert.h"
#include "crypto/key.h"
#include "engine/local.h"
#include "gateway/gateway.h"
#include "ledger/ledger.h"
#include "net/http_client.h"
#include "net/loop.h"
#include "node_priv.h"
#include "system/env.h"
#include "system/file.h"
#include "system/log.h"

enum { MODELS_MAX = 256, TROUBLE_EVERY_MS = 1000 };

struct node {
    const struct mt_node_opts *opts;
    const struct mt_config *config; /* referenced */
    struct mt_dirs dirs;
    struct mt_lock *lock;
    struct mt_log *log;
    struct mt_loop *loop;
    struct mt_http_client *client;
    struct mt_ledger *ledger;
    struct mt_engine *local;
    struct mt_gateway *gateway;
    struct mt_secret admin;
    _Atomic uint64_t synced_seq;
    int64_t trouble_told_ms; /* the ledger's thread's */
    _Atomic bool is_strict;  /* answers wait for synced_seq; a reload may change it */
    bool is_stopping;
};

/* ------------------------------------------------------------------ configuration */

static const char *config_path(const struct mt_node_opts *opts, const struct mt_dirs *dirs,
                               char **owned)
{
    if (opts->config_file != NULL)
        return opts->config_file;
    *owned = mt_path_join(dirs->config, "motet.yaml");
    return *owned != NULL && mt_file_exists(*owned) ? *owned : NULL;
}

static mt_rc load_config(const struct mt_node_opts *opts, const struct mt_dirs *dirs,
                         struct mt_loop *loop, struct mt_http_client *client,
                         const struct mt_config *before, const struct mt_config **out,
                         struct mt_err *err)
{
    MT_CLEANUP(mt_freep) char *owned = NULL;
    const struct mt_config *read = NULL;
    const struct mt_config *with_models = NULL;
    const char *path = config_path(opts, dirs, &owned);
    mt_rc rc = mt_config_load(path, opts->environment, opts->flags, opts->flags_n, &read, err);

    if (rc == MT_OK)
        rc = node_default_models(read, &with_models, err);
    if (rc == MT_OK)
        rc = node_discover(with_models, opts->environment, loop, client, before, out, err);
    mt_config_unref(read);
    mt_config_unref(with_models);
    return rc;
}

mt_rc mt_node_config(const struct mt_node_opts *opts, const struct mt_config **out,
                     struct mt_err *err)
{
    struct mt_dirs dirs = {0};

    MT_TRY(mt_dirs_find(&dirs, err));
    mt_rc rc = load_config(opts, &dirs, NULL, NULL, NULL, out, err);
    mt_dirs_fini(&dirs);
    return rc;
}

/* ------------------------------------------------------------------ what a node needs */

/* Where it keeps things: the configuration's data_dir, or the user's usual place. */
static mt_rc data_path(const struct node *node, const char *name, char **out,
                       struct mt_err *err)
{
    struct mt_str dir = node->config->data_dir;
    MT_CLEANUP(mt_freep)
    char *base = dir.len > 0 ? mt_alloc_cstr(dir) : mt_alloc_cstr(mt_str_of(node->dirs.data));

    *out = base == NULL      ? NULL
           : name[0] == '\0' ? mt_alloc_cstr(mt_str_of(base))
                             : mt_path_join(base, name);
    return *out != NULL ? MT_OK : MT_FAIL(err, MT_E_NOMEM, "no memory for a path");
}

/* Its note says where: "pid 4711 http://127.0.0.1:7700". */
static mt_rc already_here(const char *path, struct mt_err *err)
{
    MT_CLEANUP(mt_buf_fini) struct mt_buf note = MT_BUF_INIT(4096);

    (void)mt_lock_is_held(path, &note);
    return MT_FAIL(err, MT_E_BUSY,
                   "a node is already here: %s ('motet stop --node' ends it; another one needs "
                   "its own --data_dir and --listen)",
                   mt_buf_cstr(&note));
}

static mt_rc take_lock(struct node *node, struct mt_err *err)
{
    MT_CLEANUP(mt_freep) char *dir = NULL;
    MT_CLEANUP(mt_freep) char *path = NULL;
    char note[128];
    int n = snprintf(note, sizeof note, "pid %ld", (long)getpid());

    MT_TRY(data_path(node, "", &dir, err));
    MT_TRY(data_path(node, "node.lock", &path, err));
    MT_TRY(mt_dir_make(dir, err));
    mt_rc rc = mt_lock_take(path, (struct mt_str){note, (size_t)n}, &node->lock, err);
    return rc == MT_E_BUSY ? already_here(path, err) : rc;
}

static mt_rc make_admin_token(struct node *node, struct mt_err *err)
{
    MT_CLEANUP(mt_freep) char *path = NULL;
    uint8_t entropy[MT_KEY_ENTROPY];

    MT_TRY(data_path(node, "admin.token", &path, err));
    mt_random_bytes(entropy, sizeof entropy);
    MT_TRY(mt_key_make(entropy, &node->admin, err));
    mt_wipe(entropy, sizeof entropy);
    return mt_file_write(path, mt_secret_view(&node->admin), 0600, err);
}

static void trouble_on_loop(void *arg)
{
    struct node *node = arg;

    if (node->gateway != NULL && node->ledger != NULL && mt_ledger_is_lost(node->ledger))
        mt_gateway_lost(node->gateway);
}

/* On the ledger's thread. */
static void ledger_trouble(void *arg, const struct mt_err *trouble)
{
    struct node *node = arg;

    int64_t now_ms = mt_env_now_mono_ns(mt_env_real()) / 1000000;

    if (node->trouble_told_ms == 0 || now_ms - node->trouble_told_ms >= TROUBLE_EVERY_MS) {
        node->trouble_told_ms = now_ms;
        mt_log(node->log, MT_LOG_ERROR, "ledger", "not_written", MT_LOG_ERR(trouble));
    }
    if (atomic_load(&node->is_strict))
        (void)mt_loop_post(node->loop, trouble_on_loop, node, NULL);
}

static void synced_on_loop(void *arg)
{
    struct node *node = arg;

    if (node->gateway != NULL)
        mt_gateway_synced(node->gateway, atomic_load(&node->synced_seq));
}

/* On the ledger's thread. A full mailbox is fine: the next sync tells again. */
static void ledger_synced(void *arg, uint64_t seq)
{
    struct node *node = arg;

    atomic_store(&node->synced_seq, seq);
    if (atomic_load(&node->is_strict))
        (void)mt_loop_post(node->loop, synced_on_loop, node, NULL);
}

static mt_rc open_ledger(struct node *node, struct mt_err *err)
{
    MT_CLEANUP(mt_freep) char *dir = NULL;
    struct mt_ledger_report report = {0};

    atomic_store(&node->is_strict, node->config->strict_sync);
    MT_TRY(data_path(node, "", &dir, err));
    const struct mt_ledger_opts opts = {
        .dir = dir,
        .on_synced = ledger_synced,
        .on_trouble = ledger_trouble,
        .arg = node,
    };
    MT_TRY(mt_ledger_open(&opts, &node->ledger, &report, err));
    if (report.interrupted_n > 0 || report.damaged_bytes > 0)
        mt_log(node->log, MT_LOG_WARN, "ledger", "recovered",
               MT_LOG_I64("interrupted", report.interrupted_n),
               MT_LOG_I64("replayed", report.replayed_n),
               MT_LOG_I64("damaged_bytes", report.damaged_bytes));
    return MT_OK;
}

static size_t local_models(const struct mt_config *config, struct mt_local_model *out)
{
    size_t n = 0;

    for (size_t i = 0; i < config->models_n && n < MODELS_MAX; i++) {
        const struct mt_config_model *model = &config->models[i];
        if (model->path.len == 0)
            continue;
        out[n++] = (struct mt_local_model){
            .name = model->name,
            .path = model->path,
            .lora_path = model->lora,
            .lora_scale = model->lora_scale,
            .context_tokens = model->context_tokens,
            .parallel_max = (unsigned)model->parallel_max,
            .keep_alive_ms = model->keep_alive_ms,
            .gpu_layers = (int)model->gpu_layers,
        };
    }
    return n;
}

/* Without llama.cpp the node still serves its endpoints. */
static mt_rc open_local(struct node *node, struct mt_err *err)
{
    struct mt_local_model models[MODELS_MAX];
    size_t n = local_models(node->config, models);
    MT_CLEANUP(mt_freep)
    char *library =
        node->config->library_dir.len > 0 ? mt_alloc_cstr(node->config->library_dir) : NULL;
    const struct mt_local_opts opts = {
        .library_dir = library,
        .threads = (unsigned)node->config->threads,
        .models = models,
        .models_n = n,
    };
    struct mt_err why = {0};
    mt_rc rc = mt_local_open(node->loop, &opts, &node->local, &why);

    if (rc == MT_E_NOTFOUND) {
        fprintf(stderr, "motet: local models are off: %s\n", why.text);
        return MT_OK;
    }
    if (rc < 0 && err != NULL)
        *err = why;
    return rc;
}

/* ------------------------------------------------------------------ stop and reload */

static void stopped(void *ctx)
{
    struct node *node = ctx;

    mt_loop_stop(node->loop);
}

static void stop(void *ctx)
{
    struct node *node = ctx;

    if (node->is_stopping) { /* the second time somebody is in a hurry */
        mt_loop_stop(node->loop);
        return;
    }
    node->is_stopping = true;
    fprintf(stderr, "motet: ending; requests in flight may finish\n");
    mt_gateway_drain(node->gateway, stopped, node);
}

static void on_signal(void *arg, int signum)
{
    (void)signum;
    stop(arg);
}

static mt_rc take_config(struct node *node, const struct mt_config *config, struct mt_err *err)
{
    struct mt_local_model models[MODELS_MAX];

    if (node->local != NULL)
        MT_TRY(mt_local_set_models(node->local, models, local_models(config, models), err));
    MT_TRY(mt_gateway_reload(node->gateway, config, err));
    atomic_store(&node->is_strict, config->strict_sync);
    return mt_log_set_levels(node->log, config->log_level, err);
}

static void reload(void *ctx)
{
    struct node *node = ctx;
    const struct mt_config *config = NULL;
    struct mt_err err = {0};
    MT_CLEANUP(mt_buf_fini) struct mt_buf names = MT_BUF_INIT(4096);

    if (node->is_stopping)
        return;
    mt_rc rc = load_config(node->opts, &node->dirs, NULL, NULL, node->config, &config, &err);
    if (rc == MT_OK)
        rc = take_config(node, config, &err);
    if (rc < 0) {
        mt_log(node->log, MT_LOG_ERROR, "node", "reload_failed", MT_LOG_ERR(&err));
        mt_config_unref(config);
        return;
    }
    mt_config_unreloadable(node->config, config, &names);
    if (names.len > 0)
        mt_log(node->log, MT_LOG_WARN, "node", "needs_restart",
               MT_LOG_STR("keys", mt_buf_str(&names)));
    mt_config_unref(node->config);
    node->config = config;
    mt_log(node->log, MT_LOG_INFO, "node", "reloaded", MT_LOG_STR("file", config->file));
}

static void on_hup(void *arg, int signum)
{
    (void)signum;
    reload(arg);
}

/* ------------------------------------------------------------------ life */

static mt_rc open_gateway(struct node *node, struct mt_err *err)
{
    MT_CLEANUP(mt_freep) char *responses = NULL;

    MT_TRY(data_path(node, "responses.db", &responses, err));
    const struct mt_gateway_deps deps = {
        .loop = node->loop,
        .env = mt_env_real(),
        .log = node->log,
        .client = node->client,
        .local = node->local,
        .ledger = node->ledger,
        .responses_path = responses,
        .version = MT_VERSION,
        .admin_token = mt_secret_view(&node->admin),
        .on_stop = stop,
        .on_reload = reload,
        .ctx = node,
    };
    return mt_gateway_open(&deps, node->config, &node->gateway, err);
}

static mt_rc watch(struct node *node, struct mt_err *err)
{
    MT_TRY(mt_loop_on_signal(node->loop, SIGINT, on_signal, node, err));
    MT_TRY(mt_loop_on_signal(node->loop, SIGTERM, on_signal, node, err));
    MT_TRY(mt_loop_on_signal(node->loop, SIGHUP, on_hup, node, err));
    if (node->config->file.len == 0)
        return MT_OK;
    MT_CLEANUP(mt_freep) char *path = mt_alloc_cstr(node->config->file);
    if (path == NULL)
        return MT_FAIL(err, MT_E_NOMEM, "no memory for a path");
    return mt_loop_on_file(node->loop, path, reload, node, err);
}

static mt_rc open_log(struct node *node, struct mt_err *err)
{
    const struct mt_log_opts opts = {
        .format = node->config->log_json ? MT_LOG_JSON : MT_LOG_LOGFMT,
        .levels = node->config->log_level,
    };
    return mt_log_new(&opts, &node->log, err);
}

static mt_rc start(struct node *node, struct mt_err *err)
{
    MT_TRY(mt_dirs_find(&node->dirs, err));
    MT_TRY(mt_loop_new(&node->loop, err));
    MT_TRY(mt_http_client_new(node->loop, NULL, &node->client, err));
    MT_TRY(load_config(node->opts, &node->dirs, node->loop, node->client, NULL, &node->config,
                       err));
    MT_TRY(take_lock(node, err));
    MT_TRY(open_log(node, err));
    MT_TRY(make_admin_token(node, err));
    MT_TRY(open_ledger(node, err));
    MT_TRY(open_local(node, err));
    MT_TRY(open_gateway(node, err));
    return watch(node, err);
}

static void end(struct node *node)
{
    mt_gateway_close(node->gateway);
    if (node->local != NULL)
        node->local->ops->close(node->local);
    mt_ledger_close(node->ledger);
    mt_http_client_free(node->client);
    if (node->loop != NULL)
        mt_loop_free(node->loop);
    mt_log_free(node->log);
    mt_secret_fini(&node->admin);
    mt_lock_free(node->lock);
    mt_config_unref(node->config);
    mt_dirs_fini(&node->dirs);
}

static void say_models(const struct mt_config *config)
{
    fprintf(stderr, "  models    ");
    for (size_t i = 0; i < config->models_n; i++)
        fprintf(stderr, "%.*s ", MT_STR_ARG(config->models[i].name));
    fprintf(stderr, "\n");
    for (size_t i = 0; i < config->endpoints_n; i++)
        fprintf(stderr, "  endpoint  %.*s (%.*s)%s\n", MT_STR_ARG(config->endpoints[i].name),
                MT_STR_ARG(config->endpoints[i].url),
                config->endpoints[i].is_found ? ", found in the environment" : "");
}

/* It may come later; until then the model's answers are errors. */
static void warn_of_missing_files(const struct mt_config *config)
{
    for (size_t i = 0; i < config->models_n; i++) {
        const struct mt_config_model *model = &config->models[i];
        const struct mt_str paths[] = {model->path, model->lora};
        for (size_t j = 0; j < MT_ARRAY_LEN(paths); j++) {
            MT_CLEANUP(mt_freep)
            char *path = paths[j].len > 0 ? mt_alloc_cstr(paths[j]) : NULL;
            if (path != NULL && access(path, R_OK) != 0)
                fprintf(stderr, "motet: model '%.*s': '%s': %s\n", MT_STR_ARG(model->name),
                        path, strerror(errno));
        }
    }
}

/* What a person needs now: where it is, what to point there, what to type. */
static void say_hello(struct node *node)
{
    const struct mt_config *config = node->config;
    char url[300];
    const char *scheme = config->tls_cert.len > 0 ? "https" : "http";
    unsigned port = mt_gateway_port(node->gateway);
    bool is_v6 = mt_str_find_char(config->listen_host, ':') < config->listen_host.len;
    int n = snprintf(url, sizeof url, is_v6 ? "%s://[%.*s]:%u" : "%s://%.*s:%u", scheme,
                     MT_STR_ARG(config->listen_host), port);
    char note[400];
    int note_n = snprintf(note, sizeof note, "pid %ld %s", (long)getpid(), url);

    (void)n;
    (void)mt_lock_note(node->lock, (struct mt_str){note, (size_t)note_n},
                       NULL); /* a courtesy */
    fprintf(stderr,
            "motet %s is up at %s\n"
            "  OpenAI    OPENAI_BASE_URL=%s/v1\n"
            "  Anthropic ANTHROPIC_BASE_URL=%s\n"
            "  Gemini    GOOGLE_GEMINI_BASE_URL=%s\n"
            "  Ollama    OLLAMA_HOST=%s\n",
            MT_VERSION, url, url, url, url, url);
    say_models(config);
    warn_of_missing_files(config);
    fprintf(stderr, "  try       %s ask \"upper motet\"      end with Ctrl-C\n",
            node->opts->program != NULL ? node->opts->program : "motet");
    mt_log(node->log, MT_LOG_INFO, "node", "up", MT_LOG_CSTR("url", url));
}

mt_rc mt_node_run(const struct mt_node_opts *opts, struct mt_err *err)
{
    struct node node = {.opts = opts};

    mt_alloc_keep_pages();
    signal(SIGPIPE, SIG_IGN); /* a client that leaves is an event, not a death */
    mt_rc rc = start(&node, err);
    if (rc == MT_OK) {
        say_hello(&node);
        mt_loop_run(node.loop);
    }
    end(&node);
    return rc;
}
