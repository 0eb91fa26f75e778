/* SPDX-License-Identifier: Apache-2.0 */
/* sched.c - schedulers: run queues, turns, waking and stealing.
 *
 * A message makes its target runnable on the scheduler whose thread sends,
 * since that one is awake; from any other thread, on the target's home.  Waking
 * a thread costs more than handling a message, so a scheduler is woken only
 * when its queue turns from empty to busy, and an idle one is asked for help
 * only when somebody has two slots waiting.
 *
 * The run queue is a FIFO under a lock that is hardly ever contended: its owner
 * pushes and pops, strangers push on an edge, thieves come when idle.
 */
#include <assert.h>
#include <stdlib.h>

#include "actor/internal.h"

#define STEAL_SCAN     16 /* slots looked at for one that is not pinned */
#define CLOCK_INTERVAL 16 /* slots run before the clock is read again */

_Thread_local struct hti_thread hti_thread;

/* ---- this thread ----------------------------------------------------------
 */

int hti_sched_current(const ht_node *node)
{
    if (hti_thread.node == node) {
        return (int)hti_thread.sched;
    }
    /* One thread may drive many single-threaded nodes, and call one from a
     * handler of another. */
    if (node->single_threaded &&
        atomic_load_explicit(&node->owner, memory_order_relaxed) ==
            (uintptr_t)&hti_thread) {
        return 0;
    }
    return -1;
}

struct hti_sched *hti_here(const ht_node *node)
{
    int sched = hti_sched_current(node);

    return sched < 0 ? NULL : &node->scheds[sched];
}

ht_actor *hti_caller(const ht_node *node)
{
    ht_actor *a = hti_thread.actor;

    return a != NULL && a->node == node ? a : NULL;
}

ht_actor *ht_current(void)
{
    return hti_thread.actor;
}

void hti_sched_enter(ht_node *node, unsigned sched)
{
    assert(sched < node->scheds_count);
    if (node->single_threaded) {
        atomic_store_explicit(&node->owner, (uintptr_t)&hti_thread,
                              memory_order_relaxed);
        return;
    }
    assert(hti_thread.node == NULL);
    hti_thread.node = node;
    hti_thread.sched = sched;
}

void hti_sched_leave(ht_node *node)
{
    if (hti_thread.node == node) {
        hti_thread.node = NULL;
    }
    if (node->single_threaded) {
        atomic_store_explicit(&node->owner, 0, memory_order_relaxed);
    }
}

uint64_t hti_now(ht_node *node)
{
    return node->host->now_ns(node->host_arg);
}

uint64_t hti_deadline(ht_node *node, uint32_t timeout_ms)
{
    if (timeout_ms == HT_INFINITE) {
        return UINT64_MAX;
    }
    return hti_now(node) + (uint64_t)timeout_ms * 1000000;
}

/* ---- run queues -----------------------------------------------------------
 */

/* Under the lock. Only more of it has to be seen at once: hti_sched_steal(). */
static void count_down(struct hti_sched *s)
{
    atomic_store_explicit(
        &s->queued, atomic_load_explicit(&s->queued, memory_order_relaxed) - 1,
        memory_order_release);
}

/* Returns the length after. */
static unsigned queue_push(struct hti_sched *s, ht_actor *a)
{
    unsigned n;

    hti_spin_lock(&s->lock);
    STAILQ_INSERT_TAIL(&s->queue, a, run_entry);
    /* Sequentially consistent, with idle_scheds: see hti_sched_steal(). */
    n = atomic_fetch_add(&s->queued, 1) + 1;
    hti_spin_unlock(&s->lock);
    return n;
}

static ht_actor *queue_pop(struct hti_sched *s)
{
    ht_actor *a;

    if (atomic_load_explicit(&s->queued, memory_order_acquire) == 0) {
        return NULL;
    }
    hti_spin_lock(&s->lock);
    a = STAILQ_FIRST(&s->queue);
    if (a != NULL) {
        STAILQ_REMOVE_HEAD(&s->queue, run_entry);
        count_down(s);
    }
    hti_spin_unlock(&s->lock);
    return a;
}

static ht_actor *queue_pop_unpinned(struct hti_sched *s)
{
    ht_actor *a;
    int scanned = 0;

    hti_spin_lock(&s->lock);
    STAILQ_FOREACH (a, &s->queue, run_entry) {
        if (!atomic_load_explicit(&a->pinned, memory_order_relaxed)) {
            STAILQ_REMOVE(&s->queue, a, ht_actor, run_entry);
            count_down(s);
            break;
        }
        if (++scanned == STEAL_SCAN) {
            a = NULL;
            break;
        }
    }
    hti_spin_unlock(&s->lock);
    return a;
}

static void wake(ht_node *node, unsigned sched)
{
    atomic_fetch_add_explicit(&node->wakes, 1, memory_order_relaxed);
    node->host->wake(node->host_arg, sched);
}

/* Wake one scheduler that is idle, if there is one.  Each is asked once until
 * it has turned. */
static void wake_helper(ht_node *node)
{
    uint64_t idle = atomic_load(&node->idle_scheds);

    while (idle != 0) {
        uint64_t bit = idle & (~idle + 1);

        if (atomic_compare_exchange_weak(&node->idle_scheds, &idle,
                                         idle & ~bit)) {
            wake(node, (unsigned)__builtin_ctzll(bit));
            return;
        }
    }
}

void hti_schedule(ht_actor *a)
{
    ht_node *node = a->node;
    struct hti_sched *here = hti_here(node);
    /* A scheduler's thread turns after whatever it does now.  A program that
     * drives a node itself may instead go and wait for its descriptor. */
    bool awake =
        here != NULL && (!node->single_threaded ||
                         (hti_thread.node == node && hti_thread.in_turn));
    struct hti_sched *s = here;
    unsigned n;

    if (here == NULL ||
        atomic_load_explicit(&a->pinned, memory_order_relaxed)) {
        s = &node->scheds[atomic_load_explicit(&a->home, memory_order_relaxed)];
    }
    n = queue_push(s, a);
    if (n == 1 && !(s == here && awake)) {
        wake(node, s->index);
    } else if (n >= 2) {
        wake_helper(node);
    }
}

void hti_actor_poke(ht_actor *a)
{
    /* Whoever runs it will first say RUNNING and then look: nothing to do, and
     * the next of many messages costs a load.  All of it is sequentially
     * consistent: what we pushed comes before this load, that before the
     * RUNNING that follows what we read, and that before the look. */
    if (atomic_load(&a->run_state) == HTI_RUN_QUEUED) {
        return;
    }
    if (atomic_exchange(&a->run_state, HTI_RUN_QUEUED) == HTI_RUN_IDLE) {
        hti_schedule(a);
    }
}

/* ---- turns ----------------------------------------------------------------
 */

void hti_sched_take_back(struct hti_sched *s)
{
    struct hti_mpsc_node *n;

    while ((n = hti_mpsc_pop(&s->back)) != NULL) {
        struct hti_alarm *alarm = HTI_CONTAINER(n, struct hti_alarm, back);

        if (alarm->is_timer) {
            hti_timer_back(s, HTI_CONTAINER(alarm, struct hti_timer, alarm));
        } else {
            hti_flight_back(s, HTI_CONTAINER(alarm, struct hti_flight, alarm));
        }
    }
}

static void fire_alarms(struct hti_sched *s)
{
    struct hti_alarm *alarm;

    while ((alarm = hti_alarm_due(s, s->now_ns)) != NULL) {
        if (alarm->is_timer) {
            hti_timer_fire(HTI_CONTAINER(alarm, struct hti_timer, alarm));
        } else {
            hti_flight_timeout(HTI_CONTAINER(alarm, struct hti_flight, alarm));
        }
    }
}

static void run_actors(struct hti_sched *s, unsigned budget)
{
    ht_actor *a;
    uint64_t handled = 0;
    unsigned ran = 0;

    while (handled < budget && !hti_thread.pressed &&
           (a = queue_pop(s)) != NULL) {
        if (++ran % CLOCK_INTERVAL == 0) {
            s->now_ns = hti_now(s->node);
        }
        handled += hti_actor_turn(a, HTI_TURN_MESSAGES);
        atomic_store_explicit(
            &s->actor_turns,
            atomic_load_explicit(&s->actor_turns, memory_order_relaxed) + 1,
            memory_order_relaxed);
        /* A slot that only bounces must use up the budget too. */
        if (ran >= budget) {
            break;
        }
    }
    atomic_store_explicit(
        &s->handled,
        atomic_load_explicit(&s->handled, memory_order_relaxed) + handled,
        memory_order_relaxed);
}

struct hti_turn hti_sched_turn(ht_node *node, unsigned sched, unsigned budget)
{
    struct hti_thread outer = hti_thread;
    struct hti_sched *s = &node->scheds[sched];
    uint64_t bit = UINT64_C(1) << sched;
    struct hti_turn turn;

    assert(sched < node->scheds_count);
    hti_thread = (struct hti_thread){
        .node = node, .sched = sched, .in_turn = true, .actor = outer.actor};
    if (atomic_load_explicit(&node->idle_scheds, memory_order_relaxed) & bit) {
        atomic_fetch_and(&node->idle_scheds, ~bit);
    }
    if (node->single_threaded) {
        atomic_store_explicit(&node->owner, (uintptr_t)&hti_thread,
                              memory_order_relaxed);
    }
    s->now_ns = hti_now(node);
    hti_sched_take_back(s);
    fire_alarms(s);
    run_actors(s, budget);
    turn.more = atomic_load(&s->queued) != 0;
    turn.deadline_ns = s->alarms != NULL ? s->alarms->deadline_ns : UINT64_MAX;
    hti_thread = outer;
    return turn;
}

/* Whether a thief may take from s: it has more than it can do now, or one slot
 * and has not moved on since this thief last looked. */
static bool is_behind(struct hti_sched *thief, struct hti_sched *s)
{
    unsigned queued = atomic_load(&s->queued);
    uint64_t turns =
        atomic_load_explicit(&s->actor_turns, memory_order_relaxed);
    bool stuck = thief->seen_turns[s->index] == turns;

    thief->seen_turns[s->index] = turns;
    return queued >= 2 || (queued == 1 && stuck);
}

bool hti_sched_steal(ht_node *node, unsigned sched)
{
    struct hti_sched *thief = &node->scheds[sched];
    uint64_t bit = UINT64_C(1) << sched;

    if (node->scheds_count == 1) {
        return false;
    }
    /* Say that we are idle before we look: whoever queues something after we
     * looked sees it and wakes us. */
    atomic_fetch_or(&node->idle_scheds, bit);
    for (unsigned i = 1; i < node->scheds_count; i++) {
        struct hti_sched *s = &node->scheds[(sched + i) % node->scheds_count];
        ht_actor *a;

        if (!is_behind(thief, s) || (a = queue_pop_unpinned(s)) == NULL) {
            continue;
        }
        atomic_fetch_and(&node->idle_scheds, ~bit);
        atomic_store_explicit(&a->home, sched, memory_order_relaxed);
        atomic_fetch_add_explicit(&thief->steals, 1, memory_order_relaxed);
        queue_push(thief, a);
        return true;
    }
    return false;
}

struct hti_turn hti_sched_peek(ht_node *node, unsigned sched)
{
    struct hti_sched *s = &node->scheds[sched];

    return (struct hti_turn){
        .more = atomic_load(&s->queued) != 0 || !hti_mpsc_is_empty(&s->back),
        .deadline_ns = s->alarms != NULL ? s->alarms->deadline_ns : UINT64_MAX,
    };
}

void hti_sched_press(void)
{
    hti_thread.pressed = hti_thread.in_turn;
}

/* ---- life -----------------------------------------------------------------
 */

ht_err hti_scheds_new(ht_node *node)
{
    node->scheds = calloc(node->scheds_count, sizeof(*node->scheds));
    if (node->scheds == NULL) {
        return HT_ENOMEM;
    }
    for (unsigned i = 0; i < node->scheds_count; i++) {
        struct hti_sched *s = &node->scheds[i];

        s->node = node;
        s->index = i;
        STAILQ_INIT(&s->queue);
        hti_mpsc_init(&s->back);
        s->now_ns = hti_now(node);
    }
    return HT_OK;
}

void hti_scheds_free(ht_node *node)
{
    if (node->scheds == NULL) {
        return;
    }
    for (unsigned i = 0; i < node->scheds_count; i++) {
        struct hti_sched *s = &node->scheds[i];
        struct hti_alarm *alarm;

        hti_sched_take_back(s);
        while ((alarm = hti_alarm_due(s, UINT64_MAX)) != NULL) {
            assert(!alarm->is_timer);
        }
    }
    free(node->scheds);
    node->scheds = NULL;
}
