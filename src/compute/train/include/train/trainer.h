/* SPDX-License-Identifier: Apache-2.0 */
/* train/trainer.h - parameters, AdamW, and the threads that share a batch.
 *
 * A batch is cut into as many shards of whole sequences, of about equal cost, as there are
 * threads; each thread runs its own net, the gradients are added in the order of the shards,
 * clipped by their global norm and applied. Bit-reproducible for a seed and a number of
 * threads; between calls the threads sleep. A trainer belongs to one thread at a time; a step
 * allocates nothing.
 * @source AdamW: Loshchilov and Hutter 2019; bias correction as there. Muon: Jordan et al.
 * 2024, with the scale of Liu et al., 2502.16982 */
#ifndef MT_TRAIN_TRAINER_H
#define MT_TRAIN_TRAINER_H

#include "base/buf.h"
#include "train/batch.h"
#include "train/net.h"

struct mt_trainer;

enum { MT_TRAINER_TOKENS_MAX = 1 << 20, MT_TRAINER_STATE_MAX = 1 << 24 };

enum mt_optimizer {
    MT_OPTIMIZER_ADAMW,
    MT_OPTIMIZER_MUON, /* of the matrices inside the layers; AdamW of all else */
};

struct mt_trainer_opts {
    struct mt_shape shape;
    unsigned threads_n;       /* at most 64; 0 = the cores this process may use */
    uint32_t tokens_max;      /* of a whole batch; at most MT_TRAINER_TOKENS_MAX */
    uint64_t seed;            /* of fresh parameters */
    double rate_max;          /* learning rate after the warm-up */
    double rate_min;          /* at the end of the cosine */
    uint64_t warmup_steps;    /* linear from 0 */
    uint64_t steps;           /* length of the schedule; later steps keep rate_min */
    double beta1, beta2, eps; /* 0.9, 0.95, 1e-8 when 0 */
    double decay;             /* weight decay of matrices */
    double clip;              /* greatest global norm of the gradient; 0 = none */
    enum mt_optimizer optimizer;
    enum mt_precision precision; /* of the products of steps; evaluations are in F32 */
};

/** Fresh parameters by mt_shape_init(). @return MT_OK, MT_E_INVALID, MT_E_NOMEM, MT_E_IO (no
 *  thread) */
mt_rc mt_trainer_new(const struct mt_trainer_opts *opts, struct mt_trainer **out,
                     struct mt_err *err);
void mt_trainer_free(struct mt_trainer *trainer); /* NULL is allowed */

const struct mt_shape *mt_trainer_shape(const struct mt_trainer *trainer);
float *mt_trainer_params(struct mt_trainer *trainer); /* [params_n]; lives as long */
unsigned mt_trainer_threads_n(const struct mt_trainer *trainer);
uint64_t mt_trainer_steps_done(const struct mt_trainer *trainer);

struct mt_step_report {
    struct mt_net_sum sum;
    double loss;      /* mean per weight */
    double grad_norm; /* before clipping */
    double rate;
};

/** One step on one batch, whose loss is the mean over its weights, or what its divisor makes of
 * it. No sequence is longer than the shape's context.
 *  @param logps out: [targets that are there], in the order of the batch; NULL = not wanted
 *  @return MT_OK; MT_E_INVALID: no target has weight, or the loss or the gradient is not
 *  finite. Then the trainer is as it was, and only logps may have been written */
mt_rc mt_trainer_step(struct mt_trainer *trainer, const struct mt_batch *batch, float *logps,
                      struct mt_step_report *report, struct mt_err *err);

/** Forward only, on all threads; sums, not means.
 *  @param logits out: [targets that are there x vocab_n], in the order of the batch; NULL = not
 *  wanted */
void mt_trainer_evaluate(struct mt_trainer *trainer, const struct mt_batch *batch,
                         float *logits, struct mt_net_sum *sum);

/** Write everything that the next step depends on (parameters, moments, steps done, and the
 *  caller's state: data position, generator) so that a reader or a crash sees the old file or
 *  the new one, never a part. Written to "PATH.part" first.
 *  @param state at most MT_TRAINER_STATE_MAX bytes
 *  @return MT_OK, MT_E_IO ("disk full"), MT_E_TOOBIG (over the process's limit), MT_E_DENIED,
 *  MT_E_NOTFOUND (no such folder), MT_E_BUSY (another process saves there), MT_E_NOMEM
 *  @blocks until it is on disk */
mt_rc mt_trainer_save(const struct mt_trainer *trainer, const char *path, struct mt_str state,
                      struct mt_err *err);
/** Go on where a checkpoint was written. Rates, clip and decay are the options' of this
 * trainer, not the file's; for the same bits they and the number of threads have to be the
 * same. Everything is read and proven by its digest before anything is replaced.
 *  @param state the caller's state is appended
 *  @return MT_OK, MT_E_NOTFOUND, MT_E_CORRUPT, MT_E_UNSUPPORTED (another version of the file),
 *  MT_E_INVALID (another shape, other betas or another optimizer), MT_E_TOOBIG (state's
 * maximum), MT_E_DENIED, MT_E_IO, MT_E_NOMEM */
mt_rc mt_trainer_load(struct mt_trainer *trainer, const char *path, struct mt_buf *state,
                      struct mt_err *err);

#endif
