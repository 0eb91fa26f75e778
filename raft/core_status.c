/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "raft/core_internal.h"

const char *hti_core_leader(const struct hti_core *core, uint64_t *ret_id)
{
    const struct raft *raft = &core->raft;

    *ret_id = 0;
    switch (raft->state) {
    case RAFT_LEADER:
        if (raft->leader_state.transferee != 0) {
            return "";
        }
        *ret_id = raft->id;
        return core->node;
    case RAFT_FOLLOWER:
        if (raft->follower_state.current_leader.id == 0 ||
            raft->follower_state.current_leader.address == NULL) {
            return "";
        }
        *ret_id = raft->follower_state.current_leader.id;
        return raft->follower_state.current_leader.address;
    default:
        return "";
    }
}

bool hti_core_knows(const struct hti_core *core, uint64_t id, const char *node)
{
    const struct raft_server *server =
        hti_conf_by_id(&core->raft.configuration, id);

    return server != NULL && strcmp(server->address, node) == 0;
}

bool hti_core_from_member(const struct hti_core *core, const char *node)
{
    return node[0] != '\0' && strcmp(node, core->node) != 0 &&
           hti_conf_by_name(&core->raft.configuration, node) != NULL;
}

uint64_t hti_core_term(const struct hti_core *core)
{
    return core->raft.current_term;
}

uint64_t hti_core_id(const struct hti_core *core)
{
    return core->meta.id;
}

uint64_t hti_core_commit(const struct hti_core *core)
{
    return core->raft.commit_index;
}

uint64_t hti_core_last(const struct hti_core *core)
{
    return hti_core_index(core);
}

uint64_t hti_core_applied(const struct hti_core *core)
{
    return core->applied;
}

const struct hti_entry *hti_core_entry(const struct hti_core *core,
                                       uint64_t index)
{
    return hti_cache_get(&core->cache, index);
}

static void status_member(const struct hti_core *core,
                          const struct raft_server *server,
                          uint64_t leader,
                          ht_raft_member *ret_member)
{
    raft_index match = 0;

    ret_member->id = server->id;
    (void)snprintf(ret_member->node, sizeof(ret_member->node), "%s",
                   server->address);
    ret_member->voter = server->role == RAFT_VOTER;
    ret_member->leader = server->id == leader;
    if (!hti_core_is(core, RAFT_LEADER)) {
        return;
    }
    if (raft_match_index(&core->raft, server->id, &match) == 0) {
        ret_member->match_index = match;
    }
    ret_member->online = server->id == core->meta.id;
    for (size_t i = 0; i < HT_RAFT_MEMBERS_MAX; i++) {
        if (core->heard[i].id == server->id && core->heard[i].us != 0 &&
            core->now.us - core->heard[i].us <=
                (uint64_t)core->config.election_ms * 1000) {
            ret_member->online = true;
        }
        if (core->xfers[i].id == server->id) {
            ret_member->snapshot_sent_bytes = core->xfers[i].acked;
        }
    }
}

void hti_core_status(const struct hti_core *core, ht_raft_status *ret_status)
{
    const struct raft_configuration *conf = &core->raft.configuration;
    const struct raft_server *self = hti_conf_by_id(conf, core->meta.id);
    ht_raft_status *status = ret_status;
    uint64_t leader = 0;

    *status = core->stats;
    (void)snprintf(status->group, sizeof(status->group), "%s", core->group);
    (void)snprintf(status->node, sizeof(status->node), "%s", core->node);
    (void)snprintf(status->leader, sizeof(status->leader), "%s",
                   hti_core_leader(core, &leader));
    status->id = core->meta.id;
    status->role = core->role != 0 ? core->role : HT_RAFT_FOLLOWER;
    status->member = self != NULL;
    status->voter = self != NULL && self->role == RAFT_VOTER;
    status->removed = core->removed;
    status->term = core->raft.current_term;
    status->first_index = core->cache.first;
    status->last_index = hti_core_index(core);
    status->stored_index = core->raft.last_stored;
    status->commit_index = core->raft.commit_index;
    status->applied_index = core->applied;
    status->snapshot_index = core->snap.index;
    status->log_bytes = core->since_bytes;
    status->pending = core->batch.count + core->proposals.count +
                      core->asking.count + core->asked.count +
                      core->reads.count;
    for (unsigned i = 0; i < conf->n && i < HT_RAFT_MEMBERS_MAX; i++) {
        status_member(core, &conf->servers[i], leader,
                      &status->members[status->members_count++]);
    }
}
