/* SPDX-License-Identifier: Apache-2.0 */
#include "support/test.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "system/db.h"
#include "system/file.h"

static char dir[64];
static char path[96];

static int set_up(void **state)
{
    (void)state;
    strcpy(dir, "/tmp/mt-test-db-XXXXXX");
    if (mkdtemp(dir) == NULL)
        return -1;
    snprintf(path, sizeof path, "%s/a.db", dir);
    return 0;
}

static int tear_down(void **state)
{
    static const char *const names[] = {"a.db", "a.db-wal", "a.db-shm"};
    char file[128];

    (void)state;
    for (size_t i = 0; i < MT_ARRAY_LEN(names); i++) {
        snprintf(file, sizeof file, "%s/%s", dir, names[i]);
        unlink(file);
    }
    return rmdir(dir);
}

static struct mt_db *open_db(void)
{
    struct mt_db *db = NULL;
    struct mt_err err = {0};

    if (mt_db_open(path, NULL, &db, &err) != MT_OK)
        fail_msg("%s", err.text);
    return db;
}

static int64_t ask(struct mt_db *db, const char *sql)
{
    struct mt_stmt *stmt;
    bool has_row = false;

    assert_int_equal(mt_db_prepare(db, sql, &stmt, NULL), MT_OK);
    assert_int_equal(mt_stmt_step(stmt, &has_row, NULL), MT_OK);
    assert_true(has_row);
    int64_t value = mt_stmt_i64(stmt, 0);
    mt_stmt_reset(stmt);
    return value;
}

static void values_come_back_as_they_were_bound(void **state)
{
    (void)state;
    struct mt_db *db = open_db();
    struct mt_stmt *in, *out;
    struct stat found;
    bool has_row = false;

    assert_int_equal(stat(path, &found), 0);
    assert_int_equal(found.st_mode & 0777, 0600);
    assert_int_equal(mt_db_exec(db, "CREATE TABLE t (a, b, c, d, e)", NULL), MT_OK);
    assert_int_equal(mt_db_prepare(db, "INSERT INTO t VALUES (?, ?, ?, ?, ?)", &in, NULL),
                     MT_OK);
    mt_stmt_bind_i64(in, 1, INT64_MIN);
    mt_stmt_bind_f64(in, 2, 0.5);
    mt_stmt_bind_str(in, 3, (struct mt_str){"a\0b", 3});
    mt_stmt_bind_blob(in, 4, (struct mt_str){NULL, 0});
    mt_stmt_bind_null(in, 5);
    assert_int_equal(mt_stmt_step(in, NULL, NULL), MT_OK);
    assert_int_equal(mt_db_changes(db), 1);
    assert_int_equal(mt_db_prepare(db, "SELECT * FROM t", &out, NULL), MT_OK);
    assert_int_equal(mt_stmt_step(out, &has_row, NULL), MT_OK);
    assert_true(has_row);
    assert_true(mt_stmt_i64(out, 0) == INT64_MIN);
    assert_true(mt_stmt_f64(out, 1) == 0.5);
    assert_true(mt_str_eq(mt_stmt_str(out, 2), (struct mt_str){"a\0b", 3}));
    assert_false(mt_stmt_is_null(out, 3));
    assert_int_equal(mt_stmt_str(out, 3).len, 0);
    assert_true(mt_stmt_is_null(out, 4));
    assert_int_equal(mt_stmt_step(out, &has_row, NULL), MT_OK);
    assert_false(has_row);
    mt_db_close(db);
    assert_int_equal(mt_alloc_live, 0);
}

static void failures_have_codes_a_caller_can_act_on(void **state)
{
    (void)state;
    struct mt_db *db = open_db();
    struct mt_stmt *stmt;
    struct mt_err err = {0};

    assert_int_equal(
        mt_db_exec(db, "CREATE TABLE t (a UNIQUE); INSERT INTO t VALUES (1)", &err), MT_OK);
    assert_int_equal(mt_db_exec(db, "INSERT INTO t VALUES (1)", &err), MT_E_EXISTS);
    assert_non_null(strstr(err.text, "UNIQUE constraint failed: t.a"));
    assert_int_equal(mt_db_prepare(db, "SELEC 1", &stmt, &err), MT_E_INVALID);
    assert_int_equal(mt_db_prepare(db, "SELECT ?", &stmt, NULL), MT_OK);
    mt_stmt_bind_i64(stmt, 2, 1); /* no such parameter: told by the step */
    mt_stmt_bind_i64(stmt, 1, 1);
    assert_int_equal(mt_stmt_step(stmt, NULL, &err), MT_E_INVALID);
    mt_db_close(db);

    struct mt_db_opts read_only = {.mode = MT_DB_READ};
    assert_int_equal(mt_db_open(path, &read_only, &db, &err), MT_OK);
    assert_int_equal(mt_db_exec(db, "INSERT INTO t VALUES (2)", &err), MT_E_DENIED);
    mt_db_close(db);
    assert_int_equal(mt_db_open("/nonexistent/x.db", &read_only, &db, &err), MT_E_NOTFOUND);
    assert_int_equal(mt_db_open("/nonexistent/x.db", NULL, &db, &err), MT_E_NOTFOUND);
}

static void a_file_that_is_no_database_is_corrupt(void **state)
{
    (void)state;
    struct mt_db *db = NULL;
    struct mt_db_opts read_only = {.mode = MT_DB_READ};
    struct mt_err err = {0};
    char junk[4096];

    memset(junk, 'x', sizeof junk);
    assert_int_equal(mt_file_write(path, (struct mt_str){junk, sizeof junk}, 0600, NULL),
                     MT_OK);
    assert_int_equal(mt_db_open(path, NULL, &db, &err), MT_E_CORRUPT);
    assert_int_equal(mt_db_open(path, &read_only, &db, &err), MT_E_CORRUPT);
    assert_null(db);
    assert_non_null(strstr(err.text, "file is not a database"));
}

static void a_second_writer_is_told_busy(void **state)
{
    (void)state;
    struct mt_db_opts hasty = {.busy_timeout_ms = 1};
    struct mt_db *first = open_db();
    struct mt_db *second = NULL;

    assert_int_equal(mt_db_open(path, &hasty, &second, NULL), MT_OK);
    assert_int_equal(mt_db_begin(first, NULL), MT_OK);
    assert_int_equal(mt_db_begin(second, NULL), MT_E_BUSY);
    assert_int_equal(mt_db_commit(first, NULL), MT_OK);
    assert_int_equal(mt_db_begin(second, NULL), MT_OK);
    mt_db_rollback(second);
    mt_db_rollback(second); /* of none: harmless */
    mt_db_close(second);
    mt_db_close(first);
}

static void migration_runs_each_step_once_and_whole(void **state)
{
    (void)state;
    static const char *const steps[] = {"CREATE TABLE a (x); INSERT INTO a VALUES (1)",
                                        "INSERT INTO a VALUES (2)"};
    const char *const broken[] = {steps[0], steps[1],
                                  "INSERT INTO a VALUES (3); INSERT INTO nowhere VALUES (1)"};
    struct mt_err err = {0};
    struct mt_db *db = open_db();

    assert_int_equal(mt_db_migrate(db, steps, 1, NULL), MT_OK);
    assert_int_equal(mt_db_migrate(db, steps, 2, NULL), MT_OK);
    assert_int_equal(mt_db_migrate(db, steps, 2, NULL), MT_OK);
    assert_int_equal(ask(db, "SELECT sum(x) FROM a"), 3);
    assert_int_equal(mt_db_migrate(db, broken, 3, &err), MT_E_INVALID);
    assert_non_null(strstr(err.text, "schema step 3"));
    assert_int_equal(ask(db, "SELECT sum(x) FROM a"), 3); /* half a step is none */
    assert_int_equal(mt_db_migrate(db, steps, 1, &err), MT_E_UNSUPPORTED);
    mt_db_close(db);
}

static void open_and_prepare_survive_any_failed_allocation(void **state)
{
    (void)state;
    for (long nth = 0;; nth++) {
        struct mt_db *db = NULL;
        struct mt_stmt *stmt;

        mt_alloc_fail_after = nth;
        mt_rc rc = mt_db_open(":memory:", NULL, &db, NULL);
        if (rc == MT_OK)
            rc = mt_db_prepare(db, "SELECT 1", &stmt, NULL);
        mt_alloc_fail_after = -1;
        mt_db_close(db);
        assert_int_equal(mt_alloc_live, 0);
        if (rc == MT_OK) {
            assert_true(nth > 2);
            break;
        }
        assert_int_equal(rc, MT_E_NOMEM);
    }
}

/* In a child, because a limit on file sizes holds for the whole process. */
static int fill_until_full(void)
{
    struct rlimit limit = {200 * 1024, 200 * 1024};
    struct mt_db *db = NULL;
    struct mt_err err = {0};
    mt_rc rc = MT_OK;

    signal(SIGXFSZ, SIG_IGN);
    if (mt_db_open(path, NULL, &db, &err) != MT_OK ||
        mt_db_exec(db, "CREATE TABLE t (a)", &err) != MT_OK ||
        setrlimit(RLIMIT_FSIZE, &limit) != 0)
        return 1;
    for (int i = 0; i < 1000 && rc == MT_OK; i++)
        rc = mt_db_exec(db, "INSERT INTO t VALUES (randomblob(4000))", &err);
    if (rc != MT_E_IO)
        return 2;
    bool is_readable = ask(db, "SELECT count(*) FROM t") > 0;
    mt_db_close(db);
    return is_readable ? 0 : 3;
}

static void a_full_disk_is_told_and_harms_nothing(void **state)
{
    (void)state;
    int status = -1;
    pid_t child = fork();

    assert_true(child >= 0);
    if (child == 0)
        _exit(fill_until_full());
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    struct mt_db *db = open_db();
    assert_true(ask(db, "SELECT count(*) FROM t") > 0);
    mt_db_close(db);

    struct mt_err err = {0};
    assert_int_equal(mt_db_open(":memory:", NULL, &db, NULL), MT_OK);
    assert_int_equal(mt_db_exec(db, "PRAGMA max_page_count = 3; CREATE TABLE t (a)", NULL),
                     MT_OK);
    assert_int_equal(mt_db_exec(db, "INSERT INTO t VALUES (randomblob(40000))", &err), MT_E_IO);
    assert_non_null(strstr(err.text, "disk full"));
    mt_db_close(db);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(values_come_back_as_they_were_bound, set_up, tear_down),
        cmocka_unit_test_setup_teardown(failures_have_codes_a_caller_can_act_on, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_file_that_is_no_database_is_corrupt, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_second_writer_is_told_busy, set_up, tear_down),
        cmocka_unit_test_setup_teardown(migration_runs_each_step_once_and_whole, set_up,
                                        tear_down),
        cmocka_unit_test(open_and_prepare_survive_any_failed_allocation),
        cmocka_unit_test_setup_teardown(a_full_disk_is_told_and_harms_nothing, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
