/* SPDX-License-Identifier: Apache-2.0 */
/* The request to an Ollama endpoint: conversations to /api/chat, prompts without a chat
 * template to /api/generate. */
#include "calls.h"
#include "ollama_priv.h"

/* Where in the request we are, for words. */
struct writer {
    const struct mt_chat_request *request;
    struct mt_jw *w;
    struct mt_chat__calls *calls;
    struct mt_chat_notes *notes;
    struct mt_err *err;
    size_t message;
};

static const char *role_name(enum mt_chat_role role)
{
    switch (role) {
    case MT_ROLE_SYSTEM:
    case MT_ROLE_DEVELOPER:
        return "system";
    case MT_ROLE_ASSISTANT:
        return "assistant";
    case MT_ROLE_TOOL:
        return "tool";
    case MT_ROLE_USER:
        return "user";
    }
    return "user";
}

static const char *media_name(enum mt_chat_part_kind kind)
{
    return kind == MT_PART_IMAGE ? "image" : kind == MT_PART_AUDIO ? "audio" : "file";
}

/* Only pictures, and only as bytes, have a place. */
static mt_rc check_media(const struct writer *u, const struct mt_chat_part *parts, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const struct mt_chat_part *part = &parts[i];
        if (part->kind == MT_PART_AUDIO || part->kind == MT_PART_FILE)
            return MT_FAIL(u->err, MT_E_UNSUPPORTED, "messages[%zu]: ollama takes no %s parts",
                           u->message, media_name(part->kind));
        if (part->kind == MT_PART_IMAGE && part->media.base64.len == 0)
            return MT_FAIL(u->err, MT_E_UNSUPPORTED,
                           "messages[%zu]: image by %s: ollama takes only base64 data",
                           u->message, part->media.url.len > 0 ? "URL" : "file id");
    }
    return MT_OK;
}

static mt_rc write_content(const struct writer *u, const struct mt_chat_part *parts, size_t n)
{
    struct mt_str text = mt_chat__join_text(parts, n, "\n", u->request->arena);
    bool has_images = false;

    MT_TRY(check_media(u, parts, n));
    if (text.at == NULL)
        return mt_arena_fail(u->request->arena, u->err);
    mt_jw_kstr(u->w, "content", text);
    for (size_t i = 0; i < n; i++) {
        if (parts[i].kind != MT_PART_IMAGE)
            continue;
        if (!has_images) {
            mt_jw_key(u->w, "images");
            mt_jw_array(u->w);
        }
        has_images = true;
        mt_jw_str(u->w, parts[i].media.base64);
    }
    if (has_images)
        mt_jw_end(u->w);
    return MT_OK;
}

static mt_rc write_result(const struct writer *u, const struct mt_chat_part *part)
{
    struct mt_chat_part result = *part;

    MT_TRY(mt_chat__calls_answer(u->calls, u->request->arena, &result, u->err));
    mt_jw_object(u->w);
    mt_jw_kcstr(u->w, "role", "tool");
    MT_TRY(write_content(u, part->parts, part->parts_n));
    if (result.name.len > 0)
        mt_jw_kstr(u->w, "tool_name", result.name);
    mt_jw_kstr(u->w, "tool_call_id", result.id);
    mt_jw_end(u->w);
    return MT_OK;
}

static mt_rc write_call(const struct writer *u, const struct mt_chat_part *part)
{
    struct mt_chat_part call = *part;

    MT_TRY(mt_chat__calls_add(u->calls, u->request->arena, &call, u->err));
    mt_jw_object(u->w);
    mt_jw_kstr(u->w, "id", call.id);
    mt_jw_key(u->w, "function");
    mt_jw_object(u->w);
    mt_jw_kstr(u->w, "name", call.name);
    mt_jw_key(u->w, "arguments");
    mt_chat__write_object(u->w, call.json);
    mt_jw_end(u->w);
    mt_jw_end(u->w);
    return MT_OK;
}

static mt_rc write_calls(const struct writer *u, const struct mt_chat_message *message)
{
    bool has_calls = false;

    for (size_t i = 0; i < message->parts_n; i++) {
        if (message->parts[i].kind != MT_PART_TOOL_CALL)
            continue;
        if (!has_calls) {
            mt_jw_key(u->w, "tool_calls");
            mt_jw_array(u->w);
        }
        has_calls = true;
        MT_TRY(write_call(u, &message->parts[i]));
    }
    if (has_calls)
        mt_jw_end(u->w);
    return MT_OK;
}

static void write_thinking(const struct writer *u, const struct mt_chat_message *message)
{
    bool has_text = false;

    for (size_t i = 0; i < message->parts_n; i++) {
        const struct mt_chat_part *part = &message->parts[i];
        if (part->kind != MT_PART_REASONING)
            continue;
        if (part->is_redacted || part->text.len == 0) {
            mt_chat_note(u->notes, "messages[%zu]: hidden reasoning is not sent to ollama",
                         u->message);
            continue;
        }
        if (!has_text) {
            mt_jw_key(u->w, "thinking");
            mt_jw_raw(u->w, MT_STR("\""));
        }
        has_text = true;
        mt_json_escape(u->w->buf, part->text);
    }
    if (has_text)
        mt_buf_add_char(u->w->buf, '"');
}

static size_t results_of(const struct mt_chat_message *message)
{
    size_t n = 0;

    for (size_t i = 0; i < message->parts_n; i++)
        n += message->parts[i].kind == MT_PART_TOOL_RESULT;
    return n;
}

/* Results are messages of their own, in front of what else the message says. */
static mt_rc write_message(const struct writer *u, const struct mt_chat_message *message)
{
    size_t results_n = results_of(message);

    for (size_t i = 0; i < message->parts_n; i++)
        if (message->parts[i].kind == MT_PART_TOOL_RESULT)
            MT_TRY(write_result(u, &message->parts[i]));
    if (results_n > 0 && results_n == message->parts_n)
        return MT_OK;
    mt_jw_object(u->w);
    mt_jw_kcstr(u->w, "role",
                results_n > 0 && message->role == MT_ROLE_TOOL ? "user"
                                                               : role_name(message->role));
    MT_TRY(write_content(u, message->parts, message->parts_n));
    write_thinking(u, message);
    MT_TRY(write_calls(u, message));
    mt_jw_end(u->w);
    return MT_OK;
}

static mt_rc write_messages(const struct mt_chat_request *request, struct mt_jw *w,
                            struct mt_chat_notes *notes, struct mt_err *err)
{
    struct writer u = {.request = request, .w = w, .notes = notes, .err = err};

    u.calls = mt_arena_get(request->arena, 1, sizeof *u.calls);
    if (u.calls == NULL)
        return mt_arena_fail(request->arena, err);
    mt_jw_key(w, "messages");
    mt_jw_array(w);
    for (; u.message < request->messages_n; u.message++)
        MT_TRY(write_message(&u, &request->messages[u.message]));
    mt_jw_end(w);
    return MT_OK;
}

static void write_tools(const struct mt_chat_request *request, struct mt_jw *w)
{
    if (request->tools_n == 0 || request->tool_choice == MT_TOOLS_NONE)
        return; /* a model that sees no tools calls none */
    mt_jw_key(w, "tools");
    mt_jw_array(w);
    for (size_t i = 0; i < request->tools_n; i++) {
        const struct mt_chat_tool *tool = &request->tools[i];
        mt_jw_object(w);
        mt_jw_kcstr(w, "type", "function");
        mt_jw_key(w, "function");
        mt_jw_object(w);
        mt_jw_kstr(w, "name", tool->name);
        mt_jw_kstr(w, "description", tool->description);
        mt_jw_kraw(w, "parameters",
                   tool->schema_json.len > 0
                       ? tool->schema_json
                       : MT_STR("{\"type\":\"object\",\"properties\":{}}"));
        mt_jw_end(w);
        mt_jw_end(w);
    }
    mt_jw_end(w);
}

/* What would change the answer is refused. */
static mt_rc check(const struct mt_chat_request *request, struct mt_err *err)
{
    if (request->n > 1)
        return MT_FAIL(err, MT_E_UNSUPPORTED, "n: ollama gives one choice, %u were asked for",
                       request->n);
    if (request->tools_n > 0 &&
        (request->tool_choice == MT_TOOLS_REQUIRED || request->tool_choice == MT_TOOLS_NAMED))
        return MT_FAIL(err, MT_E_UNSUPPORTED,
                       "tool_choice: ollama cannot be made to call a tool");
    for (size_t i = 0; i < request->tools_n; i++)
        if (request->tools[i].hosted_type.len > 0)
            return MT_FAIL(err, MT_E_UNSUPPORTED, "tools[%zu]: ollama does not run '%.*s'", i,
                           MT_STR_ARG(request->tools[i].hosted_type));
    if (request->echo)
        return MT_FAIL(err, MT_E_UNSUPPORTED, "echo: ollama does not repeat the prompt");
    if (request->kind == MT_CHAT_COMPLETION && !request->is_load_only &&
        request->prompts_n != 1)
        return MT_FAIL(err, MT_E_UNSUPPORTED, "prompt: ollama takes one, %zu were given",
                       request->prompts_n);
    return MT_OK;
}

/* What only tunes is noted. */
static void note_losses(const struct mt_chat_request *request, struct mt_chat_notes *notes)
{
    const struct {
        bool is_said;
        const char *name;
    } losses[] = {
        {request->sampling.logit_bias_json.len > 0, "logit_bias"},
        {request->parallel_tools == MT_NO, "parallel_tool_calls"},
        {request->user.len > 0, "user"},
        {request->metadata_json.len > 0, "metadata"},
        {request->service_tier.len > 0, "service_tier"},
    };

    for (size_t i = 0; i < MT_ARRAY_LEN(losses); i++)
        if (losses[i].is_said)
            mt_chat_note(notes, "%s: not known to ollama", losses[i].name);
    mt_chat__note_marks(request, MT_CHAT_MARK_NAME | MT_CHAT_MARK_CACHE | MT_CHAT_MARK_FAILED,
                        "ollama", notes);
}

static void write_prompt(const struct mt_chat_request *request, struct mt_jw *w)
{
    mt_jw_kstr(w, "prompt", request->prompts[0]);
    if (request->suffix.len > 0)
        mt_jw_kstr(w, "suffix", request->suffix);
    /* A gap is marked by the model's own template, anything else goes in as it stands. */
    mt_jw_kbool(w, "raw", request->raw_prompt || request->suffix.len == 0);
}

mt_rc mt_ollama__encode_request(const struct mt_chat_request *request, struct mt_str model,
                                struct mt_buf *body, struct mt_buf *path,
                                struct mt_chat_notes *notes, struct mt_err *err)
{
    bool is_prompt = request->kind == MT_CHAT_COMPLETION && !request->is_load_only;
    struct mt_jw w;

    MT_TRY(check(request, err));
    note_losses(request, notes);
    mt_buf_add_cstr(path, is_prompt ? "/api/generate" : "/api/chat");
    mt_jw_begin(&w, body);
    mt_jw_object(&w);
    mt_jw_kstr(&w, "model", model);
    if (is_prompt)
        write_prompt(request, &w);
    else
        MT_TRY(write_messages(request, &w, notes, err));
    write_tools(request, &w);
    mt_ollama__write_settings(request, &w, notes);
    mt_jw_end(&w);
    MT_TRY(mt_buf_check(path, "path", err));
    return mt_buf_check(body, "request body", err);
}
