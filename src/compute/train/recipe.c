/* SPDX-License-Identifier: Apache-2.0 */
/* The table of a recipe's keys, and what no key can know alone. */
#include "train/recipe.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/arena.h"
#include "curriculum/curriculum.h"
#include "settings/page.h"
#include "settings/read.h"
#include "settings/show.h"
#include "settings/yaml.h"
#include "system/file.h"
#include "train/exam.h"
#include "train/vocab.h"

#define SECOND    ((int64_t)1000)
#define HOUR      (3600 * SECOND)
#define COUNT_MAX ((int64_t)1000 * 1000 * 1000 * 1000)

enum { ARENA_MAX = 8 * 1024 * 1024, DATA_MAX = 64, OUTPUTS_MAX = 8 };

struct whole {
    struct mt_recipe recipe; /* first: the public pointer is one to here */
    struct mt_arena arena;
    struct mt_settings_origin *origins;
};

/* ------------------------------------------------------------------ the table */

static const struct mt_settings_word kinds[] = {{"pretrain", MT_RECIPE_PRETRAIN},
                                                {"distill", MT_RECIPE_DISTILL},
                                                {"merge", MT_RECIPE_MERGE},
                                                {NULL, 0}};
static const struct mt_settings_word types[] = {
    {"f32", MT_MODEL_F32}, {"f16", MT_MODEL_F16}, {"q8_0", MT_MODEL_Q8_0}, {NULL, 0}};
static const struct mt_settings_word ways[] = {
    {"linear", MT_MERGE_LINEAR}, {"spherical", MT_MERGE_SPHERICAL}, {NULL, 0}};
static const struct mt_settings_word difficulties[] = {{"all", MT_RECIPE_ANY_DIFFICULTY},
                                                       {"easy", MT_EASY},
                                                       {"middle", MT_MIDDLE},
                                                       {"hard", MT_HARD},
                                                       {NULL, 0}};

#define FIXED    MT_SETTINGS_FIXED
#define REQUIRED MT_SETTINGS_REQUIRED

#define AT(member) .at = offsetof(struct mt_recipe_data, member)
static const struct mt_settings_key data_keys[] = {
    {"skill", MT_SETTINGS_TEXT, AT(skill),
     .help = "a skill of the curriculum, its beginning and `*`, `one_step` or `all`",
     .example = "all"},
    {"difficulty", MT_SETTINGS_WORD, AT(difficulty), .initial = "all", .words = difficulties,
     .help = "of the skill's items"},
    {"file", MT_SETTINGS_PATH, AT(file),
     .help = "in place of a skill: a file with a line `{\"prompt\": \"...\", \"answer\": "
             "\"...\"}` for each item"},
    {"share", MT_SETTINGS_NUMBER, AT(share), .initial = "1", .max = 1000,
     .help = "of the items, by the sum of all shares; in equal parts among a part's skills and "
             "difficulties"},
};
#undef AT
static const struct mt_settings_group data_group = {
    "part of data", data_keys, MT_ARRAY_LEN(data_keys), sizeof(struct mt_recipe_data)};

#define AT(member) .at = offsetof(struct mt_recipe_output, member)
static const struct mt_settings_key output_keys[] = {
    {"path", MT_SETTINGS_TEXT, REQUIRED, AT(path),
     .help = "GGUF file, below the folder that the run writes to", .example = "lab-pico.gguf"},
    {"type", MT_SETTINGS_WORD, AT(type), .initial = "f16", .words = types,
     .help = "of its matrices"},
};
#undef AT
static const struct mt_settings_group output_group = {
    "output", output_keys, MT_ARRAY_LEN(output_keys), sizeof(struct mt_recipe_output)};

#define AT(member)   .at = offsetof(struct mt_recipe, member)
#define N_AT(member) .n_at = offsetof(struct mt_recipe, member)
static const struct mt_settings_key root_keys[] = {
    {"name", MT_SETTINGS_TEXT, REQUIRED, AT(name), .help = "of the model",
     .example = "lab-pico"},
    {"description", MT_SETTINGS_TEXT, AT(description), .help = "kept in the model's file"},
    {"kind", MT_SETTINGS_WORD, FIXED, AT(kind), .initial = "pretrain", .words = kinds,
     .help = "learn from data; learn from a teacher on data; mix two models"},
    {"seed", MT_SETTINGS_COUNT, FIXED, AT(seed), .initial = "1", .max = COUNT_MAX,
     .help = "of the first parameters and of the data"},
    {"base", MT_SETTINGS_PATH, FIXED, AT(base),
     .help = "GGUF file to go on from, which also gives the shape; none: from nothing"},
    {"shape.layers", MT_SETTINGS_COUNT, FIXED, AT(layers), .min = 1, .max = MT_SHAPE_LAYERS_MAX,
     .help = "blocks", .example = "2"},
    {"shape.width", MT_SETTINGS_COUNT, FIXED, AT(width), .min = 8, .max = MT_SHAPE_WIDTH_MAX,
     .help = "of the residual stream", .example = "64"},
    {"shape.ff", MT_SETTINGS_COUNT, FIXED, AT(ff), .min = 8, .max = 4 * MT_SHAPE_WIDTH_MAX,
     .help = "width between gate and down", .example = "192"},
    {"shape.heads", MT_SETTINGS_COUNT, FIXED, AT(heads), .min = 1, .max = 64,
     .help = "of queries", .example = "2"},
    {"shape.kv_heads", MT_SETTINGS_COUNT, FIXED, AT(kv_heads), .max = 64, .initial = "0",
     .help = "of keys and values; 0: as heads"},
    {"shape.head_width", MT_SETTINGS_COUNT, FIXED, AT(head_width), .max = 256, .initial = "0",
     .help = "even; 0: width / heads"},
    {"shape.context", MT_SETTINGS_COUNT, FIXED, AT(context), .initial = "256",
     .min = MT_RECIPE_TOKENS_MIN, .max = MT_SHAPE_CONTEXT_MAX,
     .help = "most tokens of a sequence"},
    {"shape.rope_base", MT_SETTINGS_NUMBER, FIXED, AT(rope_base), .initial = "10000", .min = 1,
     .max = 10 * 1000 * 1000, .help = "of the rotary positions"},
    {"shape.tied", MT_SETTINGS_BOOL, FIXED, AT(is_tied), .initial = "true",
     .help = "the output uses the matrix of the embedding"},
    {"data", MT_SETTINGS_ITEMS, FIXED, AT(data), N_AT(data_n), .max = DATA_MAX,
     .items = &data_group, .help = "what it learns from"},
    {"train.batch", MT_SETTINGS_COUNT, FIXED, AT(batch_tokens), .initial = "4k",
     .min = MT_RECIPE_TOKENS_MIN, .max = 1000 * 1000, .help = "most tokens of a step"},
    {"train.steps", MT_SETTINGS_COUNT, FIXED, AT(steps), .initial = "0",
     .max = 1000 * 1000 * 1000, .help = "how long, in steps", .example = "2k"},
    {"train.tokens", MT_SETTINGS_COUNT, FIXED, AT(tokens), .initial = "0", .max = COUNT_MAX,
     .help = "or in tokens"},
    {"train.time", MT_SETTINGS_DURATION, FIXED, AT(time_ms), .initial = "0s",
     .max = 1000 * HOUR,
     .help = "or in time, from which the first seconds make a number of steps"},
    {"train.rate_max", MT_SETTINGS_NUMBER, FIXED, AT(rate_max), .initial = "0.003", .max = 1,
     .help = "learning rate after the warm-up"},
    {"train.rate_min", MT_SETTINGS_NUMBER, FIXED, AT(rate_min), .initial = "0.0003", .max = 1,
     .help = "at the end of the cosine"},
    {"train.warmup", MT_SETTINGS_COUNT, FIXED, AT(warmup_steps), .initial = "100",
     .max = 1000 * 1000, .help = "steps from 0 to rate_max"},
    {"train.decay", MT_SETTINGS_NUMBER, FIXED, AT(decay), .initial = "0.1", .max = 1,
     .help = "weight decay of matrices"},
    {"train.clip", MT_SETTINGS_NUMBER, FIXED, AT(clip), .initial = "1", .max = 1000,
     .help = "greatest norm of the gradient; 0: any"},
    {"validation.every", MT_SETTINGS_COUNT, AT(validate_steps), .initial = "500",
     .max = 1000 * 1000 * 1000,
     .help = "steps between two looks at the validation split; 0: "
             "none"},
    {"validation.items", MT_SETTINGS_COUNT, AT(validate_items), .initial = "256", .min = 1,
     .max = 100 * 1000, .help = "items of each look"},
    {"checkpoint.every", MT_SETTINGS_DURATION, AT(checkpoint_ms), .initial = "1m",
     .min = SECOND, .max = 24 * HOUR, .help = "what a run that is killed loses at most"},
    {"distill.teacher", MT_SETTINGS_PATH, FIXED, AT(teacher), .help = "its GGUF file"},
    {"distill.temperature", MT_SETTINGS_NUMBER, FIXED, AT(temperature), .initial = "1",
     .max = 100, .help = "of the teacher's probabilities; above 1: flatter"},
    {"distill.share", MT_SETTINGS_NUMBER, FIXED, AT(teacher_share), .initial = "1", .max = 1,
     .help = "of the teacher in what is learned; the rest is the data's own answer"},
    {"merge.a", MT_SETTINGS_PATH, FIXED, AT(merge_a), .help = "the GGUF file at t = 0"},
    {"merge.b", MT_SETTINGS_PATH, FIXED, AT(merge_b), .help = "the GGUF file at t = 1"},
    {"merge.way", MT_SETTINGS_WORD, FIXED, AT(way), .initial = "linear", .words = ways,
     .help = "along the line, or along the arc between each pair of tensors"},
    {"merge.t", MT_SETTINGS_NUMBER, FIXED, AT(t), .initial = "0.5", .max = 1,
     .help = "how far from a to b"},
    {"outputs", MT_SETTINGS_ITEMS, AT(outputs), N_AT(outputs_n), .max = OUTPUTS_MAX,
     .items = &output_group, .help = "the files that the model is written to"},
    {"card.path", MT_SETTINGS_TEXT, AT(card_path),
     .help = "Markdown file below the folder that the run writes to: what the first output can "
             "do, measured on the test split; none: not written"},
    {"card.json", MT_SETTINGS_TEXT, AT(card_json), .help = "the same as JSON"},
    {"card.items", MT_SETTINGS_COUNT, AT(card_items), .initial = "200", .min = 1,
     .max = MT_EXAM_ITEMS_MAX, .help = "items for each skill and difficulty"},
};
#undef AT
#undef N_AT
static const struct mt_settings_group root = {"recipe", root_keys, MT_ARRAY_LEN(root_keys),
                                              sizeof(struct mt_recipe)};

/* ------------------------------------------------------------------ kinds */

#define BIT(kind) (1u << (kind))
#define LEARNING  (BIT(MT_RECIPE_PRETRAIN) | BIT(MT_RECIPE_DISTILL))

/* Keys and sections that not every kind has, and whether it cannot do without. */
static const struct {
    const char *name;
    unsigned of_kinds, needed_by;
} rules[] = {
    {"base", LEARNING, 0},
    {"shape", LEARNING, 0},
    {"data", LEARNING, LEARNING},
    {"train", LEARNING, 0},
    {"validation", LEARNING, 0},
    {"checkpoint", LEARNING, 0},
    {"distill", BIT(MT_RECIPE_DISTILL), 0},
    {"distill.teacher", BIT(MT_RECIPE_DISTILL), BIT(MT_RECIPE_DISTILL)},
    {"merge", BIT(MT_RECIPE_MERGE), 0},
    {"merge.a", BIT(MT_RECIPE_MERGE), BIT(MT_RECIPE_MERGE)},
    {"merge.b", BIT(MT_RECIPE_MERGE), BIT(MT_RECIPE_MERGE)},
    {"outputs", LEARNING | BIT(MT_RECIPE_MERGE), LEARNING | BIT(MT_RECIPE_MERGE)},
};

struct check { /* of a recipe that has just been read */
    const struct mt_settings_reader *reader;
    const struct whole *whole;
};

static const struct mt_settings_origin *origin_of(const struct check *c, const char *name)
{
    const struct mt_settings_key *key = mt_settings_find(&root, mt_str_of(name));

    return &c->whole->origins[key - root.keys];
}

static bool is_given(const struct check *c, const char *name)
{
    return origin_of(c, name)->source == MT_SETTINGS_BY_FILE;
}

static mt_rc blame(const struct check *c, const char *name, struct mt_err *err,
                   const char *words)
{
    return mt_settings_blame(c->reader, mt_settings_find(&root, mt_str_of(name)),
                             origin_of(c, name), err, "%s", words);
}

static const char *kind_name(enum mt_recipe_kind kind)
{
    const struct mt_settings_word *word = kinds;

    while (word->value != (int64_t)kind)
        word++;
    return word->name;
}

static mt_rc miss(const struct check *c, const char *what, struct mt_err *err)
{
    return mt_settings_fail_at(err, c->reader->name, 1, 1, "%s without '%s'",
                               kind_name(c->whole->recipe.kind), what);
}

static bool is_of(const struct mt_settings_key *key, const char *name)
{
    return strcmp(key->name, name) == 0 || mt_str_is(mt_settings_section(key), name);
}

static mt_rc check_key(const struct check *c, const struct mt_settings_key *key,
                       struct mt_err *err)
{
    const struct mt_settings_origin *origin = &c->whole->origins[key - root.keys];
    unsigned kind = BIT(c->whole->recipe.kind);

    for (size_t i = 0; i < MT_ARRAY_LEN(rules); i++) {
        bool is_given_here = origin->source == MT_SETTINGS_BY_FILE;

        if (!is_of(key, rules[i].name))
            continue;
        if (is_given_here && (rules[i].of_kinds & kind) == 0)
            return mt_settings_blame(c->reader, key, origin, err,
                                     "a recipe of kind '%s' has no such key",
                                     kind_name(c->whole->recipe.kind));
        if (!is_given_here && (rules[i].needed_by & kind) != 0)
            return miss(c, key->name, err);
    }
    return MT_OK;
}

/* ------------------------------------------------------------------ shapes */

/* A base brings its own; without one these say it all. */
static mt_rc check_shape(const struct check *c, struct mt_err *err)
{
    static const char *const needed[] = {"shape.layers", "shape.width", "shape.ff",
                                         "shape.heads"};
    const struct mt_recipe *recipe = &c->whole->recipe;
    struct mt_err why = {0};

    for (size_t i = 0; recipe->base.len > 0 && i < root.n; i++) {
        if (is_of(&root.keys[i], "shape") && is_given(c, root.keys[i].name))
            return blame(c, root.keys[i].name, err, "the base has a shape already");
    }
    if (recipe->base.len > 0)
        return MT_OK;
    for (size_t i = 0; i < MT_ARRAY_LEN(needed); i++) {
        if (!is_given(c, needed[i]))
            return miss(c, needed[i], err);
    }
    const struct mt_shape shape = mt_recipe_shape(recipe);
    if (mt_shape_check(&shape, &why) != MT_OK)
        return blame(c, "shape.layers", err, why.text);
    return MT_OK;
}

/* ------------------------------------------------------------------ data */

static mt_rc blame_data(const struct check *c, size_t i, const char *name, struct mt_err *err,
                        const char *words)
{
    const struct mt_settings_origin *all = origin_of(c, "data");
    const struct mt_settings_key *key = mt_settings_find(&data_group, mt_str_of(name));
    const struct mt_settings_origin *origin = &all->items[i][key - data_group.keys];

    return mt_settings_blame(
        c->reader, key, origin->source == MT_SETTINGS_BY_FILE ? origin : all, err, "%s", words);
}

static bool takes_any(const struct mt_recipe_data *data)
{
    for (int skill = 0; skill < MT_SKILLS_N; skill++) {
        if (mt_recipe_takes(data, (enum mt_skill)skill))
            return true;
    }
    return false;
}

static mt_rc check_data(const struct check *c, struct mt_err *err)
{
    const struct mt_recipe *recipe = &c->whole->recipe;
    struct mt_err why = {0};
    enum mt_skill skill;
    double sum = 0;

    for (size_t i = 0; i < recipe->data_n; i++) {
        const struct mt_recipe_data *data = &recipe->data[i];

        if ((data->skill.len > 0) == (data->file.len > 0))
            return blame_data(c, i, "skill", err, "expected either a skill or a file");
        if (data->file.len > 0 && data->difficulty != MT_RECIPE_ANY_DIFFICULTY)
            return blame_data(c, i, "difficulty", err, "a file has none");
        if (data->skill.len > 0 && !takes_any(data)) {
            (void)mt_skill_find(data->skill, &skill, &why); /* for its words */
            return blame_data(c, i, "skill", err, why.text);
        }
        sum += data->share;
    }
    if (recipe->data_n > 0 && sum <= 0)
        return blame(c, "data", err, "expected a share above 0");
    return MT_OK;
}

/* ------------------------------------------------------------------ the rest */

static mt_rc check_length(const struct check *c, struct mt_err *err)
{
    const struct mt_recipe *recipe = &c->whole->recipe;
    int given_n = (recipe->steps > 0) + (recipe->tokens > 0) + (recipe->time_ms > 0);

    if (given_n == 0)
        return miss(c, "train.steps' or 'train.tokens' or 'train.time", err);
    if (given_n > 1)
        return blame(c, recipe->time_ms > 0 ? "train.time" : "train.tokens", err,
                     "expected one of train.steps, train.tokens and train.time");
    if (recipe->rate_min > recipe->rate_max)
        return blame(c, "train.rate_min", err, "expected at most train.rate_max");
    return MT_OK;
}

/* A file's name below a folder: it cannot lead out of it. */
static bool stays_below(struct mt_str path)
{
    if (path.len == 0 || path.at[0] == '/')
        return false;
    while (path.len > 0) {
        struct mt_str part = mt_str_take(&path, '/');
        if (mt_str_is(part, "..") || mt_str_is(part, ".") || part.len == 0)
            return false;
    }
    return true;
}

static mt_rc check_names(const struct check *c, struct mt_err *err)
{
    const struct mt_recipe *recipe = &c->whole->recipe;

    if (!stays_below(recipe->name) || mt_str_find_char(recipe->name, '/') < recipe->name.len)
        return blame(c, "name", err, "expected what can be a file's name");
    for (size_t i = 0; i < recipe->outputs_n; i++) {
        if (!stays_below(recipe->outputs[i].path))
            return blame(c, "outputs", err, "expected paths below the folder of the run");
    }
    if (recipe->card_path.len > 0 && !stays_below(recipe->card_path))
        return blame(c, "card.path", err, "expected a path below the folder of the run");
    if (recipe->card_json.len > 0 && !stays_below(recipe->card_json))
        return blame(c, "card.json", err, "expected a path below the folder of the run");
    return MT_OK;
}

static mt_rc check(const struct check *c, struct mt_err *err)
{
    for (size_t i = 0; i < root.n; i++)
        MT_TRY(check_key(c, &root.keys[i], err));
    MT_TRY(check_names(c, err));
    if ((LEARNING & BIT(c->whole->recipe.kind)) == 0)
        return MT_OK;
    MT_TRY(check_shape(c, err));
    MT_TRY(check_data(c, err));
    return check_length(c, err);
}

/* ------------------------------------------------------------------ reading */

static struct whole *mutable_of(const struct mt_recipe *recipe)
{
    return (struct whole *)(uintptr_t)recipe;
}

void mt_recipe_free(const struct mt_recipe *recipe)
{
    if (recipe == NULL)
        return;
    mt_arena_fini(&mutable_of(recipe)->arena);
    mt_free(mutable_of(recipe));
}

void mt_recipe_freep(const struct mt_recipe **recipe)
{
    mt_recipe_free(*recipe);
    *recipe = NULL;
}

static mt_rc fill(struct whole *whole, struct mt_str text, const char *name,
                  struct mt_str folder, struct mt_err *err)
{
    const struct mt_settings_reader reader = {
        .name = name, .folder = folder, .arena = &whole->arena};
    const struct check c = {&reader, whole};

    whole->origins = mt_settings_origins(&root, &whole->arena);
    if (whole->origins == NULL)
        return mt_arena_fail(&whole->arena, err);
    whole->recipe.text = mt_arena_str(&whole->arena, text);
    whole->recipe.folder = mt_arena_str(&whole->arena, folder);
    if (whole->recipe.text.at == NULL || whole->recipe.folder.at == NULL)
        return mt_arena_fail(&whole->arena, err);
    MT_TRY(mt_settings_defaults(&root, &whole->recipe, err));
    MT_TRY(mt_settings_read(&reader, text, &root, &whole->recipe, whole->origins, err));
    return check(&c, err);
}

mt_rc mt_recipe_parse(struct mt_str text, const char *name, struct mt_str folder,
                      const struct mt_recipe **out, struct mt_err *err)
{
    struct whole *whole = mt_alloc(1, sizeof *whole);

    if (whole == NULL)
        return MT_FAIL(err, MT_E_NOMEM, "recipe");
    mt_arena_init(&whole->arena, ARENA_MAX);
    mt_rc rc = fill(whole, text, name, folder, err);
    if (rc != MT_OK) {
        mt_recipe_free(&whole->recipe);
        return rc;
    }
    *out = &whole->recipe;
    return MT_OK;
}

mt_rc mt_recipe_read(const char *file, const struct mt_recipe **out, struct mt_err *err)
{
    MT_CLEANUP(mt_buf_fini) struct mt_buf text = MT_BUF_INIT(MT_SETTINGS_FILE_MAX);
    struct mt_str folder = mt_str_of(file);

    MT_TRY(mt_file_read(file, MT_SETTINGS_FILE_MAX, &text, err));
    while (folder.len > 0 && folder.at[folder.len - 1] != '/')
        folder.len--;
    if (folder.len > 1)
        folder.len--;
    return mt_recipe_parse(mt_buf_str(&text), file, folder, out, err);
}

/* ------------------------------------------------------------------ what a recipe means */

struct mt_shape mt_recipe_shape(const struct mt_recipe *recipe)
{
    int64_t head_width =
        recipe->head_width > 0 ? recipe->head_width : recipe->width / recipe->heads;

    return (struct mt_shape){
        .vocab_n = MT_VOCAB_N,
        .context_n = (uint32_t)recipe->context,
        .layers_n = (uint32_t)recipe->layers,
        .width = (uint32_t)recipe->width,
        .ff_width = (uint32_t)recipe->ff,
        .heads_n = (uint32_t)recipe->heads,
        .kv_heads_n = (uint32_t)(recipe->kv_heads > 0 ? recipe->kv_heads : recipe->heads),
        .head_width = (uint32_t)head_width,
        .rope_base = (float)recipe->rope_base,
        .norm_eps = 1e-5f,
        .is_tied = recipe->is_tied,
    };
}

bool mt_recipe_takes(const struct mt_recipe_data *data, enum mt_skill skill)
{
    struct mt_str name = mt_str_of(mt_skill_info(skill)->name);
    struct mt_str pattern = data->skill;

    if (mt_str_is(pattern, "all"))
        return true;
    if (mt_str_is(pattern, "one_step"))
        return mt_skill_info(skill)->steps_n == 1;
    if (mt_str_ends(pattern, MT_STR("*")))
        return mt_str_starts(name, mt_str_sub(pattern, 0, pattern.len - 1));
    return mt_str_eq(name, pattern);
}

void mt_recipe_differ(const struct mt_recipe *old, const struct mt_recipe *now,
                      struct mt_buf *names)
{
    mt_settings_differ(&root, MT_SETTINGS_FIXED, old, now, names);
}

mt_rc mt_recipe_explain(const char *key, struct mt_buf *out, struct mt_err *err)
{
    return mt_settings_explain(&root, key, NULL, out, err);
}

void mt_recipe_reference(struct mt_buf *out)
{
    mt_buf_add_cstr(
        out,
        "# Recipes\n\n"
        "This page is written by `motet train --markdown` from the table of keys; "
        "`docs/training.md` says what to do with them.\n\n"
        "`layers` of the section `shape` is written `shape: {layers: 2}` or `shape.layers: 2`. "
        "Counts may end in `k` or `M`, durations have a unit (`90s`, `15m`). Relative paths of "
        "files that are read begin at the recipe's folder, those of files that are written at "
        "the folder of the run (`--out`). An unknown key, a value out of range, or a key that "
        "the recipe's kind does not have is an error with file, line and column.\n");
    mt_settings_reference(&root, "A recipe", out);
    mt_settings_reference(&data_group, "data", out);
    mt_settings_reference(&output_group, "outputs", out);
}
