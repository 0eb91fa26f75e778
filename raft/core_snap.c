/* SPDX-License-Identifier: Apache-2.0 */
/* Taking snapshots of the machine, and restoring it from one.
 *
 * Taken piece by piece: the machine is asked for the next piece when the disk
 * has the one before, so neither commands nor heartbeats wait.  Restored
 * likewise; nothing is applied meanwhile.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "raft/core_internal.h"

#define PIECE_BYTES (256u << 10)
/* After a failure, such as a full disk. */
#define RETRY_US 5000000u

ht_err hti_core_conf_applied(struct hti_core *core,
                             const uint8_t *data,
                             size_t len,
                             uint64_t index)
{
    uint8_t *copy = malloc(len);

    if (copy == NULL) {
        return hti_core_fail(core, HT_ENOMEM, "out of memory");
    }
    memcpy(copy, data, len);
    free(core->conf);
    core->conf = copy;
    core->conf_len = len;
    core->conf_index = index;
    return HT_OK;
}

/* ---- taking ------------------------------------------------------------ */

static void end_taking(struct hti_core *core, ht_err err, const char *text)
{
    ht_raft_change_fn done = core->taking_done;

    if (core->cursor_open) {
        core->table->snapshot_close(core->machine, core->cursor);
        core->cursor_open = false;
    }
    hti_snap_info_fini(&core->taking_info);
    core->taking = HTI_TAKING_NONE;
    core->taking_done = NULL;
    if (err != HT_OK && err != HT_ECLOSED) {
        core->taking_not_before_us = core->now.us + RETRY_US;
        hti_core_say(core, HT_LOG_ERROR, "HT-RAFT-SNAPSHOT",
                     "group=%s err=\"%s\" text=\"%s\"", core->group,
                     ht_strerror(err), text);
    }
    if (done != NULL) {
        done(core->taking_arg, err, text);
    }
}

static struct hti_job *new_job(struct hti_core *core, enum hti_job_kind kind)
{
    struct hti_job *job = hti_job_new(kind);

    if (job == NULL) {
        (void)hti_core_fail(core, HT_ENOMEM, "out of memory");
    }
    return job;
}

static void begin(struct hti_core *core)
{
    struct hti_job *job = new_job(core, HTI_JOB_SNAP_BEGIN);
    struct hti_snap_info info = {.index = core->applied,
                                 .term = core->applied_term,
                                 .time_ms = core->applied_time_ms,
                                 .conf_index = core->conf_index,
                                 .group = core->meta.group,
                                 .conf_len = (uint32_t)core->conf_len,
                                 .conf = core->conf};
    ht_err err;

    if (job == NULL) {
        return;
    }
    core->taking_asked = false;
    err = hti_snap_info_copy(&info, &core->taking_info);
    if (err == HT_OK) {
        err = hti_snap_info_copy(&info, &job->info);
    }
    if (err == HT_OK) {
        err = core->table->snapshot_open(core->machine, &core->cursor);
        core->cursor_open = err == HT_OK;
    }
    if (err != HT_OK) {
        hti_job_free(job);
        end_taking(core, err, "the state cannot be read");
        return;
    }
    core->taking = HTI_TAKING_BEGIN;
    hti_core_submit(core, job);
}

/* A member that is being sent the snapshot keeps it from being replaced, up to
 * a point. */
static bool due(const struct hti_core *core)
{
    uint64_t entries = core->applied - core->snap.index;
    uint64_t factor = hti_core_xfer_busy(core) ? 4 : 1;

    return core->taking_asked ||
           entries >= factor * core->config.snapshot_after_entries ||
           core->since_bytes >= factor * core->config.snapshot_after_bytes;
}

void hti_core_snap_run(struct hti_core *core)
{
    if (core->started && core->taking == HTI_TAKING_NONE && !core->restoring &&
        core->intake.from == 0 && core->failed == HT_OK &&
        core->applied > core->snap.index && core->conf_len > 0 &&
        core->now.us >= core->taking_not_before_us && due(core)) {
        begin(core);
    }
}

ht_err
hti_core_snapshot(struct hti_core *core, ht_raft_change_fn done, void *arg)
{
    if (core->taking != HTI_TAKING_NONE || core->taking_asked ||
        core->restoring || core->intake.from != 0) {
        return HT_EBUSY;
    }
    if (core->applied <= core->snap.index || core->conf_len == 0) {
        return HT_ENOENT;
    }
    core->taking_asked = true;
    core->taking_not_before_us = 0;
    core->taking_done = done;
    core->taking_arg = arg;
    return HT_OK;
}

static void abandon(struct hti_core *core, ht_err err, const char *text)
{
    struct hti_job *job = new_job(core, HTI_JOB_SNAP_ABANDON);

    if (job != NULL) {
        hti_core_submit(core, job);
    }
    end_taking(core, err, text);
}

void hti_core_snap_cancel(struct hti_core *core)
{
    if (core->taking != HTI_TAKING_NONE) {
        abandon(core, HT_ECANCELLED, "the leader sent a newer one");
    }
}

static void next_piece(struct hti_core *core)
{
    struct hti_job *job = new_job(core, HTI_JOB_SNAP_WRITE);
    size_t len = 0;
    ht_err err;

    if (job == NULL) {
        return;
    }
    job->data = malloc(PIECE_BYTES);
    err = job->data == NULL
              ? HT_ENOMEM
              : core->table->snapshot_read(core->machine, core->cursor,
                                           job->data, PIECE_BYTES, &len);
    if (err != HT_OK || len > PIECE_BYTES) {
        hti_job_free(job);
        abandon(core, err != HT_OK ? err : HT_EINVAL,
                "the state cannot be read");
        return;
    }
    core->taking = HTI_TAKING_DATA;
    job->len = len;
    if (len == 0) {
        core->table->snapshot_close(core->machine, core->cursor);
        core->cursor_open = false;
        core->taking = HTI_TAKING_END;
        job->kind = HTI_JOB_SNAP_END;
        job->index = core->taking_info.index;
    }
    hti_core_submit(core, job);
}

static void trim_log(struct hti_core *core)
{
    struct hti_job *job = new_job(core, HTI_JOB_TRIM);

    hti_cache_trim(&core->cache, core->raft.trail.offset + 1);
    if (job != NULL) {
        job->index = core->raft.trail.offset + 1;
        hti_core_submit(core, job);
    }
}

/* Recompute what came after it. */
static void count_since(struct hti_core *core)
{
    core->since_bytes = 0;
    for (uint64_t i = core->snap.index + 1; i <= core->applied; i++) {
        const struct hti_entry *entry = hti_cache_get(&core->cache, i);

        core->since_bytes += entry != NULL ? entry->len : 0;
    }
}

/* Entries before a snapshot's end that are kept in memory and in the log, for
 * members that are not far behind: so many, and no more bytes than make the
 * next snapshot due. */
static unsigned trailing(const struct hti_core *core, uint64_t index)
{
    uint64_t bytes = 0;
    unsigned count = 0;

    while (count < core->config.trailing_entries) {
        const struct hti_entry *entry =
            hti_cache_get(&core->cache, index - count);

        bytes += entry != NULL ? entry->len : 0;
        if (entry == NULL || bytes > core->config.snapshot_after_bytes) {
            break;
        }
        count++;
    }
    return count;
}

static ht_err taken(struct hti_core *core, uint64_t size)
{
    struct raft_event event = {.type = RAFT_SNAPSHOT};
    struct hti_snap_info info = core->taking_info;
    ht_err err;

    core->taking_info = (struct hti_snap_info){0};
    info.size = size;
    event.snapshot.metadata.index = info.index;
    event.snapshot.metadata.term = info.term;
    event.snapshot.metadata.configuration_index = info.conf_index;
    event.snapshot.trailing = trailing(core, info.index);
    err = hti_conf_decode(info.conf, info.conf_len,
                          &event.snapshot.metadata.configuration);
    if (err == HT_OK) {
        hti_snap_info_fini(&core->snap);
        core->snap = info;
        core->stats.snapshots++;
        err = hti_core_step(core, &event, NULL);
    } else {
        hti_snap_info_fini(&info);
    }
    if (err != HT_OK) {
        return hti_core_fail(core, err, "a snapshot's configuration");
    }
    trim_log(core);
    count_since(core);
    hti_core_say(core, HT_LOG_INFO, "HT-RAFT-SNAPSHOT",
                 "group=%s index=%" PRIu64 " bytes=%" PRIu64, core->group,
                 core->snap.index, size);
    end_taking(core, HT_OK, "");
    return HT_OK;
}

ht_err hti_core_snap_done(struct hti_core *core, struct hti_job *job)
{
    if (job->kind == HTI_JOB_SNAP_ABANDON || core->taking == HTI_TAKING_NONE) {
        return HT_OK;
    }
    if (job->err == HT_EIO) {
        return hti_core_fail(core, HT_EIO, "writing a snapshot");
    }
    if (job->err != HT_OK) {
        abandon(core, job->err, "the snapshot cannot be written");
        return HT_OK;
    }
    if (core->taking == HTI_TAKING_END) {
        return taken(core, job->size);
    }
    next_piece(core);
    return core->failed;
}

/* ---- restoring --------------------------------------------------------- */

static ht_err
restore(struct hti_core *core, ht_raft_restore what, ht_bytes piece)
{
    return hti_core_fail(core, core->table->restore(core->machine, what, piece),
                         "the state machine cannot be restored");
}

static ht_err ask_restore(struct hti_core *core, enum hti_job_kind kind)
{
    struct hti_job *job = new_job(core, kind);

    if (job == NULL) {
        return HT_ENOMEM;
    }
    job->index = core->restoring_index;
    hti_core_submit(core, job);
    return HT_OK;
}

ht_err hti_core_restore_start(struct hti_core *core, uint64_t index)
{
    ht_err err = restore(core, HT_RAFT_RESTORE_BEGIN, (ht_bytes){0});

    if (err == HT_OK && index == 0) {
        return restore(core, HT_RAFT_RESTORE_END, (ht_bytes){0});
    }
    core->restoring = true;
    core->restoring_index = index;
    return err == HT_OK ? ask_restore(core, HTI_JOB_RESTORE_BEGIN) : err;
}

static ht_err restored(struct hti_core *core)
{
    ht_err err = restore(core, HT_RAFT_RESTORE_END, (ht_bytes){0});

    if (err == HT_OK) {
        err = hti_core_conf_applied(core, core->snap.conf, core->snap.conf_len,
                                    core->snap.conf_index);
    }
    core->restoring = false;
    core->applied = core->snap.index;
    core->applied_term = core->snap.term;
    core->applied_time_ms = core->snap.time_ms;
    core->since_bytes = 0;
    if (core->last_time_ms < core->snap.time_ms) {
        core->last_time_ms = core->snap.time_ms;
    }
    hti_core_skipped(core, core->snap.index, core->snap.term);
    return err;
}

ht_err hti_core_restore_done(struct hti_core *core, struct hti_job *job)
{
    ht_err err = job->err;

    /* Of an older one, which a newer one took the place of. */
    if (job->index != core->restoring_index || !core->restoring) {
        return HT_OK;
    }
    if (err != HT_OK) {
        return hti_core_fail(core, err,
                             job->text[0] != '\0' ? job->text
                                                  : "reading the snapshot");
    }
    if (job->kind == HTI_JOB_RESTORE_NEXT && job->len == 0) {
        return restored(core);
    }
    if (job->kind == HTI_JOB_RESTORE_NEXT) {
        err = restore(core, HT_RAFT_RESTORE_DATA,
                      (ht_bytes){job->data, job->len});
    }
    return err == HT_OK ? ask_restore(core, HTI_JOB_RESTORE_NEXT) : err;
}

void hti_core_snap_fini(struct hti_core *core)
{
    if (core->taking != HTI_TAKING_NONE || core->taking_done != NULL) {
        end_taking(core, HT_ECLOSED, "the member ends");
    }
}
