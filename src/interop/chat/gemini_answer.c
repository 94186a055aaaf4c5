/* SPDX-License-Identifier: Apache-2.0 */
/* Whole answers as Gemini gives them, and the pieces that its streams have in common with them.
 */
#include "calls.h"
#include "gemini_priv.h"

static void write_token(struct mt_jw *w, struct mt_str token, float logprob)
{
    mt_jw_object(w);
    mt_jw_kstr(w, "token", token);
    mt_jw_key(w, "logProbability");
    mt_jw_f32(w, logprob);
    mt_jw_end(w);
}

void mt_gemini__write_logprobs(struct mt_jw *w, const struct mt_token_logprob *items, size_t n)
{
    if (n == 0)
        return;
    mt_jw_key(w, "logprobsResult");
    mt_jw_object(w);
    mt_jw_key(w, "topCandidates");
    mt_jw_array(w);
    for (size_t i = 0; i < n; i++) {
        mt_jw_object(w);
        mt_jw_key(w, "candidates");
        mt_jw_array(w);
        for (size_t j = 0; j < items[i].top_n; j++)
            write_token(w, items[i].top[j].token, items[i].top[j].logprob);
        mt_jw_end(w);
        mt_jw_end(w);
    }
    mt_jw_end(w);
    mt_jw_key(w, "chosenCandidates");
    mt_jw_array(w);
    for (size_t i = 0; i < n; i++)
        write_token(w, items[i].token, items[i].logprob);
    mt_jw_end(w);
    mt_jw_end(w);
}

/* Gemini counts thoughts beside the candidates' tokens, we count them among the output. */
void mt_gemini__write_usage(struct mt_jw *w, const struct mt_usage *usage)
{
    int64_t thoughts = usage->reasoning_tokens;
    int64_t said = usage->output_tokens > thoughts ? usage->output_tokens - thoughts : 0;

    mt_jw_key(w, "usageMetadata");
    mt_jw_object(w);
    mt_jw_ki64(w, "promptTokenCount", usage->input_tokens);
    mt_jw_ki64(w, "candidatesTokenCount", said);
    mt_jw_ki64(w, "totalTokenCount", usage->input_tokens + usage->output_tokens);
    if (usage->cached_tokens > 0)
        mt_jw_ki64(w, "cachedContentTokenCount", usage->cached_tokens);
    if (thoughts > 0)
        mt_jw_ki64(w, "thoughtsTokenCount", thoughts);
    mt_jw_end(w);
}

void mt_gemini__write_names(struct mt_jw *w, const struct mt_chat_reply *reply)
{
    mt_jw_kstr(w, "modelVersion", reply->model);
    mt_jw_kstr(w, "responseId", reply->id);
}

void mt_gemini__write_call(struct mt_jw *w, struct mt_str id, struct mt_str name,
                           struct mt_str args, struct mt_str signature)
{
    mt_jw_object(w);
    mt_jw_key(w, "functionCall");
    mt_jw_object(w);
    if (id.len > 0)
        mt_jw_kstr(w, "id", id);
    mt_jw_kstr(w, "name", name);
    mt_jw_key(w, "args");
    mt_chat__write_object(w, args);
    mt_jw_end(w);
    if (signature.len > 0)
        mt_jw_kstr(w, "thoughtSignature", signature);
    mt_jw_end(w);
}

static void write_text(struct mt_jw *w, const struct mt_out_part *part)
{
    struct mt_str signature = mt_chat__signature_for(MT_GEMINI_MAKER, part->signature);

    mt_jw_object(w);
    mt_jw_kstr(w, "text", part->text);
    if (part->kind == MT_OUT_REASONING)
        mt_jw_kbool(w, "thought", true);
    if (signature.len > 0)
        mt_jw_kstr(w, "thoughtSignature", signature);
    mt_jw_end(w);
}

static void write_media(struct mt_jw *w, const struct mt_out_part *part)
{
    mt_jw_object(w);
    mt_jw_key(w, "inlineData");
    mt_jw_object(w);
    mt_jw_kstr(w, "mimeType", part->mime);
    mt_jw_kstr(w, "data", part->text);
    mt_jw_end(w);
    mt_jw_end(w);
}

/* @return false when the part has no place: hidden reasoning, or thoughts nobody asked for */
static bool write_part(struct mt_jw *w, const struct mt_out_part *part, bool wants_thoughts)
{
    switch (part->kind) {
    case MT_OUT_REASONING:
        if (part->is_redacted || !wants_thoughts)
            return false;
        write_text(w, part);
        return true;
    case MT_OUT_TEXT:
    case MT_OUT_REFUSAL:
        write_text(w, part);
        return true;
    case MT_OUT_MEDIA:
        write_media(w, part);
        return true;
    case MT_OUT_TOOL_CALL:
        mt_gemini__write_call(w, part->id, part->name, part->text,
                              mt_chat__signature_for(MT_GEMINI_MAKER, part->signature));
        return true;
    }
    return false;
}

static void write_candidate(struct mt_jw *w, const struct mt_choice *choice, size_t index,
                            bool wants_thoughts)
{
    size_t written = 0;

    mt_jw_object(w);
    mt_jw_key(w, "content");
    mt_jw_object(w);
    mt_jw_key(w, "parts");
    mt_jw_array(w);
    for (size_t i = 0; i < choice->parts_n; i++)
        written += write_part(w, &choice->parts[i], wants_thoughts);
    if (written == 0) /* clients take an answer without parts for a broken one */
        mt_jw_raw(w, MT_STR("{\"text\":\"\"}"));
    mt_jw_end(w);
    mt_jw_kcstr(w, "role", "model");
    mt_jw_end(w);
    mt_jw_kcstr(w, "finishReason", mt_gemini__finish_name(choice->finish));
    mt_jw_ki64(w, "index", (int64_t)index);
    mt_gemini__write_logprobs(w, choice->logprobs, choice->logprobs_n);
    mt_jw_end(w);
}

void mt_gemini__encode_answer(const struct mt_chat_reply *reply,
                              const struct mt_chat_answer *answer, struct mt_buf *out)
{
    bool wants_thoughts = reply->request != NULL && reply->request->include_reasoning == MT_YES;
    struct mt_jw w;

    mt_jw_begin(&w, out);
    mt_jw_object(&w);
    mt_jw_key(&w, "candidates");
    mt_jw_array(&w);
    for (size_t i = 0; i < answer->choices_n; i++)
        write_candidate(&w, &answer->choices[i], i, wants_thoughts);
    mt_jw_end(&w);
    mt_gemini__write_usage(&w, &answer->usage);
    mt_gemini__write_names(&w, reply);
    mt_jw_end(&w);
}
