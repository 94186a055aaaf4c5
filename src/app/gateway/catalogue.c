/* SPDX-License-Identifier: Apache-2.0 */
/* Every model this node can name, and the lists and cards that clients ask for. */
#include "chat/models.h"

#include "engine/local.h"
#include "gateway_priv.h"

enum { LOADED_MAX = 64, LIST_MAX = 8 * 1024 * 1024 };

/* A pattern stands for names nobody can list. */
static bool is_pattern(struct mt_str name)
{
    return mt_str_find_char(name, '*') < name.len;
}

static size_t cards_max(const struct board *board)
{
    size_t n = board->config->models_n;

    for (size_t i = 0; i < board->endpoints_n; i++)
        n += board->config->endpoints[i].models.n;
    return n;
}

static struct mt_model_card alias_card(const struct mt_config_model *model)
{
    return (struct mt_model_card){
        .name = model->name,
        .owner = MT_STR("motet"),
        .can = MT_CAN_CHAT | MT_CAN_COMPLETE | MT_CAN_TOOLS,
    };
}

static struct mt_model_card local_card(const struct session *s,
                                       const struct mt_config_model *model)
{
    struct mt_model_card card = {.name = model->name, .owner = MT_STR("motet")};

    if (s->board->local != NULL)
        (void)s->board->local->ops->describe(s->board->local, model->name, &card, NULL);
    card.name = model->name;
    return card;
}

static struct mt_model_card remote_card(const struct session *s, size_t endpoint,
                                        struct mt_str model)
{
    struct mt_engine *engine = s->board->endpoints[endpoint].engine;
    struct mt_model_card card = {.name = model};

    (void)engine->ops->describe(engine, model, &card, NULL);
    return card;
}

/* Ollama's clients write "m:latest" for "m". */
static struct mt_str without_tag(struct mt_str name)
{
    static const struct mt_str latest = MT_STR_INIT(":latest");

    return mt_str_ends(name, latest) ? mt_str_sub(name, 0, name.len - latest.len) : name;
}

static bool is_taken(const struct mt_model_card *cards, size_t n, struct mt_str name)
{
    for (size_t i = 0; i < n; i++) {
        if (mt_str_eq(without_tag(cards[i].name), without_tag(name)))
            return true;
    }
    return false;
}

static void add(const struct session *s, struct mt_model_card *cards, size_t *n,
                struct mt_model_card card)
{
    if (is_pattern(card.name) || !board_key_may_use(s->key, card.name) ||
        is_taken(cards, *n, card.name))
        return;
    cards[(*n)++] = card;
}

/* The first one answers to the name; the others do with their endpoint's in front. */
static void add_remote(struct session *s, struct mt_model_card *cards, size_t *n,
                       size_t endpoint, struct mt_str model)
{
    struct mt_model_card card = remote_card(s, endpoint, model);

    if (is_taken(cards, *n, card.name))
        card.name =
            mt_arena_printf(&s->arena, "%.*s/%.*s",
                            MT_STR_ARG(s->board->endpoints[endpoint].name), MT_STR_ARG(model));
    if (card.name.len > 0)
        add(s, cards, n, card);
}

mt_rc catalogue(struct session *s, struct mt_model_card **cards, size_t *n, struct mt_err *err)
{
    const struct mt_config *config = s->board->config;
    struct mt_model_card *made = mt_arena_get(&s->arena, cards_max(s->board) + 1, sizeof *made);
    size_t made_n = 0;

    if (made == NULL)
        return mt_arena_fail(&s->arena, err);
    for (size_t i = 0; i < config->models_n; i++)
        add(s, made, &made_n,
            config->models[i].path.len > 0 ? local_card(s, &config->models[i])
                                           : alias_card(&config->models[i]));
    for (size_t i = 0; i < config->endpoints_n; i++) {
        for (size_t j = 0; j < config->endpoints[i].models.n; j++)
            add_remote(s, made, &made_n, i, config->endpoints[i].models.at[j]);
    }
    *cards = made;
    *n = made_n;
    return MT_OK;
}

mt_rc catalogue_one(struct session *s, struct mt_str name, struct mt_model_card *card,
                    struct mt_err *err)
{
    struct mt_route_plan plan;

    MT_TRY(mt_route_resolve(&s->board->table, name, &plan, err));
    if (!board_key_may_use(s->key, name))
        return MT_FAIL(err, MT_E_DENIED, "this API key may not use model '%.*s'",
                       MT_STR_ARG(name));
    if (plan.model >= 0) {
        const struct mt_config_model *model = &s->board->config->models[plan.model];
        *card = model->path.len > 0 ? local_card(s, model) : alias_card(model);
        return MT_OK;
    }
    *card = remote_card(s, (size_t)plan.targets[0].endpoint, plan.targets[0].model);
    card->name = name;
    return MT_OK;
}

/* ------------------------------------------------------------------ handlers */

typedef void list_fn(const struct mt_model_card *cards, size_t n, struct mt_buf *out);
typedef void card_fn(const struct mt_model_card *card, struct mt_buf *out);

static void answer_list(struct session *s, list_fn *write)
{
    MT_CLEANUP(mt_buf_fini) struct mt_buf body = MT_BUF_INIT(LIST_MAX);
    struct mt_model_card *cards;
    struct mt_err err = {0};
    size_t n;

    if (catalogue(s, &cards, &n, &err) != MT_OK) {
        session_fail_rc(s, &err);
        return;
    }
    write(cards, n, &body);
    session_answer_json(s, 200, &body);
}

static void answer_card(struct session *s, struct mt_str name, card_fn *write)
{
    MT_CLEANUP(mt_buf_fini) struct mt_buf body = MT_BUF_INIT(LIST_MAX);
    struct mt_model_card card;
    struct mt_err err = {0};

    if (catalogue_one(s, name, &card, &err) != MT_OK) {
        session_fail_rc(s, &err);
        return;
    }
    write(&card, &body);
    session_answer_json(s, 200, &body);
}

static bool speaks_anthropic(const struct session *s)
{
    return mt_http_header(s->x, "anthropic-version").len > 0;
}

/* Gemini's client asks under /v1, too, and is known by its header. */
static bool speaks_gemini(const struct session *s)
{
    return s->route->dialect == MT_DIALECT_GEMINI ||
           mt_http_header(s->x, "x-goog-api-key").len > 0;
}

void handle_models(struct session *s)
{
    if (speaks_gemini(s))
        answer_list(s, mt_models_gemini_list);
    else
        answer_list(s, speaks_anthropic(s) ? mt_models_anthropic_list : mt_models_openai_list);
}

void handle_model(struct session *s)
{
    if (speaks_gemini(s))
        answer_card(s, s->tail, mt_models_gemini_one);
    else
        answer_card(s, s->tail,
                    speaks_anthropic(s) ? mt_models_anthropic_one : mt_models_openai_one);
}

void handle_ollama_tags(struct session *s)
{
    answer_list(s, mt_models_ollama_tags);
}

void handle_ollama_ps(struct session *s)
{
    MT_CLEANUP(mt_buf_fini) struct mt_buf body = MT_BUF_INIT(LIST_MAX);
    struct mt_model_card cards[LOADED_MAX];
    size_t n =
        s->board->local != NULL ? mt_local_loaded(s->board->local, cards, LOADED_MAX) : 0;

    mt_models_ollama_ps(cards, n, &body);
    session_answer_json(s, 200, &body);
}

/* The model a small Ollama body names ("model", formerly "name"). */
static mt_rc named_model(struct session *s, struct mt_str *out, struct mt_err *err)
{
    const struct mt_json *root;

    MT_TRY(session_json(s, mt_buf_str(&s->body), &root, err));
    if (!mt_json_str(mt_json_get(root, "model"), &s->arena, out) &&
        !mt_json_str(mt_json_get(root, "name"), &s->arena, out))
        return MT_FAIL(err, MT_E_INVALID, "model: expected a string");
    return MT_OK;
}

void handle_ollama_show(struct session *s)
{
    struct mt_str name;
    struct mt_err err = {0};

    if (named_model(s, &name, &err) != MT_OK)
        session_fail_rc(s, &err);
    else
        answer_card(s, name, mt_models_ollama_show);
}

void handle_ollama_pull(struct session *s)
{
    MT_CLEANUP(mt_buf_fini) struct mt_buf body = MT_BUF_INIT(4096);
    struct mt_model_card card;
    struct mt_str name;
    struct mt_err err = {0};

    if (named_model(s, &name, &err) != MT_OK || catalogue_one(s, name, &card, &err) != MT_OK) {
        session_fail_rc(s, &err);
        return;
    }
    mt_buf_add_cstr(&body, "{\"status\":\"success\"}\n");
    session_common_headers(s);
    s->is_answered = true;
    mt_http_answer(s->x, 200, "application/x-ndjson", mt_buf_str(&body));
}
