/* SPDX-License-Identifier: Apache-2.0 */
/* llama_api.h - the door to llama.cpp: its functions as a table, found when first needed.
 *
 * A node without local models never maps libllama (docs/decisions/0003). Opened once per
 * process and never closed: the library keeps global state and threads. Any thread. */
#ifndef MT_LOCAL_LLAMA_API_H
#define MT_LOCAL_LLAMA_API_H

#include "base/err.h"
#include "template.h"

#if MT_HAVE_LLAMA
#include "gguf.h"
#include "llama.h"

#define MT_LLAMA_MAP(X)                   \
    X(ggml_backend_dev_by_type)           \
    X(ggml_backend_load_all_from_path)    \
    X(ggml_free)                          \
    X(ggml_get_type_traits)               \
    X(ggml_init)                          \
    X(ggml_new_tensor_1d)                 \
    X(ggml_new_tensor_2d)                 \
    X(ggml_quantize_chunk)                \
    X(ggml_set_name)                      \
    X(ggml_tensor_overhead)               \
    X(gguf_add_tensor)                    \
    X(gguf_find_key)                      \
    X(gguf_free)                          \
    X(gguf_get_alignment)                 \
    X(gguf_get_arr_n)                     \
    X(gguf_get_arr_str)                   \
    X(gguf_get_arr_type)                  \
    X(gguf_get_data_offset)               \
    X(gguf_get_kv_type)                   \
    X(gguf_get_meta_data)                 \
    X(gguf_get_meta_size)                 \
    X(gguf_get_n_tensors)                 \
    X(gguf_get_tensor_name)               \
    X(gguf_get_tensor_ne)                 \
    X(gguf_get_tensor_offset)             \
    X(gguf_get_tensor_size)               \
    X(gguf_get_tensor_type)               \
    X(gguf_get_val_f32)                   \
    X(gguf_get_val_str)                   \
    X(gguf_get_val_u32)                   \
    X(gguf_init_empty)                    \
    X(gguf_init_from_buffer)              \
    X(gguf_set_arr_data)                  \
    X(gguf_set_arr_str)                   \
    X(gguf_set_val_bool)                  \
    X(gguf_set_val_f32)                   \
    X(gguf_set_val_str)                   \
    X(gguf_set_val_u32)                   \
    X(llama_adapter_lora_init)            \
    X(llama_backend_init)                 \
    X(llama_batch_free)                   \
    X(llama_batch_init)                   \
    X(llama_context_default_params)       \
    X(llama_decode)                       \
    X(llama_encode)                       \
    X(llama_free)                         \
    X(llama_get_embeddings_seq)           \
    X(llama_get_logits_ith)               \
    X(llama_get_memory)                   \
    X(llama_init_from_model)              \
    X(llama_log_set)                      \
    X(llama_memory_clear)                 \
    X(llama_memory_seq_cp)                \
    X(llama_memory_seq_pos_max)           \
    X(llama_memory_seq_rm)                \
    X(llama_model_default_params)         \
    X(llama_model_free)                   \
    X(llama_model_get_vocab)              \
    X(llama_model_has_decoder)            \
    X(llama_model_has_encoder)            \
    X(llama_model_is_hybrid)              \
    X(llama_model_is_recurrent)           \
    X(llama_model_load_from_file)         \
    X(llama_model_n_ctx_train)            \
    X(llama_model_n_embd_out)             \
    X(llama_model_size)                   \
    X(llama_n_ctx_seq)                    \
    X(llama_pooling_type)                 \
    X(llama_sampler_apply)                \
    X(llama_sampler_chain_add)            \
    X(llama_sampler_chain_default_params) \
    X(llama_sampler_chain_init)           \
    X(llama_sampler_free)                 \
    X(llama_sampler_init_dist)            \
    X(llama_sampler_init_greedy)          \
    X(llama_sampler_init_logit_bias)      \
    X(llama_sampler_init_min_p)           \
    X(llama_sampler_init_penalties)       \
    X(llama_sampler_init_temp)            \
    X(llama_sampler_init_top_k)           \
    X(llama_sampler_init_top_p)           \
    X(llama_sampler_init_typical)         \
    X(llama_set_adapters_lora)            \
    X(llama_state_get_size)               \
    X(llama_supports_gpu_offload)         \
    X(llama_synchronize)                  \
    X(llama_token_to_piece)               \
    X(llama_tokenize)                     \
    X(llama_vocab_bos)                    \
    X(llama_vocab_fim_mid)                \
    X(llama_vocab_fim_pre)                \
    X(llama_vocab_fim_suf)                \
    X(llama_vocab_get_add_bos)            \
    X(llama_vocab_is_eog)                 \
    X(llama_vocab_n_tokens)               \
    X(llama_vocab_type)

struct mt_llama {
#define X(name) __typeof__(name) *name;
    MT_LLAMA_MAP(X)
#undef X
    const struct mt_tmpl_ops *tmpl;
};

/** @param dir  where libllama.so and its backends are; NULL = as built
 *  @return MT_OK, MT_E_NOTFOUND (says what to run), MT_E_UNSUPPORTED (another version) */
mt_rc mt_llama_get(const char *dir, const struct mt_llama **out, struct mt_err *err);

/** The last thing llama.cpp complained of on this thread, for an error's words; "" if nothing.
 * Reading clears it. */
const char *mt_llama_complaint(void);

#endif
#endif
