/* SPDX-License-Identifier: Apache-2.0 */
/* session.h - what a client keeps when its connection is lost, and how it gets
 * the next one.
 *
 * A client that asks to resume hands its connection over: it puts it into the
 * transit, tells the earlier client's actor the number, and ends when that says
 * that it has taken it.  If it has not, the connection is still in the transit
 * and comes back.  At every moment one of the three owns it.
 *
 * The token is the actor's name and a secret, which is new with every welcome:
 * a token that was overheard is worth nothing once its owner has come back.
 *
 * Thread: the client's loop.
 */
#ifndef GW_SESSION_H
#define GW_SESSION_H

#include "gateway/client.h"
#include "gateway/transit.h"

struct gw_session {
    TAILQ_ENTRY(gw_session) entry;         /* of loop->detached */
    uint8_t address[GW_ADDRESS_KEY_BYTES]; /* while detached */
    struct gw_client *client;
    uint8_t secret[GW_SECRET_BYTES];
    uint64_t deadline_ms; /* while detached */
    bool detached;
    bool moving; /* its connection is in the transit, under moving_id */
    uint8_t moving_id[GW_TRANSIT_ID_BYTES];
    struct gw_transit *wanted; /* a resume that it asked for; not begun */
    ht_ref earlier;            /* whose session that is */
};

/* The connection from that address is lost; it waits.  As many wait as may be
 * connected: of an address, one more does not wait at all; of a loop, the
 * oldest makes room.  In the client's turn. */
void gw_session_detach(struct gw_client *client,
                       const uint8_t address[GW_ADDRESS_KEY_BYTES]);
void gw_session_free(struct gw_client *client);
/* It asked to resume: hand the connection over. In the client's turn, outside
 * the reading of its connection. */
void gw_session_move(struct gw_client *client);
/* GW_ATTACH came: take over what it names. In the client's turn. */
void gw_session_attach(struct gw_client *client,
                       const ht_msg *msg,
                       ht_call call);

#endif /* GW_SESSION_H */
