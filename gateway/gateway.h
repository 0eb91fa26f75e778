/* SPDX-License-Identifier: Apache-2.0 */
/* gateway.h - what the transport's files share of a gateway.
 *
 * A gateway has one loop for each scheduler of its node, and a loop one manager
 * actor.  Its actors are counted, so that ht_gateway_free() can wait for the
 * last one.
 */
#ifndef GW_GATEWAY_H
#define GW_GATEWAY_H

#include <openssl/ssl.h>
#include <pthread.h>

#include "gateway/gateway_internal.h"
#include "gateway/limits.h"
#include "gateway/loop.h"
#include "gateway/pages.h"
#include "gateway/transit.h"

/* How long a connection that is being closed may take over it. */
#define GW_LINGER_MS 2000

struct gw_settings; /* settings.h: the copied configuration */

struct ht_gateway {
    struct ht_gateway_view view;
    struct gw_settings *settings;
    struct gw_loop *loops;
    unsigned loops_count;
    int port;
    struct gw_addresses *addresses; /* connections of each */
    struct gw_addresses *away;      /* detached sessions of each */
    struct gw_transits transits;
    struct gw_pages *pages;
    _Atomic uint32_t connections;
    _Atomic bool draining;
    _Atomic bool stopping;
    uint64_t started_ms;

    pthread_mutex_t tls_lock; /* of tls: a reload replaces it */
    SSL_CTX *tls;             /* NULL: plain */

    pthread_mutex_t lock;
    pthread_cond_t ended;
    unsigned actors; /* with lock: that still point here */

    /* Actors beside the clients, none until they are started. */
    ht_ref status, dashboard, operator;
};

/* Milliseconds of a clock that does not jump, some milliseconds coarse. */
uint64_t gw_now_ms(void);

#endif /* GW_GATEWAY_H */
