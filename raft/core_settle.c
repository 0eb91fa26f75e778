/* SPDX-License-Identifier: Apache-2.0 */
/* core_settle.c - what follows from every event, once libraft has had it:
 * entries are applied, the machine is told of roles, and what waited for either
 * goes on, until nothing changes any more. */
#include <inttypes.h>

#include "raft/core_internal.h"

static ht_err
apply_one(struct hti_core *core, uint64_t index, const struct hti_entry *entry)
{
    ht_bytes result = {0};
    ht_err err = HT_OK;

    switch (entry->type) {
    case HTI_ENTRY_COMMAND:
        if (hti_of_le64(entry->data) > core->applied_time_ms) {
            core->applied_time_ms = hti_of_le64(entry->data);
        }
        err = core->table->apply(core->machine, index, core->applied_time_ms,
                                 (ht_bytes){entry->data + HTI_STAMP_BYTES,
                                            entry->len - HTI_STAMP_BYTES},
                                 &result);
        if (err != HT_OK) {
            return hti_core_fail(core, err, "the state machine failed");
        }
        break;
    case HTI_ENTRY_CHANGE:
        err = hti_core_conf_applied(core, entry->data, entry->len, index);
        break;
    default:
        break;
    }
    core->applied = index;
    core->applied_term = entry->term;
    core->since_bytes += entry->len;
    hti_core_applied_entry(core, index, entry->term, result);
    hti_core_change_applied(core, index);
    return err;
}

/* Only what is on the own disk too: so a snapshot never has more than the log
 * before it. */
static ht_err apply_all(struct hti_core *core)
{
    uint64_t to = core->raft.commit_index < core->raft.last_stored
                      ? core->raft.commit_index
                      : core->raft.last_stored;
    ht_err err = HT_OK;

    while (err == HT_OK && !core->restoring && core->applied < to) {
        struct hti_entry *entry =
            hti_cache_get(&core->cache, core->applied + 1);

        if (entry == NULL) {
            return hti_core_fail(core, HT_ECORRUPT, "an entry is missing");
        }
        hti_entry_ref(entry);
        err = apply_one(core, core->applied + 1, entry);
        hti_entry_unref(entry);
    }
    return err;
}

/* A leader's first entry, unless libraft made one: reads and the commit of what
 * came before wait for an entry of its own term. */
static ht_err first_of_term(struct hti_core *core)
{
    struct hti_entry *entry;
    ht_err err;
    int rv = 0;

    if (!hti_core_is(core, RAFT_LEADER) ||
        hti_core_term_at(core, hti_core_index(core)) ==
            core->raft.current_term) {
        return HT_OK;
    }
    entry = hti_entry_new(core->raft.current_term, HTI_ENTRY_BARRIER,
                          HTI_STAMP_BYTES);
    if (entry == NULL) {
        return hti_core_fail(core, HT_ENOMEM, "out of memory");
    }
    hti_le64(entry->data, core->last_time_ms);
    err = hti_core_submit_entries(core, &entry, 1, &rv);
    hti_entry_unref(entry);
    return err;
}

static ht_raft_role role_of(const struct hti_core *core)
{
    switch (core->raft.state) {
    case RAFT_LEADER:
        return hti_core_settled(core) ? HT_RAFT_LEADER : HT_RAFT_CANDIDATE;
    case RAFT_CANDIDATE:
        return HT_RAFT_CANDIDATE;
    default:
        return HT_RAFT_FOLLOWER;
    }
}

/* Removed it may not have the entry that says so. */
static void tell_member(struct hti_core *core)
{
    bool member = !core->removed && hti_conf_by_id(&core->raft.configuration,
                                                   core->meta.id) != NULL;

    if (member != core->member_told) {
        core->member_told = member;
        if (core->table->on_member != NULL) {
            core->table->on_member(core->machine, member);
        }
    }
}

static void tell_role(struct hti_core *core)
{
    ht_raft_role role = role_of(core);
    uint64_t leader = 0;

    if (!hti_core_is(core, RAFT_LEADER)) {
        hti_core_reads_fail(core, HT_ENOTLEADER);
    }
    if (role != core->role || core->raft.current_term != core->role_term) {
        if (role == HT_RAFT_CANDIDATE && core->role != HT_RAFT_CANDIDATE) {
            core->stats.elections++;
        }
        if (role != core->role && core->started) {
            hti_core_say(core, HT_LOG_INFO, "HT-RAFT-ROLE",
                         "group=%s role=%s term=%" PRIu64 " index=%" PRIu64,
                         core->group,
                         role == HT_RAFT_LEADER     ? "leader"
                         : role == HT_RAFT_FOLLOWER ? "follower"
                                                    : "candidate",
                         (uint64_t)core->raft.current_term, core->applied);
        }
        core->role = role;
        core->role_term = core->raft.current_term;
        if (core->table->on_role != NULL) {
            core->table->on_role(core->machine, role, core->role_term);
        }
    }
    (void)hti_core_leader(core, &leader);
    if (leader != core->leader_told) {
        core->leader_told = leader;
        if (core->table->on_leader != NULL) {
            core->table->on_leader(core->machine);
        }
    }
}

static void calm_down(struct hti_core *core)
{
    if (core->hasty && hti_core_is(core, RAFT_LEADER)) {
        core->hasty = false;
        raft_set_election_timeout(&core->raft, core->config.election_ms);
    }
}

/* How far ahead of a member's answers the leader sends: by bytes. */
static void set_ahead(struct hti_core *core)
{
    uint64_t average =
        core->cache.count > 0 ? core->cache.bytes / core->cache.count + 64 : 64;
    uint64_t ahead = HTI_AHEAD_BYTES_MAX / average;

    raft_set_max_inflight_entries(&core->raft, ahead < 8 ? 8
                                               : ahead > 4096
                                                   ? 4096
                                                   : (unsigned)ahead);
}

ht_err hti_core_settle(struct hti_core *core)
{
    uint64_t applied;
    ht_err err;

    do {
        applied = core->applied;
        err = first_of_term(core);
        if (err == HT_OK) {
            err = hti_core_submit_batch(core);
        }
        if (err == HT_OK) {
            err = apply_all(core);
        }
        if (err == HT_OK) {
            err = hti_core_change_run(core);
        }
        if (err != HT_OK) {
            return err;
        }
        tell_role(core);
        tell_member(core);
        hti_core_reads_run(core);
        hti_core_snap_run(core);
    } while (core->batch.count > 0 || applied != core->applied);
    calm_down(core);
    set_ahead(core);
    return core->failed;
}
