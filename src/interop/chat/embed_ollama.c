/* SPDX-License-Identifier: Apache-2.0 */
/* Embeddings of Ollama: /api/embed (one text or a list) and the older /api/embeddings (one
 * prompt). Upstream both are asked the newer way. */
#include "ollama_priv.h"
#include "vectors.h"

static mt_rc keep_extras(const struct mt_json *body, const char *const *known,
                         struct mt_embed_request *out, struct mt_err *err)
{
    struct mt_chat_request keeper = {.arena = out->arena};

    MT_TRY(mt_chat__extras(body, "", known, &keeper, err));
    out->extras = keeper.extras;
    out->extras_n = keeper.extras_n;
    return MT_OK;
}

static mt_rc read_inputs(const struct mt_json *body, const char *key,
                         struct mt_embed_request *out, struct mt_err *err)
{
    const struct mt_json *input = mt_json_get(body, key);
    size_t n = mt_json_type(input) == MT_JSON_ARRAY ? mt_json_count(input) : 1;

    if (mt_json_type(input) <= MT_JSON_NULL)
        return MT_FAIL(err, MT_E_INVALID, "%s: expected text, found nothing", key);
    if (n == 0 || n > MT_EMBED_INPUTS_MAX)
        return MT_FAIL(err, MT_E_INVALID, "%s: expected 1 to %d texts, found %zu", key,
                       MT_EMBED_INPUTS_MAX, n);
    out->is_batch = mt_json_type(input) == MT_JSON_ARRAY;
    out->inputs = mt_arena_get(out->arena, n, sizeof *out->inputs);
    if (out->inputs == NULL)
        return mt_arena_fail(out->arena, err);
    return mt_chat__strs(body, "", key, n, out->arena, out->inputs, &out->inputs_n, err);
}

static mt_rc decode_request(const struct mt_json *body, const struct mt_chat_route *route,
                            struct mt_embed_request *out, struct mt_err *err)
{
    static const char *const known[] = {"model",      "input",      "truncate",
                                        "dimensions", "keep_alive", NULL};

    (void)route;
    if (mt_json_type(body) != MT_JSON_OBJECT)
        return mt_chat__expected(body, "body", "an object", err);
    out->truncate = true;
    MT_TRY(mt_chat__str(body, "", "model", out->arena, &out->model, err));
    MT_TRY(read_inputs(body, "input", out, err));
    MT_TRY(mt_chat__bool(body, "", "truncate", &out->truncate, err));
    MT_TRY(mt_chat__i64(body, "", "dimensions", 0, MT_CHAT_DIMS_MAX, &out->dimensions, err));
    if (out->dimensions.value == 0)
        out->dimensions.has = false;
    MT_TRY(mt_ollama__read_keep_alive(body, &out->keep_alive_s, err));
    return keep_extras(body, known, out, err);
}

static mt_rc decode_legacy(const struct mt_json *body, const struct mt_chat_route *route,
                           struct mt_embed_request *out, struct mt_err *err)
{
    static const char *const known[] = {"model", "prompt", "keep_alive", NULL};

    (void)route;
    if (mt_json_type(body) != MT_JSON_OBJECT)
        return mt_chat__expected(body, "body", "an object", err);
    out->truncate = true;
    MT_TRY(mt_chat__str(body, "", "model", out->arena, &out->model, err));
    MT_TRY(read_inputs(body, "prompt", out, err));
    if (out->is_batch)
        return mt_chat__expected(mt_json_get(body, "prompt"), "prompt", "a string", err);
    MT_TRY(mt_ollama__read_keep_alive(body, &out->keep_alive_s, err));
    return keep_extras(body, known, out, err);
}

static void encode_answer(const struct mt_embed_request *request,
                          const struct mt_embed_answer *answer, struct mt_str model,
                          struct mt_buf *out)
{
    int64_t total_ns = answer->usage.load_ns + answer->usage.prompt_ns;
    struct mt_jw w;

    (void)request;
    mt_jw_begin(&w, out);
    mt_jw_object(&w);
    mt_jw_kstr(&w, "model", model);
    mt_jw_key(&w, "embeddings");
    mt_jw_array(&w);
    for (size_t i = 0; i < answer->n; i++)
        mt_chat__write_vector(&w, answer, i);
    mt_jw_end(&w);
    if (total_ns > 0)
        mt_jw_ki64(&w, "total_duration", total_ns);
    if (answer->usage.load_ns > 0)
        mt_jw_ki64(&w, "load_duration", answer->usage.load_ns);
    mt_jw_ki64(&w, "prompt_eval_count", answer->usage.input_tokens);
    mt_jw_end(&w);
}

static void encode_legacy(const struct mt_embed_request *request,
                          const struct mt_embed_answer *answer, struct mt_str model,
                          struct mt_buf *out)
{
    struct mt_jw w;

    (void)request, (void)model;
    mt_jw_begin(&w, out);
    mt_jw_object(&w);
    mt_jw_key(&w, "embedding");
    if (answer->n > 0)
        mt_chat__write_vector(&w, answer, 0);
    else
        mt_jw_raw(&w, MT_STR("[]"));
    mt_jw_end(&w);
}

static void write_inputs(const struct mt_embed_request *request, struct mt_jw *w)
{
    mt_jw_key(w, "input");
    mt_jw_array(w);
    for (size_t i = 0; i < request->inputs_n; i++)
        mt_jw_str(w, request->inputs[i]);
    mt_jw_end(w);
}

static mt_rc encode_request(const struct mt_embed_request *request, struct mt_str model,
                            struct mt_buf *body, struct mt_buf *path,
                            struct mt_chat_notes *notes, struct mt_err *err)
{
    struct mt_jw w;

    mt_buf_add_cstr(path, "/api/embed");
    mt_jw_begin(&w, body);
    mt_jw_object(&w);
    mt_jw_kstr(&w, "model", model);
    write_inputs(request, &w);
    mt_jw_kbool(&w, "truncate", request->truncate);
    if (request->dimensions.has)
        mt_jw_ki64(&w, "dimensions", request->dimensions.value);
    if (request->keep_alive_s.has)
        mt_jw_ki64(&w, "keep_alive", request->keep_alive_s.value);
    if (request->task.len > 0)
        mt_chat_note(notes, "taskType: not known to ollama");
    if (request->user.len > 0)
        mt_chat_note(notes, "user: not known to ollama");
    for (size_t i = 0; i < request->extras_n; i++)
        mt_chat_note(notes, "%.*s: not carried to ollama", MT_STR_ARG(request->extras[i].key));
    mt_jw_end(&w);
    MT_TRY(mt_buf_check(path, "path", err));
    return mt_buf_check(body, "request body", err);
}

static mt_rc decode_answer(const struct mt_json *body, struct mt_arena *arena,
                           struct mt_embed_answer *out, struct mt_err *err)
{
    const struct mt_json *rows = mt_json_get(body, "embeddings");
    struct mt_chat__vectors vectors = {.arena = arena, .rows_max = mt_json_count(rows)};

    if (mt_json_type(rows) != MT_JSON_ARRAY)
        return MT_FAIL(err, MT_E_UPSTREAM, "embeddings: expected an array, found %s",
                       mt_json_type_name(mt_json_type(rows)));
    for (const struct mt_json *row = mt_json_first(rows); row != NULL; row = mt_json_next(row))
        MT_TRY(mt_chat__vectors_add(&vectors, row, err));
    *out = (struct mt_embed_answer){
        .values = vectors.values, .n = vectors.n, .dims = vectors.dims};
    (void)mt_json_str(mt_json_get(body, "model"), arena, &out->model);
    mt_ollama__read_usage(body, &out->usage);
    return MT_OK;
}

const struct mt_embed_codec mt_embed_ollama = {
    .dialect = MT_DIALECT_OLLAMA_CHAT,
    .decode_request = decode_request,
    .encode_answer = encode_answer,
    .encode_request = encode_request,
    .decode_answer = decode_answer,
};

const struct mt_embed_codec mt_embed_ollama_legacy = {
    .dialect = MT_DIALECT_OLLAMA_GENERATE,
    .decode_request = decode_legacy,
    .encode_answer = encode_legacy,
    .encode_request = encode_request,
    .decode_answer = decode_answer,
};
