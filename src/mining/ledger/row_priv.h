/* SPDX-License-Identifier: Apache-2.0 */
/* The fields of a row as a table: columns of the database, bytes of the journal. Pure. */
#ifndef MT_LEDGER_ROW_PRIV_H
#define MT_LEDGER_ROW_PRIV_H

#include "base/buf.h"
#include "ledger/row.h"

struct mt_row_text {
    const char *column;
    size_t offset; /* of a struct mt_str in struct mt_ledger_row */
    size_t max;    /* bytes */
};

struct mt_row_number {
    const char *column;
    size_t offset; /* of an int64_t */
};

enum {
    MT_ROW_TEXTS = 12,
    MT_ROW_NUMBERS = 13,
    MT_ROW_COLUMNS = MT_ROW_TEXTS + MT_ROW_NUMBERS + 1, /* and the outcome, last */
    MT_ROW_BYTES_MAX = 6144,
    MT_ROW_TRIMMED_MAX = 1096, /* without attempts, error and warnings */
};

extern const struct mt_row_text mt_row__texts[MT_ROW_TEXTS];
extern const struct mt_row_number mt_row__numbers[MT_ROW_NUMBERS];

struct mt_str *mt_row__text(struct mt_ledger_row *row, size_t i);
int64_t *mt_row__number(struct mt_ledger_row *row, size_t i);

enum mt_row_size { MT_ROW_WHOLE, MT_ROW_TRIMMED };

/** Bytes of the row, at most MT_ROW_BYTES_MAX or MT_ROW_TRIMMED_MAX. Returns their number. */
size_t mt_row__encode(const struct mt_ledger_row *row, enum mt_row_size size,
                      char out[MT_ROW_BYTES_MAX]);

/** False when these are not the bytes of a row; texts point into bytes. */
bool mt_row__decode(struct mt_str bytes, struct mt_ledger_row *out);

bool mt_row__outcome_of(struct mt_str name, enum mt_outcome *out);

/** "receipt, request_id, ..., outcome" */
void mt_row__add_columns(struct mt_buf *sql);

/** The model that is accounted for: served, or asked when none was. */
struct mt_str mt_row__model(const struct mt_ledger_row *row);

/** When the request ended [wall ms]. */
int64_t mt_row__ended_ms(const struct mt_ledger_row *row);

#endif
