/* SPDX-License-Identifier: Apache-2.0 */
/* core_step.c - an event goes into libraft, and what it wants comes out: term
 * and vote, entries and messages, as jobs for the disk and for core_send.c.
 * Nothing else calls raft_step(). */
#include <stdlib.h>
#include <string.h>

#include "raft/core_internal.h"

void hti_core_submit(struct hti_core *core, struct hti_job *job)
{
    core->ops->submit(core->ops_arg, job);
}

/* Until term and vote are durable nothing is said: held is what was. */
static ht_err save_meta(struct hti_core *core)
{
    struct hti_job *job = hti_job_new(HTI_JOB_META);

    if (job == NULL) {
        return HT_ENOMEM;
    }
    core->meta.term = raft_current_term(&core->raft);
    core->meta.vote = raft_voted_for(&core->raft);
    job->meta = core->meta;
    core->metas++;
    hti_core_submit(core, job);
    return HT_OK;
}

/* Our own come back as they were given; a peer's are in its message. */
static struct hti_entry *
entry_of(const struct hti_core *core, const struct raft_entry *from, size_t i)
{
    struct hti_entry *entry;

    if (core->submitting != NULL && from->batch == core->submitting[i]) {
        return hti_entry_ref(core->submitting[i]);
    }
    entry = hti_entry_new(from->term, (uint8_t)from->type, from->buf.len);
    if (entry != NULL) {
        memcpy(entry->data, from->buf.base, from->buf.len);
    }
    return entry;
}

static ht_err cache_entries(struct hti_core *core,
                            const struct raft_update *update,
                            struct hti_job *job)
{
    for (unsigned i = 0; i < update->entries.n; i++) {
        const struct raft_entry *from = &update->entries.batch[i];
        struct hti_entry *entry = entry_of(core, from, i);

        if (entry == NULL || hti_cache_push(&core->cache, entry) != HT_OK) {
            hti_entry_unref(entry);
            return HT_ENOMEM;
        }
        if (entry->type != HTI_ENTRY_CHANGE &&
            hti_of_le64(entry->data) > core->last_time_ms) {
            core->last_time_ms = hti_of_le64(entry->data);
        }
        job->entries[job->count++] = hti_entry_ref(entry);
    }
    return HT_OK;
}

/* Entries that are on their way to the disk and were replaced meanwhile will
 * be reported durable, which they then are not in the log any more. */
static void forget_appends(struct hti_core *core, uint64_t from)
{
    for (size_t i = 0; i < core->appends.count; i++) {
        uint64_t *last = hti_ring_at(&core->appends, i);

        if (*last >= from) {
            *last = from - 1;
        }
    }
}

static ht_err save_entries(struct hti_core *core,
                           const struct raft_update *update)
{
    struct hti_job *job = hti_job_new(HTI_JOB_APPEND);
    uint64_t index = update->entries.index;
    uint64_t *last;

    if (job == NULL) {
        return HT_ENOMEM;
    }
    job->index = index;
    job->entries = calloc(update->entries.n, sizeof(struct hti_entry *));
    last = hti_ring_push(&core->appends);
    if (job->entries == NULL || last == NULL) {
        hti_job_free(job);
        return HT_ENOMEM;
    }
    *last = 0;
    forget_appends(core, index);
    hti_cache_cut(&core->cache, index);
    if (cache_entries(core, update, job) != HT_OK) {
        hti_job_free(job);
        return HT_ENOMEM;
    }
    *last = index + update->entries.n - 1;
    hti_core_submit(core, job);
    return HT_OK;
}

static ht_err take_update(struct hti_core *core,
                          const struct raft_update *update)
{
    ht_err err = HT_OK;

    if (update->flags &
        ((RAFT_UPDATE_CURRENT_TERM) | (RAFT_UPDATE_VOTED_FOR))) {
        err = save_meta(core);
    }
    if (err == HT_OK && (update->flags & (RAFT_UPDATE_ENTRIES))) {
        core->batch_kept = true;
        err = save_entries(core, update);
    }
    if (err == HT_OK && (update->flags & (RAFT_UPDATE_SNAPSHOT))) {
        forget_appends(core, 1);
        err = hti_core_install(core, update);
    }
    if (err == HT_OK && (update->flags & (RAFT_UPDATE_MESSAGES))) {
        for (unsigned i = 0; i < update->messages.n; i++) {
            hti_core_send_raft(core, &update->messages.batch[i]);
        }
    }
    return hti_core_fail(core, err, "out of memory");
}

static ht_err
step_once(struct hti_core *core, struct raft_event *event, int *ret_rv)
{
    struct raft_update update = {0};
    ht_err err;
    int rv;

    event->time = core->now.us / 1000;
    event->capacity = core->full ? 0 : 1;
    rv = raft_step(&core->raft, event, &update);
    if (ret_rv != NULL) {
        *ret_rv = rv;
    }
    if (rv != 0) {
        if (ret_rv != NULL && rv != RAFT_NOMEM && rv != RAFT_SHUTDOWN) {
            return HT_OK;
        }
        return hti_core_fail(core, rv == RAFT_NOMEM ? HT_ENOMEM : HT_ECORRUPT,
                             raft_strerror(rv));
    }
    err = take_update(core, &update);
    /* libraft's own entry, of a new leader. */
    if ((update.flags & (RAFT_UPDATE_ENTRIES)) &&
        update.entries.batch == &core->raft.barrier) {
        raft_free(core->raft.barrier.batch);
    }
    return err;
}

ht_err hti_core_conf_committed(struct hti_core *core)
{
    uint64_t index = core->raft.configuration_uncommitted_index;
    const struct hti_entry *entry = hti_cache_get(&core->cache, index);
    struct raft_event event = {.type = RAFT_CONFIGURATION};
    ht_err err;

    if (index == 0 || entry == NULL) {
        return HT_OK; /* replaced by a snapshot */
    }
    event.configuration.index = index;
    err = hti_conf_decode(entry->data, entry->len, &event.configuration.conf);
    if (err != HT_OK) {
        return hti_core_fail(core, err, "a configuration cannot be read");
    }
    return step_once(core, &event, NULL);
}

/* A configuration counts as committed from its commit on, not when it is
 * applied: libraft remembers one that is not, and a second one must not come
 * on top of it. */
static ht_err commit_conf(struct hti_core *core)
{
    uint64_t index = core->raft.configuration_uncommitted_index;

    return index == 0 || index > core->raft.commit_index
               ? HT_OK
               : hti_core_conf_committed(core);
}

ht_err
hti_core_step(struct hti_core *core, struct raft_event *event, int *ret_rv)
{
    ht_err err = step_once(core, event, ret_rv);

    return err == HT_OK ? commit_conf(core) : err;
}

ht_err hti_core_submit_entries(struct hti_core *core,
                               struct hti_entry **entries,
                               size_t count,
                               int *ret_rv)
{
    struct raft_entry *array = calloc(count, sizeof(*array));
    struct raft_event event = {.type = RAFT_SUBMIT};
    ht_err err;

    if (array == NULL) {
        return hti_core_fail(core, HT_ENOMEM, "out of memory");
    }
    for (size_t i = 0; i < count; i++) {
        entries[i]->term = core->raft.current_term;
        array[i] = (struct raft_entry){
            .term = core->raft.current_term,
            .type = (enum raft_entry_type)entries[i]->type,
            .buf = {.base = entries[i]->data, .len = entries[i]->len},
            .batch = entries[i], /* only asked whether it is there */
        };
    }
    event.submit.entries = array;
    event.submit.n = (unsigned)count;
    core->submitting = entries;
    err = hti_core_step(core, &event, ret_rv);
    core->submitting = NULL;
    free(array);
    return err;
}
