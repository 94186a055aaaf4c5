/* SPDX-License-Identifier: Apache-2.0 */
/* Messages written as systemInstruction and contents.
 *
 * Gemini wants the results of all calls of a turn in one content right behind it, so results
 * that come as messages of their own are gathered; what else a message says becomes its own
 * content. */
#include "calls.h"
#include "gemini_priv.h"

enum group { GROUP_NONE, GROUP_USER, GROUP_MODEL, GROUP_RESULTS };

struct writer {
    const struct mt_chat_request *request;
    struct mt_jw *w;
    struct mt_chat__calls *calls;
    struct mt_chat_notes *notes;
    struct mt_err *err;
    size_t message; /* where we are, for words */
    enum group group;
    bool wants_signature; /* of the first call of each turn */
    bool has_call;        /* the open turn has one */
};

/* Models from 3 on refuse a history in which a turn's first call has lost its signature. For
 * calls that another model made, the API documents this word. */
static const struct mt_str no_signature = MT_STR_INIT("skip_thought_signature_validator");

static bool is_strict(struct mt_str model)
{
    static const struct mt_str family = MT_STR_INIT("gemini-");
    size_t at = mt_str_find(model, family);

    if (at == model.len || at + family.len == model.len)
        return false;
    char major = model.at[at + family.len];
    return major >= '3' && major <= '9';
}

static bool is_native(const struct writer *u)
{
    return u->request->dialect == MT_DIALECT_GEMINI;
}

static void close_group(struct writer *u)
{
    if (u->group == GROUP_NONE)
        return;
    mt_jw_end(u->w);
    mt_jw_end(u->w);
    u->group = GROUP_NONE;
}

static void open_group(struct writer *u, enum group group)
{
    if (u->group == group)
        return;
    close_group(u);
    mt_jw_object(u->w);
    mt_jw_kcstr(u->w, "role", group == GROUP_MODEL ? "model" : "user");
    mt_jw_key(u->w, "parts");
    mt_jw_array(u->w);
    u->group = group;
    u->has_call = false;
}

static void write_text(struct writer *u, const struct mt_chat_part *part)
{
    struct mt_str signature = mt_chat__signature_for(MT_GEMINI_MAKER, part->signature);

    mt_jw_object(u->w);
    mt_jw_kstr(u->w, "text", part->text);
    if (part->kind == MT_PART_REASONING)
        mt_jw_kbool(u->w, "thought", true);
    if (signature.len > 0)
        mt_jw_kstr(u->w, "thoughtSignature", signature);
    mt_jw_end(u->w);
}

static void write_blob(struct writer *u, const struct mt_chat_media *media)
{
    struct mt_str mime = media->mime.len > 0 ? media->mime : mt_chat__sniff_mime(media->base64);

    mt_jw_key(u->w, "inlineData");
    mt_jw_object(u->w);
    mt_jw_kstr(u->w, "mimeType", mime.len > 0 ? mime : MT_STR("application/octet-stream"));
    mt_jw_kstr(u->w, "data", media->base64);
    mt_jw_end(u->w);
}

static void write_file(struct writer *u, const struct mt_chat_media *media)
{
    mt_jw_key(u->w, "fileData");
    mt_jw_object(u->w);
    if (media->mime.len > 0)
        mt_jw_kstr(u->w, "mimeType", media->mime);
    mt_jw_kstr(u->w, "fileUri", media->url.len > 0 ? media->url : media->file_id);
    mt_jw_end(u->w);
}

static mt_rc write_media(struct writer *u, const struct mt_chat_part *part)
{
    const struct mt_chat_media *media = &part->media;

    if (media->base64.len == 0 && media->url.len == 0 && !is_native(u))
        return MT_FAIL(u->err, MT_E_UNSUPPORTED,
                       "messages[%zu]: file '%.*s' is kept by another provider", u->message,
                       MT_STR_ARG(mt_str_sub(media->file_id, 0, 60)));
    mt_jw_object(u->w);
    if (media->base64.len > 0)
        write_blob(u, media);
    else
        write_file(u, media);
    mt_jw_end(u->w);
    return MT_OK;
}

static mt_rc write_call(struct writer *u, const struct mt_chat_part *part)
{
    struct mt_chat_part call = *part;
    struct mt_str signature = mt_chat__signature_for(MT_GEMINI_MAKER, part->signature);

    MT_TRY(mt_chat__calls_add(u->calls, u->request->arena, &call, u->err));
    if (signature.len == 0 && u->wants_signature && !u->has_call)
        signature = no_signature;
    u->has_call = true;
    mt_gemini__write_call(u->w, call.id, call.name, call.json, signature);
    return MT_OK;
}

static mt_rc write_response(struct writer *u, const struct mt_chat_part *part)
{
    struct mt_str text =
        mt_chat__join_text(part->parts, part->parts_n, "\n", u->request->arena);

    if (text.at == NULL)
        return mt_arena_fail(u->request->arena, u->err);
    mt_jw_key(u->w, "response");
    if (!part->is_error && mt_chat__is_object(text)) {
        mt_chat__write_object(u->w, text);
        return MT_OK;
    }
    mt_jw_object(u->w);
    mt_jw_kstr(u->w, part->is_error ? "error" : "result", text);
    mt_jw_end(u->w);
    return MT_OK;
}

static bool is_media(const struct mt_chat_part *part)
{
    return part->kind == MT_PART_IMAGE || part->kind == MT_PART_AUDIO ||
           part->kind == MT_PART_FILE;
}

static mt_rc write_result_media(struct writer *u, const struct mt_chat_part *part)
{
    bool has_media = false;

    for (size_t i = 0; i < part->parts_n; i++) {
        if (!is_media(&part->parts[i]))
            continue;
        if (!has_media) {
            mt_jw_key(u->w, "parts");
            mt_jw_array(u->w);
        }
        has_media = true;
        MT_TRY(write_media(u, &part->parts[i]));
    }
    if (has_media)
        mt_jw_end(u->w);
    return MT_OK;
}

static mt_rc write_result(struct writer *u, const struct mt_chat_part *part)
{
    struct mt_chat_part result = *part;

    MT_TRY(mt_chat__calls_answer(u->calls, u->request->arena, &result, u->err));
    mt_jw_object(u->w);
    mt_jw_key(u->w, "functionResponse");
    mt_jw_object(u->w);
    mt_jw_kstr(u->w, "id", result.id);
    mt_jw_kstr(u->w, "name", result.name.len > 0 ? result.name : result.id);
    MT_TRY(write_response(u, part));
    MT_TRY(write_result_media(u, part));
    mt_jw_end(u->w);
    mt_jw_end(u->w);
    return MT_OK;
}

static enum group group_of(enum mt_chat_role role, enum mt_chat_part_kind kind)
{
    if (kind == MT_PART_TOOL_RESULT)
        return GROUP_RESULTS;
    return role == MT_ROLE_ASSISTANT ? GROUP_MODEL : GROUP_USER;
}

static bool is_foreign(const struct writer *u, const struct mt_chat_part *part)
{
    bool is_signed = mt_chat__signature_for(MT_GEMINI_MAKER, part->signature).len > 0;

    return part->is_redacted || (!is_signed && (part->signature.len > 0 || !is_native(u)));
}

/* Reasoning goes back to its maker only; empty text beside other parts says nothing. */
static bool is_left_out(const struct writer *u, const struct mt_chat_message *message,
                        const struct mt_chat_part *part)
{
    if (part->kind == MT_PART_REASONING && is_foreign(u, part)) {
        mt_chat_note(u->notes, "messages[%zu]: reasoning is not sent to gemini", u->message);
        return true;
    }
    return part->kind == MT_PART_TEXT && part->text.len == 0 && part->signature.len == 0 &&
           message->parts_n > 1;
}

static mt_rc write_part(struct writer *u, const struct mt_chat_message *message,
                        const struct mt_chat_part *part)
{
    if (is_left_out(u, message, part))
        return MT_OK;
    open_group(u, group_of(message->role, part->kind));
    switch (part->kind) {
    case MT_PART_TEXT:
    case MT_PART_REASONING:
    case MT_PART_REFUSAL:
        write_text(u, part);
        return MT_OK;
    case MT_PART_IMAGE:
    case MT_PART_AUDIO:
    case MT_PART_FILE:
        return write_media(u, part);
    case MT_PART_TOOL_CALL:
        return write_call(u, part);
    case MT_PART_TOOL_RESULT:
        return write_result(u, part);
    }
    return MT_OK;
}

static bool is_system(const struct mt_chat_message *message)
{
    return message->role == MT_ROLE_SYSTEM || message->role == MT_ROLE_DEVELOPER;
}

static size_t systems_of(const struct mt_chat_request *request)
{
    size_t n = 0;

    for (size_t i = 0; i < request->messages_n; i++)
        n += is_system(&request->messages[i]);
    return n;
}

/* There is one place for instructions, in front. */
static mt_rc write_system(struct writer *u)
{
    bool is_front = true;

    mt_jw_key(u->w, "systemInstruction");
    mt_jw_object(u->w);
    mt_jw_key(u->w, "parts");
    mt_jw_array(u->w);
    for (u->message = 0; u->message < u->request->messages_n; u->message++) {
        const struct mt_chat_message *message = &u->request->messages[u->message];
        is_front = is_front && is_system(message);
        if (!is_system(message))
            continue;
        if (!is_front)
            mt_chat_note(u->notes, "messages[%zu]: system message moved to the front",
                         u->message);
        for (size_t i = 0; i < message->parts_n; i++) {
            if (is_media(&message->parts[i]))
                MT_TRY(write_media(u, &message->parts[i]));
            else
                write_text(u, &message->parts[i]);
        }
    }
    mt_jw_end(u->w);
    mt_jw_end(u->w);
    return MT_OK;
}

mt_rc mt_gemini__write_contents(const struct mt_chat_request *request, struct mt_str model,
                                struct mt_jw *w, struct mt_chat_notes *notes,
                                struct mt_err *err)
{
    struct writer u = {.request = request, .w = w, .notes = notes, .err = err};
    size_t systems_n = systems_of(request);
    /* Contents must not be empty: instructions alone are asked as a question. */
    bool has_others = systems_n < request->messages_n;

    u.wants_signature = is_strict(model);
    u.calls = mt_arena_get(request->arena, 1, sizeof *u.calls);
    if (u.calls == NULL)
        return mt_arena_fail(request->arena, err);
    if (systems_n > 0 && has_others)
        MT_TRY(write_system(&u));
    mt_jw_key(w, "contents");
    mt_jw_array(w);
    for (u.message = 0; u.message < request->messages_n; u.message++) {
        const struct mt_chat_message *message = &request->messages[u.message];
        if (has_others && is_system(message))
            continue;
        if (u.group != GROUP_RESULTS)
            close_group(&u);
        for (size_t i = 0; i < message->parts_n; i++)
            MT_TRY(write_part(&u, message, &message->parts[i]));
    }
    close_group(&u);
    mt_jw_end(w);
    return MT_OK;
}
