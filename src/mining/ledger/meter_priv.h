/* SPDX-License-Identifier: Apache-2.0 */
/* What one subject has booked and holds, in every window. Pure: the time is handed in and never
 * goes back for one meter.
 *
 * Invariants: held[k] >= 0; slide.sum is the sum of its slots; slots older than the window are
 * zero after mt_meter__advance. */
#ifndef MT_LEDGER_METER_PRIV_H
#define MT_LEDGER_METER_PRIV_H

#include "ledger/account.h"

enum {
    MT_METER_SHORT = 3,  /* windows that slide: second, minute, hour */
    MT_METER_LONG = 3,   /* windows of the calendar: day, month, total */
    MT_METER_STEPS = 20, /* of a sliding window */
    MT_METER_SLOTS =
        MT_METER_STEPS + 1, /* the oldest counts whole while part of it is inside */
};

struct mt_meter_slide {
    int64_t last; /* number of the newest slot */
    int64_t sum;
    int64_t slots[MT_METER_SLOTS]; /* slot i of time is at i % MT_METER_SLOTS */
};

struct mt_meter_period {
    int64_t number; /* of the day or month the counts are of; 0 for total */
    int64_t used[MT_LIMIT_KINDS];
};

struct mt_meter {
    int64_t held[MT_LIMIT_KINDS];                  /* requests are never held */
    int64_t max[MT_LIMIT_KINDS][MT_LIMIT_WINDOWS]; /* -1 = no limit */
    struct mt_meter_period periods[MT_METER_LONG];
    struct mt_meter_slide
        *slides[MT_LIMIT_KINDS][MT_METER_SHORT]; /* owned; NULL = not limited */
};

/** Without limits. */
void mt_meter__init(struct mt_meter *meter);
void mt_meter__fini(struct mt_meter *meter);

/** Make the slides that the limits in max ask for. False when out of memory. */
bool mt_meter__make_slides(struct mt_meter *meter,
                           const int64_t max[MT_LIMIT_KINDS][MT_LIMIT_WINDOWS]);

/** Forget what has left its window. */
void mt_meter__advance(struct mt_meter *meter, int64_t now_ms);

/** After advance: would the amounts pass? If not, kind .. retry_after_ms of hit are filled. */
bool mt_meter__has_room(const struct mt_meter *meter, int64_t now_ms,
                        const int64_t asked[MT_LIMIT_KINDS], struct mt_limit_hit *hit);

/** Book amounts now, in the long or the short windows or in both. */
enum { MT_METER_IN_LONG = 1, MT_METER_IN_SHORT = 2 };
void mt_meter__book(struct mt_meter *meter, const int64_t amounts[MT_LIMIT_KINDS],
                    unsigned where);

/** Take back one request booked at at_ms, where that is still counted. */
void mt_meter__unbook_request(struct mt_meter *meter, int64_t at_ms);

int64_t mt_meter__used(const struct mt_meter *meter, enum mt_limit_kind kind,
                       enum mt_limit_window window);

/** Number of the UTC month of a moment, and the moment a month begins. */
int64_t mt_meter__month_of(int64_t wall_ms);
int64_t mt_meter__month_start_ms(int64_t month);

#endif
