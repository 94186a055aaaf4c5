/* SPDX-License-Identifier: Apache-2.0 */
/* ledger/account.h - who may still spend what: reserve, extend, settle, release.
 *
 * Four subjects stand behind a request: the node, its key, its model, and the pair of both.
 * Each may have limits on requests, tokens and money per window. A reservation is granted by
 * all of them or changes nothing. Tokens and money are *held* from reserve to settle, and held
 * amounts count in every window, so that what is granted can be spent without passing a limit;
 * at settle the actual amount, which may be less or more, is booked at that moment and the hold
 * ends. A request is counted when it is reserved. A request for an alias *joins* the models
 * behind it while it is with them, and then all of these must have room as well.
 *
 * Second, minute and hour slide in steps of a twentieth: no span of that length ever holds more
 * than the limit. Day and month are those of UTC. Total never ends.
 *
 * Invariants: held >= 0; after a grant, booked + held <= limit in every window of every
 * subject; what settle is told is booked, whatever the limits say. Thread rule: any thread; one
 * mutex, no I/O under it. Time comes from the caller [wall ms]. */
#ifndef MT_LEDGER_ACCOUNT_H
#define MT_LEDGER_ACCOUNT_H

#include <stdbool.h>

#include "base/err.h"
#include "base/str.h"

enum mt_limit_kind { MT_LIMIT_REQUESTS, MT_LIMIT_TOKENS, MT_LIMIT_MONEY };
enum { MT_LIMIT_KINDS = MT_LIMIT_MONEY + 1 };

enum mt_limit_window {
    MT_WINDOW_SECOND,
    MT_WINDOW_MINUTE,
    MT_WINDOW_HOUR,
    MT_WINDOW_DAY,
    MT_WINDOW_MONTH,
    MT_WINDOW_TOTAL,
};
enum { MT_LIMIT_WINDOWS = MT_WINDOW_TOTAL + 1 };

/** One row of the table of limits. key and model: a name; "" = whatever it is, all together;
 *  "*" = each by itself, unless a row names it for the same kind and window. */
struct mt_limit {
    struct mt_str key;
    struct mt_str model;
    enum mt_limit_kind kind;
    enum mt_limit_window window;
    int64_t max; /* requests, tokens or nano-USD; 0 allows nothing */
};

enum { MT_LIMIT_NAME_MAX = 256, MT_LIMITS_MAX = 65536, MT_LIMIT_SUBJECTS_MAX = 131072 };

/** The limit that said no. Texts are borrowed from the question. */
struct mt_limit_hit {
    struct mt_str key, model; /* of the subject; "" = not by this */
    enum mt_limit_kind kind;
    enum mt_limit_window window;
    int64_t max, used, held, asked;
    int64_t retry_after_ms; /* -1: never with this amount */
};

/** "requests", "tokens", "nano-USD"; "second" .. "month", "lifetime": to be read after "per".
 */
const char *mt_limit_kind_name(enum mt_limit_kind kind);
const char *mt_limit_window_name(enum mt_limit_window window);

struct mt_account;
struct mt_account_subject;

/** @param limits copied
 *  @return MT_OK, MT_E_INVALID (a negative maximum, a name too long), MT_E_TOOBIG, MT_E_NOMEM
 */
mt_rc mt_account_new(const struct mt_limit *limits, size_t limits_n, struct mt_account **out,
                     struct mt_err *err);
void mt_account_free(struct mt_account *account); /* NULL is allowed; no hold is open */

/** Replace the table; counters and holds stay. Day, month and total are counted for everybody
 *  all the time, so a new limit on them knows the past; on a shorter window it begins now. On
 *  failure the old table stays. */
mt_rc mt_account_set_limits(struct mt_account *account, const struct mt_limit *limits,
                            size_t limits_n, struct mt_err *err);

/** What a request may cost at most. key and model are names of the configuration (they are kept
 *  as subjects for good), never text of a caller. */
struct mt_account_ask {
    struct mt_str key;   /* "" = no key was needed */
    struct mt_str model; /* the one that will be served */
    int64_t tokens_n;    /* prompt and answer together; 0 = none to be held */
    int64_t cost_usd_nano;
};

enum { MT_ACCOUNT_PART_MODELS = 4 };

/** More models that a request is counted against for as long as it is with them: an alias was
 *  reserved for, and this is what stands behind one of its targets. Zero = of no hold. It stays
 *  where it is while it is in a hold. */
struct mt_account_part {
    struct mt_account_part *next_;
    struct mt_account_subject *subjects_[2 * MT_ACCOUNT_PART_MODELS]; /* models, pairs */
    int64_t at_ms;   /* when its request was counted */
    bool is_counted; /* its request: once, however often it comes back */
    bool is_held;
    bool was_first_; /* is_held began with counting it */
};

/** A reservation; zero = none. Belongs to the request; moves by assignment. Each of its parts
 *  holds what it holds itself. */
struct mt_account_hold {
    struct mt_account_subject *subjects_[4]; /* node, key, model, pair */
    struct mt_account_part *parts_;
    int64_t tokens_n; /* held now */
    int64_t cost_usd_nano;
    int64_t at_ms;
};

/** Reserve all or nothing.
 *  @param hit may be NULL; filled on MT_E_RATE_LIMITED and MT_E_BUDGET
 *  @return MT_OK, MT_E_RATE_LIMITED (requests or tokens), MT_E_BUDGET (money), MT_E_NOMEM,
 *  MT_E_TOOBIG (subjects), MT_E_INVALID (a negative amount, a name too long) */
mt_rc mt_account_reserve(struct mt_account *account, int64_t now_ms,
                         const struct mt_account_ask *ask, struct mt_account_hold *hold,
                         struct mt_limit_hit *hit, struct mt_err *err);

/** In mid-stream: may this request go on with so much more? The hold grows, or stays as it is.
 */
mt_rc mt_account_extend(struct mt_account *account, int64_t now_ms,
                        struct mt_account_hold *hold, int64_t more_tokens_n,
                        int64_t more_cost_usd_nano, struct mt_limit_hit *hit,
                        struct mt_err *err);

/** What a request is about to be counted against besides. */
struct mt_account_join {
    struct mt_str key;           /* of the hold */
    const struct mt_str *models; /* none of them the hold's own, none twice */
    size_t models_n;             /* at most MT_ACCOUNT_PART_MODELS; 0: nothing happens */
    int64_t tokens_n;            /* at most what is held; the hold comes down to it */
    int64_t cost_usd_nano;       /* the same */
};

/** Reserve at these models too, all or nothing. The part must not be held.
 *  @return as mt_account_reserve; on failure hold and part are as they were */
mt_rc mt_account_join(struct mt_account *account, int64_t now_ms, struct mt_account_hold *hold,
                      struct mt_account_part *part, const struct mt_account_join *join,
                      struct mt_limit_hit *hit, struct mt_err *err);

/** Book what was spent there and end the part's hold; of a part that is not held, nothing. */
void mt_account_leave(struct mt_account *account, int64_t now_ms, struct mt_account_hold *hold,
                      struct mt_account_part *part, int64_t tokens_n, int64_t cost_usd_nano);

/** As if it had not joined this time: it was not asked after all. */
void mt_account_unjoin(struct mt_account *account, int64_t now_ms, struct mt_account_hold *hold,
                       struct mt_account_part *part);

/** Book what was spent and end the hold, which is zero afterwards; of a zero hold, nothing. All
 *  parts have left. */
void mt_account_settle(struct mt_account *account, int64_t now_ms, struct mt_account_hold *hold,
                       int64_t tokens_n, int64_t cost_usd_nano);

/** As if it had never been reserved; the request is not counted either. */
void mt_account_release(struct mt_account *account, int64_t now_ms,
                        struct mt_account_hold *hold);

enum mt_account_restore {
    MT_RESTORE_LONG,  /* day, month, total */
    MT_RESTORE_SHORT, /* second, minute, hour */
};

enum mt_account_whose {
    MT_RESTORE_HOLD, /* of a reservation: node, key, model, pair */
    MT_RESTORE_PART, /* of one of its parts: model and pair alone */
};

/** Book the past at start: first the short windows in order of time, then the long ones. */
mt_rc mt_account_restore(struct mt_account *account, enum mt_account_restore what,
                         enum mt_account_whose whose, int64_t now_ms, int64_t at_ms,
                         int64_t requests_n, const struct mt_account_ask *spent,
                         struct mt_err *err);

struct mt_account_used {
    int64_t used[MT_LIMIT_KINDS]; /* in the window */
    int64_t held[MT_LIMIT_KINDS]; /* now */
    int64_t max[MT_LIMIT_KINDS];  /* -1 = no limit */
};

/** What a subject has used: ("", "") the node, (key, ""), ("", model), (key, model). Short
 *  windows are known only where they are limited. A subject never seen has used nothing. */
void mt_account_look(struct mt_account *account, int64_t now_ms, struct mt_str key,
                     struct mt_str model, enum mt_limit_window window,
                     struct mt_account_used *out);

#endif
