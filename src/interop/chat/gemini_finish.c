/* SPDX-License-Identifier: Apache-2.0 */
/* The words of finishReason. */
#include "gemini_priv.h"

static const struct {
    const char *word;
    enum mt_finish finish;
} words[] = {
    {"STOP", MT_FINISH_STOP}, /* also after function calls */
    {"MAX_TOKENS", MT_FINISH_LENGTH},
    {"SAFETY", MT_FINISH_FILTER},
    {"RECITATION", MT_FINISH_FILTER},
    {"LANGUAGE", MT_FINISH_FILTER},
    {"BLOCKLIST", MT_FINISH_FILTER},
    {"PROHIBITED_CONTENT", MT_FINISH_FILTER},
    {"SPII", MT_FINISH_FILTER},
    {"MODEL_ARMOR", MT_FINISH_FILTER},
    {"IMAGE_SAFETY", MT_FINISH_FILTER},
    {"IMAGE_PROHIBITED_CONTENT", MT_FINISH_FILTER},
    {"IMAGE_RECITATION", MT_FINISH_FILTER},
    {"CONTINUATION", MT_FINISH_PAUSE},
    {"MALFORMED_FUNCTION_CALL", MT_FINISH_UNKNOWN},
    {"UNEXPECTED_TOOL_CALL", MT_FINISH_UNKNOWN},
    {"TOO_MANY_TOOL_CALLS", MT_FINISH_UNKNOWN},
    {"MISSING_THOUGHT_SIGNATURE", MT_FINISH_UNKNOWN},
    {"MALFORMED_RESPONSE", MT_FINISH_UNKNOWN},
    {"NO_IMAGE", MT_FINISH_UNKNOWN},
    {"IMAGE_OTHER", MT_FINISH_UNKNOWN},
    {"OTHER", MT_FINISH_UNKNOWN},
};

const char *mt_gemini__finish_name(enum mt_finish finish)
{
    switch (finish) {
    case MT_FINISH_LENGTH:
    case MT_FINISH_BUDGET:
        return "MAX_TOKENS";
    case MT_FINISH_FILTER:
        return "SAFETY";
    case MT_FINISH_REFUSAL:
        return "PROHIBITED_CONTENT";
    case MT_FINISH_PAUSE:
    case MT_FINISH_UNKNOWN:
        return "OTHER";
    case MT_FINISH_STOP:
    case MT_FINISH_TOOL_CALLS:
    case MT_FINISH_LOADED:
    case MT_FINISH_UNLOADED:
        return "STOP";
    }
    return "OTHER";
}

enum mt_finish mt_gemini__finish_of(const struct mt_json *reason, bool has_calls)
{
    for (size_t i = 0; i < MT_ARRAY_LEN(words); i++) {
        if (!mt_json_is(reason, words[i].word))
            continue;
        return words[i].finish == MT_FINISH_STOP && has_calls ? MT_FINISH_TOOL_CALLS
                                                              : words[i].finish;
    }
    return MT_FINISH_UNKNOWN;
}
