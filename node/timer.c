/* SPDX-License-Identifier: Apache-2.0 */
#include "node/timer.h"

#include <assert.h>
#include <stdlib.h>

static void place(struct hti_timers *timers, struct hti_timer *timer, size_t i)
{
    timers->heap[i] = timer;
    timer->slot = i + 1;
}

static void sift_up(struct hti_timers *timers, size_t i)
{
    struct hti_timer *timer = timers->heap[i];

    while (i > 0) {
        size_t parent = (i - 1) / 2;

        if (timers->heap[parent]->at_ms <= timer->at_ms) {
            break;
        }
        place(timers, timers->heap[parent], i);
        i = parent;
    }
    place(timers, timer, i);
}

static void sift_down(struct hti_timers *timers, size_t i)
{
    struct hti_timer *timer = timers->heap[i];

    for (;;) {
        size_t child = 2 * i + 1;

        if (child >= timers->count) {
            break;
        }
        if (child + 1 < timers->count &&
            timers->heap[child + 1]->at_ms < timers->heap[child]->at_ms) {
            child++;
        }
        if (timer->at_ms <= timers->heap[child]->at_ms) {
            break;
        }
        place(timers, timers->heap[child], i);
        i = child;
    }
    place(timers, timer, i);
}

void hti_timers_fini(struct hti_timers *timers)
{
    free(timers->heap);
    *timers = (struct hti_timers){0};
}

ht_err hti_timer_attach(struct hti_timers *timers,
                        struct hti_timer *timer,
                        void (*fire)(struct hti_timer *timer, uint64_t now_ms))
{
    assert(!timer->attached);

    if (timers->attached == timers->cap) {
        size_t cap = timers->cap == 0 ? 16 : timers->cap * 2;
        struct hti_timer **heap =
            realloc(timers->heap, cap * sizeof(struct hti_timer *));

        if (heap == NULL) {
            return HT_ENOMEM;
        }
        timers->heap = heap;
        timers->cap = cap;
    }
    timers->attached++;
    *timer = (struct hti_timer){.attached = true, .fire = fire};
    return HT_OK;
}

void hti_timer_detach(struct hti_timers *timers, struct hti_timer *timer)
{
    if (!timer->attached) {
        return;
    }
    hti_timer_unset(timers, timer);
    timer->attached = false;
    timers->attached--;
}

void hti_timer_set(struct hti_timers *timers,
                   struct hti_timer *timer,
                   uint64_t at_ms)
{
    assert(timer->attached);

    if (timer->slot == 0) {
        timer->at_ms = at_ms;
        place(timers, timer, timers->count++);
        sift_up(timers, timer->slot - 1);
        return;
    }
    if (at_ms < timer->at_ms) {
        timer->at_ms = at_ms;
        sift_up(timers, timer->slot - 1);
    } else if (at_ms > timer->at_ms) {
        timer->at_ms = at_ms;
        sift_down(timers, timer->slot - 1);
    }
}

void hti_timer_unset(struct hti_timers *timers, struct hti_timer *timer)
{
    size_t i = timer->slot;
    struct hti_timer *last;

    if (i == 0) {
        return;
    }
    i--;
    timer->slot = 0;
    last = timers->heap[--timers->count];
    if (last == timer) {
        return;
    }
    place(timers, last, i);
    sift_up(timers, i);
    sift_down(timers, last->slot - 1);
}

uint64_t hti_timers_next(const struct hti_timers *timers)
{
    return timers->count == 0 ? UINT64_MAX : timers->heap[0]->at_ms;
}

unsigned hti_timers_run(struct hti_timers *timers, uint64_t now_ms)
{
    /* As many as are set now: one that sets itself anew into the past must not
     * keep the loop here. */
    size_t limit = timers->count;
    unsigned fired = 0;

    while (limit-- > 0 && hti_timers_next(timers) <= now_ms) {
        struct hti_timer *timer = timers->heap[0];

        hti_timer_unset(timers, timer);
        timer->fire(timer, now_ms);
        fired++;
    }
    return fired;
}
