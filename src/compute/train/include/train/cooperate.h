/* SPDX-License-Identifier: Apache-2.0 */
/* train/cooperate.h - two models learn to work together: both answer, each sees the other's
 * answer, both answer again.
 *
 * A verifier says of each answer whether it is right. The return of agent i at turn t counts
 * its own verdict there and what both agents make of it later, so that a first answer which
 * helps the other is worth something:
 *
 *   R(t,i) = (v(t,i) + sum over t' > t of g^(t'-t) mean over agents of v(t',a))
 *            / (sum over t' >= t of g^(t'-t))
 *
 * The advantage is the return less the mean of its group: the traces of one agent at one turn
 * for one prompt. A step draws both turns and moves each agent once, along all of them.
 *
 * A model that never saw the second turn's prompts can try nothing there. So in the first
 * warmup_steps the second answer is given: by chance alone it is the agent's own first one or
 * the other's, and first answers are those of the agents as they were, to which they hold on.
 * Afterwards an agent says the one about as often as the other, and what it is then is the
 * reference that it is pulled back to; whom to believe when, reinforcement has to teach.
 *
 * The same options and source give the same steps, so that who goes on from a checkpoint makes
 * the warm-up again, loads, and says where it was (mt_coop_seek).
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
    /** Prompt of an endless stream as the first turn asks it; both agents are asked the same.
     *  @param number of it in the stream
     *  @param i its place in this step
     *  @return tokens, never 0 */
    uint32_t (*first)(void *ctx, uint64_t number, uint32_t i, int32_t *tokens, uint32_t max);
    /** Prompt i of this step as the second turn asks it, with what the other agent said. */
    uint32_t (*second)(void *ctx, uint32_t i, struct mt_str other, int32_t *tokens,
                       uint32_t max);
    bool (*is_right)(void *ctx, uint32_t i, struct mt_str bytes);
    void *ctx;
};

struct mt_coop_opts {
    struct mt_rollout_opts rollout; /* of the first turn; prompt_max holds the second's, too */
    float temperature;
    double kl;       /* weight of the divergence from the parameters after the warm-up */
    double discount; /* g, 0.3 in the paper; ignored when alone */
    bool is_alone;   /* behind the same warm-up each agent learns from its own first answers
                        only: the comparison. In place of second answers it draws as many first
                        ones, to 2 prompts_n prompts in a step */
    uint64_t warmup_steps;
    uint64_t seed;
};

/** Tokens that a step's batch of one agent can have: what its trainer has to hold. */
uint32_t mt_coop_tokens_max(const struct mt_rollout_opts *opts);

/** @param trainers borrowed; one shape or two
 *  @return MT_OK, MT_E_INVALID, MT_E_NOMEM */
mt_rc mt_coop_new(struct mt_trainer *trainers[MT_COOP_AGENTS], const struct mt_coop_opts *opts,
                  const struct mt_coop_source *source, struct mt_coop **out,
                  struct mt_err *err);
void mt_coop_free(struct mt_coop *coop); /* NULL is allowed */

struct mt_coop_report {
    uint32_t turns_n; /* that were drawn: 1 in the warm-up and alone */
    double right[MT_COOP_TURNS][MT_COOP_AGENTS]; /* share of traces that were right */
    uint64_t tokens_n;                           /* drawn in this step, by both */
    double loss, grad_norm;                      /* mean of both agents' moves */
    double rate;
};

/** One step of both agents. @return as mt_trainer_step() */
mt_rc mt_coop_step(struct mt_coop *coop, struct mt_coop_report *report, struct mt_err *err);

uint64_t mt_coop_steps_done(const struct mt_coop *coop);
/** Go on from there. After the warm-up, whose parameters stay the reference. */
void mt_coop_seek(struct mt_coop *coop, uint64_t steps_done);

#endif
