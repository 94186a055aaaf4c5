/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of a run share: its data, its looks at the validation split, its teacher, and
 * what a checkpoint keeps besides the trainer's own. */
#ifndef MT_TRAIN_RUN_PRIV_H
#define MT_TRAIN_RUN_PRIV_H

#include "base/arena.h"
#include "data_file.h"
#include "train/asker.h"
#include "train/cooperate.h"
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
struct mt_run__made;
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

/* ---------------------------------------------------------------- two agents
 * (run_cooperate.c, run_pair.c, run_team.c) */

enum { MT_RUN__SLOTS_N = 2 };

/* Two trainers, and their checkpoints: pairs of files that are written in turn, so that one
 * pair is whole whenever the process ends. */
struct mt_run__pair {
    const struct mt_recipe *recipe;
    const struct mt_run_opts *opts;
    struct mt_shape shapes[MT_COOP_AGENTS];
    float *bases[MT_COOP_AGENTS]; /* what they begin with */
    struct mt_trainer *trainers[MT_COOP_AGENTS];
    char *paths[MT_RUN__SLOTS_N][MT_COOP_AGENTS];
    uint32_t tokens_max; /* of a batch */
    int next_slot;
};

/** Read the bases. @param out zeroed */
mt_rc mt_run__pair_open(const struct mt_recipe *recipe, const struct mt_run_opts *opts,
                        uint32_t tokens_max, struct mt_run__pair *out, struct mt_err *err);
void mt_run__pair_close(struct mt_run__pair *pair);

/** Trainers as the run begins. Whoever borrowed those before has to let them go first. */
mt_rc mt_run__pair_begin(struct mt_run__pair *pair, struct mt_err *err);

/** Find the newest pair of checkpoints that is whole; the trainers are of no use afterwards.
 *  @param slot out: -1: there is none */
mt_rc mt_run__pair_find(struct mt_run__pair *pair, int *slot, struct mt_run__state *state,
                        struct mt_err *err);
/** Go on there; the next one is written to the other slot. */
mt_rc mt_run__pair_load(struct mt_run__pair *pair, int slot, struct mt_err *err);
mt_rc mt_run__pair_save(struct mt_run__pair *pair, const struct mt_run__state *state,
                        struct mt_err *err);
/** Remove all of them: a run begins anew. */
mt_rc mt_run__pair_forget(struct mt_run__pair *pair, struct mt_err *err);

mt_rc mt_run__cooperate(const struct mt_recipe *recipe, const struct mt_run_opts *opts,
                        struct mt_err *err);

/** Measure the pair that was written, and the one trained alone, and write the card. */
mt_rc mt_run__team_card(const struct mt_recipe *recipe, const struct mt_run_opts *opts,
                        const struct mt_run__made *made, struct mt_err *err);

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

/** Can a model of this shape be written so? @return MT_OK, MT_E_INVALID */
mt_rc mt_run__check_output(const struct mt_shape *shape, const struct mt_recipe_output *output,
                           struct mt_err *err);

/** Owned path below the folder of the run; NULL: no memory. */
char *mt_run__below(const struct mt_run_opts *opts, struct mt_str name);

/** Write one output, or a text, and tell of it. */
mt_rc mt_run__write_model(const struct mt_recipe *recipe, const struct mt_run_opts *opts,
                          const struct mt_run__made *made,
                          const struct mt_recipe_output *output, struct mt_err *err);
mt_rc mt_run__write_text(const struct mt_run_opts *opts, const struct mt_run__made *made,
                         struct mt_str name, const struct mt_buf *text, struct mt_err *err);

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

/* Different prompts of one split: one that comes again says nothing new (run_help.c). */
struct mt_run__paper {
    struct mt_item *items;
    uint32_t n;
};

/** @param n prompts of the recipe's mixture that are wanted; there may be fewer
 *  @param out zeroed */
mt_rc mt_run__paper_write(const struct mt_recipe *recipe, enum mt_split split, uint32_t n,
                          struct mt_run__paper *out, struct mt_err *err);
void mt_run__paper_fini(struct mt_run__paper *paper);

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
