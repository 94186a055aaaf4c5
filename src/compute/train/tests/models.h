/* SPDX-License-Identifier: Apache-2.0 */
/* Models for the tests of model files. Failing means that the test fails. */
#ifndef MT_TRAIN_TESTS_MODELS_H
#define MT_TRAIN_TESTS_MODELS_H

#include "train/model_file.h"

struct model {
    struct mt_shape shape;
    float *params; /* owned */
};

void model_fini(struct model *model);

/* Grouped queries, heads that together are wider than the stream, untied. */
extern const struct mt_shape wide_shape;
/* A key head per query head, tied. */
struct mt_shape tied_shape(void);

extern const struct mt_model_about about;

/* As spread as a trained model's. */
struct model random_model(const struct mt_shape *shape, uint64_t seed);
struct model read_model(const char *path);
void write_model(const char *path, const struct model *model, enum mt_model_type type);

#endif
