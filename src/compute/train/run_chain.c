/* SPDX-License-Identifier: Apache-2.0 */
/* The card of a chain: models that each have the steps of some skills. */
#include "base/alloc.h"
#include "run_priv.h"
#include "train/card.h"

enum { BESIDE = 128 };

struct member {
    struct mt_shape shape;
    float *params;
    struct mt_model_asker *model;
    struct mt_asker asker;
};

struct members {
    struct member at[MT_RECIPE_MEMBERS_MAX];
    struct mt_card_member told[MT_RECIPE_MEMBERS_MAX];
    struct mt_chain chain;
};

static void members_fini(struct members *members)
{
    for (size_t i = 0; i < MT_RECIPE_MEMBERS_MAX; i++) {
        mt_model_asker_free(members->at[i].model);
        mt_free(members->at[i].params);
    }
}

static struct mt_str file_of(struct mt_str path)
{
    size_t at = path.len;

    while (at > 0 && path.at[at - 1] != '/')
        at--;
    return mt_str_sub(path, at, path.len);
}

static mt_rc open_member(const struct mt_recipe_member *from, const struct mt_run_opts *opts,
                         struct member *out, struct mt_err *err)
{
    MT_CLEANUP(mt_freep) char *path = mt_alloc_cstr(from->model);

    if (path == NULL)
        return MT_FAIL(err, MT_E_NOMEM, "chain");
    mt_rc rc = mt_model_read(path, &out->shape, &out->params, opts->library_dir, err);
    if (rc != MT_OK)
        return mt_err_wrap(err, rc, "chain");
    MT_TRY(mt_model_asker_new(&out->shape, out->params, BESIDE, &out->model, err));
    out->asker = mt_model_asker_view(out->model);
    return MT_OK;
}

static mt_rc open_members(const struct mt_recipe *recipe, const struct mt_run_opts *opts,
                          struct members *out, struct mt_err *err)
{
    for (size_t i = 0; i < recipe->members_n; i++) {
        const struct mt_recipe_member *from = &recipe->members[i];

        MT_TRY(open_member(from, opts, &out->at[i], err));
        out->told[i] = (struct mt_card_member){file_of(from->model), from->skills,
                                               mt_shape_params_n(&out->at[i].shape)};
        for (int skill = 0; skill < MT_SKILLS_N; skill++) {
            if (out->chain.of[skill] == NULL &&
                mt_recipe_names(from->skills, (enum mt_skill)skill))
                out->chain.of[skill] = &out->at[i].asker;
        }
    }
    return MT_OK;
}

mt_rc mt_run__chain(const struct mt_recipe *recipe, const struct mt_run_opts *opts,
                    struct mt_err *err)
{
    MT_CLEANUP(members_fini) struct members members = {0};
    struct mt_card card = {.name = recipe->name,
                           .about = recipe->description,
                           .members = members.told,
                           .members_n = recipe->members_n};
    uint64_t params_n = 0;

    MT_TRY(open_members(recipe, opts, &members, err));
    for (size_t i = 0; i < recipe->members_n; i++)
        params_n += members.told[i].params_n;
    mt_run__tell(opts, &(struct mt_run_event){.what = MT_RUN_BEGAN, .params_n = params_n});
    MT_TRY(mt_card_measure_chain(&card, &members.chain, (uint32_t)recipe->card_items, err));
    return mt_run__write_cards(recipe, opts, &card, err);
}
