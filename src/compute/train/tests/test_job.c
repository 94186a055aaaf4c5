/* SPDX-License-Identifier: Apache-2.0 */
/* Manifests: what they say, what is wrong with them and where, and the words of a trainer. */
#include "support/test.h"

#include <string.h>

#include "base/alloc.h"
#include "job_priv.h"
#include "system/file.h"

#define HEX16 "0123456789abcdef"
#define HEX   HEX16 HEX16 HEX16 HEX16

#define NAME    "name: j\n"
#define RECIPE  "recipe: {path: r.yaml}\n"
#define TRAINER "trainer: [t, \"{output}\"]\n"
#define BUDGET  "budget: {time: 30m}\n"
#define OUTPUT  "output: {path: o.gguf}\n"

static mt_rc parse(const char *text, const struct mt_job **out, struct mt_err *err)
{
    return mt_job_parse(mt_str_of(text), "j.yaml", MT_STR("/jobs"), out, err);
}

/* ------------------------------------------------------------------ manifests */

static const char whole[] = "name: tune\n"
                            "base: {path: a/base.gguf, sha256: " HEX "}\n"
                            "data:\n"
                            "  - {path: one.jsonl}\n"
                            "  - {path: /else/two.jsonl, sha256: " HEX "}\n"
                            "files: [{path: tune.py}]\n"
                            "trainer: [python3, tune.py, \"--threads={threads}\", \"{base}\", "
                            "\"{data}\", \"{output}\"]\n"
                            "budget: {time: 90s, memory: 4GiB, disk: 2GiB}\n"
                            "output: {path: out/tuned.gguf, kind: adapter}\n";

static void a_manifest_fills_every_section(void **state)
{
    (void)state;
    MT_CLEANUP(mt_job_freep) const struct mt_job *job = NULL;
    struct mt_err err = {0};

    if (parse(whole, &job, &err) != MT_OK)
        fail_msg("%s", err.text);
    assert_true(mt_str_is(job->name, "tune") && mt_str_is(job->base.sha256, HEX));
    assert_true(mt_str_is(job->base.path, "/jobs/a/base.gguf"));
    assert_true(job->data_n == 2 && mt_str_is(job->data[0].path, "/jobs/one.jsonl"));
    assert_true(mt_str_is(job->data[1].path, "/else/two.jsonl"));
    assert_true(job->files_n == 1 && job->trainer_n == 6 && job->recipe.path.len == 0);
    assert_true(job->time_ms == 90000 && job->memory_bytes == (int64_t)4 << 30);
    assert_true(job->disk_bytes == (int64_t)2 << 30 && job->kind == MT_JOB_ADAPTER);
    assert_true(mt_str_is(job->output_path, "out/tuned.gguf"));
}

static void what_is_not_said_is_not_bounded(void **state)
{
    (void)state;
    MT_CLEANUP(mt_job_freep) const struct mt_job *job = NULL;

    assert_int_equal(parse(NAME RECIPE OUTPUT "budget: {time: 1s, disk: none}\n", &job, NULL),
                     MT_OK);
    assert_true(job->memory_bytes == 0 && job->disk_bytes == 0 && job->kind == MT_JOB_MODEL);
    assert_true(job->data_n == 0 && job->base.path.len == 0);
}

static void every_mistake_names_its_place(void **state)
{
    (void)state;
    static const struct {
        const char *text, *want;
    } rows[] = {
        {"", "j.yaml:1:1: job without 'name'"},
        {NAME RECIPE OUTPUT, "j.yaml:1:1: job without 'budget.time'"},
        {NAME RECIPE BUDGET, "j.yaml:1:1: job without 'output.path'"},
        {NAME OUTPUT BUDGET, "j.yaml:1:1: job without 'recipe' or 'trainer'"},
        {NAME RECIPE TRAINER BUDGET OUTPUT,
         "j.yaml:3:1: trainer: expected a recipe or another trainer, not both"},
        {NAME "recipes: {path: r}\n",
         "j.yaml:2:1: unknown key 'recipes', did you mean 'recipe'?"},
        {NAME "base: {path: b, sha: x}\n", "j.yaml:2:17: unknown key 'base.sha'"},
        {NAME "data: [{paht: x}]\n", "j.yaml:2:9: unknown key 'paht', did you mean 'path'?"},
        {NAME "data: [{sha256: " HEX "}]\n", "j.yaml:2:8: file without 'path'"},
        {NAME "data: a.jsonl\n", "j.yaml:2:7: data: expected a list, found a single value"},
        {NAME "budget: {time: 30}\n", "j.yaml:2:16: budget.time: "},
        {NAME "budget: {time: 1ms}\n", "j.yaml:2:16: budget.time: expected 1s to "},
        {NAME "budget: {time: 1s, memory: 4 apples}\n", "j.yaml:2:28: budget.memory: "},
        {NAME "budget: {time: 1s, disk: 1KiB}\n", "j.yaml:2:26: budget.disk: expected 1MiB to"},
        {NAME "output: {path: o.gguf, kind: lora}\n",
         "j.yaml:2:30: output.kind: expected one of model, adapter, found 'lora'"},
        {"name: a/b\n" RECIPE BUDGET OUTPUT,
         "j.yaml:1:1: name: expected what can be a file's name"},
        {"name: ..\n" RECIPE BUDGET OUTPUT,
         "j.yaml:1:1: name: expected what can be a file's name"},
        {NAME RECIPE BUDGET "output: {path: ../o.gguf}\n",
         "j.yaml:4:10: output.path: expected a path below the folder of the job"},
        {NAME RECIPE BUDGET "output: {path: /o.gguf}\n",
         "j.yaml:4:10: output.path: expected a path below the folder of the job"},
        {NAME RECIPE BUDGET "output: {path: o.bin}\n",
         "j.yaml:4:10: output.path: expected a name that ends in '.gguf'"},
        {NAME RECIPE BUDGET "output: {path: o.gguf, kind: adapter}\n",
         "j.yaml:4:24: output.kind: a recipe makes models"},
        {NAME RECIPE BUDGET OUTPUT "base: {path: b, sha256: abc}\n",
         "j.yaml:5:17: base.sha256: expected 64 hexadecimal digits"},
        {NAME RECIPE BUDGET OUTPUT "base: {sha256: " HEX "}\n",
         "j.yaml:5:8: base.sha256: expected 'base.path' beside it"},
        {NAME TRAINER BUDGET OUTPUT "recipe: {sha256: " HEX "}\n",
         "j.yaml:5:10: recipe.sha256: expected 'recipe.path' beside it"},
        {NAME RECIPE BUDGET OUTPUT "data: [{path: a}, {path: b, sha256: g}]\n",
         "j.yaml:5:29: sha256: expected 64 hexadecimal digits"},
        {NAME RECIPE BUDGET OUTPUT "data: [{path: x/a}, {path: y/a}]\n",
         "j.yaml:5:22: path: another file of the job has that name"},
        {NAME RECIPE BUDGET OUTPUT "base: {path: y/o.gguf}\n",
         "j.yaml:5:8: base.path: the output has that name"},
        {NAME RECIPE BUDGET OUTPUT "data: [{path: x/}]\n", "j.yaml:5:9: path: expected a file"},
        {NAME "trainer: [t, {output}]\n", "j.yaml:2:14: trainer: expected a single value"},
        {NAME "trainer: []\n" BUDGET OUTPUT, "j.yaml:1:1: job without 'recipe' or 'trainer'"},
        {NAME "trainer: [t]\n" BUDGET OUTPUT,
         "j.yaml:2:1: trainer: expected '{output}', or nothing comes out"},
        {NAME "trainer: [t, \"{outptu}\"]\n" BUDGET OUTPUT,
         "j.yaml:2:1: trainer: unknown placeholder '{outptu}', did you mean '{output}'?"},
        {NAME "trainer: [t, \"-x={zzz}\"]\n" BUDGET OUTPUT,
         "j.yaml:2:1: trainer: unknown placeholder '{zzz}'"},
        {NAME "trainer: [t, \"{base}\", \"{output}\"]\n" BUDGET OUTPUT,
         "j.yaml:2:1: trainer: '{base}', and the job has no base"},
        {NAME "trainer: [t, \"{data}\", \"{output}\"]\n" BUDGET OUTPUT,
         "j.yaml:2:1: trainer: '{data}', and the job has no data"},
        {NAME "trainer: [t, \"-d={data}\", \"{output}\"]\n" BUDGET OUTPUT
              "data: [{path: a}, {path: b}]\n",
         "j.yaml:2:1: trainer: '-d={data}': expected '{data}' alone, it stands for 2 files"},
    };

    for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
        const struct mt_job *job = NULL;
        struct mt_err err = {0};

        if (parse(rows[i].text, &job, &err) != MT_E_INVALID ||
            strncmp(err.text, rows[i].want, strlen(rows[i].want)) != 0)
            fail_msg("row '%s': '%s', expected '%s'", rows[i].text, err.text, rows[i].want);
    }
    assert_int_equal(mt_alloc_live, 0);
}

static void reading_survives_any_oom(void **state)
{
    (void)state;

    for (long nth = 0;; nth++) {
        const struct mt_job *job = NULL;
        struct mt_err err = {0};

        mt_alloc_fail_after = nth;
        mt_rc rc = parse(whole, &job, &err);
        mt_alloc_fail_after = -1;
        mt_job_free(job);
        assert_int_equal(mt_alloc_live, 0);
        if (rc == MT_OK) {
            assert_true(nth > 2);
            break;
        }
        assert_int_equal(rc, MT_E_NOMEM);
    }
}

/* ------------------------------------------------------------------ words */

static void placeholders_stand_for_what_the_job_has(void **state)
{
    (void)state;
    static const struct mt_str data[] = {MT_STR_INIT("/d/{base}"), MT_STR_INIT("/d/b c")};
    static const struct mt_job__places places = {.base = MT_STR_INIT("/b"),
                                                 .output = MT_STR_INIT("/w/o"),
                                                 .work = MT_STR_INIT("/w"),
                                                 .threads = MT_STR_INIT("3"),
                                                 .data = data,
                                                 .data_n = 2};
    static const struct mt_str words[] = {
        MT_STR_INIT("prog"),     MT_STR_INIT("-b{base}={threads}"), MT_STR_INIT("{data}"),
        MT_STR_INIT("{output}"), MT_STR_INIT("{\"lr\": {1}}"),      MT_STR_INIT("{work}/x{"),
    };
    static const char *const want[] = {"prog", "-b/b=3",        "/d/{base}", "/d/b c",
                                       "/w/o", "{\"lr\": {1}}", "/w/x{",     NULL};
    const struct mt_job job = {.trainer = words, .trainer_n = MT_ARRAY_LEN(words)};
    MT_CLEANUP(mt_arena_fini) struct mt_arena arena = MT_ARENA_INIT(1 << 20);
    const char *const *got = NULL;

    assert_int_equal(mt_job__words(&job, &places, &arena, &got, NULL), MT_OK);
    for (size_t i = 0; want[i] != NULL; i++)
        assert_string_equal(got[i], want[i]);
    assert_null(got[MT_ARRAY_LEN(want) - 1]);
}

/* ------------------------------------------------------------------ pages */

static void the_committed_page_is_current(void **state)
{
    (void)state;
    MT_CLEANUP(mt_buf_fini) struct mt_buf kept = MT_BUF_INIT(1 << 20);
    MT_CLEANUP(mt_buf_fini) struct mt_buf made = MT_BUF_INIT(1 << 20);

    mt_job_reference(&made);
    assert_int_equal(mt_file_read(MT_SOURCE_DIR "/docs/jobs.md", 1 << 20, &kept, NULL), MT_OK);
    assert_string_equal(mt_buf_cstr(&kept), mt_buf_cstr(&made));
}

static void keys_are_explained(void **state)
{
    (void)state;
    static const struct {
        const char *key, *want;
    } rows[] = {{NULL, "budget.time"},
                {"budget.memory", "none"},
                {"data", "of each file"},
                {"output.kind", "LoRA"}};

    for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
        MT_CLEANUP(mt_buf_fini) struct mt_buf out = MT_BUF_INIT(1 << 16);
        assert_int_equal(mt_job_explain(rows[i].key, &out, NULL), MT_OK);
        mt_check_row(rows[i].want, strstr(mt_buf_cstr(&out), rows[i].want) != NULL);
    }
    assert_int_equal(mt_job_explain("budgt.time", &(struct mt_buf)MT_BUF_INIT(99), NULL),
                     MT_E_NOTFOUND);
}

static void the_example_is_valid(void **state)
{
    (void)state;
    MT_CLEANUP(mt_job_freep) const struct mt_job *job = NULL;
    struct mt_err err = {0};

    if (mt_job_read(MT_SOURCE_DIR "/examples/train-job/job.yaml", &job, &err) != MT_OK)
        fail_msg("%s", err.text);
    assert_true(job->trainer_n > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_manifest_fills_every_section),
        cmocka_unit_test(what_is_not_said_is_not_bounded),
        cmocka_unit_test(every_mistake_names_its_place),
        cmocka_unit_test(reading_survives_any_oom),
        cmocka_unit_test(placeholders_stand_for_what_the_job_has),
        cmocka_unit_test(the_committed_page_is_current),
        cmocka_unit_test(keys_are_explained),
        cmocka_unit_test(the_example_is_valid),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
