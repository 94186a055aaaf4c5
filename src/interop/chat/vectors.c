/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of floats. */
#include "vectors.h"

#include <math.h>

#include "base/assert.h"

void mt_chat__write_vector(struct mt_jw *w, const struct mt_embed_answer *answer, size_t i)
{
    const float *row = answer->values + i * answer->dims;

    MT_ASSERT(i < answer->n);
    mt_jw_array(w);
    for (size_t j = 0; j < answer->dims; j++)
        mt_jw_f32(w, isfinite(row[j]) ? row[j] : 0);
    mt_jw_end(w);
}

static mt_rc begin(struct mt_chat__vectors *vectors, size_t dims, struct mt_err *err)
{
    if (dims == 0 || dims > MT_CHAT_DIMS_MAX)
        return MT_FAIL(err, MT_E_UPSTREAM, "embedding: expected 1 to %d numbers, found %zu",
                       MT_CHAT_DIMS_MAX, dims);
    if (vectors->rows_max > MT_JSON_NODES_MAX / dims) /* the document cannot hold as many */
        return MT_FAIL(err, MT_E_UPSTREAM, "embeddings: expected %zu rows of %zu numbers",
                       vectors->rows_max, dims);
    vectors->values =
        mt_arena_get(vectors->arena, vectors->rows_max * dims, sizeof *vectors->values);
    if (vectors->values == NULL)
        return mt_arena_fail(vectors->arena, err);
    vectors->dims = dims;
    return MT_OK;
}

mt_rc mt_chat__vectors_add(struct mt_chat__vectors *vectors, const struct mt_json *row,
                           struct mt_err *err)
{
    if (mt_json_type(row) != MT_JSON_ARRAY)
        return MT_FAIL(err, MT_E_UPSTREAM, "embedding: expected an array, found %s",
                       mt_json_type_name(mt_json_type(row)));
    if (vectors->values == NULL)
        MT_TRY(begin(vectors, mt_json_count(row), err));
    if (mt_json_count(row) != vectors->dims || vectors->n == vectors->rows_max)
        return MT_FAIL(err, MT_E_UPSTREAM, "embedding %zu: expected %zu numbers, found %zu",
                       vectors->n, vectors->dims, mt_json_count(row));
    float *to = vectors->values + vectors->n * vectors->dims;
    for (const struct mt_json *item = mt_json_first(row); item != NULL;
         item = mt_json_next(item)) {
        double value = 0;
        if (!mt_json_f64(item, &value))
            return MT_FAIL(err, MT_E_UPSTREAM, "embedding %zu: expected numbers, found %s",
                           vectors->n, mt_json_type_name(mt_json_type(item)));
        *to++ = (float)value;
    }
    vectors->n++;
    return MT_OK;
}
