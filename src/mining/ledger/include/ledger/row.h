/* SPDX-License-Identifier: Apache-2.0 */
/* ledger/row.h - the one row that every request leaves, however it ended. */
#ifndef MT_LEDGER_ROW_H
#define MT_LEDGER_ROW_H

#include <stdbool.h>

#include "base/str.h"
#include "ledger/price.h"

/* number (stored, never reused), name (in the database, logs and metrics), meaning */
#define MT_OUTCOME_MAP(X)                                                               \
    X(OK, 0, "ok")                         /* answered to the end */                    \
    X(CACHE_HIT, 1, "cache_hit")           /* answered from the cache, no upstream */   \
    X(CLIENT_GONE, 2, "client_gone")       /* the client left before the end */         \
    X(UPSTREAM_ERROR, 3, "upstream_error") /* no upstream answered, or one broke off */ \
    X(TIMEOUT, 4, "timeout")               /* a deadline of the policy passed */        \
    X(BUDGET_CUT, 5, "budget_cut")         /* the budget ended in mid-stream */         \
    X(REJECTED, 6, "rejected")             /* refused before any upstream was asked */  \
    X(INTERRUPTED, 7, "interrupted")       /* the node died while it was answering */   \
    X(INTERNAL, 8, "internal_error")       /* a failure of this node */

enum mt_outcome {
#define X(name, number, text) MT_OUTCOME_##name = number,
    MT_OUTCOME_MAP(X)
#undef X
};

const char *mt_outcome_name(enum mt_outcome outcome);

/* Bits of `estimated`: counted here or guessed because the upstream did not say. */
enum { MT_ESTIMATED_INPUT = 1, MT_ESTIMATED_OUTPUT = 2, MT_ESTIMATED_COST = 4 };

/** Texts longer than their limit [bytes] are cut at a character; attempts longer than its limit
 *  is replaced by "null", since half of a JSON text is none. -1 in a number = not known. */
struct mt_ledger_row {
    struct mt_str receipt;      /* 26, see crypto/id.h */
    struct mt_str request_id;   /* 64; the client's or ours */
    struct mt_str key;          /* 96; its name, never the key */
    struct mt_str dialect;      /* 16; of the caller */
    struct mt_str kind;         /* 16; "chat", "embeddings", ... */
    struct mt_str model_asked;  /* 128 */
    struct mt_str model_served; /* 128 */
    struct mt_str endpoint;     /* 96; who answered */
    struct mt_str attempts;     /* 4096; JSON: the route, the attempts and why */
    struct mt_str error;        /* 512 */
    struct mt_str warnings;     /* 512 */
    struct mt_str parts;        /* MT_ROW_PARTS_MAX; see struct mt_row_part */
    enum mt_outcome outcome;
    int64_t started_at_ms; /* wall */
    int64_t http_status;
    int64_t input_n, output_n, cached_n, cache_write_n, reasoning_n; /* billed, see price.h */
    int64_t own_input_n, own_output_n;                               /* counted here */
    int64_t estimated;                                               /* MT_ESTIMATED_ bits */
    int64_t cost_usd_nano;
    int64_t ttft_us; /* first byte of the answer after the start */
    int64_t duration_us;
};

/** A model behind model_served that the request was counted against besides (account.h), so
 *  that its limits know it after a restart. One line of a row's `parts`: tokens, money, name.
 */
struct mt_row_part {
    struct mt_str model;
    int64_t tokens_n, cost_usd_nano;
};

enum { MT_ROW_PARTS_MAX = 384 };

/** False, and nothing added, when there is no room for it. */
struct mt_buf;
bool mt_row_add_part(struct mt_buf *parts, const struct mt_row_part *part);

/** Take the first part off; false when there is none left. */
bool mt_row_next_part(struct mt_str *parts, struct mt_row_part *out);

#endif
