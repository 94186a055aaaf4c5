/* SPDX-License-Identifier: Apache-2.0 */
/* Which configuration a command means, and where its node keeps things. */
#include <string.h>

#include "base/alloc.h"
#include "cli.h"
#include "system/file.h"

/* Does the command have --config at all? */
static const char *named_file(const struct cli_args *args)
{
    const struct cli_opt *opt = args->cmd->opts;

    for (; opt != NULL && opt->name != NULL; opt++) {
        if (strcmp(opt->name, "config") == 0)
            return args->values[opt - args->cmd->opts];
    }
    return NULL;
}

const char *cli_config_file(const struct cli *cli, const struct cli_args *args)
{
    const char *named = named_file(args);

    return named != NULL ? named : cli_variable(cli, "MOTET_CONFIG");
}

mt_rc cli_config(struct cli *cli, const struct cli_args *args, const struct mt_config **out,
                 struct mt_err *err)
{
    MT_CLEANUP(mt_freep) char *usual = NULL;
    const char *file = cli_config_file(cli, args);

    if (file == NULL) {
        MT_TRY(mt_config_file_find(cli->environment, &usual, err));
        file = mt_file_exists(usual) ? usual : NULL;
    }
    return mt_config_load_keyless(file, cli->environment, args->flags, args->flags_n, out, err);
}

char *cli_data_path(const struct mt_config *config, const char *name)
{
    MT_CLEANUP(mt_freep) char *dir = mt_alloc_cstr(config->data_dir);

    return dir != NULL ? mt_path_join(dir, name) : NULL;
}
