/* SPDX-License-Identifier: Apache-2.0 */
/* wire/json_writer.h - writing JSON straight into a buffer, commas and escapes included.
 *
 * Failures are the buffer's (sticky; see base/buf.h). Wrong nesting is a bug and asserts.
 * Pure; no allocation of its own.
 *
 *   mt_jw_begin(&w, &buf);
 *   mt_jw_object(&w);
 *   mt_jw_key(&w, "model"), mt_jw_str(&w, model);
 *   mt_jw_end(&w);
 */
#ifndef MT_WIRE_JSON_WRITER_H
#define MT_WIRE_JSON_WRITER_H

#include "base/buf.h"

enum { MT_JW_DEPTH_MAX = 63 };

struct mt_jw {
    struct mt_buf *buf;
    uint64_t is_object_; /* a bit per level */
    uint64_t has_items_;
    unsigned depth_;
    bool after_key_;
};

void mt_jw_begin(struct mt_jw *w, struct mt_buf *buf);

void mt_jw_object(struct mt_jw *w);
void mt_jw_array(struct mt_jw *w);
void mt_jw_end(struct mt_jw *w); /* closes the innermost object or array */

void mt_jw_key(struct mt_jw *w, const char *key); /* a literal without characters to escape */
void mt_jw_key_str(struct mt_jw *w, struct mt_str key);

/** A string; bytes that are not UTF-8 become U+FFFD, control characters are escaped. */
void mt_jw_str(struct mt_jw *w, struct mt_str text);
void mt_jw_cstr(struct mt_jw *w, const char *text); /* NULL writes null */
void mt_jw_i64(struct mt_jw *w, int64_t value);
void mt_jw_f64(struct mt_jw *w,
               double value); /* shortest that reads back equal; null if not finite */
void mt_jw_f32(struct mt_jw *w, float value); /* as many digits as a float has */
void mt_jw_bool(struct mt_jw *w, bool value);
void mt_jw_null(struct mt_jw *w);

/** A value that is JSON already, written as it is; an empty one writes null. */
void mt_jw_raw(struct mt_jw *w, struct mt_str json);

/* key and value in one */
void mt_jw_kstr(struct mt_jw *w, const char *key, struct mt_str text);
void mt_jw_kcstr(struct mt_jw *w, const char *key, const char *text);
void mt_jw_ki64(struct mt_jw *w, const char *key, int64_t value);
void mt_jw_kf64(struct mt_jw *w, const char *key, double value);
void mt_jw_kbool(struct mt_jw *w, const char *key, bool value);
void mt_jw_kraw(struct mt_jw *w, const char *key, struct mt_str json);

/** Only the escaped characters of a JSON string, without quotes: for strings written in parts.
 */
void mt_json_escape(struct mt_buf *buf, struct mt_str text);

#endif
