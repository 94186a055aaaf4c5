/* SPDX-License-Identifier: Apache-2.0 */
#include "ledger_support.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "base/alloc.h"
#include "row_priv.h"
#include "system/env.h"

enum { WAIT_MS = 20000 };

static struct mt_ledger *open_plain(void)
{
    return open_with((struct mt_ledger_opts){0}, NULL);
}

static void a_row_comes_back_from_its_bytes(void **state)
{
    (void)state;
    char bytes[MT_ROW_BYTES_MAX];
    struct mt_ledger_row row = some_row();
    struct mt_ledger_row back;
    size_t n;

    row.receipt = MT_STR("01ARYZ6S410000000000000000");
    row.parts = MT_STR("12 3 small\n");
    row.outcome = MT_OUTCOME_INTERNAL;
    n = mt_row__encode(&row, MT_ROW_WHOLE, bytes);
    assert_true(mt_row__decode((struct mt_str){bytes, n}, &back));
    for (size_t i = 0; i < MT_ROW_TEXTS; i++)
        assert_true(mt_str_eq(*mt_row__text(&row, i), *mt_row__text(&back, i)));
    for (size_t i = 0; i < MT_ROW_NUMBERS; i++)
        assert_true(*mt_row__number(&row, i) == *mt_row__number(&back, i));
    assert_int_equal(back.outcome, MT_OUTCOME_INTERNAL);
    for (size_t cut = 0; cut < n; cut++)
        assert_false(mt_row__decode((struct mt_str){bytes, cut}, &back));
    row.parts = MT_STR("");
    n = mt_row__encode(&row, MT_ROW_WHOLE, bytes);
    bytes[2] = 11; /* of a version without parts */
    assert_true(mt_row__decode((struct mt_str){bytes, n}, &back) && back.parts.len == 0);
    bytes[0] = 99; /* an outcome nobody knows */
    assert_false(mt_row__decode((struct mt_str){bytes, n}, &back));
}

static void long_texts_are_cut_at_a_character(void **state)
{
    (void)state;
    static char text[8192];
    char bytes[MT_ROW_BYTES_MAX];
    struct mt_ledger_row row = {.receipt = MT_STR("01ARYZ6S410000000000000000")};
    struct mt_ledger_row back;

    for (size_t i = 0; i + 1 < sizeof text; i += 2)
        memcpy(text + i, "\xc3\xa9", 2);
    for (size_t i = 1; i < MT_ROW_TEXTS; i++)
        *mt_row__text(&row, i) = (struct mt_str){text + 1, sizeof text - 1};
    row.error = (struct mt_str){"xx", 2};
    size_t n = mt_row__encode(&row, MT_ROW_WHOLE, bytes);
    assert_true(mt_row__decode((struct mt_str){bytes, n}, &back));
    assert_true(mt_str_is(back.attempts, "null"));
    assert_int_equal(back.warnings.len, 511); /* began in mid-character, ends at a whole one */
    n = mt_row__encode(&row, MT_ROW_TRIMMED, bytes);
    assert_true(n <= MT_ROW_TRIMMED_MAX);
    assert_true(mt_row__decode((struct mt_str){bytes, n}, &back));
    assert_int_equal(back.attempts.len, 0);
}

static void a_request_leaves_one_row(void **state)
{
    (void)state;
    struct mt_ledger *ledger = open_plain();
    struct mt_ledger_entry entry = {.seq = 0};
    struct mt_ledger_ask ask = some_ask();
    struct mt_ledger_row row = some_row();
    struct mt_ledger_row found;
    struct mt_arena arena = MT_ARENA_INIT(100000);
    struct mt_ledger_reader *reader = NULL;
    struct mt_err err = {0};

    assert_int_equal(mt_ledger_begin(ledger, &ask, &entry, NULL, &err), MT_OK);
    struct mt_id receipt = entry.receipt;
    assert_int_equal(mt_ledger_extend(ledger, &entry, 10, 100, 5, 4100, NULL, &err), MT_OK);
    uint64_t seq = mt_ledger_end(ledger, &entry, &row);
    assert_true(seq > 0);
    assert_true(mt_ledger_end(ledger, &entry, &row) == 0); /* twice is once */
    assert_int_equal(mt_ledger_wait(ledger, seq, WAIT_MS, &err), MT_OK);
    assert_int_equal(mt_ledger_flush(ledger, WAIT_MS, &err), MT_OK);

    assert_int_equal(mt_ledger_reader_open(test_dir, &reader, &err), MT_OK);
    assert_int_equal(mt_ledger_find(reader, mt_id_str(&receipt), &arena, &found, &err), MT_OK);
    row.receipt = mt_id_str(&receipt);
    for (size_t i = 0; i < MT_ROW_TEXTS; i++)
        assert_true(mt_str_eq(*mt_row__text(&row, i), *mt_row__text(&found, i)));
    assert_true(found.cost_usd_nano == 7000 && found.duration_us == 90000);
    assert_true(found.started_at_ms == mt_id_wall_ms(found.receipt));
    assert_int_equal(found.outcome, MT_OUTCOME_OK);
    assert_int_equal(
        mt_ledger_find(reader, MT_STR("01ARYZ6S410000000000000000"), &arena, &found, &err),
        MT_E_NOTFOUND);
    assert_int_equal(mt_ledger_find(reader, MT_STR("x' OR 1"), &arena, &found, &err),
                     MT_E_INVALID);
    mt_ledger_reader_close(reader);
    mt_arena_fini(&arena);
    mt_ledger_close(ledger);
    assert_int_equal(ask_table("SELECT count(*) FROM usage"), 1);
    assert_int_equal(ask_table("SELECT count(*) FROM usage_open"), 0);
    assert_int_equal(mt_alloc_live, 0);
}

static void a_note_leaves_a_row_and_holds_nothing(void **state)
{
    (void)state;
    struct mt_ledger *ledger = open_plain();
    struct mt_ledger_row row = {.key = MT_STR("team"),
                                .model_asked = MT_STR("m"),
                                .outcome = MT_OUTCOME_REJECTED,
                                .http_status = 429};
    struct mt_account_used used;
    struct mt_id receipt;

    assert_int_equal(mt_ledger_note(ledger, &row, &receipt, NULL, NULL), MT_OK);
    assert_true(mt_id_is_valid(mt_id_str(&receipt)));
    row.receipt = mt_id_str(&receipt);
    assert_int_equal(mt_ledger_note(ledger, &row, NULL, NULL, NULL),
                     MT_OK); /* the same again */
    row.receipt = MT_STR("no receipt");
    assert_int_equal(mt_ledger_note(ledger, &row, NULL, NULL, NULL), MT_E_INVALID);
    mt_account_look(mt_ledger_account(ledger), 0, MT_STR("team"), MT_STR(""), MT_WINDOW_TOTAL,
                    &used);
    assert_true(used.used[MT_LIMIT_REQUESTS] == 0);
    mt_ledger_close(ledger);
    assert_int_equal(ask_table("SELECT count(*) FROM usage WHERE outcome = 'rejected'"), 1);
    assert_int_equal(ask_table("SELECT rejected_n FROM usage_day"), 1);
    assert_int_equal(ask_table("SELECT requests_n FROM usage_day"), 0);
}

static void what_was_open_becomes_interrupted_with_what_is_known(void **state)
{
    (void)state;
    struct mt_ledger *ledger = open_plain();
    struct mt_ledger_report report;
    struct mt_ledger_ask ask = some_ask();
    struct mt_ledger_row row = some_row();
    struct mt_ledger_entry entries[4];

    for (size_t i = 0; i < MT_ARRAY_LEN(entries); i++) {
        assert_int_equal(mt_ledger_begin(ledger, &ask, &entries[i], NULL, NULL), MT_OK);
        if (i == 1) /* from here on the reservations of before are in the table usage_open */
            assert_int_equal(mt_ledger_flush(ledger, WAIT_MS, NULL), MT_OK);
    }
    assert_int_equal(mt_ledger_extend(ledger, &entries[0], 1, 1, 33, 9000, NULL, NULL), MT_OK);
    assert_int_equal(mt_ledger_extend(ledger, &entries[3], 1, 1, 44, 9500, NULL, NULL), MT_OK);
    mt_ledger_end(ledger, &entries[1], &row);
    mt_ledger_close(ledger);

    ledger = open_with((struct mt_ledger_opts){0}, &report);
    assert_int_equal(report.interrupted_n, 3);
    mt_ledger_close(ledger);
    assert_int_equal(ask_table("SELECT count(*) FROM usage"), 4);
    assert_int_equal(ask_table("SELECT count(*) FROM usage WHERE outcome = 'interrupted'"), 3);
    assert_int_equal(ask_table("SELECT count(*) FROM usage_open"), 0);
    assert_int_equal(ask_table("SELECT cost_usd_nano FROM usage WHERE output_n = 33"), 9000);
    assert_int_equal(ask_table("SELECT cost_usd_nano FROM usage WHERE output_n = 44"), 9500);
    assert_int_equal(ask_table("SELECT cost_usd_nano FROM usage WHERE output_n = 0"), 4000);
    assert_int_equal(ask_table("SELECT sum(cost_usd_nano) FROM usage_day"),
                     7000 + 9000 + 9500 + 4000);
    ledger = open_with((struct mt_ledger_opts){0}, &report);
    assert_int_equal(report.interrupted_n, 0);
    assert_int_equal(report.replayed_n, 0);
    mt_ledger_close(ledger);
}

static void a_budget_survives_a_restart(void **state)
{
    (void)state;
    static const struct mt_limit limits[] = {
        {MT_STR_INIT("team"), MT_STR_INIT(""), MT_LIMIT_MONEY, MT_WINDOW_DAY, 60000},
        {MT_STR_INIT(""), MT_STR_INIT("openai/gpt-5"), MT_LIMIT_TOKENS, MT_WINDOW_HOUR, 2000},
    };
    struct mt_env_sim sim; /* time stands still, so only one thread ever writes it */
    struct mt_ledger_opts opts = {
        .env = &sim.env, .limits = limits, .limits_n = 2, .journal_bytes = 128 * 1024};
    struct mt_ledger_ask ask = some_ask();
    struct mt_ledger_row row = some_row();
    struct mt_ledger_entry entry;
    struct mt_account_used used;
    struct mt_limit_hit hit;
    struct mt_err err = {0};

    mt_env_sim_init(&sim, 1);
    mt_env_sim_advance_ms(&sim, 3600000);
    for (int i = 0; i < 2; i++) { /* 50000 may be held of 60000: one at a time */
        struct mt_ledger *ledger = open_with(opts, NULL);
        assert_int_equal(mt_ledger_begin(ledger, &ask, &entry, NULL, &err), MT_OK);
        mt_ledger_end(ledger, &entry, &row);
        mt_ledger_close(ledger);
    }
    struct mt_ledger *ledger = open_with(opts, NULL);
    assert_int_equal(mt_ledger_begin(ledger, &ask, &entry, &hit, &err), MT_E_BUDGET);
    assert_true(hit.used == 14000 && hit.max == 60000);
    mt_account_look(mt_ledger_account(ledger), sim.wall_ms, MT_STR(""), MT_STR("openai/gpt-5"),
                    MT_WINDOW_HOUR, &used);
    assert_true(used.used[MT_LIMIT_TOKENS] == 240);
    mt_account_look(mt_ledger_account(ledger), sim.wall_ms, MT_STR(""), MT_STR(""),
                    MT_WINDOW_MONTH, &used);
    assert_true(used.used[MT_LIMIT_REQUESTS] == 2 && used.used[MT_LIMIT_MONEY] == 14000);
    mt_ledger_close(ledger);
}

static void a_limit_behind_an_alias_survives_a_restart(void **state)
{
    (void)state;
    static const struct mt_limit limits[] = {
        {MT_STR_INIT(""), MT_STR_INIT("small"), MT_LIMIT_MONEY, MT_WINDOW_MONTH, 60000},
        {MT_STR_INIT("team"), MT_STR_INIT("small"), MT_LIMIT_TOKENS, MT_WINDOW_HOUR, 2000},
    };
    struct mt_env_sim sim;
    struct mt_ledger_opts opts = {
        .env = &sim.env, .limits = limits, .limits_n = 2, .journal_bytes = 128 * 1024};
    struct mt_ledger_ask ask = some_ask();
    struct mt_ledger_row row = some_row();
    struct mt_ledger_entry entry;
    struct mt_account_used used;
    struct mt_err err = {0};

    mt_env_sim_init(&sim, 1);
    mt_env_sim_advance_ms(&sim, 3600000);
    row.parts = MT_STR("11 500 small\nnonsense\n1 2 \n12 600 other model\n");
    for (int i = 0; i < 2; i++) {
        struct mt_ledger *ledger = open_with(opts, NULL);
        assert_int_equal(mt_ledger_begin(ledger, &ask, &entry, NULL, &err), MT_OK);
        mt_ledger_end(ledger, &entry, &row);
        mt_ledger_close(ledger);
    }
    struct mt_ledger *ledger = open_with(opts, NULL);
    struct mt_account *account = mt_ledger_account(ledger);
    mt_account_look(account, sim.wall_ms, MT_STR(""), MT_STR("small"), MT_WINDOW_MONTH, &used);
    assert_true(used.used[MT_LIMIT_REQUESTS] == 2 && used.used[MT_LIMIT_MONEY] == 1000);
    mt_account_look(account, sim.wall_ms, MT_STR("team"), MT_STR("small"), MT_WINDOW_HOUR,
                    &used);
    assert_int_equal(used.used[MT_LIMIT_TOKENS], 22);
    mt_account_look(account, sim.wall_ms, MT_STR(""), MT_STR("other model"), MT_WINDOW_DAY,
                    &used);
    assert_int_equal(used.used[MT_LIMIT_TOKENS], 24);
    mt_account_look(account, sim.wall_ms, MT_STR("team"), MT_STR(""), MT_WINDOW_DAY, &used);
    assert_true(used.used[MT_LIMIT_REQUESTS] == 2 && used.used[MT_LIMIT_MONEY] == 14000);
    mt_ledger_close(ledger);
}

static void count_trouble(void *arg, const struct mt_err *trouble)
{
    if (trouble->rc == MT_E_NOTFOUND)
        atomic_fetch_add((atomic_int *)arg, 1);
}

/* Both ways to lose them: no file of that name, and another one. */
static void deleted_files_are_told_and_nothing_counts_as_synced(void **state)
{
    (void)state;
    static const char *const names[] = {"ledger.journal", "ledger.db"};
    struct mt_ledger_row row = some_row();
    struct mt_err err = {0};

    for (size_t i = 0; i < MT_ARRAY_LEN(names); i++) {
        atomic_int troubles = 0;
        struct mt_ledger_opts opts = {.on_trouble = count_trouble, .arg = &troubles};
        struct mt_ledger *ledger = open_with(opts, NULL);
        char path[512], aside[512];
        uint64_t seq = 0;

        (void)snprintf(path, sizeof path, "%s/%s", test_dir, names[i]);
        (void)snprintf(aside, sizeof aside, "%s/aside", test_dir);
        assert_false(mt_ledger_is_lost(ledger));
        assert_int_equal(rename(path, aside), 0);
        assert_true(mt_ledger_is_lost(ledger));
        FILE *other = fopen(path, "w");
        assert_non_null(other);
        (void)fclose(other);
        assert_true(mt_ledger_is_lost(ledger));
        assert_int_equal(mt_ledger_note(ledger, &row, NULL, &seq, &err), MT_OK);
        assert_int_equal(mt_ledger_wait(ledger, seq, 200, &err), MT_E_TIMEOUT);
        assert_true(atomic_load(&troubles) > 0);
        assert_int_equal(rename(aside, path), 0); /* back again */
        assert_false(mt_ledger_is_lost(ledger));
        assert_int_equal(mt_ledger_note(ledger, &row, NULL, &seq, &err), MT_OK);
        assert_int_equal(mt_ledger_wait(ledger, seq, WAIT_MS, &err), MT_OK);
        mt_ledger_close(ledger);
    }
}

struct seen {
    int64_t requests_n, cost_usd_nano, rows_n;
};

static mt_rc see_total(void *arg, const struct mt_ledger_total *total, struct mt_err *err)
{
    struct seen *seen = arg;

    (void)err;
    seen->requests_n += total->requests_n;
    seen->cost_usd_nano += total->cost_usd_nano;
    return MT_OK;
}

static mt_rc see_row(void *arg, const struct mt_ledger_row *row, struct mt_err *err)
{
    struct seen *seen = arg;

    if (seen->rows_n == 3)
        return MT_FAIL(err, MT_E_CANCELED, "enough of '%.*s'", MT_STR_ARG(row->key));
    seen->rows_n++;
    return MT_OK;
}

static void totals_agree_with_the_rows(void **state)
{
    (void)state;
    static const char *const keys[] = {"a", "b", "c"};
    struct mt_ledger *ledger = open_plain();
    struct mt_ledger_reader *reader = NULL;
    struct mt_ledger_ask ask = some_ask();
    struct mt_ledger_row row = some_row();
    char model[32];

    for (int i = 0; i < 600; i++) { /* more sums than fit the batch's table */
        struct mt_ledger_entry entry;
        snprintf(model, sizeof model, "m%d", i % 100);
        row.key = ask.most.key = mt_str_of(keys[i % 3]);
        row.model_served = ask.most.model = mt_str_of(model);
        row.cost_usd_nano = i;
        assert_int_equal(mt_ledger_begin(ledger, &ask, &entry, NULL, NULL), MT_OK);
        mt_ledger_end(ledger, &entry, &row);
    }
    assert_int_equal(mt_ledger_flush(ledger, WAIT_MS, NULL), MT_OK);
    assert_int_equal(mt_ledger_reader_open(test_dir, &reader, NULL), MT_OK);
    struct seen seen = {0};
    struct mt_ledger_filter filter = {.key = MT_STR("b")};
    assert_int_equal(mt_ledger_totals(reader, &filter, see_total, &seen, NULL), MT_OK);
    assert_true(seen.requests_n == 200 && seen.cost_usd_nano == 59900);
    filter = (struct mt_ledger_filter){.model = MT_STR("m7")};
    seen = (struct seen){0};
    assert_int_equal(mt_ledger_totals(reader, &filter, see_total, &seen, NULL), MT_OK);
    assert_true(seen.requests_n == 6);
    assert_int_equal(mt_ledger_recent(reader, MT_STR("a"), 2, see_row, &seen, NULL), MT_OK);
    assert_int_equal(seen.rows_n, 2);
    assert_int_equal(mt_ledger_recent(reader, MT_STR(""), 9, see_row, &seen, NULL),
                     MT_E_CANCELED);
    mt_ledger_reader_close(reader);
    mt_ledger_close(ledger);
    assert_int_equal(ask_table("SELECT count(*) FROM (SELECT 1 FROM usage GROUP BY key,"
                               " model_served)"),
                     ask_table("SELECT count(*) FROM usage_day"));
}

/* In a child, because a limit on file sizes holds for the whole process. */
static int fill_disk(void)
{
    struct rlimit limit = {256 * 1024, 256 * 1024};
    struct mt_ledger_opts opts = {.dir = test_dir, .journal_bytes = 128 * 1024, .sync_ms = 2};
    struct mt_ledger *ledger = NULL;
    struct mt_ledger_ask ask = some_ask();
    struct mt_ledger_row row = some_row();
    struct mt_ledger_entry open[8];
    struct mt_ledger_stats stats;
    mt_rc rc = MT_OK;
    int64_t begun_n = 0;

    signal(SIGXFSZ, SIG_IGN);
    if (mt_ledger_open(&opts, &ledger, NULL, NULL) != MT_OK ||
        setrlimit(RLIMIT_FSIZE, &limit) != 0)
        return 1;
    for (size_t i = 0; i < MT_ARRAY_LEN(open); i++)
        if (mt_ledger_begin(ledger, &ask, &open[i], NULL, NULL) != MT_OK)
            return 2;
    do { /* full for a moment at first, then for good */
        struct mt_ledger_entry entry;
        rc = mt_ledger_begin(ledger, &ask, &entry, NULL, NULL);
        if (rc == MT_OK) {
            mt_ledger_end(ledger, &entry, &row);
            begun_n++;
        }
        mt_ledger_stats(ledger, &stats);
    } while (rc == MT_OK || (rc == MT_E_BUSY && stats.trouble_n == 0));
    if (rc != MT_E_BUSY)
        return 3;
    for (size_t i = 0; i < MT_ARRAY_LEN(open); i++) /* room for these was kept */
        mt_ledger_end(ledger, &open[i], &row);
    mt_ledger_stats(ledger, &stats);
    if (stats.trouble_n == 0 || stats.busy_n == 0 || stats.open_n != 0)
        return 4;
    FILE *out = fopen(in_test_dir("copy.journal"), "w");
    fprintf(out, "%lld", (long long)(begun_n + 8));
    fclose(out);
    mt_ledger_close(ledger); /* nothing can be drained */
    return 0;
}

static void a_full_disk_stops_new_requests_and_loses_none(void **state)
{
    (void)state;
    struct mt_ledger_report report;
    int status = -1;
    long long expected_n = 0;
    pid_t child = fork();

    assert_true(child >= 0);
    if (child == 0)
        _exit(fill_disk());
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    FILE *in = fopen(in_test_dir("copy.journal"), "r");
    assert_int_equal(fscanf(in, "%lld", &expected_n), 1);
    fclose(in);
    mt_ledger_close(open_with((struct mt_ledger_opts){0}, &report)); /* and the ring grows */
    assert_true(report.replayed_n > 0);
    assert_int_equal(report.interrupted_n, 0);
    assert_int_equal(report.damaged_bytes, 0);
    assert_int_equal(ask_table("SELECT count(*) FROM usage WHERE outcome = 'ok'"), expected_n);
}

static void open_survives_any_failed_allocation(void **state)
{
    (void)state;
    static const struct mt_limit limits[] = {
        {MT_STR_INIT("team"), MT_STR_INIT(""), MT_LIMIT_MONEY, MT_WINDOW_HOUR, 60000}};

    for (long nth = 0;; nth++) {
        struct mt_ledger_opts opts = {
            .dir = test_dir, .journal_bytes = 128 * 1024, .limits = limits, .limits_n = 1};
        struct mt_ledger *ledger = NULL;

        mt_alloc_fail_after = nth;
        mt_rc rc = mt_ledger_open(&opts, &ledger, NULL, NULL);
        mt_alloc_fail_after = -1;
        mt_ledger_close(ledger);
        assert_int_equal(mt_alloc_live, 0);
        if (rc == MT_OK) {
            assert_true(nth > 10);
            break;
        }
        assert_int_equal(rc, MT_E_NOMEM);
    }
}

static void a_damaged_table_is_told_and_nothing_is_lost(void **state)
{
    (void)state;
    struct mt_ledger_opts opts = {.dir = test_dir};
    struct mt_ledger *ledger = open_plain();
    struct mt_ledger_report report;
    struct mt_ledger_row row = some_row();
    struct mt_db *other = NULL;
    struct mt_err err = {0};
    char junk[4096];

    assert_int_equal(mt_db_open(in_test_dir("ledger.db"), NULL, &other, NULL), MT_OK);
    assert_int_equal(mt_db_begin(other, NULL), MT_OK); /* the row stays in the journal */
    assert_int_equal(mt_ledger_note(ledger, &row, NULL, NULL, NULL), MT_OK);
    mt_ledger_close(ledger);
    mt_db_close(other);
    memset(junk, 'x', sizeof junk);
    FILE *out = fopen(in_test_dir("ledger.db"), "wb");
    fwrite(junk, 1, sizeof junk, out);
    fclose(out);
    assert_int_equal(mt_ledger_open(&opts, &ledger, NULL, &err), MT_E_CORRUPT);
    assert_non_null(strstr(err.text, "file is not a database"));
    unlink(in_test_dir("ledger.db"));
    mt_ledger_close(open_with((struct mt_ledger_opts){0}, &report));
    assert_int_equal(report.replayed_n, 1);
    assert_int_equal(ask_table("SELECT count(*) FROM usage"), 1);
}

struct trouble {
    pthread_mutex_t lock;
    pthread_cond_t came;
    mt_rc rc;
};

static void note_trouble(void *arg, const struct mt_err *err)
{
    struct trouble *trouble = arg;

    pthread_mutex_lock(&trouble->lock);
    trouble->rc = err->rc;
    pthread_cond_signal(&trouble->came);
    pthread_mutex_unlock(&trouble->lock);
}

static void a_locked_table_delays_rows_but_no_sync(void **state)
{
    (void)state;
    struct trouble trouble = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, MT_OK};
    struct mt_ledger *ledger =
        open_with((struct mt_ledger_opts){.on_trouble = note_trouble, .arg = &trouble}, NULL);
    struct mt_ledger_row row = some_row();
    struct mt_db *other = NULL;
    uint64_t seq = 0;

    assert_int_equal(mt_db_open(in_test_dir("ledger.db"), NULL, &other, NULL), MT_OK);
    assert_int_equal(mt_db_begin(other, NULL), MT_OK);
    assert_int_equal(mt_ledger_note(ledger, &row, NULL, &seq, NULL), MT_OK);
    pthread_mutex_lock(&trouble.lock);
    while (trouble.rc == MT_OK)
        pthread_cond_wait(&trouble.came, &trouble.lock);
    assert_int_equal(trouble.rc, MT_E_BUSY);
    pthread_mutex_unlock(&trouble.lock);
    assert_int_equal(mt_ledger_note(ledger, &row, NULL, &seq, NULL), MT_OK);
    assert_int_equal(mt_ledger_wait(ledger, seq, WAIT_MS, NULL), MT_OK);
    assert_int_equal(mt_ledger_flush(ledger, 1, NULL), MT_E_TIMEOUT);
    mt_db_rollback(other);
    mt_db_close(other);
    assert_int_equal(mt_ledger_flush(ledger, WAIT_MS, NULL), MT_OK);
    mt_ledger_close(ledger);
    assert_int_equal(ask_table("SELECT count(*) FROM usage"), 2);
}

static void old_rows_leave_and_their_sums_stay(void **state)
{
    (void)state;
    struct mt_env_sim sim;
    struct mt_ledger_row row = some_row();

    for (int day = 0; day < 3; day++) {
        mt_env_sim_init(&sim, 1);
        mt_env_sim_advance_ms(&sim, day * 86400000LL);
        struct mt_ledger *ledger =
            open_with((struct mt_ledger_opts){.env = &sim.env, .keep_days = 1}, NULL);
        assert_int_equal(mt_ledger_note(ledger, &row, NULL, NULL, NULL), MT_OK);
        assert_int_equal(mt_ledger_flush(ledger, WAIT_MS, NULL), MT_OK);
        uint64_t seq = 0; /* a second turn begins when the first, with its pruning, has ended */
        assert_int_equal(mt_ledger_note(ledger, &row, NULL, &seq, NULL), MT_OK);
        assert_int_equal(mt_ledger_flush(ledger, WAIT_MS, NULL), MT_OK);
        mt_ledger_close(ledger);
    }
    assert_int_equal(ask_table("SELECT count(*) FROM usage"), 4);
    assert_int_equal(ask_table("SELECT sum(requests_n) FROM usage_day"), 6);
}

enum { THREADS = 3, PER_THREAD = 400 };

static void *many_requests(void *arg)
{
    struct mt_ledger_ask ask = some_ask();
    struct mt_ledger_row row = some_row();

    for (int i = 0; i < PER_THREAD;) {
        struct mt_ledger_entry entry;
        if (mt_ledger_begin(arg, &ask, &entry, NULL, NULL) != MT_OK)
            continue; /* full for a moment */
        (void)mt_ledger_extend(arg, &entry, 1, 1, i, i, NULL, NULL);
        mt_ledger_end(arg, &entry, &row);
        i++;
    }
    return NULL;
}

static void threads_fill_and_the_ring_goes_round(void **state)
{
    (void)state;
    struct mt_ledger *ledger =
        open_with((struct mt_ledger_opts){.journal_bytes = 128 * 1024, .sync_ms = 2}, NULL);
    pthread_t threads[THREADS];

    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, many_requests, ledger), 0);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(mt_ledger_flush(ledger, WAIT_MS, NULL), MT_OK);
    mt_ledger_close(ledger);
    assert_int_equal(ask_table("SELECT count(*) FROM usage WHERE outcome = 'ok'"),
                     THREADS * PER_THREAD);
    assert_int_equal(ask_table("SELECT requests_n FROM usage_day"), THREADS * PER_THREAD);
    assert_int_equal(ask_table("SELECT count(*) FROM usage_open"), 0);
}

struct synced {
    pthread_mutex_t lock;
    uint64_t seq;
};

static void note_synced(void *arg, uint64_t seq)
{
    struct synced *synced = arg;

    pthread_mutex_lock(&synced->lock);
    assert_true(seq >= synced->seq);
    synced->seq = seq;
    pthread_mutex_unlock(&synced->lock);
}

static void strict_mode_hears_of_the_sync(void **state)
{
    (void)state;
    struct synced synced = {PTHREAD_MUTEX_INITIALIZER, 0};
    struct mt_ledger *ledger =
        open_with((struct mt_ledger_opts){.on_synced = note_synced, .arg = &synced}, NULL);
    struct mt_ledger_row row = some_row();
    uint64_t seq = 0;

    assert_int_equal(mt_ledger_note(ledger, &row, NULL, &seq, NULL), MT_OK);
    assert_int_equal(mt_ledger_wait(ledger, seq, WAIT_MS, NULL), MT_OK);
    assert_int_equal(mt_ledger_wait(ledger, seq + 1, 1, NULL), MT_E_TIMEOUT);
    mt_ledger_close(ledger);
    assert_true(synced.seq >= seq);
}

int main(void)
{
#define IN_DIR(test) cmocka_unit_test_setup_teardown(test, set_up_dir, tear_down_dir)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_row_comes_back_from_its_bytes),
        cmocka_unit_test(long_texts_are_cut_at_a_character),
        IN_DIR(a_request_leaves_one_row),
        IN_DIR(a_note_leaves_a_row_and_holds_nothing),
        IN_DIR(what_was_open_becomes_interrupted_with_what_is_known),
        IN_DIR(a_budget_survives_a_restart),
        IN_DIR(a_limit_behind_an_alias_survives_a_restart),
        IN_DIR(deleted_files_are_told_and_nothing_counts_as_synced),
        IN_DIR(totals_agree_with_the_rows),
        IN_DIR(a_full_disk_stops_new_requests_and_loses_none),
        IN_DIR(a_damaged_table_is_told_and_nothing_is_lost),
        IN_DIR(a_locked_table_delays_rows_but_no_sync),
        IN_DIR(old_rows_leave_and_their_sums_stay),
        IN_DIR(open_survives_any_failed_allocation),
        IN_DIR(threads_fill_and_the_ring_goes_round),
        IN_DIR(strict_mode_hears_of_the_sync),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
