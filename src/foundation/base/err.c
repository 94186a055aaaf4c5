/* SPDX-License-Identifier: Apache-2.0 */
#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct rc_info {
    mt_rc rc;
    const char *name;
    int exit_code;
} rc_table[] = {
#define X(code, number, name, exit_code) {MT_E_##code, name, exit_code},
    MT_RC_MAP(X)
#undef X
};

static const struct rc_info *rc_find(mt_rc rc)
{
    for (size_t i = 0; i < MT_ARRAY_LEN(rc_table); i++) {
        if (rc_table[i].rc == rc)
            return &rc_table[i];
    }
    return NULL;
}

mt_rc mt_err_set(struct mt_err *err, mt_rc rc, int sys, const char *file, int line,
                 const char *format, ...)
{
    if (err == NULL)
        return rc;
    char text[MT_ERR_TEXT_MAX]; /* the arguments may point into err->text */
    va_list args;

    va_start(args, format);
    int n = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (sys != 0 && n >= 0 && (size_t)n < sizeof text)
        snprintf(text + n, sizeof text - (size_t)n, ": %s", strerror(sys));
    *err = (struct mt_err){.rc = rc, .sys = sys, .file = file, .line = line};
    memcpy(err->text, text, sizeof text);
    return rc;
}

mt_rc mt_err_wrap(struct mt_err *err, mt_rc rc, const char *format, ...)
{
    if (err == NULL)
        return rc;
    char text[MT_ERR_TEXT_MAX];
    va_list args;

    va_start(args, format);
    int n = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (n >= 0 && (size_t)n + 2 < sizeof text) { /* ": " and as much of the old text as fits */
        size_t left = sizeof text - (size_t)n - 3;
        size_t old = strnlen(err->text, left);
        memcpy(text + n, ": ", 2);
        memcpy(text + n + 2, err->text, old);
        text[(size_t)n + 2 + old] = '\0';
    }
    memcpy(err->text, text, sizeof text);
    err->rc = rc;
    return rc;
}

const char *mt_rc_name(mt_rc rc)
{
    const struct rc_info *info = rc_find(rc);

    return info != NULL ? info->name : "ok";
}

int mt_rc_exit_code(mt_rc rc)
{
    const struct rc_info *info = rc_find(rc);

    return info != NULL ? info->exit_code : 0;
}
