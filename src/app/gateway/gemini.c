/* SPDX-License-Identifier: Apache-2.0 */
/* Gemini says in the URL what others say in the body: the model and the method. */
#include "chat/gemini.h"

#include "gateway_priv.h"

static void count_tokens(struct session *s, const struct mt_chat_route *url)
{
    const struct mt_json *root;
    struct mt_err err = {0};

    if (gateway_parse(s->gw, mt_buf_str(&s->body), &root, &err) != MT_OK)
        session_fail_rc(s, &err);
    else
        count_body(s, root, mt_gemini_decode_count, url);
}

static void generate(struct session *s, const struct mt_chat_route *url)
{
    struct mt_err err = {0};

    session_count(s, "chat");
    struct ask *ask = ask_new(s);
    if (ask == NULL) {
        (void)MT_FAIL(&err, MT_E_NOMEM, "no memory for the request");
        session_fail_rc(s, &err);
        return;
    }
    ask->url = *url;
    ask_run(ask, mt_buf_str(&s->body));
}

static void no_such_method(struct session *s)
{
    struct mt_err err = {0};

    (void)MT_FAIL(&err, MT_E_NOTFOUND, "no such method: '%.*s'",
                  MT_STR_ARG(mt_str_sub(s->tail, 0, 128)));
    session_fail_rc(s, &err);
}

void handle_gemini_post(struct session *s)
{
    enum mt_gemini_method method;
    struct mt_chat_route url = {
        .alt_sse = mt_str_is(mt_http_query(s->x, "alt"), "sse"),
    };

    if (!mt_gemini_path(mt_http_path(s->x), &url.model, &method)) {
        no_such_method(s);
        return;
    }
    switch (method) {
    case MT_GEMINI_STREAM:
        url.stream = true;
        generate(s, &url);
        break;
    case MT_GEMINI_GENERATE:
        generate(s, &url);
        break;
    case MT_GEMINI_COUNT_TOKENS:
        count_tokens(s, &url);
        break;
    case MT_GEMINI_EMBED:
    case MT_GEMINI_BATCH_EMBED:
        embed_run(s, &url);
        break;
    case MT_GEMINI_GET:
    case MT_GEMINI_UNKNOWN:
        no_such_method(s);
        break;
    }
}

const char *ask_stream_content_type(const struct ask *ask)
{
    return ask->codec->dialect == MT_DIALECT_GEMINI ? mt_gemini_stream_content_type(&ask->url)
                                                    : ask->codec->stream_content_type;
}
