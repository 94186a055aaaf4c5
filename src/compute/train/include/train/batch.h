/* SPDX-License-Identifier: Apache-2.0 */
/* train/batch.h - sequences of different lengths, one behind the other, without padding.
 *
 * Position i of a sequence predicts targets[i]. A position without a target (-1) costs no
 * output product and has no loss. */
#ifndef MT_TRAIN_BATCH_H
#define MT_TRAIN_BATCH_H

#include <stddef.h>
#include <stdint.h>

struct mt_batch {
    const int32_t *tokens;  /* [tokens_n] in [0, vocab_n) */
    const int32_t *targets; /* [tokens_n] -1 = none */
    const float *weights;   /* [tokens_n] of each target's loss, may be negative; NULL = 1 */
    const float *soft;      /* [targets that are there x vocab_n] probabilities that replace the
                               target in the loss (a teacher's); NULL = none */
    const uint32_t
        *starts; /* [sequences_n + 1] starts[0] = 0, starts[sequences_n] = tokens_n */
    uint32_t sequences_n;
    uint32_t tokens_n;
    double divisor; /* of the summed loss; 0 = the sum of |weights|: then a batch counts as
                       much as another however little of it has weight */
};

#endif
