/* SPDX-License-Identifier: Apache-2.0 */
#include "shards.h"

#include <math.h>

#include "base/assert.h"

static uint32_t count_targets(const struct mt_batch *batch)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < batch->tokens_n; i++)
        n += batch->targets[i] >= 0;
    return n;
}

static uint64_t cost_of(const struct mt_batch *batch, const struct mt_shard_costs *costs,
                        uint32_t sequence)
{
    uint64_t used_n = 0, targets_n = 0;

    for (uint32_t i = batch->starts[sequence]; i < batch->starts[sequence + 1]; i++) {
        if (batch->targets[i] < 0)
            continue;
        used_n = i - batch->starts[sequence] + 1;
        targets_n++;
    }
    return used_n * costs->token + targets_n * costs->target + used_n * used_n * costs->pair;
}

/* Sequences [first, end) of batch; targets_before is set already. */
static void view(const struct mt_batch *batch, uint32_t vocab_n, uint32_t first, uint32_t end,
                 struct mt_shard *shard)
{
    uint32_t token = batch->starts[first];

    for (uint32_t i = first; i <= end; i++)
        shard->starts[i - first] = batch->starts[i] - token;
    shard->batch = (struct mt_batch){
        .tokens = batch->tokens + token,
        .targets = batch->targets + token,
        .weights = batch->weights == NULL ? NULL : batch->weights + token,
        .soft =
            batch->soft == NULL ? NULL : batch->soft + (size_t)shard->targets_before * vocab_n,
        .starts = shard->starts,
        .sequences_n = end - first,
        .tokens_n = batch->starts[end] - token,
    };
    shard->targets_n = count_targets(&shard->batch);
}

struct mt_shard_costs mt_shard_costs(const struct mt_shape *shape)
{
    struct mt_plan plan = mt_shape_plan(shape);
    uint64_t ff = 3 * (uint64_t)shape->width * shape->ff_width;

    /* Only targets pass the last layer's feed-forward, and the output. */
    return (struct mt_shard_costs){
        .token = shape->layers_n * plan.layer_step - ff,
        .target = (uint64_t)shape->vocab_n * shape->width + ff,
        .pair = (uint64_t)shape->layers_n * shape->heads_n * shape->head_width,
    };
}

void mt_shards_deal(const struct mt_batch *batch, const struct mt_shard_costs *costs,
                    uint32_t vocab_n, unsigned shards_n, struct mt_shard *shards)
{
    uint64_t all = 0, dealt = 0; /* of the costs */
    uint32_t end = 0;
    uint32_t targets_n = 0;

    for (uint32_t i = 0; i < batch->sequences_n; i++)
        all += cost_of(batch, costs, i);
    for (unsigned i = 0; i < shards_n; i++) {
        uint64_t wanted = all * (i + 1) / shards_n;
        uint32_t first = end;
        for (; end < batch->sequences_n; end++) {
            uint64_t more = dealt + cost_of(batch, costs, end);
            if (more > wanted && (dealt >= wanted || more - wanted >= wanted - dealt))
                break;
            dealt = more;
        }
        shards[i].targets_before = targets_n;
        view(batch, vocab_n, first, end, &shards[i]);
        targets_n += shards[i].targets_n;
    }
    MT_ASSERT(end == batch->sequences_n); /* the last one wants all there is */
}

double mt_batch_weight(const struct mt_batch *batch)
{
    if (batch->divisor > 0)
        return batch->divisor;
    double sum = 0;

    if (batch->weights == NULL)
        return count_targets(batch);
    for (uint32_t i = 0; i < batch->tokens_n; i++)
        if (batch->targets[i] >= 0)
            sum += fabs((double)batch->weights[i]);
    return sum;
}
