/* SPDX-License-Identifier: Apache-2.0 */
#include "remote_priv.h"

static const struct mt_embed_codec *embed_codec(enum mt_dialect dialect)
{
    static const struct mt_embed_codec *const codecs[MT_DIALECT_COUNT] = {
        [MT_DIALECT_OPENAI_CHAT] = &mt_embed_openai,
        [MT_DIALECT_OPENAI_RESPONSES] = &mt_embed_openai,
        [MT_DIALECT_GEMINI] = &mt_embed_gemini,
        [MT_DIALECT_OLLAMA_CHAT] = &mt_embed_ollama,
    };
    return codecs[dialect];
}

mt_rc remote__embed(struct mt_engine *engine, const struct mt_engine_embed_call *call,
                    struct mt_engine_run **out, struct mt_err *err)
{
    struct remote *remote = MT_CONTAINER(engine, struct remote, base);
    const struct mt_embed_codec *codec = embed_codec(remote->codec->dialect);
    MT_CLEANUP(mt_buf_fini) struct mt_buf path = MT_BUF_INIT(4096);

    if (codec == NULL)
        return MT_FAIL(err, MT_E_UNSUPPORTED,
                       "embeddings: endpoint '%s' speaks %s, which has none", remote->name,
                       remote->codec->name);
    struct mt_engine_run *run = remote__run_new(remote);
    if (run == NULL)
        return MT_FAIL(err, MT_E_NOMEM, "endpoint '%s': no memory for a run", remote->name);
    run->is_embed = true;
    run->embed = *call;
    mt_rc rc = codec->encode_request(call->request, call->model, &run->request, &path,
                                     call->notes, err);
    if (rc == MT_OK)
        rc = mt_buf_check(&run->request, "request", err);
    if (rc == MT_OK)
        rc = mt_buf_check(&path, "path", err);
    if (rc == MT_OK)
        rc = remote__run_send(run, mt_buf_str(&path), mt_buf_str(&run->request), err);
    if (rc < 0) {
        remote__run_free(run);
        return rc;
    }
    *out = run;
    return MT_OK;
}

void remote__embed_done(struct mt_engine_run *run, const struct mt_chat_error *error)
{
    struct mt_engine_end end = {.is_ok = error == NULL, .error = error, .was_sent = true};
    const struct mt_embed_codec *codec = embed_codec(run->remote->codec->dialect);
    struct mt_embed_answer answer = {0};
    struct mt_chat_error bad = {.kind = MT_CHAT_ERR_UPSTREAM, .retry_after_ms = -1};
    const struct mt_json *root;
    struct mt_err err = {0};

    if (error != NULL) {
        run->embed.on_embed(run->embed.ctx, NULL, &end);
        return;
    }
    mt_rc rc = mt_json_parse(run->remote->scratch->doc, mt_buf_str(&run->body), &root, &err);
    if (rc == MT_OK)
        rc = codec->decode_answer(root, &run->arena, &answer, &err);
    if (rc < 0) {
        bad.message = mt_str_of(err.text);
        end.is_ok = false;
        end.error = &bad;
        run->embed.on_embed(run->embed.ctx, NULL, &end);
        return;
    }
    run->embed.on_embed(run->embed.ctx, &answer, &end);
}
