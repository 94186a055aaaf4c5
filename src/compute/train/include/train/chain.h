/* SPDX-License-Identifier: Apache-2.0 */
/* train/chain.h - several askers, each for the skills it is good at, solve what takes steps. */
#ifndef MT_TRAIN_CHAIN_H
#define MT_TRAIN_CHAIN_H

#include "base/err.h"
#include "train/asker.h"

/** Whom each skill's steps are given to; NULL = nobody, whose answer is empty. */
struct mt_chain {
    const struct mt_asker *of[MT_SKILLS_N];
};

/** Ask all the steps of n items (n > 0), each step with the answer to the one before put in;
 * what the last step says is the answer. Steps of one skill are asked together.
 *  @return MT_OK, MT_E_NOMEM */
mt_rc mt_chain_ask(const struct mt_chain *chain, const struct mt_item *items,
                   struct mt_answer *answers, uint32_t n, struct mt_err *err);

#endif
