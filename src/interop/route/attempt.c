/* SPDX-License-Identifier: Apache-2.0 */
#include "route/attempt.h"

enum { PATIENT_MS = 1000 }; /* rather another target than a longer wait */

static const struct mt_attempt_next give_up = {.act = MT_ATTEMPT_GIVE_UP};

void mt_attempt_init(struct mt_attempt *attempt, size_t targets_n, int64_t now_ms)
{
    *attempt = (struct mt_attempt){
        .targets_n = targets_n, .tries_n = 1, .total_n = 1, .began_ms = now_ms};
}

int64_t mt_attempt_left_ms(const struct mt_attempt *attempt,
                           const struct mt_attempt_policy *policy, int64_t now_ms)
{
    if (policy->total_timeout_ms <= 0)
        return INT64_MAX;
    int64_t left = attempt->began_ms + policy->total_timeout_ms - now_ms;

    return left > 0 ? left : 0;
}

static struct mt_attempt_next next_target(struct mt_attempt *attempt, enum mt_attempt_act act)
{
    if (attempt->target + 1 >= attempt->targets_n)
        return give_up;
    attempt->target++;
    attempt->tries_n = 1;
    attempt->total_n++;
    return (struct mt_attempt_next){.act = act, .target = attempt->target};
}

struct mt_attempt_next mt_attempt_skip(struct mt_attempt *attempt)
{
    return next_target(attempt, MT_ATTEMPT_TRY);
}

/* Full jitter: anything between 0 and base * 2^tries, capped; Retry-After is a lower bound. */
static int64_t backoff_ms(const struct mt_attempt *attempt,
                          const struct mt_attempt_policy *policy, int64_t retry_after_ms,
                          uint64_t random)
{
    int64_t span = policy->base_ms;

    for (unsigned i = 1; i < attempt->tries_n && span < policy->cap_ms; i++)
        span *= 2;
    if (span > policy->cap_ms)
        span = policy->cap_ms;
    int64_t jitter = span > 0 ? (int64_t)(random % (uint64_t)(span + 1)) : 0;

    return retry_after_ms > 0 ? retry_after_ms + jitter / 4 : jitter;
}

struct mt_attempt_next mt_attempt_failed(struct mt_attempt *attempt,
                                         const struct mt_attempt_policy *policy,
                                         const struct mt_attempt_failure *failure,
                                         int64_t now_ms, uint64_t random)
{
    int64_t left = mt_attempt_left_ms(attempt, policy, now_ms);

    if (failure->verdict == MT_FAILED_REQUEST || left == 0)
        return give_up;
    if (failure->is_answering)
        return policy->can_continue ? next_target(attempt, MT_ATTEMPT_CONTINUE) : give_up;
    if (failure->verdict == MT_FAILED_TRANSIENT && attempt->tries_n <= policy->retries) {
        int64_t wait = backoff_ms(attempt, policy, failure->retry_after_ms, random);
        bool has_other = attempt->target + 1 < attempt->targets_n;
        bool is_patient = wait <= PATIENT_MS || (!has_other && wait <= policy->cap_ms);
        if (is_patient && wait < left) {
            attempt->tries_n++;
            attempt->total_n++;
            return (struct mt_attempt_next){MT_ATTEMPT_TRY, attempt->target, wait};
        }
    }
    return next_target(attempt, MT_ATTEMPT_TRY);
}
