/* SPDX-License-Identifier: Apache-2.0 */
#include "train/cooperate.h"

/* v(t,i) and the later verdicts of both, discounted and weighed to at most 1. */
static double return_of(const bool verdicts[MT_COOP_TURNS][MT_COOP_AGENTS], int turn, int agent,
                        double discount)
{
    double sum = verdicts[turn][agent];
    double weights = 1;
    double weight = 1;

    for (int later = turn + 1; later < MT_COOP_TURNS; later++) {
        double mean = 0;

        weight *= discount;
        for (int a = 0; a < MT_COOP_AGENTS; a++)
            mean += (double)verdicts[later][a] / MT_COOP_AGENTS;
        sum += weight * mean;
        weights += weight;
    }
    return sum / weights;
}

static void judge_one(const bool (*is_right)[MT_COOP_TURNS][MT_COOP_AGENTS], uint32_t traces_n,
                      int turn, int agent, double discount,
                      float (*advantages)[MT_COOP_TURNS][MT_COOP_AGENTS])
{
    double mean = 0;

    for (uint32_t i = 0; i < traces_n; i++)
        mean += return_of(is_right[i], turn, agent, discount) / traces_n;
    for (uint32_t i = 0; i < traces_n; i++)
        advantages[i][turn][agent] =
            (float)(return_of(is_right[i], turn, agent, discount) - mean);
}

void mt_coop_judge(const bool (*is_right)[MT_COOP_TURNS][MT_COOP_AGENTS], uint32_t traces_n,
                   double discount, float (*advantages)[MT_COOP_TURNS][MT_COOP_AGENTS])
{
    for (int turn = 0; turn < MT_COOP_TURNS; turn++)
        for (int agent = 0; agent < MT_COOP_AGENTS; agent++)
            judge_one(is_right, traces_n, turn, agent, discount, advantages);
}
