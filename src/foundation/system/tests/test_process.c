/* SPDX-License-Identifier: Apache-2.0 */
/* Real programs of /bin/sh: what they are given, what ends them, and that nothing stays. */
#include "support/test.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "system/env.h"
#include "system/file.h"
#include "system/process.h"
#include "system/tree.h"

enum { DEADLINE_MS = 20000, OUTPUT_MAX = 1 << 20 };

static char dir[] = "/tmp/mt-test-process-XXXXXX";
static const char *const environment[] = {"PATH=/usr/bin:/bin", "HERE=yes", NULL};

static int set_up(void **state)
{
    (void)state;
    return mkdtemp(dir) != NULL ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    return mt_tree_remove(dir, NULL) == MT_OK ? 0 : -1;
}

static void keep(void *context, struct mt_str piece)
{
    mt_buf_add(context, piece);
}

static struct mt_process *start(const char *script, struct mt_process_opts opts,
                                struct mt_buf *output)
{
    const char *const argv[] = {"sh", "-c", script, "sh", "one two", NULL};
    struct mt_process *process = NULL;
    struct mt_err err = {0};

    opts.argv = argv;
    opts.environment = environment;
    opts.folder = dir;
    opts.on_output = output != NULL ? keep : NULL;
    opts.context = output;
    if (mt_process_start(&opts, &process, &err) != MT_OK)
        fail_msg("%s", err.text);
    return process;
}

static struct mt_process_end run(const char *script, struct mt_process_opts opts,
                                 struct mt_buf *output)
{
    MT_CLEANUP(mt_process_freep) struct mt_process *process = start(script, opts, output);

    if (!mt_process_wait(process, DEADLINE_MS))
        fail_msg("'%s' does not end", script);
    return mt_process_reap(process);
}

/* ------------------------------------------------------------------ what it is given */

static void a_program_has_what_it_was_given_and_nothing_else(void **state)
{
    (void)state;
    static const struct {
        const char *script, *want;
    } rows[] = {
        {"echo out; echo err >&2", "out\nerr\n"},
        {"echo \"$1\"", "one two\n"}, /* no shell takes words apart */
        {"env | grep -v '^PWD=\\|^_=\\|^SHLVL=\\|^OLDPWD=' | sort",
         "HERE=yes\nPATH=/usr/bin:/bin\n"},
        {"cat; echo read", "read\n"},                    /* standard input is empty */
        {"ls /proc/self/fd | wc -l | tr -d ' '", "4\n"}, /* three, and that of ls */
        {"pwd -P | cut -c1-21", "/tmp/mt-test-process-\n"},
        {"ulimit -c", "0\n"},
        {"test $(cut -d' ' -f5 /proc/$$/stat) -eq $$ && echo leads", "leads\n"},
        {"kill -INT $$; echo deaf", ""}, /* a signal that we ignore is not ignored there */
    };
    int extra = open("/dev/null", O_RDONLY); /* inherited if nobody closes it */
    void (*old)(int) = signal(SIGINT, SIG_IGN);

    assert_true(extra >= 0);
    for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
        MT_CLEANUP(mt_buf_fini) struct mt_buf output = MT_BUF_INIT(OUTPUT_MAX);
        (void)run(rows[i].script, (struct mt_process_opts){0}, &output);
        if (strcmp(mt_buf_cstr(&output), rows[i].want) != 0)
            fail_msg("row '%s': '%s'", rows[i].script, mt_buf_cstr(&output));
    }
    (void)signal(SIGINT, old);
    close(extra);
    assert_int_equal(mt_alloc_live, 0);
}

static void an_end_is_told_as_it_was(void **state)
{
    (void)state;
    static const struct {
        const char *script;
        int exit_status, signal;
    } rows[] = {
        {"exit 0", 0, 0},
        {"exit 37", 37, 0},
        {"kill -KILL $$", -1, SIGKILL},
        {"kill -TERM $$", -1, SIGTERM},
        {"exec >&- 2>&-; i=0; while [ $i -lt 20000 ]; do i=$((i + 1)); done; exit 5", 5, 0},
    };

    for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
        struct mt_process_end end = run(rows[i].script, (struct mt_process_opts){0}, NULL);
        mt_check_row(rows[i].script, end.exit_status == rows[i].exit_status);
        mt_check_row(rows[i].script, end.signal == rows[i].signal);
    }
}

static void what_cannot_begin_says_why(void **state)
{
    (void)state;
    char plain[64], broken[64];
    (void)snprintf(plain, sizeof plain, "%s/plain", dir);
    (void)snprintf(broken, sizeof broken, "%s/broken", dir);
    assert_int_equal(mt_file_write(plain, MT_STR("text"), 0600, NULL), MT_OK);
    assert_int_equal(mt_file_write(broken, MT_STR("#!/none/there\n"), 0700, NULL), MT_OK);
    const struct {
        const char *program, *folder, *want;
        mt_rc rc;
    } rows[] = {
        {"no-such-program", dir, "program 'no-such-program': not found in PATH", MT_E_NOTFOUND},
        {"./no-such", dir, "program './no-such': No such file", MT_E_NOTFOUND},
        {plain, dir, "Permission denied", MT_E_DENIED},
        {broken, dir, "No such file", MT_E_NOTFOUND},
        {"sh", "/none/there", "program 'sh': No such file", MT_E_NOTFOUND},
    };

    for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
        const char *const argv[] = {rows[i].program, NULL};
        const struct mt_process_opts opts = {
            .argv = argv, .environment = environment, .folder = rows[i].folder};
        struct mt_process *process = NULL;
        struct mt_err err = {0};

        mt_check_row(rows[i].program, mt_process_start(&opts, &process, &err) == rows[i].rc);
        if (strstr(err.text, rows[i].want) == NULL)
            fail_msg("row '%s': '%s'", rows[i].program, err.text);
        assert_null(process);
    }
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* no child stays */
    assert_int_equal(mt_alloc_live, 0);
}

static void output_of_any_length_comes_whole(void **state)
{
    (void)state;
    MT_CLEANUP(mt_buf_fini) struct mt_buf output = MT_BUF_INIT(OUTPUT_MAX);

    (void)run("i=0; while [ $i -lt 4000 ]; do echo 0123456789012345678901234567890123456789; "
              "i=$((i + 1)); done",
              (struct mt_process_opts){0}, &output);
    assert_int_equal(output.len, 4000 * 41);
}

/* ------------------------------------------------------------------ limits */

static void limits_hold(void **state)
{
    (void)state;
    static const struct {
        const char *script;
        struct mt_process_opts opts;
    } rows[] = {
        {"dd if=/dev/zero of=big bs=4096 count=64", {.file_bytes_max = 65536}},
        {"dd if=/dev/zero of=/dev/null bs=64M count=1", {.memory_bytes_max = 32 << 20}},
    };

    for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
        struct mt_process_end fine = run(rows[i].script, (struct mt_process_opts){0}, NULL);
        struct mt_process_end end = run(rows[i].script, rows[i].opts, NULL);

        mt_check_row(rows[i].script, fine.exit_status == 0);
        mt_check_row(rows[i].script, end.exit_status != 0);
    }
    assert_true(mt_tree_bytes(dir) <= 65536 + 16384);
}

/* ------------------------------------------------------------------ ends */

/* Waits for a condition with a deadline; a tick is the time that poll() lets pass. */
static bool is_gone(pid_t pid)
{
    int64_t until_ns = mt_env_now_mono_ns(mt_env_real()) + (int64_t)DEADLINE_MS * 1000000;

    while (kill(pid, 0) == 0 || errno != ESRCH) {
        char path[64], stat[256] = "";
        (void)snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
        FILE *file = fopen(path, "r");
        bool is_zombie = file != NULL && fgets(stat, sizeof stat, file) != NULL &&
                         strstr(stat, ") Z ") != NULL; /* an orphan that init has not read */
        if (file != NULL)
            (void)fclose(file);
        if (is_zombie)
            return true;
        if (mt_env_now_mono_ns(mt_env_real()) > until_ns)
            return false;
        (void)poll(NULL, 0, 5);
    }
    return true;
}

static pid_t number_in(struct mt_process *process, const struct mt_buf *output)
{
    int64_t pid = 0;

    while (mt_str_find_char(mt_buf_str(output), '\n') == output->len)
        assert_false(mt_process_wait(process, 5));
    assert_true(mt_str_to_i64(mt_str_trim(mt_buf_str(output)), 2, INT32_MAX, &pid));
    return (pid_t)pid;
}

static void a_signal_reaches_the_whole_group(void **state)
{
    (void)state;
    MT_CLEANUP(mt_buf_fini) struct mt_buf output = MT_BUF_INIT(OUTPUT_MAX);
    MT_CLEANUP(mt_process_freep)
    struct mt_process *process =
        start("sleep 600 & echo $!; wait", (struct mt_process_opts){0}, &output);
    pid_t child = number_in(process, &output);

    assert_false(mt_process_wait(process, 0));
    mt_process_signal(process, SIGTERM);
    assert_true(mt_process_wait(process, DEADLINE_MS));
    assert_int_equal(mt_process_reap(process).signal, SIGTERM);
    assert_true(is_gone(child));
}

static void what_it_leaves_behind_ends_with_it(void **state)
{
    (void)state;
    MT_CLEANUP(mt_buf_fini) struct mt_buf output = MT_BUF_INIT(OUTPUT_MAX);
    MT_CLEANUP(mt_process_freep)
    struct mt_process *process = start("trap '' TERM INT HUP; sleep 600 & echo $!",
                                       (struct mt_process_opts){0}, &output);

    assert_true(mt_process_wait(process, DEADLINE_MS)); /* its child holds the output open */
    assert_int_equal(mt_process_reap(process).exit_status, 0);
    assert_int_equal(mt_process_reap(process).exit_status, 0);
    int64_t child = 0;
    assert_true(mt_str_to_i64(mt_str_trim(mt_buf_str(&output)), 2, INT32_MAX, &child));
    assert_true(is_gone((pid_t)child));
}

static void freeing_kills_what_runs(void **state)
{
    (void)state;
    MT_CLEANUP(mt_buf_fini) struct mt_buf output = MT_BUF_INIT(OUTPUT_MAX);
    struct mt_process *process = start("trap '' TERM INT; sleep 600 & echo $!; wait; wait",
                                       (struct mt_process_opts){0}, &output);
    pid_t child = number_in(process, &output);

    mt_process_free(process);
    assert_true(is_gone(child));
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    mt_process_free(NULL);
    assert_int_equal(mt_alloc_live, (long)(output.cap_ > 0));
}

/* A middle process starts the program and dies of SIGKILL. */
static void it_does_not_outlive_who_started_it(void **state)
{
    (void)state;
    int pipe_fds[2];
    int64_t program = 0;
    char text[32] = "";

    assert_int_equal(pipe(pipe_fds), 0);
    pid_t middle = fork();
    if (middle == 0) {
        MT_CLEANUP(mt_buf_fini) struct mt_buf output = MT_BUF_INIT(OUTPUT_MAX);
        struct mt_process *process =
            start("echo $$; exec sleep 600", (struct mt_process_opts){0}, &output);
        (void)number_in(process, &output);
        (void)!write(pipe_fds[1], output.at, output.len);
        (void)raise(SIGKILL);
    }
    assert_true(middle > 0);
    assert_true(read(pipe_fds[0], text, sizeof text - 1) > 0);
    assert_true(mt_str_to_i64(mt_str_trim(mt_str_of(text)), 2, INT32_MAX, &program));
    assert_int_equal(waitpid(middle, NULL, 0), middle);
    assert_true(is_gone((pid_t)program));
    close(pipe_fds[0]);
    close(pipe_fds[1]);
}

static void a_start_without_memory_leaves_nothing(void **state)
{
    (void)state;
    const char *const argv[] = {"sh", NULL};
    const struct mt_process_opts opts = {
        .argv = argv, .environment = environment, .folder = dir};
    struct mt_process *process = NULL;

    mt_alloc_fail_after = 0;
    assert_int_equal(mt_process_start(&opts, &process, NULL), MT_E_NOMEM);
    mt_alloc_fail_after = -1;
    assert_null(process);
}

/* ------------------------------------------------------------------ trees */

static void a_tree_is_counted_and_removed_without_following_links(void **state)
{
    (void)state;
    char path[96], kept[96], link[96];
    struct stat found;

    (void)snprintf(kept, sizeof kept, "%s/kept", dir);
    (void)snprintf(path, sizeof path, "%s/tree/a/b", dir);
    assert_int_equal(mt_dir_make(path, NULL), MT_OK);
    assert_int_equal(mt_file_write(kept, MT_STR("kept"), 0600, NULL), MT_OK);
    (void)snprintf(link, sizeof link, "%s/tree/a/link", dir);
    assert_int_equal(symlink(kept, link), 0);
    (void)snprintf(link, sizeof link, "%s/tree/a/up", dir);
    assert_int_equal(symlink(dir, link), 0);
    (void)snprintf(path, sizeof path, "%s/tree/a/b/file", dir);
    assert_int_equal(mt_file_write(path, MT_STR("four"), 0600, NULL), MT_OK);
    (void)snprintf(path, sizeof path, "%s/tree", dir);
    assert_true(mt_tree_bytes(path) <= 4096);
    assert_int_equal(mt_tree_remove(path, NULL), MT_OK);
    assert_int_not_equal(stat(path, &found), 0);
    assert_int_equal(stat(kept, &found), 0);
    assert_int_equal(mt_tree_remove(path, NULL), MT_OK); /* again */
    assert_true(mt_tree_bytes(path) == 0);
}

static void a_file_of_others_is_published_by_its_rename(void **state)
{
    (void)state;
    char from[96], to[96], link[96];

    (void)snprintf(from, sizeof from, "%s/theirs", dir);
    (void)snprintf(to, sizeof to, "%s/ours", dir);
    (void)snprintf(link, sizeof link, "%s/points", dir);
    assert_int_equal(mt_file_write(from, MT_STR("made"), 0600, NULL), MT_OK);
    assert_int_equal(symlink(from, link), 0);
    assert_int_equal(mt_file_publish(link, to, 0644, NULL), MT_E_DENIED);
    assert_int_equal(mt_file_publish(from, to, 0644, NULL), MT_OK);
    assert_false(mt_file_exists(from));
    assert_true(mt_file_exists(to));
    assert_int_equal(mt_file_publish(from, to, 0644, NULL), MT_E_NOTFOUND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_program_has_what_it_was_given_and_nothing_else),
        cmocka_unit_test(an_end_is_told_as_it_was),
        cmocka_unit_test(what_cannot_begin_says_why),
        cmocka_unit_test(output_of_any_length_comes_whole),
        cmocka_unit_test(limits_hold),
        cmocka_unit_test(a_signal_reaches_the_whole_group),
        cmocka_unit_test(what_it_leaves_behind_ends_with_it),
        cmocka_unit_test(freeing_kills_what_runs),
        cmocka_unit_test(it_does_not_outlive_who_started_it),
        cmocka_unit_test(a_start_without_memory_leaves_nothing),
        cmocka_unit_test(a_tree_is_counted_and_removed_without_following_links),
        cmocka_unit_test(a_file_of_others_is_published_by_its_rename),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
