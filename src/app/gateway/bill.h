/* SPDX-License-Identifier: Apache-2.0 */
/* bill.h - a session's account: reserved before the work, metered during it, settled once.
 *
 * Invariants: a session that is counted leaves exactly one row in the ledger: bill_settle after
 * bill_reserve, or bill_settle alone for one that was refused. */
#ifndef MT_GATEWAY_BILL_H
#define MT_GATEWAY_BILL_H

#include "chat/answer.h"
#include "ledger/ledger.h"
#include "route/resolve.h"

struct ask;
struct leg;
struct session;

/** What a target's own models know of the request; nothing when none stands behind it. */
struct bill_part {
    struct mt_account_part part;
    int64_t tokens_n, cost_usd_nano; /* spent there and told */
};

struct bill {
    struct mt_ledger_entry entry;
    struct mt_ledger_price price; /* of the dearest target */
    bool has_price;
    bool is_reserved;
    bool is_settled;
    bool is_limited; /* some limit on tokens or money applies */
    bool may_cut;    /* the reservation may turn out too small: watch the stream */
    int64_t held_output_n;
    int64_t cost_usd_nano;  /* once settled */
    struct mt_buf attempts; /* JSON array under way */
    int64_t lost_input_n;   /* of attempts whose answers reached the client in part, */
    int64_t lost_output_n;  /* before it went on elsewhere */
    int64_t lost_cost_usd_nano;
    struct bill_part *parts; /* of the plan's targets; NULL: no models stand behind them */
    struct mt_str error;     /* in the session's arena */
    struct mt_str kind;
    struct mt_str model_asked, model_served, endpoint; /* in the arena or the board */
};

/** Does any limit on tokens or money concern this session's request? */
bool bill_is_limited(const struct session *s);

/** Hold input_n tokens of input and output_n of output at the plan's dearest price. The session
 * has its receipt afterwards.
 *  @param is_bounded  output_n is the caller's own maximum: the answer cannot pass it
 *  @param why  filled when a limit says no */
mt_rc bill_reserve(struct session *s, int64_t input_n, int64_t output_n, bool is_bounded,
                   struct mt_chat_error *why, struct mt_err *err);

/** The models behind a target have limits of their own: hold there too, before it is asked.
 *  False when one says no; *why says which. */
bool bill_join(struct session *s, size_t target, struct mt_chat_error *why);

/** It was not asked after all. */
void bill_unjoin(struct session *s, size_t target);

/** It was asked, and this attempt is over and cost nothing. */
void bill_leave(struct session *s, size_t target);

/** May an answer of so many output tokens go on? Grows the hold by steps. */
bool bill_allows(struct session *s, int64_t output_n);

/** One attempt is over: for `motet explain`. error or result says how. */
void bill_attempt(const struct leg *leg, const struct mt_chat_error *error, const char *result);

/** The answer breaks off here and goes on at another target: keep what this one did. */
void bill_lost(const struct leg *leg);

void bill_error_text(struct session *s, struct mt_str text);

/** The end, once. status is what the client was told. */
void bill_settle(struct session *s, enum mt_outcome outcome, int status);

/** X-Motet-Cost of a settled bill. */
void bill_cost_header(struct session *s);

void bill_fini(struct session *s);

/** Prices of a target, in the ledger's terms; zero when none is configured. */
struct mt_route_target;
bool bill_price(const struct session *s, const struct mt_route_target *target,
                struct mt_ledger_price *out);

#endif
