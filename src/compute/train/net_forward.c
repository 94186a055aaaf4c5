/* SPDX-License-Identifier: Apache-2.0 */
/* Forward through the layers of one chunk. */
#include <math.h>
#include <string.h>

#include "net_priv.h"

static void embed(const struct net_pass *pass)
{
    const struct mt_net *net = pass->net;
    const float *table = pass->params + net->plan.embd;
    size_t width = net->shape.width;

    for (uint32_t p = 0; p < pass->chunk.pieces_n; p++) {
        const struct net_piece *piece = &net->pieces[p];
        float *x = net->layers[0].x + piece->row * width;

        for (uint32_t i = 0; i < piece->length; i++, x += width)
            memcpy(x, table + (size_t)pass->batch->tokens[piece->at + i] * width,
                   width * sizeof *x);
    }
}

void mt_train__net_norm(const struct net_pass *pass, const float *x, uint32_t rows_n,
                        uint64_t gain_at)
{
    struct mt_net *net = pass->net;
    const struct mt_norm norm = {.rows = rows_n,
                                 .width = net->shape.width,
                                 .eps = net->shape.norm_eps,
                                 .x = x,
                                 .gain = pass->params + gain_at,
                                 .inverse = net->inverse,
                                 .y = net->normed};

    net->ops->norm(&norm);
}

void mt_train__net_attention(const struct net_pass *pass, uint32_t layer, float *out_grad)
{
    const struct mt_net *net = pass->net;
    const struct net_layer *l = &net->layers[layer];
    bool is_last = layer + 1 == net->shape.layers_n;

    for (uint32_t p = 0; p < pass->chunk.pieces_n; p++) {
        const struct net_piece *piece = &net->pieces[p];
        size_t heads_at = (size_t)piece->row * net->heads_width;
        const struct mt_attention attention = {
            .length = piece->length,
            .query_from = is_last ? piece->first_target : 0,
            .heads_n = net->shape.heads_n,
            .kv_heads_n = net->shape.kv_heads_n,
            .head_width = net->shape.head_width,
            .scale = 1.0F / sqrtf((float)net->shape.head_width),
            .cosines = net->cosines,
            .sines = net->sines,
            .qkv = l->qkv + (size_t)piece->row * net->qkv_width,
            .qkv_row = net->qkv_width,
            .out = l->heads + heads_at,
            .out_grad = out_grad != NULL ? out_grad + heads_at : NULL,
            .log_sums = l->log_sums + piece->row,
            .log_sums_row = net->rows_max,
            .scratch = net->scratch,
        };

        if (out_grad != NULL)
            net->ops->attention_back(&attention);
        else
            net->ops->attention(&attention);
    }
}

/* Rows with a target, close together. */
static void gather(const struct net_pass *pass, const float *from, size_t width, float *to)
{
    const uint32_t *rows = pass->net->target_rows;

    for (uint32_t i = 0; i < pass->chunk.targets_n; i++)
        memcpy(to + i * width, from + rows[i] * width, width * sizeof *to);
}

static void attend(const struct net_pass *pass, uint32_t layer)
{
    struct mt_net *net = pass->net;
    const struct net_layer *l = &net->layers[layer];
    const float *params = pass->params + net_layer_at(net, layer);
    uint32_t rows_n = pass->chunk.rows_n;
    uint32_t width = net->shape.width;

    mt_train__net_norm(pass, l->x, rows_n, net_layer_at(net, layer) + net->plan.attn_norm);
    mt_train__matmul(net->precision, net_rows(net->normed, rows_n, width),
                     params + net->plan.qkv, net_rows(l->qkv, rows_n, net->qkv_width),
                     MT_MATMUL_SETS);
    mt_train__net_attention(pass, layer, NULL);
}

/* x_mid = x + heads W^T, for the rows that are wanted. */
static void project(const struct net_pass *pass, uint32_t layer, uint32_t rows_n,
                    const float *x, float *heads)
{
    struct mt_net *net = pass->net;
    const struct net_layer *l = &net->layers[layer];
    uint32_t width = net->shape.width;

    memcpy(l->x_mid, x, (size_t)rows_n * width * sizeof *x);
    mt_train__matmul(net->precision, net_rows(heads, rows_n, net->heads_width),
                     pass->params + net_layer_at(net, layer) + net->plan.attn_out,
                     net_rows(l->x_mid, rows_n, width), MT_MATMUL_ADDS);
}

static void feed_forward(const struct net_pass *pass, uint32_t layer, uint32_t rows_n,
                         float *out)
{
    struct mt_net *net = pass->net;
    const struct net_layer *l = &net->layers[layer];
    const float *params = pass->params + net_layer_at(net, layer);
    uint32_t width = net->shape.width;
    uint32_t ff_width = net->shape.ff_width;
    const struct mt_swiglu swiglu = {
        .rows = rows_n, .width = ff_width, .gate_up = l->gate_up, .y = net->wide};

    mt_train__net_norm(pass, l->x_mid, rows_n, net_layer_at(net, layer) + net->plan.ffn_norm);
    mt_train__matmul(net->precision, net_rows(net->normed, rows_n, width),
                     params + net->plan.gate_up, net_rows(l->gate_up, rows_n, 2 * ff_width),
                     MT_MATMUL_SETS);
    net->ops->swiglu(&swiglu);
    memcpy(out, l->x_mid, (size_t)rows_n * width * sizeof *out);
    mt_train__matmul(net->precision, net_rows(net->wide, rows_n, ff_width),
                     params + net->plan.down, net_rows(out, rows_n, width), MT_MATMUL_ADDS);
}

void mt_train__net_forward(const struct net_pass *pass)
{
    struct mt_net *net = pass->net;
    uint32_t last = net->shape.layers_n - 1;

    embed(pass);
    for (uint32_t i = 0; i < last; i++) {
        attend(pass, i);
        project(pass, i, pass->chunk.rows_n, net->layers[i].x, net->layers[i].heads);
        feed_forward(pass, i, pass->chunk.rows_n, net->layers[i + 1].x);
    }
    attend(pass, last);
    gather(pass, net->layers[last].x, net->shape.width, net->last_x);
    gather(pass, net->layers[last].heads, net->heads_width, net->last_heads);
    project(pass, last, pass->chunk.targets_n, net->last_x, net->last_heads);
    feed_forward(pass, last, pass->chunk.targets_n, net->x_out);
}
