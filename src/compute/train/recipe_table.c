/* SPDX-License-Identifier: Apache-2.0 */
/* The table of a recipe's keys: the one place where a key is named, bounded and explained.
 * Pure.
 */
#include "recipe_priv.h"
#include "settings/page.h"
#include "train/exam.h"

#define SECOND    ((int64_t)1000)
#define HOUR      (3600 * SECOND)
#define COUNT_MAX ((int64_t)1000 * 1000 * 1000 * 1000)

enum { DATA_MAX = 64, OUTPUTS_MAX = 8 };

const struct mt_settings_word mt_recipe__kinds[] = {
    {"pretrain", MT_RECIPE_PRETRAIN},   {"distill", MT_RECIPE_DISTILL},
    {"reinforce", MT_RECIPE_REINFORCE}, {"cooperate", MT_RECIPE_COOPERATE},
    {"merge", MT_RECIPE_MERGE},         {"chain", MT_RECIPE_CHAIN},
    {"embed", MT_RECIPE_EMBED},         {NULL, 0}};
static const struct mt_settings_word types[] = {
    {"f32", MT_MODEL_F32}, {"f16", MT_MODEL_F16}, {"q8_0", MT_MODEL_Q8_0}, {NULL, 0}};
static const struct mt_settings_word ways[] = {
    {"linear", MT_MERGE_LINEAR}, {"spherical", MT_MERGE_SPHERICAL}, {NULL, 0}};
static const struct mt_settings_word difficulties[] = {{"all", MT_RECIPE_ANY_DIFFICULTY},
                                                       {"easy", MT_EASY},
                                                       {"middle", MT_MIDDLE},
                                                       {"hard", MT_HARD},
                                                       {NULL, 0}};

static const struct mt_settings_word precisions[] = {
    {"f32", MT_PRECISION_F32}, {"bf16", MT_PRECISION_BF16}, {NULL, 0}};
static const struct mt_settings_word optimizers[] = {
    {"adamw", MT_OPTIMIZER_ADAMW}, {"muon", MT_OPTIMIZER_MUON}, {NULL, 0}};

#define FIXED    MT_SETTINGS_FIXED
#define REQUIRED MT_SETTINGS_REQUIRED

#define AT(member) .at = offsetof(struct mt_recipe_data, member)
static const struct mt_settings_key data_keys[] = {
    {"skill", MT_SETTINGS_TEXT, AT(skill),
     .help = "skills of the curriculum with spaces between: names, a beginning and `*`, "
             "`one_step`, `all`",
     .example = "all"},
    {"difficulty", MT_SETTINGS_WORD, AT(difficulty), .initial = "all", .words = difficulties,
     .help = "of the skill's items"},
    {"file", MT_SETTINGS_PATH, AT(file),
     .help = "in place of skills: a file with a line `{\"prompt\": \"...\", \"answer\": "
             "\"...\"}` for each item"},
    {"share", MT_SETTINGS_NUMBER, AT(share), .initial = "1", .max = 1000,
     .help = "of the items, by the sum of all shares; in equal parts among a part's skills and "
             "difficulties"},
};
#undef AT
const struct mt_settings_group mt_recipe__data = {
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

#define AT(member) .at = offsetof(struct mt_recipe_member, member)
static const struct mt_settings_key member_keys[] = {
    {"skills", MT_SETTINGS_TEXT, REQUIRED, AT(skills), .help = "as those of data",
     .example = "add subtract"},
    {"model", MT_SETTINGS_PATH, REQUIRED, AT(model),
     .help = "GGUF file of whom their steps are given to"},
};
#undef AT
const struct mt_settings_group mt_recipe__member = {
    "member", member_keys, MT_ARRAY_LEN(member_keys), sizeof(struct mt_recipe_member)};

#define AT(member) .at = offsetof(struct mt_recipe_limit, member)
static const struct mt_settings_key limit_keys[] = {
    {"model", MT_SETTINGS_PATH, REQUIRED, AT(model), .help = "GGUF file"},
    {"limit", MT_SETTINGS_NUMBER, REQUIRED, AT(limit), .max = 1,
     .help = "of help, that it was trained with", .example = "0.1"},
};
#undef AT
static const struct mt_settings_group limit_group = {
    "limit", limit_keys, MT_ARRAY_LEN(limit_keys), sizeof(struct mt_recipe_limit)};

#define AT(member)   .at = offsetof(struct mt_recipe, member)
#define N_AT(member) .n_at = offsetof(struct mt_recipe, member)
static const struct mt_settings_key root_keys[] = {
    {"name", MT_SETTINGS_TEXT, REQUIRED, AT(name), .help = "of the model",
     .example = "lab-pico"},
    {"description", MT_SETTINGS_TEXT, AT(description), .help = "kept in the model's file"},
    {"kind", MT_SETTINGS_WORD, FIXED, AT(kind), .initial = "pretrain",
     .words = mt_recipe__kinds,
     .help =
         "learn from data; learn from a teacher on data; learn from own answers, and when to "
         "ask for help; learn as two that see each other's answers; mix two models; measure "
         "several models that share the steps of a task; learn to tell tasks apart, for "
         "vectors of texts"},
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
     .items = &mt_recipe__data, .help = "what it learns from"},
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
    {"train.optimizer", MT_SETTINGS_WORD, FIXED, AT(optimizer), .initial = "adamw",
     .words = optimizers,
     .help = "`muon` moves the matrices inside the layers along their orthogonalised momentum, "
             "and all else as `adamw` does: dearer steps, of which far fewer are needed"},
    {"train.precision", MT_SETTINGS_WORD, FIXED, AT(precision), .initial = "f32",
     .words = precisions,
     .help =
         "of what is multiplied: `bf16` is several times faster on processors with AMX, and "
         "`f32` on others"},
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
    {"reinforce.helper", MT_SETTINGS_PATH, FIXED, AT(helper),
     .help = "GGUF file of whom `<call_cloud>` asks; none: there is no help, and answers alone "
             "are rewarded"},
    {"reinforce.help_limit", MT_SETTINGS_NUMBER, FIXED, AT(help_limit), .initial = "0.3",
     .max = 1, .help = "greatest share of prompts about which help may be asked"},
    {"reinforce.help_worth", MT_SETTINGS_NUMBER, FIXED, AT(help_worth), .initial = "0.7",
     .max = 1, .help = "of a right answer that was asked for; one of its own is worth 1"},
    {"reinforce.price_rate", MT_SETTINGS_NUMBER, FIXED, AT(price_rate), .initial = "0.01",
     .max = 10, .help = "how fast asking becomes dearer while it is done above its limit"},
    {"reinforce.prompts", MT_SETTINGS_COUNT, FIXED, AT(prompts), .initial = "64", .min = 1,
     .max = 4096, .help = "of a step"},
    {"reinforce.traces", MT_SETTINGS_COUNT, FIXED, AT(traces), .initial = "8", .min = 2,
     .max = 64,
     .help = "answers drawn to each prompt, of which each is judged beside the others"},
    {"reinforce.temperature", MT_SETTINGS_NUMBER, FIXED, AT(rollout_temperature),
     .initial = "1", .max = 10, .help = "of the draw"},
    {"reinforce.kl", MT_SETTINGS_NUMBER, FIXED, AT(kl), .initial = "0.01", .max = 10,
     .help = "weight of the divergence from what the model was"},
    {"reinforce.warmup", MT_SETTINGS_COUNT, FIXED, AT(rollout_warmup), .initial = "50",
     .max = 100 * 1000,
     .help = "first steps, in which the model gets to know `<call_cloud>` behind those of its "
             "own answers that are wrong"},
    {"reinforce.lessons", MT_SETTINGS_COUNT, FIXED, AT(lessons_tokens), .initial = "0",
     .max = 64 * 1000,
     .help = "tokens of the data's own answers that a step learns from beside its traces, so "
             "that nothing is forgotten; at least 256, or 0: none"},
    {"cooperate.a", MT_SETTINGS_PATH, FIXED, AT(team.a),
     .help = "GGUF file that the first agent goes on from"},
    {"cooperate.b", MT_SETTINGS_PATH, FIXED, AT(team.b), .help = "the second agent's"},
    {"cooperate.prompts", MT_SETTINGS_COUNT, FIXED, AT(team.prompts), .initial = "32", .min = 1,
     .max = 1024, .help = "of a step, which both agents answer"},
    {"cooperate.traces", MT_SETTINGS_COUNT, FIXED, AT(team.traces), .initial = "8", .min = 2,
     .max = 64, .help = "answers drawn to each prompt in each turn"},
    {"cooperate.temperature", MT_SETTINGS_NUMBER, FIXED, AT(team.temperature), .initial = "1",
     .max = 10, .help = "of the draw"},
    {"cooperate.kl", MT_SETTINGS_NUMBER, FIXED, AT(team.kl), .initial = "0.01", .max = 10,
     .help = "weight of the divergence from what the agents were after the warm-up"},
    {"cooperate.warmup", MT_SETTINGS_COUNT, FIXED, AT(team.warmup), .initial = "200",
     .max = 100 * 1000,
     .help = "first steps, in which the agents get to know the second turn: their own answer "
             "again or the other's, by chance alone"},
    {"cooperate.discount", MT_SETTINGS_NUMBER, FIXED, AT(team.discount), .initial = "0.3",
     .max = 1, .help = "worth for a first answer of what both say after it"},
    {"cooperate.alone", MT_SETTINGS_BOOL, FIXED, AT(team.is_alone), .initial = "false",
     .help = "behind the warm-up each agent learns from its own first answers only, twice as "
             "many of them: the comparison"},
    {"merge.a", MT_SETTINGS_PATH, FIXED, AT(merge_a), .help = "the GGUF file at t = 0"},
    {"merge.b", MT_SETTINGS_PATH, FIXED, AT(merge_b), .help = "the GGUF file at t = 1"},
    {"merge.way", MT_SETTINGS_WORD, FIXED, AT(way), .initial = "linear", .words = ways,
     .help = "along the line, or along the arc between each pair of tensors"},
    {"merge.t", MT_SETTINGS_NUMBER, FIXED, AT(t), .initial = "0.5", .max = 1,
     .help = "how far from a to b"},
    {"chain", MT_SETTINGS_ITEMS, FIXED, AT(members), N_AT(members_n),
     .max = MT_RECIPE_MEMBERS_MAX, .items = &mt_recipe__member,
     .help = "its members; the first that is given a skill has its steps"},
    {"embed.answerer", MT_SETTINGS_PATH, AT(answerer),
     .help = "GGUF file of a model of the lab: the card says how well the vectors tell whether "
             "it answers rightly; none: not measured"},
    {"outputs", MT_SETTINGS_ITEMS, AT(outputs), N_AT(outputs_n), .max = OUTPUTS_MAX,
     .items = &output_group,
     .help = "the files that the model is written to; of kind cooperate exactly two, the first "
             "agent's and the second's"},
    {"card.path", MT_SETTINGS_TEXT, AT(card_path),
     .help = "Markdown file below the folder that the run writes to: what the first output can "
             "do, measured on the test split; none: not written"},
    {"card.json", MT_SETTINGS_TEXT, AT(card_json), .help = "the same as JSON"},
    {"card.items", MT_SETTINGS_COUNT, AT(card_items), .initial = "200", .min = 1,
     .max = MT_EXAM_ITEMS_MAX, .help = "items for each skill and difficulty"},
    {"card.alone", MT_SETTINGS_PATH, AT(card_alone),
     .help =
         "GGUF file of the base, trained as long without help: the curve is measured beside "
         "it as well"},
    {"card.limits", MT_SETTINGS_ITEMS, AT(limits), N_AT(limits_n), .max = MT_RECIPE_LIMITS_MAX,
     .items = &limit_group, .help = "models of other limits of help, for the curve"},
    {"card.help_items", MT_SETTINGS_COUNT, AT(help_items), .initial = "4000", .min = 2,
     .max = 20 * 1000, .help = "different prompts that asking for help is measured on"},
    {"card.alone_a", MT_SETTINGS_PATH, AT(team.alone_a),
     .help = "GGUF file of the first agent, trained by the same recipe with `cooperate.alone`: "
             "the team is measured beside that pair"},
    {"card.alone_b", MT_SETTINGS_PATH, AT(team.alone_b), .help = "the second agent's"},
    {"card.team_items", MT_SETTINGS_COUNT, AT(team.items), .initial = "4000", .min = 2,
     .max = 20 * 1000, .help = "different prompts that a team is measured on"},
};
#undef AT
#undef N_AT
const struct mt_settings_group mt_recipe__root = {"recipe", root_keys, MT_ARRAY_LEN(root_keys),
                                                  sizeof(struct mt_recipe)};

mt_rc mt_recipe_explain(const char *key, struct mt_buf *out, struct mt_err *err)
{
    return mt_settings_explain(&mt_recipe__root, key, NULL, out, err);
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
    mt_settings_reference(&mt_recipe__root, "A recipe", out);
    mt_settings_reference(&mt_recipe__data, "data", out);
    mt_settings_reference(&mt_recipe__member, "chain", out);
    mt_settings_reference(&output_group, "outputs", out);
    mt_settings_reference(&limit_group, "card.limits", out);
}
