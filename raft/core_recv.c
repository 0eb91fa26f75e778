/* SPDX-License-Identifier: Apache-2.0 */
/* What a peer said, judged before libraft sees it.
 *
 * libraft 0.22.1 asserts where it could refuse, and takes a few turns that are
 * right only on a network that neither repeats nor reorders.  Each check below
 * says which.  A message that fails one is dropped and counted, which is what
 * the network might have done with it.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "raft/core_internal.h"

static ht_err refuse(struct hti_core *core)
{
    core->stats.messages_refused++;
    return HT_OK;
}

static bool is_member(const struct hti_core *core, uint64_t id)
{
    return hti_conf_by_id(&core->raft.configuration, id) != NULL;
}

static ht_err receive(struct hti_core *core, struct raft_message *message)
{
    struct raft_event event = {.type = RAFT_RECEIVE};

    event.receive.message = message;
    return hti_core_step(core, &event, NULL);
}

static struct raft_message message_of(const struct hti_wire *wire,
                                      const char *node,
                                      enum raft_message_type type)
{
    struct raft_message message;

    memset(&message, 0, sizeof(message));
    message.type = (unsigned short)type;
    message.server_id = wire->from;
    message.server_address = node;
    return message;
}

/* A member that was taken out while it did not listen goes on asking. */
static ht_err tell_removed(struct hti_core *core,
                           const char *node,
                           const struct hti_wire *wire)
{
    struct hti_wire answer = {.kind = HTI_WIRE_REMOVED,
                              .term = core->raft.current_term};

    if (hti_core_is(core, RAFT_LEADER) &&
        core->raft.configuration_uncommitted_index == 0) {
        hti_core_send(core, wire->from, node, &answer);
    }
    return refuse(core);
}

/* ---- entries ----------------------------------------------------------- */

/* Of an entry that libraft knows; a snapshot that is being installed is its own
 * already. */
static uint64_t known_term(const struct hti_core *core, uint64_t index)
{
    const struct raft_trail *trail = &core->raft.trail;

    return index != 0 && index == trail->snapshot.index
               ? trail->snapshot.term
               : hti_core_term_at(core, index);
}

/* Whether an entry may not be replaced: it is committed, or a configuration
 * that is stands behind it, or it is the group's first configuration, without
 * which libraft has none to go back to. */
static bool stands(const struct hti_core *core, uint64_t index)
{
    const struct raft *raft = &core->raft;
    uint64_t conf = raft->configuration_committed_index;

    return index <= raft->commit_index || index <= conf ||
           (conf == 0 && index <= raft->configuration_uncommitted_index);
}

/* libraft ends the process over a conflict with what is committed, and over
 * terms that go back. */
static bool append_fits(struct hti_core *core,
                        uint64_t prev_index,
                        uint64_t prev_term,
                        const struct raft_entry *entries,
                        unsigned count)
{
    uint64_t term = known_term(core, prev_index);

    if (prev_index != 0 && prev_index <= core->raft.commit_index && term != 0 &&
        term != prev_term) {
        return false;
    }
    if (count > 0 && entries[0].term < prev_term) {
        return false; /* prev may be the own snapshot's end */
    }
    for (unsigned i = 0; i < count; i++) {
        uint64_t index = prev_index + 1 + i;

        term = known_term(core, index);
        if (term != 0 && term != entries[i].term && stands(core, index)) {
            return false;
        }
    }
    return true;
}

/* What the snapshot has is committed, and every leader has it alike.  libraft
 * does not know such entries by their index any more, and would take them for
 * new ones; so the message begins behind the snapshot. */
static void skip_compacted(const struct hti_core *core,
                           uint64_t *prev_index,
                           uint64_t *prev_term,
                           struct raft_entry **entries,
                           uint32_t *count)
{
    uint64_t index = core->raft.trail.snapshot.index;
    uint64_t skip = index - *prev_index;

    if (*prev_index >= core->raft.trail.offset) {
        return;
    }
    *count = *count > skip ? *count - (uint32_t)skip : 0;
    *entries += *count > 0 ? skip : 0;
    *prev_index = index;
    *prev_term = core->raft.trail.snapshot.term;
}

static ht_err append_part(struct hti_core *core,
                          const char *node,
                          const struct hti_wire *wire,
                          uint64_t prev_index,
                          uint64_t prev_term,
                          struct raft_entry *entries,
                          unsigned count)
{
    struct raft_message message = message_of(wire, node, RAFT_APPEND_ENTRIES);
    struct raft_append_entries *args = &message.append_entries;
    uint64_t commit = wire->u.append.commit;

    /* One of an earlier term is refused as such. */
    if (wire->term >= core->raft.current_term &&
        !append_fits(core, prev_index, prev_term, entries, count)) {
        hti_core_say(core, HT_LOG_ERROR, "HT-RAFT-CONFLICT",
                     "group=%s from=%s index=%" PRIu64 " commit=%" PRIu64,
                     core->group, node, prev_index,
                     (uint64_t)core->raft.commit_index);
        return refuse(core);
    }
    /* libraft sets its commit index back to the end of an older message. */
    if (prev_index + count < core->raft.commit_index &&
        commit > core->raft.commit_index) {
        commit = core->raft.commit_index;
    }
    if (count > 0) {
        /* libraft frees it, unless it hands the entries on. */
        entries[0].batch = raft_malloc(1);
        if (entries[0].batch == NULL) {
            return hti_core_fail(core, HT_ENOMEM, "out of memory");
        }
    }
    args->term = wire->term;
    args->prev_log_index = prev_index;
    args->prev_log_term = prev_term;
    args->leader_commit = commit;
    args->entries = entries;
    args->n_entries = count;
    core->batch_kept = false;
    {
        void *batch = count > 0 ? entries[0].batch : NULL;
        ht_err err = receive(core, &message);

        if (core->batch_kept) {
            raft_free(batch);
        }
        return err;
    }
}

static void read_entries(const struct hti_wire *wire,
                         struct raft_entry *entries)
{
    struct hti_rbuf buf = {.data = wire->u.append.entries,
                           .len = wire->u.append.entries_len};

    for (uint32_t i = 0; i < wire->u.append.count; i++) {
        struct hti_wire_entry entry = {0};

        (void)hti_wire_next_entry(&buf, &entry);
        entries[i] = (struct raft_entry){
            .term = entry.term,
            .type = (enum raft_entry_type)entry.type,
            .buf = {.base = (void *)(uintptr_t)entry.data.data,
                    .len = entry.data.len},
        };
    }
}

/* A configuration begins a message of its own: libraft notes the index of the
 * message's first entry for it.  And the one before it is marked as committed
 * first, since libraft remembers one that is not: a leader proposes one only
 * when the one before is committed, so a log that has both says so, whether or
 * not the commit index is known to have got there. */
static ht_err conf_before(struct hti_core *core,
                          const char *node,
                          const struct hti_wire *wire,
                          uint64_t index,
                          uint64_t term,
                          bool *ret_go_on)
{
    uint64_t pending = core->raft.configuration_uncommitted_index;
    ht_err err = HT_OK;

    *ret_go_on = true;
    if (pending == 0 || index + 1 <= pending) {
        return HT_OK;
    }
    if (wire->term < core->raft.current_term ||
        hti_core_term_at(core, index) != term) {
        /* It will be refused, whatever follows. */
        *ret_go_on = false;
        return append_part(core, node, wire, index, term, NULL, 0);
    }
    err = hti_core_conf_committed(core);
    return err;
}

static ht_err append_parts(struct hti_core *core,
                           const char *node,
                           const struct hti_wire *wire,
                           struct raft_entry *entries)
{
    uint64_t index = wire->u.append.prev_index;
    uint64_t term = wire->u.append.prev_term;
    uint32_t count = wire->u.append.count;
    uint32_t from = 0;
    ht_err err = HT_OK;

    if (wire->term >= core->raft.current_term) {
        skip_compacted(core, &index, &term, &entries, &count);
    }
    do {
        uint32_t to = from;
        bool go_on = true;

        if (from < count && entries[from].type == RAFT_CHANGE) {
            err = conf_before(core, node, wire, index, term, &go_on);
            if (err != HT_OK || !go_on) {
                return err;
            }
            to++;
        }
        while (to < count && entries[to].type != RAFT_CHANGE) {
            to++;
        }
        err = append_part(core, node, wire, index, term, entries + from,
                          to - from);
        if (to > from) {
            index += to - from;
            term = entries[to - 1].term;
        }
        from = to;
    } while (err == HT_OK && from < count);
    return err;
}

static ht_err recv_append(struct hti_core *core,
                          const char *node,
                          const struct hti_wire *wire)
{
    struct raft_entry *entries;
    ht_err err;

    /* A second leader of a term: libraft asserts that there is none. */
    if (hti_core_is(core, RAFT_LEADER) &&
        wire->term == core->raft.current_term) {
        return refuse(core);
    }
    entries = calloc((size_t)wire->u.append.count + 1, sizeof(*entries));
    if (entries == NULL) {
        return hti_core_fail(core, HT_ENOMEM, "out of memory");
    }
    if (wire->term >= core->raft.current_term) {
        core->removed = false;
        if (core->hasty) {
            core->hasty = false;
            raft_set_election_timeout(&core->raft, core->config.election_ms);
        }
        if (core->meta.group == 0) {
            core->meta.group = wire->group;
        }
    }
    read_entries(wire, entries);
    err = append_parts(core, node, wire, entries);
    free(entries);
    return err;
}

static ht_err recv_append_result(struct hti_core *core,
                                 const char *node,
                                 const struct hti_wire *wire)
{
    struct raft_message message =
        message_of(wire, node, RAFT_APPEND_ENTRIES_RESULT);
    raft_index match = 0;

    /* libraft steps down for the term of whoever answers. */
    if (!is_member(core, wire->from)) {
        return tell_removed(core, node, wire);
    }
    if (!hti_core_is(core, RAFT_LEADER)) {
        return HT_OK;
    }
    /* A refusal from before what was acknowledged since: libraft would set
     * the member back behind that, and assert that it did not. */
    if (wire->u.append_result.rejected > 0 &&
        wire->term <= core->raft.current_term &&
        raft_match_index(&core->raft, wire->from, &match) == 0 &&
        (wire->u.append_result.rejected <= match ||
         wire->u.append_result.last_index < match)) {
        return HT_OK;
    }
    for (size_t i = 0; i < HT_RAFT_MEMBERS_MAX; i++) {
        if (core->heard[i].id == wire->from) {
            core->heard[i].full = wire->u.append_result.capacity == 0;
        }
    }
    message.append_entries_result.version = 2;
    message.append_entries_result.term = wire->term;
    message.append_entries_result.rejected = wire->u.append_result.rejected;
    message.append_entries_result.last_log_index =
        wire->u.append_result.last_index;
    message.append_entries_result.features = wire->u.append_result.features;
    message.append_entries_result.capacity = wire->u.append_result.capacity;
    return receive(core, &message);
}

/* ---- elections --------------------------------------------------------- */

static ht_err
recv_vote(struct hti_core *core, const char *node, const struct hti_wire *wire)
{
    struct raft_message message = message_of(wire, node, RAFT_REQUEST_VOTE);
    struct raft_request_vote *args = &message.request_vote;
    struct hti_wire answer = {.kind = HTI_WIRE_VOTE_RESULT};
    bool member = is_member(core, wire->from);

    /* Who is not in our configuration may be in a newer one, so it may be
     * voted for; but it cannot unseat a leader. */
    if (!member && hti_core_is(core, RAFT_LEADER)) {
        return tell_removed(core, node, wire);
    }
    /* libraft answers a pre-vote with the term that was asked about, so whoever
     * is behind in terms, but has the longest log, would never learn of ours
     * and never be voted for. */
    if (wire->u.vote.pre && wire->term < core->raft.current_term) {
        answer.term = core->raft.current_term;
        answer.u.vote_result.pre = true;
        hti_core_send(core, wire->from, node, &answer);
        return HT_OK;
    }
    args->version = 2;
    args->term = wire->term;
    args->candidate_id = wire->u.vote.candidate;
    args->last_log_index = wire->u.vote.last_index;
    args->last_log_term = wire->u.vote.last_term;
    args->disrupt_leader = wire->u.vote.disrupt && member;
    args->pre_vote = wire->u.vote.pre;
    return receive(core, &message);
}

static ht_err recv_vote_result(struct hti_core *core,
                               const char *node,
                               const struct hti_wire *wire)
{
    struct raft_message message =
        message_of(wire, node, RAFT_REQUEST_VOTE_RESULT);
    struct raft_request_vote_result *args = &message.request_vote_result;

    /* Of others libraft reads whether it is in a pre-vote, which only a
     * candidate knows. */
    if (!hti_core_is(core, RAFT_CANDIDATE) || !is_member(core, wire->from)) {
        return HT_OK;
    }
    /* Nobody grants what was not asked for. */
    if (wire->u.vote_result.granted &&
        wire->term > core->raft.current_term + 1) {
        return refuse(core);
    }
    args->version = 2;
    args->term = wire->term;
    args->vote_granted = wire->u.vote_result.granted;
    args->pre_vote = wire->u.vote_result.pre;
    args->features = wire->u.vote_result.features;
    args->capacity = wire->u.vote_result.capacity;
    return receive(core, &message);
}

static ht_err recv_timeout_now(struct hti_core *core,
                               const char *node,
                               const struct hti_wire *wire)
{
    struct raft_message message = message_of(wire, node, RAFT_TIMEOUT_NOW);

    if (wire->term != core->raft.current_term) {
        return HT_OK;
    }
    if (hti_conf_voters(&core->raft.configuration) == 1) {
        return HT_OK; /* its own timeout comes, in a term of its own */
    }
    message.timeout_now.term = wire->term;
    message.timeout_now.last_log_index = wire->u.timeout_now.last_index;
    message.timeout_now.last_log_term = wire->u.timeout_now.last_term;
    return receive(core, &message);
}

/* ---- our own ----------------------------------------------------------- */

static ht_err
recv_hello(struct hti_core *core, const char *node, const struct hti_wire *wire)
{
    struct hti_wire answer = {.kind = HTI_WIRE_HELLO_ACK,
                              .term = core->raft.current_term};

    hti_core_send(core, wire->from, node, &answer);
    return HT_OK;
}

static ht_err
recv_read(struct hti_core *core, const char *node, const struct hti_wire *wire)
{
    struct hti_wire answer = {.kind = HTI_WIRE_READ_ACK, .term = wire->term};

    /* In a later term another may lead; then the answer is silence. */
    if (wire->term == core->raft.current_term) {
        answer.u.read.round = wire->u.read.round;
        hti_core_send(core, wire->from, node, &answer);
    }
    return HT_OK;
}

static ht_err
dispatch(struct hti_core *core, const char *node, const struct hti_wire *wire)
{
    switch (wire->kind) {
    case HTI_WIRE_APPEND:
        return recv_append(core, node, wire);
    case HTI_WIRE_APPEND_RESULT:
        return recv_append_result(core, node, wire);
    case HTI_WIRE_VOTE:
        return recv_vote(core, node, wire);
    case HTI_WIRE_VOTE_RESULT:
        return recv_vote_result(core, node, wire);
    case HTI_WIRE_TIMEOUT_NOW:
        return recv_timeout_now(core, node, wire);
    case HTI_WIRE_READ:
        return recv_read(core, node, wire);
    case HTI_WIRE_READ_ACK:
        hti_core_read_ack(core, wire);
        return HT_OK;
    case HTI_WIRE_PIECE:
        return hti_core_intake(core, node, wire);
    case HTI_WIRE_PIECE_ACK:
        hti_core_xfer_ack(core, wire);
        return HT_OK;
    case HTI_WIRE_HELLO:
        return recv_hello(core, node, wire);
    case HTI_WIRE_HELLO_ACK:
        hti_core_hello_ack(core, node, wire);
        return HT_OK;
    case HTI_WIRE_REMOVED:
        hti_core_was_removed(core);
        return HT_OK;
    case HTI_WIRE_LEAVE:
        hti_core_asked_to_remove(core, node);
        return HT_OK;
    }
    return HT_OK;
}

/* Nobody is that many elections ahead; one message must not use up all the
 * terms there are. */
#define TERMS_AHEAD_MAX ((uint64_t)1 << 32)

/* Whether it is from whom it says, and for this member and its group. */
static bool admit(const struct hti_core *core,
                  const char *node,
                  const struct hti_wire *wire)
{
    const struct raft_server *server =
        hti_conf_by_id(&core->raft.configuration, wire->from);

    /* On the own node there is no other member, only somebody who may send. */
    if (wire->from == core->meta.id || strcmp(node, core->node) == 0 ||
        wire->term > core->raft.current_term + TERMS_AHEAD_MAX ||
        (server != NULL && strcmp(server->address, node) != 0)) {
        return false;
    }
    if (wire->kind == HTI_WIRE_HELLO || wire->kind == HTI_WIRE_HELLO_ACK) {
        return wire->to == 0 || wire->to == core->meta.id;
    }
    if (wire->to != core->meta.id || wire->group == 0) {
        return false;
    }
    if (core->meta.group == 0) {
        /* It waits to be added: only a leader's words count. */
        return wire->kind == HTI_WIRE_APPEND || wire->kind == HTI_WIRE_PIECE;
    }
    return wire->group == core->meta.group;
}

/* For status. The place of one who has long been silent is given away. */
static void note_heard(struct hti_core *core, uint64_t id)
{
    size_t at = 0;

    for (size_t i = 0; i < HT_RAFT_MEMBERS_MAX; i++) {
        if (core->heard[i].id == id) {
            at = i;
            break;
        }
        if (core->heard[i].us < core->heard[at].us) {
            at = i;
        }
    }
    if (core->heard[at].id != id) {
        core->heard[at].full = false;
    }
    core->heard[at].id = id;
    core->heard[at].us = core->now.us;
}

ht_err hti_core_receive(struct hti_core *core,
                        struct hti_when now,
                        const char *node,
                        ht_bytes bytes)
{
    struct hti_wire wire;
    ht_err err;

    core->stats.messages_received++;
    if (hti_wire_decode(bytes, &wire) != HT_OK || !admit(core, node, &wire)) {
        return refuse(core);
    }
    err = hti_core_event(core, now);
    note_heard(core, wire.from);
    if (err == HT_OK) {
        err = dispatch(core, node, &wire);
    }
    return err == HT_OK ? hti_core_settle(core) : err;
}
