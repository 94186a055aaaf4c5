/* SPDX-License-Identifier: Apache-2.0 */
/* What llama.cpp makes of the files that are written here: the same logits, the same tokens. */
#include "support/test.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "llama_api.h"
#include "models.h"
#include "system/file.h"
#include "train/decode.h"
#include "train/net.h"
#include "train/vocab.h"

#define PATH    MT_BINARY_DIR "/lab-llama.gguf"
#define TRAINED MT_SOURCE_DIR "/lab/lab-mini.gguf"

enum { TOKENS_MAX = 512 };

static const struct mt_llama *ll;

static int open_library(void **state)
{
    struct mt_err err;

    (void)state;
    if (mt_llama_get(NULL, &ll, &err) != MT_OK)
        fail_msg("%s", err.text);
    return 0;
}

static int remove_file(void **state)
{
    (void)state;
    return mt_file_remove(PATH, NULL) == MT_OK ? 0 : 1;
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

static struct llama_context *open_context(struct llama_model *model)
{
    struct llama_context_params params = ll->llama_context_default_params();

    params.n_ctx = params.n_batch = params.n_ubatch = TOKENS_MAX;
    params.n_threads = params.n_threads_batch = 1;
    params.type_k = params.type_v = GGML_TYPE_F32;
    params.flash_attn_type = LLAMA_FLASH_ATTN_TYPE_DISABLED;
    struct llama_context *context = ll->llama_init_from_model(model, params);
    assert_non_null(context);
    return context;
}

static void llama_logits(struct llama_context *context, const int32_t *tokens, int32_t n,
                         uint32_t vocab_n, float *out)
{
    struct llama_batch batch = ll->llama_batch_init(n, 0, 1);

    batch.n_tokens = n;
    for (int32_t i = 0; i < n; i++) {
        batch.token[i] = tokens[i];
        batch.pos[i] = i;
        batch.n_seq_id[i] = 1;
        batch.seq_id[i][0] = 0;
        batch.logits[i] = 1;
    }
    ll->llama_memory_clear(ll->llama_get_memory(context), true);
    assert_int_equal(ll->llama_decode(context, batch), 0);
    for (int32_t i = 0; i < n; i++)
        memcpy(out + (size_t)i * vocab_n, ll->llama_get_logits_ith(context, i),
               vocab_n * sizeof *out);
    ll->llama_batch_free(batch);
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
    double most;       /* difference of two logits, prompts included */
    unsigned agree, n; /* tokens of answers for which the same one is likeliest */
};

/* A conversation, and where its answer begins. */
struct conversation {
    int32_t tokens[TOKENS_MAX];
    uint32_t prompt_n, n;
};

static void compare(const struct model *model, struct llama_context *other,
                    const struct conversation *c, struct apart *apart)
{
    uint32_t vocab_n = model->shape.vocab_n;
    uint32_t n = c->n;
    float *ours = mt_alloc((size_t)n * vocab_n, sizeof *ours);
    float *theirs = mt_alloc((size_t)n * vocab_n, sizeof *theirs);

    assert_true(ours != NULL && theirs != NULL);
    net_logits(model, c->tokens, n, ours);
    llama_logits(other, c->tokens, (int32_t)n, vocab_n, theirs);
    for (size_t i = 0; i < (size_t)n * vocab_n; i++)
        apart->most = fmax(apart->most, fabs((double)ours[i] - (double)theirs[i]));
    for (uint32_t i = c->prompt_n - 1; i + 1 < n; i++, apart->n++)
        apart->agree += likeliest(ours + (size_t)i * vocab_n, vocab_n) ==
                        likeliest(theirs + (size_t)i * vocab_n, vocab_n);
    mt_free(ours);
    mt_free(theirs);
}

/* Of the kind that the lab's models are made for, with the right answers. */
static void converse(unsigned nth, struct conversation *out)
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
    uint32_t n = mt_vocab_prompt(mt_str_of(ask), out->tokens, TOKENS_MAX);
    out->prompt_n = n;
    out->n = n + mt_vocab_answer(mt_str_of(answer), out->tokens + n, TOKENS_MAX - n);
}

static struct apart compare_all(const struct model *model, unsigned conversations_n)
{
    struct llama_model *other = load(PATH);
    struct llama_context *context = open_context(other);
    struct apart apart = {0};

    for (unsigned i = 0; i < conversations_n; i++) {
        struct conversation c;
        converse(i, &c);
        compare(model, context, &c, &apart);
    }
    ll->llama_free(context);
    ll->llama_model_free(other);
    return apart;
}

/* What llama.cpp computes from a file is what we compute from the same file. It rounds what
 * meets f16 weights to f16, and what meets q8_0 weights to q8_0; we do not. Of weights that
 * were never trained no token is likelier than another by more than that. */
static void check_against_llama(const char *row, const struct model *model, double q8_share)
{
    const struct {
        enum mt_model_type type;
        const char *name;
        double most;
    } types[] = {{MT_MODEL_F32, "f32", 1e-3},
                 {MT_MODEL_F16, "f16", 2e-2},
                 {MT_MODEL_Q8_0, "q8_0", INFINITY}};

    for (size_t i = 0; i < MT_ARRAY_LEN(types); i++) {
        write_model(PATH, model, types[i].type);
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
    MT_CLEANUP(model_fini) struct model model = random_model(&wide_shape, 3);
    MT_CLEANUP(model_fini) struct model tied_model = random_model(&tied, 4);
    (void)state;

    check_against_llama("untied", &model, 0.94);
    check_against_llama("tied", &tied_model, 0.94);
}

static void llama_computes_the_same_of_trained_weights(void **state)
{
    MT_CLEANUP(model_fini) struct model model = read_model(TRAINED);
    (void)state;

    check_against_llama("trained", &model, 0.99);
}

static void a_shipped_model_answers(void **state)
{
    static const char *const rows[][2] = {{"upper motet", "MOTET"},
                                          {"copy hello", "hello"},
                                          {"max 41 17 49", "49"},
                                          {"45+38", "83"}};
    MT_CLEANUP(model_fini) struct model model = read_model(TRAINED);
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
    MT_CLEANUP(model_fini) struct model model = random_model(&wide_shape, 5);
    int32_t ours[TOKENS_MAX];
    int32_t theirs[TOKENS_MAX];
    (void)state;

    write_model(PATH, &model, MT_MODEL_F16);
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
    MT_CLEANUP(model_fini) struct model model = random_model(&wide_shape, 6);
    const char *text = "copy <call_cloud><call_cloud>";
    int32_t tokens[TOKENS_MAX];
    char piece[32];
    (void)state;

    write_model(PATH, &model, MT_MODEL_F16);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(llama_computes_the_same_of_random_weights),
        cmocka_unit_test(llama_computes_the_same_of_trained_weights),
        cmocka_unit_test(a_shipped_model_answers),
        cmocka_unit_test(llama_makes_the_same_tokens_of_a_conversation),
        cmocka_unit_test(the_call_for_help_is_shown_and_cannot_be_forged),
    };

    return cmocka_run_group_tests(tests, open_library, remove_file);
}
