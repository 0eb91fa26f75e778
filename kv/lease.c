/* SPDX-License-Identifier: Apache-2.0 */
#include "kv/lease.h"

#include <stdlib.h>

/* ---- orders -------------------------------------------------------------- */

static int compare_numbers(uint64_t a, uint64_t b)
{
    return (a > b) - (a < b);
}

static int compare_leases(const struct hti_kv_lease *a,
                          const struct hti_kv_lease *b)
{
    return compare_numbers(a->id, b->id);
}

static int compare_keys(const struct hti_kv_item *a,
                        const struct hti_kv_item *b)
{
    return hti_kv_key_compare(a->key, a->key_len, b->key, b->key_len);
}

static int compare_ties(const struct hti_kv_tie *a, const struct hti_kv_tie *b)
{
    return compare_keys(a->item, b->item);
}

static const struct hti_kv_item *item_of(const struct hti_kv_timer *timer)
{
    return ((const struct hti_kv_tie *)(const void *)((const char *)timer -
                                                      offsetof(
                                                          struct hti_kv_tie,
                                                          timer)))
        ->item;
}

static int compare_timers(const struct hti_kv_timer *a,
                          const struct hti_kv_timer *b)
{
    int order = compare_numbers(a->due_ms, b->due_ms);

    if (order != 0) {
        return order;
    }
    if (a->lease != NULL && b->lease != NULL) {
        return compare_leases(a->lease, b->lease);
    }
    if (a->lease != NULL || b->lease != NULL) {
        return a->lease != NULL ? -1 : 1;
    }
    return compare_keys(item_of(a), item_of(b));
}

HTI_KV_TREE(hti_kv_lease_tree, hti_kv_lease, link, compare_leases)
HTI_KV_TREE(hti_kv_ties, hti_kv_tie, in_lease, compare_ties)
HTI_KV_TREE(hti_kv_timers, hti_kv_timer, link, compare_timers)

struct hti_kv_timer *hti_kv_timers_first(const struct hti_kv_leases *leases)
{
    struct hti_kv_timer *at = RB_ROOT(&leases->timers);

    while (at != NULL && RB_LEFT(at, link) != NULL) {
        at = RB_LEFT(at, link);
    }
    return at;
}

/* ---- leases -------------------------------------------------------------- */

struct hti_kv_lease *hti_kv_lease_add(struct hti_kv_leases *leases,
                                      uint64_t id,
                                      uint64_t ttl_ms,
                                      uint64_t due_ms,
                                      bool ended)
{
    struct hti_kv_lease *lease = calloc(1, sizeof(*lease));

    if (lease == NULL) {
        return NULL;
    }
    lease->id = id;
    lease->ttl_ms = ttl_ms;
    lease->ended = ended;
    lease->timer.lease = lease;
    lease->timer.due_ms = due_ms;
    RB_INIT(&lease->ties);
    RB_INSERT(hti_kv_lease_tree, &leases->leases, lease);
    RB_INSERT(hti_kv_timers, &leases->timers, &lease->timer);
    leases->count += ended ? 0 : 1;
    return lease;
}

struct hti_kv_lease *hti_kv_lease_any(const struct hti_kv_leases *leases,
                                      uint64_t id)
{
    struct hti_kv_lease *at = RB_ROOT(&leases->leases);

    while (at != NULL && at->id != id) {
        at = id < at->id ? RB_LEFT(at, link) : RB_RIGHT(at, link);
    }
    return at;
}

struct hti_kv_lease *hti_kv_lease_find(const struct hti_kv_leases *leases,
                                       uint64_t id)
{
    struct hti_kv_lease *lease = hti_kv_lease_any(leases, id);

    return lease != NULL && !lease->ended ? lease : NULL;
}

struct hti_kv_lease *hti_kv_lease_next(const struct hti_kv_leases *leases,
                                       struct hti_kv_lease *lease)
{
    struct hti_kv_lease *at = RB_ROOT(&leases->leases);

    if (lease != NULL) {
        return RB_NEXT(hti_kv_lease_tree, NULL, lease);
    }
    while (at != NULL && RB_LEFT(at, link) != NULL) {
        at = RB_LEFT(at, link);
    }
    return at;
}

static void set_due(struct hti_kv_leases *leases,
                    struct hti_kv_timer *timer,
                    uint64_t due_ms)
{
    RB_REMOVE(hti_kv_timers, &leases->timers, timer);
    timer->due_ms = due_ms;
    RB_INSERT(hti_kv_timers, &leases->timers, timer);
}

void hti_kv_lease_renew(struct hti_kv_leases *leases,
                        struct hti_kv_lease *lease,
                        uint64_t due_ms)
{
    set_due(leases, &lease->timer, due_ms);
}

void hti_kv_lease_end(struct hti_kv_leases *leases, struct hti_kv_lease *lease)
{
    if (!lease->ended) {
        lease->ended = true;
        leases->count--;
        set_due(leases, &lease->timer, 0);
    }
}

void hti_kv_lease_free(struct hti_kv_leases *leases, struct hti_kv_lease *lease)
{
    leases->count -= lease->ended ? 0 : 1;
    RB_REMOVE(hti_kv_timers, &leases->timers, &lease->timer);
    RB_REMOVE(hti_kv_lease_tree, &leases->leases, lease);
    free(lease);
}

struct hti_kv_tie *hti_kv_lease_first(const struct hti_kv_lease *lease)
{
    struct hti_kv_tie *at = RB_ROOT(&lease->ties);

    while (at != NULL && RB_LEFT(at, in_lease) != NULL) {
        at = RB_LEFT(at, in_lease);
    }
    return at;
}

struct hti_kv_tie *hti_kv_lease_following(struct hti_kv_tie *tie)
{
    return RB_NEXT(hti_kv_ties, NULL, tie);
}

/* ---- ties ---------------------------------------------------------------- */

void hti_kv_tie_clear(struct hti_kv_leases *leases, struct hti_kv_item *item)
{
    struct hti_kv_tie *tie = item->tie;

    if (tie == NULL) {
        return;
    }
    if (tie->timed) {
        RB_REMOVE(hti_kv_timers, &leases->timers, &tie->timer);
    }
    if (tie->lease != NULL) {
        RB_REMOVE(hti_kv_ties, &tie->lease->ties, tie);
        tie->lease->keys--;
    }
    item->tie = NULL;
    free(tie);
}

ht_err hti_kv_tie_set(struct hti_kv_leases *leases,
                      struct hti_kv_item *item,
                      struct hti_kv_lease *lease)
{
    uint64_t due_ms = item->now->due_ms;
    struct hti_kv_tie *tie;

    hti_kv_tie_clear(leases, item);
    if (lease == NULL && due_ms == 0) {
        return HT_OK;
    }
    tie = calloc(1, sizeof(*tie));
    if (tie == NULL) {
        return HT_ENOMEM;
    }
    tie->item = item;
    tie->lease = lease;
    tie->timed = due_ms != 0;
    item->tie = tie;
    if (lease != NULL) {
        RB_INSERT(hti_kv_ties, &lease->ties, tie);
        lease->keys++;
    }
    if (tie->timed) {
        tie->timer.due_ms = due_ms;
        RB_INSERT(hti_kv_timers, &leases->timers, &tie->timer);
    }
    return HT_OK;
}

void hti_kv_leases_fini(struct hti_kv_leases *leases)
{
    struct hti_kv_timer *timer;
    struct hti_kv_lease *lease;
    struct hti_kv_tie *tie;

    while ((lease = RB_ROOT(&leases->leases)) != NULL) {
        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): each leaves the tree */
        while ((tie = RB_ROOT(&lease->ties)) != NULL) {
            hti_kv_tie_clear(leases, tie->item);
        }
        hti_kv_lease_free(leases, lease);
    }
    while ((timer = RB_ROOT(&leases->timers)) != NULL) {
        hti_kv_tie_clear(leases, hti_kv_timer_tie(timer)->item);
    }
}
