/* SPDX-License-Identifier: Apache-2.0 */
/* Proposals and reads.
 *
 * A proposal is answered when its index is applied: with the result if the
 * entry there is of its term, else it was never done.  Terms only grow along a
 * log, so an applied entry of a later term also ends all older ones behind it.
 *
 * A read waits for a round: after it came, a majority of the voters says that
 * the leader's term is still theirs.  Then no later leader can have committed
 * anything before the read, and what was committed when the round began, once
 * applied, is fresh enough.
 */
#include <stdlib.h>
#include <string.h>

#include "raft/core_internal.h"

/* Entries given to libraft at once. */
#define BATCH_MAX 1024

static size_t pending(const struct hti_core *core)
{
    return core->batch.count + core->proposals.count + core->asking.count +
           core->asked.count + core->reads.count;
}

static void answer(struct hti_core *core,
                   const struct hti_proposal *proposal,
                   ht_err err,
                   ht_bytes result)
{
    if (err == HT_OK) {
        uint64_t us = core->now.us - proposal->began_us;
        unsigned bucket = 0;

        while (bucket < 23 && us >= (uint64_t)1 << bucket) {
            bucket++;
        }
        core->stats.commits++;
        core->stats.commit_us += us;
        core->stats.commit_us_bucket[bucket]++;
    }
    core->pending_bytes -= proposal->bytes;
    hti_entry_unref(proposal->entry);
    if (proposal->done != NULL) {
        proposal->done(proposal->arg, err, result,
                       err == HT_OK ? proposal->index : 0);
    }
}

/* Whether the leader and a majority have room for an entry. */
static bool has_room(const struct hti_core *core)
{
    const struct raft_configuration *conf = &core->raft.configuration;
    unsigned full = 0;

    for (unsigned i = 0; i < conf->n; i++) {
        for (size_t j = 0; j < HT_RAFT_MEMBERS_MAX; j++) {
            full += conf->servers[i].role == RAFT_VOTER &&
                    core->heard[j].id == conf->servers[i].id &&
                    core->heard[j].full;
        }
    }
    return !core->full && 2 * full < hti_conf_voters(conf);
}

ht_err hti_core_propose(struct hti_core *core,
                        struct hti_when now,
                        ht_bytes command,
                        ht_raft_done_fn done,
                        void *arg)
{
    struct hti_proposal *proposal;
    struct hti_entry *entry;

    if (!hti_core_is(core, RAFT_LEADER) ||
        core->raft.leader_state.transferee != 0 || core->failed != HT_OK) {
        return HT_ENOTLEADER;
    }
    if (command.len > core->config.command_bytes_max) {
        return HT_ETOOBIG;
    }
    if (!has_room(core)) {
        return HT_ENOSPC;
    }
    if (pending(core) >= core->config.pending_max ||
        (core->pending_bytes > 0 &&
         core->pending_bytes + command.len > HTI_PENDING_BYTES_MAX)) {
        return HT_EBUSY;
    }
    entry = hti_entry_new(core->raft.current_term, HTI_ENTRY_COMMAND,
                          HTI_STAMP_BYTES + command.len);
    proposal = entry != NULL ? hti_ring_push(&core->batch) : NULL;
    if (proposal == NULL) {
        hti_entry_unref(entry);
        return HT_ENOMEM;
    }
    /* The leader's clock, which never goes back in one log. */
    if (now.wall_ms > core->last_time_ms) {
        core->last_time_ms = now.wall_ms;
    }
    hti_le64(entry->data, core->last_time_ms);
    if (command.len > 0) {
        memcpy(entry->data + HTI_STAMP_BYTES, command.data, command.len);
    }
    *proposal = (struct hti_proposal){.entry = entry,
                                      .began_us = now.us,
                                      .bytes = entry->len,
                                      .done = done,
                                      .arg = arg};
    core->pending_bytes += entry->len;
    core->stats.proposals++;
    return HT_OK;
}

static ht_err refused_as(int rv)
{
    switch (rv) {
    case RAFT_NOSPACE:
        return HT_ENOSPC;
    default:
        return HT_ENOTLEADER;
    }
}

/* Move the batch's first count proposals to those that are submitted. */
static ht_err submitted(struct hti_core *core, size_t count, uint64_t index)
{
    for (size_t i = 0; i < count; i++) {
        struct hti_proposal *from = hti_ring_at(&core->batch, 0);
        struct hti_proposal *to = hti_ring_push(&core->proposals);

        if (to == NULL) {
            return hti_core_fail(core, HT_ENOMEM, "out of memory");
        }
        *to = *from;
        to->index = index + i;
        to->term = core->raft.current_term;
        hti_entry_unref(to->entry);
        to->entry = NULL;
        hti_ring_pop(&core->batch);
    }
    return HT_OK;
}

static void refuse_batch(struct hti_core *core, size_t count, ht_err err)
{
    while (count-- > 0) {
        struct hti_proposal proposal =
            *(struct hti_proposal *)hti_ring_at(&core->batch, 0);

        hti_ring_pop(&core->batch);
        /* Said as its end, since it was taken: surely not done. */
        answer(core, &proposal, err == HT_ENOSPC ? err : HT_ECANCELLED,
               (ht_bytes){0});
    }
}

ht_err hti_core_submit_batch(struct hti_core *core)
{
    struct hti_entry *entries[BATCH_MAX];
    ht_err err = HT_OK;

    while (err == HT_OK && core->batch.count > 0) {
        size_t count =
            core->batch.count < BATCH_MAX ? core->batch.count : BATCH_MAX;
        uint64_t index = hti_core_index(core) + 1;
        int rv = 0;

        for (size_t i = 0; i < count; i++) {
            struct hti_proposal *proposal = hti_ring_at(&core->batch, i);

            entries[i] = proposal->entry;
        }
        err = hti_core_submit_entries(core, entries, count, &rv);
        if (err == HT_OK && rv == 0) {
            err = submitted(core, count, index);
        } else if (err == HT_OK) {
            refuse_batch(core, count, refused_as(rv));
        }
    }
    return err;
}

static void end_first(struct hti_core *core, ht_err err, ht_bytes result)
{
    struct hti_proposal proposal =
        *(struct hti_proposal *)hti_ring_at(&core->proposals, 0);

    hti_ring_pop(&core->proposals);
    answer(core, &proposal, err, result);
}

void hti_core_applied_entry(struct hti_core *core,
                            uint64_t index,
                            uint64_t term,
                            ht_bytes result)
{
    while (core->proposals.count > 0) {
        struct hti_proposal *first = hti_ring_at(&core->proposals, 0);

        if (first->term == term && first->index == index) {
            end_first(core, HT_OK, result);
            return;
        }
        if (first->term >= term) {
            return;
        }
        end_first(core, HT_ECANCELLED, (ht_bytes){0});
    }
}

void hti_core_skipped(struct hti_core *core, uint64_t index, uint64_t term)
{
    while (core->proposals.count > 0) {
        struct hti_proposal *first = hti_ring_at(&core->proposals, 0);

        if (first->index > index && first->term >= term) {
            return;
        }
        end_first(core, first->index <= index ? HT_EUNKNOWN : HT_ECANCELLED,
                  (ht_bytes){0});
    }
}

/* ---- reads ------------------------------------------------------------- */

ht_err hti_core_read(struct hti_core *core, ht_raft_ready_fn ready, void *arg)
{
    struct hti_read *read;

    if (!hti_core_is(core, RAFT_LEADER) || core->failed != HT_OK) {
        return HT_ENOTLEADER;
    }
    if (pending(core) >= core->config.pending_max) {
        return HT_EBUSY;
    }
    read = hti_ring_push(&core->asking);
    if (read == NULL) {
        return HT_ENOMEM;
    }
    *read = (struct hti_read){.ready = ready, .arg = arg};
    core->stats.reads++;
    return HT_OK;
}

static void ask_members(struct hti_core *core)
{
    const struct raft_configuration *conf = &core->raft.configuration;
    struct hti_wire wire = {.kind = HTI_WIRE_READ,
                            .term = core->raft.current_term};

    wire.u.read.round = core->round_number;
    for (unsigned i = 0; i < conf->n; i++) {
        if (conf->servers[i].id != core->meta.id &&
            conf->servers[i].role == RAFT_VOTER) {
            hti_core_send(core, conf->servers[i].id, conf->servers[i].address,
                          &wire);
        }
    }
    core->round_us = core->now.us;
}

static bool majority(const struct hti_core *core)
{
    const struct raft_configuration *conf = &core->raft.configuration;
    unsigned voters = 0;
    unsigned agree = 0;

    for (unsigned i = 0; i < conf->n; i++) {
        if (conf->servers[i].role != RAFT_VOTER) {
            continue;
        }
        voters++;
        agree += conf->servers[i].id == core->meta.id;
        for (unsigned j = 0; j < core->round_acked; j++) {
            agree += core->round_acks[j] == conf->servers[i].id;
        }
    }
    return agree > voters / 2;
}

static void round_end(struct hti_core *core)
{
    core->round = false;
    while (core->asked.count > 0) {
        struct hti_read *from = hti_ring_at(&core->asked, 0);
        struct hti_read *to = hti_ring_push(&core->reads);
        struct hti_read read = *from;

        hti_ring_pop(&core->asked);
        if (to != NULL) {
            *to = read;
            to->index = core->round_index;
        } else {
            read.ready(read.arg, HT_ENOMEM);
        }
    }
}

/* What is committed now is what was before any of these reads came; unless
 * this leader does not know yet, not having committed in its term. */
static void round_begin(struct hti_core *core)
{
    struct hti_ring empty = core->asked;

    if (!hti_core_is(core, RAFT_LEADER) || core->round ||
        core->asking.count == 0 ||
        hti_core_term_at(core, core->raft.commit_index) !=
            core->raft.current_term) {
        return;
    }
    core->asked = core->asking;
    core->asking = empty;
    core->round = true;
    core->round_number++;
    core->round_index = core->raft.commit_index;
    core->round_acked = 0;
    core->stats.read_rounds++;
    if (!majority(core)) {
        ask_members(core);
    }
}

void hti_core_reads_run(struct hti_core *core)
{
    round_begin(core);
    while (core->round && majority(core)) {
        round_end(core);
        round_begin(core);
    }
    while (core->reads.count > 0) {
        struct hti_read read = *(struct hti_read *)hti_ring_at(&core->reads, 0);

        if (read.index > core->applied || core->restoring) {
            return;
        }
        hti_ring_pop(&core->reads);
        read.ready(read.arg, HT_OK);
    }
}

void hti_core_read_ack(struct hti_core *core, const struct hti_wire *wire)
{
    if (!hti_core_is(core, RAFT_LEADER) || !core->round ||
        wire->term != core->raft.current_term ||
        wire->u.read.round != core->round_number ||
        core->round_acked == HT_RAFT_MEMBERS_MAX) {
        return;
    }
    for (unsigned i = 0; i < core->round_acked; i++) {
        if (core->round_acks[i] == wire->from) {
            return;
        }
    }
    core->round_acks[core->round_acked++] = wire->from;
}

void hti_core_read_tick(struct hti_core *core)
{
    if (core->round && hti_core_is(core, RAFT_LEADER) &&
        core->now.us - core->round_us >=
            (uint64_t)core->config.heartbeat_ms * 1000) {
        ask_members(core);
    }
}

static void fail_ring(struct hti_ring *ring, ht_err err)
{
    while (ring->count > 0) {
        struct hti_read read = *(struct hti_read *)hti_ring_at(ring, 0);

        hti_ring_pop(ring);
        read.ready(read.arg, err);
    }
}

void hti_core_reads_fail(struct hti_core *core, ht_err err)
{
    core->round = false;
    fail_ring(&core->reads, err);
    fail_ring(&core->asked, err);
    fail_ring(&core->asking, err);
}

/* Those of a batch that the member failed over: a part may have been sent. */
static void end_batch(struct hti_core *core)
{
    while (core->failed != HT_OK && core->batch.count > 0) {
        struct hti_proposal proposal =
            *(struct hti_proposal *)hti_ring_at(&core->batch, 0);

        hti_ring_pop(&core->batch);
        answer(core, &proposal, HT_ECLOSED, (ht_bytes){0});
    }
    refuse_batch(core, core->batch.count, HT_ECANCELLED);
}

void hti_core_client_fini(struct hti_core *core)
{
    end_batch(core);
    while (core->proposals.count > 0) {
        end_first(core, HT_ECLOSED, (ht_bytes){0});
    }
    hti_core_reads_fail(core, HT_ECLOSED);
    hti_ring_fini(&core->batch);
    hti_ring_fini(&core->proposals);
    hti_ring_fini(&core->asking);
    hti_ring_fini(&core->asked);
    hti_ring_fini(&core->reads);
}
