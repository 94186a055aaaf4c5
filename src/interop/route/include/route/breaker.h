/* SPDX-License-Identifier: Apache-2.0 */
/* route/breaker.h - an endpoint that keeps failing is left alone for a while.
 *
 * CLOSED: all may pass. OPEN: none, until a moment. Then one probe may pass (HALF_OPEN); its
 * outcome closes or opens again. An upstream's own Retry-After opens at once. Pure. */
#ifndef MT_ROUTE_BREAKER_H
#define MT_ROUTE_BREAKER_H

#include <stdbool.h>
#include <stdint.h>

enum mt_breaker_state { MT_BREAKER_CLOSED, MT_BREAKER_OPEN, MT_BREAKER_HALF_OPEN };

struct mt_breaker {
    enum mt_breaker_state state;
    int64_t failures_n;     /* in a row */
    int64_t open_until_ms;  /* while OPEN */
    int64_t probe_since_ms; /* while HALF_OPEN; a probe that never reports is forgotten */
};

struct mt_breaker_policy {
    int64_t failures_max; /* in a row that open it; 0 = never */
    int64_t open_ms;
};

/** May a request pass now? Taking the probe of a HALF_OPEN breaker is part of the answer. */
bool mt_breaker_pass(struct mt_breaker *breaker, const struct mt_breaker_policy *policy,
                     int64_t now_ms);

/** How long until one may pass [ms]; 0 = now. */
int64_t mt_breaker_wait_ms(const struct mt_breaker *breaker, int64_t now_ms);

void mt_breaker_success(struct mt_breaker *breaker);

/** @param retry_after_ms  what the endpoint asked for, < 0 if nothing */
void mt_breaker_failure(struct mt_breaker *breaker, const struct mt_breaker_policy *policy,
                        int64_t now_ms, int64_t retry_after_ms);

/** A probe ended without telling anything (its client left). */
void mt_breaker_forget(struct mt_breaker *breaker);

const char *mt_breaker_name(enum mt_breaker_state state);

#endif
