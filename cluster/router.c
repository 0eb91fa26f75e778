/* SPDX-License-Identifier: Apache-2.0 */
/* router.c - struct hti_remote_ops: from this node out.
 *
 * A message is encoded into its final frame here, in its sender's thread, and
 * pushed on the outbox of the connection that its node has now.  None of that
 * takes the cluster's lock.
 */
#include <string.h>

#include "cluster/internal.h"

/* Answers up to this size never fail for want of credit: whoever waits for one
 * has paid with a call. */
#define URGENT_REPLY 4096

/* Messages of one pair keep their order, whatever their size; others are not
 * held up by a large one.  Lane 0 is for control. */
uint32_t hti_lane(uint64_t from, uint64_t to)
{
    uint64_t x =
        from * UINT64_C(0x9e3779b97f4a7c15) ^ to * UINT64_C(0xc2b2ae3d27d4eb4f);

    return 1 + (uint32_t)(x >> 32) % (HTI_OUTBOX_LANES - 1);
}

/* Inside the route's outbox. Takes frame, which may be NULL. */
static ht_err
push(const struct hti_route *route, struct hti_frame *frame, bool urgent)
{
    size_t len;
    ht_err err;

    if (frame == NULL) {
        return HT_ENOMEM;
    }
    len = frame->len;
    err = len - HTI_FRAME_HEAD > route->payload_max
              ? HT_ETOOBIG
              : hti_outbox_push_inside(route->outbox, &frame, urgent);
    if (err == HT_OK && hti_outbox_has_batch(route->outbox, len)) {
        hti_sched_press();
    }
    hti_frame_free(frame);
    return err;
}

ht_err hti_route_push(struct hti_cluster *c,
                      uint64_t handle,
                      struct hti_frame *frame,
                      bool urgent)
{
    struct hti_route route;
    ht_err err = hti_slots_route(&c->slots, handle, &route);

    if (err != HT_OK) {
        hti_frame_free(frame);
        return err;
    }
    err = push(&route, frame, urgent);
    hti_outbox_leave(route.outbox);
    return err;
}

/* ---- casts and calls ----------------------------------------------------- */

/* What the peer understands of a message. */
static ht_err fill(const struct hti_route *route,
                   const struct hti_view *view,
                   struct hti_wire_cast *ret)
{
    if (view->args.len > route->payload_max ||
        view->metadata.len > route->payload_max) {
        return HT_ETOOBIG;
    }
    memset(ret, 0, sizeof *ret);
    ret->to = view->to;
    ret->what = view->args;
    ret->variant = view->variant;
    ret->metadata = view->metadata;
    if (route->hardtack) {
        ret->from = view->from;
        ret->to_name = view->to_name;
        return HT_OK;
    }
    return view->to_name.data != NULL ? HT_EUNSUPPORTED : HT_OK;
}

static ht_err on_cast(void *arg, uint64_t node, const struct hti_view *view)
{
    struct hti_cluster *c = arg;
    struct hti_wire_cast cast;
    struct hti_route route;
    ht_err err = hti_slots_route(&c->slots, node, &route);

    if (err != HT_OK) {
        return err;
    }
    err = fill(&route, view, &cast);
    if (err == HT_OK) {
        err =
            push(&route, hti_frame_cast(&cast, hti_lane(view->from, view->to)),
                 false);
    }
    hti_outbox_leave(route.outbox);
    return err;
}

static ht_err push_call(const struct hti_route *route,
                        const struct hti_view *view,
                        uint64_t tag,
                        uint32_t timeout_ms)
{
    struct hti_wire_call call = {.tag = tag};
    ht_err err = fill(route, view, &call.m);

    if (err != HT_OK) {
        return err;
    }
    call.has_timeout = timeout_ms != HT_INFINITE;
    call.timeout_ms = call.has_timeout ? timeout_ms : 0;
    return push(route, hti_frame_call(&call, hti_lane(view->from, view->to)),
                false);
}

static ht_err on_call(void *arg,
                      uint64_t node,
                      const struct hti_view *view,
                      uint64_t tag,
                      uint32_t timeout_ms)
{
    struct hti_cluster *c = arg;
    struct hti_route route;
    ht_err err = hti_slots_route(&c->slots, node, &route);

    if (err != HT_OK) {
        return err;
    }
    err = hti_slots_call_begin(&c->slots, node, c->config.calls_max);
    if (err == HT_OK) {
        err = push_call(&route, view, tag, timeout_ms);
        if (err != HT_OK) {
            hti_slots_call_end(&c->slots, node);
        }
    }
    hti_outbox_leave(route.outbox);
    return err;
}

static void on_call_ended(void *arg, uint64_t node)
{
    struct hti_cluster *c = arg;

    hti_slots_call_end(&c->slots, node);
}

/* ---- answers ------------------------------------------------------------- */

/* Towards a ractor node an error is silence: its protocol has none. */
static ht_err push_reply(struct hti_link *link,
                         const struct hti_origin *origin,
                         ht_err err,
                         const char *reason,
                         const void *data,
                         size_t len)
{
    struct hti_wire_reply reply = {.to = origin->to, .tag = origin->tag};
    struct hti_route route = {
        .outbox = link->outbox,
        .payload_max = link->payload_max,
    };
    bool urgent = err != HT_OK || len <= URGENT_REPLY;

    if (err != HT_OK && !link->hardtack) {
        return HT_OK;
    }
    if (err == HT_OK) {
        reply.what.data = data;
        reply.what.len = len;
    } else {
        reply.error = hti_wire_error_from(err);
        reply.reason.data = reason;
        reply.reason.len =
            reason == NULL ? 0 : hti_text_len(reason, HTI_TEXT_BYTES_MAX);
    }
    if (len > link->payload_max) {
        return HT_ETOOBIG;
    }
    hti_outbox_enter(link->outbox);
    err =
        push(&route,
             hti_frame_reply(&reply, hti_lane(origin->to, origin->caller.pid)),
             urgent);
    hti_outbox_leave(link->outbox);
    return err;
}

static void on_reply(void *arg,
                     const struct hti_origin *origin,
                     ht_err err,
                     const char *reason,
                     const void *data,
                     size_t len)
{
    struct hti_link *link = origin->link;
    ht_err sent = push_reply(link, origin, err, reason, data, len);

    (void)arg;
    /* The caller is told why there is no answer; if even that does not go, its
     * own timeout tells it. */
    if (sent == HT_EBUSY || sent == HT_ENOMEM) {
        sent = push_reply(link, origin, HT_EOVERLOAD, "the link back is full",
                          NULL, 0);
    } else if (sent == HT_ETOOBIG) {
        sent = push_reply(link, origin, HT_ETOOBIG, "the reply is too large",
                          NULL, 0);
    }
    (void)sent;
    hti_link_unref(link);
}

/* ---- who is who ---------------------------------------------------------- */

static uint64_t on_find_node(void *arg, const char *name)
{
    struct hti_cluster *c = arg;
    const struct hti_peer *peer;
    uint64_t handle = 0;

    pthread_mutex_lock(&c->lock);
    peer = hti_peer_find(c, name);
    if (peer != NULL && !TAILQ_EMPTY(&peer->links)) {
        handle = TAILQ_FIRST(&peer->links)->handle;
    }
    pthread_mutex_unlock(&c->lock);
    return handle;
}

static ht_err on_node_state(void *arg, uint64_t node)
{
    struct hti_cluster *c = arg;

    return hti_slots_state(&c->slots, node, NULL);
}

static ht_err
on_node_instance(void *arg, uint64_t node, uint8_t ret_instance[16])
{
    struct hti_cluster *c = arg;
    const struct hti_node_slot *slot;
    ht_err err = HT_EINVAL;

    pthread_mutex_lock(&c->lock);
    slot = hti_slots_get(&c->slots, node);
    if (slot != NULL && slot->has_instance) {
        memcpy(ret_instance, slot->instance, HTI_INSTANCE_BYTES);
        err = HT_OK;
    }
    pthread_mutex_unlock(&c->lock);
    return err;
}

static uint64_t on_node_of_instance(void *arg, const uint8_t instance[16])
{
    struct hti_cluster *c = arg;
    const struct hti_node_slot *slot;
    uint64_t handle;

    if (memcmp(instance, c->identity.instance, HTI_INSTANCE_BYTES) == 0) {
        return HTI_LOCAL_HANDLE;
    }
    pthread_mutex_lock(&c->lock);
    slot = hti_slots_find_or_take(&c->slots, instance);
    handle = slot == NULL ? 0 : hti_slot_handle(slot);
    pthread_mutex_unlock(&c->lock);
    return handle;
}

/* ---- writable ------------------------------------------------------------ */

/* Who asked is told when at most half of the outbox is taken. */
void hti_router_drained(struct hti_link *link)
{
    struct hti_writables list = TAILQ_HEAD_INITIALIZER(list);
    struct hti_cluster *c = link->cluster;

    if (!hti_outbox_is_writable(link->outbox)) {
        return;
    }
    pthread_mutex_lock(&c->lock);
    TAILQ_CONCAT(&list, &link->writables, entry);
    link->writables_count = 0;
    atomic_store_explicit(&link->has_writables, false, memory_order_relaxed);
    pthread_mutex_unlock(&c->lock);
    hti_writables_tell(c, &list);
}

/* HT_OK with a reference: the link by which a node is reached now. */
static ht_err
find_link(struct hti_cluster *c, uint64_t node, struct hti_link **ret_link)
{
    const struct hti_node_slot *slot = hti_slots_get(&c->slots, node);

    if (slot == NULL) {
        return HT_ENOPROC;
    }
    if (slot->link == NULL) {
        return HT_ENOCONN;
    }
    *ret_link = hti_link_ref(slot->link);
    return HT_OK;
}

static ht_err on_notify_writable(void *arg, ht_ref ref, uint64_t pid)
{
    struct hti_cluster *c = arg;
    struct hti_writable *w = hti_alloc(sizeof *w);
    struct hti_link *link;
    ht_err err;

    if (w == NULL) {
        return HT_ENOMEM;
    }
    w->ref = ref;
    w->pid = pid;
    pthread_mutex_lock(&c->lock);
    err = find_link(c, ref.node, &link);
    if (err == HT_OK && link->writables_count >= HTI_WRITABLE_MAX) {
        err = HT_EBUSY;
        hti_link_unref(link);
    }
    if (err != HT_OK) {
        pthread_mutex_unlock(&c->lock);
        hti_free(w);
        return err;
    }
    TAILQ_INSERT_TAIL(&link->writables, w, entry);
    link->writables_count++;
    /* Before the outbox is asked: the loop drains, then looks at this. */
    atomic_store(&link->has_writables, true);
    pthread_mutex_unlock(&c->lock);
    hti_router_drained(link);
    hti_link_unref(link);
    return HT_OK;
}

const struct hti_remote_ops hti_cluster_remote_ops = {
    .cast = on_cast,
    .call = on_call,
    .reply = on_reply,
    .cancel = hti_extension_cancel,
    .find_node = on_find_node,
    .node_state = on_node_state,
    .node_instance = on_node_instance,
    .node_of_instance = on_node_of_instance,
    .monitor = hti_extension_monitor,
    .demonitor = hti_extension_demonitor,
    .link = hti_extension_link,
    .unlink = hti_extension_unlink,
    .down = hti_extension_down,
    .exit = hti_extension_exit,
    .stop = hti_extension_stop,
    .advertise = hti_mirror_advertise,
    .withdraw = hti_mirror_withdraw,
    .joined = hti_mirror_joined,
    .left = hti_mirror_left,
    .notify_writable = on_notify_writable,
    .call_ended = on_call_ended,
};
