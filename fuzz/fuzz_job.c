/* SPDX-License-Identifier: Apache-2.0 */
/* Any text is a manifest or is refused with words; the trainer of one that is taken has words
 * to begin with, and its output stays below the folder of the job. */
#include "base/assert.h"
#include "job_priv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void look_at(const struct mt_job *job)
{
    struct mt_arena arena = MT_ARENA_INIT(64 << 20);
    const struct mt_job__places places = {.base = MT_STR("/b"),
                                          .output = MT_STR("/w/o"),
                                          .work = MT_STR("/w"),
                                          .threads = MT_STR("2"),
                                          .data = &MT_STR("/d"),
                                          .data_n = 1};
    const char *const *words = NULL;

    MT_ASSERT(job->output_path.len > 0 && job->output_path.at[0] != '/');
    MT_ASSERT((job->recipe.path.len > 0) == (job->trainer_n == 0));
    if (job->trainer_n > 0 && mt_job__words(job, &places, &arena, &words, NULL) == MT_OK)
        MT_ASSERT(words[0] != NULL);
    mt_arena_fini(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct mt_job *job = NULL;
    struct mt_err err = {0};
    struct mt_str text = {(const char *)data, size};

    if (mt_job_parse(text, "j.yaml", MT_STR("/j"), &job, &err) == MT_OK)
        look_at(job);
    else
        MT_ASSERT(err.text[0] != '\0');
    mt_job_free(job);
    return 0;
}
