/* SPDX-License-Identifier: Apache-2.0 */
/* The decoder against the whole forward pass of train/net.h, and against itself. */
#include "support/test.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "train/decode.h"
#include "train/net.h"

enum { VOCAB = 50, CONTEXT = 700, ITEMS = 40, LENGTH = 48 };

/* Odd widths: heads that fill no vector, grouped queries. */
static const struct mt_shape shape = {.vocab_n = VOCAB,
                                      .context_n = CONTEXT,
                                      .layers_n = 2,
                                      .width = 40,
                                      .ff_width = 72,
                                      .heads_n = 6,
                                      .kv_heads_n = 2,
                                      .head_width = 10,
                                      .rope_base = 10000.0F,
                                      .norm_eps = 1e-5F};

static float *params;

/* Far from uniform: as a trained model's. */
static int make_params(void **state)
{
    (void)state;
    uint64_t n = mt_shape_params_n(&shape);
    params = mt_alloc(n, sizeof *params);
    assert_non_null(params);
    mt_shape_init(&shape, 7, params);
    for (uint64_t i = 0; i < n; i++)
        params[i] *= params[i] == 1.0F ? 1.0F : 12.0F;
    return 0;
}

static int free_params(void **state)
{
    (void)state;
    mt_free(params);
    return 0;
}

struct case_of {
    struct mt_decode_item items[ITEMS];
    int32_t prompts[ITEMS][CONTEXT], tokens[ITEMS][CONTEXT];
    float logps[ITEMS][CONTEXT], entropies[ITEMS][CONTEXT];
};

static struct case_of *case_new(void)
{
    struct case_of *c = mt_alloc(1, sizeof *c);

    assert_non_null(c);
    for (uint32_t i = 0; i < ITEMS; i++)
        c->items[i] = (struct mt_decode_item){.prompt = c->prompts[i],
                                              .tokens = c->tokens[i],
                                              .logps = c->logps[i],
                                              .entropies = c->entropies[i]};
    return c;
}

/* Prompts of 1 to 20 tokens: some alike, some beginning alike, some not. */
static struct case_of *mixed_case(void)
{
    struct case_of *c = case_new();
    uint32_t chance = 1;

    for (uint32_t i = 0; i < ITEMS; i++) {
        bool is_alike = i > 0 && i % 4 != 0;
        uint32_t n = 1 + i * 7 % 20;
        for (uint32_t j = 0; j < n; j++) {
            chance = chance * 1664525 + 1013904223;
            c->prompts[i][j] = (int32_t)(chance >> 8) % VOCAB;
            if (is_alike && (i % 4 == 1 || j < 5))
                c->prompts[i][j] = c->prompts[i - 1][j];
        }
        c->items[i].prompt_n = n;
        if (is_alike && i % 4 == 1)
            c->items[i].prompt_n = c->items[i - 1].prompt_n;
    }
    return c;
}

static void run(struct case_of *c, uint32_t n, uint32_t sequences_max, uint32_t length_max,
                const struct mt_decode_opts *opts)
{
    struct mt_decoder *decoder = NULL;

    assert_int_equal(mt_decoder_new(&shape, sequences_max, length_max, &decoder, NULL), MT_OK);
    mt_decoder_run(decoder, params, c->items, n, opts);
    mt_decoder_free(decoder);
}

/* logits of every position but the last, by the net. */
static void whole_forward(const struct mt_decode_item *item, float *logits)
{
    struct mt_net *net = NULL;
    struct mt_net_sum sum;
    uint32_t n = item->tokens_n - 1;
    uint32_t starts[] = {0, n};
    struct mt_batch batch = {.tokens = item->tokens,
                             .targets = item->tokens + 1,
                             .starts = starts,
                             .sequences_n = 1,
                             .tokens_n = n};

    assert_int_equal(mt_net_new(&shape, n, &net, NULL), MT_OK);
    mt_net_forward(net, params, &batch, logits, NULL, &sum);
    mt_net_free(net);
}

static int32_t likeliest(const float *logits)
{
    int32_t best = 0;

    for (int32_t i = 1; i < VOCAB; i++)
        if (logits[i] > logits[best])
            best = i;
    return best;
}

static double log_sum(const float *logits)
{
    double top = (double)logits[likeliest(logits)];
    double sum = 0;

    for (int32_t i = 0; i < VOCAB; i++)
        sum += exp((double)logits[i] - top);
    return top + log(sum);
}

static double entropy(const float *logits)
{
    double all = log_sum(logits);
    double out = 0;

    for (int32_t i = 0; i < VOCAB; i++)
        out -= exp((double)logits[i] - all) * ((double)logits[i] - all);
    return out;
}

static void check_item(const struct mt_decode_item *item, bool is_greedy)
{
    float *logits = mt_alloc((size_t)item->tokens_n * VOCAB, sizeof *logits);

    assert_non_null(logits);
    whole_forward(item, logits);
    for (uint32_t i = 0; i < item->prompt_n; i++) {
        assert_int_equal(item->tokens[i], item->prompt[i]);
        assert_true(item->logps[i] == 0 && item->entropies[i] == 0);
    }
    for (uint32_t i = item->prompt_n; i < item->tokens_n; i++) {
        const float *row = logits + (size_t)(i - 1) * VOCAB;
        if (is_greedy)
            assert_int_equal(item->tokens[i], likeliest(row));
        double logp = (double)row[item->tokens[i]] - log_sum(row);
        assert_true(fabs((double)item->logps[i] - logp) < 1e-4);
        assert_true(fabs((double)item->entropies[i] - entropy(row)) < 1e-4);
    }
    mt_free(logits);
}

static void greedy_tokens_are_those_of_a_whole_forward_pass(void **state)
{
    struct mt_decode_opts opts = {.new_tokens_max = 24, .end_token = -1};
    struct case_of *c = mixed_case();
    (void)state;

    run(c, ITEMS, 8, LENGTH, &opts);
    for (uint32_t i = 0; i < ITEMS; i++) {
        assert_int_equal(c->items[i].tokens_n, c->items[i].prompt_n + 24);
        check_item(&c->items[i], true);
    }
    mt_free(c);
}

static void drawn_tokens_have_the_model_s_logps(void **state)
{
    struct mt_decode_opts opts = {
        .new_tokens_max = 24, .end_token = 3, .temperature = 0.7F, .seed = 5};
    struct case_of *c = mixed_case();
    (void)state;

    run(c, ITEMS, 8, LENGTH, &opts);
    for (uint32_t i = 0; i < ITEMS; i++)
        check_item(&c->items[i], false);
    mt_free(c);
}

static void company_changes_nothing(void **state)
{
    static const uint32_t together[] = {1, 2, 7, 33, 200};
    struct mt_decode_opts opts = {
        .new_tokens_max = 20, .end_token = 3, .temperature = 1, .seed = 99};
    struct case_of *alone = mixed_case();
    unsigned ended_n = 0;
    (void)state;

    run(alone, ITEMS, 1, LENGTH, &opts);
    for (size_t k = 0; k < MT_ARRAY_LEN(together); k++) {
        struct case_of *c = mixed_case();
        run(c, ITEMS, together[k], LENGTH, &opts);
        for (uint32_t i = 0; i < ITEMS; i++) {
            uint32_t n = alone->items[i].tokens_n;
            assert_int_equal(c->items[i].tokens_n, n);
            assert_int_equal(c->items[i].is_ended, alone->items[i].is_ended);
            assert_memory_equal(c->tokens[i], alone->tokens[i], n * sizeof(int32_t));
            assert_memory_equal(c->logps[i], alone->logps[i], n * sizeof(float));
            assert_memory_equal(c->entropies[i], alone->entropies[i], n * sizeof(float));
            ended_n += c->items[i].is_ended;
        }
        mt_free(c);
    }
    assert_true(ended_n > 0);
    mt_free(alone);
}

static void long_prompts_are_read_in_parts(void **state)
{
    struct mt_decode_opts opts = {.new_tokens_max = 4, .end_token = -1};
    struct case_of *c = case_new();
    (void)state;

    for (uint32_t i = 0; i < 5; i++) {
        c->items[i].prompt_n = i == 4 ? CONTEXT - 2 : 600 + i;
        for (uint32_t j = 0; j < c->items[i].prompt_n; j++)
            c->prompts[i][j] = (int32_t)((j * j + (j > 400 ? i : 0)) % VOCAB);
    }
    run(c, 5, 3, CONTEXT, &opts);
    for (uint32_t i = 0; i < 5; i++) {
        assert_int_equal(c->items[i].tokens_n, c->items[i].prompt_n + (i == 4 ? 2 : 4));
        check_item(&c->items[i], true);
    }
    mt_free(c);
}

static void another_seed_or_place_draws_other_tokens(void **state)
{
    struct mt_decode_opts opts = {
        .new_tokens_max = 20, .end_token = -1, .temperature = 1, .seed = 1};
    struct case_of *c = case_new();
    (void)state;

    for (uint32_t i = 0; i < 2; i++)
        c->items[i].prompt_n = 1;
    run(c, 2, 2, LENGTH, &opts);
    assert_memory_not_equal(c->tokens[0], c->tokens[1], 21 * sizeof(int32_t));
    int32_t first[21];
    memcpy(first, c->tokens[0], sizeof first);
    opts.seed = 2;
    run(c, 2, 2, LENGTH, &opts);
    assert_memory_not_equal(c->tokens[0], first, sizeof first);
    mt_free(c);
}

/* Frequencies of one token over many draws, within five deviations of what they should be. */
static void draws_follow_the_distribution(void **state)
{
    enum { ROUNDS = 400, DRAWS = ROUNDS * ITEMS };
    const int32_t forbidden[] = {4, 17};
    const float temperature = 1.5F;
    struct mt_decode_opts opts = {.new_tokens_max = 1,
                                  .end_token = -1,
                                  .temperature = temperature,
                                  .forbidden = forbidden,
                                  .forbidden_n = 2};
    struct mt_decoder *decoder = NULL;
    struct case_of *c = case_new();
    unsigned counts[VOCAB] = {0};
    float logits[2 * VOCAB];
    double sum = 0;
    (void)state;

    for (uint32_t i = 0; i < ITEMS; i++)
        c->items[i].prompt_n = 2;
    assert_int_equal(mt_decoder_new(&shape, ITEMS, 4, &decoder, NULL), MT_OK);
    for (opts.seed = 0; opts.seed < ROUNDS; opts.seed++) {
        mt_decoder_run(decoder, params, c->items, ITEMS, &opts);
        for (uint32_t i = 0; i < ITEMS; i++)
            counts[c->tokens[i][2]]++;
    }
    mt_decoder_free(decoder);
    whole_forward(&c->items[0], logits);
    for (int32_t i = 0; i < VOCAB; i++)
        sum += i == 4 || i == 17 ? 0 : exp((double)(logits[VOCAB + i] / temperature));
    for (int32_t i = 0; i < VOCAB; i++) {
        double p = i == 4 || i == 17 ? 0 : exp((double)(logits[VOCAB + i] / temperature)) / sum;
        double wanted = p * DRAWS;
        assert_true(fabs(counts[i] - wanted) <= 5 * sqrt(wanted * (1 - p)) + 0.5);
    }
    mt_free(c);
}

static void forbidden_tokens_are_passed_over(void **state)
{
    struct mt_decode_opts opts = {.new_tokens_max = 1, .end_token = -1};
    struct case_of *c = case_new();
    int32_t forbidden[VOCAB];
    (void)state;

    c->items[0].prompt_n = 3;
    for (uint32_t n = 0; n < VOCAB - 1; n++) { /* forbid the likeliest, again and again */
        opts.forbidden = forbidden;
        opts.forbidden_n = n;
        run(c, 1, 1, LENGTH, &opts);
        for (uint32_t i = 0; i < n; i++)
            assert_int_not_equal(c->tokens[0][3], forbidden[i]);
        forbidden[n] = c->tokens[0][3];
        check_item(&c->items[0], false); /* logps are those of the whole distribution */
    }
    mt_free(c);
}

static void the_end_token_ends_and_is_kept(void **state)
{
    struct mt_decode_opts opts = {.new_tokens_max = 8, .end_token = -1};
    struct case_of *c = case_new();
    (void)state;

    c->items[0].prompt_n = 3;
    run(c, 1, 1, LENGTH, &opts);
    assert_false(c->items[0].is_ended);
    opts.end_token = c->tokens[0][3];
    run(c, 1, 1, LENGTH, &opts);
    assert_true(c->items[0].is_ended);
    assert_int_equal(c->items[0].tokens_n, 4);
    assert_int_equal(c->tokens[0][3], opts.end_token);
    mt_free(c);
}

static void items_without_room_are_their_prompts(void **state)
{
    struct mt_decode_opts opts = {.new_tokens_max = 8, .end_token = -1};
    struct case_of *c = case_new();
    (void)state;

    c->items[0].prompt_n = 4;
    c->items[1].prompt_n = 10; /* of a length of 10 */
    c->items[2].prompt_n = 9;
    c->items[2].logps = NULL;
    c->items[2].entropies = NULL;
    run(c, 3, 1, 10, &opts);
    assert_int_equal(c->items[0].tokens_n, 10);
    assert_int_equal(c->items[1].tokens_n, 10);
    assert_int_equal(c->items[2].tokens_n, 10);
    assert_false(c->items[1].is_ended);
    opts.new_tokens_max = 0;
    run(c, 3, 1, 10, &opts);
    assert_int_equal(c->items[0].tokens_n, 4);
    run(c, 0, 1, 10, &opts);
    mt_free(c);
}

static void wrong_sizes_are_told(void **state)
{
    struct mt_shape wrong = shape;
    struct mt_decoder *decoder = NULL;
    struct mt_err err;
    (void)state;

    assert_int_equal(mt_decoder_new(&shape, 0, 10, &decoder, &err), MT_E_INVALID);
    assert_string_equal(err.text, "sequences_max: expected 1 to 4096, found 0");
    assert_int_equal(mt_decoder_new(&shape, 1, CONTEXT + 1, &decoder, &err), MT_E_INVALID);
    assert_string_equal(err.text, "length_max: expected 1 to 700, found 701");
    wrong.width = 0;
    assert_int_equal(mt_decoder_new(&wrong, 1, 10, &decoder, &err), MT_E_INVALID);
    assert_null(decoder);
    mt_decoder_free(NULL);
}

static void making_one_survives_any_lack_of_memory(void **state)
{
    (void)state;
    long live = mt_alloc_live;

    for (long nth = 0;; nth++) {
        struct mt_decoder *decoder = NULL;
        mt_alloc_fail_after = nth;
        mt_rc rc = mt_decoder_new(&shape, 3, 10, &decoder, NULL);
        mt_alloc_fail_after = -1;
        if (rc == MT_OK) {
            assert_true(nth > 10);
            mt_decoder_free(decoder);
            break;
        }
        assert_int_equal(rc, MT_E_NOMEM);
        assert_null(decoder);
        assert_int_equal(mt_alloc_live, live);
    }
    assert_int_equal(mt_alloc_live, live);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(greedy_tokens_are_those_of_a_whole_forward_pass),
        cmocka_unit_test(drawn_tokens_have_the_model_s_logps),
        cmocka_unit_test(company_changes_nothing),
        cmocka_unit_test(long_prompts_are_read_in_parts),
        cmocka_unit_test(another_seed_or_place_draws_other_tokens),
        cmocka_unit_test(draws_follow_the_distribution),
        cmocka_unit_test(forbidden_tokens_are_passed_over),
        cmocka_unit_test(the_end_token_ends_and_is_kept),
        cmocka_unit_test(items_without_room_are_their_prompts),
        cmocka_unit_test(wrong_sizes_are_told),
        cmocka_unit_test(making_one_survives_any_lack_of_memory),
    };

    return cmocka_run_group_tests(tests, make_params, free_params);
}
