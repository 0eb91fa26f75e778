/* SPDX-License-Identifier: Apache-2.0 */
/* inbound.c - messages from peers into this node, and answers to its calls. */
#include "actor/directory.h"
#include "actor/internal.h"

/* ---- who may be addressed --------------------------------------------------
 */

static ht_err admit(ht_node *node,
                    enum hti_authority authority,
                    const struct hti_view *view,
                    ht_actor **ret_actor,
                    uint64_t *ret_pid)
{
    uint64_t pid = view->to;
    ht_actor *a;
    uint32_t flags;

    if (view->to_name.data != NULL) {
        pid = hti_directory_find(node->directory, view->to_name.data,
                                 view->to_name.len);
    }
    a = hti_actor_find(node, pid);
    if (a == NULL) {
        return HT_ENOPROC;
    }
    flags = hti_actor_flags(node, pid);
    if (authority == HTI_AUTHORITY_ADVERTISED
            ? !(flags & HTI_ACTOR_ADVERTISED)
            : (flags & HTI_ACTOR_LOCAL_ONLY) != 0) {
        return HT_EDENIED;
    }
    *ret_actor = a;
    *ret_pid = pid;
    return HT_OK;
}

static ht_err deliver(ht_node *node,
                      ht_ref from,
                      enum hti_authority authority,
                      const struct hti_view *view,
                      const struct hti_msg_call *call)
{
    ht_actor *a = NULL;
    uint64_t pid = 0;
    ht_msg *msg;
    ht_err err = admit(node, authority, view, &a, &pid);

    if (err != HT_OK) {
        return err;
    }
    msg = hti_msg_build(view, from, call);
    if (msg == NULL) {
        return HT_ENOMEM;
    }
    err = hti_mailbox_put(a, pid, msg);
    if (err != HT_OK) {
        ht_msg_free(msg);
    }
    return err == HT_EBUSY ? HT_EOVERLOAD : err;
}

ht_err hti_rt_deliver_cast(ht_node *node,
                           ht_ref from,
                           enum hti_authority authority,
                           const struct hti_view *view)
{
    return deliver(node, from, authority, view, NULL);
}

ht_err hti_rt_deliver_call(ht_node *node,
                           const struct hti_origin *origin,
                           enum hti_authority authority,
                           const struct hti_view *view,
                           uint32_t timeout_ms)
{
    struct hti_msg_call call = {.origin = *origin,
                                .deadline_ns = hti_deadline(node, timeout_ms)};

    return deliver(node, origin->caller, authority, view, &call);
}

/* ---- calls that peers have given up ----------------------------------------
 */

/* Never 0. */
static uint64_t cancel_key(const ht_node *node, uint64_t peer, uint64_t tag)
{
    uint64_t h = (peer ^ node->hash_key) * UINT64_C(0x9e3779b97f4a7c15);

    h = (h ^ h >> 29 ^ tag) * UINT64_C(0xbf58476d1ce4e5b9);
    h ^= h >> 32;
    return h | 1;
}

/* A small table, overwritten when it is full: what falls out of it is handled,
 * and its answer dropped by whoever gets it. */
void hti_rt_deliver_cancel(ht_node *node, uint64_t peer, uint64_t tag)
{
    uint64_t key = cancel_key(node, peer, tag);

    atomic_store_explicit(&node->cancels[key >> 1 & (HTI_CANCELS - 1)], key,
                          memory_order_release);
}

bool hti_inbound_is_cancelled(ht_node *node, const struct hti_origin *origin)
{
    uint64_t key = cancel_key(node, origin->node, origin->tag);
    _Atomic uint64_t *at = &node->cancels[key >> 1 & (HTI_CANCELS - 1)];

    if (atomic_load_explicit(at, memory_order_acquire) != key) {
        return false;
    }
    return atomic_compare_exchange_strong(at, &key, 0);
}

/* ---- answers from peers -----------------------------------------------------
 */

bool hti_rt_complete_call(ht_node *node,
                          uint64_t tag,
                          uint64_t peer,
                          uint64_t to,
                          ht_err err,
                          ht_bytes reason,
                          ht_bytes data,
                          struct hti_buf *owner)
{
    struct hti_flight *f = hti_flight_find(node, tag);

    /* A peer answers only what it was asked: the fields are those of the
     * generation in tag, or the claim fails. */
    if (f == NULL || peer == 0 ||
        atomic_load_explicit(&f->peer, memory_order_relaxed) != peer ||
        atomic_load_explicit(&f->target, memory_order_relaxed) != to ||
        !hti_flight_claim(f, tag)) {
        return false;
    }
    hti_flight_finish(f, err, reason, data, owner);
    return true;
}
