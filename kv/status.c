/* SPDX-License-Identifier: Apache-2.0 */
/* status.c - how a member is, in one reply. */
#include <stdlib.h>

#include "kv/member.h"

#define BUCKETS 24u

static const char *role_name(ht_raft_role role)
{
    switch (role) {
    case HT_RAFT_LEADER:
        return "leader";
    case HT_RAFT_CANDIDATE:
        return "candidate";
    case HT_RAFT_FOLLOWER:
        break;
    }
    return "follower";
}

/* The bucket below whose bound 99 of 100 were. */
static uint64_t commit_p99_us(const ht_raft_status *raft)
{
    uint64_t total = 0;
    uint64_t sum = 0;

    for (unsigned i = 0; i < BUCKETS; i++) {
        total += raft->commit_us_bucket[i];
    }
    for (unsigned i = 0; i < BUCKETS; i++) {
        sum += raft->commit_us_bucket[i];
        if (total > 0 && sum * 100 >= total * 99) {
            return 1ull << i;
        }
    }
    return 0;
}

static void show_raft(const ht_raft_status *raft, StatusReply *ret)
{
    ret->store = (char *)(uintptr_t)raft->group;
    ret->member = (char *)(uintptr_t)raft->node;
    ret->role = (char *)(uintptr_t)role_name(raft->role);
    ret->leader = (char *)(uintptr_t)raft->leader;
    ret->term = raft->term;
    ret->commit_index = raft->commit_index;
    ret->applied_index = raft->applied_index;
    ret->last_index = raft->last_index;
    ret->snapshot_index = raft->snapshot_index;
    ret->log_bytes = raft->log_bytes;
    ret->disk_full = raft->disk_full;
    ret->fsyncs_total = raft->fsyncs;
    ret->fsync_us = raft->fsyncs > 0 ? raft->fsync_us / raft->fsyncs : 0;
    ret->entries_total = raft->commits;
    ret->commit_us = raft->commits > 0 ? raft->commit_us / raft->commits : 0;
    ret->commit_p99_us = commit_p99_us(raft);
}

static void show_kv(const struct hti_kv_member *member, StatusReply *ret)
{
    const struct hti_kv *kv = member->kv;

    ret->revision = kv->revision;
    ret->compacted_revision = kv->history.compacted;
    ret->keys = kv->map.count;
    ret->bytes = kv->map.bytes;
    ret->leases = kv->leases.count;
    ret->watchers = member->watchers.count;
    ret->history_bytes = kv->history.bytes;
    ret->clients = kv->dedupe.count;
    ret->expired_total = kv->expired;
    ret->repeated_total = kv->repeated;
    ret->writes_total = member->counts.writes;
    ret->reads_total = member->counts.reads;
    ret->stale_reads_total = member->counts.stale_reads;
}

static void show_member(const ht_raft_status *raft,
                        const ht_raft_member *member,
                        Hardtack__Kv__MemberStatus *ret)
{
    bool leads = raft->role == HT_RAFT_LEADER;

    hardtack__kv__member_status__init(ret);
    ret->name = (char *)(uintptr_t)member->node;
    ret->role = (char *)(uintptr_t)(member->voter ? "voter" : "learner");
    ret->matched_index = member->match_index;
    ret->connected = member->online;
    ret->lag = leads && raft->last_index > member->match_index
                   ? raft->last_index - member->match_index
                   : 0;
}

ht_err hti_kv_member_status(struct hti_kv_member *member,
                            uint64_t forwarded,
                            uint64_t refused,
                            uint64_t waiting)
{
    Hardtack__Kv__MemberStatus members[HT_RAFT_MEMBERS_MAX];
    Hardtack__Kv__MemberStatus *list[HT_RAFT_MEMBERS_MAX];
    StatusReply reply = HARDTACK__KV__STATUS_REPLY__INIT;
    ht_raft_status *raft = calloc(1, sizeof(*raft));
    ht_err err;

    if (raft == NULL) {
        return HT_ENOMEM;
    }
    ht_raft_status_get(member->raft, raft);
    show_raft(raft, &reply);
    show_kv(member, &reply);
    for (uint32_t i = 0; i < raft->members_count && i < HT_RAFT_MEMBERS_MAX;
         i++) {
        show_member(raft, &raft->members[i], &members[i]);
        list[i] = &members[i];
        reply.n_members++;
    }
    reply.members = list;
    reply.forwarded_total = forwarded;
    reply.refused_total = refused + member->counts.refused;
    reply.waiting = waiting;
    err = hti_kv_answer(&member->kv->answer, &reply.base);
    free(raft);
    return err;
}
