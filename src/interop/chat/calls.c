/* SPDX-License-Identifier: Apache-2.0 */
/* Matching of tool results to calls, and arguments gathered from fragments. */
#include "calls.h"

#include <string.h>

#include "chat_priv.h"

static void forget(struct mt_chat__calls *calls, size_t at)
{
    memmove(&calls->open[at], &calls->open[at + 1],
            (calls->open_n - at - 1) * sizeof calls->open[0]);
    calls->open_n--;
}

static mt_rc make_id(struct mt_chat__calls *calls, struct mt_arena *arena, struct mt_str *out,
                     struct mt_err *err)
{
    struct mt_str id = mt_arena_printf(arena, "call_%u", calls->made_n);

    if (id.at == NULL)
        return mt_arena_fail(arena, err);
    calls->made_n++;
    *out = id;
    return MT_OK;
}

mt_rc mt_chat__calls_add(struct mt_chat__calls *calls, struct mt_arena *arena,
                         struct mt_chat_part *call, struct mt_err *err)
{
    if (call->id.len == 0)
        MT_TRY(make_id(calls, arena, &call->id, err));
    if (calls->open_n == MT_CHAT_CALLS_OPEN_MAX)
        forget(calls, 0);
    calls->open[calls->open_n++] = (struct mt_chat__call){call->id, call->name};
    return MT_OK;
}

static bool answers(const struct mt_chat_part *result, const struct mt_chat__call *call)
{
    if (result->id.len > 0)
        return mt_str_eq(result->id, call->id);
    return result->name.len == 0 || mt_str_eq(result->name, call->name);
}

mt_rc mt_chat__calls_answer(struct mt_chat__calls *calls, struct mt_arena *arena,
                            struct mt_chat_part *result, struct mt_err *err)
{
    for (size_t i = 0; i < calls->open_n; i++) {
        if (!answers(result, &calls->open[i]))
            continue;
        result->id = calls->open[i].id;
        if (result->name.len == 0)
            result->name = calls->open[i].name;
        forget(calls, i);
        return MT_OK;
    }
    return result->id.len > 0 ? MT_OK : make_id(calls, arena, &result->id, err);
}

bool mt_chat__gather_add(struct mt_chat__gather *text, struct mt_arena *arena,
                         struct mt_str more)
{
    if (more.len == 0)
        return true;
    if (text->cap - text->len < more.len) {
        size_t cap = text->cap * 2 + more.len + 64;
        char *grown = mt_arena_get(arena, cap, 1);
        if (grown == NULL)
            return false;
        if (text->len > 0)
            memcpy(grown, text->at, text->len);
        text->at = grown;
        text->cap = cap;
    }
    memcpy(text->at + text->len, more.at, more.len);
    text->len += more.len;
    return true;
}

struct mt_str mt_chat__sniff_mime(struct mt_str base64)
{
    static const struct {
        struct mt_str begin; /* base64 of the magic number */
        struct mt_str mime;
    } known[] = {
        {MT_STR_INIT("iVBORw0KGg"), MT_STR_INIT("image/png")},
        {MT_STR_INIT("/9j/"), MT_STR_INIT("image/jpeg")},
        {MT_STR_INIT("R0lGOD"), MT_STR_INIT("image/gif")},
        {MT_STR_INIT("UklGR"), MT_STR_INIT("image/webp")},
        {MT_STR_INIT("Qk"), MT_STR_INIT("image/bmp")},
        {MT_STR_INIT("JVBERi"), MT_STR_INIT("application/pdf")},
    };

    for (size_t i = 0; i < MT_ARRAY_LEN(known); i++)
        if (mt_str_starts(base64, known[i].begin))
            return known[i].mime;
    return MT_STR("");
}
