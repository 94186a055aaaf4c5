/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MT_CLI_PROMPT_H
#define MT_CLI_PROMPT_H

#include "cli.h"

/** The words with spaces between, and behind a blank line what comes through a pipe. A terminal
 *  is not read. Appended to out. @return MT_OK, MT_E_TOOBIG, MT_E_IO, MT_E_NOMEM */
mt_rc prompt_read(struct cli *cli, const char *const *words, size_t n, struct mt_buf *out,
                  struct mt_err *err);

#endif
