/* SPDX-License-Identifier: Apache-2.0 */
/* chat/gemini.h - what a gateway needs of the Gemini API besides its codec: its paths, the
 * question "how many tokens", and the type of its streams.
 *
 * Pure. */
#ifndef MT_CHAT_GEMINI_H
#define MT_CHAT_GEMINI_H

#include "chat/codec.h"

enum mt_gemini_method {
    MT_GEMINI_GET, /* "models/NAME" with no method: the card of a model */
    MT_GEMINI_GENERATE,
    MT_GEMINI_STREAM,
    MT_GEMINI_COUNT_TOKENS,
    MT_GEMINI_EMBED,
    MT_GEMINI_BATCH_EMBED,
    MT_GEMINI_UNKNOWN,
};

/** Take "/v1beta/models/NAME:method" apart: path is percent-decoded and without query; what
 *  stands in front of "models/" does not matter. NAME may hold slashes and colons, the method
 *  is what follows the last colon if it is a method's name
 * ("models/hf.co/a/b:Q4:generateContent" is NAME "hf.co/a/b:Q4"). *model points into path.
 *  @return false when path has no "models/NAME" */
bool mt_gemini_path(struct mt_str path, struct mt_str *model, enum mt_gemini_method *method);

/** Content-Type of a stream: SSE with ?alt=sse, else one JSON array written as it grows. */
const char *mt_gemini_stream_content_type(const struct mt_chat_route *route);

/** Read the body of countTokens: {"contents"} or {"generateContentRequest":{...}}. As
 *  decode_request of mt_codec_gemini. */
mt_rc mt_gemini_decode_count(const struct mt_json *body, const struct mt_chat_route *route,
                             struct mt_chat_request *out, struct mt_err *err);

#endif
