/* SPDX-License-Identifier: Apache-2.0 */
/* Responses that are stored, continue one another, are read again and forgotten.
 *
 * A request that goes on from another waits for that one's record; then it is expanded to a
 * whole conversation and is an ask like any other. */
#include "chat/responses.h"

#include "gateway_priv.h"

enum { RECORD_MAX = 64 * 1024 * 1024, PAGE_BYTES_MAX = 64 * 1024 * 1024 };

static struct mt_str no_text(void)
{
    return (struct mt_str){NULL, 0};
}

/* ------------------------------------------------------------------ going on */

/* The record is here: write the conversation so far in front of the new input. */
static mt_rc expand(struct ask *ask, struct mt_str record, struct mt_str *body,
                    struct mt_err *err)
{
    struct session *s = ask->s;
    MT_CLEANUP(mt_json_doc_freep) struct mt_json_doc *doc = NULL;
    MT_CLEANUP(mt_buf_fini)
    struct mt_buf expanded = MT_BUF_INIT((size_t)s->board->config->body_bytes_max);
    const struct mt_json *record_root;
    const struct mt_json *body_root;

    MT_TRY(mt_json_doc_new(&doc, err));
    MT_TRY(mt_json_parse(doc, record, &record_root, err));
    MT_TRY(gateway_parse(s->gw, mt_buf_str(&s->body), &body_root, err));
    MT_TRY(mt_responses_expand(record_root, body_root, mt_buf_str(&s->body), &expanded, err));
    MT_TRY(mt_buf_check(&expanded, "conversation", err));
    mt_buf_fini(&s->body);
    s->body = expanded;
    mt_buf_init(&expanded, 0);
    *body = mt_buf_str(&s->body);
    return MT_OK;
}

static void on_record(void *ctx, struct mt_str record, const struct mt_err *failure)
{
    struct ask *ask = ctx;
    struct mt_str body;
    struct mt_err err = {0};

    ask->s->lookup = NULL;
    if (ask->is_over)
        return;
    if (failure != NULL)
        ask_fail_rc(ask, failure);
    else if (expand(ask, record, &body, &err) != MT_OK)
        ask_fail_rc(ask, &err);
    else
        ask_run(ask, body);
}

/* What the body says of storing. */
static mt_rc read_wishes(struct ask *ask, struct mt_str *previous, struct mt_err *err)
{
    struct session *s = ask->s;
    const struct mt_json *root;
    bool wants_store = true; /* the dialect's default */

    MT_TRY(gateway_parse(s->gw, mt_buf_str(&s->body), &root, err));
    (void)mt_json_bool(mt_json_get(root, "store"), &wants_store);
    (void)mt_json_str(mt_json_get(root, "previous_response_id"), &s->arena, previous);
    ask->is_stored = wants_store && s->gw->store != NULL;
    return MT_OK;
}

void responses_run(struct ask *ask)
{
    struct session *s = ask->s;
    struct mt_str previous = no_text();
    struct mt_err err = {0};

    mt_rc rc = read_wishes(ask, &previous, &err);
    if (rc == MT_OK && previous.len == 0) {
        ask_run(ask, mt_buf_str(&s->body));
        return;
    }
    if (rc == MT_OK && s->gw->store == NULL)
        rc = MT_FAIL(&err, MT_E_UNSUPPORTED,
                     "previous_response_id: this node stores no responses");
    if (rc == MT_OK) {
        ask->reply.previous_response_id = mt_arena_str(&s->arena, previous);
        rc = store_get(s->gw->store, ask->reply.previous_response_id, s->key->name, on_record,
                       ask, &s->lookup, &err);
    }
    if (rc < 0)
        ask_fail_rc(ask, &err);
}

/* ------------------------------------------------------------------ keeping */

static mt_rc keep(struct ask *ask, struct mt_str response_object, struct mt_err *err)
{
    struct session *s = ask->s;
    MT_CLEANUP(mt_json_doc_freep) struct mt_json_doc *doc = NULL;
    MT_CLEANUP(mt_buf_fini) struct mt_buf record = MT_BUF_INIT(RECORD_MAX);
    const struct mt_json *response;
    const struct mt_json *body;
    struct mt_str id;

    MT_TRY(mt_json_doc_new(&doc, err));
    MT_TRY(mt_json_parse(doc, response_object, &response, err));
    MT_TRY(gateway_parse(s->gw, ask->body, &body, err));
    MT_TRY(mt_responses_record(body, response, &record, err));
    MT_TRY(mt_buf_check(&record, "stored response", err));
    if (!mt_json_str(mt_json_get(response, "id"), &s->arena, &id))
        return MT_FAIL(err, MT_E_INVALID, "the response has no id");
    return store_put(s->gw->store, id, s->key->name, mt_buf_str(&record),
                     mt_env_now_wall_ms(s->gw->deps.env) / 1000, err);
}

void responses_keep(struct ask *ask, struct mt_str response_object)
{
    struct mt_err err = {0};

    if (!ask->is_stored || ask->codec->dialect != MT_DIALECT_OPENAI_RESPONSES)
        return;
    if (keep(ask, response_object, &err) !=
        MT_OK) /* the answer is good; only its memory is lost */
        mt_log(ask->s->gw->deps.log, MT_LOG_ERROR, "gateway", "response_not_stored",
               MT_LOG_STR("id", ask->s->request_id), MT_LOG_ERR(&err));
}

/* ------------------------------------------------------------------ reading again */

static mt_rc write_page(struct session *s, const struct mt_json *record, struct mt_buf *out,
                        struct mt_err *err)
{
    struct mt_str limit = mt_http_query(s->x, "limit");
    struct mt_responses_page page = {
        .after = mt_http_query(s->x, "after"),
        .order = mt_str_is(mt_http_query(s->x, "order"), "asc") ? MT_RESPONSES_OLDEST_FIRST
                                                                : MT_RESPONSES_NEWEST_FIRST,
    };
    int64_t n = 0;

    if (limit.len > 0 && !mt_str_to_i64(limit, 1, MT_RESPONSES_PAGE_MAX, &n))
        return MT_FAIL(err, MT_E_INVALID, "limit: expected a number from 1 to %d",
                       MT_RESPONSES_PAGE_MAX);
    page.limit_n = (size_t)n;
    return mt_responses_input_items(record, &page, out, err);
}

static bool wants_items(const struct session *s)
{
    return mt_str_ends(s->tail, MT_STR("/input_items"));
}

static mt_rc write_stored(struct session *s, struct mt_str text, struct mt_buf *out,
                          struct mt_err *err)
{
    MT_CLEANUP(mt_buf_fini) struct mt_buf copy = MT_BUF_INIT(RECORD_MAX);
    const struct mt_json *record;

    mt_buf_add(&copy, text); /* the reader wants bytes behind the text */
    MT_TRY(mt_buf_check(&copy, "stored response", err));
    MT_TRY(gateway_parse(s->gw, mt_buf_str(&copy), &record, err));
    if (wants_items(s))
        return write_page(s, record, out, err);
    mt_buf_add(out, mt_json_raw(mt_json_get(record, "response")));
    return MT_OK;
}

static void on_stored(void *ctx, struct mt_str record, const struct mt_err *failure)
{
    struct session *s = ctx;
    MT_CLEANUP(mt_buf_fini) struct mt_buf body = MT_BUF_INIT(PAGE_BYTES_MAX);
    struct mt_err err = {0};

    s->lookup = NULL;
    if (s->is_gone)
        return;
    if (failure != NULL)
        session_fail_rc(s, failure);
    else if (write_stored(s, record, &body, &err) != MT_OK)
        session_fail_rc(s, &err);
    else
        session_answer_json(s, 200, &body);
}

static void on_removed(void *ctx, struct mt_str record, const struct mt_err *failure)
{
    struct session *s = ctx;
    MT_CLEANUP(mt_buf_fini) struct mt_buf body = MT_BUF_INIT(4096);
    struct mt_jw w;

    (void)record;
    s->lookup = NULL;
    if (s->is_gone)
        return;
    if (failure != NULL) {
        session_fail_rc(s, failure);
        return;
    }
    mt_jw_begin(&w, &body);
    mt_jw_object(&w);
    mt_jw_kstr(&w, "id", s->tail);
    mt_jw_kcstr(&w, "object", "response.deleted");
    mt_jw_kbool(&w, "deleted", true);
    mt_jw_end(&w);
    session_answer_json(s, 200, &body);
}

static void not_stored(struct session *s)
{
    struct mt_err err = {0};

    (void)MT_FAIL(&err, MT_E_NOTFOUND, "response '%.*s' is not stored here",
                  MT_STR_ARG(mt_str_sub(s->tail, 0, 128)));
    session_fail_rc(s, &err);
}

void handle_response_get(struct session *s)
{
    struct mt_str id = s->tail;
    struct mt_err err = {0};

    if (wants_items(s))
        id.len -= MT_STR("/input_items").len;
    if (s->gw->store == NULL)
        not_stored(s);
    else if (store_get(s->gw->store, id, s->key->name, on_stored, s, &s->lookup, &err) != MT_OK)
        session_fail_rc(s, &err);
}

void handle_response_delete(struct session *s)
{
    struct mt_err err = {0};

    if (s->gw->store == NULL)
        not_stored(s);
    else if (store_remove(s->gw->store, s->tail, s->key->name, on_removed, s, &s->lookup,
                          &err) != MT_OK)
        session_fail_rc(s, &err);
}
