/* SPDX-License-Identifier: Apache-2.0 */
/* mpsc.h - Vyukov's intrusive queue: any number of producers, one consumer.
 *
 * push is wait-free: exchange the head, then link the old head to the new node.
 * Between the two the chain is broken: pop then returns NULL although the queue
 * is not empty.  hti_mpsc_is_empty() is false in that window, so a consumer
 * that decides to sleep must ask it, not pop.
 *
 * Source: D. Vyukov, "Intrusive MPSC node-based queue", 1024cores.net.
 */
#ifndef HTI_BASE_MPSC_H
#define HTI_BASE_MPSC_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

struct hti_mpsc_node {
    _Atomic(struct hti_mpsc_node *) next;
};

struct hti_mpsc {
    _Atomic(struct hti_mpsc_node *) head; /* producers: last pushed */
    struct hti_mpsc_node *tail;           /* consumer: next to pop */
    struct hti_mpsc_node stub;
};

static inline void hti_mpsc_init(struct hti_mpsc *q)
{
    atomic_init(&q->stub.next, NULL);
    atomic_init(&q->head, &q->stub);
    q->tail = &q->stub;
}

/* Any thread. */
static inline void hti_mpsc_push(struct hti_mpsc *q, struct hti_mpsc_node *n)
{
    struct hti_mpsc_node *prev;

    atomic_store_explicit(&n->next, NULL, memory_order_relaxed);
    /* Release publishes what the producer wrote into n to whoever exchanges
     * after us; acquire orders our link store after prev's.  Sequentially
     * consistent, for consumers that tell producers by another word whether
     * they will look again (hti_actor_poke()): it costs no more. */
    prev = atomic_exchange(&q->head, n);
    /* Pairs with the acquire load in pop. */
    atomic_store_explicit(&prev->next, n, memory_order_release);
}

/* Consumer only.  NULL: empty, or a push is half done. */
static inline struct hti_mpsc_node *hti_mpsc_pop(struct hti_mpsc *q)
{
    struct hti_mpsc_node *tail = q->tail;
    struct hti_mpsc_node *next =
        atomic_load_explicit(&tail->next, memory_order_acquire);

    if (tail == &q->stub) {
        if (next == NULL) {
            return NULL;
        }
        q->tail = next;
        tail = next;
        next = atomic_load_explicit(&tail->next, memory_order_acquire);
    }
    if (next != NULL) {
        /* Its lines are on the producer's core, likely: fetch them while the
         * caller is busy with this one. */
        __builtin_prefetch(next);
        __builtin_prefetch((const char *)next + 64);
        __builtin_prefetch((const char *)next + 128);
        q->tail = next;
        return tail;
    }
    if (tail != atomic_load_explicit(&q->head, memory_order_acquire)) {
        return NULL;
    }
    hti_mpsc_push(q, &q->stub);
    next = atomic_load_explicit(&tail->next, memory_order_acquire);
    if (next != NULL) {
        q->tail = next;
        return tail;
    }
    return NULL;
}

/* Consumer only; exact at the moment of the call. */
static inline bool hti_mpsc_is_empty(struct hti_mpsc *q)
{
    return q->tail == &q->stub && atomic_load(&q->head) == &q->stub;
}

#endif /* HTI_BASE_MPSC_H */
