/* SPDX-License-Identifier: Apache-2.0 */
/* GGUF headers: the lab's model as it is, cut at every place, and with lying numbers. */
#include "support/test.h"

#include <string.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "chat/models.h"
#include "engine/gguf.h"
#include "system/file.h"

#define MODEL MT_SOURCE_DIR "/tests/data/bootstrap.gguf"

static struct mt_buf file = MT_BUF_INIT(16 << 20);

static int read_model(void **state)
{
    (void)state;
    return mt_file_read(MODEL, 16 << 20, &file, NULL) == MT_OK ? 0 : 1;
}

static int drop_model(void **state)
{
    (void)state;
    mt_buf_fini(&file);
    return 0;
}

static mt_rc parse(struct mt_str head, int64_t bytes, struct mt_gguf *out, struct mt_err *err)
{
    MT_CLEANUP(mt_arena_fini) struct mt_arena arena = MT_ARENA_INIT(1 << 24);
    return mt_gguf_parse(head, bytes, &arena, out, err);
}

/* Little-endian pieces of a made-up file. */
static void u32(struct mt_buf *b, uint32_t v)
{
    mt_buf_add(b, (struct mt_str){(const char *)&v, 4});
}

static void u64(struct mt_buf *b, uint64_t v)
{
    mt_buf_add(b, (struct mt_str){(const char *)&v, 8});
}

static void text(struct mt_buf *b, const char *s)
{
    u64(b, strlen(s));
    mt_buf_add_cstr(b, s);
}

struct tensor {
    uint32_t dims_n;
    uint64_t dims[5];
    uint32_t type;
    uint64_t offset;
};

static void make(struct mt_buf *b, uint32_t version, uint64_t tensors_n, uint64_t keys_n,
                 const struct tensor *tensor)
{
    mt_buf_clear(b);
    mt_buf_add_cstr(b, "GGUF");
    u32(b, version);
    u64(b, tensors_n);
    u64(b, keys_n);
    text(b, "general.architecture");
    u32(b, 8);
    text(b, "llama");
    text(b, "w");
    u32(b, tensor->dims_n);
    for (uint32_t i = 0; i < tensor->dims_n; i++)
        u64(b, tensor->dims[i]);
    u32(b, tensor->type);
    u64(b, tensor->offset);
}

static void the_labs_model_tells_of_itself(void **state)
{
    (void)state;
    MT_CLEANUP(mt_arena_fini) struct mt_arena arena = MT_ARENA_INIT(1 << 24);
    struct mt_gguf gguf;
    struct mt_model_card card = {.name = {NULL, 0}};
    struct mt_err err = {0};

    if (mt_gguf_read(MODEL, &arena, &gguf, &err) < 0)
        fail_msg("%s", err.text);
    assert_int_equal(gguf.version, 3);
    assert_true(mt_str_is(gguf.architecture, "llama"));
    assert_true(mt_str_is(gguf.licence, "Apache-2.0"));
    assert_true(mt_str_is(gguf.quantization, "F16"));
    assert_int_equal(gguf.parameters_n, 382560);
    assert_int_equal(gguf.context_tokens, 512);
    assert_int_equal(gguf.embedding_dims, 96);
    assert_int_equal(gguf.vocabulary_n, 261);
    assert_int_equal(gguf.layers_n, 3);
    assert_int_equal(gguf.heads_kv_n, 3);
    assert_int_equal(gguf.head_dims, 32);
    assert_int_equal(gguf.file_bytes, 775200);
    assert_true(
        mt_str_starts(gguf.metadata_json, MT_STR("{\"general.architecture\":\"llama\"")));
    mt_gguf_card(&gguf, &card);
    assert_true((card.can & MT_CAN_CHAT) != 0);
    assert_true((card.can & MT_CAN_INSERT) == 0);
    assert_true(mt_str_find(card.chat_template, MT_STR("<|im_start|>")) <
                card.chat_template.len);
}

static void cut_at_any_place_it_asks_for_more_or_says_cut(void **state)
{
    (void)state;
    struct mt_str all = mt_buf_str(&file);
    struct mt_gguf gguf;
    struct mt_err err = {0};
    size_t header = 0;

    for (size_t n = 0; n < 20000 && header == 0; n++) {
        mt_rc rc = parse(mt_str_sub(all, 0, n), (int64_t)all.len, &gguf, &err);
        if (rc == MT_OK)
            header = n;
        else
            assert_int_equal(rc, MT_E_TOOBIG); /* come back with more */
    }
    assert_true(header > 1000);
    for (size_t n = header; n < all.len; n += 997)
        assert_int_equal(parse(mt_str_sub(all, 0, n), (int64_t)n, &gguf, &err), MT_E_CORRUPT);
    assert_int_equal(parse(all, (int64_t)all.len, &gguf, &err), MT_OK);
}

/* llama.cpp ends the process over numbers that contradict each other. */
static void experts_agree_with_each_other(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int64_t experts, used; /* < 0: unsaid */
        mt_rc rc;
    } table[] = {
        {"none", -1, -1, MT_OK},
        {"both", 8, 2, MT_OK},
        {"all used", 8, 8, MT_OK},
        {"zeros", 0, 0, MT_OK},
        {"too many", 1025, 2, MT_E_UNSUPPORTED},
        {"more used", 2, 8, MT_E_UNSUPPORTED},
        {"none used", 8, 0, MT_E_UNSUPPORTED},
        {"unsaid use", 8, -1, MT_E_UNSUPPORTED},
        {"use of none", -1, 2, MT_E_UNSUPPORTED},
    };

    for (size_t i = 0; i < MT_ARRAY_LEN(table); i++) {
        MT_CLEANUP(mt_buf_fini) struct mt_buf b = MT_BUF_INIT(4096);
        struct mt_gguf gguf;
        mt_buf_add_cstr(&b, "GGUF");
        u32(&b, 3);
        u64(&b, 0);
        u64(&b, 1u + (table[i].experts >= 0) + (table[i].used >= 0));
        text(&b, "general.architecture");
        u32(&b, 8);
        text(&b, "llama");
        if (table[i].experts >= 0) {
            text(&b, "llama.expert_count");
            u32(&b, 4);
            u32(&b, (uint32_t)table[i].experts);
        }
        if (table[i].used >= 0) {
            text(&b, "llama.expert_used_count");
            u32(&b, 4);
            u32(&b, (uint32_t)table[i].used);
        }
        mt_check_row(table[i].name,
                     parse(mt_buf_str(&b), (int64_t)b.len, &gguf, NULL) == table[i].rc);
    }
}

static void lying_numbers_are_found(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        uint32_t version;
        uint64_t tensors_n, keys_n;
        struct tensor tensor;
        mt_rc rc;
    } table[] = {
        {"honest", 3, 1, 1, {2, {32, 4}, 0, 0}, MT_OK},
        {"version 1", 1, 1, 1, {2, {32, 4}, 0, 0}, MT_E_UNSUPPORTED},
        {"big-endian", 3u << 24, 1, 1, {2, {32, 4}, 0, 0}, MT_E_UNSUPPORTED},
        {"tensors without number", 3, UINT64_MAX, 1, {2, {32, 4}, 0, 0}, MT_E_CORRUPT},
        {"keys without number", 3, 1, 1u << 30, {2, {32, 4}, 0, 0}, MT_E_CORRUPT},
        {"too many dimensions", 3, 1, 1, {5, {1, 1, 1, 1, 1}, 0, 0}, MT_E_CORRUPT},
        {"dimensions that overflow",
         3,
         1,
         1,
         {2, {1ull << 40, 1ull << 40}, 0, 0},
         MT_E_CORRUPT},
        {"larger than the file", 3, 1, 1, {2, {4096, 4096}, 0, 0}, MT_E_CORRUPT},
        {"begins behind the end", 3, 1, 1, {2, {32, 4}, 0, 1 << 20}, MT_E_CORRUPT},
        {"offset that overflows", 3, 1, 1, {1, {32}, 0, UINT64_MAX - 31}, MT_E_CORRUPT},
        {"not aligned", 3, 1, 1, {2, {32, 4}, 0, 7}, MT_E_CORRUPT},
        {"quantized, fits", 3, 1, 1, {2, {256, 4}, 12, 0}, MT_OK},
        {"quantized, does not fit", 3, 1, 1, {2, {256, 64}, 12, 0}, MT_E_CORRUPT},
    };
    MT_CLEANUP(mt_buf_fini) struct mt_buf b = MT_BUF_INIT(1 << 16);

    for (size_t i = 0; i < MT_ARRAY_LEN(table); i++) {
        struct mt_gguf gguf;
        struct mt_err err = {0};
        make(&b, table[i].version, table[i].tensors_n, table[i].keys_n, &table[i].tensor);
        mt_rc rc = parse(mt_buf_str(&b), 1024, &gguf, &err);
        mt_check_row(table[i].name, rc == table[i].rc);
    }
}

static void no_model_file_is_said_so(void **state)
{
    (void)state;
    MT_CLEANUP(mt_arena_fini) struct mt_arena arena = MT_ARENA_INIT(1 << 20);
    struct mt_gguf gguf;
    struct mt_err err = {0};

    assert_int_equal(mt_gguf_read("/nowhere/x.gguf", &arena, &gguf, &err), MT_E_NOTFOUND);
    assert_int_equal(mt_gguf_read(MT_SOURCE_DIR "/lab/README.md", &arena, &gguf, &err),
                     MT_E_CORRUPT);
    assert_non_null(strstr(err.text, "not a GGUF file"));
    assert_int_equal(mt_gguf_read(MT_SOURCE_DIR "/lab", &arena, &gguf, &err), MT_E_INVALID);
}

static void reading_survives_any_failed_allocation(void **state)
{
    (void)state;
    mt_rc rc = MT_E_NOMEM;
    long live = mt_alloc_live;

    for (long nth = 0; rc != MT_OK; nth++) {
        struct mt_arena arena = MT_ARENA_INIT(1 << 24);
        struct mt_gguf gguf;
        struct mt_err err = {0};

        mt_alloc_fail_after = nth;
        rc = mt_gguf_read(MODEL, &arena, &gguf, &err);
        mt_alloc_fail_after = -1;
        assert_true(rc == MT_OK || rc == MT_E_NOMEM);
        assert_true(nth > 1 || rc != MT_OK);
        mt_arena_fini(&arena);
        assert_int_equal(mt_alloc_live, live);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_labs_model_tells_of_itself),
        cmocka_unit_test(cut_at_any_place_it_asks_for_more_or_says_cut),
        cmocka_unit_test(experts_agree_with_each_other),
        cmocka_unit_test(lying_numbers_are_found),
        cmocka_unit_test(no_model_file_is_said_so),
        cmocka_unit_test(reading_survives_any_failed_allocation),
    };
    return cmocka_run_group_tests(tests, read_model, drop_model);
}
