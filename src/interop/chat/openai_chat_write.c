/* SPDX-License-Identifier: Apache-2.0 */
/* The body of POST /v1/chat/completions, written for an endpoint: only what OpenAI, vLLM and
 * llama-server all take, and nothing that was not said.
 *
 * Reasoning of earlier turns is not sent: OpenAI refuses the field, DeepSeek answers 400, and
 * templates of open models cut it anyway; a note says so. Images in tool results, which a tool
 * message cannot hold, follow in a user message of their own. */
#include "openai_priv.h"

struct writing {
    const struct mt_chat_request *q;
    struct mt_jw *w;
    struct mt_chat_notes *notes;
    struct mt_err *err;
    unsigned calls_n;   /* tool calls without an id so far, */
    unsigned results_n; /* and results: the k-th belongs to the k-th */
};

static mt_rc refuse(const struct writing *o, size_t message, const char *what)
{
    return MT_FAIL(o->err, MT_E_UNSUPPORTED, "messages[%zu]: %s cannot be sent to openai",
                   message, what);
}

static void write_id(struct writing *o, struct mt_str id, unsigned *counter)
{
    if (id.len > 0) {
        mt_jw_str(o->w, id);
        return;
    }
    mt_openai__open_text(o->w);
    mt_buf_addf(o->w->buf, "call_%u", (*counter)++);
    mt_openai__close_text(o->w);
}

static void open_part(struct writing *o, const char *type)
{
    mt_jw_object(o->w);
    mt_jw_kcstr(o->w, "type", type);
    mt_jw_key(o->w, type);
}

static void close_part(struct writing *o, const struct mt_chat_part *part)
{
    if (part->cache_control.len > 0 && mt_openai__is_own(o->q))
        mt_jw_kraw(o->w, "cache_control", part->cache_control);
    else if (part->cache_control.len > 0)
        mt_chat_note(o->notes, "cache_control: not carried to openai");
    mt_jw_end(o->w);
}

static mt_rc write_image(struct writing *o, size_t message, const struct mt_chat_part *part)
{
    const struct mt_chat_media *media = &part->media;

    if (media->url.len == 0 && media->base64.len == 0)
        return refuse(o, message, "an image by its file id");
    open_part(o, "image_url");
    mt_jw_object(o->w);
    mt_jw_key(o->w, "url");
    if (media->base64.len > 0)
        mt_openai__data_url(o->w, mt_chat__image_mime(media), media->base64);
    else
        mt_jw_str(o->w, media->url);
    if (media->detail.len > 0)
        mt_jw_kstr(o->w, "detail", media->detail);
    mt_jw_end(o->w);
    close_part(o, part);
    return MT_OK;
}

static mt_rc write_audio(struct writing *o, size_t message, const struct mt_chat_part *part)
{
    struct mt_str format = part->media.mime;

    if (part->media.base64.len == 0)
        return refuse(o, message, "audio by its URL");
    (void)mt_str_take(&format, '/');
    if (mt_str_is(format, "mpeg"))
        format = MT_STR("mp3");
    else if (mt_str_is(format, "x-wav") || mt_str_is(format, "wave") || format.len == 0)
        format = MT_STR("wav");
    open_part(o, "input_audio");
    mt_jw_object(o->w);
    mt_jw_kstr(o->w, "data", part->media.base64);
    mt_jw_kstr(o->w, "format", format);
    mt_jw_end(o->w);
    close_part(o, part);
    return MT_OK;
}

static mt_rc write_file(struct writing *o, size_t message, const struct mt_chat_part *part)
{
    const struct mt_chat_media *media = &part->media;

    if (media->base64.len == 0 && media->file_id.len == 0)
        return refuse(o, message, "a file by its URL");
    open_part(o, "file");
    mt_jw_object(o->w);
    if (media->file_id.len > 0)
        mt_jw_kstr(o->w, "file_id", media->file_id);
    if (media->base64.len > 0) {
        mt_jw_kstr(o->w, "filename", media->name.len > 0 ? media->name : MT_STR("file"));
        mt_jw_key(o->w, "file_data");
        mt_openai__data_url(
            o->w, media->mime.len > 0 ? media->mime : MT_STR("application/octet-stream"),
            media->base64);
    }
    mt_jw_end(o->w);
    close_part(o, part);
    return MT_OK;
}

static mt_rc write_part(struct writing *o, size_t message, const struct mt_chat_part *part)
{
    switch (part->kind) {
    case MT_PART_TEXT:
        open_part(o, "text");
        mt_jw_str(o->w, part->text);
        close_part(o, part);
        return MT_OK;
    case MT_PART_IMAGE:
        return write_image(o, message, part);
    case MT_PART_AUDIO:
        return write_audio(o, message, part);
    case MT_PART_FILE:
        return write_file(o, message, part);
    case MT_PART_REASONING:
    case MT_PART_REFUSAL:
    case MT_PART_TOOL_CALL:
    case MT_PART_TOOL_RESULT:
        break;
    }
    return MT_OK;
}

static bool is_content(const struct mt_chat_part *part)
{
    return part->kind == MT_PART_TEXT || part->kind == MT_PART_IMAGE ||
           part->kind == MT_PART_AUDIO || part->kind == MT_PART_FILE;
}

static size_t count_content(const struct mt_chat_part *parts, size_t n)
{
    size_t count = 0;

    for (size_t i = 0; i < n; i++)
        count += is_content(&parts[i]);
    return count;
}

/* "content": a string when it is one text, which every endpoint takes; else an array. */
static mt_rc write_content(struct writing *o, size_t message, const struct mt_chat_part *parts,
                           size_t n)
{
    size_t count = count_content(parts, n);
    size_t first = 0;

    while (first < n && !is_content(&parts[first]))
        first++;
    mt_jw_key(o->w, "content");
    if (count == 0) {
        mt_jw_str(o->w, MT_STR(""));
        return MT_OK;
    }
    if (count == 1 && parts[first].kind == MT_PART_TEXT &&
        parts[first].cache_control.len == 0) {
        mt_jw_str(o->w, parts[first].text);
        return MT_OK;
    }
    mt_jw_array(o->w);
    for (size_t i = first; i < n; i++)
        MT_TRY(write_part(o, message, &parts[i]));
    mt_jw_end(o->w);
    return MT_OK;
}

static void open_message(struct writing *o, const char *role, struct mt_str name)
{
    mt_jw_object(o->w);
    mt_jw_kcstr(o->w, "role", role);
    if (name.len > 0)
        mt_jw_kstr(o->w, "name", name);
}

static void write_call(struct writing *o, const struct mt_chat_part *call)
{
    if (call->signature.len > 0)
        mt_chat_note(o->notes, "signature of a tool call: not carried to openai");
    mt_jw_object(o->w);
    mt_jw_key(o->w, "id");
    write_id(o, call->id, &o->calls_n);
    mt_jw_kcstr(o->w, "type", "function");
    mt_jw_key(o->w, "function");
    mt_jw_object(o->w);
    mt_jw_kstr(o->w, "name", call->name);
    mt_jw_kstr(o->w, "arguments", call->json.len > 0 ? call->json : MT_STR("{}"));
    mt_jw_end(o->w);
    mt_jw_end(o->w);
}

static void write_calls(struct writing *o, const struct mt_chat_message *message)
{
    bool is_open = false;

    for (size_t i = 0; i < message->parts_n; i++) {
        if (message->parts[i].kind != MT_PART_TOOL_CALL)
            continue;
        if (!is_open) {
            mt_jw_key(o->w, "tool_calls");
            mt_jw_array(o->w);
            is_open = true;
        }
        write_call(o, &message->parts[i]);
    }
    if (is_open)
        mt_jw_end(o->w);
}

static mt_rc write_assistant(struct writing *o, size_t index)
{
    const struct mt_chat_message *message = &o->q->messages[index];
    const struct mt_chat_part *refusal = NULL;
    bool has_calls = false;

    for (size_t i = 0; i < message->parts_n; i++) {
        const struct mt_chat_part *part = &message->parts[i];
        has_calls |= part->kind == MT_PART_TOOL_CALL;
        if (part->kind == MT_PART_REFUSAL)
            refusal = part;
        else if (part->kind == MT_PART_REASONING)
            mt_chat_note(o->notes, "reasoning of earlier turns: not carried to openai");
        else if (is_content(part) && part->kind != MT_PART_TEXT)
            return refuse(o, index, "media in an assistant message");
    }
    open_message(o, "assistant", message->name);
    if (count_content(message->parts, message->parts_n) > 0 || (!has_calls && refusal == NULL))
        MT_TRY(write_content(o, index, message->parts, message->parts_n));
    if (refusal != NULL)
        mt_jw_kstr(o->w, "refusal", refusal->text);
    write_calls(o, message);
    mt_jw_end(o->w);
    return MT_OK;
}

/* Only text fits into a tool message; what else it holds is counted. */
static mt_rc write_result(struct writing *o, size_t index, const struct mt_chat_part *result,
                          size_t *media_n)
{
    struct mt_str text = mt_chat__join_text(result->parts, result->parts_n, "\n", o->q->arena);

    if (text.at == NULL)
        return mt_arena_fail(o->q->arena, o->err);
    if (result->is_error)
        mt_chat_note(o->notes, "mark of failed tool results: not carried to openai");
    open_message(o, "tool", (struct mt_str){NULL, 0});
    mt_jw_key(o->w, "tool_call_id");
    write_id(o, result->id, &o->results_n);
    mt_jw_kstr(o->w, "content", text);
    mt_jw_end(o->w);
    for (size_t i = 0; i < result->parts_n; i++) {
        if (result->parts[i].kind == MT_PART_TEXT)
            continue;
        if (!is_content(&result->parts[i]))
            return refuse(o, index, "a tool result of this kind");
        (*media_n)++;
    }
    return MT_OK;
}

static mt_rc write_result_media(struct writing *o, size_t index,
                                const struct mt_chat_message *message)
{
    for (size_t i = 0; i < message->parts_n; i++) {
        const struct mt_chat_part *part = &message->parts[i];
        for (size_t j = 0; part->kind == MT_PART_TOOL_RESULT && j < part->parts_n; j++) {
            if (part->parts[j].kind != MT_PART_TEXT)
                MT_TRY(write_part(o, index, &part->parts[j]));
        }
    }
    return MT_OK;
}

/* A user's or tool's message: its tool results first, each a message of its own; then the rest.
 */
static mt_rc write_user(struct writing *o, size_t index)
{
    const struct mt_chat_message *message = &o->q->messages[index];
    size_t content_n = count_content(message->parts, message->parts_n);
    size_t results_n = 0;
    size_t media_n = 0;

    for (size_t i = 0; i < message->parts_n; i++) {
        if (message->parts[i].kind != MT_PART_TOOL_RESULT)
            continue;
        results_n++;
        MT_TRY(write_result(o, index, &message->parts[i], &media_n));
    }
    if (media_n == 0 && content_n == 0 && results_n > 0)
        return MT_OK;
    open_message(o, "user", message->name);
    if (media_n == 0) {
        MT_TRY(write_content(o, index, message->parts, message->parts_n));
    } else {
        mt_chat_note(o->notes, "media of tool results: sent in a user message");
        mt_jw_key(o->w, "content");
        mt_jw_array(o->w);
        MT_TRY(write_result_media(o, index, message));
        for (size_t i = 0; i < message->parts_n; i++)
            MT_TRY(write_part(o, index, &message->parts[i]));
        mt_jw_end(o->w);
    }
    mt_jw_end(o->w);
    return MT_OK;
}

static mt_rc write_system(struct writing *o, size_t index)
{
    const struct mt_chat_message *message = &o->q->messages[index];

    for (size_t i = 0; i < message->parts_n; i++) {
        if (is_content(&message->parts[i]) && message->parts[i].kind != MT_PART_TEXT)
            return refuse(o, index, "media in a system message");
    }
    open_message(o, "system", message->name);
    MT_TRY(write_content(o, index, message->parts, message->parts_n));
    mt_jw_end(o->w);
    return MT_OK;
}

static mt_rc write_message(struct writing *o, size_t index)
{
    switch (o->q->messages[index].role) {
    case MT_ROLE_DEVELOPER: /* OpenAI takes both words for it, its relatives only this one */
    case MT_ROLE_SYSTEM:
        return write_system(o, index);
    case MT_ROLE_ASSISTANT:
        return write_assistant(o, index);
    case MT_ROLE_USER:
    case MT_ROLE_TOOL:
        return write_user(o, index);
    }
    return MT_OK;
}

/* A prompt to continue becomes what a user says: the nearest thing a chat has. */
static mt_rc write_prompt(struct writing *o)
{
    if (o->q->suffix.len > 0)
        return MT_FAIL(o->err, MT_E_UNSUPPORTED, "suffix: cannot be sent to a chat");
    if (o->q->echo)
        return MT_FAIL(o->err, MT_E_UNSUPPORTED, "echo: cannot be sent to a chat");
    if (o->q->prompts_n != 1)
        return MT_FAIL(o->err, MT_E_UNSUPPORTED,
                       "prompt: a list of prompts cannot be sent to a chat");
    mt_chat_note(o->notes, "prompt: sent as a user message");
    open_message(o, "user", (struct mt_str){NULL, 0});
    mt_jw_kstr(o->w, "content", o->q->prompts[0]);
    mt_jw_end(o->w);
    return MT_OK;
}

static mt_rc write_messages(struct writing *o)
{
    mt_jw_key(o->w, "messages");
    mt_jw_array(o->w);
    if (o->q->kind == MT_CHAT_COMPLETION)
        MT_TRY(write_prompt(o));
    for (size_t i = 0; o->q->kind == MT_CHAT_CONVERSATION && i < o->q->messages_n; i++)
        MT_TRY(write_message(o, i));
    mt_jw_end(o->w);
    return MT_OK;
}

static void write_function_tool(struct writing *o, const struct mt_chat_tool *tool)
{
    mt_jw_object(o->w);
    mt_jw_kcstr(o->w, "type", "function");
    mt_jw_key(o->w, "function");
    mt_jw_object(o->w);
    mt_jw_kstr(o->w, "name", tool->name);
    if (tool->description.len > 0)
        mt_jw_kstr(o->w, "description", tool->description);
    if (tool->schema_json.len > 0)
        mt_jw_kraw(o->w, "parameters", tool->schema_json);
    if (tool->strict != MT_UNSAID)
        mt_jw_kbool(o->w, "strict", tool->strict == MT_YES);
    mt_jw_end(o->w);
    if (tool->cache_control.len > 0 && mt_openai__is_own(o->q))
        mt_jw_kraw(o->w, "cache_control", tool->cache_control);
    else if (tool->cache_control.len > 0)
        mt_chat_note(o->notes, "cache_control: not carried to openai");
    mt_jw_end(o->w);
}

static void write_tool_choice(struct writing *o)
{
    static const char *const words[] = {
        [MT_TOOLS_AUTO] = "auto", [MT_TOOLS_NONE] = "none", [MT_TOOLS_REQUIRED] = "required"};

    if (o->q->tool_choice == MT_TOOLS_UNSAID)
        return;
    mt_jw_key(o->w, "tool_choice");
    if (o->q->tool_choice != MT_TOOLS_NAMED) {
        mt_jw_cstr(o->w, words[o->q->tool_choice]);
        return;
    }
    open_part(o, "function");
    mt_jw_object(o->w);
    mt_jw_kstr(o->w, "name", o->q->tool_choice_name);
    mt_jw_end(o->w);
    mt_jw_end(o->w);
}

static mt_rc write_tools(struct writing *o)
{
    if (o->q->tools_n == 0)
        return MT_OK; /* without tools OpenAI refuses tool_choice and parallel_tool_calls */
    mt_jw_key(o->w, "tools");
    mt_jw_array(o->w);
    for (size_t i = 0; i < o->q->tools_n; i++) {
        const struct mt_chat_tool *tool = &o->q->tools[i];
        if (tool->hosted_type.len == 0)
            write_function_tool(o, tool);
        else if (o->q->dialect == MT_DIALECT_OPENAI_CHAT)
            mt_jw_raw(o->w, tool->raw);
        else
            return MT_FAIL(o->err, MT_E_UNSUPPORTED,
                           "tools[%zu]: the hosted tool '%.*s' cannot be sent to openai", i,
                           MT_STR_ARG(mt_str_sub(tool->hosted_type, 0, 64)));
    }
    mt_jw_end(o->w);
    write_tool_choice(o);
    if (o->q->parallel_tools != MT_UNSAID)
        mt_jw_kbool(o->w, "parallel_tool_calls", o->q->parallel_tools == MT_YES);
    return MT_OK;
}

static void write_format(struct writing *o)
{
    const struct mt_chat_request *q = o->q;

    if (q->format == MT_FORMAT_TEXT)
        return;
    mt_jw_key(o->w, "response_format");
    if (q->format == MT_FORMAT_JSON) {
        mt_jw_raw(o->w, MT_STR("{\"type\":\"json_object\"}"));
        return;
    }
    open_part(o, "json_schema");
    mt_jw_object(o->w);
    mt_jw_kstr(o->w, "name", q->schema_name.len > 0 ? q->schema_name : MT_STR("answer"));
    mt_jw_kraw(o->w, "schema", q->schema_json);
    if (q->schema_strict != MT_UNSAID)
        mt_jw_kbool(o->w, "strict", q->schema_strict == MT_YES);
    mt_jw_end(o->w);
    mt_jw_end(o->w);
}

static void write_reasoning(struct writing *o)
{
    enum mt_chat_effort effort = o->q->effort;

    if (effort == MT_EFFORT_UNSAID && o->q->reasoning_budget.has) {
        effort = mt_chat__budget_effort(o->q->reasoning_budget.value);
        mt_chat_note(o->notes, "budget of reasoning tokens: sent as an effort to openai");
    }
    if (effort != MT_EFFORT_UNSAID)
        mt_jw_kcstr(o->w, "reasoning_effort", mt_chat__effort_name(effort));
}

/* OpenAI's reasoning models refuse max_tokens, other endpoints do not know its successor. */
static bool is_reasoning_model(struct mt_str model)
{
    struct mt_str rest = model;

    while (rest.len > 0)
        model = mt_str_take(&rest, '/');
    return mt_str_starts(model, MT_STR("gpt-5")) ||
           (model.len >= 2 && model.at[0] == 'o' && model.at[1] >= '1' && model.at[1] <= '9');
}

static void write_limits(struct writing *o, struct mt_str model)
{
    const struct mt_chat_request *q = o->q;

    if (q->max_tokens.has)
        mt_jw_ki64(o->w, is_reasoning_model(model) ? "max_completion_tokens" : "max_tokens",
                   q->max_tokens.value);
    if (q->logprobs)
        mt_jw_kbool(o->w, "logprobs", true);
    if (q->logprobs && q->top_logprobs > 0)
        mt_jw_ki64(o->w, "top_logprobs", q->top_logprobs);
    if (q->store == MT_YES && q->dialect == MT_DIALECT_OPENAI_CHAT)
        mt_jw_kbool(o->w, "store", true);
}

mt_rc mt_openai__encode_chat(const struct mt_chat_request *request, struct mt_str model,
                             struct mt_buf *body, struct mt_buf *path,
                             struct mt_chat_notes *notes, struct mt_err *err)
{
    struct mt_jw w;
    struct writing o = {.q = request, .w = &w, .notes = notes, .err = err};

    mt_jw_begin(&w, body);
    mt_jw_object(&w);
    mt_openai__write_shared(&w, request, model, notes);
    MT_TRY(write_messages(&o));
    MT_TRY(write_tools(&o));
    write_format(&o);
    write_reasoning(&o);
    write_limits(&o, model);
    mt_chat__write_extras(request, MT_DIALECT_OPENAI_CHAT, "openai", &w, notes);
    mt_jw_end(&w);
    mt_buf_add_cstr(path, "/v1/chat/completions");
    MT_TRY(mt_buf_check(path, "path", err));
    return mt_buf_check(body, "request", err);
}
