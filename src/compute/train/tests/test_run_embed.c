/* SPDX-License-Identifier: Apache-2.0 */
/* Whole runs of a tiny embedder: they go on where they ended, and leave a model and its card.
 */
#include "support/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "system/env.h"
#include "system/file.h"
#include "train/run.h"

enum { STEPS = 40, FILE_MAX = 1 << 22 };

static char folder[] = "/tmp/motet-run-embed-XXXXXX";

#define BEGINNING                                                                  \
    "name: tiny\n"                                                                 \
    "kind: embed\n"                                                                \
    "shape: {layers: 1, width: 16, ff: 32, heads: 2, tied: false}\n"               \
    "data: [{skill: copy, difficulty: easy}, {skill: add}]\n"                      \
    "train: {batch: 512, steps: 40, rate_max: 0.01, warmup: 4, optimizer: muon}\n" \
    "validation: {every: 20, items: 32}\n"                                         \
    "outputs: [{path: tiny.gguf, type: f32}]\n"

static const char tiny[] = BEGINNING;

/* ------------------------------------------------------------------ a run and what it told */

struct seen {
    struct mt_env_sim clock;
    uint64_t stop_at; /* asked to stop after this step; 0: never */
    uint64_t began_at;
    double first_loss, last_loss;
    uint32_t right_n, items_n; /* of the last look */
    unsigned looks_n, wrote_n;
};

static void on_event(void *context, const struct mt_run_event *event)
{
    struct seen *seen = context;

    switch (event->what) {
    case MT_RUN_BEGAN:
        seen->began_at = event->step;
        break;
    case MT_RUN_STEP:
        mt_env_sim_advance_ms(&seen->clock, 100);
        if (event->step == 1)
            seen->first_loss = event->loss;
        seen->last_loss = event->loss;
        break;
    case MT_RUN_VALIDATED:
        seen->looks_n++;
        seen->right_n = event->right_n;
        seen->items_n = event->items_n;
        break;
    case MT_RUN_SAVED:
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

static mt_rc run(const char *below, const char *text, struct seen *seen, struct mt_err *err)
{
    MT_CLEANUP(mt_recipe_freep) const struct mt_recipe *recipe = NULL;
    char path[256];

    (void)snprintf(path, sizeof path, "%s/%s", folder, below);
    MT_TRY(mt_dir_make(path, err));
    MT_TRY(mt_recipe_parse(mt_str_of(text), "tiny.yaml", mt_str_of(folder), &recipe, err));
    mt_env_sim_init(&seen->clock, 1);
    const struct mt_run_opts opts = {.folder = path,
                                     .threads_n = 2,
                                     .env = &seen->clock.env,
                                     .should_stop = should_stop,
                                     .on_event = on_event,
                                     .context = seen};
    return mt_run(recipe, &opts, err);
}

static void run_well(const char *below, const char *text, struct seen *seen)
{
    struct mt_err err = {0};

    if (run(below, text, seen, &err) != MT_OK)
        fail_msg("%s", err.text);
}

static void read_file(const char *name, struct mt_buf *out)
{
    char path[256];
    struct mt_err err = {0};

    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    if (mt_file_read(path, FILE_MAX, out, &err) != MT_OK)
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

/* ------------------------------------------------------------------ behaviour */

static void an_embedder_learns_its_labels(void **state)
{
    (void)state;
    struct seen seen = {0};

    run_well("whole", tiny, &seen);
    assert_true(seen.last_loss < 0.8 * seen.first_loss);
    assert_int_equal(seen.looks_n, 2);
    assert_true(seen.items_n >= 32 && seen.right_n <= seen.items_n);
    assert_true(seen.right_n * 4 > seen.items_n * 3); /* two skills; "+" tells */
    assert_int_equal(seen.wrote_n, 1);
    assert_int_equal(mt_alloc_live, 0);
}

static void a_stopped_run_goes_on_to_the_same_weights(void **state)
{
    (void)state;
    struct seen stopped = {.stop_at = 7};
    struct seen seen = {0};
    struct mt_err err = {0};

    assert_int_equal(run("stopped", tiny, &stopped, &err), MT_E_CANCELED);
    run_well("stopped", tiny, &seen);
    assert_int_equal(seen.began_at, 7);
    assert_true(is_same("stopped/tiny.gguf", "whole/tiny.gguf"));
}

/* One item of each skill and difficulty: what the figures are is another test's. */
static void its_card_is_one_of_vectors(void **state)
{
    (void)state;
    static const char text[] = BEGINNING "card: {path: tiny.md, json: tiny.json, items: 1}\n";
    static const char *const wanted[] = {"### Skills it learned from\n\ncopy, add; 6 items.",
                                         "### Skills it never saw\n\nupper, ",
                                         "## What it cannot do\n"};
    MT_CLEANUP(mt_buf_fini) struct mt_buf card = MT_BUF_INIT(FILE_MAX);
    struct seen seen = {0};

    run_well("whole", text, &seen); /* it is over: only the files are written */
    assert_int_equal(seen.began_at, STEPS);
    assert_int_equal(seen.wrote_n, 3);
    read_file("whole/tiny.md", &card);
    for (size_t i = 0; i < MT_ARRAY_LEN(wanted); i++)
        mt_check_row(wanted[i], strstr(mt_buf_cstr(&card), wanted[i]) != NULL);
}

static void an_answerer_that_is_none_is_named(void **state)
{
    (void)state;
    static const char text[] = BEGINNING "card: {path: tiny.md}\n"
                                         "embed: {answerer: none.gguf}\n";
    struct seen seen = {0};
    struct mt_err err = {0};

    assert_int_equal(run("whole", text, &seen, &err), MT_E_NOTFOUND);
    assert_non_null(strstr(err.text, "embed.answerer: "));
    assert_int_equal(mt_alloc_live, 0);
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
        cmocka_unit_test(an_embedder_learns_its_labels),
        cmocka_unit_test(a_stopped_run_goes_on_to_the_same_weights),
        cmocka_unit_test(its_card_is_one_of_vectors),
        cmocka_unit_test(an_answerer_that_is_none_is_named),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
