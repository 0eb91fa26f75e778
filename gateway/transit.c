/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/transit.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/conn.h"
#include "gateway/gateway_internal.h"

void gw_transits_init(struct gw_transits *transits)
{
    pthread_mutex_init(&transits->lock, NULL);
    LIST_INIT(&transits->all);
}

void gw_transit_free(struct gw_transit *transit)
{
    if (transit != NULL) {
        gw_conn_free(transit->conn);
        gw_identity_free(transit->identity);
        sodium_memzero(transit->secret, sizeof(transit->secret));
        free(transit);
    }
}

void gw_transits_fini(struct gw_transits *transits)
{
    struct gw_transit *t;

    while ((t = LIST_FIRST(&transits->all)) != NULL) {
        LIST_REMOVE(t, entry);
        gw_transit_free(t);
    }
    pthread_mutex_destroy(&transits->lock);
}

void gw_transit_put(struct gw_transits *transits, struct gw_transit *transit)
{
    pthread_mutex_lock(&transits->lock);
    LIST_INSERT_HEAD(&transits->all, transit, entry);
    pthread_mutex_unlock(&transits->lock);
}

struct gw_transit *gw_transit_take(struct gw_transits *transits,
                                   const uint8_t id[GW_TRANSIT_ID_BYTES])
{
    struct gw_transit *t;

    pthread_mutex_lock(&transits->lock);
    LIST_FOREACH (t, &transits->all, entry) {
        if (memcmp(t->id, id, GW_TRANSIT_ID_BYTES) == 0) {
            LIST_REMOVE(t, entry);
            break;
        }
    }
    pthread_mutex_unlock(&transits->lock);
    return t;
}
