/* SPDX-License-Identifier: Apache-2.0 */
/* slot.c - where actors live: type-stable slots, in chunks.
 *
 * A slot is given back when its actor has ended, while its runner still holds
 * it, and items for the earlier life may be pushed at any time after.  So a
 * spawner takes a free slot only by IDLE -> RUNNING: whoever still bounces
 * something there keeps it.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "actor/internal.h"

#define SLOT_TRIES 4 /* free slots looked at before a new one is made */

static void slot_init(ht_node *node, ht_actor *a, uint32_t index)
{
    a->node = node;
    a->index = index;
    a->life = HTI_LIFE_FREE;
    atomic_init(&a->run_state, HTI_RUN_RUNNING);
    hti_mpsc_init(&a->mailbox);
    LIST_INIT(&a->flights);
    LIST_INIT(&a->timers);
    LIST_INIT(&a->watches);
    LIST_INIT(&a->relations);
}

/* With the lock held. */
static ht_actor *slot_new(ht_node *node)
{
    uint32_t count =
        atomic_load_explicit(&node->slots_count, memory_order_relaxed);
    uint32_t chunk_index = count / HTI_SLOT_CHUNK;
    struct ht_actor *chunk;
    ht_actor *a;

    if (chunk_index == HTI_SLOT_CHUNKS_MAX) {
        return NULL;
    }
    chunk =
        atomic_load_explicit(&node->slots[chunk_index], memory_order_relaxed);
    if (chunk == NULL) {
        chunk = aligned_alloc(_Alignof(struct ht_actor),
                              HTI_SLOT_CHUNK * sizeof(*chunk));
        if (chunk == NULL) {
            return NULL;
        }
        memset((void *)chunk, 0, HTI_SLOT_CHUNK * sizeof(*chunk));
        atomic_store_explicit(&node->slots[chunk_index], chunk,
                              memory_order_release);
    }
    a = &chunk[count % HTI_SLOT_CHUNK];
    slot_init(node, a, count + 1);
    atomic_store_explicit(&node->slots_count, count + 1, memory_order_release);
    return a;
}

/* With the lock held. */
static ht_actor *slot_reuse(ht_node *node)
{
    for (int i = 0; i < SLOT_TRIES; i++) {
        ht_actor *a = STAILQ_FIRST(&node->free_slots);
        unsigned idle = HTI_RUN_IDLE;

        if (a == NULL) {
            return NULL;
        }
        STAILQ_REMOVE_HEAD(&node->free_slots, free_entry);
        if (atomic_compare_exchange_strong_explicit(
                &a->run_state, &idle, HTI_RUN_RUNNING, memory_order_acq_rel,
                memory_order_relaxed)) {
            a->generation++;
            return a;
        }
        STAILQ_INSERT_TAIL(&node->free_slots, a, free_entry);
    }
    return NULL;
}

ht_actor *hti_slot_take(ht_node *node)
{
    ht_actor *a;

    pthread_mutex_lock(&node->lock);
    a = slot_reuse(node);
    if (a == NULL) {
        a = slot_new(node);
    }
    pthread_mutex_unlock(&node->lock);
    return a;
}

void hti_slot_give_back(ht_actor *a)
{
    ht_node *node = a->node;

    assert(a->own_pid == 0 && a->life == HTI_LIFE_FREE);
    pthread_mutex_lock(&node->lock);
    STAILQ_INSERT_TAIL(&node->free_slots, a, free_entry);
    pthread_mutex_unlock(&node->lock);
}

void hti_slots_free(ht_node *node)
{
    uint32_t count =
        atomic_load_explicit(&node->slots_count, memory_order_relaxed);

    if (node->slots == NULL) {
        return;
    }
    /* No further: looking at all of the table would bring all of it in. */
    for (uint32_t i = 0; i * HTI_SLOT_CHUNK < count; i++) {
        free(atomic_load_explicit(&node->slots[i], memory_order_relaxed));
    }
    free(node->slots);
    node->slots = NULL;
}

bool hti_actor_is_live(ht_node *node, uint64_t pid)
{
    return hti_actor_find(node, pid) != NULL;
}

uint32_t hti_actor_flags(ht_node *node, uint64_t pid)
{
    ht_actor *a = hti_slot_of(node, pid);
    uint32_t flags;

    if (a == NULL) {
        return 0;
    }
    flags = atomic_load_explicit(&a->flags, memory_order_acquire);
    /* Flags are set before the pid of a life and cleared after it: if the pid
     * is still there, they were of this life. */
    return atomic_load_explicit(&a->pid, memory_order_acquire) == pid ? flags
                                                                      : 0;
}

bool hti_actor_set_advertised(ht_node *node, uint64_t pid)
{
    const uint32_t not =
        HTI_ACTOR_ADVERTISED | HTI_ACTOR_UNLISTED | HTI_ACTOR_LOCAL_ONLY;
    ht_actor *a = hti_slot_of(node, pid);
    bool changed = false;

    if (a == NULL) {
        return false;
    }
    pthread_mutex_lock(&node->lock);
    if (atomic_load_explicit(&a->pid, memory_order_relaxed) == pid &&
        !(atomic_load_explicit(&a->flags, memory_order_relaxed) & not )) {
        atomic_fetch_or_explicit(&a->flags, HTI_ACTOR_ADVERTISED,
                                 memory_order_release);
        changed = true;
    }
    pthread_mutex_unlock(&node->lock);
    return changed;
}

void hti_actor_set_service(ht_actor *self, const void *descriptor)
{
    atomic_store_explicit(&self->service, descriptor, memory_order_release);
}

const void *hti_rt_actor_service(ht_node *node, uint64_t pid)
{
    ht_actor *a = hti_actor_find(node, pid);
    const void *service;

    if (a == NULL) {
        return NULL;
    }
    service = atomic_load_explicit(&a->service, memory_order_acquire);
    return hti_actor_is_live(node, pid) ? service : NULL;
}
