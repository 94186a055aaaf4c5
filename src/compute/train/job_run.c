/* SPDX-License-Identifier: Apache-2.0 */
/* A job from its files to its result. */
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "job_priv.h"
#include "run_priv.h"
#include "system/env.h"
#include "system/file.h"

enum { ARENA_MAX = 16 * 1024 * 1024, RESULT_MAX = 1024 * 1024 };

int64_t mt_job__now_ns(const struct mt_job__under_way *way)
{
    return mt_env_now_mono_ns(way->opts->run.env);
}

char *mt_job__path(const struct mt_job__under_way *way, const char *end)
{
    MT_CLEANUP(mt_buf_fini) struct mt_buf name = MT_BUF_INIT(PATH_MAX);

    mt_buf_add(&name, way->whole->job.name);
    mt_buf_add_cstr(&name, end);
    return name.rc == MT_OK ? mt_path_join(way->folder, mt_buf_cstr(&name)) : NULL;
}

mt_rc mt_job__used_up(const struct mt_job__under_way *way, const char *what, struct mt_err *err,
                      const char *format, ...)
{
    MT_CLEANUP(mt_buf_fini) struct mt_buf amount = MT_BUF_INIT(64);
    char name[32], words[MT_ERR_TEXT_MAX];
    va_list args;

    (void)snprintf(name, sizeof name, "budget.%s", what);
    const struct mt_settings_key *key = mt_settings_find(&mt_job__root, mt_str_of(name));
    const union mt_settings_value value = mt_settings_get(key, &way->whole->job);
    mt_settings_format(key, &value, &amount);
    va_start(args, format);
    (void)vsnprintf(words, sizeof words, format, args);
    va_end(args);
    return MT_FAIL(err, MT_E_BUDGET, "budget: %s of %s is used up %s", what,
                   mt_buf_cstr(&amount), words);
}

static mt_rc find_folder(struct mt_job__under_way *way, struct mt_err *err)
{
    char whole[PATH_MAX];

    if (realpath(way->opts->run.folder, whole) == NULL)
        return MT_FAIL_SYS(err, mt_rc_of_errno(errno), errno, "folder '%s'",
                           way->opts->run.folder);
    way->folder = mt_alloc_cstr(mt_str_of(whole));
    return way->folder != NULL ? MT_OK : MT_FAIL(err, MT_E_NOMEM, "job");
}

static mt_rc take_lock(const struct mt_job__under_way *way, struct mt_lock **out,
                       struct mt_err *err)
{
    MT_CLEANUP(mt_freep) char *path = mt_job__path(way, ".lock");

    if (path == NULL)
        return MT_FAIL(err, MT_E_NOMEM, "job");
    return mt_lock_take(path, way->whole->job.name, out, err);
}

static mt_rc work(struct mt_job__under_way *way, struct mt_err *err)
{
    MT_TRY(mt_job__check_inputs(way, err));
    return way->whole->job.trainer_n > 0 ? mt_job__external(way, err) : mt_job__own(way, err);
}

static mt_rc write_result(const struct mt_job__under_way *way, const char *path, mt_rc rc,
                          const struct mt_err *why, struct mt_err *err)
{
    MT_CLEANUP(mt_buf_fini) struct mt_buf text = MT_BUF_INIT(RESULT_MAX);

    mt_job__result(way, rc, why, &text);
    MT_TRY(mt_buf_check(&text, "result", err));
    MT_TRY(mt_file_write(path, mt_buf_str(&text), 0644, err));
    if (way->opts->result != NULL)
        mt_buf_add(way->opts->result, mt_buf_str(&text));
    mt_run__tell(&way->opts->run, &(struct mt_run_event){.what = MT_RUN_WROTE, .path = path});
    return MT_OK;
}

/* The old result goes first: what is read there is of the job that ended last. */
static mt_rc run(struct mt_job__under_way *way, struct mt_err *err)
{
    MT_CLEANUP(mt_freep) char *path = mt_job__path(way, ".result.json");
    struct mt_err why = {0};

    if (path == NULL)
        return MT_FAIL(err, MT_E_NOMEM, "job");
    MT_TRY(mt_file_remove(path, err));
    mt_rc rc = work(way, &why);
    if (rc == MT_OK)
        return write_result(way, path, rc, &why, err);
    (void)write_result(way, path, rc, &why, NULL); /* what failed first is what is told */
    if (err != NULL)
        *err = why;
    return rc;
}

static void lock_freep(struct mt_lock **lock)
{
    mt_lock_free(*lock);
}

static void under_way_fini(struct mt_job__under_way *way)
{
    mt_arena_fini(&way->arena);
    mt_free(way->folder);
}

mt_rc mt_job_run(const struct mt_job *job, const struct mt_job_opts *opts, struct mt_err *err)
{
    MT_CLEANUP(under_way_fini)
    struct mt_job__under_way way = {.whole = mt_job__whole_of(job), .opts = opts};
    MT_CLEANUP(lock_freep) struct mt_lock *lock = NULL;

    mt_arena_init(&way.arena, ARENA_MAX);
    way.began_ns = mt_job__now_ns(&way);
    MT_TRY(find_folder(&way, err));
    MT_TRY(take_lock(&way, &lock, err));
    return run(&way, err);
}
