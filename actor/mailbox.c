/* SPDX-License-Identifier: Apache-2.0 */
/* mailbox.c - into an actor's mailbox, and out of it.
 *
 * Casts and calls are counted against the actor's limits before they are
 * pushed, and refused at them.  Everything else was reserved beforehand and is
 * never refused: replies, signals, timers, events.
 *
 * Whether the slot changes hands between a sender's look and its push does not
 * matter: the item says whom it is for, and the slot's runner bounces it.
 */
#include <assert.h>

#include "actor/internal.h"

/* Of a mailbox's limits: what was taken out of it may count as in it for the
 * rest of a turn. */
#define GIVE_BACK_SHARE 64

/* ---- in -------------------------------------------------------------------
 */

static void push(ht_actor *a, uint64_t pid, struct hti_item *item)
{
    item->pid = pid;
    hti_mpsc_push(&a->mailbox, &item->node);
    hti_actor_poke(a);
}

/* Nobody will run it. */
static void bounce(ht_node *node, struct hti_item *item)
{
    switch (item->kind) {
    case HTI_ITEM_MESSAGE:
        hti_msg_bounce(node, HTI_CONTAINER(item, struct ht_msg, item),
                       HT_ENOPROC);
        break;
    case HTI_ITEM_REPLY:
        hti_flight_release(HTI_CONTAINER(item, struct hti_flight, item));
        break;
    case HTI_ITEM_SIGNAL:
        hti_relation_bounce(node,
                            HTI_CONTAINER(item, struct hti_relation, item));
        break;
    case HTI_ITEM_TIMER:
        hti_timer_bounce(HTI_CONTAINER(item, struct hti_timer, item));
        break;
    case HTI_ITEM_WATCH:
        hti_watch_bounce((struct hti_watch *)(void *)item);
        break;
    case HTI_ITEM_EVENT:
        HTI_CONTAINER(item, struct hti_event_item, item)->release(item);
        break;
    case HTI_ITEM_DONE:
        HTI_CONTAINER(item, struct hti_done_item, item)->release(item);
        break;
    }
}

ht_err hti_post(ht_node *node, uint64_t pid, struct hti_item *item)
{
    ht_actor *a = hti_actor_find(node, pid);

    if (a == NULL) {
        bounce(node, item);
        return HT_ENOPROC;
    }
    push(a, pid, item);
    return HT_OK;
}

void hti_post_to_slot(ht_node *node, uint64_t pid, struct hti_item *item)
{
    push(hti_slot_of(node, pid), pid, item);
}

/* Take a charge back.  Somebody may have looked at the load meanwhile and
 * waited for it to fall: let the runner look again. */
static void uncharge(ht_actor *a, uint64_t charge)
{
    atomic_fetch_sub(&a->load, charge);
    if (atomic_load(&a->control) != 0 || atomic_load(&a->waiters)) {
        hti_actor_poke(a);
    }
}

ht_err hti_mailbox_send(ht_node *node, uint64_t pid, ht_msg *msg)
{
    ht_actor *a = hti_actor_find(node, pid);

    return a == NULL ? HT_ENOPROC : hti_mailbox_put(a, pid, msg);
}

ht_err hti_mailbox_put(ht_actor *a, uint64_t pid, ht_msg *msg)
{
    uint64_t charge = HTI_LOAD_MESSAGE + msg->bytes;
    uint64_t load;
    uint32_t messages_max, bytes_max;

    messages_max = atomic_load_explicit(&a->messages_max, memory_order_relaxed);
    bytes_max = atomic_load_explicit(&a->bytes_max, memory_order_relaxed);
    load = atomic_fetch_add(&a->load, charge);

    /* Refuse rather than grow, or a slow actor's queue becomes everybody's
     * memory.  An empty mailbox takes a message of any size: else one above
     * the limit could never be sent. */
    if (HTI_LOAD_MESSAGES(load) >= messages_max ||
        (HTI_LOAD_BYTES(load) != 0 &&
         HTI_LOAD_BYTES(load) + msg->bytes > bytes_max)) {
        uncharge(a, charge);
        atomic_fetch_add_explicit(&a->dropped, 1, memory_order_relaxed);
        atomic_fetch_add_explicit(&a->node->dropped, 1, memory_order_relaxed);
        return HT_EBUSY;
    }
    /* After the charge: the runner sees either our message or that there is
     * none to come. */
    if (atomic_load(&a->control) & HTI_CONTROL_DRAIN) {
        uncharge(a, charge);
        return HT_ENOPROC;
    }
    push(a, pid, &msg->item);
    return HT_OK;
}

/* ---- out ------------------------------------------------------------------
 */

/* What was taken out of the load's limits is given back together: the word is
 * the senders', and on another core it costs as much as the message. */
static void give_back(ht_actor *a)
{
    if (a->taken != 0) {
        atomic_fetch_sub(&a->load, a->taken);
        a->taken = 0;
    }
}

/* At once where the limits are so low that it could be missed. */
static bool is_due(const ht_actor *a)
{
    return HTI_LOAD_MESSAGES(a->taken) >
               atomic_load_explicit(&a->messages_max, memory_order_relaxed) /
                   GIVE_BACK_SHARE ||
           HTI_LOAD_BYTES(a->taken) >
               atomic_load_explicit(&a->bytes_max, memory_order_relaxed) /
                   GIVE_BACK_SHARE;
}

static struct hti_item *pop(ht_actor *a)
{
    struct hti_mpsc_node *n = hti_mpsc_pop(&a->mailbox);
    struct hti_item *item;

    if (n == NULL) {
        return NULL;
    }
    item = HTI_CONTAINER(n, struct hti_item, node);
    if (item->kind == HTI_ITEM_MESSAGE) {
        a->taken +=
            HTI_LOAD_MESSAGE + HTI_CONTAINER(item, struct ht_msg, item)->bytes;
        if (is_due(a)) {
            give_back(a);
        }
    }
    return item;
}

void hti_mailbox_bounce(ht_actor *a)
{
    struct hti_item *item;

    while ((item = pop(a)) != NULL) {
        bounce(a->node, item);
    }
    give_back(a);
}

static ht_err run_event(ht_actor *a, struct hti_event_item *item)
{
    ht_err err = HT_OK;

    if (a->behavior->on_event != NULL) {
        err = a->behavior->on_event(a, &item->event);
    }
    item->release(&item->item);
    return err;
}

static ht_err run_done(ht_actor *a, struct hti_done_item *item)
{
    item->run(a, &item->item);
    item->release(&item->item);
    return HT_OK;
}

static ht_err run_item(ht_actor *a, struct hti_item *item)
{
    switch (item->kind) {
    case HTI_ITEM_MESSAGE:
        return hti_msg_run(a, HTI_CONTAINER(item, struct ht_msg, item));
    case HTI_ITEM_REPLY:
        hti_flight_run(a, HTI_CONTAINER(item, struct hti_flight, item));
        return HT_OK;
    case HTI_ITEM_SIGNAL:
        return hti_relation_run(a,
                                HTI_CONTAINER(item, struct hti_relation, item));
    case HTI_ITEM_TIMER:
        return hti_timer_run(a, HTI_CONTAINER(item, struct hti_timer, item));
    case HTI_ITEM_WATCH:
        return hti_watch_run(a, (struct hti_watch *)(void *)item);
    case HTI_ITEM_EVENT:
        return run_event(a, HTI_CONTAINER(item, struct hti_event_item, item));
    case HTI_ITEM_DONE:
        return run_done(a, HTI_CONTAINER(item, struct hti_done_item, item));
    }
    return HT_OK;
}

static void handle_item(ht_actor *a, struct hti_item *item)
{
    ht_actor *outer = hti_thread.actor;
    ht_err err;

    if (item->pid != a->own_pid || a->life != HTI_LIFE_ALIVE) {
        bounce(a->node, item);
        return;
    }
    hti_thread.actor = a;
    err = run_item(a, item);
    hti_thread.actor = outer;
    atomic_store_explicit(
        &a->handled,
        atomic_load_explicit(&a->handled, memory_order_relaxed) + 1,
        memory_order_relaxed);
    if (err != HT_OK && a->life == HTI_LIFE_ALIVE) {
        hti_actor_end(
            a, &(ht_exit){.kind = HT_EXIT_FAILED, .text = ht_strerror(err)});
    }
}

unsigned hti_actor_turn(ht_actor *a, unsigned limit)
{
    unsigned n = 0;

    /* Before the first look: a push after this makes it QUEUED again. */
    atomic_exchange(&a->run_state, HTI_RUN_RUNNING);
    if (a->life == HTI_LIFE_STARTING) {
        hti_spawn_finish(a);
    }
    while (n < limit && !hti_thread.pressed) {
        struct hti_item *item;

        hti_actor_obey(a);
        item = pop(a);
        if (item == NULL) {
            break;
        }
        n++;
        handle_item(a, item);
    }
    give_back(a);
    hti_actor_obey(a);
    if (atomic_load(&a->waiters)) {
        hti_relation_check_writable(a);
    }
    hti_actor_let_go(a);
    return n;
}

void hti_actor_let_go(ht_actor *a)
{
    for (;;) {
        unsigned running = HTI_RUN_RUNNING;

        if (!hti_mpsc_is_empty(&a->mailbox) || atomic_load(&a->control) != 0 ||
            atomic_load(&a->waiters)) {
            break;
        }
        if (atomic_compare_exchange_strong(&a->run_state, &running,
                                           HTI_RUN_IDLE)) {
            return;
        }
        atomic_exchange(&a->run_state, HTI_RUN_RUNNING);
    }
    atomic_exchange(&a->run_state, HTI_RUN_QUEUED);
    hti_schedule(a);
}
