/* SPDX-License-Identifier: Apache-2.0 */
/* train/trainer.h - parameters, AdamW, and the threads that share a batch.
 *
 * A batch is cut into as many shards of whole sequences as there are threads; each thread runs
 * its own net, the gradients are added in the order of the shards, clipped by their global norm
 * and applied. Bit-reproducible for a seed and a number of threads.
 * @source AdamW: Loshchilov and Hutter 2019; bias correction as there */
#ifndef MT_TRAIN_TRAINER_H
#define MT_TRAIN_TRAINER_H

#include "base/buf.h"
#include "train/batch.h"
#include "train/net.h"

struct mt_trainer;

struct mt_trainer_opts {
    struct mt_shape shape;
    unsigned threads_n;       /* 0 = the machine's cores */
    uint32_t tokens_max;      /* of a whole batch */
    uint64_t seed;            /* of fresh parameters */
    double rate_max;          /* learning rate after the warm-up */
    double rate_min;          /* at the end of the cosine */
    uint64_t warmup_steps;    /* linear from 0 */
    uint64_t steps;           /* length of the schedule; later steps keep rate_min */
    double beta1, beta2, eps; /* 0.9, 0.95, 1e-8 when 0 */
    double decay;             /* weight decay of matrices */
    double clip;              /* greatest global norm of the gradient; 0 = none */
};

/** Fresh parameters by mt_shape_init(). @return MT_OK, MT_E_INVALID, MT_E_NOMEM, MT_E_IO (no
 *  thread) */
mt_rc mt_trainer_new(const struct mt_trainer_opts *opts, struct mt_trainer **out,
                     struct mt_err *err);
void mt_trainer_free(struct mt_trainer *trainer); /* NULL is allowed */

const struct mt_shape *mt_trainer_shape(const struct mt_trainer *trainer);
float *mt_trainer_params(struct mt_trainer *trainer); /* [params_n]; lives as long */
uint64_t mt_trainer_steps_done(const struct mt_trainer *trainer);

struct mt_step_report {
    struct mt_net_sum sum;
    double loss;      /* mean per weight */
    double grad_norm; /* before clipping */
    double rate;
};

/** One step on one batch.
 *  @param logps [targets that are there], or NULL
 *  @return MT_OK; MT_E_INVALID: the loss or the gradient is not finite, and nothing was changed
 */
mt_rc mt_trainer_step(struct mt_trainer *trainer, const struct mt_batch *batch, float *logps,
                      struct mt_step_report *report, struct mt_err *err);

/** Forward only, on all threads. */
void mt_trainer_evaluate(struct mt_trainer *trainer, const struct mt_batch *batch,
                         struct mt_net_sum *sum);

/** Write everything that the next step depends on (parameters, moments, steps done, and the
 *  caller's state: data position, generator) so that a reader or a crash sees the old file or
 *  the new one, never a part. Checked by a digest when read.
 *  @return MT_OK, MT_E_IO ("disk full"), MT_E_DENIED, MT_E_NOTFOUND (no such folder)
 *  @blocks until it is on disk */
mt_rc mt_trainer_save(const struct mt_trainer *trainer, const char *path, struct mt_str state,
                      struct mt_err *err);
/** @return MT_OK, MT_E_NOTFOUND, MT_E_CORRUPT, MT_E_INVALID (another shape), MT_E_IO */
mt_rc mt_trainer_load(struct mt_trainer *trainer, const char *path, struct mt_buf *state,
                      struct mt_err *err);

#endif
