/* SPDX-License-Identifier: Apache-2.0 */
/* link.c - one connection: its session, its outbox, its transport. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cluster/internal.h"

/* ---- references ---------------------------------------------------------- */

struct hti_link *hti_link_ref(struct hti_link *link)
{
    atomic_fetch_add_explicit(&link->refs, 1, memory_order_relaxed);
    return link;
}

struct hti_link *hti_link_unref(struct hti_link *link)
{
    /* An answer to a call may be the last to let go, long after the cluster is
     * gone: nothing here may touch it. */
    if (link != NULL &&
        atomic_fetch_sub_explicit(&link->refs, 1, memory_order_acq_rel) == 1) {
        assert(link->session == NULL && TAILQ_EMPTY(&link->writables));
        hti_announced_fini(&link->announced);
        hti_outbox_unref(link->outbox);
        pthread_mutex_destroy(&link->lock);
        pthread_mutex_destroy(&link->gate);
        free(link);
    }
    return NULL;
}

/* ---- the transport ------------------------------------------------------- */

/* Not under gate: hti_outbox_close() waits for the last of these before the io
 * goes. */
static void on_busy(void *arg)
{
    struct hti_link *link = arg;

    link->io->wake(link->io_arg);
}

void hti_link_close(struct hti_link *link, ht_err why)
{
    pthread_mutex_lock(&link->gate);
    if (!link->io_gone && link->close_why == HT_OK) {
        link->close_why = why;
        link->io->close(link->io_arg, why);
    }
    pthread_mutex_unlock(&link->gate);
}

void hti_link_push(struct hti_link *link, struct hti_frame *frame)
{
    ht_err err = HT_ENOMEM;

    if (frame != NULL) {
        err = frame->len - HTI_FRAME_HEAD > link->payload_max
                  ? HT_ETOOBIG
                  : hti_outbox_push(link->outbox, &frame, true);
        hti_frame_free(frame);
    }
    if (err != HT_OK && err != HT_ENOCONN) {
        hti_link_close(link, err == HT_EBUSY ? HT_EOVERLOAD : err);
    }
}

bool hti_link_pop(struct hti_link *link, struct hti_slice *ret)
{
    return hti_outbox_pop(link->outbox, ret);
}

void hti_link_release(struct hti_link *link, struct hti_slice *slice)
{
    hti_outbox_release(link->outbox, slice);
}

void hti_link_settle(struct hti_link *link)
{
    hti_outbox_settle(link->outbox);
    if (atomic_load(&link->has_writables)) {
        hti_router_drained(link);
    }
}

bool hti_link_sleep(struct hti_link *link)
{
    return hti_outbox_sleep(link->outbox);
}

bool hti_link_is_open(const struct hti_link *link)
{
    return link->attached;
}

void hti_link_count_received(struct hti_link *link, size_t bytes)
{
    atomic_fetch_add_explicit(&link->received_bytes, bytes,
                              memory_order_relaxed);
}

/* ---- what the world is told ---------------------------------------------- */

void hti_link_event(struct hti_link *link,
                    ht_node_event event,
                    ht_err reason,
                    const char *text)
{
    ht_event e = {.kind = HT_EVENT_NODE};

    e.u.node.event = event;
    e.u.node.name = link->name;
    e.u.node.address = link->address;
    e.u.node.reason = reason;
    e.u.node.text = text;
    hti_rt_node_event(link->cluster->node, &e);
}

void hti_link_dropped(struct hti_link *link, const char *what)
{
    struct hti_cluster *c = link->cluster;
    char quoted[300];
    char line[500];

    atomic_fetch_add_explicit(&link->dropped, 1, memory_order_relaxed);
    if (hti_rt_log(c->node)->level > HT_LOG_DEBUG) {
        return;
    }
    snprintf(line, sizeof line, "name=%s what=\"%s\"",
             hti_quote(quoted, sizeof quoted, link->name, strlen(link->name)),
             what);
    hti_cluster_log_limited(c, &c->log_dropped, HT_LOG_DEBUG, "HT-NODE-DROPPED",
                            line);
}

/* Both sides have each other's actors and groups. With link->lock. */
static void check_ready(struct hti_link *link)
{
    struct hti_waiters done = TAILQ_HEAD_INITIALIZER(done);
    struct hti_cluster *c = link->cluster;
    uint64_t now_ms = hti_cluster_now_ms(c);

    if (!link->attached || link->detached || link->told_ready ||
        !hti_session_is_ready(link->session)) {
        return;
    }
    link->told_ready = true;
    pthread_mutex_lock(&c->lock);
    link->is_ready = true;
    link->since_ms = now_ms;
    hti_dials_ready(c, link, &done);
    pthread_mutex_unlock(&c->lock);
    hti_link_event(link, HT_NODE_READY, HT_OK, "");
    hti_waiters_tell(&done);
}

/* ---- session ops --------------------------------------------------------- */

static void on_send(void *arg, const void *frame, size_t len)
{
    struct hti_link *link = arg;
    struct hti_frame *copy;
    ht_err err = HT_ENOMEM;

    assert(len >= HTI_FRAME_HEAD);
    copy = hti_frame_new(len - HTI_FRAME_HEAD, HTI_LANE_CONTROL);
    if (copy != NULL) {
        memcpy(copy->bytes, frame, len);
        err = hti_outbox_push(link->outbox, &copy, true);
        hti_frame_free(copy);
    }
    if (err != HT_OK && link->failed == HT_OK) {
        link->failed = err == HT_EBUSY ? HT_EOVERLOAD : err;
    }
}

static void on_ready(void *arg)
{
    check_ready(arg);
}

static void on_control(void *arg, const Hardtack__Wire__ControlMessage *m)
{
    struct hti_link *link = arg;

    atomic_fetch_add_explicit(&link->received_frames, 1, memory_order_relaxed);
    if (link->detached || link->failed != HT_OK) {
        return;
    }
    switch (m->msg_case) {
    case HARDTACK__WIRE__CONTROL_MESSAGE__MSG_SPAWN:
    case HARDTACK__WIRE__CONTROL_MESSAGE__MSG_TERMINATE:
    case HARDTACK__WIRE__CONTROL_MESSAGE__MSG_PG_JOIN:
    case HARDTACK__WIRE__CONTROL_MESSAGE__MSG_PG_LEAVE:
        hti_mirror_inbound(link, m);
        break;
    case HARDTACK__WIRE__CONTROL_MESSAGE__MSG_ENUMERATE_NODE_SESSIONS:
        hti_topology_answer(link);
        break;
    case HARDTACK__WIRE__CONTROL_MESSAGE__MSG_NODE_SESSIONS:
        hti_topology_learn(link, m->node_sessions);
        break;
    case HARDTACK__WIRE__CONTROL_MESSAGE__MSG_PING:
    case HARDTACK__WIRE__CONTROL_MESSAGE__MSG_PONG:
    case HARDTACK__WIRE__CONTROL_MESSAGE__MSG_READY:
    case HARDTACK__WIRE__CONTROL_MESSAGE__MSG__NOT_SET:
    case _HARDTACK__WIRE__CONTROL_MESSAGE__MSG__CASE_IS_INT_SIZE:
        break; /* the session's own */
    }
}

static void on_rtt(void *arg, uint64_t rtt_us)
{
    struct hti_link *link = arg;

    atomic_store_explicit(&link->rtt_us, rtt_us, memory_order_relaxed);
}

static uint64_t on_now_us(void *arg)
{
    const struct hti_link *link = arg;

    return hti_rt_now_ns(link->cluster->node) / 1000;
}

const struct hti_session_ops hti_link_session_ops = {
    .send = on_send,
    .on_name = hti_verdict_on_name,
    .check_peer = hti_verdict_check_peer,
    .check_challenge = hti_verdict_check_challenge,
    .on_open = hti_verdict_on_open,
    .on_ready = on_ready,
    .on_message = hti_inbound_message,
    .on_control = on_control,
    .on_extension = hti_extension_inbound,
    .on_rtt = on_rtt,
    .now_us = on_now_us,
};

/* ---- birth --------------------------------------------------------------- */

static struct hti_link *link_new(struct hti_cluster *c,
                                 const struct hti_link_params *params,
                                 const struct hti_link_io *io,
                                 void *io_arg,
                                 uint64_t now_ms)
{
    struct hti_link *link = calloc(1, sizeof *link);

    if (link == NULL) {
        return NULL;
    }
    if (hti_outbox_new(c->config.outbox_bytes_max, on_busy, link,
                       &link->outbox) != HT_OK) {
        free(link);
        return NULL;
    }
    atomic_init(&link->refs, 1);
    pthread_mutex_init(&link->lock, NULL);
    pthread_mutex_init(&link->gate, NULL);
    TAILQ_INIT(&link->writables);
    link->cluster = c;
    link->io = io;
    link->io_arg = io_arg;
    link->mode = params->mode;
    link->initiated = params->dial_id != 0;
    link->admin = params->admin;
    link->since_ms = now_ms;
    link->now_ms = now_ms;
    link->payload_max = HTI_HANDSHAKE_BYTES_MAX;
    if (params->address != NULL) {
        snprintf(link->address, sizeof link->address, "%s", params->address);
    }
    hti_announced_init(&link->announced, hti_cluster_random(c));
    return link;
}

/* Newer is smaller, so that a new connection beats our own half-dead one; never
 * 0.  The incarnation grows with each start, so it does across restarts too. */
static uint64_t next_connection_id(struct hti_cluster *c)
{
    uint64_t age =
        c->config.incarnation + hti_rt_now_ns(c->node) - c->started_ns;

    if (age <= c->last_connection_id) {
        age = c->last_connection_id + 1;
    }
    c->last_connection_id = age;
    return age < UINT64_MAX ? UINT64_MAX - age : 1;
}

/* Enter it; copies what the session needs of the target. */
static ht_err link_enter(struct hti_link *link,
                         uint64_t dial_id,
                         char expected_name[HTI_NAME_BUF])
{
    struct hti_cluster *c = link->cluster;
    struct hti_dial *dial = NULL;

    expected_name[0] = '\0';
    pthread_mutex_lock(&c->lock);
    if (dial_id != 0) {
        dial = hti_dial_by_id(c, dial_id);
    }
    if (c->stopping || (dial_id != 0 && dial == NULL)) {
        ht_err err = c->stopping ? HT_ECLOSED : HT_ECANCELLED;

        pthread_mutex_unlock(&c->lock);
        return err;
    }
    link->order = ++c->next_order;
    if (dial != NULL) {
        dial->state = HTI_TARGET_LINKED;
        dial->since_ms = link->since_ms;
        dial->link = link;
        link->dial = dial;
        link->connection_id = next_connection_id(c);
        dial->connection_id = link->connection_id;
        if (dial->name != NULL) {
            snprintf(expected_name, HTI_NAME_BUF, "%s", dial->name);
        }
        if (link->address[0] == '\0') {
            snprintf(link->address, sizeof link->address, "%s", dial->address);
        }
    }
    TAILQ_INSERT_TAIL(&c->links, link, entry);
    link->listed = true;
    pthread_mutex_unlock(&c->lock);
    return HT_OK;
}

static ht_err session_new(struct hti_link *link,
                          const struct hti_link_params *params,
                          const char *expected_name,
                          uint64_t now_ms)
{
    struct hti_cluster *c = link->cluster;
    struct hti_session_config config = {
        .self = &c->identity,
        .initiator = link->initiated,
        .mode = params->mode,
        .tls_key = params->tls_key,
        .any_peer = params->any_peer,
        .expected_name = expected_name[0] != '\0' ? expected_name : NULL,
        .connection_id = link->connection_id,
        .ping_seed = hti_cluster_random(c),
        .frame_max = c->config.frame_max,
        .message_max = c->config.message_max,
        .handshake_ms = c->config.handshake_ms,
        .heartbeat_ms = c->config.heartbeat_ms,
        .silence_ms = c->config.silence_ms,
    };
    ht_err err;

    hti_rt_random(c->node, config.nonce, sizeof config.nonce);
    hti_rt_random(c->node, &config.challenge, sizeof config.challenge);
    if (params->exporter != NULL) {
        memcpy(config.exporter, params->exporter, sizeof config.exporter);
    }
    config.keys = params->keys != NULL ? hti_keyring_ref(params->keys)
                                       : hti_cluster_keys(c);
    err = hti_session_new(&config, &hti_link_session_ops, link, now_ms,
                          &link->session);
    hti_keyring_unref(config.keys);
    return err;
}

static void link_end(struct hti_link *link, ht_err err, const char *text);

ht_err hti_cluster_link(struct hti_cluster *c,
                        const struct hti_link_params *params,
                        const struct hti_link_io *io,
                        void *io_arg,
                        uint64_t now_ms,
                        struct hti_link **ret_link)
{
    struct hti_link *link = link_new(c, params, io, io_arg, now_ms);
    char expected_name[HTI_NAME_BUF];
    ht_err err;

    if (link == NULL) {
        hti_cluster_dial_failed(c, params->dial_id, HT_ENOMEM, NULL);
        return HT_ENOMEM;
    }
    err = link_enter(link, params->dial_id, expected_name);
    if (err != HT_OK) {
        hti_link_unref(link);
        return err;
    }
    err = session_new(link, params, expected_name, now_ms);
    if (err != HT_OK) {
        link_end(link, err, ht_strerror(err));
        return err;
    }
    hti_link_event(link, HT_NODE_OPENED, HT_OK, "");
    /* on_busy runs from in here: it is the io's business what it finds. */
    pthread_mutex_lock(&link->lock);
    err = hti_session_start(link->session, now_ms);
    if (err == HT_OK) {
        err = link->failed;
    }
    pthread_mutex_unlock(&link->lock);
    if (err != HT_OK) {
        link_end(link, err, hti_session_why(link->session));
        return err;
    }
    *ret_link = link;
    return HT_OK;
}

/* ---- bytes --------------------------------------------------------------- */

/* Enter a call from the loop; not HT_OK: the link is over. */
static ht_err enter(struct hti_link *link, uint64_t now_ms)
{
    pthread_mutex_lock(&link->lock);
    link->now_ms = now_ms;
    return link->detached ? HT_EDUPLICATE : link->failed;
}

/* We accepted a connection of our own making and refused it.  Its other end
 * would see no more than an end: it is told what that means before ours is
 * closed.
 *
 * Nothing is proved here: anybody who has seen a Name of ours can say it.  A
 * connection to oneself never gets past its Name, so a link that did is another
 * one and is left alone. */
static void tell_other_end(struct hti_link *link)
{
    const struct hti_hello *hello = hti_session_peer(link->session);
    struct hti_cluster *c = link->cluster;
    struct hti_link *other = NULL;

    if (!hello->hardtack || hello->connection_id == 0 ||
        memcmp(hello->instance, c->identity.instance, HTI_INSTANCE_BYTES) !=
            0) {
        return;
    }
    pthread_mutex_lock(&c->lock);
    TAILQ_FOREACH (other, &c->links, entry) {
        if (other->initiated && other->connection_id == hello->connection_id &&
            !other->was_attached) {
            hti_link_ref(other);
            break;
        }
    }
    pthread_mutex_unlock(&c->lock);
    if (other != NULL) {
        link->is_echo = true;
        hti_link_close(other, HT_ESELF);
        hti_link_unref(other);
    }
}

/* The sync block goes out here and not from on_open(): what the session itself
 * has to send in that moment comes first. */
static ht_err leave(struct hti_link *link, ht_err err)
{
    if (err == HT_OK && link->sync_due) {
        link->sync_due = false;
        hti_mirror_sync(link);
        hti_session_synced(link->session);
        check_ready(link);
    }
    if (err == HT_OK) {
        err = link->failed;
    }
    pthread_mutex_unlock(&link->lock);
    if (err == HT_ESELF && !link->initiated) {
        tell_other_end(link);
    }
    return err;
}

static void heard(struct hti_link *link, uint64_t now_ms)
{
    atomic_store_explicit(&link->heard_ms, now_ms, memory_order_relaxed);
}

ht_err hti_link_receive(struct hti_link *link,
                        uint64_t now_ms,
                        const void *data,
                        size_t len)
{
    ht_err err = enter(link, now_ms);

    if (err == HT_OK) {
        heard(link, now_ms);
        err = hti_session_receive(link->session, now_ms, data, len);
    }
    return leave(link, err);
}

size_t hti_link_target(struct hti_link *link, uint8_t **ret_into)
{
    return hti_session_target(link->session, ret_into);
}

ht_err hti_link_filled(struct hti_link *link, uint64_t now_ms, size_t n)
{
    ht_err err = enter(link, now_ms);

    if (err == HT_OK) {
        heard(link, now_ms);
        err = hti_session_filled(link->session, now_ms, n);
    }
    return leave(link, err);
}

ht_err
hti_link_tick(struct hti_link *link, uint64_t now_ms, uint64_t *ret_deadline_ms)
{
    ht_err err = enter(link, now_ms);

    if (err == HT_OK) {
        err = hti_session_tick(link->session, now_ms, ret_deadline_ms);
    }
    return leave(link, err);
}

/* ---- death --------------------------------------------------------------- */

/* A node that has dialled us, found that it is connected to us, and hung up. */
static bool had_second_thoughts(struct hti_link *link, ht_err err)
{
    const struct hti_hello *hello = hti_session_peer(link->session);
    struct hti_cluster *c = link->cluster;
    const struct hti_peer *peer;
    bool yes;

    if (link->initiated || err != HT_ENOCONN || !hello->hardtack) {
        return false;
    }
    pthread_mutex_lock(&c->lock);
    peer = hti_peer_find(c, hello->name);
    yes =
        peer != NULL && !TAILQ_EMPTY(&peer->links) && peer->slot != NULL &&
        memcmp(peer->slot->instance, hello->instance, HTI_INSTANCE_BYTES) == 0;
    pthread_mutex_unlock(&c->lock);
    return yes;
}

static void log_refused(struct hti_link *link, ht_err err, const char *text)
{
    struct hti_cluster *c = link->cluster;
    bool harmless = err == HT_EDUPLICATE || err == HT_ECLOSED ||
                    (err == HT_ESELF && link->initiated) ||
                    had_second_thoughts(link, err);
    char quoted[2][300];
    char line[800];

    snprintf(line, sizeof line, "address=%s initiated=%s err=%s text=%s",
             hti_quote(quoted[0], sizeof quoted[0], link->address,
                       strlen(link->address)),
             link->initiated ? "yes" : "no", ht_errname(err),
             hti_quote(quoted[1], sizeof quoted[1], text, strlen(text)));
    hti_cluster_log_limited(c, &c->log_refused,
                            harmless ? HT_LOG_INFO : HT_LOG_WARN,
                            "HT-NODE-REFUSED", line);
}

/* Out of the list, its target told; the last thing that knows the cluster. */
static void link_end(struct hti_link *link, ht_err err, const char *text)
{
    struct hti_waiters done = TAILQ_HEAD_INITIALIZER(done);
    struct hti_cluster *c = link->cluster;
    uint64_t now_ms = hti_cluster_now_ms(c);
    bool was_dialled, quiet = link->is_echo;

    pthread_mutex_lock(&link->gate);
    link->io_gone = true;
    pthread_mutex_unlock(&link->gate);
    hti_outbox_close(link->outbox);
    pthread_mutex_lock(&c->lock);
    TAILQ_REMOVE(&c->links, link, entry);
    link->listed = false;
    was_dialled = link->dial != NULL;
    if (was_dialled) {
        struct hti_dial *dial = link->dial;

        link->dial = NULL;
        quiet = err == HT_ESELF && dial->said_self;
        dial->said_self = dial->said_self || err == HT_ESELF;
        hti_dial_ended(c, dial, err, text, now_ms, &done);
    }
    pthread_mutex_unlock(&c->lock);
    if (link->session != NULL && !link->attached) {
        if (!quiet) {
            log_refused(link, err, text);
        }
        hti_link_event(link, HT_NODE_DISCONNECTED, err, text);
    }
    hti_waiters_tell(&done);
    c->io->tick_at(c->io_arg, now_ms);
    hti_session_free(link->session);
    link->session = NULL;
    hti_link_unref(link);
}

void hti_link_closed(struct hti_link *link, ht_err why, const char *text)
{
    char words[256];
    ht_err asked;

    pthread_mutex_lock(&link->gate);
    asked = link->close_why;
    pthread_mutex_unlock(&link->gate);
    pthread_mutex_lock(&link->lock);
    if (asked != HT_OK) {
        why = asked;
        text = ht_strerror(asked);
    } else if (why == HT_OK) {
        why = hti_session_end(link->session);
        text = NULL;
    }
    if (text == NULL || text[0] == '\0') {
        text = hti_session_why(link->session);
    }
    snprintf(words, sizeof words, "%s",
             text[0] != '\0' ? text : ht_strerror(why));
    hti_link_detach(link, why, words);
    pthread_mutex_unlock(&link->lock);
    link_end(link, why, words);
}
