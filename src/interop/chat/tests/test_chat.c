/* SPDX-License-Identifier: Apache-2.0 */
#include "chat_fixture.h"

#include "chat_priv.h"

static void a_wrong_type_names_its_place(void **state)
{
    (void)state;
    struct fixture f;
    struct mt_str text = {NULL, 0};
    struct mt_opt_f64 number = {0};
    struct mt_opt_i64 integer = {0};
    bool flag = false;
    struct mt_str list[2];
    size_t list_n = 0;

    fixture_init(&f);
    const struct mt_json *o =
        fixture_json(&f, "{\"s\":[1],\"n\":\"x\",\"f\":3,\"i\":1.5,\"b\":{},\"l\":[\"a\",7],"
                         "\"m\":[\"a\",\"b\",\"c\"],\"z\":null}");

    assert_int_equal(mt_chat__str(o, "a[1]", "s", &f.arena, &text, &f.err), MT_E_INVALID);
    assert_string_equal(f.err.text, "a[1].s: expected a string, found an array");
    assert_int_equal(mt_chat__f64(o, "", "n", 0, 2, &number, &f.err), MT_E_INVALID);
    assert_string_equal(f.err.text, "n: expected a number between 0 and 2, found a string");
    assert_int_equal(mt_chat__f64(o, "", "f", 0, 2, &number, &f.err), MT_E_INVALID);
    assert_string_equal(f.err.text, "f: expected a number between 0 and 2, found 3");
    assert_int_equal(mt_chat__i64(o, "", "i", 1, 9, &integer, &f.err), MT_E_INVALID);
    assert_string_equal(f.err.text, "i: expected an integer between 1 and 9, found 1.5");
    assert_int_equal(mt_chat__bool(o, "", "b", &flag, &f.err), MT_E_INVALID);
    assert_string_equal(f.err.text, "b: expected a boolean, found an object");
    assert_int_equal(mt_chat__strs(o, "", "l", 2, &f.arena, list, &list_n, &f.err),
                     MT_E_INVALID);
    assert_string_equal(f.err.text, "l[1]: expected a string, found a number");
    assert_int_equal(mt_chat__strs(o, "x", "m", 2, &f.arena, list, &list_n, &f.err),
                     MT_E_INVALID);
    assert_string_equal(f.err.text, "x.m: expected at most 2 strings, found 3");
    assert_int_equal(mt_chat__str(o, "", "z", &f.arena, &text, &f.err), MT_OK);
    assert_int_equal(mt_chat__str(o, "", "absent", &f.arena, &text, &f.err), MT_OK);
    assert_null(text.at);
    fixture_fini(&f);
}

static void places_are_put_in_front_on_the_way_up(void **state)
{
    (void)state;
    struct mt_err err = {0};

    mt_rc rc = MT_FAIL(&err, MT_E_INVALID, "content: expected a string, found null");
    rc = mt_chat__within(&err, rc, "messages[%d]", 2);
    assert_int_equal(rc, MT_E_INVALID);
    assert_string_equal(err.text, "messages[2].content: expected a string, found null");
    rc = MT_FAIL(&err, MT_E_INVALID, "expected an object, found null");
    rc = mt_chat__within(&err, rc, "tools[%d]", 0);
    assert_string_equal(err.text, "tools[0]: expected an object, found null");
    rc = MT_FAIL(&err, MT_E_NOMEM, "no memory");
    rc = mt_chat__within(&err, rc, "tools[%d]", 0);
    assert_int_equal(rc, MT_E_NOMEM);
    assert_string_equal(err.text, "no memory");
}

static void unknown_fields_are_kept_and_told(void **state)
{
    (void)state;
    static const char *const known[] = {"model", NULL};
    struct fixture f;
    struct mt_jw w;

    fixture_init(&f);
    struct mt_chat_request r = {.arena = &f.arena, .dialect = MT_DIALECT_OLLAMA_CHAT};
    const struct mt_json *o = fixture_json(
        &f, "{\"model\":\"m\",\"motet\":{},\"a\":[1, 2],\"n\":null,\"o\":{\"x\":1,\"y\":2}}");

    assert_int_equal(mt_chat__extras(o, "", known, &r, &f.err), MT_OK);
    assert_int_equal(mt_chat__extras(mt_json_get(o, "o"), "o.",
                                     (const char *const[]){"y", NULL}, &r, &f.err),
                     MT_OK);
    assert_int_equal(r.extras_n, 3);
    mt_jw_begin(&w, &f.out);
    mt_jw_object(&w);
    mt_chat__write_extras(&r, MT_DIALECT_OLLAMA_CHAT, "ollama", &w, &f.notes);
    mt_chat__write_extras_under(&r, "o.", &w);
    mt_jw_end(&w);
    assert_string_equal(mt_buf_cstr(&f.out), "{\"a\":[1, 2],\"o\":{\"x\":1,\"y\":2},\"x\":1}");
    assert_int_equal(f.notes.text.len, 0);
    mt_chat__write_extras(&r, MT_DIALECT_GEMINI, "gemini", &w, &f.notes);
    assert_string_equal(mt_buf_cstr(&f.notes.text),
                        "a: not carried to gemini; o: not carried to gemini; o.x: not carried "
                        "to gemini");
    o = fixture_json(&f, "{\"mod\\u0065l\":\"m\"}");
    assert_int_equal(mt_chat__extras(o, "", known, &r, &f.err), MT_E_INVALID);
    fixture_fini(&f);
}

static void notes_are_bounded_and_printable(void **state)
{
    (void)state;
    struct mt_chat_notes notes;

    mt_chat_notes_init(&notes);
    mt_chat_note(&notes, "a\r\nb: \xc3\xa9");
    assert_string_equal(mt_buf_cstr(&notes.text), "a??b: ??");
    for (int i = 0; i < 1000; i++)
        mt_chat_note(&notes, "field number %d", i);
    assert_int_equal(notes.text.rc, MT_OK);
    assert_true(mt_str_ends(mt_buf_str(&notes.text), MT_STR("; ...")));
    mt_chat_notes_fini(&notes);
    mt_chat_note(NULL, "nobody listens");
}

static void splices_edit_and_leave_the_rest(void **state)
{
    (void)state;
    static const struct {
        const char *in, *out;
    } rows[] = {
        {"{\"model\":\"a\",\"x\": [1, 2]}", "{\"model\":\"b\",\"x\": [1, 2],\"s\":true}"},
        {"{ \"x\" : 1 , \"model\" : \"a\" }", "{ \"x\" : 1 , \"model\" : \"b\",\"s\":true }"},
        {"{\"motet\":{},\"x\":1}", "{\"x\":1,\"s\":true}"},
        {"{\"x\":1,\"motet\":{}}", "{\"x\":1,\"s\":true}"},
        {"{\"x\":1, \"motet\":{}, \"y\":2}", "{\"x\":1, \"y\":2,\"s\":true}"},
        {"{\"motet\":1}", "{\"s\":true}"},
        {"{}", "{\"s\":true}"},
        {"{\"s\":false}", "{\"s\":true}"},
        {"{\"model\":1,\"mod\\u0065l\":2,\"s\":0}", "{\"model\":\"b\",\"s\":true}"},
        {"  {\"a\":\"\\\"}\"}  ", "{\"a\":\"\\\"}\",\"s\":true}"},
    };
    static const struct mt_splice edits[] = {
        {"model", MT_STR_INIT("\"b\""), true},
        {"motet", {NULL, 0}, false},
        {"s", MT_STR_INIT("true"), false},
    };
    struct fixture f;

    fixture_init(&f);
    for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
        const struct mt_json *o = fixture_json(&f, rows[i].in);
        mt_buf_clear(&f.out);
        mt_splice(o, mt_buf_str(&f.text), edits, MT_ARRAY_LEN(edits), &f.out);
        mt_check_row(rows[i].in, strcmp(mt_buf_cstr(&f.out), rows[i].out) == 0);
    }
    fixture_fini(&f);
}

static void arguments_are_an_object_or_empty(void **state)
{
    (void)state;
    static const struct {
        const char *in, *out;
    } rows[] = {
        {"{\"a\":[1,-2.5e3,true,null,\"\\u00e9\\n\"],\"b\":{}}", NULL},
        {"{}", NULL},
        {"{\"a\":1,}", "{}"},
        {"{\"a\" 1}", "{}"},
        {"{\"a\":01}", "{}"},
        {"{\"a\":\"\\x\"}", "{}"},
        {"{\"a\":\"\t\"}", "{}"},
        {"{\"a\":1} x", "{}"},
        {"[1]", "{}"},
        {"\"text\"", "{}"},
        {"", "{}"},
        {"{\"a\":\"\xff\"}", "{}"},
        {"{", "{}"},
        {"{\"a\":tru}", "{}"},
    };
    char deep[1024] = "";

    for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
        struct mt_str got = mt_chat__object_or_empty(mt_str_of(rows[i].in));
        mt_check_row(rows[i].in,
                     mt_str_is(got, rows[i].out != NULL ? rows[i].out : rows[i].in));
    }
    strcpy(deep, "{\"a\":");
    memset(deep + 5, '[', 200);
    memset(deep + 205, ']', 200);
    strcpy(deep + 405, "}");
    assert_false(mt_chat__is_object(mt_str_of(deep)));

    struct mt_buf out = MT_BUF_INIT(100);
    struct mt_jw w;
    mt_jw_begin(&w, &out);
    mt_chat__write_object(&w, MT_STR(" {\n \"a\":\r\n 1\n}\n"));
    assert_string_equal(mt_buf_cstr(&out), "{  \"a\":   1 }");
    mt_buf_fini(&out);
}

static void media_urls_are_split(void **state)
{
    (void)state;
    static const struct {
        const char *url, *mime, *base64, *left;
    } rows[] = {
        {"data:image/png;base64,AAAA", "image/png", "AAAA", ""},
        {"DATA:image/png;x=y;base64,AA", "image/png", "AA", ""},
        {"data:;base64,AA", "", "AA", ""},
        {"data:text/plain,hello", "", "", "data:text/plain,hello"},
        {"https://a/b,c", "", "", "https://a/b,c"},
        {"", "", "", ""},
    };
    for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
        struct mt_chat_media media = {0};
        mt_chat__media_url(mt_str_of(rows[i].url), &media);
        mt_check_row(rows[i].url, mt_str_is(media.mime, rows[i].mime));
        mt_check_row(rows[i].url, mt_str_is(media.base64, rows[i].base64));
        mt_check_row(rows[i].url, mt_str_is(media.url, rows[i].left));
    }
}

static void text_parts_are_joined(void **state)
{
    (void)state;
    struct mt_arena arena = MT_ARENA_INIT(4096);
    struct mt_chat_part parts[] = {
        {.kind = MT_PART_TEXT, .text = MT_STR("a")},
        {.kind = MT_PART_IMAGE},
        {.kind = MT_PART_TEXT, .text = MT_STR("b")},
    };

    assert_true(mt_str_is(mt_chat__join_text(parts, 3, ", ", &arena), "a, b"));
    assert_ptr_equal(mt_chat__join_text(parts, 2, ", ", &arena).at, parts[0].text.at);
    assert_non_null(mt_chat__join_text(parts, 0, "", &arena).at);
    mt_arena_fini(&arena);
    mt_arena_init(&arena, 1);
    assert_null(mt_chat__join_text(parts, 3, ", ", &arena).at);
    mt_arena_fini(&arena);
}

static void lists_grow_in_an_arena(void **state)
{
    (void)state;
    struct mt_arena arena = MT_ARENA_INIT(1 << 20);
    int *items = NULL;

    for (int i = 0; i < 1000; i++) {
        items = mt_chat__push(&arena, items, (size_t)i, sizeof *items);
        assert_non_null(items);
        items[i] = i;
    }
    for (int i = 0; i < 1000; i++)
        assert_int_equal(items[i], i);
    mt_arena_fini(&arena);
}

static void efforts_and_budgets_match(void **state)
{
    (void)state;
    for (int e = MT_EFFORT_NONE; e <= MT_EFFORT_XHIGH; e++) {
        enum mt_chat_effort effort = (enum mt_chat_effort)e;
        assert_int_equal(mt_chat__effort_of(mt_str_of(mt_chat__effort_name(effort))), effort);
        assert_int_equal(mt_chat__budget_effort(mt_chat__effort_budget(effort)), effort);
    }
    assert_int_equal(mt_chat__effort_of(MT_STR("huge")), MT_EFFORT_UNSAID);
    assert_int_equal(mt_chat__budget_effort(-1), MT_EFFORT_UNSAID);
    assert_int_equal(mt_chat__budget_effort(1000000), MT_EFFORT_XHIGH);
}

static void error_bodies_of_any_shape_are_read(void **state)
{
    (void)state;
    static const struct {
        int status;
        const char *body;
        enum mt_chat_error_kind kind;
        const char *message, *code;
    } rows[] = {
        {400,
         "{\"error\":{\"message\":\"no\",\"type\":\"invalid_request_error\",\"param\":null,"
         "\"code\":null}}",
         MT_CHAT_ERR_INVALID, "no", "invalid_request_error"},
        {400, "{\"error\":{\"message\":\"x\",\"code\":\"context_length_exceeded\"}}",
         MT_CHAT_ERR_CONTEXT, "x", "context_length_exceeded"},
        {400, "{\"object\":\"error\",\"message\":\"maximum context length is 5\",\"code\":400}",
         MT_CHAT_ERR_CONTEXT, "maximum context length is 5", ""},
        {529,
         "{\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"o\"}}",
         MT_CHAT_ERR_OVERLOADED, "o", "overloaded_error"},
        {429,
         "[{\"error\":{\"code\":429,\"message\":\"q\",\"status\":\"RESOURCE_EXHAUSTED\"}}]",
         MT_CHAT_ERR_RATE_LIMIT, "q", "RESOURCE_EXHAUSTED"},
        {0, "{\"error\":{\"code\":503,\"message\":\"q\"}}", MT_CHAT_ERR_OVERLOADED, "q", ""},
        {0, "{\"error\":{\"type\":\"server_error\",\"message\":\"q\"}}", MT_CHAT_ERR_UPSTREAM,
         "q", "server_error"},
        {404, "{\"error\":\"model 'x' not found\"}", MT_CHAT_ERR_NOT_FOUND,
         "model 'x' not found", ""},
        {422, "{\"detail\":[{\"loc\":[\"body\"],\"msg\":\"field required\"}]}",
         MT_CHAT_ERR_INVALID, "field required", ""},
        {401, "{\"detail\":\"Unauthorized\"}", MT_CHAT_ERR_AUTH, "Unauthorized", ""},
        {500, "", MT_CHAT_ERR_UPSTREAM, "the endpoint answered 500", ""},
        {502, "<html><head><title>502 Bad Gateway</title>", MT_CHAT_ERR_UPSTREAM,
         "502 Bad Gateway", ""},
        {502, "<html>", MT_CHAT_ERR_UPSTREAM, "the endpoint answered 502", ""},
        {503, "  busy\n", MT_CHAT_ERR_OVERLOADED, "busy", ""},
        {500, "{}", MT_CHAT_ERR_UPSTREAM, "the endpoint answered 500", ""},
        {500, "\"oops\"", MT_CHAT_ERR_UPSTREAM, "oops", ""},
        {500, "[]", MT_CHAT_ERR_UPSTREAM, "the endpoint answered 500", ""},
    };
    struct fixture f;

    fixture_init(&f);
    for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
        struct mt_chat_scratch scratch = {f.doc, &f.arena};
        struct mt_chat_error error;
        mt_buf_clear(&f.text);
        mt_buf_add_cstr(&f.text, rows[i].body);
        mt_chat__read_error(rows[i].status, mt_buf_str(&f.text), &scratch, &error);
        mt_check_row(rows[i].body, error.kind == rows[i].kind);
        mt_check_row(rows[i].body, mt_str_is(error.message, rows[i].message));
        mt_check_row(rows[i].body, mt_str_is(error.code, rows[i].code));
        mt_check_row(rows[i].body, error.retry_after_ms == -1);
    }
    fixture_fini(&f);
}

static void kinds_statuses_and_failures_agree(void **state)
{
    (void)state;
    for (int k = 0; k < MT_CHAT_ERR_COUNT; k++) {
        enum mt_chat_error_kind kind = (enum mt_chat_error_kind)k;
        int status = mt_chat_error_status(kind);
        assert_true(status >= 400 && status < 600);
        assert_true(strlen(mt_chat_error_code(kind)) > 0);
        assert_int_equal(
            mt_chat_error_status(mt_chat_error_kind_of_status(status)),
            kind == MT_CHAT_ERR_INTERNAL ? mt_chat_error_status(MT_CHAT_ERR_UPSTREAM) : status);
    }
    assert_int_equal(mt_chat_error_kind_of(MT_E_BUDGET), MT_CHAT_ERR_BUDGET);
    assert_int_equal(mt_chat_error_kind_of(MT_E_NOMEM), MT_CHAT_ERR_INTERNAL);
    assert_int_equal(mt_chat_error_kind_of_status(418), MT_CHAT_ERR_INVALID);
}

static void every_codec_says_where_its_bodies_go(void **state)
{
    (void)state;
    static const struct {
        const struct mt_chat_codec *codec;
        const char *path, *count; /* of 42 tokens; NULL = no such question */
    } rows[] = {
        {&mt_codec_openai_chat, "/v1/chat/completions", NULL},
        {&mt_codec_openai_completions, "/v1/completions", NULL},
        {&mt_codec_openai_responses, "/v1/responses",
         "{\"object\":\"response.input_tokens\",\"input_tokens\":42}"},
        {&mt_codec_anthropic, "/v1/messages", "{\"input_tokens\":42}"},
        {&mt_codec_gemini, "/v1beta/models/m:generateContent", "{\"totalTokens\":42}"},
        {&mt_codec_ollama_chat, "/api/chat", NULL},
        {&mt_codec_ollama_generate, "/api/generate", NULL},
    };
    static const struct mt_chat_peek peek = {.n = 0};
    struct fixture f;

    fixture_init(&f);
    for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
        const struct mt_chat_codec *codec = rows[i].codec;

        mt_buf_clear(&f.path);
        mt_buf_clear(&f.out);
        codec->forward_path(&peek, MT_STR("m"), &f.path);
        mt_check_row(rows[i].path, mt_str_is(mt_buf_str(&f.path), rows[i].path));
        mt_check_row(rows[i].path,
                     (codec->encode_token_count != NULL) == (rows[i].count != NULL));
        if (rows[i].count == NULL)
            continue;
        codec->encode_token_count(42, &f.out);
        mt_check_row(rows[i].path, mt_str_is(mt_buf_str(&f.out), rows[i].count));
    }
    fixture_fini(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_wrong_type_names_its_place),
        cmocka_unit_test(places_are_put_in_front_on_the_way_up),
        cmocka_unit_test(unknown_fields_are_kept_and_told),
        cmocka_unit_test(notes_are_bounded_and_printable),
        cmocka_unit_test(splices_edit_and_leave_the_rest),
        cmocka_unit_test(arguments_are_an_object_or_empty),
        cmocka_unit_test(media_urls_are_split),
        cmocka_unit_test(text_parts_are_joined),
        cmocka_unit_test(lists_grow_in_an_arena),
        cmocka_unit_test(efforts_and_budgets_match),
        cmocka_unit_test(error_bodies_of_any_shape_are_read),
        cmocka_unit_test(kinds_statuses_and_failures_agree),
        cmocka_unit_test(every_codec_says_where_its_bodies_go),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
