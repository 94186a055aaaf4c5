/* SPDX-License-Identifier: Apache-2.0 */
/* Invariant: level_max_ is the largest level of the default and of any module, so a call it
 * refuses could not have been written. Levels and repeats are under one mutex; the line itself
 * is built and written outside it, as one write(2), so lines of threads do not mix. */
#include "system/log.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "log_priv.h"
#include "system/env.h"

enum {
    MODULES_MAX = 32,
    MODULE_NAME_MAX = 32,
    EVENTS_MAX = 64, /* kinds of event whose repeats are counted */
    REPEATS_PER_S = 20,
};

struct module_level {
    char name[MODULE_NAME_MAX];
    int level;
};

struct levels {
    int all;
    size_t modules_n;
    struct module_level modules[MODULES_MAX];
};

struct repeats {
    const char *module, *event; /* literals; module NULL = free */
    int64_t second;
    int64_t written_n, suppressed_n;
};

struct logger {
    struct mt_log face; /* first */
    struct mt_env *env;
    int fd;
    enum mt_log_format format;
    pthread_mutex_t lock;
    struct levels levels;
    struct repeats repeats[EVENTS_MAX];
};

static const char *const level_names[] = {"error", "warn", "info", "debug", "trace"};

const char *mt_log_level_name(enum mt_log_level level)
{
    return level_names[level];
}

static struct logger *logger_of(struct mt_log *log)
{
    return MT_CONTAINER(log, struct logger, face);
}

static bool level_of(struct mt_str word, int *out)
{
    for (size_t i = 0; i < MT_ARRAY_LEN(level_names); i++) {
        if (mt_str_is(word, level_names[i])) {
            *out = (int)i;
            return true;
        }
    }
    return false;
}

static mt_rc add_module(struct levels *levels, struct mt_str name, struct mt_str level,
                        struct mt_err *err)
{
    struct module_level *module = &levels->modules[levels->modules_n];

    if (levels->modules_n == MODULES_MAX || name.len == 0 || name.len >= MODULE_NAME_MAX)
        return MT_FAIL(err, MT_E_INVALID,
                       "log levels: module '%.*s': expected at most %d modules with names of "
                       "at most %d characters",
                       MT_STR_ARG(name), MODULES_MAX, MODULE_NAME_MAX - 1);
    if (!level_of(level, &module->level))
        return MT_FAIL(err, MT_E_INVALID,
                       "log levels: '%.*s': expected error, warn, info, debug or trace",
                       MT_STR_ARG(level));
    memcpy(module->name, name.at, name.len);
    levels->modules_n++;
    return MT_OK;
}

static mt_rc parse_levels(struct mt_str text, struct levels *out, struct mt_err *err)
{
    *out = (struct levels){.all = MT_LOG_INFO};
    while (text.len > 0) {
        struct mt_str level = mt_str_trim(mt_str_take(&text, ','));
        struct mt_str name = MT_STR("");
        if (mt_str_find_char(level, '=') < level.len) {
            name = mt_str_trim(mt_str_take(&level, '='));
            MT_TRY(add_module(out, name, mt_str_trim(level), err));
        } else if (!level_of(level, &out->all)) {
            return MT_FAIL(err, MT_E_INVALID,
                           "log levels: '%.*s': expected error, warn, info, debug or trace",
                           MT_STR_ARG(level));
        }
    }
    return MT_OK;
}

static int most_talkative(const struct levels *levels)
{
    int most = levels->all;

    for (size_t i = 0; i < levels->modules_n; i++)
        most = levels->modules[i].level > most ? levels->modules[i].level : most;
    return most;
}

static int level_for(const struct levels *levels, const char *module)
{
    for (size_t i = 0; i < levels->modules_n; i++) {
        if (strcmp(levels->modules[i].name, module) == 0)
            return levels->modules[i].level;
    }
    return levels->all;
}

mt_rc mt_log_set_levels(struct mt_log *log, struct mt_str levels, struct mt_err *err)
{
    struct logger *logger = logger_of(log);
    struct levels parsed;

    MT_TRY(parse_levels(levels, &parsed, err));
    pthread_mutex_lock(&logger->lock);
    logger->levels = parsed;
    atomic_store_explicit(&log->level_max_, most_talkative(&parsed), memory_order_relaxed);
    pthread_mutex_unlock(&logger->lock);
    return MT_OK;
}

mt_rc mt_log_new(const struct mt_log_opts *opts, struct mt_log **out, struct mt_err *err)
{
    MT_CLEANUP(mt_freep) struct logger *logger = mt_alloc(1, sizeof *logger);

    if (logger == NULL)
        return MT_FAIL(err, MT_E_NOMEM, "log");
    MT_TRY(parse_levels(opts->levels, &logger->levels, err));
    logger->env = opts->env != NULL ? opts->env : mt_env_real();
    logger->fd = opts->fd > 0 ? opts->fd : STDERR_FILENO;
    logger->format = opts->format;
    atomic_init(&logger->face.level_max_, most_talkative(&logger->levels));
    pthread_mutex_init(&logger->lock, NULL);
    *out = &MT_MOVE(logger)->face;
    return MT_OK;
}

/* The counter of an event; the least recent one is given up when all are taken. */
static struct repeats *repeats_of(struct logger *logger, const char *module, const char *event)
{
    struct repeats *oldest = &logger->repeats[0];

    for (size_t i = 0; i < EVENTS_MAX; i++) {
        struct repeats *r = &logger->repeats[i];
        if (r->module != NULL && strcmp(r->event, event) == 0 && strcmp(r->module, module) == 0)
            return r;
        if (oldest->module != NULL && (r->module == NULL || r->second < oldest->second))
            oldest = r;
    }
    *oldest = (struct repeats){.module = module, .event = event};
    return oldest;
}

/* May this repeat be written? Then *suppressed_n receives how many were not since the last. */
static bool may_repeat(struct repeats *r, int64_t second, int64_t *suppressed_n)
{
    if (r->second != second) {
        r->second = second;
        r->written_n = 0;
    }
    if (r->written_n >= REPEATS_PER_S) {
        r->suppressed_n++;
        return false;
    }
    r->written_n++;
    *suppressed_n = r->suppressed_n;
    r->suppressed_n = 0;
    return true;
}

static bool is_wanted(struct logger *logger, enum mt_log_level level, const char *module,
                      const char *event, int64_t *suppressed_n)
{
    pthread_mutex_lock(&logger->lock);
    bool is = (int)level <= level_for(&logger->levels, module);
    if (is && level <= MT_LOG_WARN)
        is = may_repeat(repeats_of(logger, module, event),
                        mt_env_now_mono_ns(logger->env) / 1000000000, suppressed_n);
    pthread_mutex_unlock(&logger->lock);
    return is;
}

static void write_line(const struct logger *logger, const struct mt_log_line *line)
{
    ssize_t put;

    do /* a log that cannot be written has nobody to tell */
        put = write(logger->fd, line->at, line->len);
    while (put < 0 && errno == EINTR);
}

void mt_log_write(struct mt_log *log, enum mt_log_level level, const char *module,
                  const char *event, const struct mt_log_field *fields)
{
    struct logger *logger = logger_of(log);
    struct mt_log_line line;
    int64_t suppressed_n = 0;

    if (!is_wanted(logger, level, module, event, &suppressed_n))
        return;
    mt_log__begin(&line, logger->format, mt_env_now_wall_ms(logger->env), level, module, event);
    if (suppressed_n > 0)
        mt_log__field(&line, &MT_LOG_I64("suppressed", suppressed_n));
    for (; fields->name != NULL; fields++)
        mt_log__field(&line, fields);
    mt_log__end(&line);
    write_line(logger, &line);
}

void mt_log_free(struct mt_log *log)
{
    if (log == NULL)
        return;
    struct logger *logger = logger_of(log);

    for (size_t i = 0; i < EVENTS_MAX; i++) {
        const struct repeats *r = &logger->repeats[i];
        if (r->suppressed_n == 0)
            continue;
        struct mt_log_line line;
        mt_log__begin(&line, logger->format, mt_env_now_wall_ms(logger->env), MT_LOG_WARN,
                      r->module, r->event);
        mt_log__field(&line, &MT_LOG_I64("suppressed", r->suppressed_n));
        mt_log__end(&line);
        write_line(logger, &line);
    }
    pthread_mutex_destroy(&logger->lock);
    mt_free(logger);
}
