/* SPDX-License-Identifier: Apache-2.0 */
/* Files written here against llama.cpp, read back, broken, and cut off. */
#include "support/test.h"

#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "llama_api.h"
#include "system/file.h"
#include "train/decode.h"
#include "train/model_file.h"
#include "train/net.h"
#include "train/vocab.h"

#define DIR       MT_BINARY_DIR "/lab-files"
#define PATH      DIR "/model.gguf"
#define BOOTSTRAP MT_SOURCE_DIR "/lab/bootstrap.gguf"

enum { FILE_MAX = 64 << 20, TOKENS_MAX = 512 };

static const struct mt_model_about about = {
    MT_STR_INIT("lab test"), MT_STR_INIT("a model of a test"), MT_STR_INIT("Apache-2.0")};

/* Grouped queries, heads that together are wider than the stream. */
static const struct mt_shape wide = {.vocab_n = MT_VOCAB_N,
                                     .context_n = 256,
                                     .layers_n = 3,
                                     .width = 64,
                                     .ff_width = 160,
                                     .heads_n = 6,
                                     .kv_heads_n = 2,
                                     .head_width = 16,
                                     .rope_base = 5000.0F,
                                     .norm_eps = 1e-5F};

static struct mt_shape tied_shape(void)
{
    struct mt_shape shape = wide;

    shape.is_tied = true;
    shape.kv_heads_n = 6;
    shape.heads_n = 6;
    return shape;
}

static const struct mt_llama *ll;

static int open_all(void **state)
{
    (void)state;
    struct mt_err err;
    if (mt_llama_get(NULL, &ll, &err) != MT_OK)
        fail_msg("%s", err.text);
    return mt_dir_make(DIR, NULL) == MT_OK ? 0 : 1;
}

/* --- models --- */

struct model {
    struct mt_shape shape;
    float *params;
};

static void model_fini(struct model *model)
{
    mt_free(model->params);
}

/* As spread as a trained model's. */
static struct model random_model(const struct mt_shape *shape, uint64_t seed)
{
    struct model model = {.shape = *shape};
    uint64_t n = mt_shape_params_n(shape);

    model.params = mt_alloc(n, sizeof *model.params);
    assert_non_null(model.params);
    mt_shape_init(shape, seed, model.params);
    for (uint64_t i = 0; i < n; i++)
        model.params[i] *= model.params[i] == 1.0F ? 1.0F + (float)(i % 5) * 0.1F : 6.0F;
    return model;
}

static struct model read_model(const char *path)
{
    struct model model;
    struct mt_err err;

    if (mt_model_read(path, &model.shape, &model.params, NULL, &err) != MT_OK)
        fail_msg("%s", err.text);
    return model;
}

static void write_model(const struct model *model, enum mt_model_type type)
{
    struct mt_err err;

    if (mt_model_write(PATH, &model->shape, model->params, type, &about, NULL, &err) != MT_OK)
        fail_msg("%s", err.text);
}

/* --- logits --- */

static struct llama_model *load(const char *path)
{
    struct llama_model_params params = ll->llama_model_default_params();

    params.n_gpu_layers = 0;
    struct llama_model *model = ll->llama_model_load_from_file(path, params);
    if (model == NULL)
        fail_msg("llama.cpp: %s", mt_llama_complaint());
    return model;
}

static void llama_logits(struct llama_model *model, const int32_t *tokens, int32_t n,
                         uint32_t vocab_n, float *out)
{
    struct llama_context_params params = ll->llama_context_default_params();

    params.n_ctx = params.n_batch = params.n_ubatch = TOKENS_MAX;
    params.n_threads = params.n_threads_batch = 1;
    params.type_k = params.type_v = GGML_TYPE_F32;
    params.flash_attn_type = LLAMA_FLASH_ATTN_TYPE_DISABLED;
    struct llama_context *context = ll->llama_init_from_model(model, params);
    struct llama_batch batch = ll->llama_batch_init(n, 0, 1);
    assert_non_null(context);
    batch.n_tokens = n;
    for (int32_t i = 0; i < n; i++) {
        batch.token[i] = tokens[i];
        batch.pos[i] = i;
        batch.n_seq_id[i] = 1;
        batch.seq_id[i][0] = 0;
        batch.logits[i] = 1;
    }
    assert_int_equal(ll->llama_decode(context, batch), 0);
    for (int32_t i = 0; i < n; i++)
        memcpy(out + (size_t)i * vocab_n, ll->llama_get_logits_ith(context, i),
               vocab_n * sizeof *out);
    ll->llama_batch_free(batch);
    ll->llama_free(context);
}

static void net_logits(const struct model *model, const int32_t *tokens, uint32_t n, float *out)
{
    struct mt_net *net = NULL;
    struct mt_net_sum sum;
    uint32_t starts[] = {0, n};
    struct mt_batch batch = {.tokens = tokens,
                             .targets = tokens, /* all positions are wanted */
                             .starts = starts,
                             .sequences_n = 1,
                             .tokens_n = n};

    assert_int_equal(mt_net_new(&model->shape, n, &net, NULL), MT_OK);
    mt_net_forward(net, model->params, &batch, out, NULL, &sum);
    mt_net_free(net);
}

static uint32_t likeliest(const float *logits, uint32_t n)
{
    uint32_t best = 0;

    for (uint32_t i = 1; i < n; i++)
        if (logits[i] > logits[best])
            best = i;
    return best;
}

struct apart {
    double most;       /* difference of two logits */
    unsigned agree, n; /* positions with the same likeliest token */
};

static void compare(const struct model *model, struct llama_model *other, const int32_t *tokens,
                    uint32_t n, struct apart *apart)
{
    uint32_t vocab_n = model->shape.vocab_n;
    float *ours = mt_alloc((size_t)n * vocab_n, sizeof *ours);
    float *theirs = mt_alloc((size_t)n * vocab_n, sizeof *theirs);

    assert_true(ours != NULL && theirs != NULL);
    net_logits(model, tokens, n, ours);
    llama_logits(other, tokens, (int32_t)n, vocab_n, theirs);
    for (size_t i = 0; i < (size_t)n * vocab_n; i++)
        apart->most = fmax(apart->most, fabs((double)ours[i] - (double)theirs[i]));
    for (uint32_t i = 0; i < n; i++)
        apart->agree += likeliest(ours + (size_t)i * vocab_n, vocab_n) ==
                        likeliest(theirs + (size_t)i * vocab_n, vocab_n);
    apart->n += n;
    mt_free(ours);
    mt_free(theirs);
}

/* Conversations of the kind that lab/bootstrap.gguf was made for, with the right answers. */
static uint32_t conversation(unsigned nth, int32_t *tokens)
{
    static const char *const words[][2] = {{"motet", "MOTET"}, {"hello", "HELLO"},
                                           {"choir", "CHOIR"}, {"abc", "ABC"},
                                           {"seven", "SEVEN"}, {"tenor", "TENOR"}};
    const char *const *word = words[nth / 4 % MT_ARRAY_LEN(words)];
    unsigned a = 11 + nth * 7 % 80;
    unsigned b = 10 + nth * 5 % 70;
    char ask[64];
    char answer[64];

    switch (nth % 4) {
    case 0:
        (void)snprintf(ask, sizeof ask, "upper %s", word[0]);
        (void)snprintf(answer, sizeof answer, "%s", word[1]);
        break;
    case 1:
        (void)snprintf(ask, sizeof ask, "copy %s", word[0]);
        (void)snprintf(answer, sizeof answer, "%s", word[0]);
        break;
    case 2:
        (void)snprintf(ask, sizeof ask, "max 4 %u 9", a);
        (void)snprintf(answer, sizeof answer, "%u", a);
        break;
    default:
        (void)snprintf(ask, sizeof ask, "%u+%u", a, b);
        (void)snprintf(answer, sizeof answer, "%u", a + b);
        break;
    }
    uint32_t n = mt_vocab_prompt(mt_str_of(ask), tokens, TOKENS_MAX);
    return n + mt_vocab_answer(mt_str_of(answer), tokens + n, TOKENS_MAX - n);
}

static struct apart compare_all(const struct model *model, unsigned conversations_n)
{
    struct llama_model *other = load(PATH);
    struct apart apart = {0};

    for (unsigned i = 0; i < conversations_n; i++) {
        int32_t tokens[TOKENS_MAX];
        uint32_t n = conversation(i, tokens);
        compare(model, other, tokens, n, &apart);
    }
    ll->llama_model_free(other);
    return apart;
}

/* What llama.cpp computes from a file is what we compute from the same file. It rounds what
 * meets f16 weights to f16, and what meets q8_0 weights to q8_0; we do not. */
static void check_against_llama(const char *row, const struct model *model, double f16_most,
                                double q8_share)
{
    const struct {
        enum mt_model_type type;
        const char *name;
        double most;
    } types[] = {{MT_MODEL_F32, "f32", 1e-3},
                 {MT_MODEL_F16, "f16", f16_most},
                 {MT_MODEL_Q8_0, "q8_0", INFINITY}};

    for (size_t i = 0; i < MT_ARRAY_LEN(types); i++) {
        write_model(model, types[i].type);
        MT_CLEANUP(model_fini) struct model again = read_model(PATH);
        struct apart apart = compare_all(&again, 48);
        double share = (double)apart.agree / apart.n;
        print_message("%s as %s: logits at most %.2g apart, %u of %u likeliest tokens equal\n",
                      row, types[i].name, apart.most, apart.agree, apart.n);
        mt_check_row(types[i].name, apart.most <= types[i].most);
        mt_check_row(types[i].name,
                     share >= (types[i].type == MT_MODEL_Q8_0 ? q8_share : 0.99));
    }
}

static void llama_computes_the_same_of_random_weights(void **state)
{
    struct mt_shape tied = tied_shape();
    MT_CLEANUP(model_fini) struct model model = random_model(&wide, 3);
    MT_CLEANUP(model_fini) struct model tied_model = random_model(&tied, 4);
    (void)state;

    check_against_llama("untied", &model, 2e-2, 0.94);
    check_against_llama("tied", &tied_model, 2e-2, 0.94);
}

static void llama_computes_the_same_of_trained_weights(void **state)
{
    MT_CLEANUP(model_fini) struct model model = read_model(BOOTSTRAP);
    (void)state;

    assert_int_equal(model.shape.vocab_n, MT_VOCAB_PLAIN_N);
    assert_int_equal(model.shape.head_width, 32);
    assert_int_equal(mt_shape_params_n(&model.shape), 382560);
    check_against_llama("bootstrap", &model, 2.5e-2, 0.99);
}

static void the_bootstrap_model_answers_here_as_its_card_says(void **state)
{
    static const char *const rows[][2] = {{"upper motet", "MOTET"},
                                          {"copy hello", "hello"},
                                          {"max 4 17 9", "17"},
                                          {"45+38", "83"}};
    MT_CLEANUP(model_fini) struct model model = read_model(BOOTSTRAP);
    struct mt_decode_opts opts = {.new_tokens_max = 16, .end_token = MT_TOKEN_IM_END};
    struct mt_decode_item items[MT_ARRAY_LEN(rows)] = {{0}};
    int32_t prompts[MT_ARRAY_LEN(rows)][64];
    int32_t tokens[MT_ARRAY_LEN(rows)][64];
    struct mt_decoder *decoder = NULL;
    (void)state;

    for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
        items[i].prompt = prompts[i];
        items[i].prompt_n = mt_vocab_prompt(mt_str_of(rows[i][0]), prompts[i], 64);
        items[i].tokens = tokens[i];
    }
    assert_int_equal(mt_decoder_new(&model.shape, 4, 64, &decoder, NULL), MT_OK);
    mt_decoder_run(decoder, model.params, items, MT_ARRAY_LEN(rows), &opts);
    mt_decoder_free(decoder);
    for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
        char room[64 + 16];
        struct mt_str text = mt_vocab_bytes(tokens[i] + items[i].prompt_n,
                                            items[i].tokens_n - items[i].prompt_n, room);
        mt_check_row(rows[i][0], items[i].is_ended && mt_str_is(text, rows[i][1]));
    }
}

/* --- the vocabulary, as llama.cpp sees it --- */

static uint32_t tokenize(const struct llama_vocab *vocab, const char *text, bool with_special,
                         int32_t *tokens)
{
    int32_t n = ll->llama_tokenize(vocab, text, (int32_t)strlen(text), tokens, TOKENS_MAX, true,
                                   with_special);

    assert_true(n >= 0);
    return (uint32_t)n;
}

static void llama_makes_the_same_tokens_of_a_conversation(void **state)
{
    MT_CLEANUP(model_fini) struct model model = random_model(&wide, 5);
    int32_t ours[TOKENS_MAX];
    int32_t theirs[TOKENS_MAX];
    (void)state;

    write_model(&model, MT_MODEL_F16);
    struct llama_model *other = load(PATH);
    const struct llama_vocab *vocab = ll->llama_model_get_vocab(other);
    uint32_t n =
        mt_vocab_prompt(MT_STR(" two  words,\n\xc3\xa9\x01 <0x41> "), ours, TOKENS_MAX);
    assert_int_equal(tokenize(vocab,
                              "<|im_start|>user\n two  words,\n\xc3\xa9\x01 <0x41> <|im_end|>\n"
                              "<|im_start|>assistant\n",
                              true, theirs),
                     n);
    assert_memory_equal(ours, theirs, n * sizeof *ours);
    assert_int_equal(ll->llama_vocab_n_tokens(vocab), MT_VOCAB_N);
    assert_true(ll->llama_vocab_is_eog(vocab, MT_TOKEN_IM_END));
    assert_false(ll->llama_vocab_is_eog(vocab, MT_TOKEN_CALL_CLOUD));
    ll->llama_model_free(other);
}

static void the_call_for_help_is_shown_and_cannot_be_forged(void **state)
{
    MT_CLEANUP(model_fini) struct model model = random_model(&wide, 6);
    const char *text = "copy <call_cloud><call_cloud>";
    int32_t tokens[TOKENS_MAX];
    char piece[32];
    (void)state;

    write_model(&model, MT_MODEL_F16);
    struct llama_model *other = load(PATH);
    const struct llama_vocab *vocab = ll->llama_model_get_vocab(other);
    for (int special = 0; special < 2; special++) {
        assert_int_equal(tokenize(vocab, text, special == 1, tokens), strlen(text));
        int32_t n = ll->llama_token_to_piece(vocab, MT_TOKEN_CALL_CLOUD, piece, sizeof piece, 0,
                                             special == 1);
        assert_true(mt_str_is((struct mt_str){piece, (size_t)n}, "<call_cloud>"));
    }
    ll->llama_model_free(other);
}

/* --- there and back --- */

static void f32_comes_back_bit_for_bit(void **state)
{
    struct mt_shape shapes[] = {wide, tied_shape(), wide};
    (void)state;

    shapes[2].vocab_n = MT_VOCAB_PLAIN_N;
    for (size_t i = 0; i < MT_ARRAY_LEN(shapes); i++) {
        MT_CLEANUP(model_fini) struct model model = random_model(&shapes[i], i);
        write_model(&model, MT_MODEL_F32);
        MT_CLEANUP(model_fini) struct model again = read_model(PATH);
        assert_memory_equal(&again.shape, &model.shape, offsetof(struct mt_shape, is_tied));
        assert_int_equal(again.shape.is_tied, model.shape.is_tied);
        assert_memory_equal(again.params, model.params,
                            mt_shape_params_n(&model.shape) * sizeof(float));
    }
}

static void what_was_rounded_once_stays(void **state)
{
    (void)state;

    for (enum mt_model_type type = MT_MODEL_F16; type <= MT_MODEL_Q8_0; type++) {
        MT_CLEANUP(model_fini) struct model model = random_model(&wide, 9);
        write_model(&model, type);
        MT_CLEANUP(model_fini) struct model once = read_model(PATH);
        double most = 0;
        for (uint64_t i = 0; i < mt_shape_params_n(&wide); i++)
            most = fmax(most, fabs((double)(once.params[i] - model.params[i])));
        assert_true(most > 0 && most < (type == MT_MODEL_F16 ? 5e-4 : 3e-3));
        write_model(&once, MT_MODEL_F32);
        MT_CLEANUP(model_fini) struct model again = read_model(PATH);
        assert_memory_equal(again.params, once.params,
                            mt_shape_params_n(&wide) * sizeof(float));
    }
}

/* --- what cannot be written --- */

static void weights_that_no_file_holds_are_refused(void **state)
{
    static const struct {
        const char *row;
        float value;
        enum mt_model_type type;
        const char *text;
    } rows[] = {
        {"nan", NAN, MT_MODEL_F32, "tensor 'token_embd.weight': value 70 is nan"},
        {"inf", INFINITY, MT_MODEL_Q8_0, "tensor 'token_embd.weight': value 70 is inf"},
        {"f16", 1e5F, MT_MODEL_F16, "value 70 is 100000, which f16 cannot hold"},
    };
    struct mt_err err;
    (void)state;

    for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
        MT_CLEANUP(model_fini) struct model model = random_model(&wide, 1);
        model.params[70] = rows[i].value;
        mt_rc rc = mt_model_write(PATH, &wide, model.params, rows[i].type, &about, NULL, &err);
        mt_check_row(rows[i].row, rc == MT_E_INVALID);
        if (strstr(err.text, rows[i].text) == NULL)
            fail_msg("%s: %s", rows[i].row, err.text);
    }
}

static void shapes_that_no_file_holds_are_refused(void **state)
{
    MT_CLEANUP(model_fini) struct model model = random_model(&wide, 1);
    struct mt_shape shape = wide;
    struct mt_err err;
    (void)state;

    shape.ff_width = 150;
    assert_int_equal(
        mt_model_write(PATH, &shape, model.params, MT_MODEL_Q8_0, &about, NULL, &err),
        MT_E_INVALID);
    assert_non_null(strstr(err.text, "tensor 'blk.0.ffn_down.weight': 150 columns, but q8_0 "
                                     "wants a multiple of 32"));
    shape.vocab_n = 300;
    assert_int_equal(
        mt_model_write(PATH, &shape, model.params, MT_MODEL_F32, &about, NULL, &err),
        MT_E_INVALID);
    assert_string_equal(err.text, "vocabulary of 300 tokens, expected 262 or 261");
    assert_int_equal(mt_model_write(DIR "/none/model.gguf", &wide, model.params, MT_MODEL_F32,
                                    &about, NULL, &err),
                     MT_E_NOTFOUND);
}

static void a_full_disk_leaves_the_old_file_whole(void **state)
{
    MT_CLEANUP(model_fini) struct model model = random_model(&wide, 1);
    MT_CLEANUP(mt_buf_fini) struct mt_buf before = MT_BUF_INIT(FILE_MAX);
    MT_CLEANUP(mt_buf_fini) struct mt_buf after = MT_BUF_INIT(FILE_MAX);
    struct rlimit old;
    struct mt_err err;
    (void)state;

    write_model(&model, MT_MODEL_F32);
    assert_int_equal(mt_file_read(PATH, FILE_MAX, &before, NULL), MT_OK);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    struct rlimit small = {.rlim_cur = before.len / 2, .rlim_max = old.rlim_max};
    void (*old_handler)(int) = signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    model.params[0] += 1;
    mt_rc rc = mt_model_write(PATH, &wide, model.params, MT_MODEL_F32, &about, NULL, &err);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    (void)signal(SIGXFSZ, old_handler);
    assert_true(rc < 0);
    assert_non_null(strstr(err.text, "model file '" PATH "': write '"));
    assert_int_equal(mt_file_read(PATH, FILE_MAX, &after, NULL), MT_OK);
    assert_true(mt_str_eq(mt_buf_str(&before), mt_buf_str(&after)));
}

/* --- what cannot be read --- */

struct broken {
    const char *row;
    const char *find; /* the last place of these bytes */
    size_t skip;      /* from their beginning */
    struct mt_str put;
    mt_rc rc;
    const char *text;
};

static size_t find_last(struct mt_str all, struct mt_str wanted)
{
    size_t last = all.len;

    for (size_t at = 0; at < all.len; at++) {
        at += mt_str_find(mt_str_sub(all, at, all.len), wanted);
        if (at < all.len)
            last = at;
    }
    assert_true(last < all.len);
    return last;
}

static void broken_files_are_named(void **state)
{
    static const struct broken rows[] = {
        {"magic", "GGUF", 0, MT_STR_INIT("GGUX"), MT_E_CORRUPT, "not a GGUF file"},
        {"architecture", "general.architecture", 32, MT_STR_INIT("qwen2"), MT_E_INVALID,
         "'general.architecture' is 'qwen2', expected 'llama'"},
        {"tokenizer", "tokenizer.ggml.model", 32, MT_STR_INIT("plamo"), MT_E_INVALID,
         "'tokenizer.ggml.model' is 'plamo', expected 'llama'"},
        {"token", "<0x41>", 0, MT_STR_INIT("<0x4z>"), MT_E_INVALID,
         "another vocabulary: token 68 is '<0x4z>', expected '<0x41>'"},
        {"tokens", "llama.vocab_size", 20, MT_STR_INIT("\x07\x01"), MT_E_INVALID,
         "'llama.vocab_size' is 263, but there are 262 tokens"},
        {"key", "llama.block_count", 0, MT_STR_INIT("llama.block_xxxxx"), MT_E_INVALID,
         "'llama.block_count' is missing or no 32-bit number"},
        {"kind", "llama.context_length", 20, MT_STR_INIT("\x06"), MT_E_INVALID,
         "'llama.context_length' is missing or no 32-bit number"},
        {"heads", "llama.attention.head_count_kv", 33, MT_STR_INIT("\x04"), MT_E_INVALID,
         "kv_heads_n: expected a divisor of heads_n 6, found 4"},
        {"rotation", "llama.rope.dimension_count", 30, MT_STR_INIT("\x08"), MT_E_INVALID,
         "'llama.rope.dimension_count' is 8, expected 16"},
        {"base", "llama.rope.freq_base", 24, MT_STR_INIT("\0\0\x80\x7f"), MT_E_INVALID,
         "rope_base: expected 1 to 1e9, found inf"},
        {"layers", "llama.block_count", 21, MT_STR_INIT("\x04"), MT_E_CORRUPT,
         "tensor 'blk.3.attn_norm.weight' is missing"},
        {"fewer layers", "llama.block_count", 21, MT_STR_INIT("\x02"), MT_E_INVALID,
         "tensor 'blk.2.attn_norm.weight' is no part of this architecture"},
        {"missing", "blk.1.ffn_up.weight", 0, MT_STR_INIT("blk.1.ffn_zp.weight"), MT_E_CORRUPT,
         "tensor 'blk.1.ffn_up.weight' is missing"},
        {"columns", "llama.feed_forward_length", 29, MT_STR_INIT("\xa1"), MT_E_CORRUPT,
         "tensor 'blk.0.ffn_gate.weight' is 64 x 160, expected 64 x 161"},
        {"type", "blk.1.ffn_up.weight", 39, MT_STR_INIT("\x63"), MT_E_CORRUPT, "GGUF header"},
    };
    MT_CLEANUP(model_fini) struct model model = random_model(&wide, 1);
    MT_CLEANUP(mt_buf_fini) struct mt_buf file = MT_BUF_INIT(FILE_MAX);
    (void)state;

    write_model(&model, MT_MODEL_F32);
    assert_int_equal(mt_file_read(PATH, FILE_MAX, &file, NULL), MT_OK);
    for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
        MT_CLEANUP(mt_buf_fini) struct mt_buf broken = MT_BUF_INIT(FILE_MAX);
        struct mt_shape shape = {.width = 77};
        float *params = NULL;
        struct mt_err err;
        mt_buf_add(&broken, mt_buf_str(&file));
        size_t at = find_last(mt_buf_str(&file), mt_str_of(rows[i].find)) + rows[i].skip;
        memcpy(broken.at + at, rows[i].put.at, rows[i].put.len);
        assert_int_equal(mt_file_write(PATH, mt_buf_str(&broken), 0600, NULL), MT_OK);
        mt_rc rc = mt_model_read(PATH, &shape, &params, NULL, &err);
        if (rc == MT_OK || strstr(err.text, rows[i].text) == NULL || rc != rows[i].rc)
            fail_msg("%s: %s: %s", rows[i].row, mt_rc_name(rc), rc < 0 ? err.text : "");
        assert_non_null(strstr(err.text, "model file '" PATH "': "));
        assert_true(params == NULL && shape.width == 77); /* untouched */
    }
}

static void weights_that_are_no_numbers_are_named(void **state)
{
    static const enum mt_model_type types[] = {MT_MODEL_F32, MT_MODEL_F16};
    MT_CLEANUP(model_fini) struct model model = random_model(&wide, 1);
    (void)state;

    for (size_t i = 0; i < MT_ARRAY_LEN(types); i++) {
        MT_CLEANUP(mt_buf_fini) struct mt_buf file = MT_BUF_INIT(FILE_MAX);
        struct mt_shape shape;
        float *params = NULL;
        struct mt_err err;
        write_model(&model, types[i]);
        assert_int_equal(mt_file_read(PATH, FILE_MAX, &file, NULL), MT_OK);
        memset(file.at + file.len - 4, 0xff, 4); /* the last weight of ffn_down */
        assert_int_equal(mt_file_write(PATH, mt_buf_str(&file), 0600, NULL), MT_OK);
        assert_int_equal(mt_model_read(PATH, &shape, &params, NULL, &err), MT_E_CORRUPT);
        assert_non_null(strstr(err.text, "tensor 'blk.2.ffn_down.weight': value 102"));
        assert_null(params);
    }
}

static void a_file_that_is_cut_off_is_refused(void **state)
{
    MT_CLEANUP(model_fini) struct model model = random_model(&wide, 1);
    MT_CLEANUP(mt_buf_fini) struct mt_buf file = MT_BUF_INIT(FILE_MAX);
    (void)state;

    write_model(&model, MT_MODEL_Q8_0);
    assert_int_equal(mt_file_read(PATH, FILE_MAX, &file, NULL), MT_OK);
    for (size_t len = 0; len < file.len; len += len < 300 ? 7 : 1999) {
        struct mt_shape shape;
        float *params = NULL;
        struct mt_err err;
        assert_int_equal(mt_file_write(PATH, mt_str_sub(mt_buf_str(&file), 0, len), 0600, NULL),
                         MT_OK);
        mt_rc rc = mt_model_read(PATH, &shape, &params, NULL, &err);
        if (rc != MT_E_CORRUPT)
            fail_msg("%zu bytes: %s", len, rc < 0 ? err.text : "read");
    }
}

/* Not synced: only for what is read at once. */
static void put_file(struct mt_str bytes)
{
    FILE *file = fopen(PATH, "we");

    assert_non_null(file);
    assert_int_equal(fwrite(bytes.at, 1, bytes.len, file), bytes.len);
    assert_int_equal(fclose(file), 0);
}

/* ggml ends the process over what it does not expect; nothing may reach it that does that. */
static void no_byte_of_the_header_ends_the_process(void **state)
{
    enum { STRIDE = 29, TENSORS_BYTES = 720, TENSORS_STRIDE = 5 };
    static const unsigned char flips[] = {0x01, 0x80};
    struct mt_shape small = wide;
    MT_CLEANUP(mt_buf_fini) struct mt_buf file = MT_BUF_INIT(FILE_MAX);
    unsigned refused_n = 0;
    (void)state;

    small.layers_n = 1;
    small.width = small.ff_width = 32;
    MT_CLEANUP(model_fini) struct model model = random_model(&small, 1);
    write_model(&model, MT_MODEL_Q8_0);
    assert_int_equal(mt_file_read(PATH, FILE_MAX, &file, NULL), MT_OK);
    size_t header = find_last(mt_buf_str(&file), MT_STR("blk.0.ffn_down.weight")) + 60;
    for (size_t at = 0; at < header;
         at += at + TENSORS_BYTES < header ? STRIDE : TENSORS_STRIDE)
        for (size_t i = 0; i < MT_ARRAY_LEN(flips); i++) {
            struct mt_shape shape;
            float *params = NULL;
            file.at[at] = (char)(file.at[at] ^ flips[i]);
            put_file(mt_buf_str(&file));
            refused_n += mt_model_read(PATH, &shape, &params, NULL, NULL) < 0;
            file.at[at] = (char)(file.at[at] ^ flips[i]);
            mt_free(params);
        }
    assert_true(refused_n > header / STRIDE);
}

static void files_that_are_not_there_are_told(void **state)
{
    struct mt_shape shape;
    float *params = NULL;
    struct mt_err err;
    (void)state;

    assert_int_equal(mt_model_read(DIR "/none.gguf", &shape, &params, NULL, &err),
                     MT_E_NOTFOUND);
    assert_non_null(strstr(err.text, "none.gguf"));
    assert_true(mt_model_read(DIR, &shape, &params, NULL, &err) < 0);
}

static void writing_and_reading_survive_any_lack_of_memory(void **state)
{
    struct mt_shape small = wide;
    (void)state;

    small.layers_n = 1;
    MT_CLEANUP(model_fini) struct model model = random_model(&small, 1);
    long live = mt_alloc_live;
    mt_rc rc = MT_E_NOMEM;
    for (long nth = 0; rc != MT_OK; nth++) {
        mt_alloc_fail_after = nth;
        rc = mt_model_write(PATH, &small, model.params, MT_MODEL_F16, &about, NULL, NULL);
        mt_alloc_fail_after = -1;
        assert_true(rc == MT_OK || rc == MT_E_NOMEM);
        assert_int_equal(mt_alloc_live, live);
    }
    rc = MT_E_NOMEM;
    for (long nth = 0; rc != MT_OK; nth++) {
        struct mt_shape shape;
        float *params = NULL;
        mt_alloc_fail_after = nth;
        rc = mt_model_read(PATH, &shape, &params, NULL, NULL);
        mt_alloc_fail_after = -1;
        assert_true(rc == MT_OK || rc == MT_E_NOMEM);
        assert_true((params != NULL) == (rc == MT_OK));
        mt_free(params);
        assert_int_equal(mt_alloc_live, live);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(llama_computes_the_same_of_random_weights),
        cmocka_unit_test(llama_computes_the_same_of_trained_weights),
        cmocka_unit_test(the_bootstrap_model_answers_here_as_its_card_says),
        cmocka_unit_test(llama_makes_the_same_tokens_of_a_conversation),
        cmocka_unit_test(the_call_for_help_is_shown_and_cannot_be_forged),
        cmocka_unit_test(f32_comes_back_bit_for_bit),
        cmocka_unit_test(what_was_rounded_once_stays),
        cmocka_unit_test(weights_that_no_file_holds_are_refused),
        cmocka_unit_test(shapes_that_no_file_holds_are_refused),
        cmocka_unit_test(a_full_disk_leaves_the_old_file_whole),
        cmocka_unit_test(broken_files_are_named),
        cmocka_unit_test(weights_that_are_no_numbers_are_named),
        cmocka_unit_test(a_file_that_is_cut_off_is_refused),
        cmocka_unit_test(no_byte_of_the_header_ends_the_process),
        cmocka_unit_test(files_that_are_not_there_are_told),
        cmocka_unit_test(writing_and_reading_survive_any_lack_of_memory),
    };

    return cmocka_run_group_tests(tests, open_all, NULL);
}
