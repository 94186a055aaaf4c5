/* SPDX-License-Identifier: Apache-2.0 */
/* system/log.h - one line, one event, one write(2).
 *
 *   mt_log(log, MT_LOG_WARN, "gateway", "upstream_failed",
 *          MT_LOG_STR("endpoint", name), MT_LOG_I64("status", 502));
 *
 *   2026-01-01T00:00:00.000Z warn gateway upstream_failed endpoint=shed status=502
 *
 * Only services and apps log; the core returns errors. A disabled level costs one compare.
 * Events of one module and name at error or warn level beyond 20 a second are counted instead
 * of written; the next one written says suppressed=N. Any thread. */
#ifndef MT_SYSTEM_LOG_H
#define MT_SYSTEM_LOG_H

#include <stdatomic.h>

#include "base/err.h"
#include "base/str.h"

struct mt_env;

enum mt_log_level {
    MT_LOG_ERROR, /* something asked for was not done */
    MT_LOG_WARN,  /* degraded and going on */
    MT_LOG_INFO,  /* a change an operator cares about */
    MT_LOG_DEBUG, /* per request */
    MT_LOG_TRACE, /* per turn */
};

enum mt_log_format { MT_LOG_LOGFMT, MT_LOG_JSON };

enum mt_log_kind { MT_LOG_KIND_STR, MT_LOG_KIND_I64, MT_LOG_KIND_F64, MT_LOG_KIND_BOOL };

struct mt_log_field {
    const char *name; /* a literal; [a-z0-9_] */
    enum mt_log_kind kind;
    struct mt_str str;
    int64_t i64; /* also of a BOOL */
    double f64;
};

#define MT_LOG_STR(field_name, text) \
    ((struct mt_log_field){.name = (field_name), .kind = MT_LOG_KIND_STR, .str = (text)})
#define MT_LOG_CSTR(field_name, text) MT_LOG_STR(field_name, mt_str_of(text))
#define MT_LOG_I64(field_name, value) \
    ((struct mt_log_field){           \
        .name = (field_name), .kind = MT_LOG_KIND_I64, .i64 = (int64_t)(value)})
#define MT_LOG_F64(field_name, value) \
    ((struct mt_log_field){.name = (field_name), .kind = MT_LOG_KIND_F64, .f64 = (value)})
#define MT_LOG_BOOL(field_name, value) \
    ((struct mt_log_field){            \
        .name = (field_name), .kind = MT_LOG_KIND_BOOL, .i64 = (value) ? 1 : 0})

/** The words and the code of a failure, as two fields. */
#define MT_LOG_ERR(failure) \
    MT_LOG_CSTR("rc", mt_rc_name((failure)->rc)), MT_LOG_CSTR("error", (failure)->text)

struct mt_log {
    _Atomic int level_max_; /* the most talkative level of any module */
};

struct mt_log_opts {
    struct mt_env *env; /* its clocks; NULL = the real one */
    int fd;             /* borrowed; 0 = standard error */
    enum mt_log_format format;
    struct mt_str levels; /* as for mt_log_set_levels; empty = "info" */
};

/** @return MT_OK, MT_E_NOMEM, MT_E_INVALID (levels) */
mt_rc mt_log_new(const struct mt_log_opts *opts, struct mt_log **out, struct mt_err *err);

/** Write the counts still held back, and free. NULL is allowed. */
void mt_log_free(struct mt_log *log);

/** "info", or "info,gateway=debug,ledger=warn": the level of all and of at most 32 modules.
 *  @return MT_OK, MT_E_INVALID (names the word; the levels stay as they were) */
mt_rc mt_log_set_levels(struct mt_log *log, struct mt_str levels, struct mt_err *err);

/** Log, with any number of fields. log may be NULL: nothing is written. */
#define mt_log(log, level, module, event, ...)                                             \
    do {                                                                                   \
        struct mt_log *log_ = (log);                                                       \
        if (log_ != NULL &&                                                                \
            (int)(level) <= atomic_load_explicit(&log_->level_max_, memory_order_relaxed)) \
            mt_log_write(log_, (level), (module), (event),                                 \
                         (const struct mt_log_field[]){__VA_ARGS__ __VA_OPT__(, ){0}});    \
    } while (0)

/** As mt_log with an array that a field without name ends. module and event are literals. */
void mt_log_write(struct mt_log *log, enum mt_log_level level, const char *module,
                  const char *event, const struct mt_log_field *fields);

const char *mt_log_level_name(enum mt_log_level level);

#endif
