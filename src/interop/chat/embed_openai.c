/* SPDX-License-Identifier: Apache-2.0 */
/* Embeddings of OpenAI: POST /v1/embeddings, both roles. Vectors travel as numbers or, which
 * the official clients ask for, as base64 of little-endian 32-bit floats. */
#include <math.h>
#include <string.h>

#include "chat_priv.h"
#include "crypto/encode.h"
#include "vectors.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
               "floats go out as they lie in memory");

static const char *const body_keys[] = {"model", "input", "dimensions", "encoding_format",
                                        "user",  "motet", NULL};

static mt_rc read_input(const struct mt_json *body, struct mt_embed_request *out,
                        struct mt_err *err)
{
    const struct mt_json *input = mt_json_get(body, "input");
    enum mt_json_type first = mt_json_type(mt_json_first(input));
    size_t n = 1;

    if (mt_json_type(input) == MT_JSON_ARRAY) {
        n = mt_json_count(input);
        if (first == MT_JSON_NUMBER || first == MT_JSON_ARRAY)
            return MT_FAIL(err, MT_E_UNSUPPORTED,
                           "input: only text is understood, not token numbers");
        if (n == 0 || n > MT_EMBED_INPUTS_MAX)
            return MT_FAIL(err, MT_E_INVALID, "input: expected 1 to %d texts, found %zu",
                           MT_EMBED_INPUTS_MAX, n);
        out->is_batch = true;
    } else if (mt_json_type(input) != MT_JSON_STRING) {
        return mt_chat__expected(input, "input", "a string or an array of strings", err);
    }
    out->inputs = mt_arena_get(out->arena, n, sizeof *out->inputs);
    if (out->inputs == NULL)
        return mt_arena_fail(out->arena, err);
    return mt_chat__strs(body, "", "input", MT_EMBED_INPUTS_MAX, out->arena, out->inputs,
                         &out->inputs_n, err);
}

static mt_rc read_format(const struct mt_json *body, struct mt_embed_request *out,
                         struct mt_err *err)
{
    const struct mt_json *format = mt_json_get(body, "encoding_format");

    out->base64 = mt_json_is(format, "base64");
    if (out->base64 || mt_json_is(format, "float") || mt_json_type(format) == MT_JSON_NONE ||
        mt_json_type(format) == MT_JSON_NULL)
        return MT_OK;
    return mt_chat__expected(format, "encoding_format", "\"float\" or \"base64\"", err);
}

static mt_rc decode_request(const struct mt_json *body, const struct mt_chat_route *route,
                            struct mt_embed_request *out, struct mt_err *err)
{
    struct mt_chat_request extras = {.arena = out->arena};

    (void)route;
    if (mt_json_type(body) != MT_JSON_OBJECT)
        return mt_chat__expected(body, "body", "an object", err);
    MT_TRY(mt_chat__str(body, "", "model", out->arena, &out->model, err));
    MT_TRY(read_input(body, out, err));
    MT_TRY(read_format(body, out, err));
    MT_TRY(mt_chat__i64(body, "", "dimensions", 1, MT_CHAT_DIMS_MAX, &out->dimensions, err));
    MT_TRY(mt_chat__str(body, "", "user", out->arena, &out->user, err));
    MT_TRY(mt_chat__extras(body, "", body_keys, &extras, err));
    out->extras = extras.extras;
    out->extras_n = extras.extras_n;
    return MT_OK;
}

static void write_vector(struct mt_jw *w, const struct mt_embed_answer *answer, size_t at,
                         bool as_base64)
{
    if (!as_base64) {
        mt_chat__write_vector(w, answer, at);
        return;
    }
    const float *row = answer->values + at * answer->dims;
    mt_jw_raw(w, MT_STR("\""));
    mt_base64_add(w->buf, (struct mt_str){(const char *)row, answer->dims * sizeof *row},
                  MT_BASE64_STANDARD);
    mt_buf_add_char(w->buf, '"');
}

static void encode_answer(const struct mt_embed_request *request,
                          const struct mt_embed_answer *answer, struct mt_str model,
                          struct mt_buf *out)
{
    struct mt_jw w;

    mt_jw_begin(&w, out);
    mt_jw_object(&w);
    mt_jw_kcstr(&w, "object", "list");
    mt_jw_key(&w, "data");
    mt_jw_array(&w);
    for (size_t i = 0; i < answer->n; i++) {
        mt_jw_object(&w);
        mt_jw_kcstr(&w, "object", "embedding");
        mt_jw_ki64(&w, "index", (int64_t)i);
        mt_jw_key(&w, "embedding");
        write_vector(&w, answer, i, request->base64);
        mt_jw_end(&w);
    }
    mt_jw_end(&w);
    mt_jw_kstr(&w, "model", model);
    mt_jw_key(&w, "usage");
    mt_jw_object(&w);
    mt_jw_ki64(&w, "prompt_tokens", answer->usage.input_tokens);
    mt_jw_ki64(&w, "total_tokens", answer->usage.input_tokens);
    mt_jw_end(&w);
    mt_jw_end(&w);
}

static void note_lost(const struct mt_embed_request *request, struct mt_chat_notes *notes)
{
    if (request->task.len > 0)
        mt_chat_note(notes, "taskType: not carried to openai");
    if (request->keep_alive_s.has)
        mt_chat_note(notes, "keep_alive: not carried to openai");
    for (size_t i = 0; i < request->extras_n; i++)
        mt_chat_note(notes, "%.*s: not carried to openai", MT_STR_ARG(request->extras[i].key));
}

static mt_rc encode_request(const struct mt_embed_request *request, struct mt_str model,
                            struct mt_buf *body, struct mt_buf *path,
                            struct mt_chat_notes *notes, struct mt_err *err)
{
    struct mt_jw w;

    mt_jw_begin(&w, body);
    mt_jw_object(&w);
    mt_jw_kstr(&w, "model", model);
    mt_jw_key(&w, "input");
    mt_jw_array(&w);
    for (size_t i = 0; i < request->inputs_n; i++)
        mt_jw_str(&w, request->inputs[i]);
    mt_jw_end(&w);
    if (request->dimensions.has)
        mt_jw_ki64(&w, "dimensions", request->dimensions.value);
    if (request->base64)
        mt_jw_kcstr(&w, "encoding_format", "base64");
    if (request->user.len > 0)
        mt_jw_kstr(&w, "user", request->user);
    mt_jw_end(&w);
    note_lost(request, notes);
    mt_buf_add_cstr(path, "/v1/embeddings");
    MT_TRY(mt_buf_check(path, "path", err));
    return mt_buf_check(body, "request", err);
}

/* --- an endpoint's answer --- */

struct rows {
    struct mt_arena *arena;
    float *values; /* n x dims, once the first vector has told dims */
    bool *is_read; /* n: each row is told once */
    size_t n, dims;
    struct mt_err *err;
};

static mt_rc malformed(const struct rows *rows, size_t at, const char *what)
{
    return MT_FAIL(rows->err, MT_E_UPSTREAM, "data[%zu].embedding: %s", at, what);
}

/* Where row at goes; the first row decides how wide they are. */
static mt_rc row_of(struct rows *rows, size_t at, size_t dims, float **out)
{
    if (dims == 0 || dims > MT_CHAT_DIMS_MAX)
        return malformed(rows, at, "expected a vector");
    if (rows->values == NULL) {
        rows->values = mt_arena_get(rows->arena, rows->n * dims, sizeof *rows->values);
        rows->dims = dims;
    }
    if (rows->values == NULL)
        return mt_arena_fail(rows->arena, rows->err);
    if (dims != rows->dims)
        return malformed(rows, at, "not as long as the others");
    *out = rows->values + at * dims;
    return MT_OK;
}

static mt_rc read_numbers(struct rows *rows, size_t at, const struct mt_json *list)
{
    float *to = NULL;

    MT_TRY(row_of(rows, at, mt_json_count(list), &to));
    for (const struct mt_json *v = mt_json_first(list); v != NULL; v = mt_json_next(v)) {
        double value;
        if (!mt_json_f64(v, &value) || !(fabs(value) < 1e38))
            return malformed(rows, at, "expected numbers");
        *to++ = (float)value;
    }
    return MT_OK;
}

static mt_rc read_base64(struct rows *rows, size_t at, const struct mt_json *value)
{
    MT_CLEANUP(mt_buf_fini) struct mt_buf bytes = MT_BUF_INIT(MT_CHAT_DIMS_MAX * sizeof(float));
    struct mt_str text;
    float *to = NULL;

    if (!mt_json_str(value, rows->arena, &text))
        return mt_arena_fail(rows->arena, rows->err);
    mt_rc rc = mt_base64_decode(text, MT_BASE64_STANDARD, &bytes, rows->err);
    if (rc == MT_E_NOMEM)
        return rc;
    if (rc < 0 || bytes.len % sizeof(float) != 0)
        return malformed(rows, at, "expected floats in base64");
    MT_TRY(row_of(rows, at, bytes.len / sizeof(float), &to));
    memcpy(to, bytes.at, bytes.len);
    return MT_OK;
}

static mt_rc read_row(struct rows *rows, size_t position, const struct mt_json *entry)
{
    const struct mt_json *value = mt_json_get(entry, "embedding");
    int64_t index = (int64_t)position;

    if (mt_json_get(entry, "index") != NULL &&
        !mt_json_i64(mt_json_get(entry, "index"), 0, (int64_t)rows->n - 1, &index))
        return malformed(rows, position, "its index is out of range");
    if (rows->is_read[index])
        return malformed(rows, position, "its index was there before");
    rows->is_read[index] = true;
    if (mt_json_type(value) == MT_JSON_STRING)
        return read_base64(rows, (size_t)index, value);
    if (mt_json_type(value) == MT_JSON_ARRAY)
        return read_numbers(rows, (size_t)index, value);
    return malformed(rows, position, "expected a vector");
}

static mt_rc decode_answer(const struct mt_json *body, struct mt_arena *arena,
                           struct mt_embed_answer *out, struct mt_err *err)
{
    const struct mt_json *data = mt_json_get(body, "data");
    struct rows rows = {.arena = arena, .n = mt_json_count(data), .err = err};
    struct mt_str model = {NULL, 0};
    int64_t tokens = 0;
    size_t i = 0;

    if (mt_json_type(data) != MT_JSON_ARRAY || rows.n == 0 || rows.n > MT_EMBED_INPUTS_MAX)
        return MT_FAIL(err, MT_E_UPSTREAM, "data: expected 1 to %d vectors",
                       MT_EMBED_INPUTS_MAX);
    rows.is_read = mt_arena_get(arena, rows.n, sizeof *rows.is_read);
    if (rows.is_read == NULL)
        return mt_arena_fail(arena, err);
    for (const struct mt_json *e = mt_json_first(data); e != NULL; e = mt_json_next(e))
        MT_TRY(read_row(&rows, i++, e));
    (void)mt_json_str(mt_json_get(body, "model"), arena, &model); /* it may be missing */
    (void)mt_json_i64(mt_json_get(mt_json_get(body, "usage"), "prompt_tokens"), 0,
                      INT64_MAX / 4, &tokens);
    *out = (struct mt_embed_answer){.model = model,
                                    .values = rows.values,
                                    .n = rows.n,
                                    .dims = rows.dims,
                                    .usage = {.input_tokens = tokens}};
    return MT_OK;
}

const struct mt_embed_codec mt_embed_openai = {
    .dialect = MT_DIALECT_OPENAI_CHAT,
    .decode_request = decode_request,
    .encode_answer = encode_answer,
    .encode_request = encode_request,
    .decode_answer = decode_answer,
};
