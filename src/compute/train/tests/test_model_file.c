/* SPDX-License-Identifier: Apache-2.0 */
/* Model files there and back, those that cannot be written, broken ones, and cut off ones. What
 * llama.cpp makes of them: test_model_llama.c. */
#include "support/test.h"

#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "models.h"
#include "system/file.h"
#include "train/vocab.h"

#define DIR  MT_BINARY_DIR "/lab-files"
#define PATH DIR "/model.gguf"

enum { FILE_MAX = 64 << 20 };

static int make_folder(void **state)
{
    (void)state;
    return mt_dir_make(DIR, NULL) == MT_OK ? 0 : 1;
}

static int remove_file(void **state)
{
    (void)state;
    return mt_file_remove(PATH, NULL) == MT_OK ? 0 : 1;
}

/* --- there and back --- */

static void f32_comes_back_bit_for_bit(void **state)
{
    struct mt_shape shapes[] = {wide_shape, tied_shape(), wide_shape};
    (void)state;

    shapes[2].context_n = 300;
    for (size_t i = 0; i < MT_ARRAY_LEN(shapes); i++) {
        MT_CLEANUP(model_fini) struct model model = random_model(&shapes[i], i);
        write_model(PATH, &model, MT_MODEL_F32);
        MT_CLEANUP(model_fini) struct model again = read_model(PATH);
        assert_memory_equal(&again.shape, &model.shape, offsetof(struct mt_shape, is_tied));
        assert_int_equal(again.shape.is_tied, model.shape.is_tied);
        assert_memory_equal(again.params, model.params,
                            mt_shape_params_n(&model.shape) * sizeof(float));
    }
}

static void what_was_rounded_once_stays(void **state)
{
    (void)state;

    for (enum mt_model_type type = MT_MODEL_F16; type <= MT_MODEL_Q8_0; type++) {
        MT_CLEANUP(model_fini) struct model model = random_model(&wide_shape, 9);
        write_model(PATH, &model, type);
        MT_CLEANUP(model_fini) struct model once = read_model(PATH);
        double most = 0;
        for (uint64_t i = 0; i < mt_shape_params_n(&wide_shape); i++)
            most = fmax(most, fabs((double)(once.params[i] - model.params[i])));
        assert_true(most > 0 && most < (type == MT_MODEL_F16 ? 5e-4 : 3e-3));
        write_model(PATH, &once, MT_MODEL_F32);
        MT_CLEANUP(model_fini) struct model again = read_model(PATH);
        assert_memory_equal(again.params, once.params,
                            mt_shape_params_n(&wide_shape) * sizeof(float));
    }
}

/* --- what cannot be written --- */

static void weights_that_no_file_holds_are_refused(void **state)
{
    static const struct {
        const char *row;
        float value;
        enum mt_model_type type;
        const char *text;
    } rows[] = {
        {"nan", NAN, MT_MODEL_F32, "tensor 'token_embd.weight': value 70 is nan"},
        {"inf", INFINITY, MT_MODEL_Q8_0, "tensor 'token_embd.weight': value 70 is inf"},
        {"f16", 1e5F, MT_MODEL_F16, "value 70 is 100000, which f16 cannot hold"},
    };
    struct mt_err err;
    (void)state;

    for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
        MT_CLEANUP(model_fini) struct model model = random_model(&wide_shape, 1);
        model.params[70] = rows[i].value;
        mt_rc rc =
            mt_model_write(PATH, &wide_shape, model.params, rows[i].type, &about, NULL, &err);
        mt_check_row(rows[i].row, rc == MT_E_INVALID);
        if (strstr(err.text, rows[i].text) == NULL)
            fail_msg("%s: %s", rows[i].row, err.text);
    }
}

static void shapes_that_no_file_holds_are_refused(void **state)
{
    MT_CLEANUP(model_fini) struct model model = random_model(&wide_shape, 1);
    struct mt_shape shape = wide_shape;
    struct mt_err err;
    (void)state;

    shape.ff_width = 150;
    assert_int_equal(
        mt_model_write(PATH, &shape, model.params, MT_MODEL_Q8_0, &about, NULL, &err),
        MT_E_INVALID);
    assert_non_null(strstr(err.text, "tensor 'blk.0.ffn_down.weight': 150 columns, but q8_0 "
                                     "wants a multiple of 32"));
    shape.vocab_n = 300;
    assert_int_equal(
        mt_model_write(PATH, &shape, model.params, MT_MODEL_F32, &about, NULL, &err),
        MT_E_INVALID);
    assert_string_equal(err.text, "vocabulary of 300 tokens, expected 264");
    assert_int_equal(mt_model_write(DIR "/none/model.gguf", &wide_shape, model.params,
                                    MT_MODEL_F32, &about, NULL, &err),
                     MT_E_NOTFOUND);
}

static void a_full_disk_leaves_the_old_file_whole(void **state)
{
    MT_CLEANUP(model_fini) struct model model = random_model(&wide_shape, 1);
    MT_CLEANUP(mt_buf_fini) struct mt_buf before = MT_BUF_INIT(FILE_MAX);
    MT_CLEANUP(mt_buf_fini) struct mt_buf after = MT_BUF_INIT(FILE_MAX);
    struct rlimit old;
    struct mt_err err;
    (void)state;

    write_model(PATH, &model, MT_MODEL_F32);
    assert_int_equal(mt_file_read(PATH, FILE_MAX, &before, NULL), MT_OK);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    struct rlimit small = {.rlim_cur = before.len / 2, .rlim_max = old.rlim_max};
    void (*old_handler)(int) = signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    model.params[0] += 1;
    mt_rc rc =
        mt_model_write(PATH, &wide_shape, model.params, MT_MODEL_F32, &about, NULL, &err);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    (void)signal(SIGXFSZ, old_handler);
    assert_true(rc < 0);
    assert_non_null(strstr(err.text, "model file '" PATH "': write '"));
    assert_int_equal(mt_file_read(PATH, FILE_MAX, &after, NULL), MT_OK);
    assert_true(mt_str_eq(mt_buf_str(&before), mt_buf_str(&after)));
}

/* --- what cannot be read --- */

struct broken {
    const char *row;
    const char *find; /* the last place of these bytes */
    size_t skip;      /* from their beginning */
    struct mt_str put;
    mt_rc rc;
    const char *text;
};

static size_t find_last(struct mt_str all, struct mt_str wanted)
{
    size_t last = all.len;

    for (size_t at = 0; at < all.len; at++) {
        at += mt_str_find(mt_str_sub(all, at, all.len), wanted);
        if (at < all.len)
            last = at;
    }
    assert_true(last < all.len);
    return last;
}

static void broken_files_are_named(void **state)
{
    static const struct broken rows[] = {
        {"magic", "GGUF", 0, MT_STR_INIT("GGUX"), MT_E_CORRUPT, "not a GGUF file"},
        {"architecture", "general.architecture", 32, MT_STR_INIT("qwen2"), MT_E_INVALID,
         "'general.architecture' is 'qwen2', expected 'llama'"},
        {"tokenizer", "tokenizer.ggml.model", 32, MT_STR_INIT("plamo"), MT_E_INVALID,
         "'tokenizer.ggml.model' is 'plamo', expected 'llama'"},
        {"token", "<0x41>", 0, MT_STR_INIT("<0x4z>"), MT_E_INVALID,
         "another vocabulary: token 68 is '<0x4z>', expected '<0x41>'"},
        {"tokens", "llama.vocab_size", 20, MT_STR_INIT("\x09\x01"), MT_E_INVALID,
         "'llama.vocab_size' is 265, but there are 264 tokens"},
        {"key", "llama.block_count", 0, MT_STR_INIT("llama.block_xxxxx"), MT_E_INVALID,
         "'llama.block_count' is missing or no 32-bit number"},
        {"kind", "llama.context_length", 20, MT_STR_INIT("\x06"), MT_E_INVALID,
         "'llama.context_length' is missing or no 32-bit number"},
        {"heads", "llama.attention.head_count_kv", 33, MT_STR_INIT("\x04"), MT_E_INVALID,
         "kv_heads_n: expected a divisor of heads_n 6, found 4"},
        {"rotation", "llama.rope.dimension_count", 30, MT_STR_INIT("\x08"), MT_E_INVALID,
         "'llama.rope.dimension_count' is 8, expected 16"},
        {"base", "llama.rope.freq_base", 24, MT_STR_INIT("\0\0\x80\x7f"), MT_E_INVALID,
         "rope_base: expected 1 to 1e9, found inf"},
        {"layers", "llama.block_count", 21, MT_STR_INIT("\x04"), MT_E_CORRUPT,
         "tensor 'blk.3.attn_norm.weight' is missing"},
        {"fewer layers", "llama.block_count", 21, MT_STR_INIT("\x02"), MT_E_INVALID,
         "tensor 'blk.2.attn_norm.weight' is no part of this architecture"},
        {"missing", "blk.1.ffn_up.weight", 0, MT_STR_INIT("blk.1.ffn_zp.weight"), MT_E_CORRUPT,
         "tensor 'blk.1.ffn_up.weight' is missing"},
        {"columns", "llama.feed_forward_length", 29, MT_STR_INIT("\xa1"), MT_E_CORRUPT,
         "tensor 'blk.0.ffn_gate.weight' is 64 x 160, expected 64 x 161"},
        {"type", "blk.1.ffn_up.weight", 39, MT_STR_INIT("\x63"), MT_E_CORRUPT, "GGUF header"},
    };
    MT_CLEANUP(model_fini) struct model model = random_model(&wide_shape, 1);
    MT_CLEANUP(mt_buf_fini) struct mt_buf file = MT_BUF_INIT(FILE_MAX);
    (void)state;

    write_model(PATH, &model, MT_MODEL_F32);
    assert_int_equal(mt_file_read(PATH, FILE_MAX, &file, NULL), MT_OK);
    for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
        MT_CLEANUP(mt_buf_fini) struct mt_buf broken = MT_BUF_INIT(FILE_MAX);
        struct mt_shape shape = {.width = 77};
        float *params = NULL;
        struct mt_err err;
        mt_buf_add(&broken, mt_buf_str(&file));
        size_t at = find_last(mt_buf_str(&file), mt_str_of(rows[i].find)) + rows[i].skip;
        memcpy(broken.at + at, rows[i].put.at, rows[i].put.len);
        assert_int_equal(mt_file_write(PATH, mt_buf_str(&broken), 0600, NULL), MT_OK);
        mt_rc rc = mt_model_read(PATH, &shape, &params, NULL, &err);
        if (rc == MT_OK || strstr(err.text, rows[i].text) == NULL || rc != rows[i].rc)
            fail_msg("%s: %s: %s", rows[i].row, mt_rc_name(rc), rc < 0 ? err.text : "");
        assert_non_null(strstr(err.text, "model file '" PATH "': "));
        assert_true(params == NULL && shape.width == 77); /* untouched */
    }
}

static void weights_that_are_no_numbers_are_named(void **state)
{
    static const enum mt_model_type types[] = {MT_MODEL_F32, MT_MODEL_F16};
    MT_CLEANUP(model_fini) struct model model = random_model(&wide_shape, 1);
    (void)state;

    for (size_t i = 0; i < MT_ARRAY_LEN(types); i++) {
        MT_CLEANUP(mt_buf_fini) struct mt_buf file = MT_BUF_INIT(FILE_MAX);
        struct mt_shape shape;
        float *params = NULL;
        struct mt_err err;
        write_model(PATH, &model, types[i]);
        assert_int_equal(mt_file_read(PATH, FILE_MAX, &file, NULL), MT_OK);
        memset(file.at + file.len - 4, 0xff, 4); /* the last weight of ffn_down */
        assert_int_equal(mt_file_write(PATH, mt_buf_str(&file), 0600, NULL), MT_OK);
        assert_int_equal(mt_model_read(PATH, &shape, &params, NULL, &err), MT_E_CORRUPT);
        assert_non_null(strstr(err.text, "tensor 'blk.2.ffn_down.weight': value 102"));
        assert_null(params);
    }
}

static void a_file_that_is_cut_off_is_refused(void **state)
{
    MT_CLEANUP(model_fini) struct model model = random_model(&wide_shape, 1);
    MT_CLEANUP(mt_buf_fini) struct mt_buf file = MT_BUF_INIT(FILE_MAX);
    (void)state;

    write_model(PATH, &model, MT_MODEL_Q8_0);
    assert_int_equal(mt_file_read(PATH, FILE_MAX, &file, NULL), MT_OK);
    for (size_t len = 0; len < file.len; len += len < 300 ? 7 : 1999) {
        struct mt_shape shape;
        float *params = NULL;
        struct mt_err err;
        assert_int_equal(mt_file_write(PATH, mt_str_sub(mt_buf_str(&file), 0, len), 0600, NULL),
                         MT_OK);
        mt_rc rc = mt_model_read(PATH, &shape, &params, NULL, &err);
        if (rc != MT_E_CORRUPT)
            fail_msg("%zu bytes: %s", len, rc < 0 ? err.text : "read");
    }
}

/* Not synced: only for what is read at once. */
static void put_file(struct mt_str bytes)
{
    FILE *file = fopen(PATH, "we");

    assert_non_null(file);
    assert_int_equal(fwrite(bytes.at, 1, bytes.len, file), bytes.len);
    assert_int_equal(fclose(file), 0);
}

/* ggml ends the process over what it does not expect; nothing may reach it that does that. */
static void no_byte_of_the_header_ends_the_process(void **state)
{
    enum { STRIDE = 29, TENSORS_BYTES = 720, TENSORS_STRIDE = 5 };
    static const unsigned char flips[] = {0x01, 0x80};
    struct mt_shape small = wide_shape;
    MT_CLEANUP(mt_buf_fini) struct mt_buf file = MT_BUF_INIT(FILE_MAX);
    unsigned refused_n = 0;
    (void)state;

    small.layers_n = 1;
    small.width = small.ff_width = 32;
    MT_CLEANUP(model_fini) struct model model = random_model(&small, 1);
    write_model(PATH, &model, MT_MODEL_Q8_0);
    assert_int_equal(mt_file_read(PATH, FILE_MAX, &file, NULL), MT_OK);
    size_t header = find_last(mt_buf_str(&file), MT_STR("blk.0.ffn_down.weight")) + 60;
    for (size_t at = 0; at < header;
         at += at + TENSORS_BYTES < header ? STRIDE : TENSORS_STRIDE)
        for (size_t i = 0; i < MT_ARRAY_LEN(flips); i++) {
            struct mt_shape shape;
            float *params = NULL;
            file.at[at] = (char)(file.at[at] ^ flips[i]);
            put_file(mt_buf_str(&file));
            refused_n += mt_model_read(PATH, &shape, &params, NULL, NULL) < 0;
            file.at[at] = (char)(file.at[at] ^ flips[i]);
            mt_free(params);
        }
    assert_true(refused_n > header / STRIDE);
}

static void files_that_are_not_there_are_told(void **state)
{
    struct mt_shape shape;
    float *params = NULL;
    struct mt_err err;
    (void)state;

    assert_int_equal(mt_model_read(DIR "/none.gguf", &shape, &params, NULL, &err),
                     MT_E_NOTFOUND);
    assert_non_null(strstr(err.text, "none.gguf"));
    assert_true(mt_model_read(DIR, &shape, &params, NULL, &err) < 0);
}

static void writing_and_reading_survive_any_lack_of_memory(void **state)
{
    struct mt_shape small = wide_shape;
    (void)state;

    small.layers_n = 1;
    MT_CLEANUP(model_fini) struct model model = random_model(&small, 1);
    long live = mt_alloc_live;
    mt_rc rc = MT_E_NOMEM;
    for (long nth = 0; rc != MT_OK; nth++) {
        mt_alloc_fail_after = nth;
        rc = mt_model_write(PATH, &small, model.params, MT_MODEL_F16, &about, NULL, NULL);
        mt_alloc_fail_after = -1;
        assert_true(rc == MT_OK || rc == MT_E_NOMEM);
        assert_int_equal(mt_alloc_live, live);
    }
    rc = MT_E_NOMEM;
    for (long nth = 0; rc != MT_OK; nth++) {
        struct mt_shape shape;
        float *params = NULL;
        mt_alloc_fail_after = nth;
        rc = mt_model_read(PATH, &shape, &params, NULL, NULL);
        mt_alloc_fail_after = -1;
        assert_true(rc == MT_OK || rc == MT_E_NOMEM);
        assert_true((params != NULL) == (rc == MT_OK));
        mt_free(params);
        assert_int_equal(mt_alloc_live, live);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(f32_comes_back_bit_for_bit),
        cmocka_unit_test(what_was_rounded_once_stays),
        cmocka_unit_test(weights_that_no_file_holds_are_refused),
        cmocka_unit_test(shapes_that_no_file_holds_are_refused),
        cmocka_unit_test(a_full_disk_leaves_the_old_file_whole),
        cmocka_unit_test(broken_files_are_named),
        cmocka_unit_test(weights_that_are_no_numbers_are_named),
        cmocka_unit_test(a_file_that_is_cut_off_is_refused),
        cmocka_unit_test(no_byte_of_the_header_ends_the_process),
        cmocka_unit_test(files_that_are_not_there_are_told),
        cmocka_unit_test(writing_and_reading_survive_any_lack_of_memory),
    };

    return cmocka_run_group_tests(tests, make_folder, remove_file);
}
