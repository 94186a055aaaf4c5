/* SPDX-License-Identifier: Apache-2.0 */
/* Reads the header of a GGUF file; pure.
 *
 *   "GGUF" u32 version  u64 tensors  u64 keys
 *   keys:    string name, u32 type, value          (string: u64 length, bytes)
 *   tensors: string name, u32 dims, u64 dim..., u32 type, u64 offset
 *   padding to the alignment, then the tensors' data
 *
 * Little-endian. Invariant: at <= end; a failed take leaves rc set and gives zeros, so a run of
 * takes needs one test at its end. */
#include "engine/gguf.h"

#include <string.h>

#include "chat/models.h"
#include "wire/json_writer.h"

enum gguf_type {
    T_U8,
    T_I8,
    T_U16,
    T_I16,
    T_U32,
    T_I32,
    T_F32,
    T_BOOL,
    T_STRING,
    T_ARRAY,
    T_U64,
    T_I64,
    T_F64,
};
enum { T_COUNT = T_F64 + 1, DIMS_MAX = 4, NAME_MAX_BYTES = 65535, JSON_TEXT_MAX = 4096 };

static const unsigned char type_bytes[T_COUNT] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};

/* Tensor types: elements and bytes of a block. Zero: not known, its extent is not checked. */
static const struct block {
    unsigned short elements, bytes;
} blocks[] = {
    [0] = {1, 4},      [1] = {1, 2},      [2] = {32, 18},    [3] = {32, 20},
    [6] = {32, 22},    [7] = {32, 24},    [8] = {32, 34},    [9] = {32, 36},
    [10] = {256, 84},  [11] = {256, 110}, [12] = {256, 144}, [13] = {256, 176},
    [14] = {256, 210}, [15] = {256, 292}, [16] = {256, 66},  [17] = {256, 74},
    [18] = {256, 98},  [19] = {256, 50},  [20] = {32, 18},   [21] = {256, 110},
    [22] = {256, 82},  [23] = {256, 136}, [24] = {1, 1},     [25] = {1, 2},
    [26] = {1, 4},     [27] = {1, 8},     [28] = {1, 8},     [29] = {256, 56},
    [30] = {1, 2},     [34] = {256, 54},  [35] = {256, 66},  [39] = {32, 17},
};

/* Names of the tensor types, for files that do not say general.file_type. */
static const char *const type_names[MT_ARRAY_LEN(blocks)] = {
    [0] = "F32",    [1] = "F16",     [2] = "Q4_0",     [3] = "Q4_1",    [6] = "Q5_0",
    [7] = "Q5_1",   [8] = "Q8_0",    [10] = "Q2_K",    [11] = "Q3_K",   [12] = "Q4_K",
    [13] = "Q5_K",  [14] = "Q6_K",   [16] = "IQ2_XXS", [17] = "IQ2_XS", [18] = "IQ3_XXS",
    [19] = "IQ1_S", [20] = "IQ4_NL", [21] = "IQ3_S",   [22] = "IQ2_S",  [23] = "IQ4_XS",
    [29] = "IQ1_M", [30] = "BF16",   [34] = "TQ1_0",   [35] = "TQ2_0",  [39] = "MXFP4",
};

/* general.file_type. */
static const char *const file_types[] = {
    [0] = "F32",      [1] = "F16",      [2] = "Q4_0",    [3] = "Q4_1",    [7] = "Q8_0",
    [8] = "Q5_0",     [9] = "Q5_1",     [10] = "Q2_K",   [11] = "Q3_K_S", [12] = "Q3_K_M",
    [13] = "Q3_K_L",  [14] = "Q4_K_S",  [15] = "Q4_K_M", [16] = "Q5_K_S", [17] = "Q5_K_M",
    [18] = "Q6_K",    [19] = "IQ2_XXS", [20] = "IQ2_XS", [21] = "Q2_K_S", [22] = "IQ3_XS",
    [23] = "IQ3_XXS", [24] = "IQ1_S",   [25] = "IQ4_NL", [26] = "IQ3_S",  [27] = "IQ3_M",
    [28] = "IQ2_S",   [29] = "IQ2_M",   [30] = "IQ4_XS", [31] = "IQ1_M",  [32] = "BF16",
    [36] = "TQ1_0",   [37] = "TQ2_0",   [38] = "MXFP4",
};

struct reader {
    const char *at, *begin, *end;
    bool is_short; /* wanted bytes behind the end */
    bool is_wrong; /* a length that no file can hold */
};

struct value {
    uint32_t type;
    uint64_t bits; /* an integer's or a bool's value; an array's length */
    double number;
    struct mt_str text;
};

struct context {
    struct reader in;
    struct mt_gguf *out;
    struct mt_jw json;
    int64_t file_bytes;
    uint64_t alignment;
    int64_t file_type;
    int64_t experts_n, experts_used_n; /* used: -1 = one number per layer */
    uint64_t type_elements[MT_ARRAY_LEN(blocks)];
};

static const char *take(struct reader *in, uint64_t n)
{
    if (in->is_short || in->is_wrong)
        return NULL;
    if (n > MT_GGUF_HEADER_MAX) {
        in->is_wrong = true;
        return NULL;
    }
    if ((uint64_t)(in->end - in->at) < n) {
        in->is_short = true;
        return NULL;
    }
    const char *was = in->at;
    in->at += n;
    return was;
}

static uint64_t take_u(struct reader *in, unsigned bytes)
{
    const char *from = take(in, bytes);
    uint64_t value = 0;

    for (unsigned i = 0; from != NULL && i < bytes; i++)
        value |= (uint64_t)(unsigned char)from[i] << (8 * i);
    return value;
}

static struct mt_str take_str(struct reader *in)
{
    uint64_t len = take_u(in, 8);
    const char *at = take(in, len);

    return (struct mt_str){at, at != NULL ? (size_t)len : 0};
}

static int64_t signed_of(uint64_t bits, unsigned bytes)
{
    unsigned shift = 64 - 8 * bytes;
    return (int64_t)(bits << shift) >> shift;
}

static double float_of(uint64_t bits, uint32_t type)
{
    if (type == T_F32) {
        float f;
        uint32_t low = (uint32_t)bits;
        memcpy(&f, &low, sizeof f);
        return (double)f;
    }
    double d;
    memcpy(&d, &bits, sizeof d);
    return d;
}

static mt_rc corrupt(const struct reader *in, struct mt_err *err, const char *what)
{
    return MT_FAIL(err, MT_E_CORRUPT, "GGUF header, byte %lld: %s",
                   (long long)(in->at - in->begin), what);
}

/* The failure that a take met, or MT_OK. */
static mt_rc check(const struct reader *in, struct mt_err *err)
{
    if (in->is_wrong)
        return corrupt(in, err, "a length that no header can hold");
    if (in->is_short)
        return MT_FAIL(err, MT_E_TOOBIG, "GGUF header: cut off after %lld bytes",
                       (long long)(in->end - in->begin));
    return MT_OK;
}

static mt_rc skip_array(struct reader *in, struct value *value, struct mt_err *err)
{
    uint32_t type = (uint32_t)take_u(in, 4);

    value->bits = take_u(in, 8);
    MT_TRY(check(in, err));
    if (type >= T_COUNT || type == T_ARRAY)
        return corrupt(in, err, "an array of unknown type");
    if (value->bits > MT_GGUF_HEADER_MAX)
        return corrupt(in, err, "an array longer than any header");
    if (type != T_STRING) {
        (void)take(in, value->bits * type_bytes[type]);
        return check(in, err);
    }
    for (uint64_t i = 0; i < value->bits && !in->is_short && !in->is_wrong; i++)
        (void)take_str(in);
    return check(in, err);
}

static mt_rc take_value(struct reader *in, struct value *value, struct mt_err *err)
{
    *value = (struct value){.type = (uint32_t)take_u(in, 4)};
    MT_TRY(check(in, err));
    if (value->type >= T_COUNT)
        return corrupt(in, err, "a value of unknown type");
    if (value->type == T_ARRAY)
        return skip_array(in, value, err);
    if (value->type == T_STRING)
        value->text = take_str(in);
    else
        value->bits = take_u(in, type_bytes[value->type]);
    if (value->type == T_F32 || value->type == T_F64)
        value->number = float_of(value->bits, value->type);
    if (value->type == T_I8 || value->type == T_I16 || value->type == T_I32)
        value->bits = (uint64_t)signed_of(value->bits, type_bytes[value->type]);
    return check(in, err);
}

static void write_value(struct mt_jw *json, struct mt_str key, const struct value *value)
{
    mt_jw_key_str(json, key);
    if (value->type == T_STRING)
        mt_jw_str(json, mt_str_sub(value->text, 0, JSON_TEXT_MAX));
    else if (value->type == T_F32 || value->type == T_F64)
        mt_jw_f64(json, value->number);
    else if (value->type == T_BOOL)
        mt_jw_bool(json, value->bits != 0);
    else
        mt_jw_i64(json, (int64_t)value->bits);
}

static int64_t count_of(const struct value *value)
{
    bool is_integer = value->type != T_STRING && value->type != T_F32 && value->type != T_F64;
    return is_integer && value->bits <= INT32_MAX ? (int64_t)value->bits : 0;
}

static void note_text(struct mt_gguf *out, struct mt_str key, struct mt_str text)
{
    static const struct {
        const char *key;
        size_t at;
    } table[] = {
        {"general.architecture", offsetof(struct mt_gguf, architecture)},
        {"general.name", offsetof(struct mt_gguf, name)},
        {"general.type", offsetof(struct mt_gguf, type)},
        {"general.license", offsetof(struct mt_gguf, licence)},
        {"tokenizer.ggml.model", offsetof(struct mt_gguf, tokenizer)},
        {"tokenizer.chat_template", offsetof(struct mt_gguf, chat_template)},
        {"adapter.type", offsetof(struct mt_gguf, adapter_type)},
    };

    for (size_t i = 0; i < MT_ARRAY_LEN(table); i++)
        if (mt_str_is(key, table[i].key))
            memcpy((char *)out + table[i].at, &text, sizeof text);
}

static void note_count(struct mt_gguf *out, struct mt_str key, int64_t count)
{
    static const struct {
        const char *end;
        size_t at;
    } table[] = {
        {".context_length", offsetof(struct mt_gguf, context_tokens)},
        {".embedding_length", offsetof(struct mt_gguf, embedding_dims)},
        {".block_count", offsetof(struct mt_gguf, layers_n)},
        {".attention.head_count_kv", offsetof(struct mt_gguf, heads_kv_n)},
        {".attention.key_length", offsetof(struct mt_gguf, head_dims)},
    };

    for (size_t i = 0; i < MT_ARRAY_LEN(table); i++)
        if (mt_str_ends(key, mt_str_of(table[i].end)))
            memcpy((char *)out + table[i].at, &count, sizeof count);
}

/* llama.cpp ends the process over such counts, where it could refuse the file. */
static mt_rc check_count(const struct context *c, struct mt_str key, const struct value *value,
                         struct mt_err *err)
{
    static const struct {
        const char *end;
        int64_t least, most;
    } table[] = {
        {".block_count", 1, 512},
        {".expert_count", 0, 1024},
    };

    for (size_t i = 0; i < MT_ARRAY_LEN(table); i++) {
        if (!mt_str_ends(key, mt_str_of(table[i].end)) || value->type == T_ARRAY)
            continue;
        int64_t count = (int64_t)value->bits;
        if (count < table[i].least || count > table[i].most)
            return MT_FAIL(err, MT_E_UNSUPPORTED,
                           "GGUF header, byte %lld: '%.*s' is %lld, expected %lld to %lld",
                           (long long)(c->in.at - c->in.begin), MT_STR_ARG(key),
                           (long long)count, (long long)table[i].least,
                           (long long)table[i].most);
    }
    return MT_OK;
}

/* The same of numbers that belong together. */
static mt_rc check_experts(const struct context *c, struct mt_err *err)
{
    int64_t least = c->experts_n > 0 ? 1 : 0;

    if (c->experts_used_n == -1 ||
        (c->experts_used_n >= least && c->experts_used_n <= c->experts_n))
        return MT_OK;
    return MT_FAIL(err, MT_E_UNSUPPORTED, "GGUF header: %lld of %lld experts are used",
                   (long long)c->experts_used_n, (long long)c->experts_n);
}

static mt_rc note(struct context *c, struct mt_str key, const struct value *value,
                  struct mt_err *err)
{
    struct mt_gguf *out = c->out;

    MT_TRY(check_count(c, key, value, err));
    if (mt_str_is(key, "general.alignment")) {
        c->alignment = value->bits;
        if (value->bits == 0 || value->bits > 4096 || (value->bits & (value->bits - 1)) != 0)
            return corrupt(&c->in, err, "an alignment that is no power of two up to 4096");
    }
    if (mt_str_is(key, "general.file_type"))
        c->file_type = count_of(value);
    if (mt_str_ends(key, MT_STR(".expert_count")))
        c->experts_n = count_of(value);
    if (mt_str_ends(key, MT_STR(".expert_used_count")))
        c->experts_used_n = value->type == T_ARRAY ? -1 : count_of(value);
    if (mt_str_is(key, "tokenizer.ggml.tokens"))
        out->vocabulary_n = count_of(value);
    if (mt_str_ends(key, MT_STR("fim_pre_token_id")) ||
        mt_str_is(key, "tokenizer.ggml.prefix_token_id"))
        out->has_fim = true;
    if (mt_str_ends(key, MT_STR(".attention.causal")) && value->type == T_BOOL)
        out->is_embedder = value->bits == 0;
    if (value->type == T_STRING)
        note_text(out, key, value->text);
    else if (value->type != T_ARRAY)
        note_count(out, key, count_of(value));
    return MT_OK;
}

static mt_rc read_keys(struct context *c, uint64_t n, struct mt_err *err)
{
    int64_t heads_n = 0;

    for (uint64_t i = 0; i < n; i++) {
        struct mt_str key = take_str(&c->in);
        struct value value;

        MT_TRY(check(&c->in, err));
        if (key.len == 0 || key.len > NAME_MAX_BYTES || !mt_str_is_utf8(key))
            return corrupt(&c->in, err, "a key that is no text");
        MT_TRY(take_value(&c->in, &value, err));
        MT_TRY(note(c, key, &value, err));
        if (mt_str_ends(key, MT_STR(".attention.head_count")))
            heads_n = count_of(&value);
        write_value(&c->json, key, &value);
    }
    if (c->out->heads_kv_n == 0)
        c->out->heads_kv_n = heads_n;
    if (c->out->head_dims == 0 && heads_n > 0)
        c->out->head_dims = c->out->embedding_dims / heads_n;
    return check_experts(c, err);
}

/* Bytes of a tensor, or 0 when its type is not known here; false on overflow. */
static bool tensor_bytes(uint32_t type, uint64_t elements, uint64_t *out)
{
    if (type >= MT_ARRAY_LEN(blocks) || blocks[type].elements == 0) {
        *out = 0;
        return true;
    }
    uint64_t n = elements / blocks[type].elements + (elements % blocks[type].elements != 0);
    return !__builtin_mul_overflow(n, (uint64_t)blocks[type].bytes, out);
}

static mt_rc read_tensor(struct context *c, uint64_t *data_end, struct mt_err *err)
{
    struct mt_str name = take_str(&c->in);
    uint64_t dims_n = take_u(&c->in, 4);
    uint64_t elements = 1;
    uint64_t bytes = 0;
    uint64_t end = 0;

    MT_TRY(check(&c->in, err));
    if (name.len == 0 || name.len > NAME_MAX_BYTES || dims_n > DIMS_MAX)
        return corrupt(&c->in, err, "a tensor without name or with more than 4 dimensions");
    for (uint64_t i = 0; i < dims_n; i++)
        if (__builtin_mul_overflow(elements, take_u(&c->in, 8), &elements))
            return corrupt(&c->in, err, "a tensor larger than any file");
    uint32_t type = (uint32_t)take_u(&c->in, 4);
    uint64_t offset = take_u(&c->in, 8);
    MT_TRY(check(&c->in, err));
    if (elements > INT64_MAX / 64 || !tensor_bytes(type, elements, &bytes) ||
        __builtin_add_overflow(offset, bytes, &end) || end > INT64_MAX / 2)
        return corrupt(&c->in, err, "a tensor larger than any file");
    if (offset % c->alignment != 0)
        return corrupt(&c->in, err, "a tensor that is not aligned");
    if (__builtin_add_overflow(c->out->parameters_n, (int64_t)elements, &c->out->parameters_n))
        return corrupt(&c->in, err, "more parameters than any file");
    if (end > *data_end)
        *data_end = end;
    if (type < MT_ARRAY_LEN(c->type_elements))
        c->type_elements[type] += elements; /* no overflow: the sum was checked above */
    return MT_OK;
}

static mt_rc read_tensors(struct context *c, uint64_t n, struct mt_err *err)
{
    uint64_t data_end = 0;

    for (uint64_t i = 0; i < n; i++)
        MT_TRY(read_tensor(c, &data_end, err));
    uint64_t header = (uint64_t)(c->in.at - c->in.begin);
    uint64_t data = (header + c->alignment - 1) / c->alignment * c->alignment;
    if (n > 0 && data + data_end > (uint64_t)c->file_bytes)
        return MT_FAIL(err, MT_E_CORRUPT,
                       "GGUF file is cut off: its tensors need %llu bytes, it has %lld",
                       (unsigned long long)(data + data_end), (long long)c->file_bytes);
    return MT_OK;
}

static mt_rc read_head(struct context *c, uint64_t *tensors_n, uint64_t *keys_n,
                       struct mt_err *err)
{
    const char *magic = take(&c->in, 4);

    MT_TRY(check(&c->in, err));
    if (memcmp(magic, "GGUF", 4) != 0)
        return MT_FAIL(err, MT_E_CORRUPT, "not a GGUF file: its first bytes are no 'GGUF'");
    c->out->version = (uint32_t)take_u(&c->in, 4);
    *tensors_n = take_u(&c->in, 8);
    *keys_n = take_u(&c->in, 8);
    MT_TRY(check(&c->in, err));
    if (c->out->version < 2 || c->out->version > 3)
        return MT_FAIL(err, MT_E_UNSUPPORTED, "GGUF version %u: expected 2 or 3",
                       (unsigned)c->out->version);
    if (*keys_n > MT_GGUF_KEYS_MAX || *tensors_n > MT_GGUF_TENSORS_MAX)
        return corrupt(&c->in, err, "more keys or tensors than any model has");
    return MT_OK;
}

/* The file's word for it, else the type that holds most of the elements. */
static const char *quantization(const struct context *c)
{
    size_t most = 0;

    if (c->file_type >= 0 && (size_t)c->file_type < MT_ARRAY_LEN(file_types))
        return file_types[c->file_type];
    for (size_t i = 1; i < MT_ARRAY_LEN(blocks); i++)
        if (c->type_elements[i] > c->type_elements[most])
            most = i;
    return c->type_elements[most] > 0 ? type_names[most] : NULL;
}

static mt_rc read_all(struct context *c, struct mt_err *err)
{
    uint64_t tensors_n = 0;
    uint64_t keys_n = 0;

    MT_TRY(read_head(c, &tensors_n, &keys_n, err));
    mt_jw_object(&c->json);
    MT_TRY(read_keys(c, keys_n, err));
    mt_jw_end(&c->json);
    MT_TRY(read_tensors(c, tensors_n, err));
    if (c->out->architecture.len == 0)
        return MT_FAIL(err, MT_E_CORRUPT, "GGUF header: no 'general.architecture'");
    c->out->quantization = mt_str_of(quantization(c));
    return MT_OK;
}

mt_rc mt_gguf_parse(struct mt_str head, int64_t file_bytes, struct mt_arena *arena,
                    struct mt_gguf *out, struct mt_err *err)
{
    MT_CLEANUP(mt_buf_fini) struct mt_buf json = MT_BUF_INIT(8 << 20);
    struct mt_gguf gguf = {.file_bytes = file_bytes};
    struct context c = {
        .in = {.at = head.at, .begin = head.at, .end = head.at + head.len},
        .out = &gguf,
        .file_bytes = file_bytes,
        .alignment = 32,
        .file_type = -1,
    };

    if (head.len == 0)
        return MT_FAIL(err, file_bytes > 0 ? MT_E_TOOBIG : MT_E_CORRUPT,
                       "not a GGUF file: it is empty");
    mt_jw_begin(&c.json, &json);
    MT_TRY(read_all(&c, err));
    MT_TRY(mt_buf_check(&json, "GGUF metadata", err));
    gguf.metadata_json = mt_arena_str(arena, mt_buf_str(&json));
    if (gguf.metadata_json.at == NULL)
        return mt_arena_fail(arena, err);
    *out = gguf;
    return MT_OK;
}

void mt_gguf_card(const struct mt_gguf *gguf, struct mt_model_card *card)
{
    card->format = MT_STR("gguf");
    card->family = gguf->architecture;
    card->quantization = gguf->quantization;
    card->chat_template = gguf->chat_template;
    card->licence = gguf->licence;
    card->size_bytes = gguf->file_bytes;
    card->parameters_n = gguf->parameters_n;
    card->context_tokens = gguf->context_tokens;
    card->embedding_dims = gguf->embedding_dims;
    card->metadata_json = gguf->metadata_json;
    card->can = MT_CAN_EMBED;
    if (!gguf->is_embedder)
        card->can |= MT_CAN_CHAT | MT_CAN_COMPLETE | MT_CAN_TOOLS;
    if (gguf->has_fim)
        card->can |= MT_CAN_INSERT;
    if (mt_str_find(gguf->chat_template, MT_STR("<think>")) < gguf->chat_template.len)
        card->can |= MT_CAN_THINK;
}
