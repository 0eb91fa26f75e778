/* SPDX-License-Identifier: Apache-2.0 */
/* reaper.h - ends actors one after the other, last first: stop, and kill what
 * has not ended in its time.  It does for a supervisor's children what the
 * supervisor cannot do, because it is ending itself.
 *
 * Thread: started from a handler.  Lifetime: an actor, until the last is gone.
 */
#ifndef HTI_ACTOR_REAPER_H
#define HTI_ACTOR_REAPER_H

#include <hardtack.h>

struct hti_reap {
    ht_ref ref;
    uint32_t shutdown_ms;
};

/* Copies children.  When no reaper can be started (no memory), all are told to
 * stop at once, in the same order.  A node that is stopping starts one yet. */
void hti_reap(ht_node *node, const struct hti_reap *children, size_t count);

#endif /* HTI_ACTOR_REAPER_H */
