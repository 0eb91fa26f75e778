/* SPDX-License-Identifier: Apache-2.0 */
/* Snapshots from member to member, in pieces.
 *
 * The file is sent as it is.  The receiver acknowledges what it has written, a
 * few pieces are on their way at once, and what is lost is sent again from
 * there.  Heartbeats go between the pieces.  A file that is whole is made
 * durable and checked, then libraft is told, as if all of it had come in one
 * message.  libraft asks for the same again at every heartbeat, since it does
 * not know of pieces; a transfer that is under way goes on.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "raft/core_internal.h"

/* ---- to a member ------------------------------------------------------- */

static struct hti_xfer *find(struct hti_core *core, uint64_t id)
{
    for (size_t i = 0; i < HT_RAFT_MEMBERS_MAX; i++) {
        if (core->xfers[i].id == id) {
            return &core->xfers[i];
        }
    }
    return NULL;
}

bool hti_core_xfer_busy(const struct hti_core *core)
{
    for (size_t i = 0; i < HT_RAFT_MEMBERS_MAX; i++) {
        if (core->xfers[i].id != 0) {
            return true;
        }
    }
    return false;
}

static void read_more(struct hti_core *core, struct hti_xfer *xfer)
{
    uint64_t piece = core->config.piece_bytes;

    while (xfer->asked < xfer->size &&
           xfer->asked - xfer->acked < HTI_PIECES_AHEAD * piece) {
        struct hti_job *job = hti_job_new(HTI_JOB_PIECE_READ);
        uint64_t left = xfer->size - xfer->asked;

        if (job == NULL) {
            return; /* the next tick tries again */
        }
        job->peer = xfer->id;
        job->index = xfer->index;
        job->offset = xfer->asked;
        job->len = left < piece ? (size_t)left : (size_t)piece;
        xfer->asked += job->len;
        hti_core_submit(core, job);
    }
}

static void begin(struct hti_core *core, struct hti_xfer *xfer)
{
    xfer->index = core->snap.index;
    xfer->size = core->snap.size;
    xfer->acked = 0;
    xfer->asked = 0;
    xfer->moved_us = core->now.us;
    read_more(core, xfer);
}

void hti_core_xfer_want(struct hti_core *core, uint64_t id, const char *node)
{
    struct hti_xfer *xfer = find(core, id);
    bool fresh = xfer == NULL;

    if (fresh) {
        xfer = find(core, 0);
    }
    if (xfer == NULL || core->snap.index == 0) {
        return;
    }
    xfer->wanted_us = core->now.us;
    if (!fresh) {
        return;
    }
    xfer->id = id;
    (void)snprintf(xfer->node, sizeof(xfer->node), "%s", node);
    hti_core_say(core, HT_LOG_INFO, "HT-RAFT-SEND",
                 "group=%s to=%s index=%" PRIu64 " bytes=%" PRIu64, core->group,
                 node, core->snap.index, core->snap.size);
    begin(core, xfer);
}

ht_err hti_core_xfer_done(struct hti_core *core, struct hti_job *job)
{
    struct hti_xfer *xfer = find(core, job->peer);
    struct hti_wire wire = {.kind = HTI_WIRE_PIECE,
                            .term = core->raft.current_term};

    if (xfer == NULL || !hti_core_is(core, RAFT_LEADER) ||
        xfer->index != job->index) {
        return HT_OK;
    }
    if (job->err != HT_OK || job->len == 0) {
        /* A newer one took its place. */
        if (core->snap.index != xfer->index) {
            begin(core, xfer);
        } else {
            *xfer = (struct hti_xfer){0};
        }
        return HT_OK;
    }
    wire.u.piece.index = xfer->index;
    wire.u.piece.size = xfer->size;
    wire.u.piece.offset = job->offset;
    wire.u.piece.data = (ht_bytes){job->data, job->len};
    hti_core_send(core, xfer->id, xfer->node, &wire);
    return HT_OK;
}

void hti_core_xfer_ack(struct hti_core *core, const struct hti_wire *wire)
{
    struct hti_xfer *xfer = find(core, wire->from);

    if (wire->from == 0 || xfer == NULL || xfer->index != wire->u.piece.index ||
        xfer->size != wire->u.piece.size) {
        return;
    }
    if (wire->u.piece.offset <= xfer->acked) {
        return; /* an older one; a lost piece is found by the clock */
    }
    xfer->moved_us = core->now.us;
    xfer->acked = wire->u.piece.offset;
    if (xfer->asked < xfer->acked) {
        xfer->asked = xfer->acked;
    }
    read_more(core, xfer);
}

/* Over when libraft does not ask for it any more: it got there, or somebody
 * else leads. */
void hti_core_xfer_tick(struct hti_core *core)
{
    uint64_t election_us = (uint64_t)core->config.election_ms * 1000;

    for (size_t i = 0; i < HT_RAFT_MEMBERS_MAX; i++) {
        struct hti_xfer *xfer = &core->xfers[i];
        uint64_t moved =
            xfer->moved_us > xfer->wanted_us ? xfer->moved_us : xfer->wanted_us;

        if (xfer->id == 0) {
            continue;
        }
        if (!hti_core_is(core, RAFT_LEADER) ||
            hti_conf_by_id(&core->raft.configuration, xfer->id) == NULL ||
            (core->now.us - moved > 2 * election_us &&
             xfer->acked == xfer->size) ||
            core->now.us - moved > 30 * election_us) {
            *xfer = (struct hti_xfer){0};
        } else if (core->now.us - xfer->moved_us > election_us &&
                   xfer->acked < xfer->size) {
            xfer->moved_us = core->now.us;
            xfer->asked = xfer->acked;
            read_more(core, xfer);
        } else if (xfer->acked == xfer->size &&
                   core->now.us - xfer->moved_us > 4 * election_us &&
                   core->now.us - xfer->wanted_us < election_us) {
            begin(core, xfer); /* it has lost it again */
        }
    }
}

/* ---- from the leader --------------------------------------------------- */

static void forget_intake(struct hti_core *core)
{
    hti_snap_info_fini(&core->intake.info);
    core->intake = (struct hti_intake){0};
}

static void acknowledge(struct hti_core *core, const char *node)
{
    struct hti_wire wire = {.kind = HTI_WIRE_PIECE_ACK,
                            .term = core->raft.current_term};

    wire.u.piece.index = core->intake.index;
    wire.u.piece.size = core->intake.size;
    wire.u.piece.offset = core->intake.written;
    hti_core_send(core, core->intake.from, node, &wire);
}

static ht_err write_piece(struct hti_core *core, const struct hti_wire *wire)
{
    struct hti_job *job = hti_job_new(HTI_JOB_PIECE_WRITE);

    if (job != NULL) {
        job->data = malloc(wire->u.piece.data.len);
    }
    if (job == NULL || job->data == NULL) {
        hti_job_free(job);
        return HT_OK; /* it will be sent again */
    }
    memcpy(job->data, wire->u.piece.data.data, wire->u.piece.data.len);
    job->len = wire->u.piece.data.len;
    job->index = wire->u.piece.index;
    job->peer = wire->from;
    job->offset = wire->u.piece.offset;
    job->size = wire->u.piece.size;
    core->intake.asked += job->len;
    hti_core_submit(core, job);
    return HT_OK;
}

/* To a leader of a term that has gone by, which must not go on leading: it
 * sends nothing but pieces to whom it does not have the log for, and would
 * never learn of our term, nor we of its entries. */
static void
tell_term(struct hti_core *core, const char *node, const struct hti_wire *wire)
{
    struct hti_wire answer = {.kind = HTI_WIRE_APPEND_RESULT,
                              .term = core->raft.current_term};

    answer.u.append_result.rejected = wire->u.piece.index;
    answer.u.append_result.last_index = hti_core_last(core);
    answer.u.append_result.capacity = 1; /* of the disk: not full */
    hti_core_send(core, wire->from, node, &answer);
}

/* Already on the own disk, or from a second leader. */
static bool unwanted(const struct hti_core *core, const struct hti_wire *wire)
{
    return (hti_core_is(core, RAFT_LEADER) &&
            wire->term == core->raft.current_term) ||
           wire->u.piece.index <= core->raft.commit_index;
}

ht_err hti_core_intake(struct hti_core *core,
                       const char *node,
                       const struct hti_wire *wire)
{
    struct hti_intake *intake = &core->intake;

    if (wire->term < core->raft.current_term) {
        tell_term(core, node, wire);
        return HT_OK;
    }
    if (unwanted(core, wire)) {
        return HT_OK;
    }
    if (intake->from != wire->from || intake->index != wire->u.piece.index ||
        intake->size != wire->u.piece.size) {
        if (intake->ending || intake->installing) {
            return HT_OK; /* one at a time */
        }
        if (wire->u.piece.offset != 0) {
            return HT_OK; /* the beginning will come */
        }
        forget_intake(core);
        intake->from = wire->from;
        intake->index = wire->u.piece.index;
        intake->size = wire->u.piece.size;
        (void)snprintf(core->intake_node, sizeof(core->intake_node), "%s",
                       node);
        hti_core_say(core, HT_LOG_INFO, "HT-RAFT-RECEIVE",
                     "group=%s from=%s index=%" PRIu64 " bytes=%" PRIu64,
                     core->group, node, intake->index, intake->size);
    } else if (wire->u.piece.offset == 0 && !intake->ending &&
               !intake->installing && intake->asked == intake->written &&
               intake->asked > 0) {
        /* The leader begins again: it does not know what is here. */
        acknowledge(core, node);
    }
    intake->term = wire->term;
    intake->moved_us = core->now.us;
    if (wire->u.piece.offset != intake->asked || intake->ending ||
        intake->installing) {
        return HT_OK;
    }
    return write_piece(core, wire);
}

static ht_err file_job(struct hti_core *core, enum hti_job_kind kind)
{
    struct hti_job *job = hti_job_new(kind);

    if (job == NULL) {
        return hti_core_fail(core, HT_ENOMEM, "out of memory");
    }
    job->index = core->intake.index;
    job->peer = core->intake.from;
    job->size = core->intake.size;
    hti_core_submit(core, job);
    return HT_OK;
}

/* libraft handles it as a message of the leader's. */
static ht_err hand_over(struct hti_core *core)
{
    struct hti_intake *intake = &core->intake;
    const struct hti_snap_info *info = &intake->info;
    uint64_t local = hti_core_term_at(core, info->index);
    struct raft_message message = {.type = RAFT_INSTALL_SNAPSHOT,
                                   .server_id = intake->from,
                                   .server_address = core->intake_node};
    struct raft_install_snapshot *args = &message.install_snapshot;
    struct raft_event event = {.type = RAFT_RECEIVE};
    ht_err err;

    /* What libraft asserts, or would leak. */
    if (intake->term < core->raft.current_term ||
        (hti_core_is(core, RAFT_LEADER) &&
         intake->term == core->raft.current_term) ||
        core->raft.snapshot.installing || info->term > intake->term ||
        (info->index <= core->raft.commit_index && local != info->term)) {
        forget_intake(core);
        return HT_OK;
    }
    err = hti_conf_decode(info->conf, info->conf_len, &args->conf);
    if (err != HT_OK) {
        return hti_core_fail(core, err, "a snapshot's configuration");
    }
    if (core->meta.group == 0) {
        core->meta.group = info->group;
    }
    args->term = intake->term;
    args->last_index = info->index;
    args->last_term = info->term;
    args->conf_index = info->conf_index;
    args->data.base = raft_malloc(1);
    args->data.len = 1;
    event.receive.message = &message;
    intake->ending = false;
    err = hti_core_step(core, &event, NULL);
    if (err == HT_OK && !intake->installing) {
        forget_intake(core); /* it has all that already */
    }
    return err;
}

ht_err hti_core_install(struct hti_core *core, const struct raft_update *update)
{
    raft_free(update->snapshot.chunk.base);
    core->intake.installing = true;
    core->intake.meta = update->snapshot.metadata;
    /* Nothing of the own log is left. */
    hti_cache_reset(&core->cache, core->intake.index + 1);
    hti_core_snap_cancel(core);
    core->intake.owed = true;
    return hti_core_install_owed(core);
}

/* The files' queue does not wait for the log's: a snapshot of a term that is
 * later than the one on the disk would not be started from. */
ht_err hti_core_install_owed(struct hti_core *core)
{
    if (!core->intake.owed || core->metas > 0) {
        return HT_OK;
    }
    core->intake.owed = false;
    return file_job(core, HTI_JOB_INSTALL);
}

/* Snapshot and log are durable: libraft goes on from there. */
static ht_err installed(struct hti_core *core)
{
    struct raft_event event = {.type = RAFT_PERSISTED_SNAPSHOT};
    uint64_t index = core->intake.index;
    ht_err err;

    event.persisted_snapshot.metadata = core->intake.meta;
    event.persisted_snapshot.offset = 0;
    event.persisted_snapshot.last = true;
    hti_snap_info_fini(&core->snap);
    core->snap = core->intake.info;
    core->intake.info = (struct hti_snap_info){0};
    core->intake.meta.configuration.servers = NULL;
    forget_intake(core);
    err = hti_core_step(core, &event, NULL);
    return err == HT_OK ? hti_core_restore_start(core, index) : err;
}

static ht_err piece_written(struct hti_core *core, const struct hti_job *job)
{
    struct hti_intake *intake = &core->intake;

    if (intake->ending || intake->installing ||
        job->offset != intake->written) {
        return HT_OK;
    }
    if (job->err == HT_EIO) {
        return hti_core_fail(core, HT_EIO, "writing a snapshot");
    }
    if (job->err != HT_OK) {
        hti_core_say(core, HT_LOG_ERROR, "HT-RAFT-RECEIVE",
                     "group=%s err=\"%s\"", core->group, ht_strerror(job->err));
        forget_intake(core);
        return HT_OK;
    }
    intake->written += job->len;
    acknowledge(core, core->intake_node);
    if (intake->written < intake->size) {
        return HT_OK;
    }
    intake->ending = true;
    return file_job(core, HTI_JOB_PIECE_END);
}

static ht_err piece_checked(struct hti_core *core, struct hti_job *job)
{
    struct hti_intake *intake = &core->intake;

    if (!intake->ending) {
        return HT_OK;
    }
    if (job->err == HT_OK &&
        (job->info.index != intake->index ||
         (core->meta.group != 0 && job->info.group != core->meta.group))) {
        job->err = HT_EPROTO;
    }
    if (job->err == HT_EIO) {
        return hti_core_fail(core, HT_EIO, "reading a snapshot");
    }
    if (job->err != HT_OK) {
        hti_core_say(core, HT_LOG_ERROR, "HT-RAFT-RECEIVE",
                     "group=%s err=\"%s\" text=\"%s\"", core->group,
                     ht_strerror(job->err), job->text);
        forget_intake(core);
        return HT_OK;
    }
    intake->info = job->info;
    job->info = (struct hti_snap_info){0};
    return hand_over(core);
}

ht_err hti_core_intake_done(struct hti_core *core, struct hti_job *job)
{
    bool current = job->peer == core->intake.from &&
                   job->index == core->intake.index &&
                   job->size == core->intake.size;

    if (job->kind == HTI_JOB_PIECE_WRITE) {
        return current ? piece_written(core, job) : HT_OK;
    }
    if (job->kind == HTI_JOB_PIECE_END) {
        return current ? piece_checked(core, job) : HT_OK;
    }
    if (job->kind == HTI_JOB_INSTALL) {
        return job->err == HT_OK
                   ? file_job(core, HTI_JOB_RESET)
                   : hti_core_fail(core, HT_EIO, "installing a snapshot");
    }
    return installed(core);
}

/* The leader that sent it is gone; another begins anew. */
void hti_core_intake_tick(struct hti_core *core)
{
    if (core->intake.from != 0 && !core->intake.ending &&
        !core->intake.installing &&
        core->now.us - core->intake.moved_us >
            (uint64_t)core->config.election_ms * 1000 * 10) {
        forget_intake(core);
    }
}

void hti_core_xfer_fini(struct hti_core *core)
{
    if (core->intake.installing) {
        raft_configuration_close(&core->intake.meta.configuration);
    }
    forget_intake(core);
}
