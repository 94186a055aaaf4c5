/* SPDX-License-Identifier: Apache-2.0 */
/* json_closing.h - how far a JSON text is from its end, and which next bytes bring it nearer.
 *
 * A grammar keeps an answer valid but not short: when its tokens run out, the one that closes
 * most is taken of those that the grammar allows. Pure. */
#ifndef MT_LOCAL_JSON_CLOSING_H
#define MT_LOCAL_JSON_CLOSING_H

#include "base/str.h"

/* All zero: nothing was written yet. */
struct mt_closing {
    unsigned depth; /* objects and arrays that are open */
    bool in_string, is_escaped, has_begun;
};

void mt_closing_feed(struct mt_closing *closing, struct mt_str bytes);

/** Bytes that the text wants at least until it is whole. */
unsigned mt_closing_need(const struct mt_closing *closing);

/** How far the text would be from its end after these bytes; the lower, the nearer. */
unsigned mt_closing_cost(const struct mt_closing *closing, struct mt_str bytes);

#endif
