/* SPDX-License-Identifier: Apache-2.0 */
/* The life of a net, and how a batch is cut into chunks. */
#include "train/net.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "net_priv.h"

enum {
    CHUNK_ROWS = 512,        /* aimed at; a longer sequence is a chunk of its own */
    LOGITS_FLOATS = 1 << 17, /* aimed at, of a block of the output product */
    ALIGN_FLOATS = 64 / sizeof(float),
};

/* Cuts pieces off a block; without a block it only counts. */
struct cutter {
    float *block;
    size_t used;
};

static float *cut(struct cutter *cutter, size_t rows, size_t width)
{
    float *piece = cutter->block != NULL ? cutter->block + cutter->used : NULL;

    cutter->used += (rows * width + ALIGN_FLOATS - 1) / ALIGN_FLOATS * ALIGN_FLOATS;
    return piece;
}

static void lay_out_layer(const struct mt_net *net, struct cutter *cutter,
                          struct net_layer *layer)
{
    size_t rows = net->rows_max;

    layer->x = cut(cutter, rows, net->shape.width);
    layer->qkv = cut(cutter, rows, net->qkv_width);
    layer->heads = cut(cutter, rows, net->heads_width);
    layer->log_sums = cut(cutter, rows, net->shape.heads_n);
    layer->x_mid = cut(cutter, rows, net->shape.width);
    layer->gate_up = cut(cutter, rows, 2 * (size_t)net->shape.ff_width);
}

static uint32_t positions_n(const struct mt_net *net)
{
    return net->rows_max < net->shape.context_n ? net->rows_max : net->shape.context_n;
}

static void lay_out(struct mt_net *net, struct cutter *cutter)
{
    size_t rows = net->rows_max;
    uint32_t width = net->shape.width;
    uint32_t wide =
        net->shape.ff_width > net->heads_width ? net->shape.ff_width : net->heads_width;

    net->cosines = cut(cutter, positions_n(net), mt_train__padded(net->shape.head_width));
    net->sines = cut(cutter, positions_n(net), mt_train__padded(net->shape.head_width));
    for (uint32_t i = 0; i < net->shape.layers_n; i++)
        lay_out_layer(net, cutter, &net->layers[i]);
    net->last_x = cut(cutter, rows, width);
    net->last_heads = cut(cutter, rows, net->heads_width);
    net->x_out = cut(cutter, rows, width);
    net->normed = cut(cutter, rows, width);
    net->inverse = cut(cutter, rows, 1);
    net->wide = cut(cutter, rows, wide);
    net->x_grad = cut(cutter, rows, width);
    net->normed_grad = cut(cutter, rows, width);
    net->logits = cut(cutter, net->logits_rows, mt_train__padded(net->shape.vocab_n));
    net->scratch =
        cut(cutter, 1, mt_train__attention_scratch(positions_n(net), net->shape.head_width));
}

static void fill_angles(struct mt_net *net)
{
    uint32_t width = net->shape.head_width;
    uint32_t padded = mt_train__padded(width);

    for (uint32_t i = 0; i < width; i += 2) {
        double step = pow((double)net->shape.rope_base, -(double)i / width);

        for (uint32_t p = 0; p < positions_n(net); p++) {
            size_t at = (size_t)p * padded + i;

            net->cosines[at] = net->cosines[at + 1] = (float)cos(p * step);
            net->sines[at + 1] = (float)sin(p * step);
            net->sines[at] = -net->sines[at + 1];
        }
    }
}

static void set_sizes(struct mt_net *net, uint32_t tokens_max)
{
    const struct mt_shape *shape = &net->shape;
    uint32_t longest = shape->context_n > CHUNK_ROWS ? shape->context_n : CHUNK_ROWS;
    uint32_t logits_rows = LOGITS_FLOATS / mt_train__padded(shape->vocab_n);

    net->tokens_max = tokens_max;
    net->rows_max = tokens_max < longest ? tokens_max : longest;
    net->heads_width = shape->heads_n * shape->head_width;
    net->qkv_width = net->heads_width + 2 * shape->kv_heads_n * shape->head_width;
    net->logits_rows = logits_rows < 16 ? 16 : logits_rows;
    if (net->logits_rows > net->rows_max)
        net->logits_rows = net->rows_max;
}

/* All floats in one block, each piece at the start of a cache line. */
static bool allocate(struct mt_net *net)
{
    struct cutter cutter = {0};

    lay_out(net, &cutter);
    net->memory = mt_alloc(cutter.used + ALIGN_FLOATS, sizeof *net->memory);
    net->pieces = mt_alloc(net->rows_max, sizeof *net->pieces);
    net->target_rows = mt_alloc(net->rows_max, sizeof *net->target_rows);
    net->target_at = mt_alloc(net->rows_max, sizeof *net->target_at);
    if (net->memory == NULL || net->pieces == NULL || net->target_rows == NULL ||
        net->target_at == NULL)
        return false;
    size_t past = (uintptr_t)net->memory / sizeof *net->memory % ALIGN_FLOATS;
    cutter = (struct cutter){.block = net->memory + (ALIGN_FLOATS - past)};
    lay_out(net, &cutter);
    return true;
}

static void net_freep(struct mt_net **net)
{
    mt_net_free(*net);
}

mt_rc mt_net_new(const struct mt_shape *shape, uint32_t tokens_max, struct mt_net **out,
                 struct mt_err *err)
{
    MT_TRY(mt_shape_check(shape, err));
    if (tokens_max == 0)
        return MT_FAIL(err, MT_E_INVALID, "tokens_max: expected at least 1, found 0");
    MT_CLEANUP(net_freep) struct mt_net *net = mt_alloc(1, sizeof *net);
    if (net == NULL)
        return MT_FAIL(err, MT_E_NOMEM, "net");
    net->shape = *shape;
    net->plan = mt_shape_plan(shape);
    net->ops = mt_train__ops();
    set_sizes(net, tokens_max);
    if (!allocate(net))
        return MT_FAIL(err, MT_E_NOMEM, "working memory of a net");
    fill_angles(net);
    MT_TRY(mt_train__matmul_init(err));
    *out = MT_MOVE(net);
    return MT_OK;
}

void mt_net_set_precision(struct mt_net *net, enum mt_precision precision)
{
    net->precision = precision;
}

void mt_net_free(struct mt_net *net)
{
    if (net == NULL)
        return;
    mt_free(net->memory);
    mt_free(net->pieces);
    mt_free(net->target_rows);
    mt_free(net->target_at);
    mt_free(net);
}

static void run_chunk(struct net_pass *pass)
{
    if (pass->chunk.targets_n > 0) {
        mt_train__net_forward(pass);
        mt_train__net_loss(pass);
        if (pass->grads != NULL)
            mt_train__net_backward(pass);
    }
    pass->chunk = (struct net_chunk){.targets_before =
                                         pass->chunk.targets_before + pass->chunk.targets_n};
}

/* Put one sequence behind those in the chunk. */
static void add_piece(struct net_pass *pass, const struct net_piece *piece)
{
    struct mt_net *net = pass->net;
    struct net_chunk *chunk = &pass->chunk;

    net->pieces[chunk->pieces_n] = *piece;
    net->pieces[chunk->pieces_n++].row = chunk->rows_n;
    for (uint32_t i = piece->first_target; i < piece->length; i++) {
        int32_t target = pass->batch->targets[piece->at + i];

        if (target < 0)
            continue;
        MT_ASSERT((uint32_t)target < net->shape.vocab_n);
        net->target_rows[chunk->targets_n] = chunk->rows_n + i;
        net->target_at[chunk->targets_n++] = piece->at + i;
    }
    chunk->rows_n += piece->length;
}

/* What there is to do in a sequence; length 0: nothing. */
static struct net_piece piece_of(const struct net_pass *pass, uint32_t sequence)
{
    const struct mt_batch *batch = pass->batch;
    struct net_piece piece = {.at = batch->starts[sequence]};
    uint32_t end = batch->starts[sequence + 1];

    MT_ASSERT(piece.at <= end && end - piece.at <= pass->net->shape.context_n);
    for (uint32_t i = piece.at; i < end; i++) {
        MT_ASSERT(batch->tokens[i] >= 0 &&
                  (uint32_t)batch->tokens[i] < pass->net->shape.vocab_n);
        if (batch->targets[i] < 0)
            continue;
        if (piece.length == 0)
            piece.first_target = i - piece.at;
        piece.length = i - piece.at + 1;
    }
    return piece;
}

static void run(struct net_pass *pass)
{
    const struct mt_batch *batch = pass->batch;
    uint32_t aim = pass->net->rows_max < CHUNK_ROWS ? pass->net->rows_max : CHUNK_ROWS;

    MT_ASSERT(batch->tokens_n <= pass->net->tokens_max);
    MT_ASSERT(batch->starts[0] == 0 && batch->starts[batch->sequences_n] == batch->tokens_n);
    *pass->sum = (struct mt_net_sum){0};
    for (uint32_t i = 0; i < batch->sequences_n; i++) {
        struct net_piece piece = piece_of(pass, i);

        if (piece.length == 0)
            continue;
        if (pass->chunk.rows_n > 0 && pass->chunk.rows_n + piece.length > aim)
            run_chunk(pass);
        add_piece(pass, &piece);
    }
    run_chunk(pass);
}

void mt_net_forward(struct mt_net *net, const float *params, const struct mt_batch *batch,
                    float *logits, float *logps, struct mt_net_sum *sum)
{
    struct net_pass pass = {.net = net,
                            .params = params,
                            .batch = batch,
                            .logits = logits,
                            .logps = logps,
                            .sum = sum};

    run(&pass);
}

void mt_net_embed(struct mt_net *net, const float *params, const struct mt_batch *batch,
                  float *vectors)
{
    struct mt_net_sum sum;
    struct net_pass pass = {
        .net = net, .params = params, .batch = batch, .vectors = vectors, .sum = &sum};

    run(&pass);
}

void mt_net_step(struct mt_net *net, const float *params, const struct mt_batch *batch,
                 float scale, float *grads, float *logps, struct mt_net_sum *sum)
{
    struct net_pass pass = {.net = net,
                            .params = params,
                            .batch = batch,
                            .grads = grads,
                            .scale = scale,
                            .logps = logps,
                            .sum = sum};

    run(&pass);
}
