/* SPDX-License-Identifier: Apache-2.0 */
/* How hard a model is asked to think: in words, or as a budget of tokens. */
#include "chat_priv.h"

static const struct effort {
    const char *name;
    int64_t budget_tokens;
} efforts[] = {
    [MT_EFFORT_UNSAID] = {NULL, 0},          [MT_EFFORT_NONE] = {"none", 0},
    [MT_EFFORT_MINIMAL] = {"minimal", 1024}, /* the least Anthropic takes */
    [MT_EFFORT_LOW] = {"low", 2048},         [MT_EFFORT_MEDIUM] = {"medium", 8192},
    [MT_EFFORT_HIGH] = {"high", 16384},      [MT_EFFORT_XHIGH] = {"xhigh", 32768},
};

const char *mt_chat__effort_name(enum mt_chat_effort effort)
{
    return efforts[effort].name;
}

enum mt_chat_effort mt_chat__effort_of(struct mt_str name)
{
    for (size_t i = MT_EFFORT_NONE; i < MT_ARRAY_LEN(efforts); i++) {
        if (mt_str_is(name, efforts[i].name))
            return (enum mt_chat_effort)i;
    }
    return MT_EFFORT_UNSAID;
}

int64_t mt_chat__effort_budget(enum mt_chat_effort effort)
{
    return efforts[effort].budget_tokens;
}

enum mt_chat_effort mt_chat__budget_effort(int64_t tokens)
{
    enum mt_chat_effort effort = MT_EFFORT_MINIMAL;

    if (tokens < 0)
        return MT_EFFORT_UNSAID; /* "as much as you like" */
    if (tokens == 0)
        return MT_EFFORT_NONE;
    for (size_t i = MT_EFFORT_LOW; i < MT_ARRAY_LEN(efforts); i++) {
        int64_t middle = (efforts[i - 1].budget_tokens + efforts[i].budget_tokens) / 2;
        if (tokens >= middle)
            effort = (enum mt_chat_effort)i;
    }
    return effort;
}
