/* SPDX-License-Identifier: Apache-2.0 */
/* Jobs that run: by a recipe of a tiny model, and by shell scripts that are good, fail, never
 * end, write rubbish or too much. */
#include "support/test.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "crypto/digest.h"
#include "system/env.h"
#include "system/file.h"
#include "system/tree.h"
#include "train/job.h"

enum { FILE_MAX = 1 << 24, RESULT_MAX = 1 << 16, DEADLINE_MS = 20000 };

static char folder[] = "/tmp/motet-job-XXXXXX";

static const char *at(const char *name)
{
    static char paths[4][256];
    static unsigned next;
    char *path = paths[next++ % 4];

    (void)snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

static void write_file(const char *name, struct mt_str text)
{
    assert_int_equal(mt_file_write(at(name), text, 0600, NULL), MT_OK);
}

static void read_file(const char *name, struct mt_buf *out)
{
    struct mt_err err = {0};

    if (mt_file_read(at(name), FILE_MAX, out, &err) != MT_OK)
        fail_msg("%s", err.text);
}

static bool is_same(const char *a, const char *b)
{
    MT_CLEANUP(mt_buf_fini) struct mt_buf one = MT_BUF_INIT(FILE_MAX);
    MT_CLEANUP(mt_buf_fini) struct mt_buf two = MT_BUF_INIT(FILE_MAX);

    read_file(a, &one);
    read_file(b, &two);
    return mt_str_eq(mt_buf_str(&one), mt_buf_str(&two));
}

/* ------------------------------------------------------------------ GGUF files */

static void add_u(struct mt_buf *to, uint64_t value, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++)
        mt_buf_add_char(to, (char)(value >> (8 * i)));
}

static void add_text(struct mt_buf *to, const char *text)
{
    add_u(to, strlen(text), 8);
    mt_buf_add_cstr(to, text);
}

static void add_key(struct mt_buf *to, const char *key, const char *text)
{
    add_text(to, key);
    add_u(to, 8, 4);
    add_text(to, text);
}

/* One tensor of 8 floats. */
static void write_gguf(const char *name, const char *type, const char *adapter_type)
{
    MT_CLEANUP(mt_buf_fini) struct mt_buf file = MT_BUF_INIT(FILE_MAX);

    mt_buf_add_cstr(&file, "GGUF");
    add_u(&file, 3, 4);
    add_u(&file, 1, 8);
    add_u(&file, adapter_type != NULL ? 3 : 2, 8);
    add_key(&file, "general.architecture", "llama");
    add_key(&file, "general.type", type);
    if (adapter_type != NULL)
        add_key(&file, "adapter.type", adapter_type);
    add_text(&file, "blk.0.attn_q.weight.lora_a");
    add_u(&file, 1, 4);
    add_u(&file, 8, 8);
    add_u(&file, 0, 4);
    add_u(&file, 0, 8);
    while (file.len % 32 != 0)
        mt_buf_add_char(&file, '\0');
    for (int i = 0; i < 8; i++)
        add_u(&file, 0, 4);
    write_file(name, mt_buf_str(&file));
}

/* ------------------------------------------------------------------ a job and its end */

struct ran { /* what is asked of it, and what came */
    const char *out;
    const char *files; /* folder of its inputs; NULL: "in" */
    enum mt_run_from from;
    const char *stop_when; /* asked to stop when this file is there; NULL: never */
    const char *late_when; /* an hour passes when this file is there; NULL: never */
    int64_t grace_ms;
    struct mt_env_sim *clock;
    mt_rc rc;
    struct mt_err err;
    struct mt_buf result;
    uint64_t began_at, steps_n, wrote_n;
};

/* Real time, but for that hour: no test waits for a program to be slow. */
static const char *late_when;

static int64_t now_or_late_ns(struct mt_env *env)
{
    static const int64_t hour_ns = (int64_t)3600 * 1000 * 1000 * 1000;

    (void)env;
    return mt_env_now_mono_ns(mt_env_real()) +
           (late_when != NULL && mt_file_exists(at(late_when)) ? hour_ns : 0);
}

static const struct mt_env_ops late_ops = {.now_mono_ns = now_or_late_ns};
static struct mt_env late_env = {&late_ops};

static bool should_stop(void *context)
{
    const struct ran *ran = context;

    return ran->stop_when != NULL && mt_file_exists(at(ran->stop_when));
}

static void on_event(void *context, const struct mt_run_event *event)
{
    struct ran *ran = context;

    if (event->what == MT_RUN_BEGAN)
        ran->began_at = event->step;
    if (event->what == MT_RUN_STEP && ran->clock != NULL)
        mt_env_sim_advance_ms(ran->clock, 100);
    ran->steps_n += event->what == MT_RUN_STEP;
    ran->wrote_n += event->what == MT_RUN_WROTE;
}

static void run(struct ran *ran, const char *text)
{
    MT_CLEANUP(mt_job_freep) const struct mt_job *job = NULL;
    const char *files = at(ran->files != NULL ? ran->files : "in");
    const char *out = at(ran->out);

    mt_buf_init(&ran->result, RESULT_MAX);
    late_when = ran->late_when;
    if (mt_job_parse(mt_str_of(text), "j.yaml", mt_str_of(files), &job, &ran->err) != MT_OK)
        fail_msg("%s", ran->err.text);
    assert_int_equal(mt_dir_make(out, NULL), MT_OK);
    const struct mt_job_opts opts = {
        .run = {.folder = out,
                .from = ran->from,
                .threads_n = 2,
                .env = ran->clock != NULL ? &ran->clock->env : &late_env,
                .should_stop = should_stop,
                .on_event = on_event,
                .context = ran},
        .grace_ms = ran->grace_ms,
        .version = "0.1.0",
        .result = &ran->result,
    };
    ran->rc = mt_job_run(job, &opts, &ran->err);
}

static void ran_fini(struct ran *ran)
{
    mt_buf_fini(&ran->result);
}

static void expect(const char *row, struct ran *ran, mt_rc rc, const char *words)
{
    if (ran->rc != rc || (rc != MT_OK && strstr(ran->err.text, words) == NULL))
        fail_msg("row '%s': %s '%s', expected %s '%s'", row, mt_rc_name(ran->rc), ran->err.text,
                 mt_rc_name(rc), words);
}

static void expect_result(struct ran *ran, const char *words)
{
    if (strstr(mt_buf_cstr(&ran->result), words) == NULL)
        fail_msg("expected '%s' in '%s'", words, mt_buf_cstr(&ran->result));
}

/* ------------------------------------------------------------------ another program */

/* Runs in/train.sh with the base and the output as its words. */
#define SCRIPTED                                                         \
    "name: j\n"                                                          \
    "base: {path: model.gguf}\n"                                         \
    "files: [{path: train.sh}]\n"                                        \
    "trainer: [sh, train.sh, \"{base}\", \"{output}\", \"{threads}\"]\n" \
    "output: {path: below/o.gguf}\n"

static void run_script(struct ran *ran, const char *script, const char *text)
{
    write_file("in/train.sh", mt_str_of(script));
    run(ran, text);
}

static void a_good_trainer_leaves_its_output_and_a_result(void **state)
{
    (void)state;
    static const char script[] = "echo begins\n"
                                 "test \"$HOME\" = \"$(pwd)\" || exit 41\n"
                                 "test \"$OMP_NUM_THREADS$LANG$3\" = 2C.UTF-82 || exit 42\n"
                                 "test -z \"$MOTET_SECRET\" || exit 43\n"
                                 "test \"$(basename \"$HOME\")\" = j.work || exit 44\n"
                                 "cp \"$1\" \"$2\"\n";
    MT_CLEANUP(ran_fini) struct ran ran = {.out = "good"};
    MT_CLEANUP(mt_buf_fini) struct mt_buf kept = MT_BUF_INIT(RESULT_MAX);
    MT_CLEANUP(mt_buf_fini) struct mt_buf file = MT_BUF_INIT(FILE_MAX);
    char hex[MT_DIGEST_HEX + 1];

    assert_int_equal(setenv("MOTET_SECRET", "x", 1), 0);
    run_script(&ran, script, SCRIPTED "budget: {time: 1m, disk: 1MiB}\n");
    expect("good", &ran, MT_OK, "");
    assert_true(is_same("in/model.gguf", "good/below/o.gguf"));
    assert_false(mt_file_exists(at("good/j.work")));
    assert_int_equal(ran.wrote_n, 2);
    read_file("good/j.result.json", &kept);
    assert_string_equal(mt_buf_cstr(&kept), mt_buf_cstr(&ran.result));
    expect_result(&ran, "{\"format\":1,\"job\":\"j\",\"status\":\"ok\",\"error\":null,"
                        "\"motet\":\"0.1.0\",\"manifest\":{\"sha256\":\"");
    expect_result(&ran, "\"exit_status\":0,\"signal\":null}");
    expect_result(&ran, "\"step\":null");
    read_file("good/below/o.gguf", &file);
    const struct mt_digest digest = mt_sha256(mt_buf_str(&file));
    mt_digest_hex(&digest, hex);
    const char *base = strstr(mt_buf_cstr(&ran.result), hex); /* of the base, and again */
    assert_true(base != NULL && strstr(base + 1, hex) != NULL);
    mt_buf_clear(&kept);
    read_file("good/j.log", &kept);
    assert_string_equal(mt_buf_cstr(&kept), "begins\n");
    assert_int_equal(unsetenv("MOTET_SECRET"), 0);
}

static void a_trainer_that_is_no_good_is_told_of_and_publishes_nothing(void **state)
{
    (void)state;
    static const struct {
        const char *script, *budget;
        mt_rc rc;
        const char *words, *result;
    } rows[] = {
        {"echo one; echo 'no such layer' >&2; exit 3", "", MT_E_UPSTREAM,
         "trainer: exit status 3: no such layer", "\"exit_status\":3,"},
        {"printf 'half a line'; kill -SEGV $$", "", MT_E_UPSTREAM,
         "trainer: ended by signal 11 (Segmentation fault): half a line", "\"signal\":11}"},
        {"exit 0", "", MT_E_NOTFOUND, "output 'below/o.gguf': the trainer wrote none",
         "\"exit_status\":0"},
        {"echo rubbish >\"$2\"", "", MT_E_CORRUPT, "not a GGUF file", "\"sha256\":null"},
        {"head -c 200 \"$1\" >\"$2\"", "", MT_E_CORRUPT, "cut off", "corrupt"},
        {"ln -s \"$1\" \"$2\"", "", MT_E_INVALID, "not a regular file", "invalid"},
        {"mkdir \"$2\"", "", MT_E_INVALID, "not a regular file", "invalid"},
        {"cp \"$(dirname \"$1\")/adapter.gguf\" \"$2\"", "", MT_E_INVALID,
         "output.kind: expected a model, found an adapter", "invalid"},
        {"cp \"$1\" \"$2\"; exit 1", "", MT_E_UPSTREAM, "trainer: exit status 1", "upstream"},
        {"dd if=/dev/zero of=\"$2\" bs=65536 count=64", ", disk: 1MiB", MT_E_BUDGET,
         "budget: disk of 1MiB is used up", "budget_exceeded"},
        {"for i in 1 2 3 4; do head -c 500000 /dev/zero >$i; done; cp \"$1\" \"$2\"",
         ", disk: 1MiB", MT_E_BUDGET, "budget: disk of 1MiB is used up", "budget_exceeded"},
        {"dd if=/dev/zero of=/dev/null bs=64M count=1", ", memory: 32MiB", MT_E_UPSTREAM,
         "trainer: exit status", "upstream_failed"},
    };

    for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
        MT_CLEANUP(ran_fini) struct ran ran = {.out = "bad"};
        char text[1024];

        (void)snprintf(text, sizeof text, SCRIPTED "budget: {time: 1m%s}\n", rows[i].budget);
        run_script(&ran, rows[i].script, text);
        expect(rows[i].script, &ran, rows[i].rc, rows[i].words);
        expect_result(&ran, rows[i].result);
        assert_false(mt_file_exists(at("bad/below/o.gguf")));
        assert_true(mt_file_exists(at("bad/j.result.json")));
    }
    assert_int_equal(mt_alloc_live, 0);
}

static void an_adapter_is_an_adapter(void **state)
{
    (void)state;
    static const struct {
        const char *base;
        mt_rc rc;
    } rows[] = {{"adapter", MT_OK}, {"model", MT_E_INVALID}, {"odd", MT_E_INVALID}};

    for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
        MT_CLEANUP(ran_fini) struct ran ran = {.out = "adapter"};
        char text[512];

        (void)snprintf(text, sizeof text,
                       "name: a\nbase: {path: %s.gguf}\ntrainer: [cp, \"{base}\", "
                       "\"{output}\"]\nbudget: {time: 1m}\n"
                       "output: {path: a.gguf, kind: adapter}\n",
                       rows[i].base);
        run(&ran, text);
        expect(rows[i].base, &ran, rows[i].rc, "output.kind: expected an adapter, found ");
    }
}

static bool is_gone(pid_t pid)
{
    int64_t until_ns = mt_env_now_mono_ns(mt_env_real()) + (int64_t)DEADLINE_MS * 1000000;

    while (kill(pid, 0) == 0) {
        char path[64], stat[256] = "";
        (void)snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
        FILE *file = fopen(path, "r");
        if (file != NULL && fgets(stat, sizeof stat, file) != NULL &&
            strstr(stat, ") Z ") != NULL) { /* an orphan that init has not read */
            (void)fclose(file);
            return true;
        }
        if (file != NULL)
            (void)fclose(file);
        if (mt_env_now_mono_ns(mt_env_real()) > until_ns)
            return false;
        (void)poll(NULL, 0, 5);
    }
    return true;
}

static pid_t number_in(const char *name)
{
    MT_CLEANUP(mt_buf_fini) struct mt_buf text = MT_BUF_INIT(64);
    int64_t pid = 0;

    read_file(name, &text);
    assert_true(mt_str_to_i64(mt_str_trim(mt_buf_str(&text)), 2, INT32_MAX, &pid));
    return (pid_t)pid;
}

static void a_trainer_that_never_ends_is_ended_with_its_children(void **state)
{
    (void)state;
    static const struct {
        const char *script, *out, *late, *child;
    } rows[] = {
        {"sleep 600 & echo $! >child; touch late; wait", "endless", "endless/j.work/late",
         "endless/j.work/child"},
        {"trap '' TERM; sleep 600 & echo $! >child; touch late; wait; wait", "deaf",
         "deaf/j.work/late", "deaf/j.work/child"},
    };

    for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
        MT_CLEANUP(ran_fini)
        struct ran ran = {.out = rows[i].out, .late_when = rows[i].late, .grace_ms = 100};
        run_script(&ran, rows[i].script, SCRIPTED "budget: {time: 30m}\n");
        expect(rows[i].script, &ran, MT_E_BUDGET,
               "budget: time of 30m is used up and the trainer was ended");
        assert_true(is_gone(number_in(rows[i].child)));
    }
}

static void a_child_that_is_left_behind_ends_too(void **state)
{
    (void)state;
    MT_CLEANUP(ran_fini) struct ran ran = {.out = "left"};

    run_script(&ran, "sleep 600 & echo $!; cp \"$1\" \"$2\"", SCRIPTED "budget: {time: 1m}\n");
    expect("left", &ran, MT_OK, "");
    assert_true(is_gone(number_in("left/j.log")));
}

static void a_wish_to_stop_reaches_the_trainer(void **state)
{
    (void)state;
    MT_CLEANUP(ran_fini) struct ran ran = {.out = "stop", .stop_when = "stop/j.work/ready"};

    run_script(&ran,
               "trap 'echo heard; exit 0' INT\n"
               "sleep 600 & touch ready; wait\n",
               SCRIPTED "budget: {time: 1m}\n");
    expect("stop", &ran, MT_E_CANCELED, "stopped");
    expect_result(&ran, "\"status\":\"canceled\"");
    MT_CLEANUP(mt_buf_fini) struct mt_buf log = MT_BUF_INIT(RESULT_MAX);
    read_file("stop/j.log", &log);
    assert_string_equal(mt_buf_cstr(&log), "heard\n");
}

static void a_log_ends_somewhere(void **state)
{
    (void)state;
    MT_CLEANUP(ran_fini) struct ran ran = {.out = "log"};
    struct stat info;

    run_script(&ran, "head -c 20000000 /dev/zero; echo; echo last; exit 1",
               SCRIPTED "budget: {time: 1m}\n");
    expect("log", &ran, MT_E_UPSTREAM, "exit status 1: last");
    assert_int_equal(stat(at("log/j.log"), &info), 0);
    if (info.st_size <= 16 << 20 || info.st_size > (16 << 20) + 100)
        fail_msg("%lld bytes", (long long)info.st_size);
}

static void another_trainer_has_nothing_to_go_on_from(void **state)
{
    (void)state;
    MT_CLEANUP(ran_fini) struct ran ran = {.out = "resume", .from = MT_RUN_CHECKPOINT};

    run_script(&ran, "exit 0", SCRIPTED "budget: {time: 1m}\n");
    expect("resume", &ran, MT_E_INVALID, "has no checkpoint");
}

static void a_program_that_is_not_there_is_named(void **state)
{
    (void)state;
    MT_CLEANUP(ran_fini) struct ran ran = {.out = "none"};

    run(&ran, "name: j\ntrainer: [no-such-trainer, \"{output}\"]\nbudget: {time: 1s}\n"
              "output: {path: o.gguf}\n");
    expect("none", &ran, MT_E_NOTFOUND,
           "trainer: program 'no-such-trainer': not found in PATH");
    expect_result(&ran, "\"exit_status\":null,\"signal\":null}");
}

/* ------------------------------------------------------------------ files */

static void files_are_checked_before_anything_runs(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        mt_rc rc;
        const char *words;
    } rows[] = {
        {"base: {path: none.gguf}\n", MT_E_NOTFOUND, "j.yaml:2:8: base.path: file '"},
        {"base: {path: ../in}\n", MT_E_INVALID, "j.yaml:2:8: base.path: file '"},
        {"data: [{path: model.gguf, sha256: "
         "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef}]\n",
         MT_E_INVALID, "j.yaml:2:27: sha256: 'model.gguf' is another file, with "},
    };

    for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
        MT_CLEANUP(ran_fini) struct ran ran = {.out = "checked"};
        char text[512];

        (void)snprintf(text, sizeof text,
                       "name: j\n%strainer: [touch, \"{work}/ran\"]\nbudget: {time: 1s}\n"
                       "output: {path: o.gguf}\n",
                       rows[i].text);
        run(&ran, text);
        expect(rows[i].text, &ran, rows[i].rc, rows[i].words);
        assert_false(mt_file_exists(at("checked/j.work")));
    }
}

static void one_job_of_a_name_runs_at_a_time(void **state)
{
    (void)state;
    MT_CLEANUP(ran_fini) struct ran ran = {.out = "busy"};
    struct mt_lock *lock = NULL;

    assert_int_equal(mt_dir_make(at("busy"), NULL), MT_OK);
    assert_int_equal(mt_lock_take(at("busy/j.lock"), MT_STR("j"), &lock, NULL), MT_OK);
    run_script(&ran, "exit 0", SCRIPTED "budget: {time: 1m}\n");
    expect("busy", &ran, MT_E_BUSY, "j.lock");
    assert_int_equal(ran.result.len, 0);
    mt_lock_free(lock);
}

/* ------------------------------------------------------------------ recipes */

#define RECIPE                                                              \
    "name: tiny\n"                                                          \
    "shape: {layers: 1, width: 16, ff: 32, heads: 2}\n"                     \
    "data: [{skill: copy, difficulty: easy}, {file: far/away/own.jsonl}]\n" \
    "train: {batch: 512, steps: 24, rate_max: 0.01, warmup: 4}\n"           \
    "validation: {every: 0}\n"                                              \
    "checkpoint: {every: 10s}\n"                                            \
    "outputs: [{path: tiny.gguf, type: f32}]\n"

#define JOB                       \
    "name: j\n"                   \
    "recipe: {path: tiny.yaml}\n" \
    "data: [{path: own.jsonl}]\n" \
    "output: {path: tiny.gguf}\n"

static void run_timed(struct ran *ran, const char *text)
{
    struct mt_env_sim clock;

    mt_env_sim_init(&clock, 1);
    ran->clock = &clock;
    run(ran, text);
    ran->clock = NULL;
}

static void a_recipe_trains_on_the_jobs_files(void **state)
{
    (void)state;
    MT_CLEANUP(ran_fini) struct ran ran = {.out = "own"};

    run_timed(&ran, JOB "budget: {time: 1m}\n");
    expect("own", &ran, MT_OK, "");
    assert_true(mt_file_exists(at("own/tiny.gguf")));
    expect_result(&ran, "\"step\":24,\"steps\":24,\"tokens\":");
    expect_result(&ran, "{\"key\":\"recipe\",\"name\":\"tiny.yaml\",\"sha256\":\"");
    expect_result(&ran, "{\"key\":\"data\",\"name\":\"own.jsonl\",\"sha256\":\"");
    expect_result(&ran, "\"output\":{\"path\":\"tiny.gguf\",\"kind\":\"model\",\"sha256\":\"");
    expect_result(&ran, "\"wall_s\":2.4,\"earlier_s\":0,");
}

static void a_base_of_the_job_takes_the_recipes_place(void **state)
{
    (void)state;
    MT_CLEANUP(ran_fini) struct ran ran = {.out = "tuned"};

    write_file("in/tune.yaml", MT_STR("name: tuned\nbase: elsewhere/tiny.gguf\n"
                                      "data: [{skill: copy}]\ntrain: {batch: 256, steps: 2}\n"
                                      "validation: {every: 0}\n"
                                      "outputs: [{path: a.gguf}, {path: tuned.gguf}]\n"));
    run_timed(&ran, "name: j\nbase: {path: ../own/tiny.gguf}\nrecipe: {path: tune.yaml}\n"
                    "budget: {time: 1m, disk: 64MiB}\noutput: {path: tuned.gguf}\n");
    expect("tuned", &ran, MT_OK, "");
    assert_int_equal(ran.wrote_n, 3); /* both outputs, and the result */
}

static void a_recipe_and_a_manifest_agree_on_their_files(void **state)
{
    (void)state;
    static const struct {
        const char *text, *words;
    } rows[] = {
        {"recipe: {path: tiny.yaml}\noutput: {path: tiny.gguf}\n",
         "recipe 'tiny.yaml': file: the job lists no file 'own.jsonl'"},
        {"recipe: {path: tiny.yaml}\noutput: {path: tiny.gguf}\ndata: [{path: own.jsonl}]\n"
         "base: {path: model.gguf}\n",
         "j.yaml:6:8: base.path: the recipe names no file 'model.gguf'"},
        {"recipe: {path: tiny.yaml}\noutput: {path: big.gguf}\ndata: [{path: own.jsonl}]\n",
         "j.yaml:4:10: output.path: the recipe writes 'tiny.gguf'"},
        {"recipe: {path: own.jsonl}\noutput: {path: tiny.gguf}\n", "own.jsonl:1:"},
    };

    for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
        MT_CLEANUP(ran_fini) struct ran ran = {.out = "agree"};
        char text[512];

        (void)snprintf(text, sizeof text, "name: j\nbudget: {time: 1m}\n%s", rows[i].text);
        run_timed(&ran, text);
        expect(rows[i].text, &ran, MT_E_INVALID, rows[i].words);
        assert_int_equal(ran.steps_n, 0);
    }
    assert_int_equal(mt_alloc_live, 0);
}

static void used_up_time_ends_at_a_checkpoint_that_more_time_goes_on_from(void **state)
{
    (void)state;
    MT_CLEANUP(ran_fini) struct ran first = {.out = "timed"};
    MT_CLEANUP(ran_fini) struct ran again = {.out = "timed"};
    MT_CLEANUP(ran_fini) struct ran moved = {.out = "timed", .files = "in2"};

    run_timed(&first, JOB "budget: {time: 1s}\n");
    expect("first", &first, MT_E_BUDGET,
           "budget: time of 1s is used up at step 10 of 24; the checkpoint is whole");
    expect_result(&first, "\"status\":\"budget_exceeded\"");
    expect_result(&first, "\"step\":10,\"steps\":24");
    assert_false(mt_file_exists(at("timed/tiny.gguf")));
    run_timed(&again, JOB "budget: {time: 1s}\n"); /* what it took before counts */
    expect("again", &again, MT_E_BUDGET, "at step 11 of 24");
    assert_int_equal(again.began_at, 10);
    run_timed(&moved, JOB "budget: {time: 3s}\n"); /* and it is the same job elsewhere */
    expect("moved", &moved, MT_OK, "");
    assert_int_equal(moved.began_at, 11);
    expect_result(&moved, "\"earlier_s\":1.1,");
    assert_true(is_same("timed/tiny.gguf", "own/tiny.gguf"));
}

static void other_budgets_end_a_recipe_too(void **state)
{
    (void)state;
    MT_CLEANUP(ran_fini) struct ran memory = {.out = "memory"};
    MT_CLEANUP(ran_fini) struct ran stopped = {.out = "stopped", .stop_when = "in"};

    run_timed(&memory, JOB "budget: {time: 1m, memory: 1MiB}\n");
    expect("memory", &memory, MT_E_BUDGET, "budget: memory of 1MiB is used up at step 1 of 24");
    run_timed(&stopped, JOB "budget: {time: 1m}\n");
    expect("stopped", &stopped, MT_E_CANCELED, "stopped");
    assert_int_equal(stopped.steps_n, 1);
}

/* ------------------------------------------------------------------ memory */

static void a_job_survives_any_oom(void **state)
{
    (void)state;
    static const char text[] = "name: j\nbase: {path: model.gguf}\n"
                               "trainer: [cp, \"{base}\", \"{output}\"]\n"
                               "budget: {time: 1m}\noutput: {path: o.gguf}\n";

    for (long nth = 0;; nth++) {
        const struct mt_job *job = NULL;
        const struct mt_job_opts opts = {.run = {.folder = at("oom"), .env = mt_env_real()}};

        assert_int_equal(mt_dir_make(at("oom"), NULL), MT_OK);
        assert_int_equal(mt_job_parse(mt_str_of(text), "j", mt_str_of(at("in")), &job, NULL),
                         MT_OK);
        long live = mt_alloc_live;
        mt_alloc_fail_after = nth;
        mt_rc rc = mt_job_run(job, &opts, NULL);
        mt_alloc_fail_after = -1;
        assert_int_equal(mt_alloc_live, live);
        mt_job_free(job);
        if (rc == MT_OK) {
            assert_true(nth > 10);
            break;
        }
        assert_int_equal(rc, MT_E_NOMEM);
    }
}

/* ------------------------------------------------------------------ the example */

static void the_example_makes_a_model(void **state)
{
    (void)state;
    MT_CLEANUP(mt_job_freep) const struct mt_job *job = NULL;
    struct mt_err err = {0};
    const struct mt_job_opts opts = {.run = {.folder = at("example"), .env = mt_env_real()}};

    if (access("/usr/bin/python3", X_OK) != 0)
        skip();
    assert_int_equal(mt_dir_make(at("example"), NULL), MT_OK);
    assert_int_equal(mt_job_read(MT_SOURCE_DIR "/examples/train-job/job.yaml", &job, NULL),
                     MT_OK);
    if (mt_job_run(job, &opts, &err) != MT_OK)
        fail_msg("%s", err.text);
}

static int set_up(void **state)
{
    static const struct mt_str lines =
        MT_STR_INIT("{\"prompt\": \"add 2 3\", \"answer\": \"5\"}\n");

    (void)state;
    if (mkdtemp(folder) == NULL || mt_dir_make(at("in"), NULL) != MT_OK ||
        mt_dir_make(at("in2"), NULL) != MT_OK)
        return -1;
    write_gguf("in/model.gguf", "model", NULL);
    write_gguf("in/adapter.gguf", "adapter", "lora");
    write_gguf("in/odd.gguf", "adapter", "other");
    write_file("in/own.jsonl", lines);
    write_file("in/tiny.yaml", MT_STR(RECIPE));
    write_file("in2/own.jsonl", lines);
    write_file("in2/tiny.yaml", MT_STR(RECIPE));
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    return mt_tree_remove(folder, NULL) == MT_OK ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_good_trainer_leaves_its_output_and_a_result),
        cmocka_unit_test(a_trainer_that_is_no_good_is_told_of_and_publishes_nothing),
        cmocka_unit_test(an_adapter_is_an_adapter),
        cmocka_unit_test(a_trainer_that_never_ends_is_ended_with_its_children),
        cmocka_unit_test(a_child_that_is_left_behind_ends_too),
        cmocka_unit_test(a_wish_to_stop_reaches_the_trainer),
        cmocka_unit_test(a_log_ends_somewhere),
        cmocka_unit_test(another_trainer_has_nothing_to_go_on_from),
        cmocka_unit_test(a_program_that_is_not_there_is_named),
        cmocka_unit_test(files_are_checked_before_anything_runs),
        cmocka_unit_test(one_job_of_a_name_runs_at_a_time),
        cmocka_unit_test(a_recipe_trains_on_the_jobs_files),
        cmocka_unit_test(a_base_of_the_job_takes_the_recipes_place),
        cmocka_unit_test(a_recipe_and_a_manifest_agree_on_their_files),
        cmocka_unit_test(used_up_time_ends_at_a_checkpoint_that_more_time_goes_on_from),
        cmocka_unit_test(other_budgets_end_a_recipe_too),
        cmocka_unit_test(a_job_survives_any_oom),
        cmocka_unit_test(the_example_makes_a_model),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
