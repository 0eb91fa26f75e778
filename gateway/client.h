/* SPDX-License-Identifier: Apache-2.0 */
/* client.h - the actor of a client, as the transport sees it. */
#ifndef GW_CLIENT_H
#define GW_CLIENT_H

#include "gateway/conn.h"
#include "gateway/gateway_internal.h"

/* Messages among ourselves.  Anybody may send them: a kick does no harm, and
 * what attach names has to be known. */
#define GW_KICK   "gateway.kick"
#define GW_ATTACH "gateway.attach"

/* A new connection gets its client.  Takes conn always. In a turn of the loop's
 * manager. */
HT_MUSTUSE ht_err gw_client_new(struct gw_loop *loop,
                                struct gw_conn *conn,
                                const char *address);

/* The connection speaks WebSocket now: the client gets its name. HT_ENOMEM. */
HT_MUSTUSE ht_err gw_client_upgraded(struct gw_client *client,
                                     enum gw_encoding encoding);

/* ---- what the connection says, in the client's turn ---- */

/* After every turn: what the connection has become. */
ht_err gw_client_settle(struct gw_client *client);
/* A whole message. */
void gw_client_message(struct gw_client *client,
                       const uint8_t *data,
                       size_t len);
/* The peer closes with that code: a normal one ends the session too. */
void gw_client_peer_closed(struct gw_client *client, uint16_t code);

/* ---- any turn of the loop ---- */

/* The next numbered message is begun to be written. */
void gw_client_written(struct gw_client *client);
/* Its queue has changed: let the gauges know. */
void gw_client_measure(struct gw_client *client);
/* It does not read what it is sent: tell it and close. */
void gw_client_too_slow(struct gw_client *client);
/* A notice that it may do without. */
void gw_client_tell(struct gw_client *client, const struct gw_notice *notice);

#endif /* GW_CLIENT_H */
