/* SPDX-License-Identifier: Apache-2.0 */
/* train/reinforce.h - post-training by reinforcement: a model learns from its own traces when
 * to answer and when to ask for help with <call_cloud>.
 *
 * A step draws traces_n traces for each of prompts_n prompts, judges them (train/help.h), and
 * moves the parameters once (train/rollout.h, train/trainer.h). What the prompts are and
 * whether the helper knows the answer, the caller says. Without help (`help_limit` < 0) the
 * token cannot be drawn and a trace is right or wrong: the fair comparison at the same number
 * of steps. */
#ifndef MT_TRAIN_REINFORCE_H
#define MT_TRAIN_REINFORCE_H

#include "train/help.h"
#include "train/rollout.h"
#include "train/trainer.h"

struct mt_reinforce;

/* Where prompts come from. */
struct mt_reinforce_source {
    /** Prompt number i of step n: its tokens into room for prompt_max.
     *  @return how many tokens; never 0 */
    uint32_t (*prompt)(void *ctx, uint64_t step, uint32_t i, int32_t *tokens, uint32_t max);
    /** Is this answer right? bytes: what was generated, without control tokens. */
    bool (*is_right)(void *ctx, uint32_t i, struct mt_str bytes);
    /** Does the helper answer it rightly? Asked once per prompt of a step, after all prompts of
     *  the step are known. */
    bool (*is_helper_right)(void *ctx, uint32_t i);
    void *ctx;
};

struct mt_reinforce_opts {
    struct mt_rollout_opts rollout;
    float temperature;
    double kl;         /* weight of the divergence from the parameters at the beginning */
    double help_limit; /* greatest share of asking; < 0 = no help to be had */
    double help_worth; /* of a right answer that was asked for, in (0, 1) */
    double help_price_rate;
    uint64_t seed;
};

/** @param trainer borrowed; holds mt_rollout_tokens_max() tokens; its parameters now are the
 *  reference */
mt_rc mt_reinforce_new(struct mt_trainer *trainer, const struct mt_reinforce_opts *opts,
                       const struct mt_reinforce_source *source, struct mt_reinforce **out,
                       struct mt_err *err);
void mt_reinforce_free(struct mt_reinforce *reinforce); /* NULL is allowed */

struct mt_reinforce_report {
    struct mt_help_report help;
    struct mt_step_report step; /* zeros when no trace taught anything */
    bool has_stepped;
};

/** One step. @return as mt_trainer_step() */
mt_rc mt_reinforce_step(struct mt_reinforce *reinforce, struct mt_reinforce_report *report,
                        struct mt_err *err);

#endif
