/* SPDX-License-Identifier: Apache-2.0 */
/* Ctrl-C in a conversation: it may end an answer, and never the program, not even in the moment
 * between an answer and the next prompt. So SIGINT is blocked but while an answer comes. */
#ifndef MT_CLI_INTERRUPT_H
#define MT_CLI_INTERRUPT_H

#include <signal.h>

/** Block; *old receives the mask of before. */
void interrupt_hold(sigset_t *old);

/** Let it through, after forgetting one that is pending: it was meant for what has ended. */
void interrupt_allow(sigset_t *old);

/** Back to a mask of before; one that is pending is forgotten. */
void interrupt_restore(const sigset_t *old);

#endif
