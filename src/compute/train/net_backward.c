/* SPDX-License-Identifier: Apache-2.0 */
/* Backward through the layers of one chunk. What forward kept is used up: qkv and gate_up
 * become their own gradients; norms and the products of the SwiGLU are computed again. */
#include <string.h>

#include "net_priv.h"

/* x_grad += gradient through the norm whose output's gradient is normed_grad; the norm of the
 * same x was the latest to be computed. */
static void norm_back(const struct net_pass *pass, const float *x, uint32_t rows_n,
                      uint64_t gain_at)
{
    struct mt_net *net = pass->net;
    const struct mt_norm norm = {.rows = rows_n,
                                 .width = net->shape.width,
                                 .eps = net->shape.norm_eps,
                                 .x = x,
                                 .gain = pass->params + gain_at,
                                 .inverse = net->inverse,
                                 .y = net->normed_grad,
                                 .x_grad = net->x_grad,
                                 .gain_grad = pass->grads + gain_at};

    net->ops->norm_back(&norm);
}

/* Through a linear layer behind a norm of x: y_grad to its weights, the gain, and x_grad. */
static void normed_linear_back(const struct net_pass *pass, const float *x,
                               struct mt_rows y_grad, uint64_t weights_at, uint64_t gain_at)
{
    struct mt_net *net = pass->net;
    uint32_t width = net->shape.width;

    mt_train__net_norm(pass, x, y_grad.n, gain_at);
    mt_train__matmul_w_grad(net->precision, y_grad, net_rows(net->normed, y_grad.n, width),
                            pass->grads + weights_at);
    mt_train__matmul_x_grad(net->precision, y_grad, pass->params + weights_at,
                            net_rows(net->normed_grad, y_grad.n, width));
    norm_back(pass, x, y_grad.n, gain_at);
}

static void feed_forward_back(const struct net_pass *pass, uint32_t layer, uint32_t rows_n)
{
    struct mt_net *net = pass->net;
    const struct net_layer *l = &net->layers[layer];
    uint64_t at = net_layer_at(net, layer);
    uint32_t ff_width = net->shape.ff_width;
    struct mt_rows x_grad = net_rows(net->x_grad, rows_n, net->shape.width);
    struct mt_rows inner = net_rows(net->wide, rows_n, ff_width);
    const struct mt_swiglu swiglu = {
        .rows = rows_n, .width = ff_width, .gate_up = l->gate_up, .y = net->wide};

    mt_train__matmul_x_grad(net->precision, x_grad, pass->params + at + net->plan.down, inner);
    net->ops->swiglu_back(&swiglu);
    mt_train__matmul_w_grad(net->precision, x_grad, inner, pass->grads + at + net->plan.down);
    normed_linear_back(pass, l->x_mid, net_rows(l->gate_up, rows_n, 2 * ff_width),
                       at + net->plan.gate_up, at + net->plan.ffn_norm);
}

/* Leaves the gradient of what the heads answered in wide. */
static void project_back(const struct net_pass *pass, uint32_t layer, uint32_t rows_n,
                         float *heads)
{
    struct mt_net *net = pass->net;
    uint64_t at = net_layer_at(net, layer) + net->plan.attn_out;
    struct mt_rows x_grad = net_rows(net->x_grad, rows_n, net->shape.width);

    mt_train__matmul_w_grad(net->precision, x_grad, net_rows(heads, rows_n, net->heads_width),
                            pass->grads + at);
    mt_train__matmul_x_grad(net->precision, x_grad, pass->params + at,
                            net_rows(net->wide, rows_n, net->heads_width));
}

static void attend_back(const struct net_pass *pass, uint32_t layer)
{
    struct mt_net *net = pass->net;
    const struct net_layer *l = &net->layers[layer];
    uint64_t at = net_layer_at(net, layer);

    mt_train__net_attention(pass, layer, net->wide);
    normed_linear_back(pass, l->x, net_rows(l->qkv, pass->chunk.rows_n, net->qkv_width),
                       at + net->plan.qkv, at + net->plan.attn_norm);
}

/* The reverse of gather, in place, zeros between. From the end, so that a row is moved before
 * its place is taken: row i goes to target_rows[i] >= i. */
static void scatter(const struct net_pass *pass, float *rows, size_t width)
{
    const uint32_t *to = pass->net->target_rows;
    size_t end = pass->chunk.rows_n;

    for (uint32_t i = pass->chunk.targets_n; i-- > 0;) {
        size_t place = to[i];

        memmove(rows + place * width, rows + i * width, width * sizeof *rows);
        memset(rows + (place + 1) * width, 0, (end - place - 1) * width * sizeof *rows);
        end = place;
    }
    memset(rows, 0, end * width * sizeof *rows);
}

static void embed_back(const struct net_pass *pass)
{
    const struct mt_net *net = pass->net;
    size_t width = net->shape.width;

    for (uint32_t p = 0; p < pass->chunk.pieces_n; p++) {
        const struct net_piece *piece = &net->pieces[p];
        const float *from = net->x_grad + piece->row * width;

        for (uint32_t i = 0; i < piece->length; i++, from += width) {
            float *to = pass->grads + net->plan.embd +
                        (size_t)pass->batch->tokens[piece->at + i] * width;

            for (size_t d = 0; d < width; d++)
                to[d] += from[d];
        }
    }
}

void mt_train__net_backward(const struct net_pass *pass)
{
    struct mt_net *net = pass->net;
    uint32_t last = net->shape.layers_n - 1;

    feed_forward_back(pass, last, pass->chunk.targets_n);
    project_back(pass, last, pass->chunk.targets_n, net->last_heads);
    scatter(pass, net->wide, net->heads_width);
    scatter(pass, net->x_grad, net->shape.width);
    attend_back(pass, last);
    for (uint32_t i = last; i-- > 0;) {
        feed_forward_back(pass, i, pass->chunk.rows_n);
        project_back(pass, i, pass->chunk.rows_n, net->layers[i].heads);
        attend_back(pass, i);
    }
    embed_back(pass);
}
