/* SPDX-License-Identifier: Apache-2.0 */
/* chat/chat_priv.h - what the codecs share: reading fields with errors that name their place,
 * fields nobody knows, data URLs, ids, and the fixed words of finish reasons.
 *
 * The readers: an absent or null member leaves *out alone; a wrong type is MT_E_INVALID,
 * "where.key: expected a string, found an array". where may be "". */
#ifndef MT_CHAT_PRIV_H
#define MT_CHAT_PRIV_H

#include "base/alloc.h"
#include "base/assert.h"
#include "chat/codec.h"
#include "chat/splice.h"
#include "wire/json_writer.h"

mt_rc mt_chat__str(const struct mt_json *object, const char *where, const char *key,
                   struct mt_arena *arena, struct mt_str *out, struct mt_err *err);
mt_rc mt_chat__bool(const struct mt_json *object, const char *where, const char *key, bool *out,
                    struct mt_err *err);
mt_rc mt_chat__opt_bool(const struct mt_json *object, const char *where, const char *key,
                        enum mt_opt_bool *out, struct mt_err *err);
mt_rc mt_chat__f64(const struct mt_json *object, const char *where, const char *key, double min,
                   double max, struct mt_opt_f64 *out, struct mt_err *err);
mt_rc mt_chat__i64(const struct mt_json *object, const char *where, const char *key,
                   int64_t min, int64_t max, struct mt_opt_i64 *out, struct mt_err *err);
/** The member's raw bytes, if it has the type. */
mt_rc mt_chat__raw(const struct mt_json *object, const char *where, const char *key,
                   enum mt_json_type type, struct mt_str *out, struct mt_err *err);
/** The member, if it has the type. */
mt_rc mt_chat__member(const struct mt_json *object, const char *where, const char *key,
                      enum mt_json_type type, const struct mt_json **out, struct mt_err *err);
/** The value itself as a string: for elements of arrays. */
mt_rc mt_chat__text(const struct mt_json *value, const char *where, struct mt_arena *arena,
                    struct mt_str *out, struct mt_err *err);
/** A string or an array of strings ("stop"). */
mt_rc mt_chat__strs(const struct mt_json *object, const char *where, const char *key,
                    size_t max, struct mt_arena *arena, struct mt_str *out, size_t *out_n,
                    struct mt_err *err);
/** MT_E_INVALID: "where: expected WANTED, found an array". */
mt_rc mt_chat__expected(const struct mt_json *found, const char *where, const char *wanted,
                        struct mt_err *err);

/** Put the place in front on the way up, so that good bodies pay for no formatting:
 *  "content: expected ..." within "messages[%zu]" is "messages[2].content: expected ...".
 *  Failures that name no place pass as they are. Returns rc. */
mt_rc mt_chat__within(struct mt_err *err, mt_rc rc, const char *format, ...) MT_PRINTF(3, 4);

/** Keep every member of object whose key is not in the NULL-ended list: request->extras. prefix
 *  ("options." or "") goes before the key. The "motet" member of the body is never an extra. */
mt_rc mt_chat__extras(const struct mt_json *object, const char *prefix,
                      const char *const *known, struct mt_chat_request *out,
                      struct mt_err *err);
/** As mt_chat__extras for objects that come many times (messages, tools): each prefixed key is
 * kept once, and null, [] and {} count as absent. Such extras are only ever noted. */
mt_rc mt_chat__extras_once(const struct mt_json *object, const char *prefix,
                           const char *const *known, struct mt_chat_request *out,
                           struct mt_err *err);
/** Keep one nested extra under key, once. */
mt_rc mt_chat__extra(struct mt_chat_request *out, const char *key, struct mt_str raw,
                     struct mt_err *err);

/** For encoders: note every extra when the target speaks another dialect; when it is the same
 *  one, write the top-level extras back as members. */
void mt_chat__write_extras(const struct mt_chat_request *request, enum mt_dialect target,
                           const char *target_name, struct mt_jw *w,
                           struct mt_chat_notes *notes);
/** Marks within messages and tools that not every dialect has a place for. Note each of the
 *  lost ones (bits) that the request bears, once. */
enum mt_chat_mark {
    MT_CHAT_MARK_NAME = 1,   /* of a message's author */
    MT_CHAT_MARK_CACHE = 2,  /* Anthropic's cache_control */
    MT_CHAT_MARK_FAILED = 4, /* is_error of a tool's result */
};
void mt_chat__note_marks(const struct mt_chat_request *request, unsigned lost,
                         const char *target_name, struct mt_chat_notes *notes);

/** Write the nested extras under prefix ("options.") as members, without the prefix; the caller
 * knows that the request came in its own dialect. */
void mt_chat__write_extras_under(const struct mt_chat_request *request, const char *prefix,
                                 struct mt_jw *w);

/** Arrays that grow in an arena while a list is read: *items has room for *n + 1 items
 * afterwards; doubles, copies. NULL on failure. */
void *mt_chat__push(struct mt_arena *arena, void *items, size_t n, size_t size);

/** "data:image/png;base64,AAAA" -> media.mime, media.base64; other URLs -> media.url. */
void mt_chat__media_url(struct mt_str url, struct mt_chat_media *out);

/** An image's type: as told, else read from its first bytes. */
struct mt_str mt_chat__image_mime(const struct mt_chat_media *media);

/** All text parts of a message (or of a tool result) joined by sep; borrowed when there is one,
 *  MT_STR("") when there is none, at == NULL when the arena is exhausted. */
struct mt_str mt_chat__join_text(const struct mt_chat_part *parts, size_t n, const char *sep,
                                 struct mt_arena *arena);

/** Is it one whole JSON object? Takes no memory. */
bool mt_chat__is_object(struct mt_str json);
/** A raw JSON object to write as arguments: json itself when it is an object, else "{}". It may
 *  hold line breaks between its members: in frames use mt_chat__write_object. */
struct mt_str mt_chat__object_or_empty(struct mt_str json);
/** The same, written without line breaks, fit for a line of SSE or NDJSON. */
void mt_chat__write_object(struct mt_jw *w, struct mt_str json);

/** Read an error body: {"error":{...}} of OpenAI, Anthropic and Gemini (also in an array),
 *  {"error":"text"}, {"message"}, {"detail"}, text, HTML, nothing. http_status 0: the error
 *  came inside a stream, its kind is read from its code or type. */
void mt_chat__read_error(int http_status, struct mt_str body, struct mt_chat_scratch *scratch,
                         struct mt_chat_error *out);
/** The same for a value that is parsed already. */
void mt_chat__error_of(int http_status, const struct mt_json *value, struct mt_arena *arena,
                       struct mt_chat_error *out);

/** Effort as OpenAI spells it ("minimal", "low", ...) and back; NULL / UNSAID if none. */
const char *mt_chat__effort_name(enum mt_chat_effort effort);
enum mt_chat_effort mt_chat__effort_of(struct mt_str name);
/** Thinking budget in tokens that stands for an effort, and the effort nearest to a budget. */
int64_t mt_chat__effort_budget(enum mt_chat_effort effort);
enum mt_chat_effort mt_chat__budget_effort(int64_t tokens);

#endif
