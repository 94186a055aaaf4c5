/* SPDX-License-Identifier: Apache-2.0 */
/* Text on its way out: characters, stops, thinking, calls; every case cut at every place. */
#include "support/test.h"

#include <string.h>

#include "base/alloc.h"
#include "text_out.h"

struct seen {
    struct mt_buf text, thought;
};

static void on_text(void *ctx, bool is_reasoning, struct mt_str text, uint64_t end)
{
    struct seen *seen = ctx;

    (void)end;
    assert_true(mt_str_is_utf8(text));
    mt_buf_add(is_reasoning ? &seen->thought : &seen->text, text);
}

static const struct {
    const char *name, *in, *stop1, *stop2, *text, *thought, *stopped;
    enum mt_text_state begin;
} cases[] = {
    {"plain", "hello", NULL, NULL, "hello", "", "", MT_TEXT_BEGIN},
    {"a stop", "one STOP two", "STOP", NULL, "one ", "", "STOP", MT_TEXT_BEGIN},
    {"the earlier of two", "a bb c", "c", "bb", "a ", "", "bb", MT_TEXT_BEGIN},
    {"a stop that only begins", "ab STO", "STOP", NULL, "ab STO", "", "", MT_TEXT_BEGIN},
    {"a stop in a false start", "aaab", "aab", NULL, "a", "", "aab", MT_TEXT_BEGIN},
    {"characters", "\xC3\xA4\xE2\x82\xAC\xF0\x9F\x8E\xB5", NULL, NULL,
     "\xC3\xA4\xE2\x82\xAC\xF0\x9F\x8E\xB5", "", "", MT_TEXT_BEGIN},
    {"no character", "a\xFFz", NULL, NULL, "a\xEF\xBF\xBDz", "", "", MT_TEXT_BEGIN},
    {"half a character at the end", "a\xE2\x82", NULL, NULL, "a\xEF\xBF\xBD\xEF\xBF\xBD", "",
     "", MT_TEXT_BEGIN},
    {"thinking", "<think>hm hm</think>\n\nyes", NULL, NULL, "yes", "hm hm", "", MT_TEXT_BEGIN},
    {"thinking after a line break", "\n<think>x</think>y", NULL, NULL, "y", "x", "",
     MT_TEXT_BEGIN},
    {"thinking begun by the prompt", "so</think>yes", NULL, NULL, "yes", "so", "",
     MT_TEXT_THINKING},
    {"thinking without end", "<think>so it", NULL, NULL, "", "so it", "", MT_TEXT_BEGIN},
    {"no thinking in the middle", "a <think>b", NULL, NULL, "a <think>b", "", "",
     MT_TEXT_BEGIN},
    {"a tag that only begins", "<thi", NULL, NULL, "<thi", "", "", MT_TEXT_BEGIN},
    {"a stop counts in the answer", "<think>S</think>aSb", "S", NULL, "a", "S", "S",
     MT_TEXT_BEGIN},
};

static void run_case(size_t i, size_t piece)
{
    struct mt_str stops[2] = {mt_str_of(cases[i].stop1), mt_str_of(cases[i].stop2)};
    struct seen seen = {MT_BUF_INIT(1000), MT_BUF_INIT(1000)};
    struct mt_text_out out = {.state = cases[i].begin,
                              .stops = stops,
                              .stops_n = cases[i].stop2 != NULL   ? 2
                                         : cases[i].stop1 != NULL ? 1
                                                                  : 0,
                              .think_start = MT_STR("<think>"),
                              .think_end = MT_STR("</think>"),
                              .fn = on_text,
                              .ctx = &seen};
    struct mt_str in = mt_str_of(cases[i].in);
    struct mt_err err;

    mt_text_out_init(&out);
    for (size_t at = 0; at < in.len; at += piece)
        assert_int_equal(mt_text_out_feed(&out, mt_str_sub(in, at, at + piece), &err), MT_OK);
    assert_int_equal(mt_text_out_finish(&out, &err), MT_OK);
    mt_check_row(cases[i].name, mt_str_is(mt_buf_str(&seen.text), cases[i].text));
    mt_check_row(cases[i].name, mt_str_is(mt_buf_str(&seen.thought), cases[i].thought));
    mt_check_row(cases[i].name, mt_str_is(out.stopped_by, cases[i].stopped));
    mt_text_out_fini(&out);
    mt_buf_fini(&seen.text);
    mt_buf_fini(&seen.thought);
}

static void text_comes_out_the_same_however_it_is_cut(void **state)
{
    (void)state;
    for (size_t i = 0; i < MT_ARRAY_LEN(cases); i++)
        for (size_t piece = 1; piece < 32; piece++)
            run_case(i, piece);
    assert_int_equal(mt_alloc_live, 0);
}

struct calls {
    struct mt_buf all;
};

static void on_call(void *ctx, enum mt_call_event event, unsigned nth, struct mt_str text)
{
    struct calls *calls = ctx;

    if (event == MT_CALL_NAME)
        mt_buf_addf(&calls->all, "[%u:%.*s]", nth, MT_STR_ARG(text));
    else
        mt_buf_add(&calls->all, text);
}

static void calls_come_out_the_same_however_they_are_cut(void **state)
{
    (void)state;
    static const struct {
        const char *in, *out;
    } table[] = {
        {"{\"name\":\"add\",\"arguments\":{\"a\":1}}", "[0:add]{\"a\":1}"},
        {"{\"name\":\"f\",\"arguments\":{}}\n{\"name\":\"g\",\"arguments\":{\"x\":[{\"y\":\"}"
         "\\\"{\"}]}}",
         "[0:f]{}[1:g]{\"x\":[{\"y\":\"}\\\"{\"}]}"},
        {"{\"name\":\"cut\",\"arguments\":{\"a\":\"b", "[0:cut]{\"a\":\"b"},
        {"{\"name\":\"q\\\"q\",\"arguments\":{}}", "[0:q\"q]{}"},
    };

    for (size_t i = 0; i < MT_ARRAY_LEN(table); i++)
        for (size_t piece = 1; piece < 40; piece++) {
            struct calls calls = {MT_BUF_INIT(1000)};
            struct mt_call_out out;
            struct mt_str in = mt_str_of(table[i].in);
            mt_call_out_init(&out, on_call, &calls);
            for (size_t at = 0; at < in.len; at += piece)
                assert_int_equal(mt_call_out_feed(&out, mt_str_sub(in, at, at + piece), NULL),
                                 MT_OK);
            mt_check_row(table[i].in, mt_str_is(mt_buf_str(&calls.all), table[i].out));
            mt_call_out_fini(&out);
            mt_buf_fini(&calls.all);
        }
    assert_int_equal(mt_alloc_live, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_comes_out_the_same_however_it_is_cut),
        cmocka_unit_test(calls_come_out_the_same_however_they_are_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
