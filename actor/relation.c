/* SPDX-License-Identifier: Apache-2.0 */
/* relation.c - who is told of whose end: monitors, links, and those who wait
 * until a mailbox takes messages again.
 *
 * One record serves both sides and is itself the signal, so that an end is told
 * even when memory is out.  Its ends hang in the lists of their actors, or in
 * the buckets of remote refs; the key finds it by number or by pair.
 *
 * Once fired, the record is on its way to ends[0], still listed there and under
 * its key: so that a demonitor or unlink in between finds and cancels it.
 * Everything that is posted or told to peers is collected under the lock and
 * done without it.
 */
#include <assert.h>
#include <string.h>

#include "actor/internal.h"

static uint64_t mix(uint64_t x)
{
    x ^= x >> 31;
    x *= UINT64_C(0x9e3779b97f4a7c15);
    x ^= x >> 29;
    return x;
}

static uint64_t hash_ref(const ht_node *node, ht_ref ref)
{
    return mix(mix(ref.node ^ node->hash_key) + ref.pid);
}

static bool is_local(const ht_node *node, ht_ref ref)
{
    return ref.node == node->local_handle;
}

struct hti_relation_list *hti_relation_bucket(ht_node *node, ht_ref remote)
{
    return &node->remote_ends[hash_ref(node, remote) % HTI_RELATION_BUCKETS];
}

static struct hti_relation_keys *key_of(
    ht_node *node, enum hti_relation_kind kind, ht_ref a, ht_ref b, uint64_t id)
{
    /* A link's key is the same from both sides. */
    uint64_t h = kind == HTI_RELATION_LINK
                     ? hash_ref(node, a) + hash_ref(node, b)
                     : mix(hash_ref(node, a) + id);

    return &node->by_key[mix(h) % HTI_RELATION_BUCKETS];
}

/* ---- what peers hold here --------------------------------------------------
 */

static _Atomic size_t *remote_share(ht_node *node, uint64_t peer)
{
    return &node->remote_shares[(uint32_t)peer % HTI_REMOTE_SHARES];
}

bool hti_remote_made(ht_node *node, uint64_t peer, size_t max, size_t share)
{
    _Atomic size_t *of_peer = remote_share(node, peer);
    size_t all =
        atomic_fetch_add_explicit(&node->remote_made, 1, memory_order_relaxed);
    size_t own = atomic_fetch_add_explicit(of_peer, 1, memory_order_relaxed);

    if (all < max && own < share) {
        return true;
    }
    hti_remote_unmade(node, peer);
    return false;
}

void hti_remote_unmade(ht_node *node, uint64_t peer)
{
    atomic_fetch_sub_explicit(&node->remote_made, 1, memory_order_relaxed);
    atomic_fetch_sub_explicit(remote_share(node, peer), 1,
                              memory_order_relaxed);
}

/* ---- records --------------------------------------------------------------
 */

struct hti_relation *hti_relation_new(enum hti_relation_kind kind,
                                      ht_ref watcher,
                                      ht_ref target,
                                      uint64_t id)
{
    struct hti_relation *r = hti_zalloc(sizeof(*r));

    if (r == NULL) {
        return NULL;
    }
    r->item.kind = HTI_ITEM_SIGNAL;
    r->kind = kind;
    r->id = id;
    r->ends[0].ref = watcher;
    r->ends[1].ref = target;
    r->ends[0].relation = r->ends[1].relation = r;
    return r;
}

void hti_relation_free(ht_node *node, struct hti_relation *r)
{
    if (r == NULL) {
        return;
    }
    assert(!r->ends[0].listed && !r->ends[1].listed && !r->keyed);
    if (r->made_by != 0) {
        hti_remote_unmade(node, r->made_by);
    }
    if (r->text != NULL) {
        hti_buf_unref(r->text);
    }
    hti_free(r);
}

static void list_end(ht_node *node, struct hti_relation_end *end)
{
    struct hti_relation_list *list =
        is_local(node, end->ref) ? &hti_slot_of(node, end->ref.pid)->relations
                                 : hti_relation_bucket(node, end->ref);

    LIST_INSERT_HEAD(list, end, entry);
    end->listed = true;
}

static void unlist_end(struct hti_relation_end *end)
{
    if (end->listed) {
        LIST_REMOVE(end, entry);
        end->listed = false;
    }
}

static void unkey(struct hti_relation *r)
{
    if (r->keyed) {
        LIST_REMOVE(r, by_key);
        r->keyed = false;
    }
}

void hti_relation_attach(ht_node *node, struct hti_relation *r)
{
    LIST_INSERT_HEAD(
        key_of(node, r->kind, r->ends[0].ref, r->ends[1].ref, r->id), r,
        by_key);
    r->keyed = true;
    list_end(node, &r->ends[0]);
    /* A record that is fired as it is made has no target any more. */
    if (!r->fired) {
        list_end(node, &r->ends[1]);
    }
}

void hti_relation_detach(struct hti_relation *r)
{
    unlist_end(&r->ends[0]);
    unlist_end(&r->ends[1]);
    unkey(r);
}

bool hti_relation_cancel(struct hti_relation *r)
{
    hti_relation_detach(r);
    r->cancelled = true;
    return !r->fired;
}

struct hti_relation *
hti_relation_find_monitor(ht_node *node, ht_ref watcher, uint64_t id)
{
    struct hti_relation *r;

    LIST_FOREACH (r, key_of(node, HTI_RELATION_MONITOR, watcher, watcher, id),
                  by_key) {
        if (r->kind == HTI_RELATION_MONITOR && r->id == id &&
            ht_ref_equal(r->ends[0].ref, watcher)) {
            return r;
        }
    }
    return NULL;
}

struct hti_relation *hti_relation_find_link(ht_node *node, ht_ref a, ht_ref b)
{
    struct hti_relation *r;

    LIST_FOREACH (r, key_of(node, HTI_RELATION_LINK, a, b, 0), by_key) {
        ht_ref x = r->ends[0].ref;
        ht_ref y = r->ends[1].ref;

        if (r->kind == HTI_RELATION_LINK &&
            ((ht_ref_equal(x, a) && ht_ref_equal(y, b)) ||
             (ht_ref_equal(x, b) && ht_ref_equal(y, a)))) {
            return r;
        }
    }
    return NULL;
}

/* ---- ends -----------------------------------------------------------------
 */

struct hti_buf *hti_relation_text(const char *text)
{
    size_t len = text != NULL ? strlen(text) : 0;
    struct hti_buf *buf = len > 0 ? hti_buf_new(len + 1) : NULL;

    if (buf != NULL) {
        memcpy(buf->data, text, len + 1);
    }
    return buf;
}

static const char *text_of(const struct hti_relation *r)
{
    return r->text != NULL ? (const char *)r->text->data : "";
}

void hti_relation_fire(struct hti_relation *r,
                       ht_exit_kind why,
                       struct hti_buf *text)
{
    r->fired = true;
    r->from = r->ends[1].ref;
    r->why = why;
    r->text = text != NULL ? hti_buf_ref(text) : NULL;
}

void hti_relation_sever(ht_node *node,
                        struct hti_relation *r,
                        unsigned gone,
                        ht_exit_kind why,
                        struct hti_buf *text,
                        struct hti_relation_batch *batch)
{
    unlist_end(&r->ends[gone]);
    if (r->fired) {
        /* Its receiver is gone; whoever bounces the signal frees it. */
        assert(gone == 0);
        (void)hti_relation_cancel(r);
        return;
    }
    if (r->kind != HTI_RELATION_LINK && gone == 0) {
        hti_relation_detach(r);
        r->next = batch->dropped;
        batch->dropped = r;
        return;
    }
    if (gone == 0) {
        ht_ref survivor = r->ends[1].ref;

        unlist_end(&r->ends[1]);
        r->ends[1].ref = r->ends[0].ref;
        r->ends[0].ref = survivor;
        list_end(node, &r->ends[0]);
    }
    hti_relation_fire(r, why, text);
    if (!is_local(node, r->ends[0].ref)) {
        hti_relation_detach(r);
    }
    r->next = batch->fired;
    batch->fired = r;
}

static void tell_fired(ht_node *node, struct hti_relation *r)
{
    const struct hti_remote_ops *remote = node->remote;
    ht_exit why = {.kind = r->why, .text = text_of(r)};
    ht_ref to = r->ends[0].ref;

    if (is_local(node, to)) {
        (void)hti_post(node, to.pid, &r->item);
        return;
    }
    if (r->kind == HTI_RELATION_MONITOR) {
        remote->down(node->remote_arg, to.node, to.pid, r->id, r->from.pid,
                     &why);
    } else if (r->kind == HTI_RELATION_LINK) {
        remote->exit(node->remote_arg, to, r->from.pid, &why);
    }
    hti_relation_free(node, r);
}

static void tell_dropped(ht_node *node, struct hti_relation *r)
{
    if (r->kind == HTI_RELATION_MONITOR && is_local(node, r->ends[0].ref) &&
        !is_local(node, r->ends[1].ref)) {
        node->remote->demonitor(node->remote_arg, r->ends[1].ref,
                                r->ends[0].ref.pid, r->id);
    }
    hti_relation_free(node, r);
}

void hti_relation_tell(ht_node *node, struct hti_relation_batch *batch)
{
    struct hti_relation *r;

    while ((r = batch->fired) != NULL) {
        batch->fired = r->next;
        tell_fired(node, r);
    }
    while ((r = batch->dropped) != NULL) {
        batch->dropped = r->next;
        tell_dropped(node, r);
    }
}

void hti_relation_end_all(ht_actor *a, const ht_exit *why)
{
    ht_node *node = a->node;
    struct hti_relation_batch batch = {NULL, NULL};
    struct hti_relation_end *end;
    struct hti_buf *text = NULL;

    pthread_mutex_lock(&node->lock);
    atomic_store(&a->waiters, false);
    if (!LIST_EMPTY(&a->relations)) {
        text = hti_relation_text(why->text);
    }
    while ((end = LIST_FIRST(&a->relations)) != NULL) {
        struct hti_relation *r = end->relation;

        hti_relation_sever(node, r, end == &r->ends[0] ? 0 : 1, why->kind, text,
                           &batch);
    }
    pthread_mutex_unlock(&node->lock);
    hti_relation_tell(node, &batch);
    if (text != NULL) {
        hti_buf_unref(text);
    }
}

/* ---- the signal arrives ----------------------------------------------------
 */

void hti_relation_bounce(ht_node *node, struct hti_relation *r)
{
    pthread_mutex_lock(&node->lock);
    hti_relation_detach(r);
    pthread_mutex_unlock(&node->lock);
    hti_relation_free(node, r);
}

static bool is_normal(ht_exit_kind kind)
{
    return kind == HT_EXIT_NORMAL || kind == HT_EXIT_DRAINED;
}

static ht_err take_exit(ht_actor *self, const struct hti_relation *r)
{
    ht_exit why = {.kind = r->why, .text = text_of(r)};
    ht_event event = {.kind = HT_EVENT_EXIT};

    if (!self->trap_exit) {
        if (!is_normal(r->why)) {
            hti_actor_end(self, &why);
        }
        return HT_OK;
    }
    event.u.exit.from = r->from;
    event.u.exit.why = why;
    return self->behavior->on_event != NULL
               ? self->behavior->on_event(self, &event)
               : HT_OK;
}

static ht_err take_event(ht_actor *self, const struct hti_relation *r)
{
    ht_event event = {.kind = HT_EVENT_DOWN};

    if (self->behavior->on_event == NULL) {
        return HT_OK;
    }
    if (r->kind == HTI_RELATION_WRITABLE) {
        event.kind = HT_EVENT_WRITABLE;
        event.u.writable.ref = r->from;
    } else {
        event.u.down.monitor = r->id;
        event.u.down.ref = r->from;
        event.u.down.why = (ht_exit){.kind = r->why, .text = text_of(r)};
    }
    return self->behavior->on_event(self, &event);
}

ht_err hti_relation_run(ht_actor *self, struct hti_relation *r)
{
    ht_node *node = self->node;
    bool cancelled;
    ht_err err = HT_OK;

    pthread_mutex_lock(&node->lock);
    hti_relation_detach(r);
    cancelled = r->cancelled;
    pthread_mutex_unlock(&node->lock);
    if (!cancelled) {
        err = r->kind == HTI_RELATION_LINK ? take_exit(self, r)
                                           : take_event(self, r);
    }
    hti_relation_free(node, r);
    return err;
}
