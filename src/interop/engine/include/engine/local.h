/* SPDX-License-Identifier: Apache-2.0 */
/* engine/local.h - GGUF models in this process, through llama.cpp.
 *
 * One engine holds all local models of the node. A model is loaded on first use (or by load),
 * and unloaded when idle for its keep-alive or when told. Each loaded model has a compute
 * thread of its own with one llama context in which many sequences are batched; requests reach
 * it through a bounded mailbox and events come back through mt_loop_post(). Thread rule: the
 * API belongs to the loop given at open. */
#ifndef MT_ENGINE_LOCAL_H
#define MT_ENGINE_LOCAL_H

#include "engine/engine.h"

struct mt_local_model {
    struct mt_str name;      /* "lab-nano" */
    struct mt_str path;      /* GGUF file */
    struct mt_str lora_path; /* adapter; or empty */
    double lora_scale;       /* 0 = 1 */
    int64_t context_tokens;  /* per sequence; 0 = the model's own, at most 8192 */
    unsigned parallel_max;   /* sequences batched; 0 = 16 */
    int64_t keep_alive_ms;   /* idle time until unloaded; 0 = 5 min; < 0 = never */
    int gpu_layers;          /* 0 = all that fit when the library has a GPU; < 0 = none */
};

struct mt_local_opts {
    const char *library_dir; /* where libllama and its backends are; NULL = as built */
    unsigned threads;        /* for compute, at most; 0 = the physical cores. Small models use
                                fewer */
    unsigned queue_max;      /* waiting requests per model; 0 = 512; more fail with MT_E_BUSY */
    const struct mt_local_model *models;
    size_t models_n;
};

/** @return MT_OK, MT_E_NOTFOUND (no libllama), MT_E_INVALID, MT_E_NOMEM. Loads no model yet. */
mt_rc mt_local_open(struct mt_loop *loop, const struct mt_local_opts *opts,
                    struct mt_engine **out, struct mt_err *err);

/** Replace the table of models; loaded ones that are still named stay loaded. */
mt_rc mt_local_set_models(struct mt_engine *engine, const struct mt_local_model *models,
                          size_t n, struct mt_err *err);

/** Load now (asynchronous; done(ctx, NULL) or done(ctx, error)), or unload when its runs end.
 */
mt_rc mt_local_load(struct mt_engine *engine, struct mt_str name, int64_t keep_alive_ms,
                    void (*done)(void *ctx, const struct mt_chat_error *error), void *ctx,
                    struct mt_err *err);
mt_rc mt_local_unload(struct mt_engine *engine, struct mt_str name, struct mt_err *err);

/** Cards of the models that are loaded now. @return how many, at most max */
size_t mt_local_loaded(struct mt_engine *engine, struct mt_model_card *cards, size_t max);

#endif
