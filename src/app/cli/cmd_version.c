/* SPDX-License-Identifier: Apache-2.0 */
#include "cli.h"
#include "commands.h"

static mt_rc run(struct cli *cli, const struct cli_args *args, struct mt_err *err)
{
    bool is_json = cli_has(args, "json");

    (void)err;
    (void)fprintf(cli->out, is_json ? "{\"version\":\"%s\"}\n" : "motet %s\n", MT_VERSION);
    return MT_OK;
}

static const struct cli_opt opts[] = {CLI_OPT_JSON, {0}};

const struct cli_cmd cli_cmd_version = {
    .name = "version",
    .args = "",
    .summary = "print the version",
    .examples = "motet version\n",
    .opts = opts,
    .run = run,
};
