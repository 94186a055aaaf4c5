/* SPDX-License-Identifier: Apache-2.0 */
/* Writing a whole response for a client. The items are views of the answer's parts: one at a
 * time on the stack, so nothing is allocated. */
#include <stdio.h>
#include <string.h>

#include "responses_priv.h"
#include "signature.h"

struct writer {
    struct mt_jw *w;
    const struct mt_chat_reply *reply;
    const struct mt_choice *choice;
    unsigned items_n;
    bool is_cut;
};

/* A view: the text is not changed through it. */
static struct mt_responses__text view(struct mt_str text)
{
    struct mt_responses__text out = {.len = text.len};

    memcpy(&out.at, &text.at, sizeof out.at);
    return out;
}

static void begin_message(struct writer *a, bool is_last)
{
    struct mt_responses__item item = {.kind = MT_RESPONSES_MESSAGE, .index = a->items_n++};

    mt_jw_object(a->w);
    mt_jw_key(a->w, "id"), mt_responses__write_item_id(a->w, a->reply, &item);
    mt_jw_kcstr(a->w, "type", "message");
    mt_jw_kcstr(a->w, "status", a->is_cut && is_last ? "incomplete" : "completed");
    mt_jw_kcstr(a->w, "role", "assistant");
    mt_jw_key(a->w, "content"), mt_jw_array(a->w);
}

static bool is_words(const struct mt_out_part *part)
{
    return part->kind == MT_OUT_TEXT || part->kind == MT_OUT_REFUSAL ||
           (part->kind == MT_OUT_MEDIA && !mt_str_starts(part->mime, MT_STR("image/")));
}

static void write_words(struct writer *a, const struct mt_out_part *part, bool has_logprobs)
{
    struct mt_jw *w = a->w;
    struct mt_str text = part->text;
    char left_out[128];

    if (part->kind == MT_OUT_MEDIA) {
        snprintf(left_out, sizeof left_out, "[%.*s left out: this API cannot carry it]",
                 MT_STR_ARG(mt_str_sub(part->mime, 0, 64)));
        text = mt_str_of(left_out);
    }
    mt_jw_object(w);
    mt_jw_kcstr(w, "type", part->kind == MT_OUT_REFUSAL ? "refusal" : "output_text");
    if (part->kind == MT_OUT_REFUSAL) {
        mt_jw_kstr(w, "refusal", text);
    } else {
        mt_jw_key(w, "annotations"), mt_jw_array(w), mt_jw_end(w);
        mt_jw_key(w, "logprobs");
        mt_responses__write_logprobs(w, a->choice->logprobs,
                                     has_logprobs ? a->choice->logprobs_n : 0);
        mt_jw_kstr(w, "text", text);
    }
    mt_jw_end(w);
}

static void write_item(struct writer *a, const struct mt_out_part *part, bool is_last)
{
    struct mt_responses__item item = {
        .kind = part->kind == MT_OUT_REASONING   ? MT_RESPONSES_REASONING
                : part->kind == MT_OUT_TOOL_CALL ? MT_RESPONSES_CALL
                                                 : MT_RESPONSES_IMAGE,
        .index = a->items_n++,
        .is_incomplete = a->is_cut && is_last,
        .text = view(part->text),
        .has_summary = part->kind == MT_OUT_REASONING && !part->is_redacted,
        .signature = mt_chat__signature_out("openai", part->signature),
        .call_id = part->id,
        .name = part->name,
    };
    char id[96];

    if (part->id.len == 0) {
        snprintf(id, sizeof id, "call_%.*s%u", MT_STR_ARG(a->reply->id), item.index);
        item.call_id = mt_str_of(id);
    }
    mt_responses__write_item(a->w, a->reply, &item, MT_RESPONSES_AS_DONE);
}

static void write_output(void *ctx)
{
    struct writer *a = ctx;
    const struct mt_choice *c = a->choice;
    bool has_logprobs = true; /* they belong to the first text */

    for (size_t i = 0; i < c->parts_n; i++) {
        if (!is_words(&c->parts[i])) {
            write_item(a, &c->parts[i], i + 1 == c->parts_n);
            continue;
        }
        size_t end = i;
        while (end < c->parts_n && is_words(&c->parts[end]))
            end++;
        begin_message(a, end == c->parts_n);
        for (; i < end; i++) {
            write_words(a, &c->parts[i], has_logprobs);
            has_logprobs = false;
        }
        i--;
        mt_jw_end(a->w);
        mt_jw_end(a->w);
    }
}

void mt_responses__encode_answer(const struct mt_chat_reply *reply,
                                 const struct mt_chat_answer *answer, struct mt_buf *out)
{
    static const struct mt_choice nothing;
    struct mt_jw w;
    struct writer a = {
        .w = &w,
        .reply = reply,
        .choice = answer->choices_n > 0 ? &answer->choices[0] : &nothing,
    };
    const char *reason = mt_responses__incomplete_reason(a.choice->finish);
    struct mt_responses__outcome outcome = {
        .status = reason != NULL ? "incomplete" : "completed",
        .reason = reason,
        .usage = &answer->usage,
        .write_output = write_output,
        .ctx = &a,
    };

    a.is_cut = reason != NULL;
    mt_jw_begin(&w, out);
    mt_responses__write_response(&w, reply, &outcome);
}
