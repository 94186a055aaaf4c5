/* SPDX-License-Identifier: Apache-2.0 */
/* gateway/gateway.h - the API: every dialect's routes, keys, limits, attempts, streams,
 * accounts.
 *
 * Where the modules meet: net brings bytes, chat reads them, route decides, an engine answers,
 * chat writes, ledger keeps the account. One gateway per loop. Thread rule: the loop's. */
#ifndef MT_GATEWAY_GATEWAY_H
#define MT_GATEWAY_GATEWAY_H

#include "base/err.h"
#include "base/str.h"

struct mt_config;
struct mt_engine;
struct mt_env;
struct mt_gateway;
struct mt_ledger;
struct mt_http_client;
struct mt_log;
struct mt_loop;

struct mt_gateway_deps { /* all borrowed; they outlive the gateway */
    struct mt_loop *loop;
    struct mt_env *env;
    struct mt_log *log; /* may be NULL */
    struct mt_http_client *client;
    struct mt_engine *local; /* the engine of local models; NULL: none */
    struct mt_ledger *ledger;
    const char *responses_path; /* database of stored Responses; NULL: nothing is stored */
    const char *version;
    struct mt_str admin_token;  /* accepted as a key that may do everything; empty: none */
    void (*on_stop)(void *ctx); /* somebody with the right to asked the node to stop */
    void (*on_reload)(void *ctx);
    void *ctx;
};

/** Listen and serve. The configuration is referenced. */
mt_rc mt_gateway_open(const struct mt_gateway_deps *deps, const struct mt_config *config,
                      struct mt_gateway **out, struct mt_err *err);

/** Take over a new configuration; requests in flight end under the old one. On failure the old
 *  one stays. */
mt_rc mt_gateway_reload(struct mt_gateway *gateway, const struct mt_config *config,
                        struct mt_err *err);

uint16_t mt_gateway_port(const struct mt_gateway *gateway);

/** The ledger's rows up to seq are on disk (strict_sync waits for that). */
void mt_gateway_synced(struct mt_gateway *gateway, uint64_t seq);

/** The ledger's files are gone (mt_ledger_is_lost): under strict_sync nobody is told that an
 * answer is complete, and no more is begun (503). */
void mt_gateway_lost(struct mt_gateway *gateway);

/** Stop accepting; done(ctx) when no request is in flight. After the configuration's drain_ms
 * what still is gets its dialect's error ending (settled as interrupted), and a moment to take
 * it. */
void mt_gateway_drain(struct mt_gateway *gateway, void (*done)(void *ctx), void *ctx);

/** Cancel what is in flight (settled as interrupted) and free. NULL is allowed. */
void mt_gateway_close(struct mt_gateway *gateway);

/** The table of routes: `motet routes`, and docs/api.md. */
struct mt_buf;
enum mt_gateway_format { MT_ROUTES_TEXT, MT_ROUTES_JSON, MT_ROUTES_MARKDOWN };
void mt_gateway_routes(enum mt_gateway_format format, struct mt_buf *out);

#endif
