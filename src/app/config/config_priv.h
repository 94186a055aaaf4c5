/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of config share: the table of keys, the tree of a YAML text, the snapshot. */
#ifndef MT_CONFIG_PRIV_H
#define MT_CONFIG_PRIV_H

#include <stdatomic.h>

#include "base/arena.h"
#include "config/config.h"

struct mt_jw;

/* ---------------------------------------------------------------- the table of keys (keys.c)
 */

enum mt_config__type {            /* what stands in the file -> what stands in the struct */
                       TYPE_TEXT, /* words -> struct mt_str; with choices: one of them */
                       TYPE_PATH, /* as text; relative to the file's folder, "~/" to the home */
                       TYPE_LISTEN,   /* HOST:PORT -> struct mt_str, and uint16_t at n_at */
                       TYPE_BOOL,     /* true, false -> bool */
                       TYPE_COUNT,    /* 10000, 10k -> int64_t */
                       TYPE_NUMBER,   /* 0.5 -> double */
                       TYPE_DURATION, /* 10s -> int64_t, milliseconds */
                       TYPE_BYTES,    /* 64MiB -> int64_t */
                       TYPE_MONEY,    /* 2.50USD -> int64_t, nano-USD */
                       TYPE_PRICE,    /* 0.25USD -> int64_t, micro-USD */
                       TYPE_WORD,     /* one of the words -> int, an enum */
                       TYPE_TEXTS, /* [a, b] -> pointer to struct mt_str, and size_t at n_at */
                       TYPE_HEADERS, /* {a: b} -> pointer to struct mt_config_header, and size_t
                                        at n_at */
                       TYPE_ITEMS,   /* [{...}] -> pointer to structs of a group, and size_t at
                                        n_at */
};

enum mt_config__flag {
    KEY_FIXED = 1,     /* a running node cannot take a new value over */
    KEY_SECRET = 2,    /* never shown */
    KEY_REQUIRED = 4,  /* an item without it is refused */
    KEY_FROM_ENV = 8,  /* the text names a variable of the environment that holds the value */
    KEY_FROM_FILE = 16 /* the text names a file that holds the value */
};

struct mt_config__word {
    const char *name;
    int64_t value;
};

struct mt_config__key {
    const char *name; /* "cache.ttl": key of the section "cache" */
    enum mt_config__type type;
    unsigned flags;
    size_t at;           /* offset of the value */
    size_t n_at;         /* offset of what goes with it */
    const char *initial; /* as in the file; NULL: none */
    int64_t min, max;    /* of numbers, in the unit of the struct; of lists: entries */
    const struct mt_config__word *words; /* values with a name; ended by a NULL */
    const char *const *choices;          /* of a text; ended by a NULL */
    const struct mt_config__group *items;
    const char *help;
    const char *example; /* for the sample, where the default shows nothing */
};

struct mt_config__group {
    const char *name; /* of one: "endpoint"; empty for the whole */
    const struct mt_config__key *keys;
    size_t n;
    size_t size; /* of the struct */
};

extern const struct mt_config__group mt_config__root;

/** The key of that name, or NULL. */
const struct mt_config__key *mt_config__find(const struct mt_config__group *group,
                                             struct mt_str name);

/** Is there a key "SECTION.something"? */
bool mt_config__has_section(const struct mt_config__group *group, struct mt_str name);

/** The known name, or section, most like this one; empty when none is near. */
struct mt_str mt_config__nearest(const struct mt_config__group *group, struct mt_str name);

/** Is it one value, which the environment and a flag can give? */
bool mt_config__is_scalar(const struct mt_config__key *key);

/** The name in the environment: "cache.ttl" -> "MOTET_CACHE_TTL". */
enum { MT_CONFIG__ENV_MAX = 64 };
void mt_config__env_name(const struct mt_config__key *key, char out[MT_CONFIG__ENV_MAX]);

/* ---------------------------------------------------------------- values (value.c) */

union mt_config__value {
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
mt_rc mt_config__parse(const struct mt_config__key *key, struct mt_str text,
                       union mt_config__value *out, struct mt_err *err);

/** Put a value into the struct it belongs to / take it out. */
void mt_config__put(const struct mt_config__key *key, void *object,
                    const union mt_config__value *value);
union mt_config__value mt_config__get(const struct mt_config__key *key, const void *object);

/** A list of the struct. */
struct mt_config__list {
    const void *at;
    size_t n;
};
void mt_config__put_list(const struct mt_config__key *key, void *object,
                         struct mt_config__list list);
struct mt_config__list mt_config__get_list(const struct mt_config__key *key,
                                           const void *object);

/** Write a value as the file has it, with its unit. */
void mt_config__format(const struct mt_config__key *key, const union mt_config__value *value,
                       struct mt_buf *out);

/** What kind of value it is, for people: "duration", "count (1 to 100)". */
void mt_config__describe(const struct mt_config__key *key, struct mt_buf *out);

/* ---------------------------------------------------------------- YAML (yaml.c) */

enum {
    MT_CONFIG__FILE_MAX = 1024 * 1024, /* bytes of a file */
    MT_CONFIG__DEPTH_MAX = 16,         /* nesting */
    MT_CONFIG__NODES_MAX = 50 * 1000,  /* nodes, those of aliases counted each time */
    MT_CONFIG__ANCHORS_MAX = 256,
};

enum mt_config__node_kind { NODE_SCALAR, NODE_MAP, NODE_LIST };

struct mt_config__entry; /* of a map or list */

struct mt_config__node {
    enum mt_config__node_kind kind;
    unsigned line, column;
    struct mt_str text; /* of a scalar */
    bool is_null;       /* a scalar that says nothing: empty, ~ or null, unquoted */
    struct mt_config__entry *first, *last;
    size_t size; /* nodes of it and below, aliases followed */
};

struct mt_config__entry {
    const struct mt_config__node *key; /* NULL in lists */
    const struct mt_config__node *value;
    struct mt_config__entry *next;
};

/** Read one YAML document. *root is NULL when it holds nothing. The tree lives in arena.
 *  @return MT_OK, MT_E_INVALID ("NAME:LINE:COLUMN: ..."), MT_E_TOOBIG, MT_E_NOMEM */
mt_rc mt_config__yaml(struct mt_str text, const char *name, struct mt_arena *arena,
                      const struct mt_config__node **root, struct mt_err *err);

/** MT_E_INVALID with "NAME:LINE:COLUMN: " in front of the words. */
mt_rc mt_config__fail_at(struct mt_err *err, const char *name, unsigned line, unsigned column,
                         const char *format, ...) MT_PRINTF(5, 6);

/* ---------------------------------------------------------------- the snapshot (snapshot.c) */

enum mt_config__source { FROM_DEFAULT, FROM_FILE, FROM_ENV, FROM_FLAG, FROM_ELSEWHERE };

/* Where a value came from; one for each key of an object, in the table's order. */
struct mt_config__origin {
    enum mt_config__source source;
    unsigned line, column;            /* of a file */
    struct mt_config__origin **items; /* of TYPE_ITEMS: the origins of each item, or NULL */
};

struct mt_config__snapshot {
    struct mt_config config; /* first: the public pointer is one to here */
    atomic_int refs;
    struct mt_arena arena;
    const struct mt_config *base; /* referenced: it owns what this one borrows; or NULL */
    struct mt_config__origin *origins;
};

mt_rc mt_config__snapshot_new(struct mt_config__snapshot **out, struct mt_err *err);
void mt_config__snapshot_freep(struct mt_config__snapshot **snapshot);
const struct mt_config__snapshot *mt_config__snapshot_of(const struct mt_config *config);

/** Fill an object with the defaults of its group. @return MT_OK, MT_E_NOMEM */
mt_rc mt_config__defaults(const struct mt_config__group *group, void *object,
                          struct mt_err *err);

/** Origins for an object of the group, all FROM_DEFAULT. NULL when out of memory. */
struct mt_config__origin *mt_config__origins(const struct mt_config__group *group,
                                             struct mt_arena *arena);

/* ---------------------------------------------------------------- loading */

/* One load on its way. */
struct mt_config__load {
    struct mt_config__snapshot *made;
    const char *name;         /* of the file, for errors; "" without one */
    struct mt_str folder;     /* that relative paths of the file begin at */
    char *const *environment; /* may be NULL */
    bool is_keyless;          /* API keys that stand elsewhere are not fetched */
};

/** Value of a variable, or NULL. */
const char *mt_config__variable(char *const *environment, const char *name);

/** Put the file's tree into the snapshot (file.c). */
mt_rc mt_config__take_tree(struct mt_config__load *load, const struct mt_config__node *root,
                           struct mt_err *err);

/** Set one scalar of an object from a text (set.c). Texts are copied. */
mt_rc mt_config__set(struct mt_config__load *load, const struct mt_config__key *key,
                     struct mt_str text, enum mt_config__source source, void *object,
                     struct mt_err *err);

/** Start an error about a value with its place: "FILE:LINE:COLUMN: listen: ...",
 *  "MOTET_LISTEN: ...", "--listen: ...". @return MT_E_INVALID */
mt_rc mt_config__blame(const struct mt_config__load *load, const struct mt_config__key *key,
                       const struct mt_config__origin *origin, struct mt_err *err,
                       const char *format, ...) MT_PRINTF(5, 6);

/** What no key can know alone (check.c). */
mt_rc mt_config__check(const struct mt_config__load *load, struct mt_err *err);

#endif
