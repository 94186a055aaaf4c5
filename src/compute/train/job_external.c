/* SPDX-License-Identifier: Apache-2.0 */
/* A job that another program trains: in a fresh folder, with a few variables, under limits. It
 * ends by itself or is ended with its whole group; its output gets its name when it has been
 * found good. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "job_priv.h"
#include "run_priv.h"
#include "system/file.h"
#include "system/process.h"
#include "system/tree.h"

enum { TICK_MS = 50, DISK_EVERY_TICKS = 20, GRACE_MS = 10000, LINE_MAX_BYTES = 120 };

#define LOG_BYTES_MAX ((size_t)16 * 1024 * 1024)

enum why { GOES_ON, CANCELED, OVER_TIME, OVER_DISK };

struct external {
    struct mt_job__under_way *way;
    struct mt_process *process;
    char *work, *output; /* whole paths */
    int log;             /* -1: none */
    size_t log_bytes;
    bool is_log_full;
    char line[LINE_MAX_BYTES], last[LINE_MAX_BYTES]; /* being written; the last with words */
    size_t line_len, last_len;
    enum why why;
    bool is_asked; /* to end */
    int64_t asked_ns;
};

static void external_fini(struct external *x)
{
    mt_process_free(x->process);
    mt_fd_closep(&x->log);
    mt_free(x->work);
    mt_free(x->output);
}

/* ------------------------------------------------------------------ its folder */

static mt_rc link_file(struct external *x, const struct mt_job_file *file, struct mt_err *err)
{
    MT_CLEANUP(mt_freep) char *path = mt_alloc_cstr(file->path);
    MT_CLEANUP(mt_freep) char *name = mt_alloc_cstr(mt_job__base_name(file->path));
    MT_CLEANUP(mt_freep) char *link = name != NULL ? mt_path_join(x->work, name) : NULL;
    char whole[PATH_MAX];

    if (path == NULL || link == NULL)
        return MT_FAIL(err, MT_E_NOMEM, "files");
    if (realpath(path, whole) == NULL || symlink(whole, link) != 0)
        return MT_FAIL_SYS(err, mt_rc_of_errno(errno), errno, "files: '%s'", name);
    return MT_OK;
}

static mt_rc make_work(struct external *x, struct mt_err *err)
{
    const struct mt_job *job = &x->way->whole->job;
    MT_CLEANUP(mt_freep) char *name = mt_alloc_cstr(mt_job__base_name(job->output_path));

    x->work = mt_job__path(x->way, ".work");
    if (x->work == NULL || name == NULL)
        return MT_FAIL(err, MT_E_NOMEM, "folder of the job");
    x->output = mt_path_join(x->work, name);
    if (x->output == NULL)
        return MT_FAIL(err, MT_E_NOMEM, "folder of the job");
    MT_TRY(mt_tree_remove(x->work, err));
    MT_TRY(mt_dir_make(x->work, err));
    for (size_t i = 0; i < job->files_n; i++)
        MT_TRY(link_file(x, &job->files[i], err));
    return MT_OK;
}

/* ------------------------------------------------------------------ its output */

static mt_rc open_log(struct external *x, struct mt_err *err)
{
    MT_CLEANUP(mt_freep) char *path = mt_job__path(x->way, ".log");

    if (path == NULL)
        return MT_FAIL(err, MT_E_NOMEM, "log");
    x->log = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644);
    if (x->log < 0)
        return MT_FAIL_SYS(err, mt_rc_of_errno(errno), errno, "log '%s'", path);
    return MT_OK;
}

/* For the words of an error: a long line keeps its beginning. */
static void note_line(struct external *x, struct mt_str piece)
{
    for (size_t i = 0; i < piece.len; i++) {
        char c = piece.at[i];

        if (c != '\n' && c != '\r') {
            if (x->line_len < sizeof x->line)
                x->line[x->line_len++] = (unsigned char)c < ' ' || c == 0x7f ? ' ' : c;
            continue;
        }
        if (mt_str_trim((struct mt_str){x->line, x->line_len}).len > 0) {
            memcpy(x->last, x->line, x->line_len);
            x->last_len = x->line_len;
        }
        x->line_len = 0;
    }
}

/* A full disk does not end the training. */
static void add_to_log(struct external *x, struct mt_str piece)
{
    static const struct mt_str cut = MT_STR_INIT("\n[motet: the log is full]\n");

    if (x->is_log_full)
        return;
    x->is_log_full = piece.len > LOG_BYTES_MAX - x->log_bytes;
    piece = mt_str_sub(piece, 0, LOG_BYTES_MAX - x->log_bytes);
    (void)!write(x->log, piece.at, piece.len);
    if (x->is_log_full)
        (void)!write(x->log, cut.at, cut.len);
    x->log_bytes += piece.len;
}

static void on_output(void *context, struct mt_str piece)
{
    add_to_log(context, piece);
    note_line(context, piece);
}

/* ------------------------------------------------------------------ beginning */

static unsigned threads_of(const struct mt_job__under_way *way)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);

    return way->opts->run.threads_n > 0 ? way->opts->run.threads_n
           : cores > 0                  ? (unsigned)cores
                                        : 1;
}

/* Empty for a file that the job does not have. */
static mt_rc whole_path(struct mt_arena *arena, struct mt_str path, struct mt_str *out,
                        struct mt_err *err)
{
    MT_CLEANUP(mt_freep) char *copy = mt_alloc_cstr(path);
    char whole[PATH_MAX];

    if (path.len == 0)
        return MT_OK;
    if (copy == NULL)
        return MT_FAIL(err, MT_E_NOMEM, "files of the job");
    if (realpath(copy, whole) == NULL)
        return MT_FAIL_SYS(err, mt_rc_of_errno(errno), errno, "file '%s'", copy);
    *out = mt_arena_str(arena, mt_str_of(whole));
    return out->at != NULL ? MT_OK : mt_arena_fail(arena, err);
}

static mt_rc words_of(struct external *x, const char *const **out, struct mt_err *err)
{
    const struct mt_job *job = &x->way->whole->job;
    struct mt_arena *arena = &x->way->arena;
    struct mt_str *data = mt_arena_get(arena, job->data_n + 1, sizeof *data);
    struct mt_job__places places = {
        .output = mt_str_of(x->output),
        .work = mt_str_of(x->work),
        .threads = mt_arena_printf(arena, "%u", threads_of(x->way)),
        .data = data,
        .data_n = job->data_n,
    };

    if (data == NULL || places.threads.at == NULL)
        return mt_arena_fail(arena, err);
    MT_TRY(whole_path(arena, job->base.path, &places.base, err));
    for (size_t i = 0; i < job->data_n; i++)
        MT_TRY(whole_path(arena, job->data[i].path, &data[i], err));
    return mt_job__words(job, &places, arena, out, err);
}

enum { VARIABLES_N = 4 };

static mt_rc variables_of(struct external *x, const char *out[VARIABLES_N + 1],
                          struct mt_err *err)
{
    struct mt_arena *arena = &x->way->arena;
    const char *path = getenv("PATH");

    out[0] = mt_arena_printf(arena, "PATH=%s", path != NULL ? path : "/usr/bin:/bin").at;
    out[1] = mt_arena_printf(arena, "HOME=%s", x->work).at;
    out[2] = "LANG=C.UTF-8";
    out[3] = mt_arena_printf(arena, "OMP_NUM_THREADS=%u", threads_of(x->way)).at;
    out[VARIABLES_N] = NULL;
    return out[0] != NULL && out[1] != NULL && out[3] != NULL ? MT_OK
                                                              : mt_arena_fail(arena, err);
}

static mt_rc begin(struct external *x, struct mt_err *err)
{
    const char *const *words = NULL;
    const char *variables[VARIABLES_N + 1];

    MT_TRY(make_work(x, err));
    MT_TRY(open_log(x, err));
    MT_TRY(words_of(x, &words, err));
    MT_TRY(variables_of(x, variables, err));
    const struct mt_process_opts opts = {
        .argv = words,
        .environment = variables,
        .folder = x->work,
        .memory_bytes_max = x->way->whole->job.memory_bytes,
        .file_bytes_max = x->way->whole->job.disk_bytes,
        .on_output = on_output,
        .context = x,
    };
    mt_rc rc = mt_process_start(&opts, &x->process, err);
    return rc == MT_OK ? rc : mt_err_wrap(err, rc, "trainer");
}

/* ------------------------------------------------------------------ while it runs */

static bool is_disk_full(const struct external *x)
{
    int64_t most = x->way->whole->job.disk_bytes;

    return most > 0 && mt_tree_bytes(x->work) > most;
}

/* A file that was held at its limit is one byte short of going over it. */
static bool is_disk_at_its_end(const struct external *x)
{
    int64_t most = x->way->whole->job.disk_bytes;

    return most > 0 && mt_tree_bytes(x->work) >= most;
}

static enum why look(const struct external *x, int64_t tick)
{
    const struct mt_run_opts *opts = &x->way->opts->run;
    int64_t spent_ms = (mt_job__now_ns(x->way) - x->way->began_ns) / 1000000;

    if (opts->should_stop != NULL && opts->should_stop(opts->context))
        return CANCELED;
    if (spent_ms >= x->way->whole->job.time_ms)
        return OVER_TIME;
    return tick % DISK_EVERY_TICKS == 0 && is_disk_full(x) ? OVER_DISK : GOES_ON;
}

/* Ask, with the signal that a terminal would have sent, and insist after a while. */
static void end_it(struct external *x)
{
    int64_t grace_ms = x->way->opts->grace_ms > 0 ? x->way->opts->grace_ms : GRACE_MS;

    if (!x->is_asked) {
        x->is_asked = true;
        x->asked_ns = mt_job__now_ns(x->way);
        mt_process_signal(x->process, x->why == CANCELED ? SIGINT : SIGTERM);
    } else if ((mt_job__now_ns(x->way) - x->asked_ns) / 1000000 >= grace_ms) {
        mt_process_signal(x->process, SIGKILL);
    }
}

static void watch(struct external *x)
{
    for (int64_t tick = 1; !mt_process_wait(x->process, TICK_MS); tick++) {
        if (x->why == GOES_ON)
            x->why = look(x, tick);
        if (x->why != GOES_ON)
            end_it(x);
    }
}

/* ------------------------------------------------------------------ its end */

static mt_rc fail_trainer(const struct external *x, const struct mt_process_end *end,
                          struct mt_err *err)
{
    struct mt_str last = {x->last, x->last_len};

    if (mt_str_trim((struct mt_str){x->line, x->line_len}).len > 0)
        last = (struct mt_str){x->line, x->line_len};
    last.len = mt_str_utf8_whole(last);
    if (end->signal != 0)
        return MT_FAIL(err, MT_E_UPSTREAM, "trainer: ended by signal %d (%s)%s%.*s",
                       end->signal, strsignal(end->signal), last.len > 0 ? ": " : "",
                       MT_STR_ARG(last));
    return MT_FAIL(err, MT_E_UPSTREAM, "trainer: exit status %d%s%.*s", end->exit_status,
                   last.len > 0 ? ": " : "", MT_STR_ARG(last));
}

static mt_rc judge(const struct external *x, const struct mt_process_end *end,
                   struct mt_err *err)
{
    bool is_good = end->exit_status == 0;

    switch (x->why) {
    case CANCELED:
        return MT_FAIL(err, MT_E_CANCELED, "stopped");
    case OVER_TIME:
        return mt_job__used_up(x->way, "time", err, "and the trainer was ended");
    case OVER_DISK:
        return mt_job__used_up(x->way, "disk", err, "and the trainer was ended");
    case GOES_ON:
        break;
    }
    if (end->signal == SIGXFSZ || (is_good ? is_disk_full(x) : is_disk_at_its_end(x)))
        return mt_job__used_up(x->way, "disk", err, "by what the trainer wrote");
    return is_good ? MT_OK : fail_trainer(x, end, err);
}

static mt_rc publish(struct external *x, struct mt_err *err)
{
    struct mt_job__under_way *way = x->way;
    struct mt_str below = way->whole->job.output_path;
    MT_CLEANUP(mt_freep) char *name = mt_alloc_cstr(below);
    MT_CLEANUP(mt_freep) char *path = name != NULL ? mt_path_join(way->folder, name) : NULL;

    if (path == NULL)
        return MT_FAIL(err, MT_E_NOMEM, "output");
    MT_TRY(mt_job__check_output(way, x->output, err));
    char *slash = strrchr(path, '/');
    *slash = '\0';
    MT_TRY(mt_dir_make(path, err));
    *slash = '/';
    MT_TRY(mt_file_publish(x->output, path, 0644, err));
    mt_run__tell(&way->opts->run, &(struct mt_run_event){.what = MT_RUN_WROTE, .path = path});
    return mt_tree_remove(x->work, err);
}

mt_rc mt_job__external(struct mt_job__under_way *way, struct mt_err *err)
{
    MT_CLEANUP(external_fini) struct external x = {.way = way, .log = -1};

    if (way->opts->run.from == MT_RUN_CHECKPOINT)
        return MT_FAIL(err, MT_E_INVALID, "another trainer has no checkpoint to go on from");
    MT_TRY(begin(&x, err));
    watch(&x);
    struct mt_process_end end = mt_process_reap(x.process);
    way->has_ended = true;
    way->exit_status = end.exit_status;
    way->signal = end.signal;
    way->cpu_ms = end.cpu_ms;
    MT_TRY(judge(&x, &end, err));
    return publish(&x, err);
}
