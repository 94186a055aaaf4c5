/* SPDX-License-Identifier: Apache-2.0 */
/* The table of local models: what cannot be loaded says why, what is not used goes away. */
#include "support/test.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "net/loop.h"
#include "rig.h"
#include "system/file.h"

#define LAB    MT_SOURCE_DIR "/tests/data/bootstrap.gguf"
#define BROKEN MT_BINARY_DIR "/lab-broken.gguf"

static void ask(struct rig *rig, struct rig_call *call)
{
    static struct rig_ask one;

    one = (struct rig_ask){.request = {.kind = MT_CHAT_CONVERSATION}};
    rig_say(&one, MT_ROLE_USER, "copy x");
    rig_run(rig, call, &one.request);
}

/* Header whole, a key that llama.cpp needs missing: our check passes it, the library refuses.
 */
static void write_broken(const char *from, const char *to)
{
    MT_CLEANUP(mt_buf_fini) struct mt_buf file = MT_BUF_INIT(16 << 20);

    assert_int_equal(mt_file_read(LAB, 16 << 20, &file, NULL), MT_OK);
    size_t at = mt_str_find(mt_buf_str(&file), mt_str_of(from));
    assert_true(at < file.len);
    memcpy(file.at + at, to, strlen(to));
    assert_int_equal(mt_file_write(BROKEN, mt_buf_str(&file), 0600, NULL), MT_OK);
}

static void broken_models_fail_their_requests_with_words(void **state)
{
    (void)state;
    static const struct {
        const char *from, *to, *word;
    } table[] = {
        {"llama.block_count", "llama.block_xxxxx", "block_count"},
        {"blk.1.attn_q.weight", "blk.1.attn_q.wxxxxx", "attn_q"},
        {"tokenizer.ggml.model", "tokenizer.ggml.xxxxx", "lab"},
    };

    for (size_t i = 0; i < MT_ARRAY_LEN(table); i++) {
        struct rig rig;
        struct rig_call call;
        write_broken(table[i].from, table[i].to);
        rig_open(&rig, (struct mt_local_model){.path = MT_STR(BROKEN)},
                 (struct mt_local_opts){0});
        ask(&rig, &call);
        mt_check_row(table[i].from, !call.is_ok);
        mt_check_row(table[i].from, call.error == MT_CHAT_ERR_INTERNAL);
        if (strstr(call.message, table[i].word) == NULL)
            fail_msg("%s", call.message);
        rig_call_fini(&call);
        rig_close(&rig);
    }
    assert_int_equal(mt_file_remove(BROKEN, NULL), MT_OK);
}

/* llama.cpp ends the process over some of them. */
static void counts_that_no_model_has_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *key;
        uint32_t count;
        bool is_known; /* by our own check, before it is loaded */
    } table[] = {
        {"llama.block_count", INT32_MAX, true},
        {"llama.block_count", 513, true},
        {"llama.block_count", 0, true},
        {"llama.embedding_length", INT32_MAX, false},
        {"llama.attention.head_count", INT32_MAX, false},
    };

    for (size_t i = 0; i < MT_ARRAY_LEN(table); i++) {
        MT_CLEANUP(mt_buf_fini) struct mt_buf file = MT_BUF_INIT(16 << 20);
        struct rig rig;
        struct mt_model_card card;
        assert_int_equal(mt_file_read(LAB, 16 << 20, &file, NULL), MT_OK);
        size_t at = mt_str_find(mt_buf_str(&file), mt_str_of(table[i].key));
        memcpy(file.at + at + strlen(table[i].key) + 4, &table[i].count, 4);
        assert_int_equal(mt_file_write(BROKEN, mt_buf_str(&file), 0600, NULL), MT_OK);
        rig_open(&rig, (struct mt_local_model){.path = MT_STR(BROKEN)},
                 (struct mt_local_opts){0});
        mt_rc rc = rig.engine->ops->describe(rig.engine, MT_STR("lab"), &card, NULL);
        mt_check_row(table[i].key, rc == (table[i].is_known ? MT_E_UNSUPPORTED : MT_OK));
        if (!table[i].is_known) {
            struct rig_call call;
            ask(&rig, &call);
            mt_check_row(table[i].key, !call.is_ok);
            rig_call_fini(&call);
        }
        rig_close(&rig);
        assert_int_equal(mt_file_remove(BROKEN, NULL), MT_OK);
    }
}

static void missing_files_are_refused_at_start(void **state)
{
    (void)state;
    struct rig rig;
    struct rig_call call;
    struct rig_ask one = {.request = {.kind = MT_CHAT_CONVERSATION}};
    struct mt_err err = {0};

    rig_open(&rig, (struct mt_local_model){.path = MT_STR("/nowhere/x.gguf")},
             (struct mt_local_opts){0});
    rig_call_init(&call, &rig);
    rig_say(&one, MT_ROLE_USER, "x");
    assert_int_equal(rig_start(&rig, &call, &one.request, &err), MT_E_NOTFOUND);
    assert_non_null(strstr(err.text, "/nowhere/x.gguf"));
    rig_call_fini(&call);
    rig_close(&rig);
}

static bool is_gone(void *ctx)
{
    struct mt_model_card card;
    return mt_local_loaded(((struct rig *)ctx)->engine, &card, 1) == 0;
}

static void idle_models_go_away_and_come_back(void **state)
{
    (void)state;
    struct rig rig;
    struct rig_call call;

    rig_open(&rig, (struct mt_local_model){.keep_alive_ms = 30}, (struct mt_local_opts){0});
    for (int i = 0; i < 3; i++) {
        ask(&rig, &call);
        assert_true(call.is_ok);
        assert_true(call.usage.load_ns > 0);
        rig_call_fini(&call);
        rig_until(&rig, is_gone, &rig);
    }
    rig_close(&rig);
}

static void several_models_answer_at_once_and_the_table_can_change(void **state)
{
    (void)state;
    struct mt_local_model models[] = {{.name = MT_STR_INIT("a"), .path = MT_STR_INIT(LAB)},
                                      {.name = MT_STR_INIT("b"), .path = MT_STR_INIT(LAB)},
                                      {.name = MT_STR_INIT("c"), .path = MT_STR_INIT(LAB)}};
    static struct rig_ask asks[3];
    struct rig_call calls[3];
    struct rig rig;
    struct mt_err err = {0};
    struct mt_model_card cards[4];

    rig_open(&rig, (struct mt_local_model){.name = MT_STR("a")}, (struct mt_local_opts){0});
    assert_int_equal(mt_local_set_models(rig.engine, models, 3, &err), MT_OK);
    for (int i = 0; i < 3; i++) {
        asks[i] = (struct rig_ask){.request = {.kind = MT_CHAT_CONVERSATION}};
        rig_say(&asks[i], MT_ROLE_USER, "upper motet");
        asks[i].request.model = models[i].name;
        rig_call_init(&calls[i], &rig);
        assert_int_equal(rig_start(&rig, &calls[i], &asks[i].request, &err), MT_OK);
    }
    rig_wait(&rig);
    assert_int_equal(mt_local_loaded(rig.engine, cards, 4), 3);
    for (int i = 0; i < 3; i++) {
        assert_string_equal(rig_text(&calls[i]), "MOTET");
        rig_call_fini(&calls[i]);
    }
    assert_int_equal(mt_local_set_models(rig.engine, models + 1, 1, &err), MT_OK);
    assert_int_equal(mt_local_loaded(rig.engine, cards, 4), 1); /* "b" stayed */
    assert_true(mt_str_is(cards[0].name, "b"));
    models[1].path = MT_STR("");
    assert_int_equal(mt_local_set_models(rig.engine, models, 2, &err), MT_E_INVALID);
    assert_int_equal(mt_local_loaded(rig.engine, cards, 4), 1); /* untouched */
    rig_close(&rig);
}

struct description {
    struct rig *rig;
    const char *name;
};

static bool is_described(void *ctx)
{
    struct description *what = ctx;
    struct mt_model_card card;
    struct mt_str name = mt_str_of(what->name);

    return what->rig->engine->ops->describe(what->rig->engine, name, &card, NULL) == MT_OK &&
           card.parameters_n > 0;
}

static void a_reload_reads_headers_beside_the_loop(void **state)
{
    (void)state;
    struct rig rig;
    struct mt_local_model models[2] = {{.name = MT_STR("new"), .path = MT_STR(LAB)},
                                       {.name = MT_STR("none"), .path = MT_STR("/nowhere")}};
    struct description what = {&rig, "new"};
    struct mt_model_card card;

    rig_open(&rig, (struct mt_local_model){0}, (struct mt_local_opts){0});
    assert_int_equal(mt_local_set_models(rig.engine, models, 2, NULL), MT_OK);
    assert_false(is_described(&what)); /* known by name, not by its file yet */
    rig_until(&rig, is_described, &what);
    assert_int_equal(rig.engine->ops->describe(rig.engine, MT_STR("none"), &card, NULL),
                     MT_E_NOTFOUND);
    models[0].name = MT_STR("newer"); /* and closing does not wait for the loop */
    assert_int_equal(mt_local_set_models(rig.engine, models, 1, NULL), MT_OK);
    rig_close(&rig);
}

static void write_header(const char *text, int64_t modified_s)
{
    struct timespec times[2] = {{.tv_sec = modified_s}, {.tv_sec = modified_s}};
    MT_CLEANUP(mt_buf_fini) struct mt_buf file = MT_BUF_INIT(16 << 20);
    int fd;

    assert_int_equal(mt_file_read(LAB, 16 << 20, &file, NULL), MT_OK);
    memcpy(file.at, text, 4);
    fd = open(BROKEN, O_WRONLY | O_CREAT | O_CLOEXEC, 0600); /* the same file, in place */
    assert_true(fd >= 0);
    assert_int_equal(write(fd, file.at, file.len), (ssize_t)file.len);
    assert_int_equal(futimens(fd, times), 0);
    assert_int_equal(close(fd), 0);
}

static void what_is_no_model_is_read_again_when_it_changed(void **state)
{
    (void)state;
    struct rig rig;
    struct description what = {&rig, "lab"};
    struct mt_model_card card;
    struct mt_err first = {0};
    struct mt_err second = {0};

    write_header("GGML", 1000);
    rig_open(&rig, (struct mt_local_model){.path = MT_STR(BROKEN)}, (struct mt_local_opts){0});
    assert_int_equal(rig.engine->ops->describe(rig.engine, MT_STR("lab"), &card, &first),
                     MT_E_CORRUPT);
    write_header("GGUF", 1000); /* nothing tells that it is another: it is not opened */
    assert_int_equal(rig.engine->ops->describe(rig.engine, MT_STR("lab"), &card, &second),
                     MT_E_CORRUPT);
    assert_string_equal(first.text, second.text);
    write_header("GGUF", 1001);
    assert_true(is_described(&what));
    rig_close(&rig);
    assert_int_equal(mt_file_remove(BROKEN, NULL), MT_OK);
}

static void load_only_requests_say_loaded(void **state)
{
    (void)state;
    struct rig rig;
    struct rig_call call;
    struct mt_chat_request request = {
        .kind = MT_CHAT_CONVERSATION, .is_load_only = true, .keep_alive_s = {true, -1}};
    struct mt_model_card card;

    rig_open(&rig, (struct mt_local_model){.parallel_max = 2}, (struct mt_local_opts){0});
    request.keep_alive_s.value = 0;
    rig_run(&rig, &call, &request);
    assert_true(call.is_ok);
    assert_int_equal(call.choices[0].finish, MT_FINISH_UNLOADED);
    assert_int_equal(call.usage.load_ns, 0); /* what is not there is not loaded for it */
    rig_call_fini(&call);
    request.keep_alive_s.value = -1;
    rig_run(&rig, &call, &request);
    assert_true(call.is_ok);
    assert_int_equal(call.choices[0].finish, MT_FINISH_LOADED);
    assert_int_equal(mt_local_loaded(rig.engine, &card, 1), 1);
    assert_int_equal(card.expires_at_s, 0); /* for ever */
    rig_call_fini(&call);
    request.keep_alive_s.value = 0;
    rig_run(&rig, &call, &request);
    assert_int_equal(call.choices[0].finish, MT_FINISH_UNLOADED);
    rig_call_fini(&call);
    rig_close(&rig);
}

/* Ollama's way to use a model once. */
static void an_answer_with_no_keep_alive_leaves_nothing(void **state)
{
    (void)state;
    struct rig rig;
    struct rig_call call;

    rig_open(&rig, (struct mt_local_model){.keep_alive_ms = -1}, (struct mt_local_opts){0});
    for (int i = 0; i < 2; i++) {
        struct rig_ask one = {.request = {.kind = MT_CHAT_CONVERSATION}};
        rig_say(&one, MT_ROLE_USER, "upper motet");
        one.request.keep_alive_s = (struct mt_opt_i64){true, 0};
        rig_run(&rig, &call, &one.request);
        if (!call.is_ok)
            fail_msg("%s", call.message);
        assert_string_equal(rig_text(&call), "MOTET");
        rig_call_fini(&call);
        rig_until(&rig, is_gone, &rig);
    }
    rig_close(&rig);
}

static void limits_of_time_end_a_run(void **state)
{
    (void)state;
    struct rig rig;
    struct rig_call call;
    struct rig_ask one = {.request = {.kind = MT_CHAT_CONVERSATION}};

    rig_open(&rig, (struct mt_local_model){.parallel_max = 1}, (struct mt_local_opts){0});
    rig_say(&one, MT_ROLE_USER, "copy abc");
    one.request.n = 8;
    one.request.sampling.logit_bias_json = MT_STR("{\"2\":-100,\"260\":-100}");
    rig_call_init(&call, &rig);
    rig.total_timeout_ms = 5;
    assert_int_equal(rig_start(&rig, &call, &one.request, NULL), MT_OK);
    rig_wait(&rig);
    assert_false(call.is_ok);
    assert_int_equal(call.error, MT_CHAT_ERR_TIMEOUT);
    rig_call_fini(&call);
    rig.total_timeout_ms = 0;
    ask(&rig, &call);
    assert_true(call.is_ok);
    rig_call_fini(&call);
    rig_close(&rig);
}

static void closing_in_the_middle_leaves_nothing(void **state)
{
    (void)state;
    for (int turns = 0; turns < 6; turns++) {
        struct rig rig;
        struct rig_call calls[8];
        static struct rig_ask asks[8];
        rig_open(&rig, (struct mt_local_model){.parallel_max = 4}, (struct mt_local_opts){0});
        for (int i = 0; i < 8; i++) {
            asks[i] = (struct rig_ask){.request = {.kind = MT_CHAT_CONVERSATION}};
            rig_say(&asks[i], MT_ROLE_USER, "upper motet");
            rig_call_init(&calls[i], &rig);
            calls[i].pause_at = i == 0 ? (unsigned)turns : 0; /* stops the loop there */
            assert_int_equal(rig_start(&rig, &calls[i], &asks[i].request, NULL), MT_OK);
        }
        if (turns > 0)
            mt_loop_run(rig.loop);
        rig_close(&rig); /* waits for the thread; the sanitizers say what is left */
        for (int i = 0; i < 8; i++)
            rig_call_fini(&calls[i]);
    }
}

static void opening_survives_any_failed_allocation(void **state)
{
    (void)state;
    struct mt_local_model models[2] = {
        {.name = MT_STR_INIT("a"), .path = MT_STR_INIT(LAB)},
        {.name = MT_STR_INIT("b"), .path = MT_STR_INIT(LAB), .lora_path = MT_STR_INIT("/x")}};
    struct mt_local_opts opts = {.models = models, .models_n = 2};
    mt_rc rc = MT_E_NOMEM;
    long live = mt_alloc_live;

    for (long nth = 0; rc != MT_OK; nth++) {
        struct mt_loop *loop = NULL;
        struct mt_engine *engine = NULL;
        struct mt_err err = {0};

        assert_int_equal(mt_loop_new(&loop, NULL), MT_OK);
        mt_alloc_fail_after = nth;
        rc = mt_local_open(loop, &opts, &engine, &err);
        mt_alloc_fail_after = -1;
        assert_true(rc == MT_OK || rc == MT_E_NOMEM);
        assert_true(nth > 5 || rc != MT_OK);
        if (rc == MT_OK)
            engine->ops->close(engine);
        else
            assert_null(engine);
        mt_loop_free(loop); /* closes timers to their end */
        assert_int_equal(mt_alloc_live, live);
    }
}

static void no_library_says_what_to_run(void **state)
{
    (void)state;
    struct mt_loop *loop = NULL;
    struct mt_engine *engine = NULL;
    struct mt_local_opts opts = {.library_dir = "/nowhere"};
    struct mt_err err = {0};

    assert_int_equal(mt_loop_new(&loop, NULL), MT_OK);
    assert_int_equal(mt_local_open(loop, &opts, &engine, &err), MT_E_NOTFOUND);
    assert_non_null(strstr(err.text, "scripts/llama-deps.sh"));
    mt_loop_free(loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(broken_models_fail_their_requests_with_words),
        cmocka_unit_test(counts_that_no_model_has_are_refused),
        cmocka_unit_test(missing_files_are_refused_at_start),
        cmocka_unit_test(idle_models_go_away_and_come_back),
        cmocka_unit_test(several_models_answer_at_once_and_the_table_can_change),
        cmocka_unit_test(a_reload_reads_headers_beside_the_loop),
        cmocka_unit_test(what_is_no_model_is_read_again_when_it_changed),
        cmocka_unit_test(load_only_requests_say_loaded),
        cmocka_unit_test(an_answer_with_no_keep_alive_leaves_nothing),
        cmocka_unit_test(limits_of_time_end_a_run),
        cmocka_unit_test(closing_in_the_middle_leaves_nothing),
        cmocka_unit_test(opening_survives_any_failed_allocation),
        cmocka_unit_test(no_library_says_what_to_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
