/* SPDX-License-Identifier: Apache-2.0 */
/* verdict.c - which connections are kept, how one enters the tables and how it
 * leaves them.
 *
 * Connections of one incarnation of a node are elected among (election.h).  A
 * newer incarnation replaces an older one at once; an older one is refused, so
 * that two nodes with one name do not take turns.
 */
#include <stdio.h>
#include <string.h>

#include "cluster/internal.h"

/* More connections to one node than this are never open at once. */
#define CANDIDATES_MAX 16

struct rivals {
    struct hti_link *links[CANDIDATES_MAX];
    struct hti_candidate candidates[CANDIDATES_MAX];
    size_t count;
};

static void add(struct rivals *r, struct hti_link *link, uint64_t id)
{
    r->links[r->count] = link;
    r->candidates[r->count].initiated = link->initiated;
    r->candidates[r->count].connection_id = id;
    r->candidates[r->count].order = link->order;
    r->count++;
}

static uint64_t election_id(const struct hti_link *link,
                            const struct hti_hello *hello)
{
    return link->initiated ? link->connection_id : hello->connection_id;
}

/* The attached ones and, last, the newcomer. */
static void gather(struct rivals *r,
                   struct hti_peer *peer,
                   struct hti_link *newcomer,
                   const struct hti_hello *hello)
{
    struct hti_link *link;

    r->count = 0;
    TAILQ_FOREACH (link, &peer->links, peer_entry) {
        if (r->count < CANDIDATES_MAX - 1) {
            add(r, link, link->election_id);
        }
    }
    add(r, newcomer, election_id(newcomer, hello));
}

/* Whether the name is a Hardtack node's, now or for good.  Between the moment
 * that a ractor node gives it and the one that it has proved its cookie, the
 * Hardtack node may have come. */
static bool is_taken_from_ractor(const struct hti_peer *peer)
{
    const struct hti_link *link;

    if (peer->hardtack) {
        return true;
    }
    TAILQ_FOREACH (link, &peer->links, peer_entry) {
        if (link->hardtack) {
            return true;
        }
    }
    return false;
}

enum lives {
    LIFE_SAME,
    LIFE_NEWER,
    LIFE_OLDER,
    LIFE_REAL,  /* a Hardtack node, whose name a ractor node bears */
    LIFE_CLAIM, /* a ractor node, and the name is a Hardtack node's */
};

/* Of the newcomer, against the one that is connected. */
static enum lives compare_lives(const struct hti_peer *peer,
                                const struct hti_hello *hello)
{
    const struct hti_link *link = TAILQ_FIRST(&peer->links);
    const struct hti_node_slot *slot = peer->slot;

    if (!hello->hardtack) {
        return is_taken_from_ractor(peer) ? LIFE_CLAIM : LIFE_SAME;
    }
    if (link != NULL && !link->hardtack) {
        return LIFE_REAL;
    }
    if (link == NULL || slot == NULL ||
        memcmp(slot->instance, hello->instance, HTI_INSTANCE_BYTES) == 0) {
        return LIFE_SAME;
    }
    if (hello->incarnation != slot->incarnation) {
        return hello->incarnation > slot->incarnation ? LIFE_NEWER : LIFE_OLDER;
    }
    return memcmp(hello->instance, slot->instance, HTI_INSTANCE_BYTES) > 0
               ? LIFE_NEWER
               : LIFE_OLDER;
}

/* ---- before anything is proved ------------------------------------------- */

/* The handle of the node whose other connection is kept; 0: a ractor node. */
static uint64_t winner_of(const struct rivals *r)
{
    for (size_t i = 0; i < r->count; i++) {
        if (r->candidates[i].survives && r->links[i]->hardtack) {
            return r->links[i]->handle;
        }
    }
    return 0;
}

enum hti_verdict
hti_verdict_on_name(void *arg, const struct hti_hello *hello, ht_err *ret_why)
{
    struct hti_link *link = arg;
    struct hti_cluster *c = link->cluster;
    enum hti_verdict verdict = HTI_VERDICT_OK;
    uint64_t winner = 0;
    struct hti_peer *peer;
    struct rivals r;

    pthread_mutex_lock(&c->lock);
    peer = hti_peer_find(c, hello->name);
    if (c->stopping) {
        *ret_why = HT_ECLOSED;
        verdict = HTI_VERDICT_NOT_OK;
    } else if (peer != NULL && !TAILQ_EMPTY(&peer->links)) {
        switch (compare_lives(peer, hello)) {
        case LIFE_NEWER:
        case LIFE_REAL:
            verdict = HTI_VERDICT_OK_SIMULTANEOUS;
            break;
        case LIFE_CLAIM:
            *ret_why = HT_EDENIED;
            verdict = HTI_VERDICT_NOT_OK;
            break;
        case LIFE_OLDER:
            *ret_why = HT_EEXIST;
            verdict = HTI_VERDICT_NOT_OK;
            break;
        case LIFE_SAME:
            gather(&r, peer, link, hello);
            switch (hti_elect_newcomer(c->name, peer->name, r.candidates,
                                       r.count, r.count - 1)) {
            case HTI_ELECTION_ALONE:
                break;
            case HTI_ELECTION_DISPLACES:
                verdict = HTI_VERDICT_OK_SIMULTANEOUS;
                break;
            case HTI_ELECTION_LOSES:
                *ret_why = HT_EDUPLICATE;
                verdict = HTI_VERDICT_NOT_OK;
                winner = winner_of(&r);
                break;
            }
            break;
        }
    }
    pthread_mutex_unlock(&c->lock);
    /* By the connection that is proved: the refusal itself says neither by whom
     * nor what else there is. */
    if (winner != 0) {
        hti_extension_duplicate(c, winner, hello->connection_id);
    }
    return verdict;
}

/* Whether bytes came lately: it is no half-dead one. */
static bool is_fresh(const struct hti_link *link, uint64_t now_ms)
{
    const struct hti_cluster_config *config = &link->cluster->config;
    uint64_t heard_ms =
        atomic_load_explicit(&link->heard_ms, memory_order_relaxed);
    uint64_t limit_ms = 2 * (uint64_t)config->heartbeat_ms;

    return now_ms <= heard_ms || now_ms - heard_ms <= limit_ms;
}

/* Whether we have a good link to the node that we have dialled once more, and
 * so stay with that, whatever the election would say: what is under way on it
 * would be lost with it.  Whoever is asked the same in that moment says the
 * same, or has not seen that link yet and has sent its proof; so one is kept.
 *
 * Only where the protection below has proved who answers: a stranger at a
 * node's address must not make us believe that it was met. */
static bool is_superfluous(struct hti_cluster *c,
                           struct hti_link *link,
                           const struct hti_hello *hello)
{
    const struct hti_peer *peer = hti_peer_find(c, hello->name);
    const struct hti_link *other;

    if (!link->initiated || link->dial == NULL || !hello->hardtack ||
        link->mode == HTI_MODE_NONE || peer == NULL || peer->slot == NULL ||
        memcmp(peer->slot->instance, hello->instance, HTI_INSTANCE_BYTES) !=
            0) {
        return false;
    }
    TAILQ_FOREACH (other, &peer->links, peer_entry) {
        if (other->hardtack && other->is_ready &&
            is_fresh(other, link->now_ms) &&
            hti_dial_allows(link->dial, other)) {
            memcpy(link->dial->peer_name, hello->name, sizeof hello->name);
            return true;
        }
    }
    return false;
}

ht_err hti_verdict_check_peer(void *arg, const struct hti_hello *hello)
{
    struct hti_link *link = arg;
    struct hti_cluster *c = link->cluster;
    const struct hti_peer *peer;
    bool pinned;
    ht_err err = HT_OK;

    pthread_mutex_lock(&c->lock);
    peer = hti_peer_find(c, hello->name);
    pinned = peer != NULL && peer->hardtack;
    pthread_mutex_unlock(&c->lock);
    /* Whoever strips our fields from a Hardtack node's messages must not get
     * its weaker ractor self instead. */
    if (pinned && !hello->hardtack) {
        return HT_EDENIED;
    }
    if (link->mode == HTI_MODE_TLS && link->io->cert_matches != NULL &&
        !link->io->cert_matches(link->io_arg, hello->name, hello->hardtack)) {
        return HT_EAUTH;
    }
    pthread_mutex_lock(&c->lock);
    if (is_superfluous(c, link, hello)) {
        err = HT_EDUPLICATE;
    }
    pthread_mutex_unlock(&c->lock);
    return err;
}

/* A relay that hands our own challenge back wants the answer that it cannot
 * make.  That is worth something to it only as long as the link lives on which
 * we have issued it, so that is where it is kept: nothing that others do makes
 * us forget it. */
ht_err hti_verdict_check_challenge(void *arg, uint32_t challenge, bool issued)
{
    struct hti_link *link = arg;
    struct hti_cluster *c = link->cluster;
    const struct hti_link *other;
    ht_err err = HT_OK;

    pthread_mutex_lock(&c->lock);
    if (issued) {
        link->challenge = challenge;
        link->has_challenge = true;
    } else {
        TAILQ_FOREACH (other, &c->links, entry) {
            if (other->has_challenge && other->challenge == challenge) {
                err = HT_EDENIED;
                break;
            }
        }
    }
    pthread_mutex_unlock(&c->lock);
    return err;
}

/* ---- both sides are proved ----------------------------------------------- */

/* Who must go for the newcomer to stay, or why it may not. */
static ht_err judge(struct hti_cluster *c,
                    struct hti_peer *peer,
                    struct hti_link *link,
                    const struct hti_hello *hello,
                    struct rivals *r)
{
    enum lives life = compare_lives(peer, hello);

    gather(r, peer, link, hello);
    switch (life) {
    case LIFE_OLDER:
        return HT_EEXIST;
    case LIFE_CLAIM:
        return HT_EDENIED;
    case LIFE_NEWER:
    case LIFE_REAL:
        for (size_t i = 0; i < r->count - 1; i++) {
            r->candidates[i].survives = false;
        }
        return HT_OK;
    case LIFE_SAME:
        break;
    }
    hti_elect(c->name, peer->name, r->candidates, r->count);
    return r->candidates[r->count - 1].survives ? HT_OK : HT_EDUPLICATE;
}

static ht_err take_slot(struct hti_cluster *c,
                        struct hti_peer *peer,
                        const struct hti_hello *hello,
                        struct hti_node_slot **ret_slot)
{
    struct hti_node_slot *slot;

    if (!hello->hardtack) {
        slot = hti_slots_take(&c->slots, NULL);
        if (slot == NULL) {
            return HT_EBUSY;
        }
        hti_slots_meet(&c->slots, slot, peer, 0);
        *ret_slot = slot;
        return HT_OK;
    }
    slot = hti_slots_find(&c->slots, hello->instance);
    if (slot == NULL) {
        slot = hti_slots_take(&c->slots, hello->instance);
    }
    if (slot == NULL) {
        return HT_EBUSY;
    }
    /* An instance id belongs to one name; else a peer could have refs to
     * another node lead to itself. */
    if ((slot->peer != NULL && slot->peer != peer) || slot->link != NULL) {
        return HT_EDENIED;
    }
    if (peer->slot != NULL && peer->slot != slot) {
        hti_slots_retire(&c->slots, peer->slot);
    }
    hti_slots_meet(&c->slots, slot, peer, hello->incarnation);
    peer->slot = slot;
    *ret_slot = slot;
    return HT_OK;
}

/* How much the peer takes of one message, and with that how it is sent. */
static void set_limits(struct hti_link *link, const struct hti_hello *hello)
{
    const uint32_t usual = HTI_FRAME_BYTES_MAX;
    uint64_t frame_max = hello->frame_max != 0 ? hello->frame_max : usual;
    uint64_t message_max = hello->message_max;

    link->payload_max = frame_max;
    if (!hello->hardtack || (hello->capabilities & HTI_CAP_FRAGMENTS) == 0 ||
        frame_max < HTI_FRAGMENT_BYTES + HTI_FRAGMENT_HEAD_MAX ||
        message_max <= frame_max) {
        return;
    }
    link->payload_max = message_max;
    /* The peer takes no more than twice that of unfinished messages. */
    hti_outbox_fragment(
        link->outbox, frame_max < HTI_WHOLE_BYTES ? frame_max : HTI_WHOLE_BYTES,
        message_max <= UINT64_MAX / 2 ? 2 * message_max : UINT64_MAX);
}

static ht_err attach(struct hti_cluster *c,
                     struct hti_peer *peer,
                     struct hti_link *link,
                     const struct hti_hello *hello)
{
    struct hti_route route = {.hardtack = hello->hardtack};
    struct hti_node_slot *slot;
    ht_err err = take_slot(c, peer, hello, &slot);

    if (err != HT_OK) {
        return err;
    }
    link->hardtack = hello->hardtack;
    link->hidden = (hello->flags & HTI_HELLO_HIDDEN) != 0;
    set_limits(link, hello);
    link->handle = hti_slot_handle(slot);
    link->election_id = election_id(link, hello);
    link->incarnation = hello->incarnation;
    link->since_ms = link->now_ms;
    memcpy(link->name, hello->name, sizeof link->name);
    memcpy(link->connection_string, hello->connection_string,
           sizeof link->connection_string);
    link->peer = peer;
    link->was_attached = true;
    TAILQ_INSERT_TAIL(&peer->links, link, peer_entry);
    if (link->hardtack && !link->hidden) {
        peer->hardtack = true;
    }
    route.outbox = hti_outbox_ref(link->outbox);
    route.payload_max = link->payload_max;
    hti_slots_set_route(slot, link, &route);
    link->attached = true;
    link->sync_due = true;
    hti_dials_attached(c, link, link->now_ms);
    return HT_OK;
}

static void displace(struct hti_link *loser, ht_err why)
{
    const char *text =
        why == HT_ENODEDOWN ? "node was started again" : ht_strerror(why);

    pthread_mutex_lock(&loser->lock);
    hti_link_detach(loser, why, text);
    pthread_mutex_unlock(&loser->lock);
    hti_link_close(loser, why);
    hti_link_unref(loser);
}

/* One round under the lock: HT_OK and nobody in losers[] means attached. */
static ht_err open_round(struct hti_cluster *c,
                         struct hti_link *link,
                         const struct hti_hello *hello,
                         struct hti_link **losers,
                         size_t *ret_count,
                         ht_err *ret_why)
{
    struct hti_peer *peer;
    enum lives life;
    struct rivals r;
    ht_err err;

    *ret_count = 0;
    if (c->stopping) {
        return HT_ECLOSED;
    }
    peer = hti_peer_get(c, hello->name, hello->hardtack);
    if (peer == NULL) {
        return HT_EBUSY;
    }
    life = compare_lives(peer, hello);
    *ret_why = life == LIFE_NEWER  ? HT_ENODEDOWN
               : life == LIFE_REAL ? HT_EDENIED
                                   : HT_EDUPLICATE;
    err = judge(c, peer, link, hello, &r);
    for (size_t i = 0; err == HT_OK && i < r.count - 1; i++) {
        if (!r.candidates[i].survives) {
            losers[(*ret_count)++] = hti_link_ref(r.links[i]);
        }
    }
    if (err == HT_OK && *ret_count == 0) {
        err = attach(c, peer, link, hello);
    }
    if (err == HT_EDUPLICATE && link->dial != NULL) {
        memcpy(link->dial->peer_name, hello->name, sizeof hello->name);
    }
    if (err != HT_OK) {
        hti_peer_forget(c, peer);
    }
    return err;
}

static const char *auth_words(const struct hti_link *link)
{
    return link->admin ? "admin" : link->hardtack ? "hardtack" : "ractor";
}

static void log_up(struct hti_link *link)
{
    char quoted[2][300];

    hti_log(
        hti_rt_log(link->cluster->node), HT_LOG_INFO, "HT-NODE-UP",
        "name=%s address=%s auth=%s initiated=%s incarnation=%llu",
        hti_quote(quoted[0], sizeof quoted[0], link->name, strlen(link->name)),
        hti_quote(quoted[1], sizeof quoted[1], link->address,
                  strlen(link->address)),
        auth_words(link), link->initiated ? "yes" : "no",
        (unsigned long long)link->incarnation);
}

ht_err hti_verdict_on_open(void *arg, const struct hti_hello *hello)
{
    struct hti_link *link = arg;
    struct hti_cluster *c = link->cluster;
    struct hti_link *losers[CANDIDATES_MAX];
    ht_err err, why = HT_OK;
    size_t count;

    /* Losers leave before the winner enters: what is told of their node's end
     * must come before what the winner tells of it.  Others may come
     * meanwhile, so judge again. */
    do {
        pthread_mutex_lock(&c->lock);
        err = open_round(c, link, hello, losers, &count, &why);
        pthread_mutex_unlock(&c->lock);
        for (size_t i = 0; i < count; i++) {
            displace(losers[i], why);
        }
    } while (err == HT_OK && count > 0);
    if (err != HT_OK) {
        return err;
    }
    log_up(link);
    hti_link_event(link, HT_NODE_AUTHENTICATED, HT_OK, "");
    return HT_OK;
}

/* ---- leaving ------------------------------------------------------------- */

void hti_writables_tell(struct hti_cluster *c, struct hti_writables *list)
{
    struct hti_writable *w;

    while ((w = TAILQ_FIRST(list)) != NULL) {
        TAILQ_REMOVE(list, w, entry);
        hti_rt_writable(c->node, w->ref, w->pid);
        hti_free(w);
    }
}

static void leave_tables(struct hti_cluster *c,
                         struct hti_link *link,
                         ht_err err,
                         const char *text,
                         struct hti_writables *writables,
                         struct hti_waiters *done)
{
    struct hti_node_slot *slot = hti_slots_get(&c->slots, link->handle);
    struct hti_peer *peer = link->peer;

    TAILQ_REMOVE(&peer->links, link, peer_entry);
    link->peer = NULL;
    link->is_ready = false;
    TAILQ_CONCAT(writables, &link->writables, entry);
    link->writables_count = 0;
    atomic_store_explicit(&link->has_writables, false, memory_order_relaxed);
    if (slot != NULL) {
        hti_slots_clear_route(slot, link);
        if ((!link->hardtack || link->hidden) && slot->link == NULL) {
            if (peer->slot == slot) {
                peer->slot = NULL;
            }
            hti_slots_retire(&c->slots, slot);
        }
    }
    if (TAILQ_EMPTY(&peer->links)) {
        hti_dials_lost(c, link->name, err, text, hti_cluster_now_ms(c), done);
        hti_peer_forget(c, peer);
    }
}

static void log_down(struct hti_link *link, ht_err err, const char *text)
{
    char quoted[3][300];

    hti_log(
        hti_rt_log(link->cluster->node), HT_LOG_INFO, "HT-NODE-DOWN",
        "name=%s address=%s err=%s text=%s",
        hti_quote(quoted[0], sizeof quoted[0], link->name, strlen(link->name)),
        hti_quote(quoted[1], sizeof quoted[1], link->address,
                  strlen(link->address)),
        ht_errname(err),
        hti_quote(quoted[2], sizeof quoted[2], text, strlen(text)));
}

void hti_link_detach(struct hti_link *link, ht_err err, const char *text)
{
    struct hti_writables writables = TAILQ_HEAD_INITIALIZER(writables);
    struct hti_waiters done = TAILQ_HEAD_INITIALIZER(done);
    struct hti_cluster *c = link->cluster;

    if (!link->attached || link->detached) {
        return;
    }
    link->detached = true;
    /* In this order.  No push succeeds any more; then nobody finds the way;
     * then every call that was pushed is failed, and none can follow. */
    hti_outbox_close(link->outbox);
    hti_mirror_remove(link);
    pthread_mutex_lock(&c->lock);
    leave_tables(c, link, err, text, &writables, &done);
    pthread_mutex_unlock(&c->lock);
    hti_rt_node_down(c->node, link->handle, HT_ENODEDOWN);
    hti_writables_tell(c, &writables);
    log_down(link, err, text);
    hti_link_event(link, HT_NODE_DISCONNECTED, err, text);
    hti_waiters_tell(&done);
    c->io->tick_at(c->io_arg, hti_cluster_now_ms(c));
}
