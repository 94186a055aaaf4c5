/* SPDX-License-Identifier: Apache-2.0 */
/* From a text to a job that can be run: what no key of the table can know alone. */
#include "train/job.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "job_priv.h"
#include "recipe_priv.h"
#include "settings/yaml.h"
#include "system/file.h"

enum { ARENA_MAX = 8 * 1024 * 1024 };

const struct mt_job__whole *mt_job__whole_of(const struct mt_job *job)
{
    return (const struct mt_job__whole *)(const void *)job;
}

struct mt_str mt_job__base_name(struct mt_str path)
{
    size_t at = path.len;

    while (at > 0 && path.at[at - 1] != '/')
        at--;
    return mt_str_sub(path, at, path.len);
}

const struct mt_job__input *mt_job__find_input(const struct mt_job__whole *whole,
                                               struct mt_str base_name)
{
    for (size_t i = 0; i < whole->inputs_n; i++) {
        const struct mt_job__input *input = &whole->inputs[i];

        if (input->file != &whole->job.recipe &&
            mt_str_eq(mt_job__base_name(input->file->path), base_name))
            return input;
    }
    return NULL;
}

/* ------------------------------------------------------------------ places */

static const struct mt_settings_key *root_key(const char *name)
{
    const struct mt_settings_key *key = mt_settings_find(&mt_job__root, mt_str_of(name));

    MT_ASSERT(key != NULL);
    return key;
}

static const struct mt_settings_origin *root_origin(const struct mt_job__whole *whole,
                                                    const struct mt_settings_key *key)
{
    return &whole->origins[key - mt_job__root.keys];
}

mt_rc mt_job__blame(const struct mt_job__whole *whole, const char *name, struct mt_err *err,
                    const char *format, ...)
{
    const struct mt_settings_key *key = root_key(name);
    char words[MT_ERR_TEXT_MAX];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(words, sizeof words, format, args);
    va_end(args);
    return mt_settings_blame(&whole->reader, key, root_origin(whole, key), err, "%s", words);
}

/* ------------------------------------------------------------------ the files it reads */

static void add_input(struct mt_job__whole *whole, struct mt_job__input input)
{
    MT_ASSERT(whole->inputs_n < MT_JOB__INPUTS_MAX);
    whole->inputs[whole->inputs_n++] = input;
}

static void add_one(struct mt_job__whole *whole, const char *section, const char *path,
                    const char *sha256, const struct mt_job_file *file)
{
    if (file->path.len > 0)
        add_input(whole, (struct mt_job__input){
                             .key = section,
                             .file = file,
                             .path_key = root_key(path),
                             .sha256_key = root_key(sha256),
                             .path_origin = root_origin(whole, root_key(path)),
                             .sha256_origin = root_origin(whole, root_key(sha256)),
                         });
}

static void add_list(struct mt_job__whole *whole, const char *name,
                     const struct mt_job_file *files, size_t n)
{
    const struct mt_settings_origin *list = root_origin(whole, root_key(name));
    const struct mt_settings_key *path = mt_settings_find(&mt_job__file, MT_STR("path"));
    const struct mt_settings_key *sha256 = mt_settings_find(&mt_job__file, MT_STR("sha256"));

    for (size_t i = 0; i < n; i++)
        add_input(whole, (struct mt_job__input){
                             .key = name,
                             .file = &files[i],
                             .path_key = path,
                             .sha256_key = sha256,
                             .path_origin = &list->items[i][path - mt_job__file.keys],
                             .sha256_origin = &list->items[i][sha256 - mt_job__file.keys],
                         });
}

static void gather_inputs(struct mt_job__whole *whole)
{
    const struct mt_job *job = &whole->job;

    add_one(whole, "base", "base.path", "base.sha256", &job->base);
    add_one(whole, "recipe", "recipe.path", "recipe.sha256", &job->recipe);
    add_list(whole, "data", job->data, job->data_n);
    add_list(whole, "files", job->files, job->files_n);
}

static mt_rc blame_path(const struct mt_job__whole *whole, const struct mt_job__input *input,
                        struct mt_err *err, const char *words)
{
    return mt_settings_blame(&whole->reader, input->path_key, input->path_origin, err, "%s",
                             words);
}

/* All of them have to fit into one folder, which is how they travel. */
static mt_rc check_input(const struct mt_job__whole *whole, size_t at, struct mt_err *err)
{
    const struct mt_job__input *input = &whole->inputs[at];
    struct mt_str name = mt_job__base_name(input->file->path);
    struct mt_digest digest;

    if (name.len == 0 || mt_str_is(name, "..") || mt_str_is(name, "."))
        return blame_path(whole, input, err, "expected a file");
    for (size_t i = 0; i < at; i++) {
        if (mt_str_eq(name, mt_job__base_name(whole->inputs[i].file->path)))
            return blame_path(whole, input, err, "another file of the job has that name");
    }
    if (mt_str_eq(name, mt_job__base_name(whole->job.output_path)))
        return blame_path(whole, input, err, "the output has that name");
    if (input->file->sha256.len > 0 && !mt_digest_from_hex(input->file->sha256, &digest))
        return mt_settings_blame(&whole->reader, input->sha256_key, input->sha256_origin, err,
                                 "expected 64 hexadecimal digits");
    return MT_OK;
}

static mt_rc check_inputs(const struct mt_job__whole *whole, struct mt_err *err)
{
    const struct mt_job *job = &whole->job;

    if (job->base.path.len == 0 && job->base.sha256.len > 0)
        return mt_job__blame(whole, "base.sha256", err, "expected 'base.path' beside it");
    if (job->recipe.path.len == 0 && job->recipe.sha256.len > 0)
        return mt_job__blame(whole, "recipe.sha256", err, "expected 'recipe.path' beside it");
    for (size_t i = 0; i < whole->inputs_n; i++)
        MT_TRY(check_input(whole, i, err));
    return MT_OK;
}

/* ------------------------------------------------------------------ the rest */

static mt_rc check_names(const struct mt_job__whole *whole, struct mt_err *err)
{
    const struct mt_job *job = &whole->job;

    if (!mt_recipe__is_below(job->name) || mt_str_find_char(job->name, '/') < job->name.len)
        return mt_job__blame(whole, "name", err, "expected what can be a file's name");
    if (!mt_recipe__is_below(job->output_path))
        return mt_job__blame(whole, "output.path", err,
                             "expected a path below the folder of the job");
    if (!mt_str_ends(job->output_path, MT_STR(".gguf")))
        return mt_job__blame(whole, "output.path", err, "expected a name that ends in '.gguf'");
    return MT_OK;
}

static mt_rc check_trainer(const struct mt_job__whole *whole, struct mt_err *err)
{
    const struct mt_job *job = &whole->job;
    struct mt_err why = {0};

    if (job->recipe.path.len == 0 && job->trainer_n == 0)
        return mt_settings_fail_at(err, whole->reader.name, 1, 1,
                                   "job without 'recipe' or 'trainer'");
    if (job->recipe.path.len > 0 && job->trainer_n > 0)
        return mt_job__blame(whole, "trainer", err,
                             "expected a recipe or another trainer, not both");
    if (job->recipe.path.len > 0 && job->kind != MT_JOB_MODEL)
        return mt_job__blame(whole, "output.kind", err, "a recipe makes models");
    if (job->trainer_n > 0 && mt_job__words_check(job, &why) != MT_OK)
        return mt_job__blame(whole, "trainer", err, "%s", why.text);
    return MT_OK;
}

static mt_rc check(const struct mt_job__whole *whole, struct mt_err *err)
{
    MT_TRY(check_names(whole, err));
    MT_TRY(check_inputs(whole, err));
    return check_trainer(whole, err);
}

/* ------------------------------------------------------------------ reading */

static struct mt_job__whole *mutable_of(const struct mt_job *job)
{
    return (struct mt_job__whole *)(uintptr_t)job;
}

void mt_job_free(const struct mt_job *job)
{
    if (job == NULL)
        return;
    mt_arena_fini(&mutable_of(job)->arena);
    mt_free(mutable_of(job));
}

void mt_job_freep(const struct mt_job **job)
{
    mt_job_free(*job);
    *job = NULL;
}

static mt_rc fill(struct mt_job__whole *whole, struct mt_str text, const char *name,
                  struct mt_str folder, struct mt_err *err)
{
    struct mt_arena *arena = &whole->arena;

    whole->reader = (struct mt_settings_reader){
        .name = mt_arena_str(arena, mt_str_of(name)).at,
        .folder = mt_arena_str(arena, folder),
        .arena = arena,
    };
    whole->job.text = mt_arena_str(arena, text);
    whole->origins = mt_settings_origins(&mt_job__root, arena);
    if (whole->reader.name == NULL || whole->reader.folder.at == NULL ||
        whole->job.text.at == NULL || whole->origins == NULL)
        return mt_arena_fail(arena, err);
    MT_TRY(mt_settings_defaults(&mt_job__root, &whole->job, err));
    MT_TRY(mt_settings_read(&whole->reader, text, &mt_job__root, &whole->job, whole->origins,
                            err));
    gather_inputs(whole);
    return check(whole, err);
}

mt_rc mt_job_parse(struct mt_str text, const char *name, struct mt_str folder,
                   const struct mt_job **out, struct mt_err *err)
{
    struct mt_job__whole *whole = mt_alloc(1, sizeof *whole);

    if (whole == NULL)
        return MT_FAIL(err, MT_E_NOMEM, "job");
    mt_arena_init(&whole->arena, ARENA_MAX);
    mt_rc rc = fill(whole, text, name, folder, err);
    if (rc != MT_OK) {
        mt_job_free(&whole->job);
        return rc;
    }
    *out = &whole->job;
    return MT_OK;
}

mt_rc mt_job_read(const char *file, const struct mt_job **out, struct mt_err *err)
{
    MT_CLEANUP(mt_buf_fini) struct mt_buf text = MT_BUF_INIT(MT_SETTINGS_FILE_MAX);
    struct mt_str folder = mt_str_of(file);

    MT_TRY(mt_file_read(file, MT_SETTINGS_FILE_MAX, &text, err));
    folder.len -= mt_job__base_name(folder).len;
    if (folder.len > 1)
        folder.len--;
    return mt_job_parse(mt_buf_str(&text), file, folder, out, err);
}
