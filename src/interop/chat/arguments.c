/* SPDX-License-Identifier: Apache-2.0 */
/* A model writes the arguments of its tool calls, so they may be anything; dialects that carry
 * them as an object must not be handed broken JSON. This walk only says yes or no: it takes no
 * memory and so cannot fail, which the encoders of events need (documents of wire/json.h can).
 */
#include "chat_priv.h"

struct walk {
    struct mt_str left;
    unsigned depth;
};

static void skip_space(struct walk *w)
{
    while (w->left.len > 0 && (w->left.at[0] == ' ' || w->left.at[0] == '\n' ||
                               w->left.at[0] == '\r' || w->left.at[0] == '\t'))
        w->left = mt_str_sub(w->left, 1, w->left.len);
}

static bool take(struct walk *w, char wanted)
{
    if (w->left.len == 0 || w->left.at[0] != wanted)
        return false;
    w->left = mt_str_sub(w->left, 1, w->left.len);
    return true;
}

static bool is_hex(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static bool take_escape(struct walk *w)
{
    static const char plain[] = "\"\\/bfnrt";

    for (size_t i = 0; i < sizeof plain - 1; i++) {
        if (take(w, plain[i]))
            return true;
    }
    if (!take(w, 'u') || w->left.len < 4)
        return false;
    for (size_t i = 0; i < 4; i++) {
        if (!is_hex(w->left.at[i]))
            return false;
    }
    w->left = mt_str_sub(w->left, 4, w->left.len);
    return true;
}

static bool take_string(struct walk *w)
{
    if (!take(w, '"'))
        return false;
    while (w->left.len > 0) {
        if (take(w, '"'))
            return true;
        if (take(w, '\\')) {
            if (!take_escape(w))
                return false;
            continue;
        }
        if ((unsigned char)w->left.at[0] < ' ')
            return false;
        w->left = mt_str_sub(w->left, 1, w->left.len);
    }
    return false;
}

static bool take_digits(struct walk *w)
{
    size_t n = 0;

    while (n < w->left.len && w->left.at[n] >= '0' && w->left.at[n] <= '9')
        n++;
    w->left = mt_str_sub(w->left, n, w->left.len);
    return n > 0;
}

static bool take_number(struct walk *w)
{
    (void)take(w, '-');
    if (!take(w, '0') && !take_digits(w))
        return false;
    if (take(w, '.') && !take_digits(w))
        return false;
    if (take(w, 'e') || take(w, 'E')) {
        if (!take(w, '+'))
            (void)take(w, '-');
        return take_digits(w);
    }
    return true;
}

static bool take_word(struct walk *w, struct mt_str word)
{
    if (!mt_str_starts(w->left, word))
        return false;
    w->left = mt_str_sub(w->left, word.len, w->left.len);
    return true;
}

static bool take_value(struct walk *w);

static bool take_items(struct walk *w, char end)
{
    skip_space(w);
    if (take(w, end))
        return true;
    do {
        skip_space(w);
        if (end == '}') {
            if (!take_string(w))
                return false;
            skip_space(w);
            if (!take(w, ':'))
                return false;
        }
        if (!take_value(w))
            return false;
        skip_space(w);
    } while (take(w, ','));
    return take(w, end);
}

/* Depth is bounded as everywhere (MT_JSON_DEPTH_MAX), so recursion is. */
static bool take_container(struct walk *w, char end)
{
    if (w->depth == MT_JSON_DEPTH_MAX)
        return false;
    w->depth++;
    bool is_whole = take_items(w, end);
    w->depth--;
    return is_whole;
}

static bool take_value(struct walk *w)
{
    skip_space(w);
    if (take(w, '{'))
        return take_container(w, '}');
    if (take(w, '['))
        return take_container(w, ']');
    if (w->left.len > 0 && w->left.at[0] == '"')
        return take_string(w);
    return take_word(w, MT_STR("true")) || take_word(w, MT_STR("false")) ||
           take_word(w, MT_STR("null")) || take_number(w);
}

bool mt_chat__is_object(struct mt_str json)
{
    struct walk w = {.left = mt_str_trim(json)};

    if (w.left.len == 0 || w.left.at[0] != '{' || !take_value(&w) || w.left.len > 0)
        return false;
    return mt_str_is_utf8(json);
}

struct mt_str mt_chat__object_or_empty(struct mt_str json)
{
    return mt_chat__is_object(json) ? mt_str_trim(json) : MT_STR("{}");
}

void mt_chat__write_object(struct mt_jw *w, struct mt_str json)
{
    size_t from = w->buf->len;

    mt_jw_raw(w, mt_chat__object_or_empty(json));
    if (w->buf->rc != MT_OK)
        return;
    for (size_t i = from; i < w->buf->len; i++) { /* strings hold no bare line breaks */
        if (w->buf->at[i] == '\n' || w->buf->at[i] == '\r')
            w->buf->at[i] = ' ';
    }
}
