/* SPDX-License-Identifier: Apache-2.0 */
/* base/err.h - the closed list of failures and the object that carries their words.
 *
 * Every call that can fail returns mt_rc and takes a struct mt_err * last (NULL = not
 * interested). On failure outputs are untouched; on success err is untouched.
 * Thread rule: none, an mt_err belongs to its caller. */
#ifndef MT_BASE_ERR_H
#define MT_BASE_ERR_H

#include <stdbool.h>

#include "base/attr.h"

#if defined(__clang__)
#define MT_MUST_CHECK_TYPE __attribute__((warn_unused_result))
#elif defined(__GNUC__) && !defined(__STRICT_ANSI__) && !defined(__cplusplus)
#define MT_MUST_CHECK_TYPE [[nodiscard]]
#else
#define MT_MUST_CHECK_TYPE
#endif

/* code, number (never reused), wire name, process exit code */
#define MT_RC_MAP(X)                        \
    X(INVALID, -1, "invalid", 2)            \
    X(UNSUPPORTED, -2, "unsupported", 3)    \
    X(UNAUTHORIZED, -3, "unauthorized", 4)  \
    X(DENIED, -4, "denied", 5)              \
    X(NOTFOUND, -5, "not_found", 6)         \
    X(EXISTS, -6, "exists", 7)              \
    X(TOOBIG, -7, "too_big", 8)             \
    X(RATE_LIMITED, -8, "rate_limited", 9)  \
    X(BUDGET, -9, "budget_exceeded", 10)    \
    X(BUSY, -10, "busy", 11)                \
    X(TIMEOUT, -11, "timeout", 12)          \
    X(CANCELED, -12, "canceled", 13)        \
    X(UPSTREAM, -13, "upstream_failed", 14) \
    X(CORRUPT, -14, "corrupt", 15)          \
    X(IO, -15, "io", 16)                    \
    X(NOMEM, -16, "no_memory", 17)

typedef enum MT_MUST_CHECK_TYPE mt_rc {
    MT_OK = 0,
#define X(code, number, name, exit_code) MT_E_##code = number,
    MT_RC_MAP(X)
#undef X
} mt_rc;

enum { MT_ERR_TEXT_MAX = 256 };

struct mt_err {
    mt_rc rc;
    int sys;          /* errno where the failure began, or 0 */
    const char *file; /* static storage */
    int line;
    char text[MT_ERR_TEXT_MAX]; /* NUL-terminated, may be cut; never secret data */
};

/** Raise a failure: fill err (when not NULL) and give the code back. */
#define MT_FAIL(err, code, ...) mt_err_set((err), (code), 0, __FILE__, __LINE__, __VA_ARGS__)

/** As MT_FAIL, with the errno that began it; its meaning is appended to the text. */
#define MT_FAIL_SYS(err, code, sys_errno, ...) \
    mt_err_set((err), (code), (sys_errno), __FILE__, __LINE__, __VA_ARGS__)

/** Pass a failure on. The only macro in the tree that returns. */
#define MT_TRY(call)        \
    do {                    \
        mt_rc rc_ = (call); \
        if (rc_ < 0)        \
            return rc_;     \
    } while (0)

/** Fill err from printf-like words; use MT_FAIL, which records the place. Returns rc. */
mt_rc mt_err_set(struct mt_err *err, mt_rc rc, int sys, const char *file, int line,
                 const char *format, ...) MT_PRINTF(6, 7);

/** Put context in front of a failure on its way up: "manifest 'a': <old text>". Returns rc. */
mt_rc mt_err_wrap(struct mt_err *err, mt_rc rc, const char *format, ...) MT_PRINTF(3, 4);

/** Stable lower-case name of a code, for wires, logs and metrics; "ok" for MT_OK. */
const char *mt_rc_name(mt_rc rc);

/** Exit code of a process that ends with this failure; 0 for MT_OK. */
int mt_rc_exit_code(mt_rc rc);

#endif
