/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/slots.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define RESERVED 2 /* slot 0 is never used, slot 1 is this node */

ht_err hti_slots_init(struct hti_slots *slots)
{
    memset(slots, 0, sizeof *slots);
    slots->count = RESERVED;
    return HT_OK;
}

void hti_slots_fini(struct hti_slots *slots)
{
    HASH_CLEAR(hh, slots->by_instance);
    for (size_t i = 0; i < HTI_SLOTS_MAX / HTI_SLOTS_CHUNK; i++) {
        free(atomic_load_explicit(&slots->chunks[i], memory_order_relaxed));
    }
    memset(slots, 0, sizeof *slots);
}

/* Any thread: chunks appear and never go. */
static struct hti_node_slot *slot_at(struct hti_slots *slots, uint64_t handle)
{
    uint32_t index = (uint32_t)handle;
    struct hti_node_slot *chunk;

    if (index >= HTI_SLOTS_MAX) {
        return NULL;
    }
    chunk = atomic_load_explicit(&slots->chunks[index / HTI_SLOTS_CHUNK],
                                 memory_order_acquire);
    return chunk == NULL ? NULL : &chunk[index % HTI_SLOTS_CHUNK];
}

static struct hti_node_slot *slot_make(struct hti_slots *slots)
{
    uint32_t index = slots->count;
    size_t chunk_at = index / HTI_SLOTS_CHUNK;
    struct hti_node_slot *chunk;

    if (index >= HTI_SLOTS_MAX) {
        return NULL;
    }
    chunk =
        atomic_load_explicit(&slots->chunks[chunk_at], memory_order_relaxed);
    if (chunk == NULL) {
        chunk = aligned_alloc(64, HTI_SLOTS_CHUNK * sizeof *chunk);
        if (chunk == NULL) {
            return NULL;
        }
        memset(chunk, 0, HTI_SLOTS_CHUNK * sizeof *chunk);
        for (uint32_t i = 0; i < HTI_SLOTS_CHUNK; i++) {
            chunk[i].generation = 1;
            chunk[i].index = (uint32_t)chunk_at * HTI_SLOTS_CHUNK + i;
        }
        atomic_store_explicit(&slots->chunks[chunk_at], chunk,
                              memory_order_release);
    }
    slots->count++;
    return &chunk[index % HTI_SLOTS_CHUNK];
}

struct hti_node_slot *hti_slots_take(struct hti_slots *slots,
                                     const uint8_t *instance)
{
    struct hti_node_slot *slot = slots->free;

    if (slot != NULL) {
        slots->free = slot->next_free;
    } else {
        slot = slot_make(slots);
        if (slot == NULL) {
            return NULL;
        }
    }
    slot->next_free = NULL;
    if (instance != NULL) {
        memcpy(slot->instance, instance, HTI_INSTANCE_LEN);
        HASH_ADD(hh, slots->by_instance, instance, HTI_INSTANCE_LEN, slot);
        if (!hti_in_table(&slot->hh)) {
            slot->next_free = slots->free;
            slots->free = slot;
            return NULL;
        }
        slot->has_instance = true;
        slots->unmet++;
    }
    slot->incarnation = 0;
    atomic_store_explicit(&slot->calls_refused, 0, memory_order_relaxed);
    atomic_store_explicit(&slot->calls, (uint64_t)slot->generation << 32,
                          memory_order_relaxed);
    hti_spin_lock(&slot->lock);
    slot->used = true;
    hti_spin_unlock(&slot->lock);
    return slot;
}

void hti_slots_retire(struct hti_slots *slots, struct hti_node_slot *slot)
{
    assert(slot->used && slot->route.outbox == NULL && slot->link == NULL);
    if (slot->has_instance) {
        if (slot->peer == NULL) {
            slots->unmet--;
        }
        HASH_DEL(slots->by_instance, slot);
        memset(&slot->hh, 0, sizeof slot->hh);
        slot->has_instance = false;
    }
    slot->peer = NULL;
    hti_spin_lock(&slot->lock);
    slot->used = false;
    slot->generation++;
    if (slot->generation == 0) {
        slot->generation = 1;
    }
    hti_spin_unlock(&slot->lock);
    slot->next_free = slots->free;
    slots->free = slot;
}

struct hti_node_slot *hti_slots_get(struct hti_slots *slots, uint64_t handle)
{
    struct hti_node_slot *slot = slot_at(slots, handle);

    return slot != NULL && slot->used && hti_slot_handle(slot) == handle ? slot
                                                                         : NULL;
}

struct hti_node_slot *hti_slots_find(struct hti_slots *slots,
                                     const uint8_t *instance)
{
    struct hti_node_slot *slot;

    HASH_FIND(hh, slots->by_instance, instance, HTI_INSTANCE_LEN, slot);
    return slot;
}

/* Instances that never come must not keep out those that do.  The table keeps
 * the order of insertion. */
static void retire_oldest_unmet(struct hti_slots *slots)
{
    struct hti_node_slot *slot = slots->by_instance;

    while (slot->peer != NULL) {
        slot = slot->hh.next;
    }
    hti_slots_retire(slots, slot);
}

struct hti_node_slot *hti_slots_find_or_take(struct hti_slots *slots,
                                             const uint8_t *instance)
{
    struct hti_node_slot *slot = hti_slots_find(slots, instance);

    if (slot == NULL) {
        if (slots->unmet >= HTI_SLOTS_UNMET_MAX) {
            retire_oldest_unmet(slots);
        }
        slot = hti_slots_take(slots, instance);
    }
    return slot;
}

void hti_slots_meet(struct hti_slots *slots,
                    struct hti_node_slot *slot,
                    struct hti_peer *peer,
                    uint64_t incarnation)
{
    if (slot->peer == NULL && slot->has_instance) {
        slots->unmet--;
    }
    slot->peer = peer;
    slot->incarnation = incarnation;
}

void hti_slots_set_route(struct hti_node_slot *slot,
                         struct hti_link *link,
                         const struct hti_route *route)
{
    assert(slot->link == NULL);
    slot->link = link;
    hti_spin_lock(&slot->lock);
    slot->route = *route;
    hti_spin_unlock(&slot->lock);
}

void hti_slots_clear_route(struct hti_node_slot *slot,
                           const struct hti_link *link)
{
    struct hti_outbox *outbox;

    if (slot->link != link) {
        return;
    }
    slot->link = NULL;
    hti_spin_lock(&slot->lock);
    outbox = slot->route.outbox;
    slot->route.outbox = NULL;
    hti_spin_unlock(&slot->lock);
    hti_outbox_unref(outbox);
}

static ht_err state_locked(const struct hti_node_slot *slot, uint64_t handle)
{
    if (!slot->used || hti_slot_handle(slot) != handle) {
        return HT_ENOPROC;
    }
    return slot->route.outbox == NULL ? HT_ENOCONN : HT_OK;
}

ht_err
hti_slots_route(struct hti_slots *slots, uint64_t handle, struct hti_route *ret)
{
    struct hti_node_slot *slot = slot_at(slots, handle);
    ht_err err;

    if (slot == NULL) {
        return HT_ENOPROC;
    }
    hti_spin_lock(&slot->lock);
    err = state_locked(slot, handle);
    if (err == HT_OK) {
        *ret = slot->route;
        /* The slot's reference goes under the lock only. */
        hti_outbox_enter(ret->outbox);
    }
    hti_spin_unlock(&slot->lock);
    return err;
}

ht_err
hti_slots_state(struct hti_slots *slots, uint64_t handle, bool *ret_hardtack)
{
    struct hti_node_slot *slot = slot_at(slots, handle);
    ht_err err;

    if (slot == NULL) {
        return HT_ENOPROC;
    }
    hti_spin_lock(&slot->lock);
    err = state_locked(slot, handle);
    if (err == HT_OK && ret_hardtack != NULL) {
        *ret_hardtack = slot->route.hardtack;
    }
    hti_spin_unlock(&slot->lock);
    return err;
}

ht_err
hti_slots_call_begin(struct hti_slots *slots, uint64_t handle, uint32_t max)
{
    struct hti_node_slot *slot = slot_at(slots, handle);
    uint64_t calls;

    if (slot == NULL) {
        return HT_ENOPROC;
    }
    calls = atomic_load_explicit(&slot->calls, memory_order_relaxed);
    do {
        if (calls >> 32 != handle >> 32) {
            return HT_ENOPROC;
        }
        if ((uint32_t)calls >= max) {
            atomic_fetch_add_explicit(&slot->calls_refused, 1,
                                      memory_order_relaxed);
            return HT_EBUSY;
        }
    } while (!atomic_compare_exchange_weak_explicit(
        &slot->calls, &calls, calls + 1, memory_order_relaxed,
        memory_order_relaxed));
    return HT_OK;
}

void hti_slots_call_end(struct hti_slots *slots, uint64_t handle)
{
    struct hti_node_slot *slot = slot_at(slots, handle);
    uint64_t calls;

    if (slot == NULL) {
        return;
    }
    calls = atomic_load_explicit(&slot->calls, memory_order_relaxed);
    do {
        if (calls >> 32 != handle >> 32) {
            return;
        }
        assert((uint32_t)calls > 0);
    } while (!atomic_compare_exchange_weak_explicit(
        &slot->calls, &calls, calls - 1, memory_order_relaxed,
        memory_order_relaxed));
}
