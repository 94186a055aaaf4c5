/* SPDX-License-Identifier: Apache-2.0 */
/* What a teacher says of each target: its probabilities, mixed with the data's own answer.
 *
 * The teacher is a trainer that never steps: its threads share a batch as the pupil's do. */
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "run_priv.h"

struct mt_run__teacher {
    struct mt_trainer *trainer;
    float *soft; /* [tokens_max x vocab_n] logits, then probabilities */
    float temperature, share;
    uint32_t vocab_n;
};

void mt_run__teacher_free(struct mt_run__teacher *teacher)
{
    if (teacher == NULL)
        return;
    mt_trainer_free(teacher->trainer);
    mt_free(teacher->soft);
    mt_free(teacher);
}

static mt_rc load(struct mt_run__teacher *teacher, const struct mt_recipe *recipe,
                  const struct mt_run_opts *opts, uint32_t context_n, struct mt_err *err)
{
    MT_CLEANUP(mt_freep) char *path = mt_alloc_cstr(recipe->teacher);
    MT_CLEANUP(mt_freep) float *params = NULL;
    struct mt_trainer_opts how = {.threads_n = opts->threads_n,
                                  .tokens_max = (uint32_t)recipe->batch_tokens};

    if (path == NULL)
        return MT_FAIL(err, MT_E_NOMEM, "teacher");
    mt_rc rc = mt_model_read(path, &how.shape, &params, opts->library_dir, err);
    if (rc != MT_OK)
        return mt_err_wrap(err, rc, "distill.teacher");
    if (how.shape.vocab_n != teacher->vocab_n)
        return MT_FAIL(err, MT_E_INVALID, "distill.teacher: '%s': expected %u tokens, found %u",
                       path, teacher->vocab_n, how.shape.vocab_n);
    if (how.shape.context_n < context_n)
        return MT_FAIL(err, MT_E_INVALID,
                       "distill.teacher: '%s': expected a context of %u tokens, found %u", path,
                       context_n, how.shape.context_n);
    MT_TRY(mt_trainer_new(&how, &teacher->trainer, err));
    memcpy(mt_trainer_params(teacher->trainer), params,
           (size_t)mt_shape_params_n(&how.shape) * sizeof *params);
    return MT_OK;
}

static void teacher_freep(struct mt_run__teacher **teacher)
{
    mt_run__teacher_free(*teacher);
}

mt_rc mt_run__teacher_new(const struct mt_recipe *recipe, const struct mt_run_opts *opts,
                          const struct mt_shape *pupil, struct mt_run__teacher **out,
                          struct mt_err *err)
{
    MT_CLEANUP(teacher_freep) struct mt_run__teacher *teacher = mt_alloc(1, sizeof *teacher);

    if (teacher == NULL)
        return MT_FAIL(err, MT_E_NOMEM, "teacher");
    teacher->temperature = (float)recipe->temperature;
    teacher->share = (float)recipe->teacher_share;
    teacher->vocab_n = pupil->vocab_n;
    teacher->soft = mt_alloc((size_t)recipe->batch_tokens * pupil->vocab_n, sizeof(float));
    if (teacher->soft == NULL)
        return MT_FAIL(err, MT_E_NOMEM, "a teacher's answers to %lld tokens",
                       (long long)recipe->batch_tokens);
    MT_TRY(load(teacher, recipe, opts, pupil->context_n, err));
    *out = MT_MOVE(teacher);
    return MT_OK;
}

/* Logits to probabilities at the temperature, scaled by the teacher's share. */
static void soften(float *row, uint32_t n, float temperature, float share)
{
    float most = row[0];
    float sum = 0;

    for (uint32_t i = 1; i < n; i++)
        most = row[i] > most ? row[i] : most;
    for (uint32_t i = 0; i < n; i++) {
        row[i] = expf((row[i] - most) / temperature);
        sum += row[i];
    }
    for (uint32_t i = 0; i < n; i++)
        row[i] *= share / sum;
}

void mt_run__teach(struct mt_run__teacher *teacher, struct mt_batch *batch)
{
    struct mt_net_sum sum;
    float *row = teacher->soft;

    mt_trainer_evaluate(teacher->trainer, batch, teacher->soft, &sum);
    for (uint32_t i = 0; i < batch->tokens_n; i++) {
        if (batch->targets[i] < 0)
            continue;
        soften(row, teacher->vocab_n, teacher->temperature, teacher->share);
        row[batch->targets[i]] += 1 - teacher->share;
        row += teacher->vocab_n;
    }
    batch->soft = teacher->soft;
}
