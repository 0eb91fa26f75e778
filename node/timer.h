/* SPDX-License-Identifier: Apache-2.0 */
/* timer.h - the deadlines of one loop, in a binary heap.
 *
 * For what the node layer itself waits for: dials, handshakes, the ticks of
 * links.  (Actors' timers are the runtime's.)  Room for a timer is reserved
 * when it is attached, so setting one never fails.
 *
 * Thread: the loop's.  Lifetime: a timer is embedded in its owner, which
 * detaches it before it goes.
 */
#ifndef HTI_NODE_TIMER_H
#define HTI_NODE_TIMER_H

#include <hardtack/base.h>

struct hti_timer {
    uint64_t at_ms;
    size_t slot; /* its place in the heap, from 1; 0: not set */
    bool attached;
    void (*fire)(struct hti_timer *timer, uint64_t now_ms);
};

struct hti_timers {
    struct hti_timer **heap;
    size_t count;    /* set */
    size_t attached; /* reserved */
    size_t cap;
};

void hti_timers_fini(struct hti_timers *timers);
/* HT_ENOMEM. */
HT_MUSTUSE ht_err hti_timer_attach(struct hti_timers *timers,
                                   struct hti_timer *timer,
                                   void (*fire)(struct hti_timer *timer,
                                                uint64_t now_ms));
void hti_timer_detach(struct hti_timers *timers, struct hti_timer *timer);
/* Set, or move. */
void hti_timer_set(struct hti_timers *timers,
                   struct hti_timer *timer,
                   uint64_t at_ms);
void hti_timer_unset(struct hti_timers *timers, struct hti_timer *timer);
/* UINT64_MAX: none is set. */
uint64_t hti_timers_next(const struct hti_timers *timers);
/* Fire what is due; each is unset before it is called.  A timer that its own
 * function sets to a time already past fires in the next call. */
unsigned hti_timers_run(struct hti_timers *timers, uint64_t now_ms);

#endif /* HTI_NODE_TIMER_H */
