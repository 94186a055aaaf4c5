/* SPDX-License-Identifier: Apache-2.0 */
/* Bodies of POST /api/chat and POST /api/generate, read. */
#include "ollama_priv.h"

static const char *const known_chat[] = {"model",    "messages",     "stream",     "format",
                                         "options",  "think",        "keep_alive", "tools",
                                         "logprobs", "top_logprobs", NULL};

static const char *const known_generate[] = {
    "model",  "prompt",  "suffix", "system",     "raw",      "context",      "images", "stream",
    "format", "options", "think",  "keep_alive", "logprobs", "top_logprobs", NULL};

static mt_rc read_motet(const struct mt_json *body, struct mt_chat_request *out,
                        struct mt_err *err)
{
    return mt_chat__raw(body, "", "motet", MT_JSON_OBJECT, &out->motet_json, err);
}

mt_rc mt_ollama__decode_chat(const struct mt_json *body, const struct mt_chat_route *route,
                             struct mt_chat_request *out, struct mt_err *err)
{
    (void)route;
    out->dialect = MT_DIALECT_OLLAMA_CHAT;
    out->kind = MT_CHAT_CONVERSATION;
    MT_TRY(mt_ollama__read_settings(body, out, err));
    MT_TRY(mt_ollama__read_tools(mt_json_get(body, "tools"), out, err));
    MT_TRY(mt_ollama__read_messages(mt_json_get(body, "messages"), out, err));
    out->is_load_only = out->messages_n == 0;
    MT_TRY(read_motet(body, out, err));
    return mt_chat__extras(body, "", known_chat, out, err);
}

/* What a generate body asks with. */
struct question {
    struct mt_str prompt, suffix, system;
    const struct mt_json *images;
    bool is_raw;
};

static mt_rc read_question(const struct mt_json *body, struct mt_arena *arena,
                           struct question *out, struct mt_err *err)
{
    out->images = mt_json_get(body, "images");
    MT_TRY(mt_chat__str(body, "", "prompt", arena, &out->prompt, err));
    MT_TRY(mt_chat__str(body, "", "suffix", arena, &out->suffix, err));
    MT_TRY(mt_chat__str(body, "", "system", arena, &out->system, err));
    MT_TRY(mt_chat__bool(body, "", "raw", &out->is_raw, err));
    if (mt_json_type(out->images) > MT_JSON_NULL && mt_json_type(out->images) != MT_JSON_ARRAY)
        return mt_chat__expected(out->images, "images", "an array", err);
    if (mt_json_count(mt_json_get(body, "context")) > 0)
        return MT_FAIL(err, MT_E_INVALID,
                       "context: token lists of earlier answers are not kept; send the "
                       "conversation as messages to /api/chat");
    if (mt_json_count(out->images) > MT_CHAT_PARTS_MAX - 1)
        return MT_FAIL(err, MT_E_TOOBIG, "images: expected at most %d, found %zu",
                       MT_CHAT_PARTS_MAX - 1, mt_json_count(out->images));
    return MT_OK;
}

/* Raw prompts and gaps to fill are continued as they stand. */
static mt_rc ask_completion(const struct question *question, struct mt_chat_request *out,
                            struct mt_err *err)
{
    const char *mode = question->is_raw ? "raw" : "suffix";

    if (question->system.len > 0)
        return MT_FAIL(err, MT_E_INVALID, "system: cannot be combined with %s", mode);
    if (mt_json_count(question->images) > 0)
        return MT_FAIL(err, MT_E_INVALID, "images: cannot be combined with %s", mode);
    out->prompts = mt_arena_get(out->arena, 1, sizeof *out->prompts);
    if (out->prompts == NULL)
        return mt_arena_fail(out->arena, err);
    out->kind = MT_CHAT_COMPLETION;
    out->prompts[0] = question->prompt;
    out->prompts_n = 1;
    out->suffix = question->suffix;
    out->raw_prompt = question->is_raw;
    return MT_OK;
}

static mt_rc add_text(struct mt_chat_request *out, enum mt_chat_role role, struct mt_str text,
                      size_t parts_max, struct mt_err *err)
{
    struct mt_chat_message *message = &out->messages[out->messages_n];

    message->role = role;
    message->parts = mt_arena_get(out->arena, parts_max, sizeof *message->parts);
    if (message->parts == NULL)
        return mt_arena_fail(out->arena, err);
    message->parts[message->parts_n++] =
        (struct mt_chat_part){.kind = MT_PART_TEXT, .text = text};
    out->messages_n++;
    return MT_OK;
}

static mt_rc ask_conversation(const struct question *question, struct mt_chat_request *out,
                              struct mt_err *err)
{
    out->messages = mt_arena_get(out->arena, 2, sizeof *out->messages);
    if (out->messages == NULL)
        return mt_arena_fail(out->arena, err);
    if (question->system.len > 0)
        MT_TRY(add_text(out, MT_ROLE_SYSTEM, question->system, 1, err));
    MT_TRY(add_text(out, MT_ROLE_USER, question->prompt, 1 + mt_json_count(question->images),
                    err));
    struct mt_chat_message *user = &out->messages[out->messages_n - 1];
    return mt_ollama__read_images(question->images, out->arena, user->parts, &user->parts_n,
                                  err);
}

mt_rc mt_ollama__decode_generate(const struct mt_json *body, const struct mt_chat_route *route,
                                 struct mt_chat_request *out, struct mt_err *err)
{
    struct question question = {0};

    (void)route;
    out->dialect = MT_DIALECT_OLLAMA_GENERATE;
    MT_TRY(mt_ollama__read_settings(body, out, err));
    MT_TRY(read_question(body, out->arena, &question, err));
    out->is_load_only = question.prompt.len == 0 && question.suffix.len == 0 &&
                        mt_json_count(question.images) == 0;
    if (!out->is_load_only && (question.is_raw || question.suffix.len > 0))
        MT_TRY(ask_completion(&question, out, err));
    else if (!out->is_load_only)
        MT_TRY(ask_conversation(&question, out, err));
    MT_TRY(read_motet(body, out, err));
    return mt_chat__extras(body, "", known_generate, out, err);
}
