/* SPDX-License-Identifier: Apache-2.0 */
/* whole.h - is a JSON object that comes in pieces closed by now? Brackets and strings are
 * followed; nothing is validated. Zero is the start. Pure. */
#ifndef MT_CHAT_WHOLE_H
#define MT_CHAT_WHOLE_H

#include "base/str.h"

struct mt_chat__whole {
    unsigned depth;
    bool in_string, is_escaped;
    bool is_whole;
};

void mt_chat__whole_follow(struct mt_chat__whole *whole, struct mt_str piece);

#endif
