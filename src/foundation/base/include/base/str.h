/* SPDX-License-Identifier: Apache-2.0 */
/* base/str.h - a borrowed slice of bytes: text inside the program.
 *
 * Not NUL-terminated; at may be NULL when len is 0. Pure, any thread. */
#ifndef MT_BASE_STR_H
#define MT_BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct mt_str {
    const char *at;
    size_t len;
};

/** Slice of a string literal, usable in static initialisers. */
#define MT_STR(literal) ((struct mt_str){("" literal), sizeof(literal) - 1})
#define MT_STR_INIT(literal)              \
    {                                     \
        ("" literal), sizeof(literal) - 1 \
    }

/** For printf("%.*s"): precision and pointer of a slice. */
#define MT_STR_ARG(str) \
    (int)((str).len > 1000000 ? 1000000 : (str).len), ((str).at ? (str).at : "")

/** Slice of a NUL-terminated string; NULL gives the empty slice. */
struct mt_str mt_str_of(const char *text);

bool mt_str_eq(struct mt_str a, struct mt_str b);
bool mt_str_is(struct mt_str a, const char *text); /* equal to a NUL-terminated string */
bool mt_str_ieq(struct mt_str a, struct mt_str b); /* ASCII case ignored */
bool mt_str_starts(struct mt_str text, struct mt_str prefix);
bool mt_str_ends(struct mt_str text, struct mt_str suffix);

/** Where needle begins, or text.len when it does not occur. */
size_t mt_str_find(struct mt_str text, struct mt_str needle);
size_t mt_str_find_char(struct mt_str text, char wanted);

/** Bytes [from, to), both clamped to the text. */
struct mt_str mt_str_sub(struct mt_str text, size_t from, size_t to);

/** Without spaces, tabs, CR and LF at both ends. */
struct mt_str mt_str_trim(struct mt_str text);

/** Take the part before the separator off the front; the rest, without it, stays in *text.
 *  Without a separator the whole text is taken and *text becomes empty. */
struct mt_str mt_str_take(struct mt_str *text, char separator);

/** Whole text as decimal number in [min, max]; false (and *out untouched) otherwise. */
bool mt_str_to_i64(struct mt_str text, int64_t min, int64_t max, int64_t *out);

/** Whole text as a finite decimal floating number; independent of locale. */
bool mt_str_to_f64(struct mt_str text, double *out);

/** FNV-1a, 64 bits, with a seed; for maps and caches, not for security. */
uint64_t mt_str_hash(struct mt_str text, uint64_t seed);

/** Edit distance (insert, delete, replace), at most max + 1; texts over 64 bytes count as far.
 *  For "did you mean". */
unsigned mt_str_distance(struct mt_str a, struct mt_str b, unsigned max);

/** Is it valid UTF-8 (RFC 3629: no surrogates, no overlong forms)? */
bool mt_str_is_utf8(struct mt_str text);

/** Longest prefix that does not end inside a UTF-8 sequence; what follows may complete it. */
size_t mt_str_utf8_whole(struct mt_str text);

#endif
