/* SPDX-License-Identifier: Apache-2.0 */
#include "models.h"

#include "wire/json_writer.h"

enum { TEXTS_MAX = 4 * 1024 * 1024 };

mt_rc models_call(struct cli *cli, const struct cli_args *args, const struct client_call *call,
                  struct models_reply *out, struct mt_err *err)
{
    MT_CLEANUP(client_fini) struct client client = {0};

    mt_buf_init(&out->body, CLIENT_ANSWER_MAX);
    mt_arena_init(&out->arena, TEXTS_MAX);
    MT_TRY(client_open(cli, args, &client, err));
    MT_TRY(client_call(&client, call, &out->body, err));
    MT_TRY(mt_json_doc_new(&out->doc, err));
    mt_rc rc = mt_json_parse(out->doc, mt_buf_str(&out->body), &out->root, err);
    return rc == MT_OK ? rc : mt_err_wrap(err, rc, "answer of %s", client.url);
}

void models_reply_fini(struct models_reply *reply)
{
    mt_buf_fini(&reply->body);
    mt_json_doc_free(reply->doc);
    mt_arena_fini(&reply->arena);
}

mt_rc models_put_json(struct cli *cli, const struct models_reply *reply, struct mt_err *err)
{
    MT_TRY(cli_put(cli, &reply->body, err));
    if (!mt_str_ends(mt_buf_str(&reply->body), MT_STR("\n")))
        (void)fputc('\n', cli->out);
    return MT_OK;
}

struct mt_str models_text(struct models_reply *reply, const struct mt_json *value,
                          const char *key)
{
    struct mt_str text = {0};

    (void)mt_json_str(mt_json_get(value, key), &reply->arena, &text);
    return text;
}

int64_t models_number(const struct mt_json *value, const char *key)
{
    int64_t number = 0;

    (void)mt_json_i64(mt_json_get(value, key), 0, INT64_MAX, &number);
    return number;
}

void models_body(struct mt_buf *out, const char *name, const char *more)
{
    mt_buf_add_cstr(out, "{\"model\":\"");
    mt_json_escape(out, mt_str_of(name));
    mt_buf_addf(out, "\"%s}", more);
}
