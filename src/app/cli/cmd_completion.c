/* SPDX-License-Identifier: Apache-2.0 */
#include "cli.h"
#include "commands.h"

static mt_rc run(struct cli *cli, const struct cli_args *args, struct mt_err *err)
{
    MT_CLEANUP(mt_buf_fini) struct mt_buf out = MT_BUF_INIT(CLI_TEXT_MAX);

    MT_TRY(cli_completion(args->rest[0], &out, err));
    return cli_put(cli, &out, err);
}

const struct cli_cmd cli_cmd_completion = {
    .name = "completion",
    .args = "bash|zsh|fish",
    .summary = "print a completion script for a shell",
    .examples = "source <(motet completion bash)\n"
                "motet completion zsh > \"${fpath[1]}/_motet\"\n"
                "motet completion fish > ~/.config/fish/completions/motet.fish\n",
    .rest_min = 1,
    .rest_max = 1,
    .run = run,
};
