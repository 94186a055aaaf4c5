/* SPDX-License-Identifier: Apache-2.0 */
/* A job that a recipe trains: its files take the places of the recipe's, its budget is looked
 * at after each step, so that what stops stops at a checkpoint. */
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "job_priv.h"
#include "recipe_priv.h"
#include "run_priv.h"
#include "settings/yaml.h"
#include "system/file.h"

struct own {
    struct mt_job__under_way *way;
    struct mt_recipe recipe;               /* with the job's files in it */
    bool is_used[MT_JOB__INPUTS_MAX];      /* inputs that the recipe names */
    int64_t checkpoint_bytes, wrote_bytes; /* so far */
    const char *used_up;                   /* "time", "memory", "disk"; NULL: nothing yet */
};

/* ------------------------------------------------------------------ files */

/* A file of the recipe by its name alone, wherever it said that it is. */
static mt_rc replace(struct own *own, const char *key, struct mt_str *path, struct mt_err *err)
{
    const struct mt_job__whole *whole = own->way->whole;
    struct mt_str name = mt_job__base_name(*path);
    const struct mt_job__input *input = mt_job__find_input(whole, name);

    if (path->len == 0)
        return MT_OK;
    if (input == NULL)
        return MT_FAIL(err, MT_E_INVALID, "recipe '%.*s': %s: the job lists no file '%.*s'",
                       MT_STR_ARG(mt_job__base_name(whole->job.recipe.path)), key,
                       MT_STR_ARG(name));
    own->is_used[input - whole->inputs] = true;
    *path = input->file->path;
    return MT_OK;
}

static mt_rc replace_keys(struct own *own, const struct mt_settings_group *group, void *object,
                          struct mt_err *err);

static mt_rc replace_items(struct own *own, const struct mt_settings_key *key, void *object,
                           struct mt_err *err)
{
    struct mt_settings_list list = mt_settings_get_list(key, object);
    char *copy = mt_arena_get(&own->way->arena, list.n > 0 ? list.n : 1, key->items->size);

    if (copy == NULL)
        return mt_arena_fail(&own->way->arena, err);
    for (size_t i = 0; i < list.n; i++) {
        size_t at = i * key->items->size;
        memcpy(copy + at, (const char *)list.at + at, key->items->size);
        MT_TRY(replace_keys(own, key->items, copy + at, err));
    }
    mt_settings_put_list(key, object, (struct mt_settings_list){copy, list.n});
    return MT_OK;
}

/* By the recipe's own table, so that no path of it can be forgotten. */
static mt_rc replace_keys(struct own *own, const struct mt_settings_group *group, void *object,
                          struct mt_err *err)
{
    for (size_t i = 0; i < group->n; i++) {
        const struct mt_settings_key *key = &group->keys[i];

        if (key->type == MT_SETTINGS_ITEMS)
            MT_TRY(replace_items(own, key, object, err));
        if (key->type != MT_SETTINGS_PATH)
            continue;
        union mt_settings_value value = mt_settings_get(key, object);
        MT_TRY(replace(own, key->name, &value.text, err));
        mt_settings_put(key, object, &value);
    }
    return MT_OK;
}

static mt_rc refuse_unused(const struct own *own, struct mt_err *err)
{
    const struct mt_job__whole *whole = own->way->whole;

    for (size_t i = 0; i < whole->inputs_n; i++) {
        const struct mt_job__input *input = &whole->inputs[i];

        if (!own->is_used[i] && input->file != &whole->job.recipe)
            return mt_settings_blame(&whole->reader, input->path_key, input->path_origin, err,
                                     "the recipe names no file '%.*s'",
                                     MT_STR_ARG(mt_job__base_name(input->file->path)));
    }
    return MT_OK;
}

static mt_rc check_outputs(const struct own *own, struct mt_err *err)
{
    const struct mt_job__whole *whole = own->way->whole;
    const struct mt_recipe *recipe = &own->recipe;

    for (size_t i = 0; i < recipe->outputs_n; i++) {
        if (mt_str_eq(recipe->outputs[i].path, whole->job.output_path))
            return MT_OK;
    }
    if (recipe->outputs_n == 0)
        return mt_job__blame(whole, "output.path", err, "the recipe writes nothing");
    return mt_job__blame(whole, "output.path", err, "the recipe writes '%.*s'",
                         MT_STR_ARG(recipe->outputs[0].path));
}

static mt_rc put_files(struct own *own, const struct mt_recipe *written, struct mt_err *err)
{
    own->recipe = *written;
    own->recipe.written = written;
    MT_TRY(check_outputs(own, err));
    MT_TRY(replace_keys(own, &mt_recipe__root, &own->recipe, err));
    return refuse_unused(own, err);
}

/* Its folder stays out of it: the paths mean nothing but their names, here as elsewhere. */
static mt_rc read_recipe(const struct own *own, const struct mt_recipe **out,
                         struct mt_err *err)
{
    MT_CLEANUP(mt_buf_fini) struct mt_buf text = MT_BUF_INIT(MT_SETTINGS_FILE_MAX);
    MT_CLEANUP(mt_freep) char *path = mt_alloc_cstr(own->way->whole->job.recipe.path);

    if (path == NULL)
        return MT_FAIL(err, MT_E_NOMEM, "recipe");
    MT_TRY(mt_file_read(path, MT_SETTINGS_FILE_MAX, &text, err));
    return mt_recipe_parse(mt_buf_str(&text), path, (struct mt_str){0}, out, err);
}

/* ------------------------------------------------------------------ the budget */

static int64_t bytes_of(const char *path)
{
    struct stat info;

    return stat(path, &info) == 0 ? (int64_t)info.st_size : 0;
}

static int64_t memory_bytes(void)
{
    struct rusage used = {0};

    (void)getrusage(RUSAGE_SELF, &used);
    return (int64_t)used.ru_maxrss * 1024;
}

static bool is_over_disk(const struct own *own)
{
    int64_t most = own->way->whole->job.disk_bytes;

    return most > 0 && own->checkpoint_bytes + own->wrote_bytes > most;
}

static const char *what_is_used_up(const struct own *own)
{
    const struct mt_job *job = &own->way->whole->job;
    int64_t now_ms = (mt_job__now_ns(own->way) - own->way->began_ns) / 1000000;

    if (own->way->earlier_ms + now_ms >= job->time_ms)
        return "time";
    if (job->memory_bytes > 0 && memory_bytes() > job->memory_bytes)
        return "memory";
    return is_over_disk(own) ? "disk" : NULL;
}

static bool should_stop(void *context)
{
    struct own *own = context;
    const struct mt_run_opts *opts = &own->way->opts->run;

    if (opts->should_stop != NULL && opts->should_stop(opts->context))
        return true;
    if (own->way->step < own->way->steps) /* what is done is not thrown away */
        own->used_up = what_is_used_up(own);
    return own->used_up != NULL;
}

static void on_event(void *context, const struct mt_run_event *event)
{
    struct own *own = context;

    own->way->step = event->step;
    own->way->steps = event->steps;
    own->way->tokens = event->tokens;
    switch (event->what) {
    case MT_RUN_BEGAN:
        own->way->earlier_ms = event->spent_ms;
        break;
    case MT_RUN_SAVED:
        own->checkpoint_bytes = bytes_of(event->path);
        break;
    case MT_RUN_WROTE:
        own->wrote_bytes += bytes_of(event->path);
        break;
    case MT_RUN_STEP:
    case MT_RUN_VALIDATED:
        break;
    }
    mt_run__tell(&own->way->opts->run, event);
}

/* ------------------------------------------------------------------ the run */

static mt_rc run(struct own *own, struct mt_err *err)
{
    struct mt_job__under_way *way = own->way;
    struct mt_run_opts opts = way->opts->run;

    opts.should_stop = should_stop;
    opts.on_event = on_event;
    opts.context = own;
    mt_rc rc = mt_run(&own->recipe, &opts, err);
    if (rc == MT_E_CANCELED && own->used_up != NULL)
        return mt_job__used_up(way, own->used_up, err,
                               "at step %llu of %llu; the checkpoint is whole",
                               (unsigned long long)way->step, (unsigned long long)way->steps);
    MT_TRY(rc);
    return is_over_disk(own) ? mt_job__used_up(way, "disk", err, "by what it wrote") : MT_OK;
}

static int64_t cpu_ms(void)
{
    struct rusage used = {0};

    (void)getrusage(RUSAGE_SELF, &used);
    return (int64_t)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1000 +
           (int64_t)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1000;
}

mt_rc mt_job__own(struct mt_job__under_way *way, struct mt_err *err)
{
    MT_CLEANUP(mt_recipe_freep) const struct mt_recipe *written = NULL;
    MT_CLEANUP(mt_freep) char *name = mt_alloc_cstr(way->whole->job.output_path);
    MT_CLEANUP(mt_freep) char *path = name != NULL ? mt_path_join(way->folder, name) : NULL;
    struct own own = {.way = way};
    int64_t from_ms = cpu_ms();

    if (path == NULL)
        return MT_FAIL(err, MT_E_NOMEM, "output");
    MT_TRY(read_recipe(&own, &written, err));
    MT_TRY(put_files(&own, written, err));
    mt_rc rc = run(&own, err);
    way->cpu_ms = cpu_ms() - from_ms;
    MT_TRY(rc);
    return mt_job__check_output(way, path, err);
}
