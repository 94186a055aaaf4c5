/* SPDX-License-Identifier: Apache-2.0 */
/* What a run leaves: the model in its types, and the card of what was written. */
#include "base/alloc.h"
#include "run_priv.h"
#include "system/file.h"
#include "train/card.h"
#include "train/merge.h"

enum { CARD_MAX = 1024 * 1024, BESIDE = 128 };

void mt_run__tell(const struct mt_run_opts *opts, const struct mt_run_event *event)
{
    if (opts->on_event != NULL)
        opts->on_event(opts->context, event);
}

static void tell_wrote(const struct mt_run_opts *opts, const struct mt_run__made *made,
                       const char *path)
{
    mt_run__tell(opts, &(struct mt_run_event){.what = MT_RUN_WROTE,
                                              .step = made->steps,
                                              .steps = made->steps,
                                              .tokens = made->tokens,
                                              .path = path});
}

char *mt_run__below(const struct mt_run_opts *opts, struct mt_str name)
{
    MT_CLEANUP(mt_freep) char *copy = mt_alloc_cstr(name);

    return copy != NULL ? mt_path_join(opts->folder, copy) : NULL;
}

/* Said before the run, not after it. */
mt_rc mt_run__check_output(const struct mt_shape *shape, const struct mt_recipe_output *output,
                           struct mt_err *err)
{
    enum { Q8_0_BLOCK = 32 };
    struct mt_tensor tensors[MT_SHAPE_TENSORS_MAX];
    uint32_t tensors_n = mt_shape_tensors(shape, tensors);

    for (uint32_t i = 0; output->type == MT_MODEL_Q8_0 && i < tensors_n; i++) {
        if (!tensors[i].is_vector && tensors[i].columns % Q8_0_BLOCK != 0)
            return MT_FAIL(err, MT_E_INVALID,
                           "outputs: '%.*s': q8_0 wants rows of a multiple of %d, '%s' has %u",
                           MT_STR_ARG(output->path), Q8_0_BLOCK, tensors[i].name,
                           tensors[i].columns);
    }
    return MT_OK;
}

mt_rc mt_run__write_model(const struct mt_recipe *recipe, const struct mt_run_opts *opts,
                          const struct mt_run__made *made,
                          const struct mt_recipe_output *output, struct mt_err *err)
{
    MT_CLEANUP(mt_freep) char *path = mt_run__below(opts, output->path);
    const struct mt_model_about about = {
        .name = recipe->name,
        .description = recipe->description,
        .license = MT_STR("Apache-2.0"),
        .use = recipe->kind == MT_RECIPE_EMBED ? MT_MODEL_EMBEDS : MT_MODEL_GENERATES};

    if (path == NULL)
        return MT_FAIL(err, MT_E_NOMEM, "output");
    MT_TRY(mt_model_write(path, made->shape, made->params, output->type, &about,
                          opts->library_dir, err));
    tell_wrote(opts, made, path);
    return MT_OK;
}

/* ------------------------------------------------------------------ the card */

static mt_rc measure(const struct mt_recipe *recipe, const struct mt_run_opts *opts,
                     const char *path, struct mt_card *card, struct mt_card_help *rows,
                     struct mt_err *err)
{
    MT_CLEANUP(mt_model_asker_freep) struct mt_model_asker *model = NULL;
    MT_CLEANUP(mt_freep) float *params = NULL;

    MT_TRY(mt_model_read(path, &card->shape, &params, opts->library_dir, err));
    MT_TRY(mt_model_asker_new(&card->shape, params, BESIDE, &model, err));
    const struct mt_asker asker = mt_model_asker_view(model);
    MT_TRY(mt_card_measure(card, &asker, (uint32_t)recipe->card_items, err));
    if (recipe->helper.len == 0)
        return MT_OK;
    return mt_run__measure_help(recipe, opts, path, card, rows, err);
}

mt_rc mt_run__write_text(const struct mt_run_opts *opts, const struct mt_run__made *made,
                         struct mt_str name, const struct mt_buf *text, struct mt_err *err)
{
    MT_CLEANUP(mt_freep) char *path = mt_run__below(opts, name);

    if (path == NULL)
        return MT_FAIL(err, MT_E_NOMEM, "card");
    MT_TRY(mt_buf_check(text, "card", err));
    MT_TRY(mt_file_write(path, mt_buf_str(text), 0644, err));
    tell_wrote(opts, made, path);
    return MT_OK;
}

static mt_rc write_cards(const struct mt_recipe *recipe, const struct mt_run_opts *opts,
                         const struct mt_run__made *made, const struct mt_run__card *card,
                         struct mt_err *err)
{
    if (recipe->card_path.len > 0)
        MT_TRY(mt_run__write_text(opts, made, recipe->card_path, &card->markdown, err));
    if (recipe->card_json.len > 0)
        MT_TRY(mt_run__write_text(opts, made, recipe->card_json, &card->json, err));
    return MT_OK;
}

static void card_fini(struct mt_run__card *card)
{
    mt_buf_fini(&card->markdown);
    mt_buf_fini(&card->json);
}

mt_rc mt_run__write_cards(const struct mt_recipe *recipe, const struct mt_run_opts *opts,
                          const struct mt_card *card, struct mt_err *err)
{
    const struct mt_run__made made = {.steps = card->steps_n, .tokens = card->tokens_n};
    MT_CLEANUP(card_fini)
    struct mt_run__card text = {MT_BUF_INIT(CARD_MAX), MT_BUF_INIT(CARD_MAX)};

    mt_card_markdown(card, &text.markdown);
    mt_card_json(card, &text.json);
    return write_cards(recipe, opts, &made, &text, err);
}

static mt_rc make_card(const struct mt_recipe *recipe, const struct mt_run_opts *opts,
                       const struct mt_run__made *made, const char *path,
                       struct mt_run__card *out, struct mt_err *err)
{
    struct mt_card_help rows[MT_RECIPE_LIMITS_MAX + 1] = {0};
    struct mt_card card = {
        .name = recipe->name,
        .about = recipe->description,
        .data_seed = (uint64_t)recipe->seed,
        .steps_n = made->steps,
        .tokens_n = made->tokens,
        .wall_s = (double)made->spent_ms / 1000,
    };

    MT_TRY(measure(recipe, opts, path, &card, rows, err));
    mt_card_markdown(&card, &out->markdown);
    mt_card_json(&card, &out->json);
    return MT_OK;
}

static mt_rc write_card(const struct mt_recipe *recipe, const struct mt_run_opts *opts,
                        const struct mt_run__made *made, struct mt_err *err)
{
    MT_CLEANUP(card_fini)
    struct mt_run__card card = {MT_BUF_INIT(CARD_MAX), MT_BUF_INIT(CARD_MAX)};
    MT_CLEANUP(mt_freep) char *path = mt_run__below(opts, recipe->outputs[0].path);

    if (path == NULL)
        return MT_FAIL(err, MT_E_NOMEM, "card");
    if (recipe->kind == MT_RECIPE_EMBED)
        MT_TRY(mt_run__embed_card(recipe, opts, made, path, &card, err));
    else
        MT_TRY(make_card(recipe, opts, made, path, &card, err));
    return write_cards(recipe, opts, made, &card, err);
}

mt_rc mt_run__write(const struct mt_recipe *recipe, const struct mt_run_opts *opts,
                    const struct mt_run__made *made, struct mt_err *err)
{
    for (size_t i = 0; i < recipe->outputs_n; i++)
        MT_TRY(mt_run__write_model(recipe, opts, made, &recipe->outputs[i], err));
    if (recipe->card_path.len + recipe->card_json.len == 0)
        return MT_OK;
    return write_card(recipe, opts, made, err);
}

/* ------------------------------------------------------------------ merging */

struct model {
    struct mt_shape shape;
    float *params;
};

static void model_fini(struct model *model)
{
    mt_free(model->params);
}

static mt_rc read_model(const char *key, struct mt_str file, const struct mt_run_opts *opts,
                        struct model *out, struct mt_err *err)
{
    MT_CLEANUP(mt_freep) char *path = mt_alloc_cstr(file);

    if (path == NULL)
        return MT_FAIL(err, MT_E_NOMEM, "%s", key);
    mt_rc rc = mt_model_read(path, &out->shape, &out->params, opts->library_dir, err);
    return rc == MT_OK ? rc : mt_err_wrap(err, rc, "%s", key);
}

mt_rc mt_run__merge(const struct mt_recipe *recipe, const struct mt_run_opts *opts,
                    struct mt_err *err)
{
    MT_CLEANUP(model_fini) struct model a = {.params = NULL};
    MT_CLEANUP(model_fini) struct model b = {.params = NULL};

    MT_TRY(read_model("merge.a", recipe->merge_a, opts, &a, err));
    MT_TRY(read_model("merge.b", recipe->merge_b, opts, &b, err));
    mt_rc rc = mt_merge_check(&a.shape, &b.shape, err);
    if (rc != MT_OK)
        return mt_err_wrap(err, rc, "merge.b: '%.*s'", MT_STR_ARG(recipe->merge_b));
    mt_run__tell(opts, &(struct mt_run_event){.what = MT_RUN_BEGAN,
                                              .params_n = mt_shape_params_n(&a.shape)});
    mt_merge(&a.shape, a.params, b.params, recipe->way, recipe->t, a.params);
    const struct mt_run__made made = {.shape = &a.shape, .params = a.params};
    return mt_run__write(recipe, opts, &made, err);
}
