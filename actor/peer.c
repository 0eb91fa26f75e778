/* SPDX-License-Identifier: Apache-2.0 */
/* peer.c - monitors and links across nodes: what peers ask of local actors, and
 * what they report of theirs. */
#include "actor/directory.h"
#include "actor/internal.h"

/* Monitors and links that peers hold here. */
#define REMOTE_MADE_MAX (1u << 20)
/* Of these one peer's; handles that are equal modulo HTI_REMOTE_SHARES share
 * it. */
#define REMOTE_MADE_SHARE (REMOTE_MADE_MAX / 4)

static ht_ref local(const ht_node *node, uint64_t pid)
{
    return (ht_ref){.node = node->local_handle, .pid = pid};
}

/* ---- what peers ask --------------------------------------------------------
 */

/* With the lock: whether the same is there already. */
static bool exists(ht_node *node, const struct hti_relation *r)
{
    const struct hti_relation *old =
        r->kind == HTI_RELATION_LINK
            ? hti_relation_find_link(node, r->ends[0].ref, r->ends[1].ref)
            : hti_relation_find_monitor(node, r->ends[0].ref, r->id);

    return old != NULL;
}

static ht_err made_by_peer(ht_node *node,
                           enum hti_relation_kind kind,
                           ht_ref remote,
                           uint64_t id,
                           uint64_t pid)
{
    struct hti_relation *r;
    bool attached = false;
    ht_err err = HT_OK;

    if (!hti_remote_made(node, remote.node, REMOTE_MADE_MAX,
                         REMOTE_MADE_SHARE)) {
        return HT_EBUSY;
    }
    r = hti_relation_new(kind, remote, local(node, pid), id);
    if (r == NULL) {
        hti_remote_unmade(node, remote.node);
        return HT_ENOMEM;
    }
    r->made_by = remote.node;
    pthread_mutex_lock(&node->lock);
    if (hti_actor_find(node, pid) == NULL ||
        (hti_actor_flags(node, pid) & HTI_ACTOR_LOCAL_ONLY) != 0) {
        err = HT_ENOPROC;
    } else if (!exists(node, r)) {
        hti_relation_attach(node, r);
        attached = true;
    }
    pthread_mutex_unlock(&node->lock);
    if (!attached) {
        hti_relation_free(node, r);
    }
    return err;
}

ht_err hti_rt_remote_monitor(
    ht_node *node, uint64_t peer, uint64_t watcher, uint64_t id, uint64_t pid)
{
    return made_by_peer(node, HTI_RELATION_MONITOR, (ht_ref){peer, watcher}, id,
                        pid);
}

ht_err hti_rt_remote_link(ht_node *node, ht_ref remote, uint64_t pid)
{
    return made_by_peer(node, HTI_RELATION_LINK, remote, 0, pid);
}

void hti_rt_remote_demonitor(
    ht_node *node, uint64_t peer, uint64_t watcher, uint64_t id, uint64_t pid)
{
    struct hti_relation *r;
    bool drop = false;

    pthread_mutex_lock(&node->lock);
    r = hti_relation_find_monitor(node, (ht_ref){peer, watcher}, id);
    if (r != NULL && ht_ref_equal(r->ends[1].ref, local(node, pid))) {
        drop = hti_relation_cancel(r);
    }
    pthread_mutex_unlock(&node->lock);
    if (drop) {
        hti_relation_free(node, r);
    }
}

void hti_rt_remote_unlink(ht_node *node, ht_ref remote, uint64_t pid)
{
    struct hti_relation *r;
    bool drop = false;

    pthread_mutex_lock(&node->lock);
    r = hti_relation_find_link(node, remote, local(node, pid));
    if (r != NULL) {
        drop = hti_relation_cancel(r);
    }
    pthread_mutex_unlock(&node->lock);
    if (drop) {
        hti_relation_free(node, r);
    }
}

/* ---- what peers report -----------------------------------------------------
 */

void hti_rt_remote_down(ht_node *node,
                        ht_ref target,
                        uint64_t watcher,
                        uint64_t id,
                        const ht_exit *why)
{
    struct hti_relation_batch batch = {NULL, NULL};
    struct hti_buf *text = hti_relation_text(why->text);
    struct hti_relation *r;

    pthread_mutex_lock(&node->lock);
    r = hti_relation_find_monitor(node, local(node, watcher), id);
    if (r != NULL && !r->fired && ht_ref_equal(r->ends[1].ref, target)) {
        hti_relation_sever(node, r, 1, why->kind, text, &batch);
    }
    pthread_mutex_unlock(&node->lock);
    hti_relation_tell(node, &batch);
    if (text != NULL) {
        hti_buf_unref(text);
    }
}

void hti_rt_remote_exit(ht_node *node,
                        ht_ref remote,
                        uint64_t pid,
                        const ht_exit *why)
{
    struct hti_relation_batch batch = {NULL, NULL};
    struct hti_buf *text = hti_relation_text(why->text);
    struct hti_relation *r;

    pthread_mutex_lock(&node->lock);
    r = hti_relation_find_link(node, remote, local(node, pid));
    if (r != NULL && !r->fired) {
        hti_relation_sever(node, r,
                           ht_ref_equal(r->ends[0].ref, remote) ? 0 : 1,
                           why->kind, text, &batch);
    }
    pthread_mutex_unlock(&node->lock);
    hti_relation_tell(node, &batch);
    if (text != NULL) {
        hti_buf_unref(text);
    }
}

/* With the lock: sever what hangs in bucket and is of remote; pid NULL: of
 * that whole node. */
static void sever_bucket(ht_node *node,
                         struct hti_relation_list *bucket,
                         uint64_t peer,
                         const uint64_t *pid,
                         ht_exit_kind why,
                         struct hti_buf *text,
                         struct hti_relation_batch *batch)
{
    struct hti_relation_end *end, *next;

    for (end = LIST_FIRST(bucket); end != NULL; end = next) {
        struct hti_relation *r = end->relation;

        /* Severing unlists this end, and the other one is local. */
        next = LIST_NEXT(end, entry);
        if (end->ref.node == peer && (pid == NULL || end->ref.pid == *pid)) {
            hti_relation_sever(node, r, end == &r->ends[0] ? 0 : 1, why, text,
                               batch);
        }
    }
}

void hti_rt_remote_ended(ht_node *node, ht_ref remote, const ht_exit *why)
{
    struct hti_relation_batch batch = {NULL, NULL};
    struct hti_buf *text = hti_relation_text(why->text);

    pthread_mutex_lock(&node->lock);
    sever_bucket(node, hti_relation_bucket(node, remote), remote.node,
                 &remote.pid, why->kind, text, &batch);
    pthread_mutex_unlock(&node->lock);
    hti_relation_tell(node, &batch);
    if (text != NULL) {
        hti_buf_unref(text);
    }
}

void hti_rt_node_down(ht_node *node, uint64_t peer, ht_err err)
{
    struct hti_relation_batch batch = {NULL, NULL};
    struct hti_buf *text = hti_relation_text(ht_strerror(err));

    if (peer == 0 || peer == node->local_handle) {
        if (text != NULL) {
            hti_buf_unref(text);
        }
        return;
    }
    hti_rt_fail_calls(node, peer, HT_ENODEDOWN);
    pthread_mutex_lock(&node->lock);
    for (unsigned i = 0; i < HTI_RELATION_BUCKETS; i++) {
        sever_bucket(node, &node->remote_ends[i], peer, NULL,
                     HT_EXIT_NOCONNECTION, text, &batch);
    }
    pthread_mutex_unlock(&node->lock);
    hti_relation_tell(node, &batch);
    if (text != NULL) {
        hti_buf_unref(text);
    }
    hti_directory_node_down(node->directory, peer);
}

void hti_rt_writable(ht_node *node, ht_ref ref, uint64_t pid)
{
    struct hti_relation_batch batch = {NULL, NULL};
    struct hti_relation_end *end, *next;
    ht_actor *a = hti_slot_of(node, pid);

    if (a == NULL) {
        return;
    }
    pthread_mutex_lock(&node->lock);
    if (hti_actor_find(node, pid) == a) {
        for (end = LIST_FIRST(&a->relations); end != NULL; end = next) {
            struct hti_relation *r = end->relation;

            next = LIST_NEXT(end, entry);
            if (r->kind == HTI_RELATION_WRITABLE && end == &r->ends[0] &&
                !r->fired && r->ends[1].ref.node == ref.node) {
                hti_relation_sever(node, r, 1, HT_EXIT_NORMAL, NULL, &batch);
            }
        }
    }
    pthread_mutex_unlock(&node->lock);
    hti_relation_tell(node, &batch);
}
