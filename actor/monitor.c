/* SPDX-License-Identifier: Apache-2.0 */
/* monitor.c - monitors, links and writability, as actors ask for them.
 *
 * Whoever asks about an actor that is already gone is told as if it had ended
 * just now: by a record that is fired as it is made.
 */
#include <assert.h>

#include "actor/internal.h"

static bool is_local(const ht_node *node, ht_ref ref)
{
    return ref.node == node->local_handle;
}

/* With the lock. */
static bool is_live(const ht_node *node, ht_ref ref)
{
    return hti_actor_find(node, ref.pid) != NULL;
}

/* HT_OK: ref can be watched.  HT_ENOPROC, HT_ENOCONN: it is gone already, and
 * for why. */
static ht_err state_of(ht_node *node, ht_ref ref)
{
    if (ref.node == 0) {
        return HT_ENOPROC;
    }
    if (is_local(node, ref)) {
        return HT_OK;
    }
    return node->remote != NULL
               ? node->remote->node_state(node->remote_arg, ref.node)
               : HT_ENOCONN;
}

static ht_exit_kind exit_of(ht_err err)
{
    return err == HT_ENOPROC ? HT_EXIT_NOPROC : HT_EXIT_NOCONNECTION;
}

static bool is_callback(const ht_actor *self)
{
    return self != NULL && self == hti_thread.actor;
}

/* Attach, or tell self at once. Takes r.  False: a link that was there. */
static bool watch_begin(ht_actor *self, struct hti_relation *r, ht_err state)
{
    ht_node *node = self->node;
    ht_ref target = r->ends[1].ref;
    bool gone;

    pthread_mutex_lock(&node->lock);
    if (r->kind == HTI_RELATION_LINK &&
        hti_relation_find_link(node, r->ends[0].ref, target) != NULL) {
        pthread_mutex_unlock(&node->lock);
        hti_relation_free(node, r);
        return false;
    }
    if (state == HT_OK && is_local(node, target) && !is_live(node, target)) {
        state = HT_ENOPROC;
    }
    gone = state != HT_OK;
    if (gone) {
        hti_relation_fire(r, exit_of(state), NULL);
    }
    hti_relation_attach(node, r);
    pthread_mutex_unlock(&node->lock);
    if (gone) {
        (void)hti_post(node, self->own_pid, &r->item);
    }
    return true;
}

/* The peer was asked and will not answer: as if the target had ended, unless
 * somebody told us first. HT_ENOCONN and HT_ENOPROC are news, not errors. */
static ht_err
ask_failed(ht_actor *self,
           struct hti_relation *(*find)(ht_actor *, ht_ref, uint64_t),
           ht_ref ref,
           uint64_t id,
           ht_err err)
{
    ht_node *node = self->node;
    struct hti_relation_batch batch = {NULL, NULL};
    struct hti_relation *r;
    bool is_news = err == HT_ENOCONN || err == HT_ENOPROC;
    bool drop = false;

    pthread_mutex_lock(&node->lock);
    r = find(self, ref, id);
    if (r != NULL && !r->fired) {
        if (is_news) {
            hti_relation_sever(node, r, 1, exit_of(err), NULL, &batch);
        } else {
            drop = hti_relation_cancel(r);
        }
    }
    pthread_mutex_unlock(&node->lock);
    hti_relation_tell(node, &batch);
    if (drop) {
        hti_relation_free(node, r);
    }
    return is_news || !drop ? HT_OK : err;
}

/* ---- monitors --------------------------------------------------------------
 */

static struct hti_relation *my_monitor(ht_actor *self, ht_ref ref, uint64_t id)
{
    (void)ref;
    return hti_relation_find_monitor(self->node, ht_self(self), id);
}

ht_err ht_monitor(ht_actor *self, ht_ref ref, uint64_t *ret_monitor)
{
    ht_node *node;
    struct hti_relation *r;
    uint64_t id;
    ht_err state;

    if (!is_callback(self) || ret_monitor == NULL) {
        return HT_EINVAL;
    }
    node = self->node;
    id = atomic_fetch_add_explicit(&node->number_next, 1, memory_order_relaxed);
    r = hti_relation_new(HTI_RELATION_MONITOR, ht_self(self), ref, id);
    if (r == NULL) {
        return HT_ENOMEM;
    }
    state = state_of(node, ref);
    (void)watch_begin(self, r, state);
    if (state == HT_OK && !is_local(node, ref)) {
        ht_err err =
            node->remote->monitor(node->remote_arg, ref, self->own_pid, id);

        if (err != HT_OK) {
            err = ask_failed(self, my_monitor, ref, id, err);
        }
        if (err != HT_OK) {
            return err;
        }
    }
    *ret_monitor = id;
    return HT_OK;
}

ht_err ht_demonitor(ht_actor *self, uint64_t monitor)
{
    ht_node *node;
    struct hti_relation *r;
    ht_ref target = {0};
    bool drop = false;

    if (!is_callback(self)) {
        return HT_EINVAL;
    }
    node = self->node;
    pthread_mutex_lock(&node->lock);
    r = my_monitor(self, target, monitor);
    if (r != NULL) {
        target = r->ends[1].ref;
        drop = hti_relation_cancel(r);
    }
    pthread_mutex_unlock(&node->lock);
    if (drop) {
        if (!is_local(node, target)) {
            node->remote->demonitor(node->remote_arg, target, self->own_pid,
                                    monitor);
        }
        hti_relation_free(node, r);
    }
    return r != NULL ? HT_OK : HT_ENOENT;
}

/* ---- links -----------------------------------------------------------------
 */

static struct hti_relation *my_link(ht_actor *self, ht_ref ref, uint64_t id)
{
    (void)id;
    return hti_relation_find_link(self->node, ht_self(self), ref);
}

ht_err ht_link(ht_actor *self, ht_ref ref)
{
    ht_node *node;
    struct hti_relation *r;
    ht_err state, err;

    if (!is_callback(self)) {
        return HT_EINVAL;
    }
    node = self->node;
    if (ht_ref_equal(ref, ht_self(self))) {
        return HT_OK;
    }
    r = hti_relation_new(HTI_RELATION_LINK, ht_self(self), ref, 0);
    if (r == NULL) {
        return HT_ENOMEM;
    }
    state = state_of(node, ref);
    if (!watch_begin(self, r, state) || state != HT_OK || is_local(node, ref)) {
        return HT_OK;
    }
    err = node->remote->link(node->remote_arg, ref, self->own_pid);
    return err == HT_OK ? HT_OK : ask_failed(self, my_link, ref, 0, err);
}

ht_err ht_unlink(ht_actor *self, ht_ref ref)
{
    ht_node *node;
    struct hti_relation *r;
    bool drop = false;

    if (!is_callback(self)) {
        return HT_EINVAL;
    }
    node = self->node;
    pthread_mutex_lock(&node->lock);
    r = my_link(self, ref, 0);
    if (r != NULL) {
        drop = hti_relation_cancel(r);
    }
    pthread_mutex_unlock(&node->lock);
    if (drop) {
        if (!is_local(node, ref)) {
            node->remote->unlink(node->remote_arg, ref, self->own_pid);
        }
        hti_relation_free(node, r);
    }
    return r != NULL ? HT_OK : HT_ENOENT;
}

ht_err hti_relation_link_local(ht_node *node, uint64_t a, uint64_t b)
{
    struct hti_relation *r =
        hti_relation_new(HTI_RELATION_LINK, (ht_ref){node->local_handle, a},
                         (ht_ref){node->local_handle, b}, 0);

    if (r == NULL) {
        return HT_ENOMEM;
    }
    pthread_mutex_lock(&node->lock);
    hti_relation_attach(node, r);
    pthread_mutex_unlock(&node->lock);
    return HT_OK;
}

void hti_relation_unlink_local(ht_node *node, uint64_t a, uint64_t b)
{
    struct hti_relation *r;
    bool drop = false;

    pthread_mutex_lock(&node->lock);
    r = hti_relation_find_link(node, (ht_ref){node->local_handle, a},
                               (ht_ref){node->local_handle, b});
    if (r != NULL) {
        drop = hti_relation_cancel(r);
    }
    pthread_mutex_unlock(&node->lock);
    if (drop) {
        hti_relation_free(node, r);
    }
}

/* ---- writable --------------------------------------------------------------
 */

/* With the lock. */
static struct hti_relation *my_wait(ht_actor *self, ht_ref ref)
{
    struct hti_relation_end *end;

    LIST_FOREACH (end, &self->relations, entry) {
        struct hti_relation *r = end->relation;

        if (r->kind == HTI_RELATION_WRITABLE && end == &r->ends[0] &&
            ht_ref_equal(r->ends[1].ref, ref)) {
            return r;
        }
    }
    return NULL;
}

/* Attach unless self waits already, or the target is gone. */
static ht_err wait_begin(ht_actor *self, ht_ref ref, bool *ret_made)
{
    ht_node *node = self->node;
    struct hti_relation *r =
        hti_relation_new(HTI_RELATION_WRITABLE, ht_self(self), ref, 0);
    bool made = false;
    ht_err err = HT_OK;

    if (r == NULL) {
        return HT_ENOMEM;
    }
    pthread_mutex_lock(&node->lock);
    if (is_local(node, ref) && !is_live(node, ref)) {
        err = HT_ENOPROC;
    } else if (my_wait(self, ref) == NULL) {
        hti_relation_attach(node, r);
        made = true;
        if (is_local(node, ref)) {
            atomic_store(&hti_slot_of(node, ref.pid)->waiters, true);
        }
    }
    pthread_mutex_unlock(&node->lock);
    if (!made) {
        hti_relation_free(node, r);
    }
    *ret_made = made;
    return err;
}

static void wait_drop(ht_actor *self, ht_ref ref)
{
    ht_node *node = self->node;
    struct hti_relation *r;
    bool drop = false;

    pthread_mutex_lock(&node->lock);
    r = my_wait(self, ref);
    if (r != NULL) {
        drop = hti_relation_cancel(r);
    }
    pthread_mutex_unlock(&node->lock);
    if (drop) {
        hti_relation_free(node, r);
    }
}

ht_err ht_notify_writable(ht_actor *self, ht_ref ref)
{
    ht_node *node;
    bool made;
    ht_err err;

    if (!is_callback(self)) {
        return HT_EINVAL;
    }
    node = self->node;
    err = state_of(node, ref);
    if (err == HT_OK) {
        err = wait_begin(self, ref, &made);
    }
    if (err != HT_OK || !made) {
        return err;
    }
    if (is_local(node, ref)) {
        /* Its runner looks, now that it can see who waits. */
        hti_actor_poke(hti_slot_of(node, ref.pid));
        return HT_OK;
    }
    err = node->remote->notify_writable(node->remote_arg, ref, self->own_pid);
    if (err != HT_OK) {
        wait_drop(self, ref);
    }
    return err;
}

void hti_relation_check_writable(ht_actor *a)
{
    ht_node *node = a->node;
    uint64_t load = atomic_load(&a->load);
    struct hti_relation_batch batch = {NULL, NULL};
    struct hti_relation_end *end, *next;

    if (HTI_LOAD_MESSAGES(load) > atomic_load(&a->messages_max) / 2 ||
        HTI_LOAD_BYTES(load) > atomic_load(&a->bytes_max) / 2) {
        return;
    }
    pthread_mutex_lock(&node->lock);
    atomic_store(&a->waiters, false);
    for (end = LIST_FIRST(&a->relations); end != NULL; end = next) {
        struct hti_relation *r = end->relation;

        next = LIST_NEXT(end, entry);
        /* An actor may wait for itself: both ends are here. */
        if (r->kind == HTI_RELATION_WRITABLE && end == &r->ends[1]) {
            hti_relation_sever(node, r, 1, HT_EXIT_NORMAL, NULL, &batch);
        }
    }
    pthread_mutex_unlock(&node->lock);
    hti_relation_tell(node, &batch);
}
