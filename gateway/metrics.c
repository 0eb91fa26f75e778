/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/metrics.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "gateway/gateway.h"
#include "gateway/metrics_node.h"
#include "gateway/metrics_store.h"

/* ---- the gateway --------------------------------------------------------- */

uint64_t gw_counter_sum(const struct ht_gateway *g, enum gw_counter which)
{
    uint64_t sum = 0;

    for (unsigned i = 0; i < g->loops_count; i++) {
        sum += atomic_load_explicit(&g->loops[i].counters[which],
                                    memory_order_relaxed);
    }
    return sum;
}

uint64_t gw_gauge_sum(const struct ht_gateway *g, enum gw_gauge which)
{
    int64_t sum = 0;

    for (unsigned i = 0; i < g->loops_count; i++) {
        sum += atomic_load_explicit(&g->loops[i].gauges[which],
                                    memory_order_relaxed);
    }
    return sum > 0 ? (uint64_t)sum : 0;
}

/* Counters of one name stand together. */
static const struct {
    enum gw_counter counter;
    const char *name;
    const char *labels; /* "" if none */
    const char *help;   /* of the first of a name */
} counters[] = {
    {GW_ACCEPTED, "connections_accepted_total", "", "Connections accepted."},
    {GW_REFUSED_CONNECTIONS, "connections_refused_total",
     "{reason=\"connections\"}", "Connections and upgrades refused."},
    {GW_REFUSED_ADDRESS, "connections_refused_total", "{reason=\"address\"}",
     NULL},
    {GW_REFUSED_ORIGIN, "connections_refused_total", "{reason=\"origin\"}",
     NULL},
    {GW_REFUSED_HANDSHAKE, "connections_refused_total",
     "{reason=\"handshake\"}", NULL},
    {GW_TLS_FAILED, "connections_refused_total", "{reason=\"tls\"}", NULL},
    {GW_UPGRADED, "websockets_opened_total", "",
     "Connections upgraded to WebSocket."},
    {GW_CLOSED_IDLE, "connections_closed_total", "{reason=\"idle\"}",
     "Connections closed by the gateway."},
    {GW_CLOSED_SLOW, "connections_closed_total", "{reason=\"slow\"}", NULL},
    {GW_CLOSED_PROTOCOL, "connections_closed_total", "{reason=\"protocol\"}",
     NULL},
    {GW_CLOSED_TOOBIG, "connections_closed_total", "{reason=\"too_big\"}",
     NULL},
    {GW_CLOSED_RATE, "connections_closed_total", "{reason=\"rate\"}", NULL},
    {GW_HTTP_REQUESTS, "http_requests_total", "", "HTTP requests handled."},
    {GW_MESSAGES_IN, "messages_received_total", "",
     "WebSocket messages from clients."},
    {GW_MESSAGES_OUT, "messages_sent_total", "",
     "Numbered messages written to clients."},
    {GW_BYTES_IN, "received_bytes_total", "", "Bytes from clients."},
    {GW_BYTES_OUT, "sent_bytes_total", "", "Bytes to clients."},
    {GW_RATE_LIMITED, "messages_refused_total", "{reason=\"rate\"}",
     "Messages and requests of clients refused."},
    {GW_BAD_MESSAGES, "messages_refused_total", "{reason=\"malformed\"}", NULL},
    {GW_DENIED, "messages_refused_total", "{reason=\"denied\"}", NULL},
    {GW_CALLS_REFUSED, "messages_refused_total", "{reason=\"calls\"}", NULL},
    {GW_SUBSCRIBES_REFUSED, "messages_refused_total",
     "{reason=\"subscriptions\"}", NULL},
    {GW_DUPLICATES, "messages_repeated_total", "",
     "Messages answered from the window, since they had come before."},
    {GW_CALLS, "calls_total", "", "Calls of clients."},
    {GW_CALLS_FAILED, "calls_failed_total", "",
     "Calls that ended in an error."},
    {GW_CASTS, "casts_total", "", "Casts of clients."},
    {GW_LOGINS, "logins_total", "{result=\"ok\"}", "Tokens shown by clients."},
    {GW_LOGINS_FAILED, "logins_total", "{result=\"failed\"}", NULL},
    {GW_SUBSCRIBES, "subscribes_total", "", "Subscriptions to groups."},
    {GW_BROADCASTS, "broadcasts_total", "",
     "Messages to a group, encoded once for all of its clients on a loop."},
    {GW_RESUMED, "sessions_resumed_total", "{result=\"resumed\"}",
     "Sessions that clients asked to resume."},
    {GW_RESUME_REFUSED, "sessions_resumed_total", "{result=\"afresh\"}", NULL},
    {GW_SESSIONS_EXPIRED, "sessions_expired_total", "",
     "Sessions whose client did not come back in time."},
    {GW_SESSIONS_DROPPED, "sessions_dropped_total", "",
     "Sessions given up before their time, since too many waited."},
};

static const struct {
    enum gw_gauge gauge;
    const char *name;
    const char *help;
} gauges[] = {
    {GW_CONNECTIONS, "connections", "Connections open now."},
    {GW_WEBSOCKETS, "websockets", "WebSockets open now."},
    {GW_STREAMS, "event_streams", "Streams of server-sent events open now."},
    {GW_DETACHED, "sessions_detached",
     "Sessions that wait for their client to come back."},
    {GW_QUEUED_BYTES, "queued_bytes", "Bytes that wait to be written."},
    {GW_KEPT_BYTES, "kept_bytes",
     "Bytes written and kept until their client says that it has them."},
};

static void write_gateway(FILE *out, const struct ht_gateway *g)
{
    char name[96];

    for (size_t i = 0; i < sizeof(counters) / sizeof(counters[0]); i++) {
        snprintf(name, sizeof(name), "hardtack_gateway_%s", counters[i].name);
        if (counters[i].help != NULL) {
            gw_metric_family(out, name, "counter", counters[i].help);
        }
        fprintf(out, "%s%s %" PRIu64 "\n", name, counters[i].labels,
                gw_counter_sum(g, counters[i].counter));
    }
    for (size_t i = 0; i < sizeof(gauges) / sizeof(gauges[0]); i++) {
        snprintf(name, sizeof(name), "hardtack_gateway_%s", gauges[i].name);
        gw_metric_family(out, name, "gauge", gauges[i].help);
        fprintf(out, "%s %" PRIu64 "\n", name,
                gw_gauge_sum(g, gauges[i].gauge));
    }
}

char *gw_metrics(struct ht_gateway *gateway,
                 const Hardtack__Dashboard__StoreAnswer *store,
                 size_t *ret_len)
{
    char *text = NULL;
    FILE *out = open_memstream(&text, ret_len);
    bool failed;

    if (out == NULL) {
        return NULL;
    }
    failed = !gw_metrics_node(out, gateway->view.node);
    write_gateway(out, gateway);
    if (store != NULL) {
        gw_metrics_store(out, store);
    }
    failed = ferror(out) != 0 || failed;
    if (fclose(out) != 0 || failed) {
        free(text);
        return NULL;
    }
    return text;
}
