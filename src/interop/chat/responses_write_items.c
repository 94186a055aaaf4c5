/* SPDX-License-Identifier: Apache-2.0 */
/* Writing "instructions" and "input" of a Responses request. */
#include <stdio.h>

#include "openai_priv.h"
#include "responses_priv.h"
#include "signature.h"

struct writer {
    struct mt_jw *w;
    const struct mt_chat_request *request;
    struct mt_chat_notes *notes;
    bool is_open; /* a message item, inside its content */
    bool is_assistant;
    unsigned calls_n, results_n; /* names for calls that came without */
};

static void close_message(struct writer *o)
{
    if (o->is_open)
        mt_jw_end(o->w), mt_jw_end(o->w);
    o->is_open = false;
}

static void open_message(struct writer *o, enum mt_chat_role role)
{
    static const char *const names[] = {[MT_ROLE_SYSTEM] = "system",
                                        [MT_ROLE_DEVELOPER] = "developer",
                                        [MT_ROLE_USER] = "user",
                                        [MT_ROLE_ASSISTANT] = "assistant",
                                        [MT_ROLE_TOOL] = "user"};

    if (o->is_open)
        return;
    mt_jw_object(o->w);
    mt_jw_kcstr(o->w, "type", "message");
    mt_jw_kcstr(o->w, "role", names[role]);
    mt_jw_key(o->w, "content"), mt_jw_array(o->w);
    o->is_open = true;
    o->is_assistant = role == MT_ROLE_ASSISTANT;
}

static void write_text(struct writer *o, const struct mt_chat_part *part, bool is_assistant)
{
    bool is_refusal = part->kind == MT_PART_REFUSAL && is_assistant;

    mt_jw_object(o->w);
    mt_jw_kcstr(o->w, "type",
                is_refusal     ? "refusal"
                : is_assistant ? "output_text"
                               : "input_text");
    mt_jw_kstr(o->w, is_refusal ? "refusal" : "text", part->text);
    mt_jw_end(o->w);
}

static bool has_file_id(const struct writer *o, const struct mt_chat_media *media)
{
    return media->file_id.len > 0 && (o->request->dialect == MT_DIALECT_OPENAI_RESPONSES ||
                                      o->request->dialect == MT_DIALECT_OPENAI_CHAT);
}

static mt_rc write_image(struct writer *o, const struct mt_chat_media *media,
                         struct mt_err *err)
{
    struct mt_jw *w = o->w;

    mt_jw_object(w);
    mt_jw_kcstr(w, "type", "input_image");
    if (media->base64.len > 0) {
        mt_jw_key(w, "image_url");
        mt_openai__data_url(w, media->mime.len > 0 ? media->mime : MT_STR("image/png"),
                            media->base64);
    } else if (media->url.len > 0) {
        mt_jw_kstr(w, "image_url", media->url);
    } else if (has_file_id(o, media)) {
        mt_jw_kstr(w, "file_id", media->file_id);
    } else {
        return MT_FAIL(err, MT_E_UNSUPPORTED, "image: a file of another provider");
    }
    mt_jw_kstr(w, "detail", media->detail.len > 0 ? media->detail : MT_STR("auto"));
    mt_jw_end(w);
    return MT_OK;
}

static mt_rc write_file(struct writer *o, const struct mt_chat_media *media, struct mt_err *err)
{
    struct mt_jw *w = o->w;

    mt_jw_object(w);
    mt_jw_kcstr(w, "type", "input_file");
    if (media->base64.len > 0) {
        mt_jw_kstr(w, "filename", media->name.len > 0 ? media->name : MT_STR("file"));
        mt_jw_key(w, "file_data");
        mt_openai__data_url(
            w, media->mime.len > 0 ? media->mime : MT_STR("application/octet-stream"),
            media->base64);
    } else if (media->url.len > 0) {
        mt_jw_kstr(w, "file_url", media->url);
    } else if (has_file_id(o, media)) {
        mt_jw_kstr(w, "file_id", media->file_id);
    } else {
        return MT_FAIL(err, MT_E_UNSUPPORTED, "file: a file of another provider");
    }
    mt_jw_end(w);
    return MT_OK;
}

/* A part that may stand in a message or in a tool's output. */
static mt_rc write_part(struct writer *o, const struct mt_chat_part *part, bool is_assistant,
                        struct mt_err *err)
{
    if (part->kind == MT_PART_TEXT || part->kind == MT_PART_REFUSAL) {
        write_text(o, part, is_assistant);
        return MT_OK;
    }
    if (is_assistant)
        return MT_FAIL(err, MT_E_UNSUPPORTED, "messages: media of an assistant");
    if (part->kind == MT_PART_IMAGE)
        return write_image(o, &part->media, err);
    if (part->kind == MT_PART_FILE)
        return write_file(o, &part->media, err);
    return MT_FAIL(err, MT_E_UNSUPPORTED, "messages: %s",
                   part->kind == MT_PART_AUDIO ? "audio" : "a part in the wrong place");
}

static void write_call_id(struct writer *o, struct mt_str id, unsigned counted)
{
    char name[32];

    snprintf(name, sizeof name, "call_%u", counted);
    mt_jw_kstr(o->w, "call_id", id.len > 0 ? id : mt_str_of(name));
}

static void write_call(struct writer *o, const struct mt_chat_part *part)
{
    close_message(o);
    mt_jw_object(o->w);
    mt_jw_kcstr(o->w, "type", "function_call");
    write_call_id(o, part->id, o->calls_n++);
    mt_jw_kstr(o->w, "name", part->name);
    mt_jw_kstr(o->w, "arguments", part->json.len > 0 ? part->json : MT_STR("{}"));
    mt_jw_end(o->w);
}

static mt_rc write_result(struct writer *o, const struct mt_chat_part *part, struct mt_err *err)
{
    const struct mt_chat_part *only = part->parts_n == 1 ? part->parts : NULL;

    close_message(o);
    if (part->is_error)
        mt_chat_note(o->notes, "the mark of a failed tool is not sent, its words are");
    mt_jw_object(o->w);
    mt_jw_kcstr(o->w, "type", "function_call_output");
    write_call_id(o, part->id, o->results_n++);
    mt_jw_key(o->w, "output");
    if (part->parts_n == 0 || (only != NULL && only->kind == MT_PART_TEXT)) {
        mt_jw_str(o->w, only != NULL ? only->text : MT_STR(""));
    } else {
        mt_jw_array(o->w);
        for (size_t i = 0; i < part->parts_n; i++)
            MT_TRY(write_part(o, &part->parts[i], false, err));
        mt_jw_end(o->w);
    }
    mt_jw_end(o->w);
    return MT_OK;
}

static void write_reasoning(struct writer *o, const struct mt_chat_part *part)
{
    struct mt_str signature = mt_chat__signature_for("openai", part->signature);

    if (signature.len == 0) {
        mt_chat_note(o->notes,
                     "earlier reasoning left out: it bears no signature of this provider");
        return;
    }
    close_message(o);
    mt_jw_object(o->w);
    mt_jw_kcstr(o->w, "type", "reasoning");
    mt_jw_key(o->w, "summary"), mt_jw_array(o->w);
    if (part->text.len > 0) {
        mt_jw_object(o->w);
        mt_jw_kcstr(o->w, "type", "summary_text");
        mt_jw_kstr(o->w, "text", part->text);
        mt_jw_end(o->w);
    }
    mt_jw_end(o->w);
    mt_jw_kstr(o->w, "encrypted_content", signature);
    mt_jw_end(o->w);
}

static mt_rc write_message(struct writer *o, const struct mt_chat_message *message,
                           struct mt_err *err)
{
    if (message->name.len > 0 && message->role != MT_ROLE_TOOL)
        mt_chat_note(o->notes, "names of messages are not sent");
    for (size_t i = 0; i < message->parts_n; i++) {
        const struct mt_chat_part *part = &message->parts[i];
        switch (part->kind) {
        case MT_PART_TEXT:
        case MT_PART_REFUSAL:
        case MT_PART_IMAGE:
        case MT_PART_AUDIO:
        case MT_PART_FILE:
            open_message(o, message->role);
            MT_TRY(write_part(o, part, o->is_assistant, err));
            break;
        case MT_PART_REASONING:
            write_reasoning(o, part);
            break;
        case MT_PART_TOOL_CALL:
            write_call(o, part);
            break;
        case MT_PART_TOOL_RESULT:
            MT_TRY(write_result(o, part, err));
            break;
        }
    }
    close_message(o);
    return MT_OK;
}

/* A system message that is one text and comes first are the instructions. */
static size_t write_instructions(struct writer *o)
{
    const struct mt_chat_request *r = o->request;
    const struct mt_chat_message *first = r->messages_n > 0 ? &r->messages[0] : NULL;

    if (first == NULL || first->role != MT_ROLE_SYSTEM || first->parts_n != 1 ||
        first->parts[0].kind != MT_PART_TEXT)
        return 0;
    mt_jw_kstr(o->w, "instructions", first->parts[0].text);
    return 1;
}

mt_rc mt_responses__write_input(struct mt_jw *w, const struct mt_chat_request *request,
                                struct mt_chat_notes *notes, struct mt_err *err)
{
    struct writer o = {.w = w, .request = request, .notes = notes};
    size_t from = write_instructions(&o);

    mt_jw_key(w, "input"), mt_jw_array(w);
    for (size_t m = from; m < request->messages_n; m++)
        MT_TRY(write_message(&o, &request->messages[m], err));
    mt_jw_end(w);
    return MT_OK;
}
