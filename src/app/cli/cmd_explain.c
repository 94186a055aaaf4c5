/* SPDX-License-Identifier: Apache-2.0 */
/* One request of the ledger: who asked, who answered, what was tried, what it cost. */
#include "accounts.h"
#include "base/arena.h"
#include "chat/models.h"
#include "cli.h"
#include "commands.h"
#include "wire/json.h"
#include "wire/json_writer.h"

enum { ROW_MAX = 256 * 1024, RECENT_MAX = 20 };

static void add_text(struct mt_buf *out, const char *name, struct mt_str text)
{
    if (text.len > 0)
        mt_buf_addf(out, "%-12s %.*s\n", name, MT_STR_ARG(text));
}

static void add_tokens(struct mt_buf *out, const struct mt_ledger_row *row)
{
    mt_buf_addf(out, "%-12s %lld in", "tokens", (long long)row->input_n);
    if (row->cached_n > 0)
        mt_buf_addf(out, " (%lld cached)", (long long)row->cached_n);
    mt_buf_addf(out, ", %lld out", (long long)row->output_n);
    if (row->reasoning_n > 0)
        mt_buf_addf(out, " (%lld reasoning)", (long long)row->reasoning_n);
    if (row->estimated != 0)
        mt_buf_add_cstr(out, ", counted here: the endpoint did not say");
    mt_buf_add_char(out, '\n');
}

static void add_times(struct mt_buf *out, const struct mt_ledger_row *row)
{
    mt_buf_addf(out, "%-12s ", "started");
    mt_rfc3339(row->started_at_ms / 1000, row->started_at_ms % 1000 * 1000000, out);
    mt_buf_addf(out, "\n%-12s ", "took");
    cli_add_us(out, row->duration_us);
    if (row->ttft_us > 0) {
        mt_buf_add_cstr(out, ", first byte after ");
        cli_add_us(out, row->ttft_us);
    }
    mt_buf_add_char(out, '\n');
}

static void add_attempt(struct mt_buf *out, size_t n, const struct mt_json *at,
                        struct mt_arena *arena)
{
    struct mt_str target = {0};
    struct mt_str result = {0};
    struct mt_str error = {0};
    int64_t us = 0;

    (void)mt_json_str(mt_json_get(at, "target"), arena, &target);
    (void)mt_json_str(mt_json_get(at, "result"), arena, &result);
    (void)mt_json_str(mt_json_get(at, "error"), arena, &error);
    (void)mt_json_i64(mt_json_get(at, "us"), 0, INT64_MAX, &us);
    mt_buf_addf(out, "%-12s %zu. %.*s: %.*s after ", n == 1 ? "attempts" : "", n,
                MT_STR_ARG(target), MT_STR_ARG(result));
    cli_add_us(out, us);
    if (error.len > 0)
        mt_buf_addf(out, " (%.*s)", MT_STR_ARG(error));
    mt_buf_add_char(out, '\n');
}

static mt_rc add_attempts(struct mt_buf *out, struct mt_str json, struct mt_arena *arena,
                          struct mt_err *err)
{
    MT_CLEANUP(mt_json_doc_freep) struct mt_json_doc *doc = NULL;
    MT_CLEANUP(mt_buf_fini) struct mt_buf text = MT_BUF_INIT(ROW_MAX); /* has the slack */
    const struct mt_json *root;
    size_t n = 0;

    MT_TRY(mt_json_doc_new(&doc, err));
    mt_buf_add(&text, json);
    if (text.len == 0 || mt_json_parse(doc, mt_buf_str(&text), &root, NULL) != MT_OK)
        return MT_OK; /* an old row may hold none */
    for (const struct mt_json *at = mt_json_first(root); at != NULL; at = mt_json_next(at))
        add_attempt(out, ++n, at, arena);
    return MT_OK;
}

static mt_rc add_row(struct mt_buf *out, const struct mt_ledger_row *row,
                     struct mt_arena *arena, struct mt_err *err)
{
    add_text(out, "receipt", row->receipt);
    add_text(out, "request", row->request_id);
    mt_buf_addf(out, "%-12s %s, HTTP %lld\n", "outcome", mt_outcome_name(row->outcome),
                (long long)row->http_status);
    add_text(out, "error", row->error);
    add_text(out, "key", row->key);
    mt_buf_addf(out, "%-12s %.*s, asked in the dialect %.*s\n", "kind", MT_STR_ARG(row->kind),
                MT_STR_ARG(row->dialect));
    add_text(out, "asked for", row->model_asked);
    add_text(out, "answered by", row->endpoint);
    MT_TRY(add_attempts(out, row->attempts, arena, err));
    add_tokens(out, row);
    if (!mt_str_eq(row->model_served, row->model_asked))
        add_text(out, "counted for", row->model_served); /* limits of a pattern or an alias */
    mt_buf_addf(out, "%-12s ", "cost");
    cli_add_money(out, row->cost_usd_nano);
    mt_buf_add_char(out, '\n');
    add_times(out, row);
    add_text(out, "warnings", row->warnings);
    return MT_OK;
}

static void json_row(struct mt_jw *w, const struct mt_ledger_row *row)
{
    mt_jw_object(w);
    mt_jw_kstr(w, "receipt", row->receipt);
    mt_jw_kstr(w, "request_id", row->request_id);
    mt_jw_kcstr(w, "outcome", mt_outcome_name(row->outcome));
    mt_jw_ki64(w, "http_status", row->http_status);
    mt_jw_kstr(w, "error", row->error);
    mt_jw_kstr(w, "key", row->key);
    mt_jw_kstr(w, "dialect", row->dialect);
    mt_jw_kstr(w, "kind", row->kind);
    mt_jw_kstr(w, "model_asked", row->model_asked);
    mt_jw_kstr(w, "model_served", row->model_served);
    mt_jw_kstr(w, "endpoint", row->endpoint);
    mt_jw_kraw(w, "attempts", row->attempts);
    mt_jw_kstr(w, "warnings", row->warnings);
    mt_jw_ki64(w, "started_at_ms", row->started_at_ms);
    mt_jw_ki64(w, "ttft_us", row->ttft_us);
    mt_jw_ki64(w, "duration_us", row->duration_us);
    mt_jw_ki64(w, "input_n", row->input_n);
    mt_jw_ki64(w, "output_n", row->output_n);
    mt_jw_ki64(w, "cached_n", row->cached_n);
    mt_jw_ki64(w, "cache_write_n", row->cache_write_n);
    mt_jw_ki64(w, "reasoning_n", row->reasoning_n);
    mt_jw_kbool(w, "is_estimated", row->estimated != 0);
    mt_jw_ki64(w, "cost_usd_nano", row->cost_usd_nano);
    mt_jw_end(w);
}

/* ------------------------------------------------------------------ the newest */

struct recent {
    struct cli_table table;
    struct mt_buf json;
    struct mt_jw w;
    bool is_json;
};

static mt_rc on_recent(void *arg, const struct mt_ledger_row *row, struct mt_err *err)
{
    struct recent *recent = arg;
    MT_CLEANUP(mt_buf_fini) struct mt_buf cost = MT_BUF_INIT(64);
    MT_CLEANUP(mt_buf_fini) struct mt_buf took = MT_BUF_INIT(64);
    MT_CLEANUP(mt_buf_fini) struct mt_buf when = MT_BUF_INIT(64);

    (void)err;
    if (recent->is_json) {
        json_row(&recent->w, row);
        return MT_OK;
    }
    mt_rfc3339(row->started_at_ms / 1000, 0, &when);
    cli_add_us(&took, row->duration_us);
    cli_add_money(&cost, row->cost_usd_nano);
    cli_cell(&recent->table, row->receipt);
    cli_cell(&recent->table, mt_str_sub(mt_buf_str(&when), 0, 19));
    cli_cell(&recent->table, row->model_asked.len > 0 ? row->model_asked : row->model_served);
    cli_cell_cstr(&recent->table, mt_outcome_name(row->outcome));
    cli_cell(&recent->table, mt_buf_str(&took));
    cli_cell(&recent->table, mt_buf_str(&cost));
    return MT_OK;
}

static mt_rc put_recent(struct cli *cli, struct recent *recent, struct mt_ledger_reader *reader,
                        struct mt_err *err)
{
    static const char *const heads[] = {"RECEIPT", "STARTED", "MODEL",
                                        "OUTCOME", "TOOK",    "COST"};

    mt_jw_begin(&recent->w, &recent->json);
    mt_jw_array(&recent->w);
    for (size_t i = 0; i < MT_ARRAY_LEN(heads); i++)
        cli_cell_cstr(&recent->table, heads[i]);
    MT_TRY(mt_ledger_recent(reader, (struct mt_str){0}, RECENT_MAX, on_recent, recent, err));
    mt_jw_end(&recent->w);
    mt_buf_add_char(&recent->json, '\n');
    return recent->is_json ? cli_put(cli, &recent->json, err)
                           : cli_table_put(cli, &recent->table, err);
}

static mt_rc explain_recent(struct cli *cli, const struct cli_args *args,
                            struct mt_ledger_reader *reader, struct mt_err *err)
{
    struct recent recent = {.is_json = cli_has(args, "json")};

    cli_table_init(&recent.table, 6, 1u << 4 | 1u << 5);
    mt_buf_init(&recent.json, CLI_TABLE_MAX);
    mt_rc rc = put_recent(cli, &recent, reader, err);
    cli_table_fini(&recent.table);
    mt_buf_fini(&recent.json);
    return rc;
}

/* ------------------------------------------------------------------ one */

static mt_rc explain_one(struct cli *cli, const struct cli_args *args,
                         struct mt_ledger_reader *reader, struct mt_err *err)
{
    MT_CLEANUP(mt_arena_fini) struct mt_arena arena = MT_ARENA_INIT(ROW_MAX);
    MT_CLEANUP(mt_buf_fini) struct mt_buf out = MT_BUF_INIT(ROW_MAX);
    struct mt_ledger_row row;
    struct mt_jw w;

    MT_TRY(mt_ledger_find(reader, mt_str_of(args->rest[0]), &arena, &row, err));
    if (cli_has(args, "json")) {
        mt_jw_begin(&w, &out);
        json_row(&w, &row);
        mt_buf_add_char(&out, '\n');
    } else {
        MT_TRY(add_row(&out, &row, &arena, err));
    }
    return cli_put(cli, &out, err);
}

static mt_rc run(struct cli *cli, const struct cli_args *args, struct mt_err *err)
{
    struct mt_ledger_reader *reader = NULL;

    MT_TRY(accounts_open(cli, args, &reader, err));
    mt_rc rc = args->rest_n > 0 ? explain_one(cli, args, reader, err)
                                : explain_recent(cli, args, reader, err);
    mt_ledger_reader_close(reader);
    return rc;
}

static const struct cli_opt opts[] = {CLI_OPT_JSON, CLI_OPT_CONFIG, {0}};

const struct cli_cmd cli_cmd_explain = {
    .name = "explain",
    .args = "[RECEIPT]",
    .summary = "say who answered a request, why, and what it cost",
    .more = "The receipt of an answer stands in its header X-Motet-Receipt. Without one the "
            "newest\n"
            "requests are listed. The ledger is read directly: no node has to run.\n",
    .examples = "motet explain\n"
                "motet explain 01J9ZQ4X2M7S8W5C6T3B1N0KDE\n",
    .opts = opts,
    .rest_max = 1,
    .run = run,
};
