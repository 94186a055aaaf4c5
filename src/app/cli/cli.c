/* SPDX-License-Identifier: Apache-2.0 */
/* The table of commands, and the way to one of them. */
#include "cli.h"

#include <string.h>

#include "commands.h"

const struct cli_cmd *const cli_cmds[] = {
    &cli_cmd_up,
    &cli_cmd_run,
    &cli_cmd_ask,
    &cli_cmd_ls,
    &cli_cmd_ps,
    &cli_cmd_show,
    &cli_cmd_stop,
    &cli_cmd_reload,
    &cli_cmd_config,
    &cli_cmd_key,
    &cli_cmd_usage,
    &cli_cmd_explain,
    &cli_cmd_routes,
    &cli_cmd_doctor,
    &cli_cmd_completion,
    &cli_cmd_train,
    &cli_cmd_version,
    &cli_cmd_help,
    NULL,
};

const char *cli_variable(const struct cli *cli, const char *name)
{
    size_t len = strlen(name);

    for (char *const *at = cli->environment; at != NULL && *at != NULL; at++) {
        if (strncmp(*at, name, len) == 0 && (*at)[len] == '=')
            return (*at)[len + 1] != '\0' ? *at + len + 1 : NULL;
    }
    return NULL;
}

/* What people type out of habit, and what it is here. */
static const struct {
    const char *typed, *meant;
} habits[] = {
    {"serve", "up"},    {"start", "up"},    {"list", "ls"},     {"chat", "run"},
    {"-h", "help"},     {"--help", "help"}, {"-v", "version"},  {"--version", "version"},
    {"unload", "stop"}, {"keys", "key"},    {"init", "config"}, {"status", "doctor"},
};

static const struct cli_cmd *find_or_say(const char *name, struct mt_err *err, mt_rc *rc)
{
    const struct cli_cmd *cmd = cli_cmd_find(name);
    const char *near = NULL;
    unsigned best = 3;

    *rc = MT_OK;
    if (cmd != NULL)
        return cmd;
    for (size_t i = 0; i < MT_ARRAY_LEN(habits); i++) {
        if (strcmp(habits[i].typed, name) != 0)
            continue;
        if (habits[i].typed[0] == '-')
            return cli_cmd_find(habits[i].meant);
        near = habits[i].meant;
    }
    for (size_t i = 0; near == NULL && cli_cmds[i] != NULL; i++) {
        unsigned far = mt_str_distance(mt_str_of(cli_cmds[i]->name), mt_str_of(name), best);
        if (far < best)
            near = cli_cmds[i]->name;
    }
    *rc =
        near != NULL
            ? MT_FAIL(err, MT_E_INVALID, "unknown command '%s', did you mean '%s'?", name, near)
            : MT_FAIL(err, MT_E_INVALID, "unknown command '%s' (see 'motet help')", name);
    return NULL;
}

static bool asks_for_help(size_t n, char *const *words)
{
    for (size_t i = 0; i < n && strcmp(words[i], "--") != 0; i++) {
        if (strcmp(words[i], "--help") == 0 || strcmp(words[i], "-h") == 0)
            return true;
    }
    return false;
}

static mt_rc put_help(struct cli *cli, const struct cli_cmd *cmd, struct mt_err *err)
{
    MT_CLEANUP(mt_buf_fini) struct mt_buf text = MT_BUF_INIT(CLI_TEXT_MAX);

    if (cmd != NULL)
        cli_help(cmd, &text);
    else
        cli_help_all(&text);
    return cli_put(cli, &text, err);
}

static mt_rc run(struct cli *cli, int argc, char *const *argv, struct mt_err *err)
{
    MT_CLEANUP(cli_args_fini) struct cli_args args = {0};
    mt_rc rc;

    if (argc < 2)
        return put_help(cli, NULL, err);
    const struct cli_cmd *cmd = find_or_say(argv[1], err, &rc);
    if (cmd == NULL)
        return rc;
    size_t n = (size_t)argc - 2;
    if (asks_for_help(n, argv + 2))
        return put_help(cli, cmd, err);
    MT_TRY(cli_parse(cmd, n, argv + 2, &args, err));
    return cmd->run(cli, &args, err);
}

int cli_main(struct cli *cli, int argc, char *const *argv)
{
    struct mt_err err = {0};
    mt_rc rc = run(cli, argc, argv, &err);

    if (fflush(cli->out) != 0 && rc == MT_OK)
        rc = MT_E_IO;
    if (rc != MT_OK && rc != MT_E_CANCELED)
        (void)fprintf(cli->err, "motet: %s\n", err.text[0] != '\0' ? err.text : mt_rc_name(rc));
    return mt_rc_exit_code(rc);
}
