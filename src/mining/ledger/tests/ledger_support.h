/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of the ledger share: a folder, an open ledger, a request. */
#ifndef MT_TESTS_LEDGER_SUPPORT_H
#define MT_TESTS_LEDGER_SUPPORT_H

#include "support/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ledger/ledger.h"
#include "ledger/reader.h"
#include "system/db.h"

static char test_dir[64];

static inline int set_up_dir(void **state)
{
    (void)state;
    strcpy(test_dir, "/tmp/mt-test-ledger-XXXXXX");
    return mkdtemp(test_dir) != NULL ? 0 : -1;
}

static inline int tear_down_dir(void **state)
{
    static const char *const names[] = {"ledger.db", "ledger.db-wal", "ledger.db-shm",
                                        "ledger.journal", "copy.journal"};
    char path[128];

    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(path, sizeof path, "%s/%s", test_dir, names[i]);
        unlink(path);
    }
    return rmdir(test_dir);
}

static inline const char *in_test_dir(const char *name)
{
    static char path[160];

    snprintf(path, sizeof path, "%s/%s", test_dir, name);
    return path;
}

static inline struct mt_ledger *open_with(struct mt_ledger_opts opts,
                                          struct mt_ledger_report *report)
{
    struct mt_ledger *ledger = NULL;
    struct mt_err err = {0};

    opts.dir = test_dir;
    if (mt_ledger_open(&opts, &ledger, report, &err) != MT_OK)
        fail_msg("%s", err.text);
    return ledger;
}

static inline struct mt_ledger_ask some_ask(void)
{
    return (struct mt_ledger_ask){
        .most = {MT_STR("team"), MT_STR("openai/gpt-5"), 1000, 50000},
        .request_id = MT_STR("req-1"),
        .dialect = MT_STR("openai"),
        .kind = MT_STR("chat"),
        .model_asked = MT_STR("auto"),
        .input_n = 100,
        .input_cost_usd_nano = 4000,
    };
}

static inline struct mt_ledger_row some_row(void)
{
    return (struct mt_ledger_row){
        .request_id = MT_STR("req-1"),
        .key = MT_STR("team"),
        .dialect = MT_STR("openai"),
        .kind = MT_STR("chat"),
        .model_asked = MT_STR("auto"),
        .model_served = MT_STR("openai/gpt-5"),
        .endpoint = MT_STR("shed"),
        .attempts = MT_STR("[{\"endpoint\":\"shed\",\"status\":200}]"),
        .outcome = MT_OUTCOME_OK,
        .http_status = 200,
        .input_n = 100,
        .output_n = 20,
        .cached_n = 10,
        .own_input_n = 101,
        .own_output_n = 20,
        .cost_usd_nano = 7000,
        .ttft_us = 1500,
        .duration_us = 90000,
    };
}

/* A number that SQL answers, from the closed or open database. */
static inline int64_t ask_table(const char *sql)
{
    struct mt_db_opts read_only = {.mode = MT_DB_READ};
    struct mt_db *db = NULL;
    struct mt_stmt *stmt;
    struct mt_err err = {0};
    bool has_row = false;

    if (mt_db_open(in_test_dir("ledger.db"), &read_only, &db, &err) != MT_OK ||
        mt_db_prepare(db, sql, &stmt, &err) != MT_OK ||
        mt_stmt_step(stmt, &has_row, &err) != MT_OK)
        fail_msg("%s", err.text);
    int64_t value = has_row ? mt_stmt_i64(stmt, 0) : -1;
    mt_db_close(db);
    return value;
}

#endif
