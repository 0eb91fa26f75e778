/* SPDX-License-Identifier: Apache-2.0 */
/* mirror.c - actors and groups, both ways.
 *
 * Out: a new link gets everything there is, under the directory lock, and is
 * entered into the list of mirrored links before that is let go; every change
 * after it is pushed under the same lock.  So nothing is missed and nothing
 * comes twice or out of order.
 *
 * In: a Hardtack node's pids need no table, its refs are authority enough, but
 * what it joins is counted; a ractor node's pids are kept, since its messages
 * may name only those it announced.
 */
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "cluster/internal.h"

/* A control frame is cut off after about this many bytes of entries, or where
 * the peer's limit is. */
#define BATCH_BYTES ((size_t)256 * 1024)
/* What a frame has beside its entries (two names, and what wraps them), and
 * what an entry has beside its name: at most. */
#define HEAD_BYTES  640
#define ENTRY_BYTES 24

/* ---- out: changes -------------------------------------------------------- */

static struct hti_frame *frame_copy(const struct hti_frame *frame)
{
    struct hti_frame *copy =
        hti_frame_new(frame->len - HTI_FRAME_HEAD, frame->lane);

    if (copy != NULL) {
        memcpy(copy->bytes, frame->bytes, frame->len);
    }
    return copy;
}

/* To every mirrored link; takes frame.  Without memory for it the links can no
 * longer agree with us, and end: they are dialled again and told everything. */
static void broadcast(struct hti_cluster *c, struct hti_frame *frame)
{
    struct hti_link *link;

    pthread_mutex_lock(&c->mirror_lock);
    TAILQ_FOREACH (link, &c->mirrored, mirror_entry) {
        hti_link_push(link, frame == NULL ? NULL : frame_copy(frame));
    }
    pthread_mutex_unlock(&c->mirror_lock);
    hti_frame_free(frame);
}

static bool is_mute(const struct hti_cluster *c)
{
    return c->config.hidden; /* a client owns nothing that others may see */
}

void hti_mirror_advertise(void *arg, uint64_t pid, const char *name)
{
    struct hti_cluster *c = arg;

    if (!is_mute(c)) {
        broadcast(c, hti_frame_spawn(&pid, &name, 1));
    }
}

void hti_mirror_withdraw(void *arg, uint64_t pid)
{
    struct hti_cluster *c = arg;

    if (!is_mute(c)) {
        broadcast(c, hti_frame_terminate(&pid, 1));
    }
}

/* What entries may take in a frame for who takes payload_max.  No peer takes
 * less than HTI_HANDSHAKE_BYTES_MAX. */
static size_t batch_bytes(uint64_t payload_max)
{
    return payload_max < BATCH_BYTES + HEAD_BYTES
               ? (size_t)payload_max - HEAD_BYTES
               : BATCH_BYTES;
}

/* How many of the entries from at fit into one frame: one at least. */
static size_t
batch(const char *const *names, size_t at, size_t count, size_t max)
{
    size_t bytes = 0, n = 0;

    while (at + n < count && n < HTI_BATCH_MAX) {
        bytes += ENTRY_BYTES + (names == NULL ? 0 : strlen(names[at + n]));
        if (n > 0 && bytes > max) {
            break;
        }
        n++;
    }
    return n;
}

/* The same frame goes to all of them: what the smallest one takes. */
static size_t least_batch_bytes(struct hti_cluster *c)
{
    const struct hti_link *link;
    size_t max = BATCH_BYTES;

    pthread_mutex_lock(&c->mirror_lock);
    TAILQ_FOREACH (link, &c->mirrored, mirror_entry) {
        size_t own = batch_bytes(link->payload_max);

        max = own < max ? own : max;
    }
    pthread_mutex_unlock(&c->mirror_lock);
    return max;
}

static void changed(struct hti_cluster *c,
                    bool join,
                    const char *scope,
                    const char *group,
                    const uint64_t *pids,
                    const char *const *names,
                    size_t count)
{
    /* Nobody is added meanwhile: that takes the directory lock, which is held.
     */
    size_t max = least_batch_bytes(c);

    for (size_t at = 0; at < count && !is_mute(c);) {
        size_t n = batch(names, at, count, max);

        broadcast(c, hti_frame_group(join, scope, group, pids + at,
                                     names == NULL ? NULL : names + at, n));
        at += n;
    }
}

void hti_mirror_joined(void *arg,
                       const char *scope,
                       const char *group,
                       const uint64_t *pids,
                       const char *const *names,
                       size_t count)
{
    changed(arg, true, scope, group, pids, names, count);
}

void hti_mirror_left(void *arg,
                     const char *scope,
                     const char *group,
                     const uint64_t *pids,
                     const char *const *names,
                     size_t count)
{
    changed(arg, false, scope, group, pids, names, count);
}

/* ---- out: the sync block ------------------------------------------------- */

/* Actors gathered for the next Spawn; names are lent until the snapshot ends,
 * so they are pointed to. */
struct sync {
    struct hti_link *link;
    size_t count, bytes, max;
    uint64_t pids[HTI_BATCH_MAX];
    const char *names[HTI_BATCH_MAX];
};

static void sync_flush(struct sync *s)
{
    if (s->count > 0) {
        hti_link_push(s->link, hti_frame_spawn(s->pids, s->names, s->count));
    }
    s->count = 0;
    s->bytes = 0;
}

static void on_actor(void *arg, uint64_t pid, const char *name)
{
    struct sync *s = arg;
    size_t bytes = ENTRY_BYTES + strlen(name);

    if (s->count == HTI_BATCH_MAX || s->bytes + bytes > s->max) {
        sync_flush(s);
    }
    s->pids[s->count] = pid;
    s->names[s->count] = name;
    s->bytes += bytes;
    s->count++;
}

static void on_group(void *arg,
                     const char *scope,
                     const char *group,
                     const uint64_t *pids,
                     const char *const *names,
                     size_t count)
{
    struct sync *s = arg;

    sync_flush(s);
    for (size_t at = 0; at < count;) {
        size_t n = batch(names, at, count, s->max);

        hti_link_push(s->link,
                      hti_frame_group(true, scope, group, pids + at,
                                      names == NULL ? NULL : names + at, n));
        at += n;
    }
}

/* Still under the directory lock. */
static void on_done(void *arg)
{
    struct sync *s = arg;
    struct hti_cluster *c = s->link->cluster;

    sync_flush(s);
    hti_link_push(s->link, hti_frame_ready());
    pthread_mutex_lock(&c->mirror_lock);
    s->link->mirrored = true;
    TAILQ_INSERT_TAIL(&c->mirrored, s->link, mirror_entry);
    pthread_mutex_unlock(&c->mirror_lock);
}

static const struct hti_snapshot_ops snapshot_ops = {
    .actor = on_actor,
    .group = on_group,
    .done = on_done,
};

void hti_mirror_sync(struct hti_link *link)
{
    struct hti_cluster *c = link->cluster;
    struct sync *s;

    hti_topology_ask(link);
    if (is_mute(c)) {
        hti_link_push(link, hti_frame_ready());
        return;
    }
    s = hti_alloc(sizeof *s);
    if (s == NULL) {
        hti_link_close(link, HT_ENOMEM);
        return;
    }
    s->link = link;
    s->count = 0;
    s->bytes = 0;
    s->max = batch_bytes(link->payload_max);
    hti_rt_snapshot(c->node, &snapshot_ops, s);
    hti_free(s);
}

void hti_mirror_remove(struct hti_link *link)
{
    struct hti_cluster *c = link->cluster;

    pthread_mutex_lock(&c->mirror_lock);
    if (link->mirrored) {
        TAILQ_REMOVE(&c->mirrored, link, mirror_entry);
        link->mirrored = false;
    }
    pthread_mutex_unlock(&c->mirror_lock);
}

/* ---- in ------------------------------------------------------------------ */

static ht_ref ref_of(const struct hti_link *link, uint64_t pid)
{
    ht_ref ref = {link->handle, pid};

    return ref;
}

/* The table could not take it: what we know of the peer is no longer whole. */
static void fail(struct hti_link *link, ht_err err)
{
    if (err != HT_OK && link->failed == HT_OK) {
        link->failed = err;
    }
}

static void on_spawn(struct hti_link *link, const Hardtack__Wire__Spawn *m)
{
    ht_err err = HT_OK;

    if (link->hardtack) {
        return;
    }
    pthread_mutex_lock(&link->gate);
    for (size_t i = 0; i < m->n_actors && err == HT_OK; i++) {
        err = hti_announced_add(&link->announced, m->actors[i]->pid);
    }
    pthread_mutex_unlock(&link->gate);
    fail(link, err);
}

/* A ractor node does not say why.  Nothing says that it was abnormal. */
static void ended(struct hti_link *link, uint64_t pid)
{
    static const ht_exit why = {HT_EXIT_NORMAL, "ended on its ractor node"};
    ht_node *node = link->cluster->node;

    hti_rt_group_leave_all(node, ref_of(link, pid));
    if (!link->hardtack) {
        hti_rt_fail_calls_to(node, ref_of(link, pid), HT_ENOPROC);
        hti_rt_remote_ended(node, ref_of(link, pid), &why);
    }
}

static void on_terminate(struct hti_link *link,
                         const Hardtack__Wire__Terminate *m)
{
    for (size_t i = 0; i < m->n_ids; i++) {
        bool known;

        pthread_mutex_lock(&link->gate);
        known = hti_announced_remove(&link->announced, m->ids[i]);
        pthread_mutex_unlock(&link->gate);
        if (known) {
            ended(link, m->ids[i]);
        }
    }
}

/* Scope or group as a string; false: not one that can be a name here. */
static bool name_of(const ProtobufCBinaryData *data, char buf[HTI_NAME_BUF])
{
    if (data->len > HTI_NAME_BYTES_MAX ||
        (data->len > 0 && memchr(data->data, '\0', data->len) != NULL)) {
        return false;
    }
    if (data->len > 0) {
        memcpy(buf, data->data, data->len);
    }
    buf[data->len] = '\0';
    return true;
}

struct group {
    char scope[HTI_NAME_BUF];
    char name[HTI_NAME_BUF];
    uint64_t hash;
};

static bool group_of(struct hti_link *link,
                     const ProtobufCBinaryData *scope,
                     const ProtobufCBinaryData *name,
                     struct group *ret)
{
    unsigned char text[2 * HTI_NAME_BUF];
    unsigned char hash[crypto_shorthash_BYTES];
    size_t scope_len = scope->len, name_len = name->len;

    if (!name_of(scope, ret->scope) || !name_of(name, ret->name)) {
        hti_link_dropped(link, "group name is not one here");
        return false;
    }
    memcpy(text, ret->scope, scope_len + 1);
    memcpy(text + scope_len + 1, ret->name, name_len);
    crypto_shorthash(hash, text, scope_len + 1 + name_len,
                     link->cluster->hash_key);
    memcpy(&ret->hash, hash, sizeof ret->hash);
    return true;
}

static void on_join(struct hti_link *link, const Hardtack__Wire__PgJoin *m)
{
    struct group group;
    ht_err err = HT_OK;
    ht_ref *refs;

    if (m->n_actors == 0 || !group_of(link, &m->scope, &m->group, &group)) {
        return;
    }
    refs = malloc(m->n_actors * sizeof *refs);
    if (refs == NULL) {
        fail(link, HT_ENOMEM);
        return;
    }
    pthread_mutex_lock(&link->gate);
    for (size_t i = 0; i < m->n_actors && err == HT_OK; i++) {
        refs[i] = ref_of(link, m->actors[i]->pid);
        err =
            hti_announced_join(&link->announced, m->actors[i]->pid, group.hash);
    }
    pthread_mutex_unlock(&link->gate);
    if (err == HT_OK) {
        err = hti_rt_group_join_remote(link->cluster->node, group.scope,
                                       group.name, refs, m->n_actors);
        if (err == HT_EINVAL) {
            hti_link_dropped(link, "group name is not one here");
            err = HT_OK;
        }
    }
    free(refs);
    fail(link, err);
}

/* Never makes anything: a ractor node says it after Terminate, too. */
static void on_leave(struct hti_link *link, const Hardtack__Wire__PgLeave *m)
{
    struct group group;

    if (m->n_actors == 0 || !group_of(link, &m->scope, &m->group, &group)) {
        return;
    }
    for (size_t i = 0; i < m->n_actors; i++) {
        uint64_t pid = m->actors[i]->pid;
        ht_ref ref = ref_of(link, pid);
        bool known;

        pthread_mutex_lock(&link->gate);
        known = hti_announced_leave(&link->announced, pid, group.hash);
        /* In no group, and a Hardtack node's: nothing to remember. */
        if (known && link->hardtack &&
            hti_announced_groups(&link->announced, pid) == 0) {
            hti_announced_remove(&link->announced, pid);
        }
        pthread_mutex_unlock(&link->gate);
        if (known) {
            hti_rt_group_leave_remote(link->cluster->node, group.scope,
                                      group.name, &ref, 1);
        }
    }
}

void hti_mirror_inbound(struct hti_link *link,
                        const Hardtack__Wire__ControlMessage *m)
{
    if (m->msg_case == HARDTACK__WIRE__CONTROL_MESSAGE__MSG_SPAWN) {
        on_spawn(link, m->spawn);
    } else if (m->msg_case == HARDTACK__WIRE__CONTROL_MESSAGE__MSG_TERMINATE) {
        on_terminate(link, m->terminate);
    } else if (m->msg_case == HARDTACK__WIRE__CONTROL_MESSAGE__MSG_PG_JOIN) {
        on_join(link, m->pg_join);
    } else if (m->msg_case == HARDTACK__WIRE__CONTROL_MESSAGE__MSG_PG_LEAVE) {
        on_leave(link, m->pg_leave);
    }
}
