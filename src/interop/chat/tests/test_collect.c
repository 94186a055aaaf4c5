/* SPDX-License-Identifier: Apache-2.0 */
#include "chat_fixture.h"

#include "chat/collect.h"

static const struct mt_token_top tops[] = {{MT_STR_INIT("Hi"), -0.1f}, {MT_STR_INIT("Yo"), -2}};
static const struct mt_token_logprob tokens[] = {
    {MT_STR_INIT("Hi"), -0.1f, 0.5f, tops, 2},
    {MT_STR_INIT("!"), -0.2f, -1, NULL, 0},
};
static const struct mt_chat_error boom = {
    .kind = MT_CHAT_ERR_OVERLOADED,
    .message = MT_STR_INIT("later"),
    .retry_after_ms = -1,
};

static const struct mt_chat_event story[] = {
    {.kind = MT_EVENT_START,
     .id = MT_STR_INIT("a1"),
     .model = MT_STR_INIT("m"),
     .usage = {.input_tokens = 3}},
    {.kind = MT_EVENT_REASONING, .text = MT_STR_INIT("th")},
    {.kind = MT_EVENT_REASONING, .text = MT_STR_INIT("ink")},
    {.kind = MT_EVENT_SIGNATURE, .signature = MT_STR_INIT("sig")},
    {.kind = MT_EVENT_REASONING, .is_redacted = true, .signature = MT_STR_INIT("hid")},
    {.kind = MT_EVENT_TEXT, .text = MT_STR_INIT("Hi!"), .logprobs = tokens, .logprobs_n = 2},
    {.kind = MT_EVENT_PING},
    {.kind = MT_EVENT_TOOL_CALL, .tool = 0, .id = MT_STR_INIT("c1"), .name = MT_STR_INIT("f")},
    {.kind = MT_EVENT_TOOL_ARGS, .tool = 0, .text = MT_STR_INIT("{\"a\"")},
    {.kind = MT_EVENT_TEXT, .choice = 2, .text = MT_STR_INIT("other")},
    {.kind = MT_EVENT_TOOL_ARGS, .tool = 0, .text = MT_STR_INIT(":1}")},
    {.kind = MT_EVENT_TOOL_CALL,
     .tool = 1,
     .id = MT_STR_INIT("c2"),
     .name = MT_STR_INIT("g"),
     .signature = MT_STR_INIT("ts")},
    {.kind = MT_EVENT_TEXT, .text = MT_STR_INIT("after")},
    {.kind = MT_EVENT_MEDIA, .mime = MT_STR_INIT("image/png"), .text = MT_STR_INIT("AAAA")},
    {.kind = MT_EVENT_REFUSAL, .text = MT_STR_INIT("no")},
    {.kind = MT_EVENT_FINISH, .finish = MT_FINISH_TOOL_CALLS},
    {.kind = MT_EVENT_FINISH,
     .choice = 2,
     .finish = MT_FINISH_STOP,
     .stop_sequence = MT_STR_INIT("END")},
    {.kind = MT_EVENT_USAGE, .usage = {.input_tokens = 4, .output_tokens = 9}},
    {.kind = MT_EVENT_END},
};

static mt_rc collect(size_t bytes_max, struct mt_collector **out, struct mt_err *err)
{
    struct mt_collector *c = NULL;
    const struct mt_chat_answer *answer = NULL;

    mt_rc rc = mt_collector_new(bytes_max, &c, err);
    for (size_t i = 0; rc == MT_OK && i < MT_ARRAY_LEN(story); i++)
        rc = mt_collector_add(c, &story[i], err);
    if (rc == MT_OK)
        rc = mt_collector_answer(c, &answer, err);
    if (rc < 0) {
        mt_collector_free(c);
        return rc;
    }
    *out = c;
    return MT_OK;
}

static void an_answer_adds_up_in_order(void **state)
{
    (void)state;
    static const struct {
        enum mt_out_kind kind;
        const char *text, *signature, *id, *name;
    } rows[] = {
        {MT_OUT_REASONING, "think", "sig", "", ""},
        {MT_OUT_REASONING, "", "hid", "", ""},
        {MT_OUT_TEXT, "Hi!", "", "", ""},
        {MT_OUT_TOOL_CALL, "{\"a\":1}", "", "c1", "f"},
        {MT_OUT_TOOL_CALL, "", "ts", "c2", "g"},
        {MT_OUT_TEXT, "after", "", "", ""},
        {MT_OUT_MEDIA, "AAAA", "", "", ""},
        {MT_OUT_REFUSAL, "no", "", "", ""},
    };
    struct mt_collector *c = NULL;
    const struct mt_chat_answer *a = NULL;
    struct mt_err err = {0};

    assert_int_equal(collect(1 << 20, &c, &err), MT_OK);
    assert_int_equal(mt_collector_answer(c, &a, &err), MT_OK);
    assert_true(mt_str_is(a->id, "a1") && mt_str_is(a->model, "m"));
    assert_int_equal(a->choices_n, 3);
    assert_int_equal(a->usage.output_tokens, 9);
    assert_int_equal(a->choices[0].parts_n, MT_ARRAY_LEN(rows));
    for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
        const struct mt_out_part *part = &a->choices[0].parts[i];
        mt_check_row(rows[i].text, part->kind == rows[i].kind);
        mt_check_row(rows[i].text, mt_str_is(part->text, rows[i].text));
        mt_check_row(rows[i].text, mt_str_is(part->signature, rows[i].signature));
        mt_check_row(rows[i].text, mt_str_is(part->id, rows[i].id));
        mt_check_row(rows[i].text, mt_str_is(part->name, rows[i].name));
    }
    assert_true(a->choices[0].parts[1].is_redacted);
    assert_int_equal(a->choices[0].logprobs_n, 2);
    assert_int_equal(a->choices[0].logprobs[0].top_n, 2);
    assert_true(mt_str_is(a->choices[0].logprobs[0].top[1].token, "Yo"));
    assert_int_equal(a->choices[0].finish, MT_FINISH_TOOL_CALLS);
    assert_int_equal(a->choices[1].parts_n, 0);
    assert_true(mt_str_is(a->choices[2].stop_sequence, "END"));
    mt_collector_free(c);
}

static void an_answer_is_bounded(void **state)
{
    (void)state;
    struct mt_collector *c = NULL;
    struct mt_err err = {0};

    for (size_t max = 0; max < 512; max += 7)
        assert_int_equal(collect(max, &c, &err), MT_E_TOOBIG);
    assert_null(c);
    assert_int_equal(mt_collector_new(1 << 20, &c, &err), MT_OK);
    struct mt_chat_event far = {.kind = MT_EVENT_TEXT, .choice = 4000000000u};
    assert_int_equal(mt_collector_add(c, &far, &err), MT_E_TOOBIG);
    struct mt_chat_event stray = {.kind = MT_EVENT_TOOL_ARGS, .tool = 3};
    assert_int_equal(mt_collector_add(c, &stray, &err), MT_E_INVALID);
    struct mt_chat_event error = {.kind = MT_EVENT_ERROR, .error = &boom};
    assert_int_equal(mt_collector_add(c, &error, &err), MT_E_INVALID);
    mt_collector_free(c);
}

static void a_collector_survives_any_oom(void **state)
{
    (void)state;
    for (long nth = 0;; nth++) {
        struct mt_collector *c = NULL;
        struct mt_err err = {0};

        mt_alloc_fail_after = nth;
        mt_rc rc = collect(1 << 20, &c, &err);
        mt_alloc_fail_after = -1;
        if (rc == MT_OK) {
            assert_true(nth > 5);
            mt_collector_free(c);
            break;
        }
        assert_int_equal(rc, MT_E_NOMEM);
        assert_null(c);
        assert_int_equal(mt_alloc_live, 0);
    }
    assert_int_equal(mt_alloc_live, 0);
}

static void record_story(struct mt_buf *tape)
{
    struct mt_chat_event error = {.kind = MT_EVENT_ERROR, .error = &boom};

    for (size_t i = 0; i < MT_ARRAY_LEN(story); i++)
        mt_tape_record(tape, &story[i]);
    mt_tape_record(tape, &error);
}

static void a_tape_plays_what_was_recorded(void **state)
{
    (void)state;
    struct mt_chat_event error = {.kind = MT_EVENT_ERROR, .error = &boom};
    struct mt_buf tape = MT_BUF_INIT(1 << 20);
    struct mt_buf played = MT_BUF_INIT(1 << 20);
    struct mt_buf told = MT_BUF_INIT(1 << 20);
    struct mt_err err = {0};

    record_story(&tape);
    assert_int_equal(mt_tape_play(mt_buf_str(&tape), fixture_log, &played, &err), MT_OK);
    for (size_t i = 0; i < MT_ARRAY_LEN(story); i++)
        assert_int_equal(fixture_log(&told, &story[i], &err), MT_OK);
    assert_int_equal(fixture_log(&told, &error, &err), MT_OK);
    assert_string_equal(mt_buf_cstr(&played), mt_buf_cstr(&told));
    mt_buf_fini(&tape);
    mt_buf_fini(&played);
    mt_buf_fini(&told);
}

static void a_cut_tape_is_corrupt(void **state)
{
    (void)state;
    struct mt_buf tape = MT_BUF_INIT(1 << 20);
    struct mt_buf log = MT_BUF_INIT(1 << 20);
    struct mt_err err = {0};
    size_t broken = 0;

    record_story(&tape);
    for (size_t len = 0; len < tape.len; len++) {
        mt_buf_clear(&log);
        mt_rc rc = mt_tape_play(mt_str_sub(mt_buf_str(&tape), 0, len), fixture_log, &log, &err);
        assert_true(rc == MT_OK || rc == MT_E_CORRUPT);
        broken += rc == MT_E_CORRUPT;
    }
    assert_int_equal(broken, tape.len - MT_ARRAY_LEN(story) - 1); /* OK only between events */
    mt_buf_fini(&tape);
    mt_buf_fini(&log);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_adds_up_in_order),
        cmocka_unit_test(an_answer_is_bounded),
        cmocka_unit_test(a_collector_survives_any_oom),
        cmocka_unit_test(a_tape_plays_what_was_recorded),
        cmocka_unit_test(a_cut_tape_is_corrupt),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
