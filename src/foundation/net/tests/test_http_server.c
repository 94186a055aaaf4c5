/* SPDX-License-Identifier: Apache-2.0 */
/* The server as its owner and a well-behaved client see it. */
#include "rig.h"

#include <string.h>
#include <unistd.h>

static void whole_answers_arrive_whole(void **state)
{
    (void)state;
    struct rig rig;
    struct rig_call call = {0};

    rig_up(&rig, NULL, NULL);
    rig_call(&rig, &call, "POST", "/echo", MT_STR("some words"));
    rig_run(&rig);
    assert_int_equal(call.end, MT_HTTP_DONE);
    assert_int_equal(call.status, 200);
    assert_string_equal(mt_buf_cstr(&call.body), "some words");
    assert_string_equal(call.type, "application/octet-stream");
    rig_call_fini(&call);
    rig_down(&rig);
}

static void streamed_answers_arrive_in_pieces(void **state)
{
    (void)state;
    struct rig rig;
    struct rig_call call = {0};

    rig_up(&rig, NULL, NULL);
    rig_call(&rig, &call, "GET", "/stream?n=5&size=1000", MT_STR(""));
    rig_run(&rig);
    assert_int_equal(call.end, MT_HTTP_DONE);
    assert_int_equal(call.body.len, 5000);
    assert_string_equal(call.type, "text/event-stream");
    rig_call_fini(&call);
    rig_down(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_answers_arrive_whole),
        cmocka_unit_test(streamed_answers_arrive_in_pieces),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
