/* SPDX-License-Identifier: Apache-2.0 */
/* What is said of an attempt is what the decoder did. */
#include "support/test.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/attr.h"
#include "train/attempt.h"
#include "train/decode.h"
#include "train/vocab.h"

enum { ITEMS = 130, LENGTH = 256 }; /* more than are tried side by side */

static const struct mt_shape shape = {.vocab_n = MT_VOCAB_N,
                                      .context_n = LENGTH,
                                      .layers_n = 1,
                                      .width = 16,
                                      .ff_width = 32,
                                      .heads_n = 2,
                                      .kv_heads_n = 1,
                                      .head_width = 8,
                                      .rope_base = 10000,
                                      .norm_eps = 1e-5F,
                                      .is_tied = true};

static float *untrained(void)
{
    float *params = mt_alloc(mt_shape_params_n(&shape), sizeof *params);

    assert_non_null(params);
    mt_shape_init(&shape, 9, params);
    return params;
}

/* Of a model that always says the same token, whatever came before: its row is the longest
 * of all that point one way. */
static void let_say(float *params, int32_t token)
{
    const struct mt_plan plan = mt_shape_plan(&shape);

    for (uint64_t i = 0; i < plan.params_n; i++)
        params[i] = 0;
    for (uint32_t t = 0; t < shape.vocab_n; t++) {
        float *row = params + plan.embd + (size_t)t * shape.width;
        row[0] = t == (uint32_t)token ? 2 : 1;
    }
    params[plan.out_norm] = 10;
}

static void doubts_are_of_the_entropies_of_its_tokens(void **state)
{
    (void)state;
    static struct mt_item items[ITEMS];
    static struct mt_attempt attempts[ITEMS];
    MT_CLEANUP(mt_freep) float *params = untrained();
    struct mt_attempter *attempter;
    struct mt_decoder *decoder;

    for (unsigned i = 0; i < ITEMS; i++)
        mt_item_make(MT_SKILL_ADD, MT_EASY, MT_SPLIT_TEST, i, &items[i]);
    assert_int_equal(mt_attempter_new(&shape, params, &attempter, NULL), MT_OK);
    mt_attempter_try(attempter, items, ITEMS, attempts);
    assert_int_equal(mt_decoder_new(&shape, 1, 210, &decoder, NULL), MT_OK);
    for (unsigned i = 0; i < ITEMS; i += 43) {
        int32_t prompt[64], tokens[LENGTH];
        float entropies[LENGTH], sum = 0, most = 0;
        struct mt_decode_item item = {
            .prompt = prompt,
            .prompt_n = mt_vocab_prompt(mt_str_of(items[i].prompt), prompt, 64),
            .tokens = tokens,
            .entropies = entropies};
        const struct mt_decode_opts opts = {.new_tokens_max = 48, .end_token = MT_TOKEN_IM_END};

        mt_decoder_run(decoder, params, &item, 1, &opts);
        for (uint32_t t = item.prompt_n; t < item.tokens_n; t++) {
            sum += entropies[t];
            most = fmaxf(most, entropies[t]);
        }
        assert_true(sum > 0 && attempts[i].doubt[MT_DOUBT_SUM] == sum);
        assert_true(attempts[i].doubt[MT_DOUBT_MOST] == most);
        assert_true(attempts[i].doubt[MT_DOUBT_MEAN] ==
                    sum / (float)(item.tokens_n - item.prompt_n));
        assert_false(attempts[i].is_right);
    }
    mt_decoder_free(decoder);
    mt_attempter_free(attempter);
}

static struct mt_attempt attempt_of_who_says(int32_t token)
{
    MT_CLEANUP(mt_freep) float *params = untrained();
    struct mt_attempter *attempter;
    struct mt_attempt attempt;
    struct mt_item item;

    let_say(params, token);
    mt_item_make(MT_SKILL_COPY, MT_EASY, MT_SPLIT_TEST, 1, &item);
    assert_int_equal(mt_attempter_new(&shape, params, &attempter, NULL), MT_OK);
    mt_attempter_try(attempter, &item, 1, &attempt);
    mt_attempter_free(attempter);
    return attempt;
}

static void asking_is_seen_and_never_right(void **state)
{
    (void)state;
    struct mt_attempt asks = attempt_of_who_says(MT_TOKEN_CALL_CLOUD);
    struct mt_attempt babbles = attempt_of_who_says(MT_TOKEN_BYTE0 + 'x');

    assert_true(asks.has_asked && !asks.is_right);
    assert_true(!babbles.has_asked && !babbles.is_right);
    assert_true(babbles.doubt[MT_DOUBT_MOST] < 0.01F); /* wrong, and sure of it */
}

static void a_model_that_is_too_short_is_refused(void **state)
{
    (void)state;
    struct mt_shape other = shape;
    struct mt_attempter *attempter = NULL;
    struct mt_err err = {0};

    other.context_n = 64;
    assert_int_equal(mt_attempter_new(&other, NULL, &attempter, &err), MT_E_INVALID);
    assert_non_null(strstr(err.text, "context of 64"));
    assert_null(attempter);
}

static void new_survives_any_oom(void **state)
{
    (void)state;

    for (long nth = 0;; nth++) {
        struct mt_attempter *attempter = NULL;

        mt_alloc_fail_after = nth;
        mt_rc rc = mt_attempter_new(&shape, NULL, &attempter, NULL);
        mt_alloc_fail_after = -1;
        if (rc == MT_OK) {
            assert_true(nth > 1);
            mt_attempter_free(attempter);
            break;
        }
        assert_int_equal(rc, MT_E_NOMEM);
        assert_null(attempter);
        assert_int_equal(mt_alloc_live, 0);
    }
    assert_int_equal(mt_alloc_live, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(doubts_are_of_the_entropies_of_its_tokens),
        cmocka_unit_test(asking_is_seen_and_never_right),
        cmocka_unit_test(a_model_that_is_too_short_is_refused),
        cmocka_unit_test(new_survives_any_oom),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
