/* SPDX-License-Identifier: Apache-2.0 */
#include "commands.h"
#include "models.h"

enum { BODY_MAX = 64 * 1024 };

static void line(struct cli_table *table, const char *name, struct mt_str value)
{
    if (value.len == 0)
        return;
    cli_cell_cstr(table, name);
    cli_cell(table, value);
}

static void add_abilities(struct cli_table *table, struct models_reply *reply)
{
    MT_CLEANUP(mt_buf_fini) struct mt_buf all = MT_BUF_INIT(4096);
    const struct mt_json *at = mt_json_first(mt_json_get(reply->root, "capabilities"));

    for (; at != NULL; at = mt_json_next(at)) {
        struct mt_str text;
        if (mt_json_str(at, &reply->arena, &text))
            mt_buf_addf(&all, "%s%.*s", all.len > 0 ? ", " : "", MT_STR_ARG(text));
    }
    line(table, "can", mt_buf_str(&all));
}

/* Numbers and texts of the model's own description; arrays are long and for --json. */
static void add_info(struct cli_table *table, struct models_reply *reply)
{
    const struct mt_json *at = mt_json_first(mt_json_get(reply->root, "model_info"));

    for (; at != NULL; at = mt_json_next(at)) {
        struct mt_str text = mt_json_raw(at);
        enum mt_json_type type = mt_json_type(at);

        if (type == MT_JSON_ARRAY || type == MT_JSON_OBJECT || type == MT_JSON_NULL)
            continue;
        if (type == MT_JSON_STRING && !mt_json_str(at, &reply->arena, &text))
            continue;
        if (text.len > 100)
            continue;
        cli_cell(table, mt_json_key(at));
        cli_cell(table, text);
    }
}

static mt_rc show(struct cli *cli, const char *name, struct models_reply *reply,
                  struct mt_err *err)
{
    MT_CLEANUP(cli_table_fini) struct cli_table table;
    const struct mt_json *details = mt_json_get(reply->root, "details");

    cli_table_init(&table, 2, 0);
    line(&table, "name", mt_str_of(name));
    line(&table, "endpoint", models_text(reply, reply->root, "remote_host"));
    line(&table, "its name there", models_text(reply, reply->root, "remote_model"));
    line(&table, "family", models_text(reply, details, "family"));
    line(&table, "parameters", models_text(reply, details, "parameter_size"));
    line(&table, "quantization", models_text(reply, details, "quantization_level"));
    line(&table, "format", models_text(reply, details, "format"));
    add_abilities(&table, reply);
    add_info(&table, reply);
    line(&table, "licence", models_text(reply, reply->root, "license"));
    return cli_table_put(cli, &table, err);
}

static mt_rc put_template(struct cli *cli, struct models_reply *reply, struct mt_err *err)
{
    MT_CLEANUP(mt_buf_fini) struct mt_buf out = MT_BUF_INIT(CLI_TABLE_MAX);

    mt_buf_add(&out, models_text(reply, reply->root, "template"));
    mt_buf_add_char(&out, '\n');
    return cli_put(cli, &out, err);
}

static mt_rc run(struct cli *cli, const struct cli_args *args, struct mt_err *err)
{
    MT_CLEANUP(models_reply_fini) struct models_reply reply = {0};
    MT_CLEANUP(mt_buf_fini) struct mt_buf body = MT_BUF_INIT(BODY_MAX);

    models_body(&body, args->rest[0], "");
    MT_TRY(mt_buf_check(&body, "name", err));
    const struct client_call call = {.method = "POST",
                                     .path = "/api/show",
                                     .body = mt_buf_str(&body),
                                     .waiting_for = "asking the node"};
    MT_TRY(models_call(cli, args, &call, &reply, err));
    if (cli_has(args, "json"))
        return models_put_json(cli, &reply, err);
    return cli_has(args, "template") ? put_template(cli, &reply, err)
                                     : show(cli, args->rest[0], &reply, err);
}

static const struct cli_opt opts[] = {
    {"template", 0, NULL, "print its chat template"},
    CLI_OPT_JSON,
    CLI_OPT_CONFIG,
    {0},
};

const struct cli_cmd cli_cmd_show = {
    .name = "show",
    .args = "MODEL",
    .summary = "say what is known of a model",
    .examples = "motet show lab-mini\nmotet show lab-mini --template\n",
    .opts = opts,
    .rest_min = 1,
    .rest_max = 1,
    .run = run,
};
