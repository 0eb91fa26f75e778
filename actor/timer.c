/* SPDX-License-Identifier: Apache-2.0 */
/* timer.c - timers of actors.
 *
 * A timer has up to three holders, counted: its actor's list, a scheduler's
 * heap, and the mailbox while its item is queued there.  Only the heap's
 * scheduler touches the heap; an actor that has moved stops a timer by marking
 * it and handing it back.  An item of a stopped timer is dropped when it is
 * popped, so no event comes after ht_timer_cancel() has returned.
 */
#include "actor/internal.h"

static void timer_unref(struct hti_timer *t)
{
    if (atomic_fetch_sub_explicit(&t->refs, 1, memory_order_acq_rel) == 1) {
        ht_msg_free(t->msg);
        hti_free(t);
    }
}

static void timer_ref(struct hti_timer *t)
{
    atomic_fetch_add_explicit(&t->refs, 1, memory_order_relaxed);
}

ht_err hti_timer_new(ht_actor *self,
                     uint64_t deadline_ns,
                     uint64_t interval_ns,
                     struct hti_timer **ret_timer)
{
    struct hti_sched *here = hti_here(self->node);
    struct hti_timer *t = hti_zalloc(sizeof(*t));

    if (t == NULL) {
        return HT_ENOMEM;
    }
    t->item.kind = HTI_ITEM_TIMER;
    t->alarm.is_timer = true;
    atomic_init(&t->refs, 2);
    t->node = self->node;
    t->pid = self->own_pid;
    t->id = atomic_fetch_add_explicit(&self->node->number_next, 1,
                                      memory_order_relaxed);
    t->deadline_ns = deadline_ns;
    t->interval_ns = interval_ns;
    LIST_INSERT_HEAD(&self->timers, t, entry);
    hti_alarm_arm(here, &t->alarm, deadline_ns);
    *ret_timer = t;
    return HT_OK;
}

/* The heap has let go of it; on the heap's scheduler. */
void hti_timer_fire(struct hti_timer *t)
{
    struct hti_sched *s = &t->node->scheds[t->alarm.sched];

    if (atomic_load_explicit(&t->stopped, memory_order_acquire)) {
        timer_unref(t);
        return;
    }
    atomic_fetch_add_explicit(&s->timers, 1, memory_order_relaxed);
    if (t->interval_ns == 0) {
        /* The heap's reference is the mailbox's now. */
        (void)hti_post(t->node, t->pid, &t->item);
        return;
    }
    /* Skip what was missed: a late timer does not fire in a burst. */
    t->deadline_ns += t->interval_ns;
    if (t->deadline_ns <= s->now_ns) {
        t->deadline_ns = s->now_ns + t->interval_ns;
    }
    hti_alarm_arm(s, &t->alarm, t->deadline_ns);
    if (!atomic_exchange_explicit(&t->queued, true, memory_order_acq_rel)) {
        timer_ref(t);
        (void)hti_post(t->node, t->pid, &t->item);
    }
}

void hti_timer_back(struct hti_sched *s, struct hti_timer *t)
{
    if (t->alarm.armed) {
        hti_alarm_disarm(s, &t->alarm);
        timer_unref(t);
    }
    timer_unref(t);
}

void hti_timer_stop(struct hti_timer *t)
{
    struct hti_sched *s = &t->node->scheds[t->alarm.sched];

    atomic_store_explicit(&t->stopped, true, memory_order_release);
    LIST_REMOVE(t, entry);
    /* The list's reference goes with it. */
    if (hti_here(t->node) == s) {
        hti_timer_back(s, t);
    } else {
        hti_mpsc_push(&s->back, &t->alarm.back);
    }
}

void hti_timer_bounce(struct hti_timer *t)
{
    atomic_store_explicit(&t->queued, false, memory_order_release);
    timer_unref(t);
}

void hti_timer_end(ht_actor *self)
{
    struct hti_timer *t;

    while ((t = LIST_FIRST(&self->timers)) != NULL) {
        hti_timer_stop(t);
    }
}

static ht_err timer_deliver(ht_actor *self, struct hti_timer *t)
{
    ht_event event = {.kind = HT_EVENT_TIMER};

    if (t->reaper) {
        hti_answer_reap(self);
        return HT_OK;
    }
    if (t->msg != NULL) {
        /* Refused like any cast: counted where it is. */
        (void)!ht_send(self->node, t->to, &t->msg);
        return HT_OK;
    }
    if (self->behavior->on_event == NULL) {
        return HT_OK;
    }
    event.u.timer.timer = t->id;
    event.u.timer.arg = t->arg;
    return self->behavior->on_event(self, &event);
}

ht_err hti_timer_run(ht_actor *self, struct hti_timer *t)
{
    ht_err err = HT_OK;

    atomic_store_explicit(&t->queued, false, memory_order_release);
    if (!atomic_load_explicit(&t->stopped, memory_order_relaxed)) {
        if (t->interval_ns == 0) {
            LIST_REMOVE(t, entry);
            atomic_store_explicit(&t->stopped, true, memory_order_relaxed);
            timer_unref(t);
        }
        err = timer_deliver(self, t);
    }
    timer_unref(t);
    return err;
}

/* ---- public ---------------------------------------------------------------
 */

ht_err ht_timer_start(ht_actor *self,
                      uint32_t after_ms,
                      uint32_t interval_ms,
                      void *arg,
                      uint64_t *ret_timer)
{
    struct hti_timer *t;
    ht_err err;

    if (self == NULL || self != hti_thread.actor || ret_timer == NULL ||
        after_ms == HT_INFINITE || interval_ms == HT_INFINITE) {
        return HT_EINVAL;
    }
    err = hti_timer_new(self, hti_deadline(self->node, after_ms),
                        (uint64_t)interval_ms * 1000000, &t);
    if (err != HT_OK) {
        return err;
    }
    t->arg = arg;
    *ret_timer = t->id;
    return HT_OK;
}

ht_err ht_send_after(ht_actor *self,
                     uint32_t after_ms,
                     ht_ref to,
                     ht_msg **msg,
                     uint64_t *ret_timer)
{
    struct hti_timer *t;
    ht_err err;

    if (self == NULL || self != hti_thread.actor || msg == NULL ||
        *msg == NULL || after_ms == HT_INFINITE) {
        return HT_EINVAL;
    }
    err = hti_timer_new(self, hti_deadline(self->node, after_ms), 0, &t);
    if (err != HT_OK) {
        return err;
    }
    t->msg = *msg;
    t->to = to;
    *msg = NULL;
    if (ret_timer != NULL) {
        *ret_timer = t->id;
    }
    return HT_OK;
}

ht_err ht_timer_cancel(ht_actor *self, uint64_t timer)
{
    struct hti_timer *t;

    if (self == NULL || self != hti_thread.actor) {
        return HT_EINVAL;
    }
    LIST_FOREACH (t, &self->timers, entry) {
        if (t->id == timer && !t->reaper) {
            hti_timer_stop(t);
            return HT_OK;
        }
    }
    return HT_ENOENT;
}
