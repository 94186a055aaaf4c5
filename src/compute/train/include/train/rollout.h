/* SPDX-License-Identifier: Apache-2.0 */
/* train/rollout.h - traces drawn from a policy, and the batch that moves it towards the good
 * ones.
 *
 * A rollout holds prompts_n prompts with traces_n traces each. After the draw the caller sets
 * an advantage per trace; mt_rollout_batch() lays all traces behind one another as a batch
 * whose targets are the drawn tokens, weighted by advantage + kl * (p_ref / p - 1), which is
 * the gradient of the policy's expected reward less kl times its divergence from the reference
 * (the estimator r - ln r - 1 with r = p_ref / p). Traces were drawn from the very parameters
 * that are moved, so there is no ratio to clip.
 * @source GRPO: Shao et al., 2402.03300, section 4.1; estimator k3: Schulman 2020 */
#ifndef MT_TRAIN_ROLLOUT_H
#define MT_TRAIN_ROLLOUT_H

#include "train/batch.h"
#include "train/decode.h"
#include "train/net.h"

struct mt_rollout;

struct mt_rollout_opts {
    uint32_t prompts_n;   /* per batch */
    uint32_t traces_n;    /* per prompt */
    uint32_t prompt_max;  /* longest prompt [tokens] */
    uint32_t new_max;     /* longest answer [tokens] */
    uint32_t lessons_max; /* tokens that mt_rollout_add() may add to a batch */
    unsigned threads_n;   /* that draw; 0: one. Other numbers draw other traces */
};

mt_rc mt_rollout_new(const struct mt_shape *shape, const struct mt_rollout_opts *opts,
                     struct mt_rollout **out, struct mt_err *err);
void mt_rollout_free(struct mt_rollout *rollout); /* NULL is allowed */

/** Tokens that a batch can have at most: what a trainer for it has to hold. */
uint32_t mt_rollout_tokens_max(const struct mt_rollout_opts *opts);

/** Room for the tokens of prompt i; set *n. All prompts_n have to be set before a draw. */
int32_t *mt_rollout_prompt(struct mt_rollout *rollout, uint32_t i, uint32_t **n);

/** Draw all traces. */
void mt_rollout_draw(struct mt_rollout *rollout, const float *params,
                     const struct mt_decode_opts *opts);

/** Trace j of prompt i: what was generated behind the prompt, end token included. */
struct mt_trace {
    const int32_t *tokens;
    uint32_t tokens_n;
    bool is_ended;
};
struct mt_trace mt_rollout_trace(const struct mt_rollout *rollout, uint32_t i, uint32_t j);

/** Put a token before the end token of a trace that has ended, as if it had been drawn: a way
 * to show a policy what it would never come upon. Its ln p is unknown: no pull (kl) in that
 * batch.
 *  @return false: the trace did not end, or there is no room */
bool mt_rollout_put_before_end(struct mt_rollout *rollout, uint32_t i, uint32_t j,
                               int32_t token);

/** Only the last n tokens of a trace have its advantage: what was said before them is taken as
 *  it is. Until the next draw. */
void mt_rollout_weigh_last(struct mt_rollout *rollout, uint32_t i, uint32_t j, uint32_t n);

/** Put what was said elsewhere in place of trace j of prompt i, as if it had been drawn; all of
 * them in place of a draw. Their ln p are unknown: no pull (kl) in that batch.
 *  @param trace at most new_max tokens; copied */
void mt_rollout_put(struct mt_rollout *rollout, uint32_t i, uint32_t j,
                    const struct mt_trace *trace);

/** [traces_n] to be set by the caller: advantages of prompt i's traces; 0 after a draw. */
float *mt_rollout_advantages(struct mt_rollout *rollout, uint32_t i);

/** All traces with an advantage, and where kl is not 0 all others too.
 *  @param ref [params_n] the reference's parameters; unused when kl is 0
 *  @param net of the policy's shape, holding mt_rollout_tokens_max() tokens; for the reference
 *  @param out borrowed from the rollout until the next draw; tokens_n 0: nothing to learn */
void mt_rollout_batch(struct mt_rollout *rollout, double kl, const float *ref,
                      struct mt_net *net, struct mt_batch *out);

/** Add sequences with right answers to a batch that mt_rollout_batch() made: each of their
 *  targets counts as a drawn token of advantage 1 does.
 *  @param lessons without weights; at most lessons_max tokens */
void mt_rollout_add(struct mt_rollout *rollout, const struct mt_batch *lessons,
                    struct mt_batch *batch);

#endif
