/* SPDX-License-Identifier: Apache-2.0 */
#include "support/test.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "system/env.h"
#include "system/file.h"
#include "system/log.h"
#include "system/pool.h"

static char dir[64];

static int set_up(void **state)
{
    (void)state;
    strcpy(dir, "/tmp/mt-test-sys-XXXXXX");
    return mkdtemp(dir) != NULL ? 0 : -1;
}

static int tear_down(void **state)
{
    char command[128];

    (void)state;
    snprintf(command, sizeof command, "rm -rf '%s'", dir);
    return system(command);
}

static const char *in_dir(const char *name)
{
    static char path[160];

    snprintf(path, sizeof path, "%s/%s", dir, name);
    return path;
}

static void same_seed_gives_the_same_run(void **state)
{
    (void)state;
    struct mt_env_sim a, b, c;
    char bytes_a[37], bytes_b[37];

    mt_env_sim_init(&a, 7);
    mt_env_sim_init(&b, 7);
    mt_env_sim_init(&c, 8);
    mt_env_random(&a.env, bytes_a, sizeof bytes_a);
    mt_env_random(&b.env, bytes_b, sizeof bytes_b);
    assert_memory_equal(bytes_a, bytes_b, sizeof bytes_a);
    assert_true(mt_env_sim_u64(&a) != mt_env_sim_u64(&c));
    mt_env_sim_advance_ms(&a, 1500);
    assert_true(mt_env_now_mono_ns(&a.env) == 1500000000);
    assert_true(mt_env_now_wall_ms(&a.env) == 1767225601500);
    for (int i = 0; i < 1000; i++)
        assert_true(mt_env_sim_below(&a, 3) < 3);
}

static void real_time_moves_and_chance_differs(void **state)
{
    (void)state;
    struct mt_env *env = mt_env_real();
    uint64_t x = 0, y = 0;
    int64_t before = mt_env_now_mono_ns(env);

    mt_env_random(env, &x, sizeof x);
    mt_env_random(env, &y, sizeof y);
    assert_true(x != y);
    assert_true(mt_env_now_mono_ns(env) >= before);
    assert_true(mt_env_now_wall_ms(env) > 1700000000000);
}

static void files_are_read_whole_or_not_at_all(void **state)
{
    (void)state;
    struct mt_buf out = MT_BUF_INIT(100);
    struct mt_err err = {0};
    struct stat found;

    assert_int_equal(mt_file_write(in_dir("a"), MT_STR("hello"), 0600, NULL), MT_OK);
    assert_int_equal(mt_file_write(in_dir("a"), MT_STR("hello2"), 0640, NULL), MT_OK);
    assert_int_equal(stat(in_dir("a"), &found), 0);
    assert_int_equal(found.st_mode & 0777, 0640);
    mt_buf_add_cstr(&out, "> ");
    assert_int_equal(mt_file_read(in_dir("a"), 6, &out, NULL), MT_OK);
    assert_string_equal(mt_buf_cstr(&out), "> hello2");
    assert_int_equal(mt_file_read(in_dir("a"), 5, &out, &err), MT_E_TOOBIG);
    assert_non_null(strstr(err.text, "over the limit of 5 bytes"));
    assert_int_equal(mt_file_read(in_dir("none"), 5, &out, NULL), MT_E_NOTFOUND);
    assert_int_equal(mt_file_read(dir, 5, &out, NULL), MT_E_IO); /* a folder */
    assert_string_equal(mt_buf_cstr(&out), "> hello2");
    assert_int_equal(mt_file_write(in_dir("no/a"), MT_STR("x"), 0600, NULL), MT_E_NOTFOUND);
    assert_true(mt_file_exists(in_dir("a")));
    assert_int_equal(mt_file_remove(in_dir("a"), NULL), MT_OK);
    assert_int_equal(mt_file_remove(in_dir("a"), NULL), MT_OK);
    assert_false(mt_file_exists(in_dir("a")));
    mt_buf_fini(&out);
}

static void a_failed_write_leaves_the_old_file_and_no_other(void **state)
{
    (void)state;
    assert_int_equal(mt_file_write(in_dir("a"), MT_STR("old"), 0600, NULL), MT_OK);
    for (long nth = 0; nth < 2; nth++) {
        mt_alloc_fail_after = nth;
        assert_int_equal(mt_file_write(in_dir("a"), MT_STR("new"), 0600, NULL), MT_E_NOMEM);
        mt_alloc_fail_after = -1;
    }
    assert_int_equal(mt_alloc_live, 0);
    assert_int_equal(mt_file_write(dir, MT_STR("new"), 0600, NULL), MT_E_IO); /* is a folder */
    char temp[160];
    snprintf(temp, sizeof temp, "ls %s* -d | wc -l | grep -qx 1", dir);
    assert_int_equal(system(temp), 0);
}

static struct mt_draft *draft_of(const char *path)
{
    struct mt_draft *draft = NULL;
    struct mt_err err = {0};

    if (mt_draft_new(path, 0640, &draft, &err) != MT_OK)
        fail_msg("draft: %s", err.text);
    return draft;
}

static void a_draft_is_seen_when_it_is_published(void **state)
{
    (void)state;
    struct mt_buf out = MT_BUF_INIT(100);
    struct stat found;

    assert_int_equal(mt_file_write(in_dir("a"), MT_STR("old"), 0600, NULL), MT_OK);
    struct mt_draft *draft = draft_of(in_dir("a"));
    assert_int_equal(mt_draft_add(draft, MT_STR("new "), NULL), MT_OK);
    assert_int_equal(mt_draft_add(draft, MT_STR("words"), NULL), MT_OK);
    assert_int_equal(mt_file_read(in_dir("a"), 100, &out, NULL), MT_OK);
    assert_string_equal(mt_buf_cstr(&out), "old");
    assert_int_equal(mt_draft_publish(draft, NULL), MT_OK);
    mt_buf_clear(&out);
    assert_int_equal(mt_file_read(in_dir("a"), 100, &out, NULL), MT_OK);
    assert_string_equal(mt_buf_cstr(&out), "new words");
    assert_int_equal(stat(in_dir("a"), &found), 0);
    assert_int_equal(found.st_mode & 0777, 0640);
    mt_draft_free(draft);
    assert_true(mt_file_exists(in_dir("a")));
    assert_false(mt_file_exists(in_dir("a.part")));
    mt_buf_fini(&out);
    mt_draft_free(NULL);
}

static void a_draft_that_is_not_published_leaves_nothing(void **state)
{
    (void)state;
    struct mt_draft *none = NULL;
    struct mt_err err = {0};

    struct mt_draft *draft = draft_of(in_dir("a"));
    assert_int_equal(mt_draft_add(draft, MT_STR("words"), NULL), MT_OK);
    assert_int_equal(mt_draft_new(in_dir("a"), 0600, &none, &err), MT_E_BUSY);
    assert_non_null(strstr(err.text, "a.part': another process does"));
    assert_true(mt_file_exists(in_dir("a.part")));
    mt_draft_free(draft);
    assert_false(mt_file_exists(in_dir("a.part")));
    assert_false(mt_file_exists(in_dir("a")));
    assert_int_equal(mt_draft_new(in_dir("no/a"), 0600, &none, NULL), MT_E_NOTFOUND);
    for (long nth = 0; nth < 3; nth++) {
        mt_alloc_fail_after = nth;
        assert_int_equal(mt_draft_new(in_dir("a"), 0600, &none, NULL), MT_E_NOMEM);
        mt_alloc_fail_after = -1;
        assert_int_equal(mt_alloc_live, 0);
    }
    assert_null(none);
}

static void what_a_dead_writer_left_is_written_over(void **state)
{
    (void)state;
    struct mt_buf out = MT_BUF_INIT(100);

    assert_int_equal(mt_file_write(in_dir("a.part"), MT_STR("half of something"), 0600, NULL),
                     MT_OK);
    struct mt_draft *draft = draft_of(in_dir("a"));
    assert_int_equal(mt_draft_add(draft, MT_STR("whole"), NULL), MT_OK);
    assert_int_equal(mt_draft_publish(draft, NULL), MT_OK);
    mt_draft_free(draft);
    assert_int_equal(mt_file_read(in_dir("a"), 100, &out, NULL), MT_OK);
    assert_string_equal(mt_buf_cstr(&out), "whole");
    mt_buf_fini(&out);
}

static void folders_are_made_with_those_above(void **state)
{
    (void)state;
    struct stat found;

    assert_int_equal(mt_dir_make(in_dir("x/y//z"), NULL), MT_OK);
    assert_int_equal(mt_dir_make(in_dir("x/y/z"), NULL), MT_OK);
    assert_int_equal(stat(in_dir("x/y"), &found), 0);
    assert_int_equal(found.st_mode & 0777, 0700);
    assert_int_equal(mt_file_write(in_dir("x/f"), MT_STR(""), 0600, NULL), MT_OK);
    assert_int_equal(mt_dir_make(in_dir("x/f"), NULL), MT_E_EXISTS);
    assert_int_equal(mt_dir_make(in_dir("x/f/g"), NULL), MT_E_EXISTS);
}

static void lock_names_its_holder_and_dies_with_it(void **state)
{
    (void)state;
    struct mt_lock *lock = NULL, *second = NULL;
    struct mt_buf note = MT_BUF_INIT(1000);
    struct mt_err err = {0};
    const char *path = in_dir("lock");

    assert_false(mt_lock_is_held(path, NULL));
    assert_int_equal(mt_lock_take(path, MT_STR("pid 12"), &lock, &err), MT_OK);
    assert_int_equal(mt_lock_note(lock, MT_STR("pid 12\nhttp://x"), &err), MT_OK);
    assert_int_equal(mt_lock_take(path, MT_STR("pid 13"), &second, &err), MT_E_BUSY);
    assert_non_null(strstr(err.text, "held by another process: pid 12 http://x"));
    assert_true(mt_lock_is_held(path, &note));
    assert_string_equal(mt_buf_cstr(&note), "pid 12 http://x");
    mt_lock_free(lock);
    assert_false(mt_lock_is_held(path, NULL));

    pid_t child = fork(); /* takes the lock and dies without a word */
    assert_true(child >= 0);
    if (child == 0)
        _exit(mt_lock_take(path, MT_STR("child"), &second, NULL) == MT_OK ? 0 : 1);
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(mt_lock_take(path, MT_STR("again"), &lock, NULL), MT_OK);
    mt_lock_free(lock);
    mt_buf_fini(&note);
}

static void folders_follow_the_environment(void **state)
{
    (void)state;
    static const struct {
        const char *row, *own, *home, *config, *data, *runtime; /* environment */
        mt_rc rc;
        const char *want_config, *want_data, *want_runtime;
    } rows[] = {
        {"defaults", NULL, "/h", NULL, NULL, NULL, MT_OK, "/h/.config/motet",
         "/h/.local/share/motet", "/h/.local/share/motet/run"},
        {"xdg", NULL, "/h", "/c/", "/d", "/r", MT_OK, "/c/motet", "/d/motet", "/r/motet"},
        {"relative is ignored", NULL, "/h", "c", "d", "r", MT_OK, "/h/.config/motet",
         "/h/.local/share/motet", "/h/.local/share/motet/run"},
        {"own", "/m", "/h", "/c", "/d", "/r", MT_OK, "/m/config", "/m/data", "/m/run"},
        {"nothing", NULL, NULL, NULL, NULL, NULL, MT_E_NOTFOUND, NULL, NULL, NULL},
        {"no home", NULL, NULL, "/c", "/d", NULL, MT_OK, "/c/motet", "/d/motet",
         "/d/motet/run"},
    };
    static const char *const names[] = {"MOTET_HOME", "HOME", "XDG_CONFIG_HOME",
                                        "XDG_DATA_HOME", "XDG_RUNTIME_DIR"};

    for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
        const char *values[] = {rows[i].own, rows[i].home, rows[i].config, rows[i].data,
                                rows[i].runtime};
        struct mt_dirs dirs = {0};
        for (size_t v = 0; v < MT_ARRAY_LEN(names); v++)
            values[v] != NULL ? setenv(names[v], values[v], 1) : unsetenv(names[v]);
        mt_check_row(rows[i].row, mt_dirs_find(&dirs, NULL) == rows[i].rc);
        if (rows[i].rc == MT_OK) {
            assert_string_equal(dirs.config, rows[i].want_config);
            assert_string_equal(dirs.data, rows[i].want_data);
            assert_string_equal(dirs.runtime, rows[i].want_runtime);
        }
        mt_dirs_fini(&dirs);
    }
    setenv("HOME", "/h", 1);
    for (long nth = 0; nth < 3; nth++) {
        struct mt_dirs dirs = {0};
        mt_alloc_fail_after = nth;
        assert_int_equal(mt_dirs_find(&dirs, NULL), MT_E_NOMEM);
        mt_alloc_fail_after = -1;
    }
    assert_int_equal(mt_alloc_live, 0);
}

/* A log that writes into a pipe; what it wrote is read back with read_log. */
struct logged {
    int ends[2];
    struct mt_env_sim sim;
    struct mt_log *log;
    char text[128 * 1024];
};

static void open_log(struct logged *l, enum mt_log_format format, const char *levels)
{
    struct mt_err err = {0};

    assert_int_equal(pipe(l->ends), 0);
    mt_env_sim_init(&l->sim, 1);
    struct mt_log_opts opts = {
        .env = &l->sim.env, .fd = l->ends[1], .format = format, .levels = mt_str_of(levels)};
    if (mt_log_new(&opts, &l->log, &err) != MT_OK)
        fail_msg("%s", err.text);
}

static const char *close_log(struct logged *l)
{
    mt_log_free(l->log);
    close(l->ends[1]);
    size_t n = 0;
    for (ssize_t got = 1; got > 0; n += (size_t)got) {
        got = read(l->ends[0], l->text + n, sizeof l->text - 1 - n);
        assert_true(got >= 0);
    }
    l->text[n] = '\0';
    close(l->ends[0]);
    return l->text;
}

static void log_writes_typed_fields_in_both_formats(void **state)
{
    (void)state;
    static struct logged l;

    for (int format = MT_LOG_LOGFMT; format <= MT_LOG_JSON; format++) {
        open_log(&l, (enum mt_log_format)format, "");
        mt_log(l.log, MT_LOG_INFO, "gateway", "request_done",
               MT_LOG_CSTR("model", "a b\"\n\x01"), MT_LOG_I64("n", -5),
               MT_LOG_F64("load", 0.25), MT_LOG_BOOL("ok", true), MT_LOG_CSTR("plain", "x/y"),
               MT_LOG_CSTR("empty", ""), MT_LOG_CSTR("bad", "\xff\xc3\xa9"));
        mt_log(l.log, MT_LOG_INFO, "gateway", "started");
        assert_string_equal(
            close_log(&l),
            format == MT_LOG_LOGFMT
                ? "2026-01-01T00:00:00.000Z info gateway request_done "
                  "model=\"a b\\\"\\n\\u0001\" n=-5 load=0.25 ok=true plain=x/y empty=\"\" "
                  "bad=\"\xef\xbf\xbd\xc3\xa9\"\n"
                  "2026-01-01T00:00:00.000Z info gateway started\n"
                : "{\"ts\":\"2026-01-01T00:00:00.000Z\",\"level\":\"info\",\"module\":"
                  "\"gateway\",\"event\":\"request_done\",\"model\":\"a b\\\"\\n\\u0001\","
                  "\"n\":-5,\"load\":0.25,\"ok\":true,\"plain\":\"x/y\",\"empty\":\"\","
                  "\"bad\":\"\xef\xbf\xbd\xc3\xa9\"}\n"
                  "{\"ts\":\"2026-01-01T00:00:00.000Z\",\"level\":\"info\",\"module\":"
                  "\"gateway\",\"event\":\"started\"}\n");
    }
}

static void log_levels_hold_per_module(void **state)
{
    (void)state;
    static struct logged l;
    struct mt_err err = {0};

    open_log(&l, MT_LOG_LOGFMT, "warn, ledger=trace");
    mt_log(l.log, MT_LOG_INFO, "gateway", "hidden");
    mt_log(l.log, MT_LOG_TRACE, "ledger", "seen");
    mt_log(NULL, MT_LOG_ERROR, "gateway", "nowhere");
    assert_int_equal(mt_log_set_levels(l.log, MT_STR("loud"), &err), MT_E_INVALID);
    assert_non_null(strstr(err.text, "'loud'"));
    assert_int_equal(mt_log_set_levels(l.log, MT_STR("a=x"), &err), MT_E_INVALID);
    assert_int_equal(mt_log_set_levels(l.log, MT_STR("info"), &err), MT_OK);
    mt_log(l.log, MT_LOG_DEBUG, "ledger", "hidden");
    mt_log(l.log, MT_LOG_INFO, "gateway", "seen");
    assert_string_equal(close_log(&l), "2026-01-01T00:00:00.000Z trace ledger seen\n"
                                       "2026-01-01T00:00:00.000Z info gateway seen\n");
}

static void log_counts_repeats_instead_of_writing_them(void **state)
{
    (void)state;
    static struct logged l;
    size_t lines = 0;

    open_log(&l, MT_LOG_LOGFMT, "info");
    for (int i = 0; i < 100; i++)
        mt_log(l.log, MT_LOG_WARN, "net", "upstream_failed");
    mt_log(l.log, MT_LOG_WARN, "net", "other");
    mt_env_sim_advance_ms(&l.sim, 1000);
    mt_log(l.log, MT_LOG_WARN, "net", "upstream_failed");
    for (int i = 0; i < 20; i++)
        mt_log(l.log, MT_LOG_WARN, "net", "upstream_failed");
    const char *text = close_log(&l);
    for (const char *at = text; *at != '\0'; at++)
        lines += *at == '\n';
    assert_int_equal(lines, 20 + 1 + 20 + 1); /* the last tells the rest at the end */
    assert_non_null(strstr(text, "00:00:01.000Z warn net upstream_failed suppressed=80\n"));
    assert_non_null(strstr(text, "00:00:01.000Z warn net upstream_failed suppressed=1\n"));
}

static void log_cuts_what_is_too_long(void **state)
{
    (void)state;
    static struct logged l;
    static char text[20000];

    memset(text, 'x', sizeof text - 1);
    for (int format = MT_LOG_LOGFMT; format <= MT_LOG_JSON; format++) {
        open_log(&l, (enum mt_log_format)format, "info");
        mt_log(l.log, MT_LOG_INFO, "m", "e", MT_LOG_CSTR("a", text), MT_LOG_CSTR("b", text),
               MT_LOG_I64("c", 1));
        const char *line = close_log(&l);
        assert_true(strlen(line) < 8192);
        assert_string_equal(line + strlen(line) - (format == MT_LOG_JSON ? 6 : 5),
                            format == MT_LOG_JSON ? "...\"}\n" : "...\"\n");
    }
}

struct gate {
    pthread_mutex_t lock;
    pthread_cond_t opened;
    bool is_open;
    int order[8];
    int n;
};

struct job {
    struct gate *gate;
    int id;
};

static void wait_and_note(void *arg)
{
    struct job *job = arg;

    pthread_mutex_lock(&job->gate->lock);
    while (!job->gate->is_open)
        pthread_cond_wait(&job->gate->opened, &job->gate->lock);
    job->gate->order[job->gate->n++] = job->id;
    pthread_mutex_unlock(&job->gate->lock);
}

static void pool_runs_jobs_in_order_and_refuses_when_full(void **state)
{
    (void)state;
    struct gate gate = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false, {0}, 0};
    struct job jobs[8];
    struct mt_pool *pool = NULL;
    int accepted_n = 0;
    mt_rc rc = MT_OK;

    assert_int_equal(mt_pool_new("test-pool-with-a-long-name", 3, &pool, NULL), MT_OK);
    for (int i = 0; i < 8 && rc == MT_OK; i++) {
        jobs[i] = (struct job){&gate, i};
        rc = mt_pool_post(pool, wait_and_note, &jobs[i], NULL);
        accepted_n += rc == MT_OK;
    }
    assert_int_equal(rc, MT_E_BUSY);
    assert_true(accepted_n == 3 || accepted_n == 4); /* the thread may hold one */
    pthread_mutex_lock(&gate.lock);
    gate.is_open = true;
    pthread_cond_broadcast(&gate.opened);
    pthread_mutex_unlock(&gate.lock);
    mt_pool_free(pool); /* runs what waits */
    assert_int_equal(gate.n, accepted_n);
    for (int i = 0; i < accepted_n; i++)
        assert_int_equal(gate.order[i], i);
    mt_alloc_fail_after = 0;
    assert_int_equal(mt_pool_new("x", 3, &pool, NULL), MT_E_NOMEM);
    mt_alloc_fail_after = -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_seed_gives_the_same_run),
        cmocka_unit_test(real_time_moves_and_chance_differs),
        cmocka_unit_test_setup_teardown(files_are_read_whole_or_not_at_all, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_failed_write_leaves_the_old_file_and_no_other, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_draft_is_seen_when_it_is_published, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_draft_that_is_not_published_leaves_nothing, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(what_a_dead_writer_left_is_written_over, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(folders_are_made_with_those_above, set_up, tear_down),
        cmocka_unit_test_setup_teardown(lock_names_its_holder_and_dies_with_it, set_up,
                                        tear_down),
        cmocka_unit_test(folders_follow_the_environment),
        cmocka_unit_test(log_writes_typed_fields_in_both_formats),
        cmocka_unit_test(log_levels_hold_per_module),
        cmocka_unit_test(log_counts_repeats_instead_of_writing_them),
        cmocka_unit_test(log_cuts_what_is_too_long),
        cmocka_unit_test(pool_runs_jobs_in_order_and_refuses_when_full),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
