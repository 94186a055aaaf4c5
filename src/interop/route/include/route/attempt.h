/* SPDX-License-Identifier: Apache-2.0 */
/* route/attempt.h - what to do next with a request: try a target, wait, or give up.
 *
 * Pure: the caller tells what happened, what time it is and a random number, and performs the
 * action. Rules:
 *   - a failure that another try may mend (rate limit, overload, 5xx, timeout, broken
 * connection) is retried at the same target up to `retries` times, after Retry-After or
 * exponential backoff with full jitter; a wait of more than a second goes to the next target
 * instead, if there is one
 *   - a failure of this target alone (key, permission, unknown model, context, unsupported
 * field) goes to the next target at once
 *   - the caller's own mistake (invalid, too large) and cancellation end it
 *   - once a part of the answer has reached the client, nothing is retried, except that a
 * stream may continue at the next target when the policy allows
 *   - nothing begins after the deadline of the whole request */
#ifndef MT_ROUTE_ATTEMPT_H
#define MT_ROUTE_ATTEMPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum mt_attempt_verdict { /* what kind of failure it was */
                          MT_FAILED_TRANSIENT,
                          MT_FAILED_TARGET,
                          MT_FAILED_REQUEST,
};

struct mt_attempt_policy {
    unsigned retries;         /* per target */
    int64_t base_ms, cap_ms;  /* of the backoff */
    int64_t total_timeout_ms; /* 0 = none */
    bool can_continue;        /* mid-stream failover */
};

struct mt_attempt {
    size_t targets_n;
    size_t target;    /* the one being tried */
    unsigned tries_n; /* at this target */
    unsigned total_n; /* over all */
    int64_t began_ms;
};

struct mt_attempt_failure {
    enum mt_attempt_verdict verdict;
    int64_t retry_after_ms; /* < 0 = not said */
    bool is_answering;      /* a part of the answer has been sent to the client */
};

enum mt_attempt_act { MT_ATTEMPT_TRY, MT_ATTEMPT_CONTINUE, MT_ATTEMPT_GIVE_UP };

struct mt_attempt_next {
    enum mt_attempt_act act;
    size_t target;
    int64_t after_ms;
};

void mt_attempt_init(struct mt_attempt *attempt, size_t targets_n, int64_t now_ms);

/** The target was not even asked (its breaker is open, it cannot carry the request): the next
 * one. */
struct mt_attempt_next mt_attempt_skip(struct mt_attempt *attempt);

/** It failed: what now? */
struct mt_attempt_next mt_attempt_failed(struct mt_attempt *attempt,
                                         const struct mt_attempt_policy *policy,
                                         const struct mt_attempt_failure *failure,
                                         int64_t now_ms, uint64_t random);

/** Time left for the whole request [ms]; INT64_MAX without a limit, 0 when over. */
int64_t mt_attempt_left_ms(const struct mt_attempt *attempt,
                           const struct mt_attempt_policy *policy, int64_t now_ms);

#endif
