/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "train/embed.h"
#include "train/net.h"
#include "train/vocab.h"

enum { TOGETHER_MIN = 4096 }; /* tokens that go through the net in one call */

struct mt_embedder {
    struct mt_shape shape;
    const float *params;
    struct mt_net *net;
    uint32_t tokens_max;       /* of a call; holds the longest text */
    int32_t *tokens, *targets; /* [tokens_max] */
    uint32_t *starts;          /* [tokens_max + 1] */
};

mt_rc mt_embedder_new(const struct mt_shape *shape, const float *params,
                      struct mt_embedder **out, struct mt_err *err)
{
    if (shape->vocab_n != MT_VOCAB_N)
        return MT_FAIL(err, MT_E_INVALID, "model of %u tokens, expected %d", shape->vocab_n,
                       MT_VOCAB_N);
    MT_CLEANUP(mt_embedder_freep) struct mt_embedder *embedder = mt_alloc(1, sizeof *embedder);
    if (embedder == NULL)
        return MT_FAIL(err, MT_E_NOMEM, "embedder");
    embedder->shape = *shape;
    embedder->params = params;
    embedder->tokens_max = shape->context_n > TOGETHER_MIN ? shape->context_n : TOGETHER_MIN;
    embedder->tokens = mt_alloc(embedder->tokens_max, sizeof *embedder->tokens);
    embedder->targets = mt_alloc(embedder->tokens_max, sizeof *embedder->targets);
    embedder->starts = mt_alloc((size_t)embedder->tokens_max + 1, sizeof *embedder->starts);
    if (embedder->tokens == NULL || embedder->targets == NULL || embedder->starts == NULL)
        return MT_FAIL(err, MT_E_NOMEM, "embedder");
    MT_TRY(mt_net_new(shape, embedder->tokens_max, &embedder->net, err));
    *out = MT_MOVE(embedder);
    return MT_OK;
}

void mt_embedder_free(struct mt_embedder *embedder)
{
    if (embedder == NULL)
        return;
    mt_net_free(embedder->net);
    mt_free(embedder->tokens);
    mt_free(embedder->targets);
    mt_free(embedder->starts);
    mt_free(embedder);
}

void mt_embedder_freep(struct mt_embedder **embedder)
{
    mt_embedder_free(*embedder);
    *embedder = NULL;
}

static void normalise(float *vector, uint32_t width)
{
    double sum = 0;

    for (uint32_t i = 0; i < width; i++)
        sum += (double)vector[i] * (double)vector[i];
    float by = sum > 0 ? (float)(1 / sqrt(sum)) : 0;
    for (uint32_t i = 0; i < width; i++)
        vector[i] *= by;
}

/* As many of n texts as fit one call. @return how many */
static uint32_t gather(struct mt_embedder *embedder, const struct mt_str *texts, uint32_t n,
                       struct mt_batch *out)
{
    uint32_t at = 0;
    uint32_t done = 0;

    while (done < n && embedder->tokens_max - at >= embedder->shape.context_n) {
        uint32_t tokens_n =
            mt_embed_tokens(texts[done], embedder->tokens + at, embedder->shape.context_n);

        for (uint32_t i = 0; i < tokens_n; i++)
            embedder->targets[at + i] = i + 1 < tokens_n ? -1 : MT_TOKEN_END; /* any token */
        embedder->starts[done++] = at;
        at += tokens_n;
    }
    embedder->starts[done] = at;
    *out = (struct mt_batch){.tokens = embedder->tokens,
                             .targets = embedder->targets,
                             .starts = embedder->starts,
                             .sequences_n = done,
                             .tokens_n = at};
    return done;
}

void mt_embedder_run(struct mt_embedder *embedder, const struct mt_str *texts, uint32_t n,
                     float *vectors)
{
    uint32_t width = embedder->shape.width;

    for (uint32_t done = 0; done < n;) {
        float *to = vectors + (size_t)done * width;
        struct mt_batch batch;
        uint32_t some_n = gather(embedder, texts + done, n - done, &batch);

        MT_ASSERT(some_n > 0);
        mt_net_embed(embedder->net, embedder->params, &batch, to);
        for (uint32_t i = 0; i < some_n; i++)
            normalise(to + (size_t)i * width, width);
        done += some_n;
    }
}
