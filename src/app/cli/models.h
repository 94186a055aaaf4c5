/* SPDX-License-Identifier: Apache-2.0 */
/* The node's answers about models, read and shown. Shared by ls, ps and show. */
#ifndef MT_CLI_MODELS_H
#define MT_CLI_MODELS_H

#include "base/arena.h"
#include "client.h"
#include "wire/json.h"

struct models_reply { /* an answer of JSON */
    struct mt_buf body;
    struct mt_json_doc *doc;
    const struct mt_json *root;
    struct mt_arena arena;
};

/** Call and read the answer. @return as client_call, MT_E_INVALID when it is no JSON */
mt_rc models_call(struct cli *cli, const struct cli_args *args, const struct client_call *call,
                  struct models_reply *out, struct mt_err *err);
void models_reply_fini(struct models_reply *reply);

/** The answer as it came, for --json. */
mt_rc models_put_json(struct cli *cli, const struct models_reply *reply, struct mt_err *err);

/** Text at a member, and at a member of a member; empty when it is not there. */
struct mt_str models_text(struct models_reply *reply, const struct mt_json *value,
                          const char *key);

/** Number at a member, 0 when it is not there. */
int64_t models_number(const struct mt_json *value, const char *key);

/** {"model": NAME} and further members that are JSON already, or "". */
void models_body(struct mt_buf *out, const char *name, const char *more);

#endif
