/* SPDX-License-Identifier: Apache-2.0 */
/* lease.h - what ends by itself: leases with their keys, and keys with a time
 * to live of their own.
 *
 * An item that ends has a *tie*.  Everything that ends has a *timer*, in one
 * order: when, leases before keys, by number or key.  The order follows from
 * the state alone, so that members, and those restored from a snapshot, end the
 * same things in the same command.
 *
 * A lease that has ended is not found any more, but stands in the order, as due
 * since ever, until its last key is taken away.
 *
 * Time is the store's own (clock.h), an argument.  Thread: one.
 */
#ifndef HTI_KV_LEASE_H
#define HTI_KV_LEASE_H

#include "kv/map.h"

struct hti_kv_timer {
    RB_ENTRY(hti_kv_timer) link;
    uint64_t due_ms;
    struct hti_kv_lease *lease; /* else of a tie */
};

struct hti_kv_tie {
    struct hti_kv_item *item;
    struct hti_kv_lease *lease; /* NULL: none */
    RB_ENTRY(hti_kv_tie) in_lease;
    bool timed;
    struct hti_kv_timer timer;
};
RB_HEAD(hti_kv_ties, hti_kv_tie);

struct hti_kv_lease {
    RB_ENTRY(hti_kv_lease) link;
    uint64_t id;
    uint64_t ttl_ms;
    bool ended;
    struct hti_kv_timer timer;
    struct hti_kv_ties ties; /* in order of their keys */
    size_t keys;
};
RB_HEAD(hti_kv_lease_tree, hti_kv_lease);
RB_HEAD(hti_kv_timers, hti_kv_timer);

struct hti_kv_leases {
    struct hti_kv_lease_tree leases; /* by id, the ended too */
    struct hti_kv_timers timers;
    size_t count; /* not ended */
};

/* The ties too; their items stay. */
void hti_kv_leases_fini(struct hti_kv_leases *leases);

/* NULL: no memory. */
struct hti_kv_lease *hti_kv_lease_add(struct hti_kv_leases *leases,
                                      uint64_t id,
                                      uint64_t ttl_ms,
                                      uint64_t due_ms,
                                      bool ended);
/* NULL: there is none, or it has ended. */
struct hti_kv_lease *hti_kv_lease_find(const struct hti_kv_leases *leases,
                                       uint64_t id);
/* The ended too: for a snapshot. */
struct hti_kv_lease *hti_kv_lease_any(const struct hti_kv_leases *leases,
                                      uint64_t id);
struct hti_kv_lease *hti_kv_lease_next(const struct hti_kv_leases *leases,
                                       struct hti_kv_lease *lease); /* NULL:
                                                                     * first */
void hti_kv_lease_renew(struct hti_kv_leases *leases,
                        struct hti_kv_lease *lease,
                        uint64_t due_ms);
void hti_kv_lease_end(struct hti_kv_leases *leases, struct hti_kv_lease *lease);
/* It has no keys. */
void hti_kv_lease_free(struct hti_kv_leases *leases,
                       struct hti_kv_lease *lease);

/* The key that its keys begin with, in order; NULL: it has none. */
struct hti_kv_tie *hti_kv_lease_first(const struct hti_kv_lease *lease);
struct hti_kv_tie *hti_kv_lease_following(struct hti_kv_tie *tie);

/* Tie item as its version says, instead of how it was.  lease is the version's,
 * NULL for none.  HT_ENOMEM. */
HT_MUSTUSE ht_err hti_kv_tie_set(struct hti_kv_leases *leases,
                                 struct hti_kv_item *item,
                                 struct hti_kv_lease *lease);
void hti_kv_tie_clear(struct hti_kv_leases *leases, struct hti_kv_item *item);

/* What ends next; NULL: nothing ever does. */
struct hti_kv_timer *hti_kv_timers_first(const struct hti_kv_leases *leases);
static inline struct hti_kv_tie *hti_kv_timer_tie(struct hti_kv_timer *timer)
{
    return (struct hti_kv_tie *)(void *)((char *)timer -
                                         offsetof(struct hti_kv_tie, timer));
}

#endif /* HTI_KV_LEASE_H */
