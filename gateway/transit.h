/* SPDX-License-Identifier: Apache-2.0 */
/* transit.h - connections on their way from one client to another.
 *
 * A resume moves a connection to the actor of the earlier session, which may
 * live on another loop.  Clients take messages from all the cluster, so none of
 * them may carry a pointer: it carries the number under which the connection
 * lies here.  Whoever takes a number owns what lay under it.
 *
 * Thread: any; a lock, at resumes only.
 */
#ifndef GW_TRANSIT_H
#define GW_TRANSIT_H

#include <pthread.h>
#include <sys/queue.h>

#include "gateway/gateway_internal.h"

#define GW_TRANSIT_ID_BYTES 16
#define GW_SECRET_BYTES     16

struct gw_transit {
    LIST_ENTRY(gw_transit) entry;
    uint8_t id[GW_TRANSIT_ID_BYTES];
    uint8_t secret[GW_SECRET_BYTES]; /* that the session must have */
    uint64_t received;
    enum gw_encoding encoding;
    struct gw_conn *conn;
    struct gw_identity *identity; /* who brings it; NULL: nobody */
};

struct gw_transits {
    pthread_mutex_t lock;
    LIST_HEAD(gw_transit_list, gw_transit) all;
};

void gw_transits_init(struct gw_transits *transits);
/* Frees what nobody came for. */
void gw_transits_fini(struct gw_transits *transits);
/* Under the number that it has. */
void gw_transit_put(struct gw_transits *transits, struct gw_transit *transit);
/* NULL: it was taken, or never was. */
struct gw_transit *gw_transit_take(struct gw_transits *transits,
                                   const uint8_t id[GW_TRANSIT_ID_BYTES]);
/* With what is in it. NULL is fine. */
void gw_transit_free(struct gw_transit *transit);

#endif /* GW_TRANSIT_H */
