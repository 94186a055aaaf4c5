/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers with units, read exactly and written shortest. Pure. */
#ifndef MT_SETTINGS_UNITS_H
#define MT_SETTINGS_UNITS_H

#include "base/buf.h"

struct unit {
    const char *name;
    int64_t scale; /* in the unit stored */
};

struct unit_kind {
    const char *name;     /* "duration" */
    const char *examples; /* "10s or 5m" */
    const struct unit *units;
};

extern const struct unit_kind mt_settings__duration; /* milliseconds */
extern const struct unit_kind mt_settings__bytes;
extern const struct unit_kind mt_settings__count;
extern const struct unit_kind mt_settings__money; /* nano-USD */
extern const struct unit_kind mt_settings__price; /* micro-USD */

/** MT_OK, or MT_E_INVALID "expected a duration such as ..., found '...'" */
mt_rc mt_settings__unit_parse(const struct unit_kind *kind, struct mt_str text, int64_t *out,
                              struct mt_err *err);

/** In the largest unit that divides it; money with digits behind the point. */
void mt_settings__unit_write(const struct unit_kind *kind, int64_t value, struct mt_buf *out);

#endif
