/* SPDX-License-Identifier: Apache-2.0 */
/* chat/splice.h - editing top-level members of a JSON object without reading the rest.
 *
 * Pure. */
#ifndef MT_CHAT_SPLICE_H
#define MT_CHAT_SPLICE_H

#include "base/buf.h"
#include "wire/json.h"

struct mt_splice {
    const char *key;
    struct mt_str raw; /* JSON to put in its place; empty = take the member out */
    bool only_replace; /* do nothing when the member is absent, instead of adding it */
};

/** Copy the object to out with the edits done; all other bytes as they stand. All members with
 * an edited key are edited (duplicates are taken out). */
void mt_splice(const struct mt_json *object, struct mt_str text, const struct mt_splice *edits,
               size_t edits_n, struct mt_buf *out);

#endif
