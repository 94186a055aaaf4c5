/* SPDX-License-Identifier: Apache-2.0 */
#include "whole.h"

static void in_string(struct mt_chat__whole *whole, char c)
{
    if (whole->is_escaped)
        whole->is_escaped = false;
    else if (c == '\\')
        whole->is_escaped = true;
    else if (c == '"')
        whole->in_string = false;
}

void mt_chat__whole_follow(struct mt_chat__whole *whole, struct mt_str piece)
{
    for (size_t i = 0; i < piece.len && !whole->is_whole; i++) {
        char c = piece.at[i];
        if (whole->in_string)
            in_string(whole, c);
        else if (c == '"')
            whole->in_string = true;
        else if (c == '{' || c == '[')
            whole->depth++;
        else if ((c == '}' || c == ']') && whole->depth > 0)
            whole->is_whole = --whole->depth == 0;
    }
}
