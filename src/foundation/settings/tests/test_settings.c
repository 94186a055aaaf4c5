/* SPDX-License-Identifier: Apache-2.0 */
/* A table of its own, read, shown and explained. The rest stands in the tests of config, which
 * is the largest table there is. */
#include "support/test.h"

#include <string.h>

#include "base/alloc.h"
#include "base/arena.h"
#include "settings/page.h"
#include "settings/show.h"

struct wheel {
    struct mt_str name;
    double size;
};

struct cart {
    struct mt_str name;
    struct mt_str path;
    int64_t load_max;
    bool is_covered;
    const struct wheel *wheels;
    size_t wheels_n;
};

#define AT(member) .at = offsetof(struct wheel, member)
static const struct mt_settings_key wheel_keys[] = {
    {"name", MT_SETTINGS_TEXT, MT_SETTINGS_REQUIRED, AT(name), .help = "which", .example = "a"},
    {"size", MT_SETTINGS_NUMBER, AT(size), .initial = "1", .max = 10, .help = "in metres"},
};
#undef AT
static const struct mt_settings_group wheel = {"wheel", wheel_keys, MT_ARRAY_LEN(wheel_keys),
                                               sizeof(struct wheel)};

#define AT(member) .at = offsetof(struct cart, member)
static const struct mt_settings_key cart_keys[] = {
    {"name", MT_SETTINGS_TEXT, MT_SETTINGS_REQUIRED, AT(name), .help = "its name",
     .example = "donkey"},
    {"path", MT_SETTINGS_PATH, AT(path), .help = "where"},
    {"load.max", MT_SETTINGS_COUNT, MT_SETTINGS_FIXED, AT(load_max), .initial = "10", .min = 1,
     .max = 1000, .help = "most of it"},
    {"load.covered", MT_SETTINGS_BOOL, AT(is_covered), .initial = "false", .help = "a roof?"},
    {"wheels", MT_SETTINGS_ITEMS, MT_SETTINGS_FIXED, AT(wheels),
     .n_at = offsetof(struct cart, wheels_n), .max = 4, .items = &wheel,
     .help = "it stands on"},
};
#undef AT
static const struct mt_settings_group root = {"cart", cart_keys, MT_ARRAY_LEN(cart_keys),
                                              sizeof(struct cart)};

static mt_rc read_cart(struct mt_arena *arena, const char *text, struct cart *out,
                       struct mt_err *err)
{
    const struct mt_settings_reader reader = {
        .name = "c.yaml", .folder = MT_STR("/carts"), .arena = arena};
    struct mt_settings_origin *origins = mt_settings_origins(&root, arena);

    if (origins == NULL)
        return mt_arena_fail(arena, err);
    *out = (struct cart){0};
    MT_TRY(mt_settings_defaults(&root, out, err));
    return mt_settings_read(&reader, mt_str_of(text), &root, out, origins, err);
}

static const char whole[] = "name: mule\n"
                            "path: a/b\n"
                            "load: {max: 20, covered: yes}\n"
                            "wheels: [{name: left}, {name: right, size: 1.5}]\n";

static void durations_and_money_are_exact_or_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool is_money;
        int64_t want; /* -1: refused */
    } rows[] = {
        {"250ms", false, 250},
        {"2s", false, 2000},
        {"1.5s", false, 1500},
        {"5m", false, 300000},
        {"0.5h", false, 1800000},
        {"7d", false, 604800000},
        {"0s", false, 0},
        {"10", false, -1},
        {"", false, -1},
        {"s", false, -1},
        {"1.s", false, -1},
        {".5s", false, -1},
        {"0.0001s", false, -1},
        {"-1s", false, -1},
        {"1 s", false, -1},
        {"10S", false, -1},
        {"99999999999999999999s", false, -1},
        {"99999999999999999d", false, -1},
        {"0.25USD", true, 250000000},
        {"2.50USD", true, 2500000000},
        {"0.000000001USD", true, 1},
        {"0.0000000001USD", true, -1},
        {"1e3USD", true, -1},
        {"2.50", true, -1},
        {"2.50EUR", true, -1},
    };

    for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
        int64_t got = -7;
        struct mt_err err = {0};
        struct mt_str text = mt_str_of(rows[i].text);
        mt_rc rc = rows[i].is_money ? mt_settings_money(text, &got, &err)
                                    : mt_settings_duration(text, &got, &err);

        mt_check_row(rows[i].text, rc == (rows[i].want < 0 ? MT_E_INVALID : MT_OK));
        mt_check_row(rows[i].text, got == (rows[i].want < 0 ? -7 : rows[i].want));
        mt_check_row(rows[i].text, rc == MT_OK || strstr(err.text, "expected a") != NULL);
    }
}

static void a_file_fills_the_struct(void **state)
{
    (void)state;
    struct mt_arena arena = MT_ARENA_INIT(1 << 20);
    struct cart cart;

    assert_int_equal(read_cart(&arena, whole, &cart, NULL), MT_OK);
    assert_true(mt_str_is(cart.name, "mule"));
    assert_true(mt_str_is(cart.path, "/carts/a/b"));
    assert_true(cart.load_max == 20 && cart.is_covered && cart.wheels_n == 2);
    assert_true(cart.wheels[0].size == 1 && cart.wheels[1].size == 1.5);
    mt_arena_fini(&arena);
}

static void every_mistake_names_its_place(void **state)
{
    (void)state;
    static const struct {
        const char *text, *want;
    } rows[] = {
        {"", "c.yaml:1:1: cart without 'name'"},
        {"\n# nothing\n", "c.yaml:1:1: cart without 'name'"},
        {"load: {max: 3}\n", "c.yaml:1:1: cart without 'name'"},
        {"- a\n", "c.yaml:1:1: expected keys with values, found a list"},
        {"name: a\nlod: 5\n", "c.yaml:2:1: unknown key 'lod', did you mean 'load'?"},
        {"name: a\nload: {mx: 5}\n",
         "c.yaml:2:8: unknown key 'load.mx', did you mean 'load.max'?"},
        {"name: a\nload: {max: 5000}\n",
         "c.yaml:2:13: load.max: expected 1 to 1k, found '5000'"},
        {"name: a\nwheels: [{size: 2}]\n", "c.yaml:2:10: wheel without 'name'"},
        {"name: a\nwheels: [{name: l, size: 11}]\n",
         "c.yaml:2:26: size: expected a number, 0 to 10, found '11'"},
        {"name: a\npath: ~/x\n",
         "c.yaml:2:7: path: expected HOME in the environment for '~/x'"},
    };

    for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
        struct mt_arena arena = MT_ARENA_INIT(1 << 20);
        struct mt_err err = {0};
        struct cart cart;

        mt_check_row(rows[i].text,
                     read_cart(&arena, rows[i].text, &cart, &err) == MT_E_INVALID);
        assert_string_equal(err.text, rows[i].want);
        mt_arena_fini(&arena);
    }
}

static void what_is_shown_reads_back_and_differences_are_named(void **state)
{
    (void)state;
    struct mt_arena arena = MT_ARENA_INIT(1 << 20);
    struct mt_buf text = MT_BUF_INIT(1 << 16);
    struct mt_buf names = MT_BUF_INIT(1 << 10);
    struct mt_err err = {0};
    struct cart a, b;

    assert_int_equal(read_cart(&arena, whole, &a, &err), MT_OK);
    mt_settings_show_yaml(&(struct mt_settings_show){.group = &root, .object = &a}, &text);
    if (read_cart(&arena, mt_buf_cstr(&text), &b, &err) != MT_OK)
        fail_msg("%s in\n%s", err.text, mt_buf_cstr(&text));
    mt_settings_differ(&root, MT_SETTINGS_FIXED, &a, &b, &names);
    assert_int_equal(names.len, 0);
    assert_int_equal(read_cart(&arena, "name: x\nwheels: [{name: left}]\n", &b, &err), MT_OK);
    mt_settings_differ(&root, MT_SETTINGS_FIXED, &a, &b, &names);
    assert_string_equal(mt_buf_cstr(&names), "load.max, wheels"); /* a name may change */
    mt_buf_fini(&text);
    mt_buf_fini(&names);
    mt_arena_fini(&arena);
    assert_int_equal(mt_alloc_live, 0);
}

static void a_table_explains_itself(void **state)
{
    (void)state;
    static const struct {
        const char *key, *want; /* NULL: not found */
    } rows[] = {
        {"name", "none, it has to be given"},
        {"load.max", "count, 1 to 1k\n  default  10\n"},
        {"load", "load.covered"},
        {"wheels", "of each wheel:"},
        {"wheels.size", "in metres"},
        {"wheels.sise", NULL},
    };
    struct mt_buf out = MT_BUF_INIT(1 << 16);

    for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
        mt_rc rc = mt_settings_explain(&root, rows[i].key, NULL, &out, NULL);
        mt_check_row(rows[i].key, rc == (rows[i].want != NULL ? MT_OK : MT_E_NOTFOUND));
        mt_check_row(rows[i].key,
                     rc != MT_OK || strstr(mt_buf_cstr(&out), rows[i].want) != NULL);
        mt_buf_clear(&out);
    }
    mt_settings_sample(&root, &out);
    assert_string_equal(mt_buf_cstr(&out), "\n# its name\n#name: donkey\n"
                                           "\n# where\n#path: \"\"\n"
                                           "\nload:\n  # most of it\n  max: 10\n"
                                           "  # a roof?\n  covered: false\n"
                                           "\n# it stands on\n#wheels:\n#- name: a\n");
    mt_buf_clear(&out);
    mt_settings_reference(&wheel, "wheels", &out);
    assert_string_equal(
        mt_buf_cstr(&out),
        "\n## wheels\n\n| key | value | default | meaning |\n|---|---|---|---|\n"
        "| `name` | text | required | which |\n"
        "| `size` | number, 0 to 10 | `1` | in metres |\n");
    mt_buf_fini(&out);
}

static void reading_survives_any_oom(void **state)
{
    (void)state;

    for (long nth = 0;; nth++) {
        struct mt_arena arena = MT_ARENA_INIT(1 << 20);
        struct mt_err err = {0};
        struct cart cart;

        mt_alloc_fail_after = nth;
        mt_rc rc = read_cart(&arena, whole, &cart, &err);
        mt_alloc_fail_after = -1;
        mt_arena_fini(&arena);
        assert_int_equal(mt_alloc_live, 0);
        if (rc == MT_OK) {
            assert_true(nth > 1);
            break;
        }
        assert_int_equal(rc, MT_E_NOMEM);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(durations_and_money_are_exact_or_refused),
        cmocka_unit_test(a_file_fills_the_struct),
        cmocka_unit_test(every_mistake_names_its_place),
        cmocka_unit_test(what_is_shown_reads_back_and_differences_are_named),
        cmocka_unit_test(a_table_explains_itself),
        cmocka_unit_test(reading_survives_any_oom),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
