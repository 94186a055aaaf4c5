/* SPDX-License-Identifier: Apache-2.0 */
/* chat/responses.h - what stands behind "store" and "previous_response_id" of OpenAI Responses:
 * the record of a response, a request that goes on from one, and the list of what went in.
 *
 * A record is JSON, kept by the gateway under the response's id:
 *
 *   {"response": the response object as the client got it,
 *    "items": [all input items, earlier turns included, then the output items]}
 *
 * Every item of a record has an id, and the content of a message is a list. Instructions are
 * not carried from turn to turn; that is the dialect's rule. Pure; what is written may be cut
 * by a buffer's maximum only with a failure. */
#ifndef MT_CHAT_RESPONSES_H
#define MT_CHAT_RESPONSES_H

#include "base/buf.h"
#include "wire/json.h"

enum {
    MT_RESPONSES_STORED_ITEMS_MAX = 16384, /* of one conversation */
    MT_RESPONSES_PAGE_MAX = 100,
};

/** The body of a request that goes on from record: its input comes after the record's items,
 * and previous_response_id is taken out (keep it for mt_chat_reply). A reference to an item of
 * the record is dropped, since the item is there. All else stays byte for byte.
 *
 * @param body       the request as it came; borrowed, with text, the bytes it was parsed from
 * @param out        initialised by the caller; on failure what it holds is of no use
 * @return MT_OK, MT_E_CORRUPT (no such record), MT_E_INVALID (input), MT_E_TOOBIG, MT_E_NOMEM
 */
mt_rc mt_responses_expand(const struct mt_json *record, const struct mt_json *body,
                          struct mt_str text, struct mt_buf *out, struct mt_err *err);

/** The record of a response.
 *
 * @param body       the request, expanded if it went on from another
 * @param response   the response object: of encode_answer, or of the stream's last event
 * @return MT_OK, MT_E_INVALID (input or response), MT_E_TOOBIG, MT_E_NOMEM */
mt_rc mt_responses_record(const struct mt_json *body, const struct mt_json *response,
                          struct mt_buf *out, struct mt_err *err);

enum mt_responses_order { MT_RESPONSES_NEWEST_FIRST, MT_RESPONSES_OLDEST_FIRST };

struct mt_responses_page {
    struct mt_str after; /* id of the item before the page; empty = from the beginning */
    size_t limit_n;      /* 0 = 20; at most MT_RESPONSES_PAGE_MAX */
    enum mt_responses_order order;
};

/** Body of GET /v1/responses/{id}/input_items.
 *  @return MT_OK, MT_E_CORRUPT (no such record), MT_E_NOTFOUND (after), MT_E_TOOBIG, MT_E_NOMEM
 */
mt_rc mt_responses_input_items(const struct mt_json *record,
                               const struct mt_responses_page *page, struct mt_buf *out,
                               struct mt_err *err);

#endif
