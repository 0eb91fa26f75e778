/* SPDX-License-Identifier: Apache-2.0 */
/* order_internal.h - what order.c and its parts share. */
#ifndef CHAT_ORDER_INTERNAL_H
#define CHAT_ORDER_INTERNAL_H

#include "order.h"

/* No epoch that there will be; with room to count on. */
#define EPOCH_MAX (UINT64_C(1) << 62)
/* Sent again after this, if it seems to be lost. */
#define AGAIN_MS 500
/* The whole history again. */
#define START_AGAIN_MS 2000
/* A world that does not answer for so long is not waited for. */
#define PATIENCE_MS 3000
/* The oldest takes the lead if it hears nothing of who else has it. */
#define QUIET_MS 2000
/* A new world waits so long for others before it leads alone. */
#define ALONE_MS 2000
/* At once, of a world that lags. */
#define RESEND_MAX 100

struct peer {
    struct order_world who;
    Chat__Step *collected; /* what it has; COLLECT only */
    bool told;         /* what it has, when this epoch was made; LEAD only */
    bool started;      /* it has the epoch's beginning; LEAD only */
    uint64_t acked;    /* and its messages up to this one */
    uint64_t waits_ms; /* since when it owes us an answer; 0: it does not */
    bool lags;         /* for so long that it is not waited for */
    uint64_t sent_ms;  /* of what it did not answer yet */
};

struct pending {
    TAILQ_ENTRY(pending) entry;
    void *token;
    uint64_t deadline_ms;
    uint64_t sent_ms;
    Chat__Entry *said; /* ours, packed and unpacked */
};

enum order_state { ORDER_FOLLOW, ORDER_COLLECT, ORDER_LEAD };

struct order {
    struct order_world self;
    struct history *history;
    const struct order_calls *calls;
    void *arg;
    enum order_state state;
    struct id promised; /* nothing older is taken; its number is unused */
    struct id epoch;   /* that started last; number: of its last message here */
    uint64_t heard_ms; /* FOLLOW: of the one we promised; COLLECT: its begin */
    struct peer peers[ORDER_WORLDS_MAX];
    size_t peers_count;
    TAILQ_HEAD(, pending) pending;
    size_t pending_count;
};

/* A message that was ordered gets its place, if it is not there, or forgotten,
 * already.  HT_ENOMEM. */
HT_MUSTUSE ht_err order_place(struct history *history,
                              const Chat__Entry *said,
                              struct id id);
/* The union of our history and what the peers told goes into our history; what
 * came too late for its place gets the next numbers of epoch.  HT_ENOMEM: some
 * of it. */
HT_MUSTUSE ht_err order_merge(struct order *order);

#endif /* CHAT_ORDER_INTERNAL_H */
