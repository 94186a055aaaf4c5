/* SPDX-License-Identifier: Apache-2.0 */
/* Tokens guessed from bytes, for engines that cannot count. */
#include "engine/engine.h"

enum { BYTES_PER_TOKEN = 4, TOKENS_PER_MESSAGE = 3 };

static size_t parts_bytes(const struct mt_chat_part *parts, size_t n)
{
    size_t bytes = 0;

    for (size_t i = 0; i < n; i++)
        bytes += parts[i].text.len + parts[i].name.len + parts[i].json.len +
                 parts_bytes(parts[i].parts, parts[i].parts_n);
    return bytes;
}

int64_t mt_engine_estimate_tokens(const struct mt_chat_request *request)
{
    size_t bytes = request->suffix.len;

    for (size_t i = 0; i < request->messages_n; i++)
        bytes += parts_bytes(request->messages[i].parts, request->messages[i].parts_n);
    for (size_t i = 0; i < request->prompts_n; i++)
        bytes += request->prompts[i].len;
    for (size_t i = 0; i < request->tools_n; i++)
        bytes += request->tools[i].name.len + request->tools[i].description.len +
                 request->tools[i].schema_json.len;
    int64_t tokens = (int64_t)(bytes + BYTES_PER_TOKEN - 1) / BYTES_PER_TOKEN;
    return tokens + TOKENS_PER_MESSAGE * (int64_t)request->messages_n + (tokens == 0);
}
