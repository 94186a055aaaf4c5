/* SPDX-License-Identifier: Apache-2.0 */
/* Calls to a node, one at a time, waited for: every command is a client as any other. */
#ifndef MT_CLI_CLIENT_H
#define MT_CLI_CLIENT_H

#include "cli.h"
#include "crypto/secret.h"

enum { CLIENT_ANSWER_MAX = 64 * 1024 * 1024, CLIENT_URL_MAX = 512 };

struct client {
    struct cli *cli;
    char url[CLIENT_URL_MAX]; /* without '/' at its end */
    struct mt_secret key;     /* may be empty */
    char *ca_file;            /* owned; NULL: the system's */
};

struct client_info { /* what the answer's header told */
    int status;
    char receipt[64], route[160], cost[64], warning[256];
};

struct client_call {
    const char *method, *path;
    struct mt_str body;
    const char *waiting_for; /* for the one who waits at a terminal: "loading lab-nano" */
    bool can_interrupt;      /* Ctrl-C ends the call (MT_E_CANCELED), not the program */
    /** A piece of a good answer; NULL: it is gathered in the answer. A failure ends the call.
     */
    mt_rc (*on_bytes)(void *ctx, struct mt_str bytes, struct mt_err *err);
    void *ctx;
    struct client_info *info; /* may be NULL */
};

/** Find the node: $MOTET_HOST, else the one that serves the configuration's data folder, else
 *  its listen address. And the key: $MOTET_API_KEY, else the administrator's, but only for a
 *  node on this machine. Nobody is asked yet. */
mt_rc client_open(struct cli *cli, const struct cli_args *args, struct client *out,
                  struct mt_err *err);
void client_fini(struct client *client);

/** Call and wait. answer receives the body of a good answer when there is no on_bytes.
 *  @return MT_OK; MT_E_UPSTREAM (no node there: says what to type); what the status means with
 *  the node's own words; MT_E_CANCELED; what on_bytes returned */
mt_rc client_call(struct client *client, const struct client_call *call, struct mt_buf *answer,
                  struct mt_err *err);

/** "HOST", "HOST:PORT" or a URL -> a base URL; the port is 7700 when none is named. Pure. */
mt_rc client_url(struct mt_str text, char out[CLIENT_URL_MAX], struct mt_err *err);

#endif
