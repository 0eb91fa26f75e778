/* SPDX-License-Identifier: Apache-2.0 */
/* own_lease.h - a lease that this node has at a store, kept alive:
 *
 *   none --ask--> asking --> held --> lost --> none
 *                             ^  |
 *                             +--+ kept alive
 *
 * Lost is when the store says so, or a fifth of its time before it can have
 * ended: the time runs from when the last request that was answered was sent,
 * and the store's goes no faster than ours (clock.h).
 *
 * Thread: turns of the actor that has the stub.
 */
#ifndef HTI_KV_OWN_LEASE_H
#define HTI_KV_OWN_LEASE_H

#include <hardtack/service.h>

/* Of the lease's time: how often it is kept alive, and how long before its end
 * it is given up. */
#define HTI_KV_OWN_LEASE_PARTS 5u

struct hti_kv_own_lease_ops {
    void (*granted)(void *arg);
    /* What was asked for was not granted; words as of ht_stub_error(). */
    void (*refused)(void *arg, ht_err err, const char *words);
    void (*lost)(void *arg); /* id is 0 already */
};

struct hti_kv_own_lease {
    const struct hti_kv_own_lease_ops *ops;
    void *arg;
    ht_stub *store; /* borrowed; freed before this is */
    uint32_t ttl_ms;
    uint64_t id;          /* 0: none */
    uint64_t deadline_ms; /* it has not ended before; while there is one */
    uint64_t asked_ms;    /* when the request under way was sent */
    bool asking;          /* for a lease, or to keep it alive */
};

/* There is none, and none is asked for. */
void hti_kv_own_lease_ask(struct hti_kv_own_lease *lease);
/* While there is one, several times in each part of its time. */
void hti_kv_own_lease_tick(struct hti_kv_own_lease *lease);

#endif /* HTI_KV_OWN_LEASE_H */
