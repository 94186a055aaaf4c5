/* SPDX-License-Identifier: Apache-2.0 */
/* Run with arguments, this program is the trainer that gets killed. */
#include "support/test.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "system/file.h"
#include "tiny_language.h"

enum { STEPS = 24, THREADS = 2 };

static char dir[64];
static char path[80]; /* of the checkpoint */
static char part[96]; /* what it is written to first */

static int set_up(void **state)
{
    (void)state;
    strcpy(dir, "/tmp/mt-test-ckp-XXXXXX");
    if (mkdtemp(dir) == NULL)
        return -1;
    snprintf(path, sizeof path, "%s/c", dir);
    snprintf(part, sizeof part, "%s/c.part", dir);
    return 0;
}

static int tear_down(void **state)
{
    char command[128];

    (void)state;
    snprintf(command, sizeof command, "rm -rf '%s'", dir);
    return system(command);
}

static struct mt_trainer *trainer_of(const struct mt_trainer_opts *opts)
{
    struct mt_trainer *trainer = NULL;
    struct mt_err err = {0};

    if (mt_trainer_new(opts, &trainer, &err) != MT_OK)
        fail_msg("no trainer: %s", err.text);
    return trainer;
}

static struct mt_trainer *tiny_trainer(unsigned threads_n, uint64_t seed)
{
    struct mt_trainer_opts opts = tiny_opts(threads_n);

    opts.seed = seed;
    return trainer_of(&opts);
}

static size_t params_bytes(const struct mt_trainer *trainer)
{
    return mt_shape_params_n(mt_trainer_shape(trainer)) * sizeof(float);
}

static bool train(struct mt_trainer *trainer, uint64_t from, uint64_t to)
{
    for (uint64_t i = from; i < to; i++) {
        struct mt_step_report report;
        struct tiny_batch b;
        tiny_batch_fill(&b, i);
        if (mt_trainer_step(trainer, &b.batch, NULL, &report, NULL) != MT_OK)
            return false;
    }
    return true;
}

static void save(const struct mt_trainer *trainer, struct mt_str state)
{
    struct mt_err err = {0};

    if (mt_trainer_save(trainer, path, state, &err) != MT_OK)
        fail_msg("save: %s", err.text);
}

/* The steps done that a checkpoint in good health has; its state must be the same number. */
static uint64_t load(struct mt_trainer *trainer)
{
    struct mt_buf state = MT_BUF_INIT(100);
    struct mt_err err = {0};
    uint64_t position = 0;

    if (mt_trainer_load(trainer, path, &state, &err) != MT_OK)
        fail_msg("load: %s", err.text);
    assert_int_equal(state.len, sizeof position);
    memcpy(&position, state.at, sizeof position);
    mt_buf_fini(&state);
    assert_int_equal(position, mt_trainer_steps_done(trainer));
    return position;
}

static struct mt_str bytes_of(const uint64_t *number)
{
    return (struct mt_str){(const char *)number, sizeof *number};
}

static void resume_goes_on_as_if_nothing_had_happened(void **state)
{
    (void)state;
    const uint64_t position = 10;
    struct mt_trainer *a = tiny_trainer(THREADS, 7), *b = tiny_trainer(THREADS, 8);

    assert_true(train(a, 0, position));
    save(a, bytes_of(&position));
    assert_true(train(a, position, STEPS));
    assert_true(train(b, 90, 93)); /* something to forget */
    assert_int_equal(load(b), position);
    assert_true(train(b, position, STEPS));
    assert_memory_equal(mt_trainer_params(a), mt_trainer_params(b), params_bytes(a));
    assert_false(mt_file_exists(part));
    mt_trainer_free(a);
    mt_trainer_free(b);
}

static void state_may_be_empty_or_large_and_is_appended(void **state)
{
    (void)state;
    struct mt_trainer *trainer = tiny_trainer(1, 7);
    struct mt_buf buf = MT_BUF_INIT(3 << 20);
    char *large = mt_alloc(2 << 20, 1);

    memset(large, 'x', 2 << 20);
    save(trainer, (struct mt_str){0});
    mt_buf_add_cstr(&buf, "mine");
    assert_int_equal(mt_trainer_load(trainer, path, &buf, NULL), MT_OK);
    assert_string_equal(mt_buf_cstr(&buf), "mine");
    save(trainer, (struct mt_str){large, 2 << 20});
    assert_int_equal(mt_trainer_load(trainer, path, &buf, NULL), MT_OK);
    assert_int_equal(buf.len, 4 + (2 << 20));
    assert_memory_equal(buf.at + 4, large, 2 << 20);
    assert_int_equal(mt_trainer_load(trainer, path, &buf, NULL), MT_E_TOOBIG);
    assert_int_equal(buf.len, 4 + (2 << 20));
    mt_buf_fini(&buf);
    mt_free(large);
    mt_trainer_free(trainer);
}

/* ---- kills ------------------------------------------------------------------------- */

/* The child: go on from the checkpoint, if there is one, and save after each step. */
static int child_main(int progress, uint64_t to)
{
    struct mt_trainer *trainer = tiny_trainer(THREADS, 7);
    uint64_t done = mt_file_exists(path) ? load(trainer) : 0;

    for (; done < to; done++) {
        uint64_t next = done + 1;
        if (!train(trainer, done, next))
            return 1;
        if (mt_trainer_save(trainer, path, bytes_of(&next), NULL) != MT_OK)
            return 2;
        if (write(progress, "s", 1) != 1)
            return 3;
    }
    mt_trainer_free(trainer);
    return 0;
}

static void limit_files(rlim_t bytes)
{
    struct rlimit limit;

    getrlimit(RLIMIT_FSIZE, &limit);
    limit.rlim_cur = bytes;
    setrlimit(RLIMIT_FSIZE, &limit);
    setrlimit(RLIMIT_CORE, &(struct rlimit){0});
}

/* @param file_bytes that it may write to a file; 0 = any */
static pid_t spawn(uint64_t to, rlim_t file_bytes, int *progress)
{
    char fd_text[16], to_text[24];
    int ends[2];

    assert_int_equal(pipe(ends), 0);
    snprintf(fd_text, sizeof fd_text, "%d", ends[1]);
    snprintf(to_text, sizeof to_text, "%llu", (unsigned long long)to);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        close(ends[0]);
        if (file_bytes > 0)
            limit_files(file_bytes);
        execl("/proc/self/exe", "trainer", path, fd_text, to_text, (char *)NULL);
        _exit(127);
    }
    close(ends[1]);
    *progress = ends[0];
    return child;
}

/* What became of it. */
static int wait_for(pid_t child, int progress)
{
    char byte;
    int status;

    while (read(progress, &byte, 1) == 1)
        continue;
    close(progress);
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

static int run_child(uint64_t to, rlim_t file_bytes)
{
    int progress;
    pid_t child = spawn(to, file_bytes, &progress);

    return wait_for(child, progress);
}

static void kill_child_after(int saves_n)
{
    int progress;
    pid_t child = spawn(UINT64_MAX, 0, &progress);
    char byte;

    for (int i = 0; i < saves_n; i++)
        assert_int_equal(read(progress, &byte, 1), 1);
    assert_int_equal(kill(child, SIGKILL), 0);
    int status = wait_for(child, progress);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static void resume_after_a_kill_gives_the_same_weights_as_no_kill(void **state)
{
    (void)state;
    struct mt_trainer *whole = tiny_trainer(THREADS, 7), *killed = tiny_trainer(THREADS, 1);
    uint64_t done = 0;

    for (int saves_n = 1; saves_n <= 4; saves_n++) {
        kill_child_after(saves_n);
        uint64_t now = load(killed);
        assert_true(now >= done + (uint64_t)saves_n);
        done = now;
    }
    assert_int_equal(run_child(done + 2, 0), 0);
    assert_int_equal(load(killed), done + 2);
    assert_true(train(whole, 0, done + 2));
    assert_memory_equal(mt_trainer_params(whole), mt_trainer_params(killed),
                        params_bytes(whole));
    assert_false(mt_file_exists(part));
    mt_trainer_free(whole);
    mt_trainer_free(killed);
}

/* SIGXFSZ ends the child in the middle of a write, at exactly this byte. */
static void a_kill_within_a_save_leaves_the_checkpoint_before(void **state)
{
    (void)state;
    static const long bytes[] = {1, 50, 104, 4096, -32, -1}; /* below 0: from the end */
    const uint64_t position = 5;
    struct mt_trainer *before = tiny_trainer(THREADS, 7), *after = tiny_trainer(THREADS, 1);
    struct stat file;

    assert_true(train(before, 0, position));
    save(before, bytes_of(&position));
    assert_int_equal(stat(path, &file), 0);
    for (size_t i = 0; i < MT_ARRAY_LEN(bytes); i++) {
        rlim_t limit = (rlim_t)(bytes[i] > 0 ? bytes[i] : file.st_size + bytes[i]);
        struct stat left;
        int status = run_child(STEPS, limit);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGXFSZ);
        assert_int_equal(stat(part, &left), 0);
        assert_true((rlim_t)left.st_size == limit);
        assert_int_equal(load(after), position);
        assert_memory_equal(mt_trainer_params(before), mt_trainer_params(after),
                            params_bytes(before));
    }
    assert_int_equal(run_child(STEPS, 0), 0); /* over what the dead ones left */
    assert_int_equal(load(after), STEPS);
    assert_true(train(before, position, STEPS));
    assert_memory_equal(mt_trainer_params(before), mt_trainer_params(after),
                        params_bytes(before));
    assert_false(mt_file_exists(part));
    mt_trainer_free(before);
    mt_trainer_free(after);
}

/* ---- no room ----------------------------------------------------------------------- */

static void a_file_too_large_leaves_the_old_checkpoint(void **state)
{
    (void)state;
    static const rlim_t bytes[] = {1, 104, 30000};
    const uint64_t position = 3;
    struct mt_trainer *trainer = tiny_trainer(1, 7);
    struct rlimit whole;

    assert_true(train(trainer, 0, position));
    save(trainer, bytes_of(&position));
    assert_true(train(trainer, position, 5));
    getrlimit(RLIMIT_FSIZE, &whole);
    signal(SIGXFSZ, SIG_IGN);
    for (size_t i = 0; i < MT_ARRAY_LEN(bytes); i++) {
        struct mt_err err = {0};
        setrlimit(RLIMIT_FSIZE, &(struct rlimit){bytes[i], whole.rlim_max});
        mt_rc rc = mt_trainer_save(trainer, path, (struct mt_str){0}, &err);
        setrlimit(RLIMIT_FSIZE, &whole);
        assert_int_equal(rc, MT_E_TOOBIG);
        assert_non_null(strstr(err.text, "c.part': File too large"));
        assert_false(mt_file_exists(part));
    }
    signal(SIGXFSZ, SIG_DFL);
    assert_int_equal(load(trainer), position);
    mt_trainer_free(trainer);
}

enum { CHILD_OK = 0, CHILD_SKIPS = 77 };

static bool put_text(const char *to, const char *text)
{
    int fd = open(to, O_WRONLY | O_CLOEXEC);
    bool is_put = fd >= 0 && write(fd, text, strlen(text)) > 0;

    if (fd >= 0)
        close(fd);
    return is_put;
}

/* A little disk that only this process sees. */
static bool mount_disk(const char *options)
{
    char user[32], group[32];

    snprintf(user, sizeof user, "0 %u 1", geteuid());
    snprintf(group, sizeof group, "0 %u 1", getegid());
    return unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0 && put_text("/proc/self/uid_map", user) &&
           put_text("/proc/self/setgroups", "deny") && put_text("/proc/self/gid_map", group) &&
           mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
           mount("none", dir, "tmpfs", 0, options) == 0;
}

static int fill_disk(struct mt_trainer *trainer)
{
    struct mt_err err = {0};
    const uint64_t position = mt_trainer_steps_done(trainer);
    char options[64];

    /* Room for one and a half. */
    snprintf(options, sizeof options, "size=%zu", 3 * params_bytes(trainer) * 3 / 2);
    if (!mount_disk(options))
        return CHILD_SKIPS;
    if (mt_trainer_save(trainer, path, bytes_of(&position), NULL) != MT_OK)
        return 2;
    if (mt_trainer_save(trainer, path, (struct mt_str){0}, &err) != MT_E_IO)
        return 3;
    if (strstr(err.text, "disk full") == NULL || mt_file_exists(part))
        return 4;
    struct mt_trainer *again = tiny_trainer(1, 1);
    bool is_whole =
        load(again) == position &&
        memcmp(mt_trainer_params(again), mt_trainer_params(trainer), params_bytes(again)) == 0;
    mt_trainer_free(again);
    return is_whole ? CHILD_OK : 5;
}

static void a_full_disk_is_told_and_leaves_the_old_checkpoint(void **state)
{
    (void)state;
    struct mt_trainer *trainer = tiny_trainer(1, 7); /* one thread: may fork */
    int status;

    assert_true(train(trainer, 0, 3));
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        _exit(fill_disk(trainer));
    assert_int_equal(waitpid(child, &status, 0), child);
    mt_trainer_free(trainer);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == CHILD_SKIPS)
        skip(); /* no namespaces here */
    assert_int_equal(WEXITSTATUS(status), CHILD_OK);
}

static void saving_where_nothing_can_be_is_told(void **state)
{
    (void)state;
    struct mt_trainer *trainer = tiny_trainer(1, 7);
    struct mt_err err = {0};
    const struct mt_str none = {0};
    char nowhere[96];

    snprintf(nowhere, sizeof nowhere, "%s/no/c", dir);
    assert_int_equal(mt_trainer_save(trainer, nowhere, none, &err), MT_E_NOTFOUND);
    assert_non_null(strstr(err.text, "no/c.part': No such file or directory"));
    assert_int_equal(mt_trainer_save(trainer, dir, none, &err), MT_E_IO); /* a folder */
    mt_trainer_free(trainer);
}

/* ---- damage ------------------------------------------------------------------------ */

enum damage { FLIP, CUT, GROW, VERSION };

/* at: below 0 from the end */
static void damage_file(enum damage damage, long at)
{
    struct stat file;
    char byte;
    int fd = open(path, O_RDWR | O_CLOEXEC);

    assert_true(fd >= 0 && fstat(fd, &file) == 0);
    off_t place = at >= 0 ? at : file.st_size + at;
    switch (damage) {
    case FLIP:
        assert_int_equal(pread(fd, &byte, 1, place), 1);
        byte ^= 4;
        assert_int_equal(pwrite(fd, &byte, 1, place), 1);
        break;
    case CUT:
        assert_int_equal(ftruncate(fd, place), 0);
        break;
    case GROW:
        assert_int_equal(pwrite(fd, "more", 4, file.st_size), 4);
        break;
    case VERSION:
        assert_int_equal(pwrite(fd, "\2", 1, 8), 1);
        break;
    }
    close(fd);
}

static void a_damaged_file_is_refused_and_changes_nothing(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        enum damage damage;
        long at;
        mt_rc rc;
        const char *text;
    } rows[] = {
        {"empty", CUT, 0, MT_E_CORRUPT, "ends within its head"},
        {"half a head", CUT, 50, MT_E_CORRUPT, "ends within its head"},
        {"only a head", CUT, 104, MT_E_CORRUPT, "104 bytes, expected "},
        {"half", CUT, 20000, MT_E_CORRUPT, "20000 bytes, expected "},
        {"without its digest", CUT, -32, MT_E_CORRUPT, " bytes, expected "},
        {"without its last byte", CUT, -1, MT_E_CORRUPT, " bytes, expected "},
        {"longer", GROW, 0, MT_E_CORRUPT, " bytes, expected "},
        {"magic", FLIP, 0, MT_E_CORRUPT, "is none (it begins with other bytes)"},
        {"other version", VERSION, 0, MT_E_UNSUPPORTED, "version 2, expected 1"},
        {"bytes of the state", FLIP, 13, MT_E_CORRUPT, "its head is damaged"},
        {"number of parameters", FLIP, 20, MT_E_CORRUPT, "its head is damaged"},
        {"steps done", FLIP, 24, MT_E_CORRUPT, "its head is damaged"},
        {"shape", FLIP, 44, MT_E_CORRUPT, "its head is damaged"},
        {"beta2", FLIP, 95, MT_E_CORRUPT, "its head is damaged"},
        {"checksum of the head", FLIP, 96, MT_E_CORRUPT, "its head is damaged"},
        {"first parameter", FLIP, 104, MT_E_CORRUPT, "its digest does not fit"},
        {"in the middle", FLIP, 30000, MT_E_CORRUPT, "its digest does not fit"},
        {"state", FLIP, -33, MT_E_CORRUPT, "its digest does not fit"},
        {"digest", FLIP, -1, MT_E_CORRUPT, "its digest does not fit"},
    };
    const uint64_t position = 2;
    struct mt_trainer *saved = tiny_trainer(1, 7), *mine = tiny_trainer(1, 8);
    struct mt_trainer *twin = tiny_trainer(1, 8);
    struct mt_buf kept = MT_BUF_INIT(100);

    assert_true(train(saved, 0, position) && train(mine, 0, 4) && train(twin, 0, 4));
    mt_buf_add_cstr(&kept, "mine");
    for (size_t r = 0; r < MT_ARRAY_LEN(rows); r++) {
        struct mt_err err = {0};
        save(saved, bytes_of(&position));
        damage_file(rows[r].damage, rows[r].at);
        mt_rc rc = mt_trainer_load(mine, path, &kept, &err);
        if (rc != rows[r].rc || strstr(err.text, rows[r].text) == NULL)
            fail_msg("row '%s': %s", rows[r].name, err.text);
        mt_check_row(rows[r].name, strstr(err.text, path) != NULL);
        mt_check_row(rows[r].name, strcmp(mt_buf_cstr(&kept), "mine") == 0);
        mt_check_row(rows[r].name, mt_trainer_steps_done(mine) == 4);
    }
    assert_true(train(mine, 4, 6) && train(twin, 4, 6)); /* moments are its own, too */
    assert_memory_equal(mt_trainer_params(mine), mt_trainer_params(twin), params_bytes(mine));
    mt_buf_fini(&kept);
    mt_trainer_free(saved);
    mt_trainer_free(mine);
    mt_trainer_free(twin);
}

static void what_is_no_file_is_told(void **state)
{
    (void)state;
    struct mt_trainer *trainer = tiny_trainer(1, 7);
    struct mt_buf buf = MT_BUF_INIT(100);
    struct mt_err err = {0};

    assert_int_equal(mt_trainer_load(trainer, path, &buf, &err), MT_E_NOTFOUND);
    assert_non_null(strstr(err.text, "/c': No such file or directory"));
    assert_int_equal(mt_trainer_load(trainer, dir, &buf, &err), MT_E_CORRUPT);
    assert_non_null(strstr(err.text, "is not a file"));
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(mt_trainer_load(trainer, path, &buf, &err), MT_E_CORRUPT);
    mt_buf_fini(&buf);
    mt_trainer_free(trainer);
}

static void another_shape_is_refused_by_name(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t at;
        uint32_t value;
    } rows[] = {
        {"tokens in the vocabulary 32, expected 40", offsetof(struct mt_shape, vocab_n), 40},
        {"context 24, expected 30", offsetof(struct mt_shape, context_n), 30},
        {"layers 2, expected 3", offsetof(struct mt_shape, layers_n), 3},
        {"width 24, expected 32", offsetof(struct mt_shape, width), 32},
        {"feed-forward width 40, expected 48", offsetof(struct mt_shape, ff_width), 48},
        {"heads 4, expected 2", offsetof(struct mt_shape, heads_n), 2},
        {"key-value heads 2, expected 1", offsetof(struct mt_shape, kv_heads_n), 1},
        {"head width 8, expected 6", offsetof(struct mt_shape, head_width), 6},
    };
    struct mt_trainer *saved = tiny_trainer(1, 7);
    struct mt_buf buf = MT_BUF_INIT(100);

    save(saved, MT_STR("state"));
    mt_trainer_free(saved);
    for (size_t r = 0; r < MT_ARRAY_LEN(rows) + 3; r++) {
        const char *text = r < MT_ARRAY_LEN(rows) ? rows[r].text : "expected";
        struct mt_trainer_opts opts = tiny_opts(1);
        struct mt_err err = {0};
        if (r < MT_ARRAY_LEN(rows))
            memcpy((char *)&opts.shape + rows[r].at, &rows[r].value, sizeof rows[r].value);
        else if (r == MT_ARRAY_LEN(rows))
            opts.shape.is_tied = false;
        else if (r == MT_ARRAY_LEN(rows) + 1)
            opts.shape.rope_base = 20000;
        else
            opts.beta2 = 0.999;
        struct mt_trainer *trainer = trainer_of(&opts);
        mt_check_row(text, mt_trainer_load(trainer, path, &buf, &err) == MT_E_INVALID);
        mt_check_row(text, strstr(err.text, text) != NULL && buf.len == 0);
        mt_trainer_free(trainer);
    }
    mt_buf_fini(&buf);
}

static void saves_and_loads_survive_any_oom(void **state)
{
    (void)state;
    struct mt_trainer *trainer = tiny_trainer(1, 7);
    const uint64_t position = 0;
    long live = mt_alloc_live;
    mt_rc rc = MT_E_NOMEM;

    save(trainer, bytes_of(&position));
    for (long nth = 0; rc != MT_OK; nth++) {
        mt_alloc_fail_after = nth;
        rc = mt_trainer_save(trainer, path, bytes_of(&position), NULL);
        mt_alloc_fail_after = -1;
        assert_true(rc == MT_OK || rc == MT_E_NOMEM);
        assert_int_equal(mt_alloc_live, live);
        assert_false(mt_file_exists(part));
        assert_true(rc != MT_OK || nth > 2);
    }
    rc = MT_E_NOMEM;
    for (long nth = 0; rc != MT_OK; nth++) {
        struct mt_buf buf = MT_BUF_INIT(100);
        mt_alloc_fail_after = nth;
        rc = mt_trainer_load(trainer, path, &buf, NULL);
        mt_alloc_fail_after = -1;
        assert_true(rc == MT_OK || (rc == MT_E_NOMEM && buf.len == 0));
        assert_true(rc != MT_OK || nth > 1);
        mt_buf_fini(&buf);
        assert_int_equal(mt_alloc_live, live);
    }
    mt_trainer_free(trainer);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(resume_goes_on_as_if_nothing_had_happened, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(state_may_be_empty_or_large_and_is_appended, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(resume_after_a_kill_gives_the_same_weights_as_no_kill,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_kill_within_a_save_leaves_the_checkpoint_before,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_file_too_large_leaves_the_old_checkpoint, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_full_disk_is_told_and_leaves_the_old_checkpoint,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(saving_where_nothing_can_be_is_told, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_damaged_file_is_refused_and_changes_nothing, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(what_is_no_file_is_told, set_up, tear_down),
        cmocka_unit_test_setup_teardown(another_shape_is_refused_by_name, set_up, tear_down),
        cmocka_unit_test_setup_teardown(saves_and_loads_survive_any_oom, set_up, tear_down),
    };

    if (argc == 4) {
        snprintf(path, sizeof path, "%s", argv[1]);
        return child_main(atoi(argv[2]), strtoull(argv[3], NULL, 10));
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
