/* SPDX-License-Identifier: Apache-2.0 */
#include "cli.h"
#include "commands.h"
#include "gateway/gateway.h"

static mt_rc run(struct cli *cli, const struct cli_args *args, struct mt_err *err)
{
    MT_CLEANUP(mt_buf_fini) struct mt_buf out = MT_BUF_INIT(CLI_TEXT_MAX);

    mt_gateway_routes(cli_has(args, "json")       ? MT_ROUTES_JSON
                      : cli_has(args, "markdown") ? MT_ROUTES_MARKDOWN
                                                  : MT_ROUTES_TEXT,
                      &out);
    return cli_put(cli, &out, err);
}

static const struct cli_opt opts[] = {
    CLI_OPT_JSON,
    {"markdown", 0, NULL, "print the table of docs/api.md"},
    {0},
};

const struct cli_cmd cli_cmd_routes = {
    .name = "routes",
    .args = "",
    .summary = "list the routes of the API",
    .examples = "motet routes\n",
    .opts = opts,
    .run = run,
};
