/* SPDX-License-Identifier: Apache-2.0 */
/* random_gguf FILE [MILLION_PARAMETERS [SEED]]: a llama-architecture model with random weights,
 * f16 matrices, byte-level vocabulary, ChatML template. It answers nonsense at the speed of a
 * real model of its size: that is what the benchmark of the local engine is run on. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ggml.h"
#include "gguf.h"

enum { VOCAB = 8192, HEAD = 64, CONTEXT = 4096, BYTES_FROM = 3 };

static uint64_t random_state;

static uint64_t next_random(void)
{
    uint64_t z = (random_state += 0x9E3779B97F4A7C15u);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

/* About normal: a sum of uniform numbers. */
static float next_normal(void)
{
    uint64_t r = next_random();
    float sum = 0;

    for (int i = 0; i < 4; i++, r >>= 16)
        sum += (float)(r & 0xFFFF) / 65536.0F - 0.5F;
    return sum * 1.7320508F;
}

static void add_matrix(struct ggml_context *ctx, struct gguf_context *out, const char *name,
                       int64_t columns, int64_t rows)
{
    struct ggml_tensor *t = ggml_new_tensor_2d(ctx, GGML_TYPE_F16, columns, rows);
    ggml_fp16_t *to = ggml_get_data(t);
    float scale = 1.0F / sqrtf((float)columns);

    for (int64_t i = 0; i < columns * rows; i++)
        to[i] = ggml_fp32_to_fp16(next_normal() * scale);
    ggml_set_name(t, name);
    gguf_add_tensor(out, t);
}

static void add_ones(struct ggml_context *ctx, struct gguf_context *out, const char *name,
                     int64_t n)
{
    struct ggml_tensor *t = ggml_new_tensor_1d(ctx, GGML_TYPE_F32, n);

    for (int64_t i = 0; i < n; i++)
        ((float *)ggml_get_data(t))[i] = 1.0F;
    ggml_set_name(t, name);
    gguf_add_tensor(out, t);
}

static void add_layer(struct ggml_context *ctx, struct gguf_context *out, int layer,
                      int64_t width, int64_t inner)
{
    const struct {
        const char *name;
        int64_t columns, rows;
    } parts[] = {
        {"attn_norm", width, 0},    {"ffn_norm", width, 0},   {"attn_q", width, width},
        {"attn_k", width, width},   {"attn_v", width, width}, {"attn_output", width, width},
        {"ffn_gate", width, inner}, {"ffn_up", width, inner}, {"ffn_down", inner, width}};

    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        char name[64];
        snprintf(name, sizeof name, "blk.%d.%s.weight", layer, parts[i].name);
        if (parts[i].rows == 0)
            add_ones(ctx, out, name, parts[i].columns);
        else
            add_matrix(ctx, out, name, parts[i].columns, parts[i].rows);
    }
}

/* <unk> <s> </s>, 256 bytes, marks of the template, and words nobody says. */
static void add_vocabulary(struct gguf_context *out)
{
    static char texts[VOCAB][16];
    static const char *tokens[VOCAB];
    static float scores[VOCAB];
    static int32_t types[VOCAB];

    for (int i = 0; i < VOCAB; i++) {
        int byte = i - BYTES_FROM;
        tokens[i] = texts[i];
        types[i] = byte >= 0 && byte < 256 ? 6 : i < BYTES_FROM || i < 261 ? 3 : 1;
        if (byte >= 0 && byte < 256)
            snprintf(texts[i], sizeof texts[i], "<0x%02X>", (unsigned)byte);
        else
            snprintf(texts[i], sizeof texts[i], "w%d", i);
        scores[i] = -(float)i;
    }
    strcpy(texts[0], "<unk>");
    strcpy(texts[1], "<s>");
    strcpy(texts[2], "</s>");
    strcpy(texts[259], "<|im_start|>");
    strcpy(texts[260], "<|im_end|>");
    types[259] = types[260] = 3;
    gguf_set_val_str(out, "tokenizer.ggml.model", "llama");
    gguf_set_arr_str(out, "tokenizer.ggml.tokens", tokens, VOCAB);
    gguf_set_arr_data(out, "tokenizer.ggml.scores", GGUF_TYPE_FLOAT32, scores, VOCAB);
    gguf_set_arr_data(out, "tokenizer.ggml.token_type", GGUF_TYPE_INT32, types, VOCAB);
    gguf_set_val_u32(out, "tokenizer.ggml.bos_token_id", 1);
    gguf_set_val_u32(out, "tokenizer.ggml.eos_token_id", 2);
    gguf_set_val_u32(out, "tokenizer.ggml.eot_token_id", 260);
    gguf_set_val_u32(out, "tokenizer.ggml.unknown_token_id", 0);
    gguf_set_val_bool(out, "tokenizer.ggml.add_bos_token", false);
    gguf_set_val_bool(out, "tokenizer.ggml.add_space_prefix", false);
    gguf_set_val_str(out, "tokenizer.chat_template",
                     "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}"
                     "<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>"
                     "assistant\n{% endif %}");
}

static void add_shape(struct gguf_context *out, uint32_t width, uint32_t inner, uint32_t layers)
{
    gguf_set_val_str(out, "general.architecture", "llama");
    gguf_set_val_str(out, "general.name", "random weights");
    gguf_set_val_u32(out, "general.file_type", 1);
    gguf_set_val_u32(out, "llama.vocab_size", VOCAB);
    gguf_set_val_u32(out, "llama.context_length", CONTEXT);
    gguf_set_val_u32(out, "llama.embedding_length", width);
    gguf_set_val_u32(out, "llama.feed_forward_length", inner);
    gguf_set_val_u32(out, "llama.block_count", layers);
    gguf_set_val_u32(out, "llama.attention.head_count", width / HEAD);
    gguf_set_val_u32(out, "llama.attention.head_count_kv", width / HEAD);
    gguf_set_val_u32(out, "llama.rope.dimension_count", HEAD);
    gguf_set_val_f32(out, "llama.attention.layer_norm_rms_epsilon", 1e-5F);
    gguf_set_val_f32(out, "llama.rope.freq_base", 10000.0F);
}

int main(int argc, char **argv)
{
    double wanted = argc > 2 ? atof(argv[2]) : 110;
    uint32_t width = 768;
    uint32_t inner = 2048;

    if (argc < 2 || wanted < 1 || wanted > 2000) {
        fprintf(stderr, "usage: random_gguf FILE [MILLION_PARAMETERS [SEED]]\n");
        return 2;
    }
    random_state = argc > 3 ? strtoull(argv[3], NULL, 10) : 1;
    double per_layer = 4.0 * width * width + 3.0 * width * inner;
    double fixed = 2.0 * VOCAB * width;
    uint32_t layers = (uint32_t)ceil((wanted * 1e6 - fixed) / per_layer);
    layers = wanted * 1e6 <= fixed ? 1 : layers;
    double parameters = fixed + layers * per_layer;
    struct ggml_init_params params = {.mem_size = (size_t)(parameters * 2.1) + (64u << 20)};
    struct ggml_context *ctx = ggml_init(params);
    struct gguf_context *out = gguf_init_empty();

    if (ctx == NULL || out == NULL) {
        fprintf(stderr, "random_gguf: out of memory\n");
        return 17;
    }
    add_shape(out, width, inner, layers);
    add_vocabulary(out);
    add_matrix(ctx, out, "token_embd.weight", width, VOCAB);
    add_matrix(ctx, out, "output.weight", width, VOCAB);
    add_ones(ctx, out, "output_norm.weight", width);
    for (uint32_t i = 0; i < layers; i++)
        add_layer(ctx, out, (int)i, width, inner);
    bool is_written = gguf_write_to_file(out, argv[1], false);
    gguf_free(out);
    ggml_free(ctx);
    if (!is_written) {
        fprintf(stderr, "random_gguf: cannot write '%s'\n", argv[1]);
        return 16;
    }
    printf("%s: %.0f parameters, %u layers\n", argv[1], parameters, layers);
    return 0;
}
