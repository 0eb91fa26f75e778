/* SPDX-License-Identifier: Apache-2.0 */
/* order.h - how the worlds of a cluster agree on one order of all messages.
 *
 * The oldest living world leads: it numbers what is said and sends it to the
 * others.  Whenever a world comes or goes, the leader begins an epoch: it
 * collects what everybody has, and nobody takes any more of older epochs; then
 * it starts the epoch with all that anybody had.
 *
 *   FOLLOW --I am the oldest, worlds have changed--> COLLECT
 *   COLLECT --everybody has told, or is gone--> LEAD
 *   LEAD, COLLECT --another begins a later epoch--> FOLLOW
 *
 * What holds:
 *   - An id belongs to one message, everywhere and for ever: epochs have the
 *     name of the world that began them, which numbers alone.
 *   - What anybody was shown, or was told is said, is in two worlds at least,
 * if there are two: the leader shows a message to its own users when all other
 *     worlds have it, and the others show what comes from the leader.  So one
 *     world can die at any time and nothing is lost, nor anything shown twice.
 *   - Users are shown messages in the order of their ids.
 *   - Worlds that could not see each other go on apart, and when they meet both
 *     get what the other has: at its place if that place is still ahead of what
 *     they have shown, else with a new id, under which everybody is shown it.
 *     Who has seen it under its old one knows it by its author and key.
 *
 * Messages may be lost, and arrive late; every one is sent again until it has
 * had its effect.  A world that is connected but does not answer is not waited
 * for after a while.
 *
 * Pure: time, the view of who lives, and messages come in; messages, deliveries
 * and results go out through functions.  Times are milliseconds since 1970.
 */
#ifndef CHAT_ORDER_H
#define CHAT_ORDER_H

#include "examples/chat/world.pb-c.h"
#include "history.h"

#define ORDER_WORLDS_MAX  63   /* besides this one */
#define ORDER_PENDING_MAX 1024 /* said here and not ordered yet */
#define ORDER_WINDOW_MAX  100  /* ordered and not yet with everybody */

struct order_world {
    uint32_t world;   /* its name, not 0 */
    uint64_t born_ms; /* the oldest leads */
};

struct order_calls {
    /* Send step, now; it is lent. Whether it goes is not told. */
    void (*send)(void *arg, uint32_t to, const Chat__Step *step);
    /* This world's users get it; lent. */
    void (*deliver)(void *arg, const struct entry *entry);
    /* What becomes of an order_publish(): HT_OK and its id, or HT_ETIMEDOUT: it
     * is not known whether it was or will be ordered. Once. */
    void (*settled)(void *arg, void *token, ht_err err, struct id id);
};

struct order;

/* Borrows history and calls. NULL: no memory. */
struct order *order_new(struct order_world self,
                        struct history *history,
                        const struct order_calls *calls,
                        void *arg);
/* What is pending is not settled any more. NULL is fine. */
void order_free(struct order *order);

/* Who lives besides this one, which is how it begins and whenever it changes.
 */
void order_view(struct order *order,
                const struct order_world *worlds,
                size_t count,
                uint64_t now_ms);
/* A user of this world says something; its id is none yet.  HT_EBUSY: too much
 * is pending; HT_ENOMEM.  After an error settled() is not called. */
HT_MUSTUSE ht_err order_publish(struct order *order,
                                const Chat__Entry *said,
                                void *token,
                                uint64_t deadline_ms,
                                uint64_t now_ms);
/* A message of another world. */
void order_receive(struct order *order,
                   uint32_t from,
                   const Chat__Step *step,
                   uint64_t now_ms);
/* A quarter of a second or so after the last. */
void order_tick(struct order *order, uint64_t now_ms);

/* Who would lead of those that live, the name of a world. */
uint32_t order_oldest(const struct order *order);
/* Whether messages are ordered now: an epoch was started and its leader lives.
 */
bool order_is_open(const struct order *order);
/* Whether what follows id here is what one has missed who has seen id last.  If
 * not, it comes from worlds that we have not met, or has a new id now: only
 * everything is enough. */
bool order_knows(const struct order *order, struct id id);

#endif /* CHAT_ORDER_H */
