/* SPDX-License-Identifier: Apache-2.0 */
/* A process accounts for requests as fast as it can and reports each receipt it got settled;
 * kill -9 at a random moment; whatever was reported is in the table exactly once. */
#include "ledger_support.h"

#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>

#include "system/env.h"

enum { ROUNDS = 20, WRITERS = 2, RECEIPTS_MAX = 400000 };

struct writer {
    struct mt_ledger *ledger;
    int fd;
};

static void *write_requests(void *arg)
{
    struct writer *w = arg;
    struct mt_ledger_ask ask = some_ask();
    struct mt_ledger_row row = some_row();

    for (int64_t i = 0;; i++) {
        struct mt_ledger_entry entry;
        if (mt_ledger_begin(w->ledger, &ask, &entry, NULL, NULL) != MT_OK)
            continue; /* full for a moment */
        struct mt_id receipt = entry.receipt;
        if (i % 7 == 0)
            (void)mt_ledger_extend(w->ledger, &entry, 1, 1, 1, 4001, NULL, NULL);
        if (i % 11 == 0)
            continue; /* never ends: interrupted */
        mt_ledger_end(w->ledger, &entry, &row);
        if (write(w->fd, receipt.text, MT_ID_LEN) != MT_ID_LEN)
            return NULL;
        if (i % 2000 == 1999) /* open entries fill the ring: begin anew */
            return NULL;
    }
}

static void run_child(int fd)
{
    struct mt_ledger_opts opts = {.dir = test_dir, .sync_ms = 4};

    for (;;) {
        struct writer writer = {.fd = fd};
        pthread_t threads[WRITERS];
        if (mt_ledger_open(&opts, &writer.ledger, NULL, NULL) != MT_OK)
            _exit(1);
        for (int i = 0; i < WRITERS; i++)
            if (pthread_create(&threads[i], NULL, write_requests, &writer) != 0)
                _exit(2);
        for (int i = 0; i < WRITERS; i++)
            pthread_join(threads[i], NULL);
        mt_ledger_close(writer.ledger);
    }
}

/* Read until at least n more receipts came, then kill, then read the rest. */
static size_t run_round(char *receipts, size_t have, size_t n)
{
    size_t wanted = (have + n) * MT_ID_LEN;
    size_t at = have * MT_ID_LEN;
    bool is_killed = false;
    int ends[2];

    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        close(ends[0]);
        run_child(ends[1]);
    }
    close(ends[1]);
    for (;;) {
        ssize_t got = read(ends[0], receipts + at, (size_t)RECEIPTS_MAX * MT_ID_LEN - at);
        assert_true(got >= 0);
        if (got == 0)
            break;
        at += (size_t)got;
        if (at >= wanted && !is_killed) {
            assert_int_equal(kill(child, SIGKILL), 0);
            is_killed = true;
        }
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    close(ends[0]);
    return at / MT_ID_LEN; /* a cut one at the end was not acknowledged */
}

static void every_acknowledged_receipt_is_there_once(const char *receipts, size_t n)
{
    struct mt_db_opts read_only = {.mode = MT_DB_READ};
    struct mt_db *db = NULL;
    struct mt_stmt *stmt;

    assert_int_equal(mt_db_open(in_test_dir("ledger.db"), &read_only, &db, NULL), MT_OK);
    assert_int_equal(mt_db_prepare(db,
                                   "SELECT count(*) FROM usage WHERE receipt = ?"
                                   " AND outcome = 'ok' AND cost_usd_nano = 7000",
                                   &stmt, NULL),
                     MT_OK);
    for (size_t i = 0; i < n; i++) {
        bool has_row = false;
        mt_stmt_reset(stmt);
        mt_stmt_bind_str(stmt, 1, (struct mt_str){receipts + i * MT_ID_LEN, MT_ID_LEN});
        assert_int_equal(mt_stmt_step(stmt, &has_row, NULL), MT_OK);
        assert_true(has_row);
        if (mt_stmt_i64(stmt, 0) != 1)
            fail_msg("receipt %.26s is there %d times", receipts + i * MT_ID_LEN,
                     (int)mt_stmt_i64(stmt, 0));
    }
    mt_db_close(db);
}

static void kill_9_loses_nothing_and_doubles_nothing(void **state)
{
    (void)state;
    char *receipts = malloc((size_t)RECEIPTS_MAX * MT_ID_LEN);
    struct mt_env_sim chance;
    size_t n = 0;

    mt_env_sim_init(&chance, 20);
    for (int round = 0; round < ROUNDS; round++) {
        struct mt_ledger_report report;
        size_t before = n;
        n = run_round(receipts, n, 1 + (size_t)mt_env_sim_below(&chance, 1500));
        mt_ledger_close(open_with((struct mt_ledger_opts){0}, &report));
        every_acknowledged_receipt_is_there_once(receipts + before * MT_ID_LEN, n - before);
        assert_int_equal(report.damaged_bytes, 0);
    }
    every_acknowledged_receipt_is_there_once(receipts, n);
    assert_int_equal(ask_table("SELECT count(*) FROM usage_open"), 0);
    assert_int_equal(ask_table("SELECT count(*) - count(DISTINCT receipt) FROM usage"), 0);
    assert_int_equal(ask_table("SELECT sum(requests_n) FROM usage_day"),
                     ask_table("SELECT count(*) FROM usage"));
    assert_int_equal(ask_table("SELECT sum(cost_usd_nano) FROM usage_day"),
                     ask_table("SELECT sum(cost_usd_nano) FROM usage"));
    assert_true(ask_table("SELECT count(*) FROM usage WHERE outcome = 'interrupted'") > 0);
    free(receipts);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(kill_9_loses_nothing_and_doubles_nothing, set_up_dir,
                                        tear_down_dir),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
