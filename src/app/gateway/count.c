/* SPDX-License-Identifier: Apache-2.0 */
/* "How many tokens is this?": exact from a local model, otherwise estimated. */
#include "gateway_priv.h"

static mt_rc count(struct session *s, struct mt_chat_request *request, struct mt_err *err,
                   int64_t *out)
{
    struct mt_route_plan plan;

    MT_TRY(mt_route_resolve(&s->board->table, request->model, &plan, err));
    if (!board_key_may_use(s->key, request->model))
        return MT_FAIL(err, MT_E_DENIED, "this API key may not use model '%.*s'",
                       MT_STR_ARG(request->model));
    const struct mt_route_target *target = &plan.targets[0];
    struct mt_engine *engine = target->endpoint == MT_ROUTE_LOCAL
                                   ? s->board->local
                                   : s->board->endpoints[target->endpoint].engine;
    mt_rc rc = engine != NULL
                   ? engine->ops->count_tokens(engine, request, target->model, out, err)
                   : MT_E_UNSUPPORTED;
    if (rc == MT_E_UNSUPPORTED || rc == MT_E_BUSY) {
        *out = mt_engine_estimate_tokens(request);
        mt_http_set_header(s->x, "x-motet-warning", MT_STR("the count is an estimate"));
        return MT_OK;
    }
    return rc;
}

void count_body(struct session *s, const struct mt_json *root, decode_fn *decode,
                const struct mt_chat_route *url)
{
    const struct mt_chat_codec *codec = mt_chat_codec(s->route->dialect);
    MT_CLEANUP(mt_buf_fini) struct mt_buf body = MT_BUF_INIT(4096);
    struct mt_chat_request request = {.arena = &s->arena};
    struct mt_err err = {0};
    int64_t tokens = 0;

    mt_rc rc = decode(root, url, &request, &err);
    if (rc == MT_OK)
        rc = count(s, &request, &err, &tokens);
    if (rc < 0) {
        session_fail_rc(s, &err);
        return;
    }
    codec->encode_token_count(tokens, &body);
    session_answer_json(s, 200, &body);
}

void handle_count(struct session *s)
{
    const struct mt_json *root;
    struct mt_err err = {0};

    if (gateway_parse(s->gw, mt_buf_str(&s->body), &root, &err) != MT_OK)
        session_fail_rc(s, &err);
    else
        count_body(s, root, mt_chat_codec(s->route->dialect)->decode_request,
                   &(struct mt_chat_route){.count_only = true});
}
