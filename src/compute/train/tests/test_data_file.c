/* SPDX-License-Identifier: Apache-2.0 */
#include "support/test.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "data_file.h"
#include "system/file.h"
#include "train/vocab.h"

static char path[] = "/tmp/motet-data-XXXXXX";

static int make_file(void **state)
{
    int fd = mkstemp(path);

    (void)state;
    return fd >= 0 ? close(fd) : -1;
}

static int remove_file(void **state)
{
    (void)state;
    return unlink(path);
}

static void lines_become_pairs(void **state)
{
    (void)state;
    struct mt_data_file file = {0};
    struct mt_err err = {0};

    assert_int_equal(
        mt_file_write(path,
                      MT_STR("{\"prompt\": \"a \\\"b\\\"\", \"answer\": \"c\"}\r\n\n"
                             "{\"answer\":\"e\\u00e9\",\"prompt\":\"d\"}"),
                      0600, NULL),
        MT_OK);
    if (mt_data_file_read(path, 256, &file, &err) != MT_OK)
        fail_msg("%s", err.text);
    assert_int_equal(file.pairs_n, 2);
    assert_true(mt_str_is(file.pairs[0].prompt, "a \"b\""));
    assert_true(mt_str_is(file.pairs[0].answer, "c"));
    assert_true(mt_str_is(file.pairs[1].answer, "e\xc3\xa9"));
    mt_data_file_fini(&file);
    assert_int_equal(mt_alloc_live, 0);
}

static void a_broken_line_is_named(void **state)
{
    (void)state;
    static const struct {
        const char *text, *want; /* behind the path */
    } rows[] = {
        {"", ": expected lines, found none"},
        {"{\"prompt\":\"a\",\"answer\":\"b\"}\n{\"prompt\":\"a\",\n", ":2: "},
        {"\n\n[1]\n", ":3: expected an object, found array"},
        {"{\"prompt\":\"a\"}", ":1: expected a string 'answer', found none"},
        {"{\"prompt\":\"a\",\"answer\":7}", ":1: expected a string 'answer', found number"},
        {"{\"prompt\":\"a\",\"answer\":\"\"}", ":1: 'answer' is empty"},
        {"{\"prompt\":\"a\",\"answer\":\"b\",\"id\":1}",
         ":1: unknown key 'id', expected prompt and answer"},
        {"{\"prompt\":\""
         "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
         "\",\"answer\":\"b\"}",
         ":1: longer than the context of 64 tokens, with 65 bytes"},
    };

    for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
        struct mt_data_file file = {0};
        struct mt_err err = {0};

        assert_int_equal(mt_file_write(path, mt_str_of(rows[i].text), 0600, NULL), MT_OK);
        mt_check_row(rows[i].want, mt_data_file_read(path, 64, &file, &err) == MT_E_INVALID);
        mt_check_row(rows[i].want, strstr(err.text, rows[i].want) == err.text + strlen(path));
        assert_int_equal(mt_alloc_live, 0);
    }
}

static void reading_lines_survives_any_oom(void **state)
{
    (void)state;

    assert_int_equal(
        mt_file_write(path, MT_STR("{\"prompt\":\"a\\n\",\"answer\":\"b\"}\n"), 0600, NULL),
        MT_OK);
    for (long nth = 0;; nth++) {
        struct mt_data_file file = {0};

        mt_alloc_fail_after = nth;
        mt_rc rc = mt_data_file_read(path, 64, &file, NULL);
        mt_alloc_fail_after = -1;
        if (rc == MT_OK) {
            mt_data_file_fini(&file);
            assert_true(nth > 3);
            break;
        }
        assert_int_equal(rc, MT_E_NOMEM);
        assert_int_equal(mt_alloc_live, 0);
    }
    assert_int_equal(mt_alloc_live, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_become_pairs),
        cmocka_unit_test(a_broken_line_is_named),
        cmocka_unit_test(reading_lines_survives_any_oom),
    };
    return cmocka_run_group_tests(tests, make_file, remove_file);
}
