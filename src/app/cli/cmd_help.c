/* SPDX-License-Identifier: Apache-2.0 */
#include "cli.h"
#include "commands.h"

static mt_rc run(struct cli *cli, const struct cli_args *args, struct mt_err *err)
{
    MT_CLEANUP(mt_buf_fini) struct mt_buf out = MT_BUF_INIT(CLI_TEXT_MAX);
    const struct cli_cmd *cmd = args->rest_n > 0 ? cli_cmd_find(args->rest[0]) : NULL;

    if (args->rest_n > 0 && cmd == NULL)
        return MT_FAIL(err, MT_E_INVALID, "help: unknown command '%s'", args->rest[0]);
    if (cli_has(args, "man"))
        cli_man(&out);
    else if (cmd != NULL)
        cli_help(cmd, &out);
    else
        cli_help_all(&out);
    return cli_put(cli, &out, err);
}

static const struct cli_opt opts[] = {
    {"man", 0, NULL, "print the manual page (roff)"},
    {0},
};

const struct cli_cmd cli_cmd_help = {
    .name = "help",
    .args = "[COMMAND]",
    .summary = "say how a command is used",
    .examples = "motet help ask\nmotet help --man | man -l -\n",
    .opts = opts,
    .rest_max = 1,
    .run = run,
};
