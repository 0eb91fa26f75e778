/* SPDX-License-Identifier: Apache-2.0 */
/* targets.c - what is to be dialled, when, and who waits for it.
 *
 *   WAITING --due--> DIALLING --stream up--> LINKED --lost--> WAITING
 *      |                 |                      |
 *      |                 '-------failed---------+--> WAITING
 *      '--its node came by another link--> MET --lost--> WAITING
 *
 * A connection that loses the election leads to MET while the winner lives, and
 * is no failure.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cluster/internal.h"

#define HANDSHAKE_MS 5000
/* Attempts in a row at a node that a peer told us of, before it is given up:
 * three quarters of an hour with the usual times. */
#define TRANSITIVE_FAILED_MAX 100

static char *copy_text(const char *text)
{
    return text == NULL ? NULL : strdup(text);
}

static bool fits(const char *text)
{
    return text == NULL || strlen(text) <= HTI_NAME_BYTES_MAX;
}

ht_err hti_dial_new(struct hti_cluster *c,
                    const struct hti_target *target,
                    uint64_t now_ms,
                    struct hti_dial **ret_dial)
{
    struct hti_dial *dial;

    if (target->address == NULL || target->address[0] == '\0' ||
        !fits(target->address) || !fits(target->name) ||
        !fits(target->server_name)) {
        return HT_EINVAL;
    }
    if (c->dials_count >= HTI_TARGETS_MAX) {
        return HT_EBUSY;
    }
    dial = calloc(1, sizeof *dial);
    if (dial == NULL) {
        return HT_ENOMEM;
    }
    dial->address = copy_text(target->address);
    dial->name = copy_text(target->name);
    dial->server_name = copy_text(target->server_name);
    if (dial->address == NULL || (target->name != NULL && dial->name == NULL) ||
        (target->server_name != NULL && dial->server_name == NULL)) {
        free(dial->address);
        free(dial->name);
        free(dial->server_name);
        free(dial);
        return HT_ENOMEM;
    }
    dial->encryption = target->encryption;
    dial->any_peer = target->any_peer;
    dial->admin = target->admin;
    dial->due_ms = now_ms;
    dial->since_ms = now_ms;
    hti_redial_init(&dial->redial, c->config.redial_min_ms,
                    c->config.redial_max_ms);
    TAILQ_INIT(&dial->waiters);
    TAILQ_INSERT_TAIL(&c->dials, dial, entry);
    c->dials_count++;
    *ret_dial = dial;
    return HT_OK;
}

void hti_waiter_done(struct hti_waiters *from,
                     struct hti_waiter *waiter,
                     ht_err err,
                     const char *text,
                     struct hti_waiters *done)
{
    TAILQ_REMOVE(from, waiter, entry);
    waiter->err = err;
    snprintf(waiter->text, sizeof waiter->text, "%s", text);
    TAILQ_INSERT_TAIL(done, waiter, entry);
}

static void waiters_done(struct hti_dial *dial,
                         ht_err err,
                         const char *text,
                         struct hti_waiters *done)
{
    while (!TAILQ_EMPTY(&dial->waiters)) {
        hti_waiter_done(&dial->waiters, TAILQ_FIRST(&dial->waiters), err, text,
                        done);
    }
}

void hti_waiters_tell(struct hti_waiters *done)
{
    struct hti_waiter *waiter;

    while ((waiter = TAILQ_FIRST(done)) != NULL) {
        TAILQ_REMOVE(done, waiter, entry);
        waiter->on_result(waiter->arg, waiter->err, waiter->text);
        free(waiter);
    }
}

void hti_dial_free(struct hti_cluster *c,
                   struct hti_dial *dial,
                   ht_err err,
                   struct hti_waiters *done)
{
    waiters_done(dial, err, ht_strerror(err), done);
    if (dial->link != NULL) {
        dial->link->dial = NULL;
    }
    if (dial->transitive) {
        c->transitive_count--;
    }
    TAILQ_REMOVE(&c->dials, dial, entry);
    c->dials_count--;
    free(dial->address);
    free(dial->name);
    free(dial->server_name);
    free(dial);
}

static bool same_text(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

/* Whoever asks for another policy is not served by what was asked for before.
 */
struct hti_dial *hti_dial_find(struct hti_cluster *c,
                               const struct hti_target *target)
{
    struct hti_dial *dial;

    TAILQ_FOREACH (dial, &c->dials, entry) {
        if (same_text(dial->address, target->address) &&
            same_text(dial->name, target->name) &&
            same_text(dial->server_name, target->server_name) &&
            dial->encryption == target->encryption &&
            dial->any_peer == target->any_peer &&
            dial->admin == target->admin) {
            return dial;
        }
    }
    return NULL;
}

struct hti_dial *hti_dial_by_id(struct hti_cluster *c, uint64_t dial_id)
{
    struct hti_dial *dial;

    TAILQ_FOREACH (dial, &c->dials, entry) {
        if (dial->state == HTI_TARGET_DIALLING && dial->dial_id == dial_id) {
            return dial;
        }
    }
    return NULL;
}

const char *hti_dial_peer_name(const struct hti_dial *dial)
{
    return dial->name != NULL ? dial->name : dial->peer_name;
}

/* A target that asks for encryption is not met by a plain link that the other
 * side has made, nor one that is for Hardtack nodes by a ractor node. */
bool hti_dial_allows(const struct hti_dial *dial, const struct hti_link *link)
{
    if (!link->hardtack && !dial->any_peer) {
        return false;
    }
    switch (dial->encryption) {
    case HT_ENCRYPT_NONE:
        return true;
    case HT_ENCRYPT_TLS:
        return link->mode == HTI_MODE_TLS;
    case HT_ENCRYPT_DEFAULT:
    case HT_ENCRYPT_COOKIE:
        break;
    }
    /* A ractor node cannot have a cookie's encryption. */
    return link->hardtack && link->mode != HTI_MODE_NONE;
}

/* A connection string is what a peer says of itself.  A Hardtack node has the
 * cookie that says who belongs; a ractor node's claim is no ground for not
 * dialling the address it names. */
bool hti_dial_is_met_by(const struct hti_dial *dial,
                        const struct hti_link *link)
{
    const char *name = hti_dial_peer_name(dial);

    if (link->peer == NULL) {
        return false;
    }
    if (link->dial == dial) {
        return true;
    }
    if (!hti_dial_allows(dial, link)) {
        return false;
    }
    if (name[0] != '\0') {
        return strcmp(name, link->name) == 0;
    }
    return link->hardtack &&
           strcmp(dial->address, link->connection_string) == 0;
}

static void
set_state(struct hti_dial *dial, enum hti_target_state state, uint64_t now_ms)
{
    dial->state = state;
    dial->since_ms = now_ms;
}

static void
set_deadlines(struct hti_cluster *c, struct hti_dial *dial, uint64_t now_ms)
{
    struct hti_waiter *waiter;
    uint32_t ms = c->config.handshake_ms;

    if (ms == 0 || ms == HT_INFINITE) {
        ms = HANDSHAKE_MS;
    }
    TAILQ_FOREACH (waiter, &dial->waiters, entry) {
        if (waiter->deadline_ms == UINT64_MAX) {
            waiter->deadline_ms = now_ms + ms;
        }
    }
}

struct hti_link *hti_dial_find_link(struct hti_cluster *c,
                                    const struct hti_dial *dial)
{
    struct hti_link *link;

    TAILQ_FOREACH (link, &c->links, entry) {
        if (hti_dial_is_met_by(dial, link)) {
            return link;
        }
    }
    return NULL;
}

static void
wait_again(struct hti_cluster *c, struct hti_dial *dial, uint64_t now_ms)
{
    set_state(dial, HTI_TARGET_WAITING, now_ms);
    dial->due_ms =
        now_ms + hti_redial_next(&dial->redial, hti_cluster_random(c));
}

/* Its node is connected by that link. */
static void met(struct hti_cluster *c,
                struct hti_dial *dial,
                const struct hti_link *link,
                uint64_t now_ms,
                struct hti_waiters *done)
{
    memcpy(dial->peer_name, link->name, sizeof dial->peer_name);
    dial->last_err = HT_OK;
    dial->last_text[0] = '\0';
    set_state(dial, HTI_TARGET_MET, now_ms);
    if (link->is_ready) {
        dial->on_trial = false;
        waiters_done(dial, HT_OK, "", done);
    } else {
        set_deadlines(c, dial, now_ms);
    }
}

/* A ractor node refused us because it has another connection, and one that
 * claims its address is ready: good enough to tell whoever waits, not to stop
 * dialling. */
static bool is_answered_by(const struct hti_dial *dial,
                           const struct hti_link *link)
{
    return dial->last_err == HT_EDUPLICATE && link->peer != NULL &&
           link->is_ready && !link->hardtack && hti_dial_allows(dial, link) &&
           hti_dial_peer_name(dial)[0] == '\0' &&
           strcmp(dial->address, link->connection_string) == 0;
}

/* The peer keeps another connection that we do not see, yet or any more.
 * Whoever waits may still have what it wants in a moment. */
static void duplicate(struct hti_cluster *c,
                      struct hti_dial *dial,
                      uint64_t now_ms,
                      struct hti_waiters *done)
{
    const struct hti_link *link;

    set_deadlines(c, dial, now_ms);
    wait_again(c, dial, now_ms);
    TAILQ_FOREACH (link, &c->links, entry) {
        if (is_answered_by(dial, link)) {
            dial->on_trial = false;
            waiters_done(dial, HT_OK, "", done);
            break;
        }
    }
}

void hti_dial_ended(struct hti_cluster *c,
                    struct hti_dial *dial,
                    ht_err err,
                    const char *text,
                    uint64_t now_ms,
                    struct hti_waiters *done)
{
    const struct hti_link *other;

    dial->link = NULL;
    dial->last_err = err;
    snprintf(dial->last_text, sizeof dial->last_text, "%s", text);
    other = hti_dial_find_link(c, dial);
    if (other != NULL) {
        met(c, dial, other, now_ms, done);
        return;
    }
    if (err == HT_EDUPLICATE) {
        duplicate(c, dial, now_ms, done);
        return;
    }
    waiters_done(dial, err, text, done);
    dial->failed++;
    if (dial->once || dial->on_trial ||
        (dial->transitive && dial->failed >= TRANSITIVE_FAILED_MAX)) {
        hti_dial_free(c, dial, err, done);
        return;
    }
    /* A list of seeds that all nodes share names each of them, too: quietly.
     * But nothing is proved by who says so, hence not for ever. */
    if (err == HT_ESELF) {
        hti_redial_slow(&dial->redial);
    }
    wait_again(c, dial, now_ms);
}

void hti_dials_elected_away(struct hti_cluster *c,
                            const struct hti_link *winner,
                            uint64_t connection_id,
                            uint64_t now_ms,
                            struct hti_waiters *done)
{
    struct hti_dial *dial;

    TAILQ_FOREACH (dial, &c->dials, entry) {
        if (dial->connection_id == connection_id) {
            break;
        }
    }
    if (dial == NULL || winner->peer == NULL ||
        !hti_dial_allows(dial, winner) ||
        (dial->name != NULL && strcmp(dial->name, winner->name) != 0)) {
        return;
    }
    if (dial->state == HTI_TARGET_LINKED && dial->link != NULL &&
        dial->link->peer == NULL) {
        /* Its end is on the way, and finds the winner by this. */
        memcpy(dial->peer_name, winner->name, sizeof dial->peer_name);
    } else if (dial->state == HTI_TARGET_WAITING &&
               dial->last_err == HT_EDUPLICATE) {
        met(c, dial, winner, now_ms, done);
    }
}

void hti_dials_attached(struct hti_cluster *c,
                        struct hti_link *link,
                        uint64_t now_ms)
{
    struct hti_dial *dial;

    TAILQ_FOREACH (dial, &c->dials, entry) {
        if (!hti_dial_is_met_by(dial, link)) {
            continue;
        }
        memcpy(dial->peer_name, link->name, sizeof dial->peer_name);
        dial->last_err = HT_OK;
        dial->last_text[0] = '\0';
        set_deadlines(c, dial, now_ms);
        if (dial->state == HTI_TARGET_WAITING) {
            set_state(dial, HTI_TARGET_MET, now_ms);
        }
    }
}

void hti_dials_ready(struct hti_cluster *c,
                     struct hti_link *link,
                     struct hti_waiters *done)
{
    struct hti_dial *dial;

    TAILQ_FOREACH (dial, &c->dials, entry) {
        if (hti_dial_is_met_by(dial, link)) {
            dial->on_trial = false;
            dial->failed = 0;
            hti_redial_reset(&dial->redial);
            waiters_done(dial, HT_OK, "", done);
        } else if (is_answered_by(dial, link)) {
            dial->on_trial = false;
            waiters_done(dial, HT_OK, "", done);
        }
    }
}

void hti_dials_lost(struct hti_cluster *c,
                    const char *name,
                    ht_err err,
                    const char *text,
                    uint64_t now_ms,
                    struct hti_waiters *done)
{
    struct hti_dial *dial = TAILQ_FIRST(&c->dials);

    while (dial != NULL) {
        struct hti_dial *next = TAILQ_NEXT(dial, entry);

        if (dial->state == HTI_TARGET_MET &&
            strcmp(dial->peer_name, name) == 0) {
            dial->last_err = err;
            snprintf(dial->last_text, sizeof dial->last_text, "%s", text);
            /* Lost to a better connection, which is about to be there. */
            if (err == HT_EDUPLICATE || err == HT_ENODEDOWN) {
                wait_again(c, dial, now_ms);
                dial = next;
                continue;
            }
            waiters_done(dial, err, text, done);
            if (dial->once || dial->on_trial) {
                hti_dial_free(c, dial, err, done);
            } else {
                wait_again(c, dial, now_ms);
            }
        }
        dial = next;
    }
}

static void expire_waiters(struct hti_dial *dial,
                           uint64_t now_ms,
                           uint64_t *next_ms,
                           struct hti_waiters *done)
{
    struct hti_waiter *waiter = TAILQ_FIRST(&dial->waiters);

    while (waiter != NULL) {
        struct hti_waiter *next = TAILQ_NEXT(waiter, entry);

        if (waiter->deadline_ms <= now_ms) {
            ht_err err =
                dial->last_err != HT_OK ? dial->last_err : HT_ETIMEDOUT;

            hti_waiter_done(&dial->waiters, waiter, err,
                            dial->last_err != HT_OK ? dial->last_text
                                                    : "peer did not get ready",
                            done);
        } else if (waiter->deadline_ms < *next_ms) {
            *next_ms = waiter->deadline_ms;
        }
        waiter = next;
    }
}

uint64_t hti_dials_expire(struct hti_cluster *c,
                          uint64_t now_ms,
                          struct hti_waiters *done)
{
    struct hti_dial *dial = TAILQ_FIRST(&c->dials);
    uint64_t next_ms = UINT64_MAX;

    while (dial != NULL) {
        struct hti_dial *next = TAILQ_NEXT(dial, entry);
        bool waited = !TAILQ_EMPTY(&dial->waiters);

        expire_waiters(dial, now_ms, &next_ms, done);
        if (waited && TAILQ_EMPTY(&dial->waiters) && dial->on_trial &&
            dial->state == HTI_TARGET_WAITING) {
            hti_dial_free(c, dial, HT_ETIMEDOUT, done);
        } else if (dial->state == HTI_TARGET_WAITING &&
                   dial->due_ms < next_ms) {
            next_ms = dial->due_ms;
        }
        dial = next;
    }
    return next_ms;
}

static const char *copy_into(char buf[HTI_NAME_BUF], const char *text)
{
    if (text == NULL) {
        return NULL;
    }
    snprintf(buf, HTI_NAME_BUF, "%s", text);
    return buf;
}

bool hti_dials_next(struct hti_cluster *c,
                    uint64_t now_ms,
                    struct hti_dial_copy *ret)
{
    struct hti_dial *dial;

    if (c->stopping) {
        return false;
    }
    TAILQ_FOREACH (dial, &c->dials, entry) {
        if (dial->state == HTI_TARGET_WAITING && dial->due_ms <= now_ms) {
            break;
        }
    }
    if (dial == NULL) {
        return false;
    }
    set_state(dial, HTI_TARGET_DIALLING, now_ms);
    dial->dial_id = ++c->next_dial;
    ret->dial_id = dial->dial_id;
    ret->target.address = copy_into(ret->address, dial->address);
    ret->target.name = copy_into(ret->name, dial->name);
    ret->target.server_name = copy_into(ret->server_name, dial->server_name);
    ret->target.encryption = dial->encryption;
    ret->target.any_peer = dial->any_peer;
    ret->target.admin = dial->admin;
    return true;
}
