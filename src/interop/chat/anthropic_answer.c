/* SPDX-License-Identifier: Apache-2.0 */
/* Writing a whole message for a client. */
#include <stdio.h>

#include "anthropic_priv.h"
#include "signature.h"

void mt_anthropic__write_head(struct mt_jw *w, const struct mt_chat_reply *reply)
{
    char id[80];

    snprintf(id, sizeof id, "msg_%.*s", MT_STR_ARG(reply->id));
    mt_jw_kcstr(w, "id", id);
    mt_jw_kcstr(w, "type", "message");
    mt_jw_kcstr(w, "role", "assistant");
    mt_jw_kstr(w, "model", reply->model);
}

static void write_text(struct mt_jw *w, struct mt_str text)
{
    if (text.len == 0)
        return;
    mt_jw_object(w);
    mt_jw_kcstr(w, "type", "text");
    mt_jw_kstr(w, "text", text);
    mt_jw_end(w);
}

static void write_thinking(struct mt_jw *w, const struct mt_out_part *part)
{
    struct mt_str signature = mt_chat__signature_out("anthropic", part->signature);

    mt_jw_object(w);
    mt_jw_kcstr(w, "type", part->is_redacted ? "redacted_thinking" : "thinking");
    if (part->is_redacted) {
        mt_jw_kstr(w, "data", signature);
    } else {
        mt_jw_kstr(w, "thinking", part->text);
        mt_jw_kstr(w, "signature", signature);
    }
    mt_jw_end(w);
}

static void write_call(struct mt_jw *w, const struct mt_chat_reply *reply,
                       const struct mt_out_part *part, unsigned tool)
{
    char id[96];

    mt_jw_object(w);
    mt_jw_kcstr(w, "type", "tool_use");
    snprintf(id, sizeof id, "toolu_%.*s_%u", MT_STR_ARG(reply->id), tool);
    mt_jw_kstr(w, "id", part->id.len > 0 ? part->id : mt_str_of(id));
    mt_jw_kstr(w, "name", part->name);
    mt_jw_key(w, "input");
    mt_chat__write_object(w, part->text);
    mt_jw_end(w);
}

/* The dialect has no media in answers: say so rather than nothing. */
static void write_media(struct mt_jw *w, struct mt_str mime)
{
    char words[128];

    snprintf(words, sizeof words, "[%.*s left out: this API cannot carry it]",
             MT_STR_ARG(mime.len > 0 ? mt_str_sub(mime, 0, 64) : MT_STR("media")));
    write_text(w, mt_str_of(words));
}

static unsigned write_parts(struct mt_jw *w, const struct mt_chat_reply *reply,
                            const struct mt_choice *choice)
{
    unsigned tools_n = 0;

    for (size_t i = 0; i < choice->parts_n; i++) {
        const struct mt_out_part *part = &choice->parts[i];
        switch (part->kind) {
        case MT_OUT_TEXT:
        case MT_OUT_REFUSAL:
            write_text(w, part->text);
            break;
        case MT_OUT_REASONING:
            write_thinking(w, part);
            break;
        case MT_OUT_MEDIA:
            write_media(w, part->mime);
            break;
        case MT_OUT_TOOL_CALL:
            write_call(w, reply, part, tools_n++);
            break;
        }
    }
    return tools_n;
}

void mt_anthropic__encode_answer(const struct mt_chat_reply *reply,
                                 const struct mt_chat_answer *answer, struct mt_buf *out)
{
    static const struct mt_choice nothing;
    const struct mt_choice *choice = answer->choices_n > 0 ? &answer->choices[0] : &nothing;
    struct mt_jw w;

    mt_jw_begin(&w, out);
    mt_jw_object(&w);
    mt_anthropic__write_head(&w, reply);
    mt_jw_key(&w, "content"), mt_jw_array(&w);
    unsigned tools_n = write_parts(&w, reply, choice);
    mt_jw_end(&w);
    mt_jw_kcstr(&w, "stop_reason",
                mt_anthropic__stop_reason(choice->finish, choice->stop_sequence, tools_n > 0));
    mt_jw_key(&w, "stop_sequence");
    if (choice->stop_sequence.len > 0)
        mt_jw_str(&w, choice->stop_sequence);
    else
        mt_jw_null(&w);
    mt_anthropic__usage_write(&w, &answer->usage);
    mt_jw_end(&w);
}
