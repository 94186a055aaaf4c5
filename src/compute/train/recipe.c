/* SPDX-License-Identifier: Apache-2.0 */
/* From a text to a recipe that can be run: what no key of the table can know alone. */
#include "recipe_priv.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/arena.h"
#include "curriculum/curriculum.h"
#include "settings/read.h"
#include "settings/show.h"
#include "settings/yaml.h"
#include "system/file.h"
#include "train/vocab.h"

enum { ARENA_MAX = 8 * 1024 * 1024 };

struct whole {
    struct mt_recipe recipe; /* first: the public pointer is one to here */
    struct mt_arena arena;
    struct mt_settings_origin *origins;
};

/* ------------------------------------------------------------------ kinds */

#define BIT(kind) (1u << (kind))
#define LEARNING                                                                   \
    (BIT(MT_RECIPE_PRETRAIN) | BIT(MT_RECIPE_DISTILL) | BIT(MT_RECIPE_REINFORCE) | \
     BIT(MT_RECIPE_EMBED))
#define TEAM BIT(MT_RECIPE_COOPERATE) /* learns as well, but two models */

/* Keys and sections that not every kind has, and whether it cannot do without. */
static const struct {
    const char *name;
    unsigned of_kinds, needed_by;
} rules[] = {
    {"base", LEARNING, BIT(MT_RECIPE_REINFORCE)},
    {"shape", LEARNING, 0},
    {"data", LEARNING | TEAM, LEARNING | TEAM},
    {"train", LEARNING | TEAM, 0},
    {"validation", LEARNING | TEAM, 0},
    {"checkpoint", LEARNING | TEAM, 0},
    {"distill", BIT(MT_RECIPE_DISTILL), 0},
    {"distill.teacher", BIT(MT_RECIPE_DISTILL), BIT(MT_RECIPE_DISTILL)},
    {"reinforce", BIT(MT_RECIPE_REINFORCE), 0},
    {"card.alone", BIT(MT_RECIPE_REINFORCE), 0},
    {"card.limits", BIT(MT_RECIPE_REINFORCE), 0},
    {"card.help_items", BIT(MT_RECIPE_REINFORCE), 0},
    {"cooperate", TEAM, 0},
    {"cooperate.a", TEAM, TEAM},
    {"cooperate.b", TEAM, TEAM},
    {"card.items", ~TEAM, 0},
    {"card.alone_a", TEAM, 0},
    {"card.alone_b", TEAM, 0},
    {"card.team_items", TEAM, 0},
    {"merge", BIT(MT_RECIPE_MERGE), 0},
    {"merge.a", BIT(MT_RECIPE_MERGE), BIT(MT_RECIPE_MERGE)},
    {"merge.b", BIT(MT_RECIPE_MERGE), BIT(MT_RECIPE_MERGE)},
    {"chain", BIT(MT_RECIPE_CHAIN), BIT(MT_RECIPE_CHAIN)},
    {"embed", BIT(MT_RECIPE_EMBED), 0},
    {"card.path", LEARNING | TEAM | BIT(MT_RECIPE_MERGE) | BIT(MT_RECIPE_CHAIN),
     BIT(MT_RECIPE_CHAIN)},
    {"outputs", LEARNING | TEAM | BIT(MT_RECIPE_MERGE), LEARNING | TEAM | BIT(MT_RECIPE_MERGE)},
};

struct check { /* of a recipe that has just been read */
    const struct mt_settings_reader *reader;
    const struct whole *whole;
};

static const struct mt_settings_origin *origin_of(const struct check *c, const char *name)
{
    const struct mt_settings_key *key = mt_settings_find(&mt_recipe__root, mt_str_of(name));

    return &c->whole->origins[key - mt_recipe__root.keys];
}

static bool is_given(const struct check *c, const char *name)
{
    return origin_of(c, name)->source == MT_SETTINGS_BY_FILE;
}

static mt_rc blame(const struct check *c, const char *name, struct mt_err *err,
                   const char *words)
{
    return mt_settings_blame(c->reader, mt_settings_find(&mt_recipe__root, mt_str_of(name)),
                             origin_of(c, name), err, "%s", words);
}

static const char *kind_name(enum mt_recipe_kind kind)
{
    const struct mt_settings_word *word = mt_recipe__kinds;

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
    const struct mt_settings_origin *origin = &c->whole->origins[key - mt_recipe__root.keys];
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

    for (size_t i = 0; recipe->base.len > 0 && i < mt_recipe__root.n; i++) {
        if (is_of(&mt_recipe__root.keys[i], "shape") &&
            is_given(c, mt_recipe__root.keys[i].name))
            return blame(c, mt_recipe__root.keys[i].name, err, "the base has a shape already");
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
    const struct mt_settings_key *key = mt_settings_find(&mt_recipe__data, mt_str_of(name));
    const struct mt_settings_origin *origin = &all->items[i][key - mt_recipe__data.keys];

    return mt_settings_blame(
        c->reader, key, origin->source == MT_SETTINGS_BY_FILE ? origin : all, err, "%s", words);
}

static bool names_any(struct mt_str skills)
{
    for (int skill = 0; skill < MT_SKILLS_N; skill++) {
        if (mt_recipe_names(skills, (enum mt_skill)skill))
            return true;
    }
    return false;
}

/* Every word is some skill's. */
static mt_rc check_skills(struct mt_str skills, struct mt_err *err)
{
    enum mt_skill skill;
    bool has_word = false;

    while (skills.len > 0) {
        struct mt_str word = mt_str_take(&skills, ' ');

        if (word.len > 0 && !names_any(word))
            return mt_skill_find(word, &skill, err); /* for its words */
        has_word = has_word || word.len > 0;
    }
    return has_word ? MT_OK : MT_FAIL(err, MT_E_INVALID, "expected the name of a skill");
}

static mt_rc check_members(const struct check *c, struct mt_err *err)
{
    const struct mt_recipe *recipe = &c->whole->recipe;
    struct mt_err why = {0};

    for (size_t i = 0; i < recipe->members_n; i++) {
        if (check_skills(recipe->members[i].skills, &why) != MT_OK)
            return blame(c, "chain", err, why.text);
    }
    return MT_OK;
}

static mt_rc check_data(const struct check *c, struct mt_err *err)
{
    const struct mt_recipe *recipe = &c->whole->recipe;
    struct mt_err why = {0};
    double sum = 0;

    for (size_t i = 0; i < recipe->data_n; i++) {
        const struct mt_recipe_data *data = &recipe->data[i];

        if ((data->skill.len > 0) == (data->file.len > 0))
            return blame_data(c, i, "skill", err, "expected either a skill or a file");
        if (data->file.len > 0 && recipe->kind == MT_RECIPE_EMBED)
            return blame_data(c, i, "file", err, "an embedder learns from skills only");
        if (data->file.len > 0 && data->difficulty != MT_RECIPE_ANY_DIFFICULTY)
            return blame_data(c, i, "difficulty", err, "a file has none");
        if (data->skill.len > 0 && check_skills(data->skill, &why) != MT_OK)
            return blame_data(c, i, "skill", err, why.text);
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

/* Batches of these kinds are what they draw themselves. */
static mt_rc check_drawn(const struct check *c, const char *length, struct mt_err *err)
{
    static const char *const others[] = {"train.batch", "train.tokens", "train.time"};
    const struct mt_recipe *recipe = &c->whole->recipe;
    char words[128];

    (void)snprintf(words, sizeof words, "a recipe of kind '%s' has %s", kind_name(recipe->kind),
                   length);
    for (size_t i = 0; i < MT_ARRAY_LEN(others); i++) {
        if (is_given(c, others[i]))
            return blame(c, others[i], err, words);
    }
    (void)snprintf(words, sizeof words, "a recipe of kind '%s' has skills only",
                   kind_name(recipe->kind));
    for (size_t i = 0; i < recipe->data_n; i++) {
        if (recipe->data[i].file.len > 0)
            return blame_data(c, i, "file", err, words);
    }
    return MT_OK;
}

static mt_rc check_reinforce(const struct check *c, struct mt_err *err)
{
    const struct mt_recipe *recipe = &c->whole->recipe;

    MT_TRY(check_drawn(c, "train.steps, reinforce.prompts and reinforce.traces", err));
    if (!(recipe->help_worth > 0 && recipe->help_worth < 1))
        return blame(c, "reinforce.help_worth", err, "expected above 0 and below 1");
    if (!(recipe->rollout_temperature > 0))
        return blame(c, "reinforce.temperature", err, "expected above 0");
    if (!(recipe->kl > 0))
        return blame(c, "reinforce.kl", err, "expected above 0");
    if (recipe->lessons_tokens > 0 && recipe->lessons_tokens < MT_RECIPE_TOKENS_MIN)
        return blame(c, "reinforce.lessons", err, "expected 0, or 256 and more");
    if (recipe->prompts * recipe->traces > 1 << 13)
        return blame(c, "reinforce.prompts", err, "expected at most 8192 traces in a step");
    return MT_OK;
}

bool mt_recipe__is_below(struct mt_str path)
{
    return stays_below(path);
}

static mt_rc check_cooperate(const struct check *c, struct mt_err *err)
{
    enum { TRACES_MAX = 2048 }; /* of which a decoder holds as many again */
    const struct mt_recipe_team *team = &c->whole->recipe.team;

    MT_TRY(check_drawn(c, "train.steps, cooperate.prompts and cooperate.traces", err));
    if (!(team->temperature > 0))
        return blame(c, "cooperate.temperature", err, "expected above 0");
    if (!(team->kl > 0))
        return blame(c, "cooperate.kl", err, "expected above 0");
    if (team->prompts * team->traces > TRACES_MAX)
        return blame(c, "cooperate.prompts", err, "expected at most 2048 traces in a turn");
    if (c->whole->recipe.outputs_n != 2)
        return blame(c, "outputs", err, "expected two, the first agent's and the second's");
    if ((team->alone_a.len > 0) != (team->alone_b.len > 0))
        return blame(c, team->alone_a.len > 0 ? "card.alone_a" : "card.alone_b", err,
                     "expected card.alone_a and card.alone_b, or neither");
    return MT_OK;
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
    for (size_t i = 0; i < mt_recipe__root.n; i++)
        MT_TRY(check_key(c, &mt_recipe__root.keys[i], err));
    MT_TRY(check_names(c, err));
    MT_TRY(check_members(c, err));
    if (((LEARNING | TEAM) & BIT(c->whole->recipe.kind)) == 0)
        return MT_OK;
    if (c->whole->recipe.kind != MT_RECIPE_COOPERATE)
        MT_TRY(check_shape(c, err));
    MT_TRY(check_data(c, err));
    if (c->whole->recipe.kind == MT_RECIPE_COOPERATE)
        MT_TRY(check_cooperate(c, err));
    if (c->whole->recipe.kind == MT_RECIPE_REINFORCE)
        MT_TRY(check_reinforce(c, err));
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

    whole->origins = mt_settings_origins(&mt_recipe__root, &whole->arena);
    if (whole->origins == NULL)
        return mt_arena_fail(&whole->arena, err);
    whole->recipe.text = mt_arena_str(&whole->arena, text);
    whole->recipe.folder = mt_arena_str(&whole->arena, folder);
    if (whole->recipe.text.at == NULL || whole->recipe.folder.at == NULL)
        return mt_arena_fail(&whole->arena, err);
    MT_TRY(mt_settings_defaults(&mt_recipe__root, &whole->recipe, err));
    MT_TRY(
        mt_settings_read(&reader, text, &mt_recipe__root, &whole->recipe, whole->origins, err));
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

static bool is_named(struct mt_str word, enum mt_skill skill)
{
    struct mt_str name = mt_str_of(mt_skill_info(skill)->name);

    if (mt_str_is(word, "all"))
        return true;
    if (mt_str_is(word, "one_step"))
        return mt_skill_info(skill)->steps_n == 1;
    if (mt_str_ends(word, MT_STR("*")))
        return mt_str_starts(name, mt_str_sub(word, 0, word.len - 1));
    return mt_str_eq(name, word);
}

bool mt_recipe_names(struct mt_str skills, enum mt_skill skill)
{
    while (skills.len > 0) {
        if (is_named(mt_str_take(&skills, ' '), skill))
            return true;
    }
    return false;
}

void mt_recipe_differ(const struct mt_recipe *old, const struct mt_recipe *now,
                      struct mt_buf *names)
{
    mt_settings_differ(&mt_recipe__root, MT_SETTINGS_FIXED, old, now, names);
}
