/* SPDX-License-Identifier: Apache-2.0 */
/* The trainer as its own files see it.
 *
 * Invariants: params, mean and square are finite unless the caller wrote otherwise into params;
 * nothing but a step that went well and a checkpoint that is whole changes them, and steps_done
 * with them. Between calls no thread but the caller's touches anything here. */
#ifndef MT_TRAIN_TRAINER_PRIV_H
#define MT_TRAIN_TRAINER_PRIV_H

#include "shards.h"
#include "team.h"
#include "train/trainer.h"

enum { MT_TRAINER_BLOCK = 4096 }; /* floats that are summed, squared and moved at once */
enum { MT_TRAINER_ADAMW = UINT8_MAX };

/* What one member of the team has. */
struct lane {
    struct mt_net *net;
    float *grads; /* [params_n] of its shard; the first one's is the sum after a step */
    struct mt_net_sum sum;
    float *scratch; /* for matrices that Muon moves; NULL without */
};

struct mt_trainer {
    struct mt_trainer_opts opts; /* with defaults filled in */
    uint64_t params_n;
    uint64_t steps_done;
    float *params;
    float *mean;   /* AdamW's moments; of Muon's matrices the momentum */
    float *square; /* ditto; of Muon's matrices unused */

    void *floats;          /* the block that all of these and the lanes' gradients are in */
    uint32_t *starts;      /* the block of the shards' starts */
    double *block_squares; /* [blocks_n] of the summed gradient */
    uint64_t blocks_n;     /* of MT_TRAINER_BLOCK floats, the last one may be shorter */
    struct mt_tensor *tensors;
    uint32_t tensors_n;
    uint8_t *mover; /* [tensors_n] the member that moves it by Muon, or MT_TRAINER_ADAMW */

    struct mt_team *team;
    struct mt_shard_costs costs;
    struct mt_shard *shards; /* [opts.threads_n] of the batch in hand */
    struct lane *lanes;      /* [opts.threads_n] */
    float *logps;            /* where the caller wants them, or NULL */
    float *logits;           /* the same, of an evaluation */
    float scale;             /* 1 / weight of the batch in hand */
};

#endif
