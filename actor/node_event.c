/* SPDX-License-Identifier: Apache-2.0 */
/* node_event.c - actors that want to hear of nodes that come and go. */
#include <stdlib.h>
#include <string.h>

#include "actor/internal.h"

struct node_item {
    struct hti_event_item event;
    char text[]; /* name, address, text, each with its NUL */
};

static void node_item_release(struct hti_item *item)
{
    hti_free(item);
}

static const char *put(char **at, const char *s)
{
    const char *begin = *at;
    size_t size = strlen(s) + 1;

    memcpy(*at, s, size);
    *at += size;
    return begin;
}

static const char *or_empty(const char *s)
{
    return s != NULL ? s : "";
}

static struct node_item *node_item_new(const ht_event *event)
{
    const char *name = or_empty(event->u.node.name);
    const char *address = or_empty(event->u.node.address);
    const char *text = or_empty(event->u.node.text);
    struct node_item *n = hti_alloc(sizeof(*n) + strlen(name) +
                                    strlen(address) + strlen(text) + 3);
    char *at;

    if (n == NULL) {
        return NULL;
    }
    memset(n, 0, sizeof(*n));
    at = n->text;
    n->event.item.kind = HTI_ITEM_EVENT;
    n->event.release = node_item_release;
    n->event.event = *event;
    n->event.event.kind = HT_EVENT_NODE;
    n->event.event.u.node.name = put(&at, name);
    n->event.event.u.node.address = put(&at, address);
    n->event.event.u.node.text = put(&at, text);
    return n;
}

/* With the lock. */
static uint64_t *watcher_find(ht_node *node, uint64_t pid)
{
    for (size_t i = 0; i < node->node_watchers_count; i++) {
        if (node->node_watchers[i] == pid) {
            return &node->node_watchers[i];
        }
    }
    return NULL;
}

/* With the lock: forget those that have ended. */
static void watchers_sweep(ht_node *node)
{
    size_t kept = 0;

    for (size_t i = 0; i < node->node_watchers_count; i++) {
        if (hti_actor_is_live(node, node->node_watchers[i])) {
            node->node_watchers[kept++] = node->node_watchers[i];
        }
    }
    node->node_watchers_count = kept;
}

/* With the lock. */
static ht_err watcher_add(ht_node *node, uint64_t pid)
{
    uint64_t *at;
    size_t cap = node->node_watchers_cap;

    if (watcher_find(node, pid) != NULL) {
        return HT_OK;
    }
    watchers_sweep(node);
    if (node->node_watchers_count == cap) {
        cap = cap != 0 ? cap * 2 : 8;
        at = hti_alloc(cap * sizeof(*at));
        if (at == NULL) {
            return HT_ENOMEM;
        }
        if (node->node_watchers_count > 0) {
            memcpy(at, node->node_watchers,
                   node->node_watchers_count * sizeof(*at));
        }
        hti_free(node->node_watchers);
        node->node_watchers = at;
        node->node_watchers_cap = cap;
    }
    node->node_watchers[node->node_watchers_count++] = pid;
    return HT_OK;
}

ht_err ht_monitor_nodes(ht_actor *self, bool on)
{
    ht_node *node;
    uint64_t *at;
    ht_err err = HT_OK;

    if (self == NULL || self != hti_thread.actor) {
        return HT_EINVAL;
    }
    node = self->node;
    pthread_mutex_lock(&node->lock);
    if (on) {
        err = watcher_add(node, self->own_pid);
    } else if ((at = watcher_find(node, self->own_pid)) != NULL) {
        *at = node->node_watchers[--node->node_watchers_count];
    }
    pthread_mutex_unlock(&node->lock);
    return err;
}

/* The next watcher after the first *at ones; 0: no more. */
static uint64_t watcher_at(ht_node *node, size_t at)
{
    uint64_t pid = 0;

    pthread_mutex_lock(&node->lock);
    if (at < node->node_watchers_count) {
        pid = node->node_watchers[at];
    }
    pthread_mutex_unlock(&node->lock);
    return pid;
}

void hti_rt_node_event(ht_node *node, const ht_event *event)
{
    uint64_t pid;

    pthread_mutex_lock(&node->lock);
    watchers_sweep(node);
    pthread_mutex_unlock(&node->lock);
    for (size_t i = 0; (pid = watcher_at(node, i)) != 0; i++) {
        struct node_item *n = node_item_new(event);

        if (n == NULL) {
            hti_log(&node->log, HT_LOG_WARN, "HT-ACTOR-NODE-EVENT",
                    "pid=%llu err=\"%s\"", (unsigned long long)pid,
                    ht_strerror(HT_ENOMEM));
            continue;
        }
        (void)hti_post(node, pid, &n->event.item);
    }
}
