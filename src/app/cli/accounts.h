/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MT_CLI_ACCOUNTS_H
#define MT_CLI_ACCOUNTS_H

#include "cli.h"
#include "ledger/reader.h"

/** Open the ledger of the configuration's data folder, for mt_ledger_reader_close().
 *  @return as mt_ledger_reader_open; MT_E_NOTFOUND says that no node has run here */
mt_rc accounts_open(struct cli *cli, const struct cli_args *args, struct mt_ledger_reader **out,
                    struct mt_err *err);

#endif
