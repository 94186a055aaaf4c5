/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/alloc.h"
#include "cli.h"
#include "commands.h"
#include "node/node.h"
#include "system/file.h"

/* As a node would have it, with what it finds around it. */
static mt_rc show(struct cli *cli, const struct cli_args *args, struct mt_err *err)
{
    MT_CLEANUP(mt_buf_fini) struct mt_buf out = MT_BUF_INIT(CLI_TABLE_MAX);
    MT_CLEANUP(mt_config_unrefp) const struct mt_config *config = NULL;
    const struct mt_node_opts opts = {.config_file = cli_config_file(cli, args),
                                      .environment = cli->environment,
                                      .program = cli->program};

    MT_TRY(mt_node_config(&opts, &config, err));
    MT_TRY(mt_config_show(config, cli_has(args, "json") ? MT_CONFIG_JSON : MT_CONFIG_YAML,
                          cli_has(args, "origin"), &out, err));
    return cli_put(cli, &out, err);
}

static mt_rc check(struct cli *cli, const struct cli_args *args, struct mt_err *err)
{
    MT_CLEANUP(mt_config_unrefp) const struct mt_config *usual = NULL;
    MT_CLEANUP(mt_config_unrefp) const struct mt_config *config = NULL;
    MT_CLEANUP(mt_freep) char *file = NULL;

    if (args->rest_n <= 1) {
        MT_TRY(cli_config(cli, args, &usual, err));
        file = usual->file.len > 0 ? mt_alloc_cstr(usual->file) : NULL;
    }
    MT_TRY(mt_config_load(args->rest_n > 1 ? args->rest[1] : file, cli->environment, NULL, 0,
                          &config, err)); /* as a node would, keys of endpoints included */
    if (config->file.len > 0)
        (void)fprintf(cli->err, "motet: %.*s is fine\n", MT_STR_ARG(config->file));
    else
        (void)fputs("motet: there is no file, and the defaults are fine\n", cli->err);
    return MT_OK;
}

static mt_rc explain(struct cli *cli, const struct cli_args *args, struct mt_err *err)
{
    MT_CLEANUP(mt_buf_fini) struct mt_buf out = MT_BUF_INIT(CLI_TABLE_MAX);

    if (cli_has(args, "markdown"))
        mt_config_reference(&out);
    else
        MT_TRY(mt_config_explain(args->rest_n > 1 ? args->rest[1] : NULL, &out, err));
    return cli_put(cli, &out, err);
}

static mt_rc sample(struct cli *cli, const struct cli_args *args, struct mt_err *err)
{
    MT_CLEANUP(mt_buf_fini) struct mt_buf out = MT_BUF_INIT(CLI_TABLE_MAX);

    (void)args;
    mt_config_sample(&out);
    return cli_put(cli, &out, err);
}

static mt_rc path(struct cli *cli, const struct cli_args *args, struct mt_err *err)
{
    MT_CLEANUP(mt_freep) char *usual = NULL;
    const char *file = cli_config_file(cli, args);

    if (file == NULL) {
        MT_TRY(mt_config_file_find(cli->environment, &usual, err));
        file = usual;
    }
    (void)fprintf(cli->out, "%s\n", file);
    if (!mt_file_exists(file))
        (void)fprintf(cli->err,
                      "motet: it is not there; begin one with: mkdir -p \"$(dirname '%s')\" && "
                      "motet config sample > '%s'\n",
                      file, file);
    return MT_OK;
}

static const struct {
    const char *name;
    size_t rest_max;
    cli_run_fn *run;
} verbs[] = {{"show", 1, show},
             {"check", 2, check},
             {"explain", 2, explain},
             {"sample", 1, sample},
             {"path", 1, path}};

static mt_rc run(struct cli *cli, const struct cli_args *args, struct mt_err *err)
{
    for (size_t i = 0; i < MT_ARRAY_LEN(verbs); i++) {
        if (strcmp(args->rest[0], verbs[i].name) != 0)
            continue;
        if (args->rest_n > verbs[i].rest_max)
            return MT_FAIL(err, MT_E_INVALID, "config: unexpected '%s'",
                           args->rest[verbs[i].rest_max]);
        return verbs[i].run(cli, args, err);
    }
    return MT_FAIL(err, MT_E_INVALID,
                   "config: expected show, check, explain, sample or path, found '%s'",
                   args->rest[0]);
}

static const struct cli_opt opts[] = {
    {"origin", 'o', NULL, "show: say where each value came from"},
    {"markdown", 0, NULL, "explain: the whole reference page"},
    CLI_OPT_JSON,
    CLI_OPT_CONFIG,
    {0},
};

const struct cli_cmd cli_cmd_config = {
    .name = "config",
    .args = "show|check [FILE]|explain [KEY]|sample|path",
    .summary = "show, check and explain the configuration",
    .more =
        "show prints every value in force, with what was found around the node; check finds\n"
        "mistakes; explain says what a key means; sample prints a file to begin with; path "
        "says\n"
        "where the file is.\n",
    .examples = "motet config show --origin\n"
                "motet config check team.yaml\n"
                "motet config explain endpoints\n"
                "motet config sample > motet.yaml\n",
    .opts = opts,
    .rest_min = 1,
    .rest_max = 2,
    .run = run,
};
