/* SPDX-License-Identifier: Apache-2.0 */
#include "raft/core.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "raft/core_internal.h"

/* ---- words ------------------------------------------------------------- */

ht_err hti_core_fail(struct hti_core *core, ht_err err, const char *why)
{
    if (core->failed == HT_OK && err != HT_OK) {
        core->failed = err;
        (void)snprintf(core->failure, sizeof(core->failure), "%s", why);
    }
    return err;
}

const char *hti_core_failure(const struct hti_core *core)
{
    return core->failure;
}

void hti_core_say(struct hti_core *core,
                  ht_log_level level,
                  const char *id,
                  const char *format,
                  ...)
{
    char text[512];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    core->ops->log(core->ops_arg, level, id, text);
}

bool hti_core_is(const struct hti_core *core, unsigned short state)
{
    return core->raft.state == state;
}

/* libraft's own functions that only look are not const. */
static struct raft *raft_of(const struct hti_core *core)
{
    return (struct raft *)(uintptr_t)&core->raft;
}

uint64_t hti_core_index(const struct hti_core *core)
{
    return raft_last_index(raft_of(core));
}

uint64_t hti_core_term_at(const struct hti_core *core, uint64_t index)
{
    const struct hti_entry *entry = hti_cache_get(&core->cache, index);

    if (entry != NULL) {
        return entry->term;
    }
    return index == core->snap.index ? core->snap.term : 0;
}

bool hti_core_settled(const struct hti_core *core)
{
    return core->applied_term == core->raft.current_term && !core->restoring;
}

/* ---- rings ------------------------------------------------------------- */

void *hti_ring_at(const struct hti_ring *ring, size_t i)
{
    return ring->items + ((ring->head + i) & (ring->cap - 1)) * ring->item;
}

void *hti_ring_push(struct hti_ring *ring)
{
    void *item;

    if (ring->count == ring->cap) {
        struct hti_ring more = *ring;

        more.cap = ring->cap != 0 ? ring->cap * 2 : 16;
        more.head = 0;
        more.items = calloc(more.cap, ring->item);
        if (more.items == NULL) {
            return NULL;
        }
        for (size_t i = 0; i < ring->count; i++) {
            memcpy(hti_ring_at(&more, i), hti_ring_at(ring, i), ring->item);
        }
        free(ring->items);
        *ring = more;
    }
    ring->count++;
    item = hti_ring_at(ring, ring->count - 1);
    memset(item, 0, ring->item);
    return item;
}

void hti_ring_pop(struct hti_ring *ring)
{
    assert(ring->count > 0);
    ring->head = (ring->head + 1) & (ring->cap - 1);
    ring->count--;
}

void hti_ring_fini(struct hti_ring *ring)
{
    free(ring->items);
    ring->items = NULL;
    ring->cap = ring->head = ring->count = 0;
}

/* ---- the only voter ---------------------------------------------------- */

/* libraft lets the only voter lead without an election, in the term that it is
 * in.  In that term another may have led before it left the group, and have
 * entries that nobody else has: if it ever came back, two entries of one index
 * and term would differ.  So it gets a term of its own first. */
static bool only_voter(const struct hti_core *core,
                       const struct raft_configuration *conf)
{
    const struct raft_server *self = hti_conf_by_id(conf, core->meta.id);

    return self != NULL && self->role == RAFT_VOTER &&
           hti_conf_voters(conf) == 1;
}

ht_err hti_core_lead_alone(struct hti_core *core)
{
    struct raft_message message = {.type = RAFT_REQUEST_VOTE,
                                   .server_id = core->meta.id,
                                   .server_address = core->node};
    struct raft_request_vote *args = &message.request_vote;
    struct raft_event event = {.type = RAFT_RECEIVE};

    /* Its vote for itself puts the timeout off: it leads at the next. */
    if (!hti_core_is(core, RAFT_FOLLOWER) ||
        core->raft.current_term == core->alone_term ||
        !only_voter(core, &core->raft.configuration)) {
        return HT_OK;
    }
    core->alone_term = core->raft.current_term + 1;
    args->version = 2;
    args->term = core->raft.current_term + 1;
    args->candidate_id = core->meta.id;
    args->last_log_index = hti_core_index(core);
    args->last_log_term = hti_core_term_at(core, args->last_log_index);
    args->disrupt_leader = true;
    event.receive.message = &message;
    return hti_core_step(core, &event, NULL);
}

/* The same before libraft starts. */
static ht_err start_alone(struct hti_core *core)
{
    struct raft_configuration conf;
    const uint8_t *data = core->snap.conf;
    size_t len = core->snap.conf_len;
    struct hti_job *job;
    bool alone;

    for (size_t i = 0; i < core->cache.count; i++) {
        const struct hti_entry *entry =
            hti_cache_get(&core->cache, core->cache.first + i);

        if (entry->type == HTI_ENTRY_CHANGE) {
            data = entry->data;
            len = entry->len;
        }
    }
    if (len == 0) {
        return HT_OK;
    }
    if (hti_conf_decode(data, len, &conf) != HT_OK) {
        return HT_ENOMEM;
    }
    alone = only_voter(core, &conf);
    raft_configuration_close(&conf);
    if (!alone) {
        return HT_OK;
    }
    job = hti_job_new(HTI_JOB_META);
    if (job == NULL) {
        return HT_ENOMEM;
    }
    core->meta.term++;
    core->meta.vote = core->meta.id;
    job->meta = core->meta;
    core->metas++;
    hti_core_submit(core, job);
    return HT_OK;
}

/* ---- events ------------------------------------------------------------ */

ht_err hti_core_event(struct hti_core *core, struct hti_when now)
{
    /* libraft takes for granted that time does not go back. */
    if (now.us > core->now.us) {
        core->now.us = now.us;
    }
    core->now.wall_ms = now.wall_ms;
    return core->failed;
}

static ht_err start_raft(struct hti_core *core)
{
    struct raft_event event = {.type = RAFT_START};
    struct raft_snapshot_metadata meta = {0};
    size_t count = core->cache.count;
    struct raft_entry *entries = NULL;
    void *batch = NULL;
    ht_err err;

    if (count > 0) {
        entries = raft_calloc(count, sizeof(*entries));
        batch = raft_malloc(1);
        if (entries == NULL || batch == NULL) {
            raft_free(entries);
            raft_free(batch);
            return HT_ENOMEM;
        }
    }
    for (size_t i = 0; i < count; i++) {
        struct hti_entry *entry =
            hti_cache_get(&core->cache, core->cache.first + i);

        entries[i] = (struct raft_entry){
            .term = entry->term,
            .type = (enum raft_entry_type)entry->type,
            .buf = {.base = entry->data, .len = entry->len},
            .batch = batch,
        };
    }
    event.start.term = core->meta.term;
    event.start.voted_for = core->meta.vote;
    event.start.start_index = core->cache.first;
    event.start.entries = entries;
    event.start.n_entries = (unsigned)count;
    if (core->snap.index > 0) {
        meta.index = core->snap.index;
        meta.term = core->snap.term;
        meta.configuration_index = core->snap.conf_index;
        err = hti_conf_decode(core->snap.conf, core->snap.conf_len,
                              &meta.configuration);
        if (err != HT_OK) {
            raft_free(entries);
            raft_free(batch);
            return err;
        }
        event.start.metadata = &meta;
    }
    err = hti_core_step(core, &event, NULL);
    if (err == HT_OK) {
        raft_free(entries);
        raft_free(batch);
    }
    return err;
}

ht_err hti_core_start(struct hti_core *core, struct hti_when now)
{
    ht_err err = hti_core_event(core, now);

    if (err == HT_OK) {
        err = start_alone(core);
    }
    if (err == HT_OK) {
        err = start_raft(core);
    }
    if (err == HT_OK) {
        core->started = true;
        err = hti_core_restore_start(core, core->snap.index);
    }
    return err == HT_OK ? hti_core_settle(core) : err;
}

static ht_err appended(struct hti_core *core)
{
    struct raft_event event = {.type = RAFT_PERSISTED_ENTRIES};
    uint64_t last;

    last = *(uint64_t *)hti_ring_at(&core->appends, 0);
    hti_ring_pop(&core->appends);
    /* Replaced, or by an older report already known. */
    if (last <= core->raft.last_stored || core->raft.snapshot.installing) {
        return HT_OK;
    }
    event.persisted_entries.index = last;
    return hti_core_step(core, &event, NULL);
}

static ht_err log_done(struct hti_core *core, struct hti_job *job)
{
    if (job->spare) {
        struct hti_job *spare = hti_job_new(HTI_JOB_SPARE);

        if (spare == NULL) {
            return hti_core_fail(core, HT_ENOMEM, "out of memory");
        }
        hti_core_submit(core, spare);
    }
    if (job->err != HT_OK) {
        char why[128];

        (void)snprintf(why, sizeof(why), "writing the log: %s",
                       ht_strerror(job->err));
        return hti_core_fail(core, job->err, why);
    }
    if (job->kind == HTI_JOB_APPEND) {
        return appended(core);
    }
    if (job->kind == HTI_JOB_RESET) {
        return hti_core_intake_done(core, job);
    }
    if (job->kind == HTI_JOB_META && --core->metas == 0) {
        hti_core_release(core);
        return hti_core_install_owed(core);
    }
    return HT_OK;
}

static ht_err job_done(struct hti_core *core, struct hti_job *job)
{
    switch (job->kind) {
    case HTI_JOB_META:
    case HTI_JOB_APPEND:
    case HTI_JOB_RESET:
    case HTI_JOB_TRIM:
        return log_done(core, job);
    case HTI_JOB_SPARE:
        return HT_OK; /* without it the log makes its own */
    case HTI_JOB_SNAP_BEGIN:
    case HTI_JOB_SNAP_WRITE:
    case HTI_JOB_SNAP_END:
    case HTI_JOB_SNAP_ABANDON:
        return hti_core_snap_done(core, job);
    case HTI_JOB_PIECE_READ:
        return hti_core_xfer_done(core, job);
    case HTI_JOB_PIECE_WRITE:
    case HTI_JOB_PIECE_END:
    case HTI_JOB_INSTALL:
        return hti_core_intake_done(core, job);
    case HTI_JOB_RESTORE_BEGIN:
    case HTI_JOB_RESTORE_NEXT:
        return hti_core_restore_done(core, job);
    }
    return HT_OK;
}

ht_err
hti_core_done(struct hti_core *core, struct hti_when now, struct hti_job *job)
{
    ht_err err = hti_core_event(core, now);

    if (err == HT_OK) {
        err = job_done(core, job);
    }
    hti_job_free(job);
    return err == HT_OK ? hti_core_settle(core) : err;
}

ht_err hti_core_tick(struct hti_core *core, struct hti_when now)
{
    struct raft_event event = {.type = RAFT_TIMEOUT};
    ht_err err = hti_core_event(core, now);

    if (err == HT_OK && core->now.us / 1000 >= raft_timeout(&core->raft)) {
        err = hti_core_lead_alone(core);
        if (err == HT_OK) {
            err = hti_core_step(core, &event, NULL);
        }
    }
    if (err == HT_OK) {
        hti_core_read_tick(core);
        hti_core_xfer_tick(core);
        hti_core_intake_tick(core);
        err = hti_core_settle(core);
    }
    return err;
}

/* Without its node the leader is gone, or soon will be: its members need not
 * wait as long as they would for a silent one.  Who still hears the leader
 * refuses the vote, so that a link that broke alone disturbs nobody. */
ht_err
hti_core_lost(struct hti_core *core, struct hti_when now, const char *node)
{
    uint64_t leader = 0;
    ht_err err = hti_core_event(core, now);

    if (err == HT_OK && hti_core_is(core, RAFT_FOLLOWER) && !core->hasty &&
        strcmp(hti_core_leader(core, &leader), node) == 0 && leader != 0) {
        core->hasty = true;
        raft_set_election_timeout(&core->raft,
                                  core->config.election_ms / 4 + 1);
    }
    return err;
}

void hti_core_full(struct hti_core *core, bool full)
{
    if (full != core->full) {
        hti_core_say(core, full ? HT_LOG_ERROR : HT_LOG_INFO,
                     full ? "HT-RAFT-FULL" : "HT-RAFT-ROOM", "group=%s",
                     core->group);
    }
    core->full = full;
}

ht_err hti_core_flush(struct hti_core *core, struct hti_when now)
{
    ht_err err = hti_core_event(core, now);

    return err == HT_OK ? hti_core_settle(core) : err;
}

uint64_t hti_core_deadline(const struct hti_core *core)
{
    uint64_t deadline = raft_timeout(&core->raft) * 1000;
    uint64_t soon = core->now.us + (uint64_t)core->config.heartbeat_ms * 1000;

    if ((core->round || hti_core_xfer_busy(core) || core->intake.from != 0 ||
         core->change.kind != HTI_CHANGE_NONE ||
         core->taking_not_before_us > core->now.us) &&
        soon < deadline) {
        return soon;
    }
    return deadline;
}

/* ---- life -------------------------------------------------------------- */

static void init_rings(struct hti_core *core)
{
    core->appends.item = sizeof(uint64_t);
    core->batch.item = sizeof(struct hti_proposal);
    core->proposals.item = sizeof(struct hti_proposal);
    core->asking.item = sizeof(struct hti_read);
    core->asked.item = sizeof(struct hti_read);
    core->reads.item = sizeof(struct hti_read);
}

static void take_times(struct hti_core *core)
{
    core->last_time_ms = core->snap.time_ms;
    core->applied_time_ms = core->snap.time_ms;
    for (size_t i = 0; i < core->cache.count; i++) {
        const struct hti_entry *entry =
            hti_cache_get(&core->cache, core->cache.first + i);

        if (entry->type != HTI_ENTRY_CHANGE &&
            hti_of_le64(entry->data) > core->last_time_ms) {
            core->last_time_ms = hti_of_le64(entry->data);
        }
    }
}

ht_err hti_core_new(const struct hti_core_config *config,
                    const struct hti_core_ops *ops,
                    void *ops_arg,
                    const ht_raft_machine *table,
                    void *machine,
                    struct hti_boot *boot,
                    struct hti_core **ret_core)
{
    struct hti_core *core = calloc(1, sizeof(*core));

    if (core == NULL) {
        return HT_ENOMEM;
    }
    core->config = *config;
    (void)snprintf(core->group, sizeof(core->group), "%s", config->group);
    (void)snprintf(core->node, sizeof(core->node), "%s", config->node);
    core->ops = ops;
    core->ops_arg = ops_arg;
    core->table = table;
    core->machine = machine;
    STAILQ_INIT(&core->held);
    init_rings(core);
    if (raft_init(&core->raft, NULL, NULL, boot->meta.id, core->node) != 0) {
        free(core);
        return HT_ENOMEM;
    }
    core->raft_made = true;
    core->raft.tracer = NULL; /* its messages share one buffer */
    raft_seed(&core->raft, config->seed);
    raft_set_election_timeout(&core->raft, config->election_ms);
    raft_set_heartbeat_timeout(&core->raft, config->heartbeat_ms);
    raft_set_pre_vote(&core->raft, true);
    /* libraft's own check of the members' room asserts when a new leader's
     * first entry fails it; hti_core_propose() has ours. */
    raft_set_capacity_threshold(&core->raft, 0);
    /* Pieces are sent again by us. */
    raft_set_install_snapshot_timeout(&core->raft, 3600 * 1000);
    core->meta = boot->meta;
    core->cache = boot->cache;
    core->snap = boot->snap;
    boot->cache = (struct hti_cache){0};
    boot->snap = (struct hti_snap_info){0};
    take_times(core);
    *ret_core = core;
    return HT_OK;
}

void hti_core_free(struct hti_core *core)
{
    if (core == NULL) {
        return;
    }
    if (core->change.kind != HTI_CHANGE_NONE) {
        hti_core_change_end(core, HT_ECLOSED, "the member ends");
    }
    hti_core_client_fini(core);
    hti_core_snap_fini(core);
    hti_core_xfer_fini(core);
    hti_core_send_fini(core);
    if (core->raft_made) {
        raft_close(&core->raft, NULL);
    }
    hti_cache_fini(&core->cache);
    hti_ring_fini(&core->appends);
    hti_snap_info_fini(&core->snap);
    free(core->conf);
    free(core);
}
