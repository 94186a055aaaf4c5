/* SPDX-License-Identifier: Apache-2.0 */
/* Embeddings: one text per step, so that answers in work go on in between. Vectors have length
 * 1; a model without pooling of its own gives the mean over the tokens. */
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "worker_priv.h"

static void normalise(float *v, size_t n)
{
    double sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += (double)v[i] * (double)v[i];
    float by = sum > 0 ? (float)(1 / sqrt(sum)) : 0;
    for (size_t i = 0; i < n; i++)
        v[i] *= by;
}

static void fill_batch(struct mt_worker *w, const struct mt_prompt *prompt)
{
    w->batch.n_tokens = (int32_t)prompt->n;
    for (size_t i = 0; i < prompt->n; i++) {
        w->batch.token[i] = prompt->tokens[i];
        w->batch.pos[i] = (llama_pos)i;
        w->batch.n_seq_id[i] = 1;
        w->batch.seq_id[i][0] = 0;
        w->batch.logits[i] = 1;
    }
}

static mt_rc compute(struct mt_worker *w, const struct mt_prompt *prompt, struct mt_err *err)
{
    bool is_encoder = w->ll->llama_model_has_encoder(w->model);
    llama_memory_t memory = w->ll->llama_get_memory(w->embed_ctx);

    if (memory != NULL)
        w->ll->llama_memory_clear(memory, false);
    fill_batch(w, prompt);
    int32_t rc = is_encoder ? w->ll->llama_encode(w->embed_ctx, w->batch)
                            : w->ll->llama_decode(w->embed_ctx, w->batch);
    if (rc == 2)
        return MT_FAIL(err, MT_E_CANCELED, "embedding was cancelled");
    if (rc != 0)
        return MT_FAIL(err, MT_E_NOMEM, "llama.cpp could not compute the embedding (%d)", rc);
    return MT_OK;
}

static mt_rc tokenize(struct mt_worker *w, struct mt_ask *ask, struct mt_prompt *prompt,
                      struct mt_err *err)
{
    size_t most = w->opts.context_tokens < MT_BATCH_TOKENS ? (size_t)w->opts.context_tokens
                                                           : MT_BATCH_TOKENS;

    MT_TRY(
        mt_worker__tokenize(w, ask->job->prompts[ask->embedded_n], false, true, prompt, err));
    if (prompt->n == 0)
        return MT_FAIL(err, MT_E_INVALID, "input %zu is empty", ask->embedded_n);
    if (prompt->n > most && !ask->job->truncate)
        return MT_FAIL(err, MT_E_TOOBIG, "input %zu has %zu tokens, '%s' embeds at most %zu",
                       ask->embedded_n, prompt->n, w->name, most);
    if (prompt->n > most)
        prompt->n = most;
    return MT_OK;
}

static mt_rc embed_one(struct mt_worker *w, struct mt_ask *ask, size_t model_dims, size_t dims,
                       struct mt_err *err)
{
    struct mt_prompt *prompt = &ask->prompts[ask->embedded_n];

    if (dims > model_dims)
        return MT_FAIL(err, MT_E_INVALID, "dimensions: '%s' gives at most %zu", w->name,
                       model_dims);
    if (ask->vectors == NULL)
        ask->vectors = mt_alloc(ask->prompts_n * dims, sizeof *ask->vectors);
    if (ask->vectors == NULL)
        return MT_FAIL(err, MT_E_NOMEM, "embeddings");
    MT_TRY(tokenize(w, ask, prompt, err));
    MT_TRY(compute(w, prompt, err));
    const float *vector = w->ll->llama_get_embeddings_seq(w->embed_ctx, 0);
    if (vector == NULL)
        return MT_FAIL(err, MT_E_UNSUPPORTED, "'%s' gives no embeddings", w->name);
    float *to = ask->vectors + ask->embedded_n * dims;
    memcpy(to, vector, dims * sizeof *to);
    normalise(to, dims);
    ask->embedded_n++;
    return MT_OK;
}

static void answer(struct mt_worker *w, struct mt_ask *ask, size_t dims)
{
    struct mt_embed_answer embed = {
        .model = ask->job->model, .values = ask->vectors, .n = ask->prompts_n, .dims = dims};

    for (size_t i = 0; i < ask->prompts_n; i++)
        embed.usage.input_tokens += (int64_t)ask->prompts[i].n;
    embed.usage.load_ns = ask->load_ns;
    embed.usage.prompt_ns = mt_worker__now_ns() - ask->begun_ns;
    ask->is_failed = true; /* done: swept */
    struct mt_piece *piece = mt_piece_last(ask->job, NULL, &embed);
    if (piece != NULL)
        piece->was_sent = true;
    mt_outbox_add(w->outbox, piece);
}

void mt_embed__step(struct mt_worker *w, struct mt_ask *ask)
{
    struct mt_err err = {0};
    size_t model_dims = (size_t)w->ll->llama_model_n_embd_out(w->model);
    size_t dims = ask->job->dims > 0 ? ask->job->dims : model_dims;

    ask->is_begun = true;
    w->embedding = ask;
    mt_rc rc = embed_one(w, ask, model_dims, dims, &err);
    w->embedding = NULL;
    if (rc < 0)
        mt_ask__fail_err(w, ask, &err);
    else if (ask->embedded_n == ask->prompts_n)
        answer(w, ask, dims);
}
