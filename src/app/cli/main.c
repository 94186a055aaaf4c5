/* SPDX-License-Identifier: Apache-2.0 */
#include <locale.h>
#include <unistd.h>

#include "cli.h"

extern char **environ;

int main(int argc, char **argv)
{
    struct cli cli = {
        .in = stdin,
        .out = stdout,
        .err = stderr,
        .is_in_tty = isatty(STDIN_FILENO) == 1,
        .is_out_tty = isatty(STDOUT_FILENO) == 1,
        .is_err_tty = isatty(STDERR_FILENO) == 1,
        .environment = environ,
        .program = argc > 0 ? argv[0] : "motet",
    };

    (void)setlocale(LC_CTYPE, ""); /* what is typed may be UTF-8 */
    return cli_main(&cli, argc, argv);
}
