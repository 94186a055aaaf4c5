/* SPDX-License-Identifier: Apache-2.0 */
#include "models.h"

#include "support/test.h"

#include "base/alloc.h"
#include "train/vocab.h"

const struct mt_model_about about = {.name = MT_STR_INIT("lab test"),
                                     .description = MT_STR_INIT("a model of a test"),
                                     .license = MT_STR_INIT("Apache-2.0")};

const struct mt_shape wide_shape = {.vocab_n = MT_VOCAB_N,
                                    .context_n = 256,
                                    .layers_n = 3,
                                    .width = 64,
                                    .ff_width = 160,
                                    .heads_n = 6,
                                    .kv_heads_n = 2,
                                    .head_width = 16,
                                    .rope_base = 5000.0F,
                                    .norm_eps = 1e-5F};

struct mt_shape tied_shape(void)
{
    struct mt_shape shape = wide_shape;

    shape.is_tied = true;
    shape.kv_heads_n = 6;
    shape.heads_n = 6;
    return shape;
}

void model_fini(struct model *model)
{
    mt_free(model->params);
}

struct model random_model(const struct mt_shape *shape, uint64_t seed)
{
    struct model model = {.shape = *shape};
    uint64_t n = mt_shape_params_n(shape);

    model.params = mt_alloc(n, sizeof *model.params);
    assert_non_null(model.params);
    mt_shape_init(shape, seed, model.params);
    for (uint64_t i = 0; i < n; i++)
        model.params[i] *= model.params[i] == 1.0F ? 1.0F + (float)(i % 5) * 0.1F : 6.0F;
    return model;
}

struct model read_model(const char *path)
{
    struct model model;
    struct mt_err err;

    if (mt_model_read(path, &model.shape, &model.params, NULL, &err) != MT_OK)
        fail_msg("%s", err.text);
    return model;
}

void write_model(const char *path, const struct model *model, enum mt_model_type type)
{
    struct mt_err err;

    if (mt_model_write(path, &model->shape, model->params, type, &about, NULL, &err) != MT_OK)
        fail_msg("%s", err.text);
}
