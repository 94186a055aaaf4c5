/* SPDX-License-Identifier: Apache-2.0 */
/* Any text is parsed or refused; what is parsed can be read by every accessor, and what the
 * writer makes of it reads back the same. */
#include <string.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/buf.h"
#include "wire/json.h"
#include "wire/json_writer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { BYTES_MAX = 1 << 16, ARENA_MAX = 1 << 22, OUT_MAX = 1 << 20 };

/* Every question, right or wrong for the type, has an answer. */
static void ask_all(const struct mt_json *value, struct mt_arena *arena)
{
    struct mt_str text;
    int64_t i64 = 0;
    double f64 = 0;
    bool flag;

    enum mt_json_type type = mt_json_type(value);
    MT_ASSERT(mt_json_type_name(type)[0] != '\0' && mt_json_raw(value).len > 0);
    MT_ASSERT(mt_json_str(value, arena, &text) == (type == MT_JSON_STRING));
    MT_ASSERT(mt_json_bool(value, &flag) == (type == MT_JSON_BOOL));
    if (mt_json_i64(value, INT64_MIN, INT64_MAX, &i64))
        MT_ASSERT(mt_json_f64(value, &f64) && (double)i64 - f64 <= 0 && f64 - (double)i64 <= 0);
    (void)mt_json_is(value, "text");
    size_t count = 0;
    for (const struct mt_json *at = mt_json_first(value); at != NULL; at = mt_json_next(at)) {
        MT_ASSERT(mt_json_key_str(at, arena, &text) == (type == MT_JSON_OBJECT));
        if (type == MT_JSON_OBJECT && memchr(text.at, '\0', text.len) == NULL) {
            MT_CLEANUP(mt_freep) char *key = mt_alloc_cstr(text);
            MT_ASSERT(mt_json_get(value, key) != NULL && mt_json_get(value, key) <= at);
        }
        count++;
    }
    MT_ASSERT(count == mt_json_count(value));
}

static void rewrite(struct mt_jw *w, const struct mt_json *value, struct mt_arena *arena)
{
    struct mt_str text;
    double f64;

    ask_all(value, arena);
    enum mt_json_type type = mt_json_type(value);
    bool is_container = type == MT_JSON_ARRAY || type == MT_JSON_OBJECT;
    if (mt_json_str(value, arena, &text)) {
        mt_jw_str(w, text);
    } else if (mt_json_f64(value, &f64)) {
        mt_jw_f64(w, f64);
    } else if (!is_container || w->depth_ == MT_JW_DEPTH_MAX) {
        mt_jw_raw(w, mt_json_raw(value));
    } else {
        type == MT_JSON_ARRAY ? mt_jw_array(w) : mt_jw_object(w);
        for (const struct mt_json *at = mt_json_first(value); at; at = mt_json_next(at)) {
            if (mt_json_key_str(at, arena, &text))
                mt_jw_key_str(w, text);
            rewrite(w, at, arena);
        }
        mt_jw_end(w);
    }
}

static bool same(const struct mt_json *a, const struct mt_json *b, struct mt_arena *arena)
{
    struct mt_str text_a = {0};
    struct mt_str text_b = {0};
    double a64 = 0;
    double b64 = 0;

    if (mt_json_type(a) != mt_json_type(b) || mt_json_count(a) != mt_json_count(b))
        return false;
    if (mt_json_key_str(a, arena, &text_a) != mt_json_key_str(b, arena, &text_b) ||
        !mt_str_eq(text_a, text_b))
        return false;
    if (mt_json_str(a, arena, &text_a) && mt_json_str(b, arena, &text_b))
        return mt_str_eq(text_a, text_b);
    if (mt_json_f64(a, &a64) != mt_json_f64(b, &b64) || a64 < b64 || a64 > b64)
        return false;
    const struct mt_json *at_b = mt_json_first(b);
    for (const struct mt_json *at = mt_json_first(a); at != NULL; at = mt_json_next(at)) {
        if (!same(at, at_b, arena))
            return false;
        at_b = mt_json_next(at_b);
    }
    return true;
}

static void check(struct mt_json_doc *docs[2], struct mt_str text, struct mt_arena *arena)
{
    MT_CLEANUP(mt_buf_fini) struct mt_buf out = MT_BUF_INIT(OUT_MAX);
    const struct mt_json *first = NULL;
    const struct mt_json *second = NULL;
    struct mt_err err = {0};
    struct mt_jw w;

    if (mt_json_parse(docs[0], text, &first, &err) != MT_OK) {
        MT_ASSERT(first == NULL && err.text[0] != '\0');
        return;
    }
    mt_jw_begin(&w, &out);
    rewrite(&w, first, arena);
    MT_ASSERT(mt_buf_check(&out, "text", &err) == MT_OK);
    MT_ASSERT(mt_json_parse(docs[1], mt_buf_str(&out), &second, &err) == MT_OK);
    MT_ASSERT(same(first, second, arena));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct mt_json_doc *docs[2] = {NULL, NULL};
    struct mt_arena arena = MT_ARENA_INIT(ARENA_MAX);
    char *text = mt_alloc(size + MT_BUF_SLACK, 1);

    if (size > BYTES_MAX) {
        mt_free(text);
        return 0;
    }
    if (size > 0)
        memcpy(text, data, size);
    MT_ASSERT(mt_json_doc_new(&docs[0], NULL) == MT_OK);
    MT_ASSERT(mt_json_doc_new(&docs[1], NULL) == MT_OK);
    check(docs, (struct mt_str){text, size}, &arena);
    mt_json_doc_free(docs[0]);
    mt_json_doc_free(docs[1]);
    mt_arena_fini(&arena);
    mt_free(text);
    MT_ASSERT(mt_alloc_live == 0);
    return 0;
}
