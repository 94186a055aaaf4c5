/* SPDX-License-Identifier: Apache-2.0 */
#include "cli.h"
#include "commands.h"
#include "gateway/gateway.h"

static mt_rc run(struct cli *cli, const struct cli_args *args, struct mt_err *err)
{
    MT_CLEANUP(mt_buf_fini) struct mt_buf out = MT_BUF_INIT(CLI_TEXT_MAX);

    (void)args;
    mt_gateway_routes(&out);
    return cli_put(cli, &out, err);
}

const struct cli_cmd cli_cmd_routes = {
    .name = "routes",
    .args = "",
    .summary = "list the routes of the API",
    .examples = "motet routes\n",
    .run = run,
};
