/* SPDX-License-Identifier: Apache-2.0 */
/* clock.h - the store's time, by which leases and times to live end.
 *
 * It is no clock of any machine: it goes on from the last command's time by
 * what the leader's monotonic clock has gone on since it leads.  So it never
 * goes faster than real time, whoever leads and however clocks are set, and a
 * lease never ends before its holder can know.  It stands still while nobody
 * leads.
 */
#ifndef HTI_KV_CLOCK_H
#define HTI_KV_CLOCK_H

#include <stdint.h>
#include <time.h>

struct hti_kv_clock {
    uint64_t base_ms;  /* the store's time when we began to lead */
    uint64_t since_ms; /* on our monotonic clock */
};

static inline void hti_kv_clock_lead(struct hti_kv_clock *clock,
                                     uint64_t store_ms,
                                     uint64_t now_ms)
{
    clock->base_ms = store_ms;
    clock->since_ms = now_ms;
}

static inline uint64_t hti_kv_clock_now(const struct hti_kv_clock *clock,
                                        uint64_t now_ms)
{
    return clock->base_ms + (now_ms - clock->since_ms);
}

/* Goes on while the machine sleeps: who holds a lease must not think that less
 * time has gone by than has. */
static inline uint64_t hti_kv_monotonic_ms(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_BOOTTIME, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

#endif /* HTI_KV_CLOCK_H */
