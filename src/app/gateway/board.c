/* SPDX-License-Identifier: Apache-2.0 */
#include "board.h"

#include <string.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "engine/remote.h"

enum { BOARD_ARENA_MAX = 16 * 1024 * 1024, ENDPOINT_HEADERS_MAX = 16 };

static const struct {
    struct mt_str name;
    enum mt_dialect dialect;
} upstream_dialects[] = {
    {MT_STR_INIT("openai"), MT_DIALECT_OPENAI_CHAT},
    {MT_STR_INIT("openai-responses"), MT_DIALECT_OPENAI_RESPONSES},
    {MT_STR_INIT("anthropic"), MT_DIALECT_ANTHROPIC},
    {MT_STR_INIT("gemini"), MT_DIALECT_GEMINI},
    {MT_STR_INIT("ollama"), MT_DIALECT_OLLAMA_CHAT},
};

static mt_rc dialect_of(const struct mt_config_endpoint *endpoint, enum mt_dialect *out,
                        struct mt_err *err)
{
    for (size_t i = 0; i < MT_ARRAY_LEN(upstream_dialects); i++) {
        if (mt_str_eq(endpoint->dialect, upstream_dialects[i].name)) {
            *out = upstream_dialects[i].dialect;
            return MT_OK;
        }
    }
    return MT_FAIL(err, MT_E_INVALID, "endpoint '%.*s': unknown dialect '%.*s'",
                   MT_STR_ARG(endpoint->name), MT_STR_ARG(endpoint->dialect));
}

static mt_rc open_endpoint(struct board_endpoint *out, const struct mt_config_endpoint *config,
                           struct mt_http_client *client, struct mt_chat_scratch *scratch,
                           size_t answer_max, struct mt_err *err)
{
    struct mt_remote_header headers[ENDPOINT_HEADERS_MAX];

    if (config->headers_n > ENDPOINT_HEADERS_MAX)
        return MT_FAIL(err, MT_E_TOOBIG, "endpoint '%.*s': more than %d headers",
                       MT_STR_ARG(config->name), ENDPOINT_HEADERS_MAX);
    for (size_t i = 0; i < config->headers_n; i++)
        headers[i] =
            (struct mt_remote_header){config->headers[i].name, config->headers[i].value};
    out->name = config->name;
    out->config = config;
    MT_TRY(dialect_of(config, &out->dialect, err));
    const struct mt_remote_opts opts = {
        .name = config->name,
        .dialect = out->dialect,
        .url = config->url,
        .api_key = config->api_key,
        .ca_file = config->ca_file,
        .headers = headers,
        .headers_n = config->headers_n,
        .connect_timeout_ms = config->connect_timeout_ms,
        .first_timeout_ms = config->first_timeout_ms,
        .idle_timeout_ms = config->idle_timeout_ms,
        .answer_bytes_max = answer_max,
    };
    return mt_remote_open(client, scratch, &opts, &out->engine, err);
}

static mt_rc open_endpoints(struct board *board, struct mt_http_client *client,
                            struct mt_chat_scratch *scratch, struct mt_err *err)
{
    const struct mt_config *config = board->config;

    board->endpoints =
        mt_arena_get(&board->arena, config->endpoints_n, sizeof *board->endpoints);
    if (board->endpoints == NULL)
        return mt_arena_fail(&board->arena, err);
    for (size_t i = 0; i < config->endpoints_n; i++) {
        MT_TRY(open_endpoint(&board->endpoints[i], &config->endpoints[i], client, scratch,
                             (size_t)config->answer_bytes_max, err));
        board->endpoints_n++;
    }
    return MT_OK;
}

static struct mt_str digest_key(const struct mt_digest *digest)
{
    return (struct mt_str){(const char *)digest->at, sizeof digest->at};
}

static mt_rc add_keys(struct board *board, struct mt_str admin_token, struct mt_err *err)
{
    const struct mt_config *config = board->config;

    mt_map_init(&board->keys_by_digest, config->keys_n + 1, 0);
    board->keys = mt_arena_get(&board->arena, config->keys_n, sizeof *board->keys);
    if (board->keys == NULL)
        return mt_arena_fail(&board->arena, err);
    for (size_t i = 0; i < config->keys_n; i++) {
        struct board_key *key = &board->keys[board->keys_n++];
        key->name = config->keys[i].name;
        key->config = &config->keys[i];
        mt_rc rc = mt_key_stored_parse(config->keys[i].hash, &key->digest, err);
        if (rc < 0)
            return mt_err_wrap(err, rc, "key '%.*s'", MT_STR_ARG(key->name));
        MT_TRY(mt_map_put(&board->keys_by_digest, digest_key(&key->digest), key, NULL, err));
    }
    board->anonymous.name = MT_STR("");
    board->admin.name = MT_STR("admin");
    board->admin.is_admin = true;
    if (admin_token.len == 0)
        return MT_OK;
    board->admin.digest = mt_key_digest(admin_token);
    return mt_map_put(&board->keys_by_digest, digest_key(&board->admin.digest), &board->admin,
                      NULL, err);
}

static mt_rc make_table(struct board *board, struct mt_err *err)
{
    const struct mt_config *config = board->config;
    struct mt_route_endpoint *endpoints =
        mt_arena_get(&board->arena, config->endpoints_n, sizeof *endpoints);
    struct mt_route_model *models =
        mt_arena_get(&board->arena, config->models_n, sizeof *models);

    if (endpoints == NULL || models == NULL)
        return mt_arena_fail(&board->arena, err);
    for (size_t i = 0; i < config->endpoints_n; i++)
        endpoints[i] = (struct mt_route_endpoint){config->endpoints[i].name,
                                                  config->endpoints[i].models.at,
                                                  config->endpoints[i].models.n};
    for (size_t i = 0; i < config->models_n; i++)
        models[i] =
            (struct mt_route_model){config->models[i].name, config->models[i].path.len > 0,
                                    config->models[i].targets.at, config->models[i].targets.n};
    struct mt_str usual = config->default_model;
    if (usual.len == 0 && config->models_n > 0)
        usual = config->models[0].name;
    board->table = (struct mt_route_table){endpoints, config->endpoints_n, models,
                                           config->models_n, usual};
    return MT_OK;
}

static void board_free(struct board *board)
{
    for (size_t i = 0; i < board->endpoints_n; i++) {
        if (board->endpoints[i].engine != NULL)
            board->endpoints[i].engine->ops->close(board->endpoints[i].engine);
    }
    mt_map_fini(&board->keys_by_digest);
    mt_arena_fini(&board->arena);
    mt_config_unref(board->config);
    mt_free(board);
}

mt_rc board_new(const struct mt_config *config, struct mt_http_client *client,
                struct mt_chat_scratch *scratch, struct mt_engine *local,
                struct mt_str admin_token, struct board **out, struct mt_err *err)
{
    struct board *board = mt_alloc(1, sizeof *board);

    if (board == NULL)
        return MT_FAIL(err, MT_E_NOMEM, "no memory for the configuration's engines");
    board->refs = 1;
    board->local = local;
    board->config = mt_config_ref(config);
    mt_arena_init(&board->arena, BOARD_ARENA_MAX);
    mt_rc rc = open_endpoints(board, client, scratch, err);
    if (rc == MT_OK)
        rc = add_keys(board, admin_token, err);
    if (rc == MT_OK)
        rc = make_table(board, err);
    if (rc < 0) {
        board_free(board);
        return rc;
    }
    *out = board;
    return MT_OK;
}

struct board *board_ref(struct board *board)
{
    board->refs++;
    return board;
}

void board_unref(struct board *board)
{
    if (board == NULL)
        return;
    MT_ASSERT(board->refs > 0);
    if (--board->refs == 0)
        board_free(board);
}

void board_inherit(struct board *now, const struct board *old)
{
    for (size_t i = 0; i < now->endpoints_n; i++) {
        for (size_t j = 0; j < old->endpoints_n; j++) {
            struct board_endpoint *mine = &now->endpoints[i];
            const struct board_endpoint *theirs = &old->endpoints[j];
            if (!mt_str_eq(mine->name, theirs->name) ||
                !mt_str_eq(mine->config->url, theirs->config->url))
                continue;
            mine->breaker = theirs->breaker;
            mine->tries_n = theirs->tries_n;
            mine->failures_n = theirs->failures_n;
        }
    }
}

const struct board_key *board_find_key(const struct board *board, struct mt_str key)
{
    const struct mt_digest digest = mt_key_digest(key);
    const struct board_key *found =
        key.len > 0 ? mt_map_find(&board->keys_by_digest, digest_key(&digest)) : NULL;

    if (found == NULL && board->keys_n == 0)
        return &board->anonymous;
    return found;
}

bool board_key_may_use(const struct board_key *key, struct mt_str model)
{
    if (key->config == NULL || key->config->models.n == 0)
        return true;
    for (size_t i = 0; i < key->config->models.n; i++) {
        if (mt_route_matches(key->config->models.at[i], model))
            return true;
    }
    return false;
}

struct mt_str board_target_name(const struct board *board, const struct mt_route_target *target,
                                struct mt_arena *arena)
{
    if (target->endpoint == MT_ROUTE_LOCAL)
        return target->model;
    struct mt_str endpoint = board->endpoints[target->endpoint].name;

    return mt_arena_printf(arena, "%.*s/%.*s", MT_STR_ARG(endpoint), MT_STR_ARG(target->model));
}

struct mt_str board_counted_name(const struct board *board,
                                 const struct mt_route_target *target, struct mt_arena *arena)
{
    if (target->endpoint == MT_ROUTE_LOCAL)
        return target->model;
    const struct mt_config_endpoint *endpoint = board->endpoints[target->endpoint].config;
    struct mt_str written = MT_STR("*");

    for (size_t i = 0; i < endpoint->models.n; i++) {
        if (mt_route_matches(endpoint->models.at[i], target->model)) {
            written = endpoint->models.at[i];
            break;
        }
    }
    return mt_arena_printf(arena, "%.*s/%.*s", MT_STR_ARG(endpoint->name), MT_STR_ARG(written));
}

const struct mt_config_price *board_price(const struct board *board,
                                          const struct mt_route_target *target)
{
    const struct mt_config *config = board->config;
    char name[512];
    struct mt_str endpoint = target->endpoint == MT_ROUTE_LOCAL
                                 ? MT_STR("local")
                                 : board->endpoints[target->endpoint].name;

    if (config->prices_n == 0 || endpoint.len + target->model.len + 1 > sizeof name)
        return NULL;
    memcpy(name, endpoint.at, endpoint.len);
    name[endpoint.len] = '/';
    memcpy(name + endpoint.len + 1, target->model.at, target->model.len);
    struct mt_str whole = {name, endpoint.len + 1 + target->model.len};
    for (size_t i = 0; i < config->prices_n; i++) {
        if (mt_route_matches(config->prices[i].model, whole))
            return &config->prices[i];
    }
    return NULL;
}

const struct mt_config_model *board_model(const struct board *board,
                                          const struct mt_route_plan *plan)
{
    return plan->model >= 0 ? &board->config->models[plan->model] : NULL;
}
