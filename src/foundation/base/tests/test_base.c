/* SPDX-License-Identifier: Apache-2.0 */
#include "support/test.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/arena.h"
#include "base/assert.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/map.h"

static mt_rc fails_below(struct mt_err *err)
{
    return MT_FAIL(err, MT_E_NOTFOUND, "blob '%s'", "abc");
}

static void err_grows_words_on_its_way_up(void **state)
{
    (void)state;
    struct mt_err err = {0};
    mt_rc rc = fails_below(&err);

    rc = mt_err_wrap(&err, rc, "manifest 'm'");
    assert_int_equal(rc, MT_E_NOTFOUND);
    assert_string_equal(err.text, "manifest 'm': blob 'abc'");
    assert_string_equal(mt_rc_name(rc), "not_found");
    assert_int_equal(mt_rc_exit_code(rc), 6);
    assert_int_equal(fails_below(NULL), MT_E_NOTFOUND); /* NULL: not interested */
}

static void err_keeps_errno_and_cuts_long_text(void **state)
{
    (void)state;
    struct mt_err err = {0};
    char path[600];

    memset(path, 'x', sizeof path - 1);
    path[sizeof path - 1] = '\0';
    assert_int_equal(MT_FAIL_SYS(&err, MT_E_IO, 2, "open 'a'"), MT_E_IO);
    assert_string_equal(err.text, "open 'a': No such file or directory");
    assert_int_equal(err.sys, 2);
    assert_int_equal(MT_FAIL(&err, MT_E_IO, "%s", path), MT_E_IO);
    assert_int_equal(strlen(err.text), MT_ERR_TEXT_MAX - 1);
}

static void buf_grows_to_its_maximum_and_no_further(void **state)
{
    (void)state;
    struct mt_buf buf = MT_BUF_INIT(1000);
    struct mt_err err = {0};

    for (int i = 0; i < 100; i++)
        mt_buf_add_cstr(&buf, "0123456789");
    assert_int_equal(mt_buf_check(&buf, "body", &err), MT_OK);
    assert_int_equal(buf.len, 1000);
    mt_buf_add_char(&buf, 'x');
    assert_int_equal(mt_buf_check(&buf, "body", &err), MT_E_TOOBIG);
    assert_string_equal(err.text, "body: over the limit of 1000 bytes");
    mt_buf_clear(&buf);
    mt_buf_addf(&buf, "%s-%d", "a", 7);
    mt_buf_add_i64(&buf, INT64_MIN);
    assert_string_equal(mt_buf_cstr(&buf), "a-7-9223372036854775808");
    mt_buf_consume(&buf, 4);
    mt_buf_cut(&buf, 3);
    assert_string_equal(mt_buf_cstr(&buf), "922");
    mt_buf_fini(&buf);
    assert_int_equal(mt_alloc_live, 0);
}

static void buf_remembers_any_failed_allocation(void **state)
{
    (void)state;
    for (long nth = 0; nth < 4; nth++) {
        struct mt_buf buf = MT_BUF_INIT(100000);
        mt_alloc_fail_after = nth;
        for (int i = 0; i < 2000; i++)
            mt_buf_add_cstr(&buf, "0123456789");
        mt_alloc_fail_after = -1;
        assert_int_equal(mt_buf_check(&buf, "b", NULL), MT_E_NOMEM);
        mt_buf_fini(&buf);
        assert_int_equal(mt_alloc_live, 0);
    }
}

static void arena_is_zeroed_aligned_and_bounded(void **state)
{
    (void)state;
    struct mt_arena arena = MT_ARENA_INIT(100000);
    struct mt_err err = {0};

    for (int round = 0; round < 3; round++) {
        for (size_t i = 1; i < 300; i++) {
            unsigned char *at = mt_arena_get(&arena, i, 1);
            assert_non_null(at);
            assert_int_equal((uintptr_t)at % _Alignof(max_align_t), 0);
            for (size_t j = 0; j < i; j++)
                assert_int_equal(at[j], 0);
            memset(at, 0xAA, i);
        }
        mt_arena_clear(&arena);
    }
    struct mt_str text = mt_arena_printf(&arena, "%s=%d", "k", 5);
    assert_string_equal(text.at, "k=5");
    assert_null(mt_arena_get(&arena, SIZE_MAX / 2, 4));
    while (mt_arena_get(&arena, 1, 1000) != NULL) {
    }
    assert_int_equal(mt_arena_fail(&arena, &err), MT_E_TOOBIG);
    mt_arena_fini(&arena);
    assert_int_equal(mt_alloc_live, 0);
}

static void map_holds_what_was_put_and_nothing_else(void **state)
{
    (void)state;
    static int values[2000];
    struct mt_map map;
    struct mt_err err = {0};
    char key[16];

    mt_map_init(&map, 1000, 42);
    for (size_t i = 0; i < 1000; i++) {
        snprintf(key, sizeof key, "k%zu", i);
        assert_int_equal(mt_map_put(&map, mt_str_of(key), &values[i], NULL, &err), MT_OK);
    }
    assert_int_equal(mt_map_put(&map, MT_STR("more"), values, NULL, &err), MT_E_TOOBIG);
    for (size_t i = 0; i < 1000; i += 2) {
        snprintf(key, sizeof key, "k%zu", i);
        assert_ptr_equal(mt_map_take(&map, mt_str_of(key)), &values[i]);
    }
    for (size_t i = 0; i < 1000; i++) {
        snprintf(key, sizeof key, "k%zu", i);
        assert_ptr_equal(mt_map_find(&map, mt_str_of(key)), i % 2 ? &values[i] : NULL);
    }
    size_t at = 0;
    size_t seen = 0;
    struct mt_str name;
    void *value;
    while (mt_map_next(&map, &at, &name, &value))
        seen++;
    assert_int_equal(seen, 500);
    mt_map_fini(&map);
    assert_int_equal(mt_alloc_live, 0);
}

static void map_survives_any_failed_allocation(void **state)
{
    (void)state;
    for (long nth = 0; nth < 60; nth++) {
        struct mt_map map;
        int value;
        char key[16];
        size_t put = 0;

        mt_map_init(&map, 1000, 1);
        mt_alloc_fail_after = nth;
        for (int i = 0; i < 50; i++) {
            snprintf(key, sizeof key, "k%d", i);
            put += mt_map_put(&map, mt_str_of(key), &value, NULL, NULL) == MT_OK;
        }
        mt_alloc_fail_after = -1;
        assert_int_equal(map.n, put);
        mt_map_fini(&map);
        assert_int_equal(mt_alloc_live, 0);
    }
}

static void numbers_are_read_whole_or_not_at_all(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool is_int, is_float;
        int64_t value;
    } rows[] = {
        {"0", true, true, 0},
        {"-12", true, true, -12},
        {"", false, false, 0},
        {"-", false, false, 0},
        {"1x", false, false, 0},
        {" 1", false, false, 0},
        {"1.5", false, true, 0},
        {"1e3", false, true, 0},
        {"nan", false, false, 0},
        {"0x10", false, false, 0},
        {"9223372036854775807", true, true, INT64_MAX},
        {"9223372036854775808", false, true, 0},
        {"-9223372036854775808", true, true, INT64_MIN},
        {"1e999", false, false, 0},
    };
    for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
        int64_t n = 0;
        double d = 0;
        struct mt_str text = mt_str_of(rows[i].text);
        mt_check_row(rows[i].text,
                     mt_str_to_i64(text, INT64_MIN, INT64_MAX, &n) == rows[i].is_int);
        mt_check_row(rows[i].text, n == rows[i].value);
        mt_check_row(rows[i].text, mt_str_to_f64(text, &d) == rows[i].is_float);
    }
}

static void utf8_is_checked_as_rfc_3629_says(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool is_valid;
        size_t whole;
    } rows[] = {
        {"plain", true, 5},
        {"\xC3\xA9", true, 2},
        {"a\xC3", false, 1},
        {"\xE2\x82\xAC", true, 3},
        {"\xE2\x82", false, 0},
        {"ab\xF0\x9F\x98", false, 2},
        {"\xC0\x80", false, 2},
        {"\xED\xA0\x80", false, 3},
        {"\xF0\x9F\x98\x80", true, 4},
        {"\xFF", false, 1},
        {"\xF4\x90\x80\x80", false, 4},
    };
    for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
        struct mt_str text = mt_str_of(rows[i].text);
        mt_check_row(rows[i].text, mt_str_is_utf8(text) == rows[i].is_valid);
        mt_check_row(rows[i].text, mt_str_utf8_whole(text) == rows[i].whole);
    }
}

static void slices_are_cut_and_compared(void **state)
{
    (void)state;
    struct mt_str rest = MT_STR("a/b/c");

    assert_true(mt_str_is(mt_str_take(&rest, '/'), "a"));
    assert_true(mt_str_is(mt_str_take(&rest, '/'), "b"));
    assert_true(mt_str_is(mt_str_take(&rest, '/'), "c"));
    assert_int_equal(rest.len, 0);
    assert_true(mt_str_is(mt_str_trim(MT_STR(" \t x y\r\n")), "x y"));
    assert_true(mt_str_ieq(MT_STR("Content-Type"), MT_STR("content-type")));
    assert_int_equal(mt_str_find(MT_STR("abcabd"), MT_STR("abd")), 3);
    assert_int_equal(mt_str_find(MT_STR("abc"), MT_STR("x")), 3);
    assert_int_equal(mt_str_distance(MT_STR("listen"), MT_STR("lsten"), 3), 1);
    assert_int_equal(mt_str_distance(MT_STR("listen"), MT_STR("budget"), 3), 4);
}

/* In a child, whose words the parent reads. */
static void a_broken_claim_is_told_and_ends_the_process(void **state)
{
    (void)state;
    int ends[2];
    int status = 0;
    char text[4096] = {0};
    size_t len = 0;

    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) {
        (void)dup2(ends[1], STDERR_FILENO);
        MT_ASSERT(child == 1);
        _exit(0);
    }
    (void)close(ends[1]);
    for (ssize_t n = 1; n > 0 && len < sizeof text - 1; len += (size_t)n) {
        n = read(ends[0], text + len, sizeof text - 1 - len);
        assert_true(n >= 0);
    }
    (void)close(ends[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    assert_non_null(strstr(text, "assertion failed: child == 1 ("));
    assert_non_null(strstr(text, "test_base.c:"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(err_grows_words_on_its_way_up),
        cmocka_unit_test(err_keeps_errno_and_cuts_long_text),
        cmocka_unit_test(buf_grows_to_its_maximum_and_no_further),
        cmocka_unit_test(buf_remembers_any_failed_allocation),
        cmocka_unit_test(arena_is_zeroed_aligned_and_bounded),
        cmocka_unit_test(map_holds_what_was_put_and_nothing_else),
        cmocka_unit_test(map_survives_any_failed_allocation),
        cmocka_unit_test(numbers_are_read_whole_or_not_at_all),
        cmocka_unit_test(utf8_is_checked_as_rfc_3629_says),
        cmocka_unit_test(slices_are_cut_and_compared),
        cmocka_unit_test(a_broken_claim_is_told_and_ends_the_process),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
