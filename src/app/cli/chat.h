/* SPDX-License-Identifier: Apache-2.0 */
/* A conversation with a model of the node: what was said, how to ask, and the answer on its
 * way to the terminal. Used by `run` and `ask`. */
#ifndef MT_CLI_CHAT_H
#define MT_CLI_CHAT_H

#include "client.h"

enum { CHAT_HISTORY_MAX = 16 * 1024 * 1024, CHAT_NAME_MAX = 256 };

struct chat {
    struct client *client;
    char model[CHAT_NAME_MAX];
    struct mt_buf system;   /* words for the model that are no question */
    struct mt_buf messages; /* JSON objects with commas between */
    struct mt_buf options;  /* JSON members with commas between: "temperature":0.5 */
    bool is_whole;          /* the answer is printed when it is complete */
    bool is_raw;            /* the node's JSON is printed as it comes */
    bool is_verbose;        /* tokens, times, route and receipt follow on standard error */
};

/** @param model NULL or "": the node's default
 *  @return MT_OK; MT_E_NOTFOUND when the node has no model at all; as client_call */
mt_rc chat_open(struct client *client, const char *model, struct chat *out, struct mt_err *err);
void chat_fini(struct chat *chat);

/** "temperature", "0.5" and the like; the value is JSON. @return MT_OK, MT_E_INVALID */
mt_rc chat_option(struct chat *chat, const char *name, const char *value, struct mt_err *err);

/** Forget what was said. */
void chat_clear(struct chat *chat);

/** Ask; the answer is printed and remembered. MT_E_CANCELED: Ctrl-C; what came so far is
 *  remembered. After another failure the question is forgotten. */
mt_rc chat_ask(struct chat *chat, struct mt_str prompt, struct mt_err *err);

#endif
