/* SPDX-License-Identifier: Apache-2.0 */
/* Sums of the ledger by model, key or day. */
#include <string.h>

#include "accounts.h"
#include "base/arena.h"
#include "chat/models.h"
#include "cli.h"
#include "commands.h"
#include "system/env.h"
#include "wire/json_writer.h"

enum { GROUPS_MAX = 4096, NAMES_MAX = 4 * 1024 * 1024, DAY_S = 86400 };

struct sums {
    struct mt_str name;
    int64_t requests_n, failed_n, rejected_n, input_n, output_n, cached_n, cost_usd_nano;
};

struct usage {
    struct mt_arena names;
    struct sums *groups; /* GROUPS_MAX */
    size_t n;
    struct sums all;
    const char *by;
};

static struct mt_str name_of(const struct usage *usage, const struct mt_ledger_total *total,
                             struct mt_buf *day)
{
    if (strcmp(usage->by, "key") == 0)
        return total->key.len > 0 ? total->key : MT_STR("(none)");
    if (strcmp(usage->by, "model") == 0)
        return total->model.len > 0 ? total->model : MT_STR("(none)");
    mt_rfc3339(total->day * DAY_S, 0, day);
    return mt_str_sub(mt_buf_str(day), 0, 10);
}

static void add(struct sums *sums, const struct mt_ledger_total *total)
{
    sums->requests_n += total->requests_n;
    sums->failed_n += total->failed_n;
    sums->rejected_n += total->rejected_n;
    sums->input_n += total->input_n;
    sums->output_n += total->output_n;
    sums->cached_n += total->cached_n;
    sums->cost_usd_nano = mt_ledger_add(sums->cost_usd_nano, total->cost_usd_nano);
}

static mt_rc on_total(void *arg, const struct mt_ledger_total *total, struct mt_err *err)
{
    struct usage *usage = arg;
    MT_CLEANUP(mt_buf_fini) struct mt_buf day = MT_BUF_INIT(64);
    struct mt_str name = name_of(usage, total, &day);
    size_t i = 0;

    while (i < usage->n && !mt_str_eq(usage->groups[i].name, name))
        i++;
    if (i == GROUPS_MAX)
        return MT_FAIL(err, MT_E_TOOBIG, "more than %d names: use --key, --model or --days",
                       GROUPS_MAX);
    if (i == usage->n) {
        usage->groups[i].name = mt_arena_str(&usage->names, name);
        if (usage->groups[i].name.at == NULL)
            return mt_arena_fail(&usage->names, err);
        usage->n++;
    }
    add(&usage->groups[i], total);
    add(&usage->all, total);
    return MT_OK;
}

static void row(struct cli_table *table, const struct sums *sums)
{
    const int64_t counts[] = {sums->requests_n, sums->failed_n, sums->rejected_n, sums->input_n,
                              sums->output_n};
    MT_CLEANUP(mt_buf_fini) struct mt_buf text = MT_BUF_INIT(64);

    cli_cell(table, sums->name);
    for (size_t i = 0; i < MT_ARRAY_LEN(counts); i++) {
        mt_buf_clear(&text);
        cli_add_count(&text, counts[i]);
        cli_cell(table, mt_buf_str(&text));
    }
    mt_buf_clear(&text);
    cli_add_money(&text, sums->cost_usd_nano);
    cli_cell(table, mt_buf_str(&text));
}

static mt_rc put_table(struct cli *cli, const struct usage *usage, struct mt_err *err)
{
    MT_CLEANUP(cli_table_fini) struct cli_table table;
    static const char *const heads[] = {"REQUESTS", "FAILED", "REJECTED", "IN", "OUT", "COST"};

    cli_table_init(&table, 7, 0x7e);
    cli_cell_cstr(&table, strcmp(usage->by, "key") == 0     ? "KEY"
                          : strcmp(usage->by, "model") == 0 ? "MODEL"
                                                            : "DAY");
    for (size_t i = 0; i < MT_ARRAY_LEN(heads); i++)
        cli_cell_cstr(&table, heads[i]);
    for (size_t i = 0; i < usage->n; i++)
        row(&table, &usage->groups[i]);
    row(&table, &usage->all);
    return cli_table_put(cli, &table, err);
}

static void json_sums(struct mt_jw *w, const char *by, const struct sums *sums)
{
    mt_jw_object(w);
    mt_jw_kstr(w, by, sums->name);
    mt_jw_ki64(w, "requests", sums->requests_n);
    mt_jw_ki64(w, "failed", sums->failed_n);
    mt_jw_ki64(w, "rejected", sums->rejected_n);
    mt_jw_ki64(w, "input_tokens", sums->input_n);
    mt_jw_ki64(w, "output_tokens", sums->output_n);
    mt_jw_ki64(w, "cached_tokens", sums->cached_n);
    mt_jw_ki64(w, "cost_usd_nano", sums->cost_usd_nano);
    mt_jw_end(w);
}

static mt_rc put_json(struct cli *cli, const struct usage *usage, struct mt_err *err)
{
    MT_CLEANUP(mt_buf_fini) struct mt_buf out = MT_BUF_INIT(CLI_TABLE_MAX);
    struct mt_jw w;

    mt_jw_begin(&w, &out);
    mt_jw_object(&w);
    mt_jw_key(&w, "rows");
    mt_jw_array(&w);
    for (size_t i = 0; i < usage->n; i++)
        json_sums(&w, usage->by, &usage->groups[i]);
    mt_jw_end(&w);
    mt_jw_key(&w, "total");
    json_sums(&w, "name", &usage->all);
    mt_jw_end(&w);
    mt_buf_add_char(&out, '\n');
    return cli_put(cli, &out, err);
}

static mt_rc read_filter(const struct cli_args *args, struct mt_ledger_filter *filter,
                         struct mt_err *err)
{
    const char *days = cli_value(args, "days");
    int64_t n;

    filter->key = mt_str_of(cli_value(args, "key"));
    filter->model = mt_str_of(cli_value(args, "model"));
    if (days == NULL)
        return MT_OK;
    if (!mt_str_to_i64(mt_str_of(days), 1, 36500, &n))
        return MT_FAIL(err, MT_E_INVALID, "usage: --days: expected 1 to 36500, found '%s'",
                       days);
    filter->to_day = mt_env_now_wall_ms(mt_env_real()) / 1000 / DAY_S;
    filter->from_day = filter->to_day - n + 1;
    return MT_OK;
}

static mt_rc sum(struct cli *cli, const struct cli_args *args,
                 const struct mt_ledger_filter *filter, struct usage *usage, struct mt_err *err)
{
    struct mt_ledger_reader *reader = NULL;

    usage->groups = mt_arena_get(&usage->names, GROUPS_MAX, sizeof *usage->groups);
    if (usage->groups == NULL)
        return mt_arena_fail(&usage->names, err);
    MT_TRY(accounts_open(cli, args, &reader, err));
    mt_rc rc = mt_ledger_totals(reader, filter, on_total, usage, err);
    mt_ledger_reader_close(reader);
    return rc;
}

static mt_rc run(struct cli *cli, const struct cli_args *args, struct mt_err *err)
{
    const char *by = cli_value(args, "by");
    struct usage usage = {.by = by != NULL ? by : "model",
                          .all = {.name = MT_STR_INIT("total")}};
    struct mt_ledger_filter filter = {0};

    if (strcmp(usage.by, "model") != 0 && strcmp(usage.by, "key") != 0 &&
        strcmp(usage.by, "day") != 0)
        return MT_FAIL(err, MT_E_INVALID, "usage: --by: expected model, key or day, found '%s'",
                       usage.by);
    MT_TRY(read_filter(args, &filter, err));
    mt_arena_init(&usage.names, NAMES_MAX);
    mt_rc rc = sum(cli, args, &filter, &usage, err);
    if (rc == MT_OK)
        rc = cli_has(args, "json") ? put_json(cli, &usage, err) : put_table(cli, &usage, err);
    mt_arena_fini(&usage.names);
    return rc;
}

static const struct cli_opt opts[] = {
    {"by", 0, "model|key|day", "what a line is about"},
    {"days", 'd', "N", "the last N days only (UTC)"},
    {"key", 'k', "NAME", "this key only"},
    {"model", 'm', "NAME", "this model only"},
    CLI_OPT_JSON,
    CLI_OPT_CONFIG,
    {0},
};

const struct cli_cmd cli_cmd_usage = {
    .name = "usage",
    .args = "",
    .summary = "add up requests, tokens and cost",
    .more = "The ledger is read directly: no node has to run.\n",
    .examples = "motet usage\n"
                "motet usage --by key --days 30\n",
    .opts = opts,
    .run = run,
};
