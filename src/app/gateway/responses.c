/* SPDX-License-Identifier: Apache-2.0 */
/* Responses that continue one another. */
#include "gateway_priv.h"

void responses_run(struct ask *ask)
{
    ask_run(ask, mt_buf_str(&ask->s->body));
}

void responses_keep(struct ask *ask, struct mt_str response_object)
{
    (void)ask;
    (void)response_object;
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
    not_stored(s);
}

void handle_response_delete(struct session *s)
{
    not_stored(s);
}
