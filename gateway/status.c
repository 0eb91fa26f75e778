/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/status.h"

#include <stdlib.h>

#include "gateway/clients.h"
#include "gateway/gateway.h"
#include "gateway/metrics.h"
#include "proto/dashboard.pb-c.h"
#include "survey/asker.h"

struct status {
    Hardtack__Dashboard__Gateway_Service service;
    struct ht_gateway *gateway;
    struct gw_clients_asks asks;
};

static uint64_t
sum(const struct ht_gateway *g, enum gw_counter first, enum gw_counter last)
{
    uint64_t total = 0;

    for (unsigned i = first; i <= (unsigned)last; i++) {
        total += gw_counter_sum(g, (enum gw_counter)i);
    }
    return total;
}

static void fill(Hardtack__Dashboard__GatewayStatus *out, struct ht_gateway *g)
{
    out->port = (uint32_t)g->port;
    out->tls = g->view.config->certificate != NULL;
    out->draining = atomic_load(&g->draining);
    out->connections = gw_gauge_sum(g, GW_CONNECTIONS);
    out->websockets = gw_gauge_sum(g, GW_WEBSOCKETS);
    out->event_streams = gw_gauge_sum(g, GW_STREAMS);
    out->sessions_waiting = gw_gauge_sum(g, GW_DETACHED);
    out->queued_bytes = gw_gauge_sum(g, GW_QUEUED_BYTES);
    out->kept_bytes = gw_gauge_sum(g, GW_KEPT_BYTES);
    out->messages_in = gw_counter_sum(g, GW_MESSAGES_IN);
    out->messages_out = gw_counter_sum(g, GW_MESSAGES_OUT);
    out->bytes_in = gw_counter_sum(g, GW_BYTES_IN);
    out->bytes_out = gw_counter_sum(g, GW_BYTES_OUT);
    out->calls = gw_counter_sum(g, GW_CALLS);
    out->calls_failed = gw_counter_sum(g, GW_CALLS_FAILED);
    out->refused = sum(g, GW_REFUSED_CONNECTIONS, GW_REFUSED_HANDSHAKE) +
                   gw_counter_sum(g, GW_TLS_FAILED) +
                   gw_counter_sum(g, GW_RATE_LIMITED) +
                   gw_counter_sum(g, GW_DENIED);
    out->closed = sum(g, GW_CLOSED_IDLE, GW_CLOSED_RATE);
}

static void on_status(Hardtack__Dashboard__Gateway_Service *service,
                      const Hardtack__Empty *in,
                      Hardtack__Dashboard__GatewayStatus_Closure reply,
                      void *call)
{
    struct status *status = (struct status *)service;
    Hardtack__Dashboard__GatewayStatus out =
        HARDTACK__DASHBOARD__GATEWAY_STATUS__INIT;

    (void)in;
    fill(&out, status->gateway);
    reply(&out, call);
}

static void on_clients(Hardtack__Dashboard__Gateway_Service *service,
                       const Hardtack__Dashboard__ClientsRequest *in,
                       Hardtack__Dashboard__ClientsReply_Closure reply,
                       void *call)
{
    struct status *status = (struct status *)service;

    gw_clients_gather(&status->asks, status->gateway, in->persons, reply, call);
}

static void on_end(ht_actor *self, const ht_exit *why)
{
    struct status *status = ht_state(self);

    (void)why;
    gw_clients_asks_fini(&status->asks);
    gw_release(status->gateway);
    free(status);
}

ht_err gw_status_start(struct ht_gateway *gateway)
{
    static const ht_behavior around = {.terminate = on_end};
    static const Hardtack__Dashboard__Gateway_Service service =
        HARDTACK__DASHBOARD__GATEWAY__INIT(on_);
    ht_spawn_opts opts = {.name = HTI_GATEWAY_NAME, .unlisted = true};
    struct status *status = calloc(1, sizeof(*status));
    ht_err err;

    if (status == NULL) {
        return HT_ENOMEM;
    }
    status->service = service;
    status->gateway = gateway;
    gw_hold(gateway);
    err = ht_spawn_service_opts(gateway->view.node, &status->service.base,
                                &around, status, &opts, &gateway->status);
    if (err != HT_OK) {
        gw_release(gateway);
        free(status);
    }
    return err == HT_EEXIST ? HT_OK : err;
}
