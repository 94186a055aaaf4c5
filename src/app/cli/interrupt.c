/* SPDX-License-Identifier: Apache-2.0 */
#include "interrupt.h"

#include <time.h>

static sigset_t interrupt_set(void)
{
    sigset_t set;

    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGINT);
    return set;
}

static void forget_pending(void)
{
    static const struct timespec at_once;
    sigset_t set = interrupt_set();

    while (sigtimedwait(&set, NULL, &at_once) == SIGINT)
        ;
}

void interrupt_hold(sigset_t *old)
{
    sigset_t set = interrupt_set();

    (void)pthread_sigmask(SIG_BLOCK, &set, old);
}

void interrupt_allow(sigset_t *old)
{
    sigset_t set = interrupt_set();
    sigset_t now;

    (void)pthread_sigmask(SIG_BLOCK, NULL, &now);
    if (sigismember(&now, SIGINT) == 1)
        forget_pending();
    (void)pthread_sigmask(SIG_UNBLOCK, &set, old);
}

void interrupt_restore(const sigset_t *old)
{
    if (sigismember(old, SIGINT) != 1)
        forget_pending();
    (void)pthread_sigmask(SIG_SETMASK, old, NULL);
}
