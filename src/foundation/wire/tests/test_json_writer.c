/* SPDX-License-Identifier: Apache-2.0 */
#include "support/test.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "wire/json.h"
#include "wire/json_writer.h"

static void a_whole_text_has_its_commas_and_brackets(void **state)
{
    (void)state;
    MT_CLEANUP(mt_buf_fini) struct mt_buf buf = MT_BUF_INIT(4096);
    struct mt_jw w;

    mt_jw_begin(&w, &buf);
    mt_jw_object(&w);
    mt_jw_kcstr(&w, "model", "auto");
    mt_jw_kcstr(&w, "none", NULL);
    mt_jw_kbool(&w, "stream", true);
    mt_jw_ki64(&w, "min", INT64_MIN);
    mt_jw_kf64(&w, "temperature", 0.7);
    mt_jw_kraw(&w, "extra", MT_STR("{\"a\": 1}"));
    mt_jw_kraw(&w, "empty", MT_STR(""));
    mt_jw_key(&w, "messages");
    mt_jw_array(&w);
    mt_jw_object(&w);
    mt_jw_key_str(&w, MT_STR("k\"\n"));
    mt_jw_str(&w, MT_STR("v"));
    mt_jw_end(&w);
    mt_jw_array(&w);
    mt_jw_end(&w);
    mt_jw_null(&w);
    mt_jw_i64(&w, 5);
    mt_jw_end(&w);
    mt_jw_kbool(&w, "done", false);
    mt_jw_end(&w);
    assert_string_equal(
        mt_buf_cstr(&buf),
        "{\"model\":\"auto\",\"none\":null,\"stream\":true,"
        "\"min\":-9223372036854775808,\"temperature\":0.7,"
        "\"extra\":{\"a\": 1},\"empty\":null,\"messages\":[{\"k\\\"\\n\":\"v\"},"
        "[],null,5],\"done\":false}");
}

static void strings_are_escaped(void **state)
{
    (void)state;
    static const struct {
        struct mt_str text;
        const char *json;
    } rows[] = {
        {MT_STR_INIT(""), "\"\""},
        {MT_STR_INIT("plain text of more than eight bytes"),
         "\"plain text of more than eight bytes\""},
        {MT_STR_INIT("a\"b\\c/"), "\"a\\\"b\\\\c/\""},
        {MT_STR_INIT("\b\f\n\r\t"), "\"\\b\\f\\n\\r\\t\""},
        {MT_STR_INIT("nul \0, unit \x1F, del \x7F"), "\"nul \\u0000, unit \\u001f, del \x7F\""},
        {MT_STR_INIT("12345678\n12345678"), "\"12345678\\n12345678\""},
        {MT_STR_INIT("\xE4\xBD\xA0\xE5\xA5\xBD \xF0\x9F\x98\x80"),
         "\"\xE4\xBD\xA0\xE5\xA5\xBD \xF0\x9F\x98\x80\""},
        {MT_STR_INIT("a\xFFz"), "\"a\xEF\xBF\xBDz\""},
        {MT_STR_INIT("\xC0\x80"), "\"\xEF\xBF\xBD\xEF\xBF\xBD\""},
        {MT_STR_INIT("cut \xE2\x82"), "\"cut \xEF\xBF\xBD\xEF\xBF\xBD\""},
        {MT_STR_INIT("\xC3\xA9\xED\xA0\x80\"\xC3\xA9"),
         "\"\xC3\xA9\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\\\"\xC3\xA9\""},
    };

    for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
        MT_CLEANUP(mt_buf_fini) struct mt_buf buf = MT_BUF_INIT(4096);
        struct mt_jw w;
        mt_jw_begin(&w, &buf);
        mt_jw_str(&w, rows[i].text);
        mt_check_row(rows[i].json, strcmp(mt_buf_cstr(&buf), rows[i].json) == 0);
    }
}

static void doubles_are_written_short(void **state)
{
    (void)state;
    static const struct {
        double value;
        const char *json;
    } rows[] = {
        {0, "0"},
        {1, "1"},
        {-3, "-3"},
        {100000, "100000"},
        {0.5, "0.5"},
        {0.1, "0.1"},
        {0.30000000000000004, "0.30000000000000004"},
        {1.0 / 3, "0.3333333333333333"},
        {9007199254740991, "9007199254740991"},
        {1e21, "1e+21"},
        {1e-7, "1e-07"},
        {5e-324, "5e-324"},
        {-1.7976931348623157e308, "-1.7976931348623157e+308"},
        {(double)NAN, "null"},
        {(double)INFINITY, "null"},
    };

    for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
        MT_CLEANUP(mt_buf_fini) struct mt_buf buf = MT_BUF_INIT(64);
        struct mt_jw w;
        mt_jw_begin(&w, &buf);
        mt_jw_f64(&w, rows[i].value);
        mt_check_row(rows[i].json, strcmp(mt_buf_cstr(&buf), rows[i].json) == 0);
    }
}

/* ---- property: what is written reads back equal ---- */

static uint64_t next_random(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

static size_t random_text(uint64_t *seed, char out[40])
{
    static const char *const pieces[] = {
        "a", "\"", "\\", "\n", "\x01", "\xC3\xA9", "/", "plain ", "\xF0\x9F\x98\x80", "{["};
    size_t len = 0;

    for (uint64_t n = next_random(seed) % 6; n > 0; n--) {
        const char *piece = pieces[next_random(seed) % MT_ARRAY_LEN(pieces)];
        memcpy(out + len, piece, strlen(piece));
        len += strlen(piece);
    }
    return len;
}

static double random_double(uint64_t *seed)
{
    uint64_t bits = next_random(seed);
    double value;

    memcpy(&value, &bits, sizeof value);
    return isfinite(value) ? value : 0.25;
}

static void write_random(struct mt_jw *w, uint64_t *seed, unsigned depth)
{
    uint64_t kind = next_random(seed) % (depth < 6 ? 7 : 5);
    char text[40];

    if (kind == 0)
        mt_jw_null(w);
    else if (kind == 1)
        mt_jw_bool(w, next_random(seed) % 2);
    else if (kind == 2)
        mt_jw_i64(w, (int64_t)next_random(seed));
    else if (kind == 3)
        mt_jw_f64(w, random_double(seed));
    else if (kind == 4)
        mt_jw_str(w, (struct mt_str){text, random_text(seed, text)});
    if (kind < 5)
        return;
    kind == 5 ? mt_jw_array(w) : mt_jw_object(w);
    for (uint64_t n = next_random(seed) % 5; n > 0; n--) {
        if (kind == 6)
            mt_jw_key_str(w, (struct mt_str){text, random_text(seed, text)});
        write_random(w, seed, depth + 1);
    }
    mt_jw_end(w);
}

static void rewrite(struct mt_jw *w, const struct mt_json *value, struct mt_arena *arena)
{
    struct mt_str text;
    int64_t i64;
    double f64;
    bool flag;

    if (mt_json_type(value) == MT_JSON_ARRAY)
        mt_jw_array(w);
    else if (mt_json_type(value) == MT_JSON_OBJECT)
        mt_jw_object(w);
    else if (mt_json_str(value, arena, &text))
        mt_jw_str(w, text);
    else if (mt_json_i64(value, INT64_MIN, INT64_MAX, &i64))
        mt_jw_i64(w, i64);
    else if (mt_json_f64(value, &f64))
        mt_jw_f64(w, f64);
    else if (mt_json_bool(value, &flag))
        mt_jw_bool(w, flag);
    else
        mt_jw_null(w);
    if (mt_json_type(value) < MT_JSON_ARRAY)
        return;
    for (const struct mt_json *at = mt_json_first(value); at != NULL; at = mt_json_next(at)) {
        if (mt_json_key_str(at, arena, &text))
            mt_jw_key_str(w, text);
        rewrite(w, at, arena);
    }
    mt_jw_end(w);
}

static void what_is_written_reads_back_equal(void **state)
{
    (void)state;
    MT_CLEANUP(mt_json_doc_freep) struct mt_json_doc *doc = NULL;
    MT_CLEANUP(mt_buf_fini) struct mt_buf first = MT_BUF_INIT(1 << 20);
    MT_CLEANUP(mt_buf_fini) struct mt_buf second = MT_BUF_INIT(1 << 20);
    MT_CLEANUP(mt_arena_fini) struct mt_arena arena = MT_ARENA_INIT(1 << 20);

    assert_int_equal(mt_json_doc_new(&doc, NULL), MT_OK);
    for (uint64_t row = 1; row <= 2000; row++) {
        uint64_t seed = row * 0x9E3779B97F4A7C15u;
        const struct mt_json *root = NULL;
        struct mt_jw w;

        mt_buf_clear(&first);
        mt_buf_clear(&second);
        mt_arena_clear(&arena);
        mt_jw_begin(&w, &first);
        write_random(&w, &seed, 0);
        assert_int_equal(mt_buf_check(&first, "text", NULL), MT_OK);
        assert_int_equal(mt_json_parse(doc, mt_buf_str(&first), &root, NULL), MT_OK);
        mt_jw_begin(&w, &second);
        rewrite(&w, root, &arena);
        if (!mt_str_eq(mt_buf_str(&first), mt_buf_str(&second)))
            fail_msg("seed row %d: '%s' came back as '%s'", (int)row, mt_buf_cstr(&first),
                     mt_buf_cstr(&second));
    }
}

static void a_full_or_failing_buffer_stays_failed(void **state)
{
    (void)state;
    MT_CLEANUP(mt_buf_fini) struct mt_buf small = MT_BUF_INIT(10);
    struct mt_jw w;

    mt_jw_begin(&w, &small);
    mt_jw_object(&w);
    mt_jw_kcstr(&w, "key", "much too long for it");
    mt_jw_end(&w);
    assert_int_equal(mt_buf_check(&small, "body", NULL), MT_E_TOOBIG);

    MT_CLEANUP(mt_buf_fini) struct mt_buf buf = MT_BUF_INIT(1 << 20);
    mt_alloc_fail_after = 0;
    mt_jw_begin(&w, &buf);
    mt_jw_cstr(&w, "text");
    mt_alloc_fail_after = -1;
    assert_int_equal(mt_buf_check(&buf, "body", NULL), MT_E_NOMEM);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_whole_text_has_its_commas_and_brackets),
        cmocka_unit_test(strings_are_escaped),
        cmocka_unit_test(doubles_are_written_short),
        cmocka_unit_test(what_is_written_reads_back_equal),
        cmocka_unit_test(a_full_or_failing_buffer_stays_failed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
