/* SPDX-License-Identifier: Apache-2.0 */
/* data_file.h - prompts and answers from a file of JSON lines.
 *
 *   {"prompt": "add 2 3", "answer": "5"}
 *
 * Every line is checked before the first is used. Immutable once read; any thread. */
#ifndef MT_TRAIN_DATA_FILE_H
#define MT_TRAIN_DATA_FILE_H

#include "base/buf.h"
#include "train/items.h"

enum { MT_DATA_FILE_MAX = 256 * 1024 * 1024, MT_DATA_LINES_MAX = 4 * 1024 * 1024 };

struct mt_data_file {
    const struct mt_data_pair *pairs;
    size_t pairs_n;     /* at least 1 */
    uint64_t checksum;  /* of the whole file */
    struct mt_buf kept; /* what the pairs point into */
};

/** @param context_n most tokens of a pair as a chat
 *  @return MT_OK, MT_E_NOTFOUND, MT_E_INVALID ("FILE:LINE: what is wrong"), MT_E_TOOBIG,
 *  MT_E_DENIED, MT_E_IO, MT_E_NOMEM
 *  @blocks one file read */
mt_rc mt_data_file_read(const char *path, uint32_t context_n, struct mt_data_file *out,
                        struct mt_err *err);
void mt_data_file_fini(struct mt_data_file *file);

#endif
