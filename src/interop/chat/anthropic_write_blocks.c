/* SPDX-License-Identifier: Apache-2.0 */
/* Writing the messages of a Messages request. Invariants of what is written: turns alternate
 * and the first is the user's; no text block is blank; tool results stand in user turns. */
#include <stdio.h>

#include "anthropic_priv.h"
#include "crypto/encode.h"
#include "signature.h"

static bool is_blank(struct mt_str text)
{
    return mt_str_trim(text).len == 0;
}

/* The turn that a block of this role goes into is open afterwards. */
static void turn_open(struct mt_anthropic__turns *t, enum mt_chat_role role)
{
    struct mt_jw *w = t->w;

    if (t->is_open && t->role == role)
        return;
    if (t->is_open)
        mt_jw_end(w), mt_jw_end(w);
    if (!t->has_turn && role == MT_ROLE_ASSISTANT) {
        mt_chat_note(t->notes, "a user turn was put before the first assistant message");
        mt_jw_object(w);
        mt_jw_kcstr(w, "role", "user");
        mt_jw_kcstr(w, "content", "(begin)");
        mt_jw_end(w);
    }
    mt_jw_object(w);
    mt_jw_kcstr(w, "role", role == MT_ROLE_ASSISTANT ? "assistant" : "user");
    mt_jw_key(w, "content"), mt_jw_array(w);
    t->role = role;
    t->is_open = true;
    t->has_turn = true;
}

static void block_end(struct mt_jw *w, struct mt_str cache_control)
{
    if (cache_control.len > 0)
        mt_jw_kraw(w, "cache_control", cache_control);
    mt_jw_end(w);
}

static void write_text(struct mt_jw *w, struct mt_str text, struct mt_str cache_control)
{
    mt_jw_object(w);
    mt_jw_kcstr(w, "type", "text");
    mt_jw_kstr(w, "text", text);
    block_end(w, cache_control);
}

static mt_rc write_source(const struct mt_anthropic__turns *t, const char *what,
                          const struct mt_chat_media *media, struct mt_err *err)
{
    struct mt_jw *w = t->w;

    mt_jw_key(w, "source"), mt_jw_object(w);
    if (media->base64.len > 0) {
        if (media->mime.len == 0)
            return MT_FAIL(err, MT_E_UNSUPPORTED, "%s: bytes without a media type", what);
        mt_jw_kcstr(w, "type", "base64");
        mt_jw_kstr(w, "media_type", media->mime);
        mt_jw_kstr(w, "data", media->base64);
    } else if (media->url.len > 0) {
        mt_jw_kcstr(w, "type", "url");
        mt_jw_kstr(w, "url", media->url);
    } else if (media->file_id.len > 0 && t->request->dialect == MT_DIALECT_ANTHROPIC) {
        mt_jw_kcstr(w, "type", "file");
        mt_jw_kstr(w, "file_id", media->file_id);
    } else {
        return MT_FAIL(err, MT_E_UNSUPPORTED, "%s: a file of another provider", what);
    }
    mt_jw_end(w);
    return MT_OK;
}

static mt_rc write_text_file(struct mt_anthropic__turns *t, const struct mt_chat_media *media,
                             struct mt_err *err)
{
    MT_CLEANUP(mt_buf_fini) struct mt_buf text = MT_BUF_INIT(media->base64.len);
    mt_rc rc = mt_base64_decode(media->base64, MT_BASE64_STANDARD, &text, err);

    if (rc < 0)
        return mt_err_wrap(err, rc, "file of type '%.*s'", MT_STR_ARG(media->mime));
    mt_jw_key(t->w, "source"), mt_jw_object(t->w);
    mt_jw_kcstr(t->w, "type", "text");
    mt_jw_kcstr(t->w, "media_type", "text/plain");
    mt_jw_kstr(t->w, "data", mt_buf_str(&text));
    mt_jw_end(t->w);
    return MT_OK;
}

/* text, image and document blocks: what may stand anywhere */
static mt_rc write_content(struct mt_anthropic__turns *t, const struct mt_chat_part *part,
                           struct mt_err *err)
{
    struct mt_jw *w = t->w;
    bool is_image = part->kind == MT_PART_IMAGE;

    if (!is_image && part->kind != MT_PART_FILE) {
        write_text(w, part->text, part->cache_control);
        return MT_OK;
    }
    mt_jw_object(w);
    mt_jw_kcstr(w, "type", is_image ? "image" : "document");
    if (!is_image && part->media.base64.len > 0 &&
        mt_str_starts(part->media.mime, MT_STR("text/")))
        MT_TRY(write_text_file(t, &part->media, err));
    else
        MT_TRY(write_source(t, is_image ? "image" : "file", &part->media, err));
    if (!is_image && part->media.name.len > 0)
        mt_jw_kstr(w, "title", part->media.name);
    block_end(w, part->cache_control);
    return MT_OK;
}

/* The API takes letters, digits, '_' and '-'; other makers' ids are bent to that, the same way
 * in a call and in its result. */
static void write_id(struct mt_anthropic__turns *t, const char *key, struct mt_str id,
                     unsigned counted)
{
    mt_jw_key(t->w, key);
    struct mt_buf *buf = t->w->buf;
    size_t at = buf->len;

    if (id.len == 0) {
        char name[32];
        snprintf(name, sizeof name, "toolu_%u", counted);
        mt_jw_cstr(t->w, name);
        return;
    }
    mt_jw_str(t->w, id);
    for (size_t i = at + 1; i + 1 < buf->len; i++) {
        char c = buf->at[i];
        bool is_plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                        (c >= '0' && c <= '9') || c == '_' || c == '-';
        if (!is_plain)
            buf->at[i] = '_';
    }
}

static void write_reasoning(struct mt_anthropic__turns *t, const struct mt_chat_part *part)
{
    struct mt_str signature = mt_chat__signature_for("anthropic", part->signature);

    if (signature.len == 0) {
        if (!t->has_dropped_reasoning)
            mt_chat_note(t->notes, "earlier reasoning left out: it bears no signature of this "
                                   "provider");
        t->has_dropped_reasoning = true;
        return;
    }
    turn_open(t, MT_ROLE_ASSISTANT);
    mt_jw_object(t->w);
    mt_jw_kcstr(t->w, "type", part->is_redacted ? "redacted_thinking" : "thinking");
    if (part->is_redacted) {
        mt_jw_kstr(t->w, "data", signature);
    } else {
        mt_jw_kstr(t->w, "thinking", part->text);
        mt_jw_kstr(t->w, "signature", signature);
    }
    mt_jw_end(t->w);
}

static void write_call(struct mt_anthropic__turns *t, const struct mt_chat_part *part)
{
    struct mt_jw *w = t->w;

    turn_open(t, MT_ROLE_ASSISTANT);
    mt_jw_object(w);
    mt_jw_kcstr(w, "type", "tool_use");
    write_id(t, "id", part->id, t->calls_n++);
    mt_jw_kstr(w, "name", part->name);
    mt_jw_kraw(w, "input", mt_chat__object_or_empty(part->json));
    block_end(w, part->cache_control);
}

static mt_rc write_result(struct mt_anthropic__turns *t, const struct mt_chat_part *part,
                          struct mt_err *err)
{
    struct mt_jw *w = t->w;

    turn_open(t, MT_ROLE_USER);
    mt_jw_object(w);
    mt_jw_kcstr(w, "type", "tool_result");
    write_id(t, "tool_use_id", part->id, t->results_n++);
    mt_jw_key(w, "content"), mt_jw_array(w);
    for (size_t i = 0; i < part->parts_n; i++) {
        const struct mt_chat_part *inner = &part->parts[i];
        bool is_text = inner->kind == MT_PART_TEXT || inner->kind == MT_PART_REFUSAL;

        if (is_text && is_blank(inner->text))
            continue;
        if (!is_text && inner->kind != MT_PART_IMAGE && inner->kind != MT_PART_FILE)
            return MT_FAIL(err, MT_E_UNSUPPORTED, "tool result: only text, images and files");
        MT_TRY(write_content(t, inner, err));
    }
    mt_jw_end(w);
    if (part->is_error)
        mt_jw_kbool(w, "is_error", true);
    block_end(w, part->cache_control);
    return MT_OK;
}

/* One block, or nothing when there is nothing to say. */
static mt_rc write_part(struct mt_anthropic__turns *t, enum mt_chat_role role,
                        const struct mt_chat_part *part, struct mt_err *err)
{
    enum mt_chat_role turn = role == MT_ROLE_ASSISTANT ? MT_ROLE_ASSISTANT : MT_ROLE_USER;

    switch (part->kind) {
    case MT_PART_TEXT:
    case MT_PART_REFUSAL:
        if (is_blank(part->text))
            return MT_OK;
        turn_open(t, turn);
        return write_content(t, part, err);
    case MT_PART_IMAGE:
    case MT_PART_FILE:
        if (turn == MT_ROLE_ASSISTANT)
            return MT_FAIL(err, MT_E_UNSUPPORTED, "messages: media of an assistant");
        turn_open(t, turn);
        return write_content(t, part, err);
    case MT_PART_REASONING:
        write_reasoning(t, part);
        return MT_OK;
    case MT_PART_TOOL_CALL:
        write_call(t, part);
        return MT_OK;
    case MT_PART_TOOL_RESULT:
        return write_result(t, part, err);
    case MT_PART_AUDIO:
        break;
    }
    return MT_FAIL(err, MT_E_UNSUPPORTED, "messages: audio");
}

static bool is_system(const struct mt_chat_message *message)
{
    return message->role == MT_ROLE_SYSTEM || message->role == MT_ROLE_DEVELOPER;
}

/* All of it goes to the front: there is one place for it. */
static mt_rc write_system(struct mt_anthropic__turns *t, struct mt_err *err)
{
    const struct mt_chat_request *r = t->request;
    bool is_begun = false, has_turn = false;

    for (size_t m = 0; m < r->messages_n; m++) {
        const struct mt_chat_message *message = &r->messages[m];
        if (!is_system(message)) {
            has_turn = true;
            continue;
        }
        if (has_turn)
            mt_chat_note(t->notes, "messages[%zu]: a later system message moved to the front",
                         m);
        for (size_t p = 0; p < message->parts_n; p++) {
            const struct mt_chat_part *part = &message->parts[p];
            if (part->kind != MT_PART_TEXT)
                return MT_FAIL(err, MT_E_UNSUPPORTED,
                               "messages[%zu]: a system message that is "
                               "not text",
                               m);
            if (is_blank(part->text))
                continue;
            if (!is_begun)
                mt_jw_key(t->w, "system"), mt_jw_array(t->w);
            is_begun = true;
            write_text(t->w, part->text, part->cache_control);
        }
    }
    if (is_begun)
        mt_jw_end(t->w);
    return MT_OK;
}

mt_rc mt_anthropic__write_messages(struct mt_anthropic__turns *t, struct mt_err *err)
{
    const struct mt_chat_request *r = t->request;
    bool has_named = false;

    MT_TRY(write_system(t, err));
    mt_jw_key(t->w, "messages"), mt_jw_array(t->w);
    for (size_t m = 0; m < r->messages_n; m++) {
        const struct mt_chat_message *message = &r->messages[m];
        if (is_system(message))
            continue;
        if (message->name.len > 0 && message->role != MT_ROLE_TOOL && !has_named) {
            mt_chat_note(t->notes, "messages[%zu].name is not sent", m);
            has_named = true;
        }
        for (size_t p = 0; p < message->parts_n; p++)
            MT_TRY(write_part(t, message->role, &message->parts[p], err));
    }
    if (t->is_open)
        mt_jw_end(t->w), mt_jw_end(t->w);
    mt_jw_end(t->w);
    return MT_OK;
}
