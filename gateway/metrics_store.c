/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/metrics_store.h"

#include <inttypes.h>
#include <stddef.h>
#include <string.h>

#include "gateway/metrics_node.h"

typedef Hardtack__Dashboard__StoreAnswer answer;

static const struct {
    const char *name, *type, *help;
    size_t at;
    bool microseconds;
} fields[] = {
#define COUNTER(field, name, help)                                             \
    {                                                                          \
        "hardtack_store_" name, "counter", help, offsetof(answer, field),      \
            false                                                              \
    }
#define GAUGE(field, name, help)                                               \
    {                                                                          \
        "hardtack_store_" name, "gauge", help, offsetof(answer, field), false  \
    }
#define SECONDS(field, name, help)                                             \
    {                                                                          \
        "hardtack_store_" name, "gauge", help, offsetof(answer, field), true   \
    }
    GAUGE(term, "term", "The raft term."),
    GAUGE(commit_index, "commit_index", "The last entry that is committed."),
    GAUGE(applied_index, "applied_index", "The last entry that is applied."),
    GAUGE(last_index, "last_index", "The last entry of the log."),
    GAUGE(snapshot_index, "snapshot_index", "The last entry of the snapshot."),
    GAUGE(revision, "revision", "Of the store: grows with each write."),
    GAUGE(keys, "keys", "Keys."),
    GAUGE(bytes, "bytes", "Bytes of keys and values."),
    GAUGE(leases, "leases", "Leases."),
    GAUGE(watchers, "watchers", "Watches of this member's clients."),
    GAUGE(history_bytes, "history_bytes", "Bytes of the changes kept."),
    GAUGE(log_bytes, "log_bytes", "Bytes of the log on disk."),
    GAUGE(waiting, "requests_waiting", "Requests under way here."),
    COUNTER(writes_total, "writes_total", "Writes done as leader."),
    COUNTER(reads_total, "reads_total", "Reads answered."),
    COUNTER(stale_reads_total,
            "stale_reads_total",
            "Reads answered without asking the leader."),
    COUNTER(
        forwarded_total, "forwarded_total", "Requests sent on to the leader."),
    COUNTER(refused_total,
            "refused_total",
            "Requests refused, at a limit or without a leader."),
    COUNTER(repeated_total,
            "repeated_total",
            "Requests answered again, since they had come before."),
    COUNTER(expired_total,
            "expired_keys_total",
            "Keys that ended by their time or their lease."),
    COUNTER(fsyncs_total, "fsyncs_total", "Times the disk was waited for."),
    COUNTER(entries_total,
            "entries_total",
            "Entries of this member that were committed."),
    SECONDS(fsync_us, "fsync_seconds", "One fsync, on average."),
    SECONDS(commit_us,
            "commit_seconds",
            "From a proposal to its answer, on average."),
    SECONDS(commit_p99_us,
            "commit_p99_seconds",
            "The same for the slowest hundredth."),
#undef COUNTER
#undef GAUGE
#undef SECONDS
};

static void flag(FILE *out, const char *name, const char *help, bool value)
{
    gw_metric_family(out, name, "gauge", help);
    fprintf(out, "%s %d\n", name, value);
}

static void write_members(FILE *out, const answer *store)
{
    gw_metric_family(out, "hardtack_store_member_lag_entries", "gauge",
                     "Entries behind the leader, as that says.");
    for (size_t i = 0; i < store->n_members; i++) {
        fputs("hardtack_store_member_lag_entries{member=\"", out);
        gw_metric_label(out, store->members[i]->name);
        fprintf(out, "\"} %" PRIu64 "\n", store->members[i]->lag);
    }
}

void gw_metrics_store(FILE *out, const answer *store)
{
    bool leads = strcmp(store->role, "leader") == 0;

    flag(out, "hardtack_store_is_leader", "Whether this member leads.", leads);
    flag(out, "hardtack_store_has_leader", "Whether it knows a leader.",
         store->leader[0] != '\0');
    flag(out, "hardtack_store_disk_full", "Whether the disk has no room.",
         store->disk_full);
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        uint64_t value;

        memcpy(&value, (const char *)store + fields[i].at, sizeof(value));
        gw_metric_family(out, fields[i].name, fields[i].type, fields[i].help);
        if (fields[i].microseconds) {
            fprintf(out, "%s %.6f\n", fields[i].name, (double)value / 1e6);
        } else {
            fprintf(out, "%s %" PRIu64 "\n", fields[i].name, value);
        }
    }
    if (leads) {
        write_members(out, store);
    }
}
