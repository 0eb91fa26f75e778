/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/metrics.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/gateway.h"

/* ---- text ---------------------------------------------------------------- */

static void
family(FILE *out, const char *name, const char *type, const char *help)
{
    fprintf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

/* A label's value: names of peers are theirs to choose. */
static void label(FILE *out, const char *s)
{
    for (; *s != '\0'; s++) {
        if (*s == '\\' || *s == '"') {
            fprintf(out, "\\%c", *s);
        } else if (*s == '\n') {
            fputs("\\n", out);
        } else {
            fputc(*s, out);
        }
    }
}

/* ---- the gateway --------------------------------------------------------- */

static uint64_t counter(const struct ht_gateway *g, enum gw_counter which)
{
    uint64_t sum = 0;

    for (unsigned i = 0; i < g->loops_count; i++) {
        sum += atomic_load_explicit(&g->loops[i].counters[which],
                                    memory_order_relaxed);
    }
    return sum;
}

static uint64_t gauge(const struct ht_gateway *g, enum gw_gauge which)
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
            family(out, name, "counter", counters[i].help);
        }
        fprintf(out, "%s%s %" PRIu64 "\n", name, counters[i].labels,
                counter(g, counters[i].counter));
    }
    for (size_t i = 0; i < sizeof(gauges) / sizeof(gauges[0]); i++) {
        snprintf(name, sizeof(name), "hardtack_gateway_%s", gauges[i].name);
        family(out, name, "gauge", gauges[i].help);
        fprintf(out, "%s %" PRIu64 "\n", name, gauge(g, gauges[i].gauge));
    }
}

/* ---- the node ------------------------------------------------------------ */

struct actors {
    uint64_t count, messages, bytes;
};

static void add_actor(const ht_actor_info *info, void *arg)
{
    struct actors *sum = arg;

    sum->count++;
    sum->messages += info->mailbox_messages;
    sum->bytes += info->mailbox_bytes;
}

static void add_group(const char *scope,
                      const char *group,
                      const ht_ref *refs,
                      size_t count,
                      void *arg)
{
    (void)scope;
    (void)group;
    (void)refs;
    (void)count;
    ++*(uint64_t *)arg;
}

static void one(FILE *out, const char *name, const char *help, uint64_t value)
{
    family(out, name, "gauge", help);
    fprintf(out, "%s %" PRIu64 "\n", name, value);
}

static void write_node(FILE *out, ht_node *node)
{
    struct actors actors = {0};
    uint64_t groups = 0;

    ht_actor_each(node, add_actor, &actors);
    ht_group_each(node, add_group, &groups);
    family(out, "hardtack_node_info", "gauge", "The node; always 1.");
    fputs("hardtack_node_info{node=\"", out);
    label(out, ht_node_name(node));
    fprintf(out, "\",version=\"%s\",incarnation=\"%" PRIu64 "\"} 1\n",
            ht_version(), ht_node_incarnation(node));
    one(out, "hardtack_actors", "Actors alive.", actors.count);
    one(out, "hardtack_mailbox_messages", "Messages in mailboxes.",
        actors.messages);
    one(out, "hardtack_mailbox_bytes", "Bytes in mailboxes.", actors.bytes);
    one(out, "hardtack_groups", "Process groups that have members.", groups);
}

/* One column of all peers: a family's lines stand together. */
struct column {
    FILE *out;
    const char *name;
    uint64_t (*value)(const ht_peer_info *info);
    bool seconds;
};

static void peer_line(const ht_peer_info *info, void *arg)
{
    const struct column *column = arg;
    uint64_t value = column->value(info);

    if (info->name[0] == '\0' || info->hidden) {
        return;
    }
    fprintf(column->out, "%s{peer=\"", column->name);
    label(column->out, info->name);
    if (column->seconds) {
        fprintf(column->out, "\"} %.6f\n", (double)value / 1e6);
    } else {
        fprintf(column->out, "\"} %" PRIu64 "\n", value);
    }
}

static uint64_t peer_up(const ht_peer_info *info)
{
    return strcmp(info->state, "ready") == 0;
}

#define FIELD(field)                                                           \
    static uint64_t peer_##field(const ht_peer_info *info)                     \
    {                                                                          \
        return info->field;                                                    \
    }
FIELD(rtt_us)
FIELD(sent_frames)
FIELD(sent_bytes)
FIELD(received_frames)
FIELD(received_bytes)
FIELD(outbox_bytes)
FIELD(outbox_refused)
FIELD(calls_in_flight)
FIELD(dropped)
#undef FIELD

static void write_peers(FILE *out, ht_node *node)
{
    static const struct {
        const char *name, *type, *help;
        uint64_t (*value)(const ht_peer_info *info);
    } columns[] = {
        {"hardtack_peer_up", "gauge", "Whether the link is ready.", peer_up},
        {"hardtack_peer_round_trip_seconds", "gauge",
         "Of the last heartbeat; 0: none yet.", peer_rtt_us},
        {"hardtack_peer_sent_frames_total", "counter", "Frames sent.",
         peer_sent_frames},
        {"hardtack_peer_sent_bytes_total", "counter", "Bytes sent.",
         peer_sent_bytes},
        {"hardtack_peer_received_frames_total", "counter", "Frames received.",
         peer_received_frames},
        {"hardtack_peer_received_bytes_total", "counter", "Bytes received.",
         peer_received_bytes},
        {"hardtack_peer_outbox_bytes", "gauge", "Bytes in the outbox.",
         peer_outbox_bytes},
        {"hardtack_peer_outbox_refused_total", "counter",
         "Messages refused since the outbox was full.", peer_outbox_refused},
        {"hardtack_peer_calls_in_flight", "gauge", "Calls not answered yet.",
         peer_calls_in_flight},
        {"hardtack_peer_dropped_total", "counter",
         "Casts that came and nobody took.", peer_dropped},
    };

    for (size_t i = 0; i < sizeof(columns) / sizeof(columns[0]); i++) {
        struct column column = {.out = out,
                                .name = columns[i].name,
                                .value = columns[i].value,
                                .seconds = columns[i].value == peer_rtt_us};

        family(out, columns[i].name, columns[i].type, columns[i].help);
        ht_peer_each(node, peer_line, &column);
    }
}

char *gw_metrics(struct ht_gateway *gateway, size_t *ret_len)
{
    char *text = NULL;
    FILE *out = open_memstream(&text, ret_len);
    bool failed;

    if (out == NULL) {
        return NULL;
    }
    write_node(out, gateway->view.node);
    write_peers(out, gateway->view.node);
    write_gateway(out, gateway);
    failed = ferror(out) != 0;
    if (fclose(out) != 0 || failed) {
        free(text);
        return NULL;
    }
    return text;
}
