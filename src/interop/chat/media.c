/* SPDX-License-Identifier: Apache-2.0 */
/* Media in URLs, and the text of parts. */
#include <string.h>

#include "calls.h"
#include "chat_priv.h"

void mt_chat__media_url(struct mt_str url, struct mt_chat_media *out)
{
    struct mt_str scheme = mt_str_sub(url, 0, 5);
    size_t comma = mt_str_find_char(url, ',');
    struct mt_str head = mt_str_sub(url, 5, comma); /* "image/png;charset=x;base64" */

    if (!mt_str_ieq(scheme, MT_STR("data:")) || comma == url.len ||
        !mt_str_ends(head, MT_STR(";base64"))) {
        out->url = url;
        return;
    }
    out->mime = mt_str_take(&head, ';');
    out->base64 = mt_str_sub(url, comma + 1, url.len);
}

struct mt_str mt_chat__image_mime(const struct mt_chat_media *media)
{
    struct mt_str mime = media->mime;

    if (mime.len == 0)
        mime = mt_chat__sniff_mime(media->base64);
    return mime.len > 0 ? mime : MT_STR("image/jpeg");
}

struct mt_str mt_chat__join_text(const struct mt_chat_part *parts, size_t n, const char *sep,
                                 struct mt_arena *arena)
{
    struct mt_str first = MT_STR("");
    size_t sep_len = strlen(sep);
    size_t count = 0;
    size_t total = 0;

    for (size_t i = 0; i < n; i++) {
        if (parts[i].kind != MT_PART_TEXT)
            continue;
        total += parts[i].text.len + (count > 0 ? sep_len : 0);
        if (count++ == 0 && parts[i].text.len > 0)
            first = parts[i].text;
    }
    if (count <= 1)
        return first;
    char *to = mt_arena_get(arena, total + 1, 1);
    if (to == NULL)
        return (struct mt_str){NULL, 0};
    struct mt_str out = {to, total};
    bool is_first = true;
    for (size_t i = 0; i < n; i++) {
        if (parts[i].kind != MT_PART_TEXT)
            continue;
        if (!is_first)
            to = mempcpy(to, sep, sep_len);
        if (parts[i].text.len > 0)
            to = mempcpy(to, parts[i].text.at, parts[i].text.len);
        is_first = false;
    }
    return out;
}
