/* SPDX-License-Identifier: Apache-2.0 */
/* loop.h - the manager of one scheduler: it accepts connections, writes what
 * its clients were sent, and watches the time.
 *
 * A client's message is written when the manager has its turn, after the actors
 * that were runnable before it: so many messages to one client are one write.
 *
 * Thread: everything here belongs to the scheduler's own, but the atomics.
 * Lifetime: from ht_gateway_start() until ht_gateway_free() has seen the last
 * actor end.
 */
#ifndef GW_LOOP_H
#define GW_LOOP_H

#include "gateway/gateway_internal.h"

struct gw_conn;
struct gw_deflate;
struct gw_ws_reader;

/* Taken from a socket in one go. */
#define GW_READ_BYTES (64 * 1024)
/* A TLS record. */
#define GW_BATCH_BYTES (16 * 1024)

enum gw_gauge {
    GW_CONNECTIONS,
    GW_WEBSOCKETS,
    GW_STREAMS,
    GW_DETACHED,     /* sessions without a connection */
    GW_QUEUED_BYTES, /* to be written to clients */
    GW_KEPT_BYTES,   /* written and not acknowledged */
    GW_GAUGES,
};

TAILQ_HEAD(gw_conns, gw_conn);
TAILQ_HEAD(gw_sessions, gw_session);

struct gw_loop {
    struct ht_gateway *gateway;
    ht_node *node;
    unsigned index;
    ht_ref manager;
    ht_actor *self;
    bool ended; /* the manager has */
    int listen_fd;
    bool accepting;
    uint64_t accept_after_ms; /* there were no descriptors; 0: were */

    LIST_HEAD(gw_clients, gw_client) clients; /* all of them */
    struct gw_conns conns;
    struct gw_conns dirty;       /* have something to write */
    struct gw_sessions detached; /* wait for their client; the oldest first */
    uint32_t detached_count;
    bool flush_posted;
    bool ticking;
    uint32_t tick_ms;
    uint64_t hints_until_ms; /* of a drain */

    uint8_t *in;                 /* GW_READ_BYTES */
    uint8_t *out;                /* GW_BATCH_BYTES */
    struct gw_ws_reader *reader; /* a spare one */
    struct gw_deflate *deflate;  /* NULL: not needed yet */
    struct gw_hubs *hubs;

    _Atomic uint64_t counters[GW_COUNTERS];
    _Atomic int64_t gauges[GW_GAUGES];
};

/* Opens the listening socket. *port 0 is any and is written. */
HT_MUSTUSE ht_err gw_loop_open(struct gw_loop *loop,
                               struct ht_gateway *gateway,
                               unsigned index,
                               int *port,
                               char *why,
                               size_t why_len);
/* Starts the manager. */
HT_MUSTUSE ht_err gw_loop_start(struct gw_loop *loop);
/* Lets it end, after its clients. Any thread. */
void gw_loop_stop(struct gw_loop *loop);
/* Every actor of it has ended. Zeroed ones are fine. */
void gw_loop_fini(struct gw_loop *loop);
/* Any thread. */
void gw_loop_drain(struct gw_loop *loop, uint32_t spread_ms);

void gw_gauge(struct gw_loop *loop, enum gw_gauge gauge, int64_t change);

/* The connection has something to write: soon. */
void gw_loop_dirty(struct gw_loop *loop, struct gw_conn *conn);

#endif /* GW_LOOP_H */
