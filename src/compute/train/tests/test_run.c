/* SPDX-License-Identifier: Apache-2.0 */
/* Whole runs of a tiny model, in seconds: they go on where they ended, and end in errors that
 * name the place and leave the last checkpoint whole. */
#include "support/test.h"

#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "system/env.h"
#include "system/file.h"
#include "train/run.h"

enum { STEPS = 24, CURVE_N = STEPS, FILE_MAX = 1 << 22 };

static char folder[] = "/tmp/motet-run-XXXXXX";

/* Time moves 100 ms with each step, so a checkpoint is due every tenth. */
static const char tiny[] = "name: tiny\n"
                           "shape: {layers: 1, width: 16, ff: 32, heads: 2}\n"
                           "data: [{skill: copy, difficulty: easy}]\n"
                           "train: {batch: 512, steps: 24, rate_max: 0.01, warmup: 4}\n"
                           "validation: {every: 12, items: 16}\n"
                           "checkpoint: {every: 1s}\n"
                           "outputs: [{path: tiny.gguf, type: f32}]\n";

/* ------------------------------------------------------------------ a run and what it told */

struct seen {
    struct mt_env_sim clock;
    uint64_t began_at;
    uint64_t stop_at; /* asked to stop after this step; 0: never */
    uint64_t kill_at; /* the process ends at this step; 0: never */
    uint64_t full_at; /* no file may grow past a few bytes from this step on */
    double losses[STEPS + 1];
    double validation_loss[2];
    unsigned looks_n, items_n, saves_n, wrote_n;
    int64_t left_ms;
};

static void fill_disk(void)
{
    const struct rlimit limit = {1000, 1000};

    (void)signal(SIGXFSZ, SIG_IGN);
    (void)setrlimit(RLIMIT_FSIZE, &limit);
}

static void on_event(void *context, const struct mt_run_event *event)
{
    struct seen *seen = context;

    switch (event->what) {
    case MT_RUN_BEGAN:
        seen->began_at = event->step;
        break;
    case MT_RUN_STEP:
        if (event->step == seen->kill_at)
            _exit(9);
        if (event->step == seen->full_at)
            fill_disk();
        mt_env_sim_advance_ms(&seen->clock, 100);
        if (event->step <= STEPS)
            seen->losses[event->step] = event->loss;
        seen->left_ms = event->left_ms;
        break;
    case MT_RUN_VALIDATED:
        if (seen->looks_n < 2)
            seen->validation_loss[seen->looks_n] = event->validation_loss;
        seen->looks_n++;
        seen->items_n = event->items_n;
        break;
    case MT_RUN_SAVED:
        seen->saves_n++;
        break;
    case MT_RUN_WROTE:
        seen->wrote_n++;
        break;
    }
}

static bool should_stop(void *context)
{
    const struct seen *seen = context;

    return seen->stop_at > 0 && seen->clock.mono_ns == (int64_t)seen->stop_at * 100000000;
}

/* In a folder of the test's own below the common one. */
static mt_rc run(const char *below, const char *text, enum mt_run_from from, struct seen *seen,
                 struct mt_err *err)
{
    MT_CLEANUP(mt_recipe_freep) const struct mt_recipe *recipe = NULL;
    char path[256];

    (void)snprintf(path, sizeof path, "%s/%s", folder, below);
    MT_TRY(mt_dir_make(path, err));
    MT_TRY(mt_recipe_parse(mt_str_of(text), "tiny.yaml", mt_str_of(folder), &recipe, err));
    mt_env_sim_init(&seen->clock, 1);
    const struct mt_run_opts opts = {.folder = path,
                                     .from = from,
                                     .threads_n = 2,
                                     .env = &seen->clock.env,
                                     .should_stop = should_stop,
                                     .on_event = on_event,
                                     .context = seen};
    return mt_run(recipe, &opts, err);
}

static void run_well(const char *below, const char *text, enum mt_run_from from,
                     struct seen *seen)
{
    struct mt_err err = {0};

    if (run(below, text, from, seen, &err) != MT_OK)
        fail_msg("%s", err.text);
}

/* In a child, which may end in the middle. @return its exit code */
static int run_apart(const char *below, const char *text, struct seen *seen, const char *want)
{
    int status = -1;
    struct mt_err err = {0};
    pid_t child = fork();

    assert_true(child >= 0);
    if (child == 0) {
        mt_rc rc = run(below, text, MT_RUN_EITHER, seen, &err);
        _exit(rc == MT_OK || strstr(err.text, want) == NULL ? 1 : 0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void read_file(const char *name, struct mt_buf *out)
{
    char path[256];
    struct mt_err err = {0};

    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    if (mt_file_read(path, FILE_MAX, out, &err) != MT_OK)
        fail_msg("%s", err.text);
}

static void write_file(const char *name, struct mt_str text)
{
    char path[256];

    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    assert_int_equal(mt_file_write(path, text, 0600, NULL), MT_OK);
}

static bool is_same(const char *a, const char *b)
{
    MT_CLEANUP(mt_buf_fini) struct mt_buf one = MT_BUF_INIT(FILE_MAX);
    MT_CLEANUP(mt_buf_fini) struct mt_buf two = MT_BUF_INIT(FILE_MAX);

    read_file(a, &one);
    read_file(b, &two);
    return mt_str_eq(mt_buf_str(&one), mt_buf_str(&two));
}

/* ------------------------------------------------------------------ behaviour */

static struct seen whole; /* the run that others are compared with */

static void a_run_learns_along_its_recorded_curve(void **state)
{
    (void)state;
    /* nats per token of an answer, every fourth step; vectors of other widths and another BLAS
     * round differently */
    static const double curve[] = {5.5800, 5.0482, 4.2456, 3.7373, 3.5065, 3.4545};

    run_well("whole", tiny, MT_RUN_EITHER, &whole);
    assert_int_equal(whole.began_at, 0);
    for (size_t i = 0; i < MT_ARRAY_LEN(curve); i++) {
        double loss = whole.losses[4 * i + 1];
        if (fabs(loss / curve[i] - 1) > 0.02)
            fail_msg("step %zu: loss %.4f, expected %.4f", 4 * i + 1, loss, curve[i]);
    }
    assert_true(whole.looks_n == 2 && whole.items_n == 16);
    assert_true(whole.validation_loss[1] < whole.validation_loss[0]);
    assert_int_equal(whole.saves_n, 3); /* two by the clock, one at the end */
    assert_int_equal(whole.wrote_n, 1);
    assert_int_equal(whole.left_ms, 0);
    assert_int_equal(mt_alloc_live, 0);
}

static void a_run_that_is_over_only_writes_its_files(void **state)
{
    (void)state;
    struct seen seen = {0};

    run_well("whole", tiny, MT_RUN_EITHER, &seen);
    assert_int_equal(seen.began_at, STEPS);
    assert_int_equal(seen.wrote_n, 1);
    assert_int_equal(seen.saves_n, 0);
}

static void a_killed_run_goes_on_to_the_same_weights(void **state)
{
    (void)state;
    struct seen killed = {.kill_at = 15};
    struct seen seen = {0};

    assert_int_equal(run_apart("killed", tiny, &killed, ""), 9);
    run_well("killed", tiny, MT_RUN_CHECKPOINT, &seen);
    assert_int_equal(seen.began_at, 10); /* it lost one interval */
    for (int i = 11; i <= STEPS; i++)
        assert_true(memcmp(&seen.losses[i], &whole.losses[i], sizeof seen.losses[i]) == 0);
    assert_true(is_same("killed/tiny.gguf", "whole/tiny.gguf"));
}

static void a_stopped_run_goes_on_to_the_same_weights(void **state)
{
    (void)state;
    struct seen stopped = {.stop_at = 7};
    struct seen seen = {0};
    struct mt_err err = {0};

    assert_int_equal(run("stopped", tiny, MT_RUN_EITHER, &stopped, &err), MT_E_CANCELED);
    assert_int_equal(stopped.saves_n, 1);
    run_well("stopped", tiny, MT_RUN_EITHER, &seen);
    assert_int_equal(seen.began_at, 7);
    assert_true(is_same("stopped/tiny.gguf", "whole/tiny.gguf"));
    run_well("stopped", tiny, MT_RUN_NOTHING, &seen);
    assert_int_equal(seen.began_at, 0);
    assert_true(is_same("stopped/tiny.gguf", "whole/tiny.gguf"));
}

static void a_run_measured_in_time_keeps_its_first_length(void **state)
{
    (void)state;
    static const char text[] = "name: timed\n"
                               "shape: {layers: 1, width: 16, ff: 32, heads: 2}\n"
                               "data: [{skill: copy, difficulty: easy}]\n"
                               "train: {batch: 256, time: 1s}\n"
                               "validation: {every: 0}\n"
                               "outputs: [{path: timed.gguf}]\n";
    struct seen seen = {0};

    run_well("timed", text, MT_RUN_EITHER, &seen); /* its clock stands still: one step */
    assert_int_equal(seen.wrote_n, 1);
    assert_int_equal(seen.looks_n, 0);
    run_well("timed", text, MT_RUN_CHECKPOINT, &seen);
    assert_int_equal(seen.began_at, 1);
}

/* ------------------------------------------------------------------ what goes wrong */

static void a_checkpoint_of_another_recipe_is_refused_by_name(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "name: tiny\nseed: 5\n"
        "shape: {layers: 1, width: 16, ff: 32, heads: 2}\n"
        "data: [{skill: copy, difficulty: easy}]\n"
        "train: {batch: 512, steps: 24, rate_max: 0.02, warmup: 4}\n"
        "outputs: [{path: tiny.gguf}]\n",
        "name: tiny\n"
        "shape: {layers: 2, width: 16, ff: 32, heads: 2}\n"
        "data: [{skill: copy, difficulty: easy}]\n"
        "train: {batch: 512, steps: 24, rate_max: 0.01, warmup: 4}\n"
        "outputs: [{path: tiny.gguf}]\n",
    };
    static const char *const want[] = {"seed, train.rate_max", "it is of another recipe"};
    struct mt_buf before = MT_BUF_INIT(FILE_MAX);
    struct mt_buf after = MT_BUF_INIT(FILE_MAX);

    read_file("whole/tiny.checkpoint", &before);
    for (size_t i = 0; i < MT_ARRAY_LEN(texts); i++) {
        struct seen seen = {0};
        struct mt_err err = {0};

        mt_check_row(want[i],
                     run("whole", texts[i], MT_RUN_EITHER, &seen, &err) == MT_E_EXISTS);
        mt_check_row(err.text, strstr(err.text, want[i]) != NULL);
        mt_check_row(err.text, strstr(err.text, "tiny.checkpoint'") != NULL);
    }
    read_file("whole/tiny.checkpoint", &after);
    assert_true(mt_str_eq(mt_buf_str(&before), mt_buf_str(&after)));
    mt_buf_fini(&before);
    mt_buf_fini(&after);
}

static void a_full_disk_leaves_the_last_checkpoint(void **state)
{
    (void)state;
    struct seen full = {.full_at = 12};
    struct seen seen = {0};

    assert_int_equal(run_apart("full", tiny, &full, "tiny.checkpoint"), 0);
    run_well("full", tiny, MT_RUN_CHECKPOINT, &seen);
    assert_int_equal(seen.began_at, 10);
    assert_true(is_same("full/tiny.gguf", "whole/tiny.gguf"));
}

static void a_broken_line_of_data_leaves_the_last_checkpoint(void **state)
{
    (void)state;
    static const char text[] = "name: own\n"
                               "shape: {layers: 1, width: 16, ff: 32, heads: 2}\n"
                               "data: [{file: own.jsonl}, {skill: copy, share: 2}]\n"
                               "train: {batch: 256, steps: 6}\n"
                               "outputs: [{path: own.gguf}]\n";
    static const struct mt_str good = MT_STR_INIT("{\"prompt\":\"a\",\"answer\":\"b\"}\n");
    struct seen stopped = {.stop_at = 3};
    struct seen seen = {0};
    struct mt_err err = {0};

    write_file("own.jsonl", good);
    assert_int_equal(run("own", text, MT_RUN_EITHER, &stopped, &err), MT_E_CANCELED);
    write_file("own.jsonl",
               MT_STR("{\"prompt\":\"a\",\"answer\":\"b\"}\n{\"prompt\":\"a\"}\n"));
    assert_int_equal(run("own", text, MT_RUN_EITHER, &seen, &err), MT_E_INVALID);
    assert_non_null(strstr(err.text, "/own.jsonl:2: expected a string 'answer', found none"));
    write_file("own.jsonl", MT_STR("{\"prompt\":\"a\",\"answer\":\"c\"}\n"));
    assert_int_equal(run("own", text, MT_RUN_EITHER, &seen, &err), MT_E_EXISTS);
    assert_non_null(strstr(err.text, "files of its data have changed"));
    write_file("own.jsonl", good);
    run_well("own", text, MT_RUN_CHECKPOINT, &seen);
    assert_int_equal(seen.began_at, 3);
}

static void a_base_of_another_architecture_is_refused_by_name(void **state)
{
    (void)state;
    static const char text[] = "name: based\n"
                               "base: other.gguf\n"
                               "data: [{skill: copy}]\n"
                               "train: {steps: 2, batch: 256}\n"
                               "outputs: [{path: based.gguf}]\n";
    struct mt_buf model = MT_BUF_INIT(FILE_MAX);
    struct seen seen = {0};
    struct mt_err err = {0};

    read_file("whole/tiny.gguf", &model);
    for (size_t i = 0; i + 5 < model.len; i++) { /* of the same length */
        if (memcmp(model.at + i, "llama", 5) == 0)
            memcpy(model.at + i, "gemma", 5);
    }
    write_file("other.gguf", mt_buf_str(&model));
    assert_int_equal(run("based", text, MT_RUN_EITHER, &seen, &err), MT_E_INVALID);
    assert_non_null(strstr(err.text, "base: "));
    assert_non_null(strstr(err.text, "gemma"));
    mt_buf_fini(&model);
    assert_int_equal(run("based",
                         "name: based\nbase: none.gguf\ndata: [{skill: copy}]\n"
                         "train: {steps: 2}\noutputs: [{path: based.gguf}]\n",
                         MT_RUN_EITHER, &seen, &err),
                     MT_E_NOTFOUND);
}

static void a_type_that_does_not_fit_is_said_before_the_run(void **state)
{
    (void)state;
    static const char text[] = "name: odd\n"
                               "shape: {layers: 1, width: 16, ff: 32, heads: 2}\n"
                               "data: [{skill: copy}]\n"
                               "train: {steps: 2, batch: 256}\n"
                               "outputs: [{path: odd.gguf, type: q8_0}]\n";
    struct seen seen = {.began_at = 7};
    struct mt_err err = {0};

    assert_int_equal(run("odd", text, MT_RUN_EITHER, &seen, &err), MT_E_INVALID);
    assert_non_null(
        strstr(err.text, "outputs: 'odd.gguf': q8_0 wants rows of a multiple of 32"));
    assert_int_equal(seen.began_at, 7);
}

/* ------------------------------------------------------------------ other kinds */

static void a_base_is_where_learning_begins(void **state)
{
    (void)state;
    static const char text[] = "name: more\n"
                               "base: whole/tiny.gguf\n"
                               "data: [{skill: copy, difficulty: easy}]\n"
                               "train: {batch: 512, steps: 2, rate_max: 0.001}\n"
                               "validation: {every: 0}\n"
                               "outputs: [{path: more.gguf}]\n";
    struct seen seen = {0};

    run_well("more", text, MT_RUN_EITHER, &seen);
    assert_true(seen.losses[1] < whole.losses[STEPS / 2]);
}

static void a_pupil_learns_from_its_teacher(void **state)
{
    (void)state;
    static const char text[] = "name: pupil\n"
                               "kind: distill\n"
                               "shape: {layers: 1, width: 16, ff: 32, heads: 2}\n"
                               "data: [{skill: copy, difficulty: easy}]\n"
                               "train: {batch: 512, steps: 20, rate_max: 0.01, warmup: 4}\n"
                               "distill: {teacher: whole/tiny.gguf, share: 0.9}\n"
                               "outputs: [{path: pupil.gguf}]\n";
    struct seen seen = {0};
    struct seen again = {0};
    struct mt_err err = {0};

    run_well("pupil", text, MT_RUN_EITHER, &seen);
    assert_true(seen.losses[20] < seen.losses[1]);
    again.stop_at = 11;
    assert_int_equal(run("pupil2", text, MT_RUN_EITHER, &again, &err), MT_E_CANCELED);
    run_well("pupil2", text, MT_RUN_EITHER, &again);
    assert_true(is_same("pupil/pupil.gguf", "pupil2/pupil.gguf"));
}

/* The helper is the base itself: what counts here is that the run is the same again. */
#define DRILL                                                                   \
    "kind: reinforce\n"                                                         \
    "base: whole/tiny.gguf\n"                                                   \
    "data: [{skill: copy, difficulty: easy}, {skill: add, difficulty: easy}]\n" \
    "train: {steps: 24, rate_max: 0.003, warmup: 2}\n"                          \
    "validation: {every: 12, items: 16}\n"                                      \
    "checkpoint: {every: 1s}\n"

static void a_killed_run_of_reinforcement_goes_on_to_the_same_weights(void **state)
{
    (void)state;
    static const char text[] =
        "name: drill\n" DRILL
        "reinforce: {helper: whole/tiny.gguf, prompts: 4, traces: 4, warmup: 5, kl: 0.05, "
        "lessons: 300}\n"
        "outputs: [{path: drill.gguf, type: f32}]\n"
        "card: {path: drill.md, json: drill.json, items: 4, help_items: 20}\n";
    struct seen seen = {0}, again = {0};
    struct seen killed[] = {{.kill_at = 3},
                            {.kill_at = 15}}; /* within and behind the warm-up */

    run_well("drill", text, MT_RUN_EITHER, &seen);
    assert_true(seen.looks_n == 2 && seen.wrote_n == 3);
    for (size_t i = 0; i < MT_ARRAY_LEN(killed); i++)
        assert_int_equal(run_apart("drill2", text, &killed[i], ""), 9);
    run_well("drill2", text, MT_RUN_CHECKPOINT, &again);
    assert_int_equal(again.began_at, 10);
    assert_true(is_same("drill/drill.gguf", "drill2/drill.gguf"));
    assert_int_equal(mt_alloc_live, 0);
}

static void reinforcement_needs_no_helper(void **state)
{
    (void)state;
    struct seen seen = {0};

    run_well("alone",
             "name: alone\n" DRILL "reinforce: {prompts: 4, traces: 4}\n"
             "outputs: [{path: alone.gguf}]\n",
             MT_RUN_EITHER, &seen);
    assert_int_equal(seen.wrote_n, 1);
}

#define TEAM                                                                    \
    "kind: cooperate\n"                                                         \
    "data: [{skill: copy, difficulty: easy}, {skill: add, difficulty: easy}]\n" \
    "train: {steps: 24, rate_max: 0.003, warmup: 2}\n"                          \
    "validation: {every: 12, items: 16}\n"                                      \
    "checkpoint: {every: 1s}\n"

static const char duo[] =
    "name: duo\n" TEAM
    "cooperate: {a: whole/tiny.gguf, b: more/more.gguf, prompts: 3, traces: 2, warmup: 5}\n"
    "outputs: [{path: a.gguf, type: f32}, {path: b.gguf, type: f32}]\n";

static void a_killed_run_of_two_goes_on_to_the_same_weights(void **state)
{
    (void)state;
    struct seen seen = {0}, again = {0};
    struct seen killed[] = {{.kill_at = 3},
                            {.kill_at = 15}}; /* within and behind the warm-up */

    run_well("duo", duo, MT_RUN_EITHER, &seen);
    assert_true(seen.looks_n == 2 && seen.items_n == 32 && seen.wrote_n == 2);
    for (size_t i = 0; i < MT_ARRAY_LEN(killed); i++)
        assert_int_equal(run_apart("duo2", duo, &killed[i], ""), 9);
    run_well("duo2", duo, MT_RUN_CHECKPOINT, &again);
    assert_int_equal(again.began_at, 10);
    assert_true(is_same("duo/a.gguf", "duo2/a.gguf"));
    assert_true(is_same("duo/b.gguf", "duo2/b.gguf"));
    assert_int_equal(mt_alloc_live, 0);
}

/* The first agent's file of the second slot is new, the second's is not: the first slot counts.
 */
static void a_run_of_two_killed_between_their_files_goes_on(void **state)
{
    (void)state;
    MT_CLEANUP(mt_buf_fini) struct mt_buf old = MT_BUF_INIT(FILE_MAX);
    struct seen killed = {.kill_at = 22}, seen = {0}, none = {0};
    struct mt_err err = {0};

    assert_int_equal(run("duo3", duo, MT_RUN_CHECKPOINT, &none, &err), MT_E_NOTFOUND);
    assert_int_equal(run_apart("duo3", duo, &killed, ""), 9); /* saved after 10 and 20 */
    read_file("duo3/duo.b0.checkpoint", &old);
    write_file("duo3/duo.b1.checkpoint", mt_buf_str(&old));
    run_well("duo3", duo, MT_RUN_CHECKPOINT, &seen);
    assert_int_equal(seen.began_at, 10);
    assert_true(is_same("duo/b.gguf", "duo3/b.gguf"));
    run_well("duo3", duo, MT_RUN_NOTHING, &none);
    assert_int_equal(none.began_at, 0);
    assert_true(is_same("duo/a.gguf", "duo3/a.gguf"));
}

static void a_team_is_measured_beside_agents_that_learned_alone(void **state)
{
    (void)state;
    static const char alone[] =
        "name: solo\n" TEAM "cooperate: {a: whole/tiny.gguf, b: more/more.gguf, prompts: 3, "
        "traces: 2, warmup: 5, alone: true}\n"
        "outputs: [{path: a.gguf}, {path: b.gguf}]\n";
    static const char team[] =
        "name: duo\n" TEAM
        "cooperate: {a: whole/tiny.gguf, b: more/more.gguf, prompts: 3, traces: 2, warmup: 5}\n"
        "outputs: [{path: a.gguf, type: f32}, {path: b.gguf, type: f32}]\n"
        "card: {path: t.md, json: t.json, team_items: 20, alone_a: solo/a.gguf, "
        "alone_b: solo/b.gguf}\n";
    MT_CLEANUP(mt_buf_fini) struct mt_buf card = MT_BUF_INIT(FILE_MAX);
    struct seen stopped = {.stop_at = 7}, seen = {0};
    struct mt_err err = {0};

    assert_int_equal(run("solo", alone, MT_RUN_EITHER, &stopped, &err), MT_E_CANCELED);
    run_well("solo", alone, MT_RUN_EITHER, &seen);
    assert_int_equal(seen.began_at, 7);
    run_well("duo", team, MT_RUN_EITHER, &seen); /* over already; now with a card */
    assert_int_equal(seen.wrote_n, 2 + 4);
    read_file("duo/t.json", &card);
    assert_non_null(strstr(mt_buf_cstr(&card), "\"items\":20,\"team\":{"));
    assert_non_null(strstr(mt_buf_cstr(&card), "\"alone\":{"));
}

/* What is fast is as repeatable as what is exact. */
static void a_killed_run_in_bf16_with_muon_goes_on_to_the_same_weights(void **state)
{
    (void)state;
    static const char text[] = "name: fast\n"
                               "shape: {layers: 1, width: 16, ff: 32, heads: 2}\n"
                               "data: [{skill: copy, difficulty: easy}]\n"
                               "train: {optimizer: muon, precision: bf16, batch: 512, "
                               "steps: 24, rate_max: 0.01, warmup: 4}\n"
                               "checkpoint: {every: 1s}\n"
                               "outputs: [{path: fast.gguf, type: f32}]\n";
    struct seen seen = {0}, again = {0};
    struct seen killed = {.kill_at = 15};

    run_well("fast", text, MT_RUN_EITHER, &seen);
    assert_true(seen.losses[STEPS] < 0.8 * seen.losses[1]);
    assert_int_equal(run_apart("fast2", text, &killed, ""), 9);
    run_well("fast2", text, MT_RUN_CHECKPOINT, &again);
    assert_int_equal(again.began_at, 10);
    assert_true(is_same("fast/fast.gguf", "fast2/fast.gguf"));
}

static void two_models_are_merged(void **state)
{
    (void)state;
    static const char text[] =
        "name: merged\n"
        "kind: merge\n"
        "merge: {a: whole/tiny.gguf, b: killed/tiny.gguf, way: spherical}\n"
        "outputs: [{path: merged.gguf, type: f32}]\n";
    struct seen seen = {0};
    struct mt_err err = {0};

    run_well("merged", text, MT_RUN_EITHER, &seen);
    assert_int_equal(seen.wrote_n, 1);
    assert_int_equal(
        run("merged",
            "name: merged\nkind: merge\nmerge: {a: whole/tiny.gguf, b: " MT_SOURCE_DIR
            "/tests/data/bootstrap.gguf}\noutputs: [{path: m.gguf}]\n",
            MT_RUN_EITHER, &seen, &err),
        MT_E_INVALID);
    assert_non_null(strstr(err.text, "merge.b: "));
}

/* ------------------------------------------------------------------ */

static int make_folder(void **state)
{
    (void)state;
    return mkdtemp(folder) != NULL ? 0 : -1;
}

static int remove_folder(void **state)
{
    int status = -1;
    pid_t child = fork();

    (void)state;
    if (child == 0) {
        execlp("rm", "rm", "-rf", folder, (char *)NULL);
        _exit(1);
    }
    return child > 0 && waitpid(child, &status, 0) == child && status == 0 ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_run_learns_along_its_recorded_curve),
        cmocka_unit_test(a_run_that_is_over_only_writes_its_files),
        cmocka_unit_test(a_killed_run_goes_on_to_the_same_weights),
        cmocka_unit_test(a_stopped_run_goes_on_to_the_same_weights),
        cmocka_unit_test(a_run_measured_in_time_keeps_its_first_length),
        cmocka_unit_test(a_checkpoint_of_another_recipe_is_refused_by_name),
        cmocka_unit_test(a_full_disk_leaves_the_last_checkpoint),
        cmocka_unit_test(a_broken_line_of_data_leaves_the_last_checkpoint),
        cmocka_unit_test(a_base_of_another_architecture_is_refused_by_name),
        cmocka_unit_test(a_type_that_does_not_fit_is_said_before_the_run),
        cmocka_unit_test(a_base_is_where_learning_begins),
        cmocka_unit_test(a_pupil_learns_from_its_teacher),
        cmocka_unit_test(a_killed_run_in_bf16_with_muon_goes_on_to_the_same_weights),
        cmocka_unit_test(a_killed_run_of_reinforcement_goes_on_to_the_same_weights),
        cmocka_unit_test(reinforcement_needs_no_helper),
        cmocka_unit_test(a_killed_run_of_two_goes_on_to_the_same_weights),
        cmocka_unit_test(a_run_of_two_killed_between_their_files_goes_on),
        cmocka_unit_test(a_team_is_measured_beside_agents_that_learned_alone),
        cmocka_unit_test(two_models_are_merged),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
