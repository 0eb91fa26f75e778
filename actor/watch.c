/* SPDX-License-Identifier: Apache-2.0 */
/* watch.c - descriptors that actors watch.
 *
 * A descriptor is watched on one loop, so an actor that watches any is pinned
 * to the scheduler it watched the first one on: it runs nowhere else, and its
 * watches are touched by that thread only.
 */
#include <assert.h>

#include "actor/internal.h"

struct hti_watch {
    struct hti_item item; /* kind HTI_ITEM_WATCH; first */
    LIST_ENTRY(hti_watch) entry;
    ht_node *node;
    uint64_t pid;
    int fd;
    int events;
    int ready;
    ht_watch_fn on_ready;
    void *arg;
    void *host_watch;
    bool queued;  /* the item is in the mailbox */
    bool removed; /* freed when the item is popped */
};

static struct hti_watch *watch_find(ht_actor *self, int fd)
{
    struct hti_watch *w;

    LIST_FOREACH (w, &self->watches, entry) {
        if (w->fd == fd) {
            return w;
        }
    }
    return NULL;
}

static ht_err host_watch(struct hti_watch *w, unsigned sched, int events)
{
    ht_node *node = w->node;

    return node->host->watch(node->host_arg, sched, w->fd, events, w,
                             &w->host_watch);
}

static void watch_remove(ht_actor *self, struct hti_watch *w)
{
    unsigned home = atomic_load_explicit(&self->home, memory_order_relaxed);

    (void)host_watch(w, home, 0);
    LIST_REMOVE(w, entry);
    if (LIST_EMPTY(&self->watches) && !self->settled) {
        atomic_store_explicit(&self->pinned, false, memory_order_relaxed);
    }
    if (w->queued) {
        w->removed = true;
    } else {
        hti_free(w);
    }
}

static ht_err
watch_add(ht_actor *self, int fd, int events, ht_watch_fn on_ready, void *arg)
{
    struct hti_sched *here = hti_here(self->node);
    struct hti_watch *w = hti_zalloc(sizeof(*w));
    ht_err err;

    if (w == NULL) {
        return HT_ENOMEM;
    }
    w->item.kind = HTI_ITEM_WATCH;
    w->node = self->node;
    w->pid = self->own_pid;
    w->fd = fd;
    w->events = events;
    w->on_ready = on_ready;
    w->arg = arg;
    err = host_watch(w, here->index, events);
    if (err != HT_OK) {
        hti_free(w);
        return err;
    }
    atomic_store_explicit(&self->home, here->index, memory_order_relaxed);
    atomic_store_explicit(&self->pinned, true, memory_order_relaxed);
    LIST_INSERT_HEAD(&self->watches, w, entry);
    return HT_OK;
}

ht_err
ht_watch(ht_actor *self, int fd, int events, ht_watch_fn on_ready, void *arg)
{
    struct hti_watch *w;
    ht_err err;

    if (self == NULL || self != hti_thread.actor || fd < 0 ||
        (events & ~(HT_READ | HT_WRITE)) != 0 ||
        (events != 0 && on_ready == NULL)) {
        return HT_EINVAL;
    }
    if (self->node->host->watch == NULL) {
        return HT_EUNSUPPORTED;
    }
    w = watch_find(self, fd);
    if (events == 0) {
        if (w != NULL) {
            watch_remove(self, w);
        }
        return HT_OK;
    }
    if (w == NULL) {
        return watch_add(self, fd, events, on_ready, arg);
    }
    err = host_watch(w, atomic_load_explicit(&self->home, memory_order_relaxed),
                     events);
    if (err == HT_OK) {
        w->events = events;
        w->on_ready = on_ready;
        w->arg = arg;
    }
    return err;
}

void hti_rt_fd_ready(ht_node *node, void *token, int events)
{
    struct hti_watch *w = token;

    w->ready |= events;
    /* Level-triggered: it comes again and again until the actor has run. */
    if (!w->queued) {
        w->queued = true;
        (void)hti_post(node, w->pid, &w->item);
    }
}

ht_err hti_watch_run(ht_actor *self, struct hti_watch *w)
{
    int events = w->ready & w->events;

    w->queued = false;
    w->ready = 0;
    if (w->removed) {
        hti_free(w);
        return HT_OK;
    }
    return events != 0 ? w->on_ready(self, w->fd, events, w->arg) : HT_OK;
}

void hti_watch_bounce(struct hti_watch *w)
{
    w->queued = false;
    if (w->removed) {
        hti_free(w);
    }
}

void hti_watch_end(ht_actor *self)
{
    struct hti_watch *w;

    while ((w = LIST_FIRST(&self->watches)) != NULL) {
        watch_remove(self, w);
    }
}
