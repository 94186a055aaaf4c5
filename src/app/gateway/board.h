/* SPDX-License-Identifier: Apache-2.0 */
/* board.h - one configuration made ready to serve: engines, names, keys, prices.
 *
 * A reload makes a new board; asks in flight hold a reference to theirs. Immutable but for the
 * breakers, which belong to the loop. */
#ifndef MT_GATEWAY_BOARD_H
#define MT_GATEWAY_BOARD_H

#include "base/arena.h"
#include "base/map.h"
#include "config/config.h"
#include "crypto/key.h"
#include "engine/engine.h"
#include "route/breaker.h"
#include "route/resolve.h"

struct mt_http_client;

struct board_endpoint {
    struct mt_str name;
    enum mt_dialect dialect;
    const struct mt_config_endpoint *config;
    struct mt_engine *engine; /* owned */
    struct mt_breaker breaker;
    int64_t active_n;
    int64_t tries_n, failures_n;
};

struct board_key {
    struct mt_str name;
    struct mt_digest digest;
    const struct mt_config_key *config; /* NULL: the administrator, or nobody in particular */
    bool is_admin;
};

struct board {
    unsigned refs;
    const struct mt_config *config; /* referenced */
    struct mt_arena arena;
    struct mt_engine *local; /* borrowed; may be NULL */
    struct board_endpoint *endpoints;
    size_t endpoints_n;
    struct board_key *keys;
    size_t keys_n;
    struct mt_map keys_by_digest; /* raw digest -> board_key */
    struct mt_route_table table;
    struct board_key anonymous; /* while no key is configured */
    struct board_key admin;
};

mt_rc board_new(const struct mt_config *config, struct mt_http_client *client,
                struct mt_chat_scratch *scratch, struct mt_engine *local,
                struct mt_str admin_token, struct board **out, struct mt_err *err);
struct board *board_ref(struct board *board);
void board_unref(struct board *board); /* NULL is allowed */

/** Breakers and counters of endpoints that stay what they were. */
void board_inherit(struct board *now, const struct board *old);

/** Whose key is this? NULL if nobody's. An empty key is anonymous while no keys are configured.
 */
const struct board_key *board_find_key(const struct board *board, struct mt_str key);
bool board_key_may_use(const struct board_key *key, struct mt_str model);

/** First price that matches "ENDPOINT/MODEL" (local models: "local/NAME"); NULL: free. */
const struct mt_config_price *board_price(const struct board *board,
                                          const struct mt_route_target *target);

/** "ENDPOINT/MODEL", or the name alone for a local model. */
struct mt_str board_target_name(const struct board *board, const struct mt_route_target *target,
                                struct mt_arena *arena);

/** The name under which the ledger counts what a target does: as the configuration writes it
 *  ("openai/gpt-*"), never as a caller did, so that callers cannot make up subjects. */
struct mt_str board_counted_name(const struct board *board,
                                 const struct mt_route_target *target, struct mt_arena *arena);

const struct mt_config_model *board_model(const struct board *board,
                                          const struct mt_route_plan *plan); /* or NULL */

#endif
