/* SPDX-License-Identifier: Apache-2.0 */
/* alarm.c - a scheduler's heap of deadlines: a pairing heap.
 *
 * Intrusive, so that arming never fails: a timer that could not be put back
 * after it fired would be lost.  Arming costs a comparison (most deadlines are
 * later than the root's), disarming a leaf too; taking the first is O(log n)
 * amortised.
 *
 * prev is the parent for a first child, else the sibling before.
 */
#include <assert.h>

#include "actor/internal.h"

/* Join two heaps; the earlier root becomes the other's parent. */
static struct hti_alarm *meld(struct hti_alarm *a, struct hti_alarm *b)
{
    if (a == NULL) {
        return b;
    }
    if (b == NULL) {
        return a;
    }
    if (b->deadline_ns < a->deadline_ns) {
        struct hti_alarm *t = a;

        a = b;
        b = t;
    }
    b->prev = a;
    b->next = a->child;
    if (a->child != NULL) {
        a->child->prev = b;
    }
    a->child = b;
    a->next = NULL;
    a->prev = NULL;
    return a;
}

/* Join a list of siblings: in pairs from the left, then all of those. */
static struct hti_alarm *meld_siblings(struct hti_alarm *first)
{
    struct hti_alarm *pairs = NULL;
    struct hti_alarm *root = NULL;

    while (first != NULL) {
        struct hti_alarm *a = first;
        struct hti_alarm *b = a->next;
        struct hti_alarm *pair;

        first = b != NULL ? b->next : NULL;
        a->next = a->prev = NULL;
        if (b != NULL) {
            b->next = b->prev = NULL;
        }
        pair = meld(a, b);
        pair->next = pairs;
        pairs = pair;
    }
    while (pairs != NULL) {
        struct hti_alarm *next = pairs->next;

        pairs->next = pairs->prev = NULL;
        root = meld(root, pairs);
        pairs = next;
    }
    return root;
}

void hti_alarm_arm(struct hti_sched *sched,
                   struct hti_alarm *alarm,
                   uint64_t deadline_ns)
{
    assert(!alarm->armed);

    alarm->deadline_ns = deadline_ns;
    alarm->child = alarm->next = alarm->prev = NULL;
    alarm->armed = true;
    /* Other threads read whose it is while an interval is armed again. */
    if (alarm->sched != sched->index) {
        alarm->sched = (uint16_t)sched->index;
    }
    sched->alarms = meld(sched->alarms, alarm);
}

void hti_alarm_disarm(struct hti_sched *sched, struct hti_alarm *alarm)
{
    struct hti_alarm *children;

    if (!alarm->armed) {
        return;
    }
    assert(alarm->sched == sched->index);
    children = meld_siblings(alarm->child);
    if (alarm == sched->alarms) {
        sched->alarms = children;
    } else {
        if (alarm->prev->child == alarm) {
            alarm->prev->child = alarm->next;
        } else {
            alarm->prev->next = alarm->next;
        }
        if (alarm->next != NULL) {
            alarm->next->prev = alarm->prev;
        }
        sched->alarms = meld(sched->alarms, children);
    }
    alarm->child = alarm->next = alarm->prev = NULL;
    alarm->armed = false;
}

struct hti_alarm *hti_alarm_due(struct hti_sched *sched, uint64_t now_ns)
{
    struct hti_alarm *alarm = sched->alarms;

    if (alarm == NULL || alarm->deadline_ns > now_ns) {
        return NULL;
    }
    hti_alarm_disarm(sched, alarm);
    return alarm;
}
