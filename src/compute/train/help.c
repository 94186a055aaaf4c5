/* SPDX-License-Identifier: Apache-2.0 */
#include "train/help.h"

#include <math.h>
#include <string.h>

/* How much dearer one question becomes in the very batch in which all was asked about, where
 * nothing should have been. The slow price alone would come too late: a model that always asks
 * has no other trace left to learn from. */
static const double price_now = 2;

static double clamp(double x, double low, double high)
{
    return x < low ? low : x > high ? high : x;
}

static double reward_of(const struct mt_help *help, const struct mt_help_group *group,
                        const struct mt_help_trace *trace)
{
    if (trace->asked)
        return (group->is_helper_right ? help->worth : 0) - help->price;
    return trace->is_right ? 1 : 0;
}

static uint32_t own_successes(const struct mt_help_group *group)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < group->traces_n; i++)
        n += group->traces[i].is_right;
    return n;
}

static bool somebody_asked(const struct mt_help_group *group)
{
    for (uint32_t i = 0; i < group->traces_n; i++)
        if (group->traces[i].asked)
            return true;
    return false;
}

/* Reward less the group's mean. False when all earned the same. */
static bool set_advantages(const struct mt_help *help, struct mt_help_group *group)
{
    double sum = 0;
    bool differs = false;

    for (uint32_t i = 0; i < group->traces_n; i++) {
        double reward = reward_of(help, group, &group->traces[i]);

        group->advantages[i] = (float)reward;
        differs = differs || group->advantages[i] != group->advantages[0];
        sum += reward;
    }
    double mean = group->traces_n > 0 ? sum / group->traces_n : 0;

    for (uint32_t i = 0; i < group->traces_n; i++)
        group->advantages[i] = differs ? (float)(group->advantages[i] - mean) : 0;
    return differs;
}

static void leave_out(struct mt_help_group *group)
{
    group->is_kept = false;
    memset(group->advantages, 0, group->traces_n * sizeof *group->advantages);
}

/* Is asking the best that any trace did? */
static bool is_for_help(const struct mt_help *help, const struct mt_help_group *group)
{
    return somebody_asked(group) && group->is_helper_right && help->worth > help->price &&
           own_successes(group) == 0;
}

/* Of the prompts for which asking was best, the limit's share of the whole batch stays. */
static void filter(const struct mt_help *help, struct mt_help_group *groups, uint32_t groups_n)
{
    uint32_t allowed = (uint32_t)ceil(help->limit * groups_n);
    uint32_t n = 0;

    for (uint32_t i = 0; i < groups_n; i++)
        if (groups[i].is_kept && is_for_help(help, &groups[i]) && n++ >= allowed)
            leave_out(&groups[i]);
}

static void count(const struct mt_help_group *groups, uint32_t groups_n,
                  struct mt_help_report *report)
{
    uint64_t asked_n = 0, right_n = 0, own_n = 0, traces_n = 0;

    for (uint32_t i = 0; i < groups_n; i++) {
        const struct mt_help_group *group = &groups[i];

        traces_n += group->traces_n;
        for (uint32_t j = 0; j < group->traces_n; j++) {
            const struct mt_help_trace *trace = &group->traces[j];

            asked_n += trace->asked;
            own_n += trace->is_right;
            right_n += trace->asked ? group->is_helper_right : trace->is_right;
        }
    }
    if (traces_n == 0)
        return;
    report->asked = (double)asked_n / (double)traces_n;
    report->own = (double)own_n / (double)traces_n;
    report->right = (double)right_n / (double)traces_n;
}

/* The price that holds within this batch. */
static struct mt_help priced(const struct mt_help *help, double asked)
{
    struct mt_help now = *help;

    now.price = clamp(help->price + price_now * (asked - help->limit), 0, 1 + help->worth);
    return now;
}

void mt_help_judge(struct mt_help *help, struct mt_help_group *groups, uint32_t groups_n,
                   struct mt_help_report *report)
{
    *report = (struct mt_help_report){0};
    count(groups, groups_n, report);
    const struct mt_help now = priced(help, report->asked);

    for (uint32_t i = 0; i < groups_n; i++) {
        groups[i].is_kept = set_advantages(&now, &groups[i]);
        if (!groups[i].is_kept)
            leave_out(&groups[i]);
    }
    filter(&now, groups, groups_n);
    for (uint32_t i = 0; i < groups_n; i++)
        report->kept_n += groups[i].is_kept;
    help->price = clamp(help->price + help->price_rate * (report->asked - help->limit), 0,
                        1 + help->worth);
    report->price = help->price;
}
