/* SPDX-License-Identifier: Apache-2.0 */
#include "commands.h"
#include "models.h"

enum { BODY_MAX = 64 * 1024 };

static mt_rc stop_node(struct cli *cli, const struct cli_args *args, struct mt_err *err)
{
    MT_CLEANUP(models_reply_fini) struct models_reply reply = {0};
    const struct client_call call = {.method = "POST", .path = "/motet/v1/stop"};

    MT_TRY(models_call(cli, args, &call, &reply, err));
    (void)fputs("motet: the node is ending; requests in flight may finish\n", cli->err);
    return MT_OK;
}

static mt_rc stop_model(struct cli *cli, const struct cli_args *args, struct mt_err *err)
{
    MT_CLEANUP(models_reply_fini) struct models_reply reply = {0};
    MT_CLEANUP(mt_buf_fini) struct mt_buf body = MT_BUF_INIT(BODY_MAX);

    models_body(&body, args->rest[0], ",\"keep_alive\":0,\"stream\":false");
    MT_TRY(mt_buf_check(&body, "name", err));
    const struct client_call call = {
        .method = "POST", .path = "/api/generate", .body = mt_buf_str(&body)};
    return models_call(cli, args, &call, &reply, err);
}

static mt_rc run(struct cli *cli, const struct cli_args *args, struct mt_err *err)
{
    bool is_node = cli_has(args, "node");

    if (is_node == (args->rest_n == 1))
        return MT_FAIL(err, MT_E_INVALID, "stop: expected either a model or --node");
    return is_node ? stop_node(cli, args, err) : stop_model(cli, args, err);
}

static const struct cli_opt opts[] = {
    {"node", 0, NULL, "end the node itself"},
    CLI_OPT_CONFIG,
    {0},
};

const struct cli_cmd cli_cmd_stop = {
    .name = "stop",
    .args = "[MODEL]",
    .summary = "take a model out of memory, or end the node",
    .examples = "motet stop lab-mini\nmotet stop --node\n",
    .opts = opts,
    .rest_max = 1,
    .run = run,
};
