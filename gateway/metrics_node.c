/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/metrics_node.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

/* ---- text ---------------------------------------------------------------- */

void gw_metric_family(FILE *out,
                      const char *name,
                      const char *type,
                      const char *help)
{
    fprintf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

void gw_metric_label(FILE *out, const char *s)
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

static void gauge(FILE *out, const char *name, const char *help, uint64_t value)
{
    gw_metric_family(out, name, "gauge", help);
    fprintf(out, "%s %" PRIu64 "\n", name, value);
}

static void
counter(FILE *out, const char *name, const char *help, uint64_t value)
{
    gw_metric_family(out, name, "counter", help);
    fprintf(out, "%s %" PRIu64 "\n", name, value);
}

/* ---- the process --------------------------------------------------------- */

static uint64_t open_files(void)
{
    DIR *dir = opendir("/proc/self/fd");
    uint64_t count = 0;

    if (dir == NULL) {
        return 0;
    }
    while (readdir(dir) != NULL) {
        count++;
    }
    (void)closedir(dir);
    return count > 3 ? count - 3 : 0; /* ".", "..", and its own */
}

static uint64_t resident_bytes(void)
{
    FILE *in = fopen("/proc/self/statm", "re");
    unsigned long long pages = 0;

    if (in == NULL) {
        return 0;
    }
    if (fscanf(in, "%*u %llu", &pages) != 1) {
        pages = 0;
    }
    (void)fclose(in);
    return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* Names and meaning are those of every Prometheus client. */
static void write_process(FILE *out)
{
    struct timespec cpu = {0};
    struct rlimit files = {0};

    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu);
    gw_metric_family(out, "process_cpu_seconds_total", "counter",
                     "User and system time.");
    fprintf(out, "process_cpu_seconds_total %.6f\n",
            (double)cpu.tv_sec + (double)cpu.tv_nsec / 1e9);
    gauge(out, "process_resident_memory_bytes", "Resident memory.",
          resident_bytes());
    gauge(out, "process_open_fds", "Open descriptors.", open_files());
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        gauge(out, "process_max_fds", "Descriptors that may be open.",
              files.rlim_cur);
    }
}

/* ---- the node ------------------------------------------------------------ */

struct actors {
    uint64_t messages, bytes;
};

static void add_actor(const ht_actor_info *info, void *arg)
{
    struct actors *sum = arg;

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

static void write_node(FILE *out, ht_node *node)
{
    struct actors mailboxes = {0};
    uint64_t groups = 0;
    ht_strangers strangers;
    ht_stats stats;

    ht_node_stats(node, &stats);
    ht_actor_each(node, add_actor, &mailboxes);
    ht_group_each(node, add_group, &groups);
    gw_metric_family(out, "hardtack_node_info", "gauge", "The node; always 1.");
    fputs("hardtack_node_info{node=\"", out);
    gw_metric_label(out, ht_node_name(node));
    fprintf(out, "\",version=\"%s\"} 1\n", ht_version());
    gw_metric_family(out, "hardtack_node_start_time_seconds", "gauge",
                     "When the node started, since 1970: its incarnation.");
    fprintf(out, "hardtack_node_start_time_seconds %.6f\n",
            (double)ht_node_incarnation(node) / 1e6);
    gauge(out, "hardtack_actors", "Actors alive.", stats.actors);
    gauge(out, "hardtack_actors_runnable",
          "Actors that have something to do and no thread yet.",
          stats.runnable);
    gauge(out, "hardtack_mailbox_messages", "Messages in mailboxes.",
          mailboxes.messages);
    gauge(out, "hardtack_mailbox_bytes", "Bytes in mailboxes.",
          mailboxes.bytes);
    counter(out, "hardtack_messages_handled_total",
            "Messages that actors handled.", stats.handled);
    counter(out, "hardtack_messages_dropped_total",
            "Messages refused because a mailbox was full.", stats.dropped);
    gauge(out, "hardtack_calls_in_flight", "Calls that are not answered yet.",
          stats.calls);
    gauge(out, "hardtack_timers", "Timers that run.", stats.timers);
    gauge(out, "hardtack_groups", "Process groups that have members.", groups);
    counter(out, "hardtack_jobs_refused_total",
            "Jobs refused by a full queue of the blocking pool.",
            stats.jobs_refused);
    ht_node_strangers(node, &strangers);
    gauge(out, "hardtack_strangers",
          "Connections of nodes that have proved nothing yet.",
          strangers.waiting);
    counter(out, "hardtack_strangers_evicted_total",
            "Of these, closed to make room.", strangers.evicted);
    counter(out, "hardtack_strangers_barred_total",
            "Refused since their address had failed too often.",
            strangers.barred);
}

/* ---- peers --------------------------------------------------------------- */

struct peer {
    char *name;
    const char *encryption, *auth; /* literals of the node */
    uint64_t up, rtt_us, sent_frames, sent_bytes, received_frames,
        received_bytes, outbox_bytes, outbox_refused, calls_in_flight,
        calls_refused, dropped;
};

struct peers {
    struct peer *at;
    size_t count, cap;
    bool failed;
};

static struct peer *peer_named(struct peers *peers, const char *name)
{
    struct peer *peer;

    for (size_t i = 0; i < peers->count; i++) {
        if (strcmp(peers->at[i].name, name) == 0) {
            return &peers->at[i];
        }
    }
    if (peers->count == peers->cap) {
        size_t cap = peers->cap > 0 ? 2 * peers->cap : 16;
        struct peer *at = realloc(peers->at, cap * sizeof(*at));

        if (at == NULL) {
            return NULL;
        }
        peers->at = at;
        peers->cap = cap;
    }
    peer = &peers->at[peers->count];
    *peer = (struct peer){.name = strdup(name)};
    peers->count += peer->name != NULL;
    return peer->name != NULL ? peer : NULL;
}

/* While two nodes have dialled each other there are two connections of one
 * name: a series that comes twice would spoil the whole scrape. */
static void add_peer(const ht_peer_info *info, void *arg)
{
    struct peers *peers = arg;
    struct peer *peer;

    if (info->name[0] == '\0' || info->hidden) {
        return;
    }
    peer = peer_named(peers, info->name);
    if (peer == NULL) {
        peers->failed = true;
        return;
    }
    if (peer->encryption == NULL || strcmp(info->state, "ready") == 0) {
        peer->encryption = info->encryption;
        peer->auth = info->auth;
        peer->rtt_us = info->rtt_us;
    }
    peer->up |= strcmp(info->state, "ready") == 0;
    peer->sent_frames += info->sent_frames;
    peer->sent_bytes += info->sent_bytes;
    peer->received_frames += info->received_frames;
    peer->received_bytes += info->received_bytes;
    peer->outbox_bytes += info->outbox_bytes;
    peer->outbox_refused += info->outbox_refused;
    peer->calls_in_flight += info->calls_in_flight;
    peer->calls_refused += info->calls_refused;
    peer->dropped += info->dropped;
}

static void write_peer_info(FILE *out, const struct peers *peers)
{
    gw_metric_family(out, "hardtack_peer_info", "gauge",
                     "How the link is protected; always 1.");
    for (size_t i = 0; i < peers->count; i++) {
        fputs("hardtack_peer_info{peer=\"", out);
        gw_metric_label(out, peers->at[i].name);
        fprintf(out, "\",encryption=\"%s\",auth=\"%s\"} 1\n",
                peers->at[i].encryption, peers->at[i].auth);
    }
}

static const struct {
    const char *name, *type, *help;
    size_t at;
    bool microseconds;
} columns[] = {
#define AT(field) offsetof(struct peer, field)
    {"hardtack_peer_up", "gauge", "Whether the link is ready.", AT(up), false},
    {"hardtack_peer_round_trip_seconds", "gauge",
     "Of the last heartbeat; 0: none yet.", AT(rtt_us), true},
    {"hardtack_peer_sent_frames_total", "counter", "Frames sent.",
     AT(sent_frames), false},
    {"hardtack_peer_sent_bytes_total", "counter", "Bytes sent.", AT(sent_bytes),
     false},
    {"hardtack_peer_received_frames_total", "counter", "Frames received.",
     AT(received_frames), false},
    {"hardtack_peer_received_bytes_total", "counter", "Bytes received.",
     AT(received_bytes), false},
    {"hardtack_peer_outbox_bytes", "gauge", "Bytes in the outbox.",
     AT(outbox_bytes), false},
    {"hardtack_peer_outbox_refused_total", "counter",
     "Messages refused since the outbox was full.", AT(outbox_refused), false},
    {"hardtack_peer_calls_in_flight", "gauge", "Calls not answered yet.",
     AT(calls_in_flight), false},
    {"hardtack_peer_calls_refused_total", "counter",
     "Calls refused since too many were in flight.", AT(calls_refused), false},
    {"hardtack_peer_dropped_total", "counter",
     "Casts that came and nobody took.", AT(dropped), false},
#undef AT
};

static void write_peers(FILE *out, const struct peers *peers)
{
    write_peer_info(out, peers);
    for (size_t c = 0; c < sizeof(columns) / sizeof(columns[0]); c++) {
        gw_metric_family(out, columns[c].name, columns[c].type,
                         columns[c].help);
        for (size_t i = 0; i < peers->count; i++) {
            uint64_t value;

            memcpy(&value, (const char *)&peers->at[i] + columns[c].at,
                   sizeof(value));
            fprintf(out, "%s{peer=\"", columns[c].name);
            gw_metric_label(out, peers->at[i].name);
            if (columns[c].microseconds) {
                fprintf(out, "\"} %.6f\n", (double)value / 1e6);
            } else {
                fprintf(out, "\"} %" PRIu64 "\n", value);
            }
        }
    }
}

static void peers_free(struct peers *peers)
{
    for (size_t i = 0; i < peers->count; i++) {
        free(peers->at[i].name);
    }
    free(peers->at);
}

bool gw_metrics_node(FILE *out, ht_node *node)
{
    struct peers peers = {0};
    bool ok;

    ht_peer_each(node, add_peer, &peers);
    ok = !peers.failed;
    write_process(out);
    write_node(out, node);
    write_peers(out, &peers);
    peers_free(&peers);
    return ok;
}
