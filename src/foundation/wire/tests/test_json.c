/* SPDX-License-Identifier: Apache-2.0 */
#include "support/test.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "wire/json.h"

/* Parse an exact-size copy on the heap, so that ASan sees any read past the text. */
struct parsed {
    struct mt_json_doc *doc;
    char *text;
    const struct mt_json *root;
    mt_rc rc;
    struct mt_err err;
};

static void parsed_fini(struct parsed *p)
{
    mt_json_doc_free(p->doc);
    mt_free(p->text);
}

static struct parsed parse(struct mt_str text)
{
    struct parsed p = {0};

    assert_int_equal(mt_json_doc_new(&p.doc, NULL), MT_OK);
    p.text = mt_alloc(text.len + MT_BUF_SLACK, 1);
    assert_non_null(p.text);
    if (text.len > 0)
        memcpy(p.text, text.at, text.len);
    p.rc = mt_json_parse(p.doc, (struct mt_str){p.text, text.len}, &p.root, &p.err);
    return p;
}

#define PARSE(name, text) MT_CLEANUP(parsed_fini) struct parsed name = parse(text)

static void valid_texts_are_taken(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum mt_json_type type;
        size_t count;
    } rows[] = {
        {"null", MT_JSON_NULL, 0},
        {" true ", MT_JSON_BOOL, 0},
        {"\r\n\t false\n", MT_JSON_BOOL, 0},
        {"0", MT_JSON_NUMBER, 0},
        {"-0", MT_JSON_NUMBER, 0},
        {"-0.0e-0", MT_JSON_NUMBER, 0},
        {"1E+2", MT_JSON_NUMBER, 0},
        {"1e400", MT_JSON_NUMBER, 0},
        {"123456789012345678901234567890", MT_JSON_NUMBER, 0},
        {"\"\"", MT_JSON_STRING, 0},
        {"\"\\\"\"", MT_JSON_STRING, 0},
        {"\"\\\\\"", MT_JSON_STRING, 0},
        {"\"\\u0000\\uD834\\udd1e\\/\\b\\f\\n\\r\\t\"", MT_JSON_STRING, 0},
        {"\"\\uD800\"", MT_JSON_STRING, 0}, /* lone surrogates are JSON all the same */
        {"\"\x7F\xC2\x80\xEF\xBF\xBF\xF4\x8F\xBF\xBF\"", MT_JSON_STRING, 0},
        {"\"[1,2]{:}\"", MT_JSON_STRING, 0},
        {"[]", MT_JSON_ARRAY, 0},
        {"[ ]", MT_JSON_ARRAY, 0},
        {"{}", MT_JSON_OBJECT, 0},
        {"[[],[[]],{}]", MT_JSON_ARRAY, 3},
        {"[1,\"a\",null , true]", MT_JSON_ARRAY, 4},
        {"{\"a\":1,\"a\":2,\"\":3}", MT_JSON_OBJECT, 3},
        {"{\"a\" : { \"b\" : [ ] } , \"c\":0}", MT_JSON_OBJECT, 2},
    };

    for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
        PARSE(p, mt_str_of(rows[i].text));
        mt_check_row(rows[i].text, p.rc == MT_OK);
        mt_check_row(rows[i].text, mt_json_type(p.root) == rows[i].type);
        mt_check_row(rows[i].text, mt_json_count(p.root) == rows[i].count);
        mt_check_row(rows[i].text,
                     mt_str_eq(mt_json_raw(p.root), mt_str_trim(mt_str_of(rows[i].text))));
        mt_check_row(rows[i].text, mt_json_next(p.root) == NULL);
    }
}

#define BAD(text, words)         \
    {                            \
        MT_STR_INIT(text), words \
    }

static void bad_texts_are_refused_with_their_place(void **state)
{
    (void)state;
    static const struct {
        struct mt_str text;
        const char *words;
    } rows[] = {
        BAD("", "byte 0: expected a value, found the end of the text"),
        BAD(" \n ", "byte 3: expected a value, found the end of the text"),
        BAD("\xEF\xBB\xBF{}", "byte 0: expected a value, found 0xef"),
        BAD("nul", "byte 0: expected a value, found 'n'"),
        BAD("True", "byte 0: expected a value, found 'T'"),
        BAD("truefalse", "byte 0: expected a value, found 't'"),
        BAD("NaN", "byte 0: expected a value, found 'N'"),
        BAD("-Infinity", "byte 0: expected a value, found '-'"),
        BAD("'a'", "byte 0: expected a value, found '''"),
        BAD("01", "byte 0: expected a value, found '0'"),
        BAD("-", "byte 0: expected a value, found '-'"),
        BAD("-01", "byte 0: expected a value, found '-'"),
        BAD("+1", "byte 0: expected a value, found '+'"),
        BAD("1.", "byte 0: expected a value, found '1'"),
        BAD(".5", "byte 0: expected a value, found '.'"),
        BAD("1.e1", "byte 0: expected a value, found '1'"),
        BAD("1e", "byte 0: expected a value, found '1'"),
        BAD("1e+", "byte 0: expected a value, found '1'"),
        BAD("0x10", "byte 0: expected a value, found '0'"),
        BAD("1_000", "byte 0: expected a value, found '1'"),
        BAD("12\"a\"", "byte 0: expected a value, found '1'"),
        BAD("1 2", "byte 2: expected the end of the text, found '2'"),
        BAD("{} x", "byte 3: expected the end of the text, found 'x'"),
        BAD("[]]", "byte 2: expected the end of the text, found ']'"),
        BAD("1\0", "byte 0: expected a value, found '1'"),
        BAD("1 \0", "byte 2: expected the end of the text, found 0x00"),
        BAD("[1\f]", "byte 2: expected ',' or ']', found 0x0c"),
        BAD("[1,]", "byte 3: expected a value, found ']'"),
        BAD("[,1]", "byte 1: expected a value, found ','"),
        BAD("[1 2]", "byte 3: expected ',' or ']', found '2'"),
        BAD("[1:2]", "byte 2: expected ',' or ']', found ':'"),
        BAD("[1}", "byte 2: expected ',' or ']', found '}'"),
        BAD("[", "byte 1: expected a value, found the end of the text"),
        BAD("[1", "byte 2: expected ',' or ']', found the end of the text"),
        BAD("[1,", "byte 3: expected a value, found the end of the text"),
        BAD("{", "byte 1: expected a key, found the end of the text"),
        BAD("{1:2}", "byte 1: expected a key, found '1'"),
        BAD("{\"a\"}", "byte 4: expected ':', found '}'"),
        BAD("{\"a\":}", "byte 5: expected a value, found '}'"),
        BAD("{\"a\":1,}", "byte 7: expected a key, found '}'"),
        BAD("{\"a\":1 \"b\":2}", "byte 7: expected ',' or '}', found '\"'"),
        BAD("{\"a\" \"b\"}", "byte 5: expected ':', found '\"'"),
        BAD("{\"a\\x\":1}", "byte 3: unknown escape in a string"),
        BAD("// no\n1", "byte 0: expected a value, found '/'"),
        BAD("\"a", "byte 0: string without end"),
        BAD("[\"a\", \"b]", "byte 6: string without end"),
        BAD("\"a\\\"", "byte 0: string without end"),
        BAD("\"a\"b", "byte 3: expected the end of the text, found 'b'"),
        BAD("\"a\"\"b\"", "byte 3: expected the end of the text, found '\"'"),
        BAD("\"a\nb\"", "byte 2: expected no bare control character in a string, found 0x0a"),
        BAD("\"a\\\nb\"", "byte 3: expected no bare control character in a string, found 0x0a"),
        BAD("\"\0\"", "byte 1: expected no bare control character in a string, found 0x00"),
        BAD("\"ab\\q\"", "byte 3: unknown escape in a string"),
        BAD("\"\\u12G4\"", "byte 1: unknown escape in a string"),
        BAD("\"\\u123\"", "byte 1: unknown escape in a string"),
        BAD("\"\\U0041\"", "byte 1: unknown escape in a string"),
        BAD("\"\xC0\x80\"", "byte 1: expected UTF-8, found 0xc0"),
        BAD("\"ab\xED\xA0\x80\"", "byte 3: expected UTF-8, found 0xed"),
        BAD("\"\xF4\x90\x80\x80\"", "byte 1: expected UTF-8, found 0xf4"),
        BAD("\"\xE2\x82\"", "byte 1: expected UTF-8, found 0xe2"),
        BAD("[1, \xFF]", "byte 4: expected UTF-8, found 0xff"),
    };

    for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
        PARSE(p, rows[i].text);
        if (p.rc != MT_E_INVALID || strcmp(p.err.text, rows[i].words) != 0)
            fail_msg("row %zu: wanted '%s', got '%s'", i, rows[i].words, p.err.text);
        assert_null(p.root);
    }
}

static void numbers_are_read_exactly(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool is_i64;
        int64_t i64;
        bool is_f64;
        double f64;
    } rows[] = {
        {"0", true, 0, true, 0},
        {"-0", true, 0, true, 0},
        {"3.0", true, 3, true, 3},
        {"3e0", true, 3, true, 3},
        {"30e-1", true, 3, true, 3},
        {"0.00300e3", true, 3, true, 3},
        {"1.5e1", true, 15, true, 15},
        {"3.5", false, 0, true, 3.5},
        {"1e18", true, 1000000000000000000, true, 1e18},
        {"1e19", false, 0, true, 1e19},
        {"9223372036854775807", true, INT64_MAX, true, 9223372036854775808.0},
        {"-9223372036854775808", true, INT64_MIN, true, -9223372036854775808.0},
        {"-9223372036854775808.0", true, INT64_MIN, true, -9223372036854775808.0},
        {"9223372036854775808", false, 0, true, 9223372036854775808.0},
        {"0e999999999999999999999", true, 0, true, 0},
        {"1e999999999999999999999", false, 0, false, 0},
        {"1e-999999999999999999999", false, 0, true, 0},
        {"-1e-400", false, 0, true, 0},
        {"1e400", false, 0, false, 0},
        {"0.1", false, 0, true, 0.1},
        {"2.2250738585072011e-308", false, 0, true, 2.2250738585072011e-308},
        {"0.1000000000000000055511151231257827021181583404541015625000000000000000000000000001",
         false, 0, true, 0.1},
        {"100000000000000000000000000000000000000000000000000000000000000000000000000000e-77",
         true, 1, true, 1},
    };

    for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
        PARSE(p, mt_str_of(rows[i].text));
        int64_t i64 = -7;
        double f64 = -7;
        mt_check_row(rows[i].text, p.rc == MT_OK);
        mt_check_row(rows[i].text,
                     mt_json_i64(p.root, INT64_MIN, INT64_MAX, &i64) == rows[i].is_i64);
        mt_check_row(rows[i].text, i64 == (rows[i].is_i64 ? rows[i].i64 : -7));
        mt_check_row(rows[i].text, mt_json_f64(p.root, &f64) == rows[i].is_f64);
        mt_check_row(rows[i].text, fabs(f64 - (rows[i].is_f64 ? rows[i].f64 : -7)) <= 0);
    }
}

static void integers_outside_their_bounds_are_no_integers(void **state)
{
    (void)state;
    int64_t found = -7;
    PARSE(p, MT_STR("[5, true, \"5\"]"));
    const struct mt_json *five = mt_json_first(p.root);

    assert_true(mt_json_i64(five, 5, 5, &found));
    assert_int_equal(found, 5);
    assert_false(mt_json_i64(five, 6, 9, &found));
    assert_false(mt_json_i64(five, 0, 4, &found));
    assert_false(mt_json_i64(mt_json_next(five), 0, 9, &found));
    assert_false(mt_json_i64(mt_json_next(mt_json_next(five)), 0, 9, &found));
    assert_false(mt_json_i64(NULL, 0, 9, &found));
    assert_int_equal(found, 5);
}

/* A run of backslashes pairs up from its beginning, wherever that falls in a block. */
static void backslashes_pair_up_at_every_distance(void **state)
{
    (void)state;
    enum { BEFORE_MAX = 70, RUN_MAX = 140 };

    for (size_t before = 0; before <= BEFORE_MAX; before++) {
        for (size_t run = 1; run <= RUN_MAX; run++) {
            MT_CLEANUP(mt_buf_fini) struct mt_buf text = MT_BUF_INIT(1024);
            char words[64];

            mt_buf_add_char(&text, '"');
            for (size_t i = 0; i < before; i++)
                mt_buf_add_char(&text, 'a');
            for (size_t i = 0; i < run; i++)
                mt_buf_add_char(&text, '\\');
            mt_buf_add_cstr(&text, "q\"");
            PARSE(p, mt_buf_str(&text));
            snprintf(words, sizeof words, "byte %zu: unknown escape in a string", before + run);
            if (run % 2 == 0 ? p.rc != MT_OK
                             : p.rc != MT_E_INVALID || strcmp(p.err.text, words) != 0)
                fail_msg("%zu bytes, %zu backslashes: got %d '%s'", before, run, (int)p.rc,
                         p.err.text);
        }
    }
}

static void strings_are_unescaped_on_demand(void **state)
{
    (void)state;
    static const struct {
        struct mt_str text;
        struct mt_str plain;
    } rows[] = {
        {MT_STR_INIT("\"\""), MT_STR_INIT("")},
        {MT_STR_INIT("\"plain \xC3\xA9\""), MT_STR_INIT("plain \xC3\xA9")},
        {MT_STR_INIT("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\""), MT_STR_INIT("\"\\/\b\f\n\r\t")},
        {MT_STR_INIT("\"a\\u0000b\""), MT_STR_INIT("a\0b")},
        {MT_STR_INIT("\"\\u0041\\u00e9\\u20AC\""), MT_STR_INIT("A\xC3\xA9\xE2\x82\xAC")},
        {MT_STR_INIT("\"\\uD83D\\uDE00!\""), MT_STR_INIT("\xF0\x9F\x98\x80!")},
        {MT_STR_INIT("\"\\uDBFF\\uDFFF\""), MT_STR_INIT("\xF4\x8F\xBF\xBF")},
        {MT_STR_INIT("\"\\uD800\""), MT_STR_INIT("\xEF\xBF\xBD")},
        {MT_STR_INIT("\"\\uDE00x\""), MT_STR_INIT("\xEF\xBF\xBDx")},
        {MT_STR_INIT("\"\\uD83D\\n\""), MT_STR_INIT("\xEF\xBF\xBD\n")},
        {MT_STR_INIT("\"\\uD83D\\u0041\""), MT_STR_INIT("\xEF\xBF\xBD"
                                                        "A")},
        {MT_STR_INIT("\"\\uD83D\\uD83D\\uDE00\""), MT_STR_INIT("\xEF\xBF\xBD\xF0\x9F\x98\x80")},
    };
    MT_CLEANUP(mt_arena_fini) struct mt_arena arena = MT_ARENA_INIT(4096);

    for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
        PARSE(p, rows[i].text);
        struct mt_str plain;
        mt_check_row(rows[i].text.at, p.rc == MT_OK);
        mt_check_row(rows[i].text.at, mt_json_str(p.root, &arena, &plain));
        mt_check_row(rows[i].text.at, mt_str_eq(plain, rows[i].plain));
        bool has_nul = memchr(plain.at, 0, plain.len) != NULL;
        MT_CLEANUP(mt_freep) char *cstr = mt_alloc_cstr(plain);
        mt_check_row(rows[i].text.at, mt_json_is(p.root, cstr) == !has_nul);
        mt_check_row(rows[i].text.at, !mt_json_is(p.root, "something else"));
    }
}

static void members_are_found_by_their_unescaped_key(void **state)
{
    (void)state;
    PARSE(p, MT_STR("{\"a\":1,\"\\u0061\":2,\"b\\n\":3,\"n\\u0000\":4,\"\":5,\"a\":6}"));
    static const struct {
        const char *key;
        const char *raw;
    } rows[] = {{"a", "1"}, {"b\n", "3"}, {"", "5"}};

    for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++)
        mt_check_row(rows[i].key,
                     mt_str_is(mt_json_raw(mt_json_get(p.root, rows[i].key)), rows[i].raw));
    assert_null(mt_json_get(p.root, "n"));
    assert_null(mt_json_get(p.root, "aa"));
    assert_null(mt_json_get(mt_json_first(p.root), "a"));
    assert_null(mt_json_get(NULL, "a"));

    MT_CLEANUP(mt_arena_fini) struct mt_arena arena = MT_ARENA_INIT(4096);
    const struct mt_json *second = mt_json_next(mt_json_first(p.root));
    struct mt_str key;
    assert_true(mt_str_is(mt_json_key(second), "\\u0061"));
    assert_true(mt_json_key_str(second, &arena, &key) && mt_str_is(key, "a"));
    assert_true(mt_json_key_str(mt_json_first(p.root), &arena, &key) && mt_str_is(key, "a"));
    assert_true(mt_json_key_str(mt_json_get(p.root, ""), &arena, &key) && key.len == 0);
    assert_false(mt_json_key_str(p.root, &arena, &key));
    assert_false(mt_json_key_str(NULL, &arena, &key));
}

static void children_are_walked_in_order_with_their_raw_bytes(void **state)
{
    (void)state;
    PARSE(p, MT_STR("{\"x\":[1, {\"y\":[]} ,\"s\" ],\"z\" : { } }"));
    const struct mt_json *x = mt_json_first(p.root);
    const struct mt_json *z = mt_json_next(x);
    const struct mt_json *one = mt_json_first(x);
    const struct mt_json *object = mt_json_next(one);

    assert_true(mt_str_is(mt_json_raw(x), "[1, {\"y\":[]} ,\"s\" ]"));
    assert_true(mt_str_is(mt_json_key(x), "x"));
    assert_true(mt_str_is(mt_json_raw(z), "{ }"));
    assert_true(mt_str_is(mt_json_key(z), "z"));
    assert_null(mt_json_next(z));
    assert_null(mt_json_first(z));
    assert_int_equal(mt_json_key(one).len, 0);
    assert_true(mt_str_is(mt_json_raw(object), "{\"y\":[]}"));
    assert_true(mt_json_is(mt_json_next(object), "s"));
    assert_null(mt_json_next(mt_json_next(object)));
}

static void absent_values_answer_politely(void **state)
{
    (void)state;
    bool flag = true;
    double number = 1;
    struct mt_str text = MT_STR("kept");

    assert_int_equal(mt_json_type(NULL), MT_JSON_NONE);
    assert_null(mt_json_first(NULL));
    assert_null(mt_json_next(NULL));
    assert_int_equal(mt_json_count(NULL), 0);
    assert_int_equal(mt_json_raw(NULL).len, 0);
    assert_int_equal(mt_json_key(NULL).len, 0);
    assert_false(mt_json_is(NULL, ""));
    assert_false(mt_json_str(NULL, NULL, &text));
    assert_false(mt_json_f64(NULL, &number));
    assert_false(mt_json_bool(NULL, &flag));
    assert_true(mt_str_is(text, "kept"));
    for (int type = MT_JSON_NONE; type <= MT_JSON_OBJECT; type++)
        assert_true(strlen(mt_json_type_name((enum mt_json_type)type)) > 3);
}

static void booleans_are_read(void **state)
{
    (void)state;
    PARSE(p, MT_STR("[true,false,null]"));
    const struct mt_json *at = mt_json_first(p.root);
    bool flag = false;

    assert_true(mt_json_bool(at, &flag) && flag);
    at = mt_json_next(at);
    assert_true(mt_json_bool(at, &flag) && !flag);
    assert_false(mt_json_bool(mt_json_next(at), &flag));
}

static void nesting_is_bounded(void **state)
{
    (void)state;
    char text[4 * MT_JSON_DEPTH_MAX];

    for (size_t depth = MT_JSON_DEPTH_MAX; depth <= MT_JSON_DEPTH_MAX + 1; depth++) {
        memset(text, '[', depth);
        memset(text + depth, ']', depth);
        PARSE(p, ((struct mt_str){text, 2 * depth}));
        assert_int_equal(p.rc, depth <= MT_JSON_DEPTH_MAX ? MT_OK : MT_E_TOOBIG);
    }
    memset(text, '[', sizeof text);
    PARSE(p, ((struct mt_str){text, sizeof text}));
    assert_int_equal(p.rc, MT_E_TOOBIG);
    assert_string_equal(p.err.text, "byte 128: nested more than 128 deep");
}

static struct mt_str zeros(struct mt_buf *buf, size_t n)
{
    mt_buf_clear(buf);
    mt_buf_add_char(buf, '[');
    for (size_t i = 1; i < n; i++)
        mt_buf_add_cstr(buf, i > 1 ? ",0" : "0");
    mt_buf_add_char(buf, ']');
    assert_int_equal(mt_buf_check(buf, "zeros", NULL), MT_OK);
    return mt_buf_str(buf);
}

static void the_number_of_values_is_bounded(void **state)
{
    (void)state;
    MT_CLEANUP(mt_buf_fini) struct mt_buf buf = MT_BUF_INIT(8 << 20);
    {
        PARSE(most, zeros(&buf, MT_JSON_NODES_MAX));
        assert_int_equal(most.rc, MT_OK);
        assert_int_equal(mt_json_count(most.root), MT_JSON_NODES_MAX - 1);
    }
    PARSE(more, zeros(&buf, MT_JSON_NODES_MAX + 1));
    assert_int_equal(more.rc, MT_E_TOOBIG);
}

static void a_document_is_used_again_and_again(void **state)
{
    (void)state;
    MT_CLEANUP(mt_buf_fini) struct mt_buf buf = MT_BUF_INIT(1 << 20);
    MT_CLEANUP(mt_json_doc_freep) struct mt_json_doc *doc = NULL;
    const struct mt_json *root = NULL;

    assert_int_equal(mt_json_doc_new(&doc, NULL), MT_OK);
    assert_int_equal(mt_json_parse(doc, MT_STR("{\"a\":[1,2]}"), &root, NULL), MT_OK);
    long made = mt_alloc_made;
    for (int i = 0; i < 100; i++)
        assert_int_equal(mt_json_parse(doc, MT_STR("{\"b\":[1,2,3]}"), &root, NULL), MT_OK);
    assert_int_equal(mt_alloc_made, made); /* the budget: no allocation in steady state */
    assert_int_equal(mt_json_count(mt_json_get(root, "b")), 3);
    assert_int_equal(mt_json_parse(doc, zeros(&buf, 5000), &root, NULL), MT_OK);
    assert_int_equal(mt_json_count(root), 4999);
    long live = mt_alloc_live;
    mt_json_doc_clear(doc);
    assert_int_equal(mt_alloc_live, live - 1); /* what was large is given back */
    assert_int_equal(mt_json_parse(doc, MT_STR("[1,"), &root, NULL), MT_E_INVALID);
    assert_int_equal(mt_json_parse(doc, MT_STR("7"), &root, NULL), MT_OK);
    assert_int_equal(mt_json_type(root), MT_JSON_NUMBER);
}

static mt_rc parse_and_unescape(struct mt_str text)
{
    MT_CLEANUP(mt_json_doc_freep) struct mt_json_doc *doc = NULL;
    MT_CLEANUP(mt_arena_fini) struct mt_arena arena = MT_ARENA_INIT(1 << 20);
    const struct mt_json *root = NULL;
    struct mt_str plain;

    MT_TRY(mt_json_doc_new(&doc, NULL));
    MT_TRY(mt_json_parse(doc, text, &root, NULL));
    if (!mt_json_str(mt_json_first(root), &arena, &plain))
        return mt_arena_fail(&arena, NULL);
    assert_true(mt_str_is(plain, "\n"));
    return MT_OK;
}

static void parse_survives_any_failed_allocation(void **state)
{
    (void)state;
    MT_CLEANUP(mt_buf_fini) struct mt_buf buf = MT_BUF_INIT(4096);

    mt_buf_add_cstr(&buf, "[\"\\n\"");
    for (int i = 0; i < 400; i++)
        mt_buf_add_cstr(&buf, ",[]");
    mt_buf_add_char(&buf, ']');
    long live = mt_alloc_live;
    for (long nth = 0;; nth++) {
        mt_alloc_fail_after = nth;
        mt_rc rc = parse_and_unescape(mt_buf_str(&buf));
        mt_alloc_fail_after = -1;
        assert_int_equal(mt_alloc_live, live);
        if (rc == MT_OK) {
            assert_true(nth > 2);
            break;
        }
        assert_int_equal(rc, MT_E_NOMEM);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(valid_texts_are_taken),
        cmocka_unit_test(bad_texts_are_refused_with_their_place),
        cmocka_unit_test(numbers_are_read_exactly),
        cmocka_unit_test(integers_outside_their_bounds_are_no_integers),
        cmocka_unit_test(backslashes_pair_up_at_every_distance),
        cmocka_unit_test(strings_are_unescaped_on_demand),
        cmocka_unit_test(members_are_found_by_their_unescaped_key),
        cmocka_unit_test(children_are_walked_in_order_with_their_raw_bytes),
        cmocka_unit_test(absent_values_answer_politely),
        cmocka_unit_test(booleans_are_read),
        cmocka_unit_test(nesting_is_bounded),
        cmocka_unit_test(the_number_of_values_is_bounded),
        cmocka_unit_test(a_document_is_used_again_and_again),
        cmocka_unit_test(parse_survives_any_failed_allocation),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
