/* SPDX-License-Identifier: Apache-2.0 */
/* A configuration made ready: names, keys, prices, and what a reload takes over. */
#include "support/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "board.h"
#include "engine/remote.h"
#include "net/http_client.h"

static const char yaml[] =
    "discover: false\n"
    "endpoints:\n"
    "- {name: a, dialect: openai, url: 'http://127.0.0.1:1', models: ['gpt-*', exact]}\n"
    "- {name: b, dialect: gemini, url: 'http://127.0.0.1:2'}\n"
    "models:\n"
    "- {name: smart, targets: [a/exact, b/other]}\n"
    "prices:\n"
    "- {model: 'a/gpt-5*', input: 1USD}\n"
    "- {model: 'a/*', input: 2USD}\n"
    "keys:\n"
    "- {name: one, hash: '%s'}\n"
    "- {name: two, hash: '%s', models: ['gpt-*', smart]}\n";

struct fixture {
    struct mt_loop *loop;
    struct mt_http_client *client;
    const struct mt_config *config;
    struct mt_arena arena;
};

static void load(struct fixture *f)
{
    char path[] = "/tmp/mt-test-board-XXXXXX";
    char one[MT_KEY_STORED_LEN + 1], two[MT_KEY_STORED_LEN + 1];
    struct mt_err err = {0};
    int fd = mkstemp(path);
    FILE *file = fdopen(fd, "w");

    mt_key_stored(MT_STR("key-one"), one);
    mt_key_stored(MT_STR("key-two"), two);
    fprintf(file, yaml, one, two);
    fclose(file);
    if (mt_config_load(path, NULL, NULL, 0, &f->config, &err) != MT_OK)
        fail_msg("%s", err.text);
    unlink(path);
}

static int up(void **state)
{
    static struct fixture f;
    struct mt_err err = {0};

    f = (struct fixture){.arena = MT_ARENA_INIT(1 << 20)};
    assert_int_equal(mt_loop_new(&f.loop, &err), MT_OK);
    assert_int_equal(mt_http_client_new(f.loop, NULL, &f.client, &err), MT_OK);
    load(&f);
    *state = &f;
    return 0;
}

static int down(void **state)
{
    struct fixture *f = *state;

    mt_arena_fini(&f->arena);
    mt_config_unref(f->config);
    mt_http_client_free(f->client);
    mt_loop_free(f->loop);
    return 0;
}

static struct board *open_board(struct fixture *f)
{
    struct board *board = NULL;
    struct mt_err err = {0};

    if (board_new(f->config, f->client, NULL, NULL, MT_STR("boss"), &board, &err) != MT_OK)
        fail_msg("%s", err.text);
    return board;
}

static void keys_are_found_by_their_digest(void **state)
{
    static const struct {
        struct mt_str key;
        const char *name;
        bool may_gpt, may_other;
    } rows[] = {
        {MT_STR_INIT("key-one"), "one", true, true},
        {MT_STR_INIT("key-two"), "two", true, false},
        {MT_STR_INIT("boss"), "admin", true, true},
        {MT_STR_INIT("key-one "), NULL, false, false},
        {MT_STR_INIT(""), NULL, false, false},
    };
    struct board *board = open_board(*state);

    for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
        const struct board_key *key = board_find_key(board, rows[i].key);
        mt_check_row(rows[i].key.at, (key != NULL) == (rows[i].name != NULL));
        if (key == NULL)
            continue;
        mt_check_row(rows[i].key.at, mt_str_is(key->name, rows[i].name));
        mt_check_row(rows[i].key.at, key->is_admin == mt_str_is(rows[i].key, "boss"));
        mt_check_row(rows[i].key.at,
                     board_key_may_use(key, MT_STR("gpt-9")) == rows[i].may_gpt);
        mt_check_row(rows[i].key.at,
                     board_key_may_use(key, MT_STR("a/gpt-9")) == rows[i].may_other);
        mt_check_row(rows[i].key.at, board_key_may_use(key, MT_STR("")) == rows[i].may_other);
    }
    board_unref(board);
}

static void names_and_prices_of_targets(void **state)
{
    static const struct {
        struct mt_route_target target;
        const char *name, *counted;
        int64_t input_usd_micro; /* 0: no price */
    } rows[] = {
        {{.endpoint = 0, .model = MT_STR_INIT("gpt-5-mini")},
         "a/gpt-5-mini",
         "a/gpt-*",
         1000000},
        {{.endpoint = 0, .model = MT_STR_INIT("gpt-4")}, "a/gpt-4", "a/gpt-*", 2000000},
        {{.endpoint = 0, .model = MT_STR_INIT("exact")}, "a/exact", "a/exact", 2000000},
        {{.endpoint = 1, .model = MT_STR_INIT("made-up")}, "b/made-up", "b/*", 0},
        {{.endpoint = MT_ROUTE_LOCAL, .model = MT_STR_INIT("lab")}, "lab", "lab", 0},
    };
    struct fixture *f = *state;
    struct board *board = open_board(f);

    for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
        const struct mt_config_price *price = board_price(board, &rows[i].target);
        mt_check_row(
            rows[i].name,
            mt_str_is(board_target_name(board, &rows[i].target, &f->arena), rows[i].name));
        mt_check_row(
            rows[i].name,
            mt_str_is(board_counted_name(board, &rows[i].target, &f->arena), rows[i].counted));
        mt_check_row(rows[i].name,
                     (price != NULL ? price->input_usd_micro : 0) == rows[i].input_usd_micro);
    }
    board_unref(board);
}

static void a_new_board_inherits_what_it_knows(void **state)
{
    struct board *old = open_board(*state);
    struct board *now = open_board(*state);

    old->endpoints[0].breaker.state = MT_BREAKER_OPEN;
    old->endpoints[0].tries_n = 7;
    old->endpoints[0].active_n = 3; /* asks that end on the old board */
    board_inherit(now, old);
    assert_int_equal(now->endpoints[0].breaker.state, MT_BREAKER_OPEN);
    assert_int_equal(now->endpoints[0].tries_n, 7);
    assert_int_equal(now->endpoints[0].active_n, 0);
    assert_int_equal(now->endpoints[1].breaker.state, MT_BREAKER_CLOSED);
    board_unref(old);
    board_unref(now);
}

static void a_board_survives_any_lack_of_memory(void **state)
{
    struct fixture *f = *state;
    long live = mt_alloc_live;

    for (long nth = 0;; nth++) {
        struct board *board = NULL;
        struct mt_err err = {0};
        mt_alloc_fail_after = nth;
        mt_rc rc = board_new(f->config, f->client, NULL, NULL, MT_STR("boss"), &board, &err);
        mt_alloc_fail_after = -1;
        if (rc == MT_OK) {
            assert_true(nth > 5);
            board_unref(board);
            break;
        }
        assert_int_equal(rc, MT_E_NOMEM);
        assert_null(board);
        assert_int_equal(mt_alloc_live, live);
    }
    assert_int_equal(mt_alloc_live, live);
}

static void urls_are_joined_without_doubling(void **state)
{
    static const struct {
        const char *base, *path, *url;
    } rows[] = {
        {"http://h", "/v1/chat/completions", "http://h/v1/chat/completions"},
        {"http://h/", "/v1/messages", "http://h/v1/messages"},
        {"http://h/v1", "/v1/messages", "http://h/v1/messages"},
        {"http://h/v1/", "/v1/messages", "http://h/v1/messages"},
        {"http://h/proxy/v1///", "/v1/x", "http://h/proxy/v1/x"},
        {"http://h/v1beta", "/v1beta/models/m:generateContent",
         "http://h/v1beta/models/m:generateContent"},
        {"http://h/v1beta", "/v1/x", "http://h/v1beta/v1/x"},
        {"http://h/api", "/api/chat", "http://h/api/chat"},
        {"http://h/v1", "/v10/x", "http://h/v1/v10/x"},
        {"http://h/v1", "/v1", "http://h/v1/v1"},
    };

    (void)state;
    for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
        MT_CLEANUP(mt_buf_fini) struct mt_buf url = MT_BUF_INIT(1024);
        mt_remote_url(mt_str_of(rows[i].base), mt_str_of(rows[i].path), &url);
        if (!mt_str_is(mt_buf_str(&url), rows[i].url))
            fail_msg("%s + %s: %s", rows[i].base, rows[i].path, mt_buf_cstr(&url));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_are_found_by_their_digest),
        cmocka_unit_test(names_and_prices_of_targets),
        cmocka_unit_test(a_new_board_inherits_what_it_knows),
        cmocka_unit_test(a_board_survives_any_lack_of_memory),
        cmocka_unit_test(urls_are_joined_without_doubling),
    };
    return cmocka_run_group_tests(tests, up, down);
}
