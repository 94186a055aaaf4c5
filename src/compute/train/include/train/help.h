/* SPDX-License-Identifier: Apache-2.0 */
/* train/help.h - what an answer is worth when the model may ask for help instead.
 *
 * For each prompt a group of traces is drawn; a trace answers, or asks. The reward is a ladder:
 * right without help 1, asked and the helper is right `worth`, everything else 0; of a trace
 * that asked the price is taken off. The advantage is the reward less the mean of its group: a
 * group in which all traces earned the same teaches nothing. Two things hold the share of
 * asking below its limit without the model falling into "always" or "never":
 *
 * - a price for asking: a slow part that grows while more is asked than allowed and falls while
 *   less is (a dual variable, one step of ascent per batch), and a quick part in proportion to
 *   how far the batch itself is from the limit. Where much too much is asked, asking is worse
 *   than being wrong;
 * - of the prompts for which asking is the best that any trace did, at most the limit's share
 *   of the batch stays in it, in the order they came.
 *
 * Pure; any thread.
 * @source Fang et al., "Collaborative Device-Cloud LLM Inference through Reinforcement
 * Learning", 2509.24050: hierarchical reward, group-level policy gradient, adaptive prompt
 * filtering; the price as in DA-GRPO, 2602.00166 */
#ifndef MT_TRAIN_HELP_H
#define MT_TRAIN_HELP_H

#include <stdbool.h>
#include <stdint.h>

enum { MT_HELP_TRACES_MAX = 64 };

struct mt_help {
    double limit;      /* greatest share of traces that may ask, 0..1 */
    double worth;      /* of a right answer that was asked for, in (0, 1) */
    double price_rate; /* step of the price per batch */
    double price;      /* state, the slow part: 0 to 1 + worth */
};

struct mt_help_trace {
    bool asked;
    bool is_right; /* the model's own answer; never true when it asked */
};

struct mt_help_group {
    const struct mt_help_trace *traces; /* [traces_n] */
    uint32_t traces_n;                  /* at most MT_HELP_TRACES_MAX */
    bool is_helper_right;
    float *advantages; /* out [traces_n] */
    bool is_kept;      /* out: false: its advantages are 0 */
};

struct mt_help_report {
    double asked; /* share of traces that asked */
    double right; /* share of traces right in the end, with help or without */
    double own;   /* share of traces right without help */
    double price; /* after this batch */
    uint32_t kept_n;
};

/** Judge a batch and move the price. */
void mt_help_judge(struct mt_help *help, struct mt_help_group *groups, uint32_t groups_n,
                   struct mt_help_report *report);

#endif
