/* SPDX-License-Identifier: Apache-2.0 */
/* From the last layer to the loss, and back to it: the final norm, then the output product in
 * blocks of rows, so that logits of a large vocabulary need little memory. */
#include <math.h>
#include <string.h>

#include "net_priv.h"

static uint64_t output_at(const struct mt_net *net)
{
    return net->shape.is_tied ? net->plan.embd : net->plan.out;
}

/* Loss of the chunk's target number i, whose logits become their gradient. */
static void lose(const struct net_pass *pass, uint32_t i, float *logits)
{
    const struct mt_net *net = pass->net;
    const struct mt_batch *batch = pass->batch;
    size_t out_at = (size_t)pass->chunk.targets_before + i;
    size_t vocab_n = net->shape.vocab_n;
    float weight = batch->weights != NULL ? batch->weights[net->target_at[i]] : 1.0F;
    struct mt_loss_row row = {
        .vocab_n = net->shape.vocab_n,
        .logits = logits,
        .soft = batch->soft != NULL ? batch->soft + out_at * vocab_n : NULL,
        .target = batch->targets[net->target_at[i]],
        .factor = weight * pass->scale,
    };

    if (pass->logits != NULL)
        memcpy(pass->logits + out_at * vocab_n, logits, vocab_n * sizeof *logits);
    net->ops->loss(&row);
    if (pass->logps != NULL)
        pass->logps[out_at] = row.logp;
    pass->sum->loss += (double)weight * (double)row.cross;
    pass->sum->weight += fabs((double)weight);
    pass->sum->right_n += row.is_right;
    pass->sum->targets_n++;
}

static void lose_block(const struct net_pass *pass, uint32_t first, uint32_t rows_n)
{
    const struct mt_net *net = pass->net;
    size_t width = net->shape.width;
    const float *weights = pass->params + output_at(net);
    struct mt_rows normed = net_rows(net->normed + first * width, rows_n, net->shape.width);
    struct mt_rows logits = {.at = net->logits,
                             .n = rows_n,
                             .width = net->shape.vocab_n,
                             .step = mt_train__padded(net->shape.vocab_n)};

    mt_train__matmul(net->precision, normed, weights, logits, MT_MATMUL_SETS);
    for (uint32_t i = 0; i < rows_n; i++)
        lose(pass, first + i, logits.at + i * logits.step);
    if (pass->grads == NULL)
        return;
    mt_train__matmul_w_grad(net->precision, logits, normed, pass->grads + output_at(net));
    mt_train__matmul_x_grad(
        net->precision, logits, weights,
        net_rows(net->normed_grad + first * width, rows_n, net->shape.width));
}

void mt_train__net_loss(const struct net_pass *pass)
{
    struct mt_net *net = pass->net;
    uint32_t targets_n = pass->chunk.targets_n;

    mt_train__net_norm(pass, net->x_out, targets_n, net->plan.out_norm);
    if (pass->vectors != NULL) {
        memcpy(pass->vectors + (size_t)pass->chunk.targets_before * net->shape.width,
               net->normed, (size_t)targets_n * net->shape.width * sizeof *net->normed);
        return;
    }
    for (uint32_t first = 0; first < targets_n; first += net->logits_rows) {
        uint32_t left = targets_n - first;

        lose_block(pass, first, left < net->logits_rows ? left : net->logits_rows);
    }
    if (pass->grads == NULL)
        return;
    const struct mt_norm norm = {.rows = targets_n,
                                 .width = net->shape.width,
                                 .eps = net->shape.norm_eps,
                                 .x = net->x_out,
                                 .gain = pass->params + net->plan.out_norm,
                                 .inverse = net->inverse,
                                 .y = net->normed_grad,
                                 .x_grad = net->x_grad,
                                 .gain_grad = pass->grads + net->plan.out_norm};

    memset(net->x_grad, 0, (size_t)targets_n * net->shape.width * sizeof *net->x_grad);
    net->ops->norm_back(&norm);
}
