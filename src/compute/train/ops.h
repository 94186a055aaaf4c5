/* SPDX-License-Identifier: Apache-2.0 */
/* ops.h - what lies between the matrix products, forward and backward, by the widest vectors
 * that the processor has.
 *
 * Each is compiled once per level (base, avx2, avx512; see CMakeLists.txt), and one table of
 * them is picked when a net is made. Row-major throughout; "adds" means that the gradient is
 * added to what is there. Pure; any thread. */
#ifndef MT_TRAIN_OPS_H
#define MT_TRAIN_OPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Root mean square norm of each row: y = x / rms(x) * gain. */
struct mt_norm {
    uint32_t rows, width;
    float eps;
    const float *x;    /* [rows x width] */
    const float *gain; /* [width] */
    float *inverse;    /* [rows] 1 / rms: out of forward, in of backward */
    float *y;          /* [rows x width] out of forward; back: the gradient of y, in */
    float *x_grad;     /* [rows x width] back: adds */
    float *gain_grad;  /* [width] back: adds */
};

/* y = silu(gate) * up. */
struct mt_swiglu {
    uint32_t rows, width;
    float *gate_up; /* [rows x 2 width]; back: becomes its gradient */
    float *y;       /* [rows x width] out; back: in the gradient of y, out y itself */
};

/* Rotary positions, then causal attention of one sequence, some query heads per key head. */
struct mt_attention {
    uint32_t length;
    uint32_t query_from; /* no row of out before it is wanted, nor has a gradient */
    uint32_t heads_n, kv_heads_n, head_width;
    float scale;
    const float *cosines; /* [length x padded head_width] of each element's angle */
    const float *sines;   /* the same, negative for the first of a pair */
    float *qkv;           /* [length x qkv_row]; back: becomes its gradient */
    size_t qkv_row;
    float *out; /* [length x heads_n * head_width]; in of backward */
    const float *out_grad;
    float *log_sums; /* [heads_n x log_sums_row] of each query's weights: out, back: in */
    size_t log_sums_row;
    float *scratch; /* mt_train__attention_scratch() floats */
};

/* One row of a sequence whose keys and values stand in a cache: it is written there, rotated,
 * and then attends to what is there up to itself. */
struct mt_cached {
    uint32_t position;
    uint32_t heads_n, kv_heads_n, head_width;
    float scale;
    const float *cosines, *sines; /* [padded head_width] of this position, as above */
    const float *qkv;             /* the row */
    float *keys;           /* [kv_heads_n * head_width x keys_step] a column per position */
    size_t keys_step;      /* padded */
    float *values;         /* of each head [positions x padded head_width] */
    size_t values_of_head; /* floats from head to head */
    float *out;            /* [heads_n * head_width] out of attend */
    float *scratch;        /* [padded head_width + keys_step] */
};

/* Softmax and cross-entropy of one row. */
struct mt_loss_row {
    uint32_t vocab_n;
    float *logits;     /* [padded vocab_n] becomes factor * gradient, 0 in the padding */
    const float *soft; /* [vocab_n] or NULL: target alone */
    int32_t target;
    float factor;
    float logp;  /* out: ln p(target) */
    float cross; /* out: - sum of soft * ln p; -logp when soft is NULL */
    bool is_right;
};

/* c = (adds ? c : 0) + a b. */
struct mt_product {
    uint32_t m, n, k;
    const float *a;         /* [m x k] element (i, p) is a[i * a_row + p * a_column] */
    size_t a_row, a_column; /* one of them 1 */
    const float *b;         /* [k x n], or turned: [n x k] */
    size_t b_row;
    bool b_is_turned;
    bool adds;
    float *c; /* [m x n] */
    size_t c_row;
};

struct mt_ops {
    void (*product)(const struct mt_product *product); /* NULL: OpenBLAS is better */
    void (*norm)(const struct mt_norm *norm);
    void (*norm_back)(const struct mt_norm *norm);
    void (*swiglu)(const struct mt_swiglu *swiglu);
    void (*swiglu_back)(const struct mt_swiglu *swiglu);
    void (*attention)(const struct mt_attention *attention);
    void (*attention_back)(const struct mt_attention *attention);
    void (*remember)(const struct mt_cached *row);
    void (*attend)(const struct mt_cached *row);
    void (*loss)(struct mt_loss_row *row);
    void (*exp)(const float *x, float *y, size_t n);
};

/** The table for this processor. */
const struct mt_ops *mt_train__ops(void);

/** All that this processor can run, the plainest first.
 *  @param out room for 3
 *  @return how many */
unsigned mt_train__ops_all(const struct mt_ops **out);

/** Floats that attention over sequences of up to length_max needs beside its operands. */
size_t mt_train__attention_scratch(uint32_t length_max, uint32_t head_width);

/** Width of a row of the tables of angles, and of logits: up to whole vectors. */
static inline uint32_t mt_train__padded(uint32_t n)
{
    return (n + 15) / 16 * 16;
}

/* The name of a function or table in the level that is being compiled. */
#define MT_OPS_JOIN2(name, level) mt_train__##name##_##level
#define MT_OPS_JOIN(name, level)  MT_OPS_JOIN2(name, level)
#define MT_OPS(name)              MT_OPS_JOIN(name, MT_OPS_LEVEL)

#endif
