/* SPDX-License-Identifier: Apache-2.0 */
/* The local engine of a build without llama.cpp: says so. */
#include "engine/local.h"

static mt_rc none(struct mt_err *err)
{
    return MT_FAIL(err, MT_E_NOTFOUND,
                   "this build has no llama.cpp; run scripts/llama-deps.sh (or set "
                   "MOTET_LLAMA_DIR) and build again");
}

mt_rc mt_local_open(struct mt_loop *loop, const struct mt_local_opts *opts,
                    struct mt_engine **out, struct mt_err *err)
{
    (void)loop, (void)opts, (void)out;
    return none(err);
}

mt_rc mt_local_set_models(struct mt_engine *engine, const struct mt_local_model *models,
                          size_t n, struct mt_err *err)
{
    (void)engine, (void)models, (void)n;
    return none(err);
}

mt_rc mt_local_load(struct mt_engine *engine, struct mt_str name, int64_t keep_alive_ms,
                    void (*done)(void *ctx, const struct mt_chat_error *error), void *ctx,
                    struct mt_err *err)
{
    (void)engine, (void)name, (void)keep_alive_ms, (void)done, (void)ctx;
    return none(err);
}

mt_rc mt_local_unload(struct mt_engine *engine, struct mt_str name, struct mt_err *err)
{
    (void)engine, (void)name;
    return none(err);
}

size_t mt_local_loaded(struct mt_engine *engine, struct mt_model_card *cards, size_t max)
{
    (void)engine, (void)cards, (void)max;
    return 0;
}
