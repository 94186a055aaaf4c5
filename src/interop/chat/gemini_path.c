/* SPDX-License-Identifier: Apache-2.0 */
/* Paths of the Gemini API, and what depends on them. */
#include "chat/gemini.h"

static const struct {
    struct mt_str name;
    enum mt_gemini_method method;
} methods[] = {
    {MT_STR_INIT("generateContent"), MT_GEMINI_GENERATE},
    {MT_STR_INIT("streamGenerateContent"), MT_GEMINI_STREAM},
    {MT_STR_INIT("countTokens"), MT_GEMINI_COUNT_TOKENS},
    {MT_STR_INIT("embedContent"), MT_GEMINI_EMBED},
    {MT_STR_INIT("batchEmbedContents"), MT_GEMINI_BATCH_EMBED},
};

static enum mt_gemini_method method_of(struct mt_str name)
{
    for (size_t i = 0; i < MT_ARRAY_LEN(methods); i++)
        if (mt_str_eq(name, methods[i].name))
            return methods[i].method;
    return MT_GEMINI_UNKNOWN;
}

/* Names of methods are words: anything else behind a colon is a tag of the model ("llama:8b").
 */
static bool is_word(struct mt_str text)
{
    for (size_t i = 0; i < text.len; i++)
        if ((text.at[i] | 0x20) < 'a' || (text.at[i] | 0x20) > 'z')
            return false;
    return text.len > 0;
}

static size_t last_colon(struct mt_str text)
{
    for (size_t i = text.len; i > 0; i--)
        if (text.at[i - 1] == ':')
            return i - 1;
    return text.len;
}

bool mt_gemini_path(struct mt_str path, struct mt_str *model, enum mt_gemini_method *method)
{
    static const struct mt_str mark = MT_STR_INIT("models/");
    size_t at = mt_str_find(path, mark);

    if (at == path.len || (at > 0 && path.at[at - 1] != '/'))
        return false;
    struct mt_str name = mt_str_sub(path, at + mark.len, path.len);
    size_t colon = last_colon(name);
    struct mt_str tail = mt_str_sub(name, colon + 1, name.len);
    enum mt_gemini_method found = colon == name.len ? MT_GEMINI_GET : method_of(tail);
    bool is_tag = found == MT_GEMINI_UNKNOWN && !is_word(tail);

    if (is_tag)
        found = MT_GEMINI_GET;
    else if (found != MT_GEMINI_GET)
        name = mt_str_sub(name, 0, colon);
    if (name.len == 0)
        return false;
    *model = name;
    *method = found;
    return true;
}

const char *mt_gemini_stream_content_type(const struct mt_chat_route *route)
{
    return route->alt_sse ? "text/event-stream" : "application/json";
}
