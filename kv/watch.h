/* SPDX-License-Identifier: Apache-2.0 */
/* watch.h - those who want to be told of changes: actors, which are cast them,
 * and calls, which wait for the first.
 *
 * A watcher is a filter and a revision to go on from.  What waits for it is the
 * history itself (history.h): a watcher that is slow, or whose node takes no
 * more, falls behind in it and is told that it is compacted, and costs nobody
 * anything.
 *
 * Thread: all in turns of the member's actor, which self is.
 */
#ifndef HTI_KV_WATCH_H
#define HTI_KV_WATCH_H

#include <sys/queue.h>

#include <hardtack/actor.h>

#include "kv/state.h"

struct hti_kv_watcher;
TAILQ_HEAD(hti_kv_watcher_list, hti_kv_watcher);

struct hti_kv_watchers {
    struct hti_kv_watcher_list list;
    size_t count, max;
    ht_node *node;
    ht_actor *self;
    struct hti_kv *kv;
    uint64_t flush_timer; /* 0: none */
    uint64_t tick_timer;
};

void hti_kv_watchers_init(struct hti_kv_watchers *watchers, size_t max);
/* Tell all that it is over, and forget them. */
void hti_kv_watchers_end(struct hti_kv_watchers *watchers, const char *why);
/* The actor (again) and its state. */
void hti_kv_watchers_start(struct hti_kv_watchers *watchers,
                           ht_node *node,
                           ht_actor *self,
                           struct hti_kv *kv);

/* Answer call with a WatchReply or a refusal; what comes is cast to ref. */
HT_MUSTUSE ht_err hti_kv_watch(struct hti_kv_watchers *watchers,
                               const WatchRequest *request,
                               ht_ref ref,
                               ht_call call);
/* Answer call with a ChangesReply when there is something, or time is up. */
HT_MUSTUSE ht_err hti_kv_wait(struct hti_kv_watchers *watchers,
                              const ChangesRequest *request,
                              ht_call call);
/* Whether ref had that watch. */
bool hti_kv_unwatch(struct hti_kv_watchers *watchers, uint64_t id, ht_ref ref);

/* Something has changed.  Cheap; they are told after this turn. */
void hti_kv_watchers_wake(struct hti_kv_watchers *watchers);
/* True: the event was theirs. */
bool hti_kv_watchers_event(struct hti_kv_watchers *watchers,
                           const ht_event *event);

#endif /* HTI_KV_WATCH_H */
