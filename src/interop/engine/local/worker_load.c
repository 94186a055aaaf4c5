/* SPDX-License-Identifier: Apache-2.0 */
/* A model brought into memory and out again, on the worker's thread. */
#include "base/alloc.h"
#include "base/arena.h"
#include "engine/gguf.h"
#include "system/file.h"
#include "worker_priv.h"

enum { HEADER_ARENA_MAX = 512 << 20 };

static bool on_progress(float done, void *ctx)
{
    struct mt_worker *w = ctx;

    (void)done;
    return !atomic_load(&w->is_aborted);
}

/* Long computations end early when most of their tokens are wanted by nobody any more; what
 * others lose is computed again. Called by llama.cpp inside a decode or encode, while the
 * worker's thread stands still. */
static bool on_abort_check(void *ctx)
{
    struct mt_worker *w = ctx;
    size_t wanted_n = 0;
    size_t idle_n = 0;

    if (atomic_load(&w->is_aborted))
        return true;
    if (w->embedding != NULL)
        return atomic_load(&w->embedding->job->is_canceled);
    for (size_t i = 0; i < w->slots_n; i++) {
        const struct mt_choice_run *choice = w->slots != NULL ? w->slots[i].choice : NULL;
        if (choice != NULL && atomic_load(&choice->ask->job->is_canceled))
            idle_n += choice->taken;
        else if (choice != NULL)
            wanted_n += choice->taken;
    }
    return idle_n > wanted_n;
}

static mt_rc fail(struct mt_worker *w, struct mt_err *err, const char *what)
{
    const char *why = mt_llama_complaint();

    if (atomic_load(&w->is_aborted))
        return MT_FAIL(err, MT_E_CANCELED, "loading '%s' was cancelled", w->name);
    return MT_FAIL(err, MT_E_CORRUPT, "%s '%s': %s", what, w->name,
                   *why != '\0' ? why : "llama.cpp refused it");
}

static mt_rc check_file(const char *path, bool is_adapter, struct mt_err *err)
{
    MT_CLEANUP(mt_arena_fini) struct mt_arena arena = MT_ARENA_INIT(HEADER_ARENA_MAX);
    struct mt_gguf gguf;

    MT_TRY(mt_gguf_read(path, &arena, &gguf, err));
    if (is_adapter != (gguf.adapter_type.len > 0))
        return MT_FAIL(err, MT_E_INVALID, "'%s' is %s", path,
                       is_adapter ? "a model, not an adapter" : "an adapter, not a model");
    return MT_OK;
}

static mt_rc load_model(struct mt_worker *w, struct mt_err *err)
{
    struct llama_model_params params = w->ll->llama_model_default_params();

    MT_TRY(check_file(w->path, false, err));
    params.n_gpu_layers = w->opts.gpu_layers == 0  ? -1
                          : w->opts.gpu_layers < 0 ? 0
                                                   : w->opts.gpu_layers;
    params.progress_callback = on_progress;
    params.progress_callback_user_data = w;
    (void)mt_llama_complaint();
    w->model = w->ll->llama_model_load_from_file(w->path, params);
    if (w->model == NULL)
        return fail(w, err, "model");
    w->vocab = w->ll->llama_model_get_vocab(w->model);
    w->vocab_n = w->ll->llama_vocab_n_tokens(w->vocab);
    w->can_cut =
        !w->ll->llama_model_is_recurrent(w->model) && !w->ll->llama_model_is_hybrid(w->model);
    return MT_OK;
}

static mt_rc load_adapter(struct mt_worker *w, struct mt_err *err)
{
    if (w->lora_path == NULL)
        return MT_OK;
    MT_TRY(check_file(w->lora_path, true, err));
    (void)mt_llama_complaint();
    w->adapter = w->ll->llama_adapter_lora_init(w->model, w->lora_path); /* freed with it */
    return w->adapter != NULL ? MT_OK : fail(w, err, "adapter of");
}

static mt_rc apply_adapter(struct mt_worker *w, struct llama_context *ctx, struct mt_err *err)
{
    float scale = w->opts.lora_scale != 0 ? (float)w->opts.lora_scale : 1.0F;

    if (w->adapter == NULL || w->ll->llama_set_adapters_lora(ctx, &w->adapter, 1, &scale) == 0)
        return MT_OK;
    return fail(w, err, "adapter of");
}

/* Memory that can be had without swapping: what is cached of files counts. 0: unknown. */
static int64_t memory_bytes(void)
{
    MT_CLEANUP(mt_buf_fini) struct mt_buf text = MT_BUF_INIT(1 << 16);
    static const struct mt_str key = MT_STR_INIT("MemAvailable:");
    int64_t kib = 0;

    if (mt_file_read("/proc/meminfo", 1 << 16, &text, NULL) < 0)
        return 0;
    struct mt_str all = mt_buf_str(&text);
    struct mt_str rest = mt_str_trim(mt_str_sub(all, mt_str_find(all, key) + key.len, all.len));
    (void)mt_str_to_i64(mt_str_take(&rest, ' '), 0, INT64_MAX / 1024, &kib);
    return kib * 1024;
}

/* Sequences that fit: the cache of all of them may take half of the memory that is there. */
static unsigned parallel_that_fits(const struct mt_worker *w)
{
    int64_t each = w->opts.kv_token_bytes * w->opts.context_tokens;
    int64_t most = memory_bytes() / 2;
    unsigned n = w->opts.parallel_max;

    while (each > 0 && most > 0 && n > 1 && n > most / each)
        n /= 2;
    return n;
}

/* A small model's step is over before a second thread has been woken; and threads that wait for
 * one another by spinning, as ggml's do, stand in each other's way as soon as a core is busy
 * otherwise. */
static int32_t threads_for(const struct mt_worker *w)
{
    enum { ALONE_BELOW_BYTES = 16 * 1024 * 1024 };

    return w->ll->llama_model_size(w->model) < ALONE_BELOW_BYTES ? 1 : (int32_t)w->opts.threads;
}

static struct llama_context_params context_params(struct mt_worker *w)
{
    struct llama_context_params params = w->ll->llama_context_default_params();

    params.n_threads = params.n_threads_batch = threads_for(w);
    params.no_perf = true;
    params.abort_callback = on_abort_check;
    params.abort_callback_data = w;
    return params;
}

/* Every sequence has its own part of the cache: attention then looks at that alone, which at 16
 * sequences is the difference between reading one context and sixteen. */
static mt_rc make_context(struct mt_worker *w, struct mt_err *err)
{
    struct llama_context_params params = context_params(w);

    for (unsigned n = parallel_that_fits(w); n >= 1 && w->ctx == NULL; n /= 2) {
        params.n_ctx = (uint32_t)w->opts.context_tokens * n;
        params.n_seq_max = n;
        params.n_batch = MT_BATCH_TOKENS;
        params.n_ubatch = MT_UBATCH_TOKENS;
        params.kv_unified = false;
        params.swa_full = true; /* prefixes can be cut and kept */
        w->ctx = w->ll->llama_init_from_model(w->model, params);
        w->slots_n = n;
    }
    if (w->ctx == NULL)
        return fail(w, err, "context of");
    w->facts.parallel = (unsigned)w->slots_n;
    w->facts.context_tokens = (int64_t)w->ll->llama_n_ctx_seq(w->ctx);
    if (w->facts.context_tokens > w->opts.context_tokens)
        w->facts.context_tokens = w->opts.context_tokens; /* llama.cpp rounds up */
    return apply_adapter(w, w->ctx, err);
}

mt_rc mt_worker__embed_context(struct mt_worker *w, struct mt_err *err)
{
    struct llama_context_params params = context_params(w);
    uint32_t n = MT_BATCH_TOKENS; /* pooling wants a whole text in one ubatch */

    if (w->embed_ctx != NULL)
        return MT_OK;
    if (w->opts.context_tokens < n)
        n = (uint32_t)w->opts.context_tokens;
    params.n_ctx = params.n_batch = params.n_ubatch = n;
    params.n_seq_max = 1;
    params.embeddings = true;
    (void)mt_llama_complaint();
    w->embed_ctx = w->ll->llama_init_from_model(w->model, params);
    if (w->embed_ctx != NULL &&
        w->ll->llama_pooling_type(w->embed_ctx) == LLAMA_POOLING_TYPE_NONE) {
        w->ll->llama_free(w->embed_ctx);
        params.pooling_type = LLAMA_POOLING_TYPE_MEAN;
        w->embed_ctx = w->ll->llama_init_from_model(w->model, params);
    }
    if (w->embed_ctx == NULL)
        return fail(w, err, "embedding context of");
    return apply_adapter(w, w->embed_ctx, err);
}

static mt_rc make_slots(struct mt_worker *w, struct mt_err *err)
{
    w->slots = mt_alloc(w->slots_n, sizeof *w->slots);
    w->candidates = mt_alloc((size_t)w->vocab_n, sizeof *w->candidates);
    w->batch = w->ll->llama_batch_init(MT_BATCH_TOKENS, 0, 1);
    if (w->slots == NULL || w->candidates == NULL || w->batch.token == NULL)
        return MT_FAIL(err, MT_E_NOMEM, "model '%s'", w->name);
    for (size_t i = 0; i < w->slots_n; i++) {
        w->slots[i].seq = (llama_seq_id)i;
        w->slots[i].cells =
            mt_alloc((size_t)w->facts.context_tokens + 1, sizeof *w->slots[i].cells);
        if (w->slots[i].cells == NULL)
            return MT_FAIL(err, MT_E_NOMEM, "model '%s'", w->name);
    }
    return MT_OK;
}

static mt_rc open_template(struct mt_worker *w, struct mt_err *err)
{
    char why[160] = "";

    w->tmpl = w->ll->tmpl->open(w->model, NULL, why, sizeof why);
    if (w->tmpl == NULL)
        return MT_FAIL(err, MT_E_CORRUPT, "chat template of '%s': %s", w->name, why);
    w->ll->tmpl->caps(w->tmpl, &w->caps);
    return MT_OK;
}

static mt_rc load_all(struct mt_worker *w, struct mt_err *err)
{
    MT_TRY(mt_llama_get(w->opts.library_dir, &w->ll, err));
    MT_TRY(load_model(w, err));
    MT_TRY(load_adapter(w, err));
    w->facts.context_tokens = w->opts.context_tokens;
    if (w->ll->llama_model_has_decoder(w->model)) {
        MT_TRY(make_context(w, err));
        MT_TRY(open_template(w, err));
    } else {
        MT_TRY(mt_worker__embed_context(w, err));
    }
    MT_TRY(make_slots(w, err));
    w->facts.memory_bytes =
        (int64_t)w->ll->llama_model_size(w->model) +
        w->opts.kv_token_bytes * w->facts.context_tokens * (int64_t)w->slots_n;
    if (w->ll->llama_supports_gpu_offload() && w->opts.gpu_layers >= 0)
        w->facts.gpu_bytes = w->facts.memory_bytes;
    return MT_OK;
}

mt_rc mt_worker__load(struct mt_worker *w, struct mt_err *err)
{
    int64_t begun = mt_worker__now_ns();
    mt_rc rc = load_all(w, err);

    if (rc < 0) {
        mt_worker__unload(w);
        return rc;
    }
    w->loaded_at_ns = mt_worker__now_ns();
    w->facts.load_ns = w->loaded_at_ns - begun;
    return MT_OK;
}

void mt_worker__unload(struct mt_worker *w)
{
    if (w->ll == NULL)
        return;
    if (w->tmpl != NULL)
        w->ll->tmpl->close(w->tmpl);
    if (w->batch.token != NULL)
        w->ll->llama_batch_free(w->batch);
    if (w->embed_ctx != NULL)
        w->ll->llama_free(w->embed_ctx);
    if (w->ctx != NULL)
        w->ll->llama_free(w->ctx);
    if (w->model != NULL)
        w->ll->llama_model_free(w->model);
    for (size_t i = 0; w->slots != NULL && i < w->slots_n; i++)
        mt_free(w->slots[i].cells);
    mt_free(w->slots);
    mt_free(w->candidates);
    w->tmpl = NULL;
    w->batch = (struct llama_batch){.token = NULL};
    w->embed_ctx = w->ctx = NULL;
    w->model = NULL;
    w->adapter = NULL;
    w->slots = NULL;
    w->candidates = NULL;
}
