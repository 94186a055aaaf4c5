/* SPDX-License-Identifier: Apache-2.0 */
#include "meter_priv.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "ledger/price.h"

enum { DAY_MS = 86400000 };

static const int64_t step_ms[MT_METER_SHORT] = {1000 / MT_METER_STEPS, 60000 / MT_METER_STEPS,
                                                3600000 / MT_METER_STEPS};

/* @source the civil-from-days algorithm of Howard Hinnant, public domain */
int64_t mt_meter__month_of(int64_t wall_ms)
{
    int64_t z = wall_ms / DAY_MS + 719468; /* days since 0000-03-01; times are after 1970 */
    int64_t era = z / 146097;
    int64_t doe = z - era * 146097;
    int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    int64_t mp = (5 * doy + 2) / 153; /* 0 = March */
    int64_t year = yoe + era * 400 + (mp >= 10);

    return year * 12 + (mp + 2) % 12;
}

int64_t mt_meter__month_start_ms(int64_t month)
{
    int64_t year = month / 12 - (month % 12 < 2);
    int64_t mp = (month % 12 + 10) % 12;
    int64_t era = year / 400;
    int64_t yoe = year - era * 400;
    int64_t doe = yoe * 365 + yoe / 4 - yoe / 100 + (153 * mp + 2) / 5;

    return (era * 146097 + doe - 719468) * DAY_MS;
}

static int64_t period_number(int which, int64_t now_ms)
{
    if (which == 0)
        return now_ms / DAY_MS;
    return which == 1 ? mt_meter__month_of(now_ms) : 0;
}

void mt_meter__init(struct mt_meter *meter)
{
    *meter = (struct mt_meter){0};
    for (int k = 0; k < MT_LIMIT_KINDS; k++) {
        for (int w = 0; w < MT_LIMIT_WINDOWS; w++)
            meter->max[k][w] = -1;
    }
}

void mt_meter__fini(struct mt_meter *meter)
{
    for (int k = 0; k < MT_LIMIT_KINDS; k++) {
        for (int w = 0; w < MT_METER_SHORT; w++)
            mt_free(meter->slides[k][w]);
    }
    mt_meter__init(meter);
}

bool mt_meter__make_slides(struct mt_meter *meter,
                           const int64_t max[MT_LIMIT_KINDS][MT_LIMIT_WINDOWS])
{
    for (int k = 0; k < MT_LIMIT_KINDS; k++) {
        for (int w = 0; w < MT_METER_SHORT; w++) {
            if (max[k][w] < 0 || meter->slides[k][w] != NULL)
                continue;
            meter->slides[k][w] = mt_alloc(1, sizeof(struct mt_meter_slide));
            if (meter->slides[k][w] == NULL)
                return false;
        }
    }
    return true;
}

static void slide_to(struct mt_meter_slide *slide, int64_t slot)
{
    if (slot - slide->last >= MT_METER_SLOTS) {
        *slide = (struct mt_meter_slide){.last = slot};
        return;
    }
    while (slide->last < slot) {
        slide->last++;
        int64_t *oldest = &slide->slots[slide->last % MT_METER_SLOTS];
        slide->sum -= *oldest;
        *oldest = 0;
    }
}

static void advance_periods(struct mt_meter *meter, int64_t now_ms)
{
    if (meter->periods[0].number == now_ms / DAY_MS)
        return; /* the same day, so the same month */
    for (int p = 0; p < MT_METER_LONG; p++) {
        int64_t number = period_number(p, now_ms);
        if (meter->periods[p].number != number)
            meter->periods[p] = (struct mt_meter_period){.number = number};
    }
}

void mt_meter__advance(struct mt_meter *meter, int64_t now_ms)
{
    advance_periods(meter, now_ms);
    for (int k = 0; k < MT_LIMIT_KINDS; k++) {
        for (int w = 0; w < MT_METER_SHORT; w++) {
            if (meter->slides[k][w] != NULL)
                slide_to(meter->slides[k][w], now_ms / step_ms[w]);
        }
    }
}

int64_t mt_meter__used(const struct mt_meter *meter, enum mt_limit_kind kind,
                       enum mt_limit_window window)
{
    if (window >= MT_WINDOW_DAY)
        return meter->periods[window - MT_WINDOW_DAY].used[kind];
    const struct mt_meter_slide *slide = meter->slides[kind][window];
    return slide != NULL ? slide->sum : 0;
}

/* When will enough of a sliding window have left? Held amounts leave at a time nobody knows;
 * one step is the answer when only they stand in the way. */
static int64_t slide_retry_ms(const struct mt_meter_slide *slide, int window, int64_t excess,
                              int64_t now_ms)
{
    int64_t leaving = 0;

    for (int64_t slot = slide->last - MT_METER_STEPS; slot <= slide->last; slot++) {
        if (slot >= 0)
            leaving += slide->slots[slot % MT_METER_SLOTS];
        if (leaving >= excess)
            return (slot + MT_METER_SLOTS) * step_ms[window] - now_ms;
    }
    return step_ms[window];
}

static int64_t period_retry_ms(int64_t number, enum mt_limit_window window, int64_t now_ms)
{
    if (window == MT_WINDOW_DAY)
        return (number + 1) * DAY_MS - now_ms;
    return mt_meter__month_start_ms(number + 1) - now_ms;
}

static int64_t retry_ms(const struct mt_meter *meter, const struct mt_limit_hit *hit,
                        int64_t now_ms)
{
    if (hit->asked > hit->max || hit->window == MT_WINDOW_TOTAL)
        return -1;
    if (hit->window >= MT_WINDOW_DAY)
        return period_retry_ms(meter->periods[hit->window - MT_WINDOW_DAY].number, hit->window,
                               now_ms);
    int64_t wanted = mt_ledger_add(mt_ledger_add(hit->used, hit->held), hit->asked);
    return slide_retry_ms(meter->slides[hit->kind][hit->window], (int)hit->window,
                          wanted - hit->max, now_ms);
}

/* The order of kinds and windows decides which limit is named when several would fire. */
bool mt_meter__has_room(const struct mt_meter *meter, int64_t now_ms,
                        const int64_t asked[MT_LIMIT_KINDS], struct mt_limit_hit *hit)
{
    for (int k = 0; k < MT_LIMIT_KINDS; k++) {
        for (int w = 0; w < MT_LIMIT_WINDOWS; w++) {
            int64_t max = meter->max[k][w];
            if (max < 0 || asked[k] == 0)
                continue;
            int64_t used =
                mt_meter__used(meter, (enum mt_limit_kind)k, (enum mt_limit_window)w);
            if (mt_ledger_add(mt_ledger_add(used, meter->held[k]), asked[k]) <= max)
                continue;
            hit->kind = (enum mt_limit_kind)k;
            hit->window = (enum mt_limit_window)w;
            hit->max = max;
            hit->used = used;
            hit->held = meter->held[k];
            hit->asked = asked[k];
            hit->retry_after_ms = retry_ms(meter, hit, now_ms);
            return false;
        }
    }
    return true;
}

static void slide_add(struct mt_meter_slide *slide, int64_t amount)
{
    int64_t *slot = &slide->slots[slide->last % MT_METER_SLOTS];
    int64_t room = INT64_MAX - slide->sum; /* saturate both, or the sum would drift */

    if (amount > room)
        amount = room;
    *slot += amount;
    slide->sum += amount;
}

void mt_meter__book(struct mt_meter *meter, const int64_t amounts[MT_LIMIT_KINDS],
                    unsigned where)
{
    for (int k = 0; k < MT_LIMIT_KINDS; k++) {
        MT_ASSERT(amounts[k] >= 0);
        for (int p = 0; p < MT_METER_LONG && (where & MT_METER_IN_LONG); p++)
            meter->periods[p].used[k] = mt_ledger_add(meter->periods[p].used[k], amounts[k]);
        for (int w = 0; w < MT_METER_SHORT && (where & MT_METER_IN_SHORT); w++) {
            if (meter->slides[k][w] != NULL)
                slide_add(meter->slides[k][w], amounts[k]);
        }
    }
}

void mt_meter__unbook_request(struct mt_meter *meter, int64_t at_ms)
{
    for (int p = 0; p < MT_METER_LONG; p++) {
        struct mt_meter_period *period = &meter->periods[p];
        if (period->number == period_number(p, at_ms) && period->used[MT_LIMIT_REQUESTS] > 0)
            period->used[MT_LIMIT_REQUESTS]--;
    }
    for (int w = 0; w < MT_METER_SHORT; w++) {
        struct mt_meter_slide *slide = meter->slides[MT_LIMIT_REQUESTS][w];
        int64_t slot = at_ms / step_ms[w];
        if (slide == NULL || slot > slide->last || slide->last - slot >= MT_METER_SLOTS ||
            slide->slots[slot % MT_METER_SLOTS] == 0)
            continue;
        slide->slots[slot % MT_METER_SLOTS]--;
        slide->sum--;
    }
}
