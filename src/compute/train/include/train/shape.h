/* SPDX-License-Identifier: Apache-2.0 */
/* train/shape.h - what a small llama-architecture model is made of, and where each of its
 * parameters lies in one flat array.
 *
 * A model is a shape and mt_shape_params_n(shape) floats. A matrix is row-major with one row
 * per output (the layout of GGUF: ne[0] = inputs), so that y = x W^T. Matrices that are applied
 * to the same input stand next to each other (q, k, v; gate, up): one product serves all of
 * them. Pure; any thread. */
#ifndef MT_TRAIN_SHAPE_H
#define MT_TRAIN_SHAPE_H

#include <stdint.h>

#include "base/err.h"

enum {
    MT_SHAPE_LAYERS_MAX = 32,
    MT_SHAPE_WIDTH_MAX = 2048,
    MT_SHAPE_FF_WIDTH_MAX = 8192,
    MT_SHAPE_HEADS_MAX = 64,
    MT_SHAPE_HEAD_WIDTH_MAX = 256,
    MT_SHAPE_VOCAB_MAX = 65536,
    MT_SHAPE_CONTEXT_MAX = 8192,
    MT_SHAPE_NAME_MAX = 48,
    MT_SHAPE_TENSORS_MAX = 3 + 9 * MT_SHAPE_LAYERS_MAX,
};

struct mt_shape {
    uint32_t vocab_n;    /* tokens */
    uint32_t context_n;  /* most tokens of a sequence */
    uint32_t layers_n;   /* blocks */
    uint32_t width;      /* of the residual stream */
    uint32_t ff_width;   /* of the SwiGLU between gate and down */
    uint32_t heads_n;    /* of queries */
    uint32_t kv_heads_n; /* of keys and values; divides heads_n (grouped queries) */
    uint32_t head_width; /* even; all of it is rotated */
    float rope_base;     /* 10000 */
    float norm_eps;      /* 1e-5 */
    bool is_tied;        /* the output uses token_embd */
};

/** @return MT_OK, or MT_E_INVALID naming the member that is out of range */
mt_rc mt_shape_check(const struct mt_shape *shape, struct mt_err *err);

/** One named tensor inside the flat array. */
struct mt_tensor {
    char name[MT_SHAPE_NAME_MAX]; /* as GGUF has it: "blk.0.attn_q.weight" */
    uint64_t at;                  /* index of its first float */
    uint32_t rows;                /* outputs; 1 for a vector */
    uint32_t columns;             /* inputs */
    bool is_vector;               /* a norm: kept in f32 in every file */
    bool decays;                  /* weight decay applies: matrices, not norms */
};

/** Where things lie; filled by mt_shape_plan(). Indices into the flat array. */
struct mt_plan {
    uint64_t embd, out_norm, out; /* out == embd when tied */
    uint64_t layer0, layer_step;  /* layer i begins at layer0 + i * layer_step */
    /* within a layer: attn_norm, qkv [(heads + 2 kv_heads) head_width x width], attn_out
     * [width x heads head_width], ffn_norm, gate_up [2 ff_width x width], down [width x
     * ff_width] */
    uint64_t attn_norm, qkv, attn_out, ffn_norm, gate_up, down;
    uint64_t params_n;
};

/** shape has passed mt_shape_check(). */
struct mt_plan mt_shape_plan(const struct mt_shape *shape);
uint64_t mt_shape_params_n(const struct mt_shape *shape);

/** All tensors in the order of the file.
 *  @param out room for MT_SHAPE_TENSORS_MAX
 *  @return how many */
uint32_t mt_shape_tensors(const struct mt_shape *shape, struct mt_tensor *out);

/** FLOPs of one training step (forward and backward) per token, as papers count them:
 *  6 params + 12 layers width context. */
double mt_shape_step_flops(const struct mt_shape *shape, double context_n);

/** Fill params as a model that was never trained: matrices normal with deviation 0.02 (those
 *  that write into the residual stream divided by sqrt(2 layers)), norms 1. Same seed, same
 *  bits. */
void mt_shape_init(const struct mt_shape *shape, uint64_t seed, float *params);

#endif
