/* SPDX-License-Identifier: Apache-2.0 */
/* train/cooperate_pair.h - a prompt in two turns, and two models that answer it so.
 *
 * The first turn asks an item as it is, "45+38"; the second one puts behind it what the other
 * agent said, "45+38 | 84". No item of the curriculum has a "|", so that the two are never
 * taken for each other. */
#ifndef MT_TRAIN_COOPERATE_PAIR_H
#define MT_TRAIN_COOPERATE_PAIR_H

#include "train/attempt.h"
#include "train/cooperate.h"

enum { MT_COOP_SAID_MAX = 32 }; /* bytes of the other's answer that are shown */

/** The same item as the second turn asks it. Pure.
 *  @param said by the other; shown up to MT_COOP_SAID_MAX bytes, to a NUL, and as far as a
 *  prompt goes
 *  @param out may not be item */
void mt_coop_second(const struct mt_item *item, struct mt_str said, struct mt_item *out);

struct mt_coop_pair;

/** @param params [agents][params_n] borrowed: may change between calls, must live as long
 *  @return as mt_attempter_new() */
mt_rc mt_coop_pair_new(const struct mt_shape *const shapes[MT_COOP_AGENTS],
                       const float *const params[MT_COOP_AGENTS], struct mt_coop_pair **out,
                       struct mt_err *err);
void mt_coop_pair_free(struct mt_coop_pair *pair); /* NULL is allowed */
void mt_coop_pair_freep(struct mt_coop_pair **pair);

/** Both turns of both agents at each item, with their likeliest tokens.
 *  @param out [turns][agents] each with room for n */
void mt_coop_pair_try(struct mt_coop_pair *pair, const struct mt_item *items, uint32_t n,
                      struct mt_attempt *const out[MT_COOP_TURNS][MT_COOP_AGENTS]);

#endif
