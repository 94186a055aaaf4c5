/* SPDX-License-Identifier: Apache-2.0 */
/* The table of a manifest's keys: the one place where a key is named, bounded and explained.
 * Pure. */
#include "job_priv.h"
#include "settings/page.h"

#define SECOND ((int64_t)1000)
#define DAY    (24 * 3600 * SECOND)
#define MIB    ((int64_t)1024 * 1024)
#define TIB    (MIB * MIB)

#define REQUIRED MT_SETTINGS_REQUIRED

static const struct mt_settings_word kinds[] = {
    {"model", MT_JOB_MODEL}, {"adapter", MT_JOB_ADAPTER}, {NULL, 0}};
static const struct mt_settings_word no_bound[] = {{"none", 0}, {NULL, 0}};

#define AT(member) .at = offsetof(struct mt_job_file, member)
static const struct mt_settings_key file_keys[] = {
    {"path", MT_SETTINGS_PATH, REQUIRED, AT(path), .help = "the file"},
    {"sha256", MT_SETTINGS_TEXT, AT(sha256),
     .help = "64 hexadecimal digits that its content has to have; none: any content"},
};
#undef AT
const struct mt_settings_group mt_job__file = {"file", file_keys, MT_ARRAY_LEN(file_keys),
                                               sizeof(struct mt_job_file)};

#define AT(member)   .at = offsetof(struct mt_job, member)
#define N_AT(member) .n_at = offsetof(struct mt_job, member)
static const struct mt_settings_key root_keys[] = {
    {"name", MT_SETTINGS_TEXT, REQUIRED, AT(name), .help = "of the job, and of its files",
     .example = "tune-sums"},
    {"base.path", MT_SETTINGS_PATH, AT(base.path), .help = "GGUF file that it begins with"},
    {"base.sha256", MT_SETTINGS_TEXT, AT(base.sha256),
     .help = "64 hexadecimal digits that its content has to have; none: any content"},
    {"data", MT_SETTINGS_ITEMS, AT(data), N_AT(data_n), .max = MT_JOB__DATA_MAX,
     .items = &mt_job__file, .help = "files that it learns from"},
    {"files", MT_SETTINGS_ITEMS, AT(files), N_AT(files_n), .max = MT_JOB__FILES_MAX,
     .items = &mt_job__file,
     .help = "other files that are read: a teacher, a script; another trainer finds each under "
             "its name in the folder that it begins in"},
    {"recipe.path", MT_SETTINGS_PATH, AT(recipe.path),
     .help = "recipe that motet itself trains by; the files that it names are those of the job "
             "that have the same names, wherever they are"},
    {"recipe.sha256", MT_SETTINGS_TEXT, AT(recipe.sha256),
     .help = "64 hexadecimal digits that its content has to have; none: any content"},
    {"trainer", MT_SETTINGS_TEXTS, AT(trainer), N_AT(trainer_n), .max = MT_JOB__WORDS_MAX,
     .help = "in place of a recipe: the words of another program, each one argument; `{base}`, "
             "`{data}` (each file an argument, where nothing stands beside it), `{output}`, "
             "`{work}` and `{threads}` are put in",
     .example = "[python3, tune.py, \"{base}\", \"{data}\", \"{output}\"]"},
    {"budget.time", MT_SETTINGS_DURATION, REQUIRED, AT(time_ms), .min = SECOND,
     .max = 365 * DAY,
     .help = "how long it may take; a recipe's run counts what it took before it went on",
     .example = "30m"},
    {"budget.memory", MT_SETTINGS_BYTES, AT(memory_bytes), .initial = "none", .min = MIB,
     .max = 64 * TIB, .words = no_bound,
     .help = "most memory: of this process under a recipe, of the address space of each "
             "process of another trainer; `none`: any"},
    {"budget.disk", MT_SETTINGS_BYTES, AT(disk_bytes), .initial = "none", .min = MIB,
     .max = 64 * TIB, .words = no_bound,
     .help = "most bytes of what it writes, outputs and what is between; `none`: any"},
    {"output.path", MT_SETTINGS_TEXT, REQUIRED, AT(output_path),
     .help = "GGUF file below the folder that the job writes to; under a recipe one of its "
             "`outputs`",
     .example = "tuned.gguf"},
    {"output.kind", MT_SETTINGS_WORD, AT(kind), .initial = "model", .words = kinds,
     .help = "what it has to be: a model, or a LoRA adapter for the base"},
};
#undef AT
#undef N_AT
const struct mt_settings_group mt_job__root = {"job", root_keys, MT_ARRAY_LEN(root_keys),
                                               sizeof(struct mt_job)};

mt_rc mt_job_explain(const char *key, struct mt_buf *out, struct mt_err *err)
{
    return mt_settings_explain(&mt_job__root, key, NULL, out, err);
}

void mt_job_reference(struct mt_buf *out)
{
    mt_buf_add_cstr(
        out,
        "# Jobs\n\n"
        "This page is written by `motet train --markdown job` from the table of keys; "
        "`docs/training.md` says what to do with them.\n\n"
        "`path` of the section `base` is written `base: {path: a.gguf}` or `base.path: "
        "a.gguf`. "
        "Durations and sizes have a unit (`30m`, `4GiB`). Relative paths of files that are "
        "read "
        "begin at the manifest's folder, that of the output at the folder of the job "
        "(`--out`). "
        "An unknown key, a value out of range, or two files of the same name are errors with "
        "file, line and column.\n");
    mt_settings_reference(&mt_job__root, "A job", out);
    mt_settings_reference(&mt_job__file, "data, files", out);
}
