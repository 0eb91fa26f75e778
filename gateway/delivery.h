/* SPDX-License-Identifier: Apache-2.0 */
/* delivery.h - what an actor cast to a client, or to its hub, as messages to
 * clients.
 *
 * Thread: any; pure but for looking up the sender.
 */
#ifndef GW_DELIVERY_H
#define GW_DELIVERY_H

#include <hardtack.h>
#include <hardtack/client.pb-c.h>

#include "gateway/message.h"

struct gw_delivery {
    const ht_msg *msg;                /* lent */
    Hardtack__Client__Delivery *said; /* NULL: msg is handed on as it is */
    json_t *json;                     /* of said; NULL: none, or not read */
    char sender[256];                 /* its ref, "" if unknown */
};

/* HT_EARGS: HtDeliver with something else in it. HT_ENOMEM. */
HT_MUSTUSE ht_err gw_delivery_read(struct gw_delivery *delivery,
                                   ht_node *node,
                                   const ht_msg *msg);
void gw_delivery_fini(struct gw_delivery *delivery);

/* A MESSAGE for clients of one kind; points into delivery. */
void gw_delivery_message(struct gw_delivery *delivery,
                         bool protobuf,
                         struct gw_message *ret_message);

#endif /* GW_DELIVERY_H */
