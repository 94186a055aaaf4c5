/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of a run share: its data, its looks at the validation split, its teacher, and
 * what a checkpoint keeps besides the trainer's own. */
#ifndef MT_TRAIN_RUN_PRIV_H
#define MT_TRAIN_RUN_PRIV_H

#include "base/arena.h"
#include "data_file.h"
#include "train/asker.h"
#include "train/embed.h"
#include "train/items.h"
#include "train/run.h"
#include "train/trainer.h"

/* ---------------------------------------------------------------- data (run_data.c) */

struct mt_run__data {
    struct mt_data_file *files; /* those that the recipe names, in its order */
    size_t files_n;
    struct mt_items *items; /* the training split, with the files */
    uint64_t checksum;      /* of all files */
};

/** @param shape of the model
 *  @return MT_OK, MT_E_INVALID (a line of a file, a context that is too small), ... */
mt_rc mt_run__data_open(const struct mt_recipe *recipe, const struct mt_shape *shape,
                        struct mt_run__data *out, struct mt_err *err);
void mt_run__data_close(struct mt_run__data *data);

/** Items of a split that the recipe's skills give, without its files.
 *  @return MT_E_NOTFOUND: it has no skills */
mt_rc mt_run__items(const struct mt_recipe *recipe, enum mt_split split, struct mt_items **out,
                    struct mt_err *err);

/* ---------------------------------------------------------------- validation (run_look.c) */

struct mt_run__look; /* the same items each time */

/** @param trainer borrowed */
mt_rc mt_run__look_new(const struct mt_recipe *recipe, struct mt_trainer *trainer,
                       struct mt_run__look **out, struct mt_err *err);
void mt_run__look_free(struct mt_run__look *look); /* NULL is allowed */

/** Fill validation_loss, right_n and items_n. */
void mt_run__look(struct mt_run__look *look, struct mt_run_event *event);

/* ---------------------------------------------------------------- the teacher (run_teacher.c)
 */

struct mt_run__teacher;

/** @return MT_OK, MT_E_INVALID (not of the pupil's vocabulary and context), or as
 *  mt_model_read() */
mt_rc mt_run__teacher_new(const struct mt_recipe *recipe, const struct mt_run_opts *opts,
                          const struct mt_shape *pupil, struct mt_run__teacher **out,
                          struct mt_err *err);
void mt_run__teacher_free(struct mt_run__teacher *teacher); /* NULL is allowed */

/** Give the batch what the teacher says of its targets. It lives until the next call. */
void mt_run__teach(struct mt_run__teacher *teacher, struct mt_batch *batch);

/* ---------------------------------------------------------------- reinforcement
 * (run_reinforce.c) */

struct mt_run__drill;
struct mt_run__state;

/** Most tokens of a step of any kind. */
uint32_t mt_run__tokens_max(const struct mt_recipe *recipe);

/** @param trainer borrowed; holds the base's parameters
 *  @return as mt_model_read() of the helper */
mt_rc mt_run__drill_new(const struct mt_recipe *recipe, const struct mt_run_opts *opts,
                        struct mt_trainer *trainer, struct mt_run__drill **out,
                        struct mt_err *err);
void mt_run__drill_free(struct mt_run__drill *drill); /* NULL is allowed */

/** Make the warm-up, whose end is the reference, before a checkpoint behind it is loaded. */
mt_rc mt_run__drill_prepare(struct mt_run__drill *drill, struct mt_err *err);
/** Does a checkpoint of so many steps lie behind the warm-up? */
bool mt_run__drill_is_warm(const struct mt_run__drill *drill, uint64_t steps_done);
/** Go on there. */
void mt_run__drill_seek(struct mt_run__drill *drill, uint64_t steps_done, double price);

/** A step; fills what the event has of it, and the state. */
mt_rc mt_run__drill_step(struct mt_run__drill *drill, struct mt_run__state *state,
                         struct mt_run_event *event, struct mt_err *err);
/** Items of the validation split: right_n with help, asked, own_right. */
void mt_run__drill_look(struct mt_run__drill *drill, struct mt_run_event *event);

/* ---------------------------------------------------------------- files (run_out.c) */

/* A model that a run has come to. */
struct mt_run__made {
    const struct mt_shape *shape;
    const float *params;
    uint64_t steps, tokens; /* that it took; 0: none */
    int64_t spent_ms;
};

/* A card in both of its forms. */
struct mt_run__card {
    struct mt_buf markdown, json;
};

/** Write the outputs of a recipe and the card of the first of them, and tell of each. */
mt_rc mt_run__write(const struct mt_recipe *recipe, const struct mt_run_opts *opts,
                    const struct mt_run__made *made, struct mt_err *err);

/** A merge from its beginning to its files. */
mt_rc mt_run__merge(const struct mt_recipe *recipe, const struct mt_run_opts *opts,
                    struct mt_err *err);

struct mt_card;
struct mt_card_help;

/** The recipe's two forms of a card. */
mt_rc mt_run__write_cards(const struct mt_recipe *recipe, const struct mt_run_opts *opts,
                          const struct mt_card *card, struct mt_err *err);

/** A chain's members, asked, and its card (run_chain.c). */
mt_rc mt_run__chain(const struct mt_recipe *recipe, const struct mt_run_opts *opts,
                    struct mt_err *err);

/** The help of a card: the recipe's model, those of card.limits, and their gains (run_help.c).
 *  @param own path of the recipe's first output
 *  @param rows out, room for limits_n + 1; the card borrows them */
mt_rc mt_run__measure_help(const struct mt_recipe *recipe, const struct mt_run_opts *opts,
                           const char *own, struct mt_card *card, struct mt_card_help *rows,
                           struct mt_err *err);

void mt_run__tell(const struct mt_run_opts *opts, const struct mt_run_event *event);

/* ---------------------------------------------------------------- embedders (run_embed.c) */

/** Room for its batches; what its card will need is looked for now rather than after the run.
 *  @return MT_OK, MT_E_NOMEM, or as mt_model_read() for the answerer */
mt_rc mt_run__embed_open(const struct mt_recipe *recipe, const struct mt_run_opts *opts,
                         struct mt_embed_room **out, struct mt_err *err);

/** Its card.
 *  @param path of the model as it was written */
mt_rc mt_run__embed_card(const struct mt_recipe *recipe, const struct mt_run_opts *opts,
                         const struct mt_run__made *made, const char *path,
                         struct mt_run__card *out, struct mt_err *err);

/* ---------------------------------------------------------------- the state (run_state.c) */

/* Beside the trainer's own: {"format": 1, "recipe": "...", "folder": "...", "steps": ...} */
struct mt_run__state {
    uint64_t steps;    /* of the whole run */
    uint64_t position; /* of the items */
    uint64_t tokens;   /* done */
    int64_t spent_ms;  /* of all sessions */
    uint64_t data_checksum;
    double price; /* of help, by reinforcement; at least 0 */
};

void mt_run__state_write(const struct mt_run__state *state, const struct mt_recipe *recipe,
                         struct mt_buf *out);

/** @param text with MT_BUF_SLACK behind it
 *  @param recipe that wants to go on
 *  @return MT_OK, MT_E_EXISTS (of another recipe: names the keys), MT_E_CORRUPT, MT_E_NOMEM */
mt_rc mt_run__state_read(struct mt_str text, const struct mt_recipe *recipe,
                         struct mt_run__state *out, struct mt_err *err);

#endif
