/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/cluster.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cluster/internal.h"

#define NS_PER_MS   UINT64_C(1000000)
#define OUTBOX_MAX  (8u * 1024 * 1024)
#define CALLS_MAX   65536u
#define MESSAGE_MAX (64u * 1024 * 1024)
#define LOG_BURST   10

uint64_t hti_cluster_now_ms(struct hti_cluster *c)
{
    return hti_rt_now_ns(c->node) / NS_PER_MS;
}

uint64_t hti_cluster_random(struct hti_cluster *c)
{
    uint64_t random;

    hti_rt_random(c->node, &random, sizeof random);
    return random;
}

void hti_cluster_log_limited(struct hti_cluster *c,
                             struct hti_log_limit *limit,
                             ht_log_level level,
                             const char *id,
                             const char *text)
{
    uint64_t now_ms = hti_cluster_now_ms(c);
    const struct hti_log *log = hti_rt_log(c->node);
    unsigned suppressed = 0;
    bool allowed;

    pthread_mutex_lock(&c->lock);
    allowed = hti_log_allow(limit, now_ms, LOG_BURST, &suppressed);
    pthread_mutex_unlock(&c->lock);
    if (allowed && suppressed > 0) {
        hti_log(log, level, id, "%s left_out=%u", text, suppressed);
    } else if (allowed) {
        hti_log(log, level, id, "%s", text);
    }
}

/* ---- life ---------------------------------------------------------------- */

static void config_init(struct hti_cluster *c,
                        const struct hti_cluster_config *config)
{
    c->config = *config;
    c->config.name = c->name;
    c->config.connection_string = c->connection_string;
    c->config.keys = NULL;
    if (c->config.outbox_bytes_max == 0) {
        c->config.outbox_bytes_max = OUTBOX_MAX;
    }
    if (c->config.calls_max == 0) {
        c->config.calls_max = CALLS_MAX;
    }
    if (c->config.frame_max == 0) {
        c->config.frame_max = HTI_FRAME_BYTES_MAX;
    }
    if (c->config.message_max == 0) {
        c->config.message_max = MESSAGE_MAX;
    }
}

static void identity_init(struct hti_cluster *c)
{
    ht_ref self = {hti_rt_local_handle(c->node), 1};
    ht_err err = hti_rt_ref_out(c->node, self, c->identity.instance);

    assert(err == HT_OK);
    (void)err;
    c->identity.name = c->name;
    c->identity.connection_string = c->connection_string;
    c->identity.incarnation = c->config.incarnation;
    c->identity.hidden = c->config.hidden;
    c->identity.frame_max = c->config.frame_max;
    c->identity.message_max = c->config.message_max;
}

ht_err hti_cluster_new(ht_node *node,
                       const struct hti_cluster_config *config,
                       const struct hti_cluster_io *io,
                       void *io_arg,
                       struct hti_cluster **ret_cluster)
{
    struct hti_cluster *c;
    ht_err err;

    if (strlen(config->name) > HTI_NAME_BYTES_MAX) {
        return HT_EINVAL;
    }
    c = calloc(1, sizeof *c);
    if (c == NULL) {
        return HT_ENOMEM;
    }
    pthread_mutex_init(&c->lock, NULL);
    pthread_mutex_init(&c->mirror_lock, NULL);
    TAILQ_INIT(&c->mirrored);
    TAILQ_INIT(&c->links);
    TAILQ_INIT(&c->dials);
    c->node = node;
    c->io = io;
    c->io_arg = io_arg;
    snprintf(c->name, sizeof c->name, "%s", config->name);
    config_init(c, config);
    c->keys = hti_keyring_ref(config->keys);
    c->started_ns = hti_rt_now_ns(node);
    hti_rt_random(node, c->hash_key, sizeof c->hash_key);
    err = hti_slots_init(&c->slots);
    if (err == HT_OK && config->connection_string != NULL) {
        err = hti_cluster_set_connection_string(c, config->connection_string);
    }
    if (err != HT_OK) {
        hti_cluster_free(c);
        return err;
    }
    identity_init(c);
    hti_rt_set_remote(node, &hti_cluster_remote_ops, c);
    hti_rt_set_slot(node, HTI_SLOT_CLUSTER, c);
    *ret_cluster = c;
    return HT_OK;
}

void hti_cluster_stop(struct hti_cluster *c)
{
    struct hti_waiters done = TAILQ_HEAD_INITIALIZER(done);
    struct hti_link *link, *next;

    pthread_mutex_lock(&c->lock);
    c->stopping = true;
    while (!TAILQ_EMPTY(&c->dials)) {
        hti_dial_free(c, TAILQ_FIRST(&c->dials), HT_ECLOSED, &done);
    }
    /* A link that is referenced stays in the list until it is let go of. */
    link = TAILQ_FIRST(&c->links);
    while (link != NULL) {
        hti_link_ref(link);
        pthread_mutex_unlock(&c->lock);
        hti_link_close(link, HT_ECLOSED);
        pthread_mutex_lock(&c->lock);
        next = link->listed ? TAILQ_NEXT(link, entry) : TAILQ_FIRST(&c->links);
        hti_link_unref(link);
        link = next;
    }
    pthread_mutex_unlock(&c->lock);
    hti_waiters_tell(&done);
}

bool hti_cluster_is_quiet(struct hti_cluster *c)
{
    bool quiet;

    pthread_mutex_lock(&c->lock);
    quiet = TAILQ_EMPTY(&c->links);
    pthread_mutex_unlock(&c->lock);
    return quiet;
}

void hti_cluster_free(struct hti_cluster *c)
{
    struct hti_waiters done = TAILQ_HEAD_INITIALIZER(done);

    if (c == NULL) {
        return;
    }
    assert(TAILQ_EMPTY(&c->links));
    while (!TAILQ_EMPTY(&c->dials)) {
        hti_dial_free(c, TAILQ_FIRST(&c->dials), HT_ECLOSED, &done);
    }
    hti_waiters_tell(&done);
    hti_peers_fini(c);
    hti_slots_fini(&c->slots);
    hti_keyring_unref(c->keys);
    pthread_mutex_destroy(&c->lock);
    pthread_mutex_destroy(&c->mirror_lock);
    free(c);
}

ht_err hti_cluster_set_connection_string(struct hti_cluster *c,
                                         const char *text)
{
    if (strlen(text) > HTI_NAME_BYTES_MAX) {
        return HT_EINVAL;
    }
    snprintf(c->connection_string, sizeof c->connection_string, "%s", text);
    return HT_OK;
}

void hti_cluster_set_keys(struct hti_cluster *c, struct hti_keyring *keys)
{
    struct hti_keyring *old;

    pthread_mutex_lock(&c->lock);
    old = c->keys;
    c->keys = hti_keyring_ref(keys);
    pthread_mutex_unlock(&c->lock);
    hti_keyring_unref(old);
}

struct hti_keyring *hti_cluster_keys(struct hti_cluster *c)
{
    struct hti_keyring *keys;

    pthread_mutex_lock(&c->lock);
    keys = hti_keyring_ref(c->keys);
    pthread_mutex_unlock(&c->lock);
    return keys;
}

uint64_t hti_cluster_tick(struct hti_cluster *c, uint64_t now_ms)
{
    struct hti_waiters done = TAILQ_HEAD_INITIALIZER(done);
    struct hti_dial_copy dial;
    uint64_t next_ms;

    pthread_mutex_lock(&c->lock);
    while (hti_dials_next(c, now_ms, &dial)) {
        pthread_mutex_unlock(&c->lock);
        c->io->dial(c->io_arg, dial.dial_id, &dial.target);
        pthread_mutex_lock(&c->lock);
    }
    next_ms = hti_dials_expire(c, now_ms, &done);
    pthread_mutex_unlock(&c->lock);
    hti_waiters_tell(&done);
    return next_ms;
}

void hti_cluster_dial_failed(struct hti_cluster *c,
                             uint64_t dial_id,
                             ht_err err,
                             const char *text)
{
    struct hti_waiters done = TAILQ_HEAD_INITIALIZER(done);
    uint64_t now_ms = hti_cluster_now_ms(c);
    char address[HTI_NAME_BUF] = "";
    char quoted[2][300];
    char line[800];
    struct hti_dial *dial;

    if (text == NULL || text[0] == '\0') {
        text = ht_strerror(err);
    }
    pthread_mutex_lock(&c->lock);
    dial = hti_dial_by_id(c, dial_id);
    if (dial != NULL) {
        snprintf(address, sizeof address, "%s", dial->address);
        hti_dial_ended(c, dial, err, text, now_ms, &done);
    }
    pthread_mutex_unlock(&c->lock);
    if (dial != NULL) {
        snprintf(
            line, sizeof line, "address=%s err=%s text=%s",
            hti_quote(quoted[0], sizeof quoted[0], address, strlen(address)),
            ht_errname(err),
            hti_quote(quoted[1], sizeof quoted[1], text, strlen(text)));
        hti_cluster_log_limited(c, &c->log_unreachable, HT_LOG_INFO,
                                "HT-NODE-UNREACHABLE", line);
        c->io->tick_at(c->io_arg, now_ms);
    }
    hti_waiters_tell(&done);
}

/* ---- connect and disconnect ---------------------------------------------- */

/* A name that is to be a Hardtack node is one from now on. */
static void pin(struct hti_cluster *c, const struct hti_target *target)
{
    struct hti_peer *peer;

    if (target->name == NULL || target->any_peer) {
        return;
    }
    peer = hti_peer_get(c, target->name, true);
    if (peer != NULL) {
        peer->configured = true;
        peer->hardtack = true;
    }
}

static ht_err connect_locked(struct hti_cluster *c,
                             const struct hti_target *target,
                             bool once,
                             struct hti_waiter *waiter,
                             uint64_t now_ms,
                             struct hti_waiters *done)
{
    struct hti_dial *dial;
    struct hti_link *link;
    ht_err err;

    if (c->stopping) {
        return HT_ECLOSED;
    }
    if (target->address == NULL) {
        return HT_EINVAL;
    }
    dial = hti_dial_find(c, target);
    if (dial == NULL) {
        err = hti_dial_new(c, target, now_ms, &dial);
        if (err != HT_OK) {
            return err;
        }
        dial->once = once;
        dial->on_trial = waiter != NULL;
        pin(c, target);
        link = hti_dial_find_link(c, dial);
        if (link != NULL) {
            memcpy(dial->peer_name, link->name, sizeof dial->peer_name);
            dial->state = HTI_TARGET_MET;
        }
    } else {
        dial->once = dial->once && once;
        link = dial->state == HTI_TARGET_LINKED ? dial->link
                                                : hti_dial_find_link(c, dial);
        if (dial->state == HTI_TARGET_WAITING) {
            dial->due_ms = now_ms;
        }
    }
    if (waiter == NULL) {
        return HT_OK;
    }
    TAILQ_INSERT_TAIL(&dial->waiters, waiter, entry);
    if (link != NULL && link->is_ready) {
        dial->on_trial = false;
        hti_waiter_done(&dial->waiters, waiter, HT_OK, "", done);
    } else if (link != NULL && link->peer != NULL) {
        waiter->deadline_ms = now_ms + c->config.handshake_ms;
    }
    return HT_OK;
}

ht_err
hti_cluster_connect(struct hti_cluster *c,
                    const struct hti_target *target,
                    bool once,
                    void (*on_result)(void *arg, ht_err err, const char *text),
                    void *arg)
{
    struct hti_waiters done = TAILQ_HEAD_INITIALIZER(done);
    uint64_t now_ms = hti_cluster_now_ms(c);
    struct hti_waiter *waiter = NULL;
    ht_err err;

    if (on_result != NULL) {
        waiter = calloc(1, sizeof *waiter);
        if (waiter == NULL) {
            return HT_ENOMEM;
        }
        waiter->on_result = on_result;
        waiter->arg = arg;
        waiter->deadline_ms = UINT64_MAX;
    }
    pthread_mutex_lock(&c->lock);
    err = connect_locked(c, target, once, waiter, now_ms, &done);
    pthread_mutex_unlock(&c->lock);
    if (err != HT_OK) {
        free(waiter);
        return err;
    }
    hti_waiters_tell(&done);
    c->io->tick_at(c->io_arg, now_ms);
    return HT_OK;
}

ht_err hti_cluster_disconnect(struct hti_cluster *c, const char *name)
{
    struct hti_waiters done = TAILQ_HEAD_INITIALIZER(done);
    struct hti_dial *dial, *next_dial;
    struct hti_link *links[16];
    struct hti_link *link;
    bool found = false;
    size_t count = 0;

    if (name[0] == '\0') {
        return HT_ENOENT;
    }
    pthread_mutex_lock(&c->lock);
    TAILQ_FOREACH (link, &c->links, entry) {
        bool is_for =
            link->peer != NULL
                ? strcmp(link->name, name) == 0
                : link->dial != NULL &&
                      strcmp(hti_dial_peer_name(link->dial), name) == 0;

        if (is_for && count < sizeof links / sizeof links[0]) {
            links[count++] = hti_link_ref(link);
        }
    }
    for (dial = TAILQ_FIRST(&c->dials); dial != NULL; dial = next_dial) {
        next_dial = TAILQ_NEXT(dial, entry);
        if (strcmp(hti_dial_peer_name(dial), name) == 0) {
            hti_dial_free(c, dial, HT_ECANCELLED, &done);
            found = true;
        }
    }
    pthread_mutex_unlock(&c->lock);
    for (size_t i = 0; i < count; i++) {
        hti_link_close(links[i], HT_ECLOSED);
        hti_link_unref(links[i]);
    }
    hti_waiters_tell(&done);
    return found || count > 0 ? HT_OK : HT_ENOENT;
}

bool hti_cluster_call_is_trusted(ht_actor *self, ht_call call)
{
    struct hti_cluster *c = hti_rt_slot(ht_actor_node(self), HTI_SLOT_CLUSTER);
    struct hti_origin origin;
    const struct hti_link *link;

    if (hti_rt_call_origin(self, call, &origin) != HT_OK) {
        return false;
    }
    if (origin.node == 0) {
        return true;
    }
    link = origin.link;
    return c != NULL && link != NULL && link->hardtack;
}
