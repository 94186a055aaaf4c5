/* SPDX-License-Identifier: Apache-2.0 */
/* train/cooperate.h - two models learn to work together: both answer, each sees the other's
 * answer, both answer again.
 *
 * A verifier says of each answer whether it is right. The return of agent i at turn t counts
 * its own verdict there and what both agents make of it later, so that a first answer which
 * helps the other is worth something: R(t,i) = (v(t,i) + sum over t' > t of g^(t'-t) mean over
 * agents of v(t',a)) / (sum over t' >= t of g^(t'-t)) The advantage is the return less the mean
 * of its group: the traces of one agent at one turn for one prompt.
 * @source MAPoRL, 2502.18439 (influence-aware return); AT-GRPO, 2510.11062 (groups per agent
 * and turn) */
#ifndef MT_TRAIN_COOPERATE_H
#define MT_TRAIN_COOPERATE_H

#include "train/rollout.h"
#include "train/trainer.h"

enum { MT_COOP_AGENTS = 2, MT_COOP_TURNS = 2 };

/** Returns of one group and their advantages. Pure.
 *  @param is_right [traces_n][turns][agents]
 *  @param advantages out, the same order */
void mt_coop_judge(const bool (*is_right)[MT_COOP_TURNS][MT_COOP_AGENTS], uint32_t traces_n,
                   double discount, float (*advantages)[MT_COOP_TURNS][MT_COOP_AGENTS]);

struct mt_coop;

/* Where prompts come from. */
struct mt_coop_source {
    /** Prompt number i of step n as the first turn asks it. @return tokens, never 0 */
    uint32_t (*first)(void *ctx, uint64_t step, uint32_t i, int32_t *tokens, uint32_t max);
    /** The same as the second turn asks it, with what the other agent said. */
    uint32_t (*second)(void *ctx, uint64_t step, uint32_t i, struct mt_str other,
                       int32_t *tokens, uint32_t max);
    bool (*is_right)(void *ctx, uint32_t i, struct mt_str bytes);
    void *ctx;
};

struct mt_coop_opts {
    struct mt_rollout_opts rollout; /* of the first turn; prompt_max holds the second's, too */
    float temperature;
    double kl;       /* weight of the divergence from the parameters at the beginning */
    double discount; /* g, 0.3 in the paper; ignored when alone */
    bool is_alone;   /* each agent learns from its own first answers only: the comparison. It
                        draws the second turn's share of tokens as more prompts */
    uint64_t seed;
};

/** @param trainers borrowed; each holds mt_rollout_tokens_max() tokens; one shape or two */
mt_rc mt_coop_new(struct mt_trainer *trainers[MT_COOP_AGENTS], const struct mt_coop_opts *opts,
                  const struct mt_coop_source *source, struct mt_coop **out,
                  struct mt_err *err);
void mt_coop_free(struct mt_coop *coop); /* NULL is allowed */

struct mt_coop_report {
    double right[MT_COOP_TURNS][MT_COOP_AGENTS]; /* share of traces that were right */
    uint64_t tokens_n;                           /* drawn in this step, by both */
};

/** One step of both agents. @return as mt_trainer_step() */
mt_rc mt_coop_step(struct mt_coop *coop, struct mt_coop_report *report, struct mt_err *err);

#endif
