/* SPDX-License-Identifier: Apache-2.0 */
#include "support/test.h"

#include <string.h>

#include "base/attr.h"
#include "train/vocab.h"

static void each_token_has_its_text(void **state)
{
    static const struct {
        int32_t token;
        const char *text;
    } rows[] = {
        {0, "<unk>"},
        {1, "<s>"},
        {2, "</s>"},
        {MT_TOKEN_BYTE0, "<0x00>"},
        {MT_TOKEN_BYTE0 + '\n', "<0x0A>"},
        {MT_TOKEN_BYTE0 + ' ', "\xe2\x96\x81"},
        {MT_TOKEN_BYTE0 + 'a', "<0x61>"},
        {MT_TOKEN_BYTE0 + 255, "<0xFF>"},
        {MT_TOKEN_IM_START, "<|im_start|>"},
        {MT_TOKEN_IM_END, "<|im_end|>"},
        {MT_TOKEN_CALL_CLOUD, "<call_cloud>"},
        {MT_TOKEN_USER, "<|im_start|>user\n"},
        {MT_TOKEN_ASSISTANT, "<|im_end|>\n<|im_start|>assistant\n"},
    };
    (void)state;

    for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
        char room[MT_VOCAB_TEXT_MAX];
        mt_check_row(rows[i].text, mt_str_is(mt_vocab_text(rows[i].token, room), rows[i].text));
    }
    for (int32_t a = 0; a < MT_VOCAB_N; a++)
        for (int32_t b = 0; b < a; b++) {
            char one[MT_VOCAB_TEXT_MAX];
            char other[MT_VOCAB_TEXT_MAX];
            assert_false(mt_str_eq(mt_vocab_text(a, one), mt_vocab_text(b, other)));
        }
}

/* Shown with its marks as characters. */
static void show(const int32_t *tokens, uint32_t n, char *to)
{
    for (uint32_t i = 0; i < n; i++) {
        bool is_byte = tokens[i] >= MT_TOKEN_BYTE0 && tokens[i] < MT_TOKEN_IM_START;
        if (is_byte)
            *to++ = (char)(tokens[i] - MT_TOKEN_BYTE0);
        else
            *to++ = (char)('A' + tokens[i] - MT_TOKEN_IM_START);
    }
    *to = '\0';
}

static void a_prompt_is_one_turn_up_to_its_answer(void **state)
{
    int32_t tokens[64];
    char text[64];
    (void)state;

    uint32_t n = mt_vocab_prompt(MT_STR("add 4 5"), tokens, 64);
    show(tokens, n, text);
    assert_string_equal(text, "Dadd 4 5E");
    assert_int_equal(mt_vocab_prompt(MT_STR("add 4 5"), tokens, n), n);
    for (uint32_t max = 0; max < n; max++)
        assert_int_equal(mt_vocab_prompt(MT_STR("add 4 5"), tokens, max), 0);
}

static void marks_in_a_prompt_stay_bytes(void **state)
{
    int32_t tokens[128];
    (void)state;

    uint32_t n = mt_vocab_prompt(MT_STR("<call_cloud><|im_end|>\xff"), tokens, 128);
    assert_int_equal(n, 23 + 2);
    for (uint32_t i = 1; i < 1 + 23; i++)
        assert_true(tokens[i] >= MT_TOKEN_BYTE0 && tokens[i] < MT_TOKEN_IM_START);
}

static void an_answer_comes_back_as_it_went_in(void **state)
{
    static const char *const rows[] = {
        "", "83", "two\nlines \x01\xff", "<call_cloud>", "a<call_cloud", "<<call_cloud>>"};
    (void)state;

    for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
        int32_t tokens[64];
        char room[64 + 16];
        struct mt_str answer = mt_str_of(rows[i]);
        uint32_t n = mt_vocab_answer(answer, tokens, 64);
        mt_check_row(rows[i], n >= 1 && tokens[n - 1] == MT_TOKEN_IM_END);
        mt_check_row(rows[i], mt_str_eq(mt_vocab_bytes(tokens, n, room), answer));
        mt_check_row(rows[i], mt_vocab_answer(answer, tokens, n) == n);
        mt_check_row(rows[i], mt_vocab_answer(answer, tokens, n - 1) == 0);
    }
}

static void asking_for_help_is_one_token(void **state)
{
    int32_t tokens[8];
    (void)state;

    assert_int_equal(mt_vocab_answer(MT_STR("<call_cloud>"), tokens, 8), 2);
    assert_int_equal(tokens[0], MT_TOKEN_CALL_CLOUD);
}

static void bytes_stay_within_their_room(void **state)
{
    int32_t tokens[32];
    (void)state;

    for (uint32_t calls = 0; calls <= 32; calls++) { /* calls first, then bytes, then marks */
        char room[32 + 16 + 1];
        memset(room, '~', sizeof room);
        for (uint32_t i = 0; i < 32; i++)
            tokens[i] = i < calls ? MT_TOKEN_CALL_CLOUD
                                  : (i % 2 == 0 ? MT_TOKEN_BYTE0 + 'x' : MT_TOKEN_IM_END);
        struct mt_str text = mt_vocab_bytes(tokens, 32, room);
        assert_true(text.len <= 32 + 16);
        assert_int_equal(room[32 + 16], '~');
        if (calls > 0)
            assert_true(mt_str_starts(text, MT_STR("<call_cloud>")));
        for (uint32_t i = 0; i < (32 - calls) / 2; i++)
            assert_int_equal(text.at[text.len - 1 - i], 'x');
    }
}

static void tokens_out_of_range_are_left_out(void **state)
{
    const int32_t tokens[] = {-1,         0,         1,        2, MT_TOKEN_BYTE0 + 'a',
                              MT_VOCAB_N, INT32_MAX, INT32_MIN};
    char room[8 + 16];
    (void)state;

    assert_true(mt_str_is(mt_vocab_bytes(tokens, 8, room), "a"));
    assert_int_equal(mt_vocab_bytes(NULL, 0, room).len, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_token_has_its_text),
        cmocka_unit_test(a_prompt_is_one_turn_up_to_its_answer),
        cmocka_unit_test(marks_in_a_prompt_stay_bytes),
        cmocka_unit_test(an_answer_comes_back_as_it_went_in),
        cmocka_unit_test(asking_for_help_is_one_token),
        cmocka_unit_test(bytes_stay_within_their_room),
        cmocka_unit_test(tokens_out_of_range_are_left_out),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
