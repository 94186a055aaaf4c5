/* SPDX-License-Identifier: Apache-2.0 */
/* Adapters: one that adds nothing changes nothing, one that adds much changes what is said, and
 * what does not fit the model says why. The adapters are written here, byte by byte. */
#include "support/test.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "rig.h"
#include "system/file.h"

#define LORA MT_BINARY_DIR "/lab-lora.gguf"

enum { DIMS = 96, LAYERS = 3, RANK = 2, ALIGNMENT = 32 };

struct adapter {
    const char *type;   /* adapter.type; NULL: the file is a model */
    const char *tensor; /* "blk.%d.<tensor>.lora_a" */
    unsigned dims;      /* of the tensor it says it is for */
    float value;        /* of all elements */
};

static void add_u(struct mt_buf *to, uint64_t value, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++)
        mt_buf_add_char(to, (char)(value >> (8 * i)));
}

static void add_f32(struct mt_buf *to, float value)
{
    uint32_t bits;

    memcpy(&bits, &value, sizeof bits);
    add_u(to, bits, 4);
}

static void add_text(struct mt_buf *to, const char *text)
{
    add_u(to, strlen(text), 8);
    mt_buf_add_cstr(to, text);
}

static void add_key_text(struct mt_buf *to, const char *key, const char *text)
{
    add_text(to, key);
    add_u(to, 8, 4); /* string */
    add_text(to, text);
}

/* Head of a tensor of F32; its offset counts on. */
static void add_tensor(struct mt_buf *to, const char *name, unsigned a, unsigned b,
                       uint64_t *offset)
{
    add_text(to, name);
    add_u(to, 2, 4);
    add_u(to, a, 8);
    add_u(to, b, 8);
    add_u(to, 0, 4);
    add_u(to, *offset, 8);
    *offset += (uint64_t)a * b * 4;
    *offset += -*offset % ALIGNMENT;
}

static void write_adapter(const struct adapter *adapter)
{
    MT_CLEANUP(mt_buf_fini) struct mt_buf file = MT_BUF_INIT(1 << 20);
    uint64_t bytes = 0;

    mt_buf_add_cstr(&file, "GGUF");
    add_u(&file, 3, 4);
    add_u(&file, 2 * LAYERS, 8);
    add_u(&file, adapter->type != NULL ? 4 : 2, 8);
    add_key_text(&file, "general.architecture", "llama");
    add_key_text(&file, "general.type", adapter->type != NULL ? "adapter" : "model");
    if (adapter->type != NULL) {
        add_key_text(&file, "adapter.type", adapter->type);
        add_text(&file, "adapter.lora.alpha");
        add_u(&file, 6, 4); /* f32 */
        add_f32(&file, RANK);
    }
    for (int i = 0; i < LAYERS; i++) {
        char name[64];
        snprintf(name, sizeof name, "blk.%d.%s.lora_a", i, adapter->tensor);
        add_tensor(&file, name, adapter->dims, RANK, &bytes);
        snprintf(name, sizeof name, "blk.%d.%s.lora_b", i, adapter->tensor);
        add_tensor(&file, name, RANK, adapter->dims, &bytes);
    }
    while (file.len % ALIGNMENT != 0)
        mt_buf_add_char(&file, '\0');
    for (uint64_t i = 0; i < bytes / 4; i++)
        add_f32(&file, i % 3 == 0 ? adapter->value : -adapter->value / 2);
    assert_int_equal(mt_buf_check(&file, "adapter", NULL), MT_OK);
    assert_int_equal(mt_file_write(LORA, mt_buf_str(&file), 0600, NULL), MT_OK);
}

/* What the model says of "upper motet", and how sure it is of the first token. */
static float ask(struct mt_local_model model, struct rig_call *call)
{
    struct rig rig;
    struct rig_ask one = {.request = {.kind = MT_CHAT_CONVERSATION}};

    rig_open(&rig, model, (struct mt_local_opts){0});
    rig_say(&one, MT_ROLE_USER, "upper motet");
    one.request.logprobs = true;
    one.request.max_tokens = (struct mt_opt_i64){true, 16};
    rig_run(&rig, call, &one.request);
    rig_close(&rig);
    return call->logprobs_n > 0 ? call->logprobs[0] : 0;
}

static void adapters_change_what_is_said_as_much_as_they_weigh(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        float value;
        double scale;
        bool is_same_text, is_same_number;
    } table[] = {
        {"all zeros", 0, 1, true, true},
        {"small", 0.001F, 1, true, false},
        {"large, scaled to nearly nothing", 1, 1e-9, true, false},
        {"large, scale unsaid", 1, 0, false, false},
        {"large, turned round", 1, -2, false, false},
    };
    struct rig_call plain;
    float base = ask((struct mt_local_model){0}, &plain);

    assert_string_equal(rig_text(&plain), "MOTET");
    for (size_t i = 0; i < MT_ARRAY_LEN(table); i++) {
        struct rig_call call;
        struct mt_local_model model = {.lora_path = MT_STR(LORA), .lora_scale = table[i].scale};
        write_adapter(&(struct adapter){"lora", "attn_q.weight", DIMS, table[i].value});
        float sure = ask(model, &call);
        mt_check_row(table[i].name, call.is_ok);
        bool is_same = strcmp(rig_text(&call), "MOTET") == 0;
        mt_check_row(table[i].name, is_same == table[i].is_same_text);
        mt_check_row(table[i].name, sure == base || !table[i].is_same_number);
        mt_check_row(table[i].name, sure != base || table[i].is_same_text);
        rig_call_fini(&call);
    }
    rig_call_fini(&plain);
    assert_int_equal(mt_file_remove(LORA, NULL), MT_OK);
}

static void embeddings_are_those_of_the_adapted_model(void **state)
{
    (void)state;
    struct mt_str text = MT_STR("a b c");
    struct mt_embed_request request = {.inputs = &text, .inputs_n = 1};
    struct rig_call calls[2];

    write_adapter(&(struct adapter){"lora", "attn_v.weight", DIMS, 1});
    for (int i = 0; i < 2; i++) {
        struct rig rig;
        struct mt_local_model model = {.lora_path = i == 1 ? MT_STR(LORA) : MT_STR("")};
        rig_open(&rig, model, (struct mt_local_opts){0});
        rig_embed(&rig, &calls[i], &request);
        assert_true(calls[i].is_ok);
        rig_close(&rig);
    }
    assert_int_equal(calls[0].dims, calls[1].dims);
    assert_memory_not_equal(calls[0].vectors, calls[1].vectors, calls[0].dims * sizeof(float));
    for (int i = 0; i < 2; i++)
        rig_call_fini(&calls[i]);
    assert_int_equal(mt_file_remove(LORA, NULL), MT_OK);
}

static void what_does_not_fit_says_why(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        struct adapter adapter;
        const char *word;
    } table[] = {
        {"other shape", {"lora", "attn_q.weight", DIMS / 2, 1}, "attn_q"},
        {"no such tensor", {"lora", "attn_x.weight", DIMS, 1}, "attn_x"},
        {"a model", {NULL, "attn_q.weight", DIMS, 1}, "a model, not an adapter"},
        {"another kind", {"magic", "attn_q.weight", DIMS, 1}, "lora"},
    };

    for (size_t i = 0; i < MT_ARRAY_LEN(table); i++) {
        struct rig_call call;
        write_adapter(&table[i].adapter);
        (void)ask((struct mt_local_model){.lora_path = MT_STR(LORA)}, &call);
        mt_check_row(table[i].name, !call.is_ok);
        if (strstr(call.message, table[i].word) == NULL)
            fail_msg("%s: %s", table[i].name, call.message);
        rig_call_fini(&call);
    }
    assert_int_equal(mt_file_remove(LORA, NULL), MT_OK);
    struct rig_call call;
    (void)ask((struct mt_local_model){.lora_path = MT_STR(LORA)}, &call);
    assert_false(call.is_ok);
    assert_non_null(strstr(call.message, LORA));
    rig_call_fini(&call);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(adapters_change_what_is_said_as_much_as_they_weigh),
        cmocka_unit_test(embeddings_are_those_of_the_adapted_model),
        cmocka_unit_test(what_does_not_fit_says_why),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
