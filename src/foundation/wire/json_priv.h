/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of this module share: the node, and what C++ libraries do for it. */
#ifndef MT_WIRE_JSON_PRIV_H
#define MT_WIRE_JSON_PRIV_H

#include "base/str.h"

#ifdef __cplusplus
extern "C" {
#endif

/* One value. Nodes stand in document order: the first child follows its parent at once. */
struct mt_json {
    const char *at;    /* raw value in the text */
    uint32_t len;      /* its bytes */
    uint32_t next;     /* nodes to the next sibling, 0 = there is none */
    uint32_t count;    /* children */
    uint32_t key_back; /* bytes from the key (behind its quote) to at, 0 = no key */
    uint32_t key_len;
    uint8_t type; /* enum mt_json_type */
    bool has_escapes;
    bool key_has_escapes;
};

/* json_index.cpp: where every token of a text begins, by simdjson's first stage. It finds out
 * as well whether the text is UTF-8 and whether strings end and hold no control characters;
 * the grammar is not its business. */
enum mt_wire__index_rc {
    MT_WIRE__INDEX_OK,
    MT_WIRE__INDEX_NOMEM,
    MT_WIRE__INDEX_BAD, /* not UTF-8, an open string, a control character, or no token */
};

struct mt_wire__index {
    void *parser;       /* simdjson's; NULL until first used */
    size_t capacity;    /* longest text it has room for */
    const uint32_t *at; /* n offsets, ascending */
    uint32_t n;
};

/* Index text of at least one byte. */
enum mt_wire__index_rc mt_wire__index_build(struct mt_wire__index *index, struct mt_str text);
void mt_wire__index_fini(struct mt_wire__index *index);
bool mt_wire__is_utf8(struct mt_str text);

/* double.cpp: exact in both directions and blind to the locale. */
enum mt_wire__double_rc {
    MT_WIRE__DOUBLE_OK,
    MT_WIRE__DOUBLE_RANGE, /* too large or too close to zero */
    MT_WIRE__DOUBLE_BAD,
};
enum { MT_WIRE__DOUBLE_MAX = 32 };

enum mt_wire__double_rc mt_wire__double_read(struct mt_str text, double *out);
/* Shortest digits that read back equal; the answer is their number. value is finite. */
size_t mt_wire__double_write(double value, char out[MT_WIRE__DOUBLE_MAX]);
size_t mt_wire__float_write(float value, char out[MT_WIRE__DOUBLE_MAX]);

/* json_string.c; text is what stands between the quotes. */
bool mt_wire__escapes_check(struct mt_str text, size_t *bad_at);
bool mt_wire__escaped_is(struct mt_str text, struct mt_str plain);
size_t mt_wire__unescape(struct mt_str text, char *out); /* out has text.len bytes */
size_t mt_wire__utf8_prefix(struct mt_str text); /* bytes in front of the first bad one */

/* json_number.c: is the whole text a number of RFC 8259? */
bool mt_wire__number_check(struct mt_str text);

#ifdef __cplusplus
}
#endif

#endif
