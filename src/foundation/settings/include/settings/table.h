/* SPDX-License-Identifier: Apache-2.0 */
/* settings/table.h - a table of keys is the truth about a kind of file.
 *
 * A key is named, typed, bounded and explained in one row; what reads a file, names the nearest
 * key in errors, shows what was read and writes the manual follows from the table. The node's
 * configuration is one table, a recipe of the lab another.
 *
 * Thread rule: tables are constants; everything here is pure. */
#ifndef MT_SETTINGS_TABLE_H
#define MT_SETTINGS_TABLE_H

#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

/* What stands in the file -> what stands in the struct. */
enum mt_settings_type {
    MT_SETTINGS_TEXT,     /* words -> struct mt_str; with choices: one of them */
    MT_SETTINGS_PATH,     /* as text; relative to the file's folder, "~/" to the home */
    MT_SETTINGS_LISTEN,   /* HOST:PORT -> struct mt_str, and uint16_t at n_at */
    MT_SETTINGS_BOOL,     /* true, false -> bool */
    MT_SETTINGS_COUNT,    /* 10000, 10k -> int64_t */
    MT_SETTINGS_NUMBER,   /* 0.5 -> double */
    MT_SETTINGS_DURATION, /* 10s -> int64_t, milliseconds */
    MT_SETTINGS_BYTES,    /* 64MiB -> int64_t */
    MT_SETTINGS_MONEY,    /* 2.50USD -> int64_t, nano-USD */
    MT_SETTINGS_PRICE,    /* 0.25USD -> int64_t, micro-USD */
    MT_SETTINGS_WORD,     /* one of the words -> int, an enum */
    MT_SETTINGS_TEXTS,    /* [a, b] -> pointer to struct mt_str, and size_t at n_at */
    MT_SETTINGS_HEADERS,  /* {a: b} -> pointer to struct mt_settings_header, size_t at n_at */
    MT_SETTINGS_ITEMS,    /* [{...}] -> pointer to structs of a group, and size_t at n_at */
};

enum mt_settings_flag {
    MT_SETTINGS_FIXED = 1,      /* what runs cannot take a new value over */
    MT_SETTINGS_SECRET = 2,     /* never shown */
    MT_SETTINGS_REQUIRED = 4,   /* an object without it is refused */
    MT_SETTINGS_FROM_ENV = 8,   /* the text names a variable of the environment that holds it */
    MT_SETTINGS_FROM_FILE = 16, /* the text names a file that holds it */
};

struct mt_settings_word {
    const char *name;
    int64_t value;
};

struct mt_settings_header {
    struct mt_str name, value;
};

struct mt_settings_key {
    const char *name; /* "cache.ttl": key of the section "cache" */
    enum mt_settings_type type;
    unsigned flags;
    size_t at;           /* offset of the value */
    size_t n_at;         /* offset of what goes with it */
    const char *initial; /* as in the file; NULL: none */
    int64_t min, max;    /* of numbers, in the unit of the struct; of lists: entries */
    const struct mt_settings_word *words; /* values with a name; ended by a NULL */
    const char *const *choices;           /* of a text; ended by a NULL */
    const struct mt_settings_group *items;
    const char *help;
    const char *example; /* for the sample, where the default shows nothing */
};

struct mt_settings_group {
    const char *name; /* of one: "endpoint" */
    const struct mt_settings_key *keys;
    size_t n;
    size_t size; /* of the struct */
};

/** The key of that name, or NULL. */
const struct mt_settings_key *mt_settings_find(const struct mt_settings_group *group,
                                               struct mt_str name);

/** "cache" of "cache.ttl"; empty without a section. And what is behind it: "ttl". */
struct mt_str mt_settings_section(const struct mt_settings_key *key);
const char *mt_settings_last(const struct mt_settings_key *key);

/** Is there a key "SECTION.something"? */
bool mt_settings_has_section(const struct mt_settings_group *group, struct mt_str name);

/** The known name, or section, most like this one; empty when none is near. */
struct mt_str mt_settings_nearest(const struct mt_settings_group *group, struct mt_str name);

/** Is it one value, which fits on a command line? */
bool mt_settings_is_scalar(const struct mt_settings_key *key);

/* ---------------------------------------------------------------- values */

union mt_settings_value {
    struct {
        struct mt_str text;
        uint16_t port;
    };
    bool is_true;
    int64_t number;
    double real;
};

/** Read one value. Texts are borrowed. @return MT_OK, MT_E_INVALID ("expected a duration ...")
 */
mt_rc mt_settings_parse(const struct mt_settings_key *key, struct mt_str text,
                        union mt_settings_value *out, struct mt_err *err);

/** Put a value into the struct it belongs to / take it out. */
void mt_settings_put(const struct mt_settings_key *key, void *object,
                     const union mt_settings_value *value);
union mt_settings_value mt_settings_get(const struct mt_settings_key *key, const void *object);

/** A list of the struct. */
struct mt_settings_list {
    const void *at;
    size_t n;
};
void mt_settings_put_list(const struct mt_settings_key *key, void *object,
                          struct mt_settings_list list);
struct mt_settings_list mt_settings_get_list(const struct mt_settings_key *key,
                                             const void *object);

/** Fill an object with the defaults of its group. @return MT_OK; MT_E_INVALID is a fault of the
 *  table */
mt_rc mt_settings_defaults(const struct mt_settings_group *group, void *object,
                           struct mt_err *err);

/** Write a value as the file has it, with its unit. */
void mt_settings_format(const struct mt_settings_key *key, const union mt_settings_value *value,
                        struct mt_buf *out);

/** What kind of value it is, for people: "duration", "count (1 to 100)". */
void mt_settings_describe(const struct mt_settings_key *key, struct mt_buf *out);

/** "250ms", "2s", "5m", "1h", "7d" -> milliseconds. MT_E_INVALID says what was expected. */
mt_rc mt_settings_duration(struct mt_str text, int64_t *out_ms, struct mt_err *err);

/** "0.25USD" -> nano-USD. */
mt_rc mt_settings_money(struct mt_str text, int64_t *out_usd_nano, struct mt_err *err);

#endif
