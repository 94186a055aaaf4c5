/* SPDX-License-Identifier: Apache-2.0 */
/* The one way to include cmocka (it needs these four first), and what every test shares. */
#ifndef MT_TESTS_SUPPORT_TEST_H
#define MT_TESTS_SUPPORT_TEST_H

/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

/* Fail with the row's name in front, so that a table test says which case broke. */
#define mt_check_row(row, condition)                                   \
    do {                                                               \
        if (!(condition))                                              \
            fail_msg("row '%s': %s does not hold", (row), #condition); \
    } while (0)

#endif
