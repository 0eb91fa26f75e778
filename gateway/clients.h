/* SPDX-License-Identifier: Apache-2.0 */
/* clients.h - the clients of a gateway, one by one: what its loops tell of
 * theirs, put together, and asked of the gateways of other nodes.
 *
 *   dashboard, operator --relay--> "hardtack.gateway" --gather--> managers
 *
 * Users and addresses are personal: a loop tells them only if it is asked to,
 * and only the operator asks.
 */
#ifndef GW_CLIENTS_H
#define GW_CLIENTS_H

#include <sys/queue.h>

#include "gateway/gateway_internal.h"
#include "proto/dashboard.pb-c.h"

/* A loop's manager is called with this; one byte: whether with persons. */
#define GW_CLIENTS "gateway.clients"
/* Of a loop, and of a gateway: the newest. */
#define GW_CLIENTS_MAX 50
/* Questions of one actor under way; one more is HT_EOVERLOAD. */
#define GW_CLIENTS_ASKS_MAX 64

/* Questions under way, of one actor; zeroed there are none.  In its turns. */
struct gw_clients_ask;
struct gw_clients_asks {
    LIST_HEAD(, gw_clients_ask) list;
    size_t count;
};
/* In the actor's terminate. */
void gw_clients_asks_fini(struct gw_clients_asks *asks);

/* GW_CLIENTS to a loop's manager, in its turn. */
HT_MUSTUSE ht_err gw_clients_tell(struct gw_loop *loop,
                                  const ht_msg *msg,
                                  ht_call call);
/* Ask every loop, and answer; in a turn of a service. A loop that takes too
 * long is counted, and its clients are missing. */
void gw_clients_gather(struct gw_clients_asks *asks,
                       struct ht_gateway *gateway,
                       bool persons,
                       Hardtack__Dashboard__ClientsReply_Closure reply,
                       void *call);
/* Ask the gateway of a node, "" is this one, and hand its answer on; in a turn
 * of a service. */
void gw_clients_relay(struct gw_clients_asks *asks,
                      const char *node,
                      bool persons,
                      Hardtack__Dashboard__ClientsReply_Closure reply,
                      void *call);

#endif /* GW_CLIENTS_H */
