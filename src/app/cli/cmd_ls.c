/* SPDX-License-Identifier: Apache-2.0 */
#include "commands.h"
#include "models.h"

static mt_rc names(struct cli *cli, struct models_reply *reply, struct mt_err *err)
{
    MT_CLEANUP(mt_buf_fini) struct mt_buf out = MT_BUF_INIT(CLI_TABLE_MAX);
    const struct mt_json *model = mt_json_first(mt_json_get(reply->root, "models"));

    for (; model != NULL; model = mt_json_next(model)) {
        mt_buf_add(&out, models_text(reply, model, "name"));
        mt_buf_add_char(&out, '\n');
    }
    return cli_put(cli, &out, err);
}

static void add_row(struct cli_table *table, struct models_reply *reply,
                    const struct mt_json *model)
{
    MT_CLEANUP(mt_buf_fini) struct mt_buf size = MT_BUF_INIT(64);
    const struct mt_json *details = mt_json_get(model, "details");
    struct mt_str host = models_text(reply, model, "remote_host");
    int64_t size_bytes = models_number(model, "size");

    if (size_bytes > 0)
        cli_add_size(&size, size_bytes);
    cli_cell(table, models_text(reply, model, "name"));
    cli_cell(table, host.len > 0 ? host : size_bytes > 0 ? MT_STR("here") : MT_STR("alias"));
    cli_cell(table, models_text(reply, details, "parameter_size"));
    cli_cell(table, models_text(reply, details, "quantization_level"));
    cli_cell(table, mt_buf_str(&size));
}

static mt_rc table(struct cli *cli, struct models_reply *reply, struct mt_err *err)
{
    MT_CLEANUP(cli_table_fini) struct cli_table table;
    static const char *const heads[] = {"NAME", "WHERE", "PARAMETERS", "QUANTIZATION", "SIZE"};
    const struct mt_json *model = mt_json_first(mt_json_get(reply->root, "models"));

    cli_table_init(&table, MT_ARRAY_LEN(heads), 1u << 4);
    for (size_t i = 0; i < MT_ARRAY_LEN(heads); i++)
        cli_cell_cstr(&table, heads[i]);
    for (; model != NULL; model = mt_json_next(model))
        add_row(&table, reply, model);
    return cli_table_put(cli, &table, err);
}

static mt_rc run(struct cli *cli, const struct cli_args *args, struct mt_err *err)
{
    MT_CLEANUP(models_reply_fini) struct models_reply reply = {0};
    const struct client_call call = {
        .method = "GET", .path = "/api/tags", .waiting_for = "asking the node"};

    MT_TRY(models_call(cli, args, &call, &reply, err));
    if (cli_has(args, "json"))
        return models_put_json(cli, &reply, err);
    return cli_has(args, "names") ? names(cli, &reply, err) : table(cli, &reply, err);
}

static const struct cli_opt opts[] = {
    CLI_OPT_JSON,
    {"names", 0, NULL, "names only, one per line"},
    CLI_OPT_CONFIG,
    {0},
};

const struct cli_cmd cli_cmd_ls = {
    .name = "ls",
    .args = "",
    .summary = "list the models that can be asked",
    .examples = "motet ls\nmotet ls --json\n",
    .opts = opts,
    .run = run,
};
