/* SPDX-License-Identifier: Apache-2.0 */
/* Runs and models that end while the other is still there: slow readers, full queues, models
 * taken away, memory that is out. */
#include "support/test.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "job.h"
#include "net/loop.h"
#include "rig.h"

enum { MANY = 1000, SLOTS = 16 };

static void start(struct rig *rig, struct rig_call *call, const char *text)
{
    static struct rig_ask ask; /* an engine copies what it needs */

    ask = (struct rig_ask){.request = {.kind = MT_CHAT_CONVERSATION}};
    rig_say(&ask, MT_ROLE_USER, text);
    rig_call_init(call, rig);
    assert_int_equal(rig_start(rig, call, &ask.request, NULL), MT_OK);
}

static void check_answers(struct rig *rig)
{
    struct rig_call call;

    start(rig, &call, "upper abc");
    rig_wait(rig);
    assert_string_equal(rig_text(&call), "ABC");
    rig_call_fini(&call);
}

static void paused_answers_outlive_their_model(void **state)
{
    (void)state;
    for (int how = 0; how < 3; how++) { /* resumed, cancelled, left to the engine's end */
        struct rig rig;
        struct rig_call call;
        rig_open(&rig, (struct mt_local_model){0}, (struct mt_local_opts){0});
        start(&rig, &call, "upper motet");
        call.pause_at = 1;
        mt_loop_run(rig.loop); /* the pause stops it */
        rig.open_n--;
        check_answers(&rig); /* beside it the whole answer has come */
        assert_int_equal(mt_local_unload(rig.engine, MT_STR("lab"), NULL), MT_OK);
        check_answers(&rig); /* a new one is loaded, the old one's thread has ended */
        assert_int_equal(call.events_n, 1);
        if (how == 0) {
            rig.open_n++;
            rig.engine->ops->resume(call.run);
            rig_wait(&rig);
            assert_true(call.is_ok);
            assert_string_equal(rig_text(&call), "MOTET");
        } else if (how == 1) {
            rig.engine->ops->cancel(call.run);
        }
        rig_call_fini(&call);
        rig_close(&rig);
    }
}

static void slow_readers_keep_no_slot(void **state)
{
    (void)state;
    static struct rig_call calls[SLOTS];
    struct rig rig;

    rig_open(&rig, (struct mt_local_model){.parallel_max = SLOTS}, (struct mt_local_opts){0});
    for (size_t i = 0; i < SLOTS; i++)
        start(&rig, &calls[i], "upper motet");
    for (size_t i = 0; i < SLOTS; i++)
        rig.engine->ops->pause(calls[i].run);
    rig.open_n = 0;
    for (size_t i = 0; i < 3; i++)
        check_answers(&rig);
    for (size_t i = 0; i < SLOTS; i++) {
        assert_int_equal(calls[i].events_n, 0);
        rig.engine->ops->resume(calls[i].run);
    }
    rig.open_n = SLOTS;
    rig_wait(&rig);
    for (size_t i = 0; i < SLOTS; i++) {
        assert_true(calls[i].is_ok);
        assert_string_equal(rig_text(&calls[i]), "MOTET");
        rig_call_fini(&calls[i]);
    }
    rig_close(&rig);
}

static void a_thousand_that_wait_are_all_answered(void **state)
{
    (void)state;
    static struct rig_call calls[MANY];
    struct rig rig;

    rig_open(&rig, (struct mt_local_model){.parallel_max = SLOTS},
             (struct mt_local_opts){.queue_max = MANY});
    for (size_t i = 0; i < MANY; i++) {
        start(&rig, &calls[i], i % 2 == 0 ? "upper abc" : "upper motet");
        calls[i].cancel_at = i % 5 == 0 ? 1 : 0;
    }
    rig_wait(&rig);
    for (size_t i = 0; i < MANY; i++) {
        mt_check_row("answer", i % 5 == 0 || calls[i].is_ok);
        if (i % 5 != 0)
            assert_string_equal(rig_text(&calls[i]), i % 2 == 0 ? "ABC" : "MOTET");
        rig_call_fini(&calls[i]);
    }
    rig_close(&rig);
}

static void those_who_left_while_it_loads_make_room(void **state)
{
    (void)state;
    enum { QUEUE = 8 };
    struct rig rig;

    rig_open(&rig, (struct mt_local_model){0}, (struct mt_local_opts){.queue_max = QUEUE});
    for (int i = 0; i < 4 * QUEUE; i++) {
        struct rig_call call;
        start(&rig, &call, "upper abc");
        rig.engine->ops->cancel(call.run);
        rig.open_n--;
        rig_call_fini(&call);
    }
    check_answers(&rig);
    rig_close(&rig);
}

static void take_away(struct rig *rig, int how)
{
    struct mt_local_model other = {.name = MT_STR("other"),
                                   .path = MT_STR(MT_SOURCE_DIR "/tests/data/bootstrap.gguf")};

    if (how == 0)
        assert_int_equal(mt_local_unload(rig->engine, MT_STR("lab"), NULL), MT_OK);
    else
        assert_int_equal(mt_local_set_models(rig->engine, &other, 1, NULL), MT_OK);
}

static void models_taken_away_answer_what_waits(void **state)
{
    (void)state;
    for (int how = 0; how < 2; how++) { /* unloaded; no longer in the table */
        static struct rig_call calls[2 * SLOTS];
        struct rig rig;
        struct mt_model_card card;
        rig_open(&rig, (struct mt_local_model){.parallel_max = 2}, (struct mt_local_opts){0});
        check_answers(&rig);
        for (size_t i = 0; i < MT_ARRAY_LEN(calls); i++)
            start(&rig, &calls[i], "upper motet");
        take_away(&rig, how);
        assert_int_equal(mt_local_loaded(rig.engine, &card, 1), 0);
        rig_wait(&rig);
        for (size_t i = 0; i < MT_ARRAY_LEN(calls); i++) {
            assert_true(calls[i].is_ok);
            rig_call_fini(&calls[i]);
        }
        rig_close(&rig);
    }
}

static void keep_alive_counts_from_the_last_answer(void **state)
{
    (void)state;
    static struct rig_call calls[SLOTS];
    struct rig rig;
    struct mt_model_card card;

    rig_open(&rig, (struct mt_local_model){.keep_alive_ms = 1, .parallel_max = 1},
             (struct mt_local_opts){0});
    for (size_t i = 0; i < SLOTS; i++) /* one after the other, longer than the keep-alive */
        start(&rig, &calls[i], "upper motet");
    rig_wait(&rig);
    for (size_t i = 0; i < SLOTS; i++) {
        assert_true(calls[i].is_ok);
        assert_true(i == 0 || calls[i].usage.load_ns == calls[0].usage.load_ns); /* once */
        rig_call_fini(&calls[i]);
    }
    struct mt_local_model longer = {.name = MT_STR("lab"),
                                    .path = MT_STR(MT_SOURCE_DIR "/tests/data/bootstrap.gguf"),
                                    .parallel_max = 1,
                                    .keep_alive_ms = -1};
    assert_int_equal(mt_local_set_models(rig.engine, &longer, 1, NULL), MT_OK);
    check_answers(&rig);
    assert_int_equal(mt_local_loaded(rig.engine, &card, 1), 1);
    assert_int_equal(card.expires_at_s, 0); /* the table's new word counts */
    rig_close(&rig);
}

static bool is_loaded(void *ctx)
{
    struct mt_model_card card;
    return mt_local_loaded(((struct rig *)ctx)->engine, &card, 1) == 1;
}

/* As Ollama tells it: what is in use stays for its keep-alive from now on. */
static void a_model_in_use_tells_when_it_would_go(void **state)
{
    (void)state;
    struct rig rig;
    struct rig_call call;
    struct mt_model_card card;
    struct rig_ask ask = {.request = {.kind = MT_CHAT_CONVERSATION}};
    int64_t now_s = (int64_t)time(NULL);

    rig_open(&rig, (struct mt_local_model){.keep_alive_ms = 3600 * 1000, .parallel_max = 1},
             (struct mt_local_opts){0});
    rig_say(&ask, MT_ROLE_USER, "copy abc");
    ask.request.sampling.logit_bias_json = MT_STR("{\"2\":-100,\"260\":-100}"); /* no end */
    rig_call_init(&call, &rig);
    assert_int_equal(rig_start(&rig, &call, &ask.request, NULL), MT_OK);
    rig_until(&rig, is_loaded, &rig);
    assert_false(call.is_over);
    assert_int_equal(mt_local_loaded(rig.engine, &card, 1), 1);
    assert_true(card.expires_at_s >= now_s + 3600 && card.expires_at_s < now_s + 3700);
    rig_wait(&rig);
    assert_int_equal(mt_local_loaded(rig.engine, &card, 1), 1);
    assert_true(card.expires_at_s >= now_s + 3600 && card.expires_at_s < now_s + 3700);
    rig_call_fini(&call);
    rig_close(&rig);
}

static void waiting_for_a_slot_counts_against_the_first_event(void **state)
{
    (void)state;
    struct rig rig;
    struct rig_call calls[2];
    struct rig_ask ask = {.request = {.kind = MT_CHAT_CONVERSATION}};

    rig_open(&rig, (struct mt_local_model){.parallel_max = 1}, (struct mt_local_opts){0});
    rig_say(&ask, MT_ROLE_USER, "copy abc");
    ask.request.sampling.logit_bias_json = MT_STR("{\"2\":-100,\"260\":-100}"); /* no end */
    rig_call_init(&calls[0], &rig);
    assert_int_equal(rig_start(&rig, &calls[0], &ask.request, NULL), MT_OK);
    rig.first_timeout_ms = 1;
    start(&rig, &calls[1], "upper abc");
    rig_wait(&rig);
    assert_true(calls[0].is_ok);
    assert_false(calls[1].is_ok);
    assert_int_equal(calls[1].error, MT_CHAT_ERR_TIMEOUT);
    assert_int_equal(calls[1].events_n, 0);
    for (int i = 0; i < 2; i++)
        rig_call_fini(&calls[i]);
    rig_close(&rig);
}

static void a_job_ends_even_when_there_is_no_memory_for_it(void **state)
{
    (void)state;
    long live = mt_alloc_live;
    struct mt_job *job = mt_job_new();
    struct mt_chat_error error = {.kind = MT_CHAT_ERR_TIMEOUT, .message = MT_STR("late")};

    assert_non_null(job);
    mt_alloc_fail_after = 0;
    struct mt_piece *piece = mt_piece_last(job, &error, NULL);
    mt_alloc_fail_after = -1;
    assert_non_null(piece);
    assert_true(piece->is_last && piece->has_error);
    assert_int_equal(piece->error.kind, MT_CHAT_ERR_INTERNAL);
    assert_true(mt_str_is(piece->error.message, "out of memory"));
    mt_piece_drop(piece);
    assert_int_equal(mt_alloc_live, live);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(paused_answers_outlive_their_model),
        cmocka_unit_test(slow_readers_keep_no_slot),
        cmocka_unit_test(a_thousand_that_wait_are_all_answered),
        cmocka_unit_test(those_who_left_while_it_loads_make_room),
        cmocka_unit_test(models_taken_away_answer_what_waits),
        cmocka_unit_test(keep_alive_counts_from_the_last_answer),
        cmocka_unit_test(a_model_in_use_tells_when_it_would_go),
        cmocka_unit_test(waiting_for_a_slot_counts_against_the_first_event),
        cmocka_unit_test(a_job_ends_even_when_there_is_no_memory_for_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
