/* SPDX-License-Identifier: Apache-2.0 */
#include "accounts.h"

#include "base/alloc.h"

mt_rc accounts_open(struct cli *cli, const struct cli_args *args, struct mt_ledger_reader **out,
                    struct mt_err *err)
{
    MT_CLEANUP(mt_config_unrefp) const struct mt_config *config = NULL;

    MT_TRY(cli_config(cli, args, &config, err));
    MT_CLEANUP(mt_freep) char *dir = mt_alloc_cstr(config->data_dir);
    if (dir == NULL)
        return MT_FAIL(err, MT_E_NOMEM, "path of the ledger");
    mt_rc rc = mt_ledger_reader_open(dir, out, err);
    if (rc == MT_E_NOTFOUND)
        return MT_FAIL(err, rc, "no accounts in '%s': no node has run here yet (motet up)",
                       dir);
    return rc;
}
