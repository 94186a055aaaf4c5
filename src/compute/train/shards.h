/* SPDX-License-Identifier: Apache-2.0 */
/* shards.h - a batch dealt to the members of a team. Pure. */
#ifndef MT_TRAIN_SHARDS_H
#define MT_TRAIN_SHARDS_H

#include "train/batch.h"
#include "train/shape.h"

/** Some neighbouring sequences of a batch, as a batch of its own. */
struct mt_shard {
    struct mt_batch batch;   /* views of the whole one, but for its starts */
    uint32_t *starts;        /* what batch.starts is; the caller's room */
    uint32_t targets_before; /* targets that are there, in the shards before this one */
    uint32_t targets_n;      /* and in this one; without any there is nothing to do */
};

/** What a sequence of n tokens up to its last target, t of them with one, costs a net:
 *  n * token + t * target + n^2 * pair. */
struct mt_shard_costs {
    uint64_t token, target, pair;
};
struct mt_shard_costs mt_shard_costs(const struct mt_shape *shape);

/** Cut batch where costs come closest to equal parts; no sequence is cut and none changes its
 *  place. A shard may be empty. Same batch and shards_n, same shards.
 *  @param vocab_n columns of batch->soft
 *  @param shards out: [shards_n], their starts are set and have room for those of the batch */
void mt_shards_deal(const struct mt_batch *batch, const struct mt_shard_costs *costs,
                    uint32_t vocab_n, unsigned shards_n, struct mt_shard *shards);

/** The batch's divisor; without one the sum of |weight| of the targets that are there, or their
 * number when it has no weights. */
double mt_batch_weight(const struct mt_batch *batch);

#endif
