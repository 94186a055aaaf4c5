/* SPDX-License-Identifier: Apache-2.0 */
#include "commands.h"
#include "models.h"

static mt_rc run(struct cli *cli, const struct cli_args *args, struct mt_err *err)
{
    MT_CLEANUP(models_reply_fini) struct models_reply reply = {0};
    const struct mt_config *config = NULL;
    const struct client_call call = {.method = "POST", .path = "/motet/v1/reload"};

    /* a file with a mistake is told here, and not in the node's log */
    MT_TRY(cli_config(cli, args, &config, err));
    mt_config_unref(config);
    MT_TRY(models_call(cli, args, &call, &reply, err));
    (void)fputs("motet: the node reads its configuration again\n", cli->err);
    return MT_OK;
}

static const struct cli_opt opts[] = {CLI_OPT_CONFIG, {0}};

const struct cli_cmd cli_cmd_reload = {
    .name = "reload",
    .args = "",
    .summary = "have the node read its configuration again",
    .more = "A running node does so by itself when the file changes, and on SIGHUP.\n",
    .examples = "motet reload\n",
    .opts = opts,
    .run = run,
};
