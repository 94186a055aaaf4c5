/* SPDX-License-Identifier: Apache-2.0 */
/* Answers bound by a grammar. The lab's model knows nothing of JSON, and it is asked at a high
 * temperature: whatever comes out valid is the grammar's doing. */
#include "support/test.h"

#include <stdio.h>
#include <string.h>

#include "rig.h"
#include "wire/json.h"

static struct rig rig;
static struct mt_json_doc *doc;

static int open_rig(void **state)
{
    (void)state;
    rig_open(&rig, (struct mt_local_model){.parallel_max = 8}, (struct mt_local_opts){0});
    return mt_json_doc_new(&doc, NULL) == MT_OK ? 0 : 1;
}

static int close_rig(void **state)
{
    (void)state;
    mt_json_doc_free(doc);
    rig_close(&rig);
    return 0;
}

static const struct mt_json *parse(const struct mt_buf *text)
{
    const struct mt_json *root = NULL;
    struct mt_err err = {0};

    if (mt_json_parse(doc, mt_buf_str(text), &root, &err) < 0)
        fail_msg("not JSON: %s: '%.*s'", err.text, MT_STR_ARG(mt_buf_str(text)));
    return root;
}

static void ask_wildly(struct rig_ask *ask, int seed)
{
    *ask = (struct rig_ask){.request = {.kind = MT_CHAT_CONVERSATION}};
    rig_say(ask, MT_ROLE_USER, "12+30");
    ask->request.sampling.temperature = (struct mt_opt_f64){true, 3};
    ask->request.sampling.top_p = (struct mt_opt_f64){true, 1};
    ask->request.sampling.min_p = (struct mt_opt_f64){true, 0};
    ask->request.sampling.top_k = (struct mt_opt_i64){true, 0};
    ask->request.sampling.seed = (struct mt_opt_i64){true, seed};
}

/* Each schema and a check of one member of what it allows. */
static bool is_count(const struct mt_json *v, int64_t min, int64_t max)
{
    int64_t n;
    return mt_json_i64(v, min, max, &n);
}

static bool check_person(const struct mt_json *v)
{
    const struct mt_json *tags = mt_json_get(v, "tags");
    return mt_json_type(mt_json_get(v, "name")) == MT_JSON_STRING &&
           mt_json_raw(mt_json_get(v, "name")).len <= 2 + 2 * 8 &&
           is_count(mt_json_get(v, "age"), 7, 123) && mt_json_count(tags) >= 1 &&
           mt_json_count(tags) <= 3 && mt_json_type(mt_json_first(tags)) == MT_JSON_BOOL;
}

static bool check_choice(const struct mt_json *v)
{
    return mt_json_is(mt_json_get(v, "k"), "a") || mt_json_is(mt_json_get(v, "k"), "b\"c") ||
           mt_json_type(mt_json_get(v, "k")) == MT_JSON_NULL;
}

static bool check_code(const struct mt_json *v)
{
    struct mt_str raw = mt_json_raw(mt_json_get(v, "id"));
    return raw.len >= 7 && raw.at[4] == '-' && raw.at[1] >= 'A' && raw.at[1] <= 'C' &&
           mt_json_raw(mt_json_get(v, "day")).len == 12;
}

static bool check_tree(const struct mt_json *v)
{
    return is_count(mt_json_get(v, "value"), INT64_MIN, INT64_MAX) &&
           mt_json_get(mt_json_get(v, "left"), "right") == NULL;
}

static bool check_object(const struct mt_json *v)
{
    return mt_json_type(v) == MT_JSON_OBJECT;
}

static const struct {
    const char *name, *schema;
    bool (*check)(const struct mt_json *v);
} schemas[] = {
    {"objects, ranges, arrays",
     "{\"type\":\"object\",\"properties\":{\"name\":{\"type\":\"string\",\"maxLength\":8},"
     "\"age\":{\"type\":\"integer\",\"minimum\":7,\"exclusiveMaximum\":124},"
     "\"tags\":{\"type\":\"array\",\"items\":{\"type\":\"boolean\"},\"minItems\":1,"
     "\"maxItems\":3},\"more\":{\"type\":\"number\"}},\"required\":[\"name\",\"age\",\"tags\"]"
     "}",
     check_person},
    {"enum, const, anyOf",
     "{\"type\":\"object\",\"properties\":{\"k\":{\"anyOf\":[{\"enum\":[\"a\",\"b\\\"c\"]},"
     "{\"const\":null}]}},\"required\":[\"k\"],\"additionalProperties\":false}",
     check_choice},
    {"patterns and formats",
     "{\"type\":\"object\",\"properties\":{\"id\":{\"type\":\"string\","
     "\"pattern\":\"^[A-C]{3}-\\\\d+x?$\",\"maxLength\":7},"
     "\"day\":{\"type\":\"string\",\"format\":\"date\"}},\"required\":[\"id\",\"day\"]}",
     check_code},
    {"references",
     "{\"$ref\":\"#/$defs/node\",\"$defs\":{\"node\":{\"type\":\"object\",\"properties\":{"
     "\"value\":{\"type\":\"integer\"},\"left\":{\"anyOf\":[{\"$ref\":\"#/$defs/leaf\"},"
     "{\"type\":\"null\"}]}},\"required\":[\"value\",\"left\"]},\"leaf\":{\"type\":\"object\","
     "\"properties\":{\"v\":{\"type\":[\"boolean\",\"null\"]}}}}}",
     check_tree},
    {"all optional",
     "{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"boolean\"},"
     "\"b\":{\"type\":\"null\"},\"c\":{\"const\":1}}}",
     check_object},
    {"a map", "{\"type\":\"object\",\"additionalProperties\":{\"type\":\"boolean\"}}",
     check_object},
    {"anything", "{\"type\":\"object\"}", check_object},
};

static void schema_answers_are_valid(void **state)
{
    (void)state;
    for (size_t i = 0; i < MT_ARRAY_LEN(schemas); i++)
        for (int seed = 0; seed < 6; seed++) {
            struct rig_ask ask;
            struct rig_call call;
            ask_wildly(&ask, seed);
            ask.request.format = MT_FORMAT_SCHEMA;
            ask.request.schema_json = mt_str_of(schemas[i].schema);
            rig_run(&rig, &call, &ask.request);
            mt_check_row(schemas[i].name, call.is_ok);
            mt_check_row(schemas[i].name, call.choices[0].finish == MT_FINISH_STOP);
            const struct mt_json *v = parse(&call.choices[0].text);
            mt_check_row(schemas[i].name, schemas[i].check(v));
            rig_call_fini(&call);
        }
}

static void json_mode_gives_an_object(void **state)
{
    (void)state;
    for (int seed = 0; seed < 10; seed++) {
        struct rig_ask ask;
        struct rig_call call;
        ask_wildly(&ask, seed);
        ask.request.format = MT_FORMAT_JSON;
        rig_run(&rig, &call, &ask.request);
        assert_int_equal(call.choices[0].finish, MT_FINISH_STOP);
        assert_int_equal(mt_json_type(parse(&call.choices[0].text)), MT_JSON_OBJECT);
        rig_call_fini(&call);
    }
}

/* What could go on for ever is brought to its end before its tokens are out. */
static void endless_schemas_end_within_their_tokens(void **state)
{
    (void)state;
    static const char *const endless[] = {
        "{\"type\":\"object\"}",
        "{\"type\":\"string\",\"maxLength\":900}",
        "{\"type\":\"string\",\"pattern\":\"^[a-z]+$\"}",
        "{\"type\":\"string\",\"pattern\":\"^([A-Z]{2}-)+$\"}",
        "{\"type\":\"array\",\"items\":{\"type\":\"number\"},\"maxItems\":900}",
        "{\"type\":\"array\",\"items\":{\"$ref\":\"#\"}}",
        "{\"type\":\"object\",\"properties\":{\"v\":{\"type\":\"string\",\"maxLength\":900},"
        "\"next\":{\"$ref\":\"#\"}},\"required\":[\"v\"]}",
        "{\"anyOf\":[{\"type\":\"object\",\"properties\":{\"a\":{\"$ref\":\"#\"},"
        "\"b\":{\"$ref\":\"#\"}},\"required\":[\"a\"]},{\"type\":\"null\"}]}",
    };
    static const int limits[] = {40, 100, 200};

    for (size_t i = 0; i < MT_ARRAY_LEN(endless); i++)
        for (int seed = 0; seed < 9; seed++) {
            struct rig_ask ask;
            struct rig_call call;
            ask_wildly(&ask, seed);
            ask.request.format = MT_FORMAT_SCHEMA;
            ask.request.schema_json = mt_str_of(endless[i]);
            ask.request.max_tokens = (struct mt_opt_i64){true, limits[seed % 3]};
            rig_run(&rig, &call, &ask.request);
            mt_check_row(endless[i], call.choices[0].finish == MT_FINISH_STOP);
            (void)parse(&call.choices[0].text);
            rig_call_fini(&call);
        }
}

static struct mt_chat_tool tools[] = {
    {.name = MT_STR_INIT("add"),
     .description = MT_STR_INIT("adds"),
     .schema_json = MT_STR_INIT(
         "{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"integer\",\"minimum\":0,"
         "\"maximum\":99},\"b\":{\"type\":\"integer\"}},\"required\":[\"a\",\"b\"]}")},
    {.name = MT_STR_INIT("now")},
};

static void forced_calls_are_valid(void **state)
{
    (void)state;
    for (int seed = 0; seed < 8; seed++) {
        struct rig_ask ask;
        struct rig_call call;
        ask_wildly(&ask, seed);
        ask.request.tools = tools;
        ask.request.tools_n = 2;
        ask.request.tool_choice = seed < 4 ? MT_TOOLS_NAMED : MT_TOOLS_REQUIRED;
        ask.request.tool_choice_name = MT_STR("add");
        rig_run(&rig, &call, &ask.request);
        if (!call.is_ok)
            fail_msg("%s", call.message);
        assert_int_equal(call.choices[0].calls_n, 1);
        assert_int_equal(call.choices[0].finish, MT_FINISH_TOOL_CALLS);
        assert_int_equal(call.choices[0].text.len, 0);
        const struct mt_json *args = parse(&call.choices[0].args);
        bool is_add = mt_str_is(mt_buf_str(&call.choices[0].names), "add\n");
        assert_true(is_add || seed >= 4);
        if (is_add)
            assert_true(is_count(mt_json_get(args, "a"), 0, 99));
        else
            assert_int_equal(mt_json_count(args), 0);
        rig_call_fini(&call);
    }
}

static void parallel_calls_come_one_after_the_other(void **state)
{
    (void)state;
    unsigned most = 0;

    for (int seed = 0; seed < 8; seed++) {
        struct rig_ask ask;
        struct rig_call call;
        ask_wildly(&ask, seed);
        ask.request.tools = tools;
        ask.request.tools_n = 2;
        ask.request.tool_choice = MT_TOOLS_REQUIRED;
        ask.request.parallel_tools = MT_YES;
        ask.request.sampling.logit_bias_json = MT_STR("{\"13\":100}"); /* line breaks */
        rig_run(&rig, &call, &ask.request);
        assert_true(call.is_ok);
        assert_true(call.choices[0].calls_n >= 1 && call.choices[0].calls_n <= 8);
        most = call.choices[0].calls_n > most ? call.choices[0].calls_n : most;
        rig_call_fini(&call);
    }
    assert_true(most > 1);
}

static void tools_left_to_choose_do_not_bind_the_text(void **state)
{
    (void)state;
    struct rig_ask ask = {.request = {.kind = MT_CHAT_CONVERSATION}};
    struct rig_call call;

    rig_say(&ask, MT_ROLE_USER, "upper motet");
    ask.request.tools = tools;
    ask.request.tools_n = 2;
    ask.request.logprobs = true;
    rig_run(&rig, &call, &ask.request);
    assert_true(call.is_ok);
    assert_int_equal(call.choices[0].calls_n, 0);
    assert_true(call.choices[0].text.len > 0);
    assert_int_equal(call.choices[0].finish, MT_FINISH_STOP);
    rig_call_fini(&call);

    ask.request.sampling.logit_bias_json = MT_STR("{\"126\":100}"); /* it wants to say "{" */
    ask.request.max_tokens = (struct mt_opt_i64){true, 100};
    rig_run(&rig, &call, &ask.request);
    assert_true(call.is_ok);
    assert_int_equal(call.choices[0].calls_n, 1);
    parse(&call.choices[0].args);
    rig_call_fini(&call);
}

static void a_turn_with_calls_and_results_is_understood(void **state)
{
    (void)state;
    struct rig_ask ask = {.request = {.kind = MT_CHAT_CONVERSATION}};
    struct rig_call call;

    rig_say(&ask, MT_ROLE_USER, "1+2");
    rig_say(&ask, MT_ROLE_ASSISTANT, "");
    ask.parts[1] = (struct mt_chat_part){.kind = MT_PART_TOOL_CALL,
                                         .id = MT_STR("c1"),
                                         .name = MT_STR("add"),
                                         .json = MT_STR("{\"a\":1,\"b\":2}")};
    rig_say(&ask, MT_ROLE_TOOL, "");
    ask.parts[2] = (struct mt_chat_part){
        .kind = MT_PART_TOOL_RESULT, .id = MT_STR("c1"), .text = MT_STR("3")};
    ask.request.tools = tools;
    ask.request.tools_n = 2;
    rig_run(&rig, &call, &ask.request);
    assert_true(call.is_ok);
    assert_true(call.usage.input_tokens > 120); /* tools, call and result are in the prompt */
    rig_call_fini(&call);
}

static void schemas_that_make_no_sense_are_refused(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "[]",
        "{\"type\":\"colour\"}",
        "{\"enum\":[]}",
        "{\"$ref\":\"#/$defs/none\"}",
        "{\"$ref\":\"http://elsewhere\"}",
        "{\"type\":\"integer\",\"minimum\":5,\"maximum\":4}",
        "{\"type\":\"array\",\"minItems\":3,\"maxItems\":2}",
        "{not json",
    };

    for (size_t i = 0; i < MT_ARRAY_LEN(wrong); i++) {
        struct rig_ask ask;
        struct rig_call call;
        struct mt_err err = {0};
        ask_wildly(&ask, 1);
        ask.request.format = MT_FORMAT_SCHEMA;
        ask.request.schema_json = mt_str_of(wrong[i]);
        rig_call_init(&call, &rig);
        mt_rc rc = rig_start(&rig, &call, &ask.request, &err);
        mt_check_row(wrong[i], rc == MT_E_INVALID || rc == MT_E_UNSUPPORTED);
        mt_check_row(wrong[i], strstr(err.text, "schema") != NULL);
        rig_call_fini(&call);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(schema_answers_are_valid),
        cmocka_unit_test(json_mode_gives_an_object),
        cmocka_unit_test(endless_schemas_end_within_their_tokens),
        cmocka_unit_test(forced_calls_are_valid),
        cmocka_unit_test(parallel_calls_come_one_after_the_other),
        cmocka_unit_test(tools_left_to_choose_do_not_bind_the_text),
        cmocka_unit_test(a_turn_with_calls_and_results_is_understood),
        cmocka_unit_test(schemas_that_make_no_sense_are_refused),
    };
    return cmocka_run_group_tests(tests, open_rig, close_rig);
}
