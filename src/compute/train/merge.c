/* SPDX-License-Identifier: Apache-2.0 */
#include "train/merge.h"

#include <math.h>

mt_rc mt_merge_check(const struct mt_shape *a, const struct mt_shape *b, struct mt_err *err)
{
    const struct {
        const char *name;
        double a, b;
    } members[] = {
        {"tokens", a->vocab_n, b->vocab_n},
        {"layers", a->layers_n, b->layers_n},
        {"width", a->width, b->width},
        {"ff", a->ff_width, b->ff_width},
        {"heads", a->heads_n, b->heads_n},
        {"kv_heads", a->kv_heads_n, b->kv_heads_n},
        {"head_width", a->head_width, b->head_width},
        {"rope_base", (double)a->rope_base, (double)b->rope_base},
        {"tied", a->is_tied, b->is_tied},
    };

    for (size_t i = 0; i < MT_ARRAY_LEN(members); i++) {
        if (members[i].a < members[i].b || members[i].a > members[i].b)
            return MT_FAIL(err, MT_E_INVALID,
                           "expected %s %.15g as the other model, found %.15g", members[i].name,
                           members[i].a, members[i].b);
    }
    return MT_OK;
}

/* How much of a and of b. */
struct mix {
    double a, b;
};

static struct mix on_arc(const float *a, const float *b, size_t n, double t)
{
    enum { STRAIGHT_PPM = 999500 }; /* above this cosine the arc is the line */
    double aa = 0, bb = 0, ab = 0;

    for (size_t i = 0; i < n; i++) {
        aa += (double)a[i] * (double)a[i];
        bb += (double)b[i] * (double)b[i];
        ab += (double)a[i] * (double)b[i];
    }
    double cosine = aa > 0 && bb > 0 ? ab / (sqrt(aa) * sqrt(bb)) : 1;
    if (fabs(cosine) * 1e6 > STRAIGHT_PPM)
        return (struct mix){1 - t, t};
    double angle = acos(cosine);
    return (struct mix){sin((1 - t) * angle) / sin(angle), sin(t * angle) / sin(angle)};
}

void mt_merge(const struct mt_shape *shape, const float *a, const float *b,
              enum mt_recipe_way way, double t, float *out)
{
    struct mt_tensor tensors[MT_SHAPE_TENSORS_MAX];
    uint32_t tensors_n = mt_shape_tensors(shape, tensors);

    for (uint32_t i = 0; i < tensors_n; i++) {
        size_t n = (size_t)tensors[i].rows * tensors[i].columns;
        size_t at = tensors[i].at;
        struct mix mix =
            way == MT_MERGE_SPHERICAL ? on_arc(a + at, b + at, n, t) : (struct mix){1 - t, t};

        for (size_t j = at; j < at + n; j++)
            out[j] = (float)(mix.a * (double)a[j] + mix.b * (double)b[j]);
    }
}
