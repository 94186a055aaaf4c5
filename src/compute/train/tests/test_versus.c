/* SPDX-License-Identifier: Apache-2.0 */
/* Two models on the same items: who is the same gains nothing, and the page says what the
 * figures say. */
#include "support/test.h"

#include <string.h>

#include "base/alloc.h"
#include "base/attr.h"
#include "train/versus.h"
#include "train/vocab.h"

static const struct mt_shape shape = {.vocab_n = MT_VOCAB_N,
                                      .context_n = 256,
                                      .layers_n = 1,
                                      .width = 16,
                                      .ff_width = 32,
                                      .heads_n = 2,
                                      .kv_heads_n = 1,
                                      .head_width = 8,
                                      .rope_base = 10000,
                                      .norm_eps = 1e-5F,
                                      .is_tied = true};

/* Owned: a model that ends at once, or says the same byte for ever. */
static float *sayer(int32_t token)
{
    const struct mt_plan plan = mt_shape_plan(&shape);
    float *params = mt_alloc(plan.params_n, sizeof *params);

    assert_non_null(params);
    for (uint32_t t = 0; t < shape.vocab_n; t++)
        params[plan.embd + (size_t)t * shape.width] = t == (uint32_t)token ? 2 : 1;
    params[plan.out_norm] = 10;
    return params;
}

static struct mt_attempter *attempter_of(const float *params)
{
    struct mt_attempter *attempter = NULL;

    assert_int_equal(mt_attempter_new(&shape, params, &attempter, NULL), MT_OK);
    return attempter;
}

static void every_skill_is_asked_of_both(void **state)
{
    (void)state;
    MT_CLEANUP(mt_freep) float *one = sayer(MT_TOKEN_IM_END);
    MT_CLEANUP(mt_freep) float *other = sayer(MT_TOKEN_BYTE0 + '7');
    MT_CLEANUP(mt_freep) struct mt_versus *versus = mt_alloc(1, sizeof *versus);
    struct mt_attempter *a = attempter_of(one), *b = attempter_of(other);
    uint32_t sum = 0;

    assert_non_null(versus);
    assert_int_equal(mt_versus_ask(versus, a, b, 5, NULL), MT_OK);
    for (int skill = 0; skill < MT_SKILLS_N; skill++) {
        const struct mt_versus_score *score = &versus->scores[skill][MT_MIDDLE];

        assert_int_equal(score->items_n, 5);
        assert_int_equal(score->a_right_n, 0);
        assert_true(score->gain == 0 && score->low == 0 && score->high == 0);
        if (mt_skill_info((enum mt_skill)skill)->steps_n == 1)
            sum += score->items_n;
    }
    assert_int_equal(versus->one_step[MT_MIDDLE].items_n, sum);
    mt_attempter_free(a);
    mt_attempter_free(b);
}

static void the_page_and_the_json_have_the_figures(void **state)
{
    (void)state;
    MT_CLEANUP(mt_freep) struct mt_versus *versus = mt_alloc(1, sizeof *versus);
    MT_CLEANUP(mt_buf_fini) struct mt_buf text = MT_BUF_INIT(65536);

    assert_non_null(versus);
    versus->a = MT_STR("lab-mini");
    versus->b = MT_STR("lab-nano");
    versus->scores[MT_SKILL_ADD][MT_HARD] =
        (struct mt_versus_score){200, 180, 100, 0.4, 0.325, 0.475};
    versus->one_step[MT_EASY] = (struct mt_versus_score){100, 50, 51, -0.01, -0.03, 0.01};
    mt_versus_markdown(versus, &text);
    assert_non_null(
        strstr(mt_buf_cstr(&text),
               "| skill | difficulty | lab-mini | lab-nano | gain (95 %) | items |"));
    assert_non_null(strstr(mt_buf_cstr(&text),
                           "| add | hard | 90.0 % | 50.0 % | +40.0 (+32.5 to +47.5) | 200 |"));
    assert_non_null(
        strstr(mt_buf_cstr(&text),
               "| **one step** | easy | 50.0 % | 51.0 % | -1.0 (-3.0 to +1.0) | 100 |"));
    mt_buf_clear(&text);
    mt_versus_json(versus, &text);
    assert_non_null(strstr(mt_buf_cstr(&text),
                           "{\"skill\":\"add\",\"difficulty\":\"hard\",\"items\":200,"
                           "\"a_right\":180,\"b_right\":100,\"gain\":0.4,"));
}

static void comparing_survives_any_oom(void **state)
{
    (void)state;
    MT_CLEANUP(mt_freep) float *params = sayer(MT_TOKEN_IM_END);
    MT_CLEANUP(mt_freep) struct mt_versus *versus = mt_alloc(1, sizeof *versus);
    struct mt_attempter *a = attempter_of(params);
    long live = mt_alloc_live;

    assert_non_null(versus);
    for (long nth = 0;; nth++) {
        mt_alloc_fail_after = nth;
        mt_rc rc = mt_versus_ask(versus, a, a, 1, NULL);
        mt_alloc_fail_after = -1;
        assert_int_equal(mt_alloc_live, live);
        if (rc == MT_OK) {
            assert_true(nth > 4);
            break;
        }
        assert_int_equal(rc, MT_E_NOMEM);
    }
    mt_attempter_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_skill_is_asked_of_both),
        cmocka_unit_test(the_page_and_the_json_have_the_figures),
        cmocka_unit_test(comparing_survives_any_oom),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
