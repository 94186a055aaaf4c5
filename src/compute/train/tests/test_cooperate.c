/* SPDX-License-Identifier: Apache-2.0 */
#include "support/test.h"

#include <math.h>

#include "base/attr.h"
#include "train/cooperate.h"

/* Verdicts of four traces: "1001" = turn 1 agent 0 right, agent 1 wrong; turn 2 agent 0 wrong,
 * agent 1 right. */
static const struct row {
    const char *traces[4];
    double discount;
    int turn, agent;
    double advantages[4];
} rows[] = {
    /* alone: only the own verdict counts */
    {{"1000", "0000", "1011", "0011"}, 0, 0, 0, {0.5, -0.5, 0.5, -0.5}},
    {{"1000", "0000", "1011", "0011"}, 0, 1, 1, {-0.5, -0.5, 0.5, 0.5}},
    /* the last turn has nothing behind it */
    {{"1100", "1101", "1110", "1111"}, 0.5, 1, 0, {-0.5, -0.5, 0.5, 0.5}},
    /* a wrong first answer after which both were right is worth (0 + 0.5 x 1) / 1.5 */
    {{"0011", "0000", "0000", "0000"}, 0.5, 0, 0, {0.25, -1.0 / 12, -1.0 / 12, -1.0 / 12}},
    /* a right one after which one of two was right: (1 + 0.5 x 0.5) / 1.5 */
    {{"1001", "0000", "1001", "0000"}, 0.5, 0, 0, {1.25 / 3, -1.25 / 3, 1.25 / 3, -1.25 / 3}},
    /* all the same: nothing to learn */
    {{"1111", "1111", "1111", "1111"}, 0.3, 0, 1, {0, 0, 0, 0}},
};

static void returns_count_what_both_make_of_an_answer(void **state)
{
    (void)state;
    for (size_t r = 0; r < MT_ARRAY_LEN(rows); r++) {
        bool is_right[4][MT_COOP_TURNS][MT_COOP_AGENTS];
        float advantages[4][MT_COOP_TURNS][MT_COOP_AGENTS];

        for (int i = 0; i < 4; i++)
            for (int t = 0; t < MT_COOP_TURNS; t++)
                for (int a = 0; a < MT_COOP_AGENTS; a++)
                    is_right[i][t][a] = rows[r].traces[i][MT_COOP_AGENTS * t + a] == '1';
        mt_coop_judge((const void *)is_right, 4, rows[r].discount, advantages);
        for (int i = 0; i < 4; i++) {
            double found = (double)advantages[i][rows[r].turn][rows[r].agent];

            if (fabs(found - rows[r].advantages[i]) > 1e-6)
                fail_msg("row %zu, trace %d: %g, expected %g", r, i, found,
                         rows[r].advantages[i]);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(returns_count_what_both_make_of_an_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
