/* SPDX-License-Identifier: Apache-2.0 */
/* train/run.h - a recipe from its beginning, or from its last checkpoint, to its files.
 *
 * Batches of the recipe's data go through a trainer (train/trainer.h); now and then the
 * validation split is looked at and a checkpoint is written to FOLDER/NAME.checkpoint, NAME
 * being the recipe's; at the end the model is written in all wanted types, and its card. The
 * checkpoint holds the recipe's text: a run goes on only under a recipe that gives the same
 * weights. Same recipe, machine and number of threads: the same weights, bit by bit, however
 * often the run was interrupted.
 *
 * Nothing is printed: what happens is told to on_event. Blocks until the end; one thread, which
 * the trainer's own help. */
#ifndef MT_TRAIN_RUN_H
#define MT_TRAIN_RUN_H

#include "train/recipe.h"

struct mt_env;

enum mt_run_what {
    MT_RUN_BEGAN,     /* goes on from a checkpoint when step > 0 */
    MT_RUN_STEP,      /* each one */
    MT_RUN_VALIDATED, /* validation_loss and right_n of items_n */
    MT_RUN_SAVED,     /* path: a checkpoint */
    MT_RUN_WROTE,     /* path: a model or its card */
};

struct mt_run_event {
    enum mt_run_what what;
    uint64_t step, steps; /* done, and of the whole run */
    uint64_t tokens;      /* done, over all sessions */
    uint64_t params_n;
    double
        loss; /* of the step's batch, nats per token of an answer; of an embedder, per text */
    double rate, grad_norm;
    double tokens_per_s; /* of this session */
    int64_t left_ms;     /* as this session has gone; -1: not known yet */
    int64_t spent_ms;    /* on steps, over all sessions that a checkpoint knows of */
    double validation_loss;
    uint32_t right_n, items_n;      /* of an embedder: whose skill is the likeliest label */
    bool has_help;                  /* of the recipe: the next three say something */
    double asked, own_right, right; /* shares of traces or items: asked for help, right without,
                                       right in the end */
    bool has_turns;          /* of a team: right_n and items_n count second answers of both */
    uint32_t turns_n;        /* that were taken */
    double turn_right[2][2]; /* [turn][agent] shares of answers that were right */
    const char *path;
};

enum mt_run_from {
    MT_RUN_EITHER,     /* from the checkpoint if there is one */
    MT_RUN_CHECKPOINT, /* there has to be one */
    MT_RUN_NOTHING,    /* a checkpoint is written over */
};

struct mt_run_opts {
    const char *folder; /* that files are written to; it has to be there */
    enum mt_run_from from;
    unsigned threads_n;      /* 0: one per core */
    const char *library_dir; /* of llama.cpp; NULL: as built */
    struct mt_env *env;      /* the clock */
    /* Asked after each step. A run that stops has written a checkpoint. May be NULL. */
    bool (*should_stop)(void *context);
    void (*on_event)(void *context, const struct mt_run_event *event); /* may be NULL */
    void *context;
};

/** @return MT_OK; MT_E_CANCELED: should_stop said so, and the same call goes on;
 *  MT_E_EXISTS: the checkpoint is of another recipe (the text names the keys);
 *  MT_E_NOTFOUND: a file of the recipe, the folder, or the checkpoint that has to be there;
 *  MT_E_INVALID: a base, teacher or file of data that does not fit (the text names the place),
 *  a loss that is not finite; MT_E_CORRUPT, MT_E_IO ("disk full"), MT_E_DENIED, MT_E_NOMEM.
 *  After a failure the last checkpoint is whole. */
mt_rc mt_run(const struct mt_recipe *recipe, const struct mt_run_opts *opts,
             struct mt_err *err);

#endif
