/* SPDX-License-Identifier: Apache-2.0 */
/* pending.h - accepted connections whose peer has proved nothing yet: how many
 * there may be, in all and from one address.
 *
 * At the limit the oldest is closed, not the newest refused: an attacker who
 * holds every place must keep opening connections to hold them, and a peer that
 * answers at once still gets in.
 *
 * Addresses that failed to authenticate again and again are shut out for the
 * rest of a window.
 *
 * Thread: any.
 */
#ifndef HTI_NODE_PENDING_H
#define HTI_NODE_PENDING_H

#include <pthread.h>
#include <sys/queue.h>

#include "node/address.h"

struct hti_pending_entry {
    TAILQ_ENTRY(hti_pending_entry) link;
    uint8_t key[HTI_ADDRESS_KEY_BYTES]; /* key[0] 0: a Unix socket */
    bool queued;
};
TAILQ_HEAD(hti_pending_list, hti_pending_entry);

#define HTI_OFFENDERS_MAX     64
#define HTI_OFFENCES_MAX      20
#define HTI_OFFENCE_PERIOD_MS 10000

struct hti_offender {
    uint8_t key[HTI_ADDRESS_KEY_BYTES];
    uint64_t since_ms;
    unsigned count; /* 0: free */
};

struct hti_pending {
    pthread_mutex_t lock;
    struct hti_pending_list list; /* oldest first */
    size_t count, max, per_address_max;
    uint64_t evicted, barred; /* so far */
    /* Close it soon; called with the lock held, must not take it. */
    void (*evict)(struct hti_pending_entry *entry);
    struct hti_offender offenders[HTI_OFFENDERS_MAX];
};

void hti_pending_init(struct hti_pending *pending,
                      size_t max,
                      size_t per_address_max,
                      void (*evict)(struct hti_pending_entry *entry));
void hti_pending_fini(struct hti_pending *pending);
/* Returns how many were evicted for it. */
unsigned hti_pending_add(struct hti_pending *pending,
                         struct hti_pending_entry *entry);
/* It is trusted now, or gone. Idempotent. */
void hti_pending_remove(struct hti_pending *pending,
                        struct hti_pending_entry *entry);
/* A peer of that address failed to authenticate. */
void hti_pending_blame(struct hti_pending *pending,
                       const uint8_t key[HTI_ADDRESS_KEY_BYTES],
                       uint64_t now_ms);
struct hti_pending_stats {
    uint64_t waiting, evicted, barred;
};
void hti_pending_stats(struct hti_pending *pending,
                       struct hti_pending_stats *ret);
/* Counted if so. */
bool hti_pending_is_barred(struct hti_pending *pending,
                           const uint8_t key[HTI_ADDRESS_KEY_BYTES],
                           uint64_t now_ms);

#endif /* HTI_NODE_PENDING_H */
