/* SPDX-License-Identifier: Apache-2.0 */
/* history.h - the last changes, in order of their revisions, for watchers.
 *
 * Bounded by number and by bytes: the oldest are forgotten, and whoever wants
 * them is told that they are compacted.  It is no part of the replicated state:
 * a member that was restored from a snapshot knows no change before it.
 *
 * Thread: one.
 */
#ifndef HTI_KV_HISTORY_H
#define HTI_KV_HISTORY_H

#include "kv/map.h"

struct hti_kv_history {
    struct hti_kv_version **ring;
    size_t cap, first, count; /* cap: a power of two */
    size_t bytes;
    size_t count_max, bytes_max; /* set by the owner */
    uint64_t compacted;          /* changes of greater revisions are all here */
};

void hti_kv_history_fini(struct hti_kv_history *history);
/* Forget all; what comes is of greater revisions. */
void hti_kv_history_reset(struct hti_kv_history *history, uint64_t revision);
/* Shares version.  HT_ENOMEM. */
HT_MUSTUSE ht_err hti_kv_history_add(struct hti_kv_history *history,
                                     struct hti_kv_version *version);
/* The place of the first change of this revision or a greater one; count if
 * there is none.  It moves when changes are added. */
size_t hti_kv_history_find(const struct hti_kv_history *history,
                           uint64_t revision);
static inline const struct hti_kv_version *
hti_kv_history_at(const struct hti_kv_history *history, size_t place)
{
    return history->ring[(history->first + place) & (history->cap - 1)];
}

#endif /* HTI_KV_HISTORY_H */
