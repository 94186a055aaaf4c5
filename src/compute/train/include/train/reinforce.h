/* SPDX-License-Identifier: Apache-2.0 */
/* train/reinforce.h - post-training by reinforcement: a model learns from its own traces when
 * to answer and when to ask for help with <call_cloud>.
 *
 * A step draws traces_n traces for each of prompts_n prompts, judges them (train/help.h), and
 * moves the parameters once (train/rollout.h, train/trainer.h). What the prompts are and
 * whether the helper knows the answer, the caller says. Without help (`help_limit` < 0) the
 * token cannot be drawn and a trace is right or wrong: the fair comparison at the same number
 * of steps.
 *
 * A model that was never shown the token would never draw it. So, where there is a warm-up, the
 * token is given the embedding of the end token, and the first warmup_steps learn from the
 * model's own answers, with <call_cloud> put behind those that were wrong and that the helper
 * has right: afterwards it attempts an answer and then says whether it trusts it. What it is
 * then is the reference that it is pulled back to; how often it may ask, and what its answers
 * themselves are, is up to the steps that follow.
 *
 * The same options and source give the same steps, so that who goes on from a checkpoint makes
 * the warm-up again, loads, and says where it was (mt_reinforce_seek). */
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
    /** Right answers to learn from in step n beside the traces, so that what the model can do
     *  is not forgotten over when it asks; at most the rollout's lessons_max tokens. NULL:
     * none.
     *  @source Ouyang et al., 2203.02155 (a mix with the gradient of pretraining) */
    void (*lessons)(void *ctx, uint64_t step, struct mt_batch *out);
    void *ctx;
};

struct mt_reinforce_opts {
    struct mt_rollout_opts rollout;
    float temperature;
    double kl;         /* weight of the divergence from the parameters at the beginning */
    double help_limit; /* greatest share of asking; < 0 = no help to be had */
    double help_worth; /* of a right answer that was asked for, in (0, 1) */
    double help_price_rate;
    uint64_t warmup_steps; /* without help there are none */
    uint64_t seed;
};

/** @param trainer borrowed; holds mt_rollout_tokens_max() tokens; its parameters after the
 *  warm-up are the reference */
mt_rc mt_reinforce_new(struct mt_trainer *trainer, const struct mt_reinforce_opts *opts,
                       const struct mt_reinforce_source *source, struct mt_reinforce **out,
                       struct mt_err *err);
void mt_reinforce_free(struct mt_reinforce *reinforce); /* NULL is allowed */

struct mt_reinforce_report {
    struct mt_help_report help; /* of the traces as they were drawn */
    struct mt_step_report step; /* zeros when no trace taught anything */
    uint32_t tokens_n;          /* of the batch that was learned from */
    bool has_stepped;
};

/** One step. @return as mt_trainer_step() */
mt_rc mt_reinforce_step(struct mt_reinforce *reinforce, struct mt_reinforce_report *report,
                        struct mt_err *err);

/** Steps that have been made, and the price of help after them. */
uint64_t mt_reinforce_steps_done(const struct mt_reinforce *reinforce);
double mt_reinforce_price(const struct mt_reinforce *reinforce);
/** Go on from there. After the warm-up, whose parameters stay the reference. */
void mt_reinforce_seek(struct mt_reinforce *reinforce, uint64_t steps_done, double price);

#endif
