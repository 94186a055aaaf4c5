/* SPDX-License-Identifier: Apache-2.0 */
/* What is different in the run of an embedder: its batches, and its card. */
#include "base/alloc.h"
#include "run_priv.h"
#include "train/embed_card.h"

enum { BESIDE = 128 };

/* The model whose answers are foretold. */
struct answerer {
    float *params;
    struct mt_model_asker *model; /* NULL: none */
    struct mt_asker asker;
};

static void answerer_fini(struct answerer *answerer)
{
    mt_model_asker_free(answerer->model);
    mt_free(answerer->params);
}

static mt_rc answerer_init(struct answerer *answerer, struct mt_str file,
                           const char *library_dir, struct mt_err *err)
{
    MT_CLEANUP(mt_freep) char *path = mt_alloc_cstr(file);
    struct mt_shape shape;

    if (path == NULL)
        return MT_FAIL(err, MT_E_NOMEM, "embed.answerer");
    mt_rc rc = mt_model_read(path, &shape, &answerer->params, library_dir, err);
    if (rc != MT_OK)
        return mt_err_wrap(err, rc, "embed.answerer");
    MT_TRY(mt_model_asker_new(&shape, answerer->params, BESIDE, &answerer->model, err));
    answerer->asker = mt_model_asker_view(answerer->model);
    return MT_OK;
}

mt_rc mt_run__embed_open(const struct mt_recipe *recipe, const struct mt_run_opts *opts,
                         struct mt_embed_room **out, struct mt_err *err)
{
    MT_CLEANUP(answerer_fini) struct answerer answerer = {.params = NULL};

    if (recipe->answerer.len > 0)
        MT_TRY(answerer_init(&answerer, recipe->answerer, opts->library_dir, err));
    return mt_embed_room_new((uint32_t)recipe->batch_tokens, out, err);
}

/* ------------------------------------------------------------------ the card */

static uint32_t learned_of(const struct mt_recipe *recipe)
{
    uint32_t learned = 0;

    for (size_t i = 0; i < recipe->data_n; i++)
        for (unsigned skill = 0; recipe->data[i].share > 0 && skill < MT_SKILLS_N; skill++)
            if (mt_recipe_names(recipe->data[i].skill, (enum mt_skill)skill))
                learned |= 1u << skill;
    return learned;
}

/* "/lab/lab-nano.gguf" -> "lab-nano.gguf" */
static struct mt_str file_name(struct mt_str path)
{
    size_t at = path.len;

    while (at > 0 && path.at[at - 1] != '/')
        at--;
    return mt_str_sub(path, at, path.len);
}

mt_rc mt_run__embed_card(const struct mt_recipe *recipe, const struct mt_run_opts *opts,
                         const struct mt_run__made *made, const char *path,
                         struct mt_run__card *out, struct mt_err *err)
{
    MT_CLEANUP(answerer_fini) struct answerer answerer = {.params = NULL};
    MT_CLEANUP(mt_freep) struct mt_embed_card *card = mt_alloc(1, sizeof *card);
    MT_CLEANUP(mt_freep) float *params = NULL;

    if (card == NULL)
        return MT_FAIL(err, MT_E_NOMEM, "card");
    *card = (struct mt_embed_card){
        .name = recipe->name,
        .about = recipe->description,
        .answerer = file_name(recipe->answerer),
        .data_seed = (uint64_t)recipe->seed,
        .steps_n = made->steps,
        .tokens_n = made->tokens,
        .wall_s = (double)made->spent_ms / 1000,
        .learned = learned_of(recipe),
    };
    if (recipe->answerer.len > 0)
        MT_TRY(answerer_init(&answerer, recipe->answerer, opts->library_dir, err));
    MT_TRY(mt_model_read(path, &card->shape, &params, opts->library_dir, err));
    const struct mt_embed_card_opts how = {
        .params = params,
        .answerer = answerer.model != NULL ? &answerer.asker : NULL,
        .items_n = recipe->card_items < MT_EMBED_ITEMS_MAX ? (uint32_t)recipe->card_items
                                                           : MT_EMBED_ITEMS_MAX,
    };
    MT_TRY(mt_embed_card_measure(card, &how, err));
    mt_embed_card_markdown(card, &out->markdown);
    mt_embed_card_json(card, &out->json);
    return MT_OK;
}
