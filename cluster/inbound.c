/* SPDX-License-Identifier: Apache-2.0 */
/* inbound.c - casts, calls and replies, from a session into this node. */
#include "cluster/internal.h"

/* What a ractor node may not say is not read: who sent it, and names. */
static void view_of(const struct hti_link *link,
                    const struct hti_wire_cast *m,
                    struct hti_buf *owner,
                    struct hti_view *ret)
{
    ret->variant = m->variant;
    ret->args = m->what;
    ret->metadata = m->metadata;
    ret->to_name = link->hardtack ? m->to_name : (ht_bytes){NULL, 0};
    ret->to = m->to;
    ret->from = link->hardtack ? m->from : 0;
    ret->owner = owner;
}

static ht_ref sender_of(const struct hti_link *link, uint64_t from)
{
    ht_ref ref = {0, 0};

    if (from != 0) {
        ref.node = link->handle;
        ref.pid = from;
    }
    return ref;
}

static enum hti_authority authority_of(const struct hti_link *link)
{
    return link->hardtack ? HTI_AUTHORITY_REMOTABLE : HTI_AUTHORITY_ADVERTISED;
}

static void on_cast(struct hti_link *link,
                    const struct hti_wire_cast *m,
                    struct hti_buf *owner)
{
    struct hti_view view;
    ht_err err;

    view_of(link, m, owner, &view);
    err = hti_rt_deliver_cast(link->cluster->node, sender_of(link, view.from),
                              authority_of(link), &view);
    if (err != HT_OK) {
        hti_link_dropped(link, ht_strerror(err));
    }
}

static uint32_t timeout_of(const struct hti_wire_call *m)
{
    if (!m->has_timeout) {
        return HT_INFINITE;
    }
    /* 0 is a timeout like any other, not a default. */
    if (m->timeout_ms == 0) {
        return 1;
    }
    return m->timeout_ms < HT_INFINITE ? (uint32_t)m->timeout_ms
                                       : HT_INFINITE - 1;
}

static void on_call(struct hti_link *link,
                    const struct hti_wire_call *m,
                    struct hti_buf *owner)
{
    const struct hti_remote_ops *ops = &hti_cluster_remote_ops;
    struct hti_origin origin;
    struct hti_view view;
    ht_err err;

    view_of(link, &m->m, owner, &view);
    origin.caller = sender_of(link, view.from);
    origin.node = link->handle;
    origin.link = hti_link_ref(link);
    origin.to = m->m.to;
    origin.tag = m->tag;
    err = hti_rt_deliver_call(link->cluster->node, &origin, authority_of(link),
                              &view, timeout_of(m));
    if (err != HT_OK) {
        hti_link_dropped(link, ht_strerror(err));
        ops->reply(link->cluster, &origin, err, "", NULL, 0);
    }
}

static void on_reply(struct hti_link *link,
                     const struct hti_wire_reply *m,
                     struct hti_buf *owner)
{
    ht_bytes none = {NULL, 0};
    ht_err err = HT_OK;

    if (link->hardtack && m->error != HTI_WIRE_OK) {
        err = hti_wire_error_to(m->error);
    }
    /* An unknown tag is an answer that came too late. */
    hti_rt_complete_call(link->cluster->node, m->tag, link->handle, m->to, err,
                         err != HT_OK ? m->reason : none,
                         err == HT_OK ? m->what : none, owner);
}

void hti_inbound_message(void *arg,
                         const struct hti_envelope *envelope,
                         struct hti_buf *owner)
{
    struct hti_link *link = arg;

    atomic_store_explicit(
        &link->received_frames,
        atomic_load_explicit(&link->received_frames, memory_order_relaxed) + 1,
        memory_order_relaxed);
    if (link->failed != HT_OK) {
        return;
    }
    switch (envelope->kind) {
    case HTI_ENVELOPE_CAST:
        on_cast(link, &envelope->u.cast, owner);
        break;
    case HTI_ENVELOPE_CALL:
        on_call(link, &envelope->u.call, owner);
        break;
    case HTI_ENVELOPE_REPLY:
        on_reply(link, &envelope->u.reply, owner);
        break;
    case HTI_ENVELOPE_EMPTY:
    case HTI_ENVELOPE_AUTH:
    case HTI_ENVELOPE_CONTROL:
    case HTI_ENVELOPE_EXT:
    case HTI_ENVELOPE_FRAGMENT:
        break; /* never handed up */
    }
}
