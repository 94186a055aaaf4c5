/* SPDX-License-Identifier: Apache-2.0 */
#include "base/alloc.h"
#include "run_priv.h"

_Static_assert((int)MT_RECIPE_TOKENS_MIN >= (int)MT_ITEMS_TOKENS_MIN,
               "what a recipe allows holds any item");

/* The parts of a mixture, as they are found. */
struct parts {
    struct mt_items_part at[MT_ITEMS_PARTS_MAX];
    uint32_t n;
};

static mt_rc add_part(struct parts *parts, struct mt_items_part part, struct mt_err *err)
{
    if (parts->n == MT_ITEMS_PARTS_MAX)
        return MT_FAIL(err, MT_E_INVALID, "data: more than %d skills and difficulties",
                       MT_ITEMS_PARTS_MAX);
    parts->at[parts->n++] = part;
    return MT_OK;
}

/* Every skill and difficulty that a part of the recipe takes, its share in equal parts. */
static mt_rc add_skills(struct parts *parts, const struct mt_recipe_data *data,
                        struct mt_err *err)
{
    uint32_t first = parts->n;

    for (int skill = 0; skill < MT_SKILLS_N; skill++) {
        if (!mt_recipe_names(data->skill, (enum mt_skill)skill))
            continue;
        for (int difficulty = 0; difficulty < MT_DIFFICULTIES_N; difficulty++) {
            if (data->difficulty != MT_RECIPE_ANY_DIFFICULTY && data->difficulty != difficulty)
                continue;
            MT_TRY(
                add_part(parts,
                         (struct mt_items_part){.skill = (enum mt_skill)skill,
                                                .difficulty = (enum mt_difficulty)difficulty},
                         err));
        }
    }
    for (uint32_t i = first; i < parts->n; i++)
        parts->at[i].share = data->share / (parts->n - first);
    return MT_OK;
}

static mt_rc make_items(const struct mt_recipe *recipe, enum mt_split split,
                        const struct parts *parts, struct mt_items **out, struct mt_err *err)
{
    const struct mt_items_opts opts = {
        .parts = parts->at,
        .parts_n = parts->n,
        .split = split,
        .seed = (uint64_t)recipe->seed,
        .tokens_max = (uint32_t)recipe->batch_tokens,
    };

    return mt_items_new(&opts, out, err);
}

mt_rc mt_run__items(const struct mt_recipe *recipe, enum mt_split split, struct mt_items **out,
                    struct mt_err *err)
{
    struct parts parts = {.n = 0};

    for (size_t i = 0; i < recipe->data_n; i++) {
        if (recipe->data[i].file.len == 0 && recipe->data[i].share > 0)
            MT_TRY(add_skills(&parts, &recipe->data[i], err));
    }
    if (parts.n == 0)
        return MT_FAIL(err, MT_E_NOTFOUND, "data: no skills");
    return make_items(recipe, split, &parts, out, err);
}

static mt_rc open_file(const struct mt_recipe_data *data, const struct mt_shape *shape,
                       struct mt_run__data *out, struct mt_err *err)
{
    MT_CLEANUP(mt_freep) char *path = mt_alloc_cstr(data->file);
    struct mt_data_file *file = &out->files[out->files_n];

    if (path == NULL)
        return MT_FAIL(err, MT_E_NOMEM, "data");
    MT_TRY(mt_data_file_read(path, shape->context_n, file, err));
    out->files_n++;
    out->checksum = out->checksum * 31 + file->checksum;
    return MT_OK;
}

static mt_rc open_all(const struct mt_recipe *recipe, const struct mt_shape *shape,
                      struct mt_run__data *out, struct mt_err *err)
{
    struct parts parts = {.n = 0};

    for (size_t i = 0; i < recipe->data_n; i++) {
        const struct mt_recipe_data *data = &recipe->data[i];

        if (data->share <= 0)
            continue;
        if (data->file.len == 0) {
            MT_TRY(add_skills(&parts, data, err));
            continue;
        }
        MT_TRY(open_file(data, shape, out, err));
        const struct mt_data_file *file = &out->files[out->files_n - 1];
        MT_TRY(add_part(&parts,
                        (struct mt_items_part){.pairs = file->pairs,
                                               .pairs_n = file->pairs_n,
                                               .share = data->share},
                        err));
    }
    return make_items(recipe, MT_SPLIT_TRAIN, &parts, &out->items, err);
}

mt_rc mt_run__data_open(const struct mt_recipe *recipe, const struct mt_shape *shape,
                        struct mt_run__data *out, struct mt_err *err)
{
    struct mt_run__data data = {.files = mt_alloc(recipe->data_n, sizeof *data.files)};

    if (shape->context_n < MT_RECIPE_TOKENS_MIN) {
        mt_run__data_close(&data);
        return MT_FAIL(err, MT_E_INVALID,
                       "the model's context: expected at least %d tokens, found %u",
                       MT_RECIPE_TOKENS_MIN, shape->context_n);
    }
    mt_rc rc = data.files == NULL ? MT_FAIL(err, MT_E_NOMEM, "data")
                                  : open_all(recipe, shape, &data, err);
    if (rc != MT_OK) {
        mt_run__data_close(&data);
        return rc;
    }
    *out = data;
    return MT_OK;
}

void mt_run__data_close(struct mt_run__data *data)
{
    for (size_t i = 0; i < data->files_n; i++)
        mt_data_file_fini(&data->files[i]);
    mt_free(data->files);
    mt_items_free(data->items);
    *data = (struct mt_run__data){0};
}
