/* SPDX-License-Identifier: Apache-2.0 */
/* Assertions are for our own bugs and stay on in release; data from outside is never asserted.
 */
#ifndef MT_BASE_ASSERT_H
#define MT_BASE_ASSERT_H

/** Print the broken claim with its place and abort. */
_Noreturn void mt_assert_fail(const char *claim, const char *file, int line);

#define MT_ASSERT(claim) ((claim) ? (void)0 : mt_assert_fail(#claim, __FILE__, __LINE__))

/** For checks too dear for release. */
#ifdef NDEBUG
#define MT_DEBUG_ASSERT(claim) ((void)0)
#else
#define MT_DEBUG_ASSERT(claim) MT_ASSERT(claim)
#endif

#endif
