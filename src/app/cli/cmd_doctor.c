/* SPDX-License-Identifier: Apache-2.0 */
/* What could keep a node from working here, and what to type about it. */
#include <errno.h>
#include <netdb.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/alloc.h"
#include "cli.h"
#include "commands.h"
#include "engine/engine.h"
#include "engine/gguf.h"
#include "engine/local.h"
#include "net/loop.h"
#include "node/node.h"
#include "probe.h"
#include "system/file.h"
#include "wire/json_writer.h"

enum { DISK_LOW = 1024 * 1024 * 1024, NOTE_MAX = 4096, HEAD_MAX = 64 * 1024 * 1024 };

struct doctor {
    struct cli *cli;
    struct mt_buf json;
    struct mt_jw w;
    bool is_json;
    int problems_n;
};

/* One finding; fix is what to type, or NULL when all is well. */
static void say(struct doctor *d, const char *what, const char *fix, const char *format, ...)
    MT_PRINTF(4, 5);

static void say(struct doctor *d, const char *what, const char *fix, const char *format, ...)
{
    char words[512];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(words, sizeof words, format, args);
    va_end(args);
    d->problems_n += fix != NULL;
    if (d->is_json) {
        mt_jw_object(&d->w);
        mt_jw_kcstr(&d->w, "check", what);
        mt_jw_kbool(&d->w, "ok", fix == NULL);
        mt_jw_kcstr(&d->w, "found", words);
        mt_jw_kcstr(&d->w, "fix", fix);
        mt_jw_end(&d->w);
        return;
    }
    (void)fprintf(d->cli->out, "%-4s %-14s %s\n", fix == NULL ? "ok" : "BAD", what, words);
    if (fix != NULL)
        (void)fprintf(d->cli->out, "     %-14s -> %s\n", "", fix);
    (void)fflush(d->cli->out);
}

/* ------------------------------------------------------------------ checks */

static void check_node(struct doctor *d, const struct mt_config *config, bool *is_up)
{
    MT_CLEANUP(mt_freep) char *path = cli_data_path(config, "node.lock");
    MT_CLEANUP(mt_buf_fini) struct mt_buf note = MT_BUF_INIT(NOTE_MAX);

    *is_up = path != NULL && mt_lock_is_held(path, &note);
    if (*is_up)
        say(d, "node", NULL, "is up (%s)", mt_buf_cstr(&note));
    else
        say(d, "node", NULL, "is not up; 'motet up' starts one");
}

static int try_bind(const struct mt_config *config)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
    struct addrinfo *found = NULL;
    char host[256];
    char port[8];
    int one = 1;

    (void)snprintf(host, sizeof host, "%.*s", MT_STR_ARG(config->listen_host));
    (void)snprintf(port, sizeof port, "%u", (unsigned)config->listen_port);
    if (getaddrinfo(host, port, &hints, &found) != 0)
        return EADDRNOTAVAIL;
    MT_CLEANUP(mt_fd_closep) int fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    int failed = fd < 0 || bind(fd, found->ai_addr, found->ai_addrlen) != 0 ? errno : 0;
    freeaddrinfo(found);
    return failed;
}

static void check_port(struct doctor *d, const struct mt_config *config)
{
    int failed = try_bind(config);

    if (failed == 0)
        say(d, "port", NULL, "%.*s:%u is free", MT_STR_ARG(config->listen_host),
            (unsigned)config->listen_port);
    else
        say(d, "port",
            failed == EACCES
                ? "take a port above 1023: motet up --listen 127.0.0.1:7700"
                : "take another one: motet up --listen 127.0.0.1:7701 (a node whose data "
                  "folder was deleted still has it? its /healthz says ledger_lost)",
            "%.*s:%u: %s", MT_STR_ARG(config->listen_host), (unsigned)config->listen_port,
            strerror(failed));
}

static void check_folder(struct doctor *d, const struct mt_config *config)
{
    MT_CLEANUP(mt_freep) char *dir = mt_alloc_cstr(config->data_dir);
    struct mt_err err = {0};
    struct stat found;

    if (dir == NULL)
        return;
    if (mt_dir_make(dir, &err) != MT_OK || stat(dir, &found) != 0) {
        say(d, "data folder", "name another one: motet up --data_dir FOLDER", "%s", err.text);
    } else if (access(dir, R_OK | W_OK | X_OK) != 0) {
        say(d, "data folder", "chown it to yourself, or: motet up --data_dir FOLDER",
            "%s cannot be written", dir);
    } else if ((found.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
        char fix[600];
        (void)snprintf(fix, sizeof fix, "chmod 700 '%s'", dir);
        say(d, "data folder", fix, "%s is open to others (mode %03o)", dir,
            (unsigned)(found.st_mode & 0777));
    } else {
        say(d, "data folder", NULL, "%s", dir);
    }
}

static void check_disk(struct doctor *d, const struct mt_config *config)
{
    MT_CLEANUP(mt_freep) char *dir = mt_alloc_cstr(config->data_dir);
    MT_CLEANUP(mt_buf_fini) struct mt_buf text = MT_BUF_INIT(64);
    struct statvfs found;

    if (dir == NULL || statvfs(dir, &found) != 0)
        return; /* the folder has been reported */
    int64_t free_bytes = (int64_t)(found.f_bavail * found.f_frsize);
    cli_add_size(&text, free_bytes);
    say(d, "disk", free_bytes < DISK_LOW ? "make room, or: motet up --data_dir FOLDER" : NULL,
        "%s free", mt_buf_cstr(&text));
}

static void check_llama(struct doctor *d, const struct mt_config *config)
{
    MT_CLEANUP(mt_freep)
    char *dir = config->library_dir.len > 0 ? mt_alloc_cstr(config->library_dir) : NULL;
    const struct mt_local_opts opts = {.library_dir = dir};
    struct mt_loop *loop = NULL;
    struct mt_engine *engine = NULL;
    struct mt_err err = {0};
    mt_rc rc = mt_loop_new(&loop, &err);

    if (rc == MT_OK)
        rc = mt_local_open(loop, &opts, &engine, &err);
    if (rc == MT_OK)
        say(d, "llama.cpp", NULL, "can be loaded");
    else
        say(d, "llama.cpp", "scripts/llama-deps.sh, and build again", "%s", err.text);
    if (engine != NULL)
        engine->ops->close(engine);
    mt_loop_free(loop);
}

static void check_file(struct doctor *d, const char *what, struct mt_str file, bool is_adapter)
{
    MT_CLEANUP(mt_arena_fini) struct mt_arena arena = MT_ARENA_INIT(HEAD_MAX);
    MT_CLEANUP(mt_freep) char *path = mt_alloc_cstr(file);
    struct mt_gguf gguf = {0};
    struct mt_err err = {0};

    if (path == NULL)
        return;
    if (mt_gguf_read(path, &arena, &gguf, &err) != MT_OK)
        say(d, what, "correct its path: motet config path", "%s", err.text);
    else if ((gguf.adapter_type.len > 0) != is_adapter)
        say(d, what, is_adapter ? "name an adapter's file, or none" : "it belongs under lora",
            "%s: %s", path, is_adapter ? "is no adapter" : "is an adapter, no model");
    else
        say(d, what, NULL, "%s", path);
}

static void check_models(struct doctor *d, const struct mt_config *config)
{
    for (size_t i = 0; i < config->models_n; i++) {
        const struct mt_config_model *model = &config->models[i];
        char what[64];

        if (model->path.len == 0)
            continue;
        (void)snprintf(what, sizeof what, "model %.*s", MT_STR_ARG(model->name));
        check_file(d, what, model->path, false);
        (void)snprintf(what, sizeof what, "lora of %.*s", MT_STR_ARG(model->name));
        if (model->lora.len > 0)
            check_file(d, what, model->lora, true);
    }
}

static void check_endpoint(struct doctor *d, const struct mt_config_endpoint *endpoint)
{
    struct mt_err err = {0};
    char what[64];
    int status = 0;

    (void)snprintf(what, sizeof what, "endpoint %.*s", MT_STR_ARG(endpoint->name));
    if (probe_endpoint(endpoint, &status, &err) != MT_OK)
        say(d, what, "check its url, the network, and proxies", "%.*s: %s",
            MT_STR_ARG(endpoint->url), err.text);
    else if (status == 401 || status == 403)
        say(d, what, "correct its api_key (motet config explain endpoints.api_key_env)",
            "%.*s refuses the key (%d)", MT_STR_ARG(endpoint->url), status);
    else if (status >= 500)
        say(d, what, "try again later", "%.*s says %d", MT_STR_ARG(endpoint->url), status);
    else
        say(d, what, NULL, "%.*s answers%s", MT_STR_ARG(endpoint->url),
            status == 200 ? "" : ", but lists no models");
}

static void check_all(struct doctor *d, const struct mt_config *config)
{
    bool is_up;

    if (config->file.len > 0)
        say(d, "configuration", NULL, "%.*s", MT_STR_ARG(config->file));
    else
        say(d, "configuration", NULL, "no file, the defaults");
    check_folder(d, config);
    check_disk(d, config);
    check_node(d, config, &is_up);
    if (!is_up)
        check_port(d, config);
    check_llama(d, config);
    check_models(d, config);
    for (size_t i = 0; i < config->endpoints_n; i++)
        check_endpoint(d, &config->endpoints[i]);
}

static mt_rc run(struct cli *cli, const struct cli_args *args, struct mt_err *err)
{
    MT_CLEANUP(mt_config_unrefp) const struct mt_config *config = NULL;
    struct doctor d = {.cli = cli, .is_json = cli_has(args, "json")};
    const struct mt_node_opts opts = {.config_file = cli_config_file(cli, args),
                                      .environment = cli->environment,
                                      .program = cli->program};
    struct mt_err why = {0};

    mt_buf_init(&d.json, CLI_TABLE_MAX);
    mt_jw_begin(&d.w, &d.json);
    mt_jw_array(&d.w);
    if (mt_node_config(&opts, &config, &why) == MT_OK)
        check_all(&d, config);
    else
        say(&d, "configuration", "correct it: motet config check", "%s", why.text);
    mt_jw_end(&d.w);
    mt_buf_add_char(&d.json, '\n');
    mt_rc rc = d.is_json ? cli_put(cli, &d.json, err) : MT_OK;
    mt_buf_fini(&d.json);
    if (rc == MT_OK && d.problems_n > 0)
        rc = MT_FAIL(err, MT_E_INVALID, "doctor: %d %s", d.problems_n,
                     d.problems_n == 1 ? "problem" : "problems");
    return rc;
}

static const struct cli_opt opts[] = {CLI_OPT_JSON, CLI_OPT_CONFIG, {0}};

const struct cli_cmd cli_cmd_doctor = {
    .name = "doctor",
    .args = "",
    .summary = "find what is wrong here, and say what to type",
    .examples = "motet doctor\n",
    .opts = opts,
    .run = run,
};
