/* SPDX-License-Identifier: Apache-2.0 */
/* Writing the response object and its items: in the lifecycle events of a stream, and whole. */
#include <stdio.h>
#include <string.h>

#include "responses_priv.h"

enum { ID_MAX = 96, TEXT_FIRST = 256 };

bool mt_responses__text_add(struct mt_responses__text *text, struct mt_str more,
                            struct mt_arena *arena)
{
    if (more.len == 0)
        return true;
    if (text->cap - text->len < more.len) {
        size_t cap = text->cap == 0 ? TEXT_FIRST : text->cap * 2;
        while (cap - text->len < more.len && cap < SIZE_MAX / 4)
            cap *= 2;
        char *at = mt_arena_get(arena, cap, 1);
        if (at == NULL)
            return false;
        if (text->len > 0)
            memcpy(at, text->at, text->len);
        text->at = at;
        text->cap = cap;
    }
    memcpy(text->at + text->len, more.at, more.len);
    text->len += more.len;
    return true;
}

struct mt_str mt_responses__text_str(const struct mt_responses__text *text)
{
    return (struct mt_str){text->at, text->len};
}

void mt_responses__write_item_id(struct mt_jw *w, const struct mt_chat_reply *reply,
                                 const struct mt_responses__item *item)
{
    static const char *const prefixes[] = {[MT_RESPONSES_MESSAGE] = "msg",
                                           [MT_RESPONSES_REASONING] = "rs",
                                           [MT_RESPONSES_CALL] = "fc",
                                           [MT_RESPONSES_IMAGE] = "ig"};
    char id[ID_MAX];

    snprintf(id, sizeof id, "%s_%.*s%u", prefixes[item->kind], MT_STR_ARG(reply->id),
             item->index);
    mt_jw_cstr(w, id);
}

void mt_responses__write_content(struct mt_jw *w, const struct mt_responses__content *content,
                                 enum mt_responses__view view)
{
    bool is_done = view == MT_RESPONSES_AS_DONE;
    struct mt_str text = is_done ? mt_responses__text_str(&content->text) : MT_STR("");

    mt_jw_object(w);
    mt_jw_kcstr(w, "type", content->is_refusal ? "refusal" : "output_text");
    if (content->is_refusal) {
        mt_jw_kstr(w, "refusal", text);
    } else {
        mt_jw_key(w, "annotations"), mt_jw_array(w), mt_jw_end(w);
        mt_jw_key(w, "logprobs"), mt_jw_array(w);
        if (is_done && content->logprobs.len > 0)
            mt_jw_raw(w, mt_responses__text_str(&content->logprobs));
        mt_jw_end(w);
        mt_jw_kstr(w, "text", text);
    }
    mt_jw_end(w);
}

static void write_message(struct mt_jw *w, const struct mt_responses__item *item, bool is_done)
{
    mt_jw_kcstr(w, "role", "assistant");
    mt_jw_key(w, "content"), mt_jw_array(w);
    for (const struct mt_responses__content *c = item->contents; is_done && c != NULL;
         c = c->next)
        mt_responses__write_content(w, c, MT_RESPONSES_AS_DONE);
    mt_jw_end(w);
}

static void write_reasoning(struct mt_jw *w, const struct mt_responses__item *item,
                            bool is_done)
{
    mt_jw_key(w, "summary"), mt_jw_array(w);
    if (is_done && item->has_summary) {
        mt_jw_object(w);
        mt_jw_kcstr(w, "type", "summary_text");
        mt_jw_kstr(w, "text", mt_responses__text_str(&item->text));
        mt_jw_end(w);
    }
    mt_jw_end(w);
    if (is_done && item->signature.len > 0)
        mt_jw_kstr(w, "encrypted_content", item->signature);
}

static void write_call(struct mt_jw *w, const struct mt_responses__item *item, bool is_done)
{
    struct mt_str arguments = mt_responses__text_str(&item->text);

    mt_jw_kstr(w, "call_id", item->call_id);
    mt_jw_kstr(w, "name", item->name);
    if (is_done && arguments.len == 0)
        arguments = MT_STR("{}");
    mt_jw_kstr(w, "arguments", is_done ? arguments : MT_STR(""));
}

void mt_responses__write_item(struct mt_jw *w, const struct mt_chat_reply *reply,
                              const struct mt_responses__item *item,
                              enum mt_responses__view view)
{
    static const char *const types[] = {[MT_RESPONSES_MESSAGE] = "message",
                                        [MT_RESPONSES_REASONING] = "reasoning",
                                        [MT_RESPONSES_CALL] = "function_call",
                                        [MT_RESPONSES_IMAGE] = "image_generation_call"};
    bool is_done = view == MT_RESPONSES_AS_DONE;

    mt_jw_object(w);
    mt_jw_key(w, "id"), mt_responses__write_item_id(w, reply, item);
    mt_jw_kcstr(w, "type", types[item->kind]);
    mt_jw_kcstr(w, "status",
                !is_done              ? "in_progress"
                : item->is_incomplete ? "incomplete"
                                      : "completed");
    switch (item->kind) {
    case MT_RESPONSES_MESSAGE:
        write_message(w, item, is_done);
        break;
    case MT_RESPONSES_REASONING:
        write_reasoning(w, item, is_done);
        break;
    case MT_RESPONSES_CALL:
        write_call(w, item, is_done);
        break;
    case MT_RESPONSES_IMAGE:
        if (is_done)
            mt_jw_kstr(w, "result", mt_responses__text_str(&item->text));
        else
            mt_jw_kcstr(w, "result", NULL);
        break;
    }
    mt_jw_end(w);
}

const char *mt_responses__incomplete_reason(enum mt_finish finish)
{
    if (finish == MT_FINISH_LENGTH || finish == MT_FINISH_BUDGET)
        return "max_output_tokens";
    return finish == MT_FINISH_FILTER ? "content_filter" : NULL;
}

const char *mt_responses__error_code(const struct mt_chat_error *error)
{
    switch (error->kind) {
    case MT_CHAT_ERR_CONTEXT:
        return "context_length_exceeded";
    case MT_CHAT_ERR_INVALID:
    case MT_CHAT_ERR_UNSUPPORTED:
    case MT_CHAT_ERR_TOO_LARGE:
        return "invalid_prompt";
    case MT_CHAT_ERR_RATE_LIMIT:
        return "rate_limit_exceeded";
    case MT_CHAT_ERR_BUDGET:
        return "insufficient_quota";
    case MT_CHAT_ERR_AUTH:
    case MT_CHAT_ERR_PERMISSION:
    case MT_CHAT_ERR_NOT_FOUND:
    case MT_CHAT_ERR_CANCELED:
    case MT_CHAT_ERR_INTERNAL:
    case MT_CHAT_ERR_UPSTREAM:
    case MT_CHAT_ERR_OVERLOADED:
    case MT_CHAT_ERR_TIMEOUT:
        break;
    }
    return "server_error";
}

/* --- the request, told again --- */

static void echo_str(struct mt_jw *w, const char *key, struct mt_str text)
{
    mt_jw_key(w, key);
    if (text.len > 0)
        mt_jw_str(w, text);
    else
        mt_jw_null(w);
}

static void echo_f64(struct mt_jw *w, const char *key, struct mt_opt_f64 number, double usual)
{
    mt_jw_kf64(w, key, number.has ? number.value : usual);
}

static void echo_instructions(struct mt_jw *w, const struct mt_chat_request *r)
{
    const struct mt_chat_message *first = r->messages_n > 0 ? &r->messages[0] : NULL;
    bool is_there = r->dialect == MT_DIALECT_OPENAI_RESPONSES && first != NULL &&
                    first->role == MT_ROLE_SYSTEM && first->parts_n == 1;

    echo_str(w, "instructions", is_there ? first->parts[0].text : MT_STR(""));
}

static void echo_tools(struct mt_jw *w, const struct mt_chat_request *r)
{
    static const char *const words[] = {[MT_TOOLS_UNSAID] = "auto",
                                        [MT_TOOLS_AUTO] = "auto",
                                        [MT_TOOLS_NONE] = "none",
                                        [MT_TOOLS_REQUIRED] = "required"};

    mt_jw_key(w, "tools"), mt_jw_array(w);
    for (size_t i = 0; i < r->tools_n; i++) {
        const struct mt_chat_tool *tool = &r->tools[i];
        if (tool->hosted_type.len > 0) {
            mt_chat__write_object(w, tool->raw);
            continue;
        }
        mt_jw_object(w);
        mt_jw_kcstr(w, "type", "function");
        mt_jw_kstr(w, "name", tool->name);
        echo_str(w, "description", tool->description);
        mt_jw_key(w, "parameters");
        mt_chat__write_object(w, tool->schema_json);
        mt_jw_kbool(w, "strict", tool->strict == MT_YES);
        mt_jw_end(w);
    }
    mt_jw_end(w);
    mt_jw_key(w, "tool_choice");
    if (r->tool_choice != MT_TOOLS_NAMED) {
        mt_jw_cstr(w, words[r->tool_choice]);
        return;
    }
    mt_jw_object(w);
    mt_jw_kcstr(w, "type", "function");
    mt_jw_kstr(w, "name", r->tool_choice_name);
    mt_jw_end(w);
}

static void echo_text(struct mt_jw *w, const struct mt_chat_request *r)
{
    static const char *const types[] = {[MT_FORMAT_TEXT] = "text",
                                        [MT_FORMAT_JSON] = "json_object",
                                        [MT_FORMAT_SCHEMA] = "json_schema"};

    mt_jw_key(w, "text"), mt_jw_object(w);
    mt_jw_key(w, "format"), mt_jw_object(w);
    mt_jw_kcstr(w, "type", types[r->format]);
    if (r->format == MT_FORMAT_SCHEMA) {
        mt_jw_kstr(w, "name", r->schema_name);
        mt_jw_key(w, "schema");
        mt_chat__write_object(w, r->schema_json);
        mt_jw_kbool(w, "strict", r->schema_strict == MT_YES);
    }
    mt_jw_end(w);
    mt_jw_end(w);
}

static void echo_settings(struct mt_jw *w, const struct mt_chat_reply *reply)
{
    const struct mt_chat_request *r = reply->request;

    mt_jw_key(w, "max_output_tokens");
    if (r->max_tokens.has)
        mt_jw_i64(w, r->max_tokens.value);
    else
        mt_jw_null(w);
    mt_jw_kbool(w, "parallel_tool_calls", r->parallel_tools != MT_NO);
    echo_str(w, "previous_response_id", reply->previous_response_id);
    mt_jw_key(w, "reasoning"), mt_jw_object(w);
    mt_jw_kcstr(w, "effort", mt_chat__effort_name(r->effort));
    mt_jw_kcstr(w, "summary", r->include_reasoning == MT_YES ? "auto" : NULL);
    mt_jw_end(w);
    mt_jw_kbool(w, "store", reply->is_stored);
    echo_f64(w, "temperature", r->sampling.temperature, 1);
    echo_text(w, r);
    echo_tools(w, r);
    mt_jw_ki64(w, "top_logprobs", (int64_t)r->top_logprobs);
    echo_f64(w, "top_p", r->sampling.top_p, 1);
    mt_jw_kcstr(w, "truncation", "disabled");
    mt_jw_kbool(w, "background", false);
    mt_jw_kcstr(w, "service_tier", "default");
    echo_str(w, "user", r->user);
    mt_jw_key(w, "metadata");
    mt_chat__write_object(w, r->metadata_json);
}

static void write_usage(struct mt_jw *w, const struct mt_usage *usage)
{
    mt_jw_key(w, "usage");
    if (usage == NULL) {
        mt_jw_null(w);
        return;
    }
    mt_jw_object(w);
    mt_jw_ki64(w, "input_tokens", usage->input_tokens);
    mt_jw_key(w, "input_tokens_details"), mt_jw_object(w);
    mt_jw_ki64(w, "cached_tokens", usage->cached_tokens);
    mt_jw_end(w);
    mt_jw_ki64(w, "output_tokens", usage->output_tokens);
    mt_jw_key(w, "output_tokens_details"), mt_jw_object(w);
    mt_jw_ki64(w, "reasoning_tokens", usage->reasoning_tokens);
    mt_jw_end(w);
    mt_jw_ki64(w, "total_tokens", usage->input_tokens + usage->output_tokens);
    mt_jw_end(w);
}

static void write_why(struct mt_jw *w, const struct mt_responses__outcome *outcome)
{
    mt_jw_key(w, "error");
    if (outcome->error != NULL) {
        mt_jw_object(w);
        mt_jw_kcstr(w, "code", mt_responses__error_code(outcome->error));
        mt_jw_kstr(w, "message", outcome->error->message);
        mt_jw_end(w);
    } else {
        mt_jw_null(w);
    }
    mt_jw_key(w, "incomplete_details");
    if (outcome->reason != NULL) {
        mt_jw_object(w);
        mt_jw_kcstr(w, "reason", outcome->reason);
        mt_jw_end(w);
    } else {
        mt_jw_null(w);
    }
}

void mt_responses__write_response(struct mt_jw *w, const struct mt_chat_reply *reply,
                                  const struct mt_responses__outcome *outcome)
{
    char id[ID_MAX];

    snprintf(id, sizeof id, "resp_%.*s", MT_STR_ARG(reply->id));
    mt_jw_object(w);
    mt_jw_kcstr(w, "id", id);
    mt_jw_kcstr(w, "object", "response");
    mt_jw_ki64(w, "created_at", reply->created_at_s);
    mt_jw_kcstr(w, "status", outcome->status);
    write_why(w, outcome);
    echo_instructions(w, reply->request);
    mt_jw_kstr(w, "model", reply->model);
    mt_jw_key(w, "output"), mt_jw_array(w);
    if (outcome->write_output != NULL)
        outcome->write_output(outcome->ctx);
    for (const struct mt_responses__item *i = outcome->items; i != NULL; i = i->next)
        mt_responses__write_item(w, reply, i, MT_RESPONSES_AS_DONE);
    mt_jw_end(w);
    echo_settings(w, reply);
    write_usage(w, outcome->usage);
    mt_jw_end(w);
}
