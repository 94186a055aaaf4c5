/* SPDX-License-Identifier: Apache-2.0 */
/* The table of limits: copied, and looked up for one subject. Pure. */
#ifndef MT_LEDGER_LIMITS_PRIV_H
#define MT_LEDGER_LIMITS_PRIV_H

#include "ledger/account.h"

struct mt_limits {
    struct mt_limit *rows; /* names point behind the rows, into the same block */
    size_t n;
    bool has_pairs; /* does any row name both, so that pairs have to be counted? */
};

/** Owned copy; mt_free(out->rows) ends it. @return MT_OK, MT_E_INVALID, MT_E_TOOBIG, MT_E_NOMEM
 */
mt_rc mt_limits__copy(const struct mt_limit *rows, size_t n, struct mt_limits *out,
                      struct mt_err *err);

/** The limits of the subject (key, model); -1 where there is none. */
void mt_limits__resolve(const struct mt_limits *limits, struct mt_str key, struct mt_str model,
                        int64_t max[MT_LIMIT_KINDS][MT_LIMIT_WINDOWS]);

/** Copy to *to, which moves behind it. */
struct mt_str mt_limits__copy_name(struct mt_str name, char **to);

/** Raise MT_E_BUDGET or MT_E_RATE_LIMITED in words. */
mt_rc mt_limits__tell(const struct mt_limit_hit *hit, struct mt_err *err);

#endif
