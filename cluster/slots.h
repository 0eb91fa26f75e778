/* SPDX-License-Identifier: Apache-2.0 */
/* slots.h - node handles, and the way from a handle to a connection.
 *
 * ht_ref.node is generation << 32 | slot.  A slot is one incarnation of one
 * node (for a ractor node: one session).  When that is over the generation
 * moves on, so that old refs stay dead; when only the connection is lost the
 * slot stays, without a route, so that refs survive.  Slots never move in
 * memory: a sender finds its route without the cluster's lock, under the slot's
 * own small one, which guards no more than taking a reference.
 *
 * Thread: hti_slots_route() and the call counts, any; the rest under the
 * cluster's lock.  Lifetime: the cluster's.
 */
#ifndef HTI_CLUSTER_SLOTS_H
#define HTI_CLUSTER_SLOTS_H

#include "base/spin.h"
#include "base/table.h"
#include "cluster/outbox.h"

#define HTI_SLOTS_MAX   65536u
#define HTI_SLOTS_CHUNK 256u
/* Incarnations that somebody's ref named and we never met. */
#define HTI_SLOTS_UNMET_MAX 4096u

#define HTI_INSTANCE_LEN    16

struct hti_peer;
struct hti_link;

/* Where frames to a node go now. */
struct hti_route {
    struct hti_outbox *outbox; /* referenced */
    uint64_t payload_max;
    bool hardtack;
};

struct hti_node_slot {
    _Alignas(
        64) struct hti_spin lock; /* guards what follows, to the blank line */
    bool used;
    uint32_t generation;
    struct hti_route route; /* outbox NULL: not connected now */

    _Atomic uint64_t calls; /* generation << 32 | in flight */
    _Atomic uint64_t calls_refused;

    /* the cluster's lock */
    uint32_t index;
    bool has_instance; /* a Hardtack node, in table by instance */
    uint8_t instance[HTI_INSTANCE_LEN];
    uint64_t incarnation;
    struct hti_peer *peer; /* NULL: not met yet */
    struct hti_link *link; /* that the route leads to; NULL: none */
    struct hti_node_slot *next_free;
    UT_hash_handle hh;
};

struct hti_slots {
    _Atomic(struct hti_node_slot *) chunks[HTI_SLOTS_MAX / HTI_SLOTS_CHUNK];
    uint32_t count; /* slots made, with 0 (never used) and 1 (this node) */
    uint32_t unmet;
    struct hti_node_slot *free;
    struct hti_node_slot *by_instance;
};

/* HT_ENOMEM. */
HT_MUSTUSE ht_err hti_slots_init(struct hti_slots *slots);
void hti_slots_fini(struct hti_slots *slots);

static inline uint64_t hti_slot_handle(const struct hti_node_slot *slot)
{
    return (uint64_t)slot->generation << 32 | slot->index;
}

/* A slot for a new incarnation; instance NULL: of a ractor node.  NULL: full,
 * or no memory. */
struct hti_node_slot *hti_slots_take(struct hti_slots *slots,
                                     const uint8_t *instance);
/* The incarnation is over: its handle is dead from now on.  The route must be
 * cleared. */
void hti_slots_retire(struct hti_slots *slots, struct hti_node_slot *slot);
/* NULL: a dead or foreign handle. */
struct hti_node_slot *hti_slots_get(struct hti_slots *slots, uint64_t handle);
struct hti_node_slot *hti_slots_find(struct hti_slots *slots,
                                     const uint8_t *instance);
/* An incarnation named in a ref.  Where there are too many that were not met,
 * the oldest of these is over.  NULL: full, or no memory. */
struct hti_node_slot *hti_slots_find_or_take(struct hti_slots *slots,
                                             const uint8_t *instance);
/* It has been met: bind it. */
void hti_slots_meet(struct hti_slots *slots,
                    struct hti_node_slot *slot,
                    struct hti_peer *peer,
                    uint64_t incarnation);

/* Takes over the reference in route->outbox. */
void hti_slots_set_route(struct hti_node_slot *slot,
                         struct hti_link *link,
                         const struct hti_route *route);
/* Only if it is still that link's. */
void hti_slots_clear_route(struct hti_node_slot *slot,
                           const struct hti_link *link);

/* HT_OK, inside ret->outbox: hti_outbox_leave() it; HT_ENOCONN; HT_ENOPROC:
 * dead. */
HT_MUSTUSE ht_err hti_slots_route(struct hti_slots *slots,
                                  uint64_t handle,
                                  struct hti_route *ret);
/* HT_OK, HT_ENOCONN or HT_ENOPROC as above; ret_hardtack may be NULL. */
ht_err
hti_slots_state(struct hti_slots *slots, uint64_t handle, bool *ret_hardtack);

/* Count a call in flight, up to max.  HT_EBUSY, HT_ENOPROC. */
HT_MUSTUSE ht_err hti_slots_call_begin(struct hti_slots *slots,
                                       uint64_t handle,
                                       uint32_t max);
/* Does nothing for a handle that has died since. */
void hti_slots_call_end(struct hti_slots *slots, uint64_t handle);

#endif /* HTI_CLUSTER_SLOTS_H */
