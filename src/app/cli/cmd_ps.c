/* SPDX-License-Identifier: Apache-2.0 */
#include "commands.h"
#include "models.h"

static mt_rc table(struct cli *cli, struct models_reply *reply, struct mt_err *err)
{
    MT_CLEANUP(cli_table_fini) struct cli_table table;
    static const char *const heads[] = {"NAME", "MEMORY", "ON GPU", "CONTEXT", "UNTIL"};
    const struct mt_json *model = mt_json_first(mt_json_get(reply->root, "models"));

    cli_table_init(&table, MT_ARRAY_LEN(heads), 1u << 1 | 1u << 2 | 1u << 3);
    for (size_t i = 0; i < MT_ARRAY_LEN(heads); i++)
        cli_cell_cstr(&table, heads[i]);
    for (; model != NULL; model = mt_json_next(model)) {
        MT_CLEANUP(mt_buf_fini) struct mt_buf size = MT_BUF_INIT(64);
        MT_CLEANUP(mt_buf_fini) struct mt_buf gpu = MT_BUF_INIT(64);
        MT_CLEANUP(mt_buf_fini) struct mt_buf context = MT_BUF_INIT(64);

        cli_add_size(&size, models_number(model, "size"));
        cli_add_size(&gpu, models_number(model, "size_vram"));
        cli_add_count(&context, models_number(model, "context_length"));
        cli_cell(&table, models_text(reply, model, "name"));
        cli_cell(&table, mt_buf_str(&size));
        cli_cell(&table, mt_buf_str(&gpu));
        cli_cell(&table, mt_buf_str(&context));
        cli_cell(&table, mt_str_sub(models_text(reply, model, "expires_at"), 0, 19));
    }
    return cli_table_put(cli, &table, err);
}

static mt_rc run(struct cli *cli, const struct cli_args *args, struct mt_err *err)
{
    MT_CLEANUP(models_reply_fini) struct models_reply reply = {0};
    const struct client_call call = {
        .method = "GET", .path = "/api/ps", .waiting_for = "asking the node"};

    MT_TRY(models_call(cli, args, &call, &reply, err));
    return cli_has(args, "json") ? models_put_json(cli, &reply, err) : table(cli, &reply, err);
}

static const struct cli_opt opts[] = {CLI_OPT_JSON, CLI_OPT_CONFIG, {0}};

const struct cli_cmd cli_cmd_ps = {
    .name = "ps",
    .args = "",
    .summary = "list the models in memory",
    .examples = "motet ps\n",
    .opts = opts,
    .run = run,
};
