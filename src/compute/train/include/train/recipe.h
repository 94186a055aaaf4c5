/* SPDX-License-Identifier: Apache-2.0 */
/* train/recipe.h - what a run of the lab is told: a YAML file, read by one table of keys.
 *
 * The table (train/recipe.c) is the truth, as that of the configuration is: an unknown key, a
 * wrong unit, a value out of range, or a key that the recipe's kind does not have is
 * MT_E_INVALID with line, column and the nearest key; `motet train --explain` and
 * docs/recipes.md come from it. Immutable once read; any thread. */
#ifndef MT_TRAIN_RECIPE_H
#define MT_TRAIN_RECIPE_H

#include "base/buf.h"
#include "curriculum/curriculum.h"
#include "train/model_file.h"
#include "train/shape.h"
#include "train/trainer.h"

enum mt_recipe_kind {
    MT_RECIPE_PRETRAIN,  /* learn from data */
    MT_RECIPE_DISTILL,   /* learn from a teacher's probabilities on data */
    MT_RECIPE_REINFORCE, /* learn from own answers, and when to ask for help */
    MT_RECIPE_MERGE,     /* a model between two others; nothing is learned */
    MT_RECIPE_COOPERATE, /* two models learn to work together */
    MT_RECIPE_CHAIN,     /* the card of several models that share the steps of a task */
    MT_RECIPE_EMBED,     /* learn to tell tasks apart: train/embed.h */
};

enum mt_recipe_way { MT_MERGE_LINEAR, MT_MERGE_SPHERICAL };

enum {
    MT_RECIPE_ANY_DIFFICULTY = -1,
    MT_RECIPE_TOKENS_MIN = 256, /* of a context and of a batch: any item fits */
    MT_RECIPE_LIMITS_MAX = 16,
    MT_RECIPE_MEMBERS_MAX = 16,
};

struct mt_recipe_data {  /* a part of what is learned from: skills, or a file */
    struct mt_str skill; /* names, with spaces between: "add", "sub*", "one_step", "all" */
    int difficulty;      /* enum mt_difficulty, or MT_RECIPE_ANY_DIFFICULTY */
    struct mt_str file;  /* JSON lines: {"prompt": "...", "answer": "..."} */
    double share;        /* of the items, by the sum of all shares */
};

struct mt_recipe_output {
    struct mt_str path; /* below the folder that a run writes to */
    enum mt_model_type type;
};

struct mt_recipe_limit { /* a model for the curve of a card */
    struct mt_str model; /* its GGUF file */
    double limit;        /* of help, that it was trained with */
};

struct mt_recipe_member { /* of a chain */
    struct mt_str skills; /* as those of data */
    struct mt_str model;  /* whom their steps are given to: a GGUF file */
};

struct mt_recipe_team { /* two agents that answer, see each other's answer, answer again */
    struct mt_str a, b; /* GGUF files to go on from */
    int64_t prompts, traces, warmup;
    double temperature, kl, discount;
    bool is_alone;                  /* each learns from its own first answers */
    struct mt_str alone_a, alone_b; /* a pair that did, for the card */
    int64_t items;                  /* of the card */
};

struct mt_recipe {
    struct mt_str text, folder; /* as it was read */
    /* Of one whose files a job has put in place: as it was written, which is what a checkpoint
     * is compared with. NULL: this one. */
    const struct mt_recipe *written;
    struct mt_str name, description;
    enum mt_recipe_kind kind;
    int64_t seed;
    struct mt_str base; /* GGUF to go on from; empty: from nothing */
    int64_t layers, width, ff, heads, kv_heads, head_width, context;
    double rope_base;
    bool is_tied;
    const struct mt_recipe_data *data;
    size_t data_n;
    int64_t batch_tokens;
    int64_t steps, tokens, time_ms; /* one of them is above 0 */
    double rate_max, rate_min;
    int64_t warmup_steps;
    double decay, clip;
    enum mt_optimizer optimizer;
    enum mt_precision precision;
    int64_t validate_steps, validate_items;
    int64_t checkpoint_ms;
    struct mt_str teacher; /* distill */
    double temperature, teacher_share;
    struct mt_str helper; /* reinforce; empty: nobody to ask */
    double help_limit, help_worth, price_rate;
    int64_t prompts, traces, rollout_warmup, lessons_tokens;
    double rollout_temperature, kl;
    struct mt_recipe_team team;     /* cooperate */
    struct mt_str merge_a, merge_b; /* merge */
    enum mt_recipe_way way;
    double t;
    const struct mt_recipe_member *members; /* chain */
    size_t members_n;
    struct mt_str answerer; /* embed: GGUF of a model whose answers the card foretells */
    const struct mt_recipe_output *outputs;
    size_t outputs_n;
    struct mt_str card_path, card_json;
    int64_t card_items;
    struct mt_str card_alone; /* reinforce */
    const struct mt_recipe_limit *limits;
    size_t limits_n;
    int64_t help_items;
};

/** Read a file. Relative paths begin at its folder.
 *  @return MT_OK, MT_E_NOTFOUND, MT_E_INVALID ("FILE:LINE:COLUMN: ..."), MT_E_TOOBIG, MT_E_IO,
 *  MT_E_DENIED, MT_E_NOMEM
 *  @blocks one file read */
mt_rc mt_recipe_read(const char *file, const struct mt_recipe **out, struct mt_err *err);

/** The same from a text.
 *  @param name of the text in errors
 *  @param folder that relative paths begin at; empty: they stay as they are */
mt_rc mt_recipe_parse(struct mt_str text, const char *name, struct mt_str folder,
                      const struct mt_recipe **out, struct mt_err *err);
void mt_recipe_free(const struct mt_recipe *recipe); /* NULL is allowed */
void mt_recipe_freep(const struct mt_recipe **recipe);

/** The shape of a recipe that begins from nothing; it has passed mt_shape_check(). */
struct mt_shape mt_recipe_shape(const struct mt_recipe *recipe);

/** Is this skill among those that a part of the data, or a member of a chain, names? */
bool mt_recipe_names(struct mt_str skills, enum mt_skill skill);

/** Names of keys that differ and that a run under way cannot take over: those that decide which
 *  weights come out. */
void mt_recipe_differ(const struct mt_recipe *old, const struct mt_recipe *now,
                      struct mt_buf *names);

/** All about a key of recipes; NULL: all keys, a line each. @return MT_OK, MT_E_NOTFOUND */
mt_rc mt_recipe_explain(const char *key, struct mt_buf *out, struct mt_err *err);

/** docs/recipes.md */
void mt_recipe_reference(struct mt_buf *out);

#endif
