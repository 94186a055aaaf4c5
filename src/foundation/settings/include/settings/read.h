/* SPDX-License-Identifier: Apache-2.0 */
/* settings/read.h - a file into the struct of its table, with the place of every mistake.
 *
 * Strict: an unknown or repeated key, a wrong unit, a value out of range, a required key that
 * is missing is MT_E_INVALID with line, column and the nearest known key. Pure but for the
 * reader's own fetch. */
#ifndef MT_SETTINGS_READ_H
#define MT_SETTINGS_READ_H

#include "settings/table.h"

struct mt_arena;

enum mt_settings_source {
    MT_SETTINGS_BY_DEFAULT,
    MT_SETTINGS_BY_FILE,
    MT_SETTINGS_BY_ENV,
    MT_SETTINGS_BY_FLAG,
    MT_SETTINGS_BY_ELSEWHERE,
};

/* Where a value came from; one for each key of an object, in the table's order. */
struct mt_settings_origin {
    enum mt_settings_source source;
    unsigned line, column;             /* of a file */
    struct mt_settings_origin **items; /* of lists: the origins of each item, or NULL */
};

/** Origins for an object of the group, all by default. NULL when out of memory. */
struct mt_settings_origin *mt_settings_origins(const struct mt_settings_group *group,
                                               struct mt_arena *arena);

struct mt_settings_reader {
    const char *name;         /* of the file, for errors; "" without one */
    struct mt_str folder;     /* that relative paths of the file begin at; empty: as they are */
    char *const *environment; /* HOME for "~/"; may be NULL */
    struct mt_arena *arena;   /* keeps texts and lists */
    /* Put what a text names in its place, for keys with FROM_ENV or FROM_FILE; may be NULL. */
    mt_rc (*fetch)(void *context, const struct mt_settings_key *key, struct mt_str *text,
                   struct mt_err *err);
    void *context;
};

/** Fill an object, which holds its defaults, from a text. Texts and lists are copied.
 *  @param origins of the object; those given by the text are marked
 *  @return MT_OK, MT_E_INVALID ("NAME:LINE:COLUMN: ..."), MT_E_TOOBIG, MT_E_NOMEM, what fetch
 *  says */
mt_rc mt_settings_read(const struct mt_settings_reader *reader, struct mt_str text,
                       const struct mt_settings_group *group, void *object,
                       struct mt_settings_origin *origins, struct mt_err *err);

/** Set one scalar of an object from a text, whoever wrote it. Texts are copied. */
mt_rc mt_settings_set(const struct mt_settings_reader *reader,
                      const struct mt_settings_key *key, struct mt_str text,
                      enum mt_settings_source source, void *object, struct mt_err *err);

/** An error about a value: "NAME:LINE:COLUMN: KEY: ..." when the file gave it, else "KEY: ...".
 *  @return MT_E_INVALID */
mt_rc mt_settings_blame(const struct mt_settings_reader *reader,
                        const struct mt_settings_key *key,
                        const struct mt_settings_origin *origin, struct mt_err *err,
                        const char *format, ...) MT_PRINTF(5, 6);

/** Value of a variable, or NULL. */
const char *mt_settings_variable(char *const *environment, const char *name);

#endif
