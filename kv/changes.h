/* SPDX-License-Identifier: Apache-2.0 */
/* changes.h - what changed from a revision on, as somebody wants to see it.
 * Pure; thread: the state's. */
#ifndef HTI_KV_CHANGES_H
#define HTI_KV_CHANGES_H

#include "kv/turn.h"

struct hti_kv_filter {
    bool by_prefix;
    bool as_text;
    bool keys_only;
    uint16_t len;
    char *key; /* or prefix; malloc'd */
};

/* HT_ENOMEM. */
HT_MUSTUSE ht_err hti_kv_filter_watch(struct hti_kv_filter *ret,
                                      const WatchRequest *request);
HT_MUSTUSE ht_err hti_kv_filter_changes(struct hti_kv_filter *ret,
                                        const ChangesRequest *request);
void hti_kv_filter_fini(struct hti_kv_filter *filter);

struct hti_kv_changes {
    Event **events; /* of the turn's memory */
    size_t count;
    uint64_t next; /* the revision to go on from */
    bool more;     /* at once: a limit was reached */
};

/* Changes of revisions from on, all of a revision or none; a few more than
 * limit (1 at least) for the sake of that.  HT_ENOENT: they are compacted;
 * HT_ENOMEM.
 */
HT_MUSTUSE ht_err hti_kv_changes(struct hti_kv_turn *turn,
                                 const struct hti_kv_filter *filter,
                                 uint64_t from,
                                 size_t limit,
                                 struct hti_kv_changes *ret);

#endif /* HTI_KV_CHANGES_H */
