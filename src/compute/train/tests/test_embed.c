/* SPDX-License-Identifier: Apache-2.0 */
/* Texts as an embedder learns from them, and the vectors of one. */
#include "support/test.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "embed_labels.h"
#include "train/embed.h"
#include "train/net.h"
#include "train/vocab.h"

enum { TOKENS = 1024, TEXTS_N = 7 };

static const struct mt_shape small = {.vocab_n = MT_VOCAB_N,
                                      .context_n = 256,
                                      .layers_n = 2,
                                      .width = 32,
                                      .ff_width = 64,
                                      .heads_n = 2,
                                      .kv_heads_n = 2,
                                      .head_width = 16,
                                      .rope_base = 10000,
                                      .norm_eps = 1e-5F};

static const struct mt_items_part mixture[] = {
    {.skill = MT_SKILL_COPY, .difficulty = MT_EASY, .share = 1},
    {.skill = MT_SKILL_MULTIPLY, .difficulty = MT_EASY, .share = 1},
    {.skill = MT_SKILL_THREE_STEPS, .difficulty = MT_HARD, .share = 1},
    {.skill = MT_SKILL_CANNOT_KNOW, .difficulty = MT_MIDDLE, .share = 1},
};

static struct mt_items *stream(void)
{
    const struct mt_items_opts opts = {
        .parts = mixture, .parts_n = MT_ARRAY_LEN(mixture), .seed = 7, .tokens_max = TOKENS};
    struct mt_items *items = NULL;

    assert_int_equal(mt_items_new(&opts, &items, NULL), MT_OK);
    return items;
}

/* ------------------------------------------------------------------ batches */

static void check_sequence(const struct mt_batch *batch, uint32_t n, const struct mt_item *item)
{
    struct mt_str text = mt_str_of(item->prompt);
    uint32_t at = batch->starts[n];
    float want[MT_VOCAB_N];

    assert_int_equal(batch->starts[n + 1] - at, text.len + 1);
    for (uint32_t i = 0; i < text.len; i++) {
        assert_int_equal(batch->tokens[at + i], MT_TOKEN_BYTE0 + (unsigned char)text.at[i]);
        assert_int_equal(batch->targets[at + i], -1);
    }
    assert_int_equal(batch->tokens[at + text.len], MT_TOKEN_END);
    assert_int_equal(batch->targets[at + text.len], mt_train__embed_skill(item->skill));
    mt_train__embed_label(item, want);
    assert_memory_equal(batch->soft + (size_t)n * MT_VOCAB_N, want, sizeof want);
}

static void batches_are_texts_with_labels_behind_their_end(void **state)
{
    (void)state;
    struct mt_items *items = stream();
    struct mt_items *again = stream();
    struct mt_embed_room *room = NULL;

    assert_int_equal(mt_embed_room_new(TOKENS, &room, NULL), MT_OK);
    for (int round = 0; round < 20; round++) {
        struct mt_batch batch;

        mt_embed_next(room, items, &batch);
        assert_int_equal(batch.starts[0], 0);
        assert_int_equal(batch.starts[batch.sequences_n], batch.tokens_n);
        assert_in_range(batch.tokens_n, TOKENS - MT_ITEM_PROMPT_MAX, TOKENS);
        for (uint32_t i = 0; i < batch.sequences_n; i++) {
            struct mt_item item;

            mt_items_draw(again, &item);
            assert_int_equal(mt_item_split(mt_str_of(item.prompt)), MT_SPLIT_TRAIN);
            check_sequence(&batch, i, &item);
        }
        /* what did not fit was not used up */
        assert_true(mt_items_position(items) == mt_items_position(again));
    }
    mt_embed_room_free(room);
    mt_items_free(items);
    mt_items_free(again);
}

static void every_item_has_labels_that_add_up_and_its_skill_is_the_likeliest(void **state)
{
    (void)state;

    for (uint64_t seed = 0; seed < 50; seed++) {
        for (int cell = 0; cell < MT_SKILLS_N * MT_DIFFICULTIES_N; cell++) {
            struct mt_item item;
            float row[MT_VOCAB_N];
            double sum = 0;
            int32_t best = 0;

            mt_item_make((enum mt_skill)(cell / MT_DIFFICULTIES_N),
                         (enum mt_difficulty)(cell % MT_DIFFICULTIES_N), MT_SPLIT_TRAIN, seed,
                         &item);
            mt_train__embed_label(&item, row);
            for (int32_t i = 0; i < MT_VOCAB_N; i++) {
                sum += (double)row[i];
                best = row[i] > row[best] ? i : best;
            }
            mt_check_row(item.prompt, fabs(sum - 1) < 1e-5);
            mt_check_row(item.prompt, best == mt_train__embed_skill(item.skill));
        }
    }
}

static void labels_tell_what_texts_share_and_what_not(void **state)
{
    (void)state;
    struct mt_item one = {
        .skill = MT_SKILL_ADD, .prompt = "45+38", .answer = "83", .steps_n = 1};
    struct mt_item other = one;
    float rows[2][MT_VOCAB_N];
    unsigned differ_n = 0;

    strcpy(other.prompt, "54+83"); /* the same bytes and kinds in another order */
    strcpy(other.answer, "137");
    mt_train__embed_label(&one, rows[0]);
    mt_train__embed_label(&other, rows[1]);
    for (size_t i = 0; i < MT_VOCAB_N; i++)
        differ_n += rows[0][i] != rows[1][i];
    assert_int_equal(differ_n, 2); /* the answer's length, there and here */
}

static void a_text_that_is_too_long_is_cut_as_the_node_cuts_it(void **state)
{
    (void)state;
    int32_t tokens[4];

    assert_int_equal(mt_embed_tokens(MT_STR(""), tokens, 4), 1);
    assert_int_equal(tokens[0], MT_TOKEN_END);
    assert_int_equal(mt_embed_tokens(MT_STR("abc"), tokens, 4), 4);
    assert_int_equal(tokens[3], MT_TOKEN_END);
    assert_int_equal(mt_embed_tokens(MT_STR("abcd"), tokens, 4), 4);
    assert_int_equal(tokens[3], MT_TOKEN_BYTE0 + 'd');
}

/* ------------------------------------------------------------------ vectors */

static float *params_of(const struct mt_shape *shape)
{
    float *params = mt_alloc((size_t)mt_shape_params_n(shape), sizeof *params);

    assert_non_null(params);
    mt_shape_init(shape, 3, params);
    for (uint64_t i = 0; i < mt_shape_params_n(shape); i++)
        params[i] *= params[i] == 1.0F ? 1.0F + (float)(i % 5) * 0.1F : 6.0F;
    return params;
}

static const struct mt_str texts[TEXTS_N] = {
    MT_STR_INIT("copy motet"), MT_STR_INIT("45+38"),
    MT_STR_INIT(""),           MT_STR_INIT("bob=31 cid=xyz bob? then it+38 then it*7"),
    MT_STR_INIT("6*37"),       MT_STR_INIT("\xc3\xa9 \n"),
    MT_STR_INIT("sort motet")};

static void the_output_is_linear_in_what_the_final_norm_leaves(void **state)
{
    (void)state;
    float *params = params_of(&small);
    struct mt_plan plan = mt_shape_plan(&small);
    struct mt_items *items = stream();
    struct mt_embed_room *room = NULL;
    struct mt_net *net = NULL;
    struct mt_batch batch;
    struct mt_net_sum sum;

    assert_int_equal(mt_embed_room_new(TOKENS, &room, NULL), MT_OK);
    assert_int_equal(mt_net_new(&small, TOKENS, &net, NULL), MT_OK);
    mt_embed_next(room, items, &batch);
    float *logits = mt_alloc((size_t)batch.sequences_n * MT_VOCAB_N, sizeof *logits);
    float *vectors = mt_alloc((size_t)batch.sequences_n * small.width, sizeof *vectors);
    mt_net_forward(net, params, &batch, logits, NULL, &sum);
    mt_net_embed(net, params, &batch, vectors);
    for (size_t i = 0; i < (size_t)batch.sequences_n * MT_VOCAB_N; i++) {
        const float *vector = vectors + i / MT_VOCAB_N * small.width;
        const float *weights = params + plan.out + i % MT_VOCAB_N * small.width;
        double dot = 0;

        for (uint32_t j = 0; j < small.width; j++)
            dot += (double)vector[j] * (double)weights[j];
        assert_true(fabs(dot - (double)logits[i]) < 1e-4 * (1 + fabs(dot)));
    }
    mt_free(logits);
    mt_free(vectors);
    mt_net_free(net);
    mt_embed_room_free(room);
    mt_items_free(items);
    mt_free(params);
}

static void vectors_have_length_one_whatever_stands_beside_them(void **state)
{
    (void)state;
    float *params = params_of(&small);
    struct mt_embedder *embedder = NULL;
    float together[TEXTS_N][32];
    float alone[32];

    assert_int_equal(mt_embedder_new(&small, params, &embedder, NULL), MT_OK);
    mt_embedder_run(embedder, texts, TEXTS_N, together[0]);
    for (size_t i = 0; i < TEXTS_N; i++) {
        double squares = 0;
        double apart = 0;

        mt_embedder_run(embedder, &texts[i], 1, alone);
        for (size_t j = 0; j < 32; j++) {
            squares += (double)alone[j] * (double)alone[j];
            apart = fmax(apart, fabs((double)alone[j] - (double)together[i][j]));
        }
        assert_true(fabs(squares - 1) < 1e-5 && apart < 1e-5);
    }
    mt_embedder_free(embedder);
    mt_free(params);
}

static void more_texts_than_fit_a_call_come_in_order(void **state)
{
    (void)state;
    enum { MANY = 400 };
    float *params = params_of(&small);
    struct mt_embedder *embedder = NULL;
    struct mt_str many[MANY];
    float first[TEXTS_N][32];
    float *vectors = mt_alloc((size_t)MANY * 32, sizeof *vectors);

    for (size_t i = 0; i < MANY; i++)
        many[i] = texts[i % TEXTS_N];
    assert_int_equal(mt_embedder_new(&small, params, &embedder, NULL), MT_OK);
    mt_embedder_run(embedder, texts, TEXTS_N, first[0]);
    mt_embedder_run(embedder, many, MANY, vectors);
    for (size_t i = 0; i < (size_t)MANY * 32; i++)
        assert_true(fabsf(vectors[i] - first[i / 32 % TEXTS_N][i % 32]) < 1e-5F);
    mt_embedder_free(embedder);
    mt_free(vectors);
    mt_free(params);
}

static void another_vocabulary_is_refused(void **state)
{
    (void)state;
    struct mt_shape other = small;
    struct mt_embedder *embedder = NULL;
    struct mt_err err = {0};

    other.vocab_n = 300;
    assert_int_equal(mt_embedder_new(&other, NULL, &embedder, &err), MT_E_INVALID);
    assert_string_equal(err.text, "model of 300 tokens, expected 264");
}

static mt_rc make_both(const float *params, struct mt_err *err)
{
    MT_CLEANUP(mt_embedder_freep) struct mt_embedder *embedder = NULL;
    struct mt_embed_room *room = NULL;

    MT_TRY(mt_embedder_new(&small, params, &embedder, err));
    MT_TRY(mt_embed_room_new(TOKENS, &room, err));
    mt_embed_room_free(room);
    return MT_OK;
}

static void making_them_survives_any_oom(void **state)
{
    (void)state;
    float *params = params_of(&small);
    long live = mt_alloc_live;

    for (long nth = 0;; nth++) {
        struct mt_err err = {0};

        mt_alloc_fail_after = nth;
        mt_rc rc = make_both(params, &err);
        mt_alloc_fail_after = -1;
        assert_int_equal(mt_alloc_live, live);
        if (rc == MT_OK) {
            assert_true(nth > 8);
            break;
        }
        assert_int_equal(rc, MT_E_NOMEM);
    }
    mt_free(params);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(batches_are_texts_with_labels_behind_their_end),
        cmocka_unit_test(every_item_has_labels_that_add_up_and_its_skill_is_the_likeliest),
        cmocka_unit_test(labels_tell_what_texts_share_and_what_not),
        cmocka_unit_test(a_text_that_is_too_long_is_cut_as_the_node_cuts_it),
        cmocka_unit_test(the_output_is_linear_in_what_the_final_norm_leaves),
        cmocka_unit_test(vectors_have_length_one_whatever_stands_beside_them),
        cmocka_unit_test(more_texts_than_fit_a_call_come_in_order),
        cmocka_unit_test(another_vocabulary_is_refused),
        cmocka_unit_test(making_them_survives_any_oom),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
