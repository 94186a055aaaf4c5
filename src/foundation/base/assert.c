/* SPDX-License-Identifier: Apache-2.0 */
#include "base/assert.h"

#include <execinfo.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

_Noreturn void mt_assert_fail(const char *claim, const char *file, int line)
{
    void *frames[32];

    fprintf(stderr, "motet: assertion failed: %s (%s:%d)\n", claim, file, line);
    backtrace_symbols_fd(frames, backtrace(frames, 32), STDERR_FILENO);
    abort();
}
