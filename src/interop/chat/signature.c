/* SPDX-License-Identifier: Apache-2.0 */
#include "signature.h"

#include <string.h>

static bool has_tag(struct mt_str signature)
{
    size_t colon = mt_str_find_char(signature, ':');

    if (colon == 0 || colon == signature.len || colon > 16)
        return false;
    for (size_t i = 0; i < colon; i++)
        if (signature.at[i] < 'a' || signature.at[i] > 'z')
            return false;
    return true;
}

struct mt_str mt_chat__signature_in(const char *maker, struct mt_str wire,
                                    struct mt_arena *arena)
{
    if (wire.len == 0 || has_tag(wire))
        return wire.at != NULL ? wire : MT_STR("");
    struct mt_str tag = mt_str_of(maker);
    char *tagged = mt_arena_get(arena, tag.len + 1 + wire.len, 1);
    if (tagged == NULL)
        return (struct mt_str){NULL, 0};
    memcpy(tagged, tag.at, tag.len);
    tagged[tag.len] = ':';
    memcpy(tagged + tag.len + 1, wire.at, wire.len);
    return (struct mt_str){tagged, tag.len + 1 + wire.len};
}

struct mt_str mt_chat__signature_out(const char *maker, struct mt_str signature)
{
    struct mt_str tag = mt_str_of(maker);

    if (has_tag(signature) && mt_str_starts(signature, tag) && signature.at[tag.len] == ':')
        return mt_str_sub(signature, tag.len + 1, signature.len);
    return signature;
}

struct mt_str mt_chat__signature_for(const char *maker, struct mt_str signature)
{
    struct mt_str bare = mt_chat__signature_out(maker, signature);

    return has_tag(bare) ? MT_STR("") : bare;
}
