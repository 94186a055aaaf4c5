/* SPDX-License-Identifier: Apache-2.0 */
#include "cli.h"
#include "commands.h"
#include "node/node.h"

static mt_rc run(struct cli *cli, const struct cli_args *args, struct mt_err *err)
{
    const struct mt_node_opts opts = {
        .config_file = cli_config_file(cli, args),
        .flags = args->flags,
        .flags_n = args->flags_n,
        .environment = cli->environment,
        .program = cli->program,
    };

    return mt_node_run(&opts, err);
}

static const struct cli_opt opts[] = {CLI_OPT_CONFIG, {0}};

const struct cli_cmd cli_cmd_up = {
    .name = "up",
    .args = "",
    .summary = "start a node and serve until Ctrl-C",
    .examples = "motet up\n"
                "motet up --config team.yaml --log.level debug\n"
                "motet up --listen 127.0.0.1:8000 --cache.enabled\n",
    .opts = opts,
    .takes_config_keys = true,
    .run = run,
};
