/* SPDX-License-Identifier: Apache-2.0 */
/* The local engine with the lab's bootstrap model: answers, batches, prefixes, ends. */
#include "support/test.h"

#include <stdio.h>
#include <string.h>

#include "net/loop.h"
#include "rig.h"

static struct rig rig;

static int open_rig(void **state)
{
    (void)state;
    rig_open(&rig, (struct mt_local_model){.parallel_max = 16, .keep_alive_ms = -1},
             (struct mt_local_opts){.queue_max = 64});
    return 0;
}

static int close_rig(void **state)
{
    (void)state;
    rig_close(&rig);
    return 0;
}

static void answers_correctly_and_tells_what_it_used(void **state)
{
    (void)state;
    static const struct {
        const char *ask, *answer;
    } table[] = {{"upper motet", "MOTET"}, {"copy hello", "hello"}, {"45+38", "83"}};

    for (size_t i = 0; i < MT_ARRAY_LEN(table); i++) {
        struct rig_ask ask = {.request = {.kind = MT_CHAT_CONVERSATION}};
        struct rig_call call;
        rig_say(&ask, MT_ROLE_USER, table[i].ask);
        rig_run(&rig, &call, &ask.request);
        mt_check_row(table[i].ask, call.is_ok);
        assert_string_equal(rig_text(&call), table[i].answer);
        assert_int_equal(call.choices[0].finish, MT_FINISH_STOP);
        assert_true(call.has_start && call.has_end);
        assert_true(call.start.input_tokens > 10);
        assert_int_equal(call.usage.input_tokens, call.start.input_tokens);
        assert_int_equal(call.usage.output_tokens, strlen(table[i].answer));
        assert_true(call.usage.prompt_ns > 0);
        assert_true(call.texts_n >= 2); /* it streams */
        rig_call_fini(&call);
    }
}

static void sixteen_at_once_are_all_correct(void **state)
{
    (void)state;
    static struct rig_ask asks[16];
    static struct rig_call calls[16];
    static char words[16][32], uppers[16][32];
    struct mt_err err = {0};

    for (int i = 0; i < 16; i++) {
        snprintf(words[i], sizeof words[i], "upper w%c%cx", 'a' + i, 'p' - i);
        snprintf(uppers[i], sizeof uppers[i], "W%c%cX", 'A' + i, 'P' - i);
        asks[i] = (struct rig_ask){.request = {.kind = MT_CHAT_CONVERSATION}};
        rig_say(&asks[i], MT_ROLE_USER, words[i]);
        rig_call_init(&calls[i], &rig);
        assert_int_equal(rig_start(&rig, &calls[i], &asks[i].request, &err), MT_OK);
    }
    rig_wait(&rig);
    for (int i = 0; i < 16; i++) {
        assert_string_equal(rig_text(&calls[i]), uppers[i]);
        rig_call_fini(&calls[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_correctly_and_tells_what_it_used),
        cmocka_unit_test(sixteen_at_once_are_all_correct),
    };
    return cmocka_run_group_tests(tests, open_rig, close_rig);
}
