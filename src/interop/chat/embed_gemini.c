/* SPDX-License-Identifier: Apache-2.0 */
/* Embeddings of Gemini: embedContent (one) and batchEmbedContents (a list of such requests,
 * which must agree on what they ask for). */
#include "gemini_priv.h"
#include "vectors.h"

/* What each request of a batch says beside its text. */
struct terms {
    struct mt_opt_i64 dimensions;
    struct mt_str task;
};

static mt_rc read_one(const struct mt_json *request, struct mt_embed_request *out,
                      struct terms *terms, struct mt_err *err)
{
    static const char *const known[] = {"model",
                                        "content",
                                        "taskType",
                                        "task_type",
                                        "outputDimensionality",
                                        "output_dimensionality",
                                        NULL};
    const struct mt_json *content = mt_json_get(request, "content");
    struct mt_chat_request keeper = {
        .arena = out->arena, .extras = out->extras, .extras_n = out->extras_n};
    char snake[MT_GEMINI_KEY_MAX];

    if (mt_json_type(request) != MT_JSON_OBJECT)
        return mt_chat__expected(request, "", "an object", err);
    mt_rc rc = mt_gemini__content_text(content, out->arena, &out->inputs[out->inputs_n], err);
    if (rc < 0)
        return mt_chat__within(err, rc, "content");
    MT_TRY(mt_gemini__str(request, "", "taskType", out->arena, &terms->task, err));
    MT_TRY(mt_chat__i64(request, "", mt_gemini__spelt(request, "outputDimensionality", snake),
                        1, MT_CHAT_DIMS_MAX, &terms->dimensions, err));
    MT_TRY(mt_chat__extras_once(request, "requests[].", known, &keeper, err));
    out->extras = keeper.extras;
    out->extras_n = keeper.extras_n;
    out->inputs_n++;
    return MT_OK;
}

static bool is_same(const struct terms *a, const struct terms *b)
{
    return mt_str_eq(a->task, b->task) && a->dimensions.has == b->dimensions.has &&
           a->dimensions.value == b->dimensions.value;
}

static mt_rc read_batch(const struct mt_json *requests, struct mt_embed_request *out,
                        struct terms *first, struct mt_err *err)
{
    for (const struct mt_json *request = mt_json_first(requests); request != NULL;
         request = mt_json_next(request)) {
        struct terms terms = {0};
        size_t index = out->inputs_n;
        mt_rc rc = read_one(request, out, &terms, err);
        if (rc < 0)
            return mt_chat__within(err, rc, "requests[%zu]", index);
        if (index == 0)
            *first = terms;
        if (!is_same(first, &terms))
            return MT_FAIL(err, MT_E_INVALID,
                           "requests[%zu]: expected taskType and outputDimensionality of "
                           "requests[0]",
                           index);
    }
    return MT_OK;
}

static struct mt_str bare_model(struct mt_str name)
{
    static const struct mt_str prefix = MT_STR_INIT("models/");

    return mt_str_starts(name, prefix) ? mt_str_sub(name, prefix.len, name.len) : name;
}

static mt_rc decode_request(const struct mt_json *body, const struct mt_chat_route *route,
                            struct mt_embed_request *out, struct mt_err *err)
{
    const struct mt_json *requests = mt_json_get(body, "requests");
    size_t n = requests != NULL ? mt_json_count(requests) : 1;
    struct terms terms = {0};

    if (mt_json_type(body) != MT_JSON_OBJECT)
        return mt_chat__expected(body, "body", "an object", err);
    if (requests != NULL && mt_json_type(requests) != MT_JSON_ARRAY)
        return mt_chat__expected(requests, "requests", "an array", err);
    if (n == 0 || n > MT_EMBED_INPUTS_MAX)
        return MT_FAIL(err, MT_E_INVALID, "requests: expected 1 to %d, found %zu",
                       MT_EMBED_INPUTS_MAX, n);
    out->truncate = true; /* as the API does unless told otherwise */
    out->is_batch = requests != NULL;
    out->model = bare_model(route->model);
    out->inputs = mt_arena_get(out->arena, n, sizeof *out->inputs);
    if (out->inputs == NULL)
        return mt_arena_fail(out->arena, err);
    if (requests != NULL)
        MT_TRY(read_batch(requests, out, &terms, err));
    else
        MT_TRY(read_one(body, out, &terms, err));
    out->task = terms.task;
    out->dimensions = terms.dimensions;
    return MT_OK;
}

static void write_values(struct mt_jw *w, const struct mt_embed_answer *answer, size_t i)
{
    mt_jw_object(w);
    mt_jw_key(w, "values");
    mt_chat__write_vector(w, answer, i);
    mt_jw_end(w);
}

static void encode_answer(const struct mt_embed_request *request,
                          const struct mt_embed_answer *answer, struct mt_str model,
                          struct mt_buf *out)
{
    struct mt_jw w;

    (void)model;
    mt_jw_begin(&w, out);
    mt_jw_object(&w);
    if (!request->is_batch && answer->n == 1) {
        mt_jw_key(&w, "embedding");
        write_values(&w, answer, 0);
    } else {
        mt_jw_key(&w, "embeddings");
        mt_jw_array(&w);
        for (size_t i = 0; i < answer->n; i++)
            write_values(&w, answer, i);
        mt_jw_end(&w);
    }
    if (answer->usage.input_tokens > 0) {
        mt_jw_key(&w, "usageMetadata");
        mt_jw_object(&w);
        mt_jw_ki64(&w, "promptTokenCount", answer->usage.input_tokens);
        mt_jw_end(&w);
    }
    mt_jw_end(&w);
}

static void write_one(struct mt_jw *w, const struct mt_embed_request *request,
                      struct mt_str model, struct mt_str input)
{
    mt_jw_object(w);
    mt_jw_key(w, "model");
    mt_jw_raw(w, MT_STR("\"models/"));
    mt_json_escape(w->buf, bare_model(model));
    mt_buf_add_char(w->buf, '"');
    mt_jw_key(w, "content");
    mt_jw_object(w);
    mt_jw_key(w, "parts");
    mt_jw_array(w);
    mt_jw_object(w);
    mt_jw_kstr(w, "text", input);
    mt_jw_end(w);
    mt_jw_end(w);
    mt_jw_end(w);
    if (request->task.len > 0)
        mt_jw_kstr(w, "taskType", request->task);
    if (request->dimensions.has)
        mt_jw_ki64(w, "outputDimensionality", request->dimensions.value);
    mt_jw_end(w);
}

static mt_rc encode_request(const struct mt_embed_request *request, struct mt_str model,
                            struct mt_buf *body, struct mt_buf *path,
                            struct mt_chat_notes *notes, struct mt_err *err)
{
    bool is_one = request->inputs_n == 1;
    struct mt_jw w;

    if (request->keep_alive_s.has)
        mt_chat_note(notes, "keep_alive: not known to gemini");
    if (request->user.len > 0)
        mt_chat_note(notes, "user: not known to gemini");
    for (size_t i = 0; i < request->extras_n; i++)
        mt_chat_note(notes, "%.*s: not carried to gemini", MT_STR_ARG(request->extras[i].key));
    mt_gemini__write_path(model, is_one ? "embedContent" : "batchEmbedContents", path);
    mt_jw_begin(&w, body);
    if (is_one) {
        write_one(&w, request, model, request->inputs[0]);
    } else {
        mt_jw_object(&w);
        mt_jw_key(&w, "requests");
        mt_jw_array(&w);
        for (size_t i = 0; i < request->inputs_n; i++)
            write_one(&w, request, model, request->inputs[i]);
        mt_jw_end(&w);
        mt_jw_end(&w);
    }
    MT_TRY(mt_buf_check(path, "path", err));
    return mt_buf_check(body, "request body", err);
}

static mt_rc decode_answer(const struct mt_json *body, struct mt_arena *arena,
                           struct mt_embed_answer *out, struct mt_err *err)
{
    const struct mt_json *one = mt_json_get(body, "embedding");
    const struct mt_json *rows = mt_json_get(body, "embeddings");
    const struct mt_json *row = one != NULL ? one : mt_json_first(rows);
    struct mt_chat__vectors vectors = {.arena = arena,
                                       .rows_max = one != NULL ? 1 : mt_json_count(rows)};

    if (one == NULL && mt_json_type(rows) != MT_JSON_ARRAY)
        return MT_FAIL(err, MT_E_UPSTREAM, "answer: expected 'embedding' or 'embeddings'");
    for (size_t i = 0; i < vectors.rows_max; i++, row = mt_json_next(row))
        MT_TRY(mt_chat__vectors_add(&vectors, mt_json_get(row, "values"), err));
    *out = (struct mt_embed_answer){
        .values = vectors.values, .n = vectors.n, .dims = vectors.dims};
    struct mt_usage usage = {0};
    if (mt_gemini__read_usage(body, &usage))
        out->usage = usage;
    return MT_OK;
}

const struct mt_embed_codec mt_embed_gemini = {
    .dialect = MT_DIALECT_GEMINI,
    .decode_request = decode_request,
    .encode_answer = encode_answer,
    .encode_request = encode_request,
    .decode_answer = decode_answer,
};
