/* SPDX-License-Identifier: Apache-2.0 */
/* A model's numbers and vocabulary as the keys of a GGUF file, and back. One table of numbers
 * serves both ways; the tensors are those of train/shape.h. */
#include "train/model_file.h"

#include <stddef.h>
#include <string.h>

#include "base/alloc.h"
#include "base/attr.h"
#include "engine/gguf_io.h"
#include "train/vocab.h"

enum {
    TYPE_NORMAL = 1, /* of a token, as llama.cpp counts */
    TYPE_UNKNOWN = 2,
    TYPE_CONTROL = 3,
    TYPE_BYTE = 6,
    POOLING_LAST = 3, /* as llama.cpp counts */
    KEYS_MAX = 40,
    QUANTIZATION_VERSION = 2,
};

static const char chat_template[] =
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";

/* In the order of the file. A key that is absent takes what llama.cpp would take. */
static const struct number {
    const char *key;
    size_t at; /* in struct mt_shape */
    enum { NEEDED, ABSENT_IS_HEADS, ABSENT_IS_HEAD_WIDTH, ABSENT_IS_TOKENS } absent;
} numbers[] = {
    {"llama.vocab_size", offsetof(struct mt_shape, vocab_n), ABSENT_IS_TOKENS},
    {"llama.context_length", offsetof(struct mt_shape, context_n), NEEDED},
    {"llama.embedding_length", offsetof(struct mt_shape, width), NEEDED},
    {"llama.feed_forward_length", offsetof(struct mt_shape, ff_width), NEEDED},
    {"llama.block_count", offsetof(struct mt_shape, layers_n), NEEDED},
    {"llama.attention.head_count", offsetof(struct mt_shape, heads_n), NEEDED},
    {"llama.attention.head_count_kv", offsetof(struct mt_shape, kv_heads_n), ABSENT_IS_HEADS},
    {"llama.attention.key_length", offsetof(struct mt_shape, head_width), ABSENT_IS_HEAD_WIDTH},
    {"llama.attention.value_length", offsetof(struct mt_shape, head_width),
     ABSENT_IS_HEAD_WIDTH},
    {"llama.rope.dimension_count", offsetof(struct mt_shape, head_width), ABSENT_IS_HEAD_WIDTH},
};

static const char key_norm_eps[] = "llama.attention.layer_norm_rms_epsilon";
static const char key_rope_base[] = "llama.rope.freq_base";
static const char key_tokens[] = "tokenizer.ggml.tokens";
static const char key_pooling[] = "llama.pooling_type";

/* --- writing --- */

static const struct {
    enum mt_gguf_type type;
    uint32_t file_type; /* general.file_type */
} types[] = {
    [MT_MODEL_F32] = {MT_GGUF_TYPE_F32, 0},
    [MT_MODEL_F16] = {MT_GGUF_TYPE_F16, 1},
    [MT_MODEL_Q8_0] = {MT_GGUF_TYPE_Q8_0, 7},
};

/* What the keys point to. */
struct words {
    char *name, *description, *license; /* owned */
    char rooms[MT_VOCAB_N][MT_VOCAB_TEXT_MAX];
    const char *texts[MT_VOCAB_N];
    float scores[MT_VOCAB_N];
    int32_t types[MT_VOCAB_N];
};

static void words_fini(struct words *words)
{
    mt_free(words->name);
    mt_free(words->description);
    mt_free(words->license);
}

static int32_t type_of(int32_t token)
{
    switch (token) {
    case MT_TOKEN_UNKNOWN:
        return TYPE_UNKNOWN;
    case MT_TOKEN_BEGIN:
    case MT_TOKEN_END:
    case MT_TOKEN_IM_START:
    case MT_TOKEN_IM_END:
    case MT_TOKEN_USER:
    case MT_TOKEN_ASSISTANT:
        return TYPE_CONTROL;
    case MT_TOKEN_BYTE0 + ' ': /* a piece, so that a space does not become three bytes */
    case MT_TOKEN_CALL_CLOUD:  /* shown in answers, not found in texts: train/vocab.h */
        return TYPE_NORMAL;
    default:
        return TYPE_BYTE;
    }
}

static mt_rc words_init(struct words *words, const struct mt_model_about *about,
                        struct mt_err *err)
{
    words->name = mt_alloc_cstr(about->name);
    words->description = mt_alloc_cstr(about->description);
    words->license = mt_alloc_cstr(about->license);
    if (words->name == NULL || words->description == NULL || words->license == NULL)
        return MT_FAIL(err, MT_E_NOMEM, "a model's name");
    for (int32_t i = 0; i < MT_VOCAB_N; i++) {
        words->texts[i] = mt_vocab_text(i, words->rooms[i]).at;
        words->types[i] = type_of(i);
    }
    return MT_OK;
}

static size_t list_keys(const struct mt_shape *shape, enum mt_model_type type,
                        enum mt_model_use use, struct words *words, struct mt_gguf_key *out)
{
    const struct mt_gguf_key head[] = {
        {"general.architecture", MT_GGUF_TEXT, {.text = "llama"}, 0},
        {"general.name", MT_GGUF_TEXT, {.text = words->name}, 0},
        {"general.description", MT_GGUF_TEXT, {.text = words->description}, 0},
        {"general.license", MT_GGUF_TEXT, {.text = words->license}, 0},
        {"general.file_type", MT_GGUF_U32, {.u32 = types[type].file_type}, 0},
        {"general.quantization_version", MT_GGUF_U32, {.u32 = QUANTIZATION_VERSION}, 0},
    };
    const struct mt_gguf_key tail[] = {
        {key_norm_eps, MT_GGUF_F32, {.f32 = shape->norm_eps}, 0},
        {key_rope_base, MT_GGUF_F32, {.f32 = shape->rope_base}, 0},
        {"tokenizer.ggml.model", MT_GGUF_TEXT, {.text = "llama"}, 0},
        {key_tokens, MT_GGUF_TEXTS, {.texts = words->texts}, shape->vocab_n},
        {"tokenizer.ggml.scores", MT_GGUF_F32S, {.f32s = words->scores}, shape->vocab_n},
        {"tokenizer.ggml.token_type", MT_GGUF_I32S, {.i32s = words->types}, shape->vocab_n},
        {"tokenizer.ggml.bos_token_id", MT_GGUF_U32, {.u32 = MT_TOKEN_BEGIN}, 0},
        {"tokenizer.ggml.eos_token_id",
         MT_GGUF_U32,
         {.u32 = use == MT_MODEL_EMBEDS ? MT_TOKEN_END : MT_TOKEN_IM_END},
         0},
        {"tokenizer.ggml.unknown_token_id", MT_GGUF_U32, {.u32 = MT_TOKEN_UNKNOWN}, 0},
        {"tokenizer.ggml.add_space_prefix", MT_GGUF_BOOL, {.is_set = false}, 0},
        {"tokenizer.ggml.add_bos_token", MT_GGUF_BOOL, {.is_set = false}, 0},
        {"tokenizer.chat_template", MT_GGUF_TEXT, {.text = chat_template}, 0},
    };
    const struct mt_gguf_key of_embedder[] = {
        {key_pooling, MT_GGUF_U32, {.u32 = POOLING_LAST}, 0},
        {"tokenizer.ggml.add_eos_token", MT_GGUF_BOOL, {.is_set = true}, 0},
    };
    size_t n = MT_ARRAY_LEN(head);

    _Static_assert(MT_ARRAY_LEN(head) + MT_ARRAY_LEN(numbers) + MT_ARRAY_LEN(tail) +
                           MT_ARRAY_LEN(of_embedder) <=
                       KEYS_MAX,
                   "keys");
    memcpy(out, head, sizeof head);
    for (size_t i = 0; i < MT_ARRAY_LEN(numbers); i++) {
        uint32_t value;
        memcpy(&value, (const char *)shape + numbers[i].at, sizeof value);
        out[n++] = (struct mt_gguf_key){numbers[i].key, MT_GGUF_U32, {.u32 = value}, 0};
    }
    memcpy(out + n, tail, sizeof tail);
    n += MT_ARRAY_LEN(tail);
    if (use != MT_MODEL_EMBEDS)
        return n;
    memcpy(out + n, of_embedder, sizeof of_embedder);
    return n + MT_ARRAY_LEN(of_embedder);
}

static void list_tensors(const struct mt_tensor *tensors, uint32_t n, const float *params,
                         enum mt_model_type type, struct mt_gguf_tensor *out)
{
    for (uint32_t i = 0; i < n; i++)
        out[i] = (struct mt_gguf_tensor){
            .name = tensors[i].name,
            .type = tensors[i].is_vector ? MT_GGUF_TYPE_F32 : types[type].type,
            .rows = tensors[i].is_vector ? 0 : tensors[i].rows,
            .columns = tensors[i].columns,
            .values = params + tensors[i].at,
        };
}

static mt_rc check_vocab_n(uint64_t n, struct mt_err *err)
{
    if (n != MT_VOCAB_N)
        return MT_FAIL(err, MT_E_INVALID, "vocabulary of %llu tokens, expected %d",
                       (unsigned long long)n, MT_VOCAB_N);
    return MT_OK;
}

mt_rc mt_model_write(const char *path, const struct mt_shape *shape, const float *params,
                     enum mt_model_type type, const struct mt_model_about *about,
                     const char *library_dir, struct mt_err *err)
{
    MT_CLEANUP(words_fini) struct words words = {.name = NULL};
    struct mt_gguf_key keys[KEYS_MAX];

    MT_TRY(mt_shape_check(shape, err));
    MT_TRY(check_vocab_n(shape->vocab_n, err));
    MT_CLEANUP(mt_freep)
    struct mt_tensor *tensors = mt_alloc(MT_SHAPE_TENSORS_MAX, sizeof *tensors);
    MT_CLEANUP(mt_freep)
    struct mt_gguf_tensor *listed = mt_alloc(MT_SHAPE_TENSORS_MAX, sizeof *listed);
    if (tensors == NULL || listed == NULL)
        return MT_FAIL(err, MT_E_NOMEM, "model file '%s'", path);
    MT_TRY(words_init(&words, about, err));
    uint32_t tensors_n = mt_shape_tensors(shape, tensors);
    list_tensors(tensors, tensors_n, params, type, listed);
    size_t keys_n = list_keys(shape, type, about->use, &words, keys);
    return mt_gguf_write(path, keys, keys_n, listed, tensors_n, library_dir, err);
}

/* --- reading --- */

static mt_rc read_number(const struct mt_gguf_file *file, const struct number *number,
                         uint32_t tokens_n, struct mt_shape *shape, struct mt_err *err)
{
    uint32_t value = 0;
    uint32_t before;

    if (!mt_gguf_find_u32(file, number->key, &value)) {
        if (number->absent == NEEDED || mt_gguf_has(file, number->key))
            return MT_FAIL(err, MT_E_INVALID, "'%s' is missing or no 32-bit number",
                           number->key);
        if (number->absent == ABSENT_IS_TOKENS)
            value = tokens_n;
        else if (number->absent == ABSENT_IS_HEADS)
            value = shape->heads_n;
        else
            value = shape->heads_n > 0 ? shape->width / shape->heads_n : 0;
    }
    memcpy(&before, (char *)shape + number->at, sizeof before);
    if (before != 0 && before != value)
        return MT_FAIL(err, MT_E_INVALID, "'%s' is %u, expected %u as for keys", number->key,
                       (unsigned)value, (unsigned)before);
    memcpy((char *)shape + number->at, &value, sizeof value);
    return MT_OK;
}

static mt_rc read_floats(const struct mt_gguf_file *file, struct mt_shape *shape,
                         struct mt_err *err)
{
    shape->rope_base = 10000.0F;
    if (!mt_gguf_find_f32(file, key_norm_eps, &shape->norm_eps))
        return MT_FAIL(err, MT_E_INVALID, "'%s' is missing or no float", key_norm_eps);
    if (!mt_gguf_find_f32(file, key_rope_base, &shape->rope_base) &&
        mt_gguf_has(file, key_rope_base))
        return MT_FAIL(err, MT_E_INVALID, "'%s' is no float", key_rope_base);
    return MT_OK;
}

static mt_rc check_text(const struct mt_gguf_file *file, const char *key, const char *wanted,
                        struct mt_err *err)
{
    const char *found = mt_gguf_find_text(file, key);

    if (found == NULL || strcmp(found, wanted) != 0)
        return MT_FAIL(err, MT_E_INVALID, "'%s' is '%.40s', expected '%s'", key,
                       found != NULL ? found : "", wanted);
    return MT_OK;
}

static mt_rc check_vocab(const struct mt_gguf_file *file, uint32_t *tokens_n,
                         struct mt_err *err)
{
    size_t n = mt_gguf_texts_n(file, key_tokens);

    MT_TRY(check_text(file, "tokenizer.ggml.model", "llama", err));
    MT_TRY(check_vocab_n(n, err));
    for (size_t i = 0; i < n; i++) {
        char room[MT_VOCAB_TEXT_MAX];
        const char *found = mt_gguf_text_at(file, key_tokens, i);
        struct mt_str wanted = mt_vocab_text((int32_t)i, room);
        if (!mt_str_is(wanted, found))
            return MT_FAIL(err, MT_E_INVALID,
                           "another vocabulary: token %zu is '%.40s', expected '%s'", i, found,
                           room);
    }
    *tokens_n = (uint32_t)n;
    return MT_OK;
}

/* What would make the file's model compute something else than train/net.h does. */
static mt_rc check_plain(const struct mt_gguf_file *file, struct mt_err *err)
{
    const char *scaling = mt_gguf_find_text(file, "llama.rope.scaling.type");
    uint32_t experts_n = 0;

    if (scaling != NULL && strcmp(scaling, "none") != 0)
        return MT_FAIL(err, MT_E_INVALID,
                       "'llama.rope.scaling.type' is '%.40s', expected 'none'", scaling);
    if (mt_gguf_find_u32(file, "llama.expert_count", &experts_n) && experts_n > 0)
        return MT_FAIL(err, MT_E_INVALID, "'llama.expert_count' is %u, expected 0",
                       (unsigned)experts_n);
    return MT_OK;
}

static size_t find_tensor(const struct mt_gguf_file *file, const char *name)
{
    size_t i = 0;

    while (i < mt_gguf_tensors_n(file) && strcmp(mt_gguf_extent(file, i).name, name) != 0)
        i++;
    return i;
}

static mt_rc read_shape(const struct mt_gguf_file *file, struct mt_shape *shape,
                        struct mt_err *err)
{
    uint32_t tokens_n = 0;

    MT_TRY(check_text(file, "general.architecture", "llama", err));
    MT_TRY(check_vocab(file, &tokens_n, err));
    for (size_t i = 0; i < MT_ARRAY_LEN(numbers); i++)
        MT_TRY(read_number(file, &numbers[i], tokens_n, shape, err));
    if (shape->vocab_n != tokens_n)
        return MT_FAIL(err, MT_E_INVALID, "'llama.vocab_size' is %u, but there are %u tokens",
                       (unsigned)shape->vocab_n, (unsigned)tokens_n);
    MT_TRY(read_floats(file, shape, err));
    MT_TRY(check_plain(file, err));
    shape->is_tied = find_tensor(file, "output.weight") == mt_gguf_tensors_n(file);
    return mt_shape_check(shape, err);
}

static bool is_listed(const struct mt_tensor *tensors, uint32_t n, const char *name)
{
    for (uint32_t i = 0; i < n; i++)
        if (strcmp(tensors[i].name, name) == 0)
            return true;
    return false;
}

static mt_rc check_tensor(const struct mt_gguf_file *file, const struct mt_tensor *tensor,
                          struct mt_err *err)
{
    size_t at = find_tensor(file, tensor->name);

    if (at == mt_gguf_tensors_n(file))
        return MT_FAIL(err, MT_E_CORRUPT, "tensor '%s' is missing", tensor->name);
    struct mt_gguf_extent found = mt_gguf_extent(file, at);
    if (found.rows != tensor->rows || found.columns != tensor->columns)
        return MT_FAIL(err, MT_E_CORRUPT, "tensor '%s' is %llu x %llu, expected %u x %u",
                       tensor->name, (unsigned long long)found.columns,
                       (unsigned long long)found.rows, (unsigned)tensor->columns,
                       (unsigned)tensor->rows);
    return MT_OK;
}

/* Before memory for the parameters is taken: every tensor is there, and no other. */
static mt_rc check_tensors(const struct mt_gguf_file *file, const struct mt_tensor *tensors,
                           uint32_t n, struct mt_err *err)
{
    for (uint32_t i = 0; i < n; i++)
        MT_TRY(check_tensor(file, &tensors[i], err));
    for (size_t i = 0; i < mt_gguf_tensors_n(file); i++) {
        const char *name = mt_gguf_extent(file, i).name;
        if (!is_listed(tensors, n, name))
            return MT_FAIL(err, MT_E_INVALID, "tensor '%s' is no part of this architecture",
                           name);
    }
    return MT_OK;
}

static mt_rc read_model(const struct mt_gguf_file *file, struct mt_shape *shape, float **params,
                        struct mt_err *err)
{
    MT_CLEANUP(mt_freep)
    struct mt_tensor *tensors = mt_alloc(MT_SHAPE_TENSORS_MAX, sizeof *tensors);

    if (tensors == NULL)
        return MT_FAIL(err, MT_E_NOMEM, "a model's tensors");
    MT_TRY(read_shape(file, shape, err));
    uint32_t n = mt_shape_tensors(shape, tensors);
    MT_TRY(check_tensors(file, tensors, n, err));
    uint64_t params_n = mt_shape_params_n(shape);
    MT_CLEANUP(mt_freep) float *values = mt_alloc(params_n, sizeof *values);
    if (values == NULL)
        return MT_FAIL(err, MT_E_NOMEM, "%llu parameters", (unsigned long long)params_n);
    for (uint32_t i = 0; i < n; i++)
        MT_TRY(mt_gguf_read_tensor(file, find_tensor(file, tensors[i].name),
                                   values + tensors[i].at, err));
    *params = MT_MOVE(values);
    return MT_OK;
}

mt_rc mt_model_read(const char *path, struct mt_shape *shape, float **params,
                    const char *library_dir, struct mt_err *err)
{
    MT_CLEANUP(mt_gguf_closep) struct mt_gguf_file *file = NULL;
    struct mt_shape found = {.vocab_n = 0};
    float *values = NULL;

    MT_TRY(mt_gguf_open(path, library_dir, &file, err));
    mt_rc rc = read_model(file, &found, &values, err);
    if (rc < 0)
        return mt_err_wrap(err, rc, "model file '%s'", path);
    *shape = found;
    *params = values;
    return MT_OK;
}

mt_rc mt_model_read_use(const char *path, enum mt_model_use *use, const char *library_dir,
                        struct mt_err *err)
{
    MT_CLEANUP(mt_gguf_closep) struct mt_gguf_file *file = NULL;
    uint32_t pooling = 0;

    MT_TRY(mt_gguf_open(path, library_dir, &file, err));
    *use = mt_gguf_find_u32(file, key_pooling, &pooling) && pooling == POOLING_LAST
               ? MT_MODEL_EMBEDS
               : MT_MODEL_GENERATES;
    return MT_OK;
}
