/* SPDX-License-Identifier: Apache-2.0 */
/* extension.c - monitors, links, stops and cancels between Hardtack nodes, both
 * ways.  A ractor node knows none of it: its Terminate stands for a monitor's
 * answer (mirror.c), the rest is refused.
 *
 * These frames are urgent: they are small, there are no more of them than of
 * monitors, links and calls, and a lost one would leave somebody waiting.
 */
#include <string.h>

#include "cluster/internal.h"

#define EXT(name)                                                              \
    Hardtack__Wire__Extension ext = HARDTACK__WIRE__EXTENSION__INIT;           \
    ext.msg_case = HARDTACK__WIRE__EXTENSION__MSG_##name

/* Set a proto2 scalar; the default is left out. */
#define PUT(m, field, value)                                                   \
    ((m)->has_##field = (value) != 0, (m)->field = (value))

/* ---- out ----------------------------------------------------------------- */

/* Cut at a character. */
size_t hti_text_len(const char *text, size_t max)
{
    size_t len = strnlen(text, max + 1);

    if (len <= max) {
        return len;
    }
    len = max;
    while (len > 0 && ((unsigned char)text[len] & 0xc0) == 0x80) {
        len--;
    }
    return len;
}

static void put_why(Hardtack__Wire__ExitReason *m, const ht_exit *why)
{
    const char *text = why->text == NULL ? "" : why->text;

    PUT(m, kind, (uint32_t)why->kind);
    m->text = hti_pb_bytes(text, hti_text_len(text, HTI_TEXT_BYTES_MAX));
    m->has_text = m->text.len > 0;
}

/* Whether the actor is one that may be watched by its Terminate: HT_OK. */
static ht_err check_ractor(struct hti_cluster *c, ht_ref target)
{
    const struct hti_node_slot *slot;
    ht_err err = HT_ENOPROC;

    pthread_mutex_lock(&c->lock);
    slot = hti_slots_get(&c->slots, target.node);
    if (slot != NULL && slot->link != NULL) {
        pthread_mutex_lock(&slot->link->gate);
        if (hti_announced_has(&slot->link->announced, target.pid)) {
            err = HT_OK;
        }
        pthread_mutex_unlock(&slot->link->gate);
    }
    pthread_mutex_unlock(&c->lock);
    return err;
}

static ht_err push(struct hti_cluster *c,
                   uint64_t node,
                   const Hardtack__Wire__Extension *ext,
                   uint32_t lane)
{
    return hti_route_push(c, node, hti_frame_ext(ext, lane), true);
}

ht_err
hti_extension_monitor(void *arg, ht_ref target, uint64_t watcher, uint64_t id)
{
    Hardtack__Wire__Monitor m = HARDTACK__WIRE__MONITOR__INIT;
    struct hti_cluster *c = arg;
    bool hardtack;
    ht_err err = hti_slots_state(&c->slots, target.node, &hardtack);
    EXT(MONITOR);

    if (err != HT_OK) {
        return err;
    }
    if (!hardtack) {
        return check_ractor(c, target);
    }
    ext.monitor = &m;
    PUT(&m, watcher, watcher);
    PUT(&m, id, id);
    PUT(&m, target, target.pid);
    return push(c, target.node, &ext, hti_lane(watcher, target.pid));
}

void hti_extension_demonitor(void *arg,
                             ht_ref target,
                             uint64_t watcher,
                             uint64_t id)
{
    Hardtack__Wire__Demonitor m = HARDTACK__WIRE__DEMONITOR__INIT;
    struct hti_cluster *c = arg;
    bool hardtack;
    EXT(DEMONITOR);

    if (hti_slots_state(&c->slots, target.node, &hardtack) != HT_OK ||
        !hardtack) {
        return;
    }
    ext.demonitor = &m;
    PUT(&m, watcher, watcher);
    PUT(&m, id, id);
    PUT(&m, target, target.pid);
    (void)push(c, target.node, &ext, hti_lane(watcher, target.pid));
}

ht_err hti_extension_link(void *arg, ht_ref target, uint64_t local)
{
    Hardtack__Wire__Link m = HARDTACK__WIRE__LINK__INIT;
    struct hti_cluster *c = arg;
    bool hardtack;
    ht_err err = hti_slots_state(&c->slots, target.node, &hardtack);
    EXT(LINK);

    if (err != HT_OK) {
        return err;
    }
    if (!hardtack) {
        return check_ractor(c, target);
    }
    ext.link = &m;
    PUT(&m, from, local);
    PUT(&m, to, target.pid);
    return push(c, target.node, &ext, hti_lane(local, target.pid));
}

void hti_extension_unlink(void *arg, ht_ref target, uint64_t local)
{
    Hardtack__Wire__Unlink m = HARDTACK__WIRE__UNLINK__INIT;
    struct hti_cluster *c = arg;
    bool hardtack;
    EXT(UNLINK);

    if (hti_slots_state(&c->slots, target.node, &hardtack) != HT_OK ||
        !hardtack) {
        return;
    }
    ext.unlink = &m;
    PUT(&m, from, local);
    PUT(&m, to, target.pid);
    (void)push(c, target.node, &ext, hti_lane(local, target.pid));
}

void hti_extension_down(void *arg,
                        uint64_t node,
                        uint64_t watcher,
                        uint64_t id,
                        uint64_t pid,
                        const ht_exit *why)
{
    Hardtack__Wire__ExitReason reason = HARDTACK__WIRE__EXIT_REASON__INIT;
    Hardtack__Wire__Down m = HARDTACK__WIRE__DOWN__INIT;
    struct hti_cluster *c = arg;
    EXT(DOWN);

    ext.down = &m;
    put_why(&reason, why);
    PUT(&m, watcher, watcher);
    PUT(&m, id, id);
    PUT(&m, target, pid);
    m.why = &reason;
    (void)push(c, node, &ext, hti_lane(pid, watcher));
}

void hti_extension_exit(void *arg,
                        ht_ref target,
                        uint64_t local,
                        const ht_exit *why)
{
    Hardtack__Wire__ExitReason reason = HARDTACK__WIRE__EXIT_REASON__INIT;
    Hardtack__Wire__Exit m = HARDTACK__WIRE__EXIT__INIT;
    struct hti_cluster *c = arg;
    bool hardtack;
    EXT(EXIT);

    if (hti_slots_state(&c->slots, target.node, &hardtack) != HT_OK ||
        !hardtack) {
        return;
    }
    ext.exit = &m;
    put_why(&reason, why);
    PUT(&m, from, local);
    PUT(&m, to, target.pid);
    m.why = &reason;
    (void)push(c, target.node, &ext, hti_lane(local, target.pid));
}

ht_err hti_extension_stop(void *arg, ht_ref target, const ht_exit *why)
{
    Hardtack__Wire__ExitReason reason = HARDTACK__WIRE__EXIT_REASON__INIT;
    Hardtack__Wire__Stop m = HARDTACK__WIRE__STOP__INIT;
    struct hti_cluster *c = arg;
    bool hardtack;
    ht_err err = hti_slots_state(&c->slots, target.node, &hardtack);
    EXT(STOP);

    if (err != HT_OK) {
        return err;
    }
    if (!hardtack) {
        return HT_EUNSUPPORTED;
    }
    ext.stop = &m;
    put_why(&reason, why);
    PUT(&m, to, target.pid);
    m.why = &reason;
    return push(c, target.node, &ext, hti_lane(0, target.pid));
}

void hti_extension_cancel(void *arg, uint64_t node, uint64_t to, uint64_t tag)
{
    Hardtack__Wire__Cancel m = HARDTACK__WIRE__CANCEL__INIT;
    struct hti_cluster *c = arg;
    bool hardtack;
    EXT(CANCEL);

    if (hti_slots_state(&c->slots, node, &hardtack) != HT_OK || !hardtack) {
        return;
    }
    ext.cancel = &m;
    PUT(&m, to, to);
    PUT(&m, tag, tag);
    (void)push(c, node, &ext, HTI_LANE_CONTROL);
}

/* Refused or lost, it is only somebody's wait that is longer. */
void hti_extension_duplicate(struct hti_cluster *c,
                             uint64_t node,
                             uint64_t connection_id)
{
    Hardtack__Wire__Duplicate m = HARDTACK__WIRE__DUPLICATE__INIT;
    EXT(DUPLICATE);

    ext.duplicate = &m;
    PUT(&m, connection_id, connection_id);
    (void)hti_route_push(c, node, hti_frame_ext(&ext, HTI_LANE_CONTROL), false);
}

/* ---- in ------------------------------------------------------------------ */

struct reason {
    ht_exit why;
    char text[HTI_TEXT_BYTES_MAX + 1];
};

static const ht_exit *get_why(const Hardtack__Wire__ExitReason *m,
                              struct reason *ret)
{
    size_t len = 0;

    ret->why.kind = HT_EXIT_NORMAL;
    ret->why.text = ret->text;
    if (m != NULL) {
        ret->why.kind = hti_wire_exit_to(m->kind);
        len =
            m->text.len < HTI_TEXT_BYTES_MAX ? m->text.len : HTI_TEXT_BYTES_MAX;
        if (len > 0) {
            memcpy(ret->text, m->text.data, len);
        }
    }
    ret->text[len] = '\0';
    return &ret->why;
}

static const ht_exit *noproc(ht_err err)
{
    static const ht_exit gone = {HT_EXIT_NOPROC, ""};
    static const ht_exit refused = {HT_EXIT_NOPROC,
                                    "the node does not take this"};

    return err == HT_ENOPROC ? &gone : &refused;
}

static void on_monitor(struct hti_link *link, const Hardtack__Wire__Monitor *m)
{
    struct hti_cluster *c = link->cluster;
    ht_err err = hti_rt_remote_monitor(c->node, link->handle, m->watcher, m->id,
                                       m->target);

    if (err != HT_OK) {
        hti_extension_down(c, link->handle, m->watcher, m->id, m->target,
                           noproc(err));
    }
}

static void on_link(struct hti_link *link, const Hardtack__Wire__Link *m)
{
    struct hti_cluster *c = link->cluster;
    ht_ref from = {link->handle, m->from};
    ht_err err = hti_rt_remote_link(c->node, from, m->to);

    if (err != HT_OK) {
        hti_extension_exit(c, from, m->to, noproc(err));
    }
}

static void on_duplicate(struct hti_link *link,
                         const Hardtack__Wire__Duplicate *m)
{
    struct hti_waiters done = TAILQ_HEAD_INITIALIZER(done);
    struct hti_cluster *c = link->cluster;

    if (m->connection_id == 0) {
        return;
    }
    pthread_mutex_lock(&c->lock);
    hti_dials_elected_away(c, link, m->connection_id, link->now_ms, &done);
    pthread_mutex_unlock(&c->lock);
    hti_waiters_tell(&done);
    c->io->tick_at(c->io_arg, link->now_ms);
}

void hti_extension_inbound(void *arg, const Hardtack__Wire__Extension *m)
{
    struct hti_link *link = arg;
    ht_node *node = link->cluster->node;
    uint64_t handle = link->handle;
    struct reason reason;
    ht_ref ref = {handle, 0};

    atomic_fetch_add_explicit(&link->received_frames, 1, memory_order_relaxed);
    if (!link->hardtack || link->failed != HT_OK) {
        return;
    }
    switch (m->msg_case) {
    case HARDTACK__WIRE__EXTENSION__MSG_MONITOR:
        on_monitor(link, m->monitor);
        break;
    case HARDTACK__WIRE__EXTENSION__MSG_DEMONITOR:
        hti_rt_remote_demonitor(node, handle, m->demonitor->watcher,
                                m->demonitor->id, m->demonitor->target);
        break;
    case HARDTACK__WIRE__EXTENSION__MSG_DOWN:
        ref.pid = m->down->target;
        hti_rt_remote_down(node, ref, m->down->watcher, m->down->id,
                           get_why(m->down->why, &reason));
        break;
    case HARDTACK__WIRE__EXTENSION__MSG_LINK:
        on_link(link, m->link);
        break;
    case HARDTACK__WIRE__EXTENSION__MSG_UNLINK:
        ref.pid = m->unlink->from;
        hti_rt_remote_unlink(node, ref, m->unlink->to);
        break;
    case HARDTACK__WIRE__EXTENSION__MSG_EXIT:
        ref.pid = m->exit->from;
        hti_rt_remote_exit(node, ref, m->exit->to,
                           get_why(m->exit->why, &reason));
        break;
    case HARDTACK__WIRE__EXTENSION__MSG_STOP:
        (void)hti_rt_remote_stop(node, m->stop->to,
                                 get_why(m->stop->why, &reason));
        break;
    case HARDTACK__WIRE__EXTENSION__MSG_CANCEL:
        hti_rt_deliver_cancel(node, handle, m->cancel->tag);
        break;
    case HARDTACK__WIRE__EXTENSION__MSG_DUPLICATE:
        on_duplicate(link, m->duplicate);
        break;
    case HARDTACK__WIRE__EXTENSION__MSG__NOT_SET:
    case _HARDTACK__WIRE__EXTENSION__MSG__CASE_IS_INT_SIZE:
        break; /* of a later version */
    }
}
