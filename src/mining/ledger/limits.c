/* SPDX-License-Identifier: Apache-2.0 */
#include "limits_priv.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"

static const char *const kind_names[MT_LIMIT_KINDS] = {"requests", "tokens", "nano-USD"};
static const char *const window_names[MT_LIMIT_WINDOWS] = {"second", "minute", "hour",
                                                           "day",    "month",  "lifetime"};

const char *mt_limit_kind_name(enum mt_limit_kind kind)
{
    return kind_names[kind];
}

const char *mt_limit_window_name(enum mt_limit_window window)
{
    return window_names[window];
}

struct mt_str mt_limits__copy_name(struct mt_str name, char **to)
{
    struct mt_str copy = {*to, name.len};

    if (name.len > 0)
        memcpy(*to, name.at, name.len);
    *to += name.len;
    return copy;
}

static mt_rc check_limit(const struct mt_limit *limit, struct mt_err *err)
{
    if (limit->key.len > MT_LIMIT_NAME_MAX || limit->model.len > MT_LIMIT_NAME_MAX)
        return MT_FAIL(err, MT_E_INVALID, "limit: a name of %zu bytes, expected at most %d",
                       limit->key.len > limit->model.len ? limit->key.len : limit->model.len,
                       MT_LIMIT_NAME_MAX);
    if (limit->max < 0 || (unsigned)limit->kind >= MT_LIMIT_KINDS ||
        (unsigned)limit->window >= MT_LIMIT_WINDOWS)
        return MT_FAIL(err, MT_E_INVALID, "limit of key '%.*s', model '%.*s': %lld",
                       MT_STR_ARG(limit->key), MT_STR_ARG(limit->model), (long long)limit->max);
    return MT_OK;
}

mt_rc mt_limits__copy(const struct mt_limit *rows, size_t n, struct mt_limits *out,
                      struct mt_err *err)
{
    size_t bytes = n * sizeof *rows;

    if (n > MT_LIMITS_MAX)
        return MT_FAIL(err, MT_E_TOOBIG, "limits: %zu, expected at most %d", n, MT_LIMITS_MAX);
    for (size_t i = 0; i < n; i++) {
        MT_TRY(check_limit(&rows[i], err));
        bytes += rows[i].key.len + rows[i].model.len;
    }
    struct mt_limits limits = {.rows = mt_alloc(1, bytes), .n = n};
    if (limits.rows == NULL)
        return MT_FAIL(err, MT_E_NOMEM, "%zu limits", n);
    char *names = (char *)(limits.rows + n);
    for (size_t i = 0; i < n; i++) {
        limits.rows[i] = rows[i];
        limits.rows[i].key = mt_limits__copy_name(rows[i].key, &names);
        limits.rows[i].model = mt_limits__copy_name(rows[i].model, &names);
        limits.has_pairs |= rows[i].key.len > 0 && rows[i].model.len > 0;
    }
    *out = limits;
    return MT_OK;
}

/* 0 = the row is not about this name, 1 = by '*', 2 = by name. "" is only about "". */
static int speaks_of(struct mt_str row, struct mt_str name)
{
    if (mt_str_eq(row, name))
        return 2;
    return name.len > 0 && mt_str_is(row, "*") ? 1 : 0;
}

/* The limits of one subject: of rows for one kind and window the most explicit holds, and of
 * equally explicit ones the last. */
void mt_limits__resolve(const struct mt_limits *limits, struct mt_str key, struct mt_str model,
                        int64_t max[MT_LIMIT_KINDS][MT_LIMIT_WINDOWS])
{
    int weight[MT_LIMIT_KINDS][MT_LIMIT_WINDOWS] = {{0}};

    memset(max, 0xff, sizeof(int64_t[MT_LIMIT_KINDS][MT_LIMIT_WINDOWS])); /* all -1 */
    for (size_t i = 0; i < limits->n; i++) {
        const struct mt_limit *row = &limits->rows[i];
        int by_key = speaks_of(row->key, key);
        int by_model = speaks_of(row->model, model);
        int own = by_key * 3 + by_model;

        if (by_key == 0 || by_model == 0 || own < weight[row->kind][row->window])
            continue;
        weight[row->kind][row->window] = own;
        max[row->kind][row->window] = row->max;
    }
}

/* "key 'a', model 'm'", or "node" */
static void name_subject(const struct mt_limit_hit *hit, char *out, size_t size)
{
    int n = 0;

    if (hit->key.len > 0)
        n = snprintf(out, size, "key '%.*s'%s", MT_STR_ARG(hit->key),
                     hit->model.len > 0 ? ", " : "");
    if (hit->model.len > 0 && n >= 0 && (size_t)n < size)
        snprintf(out + n, size - (size_t)n, "model '%.*s'", MT_STR_ARG(hit->model));
    if (hit->key.len == 0 && hit->model.len == 0)
        snprintf(out, size, "node");
}

mt_rc mt_limits__tell(const struct mt_limit_hit *hit, struct mt_err *err)
{
    char subject[2 * MT_LIMIT_NAME_MAX + 32];
    bool is_money = hit->kind == MT_LIMIT_MONEY;
    double unit = is_money ? 1e9 : 1;

    name_subject(hit, subject, sizeof subject);
    return MT_FAIL(err, is_money ? MT_E_BUDGET : MT_E_RATE_LIMITED,
                   "%s: limit of %.9g %s per %s, %.9g used, %.9g reserved, %.9g asked", subject,
                   (double)hit->max / unit, is_money ? "USD" : mt_limit_kind_name(hit->kind),
                   mt_limit_window_name(hit->window), (double)hit->used / unit,
                   (double)hit->held / unit, (double)hit->asked / unit);
}
