/* SPDX-License-Identifier: Apache-2.0 */
#include "support/test.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "train/items.h"
#include "train/vocab.h"

enum { TOKENS = 1024 };

static const struct mt_items_part mixture[] = {
    {.skill = MT_SKILL_ADD, .difficulty = MT_MIDDLE, .share = 3},
    {.skill = MT_SKILL_REVERSE, .difficulty = MT_EASY, .share = 1},
    {.skill = MT_SKILL_THREE_STEPS, .difficulty = MT_HARD, .share = 1},
};

static const struct mt_items_opts options = {.parts = mixture,
                                             .parts_n = MT_ARRAY_LEN(mixture),
                                             .split = MT_SPLIT_TRAIN,
                                             .seed = 7,
                                             .tokens_max = TOKENS};

static struct mt_items *stream(const struct mt_items_opts *opts)
{
    struct mt_items *items = NULL;

    assert_int_equal(mt_items_new(opts, &items, NULL), MT_OK);
    return items;
}

/* The sequence is this prompt and answer as a chat, and only the answer and the end count. */
static void check_sequence(const struct mt_batch *batch, uint32_t sequence,
                           const struct mt_item *item)
{
    int32_t want[TOKENS];
    uint32_t prompt_n = mt_vocab_prompt(mt_str_of(item->prompt), want, TOKENS);
    uint32_t n =
        prompt_n + mt_vocab_answer(mt_str_of(item->answer), want + prompt_n, TOKENS - prompt_n);
    uint32_t start = batch->starts[sequence];

    assert_int_equal(batch->starts[sequence + 1] - start, n - 1);
    assert_int_equal(want[n - 1], MT_TOKEN_IM_END);
    for (uint32_t i = 0; i + 1 < n; i++) {
        assert_int_equal(batch->tokens[start + i], want[i]);
        assert_int_equal(batch->targets[start + i], i + 1 < prompt_n ? -1 : want[i + 1]);
    }
}

static void batches_are_chats_with_targets_on_the_answer(void **state)
{
    (void)state;
    struct mt_items *items = stream(&options);
    struct mt_items *again = stream(&options);

    for (int round = 0; round < 20; round++) {
        struct mt_batch batch;
        mt_items_next(items, &batch);
        assert_int_equal(batch.starts[0], 0);
        assert_int_equal(batch.starts[batch.sequences_n], batch.tokens_n);
        assert_in_range(batch.tokens_n, TOKENS - 128, TOKENS);
        assert_null(batch.weights);
        assert_null(batch.soft);
        for (uint32_t i = 0; i < batch.sequences_n; i++) {
            struct mt_item item;
            mt_items_draw(again, &item);
            assert_int_equal(mt_item_split(mt_str_of(item.prompt)), MT_SPLIT_TRAIN);
            check_sequence(&batch, i, &item);
        }
        assert_true(mt_items_position(items) == mt_items_position(again));
    }
    mt_items_free(items);
    mt_items_free(again);
}

static void shares_are_kept(void **state)
{
    (void)state;
    enum { DRAWS_N = 10000 };
    struct mt_items *items = stream(&options);
    unsigned seen[MT_SKILLS_N] = {0};

    for (int i = 0; i < DRAWS_N; i++) {
        struct mt_item item;
        mt_items_draw(items, &item);
        seen[item.skill]++;
    }
    assert_in_range(seen[MT_SKILL_ADD], 5850, 6150);
    assert_in_range(seen[MT_SKILL_REVERSE], 1880, 2120);
    assert_in_range(seen[MT_SKILL_THREE_STEPS], 1880, 2120);
    mt_items_free(items);
}

static void a_stream_goes_on_from_its_position(void **state)
{
    (void)state;
    struct mt_items *items = stream(&options);
    struct mt_items *later = stream(&options);
    struct mt_batch whole;
    struct mt_batch part;

    for (int i = 0; i < 5; i++)
        mt_items_next(items, &whole);
    mt_items_seek(later, mt_items_position(items));
    mt_items_next(items, &whole);
    mt_items_next(later, &part);
    assert_int_equal(whole.tokens_n, part.tokens_n);
    assert_memory_equal(whole.tokens, part.tokens, whole.tokens_n * sizeof *whole.tokens);
    mt_items_free(items);
    mt_items_free(later);
}

static void another_seed_or_split_is_another_stream(void **state)
{
    (void)state;
    struct mt_items_opts opts[] = {options, options, options};
    char prompts[3][MT_ITEM_PROMPT_MAX];

    opts[1].seed++;
    opts[2].split = MT_SPLIT_TEST;
    for (size_t i = 0; i < 3; i++) {
        struct mt_items *items = stream(&opts[i]);
        struct mt_item item;
        mt_items_seek(items, 1);
        mt_items_draw(items, &item);
        memcpy(prompts[i], item.prompt, sizeof item.prompt);
        mt_items_free(items);
    }
    assert_string_not_equal(prompts[0], prompts[1]);
    assert_string_not_equal(prompts[0], prompts[2]);
}

static void a_batch_may_be_limited_to_some_items(void **state)
{
    (void)state;
    struct mt_items_opts opts = options;
    struct mt_batch batch;

    opts.items_max = 3;
    struct mt_items *items = stream(&opts);
    mt_items_next(items, &batch);
    assert_int_equal(batch.sequences_n, 3);
    assert_int_equal(mt_items_position(items), 3);
    mt_items_free(items);
}

static void pairs_from_elsewhere_are_mixed_in(void **state)
{
    (void)state;
    static const struct mt_data_pair pairs[] = {
        {MT_STR_INIT("who are you?"), MT_STR_INIT("a small model")},
        {MT_STR_INIT("2+2"), MT_STR_INIT("<call_cloud>")},
    };
    const struct mt_items_part parts[] = {
        {.pairs = pairs, .pairs_n = 2, .share = 1},
    };
    struct mt_items_opts opts = options;
    struct mt_batch batch;
    bool has_call = false;

    opts.parts = parts;
    opts.parts_n = 1;
    struct mt_items *items = stream(&opts);
    mt_items_next(items, &batch);
    assert_true(batch.sequences_n > 15);
    for (uint32_t i = 0; i < batch.tokens_n; i++)
        has_call = has_call || batch.targets[i] == MT_TOKEN_CALL_CLOUD;
    assert_true(has_call);
    mt_items_free(items);
}

static void options_that_make_no_sense_are_named(void **state)
{
    (void)state;
    static const struct mt_data_pair long_pair = {MT_STR_INIT("?"), {"", 300}};
    static const struct {
        const char *row;
        struct mt_items_part part;
        uint32_t parts_n, tokens_max;
        int split;
        const char *want;
    } rows[] = {
        {"no parts", {.share = 1}, 0, TOKENS, 0, "mixture: 0 parts, expected 1 to 256"},
        {"no share",
         {.share = 0},
         1,
         TOKENS,
         0,
         "mixture: share 0, expected above 0 and below 1e9"},
        {"negative share",
         {.share = -1},
         1,
         TOKENS,
         0,
         "mixture: share -1, expected above 0 and below 1e9"},
        {"share that is no number", {.share = NAN}, 1, TOKENS, 0, NULL},
        {"skill",
         {.skill = (enum mt_skill)99, .share = 1},
         1,
         TOKENS,
         0,
         "mixture: skill 99, difficulty 0: not known"},
        {"difficulty",
         {.difficulty = (enum mt_difficulty)3, .share = 1},
         1,
         TOKENS,
         0,
         "mixture: skill 0, difficulty 3: not known"},
        {"split", {.share = 1}, 1, TOKENS, 3, "split 3: not known"},
        {"small batch",
         {.share = 1},
         1,
         255,
         0,
         "batch of 255 tokens, expected 256 to 16777216"},
        {"no pairs",
         {.pairs = &long_pair, .share = 1},
         1,
         TOKENS,
         0,
         "mixture: a part of no pairs"},
        {"long pair",
         {.pairs = &long_pair, .pairs_n = 1, .share = 1},
         1,
         256,
         0,
         "pair 0: 1 and 300 bytes, expected to fit a batch of 256 tokens"},
    };

    for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
        struct mt_items_opts opts = {.parts = &rows[i].part,
                                     .parts_n = rows[i].parts_n,
                                     .split = (enum mt_split)rows[i].split,
                                     .tokens_max = rows[i].tokens_max};
        struct mt_items *items = NULL;
        struct mt_err err = {0};
        mt_check_row(rows[i].row, mt_items_new(&opts, &items, &err) == MT_E_INVALID);
        mt_check_row(rows[i].row, items == NULL);
        if (rows[i].want != NULL)
            assert_string_equal(err.text, rows[i].want);
    }
}

static void the_loop_allocates_nothing(void **state)
{
    (void)state;
    struct mt_items *items = stream(&options);
    struct mt_batch batch;
    long made = mt_alloc_made;

    for (int i = 0; i < 10; i++)
        mt_items_next(items, &batch);
    assert_int_equal(mt_alloc_made, made);
    mt_items_free(items);
}

static void new_survives_any_oom(void **state)
{
    (void)state;
    for (long nth = 0;; nth++) {
        struct mt_items *items = NULL;

        mt_alloc_fail_after = nth;
        mt_rc rc = mt_items_new(&options, &items, NULL);
        mt_alloc_fail_after = -1;
        if (rc == MT_OK) {
            assert_true(nth > 2);
            mt_items_free(items);
            break;
        }
        assert_int_equal(rc, MT_E_NOMEM);
        assert_null(items);
    }
    assert_int_equal(mt_alloc_live, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(batches_are_chats_with_targets_on_the_answer),
        cmocka_unit_test(shares_are_kept),
        cmocka_unit_test(a_stream_goes_on_from_its_position),
        cmocka_unit_test(another_seed_or_split_is_another_stream),
        cmocka_unit_test(a_batch_may_be_limited_to_some_items),
        cmocka_unit_test(pairs_from_elsewhere_are_mixed_in),
        cmocka_unit_test(options_that_make_no_sense_are_named),
        cmocka_unit_test(the_loop_allocates_nothing),
        cmocka_unit_test(new_survives_any_oom),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
