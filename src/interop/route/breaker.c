/* SPDX-License-Identifier: Apache-2.0 */
#include "route/breaker.h"

enum { PROBE_FORGOTTEN_MS = 60 * 1000 };

bool mt_breaker_pass(struct mt_breaker *breaker, const struct mt_breaker_policy *policy,
                     int64_t now_ms)
{
    if (policy->failures_max == 0 || breaker->state == MT_BREAKER_CLOSED)
        return true;
    if (mt_breaker_wait_ms(breaker, now_ms) > 0)
        return false;
    breaker->state = MT_BREAKER_HALF_OPEN;
    breaker->probe_since_ms = now_ms;
    return true;
}

int64_t mt_breaker_wait_ms(const struct mt_breaker *breaker, int64_t now_ms)
{
    int64_t until = now_ms;

    switch (breaker->state) {
    case MT_BREAKER_CLOSED:
        break;
    case MT_BREAKER_OPEN:
        until = breaker->open_until_ms;
        break;
    case MT_BREAKER_HALF_OPEN:
        until = breaker->probe_since_ms + PROBE_FORGOTTEN_MS;
        break;
    }
    return until > now_ms ? until - now_ms : 0;
}

void mt_breaker_success(struct mt_breaker *breaker)
{
    *breaker = (struct mt_breaker){.state = MT_BREAKER_CLOSED};
}

static void open_until(struct mt_breaker *breaker, int64_t until_ms)
{
    breaker->state = MT_BREAKER_OPEN;
    if (until_ms > breaker->open_until_ms)
        breaker->open_until_ms = until_ms;
}

void mt_breaker_failure(struct mt_breaker *breaker, const struct mt_breaker_policy *policy,
                        int64_t now_ms, int64_t retry_after_ms)
{
    if (policy->failures_max == 0)
        return;
    breaker->failures_n++;
    if (retry_after_ms > 0)
        open_until(breaker, now_ms + retry_after_ms);
    if (breaker->state == MT_BREAKER_HALF_OPEN || breaker->failures_n >= policy->failures_max)
        open_until(breaker, now_ms + policy->open_ms);
}

void mt_breaker_forget(struct mt_breaker *breaker)
{
    if (breaker->state != MT_BREAKER_HALF_OPEN)
        return;
    breaker->state =
        MT_BREAKER_OPEN; /* open_until_ms has passed: the next one is a probe again */
}

const char *mt_breaker_name(enum mt_breaker_state state)
{
    switch (state) {
    case MT_BREAKER_CLOSED:
        return "closed";
    case MT_BREAKER_OPEN:
        return "open";
    case MT_BREAKER_HALF_OPEN:
        return "half_open";
    }
    return "closed";
}
