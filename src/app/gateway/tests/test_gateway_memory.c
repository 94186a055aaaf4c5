/* SPDX-License-Identifier: Apache-2.0 */
/* What the gateway remembers: stored Responses, cached answers, and the journal when it cannot
 * take any more. */
#include "rig.h"

#include <stdlib.h>

#include "crypto/key.h"
#include "system/db.h"

static const char yaml[] =
    "listen: 127.0.0.1:0\n"
    "discover: false\n"
    "retry: {base: 1ms, cap: 10ms}\n"
    "endpoints:\n"
    "- {name: a, dialect: openai, url: 'http://127.0.0.1:@PORT@/a', models: [x]}\n"
    "models:\n"
    "- {name: one, targets: [a/x], retries: 0}\n"
    "keys:\n"
    "- {name: mine, hash: '%s'}\n"
    "- {name: theirs, hash: '%s'}\n"
    "%s";

static const char openai[] = "/v1/chat/completions";
static const char responses[] = "/v1/responses";
static const char mine[] = "x-api-key: my-key";
static const char theirs[] = "x-api-key: their-key";

static struct rig rig;

static int up(const char *more, const struct rig_opts *opts)
{
    char hash[2][MT_KEY_STORED_LEN + 1];
    static char text[4096];

    mt_key_stored(MT_STR("my-key"), hash[0]);
    mt_key_stored(MT_STR("their-key"), hash[1]);
    snprintf(text, sizeof text, yaml, hash[0], hash[1], more);
    rig_up_with(&rig, text, opts);
    return 0;
}

static int up_with_store(void **state)
{
    (void)state;
    return up("", &(struct rig_opts){.has_store = true});
}

static int up_without(void **state)
{
    (void)state;
    return up("", &(struct rig_opts){0});
}

static int up_with_little_journal(void **state)
{
    (void)state;
    return up("", &(struct rig_opts){.journal_bytes = 128 * 1024});
}

static int up_with_cache(void **state)
{
    (void)state;
    return up("cache: {enabled: true}\n", &(struct rig_opts){0});
}

static int up_with_small_cache(void **state)
{
    (void)state;
    return up("cache: {enabled: true, size: 1KiB, entry_max: 1KiB}\n", &(struct rig_opts){0});
}

static int up_with_small_entries(void **state)
{
    (void)state;
    return up("cache: {enabled: true, entry_max: 1KiB}\n", &(struct rig_opts){0});
}

static int up_with_short_cache(void **state)
{
    (void)state;
    return up("cache: {enabled: true, ttl: 2ms}\n", &(struct rig_opts){0});
}

static int down(void **state)
{
    (void)state;
    rig_down(&rig);
    return 0;
}

static unsigned asked_n(void)
{
    return rig_upstream(&rig, 'a')->asked_n;
}

/* ------------------------------------------------------------------ stored Responses */

/* more: members in front of the input */
static int respond(const char *more, const char *key, struct call *call)
{
    char body[512];

    snprintf(body, sizeof body, "{\"model\":\"one\",%s\"input\":\"first words\"}", more);
    rig_send(&rig, call, "POST", responses, body, key);
    rig.rows_n++;
    rig_until_over(call);
    return call->status;
}

static void take_id(const struct call *call, char id[128])
{
    struct mt_str text = mt_buf_str(&call->body);
    size_t at = mt_str_find(text, MT_STR("\"id\":\"resp_"));

    assert_true(at < text.len);
    text = mt_str_sub(text, at + 6, text.len);
    text.len = mt_str_find_char(text, '"');
    snprintf(id, 128, "%.*s", MT_STR_ARG(text));
}

/* has: NULL, or what the answer must have in it */
static void expect(const char *method, const char *id, const char *tail, const char *key,
                   int status, const char *has)
{
    struct call call;
    char path[256];

    snprintf(path, sizeof path, "%s/%s%s", responses, id, tail);
    rig_send(&rig, &call, method, path, NULL, key);
    rig_until_over(&call);
    if (call.status != status || (has != NULL && !call_has(&call, has)))
        fail_msg("%s %s by %s: %d, expected %d with '%s': %.*s", method, path, key, call.status,
                 status, has != NULL ? has : "", MT_STR_ARG(mt_buf_str(&call.body)));
    call_fini(&call);
}

static void a_response_is_its_keys_alone(void **state)
{
    (void)state;
    for (int stream = 0; stream < 2; stream++) {
        struct call call;
        char id[128];

        assert_int_equal(respond(stream ? "\"stream\":true," : "", mine, &call), 200);
        take_id(&call, id);
        call_fini(&call);
        expect("GET", id, "", mine, 200, "w2 ");
        expect("GET", id, "/input_items", mine, 200, "first words");
        expect("GET", id, "/input_items?limit=0", mine, 400, "limit");
        expect("GET", id, "/input_items?limit=101", mine, 400, "limit");
        expect("GET", id, "", theirs, 404, "not stored here");
        expect("GET", id, "/input_items", theirs, 404, NULL);
        expect("DELETE", id, "", theirs, 404, NULL);
        expect("GET", id, "", mine, 200, "w2 ");
        expect("DELETE", id, "", mine, 200, "\"deleted\":true");
        expect("DELETE", id, "", mine, 404, NULL);
        expect("GET", id, "", mine, 404, NULL);
        expect("GET", "resp_nobody", "", mine, 404, NULL);
    }
}

static void a_conversation_goes_on_for_its_key_alone(void **state)
{
    struct call call;
    char id[128], again[128], more[256];

    (void)state;
    assert_int_equal(respond("", mine, &call), 200);
    take_id(&call, id);
    call_fini(&call);
    snprintf(more, sizeof more, "\"previous_response_id\":\"%s\",", id);
    assert_int_equal(respond(more, theirs, &call), 404);
    call_fini(&call);
    assert_int_equal(asked_n(), 1);
    assert_int_equal(respond(more, mine, &call), 200);
    assert_true(call_has(&call, id)); /* says what it continues */
    take_id(&call, again);
    call_fini(&call);
    struct mt_str sent = mt_buf_str(&rig_upstream(&rig, 'a')->last_body);
    assert_true(mt_str_find(sent, MT_STR("w0 w1 w2 ")) < sent.len); /* what was answered */
    expect("GET", again, "/input_items", mine, 200, "w2 ");
    expect("DELETE", id, "", mine, 200, NULL);
    assert_int_equal(respond(more, mine, &call), 404);
    call_fini(&call);
    assert_int_equal(asked_n(), 2);
}

static void what_is_not_to_be_stored_is_not(void **state)
{
    struct call call;
    char id[128];

    (void)state;
    assert_int_equal(respond("\"store\":false,", mine, &call), 200);
    take_id(&call, id);
    call_fini(&call);
    expect("GET", id, "", mine, 404, NULL);
}

static void a_node_without_a_store_says_so(void **state)
{
    struct call call;
    char id[128];

    (void)state;
    assert_int_equal(respond("", mine, &call), 200);
    take_id(&call, id);
    call_fini(&call);
    expect("GET", id, "", mine, 404, NULL);
    expect("DELETE", id, "", mine, 404, NULL);
    assert_int_equal(respond("\"previous_response_id\":\"resp_x\",", mine, &call), 400);
    assert_true(call_has(&call, "stores no responses"));
    call_fini(&call);
}

/* ------------------------------------------------------------------ cache */

/* Ask the seed-th question: true when the upstream was not needed. */
static bool is_hit(const char *path, unsigned seed, bool is_stream, const char *key)
{
    unsigned before_n = asked_n();
    char extra[64];
    struct call call;

    snprintf(extra, sizeof extra, "\"temperature\":0.%03u", seed);
    rig_chat(&rig, &call, path, "one", is_stream, extra, key);
    rig_until_over(&call);
    assert_int_equal(call.status, 200);
    assert_true(call_has(&call, "w0 "));
    bool is_so = asked_n() == before_n;
    assert_int_equal(strcmp(call.cache, "hit") == 0, is_so);
    call_fini(&call);
    return is_so;
}

static struct cache_stats stats_now(void)
{
    struct cache_stats stats;

    cache_stats(rig.gw->cache, &stats);
    return stats;
}

static void the_one_not_used_for_longest_leaves_first(void **state)
{
    unsigned n = 2;

    (void)state;
    assert_false(is_hit(openai, 0, false, mine));
    assert_false(is_hit(openai, 1, false, mine));
    assert_true(is_hit(openai, 0, false, mine)); /* now 1 is the oldest */
    while (stats_now().evicted_n == 0) {
        assert_true(n < 100);
        assert_false(is_hit(openai, n++, false, mine));
        assert_in_range(stats_now().bytes, 1, 1024);
    }
    assert_int_equal(stats_now().evicted_n, 1);
    assert_int_equal(stats_now().entries_n, n - 1);
    assert_true(is_hit(openai, 0, false, mine));
    assert_true(is_hit(openai, 2, false, mine));
    assert_false(is_hit(openai, 1, false, mine));
}

static void an_answer_larger_than_an_entry_is_not_kept(void **state)
{
    (void)state;
    RIG_SCRIPT(&rig, 'a', {.what = UP_WHOLE, .words = 400});
    assert_false(is_hit(openai, 1, true, mine));
    assert_int_equal(stats_now().entries_n, 0);
    assert_false(is_hit(openai, 1, false, mine));
}

static bool is_later(void *arg)
{
    return mt_loop_now_ms(rig.loop) >= *(const int64_t *)arg;
}

static void an_answer_is_given_until_its_time_is_over(void **state)
{
    (void)state;
    assert_false(is_hit(openai, 1, false, mine));
    int64_t over_ms = mt_loop_now_ms(rig.loop) + 2;
    rig_until(&rig, is_later, &over_ms);
    assert_false(is_hit(openai, 1, false, mine));
    assert_int_equal(stats_now().entries_n, 1); /* in place of the old one */
}

static void a_cached_answer_is_its_keys_and_its_dialects(void **state)
{
    static const char *const paths[] = {"/v1/chat/completions", "/v1/messages", "/api/chat"};

    (void)state;
    for (size_t i = 0; i < MT_ARRAY_LEN(paths); i++) {
        for (int stream = 0; stream < 2; stream++) { /* recorded either way, given either way */
            unsigned seed = (unsigned)stream + 1;
            assert_false(is_hit(paths[i], seed, stream, mine));
            assert_true(is_hit(paths[i], seed, stream, mine));
            assert_true(is_hit(paths[i], seed, !stream, mine));
            assert_false(is_hit(paths[i], seed, stream, theirs));
        }
    }
}

/* ------------------------------------------------------------------ journal */

static int ask(void)
{
    struct call call;

    rig_chat(&rig, &call, openai, "one", false, NULL, mine);
    rig_until_over(&call);
    int status = call.status;
    assert_true(status != 503 || call_has(&call, "the database is behind"));
    call_fini(&call);
    return status;
}

static int64_t rows_there(void)
{
    static const struct mt_db_opts opts = {.mode = MT_DB_READ};
    struct mt_err err = {0};
    struct mt_db *db = NULL;
    struct mt_stmt *stmt;
    char path[128];
    bool has_row = false;

    snprintf(path, sizeof path, "%s/ledger.db", rig.dir);
    assert_int_equal(mt_db_open(path, &opts, &db, &err), MT_OK);
    assert_int_equal(mt_db_prepare(db, "SELECT count(*) FROM usage", &stmt, &err), MT_OK);
    assert_int_equal(mt_stmt_step(stmt, &has_row, &err), MT_OK);
    int64_t n = mt_stmt_i64(stmt, 0);
    mt_stmt_reset(stmt);
    mt_db_close(db);
    return n;
}

/* Somebody holds the database: rows gather in the journal until it is full. */
static void a_full_journal_refuses_until_there_is_room(void **state)
{
    struct mt_ledger_stats stats;
    struct mt_err err = {0};
    struct mt_db *db = NULL;
    char path[128];
    unsigned n = 0;
    int status;

    (void)state;
    snprintf(path, sizeof path, "%s/ledger.db", rig.dir);
    assert_int_equal(mt_db_open(path, NULL, &db, &err), MT_OK);
    assert_int_equal(mt_db_exec(db, "BEGIN IMMEDIATE", &err), MT_OK);
    do {
        status = ask();
        assert_true(n++ < 1000);
    } while (status == 200);
    assert_int_equal(status, 503);
    assert_true(n > 10);
    assert_int_equal(asked_n(), n - 1); /* nobody was asked for what cannot be accounted */
    assert_int_equal(mt_db_exec(db, "ROLLBACK", &err), MT_OK);
    mt_db_close(db);
    assert_int_equal(mt_ledger_flush(rig.ledger, RIG_DEADLINE_MS, &err), MT_OK);
    for (unsigned i = 0; ask() != 200; i++)
        assert_true(i < 1000); /* the room is free after one more sync */
    rig_until_quiet(&rig);
    assert_int_equal(mt_ledger_flush(rig.ledger, RIG_DEADLINE_MS, &err), MT_OK);
    mt_ledger_stats(rig.ledger, &stats);
    assert_true(stats.busy_n > 0);
    assert_int_equal(asked_n(), n);
    rig.rows_n = rows_there();
    assert_true(rig.rows_n >= n); /* all that were answered; of the refused, those that fit */
}

#define TEST(fn, with) cmocka_unit_test_setup_teardown(fn, with, down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_response_is_its_keys_alone, up_with_store),
        TEST(a_conversation_goes_on_for_its_key_alone, up_with_store),
        TEST(what_is_not_to_be_stored_is_not, up_with_store),
        TEST(a_node_without_a_store_says_so, up_without),
        TEST(the_one_not_used_for_longest_leaves_first, up_with_small_cache),
        TEST(an_answer_larger_than_an_entry_is_not_kept, up_with_small_entries),
        TEST(an_answer_is_given_until_its_time_is_over, up_with_short_cache),
        TEST(a_cached_answer_is_its_keys_and_its_dialects, up_with_cache),
        TEST(a_full_journal_refuses_until_there_is_room, up_with_little_journal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
