/* SPDX-License-Identifier: Apache-2.0 */
/* The card of a team: the pair that was written and the one whose agents learned alone, both in
 * two turns on the same prompts. */
#include "base/alloc.h"
#include "run_priv.h"
#include "train/cooperate_exam.h"
#include "train/cooperate_pair.h"

enum { CARD_MAX = 1024 * 1024 };

/* What both agents of a pair made of a paper. */
struct answers {
    struct mt_attempt *at[MT_COOP_TURNS][MT_COOP_AGENTS];
};

static void answers_fini(struct answers *answers)
{
    for (int turn = 0; turn < MT_COOP_TURNS; turn++)
        for (int a = 0; a < MT_COOP_AGENTS; a++)
            mt_free(answers->at[turn][a]);
}

static mt_rc get_room(struct answers *answers, uint32_t n, struct mt_err *err)
{
    for (int turn = 0; turn < MT_COOP_TURNS; turn++) {
        for (int a = 0; a < MT_COOP_AGENTS; a++) {
            answers->at[turn][a] = mt_alloc(n, sizeof *answers->at[turn][a]);
            if (answers->at[turn][a] == NULL)
                return MT_FAIL(err, MT_E_NOMEM, "card of %u items", n);
        }
    }
    return MT_OK;
}

struct model {
    struct mt_shape shape;
    float *params;
};

struct team_card {
    const struct mt_run_opts *opts;
    struct mt_run__paper test, validation;
    struct model models[MT_COOP_AGENTS]; /* of the pair in hand */
    struct answers answers[MT_COOP_PAIRS_N];
    struct mt_coop_sheet sheets[MT_COOP_PAIRS_N];
};

static void team_card_fini(struct team_card *t)
{
    mt_run__paper_fini(&t->test);
    mt_run__paper_fini(&t->validation);
    for (int a = 0; a < MT_COOP_AGENTS; a++)
        mt_free(t->models[a].params);
    for (int pair = 0; pair < MT_COOP_PAIRS_N; pair++)
        answers_fini(&t->answers[pair]);
}

/* ------------------------------------------------------------------ asking a pair */

static mt_rc read_model(struct team_card *t, int a, const char *key, const char *path,
                        struct mt_err *err)
{
    mt_free(MT_MOVE(t->models[a].params));
    mt_rc rc = mt_model_read(path, &t->models[a].shape, &t->models[a].params,
                             t->opts->library_dir, err);
    return rc == MT_OK ? rc : mt_err_wrap(err, rc, "%s", key);
}

static struct mt_coop_sheet sheet_of(const struct answers *answers, uint32_t n)
{
    return (struct mt_coop_sheet){
        .at = {{answers->at[0][0], answers->at[0][1]}, {answers->at[1][0], answers->at[1][1]}},
        .items_n = n,
    };
}

/* What the ways depend on is found on one paper, and the pair is measured on the other. */
static mt_rc ask_pair(struct team_card *t, int pair, struct mt_err *err)
{
    MT_CLEANUP(mt_coop_pair_freep) struct mt_coop_pair *agents = NULL;
    MT_CLEANUP(answers_fini) struct answers before = {{{NULL}}};
    const struct mt_shape *const shapes[] = {&t->models[0].shape, &t->models[1].shape};
    const float *const params[] = {t->models[0].params, t->models[1].params};

    MT_TRY(mt_coop_pair_new(shapes, params, &agents, err));
    MT_TRY(get_room(&before, t->validation.n, err));
    MT_TRY(get_room(&t->answers[pair], t->test.n, err));
    mt_coop_pair_try(agents, t->validation.items, t->validation.n, before.at);
    mt_coop_pair_try(agents, t->test.items, t->test.n, t->answers[pair].at);
    const struct mt_coop_sheet sheet = sheet_of(&before, t->validation.n);
    t->sheets[pair] = sheet_of(&t->answers[pair], t->test.n);
    t->sheets[pair].choice = mt_coop_choose(&sheet);
    return MT_OK;
}

/* As they were written: with what their types make of them. */
static mt_rc ask_team(struct team_card *t, const struct mt_recipe *recipe,
                      struct mt_coop_card *card, struct mt_err *err)
{
    for (int a = 0; a < MT_COOP_AGENTS; a++) {
        MT_CLEANUP(mt_freep) char *path = mt_run__below(t->opts, recipe->outputs[a].path);

        if (path == NULL)
            return MT_FAIL(err, MT_E_NOMEM, "card");
        MT_TRY(read_model(t, a, "card", path, err));
        card->models[a] = recipe->outputs[a].path;
        card->params_n[a] = mt_shape_params_n(&t->models[a].shape);
    }
    return ask_pair(t, MT_COOP_TOGETHER, err);
}

static mt_rc ask_alone(struct team_card *t, const struct mt_recipe *recipe, struct mt_err *err)
{
    static const char *const keys[] = {"card.alone_a", "card.alone_b"};
    const struct mt_str files[] = {recipe->team.alone_a, recipe->team.alone_b};

    for (int a = 0; a < MT_COOP_AGENTS; a++) {
        MT_CLEANUP(mt_freep) char *path = mt_alloc_cstr(files[a]);

        if (path == NULL)
            return MT_FAIL(err, MT_E_NOMEM, "%s", keys[a]);
        MT_TRY(read_model(t, a, keys[a], path, err));
    }
    return ask_pair(t, MT_COOP_ALONE, err);
}

/* ------------------------------------------------------------------ the card */

static mt_rc write_card(const struct mt_recipe *recipe, const struct mt_run_opts *opts,
                        const struct mt_run__made *made, const struct mt_coop_card *card,
                        struct mt_err *err)
{
    MT_CLEANUP(mt_buf_fini) struct mt_buf text = MT_BUF_INIT(CARD_MAX);

    if (recipe->card_path.len > 0) {
        mt_coop_card_markdown(card, &text);
        MT_TRY(mt_run__write_text(opts, made, recipe->card_path, &text, err));
    }
    mt_buf_clear(&text);
    if (recipe->card_json.len > 0) {
        mt_coop_card_json(card, &text);
        MT_TRY(mt_run__write_text(opts, made, recipe->card_json, &text, err));
    }
    return MT_OK;
}

static mt_rc measure(struct team_card *t, const struct mt_recipe *recipe,
                     struct mt_coop_card *card, struct mt_err *err)
{
    uint32_t n = (uint32_t)recipe->team.items;

    MT_TRY(mt_run__paper_write(recipe, MT_SPLIT_TEST, n, &t->test, err));
    MT_TRY(mt_run__paper_write(recipe, MT_SPLIT_VALIDATION, n, &t->validation, err));
    if (t->test.n < 2)
        return MT_FAIL(err, MT_E_INVALID, "card: the recipe's data has too few prompts");
    MT_TRY(ask_team(t, recipe, card, err));
    if (card->has_alone)
        MT_TRY(ask_alone(t, recipe, err));
    return mt_coop_card_measure(card, t->sheets, err);
}

mt_rc mt_run__team_card(const struct mt_recipe *recipe, const struct mt_run_opts *opts,
                        const struct mt_run__made *made, struct mt_err *err)
{
    MT_CLEANUP(team_card_fini) struct team_card t = {.opts = opts};
    struct mt_coop_card card = {
        .name = recipe->name,
        .about = recipe->description,
        .seed = (uint64_t)recipe->seed,
        .steps_n = made->steps,
        .tokens_n = made->tokens,
        .wall_s = (double)made->spent_ms / 1000,
        .is_alone = recipe->team.is_alone,
        .has_alone = recipe->team.alone_a.len > 0,
    };

    if (recipe->card_path.len + recipe->card_json.len == 0)
        return MT_OK;
    MT_TRY(measure(&t, recipe, &card, err));
    return write_card(recipe, opts, made, &card, err);
}
