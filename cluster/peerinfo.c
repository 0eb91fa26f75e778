/* SPDX-License-Identifier: Apache-2.0 */
/* peerinfo.c - the public functions that look into the cluster's tables. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cluster/internal.h"

static struct hti_cluster *cluster_of(ht_node *node)
{
    return hti_rt_slot(node, HTI_SLOT_CLUSTER);
}

/* ---- peers --------------------------------------------------------------- */

static const char *mode_words(enum hti_session_mode mode)
{
    switch (mode) {
    case HTI_MODE_NONE:
        return "none";
    case HTI_MODE_COOKIE:
        return "cookie";
    case HTI_MODE_TLS:
        return "tls";
    case HTI_MODE_PEERCRED:
        return "unix";
    }
    return "";
}

static const char *encryption_words(ht_encryption encryption)
{
    switch (encryption) {
    case HT_ENCRYPT_NONE:
        return "none";
    case HT_ENCRYPT_TLS:
        return "tls";
    case HT_ENCRYPT_DEFAULT:
    case HT_ENCRYPT_COOKIE:
        break;
    }
    return "cookie";
}

static uint64_t load(const _Atomic uint64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

static void fill_link(struct hti_cluster *c,
                      struct hti_link *link,
                      uint64_t now_ms,
                      ht_peer_info *ret)
{
    struct hti_outbox_stats stats;
    bool open = link->peer != NULL;
    struct hti_node_slot *slot =
        open ? hti_slots_get(&c->slots, link->handle) : NULL;

    memset(ret, 0, sizeof *ret);
    hti_outbox_stats(link->outbox, &stats);
    ret->name = link->name;
    ret->address = link->address;
    ret->state = !open ? "handshake" : link->is_ready ? "ready" : "syncing";
    ret->encryption = mode_words(link->mode);
    ret->auth = !open            ? ""
                : link->admin    ? "admin"
                : link->hardtack ? "hardtack"
                                 : "ractor";
    ret->last_error = "";
    ret->initiated = link->initiated;
    ret->hidden = open && link->hidden;
    ret->incarnation = link->incarnation;
    ret->node = open ? link->handle : 0;
    ret->since_ms = now_ms > link->since_ms ? now_ms - link->since_ms : 0;
    ret->rtt_us = load(&link->rtt_us);
    ret->sent_frames = stats.frames;
    ret->sent_bytes = stats.bytes;
    ret->received_frames = load(&link->received_frames);
    ret->received_bytes = load(&link->received_bytes);
    ret->outbox_bytes = stats.queued_bytes;
    ret->outbox_refused = stats.refused;
    ret->calls_in_flight = slot == NULL ? 0 : (uint32_t)load(&slot->calls);
    ret->calls_refused = slot == NULL ? 0 : load(&slot->calls_refused);
    ret->dropped = load(&link->dropped);
}

static void
fill_dial(const struct hti_dial *dial, uint64_t now_ms, ht_peer_info *ret)
{
    memset(ret, 0, sizeof *ret);
    ret->name = dial->peer_name[0] != '\0' ? dial->peer_name
                : dial->name != NULL       ? dial->name
                                           : "";
    ret->address = dial->address;
    ret->state = dial->state == HTI_TARGET_DIALLING ? "dialling" : "waiting";
    ret->encryption = encryption_words(dial->encryption);
    ret->auth = "";
    ret->last_error = dial->last_err != HT_OK ? dial->last_text : "";
    ret->initiated = true;
    ret->since_ms = now_ms > dial->since_ms ? now_ms - dial->since_ms : 0;
}

void ht_peer_each(ht_node *node,
                  void (*fn)(const ht_peer_info *info, void *arg),
                  void *arg)
{
    struct hti_cluster *c = cluster_of(node);
    struct hti_dial *dial;
    struct hti_link *link;
    ht_peer_info info;
    uint64_t now_ms;

    if (c == NULL) {
        return;
    }
    now_ms = hti_cluster_now_ms(c);
    pthread_mutex_lock(&c->lock);
    TAILQ_FOREACH (link, &c->links, entry) {
        fill_link(c, link, now_ms, &info);
        fn(&info, arg);
    }
    TAILQ_FOREACH (dial, &c->dials, entry) {
        if (dial->state == HTI_TARGET_WAITING ||
            dial->state == HTI_TARGET_DIALLING) {
            fill_dial(dial, now_ms, &info);
            fn(&info, arg);
        }
    }
    pthread_mutex_unlock(&c->lock);
}

/* ---- refs ---------------------------------------------------------------- */

struct who {
    char name[HTI_NAME_BUF];
    uint64_t incarnation;
};

/* Whose handle it is; "" if that is over or was never known. */
static void find_who(ht_node *node, uint64_t handle, struct who *ret)
{
    struct hti_cluster *c = cluster_of(node);
    const struct hti_node_slot *slot;

    memset(ret, 0, sizeof *ret);
    if (handle == hti_rt_local_handle(node)) {
        snprintf(ret->name, sizeof ret->name, "%s", hti_rt_name(node));
        ret->incarnation = c == NULL ? 0 : c->config.incarnation;
        return;
    }
    if (c == NULL) {
        return;
    }
    pthread_mutex_lock(&c->lock);
    slot = hti_slots_get(&c->slots, handle);
    if (slot != NULL && slot->peer != NULL) {
        memcpy(ret->name, slot->peer->name, sizeof ret->name);
        ret->incarnation = slot->incarnation;
    }
    pthread_mutex_unlock(&c->lock);
}

const char *ht_ref_format(ht_node *node, ht_ref ref, char *buf, size_t buf_len)
{
    struct who who;

    find_who(node, ref.node, &who);
    snprintf(buf, buf_len, "<%s.%" PRIu64 ".%" PRIu64 ">",
             who.name[0] != '\0' ? who.name : "?", who.incarnation, ref.pid);
    return buf;
}

/* Decimal digits and nothing else, up to end. */
static bool parse_number(const char *text, const char *end, uint64_t *ret)
{
    uint64_t value = 0;

    if (text == end) {
        return false;
    }
    for (; text < end; text++) {
        unsigned digit = (unsigned)(unsigned char)*text - '0';

        if (digit > 9 || value > (UINT64_MAX - digit) / 10) {
            return false;
        }
        value = value * 10 + digit;
    }
    *ret = value;
    return true;
}

static const char *last_dot(const char *text, const char *end)
{
    while (end > text) {
        end--;
        if (*end == '.') {
            return end;
        }
    }
    return NULL;
}

static ht_err parse_parts(const char *text, struct who *ret, uint64_t *ret_pid)
{
    size_t len = strlen(text);
    const char *end, *pid, *incarnation;
    size_t name_len;

    if (len < 2 || text[0] != '<' || text[len - 1] != '>') {
        return HT_EINVAL;
    }
    text++;
    end = text + len - 2;
    pid = last_dot(text, end);
    incarnation = pid == NULL ? NULL : last_dot(text, pid);
    if (incarnation == NULL || !parse_number(pid + 1, end, ret_pid) ||
        !parse_number(incarnation + 1, pid, &ret->incarnation)) {
        return HT_EINVAL;
    }
    name_len = (size_t)(incarnation - text);
    if (name_len == 0 || name_len > HTI_NAME_BYTES_MAX) {
        return HT_EINVAL;
    }
    memcpy(ret->name, text, name_len);
    ret->name[name_len] = '\0';
    return HT_OK;
}

/* The handle of that incarnation; 0: not known. */
static uint64_t handle_of(struct hti_cluster *c, const struct who *who)
{
    const struct hti_peer *peer;
    const struct hti_link *link;
    uint64_t handle = 0;

    pthread_mutex_lock(&c->lock);
    peer = hti_peer_find(c, who->name);
    if (peer != NULL && peer->slot != NULL) {
        if (peer->slot->incarnation == who->incarnation) {
            handle = hti_slot_handle(peer->slot);
        }
    } else if (peer != NULL) {
        link = TAILQ_FIRST(&peer->links);
        if (link != NULL && link->incarnation == who->incarnation) {
            handle = link->handle;
        }
    }
    pthread_mutex_unlock(&c->lock);
    return handle;
}

ht_err ht_ref_parse(ht_node *node, const char *text, ht_ref *ret_ref)
{
    struct hti_cluster *c = cluster_of(node);
    uint64_t own = c == NULL ? 0 : c->config.incarnation;
    uint64_t handle = 0, pid = 0;
    struct who who;
    ht_err err;

    if (text == NULL) {
        return HT_EINVAL;
    }
    err = parse_parts(text, &who, &pid);
    if (err != HT_OK) {
        return err;
    }
    if (strcmp(who.name, hti_rt_name(node)) == 0) {
        handle = who.incarnation == own ? hti_rt_local_handle(node) : 0;
    } else if (c != NULL) {
        handle = handle_of(c, &who);
    }
    if (handle == 0) {
        return HT_ENOENT;
    }
    ret_ref->node = handle;
    ret_ref->pid = pid;
    return HT_OK;
}

const char *ht_ref_node_name(ht_node *node, ht_ref ref)
{
    static _Thread_local struct who who;

    find_who(node, ref.node, &who);
    return who.name;
}
