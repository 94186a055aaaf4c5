/* SPDX-License-Identifier: Apache-2.0 */
/* net_priv.h - the memory of a net and of one pass through it.
 *
 * A batch goes through in chunks of whole sequences, each forward and backward before the next,
 * so that what forward leaves behind for backward stays near the processor. Rows of a chunk:
 * the tokens of its sequences, each cut behind its last target. Only rows with a target are
 * wanted from the last layer, so behind its attention there are no others. */
#ifndef MT_TRAIN_NET_PRIV_H
#define MT_TRAIN_NET_PRIV_H

#include "matmul.h"
#include "ops.h"
#include "train/net.h"

/* What one layer's forward leaves for its backward. */
struct net_layer {
    float *x;        /* [rows x width] what came in */
    float *qkv;      /* [rows x qkv_width] not rotated */
    float *heads;    /* [rows x heads_width] what the heads answered */
    float *log_sums; /* [heads_n x rows_max] */
    float *x_mid;    /* [rows x width] between attention and feed-forward */
    float *gate_up;  /* [rows x 2 ff_width] */
};

/* One sequence in a chunk. */
struct net_piece {
    uint32_t row;          /* its first */
    uint32_t length;       /* up to its last target */
    uint32_t first_target; /* position in the sequence */
    uint32_t at;           /* its first token in the batch */
};

struct net_chunk {
    uint32_t rows_n;
    uint32_t pieces_n;
    uint32_t targets_n;
    uint32_t targets_before; /* in the batch, before this chunk */
};

struct mt_net {
    struct mt_shape shape;
    struct mt_plan plan;
    const struct mt_ops *ops;
    enum mt_precision precision;
    uint32_t tokens_max;
    uint32_t rows_max; /* of a chunk */
    uint32_t heads_width, qkv_width;
    uint32_t logits_rows;

    float *memory; /* owned; all of the following lies in it */
    float *cosines, *sines;
    struct net_layer layers[MT_SHAPE_LAYERS_MAX];
    float *last_x, *last_heads; /* of the last layer, rows with a target */
    float *x_out;               /* [targets x width] what the last layer gives */
    float *normed;              /* [rows x width] */
    float *inverse;             /* [rows] of the latest norm */
    float *wide;                /* [rows x the wider of ff_width, heads_width] */
    float *x_grad, *normed_grad;
    float *logits; /* [logits_rows x padded vocab_n] */
    float *scratch;

    struct net_piece *pieces; /* owned [rows_max] */
    uint32_t *target_rows;    /* owned [rows_max] the chunk's rows with a target, in order */
    uint32_t *target_at;      /* owned [rows_max] and where they stand in the batch */
};

/* What a call wants done. */
struct net_pass {
    struct mt_net *net;
    const float *params;
    const struct mt_batch *batch;
    float *grads; /* NULL: forward only */
    float scale;
    float *logits, *logps; /* or NULL */
    float *vectors;        /* not NULL: up to the final norm only, and its rows go here */
    struct mt_net_sum *sum;
    struct net_chunk chunk;
};

/* Rows without gaps. */
static inline struct mt_rows net_rows(float *at, uint32_t n, uint32_t width)
{
    return (struct mt_rows){.at = at, .n = n, .width = width, .step = width};
}

static inline uint64_t net_layer_at(const struct mt_net *net, uint32_t layer)
{
    return net->plan.layer0 + layer * net->plan.layer_step;
}

/** Tokens to x_out. */
void mt_train__net_forward(const struct net_pass *pass);

/** x_out to sums and outputs, and with grads to x_grad. */
void mt_train__net_loss(const struct net_pass *pass);

/** x_grad of x_out down to the tokens, adding to grads on the way. */
void mt_train__net_backward(const struct net_pass *pass);

/** Attention of every sequence of the chunk, forward, or (out_grad not NULL) backward. */
void mt_train__net_attention(const struct net_pass *pass, uint32_t layer, float *out_grad);

/** normed = norm of rows; keeps the inverse. */
void mt_train__net_norm(const struct net_pass *pass, const float *x, uint32_t rows_n,
                        uint64_t gain_at);

#endif
