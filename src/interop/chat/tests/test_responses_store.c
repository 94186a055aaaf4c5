/* SPDX-License-Identifier: Apache-2.0 */
/* A conversation kept here: turn, record, next turn, list. */
#include "chat_fixture.h"

#include <stdlib.h>

#include "chat/responses.h"

/* Two documents at once: a record and a body. */
struct pair {
    struct fixture f;
    struct mt_buf record;
};

static void pair_init(struct pair *p)
{
    fixture_init(&p->f);
    mt_buf_init(&p->record, FIXTURE_TEXT_MAX);
}

static void pair_fini(struct pair *p)
{
    mt_buf_fini(&p->record);
    fixture_fini(&p->f);
}

static const struct mt_json *keep(struct pair *p, const char *text)
{
    const struct mt_json *root = NULL;

    mt_buf_clear(&p->record);
    mt_buf_add_cstr(&p->record, text);
    if (mt_json_parse(p->f.frame_doc, mt_buf_str(&p->record), &root, &p->f.err) != MT_OK)
        fail_msg("%s in: %s", p->f.err.text, text);
    return root;
}

static mt_rc record(struct pair *p, const char *body, const char *response)
{
    const struct mt_json *answer = keep(p, response);

    mt_buf_clear(&p->f.out);
    return mt_responses_record(fixture_json(&p->f, body), answer, &p->f.out, &p->f.err);
}

static mt_rc expand(struct pair *p, const char *stored, const char *body)
{
    const struct mt_json *held = keep(p, stored);
    const struct mt_json *root = fixture_json(&p->f, body);

    mt_buf_clear(&p->f.out);
    return mt_responses_expand(held, root, mt_buf_str(&p->f.text), &p->f.out, &p->f.err);
}

#define ANSWER1                                                                       \
    "{\"id\":\"resp_1\",\"output\":[{\"id\":\"msg_a\",\"type\":\"message\",\"role\":" \
    "\"assistant\",\"content\":[{\"type\":\"output_text\",\"text\":\"ho\"}]}]}"
#define RECORD1                                                                               \
    "{\"response\":" ANSWER1 ",\"items\":[{\"id\":\"msg_1i1\",\"type\":\"message\",\"role\":" \
    "\"user\",\"content\":[{\"type\":\"input_text\",\"text\":\"hi \\\"you\\\"\"}]},"          \
    "{\"id\":\"msg_a\",\"type\":\"message\",\"role\":\"assistant\",\"content\":[{\"type\":"   \
    "\"output_text\",\"text\":\"ho\"}]}]}"

static void a_turn_is_recorded_with_ids(void **unused)
{
    static const struct {
        const char *input;
        const char *items; /* of the input */
    } rows[] = {
        {"\"hi\"", "{\"id\":\"msg_1i1\",\"type\":\"message\",\"role\":\"user\",\"content\":[{"
                   "\"type\":\"input_text\",\"text\":\"hi\"}]}"},
        {"[{\"role\":\"user\",\"content\":\"a\\n\"},{\"role\":\"assistant\",\"content\":\"b\"}"
         "]",
         "{\"id\":\"msg_1i1\",\"type\":\"message\",\"role\":\"user\",\"content\":[{\"type\":"
         "\"input_text\",\"text\":\"a\\n\"}]},{\"id\":\"msg_1i2\",\"type\":\"message\","
         "\"role\":"
         "\"assistant\",\"content\":[{\"type\":\"output_text\",\"annotations\":[],\"text\":"
         "\"b\"}]}"},
        {"[{\"type\":\"function_call_output\",\"id\":null,\"call_id\":\"c\",\"output\":\"x\"}]",
         "{\"id\":\"fco_1i1\",\"type\":\"function_call_output\",\"call_id\":\"c\",\"output\":"
         "\"x\"}"},
        {"[{\"type\":\"function_call\",\"id\":\"fc_own\",\"call_id\":\"c\"}]",
         "{\"type\":\"function_call\",\"id\":\"fc_own\",\"call_id\":\"c\"}"},
    };
    struct pair p;

    (void)unused;
    pair_init(&p);
    for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
        char body[512], expected[1024];
        snprintf(body, sizeof body, "{\"model\":\"m\",\"input\":%s}", rows[i].input);
        snprintf(expected, sizeof expected,
                 "{\"response\":" ANSWER1
                 ",\"items\":[%s,{\"id\":\"msg_a\",\"type\":\"message\",\"role\":\"assistant\","
                 "\"content\":[{\"type\":\"output_text\",\"text\":\"ho\"}]}]}",
                 rows[i].items);
        assert_int_equal(record(&p, body, ANSWER1), MT_OK);
        assert_string_equal(mt_buf_cstr(&p.f.out), expected);
    }
    pair_fini(&p);
}

static void the_next_turn_comes_after_the_record(void **unused)
{
    struct mt_chat_request request;
    struct pair p;

    (void)unused;
    pair_init(&p);
    assert_int_equal(record(&p, "{\"input\":\"hi \\\"you\\\"\"}", ANSWER1), MT_OK);
    assert_string_equal(mt_buf_cstr(&p.f.out), RECORD1);

    assert_int_equal(expand(&p, RECORD1,
                            "{\"model\":\"m\", \"previous_response_id\":\"resp_1\", \"input\":["
                            "{\"type\":\"item_reference\",\"id\":\"msg_a\"},"
                            "{\"role\":\"user\",\"content\":\"and?\"}], \"store\": false}"),
                     MT_OK);
    char *body = strdup(mt_buf_cstr(&p.f.out));
    assert_null(strstr(body, "previous_response_id"));
    assert_null(strstr(body, "item_reference"));
    assert_non_null(strstr(body, "\"store\": false"));
    assert_int_equal(fixture_decode(&p.f, &mt_codec_openai_responses, body, &request), MT_OK);
    assert_int_equal(request.messages_n, 3);
    assert_true(mt_str_is(request.messages[0].parts[0].text, "hi \"you\""));
    assert_int_equal(request.messages[1].role, MT_ROLE_ASSISTANT);
    assert_true(mt_str_is(request.messages[2].parts[0].text, "and?"));

    /* the second record holds both turns */
    assert_int_equal(record(&p, body, "{\"id\":\"resp_2\",\"output\":[]}"), MT_OK);
    assert_non_null(strstr(mt_buf_cstr(&p.f.out), "\"id\":\"msg_1i1\""));
    assert_non_null(strstr(mt_buf_cstr(&p.f.out), "\"id\":\"msg_2i3\""));
    free(body);
    pair_fini(&p);
}

static void a_text_goes_on_as_well(void **unused)
{
    struct pair p;

    (void)unused;
    pair_init(&p);
    assert_int_equal(expand(&p, RECORD1, "{\"input\":\"and?\"}"), MT_OK);
    assert_non_null(
        strstr(mt_buf_cstr(&p.f.out), ",{\"role\":\"user\",\"content\":\"and?\"}]}"));
    pair_fini(&p);
}

static void input_items_come_in_pages(void **unused)
{
    static const char stored[] = "{\"response\":{\"output\":[{}]},\"items\":[{\"id\":\"a\"},"
                                 "{\"id\":\"b\"},{\"id\":\"c\"},{\"id\":\"out\"}]}";
    static const struct {
        const char *name;
        struct mt_responses_page page;
        const char *list;
    } rows[] = {
        {"all, newest first",
         {.limit_n = 0},
         "{\"object\":\"list\",\"data\":[{\"id\":\"c\"},{\"id\":\"b\"},{\"id\":\"a\"}],"
         "\"first_id\":\"c\",\"last_id\":\"a\",\"has_more\":false}"},
        {"two, newest first",
         {.limit_n = 2},
         "{\"object\":\"list\",\"data\":[{\"id\":\"c\"},{\"id\":\"b\"}],\"first_id\":\"c\","
         "\"last_id\":\"b\",\"has_more\":true}"},
        {"after b, newest first",
         {.after = MT_STR_INIT("b")},
         "{\"object\":\"list\",\"data\":[{\"id\":\"a\"}],\"first_id\":\"a\",\"last_id\":\"a\","
         "\"has_more\":false}"},
        {"one after a, oldest first",
         {.after = MT_STR_INIT("a"), .limit_n = 1, .order = MT_RESPONSES_OLDEST_FIRST},
         "{\"object\":\"list\",\"data\":[{\"id\":\"b\"}],\"first_id\":\"b\",\"last_id\":\"b\","
         "\"has_more\":true}"},
        {"after the last, oldest first",
         {.after = MT_STR_INIT("c"), .order = MT_RESPONSES_OLDEST_FIRST},
         "{\"object\":\"list\",\"data\":[],\"first_id\":null,\"last_id\":null,\"has_more\":"
         "false}"},
    };
    struct mt_responses_page lost = {.after = MT_STR_INIT("out")};
    struct pair p;

    (void)unused;
    pair_init(&p);
    const struct mt_json *held = keep(&p, stored);
    for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
        mt_buf_clear(&p.f.out);
        assert_int_equal(mt_responses_input_items(held, &rows[i].page, &p.f.out, &p.f.err),
                         MT_OK);
        if (strcmp(mt_buf_cstr(&p.f.out), rows[i].list) != 0)
            fail_msg("row '%s': %s", rows[i].name, mt_buf_cstr(&p.f.out));
    }
    assert_int_equal(mt_responses_input_items(held, &lost, &p.f.out, &p.f.err), MT_E_NOTFOUND);
    pair_fini(&p);
}

static void what_is_no_record_is_refused(void **unused)
{
    static const char *const broken[] = {"[]", "{}", "{\"items\":[]}",
                                         "{\"items\":[],\"response\":{\"output\":[1]}}"};
    struct pair p;

    (void)unused;
    pair_init(&p);
    for (size_t i = 0; i < MT_ARRAY_LEN(broken); i++)
        assert_int_equal(expand(&p, broken[i], "{\"input\":\"x\"}"), MT_E_CORRUPT);
    assert_int_equal(expand(&p, RECORD1, "{\"input\":1}"), MT_E_INVALID);
    assert_int_equal(expand(&p, RECORD1, "{}"), MT_E_INVALID);
    assert_int_equal(record(&p, "{\"input\":[1]}", ANSWER1), MT_E_INVALID);
    assert_int_equal(record(&p, "{\"input\":[{\"r\\u006fle\":1}]}", ANSWER1), MT_E_INVALID);
    assert_int_equal(record(&p, "{\"input\":\"x\"}", "{}"), MT_E_INVALID);
    pair_fini(&p);
}

static void records_are_bounded(void **unused)
{
    struct pair p;

    (void)unused;
    pair_init(&p);
    struct mt_buf small = MT_BUF_INIT(40);
    const struct mt_json *held = keep(&p, RECORD1);
    const struct mt_json *body = fixture_json(&p.f, "{\"input\":\"x\"}");
    assert_int_equal(mt_responses_expand(held, body, mt_buf_str(&p.f.text), &small, &p.f.err),
                     MT_E_TOOBIG);
    mt_buf_clear(&small);
    assert_int_equal(mt_responses_record(body, mt_json_get(held, "response"), &small, &p.f.err),
                     MT_E_TOOBIG);
    mt_buf_fini(&small);
    pair_fini(&p);
}

static void going_on_survives_any_oom(void **unused)
{
    struct pair p;

    (void)unused;
    pair_init(&p);
    const struct mt_json *held = keep(&p, RECORD1);
    const struct mt_json *body = fixture_json(&p.f, "{\"input\":\"x\",\"model\":\"m\"}");
    for (long nth = 0;; nth++) {
        mt_buf_fini(&p.f.out);
        mt_alloc_fail_after = nth;
        mt_rc rc = mt_responses_expand(held, body, mt_buf_str(&p.f.text), &p.f.out, &p.f.err);
        mt_alloc_fail_after = -1;
        if (rc == MT_OK) {
            assert_true(nth > 1);
            break;
        }
        assert_int_equal(rc, MT_E_NOMEM);
    }
    pair_fini(&p);
    assert_int_equal(mt_alloc_live, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_turn_is_recorded_with_ids),
        cmocka_unit_test(the_next_turn_comes_after_the_record),
        cmocka_unit_test(a_text_goes_on_as_well),
        cmocka_unit_test(input_items_come_in_pages),
        cmocka_unit_test(what_is_no_record_is_refused),
        cmocka_unit_test(records_are_bounded),
        cmocka_unit_test(going_on_survives_any_oom),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
