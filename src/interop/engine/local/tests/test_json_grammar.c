/* SPDX-License-Identifier: Apache-2.0 */
/* JSON schemas as grammars: the text of small ones, ranges proven by a tiny matcher, limits. */
#include "support/test.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "chat/codec.h"
#include "json_closing.h"
#include "json_grammar.h"

static const struct mt_grammar_bounds tight = {
    .string_max = 8, .items_max = 3, .depth_max = 1, .is_compact = true};

/* The rules of the schema itself: those that begin with "r". */
static void rules_of(const char *schema, struct mt_buf *out, struct mt_chat_notes *notes)
{
    MT_CLEANUP(mt_buf_fini) struct mt_buf text = MT_BUF_INIT(MT_GRAMMAR_BYTES_MAX);
    struct mt_err err = {0};

    if (mt_grammar_schema(mt_str_of(schema), &tight, &text, notes, &err) < 0)
        fail_msg("%s: %s", schema, err.text);
    struct mt_str rest = mt_buf_str(&text);
    while (rest.len > 0) {
        struct mt_str line = mt_str_take(&rest, '\n');
        if (line.at[0] == 'r')
            mt_buf_addf(out, "%.*s\n", MT_STR_ARG(line));
    }
}

static void small_schemas_have_the_grammar_one_expects(void **state)
{
    (void)state;
    static const struct {
        const char *schema, *rules;
    } table[] = {
        {"{\"type\":\"boolean\"}", "r0 ::= (\"true\" | \"false\")\nroot ::= r0\n"},
        {"{\"const\":\"a\\\"b\"}", "r0 ::= \"\\\"a\\\\\\\"b\\\"\"\nroot ::= r0\n"},
        {"{\"type\":\"string\",\"minLength\":2}", "r0 ::= [\"] char{2,8} [\"]\nroot ::= r0\n"},
        {"{\"type\":\"string\",\"pattern\":\"^a{2,3}$\"}",
         "r0 ::= [\"] ( [a]{2,3}) [\"]\nroot ::= r0\n"},
        {"{\"type\":[\"null\",\"integer\"]}", "r0 ::= \"null\" | integer\nroot ::= r0\n"},
        {"{\"type\":\"string\",\"nullable\":true,\"maxLength\":1}",
         "r0 ::= [\"] char{0,1} [\"] | \"null\"\nroot ::= r0\n"},
        {"{\"type\":\"array\",\"items\":{\"const\":1},\"minItems\":2,\"maxItems\":4}",
         "r1 ::= \"1\"\nr0 ::= \"[\" r1 (\",\" r1){1,3} \"]\"\nroot ::= r0\n"},
        {"{\"properties\":{\"o\":{\"const\":1},\"r\":{\"const\":2}},\"required\":[\"r\"]}",
         "r1 ::= \"1\"\nr2 ::= \"\\\"o\\\":\" r1\nr3 ::= \"2\"\nr4 ::= \"\\\"r\\\":\" r3\n"
         "r0 ::= \"{\" (r2 \",\")? r4 \"}\"\nroot ::= r0\n"},
        {"{\"allOf\":[{\"$ref\":\"#/$defs/a\"},{\"required\":[\"x\"]}],\"$defs\":{\"a\":"
         "{\"properties\":{\"x\":{\"const\":1}}}}}",
         "r1 ::= \"1\"\nr2 ::= \"\\\"x\\\":\" r1\nr0 ::= \"{\" r2 \"}\"\nroot ::= r0\n"},
        {"{\"$ref\":\"#/$defs/a\",\"$defs\":{\"a\":{\"type\":\"null\"}}}",
         "r0 ::= r1\nr1 ::= \"null\"\nroot ::= r0\n"},
        {"true", "r0 ::= value1\nroot ::= r0\n"},
    };

    for (size_t i = 0; i < MT_ARRAY_LEN(table); i++) {
        MT_CLEANUP(mt_buf_fini) struct mt_buf rules = MT_BUF_INIT(1 << 16);
        rules_of(table[i].schema, &rules, NULL);
        if (strcmp(mt_buf_cstr(&rules), table[i].rules) != 0)
            fail_msg("%s:\n%s", table[i].schema, mt_buf_cstr(&rules));
    }
    assert_int_equal(mt_alloc_live, 0);
}

/* A schema of a few hundred bytes whose parts are 2^20 when one follows all ways. */
static void parts_that_fan_out_are_refused_soon(void **state)
{
    (void)state;
    MT_CLEANUP(mt_buf_fini) struct mt_buf schema = MT_BUF_INIT(1 << 16);
    MT_CLEANUP(mt_buf_fini) struct mt_buf out = MT_BUF_INIT(1 << 20);
    struct mt_err err = {0};

    mt_buf_add_cstr(&schema, "{\"allOf\":[{\"$ref\":\"#/$defs/a0\"},{}],\"$defs\":{");
    for (int i = 0; i < 20; i++)
        mt_buf_addf(&schema,
                    "\"a%d\":{\"allOf\":[{\"$ref\":\"#/$defs/a%d\"},"
                    "{\"$ref\":\"#/$defs/a%d\"}]},",
                    i, i + 1, i + 1);
    mt_buf_add_cstr(&schema, "\"a20\":{\"properties\":{\"x\":true}}}}");
    assert_int_equal(mt_grammar_schema(mt_buf_str(&schema), &tight, &out, NULL, &err),
                     MT_E_TOOBIG);
    assert_non_null(strstr(err.text, "allOf"));
}

/* Does the pattern of a range (digits, classes, repetitions, groups, |) match all of text? A
 * matcher by backtracking over the grammar's own text. */
static bool match_alternatives(const char **pattern, const char *text, size_t *ends, size_t *n);

static const char *skip_group(const char *p)
{
    int depth = 0;
    do {
        depth += *p == '(';
        depth -= *p == ')';
        p++;
    } while (depth > 0);
    return p;
}

/* All places where one sequence of atoms may end. */
static void match_sequence(const char *p, const char *text, size_t *ends, size_t *n)
{
    while (*p == ' ')
        p++;
    if (*p == '\0' || *p == '|' || *p == ')') {
        ends[(*n)++] = 0;
        return;
    }
    if (*p == '(') {
        size_t inner[64];
        size_t inner_n = 0;
        const char *inside = p + 1;
        match_alternatives(&inside, text, inner, &inner_n);
        for (size_t i = 0; i < inner_n; i++) {
            size_t before = *n;
            match_sequence(skip_group(p), text + inner[i], ends, n);
            for (size_t k = before; k < *n; k++)
                ends[k] += inner[i];
        }
        return;
    }
    if (*p == '"') { /* only the empty literal occurs */
        match_sequence(p + 2, text, ends, n);
        return;
    }
    assert_int_equal(*p, '[');
    char low = p[1];
    char high = p[2] == '-' && p[3] != ']' ? p[3] : low;
    p = strchr(p + 2, ']') + 1;
    int times = 1;
    if (*p == '{') {
        sscanf(p, "{%d}", &times);
        p = strchr(p, '}') + 1;
    }
    for (int i = 0; i < times; i++)
        if (text[i] < low || text[i] > high)
            return;
    size_t before = *n;
    match_sequence(p, text + times, ends, n);
    for (size_t k = before; k < *n; k++)
        ends[k] += (size_t)times;
}

static bool match_alternatives(const char **pattern, const char *text, size_t *ends, size_t *n)
{
    const char *p = *pattern;

    for (;;) {
        match_sequence(p, text, ends, n);
        while (*p != '\0' && *p != '|' && *p != ')')
            p = *p == '(' ? skip_group(p) : p + 1;
        if (*p != '|')
            break;
        p++;
    }
    for (size_t i = 0; i < *n; i++)
        if (text[ends[i]] == '\0')
            return true;
    return false;
}

static void ranges_hold_exactly_their_numbers(void **state)
{
    (void)state;
    static const struct {
        int64_t min, max;
    } table[] = {{0, 0},   {0, 9},    {7, 123},   {10, 99},   {95, 105},  {0, 100},
                 {1, 1},   {-5, 5},   {-123, -7}, {-1, 0},    {-100, 99}, {99, 101},
                 {19, 91}, {18, 199}, {-99, -1},  {100, 999}, {111, 119}};

    for (size_t i = 0; i < MT_ARRAY_LEN(table); i++) {
        MT_CLEANUP(mt_buf_fini) struct mt_buf gbnf = MT_BUF_INIT(1 << 16);
        mt_grammar__range(table[i].min, table[i].max, &gbnf);
        for (int64_t v = -1200; v <= 1200; v++) {
            char text[16];
            size_t ends[64];
            size_t n = 0;
            const char *p = mt_buf_cstr(&gbnf);
            snprintf(text, sizeof text, "%lld", (long long)v);
            bool is_in = v >= table[i].min && v <= table[i].max;
            if (match_alternatives(&p, text, ends, &n) != is_in)
                fail_msg("%lld in [%lld, %lld]: %s", (long long)v, (long long)table[i].min,
                         (long long)table[i].max, mt_buf_cstr(&gbnf));
        }
    }
    MT_CLEANUP(mt_buf_fini) struct mt_buf whole = MT_BUF_INIT(1 << 16);
    mt_grammar__range(INT64_MIN, INT64_MAX, &whole); /* no overflow */
    assert_int_equal(whole.rc, MT_OK);
}

static void patterns_outside_the_subset_are_noted(void **state)
{
    (void)state;
    static const char *const wrong[] = {"(?=a)b", "(a",     "a)",       "[a",
                                        "a{2",    "a{3,2}", "a**",      "\\bword",
                                        "a\"b",   "\\1",    "a{99999}", "^*"};
    struct mt_chat_notes notes;

    for (size_t i = 0; i < MT_ARRAY_LEN(wrong); i++) {
        MT_CLEANUP(mt_buf_fini) struct mt_buf out = MT_BUF_INIT(1 << 16);
        mt_check_row(wrong[i], !mt_grammar__pattern(mt_str_of(wrong[i]), &out));
        mt_check_row(wrong[i], out.len == 0);
    }
    mt_chat_notes_init(&notes);
    MT_CLEANUP(mt_buf_fini) struct mt_buf rules = MT_BUF_INIT(1 << 16);
    rules_of("{\"type\":\"string\",\"pattern\":\"(?=a)b\"}", &rules, &notes);
    assert_true(notes.text.len > 0);
    mt_chat_notes_fini(&notes);
}

static void bounds_follow_the_tokens_at_hand(void **state)
{
    (void)state;
    assert_int_equal(mt_grammar_bounds_for(-1).string_max, 0);
    assert_int_equal(mt_grammar_bounds_for(256).string_max, 32);
    assert_int_equal(mt_grammar_bounds_for(8).string_max, 8);
    assert_int_equal(mt_grammar_bounds_for(4096).string_max, 0); /* nobody's text is cut */
    assert_true(mt_grammar_bounds_for(256).is_compact);
}

static void texts_close_by_the_shortest_way(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        unsigned need;
        const char *best, *worse; /* of two that may follow */
    } table[] = {
        {"", 0, "1", "{"},
        {"{", 1, "}", "\""},
        {"{\"a", 2, "\"", "b"},
        {"{\"a\\", 2, "\"\"", "\""},
        {"{\"a\":", 1, "1", "\""},
        {"{\"a\":", 1, "null", "["},
        {"{\"a\":1", 1, "}", ","},
        {"{\"a\":1", 1, ",", "2"},
        {"[[{\"a\":\"", 4, "\"}]", "\"}"},
        {"\"{[", 1, "\"", "x"},
        {"{}", 0, "", "{"},
    };

    for (size_t i = 0; i < MT_ARRAY_LEN(table); i++) {
        struct mt_closing closing = {.depth = 0};
        mt_closing_feed(&closing, mt_str_of(table[i].text));
        mt_check_row(table[i].text, mt_closing_need(&closing) == table[i].need);
        mt_check_row(table[i].text, mt_closing_cost(&closing, mt_str_of(table[i].best)) <
                                        mt_closing_cost(&closing, mt_str_of(table[i].worse)));
    }
}

static void making_survives_any_failed_allocation(void **state)
{
    (void)state;
    const char *schema =
        "{\"properties\":{\"a\":{\"$ref\":\"#/$defs/x\"},\"b\":{\"items\":{\"type\":"
        "\"string\"}}},\"$defs\":{\"x\":{\"enum\":[1,2]}}}";
    mt_rc rc = MT_E_NOMEM;
    long live = mt_alloc_live;

    for (long nth = 0; rc != MT_OK; nth++) {
        struct mt_buf out = MT_BUF_INIT(MT_GRAMMAR_BYTES_MAX);

        mt_alloc_fail_after = nth;
        rc = mt_grammar_schema(mt_str_of(schema), &tight, &out, NULL, NULL);
        mt_alloc_fail_after = -1;
        assert_true(rc == MT_OK || rc == MT_E_NOMEM);
        assert_true(nth > 3 || rc != MT_OK);
        mt_buf_fini(&out);
        assert_int_equal(mt_alloc_live, live);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_schemas_have_the_grammar_one_expects),
        cmocka_unit_test(parts_that_fan_out_are_refused_soon),
        cmocka_unit_test(ranges_hold_exactly_their_numbers),
        cmocka_unit_test(patterns_outside_the_subset_are_noted),
        cmocka_unit_test(bounds_follow_the_tokens_at_hand),
        cmocka_unit_test(texts_close_by_the_shortest_way),
        cmocka_unit_test(making_survives_any_failed_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
