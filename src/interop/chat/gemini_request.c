/* SPDX-License-Identifier: Apache-2.0 */
/* Bodies of generateContent, streamGenerateContent and countTokens, read. */
#include "gemini_priv.h"

static const char *const known[] = {"contents",
                                    "systemInstruction",
                                    "system_instruction",
                                    "tools",
                                    "toolConfig",
                                    "tool_config",
                                    "generationConfig",
                                    "generation_config",
                                    "labels",
                                    "model",
                                    "serviceTier",
                                    "service_tier",
                                    NULL};

/* "models/" in front of names is the API's habit, not part of the name. */
static struct mt_str bare_model(struct mt_str name)
{
    static const struct mt_str prefix = MT_STR_INIT("models/");

    return mt_str_starts(name, prefix) ? mt_str_sub(name, prefix.len, name.len) : name;
}

mt_rc mt_gemini__decode_request(const struct mt_json *body, const struct mt_chat_route *route,
                                struct mt_chat_request *out, struct mt_err *err)
{
    if (mt_json_type(body) != MT_JSON_OBJECT)
        return mt_chat__expected(body, "body", "an object", err);
    out->dialect = MT_DIALECT_GEMINI;
    out->kind = MT_CHAT_CONVERSATION;
    out->stream = route->stream;
    out->model = route->model;
    if (out->model.len == 0)
        MT_TRY(mt_chat__str(body, "", "model", out->arena, &out->model, err));
    out->model = bare_model(out->model);
    if (mt_json_type(mt_gemini__get(body, "cachedContent")) > MT_JSON_NULL)
        return MT_FAIL(err, MT_E_UNSUPPORTED,
                       "cachedContent: content kept by the provider cannot be translated");
    MT_TRY(mt_gemini__read_contents(body, out, err));
    MT_TRY(mt_gemini__read_tools(body, out, err));
    MT_TRY(mt_gemini__read_config(body, out, err));
    MT_TRY(mt_gemini__str(body, "", "serviceTier", out->arena, &out->service_tier, err));
    MT_TRY(mt_chat__raw(body, "", "labels", MT_JSON_OBJECT, &out->metadata_json, err));
    MT_TRY(mt_chat__raw(body, "", "motet", MT_JSON_OBJECT, &out->motet_json, err));
    return mt_chat__extras(body, "", known, out, err);
}

mt_rc mt_gemini_decode_count(const struct mt_json *body, const struct mt_chat_route *route,
                             struct mt_chat_request *out, struct mt_err *err)
{
    const struct mt_json *inner = mt_gemini__get(body, "generateContentRequest");

    if (mt_json_type(inner) <= MT_JSON_NULL)
        return mt_gemini__decode_request(body, route, out, err);
    mt_rc rc = mt_gemini__decode_request(inner, route, out, err);
    return rc < 0 ? mt_chat__within(err, rc, "generateContentRequest") : MT_OK;
}
