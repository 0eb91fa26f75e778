/* SPDX-License-Identifier: Apache-2.0 */
/* spin.h - a lock that is held for a handful of instructions, under which
 * nothing is called and nothing waits.  All zero is open.
 *
 * Half of what a mutex costs when nobody else wants it.  Whoever waits gives
 * its core away now and then: where threads outnumber cores, the holder may
 * have none.
 */
#ifndef HTI_BASE_SPIN_H
#define HTI_BASE_SPIN_H

#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>

#define HTI_SPIN_TRIES 64 /* between two sched_yield() */

struct hti_spin {
    _Atomic bool held;
};

static inline void hti_spin_lock(struct hti_spin *spin)
{
    unsigned tries = 0;

    /* Acquire: sees what the one before did. */
    while (atomic_exchange_explicit(&spin->held, true, memory_order_acquire)) {
        if (++tries % HTI_SPIN_TRIES == 0) {
            sched_yield();
        }
#if defined(__x86_64__) || defined(__i386__)
        __builtin_ia32_pause();
#endif
    }
}

static inline void hti_spin_unlock(struct hti_spin *spin)
{
    atomic_store_explicit(&spin->held, false, memory_order_release);
}

#endif /* HTI_BASE_SPIN_H */
