/* SPDX-License-Identifier: Apache-2.0 */
#include "raft/member.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

/* The copy of the status that other threads see is at most that old. */
#define STATUS_US 20000u

static uint64_t clock_us(clockid_t which)
{
    struct timespec ts;

    (void)clock_gettime(which, &ts);
    return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

struct hti_when hti_member_now(void)
{
    return (struct hti_when){.us = clock_us(CLOCK_MONOTONIC),
                             .wall_ms = clock_us(CLOCK_REALTIME) / 1000};
}

/* ---- what the core asks for -------------------------------------------- */

static struct hti_peer *peer_of(ht_raft *raft, uint64_t id)
{
    for (size_t i = 0; id != 0 && i < HT_RAFT_MEMBERS_MAX; i++) {
        if (raft->peers[i].id == id) {
            return &raft->peers[i];
        }
    }
    return NULL;
}

/* To the actor that spoke for the member last; by name while nobody did. */
static void
send(void *arg, uint64_t id, const char *node, const uint8_t *data, size_t len)
{
    ht_raft *raft = arg;
    struct hti_peer *peer = peer_of(raft, id);
    ht_err err = HT_ENOPROC;

    if (peer != NULL) {
        err = ht_cast(raft->node, peer->ref, HTI_RAFT_VARIANT, data, len);
        if (err == HT_ENOPROC || err == HT_ENOCONN) {
            *peer = (struct hti_peer){0};
        }
    }
    if (err == HT_ENOPROC) {
        /* Lost if there is no way there now: Raft says it again. */
        (void)!ht_cast_name(raft->node, node, raft->name, HTI_RAFT_VARIANT,
                            data, len);
    }
}

static void submit(void *arg, struct hti_job *job)
{
    ht_raft *raft = arg;

    hti_runner_submit(raft->runner, job);
}

static void say(void *arg, ht_log_level level, const char *id, const char *text)
{
    ht_raft *raft = arg;

    ht_node_log(raft->node, level, id, "%s", text);
}

static const struct hti_core_ops ops = {
    .send = send, .submit = submit, .log = say};

/* ---- after each turn --------------------------------------------------- */

void hti_member_publish(ht_raft *raft)
{
    ht_raft_status status;

    hti_core_status(raft->core, &status);
    status.fsyncs = atomic_load(&raft->store->fsyncs);
    status.fsync_us = hti_runner_busy_us(raft->runner);
    status.disk_full = atomic_load(&raft->store->full);
    (void)pthread_mutex_lock(&raft->lock);
    raft->status = status;
    (void)pthread_mutex_unlock(&raft->lock);
}

/* A timer that fires too early costs a turn, one that is set anew at every
 * message costs more: so it is only ever brought forward. */
static ht_err arm(ht_raft *raft, struct hti_when now)
{
    uint64_t due = hti_core_deadline(raft->core);
    uint64_t after;

    if (raft->timer_us != 0 && raft->timer_us <= due) {
        return HT_OK;
    }
    if (raft->timer_us != 0) {
        (void)ht_timer_cancel(raft->self, raft->timer);
    }
    after = due > now.us ? (due - now.us + 999) / 1000 : 0;
    if (after > 60000) {
        after = 60000;
    }
    raft->timer_us = now.us + after * 1000;
    return ht_timer_start(raft->self, (uint32_t)after, 0, raft, &raft->timer);
}

/* What a disk did cannot be undone by a restart: what it has is not known any
 * more. */
static void note_failure(ht_raft *raft, ht_err err)
{
    const char *why = hti_core_failure(raft->core);

    ht_node_log(raft->node, HT_LOG_ERROR, "HT-RAFT-FAILED",
                "group=%s err=\"%s\" why=\"%s\"", raft->group, ht_strerror(err),
                why);
    (void)pthread_mutex_lock(&raft->lock);
    (void)snprintf(raft->failed, sizeof(raft->failed), "%s", why);
    raft->broken = err == HT_EIO || err == HT_ECORRUPT;
    (void)pthread_mutex_unlock(&raft->lock);
}

static ht_err turn_end(ht_raft *raft, struct hti_when now, ht_err err)
{
    if (err == HT_OK) {
        err = arm(raft, now);
    }
    if (err != HT_OK) {
        note_failure(raft, err);
        return err;
    }
    if (now.us - raft->status_us >= STATUS_US) {
        raft->status_us = now.us;
        hti_member_publish(raft);
    }
    return HT_OK;
}

static ht_err flush(ht_raft *raft)
{
    struct hti_when now = hti_member_now();

    raft->flush_owed = false;
    return turn_end(raft, now, hti_core_flush(raft->core, now));
}

static ht_err on_done(ht_actor *self, int fd, int events, void *arg)
{
    ht_raft *raft = arg;
    struct hti_jobs done = STAILQ_HEAD_INITIALIZER(done);
    struct hti_when now = hti_member_now();
    ht_err err = HT_OK;
    struct hti_job *job;

    (void)self;
    (void)fd;
    (void)events;
    hti_runner_take(raft->runner, &done);
    hti_core_full(raft->core, atomic_load(&raft->store->full));
    while (err == HT_OK && (job = STAILQ_FIRST(&done)) != NULL) {
        STAILQ_REMOVE_HEAD(&done, link);
        err = hti_core_done(raft->core, now, job);
    }
    hti_jobs_free(&done);
    return turn_end(raft, now, err);
}

/* Proposals of all the messages that wait now go to the log together: the
 * message to self comes behind them. */
void hti_member_owe_flush(ht_raft *raft)
{
    if (raft->flush_owed || raft->stopping) {
        return;
    }
    raft->flush_owed = true;
    if (ht_cast(raft->node, ht_self(raft->self), HTI_RAFT_VARIANT, NULL, 0) !=
        HT_OK) {
        /* No room: the next tick does it. */
        raft->flush_owed = false;
        (void)ht_timer_cancel(raft->self, raft->timer);
        raft->timer_us = hti_member_now().us;
        (void)!ht_timer_start(raft->self, 0, 0, raft, &raft->timer);
    }
}

/* ---- the actor --------------------------------------------------------- */

static void remember_peer(ht_raft *raft, uint64_t id, ht_ref from)
{
    struct hti_peer *peer = peer_of(raft, id);

    for (size_t i = 0; peer == NULL && i < HT_RAFT_MEMBERS_MAX; i++) {
        if (raft->peers[i].id == 0) {
            peer = &raft->peers[i];
        }
    }
    if (peer == NULL) {
        /* Those of members long gone. */
        memset(raft->peers, 0, sizeof(raft->peers));
        peer = &raft->peers[0];
    }
    peer->id = id;
    peer->ref = from;
}

static ht_err receive(ht_raft *raft, const ht_msg *msg)
{
    ht_bytes bytes = ht_msg_args(msg);
    ht_ref from = ht_msg_from(msg);
    struct hti_when now;
    const char *node;

    if (ht_ref_equal(from, ht_self(raft->self))) {
        return flush(raft);
    }
    now = hti_member_now();
    node = ht_ref_is_none(from) ? "" : ht_ref_node_name(raft->node, from);
    if (node[0] == '\0' || bytes.len < 26) {
        return HT_OK;
    }
    if (hti_core_knows(raft->core,
                       hti_of_le64((const uint8_t *)bytes.data + 10), node)) {
        remember_peer(raft, hti_of_le64((const uint8_t *)bytes.data + 10),
                      from);
    }
    return turn_end(raft, now, hti_core_receive(raft->core, now, node, bytes));
}

static ht_err handle(ht_actor *self, const ht_msg *msg, ht_call call)
{
    ht_raft *raft = ht_state(self);
    ht_err err;

    if (strcmp(ht_msg_variant(msg), HTI_RAFT_VARIANT) == 0) {
        return receive(raft, msg);
    }
    err = hti_member_service(raft, self, msg, call);
    if (err == HT_ENOVARIANT && raft->table->on_message != NULL) {
        err = raft->table->on_message(raft->machine, self, msg, call);
    }
    return err;
}

static ht_err on_event(ht_actor *self, const ht_event *event)
{
    ht_raft *raft = ht_state(self);
    struct hti_when now = hti_member_now();

    if (event->kind == HT_EVENT_TIMER && event->u.timer.arg == raft) {
        if (event->u.timer.timer != raft->timer) {
            return HT_OK;
        }
        raft->timer_us = 0;
        return turn_end(raft, now, hti_core_tick(raft->core, now));
    }
    if (event->kind == HT_EVENT_NODE &&
        event->u.node.event == HT_NODE_DISCONNECTED) {
        ht_err err = turn_end(
            raft, now, hti_core_lost(raft->core, now, event->u.node.name));

        if (err != HT_OK) {
            return err;
        }
    }
    return raft->table->on_event != NULL
               ? raft->table->on_event(raft->machine, self, event)
               : HT_OK;
}

static unsigned random_seed(void)
{
    unsigned seed = 0;

    if (getrandom(&seed, sizeof(seed), 0) != (ssize_t)sizeof(seed)) {
        seed = (unsigned)clock_us(CLOCK_REALTIME);
    }
    return seed;
}

ht_err hti_member_open(ht_raft *raft, char *text, size_t text_len)
{
    struct hti_boot boot = {0};
    struct hti_core_config config = {
        .group = raft->group,
        .node = ht_node_name(raft->node),
        .heartbeat_ms = raft->config.heartbeat_ms,
        .election_ms = raft->config.election_ms,
        .command_bytes_max = raft->config.command_bytes_max,
        .pending_max = raft->config.pending_max,
        .snapshot_after_entries = raft->config.snapshot_after_entries,
        .snapshot_after_bytes = raft->config.snapshot_after_bytes,
        .trailing_entries = raft->config.trailing_entries,
        .piece_bytes = 256u << 10,
        .seed = random_seed(),
    };
    ht_err err = hti_store_open(&raft->disk, raft->config.segment_bytes, false,
                                &boot, &raft->store, text, text_len);

    if (err == HT_OK) {
        err = hti_core_new(&config, &ops, raft, raft->table, raft->machine,
                           &boot, &raft->core);
    }
    if (err == HT_OK) {
        err = hti_runner_new(raft->store, &raft->runner);
    }
    hti_boot_fini(&boot);
    if (err != HT_OK) {
        hti_member_close(raft);
    }
    return err;
}

void hti_member_close(ht_raft *raft)
{
    hti_runner_free(raft->runner);
    raft->runner = NULL;
    hti_core_free(raft->core);
    raft->core = NULL;
    hti_store_free(raft->store);
    raft->store = NULL;
    memset(raft->peers, 0, sizeof(raft->peers));
    raft->timer_us = 0;
    raft->flush_owed = false;
}

static ht_err start(ht_raft *raft, ht_actor *self)
{
    struct hti_when now = hti_member_now();
    ht_err err =
        ht_watch(self, hti_runner_fd(raft->runner), HT_READ, on_done, raft);

    if (err == HT_OK) {
        err = ht_group_join_scoped(raft->node, HTI_RAFT_SCOPE, raft->group,
                                   ht_self(self));
    }
    if (err == HT_OK) {
        err = ht_monitor_nodes(self, true);
    }
    if (err != HT_OK) {
        return err;
    }
    if (raft->table->on_start != NULL) {
        raft->table->on_start(raft->machine, raft, self);
    }
    err = turn_end(raft, now, hti_core_start(raft->core, now));
    if (err == HT_OK) {
        hti_member_publish(raft);
    }
    return err;
}

static void terminate(ht_actor *self, const ht_exit *why);

static void ended(ht_raft *raft)
{
    (void)pthread_mutex_lock(&raft->lock);
    raft->alive = false;
    (void)pthread_mutex_unlock(&raft->lock);
}

static ht_err init(ht_actor *self, void *arg)
{
    ht_raft *raft = arg;
    char text[256] = "";
    ht_err err;

    (void)pthread_mutex_lock(&raft->lock);
    err = raft->broken ? HT_EIO : raft->closing ? HT_ECLOSED : HT_OK;
    raft->alive = err == HT_OK;
    (void)pthread_mutex_unlock(&raft->lock);
    if (err != HT_OK) {
        return err;
    }
    ht_set_state(self, raft);
    raft->self = self;
    raft->stopping = false;
    if (raft->core == NULL) {
        err = hti_member_open(raft, text, sizeof(text));
    }
    if (err == HT_OK) {
        err = start(raft, self);
        if (err != HT_OK) {
            terminate(self, NULL);
        }
    } else {
        ht_node_log(raft->node, HT_LOG_ERROR, "HT-RAFT-FAILED",
                    "group=%s err=\"%s\" why=\"%s\"", raft->group,
                    ht_strerror(err), text);
        ended(raft);
    }
    return err;
}

static void terminate(ht_actor *self, const ht_exit *why)
{
    ht_raft *raft = ht_state(self);

    (void)why;
    raft->stopping = true;
    if (raft->runner != NULL) {
        (void)!ht_watch(self, hti_runner_fd(raft->runner), 0, NULL, NULL);
    }
    if (raft->core != NULL) {
        hti_member_publish(raft);
    }
    hti_member_close(raft);
    if (raft->table->on_stop != NULL) {
        raft->table->on_stop(raft->machine);
    }
    raft->self = NULL;
    ended(raft);
}

const ht_behavior hti_member_behavior = {.init = init,
                                         .handle = handle,
                                         .on_event = on_event,
                                         .terminate = terminate};
